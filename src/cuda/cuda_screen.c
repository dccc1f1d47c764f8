// SPDX-License-Identifier: Apache-2.0
// cuda_screen.c: the k best of m candidates by an acquisition, in double precision, and faster where single precision finds the
// same. Kernels: cuda_predict.cu, and cuda_cross_single of cuda_cov.cu.
//
// In double: values of all (cuda_predict.c), ordered on the device; n^2 m flops. On GPUs whose double rate is a 32nd or a 64th of their
// single one (GeForce, L4, L40S) nearly all of an ask's time. There single precision throws out what cannot be among the best:
//
//   V = fl(M) fl(K) by cublasStrmm (n x m), sums in double -> mean_j, var_j, and of each candidate two bounds
//   upper_j, lower_j = acquisition(mean_j -+ e_j, var_j +- f_j),   e_j = 6 u |k_j o alpha|,  f_j = 8 u s^2 |v_j| / sigma
//   the R = max(256, 4 k) with the largest upper bounds are scored again in double; the k best of them are the answer if
//     all of the R lie within their bounds, and the last of the k lies above the smallest upper bound of the R,
//   which those that were thrown out do not exceed. Otherwise all are scored in double.
//
// u = 2^-24; s^2: the sum of the amplitudes; sigma^2: noise and jitter. Acquisitions fall with the mean and rise with the variance.
// So the answer is what double precision gives as long as the errors are within e and f:
//   mean  entries of K are computed in double and rounded once, so errors are independent: at most 1.8 u |k o alpha| was measured
//   var   a row of M has a norm of 1 / sigma at most, so an entry of V errs by a few u s^2 / sigma whatever n is, and var by a few times
//         2 |v| that (N. J. Higham, T. Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019): at
//         most 2.9 u s^2 |v| / sigma was measured (OpenBLAS and one running sum, n = 200 to 3,000, d = 2 to 8, half of the points in a
//         cluster or none, noise 1e-4 to 1e-1, l = 0.1 to 10)
// Why lower bounds: the candidates that are scored again are those whose errors are upwards. A library that computes more coarsely than
// it was asked to (TF32 by an override: 5e-4) shows in the lower ones.
// Guard: sigma^2 >= max(1e-3, 0.4 n u) s^2. A factor in single precision fails below (0.1 to 0.4) n u s^2, and below 1e-3 s^2 the error of
// a variance near data reaches the variance (both measured): bounds would then throw out little.
// The rounded copy of M (4 n^2 bytes, one a context) is made when it is first wanted; rows are added as they come. It is given up where
// memory is short, and without room for it all is done in double.
// Cost: n^2 m flops in single precision and n^2 R in double, with n m covariances in double. Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATIO = 8, ROWS = 512 }; // single rate to double rate, and rows of the factor, from which single precision pays
static const double SINGLE_ROUNDOFF = 0x1p-24, MEAN_ERRORS = 6, VAR_ERRORS = 8, NOISE_MIN = 1e-3, NOISE_OF_POINT = 0.4;

int cuda__screening_set(cuda__ctx *c) {
    const char *asked = getenv("HPT_CUDA_SCREEN");
    int rc = HPT_OK, ratio = 0;
    if (!asked || !asked[0] || strcmp(asked, "auto") == 0) {
        CUDA__DRIVE(c,
                    cuDeviceGetAttribute(&ratio, CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, c->device));
        c->screening = ratio >= RATIO ? CUDA__SCREEN_WORTH : CUDA__SCREEN_DOUBLE;
        goto out;
    }
    const bool single = strcmp(asked, "single") == 0;
    HPT_FAIL_IF(!single && strcmp(asked, "double") != 0, HPT_E_ARG,
                "HPT_CUDA_SCREEN: no precision '%.32s'; one of auto, double, single", asked);
    c->screening = single ? CUDA__SCREEN_SINGLE : CUDA__SCREEN_DOUBLE;
out:
    return rc;
}

// ---- the best of what has values on the device

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_rank(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

// More than half a block's values are wanted: on the host.
static int choose_here(const cuda__prediction *p, int64_t k, int64_t *index, double *value) {
    const int64_t m = p->n_z;
    int rc = HPT_OK;
    double *all = hpt__malloc((size_t)m * sizeof *all);
    ranked *order = hpt__malloc((size_t)m * sizeof *order);
    if (!all || !order) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(cuda__download(p->m->ctx, all, (CUdeviceptr)(uintptr_t)p->value, 8 * m));
    for (int64_t j = 0; j < m; j++) order[j] = (ranked){all[j], j};
    qsort(order, (size_t)m, sizeof *order, by_rank);
    for (int64_t j = 0; j < k; j++) {
        index[j] = order[j].index;
        value[j] = order[j].value;
    }
out:
    hpt__free(all);
    hpt__free(order);
    return rc;
}

// Rounds of cuda_top, each leaving k of every CUDA__SORT values, between two places of `room` numbers and indices.
static int choose(const cuda__prediction *p, int64_t k, int64_t *index, double *value) {
    cuda__ctx *c = p->m->ctx;
    const int64_t room = (p->n_z + CUDA__SORT - 1) / CUDA__SORT * k;
    double *best[2] = {p->after, p->after + room};
    int64_t *best_index[2] = {(int64_t *)(void *)(p->after + 2 * room), (int64_t *)(void *)(p->after + 3 * room)};
    const double *from = p->value;
    const int64_t *from_index = NULL;
    int64_t left = p->n_z;
    int rc = HPT_OK;
    for (int turn = 0;; turn = !turn) {
        const int64_t blocks = (left + CUDA__SORT - 1) / CUDA__SORT;
        HPT_TRY(cuda__launch_cuda_top(c, blocks, 1,
                                      &(cuda__top_args){.value = from,
                                                        .index = from_index,
                                                        .best = best[turn],
                                                        .best_index = best_index[turn],
                                                        .m = left,
                                                        .k = k}));
        from = best[turn];
        from_index = best_index[turn];
        left = blocks * k;
        if (blocks == 1) break;
    }
    HPT_TRY(cuda__download(c, value, (CUdeviceptr)(uintptr_t)from, 8 * k));
    HPT_TRY(cuda__download(c, index, (CUdeviceptr)(uintptr_t)from_index, 8 * k));
out:
    return rc;
}

static int64_t choice_bytes(int64_t m, int64_t k) { // behind a prediction's results
    return 8 * 4 * ((m + CUDA__SORT - 1) / CUDA__SORT * k);
}

static int best(const cuda__prediction *p, int64_t k, int64_t *index, double *value) {
    return k > CUDA__SORT / 2 ? choose_here(p, k, index, value) : choose(p, k, index, value);
}

static int screen_double(cuda__model *m, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n_z,
                         int64_t k, int64_t *index, double *value) {
    cuda__prediction p = cuda__prediction_of(m, acq, n_z, false);
    int rc = HPT_OK;
    HPT_TRY(cuda__predict_begin(&p, z, zmask, choice_bytes(n_z, k)));
    HPT_TRY(cuda__predict(&p));
    HPT_TRY(best(&p, k, index, value));
out:
    return rc;
}

// ---- in single precision

static float *floats(CUdeviceptr at) {
    return (float *)(uintptr_t)at;
}

// How many are scored again; 0: all are, single precision is not safe or gains nothing.
static int64_t scored_again(const cuda__model *m, const hpt__acq *acq, int64_t n_z, int64_t k) {
    const cuda__screening screening = m->ctx->screening;
    const int64_t again = 4 * k > CUDA__AGAIN ? 4 * k : CUDA__AGAIN;
    const bool needs_var = acq->kind != HPT__ACQ_MEAN; // without it there is no product of matrices
    const bool rises = acq->beta >= 0 || (acq->kind != HPT__ACQ_LCB && acq->kind != HPT__ACQ_PE);
    const double least = fmax(NOISE_MIN, NOISE_OF_POINT * SINGLE_ROUNDOFF * (double)m->rows);
    if (screening == CUDA__SCREEN_DOUBLE || !needs_var || !rises || again >= n_z) return 0;
    if (!(m->fit.noise + m->jitter >= least * m->fit.variance)) return 0;
    if (screening == CUDA__SCREEN_WORTH && (4 * again > n_z || m->rows < ROWS)) return 0;
    return again;
}

static int need_single(cuda__model *m) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    const int64_t n = m->rows, ld = m->ld, bytes = 4 * ld * ld;
    if (c->single.bytes < bytes) {
        c->single_of = NULL;
        HPT_TRY(cuda__reserve(c, &c->single, bytes, "candidates in single precision"));
        HPT_TRY(cuda__zero(c, c->single.at, bytes)); // of tiles on the diagonal a library may load both halves
    }
    const int64_t first = c->single_of == m ? m->single_rows : 0;
    c->single_of = m;
    m->single_rows = 0;
    HPT_TRY(cuda__launch_cuda_single(
        c, (n - first + CUDA__THREADS - 1) / CUDA__THREADS, (n + CUDA__WARP - 1) / CUDA__WARP,
        &(cuda__single_args){
            .from = cuda__doubles(m->inverse.at), .to = floats(c->single.at), .first = first, .n = n, .ld = ld}));
    m->single_rows = n;
out:
    return rc;
}

// Bounds of candidates from .. from + width - 1: the upper ones as their values, the lower ones as by_mean.
static int bound_strip(const cuda__prediction *p, int64_t from, int64_t width) {
    static const float one = 1;
    const cuda__model *m = p->m;
    cuda__ctx *c = m->ctx;
    const int64_t n = m->rows;
    float *k = floats(c->strips[0].at), *v = floats(c->strips[1].at);
    const cuda__points z = cuda__points_of(&m->candidates, from, width);
    int rc = HPT_OK;
    HPT_TRY(cuda__launch_cuda_cross_single(
        c, (n + CUDA__TILE - 1) / CUDA__TILE, (width + CUDA__TILE - 1) / CUDA__TILE,
        &(cuda__cross_single_args){
            .cov = m->fit.dev, .x = cuda__points_of(&m->points, 0, n), .z = z, .k = k, .ldk = n}));
    CUDA__BLAS(c, cublasStrmm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                                    CUBLAS_DIAG_NON_UNIT, n, width, &one, floats(c->single.at), m->ld, k, n, v, n));
    HPT_TRY(cuda__launch_cuda_bounds(c, width, 1,
                                     &(cuda__bounds_args){.cov = m->fit.dev,
                                                          .z = z,
                                                          .k = p->n_mean ? k : NULL,
                                                          .v = v,
                                                          .alpha = cuda__doubles(m->alpha.at),
                                                          .n_k = p->n_mean,
                                                          .n_v = n,
                                                          .ld = n,
                                                          .mean_error = MEAN_ERRORS * SINGLE_ROUNDOFF,
                                                          .var_error = VAR_ERRORS * SINGLE_ROUNDOFF * m->fit.variance /
                                                                       sqrt(m->fit.noise + m->jitter),
                                                          .acq = *p->acq,
                                                          .upper = p->value + from,
                                                          .lower = p->by_mean + from}));
out:
    return rc;
}

static int bound(const cuda__prediction *p) {
    cuda__ctx *c = p->m->ctx;
    const int64_t n = p->m->rows, width = cuda__strip_width(n, p->n_z);
    int rc = HPT_OK;
    HPT_TRY(cuda__need_inverse(p->m));
    for (int i = 0; i < 2; i++) HPT_TRY(cuda__reserve(c, &c->strips[i], 4 * n * width, "covariances of candidates"));
    HPT_TRY(need_single(p->m)); // last: what needs room takes it from this
    for (int64_t from = 0; from < p->n_z; from += width)
        HPT_TRY(bound_strip(p, from, p->n_z - from < width ? p->n_z - from : width));
out:
    return rc;
}

typedef struct twice {         // n candidates that are scored again, best upper bound first
    double *z, *upper, *value; // n x d; n
    double *lower;             // of all n_z candidates
    int64_t *index;
    uint64_t *zmask;
    ranked *order;
} twice;

static void twice_fini(twice *t) {
    hpt__free(t->z);
    hpt__free(t->index);
    hpt__free(t->zmask);
    hpt__free(t->order);
}

static int twice_init(twice *t, int64_t n, int64_t n_z, int64_t d) {
    *t = (twice){.z = hpt__malloc((size_t)(n * (d + 2) + n_z) * sizeof *t->z),
                 .index = hpt__malloc((size_t)n * sizeof *t->index),
                 .zmask = hpt__malloc((size_t)n * sizeof *t->zmask),
                 .order = hpt__malloc((size_t)n * sizeof *t->order)};
    if (!t->z || !t->index || !t->zmask || !t->order) return hpt__fail_memory();
    t->upper = t->z + n * d;
    t->value = t->upper + n;
    t->lower = t->value + n;
    return HPT_OK;
}

// HPT_S_NOTHING: the bounds do not decide.
static int screen_single(cuda__model *m, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n_z,
                         int64_t k, int64_t again, int64_t *index, double *value) {
    const int64_t d = m->cov->d;
    cuda__prediction all = cuda__prediction_of(m, acq, n_z, false), few = cuda__prediction_of(m, acq, again, false);
    twice t;
    int rc = HPT_OK;
    HPT_TRY(twice_init(&t, again, n_z, d));
    HPT_TRY(cuda__predict_begin(&all, z, zmask, choice_bytes(n_z, again)));
    HPT_TRY(bound(&all));
    HPT_TRY(best(&all, again, t.index, t.upper));
    HPT_TRY(cuda__download(m->ctx, t.lower, (CUdeviceptr)(uintptr_t)all.by_mean, 8 * n_z));
    for (int64_t i = 0; i < again; i++) {
        memcpy(t.z + i * d, z + t.index[i] * d, (size_t)d * sizeof *z);
        t.zmask[i] = zmask[t.index[i]];
    }
    HPT_TRY(cuda__predict_begin(&few, t.z, t.zmask, 0));
    HPT_TRY(cuda__predict(&few));
    HPT_TRY(cuda__download(m->ctx, t.value, (CUdeviceptr)(uintptr_t)few.value, 8 * again));
    bool decided = true;
    for (int64_t i = 0; i < again; i++) {
        decided = decided && t.value[i] <= t.upper[i] && t.value[i] >= t.lower[t.index[i]];
        t.order[i] = (ranked){t.value[i], t.index[i]};
    }
    qsort(t.order, (size_t)again, sizeof *t.order, by_rank);
    if (!decided || !(t.order[k - 1].value > t.upper[again - 1])) {
        rc = HPT_S_NOTHING;
        goto out;
    }
    for (int64_t i = 0; i < k; i++) {
        index[i] = t.order[i].index;
        value[i] = t.order[i].value;
    }
out:
    twice_fini(&t);
    return rc;
}

int cuda__screen(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n_z, int64_t k,
                 int64_t *index, double *value) {
    cuda__model *m = model;
    int rc = HPT_OK;
    if (n_z == 0 || k == 0) return HPT_OK;
    rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    const int64_t again = scored_again(m, acq, n_z, k);
    rc = again ? screen_single(m, acq, z, zmask, n_z, k, again, index, value) : HPT_S_NOTHING;
    if (rc == HPT_S_NOTHING || rc == HPT_E_MEMORY) rc = screen_double(m, acq, z, zmask, n_z, k, index, value);
    cuda__leave(m->ctx);
    return rc;
}
