// SPDX-License-Identifier: Apache-2.0
// test_pruner_rules.c: exact cases of `threshold`, `patience` and `bands`. Random curves: oracle_pruner.py.
#include "pruner_testing.h"

// ---- threshold

Test(pruner_threshold, a_last_report_outside_the_bounds_or_nan_stops)
{
    lab l;
    lab_open(&l, "threshold", HPT_MINIMIZE, WITH("threshold.lower=-1", "threshold.upper=2"));
    const struct {
        double value;
        bool stops;
    } cases[] = {{0, false},   {2, false},       {2.0000001, true}, {-1, false},
                 {-1.1, true}, {INFINITY, true}, {-INFINITY, true}, {NAN, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t row = lab_ask(&l);
        cr_expect_eq(lab_judge(&l, row, 0, cases[i].value), cases[i].stops, "%g", cases[i].value);
        cr_expect(!lab_judge(&l, row, 1, 0), "only the last report counts");
    }
    lab_close(&l);
}

Test(pruner_threshold, one_bound_is_enough_for_either_direction)
{
    lab l;
    lab_open(&l, "threshold", HPT_MAXIMIZE, WITH("threshold.lower=0.5"));
    cr_expect(lab_judge(&l, lab_ask(&l), 0, 0.4));
    cr_expect(!lab_judge(&l, lab_ask(&l), 0, 1e300));
    cr_expect(!lab_judge(&l, lab_ask(&l), 0, INFINITY));
    lab_close(&l);
}

Test(pruner_threshold, warm_up_and_interval_postpone_a_check)
{
    lab l;
    lab_open(&l, "threshold", HPT_MINIMIZE,
             WITH("threshold.upper=0", "threshold.n_warmup=2", "threshold.interval=3")); // checks at 2, 5, 8
    const bool stops[] = {false, false, true, false, false, true, false};
    const int64_t row = lab_ask(&l);
    for (int s = 0; s < 7; s++) cr_expect_eq(lab_judge(&l, row, s, 1), stops[s], "step %d", s);
    cr_expect(lab_judge(&l, row, 9, 1), "the check at 8 waited for a report");
    cr_expect(!lab_judge(&l, row, 10, 1));
    lab_close(&l);
}

Test(pruner_threshold, without_bounds_or_with_bounds_in_the_wrong_order_it_cannot_be_made)
{
    refuses("threshold", NULL, "threshold.upper");
    refuses("threshold", WITH("threshold.lower=1", "threshold.upper=0"), "threshold.lower (1)");
}

// ---- patience

Test(pruner_patience, reports_without_improvement_stop_a_trial_when_patience_is_over)
{
    const struct {
        const char *patience, *min_delta;
        hpt_direction direction;
        double values[8];
        int n, stops_at; // index of the first report that stops it, n: none
    } cases[] = {
        {"0", "0", HPT_MINIMIZE, {3, 2, 2, 2.1}, 4, 3}, // equal is no worse
        {"1", "0", HPT_MINIMIZE, {3, 2, 2.5, 2.4, 9}, 5, 3},
        {"2", "0", HPT_MINIMIZE, {3, 2, 2.5, 2.4, 9}, 5, 4},
        {"1", "0.5", HPT_MINIMIZE, {3, 2, 2.5, 2.5, 2.51, 2.6}, 6, 5}, // within half of the best: goes on
        {"1", "0", HPT_MAXIMIZE, {1, 5, 4, 4.5}, 4, 3},
        {"1", "0", HPT_MAXIMIZE, {1, 5, 4, 5, 4, 6}, 6, 6},
        {"0", "0", HPT_MINIMIZE, {NAN, 5, 6}, 3, 2}, // nothing but NaN before: goes on
        {"0", "0", HPT_MINIMIZE, {5, NAN, NAN, 6}, 4, 3},
        {"0", "0", HPT_MINIMIZE, {INFINITY, INFINITY, 1, INFINITY}, 4, 3},
        {"7", "0", HPT_MINIMIZE, {1, 2, 3, 4, 5, 6, 7, 8}, 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lab l;
        char patience[64], delta[64];
        snprintf(patience, sizeof patience, "patience.patience=%s", cases[i].patience);
        snprintf(delta, sizeof delta, "patience.min_delta=%s", cases[i].min_delta);
        lab_open(&l, "patience", cases[i].direction, WITH(patience, delta));
        const int64_t row = lab_ask(&l);
        int at = 0;
        while (at < cases[i].n && !lab_judge(&l, row, at, cases[i].values[at])) at++;
        cr_expect_eq(at, cases[i].stops_at, "case %d stops at %d", (int)i, at);
        lab_close(&l);
    }
}

Test(pruner_patience, the_wrapped_pruner_must_agree_and_its_notes_come_through)
{
    lab l;
    lab_open(&l, "patience", HPT_MINIMIZE, WITH("patience.patience=0", "patience.pruner=median", "median.n_startup=1"));
    lab_completed(&l, 0, (const double[]){5, 5, 5}, 3);
    int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 9), "patience is not over");
    cr_expect(lab_judge(&l, row, 1, 10));
    row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 3));
    cr_expect(!lab_judge(&l, row, 1, 4), "better than the median");
    lab_close(&l);
    lab_open(&l, "patience", HPT_MINIMIZE, WITH("patience.patience=0", "patience.pruner=asha", "asha.min_resource=1"));
    row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 1, 1));
    cr_expect_eq(l.notes.n, 0);
    cr_expect(!lab_judge(&l, row, 2, 2));
    cr_expect_eq(l.notes.n, 1);
    cr_expect_str_eq(l.notes.items[0].key, "completed_rung_0");
    lab_close(&l);
}

Test(pruner_patience, an_error_of_the_wrapped_pruner_is_the_answer)
{ refuses("patience", WITH("patience.pruner=threshold"), "threshold.upper"); }

// ---- bands

Test(pruner_bands, the_first_third_passes_a_band_and_a_tie_with_it_too)
{
    lab l;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.min_iter=1")); // bands 1, 3, 9, ...; eta 3
    // n values, the new one among them: it must not be above number int(n / 3), counted from 0
    const struct {
        double value;
        bool stops;
    } cases[] = {{5, false},  {6, true}, {4, false}, // of 4 5 6 number 1 is 5
                 {5, false},                         // of 4 5 5 6 number 1
                 {5.5, true}, {3, false}};           // of 3 4 5 5 5.5 6 number 2
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(lab_judge(&l, lab_ask(&l), 7, cases[i].value), cases[i].stops, "trial %d", (int)i);
    cr_expect(!lab_look(&l, 0), "5 is number 2 of six: it may go on");
    cr_expect(lab_judge(&l, 1, 8, 1), "strict: the report at the band counts, not a better one after it");
    lab_close(&l);
}

Test(pruner_bands, a_trial_is_held_against_the_largest_band_it_reached)
{
    lab l;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.min_iter=1", "bands.eta=2")); // 1, 2, 4, 8
    lab_completed(&l, 0, (const double[]){1, 8, 8, 5, 5}, 5);
    lab_completed(&l, 0, (const double[]){2, 9, 9, 6}, 4);
    const int64_t row = lab_ask(&l);
    cr_expect(lab_judge(&l, row, 0, 3), "of 1 2 3 number 1 is 2");
    cr_expect(!lab_judge(&l, row, 1, 8.5), "of 8 8.5 9");
    cr_expect(!lab_judge(&l, row, 2, 100), "there is no band at 3");
    cr_expect(lab_judge(&l, row, 3, 6.5), "of 5 6 6.5");
    lab_close(&l);
}

Test(pruner_bands, max_iter_counts_down_and_comes_first)
{
    lab l;
    lab_open(&l, "bands", HPT_MAXIMIZE,
             WITH("bands.max_iter=27", "bands.s=2", "bands.min_iter=1")); // 9 and 3, not 1; eta 3
    double good[9], bad[9];
    for (int i = 0; i < 9; i++) good[i] = 1, bad[i] = 0;
    lab_completed(&l, 0, good, 9);
    const int64_t row = lab_ask(&l);
    for (int s = 0; s < 9; s++)
        cr_expect_eq(lab_judge(&l, row, 10 * s, bad[s]), s >= 2, "report %d: the bands count reports, not steps", s);
    lab_close(&l);
}

Test(pruner_bands, bands_below_one_report_are_left_out)
{
    lab l;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.max_iter=10", "bands.s=9")); // 3 and 1
    const double good[] = {1, 1, 1, 1};
    lab_completed(&l, 0, good, 4);
    const int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 1), "a tie");
    OK(hpt__trials_report(&l.table, row, 0, 2));
    lab_completed(&l, 0, good, 4);
    cr_expect(lab_look(&l, row), "of 1 1 2 number 1 is 1");
    OK(hpt__trials_report(&l.table, row, 0, 1));
    cr_expect(!lab_judge(&l, row, 1, 9));
    cr_expect(lab_judge(&l, row, 2, 9));
    lab_close(&l);
}

Test(pruner_bands, not_strict_takes_the_best_report_so_far)
{
    lab l;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.min_iter=2", "bands.strict=false"));
    lab_completed(&l, 0, (const double[]){9, 5}, 2);
    int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 4));
    cr_expect(!lab_judge(&l, row, 1, 6), "its best, 4, is below the threshold 5");
    row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 7));
    cr_expect(lab_judge(&l, row, 1, 8), "of 5 6 8 number 1 is 6");
    cr_expect(!lab_judge(&l, row, 2, 1), "a later report saves it");
    lab_close(&l);
}

Test(pruner_bands, reports_that_are_not_finite_are_passed_over)
{
    lab l;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.min_iter=2"));
    lab_completed(&l, 0, (const double[]){NAN, 1, INFINITY, 2}, 4); // its second: 2
    int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 9));
    cr_expect(!lab_judge(&l, row, 1, NAN), "one finite report");
    cr_expect(lab_judge(&l, row, 2, 3));
    OK(hpt__trials_report(&l.table, row, 1, 1.5));
    cr_expect(!lab_look(&l, row), "the second report is now another");
    row = lab_ask(&l);
    OK(hpt__trials_report(&l.table, row, 5, INFINITY));
    OK(hpt__trials_report(&l.table, row, 6, 0));
    OK(hpt__trials_report(&l.table, row, 7, 0.5)); // running trials count: 0.5 1.5 2
    cr_expect(!lab_look(&l, 1), "number 1 of three");
    lab_close(&l);
}

Test(pruner_bands, failed_and_stopped_trials_count_and_waiting_ones_do_not)
{
    lab l;
    int64_t row;
    lab_open(&l, "bands", HPT_MINIMIZE, WITH("bands.min_iter=1"));
    const hpt_trial_state states[] = {HPT_TRIAL_FAIL, HPT_TRIAL_PRUNED};
    for (int i = 0; i < 2; i++) {
        row = lab_ask(&l);
        OK(hpt__trials_report(&l.table, row, 0, i));
        lab_tell(&l, row, states[i]);
    }
    for (int i = 0; i < 5; i++) OK(hpt__trials_add(&row, &l.table, l.table.n, 9, HPT_TRIAL_WAITING));
    row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 0, 0.7), "of 0 0.7 1 it is number 1");
    hpt__trials_set_state(&l.table, 2, HPT_TRIAL_RUNNING); // a waiting one is claimed
    OK(hpt__trials_report(&l.table, 2, 0, 0.5));
    cr_expect(lab_look(&l, row), "of 0 0.5 0.7 1 number 1 is 0.5");
    lab_close(&l);
}

Test(pruner_bands, settings_that_give_no_band_are_refused)
{
    refuses("bands", NULL, "bands.min_iter");
    refuses("bands", WITH("bands.max_iter=9"), "no band");
    refuses("bands", WITH("bands.max_iter=2", "bands.s=3"), "no band");
    refuses("bands", WITH("bands.min_iter=1", "bands.eta=1"), "bands.eta");
}
