// SPDX-License-Identifier: Apache-2.0
// cpu_blas.h: the four BLAS routines that backend `cpu` calls, from a library that is found at run time, and its threads.
#ifndef HPT_CPU_BLAS_H
#define HPT_CPU_BLAS_H

#include <stddef.h>
#include <stdint.h>

enum {
    CPU__COL_MAJOR = 102,
    CPU__N = 111,
    CPU__T = 112,
    CPU__LOWER = 122,
    CPU__NON_UNIT = 131,
    CPU__LEFT = 141,
    CPU__RIGHT = 142
};

// The standard C interface to the BLAS with 32-bit integers (LP64); enumerations are ints.
typedef struct cpu__blas {
    void (*gemm)(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a, int lda,
                 const double *b, int ldb, double beta, double *c, int ldc);
    void (*syrk)(int order, int uplo, int trans, int n, int k, double alpha, const double *a, int lda, double beta,
                 double *c, int ldc);
    void (*trsm)(int order, int side, int uplo, int trans, int diag, int m, int n, double alpha, const double *a,
                 int lda, double *b, int ldb);
    void (*trsv)(int order, int uplo, int trans, int diag, int n, const double *a, int lda, double *x, int incx);
    char name[128]; // "OpenBLAS 0.3.21 (SkylakeX), libopenblas.so.0"
} cpu__blas;

// Loads the library once per process; NULL: none, and why (size bytes) says what was tried and what would help.
const cpu__blas *cpu__blas_get(char *why, size_t size);

// Between enter and leave the BLAS computes in the calling thread only; the last leave gives the host program its number
// of threads back. Calls nest and may come from several threads.
void cpu__blas_enter(void);
void cpu__blas_leave(void);
// For the other threads that compute inside: nothing to do where the library has one number for the process.
void cpu__blas_enter_thread(void);
void cpu__blas_leave_thread(void);
int64_t cpu__blas_threads(void); // what the library would use now; 0: it does not say

#endif
