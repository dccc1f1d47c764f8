// SPDX-License-Identifier: Apache-2.0
// shim_run.h: launches kernels that the host's compiler made (shim.h). For C.
//
// Threads: one launch at a time, under a lock; any thread may ask for one.
#ifndef HPT_SHIM_RUN_H
#define HPT_SHIM_RUN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(hidden)

typedef struct shim_kernel {
    const char *name;
    size_t args_size;
    unsigned threads;                 // largest block
    void (*thread)(const void *args); // what one thread does
} shim_kernel;

// The kernels of src/cuda (shim_kernels.cc), in the order of CUDA__KERNELS; ends with NULL.
extern const shim_kernel *const shim_kernels[];
const shim_kernel *shim_find(const char *name); // NULL: there is none

// Runs all blocks, one after another, and returns when the last is done. 0, or -1 with one line in why (size bytes): sizes that
// CUDA or the kernel does not allow, threads that miss a barrier or a shuffle, a write past a shared array, no memory.
// After -1 some blocks may have run.
int shim_launch(const shim_kernel *k, const unsigned grid[3], const unsigned block[3], const void *args, char *why,
                size_t size);
// The same with `dynamic` bytes for CUDA__SHARED_DYNAMIC.
int shim_launch_dynamic(const shim_kernel *k, const unsigned grid[3], const unsigned block[3], size_t dynamic,
                        const void *args, char *why, size_t size);

// In which order blocks, and the threads of a block between two barriers, run: "forward", "reverse" or "random:SEED" (drawn
// anew at every barrier and shuffle). NULL: what HPT_SHIM_ORDER says, and forward where it is not set. -1: another text.
int shim_set_order(const char *order);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
