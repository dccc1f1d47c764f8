// SPDX-License-Identifier: Apache-2.0
// bench.h: what hpt-bench's groups share: one row schema, printed as md, csv or jsonl.
//
// A case is timed `repeat` times after one warm-up; the row keeps the median and the spread (min, max), because single
// times on a shared machine say little. Compare rows of one run as ratios, never numbers of two runs.
#ifndef HPT_BENCH_H
#define HPT_BENCH_H

#include <hpt.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct bench_options {
    const char *format; // "md", "csv", "jsonl"
    const char *dir;    // folder for databases and runs of the bench
    int64_t repeat;
    bool quick, keep;
    FILE *out;
} bench_options;

typedef struct bench_row {
    const char *group, *name, *sampler, *storage;
    int64_t d, start, n;     // parameters, trials that the study has before, operations of one repetition
    double median, min, max; // seconds of one repetition
    const char *unit;        // what one operation is: "trial", "report"
    double peak_mb;          // largest resident memory of the process, MB (1e6 bytes); 0: not measured
} bench_row;

double bench_now(void); // monotonic seconds
void bench_head(const bench_options *o);
void bench_print(const bench_options *o, const bench_row *row);
// Fills median, min, max from times[0..n); sorts times.
void bench_summarise(bench_row *row, double *times, int64_t n);
int bench_fail(const char *what); // prints the library's last error; returns 1

int bench_engine(const bench_options *o);
int bench_start(const bench_options *o);
int bench_run(const bench_options *o);
// The programs of bench_start's cases: a trial that is stopped; a study in memory that is asked once after n results.
int bench_stopped_trial(void);
int bench_first_ask(int64_t n);
// Ratios b/a of the rows of two files that -o jsonl wrote.
int bench_compare(FILE *out, const char *path_a, const char *path_b);

// Deletes a folder with everything in it.
void bench_remove_tree(const char *path);

#endif
