// SPDX-License-Identifier: Apache-2.0
// top.h: the parts of `hpt top`: what is shown (top_data.c), as lines of text or JSON (top_text.c), on a terminal
// (top_screen.c).
#ifndef HPT_CLI_TOP_H
#define HPT_CLI_TOP_H

#include "cli.h"

enum { TOP_NAME = 80, TOP_ENDED = 10 };

typedef struct top_trial {
    int64_t number, attempt;
    int64_t slot;                       // -1: none
    char state[24];                     // "running", "stopping", "queued", ...; of one that has ended its outcome
    bool here;                          // the run has a process of it
    char device[TOP_NAME], tier[24];    // "": none
    double share, cores;                // NaN: none, unknown
    double gpu_granted, gpu_used;       // bytes; NaN: likewise
    double memory_granted, memory_used; // of the host
    double seconds, value;              // value: the last report, of one that is done its result; NaN: none
    int64_t step;                       // of the last report; -1: none
} top_trial;

typedef struct top_data {
    const hpt_run_view *view; // the monitor's, until its next look
    char study[TOP_NAME], metric[TOP_NAME];
    int64_t counts[5], n_objectives;
    double best; // NaN: none
    int64_t best_number;
    double per_minute;     // trials that ended, over the last minutes; of a run that is over: over all of it
    double elapsed, since; // seconds: of the run; from its last trial's end until now. NaN: unknown
    int64_t n_left;        // running in the study, and nobody runs them
    top_trial *trials;     // those that run by slot, those that wait for a share, then the TOP_ENDED that ended last
    int64_t n, cap;
} top_data;

// Fills d anew. Returns a status.
int top_collect(top_data *d, hpt_monitor *monitor, hpt_study *study);
void top_data_fini(top_data *d);

// ---- top_text.c. Text is plain, at most `width` columns wide (cut where even the narrowest table is wider).
typedef struct top_lines {
    char *text; // owned
    char **at;  // owned array of n lines, into text
    int n;
} top_lines;
// False: out of memory.
bool top_head_lines(top_lines *out, const top_data *d, int width);
bool top_device_lines(top_lines *out, const top_data *d, int width); // the first line is the table's head
bool top_trial_lines(top_lines *out, const top_data *d, int width);  // likewise
void top_lines_fini(top_lines *lines);
void top_print_json(const top_data *d);

// ---- top_screen.c: the alternate screen, keys and signals
enum { TOP_TIMEOUT = 0, TOP_QUIT = -1, TOP_RESIZED = -2, TOP_UP = -3, TOP_DOWN = -4, TOP_HOME = -5, TOP_END = -6 };
bool top_screen_open(void);  // false: standard input and output are no terminal that can be set so
void top_screen_close(void); // also at exit; takes signals that ended it back to what they usually do
void top_screen_size(int *rows, int *columns);
// A key (its character, or a name above), or what else happened within that many seconds.
int top_screen_key(double seconds);

#endif
