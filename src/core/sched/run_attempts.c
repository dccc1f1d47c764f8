// SPDX-License-Identifier: Apache-2.0
// run_attempts.c: trials that an earlier run of the same folder left RUNNING, lost with it or stopped with it.
//
// Such a trial is started again under its number, so that a sweep of N trials has N trials however often it was
// interrupted. Its attempts are listed in the trial's attribute s:hpt:attempts, which the normal path never writes:
//   attempt 0 ends normally      no attribute
//   asked, never started         no attribute and no process's files in a folder: it is attempt 0 that is started
//   attempt 0 lost, 1 runs       [{"outcome":"lost"},{"outcome":"running",...}]
//   attempt 1 stopped            [{"outcome":"lost"},{"outcome":"stopped",...}]
//   attempt 0 was preempted      [{"outcome":"preempted",...}]; started again by this run
//   its GPU's MPS server failed  [{"outcome":"collateral",...}]; likewise
//   too little GPU memory        [{"outcome":"oom-gpu","gpu_memory":1,"gpu_peak":1,...}]; likewise, with more
// The dots: started, host, and once it is over seconds, and gpus and gpu (as in hpt:use) where it held a share of one.
// A last entry "running", or no entry at all, found at the start of a run means that this attempt was lost.
//
// Which RUNNING trials are ours: those with a folder here. In a database of the run's own also those that our
// samplers or our queue made and whose start did not come as far as the folder. A trial that another program holds,
// say an Optuna worker on the same database, is left alone.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_ours(bool *out, hpt__run *run, int64_t number) {
    static const char *const keys[] = {"s:hpt:by", "s:fixed_params", "s:retry_history"};
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/trials/%06lld", run->dir.real, (long long)number);
    *out = stat(path, &st) == 0;
    for (size_t i = 0; run->own_storage && !*out && i < sizeof keys / sizeof *keys; i++) {
        char *text = NULL;
        int rc = hpt__study_trial_attr(&text, run->study, number, keys[i]);
        if (rc < 0) return rc;
        *out = text != NULL;
        hpt__free(text);
    }
    return 0;
}

int hpt__run_find_lost(hpt__run *run) {
    int rc = 0;
    int64_t *numbers = NULL, n = 0;
    HPT_TRY(hpt__study_numbers(&numbers, &n, run->study, HPT_TRIAL_RUNNING));
    for (int64_t i = 0; i < n; i++) {
        bool ours = false;
        HPT_TRY(is_ours(&ours, run, numbers[i]));
        if (ours) numbers[run->n_restart++] = numbers[i];
    }
    run->restart = numbers;
    run->cap_restart = n;
    numbers = NULL;
    rc = 0;
out:
    hpt__free(numbers);
    return rc;
}

static int read_attempts(hpt__json **out, hpt__arena *arena, hpt__run *run, int64_t number) {
    char *text = NULL;
    int rc = hpt__study_trial_attr(&text, run->study, number, "s:hpt:attempts");
    if (rc < 0) return rc;
    if (!text || hpt__json_parse(out, arena, text, strlen(text)) < 0 || (*out)->kind != HPT__JSON_ARRAY)
        *out = hpt__json_new(arena, HPT__JSON_ARRAY);
    hpt__free(text);
    return *out ? 0 : hpt__fail_memory();
}

static int write_attempts(hpt__run *run, hpt_trial *trial, const hpt__json *attempts) {
    hpt__str text = HPT__STR_INIT;
    hpt__json_dumps(&text, attempts);
    int rc = hpt__str_status(&text);
    if (rc == 0) {
        const hpt__attr_item attr = {"s:hpt:attempts", hpt__str_text(&text)};
        rc = hpt__study_trial_attrs(run->study, trial, &attr, 1);
    }
    hpt__str_fini(&text);
    return rc;
}

static int set_text(hpt__arena *arena, hpt__json *object, const char *key, const char *text) {
    hpt__json *v = hpt__json_new_string(arena, text, strlen(text));
    return v ? hpt__json_set(arena, object, key, v) : hpt__fail_memory();
}

static int set_bytes(hpt__arena *arena, hpt__json *object, const char *key, int64_t bytes) {
    if (bytes <= 0) return 0;
    hpt__json *v = hpt__json_new_int(arena, bytes);
    return v ? hpt__json_set(arena, object, key, v) : hpt__fail_memory();
}

static int append_attempt(hpt__json **out, hpt__arena *arena, hpt__json *attempts, const char *outcome) {
    hpt__json *entry = hpt__json_new(arena, HPT__JSON_OBJECT);
    if (!entry) return hpt__fail_memory();
    int rc = set_text(arena, entry, "outcome", outcome);
    if (rc == 0) rc = hpt__json_append(arena, attempts, entry);
    *out = entry;
    return rc;
}

static bool is_outcome(const hpt__json *entry, const char *outcome) {
    const char *text = hpt__json_string(hpt__json_get(entry, "outcome"));
    return text && strcmp(text, outcome) == 0;
}

// The files of a trial are made before its process.
static bool was_started(const hpt__run *run, int64_t number) {
    char path[PATH_MAX + 64];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/trials/%06lld/stderr.log", run->dir.real, (long long)number);
    return stat(path, &st) == 0;
}

// What an attempt that lacked memory had and used, in whole bytes.
static int64_t bytes_of(const hpt__json *entry, const char *key) {
    int64_t v = 0;
    const hpt__json *node = hpt__json_get(entry, key);
    return node && hpt__json_integer(&v, node) && v > 0 ? v : 0;
}

static void read_history(hpt__history *out, const hpt__run *run, const hpt__json *attempts) {
    *out = (hpt__history){.attempt = attempts->a.n};
    for (int64_t i = 0; i < attempts->a.n; i++) {
        const hpt__json *entry = attempts->a.items[i];
        out->n_faults += is_outcome(entry, "collateral");
        if (!is_outcome(entry, "oom-gpu")) continue;
        const int64_t more = hpt__run_more_memory(run, bytes_of(entry, "gpu_memory"), bytes_of(entry, "gpu_peak"));
        if (more > out->gpu_memory) out->gpu_memory = more;
    }
}

int hpt__run_next_attempt(hpt__history *out, hpt__run *run, hpt_trial *trial) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *attempts = NULL, *entry = NULL;
    char host[256] = "", started[HPT__DATETIME_MAX];
    int64_t n_lost = 0;
    *out = (hpt__history){0};
    hpt__arena_init(&arena);
    HPT_TRY(read_attempts(&attempts, &arena, run, hpt_trial_number(trial)));
    if (attempts->a.n == 0 && !was_started(run, hpt_trial_number(trial))) {
        goto out;
    }
    if (attempts->a.n == 0)
        HPT_TRY(append_attempt(&entry, &arena, attempts, "lost"));
    else if (is_outcome(attempts->a.items[attempts->a.n - 1], "running"))
        HPT_TRY(set_text(&arena, attempts->a.items[attempts->a.n - 1], "outcome", "lost"));
    for (int64_t i = 0; i < attempts->a.n; i++) n_lost += is_outcome(attempts->a.items[i], "lost");
    read_history(out, run, attempts);
    if (n_lost > HPT__LOST_MAX) {
        char reason[96];
        (void)snprintf(reason, sizeof reason, "lost %lld times with the run that had started it", (long long)n_lost);
        HPT_TRY(write_attempts(run, trial, attempts));
        HPT_TRY(hpt__run_ended_bad(run, trial, NULL, HPT_TRIAL_FAIL, HPT_OUTCOME_LOST, reason, NULL, 0));
        rc = HPT_S_NOTHING;
        goto out;
    }
    HPT_TRY(append_attempt(&entry, &arena, attempts, "running"));
    (void)gethostname(host, sizeof host - 1);
    (void)hpt__datetime_format(started, hpt__now_utc_us());
    HPT_TRY(set_text(&arena, entry, "started", started));
    HPT_TRY(set_text(&arena, entry, "host", host));
    HPT_TRY(write_attempts(run, trial, attempts));
    rc = 0;
out:
    hpt__arena_fini(&arena);
    return rc;
}

int hpt__run_requeue(hpt__run *run, int64_t number) {
    if (run->next_restart > 0) { // those before it were started
        run->n_restart -= run->next_restart;
        memmove(run->restart, run->restart + run->next_restart, (size_t)run->n_restart * sizeof *run->restart);
        run->next_restart = 0;
    }
    int rc = hpt__grow(&run->restart, &run->cap_restart, run->n_restart + 1, sizeof *run->restart);
    if (rc == 0) run->restart[run->n_restart++] = number;
    return rc;
}

// What of the GPUs the attempt held: a trial's hpt:use is that of its last attempt.
static int note_gpus(hpt__json *entry, hpt__arena *arena, const hpt__run *run, const hpt__running *t) {
    int rc = 0;
    hpt__str names = HPT__STR_INIT;
    hpt__run_gpu_names(&names, run, t);
    HPT_TRY(hpt__str_status(&names));
    HPT_TRY(set_text(arena, entry, "gpus", hpt__str_text(&names)));
    hpt__json *share = hpt__json_new_float(arena, hpt__run_gpus(t));
    rc = share ? hpt__json_set(arena, entry, "gpu", share) : hpt__fail_memory();
out:
    hpt__str_fini(&names);
    return rc;
}

int hpt__run_note_interrupted(int64_t *n, hpt__run *run, hpt__running *t, const char *outcome) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *attempts = NULL, *entry = NULL, *seconds;
    hpt__arena_init(&arena);
    HPT_TRY(read_attempts(&attempts, &arena, run, t->number));
    if (attempts->a.n > 0 && is_outcome(attempts->a.items[attempts->a.n - 1], "running")) {
        entry = attempts->a.items[attempts->a.n - 1];
        HPT_TRY(set_text(&arena, entry, "outcome", outcome));
    } else {
        HPT_TRY(append_attempt(&entry, &arena, attempts, outcome));
    }
    *n = 0;
    for (int64_t i = 0; i < attempts->a.n; i++) *n += is_outcome(attempts->a.items[i], outcome);
    seconds = hpt__json_new_float(&arena, hpt__now_mono() - t->started);
    if (!seconds) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(hpt__json_set(&arena, entry, "seconds", seconds));
    if (t->grant.demand.n_gpus > 0) HPT_TRY(set_bytes(&arena, entry, "gpu_memory", t->grant.gpu_memory[0]));
    HPT_TRY(set_bytes(&arena, entry, "gpu_peak", t->gpu_used));
    if (t->grant.demand.n_gpus > 0) HPT_TRY(note_gpus(entry, &arena, run, t));
    HPT_TRY(write_attempts(run, t->trial, attempts));
out:
    hpt__arena_fini(&arena);
    return rc;
}
