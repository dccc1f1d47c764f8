// SPDX-License-Identifier: Apache-2.0
// cuda_api.h: every function of the driver, cuBLAS and cuSOLVER that the backend calls, in one table of pointers.
//
// Why a table: no library of the toolkit is linked, so that one build serves nodes without a GPU, toolkits 12 and 13 and
// sets of libraries that pip installed; and tests put functions of their own behind the same pointers. Why the driver's
// interface and not the runtime's: the runtime would be a second library to find, in the version of the build.
// Types come from the toolkit's headers by typeof: a pointer whose type differs from the real function cannot exist. Names
// are those of the symbols (with _v2, where the headers redefine the plain one), since dlsym looks for them.
// Threads: the table is constant once it is filled.
#ifndef HPT_CUDA_API_H
#define HPT_CUDA_API_H

#include <cublas_v2.h>
#include <cuda.h>
#include <cusolverDn.h>
#include <stddef.h>

// X(library, symbol). Libraries: driver, blas, solver.
#define CUDA__DRIVER_FUNCTIONS(X)           \
    X(driver, cuInit)                       \
    X(driver, cuDriverGetVersion)           \
    X(driver, cuGetErrorName)               \
    X(driver, cuGetErrorString)             \
    X(driver, cuDeviceGetCount)             \
    X(driver, cuDeviceGet)                  \
    X(driver, cuDeviceGetName)              \
    X(driver, cuDeviceGetAttribute)         \
    X(driver, cuDeviceTotalMem_v2)          \
    X(driver, cuDeviceGetDefaultMemPool)    \
    X(driver, cuMemPoolTrimTo)              \
    X(driver, cuDevicePrimaryCtxRetain)     \
    X(driver, cuDevicePrimaryCtxRelease_v2) \
    X(driver, cuCtxPushCurrent_v2)          \
    X(driver, cuCtxPopCurrent_v2)           \
    X(driver, cuMemGetInfo_v2)              \
    X(driver, cuMemAlloc_v2)                \
    X(driver, cuMemFree_v2)                 \
    X(driver, cuMemcpyHtoDAsync_v2)         \
    X(driver, cuMemcpyDtoHAsync_v2)         \
    X(driver, cuMemcpy2DAsync_v2)           \
    X(driver, cuMemsetD8Async)              \
    X(driver, cuStreamCreate)               \
    X(driver, cuStreamSynchronize)          \
    X(driver, cuStreamDestroy_v2)           \
    X(driver, cuModuleLoadData)             \
    X(driver, cuModuleUnload)               \
    X(driver, cuModuleGetFunction)          \
    X(driver, cuLaunchKernel)

#define CUDA__BLAS_FUNCTIONS(X)           \
    X(blas, cublasCreate_v2)              \
    X(blas, cublasDestroy_v2)             \
    X(blas, cublasGetVersion_v2)          \
    X(blas, cublasGetStatusName)          \
    X(blas, cublasSetStream_v2)           \
    X(blas, cublasDgemm_v2_64)            \
    X(blas, cublasDgemmStridedBatched_64) \
    X(blas, cublasDsyrk_v2_64)            \
    X(blas, cublasDtrmm_v2_64)            \
    X(blas, cublasDtrsm_v2_64)            \
    X(blas, cublasStrmm_v2_64)

#define CUDA__SOLVER_FUNCTIONS(X)          \
    X(solver, cusolverDnCreate)            \
    X(solver, cusolverDnDestroy)           \
    X(solver, cusolverDnSetStream)         \
    X(solver, cusolverDnCreateParams)      \
    X(solver, cusolverDnDestroyParams)     \
    X(solver, cusolverDnXpotrf_bufferSize) \
    X(solver, cusolverDnXpotrf)

#define CUDA__FUNCTIONS(X) CUDA__DRIVER_FUNCTIONS(X) CUDA__BLAS_FUNCTIONS(X) CUDA__SOLVER_FUNCTIONS(X)

#define CUDA__POINTER(library, symbol) __typeof__(symbol) *symbol;
typedef struct cuda__api {
    CUDA__FUNCTIONS(CUDA__POINTER)
} cuda__api;

typedef enum cuda__library {
    CUDA__LIBRARY_DRIVER = 0,
    CUDA__LIBRARY_BLAS,
    CUDA__LIBRARY_SOLVER,
    CUDA__LIBRARIES,
} cuda__library;

// The table with a library's functions filled in, loading it at the first call; NULL with the step that failed in why (size
// bytes). The result of the first attempt is kept, be it a failure; a library stays loaded. Threads: any.
const cuda__api *cuda__api_load(cuda__library library, char *why, size_t size);
// Where a library was found, for `hpt devices -v`; "" before.
const char *cuda__api_path(cuda__library library);

#endif
