// SPDX-License-Identifier: Apache-2.0
// surrogate.h: the program behind `hpt-bench surrogate`: seconds of the compute backends' operations, beside what the same
// machine's matrix product and memory copy reach in the same run.
#ifndef HPT_BENCH_SURROGATE_H
#define HPT_BENCH_SURROGATE_H

#include "core/backend/backend.h"
#include <stdio.h>

enum { SIZES_MAX = 16, DEVICES_MAX = 8 };

typedef struct surrogate_options {
    const char *format; // "md", "csv", "jsonl"
    const char *devices[DEVICES_MAX];
    int64_t n_devices, n[SIZES_MAX], n_sizes, d, threads, repeat;
    FILE *out;
} surrogate_options;

typedef struct ceilings {
    double gflops, gbytes; // per second: product of matrices, copy (read and write); 0: could not be measured
} ceilings;

typedef struct surrogate_row {
    const char *name, *device;
    int64_t n, d, m;         // m: candidates, or rows of an append; 0: none
    double median, min, max; // seconds
    double flops, bytes;     // at least needed
    double error;            // against ref, relative to the largest number; NAN: not compared
} surrogate_row;

double surrogate_now(void);
// Fills median, min and max of a row from times; sorts them.
void surrogate_summarise(surrogate_row *row, double *times, int64_t n);
void surrogate_print(const surrogate_options *o, const ceilings *c, const surrogate_row *row);

// All threads at once, best of several; about 0.3 s.
int surrogate_ceilings(ceilings *out, int64_t threads);
// All rows of a device at one size.
int surrogate_cases(const surrogate_options *o, const ceilings *c, const char *device, int64_t n);

#endif
