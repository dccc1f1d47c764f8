// SPDX-License-Identifier: Apache-2.0
// gp_path.c: pathwise conditioning: a function of the prior, moved to where the data are.
//
//   f_s(x) = g_s(x) + k(x, X) A^-1 (z - g_s(X) - e_s),   A = K + (noise + jitter) I,   e_s ~ N(0, noise + jitter)
//
// is a draw from the posterior if g_s is one from the prior (Matheron's rule; Wilson et al., ICML 2020, arXiv 2002.09309,
// and JMLR 22 (2021)). Drawing at m points costs O(m) instead of the O(m^3) of a joint posterior, and the function can be
// asked again elsewhere. The correction is exact; g_s is a sum of F random Fourier features a term (Rahimi and Recht, NIPS 2007):
//
//   g_s(x) = sum over active terms t of sqrt(a_t / F) sum_f  u_sf cos(w_f . x) + v_sf sin(w_f . x),   u, v ~ N(0, 1)
//
// w_f comes from the covariance's spectral density: for a numeric column c, w_c = q z_c / l_c, z_c ~ N(0, 1), with one q
// a feature: 1 for RBF, sqrt(k / chi2_k) for Matern k/2, k = 5 or 3 (a multivariate t distribution). A categorical column adds
// 1 / l_c^2 to the squared distance where the choices differ; that is the distance of the corners e_k / sqrt(2) of a simplex,
// so its part of the phase is q z_{c, choice} / (sqrt(2) l_c): a normal number for each choice. No imputed numbers for absent
// columns: a term is left out where it is not active, as in the covariance.
//
// The prior variance is exact, prior covariances are off by about 1 / sqrt(2 F) of the amplitude, for all functions of one draw
// alike. Among the data, where what is left of the variance lies in the few highest frequencies, a draw's variance is off by up to a
// tenth for Matern 5/2 and a fifth for 3/2 (seen; over many draws it is right, tests/unit/test_gp_path.c). What does not vanish
// with F, the starved variance of regressing on features alone, does not arise.
//
// Deterministic: the numbers of function i are its own, points in the order in which they were told.
// Ownership: own arrays; gp is the caller's. Threads: those of the gp. Memory: 8 (n s + 2 F s T + F inputs) bytes.
// Cost: a draw O(n^2 s + n F (d + s)); m values O(m n (d + s) + m F (d + s)).
#include "gp_path.h"

#include "gp_impl.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 512, FEATURES_OF_ALL = 2048, FEATURES_LEAST = 128 };
static const uint64_t FREQUENCY_TAG = 0x66726571, WEIGHT_TAG = 0x77656967, NOISE_TAG = 0x6e6f6973; // "freq" ..

struct hpt__gp_paths {
    const hpt__gp_code *code; // the gp's
    int64_t s, n, generation;
    int64_t n_features; // F
    int64_t n_inputs;   // numeric columns, and a row for each choice of a categorical one (absent: the first)
    int64_t *input;     // d: first input of a column
    double *omega;      // T x n_inputs x F
    double *weights;    // T x 2 F x s, scaled: cosines, sines
    double *w;          // n x s
    double *scratch;    // 3 F + s
};

void hpt__gp_paths_destroy(hpt__gp_paths *p) {
    if (!p) return;
    hpt__free(p->input);
    hpt__free(p->omega);
    hpt__free(p->weights);
    hpt__free(p->w);
    hpt__free(p->scratch);
    hpt__free(p);
}

static bool in_term(const hpt__cov *cov, int64_t t, int64_t c) {
    return cov->term_blocks[t] >> cov->block[c] & 1;
}

static void draw_frequencies(hpt__gp_paths *p, const double *theta, uint64_t seed) {
    const hpt__cov *cov = &p->code->cov;
    const int64_t n = p->n_features, degrees = cov->kind == HPT__COV_MATERN52 ? 5 : 3;
    for (int64_t t = 0; t < cov->n_terms; t++) {
        hpt__rng rng;
        hpt__rng_init(&rng, seed, hpt__rng_mix(FREQUENCY_TAG, (uint64_t)t));
        for (int64_t f = 0; f < n; f++) {
            double chi2 = 0;
            for (int64_t k = 0; k < degrees; k++) {
                const double z = hpt__rng_normal(&rng);
                chi2 += z * z;
            }
            const double q = cov->kind == HPT__COV_RBF ? 1 : sqrt((double)degrees / chi2);
            for (int64_t c = 0; c < cov->d; c++) {
                if (!in_term(cov, t, c)) continue;
                const int64_t end = c + 1 < cov->d ? p->input[c + 1] : p->n_inputs;
                const double by = q * exp(-theta[c]) * (cov->categorical[c] ? sqrt(0.5) : 1);
                for (int64_t i = p->input[c]; i < end; i++)
                    p->omega[(t * p->n_inputs + i) * n + f] = by * hpt__rng_normal(&rng);
            }
        }
    }
}

// Weights of functions first .. first + s - 1, and in column k of e (n x s, lde) the noise of function first + k. All weights of
// all functions are one stream, so that a block of them is one call; noise is a stream for each function, as long as the data.
static int draw_functions(hpt__gp_paths *p, double *e, int64_t lde, hpt__gp *gp, const double *theta, double noise,
                          uint64_t seed, int64_t first) {
    int rc = 0;
    const hpt__cov *cov = &p->code->cov;
    const int64_t each = cov->n_terms * 2 * p->n_features;
    double *numbers = hpt__malloc((size_t)(each * p->s) * sizeof *numbers);
    if (!numbers) return hpt__fail_memory();
    HPT_TRY(hpt__fill_normal(gp->device, seed, WEIGHT_TAG, first * each, p->s * each, numbers));
    for (int64_t i = 0; i < each; i++) {
        const double by = sqrt(exp(theta[cov->d + i / (2 * p->n_features)]) / (double)p->n_features);
        for (int64_t k = 0; k < p->s; k++) p->weights[i * p->s + k] = by * numbers[k * each + i];
    }
    for (int64_t k = 0; k < p->s; k++) {
        double *column = e + k * lde;
        const uint64_t stream = hpt__rng_mix(NOISE_TAG, (uint64_t)(first + k));
        HPT_TRY(hpt__fill_normal(gp->device, seed, stream, 0, p->n, column));
        for (int64_t i = 0; i < p->n; i++) column[i] *= sqrt(noise);
    }
    rc = 0;
out:
    hpt__free(numbers);
    return rc;
}

// sin(2 pi t), |t| <= 1/4: Taylor's series to t^17, error below 1e-13.
static inline double quarter_sine(double t) {
    const double x = 2 * 3.14159265358979323846 * t, y = x * x;
    return x * (1 + y * (-1 / 6. +
                         y * (1 / 120. +
                              y * (-1 / 5040. +
                                   y * (1 / 362880. +
                                        y * (-1 / 39916800. + y * (1 / 6227020800. + y * (-1 / 1307674368000. +
                                                                                          y / 355687428096000.))))))));
}

// wave[f] = cos(phase[f]), wave[n + f] = sin(phase[f]), to 1e-12 for phases below 1e4. Plain arithmetic that a compiler
// vectorises: the library's functions took more time than all the rest.
static void waves(double *wave, const double *phase, int64_t n) {
    const double round = 0x1.8p52, per_turn = 0.5 / 3.14159265358979323846;
    for (int64_t f = 0; f < n; f++) {
        const double turns = phase[f] * per_turn, t = turns - ((turns + round) - round),
                     size = fabs(t); // t in [-1/2, 1/2]
        wave[f] = quarter_sine(0.25 - size);
        wave[n + f] = quarter_sine(size > 0.25 ? copysign(0.5 - size, t) : t);
    }
}

// Adds by * g_k(x) for all functions to out[k * ldo].
static void add_prior(double *out, int64_t ldo, double by, const hpt__gp_paths *p, const double *row, uint64_t mask) {
    const hpt__cov *cov = &p->code->cov;
    const int64_t n = p->n_features, s = p->s;
    double *phase = p->scratch, *wave = phase + n, *sum = wave + 2 * n;
    memset(sum, 0, (size_t)s * sizeof *sum);
    for (int64_t t = 0; t < cov->n_terms; t++) {
        if (cov->term_blocks[t] & ~mask) continue;
        memset(phase, 0, (size_t)n * sizeof *phase);
        for (int64_t c = 0; c < cov->d; c++) {
            if (!in_term(cov, t, c)) continue;
            const bool categorical = cov->categorical[c];
            const int64_t at = p->input[c] + (categorical ? 1 + (int64_t)row[c] : 0);
            const double *w = p->omega + (t * p->n_inputs + at) * n, x = categorical ? 1 : row[c];
            for (int64_t f = 0; f < n; f++) phase[f] += x * w[f];
        }
        waves(wave, phase, n);
        const double *u = p->weights + t * 2 * n * s;
        for (int64_t f = 0; f < 2 * n; f++)
            for (int64_t k = 0; k < s; k++) sum[k] += wave[f] * u[f * s + k];
    }
    for (int64_t k = 0; k < s; k++) out[k * ldo] += by * sum[k];
}

// The layout of the frequencies' inputs.
static int make(hpt__gp_paths **out, hpt__gp *gp, const hpt__gp_code *code, int64_t s) {
    const hpt__cov *cov = &code->cov;
    hpt__gp_paths *p = hpt__calloc(1, sizeof *p);
    if (!p) return hpt__fail_memory();
    *out = p;
    p->code = code;
    p->s = s;
    p->n = hpt__gp_n(gp);
    p->generation = hpt__gp_generation(gp);
    p->n_features = FEATURES;
    if (cov->n_terms * FEATURES > FEATURES_OF_ALL) p->n_features = FEATURES_OF_ALL / cov->n_terms;
    if (p->n_features < FEATURES_LEAST) p->n_features = FEATURES_LEAST;
    p->input = hpt__malloc((size_t)cov->d * sizeof *p->input);
    if (!p->input) return hpt__fail_memory();
    for (int64_t c = 0; c < cov->d; c++) {
        p->input[c] = p->n_inputs;
        p->n_inputs += cov->categorical[c] ? 1 + hpt__param_cardinality(&code->space->params[code->param[c]]) : 1;
    }
    const size_t n = (size_t)p->n_features, terms = (size_t)cov->n_terms, all = (size_t)s;
    p->omega = hpt__calloc(terms * (size_t)p->n_inputs * n, sizeof *p->omega);
    p->weights = hpt__malloc(terms * 2 * n * all * sizeof *p->weights);
    p->w = hpt__malloc((size_t)p->n * all * sizeof *p->w);
    p->scratch = hpt__malloc((3 * n + all) * sizeof *p->scratch);
    return p->omega && p->weights && p->w && p->scratch ? 0 : hpt__fail_memory();
}

int hpt__gp_paths_draw(hpt__gp_paths **out, hpt__gp *gp, uint64_t seed, int64_t first, int64_t s) {
    int rc = 0;
    hpt__gp_paths *p = NULL;
    double *b = NULL;
    HPT_FAIL_IF(s < 1 || first < 0, HPT_E_ARG, "%lld functions to draw from number %lld on", (long long)s,
                (long long)first);
    HPT_TRY(hpt__gp_ready(gp));
    const hpt__gp_code *code = hpt__gp_code_of(gp);
    const double *theta = hpt__gp_theta(gp), *z = hpt__gp_z(gp), *rows = hpt__gp_rows(gp);
    hpt__model *model = hpt__gp_model(gp);
    const int64_t n_rows = hpt__model_rows(model), d = code->cov.d;
    HPT_TRY(make(&p, gp, code, s));
    draw_frequencies(p, theta, seed);
    // Rows of pending points stand last in the factor: zeros there, before each solve, solve with that of the told ones.
    b = hpt__calloc((size_t)(n_rows * s), sizeof *b);
    if (!b) HPT_TRY(hpt__fail_memory());
    const double noise = exp(theta[d + code->cov.n_terms]) + hpt__model_jitter(model);
    HPT_TRY(draw_functions(p, b, n_rows, gp, theta, noise, seed, first));
    for (int64_t i = 0; i < p->n; i++) {
        for (int64_t k = 0; k < s; k++) b[i + k * n_rows] = z[i] - b[i + k * n_rows];
        add_prior(b + i, n_rows, -1, p, rows + i * d, hpt__gp_masks(gp)[i]);
    }
    HPT_TRY(hpt__model_solve(model, false, b, n_rows, s));
    for (int64_t k = 0; k < s; k++) memset(b + p->n + k * n_rows, 0, (size_t)(n_rows - p->n) * sizeof *b);
    HPT_TRY(hpt__model_solve(model, true, b, n_rows, s));
    for (int64_t k = 0; k < s; k++) memcpy(p->w + k * p->n, b + k * n_rows, (size_t)p->n * sizeof *b);
    *out = p;
    p = NULL;
    rc = 0;
out:
    hpt__free(b);
    hpt__gp_paths_destroy(p);
    return rc;
}

bool hpt__gp_paths_fit(const hpt__gp_paths *p, const hpt__gp *gp) {
    return p->generation == hpt__gp_generation(gp) && p->n == hpt__gp_n(gp);
}

int hpt__gp_paths_value(double *out, int64_t ldo, const hpt__gp_paths *p, hpt__gp *gp, const double *rows,
                        const uint64_t *mask, int64_t m) {
    int rc = 0;
    HPT_FAIL_IF(!hpt__gp_paths_fit(p, gp), HPT_E_STATE, "the functions were drawn from another posterior");
    if (m < 1) return 0;
    HPT_TRY(hpt__model_cross_apply(hpt__gp_model(gp), rows, mask, m, p->w, p->n, p->n, p->s, out, ldo));
    for (int64_t j = 0; j < m; j++) add_prior(out + j, ldo, 1, p, rows + j * p->code->cov.d, mask[j]);
    rc = 0;
out:
    return rc;
}
