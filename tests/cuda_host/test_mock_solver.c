// SPDX-License-Identifier: Apache-2.0
// test_mock_solver.c: the mock's cuSOLVER (factors multiplied back), and what it refuses.
#include "testing_mock.h"

typedef struct work { // workspaces as bufferSize says
    CUdeviceptr device, info;
    void *host;
    size_t device_bytes, host_bytes;
} work;

static work work_new(gpu *g, int64_t n, int64_t ld) {
    work w = {0};
    OK(g->api->cusolverDnXpotrf_bufferSize(g->solver, g->params, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, NULL, ld,
                                           CUDA_R_64F, &w.device_bytes, &w.host_bytes));
    cr_assert_gt(w.device_bytes, 0u);
    cr_assert_gt(w.host_bytes, 0u); // a caller that forgets it is to be caught
    OK(g->api->cuMemAlloc_v2(&w.device, w.device_bytes));
    OK(g->api->cuMemAlloc_v2(&w.info, sizeof(int)));
    w.host = malloc(w.host_bytes);
    return w;
}

static void work_free(gpu *g, work *w) {
    OK(g->api->cuMemFree_v2(w->device));
    OK(g->api->cuMemFree_v2(w->info));
    free(w->host);
}

static cusolverStatus_t potrf(gpu *g, const matrix *a, const work *w) {
    return g->api->cusolverDnXpotrf(g->solver, g->params, CUBLAS_FILL_MODE_LOWER, a->rows, CUDA_R_64F, numbers_of(a),
                                    a->ld, CUDA_R_64F, (void *)(uintptr_t)w->device, w->device_bytes, w->host,
                                    w->host_bytes, (int *)(uintptr_t)w->info);
}

static int info_of(gpu *g, const work *w) {
    int info = -1;
    OK(g->api->cuMemcpyDtoHAsync_v2(&info, w->info, sizeof info, g->stream));
    OK(g->api->cuStreamSynchronize(g->stream));
    return info;
}

// A = L L' of a random L with a strong diagonal; above the diagonal of both: NaN.
static matrix definite(gpu *g, hpt__rng *rng, int64_t n, int64_t ld, double **factor) {
    matrix a = matrix_new(g, rng, n, n, ld);
    double *l = calloc((size_t)(n * n), sizeof *l);
    cr_assert_not_null(l);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) l[i + j * n] = i == j ? 2 + a.host[i + j * ld] : a.host[i + j * ld] / (double)n;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++) {
            long double sum = 0;
            for (int64_t k = 0; k <= j; k++) sum += (long double)l[i + k * n] * l[j + k * n];
            a.host[i + j * ld] = i < j ? NAN : (double)sum;
        }
    }
    matrix_send(g, &a);
    *factor = l;
    return a;
}

static const int64_t orders[] = {1, 2, 31, 64, 65, 130, 193};
enum { ORDERS = sizeof orders / sizeof *orders };

Test(mock_solver, potrf_gives_the_factor_and_leaves_the_other_half)
{
    for (int s = 0; s < ORDERS; s++) {
        const int64_t n = orders[s];
        hpt__rng rng;
        double *l;
        gpu g = gpu_open();
        hpt__rng_init(&rng, 11, (uint64_t)s);
        matrix a = definite(&g, &rng, n, n + 3, &l);
        work w = work_new(&g, n, a.ld);
        OK(potrf(&g, &a, &w));
        cr_assert_eq(info_of(&g, &w), 0);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = j; i < n; i++) a.host[i + j * a.ld] = l[i + j * n];
        matrix_expect(&g, &a, 1e-13 * (double)n, "potrf");
        free(l);
        work_free(&g, &w);
        matrix_free(&g, &a);
        gpu_close(&g);
        expect_clean();
    }
}

Test(mock_solver, a_matrix_that_is_not_definite_is_told_in_info_with_half_of_it_overwritten)
{
    hpt__rng rng;
    double *l;
    gpu g = gpu_open();
    hpt__rng_init(&rng, 13, 0);
    matrix a = definite(&g, &rng, 130, 131, &l);
    work w = work_new(&g, 130, a.ld);
    a.host[100 + 100 * a.ld] = -1;
    matrix_send(&g, &a);
    OK(potrf(&g, &a, &w));
    cr_assert_eq(info_of(&g, &w), 101);
    double first[2], last;
    OK(g.api->cuMemcpyDtoHAsync_v2(first, a.at, sizeof first, g.stream));
    OK(g.api->cuMemcpyDtoHAsync_v2(&last, a.at + (129 + 129 * 131) * 8, 8, g.stream));
    OK(g.api->cuStreamSynchronize(g.stream));
    cr_assert_float_eq(first[0], l[0], 1e-13);
    cr_assert_float_eq(first[1], l[1], 1e-13);
    cr_assert_eq(last, a.host[129 + 129 * 131]);
    a.host[100 + 100 * a.ld] = NAN;
    matrix_send(&g, &a);
    OK(potrf(&g, &a, &w));
    cr_assert_eq(info_of(&g, &w), 101, "NaN on the diagonal");
    free(l);
    work_free(&g, &w);
    matrix_free(&g, &a);
    gpu_close(&g);
    expect_clean();
}

Test(mock_solver, workspaces_are_wanted_in_full_and_written_over)
{
    static const char *const told[] = {"workspaces of 0 and",
                                       "workspaces of",
                                       "the host's workspace",
                                       "workspace: ",
                                       "info: ",
                                       "A and workspace overlap",
                                       "is dead, or never was one"};
    for (int s = 0; s < 7; s++) {
        hpt__rng rng;
        double *l;
        mock_reset();
        gpu g = gpu_open();
        hpt__rng_init(&rng, 14, 0);
        matrix a = definite(&g, &rng, 40, 41, &l);
        const work whole = work_new(&g, 40, 41);
        work w = whole, info = {.info = whole.info};
        cusolverDnParams_t params = g.params;
        if (s == 0) w.device_bytes = 0;
        if (s == 1) w.host_bytes--;
        if (s == 2) w.host = (void *)(uintptr_t)w.device;
        if (s == 3) w.device = (CUdeviceptr)(uintptr_t)w.host;
        if (s == 4) w.info = (CUdeviceptr)(uintptr_t)&info;
        if (s == 5) w.device = a.at;
        if (s == 6) OK(g.api->cusolverDnDestroyParams(params));
        cr_assert_neq((int)potrf(&g, &a, &w), 0, "%d", s);
        expect_misuse(told[s]);
        free(l);
        w = whole;
        work_free(&g, &w);
        matrix_free(&g, &a);
        gpu_close(&g);
    }
    mock_reset();
    hpt__rng rng;
    double *l;
    gpu g = gpu_open();
    hpt__rng_init(&rng, 14, 0);
    matrix a = definite(&g, &rng, 40, 41, &l);
    work w = work_new(&g, 40, 41);
    const double zero = 0;
    double got;
    memset(w.host, 0, w.host_bytes);
    OK(g.api->cuMemcpyHtoDAsync_v2(w.device, &zero, sizeof zero, g.stream));
    OK(potrf(&g, &a, &w));
    OK(g.api->cuMemcpyDtoHAsync_v2(&got, w.device, sizeof got, g.stream));
    OK(g.api->cuStreamSynchronize(g.stream));
    cr_assert(isnan(got));
    cr_assert_neq(((unsigned char *)w.host)[0], 0);
    free(l);
    work_free(&g, &w);
    matrix_free(&g, &a);
    gpu_close(&g);
    expect_clean();
}

Test(mock_solver, shapes_that_it_does_not_have_are_refused)
{
    size_t device, host;
    mock_reset();
    gpu g = gpu_open();
    const cuda__api *api = g.api;
    GIVES(CUSOLVER_STATUS_INVALID_VALUE,
          api->cusolverDnXpotrf_bufferSize(g.solver, g.params, CUBLAS_FILL_MODE_LOWER, 5, CUDA_R_64F, NULL, 4,
                                           CUDA_R_64F, &device, &host));
    expect_misuse("n 5, distance of columns 4");
    GIVES(CUSOLVER_STATUS_INVALID_VALUE,
          api->cusolverDnXpotrf_bufferSize(g.solver, g.params, CUBLAS_FILL_MODE_LOWER, -1, CUDA_R_64F, NULL, 4,
                                           CUDA_R_64F, &device, &host));
    GIVES(CUSOLVER_STATUS_INVALID_VALUE,
          api->cusolverDnXpotrf_bufferSize(g.solver, g.params, CUBLAS_FILL_MODE_LOWER, 5, CUDA_R_32F, NULL, 5,
                                           CUDA_R_64F, &device, &host));
    GIVES(CUSOLVER_STATUS_INVALID_VALUE,
          api->cusolverDnXpotrf_bufferSize(g.solver, g.params, CUBLAS_FILL_MODE_UPPER, 5, CUDA_R_64F, NULL, 5,
                                           CUDA_R_64F, &device, &host));
    GIVES(CUSOLVER_STATUS_NOT_INITIALIZED,
          api->cusolverDnXpotrf_bufferSize((cusolverDnHandle_t)g.blas, g.params, CUBLAS_FILL_MODE_LOWER, 5, CUDA_R_64F,
                                           NULL, 5, CUDA_R_64F, &device, &host));
    gpu_close(&g);
}
