// SPDX-License-Identifier: Apache-2.0
// cpu_factor.c: Cholesky factor, triangular solves, inverse and Gram products of large matrices, in tiles over the pool.
//
// Factor. Tile (i, k), columns first:  A_ik - sum_{j<k} L_ij L_kj'  (one product as long as the rows before it), then the
//   factor of the tile if i = k, else the solve with L_kk'. A tile waits for its two rows and then for L_kk; tiles are dealt
//   out in this order, so whatever a tile waits for is done or being done, and the next column starts while this one ends.
// Solve with few right-hand sides. Row i: B_i - sum_{j<i} L_ij Y_j, then the tile on the diagonal; dealt out the same way.
//   Products of our own (cpu_vec.h: thin): a BLAS copies L into its packed form first, which here costs more than the product.
// Solve with many: each thread has a strip of columns and calls the BLAS for the whole triangle.
// Inverse. U = L^-T by rows of tiles, each independent of the others, from products only: a solve with so few rows runs at
//   half the rate. Stored above the diagonal of L. Tile (i, j) of the inverse is
//   U_i,i.. U_j,i..', one product.
//
// Why not LAPACK: threaded potrf and potri of OpenBLAS give other bits for other numbers of threads; single-threaded ones
// use one core. These reach the rate of the BLAS's own product and need no second library and no second square matrix.
// Cost: n^3/3 flops for the factor, 2 n^3/3 for the inverse, n^2 s for a solve.
// The tile algorithms are classical; see Buttari, Langou, Kurzak, Dongarra (2009), doi:10.1016/j.parco.2008.10.002.
#include "cpu_impl.h"

#include "../core/base/error.h"
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { TILE_SMALL = 128, TILE_LARGE = 256, LARGE_FROM = 3000, BASE = 32, THIN_TILE = 128, WIDE_FROM = 64, SPINS = 200 };

typedef atomic_int_least64_t counter;

int64_t cpu__tile(int64_t n) {
    return n < LARGE_FROM ? TILE_SMALL : TILE_LARGE;
}

static int64_t length_of(int64_t n, int64_t tile, int64_t i) {
    return n - i * tile < tile ? n - i * tile : tile;
}

// Waits until *at >= value. What is waited for is being computed by another thread; if that one lost its core, yield.
static void wait_for(counter *at, int64_t value) {
    for (int64_t spins = 0; atomic_load_explicit(at, memory_order_acquire) < value; spins++)
        if (spins > SPINS) sched_yield();
}

// ---- factor

// Recursive on halves; the smallest are cpu_vec.h's.
static int64_t factor_tile(const cpu__ctx *c, double *a, int64_t lda, int64_t n) {
    if (n <= BASE) return c->vec->cholesky(a, lda, n);
    const int64_t half = cpu__round(n / 2, BASE / 2), rest = n - half;
    double *below = a + half, *corner = a + half + half * lda;
    int64_t info = factor_tile(c, a, lda, half);
    if (info) return info;
    c->blas->trsm(CPU__COL_MAJOR, CPU__RIGHT, CPU__LOWER, CPU__T, CPU__NON_UNIT, (int)rest, (int)half, 1.0, a, (int)lda,
                  below, (int)lda);
    c->blas->syrk(CPU__COL_MAJOR, CPU__LOWER, CPU__N, (int)rest, (int)half, -1.0, below, (int)lda, 1.0, corner,
                  (int)lda);
    info = factor_tile(c, corner, lda, rest);
    return info ? info + half : 0;
}

typedef struct factoring {
    const cpu__ctx *ctx;
    double *a;
    int64_t lda, n, tile, n_tiles;
    counter *done; // tiles of each row that are final
    counter info;  // first pivot that failed, or 0
} factoring;

static void factor_task(void *payload, int64_t task, double *scratch) {
    factoring *f = payload;
    const cpu__ctx *c = f->ctx;
    (void)scratch;
    int64_t k = 0;
    while (task >= f->n_tiles - k) task -= f->n_tiles - k++;
    const int64_t i = k + task, nb = f->tile, rows = length_of(f->n, nb, i), columns = length_of(f->n, nb, k);
    const int lda = (int)f->lda;
    double *row_i = f->a + i * nb, *row_k = f->a + k * nb, *a_ik = row_i + k * nb * f->lda;
    if (k > 0) {
        wait_for(&f->done[i], k);
        wait_for(&f->done[k], k);
        if (i == k)
            c->blas->syrk(CPU__COL_MAJOR, CPU__LOWER, CPU__N, (int)rows, (int)(k * nb), -1.0, row_i, lda, 1.0, a_ik,
                          lda);
        else
            c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)(k * nb), -1.0, row_i, lda,
                          row_k, lda, 1.0, a_ik, lda);
    }
    if (i > k) wait_for(&f->done[k], k + 1);
    if (atomic_load(&f->info) == 0) {
        if (i == k) {
            const int64_t info = factor_tile(c, a_ik, f->lda, rows);
            if (info) atomic_store(&f->info, info + k * nb);
        } else {
            c->blas->trsm(CPU__COL_MAJOR, CPU__RIGHT, CPU__LOWER, CPU__T, CPU__NON_UNIT, (int)rows, (int)columns, 1.0,
                          f->a + k * nb * (f->lda + 1), lda, a_ik, lda);
        }
    }
    atomic_store_explicit(&f->done[i], k + 1, memory_order_release);
}

enum { COUNTERS = 512 };

int cpu__cholesky(cpu__ctx *c, double *a, int64_t lda, int64_t n, int64_t *info) {
    counter done[COUNTERS];
    factoring f = {.ctx = c, .a = a, .lda = lda, .n = n, .tile = cpu__tile(n), .done = done};
    while ((n + f.tile - 1) / f.tile > COUNTERS) f.tile *= 2;
    f.n_tiles = (n + f.tile - 1) / f.tile;
    for (int64_t i = 0; i < f.n_tiles; i++) atomic_init(&done[i], 0);
    atomic_init(&f.info, 0);
    const double work = (double)n * (double)n * (double)n / 3;
    const int rc = cpu__parallel(c, f.n_tiles * (f.n_tiles + 1) / 2, 8, work, factor_task, &f);
    *info = atomic_load(&f.info);
    return rc;
}

double cpu__logdet(const double *l, int64_t ldl, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += log(l[i * (ldl + 1)]);
    return 2 * sum;
}

// ---- solves

typedef struct solving {
    const cpu__ctx *ctx;
    const double *l;
    double *b;
    int64_t ldl, n, ldb, s, strip, n_tiles;
    bool transposed;
    counter *done; // tiles that are final, from the first (from the last, if transposed)
} solving;

static void thin_task(void *payload, int64_t task, double *scratch) {
    const solving *f = payload;
    const cpu__ctx *c = f->ctx;
    (void)scratch;
    const int64_t nb = THIN_TILE, i = f->transposed ? f->n_tiles - 1 - task : task, rows = length_of(f->n, nb, i);
    double *b_i = f->b + i * nb;
    for (int64_t step = 0; step < task; step++) {
        const int64_t j = f->transposed ? f->n_tiles - 1 - step : step, k = length_of(f->n, nb, j);
        wait_for(f->done, step + 1);
        if (f->transposed)
            c->vec->thin_transposed(b_i, f->ldb, f->l + j * nb + i * nb * f->ldl, f->ldl, f->b + j * nb, f->ldb, rows,
                                    k, f->s);
        else
            c->vec->thin(b_i, f->ldb, f->l + i * nb + j * nb * f->ldl, f->ldl, f->b + j * nb, f->ldb, rows, k, f->s);
    }
    const double *l_ii = f->l + i * nb * (f->ldl + 1);
    if (f->s == 1)
        c->blas->trsv(CPU__COL_MAJOR, CPU__LOWER, f->transposed ? CPU__T : CPU__N, CPU__NON_UNIT, (int)rows, l_ii,
                      (int)f->ldl, b_i, 1);
    else
        c->blas->trsm(CPU__COL_MAJOR, CPU__LEFT, CPU__LOWER, f->transposed ? CPU__T : CPU__N, CPU__NON_UNIT, (int)rows,
                      (int)f->s, 1.0, l_ii, (int)f->ldl, b_i, (int)f->ldb);
    atomic_store_explicit(f->done, task + 1, memory_order_release);
}

void cpu__solve_here(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, bool transposed, double *b,
                     int64_t ldb, int64_t s) {
    c->blas->trsm(CPU__COL_MAJOR, CPU__LEFT, CPU__LOWER, transposed ? CPU__T : CPU__N, CPU__NON_UNIT, (int)n, (int)s,
                  1.0, l, (int)ldl, b, (int)ldb);
}

static void wide_task(void *payload, int64_t task, double *scratch) {
    const solving *f = payload;
    (void)scratch;
    cpu__solve_here(f->ctx, f->l, f->ldl, f->n, f->transposed, f->b + task * f->strip * f->ldb, f->ldb,
                    length_of(f->s, f->strip, task));
}

int cpu__solve(cpu__ctx *c, const double *l, int64_t ldl, int64_t n, bool transposed, double *b, int64_t ldb,
               int64_t s) {
    counter done;
    atomic_init(&done, 0);
    solving f = {
        .ctx = c, .l = l, .b = b, .ldl = ldl, .n = n, .ldb = ldb, .s = s, .transposed = transposed, .done = &done};
    const double work = (double)n * (double)n * (double)s;
    if (s >= WIDE_FROM) {
        f.strip = s < 512 ? 64 : s < 2048 ? 128 : 256;
        return cpu__parallel(c, (s + f.strip - 1) / f.strip, 8, work, wide_task, &f);
    }
    f.n_tiles = (n + THIN_TILE - 1) / THIN_TILE;
    return cpu__parallel(c, f.n_tiles, 8, work, thin_task, &f);
}

// ---- Gram product

typedef struct gram {
    const cpu__ctx *ctx;
    const double *v;
    double *out;
    int64_t ldv, n, m, ldo, tile, n_tiles;
} gram;

// Task t of the lower triangle of tiles, rows first.
static void triangle(int64_t t, int64_t *i, int64_t *j) {
    *i = 0;
    while (t > *i) t -= ++*i;
    *j = t;
}

static void gram_task(void *payload, int64_t task, double *scratch) {
    const gram *g = payload;
    (void)scratch;
    int64_t i, j;
    triangle(task, &i, &j);
    const int64_t nb = g->tile, rows = length_of(g->m, nb, i), columns = length_of(g->m, nb, j);
    double *to = g->out + i * nb + j * nb * g->ldo;
    if (i == j)
        g->ctx->blas->syrk(CPU__COL_MAJOR, CPU__LOWER, CPU__T, (int)rows, (int)g->n, -1.0, g->v + i * nb * g->ldv,
                           (int)g->ldv, 1.0, to, (int)g->ldo);
    else
        g->ctx->blas->gemm(CPU__COL_MAJOR, CPU__T, CPU__N, (int)rows, (int)columns, (int)g->n, -1.0,
                           g->v + i * nb * g->ldv, (int)g->ldv, g->v + j * nb * g->ldv, (int)g->ldv, 1.0, to,
                           (int)g->ldo);
}

int cpu__subtract_gram(cpu__ctx *c, const double *v, int64_t ldv, int64_t n, int64_t m, double *out, int64_t ldo) {
    gram g = {.ctx = c, .v = v, .out = out, .ldv = ldv, .n = n, .m = m, .ldo = ldo, .tile = TILE_SMALL};
    if (n == 0) return HPT_OK;
    g.n_tiles = (m + g.tile - 1) / g.tile;
    return cpu__parallel(c, g.n_tiles * (g.n_tiles + 1) / 2, 8, (double)n * (double)m * (double)m, gram_task, &g);
}

// ---- inverse

typedef struct inverting {
    const cpu__ctx *ctx;
    double *a, *diagonal;
    int64_t lda, n, tile;
} inverting;

static void invert_diagonal(void *payload, int64_t j, double *scratch) {
    const inverting *f = payload;
    (void)scratch;
    const int64_t nb = f->tile, rows = length_of(f->n, nb, j);
    double *u_jj = f->diagonal + j * nb * nb;
    memset(u_jj, 0, (size_t)(nb * nb) * sizeof(double));
    for (int64_t i = 0; i < rows; i++) u_jj[i * (nb + 1)] = 1;
    f->ctx->blas->trsm(CPU__COL_MAJOR, CPU__RIGHT, CPU__LOWER, CPU__T, CPU__NON_UNIT, (int)rows, (int)rows, 1.0,
                       f->a + j * nb * (f->lda + 1), (int)f->lda, u_jj, (int)nb);
}

// U_jc = -(sum over j <= k < c of U_jk L_ck') U_cc.
static void invert_row(void *payload, int64_t j, double *scratch) {
    const inverting *f = payload;
    const cpu__blas *blas = f->ctx->blas;
    const int64_t nb = f->tile, rows = length_of(f->n, nb, j), first = j * nb;
    const int lda = (int)f->lda;
    for (int64_t c = j + 1; c * nb < f->n; c++) {
        const int64_t columns = length_of(f->n, nb, c), next = first + rows;
        const double *l_c = f->a + c * nb;
        blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)rows, -1.0, f->diagonal + j * nb * nb,
                   (int)nb, l_c + first * f->lda, lda, 0.0, scratch, (int)nb);
        if (c * nb > next)
            blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)(c * nb - next), -1.0,
                       f->a + first + next * f->lda, lda, l_c + next * f->lda, lda, 1.0, scratch, (int)nb);
        blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__N, (int)rows, (int)columns, (int)columns, 1.0, scratch, (int)nb,
                   f->diagonal + c * nb * nb, (int)nb, 0.0, f->a + first + c * nb * f->lda, lda);
    }
}

int cpu__invert(cpu__ctx *c, double *a, int64_t lda, int64_t n, double *diagonal) {
    inverting f = {c, a, diagonal, lda, n, cpu__tile(n)};
    const int64_t tiles = (n + f.tile - 1) / f.tile;
    const double work = (double)n * (double)n * (double)n / 3;
    int rc = HPT_OK;
    HPT_TRY(cpu__parallel(c, tiles, 8, work, invert_diagonal, &f));
    HPT_TRY(cpu__parallel(c, tiles - 1, f.tile * f.tile, work, invert_row, &f));
out:
    return rc;
}

void cpu__inverse_tile(const cpu__ctx *c, const double *a, int64_t lda, int64_t n, const double *diagonal, int64_t i,
                       int64_t j, double *t) {
    const int64_t nb = cpu__tile(n), rows = length_of(n, nb, i), columns = length_of(n, nb, j), next = i * nb + rows;
    const double *u_ii = diagonal + i * nb * nb;
    const double *u_ji = i == j ? u_ii : a + j * nb + i * nb * lda;
    c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)rows, 1.0, u_ii, (int)nb, u_ji,
                  i == j ? (int)nb : (int)lda, 0.0, t, (int)nb);
    if (next < n)
        c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)(n - next), 1.0,
                      a + i * nb + next * lda, (int)lda, a + j * nb + next * lda, (int)lda, 1.0, t, (int)nb);
}
