// SPDX-License-Identifier: Apache-2.0
// cuda_dialect.cuh: the part of CUDA C++ that kernels are written in, so that the host's compiler can compile them too.
//
// Rules: one struct by value per kernel (cuda_kernels.h); blocks of one dimension (threadIdx.x); shared memory by
// CUDA__SHARED (static) and CUDA__SHARED_DYNAMIC (the launch's bytes, one array per kernel) only; loops over small arrays by
// CUDA__EACH (unrolled: an array that a variable indexes lies in memory); barriers by CUDA__SYNC, which all threads of a
// block reach; shuffles and votes by whole warps; nothing that relies on threads of a warp running in step; no inline PTX,
// device allocation, printf, recursion or cooperative groups.
// With HPT_CUDA_SHIM the words mean what tests/cuda_host/shim.h gives them: a thread is a fiber.
#ifndef HPT_CUDA_DIALECT_CUH
#define HPT_CUDA_DIALECT_CUH

#include "cuda_kernels.h"

#ifdef HPT_CUDA_SHIM
#define CUDA__EACH(i, n) for (int i = 0; i < (n); i++)
#include "shim.h"
#else
#define CUDA__EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)
#define CUDA__DEVICE __device__ __forceinline__
#define CUDA__SHARED(type, name, count) __shared__ type name[count]
#define CUDA__SHARED_DYNAMIC(type, name)                            \
    extern __shared__ __align__(16) unsigned char cuda__dynamic[]; \
    type *const name = reinterpret_cast<type *>(cuda__dynamic)
#define CUDA__SYNC() __syncthreads()
#define CUDA__SYNC_WARP() __syncwarp()
#define CUDA__SHUFFLE_DOWN(value, by) __shfl_down_sync(0xffffffffu, value, by)
#define CUDA__BALLOT(vote) __ballot_sync(0xffffffffu, vote)
// 1: a block on a multiprocessor is enough; otherwise nvcc, for more of them, spills registers on some architectures.
#define CUDA__KERNEL(name, args, threads) extern "C" __global__ __launch_bounds__(threads, 1) void name(const args a)
#endif

#endif
