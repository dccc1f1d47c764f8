// SPDX-License-Identifier: Apache-2.0
// cuda_kernels.cu: all kernels as one unit, so that they become one image which one call loads.
#include "cuda_cov.cu"
#include "cuda_factor.cu"
#include "cuda_fill.cu"
#include "cuda_many.cu"
#include "cuda_mll.cu"
#include "cuda_path.cu"
#include "cuda_predict.cu"
#include "cuda_thin.cu"
