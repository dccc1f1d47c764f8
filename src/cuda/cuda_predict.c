// SPDX-License-Identifier: Apache-2.0
// cuda_predict.c: posterior moments, gradients and acquisition values of m candidates, joint posteriors.
//
//   strip of candidates:  K = K(x, z) (n x width) -> mean = K' alpha;  V = M K -> var = k(z, z) - column sums of V o V
//                         gradients: U = M' V into K's place, then one block per candidate and 8 columns (cuda_predict.cu)
// A strip is as wide as 256 MB of covariances allow, so that the m x n matrix never exists as a whole.
// Candidates go to the device once, results come back once; acquisition values are made there.
// Cost: n^2 m flops, twice that with gradients. Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <string.h>

static const double one = 1, minus_one = -1;

typedef cuda__prediction prediction;

// Few candidates make few blocks of cuda_slopes: the points are cut into parts of at least PART_ROWS until they fill a device.
enum { PART_ROWS = 512, PARTS_MAX = 16, BLOCKS_WANTED = 256 };
static void cut(prediction *p) {
    const int64_t n = p->n_mean > p->n_var ? p->n_mean : p->n_var, blocks = p->n_z * p->m->sorting.n_groups;
    int64_t parts = n / PART_ROWS < PARTS_MAX ? n / PART_ROWS : PARTS_MAX;
    if (parts > BLOCKS_WANTED / blocks) parts = BLOCKS_WANTED / blocks;
    p->part_rows = parts > 1 ? (n + parts - 1) / parts : n;
    p->n_parts = (n + p->part_rows - 1) / p->part_rows;
}

int cuda__predict_begin(prediction *p, const double *z, const uint64_t *zmask, int64_t extra) {
    cuda__model *m = p->m;
    cuda__ctx *c = m->ctx;
    const int64_t n_z = p->n_z, d = m->cov->d;
    int64_t slots = 5 * n_z;
    int rc = HPT_OK;
    if (p->gradients) {
        cut(p);
        slots += (3 + (p->n_parts > 1 ? 2 * p->n_parts : 0)) * n_z * d;
    }
    HPT_TRY(cuda__set_reserve(c, &m->candidates, d, n_z));
    HPT_TRY(cuda__set_write(c, &m->candidates, m->cov, &m->sorting, 0, z, zmask, n_z));
    HPT_TRY(cuda__reserve(c, &c->small, 8 * slots + extra, "results of candidates"));
    double *at = cuda__doubles(c->small.at);
    p->mean = at;
    p->var = at + n_z;
    p->by_mean = at + 2 * n_z;
    p->by_var = at + 3 * n_z;
    p->value = at + 4 * n_z;
    p->grad = at + 5 * n_z;
    p->dmean = p->grad + n_z * d;
    p->dvar = p->dmean + n_z * d;
    p->parts = p->dvar + n_z * d;
    p->after = at + slots;
out:
    return rc;
}

static int slopes(const prediction *p, cuda__points x, cuda__points z, const double *u, int64_t ldu) {
    cuda__model *m = p->m;
    cuda__ctx *c = m->ctx;
    const int32_t *groups = (const int32_t *)(uintptr_t)m->groups.at;
    const int64_t d = m->cov->d, n_groups = m->sorting.n_groups, size = z.n * d;
    double *dmean = !p->acq && p->n_mean ? p->dmean : NULL, *dvar = !p->acq && p->n_var ? p->dvar : NULL;
    double *grad = p->acq ? p->grad : NULL;
    int rc = HPT_OK;
    HPT_TRY(cuda__launch_cuda_slopes(c, z.n, n_groups * p->n_parts,
                                     &(cuda__slopes_args){.cov = m->fit.dev,
                                                          .x = x,
                                                          .z = z,
                                                          .group_first = groups,
                                                          .group_block = groups + n_groups,
                                                          .alpha = p->n_mean ? cuda__doubles(m->alpha.at) : NULL,
                                                          .u = p->n_var ? u : NULL,
                                                          .n_alpha = p->n_mean,
                                                          .n_u = p->n_var,
                                                          .ldu = ldu,
                                                          .dmean = dmean,
                                                          .dvar = dvar,
                                                          .by_mean = p->by_mean,
                                                          .by_var = p->by_var,
                                                          .grad = grad,
                                                          .parts = p->parts,
                                                          .n_groups = n_groups,
                                                          .n_parts = p->n_parts,
                                                          .part_rows = p->part_rows}));
    if (p->n_parts > 1)
        HPT_TRY(cuda__launch_cuda_chain(c, (size + CUDA__THREADS - 1) / CUDA__THREADS, 1,
                                        &(cuda__chain_args){.parts = p->parts,
                                                            .by_mean = p->by_mean,
                                                            .by_var = p->by_var,
                                                            .dmean = dmean,
                                                            .dvar = dvar,
                                                            .grad = grad,
                                                            .n_parts = p->n_parts,
                                                            .m = z.n,
                                                            .d = d}));
out:
    return rc;
}

// Results of candidates from .. from + width - 1.
static prediction shifted(const prediction *p, int64_t from) {
    prediction q = *p;
    const int64_t d = p->m->cov->d;
    double **numbers[] = {&q.mean, &q.var, &q.by_mean, &q.by_var, &q.value}, **rows[] = {&q.grad, &q.dmean, &q.dvar};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) *numbers[i] += from;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) *rows[i] += from * d;
    return q;
}

// Moments, values, gradients of candidates from .. from + width - 1.
static int strip(const prediction *all, int64_t from, int64_t width) {
    const prediction p = shifted(all, from);
    cuda__model *m = p.m;
    cuda__ctx *c = m->ctx;
    const int64_t n = p.n_mean > p.n_var ? p.n_mean : p.n_var, rows = m->rows;
    double *k = cuda__doubles(c->strips[0].at), *v = cuda__doubles(c->strips[1].at);
    const double *inverse = cuda__doubles(m->inverse.at);
    const cuda__points x = cuda__points_of(&m->points, 0, n), z = cuda__points_of(&m->candidates, from, width);
    int rc = HPT_OK;
    HPT_TRY(cuda__fill_cross(c, &m->fit, x, z, k, n));
    if (p.n_var) HPT_TRY(cuda__triangle_times(c, false, inverse, m->ld, rows, k, n, width, v, rows));
    cuda__moments_args moments = {.cov = m->fit.dev,
                                  .z = z,
                                  .k = p.n_mean ? k : NULL,
                                  .alpha = cuda__doubles(m->alpha.at),
                                  .v = p.n_var ? v : NULL,
                                  .n_k = p.n_mean,
                                  .ldk = n,
                                  .n_v = rows,
                                  .ldv = rows,
                                  .mean = p.mean,
                                  .var = p.var};
    if (p.acq) {
        moments.acq = *p.acq;
        moments.value = p.value;
        moments.by_mean = p.gradients ? p.by_mean : NULL;
        moments.by_var = p.gradients ? p.by_var : NULL;
    }
    HPT_TRY(cuda__launch_cuda_moments(c, width, 1, &moments));
    if (!p.gradients) goto out;
    if (p.n_var) HPT_TRY(cuda__triangle_times(c, true, inverse, m->ld, rows, v, rows, width, k, n));
    HPT_TRY(slopes(&p, x, z, k, n));
out:
    return rc;
}

int64_t cuda__strip_width(int64_t n, int64_t m) {
    const int64_t fits = CUDA__STRIP_BYTES / (8 * n), width = fits < 64 ? 64 : fits, strips = (m + width - 1) / width;
    return strips > 1 ? (m + strips - 1) / strips : m; // as wide as each other: a thin last one would be slow
}

int cuda__predict(const prediction *p) {
    cuda__ctx *c = p->m->ctx;
    const int64_t n = p->n_mean > p->n_var ? p->n_mean : p->n_var, width = cuda__strip_width(n, p->n_z);
    int rc = HPT_OK;
    if (p->n_var) HPT_TRY(cuda__need_inverse(p->m));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * width, "covariances of candidates"));
    if (p->n_var) HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * n * width, "covariances of candidates"));
    for (int64_t from = 0; from < p->n_z; from += width)
        HPT_TRY(strip(p, from, p->n_z - from < width ? p->n_z - from : width));
out:
    return rc;
}

static int fetch(cuda__ctx *c, double *to, const double *from, int64_t n) {
    return to ? cuda__download(c, to, (CUdeviceptr)(uintptr_t)from, 8 * n) : HPT_OK;
}

int cuda__posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                    double *dmean, double *dvar) {
    cuda__model *own = model;
    cuda__ctx *c = own->ctx;
    const int64_t d = own->cov->d;
    prediction p = {.m = own,
                    .n_z = m,
                    .n_mean = mean || dmean ? own->n_y : 0,
                    .n_var = var || dvar ? own->rows : 0,
                    .gradients = dmean || dvar};
    int rc = HPT_OK;
    if (m == 0 || (!p.n_mean && !p.n_var)) return HPT_OK;
    rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__predict_begin(&p, z, zmask, 0));
    HPT_TRY(cuda__predict(&p));
    HPT_TRY(fetch(c, mean, p.mean, m));
    HPT_TRY(fetch(c, var, p.var, m));
    HPT_TRY(fetch(c, dmean, p.dmean, m * d));
    HPT_TRY(fetch(c, dvar, p.dvar, m * d));
out:
    cuda__leave(c);
    return rc;
}

prediction cuda__prediction_of(cuda__model *m, const hpt__acq *acq, int64_t n_z, bool gradients) {
    return (prediction){.m = m,
                        .n_z = n_z,
                        .acq = acq,
                        .n_mean = acq->kind == HPT__ACQ_SD ? 0 : m->n_y,
                        .n_var = acq->kind == HPT__ACQ_MEAN ? 0 : m->rows,
                        .gradients = gradients};
}

int cuda__acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                  double *grad) {
    cuda__model *own = model;
    cuda__ctx *c = own->ctx;
    prediction p = cuda__prediction_of(own, acq, m, grad != NULL);
    const int64_t d = own->cov->d;
    double *both = NULL;
    int rc = HPT_OK;
    if (m == 0) return HPT_OK;
    rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__predict_begin(&p, z, zmask, 0));
    HPT_TRY(cuda__predict(&p));
    if (!grad) {
        HPT_TRY(fetch(c, value, p.value, m));
        goto out;
    }
    both = hpt__malloc((size_t)(m * (1 + d)) * sizeof *both); // in one copy, so that the host waits once
    if (!both) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(fetch(c, both, p.value, m * (1 + d)));
    memcpy(value, both, (size_t)m * sizeof *both);
    memcpy(grad, both + m, (size_t)(m * d) * sizeof *both);
out:
    hpt__free(both);
    cuda__leave(c);
    return rc;
}

// ---- joint posterior

int cuda__joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov,
                int64_t ldc) {
    cuda__model *own = model;
    cuda__ctx *c = own->ctx;
    prediction p = {.m = own, .n_z = m, .n_mean = mean ? own->n_y : 0, .n_var = own->rows};
    const int64_t n = own->rows;
    int rc = HPT_OK;
    if (m == 0) return HPT_OK;
    rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__predict_begin(&p, z, zmask, 8 * m * m));
    HPT_TRY(cuda__need_inverse(own));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * n * m, "a joint posterior"));
    HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * n * m, "a joint posterior"));
    HPT_TRY(strip(&p, 0, m)); // leaves V in strips[1]
    double *corner = p.after;
    const double *v = cuda__doubles(c->strips[1].at);
    HPT_TRY(cuda__zero(c, (CUdeviceptr)(uintptr_t)corner, 8 * m * m)); // all of it is fetched
    HPT_TRY(cuda__fill_lower(c, &own->fit, cuda__points_of(&own->candidates, 0, m), 0, corner, m));
    CUDA__BLAS(
        c, cublasDsyrk_v2_64(c->blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, m, n, &minus_one, v, n, &one, corner, m));
    HPT_TRY(fetch(c, mean, p.mean, m));
    HPT_TRY(cuda__download_2d(c, cov, 8 * ldc, (CUdeviceptr)(uintptr_t)corner, 8 * m, 8 * m, m));
    for (int64_t j = 0; j < m; j++) {
        if (cov[j * (ldc + 1)] < 0) cov[j * (ldc + 1)] = 0;
        for (int64_t i = j + 1; i < m; i++) cov[j + i * ldc] = cov[i + j * ldc];
    }
out:
    cuda__leave(c);
    return rc;
}
