// SPDX-License-Identifier: Apache-2.0
// fake_driver.c: libcuda.so.1 of a machine without a GPU, as far as gpu_share_probe uses it, so that the probe and
// scripts/gpu-share-check.sh are tried where there is none. Beside it stand tests/nvml/fake_nvml.c and tests/mps/fake_mps_control.c.
//
// One GPU of MIB MiB with MULTIPROCESSORS. Under MPS (CUDA_MPS_PIPE_DIRECTORY is set) a process is a client of the fake control
// program's server: it leaves client.PID in the pipe folder, has CUDA_MPS_ACTIVE_THREAD_PERCENTAGE of the multiprocessors and
// as much memory as CUDA_MPS_PINNED_DEVICE_MEM_LIMIT says (where the server has static SM partitions it must name one, and has 8
// multiprocessors for each of its chunks), fails once that file is gone (terminate_client), and a fault of one ends
// all (file fault, which keeps newcomers waiting). Without MPS its process id goes to the file FAKE_CUDA_PID, which the
// fake NVML reads. Kernels are known by name: spin and fault of the probe.
#include <cuda.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 40960, MULTIPROCESSORS = 132, KILOHERTZ = 1000000, ROUNDS = 100, PIECES = 1 << 14 };

static size_t used, limit = (size_t)MIB << 20;
static size_t pieces[PIECES], n_pieces; // what is never read is only counted
static uint32_t arena[1 << 16];         // what is
static const char *pipe_folder;
static CUresult failure; // what every call returns from now on
static bool faulted;
static char kernels[2]; // spin, fault: their addresses are the functions

static void path_of(char out[512], const char *name) {
    (void)snprintf(out, 512, "%s/%s", pipe_folder, name);
}

static bool exists(const char *name) {
    char path[512];
    path_of(path, name);
    return access(path, F_OK) == 0;
}

static void write_pid(const char *path) {
    char part[520];
    (void)snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    if (!f) return;
    const char *partition = getenv("CUDA_MPS_SM_PARTITION");
    (void)fprintf(f, "%d %s\n", (int)getpid(), partition ? partition : "");
    (void)fclose(f);
    (void)rename(part, path);
}

// Chunks of the SM partition that this process names; 0: none, or it is not there.
static int partition_chunks(void) {
    const char *name = getenv("CUDA_MPS_SM_PARTITION");
    const size_t n = name ? strlen(name) : 0;
    char file[32], path[512];
    int chunks = 0;
    if (n < 2) return 0;
    (void)snprintf(file, sizeof file, "part.%d", atoi(name + n - 2));
    path_of(path, file);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &chunks) != 1) chunks = 0;
    if (f) (void)fclose(f);
    return chunks;
}

static void pause_ms(double ms) {
    (void)nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1e3), .tv_nsec = (long)(1e6 * ms) % 1000000000}, NULL);
}

static CUresult state(void) {
    char name[64];
    (void)snprintf(name, sizeof name, "client.%d", (int)getpid());
    if (!failure && pipe_folder && exists("fault")) failure = CUDA_ERROR_ILLEGAL_ADDRESS;
    if (!failure && pipe_folder && !exists(name)) failure = CUDA_ERROR_MPS_CLIENT_TERMINATED;
    return failure;
}

CUresult cuInit(unsigned flags) {
    const char *folder = getenv("CUDA_MPS_PIPE_DIRECTORY"), *memory = getenv("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT");
    (void)flags;
    pipe_folder = folder && *folder ? folder : NULL;
    const char *amount = pipe_folder && memory ? strchr(memory, '=') : NULL;
    if (amount) limit = (size_t)strtoull(amount + 1, NULL, 10) << 20;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = 13000;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult rc, const char **name) {
    *name = rc == CUDA_ERROR_OUT_OF_MEMORY           ? "CUDA_ERROR_OUT_OF_MEMORY"
            : rc == CUDA_ERROR_ILLEGAL_ADDRESS       ? "CUDA_ERROR_ILLEGAL_ADDRESS"
            : rc == CUDA_ERROR_MPS_CLIENT_TERMINATED ? "CUDA_ERROR_MPS_CLIENT_TERMINATED"
                                                     : "CUDA_ERROR_UNKNOWN";
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult rc, const char **text) {
    (void)rc;
    *text = "of the fake driver";
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *n) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    *n = !visible || *visible;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int k) {
    *device = k;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    (void)device;
    (void)snprintf(name, (size_t)size, "Fake GPU");
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *id, CUdevice device) {
    (void)device;
    memset(id->bytes, 0xaa, sizeof id->bytes);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device) {
    const char *percent = pipe_folder ? getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE") : NULL;
    (void)device;
    *value = which == CU_DEVICE_ATTRIBUTE_CLOCK_RATE ? KILOHERTZ
             : pipe_folder && exists("parted")       ? 8 * partition_chunks()
             : percent                               ? MULTIPROCESSORS * atoi(percent) / 100
                                                     : MULTIPROCESSORS;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    (void)device;
    *bytes = (size_t)MIB << 20;
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *left, size_t *total) {
    *total = (size_t)MIB << 20;
    *left = *total - used;
    return state();
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    char name[64], path[512];
    const char *file = getenv("FAKE_CUDA_PID");
    (void)device;
    *context = NULL;
    if (!pipe_folder) {
        if (file) write_pid(file);
        return CUDA_SUCCESS;
    }
    if (exists("parted") && partition_chunks() == 0) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    while (exists("fault")) pause_ms(20);
    (void)snprintf(name, sizeof name, "client.%d", (int)getpid());
    path_of(path, name);
    write_pid(path);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    (void)device;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    (void)context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    *context = NULL;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t bytes) {
    if (state()) return failure;
    if (bytes > limit - used) return CUDA_ERROR_OUT_OF_MEMORY;
    if (bytes <= sizeof arena) { // one: for results
        *out = (CUdeviceptr)(uintptr_t)arena;
        return CUDA_SUCCESS;
    }
    if (n_pieces == PIECES) return CUDA_ERROR_OUT_OF_MEMORY;
    pieces[n_pieces] = bytes;
    used += bytes;
    *out = n_pieces++;
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr at) {
    if (at != (CUdeviceptr)(uintptr_t)arena) used -= pieces[at];
    n_pieces -= at + 1 == n_pieces;
    return state();
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    (void)stream;
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return state();
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    (void)image;
    *module = NULL;
    return state();
}

CUresult cuModuleUnload(CUmodule module) {
    (void)module;
    return state();
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    (void)module;
    *function = (CUfunction)(void *)&kernels[strcmp(name, "fault") == 0];
    return state();
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream stream, void **arguments, void **extra) {
    char path[512];
    CUdeviceptr out;
    uint64_t cycles;
    uint32_t seed;
    (void)gy, (void)gz, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
    if (state()) return failure;
    if (f == (CUfunction)(void *)&kernels[1]) {
        path_of(path, "fault");
        if (pipe_folder) write_pid(path);
        faulted = true;
        return CUDA_SUCCESS;
    }
    memcpy(&out, arguments[0], sizeof out);
    memcpy(&cycles, arguments[1], sizeof cycles);
    memcpy(&seed, arguments[2], sizeof seed);
    uint32_t *values = (uint32_t *)(uintptr_t)out; // NOLINT(performance-no-int-to-ptr)
    for (uint32_t i = 0; i < gx * bx; i++) {
        uint32_t x = seed + i;
        for (int k = 0; k < ROUNDS; k++) x = 1664525U * x + 1013904223U;
        values[i] = x;
    }
    pause_ms((double)cycles / KILOHERTZ);
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    (void)flags;
    *stream = NULL;
    return state();
}

CUresult cuStreamSynchronize(CUstream stream) {
    (void)stream;
    return faulted ? CUDA_ERROR_ILLEGAL_ADDRESS : state();
}

// ---- what the table of src/cuda/cuda_api.h wants besides; the probe calls none of it

#define NEVER_CALLED(name, ...)          \
    CUresult name(__VA_ARGS__) {         \
        return CUDA_ERROR_NOT_SUPPORTED; \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
NEVER_CALLED(cuDeviceGetDefaultMemPool, CUmemoryPool *pool, CUdevice device)
NEVER_CALLED(cuMemPoolTrimTo, CUmemoryPool pool, size_t bytes)
NEVER_CALLED(cuMemcpyHtoDAsync_v2, CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
NEVER_CALLED(cuMemcpy2DAsync_v2, const CUDA_MEMCPY2D *copy, CUstream stream)
NEVER_CALLED(cuMemsetD8Async, CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream)
NEVER_CALLED(cuStreamDestroy_v2, CUstream stream)
