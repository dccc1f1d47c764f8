// SPDX-License-Identifier: Apache-2.0
// cuda_mll.c: marginal likelihood with its gradient (formulas: backend_impl.h, cuda_mll.cu).
//
// With gradient:  K -> L (Xpotrf) -> M = L^-1 (cuda_invert.c);  v = M y, alpha = M' v;  M'M = A^-1, in a square of its own up to
// CUDA__APART points, where one product is fastest, else in M's place by halves;  one pass over A^-1 for all p sums.
// Without: L, and v by one triangular solve.
// Everything is queued; the host waits once, for p + 4 numbers. Where A is not positive definite, what follows
// computes nonsense that nobody reads.
// Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <math.h>
#include <string.h>

static const double one = 1, zero = 0;

// c->small: results (logdet, v'v, info in a number's room, gradient's sums p), v (n), alpha (n), partial sums.
typedef struct places {
    double *results, *sums, *v, *alpha, *partial;
    int *info;
    int64_t rows, p;
} places;

static int64_t tiles_of(int64_t n) {
    const int64_t side = (n + CUDA__SUM_TILE - 1) / CUDA__SUM_TILE;
    return side * (side + 1) / 2;
}

static int reserve(cuda__ctx *c, places *at, int64_t n, int64_t p) {
    int rc = HPT_OK;
    at->p = p;
    at->rows = tiles_of(n) < CUDA__SUM_ROWS ? tiles_of(n) : CUDA__SUM_ROWS;
    HPT_TRY(cuda__reserve(c, &c->small, 8 * (3 + p + 2 * n + at->rows * p), "sums of a likelihood"));
    at->results = cuda__doubles(c->small.at);
    at->info = (int *)(void *)(at->results + 2);
    at->sums = at->results + 3;
    at->v = at->sums + p;
    at->alpha = at->v + n;
    at->partial = at->alpha + n;
    HPT_TRY(cuda__zero(c, c->small.at, 8 * 3));
out:
    return rc;
}

static int queue(cuda__model *m, const places *at, double jitter, int64_t n, bool gradient) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    double *a = cuda__doubles(m->square.at);
    const int64_t lda = cuda__round(n, CUDA__GROW);
    const cuda__points x = cuda__points_of(&m->points, 0, n);
    HPT_TRY(cuda__fill_lower(c, &m->trial, x, m->trial.noise + jitter, a, lda));
    HPT_TRY(cuda__cholesky(c, a, lda, n, at->info));
    if (!gradient) {
        CUDA__BLAS(c, cublasDtrsm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                                        CUBLAS_DIAG_NON_UNIT, n, 1, &one, a, lda, at->v, n));
        HPT_TRY(cuda__launch_cuda_logdet(
            c, 1, 1, &(cuda__logdet_args){.a = a, .v = at->v, .out = at->results, .n = n, .lda = lda}));
        goto out;
    }
    // The log-determinant needs L's diagonal, which M replaces: its own is 1 / l_ii.
    HPT_TRY(cuda__copy(c, a, lda, a, lda, n, n, 1, false, true));
    HPT_TRY(cuda__invert_triangle(c, a, lda, n));
    HPT_TRY(cuda__triangle_times(c, false, a, lda, n, at->alpha, n, 1, at->v, n)); // y stands in alpha's place
    HPT_TRY(cuda__launch_cuda_logdet(c, 1, 1,
                                     &(cuda__logdet_args){.a = a, .v = at->v, .out = at->results, .n = n, .lda = lda}));
    HPT_TRY(cuda__triangle_times(c, true, a, lda, n, at->v, n, 1, at->alpha, n));
    double *inverse = n <= CUDA__APART ? cuda__doubles(m->gram.at) : a;
    if (inverse == a)
        HPT_TRY(cuda__gram_triangle(c, a, lda, n));
    else
        CUDA__BLAS(c, cublasDsyrk_v2_64(c->blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, n, n, &one, a, lda, &zero,
                                        inverse, lda));
    HPT_TRY(cuda__launch_cuda_slope_sums(c, at->rows, 1,
                                         &(cuda__slope_sums_args){.cov = m->trial.dev,
                                                                  .x = x,
                                                                  .alpha = at->alpha,
                                                                  .inverse = inverse,
                                                                  .ld = lda,
                                                                  .partial = at->partial,
                                                                  .p = at->p}));
    HPT_TRY(cuda__launch_cuda_add_rows(
        c, (at->p + CUDA__THREADS - 1) / CUDA__THREADS, 1,
        &(cuda__add_rows_args){.partial = at->partial, .out = at->sums, .rows = at->rows, .p = at->p}));
out:
    return rc;
}

int cuda__mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
              int64_t *info) {
    cuda__model *m = model;
    cuda__ctx *c = m->ctx;
    const int64_t p = hpt__cov_n_theta(m->cov), lda = cuda__round(n, CUDA__GROW);
    places at;
    double *got = NULL;
    int pivot; // that failed
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__reserve_zeroed(c, &m->square, 8 * lda * n, "matrix of a likelihood"));
    if (grad && n <= CUDA__APART) HPT_TRY(cuda__reserve(c, &m->gram, 8 * lda * n, "matrix of a likelihood"));
    HPT_TRY(cuda__kernel_set(c, &m->trial, m->cov, &m->sorting, theta));
    HPT_TRY(reserve(c, &at, n, p));
    HPT_TRY(cuda__upload(c, (CUdeviceptr)(uintptr_t)(grad ? at.alpha : at.v), y, 8 * n));
    HPT_TRY(queue(m, &at, jitter, n, grad != NULL));
    got = hpt__malloc((size_t)(3 + p) * sizeof *got);
    if (!got) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(cuda__download(c, got, c->small.at, 8 * (grad ? 3 + p : 3)));
    memcpy(&pivot, got + 2, sizeof pivot);
    *info = pivot;
    if (*info) goto out;
    const double logdet = grad ? -got[0] : got[0];
    *value = -0.5 * got[1] - 0.5 * logdet - 0.5 * (double)n * log(2 * 3.14159265358979323846);
    for (int64_t i = 0; grad && i < p; i++) grad[i] = 0.5 * got[3 + i] * (i == p - 1 ? m->trial.noise : 1);
out:
    hpt__free(got);
    cuda__leave(c);
    return rc;
}
