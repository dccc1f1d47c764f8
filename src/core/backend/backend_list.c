// SPDX-License-Identifier: Apache-2.0
// backend_list.c: the one place that names backends.
//
// Two lists, both best first: hpt__backends has the tables that were compiled in, hpt__candidates every name that a user may
// ask for. A name that this build lacks stays a candidate: a request for it is then an error that says so instead of a
// "no such backend", and `hpt devices -v` tells what is missing. A static table rather than constructor functions: the
// order is visible, and nothing is dropped when the library is linked statically.
//
// A backend that comes as a library of its own is loaded in hpt__candidate_table: at its first use, never before, and a
// failure is remembered as the reason. ABI number and size are checked there for every table.
// Threads: constant data.
#include "backend_list.h"

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
    {"cuda", "NVIDIA GPUs", NULL, "this build has no CUDA backend"},
    {"cpu", "BLAS and LAPACK on the cores of the process", CPU_TABLE,
     "this build was configured without a BLAS; install one (libopenblas-dev) and configure again"},
    {"ref", "plain loops without libraries, the oracle of the others", &hpt__backend_ref, NULL},
    {NULL, NULL, NULL, NULL},
};

const hpt__backend *hpt__candidate_table(const hpt__candidate *c, char *why, size_t size) {
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
