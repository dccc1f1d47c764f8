// SPDX-License-Identifier: Apache-2.0
// test_mock_blas.c: the mock's cuBLAS against sums written out, for all flags, with sizes around its tiles and distances of
// columns that are larger than the columns; what it must not read is NaN, what it must not write is looked at.
#include "testing_mock.h"

static const cublasOperation_t ops[] = {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C};
static const cublasFillMode_t uplos[] = {CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER};
static const cublasDiagType_t diags[] = {CUBLAS_DIAG_NON_UNIT, CUBLAS_DIAG_UNIT};
static const cublasSideMode_t sides[] = {CUBLAS_SIDE_LEFT, CUBLAS_SIDE_RIGHT};

static double entry(const matrix *a, cublasOperation_t op, int64_t i, int64_t j) {
    return op == CUBLAS_OP_N ? a->host[i + j * a->ld] : a->host[j + i * a->ld];
}

// A triangle of order n whose other half, and diagonal where it is not read, is NaN; well conditioned.
static matrix triangle_new(gpu *g, hpt__rng *rng, int64_t n, int64_t ld, cublasFillMode_t uplo, cublasDiagType_t diag) {
    matrix t = matrix_new(g, rng, n, n, ld);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++) {
            double *at = &t.host[i + j * ld];
            *at *= 2 / (double)n;
            if (i == j) *at = diag == CUBLAS_DIAG_UNIT ? NAN : 2 + *at;
            if (i != j && (i > j) != (uplo == CUBLAS_FILL_MODE_LOWER)) *at = NAN;
        }
    }
    matrix_send(g, &t);
    return t;
}

// op(T) as numbers: n x n without distance.
static double *whole(const matrix *t, cublasFillMode_t uplo, cublasOperation_t op, cublasDiagType_t diag) {
    const int64_t n = t->rows;
    double *e = calloc((size_t)(n * n), sizeof *e);
    cr_assert_not_null(e);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t r = op == CUBLAS_OP_N ? i : j, c = op == CUBLAS_OP_N ? j : i;
            if (r == c) {
                e[i + j * n] = diag == CUBLAS_DIAG_UNIT ? 1 : t->host[r + c * t->ld];
            } else if ((r > c) == (uplo == CUBLAS_FILL_MODE_LOWER)) {
                e[i + j * n] = t->host[r + c * t->ld];
            }
        }
    }
    return e;
}

Test(mock_blas, gemm_is_the_sum_for_all_transposes_and_scalars)
{
    static const int64_t shapes[][3] = {{1, 1, 1}, {3, 5, 7}, {65, 3, 130}, {67, 66, 5}, {2, 3, 0}};
    static const double scalars[][2] = {{1, 0}, {-0.5, 1}, {0.7, -1.5}, {0, 2}};
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 1);
    for (size_t s = 0; s < 5 * 9 * 4; s++) {
        const int64_t m = shapes[s % 5][0], n = shapes[s % 5][1], k = shapes[s % 5][2];
        const cublasOperation_t ta = ops[s / 5 % 3], tb = ops[s / 15 % 3];
        const double alpha = scalars[s / 45][0], beta = scalars[s / 45][1];
        const bool at = ta != CUBLAS_OP_N, bt = tb != CUBLAS_OP_N;
        const int64_t room = k > 0 ? k : 1;
        matrix a = matrix_new(&g, &rng, at ? room : m, at ? m : room, (at ? room : m) + 3);
        matrix b = matrix_new(&g, &rng, bt ? n : room, bt ? room : n, (bt ? n : room) + 1);
        matrix c = matrix_new(&g, &rng, m, n, m + 2);
        if (beta == 0) { // not read
            for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < m; i++) c.host[i + j * c.ld] = NAN;
            matrix_send(&g, &c);
        }
        OK(g.api->cublasDgemm_v2_64(g.blas, ta, tb, m, n, k, &alpha, numbers_of(&a), a.ld, numbers_of(&b), b.ld, &beta,
                                    numbers_of(&c), c.ld));
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < m; i++) {
                long double sum = 0;
                for (int64_t p = 0; p < k; p++) sum += (long double)entry(&a, ta, i, p) * entry(&b, tb, p, j);
                double *want = &c.host[i + j * c.ld];
                *want = (double)(alpha * sum + (beta == 0 ? 0 : beta * *want));
            }
        }
        matrix_expect(&g, &c, 1e-14 * (double)room, "gemm");
        matrix_free(&g, &a);
        matrix_free(&g, &b);
        matrix_free(&g, &c);
    }
    gpu_close(&g);
    expect_clean();
}

Test(mock_blas, a_batch_is_its_products_one_by_one)
{
    static const int64_t shapes[][4] = {{1, 1, 1, 1}, {3, 5, 7, 4}, {65, 3, 66, 3}, {4, 4, 4, 0}};
    const double alpha = -0.75, betas[] = {0, 0.5};
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 2, 1);
    for (int s = 0; s < 4 * 2 * 4; s++) {
        const int64_t *sh = shapes[s % 4], m = sh[0], n = sh[1], k = sh[2], count = sh[3], room = count > 0 ? count : 1;
        const double beta = betas[s / 4 % 2];
        const cublasOperation_t ta = ops[s / 8 % 2], tb = ops[s / 16];
        const int64_t ra = ta == CUBLAS_OP_N ? m : k, ca = ta == CUBLAS_OP_N ? k : m;
        const int64_t rb = tb == CUBLAS_OP_N ? k : n, cb = tb == CUBLAS_OP_N ? n : k;
        matrix a = matrix_new(&g, &rng, ra, ca * room, ra + 1), b = matrix_new(&g, &rng, rb, cb * room, rb + 2);
        matrix c = matrix_new(&g, &rng, m, n * room, m + 3);
        OK(g.api->cublasDgemmStridedBatched_64(g.blas, ta, tb, m, n, k, &alpha, numbers_of(&a), a.ld, a.ld * ca,
                                               numbers_of(&b), b.ld, b.ld * cb, &beta, numbers_of(&c), c.ld, c.ld * n,
                                               count));
        for (int64_t q = 0; q < count; q++) {
            for (int64_t j = 0; j < n; j++) {
                for (int64_t i = 0; i < m; i++) {
                    long double sum = 0;
                    for (int64_t p = 0; p < k; p++) {
                        const double x =
                            ta == CUBLAS_OP_N ? a.host[i + (q * ca + p) * a.ld] : a.host[p + (q * ca + i) * a.ld];
                        const double y =
                            tb == CUBLAS_OP_N ? b.host[p + (q * cb + j) * b.ld] : b.host[j + (q * cb + p) * b.ld];
                        sum += (long double)x * y;
                    }
                    double *want = &c.host[i + (q * n + j) * c.ld];
                    *want = (double)(alpha * sum + beta * *want);
                }
            }
        }
        matrix_expect(&g, &c, 1e-13, "batch");
        matrix_free(&g, &a);
        matrix_free(&g, &b);
        matrix_free(&g, &c);
    }
    gpu_close(&g);
    expect_clean();
}

Test(mock_blas, syrk_writes_its_triangle_only)
{
    static const int64_t orders[] = {1, 5, 67, 130};
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 3, 1);
    for (int s = 0; s < 4 * 3 * 2 * 2; s++) {
        const int64_t n = orders[s % 4], k = 9;
        const cublasOperation_t op = ops[s / 4 % 3];
        const cublasFillMode_t uplo = uplos[s / 12 % 2];
        const double alpha = 1.25, beta = s / 24 ? -1 : 0;
        const bool trans = op != CUBLAS_OP_N;
        matrix a = matrix_new(&g, &rng, trans ? k : n, trans ? n : k, n + k), c = matrix_new(&g, &rng, n, n, n + 1);
        OK(g.api->cublasDsyrk_v2_64(g.blas, uplo, op, n, k, &alpha, numbers_of(&a), a.ld, &beta, numbers_of(&c), c.ld));
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < n; i++) {
                long double sum = 0;
                if (i != j && (i > j) != (uplo == CUBLAS_FILL_MODE_LOWER)) continue;
                for (int64_t p = 0; p < k; p++) sum += (long double)entry(&a, op, i, p) * entry(&a, op, j, p);
                c.host[i + j * c.ld] = (double)(alpha * sum + beta * c.host[i + j * c.ld]);
            }
        }
        matrix_expect(&g, &c, 1e-13, "syrk");
        matrix_free(&g, &a);
        matrix_free(&g, &c);
    }
    gpu_close(&g);
    expect_clean();
}

// Of the 24 cases of a triangle: side, uplo, op, diag.
#define TRIANGLE_CASES 24
typedef struct flags {
    cublasSideMode_t side;
    cublasFillMode_t uplo;
    cublasOperation_t op;
    cublasDiagType_t diag;
} flags;

static flags flags_of(int i) {
    return (flags){sides[i % 2], uplos[i / 2 % 2], ops[i / 4 % 3], diags[i / 12 % 2]};
}

// want (m x n, ld m) = alpha op(T) B, or alpha B op(T)
static double *product(const matrix *t, flags f, double alpha, const matrix *b) {
    const int64_t m = b->rows, n = b->cols, order = t->rows;
    double *e = whole(t, f.uplo, f.op, f.diag), *want = calloc((size_t)(m * n), sizeof *want);
    cr_assert_not_null(want);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < m; i++) {
            long double sum = 0;
            for (int64_t p = 0; p < order; p++)
                sum += f.side == CUBLAS_SIDE_LEFT ? (long double)e[i + p * order] * b->host[p + j * b->ld]
                                                  : (long double)b->host[i + p * b->ld] * e[p + j * order];
            want[i + j * m] = (double)(alpha * sum);
        }
    }
    free(e);
    return want;
}

static void take(matrix *b, double *values) {
    for (int64_t j = 0; j < b->cols; j++)
        for (int64_t i = 0; i < b->rows; i++) b->host[i + j * b->ld] = values[i + j * b->rows];
    free(values);
}

Test(mock_blas, trmm_is_the_product_in_place_and_apart_for_all_flags)
{
    static const int64_t shapes[][2] = {{1, 1}, {5, 3}, {67, 130}, {129, 66}};
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 4, 1);
    for (int s = 0; s < 2 * 4 * TRIANGLE_CASES; s++) {
        const flags f = flags_of(s % TRIANGLE_CASES);
        const int64_t m = shapes[s / 24 % 4][0], n = shapes[s / 24 % 4][1], order = f.side == CUBLAS_SIDE_LEFT ? m : n;
        const bool in_place = s / 96;
        const double alpha = s % 5 ? -0.6 : 0;
        matrix t = triangle_new(&g, &rng, order, order + 2, f.uplo, f.diag);
        matrix b = matrix_new(&g, &rng, m, n, m + 1), c = matrix_new(&g, &rng, m, n, m + 3);
        matrix *to = in_place ? &b : &c;
        OK(g.api->cublasDtrmm_v2_64(g.blas, f.side, f.uplo, f.op, f.diag, m, n, &alpha, numbers_of(&t), t.ld,
                                    numbers_of(&b), b.ld, numbers_of(to), to->ld));
        take(to, product(&t, f, alpha, &b));
        matrix_expect(&g, to, 1e-13, "trmm");
        matrix_free(&g, &t);
        matrix_free(&g, &b);
        matrix_free(&g, &c);
    }
    gpu_close(&g);
    expect_clean();
}

// Order n and s columns; the same call in double on the same numbers. NaN: above the diagonal.
Test(mock_blas, a_product_in_single_precision_is_that_in_double_to_its_roundoff_and_worse_where_it_is_coarse)
{
    enum { N = 70, S = 5, LD = N + 2 };
    static float a[N * LD], b[S * LD], c[S * LD];
    const float two = 2, one = 1;
    CUdeviceptr at[3];
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 4, 9);
    for (int i = 0; i < N * LD; i++)
        a[i] = i % LD >= i / LD && i % LD < N ? (float)(hpt__rng_uniform(&rng) - 0.5) : NAN;
    for (int i = 0; i < S * LD; i++) b[i] = i % LD < N ? (float)(hpt__rng_uniform(&rng) - 0.5) : NAN;
    OK(g.api->cuMemAlloc_v2(&at[0], sizeof a));
    OK(g.api->cuMemAlloc_v2(&at[1], sizeof b));
    OK(g.api->cuMemAlloc_v2(&at[2], sizeof c));
    OK(g.api->cuMemcpyHtoDAsync_v2(at[0], a, sizeof a, g.stream));
    OK(g.api->cuMemcpyHtoDAsync_v2(at[1], b, sizeof b, g.stream));
    float *const pa = (float *)(uintptr_t)at[0], *const pb = (float *)(uintptr_t)at[1],
                 *const pc = (float *)(uintptr_t)at[2];
    for (int coarse = 0; coarse < 2; coarse++) {
        double most = 0;
        mock_coarse(coarse);
        OK(g.api->cublasStrmm_v2_64(g.blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                                    N, S, &two, pa, LD, pb, LD, pc, LD));
        OK(g.api->cuMemcpyDtoHAsync_v2(c, at[2], sizeof c, g.stream));
        OK(g.api->cuStreamSynchronize(g.stream));
        for (int j = 0; j < S; j++)
            for (int i = 0; i < N; i++) {
                double sum = 0;
                for (int k = 0; k <= i; k++) sum += 2 * (double)a[i + k * LD] * (double)b[k + j * LD];
                most = fmax(most, fabs((double)c[i + j * LD] - sum));
            }
        cr_assert(coarse ? most > 1e-5 && most < 1e-2 : most > 0 && most < 2e-6, "%g", most);
        cr_assert(isnan(c[N]), "between columns");
    }
    mock_coarse(false);
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasStrmm_v2_64(g.blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                                   N, S, &one, pa, N - 1, pb, LD, pc, LD));
    cr_assert_eq(mock_calls_of("cublasStrmm_v2_64"), 3);
    cr_assert_eq(mock_calls_of("cublasDtrmm_v2_64"), 0);
    for (int i = 0; i < 3; i++) OK(g.api->cuMemFree_v2(at[i]));
    gpu_close(&g);
    expect_misuse("lda");
}

Test(mock_blas, trsm_undoes_the_product_for_all_flags)
{
    static const int64_t shapes[][2] = {{1, 1}, {5, 3}, {67, 130}, {129, 66}};
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 5, 1);
    for (int s = 0; s < 4 * TRIANGLE_CASES; s++) {
        const flags f = flags_of(s % TRIANGLE_CASES);
        const int64_t m = shapes[s / 24][0], n = shapes[s / 24][1], order = f.side == CUBLAS_SIDE_LEFT ? m : n;
        const double alpha = -2, inverse = 1 / alpha, zero = 0;
        matrix t = triangle_new(&g, &rng, order, order + 1, f.uplo, f.diag), x = matrix_new(&g, &rng, m, n, m + 2);
        matrix b = x; // the same on the device: b = op(T) x / alpha, then solved for
        b.host = malloc(matrix_bytes(&x));
        cr_assert_not_null(b.host);
        memcpy(b.host, x.host, matrix_bytes(&x));
        take(&b, product(&t, f, inverse, &x));
        matrix_send(&g, &b);
        OK(g.api->cublasDtrsm_v2_64(g.blas, f.side, f.uplo, f.op, f.diag, m, n, &alpha, numbers_of(&t), t.ld,
                                    numbers_of(&b), b.ld));
        matrix_expect(&g, &x, 1e-11, "trsm");
        OK(g.api->cublasDtrsm_v2_64(g.blas, f.side, f.uplo, f.op, f.diag, m, n, &zero, NULL, t.ld, numbers_of(&b),
                                    b.ld));
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) x.host[i + j * x.ld] = 0;
        matrix_expect(&g, &x, 0, "trsm with 0");
        free(b.host);
        matrix_free(&g, &t);
        matrix_free(&g, &x);
    }
    gpu_close(&g);
    expect_clean();
}

// ---- what is not allowed. Each case on a fresh mock: the first misuse is the one that is told.

typedef struct wrong {
    int64_t m, n, k, lda, ldb, ldc;
    cublasOperation_t op;
} wrong;

Test(mock_blas, gemm_refuses_sizes_that_the_library_refuses)
{
    static const wrong cases[] = {
        {-1, 2, 2, 4, 4, 4, CUBLAS_OP_N}, {2, -1, 2, 4, 4, 4, CUBLAS_OP_N}, {2, 2, -1, 4, 4, 4, CUBLAS_OP_N},
        {3, 2, 2, 2, 4, 4, CUBLAS_OP_N},  {3, 2, 2, 3, 1, 4, CUBLAS_OP_N},  {3, 2, 2, 3, 2, 2, CUBLAS_OP_N},
        {2, 2, 3, 2, 3, 4, CUBLAS_OP_T},  {0, 2, 2, 0, 4, 4, CUBLAS_OP_N},  {2, 2, 2, 4, 4, 4, (cublasOperation_t)9},
    };
    const double one = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wrong *w = &cases[i];
        mock_reset();
        gpu g = gpu_open();
        hpt__rng rng;
        hpt__rng_init(&rng, 7, 1);
        matrix a = matrix_new(&g, &rng, 4, 4, 4), b = matrix_new(&g, &rng, 4, 4, 4), c = matrix_new(&g, &rng, 4, 4, 4);
        GIVES(CUBLAS_STATUS_INVALID_VALUE,
              g.api->cublasDgemm_v2_64(g.blas, w->op, CUBLAS_OP_N, w->m, w->n, w->k, &one, numbers_of(&a), w->lda,
                                       numbers_of(&b), w->ldb, &one, numbers_of(&c), w->ldc));
        expect_misuse("cublasDgemm_v2_64: not so:");
        matrix_expect(&g, &c, 0, "C of a refused call");
        matrix_free(&g, &a);
        matrix_free(&g, &b);
        matrix_free(&g, &c);
        gpu_close(&g);
    }
}

static gpu fresh(matrix *a, matrix *b) { // 6 x 6 each
    mock_reset();
    gpu g = gpu_open();
    hpt__rng rng;
    hpt__rng_init(&rng, 8, 1);
    *a = matrix_new(&g, &rng, 6, 6, 6);
    *b = matrix_new(&g, &rng, 6, 6, 6);
    return g;
}

#define LOWER CUBLAS_FILL_MODE_LOWER
#define UPPER CUBLAS_FILL_MODE_UPPER
#define N CUBLAS_OP_N
#define LEFT CUBLAS_SIDE_LEFT
#define FULL_DIAG CUBLAS_DIAG_NON_UNIT

// Two products, of 6 x 2 each, side by side.
#define BATCH(a, lda, c, ldc) \
    g.api->cublasDgemmStridedBatched_64(g.blas, N, N, 6, 2, 2, &one, a, lda, 12, pa, 6, 12, &one, c, ldc, 12, 2)

Test(mock_blas, every_function_refuses_a_short_distance_of_columns)
{
    const double one = 1;
    matrix a, b;
    gpu g = fresh(&a, &b);
    double *const pa = numbers_of(&a), *const pb = numbers_of(&b);
    GIVES(CUBLAS_STATUS_INVALID_VALUE, BATCH(pa, 5, pb, 6));
    GIVES(CUBLAS_STATUS_INVALID_VALUE, BATCH(pa, 6, pb, 5));
    GIVES(CUBLAS_STATUS_INVALID_VALUE, g.api->cublasDsyrk_v2_64(g.blas, LOWER, N, 6, 2, &one, pa, 5, &one, pb, 6));
    GIVES(CUBLAS_STATUS_INVALID_VALUE, g.api->cublasDsyrk_v2_64(g.blas, LOWER, N, 6, 2, &one, pa, 6, &one, pb, 5));
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasDtrmm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 2, &one, pa, 5, pb, 6, pb, 6));
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasDtrmm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 2, &one, pa, 6, pb, 6, pb, 5));
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 2, &one, pa, 5, pb, 6));
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasDtrsm_v2_64(g.blas, LEFT, (cublasFillMode_t)7, N, FULL_DIAG, 6, 2, &one, pa, 6, pb, 6));
    GIVES(CUBLAS_STATUS_INVALID_VALUE,
          g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, -2, &one, pa, 6, pb, 6));
    matrix_expect(&g, &b, 0, "B of refused calls");
    matrix_free(&g, &a);
    matrix_free(&g, &b);
    gpu_close(&g);
}

Test(mock_blas, pointers_that_a_gpu_could_not_follow_are_told)
{
    const double one = 1, on_host[36] = {0};
    matrix a, b;
#define CASE(told, call)                                               \
    do {                                                               \
        gpu g = fresh(&a, &b);                                         \
        double *const pa = numbers_of(&a), *const pb = numbers_of(&b); \
        GIVES(CUBLAS_STATUS_EXECUTION_FAILED, call);                   \
        expect_misuse(told);                                           \
        (void)pa;                                                      \
        matrix_free(&g, &a);                                           \
        matrix_free(&g, &b);                                           \
        gpu_close(&g);                                                 \
    } while (0)
    CASE("A: 0x", g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one, on_host, 6, pb,
                                           6)); // the host's memory
    CASE("is no live device memory",
         g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one, NULL, 6, pb, 6));
    CASE("B: 48 bytes at 248 of a block of 288",
         g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one, pa, 6, pb + 31, 6));
    CASE("C and A overlap", BATCH(pa, 6, pa + 1, 6));
    CASE("C and another C overlap",
         g.api->cublasDgemmStridedBatched_64(g.blas, N, N, 2, 2, 2, &one, pa, 6, 12, pa, 6, 12, &one, pb, 6, 7, 2));
    CASE("alpha: 0x", g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 2, pa, pa, 6, pb, 6));
    CASE("no memory", g.api->cublasDsyrk_v2_64(g.blas, LOWER, N, 6, 2, NULL, pa, 6, &one, pb, 6));
    CASE("C and A overlap", g.api->cublasDgemm_v2_64(g.blas, N, N, 2, 2, 2, &one, pa, 6, pb, 6, &one, pa + 7, 6));
    CASE("C and B overlap",
         g.api->cublasDtrmm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 3, 3, &one, pa, 6, pb, 6, pb + 6, 6));
    CASE("B and A overlap", g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one, pb, 6, pb + 6, 6));
    CASE("C and A overlap", g.api->cublasDsyrk_v2_64(g.blas, LOWER, N, 3, 3, &one, pb, 6, &one, pb + 14, 6));
#undef CASE
}

Test(mock_blas, parts_of_one_matrix_that_lie_between_each_other_do_not_overlap)
{
    const double one = 1, zero = 0;
    matrix a, b;
    gpu g = fresh(&a, &b);
    double *const p = numbers_of(&b);
    for (int64_t i = 0; i < 6; i++) b.host[i + 6 * i] = 1;
    matrix_send(&g, &b);
    // Rows 3 .. 5 of columns 0 .. 2 solved with rows 0 .. 2, both in one matrix of distance 6.
    OK(g.api->cublasDtrsm_v2_64(g.blas, CUBLAS_SIDE_RIGHT, LOWER, CUBLAS_OP_T, FULL_DIAG, 3, 3, &one, p, 6, p + 3, 6));
    OK(g.api->cublasDgemm_v2_64(g.blas, N, N, 3, 3, 3, &one, p, 6, p + 3, 6, &zero, p + 18, 6));
    // A vector in the half of the triangle that is not read.
    OK(g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 5, 1, &one, p, 6, p + 30, 6));
    matrix_free(&g, &a);
    matrix_free(&g, &b);
    gpu_close(&g);
    expect_clean();
}

Test(mock_blas, a_handle_has_to_live_and_to_have_a_stream)
{
    const double one = 1;
    cublasHandle_t dead;
    matrix a, b;
    int version = 0;
    gpu g = fresh(&a, &b);
    OK(g.api->cublasGetVersion_v2(g.blas, &version));
    cr_assert_eq(version, CUBLAS_VERSION);
    OK(g.api->cublasCreate_v2(&dead));
    OK(g.api->cublasDestroy_v2(dead));
    GIVES(CUBLAS_STATUS_NOT_INITIALIZED,
          g.api->cublasDtrsm_v2_64(dead, LEFT, LOWER, N, FULL_DIAG, 6, 6, &one, numbers_of(&a), 6, numbers_of(&b), 6));
    expect_misuse("is dead, or never was one");
    GIVES(CUBLAS_STATUS_NOT_INITIALIZED, g.api->cublasDestroy_v2(dead));
    matrix_free(&g, &a);
    matrix_free(&g, &b);
    gpu_close(&g);

    g = fresh(&a, &b); // not ordered with what its own stream does
    OK(g.api->cublasCreate_v2(&dead));
    OK(g.api->cublasDtrsm_v2_64(dead, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one, numbers_of(&a), 6, numbers_of(&b), 6));
    expect_misuse("no stream is set");
    OK(g.api->cublasDestroy_v2(dead));
    matrix_free(&g, &a);
    matrix_free(&g, &b);
    gpu_close(&g);

    g = fresh(&a, &b); // a stream that is gone
    OK(g.api->cuStreamDestroy_v2(g.stream));
    GIVES(CUBLAS_STATUS_NOT_INITIALIZED, g.api->cublasDtrsm_v2_64(g.blas, LEFT, LOWER, N, FULL_DIAG, 6, 1, &one,
                                                                  numbers_of(&a), 6, numbers_of(&b), 6));
    expect_misuse("cublasDtrsm_v2_64: handle");
    matrix_free(&g, &a);
    matrix_free(&g, &b);
    gpu_close(&g);
}
