// SPDX-License-Identifier: Apache-2.0
// backend_testing.c: see backend_testing.h.
#include "backend_testing.h"

#include <dlfcn.h>

static bool required(const char *name) {
    const char *list = getenv("HPT_TEST_REQUIRE");
    const size_t len = strlen(name);
    for (const char *p = list; p && *p;) {
        const size_t n = strcspn(p, ", ");
        if (n == len && strncmp(p, name, n) == 0) return true;
        p += n;
        p += strspn(p, ", ");
    }
    return false;
}

hpt__device *testing_device(const char *name) {
    hpt__device *device = NULL;
    const int rc = hpt__device_open(&device, name, NULL, NULL);
    if (rc == HPT_E_DEVICE && !required(name)) cr_skip_test("%s", hpt_last_error());
    cr_assert_eq(rc, 0, "%s", hpt_last_error());
    return device;
}

void testing_close(hpt__device *device, const char *name) {
    int (*check)(char *why, size_t size);
    char why[300] = "";
    hpt__device_close(device);
    if (strcmp(name, "cuda:mock") != 0) return;
    void *library = dlopen(HPT_BINARY_DIR "/lib/libhpt_gpu_cuda_mock.so", RTLD_NOW | RTLD_NOLOAD);
    if (!library) return; // one from elsewhere (HPT_CUDA_PATH)
    void *symbol = dlsym(library, "hpt_mock_check");
    cr_assert_not_null(symbol);
    memcpy(&check, &symbol, sizeof check);
    cr_assert_eq(check(why, sizeof why), 0, "%s", why);
    (void)dlclose(library);
}

double *numbers(int64_t n) {
    double *a = calloc((size_t)(n > 0 ? n : 1), sizeof *a);
    cr_assert_not_null(a);
    return a;
}

uint64_t *words(int64_t n) {
    uint64_t *a = calloc((size_t)(n > 0 ? n : 1), sizeof *a);
    cr_assert_not_null(a);
    return a;
}

double uniform(hpt__rng *rng, double low, double high) {
    return low + (high - low) * hpt__rng_uniform(rng);
}

void problem_init(problem *p, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks, bool mixed) {
    memset(p, 0, sizeof *p);
    hpt__rng_init(&p->rng, seed, 77);
    if (n_blocks > d) n_blocks = d;
    if (n_blocks > BLOCKS) n_blocks = BLOCKS;
    p->terms[0] = 1;
    for (int64_t b = 1; b < n_blocks; b++) {
        p->parent[b] = hpt__rng_below(&p->rng, b);
        p->terms[b] = p->terms[p->parent[b]] | UINT64_C(1) << b;
    }
    for (int64_t j = 0; j < d; j++) {
        p->block[j] = (int32_t)(j < n_blocks ? j : hpt__rng_below(&p->rng, n_blocks));
        p->categorical[j] = mixed && j % 3 == 2;
    }
    p->cov = (hpt__cov){kind, d, p->categorical, p->block, n_blocks, n_blocks, p->terms};
    p->p = hpt__cov_n_theta(&p->cov);
    for (int64_t j = 0; j < d; j++) p->theta[j] = uniform(&p->rng, -1.2, 0.7);
    for (int64_t t = 0; t < n_blocks; t++) p->theta[d + t] = uniform(&p->rng, -1, 1);
    p->theta[d + n_blocks] = uniform(&p->rng, -6, -3);
}

void problem_points(problem *p, double *x, uint64_t *mask, int64_t n) {
    const int64_t d = p->cov.d;
    for (int64_t i = 0; i < n; i++) {
        mask[i] = 1;
        for (int64_t b = 1; b < p->cov.n_blocks; b++)
            if ((mask[i] >> p->parent[b] & 1) && hpt__rng_uniform(&p->rng) < 0.6) mask[i] |= UINT64_C(1) << b;
        for (int64_t j = 0; j < d; j++) {
            double v = p->categorical[j] ? (double)hpt__rng_below(&p->rng, 3) : hpt__rng_uniform(&p->rng);
            if (!(mask[i] >> p->block[j] & 1)) v = -1e300 * (double)hpt__rng_below(&p->rng, 3);
            x[i * d + j] = v;
        }
    }
}

void problem_values(problem *p, double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = hpt__rng_normal(&p->rng);
}

void waves_init(waves *w, problem *p, int64_t s, int64_t n, int64_t n_features) {
    const int64_t d = p->cov.d, all = p->cov.n_terms * n_features;
    memset(w, 0, sizeof *w);
    for (int64_t c = 0; c < d; c++) w->first[c + 1] = w->first[c] + (p->categorical[c] ? 4 : 1);
    const int64_t sizes[] = {all * w->first[d], 2 * all * s, n * s};
    double **const arrays[] = {&w->omega, &w->uv, &w->w};
    for (int a = 0; a < 3; a++) {
        *arrays[a] =
            malloc((size_t)(sizes[a] > 0 ? sizes[a] : 1) * sizeof(double)); // none beyond: the sanitizer sees it
        cr_assert_not_null(*arrays[a]);
        for (int64_t i = 0; i < sizes[a]; i++) (*arrays[a])[i] = (a == 0 ? 3 : 1) * hpt__rng_normal(&p->rng);
    }
    w->of = (hpt__paths){s, n, n_features, w->w, w->first, w->omega, w->uv};
}

void waves_fini(waves *w) {
    free(w->omega);
    free(w->uv);
    free(w->w);
}

long double exact_k(const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z,
                    uint64_t mz) {
    long double k = 0;
    for (int64_t t = 0; t < c->n_terms; t++) {
        bool active = true;
        for (int b = 0; b < 64; b++)
            if (c->term_blocks[t] >> b & 1) active = active && (mx >> b & 1) && (mz >> b & 1);
        if (!active) continue;
        long double q = 0;
        for (int64_t j = 0; j < c->d; j++) {
            if (!(c->term_blocks[t] >> c->block[j] & 1)) continue;
            const long double delta = c->categorical[j] ? x[j] != z[j] : (long double)x[j] - (long double)z[j];
            q += delta * delta * expl(-2 * (long double)theta[j]);
        }
        const long double r = sqrtl(q), r5 = sqrtl(5) * r, r3 = sqrtl(3) * r;
        long double m = expl(-q / 2);
        if (c->kind == HPT__COV_MATERN52) m = (1 + r5 + 5 * q / 3) * expl(-r5);
        if (c->kind == HPT__COV_MATERN32) m = (1 + r3) * expl(-r3);
        k += expl(theta[c->d + t]) * m;
    }
    return k;
}

bool exact_factor(long double *l, const problem *p, const double *theta, const double *x, const uint64_t *mask,
                  int64_t n, double jitter) {
    const int64_t d = p->cov.d;
    for (int64_t j = 0; j < n; j++) { // column by column, unlike `ref`
        for (int64_t i = 0; i < n; i++) {
            l[i + j * n] = i < j ? 0 : exact_k(&p->cov, theta, x + i * d, mask[i], x + j * d, mask[j]);
            if (i == j) l[i + j * n] += expl(theta[p->p - 1]) + jitter;
        }
        for (int64_t k = 0; k < j; k++)
            for (int64_t i = j; i < n; i++) l[i + j * n] -= l[i + k * n] * l[j + k * n];
        if (!(l[j + j * n] > 0)) return false;
        const long double root = sqrtl(l[j + j * n]);
        for (int64_t i = j; i < n; i++) l[i + j * n] /= root;
    }
    return true;
}

void exact_solve(const long double *l, int64_t n, long double *b) {
    for (int64_t j = 0; j < n; j++) {
        b[j] /= l[j + j * n];
        for (int64_t i = j + 1; i < n; i++) b[i] -= l[i + j * n] * b[j];
    }
}

void exact_solve_transposed(const long double *l, int64_t n, long double *b) {
    for (int64_t j = n - 1; j >= 0; j--) {
        for (int64_t i = j + 1; i < n; i++) b[j] -= l[i + j * n] * b[i];
        b[j] /= l[j + j * n];
    }
}

long double exact_logdet(const long double *l, int64_t n) {
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += 2 * logl(l[i + i * n]);
    return sum;
}

void near_number(double got, double want, double absolute, double relative, const char *what, int64_t i) {
    cr_assert(fabs(got - want) <= absolute + relative * fabs(want), "%s %lld: %.17g, not %.17g (difference %.3g)", what,
              (long long)i, got, want, got - want);
}

void fitted_init(fitted *f, hpt__device *device, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks,
                 int64_t n) {
    problem_init(&f->p, seed, kind, d, n_blocks, n_blocks > 1);
    f->n = n;
    f->x = numbers(n * d);
    f->y = numbers(n);
    f->mask = words(n);
    problem_points(&f->p, f->x, f->mask, n);
    problem_values(&f->p, f->y, n);
    double jitter, logdet;
    OK(hpt__model_create(&f->model, device, &f->p.cov, 1));
    OK(hpt__model_set_points(f->model, 0, f->x, f->mask, n));
    OK(hpt__model_factor(f->model, f->p.theta, &jitter, &logdet));
    OK(hpt__model_set_y(f->model, f->y, n));
}

void fitted_fini(fitted *f) {
    hpt__model_destroy(f->model);
    free(f->x);
    free(f->y);
    free(f->mask);
}
