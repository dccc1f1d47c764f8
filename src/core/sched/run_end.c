// SPDX-License-Identifier: Apache-2.0
// run_end.c: how a trial ends: the stop ladder, its outcome, what is told, and the retry.
//
// Ladder: the stop file appears and the socket answers "stop"; SIGTERM and SIGCONT to the process group (a stopped
// process must wake to notice); after the grace time, where MPS serves the trial's GPU, an end of its work there
// (run_mps_end.c); SIGKILL to the group. When the first process is gone the group
// gets SIGKILL in any case, while the zombie still holds the group's number, then what escaped the group is found
// (leftovers.c).
//
//   asked to end by       exit        outcome   state      value
//   nobody                0, metrics  done      COMPLETE   the last value of each metric
//   nobody                0, one none failed    FAIL
//   nobody                0, one NaN  failed    FAIL
//   nobody                else        failed, oom-gpu or oom-host (run_oom.c)    FAIL
//   nobody, preempting    not 0       preempted RUNNING    started again by this run
//   pruner, `hpt stop N`  any         pruned    PRUNED     last report (hpt stop without any report: failed)
//   its time limit        any         timeout   FAIL
//   no report for T       any         timeout   FAIL
//   memory watchdog       any         oom-gpu   FAIL
//   oom-gpu of a share    any         oom-gpu   RUNNING    started again with more (run_oom_retry.c), else FAIL
//   MPS escaped, required any         failed    FAIL
//   a neighbour's fault   any         collateral RUNNING   started again by this run (run_fault.c)
//   the run's end         any         stopped   RUNNING    started again by the next run
//
// A sweep without metric (grid, random): exit 0 is done with the value 0.0, the exit code, since the schema that we
// share with Optuna has no completed trial without a value; the reason attribute says so.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const double ORPHAN_SECONDS = 2.0;

void hpt__run_kill_trial(hpt__run *run, hpt__running *t) {
    (void)run;
    t->kill_at = INFINITY;
    t->killed = true;
    if (!t->ended) (void)kill(-t->pid, SIGKILL);
    if (!t->ended && t->group) hpt__cgroup_kill(t->group);
}

void hpt__run_stop_trial(hpt__run *run, hpt__running *t, hpt__stop_cause cause) {
    char path[PATH_MAX];
    if (t->cause != HPT__STOP_NONE || t->ended) return;
    t->cause = cause;
    (void)snprintf(path, sizeof path, "%s/stop", t->dir);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0) close(fd);
    if (!(run->sweep->grace > 0)) {
        if (!hpt__run_mps_end(run, t)) hpt__run_kill_trial(run, t);
        return;
    }
    (void)kill(-t->pid, SIGTERM);
    (void)kill(-t->pid, SIGCONT);
    t->kill_at = hpt__now_mono() + run->sweep->grace;
}

int hpt__run_trial_exited(hpt__run *run, hpt__running *t) {
    int64_t n = 0;
    if (t->ended) return 0;
    (void)kill(-t->pid, SIGKILL);
    t->status_known = wait4(t->pid, &t->status, 0, &t->usage) == t->pid;
    t->ended = true;
    t->ended_at = hpt__now_mono();
    hpt__run_group_ended(t);
    for (int64_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].trial && !run->slots[i].ended) run->leaders[n++] = run->slots[i].pid;
    const hpt__orphan_query query = {t->pid, t->number, run->run_id, run->leaders, n};
    int64_t n_orphans = 0;
    return hpt__orphans_end(&n_orphans, &query, ORPHAN_SECONDS);
}

// ---- outcome

static void log_path(char *out, size_t size, const hpt__running *t) {
    struct stat st;
    (void)snprintf(out, size, "%s/stderr.log", t->dir);
    if (stat(out, &st) < 0 || st.st_size <= t->stderr_start) (void)snprintf(out, size, "%s/stdout.log", t->dir);
}

// The last line of this attempt's standard error that is not blank, made fit for one line.
static void last_line(char *out, size_t size, const hpt__running *t) {
    char path[PATH_MAX], text[4096];
    struct stat st;
    out[0] = '\0';
    (void)snprintf(path, sizeof path, "%s/stderr.log", t->dir);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = -1;
    if (fstat(fd, &st) == 0) {
        int64_t at = st.st_size - (int64_t)sizeof text;
        n = pread(fd, text, sizeof text, at > t->stderr_start ? at : t->stderr_start);
    }
    close(fd);
    while (n > 0 && (unsigned char)text[n - 1] <= ' ') n--;
    if (n <= 0) return;
    const char *start = text + n;
    while (start > text && start[-1] != '\n' && start[-1] != '\r') start--;
    size_t m = (size_t)(text + n - start);
    if (m >= size) m = size - 1;
    while (m > 0 && m < (size_t)(text + n - start) && ((unsigned char)start[m] & 0xC0) == 0x80) m--; // whole characters
    for (size_t i = 0; i < m; i++) out[i] = (unsigned char)start[i] < ' ' ? '?' : start[i];
    out[m] = '\0';
}

static void describe_failure(char *out, size_t size, hpt__run *run, const hpt__running *t) {
    char line[256];
    last_line(line, sizeof line, t);
    const char *colon = *line ? ": " : "";
    if (!t->status_known) {
        (void)snprintf(out, size, "its exit status is unknown: another part of this program took it");
    } else if (WIFSIGNALED(t->status)) {
        const int sig = WTERMSIG(t->status);
        const char *name = sigabbrev_np(sig);
        const char *hint = sig == SIGKILL && !t->killed ? " (the kernel does so when memory runs out)" : "";
        if (name)
            (void)snprintf(out, size, "killed by SIG%s%s%s%s", name, hint, colon, line);
        else
            (void)snprintf(out, size, "killed by signal %d%s%s", sig, colon, line);
    } else if (WEXITSTATUS(t->status) != 0) {
        (void)snprintf(out, size, "exit code %d%s%s", WEXITSTATUS(t->status), colon, line);
    } else {
        hpt__run_explain_values(out, size, run, t);
    }
}

// t: what ran of it, or NULL.
static int tell_bad(hpt__run *run, hpt_trial *trial, const hpt__running *t, hpt_trial_state state, hpt_outcome outcome,
                    const char *reason) {
    hpt__str text = HPT__STR_INIT, use = HPT__STR_INIT;
    char outcome_json[32];
    (void)snprintf(outcome_json, sizeof outcome_json, "\"%s\"", hpt_outcome_to_string(outcome));
    hpt__str_add_json_string(&text, reason, strlen(reason));
    if (t) hpt__run_use_json(&use, run, t);
    if (t && state == HPT_TRIAL_PRUNED) hpt__run_learn(run, t);
    int rc = hpt__str_status(&text);
    if (rc == 0) rc = hpt__str_status(&use);
    if (rc == 0) {
        const hpt__attr_item attrs[] = {{"s:hpt:outcome", outcome_json},
                                        {"s:hpt:reason", hpt__str_text(&text)},
                                        {"s:hpt:use", hpt__str_text(&use)}};
        rc = hpt__study_tell_attrs(run->study, trial, state, NULL, 0, attrs, t ? 3 : 2);
    }
    hpt__str_fini(&use);
    hpt__str_fini(&text);
    return rc;
}

// After a tell: someone else may have told the trial meanwhile, which is no fault of this run.
static int settle(hpt__run *run, int rc, int64_t number, hpt_trial_state state) {
    if (rc == HPT_E_STATE) {
        hpt__run_notice(run, "trial %lld was told by another program while it ran here; its result here is dropped",
                        (long long)number);
        return hpt__run_refresh(run);
    }
    if (rc < 0) return rc;
    if (run->counts[HPT_TRIAL_RUNNING] > 0) run->counts[HPT_TRIAL_RUNNING]--;
    run->counts[state]++;
    run->n_ended_here++;
    return 0;
}

// Queues the point again unless it was tried often enough. Needs the history only where retries are wanted.
static int retry(hpt__run *run, hpt_trial *trial) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *history = NULL;
    char *text = NULL;
    int64_t n = 0;
    const int64_t number = hpt_trial_number(trial);
    if (run->sweep->retries <= 0 || run->phase != HPT__RUN_GOING) return 0;
    if (run->cap > 0 && hpt__run_total(run) >= run->cap) return 0;
    hpt__arena_init(&arena);
    HPT_TRY(hpt__study_trial_attr(&text, run->study, number, "s:retry_history"));
    if (text && hpt__json_parse(&history, &arena, text, strlen(text)) == 0 && history->kind == HPT__JSON_ARRAY)
        n = history->a.n;
    rc = 0;
    if (n >= run->sweep->retries) goto out;
    HPT_TRY(hpt__study_retry(run->study, trial));
    run->counts[HPT_TRIAL_WAITING]++;
    hpt__run_notice(run, "the point of trial %lld is tried again (%lld of %lld)", (long long)number, (long long)n + 1,
                    (long long)run->sweep->retries);
    rc = 0;
out:
    hpt__free(text);
    hpt__arena_fini(&arena);
    return rc;
}

int hpt__run_ended_bad(hpt__run *run, hpt_trial *trial, const hpt__running *t, hpt_trial_state state,
                       hpt_outcome outcome, const char *reason, const char *log, unsigned how) {
    const int64_t number = hpt_trial_number(trial);
    const char *cause = NULL;
    int64_t n_cause = 0;
    int rc = settle(run, tell_bad(run, trial, t, state, outcome, reason), number, state);
    if (rc < 0) return rc;
    if (state == HPT_TRIAL_FAIL) rc = hpt__run_count_cause(&cause, &n_cause, run, reason);
    if (rc < 0) return rc;
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TRIAL_ENDED,
                                       .number = number,
                                       .outcome = outcome,
                                       .value = NAN,
                                       .text = reason,
                                       .log_path = log,
                                       .cause = cause,
                                       .n_cause = n_cause});
    if (state == HPT_TRIAL_FAIL && !(how & HPT__BAD_EXCUSED)) hpt__run_guard_failure(run);
    return how & HPT__BAD_RETRY ? retry(run, trial) : 0;
}

int hpt__run_start_again(hpt__run *run, const hpt__running *t, hpt_outcome outcome, const char *text, const char *log) {
    const int rc = hpt__run_requeue(run, t->number);
    if (rc < 0) return rc;
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TRIAL_ENDED,
                                       .number = t->number,
                                       .outcome = outcome,
                                       .value = NAN,
                                       .text = text,
                                       .log_path = log});
    return 0;
}

// A trial that announced its end and then ended badly: its place was needed, which is not its fault. It keeps its
// number, its folder and its retries. The bound stops a program that announces preemption each time it fails.
static int preempted(hpt__run *run, hpt__running *t, const char *log) {
    char reason[96];
    int64_t n = 0;
    int rc = hpt__run_note_interrupted(&n, run, t, "preempted");
    if (rc < 0) return rc;
    if (n > HPT__PREEMPTED_MAX) {
        (void)snprintf(reason, sizeof reason, "preempted %lld times", (long long)n);
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED, reason, log, 0);
    }
    return hpt__run_start_again(run, t, HPT_OUTCOME_PREEMPTED, "preempted; it is started again", log);
}

static int out_of_memory(hpt__run *run, hpt__running *t, char *reason, size_t size, const char *log) {
    bool is = false, again = false;
    int rc = hpt__run_retry_oom(&is, &again, reason, size, run, t, log);
    if (rc < 0 || is) return rc;
    return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_OOM_GPU, reason, log,
                              again ? HPT__BAD_RETRY : 0);
}

static int tell_done(hpt__run *run, hpt__running *t, const char *log) {
    hpt__str use = HPT__STR_INIT;
    const int64_t n = run->n_metrics;
    double values[HPT__METRICS_MAX] = {0}; // the exit code where there is no metric
    for (int64_t i = 0; i < n; i++) values[i] = hpt__run_values(run, t)[i].value;
    const double value = values[0];
    hpt__run_use_json(&use, run, t);
    hpt__run_learn(run, t);
    int rc = hpt__str_status(&use);
    const hpt__attr_item attrs[] = {{"s:hpt:use", hpt__str_text(&use)},
                                    {"s:hpt:reason", "\"the sweep has no metric: the value is the exit code\""}};
    if (rc == 0)
        rc = hpt__study_tell_attrs(run->study, t->trial, HPT_TRIAL_COMPLETE, values, n > 0 ? n : 1, attrs,
                                   n == 0 ? 2 : 1);
    hpt__str_fini(&use);
    if (rc == HPT_E_MEMORY) return rc;
    rc = settle(run, rc, t->number, HPT_TRIAL_COMPLETE);
    if (rc < 0) return rc;
    const bool best = hpt__run_note_value(run, t->number, value);
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TRIAL_ENDED,
                                       .number = t->number,
                                       .outcome = HPT_OUTCOME_DONE,
                                       .value = n > 0 ? value : NAN,
                                       .is_best = best,
                                       .log_path = log});
    return 0;
}

static int conclude(hpt__run *run, hpt__running *t) {
    char reason[400], log[PATH_MAX];
    hpt__run_cut_logs(run, t);
    log_path(log, sizeof log, t);
    switch (t->cause) {
    case HPT__STOP_RUN: {
        int64_t n = 0;
        int rc = hpt__run_note_interrupted(&n, run, t, "stopped");
        if (rc < 0) return rc;
        hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TRIAL_ENDED,
                                           .number = t->number,
                                           .outcome = HPT_OUTCOME_STOPPED,
                                           .value = NAN,
                                           .text = "stopped; the next run starts it again",
                                           .log_path = log});
        return 0;
    }
    case HPT__STOP_PRUNE:
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_PRUNED, HPT_OUTCOME_PRUNED, "stopped by the pruner", log,
                                  0);
    case HPT__STOP_USER:
        if (hpt__run_any_value(run, t))
            return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_PRUNED, HPT_OUTCOME_PRUNED, "stopped on request", log,
                                      0);
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED,
                                  "stopped on request before its first report", log, HPT__BAD_EXCUSED);
    case HPT__STOP_TIMEOUT:
        (void)snprintf(reason, sizeof reason, "ran longer than %g s", run->sweep->trial_timeout);
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_TIMEOUT, reason, log, HPT__BAD_RETRY);
    case HPT__STOP_SILENT:
        (void)snprintf(reason, sizeof reason, "no %s for %g s", run->n_metrics > 0 ? "report" : "output",
                       run->sweep->silent_timeout);
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_TIMEOUT, reason, log, HPT__BAD_RETRY);
    case HPT__STOP_OOM_GPU:
        hpt__run_explain_memory(reason, sizeof reason, t);
        return out_of_memory(run, t, reason, sizeof reason, log);
    case HPT__STOP_UNENFORCED:
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED,
                                  "used its GPU beside its MPS server, where no limit holds (run.enforce=required)",
                                  log, 0);
    case HPT__STOP_COLLATERAL: {
        bool is = false;
        int rc = hpt__run_collateral(&is, run, t, log);
        if (rc < 0 || is) return rc;
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED,
                                  "its work on its GPU failed and it did not end", log, HPT__BAD_RETRY);
    }
    case HPT__STOP_NONE:
        break;
    }
    const bool good = t->status_known && WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0;
    if (good && hpt__run_all_values(run, t)) return tell_done(run, t, log);
    if (!good && t->steps.preempting) return preempted(run, t, log);
    bool collateral = false;
    int rc = hpt__run_collateral(&collateral, run, t, log);
    if (rc < 0 || collateral) return rc;
    describe_failure(reason, sizeof reason, run, t);
    const hpt_outcome kind = hpt__run_failure_kind(t);
    if (kind == HPT_OUTCOME_OOM_GPU) return out_of_memory(run, t, reason, sizeof reason, log);
    return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, kind, reason, log, HPT__BAD_RETRY);
}

int hpt__run_conclude(hpt__run *run, hpt__running *t) {
    if (t->cause != HPT__STOP_RUN) hpt__run_note_duration(run, hpt__now_mono() - t->started);
    int rc = conclude(run, t);
    hpt__run_clear_slot(run, t);
    return rc;
}
