// SPDX-License-Identifier: Apache-2.0
// cuda_impl.h: what the host files of backend `cuda` share: context, device memory, launches, the model.
//
// A context has one stream; all work goes into it in order, and the host waits only where it needs a number. Each operation of the
// table enters the context (pushes the device's primary context) and leaves it at its one `out:` label.
// Errors: out of memory is HPT_E_MEMORY and leaves the device usable; every other failure is HPT_E_DEVICE. After an error that the driver
// keeps (an illegal address, a lost device) the context is `lost`: all that follows is refused at once, without a call.
#ifndef HPT_CUDA_IMPL_H
#define HPT_CUDA_IMPL_H

#include "../core/backend/backend_impl.h"
#include "../core/base/error.h"
#include "cuda_api.h"
#include "cuda_kernels.h"

enum { CUDA__GROW = 64, CUDA__SUM_ROWS = 1024 }; // capacities; rows of partial sums at most
// Small sizes take both ways of these in the mock, whose build sets them lower.
#ifndef CUDA__STRIP_BYTES
#define CUDA__STRIP_BYTES (INT64_C(256) << 20) // of one n x m strip of cross covariances
#endif
#ifndef CUDA__APART
#define CUDA__APART 8192 // points up to which a likelihood has a second square
#endif
#ifndef CUDA__AGAIN
#define CUDA__AGAIN 256 // candidates that a screening scores again at least
#endif
#ifndef CUDA__INVERT_ROOM
#define CUDA__INVERT_ROOM (CUDA__STRIP_BYTES / 8) // numbers of workspace of an inverse at most
#endif

#define CUDA__INDEX(name, args, threads) CUDA__INDEX_##name,
enum { CUDA__KERNELS(CUDA__INDEX) CUDA__KERNEL_COUNT };

typedef struct cuda__buf { // device memory that its context counts; grows, never shrinks
    CUdeviceptr at;
    int64_t bytes;
} cuda__buf;

typedef enum cuda__screening { // precision in which candidates are screened (cuda_screen.c)
    CUDA__SCREEN_DOUBLE = 0,
    CUDA__SCREEN_WORTH,  // single where it is faster
    CUDA__SCREEN_SINGLE, // single where it is safe
} cuda__screening;

struct cuda__model;
typedef struct cuda__ctx {
    const cuda__api *api;
    CUdevice device;
    CUcontext context; // primary, retained
    CUstream stream;
    CUmodule module;
    CUfunction kernel[CUDA__KERNEL_COUNT];
    cublasHandle_t blas;
    cusolverDnHandle_t solver;
    cusolverDnParams_t params;
    int64_t limit, used; // bytes; limit INT64_MAX: the device's
    bool lost;
    char lost_by[160];          // the line of the error that did it
    cuda__buf strips[2], small; // workspaces of one operation: two strips; vectors, sums, indices
    cuda__buf inverting;        // cuda_invert.c's
    cuda__screening screening;
    cuda__buf single; // L^-1 of one model in single precision (ld x room); given up where memory is short
    const struct cuda__model *single_of;
    cuda__buf solver_device; // cuSOLVER's, on the device and on the host
    void *solver_host;
    size_t solver_host_bytes;
} cuda__ctx;

// Waste-free rounding of capacities and of parts of a workspace (256 bytes, as the driver's own).
static inline int64_t cuda__round(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}
static inline double *cuda__doubles(CUdeviceptr at) {
    return (double *)(uintptr_t)at; // a device address as kernels and libraries take it
}

// ---- cuda_context.c
int cuda__count(int64_t *n, char *why, size_t size);
int cuda__describe(hpt__device_desc *out, int64_t index);
int cuda__open(void **ctx, int64_t index, const hpt__ctx_options *options);
void cuda__close(void *ctx);
int cuda__sync(void *ctx);
int cuda__enter(cuda__ctx *c);
void cuda__leave(cuda__ctx *c);
// 0, or the failure with the call's name (text up to its bracket) recorded.
int cuda__driver_status(cuda__ctx *c, CUresult status, const char *text);
int cuda__blas_status(cuda__ctx *c, cublasStatus_t status, const char *text);
int cuda__solver_status(cuda__ctx *c, cusolverStatus_t status, const char *text);
#define CUDA__DRIVE(c, call) HPT_TRY(cuda__driver_status((c), (c)->api->call, #call))
#define CUDA__BLAS(c, call) HPT_TRY(cuda__blas_status((c), (c)->api->call, #call))
#define CUDA__SOLVE(c, call) HPT_TRY(cuda__solver_status((c), (c)->api->call, #call))

// At least `bytes`; the old contents are lost when it has to grow. HPT_E_MEMORY names need and limit.
int cuda__reserve(cuda__ctx *c, cuda__buf *b, int64_t bytes, const char *what);
// The same; new memory is 0, as the libraries read whole tiles of a triangle.
int cuda__reserve_zeroed(cuda__ctx *c, cuda__buf *b, int64_t bytes, const char *what);
// The same, keeping the first `columns` columns of `rows` bytes, whose distance goes from pitch_old to pitch.
int cuda__reserve_kept(cuda__ctx *c, cuda__buf *b, int64_t bytes, int64_t columns, int64_t rows, int64_t pitch_old,
                       int64_t pitch, const char *what);
void cuda__release(cuda__ctx *c, cuda__buf *b);
int cuda__zero(cuda__ctx *c, CUdeviceptr at, int64_t bytes); // queued
// Copies between the host and the device; the host's memory is free to be used again on return.
int cuda__upload(cuda__ctx *c, CUdeviceptr to, const void *from, int64_t bytes);
int cuda__download(cuda__ctx *c, void *to, CUdeviceptr from, int64_t bytes);
// `columns` columns of `rows` bytes each.
int cuda__upload_2d(cuda__ctx *c, CUdeviceptr to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows,
                    int64_t columns);
int cuda__download_2d(cuda__ctx *c, void *to, int64_t to_pitch, CUdeviceptr from, int64_t from_pitch, int64_t rows,
                      int64_t columns);
// Grid of gx x gy blocks; nothing to do where either is 0.
int cuda__launch(cuda__ctx *c, int kernel, int64_t gx, int64_t gy, unsigned threads, const void *args);
#define CUDA__LAUNCHER(name, args_type, threads)                                                         \
    static inline int cuda__launch_##name(cuda__ctx *c, int64_t gx, int64_t gy, const args_type *args) { \
        return cuda__launch(c, CUDA__INDEX_##name, gx, gy, (threads), args);                             \
    }
CUDA__KERNELS(CUDA__LAUNCHER)

// ---- cuda_model.c
typedef struct cuda__kernel { // a covariance on the device with its hyperparameters
    cuda__cov dev;
    cuda__buf buf;
    double noise, variance; // variance: the sum of the amplitudes
} cuda__kernel;

typedef struct cuda__sorting { // columns by block, and the groups of columns that cuda_slopes takes
    int32_t *order, *first, *categorical, *group_first, *group_block;
    int64_t n_groups;
    void *memory;
} cuda__sorting;

typedef struct cuda__set { // points on the device
    cuda__buf x, mask;
    int64_t n, ld;
} cuda__set;

typedef struct cuda__model {
    cuda__ctx *ctx;
    const hpt__cov *cov; // borrowed
    cuda__sorting sorting;
    cuda__kernel fit, trial;             // hyperparameters of the factor, of a likelihood
    cuda__set points, candidates;        // points.ld: room
    cuda__buf groups;                    // group_first, group_block
    cuda__buf factor, inverse;           // L and L^-1 (lower, ld x room)
    cuda__buf alpha, square, gram;       // weights; the likelihood's matrix, and its inverse
    cuda__set staying;                   // candidates that stay (cuda_pool.c)
    cuda__buf pool, pool_moments;        // V (pool_ld x m); variances and means of m
    int64_t pool_ld, pool_rows;          // room and rows of V
    int64_t ld, rows, inverse_rows, n_y; // of the factor; rows that L^-1 has; points with weights
    int64_t single_rows;                 // of L^-1 that ctx->single has, if it is this model's
    double jitter;
} cuda__model;

int cuda__model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap);
void cuda__model_destroy(void *model);
int64_t cuda__model_bytes(const void *model);
int cuda__model_set_points(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k);
int cuda__model_truncate(void *model, int64_t n);
int64_t cuda__model_rows(const void *model);
int64_t cuda__need_bytes(const hpt__model_shape *shape);
bool cuda__supports(hpt__op op, const hpt__model_shape *shape);

int cuda__sorting_init(cuda__sorting *s, const hpt__cov *cov);
void cuda__sorting_fini(cuda__sorting *s);
// With several: noise and variance are the first's.
int cuda__kernel_set(cuda__ctx *c, cuda__kernel *k, const hpt__cov *cov, const cuda__sorting *s, const double *theta);
int cuda__kernel_set_many(cuda__ctx *c, cuda__kernel *k, const hpt__cov *cov, const cuda__sorting *s,
                          const hpt__mll_job *jobs, int64_t n);
// Rows at .. at + k - 1 of the set from row-major points; it has room for them.
int cuda__set_write(cuda__ctx *c, cuda__set *set, const hpt__cov *cov, const cuda__sorting *s, int64_t at,
                    const double *x, const uint64_t *mask, int64_t k);
// Room for n points whose contents are to be written.
int cuda__set_reserve(cuda__ctx *c, cuda__set *set, int64_t d, int64_t n);
// The first n points of a set, from row `from` on, as kernels take them.
static inline cuda__points cuda__points_of(const cuda__set *set, int64_t from, int64_t n) {
    return (cuda__points){cuda__doubles(set->x.at) + from, (const uint64_t *)(uintptr_t)set->mask.at + from, n,
                          set->ld};
}

// ---- cuda_factor.c
// K of the points plus diagonal into k (lower triangle).
int cuda__fill_lower(cuda__ctx *c, const cuda__kernel *kernel, cuda__points x, double diagonal, double *k, int64_t ldk);
int cuda__fill_cross(cuda__ctx *c, const cuda__kernel *kernel, cuda__points x, cuda__points z, double *k, int64_t ldk);
// A (n x n, lower) = L L', L = L'L in place; info: a device address. Queued, not waited for.
int cuda__cholesky(cuda__ctx *c, double *a, int64_t lda, int64_t n, int *info);
int cuda__gram_triangle(cuda__ctx *c, double *a, int64_t lda, int64_t n);
// to (n x m) = scale from (n x m) or its transpose; lower: zeros above the diagonal.
int cuda__copy(cuda__ctx *c, double *to, int64_t ldt, const double *from, int64_t ldf, int64_t n, int64_t m,
               double scale, bool transposed, bool lower);
// M = L^-1 for the factor's rows, if it is not there yet. Queued.
int cuda__need_inverse(cuda__model *m);
int cuda__model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info);
int cuda__model_append(void *model, double *logdet, int64_t *info);
int cuda__model_set_y(void *model, const double *y, int64_t n);
int cuda__model_get_factor(const void *model, double *l, int64_t ldl);
int cuda__model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s);
int cuda__cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                    int64_t n, double *k, int64_t ldk);
int cuda__cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                    int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk);

// ---- cuda_pool.c
int cuda__pool_set(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var);
int cuda__pool_append(void *model, double *var);

// ---- cuda_invert.c
// L (n x n, with zeros above the diagonal) = L^-1 in place. Queued.
int cuda__invert_triangle(cuda__ctx *c, double *a, int64_t lda, int64_t n);
int64_t cuda__invert_bytes(int64_t n); // of workspace

// ---- cuda_thin.c
// out (n x s, ldo) = M b, or M' b where transposed, with M (n x n, ldm) lower and s columns b (ldb). Queued.
int cuda__triangle_times(cuda__ctx *c, bool transposed, const double *m, int64_t ldm, int64_t n, const double *b,
                         int64_t ldb, int64_t s, double *out, int64_t ldo);

// ---- cuda_fill.c
int cuda__fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                     double *out);
int cuda__fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out);

// ---- cuda_mll.c
int cuda__mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
              int64_t *info);

// ---- cuda_mll_many.c
int cuda__mll_many(void *model, hpt__mll_job *jobs, int64_t k, int64_t n);

// ---- cuda_predict.c
int cuda__posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                    double *dmean, double *dvar);
int cuda__acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                  double *grad);
int cuda__joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc);
// How many of m candidates a strip holds against n points.
int64_t cuda__strip_width(int64_t n, int64_t m);

// c->small during a prediction: what is wanted of each candidate, on the device, and behind it at `after` what else an
// operation needs.
typedef struct cuda__prediction {
    cuda__model *m;
    int64_t n_z, n_mean, n_var; // candidates; rows that mean and variance need
    const hpt__acq *acq;        // NULL: moments only
    bool gradients;
    double *mean, *var, *by_mean, *by_var, *value; // n_z each
    double *grad, *dmean, *dvar;                   // n_z x d each, if gradients; grad right behind value
    double *parts, *after;
    int64_t n_parts, part_rows;
} cuda__prediction;
cuda__prediction cuda__prediction_of(cuda__model *m, const hpt__acq *acq, int64_t n_z, bool gradients);
// Uploads candidates and lays out the results. extra: bytes behind them.
int cuda__predict_begin(cuda__prediction *p, const double *z, const uint64_t *zmask, int64_t extra);
// Moments, values and gradients as wanted. Queued.
int cuda__predict(const cuda__prediction *p);

// ---- cuda_screen.c
// Sets c->screening by HPT_CUDA_SCREEN and the rates of c->device.
int cuda__screening_set(cuda__ctx *c);
int cuda__screen(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, int64_t k,
                 int64_t *index, double *value);

// ---- cuda_path.c
int cuda__paths(void *model, const hpt__paths *paths, const double *z, const uint64_t *zmask, int64_t m, double *out,
                int64_t ldo);

#endif
