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
// Here: what is drawn. Values, of the prior too, are an operation of the device's (hpt__paths in backend_impl.h).
// Ownership: own arrays; gp is the caller's. Threads: those of the gp. Memory: 8 (n s + 2 F s T + F T inputs) bytes.
// Cost: a draw O(n^2 s + n F (d + s)); m values O(m n (d + s) + m F (d + s)).
#include "gp_path.h"

#include "gp_impl.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 512, FEATURES_OF_ALL = 2048, FEATURES_LEAST = 128 };
static const uint64_t FREQUENCY_TAG = 0x66726571, WEIGHT_TAG = 0x77656967, NOISE_TAG = 0x6e6f6973; // "freq" ..

struct hpt__gp_paths {
    const hpt__gp_code *code; // the gp's
    int64_t generation;
    hpt__paths of;  // as a backend takes them, with the arrays below
    int64_t *first; // a categorical column's rows are those of an absent choice and of each choice
    double *omega;
    double *uv; // scaled by sqrt(a_t / F)
    double *w;
};

void hpt__gp_paths_destroy(hpt__gp_paths *p) {
    if (!p) return;
    hpt__free(p->first);
    hpt__free(p->omega);
    hpt__free(p->uv);
    hpt__free(p->w);
    hpt__free(p);
}

static bool in_term(const hpt__cov *cov, int64_t t, int64_t c) {
    return cov->term_blocks[t] >> cov->block[c] & 1;
}

static void draw_frequencies(hpt__gp_paths *p, const hpt__cov *cov, const double *theta, uint64_t seed) {
    const int64_t n = p->of.n_features, n_inputs = p->first[cov->d], degrees = cov->kind == HPT__COV_MATERN52 ? 5 : 3;
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
                const double by = q * exp(-theta[c]) * (cov->categorical[c] ? sqrt(0.5) : 1);
                for (int64_t i = p->first[c]; i < p->first[c + 1]; i++)
                    p->omega[(t * n_inputs + i) * n + f] = by * hpt__rng_normal(&rng);
            }
        }
    }
}

// Weights of functions first .. first + s - 1, and in w their noise. All weights of all functions are one stream, so that a block
// of them is one call; noise is a stream for each function, as long as the data.
static int draw_functions(hpt__gp_paths *p, hpt__gp *gp, const double *theta, double noise, uint64_t seed,
                          int64_t first) {
    int rc = 0;
    const hpt__cov *cov = &p->code->cov;
    const int64_t s = p->of.s, n = p->of.n, n_features = p->of.n_features, each = cov->n_terms * 2 * n_features;
    HPT_TRY(hpt__fill_normal(gp->device, seed, WEIGHT_TAG, first * each, s * each, p->uv));
    for (int64_t t = 0; t < cov->n_terms; t++) {
        const double by = sqrt(exp(theta[cov->d + t]) / (double)n_features);
        for (int64_t k = 0; k < s; k++)
            for (int64_t i = 0; i < 2 * n_features; i++) p->uv[k * each + t * 2 * n_features + i] *= by;
    }
    for (int64_t k = 0; k < s; k++) {
        const uint64_t stream = hpt__rng_mix(NOISE_TAG, (uint64_t)(first + k));
        HPT_TRY(hpt__fill_normal(gp->device, seed, stream, 0, n, p->w + k * n));
    }
    for (int64_t i = 0; i < n * s; i++) p->w[i] *= sqrt(noise);
out:
    return rc;
}

static int make(hpt__gp_paths **out, hpt__gp *gp, const hpt__gp_code *code, int64_t s) {
    const hpt__cov *cov = &code->cov;
    hpt__gp_paths *p = hpt__calloc(1, sizeof *p);
    if (!p) return hpt__fail_memory();
    *out = p;
    p->code = code;
    p->generation = hpt__gp_generation(gp);
    int64_t n_features = FEATURES;
    if (cov->n_terms * FEATURES > FEATURES_OF_ALL) n_features = FEATURES_OF_ALL / cov->n_terms;
    if (n_features < FEATURES_LEAST) n_features = FEATURES_LEAST;
    p->first = hpt__calloc((size_t)cov->d + 1, sizeof *p->first);
    if (!p->first) return hpt__fail_memory();
    for (int64_t c = 0; c < cov->d; c++) {
        const hpt__param *param = &code->space->params[code->param[c]];
        p->first[c + 1] = p->first[c] + (cov->categorical[c] ? 1 + hpt__param_cardinality(param) : 1);
    }
    const size_t n = (size_t)hpt__gp_n(gp), waves = (size_t)cov->n_terms * (size_t)n_features, all = (size_t)s;
    p->omega = hpt__calloc(waves * (size_t)p->first[cov->d], sizeof *p->omega);
    p->uv = hpt__malloc(2 * waves * all * sizeof *p->uv);
    p->w = hpt__malloc(n * all * sizeof *p->w);
    p->of = (hpt__paths){s, hpt__gp_n(gp), n_features, p->w, p->first, p->omega, p->uv};
    return p->omega && p->uv && p->w ? 0 : hpt__fail_memory();
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
    draw_frequencies(p, hpt__gp_cov(gp), theta, seed);
    const double noise = exp(theta[d + code->cov.n_terms]) + hpt__model_jitter(model);
    HPT_TRY(draw_functions(p, gp, theta, noise, seed, first));
    // Rows of pending points stand last in the factor: zeros there, before each solve, solve with that of the told ones.
    const int64_t n = p->of.n;
    b = hpt__calloc((size_t)(n_rows * s), sizeof *b);
    if (!b) HPT_TRY(hpt__fail_memory());
    hpt__paths prior = p->of;
    prior.n = 0;
    HPT_TRY(hpt__model_paths(model, &prior, rows, hpt__gp_masks(gp), n, b, n_rows));
    for (int64_t k = 0; k < s; k++)
        for (int64_t i = 0; i < n; i++) b[i + k * n_rows] = z[i] - p->w[i + k * n] - b[i + k * n_rows];
    HPT_TRY(hpt__model_solve(model, false, b, n_rows, s));
    for (int64_t k = 0; k < s; k++) memset(b + n + k * n_rows, 0, (size_t)(n_rows - n) * sizeof *b);
    HPT_TRY(hpt__model_solve(model, true, b, n_rows, s));
    for (int64_t k = 0; k < s; k++) memcpy(p->w + k * n, b + k * n_rows, (size_t)n * sizeof *b);
    *out = p;
    p = NULL;
    rc = 0;
out:
    hpt__free(b);
    hpt__gp_paths_destroy(p);
    return rc;
}

bool hpt__gp_paths_fit(const hpt__gp_paths *p, const hpt__gp *gp) {
    return p->generation == hpt__gp_generation(gp) && p->of.n == hpt__gp_n(gp);
}

int hpt__gp_paths_value(double *out, int64_t ldo, const hpt__gp_paths *p, hpt__gp *gp, const double *rows,
                        const uint64_t *mask, int64_t m) {
    int rc = 0;
    HPT_FAIL_IF(!hpt__gp_paths_fit(p, gp), HPT_E_STATE, "the functions were drawn from another posterior");
    if (m < 1) return 0;
    rc = hpt__model_paths(hpt__gp_model(gp), &p->of, rows, mask, m, out, ldo);
out:
    return rc;
}
