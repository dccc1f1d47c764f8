// SPDX-License-Identifier: Apache-2.0
// testing_mock.h: what the tests of the mock share: a device that is open, and matrices on it.
#ifndef HPT_TESTING_MOCK_H
#define HPT_TESTING_MOCK_H

#include "core/base/rng.h"
#include "mock.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                            \
    do {                                                    \
        const int status_ = (int)(call);                    \
        cr_assert_eq(status_, 0, "%s: %d", #call, status_); \
    } while (0)
#define GIVES(status, call)                                                              \
    do {                                                                                 \
        const int status_ = (int)(call);                                                 \
        cr_assert_eq(status_, (int)(status), "%s: %d, not %s", #call, status_, #status); \
    } while (0)

typedef struct gpu {
    const cuda__api *api;
    CUcontext context;
    CUstream stream;
    cublasHandle_t blas;
    cusolverDnHandle_t solver;
    cusolverDnParams_t params;
} gpu;

static inline const cuda__api *load_all(void) {
    char why[200] = "";
    const cuda__api *api = NULL;
    for (int i = 0; i < CUDA__LIBRARIES; i++) {
        api = cuda__api_load((cuda__library)i, why, sizeof why);
        cr_assert_not_null(api, "%s", why);
    }
    return api;
}

static inline gpu gpu_open(void) {
    gpu g = {.api = load_all()};
    OK(g.api->cuInit(0));
    OK(g.api->cuDevicePrimaryCtxRetain(&g.context, 0));
    OK(g.api->cuCtxPushCurrent_v2(g.context));
    OK(g.api->cuStreamCreate(&g.stream, CU_STREAM_NON_BLOCKING));
    OK(g.api->cublasCreate_v2(&g.blas));
    OK(g.api->cublasSetStream_v2(g.blas, g.stream));
    OK(g.api->cusolverDnCreate(&g.solver));
    OK(g.api->cusolverDnSetStream(g.solver, g.stream));
    OK(g.api->cusolverDnCreateParams(&g.params));
    return g;
}

// Whatever the calls say; mock_check tells what is wrong.
static inline void gpu_close(gpu *g) {
    CUcontext popped;
    (void)g->api->cusolverDnDestroyParams(g->params);
    (void)g->api->cusolverDnDestroy(g->solver);
    (void)g->api->cublasDestroy_v2(g->blas);
    (void)g->api->cuStreamDestroy_v2(g->stream);
    (void)g->api->cuCtxPopCurrent_v2(&popped);
    (void)g->api->cuDevicePrimaryCtxRelease_v2(0);
}

static inline void expect_clean(void) {
    char why[300] = "";
    cr_assert_eq(mock_check(why, sizeof why), 0, "%s", why);
}

static inline void expect_misuse(const char *part) {
    char why[300] = "";
    cr_assert_eq(mock_check(why, sizeof why), -1, "nothing was found; expected: %s", part);
    cr_assert(strstr(why, part) != NULL, "'%s' does not say '%s'", why, part);
}

// ---- a matrix on both sides; the host's copy is what the device should hold
typedef struct matrix {
    CUdeviceptr at;
    double *host;
    int64_t rows, cols, ld;
} matrix;

static inline double *numbers_of(const matrix *a) {
    return (double *)(uintptr_t)a->at;
}

static inline size_t matrix_bytes(const matrix *a) { // to the last element: nothing after it belongs to the matrix
    return (size_t)((a->cols - 1) * a->ld + a->rows) * sizeof(double);
}

static inline void matrix_send(gpu *g, matrix *a) {
    OK(g->api->cuMemcpyHtoDAsync_v2(a->at, a->host, matrix_bytes(a), g->stream));
}

static inline matrix matrix_new(gpu *g, hpt__rng *rng, int64_t rows, int64_t cols, int64_t ld) {
    matrix a = {0, NULL, rows, cols, ld};
    a.host = malloc(matrix_bytes(&a));
    cr_assert_not_null(a.host);
    for (size_t i = 0; i < matrix_bytes(&a) / sizeof(double); i++) a.host[i] = NAN; // between columns, too
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++) a.host[i + j * ld] = 2 * hpt__rng_uniform(rng) - 1;
    OK(g->api->cuMemAlloc_v2(&a.at, matrix_bytes(&a)));
    matrix_send(g, &a);
    return a;
}

static inline void matrix_free(gpu *g, matrix *a) {
    OK(g->api->cuMemFree_v2(a->at));
    free(a->host);
}

// The device holds what the host's copy says, with NaN for NaN.
static inline void matrix_expect(gpu *g, const matrix *a, double tolerance, const char *what) {
    double *got = malloc(matrix_bytes(a));
    cr_assert_not_null(got);
    OK(g->api->cuMemcpyDtoHAsync_v2(got, a->at, matrix_bytes(a), g->stream));
    OK(g->api->cuStreamSynchronize(g->stream));
    for (int64_t i = 0; i < (int64_t)(matrix_bytes(a) / sizeof(double)); i++) {
        const double want = a->host[i];
        cr_assert((isnan(want) && isnan(got[i])) || fabs(got[i] - want) <= tolerance * (1 + fabs(want)),
                  "%s: (%lld, %lld) is %.17g, not %.17g", what, (long long)(i % a->ld), (long long)(i / a->ld), got[i],
                  want);
    }
    free(got);
}

#endif
