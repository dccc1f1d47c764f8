// SPDX-License-Identifier: Apache-2.0
// intake.h: metric values out of what a trial writes. Pure functions on chunks of bytes; no files, no clocks.
#ifndef HPT_SCHED_INTAKE_H
#define HPT_SCHED_INTAKE_H

#include "../sweep/sweep_impl.h"
#include <regex.h>

enum { HPT__LINE_MAX = 1 << 20 }; // bytes of a line that are looked at; the rest of it is passed over

typedef struct hpt__needle { // text that every matching line holds; n 0: none is known
    char text[64];
    size_t n;
} hpt__needle;

typedef struct hpt__intake_pattern {
    regex_t regex;
    bool is_step;
    hpt__needle needle;
} hpt__intake_pattern;

typedef struct hpt__intake { // what to look for; immutable after init, shared by all trials of a run
    char *metric;            // NULL: nothing is looked for
    size_t metric_len;
    hpt__needle needle;
    hpt__intake_pattern *patterns;
    int64_t n_patterns;
    bool metric_pattern; // some pattern gives the metric: standard output is read by patterns only
    bool step_pattern;
} hpt__intake;

// patterns: the sweep's; those for other names than the metric and "step" are left out.
HPT_NODISCARD int hpt__intake_init(hpt__intake *in, const char *metric, const hpt__sweep_pattern *patterns, int64_t n);
void hpt__intake_fini(hpt__intake *in); // a zeroed one is fine

typedef struct hpt__intake_trial { // numbering of one attempt's reports; zero it at the start
    int64_t next_step;             // of a report that names none
    int64_t pattern_step;          // 1 + the step a step pattern saw on an earlier line; 0: none
} hpt__intake_trial;

typedef struct hpt__intake_stream { // one file; zero it at the start and set protocol
    bool protocol;                  // the report file: the name "value" stands for the metric, patterns do not count
    bool skipping;                  // inside a line that was too long
    char *partial;                  // start of a line that has no end yet
    size_t len, cap;
} hpt__intake_stream;
void hpt__intake_stream_fini(hpt__intake_stream *s);

// data[n] must be NUL: regexec is told where a line ends, but checkers of memory accesses look for a string's end.
// fn is called for each value found, in order; a negative result ends the call and is returned.
typedef int (*hpt__intake_fn)(int64_t step, double value, void *payload);
HPT_NODISCARD int hpt__intake_feed(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial,
                                   const char *data, size_t n, hpt__intake_fn fn, void *payload);
// The file has ended: a last line without newline counts.
HPT_NODISCARD int hpt__intake_end(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial,
                                  hpt__intake_fn fn, void *payload);

// Gives a report its step: the named one, or (-1) the next after all seen.
int64_t hpt__intake_step(hpt__intake_trial *trial, int64_t named);

// ---- intake_line.c: one line, without its end. *step is -1 if it names none. False: no value of the metric in it.
bool hpt__intake_line(double *value, int64_t *step, const hpt__intake *in, const char *line, size_t n, bool protocol);
// What the step patterns find in a line; -1: nothing.
int64_t hpt__intake_line_step(const hpt__intake *in, const char *line, size_t n);
// Metric and step of a JSON object (a line that starts with '{', or a socket request's "metrics").
bool hpt__intake_object(double *value, int64_t *step, const hpt__intake *in, const hpt__json *object, bool protocol);

#endif
