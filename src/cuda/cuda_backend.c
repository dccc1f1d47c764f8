// SPDX-License-Identifier: Apache-2.0
// cuda_backend.c: the table of backend `cuda`.
#include "cuda_impl.h"

extern const hpt__backend hpt__backend_cuda;

const hpt__backend hpt__backend_cuda = {
    .abi = HPT__BACKEND_ABI,
    .struct_size = sizeof(hpt__backend),
    .name = "cuda",
    .doc = "NVIDIA GPUs, with cuBLAS and cuSOLVER",
    .count = cuda__count,
    .describe = cuda__describe,
    .open = cuda__open,
    .close = cuda__close,
    .sync = cuda__sync,
    .cov_build = cuda__cov_build,
    .cov_cross = cuda__cov_cross,
    .fill_sobol = cuda__fill_sobol,
    .fill_normal = cuda__fill_normal,
    .model_create = cuda__model_create,
    .model_destroy = cuda__model_destroy,
    .model_bytes = cuda__model_bytes,
    .model_set_points = cuda__model_set_points,
    .model_truncate = cuda__model_truncate,
    .model_factor = cuda__model_factor,
    .model_append = cuda__model_append,
    .model_rows = cuda__model_rows,
    .model_set_y = cuda__model_set_y,
    .model_get_factor = cuda__model_get_factor,
    .model_solve = cuda__model_solve,
    .mll = cuda__mll,
    .posterior = cuda__posterior,
    .acquire = cuda__acquire,
    .joint = cuda__joint,
    .paths = cuda__paths,
    .screen = cuda__screen,
    .mll_many = cuda__mll_many,
    .pool_set = cuda__pool_set,
    .pool_append = cuda__pool_append,
    .supports = cuda__supports,
    .need_bytes = cuda__need_bytes,
};
