// SPDX-License-Identifier: Apache-2.0
// plain_blas.c: the four BLAS routines of backend `cpu` as plain loops, in a library of their own, for counting
// instructions: a real BLAS chooses its kernels by the processor, so that a count would be one of the machine. Column-major,
// only what the backend asks for.
#include "cpu/cpu_blas.h"

void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a, int lda,
                 const double *b, int ldb, double beta, double *c, int ldc);
void cblas_dsyrk(int order, int uplo, int trans, int n, int k, double alpha, const double *a, int lda, double beta,
                 double *c, int ldc);
void cblas_dtrsm(int order, int side, int uplo, int trans, int diag, int m, int n, double alpha, const double *a,
                 int lda, double *b, int ldb);
void cblas_dtrsv(int order, int uplo, int trans, int diag, int n, const double *a, int lda, double *x, int incx);

void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a, int lda,
                 const double *b, int ldb, double beta, double *c, int ldc) {
    (void)order;
    for (int j = 0; j < n; j++) {
        double *to = c + (int64_t)j * ldc;
        for (int i = 0; i < m; i++) to[i] = beta == 0 ? 0 : beta * to[i];
        for (int l = 0; l < k; l++) {
            const double f = alpha * (tb == CPU__N ? b[l + (int64_t)j * ldb] : b[j + (int64_t)l * ldb]);
            if (ta == CPU__N)
                for (int i = 0; i < m; i++) to[i] += f * a[i + (int64_t)l * lda];
            else
                for (int i = 0; i < m; i++) to[i] += f * a[l + (int64_t)i * lda];
        }
    }
}

void cblas_dsyrk(int order, int uplo, int trans, int n, int k, double alpha, const double *a, int lda, double beta,
                 double *c, int ldc) {
    (void)uplo;
    for (int j = 0; j < n; j++) {
        const double *row = trans == CPU__N ? a + j : a + (int64_t)j * lda;
        cblas_dgemm(order, trans, trans == CPU__N ? CPU__T : CPU__N, n - j, 1, k, alpha, row, lda, row, lda, beta,
                    c + j + (int64_t)j * ldc, ldc);
    }
}

// B <- B L^-T, columns in turn.
void cblas_dtrsm(int order, int side, int uplo, int trans, int diag, int m, int n, double alpha, const double *a,
                 int lda, double *b, int ldb) {
    (void)side, (void)uplo, (void)trans, (void)diag, (void)alpha;
    for (int j = 0; j < n; j++) {
        double *to = b + (int64_t)j * ldb;
        cblas_dgemm(order, CPU__N, CPU__T, m, 1, j, -1.0, b, ldb, a + j, lda, 1.0, to, ldb);
        for (int i = 0; i < m; i++) to[i] /= a[j + (int64_t)j * lda];
    }
}

void cblas_dtrsv(int order, int uplo, int trans, int diag, int n, const double *a, int lda, double *x, int incx) {
    (void)order, (void)uplo, (void)diag, (void)incx;
    for (int s = 0; s < n; s++) {
        const int j = trans == CPU__N ? s : n - 1 - s;
        const double *column = a + (int64_t)j * lda;
        if (trans == CPU__N) {
            x[j] /= column[j];
            for (int i = j + 1; i < n; i++) x[i] -= column[i] * x[j];
        } else {
            for (int i = j + 1; i < n; i++) x[j] -= column[i] * x[i];
            x[j] /= column[j];
        }
    }
}
