// SPDX-License-Identifier: Apache-2.0
// test_trials.c: the columnar table of trials.
#include "core/base/alloc.h"
#include "core/trials/trials.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void ok(int rc) {
    cr_assert_eq(rc, 0, "%s", hpt_last_error());
}

static hpt_space *two_floats(void) {
    hpt_space *s;
    ok(hpt_space_create(&s));
    ok(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    ok(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    return s;
}

static int64_t add(hpt__trials *t, int64_t number, hpt_trial_state state) {
    int64_t row = -1;
    ok(hpt__trials_add(&row, t, number, 100 + number, state));
    return row;
}

static int64_t add_complete(hpt__trials *t, int64_t number, double value) {
    const int64_t row = add(t, number, HPT_TRIAL_RUNNING);
    hpt__trials_finish(t, row, HPT_TRIAL_COMPLETE, &value, 0);
    return row;
}

Test(trials_state, names_read_back_in_any_case)
{
    for (int state = 0; state < 5; state++) {
        const char *name = hpt_trial_state_to_string((hpt_trial_state)state);
        char lower[16] = "";
        for (size_t i = 0; name[i]; i++) lower[i] = (char)(name[i] | 0x20);
        hpt_trial_state out;
        ok(hpt_trial_state_from_string(&out, name));
        cr_expect_eq((int)out, state);
        ok(hpt_trial_state_from_string(&out, lower));
        cr_expect_eq((int)out, state);
    }
    cr_expect_str_eq(hpt_trial_state_to_string((hpt_trial_state)5), "?");
    cr_expect_str_eq(hpt_trial_state_to_string((hpt_trial_state)-1), "?");
}

Test(trials_state, another_name_is_an_error_that_lists_the_names)
{
    hpt_trial_state out = HPT_TRIAL_FAIL;
    const char *const bad[] = {"", "DONE", "COMPLETED", "RUNNIN", NULL};
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(hpt_trial_state_from_string(&out, bad[i]), HPT_E_ARG);
        cr_expect(strstr(hpt_last_error(), "COMPLETE, PRUNED"), "%s", hpt_last_error());
        cr_expect_eq(out, HPT_TRIAL_FAIL);
    }
}

Test(trials_rows, a_new_row_is_empty_and_counted)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    double point[2];
    ok(hpt__trials_init(&t, s, 2, HPT_MINIMIZE));
    for (int i = 0; i < 100; i++) { // beyond several growths
        const int64_t row = add(&t, i, (hpt_trial_state)(i % 5));
        cr_assert_eq(row, i);
        hpt__trials_get_point(point, &t, row);
        cr_expect(isnan(point[0]) && isnan(point[1]) && isnan(t.values[2 * row]) && isnan(t.values[2 * row + 1]));
        cr_expect(t.info[row].start_us == INT64_MIN && t.info[row].complete_us == INT64_MIN &&
                  t.info[row].grid_id == -1);
        cr_expect_eq(t.info[row].trial_id, 100 + i);
    }
    for (int i = 0; i < 5; i++) cr_expect_eq(t.counts[i], 20);
    cr_expect(t.dense && t.best == -1);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_rows, numbers_are_found_dense_or_not)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    for (int64_t i = 0; i < 5; i++) add(&t, i, HPT_TRIAL_RUNNING);
    cr_expect(t.dense);
    cr_expect_eq(hpt__trials_row_of(&t, 4), 4);
    cr_expect_eq(hpt__trials_row_of(&t, 5), -1);
    cr_expect_eq(hpt__trials_row_of(&t, -1), -1);
    const int64_t numbers[] = {9, 7, 5};
    for (int i = 0; i < 3; i++) add(&t, numbers[i], HPT_TRIAL_RUNNING);
    cr_expect_not(t.dense);
    for (int64_t i = 0; i < 5; i++) cr_expect_eq(hpt__trials_row_of(&t, i), i);
    for (int i = 0; i < 3; i++) cr_expect_eq(hpt__trials_row_of(&t, numbers[i]), 5 + i);
    cr_expect_eq(hpt__trials_row_of(&t, 6), -1);
    hpt__trials_truncate(&t, 6);
    cr_expect_eq(hpt__trials_row_of(&t, 7), -1);
    cr_expect_eq(hpt__trials_row_of(&t, 9), 5);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_best, is_the_first_among_equals_and_never_nan)
{
    hpt_space *s = two_floats();
    const double values[] = {NAN, 5, 3, 3, 7, 7, INFINITY, -INFINITY, -INFINITY};
    const int64_t expected[2][9] = {{-1, 1, 2, 2, 2, 2, 2, 7, 7}, {-1, 1, 1, 1, 4, 4, 6, 6, 6}};
    for (int up = 0; up < 2; up++) {
        hpt__trials t;
        ok(hpt__trials_init(&t, s, 1, up ? HPT_MAXIMIZE : HPT_MINIMIZE));
        for (int i = 0; i < 9; i++) {
            add_complete(&t, i, values[i]);
            cr_expect_eq(t.best, expected[up][i], "direction %d, after %d: %d", up, i, (int)t.best);
        }
        hpt__trials_fini(&t);
    }
    hpt_space_destroy(s);
}

Test(trials_best, counts_only_completed_trials_in_whatever_order_they_end)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    for (int64_t i = 0; i < 4; i++) add(&t, i, HPT_TRIAL_RUNNING);
    hpt__trials_finish(&t, 0, HPT_TRIAL_PRUNED, &(double){-1}, 0);
    hpt__trials_finish(&t, 1, HPT_TRIAL_FAIL, NULL, 0);
    cr_expect_eq(t.best, -1);
    hpt__trials_finish(&t, 3, HPT_TRIAL_COMPLETE, &(double){1}, 0);
    cr_expect_eq(t.best, 3);
    hpt__trials_finish(&t, 2, HPT_TRIAL_COMPLETE, &(double){1}, 42);
    cr_expect_eq(t.best, 2); // equal, and the smaller number
    cr_expect_eq(t.info[2].complete_us, 42);
    cr_expect(t.counts[HPT_TRIAL_RUNNING] == 0 && t.counts[HPT_TRIAL_COMPLETE] == 2 && t.values[0] == -1);
    hpt__trials_fini(&t);
    ok(hpt__trials_init(&t, s, 2, HPT_MINIMIZE));
    hpt__trials_finish(&t, add(&t, 0, HPT_TRIAL_RUNNING), HPT_TRIAL_COMPLETE, (const double[]){1, 2}, 0);
    cr_expect_eq(t.best, -1); // of several objectives there is none
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_rows, taken_back_rows_leave_the_table_as_it_was)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    add_complete(&t, 0, 5);
    ok(hpt__trials_set_attr(&t, add_complete(&t, 1, 4), "s:hpt:grid_id", "3"));
    add(&t, 2, HPT_TRIAL_WAITING);
    const uint64_t version = t.version;
    ok(hpt__trials_set_attr(&t, add_complete(&t, 3, 1), "s:hpt:grid_id", "8"));
    ok(hpt__trials_report(&t, add(&t, 4, HPT_TRIAL_RUNNING), 1, 2.0));
    cr_expect(t.best == 3 && t.max_grid_id == 8);
    hpt__trials_truncate(&t, 3);
    cr_expect(t.n == 3 && t.best == 1 && t.max_grid_id == 3);
    const int64_t counts[5] = {0, 2, 0, 0, 1};
    for (int i = 0; i < 5; i++) cr_expect_eq(t.counts[i], counts[i]);
    cr_expect_gt(t.version, version);
    cr_expect_eq(hpt__trials_row_of(&t, 3), -1);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_params, a_foreign_name_gets_a_column_of_its_own)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    for (int64_t i = 0; i < 40; i++) add(&t, i, HPT_TRIAL_RUNNING);
    hpt__trials_set_point(&t, 3, (const double[]){0.5, 0.25});
    ok(hpt__trials_set_param(&t, 3, "y", 0.75, "ignored"));
    ok(hpt__trials_set_param(&t, 7, "z", 2.0, "{\"a\": 1}"));
    ok(hpt__trials_set_param(&t, 39, "z", 3.0, "{\"a\": 2}"));
    cr_assert_eq(t.n_columns, 3);
    cr_expect_str_eq(t.columns[2].name, "z");
    cr_expect_str_eq(t.columns[2].dist_json, "{\"a\": 2}");
    cr_expect_null(t.columns[1].dist_json);
    for (int64_t i = 0; i < 40; i++)
        if (i != 7 && i != 39) cr_expect(isnan(t.columns[2].values[i]));
    for (int64_t i = 40; i < 100; i++) {
        const int64_t row = add(&t, i, HPT_TRIAL_RUNNING);
        cr_expect(isnan(t.columns[2].values[row]));
    }
    double point[2];
    hpt__trials_get_point(point, &t, 3);
    cr_expect(point[0] == 0.5 && point[1] == 0.75);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_reports, are_sorted_by_step_and_replaced)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    int64_t step;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    const int64_t row = add(&t, 0, HPT_TRIAL_RUNNING);
    cr_expect(isnan(hpt__trials_last_report(&t, row, &step)) && step == -1);
    const int64_t steps[] = {5, 1, 9, 3, 9, 1, 0};
    for (int i = 0; i < 7; i++) ok(hpt__trials_report(&t, row, steps[i], i));
    const hpt__report expected[] = {{0, 6}, {1, 5}, {3, 3}, {5, 0}, {9, 4}};
    cr_assert_eq(t.info[row].n_reports, 5);
    for (int i = 0; i < 5; i++)
        cr_expect(t.info[row].reports[i].step == expected[i].step && t.info[row].reports[i].value == expected[i].value);
    cr_expect(hpt__trials_last_report(&t, row, &step) == 4 && step == 9);
    ok(hpt__trials_report(&t, row, 9, NAN));
    cr_expect(isnan(hpt__trials_last_report(&t, row, &step)));
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_attrs, are_replaced_and_the_grid_number_is_kept_apart)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    const int64_t row = add(&t, 0, HPT_TRIAL_RUNNING);
    ok(hpt__trials_set_attr(&t, row, "u:a", "1"));
    ok(hpt__trials_set_attr(&t, row, "s:a", "2"));
    ok(hpt__trials_set_attr(&t, row, "u:a", "3"));
    cr_expect_eq(t.info[row].n_attrs, 2);
    cr_expect_str_eq(hpt__trials_attr(&t, row, "u:a"), "3");
    cr_expect_str_eq(hpt__trials_attr(&t, row, "s:a"), "2");
    cr_expect_null(hpt__trials_attr(&t, row, "a"));
    const char *const no_id[] = {"-4", "1.5", "null", "\"7\"", ""};
    for (int i = 0; i < 5; i++) ok(hpt__trials_set_attr(&t, row, "s:hpt:grid_id", no_id[i]));
    cr_expect(t.info[row].grid_id == -1 && t.max_grid_id == -1);
    ok(hpt__trials_set_attr(&t, row, "s:hpt:grid_id", "17"));
    cr_expect(t.info[row].grid_id == 17 && t.max_grid_id == 17);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(trials_version, grows_with_every_change_and_only_then)
{
    hpt_space *s = two_floats();
    hpt__trials t;
    ok(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    uint64_t last = t.version;
    const int64_t row = add(&t, 0, HPT_TRIAL_RUNNING);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 4; i++) {
            if (i == 0) ok(hpt__trials_set_param(&t, row, "x", 0.5, NULL));
            if (i == 1) ok(hpt__trials_set_param(&t, row, "z", 0.5, "{}"));
            if (i == 2) ok(hpt__trials_report(&t, row, 1, NAN));
            if (i == 3) ok(hpt__trials_set_attr(&t, row, "u:a", "1"));
            cr_expect_eq(t.version > last, again == 0, "change %d, time %d", i, again);
            last = t.version;
        }
    }
    hpt__trials_finish(&t, row, HPT_TRIAL_COMPLETE, &(double){1}, 0);
    cr_expect_gt(t.version, last);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

// ---- memory that runs out

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

static int everything(hpt__trials *t, const hpt_space *s) {
    int64_t row;
    int rc = hpt__trials_init(t, s, 1, HPT_MINIMIZE);
    for (int i = 0; i < 30 && rc >= 0; i++) {
        rc = hpt__trials_add(&row, t, i < 20 ? i : i + 5, i, HPT_TRIAL_RUNNING);
        if (rc >= 0) rc = hpt__trials_set_param(t, row, i % 2 ? "p" : "q", 1.0, i % 3 ? "a" : "b");
        if (rc >= 0) rc = hpt__trials_report(t, row, i, 1.0);
        if (rc >= 0) rc = hpt__trials_set_attr(t, row, "s:hpt:grid_id", "1");
        if (rc >= 0) rc = hpt__trials_set_attr(t, row, "u:b", i % 2 ? "1" : "2");
    }
    return rc;
}

Test(trials_fault, any_allocation_may_fail_and_the_table_stays_whole)
{
    hpt_space *s = two_floats();
    int rc = HPT_E_MEMORY;
    int64_t k = 0;
    for (; rc < 0; k++) {
        hpt__trials t = {0};
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = everything(&t, s);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d", (int)k);
        if (rc < 0 && t.space) { // it goes on
            const int64_t number = 1000;
            const int64_t row = add(&t, number, HPT_TRIAL_RUNNING);
            ok(hpt__trials_set_param(&t, row, "p", 2.0, "c"));
            cr_expect_eq(hpt__trials_row_of(&t, number), row);
            for (int64_t i = 0; i < row; i++) cr_expect_eq(hpt__trials_row_of(&t, t.number[i]), i);
        }
        hpt__trials_fini(&t);
    }
    cr_expect_gt(k, 100);
    hpt_space_destroy(s);
}
