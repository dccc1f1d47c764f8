// SPDX-License-Identifier: Apache-2.0
// backend_list.c: the one place that names backends.
//
// Two lists, both best first: hpt__backends has the tables that were compiled in, hpt__candidates every name that a user may
// ask for. A name that this build lacks stays a candidate: a request for it is then an error that says so instead of a
// "no such backend", and `hpt devices -v` tells what is missing. A static table rather than constructor functions: the
// order is visible, and nothing is dropped when the library is linked statically.
//
// A backend that comes as a library of its own is loaded in hpt__candidate_table: at its first use, never before, and a
// failure is remembered as the reason (plugin.c). ABI number and size are checked for every table.
// Threads: constant data.
#include "backend_list.h"

#include "plugin_load.h"

#include <stdio.h>

extern const hpt__backend hpt__backend_ref;
#ifdef HPT_HAVE_CPU_BACKEND
extern const hpt__backend hpt__backend_cpu;
#define CPU_TABLE &hpt__backend_cpu
#else
#define CPU_TABLE NULL
#endif

const hpt__backend *const hpt__backends[] = {
#ifdef HPT_HAVE_CPU_BACKEND
    &hpt__backend_cpu,
#endif
    &hpt__backend_ref,
    NULL,
};

const hpt__candidate hpt__candidates[] = {
    {.name = "cuda",
     .doc = "NVIDIA GPUs",
     .plugin = "libhpt_gpu_cuda",
     .folders = "HPT_CUDA_PATH",
     .missing = "it comes with a build that finds nvcc; HPT_CUDA_PATH names its folder"},
    {.name = "cpu",
     .doc = "BLAS and LAPACK on the cores of the process",
     .table = CPU_TABLE,
     .missing = "this build was configured without a BLAS; install one (libopenblas-dev) and configure again"},
    {.name = "ref", .doc = "plain loops without libraries, the oracle of the others", .table = &hpt__backend_ref},
    {.name = NULL},
};

const hpt__backend *hpt__candidate_table(const hpt__candidate *c, const char *variant, char *why, size_t size) {
    if (c->plugin) return hpt__plugin_load(c, variant, why, size);
    if (!c->table) {
        (void)snprintf(why, size, "%s", c->missing);
        return NULL;
    }
    if (c->table->abi != HPT__BACKEND_ABI || c->table->struct_size != sizeof(hpt__backend)) {
        (void)snprintf(why, size, "its table is of another version (ABI %u, %u bytes; wanted %d, %zu)", c->table->abi,
                       c->table->struct_size, (int)HPT__BACKEND_ABI, sizeof(hpt__backend));
        return NULL;
    }
    return c->table;
}
