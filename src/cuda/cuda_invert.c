// SPDX-License-Identifier: Apache-2.0
// cuda_invert.c: inverse of a triangle by doubling.
//
//   the triangles of 64 on the diagonal by a kernel, then for s = 64, 128, .. every pair of neighbours of s rows at once:
//   [M11 0; L21 M22] -> M21 = -M22 (L21 M11)
// Products of a step are one call for all pairs; 2 n^3 / 3 flops, twice the least, at the speed of products. The library's Xtrtri took
// 1.1 ms at n = 1,000 and 17.5 at 5,000 on an H200, where a general product of that size takes 0.05 and 4
// (bench/results/h200-libraries.md). The pair that is left over at the end is done by itself. What lies above the diagonal is read, and has
// to be zero.
//
// Workspace: L21 M11 of all pairs, n s / 2 numbers, or as much of it as a strip may have; a pair that is larger than that by
// strips of columns from the left, since L21 M11 needs only columns of L21 that are not replaced yet.
// Threads: as its context. Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), 14.2 (block methods).
#include "cuda_impl.h"

static const double one = 1, minus_one = -1, zero = 0;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Pairs of s rows that one call takes; 0: a pair is too large.
static int64_t pairs_at_once(int64_t s) {
    return s <= CUDA__INVERT_ROOM / s ? CUDA__INVERT_ROOM / (s * s) : 0;
}

static int64_t strip_of(int64_t s, int64_t rows) {
    return least(s, CUDA__INVERT_ROOM / rows > 0 ? CUDA__INVERT_ROOM / rows : 1);
}

int64_t cuda__invert_bytes(int64_t n) {
    int64_t most = 0;
    for (int64_t s = CUDA__BLOCK; s < n; s *= 2) {
        const int64_t full = n / (2 * s), rest = n - 2 * s * full - s, at_once = pairs_at_once(s);
        const int64_t all = at_once > 0 ? least(full, at_once) * s * s : full > 0 ? strip_of(s, s) * s : 0;
        if (all > most) most = all;
        if (rest > 0 && rest * strip_of(s, rest) > most) most = rest * strip_of(s, rest);
    }
    return 8 * most;
}

// One pair of s and `rows` rows.
static int pair(cuda__ctx *c, double *a, int64_t lda, int64_t s, int64_t rows) {
    const int64_t width = strip_of(s, rows);
    double *below = a + s, *corner = below + s * lda, *t = cuda__doubles(c->inverting.at);
    int rc = HPT_OK;
    for (int64_t j = 0; j < s; j += width) {
        const int64_t w = least(width, s - j);
        CUDA__BLAS(c, cublasDgemm_v2_64(c->blas, CUBLAS_OP_N, CUBLAS_OP_N, rows, w, s - j, &one, below + j * lda, lda,
                                        a + j * (lda + 1), lda, &zero, t, rows));
        CUDA__BLAS(c, cublasDgemm_v2_64(c->blas, CUBLAS_OP_N, CUBLAS_OP_N, rows, w, rows, &minus_one, corner, lda, t,
                                        rows, &zero, below + j * lda, lda));
    }
out:
    return rc;
}

// `count` pairs of s rows each, one after the other along the diagonal.
static int pairs(cuda__ctx *c, double *a, int64_t lda, int64_t s, int64_t count) {
    const int64_t step = 2 * s * (lda + 1);
    double *below = a + s, *corner = below + s * lda, *t = cuda__doubles(c->inverting.at);
    int rc = HPT_OK;
    CUDA__BLAS(c, cublasDgemmStridedBatched_64(c->blas, CUBLAS_OP_N, CUBLAS_OP_N, s, s, s, &one, below, lda, step, a,
                                               lda, step, &zero, t, s, s * s, count));
    CUDA__BLAS(c, cublasDgemmStridedBatched_64(c->blas, CUBLAS_OP_N, CUBLAS_OP_N, s, s, s, &minus_one, corner, lda,
                                               step, t, s, s * s, &zero, below, lda, step, count));
out:
    return rc;
}

int cuda__invert_triangle(cuda__ctx *c, double *a, int64_t lda, int64_t n) {
    int rc = HPT_OK;
    HPT_TRY(cuda__reserve(c, &c->inverting, cuda__invert_bytes(n), "an inverse"));
    HPT_TRY(cuda__launch_cuda_small_invert(c, (n + CUDA__BLOCK - 1) / CUDA__BLOCK, 1,
                                           &(cuda__small_invert_args){.a = a, .n = n, .lda = lda}));
    for (int64_t s = CUDA__BLOCK; s < n; s *= 2) {
        const int64_t full = n / (2 * s), rest = n - 2 * s * full - s, at_once = pairs_at_once(s);
        for (int64_t p = 0; p<full; p += at_once> 0 ? at_once : 1) {
            double *at = a + 2 * s * p * (lda + 1);
            HPT_TRY(at_once > 0 ? pairs(c, at, lda, s, least(at_once, full - p)) : pair(c, at, lda, s, s));
        }
        if (rest > 0) HPT_TRY(pair(c, a + 2 * s * full * (lda + 1), lda, s, rest));
    }
out:
    return rc;
}
