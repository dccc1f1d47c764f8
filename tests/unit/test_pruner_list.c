// SPDX-License-Identifier: Apache-2.0
// test_pruner_list.c: the table of pruners, and what all of them have in common.
#include "pruner_testing.h"

// Every pruner with options that let it work, minimising, rungs and bands at 1, 2, 4, ...
static const struct {
    const char *name;
    const char *options[4];
} ALL[] = {
    {"nop", {NULL}},
    {"median", {"median.n_startup=1"}},
    {"percentile", {"percentile.n_startup=1"}},
    {"threshold", {"threshold.upper=5"}},
    {"patience", {"patience.pruner=asha", "patience.patience=0", "asha.min_resource=1"}},
    {"asha", {"asha.min_resource=1", "asha.reduction_factor=2"}},
    {"hyperband", {"hyperband.max_resource=2", "hyperband.reduction_factor=3"}},
    {"bands", {"bands.min_iter=2", "bands.eta=2"}},
};
enum { N_ALL = sizeof ALL / sizeof *ALL };

Test(pruner_list, every_pruner_is_found_and_unknown_ones_are_answered_with_the_nearest)
{
    int64_t n = 0;
    const hpt__pruner_ops *ops = NULL;
    for (; hpt_pruner_name(n); n++) {
        OK(hpt__pruner_find(&ops, hpt_pruner_name(n)));
        cr_expect_str_eq(ops->name, hpt_pruner_name(n));
        cr_expect(strlen(hpt_pruner_doc(n)) > 10);
        cr_expect_str_eq(ops->name, ALL[n].name);
    }
    cr_expect_eq(n, N_ALL);
    cr_expect_null(hpt_pruner_doc(n));
    cr_expect_eq(hpt__pruner_find(&ops, "medain"), HPT_E_ARG);
    cr_expect(strstr(hpt_last_error(), "did you mean 'median'"));
    cr_expect(strstr(hpt_last_error(), "nop, median, percentile, threshold, patience, asha, hyperband, bands"));
    cr_expect_eq(hpt__pruner_find(&ops, NULL), HPT_E_ARG);
}

Test(pruner_list, a_trial_without_report_is_never_stopped)
{
    for (int i = 0; i < N_ALL; i++) {
        lab l;
        lab_open(&l, ALL[i].name, HPT_MINIMIZE, ALL[i].options);
        lab_completed(&l, 0, (const double[]){1, 1, 1}, 3);
        cr_expect(!lab_look(&l, lab_ask(&l)), "%s", ALL[i].name);
        cr_expect_eq(l.notes.n, 0);
        lab_close(&l);
    }
}

Test(pruner_list, nop_never_stops)
{
    lab l;
    lab_open(&l, "nop", HPT_MINIMIZE, NULL);
    lab_completed(&l, 0, (const double[]){1}, 1);
    cr_expect(!lab_judge(&l, lab_ask(&l), 0, NAN));
    lab_close(&l);
}

Test(pruner_list, a_table_whose_newest_rows_are_taken_back_is_judged_as_it_then_is)
{
    for (int i = 0; i < N_ALL; i++) {
        lab l;
        bool stop[2];
        lab_open(&l, ALL[i].name, HPT_MINIMIZE, ALL[i].options);
        for (int j = 0; j < 8; j++) lab_completed(&l, 0, (const double[]){1 + j % 2, 1, 1}, 3);
        const int64_t row = lab_ask(&l);
        OK(hpt__trials_report(&l.table, row, 1, 0.5));
        const int64_t n = l.table.n;
        for (int j = 0; j < 40; j++) OK(hpt__trials_report(&l.table, lab_ask(&l), 1, -1));
        lab_judge(&l, row, 2, 3);
        hpt__trials_truncate(&l.table, n);
        for (int j = 0; j < 3; j++) OK(hpt__trials_report(&l.table, lab_ask(&l), 1, 9));
        stop[0] = lab_look(&l, row);
        lab_again(&l);
        stop[1] = lab_look(&l, row);
        cr_expect_eq(stop[0], stop[1], "%s", ALL[i].name);
        lab_close(&l);
    }
}

static int64_t allocs_left;
static bool fail_one(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return allocs_left-- == 0;
}

// A trial that each pruner stops, among twelve that completed.
static int64_t hopeless_trial(lab *l) {
    for (int i = 0; i < 12; i++) {
        const int64_t row = lab_ask(l);
        for (int s = 0; s < 4; s++) OK(hpt__trials_report(&l->table, row, s, i));
        OK(hpt__trials_set_attr(&l->table, row, "s:completed_rung_0", i % 2 ? "0.5" : "1.5"));
        lab_tell(l, row, HPT_TRIAL_COMPLETE);
    }
    const int64_t row = lab_ask(l);
    OK(hpt__trials_report(&l->table, row, 0, 98));
    OK(hpt__trials_report(&l->table, row, 1, 99));
    return row;
}

Test(pruner_list, a_failing_allocation_keeps_the_trial_and_the_next_look_stops_it)
{
    for (int i = 1; i < N_ALL; i++) {
        int64_t k = 0;
        for (bool failed = true; failed; k++) {
            lab l;
            lab_open(&l, ALL[i].name, HPT_MINIMIZE, ALL[i].options);
            const int64_t row = hopeless_trial(&l);
            allocs_left = k;
            hpt__alloc_set_hook(fail_one, NULL);
            const bool stop = lab_look(&l, row);
            hpt__alloc_set_hook(NULL, NULL);
            failed = allocs_left < 0;
            cr_expect_eq(stop, !failed, "%s, allocation %d", ALL[i].name, (int)k);
            cr_expect(!failed || l.notes.n == 0, "a rung that was not judged is not noted");
            cr_expect(lab_look(&l, row), "%s after allocation %d failed", ALL[i].name, (int)k);
            lab_close(&l);
        }
        cr_expect(k > 1 || strcmp(ALL[i].name, "threshold") == 0, "%s allocates", ALL[i].name);
    }
}

Test(pruner_list, a_pruner_that_cannot_be_made_says_so_and_leaves_nothing)
{
    for (int i = 1; i < N_ALL; i++) {
        lab l;
        lab_open(&l, ALL[i].name, HPT_MINIMIZE, ALL[i].options);
        for (int64_t k = 0;; k++) {
            void *state = NULL;
            allocs_left = k;
            hpt__alloc_set_hook(fail_one, NULL);
            const int rc = l.ops->create(&state, &l.env);
            hpt__alloc_set_hook(NULL, NULL);
            if (rc == 0) {
                cr_expect_gt(k, 0);
                l.ops->destroy(state);
                break;
            }
            cr_assert_eq(rc, HPT_E_MEMORY);
            cr_expect_null(state);
        }
        lab_close(&l);
    }
}
