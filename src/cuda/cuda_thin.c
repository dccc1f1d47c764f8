// SPDX-License-Identifier: Apache-2.0
// cuda_thin.c: products of a triangle with few columns, for which the library's are slow: gradients of some restarts, appends,
// weights. Kernels: cuda_thin.cu. Threads: as its context.
#include "cuda_impl.h"

static const double one = 1;
enum { FEW = 2 * CUDA__THIN }; // columns up to which M is read anew for each CUDA__THIN of them

int cuda__triangle_times(cuda__ctx *c, bool transposed, const double *m, int64_t ldm, int64_t n, const double *b,
                         int64_t ldb, int64_t s, double *out, int64_t ldo) {
    int rc = HPT_OK;
    const cuda__thin_args args = {.m = m, .b = b, .out = out, .n = n, .s = s, .ldm = ldm, .ldb = ldb, .ldo = ldo};
    const int64_t blocks = (n + CUDA__WARP - 1) / CUDA__WARP, passes = (s + CUDA__THIN - 1) / CUDA__THIN;
    if (s <= FEW)
        return transposed ? cuda__launch_cuda_thin_transposed(c, blocks, passes, &args)
                          : cuda__launch_cuda_thin(c, blocks, passes, &args);
    CUDA__BLAS(c, cublasDtrmm_v2_64(c->blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER,
                                    transposed ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT, n, s, &one, m, ldm, b,
                                    ldb, out, ldo));
out:
    return rc;
}
