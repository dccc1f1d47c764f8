// SPDX-License-Identifier: Apache-2.0
// cuda_fill.cu: bulk Sobol points and normal numbers, by the host's own text (core/backend/fill_formulas.h). Host side: cuda_fill.c.
//
// A number is a function of its place, so a thread makes one and nothing is shared. Why not cuRAND: its streams are others than the
// host's, and a study must not depend on where its numbers were drawn.
// Cost: Sobol one word a set digit of the index; normals 10 rounds of two products and normcdfinv.
#include "cuda_dialect.cuh"

#define HPT__PHILOX_FN CUDA__DEVICE
#include "../core/backend/fill_formulas.h"

CUDA__KERNEL(cuda_sobol, cuda__sobol_args, CUDA__THREADS) {
    const int64_t at = (int64_t)blockIdx.x * CUDA__THREADS + threadIdx.x;
    if (at >= a.n * a.d) return;
    const int64_t i = at / a.d, k = at % a.d;
    a.out[at] = hpt__fill_sobol_at(a.columns + 32 * k, a.shift[k], (uint32_t)(a.first + i));
}

CUDA__KERNEL(cuda_normal, cuda__normal_args, CUDA__THREADS) {
    const int64_t i = (int64_t)blockIdx.x * CUDA__THREADS + threadIdx.x;
    if (i >= a.n) return;
    a.out[i] = normcdfinv(hpt__philox_cell(hpt__philox_word(a.seed, a.stream, (uint64_t)(a.first + i))));
}
