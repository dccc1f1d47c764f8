// SPDX-License-Identifier: Apache-2.0
// cuda_fill.c: bulk Sobol points and normal numbers from the device, in parts of at most a strip (formulas: cuda_fill.cu).
// Threads: as its context.
#include "cuda_impl.h"

static int64_t part_of(int64_t numbers, int64_t d) { // points of a part
    const int64_t fits = CUDA__STRIP_BYTES / (8 * d);
    return numbers < fits ? numbers : fits > 1 ? fits : 1;
}

int cuda__fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                     double *out) {
    cuda__ctx *c = ctx;
    const int64_t part = part_of(n, d), matrix = 4 * 32 * d;
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * part * d, "Sobol points"));
    HPT_TRY(cuda__reserve(c, &c->small, matrix + 4 * d, "a Sobol sequence"));
    HPT_TRY(cuda__upload(c, c->small.at, columns, matrix));
    HPT_TRY(cuda__upload(c, c->small.at + (CUdeviceptr)matrix, shift, 4 * d));
    for (int64_t from = 0; from < n; from += part) {
        const int64_t now = n - from < part ? n - from : part;
        HPT_TRY(cuda__launch_cuda_sobol(
            c, (now * d + CUDA__THREADS - 1) / CUDA__THREADS, 1,
            &(cuda__sobol_args){.columns = (const uint32_t *)(uintptr_t)c->small.at,
                                .shift = (const uint32_t *)(uintptr_t)(c->small.at + (CUdeviceptr)matrix),
                                .out = cuda__doubles(c->strips[0].at),
                                .d = d,
                                .first = first + from,
                                .n = now}));
        HPT_TRY(cuda__download(c, out + from * d, c->strips[0].at, 8 * now * d));
    }
out:
    cuda__leave(c);
    return rc;
}

int cuda__fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out) {
    cuda__ctx *c = ctx;
    const int64_t part = part_of(n, 1);
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * part, "normal numbers"));
    for (int64_t from = 0; from < n; from += part) {
        const int64_t now = n - from < part ? n - from : part;
        HPT_TRY(cuda__launch_cuda_normal(c, (now + CUDA__THREADS - 1) / CUDA__THREADS, 1,
                                         &(cuda__normal_args){.seed = seed,
                                                              .stream = stream,
                                                              .out = cuda__doubles(c->strips[0].at),
                                                              .first = first + from,
                                                              .n = now}));
        HPT_TRY(cuda__download(c, out + from, c->strips[0].at, 8 * now));
    }
out:
    cuda__leave(c);
    return rc;
}
