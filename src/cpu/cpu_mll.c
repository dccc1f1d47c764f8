// SPDX-License-Identifier: Apache-2.0
// cpu_mll.c: log marginal likelihood and its gradient (formula: backend_impl.h).
//
//   A = K + (noise + jitter) I = L L',  a = A^-1 y,  W = a a' - A^-1  (n x n, symmetric)
//   d value / d log amp_t = 1/2 sum_ij W_ij K_t,ij          d value / d log noise = 1/2 noise tr W
//   d value / d log l_c   = 1/2 sum_ij W_ij h_b,ij D_c,ij   D_c = squared scaled differences, or weighted mismatches
//
// One square of memory: L below the diagonal, U = L^-T above it (cpu_factor.c: cpu__invert). The inverse exists only as blocks
// in a thread's scratch; there W is formed, K and h are made anew from the points, and all p sums are taken in one pass.
// Sums of differences lose no digits at short length scales, unlike the symmetric product they could be made of, and cost
// 4 d flops an entry, 2 % of an evaluation at n = 1000 and d = 10.
// Cost: n^3 flops. Threads: tiles over the pool; their sums are added in the order of the tiles.
#include "cpu_impl.h"

#include "../core/base/error.h"
#include <math.h>
#include <string.h>

typedef struct slope_sums {
    const cpu__ctx *ctx;
    const cpu__kernel *kernel;
    const cpu__points *points;
    const double *a, *diagonal, *alpha;
    double *sums; // p for each tile
    int64_t lda, n, p;
} slope_sums;

// Adds the share of one column of a block. w: W's, halved on the diagonal, 0 below it.
static void add_column(const slope_sums *f, const cpu__parts *part, int64_t row, int64_t j, int64_t rows,
                       const double *w, double *g, double *sums) {
    const cpu__vec_ops *v = f->ctx->vec;
    const cpu__kernel *k = f->kernel;
    const cpu__points *x = f->points;
    for (int64_t t = 0; t < k->cov->n_terms; t++)
        if (x->act[t * x->ld + j] != 0) sums[k->cov->d + t] += v->dot(w, part->values + t * CPU__CHUNK, rows);
    for (int64_t b = 0; b < k->cov->n_blocks; b++) {
        if (!part->slope[b]) continue;
        for (int64_t i = 0; i < rows; i++) g[i] = w[i] * part->slope[b][i];
        const int64_t first = k->first[b], cat = first + k->n_num[b], end = cat + k->n_cat[b];
        for (int64_t c = first; c < cat; c++) sums[c] += v->sum_diff2(g, x->x + c * x->ld + row, part->z[c], rows);
        for (int64_t c = cat; c < end; c++)
            sums[c] += k->inv_l2[c] * v->sum_miss(g, x->x + c * x->ld + row, part->z[c], rows);
    }
}

// Blocks of CHUNK rows in the columns of a tile, columns first.
static int64_t blocks_of(int64_t tile) {
    return tile * CPU__TILE / CPU__CHUNK + 1;
}

static void block_sums(void *payload, int64_t task, double *scratch) {
    const slope_sums *f = payload;
    double *sums = f->sums + task * f->p;
    int64_t i = 0;
    for (; task >= blocks_of(i); i++) task -= blocks_of(i);
    const int64_t row = task * CPU__CHUNK, start = i * CPU__TILE;
    const int64_t end = start + CPU__TILE < f->n ? start + CPU__TILE : f->n;
    const int64_t height = row + CPU__CHUNK < end ? CPU__CHUNK : end - row;
    double *t = scratch, *w = t + CPU__CHUNK * CPU__TILE, *g = w + CPU__CHUNK, *rest = g + CPU__CHUNK;
    memset(sums, 0, (size_t)f->p * sizeof(double));
    cpu__inverse_block(f->ctx, f->a, f->lda, f->n, f->diagonal, row, height, i, t, CPU__CHUNK);
    for (int64_t col = start; col < end; col++) {
        const double *inverse = t + (col - start) * CPU__CHUNK;
        const double a_j = f->alpha[col];
        const int64_t rows = col + 1 - row < height ? col + 1 - row : height, whole = cpu__round(rows, CPU__LANES);
        cpu__parts part;
        for (int64_t l = 0; l < rows; l++) w[l] = f->alpha[row + l] * a_j - inverse[l];
        for (int64_t l = rows; l < whole; l++) w[l] = 0;
        if (col < row + height) {
            w[col - row] *= 0.5;
            sums[f->p - 1] += w[col - row];
        }
        cpu__column_parts(f->ctx, f->kernel, f->points, row, rows, f->points, col, &part, rest);
        add_column(f, &part, row, col, whole, w, g, sums);
    }
}

static int gradient(cpu__model *m, const cpu__points *points, int64_t n, int64_t lda, const double *alpha,
                    const double *inverses, double *diagonal, double *sums, double *grad) {
    const cpu__kernel *k = &m->trial;
    const int64_t d = m->cov->d, p = hpt__cov_n_theta(m->cov), tiles = (n + CPU__TILE - 1) / CPU__TILE;
    int64_t n_tasks = 0;
    for (int64_t i = 0; i < tiles; i++) n_tasks += blocks_of(i);
    int rc = HPT_OK;
    HPT_TRY(cpu__invert(m->ctx, m->square.data, lda, n, inverses, diagonal));
    slope_sums f = {m->ctx, k, points, m->square.data, diagonal, alpha, sums, lda, n, p};
    HPT_TRY(cpu__parallel(m->ctx, n_tasks, CPU__CHUNK * (CPU__TILE + 2) + cpu__column_scratch(k),
                          (double)n * (double)n * (double)n, block_sums, &f));
    for (int64_t task = 1; task < n_tasks; task++)
        for (int64_t i = 0; i < p; i++) sums[i] += sums[task * p + i];
    for (int64_t c = 0; c < d; c++) grad[k->order[c]] = sums[c];
    for (int64_t t = 0; t < m->cov->n_terms; t++) grad[d + t] = sums[d + t];
    grad[p - 1] = k->noise * sums[p - 1];
out:
    return rc;
}

int cpu__mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
             int64_t *info) {
    cpu__model *m = model;
    cpu__ctx *c = m->ctx;
    cpu__kernel *k = &m->trial;
    const int64_t p = hpt__cov_n_theta(m->cov), tiles = (n + CPU__TILE - 1) / CPU__TILE;
    const int64_t lda = cpu__round(n, CPU__LANES) + CPU__PAD, padded = cpu__round(n, CPU__LANES);
    int rc = HPT_OK;
    cpu__blas_enter();
    HPT_TRY(cpu__buf_reserve(c, &m->square, lda * n + CPU__PAD, "a likelihood"));
    HPT_TRY(cpu__buf_reserve(c, &m->work, padded * (1 + CPU__BASE + cpu__diagonal_ld(n)) + tiles * (tiles + 1) / 2 * p,
                             "a likelihood"));
    double *alpha = m->work.data, *inverses = alpha + padded, *diagonal = inverses + padded * CPU__BASE;
    double *sums = diagonal + padded * cpu__diagonal_ld(n);
    cpu__kernel_set(k, theta);
    HPT_TRY(cpu__points_reserve(c, &m->trial_points, k, n, 0));
    cpu__points_set(&m->trial_points, k, 0, m->raw.data, m->mask, n);
    HPT_TRY(cpu__fill_lower(c, k, &m->trial_points, n, m->square.data, lda));
    for (int64_t i = 0; i < n; i++) m->square.data[i * (lda + 1)] += k->noise + jitter;
    HPT_TRY(cpu__cholesky(c, m->square.data, lda, n, inverses, info));
    if (*info) goto out;
    memcpy(alpha, y, (size_t)n * sizeof(double));
    HPT_TRY(cpu__solve(c, m->square.data, lda, n, inverses, false, alpha, n, 1));
    double quadratic = 0;
    for (int64_t i = 0; i < n; i++) quadratic += alpha[i] * alpha[i];
    *value = -0.5 * quadratic - 0.5 * cpu__logdet(m->square.data, lda, n) -
             0.5 * (double)n * log(2 * 3.14159265358979323846);
    if (grad) {
        HPT_TRY(cpu__solve(c, m->square.data, lda, n, inverses, true, alpha, n, 1));
        HPT_TRY(gradient(m, &m->trial_points, n, lda, alpha, inverses, diagonal, sums, grad));
    }
out:
    cpu__blas_leave();
    return rc;
}
