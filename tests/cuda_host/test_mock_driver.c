// SPDX-License-Identifier: Apache-2.0
// test_mock_driver.c: the mock's driver: what works, and that each mistake of a caller is told. The kernels here are two of its
// own in place of the shim's.
#include "mock_impl.h"
#include "shim_run.h"
#include "testing_mock.h"

#include <pthread.h>
#include <stdio.h>

// ---- kernels

typedef struct add_args {
    double *to;
    int64_t n;
    double value;
} add_args;

static void nothing(const void *args) {
    (void)args;
}

static const shim_kernel add_kernel = {"add", sizeof(add_args), 256, nothing};
static const shim_kernel bad_kernel = {"bad", sizeof(add_args), 256, nothing};

const shim_kernel *shim_find(const char *name) {
    return strcmp(name, "add") == 0 ? &add_kernel : strcmp(name, "bad") == 0 ? &bad_kernel : NULL;
}

int shim_launch_dynamic(const shim_kernel *k, const unsigned grid[3], const unsigned block[3], size_t dynamic,
                        const void *args, char *why, size_t size) {
    const add_args *a = args;
    if (k == &bad_kernel) return snprintf(why, size, "threads miss a barrier"), -1;
    for (int64_t i = 0; i < a->n && i < (int64_t)grid[0] * block[0]; i++) a->to[i] = a->value + (double)dynamic;
    return 0;
}

// ---- devices and contexts

Test(mock_driver, a_device_says_that_it_is_none)
{
    const cuda__api *api = load_all();
    int n = 0, version = 0, value = 0;
    char name[64];
    size_t total = 0;
    CUdevice device;
    OK(api->cuInit(0));
    OK(api->cuDriverGetVersion(&version));
    cr_assert_eq(version, CUDA_VERSION);
    mock_devices(2, 1000, 600);
    OK(api->cuDeviceGetCount(&n));
    cr_assert_eq(n, 2);
    OK(api->cuDeviceGet(&device, 1));
    OK(api->cuDeviceGetName(name, sizeof name, device));
    cr_assert_str_eq(name, "mock device, no GPU");
    OK(api->cuDeviceGetName(name, 5, device));
    cr_assert_str_eq(name, "mock");
    OK(api->cuDeviceTotalMem_v2(&total, device));
    cr_assert_eq(total, 1000u);
    OK(api->cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    cr_assert_eq(value, 9);
    CUmemoryPool pool;
    OK(api->cuDeviceGetDefaultMemPool(&pool, device));
    OK(api->cuMemPoolTrimTo(pool, 0));
    expect_clean();
    GIVES(CUDA_ERROR_INVALID_DEVICE, api->cuDeviceGet(&device, 2));
    expect_misuse("cuDeviceGet: there is no device 2");
    GIVES(CUDA_ERROR_INVALID_VALUE, api->cuMemPoolTrimTo((CUmemoryPool)name, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, api->cuDeviceGetAttribute(&value, (CUdevice_attribute)9999, 0));
}

Test(mock_driver, no_device_and_no_init_are_errors_of_the_driver)
{
    const cuda__api *api = load_all();
    int n = 0;
    const char *text = NULL;
    GIVES(CUDA_ERROR_NOT_INITIALIZED, api->cuDeviceGetCount(&n));
    expect_misuse("cuDeviceGetCount: before cuInit");
    mock_reset();
    mock_devices(0, 0, 0);
    GIVES(CUDA_ERROR_NO_DEVICE, api->cuInit(0));
    OK(api->cuGetErrorName(CUDA_ERROR_NO_DEVICE, &text));
    cr_assert_str_eq(text, "CUDA_ERROR_NO_DEVICE");
    OK(api->cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    cr_assert_str_eq(text, "out of memory");
    GIVES(CUDA_ERROR_INVALID_VALUE, api->cuGetErrorName((CUresult)98765, &text));
    cr_assert_str_eq(api->cublasGetStatusName(CUBLAS_STATUS_ALLOC_FAILED), "CUBLAS_STATUS_ALLOC_FAILED");
    expect_clean();
}

Test(mock_driver, a_library_is_there_when_it_was_asked_for_and_not_before)
{
    char why[200] = "";
    setenv("HPT_MOCK_MISSING", "solver", 1);
    mock_reset();
    cr_assert_str_eq(cuda__api_path(CUDA__LIBRARY_DRIVER), "");
    const cuda__api *api = cuda__api_load(CUDA__LIBRARY_DRIVER, why, sizeof why);
    cr_assert_not_null(api);
    cr_assert_not_null(api->cuInit);
    cr_assert_null(api->cublasCreate_v2);
    cr_assert_not(mock_loaded(CUDA__LIBRARY_BLAS));
    cr_assert_not_null(cuda__api_load(CUDA__LIBRARY_BLAS, why, sizeof why));
    cr_assert_not_null(api->cublasCreate_v2);
    cr_assert_str_neq(cuda__api_path(CUDA__LIBRARY_BLAS), "");
    cr_assert_null(cuda__api_load(CUDA__LIBRARY_SOLVER, why, sizeof why));
    cr_assert_str_eq(why, "the mock's cuSOLVER is missing (HPT_MOCK_MISSING)");
    cr_assert_null(api->cusolverDnCreate);
    mock_missing(CUDA__LIBRARY_SOLVER, false); // the first attempt counts
    cr_assert_null(cuda__api_load(CUDA__LIBRARY_SOLVER, why, sizeof why));
    expect_clean();
}

Test(mock_driver, a_call_without_a_live_context_fails_and_is_told)
{
    mock_reset();
    gpu g = gpu_open();
    CUdeviceptr at;
    CUcontext popped;
    OK(g.api->cuCtxPopCurrent_v2(&popped));
    cr_assert_eq(popped, g.context);
    GIVES(CUDA_ERROR_INVALID_CONTEXT, g.api->cuMemAlloc_v2(&at, 8));
    expect_misuse("cuMemAlloc_v2: no context is current");
    GIVES(CUBLAS_STATUS_NOT_INITIALIZED, g.api->cublasCreate_v2(&g.blas));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, g.api->cuCtxPopCurrent_v2(&popped));
    OK(g.api->cuCtxPushCurrent_v2(g.context));
    gpu_close(&g);
    mock_reset();
    g = gpu_open();
    OK(g.api->cuDevicePrimaryCtxRelease_v2(0)); // while it is current, and with all handles in it
    expect_misuse("cuDevicePrimaryCtxRelease: 0 blocks and 4 handles are left");
    GIVES(CUDA_ERROR_CONTEXT_IS_DESTROYED, g.api->cuMemAlloc_v2(&at, 8));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, g.api->cuCtxPushCurrent_v2(g.context));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, g.api->cuDevicePrimaryCtxRelease_v2(0));
    OK(g.api->cuCtxPopCurrent_v2(&popped));
}

static void *other_thread(void *payload) {
    const gpu *g = payload;
    CUdeviceptr at;
    return (void *)(uintptr_t)g->api->cuMemAlloc_v2(&at, 8);
}

Test(mock_driver, each_thread_has_its_own_current_context)
{
    gpu g = gpu_open();
    pthread_t thread;
    void *result = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, other_thread, &g), 0);
    cr_assert_eq(pthread_join(thread, &result), 0);
    cr_assert_eq((uintptr_t)result, (uintptr_t)CUDA_ERROR_INVALID_CONTEXT);
    gpu_close(&g);
}

Test(mock_driver, what_is_left_is_told_one_after_another)
{
    mock_reset();
    gpu g = gpu_open();
    CUcontext popped;
    CUmodule module;
    CUfunction function;
    CUdeviceptr at;
    expect_misuse("a cuSOLVER parameters is left");
    OK(g.api->cusolverDnDestroyParams(g.params));
    expect_misuse("a cuSOLVER handle is left");
    OK(g.api->cusolverDnDestroy(g.solver));
    expect_misuse("a cuBLAS handle is left");
    OK(g.api->cublasDestroy_v2(g.blas));
    expect_misuse("a stream is left");
    OK(g.api->cuModuleLoadData(&module, cuda__kernels_image));
    OK(g.api->cuModuleGetFunction(&function, module, "add"));
    expect_misuse("a module is left");
    OK(g.api->cuModuleUnload(module)); // with its functions
    OK(g.api->cuStreamDestroy_v2(g.stream));
    OK(g.api->cuMemAlloc_v2(&at, 24));
    expect_misuse("24 bytes of device memory are left");
    OK(g.api->cuMemFree_v2(at));
    expect_misuse("1 pushed contexts are left");
    OK(g.api->cuCtxPopCurrent_v2(&popped));
    expect_misuse("the primary context is retained 1 times");
    OK(g.api->cuDevicePrimaryCtxRelease_v2(0));
    expect_clean();
    cr_assert_eq(hpt_mock_check((char[100]){0}, 100), 0);
}

// ---- memory

Test(mock_driver, memory_is_counted_begins_as_nan_and_ends_at_its_capacity)
{
    setenv("HPT_MOCK_MEMORY", "1000", 1);
    mock_reset();
    gpu g = gpu_open();
    CUdeviceptr a, b;
    size_t left, total;
    double value = 0;
    OK(g.api->cuMemAlloc_v2(&a, 600));
    OK(g.api->cuMemGetInfo_v2(&left, &total));
    cr_assert_eq(left, 400u);
    cr_assert_eq(total, 1000u);
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, g.api->cuMemAlloc_v2(&b, 401));
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, g.api->cuMemAlloc_v2(&b, SIZE_MAX));
    OK(g.api->cuMemAlloc_v2(&b, 400));
    cr_assert_eq(a % 256, 0u);
    cr_assert_eq(mock_bytes(), 1000u);
    OK(g.api->cuMemcpyDtoHAsync_v2(&value, a + 592, 8, g.stream));
    OK(g.api->cuStreamSynchronize(g.stream));
    cr_assert(isnan(value));
    OK(g.api->cuMemFree_v2(a));
    OK(g.api->cuMemFree_v2(b));
    cr_assert_eq(mock_bytes(), 0u);
    cr_assert_eq(mock_peak(), 1000u);
    gpu_close(&g);
    expect_clean();
}

typedef enum mistake {
    FREE_TWICE,
    FREE_INSIDE,
    FREE_HOST,
    ALLOC_NOTHING,
    COPY_PAST_END,
    COPY_TO_FREED,
    COPY_FROM_DEVICE_AS_HOST,
    COPY_TO_DEVICE_AS_HOST,
    COPY_HOST_AS_DEVICE,
    COPY_NULL,
    COPY_OVERLAP,
    COPY_2D_PITCH,
    COPY_2D_TYPES,
    COPY_2D_PAST_END,
    SET_PAST_END,
    STREAM_DEAD,
    STREAM_TWICE,
    STREAM_DEFAULT,
    STREAM_UNWAITED,
    MODULE_NULL,
    MODULE_OTHER,
    MODULE_DEAD,
    WRONG_KIND,
    MISTAKES,
} mistake;

static int make(gpu *g, mistake what, CUdeviceptr at, CUdeviceptr freed) { // at: 80 bytes
    static double host[20];
    const cuda__api *api = g->api;
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = at,
                          .srcPitch = 16,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = host,
                          .dstPitch = 16,
                          .WidthInBytes = 16,
                          .Height = 5};
    CUdeviceptr other;
    CUstream stream;
    CUmodule module;
    CUfunction function;
    switch (what) {
    case FREE_TWICE:
        return (int)api->cuMemFree_v2(freed);
    case FREE_INSIDE:
        return (int)api->cuMemFree_v2(at + 8);
    case FREE_HOST:
        return (int)api->cuMemFree_v2((CUdeviceptr)(uintptr_t)host);
    case ALLOC_NOTHING:
        return (int)api->cuMemAlloc_v2(&other, 0);
    case COPY_PAST_END:
        return (int)api->cuMemcpyHtoDAsync_v2(at + 8, host, 80, g->stream);
    case COPY_TO_FREED:
        return (int)api->cuMemcpyHtoDAsync_v2(freed, host, 8, g->stream);
    case COPY_FROM_DEVICE_AS_HOST:
        return (int)api->cuMemcpyHtoDAsync_v2(at, (void *)(uintptr_t)at, 8, g->stream);
    case COPY_TO_DEVICE_AS_HOST:
        return (int)api->cuMemcpyDtoHAsync_v2((void *)(uintptr_t)at, at, 8, g->stream);
    case COPY_HOST_AS_DEVICE:
        return (int)api->cuMemcpyDtoHAsync_v2(host, (CUdeviceptr)(uintptr_t)host, 8, g->stream);
    case COPY_NULL:
        return (int)api->cuMemcpyDtoHAsync_v2(NULL, at, 8, g->stream);
    case COPY_OVERLAP:
        copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
        copy.dstDevice = at + 8;
        copy.Height = 4;
        return (int)api->cuMemcpy2DAsync_v2(&copy, g->stream);
    case COPY_2D_PITCH:
        copy.dstPitch = 8;
        return (int)api->cuMemcpy2DAsync_v2(&copy, g->stream);
    case COPY_2D_TYPES:
        copy.srcMemoryType = CU_MEMORYTYPE_HOST;
        return (int)api->cuMemcpy2DAsync_v2(&copy, g->stream);
    case COPY_2D_PAST_END:
        copy.srcY = 1;
        return (int)api->cuMemcpy2DAsync_v2(&copy, g->stream);
    case SET_PAST_END:
        return (int)api->cuMemsetD8Async(at, 0, 81, g->stream);
    case STREAM_DEAD:
    case STREAM_TWICE:
        OK(api->cuStreamCreate(&stream, 0));
        OK(api->cuStreamDestroy_v2(stream));
        return (int)(what == STREAM_DEAD ? api->cuMemsetD8Async(at, 0, 8, stream) : api->cuStreamDestroy_v2(stream));
    case STREAM_DEFAULT:
        return (int)api->cuMemsetD8Async(at, 0, 8, NULL);
    case STREAM_UNWAITED:
        OK(api->cuStreamCreate(&stream, 0));
        OK(api->cuMemcpyDtoHAsync_v2(host, at, 8, stream));
        return (int)api->cuStreamDestroy_v2(stream);
    case MODULE_NULL:
        return (int)api->cuModuleLoadData(&module, NULL);
    case MODULE_OTHER:
        return (int)api->cuModuleLoadData(&module, host);
    case MODULE_DEAD:
        OK(api->cuModuleLoadData(&module, cuda__kernels_image));
        OK(api->cuModuleUnload(module));
        return (int)api->cuModuleGetFunction(&function, module, "add");
    case WRONG_KIND:
        return (int)api->cuStreamDestroy_v2((CUstream)g->blas);
    case MISTAKES:
        break;
    }
    return -1;
}

Test(mock_driver, each_mistake_is_told)
{
    static const char *const told[MISTAKES] = {
        [FREE_TWICE] = "is no live allocation: freed before",
        [FREE_INSIDE] = "is no live allocation",
        [FREE_HOST] = "is no live allocation",
        [ALLOC_NOTHING] = "cuMemAlloc_v2: 0 bytes",
        [COPY_PAST_END] = "destination: 80 bytes at 8 of a block of 80",
        [COPY_TO_FREED] = "is no live device memory",
        [COPY_FROM_DEVICE_AS_HOST] = "source: 0x",
        [COPY_TO_DEVICE_AS_HOST] = "is device memory, not the host's",
        [COPY_HOST_AS_DEVICE] = "source: 0x",
        [COPY_NULL] = "is no memory",
        [COPY_OVERLAP] = "source and destination overlap",
        [COPY_2D_PITCH] = "rows of 16 bytes at distances 16 and 8",
        [COPY_2D_TYPES] = "memory types 1 to 1",
        [COPY_2D_PAST_END] = "source: 80 bytes at 16 of a block of 80",
        [SET_PAST_END] = "destination: 81 bytes at 0 of a block of 80",
        [STREAM_DEAD] = "cuMemsetD8Async: handle",
        [STREAM_TWICE] = "cuStreamDestroy_v2: handle",
        [STREAM_DEFAULT] = "on the default stream",
        [STREAM_UNWAITED] = "a copy to the host was not waited for",
        [MODULE_NULL] = "image: (nil) is no memory",
        [MODULE_OTHER] = "not the image of the kernels",
        [MODULE_DEAD] = "is dead, or never was one",
        [WRONG_KIND] = "is of another kind",
    };
    for (int i = 0; i < MISTAKES; i++) {
        CUdeviceptr at, freed;
        mock_reset();
        gpu g = gpu_open();
        OK(g.api->cuMemAlloc_v2(&at, 80));
        OK(g.api->cuMemAlloc_v2(&freed, 80));
        OK(g.api->cuMemFree_v2(freed));
        const int status = make(&g, (mistake)i, at, freed);
        if (i == STREAM_DEFAULT || i == STREAM_UNWAITED) {
            cr_assert_eq(status, 0, "%d: works all the same", i);
        } else {
            cr_assert_gt(status, 0, "%d", i);
        }
        OK(g.api->cuMemFree_v2(at));
        gpu_close(&g);
        expect_misuse(told[i]);
    }
}

#ifndef __SANITIZE_ADDRESS__ // which stops at the first byte
Test(mock_driver, a_write_beside_a_block_is_told_when_it_is_freed)
{
    for (int i = 0; i < 2; i++) {
        CUdeviceptr at;
        mock_reset();
        gpu g = gpu_open();
        OK(g.api->cuMemAlloc_v2(&at, 12));
        ((volatile char *)(uintptr_t)at)[i ? 12 : -1] = 0;
        OK(g.api->cuMemFree_v2(at));
        expect_misuse("cuMemFree: something wrote beside the block of 12 bytes");
        gpu_close(&g);
    }
}
#endif

Test(mock_driver, a_copy_to_the_host_arrives_when_its_stream_is_waited_for)
{
    gpu g = gpu_open();
    CUdeviceptr at;
    double value = 1, got = 0;
    int64_t bits = 0;
    OK(g.api->cuMemAlloc_v2(&at, 16));
    OK(g.api->cuMemcpyHtoDAsync_v2(at, &value, 8, g.stream));
    value = 2; // the host's side was taken
    OK(g.api->cuMemcpyDtoHAsync_v2(&got, at, 8, g.stream));
    OK(g.api->cuMemsetD8Async(at, 0, 8, g.stream)); // comes after the copy
    memcpy(&bits, &got, 8);
    cr_assert_eq(bits, -1);
    OK(g.api->cuStreamSynchronize(g.stream));
    cr_assert_eq(got, 1);
    OK(g.api->cuMemFree_v2(at));
    gpu_close(&g);
    expect_clean();
}

Test(mock_driver, a_copy_in_two_dimensions_moves_its_rows_and_nothing_else)
{
    gpu g = gpu_open();
    CUdeviceptr a, b;
    double from[15], to[24];
    for (int i = 0; i < 15; i++) from[i] = i;
    for (int i = 0; i < 24; i++) to[i] = -i;
    OK(g.api->cuMemAlloc_v2(&a, 5 * 7 * 8));
    OK(g.api->cuMemAlloc_v2(&b, 5 * 8 * 8));
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = from,
                          .srcPitch = 24,
                          .WidthInBytes = 24,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = a,
                          .dstPitch = 56,
                          .Height = 5};
    OK(g.api->cuMemcpy2DAsync_v2(&copy, g.stream));
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = a;
    copy.srcPitch = 56;
    copy.dstDevice = b;
    copy.dstPitch = 64;
    OK(g.api->cuMemcpy2DAsync_v2(&copy, g.stream));
    copy.srcDevice = b;
    copy.srcPitch = 64;
    copy.srcXInBytes = 8;
    copy.srcY = 1;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = to;
    copy.dstPitch = 40;
    copy.dstXInBytes = 16;
    copy.WidthInBytes = 16;
    copy.Height = 4;
    OK(g.api->cuMemcpy2DAsync_v2(&copy, g.stream));
    OK(g.api->cuStreamSynchronize(g.stream));
    for (int i = 0; i < 24; i++) {
        const int row = i / 5, column = i % 5;
        const double want = row < 4 && (column == 2 || column == 3) ? from[3 * (row + 1) + column - 1] : -i;
        cr_assert_eq(to[i], want, "%d: %g", i, to[i]);
    }
    OK(g.api->cuMemFree_v2(a));
    OK(g.api->cuMemFree_v2(b));
    gpu_close(&g);
    expect_clean();
}

// ---- launches

typedef struct launching {
    gpu g;
    CUmodule module;
    CUfunction add, bad;
    CUdeviceptr at;
    add_args args;
    void *params[1];
} launching;

static void launching_open(launching *l) {
    mock_reset();
    l->g = gpu_open();
    OK(l->g.api->cuModuleLoadData(&l->module, cuda__kernels_image));
    OK(l->g.api->cuModuleGetFunction(&l->add, l->module, "add"));
    OK(l->g.api->cuModuleGetFunction(&l->bad, l->module, "bad"));
    OK(l->g.api->cuMemAlloc_v2(&l->at, 80));
    l->args = (add_args){(double *)(uintptr_t)l->at, 10, 7};
    l->params[0] = &l->args;
}

static void launching_close(launching *l) {
    (void)l->g.api->cuMemFree_v2(l->at);
    (void)l->g.api->cuModuleUnload(l->module);
    gpu_close(&l->g);
}

Test(mock_driver, a_launch_runs_the_kernel_of_that_name_with_its_struct)
{
    launching l;
    CUfunction none;
    double got[10];
    launching_open(&l);
    GIVES(CUDA_ERROR_NOT_FOUND, l.g.api->cuModuleGetFunction(&none, l.module, "no_such_kernel"));
    OK(l.g.api->cuLaunchKernel(l.add, 5, 1, 1, 2, 1, 1, 0, l.g.stream, l.params, NULL));
    OK(l.g.api->cuMemcpyDtoHAsync_v2(got, l.at, sizeof got, l.g.stream));
    OK(l.g.api->cuStreamSynchronize(l.g.stream));
    for (int i = 0; i < 10; i++) cr_assert_eq(got[i], 7);
    OK(l.g.api->cuLaunchKernel(l.add, 5, 1, 1, 2, 1, 1, 1, l.g.stream, l.params, NULL));
    OK(l.g.api->cuMemcpyDtoHAsync_v2(got, l.at, sizeof got, l.g.stream));
    OK(l.g.api->cuStreamSynchronize(l.g.stream));
    cr_assert_eq(got[9], 8, "dynamic shared memory is handed on");
    launching_close(&l);
    expect_clean();
}

Test(mock_driver, a_launch_of_wrong_sizes_is_refused_and_told)
{
    static const struct {
        unsigned grid[3], block[3], shared;
        int status;
    } cases[] = {
        {{0, 1, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
        {{1, 65536, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {1, 0, 1}, 0, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {1025, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {512, 2, 2}, 0, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {257, 1, 1}, 0, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES},
        {{1, 1, 1}, {1, 1, 1}, 49153, CUDA_ERROR_INVALID_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        launching l;
        launching_open(&l);
        const unsigned *gr = cases[i].grid, *b = cases[i].block;
        GIVES(cases[i].status, l.g.api->cuLaunchKernel(l.add, gr[0], gr[1], gr[2], b[0], b[1], b[2], cases[i].shared,
                                                       l.g.stream, l.params, NULL));
        expect_misuse("cuLaunchKernel: add: ");
        launching_close(&l);
    }
    launching l;
    launching_open(&l);
    GIVES(CUDA_ERROR_INVALID_VALUE, l.g.api->cuLaunchKernel(l.add, 1, 1, 1, 1, 1, 1, 0, l.g.stream, NULL, NULL));
    GIVES(CUDA_ERROR_INVALID_HANDLE,
          l.g.api->cuLaunchKernel((CUfunction)l.module, 1, 1, 1, 1, 1, 1, 0, l.g.stream, l.params, NULL));
    launching_close(&l);
}

Test(mock_driver, a_kernel_that_fails_breaks_its_context_until_it_is_released)
{
    launching l;
    double got = 0;
    launching_open(&l);
    GIVES(CUDA_ERROR_LAUNCH_FAILED, l.g.api->cuLaunchKernel(l.bad, 1, 1, 1, 1, 1, 1, 0, l.g.stream, l.params, NULL));
    GIVES(CUDA_ERROR_LAUNCH_FAILED, l.g.api->cuMemcpyDtoHAsync_v2(&got, l.at, 8, l.g.stream));
    GIVES(CUDA_ERROR_LAUNCH_FAILED, l.g.api->cuStreamSynchronize(l.g.stream));
    cr_assert_eq(got, 0);
    launching_close(&l);
    expect_misuse("cuLaunchKernel: bad: threads miss a barrier");
    gpu g = gpu_open(); // anew
    OK(g.api->cuStreamSynchronize(g.stream));
    gpu_close(&g);
}
