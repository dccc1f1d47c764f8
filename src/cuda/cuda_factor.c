// SPDX-License-Identifier: Apache-2.0
// cuda_factor.c: covariance matrices, Cholesky factor and its inverse, appends, weights.
//
//   A = K + (noise + jitter) I = L L' (Xpotrf),  M = L^-1 (cuda_invert.c), both lower, with a leading dimension of the model's room
//   append of k rows:  V = M K_old,new (n x k);  L_21 = V';  L_22 L_22' = K_22 + (noise + jitter) I - V'V
//                      M_22 = L_22^-1;  M_21 = -M_22 L_21 M_11            2 n^2 k + n k^2 flops, 8 n^2 bytes read
//   weights:  w = M' (M y)
//
// Why M is kept: every posterior is then a product, which fills a GPU from the first column on, where a triangular solve of a few
// columns waits for one row after the other; its variance is as accurate as the solve's (A^-1 would lose half of the digits).
// M is made when it is first needed: a fit evaluates likelihoods only.
// L'L of a triangle by halves, in place (the libraries have none with 64-bit sizes):
//   [L11 0; L21 L22]:  A11 = L11'L11 + L21'L21,  A21 = L22'L21,  A22 = L22'L22;  the smallest by a kernel.  n^3/3 flops
// A failed append leaves rows and M's rows as they were: what was written lies past them.
// Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <string.h>

static const double one = 1, minus_one = -1;

int cuda__fill_lower(cuda__ctx *c, const cuda__kernel *kernel, cuda__points x, double diagonal, double *k,
                     int64_t ldk) {
    const int64_t side = (x.n + CUDA__TILE - 1) / CUDA__TILE;
    return cuda__launch_cuda_lower(
        c, side * (side + 1) / 2, 1,
        &(cuda__lower_args){.cov = kernel->dev, .x = x, .diagonal = diagonal, .k = k, .ldk = ldk});
}

int cuda__fill_cross(cuda__ctx *c, const cuda__kernel *kernel, cuda__points x, cuda__points z, double *k, int64_t ldk) {
    return cuda__launch_cuda_cross(c, (x.n + CUDA__TILE - 1) / CUDA__TILE, (z.n + CUDA__TILE - 1) / CUDA__TILE,
                                   &(cuda__cross_args){.cov = kernel->dev, .x = x, .z = z, .k = k, .ldk = ldk});
}

int cuda__copy(cuda__ctx *c, double *to, int64_t ldt, const double *from, int64_t ldf, int64_t n, int64_t m,
               double scale, bool transposed, bool lower) {
    return cuda__launch_cuda_copy(c, (n + 31) / 32, (m + 31) / 32,
                                  &(cuda__copy_args){.from = from,
                                                     .to = to,
                                                     .n = n,
                                                     .m = m,
                                                     .ldf = ldf,
                                                     .ldt = ldt,
                                                     .scale = scale,
                                                     .transposed = transposed,
                                                     .lower = lower});
}

// ---- cuSOLVER's workspaces

static int reserve_solver(cuda__ctx *c, size_t on_device, size_t on_host) {
    int rc = HPT_OK;
    HPT_TRY(cuda__reserve(c, &c->solver_device, (int64_t)on_device, "workspace of cuSOLVER"));
    if (on_host > c->solver_host_bytes) {
        CUDA__DRIVE(c, cuStreamSynchronize(c->stream)); // what is queued may still use the old one
        hpt__free(c->solver_host);
        c->solver_host_bytes = 0;
        c->solver_host = hpt__malloc(on_host);
        if (!c->solver_host) return hpt__fail_memory();
        c->solver_host_bytes = on_host;
    }
out:
    return rc;
}

int cuda__cholesky(cuda__ctx *c, double *a, int64_t lda, int64_t n, int *info) {
    int rc = HPT_OK;
    size_t on_device = 0, on_host = 0;
    CUDA__SOLVE(c, cusolverDnXpotrf_bufferSize(c->solver, c->params, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, a, lda,
                                               CUDA_R_64F, &on_device, &on_host));
    HPT_TRY(reserve_solver(c, on_device, on_host));
    CUDA__SOLVE(c, cusolverDnXpotrf(c->solver, c->params, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, a, lda, CUDA_R_64F,
                                    (void *)(uintptr_t)c->solver_device.at, on_device, c->solver_host, on_host, info));
out:
    return rc;
}

int cuda__gram_triangle(cuda__ctx *c, double *a, int64_t lda, int64_t n) {
    int rc = HPT_OK;
    if (n <= CUDA__SMALL)
        return cuda__launch_cuda_small_lauum(c, 1, 1, &(cuda__small_lauum_args){.a = a, .n = n, .lda = lda});
    const int64_t half = cuda__round((n + 1) / 2, CUDA__SMALL), rest = n - half;
    double *below = a + half, *corner = below + half * lda;
    HPT_TRY(cuda__gram_triangle(c, a, lda, half));
    CUDA__BLAS(
        c, cublasDsyrk_v2_64(c->blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, half, rest, &one, below, lda, &one, a, lda));
    CUDA__BLAS(c, cublasDtrmm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T,
                                    CUBLAS_DIAG_NON_UNIT, rest, half, &one, corner, lda, below, lda, below, lda));
    HPT_TRY(cuda__gram_triangle(c, corner, lda, rest));
out:
    return rc;
}

// ---- the model's factor

// c->small during these operations: log-determinant and a sum of squares (2 numbers), then info.
enum { RESULT_BYTES = 2 * 8 + 4 };
typedef struct result {
    double logdet, squares;
    int info;
} result;

static int *info_of(const cuda__ctx *c) {
    return (int *)(uintptr_t)(c->small.at + 2 * 8);
}

// Log-determinant of the factor's first n rows, and info, to the host.
static int collect(cuda__ctx *c, const double *l, int64_t ldl, int64_t n, result *out) {
    int rc = HPT_OK;
    HPT_TRY(cuda__launch_cuda_logdet(
        c, 1, 1, &(cuda__logdet_args){.a = l, .out = cuda__doubles(c->small.at), .n = n, .lda = ldl}));
    HPT_TRY(cuda__download(c, out, c->small.at, RESULT_BYTES));
out:
    return rc;
}

static int start_results(cuda__ctx *c) {
    int rc = HPT_OK;
    HPT_TRY(cuda__reserve(c, &c->small, RESULT_BYTES, "results"));
    HPT_TRY(cuda__zero(c, c->small.at, RESULT_BYTES));
out:
    return rc;
}

// Room for a factor of all points and for its inverse, the rows there are kept.
static int grow_factor(cuda__model *m) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    const int64_t ld = m->points.ld, bytes = 8 * ld * ld;
    if (m->ld == ld) return HPT_OK;
    m->single_rows = 0;
    HPT_TRY(cuda__reserve_kept(c, &m->alpha, 8 * ld, 1, 8 * m->n_y, 8 * ld, 8 * ld, "weights of a model"));
    if (m->rows == 0) {
        m->ld = m->inverse_rows = 0;
        HPT_TRY(cuda__reserve(c, &m->factor, bytes, "factor of a model"));
        HPT_TRY(cuda__reserve(c, &m->inverse, bytes, "inverse factor of a model"));
        HPT_TRY(
            cuda__zero(c, m->factor.at, bytes)); // the half that is not written is copied when there is need to grow
        HPT_TRY(cuda__zero(c, m->inverse.at, bytes));
    } else {
        const int64_t rows = m->rows, inverse_rows = m->inverse_rows;
        // Both distances change at once or not at all: M first, which can be made again.
        m->inverse_rows = 0;
        HPT_TRY(cuda__reserve_kept(c, &m->inverse, bytes, inverse_rows, 8 * inverse_rows, 8 * m->ld, 8 * ld,
                                   "inverse factor of a model"));
        HPT_TRY(cuda__reserve_kept(c, &m->factor, bytes, rows, 8 * rows, 8 * m->ld, 8 * ld, "factor of a model"));
        m->inverse_rows = inverse_rows;
    }
    m->ld = ld;
out:
    return rc;
}

int cuda__need_inverse(cuda__model *m) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    if (m->inverse_rows == m->rows) return HPT_OK;
    m->single_rows = 0;
    double *inverse = cuda__doubles(m->inverse.at);
    HPT_TRY(cuda__copy(c, inverse, m->ld, cuda__doubles(m->factor.at), m->ld, m->rows, m->rows, 1, false, true));
    HPT_TRY(cuda__invert_triangle(c, inverse, m->ld, m->rows));
    m->inverse_rows = m->rows;
out:
    return rc;
}

static int factor(cuda__model *m, const double *theta, double jitter, double *logdet, int64_t *info) {
    cuda__ctx *c = m->ctx;
    const int64_t n = m->points.n;
    result got;
    int rc = HPT_OK;
    m->rows = m->inverse_rows = m->n_y = 0;
    HPT_TRY(grow_factor(m));
    HPT_TRY(cuda__kernel_set(c, &m->fit, m->cov, &m->sorting, theta));
    HPT_TRY(start_results(c));
    double *l = cuda__doubles(m->factor.at);
    HPT_TRY(cuda__fill_lower(c, &m->fit, cuda__points_of(&m->points, 0, n), m->fit.noise + jitter, l, m->ld));
    HPT_TRY(cuda__cholesky(c, l, m->ld, n, info_of(c)));
    HPT_TRY(collect(c, l, m->ld, n, &got));
    *info = got.info;
    if (got.info) goto out;
    *logdet = got.logdet;
    m->rows = n;
    m->jitter = jitter;
out:
    return rc;
}

int cuda__model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info) {
    cuda__model *m = model;
    int rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    rc = factor(m, theta, jitter, logdet, info);
    cuda__leave(m->ctx);
    return rc;
}

// Rows n .. n + k - 1 of factor and inverse, from V and M'V in the strips.
static int append_rows(cuda__model *m, int64_t n, int64_t k, double *v, double *s) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    const int64_t ld = m->ld;
    double *l = cuda__doubles(m->factor.at), *inverse = cuda__doubles(m->inverse.at);
    double *below = l + n, *corner = l + n * (ld + 1), *m21 = inverse + n, *m22 = inverse + n * (ld + 1);
    HPT_TRY(cuda__fill_lower(c, &m->fit, cuda__points_of(&m->points, n, k), m->fit.noise + m->jitter, corner, ld));
    if (k == 1)
        return cuda__launch_cuda_append_row(
            c, 1, 1,
            &(cuda__append_row_args){
                .v = v, .u = s, .factor = below, .inverse = m21, .info = info_of(c), .n = n, .ld = ld});
    HPT_TRY(cuda__copy(c, below, ld, v, n, n, k, 1, true, false));
    CUDA__BLAS(
        c, cublasDsyrk_v2_64(c->blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, k, n, &minus_one, v, n, &one, corner, ld));
    HPT_TRY(cuda__cholesky(c, corner, ld, k, info_of(c)));
    HPT_TRY(cuda__copy(c, m21, ld, s, n, n, k, -1, true, false));
    HPT_TRY(cuda__copy(c, m22, ld, corner, ld, k, k, 1, false, true));
    HPT_TRY(cuda__invert_triangle(c, m22, ld, k));
    CUDA__BLAS(c, cublasDtrmm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                                    CUBLAS_DIAG_NON_UNIT, k, n, &one, m22, ld, m21, ld, m21, ld));
out:
    return rc;
}

static int append(cuda__model *m, double *logdet, int64_t *info) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    result got;
    HPT_TRY(grow_factor(m));
    const int64_t n = m->rows, k = m->points.n - n, ld = m->ld;
    const double *l = cuda__doubles(m->factor.at), *inverse = cuda__doubles(m->inverse.at);
    *info = 0;
    if (k > 0) HPT_TRY(cuda__need_inverse(m));
    HPT_TRY(start_results(c));
    if (k > 0) {
        // Strips: K_old,new and then M_11' V, V.
        HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * k, "rows to append"));
        HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * n * k, "rows to append"));
        double *s = cuda__doubles(c->strips[0].at), *v = cuda__doubles(c->strips[1].at);
        HPT_TRY(
            cuda__fill_cross(c, &m->fit, cuda__points_of(&m->points, 0, n), cuda__points_of(&m->points, n, k), s, n));
        HPT_TRY(cuda__triangle_times(c, false, inverse, ld, n, s, n, k, v, n));
        HPT_TRY(cuda__triangle_times(c, true, inverse, ld, n, v, n, k, s, n));
        HPT_TRY(append_rows(m, n, k, v, s));
    }
    HPT_TRY(collect(c, l, ld, n + k, &got));
    *info = got.info ? got.info + n : 0;
    if (*info) goto out;
    *logdet = got.logdet;
    m->rows = n + k;
    if (k > 0) m->inverse_rows = n + k;
out:
    return rc;
}

int cuda__model_append(void *model, double *logdet, int64_t *info) {
    cuda__model *m = model;
    int rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    rc = append(m, logdet, info);
    cuda__leave(m->ctx);
    return rc;
}

int cuda__model_set_y(void *model, const double *y, int64_t n) {
    cuda__model *m = model;
    cuda__ctx *c = m->ctx;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    double *alpha = cuda__doubles(m->alpha.at);
    const double *inverse = cuda__doubles(m->inverse.at);
    m->n_y = 0;
    HPT_TRY(cuda__need_inverse(m));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n, "values of a model"));
    HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * n, "values of a model"));
    double *values = cuda__doubles(c->strips[0].at), *v = cuda__doubles(c->strips[1].at);
    HPT_TRY(cuda__upload(c, c->strips[0].at, y, 8 * n));
    HPT_TRY(cuda__triangle_times(c, false, inverse, m->ld, n, values, n, 1, v, n));
    HPT_TRY(cuda__triangle_times(c, true, inverse, m->ld, n, v, n, 1, alpha, n));
    m->n_y = n;
out:
    cuda__leave(c);
    return rc;
}

int cuda__model_get_factor(const void *model, double *l, int64_t ldl) {
    const cuda__model *m = model;
    cuda__ctx *c = m->ctx;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__download_2d(c, l, 8 * ldl, m->factor.at, 8 * m->ld, 8 * m->rows, m->rows));
    for (int64_t j = 1; j < m->rows; j++)
        for (int64_t i = 0; i < j; i++) l[i + j * ldl] = 0;
out:
    cuda__leave(c);
    return rc;
}

int cuda__model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s) {
    cuda__model *m = model;
    cuda__ctx *c = m->ctx;
    const int64_t n = m->rows;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * s, "right-hand sides"));
    HPT_TRY(cuda__upload_2d(c, c->strips[0].at, 8 * n, b, 8 * ldb, 8 * n, s));
    CUDA__BLAS(c, cublasDtrsm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER,
                                    transposed ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT, n, s, &one,
                                    cuda__doubles(m->factor.at), m->ld, cuda__doubles(c->strips[0].at), n));
    HPT_TRY(cuda__download_2d(c, b, 8 * ldb, c->strips[0].at, 8 * n, 8 * n, s));
out:
    cuda__leave(c);
    return rc;
}

// ---- matrices for the host

typedef struct matrix_job { // a covariance, its hyperparameters and two sets of points, for one call
    cuda__sorting sorting;
    cuda__kernel kernel;
    cuda__set x, z;
} matrix_job;

static void job_fini(cuda__ctx *c, matrix_job *j) {
    cuda__buf *bufs[] = {&j->kernel.buf, &j->x.x, &j->x.mask, &j->z.x, &j->z.mask};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) cuda__release(c, bufs[i]);
    cuda__sorting_fini(&j->sorting);
}

static int job_init(cuda__ctx *c, matrix_job *j, const hpt__cov *cov, const double *theta, const double *x,
                    const uint64_t *xmask, int64_t n) {
    int rc = HPT_OK;
    HPT_TRY(cuda__sorting_init(&j->sorting, cov));
    HPT_TRY(cuda__kernel_set(c, &j->kernel, cov, &j->sorting, theta));
    HPT_TRY(cuda__set_reserve(c, &j->x, cov->d, n));
    HPT_TRY(cuda__set_write(c, &j->x, cov, &j->sorting, 0, x, xmask, n));
out:
    return rc;
}

int cuda__cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                    int64_t n, double *k, int64_t ldk) {
    cuda__ctx *c = ctx;
    matrix_job j = {.x = {.n = 0}};
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    double *whole = hpt__malloc((size_t)n * (size_t)n * sizeof *whole); // the part above k's diagonal is the caller's
    if (!whole) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(job_init(c, &j, cov, theta, x, mask, n));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * n, "a covariance"));
    HPT_TRY(cuda__zero(c, c->strips[0].at, 8 * n * n)); // all of it is fetched
    HPT_TRY(cuda__fill_lower(c, &j.kernel, cuda__points_of(&j.x, 0, n), 0, cuda__doubles(c->strips[0].at), n));
    HPT_TRY(cuda__download(c, whole, c->strips[0].at, 8 * n * n));
    for (int64_t i = 0; i < n; i++) memcpy(k + i * (ldk + 1), whole + i * (n + 1), (size_t)(n - i) * sizeof *k);
out:
    hpt__free(whole);
    job_fini(c, &j);
    cuda__leave(c);
    return rc;
}

int cuda__cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                    int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk) {
    cuda__ctx *c = ctx;
    matrix_job j = {.x = {.n = 0}};
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(job_init(c, &j, cov, theta, x, xmask, n));
    HPT_TRY(cuda__set_reserve(c, &j.z, cov->d, m));
    HPT_TRY(cuda__set_write(c, &j.z, cov, &j.sorting, 0, z, zmask, m));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * m, "a cross covariance"));
    HPT_TRY(cuda__fill_cross(c, &j.kernel, cuda__points_of(&j.x, 0, n), cuda__points_of(&j.z, 0, m),
                             cuda__doubles(c->strips[0].at), n));
    HPT_TRY(cuda__download_2d(c, k, 8 * ldk, c->strips[0].at, 8 * n, 8 * n, m));
out:
    job_fini(c, &j);
    cuda__leave(c);
    return rc;
}
