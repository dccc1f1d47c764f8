// SPDX-License-Identifier: Apache-2.0
// kernel_testing.h: one kernel alone under the shim: its arguments as the host code lays them out, every order, equal bits.
//
// Arrays end where the kernel's reading may end, so that AddressSanitizer sees what goes further. Gaps between columns hold NaN
// in what is read, and in what is written a mark that has to be there afterwards.
#ifndef HPT_KERNEL_TESTING_H
#define HPT_KERNEL_TESTING_H

#include "backend/backend_testing.h"
#include "cuda/cuda_kernels.h"
#include "shim_run.h"

typedef struct output { // what a kernel writes (or changes)
    void *at;
    size_t bytes;
} output;

// Runs kernel `name` in every order from the same outputs; fails where the bits differ. What was written is there at the end.
void kernel_run(const char *name, int64_t gx, int64_t gy, const void *args, const output *outputs, int64_t n_outputs);

double *marked(int64_t n);                            // full of marks; free()
bool is_marked(double v);                             // still the mark of `marked`
double *columns(int64_t rows, int64_t n, int64_t ld); // uniform in -1 .. 1, NaN in the gaps; ends with the last column

typedef struct sorted { // covariance and points as kernels take them; pointers of `cov` are owned
    cuda__cov cov;
    int32_t group_first[D_MAX], group_block[D_MAX];
    int64_t n_groups;
} sorted;
void sorted_init(sorted *s, const problem *p);
void sorted_fini(sorted *s);

// Problems that straddle what kernels cut columns into (16 in shared memory, 8 in a group), plain, mixed and conditional.
typedef struct shape {
    hpt__cov_kind kind;
    int64_t d, n_blocks;
    bool mixed;
    bool apart; // every other term is without block 0
} shape;
extern const shape shapes[];
extern const int64_t n_shapes;

int64_t tiles(int64_t n, int64_t edge);

typedef struct cloud { // points of a problem, both ways
    problem p;
    sorted s;
    double *x; // n x d, row-major
    uint64_t *mask;
    int64_t n;
} cloud;
void cloud_init(cloud *c, const shape *of, uint64_t seed, int64_t n);
void cloud_fini(cloud *c);
// Points first .. first + n - 1 as kernels take them; points_free().
cuda__points cloud_points(const cloud *c, int64_t first, int64_t n, int64_t ld);
void points_free(cuda__points p);

#endif
