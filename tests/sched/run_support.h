// SPDX-License-Identifier: Apache-2.0
// run_support.h: what the tests of hpt_run_sweep share: a folder of their own, short sweeps with shell trials, a
// record of events, and a search for processes that should be gone.
#ifndef HPT_TESTS_RUN_SUPPORT_H
#define HPT_TESTS_RUN_SUPPORT_H

#include <hpt/sched.h>
#include <hpt/status.h>
#include <hpt/storage.h>
#include <stdint.h>
#include <sys/types.h>

enum { RUN_TRIALS_MAX = 256 };

typedef struct run_record {
    int64_t n_started, n_reports, n_ended, n_notices, n_ticks;
    int64_t most_running;
    hpt_outcome outcome[RUN_TRIALS_MAX]; // by trial
    int64_t starts[RUN_TRIALS_MAX], reports[RUN_TRIALS_MAX];
    double value[RUN_TRIALS_MAX];
    char reason[RUN_TRIALS_MAX][256];
    char notices[4096]; // one a line
    int64_t best_events;
    char cause[RUN_TRIALS_MAX][128];
    int64_t n_cause[RUN_TRIALS_MAX];
    char end[256];                            // text of the last event
    void (*hook)(const hpt_run_event *event); // called for every event
} run_record;

extern run_record record;
extern void (*run_patch)(hpt_sweep *sweep); // changes a sweep after it was read; NULL: nothing

void run_enter(void);     // Criterion .init: a new working folder, a clean environment, an alarm
void run_enter_mps(void); // and one GPU of 40 GiB with a control program of MPS, both fakes: files gpus, GPU-aaaa-1
void run_leave(void);     // .fini: removes the folder

// Writes text to a file of the working folder.
void run_file(const char *name, const char *text, bool executable);
// A sweep over x in [0, 1] (or the given parameters) with `sh -c script`; extra: further YAML lines.
void run_sweep_file(const char *script, int run_cap, const char *extra);
// Runs sweep.yaml; o NULL: defaults with two slots. Fills record. Returns hpt_run_sweep's status.
int run_it(hpt_run_summary *out, const hpt_run_options *o);
// The same, and asserts success.
hpt_run_summary run_ok(const hpt_run_options *o);

// Runs sweep.yaml in a process of its own, with two slots unless o says otherwise; its exit code is -status, or
// 100 + end.
pid_t run_fork(const hpt_run_options *o);
int run_wait_exit(pid_t pid);
void run_wait_for(const char *path); // until the file is there
void run_nap(double seconds);
void run_time_passes(int64_t seconds); // for what reads the monotonic clock in this process (test_run_clock.c)

// Opens hpt_runs/<name>/study.db read-only.
hpt_study *run_study(const char *name);
void run_counts(int64_t counts[5], const char *name);
// Attribute of a trial, "" if it has none; static memory.
const char *run_attr(const char *name, int64_t trial, const char *key);
const char *run_tier(const char *name, int64_t trial); // of a trial that has ended; static memory
void run_has(const char *text, const char *part);      // asserts it
int run_count(const char *text, const char *part);     // how often it occurs
// Contents of a file, "" if there is none; static memory.
const char *run_read(const char *path);

// Processes that carry this test's mark in their environment, this one left out. Zombies do not count.
int run_processes(void);
// The same after waiting up to `seconds` for none.
int run_processes_after(double seconds);

#endif
