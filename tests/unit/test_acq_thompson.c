// SPDX-License-Identifier: Apache-2.0
// test_acq_thompson.c: points of a large batch are where drawn functions are smallest, each once, and found again.
#include "acq_testing.h"
#include "core/gp/gp_path.h"

static double waves(const double *x, const hpt_space *space) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++)
        if (!isnan(x[i])) sum += sin(5 * x[i] + (double)i) + (x[i] - 0.6) * (x[i] - 0.6);
    return sum;
}

static void ask(double *row, uint64_t *mask, hpt__acq_crowd **crowd, gp_lab *l, int64_t number) {
    cr_assert_eq(hpt__acq_thompson(row, mask, crowd, l->gp, &l->code, &l->options, 11, number), 0, "%s",
                 hpt_last_error());
}

Test(acq_thompson, a_point_is_where_its_function_is_smallest)
{
    enum { D = 2, M = 400 };
    gp_lab l;
    hpt__acq_crowd *crowd = NULL;
    hpt__rng rng;
    double others[M * D], f[M], row[D];
    uint64_t mask, masks[M];
    gp_lab_open(&l, unit_box(D), NAN);
    gp_lab_fill(&l, waves, 20, 5);
    l.options.n_global = l.options.n_local = 2048;
    hpt__rng_init(&rng, 1, 1);
    for (int i = 0; i < M * D; i++) others[i] = hpt__rng_uniform(&rng);
    for (int i = 0; i < M; i++) masks[i] = 1;
    for (int64_t number = 40; number < 52; number++) {
        hpt__gp_paths *paths = NULL;
        double least, at;
        ask(row, &mask, &crowd, &l, number);
        OK(hpt__gp_paths_draw(&paths, l.gp, 11, number, 1));
        OK(hpt__gp_paths_value(&at, 1, paths, l.gp, row, &mask, 1));
        OK(hpt__gp_paths_value(f, M, paths, l.gp, others, masks, M));
        least = f[0];
        for (int i = 1; i < M; i++) least = fmin(least, f[i]);
        cr_expect_lt(at, least + 0.02, "function %d: %g at the point, %g among random ones", (int)number, at, least);
        hpt__gp_paths_destroy(paths);
    }
    hpt__acq_crowd_destroy(crowd);
    gp_lab_close(&l);
}

Test(acq_thompson, no_point_twice_and_the_same_when_asked_alone)
{
    enum { D = 2, Q = 100 };
    gp_lab l;
    hpt__acq_crowd *crowd = NULL;
    double rows[Q * D];
    uint64_t masks[Q];
    gp_lab_open(&l, unit_box(D), 0.05);
    gp_lab_fill(&l, waves, 25, 2);
    l.options.excluded = rows;
    l.options.excluded_mask = masks;
    for (int i = 0; i < Q; i++) {
        l.options.n_excluded = i;
        ask(rows + (size_t)i * D, &masks[i], &crowd, &l, i);
        for (int j = 0; j < i; j++)
            cr_expect(memcmp(rows + (size_t)i * D, rows + (size_t)j * D, D * sizeof *rows) != 0, "%d is %d", i, j);
    }
    for (int i = 0; i < Q; i += 33) { // by one who starts anew
        hpt__acq_crowd *fresh = NULL;
        double row[D];
        uint64_t mask;
        l.options.n_excluded = i;
        ask(row, &mask, &fresh, &l, i);
        cr_expect_eq(memcmp(row, rows + (size_t)i * D, sizeof row), 0, "point %d", i);
        hpt__acq_crowd_destroy(fresh);
    }
    hpt__acq_crowd_destroy(crowd);
    gp_lab_close(&l);
}

Test(acq_thompson, a_space_without_a_free_point_says_so)
{
    gp_lab l;
    hpt__acq_crowd *crowd = NULL;
    double row[2];
    uint64_t mask;
    hpt_space *space = new_space();
    OK(hpt_space_add_int(space, "a", 1, 2, 1, 0));
    OK(hpt_space_add_int(space, "b", 1, 2, 1, 0));
    gp_lab_open(&l, space, NAN);
    for (int i = 0; i < 3; i++) gp_lab_tell(&l, (const double[]){1 + i % 2, 1 + i / 2}, i);
    OK(hpt__gp_ready(l.gp));
    ask(row, &mask, &crowd, &l, 3);
    double point[2];
    hpt__gp_decode(point, &l.code, row);
    cr_expect(point[0] == 2 && point[1] == 2, "the one that is left, not %g, %g", point[0], point[1]);
    gp_lab_tell(&l, point, 5);
    OK(hpt__gp_ready(l.gp));
    cr_expect_eq(hpt__acq_thompson(row, &mask, &crowd, l.gp, &l.code, &l.options, 11, 4), HPT_S_NOTHING);
    hpt__acq_crowd_destroy(crowd);
    hpt__acq_crowd_destroy(NULL);
    gp_lab_close(&l);
}

Test(acq_thompson, an_allocation_that_fails_is_an_error_and_the_next_call_is_right)
{
    gp_lab l;
    double want[2], row[2];
    uint64_t mask;
    hpt__acq_crowd *crowd = NULL;
    gp_lab_open(&l, unit_box(2), NAN);
    gp_lab_fill(&l, waves, 15, 2);
    ask(want, &mask, &crowd, &l, 7);
    hpt__acq_crowd_destroy(crowd);
    int64_t k = 0;
    for (int rc = -1; rc < 0 && k < 200; k++) {
        failing f = {.left = k};
        crowd = NULL;
        hpt__alloc_set_hook(fail_kth, &f);
        rc = hpt__acq_thompson(row, &mask, &crowd, l.gp, &l.code, &l.options, 11, 7);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d: %s", (int)k, hpt_last_error());
        ask(row, &mask, &crowd, &l, 7);
        cr_expect_eq(memcmp(row, want, sizeof row), 0, "after allocation %d failed", (int)k);
        hpt__acq_crowd_destroy(crowd);
    }
    cr_expect(k > 5 && k < 200, "%d allocations", (int)k);
    gp_lab_close(&l);
}
