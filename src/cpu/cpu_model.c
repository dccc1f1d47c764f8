// SPDX-License-Identifier: Apache-2.0
// cpu_model.c: a model of backend `cpu`: points, factor and weights between the calls.
//
// The factor lies in a square of capacity: its leading dimension is the number of points there is room for (a multiple of
// 64, growing by half) and 8 more, so that an append moves nothing and neighbours in a row do not share a cache set (with
// 2048 a search step at n = 2000 took three times as long):
//   V = L^-1 K_old,new ;  L_new,old = V' ;  L_new,new = chol(K_new,new + noise - V'V)      n^2 k + n k^2 + k^3/3 flops
// A failed append leaves the factor as it was: the new rows are written last.
// Ownership: copies points and weights, borrows the covariance's description. Threads: as its context.
#include "cpu_impl.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <string.h>

int cpu__model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap) {
    int rc = HPT_OK;
    cpu__model *m = hpt__calloc(1, sizeof *m);
    if (!m) return hpt__fail_memory();
    m->ctx = ctx;
    m->cov = cov;
    m->cap = cpu__round(cap > 1 ? cap : 1, CPU__GROW);
    HPT_TRY(cpu__kernel_init(&m->fit, cov));
    m->lanes = hpt__calloc((size_t)m->ctx->n_threads, sizeof *m->lanes);
    if (!m->lanes) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(cpu__kernel_init(&m->lanes[0].kernel, cov));
    HPT_TRY(cpu__buf_reserve(m->ctx, &m->raw, m->cap * cov->d, "points of a model"));
    m->mask = hpt__malloc((size_t)m->cap * sizeof *m->mask);
    if (!m->mask) {
        rc = hpt__fail_memory();
        goto out;
    }
    *model = m;
    m = NULL;
out:
    cpu__model_destroy(m);
    return rc;
}

void cpu__model_destroy(void *model) {
    cpu__model *m = model;
    if (!m) return;
    cpu__buf *bufs[] = {&m->raw,  &m->factor, &m->inverses,   &m->alpha,
                        &m->work, &m->cross,  &m->points.buf, &m->candidates.buf};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) cpu__buf_free(m->ctx, bufs[i]);
    for (int64_t i = 0; m->lanes && i < m->ctx->n_threads; i++) cpu__lane_fini(m->ctx, &m->lanes[i]);
    hpt__free(m->lanes);
    cpu__kernel_fini(&m->fit);
    hpt__free(m->mask);
    hpt__free(m);
}

int64_t cpu__model_bytes(const void *model) {
    const cpu__model *m = model;
    int64_t numbers = m->raw.size + m->factor.size + m->inverses.size + m->alpha.size + m->work.size + m->cross.size +
                      m->points.buf.size + m->candidates.buf.size + m->cap;
    for (int64_t i = 0; i < m->ctx->n_threads; i++) numbers += cpu__lane_size(&m->lanes[i]);
    return 8 * numbers;
}

// Grows b to size, keeping the first `keep` of its columns of `rows` numbers, whose distance becomes ld.
static int grow_kept(cpu__ctx *c, cpu__buf *b, int64_t size, int64_t keep, int64_t rows, int64_t ld_old, int64_t ld) {
    cpu__buf fresh = {NULL, NULL, 0};
    const int rc = cpu__buf_reserve(c, &fresh, size, "factor of a model");
    if (rc < 0) return rc;
    for (int64_t j = 0; j < keep; j++) memcpy(fresh.data + j * ld, b->data + j * ld_old, (size_t)rows * sizeof(double));
    cpu__buf_free(c, b);
    *b = fresh;
    return HPT_OK;
}

// Room for n points, what there is stays.
static int grow_points(cpu__model *m, int64_t n) {
    if (n <= m->cap) return HPT_OK;
    int rc = HPT_OK;
    const int64_t half = m->cap + m->cap / 2, cap = cpu__round(n > half ? n : half, CPU__GROW), d = m->cov->d;
    uint64_t *mask = hpt__realloc(m->mask, (size_t)cap * sizeof *mask);
    if (!mask) return hpt__fail_memory();
    m->mask = mask;
    HPT_TRY(grow_kept(m->ctx, &m->raw, cap * d, m->n, d, d, d));
    m->cap = cap;
out:
    return rc;
}

// Room for a factor of all points, with its rows kept.
static int grow_factor(cpu__model *m) {
    if (m->factor.data && m->n <= m->ldl - CPU__PAD) return HPT_OK;
    const int64_t ld = m->cap + CPU__PAD;
    if (m->rows == 0) cpu__buf_free(m->ctx, &m->factor);
    int rc = HPT_OK;
    HPT_TRY(grow_kept(m->ctx, &m->inverses, CPU__BASE * m->cap, m->rows, CPU__BASE, CPU__BASE, CPU__BASE));
    HPT_TRY(grow_kept(m->ctx, &m->factor, ld * m->cap + CPU__PAD, m->rows, m->rows, m->ldl, ld));
    m->ldl = ld;
out:
    return rc;
}

static void cut_rows(cpu__model *m, int64_t n) {
    if (m->rows > n) m->rows = n;
    if (m->n_y > n) m->n_y = 0;
    if (m->points.n > m->rows) m->points.n = m->rows;
}

int cpu__model_set_points(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k) {
    cpu__model *m = model;
    int rc = HPT_OK;
    HPT_TRY(grow_points(m, at + k));
    cut_rows(m, at);
    memcpy(m->raw.data + at * m->cov->d, x, (size_t)(k * m->cov->d) * sizeof(double));
    memcpy(m->mask + at, mask, (size_t)k * sizeof *mask);
    m->n = at + k;
out:
    return rc;
}

int cpu__model_truncate(void *model, int64_t n) {
    cpu__model *m = model;
    cut_rows(m, n);
    if (m->n > n) m->n = n;
    return HPT_OK;
}

int64_t cpu__model_rows(const void *model) {
    return ((const cpu__model *)model)->rows;
}

int cpu__model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info) {
    cpu__model *m = model;
    cpu__ctx *c = m->ctx;
    int rc = HPT_OK;
    m->rows = m->n_y = m->points.n = 0;
    cpu__blas_enter();
    HPT_TRY(grow_factor(m));
    cpu__kernel_set(&m->fit, theta);
    m->jitter = jitter;
    HPT_TRY(cpu__points_reserve(c, &m->points, &m->fit, m->n, 0));
    cpu__points_set(&m->points, &m->fit, 0, m->raw.data, m->mask, m->n);
    HPT_TRY(cpu__fill_lower(c, &m->fit, &m->points, m->n, m->factor.data, m->ldl));
    for (int64_t i = 0; i < m->n; i++) m->factor.data[i * (m->ldl + 1)] += m->fit.noise + jitter;
    HPT_TRY(cpu__cholesky(c, m->factor.data, m->ldl, m->n, m->inverses.data, info));
    if (*info == 0) {
        m->rows = m->n;
        *logdet = cpu__logdet(m->factor.data, m->ldl, m->rows);
    }
out:
    cpu__blas_leave();
    return rc;
}

// The new rows of L from V (n x k, ldv), in blocks that stay in the cache.
static void put_rows(double *l, int64_t ldl, int64_t n, const double *v, int64_t ldv, int64_t k) {
    enum { BLOCK = 32 };
    for (int64_t i0 = 0; i0 < n; i0 += BLOCK) {
        const int64_t end = i0 + BLOCK < n ? i0 + BLOCK : n;
        for (int64_t q0 = 0; q0 < k; q0 += BLOCK) {
            const int64_t last = q0 + BLOCK < k ? q0 + BLOCK : k;
            for (int64_t i = i0; i < end; i++)
                for (int64_t q = q0; q < last; q++) l[n + q + i * ldl] = v[i + q * ldv];
        }
    }
}

int cpu__model_append(void *model, double *logdet, int64_t *info) {
    cpu__model *m = model;
    cpu__ctx *c = m->ctx;
    int rc = HPT_OK;
    *info = 0;
    cpu__blas_enter();
    const int64_t n = m->rows, k = m->n - n, ldv = cpu__round(n, CPU__LANES) + CPU__PAD, ldc = k + CPU__PAD;
    if (k > 0) {
        HPT_TRY(grow_factor(m));
        HPT_TRY(cpu__points_reserve(c, &m->points, &m->fit, m->n, n));
        cpu__points_set(&m->points, &m->fit, n, m->raw.data + n * m->cov->d, m->mask + n, k);
        m->points.n = n; // until the append has succeeded
        HPT_TRY(cpu__buf_reserve(c, &m->cross, ldv * k + ldc * k + CPU__PAD, "an append to a model"));
        HPT_TRY(cpu__buf_reserve(c, &m->work, CPU__BASE * k, "an append to a model"));
        double *v = m->cross.data, *corner = v + ldv * k;
        const cpu__points fresh = {
            .buf = {NULL, NULL, 0}, .x = m->points.x + n, .act = m->points.act + n, .ld = m->points.ld, .n = k};
        HPT_TRY(cpu__fill_cross(c, &m->fit, &m->points, n, &fresh, k, v, ldv));
        HPT_TRY(cpu__fill_lower(c, &m->fit, &fresh, k, corner, ldc));
        for (int64_t i = 0; i < k; i++) corner[i * (ldc + 1)] += m->fit.noise + m->jitter;
        HPT_TRY(cpu__solve(c, m->factor.data, m->ldl, n, m->inverses.data, false, v, ldv, k));
        HPT_TRY(cpu__subtract_gram(c, v, ldv, n, k, corner, ldc));
        HPT_TRY(cpu__cholesky(c, corner, ldc, k, m->work.data, info));
        if (*info) {
            *info += n;
            goto out;
        }
        put_rows(m->factor.data, m->ldl, n, v, ldv, k);
        for (int64_t q = 0; q < k; q++)
            memcpy(m->factor.data + n + q + (n + q) * m->ldl, corner + q * (ldc + 1), (size_t)(k - q) * sizeof(double));
        m->rows = m->points.n = m->n;
        cpu__invert_blocks(c, m->factor.data, m->ldl, n, m->n, m->inverses.data);
    }
    *logdet = cpu__logdet(m->factor.data, m->ldl, m->rows);
out:
    cpu__blas_leave();
    return rc;
}

int cpu__model_set_y(void *model, const double *y, int64_t n) {
    cpu__model *m = model;
    int rc = HPT_OK;
    m->n_y = 0;
    cpu__blas_enter();
    HPT_TRY(cpu__buf_reserve(m->ctx, &m->alpha, cpu__round(m->cap, CPU__LANES) + CPU__PAD, "weights of a model"));
    double *w = m->alpha.data;
    memcpy(w, y, (size_t)n * sizeof(double));
    HPT_TRY(cpu__solve(m->ctx, m->factor.data, m->ldl, n, m->inverses.data, false, w, n, 1));
    HPT_TRY(cpu__solve(m->ctx, m->factor.data, m->ldl, n, m->inverses.data, true, w, n, 1));
    for (int64_t i = n; i < cpu__round(n, CPU__LANES); i++) w[i] = 0;
    m->n_y = n;
out:
    cpu__blas_leave();
    return rc;
}

int cpu__model_get_factor(const void *model, double *l, int64_t ldl) {
    const cpu__model *m = model;
    for (int64_t j = 0; j < m->rows; j++) {
        memset(l + j * ldl, 0, (size_t)j * sizeof(double));
        memcpy(l + j * ldl + j, m->factor.data + j * (m->ldl + 1), (size_t)(m->rows - j) * sizeof(double));
    }
    return HPT_OK;
}

int cpu__model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s) {
    cpu__model *m = model;
    cpu__blas_enter();
    const int rc = cpu__solve(m->ctx, m->factor.data, m->ldl, m->rows, m->inverses.data, transposed, b, ldb, s);
    cpu__blas_leave();
    return rc;
}

// The BLAS counts in 32 bits.
bool cpu__supports(hpt__op op, const hpt__model_shape *shape) {
    (void)op;
    return shape->n < INT32_MAX / 2 && shape->m < INT32_MAX / 2 && shape->s < INT32_MAX / 2;
}

// Factor of capacity, the square of a likelihood with its diagonal blocks, points three times, workspace of 256 candidates. Several
// likelihoods at once take more, a few MB, and do without it where it is not to be had (cpu_mll.c).
int64_t cpu__need_bytes(const hpt__model_shape *shape) {
    const double n = (double)cpu__round(shape->n > 1 ? shape->n : 1, CPU__GROW), d = (double)shape->d,
                 t = (double)shape->n_terms;
    const double width = shape->m < 256 ? (double)shape->m : 256.0;
    const double numbers = 2 * n * n + ((double)cpu__diagonal_ld(shape->n > 1 ? shape->n : 1) + 2 * CPU__BASE) * n +
                           n * (3 * d + 2 * t + 8) + 2 * n * width + n * (double)shape->s + (double)shape->m * (d + t);
    const double bytes = 8 * numbers;
    return bytes < 9e18 ? (int64_t)bytes : INT64_MAX;
}
