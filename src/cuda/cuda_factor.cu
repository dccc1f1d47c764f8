// SPDX-License-Identifier: Apache-2.0
// cuda_factor.cu: the pieces of factor and inverse that the toolkit's libraries lack. Host side: cuda_factor.c.
#include "cuda_dialect.cuh"

CUDA__KERNEL(cuda_small_lauum, cuda__small_lauum_args, CUDA__THREADS) {
    enum { LD = CUDA__SMALL + 1 }; // a row in another bank each
    CUDA__SHARED(double, l, CUDA__SMALL *LD);
    const int n = (int)a.n;
    for (int at = (int)threadIdx.x; at < CUDA__SMALL * CUDA__SMALL; at += CUDA__THREADS) {
        const int i = at % CUDA__SMALL, j = at / CUDA__SMALL;
        l[i * LD + j] = i < n && j <= i ? a.a[i + j * a.lda] : 0;
    }
    CUDA__SYNC();
    for (int at = (int)threadIdx.x; at < n * n; at += CUDA__THREADS) {
        const int i = at % n, j = at / n;
        if (j > i) continue;
        double sum = 0;
        for (int k = i; k < n; k++) sum += l[k * LD + i] * l[k * LD + j];
        a.a[i + j * a.lda] = sum;
    }
}

// A thread a column j of the inverse X, by forward substitution:  x_ij = -(sum_{k = j}^{i - 1} l_ik x_kj) / l_ii. What is known of X
// lies transposed above L's diagonal.
CUDA__KERNEL(cuda_small_invert, cuda__small_invert_args, CUDA__BLOCK) {
    enum { LD = CUDA__BLOCK + 1 }; // a row in another bank each
    CUDA__SHARED(double, l, CUDA__BLOCK *LD);
    const int64_t first = (int64_t)blockIdx.x * CUDA__BLOCK;
    const int n = a.n - first < CUDA__BLOCK ? (int)(a.n - first) : CUDA__BLOCK, j = (int)threadIdx.x;
    double *own = a.a + first * (a.lda + 1);
    for (int c = 0; c < n; c++) l[j * LD + c] = j < n && c <= j ? own[j + c * a.lda] : 0; // thread j loads row j
    CUDA__SYNC();
    const double diagonal = j < n ? 1 / l[j * LD + j] : 0;
    for (int i = 1; i < n; i++) {
        double even = 0, odd = 0;
        for (int k = 0; k < i; k++) { // all threads read l_ik together
            const double x = k < j ? 0 : k == j ? diagonal : l[j * LD + k];
            if (k & 1)
                odd += l[i * LD + k] * x;
            else
                even += l[i * LD + k] * x;
        }
        if (j < i) l[j * LD + i] = -(even + odd) / l[i * LD + i];
    }
    CUDA__SYNC();
    for (int c = 0; c < n; c++)
        if (j < n) own[j + c * a.lda] = c < j ? l[c * LD + j] : c == j ? diagonal : 0;
}

CUDA__KERNEL(cuda_copy, cuda__copy_args, CUDA__THREADS) {
    enum { EDGE = 32, LD = EDGE + 1 };
    CUDA__SHARED(double, tile, EDGE *LD);
    const int64_t i0 = (int64_t)blockIdx.x * EDGE, j0 = (int64_t)blockIdx.y * EDGE;
    for (int at = (int)threadIdx.x; at < EDGE * EDGE; at += CUDA__THREADS) {
        const int64_t i = i0 + at % EDGE, j = j0 + at / EDGE;
        const bool there = i < a.n && j < a.m && !(a.lower && i < j);
        tile[at % EDGE * LD + at / EDGE] = there ? a.scale * a.from[i + j * a.ldf] : 0;
    }
    CUDA__SYNC();
    for (int at = (int)threadIdx.x; at < EDGE * EDGE; at += CUDA__THREADS) {
        // Rows of what is written lie side by side in a warp.
        const int first = at % EDGE, second = at / EDGE;
        const int64_t i = i0 + (a.transposed ? second : first), j = j0 + (a.transposed ? first : second);
        if (i >= a.n || j >= a.m) continue;
        const double v = tile[(i - i0) * LD + (j - j0)];
        if (a.transposed)
            a.to[j + i * a.ldt] = v;
        else
            a.to[i + j * a.ldt] = v;
    }
}
