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
