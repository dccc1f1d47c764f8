// SPDX-License-Identifier: Apache-2.0
// shim_kernels.cc: the kernels of src/cuda, compiled by the host's compiler, and the table by which a launch finds them.
#include "cuda/cuda_kernels.cu"

// A kernel has to be what the host code takes it for.
#define SAME(name, args, most)                                                                                 \
    static_assert(shim_##name.args_size == sizeof(args) && shim_##name.threads == static_cast<unsigned>(most), \
                  #name ": CUDA__KERNEL and CUDA__KERNELS differ");
CUDA__KERNELS(SAME)

#define ENTRY(name, args, most) &shim_##name,
const shim_kernel *const shim_kernels[] = {CUDA__KERNELS(ENTRY) nullptr};

const shim_kernel *shim_find(const char *name) {
    for (const shim_kernel *const *k = shim_kernels; *k; k++)
        if (strcmp((*k)->name, name) == 0) return *k;
    return nullptr;
}
