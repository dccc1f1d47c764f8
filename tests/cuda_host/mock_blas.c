// SPDX-License-Identifier: Apache-2.0
// mock_blas.c: the cuBLAS functions of the mock (mock.h): what the real ones check, and what they only presume: pointers to
// device memory with all of the matrix in it, scalars on the host, results apart from operands. mock_loops.c computes.
// Source: cuBLAS Library, NVIDIA (errors of each function; trmm may write in place, with C = B and the same distance).
#include "mock_impl.h"

#define CALL (__func__ + 5) // without "mock_"

static cublasStatus_t status_of(CUresult rc) {
    switch (rc) {
    case CUDA_SUCCESS:
        return CUBLAS_STATUS_SUCCESS;
    case CUDA_ERROR_OUT_OF_MEMORY:
        return CUBLAS_STATUS_ALLOC_FAILED;
    case CUDA_ERROR_INVALID_VALUE:
        return CUBLAS_STATUS_INVALID_VALUE;
    case CUDA_ERROR_LAUNCH_FAILED:
        return CUBLAS_STATUS_EXECUTION_FAILED;
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
        return CUBLAS_STATUS_INTERNAL_ERROR;
    default: // not initialised, no context
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
}

// ---- matrices

static int64_t from_row(const mock_matrix *a, int64_t j) {
    return a->part == MOCK__LOWER ? j : 0;
}

static int64_t to_row(const mock_matrix *a, int64_t j) {
    return a->part == MOCK__UPPER ? j + 1 : a->rows;
}

bool mock__matrix_live(const char *call, const mock_matrix *a) {
    if (a->rows == 0 || a->cols == 0) return true;
    return mock__on_device(call, a->name, a->at, (size_t)((a->cols - 1) * a->ld + a->rows) * a->size);
}

bool mock__apart(const char *call, const mock_matrix *a, const mock_matrix *b) {
    if (a->rows == 0 || b->rows == 0) return true;
    for (int64_t j = 0; j < a->cols; j++) {
        // Column j of A begins `at` elements after B; the columns of B that can reach into it begin at most b->rows before it.
        const int64_t at = ((int64_t)(uintptr_t)a->at - (int64_t)(uintptr_t)b->at) / (int64_t)a->size + j * a->ld;
        const int64_t low = at + from_row(a, j), high = at + to_row(a, j);
        int64_t q = low - b->rows < 0 ? 0 : (low - b->rows) / b->ld;
        for (; q < b->cols && q * b->ld < high; q++) {
            if (q * b->ld + from_row(b, q) < high && low < q * b->ld + to_row(b, q)) {
                (void)mock__misuse(call, "%s and %s overlap", a->name, b->name);
                return false;
            }
        }
    }
    return true;
}

static void scale(const mock_matrix *c, double *at, double beta) {
    for (int64_t j = 0; j < c->cols && beta != 1; j++)
        for (int64_t i = from_row(c, j); i < to_row(c, j); i++)
            at[i + j * c->ld] = beta != 0 ? beta * at[i + j * c->ld] : 0;
}

// ---- what all functions check

static cublasStatus_t begin(const char *call, cublasHandle_t handle) {
    const CUresult rc = mock__enter(call, MOCK__CURRENT);
    if (rc != CUDA_SUCCESS) return status_of(rc);
    return mock__find_ready(call, MOCK__BLAS, handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

#define BEGIN()                                         \
    do {                                                \
        const cublasStatus_t rc_ = begin(CALL, handle); \
        if (rc_ != CUBLAS_STATUS_SUCCESS) return rc_;   \
    } while (0)
#define REQUIRE(condition) \
    if (!(condition)) return mock__misuse(CALL, "not so: " #condition), CUBLAS_STATUS_INVALID_VALUE
// A pointer that the real function would follow without asking.
#define PRESUME(condition) \
    if (!(condition)) return CUBLAS_STATUS_EXECUTION_FAILED

static bool op_known(cublasOperation_t op) {
    return op == CUBLAS_OP_N || op == CUBLAS_OP_T || op == CUBLAS_OP_C;
}

static bool uplo_known(cublasFillMode_t uplo) {
    return uplo == CUBLAS_FILL_MODE_LOWER || uplo == CUBLAS_FILL_MODE_UPPER;
}

static bool diag_known(cublasDiagType_t diag) {
    return diag == CUBLAS_DIAG_NON_UNIT || diag == CUBLAS_DIAG_UNIT;
}

static bool side_known(cublasSideMode_t side) {
    return side == CUBLAS_SIDE_LEFT || side == CUBLAS_SIDE_RIGHT;
}

static bool fits(int64_t ld, int64_t rows) {
    return ld >= rows && ld >= 1;
}

static bool scalar(const char *call, const char *name, const void *at, size_t size) { // in host pointer mode
    return mock__on_host(call, name, at, size);
}

static mock_part part_of(cublasFillMode_t uplo) {
    return uplo == CUBLAS_FILL_MODE_LOWER ? MOCK__LOWER : MOCK__UPPER;
}

// ---- handles

cublasStatus_t mock_cublasCreate_v2(cublasHandle_t *handle) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (rc != CUDA_SUCCESS) return status_of(rc);
    const mock_object *o = mock__create(MOCK__BLAS);
    if (!o) return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = (cublasHandle_t)o->handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t mock_cublasDestroy_v2(cublasHandle_t handle) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    const bool live = mock__destroy(CALL, MOCK__BLAS, handle);
    return rc == CUDA_SUCCESS && !live ? CUBLAS_STATUS_NOT_INITIALIZED : status_of(rc);
}

cublasStatus_t mock_cublasGetVersion_v2(cublasHandle_t handle, int *version) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (rc != CUDA_SUCCESS) return status_of(rc);
    if (!mock__find(CALL, MOCK__BLAS, handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

const char *mock_cublasGetStatusName(cublasStatus_t status) {
#define NAME(code) \
    case code:     \
        return #code
    switch (status) {
        NAME(CUBLAS_STATUS_SUCCESS);
        NAME(CUBLAS_STATUS_NOT_INITIALIZED);
        NAME(CUBLAS_STATUS_ALLOC_FAILED);
        NAME(CUBLAS_STATUS_INVALID_VALUE);
        NAME(CUBLAS_STATUS_ARCH_MISMATCH);
        NAME(CUBLAS_STATUS_MAPPING_ERROR);
        NAME(CUBLAS_STATUS_EXECUTION_FAILED);
        NAME(CUBLAS_STATUS_INTERNAL_ERROR);
        NAME(CUBLAS_STATUS_NOT_SUPPORTED);
        NAME(CUBLAS_STATUS_LICENSE_ERROR);
    }
#undef NAME
    return "unknown";
}

cublasStatus_t mock_cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    if (rc != CUDA_SUCCESS) return status_of(rc);
    mock_object *o = mock__find(CALL, MOCK__BLAS, handle);
    if (!o || !mock__stream_live(CALL, stream)) return CUBLAS_STATUS_NOT_INITIALIZED;
    o->stream = (uintptr_t)stream;
    return CUBLAS_STATUS_SUCCESS;
}

// ---- general matrices

cublasStatus_t mock_cublasDgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                      int64_t m, int64_t n, int64_t k, const double *alpha, const double *a,
                                      int64_t lda, const double *b, int64_t ldb, const double *beta, double *c,
                                      int64_t ldc) {
    BEGIN();
    const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
    REQUIRE(op_known(transa) && op_known(transb));
    REQUIRE(m >= 0 && n >= 0 && k >= 0);
    REQUIRE(fits(lda, ta ? k : m));
    REQUIRE(fits(ldb, tb ? n : k));
    REQUIRE(fits(ldc, m));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha) && scalar(CALL, "beta", beta, sizeof *beta));
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    const mock_matrix ma = {"A", a, ta ? k : m, ta ? m : k, lda, MOCK__FULL, sizeof *a};
    const mock_matrix mb = {"B", b, tb ? n : k, tb ? k : n, ldb, MOCK__FULL, sizeof *b};
    const mock_matrix mc = {"C", c, m, n, ldc, MOCK__FULL, sizeof *c};
    PRESUME(mock__matrix_live(CALL, &mc));
    if (*alpha != 0)
        PRESUME(mock__matrix_live(CALL, &ma) && mock__matrix_live(CALL, &mb) && mock__apart(CALL, &mc, &ma) &&
                mock__apart(CALL, &mc, &mb));
    scale(&mc, c, *beta);
    if (*alpha != 0) mock__gemm(ta, tb, m, n, k, *alpha, a, lda, b, ldb, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

// One product after the other; none may need what another writes.
cublasStatus_t mock_cublasDgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                                 cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                                 const double *alpha, const double *a, int64_t lda, long long stride_a,
                                                 const double *b, int64_t ldb, long long stride_b, const double *beta,
                                                 double *c, int64_t ldc, long long stride_c, int64_t count) {
    BEGIN();
    const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
    REQUIRE(op_known(transa) && op_known(transb));
    REQUIRE(m >= 0 && n >= 0 && k >= 0 && count >= 0);
    REQUIRE(fits(lda, ta ? k : m));
    REQUIRE(fits(ldb, tb ? n : k));
    REQUIRE(fits(ldc, m));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha) && scalar(CALL, "beta", beta, sizeof *beta));
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    for (int64_t i = 0; i < count; i++) {
        const mock_matrix mc = {"C", c + i * stride_c, m, n, ldc, MOCK__FULL, sizeof *c};
        PRESUME(mock__matrix_live(CALL, &mc));
        for (int64_t j = 0; j < count; j++) {
            const mock_matrix ma = {"A", a + j * stride_a, ta ? k : m, ta ? m : k, lda, MOCK__FULL, sizeof *a};
            const mock_matrix mb = {"B", b + j * stride_b, tb ? n : k, tb ? k : n, ldb, MOCK__FULL, sizeof *b};
            const mock_matrix other = {"another C", c + j * stride_c, m, n, ldc, MOCK__FULL, sizeof *c};
            PRESUME(mock__matrix_live(CALL, &ma) && mock__matrix_live(CALL, &mb) && mock__apart(CALL, &mc, &ma) &&
                    mock__apart(CALL, &mc, &mb) && (i == j || mock__apart(CALL, &mc, &other)));
        }
    }
    for (int64_t i = 0; i < count; i++) {
        const mock_matrix mc = {"C", c + i * stride_c, m, n, ldc, MOCK__FULL, sizeof *c};
        scale(&mc, c + i * stride_c, *beta);
        if (*alpha != 0)
            mock__gemm(ta, tb, m, n, k, *alpha, a + i * stride_a, lda, b + i * stride_b, ldb, c + i * stride_c, ldc);
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t mock_cublasDsyrk_v2_64(cublasHandle_t handle, cublasFillMode_t uplo, cublasOperation_t trans, int64_t n,
                                      int64_t k, const double *alpha, const double *a, int64_t lda, const double *beta,
                                      double *c, int64_t ldc) {
    BEGIN();
    const bool ta = trans != CUBLAS_OP_N;
    REQUIRE(uplo_known(uplo) && op_known(trans));
    REQUIRE(n >= 0 && k >= 0);
    REQUIRE(fits(lda, ta ? k : n));
    REQUIRE(fits(ldc, n));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha) && scalar(CALL, "beta", beta, sizeof *beta));
    if (n == 0) return CUBLAS_STATUS_SUCCESS;
    const mock_matrix ma = {"A", a, ta ? k : n, ta ? n : k, lda, MOCK__FULL, sizeof *a},
                      mc = {"C", c, n, n, ldc, part_of(uplo), sizeof *c};
    PRESUME(mock__matrix_live(CALL, &mc));
    if (*alpha != 0) PRESUME(mock__matrix_live(CALL, &ma) && mock__apart(CALL, &mc, &ma));
    scale(&mc, c, *beta);
    if (*alpha != 0) mock__syrk(uplo == CUBLAS_FILL_MODE_LOWER, ta, n, k, *alpha, a, lda, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

// ---- triangles

cublasStatus_t mock_cublasDtrmm_v2_64(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,
                                      cublasOperation_t trans, cublasDiagType_t diag, int64_t m, int64_t n,
                                      const double *alpha, const double *a, int64_t lda, const double *b, int64_t ldb,
                                      double *c, int64_t ldc) {
    BEGIN();
    const bool right = side == CUBLAS_SIDE_RIGHT;
    const int64_t order = right ? n : m;
    REQUIRE(side_known(side) && uplo_known(uplo) && op_known(trans) && diag_known(diag));
    REQUIRE(m >= 0 && n >= 0);
    REQUIRE(fits(lda, order));
    REQUIRE(fits(ldb, m));
    REQUIRE(fits(ldc, m));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha));
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    const mock_matrix ma = {"A", a, order, order, lda, part_of(uplo), sizeof *a},
                      mb = {"B", b, m, n, ldb, MOCK__FULL, sizeof *b};
    const mock_matrix mc = {"C", c, m, n, ldc, MOCK__FULL, sizeof *c};
    PRESUME(mock__matrix_live(CALL, &mc));
    if (*alpha == 0) {
        scale(&mc, c, 0);
        return CUBLAS_STATUS_SUCCESS;
    }
    const bool in_place = b == c && ldb == ldc;
    PRESUME(mock__matrix_live(CALL, &ma) && mock__matrix_live(CALL, &mb) && mock__apart(CALL, &mc, &ma) &&
            (in_place || mock__apart(CALL, &mc, &mb)));
    const mock_triangle t = {
        a, order, lda, uplo == CUBLAS_FILL_MODE_LOWER, trans != CUBLAS_OP_N, diag == CUBLAS_DIAG_UNIT};
    mock__trmm(&t, right, m, n, *alpha, b, ldb, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t mock_cublasDtrsm_v2_64(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,
                                      cublasOperation_t trans, cublasDiagType_t diag, int64_t m, int64_t n,
                                      const double *alpha, const double *a, int64_t lda, double *b, int64_t ldb) {
    BEGIN();
    const bool right = side == CUBLAS_SIDE_RIGHT;
    const int64_t order = right ? n : m;
    REQUIRE(side_known(side) && uplo_known(uplo) && op_known(trans) && diag_known(diag));
    REQUIRE(m >= 0 && n >= 0);
    REQUIRE(fits(lda, order));
    REQUIRE(fits(ldb, m));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha));
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    const mock_matrix ma = {"A", a, order, order, lda, part_of(uplo), sizeof *a},
                      mb = {"B", b, m, n, ldb, MOCK__FULL, sizeof *b};
    PRESUME(mock__matrix_live(CALL, &mb));
    if (*alpha != 0) PRESUME(mock__matrix_live(CALL, &ma) && mock__apart(CALL, &mb, &ma));
    const mock_triangle t = {
        a, order, lda, uplo == CUBLAS_FILL_MODE_LOWER, trans != CUBLAS_OP_N, diag == CUBLAS_DIAG_UNIT};
    mock__trsm(&t, right, m, n, *alpha, b, ldb);
    return CUBLAS_STATUS_SUCCESS;
}

// The one form that the backend asks for. Sums are in single precision, as those of a GPU without TF32.
cublasStatus_t mock_cublasStrmm_v2_64(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,
                                      cublasOperation_t trans, cublasDiagType_t diag, int64_t m, int64_t n,
                                      const float *alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                                      float *c, int64_t ldc) {
    BEGIN();
    REQUIRE(side == CUBLAS_SIDE_LEFT && uplo == CUBLAS_FILL_MODE_LOWER && trans == CUBLAS_OP_N);
    REQUIRE(diag == CUBLAS_DIAG_NON_UNIT && b != c);
    REQUIRE(m >= 0 && n >= 0);
    REQUIRE(fits(lda, m));
    REQUIRE(fits(ldb, m));
    REQUIRE(fits(ldc, m));
    PRESUME(scalar(CALL, "alpha", alpha, sizeof *alpha));
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    const mock_matrix ma = {"A", a, m, m, lda, MOCK__LOWER, sizeof *a}, mb = {"B", b, m, n, ldb, MOCK__FULL, sizeof *b};
    const mock_matrix mc = {"C", c, m, n, ldc, MOCK__FULL, sizeof *c};
    PRESUME(mock__matrix_live(CALL, &ma) && mock__matrix_live(CALL, &mb) && mock__matrix_live(CALL, &mc));
    PRESUME(mock__apart(CALL, &mc, &ma) && mock__apart(CALL, &mc, &mb));
    mock__trmm_single(a, lda, m, n, *alpha, b, ldb, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}
