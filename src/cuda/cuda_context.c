// SPDX-License-Identifier: Apache-2.0
// cuda_context.c: devices, contexts, device memory, copies and launches of backend `cuda`.
//
// The device's primary context is used, not one of our own: the libraries and a training code in the same process share it, and it
// costs its memory once. It is pushed at the start of every operation and popped at its end, so that a caller's own context is
// current again afterwards.
// Ownership: a context owns its stream, module, handles and workspaces. Threads: one at a time per context; several contexts and
// devices may work at once.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <stdio.h>
#include <string.h>

extern const unsigned char cuda__kernels_image[]; // fat binary of cuda_kernels.cu

#define NAME(name, args, threads) #name,
static const char *const kernel_names[] = {CUDA__KERNELS(NAME)};

enum { DRIVER_MIN = 12000 };

// ---- errors

static int name_length(const char *call) {
    return (int)strcspn(call, "(");
}

static bool keeps(CUresult status) { // errors that every later call of the context repeats, and devices that are gone
    switch (status) {
    case CUDA_SUCCESS:
    case CUDA_ERROR_INVALID_VALUE:
    case CUDA_ERROR_OUT_OF_MEMORY:
    case CUDA_ERROR_INVALID_HANDLE:
    case CUDA_ERROR_NOT_FOUND:
    case CUDA_ERROR_NOT_READY:
    case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES:
        return false;
    default:
        return true;
    }
}

static int record(cuda__ctx *c, bool lost, const char *line) {
    if (lost && !c->lost) {
        c->lost = true;
        (void)snprintf(c->lost_by, sizeof c->lost_by, "%s", line);
    }
    return hpt__fail(HPT_E_DEVICE, "%s", line);
}

int cuda__driver_status(cuda__ctx *c, CUresult status, const char *text) {
    if (status == CUDA_SUCCESS) return HPT_OK;
    if (status == CUDA_ERROR_OUT_OF_MEMORY)
        return hpt__fail(HPT_E_MEMORY, "the GPU has no memory left (%.*s)", name_length(text), text);
    const char *name = NULL;
    char line[160];
    if (c->api->cuGetErrorName(status, &name) != CUDA_SUCCESS || !name) name = "unknown error";
    (void)snprintf(line, sizeof line, "the GPU's driver failed: %.*s: %.60s (%d)", name_length(text), text, name,
                   (int)status);
    return record(c, keeps(status), line);
}

int cuda__blas_status(cuda__ctx *c, cublasStatus_t status, const char *text) {
    if (status == CUBLAS_STATUS_SUCCESS) return HPT_OK;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        return hpt__fail(HPT_E_MEMORY, "the GPU has no memory left (%.*s)", name_length(text), text);
    char line[160];
    (void)snprintf(line, sizeof line, "cuBLAS failed: %.*s: %.60s", name_length(text), text,
                   c->api->cublasGetStatusName(status));
    return record(c, status == CUBLAS_STATUS_EXECUTION_FAILED || status == CUBLAS_STATUS_INTERNAL_ERROR, line);
}

int cuda__solver_status(cuda__ctx *c, cusolverStatus_t status, const char *text) {
    if (status == CUSOLVER_STATUS_SUCCESS) return HPT_OK;
    if (status == CUSOLVER_STATUS_ALLOC_FAILED)
        return hpt__fail(HPT_E_MEMORY, "the GPU has no memory left (%.*s)", name_length(text), text);
    char line[160];
    (void)snprintf(line, sizeof line, "cuSOLVER failed: %.*s: status %d", name_length(text), text, (int)status);
    return record(c, status == CUSOLVER_STATUS_EXECUTION_FAILED || status == CUSOLVER_STATUS_INTERNAL_ERROR, line);
}

// ---- devices

// The driver, ready; NULL with the reason.
static const cuda__api *ready(char *why, size_t size) {
    const cuda__api *api = cuda__api_load(CUDA__LIBRARY_DRIVER, why, size);
    if (!api) return NULL;
    int version = 0;
    const char *name = NULL;
    CUresult status = api->cuInit(0);
    if (status == CUDA_SUCCESS) status = api->cuDriverGetVersion(&version);
    if (status != CUDA_SUCCESS) {
        if (api->cuGetErrorString(status, &name) != CUDA_SUCCESS || !name) name = "unknown error";
        (void)snprintf(why, size, "the NVIDIA driver does not start: %s (%d); does nvidia-smi work?", name,
                       (int)status);
        return NULL;
    }
    if (version < DRIVER_MIN) {
        (void)snprintf(why, size, "the NVIDIA driver is for CUDA %d.%d; 12.0 or newer is needed", version / 1000,
                       version % 1000 / 10);
        return NULL;
    }
    return api;
}

int cuda__count(int64_t *n, char *why, size_t size) {
    int count = 0;
    *n = 0;
    const cuda__api *api = ready(why, size);
    if (!api) return HPT_OK;
    if (api->cuDeviceGetCount(&count) != CUDA_SUCCESS || count < 1) {
        (void)snprintf(why, size, "the NVIDIA driver reports no GPU; is CUDA_VISIBLE_DEVICES set to nothing?");
        return HPT_OK;
    }
    *n = count;
    return HPT_OK;
}

int cuda__describe(hpt__device_desc *out, int64_t index) {
    char why[256];
    int rc = HPT_OK, version = 0;
    size_t memory = 0;
    cuda__ctx c = {.api = ready(why, sizeof why)};
    if (!c.api) return hpt__fail(HPT_E_DEVICE, "%s", why);
    memset(out, 0, sizeof *out);
    CUDA__DRIVE(&c, cuDeviceGet(&c.device, (int)index));
    CUDA__DRIVE(&c, cuDeviceGetName(out->name, (int)sizeof out->name, c.device));
    CUDA__DRIVE(&c, cuDeviceTotalMem_v2(&memory, c.device));
    CUDA__DRIVE(&c, cuDeviceGetAttribute(&out->compute_major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, c.device));
    CUDA__DRIVE(&c, cuDeviceGetAttribute(&out->compute_minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, c.device));
    CUDA__DRIVE(&c, cuDriverGetVersion(&version));
    HPT_TRY(cuda__screening_set(&c));
    out->memory_bytes = (int64_t)memory;
    (void)snprintf(out->library, sizeof out->library, "CUDA driver %d.%d, built with toolkit %d.%d%s", version / 1000,
                   version % 1000 / 10, CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10,
                   c.screening == CUDA__SCREEN_DOUBLE ? "" : ", screens in single precision");
out:
    return rc;
}

// ---- contexts

int cuda__enter(cuda__ctx *c) {
    if (c->lost) return hpt__fail(HPT_E_DEVICE, "the GPU is no longer usable after this: %s", c->lost_by);
    return cuda__driver_status(c, c->api->cuCtxPushCurrent_v2(c->context), "cuCtxPushCurrent");
}

void cuda__leave(cuda__ctx *c) {
    CUcontext popped;
    (void)c->api->cuCtxPopCurrent_v2(&popped);
}

static int load_libraries(void) {
    static const cuda__library needed[] = {CUDA__LIBRARY_BLAS, CUDA__LIBRARY_SOLVER};
    char why[256];
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!cuda__api_load(needed[i], why, sizeof why)) return hpt__fail(HPT_E_DEVICE, "%s", why);
    return HPT_OK;
}

static int load_kernels(cuda__ctx *c) {
    int rc = HPT_OK;
    const CUresult status = c->api->cuModuleLoadData(&c->module, cuda__kernels_image);
    if (status == CUDA_ERROR_NO_BINARY_FOR_GPU || status == CUDA_ERROR_INVALID_PTX ||
        status == CUDA_ERROR_UNSUPPORTED_PTX_VERSION || status == CUDA_ERROR_INVALID_IMAGE)
        return hpt__fail(HPT_E_DEVICE,
                         "the kernels were built by toolkit %d.%d and do not run on this GPU with this driver; update "
                         "the driver, or build with the driver's toolkit",
                         CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10);
    HPT_TRY(cuda__driver_status(c, status, "cuModuleLoadData"));
    for (int i = 0; i < CUDA__KERNEL_COUNT; i++)
        CUDA__DRIVE(c, cuModuleGetFunction(&c->kernel[i], c->module, kernel_names[i]));
out:
    return rc;
}

int cuda__open(void **ctx, int64_t index, const hpt__ctx_options *options) {
    char why[256];
    int rc = HPT_OK;
    bool entered = false;
    cuda__ctx *c = hpt__calloc(1, sizeof *c);
    if (!c) return hpt__fail_memory();
    c->limit = options && options->memory_limit > 0 ? options->memory_limit : INT64_MAX;
    c->api = ready(why, sizeof why);
    HPT_FAIL_IF(!c->api, HPT_E_DEVICE, "%s", why);
    HPT_TRY(load_libraries());
    CUDA__DRIVE(c, cuDeviceGet(&c->device, (int)index));
    HPT_TRY(cuda__screening_set(c));
    CUDA__DRIVE(c, cuDevicePrimaryCtxRetain(&c->context, c->device));
    HPT_TRY(cuda__enter(c));
    entered = true;
    CUDA__DRIVE(c, cuStreamCreate(&c->stream, CU_STREAM_NON_BLOCKING));
    HPT_TRY(load_kernels(c));
    CUDA__BLAS(c, cublasCreate_v2(&c->blas));
    CUDA__BLAS(c, cublasSetStream_v2(c->blas, c->stream));
    CUDA__SOLVE(c, cusolverDnCreate(&c->solver));
    CUDA__SOLVE(c, cusolverDnSetStream(c->solver, c->stream));
    CUDA__SOLVE(c, cusolverDnCreateParams(&c->params));
    *ctx = c;
    c = NULL;
out:
    if (entered) {
        cuda__ctx *open = c ? c : *ctx;
        cuda__leave(open);
    }
    cuda__close(c);
    return rc;
}

// Results are not looked at: after a lost device each of these fails, and there is nothing left to do.
void cuda__close(void *ctx) {
    cuda__ctx *c = ctx;
    if (!c) return;
    const cuda__api *api = c->api;
    if (c->context) {
        const bool current = api->cuCtxPushCurrent_v2(c->context) == CUDA_SUCCESS;
        if (c->stream) (void)api->cuStreamSynchronize(c->stream);
        cuda__buf *bufs[] = {&c->strips[0], &c->strips[1], &c->small, &c->inverting, &c->single, &c->solver_device};
        for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) cuda__release(c, bufs[i]);
        if (c->params) (void)api->cusolverDnDestroyParams(c->params);
        if (c->solver) (void)api->cusolverDnDestroy(c->solver);
        if (c->blas) (void)api->cublasDestroy_v2(c->blas);
        if (c->module) (void)api->cuModuleUnload(c->module);
        if (c->stream) (void)api->cuStreamDestroy_v2(c->stream);
        if (current) cuda__leave(c);
        (void)api->cuDevicePrimaryCtxRelease_v2(c->device);
    }
    hpt__free(c->solver_host);
    hpt__free(c);
}

// Also gives back what the driver's pool keeps for the libraries, so that trials that share the GPU can have it.
int cuda__sync(void *ctx) {
    cuda__ctx *c = ctx;
    int rc = HPT_OK;
    CUmemoryPool pool;
    rc = cuda__enter(c);
    if (rc < 0) return rc;
    CUDA__DRIVE(c, cuStreamSynchronize(c->stream));
    if (c->api->cuDeviceGetDefaultMemPool(&pool, c->device) == CUDA_SUCCESS) // some virtual GPUs have none
        CUDA__DRIVE(c, cuMemPoolTrimTo(pool, 0));
out:
    cuda__leave(c);
    return rc;
}

// ---- memory

void cuda__release(cuda__ctx *c, cuda__buf *b) {
    if (b->at) (void)c->api->cuMemFree_v2(b->at);
    c->used -= b->bytes;
    *b = (cuda__buf){0, 0};
}

// What can be made again makes room for the rest; whether there was anything. Work that is queued has it until it is done: cuMemFree waits.
static bool give_up(cuda__ctx *c) {
    const bool any = c->single.bytes > 0;
    cuda__release(c, &c->single);
    c->single_of = NULL;
    return any;
}

static int allocate(cuda__ctx *c, cuda__buf *b, int64_t bytes, const char *what) {
    int rc = HPT_OK;
    if (bytes > c->limit - c->used) (void)give_up(c);
    if (bytes > c->limit - c->used)
        return hpt__fail(HPT_E_MEMORY,
                         "%s: %lld KiB are needed on the GPU beside %lld KiB in use, and %lld KiB are allowed", what,
                         (long long)(bytes / 1024), (long long)(c->used / 1024), (long long)(c->limit / 1024));
    CUresult status = c->api->cuMemAlloc_v2(&b->at, (size_t)bytes);
    if (status == CUDA_ERROR_OUT_OF_MEMORY && give_up(c)) status = c->api->cuMemAlloc_v2(&b->at, (size_t)bytes);
    if (status == CUDA_ERROR_OUT_OF_MEMORY) {
        b->at = 0;
        return hpt__fail(HPT_E_MEMORY, "%s: the GPU has no %lld KiB left beside the %lld KiB in use here", what,
                         (long long)(bytes / 1024), (long long)(c->used / 1024));
    }
    HPT_TRY(cuda__driver_status(c, status, "cuMemAlloc"));
    b->bytes = bytes;
    c->used += bytes;
out:
    return rc;
}

int cuda__reserve(cuda__ctx *c, cuda__buf *b, int64_t bytes, const char *what) {
    if (bytes <= b->bytes) return HPT_OK;
    cuda__release(c, b);
    return allocate(c, b, bytes, what);
}

int cuda__reserve_zeroed(cuda__ctx *c, cuda__buf *b, int64_t bytes, const char *what) {
    int rc = HPT_OK;
    if (bytes <= b->bytes) return HPT_OK;
    HPT_TRY(cuda__reserve(c, b, bytes, what));
    HPT_TRY(cuda__zero(c, b->at, bytes));
out:
    return rc;
}

typedef struct plane { // columns at a distance of `pitch` bytes, on the host or (host NULL) on the device
    void *host;
    CUdeviceptr device;
    int64_t pitch;
} plane;

// `columns` columns of `rows` bytes; waits for the stream.
static int copy_2d(cuda__ctx *c, plane to, plane from, int64_t rows, int64_t columns) {
    int rc = HPT_OK;
    if (rows == 0 || columns == 0) return HPT_OK;
    const CUDA_MEMCPY2D copy = {.srcMemoryType = from.host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
                                .srcHost = from.host,
                                .srcDevice = from.device,
                                .srcPitch = (size_t)from.pitch,
                                .dstMemoryType = to.host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
                                .dstHost = to.host,
                                .dstDevice = to.device,
                                .dstPitch = (size_t)to.pitch,
                                .WidthInBytes = (size_t)rows,
                                .Height = (size_t)columns};
    CUDA__DRIVE(c, cuMemcpy2DAsync_v2(&copy, c->stream));
    CUDA__DRIVE(c, cuStreamSynchronize(c->stream));
out:
    return rc;
}

int cuda__zero(cuda__ctx *c, CUdeviceptr at, int64_t bytes) {
    int rc = HPT_OK;
    CUDA__DRIVE(c, cuMemsetD8Async(at, 0, (size_t)bytes, c->stream));
out:
    return rc;
}

int cuda__reserve_kept(cuda__ctx *c, cuda__buf *b, int64_t bytes, int64_t columns, int64_t rows, int64_t pitch_old,
                       int64_t pitch, const char *what) {
    int rc = HPT_OK;
    cuda__buf fresh = {0, 0};
    if (bytes <= b->bytes && pitch == pitch_old) return HPT_OK;
    if (columns < 1 || rows < 1) return cuda__reserve(c, b, bytes, what);
    HPT_TRY(allocate(c, &fresh, bytes, what));
    HPT_TRY(cuda__zero(c, fresh.at, bytes)); // of triangles the other half is copied too
    HPT_TRY(copy_2d(c, (plane){.device = fresh.at, .pitch = pitch}, (plane){.device = b->at, .pitch = pitch_old}, rows,
                    columns)); // waits: what is copied from is about to be freed
    cuda__release(c, b);
    *b = fresh;
    fresh = (cuda__buf){0, 0};
out:
    cuda__release(c, &fresh);
    return rc;
}

// ---- copies, of pageable host memory. To the device: the driver has taken the bytes over when the call returns (CUDA's driver
// API, "API synchronization behavior"), so nothing waits; of copies with gaps that is not said, so they do. To the host: waits
// for the stream, and so for all that was queued.

int cuda__upload(cuda__ctx *c, CUdeviceptr to, const void *from, int64_t bytes) {
    int rc = HPT_OK;
    if (bytes == 0) return HPT_OK;
    CUDA__DRIVE(c, cuMemcpyHtoDAsync_v2(to, from, (size_t)bytes, c->stream));
out:
    return rc;
}

int cuda__download(cuda__ctx *c, void *to, CUdeviceptr from, int64_t bytes) {
    int rc = HPT_OK;
    if (bytes == 0) return HPT_OK;
    CUDA__DRIVE(c, cuMemcpyDtoHAsync_v2(to, from, (size_t)bytes, c->stream));
    CUDA__DRIVE(c, cuStreamSynchronize(c->stream));
out:
    return rc;
}

int cuda__upload_2d(cuda__ctx *c, CUdeviceptr to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows,
                    int64_t columns) {
    return copy_2d(c, (plane){.device = to, .pitch = to_pitch},
                   (plane){.host = (void *)(uintptr_t)from, .pitch = from_pitch}, rows, columns); // only read
}

int cuda__download_2d(cuda__ctx *c, void *to, int64_t to_pitch, CUdeviceptr from, int64_t from_pitch, int64_t rows,
                      int64_t columns) {
    return copy_2d(c, (plane){.host = to, .pitch = to_pitch}, (plane){.device = from, .pitch = from_pitch}, rows,
                   columns);
}

// ---- launches

int cuda__launch(cuda__ctx *c, int kernel, int64_t gx, int64_t gy, unsigned threads, const void *args) {
    int rc = HPT_OK;
    if (gx == 0 || gy == 0) return HPT_OK;
    void *params[] = {(void *)(uintptr_t)args}; // the driver only reads it
    HPT_FAIL_IF(gx > INT32_MAX || gy > UINT16_MAX, HPT_E_DEVICE, "%s: a grid of %lld x %lld blocks is too large",
                kernel_names[kernel], (long long)gx, (long long)gy);
    HPT_TRY(cuda__driver_status(c,
                                c->api->cuLaunchKernel(c->kernel[kernel], (unsigned)gx, (unsigned)gy, 1, threads, 1, 1,
                                                       0, c->stream, params, NULL),
                                kernel_names[kernel]));
out:
    return rc;
}
