// SPDX-License-Identifier: Apache-2.0
// test_run_metrics.c: sweeps with several metrics: which values a trial has, and what is left out for them.
#include "run_support.h"

#include "core/sweep/sweep_impl.h"
#include <criterion/criterion.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *names[] = {"acc", "latency"};
static const hpt_direction directions[] = {HPT_MAXIMIZE, HPT_MINIMIZE};

static void two_metrics(hpt_sweep *sweep) {
    sweep->metric = names[0];
    sweep->direction = directions[0];
    sweep->metrics = names;
    sweep->directions = directions;
    sweep->n_metrics = 2;
}

static void enter(void) {
    run_enter();
    run_patch = two_metrics;
}

static void leave(void) {
    run_patch = NULL;
    run_leave();
}

TestSuite(run_metrics, .init = enter, .fini = leave);

static void values_are(int64_t number, double acc, double latency) {
    hpt_study *study = run_study("t");
    hpt_trial *t;
    const double *v;
    int64_t n;
    cr_assert_eq(hpt_study_trial(&t, study, number), 0);
    cr_assert_eq(hpt_trial_values(&v, &n, t), 0);
    cr_assert(n == 2 && v[0] == acc && v[1] == latency, "trial %d: %d values: %g %g", (int)number, (int)n,
              n > 0 ? v[0] : NAN, n > 1 ? v[1] : NAN);
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(run_metrics, the_last_report_of_each_is_a_value)
{
    static const struct {
        const char *script, *extra;
    } cases[] = {
        {"echo acc=0.1 latency=99; echo acc=0.9 latency=12", NULL},
        {"echo acc=0.1; echo latency=12; echo acc=0.9", NULL},
        {"echo '{\"acc\": 0.9, \"latency\": 12}'", NULL},
        {"echo '{\"step\": 1, \"latency\": 12}'; echo '{\"acc\": 0.9}'", NULL},
        {"echo step=1 acc=0.9 >&3; echo latency: 12", NULL},
        {"echo value=0.9 latency=12 >&3", NULL}, // `value` is the first
        {"echo accuracy is 0.9; echo acc=7 latency=12", "hpt:\n  metrics: {acc: 'accuracy is ([0-9.]+)'}\n"},
        {"echo 'A 0.9 L 12'", "hpt:\n  metrics: {acc: 'A ([0-9.]+)', latency: 'L ([0-9.]+)'}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_patch = NULL; // the patterns' names are checked against the metrics by the reader
        run_sweep_file(cases[i].script, 1, cases[i].extra);
        run_patch = two_metrics;
        hpt_run_summary s = run_ok(NULL);
        cr_assert_eq(s.n_done, 1, "%s: %s", cases[i].script, record.reason[0]);
        values_are(0, 0.9, 12);
        cr_assert(isnan(s.best) && s.best_number == -1 && record.best_events == 0, "several metrics have no best");
        cr_assert_eq(record.value[0], 0.9, "events tell the first metric");
        cr_assert_eq(system("rm -rf hpt_runs"), 0);
    }
}

Test(run_metrics, a_missing_one_fails_the_trial_and_is_named)
{
    run_sweep_file("[ $HPT_TRIAL = 0 ] && echo acc=1; [ $HPT_TRIAL = 1 ] && echo acc=1 latency=nan; exit 0", 3, NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 3);
    cr_assert_str_eq(record.reason[0], "exited 0 but printed no `latency=...`");
    cr_assert_str_eq(record.reason[1], "metric 'latency' is NaN");
    cr_assert_str_eq(record.reason[2], "exited 0 but printed no `acc=...` and no `latency=...`");
}

Test(run_metrics, no_report_on_the_way_is_stored_and_none_is_pruned)
{
    run_sweep_file("for i in 1 2 3 4; do echo step=$i acc=$HPT_TRIAL latency=$i; done", 8,
                   "hpt: {pruner: {type: median, startup_trials: 1, warmup_steps: 0}}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 8 && s.n_pruned == 0);
    cr_assert_eq(record.reports[3], 4, "but its progress is told, once a step");
    cr_assert(strstr(record.notices, "several metrics no trial is pruned"), "%s", record.notices);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_open_v2("hpt_runs/t/study.db", &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM trial_intermediate_values", -1, &stmt, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    cr_assert_eq(sqlite3_column_int(stmt, 0), 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

Test(run_metrics, the_end_tells_the_size_of_the_pareto_front)
{
    // acc and latency both grow with the number: no trial is better than another.
    run_sweep_file("echo acc=$HPT_TRIAL latency=$HPT_TRIAL", 5, NULL);
    run_ok(NULL);
    cr_assert(strstr(record.end, "5 trials of the Pareto front"), "%s", record.end);
    hpt_study *study = run_study("t");
    cr_assert_eq(hpt_study_n_directions(study), 2);
    cr_assert(hpt_study_direction(study, 0) == HPT_MAXIMIZE && hpt_study_direction(study, 1) == HPT_MINIMIZE);
    hpt_study_close(study);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT; // and it goes on where it was
    o.slots = 2;
    o.n_trials = 7;
    cr_assert_eq(run_it(&(hpt_run_summary){0}, &o), 0, "%s", hpt_last_error());
    cr_assert(strstr(record.end, "7 trials"), "%s", record.end);
}

Test(run_metrics, a_trial_started_again_begins_without_values)
{
    run_sweep_file("if [ $HPT_ATTEMPT = 0 ]; then echo acc=1; echo preempting=1 >&3; exit 1; fi; echo latency=2", 1,
                   NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_str_eq(record.reason[0], "exited 0 but printed no `acc=...`");
}
