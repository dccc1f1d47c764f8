// SPDX-License-Identifier: Apache-2.0
// threads_main.c: what promises to work from many threads, under many threads. A plain program, not Criterion, which
// does not start under ThreadSanitizer; the tsan preset runs this.
#include "core/base/logging.h"
#include "core/base/pool.h"
#include "sched/slow_sampler.h"
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void check(int ok, const char *fact) {
    printf("%s: %s\n", ok ? "ok" : "FAILED", fact);
    failures += !ok;
}

// ---- pool
static int square(int64_t i, void *payload) {
    ((int64_t *)payload)[i] = i * i;
    return 0;
}

static void pool_computes_every_index(void) {
    enum { N = 10000 };
    static int64_t out[N];
    hpt__pool *pool;
    int ok = hpt__pool_create(&pool, 4) == 0;
    for (int round = 0; ok && round < 20; round++) {
        memset(out, 0, sizeof out);
        ok = hpt__pool_run(pool, N, square, out) == 0;
        for (int64_t i = 0; i < N; i++) ok = ok && out[i] == i * i;
    }
    hpt__pool_destroy(pool);
    check(ok, "a pool of 4 threads computes every index once");
}

// ---- optimize
static int objective(double *values, hpt_trial *trial, void *payload) {
    (void)payload;
    double x;
    if (hpt_trial_get_float(&x, trial, "x") < 0) return -1;
    for (int64_t step = 0; step < 3; step++)
        if (hpt_trial_report(trial, step, x * x + 1.0 / (double)(step + 1)) < 0) return -1;
    bool prune;
    if (hpt_trial_should_prune(&prune, trial) < 0) return -1;
    if (hpt_trial_set_attr(trial, "seen", "true") < 0) return -1;
    if (prune) return HPT_S_PRUNE;
    values[0] = x * x;
    return 0;
}

typedef struct tally {
    int64_t calls, inside;
    int overlapping;
} tally;

static int count_calls(hpt_study *study, hpt_trial *trial, void *payload) {
    tally *t = payload; // no lock: the library promises one call at a time
    (void)study;
    (void)trial;
    if (t->inside++) t->overlapping = 1;
    t->calls++;
    t->inside--;
    return 0;
}

static void optimize_with_threads(const char *storage, const char *sampler) {
    enum { N = 200 };
    char fact[200];
    hpt_space *space;
    hpt_study *study = NULL;
    int ok = hpt_space_create(&space) == 0 && hpt_space_add_float(space, "x", -3, 3, 0, 0) == 0;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.storage = storage;
    o.sampler = sampler;
    o.pruner = "median";
    o.seed = 5;
    o.has_seed = true;
    ok = ok && hpt_study_open(&study, &o) == 0;
    tally t = {0};
    hpt_optimize_options run = HPT_OPTIMIZE_OPTIONS_INIT;
    run.n_trials = N;
    run.n_threads = 4;
    run.callback = count_calls;
    run.callback_payload = &t;
    ok = ok && hpt_study_optimize(study, objective, NULL, &run) == 0;
    int64_t counts[5] = {0};
    ok = ok && hpt_study_counts(counts, study) == 0;
    snprintf(fact, sizeof fact, "4 threads finish %d trials of sampler %s on %s, each once", N, sampler, storage);
    check(ok && counts[HPT_TRIAL_COMPLETE] + counts[HPT_TRIAL_PRUNED] == N && t.calls == N && !t.overlapping, fact);
    if (!ok) printf("  %s\n", hpt_last_error());
    hpt_study_close(study);
    hpt_space_destroy(space);
}

static void log_line(hpt_log_level level, const char *message, void *payload) {
    (void)level;
    (void)message;
    ++*(int64_t *)payload; // no lock: never two calls at once
}

static int log_many(int64_t i, void *payload) {
    (void)payload;
    hpt__log(HPT_LOG_WARN, "line %lld", (long long)i);
    return 0;
}

static void log_calls_do_not_overlap(void) {
    int64_t lines = 0;
    hpt__pool *pool;
    int ok = hpt__pool_create(&pool, 4) == 0;
    hpt_log_set(log_line, &lines, HPT_LOG_WARN);
    ok = ok && hpt__pool_run(pool, 1000, log_many, NULL) == 0;
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
    hpt__pool_destroy(pool);
    check(ok && lines == 1000, "1,000 messages from 4 threads reach the callback one at a time");
}

// ---- a run that asks beside its trials
static int64_t most_waiting;

static void note_waiting(const hpt_run_event *event, void *payload) {
    int64_t *n_reports = payload;
    *n_reports += event->kind == HPT_RUN_TRIAL_REPORT;
    if (event->n_waiting > most_waiting) most_waiting = event->n_waiting;
}

static void a_run_with_a_slow_sampler(const char *dir) {
    enum { N = 60 };
    char path[100], run_dir[100], command[300];
    hpt_sweep *sweep = NULL;
    hpt_run_summary summary = {0};
    int64_t n_reports = 0;
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/sweep.yaml", dir);
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    FILE *f = fopen(path, "w");
    check(f != NULL, "a sweep file is made");
    if (!f) return;
    fprintf(f,
            "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: %d\n"
            "command: [sh, -c, 'echo loss=2; echo loss=1']\nparameters:\n  x: {min: 0.0, max: 1.0}\n"
            "hpt: {pruner: median}\n",
            N);
    fclose(f);
    slow_sampler = true;
    slow_sampler_seconds = 0.02;
    o.slots = 4;
    o.run_dir = run_dir;
    o.on_event = note_waiting;
    o.payload = &n_reports;
    int ok = hpt_sweep_load(&sweep, path) == 0 && hpt_run_sweep(&summary, sweep, &o) == 0;
    if (!ok) printf("  %s\n", hpt_last_error());
    check(ok && summary.n_done + summary.n_pruned == N && n_reports >= N && most_waiting > 0,
          "a run whose sampler is slow asks ahead beside 4 trials that report");
    slow_sampler = false;
    hpt_sweep_destroy(sweep);
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", run_dir, path);
    check(system(command) == 0, "its folder is removed");
}

int main(void) {
    char dir[] = "/tmp/hpt-threads.XXXXXX", url[100], path[100];
    pool_computes_every_index();
    log_calls_do_not_overlap();
    optimize_with_threads(":memory:", "random");
    optimize_with_threads(":memory:", "tpe");
    optimize_with_threads(":memory:", "gp");
    if (!mkdtemp(dir)) return 2;
    snprintf(url, sizeof url, "sqlite:///%s/study.db", dir);
    optimize_with_threads(url, "random");
    a_run_with_a_slow_sampler(dir);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/study.db%s", dir, ends[i]);
        unlink(path);
    }
    rmdir(dir);
    printf("%d failures\n", failures);
    return failures != 0;
}
