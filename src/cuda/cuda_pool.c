// SPDX-License-Identifier: Apache-2.0
// cuda_pool.c: candidates that stay on the device while points are appended (backend_impl.h: pool_set, pool_append).
//
//   V = M K(X, C) (rows x m, by candidates, with room for more rows); means and variances once
//   a row more, n:  k = K(p, C);  v_nj = (k_j - l'v_j) / l_pp with the factor's new row (l, l_pp);  var_j -= v_nj^2
//
// So V never crosses the bus, and of a batch's candidates only m variances do, for each of its points.
// Memory: 8 (rows + room) m bytes; where they are not there the set is refused and nothing else has changed.
// Threads: as its context.
#include "cuda_impl.h"

// V and moments of candidates from .. from + width - 1; moments: m variances, then m means.
static int fill(cuda__model *m, int64_t n_z, int64_t from, int64_t width) {
    cuda__ctx *c = m->ctx;
    const int64_t n = m->rows, n_y = m->n_y;
    double *k = cuda__doubles(c->strips[0].at), *v = cuda__doubles(m->pool.at) + from * m->pool_ld;
    double *var = cuda__doubles(m->pool_moments.at) + from, *mean = var + n_z;
    const cuda__points z = cuda__points_of(&m->staying, from, width);
    int rc = HPT_OK;
    HPT_TRY(cuda__fill_cross(c, &m->fit, cuda__points_of(&m->points, 0, n), z, k, n));
    HPT_TRY(cuda__triangle_times(c, false, cuda__doubles(m->inverse.at), m->ld, n, k, n, width, v, m->pool_ld));
    HPT_TRY(cuda__launch_cuda_moments(c, width, 1,
                                      &(cuda__moments_args){.cov = m->fit.dev,
                                                            .z = z,
                                                            .k = k,
                                                            .alpha = cuda__doubles(m->alpha.at),
                                                            .v = v,
                                                            .n_k = n_y,
                                                            .ldk = n,
                                                            .n_v = n,
                                                            .ldv = m->pool_ld,
                                                            .mean = mean,
                                                            .var = var}));
out:
    return rc;
}

static int set(cuda__model *m, const double *z, const uint64_t *zmask, int64_t n_z, double *mean, double *var) {
    cuda__ctx *c = m->ctx;
    int rc = HPT_OK;
    const int64_t n = m->rows, width = cuda__strip_width(n, n_z), ld = cuda__round(n + 1, CUDA__GROW);
    m->pool_rows = 0;
    HPT_TRY(cuda__need_inverse(m));
    HPT_TRY(cuda__reserve(c, &m->pool, 8 * ld * n_z, "candidates that stay"));
    m->pool_ld = ld;
    HPT_TRY(cuda__reserve(c, &m->pool_moments, 8 * 2 * n_z, "candidates that stay"));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * width, "covariances of candidates"));
    HPT_TRY(cuda__set_reserve(c, &m->staying, m->cov->d, n_z));
    HPT_TRY(cuda__set_write(c, &m->staying, m->cov, &m->sorting, 0, z, zmask, n_z));
    for (int64_t from = 0; from < n_z; from += width)
        HPT_TRY(fill(m, n_z, from, n_z - from < width ? n_z - from : width));
    HPT_TRY(cuda__download(c, var, m->pool_moments.at, 8 * n_z));
    HPT_TRY(cuda__download(c, mean, m->pool_moments.at + (CUdeviceptr)(8 * n_z), 8 * n_z));
    m->pool_rows = n;
out:
    return rc;
}

int cuda__pool_set(void *model, const double *z, const uint64_t *zmask, int64_t n_z, double *mean, double *var) {
    cuda__model *m = model;
    int rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    rc = set(m, z, zmask, n_z, mean, var);
    cuda__leave(m->ctx);
    return rc;
}

static int grow(cuda__model *m, int64_t n_z) {
    int rc = HPT_OK;
    const int64_t n = m->pool_rows, ld = cuda__round(m->pool_ld + m->pool_ld / 2, CUDA__GROW);
    if (n < m->pool_ld) return HPT_OK;
    HPT_TRY(
        cuda__reserve_kept(m->ctx, &m->pool, 8 * ld * n_z, n_z, 8 * n, 8 * m->pool_ld, 8 * ld, "candidates that stay"));
    m->pool_ld = ld;
out:
    return rc;
}

int cuda__pool_append(void *model, double *var) {
    cuda__model *m = model;
    cuda__ctx *c = m->ctx;
    const int64_t n = m->pool_rows, n_z = m->staying.n, ld = m->ld;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(grow(m, n_z));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n_z, "covariances of candidates"));
    HPT_TRY(cuda__reserve(c, &c->small, 8 * (n + 1), "a row of the factor"));
    double *k = cuda__doubles(c->strips[0].at), *l = cuda__doubles(c->small.at);
    HPT_TRY(
        cuda__fill_cross(c, &m->fit, cuda__points_of(&m->points, n, 1), cuda__points_of(&m->staying, 0, n_z), k, 1));
    HPT_TRY(cuda__copy(c, l, n + 1, cuda__doubles(m->factor.at) + n, ld, 1, n + 1, 1, true, false));
    HPT_TRY(cuda__launch_cuda_pool_row(c, n_z, 1,
                                       &(cuda__pool_row_args){.l = l,
                                                              .k = k,
                                                              .v = cuda__doubles(m->pool.at),
                                                              .var = cuda__doubles(m->pool_moments.at),
                                                              .n = n,
                                                              .ld = m->pool_ld}));
    HPT_TRY(cuda__download(c, var, m->pool_moments.at, 8 * n_z));
    m->pool_rows = n + 1;
out:
    cuda__leave(c);
    return rc;
}
