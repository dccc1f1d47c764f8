// SPDX-License-Identifier: Apache-2.0
// test_mock_faults.c: the faults that the mock makes: which call fails, with which status in each library, and what works after.
#include "mock_impl.h"
#include "testing_mock.h"

// A short life of everything; 0, or the first status that is not success. Ends what it began, whatever fails.
typedef struct life {
    int status; // of the call that failed first
    double value;
    bool arrived;
} life;

static life live(const cuda__api *api) {
    life r = {0, -1, false};
    CUcontext context = NULL, popped;
    CUstream stream = NULL;
    CUdeviceptr at = 0;
    cublasHandle_t blas = NULL;
    cusolverDnHandle_t solver = NULL;
    bool pushed = false;
#define STEP(call)                                 \
    do {                                           \
        if ((r.status = (int)(call))) goto failed; \
    } while (0)
    STEP(api->cuInit(0));
    STEP(api->cuDevicePrimaryCtxRetain(&context, 0));
    STEP(api->cuCtxPushCurrent_v2(context));
    pushed = true;
    STEP(api->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    STEP(api->cublasCreate_v2(&blas));
    STEP(api->cublasSetStream_v2(blas, stream));
    STEP(api->cusolverDnCreate(&solver));
    STEP(api->cuMemAlloc_v2(&at, 80));
    STEP(api->cuMemsetD8Async(at, 0, 80, stream));
    STEP(api->cuMemcpyDtoHAsync_v2(&r.value, at, 8, stream));
    STEP(api->cuStreamSynchronize(stream));
    r.arrived = true;
failed:
    if (at) (void)api->cuMemFree_v2(at);
    if (solver) (void)api->cusolverDnDestroy(solver);
    if (blas) (void)api->cublasDestroy_v2(blas);
    if (stream) (void)api->cuStreamDestroy_v2(stream);
    if (pushed) (void)api->cuCtxPopCurrent_v2(&popped);
    if (context) (void)api->cuDevicePrimaryCtxRelease_v2(0);
    return r;
}

Test(mock_faults, the_kth_call_fails_and_a_caller_that_cleans_up_leaves_nothing)
{
    const cuda__api *api = load_all();
    mock_fail_at(0, MOCK_NONE);
    cr_assert_eq(live(api).status, 0);
    const int64_t calls = mock_calls();
    cr_assert_eq(calls, 17);
    expect_clean();
    for (int kind = MOCK_MEMORY; kind < MOCK_FAULTS; kind++) {
        for (int64_t k = 1; k <= calls + 1; k++) {
            mock_reset();
            mock_fail_at(k, (mock_fault)kind);
            const life r = live(api);
            cr_assert_eq(mock_fired(), k <= calls, "kind %d, call %lld", kind, (long long)k);
            cr_assert_eq(r.status != 0, k <= 11, "kind %d, call %lld: %d", kind, (long long)k, r.status);
            cr_assert_eq(r.arrived, k > 11);
            if (k == 11) cr_assert(isnan(r.value), "a failed wait leaves the memory as it was");
            if (r.arrived) cr_assert_eq(r.value, 0);
            expect_clean();
        }
    }
}

typedef struct statuses {
    int driver, blas, solver;
} statuses;

static const statuses expected[MOCK_FAULTS] = {
    [MOCK_MEMORY] = {CUDA_ERROR_OUT_OF_MEMORY, CUBLAS_STATUS_ALLOC_FAILED, CUSOLVER_STATUS_ALLOC_FAILED},
    [MOCK_LAUNCH] = {CUDA_ERROR_LAUNCH_FAILED, CUBLAS_STATUS_EXECUTION_FAILED, CUSOLVER_STATUS_EXECUTION_FAILED},
    [MOCK_LOST] = {CUDA_ERROR_DEVICE_UNAVAILABLE, CUBLAS_STATUS_INTERNAL_ERROR, CUSOLVER_STATUS_INTERNAL_ERROR},
    [MOCK_UNINITIALISED] = {CUDA_ERROR_NOT_INITIALIZED, CUBLAS_STATUS_NOT_INITIALIZED, CUSOLVER_STATUS_NOT_INITIALIZED},
    [MOCK_VALUE] = {CUDA_ERROR_INVALID_VALUE, CUBLAS_STATUS_INVALID_VALUE, CUSOLVER_STATUS_INVALID_VALUE},
};

Test(mock_faults, each_library_says_a_fault_in_its_own_words_and_broken_contexts_stay_so)
{
    const cuda__api *api = load_all();
    for (int kind = MOCK_MEMORY; kind < MOCK_FAULTS; kind++) {
        const statuses want = expected[kind];
        const bool stays = kind == MOCK_LAUNCH || kind == MOCK_LOST;
        for (int library = 0; library < 3; library++) {
            cublasHandle_t blas;
            cusolverDnHandle_t solver;
            CUstream stream;
            mock_reset();
            gpu g = gpu_open();
            for (int again = 0; again < 2; again++) {
                if (again == 0) mock_fail_at(1, (mock_fault)kind);
                const bool fails = again == 0 || stays;
                if (library == 0) {
                    GIVES(fails ? want.driver : 0, api->cuStreamCreate(&stream, 0));
                    if (!fails) OK(api->cuStreamDestroy_v2(stream));
                } else if (library == 1) {
                    GIVES(fails ? want.blas : 0, api->cublasCreate_v2(&blas));
                    if (!fails) OK(api->cublasDestroy_v2(blas));
                } else {
                    GIVES(fails ? want.solver : 0, api->cusolverDnCreate(&solver));
                    if (!fails) OK(api->cusolverDnDestroy(solver));
                }
            }
            GIVES(stays ? want.driver : 0, api->cuStreamSynchronize(g.stream));
            gpu_close(&g);
            expect_clean();
            CUcontext context; // the next context is well, unless the device is lost
            GIVES(kind == MOCK_LOST ? want.driver : 0, api->cuDevicePrimaryCtxRetain(&context, 0));
            if (kind != MOCK_LOST) OK(api->cuDevicePrimaryCtxRelease_v2(0));
        }
    }
}

Test(mock_faults, a_copy_that_an_error_overtakes_arrives_while_its_memory_is_there)
{
    mock_reset();
    gpu g = gpu_open();
    CUdeviceptr at, more;
    double got = 0;
    OK(g.api->cuMemAlloc_v2(&at, 8));
    OK(g.api->cuMemsetD8Async(at, 0, 8, g.stream));
    OK(g.api->cuMemcpyDtoHAsync_v2(&got, at, 8, g.stream));
    cr_assert(isnan(got));
    mock_fail_at(1, MOCK_MEMORY);
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, g.api->cuMemAlloc_v2(&more, 8));
    cr_assert_eq(got, 0);
    OK(g.api->cuMemFree_v2(at));
    gpu_close(&g);
    expect_clean();
}

Test(mock_faults, the_environment_names_call_and_kind)
{
    char why[300];
    setenv("HPT_MOCK_FAIL", "3:value", 1);
    mock_reset();
    const cuda__api *api = load_all();
    const life r = live(api);
    cr_assert_eq(r.status, CUDA_ERROR_INVALID_VALUE);
    cr_assert(mock_fired());
    cr_assert_lt(mock_calls(), 6);
    expect_clean();
    static const char *const wrong[] = {"", "x", "3", "3:", "0:value", "-1:value", "3:none", "3:values", "3:value "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("HPT_MOCK_FAIL", wrong[i], 1);
        mock_reset();
        cr_assert_eq(mock_check(why, sizeof why), -1, "'%s'", wrong[i]);
    }
    expect_misuse("HPT_MOCK_FAIL: '3:value ' is not k:kind");
    unsetenv("HPT_MOCK_FAIL");
    setenv("HPT_MOCK_MEMORY", "12 apples", 1);
    mock_reset();
    expect_misuse("HPT_MOCK_MEMORY");
    unsetenv("HPT_MOCK_MEMORY");
    setenv("HPT_MOCK_MISSING", "blas,gpu", 1);
    mock_reset();
    expect_misuse("HPT_MOCK_MISSING: 'gpu'");
}
