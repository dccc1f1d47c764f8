// SPDX-License-Identifier: Apache-2.0
// cpu_cov.c: covariances of points: columns of K, whole K and cross matrices (formulas: backend_impl.h).
//
//   r2 of a block  = sum over its columns, from packed points (cpu_vec.h: distance), CHUNK rows with one point at a time
//   r2 of a term   = sum over its blocks; one block, the usual case, is taken as it is
//   k              = sum over terms of act_t(x) act_t(z) exp(theta_t) M(r)
//
// A chunk's distances stay in the first-level cache between the steps. Columns of inactive blocks are packed as 0, so that
// whatever they hold has no influence. Cost: n m (columns + about 40) flops. Threads: tiles over the pool.
#include "cpu_impl.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <math.h>
#include <string.h>

// ---- a covariance

int cpu__kernel_init(cpu__kernel *k, const hpt__cov *cov) {
    const size_t d = (size_t)cov->d, blocks = (size_t)cov->n_blocks, terms = (size_t)cov->n_terms;
    memset(k, 0, sizeof *k);
    k->cov = cov;
    int64_t *memory = hpt__calloc(3 * d + 3 * blocks + terms, sizeof *memory);
    if (!memory) return hpt__fail_memory();
    k->memory = memory;
    k->order = memory;
    k->first = k->order + d;
    k->n_num = k->first + blocks;
    k->n_cat = k->n_num + blocks;
    k->inv_l = (double *)(k->n_cat + blocks); // all have 8 bytes
    k->inv_l2 = k->inv_l + d;
    k->amp = k->inv_l2 + d;
    int64_t at = 0;
    for (int64_t b = 0; b < cov->n_blocks; b++) {
        k->first[b] = at;
        for (int kind = 0; kind < 2; kind++)
            for (int64_t c = 0; c < cov->d; c++)
                if (cov->block[c] == b && (cov->categorical[c] != 0) == kind) {
                    k->order[at++] = c;
                    (kind ? k->n_cat : k->n_num)[b]++;
                }
    }
    return HPT_OK;
}

void cpu__kernel_fini(cpu__kernel *k) {
    hpt__free(k->memory);
    memset(k, 0, sizeof *k);
}

void cpu__kernel_set(cpu__kernel *k, const double *theta) {
    const hpt__cov *cov = k->cov;
    for (int64_t p = 0; p < cov->d; p++) {
        k->inv_l[p] = exp(-theta[k->order[p]]);
        k->inv_l2[p] = k->inv_l[p] * k->inv_l[p];
    }
    for (int64_t t = 0; t < cov->n_terms; t++) k->amp[t] = exp(theta[cov->d + t]);
    k->noise = exp(theta[cov->d + cov->n_terms]);
}

double cpu__kernel_diagonal(const cpu__kernel *k, const double *act, int64_t ld) {
    double sum = 0;
    for (int64_t t = 0; t < k->cov->n_terms; t++) sum += k->amp[t] * act[t * ld];
    return sum;
}

// ---- packed points

int cpu__points_reserve(cpu__ctx *c, cpu__points *p, const cpu__kernel *k, int64_t n, int64_t keep) {
    const int64_t columns = k->cov->d + k->cov->n_terms, need = cpu__round(n, CPU__PAD) + CPU__PAD;
    if (p->buf.data && need <= p->ld) return HPT_OK;
    const int64_t ld = cpu__round(n, CPU__GROW) + CPU__PAD;
    cpu__buf fresh = {NULL, NULL, 0};
    const int rc = cpu__buf_reserve(c, &fresh, ld * columns, "points of a model");
    if (rc < 0) return rc;
    memset(fresh.data, 0, (size_t)(ld * columns) * sizeof(double));
    if (keep > 0)
        for (int64_t p_ = 0; p_ < columns; p_++)
            memcpy(fresh.data + p_ * ld, p->buf.data + p_ * p->ld, (size_t)keep * sizeof(double));
    cpu__buf_free(c, &p->buf);
    p->buf = fresh;
    p->ld = ld;
    p->x = fresh.data;
    p->act = fresh.data + ld * k->cov->d;
    return HPT_OK;
}

void cpu__points_set(cpu__points *p, const cpu__kernel *kernel, int64_t at, const double *x, const uint64_t *mask,
                     int64_t k) {
    const hpt__cov *cov = kernel->cov;
    const int64_t d = cov->d, end = cpu__round(at + k, CPU__PAD) + CPU__PAD;
    const size_t tail = (size_t)(end - at - k) * sizeof(double);
    for (int64_t b = 0; b < cov->n_blocks; b++) {
        for (int64_t q = 0; q < kernel->n_num[b] + kernel->n_cat[b]; q++) {
            const int64_t place = kernel->first[b] + q, column = kernel->order[place];
            const double scale = q < kernel->n_num[b] ? kernel->inv_l[place] : 1.0;
            double *to = p->x + place * p->ld + at;
            for (int64_t i = 0; i < k; i++) to[i] = mask[i] >> b & 1 ? scale * x[i * d + column] : 0;
            memset(to + k, 0, tail);
        }
    }
    for (int64_t t = 0; t < cov->n_terms; t++) {
        const uint64_t blocks = cov->term_blocks[t];
        double *to = p->act + t * p->ld + at;
        for (int64_t i = 0; i < k; i++) to[i] = (mask[i] & blocks) == blocks;
        memset(to + k, 0, tail);
    }
    p->n = at + k;
}

// ---- columns of a covariance matrix

// Scratch: z (d, padded), then chunks: distances of the blocks, and slopes of the blocks, values of the terms, a sum, a slope.
int64_t cpu__column_scratch(const cpu__kernel *k) {
    return cpu__round(k->cov->d, CPU__PAD) + (2 * k->cov->n_blocks + k->cov->n_terms + 2) * CPU__CHUNK;
}

static void gather(double *to, const cpu__kernel *k, const cpu__points *z, int64_t j) {
    for (int64_t p = 0; p < k->cov->d; p++) to[p] = z->x[p * z->ld + j];
}

// Distances of the blocks of the terms that are active in z.
static void block_distances(const cpu__ctx *c, const cpu__kernel *k, const cpu__points *x, int64_t i, int64_t n,
                            const double *z, const double *act, int64_t lda, double *distances) {
    uint64_t wanted = 0;
    for (int64_t t = 0; t < k->cov->n_terms; t++)
        if (act[t * lda] != 0) wanted |= k->cov->term_blocks[t];
    for (int64_t b = 0; b < k->cov->n_blocks; b++) {
        if (!(wanted >> b & 1)) continue;
        const int64_t f = k->first[b];
        c->vec->distance(distances + b * CPU__CHUNK, x->x + f * x->ld + i, x->ld, z + f, k->inv_l2 + f, k->n_num[b],
                         k->n_cat[b], n);
    }
}

// r2 of a term: a block's distances, or a sum of several in `sum`.
static const double *term_distance(uint64_t blocks, const double *distances, double *sum, int64_t n) {
    const double *only = distances + __builtin_ctzll(blocks) * CPU__CHUNK;
    blocks &= blocks - 1;
    if (!blocks) return only;
    memcpy(sum, only, (size_t)n * sizeof(double));
    for (; blocks; blocks &= blocks - 1) {
        const double *more = distances + __builtin_ctzll(blocks) * CPU__CHUNK;
        for (int64_t i = 0; i < n; i++) sum[i] += more[i];
    }
    return sum;
}

static bool single_block(const cpu__kernel *k) {
    return k->cov->n_terms == 1;
}

void cpu__column(const cpu__ctx *c, const cpu__kernel *k, const cpu__points *x, int64_t i, int64_t n,
                 const cpu__points *z, int64_t j, double *out, double *scratch) {
    double *at = scratch, *distances = scratch + cpu__round(k->cov->d, CPU__PAD);
    double *sum = distances + 2 * k->cov->n_blocks * CPU__CHUNK, *value = sum + CPU__CHUNK;
    gather(at, k, z, j);
    for (int64_t done = 0; done < n; done += CPU__CHUNK) {
        const int64_t part = n - done < CPU__CHUNK ? cpu__round(n - done, CPU__LANES) : CPU__CHUNK;
        block_distances(c, k, x, i + done, part, at, z->act + j, z->ld, distances);
        if (single_block(k)) {
            c->vec->covariance(out + done, NULL, k->cov->kind, k->amp[0], distances, part);
            continue;
        }
        memset(out + done, 0, (size_t)part * sizeof(double));
        for (int64_t t = 0; t < k->cov->n_terms; t++) {
            if (z->act[t * z->ld + j] == 0) continue;
            const double *r2 = term_distance(k->cov->term_blocks[t], distances, sum, part);
            const double *act = x->act + t * x->ld + i + done;
            c->vec->covariance(value, NULL, k->cov->kind, k->amp[t], r2, part);
            for (int64_t l = 0; l < part; l++) out[done + l] += act[l] * value[l];
        }
    }
}

void cpu__column_parts(const cpu__ctx *c, const cpu__kernel *k, const cpu__points *x, int64_t i, int64_t n,
                       const cpu__points *z, int64_t j, cpu__parts *part, double *scratch) {
    const int64_t blocks = k->cov->n_blocks, terms = k->cov->n_terms;
    double *at = scratch, *distances = scratch + cpu__round(k->cov->d, CPU__PAD);
    double *slopes = distances + blocks * CPU__CHUNK, *sum = slopes + blocks * CPU__CHUNK, *slope = sum + CPU__CHUNK;
    double *values = slope + CPU__CHUNK;
    n = cpu__round(n, CPU__LANES);
    gather(at, k, z, j);
    part->z = at;
    part->values = values;
    block_distances(c, k, x, i, n, at, z->act + j, z->ld, distances);
    if (single_block(k)) {
        c->vec->covariance(values, slopes, k->cov->kind, k->amp[0], distances, n);
        for (int64_t b = 0; b < blocks; b++) part->slope[b] = NULL;
        part->slope[0] = slopes;
        return;
    }
    for (int64_t b = 0; b < blocks; b++) part->slope[b] = NULL;
    for (int64_t t = 0; t < terms; t++) {
        if (z->act[t * z->ld + j] == 0) continue;
        const double *r2 = term_distance(k->cov->term_blocks[t], distances, sum, n);
        const double *act = x->act + t * x->ld + i;
        double *value = values + t * CPU__CHUNK;
        c->vec->covariance(value, slope, k->cov->kind, k->amp[t], r2, n);
        for (int64_t l = 0; l < n; l++) value[l] *= act[l];
        for (uint64_t rest = k->cov->term_blocks[t]; rest; rest &= rest - 1) {
            const int b = __builtin_ctzll(rest);
            double *to = slopes + b * CPU__CHUNK;
            if (part->slope[b])
                for (int64_t l = 0; l < n; l++) to[l] += act[l] * slope[l];
            else
                for (int64_t l = 0; l < n; l++) to[l] = act[l] * slope[l];
            part->slope[b] = to;
        }
    }
}

// ---- matrices: a task is a strip of columns

typedef struct fill {
    const cpu__ctx *ctx;
    const cpu__kernel *kernel;
    const cpu__points *x, *z;
    int64_t n, m, ldk, strip;
    bool lower;
    double *k;
} fill;

static void fill_strip(void *payload, int64_t task, double *scratch) {
    const fill *f = payload;
    const int64_t end = (task + 1) * f->strip < f->m ? (task + 1) * f->strip : f->m;
    for (int64_t j = task * f->strip; j < end; j++) {
        const int64_t from = f->lower ? j / CPU__LANES * CPU__LANES : 0;
        cpu__column(f->ctx, f->kernel, f->x, from, f->n - from, f->z, j, f->k + from + j * f->ldk, scratch);
    }
}

static double column_work(const cpu__kernel *k) {
    return 3.0 * (double)k->cov->d + 60.0 * (double)k->cov->n_terms;
}

int cpu__fill_lower(cpu__ctx *c, const cpu__kernel *kernel, const cpu__points *x, int64_t n, double *k, int64_t ldk) {
    fill f = {c, kernel, x, x, n, n, ldk, 16, true, k};
    return cpu__parallel(c, (n + f.strip - 1) / f.strip, cpu__column_scratch(kernel),
                         0.5 * (double)n * (double)n * column_work(kernel), fill_strip, &f);
}

int cpu__fill_cross(cpu__ctx *c, const cpu__kernel *kernel, const cpu__points *x, int64_t n, const cpu__points *z,
                    int64_t m, double *k, int64_t ldk) {
    fill f = {c, kernel, x, z, n, m, ldk, m < 64 ? 1 : 16, false, k};
    return cpu__parallel(c, (m + f.strip - 1) / f.strip, cpu__column_scratch(kernel),
                         (double)n * (double)m * column_work(kernel), fill_strip, &f);
}

// ---- the table's operations: the caller's matrix has no padding, so columns pass through scratch

typedef struct deliver {
    fill f;
    int64_t column_scratch;
} deliver;

static void deliver_strip(void *payload, int64_t task, double *scratch) {
    const deliver *d = payload;
    const fill *f = &d->f;
    double *column = scratch + d->column_scratch;
    const int64_t end = (task + 1) * f->strip < f->m ? (task + 1) * f->strip : f->m;
    for (int64_t j = task * f->strip; j < end; j++) {
        const int64_t from = f->lower ? j : 0, start = from / CPU__LANES * CPU__LANES;
        cpu__column(f->ctx, f->kernel, f->x, start, f->n - start, f->z, j, column, scratch);
        memcpy(f->k + from + j * f->ldk, column + (from - start), (size_t)(f->n - from) * sizeof(double));
    }
}

static int deliver_matrix(cpu__ctx *c, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                          int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk) {
    int rc = HPT_OK;
    cpu__kernel kernel = {0};
    cpu__points px = {0}, pz = {0};
    HPT_TRY(cpu__kernel_init(&kernel, cov));
    cpu__kernel_set(&kernel, theta);
    HPT_TRY(cpu__points_reserve(c, &px, &kernel, n, 0));
    cpu__points_set(&px, &kernel, 0, x, xmask, n);
    if (z) {
        HPT_TRY(cpu__points_reserve(c, &pz, &kernel, m, 0));
        cpu__points_set(&pz, &kernel, 0, z, zmask, m);
    }
    deliver d = {{c, &kernel, &px, z ? &pz : &px, n, m, ldk, 16, !z, k}, cpu__column_scratch(&kernel)};
    HPT_TRY(cpu__parallel(c, (m + d.f.strip - 1) / d.f.strip, d.column_scratch + cpu__round(n, CPU__LANES) + CPU__PAD,
                          (double)n * (double)m * column_work(&kernel), deliver_strip, &d));
out:
    cpu__buf_free(c, &px.buf);
    cpu__buf_free(c, &pz.buf);
    cpu__kernel_fini(&kernel);
    return rc;
}

int cpu__cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                   int64_t n, double *k, int64_t ldk) {
    return deliver_matrix(ctx, cov, theta, x, mask, n, NULL, NULL, n, k, ldk);
}

int cpu__cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                   int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk) {
    return deliver_matrix(ctx, cov, theta, x, xmask, n, z, zmask, m, k, ldk);
}
