// SPDX-License-Identifier: Apache-2.0
// cpu_impl.h: what the files of backend `cpu` share: context, buffers, prepared covariances and points, dense algebra.
//
// Layout: points are columns of numbers (column p of all points is contiguous), sorted by block and within a block numeric
// before categorical, numeric ones already divided by their length scale. Square matrices are column-major, lower triangle.
// Lengths of columns are padded by 8 and more, so that vector loops need no tails; what lies in the padding is finite.
// Threads: tiles are cut by the problem alone, each is computed by one thread with a single-threaded BLAS, and sums over
// tiles are added in the order of the tiles. So results do not depend on the number of threads.
#ifndef HPT_CPU_IMPL_H
#define HPT_CPU_IMPL_H

#include "../core/backend/backend_impl.h"
#include "../core/base/pool.h"
#include "cpu_blas.h"
#include "cpu_vec.h"

enum { CPU__CHUNK = 256, CPU__TILE = 128, CPU__BASE = 32, CPU__PAD = 8, CPU__GROW = 64 }; // CHUNK: two tiles

static inline int64_t cpu__round(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}
// Leading dimension of an inverse's blocks on the diagonal (cpu__invert): no more than the matrix has.
static inline int64_t cpu__diagonal_ld(int64_t n) {
    return n < CPU__CHUNK ? cpu__round(n, CPU__PAD) : CPU__CHUNK;
}

typedef struct cpu__buf { // numbers that a context counts against its memory limit; grows, never shrinks
    void *base;
    double *data; // at a multiple of 64 bytes
    int64_t size; // doubles
} cpu__buf;

typedef struct cpu__ctx {
    hpt__pool *pool;
    const cpu__blas *blas;
    const cpu__vec_ops *vec;
    int64_t n_threads, limit, used; // bytes; limit INT64_MAX: unknown
    cpu__buf *scratch;              // n_threads
} cpu__ctx;

// A covariance with sorted columns and, after set, its hyperparameters.
typedef struct cpu__kernel {
    const hpt__cov *cov; // borrowed
    void *memory;
    int64_t *order, *first, *n_num, *n_cat; // d: column at a sorted place; blocks: first place, numbers of columns
    double *inv_l, *inv_l2;                 // d, sorted
    double *amp;                            // terms
    double noise;
} cpu__kernel;

typedef struct cpu__points {
    cpu__buf buf;
    double *x, *act; // d columns and n_terms columns (1: all blocks of the term are active, else 0), ld numbers each
    int64_t ld, n;
} cpu__points;

// ---- cpu_context.c
int cpu__count(int64_t *n, char *why, size_t size);
int cpu__describe(hpt__device_desc *out, int64_t index);
int cpu__open(void **ctx, int64_t index, const hpt__ctx_options *options);
void cpu__close(void *ctx);
// At least size doubles; the old contents are lost when it has to grow. HPT_E_MEMORY names need and limit.
int cpu__buf_reserve(cpu__ctx *c, cpu__buf *b, int64_t size, const char *what);
void cpu__buf_free(cpu__ctx *c, cpu__buf *b);

// fn(payload, i, scratch) for i in [0, n), dealt out in this order: a task may wait for tasks before it. `work`: about how
// many flops all are; little work stays in the calling thread. Each thread has `scratch` doubles of its own.
typedef void (*cpu__task)(void *payload, int64_t i, double *scratch);
int cpu__parallel(cpu__ctx *c, int64_t n, int64_t scratch, double work, cpu__task fn, void *payload);

// ---- cpu_cov.c
int cpu__kernel_init(cpu__kernel *k, const hpt__cov *cov);
void cpu__kernel_fini(cpu__kernel *k);
void cpu__kernel_set(cpu__kernel *k, const double *theta);
double cpu__kernel_diagonal(const cpu__kernel *k, const double *act, int64_t ld); // k(z, z); act of z, ld apart
// Room for n points, the first `keep` stay.
int cpu__points_reserve(cpu__ctx *c, cpu__points *p, const cpu__kernel *k, int64_t n, int64_t keep);
// Packs k points from row-major x as rows at .. at + k - 1; there are at + k then. The padding behind them is zero.
void cpu__points_set(cpu__points *p, const cpu__kernel *kernel, int64_t at, const double *x, const uint64_t *mask,
                     int64_t k);
// Scratch of the two below in doubles.
int64_t cpu__column_scratch(const cpu__kernel *k);
// out[0 .. n - 1] = covariances of rows i .. i + n - 1 of x with row j of z; up to 7 numbers behind are overwritten.
void cpu__column(const cpu__ctx *c, const cpu__kernel *k, const cpu__points *x, int64_t i, int64_t n,
                 const cpu__points *z, int64_t j, double *out, double *scratch);
// The same for at most CHUNK rows in parts: values of term t at values + t CHUNK where it is active in row j of z, slopes h
// of block b in slope[b], summed over the terms that contain b; NULL: zero. z: row j of z, d numbers.
typedef struct cpu__parts {
    const double *values;
    const double *slope[HPT__BLOCKS_MAX];
    const double *z;
} cpu__parts;
void cpu__column_parts(const cpu__ctx *c, const cpu__kernel *k, const cpu__points *x, int64_t i, int64_t n,
                       const cpu__points *z, int64_t j, cpu__parts *part, double *scratch);
// K (lower triangle and up to 7 numbers of each column above it) of rows 0 .. n - 1 of x, and of x with z.
int cpu__fill_lower(cpu__ctx *c, const cpu__kernel *kernel, const cpu__points *x, int64_t n, double *k, int64_t ldk);
int cpu__fill_cross(cpu__ctx *c, const cpu__kernel *kernel, const cpu__points *x, int64_t n, const cpu__points *z,
                    int64_t m, double *k, int64_t ldk);
int cpu__cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                   int64_t n, double *k, int64_t ldk);
int cpu__cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                   int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk);

// ---- cpu_factor.c
// A (n x n, lower) = L L' in place. *info: 0, or the pivot from 1 at which it is not positive definite. inverses (BASE x n):
// those of L's blocks of BASE on the diagonal, transposed, as the solves and cpu__invert need them.
int cpu__cholesky(cpu__ctx *c, double *a, int64_t lda, int64_t n, double *inverses, int64_t *info);
int64_t cpu__factor_scratch(int64_t n); // doubles of a thread's scratch, for factor and inverse
// The inverses that rows from .. n - 1 have a part in.
void cpu__invert_blocks(const cpu__ctx *c, const double *l, int64_t ldl, int64_t from, int64_t n, double *inverses);
double cpu__logdet(const double *l, int64_t ldl, int64_t n); // of L L'
// B (n x s) = L^-1 B, or L^-T B.
int cpu__solve(cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *inverses, bool transposed, double *b,
               int64_t ldb, int64_t s);
// The same in the calling thread, for one tile of a wide B. scratch: BASE x s.
void cpu__solve_here(const cpu__ctx *c, const double *l, int64_t ldl, int64_t n, const double *inverses,
                     bool transposed, double *b, int64_t ldb, int64_t s, double *scratch);
// C (m x m, lower) -= V' V, V (n x m).
int cpu__subtract_gram(cpu__ctx *c, const double *v, int64_t ldv, int64_t n, int64_t m, double *out, int64_t ldo);
// With L and the inverses of cpu__cholesky: U = L^-T, its blocks of CHUNK above the diagonal into A's, those on it into
// diagonal (cpu__diagonal_ld(n) x n).
int cpu__invert(cpu__ctx *c, double *a, int64_t lda, int64_t n, const double *inverses, double *diagonal);
// Rows first .. first + rows - 1 (they start with a block and end with tile i or before it) of the columns of tile i of
// (L L')^-1 = U U' into t (rows x TILE). What lies below the diagonal is as good.
void cpu__inverse_block(const cpu__ctx *c, const double *a, int64_t lda, int64_t n, const double *diagonal,
                        int64_t first, int64_t rows, int64_t i, double *t, int64_t ldt);

// ---- cpu_model.c
typedef struct cpu__lane { // what one likelihood takes beside the model's points
    cpu__kernel kernel;
    cpu__points points;
    cpu__buf square, work;
    cpu__buf scratch; // of `alone`
    cpu__ctx alone;   // one thread, for a likelihood beside others; its buffers have their size beforehand
} cpu__lane;

typedef struct cpu__model {
    cpu__ctx *ctx;
    const hpt__cov *cov; // borrowed
    cpu__kernel fit;     // hyperparameters of the factor
    cpu__points points;  // packed for fit; as many rows as the factor has
    cpu__points candidates;
    cpu__lane *lanes; // n_threads; the first is always there, the others from when they are first needed
    cpu__buf raw;     // cap x d, row-major
    uint64_t *mask;   // cap
    cpu__buf factor, inverses, alpha, work,
        cross;                      // inverses: of the factor's blocks on the diagonal, BASE x cap
    int64_t n, cap, ldl, rows, n_y; // points, room, the factor's leading dimension and rows, points that have weights
    double jitter;
} cpu__model;

int cpu__model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap);
void cpu__model_destroy(void *model);
int64_t cpu__model_bytes(const void *model);
int cpu__model_set_points(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k);
int cpu__model_truncate(void *model, int64_t n);
int cpu__model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info);
int cpu__model_append(void *model, double *logdet, int64_t *info);
int64_t cpu__model_rows(const void *model);
int cpu__model_set_y(void *model, const double *y, int64_t n);
int cpu__model_get_factor(const void *model, double *l, int64_t ldl);
int cpu__model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s);
bool cpu__supports(hpt__op op, const hpt__model_shape *shape);
int64_t cpu__need_bytes(const hpt__model_shape *shape);

// ---- cpu_mll.c
void cpu__lane_fini(cpu__ctx *c, cpu__lane *lane);
int64_t cpu__lane_size(const cpu__lane *lane); // doubles
int cpu__mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
             int64_t *info);
int cpu__mll_many(void *model, hpt__mll_job *jobs, int64_t k, int64_t n);

// ---- cpu_fill.c
int cpu__fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                    double *out);
int cpu__fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out);

// ---- cpu_predict.c
int cpu__posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                   double *dmean, double *dvar);
int cpu__acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                 double *grad);
int cpu__joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc);
int cpu__screen(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, int64_t k,
                int64_t *index, double *value);

// ---- cpu_path.c
int cpu__paths(void *model, const hpt__paths *paths, const double *z, const uint64_t *zmask, int64_t m, double *out,
               int64_t ldo);

#endif
