// SPDX-License-Identifier: Apache-2.0
// test_pruner_median.c: the edges of `median` and `percentile`. Random curves: oracle_pruner.py.
#include "pruner_testing.h"

// n_completed trials that reported values[0..n_values) at steps 0, 1, ...
static void open_with(lab *l, hpt_direction direction, int64_t n_completed, const double *values, int64_t n_values) {
    lab_open(l, "median", direction, WITH("median.n_startup=1"));
    for (int64_t i = 0; i < n_completed; i++) lab_completed(l, 0, values + i * n_values, n_values);
}

// A new running trial with one report.
static bool judge_new(lab *l, int64_t step, double value) {
    return lab_judge(l, lab_ask(l), step, value);
}

Test(pruner_median, worse_than_the_median_stops_and_equal_goes_on)
{
    lab l;
    const double odd[] = {1, 2, 5}, even[] = {1, 2, 4, 9};
    open_with(&l, HPT_MINIMIZE, 3, odd, 1);
    cr_expect(!judge_new(&l, 0, 2));
    cr_expect(judge_new(&l, 0, 2.0000001));
    cr_expect(!judge_new(&l, 1, 100), "no trial reported at this step");
    lab_close(&l);
    open_with(&l, HPT_MINIMIZE, 4, even, 1);
    cr_expect(!judge_new(&l, 0, 3));
    cr_expect(judge_new(&l, 0, 3.0000001));
    lab_close(&l);
    open_with(&l, HPT_MAXIMIZE, 4, even, 1);
    cr_expect(!judge_new(&l, 0, 3));
    cr_expect(judge_new(&l, 0, 2.9999999));
    lab_close(&l);
}

Test(pruner_median, trials_that_complete_between_two_looks_move_the_median)
{
    lab l;
    open_with(&l, HPT_MINIMIZE, 1, (const double[]){10}, 1);
    const int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 9));
    const double more[] = {1, 2, 3, 20, 0, 30, 9.5}; // the median: 5.5, 2, 2.5, 3, 2.5, 3, 6
    for (int i = 0; i < 7; i++) {
        const int64_t other = lab_ask(&l);
        OK(hpt__trials_report(&l.table, other, 0, more[i]));
        cr_expect_eq(lab_look(&l, row), i > 0, "a running trial does not count");
        lab_tell(&l, other, HPT_TRIAL_COMPLETE);
        cr_expect(lab_look(&l, row), "%d", i);
    }
    for (int i = 0; i < 9; i++) lab_completed(&l, 0, (const double[]){100}, 1);
    cr_expect(!lab_look(&l, row));
    const int64_t pruned = lab_ask(&l);
    OK(hpt__trials_report(&l.table, pruned, 0, -1));
    lab_tell(&l, pruned, HPT_TRIAL_PRUNED);
    cr_expect(!lab_look(&l, row));
    lab_close(&l);
}

Test(pruner_median, the_best_report_so_far_counts_not_the_last)
{
    lab l;
    const double curves[] = {5, 4, 3, 5, 4, 3};
    open_with(&l, HPT_MINIMIZE, 2, curves, 3);
    const int64_t row = lab_ask(&l);
    OK(hpt__trials_report(&l.table, row, 0, 1));
    cr_expect(!lab_judge(&l, row, 2, 100));
    lab_close(&l);
}

Test(pruner_median, no_report_or_too_few_trials_goes_on)
{
    lab l;
    const double curve[] = {1, 1, 1};
    open_with(&l, HPT_MINIMIZE, 3, curve, 1);
    l.options.median_n_startup = 4;
    lab_again(&l);
    cr_expect(!judge_new(&l, 0, 9));
    lab_tell(&l, 3, HPT_TRIAL_COMPLETE);
    cr_expect(judge_new(&l, 0, 99));
    cr_expect(!lab_look(&l, lab_ask(&l)));
    lab_close(&l);
}

Test(pruner_median, only_nan_reports_stop_a_trial)
{
    lab l;
    const double curve[] = {1, NAN, 3};
    open_with(&l, HPT_MINIMIZE, 3, curve, 1);
    cr_expect(judge_new(&l, 0, NAN));
    cr_expect(!judge_new(&l, 0, 2), "the median of 1 and 3");
    cr_expect(judge_new(&l, 0, 2.5));
    lab_close(&l);
}

Test(pruner_median, nan_reports_count_towards_the_trials_it_waits_for)
{
    lab l;
    open_with(&l, HPT_MINIMIZE, 2, (const double[]){1, NAN}, 1);
    l.options.median_n_min_trials = 3;
    lab_again(&l);
    cr_expect(!judge_new(&l, 0, 2));
    lab_completed(&l, 0, (const double[]){NAN}, 1);
    cr_expect(judge_new(&l, 0, 2));
    lab_close(&l);
}

Test(pruner_median, infinite_reports_of_others_do_not_switch_it_off)
{
    lab l;
    const double curves[] = {1, 2, 3, INFINITY, INFINITY};
    open_with(&l, HPT_MINIMIZE, 5, curves, 1);
    cr_expect(judge_new(&l, 0, 4));
    cr_expect(judge_new(&l, 0, INFINITY));
    cr_expect(!judge_new(&l, 0, 3));
    lab_close(&l);
    const double none[] = {-INFINITY, INFINITY};
    open_with(&l, HPT_MINIMIZE, 2, none, 1);
    cr_expect(!judge_new(&l, 0, 1e9), "there is no median");
    lab_close(&l);
}

Test(pruner_median, warm_up_and_interval_postpone_a_check_to_the_next_report)
{
    lab l;
    double curves[2 * 20];
    for (int i = 0; i < 40; i++) curves[i] = 0;
    open_with(&l, HPT_MINIMIZE, 2, curves, 20);
    l.options.median_n_warmup = 3;
    l.options.median_interval = 4; // checks at 3, 7, 11, ...
    lab_again(&l);
    const struct {
        int64_t step;
        bool stops;
    } cases[] = {{0, false}, {2, false},  {3, true},  {4, false}, {6, false},
                 {9, true},  {10, false}, {15, true}, {16, false}};
    const int64_t row = lab_ask(&l);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(lab_judge(&l, row, cases[i].step, 1), cases[i].stops, "step %d", (int)cases[i].step);
    lab_close(&l);
}

Test(pruner_percentile, the_bound_lies_on_a_straight_line_between_two_reports)
{
    // Of 0, 10, 20, 30, 40 (in any order) the percentile p is 0.4 p; larger is better: that of 100 - p.
    const struct {
        const char *percentile;
        hpt_direction direction;
        double bound;
    } cases[] = {{"percentile.percentile=25", HPT_MINIMIZE, 10},  {"percentile.percentile=0", HPT_MINIMIZE, 0},
                 {"percentile.percentile=100", HPT_MINIMIZE, 40}, {"percentile.percentile=37.5", HPT_MINIMIZE, 15},
                 {"percentile.percentile=25", HPT_MAXIMIZE, 30},  {"percentile.percentile=0", HPT_MAXIMIZE, 40},
                 {"percentile.percentile=100", HPT_MAXIMIZE, 0},  {"percentile.percentile=90", HPT_MINIMIZE, 36},
                 {"percentile.percentile=87.5", HPT_MAXIMIZE, 5}};
    const double values[] = {30, 0, 40, 10, 20};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lab l;
        lab_open(&l, "percentile", cases[i].direction, WITH("percentile.n_startup=1", cases[i].percentile));
        for (int j = 0; j < 5; j++) lab_completed(&l, 3, &values[j], 1);
        const double worse = cases[i].direction == HPT_MINIMIZE ? 1e-9 : -1e-9;
        cr_expect(!judge_new(&l, 3, cases[i].bound), "%s", cases[i].percentile);
        cr_expect(!judge_new(&l, 3, cases[i].bound - worse), "%s", cases[i].percentile);
        cr_expect(judge_new(&l, 3, cases[i].bound + worse), "%s", cases[i].percentile);
        lab_close(&l);
    }
}
