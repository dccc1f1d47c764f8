/* SPDX-License-Identifier: Apache-2.0
 * sched.h: runs a sweep: trials as processes of this machine, on slots and device shares.
 *
 * hpt_run_sweep blocks until the sweep ends. It works on one event loop in the calling thread, and may be called once at a time
 * per process. Meanwhile it owns SIGCHLD, SIGINT, SIGTERM, and SIGHUP unless that is ignored, in whichever thread they arrive:
 * the first but SIGCHLD stops the run. The caller's handlers and mask are back when it returns. */
#ifndef HPT_SCHED_H
#define HPT_SCHED_H

#include <hpt/export.h>
#include <hpt/study.h>
#include <hpt/sweep.h>
#include <stdbool.h>

HPT_BEGIN_DECLS

/* How one attempt of a trial ended. Numbers are pinned. */
typedef enum hpt_outcome {
    HPT_OUTCOME_DONE = 0,
    HPT_OUTCOME_PRUNED = 1,
    HPT_OUTCOME_FAILED = 2,
    HPT_OUTCOME_TIMEOUT = 3,
    HPT_OUTCOME_LOST = 4,       /* its run was killed; the trial is started again */
    HPT_OUTCOME_STOPPED = 5,    /* the user ended the run; the trial is started again by the next run */
    HPT_OUTCOME_PREEMPTED = 6,  /* it announced preemption and ended; it is started again under its number */
    HPT_OUTCOME_OOM_GPU = 7,    /* failed for lack of GPU memory, by what it wrote, or took more than its share of it */
    HPT_OUTCOME_OOM_HOST = 8,   /* failed for lack of memory, by what it wrote or by its peak */
    HPT_OUTCOME_COLLATERAL = 9, /* its GPU was lost, or a neighbour's fault ended its MPS server; it is started again */
} hpt_outcome;
HPT_API const char *hpt_outcome_to_string(hpt_outcome outcome);

typedef enum hpt_run_event_kind {
    HPT_RUN_STARTED = 1,       /* the study is open; counts hold what it already has; text: one line about it */
    HPT_RUN_TRIAL_STARTED = 2, /* number */
    HPT_RUN_TRIAL_REPORT = 3,  /* number, step, value; of several metrics the first */
    HPT_RUN_TRIAL_ENDED = 4,   /* number, outcome, value (NaN if none), text: reason, log_path, cause, n_cause */
    HPT_RUN_NOTICE = 5,        /* text: one line worth telling */
    HPT_RUN_TICK = 6,          /* about every 0.2 s, for progress displays */
    HPT_RUN_ENDED = 7,         /* text: why the sweep ended */
} hpt_run_event_kind;

typedef struct hpt_run_event {
    hpt_run_event_kind kind;
    int64_t number, step;
    double value;
    hpt_outcome outcome;
    bool is_best;         /* TRIAL_ENDED: best so far */
    const char *text;     /* borrowed for the call; may be NULL */
    const char *log_path; /* borrowed; the trial's stderr or stdout file */
    /* TRIAL_ENDED of a failed, timed-out or given-up trial: its reason with numbers as 'N', the same for all failures
     * of one kind, and how many of this kind this run has had, this one included (1: show it). Else NULL and 0. */
    const char *cause;
    int64_t n_cause;
    /* the sweep as a whole, set in every event */
    int64_t n_done, n_running, n_pruned, n_failed, n_waiting, cap /* 0: none */;
    double best; /* NaN if none, and with several metrics */
    int64_t best_number;
    double elapsed;       /* seconds of this run */
    int64_t n_ended_here; /* trials ended by this run */
    double gpus,
        gpus_granted; /* GPUs that trials may have, and what they hold of them: 4, 0.75; 0: they ask for none */
    hpt_study *study; /* borrowed; a callback may query it */
} hpt_run_event;

typedef void (*hpt_run_fn)(const hpt_run_event *event, void *payload);

/* NULL or 0: the sweep file's value, else the default given here. Pointers are borrowed. */
typedef struct hpt_run_options {
    size_t struct_size;
    const char *study;   /* overrides the sweep's name */
    const char *run_dir; /* "hpt_runs/<study>" below the working folder */
    const char *storage; /* "sqlite:///<run_dir>/study.db" */
    const char *sampler, *pruner;
    int64_t slots;      /* cores / cpu share */
    int64_t n_trials;   /* overrides run_cap */
    double timeout;     /* seconds for the whole sweep */
    const char *gpus;   /* declared devices, as for hpt_device_list */
    const char *device; /* for the engine itself */
    uint64_t seed;
    bool has_seed;
    const char *const *options; /* "key=value" of the options table */
    int64_t n_options;
    hpt_run_fn on_event; /* called on the loop's thread */
    void *payload;
    const char *const *env; /* n_env texts "NAME=value" for every trial, instead of inherited ones of these names */
    int64_t n_env;          /* names that the trial protocol sets are left to it */
} hpt_run_options;

#define HPT_RUN_OPTIONS_INIT \
    { .struct_size = sizeof(hpt_run_options) }

typedef enum hpt_run_end {
    HPT_RUN_END_CAP = 1,       /* run_cap reached */
    HPT_RUN_END_TARGET = 2,    /* metric target reached */
    HPT_RUN_END_EXHAUSTED = 3, /* grid or space has no further point */
    HPT_RUN_END_TIMEOUT = 4,   /* time limit of the sweep */
    HPT_RUN_END_STOPPED = 5,   /* `hpt stop`, or the first SIGINT/SIGTERM; the same command resumes it */
    HPT_RUN_END_FLAPPING = 6,  /* too many of the first trials failed; docs/trial-protocol.md 5 has the rules */
} hpt_run_end;

typedef struct hpt_run_summary {
    hpt_run_end end;
    int64_t n_done, n_pruned, n_failed; /* of the whole study */
    double best;
    int64_t best_number;
    char run_dir[512], storage[600], study[520];
} hpt_run_summary;

/* 0, or an error: HPT_E_BUSY (another run holds the run folder), HPT_E_INCOMPATIBLE (space or objective
 * changed since), HPT_E_NOT_FOUND (program), HPT_E_ARG, HPT_E_IO, HPT_E_STORAGE. Whatever was told is stored. */
HPT_API HPT_NODISCARD int hpt_run_sweep(hpt_run_summary *out, const hpt_sweep *sweep, const hpt_run_options *options);

/* How many trials of the sweep hpt_run_sweep would run at once on this machine with these GPUs (as for hpt_device_list).
 * HPT_E_ARG: some of them could never start, and what is too little. Starts nothing. */
HPT_API HPT_NODISCARD int hpt_sweep_places(int64_t *out, const hpt_sweep *sweep, const char *gpus);

/* Asks the run that owns run_dir to stop (as SIGTERM does), or one of its trials (number >= 0).
 * HPT_E_NOT_FOUND: nothing runs there. */
HPT_API HPT_NODISCARD int hpt_run_stop(const char *run_dir, int64_t number);

/* ---- a run as another process sees it: `hpt top` ------------------------------------------------- */

typedef struct hpt_run_device {
    char name[64];                       /* "cpu" first, then "gpu:0", ... */
    char uuid[96];                       /* of a GPU that the driver knows; "" */
    double capacity, granted;            /* cores of "cpu", else GPUs: what trials may have of it, and what they hold */
    int64_t memory_bytes, granted_bytes; /* likewise; 0: unknown, or nothing was asked for */
    int64_t
        used_bytes;   /* of a GPU: by whomever, as the driver counts; of "cpu": resident, by the trials; -1: unknown */
    int64_t n_trials; /* that hold a share of it */
} hpt_run_device;

typedef struct hpt_run_process { /* a trial that the run holds */
    int64_t number, attempt;
    int64_t slot, pid;  /* pid leads the trial's session; both -1: it waits until its share is free */
    double seconds;     /* since this attempt began */
    bool stopping;      /* it was asked to end */
    const char *use;    /* what it was given, as attribute "hpt:use" of a trial that has ended; "{}" while it waits */
    int64_t gpu_bytes;  /* memory of its GPUs that its processes hold, as the driver counts; -1: unknown */
    int64_t host_bytes; /* resident memory of its processes; -1: unknown */
} hpt_run_process;

typedef struct hpt_run_view {
    const char *run_dir, *study, *storage; /* name and URL of the study, for hpt_study_open */
    bool going;                            /* a process owns the run */
    bool answered;                         /* and has said what follows; it hears only its own user and root */
    int64_t pid, n_slots, cap /* 0: none */;
    double elapsed; /* seconds */
    const hpt_run_device *devices;
    int64_t n_devices;
    const hpt_run_process *trials; /* by slot */
    int64_t n_trials;
} hpt_run_view;

typedef struct hpt_monitor hpt_monitor;

/* Watches the run in this folder, whether it is going or not. One thread at a time.
 * HPT_E_NOT_FOUND: no run was ever started there. */
HPT_API HPT_NODISCARD int hpt_monitor_open(hpt_monitor **out, const char *run_dir);
/* What is so now; *out belongs to the monitor and holds until its next look. A run that does not answer within two seconds
 * is no error. Where GPUs are the driver's, the first look opens NVML (up to a second on idle ones). */
HPT_API HPT_NODISCARD int hpt_monitor_look(const hpt_run_view **out, hpt_monitor *monitor);
HPT_API void hpt_monitor_close(hpt_monitor *monitor); /* NULL is fine */

HPT_END_DECLS
#endif
