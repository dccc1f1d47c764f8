// SPDX-License-Identifier: Apache-2.0
// test_sampler_grid.c: every point once, across batches and resumed studies.
#include "core/space/grid.h"
#include "sampler_testing.h"

static hpt_space *small_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "b", 1, 3, 1, 0));
    OK(hpt_space_add_categorical(s, "a", LIST("x", "y")));
    OK(hpt_space_add_float(s, "c", 0, 1, 0.5, 0));
    OK(hpt_space_add_condition(s, "c", "a", LIST("y")));
    return s;
}

Test(sampler_grid, each_point_comes_once_and_then_it_is_exhausted)
{
    lab l;
    double points[20][3];
    const char *by;
    lab_open(&l, small_space(), "grid", 1);
    hpt__grid *grid = NULL;
    OK(hpt__grid_create(&grid, l.space));
    const int64_t size = hpt__grid_size(grid);
    cr_assert_eq(size, 3 * (1 + 3));
    for (int64_t i = 0; i < size; i++) {
        double expected[3];
        l.ops->batch_start(l.state, &l.table);
        OK(lab_suggest(points[i], &by, &l));
        cr_expect_str_eq(by, "grid");
        check_legal(&l, points[i], "grid");
        cr_expect_eq(l.ops->grid_id(l.state), i);
        hpt__grid_point(expected, grid, i);
        cr_expect(same_points(points[i], expected, 3));
        for (int64_t j = 0; j < i; j++) cr_assert_not(same_points(points[i], points[j], 3));
        const int64_t row = add_row(&l.table, points[i], HPT_TRIAL_RUNNING);
        l.table.info[row].grid_id = i;
        l.table.max_grid_id = i;
        // What becomes of the trial makes no difference.
        if (i % 2) hpt__trials_finish(&l.table, row, HPT_TRIAL_FAIL, NULL, 0);
        // A new process: only the table is left.
        if (i == 5) {
            l.ops->destroy(l.state);
            OK(l.ops->create(&l.state, &l.env));
        }
    }
    l.ops->batch_start(l.state, &l.table);
    double point[3];
    cr_expect_eq(lab_suggest(point, &by, &l), HPT_S_EXHAUSTED);
    cr_expect_eq(l.ops->grid_id(l.state), -1);
    hpt__grid_destroy(grid);
    lab_close(&l);
}

Test(sampler_grid, a_batch_counts_on_before_its_rows_are_in_the_table)
{
    lab l;
    double point[3];
    const char *by;
    lab_open(&l, small_space(), "grid", 1);
    for (int round = 0; round < 2; round++) { // the second: the batch was not stored
        l.ops->batch_start(l.state, &l.table);
        for (int64_t i = 0; i < 12; i++) {
            OK(lab_suggest(point, &by, &l));
            cr_expect_eq(l.ops->grid_id(l.state), i);
        }
        cr_expect_eq(lab_suggest(point, &by, &l), HPT_S_EXHAUSTED);
    }
    l.table.max_grid_id = 6; // another worker was faster
    l.ops->batch_start(l.state, &l.table);
    OK(lab_suggest(point, &by, &l));
    cr_expect_eq(l.ops->grid_id(l.state), 7);
    lab_close(&l);
}

Test(sampler_grid, a_trial_with_fixed_coordinates_takes_no_number)
{
    lab l;
    double point[3];
    const char *by;
    lab_open(&l, small_space(), "grid", 1);
    OK(lab_suggest(point, &by, &l));
    blank(point, l.space);
    point[1] = 1;
    OK(l.ops->suggest(point, &by, l.state, &l.table, 1));
    cr_expect_str_eq(by, "random");
    cr_expect_eq(point[1], 1);
    check_legal(&l, point, "grid");
    cr_expect_eq(l.ops->grid_id(l.state), -1);
    OK(lab_suggest(point, &by, &l));
    cr_expect_eq(l.ops->grid_id(l.state), 1);
    lab_close(&l);
}

Test(sampler_grid, an_infinite_space_is_refused_by_name)
{
    lab l;
    lab_open(&l, mixed_space(), NULL, 1);
    void *state = NULL;
    FAILS(HPT_E_ARG, "'momentum'", hpt__sampler_grid_ops.create(&state, &l.env));
    FAILS(HPT_E_ARG, "sampler grid", hpt__sampler_grid_ops.create(&state, &l.env));
    FAILS(HPT_E_ARG, "step", hpt__sampler_grid_ops.create(&state, &l.env));
    cr_expect_null(state);
    lab_close(&l);
}
