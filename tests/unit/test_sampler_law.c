// SPDX-License-Identifier: Apache-2.0
// test_sampler_law.c: samplers other than tpe on laws and on choices with probabilities.
#include "core/base/special.h"
#include "core/space/codec.h"
#include "sampler_testing.h"

enum { DRAWS = 4096 };

static hpt_space *law_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "r", 0, 10, 0.5, 0));
    OK(hpt_space_add_normal(s, "n", 3, 2, 0, 0));
    OK(hpt_space_add_normal(s, "w", 4, 1, 8, HPT_LOG | HPT_WHOLE));
    OK(hpt_space_add_beta(s, "b", 2, 5, 0, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("never", "often", "no", "rare")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0, 0.875, 0, 0.125}, 4));
    OK(hpt_space_add_float(s, "child", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "child", "c", LIST("rare", "no")));
    return s;
}

Test(sampler_law, points_of_random_and_of_a_sequence_follow_the_laws)
{
    // What the law's distribution function makes of the points is uniform: over a net nearly exactly, over random points
    // to 1.95 / sqrt(n), which one seed in a thousand exceeds.
    const char *const names[] = {"qmc", "random"};
    const double limits[] = {4.0 / DRAWS, 1.95 / sqrt(DRAWS)};
    for (int k = 0; k < 2; k++) {
        lab l;
        double point[6];
        const char *by;
        int64_t ends = 0, rare = 0, child = 0, n_below[10] = {0}, b_below[10] = {0}, w_small = 0;
        lab_open(&l, law_space(), names[k], 5);
        for (int64_t i = 0; i < DRAWS; i++) {
            blank(point, l.space);
            OK(l.ops->suggest(point, &by, l.state, &l.table, i));
            check_legal(&l, point, names[k]);
            cr_assert(point[4] == 1 || point[4] == 3, "choice %g has probability 0", point[4]);
            cr_assert_eq(point[2], 8 * rint(point[2] / 8));
            ends += point[0] == 0 || point[0] == 10;
            rare += point[4] == 3;
            child += !isnan(point[5]);
            w_small += point[2] <= 56; // X up to 60
            for (int q = 1; q < 10; q++) {
                n_below[q] += hpt__ndtr((point[1] - 3) / 2) < q / 10.0;
                const double x = point[3], y = 1 - x; // shapes 2, 5: 1 - y^6 - 6 x y^5
                b_below[q] += 1 - pow(y, 6) - 6 * x * pow(y, 5) < q / 10.0;
            }
        }
        cr_expect_float_eq((double)ends / DRAWS, 0.05, limits[k]);
        cr_expect_float_eq((double)rare / DRAWS, 0.125, limits[k]);
        cr_expect_float_eq((double)w_small / DRAWS, hpt__ndtr(log(60) - 4), limits[k]);
        cr_expect_eq(child, rare);
        for (int q = 1; q < 10; q++) {
            cr_expect_float_eq((double)n_below[q] / DRAWS, q / 10.0, limits[k], "%s, decile %d", names[k], q);
            cr_expect_float_eq((double)b_below[q] / DRAWS, q / 10.0, limits[k], "%s, decile %d", names[k], q);
        }
        lab_close(&l);
    }
}

Test(sampler_law, the_centre_is_the_median_and_the_likeliest_choice)
{
    lab l;
    double point[6];
    const char *by;
    lab_open(&l, law_space(), "auto", 1);
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "centre");
    cr_expect_eq(point[0], 5.0);
    cr_expect_eq(point[1], 3.0);
    cr_expect_eq(point[2], 56.0); // exp(4) = 54.6
    cr_expect_float_eq(point[3], 0.26444998329566, 1e-13);
    cr_expect_eq(point[4], 1.0);
    cr_expect(isnan(point[5]));
    lab_close(&l);
}

static hpt_space *finite_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "r", 1, 20, 5, HPT_WHOLE | HPT_LOG)); // 0, 5, 10, 15, 20
    OK(hpt_space_add_categorical(s, "c", LIST("never", "a", "no", "b")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0, 0.999, 0, 0.001}, 4));
    return s;
}

Test(sampler_law, a_small_space_is_covered_once_without_choices_of_probability_0)
{
    const char *const names[] = {"grid", "auto"};
    for (int k = 0; k < 2; k++) {
        lab l;
        double points[10][2], fixed[2] = {5, 2}; // a choice of probability 0 that a user enqueued
        const char *by;
        lab_open(&l, finite_space(), names[k], 3);
        tell(&l.table, add_row(&l.table, fixed, HPT_TRIAL_RUNNING), 0);
        for (int i = 0; i < 10; i++) {
            if (l.ops->batch_start) l.ops->batch_start(l.state, &l.table);
            OK(lab_suggest(points[i], &by, &l));
            check_legal(&l, points[i], names[k]);
            cr_assert(points[i][1] == 1 || points[i][1] == 3, "%s: choice %g", names[k], points[i][1]);
            for (int j = 0; j < i; j++)
                cr_assert_not(same_points(points[i], points[j], 2), "%s: %d, %d", names[k], i, j);
            const int64_t row = add_row(&l.table, points[i], HPT_TRIAL_RUNNING);
            l.table.max_grid_id = i;
            tell(&l.table, row, points[i][0]);
        }
        double point[2];
        cr_expect_eq(lab_suggest(point, &by, &l), HPT_S_EXHAUSTED, "%s", names[k]);
        lab_close(&l);
    }
}

Test(sampler_law, normal_laws_are_never_exhausted_and_have_no_grid)
{
    lab l;
    double point[1];
    const char *by;
    hpt_space *s = new_space();
    OK(hpt_space_add_normal(s, "n", 0, 0.2, 1, HPT_WHOLE)); // -1, 0, 1 in 7 sigma
    lab_open(&l, s, "auto", 1);
    for (int i = 0; i < 8; i++) {
        OK(lab_suggest(point, &by, &l));
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), point[0]);
    }
    void *state = NULL;
    FAILS(HPT_E_ARG, "sampler grid: parameter 'n' has a normal law", hpt__sampler_grid_ops.create(&state, &l.env));
    cr_expect_null(state);
    lab_close(&l);
}
