// SPDX-License-Identifier: Apache-2.0
// test_sampler_list.c: the table of samplers, and what all of them promise.
#include "sampler_testing.h"

static const char *const NAMES[] = {"auto", "gp", "tpe", "random", "qmc", "grid"};
enum { N_NAMES = sizeof NAMES / sizeof *NAMES };

Test(sampler_list, every_sampler_has_a_name_and_a_line)
{
    int64_t n = 0;
    for (; hpt_sampler_name(n); n++) {
        const hpt__sampler_ops *ops = NULL;
        const char *doc = hpt_sampler_doc(n);
        cr_assert(doc && strlen(doc) > 10 && !strchr(doc, '\n'));
        OK(hpt__sampler_find(&ops, hpt_sampler_name(n)));
        cr_expect_str_eq(ops->name, hpt_sampler_name(n));
    }
    cr_expect_eq(n, N_NAMES);
    cr_expect_null(hpt_sampler_name(-1));
    cr_expect_null(hpt_sampler_doc(n));
    for (int i = 0; i < N_NAMES; i++) {
        const hpt__sampler_ops *ops = NULL;
        OK(hpt__sampler_find(&ops, NAMES[i]));
    }
}

Test(sampler_list, an_unknown_name_is_answered_with_the_nearest_and_all)
{
    const hpt__sampler_ops *ops = NULL;
    FAILS(HPT_E_ARG, "did you mean 'random'", hpt__sampler_find(&ops, "randon"));
    FAILS(HPT_E_ARG, "auto, gp, tpe, random, qmc, grid", hpt__sampler_find(&ops, "xyzzy-plugh"));
    FAILS(HPT_E_ARG, "no sampler", hpt__sampler_find(&ops, NULL));
}

Test(sampler_list, points_are_legal_and_fixed_coordinates_stay)
{
    for (int i = 0; i < N_NAMES; i++) {
        lab l;
        double point[MAX_D];
        if (strcmp(NAMES[i], "grid") == 0) continue; // needs a finite space: test_sampler_grid.c
        lab_open(&l, mixed_space(), NAMES[i], 11);
        const int64_t optimizer = hpt__space_find(l.space, "optimizer"), lr = hpt__space_find(l.space, "lr");
        const int64_t momentum = hpt__space_find(l.space, "momentum");
        for (int64_t n = 0; n < 60; n++) {
            const char *by = NULL;
            blank(point, l.space);
            const bool fixed = n % 3 == 0;
            if (fixed) {
                point[optimizer] = (double)(n % 2); // sgd, adam
                point[lr] = 0.25;
                point[momentum] = 0.5; // has no place beside adam
            }
            OK(l.ops->suggest(point, &by, l.state, &l.table, n));
            check_legal(&l, point, NAMES[i]);
            cr_assert_not_null(by);
            if (fixed) {
                cr_expect_eq(point[optimizer], (double)(n % 2));
                cr_expect_eq(point[lr], 0.25);
                cr_expect(n % 2 ? isnan(point[momentum]) : point[momentum] == 0.5);
            }
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), sin((double)n));
        }
        lab_close(&l);
    }
}

Test(sampler_list, the_same_seed_gives_the_same_points_and_another_seed_others)
{
    for (int i = 0; i < N_NAMES; i++) {
        if (strcmp(NAMES[i], "grid") == 0) continue;
        lab a, b, c;
        double p[MAX_D], q[MAX_D], r[MAX_D];
        const char *by;
        bool differs = false;
        lab_open(&a, mixed_space(), NAMES[i], 5);
        lab_open(&b, mixed_space(), NAMES[i], 5);
        lab_open(&c, mixed_space(), NAMES[i], 6);
        for (int64_t n = 0; n < 40; n++) {
            OK(lab_suggest(p, &by, &a));
            OK(lab_suggest(q, &by, &b));
            OK(lab_suggest(r, &by, &c));
            cr_assert(same_points(p, q, a.space->d), "%s, trial %d", NAMES[i], (int)n);
            if (!same_points(p, r, a.space->d)) differs = true;
            tell(&a.table, add_row(&a.table, p, HPT_TRIAL_RUNNING), cos((double)n));
            tell(&b.table, add_row(&b.table, q, HPT_TRIAL_RUNNING), cos((double)n));
            tell(&c.table, add_row(&c.table, r, HPT_TRIAL_RUNNING), cos((double)n));
        }
        cr_expect(differs, "%s ignores the seed", NAMES[i]);
        lab_close(&a);
        lab_close(&b);
        lab_close(&c);
    }
}

Test(sampler_list, a_space_of_constants_or_of_nothing_is_fine)
{
    for (int i = 0; i < N_NAMES; i++) {
        for (int constants = 0; constants < 2; constants++) {
            lab l;
            double point[MAX_D];
            const char *by;
            hpt_space *s = new_space();
            if (constants) {
                OK(hpt_space_add_constant(s, "a", "1"));
                OK(hpt_space_add_constant(s, "b", "\"x\""));
            }
            lab_open(&l, s, NAMES[i], 1);
            l.options.tpe_n_startup = 0;
            OK(lab_suggest(point, &by, &l));
            check_legal(&l, point, NAMES[i]);
            lab_close(&l);
        }
    }
}

Test(sampler_list, every_failed_allocation_is_reported_and_the_next_call_goes_on)
{
    for (int i = 0; i < N_NAMES; i++) {
        bool again = true;
        const bool searches = strcmp(NAMES[i], "auto") == 0 || strcmp(NAMES[i], "gp") == 0; // slow under sanitizers
        const int n_trials = searches ? 8 : 30;
        for (int64_t k = 0; again; k++) {
            cr_assert_lt(k, 2000);
            lab l;
            double point[MAX_D];
            hpt_space *s = strcmp(NAMES[i], "tpe") == 0 ? mixed_space() : new_space();
            if (s->d == 0) {
                OK(hpt_space_add_int(s, "n", 1, 20, 1, 0));
                OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c")));
            }
            lab_open(&l, s, NULL, 3);
            l.options.tpe_n_startup = 2;
            l.options.auto_n_startup = l.options.gp_n_startup = 2;
            OK(hpt__sampler_find(&l.ops, NAMES[i]));
            failing f = {.left = k};
            hpt__alloc_set_hook(fail_kth, &f);
            int rc = l.ops->create(&l.state, &l.env);
            cr_assert(rc == 0 || (rc == HPT_E_MEMORY && f.failed), "%s gave %d", NAMES[i], rc);
            hpt__alloc_set_hook(NULL, NULL);
            for (int n = 0; n < n_trials && rc == 0; n++) {
                const char *by;
                hpt__alloc_set_hook(fail_kth, &f);
                int got = lab_suggest(point, &by, &l);
                hpt__alloc_set_hook(NULL, NULL);
                if (got == HPT_E_MEMORY && f.failed) got = lab_suggest(point, &by, &l); // and goes on after it
                cr_assert_eq(got, 0, "%s, allocation %d: %d %s", NAMES[i], (int)k, got, hpt_last_error());
                check_legal(&l, point, NAMES[i]);
                add_row(&l.table, point, HPT_TRIAL_RUNNING);
                if (n >= 2) tell(&l.table, n - 2, (double)(n * 7 % 5));
            }
            again = f.failed;
            if (rc < 0) l.ops = NULL;
            lab_close(&l);
        }
    }
}
