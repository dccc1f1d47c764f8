// SPDX-License-Identifier: Apache-2.0
// cuda_sums.cuh: sums over the threads of a warp and of a block, in an order that depends on nothing but the block's size.
#ifndef HPT_CUDA_SUMS_CUH
#define HPT_CUDA_SUMS_CUH

#include "cuda_dialect.cuh"

enum { CUDA__WARPS = CUDA__THREADS / CUDA__WARP };

// Lane 0 has the sum over its warp; the other lanes' results are no sums.
CUDA__DEVICE double cuda__warp_sum(double v) {
    for (int by = CUDA__WARP / 2; by > 0; by /= 2) v += CUDA__SHUFFLE_DOWN(v, by);
    return v;
}

// Thread 0 has the sum over the block of CUDA__THREADS threads, the others zero. parts: CUDA__WARPS shared numbers, free to be used
// again by all threads on return.
CUDA__DEVICE double cuda__block_sum(double v, double *parts) {
    v = cuda__warp_sum(v);
    if (threadIdx.x % CUDA__WARP == 0) parts[threadIdx.x / CUDA__WARP] = v;
    CUDA__SYNC();
    double sum = 0;
    if (threadIdx.x == 0)
        for (int w = 0; w < CUDA__WARPS; w++) sum += parts[w];
    CUDA__SYNC();
    return sum;
}

#endif
