// SPDX-License-Identifier: Apache-2.0
// test_acq_suggest.c: suggestions of the public surrogate.
#include "sampler_testing.h"

#include <hpt/gp.h>

static hpt_gp *open_gp(int64_t a, int64_t b) {
    hpt_space *space = new_space();
    OK(hpt_space_add_int(space, "a", 1, a, 1, 0));
    OK(hpt_space_add_int(space, "b", 1, b, 1, 0));
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    o.device = "ref";
    hpt_gp *gp = NULL;
    OK(hpt_gp_create(&gp, space, &o));
    hpt_space_destroy(space);
    return gp;
}

static double f(const double *p) {
    return fabs(p[0] - 7) + fabs(p[1] - 3);
}

static void tell_some(hpt_gp *gp) {
    const double points[] = {1, 1, 9, 9, 5, 5, 2, 8, 8, 2, 4, 6};
    for (int i = 0; i < 6; i++) {
        const double y = f(points + 2 * i);
        OK(hpt_gp_append(gp, points + 2 * i, &y, 1));
    }
    cr_assert_geq(hpt_gp_fit(gp), 0);
}

Test(acq_suggest, finds_the_minimum_and_gives_no_point_twice)
{
    hpt_gp *gp = open_gp(20, 20);
    double points[2 * 40], best = INFINITY;
    int64_t n = 0;
    tell_some(gp);
    for (int round = 0; round < 8; round++) {
        double *p = points + 2 * n;
        OK(hpt_gp_suggest(gp, p, 4, NULL, 0));
        for (int i = 0; i < 4; i++, n++) {
            for (int64_t j = 0; j < n; j++)
                cr_expect(points[2 * j] != p[2 * i] || points[2 * j + 1] != p[2 * i + 1], "%d", (int)n);
            const double y = f(p + 2 * i);
            best = fmin(best, y);
            OK(hpt_gp_append(gp, p + 2 * i, &y, 1));
        }
        cr_assert_geq(hpt_gp_fit(gp), 0);
    }
    cr_expect_eq(best, 0);
    cr_expect_eq(hpt_gp_n(gp), 38);
    hpt_gp_destroy(gp);
}

Test(acq_suggest, pending_points_are_kept_away_from_and_forgotten_after)
{
    hpt_gp *gp = open_gp(20, 20);
    double first[2], second[2], mean[2], sd[2];
    tell_some(gp);
    OK(hpt_gp_suggest(gp, first, 1, NULL, 0));
    OK(hpt_gp_predict(gp, first, 1, mean, sd));
    OK(hpt_gp_suggest(gp, second, 1, first, 1));
    cr_expect(first[0] != second[0] || first[1] != second[1]);
    OK(hpt_gp_predict(gp, first, 1, mean + 1, sd + 1));
    cr_expect_float_eq(mean[0], mean[1], 1e-9);
    cr_expect_float_eq(sd[0], sd[1], 1e-9);
    hpt_gp_destroy(gp);
}

Test(acq_suggest, says_when_nothing_is_left)
{
    hpt_gp *gp = open_gp(2, 2);
    const double told[] = {1, 1, 2, 2}, y[] = {1, 2};
    double points[6];
    OK(hpt_gp_append(gp, told, y, 2));
    cr_expect_eq(hpt_gp_suggest(gp, points, 3, NULL, 0), HPT_S_EXHAUSTED);
    cr_expect(points[0] != points[1] && points[2] != points[3], "two are left");
    hpt_gp_destroy(gp);
}

Test(acq_suggest, bad_arguments)
{
    hpt_gp *gp = open_gp(9, 9);
    double points[2];
    const double outside[] = {1, 10};
    FAILS(HPT_E_STATE, "nothing was told", hpt_gp_suggest(gp, points, 1, NULL, 0));
    tell_some(gp);
    FAILS(HPT_E_ARG, "NULL", hpt_gp_suggest(NULL, points, 1, NULL, 0));
    FAILS(HPT_E_ARG, "NULL", hpt_gp_suggest(gp, NULL, 1, NULL, 0));
    FAILS(HPT_E_ARG, "NULL", hpt_gp_suggest(gp, points, 1, NULL, 1));
    FAILS(HPT_E_ARG, "'b'", hpt_gp_suggest(gp, points, 1, outside, 1));
    OK(hpt_gp_suggest(gp, NULL, 0, NULL, 0));
    hpt_gp_destroy(gp);
}

Test(acq_suggest, an_allocation_that_fails_is_an_error_and_the_next_call_goes_on)
{
    hpt_gp *gp = open_gp(20, 20);
    tell_some(gp);
    for (int64_t k = 0;; k++) {
        double points[8];
        failing left = {.left = k};
        hpt__alloc_set_hook(fail_kth, &left);
        int rc = hpt_gp_suggest(gp, points, 4, NULL, 0); // from four on they share candidates
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect_eq(rc, left.failed ? HPT_E_MEMORY : 0, "allocation %d: %d", (int)k, rc);
        OK(hpt_gp_suggest(gp, points, 1, NULL, 0));
        if (!left.failed) break;
    }
    hpt_gp_destroy(gp);
}

Test(acq_suggest, a_tell_that_fails_leaves_what_was_told)
{
    enum { MANY = 200 };
    hpt_gp *gp = open_gp(20, 20);
    double points[2 * MANY], y[MANY], mean[2];
    const double at[] = {3, 4};
    tell_some(gp);
    OK(hpt_gp_predict(gp, at, 1, mean, NULL));
    for (int i = 0; i < MANY; i++) {
        points[2 * i] = 1 + i % 20;
        points[2 * i + 1] = 1 + i / 20;
        y[i] = f(points + 2 * i);
    }
    for (int64_t k = 0;; k++) {
        failing left = {.left = k};
        hpt__alloc_set_hook(fail_kth, &left);
        const int rc = hpt_gp_tell(gp, points, y, MANY);
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect_eq(rc, left.failed ? HPT_E_MEMORY : 0, "allocation %d: %d", (int)k, rc);
        if (!left.failed) break;
        cr_expect_eq(hpt_gp_n(gp), 6, "allocation %d", (int)k);
        OK(hpt_gp_predict(gp, at, 1, mean + 1, NULL));
        cr_expect_eq(mean[0], mean[1], "allocation %d", (int)k);
    }
    cr_expect_eq(hpt_gp_n(gp), MANY);
    hpt_gp_destroy(gp);
}
