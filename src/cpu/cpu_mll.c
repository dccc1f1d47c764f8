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
//
// Several likelihoods of few points: one for each thread, since up to SPREAD points the inverse is one task, and below 60 the pool is
// not even woken for one. The tiles and their order are the same, so a job has the bits that it has alone. With more points the tiles
// fill the threads as well. Each thread has a lane (matrix, packed points, scratch) that keeps its size between the calls; where the
// memory limit forbids it the jobs are done one after the other.
#include "cpu_impl.h"

#include "../core/base/error.h"
#include <math.h>
#include <stdatomic.h>
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

static int64_t gradient_scratch(const cpu__kernel *k) {
    return CPU__CHUNK * (CPU__TILE + 2) + cpu__column_scratch(k);
}

static int gradient(cpu__ctx *c, cpu__lane *lane, int64_t n, int64_t lda, const double *alpha, const double *inverses,
                    double *diagonal, double *sums, double *grad) {
    const cpu__kernel *k = &lane->kernel;
    const int64_t d = k->cov->d, p = hpt__cov_n_theta(k->cov), tiles = (n + CPU__TILE - 1) / CPU__TILE;
    int64_t n_tasks = 0;
    for (int64_t i = 0; i < tiles; i++) n_tasks += blocks_of(i);
    int rc = HPT_OK;
    HPT_TRY(cpu__invert(c, lane->square.data, lda, n, inverses, diagonal));
    slope_sums f = {c, k, &lane->points, lane->square.data, diagonal, alpha, sums, lda, n, p};
    HPT_TRY(cpu__parallel(c, n_tasks, gradient_scratch(k), (double)n * (double)n * (double)n, block_sums, &f));
    for (int64_t task = 1; task < n_tasks; task++)
        for (int64_t i = 0; i < p; i++) sums[i] += sums[task * p + i];
    for (int64_t i = 0; i < d; i++) grad[k->order[i]] = sums[i];
    for (int64_t t = 0; t < k->cov->n_terms; t++) grad[d + t] = sums[d + t];
    grad[p - 1] = k->noise * sums[p - 1];
out:
    return rc;
}

// ---- one likelihood

static int64_t leading(int64_t n) {
    return cpu__round(n, CPU__LANES) + CPU__PAD;
}

static int64_t square_size(int64_t n) {
    return leading(n) * n + CPU__PAD;
}

static int64_t work_size(int64_t n, int64_t p) {
    const int64_t tiles = (n + CPU__TILE - 1) / CPU__TILE;
    return cpu__round(n, CPU__LANES) * (1 + CPU__BASE + cpu__diagonal_ld(n)) + tiles * (tiles + 1) / 2 * p;
}

// Memory of a likelihood of n points, counted in the model's context.
static int reserve(cpu__ctx *c, cpu__lane *lane, int64_t n) {
    int rc = HPT_OK;
    HPT_TRY(cpu__buf_reserve(c, &lane->square, square_size(n), "a likelihood"));
    HPT_TRY(cpu__buf_reserve(c, &lane->work, work_size(n, hpt__cov_n_theta(lane->kernel.cov)), "a likelihood"));
    HPT_TRY(cpu__points_reserve(c, &lane->points, &lane->kernel, n, 0));
out:
    return rc;
}

// With the threads of c, in a lane that has its memory.
static int evaluate(const cpu__model *m, cpu__ctx *c, cpu__lane *lane, hpt__mll_job *job, int64_t n) {
    cpu__kernel *k = &lane->kernel;
    double *a = lane->square.data;
    const int64_t lda = leading(n), padded = cpu__round(n, CPU__LANES);
    int rc = HPT_OK;
    double *alpha = lane->work.data, *inverses = alpha + padded, *diagonal = inverses + padded * CPU__BASE;
    double *sums = diagonal + padded * cpu__diagonal_ld(n);
    cpu__kernel_set(k, job->theta);
    cpu__points_set(&lane->points, k, 0, m->raw.data, m->mask, n);
    HPT_TRY(cpu__fill_lower(c, k, &lane->points, n, a, lda));
    for (int64_t i = 0; i < n; i++) a[i * (lda + 1)] += k->noise + job->jitter;
    HPT_TRY(cpu__cholesky(c, a, lda, n, inverses, &job->info));
    if (job->info) goto out;
    memcpy(alpha, job->y, (size_t)n * sizeof(double));
    HPT_TRY(cpu__solve(c, a, lda, n, inverses, false, alpha, n, 1));
    double quadratic = 0;
    for (int64_t i = 0; i < n; i++) quadratic += alpha[i] * alpha[i];
    job->value = -0.5 * quadratic - 0.5 * cpu__logdet(a, lda, n) - 0.5 * (double)n * log(2 * 3.14159265358979323846);
    if (job->grad) {
        HPT_TRY(cpu__solve(c, a, lda, n, inverses, true, alpha, n, 1));
        HPT_TRY(gradient(c, lane, n, lda, alpha, inverses, diagonal, sums, job->grad));
    }
out:
    return rc;
}

int cpu__mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
             int64_t *info) {
    cpu__model *m = model;
    hpt__mll_job job = {.theta = theta, .y = y, .jitter = jitter, .grad = grad};
    int rc = HPT_OK;
    cpu__blas_enter();
    HPT_TRY(reserve(m->ctx, &m->lanes[0], n));
    HPT_TRY(evaluate(m, m->ctx, &m->lanes[0], &job, n));
    *value = job.value;
    *info = job.info;
out:
    cpu__blas_leave();
    return rc;
}

// ---- several

enum { SPREAD = CPU__CHUNK }; // points

typedef struct spread {
    const cpu__model *m;
    hpt__mll_job *jobs;
    int64_t k, n;
    atomic_int_least64_t next;
} spread;

static int take_jobs(int64_t lane, void *payload) {
    spread *f = payload;
    cpu__lane *own = &f->m->lanes[lane];
    int rc = HPT_OK;
    cpu__blas_enter_thread();
    for (int64_t i; (i = atomic_fetch_add(&f->next, 1)) < f->k;)
        HPT_TRY(evaluate(f->m, &own->alone, own, &f->jobs[i], f->n));
out:
    cpu__blas_leave_thread();
    return rc;
}

// The most that a step of a likelihood asks for: the factor's, or the gradient's.
static int64_t lane_scratch(const cpu__kernel *k) {
    const int64_t factor = cpu__factor_scratch(SPREAD), sums = gradient_scratch(k);
    return factor > sums ? factor : sums;
}

// Whether the memory limit allows it. Points count twice: they grow beside the old ones.
static bool lanes_fit(const cpu__model *m, int64_t lanes, int64_t n) {
    const cpu__kernel *k = &m->lanes[0].kernel;
    const int64_t p = hpt__cov_n_theta(m->cov), points = (cpu__round(n, CPU__GROW) + CPU__PAD) * p;
    const int64_t one = square_size(n) + work_size(n, p) + 2 * points + lane_scratch(k);
    int64_t more = lanes * one;
    for (int64_t i = 0; i < lanes; i++) more -= cpu__lane_size(&m->lanes[i]);
    return 8.0 * (double)more <= (double)(m->ctx->limit - m->ctx->used);
}

static int reserve_lanes(cpu__model *m, int64_t lanes, int64_t n) {
    cpu__ctx *c = m->ctx;
    int rc = HPT_OK;
    for (int64_t i = 0; i < lanes; i++) {
        cpu__lane *lane = &m->lanes[i];
        if (!lane->kernel.memory) HPT_TRY(cpu__kernel_init(&lane->kernel, m->cov));
        HPT_TRY(reserve(c, lane, n));
        HPT_TRY(cpu__buf_reserve(c, &lane->scratch, lane_scratch(&lane->kernel), "a likelihood"));
        lane->alone = *c;
        lane->alone.n_threads = 1;
        lane->alone.scratch = &lane->scratch;
    }
out:
    return rc;
}

int cpu__mll_many(void *model, hpt__mll_job *jobs, int64_t k, int64_t n) {
    cpu__model *m = model;
    const int64_t lanes = k < m->ctx->n_threads ? k : m->ctx->n_threads;
    int rc = HPT_OK;
    if (lanes > 1 && n <= SPREAD && lanes_fit(m, lanes, n)) {
        HPT_TRY(reserve_lanes(m, lanes, n));
        spread f = {.m = m, .jobs = jobs, .k = k, .n = n};
        atomic_init(&f.next, 0);
        cpu__blas_enter();
        rc = hpt__pool_run(m->ctx->pool, lanes, take_jobs, &f);
        cpu__blas_leave();
        return rc;
    }
    for (int64_t i = 0; i < k; i++)
        HPT_TRY(cpu__mll(m, jobs[i].theta, jobs[i].jitter, jobs[i].y, n, &jobs[i].value, jobs[i].grad, &jobs[i].info));
out:
    return rc;
}

void cpu__lane_fini(cpu__ctx *c, cpu__lane *lane) {
    cpu__buf *bufs[] = {&lane->points.buf, &lane->square, &lane->work, &lane->scratch};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) cpu__buf_free(c, bufs[i]);
    cpu__kernel_fini(&lane->kernel);
}

int64_t cpu__lane_size(const cpu__lane *lane) {
    return lane->points.buf.size + lane->square.size + lane->work.size + lane->scratch.size;
}
