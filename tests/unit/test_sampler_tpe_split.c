// SPDX-License-Identifier: Apache-2.0
// test_sampler_tpe_split.c: which trials TPE takes for good, and what failed and running ones count as. Against Optuna and a
// plain sort: oracle_tpe.py.
#include "core/sampler/tpe_split.h"
#include "sampler_testing.h"

Test(sampler_tpe_split, the_split_takes_complete_then_pruned_then_infeasible_trials)
{
    hpt_space *s = new_space();
    hpt__trials t;
    hpt__tpe_split split;
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    hpt__tpe_split_init(&split);
    const double point[] = {0.5};
    // Rows 0, 1 complete but infeasible; 2..4 pruned after 1, 9, 9 steps; 5 complete; 6..59 pruned without a report.
    for (int i = 0; i < 60; i++) {
        add_row(&t, point, HPT_TRIAL_RUNNING);
        const double value = 1;
        if (i < 2)
            OK(hpt__trials_set_attr(&t, i, i == 0 ? "s:constraints" : "s:constraints:memory",
                                    i == 0 ? "[2.0]" : "1.0"));
        if (i == 2) OK(hpt__trials_report(&t, i, 1, -100));
        if (i == 3) OK(hpt__trials_report(&t, i, 9, NAN));
        if (i == 4) OK(hpt__trials_report(&t, i, 9, 5));
        hpt__trials_finish(&t, i, i < 2 || i == 5 ? HPT_TRIAL_COMPLETE : HPT_TRIAL_PRUNED, &value, 0);
    }
    add_row(&t, point, HPT_TRIAL_RUNNING);
    add_row(&t, point, HPT_TRIAL_FAIL);
    hpt__tpe_split_rules rules = {.sign = 1, .liar = true};
    OK(hpt__tpe_split_make(&split, &t, 99, &rules));
    const int below[] = {5, 4, 3, 2, 6, 7}; // ceil(0.1 * 60) of them
    int n_below = 0;
    for (int64_t r = 0; r < t.n; r++) n_below += split.side[r] == HPT__TPE_BELOW;
    cr_expect_eq(n_below, 6);
    for (int i = 0; i < 6; i++) cr_expect_eq(split.side[below[i]], HPT__TPE_BELOW, "row %d", below[i]);
    cr_expect_eq(split.side[60], HPT__TPE_ABOVE);
    cr_expect_eq(split.side[61], HPT__TPE_UNUSED);
    OK(hpt__tpe_split_make(&split, &t, 60, &rules));
    cr_expect_eq(split.side[60], HPT__TPE_UNUSED, "the trial that is asked for");
    rules.liar = false;
    OK(hpt__tpe_split_make(&split, &t, 99, &rules));
    cr_expect_eq(split.side[60], HPT__TPE_UNUSED, "no constant liar");
    hpt__tpe_split_fini(&split);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

// 20 complete trials of values 0..19, then what a test adds.
typedef struct bench {
    hpt_space *space;
    hpt__trials t;
    hpt__tpe_split split;
    hpt__tpe_split_rules rules;
} bench;

static void bench_open(bench *b, const char *failed, const char *running) {
    b->space = new_space();
    OK(hpt_space_add_float(b->space, "x", 0, 1, 0, 0));
    OK(hpt_space_add_float(b->space, "y", 0, 1, 0, 0));
    OK(hpt__trials_init(&b->t, b->space, 1, HPT_MINIMIZE));
    hpt__tpe_split_init(&b->split);
    b->rules = (hpt__tpe_split_rules){
        .sign = 1, .liar = true, .failed = hpt__tpe_impute_of(failed), .running = hpt__tpe_impute_of(running)};
    for (int i = 0; i < 20; i++) tell(&b->t, add_row(&b->t, (const double[]){0.5, 0.5}, HPT_TRIAL_RUNNING), i);
}

static void bench_close(bench *b) {
    hpt__tpe_split_fini(&b->split);
    hpt__trials_fini(&b->t);
    hpt_space_destroy(b->space);
}

static int64_t add_reporting(bench *b, hpt_trial_state state, const double *point, const double *reports, int n) {
    const int64_t row = add_row(&b->t, point, HPT_TRIAL_RUNNING);
    for (int i = 0; i < n; i++) OK(hpt__trials_report(&b->t, row, i, reports[i]));
    if (state != HPT_TRIAL_RUNNING) hpt__trials_finish(&b->t, row, state, NULL, 0);
    return row;
}

static int n_below(bench *b) {
    int n = 0;
    OK(hpt__tpe_split_make(&b->split, &b->t, 1000, &b->rules));
    for (int64_t r = 0; r < b->t.n; r++) n += b->split.side[r] == HPT__TPE_BELOW;
    return n;
}

static const double POINT[] = {0.1, 0.2};

Test(sampler_tpe_split, failed_trials_are_left_out_with_none_and_above_with_worst)
{
    for (int worst = 0; worst < 2; worst++) {
        bench b;
        bench_open(&b, worst ? "worst" : "none", "none");
        cr_expect_eq(n_below(&b), 2);
        for (int i = 0; i < 10; i++) {
            const double splendid = -100; // counts for nothing
            const int64_t row = add_reporting(&b, HPT_TRIAL_FAIL, POINT, &splendid, 1);
            const int n = n_below(&b);
            cr_expect_eq(b.split.side[row], worst ? HPT__TPE_ABOVE : HPT__TPE_UNUSED);
            cr_expect_eq(n, worst ? (20 + i + 1 + 9) / 10 : 2, "%d failed: %d below", i + 1, n);
        }
        bench_close(&b);
    }
}

Test(sampler_tpe_split, a_failed_trial_without_a_point_is_left_out_and_not_counted)
{
    bench b;
    bench_open(&b, "worst", "none");
    for (int i = 0; i < 30; i++) {
        const int64_t row = add_reporting(&b, HPT_TRIAL_FAIL, (const double[]){NAN, NAN}, NULL, 0);
        cr_expect_eq(n_below(&b), 2);
        cr_expect_eq(b.split.side[row], HPT__TPE_UNUSED);
    }
    const int64_t part = add_reporting(&b, HPT_TRIAL_FAIL, (const double[]){NAN, 0.5}, NULL, 0);
    cr_expect_eq(n_below(&b), 3);
    cr_expect_eq(b.split.side[part], HPT__TPE_ABOVE, "one parameter is a point for the groups that have it");
    bench_close(&b);
}

Test(sampler_tpe_split, the_worst_are_never_below_however_few_the_others_are)
{
    hpt_space *s = new_space();
    hpt__trials t;
    hpt__tpe_split split;
    const hpt__tpe_split_rules rules = {.sign = -1, .failed = HPT__TPE_IMPUTE_WORST};
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt__trials_init(&t, s, 1, HPT_MAXIMIZE));
    hpt__tpe_split_init(&split);
    for (int i = 0; i < 60; i++) add_row(&t, (const double[]){0.5}, HPT_TRIAL_FAIL);
    tell(&t, add_row(&t, (const double[]){0.5}, HPT_TRIAL_RUNNING), 1);
    OK(hpt__tpe_split_make(&split, &t, 99, &rules));
    for (int64_t r = 0; r < t.n; r++)
        cr_expect_eq(split.side[r], r == 60 ? HPT__TPE_BELOW : HPT__TPE_ABOVE, "row %d", (int)r);
    hpt__tpe_split_fini(&split);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(sampler_tpe_split, best_and_latest_are_the_trials_own_finite_reports_and_worst_without_one)
{
    const double reports[] = {-3, 50, NAN, INFINITY};
    for (int latest = 0; latest < 2; latest++) {
        for (int running = 0; running < 2; running++) {
            bench b;
            const char *how = latest ? "latest" : "best";
            const hpt_trial_state state = running ? HPT_TRIAL_RUNNING : HPT_TRIAL_FAIL;
            bench_open(&b, running ? "none" : how, running ? how : "none");
            const int64_t row = add_reporting(&b, state, POINT, reports, 4);
            const int64_t silent = add_reporting(&b, state, POINT, reports + 2, 2);
            cr_expect_eq(n_below(&b), 3, "22 are ranked");
            cr_expect_eq(b.split.side[row], latest ? HPT__TPE_ABOVE : HPT__TPE_BELOW, "%s", how);
            cr_expect_eq(b.split.side[silent], HPT__TPE_ABOVE);
            b.rules.sign = -1; // maximising, the best is 50; what failed trials are worth is kept, so a new split
            hpt__tpe_split_fini(&b.split);
            hpt__tpe_split_init(&b.split);
            cr_expect_eq(n_below(&b), 3);
            cr_expect_eq(b.split.side[row], HPT__TPE_BELOW);
            bench_close(&b);
        }
    }
}

Test(sampler_tpe_split, an_infeasible_failed_trial_ranks_by_its_violation)
{
    bench b;
    bench_open(&b, "best", "none");
    const double splendid = -100;
    const int64_t row = add_row(&b.t, POINT, HPT_TRIAL_RUNNING);
    OK(hpt__trials_report(&b.t, row, 0, splendid));
    OK(hpt__trials_set_attr(&b.t, row, "s:constraints", "[0.5]"));
    hpt__trials_finish(&b.t, row, HPT_TRIAL_FAIL, NULL, 0);
    cr_expect_eq(n_below(&b), 3);
    cr_expect_eq(b.split.side[row], HPT__TPE_ABOVE);
    bench_close(&b);
}

Test(sampler_tpe_split, running_trials_of_the_constant_liar_are_not_counted_and_imputed_ones_are)
{
    for (int imputed = 0; imputed < 2; imputed++) {
        bench b;
        bench_open(&b, "none", imputed ? "worst" : "none");
        for (int i = 0; i < 10; i++) add_row(&b.t, POINT, HPT_TRIAL_RUNNING);
        cr_expect_eq(n_below(&b), imputed ? 3 : 2);
        for (int64_t r = 20; r < 30; r++) cr_expect_eq(b.split.side[r], HPT__TPE_ABOVE);
        bench_close(&b);
    }
}
