// SPDX-License-Identifier: Apache-2.0
// test_sampler_qmc.c: Sobol points by trial number.
#include "core/space/sobol.h"
#include "sampler_testing.h"
#include <stdio.h>

Test(sampler_qmc, unscrambled_points_are_the_sobol_sequence)
{
    lab l;
    double point[3], expected[2];
    const char *by;
    hpt__sobol *sobol = NULL;
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_constant(s, "c", "1")); // takes no dimension
    OK(hpt_space_add_float(s, "y", -2, 2, 0, 0));
    lab_open(&l, s, NULL, 5);
    l.options.qmc_scramble = false;
    l.ops = &hpt__sampler_qmc_ops;
    OK(l.ops->create(&l.state, &l.env));
    OK(hpt__sobol_create(&sobol, 2, false, 0));
    for (int64_t n = 0; n < 100; n++) {
        blank(point, s);
        OK(l.ops->suggest(point, &by, l.state, &l.table, n));
        cr_expect_str_eq(by, "sobol");
        hpt__sobol_point(expected, sobol, (uint64_t)n);
        cr_expect_eq(point[0], expected[0]);
        cr_expect_eq(point[2], -2 + 4 * expected[1]);
    }
    hpt__sobol_destroy(sobol);
    lab_close(&l);
}

Test(sampler_qmc, scrambled_points_keep_the_net)
{
    // 64 points of two dimensions: each of the 8 x 8 squares has one.
    lab l;
    double point[2];
    const char *by;
    int squares[64] = {0};
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    lab_open(&l, s, "qmc", 99);
    for (int64_t n = 0; n < 64; n++) {
        blank(point, s);
        OK(l.ops->suggest(point, &by, l.state, &l.table, n));
        squares[(int)(point[0] * 8) * 8 + (int)(point[1] * 8)]++;
    }
    for (int i = 0; i < 64; i++) cr_expect_eq(squares[i], 1, "square %d has %d points", i, squares[i]);
    lab_close(&l);
}

Test(sampler_qmc, too_many_dimensions_are_refused_naming_the_limit)
{
    lab l;
    char name[16];
    void *state = NULL;
    hpt_space *s = new_space();
    for (int i = 0; i < HPT__SOBOL_MAX_DIM; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        OK(hpt_space_add_float(s, name, 0, 1, 0, 0));
    }
    lab_open(&l, s, NULL, 1);
    OK(hpt__sampler_qmc_ops.create(&state, &l.env));
    hpt__sampler_qmc_ops.destroy(state);
    state = NULL;
    OK(hpt_space_add_float(s, "one more", 0, 1, 0, 0));
    FAILS(HPT_E_UNSUPPORTED, "1111", hpt__sampler_qmc_ops.create(&state, &l.env));
    cr_expect_null(state);
    // auto starts with random points there
    OK(hpt__sampler_auto_ops.create(&state, &l.env));
    double *point = calloc((size_t)s->d, sizeof *point);
    const char *by;
    blank(point, s);
    OK(hpt__sampler_auto_ops.suggest(point, &by, state, &l.table, 1));
    cr_expect_str_eq(by, "random");
    free(point);
    hpt__sampler_auto_ops.destroy(state);
    lab_close(&l);
}
