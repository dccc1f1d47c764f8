// SPDX-License-Identifier: Apache-2.0
// run_event.c: what a run tells its caller, and the counts behind it.
//
// The counts are kept by steps (ask, tell, retry) and read anew about once a second and before the run decides that it
// is over, because other processes may add trials to the same study. No event costs a scan of the trials.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/logging.h"
#include "run_impl.h"

#include <math.h>
#include <stdio.h>

const char *hpt_outcome_to_string(hpt_outcome outcome) {
    switch (outcome) {
    case HPT_OUTCOME_DONE:
        return "done";
    case HPT_OUTCOME_PRUNED:
        return "pruned";
    case HPT_OUTCOME_FAILED:
        return "failed";
    case HPT_OUTCOME_TIMEOUT:
        return "timeout";
    case HPT_OUTCOME_LOST:
        return "lost";
    case HPT_OUTCOME_STOPPED:
        return "stopped";
    case HPT_OUTCOME_PREEMPTED:
        return "preempted";
    case HPT_OUTCOME_OOM_GPU:
        return "oom-gpu";
    case HPT_OUTCOME_OOM_HOST:
        return "oom-host";
    case HPT_OUTCOME_COLLATERAL:
        return "collateral";
    }
    return "?";
}

int64_t hpt__run_total(const hpt__run *run) {
    int64_t n = 0;
    for (int i = 0; i < 5; i++) n += run->counts[i];
    return n;
}

int hpt__run_refresh(hpt__run *run) {
    return hpt_study_counts(run->counts, run->study);
}

void hpt__run_emit(hpt__run *run, hpt_run_event event) {
    if (!run->o->on_event) return;
    event.n_done = run->counts[HPT_TRIAL_COMPLETE];
    event.n_pruned = run->counts[HPT_TRIAL_PRUNED];
    event.n_failed = run->counts[HPT_TRIAL_FAIL];
    event.n_waiting = run->counts[HPT_TRIAL_WAITING] + run->n_restart - run->next_restart;
    event.n_running = run->n_running;
    event.cap = run->cap;
    event.best = run->best;
    event.best_number = run->best_number;
    event.elapsed = hpt__now_mono() - run->t0;
    event.n_ended_here = run->n_ended_here;
    int64_t units = 0, used = 0;
    for (int64_t i = 0; run->most.n_gpus > 0 && i < run->ledger.n_gpus; i++) {
        units += run->ledger.gpus[i].units;
        used += run->ledger.gpus[i].used;
    }
    event.gpus = (double)units / HPT__GPU_UNITS;
    event.gpus_granted = (double)used / HPT__GPU_UNITS;
    event.study = run->study;
    run->o->on_event(&event, run->o->payload);
}

void hpt__run_notice(hpt__run *run, const char *fmt, ...) {
    char text[HPT__ERROR_MAX + 128];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hpt__log(HPT_LOG_INFO, "%s", text);
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_NOTICE, .number = -1, .value = NAN, .text = text});
}

bool hpt__run_note_value(hpt__run *run, int64_t number, double value) {
    const bool up = run->directions[0] == HPT_MAXIMIZE;
    if (run->n_metrics != 1) return false;
    if (run->sweep->has_target && (up ? value >= run->sweep->target : value <= run->sweep->target))
        run->target_reached = true;
    if (!isnan(run->best) && (up ? value <= run->best : value >= run->best)) return false;
    run->best = value;
    run->best_number = number;
    return true;
}

int hpt__run_read_best(hpt__run *run) {
    int rc = 0;
    hpt_trial *trial = NULL;
    const double *values;
    int64_t n;
    run->best = NAN;
    run->best_number = -1;
    if (run->n_metrics != 1 || run->counts[HPT_TRIAL_COMPLETE] == 0) return 0;
    rc = hpt_study_best(&trial, run->study);
    if (rc == HPT_E_NOT_FOUND) return 0;
    if (rc < 0) return rc;
    HPT_TRY(hpt_trial_values(&values, &n, trial));
    if (n > 0) (void)hpt__run_note_value(run, hpt_trial_number(trial), values[0]);
    rc = 0;
out:
    hpt_trial_destroy(trial);
    return rc;
}

int hpt__run_end_text(char *out, size_t size, hpt__run *run, const char *why) {
    hpt_trial **front = NULL;
    int64_t n = 0;
    (void)snprintf(out, size, "%s", why);
    if (run->n_metrics < 2) return 0;
    int rc = hpt_study_pareto(&front, &n, run->study);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(front[i]);
    hpt_free(front);
    (void)snprintf(out, size, "%s; %lld trial%s of the Pareto front", why, (long long)n, n == 1 ? "" : "s");
    return 0;
}
