// SPDX-License-Identifier: Apache-2.0
// intake.h: metric values out of what a trial writes. Pure functions on chunks of bytes; no files, no clocks.
#ifndef HPT_INTAKE_INTAKE_H
#define HPT_INTAKE_INTAKE_H

#include "../sweep/sweep_impl.h"
#include <regex.h>

enum {
    HPT__LINE_MAX = 1 << 20, // bytes of a line that are looked at; the rest of it is passed over
    HPT__METRICS_MAX = 64,
};

typedef struct hpt__needle { // text that every matching line holds; n 0: none is known
    char text[64];
    size_t n;
} hpt__needle;

typedef struct hpt__intake_pattern {
    regex_t regex;
    int64_t metric; // index; -1: it gives the step
    hpt__needle needle;
} hpt__intake_pattern;

typedef struct hpt__intake_metric {
    char *name;
    size_t len;
    hpt__needle needle;
    bool has_pattern; // standard output is read for it by patterns only
} hpt__intake_metric;

typedef struct hpt__intake { // what to look for; immutable after init, shared by all trials of a run
    hpt__intake_metric *metrics;
    int64_t n_metrics; // 0: nothing is looked for
    hpt__intake_pattern *patterns;
    int64_t n_patterns;
    bool step_pattern;
    bool only_patterns; // each metric has one
} hpt__intake;

// patterns: the sweep's; those for other names than the metrics and "step" are left out. metric NULL: none.
HPT_NODISCARD int hpt__intake_init(hpt__intake *in, const char *metric, const hpt__sweep_pattern *patterns, int64_t n);
HPT_NODISCARD int hpt__intake_init_many(hpt__intake *in, const char *const *metrics, int64_t n_metrics,
                                        const hpt__sweep_pattern *patterns, int64_t n);
void hpt__intake_fini(hpt__intake *in); // a zeroed one is fine

typedef struct hpt__intake_trial { // of one attempt; zero it at the start
    int64_t next_step;             // of a report that names none
    int64_t pattern_step;          // 1 + the step a step pattern saw on an earlier line; 0: none
    int64_t metric;                // which one the function is being called for
    bool preempting;               // the trial has announced that it will be cut off (report file only)
} hpt__intake_trial;

typedef struct hpt__intake_stream { // one file; zero it at the start and set protocol
    bool protocol;                  // the report file: the name "value" stands for the first metric, no patterns
    bool skipping;                  // inside a line that was too long
    char *partial;                  // start of a line that has no end yet
    size_t len, cap;
} hpt__intake_stream;
void hpt__intake_stream_fini(hpt__intake_stream *s);

// data[n] must be NUL: regexec is told where a line ends, but checkers of memory accesses look for a string's end.
// fn is called for each value found, in order (trial->metric says of which metric); a negative result ends the call
// and is returned.
typedef int (*hpt__intake_fn)(int64_t step, double value, void *payload);
HPT_NODISCARD int hpt__intake_feed(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial,
                                   const char *data, size_t n, hpt__intake_fn fn, void *payload);
// The file has ended: a last line without newline counts.
HPT_NODISCARD int hpt__intake_end(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial,
                                  hpt__intake_fn fn, void *payload);

// Gives a report its step: the named one, or (-1) the next after all seen.
int64_t hpt__intake_step(hpt__intake_trial *trial, int64_t named);

// ---- intake_line.c: one line, without its end
typedef struct hpt__intake_hit {
    int64_t metric;
    double value;
} hpt__intake_hit;
// The metrics in a line, at most one hit each, in the metrics' order. *step: -1 if the line names none.
int64_t hpt__intake_line(hpt__intake_hit hits[HPT__METRICS_MAX], int64_t *step, const hpt__intake *in, const char *line,
                         size_t n, bool protocol);
// What the step patterns find in a line; -1: nothing.
int64_t hpt__intake_line_step(const hpt__intake *in, const char *line, size_t n);
// The same of a JSON object (a line that starts with '{', or a socket request's "metrics").
int64_t hpt__intake_object(hpt__intake_hit hits[HPT__METRICS_MAX], int64_t *step, const hpt__intake *in,
                           const hpt__json *object, bool protocol);
// `preempting=1`, `preempting: true` or a JSON object's "preempting". False: the line does not speak of it.
bool hpt__intake_preempting(bool *out, const char *line, size_t n);
bool hpt__intake_object_preempting(bool *out, const hpt__json *object);

#endif
