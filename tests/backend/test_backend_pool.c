// SPDX-License-Identifier: Apache-2.0
// test_backend_pool.c: candidates that stay against posteriors made anew, and what makes a set void.
#include "backend_testing.h"

typedef struct stay { // a model of which `told` points have values, the rest comes later
    fitted f;
    double *z, *mean, *var, *want;
    uint64_t *zmask;
    int64_t told, m, pool;
} stay;

static void stay_init(stay *s, hpt__device *device, uint64_t seed, int64_t told, int64_t more, int64_t m) {
    *s = (stay){.told = told, .m = m};
    fitted_init(&s->f, device, seed, (hpt__cov_kind)(seed % 3), 1 + (int64_t)seed % 7, 1 + (int64_t)seed % 4,
                told + more);
    const int64_t d = s->f.p.cov.d;
    s->z = numbers(m * d);
    s->mean = numbers(m);
    s->var = numbers(m);
    s->want = numbers(2 * m);
    s->zmask = words(m);
    problem_points(&s->f.p, s->z, s->zmask, m);
    OK(hpt__model_truncate(s->f.model, told));
    OK(hpt__model_set_y(s->f.model, s->f.y, told));
}

static void stay_fini(stay *s) {
    free(s->z);
    free(s->mean);
    free(s->var);
    free(s->want);
    free(s->zmask);
    fitted_fini(&s->f);
}

static void set(stay *s) {
    OK(hpt__model_pool_set(&s->pool, s->f.model, s->f.x, s->f.mask, s->z, s->zmask, s->m, s->mean, s->var));
    cr_assert_gt(s->pool, 0);
}

static void append_point(stay *s) {
    double logdet;
    const int64_t n = hpt__model_points(s->f.model), d = s->f.p.cov.d;
    OK(hpt__model_set_points(s->f.model, n, s->f.x + n * d, s->f.mask + n, 1));
    OK(hpt__model_append(s->f.model, &logdet));
}

static int take_in(stay *s) {
    return hpt__model_pool_append(s->pool, s->f.model, s->f.x, s->f.mask, s->z, s->zmask, s->m, s->var);
}

static void agree(const stay *s, const char *when) {
    OK(hpt__model_posterior(s->f.model, s->z, s->zmask, s->m, s->want, s->want + s->m, NULL, NULL));
    for (int64_t j = 0; j < s->m; j++) {
        near_number(s->mean[j], s->want[j], 1e-11, 1e-10, when, j);
        near_number(fmax(s->var[j], 0), s->want[s->m + j], 1e-11, 1e-9, when, j);
    }
}

BACKEND_TEST(pool, variances_follow_each_point_that_is_appended) {
    static const struct { int64_t told, more, m; } many[] = {{1, 3, 1}, {30, 40, 70}, {63, 70, 300}, {200, 5, 33}};
    for (int64_t at = 0; at < COUNT(many); at++) {
        stay s;
        stay_init(&s, device, 80 + (uint64_t)at, many[at].told, many[at].more, many[at].m);
        set(&s);
        agree(&s, "at first");
        for (int64_t i = 0; i < many[at].more; i++) { // past the room of 64 rows
            append_point(&s);
            OK(take_in(&s));
            agree(&s, "after a point");
        }
        stay_fini(&s);
    }
}

BACKEND_TEST(pool, another_factor_and_rows_that_are_dropped_make_it_void) {
    stay s;
    double jitter, logdet;
    stay_init(&s, device, 91, 20, 6, 40);
    set(&s);
    FAILS(HPT_S_NOTHING, take_in(&s)); // nothing was appended
    append_point(&s);
    append_point(&s);
    FAILS(HPT_S_NOTHING, take_in(&s)); // two at once
    OK(hpt__model_truncate(s.f.model, 20));
    set(&s);
    append_point(&s);
    OK(take_in(&s));
    const int64_t older = s.pool;
    OK(hpt__model_truncate(s.f.model, 20)); // and one row in its place
    append_point(&s);
    FAILS(HPT_S_NOTHING, take_in(&s));
    OK(hpt__model_truncate(s.f.model, 20));
    set(&s);
    cr_expect_neq(s.pool, older);
    append_point(&s);
    s.pool = older;
    FAILS(HPT_S_NOTHING, take_in(&s)); // the number of another set
    OK(hpt__model_truncate(s.f.model, 20));
    set(&s);
    append_point(&s);
    OK(hpt__model_factor(s.f.model, s.f.p.theta, &jitter, &logdet));
    FAILS(HPT_S_NOTHING, take_in(&s)); // another factor
    OK(hpt__model_set_y(s.f.model, s.f.y, 20));
    s.m = 10; // fewer than before, with more rows
    set(&s);
    agree(&s, "again");
    stay_fini(&s);
}

BACKEND_TEST(pool, no_candidates_are_a_set_too) {
    stay s;
    stay_init(&s, device, 92, 5, 2, 1);
    s.m = 0;
    set(&s);
    append_point(&s);
    OK(take_in(&s));
    stay_fini(&s);
}

BACKEND_TEST(pool, bad_arguments_are_refused) {
    stay s;
    stay_init(&s, device, 93, 5, 2, 4);
    hpt__model *model = s.f.model;
    FAILS(HPT_E_ARG, hpt__model_pool_set(NULL, model, s.f.x, s.f.mask, s.z, s.zmask, 4, s.mean, s.var));
    FAILS(HPT_E_ARG, hpt__model_pool_set(&s.pool, NULL, s.f.x, s.f.mask, s.z, s.zmask, 4, s.mean, s.var));
    FAILS(HPT_E_ARG, hpt__model_pool_set(&s.pool, model, s.f.x, s.f.mask, s.z, s.zmask, -1, s.mean, s.var));
    FAILS(HPT_E_ARG, hpt__model_pool_set(&s.pool, model, s.f.x, s.f.mask, NULL, s.zmask, 4, s.mean, s.var));
    FAILS(HPT_E_ARG, hpt__model_pool_set(&s.pool, model, NULL, s.f.mask, s.z, s.zmask, 4, s.mean, s.var));
    s.z[0] = NAN;
    FAILS(HPT_E_ARG, hpt__model_pool_set(&s.pool, model, s.f.x, s.f.mask, s.z, s.zmask, 4, s.mean, s.var));
    OK(hpt__model_truncate(model, 0));
    s.z[0] = 0;
    FAILS(HPT_E_STATE, hpt__model_pool_set(&s.pool, model, s.f.x, s.f.mask, s.z, s.zmask, 4, s.mean, s.var));
    FAILS(HPT_E_ARG, hpt__model_pool_append(1, NULL, s.f.x, s.f.mask, s.z, s.zmask, 4, s.var));
    stay_fini(&s);
}
