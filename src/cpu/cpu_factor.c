// SPDX-License-Identifier: Apache-2.0
// cpu_factor.c: Cholesky factor, triangular solves, inverse and Gram products of large matrices, in tiles over the pool.
//
// Factor. Tile (i, k), columns first:  A_ik - sum_{j<k} L_ij L_kj'  (one product for j < k - 1 and one for k - 1, which
//   is final last), then the factor of the tile if i = k, else the solve with L_kk'. A tile waits for its two rows before each
//   product and then for L_kk; tiles are dealt out in this order, so whatever a tile waits for is done or being done, and
//   the next column starts while this one ends.
//   Tiles of a column go together in groups of ROWS rows, and from LARGE on tiles have 256 columns: OpenBLAS multiplies
//   128 x 128 x 500 at 0.8 of its rate for large matrices, 512 x 256 x 500 at 0.95.
// Solve with L_kk'. Products too, with the inverses of its BASE x BASE blocks on the diagonal, which the factor of the tile
//   needs as well: the BLAS solves with 128 columns at a third of its rate. The blocks are small, so their inverses cost
//   nothing and are as well conditioned as the solve itself. At n = 1000 the factor went from 0.53 to 0.70 of the rate of a
//   product of that size, at 2000 from 0.65 to 0.78 (one thread, best of 15 of one run; potrf of OpenBLAS: 0.53, 0.62).
// Solve with few right-hand sides. Row i: B_i - sum_{j<i} L_ij Y_j, then the tile on the diagonal; dealt out the same way.
//   Products of our own (cpu_vec.h: thin): a BLAS copies L into its packed form first, which here costs more than the product.
// Solve with many: each thread has a strip of columns and halves the triangle down to blocks of BASE, of which there are
//   inverses: three times the rate of the BLAS's own solve at n = 300, 1.7 times at 1,000, 1.4 times at 2,000.
// Inverse. U = L^-T by rows of BLOCK rows, each independent of the others: the block on the diagonal, then to the right of
//   it, solved with the same inverses. Stored above the diagonal of L. A block of the inverse is U_j,i.. U_i,i..', one
//   product.
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

enum { TILE = CPU__TILE, BLOCK = CPU__CHUNK, BASE = CPU__BASE, LARGE = 768, ROWS = 512, WIDE_FROM = 64, SPINS = 200 };

typedef atomic_int_least64_t counter;

static int64_t length_of(int64_t n, int64_t tile, int64_t i) {
    return n - i * tile < tile ? n - i * tile : tile;
}

// Of factors and Gram products: large tiles are multiplied faster, small ones occupy more threads.
static int64_t tile_of(int64_t n) {
    return n < LARGE ? TILE : BLOCK;
}

// Waits until *at >= value. What is waited for is being computed by another thread; if that one lost its core, yield.
static void wait_for(counter *at, int64_t value) {
    for (int64_t spins = 0; atomic_load_explicit(at, memory_order_acquire) < value; spins++)
        if (spins > SPINS) sched_yield();
}

// ---- factor

// U (n x n, n <= BASE) = L^-T with zeros below the diagonal.
static void invert_base(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, double *u) {
    for (int64_t j = 0; j < n; j++) {
        memset(u + j * BASE, 0, (size_t)n * sizeof(double));
        u[j * (BASE + 1)] = 1;
    }
    c->blas->trsm(CPU__COL_MAJOR, CPU__RIGHT, CPU__LOWER, CPU__T, CPU__NON_UNIT, (int)n, (int)n, 1.0, l, (int)ldl, u,
                  BASE);
}

void cpu__invert_blocks(const cpu__ctx *c, const double *l, int64_t ldl, int64_t from, int64_t n, double *inverses) {
    for (int64_t j = from / BASE * BASE; j < n; j += BASE)
        invert_base(c, l + j * (ldl + 1), ldl, length_of(n, BASE, j / BASE), inverses + j * BASE);
}

// B (rows x n) <- B L^-T, from left to right. u: L's BASE x BASE inverses. scratch: rows x BASE.
static void solve_rows(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *u, double *b,
                       int64_t ldb, int64_t rows, double *scratch) {
    const int m = (int)rows, ld = (int)ldb;
    for (int64_t j = 0; j < n; j += BASE) {
        const int width = (int)length_of(n, BASE, j / BASE);
        double *to = b + j * ldb;
        if (j > 0)
            c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, m, width, (int)j, -1.0, b, ld, l + j, (int)ldl, 1.0, to, ld);
        for (int64_t q = 0; q < width; q++) memcpy(scratch + q * rows, to + q * ldb, (size_t)rows * sizeof(double));
        c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__N, m, width, width, 1.0, scratch, m, u + j * BASE, BASE, 0.0, to,
                      ld);
    }
}

// Recursive on halves; the smallest are cpu_vec.h's.
static int64_t factor_tile(const cpu__ctx *c, double *a, int64_t lda, int64_t n, double *u, double *scratch) {
    if (n <= BASE) {
        const int64_t info = c->vec->cholesky(a, lda, n);
        if (!info) invert_base(c, a, lda, n, u);
        return info;
    }
    const int64_t half = cpu__round(n / 2, BASE), rest = n - half;
    double *below = a + half, *corner = below + half * lda;
    int64_t info = factor_tile(c, a, lda, half, u, scratch);
    if (info) return info;
    solve_rows(c, a, lda, half, u, below, lda, rest, scratch);
    c->blas->syrk(CPU__COL_MAJOR, CPU__LOWER, CPU__N, (int)rest, (int)half, -1.0, below, (int)lda, 1.0, corner,
                  (int)lda);
    info = factor_tile(c, corner, lda, rest, u + half * BASE, scratch);
    return info ? info + half : 0;
}

typedef struct factoring {
    const cpu__ctx *ctx;
    double *a, *u; // u: inverses of the blocks on the diagonal
    int64_t lda, n, tile, group, n_tiles;
    counter *done; // columns of tiles that are final, for each row of tiles
    counter info;  // first pivot that failed, or 0
} factoring;

// Tasks of a column: the tile on the diagonal; the one below it, which the next column waits for; the rest in groups.
static int64_t column_tasks(const factoring *f, int64_t below) {
    return below == 0 ? 1 : 2 + (below - 1 + f->group - 1) / f->group;
}

// Rows of column k of tiles minus the products with columns [first, last) of tiles, once those are final in them.
static void update_rows(const factoring *f, int64_t k, int64_t from, int64_t end, int64_t rows, int64_t first,
                        int64_t last) {
    if (first < 0 || first >= last) return;
    const cpu__blas *blas = f->ctx->blas;
    const int64_t nb = f->tile;
    const int columns = (int)length_of(f->n, nb, k), depth = (int)((last - first) * nb), lda = (int)f->lda;
    const double *left = f->a + from * nb + first * nb * f->lda, *left_k = f->a + k * nb + first * nb * f->lda;
    double *to = f->a + from * nb + k * nb * f->lda;
    for (int64_t i = from; i < end; i++) wait_for(&f->done[i], last);
    wait_for(&f->done[k], last);
    if (from == k)
        blas->syrk(CPU__COL_MAJOR, CPU__LOWER, CPU__N, (int)rows, depth, -1.0, left, lda, 1.0, to, lda);
    else
        blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, columns, depth, -1.0, left, lda, left_k, lda, 1.0, to,
                   lda);
}

static void factor_task(void *payload, int64_t task, double *scratch) {
    factoring *f = payload;
    int64_t k = 0;
    for (int64_t in; task >= (in = column_tasks(f, f->n_tiles - 1 - k)); k++) task -= in;
    const int64_t nb = f->tile, from = task < 2 ? k + task : k + 2 + (task - 2) * f->group;
    const int64_t last = task < 2 ? from + 1 : from + f->group, end = last < f->n_tiles ? last : f->n_tiles;
    const int64_t rows = (end * nb < f->n ? end * nb : f->n) - from * nb;
    double *corner = f->a + k * nb * (f->lda + 1), *to = f->a + from * nb + k * nb * f->lda, *u = f->u + k * nb * BASE;
    update_rows(f, k, from, end, rows, 0, k - 1);
    update_rows(f, k, from, end, rows, k - 1, k);
    if (from > k) wait_for(&f->done[k], k + 1);
    if (atomic_load(&f->info) == 0) {
        if (from == k) {
            const int64_t info = factor_tile(f->ctx, corner, f->lda, rows, u, scratch);
            if (info) atomic_store(&f->info, info + k * nb);
        } else {
            solve_rows(f->ctx, corner, f->lda, nb, u, to, f->lda, rows, scratch);
        }
    }
    for (int64_t i = from; i < end; i++) atomic_store_explicit(&f->done[i], k + 1, memory_order_release);
}

static int64_t group_of(int64_t tile) {
    return tile < ROWS ? ROWS / tile : 1;
}

int64_t cpu__factor_scratch(int64_t n) {
    const int64_t tile = tile_of(n), factor = group_of(tile) * tile * BASE, inverse = BLOCK * BASE;
    return factor > inverse ? factor : inverse;
}

enum { COUNTERS = 1024 };

int cpu__cholesky(cpu__ctx *c, double *a, int64_t lda, int64_t n, double *inverses, int64_t *info) {
    counter done[COUNTERS];
    factoring f = {.ctx = c, .a = a, .u = inverses, .lda = lda, .n = n, .tile = tile_of(n), .done = done};
    while ((n + f.tile - 1) / f.tile > COUNTERS) f.tile *= 2;
    f.group = group_of(f.tile);
    f.n_tiles = (n + f.tile - 1) / f.tile;
    int64_t tasks = 0;
    for (int64_t i = 0; i < f.n_tiles; i++) {
        atomic_init(&done[i], 0);
        tasks += column_tasks(&f, i);
    }
    atomic_init(&f.info, 0);
    const double work = (double)n * (double)n * (double)n / 3;
    const int rc = cpu__parallel(c, tasks, f.group * f.tile * BASE, work, factor_task, &f);
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
    const double *l, *u; // u: inverses
    double *b;
    int64_t ldl, n, ldb, s, strip, n_tiles;
    bool transposed;
    counter *done; // tiles that are final, from the first (from the last, if transposed)
} solving;

void cpu__solve_here(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *inverses,
                     bool transposed, double *b, int64_t ldb, int64_t s, double *scratch) {
    const cpu__blas *blas = c->blas;
    if (n <= BASE) {
        for (int64_t j = 0; j < s; j++) memcpy(scratch + j * n, b + j * ldb, (size_t)n * sizeof(double));
        blas->gemm(CPU__COL_MAJOR, transposed ? CPU__N : CPU__T, CPU__N, (int)n, (int)s, (int)n, 1.0, inverses, BASE,
                   scratch, (int)n, 0.0, b, (int)ldb);
        return;
    }
    const int64_t half = cpu__round(n / 2, BASE), rest = n - half;
    const double *l21 = l + half, *l22 = l21 + half * ldl, *inverses2 = inverses + half * BASE;
    double *b2 = b + half;
    if (transposed) {
        cpu__solve_here(c, l22, ldl, rest, inverses2, transposed, b2, ldb, s, scratch);
        blas->gemm(CPU__COL_MAJOR, CPU__T, CPU__N, (int)half, (int)s, (int)rest, -1.0, l21, (int)ldl, b2, (int)ldb, 1.0,
                   b, (int)ldb);
        cpu__solve_here(c, l, ldl, half, inverses, transposed, b, ldb, s, scratch);
    } else {
        cpu__solve_here(c, l, ldl, half, inverses, transposed, b, ldb, s, scratch);
        blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__N, (int)rest, (int)s, (int)half, -1.0, l21, (int)ldl, b, (int)ldb, 1.0,
                   b2, (int)ldb);
        cpu__solve_here(c, l22, ldl, rest, inverses2, transposed, b2, ldb, s, scratch);
    }
}

static void thin_task(void *payload, int64_t task, double *scratch) {
    const solving *f = payload;
    const cpu__ctx *c = f->ctx;
    const int64_t nb = TILE, i = f->transposed ? f->n_tiles - 1 - task : task, rows = length_of(f->n, nb, i);
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
        cpu__solve_here(c, l_ii, f->ldl, rows, f->u + i * nb * BASE, f->transposed, b_i, f->ldb, f->s, scratch);
    atomic_store_explicit(f->done, task + 1, memory_order_release);
}

static void wide_task(void *payload, int64_t task, double *scratch) {
    const solving *f = payload;
    cpu__solve_here(f->ctx, f->l, f->ldl, f->n, f->u, f->transposed, f->b + task * f->strip * f->ldb, f->ldb,
                    length_of(f->s, f->strip, task), scratch);
}

int cpu__solve(cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *inverses, bool transposed, double *b,
               int64_t ldb, int64_t s) {
    counter done;
    atomic_init(&done, 0);
    solving f = {.ctx = c,
                 .l = l,
                 .u = inverses,
                 .b = b,
                 .ldl = ldl,
                 .n = n,
                 .ldb = ldb,
                 .s = s,
                 .transposed = transposed,
                 .done = &done};
    const double work = (double)n * (double)n * (double)s;
    if (s >= WIDE_FROM) {
        f.strip = s < 512 ? 64 : s < 2048 ? 128 : 256;
        return cpu__parallel(c, (s + f.strip - 1) / f.strip, BASE * f.strip, work, wide_task, &f);
    }
    f.n_tiles = (n + TILE - 1) / TILE;
    return cpu__parallel(c, f.n_tiles, BASE * s, work, thin_task, &f);
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
    gram g = {.ctx = c, .v = v, .out = out, .ldv = ldv, .n = n, .m = m, .ldo = ldo, .tile = tile_of(m)};
    if (n == 0) return HPT_OK;
    g.n_tiles = (m + g.tile - 1) / g.tile;
    return cpu__parallel(c, g.n_tiles * (g.n_tiles + 1) / 2, 8, (double)n * (double)m * (double)m, gram_task, &g);
}

// ---- inverse

typedef struct inverting {
    const cpu__ctx *ctx;
    double *a, *diagonal;
    const double *u;
    int64_t lda, n, ldu; // ldu: of diagonal
} inverting;

// U (n x n) = L^-T with zeros below the diagonal:  U_12 = -U_11 L_21' U_22.
static void invert_block(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *base, double *u,
                         int64_t ldu, double *scratch) {
    if (n <= BASE) {
        for (int64_t j = 0; j < n; j++) memcpy(u + j * ldu, base + j * BASE, (size_t)n * sizeof(double));
        return;
    }
    const int64_t half = cpu__round(n / 2, BASE), rest = n - half;
    const double *l22 = l + half * (ldl + 1), *base2 = base + half * BASE;
    double *u12 = u + half * ldu;
    invert_block(c, l, ldl, half, base, u, ldu, scratch);
    invert_block(c, l22, ldl, rest, base2, u12 + half, ldu, scratch);
    for (int64_t j = 0; j < half; j++) memset(u + half + j * ldu, 0, (size_t)rest * sizeof(double));
    c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)half, (int)rest, (int)half, -1.0, u, (int)ldu, l + half,
                  (int)ldl, 0.0, u12, (int)ldu);
    solve_rows(c, l22, ldl, rest, base2, u12, ldu, half, scratch);
}

// A row of blocks j:  U_jc = -(sum over j <= k < c of U_jk L_ck') L_cc^-T, columns c in turn.
static void invert_rows(void *payload, int64_t j, double *scratch) {
    const inverting *f = payload;
    const cpu__blas *blas = f->ctx->blas;
    const int64_t lda = f->lda, first = j * BLOCK, next = first + BLOCK, rows = length_of(f->n, BLOCK, j);
    const int ld = (int)lda, ldu = (int)f->ldu, m = (int)rows, half = rows > TILE ? TILE : 0;
    double *u_jj = f->diagonal + first * ldu;
    invert_block(f->ctx, f->a + first * (lda + 1), lda, rows, f->u + first * BASE, u_jj, ldu, scratch);
    for (int64_t c = j + 1; c * BLOCK < f->n; c++) {
        const int64_t at = c * BLOCK, columns = length_of(f->n, BLOCK, c);
        const double *l_c = f->a + at;
        double *to = f->a + first + at * lda;
        // The lower left quarter of U_jj is zero.
        blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, m, (int)columns, m - half, -1.0, u_jj + half * ldu, ldu,
                   l_c + (first + half) * lda, ld, 0.0, to, ld);
        if (half > 0)
            blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, half, (int)columns, half, -1.0, u_jj, ldu, l_c + first * lda, ld,
                       1.0, to, ld);
        if (at > next)
            blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, m, (int)columns, (int)(at - next), -1.0,
                       f->a + first + next * lda, ld, l_c + next * lda, ld, 1.0, to, ld);
        solve_rows(f->ctx, l_c + at * lda, lda, columns, f->u + at * BASE, to, lda, rows, scratch);
    }
}

int cpu__invert(cpu__ctx *c, double *a, int64_t lda, int64_t n, const double *inverses, double *diagonal) {
    inverting f = {
        .ctx = c, .a = a, .diagonal = diagonal, .u = inverses, .lda = lda, .n = n, .ldu = cpu__diagonal_ld(n)};
    const double work = (double)n * (double)n * (double)n / 3;
    return cpu__parallel(c, (n + BLOCK - 1) / BLOCK, BLOCK * BASE, work, invert_rows, &f);
}

void cpu__inverse_block(const cpu__ctx *c, const double *a, int64_t lda, int64_t n, const double *diagonal,
                        int64_t first, int64_t rows, int64_t i, double *t, int64_t ldt) {
    const int64_t start = i * TILE, columns = length_of(n, TILE, i), b = start / BLOCK, off = start - b * BLOCK;
    const int64_t next = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n;
    const int64_t ldu = cpu__diagonal_ld(n);
    const double *u_bb = diagonal + b * BLOCK * ldu;
    const bool same = first == b * BLOCK; // rows and columns of one block
    c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)(next - start), 1.0,
                  same ? u_bb + off * ldu : a + first + start * lda, same ? (int)ldu : (int)lda, u_bb + off * (ldu + 1),
                  (int)ldu, 0.0, t, (int)ldt);
    if (next < n)
        c->blas->gemm(CPU__COL_MAJOR, CPU__N, CPU__T, (int)rows, (int)columns, (int)(n - next), 1.0,
                      a + first + next * lda, (int)lda, a + start + next * lda, (int)lda, 1.0, t, (int)ldt);
}
