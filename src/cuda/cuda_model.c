// SPDX-License-Identifier: Apache-2.0
// cuda_model.c: a model of backend `cuda`: covariance, points and their life on the device.
//
// On the device columns are sorted by block (cuda__sorting), since a term needs the columns of its blocks and nothing else; a column of
// all points is contiguous, with room for `ld` of them (a multiple of 64, growing by half), so that an append moves nothing.
// Numbers are not divided by length scales here: kernels do that as they load, and new hyperparameters cost a few numbers.
// Ownership: copies of points and hyperparameters; the description of the covariance is borrowed. Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <math.h>
#include <string.h>

// ---- columns by block

int cuda__sorting_init(cuda__sorting *s, const hpt__cov *cov) {
    const int64_t d = cov->d, blocks = cov->n_blocks, groups = d / CUDA__GROUP + blocks;
    int32_t *at = hpt__calloc((size_t)(2 * d + blocks + 1 + 2 * groups), sizeof *at);
    if (!at) return hpt__fail_memory();
    *s = (cuda__sorting){.memory = at,
                         .order = at,
                         .categorical = at + d,
                         .first = at + 2 * d,
                         .group_first = at + 2 * d + blocks + 1,
                         .group_block = at + 2 * d + blocks + 1 + groups};
    int32_t next = 0;
    for (int32_t b = 0; b < blocks; b++) {
        s->first[b] = next;
        for (int32_t c = 0; c < d; c++) {
            if (cov->block[c] != b) continue;
            if ((next - s->first[b]) % CUDA__GROUP == 0) {
                s->group_first[s->n_groups] = next;
                s->group_block[s->n_groups++] = b;
            }
            s->categorical[next] = cov->categorical[c];
            s->order[next++] = c;
        }
    }
    s->first[blocks] = next;
    return HPT_OK;
}

void cuda__sorting_fini(cuda__sorting *s) {
    hpt__free(s->memory);
    *s = (cuda__sorting){0};
}

// ---- hyperparameters

// One piece of memory: of each problem inv_l (d) and amplitude (T), then term_blocks (T), first, order, categorical.
int cuda__kernel_set_many(cuda__ctx *c, cuda__kernel *k, const hpt__cov *cov, const cuda__sorting *s,
                          const hpt__mll_job *jobs, int64_t n) {
    const int64_t d = cov->d, terms = cov->n_terms, blocks = cov->n_blocks, step = d + terms;
    const int64_t bytes = 8 * (n * step + terms) + 4 * (blocks + 1 + 2 * d);
    int rc = HPT_OK;
    unsigned char *packed = hpt__malloc((size_t)bytes);
    if (!packed) return hpt__fail_memory();
    double *numbers = (double *)(void *)packed;
    int32_t *first = (int32_t *)(void *)(numbers + n * step + terms), *order = first + blocks + 1,
            *categorical = order + d;
    for (int64_t q = 0; q < n; q++) {
        const double *theta = jobs[q].theta;
        for (int64_t i = 0; i < d; i++) numbers[q * step + i] = exp(-theta[s->order[i]]);
        for (int64_t t = 0; t < terms; t++) numbers[q * step + d + t] = exp(theta[d + t]);
    }
    memcpy(numbers + n * step, cov->term_blocks, (size_t)terms * sizeof *cov->term_blocks);
    memcpy(first, s->first, (size_t)(blocks + 1) * sizeof *first);
    memcpy(order, s->order, (size_t)d * sizeof *order);
    memcpy(categorical, s->categorical, (size_t)d * sizeof *categorical);
    HPT_TRY(cuda__reserve(c, &k->buf, bytes, "hyperparameters"));
    HPT_TRY(cuda__upload(c, k->buf.at, packed, bytes));
    const double *on_device = cuda__doubles(k->buf.at);
    const uint64_t *terms_there = (const uint64_t *)(uintptr_t)(on_device + n * step);
    const int32_t *whole = (const int32_t *)(uintptr_t)(on_device + n * step + terms);
    k->dev = (cuda__cov){.kind = (int32_t)cov->kind,
                         .d = (int32_t)d,
                         .n_blocks = (int32_t)blocks,
                         .n_terms = (int32_t)terms,
                         .inv_l = on_device,
                         .amplitude = on_device + d,
                         .term_blocks = terms_there,
                         .first = whole,
                         .order = whole + blocks + 1,
                         .categorical = whole + blocks + 1 + d,
                         .step = step};
    k->noise = exp(jobs[0].theta[d + terms]);
    k->variance = 0;
    for (int64_t t = 0; t < terms; t++) k->variance += exp(jobs[0].theta[d + t]);
out:
    hpt__free(packed);
    return rc;
}

int cuda__kernel_set(cuda__ctx *c, cuda__kernel *k, const hpt__cov *cov, const cuda__sorting *s, const double *theta) {
    return cuda__kernel_set_many(c, k, cov, s, &(hpt__mll_job){.theta = theta}, 1);
}

// ---- points

int cuda__set_reserve(cuda__ctx *c, cuda__set *set, int64_t d, int64_t n) {
    int rc = HPT_OK;
    const int64_t room = cuda__round(n, CUDA__GROW);
    set->ld = set->n = 0;
    HPT_TRY(cuda__reserve(c, &set->x, 8 * d * room, "points"));
    HPT_TRY(cuda__reserve(c, &set->mask, 8 * room, "points"));
    set->ld = n; // no gaps: one copy, for which nothing waits
out:
    return rc;
}

int cuda__set_write(cuda__ctx *c, cuda__set *set, const hpt__cov *cov, const cuda__sorting *s, int64_t at,
                    const double *x, const uint64_t *mask, int64_t k) {
    const int64_t d = cov->d;
    int rc = HPT_OK;
    if (k == 0) return HPT_OK;
    double *columns = hpt__malloc((size_t)(k * d) * sizeof *columns); // k x d
    if (!columns) return hpt__fail_memory();
    for (int64_t j = 0; j < d; j++)
        for (int64_t i = 0; i < k; i++) columns[i + j * k] = x[i * d + s->order[j]];
    if (k == set->ld)
        HPT_TRY(cuda__upload(c, set->x.at, columns, 8 * k * d));
    else
        HPT_TRY(cuda__upload_2d(c, set->x.at + (CUdeviceptr)(8 * at), 8 * set->ld, columns, 8 * k, 8 * k, d));
    HPT_TRY(cuda__upload(c, set->mask.at + (CUdeviceptr)(8 * at), mask, 8 * k));
    set->n = at + k;
out:
    hpt__free(columns);
    return rc;
}

// Room for n points of the model, what there is stays.
static int grow_points(cuda__model *m, int64_t n) {
    cuda__set *p = &m->points;
    if (n <= p->ld) return HPT_OK;
    int rc = HPT_OK;
    const int64_t half = p->ld + p->ld / 2, ld = cuda__round(n > half ? n : half, CUDA__GROW), d = m->cov->d;
    HPT_TRY(cuda__reserve_kept(m->ctx, &p->mask, 8 * ld, 1, 8 * p->n, 8 * p->ld, 8 * ld, "points of a model"));
    HPT_TRY(cuda__reserve_kept(m->ctx, &p->x, 8 * ld * d, d, 8 * p->n, 8 * p->ld, 8 * ld, "points of a model"));
    p->ld = ld;
out:
    return rc;
}

// ---- life

static int init(cuda__model *m, int64_t cap) {
    int rc = HPT_OK;
    const int64_t groups = m->sorting.n_groups;
    HPT_TRY(grow_points(m, cap > 1 ? cap : 1));
    HPT_TRY(cuda__reserve(m->ctx, &m->groups, 8 * groups, "columns of a model"));
    HPT_TRY(cuda__upload(m->ctx, m->groups.at, m->sorting.group_first, 4 * groups));
    HPT_TRY(cuda__upload(m->ctx, m->groups.at + (CUdeviceptr)(4 * groups), m->sorting.group_block, 4 * groups));
out:
    return rc;
}

int cuda__model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap) {
    cuda__ctx *c = ctx;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    cuda__model *m = hpt__calloc(1, sizeof *m);
    if (!m) {
        rc = hpt__fail_memory();
        goto out;
    }
    m->ctx = c;
    m->cov = cov;
    HPT_TRY(cuda__sorting_init(&m->sorting, cov));
    HPT_TRY(init(m, cap));
    *model = m;
    m = NULL;
out:
    cuda__leave(c);
    cuda__model_destroy(m);
    return rc;
}

// Where a model has device memory.
static const size_t bufs[] = {
    offsetof(cuda__model, fit.buf),      offsetof(cuda__model, trial.buf),    offsetof(cuda__model, points.x),
    offsetof(cuda__model, points.mask),  offsetof(cuda__model, candidates.x), offsetof(cuda__model, candidates.mask),
    offsetof(cuda__model, groups),       offsetof(cuda__model, factor),       offsetof(cuda__model, inverse),
    offsetof(cuda__model, alpha),        offsetof(cuda__model, square),       offsetof(cuda__model, gram),
    offsetof(cuda__model, staying.x),    offsetof(cuda__model, staying.mask), offsetof(cuda__model, pool),
    offsetof(cuda__model, pool_moments),
};
enum { BUFS = sizeof bufs / sizeof bufs[0] };

void cuda__model_destroy(void *model) {
    cuda__model *m = model;
    if (!m) return;
    cuda__ctx *c = m->ctx;
    if (c->single_of == m) c->single_of = NULL;
    const bool current = c->api->cuCtxPushCurrent_v2(c->context) == CUDA_SUCCESS;
    (void)c->api->cuStreamSynchronize(c->stream);
    for (int64_t i = 0; i < BUFS; i++) cuda__release(c, (cuda__buf *)((char *)m + bufs[i]));
    if (current) cuda__leave(c);
    cuda__sorting_fini(&m->sorting);
    hpt__free(m);
}

int64_t cuda__model_bytes(const void *model) {
    const cuda__model *m = model;
    int64_t sum = 0;
    for (int64_t i = 0; i < BUFS; i++) sum += ((const cuda__buf *)((const char *)m + bufs[i]))->bytes;
    return sum;
}

static void cut_rows(cuda__model *m, int64_t n) {
    if (m->rows > n) m->rows = n;
    if (m->inverse_rows > n) m->inverse_rows = n;
    if (m->single_rows > n) m->single_rows = n;
    if (m->n_y > n) m->n_y = 0;
}

int cuda__model_set_points(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k) {
    cuda__model *m = model;
    int rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    HPT_TRY(grow_points(m, at + k));
    cut_rows(m, at);
    m->points.n = at;
    HPT_TRY(cuda__set_write(m->ctx, &m->points, m->cov, &m->sorting, at, x, mask, k));
out:
    cuda__leave(m->ctx);
    return rc;
}

int cuda__model_truncate(void *model, int64_t n) {
    cuda__model *m = model;
    cut_rows(m, n);
    if (m->points.n > n) m->points.n = n;
    return HPT_OK;
}

int64_t cuda__model_rows(const void *model) {
    return ((const cuda__model *)model)->rows;
}

// Factor, its inverse and the likelihood's matrix, three squares; two strips and the points. What the driver and the libraries take for
// themselves (a few hundred MB, whatever the model's size) is not the model's and not counted.
int64_t cuda__need_bytes(const hpt__model_shape *shape) {
    const int64_t ld = cuda__round(shape->n, CUDA__GROW);
    const int64_t strip = 8 * ld * 256 < CUDA__STRIP_BYTES ? 8 * ld * 256 : CUDA__STRIP_BYTES;
    const int64_t squares = shape->n <= CUDA__APART ? 4 : 3;
    const int64_t staying = 8 * ld * 2560; // candidates of a batch, as many as a search makes
    return squares * 8 * ld * ld + cuda__invert_bytes(ld) + 2 * strip + staying + 8 * ld * (shape->d + 4) +
           8 * CUDA__SUM_ROWS * (shape->d + shape->n_terms + 1);
}

bool cuda__supports(hpt__op op, const hpt__model_shape *shape) {
    (void)op;
    (void)shape;
    return true;
}
