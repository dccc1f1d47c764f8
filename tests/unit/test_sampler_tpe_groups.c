// SPDX-License-Identifier: Apache-2.0
// test_sampler_tpe_groups.c: TPE's groups of parameters, by declared conditions and by what trials had together. Against
// Optuna's groups: oracle_tpe.py; with a program of Optuna's: oracle_tpe_branches.py.
#include "core/sampler/tpe_groups.h"
#include "sampler_testing.h"

// A space as it is derived from the trials of a program with branches: no conditions.
static hpt_space *flat_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "branch", LIST("a", "b", "c")));
    OK(hpt_space_add_float(s, "common", -1, 1, 0, 0));
    OK(hpt_space_add_float(s, "pa", -1, 1, 0, 0));
    OK(hpt_space_add_int(s, "na", 1, 9, 1, 0));
    OK(hpt_space_add_float(s, "pb", -1, 1, 0, 0));
    OK(hpt_space_add_float(s, "pc", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "qc", 1e-6, 1, 0, HPT_LOG));
    OK(hpt_space_add_int(s, "fixed", 3, 3, 1, 0));
    return s;
}

enum { D = 8 };

// A point as that program would have drawn it.
static void branch_point(double *point, const hpt_space *space, hpt__rng *rng) {
    blank(point, space);
    hpt__sampler_fill_random(point, space, rng);
    if (point[0] != 0) point[2] = point[3] = NAN;
    if (point[0] != 1) point[4] = NAN;
    if (point[0] != 2) point[5] = point[6] = NAN;
}

// Each branch has a minimum of its own; that of "c", which needs two parameters right, is the lowest.
static double branch_value(const double *p) {
    if (p[0] == 0) return 2 + fabs(p[2]) + fabs(p[1]);
    if (p[0] == 1) return 1 + p[4] * p[4] + fabs(p[1]);
    return fabs(p[5] - 0.7) + fabs(log10(p[6]) + 3) + 0.1 * fabs(p[1]);
}

static void expect_groups(const hpt__tpe_groups *g, const int *groups, const char *when) {
    for (int i = 0; i < D; i++)
        cr_expect_eq(g->group_of[i], groups[i], "%s: parameter %d in group %d", when, i, (int)g->group_of[i]);
}

Test(sampler_tpe_groups, finished_trials_divide_a_group_into_what_they_had_and_what_they_lacked)
{
    hpt_space *s = flat_space();
    hpt__trials t;
    hpt__tpe_groups g;
    bool changed;
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    OK(hpt__tpe_groups_init(&g, s, true));
    expect_groups(&g, (const int[]){0, 0, 0, 0, 0, 0, 0, 1}, "at first");
    const double a[D] = {0, 0.5, 0.1, 3, NAN, NAN, NAN, 3}, b[D] = {1, 0.5, NAN, NAN, 50, NAN, NAN, 3};
    const double all[D] = {1, 0.5, 0, 1, 0, 0.5, 0.5, 3}, none[D] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    const double odd[D] = {NAN, 0.5, NAN, 1, NAN, NAN, NAN, NAN};
    add_row(&t, all, HPT_TRIAL_COMPLETE);
    add_row(&t, none, HPT_TRIAL_PRUNED);
    OK(hpt__tpe_groups_update(&changed, &g, &t));
    cr_expect_not(changed);
    add_row(&t, a, HPT_TRIAL_FAIL);
    const int64_t running = add_row(&t, a, HPT_TRIAL_RUNNING);
    add_row(&t, odd, HPT_TRIAL_WAITING);
    OK(hpt__tpe_groups_update(&changed, &g, &t));
    cr_expect_not(changed, "failed, running and waiting trials divide nothing");
    hpt__trials_set_state(&t, running, HPT_TRIAL_PRUNED);
    OK(hpt__tpe_groups_update(&changed, &g, &t));
    cr_expect(changed);
    expect_groups(&g, (const int[]){0, 0, 0, 0, 1, 1, 1, 2}, "after a");
    add_row(&t, b, HPT_TRIAL_COMPLETE); // a value outside the range is present
    OK(hpt__tpe_groups_update(&changed, &g, &t));
    cr_expect(changed);
    expect_groups(&g, (const int[]){0, 0, 1, 1, 2, 3, 3, 4}, "after a and b; what no trial had alone stays together");
    OK(hpt__tpe_groups_update(&changed, &g, &t));
    cr_expect_not(changed);
    hpt__tpe_groups_fini(&g);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(sampler_tpe_groups, groups_do_not_depend_on_the_order_of_trials)
{
    hpt_space *s = flat_space();
    hpt__rng rng;
    double points[12][D];
    hpt__tpe_groups first;
    bool changed;
    hpt__rng_init(&rng, 3, 3);
    for (int repeat = 0; repeat < 200; repeat++) {
        for (int i = 0; i < 12; i++) {
            hpt__sampler_fill_random(points[i], s, &rng);
            for (int j = 0; j < D; j++)
                if (hpt__rng_below(&rng, 12) < 1) points[i][j] = NAN;
        }
        for (int order = 0; order < 3; order++) {
            hpt__trials t;
            hpt__tpe_groups g;
            OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
            OK(hpt__tpe_groups_init(&g, s, true));
            for (int i = 0; i < 12; i++) {
                add_row(&t, points[order == 0 ? i : order == 1 ? 11 - i : (5 * i + 3) % 12], HPT_TRIAL_COMPLETE);
                if (order == 1) OK(hpt__tpe_groups_update(&changed, &g, &t));
            }
            OK(hpt__tpe_groups_update(&changed, &g, &t));
            if (order == 0) {
                first = g;
            } else {
                cr_assert_eq(g.n, first.n);
                cr_assert_arr_eq(g.group_of, first.group_of, D * sizeof *g.group_of);
                hpt__tpe_groups_fini(&g);
            }
            hpt__trials_fini(&t);
        }
        hpt__tpe_groups_fini(&first);
    }
    hpt_space_destroy(s);
}

// Trials with every outcome, of the sampler's own points: no group of a space with declared conditions is ever divided.
Test(sampler_tpe_groups, our_own_trials_never_divide_a_group_of_a_conditional_space)
{
    lab l;
    double point[MAX_D];
    const char *by;
    hpt__tpe_groups g, declared;
    bool changed;
    lab_open(&l, mixed_space(), "tpe", 5);
    OK(hpt__tpe_groups_init(&g, l.space, true));
    OK(hpt__tpe_groups_init(&declared, l.space, true));
    for (int i = 0; i < 150; i++) {
        OK(lab_suggest(point, &by, &l));
        const int64_t row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
        if (i % 7 == 3)
            hpt__trials_finish(&l.table, row, HPT_TRIAL_FAIL, NULL, 0);
        else if (i % 7 == 5)
            hpt__trials_finish(&l.table, row, HPT_TRIAL_PRUNED, NULL, 0);
        else if (i % 7 != 6)
            tell(&l.table, row, sin(i));
        OK(hpt__tpe_groups_update(&changed, &g, &l.table));
        cr_assert_not(changed, "trial %d", i);
    }
    cr_expect_eq(g.n, declared.n);
    cr_expect_arr_eq(g.group_of, declared.group_of, (size_t)l.space->d * sizeof *g.group_of);
    hpt__tpe_groups_fini(&g);
    hpt__tpe_groups_fini(&declared);
    lab_close(&l);
}

// What a state that saw the trials come answers, and one made from nothing, while groups are being divided.
Test(sampler_tpe_groups, suggestions_do_not_depend_on_when_the_groups_were_divided)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        lab l;
        hpt__rng rng;
        double point[MAX_D], again[MAX_D];
        const char *by;
        int64_t running = -1;
        lab_open(&l, flat_space(), "tpe", seed);
        hpt__rng_init(&rng, seed, 9);
        for (int i = 0; i < 120; i++) {
            void *fresh = NULL;
            OK(lab_suggest(point, &by, &l));
            check_legal(&l, point, "tpe");
            OK(l.ops->create(&fresh, &l.env));
            blank(again, l.space);
            OK(l.ops->suggest(again, &by, fresh, &l.table, l.table.n));
            l.ops->destroy(fresh);
            cr_assert(same_points(point, again, l.space->d), "seed %d trial %d", (int)seed, i);
            // First full trials, so that estimators are filled before the groups are divided.
            if (i >= 30 && i % 3) branch_point(point, l.space, &rng);
            const int64_t row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
            if (i >= 60 && i % 10 == 0) OK(hpt__trials_set_param(&l.table, row, "pc", 7.5, NULL)); // outside
            if (running >= 0) tell(&l.table, running, branch_value(point));
            running = i % 4 == 0 ? row : -1;
            if (running < 0) tell(&l.table, row, branch_value(point));
        }
        lab_close(&l);
    }
}

Test(sampler_tpe_groups, a_value_outside_its_range_makes_a_trial_unusable_for_its_group_only)
{
    double points[2][MAX_D];
    const char *by;
    for (int outside = 0; outside < 2; outside++) {
        lab l;
        hpt__rng rng;
        double point[MAX_D];
        lab_open(&l, flat_space(), "tpe", 4);
        hpt__rng_init(&rng, 1, 1);
        for (int i = 0; i < 60; i++) {
            branch_point(point, l.space, &rng);
            const double value = branch_value(point);
            if (outside && point[0] == 2 && i % 2) point[5] = 7.5;
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), value);
        }
        OK(lab_suggest(points[outside], &by, &l));
        lab_close(&l);
    }
    // The groups {branch, common}, {pa, na} and {pb} are chosen before {pc, qc} from the same stream of random numbers.
    for (int i = 0; i < 5; i++) cr_expect_eq(points[0][i], points[1][i], "parameter %d", i);
    cr_expect_neq(points[0][5], points[1][5]);
}

Test(sampler_tpe_groups, a_study_of_branches_is_gone_on_with_in_the_good_one)
{
    int n_good = 0, n_random = 0;
    enum { SEEDS = 10, ASKS = 40 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lab l;
        hpt__rng rng;
        double point[MAX_D];
        const char *by;
        lab_open(&l, flat_space(), "tpe", seed);
        hpt__rng_init(&rng, seed, 2);
        for (int i = 0; i < 60; i++) {
            branch_point(point, l.space, &rng);
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), branch_value(point));
        }
        for (int i = 0; i < ASKS; i++) {
            OK(lab_suggest(point, &by, &l));
            cr_expect_str_eq(by, "tpe");
            check_legal(&l, point, "tpe");
            n_good += point[0] == 2;
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), branch_value(point));
            blank(point, l.space);
            hpt__sampler_fill_random(point, l.space, &rng);
            n_random += point[0] == 2;
        }
        lab_close(&l);
    }
    cr_log_info("of %d trials tpe has %d in the good branch, random %d", SEEDS * ASKS, n_good, n_random);
    cr_expect_gt(n_good, 2 * n_random);
}

static int build_and_divide(void) {
    hpt_space *s = flat_space();
    hpt__options options;
    hpt_direction direction = HPT_MINIMIZE;
    hpt__options_default(&options);
    const hpt__sampler_env env = {.space = s, .options = &options, .directions = &direction, .k = 1, .seed = 1};
    hpt__trials t;
    hpt__rng rng;
    failing f = {.left = INT64_MAX};
    double point[MAX_D], again[MAX_D];
    const char *by;
    int k = 0;
    hpt__rng_init(&rng, 1, 1);
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    for (int i = 0; i < 30; i++) {
        branch_point(point, s, &rng);
        tell(&t, add_row(&t, point, HPT_TRIAL_RUNNING), branch_value(point));
    }
    for (bool failed = true; failed; k++) {
        void *state = NULL;
        f = (failing){.left = k};
        hpt__alloc_set_hook(fail_kth, &f);
        int rc = hpt__sampler_tpe_ops.create(&state, &env);
        if (rc == 0) {
            blank(point, s);
            rc = hpt__sampler_tpe_ops.suggest(point, &by, state, &t, t.n);
        }
        hpt__alloc_set_hook(NULL, NULL);
        failed = f.failed;
        cr_expect_eq(rc, failed ? HPT_E_MEMORY : 0, "allocation %d", k);
        if (failed && state) { // the state goes on as if nothing had happened
            blank(point, s);
            OK(hpt__sampler_tpe_ops.suggest(point, &by, state, &t, t.n));
            if (k > 0 && by[0] == 't') {
                void *fresh = NULL;
                OK(hpt__sampler_tpe_ops.create(&fresh, &env));
                blank(again, s);
                OK(hpt__sampler_tpe_ops.suggest(again, &by, fresh, &t, t.n));
                cr_expect(same_points(point, again, s->d), "allocation %d", k);
                hpt__sampler_tpe_ops.destroy(fresh);
            }
        }
        hpt__sampler_tpe_ops.destroy(state);
    }
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
    return k;
}

Test(sampler_tpe_groups, every_allocation_may_fail_while_groups_are_divided)
{ cr_expect_gt(build_and_divide(), 30); }
