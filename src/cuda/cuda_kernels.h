// SPDX-License-Identifier: Apache-2.0
// cuda_kernels.h: what the host hands to each kernel. Read by both compilers: plain C.
//
// Every kernel takes one struct by value. So the list below is all there is to know about a launch: the host's launcher
// (cuda_launch.h) takes a pointer to exactly this struct, and a kernel is found by its name in the module.
// Pointers are device pointers. Letters and formulas: core/backend/backend_impl.h. Matrices are column-major.
#ifndef HPT_CUDA_KERNELS_H
#define HPT_CUDA_KERNELS_H

#include "../core/backend/backend_impl.h"

#define CUDA__WARP 32     // threads that run together
#define CUDA__SIDE 16     // threads of a tile's edge
#define CUDA__TILE 64     // edge of a tile of the covariance: 4 x 4 entries a thread
#define CUDA__SUM_TILE 32 // edge of a tile of the slope sums: 2 x 2 entries a thread
#define CUDA__CHUNK 16    // columns of points in shared memory
#define CUDA__THREADS 256
#define CUDA__GROUP 8  // columns whose slopes one block sums
#define CUDA__SMALL 32 // edge of the triangles that the recursion of cuda_factor.c ends with
#define CUDA__BLOCK 64 // edge of the triangles that an inverse begins with; their kernel's threads
#define CUDA__THIN 8   // columns that one reading of a triangle serves
#define CUDA__THIN_THREADS 512
#define CUDA__PLACES 8  // candidates whose waves one thread makes, of one feature
#define CUDA__SORT 1024 // values that one block of `cuda_top` orders

// A covariance with its hyperparameters. Columns are sorted by block (order[c]: where sorted column c was).
typedef struct cuda__cov {
    int32_t kind; // hpt__cov_kind
    int32_t d, n_blocks, n_terms;
    const int32_t *first;        // n_blocks + 1: sorted columns of block b are first[b] .. first[b + 1] - 1
    const int32_t *order;        // d
    const int32_t *categorical;  // d, sorted
    const double *inv_l;         // d, sorted
    const double *amplitude;     // n_terms
    const uint64_t *term_blocks; // n_terms
    int64_t step; // from inv_l and amplitude of a problem to those of the next, where a launch has several
} cuda__cov;

typedef struct cuda__points { // columns of numbers, sorted: number of point i in column c at x[c ld + i]
    const double *x;
    const uint64_t *mask;
    int64_t n, ld;
} cuda__points;

// Lower triangle of K(x, x) plus `diagonal` on the diagonal; grid: lower tiles, rows first; problems. Problem q has its
// hyperparameters, its diagonals[q] (NULL: diagonal) and its matrix at k + q step.
typedef struct cuda__lower_args {
    cuda__cov cov;
    cuda__points x;
    double diagonal;
    const double *diagonals;
    double *k;
    int64_t ldk, step;
} cuda__lower_args;

// K(x, z), x.n x z.n; grid: tiles of rows, tiles of columns.
typedef struct cuda__cross_args {
    cuda__cov cov;
    cuda__points x, z;
    double *k;
    int64_t ldk;
} cuda__cross_args;

// The same rounded to single precision.
typedef struct cuda__cross_single_args {
    cuda__cov cov;
    cuda__points x, z;
    float *k;
    int64_t ldk;
} cuda__cross_single_args;

// Rows first .. n - 1 of a lower triangle rounded to single precision; both have distance ld. grid: 256 rows; 32 columns.
typedef struct cuda__single_args {
    const double *from;
    float *to;
    int64_t first, n, ld;
} cuda__single_args;

// out (n x s, ldo) = M B, transposed: M'B, with M (n x n, ldm) lower, B (n x s, ldb); M has anything above its diagonal.
// grid: cuda_thin: 32 rows a block; cuda_thin_transposed: 32 columns; columns of B by CUDA__THIN.
typedef struct cuda__thin_args {
    const double *m, *b;
    double *out;
    int64_t n, s, ldm, ldb, ldo;
} cuda__thin_args;

// Row n of factor and inverse (a number each `ld`) from v = M k and u = M'v (n); factor[n ld] holds the diagonal's entry.
// info: 1 where it is not positive definite. One block.
typedef struct cuda__append_row_args {
    const double *v, *u;
    double *factor, *inverse;
    int32_t *info;
    int64_t n, ld;
} cuda__append_row_args;

// Moments of m candidates from k (n_k x m, ldk) = K(x, z) and v (n_v x m, ldv) = M k, and an acquisition of them:
//   mean[j] = k_j' alpha;  var[j] = max(k(z_j, z_j) - v_j'v_j, 0)      k, v NULL: not wanted
//   value[j], by_mean[j], by_var[j]: the acquisition and its derivatives by them; NULL: not wanted
// grid: candidates.
typedef struct cuda__moments_args {
    cuda__cov cov;
    cuda__points z;
    const double *k, *alpha, *v;
    int64_t n_k, ldk, n_v, ldv;
    double *mean, *var;
    hpt__acq acq;
    double *value, *by_mean, *by_var;
} cuda__moments_args;

// Bounds of an acquisition of m candidates, from k (n_k x m) and v (n_v x m) in single precision, both of distance ld:
//   upper[j] = acquisition(mean - e, var + f), lower[j] = acquisition(mean + e, var - f),
//   e = mean_error |k_j o alpha|, f = var_error |v_j|
// k NULL: no mean is wanted. grid: candidates.
typedef struct cuda__bounds_args {
    cuda__cov cov;
    cuda__points z;
    const float *k, *v;
    const double *alpha;
    int64_t n_k, n_v, ld;
    double mean_error, var_error;
    hpt__acq acq;
    double *upper, *lower;
} cuda__bounds_args;

// A row more of V = M K(x, c), for the candidates that stay: v_nj = (k_j - l'v_j) / l[n], and var[j] -= v_nj^2. l: n + 1 numbers,
// the factor's new row. grid: candidates.
typedef struct cuda__pool_row_args {
    const double *l, *k;
    double *v, *var;
    int64_t n, ld;
} cuda__pool_row_args;

// Waves of functions drawn pathwise (hpt__paths): of candidate j, term t and feature f the cosine and the sine of the phase at
// wave[2 (j T + t) F + f] and F behind it, 0 where the term is not active. rows: of frequencies of a term.
// grid: candidates by PLACES; terms, features by THREADS.
typedef struct cuda__waves_args {
    cuda__cov cov;
    cuda__points z;
    const int64_t *first; // d, not sorted
    const double *omega;
    double *wave;
    int64_t rows, n_features;
} cuda__waves_args;

// Of candidate j: dmean[j d + order[c]] = d mean / d z_c with weights alpha (n_alpha rows), dvar likewise with the columns u
// (ldu) of L^-T L^-1 k (n_u rows); alpha, u NULL: 0; dmean, dvar NULL: not wanted. With grad (m d, of an acquisition) also
// by_mean[j] d mean + by_var[j] d var. The rows are cut into n_parts of part_rows; with several, parts (n_parts x m x d x 2)
// gets the sums of each instead, for cuda_chain. group_first, group_block (n_groups): up to GROUP sorted columns of one
// block. grid: candidates, groups of each part.
typedef struct cuda__slopes_args {
    cuda__cov cov;
    cuda__points x, z;
    const int32_t *group_first, *group_block;
    const double *alpha, *u;
    int64_t n_alpha, n_u, ldu;
    double *dmean, *dvar;
    const double *by_mean, *by_var;
    double *grad;
    double *parts;
    int64_t n_groups, n_parts, part_rows;
} cuda__slopes_args;

// Adds the parts of cuda_slopes and gives what it would have. grid: threads over m d.
typedef struct cuda__chain_args {
    const double *parts;
    const double *by_mean, *by_var;
    double *dmean, *dvar, *grad;
    int64_t n_parts, m, d;
} cuda__chain_args;

// partial[block p + i] = this block's part of the sums that make the gradient of the likelihood:
//   sum_ij w_ij dK_ij / d theta_i, w = alpha alpha' - inverse (lower triangle), for columns (unsorted), terms, and tr w last
// grid: as many blocks as there are rows in partial, block b takes the lower tiles b, b + grid, ...; problems. Problem q has
// alpha + q x.n, inverse + q step, and its rows of partial behind those of the problems before it.
typedef struct cuda__slope_sums_args {
    cuda__cov cov;
    cuda__points x;
    const double *alpha, *inverse;
    int64_t ld, step;
    double *partial;
    int64_t p;
} cuda__slope_sums_args;

// out[i] = sum over rows of partial (rows x p, row-major), in the order of the rows; grid: threads over p; problems, whose
// rows and results follow one another.
typedef struct cuda__add_rows_args {
    const double *partial;
    double *out;
    int64_t rows, p;
} cuda__add_rows_args;

// out[0] = 2 sum log a_ii, out[1] = sum v_i^2 (v NULL: 0); one block.
typedef struct cuda__logdet_args {
    const double *a, *v;
    double *out;
    int64_t n, lda;
} cuda__logdet_args;

// Lower triangle of A (n x n, n <= SMALL) = L'L in place of L; one block.
typedef struct cuda__small_lauum_args {
    double *a;
    int64_t n, lda;
} cuda__small_lauum_args;

// Triangles of BLOCK x BLOCK along the diagonal of A (n x n, lower) -> their inverses, with zeros above the diagonal; grid: one
// each.
typedef struct cuda__small_invert_args {
    double *a;
    int64_t n, lda;
} cuda__small_invert_args;

// Several matrices of one size, problem q (the grid's second dimension) `step` numbers after q - 1; both are lower triangles:
//   cuda_many_factor   A -> L;  blocks of SMALL on the diagonal of M = their inverses;  info[q] = pivot (from 1) that failed
//   cuda_many_invert   M -> L^-1 from L and those blocks; grid: block columns
//   cuda_many_weights  v = M y, alpha = M' v (n for each q); out[2 q] = log det A, out[2 q + 1] = v'v
//   cuda_many_gram     L -> M'M = A^-1; grid: lower tiles of SMALL
// A problem with an info is left alone by the last three; its alpha is zero.
typedef struct cuda__many_args {
    double *a, *m;
    const double *y;
    double *v, *alpha, *out;
    int32_t *info;
    int64_t n, lda, step;
} cuda__many_args;

// to (n x m, ldt) = scale from (n x m, ldf), or its transpose (m x n) where transposed; lower: zeros above the diagonal.
// grid: tiles of 32 x 32.
typedef struct cuda__copy_args {
    const double *from;
    double *to;
    int64_t n, m, ldf, ldt;
    double scale;
    int32_t transposed, lower;
} cuda__copy_args;

// Coordinates of n points of d columns, row-major, from point `first` on; columns: 32 of each; grid: threads over n d.
typedef struct cuda__sobol_args {
    const uint32_t *columns, *shift;
    double *out;
    int64_t d, first, n;
} cuda__sobol_args;

// n normal numbers of a Philox stream from the first on; grid: threads over n.
typedef struct cuda__normal_args {
    uint64_t seed, stream;
    double *out;
    int64_t first, n;
} cuda__normal_args;

// A round of choosing the k best of m values (larger first, ties by the smaller index): each block orders SORT of them and
// writes its k best at block k; index NULL: the values are the first round's, their places are the indices. Entries past the
// end have index -1. grid: ceil(m / SORT); k <= SORT / 2.
typedef struct cuda__top_args {
    const double *value;
    const int64_t *index;
    double *best;
    int64_t *best_index;
    int64_t m, k;
} cuda__top_args;

// X(kernel, its struct, largest number of threads in a block)
#define CUDA__KERNELS(X)                                         \
    X(cuda_lower, cuda__lower_args, CUDA__THREADS)               \
    X(cuda_cross, cuda__cross_args, CUDA__THREADS)               \
    X(cuda_cross_single, cuda__cross_single_args, CUDA__THREADS) \
    X(cuda_single, cuda__single_args, CUDA__THREADS)             \
    X(cuda_thin, cuda__thin_args, CUDA__THIN_THREADS)            \
    X(cuda_thin_transposed, cuda__thin_args, CUDA__THIN_THREADS) \
    X(cuda_append_row, cuda__append_row_args, CUDA__THREADS)     \
    X(cuda_moments, cuda__moments_args, CUDA__THREADS)           \
    X(cuda_bounds, cuda__bounds_args, CUDA__THREADS)             \
    X(cuda_pool_row, cuda__pool_row_args, CUDA__THREADS)         \
    X(cuda_waves, cuda__waves_args, CUDA__THREADS)               \
    X(cuda_slopes, cuda__slopes_args, CUDA__THREADS)             \
    X(cuda_chain, cuda__chain_args, CUDA__THREADS)               \
    X(cuda_slope_sums, cuda__slope_sums_args, CUDA__THREADS)     \
    X(cuda_add_rows, cuda__add_rows_args, CUDA__THREADS)         \
    X(cuda_logdet, cuda__logdet_args, CUDA__THREADS)             \
    X(cuda_many_factor, cuda__many_args, CUDA__THREADS)          \
    X(cuda_many_invert, cuda__many_args, CUDA__THREADS)          \
    X(cuda_many_weights, cuda__many_args, CUDA__THREADS)         \
    X(cuda_many_gram, cuda__many_args, CUDA__THREADS)            \
    X(cuda_small_invert, cuda__small_invert_args, CUDA__BLOCK)   \
    X(cuda_small_lauum, cuda__small_lauum_args, CUDA__THREADS)   \
    X(cuda_copy, cuda__copy_args, CUDA__THREADS)                 \
    X(cuda_sobol, cuda__sobol_args, CUDA__THREADS)               \
    X(cuda_normal, cuda__normal_args, CUDA__THREADS)             \
    X(cuda_top, cuda__top_args, CUDA__SORT / 2)

#endif
