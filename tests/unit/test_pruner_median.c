// SPDX-License-Identifier: Apache-2.0
// test_pruner_median.c: the table of pruners, and the edges of the median rule. Random curves: oracle_median.py.
#include "core/base/alloc.h"
#include "core/pruner/pruner_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())

typedef struct lab {
    hpt_space *space;
    hpt__options options;
    hpt__pruner_env env;
    hpt__trials table;
    void *state;
} lab;

// n_completed trials that reported values[0..n_values) at steps 0, 1, ...
static void lab_open(lab *l, hpt_direction direction, int64_t n_completed, const double *values, int64_t n_values) {
    memset(l, 0, sizeof *l);
    OK(hpt_space_create(&l->space));
    hpt__options_default(&l->options);
    l->options.median_n_startup = 1;
    l->env = (hpt__pruner_env){.options = &l->options, .direction = direction, .study_name = "s"};
    OK(hpt__trials_init(&l->table, l->space, 1, direction));
    for (int64_t i = 0; i < n_completed; i++) {
        int64_t row;
        OK(hpt__trials_add(&row, &l->table, i, i, HPT_TRIAL_RUNNING));
        for (int64_t s = 0; s < n_values; s++) OK(hpt__trials_report(&l->table, row, s, values[i * n_values + s]));
        hpt__trials_finish(&l->table, row, HPT_TRIAL_COMPLETE, (const double[]){0}, 0);
    }
    OK(hpt__pruner_median_ops.create(&l->state, &l->env));
}

static void lab_close(lab *l) {
    hpt__pruner_median_ops.destroy(l->state);
    hpt__trials_fini(&l->table);
    hpt_space_destroy(l->space);
}

// A new running trial with one report.
static bool judge(lab *l, int64_t step, double value) {
    int64_t row;
    OK(hpt__trials_add(&row, &l->table, l->table.n, l->table.n, HPT_TRIAL_RUNNING));
    OK(hpt__trials_report(&l->table, row, step, value));
    return hpt__pruner_median_ops.should_prune(l->state, &l->table, row, &(hpt__pruner_notes){0});
}

Test(pruner_median, worse_than_the_median_stops_and_equal_goes_on)
{
    lab l;
    const double odd[] = {1, 2, 5}, even[] = {1, 2, 4, 9};
    lab_open(&l, HPT_MINIMIZE, 3, odd, 1);
    cr_expect(!judge(&l, 0, 2));
    cr_expect(judge(&l, 0, 2.0000001));
    cr_expect(!judge(&l, 1, 100), "no trial reported at this step");
    lab_close(&l);
    lab_open(&l, HPT_MINIMIZE, 4, even, 1);
    cr_expect(!judge(&l, 0, 3));
    cr_expect(judge(&l, 0, 3.0000001));
    lab_close(&l);
    lab_open(&l, HPT_MAXIMIZE, 4, even, 1);
    cr_expect(!judge(&l, 0, 3));
    cr_expect(judge(&l, 0, 2.9999999));
    lab_close(&l);
}

Test(pruner_median, the_best_report_so_far_counts_not_the_last)
{
    lab l;
    const double curves[] = {5, 4, 3, 5, 4, 3};
    lab_open(&l, HPT_MINIMIZE, 2, curves, 3);
    int64_t row;
    OK(hpt__trials_add(&row, &l.table, 2, 2, HPT_TRIAL_RUNNING));
    OK(hpt__trials_report(&l.table, row, 0, 1));
    OK(hpt__trials_report(&l.table, row, 2, 100));
    cr_expect(!hpt__pruner_median_ops.should_prune(l.state, &l.table, row, &(hpt__pruner_notes){0}));
    lab_close(&l);
}

Test(pruner_median, no_report_or_too_few_trials_goes_on)
{
    lab l;
    const double curve[] = {1, 1, 1};
    lab_open(&l, HPT_MINIMIZE, 3, curve, 1);
    l.options.median_n_startup = 4;
    hpt__pruner_median_ops.destroy(l.state);
    OK(hpt__pruner_median_ops.create(&l.state, &l.env));
    cr_expect(!judge(&l, 0, 9));
    hpt__trials_finish(&l.table, 3, HPT_TRIAL_COMPLETE, (const double[]){0}, 0);
    cr_expect(judge(&l, 0, 99));
    int64_t row;
    OK(hpt__trials_add(&row, &l.table, l.table.n, 9, HPT_TRIAL_RUNNING));
    cr_expect(!hpt__pruner_median_ops.should_prune(l.state, &l.table, row, &(hpt__pruner_notes){0}));
    lab_close(&l);
}

Test(pruner_median, only_nan_reports_stop_a_trial)
{
    lab l;
    const double curve[] = {1, NAN, 3};
    lab_open(&l, HPT_MINIMIZE, 3, curve, 1);
    cr_expect(judge(&l, 0, NAN));
    cr_expect(!judge(&l, 0, 2), "the median of 1 and 3");
    cr_expect(judge(&l, 0, 2.5));
    lab_close(&l);
}

Test(pruner_median, infinite_reports_of_others_do_not_switch_it_off)
{
    lab l;
    const double curves[] = {1, 2, 3, INFINITY, INFINITY};
    lab_open(&l, HPT_MINIMIZE, 5, curves, 1);
    cr_expect(judge(&l, 0, 4));
    cr_expect(judge(&l, 0, INFINITY));
    cr_expect(!judge(&l, 0, 3));
    lab_close(&l);
    const double none[] = {-INFINITY, INFINITY};
    lab_open(&l, HPT_MINIMIZE, 2, none, 1);
    cr_expect(!judge(&l, 0, 1e9), "there is no median");
    lab_close(&l);
}

Test(pruner_median, warm_up_and_interval_postpone_a_check_to_the_next_report)
{
    lab l;
    double curves[2 * 20];
    for (int i = 0; i < 40; i++) curves[i] = 0;
    lab_open(&l, HPT_MINIMIZE, 2, curves, 20);
    l.options.median_n_warmup = 3;
    l.options.median_interval = 4; // checks at 3, 7, 11, ...
    hpt__pruner_median_ops.destroy(l.state);
    OK(hpt__pruner_median_ops.create(&l.state, &l.env));
    const struct {
        int64_t step;
        bool stops;
    } cases[] = {{0, false}, {2, false},  {3, true},  {4, false}, {6, false},
                 {9, true},  {10, false}, {15, true}, {16, false}};
    int64_t row;
    OK(hpt__trials_add(&row, &l.table, 2, 2, HPT_TRIAL_RUNNING));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(hpt__trials_report(&l.table, row, cases[i].step, 1));
        cr_expect_eq(hpt__pruner_median_ops.should_prune(l.state, &l.table, row, &(hpt__pruner_notes){0}),
                     cases[i].stops, "step %d", (int)cases[i].step);
    }
    lab_close(&l);
}

static bool refuse(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return true;
}

Test(pruner_median, out_of_memory_keeps_the_trial)
{
    lab l;
    const double curve[] = {1};
    lab_open(&l, HPT_MINIMIZE, 1, curve, 1);
    int64_t row;
    OK(hpt__trials_add(&row, &l.table, 1, 1, HPT_TRIAL_RUNNING));
    OK(hpt__trials_report(&l.table, row, 0, 2));
    void *none = NULL;
    hpt__alloc_set_hook(refuse, NULL);
    const bool stop = hpt__pruner_median_ops.should_prune(l.state, &l.table, row, &(hpt__pruner_notes){0});
    const int rc = hpt__pruner_median_ops.create(&none, &l.env);
    hpt__alloc_set_hook(NULL, NULL);
    cr_expect(!stop);
    cr_expect_eq(rc, HPT_E_MEMORY);
    cr_expect(hpt__pruner_median_ops.should_prune(l.state, &l.table, row, &(hpt__pruner_notes){0}));
    lab_close(&l);
}

Test(pruner_list, every_pruner_is_found_and_unknown_ones_are_answered_with_the_nearest)
{
    int64_t n = 0;
    const hpt__pruner_ops *ops = NULL;
    for (; hpt_pruner_name(n); n++) {
        OK(hpt__pruner_find(&ops, hpt_pruner_name(n)));
        cr_expect_str_eq(ops->name, hpt_pruner_name(n));
        cr_expect(strlen(hpt_pruner_doc(n)) > 10);
    }
    cr_expect_eq(n, 2);
    cr_expect_eq(hpt__pruner_find(&ops, "medain"), HPT_E_ARG);
    cr_expect(strstr(hpt_last_error(), "did you mean 'median'"));
    cr_expect(strstr(hpt_last_error(), "nop, median"));
    cr_expect_eq(hpt__pruner_find(&ops, NULL), HPT_E_ARG);
}

Test(pruner_list, nop_never_stops)
{
    lab l;
    const double curve[] = {1};
    lab_open(&l, HPT_MINIMIZE, 1, curve, 1);
    void *state = &l;
    OK(hpt__pruner_nop_ops.create(&state, &l.env));
    judge(&l, 0, NAN);
    cr_expect(!hpt__pruner_nop_ops.should_prune(state, &l.table, 1, &(hpt__pruner_notes){0}));
    hpt__pruner_nop_ops.destroy(state);
    lab_close(&l);
}
