// SPDX-License-Identifier: Apache-2.0
// test_sampler_auto.c: the order of what auto does, and that it never repeats a point of a small space.
#include "core/sampler/sampler_visited.h"
#include "core/space/grid.h"
#include "sampler_testing.h"

#include <stdio.h>

Test(sampler_auto, centre_then_sobol_then_gp)
{
    lab l;
    double point[MAX_D];
    const char *by;
    lab_open(&l, mixed_space(), "auto", 9);
    for (int i = 0; i < 40; i++) {
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "auto");
        if (i <= 10)
            cr_expect_str_eq(by, i == 0 ? "centre" : "sobol", "trial %d: %s", i, by);
        else
            cr_expect_eq(strncmp(by, "gp", 2), 0, "trial %d: %s", i, by);
        if (i == 0) {
            cr_expect_float_eq(point[hpt__space_find(l.space, "lr")], sqrt(1e-5), 1e-12);
            cr_expect_eq(point[hpt__space_find(l.space, "optimizer")], 0);
            cr_expect_float_eq(point[hpt__space_find(l.space, "momentum")], 0.495, 1e-12);
            cr_expect(isnan(point[hpt__space_find(l.space, "beta")]));
        }
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), sin(i));
    }
    lab_close(&l);
}

Test(sampler_auto, sobol_goes_on_while_no_trial_has_a_result)
{
    lab l;
    double point[MAX_D];
    const char *by;
    lab_open(&l, mixed_space(), "auto", 9);
    for (int i = 0; i < 60; i++) {
        OK(lab_suggest(point, &by, &l));
        if (i > 0) cr_expect_str_eq(by, "sobol");
        add_row(&l.table, point, HPT_TRIAL_RUNNING);
    }
    for (int i = 0; i < 10; i++) tell(&l.table, i, i);
    OK(lab_suggest(point, &by, &l));
    cr_expect_eq(strncmp(by, "gp", 2), 0, "%s", by);
    lab_close(&l);
}

Test(sampler_auto, tpe_where_a_gaussian_process_cannot_help_and_why)
{
    lab l;
    double point[1];
    const char *by;
    static char names[2001][8];
    static const char *choices[2001];
    for (int i = 0; i < 2001; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%d", i);
        choices[i] = names[i];
    }
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "words", choices, 2001));
    lab_open(&l, s, "auto", 9);
    for (int i = 0; i < 20; i++) {
        OK(lab_suggest(point, &by, &l));
        if (i > 0 && strcmp(by, "enumeration") != 0)
            cr_expect_str_eq(by, i < 16 ? "sobol" : "tpe", "trial %d: %s", i, by);
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), sin(i));
    }
    hpt__str text = HPT__STR_INIT;
    l.ops->describe(&text, l.state);
    cr_expect_str_eq(hpt__str_text(&text), "{\"policy\":\"tpe\",\"because\":\"parameter 'words' has 2001 choices\"}");
    hpt__str_fini(&text);
    lab_close(&l);
}

Test(sampler_auto, several_objectives_get_sobol_points)
{
    lab l;
    double point[MAX_D];
    const char *by;
    lab_open(&l, mixed_space(), NULL, 9);
    l.env.k = 2;
    l.ops = &hpt__sampler_auto_ops;
    OK(l.ops->create(&l.state, &l.env));
    for (int64_t i = 1; i < 40; i++) {
        blank(point, l.space);
        OK(l.ops->suggest(point, &by, l.state, &l.table, i));
        cr_expect_str_eq(by, "sobol");
    }
    lab_close(&l);
}

static hpt_space *finite_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "n", 1, 8, 1, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c")));
    OK(hpt_space_add_float(s, "x", 0, 1, 0.25, 0));
    OK(hpt_space_add_constant(s, "k", "true"));
    OK(hpt_space_add_condition(s, "x", "c", LIST("b", "c")));
    return s;
}

static void no_point_twice(bool batches, uint64_t seed) {
    lab l;
    double points[100][4];
    const char *by;
    int64_t given = 0;
    lab_open(&l, finite_space(), "auto", seed);
    const int64_t size = hpt_space_cardinality(l.space);
    cr_assert_eq(size, 8 * (1 + 5 + 5));
    for (int64_t i = 0; i < size; i++) {
        OK(lab_suggest(points[i], &by, &l));
        check_legal(&l, points[i], "auto");
        for (int64_t j = 0; j < i; j++)
            cr_assert_not(same_points(points[i], points[j], 4), "trial %d is trial %d", (int)i, (int)j);
        if (batches && i % 5 == 0 && i + 2 < size) { // provisional rows, taken back: their points are free again
            double other[4];
            const int64_t n = l.table.n;
            add_row(&l.table, points[i], HPT_TRIAL_RUNNING);
            OK(lab_suggest(other, &by, &l));
            cr_assert_not(same_points(points[i], other, 4));
            add_row(&l.table, other, HPT_TRIAL_RUNNING);
            OK(lab_suggest(other, &by, &l));
            hpt__trials_truncate(&l.table, n);
        }
        const int64_t row = add_row(&l.table, points[i], HPT_TRIAL_RUNNING);
        given++;
        if (i % 7 == 3)
            hpt__trials_finish(&l.table, row, HPT_TRIAL_FAIL, NULL, 0);
        else if (i % 7 != 5)
            tell(&l.table, row, points[i][0] + points[i][1]);
        if (i == 50) { // a new process
            l.ops->destroy(l.state);
            OK(l.ops->create(&l.state, &l.env));
        }
    }
    cr_expect_eq(given, size);
    double point[4];
    cr_expect_eq(lab_suggest(point, &by, &l), HPT_S_EXHAUSTED);
    // A trial whose user fixed something is completed all the same; and the other samplers repeat.
    blank(point, l.space);
    point[0] = 3;
    OK(l.ops->suggest(point, &by, l.state, &l.table, l.table.n));
    check_legal(&l, point, "auto");
    void *state = NULL;
    OK(hpt__sampler_tpe_ops.create(&state, &l.env));
    blank(point, l.space);
    OK(hpt__sampler_tpe_ops.suggest(point, &by, state, &l.table, l.table.n));
    hpt__sampler_tpe_ops.destroy(state);
    lab_close(&l);
}

Test(sampler_auto, a_small_space_is_covered_without_a_repeat)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        no_point_twice(false, seed);
        no_point_twice(true, seed);
    }
}

Test(sampler_auto, a_replaced_point_is_near)
{
    hpt_space *s = new_space();
    hpt__trials t;
    hpt__visited *v = NULL;
    hpt__rng rng;
    OK(hpt_space_add_int(s, "x", 0, 99, 1, 0));
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    OK(hpt__visited_create(&v, s));
    for (int i = 0; i < 60; i++) { // all but 0..19 and 80..99
        const double point[] = {20.0 + i};
        add_row(&t, point, HPT_TRIAL_COMPLETE);
    }
    OK(hpt__visited_sync(v, &t, 60));
    cr_expect_eq(hpt__visited_left(v), 40);
    double point[] = {75};
    cr_expect(hpt__visited_has(v, point));
    hpt__rng_init(&rng, 1, 1);
    hpt__visited_replace(point, v, &rng);
    cr_expect_eq(point[0], 80);
    hpt__visited_destroy(v);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(sampler_auto, only_small_spaces_are_remembered)
{
    hpt__visited *v = NULL;
    hpt_space *s = mixed_space();
    OK(hpt__visited_create(&v, s)); // has floats
    cr_expect_null(v);
    hpt_space_destroy(s);
    s = new_space();
    OK(hpt_space_add_int(s, "a", 1, 1000, 1, 0));
    OK(hpt_space_add_int(s, "b", 1, 100, 1, 0));
    OK(hpt__visited_create(&v, s));
    cr_assert_not_null(v);
    cr_expect_eq(hpt__visited_left(v), 100000);
    hpt__visited_destroy(v);
    OK(hpt_space_add_int(s, "c", 0, 1, 1, 0));
    OK(hpt__visited_create(&v, s));
    cr_expect_null(v);
    hpt_space_destroy(s);
}
