// SPDX-License-Identifier: Apache-2.0
// cpu_vec.h: the loops over arrays of backend `cpu`: distances, covariance functions, sums.
//
// Every operation is an IEEE one on its own lane, nothing is contracted, and sums run over 8 lanes whatever the width of
// the vector unit: all variants give the same bits. Lengths n are multiples of 8; arrays need no alignment.
#ifndef HPT_CPU_VEC_H
#define HPT_CPU_VEC_H

#include "../core/backend/backend_impl.h"

enum { CPU__LANES = 8 };

typedef struct cpu__vec_ops {
    const char *name; // "sse2", "avx2", "avx512", "plain"
    // y = exp(x), x <= 0; relative error at most 2^-52 (1 to 2 units in the last place). 0 below -708.
    void (*exp)(double *y, const double *x, int64_t n);
    // out_i = sum over columns p of (x_pi - z_p)^2 for the first n_num, then of w2_p [x_pi != z_p] for n_cat more.
    // x: column p at x + p ldx.
    void (*distance)(double *out, const double *x, int64_t ldx, const double *z, const double *w2, int64_t n_num,
                     int64_t n_cat, int64_t n);
    // k = amp M(r), h = -2 amp dM/dr^2 (NULL: not wanted), from r2 = r^2. k may be r2.
    void (*covariance)(double *k, double *h, hpt__cov_kind kind, double amp, const double *r2, int64_t n);
    // cosine = cos(phase), sine = sin(phase), to 1e-13 for phases below 1e7.
    void (*waves)(double *cosine, double *sine, const double *phase, int64_t n);
    void (*add)(double *y, double a, const double *x, int64_t n); // y += a x; n a multiple of 8 or not
    double (*dot)(const double *a, const double *b, int64_t n);
    double (*sum_diff)(const double *w, const double *x, double z, int64_t n);  // sum w (x - z)
    double (*sum_diff2)(const double *w, const double *x, double z, int64_t n); // sum w (x - z)^2
    double (*sum_miss)(const double *w, const double *x, double z, int64_t n);  // sum w [x != z]
    // Thin products, no packing: C (m x s, ldc) -= A (m x k, lda) B (k x s, ldb); with A' (k x m, lda): m, k multiples of 8
    // or not.
    void (*thin)(double *c, int64_t ldc, const double *a, int64_t lda, const double *b, int64_t ldb, int64_t m,
                 int64_t k, int64_t s);
    void (*thin_transposed)(double *c, int64_t ldc, const double *a, int64_t lda, const double *b, int64_t ldb,
                            int64_t m, int64_t k, int64_t s);
    // Cholesky factor in place of the lower triangle of A (n x n, lda), n <= 64. Returns 0 or the pivot (from 1) that is
    // not positive.
    int64_t (*cholesky)(double *a, int64_t lda, int64_t n);
} cpu__vec_ops;

// Variant i, narrowest first, as far as this machine has them; NULL past the last. The last one is what is used.
const cpu__vec_ops *cpu__vec_variant(int64_t i);
const cpu__vec_ops *cpu__vec_best(void);

#endif
