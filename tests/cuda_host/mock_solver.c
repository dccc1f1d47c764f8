// SPDX-License-Identifier: Apache-2.0
// mock_solver.c: the cuSOLVER functions of the mock (mock.h). Both workspaces are wanted, of the sizes that bufferSize
// says for the same n, and written over; `info` is device memory. Lower triangles of doubles only: what a backend here uses.
// Source: cuSOLVER Library, NVIDIA (Xpotrf).
#include "mock_impl.h"

#include <string.h>

#define CALL (__func__ + 5) // without "mock_"

static cusolverStatus_t status_of(CUresult rc) {
    switch (rc) {
    case CUDA_SUCCESS:
        return CUSOLVER_STATUS_SUCCESS;
    case CUDA_ERROR_OUT_OF_MEMORY:
        return CUSOLVER_STATUS_ALLOC_FAILED;
    case CUDA_ERROR_INVALID_VALUE:
        return CUSOLVER_STATUS_INVALID_VALUE;
    case CUDA_ERROR_LAUNCH_FAILED:
        return CUSOLVER_STATUS_EXECUTION_FAILED;
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
        return CUSOLVER_STATUS_INTERNAL_ERROR;
    default: // not initialised, no context
        return CUSOLVER_STATUS_NOT_INITIALIZED;
    }
}

#define ENTER()                                                \
    do {                                                       \
        const CUresult rc_ = mock__enter(CALL, MOCK__CURRENT); \
        if (rc_ != CUDA_SUCCESS) return status_of(rc_);        \
    } while (0)
#define REQUIRE(condition) \
    if (!(condition)) return mock__misuse(CALL, "not so: " #condition), CUSOLVER_STATUS_INVALID_VALUE
// A pointer that the real function would follow without asking.
#define PRESUME(condition) \
    if (!(condition)) return CUSOLVER_STATUS_EXECUTION_FAILED

// ---- handles

static cusolverStatus_t create(mock_kind kind, void *handle) {
    const mock_object *o = mock__create(kind);
    if (!o) return CUSOLVER_STATUS_ALLOC_FAILED;
    memcpy(handle, &o->handle, sizeof o->handle);
    return CUSOLVER_STATUS_SUCCESS;
}

static cusolverStatus_t destroy(const char *call, mock_kind kind, const void *handle) {
    const CUresult rc = mock__enter(call, MOCK__CURRENT);
    const bool live = mock__destroy(call, kind, handle);
    return rc == CUDA_SUCCESS && !live ? CUSOLVER_STATUS_NOT_INITIALIZED : status_of(rc);
}

cusolverStatus_t mock_cusolverDnCreate(cusolverDnHandle_t *handle) {
    ENTER();
    return create(MOCK__SOLVER, handle);
}

cusolverStatus_t mock_cusolverDnDestroy(cusolverDnHandle_t handle) {
    return destroy(CALL, MOCK__SOLVER, handle);
}

cusolverStatus_t mock_cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
    ENTER();
    mock_object *o = mock__find(CALL, MOCK__SOLVER, handle);
    if (!o || !mock__stream_live(CALL, stream)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    o->stream = (uintptr_t)stream;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t mock_cusolverDnCreateParams(cusolverDnParams_t *params) {
    ENTER();
    return create(MOCK__PARAMS, params);
}

cusolverStatus_t mock_cusolverDnDestroyParams(cusolverDnParams_t params) {
    return destroy(CALL, MOCK__PARAMS, params);
}

// ---- factors

static void sizes(int64_t n, size_t *device, size_t *host) {
    *device = 4096 + 64 * (size_t)n;
    *host = 512 + 8 * (size_t)n;
}

static bool shape_known(const char *call, cublasFillMode_t uplo, int64_t n, cudaDataType type, int64_t lda) {
    if (uplo != CUBLAS_FILL_MODE_LOWER || type != CUDA_R_64F) {
        (void)mock__misuse(call, "the mock has lower triangles of doubles only");
    } else if (n < 0 || lda < n || lda < 1) {
        (void)mock__misuse(call, "n %lld, distance of columns %lld", (long long)n, (long long)lda);
    } else {
        return true;
    }
    return false;
}

typedef struct workspace {
    void *device;
    size_t device_bytes;
    void *host;
    size_t host_bytes;
    int *info;
} workspace;

// Checks what a factorisation of n was given and writes over it.
static cusolverStatus_t take(const char *call, const mock_matrix *a, const workspace *w) {
    size_t device, host;
    sizes(a->rows, &device, &host);
    if (w->device_bytes < device || w->host_bytes < host) {
        (void)mock__misuse(call, "workspaces of %zu and %zu bytes; %zu on the device and %zu on the host are needed",
                           w->device_bytes, w->host_bytes, device, host);
        return CUSOLVER_STATUS_INVALID_WORKSPACE;
    }
    const mock_matrix device_doubles = {
        "workspace", w->device,     (int64_t)(w->device_bytes / sizeof(double)), 1, INT64_MAX / 16,
        MOCK__FULL,  sizeof(double)};
    PRESUME(mock__on_device(call, "workspace", w->device, w->device_bytes) &&
            mock__on_host(call, "the host's workspace", w->host, w->host_bytes) &&
            mock__on_device(call, "info", w->info, sizeof *w->info) && mock__matrix_live(call, a) &&
            mock__apart(call, a, &device_doubles));
    memset(w->device, 0xFF, w->device_bytes);
    memset(w->host, 0xFF, w->host_bytes);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t mock_cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                                  cublasFillMode_t uplo, int64_t n, cudaDataType type, const void *a,
                                                  int64_t lda, cudaDataType compute, size_t *device, size_t *host) {
    (void)a; // is not followed
    ENTER();
    if (!mock__find(CALL, MOCK__SOLVER, handle) || !mock__find(CALL, MOCK__PARAMS, params))
        return CUSOLVER_STATUS_NOT_INITIALIZED;
    if (!shape_known(CALL, uplo, n, type, lda)) return CUSOLVER_STATUS_INVALID_VALUE;
    REQUIRE(compute == CUDA_R_64F);
    sizes(n, device, host);
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t mock_cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t uplo,
                                       int64_t n, cudaDataType type, void *a, int64_t lda, cudaDataType compute,
                                       void *device, size_t device_bytes, void *host, size_t host_bytes, int *info) {
    ENTER();
    if (!mock__find_ready(CALL, MOCK__SOLVER, handle) || !mock__find(CALL, MOCK__PARAMS, params))
        return CUSOLVER_STATUS_NOT_INITIALIZED;
    if (!shape_known(CALL, uplo, n, type, lda)) return CUSOLVER_STATUS_INVALID_VALUE;
    REQUIRE(compute == CUDA_R_64F);
    const mock_matrix ma = {"A", a, n, n, lda, MOCK__LOWER, sizeof(double)};
    const workspace w = {device, device_bytes, host, host_bytes, info};
    const cusolverStatus_t rc = take(CALL, &ma, &w);
    if (rc == CUSOLVER_STATUS_SUCCESS) *info = (int)mock__potrf(n, a, lda);
    return rc;
}
