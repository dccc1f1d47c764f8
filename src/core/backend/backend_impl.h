// SPDX-License-Identifier: Apache-2.0
// backend_impl.h: what a compute backend provides: one static const table. The engine never calls it directly but
// through the checked wrappers of backend.h.
//
// Letters: n points that a model holds, cap points it has room for, d columns, B blocks, T terms, p = d + T + 1
// hyperparameters, m candidates, s right-hand sides.
// Matrices of the interface are dense and column-major. Points are row-major m x d, which is byte for byte a column-major
// d x m matrix with leading dimension d. All pointers of the interface are host memory; a model keeps its own copies
// where it computes (that is the seam: layout, capacity strides, L or L^-1, workspaces are the backend's own business).
//
// The covariance of two points x, z with bit masks mx, mz of the blocks that are active in them:
//
//   k(x, z) = sum over terms t with term_blocks[t] a subset of (mx & mz) of  exp(theta[d + t]) * M(r_t)
//   r_t^2   = sum over columns c whose block is in term_blocks[t] of
//               (x_c - z_c)^2 / l_c^2   for a numeric column        l_c = exp(theta[c])
//               [x_c != z_c] / l_c^2    for a categorical column
//   M(r)    = (1 + sqrt5 r + 5 r^2 / 3) exp(-sqrt5 r)   Matern 5/2
//             (1 + sqrt3 r) exp(-sqrt3 r)               Matern 3/2
//             exp(-r^2 / 2)                             RBF
//
// Term 0 is block 0, active everywhere. Noise variance exp(theta[d + T]) and the jitter enter the diagonal of a factor only.
// A column of an inactive block may hold any finite number; it has no influence. Masks are never NULL and have bit 0 set.
// Status: 0, negative hpt_status with its line recorded. A matrix that is not positive definite is no error: *info says
// at which pivot (from 1), and the model then holds no factor.
// Determinism: the same calls on the same backend give the same bits, whatever the number of threads.
#ifndef HPT_BACKEND_IMPL_H
#define HPT_BACKEND_IMPL_H

#include <hpt/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HPT__BACKEND_ABI = 4, HPT__BLOCKS_MAX = 64 };

typedef enum hpt__cov_kind {
    HPT__COV_MATERN52 = 0,
    HPT__COV_MATERN32 = 1,
    HPT__COV_RBF = 2,
    HPT__COV_KINDS = 3,
} hpt__cov_kind;

typedef struct hpt__cov { // description of a covariance; immutable, borrowed by the model that is made with it
    hpt__cov_kind kind;
    int64_t d;
    const uint8_t *categorical; // d
    const int32_t *block;       // d, 0 .. n_blocks - 1
    int64_t n_blocks;           // 1 .. 64
    int64_t n_terms;
    const uint64_t *term_blocks; // n_terms; term_blocks[0] == 1
} hpt__cov;

static inline int64_t hpt__cov_n_theta(const hpt__cov *c) {
    return c->d + c->n_terms + 1;
}

typedef enum hpt__acq_kind { // all are maximised; objectives are minimised: smaller means are better
    HPT__ACQ_LOGEI = 0,      // log E max(best - f, 0), with noise: + log(1 - noise_sd / sqrt(var + noise_sd^2))
    HPT__ACQ_LCB = 1,        // -(mean - beta * sd)
    HPT__ACQ_PE = 2,   // sd + 10 * min(tau - (mean - beta * sd), 0): pure exploration among the promising (UCB-PE)
    HPT__ACQ_MEAN = 3, // -mean
    HPT__ACQ_SD = 4,
} hpt__acq_kind;

typedef struct hpt__acq {
    hpt__acq_kind kind;
    double best;  // LOGEI: value to improve on
    double beta;  // LCB, PE
    double tau;   // PE
    double noise; // LOGEI: variance of a result's noise, for which repeats are worth less; 0: none
} hpt__acq;

typedef struct hpt__mll_job { // one of several likelihoods: in and out; arrays are the caller's
    const double *theta;      // p
    const double *y;          // n
    double jitter;            // absolute; the wrappers of backend.h choose it
    double value;
    double *grad; // p; NULL: not wanted
    int64_t info; // as of mll
} hpt__mll_job;

// Functions drawn pathwise (gp/gp_path.c): a correction by the data, and a prior that is a sum of waves.
//
//   f_k(z) = sum over i < n of k(z, x_i) w_ik
//          + sum over the terms t that are active in z, over f < F, of  u_tfk cos(p_tf) + v_tfk sin(p_tf)
//   p_tf   = sum over the columns c of term t of  z_c omega_t[first[c]]_f         for a numeric column
//                                                 omega_t[first[c] + 1 + z_c]_f   for a categorical one, whose choices
//                                                                                 are -1 (none of them), 0, 1, ...
typedef struct hpt__paths { // all arrays are the caller's
    int64_t s;              // functions
    int64_t n;              // points with weights: the model's first, in the factor or not; 0: the prior alone
    int64_t n_features;     // F; 0: the correction alone
    const double *w;        // n x s
    const int64_t *first;   // d + 1: rows of frequencies of column c are first[c] .. first[c + 1] - 1
    const double *omega;    // T x first[d] x F, features contiguous
    const double *uv;       // 2 F T x s: of each term its u, then its v
} hpt__paths;

typedef struct hpt__device_desc {
    char name[96];        // "AMD EPYC ..., 2 threads"
    char library[128];    // "OpenBLAS 0.3.21 (Zen)"; "" if none
    int64_t memory_bytes; // that a model may use at most; 0: unknown
    int compute_major, compute_minor;
} hpt__device_desc;

typedef struct hpt__ctx_options {
    int64_t n_threads;    // 0: cores of the process
    int64_t memory_limit; // bytes for models and workspace; 0: the device's
} hpt__ctx_options;

typedef struct hpt__model_shape {
    int64_t n, d, n_terms, m, s, n_features;
} hpt__model_shape;

typedef enum hpt__op { // for supports and cost
    HPT__OP_FACTOR = 0,
    HPT__OP_APPEND = 1, // s rows
    HPT__OP_MLL = 2,    // value and gradient
    HPT__OP_POSTERIOR = 3,
    HPT__OP_POSTERIOR_GRAD = 4,
    HPT__OP_PATHS = 5, // s functions
    HPT__OP_COUNT = 6,
} hpt__op;

// ctx: an opened device, one thread at a time. model: the points, factor and weights of one Gaussian process on it.
typedef struct hpt__backend {
    uint32_t abi;         // HPT__BACKEND_ABI
    uint32_t struct_size; // sizeof(hpt__backend)
    const char *name;     // "ref", "cpu"
    const char *doc;      // one line

    // ---- devices. count: 0 devices is no error; why (size bytes) then says what is missing and what would help.
    int (*count)(int64_t *n, char *why, size_t size);
    int (*describe)(hpt__device_desc *out, int64_t index);
    int (*open)(void **ctx, int64_t index, const hpt__ctx_options *options);
    void (*close)(void *ctx);
    int (*sync)(void *ctx);

    // ---- covariance, for tests, measurements and rooms that need a matrix itself
    // K (n x n, ldk): lower triangle, noise and jitter left out.
    int (*cov_build)(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                     int64_t n, double *k, int64_t ldk);
    // K (n x m, ldk) between points x (n) and z (m).
    int (*cov_cross)(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                     int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk);

    // ---- random and quasi-random numbers, for bulk: what the host's own streams give (base/rng.h, space/sobol.h)
    // out (n x d row-major): points first .. first + n - 1 of a Sobol sequence in Gray order, bit for bit; columns: d x 32,
    // shift: d, as hpt__sobol_matrix has them. first + n <= 2^32.
    int (*fill_sobol)(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                      double *out);
    // out (n): normal numbers first .. first + n - 1 of a stream, as hpt__rng_normal draws them: bit for bit on a host, elsewhere
    // to a relative error of 2e-14 (the inverse of the distribution is the device's; the uniform below it has the same bits).
    int (*fill_normal)(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out);

    // ---- model life. cap grows by itself (to multiples of 64, by half); growing keeps points, factor and weights.
    int (*model_create)(void **model, void *ctx, const hpt__cov *cov, int64_t cap);
    void (*model_destroy)(void *model);
    int64_t (*model_bytes)(const void *model); // in use now, workspace included
    // Writes points at rows at .. at + k - 1; the model then has at + k points. A factor of more than `at` rows is cut to `at`;
    // weights over more than `at` points are gone.
    int (*model_set_points)(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k);
    // Forgets the points from n on, with their rows of the factor, and weights over more than n points.
    int (*model_truncate)(void *model, int64_t n);
    // Factor of all points: K + (noise + jitter) I = L L'. logdet of that matrix. Weights are gone.
    int (*model_factor)(void *model, const double *theta, double jitter, double *logdet, int64_t *info);
    // Extends the factor by the points that were set since, with the same theta and jitter; logdet of the whole.
    // Without new points there is nothing to do but logdet. Weights stay. On info > 0 the factor is as before.
    int (*model_append)(void *model, double *logdet, int64_t *info);
    int64_t (*model_rows)(const void *model); // of the factor; 0: none
    // Weights: w = K^-1 y over the first n <= rows points. mean() uses these n points only, variance all rows of the factor.
    int (*model_set_y)(void *model, const double *y, int64_t n);
    // L (rows x rows, ldl) to the host, zeros above the diagonal. For tests.
    int (*model_get_factor)(const void *model, double *l, int64_t ldl);
    // In place on B (rows x s, ldb): L^-1 B, or with transposed L^-T B.
    int (*model_solve)(void *model, bool transposed, double *b, int64_t ldb, int64_t s);

    // ---- likelihood of y (n: the first n points of the model) under theta, without prior and without touching the factor:
    //   value = -1/2 y' A^-1 y - 1/2 log det A - n/2 log 2 pi,  A = K + (noise + jitter) I
    //   grad (p; NULL: not wanted) = d value / d theta. From one inverse and one symmetric product per block.
    int (*mll)(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
               int64_t *info);

    // ---- prediction for m candidates z (m x d row-major) with masks. NULL outputs are not computed.
    // mean, var: m; var is that of the latent function (no noise), never negative. dmean, dvar: m x d row-major, 0 for
    // categorical and inactive columns. Needs weights for mean, a factor for var.
    int (*posterior)(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                     double *dmean, double *dvar);
    // Acquisition value (m) and gradient (m x d; NULL).
    int (*acquire)(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                   double *grad);
    // Joint posterior: mean (m; may be NULL) and covariance (m x m, ldc; both triangles) of the latent function.
    int (*joint)(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov,
                 int64_t ldc);
    // out (m x s, ldo): values of functions drawn pathwise, with the theta of the factor. m, s >= 1, and one of n and F is not 0.
    int (*paths)(void *model, const hpt__paths *paths, const double *z, const uint64_t *zmask, int64_t m, double *out,
                 int64_t ldo);

    // ---- OPTIONAL (NULL: backend.c makes it of the above)
    // The k best candidates by acquisition, best first, ties by the smaller index; index and value: k. Single precision
    // may screen if the result is what double precision gives.
    int (*screen)(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, int64_t k,
                  int64_t *index, double *value);
    // Several likelihoods over the model's first n points: mll of each of the k jobs, which may differ in everything but the
    // points. What a job gives does not depend on the others. After an error all values and gradients are undefined.
    int (*mll_many)(void *model, hpt__mll_job *jobs, int64_t k, int64_t n);

    // Candidates that stay, one set a model: V = L^-1 K(X, C) (rows x m) is kept, so that what an appended row does to their
    // variances costs n m and not n^2 m. mean, var: m >= 1, as posterior's. Both or none.
    int (*pool_set)(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var);
    // V gains the factor's last row, of which it has all but that one. var: m; may be negative by rounding.
    int (*pool_append)(void *model, double *var);

    // ---- queries
    bool (*supports)(hpt__op op, const hpt__model_shape *shape);
    int64_t (*need_bytes)(const hpt__model_shape *shape); // for a model of n points with its fit
} hpt__backend;

// backend_list.c: all, best first, ends with NULL.
extern const hpt__backend *const hpt__backends[];

#endif
