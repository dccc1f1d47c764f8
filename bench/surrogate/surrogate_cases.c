// SPDX-License-Identifier: Apache-2.0
// surrogate_cases.c: the cases of `hpt-bench surrogate`: random points in the unit cube, one lengthscale of 0.7 per
// column, noise 1e-4 of the variance (1e-2 for the row in single precision, which less noise rules out); each timed after one call that is not counted, five times or for two seconds.
#include "surrogate.h"

#include "core/base/pool.h"
#include "core/base/rng.h"
#include <hpt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef HPT_HAVE_CPU_BACKEND
#include "core/backend/device_state.h"
#include "cpu/cpu_impl.h"
#endif

enum { CANDIDATES = 2048, SEARCHES = 10, BEST = 64, COMPARE_UP_TO = 300, COLUMNS = 2048 };

// ---- ceilings

enum { PRODUCT = 700, COPY = 4 << 20 }; // order of the matrices; doubles that each thread copies

typedef struct ceiling_work {
    double *numbers; // per thread 2 COPY numbers
} ceiling_work;

static int copy_numbers(int64_t i, void *payload) {
    double *at = ((ceiling_work *)payload)->numbers + 2 * COPY * i;
    memcpy(at + COPY, at, COPY * sizeof *at);
    return 0;
}

#ifdef HPT_HAVE_CPU_BACKEND
static const cpu__blas *blas;

static int multiply(int64_t i, void *payload) {
    enum { SQUARE = PRODUCT * PRODUCT };
    double *at = ((ceiling_work *)payload)->numbers + 2 * COPY * i;
    blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__N, PRODUCT, PRODUCT, PRODUCT, 1.0, at, PRODUCT, at + SQUARE, PRODUCT, 0.0,
               at + 2 * SQUARE, PRODUCT);
    return 0;
}
#endif

static double best_time(hpt__pool *pool, hpt__pool_fn fn, ceiling_work *w) {
    double best = INFINITY;
    for (int r = 0; r < 6; r++) {
        const double begin = surrogate_now();
        if (hpt__pool_run(pool, hpt__pool_size(pool), fn, w) < 0) return INFINITY;
        const double seconds = surrogate_now() - begin;
        if (seconds < best) best = seconds;
    }
    return best;
}

int surrogate_ceilings(ceilings *out, int64_t threads) {
    hpt__pool *pool;
    *out = (ceilings){0, 0};
    if (hpt__pool_create(&pool, threads) < 0) {
        fprintf(stderr, "hpt-bench: %s\n", hpt_last_error());
        return 1;
    }
    const int64_t n = hpt__pool_size(pool);
    ceiling_work w = {malloc((size_t)(2 * COPY * n) * sizeof *w.numbers)};
    if (w.numbers) {
        for (int64_t i = 0; i < 2 * COPY * n; i++) w.numbers[i] = (double)(i % 977) / 977;
        out->gbytes = 16.0 * COPY * (double)n / best_time(pool, copy_numbers, &w) / 1e9;
#ifdef HPT_HAVE_CPU_BACKEND
        blas = cpu__blas_get(NULL, 0);
        if (blas) {
            cpu__blas_enter();
            out->gflops = 2.0 * PRODUCT * PRODUCT * PRODUCT * (double)n / best_time(pool, multiply, &w) / 1e9;
            cpu__blas_leave();
        }
#endif
    }
    free(w.numbers);
    hpt__pool_destroy(pool);
    return w.numbers ? 0 : 1;
}

// ---- cases

typedef struct bench_model {
    hpt__device *device;
    hpt__model *model;
    hpt__cov cov;
    int64_t n, d, p, out_size;
    double *theta, *x, *y, *out; // x: n + CANDIDATES points
    double *square;              // of backend cpu's cases alone, made when they begin
    uint64_t *mask;
    uint8_t *categorical;
    int32_t *block;
    int64_t *index;
} bench_model;

static const uint64_t BLOCK_0 = 1;

static void fini(bench_model *b) {
    hpt__model_destroy(b->model);
    hpt__device_close(b->device);
    free(b->theta);
    free(b->x);
    free(b->y);
    free(b->out);
    free(b->square);
    free(b->mask);
    free(b->categorical);
    free(b->block);
    free(b->index);
}

static const double NOISE = 1e-4, NOISE_SINGLE = 1e-2; // variances

static int init(bench_model *b, const surrogate_options *o, const char *device, int64_t n, int64_t d, double noise) {
    const hpt__ctx_options options = {.n_threads = o->threads};
    const int64_t all = n + CANDIDATES;
    double jitter, logdet;
    hpt__rng rng;
    memset(b, 0, sizeof *b);
    b->n = n;
    b->d = d;
    b->p = d + 2;
    b->out_size = n * n > CANDIDATES * n ? n * n : CANDIDATES * n;
    if (b->out_size < CANDIDATES * (d + 2)) b->out_size = CANDIDATES * (d + 2);
    b->theta = calloc((size_t)b->p, sizeof(double));
    b->x = calloc((size_t)(all * d), sizeof(double));
    b->y = calloc((size_t)n, sizeof(double));
    b->out = calloc((size_t)b->out_size, sizeof(double));
    b->mask = calloc((size_t)all, sizeof(uint64_t));
    b->categorical = calloc((size_t)d, 1);
    b->block = calloc((size_t)d, sizeof(int32_t));
    b->index = calloc(BEST, sizeof(int64_t));
    if (!b->theta || !b->x || !b->y || !b->out || !b->mask || !b->categorical || !b->block || !b->index) return -1;
    hpt__rng_init(&rng, 1, 0);
    for (int64_t i = 0; i < all * d; i++) b->x[i] = hpt__rng_uniform(&rng);
    for (int64_t i = 0; i < all; i++) b->mask[i] = 1;
    for (int64_t i = 0; i < n; i++) b->y[i] = sin(5 * b->x[i * d]) + 0.1 * hpt__rng_normal(&rng);
    for (int64_t c = 0; c < d; c++) b->theta[c] = log(0.7);
    b->theta[b->p - 1] = log(noise);
    b->cov = (hpt__cov){HPT__COV_MATERN52, d, b->categorical, b->block, 1, 1, &BLOCK_0};
    int rc = hpt__device_open(&b->device, device, &options, NULL);
    if (rc >= 0) rc = hpt__model_create(&b->model, b->device, &b->cov, n);
    if (rc >= 0) rc = hpt__model_set_points(b->model, 0, b->x, b->mask, n);
    if (rc >= 0) rc = hpt__model_factor(b->model, b->theta, &jitter, &logdet);
    if (rc >= 0) rc = hpt__model_set_y(b->model, b->y, n);
    return rc;
}

// A case fills out; m as in the row. seconds: of the part that counts.
typedef int (*case_fn)(bench_model *b, int64_t m, double *seconds);

static const double *candidates(const bench_model *b) {
    return b->x + b->n * b->d;
}

static int build_case(bench_model *b, int64_t m, double *seconds) {
    (void)m;
    const double begin = surrogate_now();
    const int rc = hpt__cov_build(b->device, &b->cov, b->theta, b->x, b->mask, b->n, b->out, b->n);
    *seconds = surrogate_now() - begin;
    return rc;
}

static int cross_case(bench_model *b, int64_t m, double *seconds) {
    const double begin = surrogate_now();
    const int rc =
        hpt__cov_cross(b->device, &b->cov, b->theta, b->x, b->mask, b->n, candidates(b), b->mask, m, b->out, b->n);
    *seconds = surrogate_now() - begin;
    return rc;
}

// Weights of the new factor; what a device has queued for them is done on return, so that the next case does not wait for it.
static int settle(bench_model *b) {
    double var;
    int rc = hpt__model_set_y(b->model, b->y, b->n);
    if (rc >= 0) rc = hpt__model_posterior(b->model, candidates(b), b->mask, 1, NULL, &var, NULL, NULL);
    return rc;
}

static int factor_case(bench_model *b, int64_t m, double *seconds) {
    double jitter;
    (void)m;
    const double begin = surrogate_now();
    int rc = hpt__model_factor(b->model, b->theta, &jitter, b->out);
    *seconds = surrogate_now() - begin;
    return rc < 0 ? rc : settle(b);
}

static int mll_case(bench_model *b, int64_t m, double *seconds) {
    (void)m;
    const double begin = surrogate_now();
    const int rc = hpt__model_mll(b->model, b->theta, b->y, b->n, b->out, b->out + 1);
    *seconds = surrogate_now() - begin;
    return rc;
}

static int append_case(bench_model *b, int64_t k, double *seconds) {
    const int64_t at = b->n - k;
    int rc = hpt__model_set_points(b->model, at, b->x + at * b->d, b->mask + at, k);
    const double begin = surrogate_now();
    if (rc >= 0) rc = hpt__model_append(b->model, b->out);
    *seconds = surrogate_now() - begin;
    return rc < 0 ? rc : settle(b);
}

static int posterior_case(bench_model *b, int64_t m, double *seconds) {
    const double begin = surrogate_now();
    const int rc = hpt__model_posterior(b->model, candidates(b), b->mask, m, b->out, b->out + m, NULL, NULL);
    *seconds = surrogate_now() - begin;
    return rc;
}

static const hpt__acq ACQUISITION = {.kind = HPT__ACQ_LOGEI, .best = -0.5};

static int acquire_case(bench_model *b, int64_t m, double *seconds) {
    const double begin = surrogate_now();
    const int rc = hpt__model_acquire(b->model, &ACQUISITION, candidates(b), b->mask, m, b->out, b->out + m);
    *seconds = surrogate_now() - begin;
    return rc;
}

static int screen_case(bench_model *b, int64_t m, double *seconds) {
    const double begin = surrogate_now();
    const int rc = hpt__model_screen(b->model, &ACQUISITION, candidates(b), b->mask, m, BEST, b->index, b->out);
    *seconds = surrogate_now() - begin;
    return rc;
}

#ifdef HPT_HAVE_CPU_BACKEND
// What backend `cpu` makes of its BLAS, without the covariances: the Cholesky factor and V'V for n x m numbers V.

static int make_square(bench_model *b) {
    if (!b->square) b->square = malloc((size_t)((b->n + CPU__BASE + CPU__PAD) * (b->n + CPU__PAD)) * sizeof(double));
    return b->square ? hpt__cov_build(b->device, &b->cov, b->theta, b->x, b->mask, b->n, b->out, b->n) : HPT_E_MEMORY;
}

static int cholesky_case(bench_model *b, int64_t m, double *seconds) {
    int rc = make_square(b);
    int64_t info = 0;
    const int64_t n = b->n, ld = n + CPU__PAD;
    (void)m;
    if (rc < 0) return rc;
    for (int64_t j = 0; j < n; j++) memcpy(b->square + j * ld, b->out + j * n, (size_t)n * sizeof(double));
    for (int64_t j = 0; j < n; j++) b->square[j * (ld + 1)] += exp(b->theta[b->p - 1]);
    cpu__blas_enter();
    const double begin = surrogate_now();
    rc = cpu__cholesky(b->device->ctx, b->square, ld, n, b->square + ld * n, &info);
    *seconds = surrogate_now() - begin;
    cpu__blas_leave();
    return info ? HPT_E_NUMERIC : rc;
}

static int product_case(bench_model *b, int64_t m, double *seconds) {
    int rc = make_square(b);
    if (rc < 0) return rc;
    memset(b->square, 0, (size_t)((b->n + CPU__PAD) * m) * sizeof(double));
    cpu__blas_enter();
    const double begin = surrogate_now();
    rc = cpu__subtract_gram(b->device->ctx, b->out, b->n, b->n, m, b->square, b->n + CPU__PAD);
    *seconds = surrogate_now() - begin;
    cpu__blas_leave();
    return rc;
}
#endif

static double difference(const double *a, const double *b, int64_t n) {
    double most = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return largest > 0 ? most / largest : most;
}

typedef struct bench_case {
    const char *name;
    case_fn run;
    int64_t m, numbers; // of out that are compared
    double flops, bytes;
} bench_case;

static int time_case(const surrogate_options *o, const ceilings *c, const char *device, bench_model *b,
                     bench_model *ref, const bench_case *k) {
    static double times[TIMES_MAX];
    surrogate_row row = {.name = k->name,
                         .device = device,
                         .n = b->n,
                         .d = b->d,
                         .m = k->m,
                         .flops = k->flops,
                         .bytes = k->bytes,
                         .error = NAN};
    double unused, total = 0;
    int64_t done = 0;
    int rc = k->run(b, k->m, &unused);
    if (rc >= 0 && ref) {
        rc = ref->device ? k->run(ref, k->m, &unused) : 0;
        row.error = difference(b->out, ref->out, k->numbers);
    }
    while (rc >= 0 && done < o->repeat && (done == 0 || total < SECONDS_PER_CASE)) {
        rc = k->run(b, k->m, &times[done]);
        total += times[done++];
    }
    if (rc < 0) return rc;
    surrogate_summarise(&row, times, done);
    row.memory = hpt__device_counters(b->device)->peak_bytes;
    surrogate_print(o, c, &row);
    return 0;
}

// The row in single precision, where an accelerator may screen in it: models of its own, with noise for which that is safe, on a
// device that is opened for it.
static int time_single(const surrogate_options *o, const ceilings *c, const char *device, bench_model *b,
                       bench_model *ref, const bench_case *in_double) {
    const int64_t n = b->n, d = b->d;
    const bool compare = ref->device != NULL;
    bench_case single = *in_double;
    single.name = "screen, single";
    fini(b);
    fini(ref);
    memset(ref, 0, sizeof *ref);
    setenv("HPT_CUDA_SCREEN", "single", 1); // read when a device is opened
    int rc = init(b, o, device, n, d, NOISE_SINGLE);
    unsetenv("HPT_CUDA_SCREEN");
    if (rc >= 0 && compare) rc = init(ref, o, "ref", n, d, NOISE_SINGLE);
    return rc < 0 ? rc : time_case(o, c, device, b, compare ? ref : NULL, &single);
}

int surrogate_cases(const surrogate_options *o, const ceilings *c, const char *device, int64_t n_, int64_t d_) {
    bench_model b, ref;
    const bool compare = n_ <= COMPARE_UP_TO && strcmp(device, "ref") != 0;
    memset(&ref, 0, sizeof ref);
    int rc = init(&b, o, device, n_, d_, NOISE);
    if (rc >= 0 && compare) rc = init(&ref, o, "ref", n_, d_, NOISE);
    const double n = (double)n_, d = (double)d_, entry = 2 * d + 80, m = CANDIDATES, s = SEARCHES;
    const int64_t several = n_ > 64 ? 32 : n_ / 2;
    // Asks fetch no matrix: of a GPU most of the time of these two is the way to the host.
    const bool fetched = rc >= 0 && !hpt__device_is_host(b.device);
    const bench_case cases[] = {
        {fetched ? "covariance, fetched" : "covariance", build_case, 0, n_ * n_, n * n / 2 * entry, 4 * n * n},
        {fetched ? "cross covariance, fetched" : "cross covariance", cross_case, CANDIDATES, n_ * CANDIDATES,
         n * m * entry, 8 * n * m},
        {"factor", factor_case, 0, 1, n * n * n / 3, 8 * n * n},
        {"likelihood, gradient", mll_case, 0, d_ + 3, n * n * n, 16 * n * n},
        {"append", append_case, 1, 1, n * n, 4 * n * n},
        {"append", append_case, several, 1, (double)several * n * n, 4 * n * n},
        {"posterior", posterior_case, CANDIDATES, 2 * CANDIDATES, n * n * m + n * m * entry, 4 * n * n},
        {"acquisition, gradient", acquire_case, SEARCHES, SEARCHES * (d_ + 1), 2 * n * n * s, 8 * n * n},
        {"screen", screen_case, CANDIDATES, BEST, n * n * m + n * m * entry, 4 * n * n},
    };
    for (size_t i = 0; rc >= 0 && i < sizeof cases / sizeof cases[0]; i++)
        rc = time_case(o, c, device, &b, compare ? &ref : NULL, &cases[i]);
    if (rc >= 0 && !hpt__device_is_host(b.device))
        rc = time_single(o, c, device, &b, &ref, &cases[sizeof cases / sizeof cases[0] - 1]);
#ifdef HPT_HAVE_CPU_BACKEND
    const int64_t columns = n_ < COLUMNS ? n_ : COLUMNS;
    const bench_case own[] = {
        {"Cholesky", cholesky_case, 0, 0, n * n * n / 3, 8 * n * n},
        {"symmetric product", product_case, columns, 0, n * (double)columns * (double)columns, 8 * n * (double)columns},
    };
    for (size_t i = 0; rc >= 0 && !strcmp(device, "cpu") && i < sizeof own / sizeof own[0]; i++)
        rc = time_case(o, c, device, &b, NULL, &own[i]);
#endif
    if (rc < 0) fprintf(stderr, "hpt-bench: %s: n = %lld: %s\n", device, (long long)n_, hpt_last_error());
    fini(&b);
    fini(&ref);
    return rc < 0 ? 1 : 0;
}
