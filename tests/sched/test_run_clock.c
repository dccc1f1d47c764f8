// SPDX-License-Identifier: Apache-2.0
// test_run_clock.c: the date jumps while a sweep runs; nothing ends early or late, and what is stored stays sane.
//
// This program's own clock_gettime takes the place of the C library's, for the library under test too (it is linked in
// here), and shifts the date; the monotonic clock is left alone, as the kernel leaves it, unless a test of another file
// lets time pass (run_time_passes).
#include "run_support.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_llong shift; // seconds added to the date
static atomic_llong passed;

void run_time_passes(int64_t seconds) {
    atomic_fetch_add(&passed, seconds);
}

int clock_gettime(clockid_t id, struct timespec *t) {
    const long rc = syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && id == CLOCK_REALTIME) t->tv_sec += (time_t)atomic_load(&shift);
    if (rc == 0 && id == CLOCK_MONOTONIC) t->tv_sec += (time_t)atomic_load(&passed);
    return (int)rc;
}

static void leave(void) {
    atomic_store(&shift, 0);
    run_leave();
}

TestSuite(run_clock, .init = run_enter, .fini = leave);

enum { DAY = 86400 };

static void jump(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_REPORT) atomic_store(&shift, e->number % 2 ? -(long long)DAY : DAY);
    if (e->kind == HPT_RUN_TRIAL_ENDED) atomic_store(&shift, e->number % 3 ? 0 : -2 * (long long)DAY);
}

static int64_t n_rows, n_negative;
static int look(const char *text, size_t size, void *payload) { // CSV; the duration is a column of its own
    (void)payload;
    for (const char *p = text; p < text + size; p++) n_rows += *p == '\n';
    for (const char *p = text; (p = memmem(p, (size_t)(text + size - p), "-1 day", 6)) != NULL; p++) n_negative++;
    for (const char *p = text; (p = memmem(p, (size_t)(text + size - p), "-2 day", 6)) != NULL; p++) n_negative++;
    return 0;
}

Test(run_clock, jumps_of_the_date_by_days_end_nothing_and_no_duration_is_negative)
{
    run_sweep_file("for i in 1 2 3; do echo step=$i loss=$i; sleep 0.03; done", 12,
                   "hpt: {timeout: {trial: 20, sweep: 60}, grace: 5, pruner: median}\n");
    record.hook = jump;
    hpt_run_summary s = run_ok(NULL);
    record.hook = NULL;
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_done, 12, "%d failed, %d pruned", (int)s.n_failed, (int)s.n_pruned);
    hpt_study *study = run_study("t");
    cr_assert_eq(hpt_study_export(study, "csv", 0, look, NULL), 0);
    hpt_study_close(study);
    cr_assert_eq(n_rows, 13);
    cr_assert_eq(n_negative, 0, "%d durations are negative", (int)n_negative);
}

// Both directions, over the whole of a stop: the grace time is as long as ever.
static void back(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_REPORT) atomic_store(&shift, -(long long)DAY);
}
static void ahead(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_REPORT) atomic_store(&shift, DAY);
}

Test(run_clock, limits_and_grace_run_on_their_own_clock)
{
    void (*hooks[])(const hpt_run_event *) = {back, ahead};
    for (int i = 0; i < 2; i++) {
        char name[8];
        struct timespec a, b;
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(name, sizeof name, "c%d", i);
        atomic_store(&shift, 0);
        run_sweep_file("trap '' TERM; echo step=0 loss=1; while :; do sleep 0.05; done", 1,
                       "hpt: {timeout: {trial: 0.4}, grace: 0.4}\n");
        o.study = name;
        record.hook = hooks[i];
        clock_gettime(CLOCK_MONOTONIC, &a);
        hpt_run_summary s = run_ok(&o);
        clock_gettime(CLOCK_MONOTONIC, &b);
        record.hook = NULL;
        const double took = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        cr_assert_eq(s.n_failed, 1);
        cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
        cr_assert(took >= 0.8 && took < 30, "limit and grace together took %g s", took);
    }
}
