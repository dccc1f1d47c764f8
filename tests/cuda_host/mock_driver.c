// SPDX-License-Identifier: Apache-2.0
// mock_driver.c: the driver's functions of the mock (mock.h). Work is done at once, in the call; a copy to the host arrives
// when its stream is waited for, which is the only thing that a caller can see of that.
#include "mock_impl.h"
#include "shim_run.h"

#include <stdio.h>
#include <string.h>

static void *memory(CUdeviceptr at) {
    return (void *)(uintptr_t)at;
}

// Begins the function: returns its error if there is one.
#define ENTER(need)                                           \
    do {                                                      \
        const CUresult rc_ = mock__enter(__func__ + 5, need); \
        if (rc_ != CUDA_SUCCESS) return rc_;                  \
    } while (0)
#define CALL (__func__ + 5) // without "mock_"

// ---- errors

#define CODES(X)                                                                          \
    X(CUDA_SUCCESS, "no error")                                                           \
    X(CUDA_ERROR_INVALID_VALUE, "invalid argument")                                       \
    X(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")                                          \
    X(CUDA_ERROR_NOT_INITIALIZED, "initialization error")                                 \
    X(CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA-capable device(s) is/are busy or unavailable") \
    X(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")                         \
    X(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal")                                \
    X(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid")                         \
    X(CUDA_ERROR_INVALID_CONTEXT, "invalid device context")                               \
    X(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed")                            \
    X(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle")                               \
    X(CUDA_ERROR_NOT_FOUND, "named symbol not found")                                     \
    X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch")      \
    X(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")

CUresult mock_cuGetErrorName(CUresult error, const char **text) {
    *text = NULL;
#define CODE(code, line) \
    if (error == code) *text = #code;
    CODES(CODE)
#undef CODE
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult mock_cuGetErrorString(CUresult error, const char **text) {
    *text = NULL;
#define CODE(code, line) \
    if (error == code) *text = line;
    CODES(CODE)
#undef CODE
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// ---- devices

CUresult mock_cuInit(unsigned flags) {
    CUresult rc = mock__enter(CALL, MOCK__NOTHING);
    if (rc == CUDA_SUCCESS && flags) rc = mock__misuse(CALL, "flags are %u, not 0", flags);
    mock__init(rc == CUDA_SUCCESS);
    return rc == CUDA_SUCCESS && mock__device_count() == 0 ? CUDA_ERROR_NO_DEVICE : rc;
}

CUresult mock_cuDriverGetVersion(int *version) {
    ENTER(MOCK__NOTHING);
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult mock_cuDeviceGetCount(int *count) {
    ENTER(MOCK__INIT);
    *count = mock__device_count();
    return CUDA_SUCCESS;
}

static CUresult check_device(const char *call, CUdevice device) {
    if (device >= 0 && device < mock__device_count()) return CUDA_SUCCESS;
    (void)mock__misuse(call, "there is no device %d", device);
    return CUDA_ERROR_INVALID_DEVICE;
}

#define DEVICE(device)                                   \
    do {                                                 \
        const CUresult rc_ = check_device(CALL, device); \
        if (rc_ != CUDA_SUCCESS) return rc_;             \
    } while (0)

CUresult mock_cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER(MOCK__INIT);
    DEVICE(ordinal);
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult mock_cuDeviceGetName(char *name, int size, CUdevice device) {
    ENTER(MOCK__INIT);
    DEVICE(device);
    if (size < 1) return mock__misuse(CALL, "room for %d bytes", size);
    (void)snprintf(name, (size_t)size, "mock device, no GPU");
    return CUDA_SUCCESS;
}

CUresult mock_cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    static const struct {
        CUdevice_attribute attribute;
        int value;
    } known[] = {
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
        {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
        {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
        {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
        {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    };
    ENTER(MOCK__INIT);
    DEVICE(device);
    if (attribute == CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO) {
        *value = mock__ratio();
        return CUDA_SUCCESS;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].attribute != attribute) continue;
        *value = known[i].value;
        return CUDA_SUCCESS;
    }
    return mock__misuse(CALL, "the mock has no attribute %d", (int)attribute);
}

CUresult mock_cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    size_t free_bytes;
    ENTER(MOCK__INIT);
    DEVICE(device);
    mock__memory(device, &free_bytes, bytes);
    return CUDA_SUCCESS;
}

CUresult mock_cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
    ENTER(MOCK__INIT);
    DEVICE(device);
    *pool = (CUmemoryPool)mock__pool(device);
    return CUDA_SUCCESS;
}

CUresult mock_cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    (void)keep;
    ENTER(MOCK__INIT);
    for (int i = 0; i < mock__device_count(); i++)
        if (mock__pool(i) == (uintptr_t)pool) return CUDA_SUCCESS;
    return mock__misuse(CALL, "not a memory pool");
}

// ---- contexts

CUresult mock_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER(MOCK__INIT);
    DEVICE(device);
    return mock__retain(device, context);
}

CUresult mock_cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    const CUresult rc = mock__enter(CALL, MOCK__INIT);
    DEVICE(device);
    const CUresult released = mock__release(device);
    return rc != CUDA_SUCCESS ? rc : released;
}

CUresult mock_cuCtxPushCurrent_v2(CUcontext context) {
    const CUresult rc = mock__enter(CALL, MOCK__INIT);
    if (rc == CUDA_SUCCESS) return mock__push(context);
    mock__push_failed(context);
    return rc;
}

CUresult mock_cuCtxPopCurrent_v2(CUcontext *context) {
    const CUresult rc = mock__enter(CALL, MOCK__INIT), popped = mock__pop(context);
    return rc != CUDA_SUCCESS ? rc : popped;
}

// ---- memory

CUresult mock_cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    ENTER(MOCK__CURRENT);
    mock__memory(mock__device(), free_bytes, total);
    return CUDA_SUCCESS;
}

CUresult mock_cuMemAlloc_v2(CUdeviceptr *at, size_t bytes) {
    ENTER(MOCK__CURRENT);
    if (bytes == 0) return mock__misuse(CALL, "0 bytes");
    return mock__alloc(at, bytes);
}

static bool gone(CUresult rc) { // no context in which something could be freed
    return rc == CUDA_ERROR_INVALID_CONTEXT || rc == CUDA_ERROR_CONTEXT_IS_DESTROYED || mock__device() < 0;
}

CUresult mock_cuMemFree_v2(CUdeviceptr at) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (gone(rc)) return rc;
    const CUresult freed = mock__free(at);
    return rc != CUDA_SUCCESS ? rc : freed;
}

// A copy of rows of `width` bytes; either side may be the host.
typedef struct side {
    char *at;
    size_t pitch;
    bool host;
} side;

static CUresult copy(const char *call, side to, side from, size_t width, size_t rows, CUstream stream) {
    if (!mock__stream_live(call, stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (width == 0 || rows == 0) return CUDA_SUCCESS;
    const size_t to_bytes = (rows - 1) * to.pitch + width, from_bytes = (rows - 1) * from.pitch + width;
    if (!(to.host ? mock__on_host : mock__on_device)(call, "destination", to.at, to_bytes) ||
        !(from.host ? mock__on_host : mock__on_device)(call, "source", from.at, from_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (to.host) return mock__copy_later(stream, to.at, to.pitch, from.at, from.pitch, width, rows);
    if (!from.host && to.pitch == from.pitch) { // rows of one matrix may lie between each other's
        const size_t apart = to.at > from.at ? (size_t)(to.at - from.at) : (size_t)(from.at - to.at);
        const size_t row = rows > 1 ? apart % to.pitch : apart;
        const bool beside = apart >= to_bytes || (rows > 1 && row >= width && to.pitch - row >= width);
        if (!beside) return mock__misuse(call, "source and destination overlap");
    }
    for (size_t i = 0; i < rows; i++) memcpy(to.at + i * to.pitch, from.at + i * from.pitch, width);
    return CUDA_SUCCESS;
}

CUresult mock_cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    ENTER(MOCK__CURRENT);
    return copy(CALL, (side){memory(to), 0, false}, (side){(char *)(uintptr_t)from, 0, true}, bytes, 1, stream);
}

CUresult mock_cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER(MOCK__CURRENT);
    return copy(CALL, (side){to, 0, true}, (side){memory(from), 0, false}, bytes, 1, stream);
}

CUresult mock_cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *c, CUstream stream) {
    enum { PITCH_MAX = 2147483647 };
    ENTER(MOCK__CURRENT);
    const bool to_host = c->dstMemoryType == CU_MEMORYTYPE_HOST, from_host = c->srcMemoryType == CU_MEMORYTYPE_HOST;
    if ((!to_host && c->dstMemoryType != CU_MEMORYTYPE_DEVICE) ||
        (!from_host && c->srcMemoryType != CU_MEMORYTYPE_DEVICE) || (to_host && from_host))
        return mock__misuse(CALL, "memory types %d to %d", (int)c->srcMemoryType, (int)c->dstMemoryType);
    if (c->Height > 1 &&
        (c->srcPitch < c->WidthInBytes + c->srcXInBytes || c->dstPitch < c->WidthInBytes + c->dstXInBytes))
        return mock__misuse(CALL, "rows of %zu bytes at distances %zu and %zu", c->WidthInBytes, c->srcPitch,
                            c->dstPitch);
    if (c->srcPitch > PITCH_MAX || c->dstPitch > PITCH_MAX)
        return mock__misuse(CALL, "distances %zu and %zu are over the driver's largest", c->srcPitch, c->dstPitch);
    char *const to = to_host ? c->dstHost : memory(c->dstDevice);
    char *const from = from_host ? (char *)(uintptr_t)c->srcHost : memory(c->srcDevice);
    return copy(CALL, (side){to + c->dstY * c->dstPitch + c->dstXInBytes, c->dstPitch, to_host},
                (side){from + c->srcY * c->srcPitch + c->srcXInBytes, c->srcPitch, from_host}, c->WidthInBytes,
                c->Height, stream);
}

CUresult mock_cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t bytes, CUstream stream) {
    ENTER(MOCK__CURRENT);
    if (!mock__stream_live(CALL, stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!mock__on_device(CALL, "destination", memory(at), bytes)) return CUDA_ERROR_INVALID_VALUE;
    memset(memory(at), value, bytes);
    return CUDA_SUCCESS;
}

// ---- streams

CUresult mock_cuStreamCreate(CUstream *stream, unsigned flags) {
    ENTER(MOCK__CURRENT);
    if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING) return mock__misuse(CALL, "flags are %#x", flags);
    const mock_object *o = mock__create(MOCK__STREAM);
    if (!o) return CUDA_ERROR_OUT_OF_MEMORY;
    *stream = (CUstream)o->handle;
    return CUDA_SUCCESS;
}

CUresult mock_cuStreamSynchronize(CUstream stream) {
    ENTER(MOCK__CURRENT);
    if (stream && !mock__find(CALL, MOCK__STREAM, stream)) return CUDA_ERROR_INVALID_HANDLE;
    (void)mock__deliver(stream, true);
    return CUDA_SUCCESS;
}

CUresult mock_cuStreamDestroy_v2(CUstream stream) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (gone(rc)) return rc;
    if (!mock__destroy(CALL, MOCK__STREAM, stream)) return rc != CUDA_SUCCESS ? rc : CUDA_ERROR_INVALID_HANDLE;
    if (mock__deliver(stream, rc == CUDA_SUCCESS)) (void)mock__misuse(CALL, "a copy to the host was not waited for");
    return rc;
}

// ---- modules and launches

CUresult mock_cuModuleLoadData(CUmodule *module, const void *image) {
    ENTER(MOCK__CURRENT);
    if (!mock__on_host(CALL, "image", image, 1)) return CUDA_ERROR_INVALID_VALUE;
    if (image != cuda__kernels_image) {
        (void)mock__misuse(CALL, "not the image of the kernels");
        return CUDA_ERROR_INVALID_IMAGE;
    }
    const mock_object *o = mock__create(MOCK__MODULE);
    if (!o) return CUDA_ERROR_OUT_OF_MEMORY;
    *module = (CUmodule)o->handle;
    return CUDA_SUCCESS;
}

CUresult mock_cuModuleUnload(CUmodule module) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (gone(rc)) return rc;
    const bool live = mock__destroy(CALL, MOCK__MODULE, module);
    return rc == CUDA_SUCCESS && !live ? CUDA_ERROR_INVALID_HANDLE : rc;
}

CUresult mock_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    ENTER(MOCK__CURRENT);
    const mock_object *m = mock__find(CALL, MOCK__MODULE, module);
    if (!m) return CUDA_ERROR_INVALID_HANDLE;
    const shim_kernel *kernel = shim_find(name);
    if (!kernel) return CUDA_ERROR_NOT_FOUND;
    mock_object *o = mock__create(MOCK__FUNCTION);
    if (!o) return CUDA_ERROR_OUT_OF_MEMORY;
    o->parent = m->handle;
    o->kernel = kernel;
    *function = (CUfunction)o->handle;
    return CUDA_SUCCESS;
}

CUresult mock_cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                             unsigned bz, unsigned shared, CUstream stream, void **arguments, void **extra) {
    ENTER(MOCK__CURRENT);
    const mock_object *f = mock__find(CALL, MOCK__FUNCTION, function);
    if (!f || !mock__stream_live(CALL, stream)) return CUDA_ERROR_INVALID_HANDLE;
    const shim_kernel *kernel = f->kernel;
    if (!gx || !gy || !gz || gx > 2147483647u || gy > 65535 || gz > 65535)
        return mock__misuse(CALL, "%s: grid %u x %u x %u", kernel->name, gx, gy, gz);
    if (!bx || !by || !bz || bx > 1024 || by > 1024 || bz > 64 || bx * by * bz > 1024)
        return mock__misuse(CALL, "%s: block %u x %u x %u", kernel->name, bx, by, bz);
    if (bx * by * bz > kernel->threads) { // __launch_bounds__
        (void)mock__misuse(CALL, "%s: %u threads, at most %u", kernel->name, bx * by * bz, kernel->threads);
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    }
    if (shared > 48u << 10) return mock__misuse(CALL, "%s: %u bytes of shared memory", kernel->name, shared);
    if (extra || !arguments || !arguments[0])
        return mock__misuse(CALL, "%s: arguments not as one pointer to its struct", kernel->name);
    char line[200];
    if (shim_launch_dynamic(kernel, (unsigned[]){gx, gy, gz}, (unsigned[]){bx, by, bz}, shared, arguments[0], line,
                            sizeof line) == 0)
        return CUDA_SUCCESS;
    (void)mock__misuse(CALL, "%s: %s", kernel->name, line);
    return mock__break();
}
