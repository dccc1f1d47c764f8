// SPDX-License-Identifier: Apache-2.0
// test_run_ask.c: a sampler that takes its time holds up neither the trials that run, nor the end of a run, and what
// was asked ahead is not lost when the run is killed.
#include "run_support.h"
#include "slow_sampler.h"

#include "core/base/error.h"
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(void) {
    run_enter();
    slow_sampler = true;
    slow_sampler_seconds = 0;
    slow_gate = -1;
    slow_inside = false;
    slow_calls = 0;
    sem_init(&slow_go_on, 0, 0);
}

TestSuite(run_ask, .init = enter, .fini = run_leave);

// ---- while an ask is under way

static int64_t reports_inside;
static pthread_t stopper;
static bool stopping;
static int stop_rc;

static void *stop_trial_1(void *payload) {
    (void)payload;
    stop_rc = hpt_run_stop("hpt_runs/t", 1);
    return NULL;
}

// Trial 2's suggestion has stopped: three reports of trial 1 must arrive, then a stop must end it; only then the
// sampler goes on. If any of them waited for the ask, the alarm would end the test.
static void on_event(const hpt_run_event *e) {
    if (!slow_inside) return;
    if (e->kind == HPT_RUN_TRIAL_REPORT && e->number == 1 && ++reports_inside == 3 && !stopping) {
        stopping = true;
        pthread_create(&stopper, NULL, stop_trial_1, NULL);
    }
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 1) {
        slow_inside = false;
        sem_post(&slow_go_on);
    }
}

Test(run_ask, reports_are_stored_and_stops_delivered_while_an_ask_is_under_way)
{
    run_sweep_file("case $HPT_TRIAL in 1) i=0; while [ ! -e $HPT_STOP_FILE ]; do i=$((i+1)); echo loss=$i; "
                   "sleep 0.02; done;; esac; echo loss=$HPT_TRIAL",
                   3, NULL);
    slow_gate = 2;
    record.hook = on_event;
    hpt_run_summary s = run_ok(NULL);
    cr_assert(stopping);
    pthread_join(stopper, NULL);
    cr_assert_eq(stop_rc, 0, "%d", stop_rc);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_PRUNED);
    cr_assert_eq(record.outcome[2], HPT_OUTCOME_DONE);
    cr_assert_eq(s.n_done, 2);
    hpt_study *study = run_study("t");
    hpt_trial *t = NULL;
    double value;
    int64_t step;
    cr_assert_eq(hpt_study_trial(&t, study, 1), 0);
    cr_assert_eq(hpt_trial_last_report(&step, &value, t), 0);
    cr_assert_geq(step, 2);
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

static void stop_then_go_on(const hpt_run_event *e) {
    if (!slow_inside || e->kind != HPT_RUN_TICK) return;
    if (!stopping) {
        stopping = true;
        kill(getpid(), SIGTERM);
    } else if (e->n_running == 0) { // the trials have ended although the ask has not
        slow_inside = false;
        sem_post(&slow_go_on);
    }
}

Test(run_ask, a_stop_ends_the_trials_before_the_ask_is_over_and_its_suggestion_is_not_stored)
{
    run_sweep_file("case $HPT_TRIAL in 1) exec sleep 60;; esac; echo loss=1", 3, NULL);
    slow_gate = 2;
    record.hook = stop_then_go_on;
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_STOPPED);
    cr_assert(stopping);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 1);
    cr_assert_eq(counts[HPT_TRIAL_RUNNING], 1, "the stopped one");
    cr_assert_eq(counts[HPT_TRIAL_WAITING], 0);
}

// ---- which points

static double parameter(hpt_study *study, int64_t number) {
    hpt_trial *t = NULL;
    double x;
    cr_assert_eq(hpt_study_trial(&t, study, number), 0);
    cr_assert_eq(hpt_trial_get_float(&x, t, "x"), 0);
    hpt_trial_destroy(t);
    return x;
}

Test(run_ask, one_slot_gives_the_suggestions_of_a_loop_that_asks_and_tells)
{
    enum { N = 14 };
    slow_sampler = false;
    run_sweep_file("awk \"BEGIN { x = $HPT_PARAM_X; printf \\\"loss=%.17g\\n\\\", (x - 0.3) * (x - 0.3) }\"", N,
                   "hpt: {sampler: tpe, seed: 3, options: {tpe.n_startup: 4}}\n");
    const hpt_run_options one = {.struct_size = sizeof one, .slots = 1};
    run_ok(&one);
    hpt_study *run = run_study("t"), *loop = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    hpt_space *space = NULL;
    cr_assert_eq(hpt_space_create(&space), 0);
    cr_assert_eq(hpt_space_add_float(space, "x", 0, 1, 0, 0), 0);
    o.space = space;
    o.sampler = "tpe";
    o.seed = 3;
    o.has_seed = true;
    static const char *const options[] = {"tpe.n_startup=4"};
    o.options = options;
    o.n_options = 1;
    cr_assert_eq(hpt_study_open(&loop, &o), 0, "%s", hpt_last_error());
    for (int64_t i = 0; i < N; i++) {
        hpt_trial *t = NULL, *told = NULL;
        double x;
        const double *values;
        int64_t n;
        cr_assert_eq(hpt_study_ask(&t, loop), 0);
        cr_assert_eq(hpt_trial_get_float(&x, t, "x"), 0);
        cr_assert_eq(x, parameter(run, i), "trial %d", (int)i);
        cr_assert_eq(hpt_study_trial(&told, run, i), 0);
        cr_assert_eq(hpt_trial_values(&values, &n, told), 0);
        cr_assert_eq(hpt_study_tell(loop, t, HPT_TRIAL_COMPLETE, values, 1), 0);
        hpt_trial_destroy(told);
        hpt_trial_destroy(t);
    }
    hpt_study_close(loop);
    hpt_study_close(run);
    hpt_space_destroy(space);
}

Test(run_ask, with_one_slot_nothing_is_asked_ahead_however_long_an_ask_takes)
{
    run_sweep_file("echo loss=1", 6, NULL);
    slow_sampler_seconds = 0.05;
    const hpt_run_options one = {.struct_size = sizeof one, .slots = 1};
    run_ok(&one);
    hpt_study *study = run_study("t");
    for (int64_t i = 1; i < 6; i++) { // each was asked after the one before had ended
        double start, end, before_end;
        hpt_trial *t = NULL, *before = NULL;
        cr_assert_eq(hpt_study_trial(&t, study, i), 0);
        cr_assert_eq(hpt_study_trial(&before, study, i - 1), 0);
        cr_assert_eq(hpt_trial_times(&start, &end, t), 0);
        cr_assert_eq(hpt_trial_times(&end, &before_end, before), 0);
        cr_assert_geq(start, before_end);
        hpt_trial_destroy(t);
        hpt_trial_destroy(before);
    }
    cr_assert_eq(slow_calls, 6);
    hpt_study_close(study);
}

// ---- asked ahead

static int64_t most_waiting;

static void note_waiting(const hpt_run_event *e) {
    if (e->n_waiting > most_waiting) most_waiting = e->n_waiting;
}

Test(run_ask, where_asks_are_slower_than_trials_end_a_few_suggestions_wait)
{
    run_sweep_file("echo loss=1", 40, NULL);
    slow_sampler_seconds = 0.02;
    const hpt_run_options four = {.struct_size = sizeof four, .slots = 4};
    record.hook = note_waiting;
    hpt_run_summary s = run_ok(&four);
    cr_assert_eq(s.n_done, 40);
    cr_assert(most_waiting > 0 && most_waiting <= 4, "%d", (int)most_waiting);
    cr_assert_eq(slow_calls, 40, "no suggestion was made in vain");
    for (int i = 0; i < 40; i++) cr_assert_eq(record.starts[i], 1);
}

Test(run_ask, what_was_asked_ahead_is_started_by_the_next_run_without_an_attempt_charged)
{
    enum { N = 60 };
    int64_t counts[5] = {0};
    run_sweep_file("echo loss=1", N, NULL);
    slow_sampler_seconds = 0.02;
    const hpt_run_options four = {.struct_size = sizeof four, .slots = 4};
    for (int i = 0; i < 5; i++) {
        pid_t pid = run_fork(&four);
        for (int k = 0; k < 400; k++) {
            run_nap(0.005);
            if (access("hpt_runs/t/trials/000003", F_OK) != 0) continue;
            run_counts(counts, "t");
            if (counts[HPT_TRIAL_WAITING] > 0) break;
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    run_counts(counts, "t");
    const int64_t before = counts[HPT_TRIAL_COMPLETE];
    hpt_run_summary s = run_ok(&four);
    cr_assert_eq(s.n_done, N);
    cr_assert_eq(record.n_ended, N - before, "every trial ended once");
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], N);
    for (int64_t i = 0; i < N; i++) { // an attempt is charged only where a process had been started
        const char *attempts = run_attr("t", i, "s:hpt:attempts");
        if (!*attempts) continue;
        cr_assert(strstr(attempts, "lost"), "trial %d: %s", (int)i, attempts);
    }
}

Test(run_ask, a_trial_that_was_asked_for_and_never_started_is_attempt_0_of_the_next_run)
{
    run_sweep_file("echo attempt=$HPT_ATTEMPT; echo loss=1", 1, NULL);
    run_ok(NULL);
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = "sqlite:///hpt_runs/t/study.db";
    hpt_trial *t = NULL;
    cr_assert_eq(hpt_study_open(&study, &o), 0);
    cr_assert_eq(hpt_study_ask(&t, study), 0); // as a run does that is killed right then
    hpt_trial_destroy(t);
    hpt_study_close(study);
    const hpt_run_options two = {.struct_size = sizeof two, .slots = 2, .n_trials = 2};
    hpt_run_summary s = run_ok(&two);
    cr_assert_eq(s.n_done, 2);
    cr_assert(strstr(run_read("hpt_runs/t/trials/000001/stdout.log"), "attempt=0"));
    cr_assert_str_eq(run_attr("t", 1, "s:hpt:attempts"), "");
}

// ---- between an ask and the start

static atomic_int counts_until_fault; // calls of hpt_study_counts: the one that makes it 0 fails

int __real_hpt_study_counts(int64_t counts[5], hpt_study *study);
int __wrap_hpt_study_counts(int64_t counts[5], hpt_study *study);

int __wrap_hpt_study_counts(int64_t counts[5], hpt_study *study) {
    if (atomic_fetch_sub(&counts_until_fault, 1) == 1) return hpt__fail(HPT_E_STORAGE, "a storage that fails once");
    return __real_hpt_study_counts(counts, study);
}

Test(run_ask, a_storage_that_fails_between_an_ask_and_the_start_leaves_no_trial_running_that_never_ran)
{
    int n_waiting = 0;
    run_sweep_file("echo loss=1", 3, NULL);
    for (int slow = 0; slow < 2; slow++) {
        slow_sampler = slow;
        bool done = false;
        for (int k = 1; !done; k++) {
            char dir[32];
            int64_t counts[5];
            hpt_run_summary s;
            (void)snprintf(dir, sizeof dir, "hpt_runs/%d-%d", slow, k);
            const hpt_run_options o = {.struct_size = sizeof o, .slots = 2, .run_dir = dir};
            counts_until_fault = k;
            const int rc = run_it(&s, &o);
            done = counts_until_fault > 0;
            counts_until_fault = 0;
            cr_assert(rc == 0 || rc == HPT_E_STORAGE, "%s: %d %s", dir, rc, hpt_last_error());
            if (access(dir, F_OK) == 0) {
                run_counts(counts, strrchr(dir, '/') + 1);
                cr_assert_eq(counts[HPT_TRIAL_RUNNING], record.n_started - record.n_ended, "%s: %d running of %d", dir,
                             (int)counts[HPT_TRIAL_RUNNING], (int)record.n_started);
                n_waiting += counts[HPT_TRIAL_WAITING] > 0;
            }
            s = run_ok(&o);
            cr_assert(s.n_done == 3 && s.n_failed == 0, "%s: %d done, %d failed", dir, (int)s.n_done, (int)s.n_failed);
        }
    }
    cr_assert_geq(n_waiting, 2, "%d", n_waiting);
}
