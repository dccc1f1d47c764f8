// SPDX-License-Identifier: Apache-2.0
// surrogate.h: the program behind `hpt-bench surrogate`: seconds of the compute backends' operations, beside what the same
// machine's matrix product and memory copy reach in the same run.
#ifndef HPT_BENCH_SURROGATE_H
#define HPT_BENCH_SURROGATE_H

#include "core/backend/backend.h"
#include <stdio.h>

enum { SIZES_MAX = 16, DEVICES_MAX = 8, TIMES_MAX = 1000 };

// A case is repeated no longer than this many seconds.
#define SECONDS_PER_CASE 2.0

typedef struct surrogate_options {
    const char *format; // "md", "csv", "jsonl"
    const char *devices[DEVICES_MAX];
    int64_t n_devices, n[SIZES_MAX], n_sizes, d[SIZES_MAX], n_d, threads, repeat;
    int64_t q, fit_up_to; // points of a batch; largest n of the rows of whole fits
    FILE *out;
} surrogate_options;

typedef struct ceilings {
    double gflops, gbytes; // per second: product of matrices, copy (read and write); 0: could not be measured
} ceilings;

typedef struct surrogate_row {
    const char *name, *device;
    int64_t n, d, m;         // m: candidates, rows of an append, columns of a product, points of a batch; 0: none
    double median, min, max; // seconds
    double flops, bytes;     // at least needed; 0: not counted
    double error;            // against ref, relative to the largest number; NAN: not compared
    int64_t memory;          // bytes of the device's models and workspaces, at most until here
} surrogate_row;

// Seconds: of the clock, or with one thread of the processor, so that other work on the machine is not in them.
double surrogate_now(void);
// Fills median, min and max of a row from times; sorts them.
void surrogate_summarise(surrogate_row *row, double *times, int64_t n);
void surrogate_print(const surrogate_options *o, const ceilings *c, const surrogate_row *row);

// All threads at once, best of several; about 0.3 s.
int surrogate_ceilings(ceilings *out, int64_t threads);
// All rows of a device at one size: operations (surrogate_cases.c); fits and suggestions (surrogate_whole.c).
int surrogate_cases(const surrogate_options *o, const ceilings *c, const char *device, int64_t n, int64_t d);
int surrogate_whole(const surrogate_options *o, const ceilings *c, const char *device, int64_t n, int64_t d);

#endif
