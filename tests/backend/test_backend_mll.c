// SPDX-License-Identifier: Apache-2.0
// test_backend_mll.c: the likelihood against its definition in long double, its gradient against differences of it.
#include "backend_testing.h"

static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 127, 129, 200};

static double definition(const problem *p, const double *theta, const double *x, const uint64_t *mask, const double *y,
                         int64_t n) {
    long double *l = calloc((size_t)(n * n), sizeof *l), *w = calloc((size_t)n, sizeof *w), sum = 0;
    cr_assert(exact_factor(l, p, theta, x, mask, n, 0));
    for (int64_t i = 0; i < n; i++) w[i] = y[i];
    exact_solve(l, n, w);
    for (int64_t i = 0; i < n; i++) sum += w[i] * w[i];
    const long double value = -sum / 2 - exact_logdet(l, n) / 2 - (long double)n / 2 * logl(2 * acosl(-1));
    free(l);
    free(w);
    return (double)value;
}

BACKEND_TEST(mll, value_is_the_definition) {
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        for (int kind = 0; kind < 3; kind++) {
            fitted f;
            double value, again, grad[D_MAX + BLOCKS + 1];
            fitted_init(&f, device, (uint64_t)(3 * s + kind), (hpt__cov_kind)kind, 1 + (2 * s + kind) % 20, 1 + s % 5,
                        sizes[s]);
            const double want = definition(&f.p, f.p.theta, f.x, f.mask, f.y, f.n);
            OK(hpt__model_mll(f.model, f.p.theta, f.y, f.n, &value, NULL));
            near_number(value, want, 1e-9, 1e-10, "value", f.n);
            OK(hpt__model_mll(f.model, f.p.theta, f.y, f.n, &again, grad));
            near_number(again, want, 1e-9, 1e-10, "value with gradient", f.n);
            fitted_fini(&f);
        }
    }
}

// Fourth-order central differences; their own error is about 1e-10 of the value.
static double difference(hpt__model *model, const double *theta, int64_t p, int64_t j, const double *y, int64_t n) {
    const double h = 1e-3;
    double t[D_MAX + BLOCKS + 1], v[4];
    const double at[4] = {-2, -1, 1, 2};
    memcpy(t, theta, (size_t)p * sizeof *t);
    for (int k = 0; k < 4; k++) {
        t[j] = theta[j] + at[k] * h;
        OK(hpt__model_mll(model, t, y, n, &v[k], NULL));
    }
    return (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * h);
}

BACKEND_TEST(mll, gradient_is_the_slope_of_the_value) {
    static const int64_t some[] = {1, 2, 31, 33, 65, 90};
    for (int64_t s = 0; s < COUNT(some); s++) {
        for (int kind = 0; kind < 3; kind++) {
            fitted f;
            double value, grad[D_MAX + BLOCKS + 1];
            fitted_init(&f, device, (uint64_t)(40 + 3 * s + kind), (hpt__cov_kind)kind, 1 + (3 * s + kind) % 11,
                        1 + s % 5, some[s]);
            OK(hpt__model_mll(f.model, f.p.theta, f.y, f.n, &value, grad));
            for (int64_t j = 0; j < f.p.p; j++)
                near_number(grad[j], difference(f.model, f.p.theta, f.p.p, j, f.y, f.n), 1e-7 * (1 + fabs(value) * 0.1),
                            1e-6, "gradient", j);
            fitted_fini(&f);
        }
    }
}

BACKEND_TEST(mll, agrees_with_ref) {
    hpt__device *ref;
    OK(hpt__device_open(&ref, "ref", NULL, NULL));
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        fitted a, b;
        double va, vb, ga[D_MAX + BLOCKS + 1], gb[D_MAX + BLOCKS + 1];
        const int64_t d = 1 + (7 * s) % 20;
        fitted_init(&a, device, (uint64_t)(90 + s), (hpt__cov_kind)(s % 3), d, 1 + s % 6, sizes[s]);
        fitted_init(&b, ref, (uint64_t)(90 + s), (hpt__cov_kind)(s % 3), d, 1 + s % 6, sizes[s]);
        OK(hpt__model_mll(a.model, a.p.theta, a.y, a.n, &va, ga));
        OK(hpt__model_mll(b.model, b.p.theta, b.y, b.n, &vb, gb));
        near_number(va, vb, 1e-9, 1e-9, "value", a.n);
        for (int64_t j = 0; j < a.p.p; j++) near_number(ga[j], gb[j], 1e-8, 1e-9, "gradient", j);
        fitted_fini(&a);
        fitted_fini(&b);
    }
    hpt__device_close(ref);
}

BACKEND_TEST(mll, of_the_first_points_leaves_the_factor_alone) {
    fitted f;
    fitted_init(&f, device, 3, HPT__COV_MATERN52, 4, 3, 50);
    double value, grad[D_MAX + BLOCKS + 1], theta[D_MAX + BLOCKS + 1], before[5], after[5];
    OK(hpt__model_posterior(f.model, f.x, f.mask, 5, before, NULL, NULL, NULL));
    for (int64_t j = 0; j < f.p.p; j++) theta[j] = f.p.theta[j] + 0.3;
    OK(hpt__model_mll(f.model, theta, f.y, 37, &value, grad));
    near_number(value, definition(&f.p, theta, f.x, f.mask, f.y, 37), 1e-9, 1e-10, "value", 37);
    cr_expect_eq(hpt__model_rows(f.model), 50);
    OK(hpt__model_posterior(f.model, f.x, f.mask, 5, after, NULL, NULL, NULL));
    for (int64_t i = 0; i < 5; i++) cr_expect_eq(before[i], after[i]);
    // Points without a factor have a likelihood too.
    OK(hpt__model_set_points(f.model, 0, f.x, f.mask, 20));
    cr_expect_eq(hpt__model_rows(f.model), 0);
    OK(hpt__model_mll(f.model, theta, f.y, 20, &value, NULL));
    near_number(value, definition(&f.p, theta, f.x, f.mask, f.y, 20), 1e-9, 1e-10, "value", 20);
    fitted_fini(&f);
}

BACKEND_TEST(mll, out_of_range_is_minus_infinity_so_that_a_search_steps_back) {
    fitted f;
    fitted_init(&f, device, 4, HPT__COV_MATERN52, 2, 1, 10);
    static const double bad[] = {NAN, INFINITY, -INFINITY, 101, -700};
    for (int64_t i = 0; i < COUNT(bad); i++) {
        double value = 0, grad[4] = {7, 7, 7, 7}, theta[4] = {0, 0, 0, -4};
        theta[i % 4] = bad[i];
        OK(hpt__model_mll(f.model, theta, f.y, 10, &value, grad));
        cr_expect_eq(value, -INFINITY);
        for (int j = 0; j < 4; j++) cr_expect_eq(grad[j], 0);
    }
    // The corners of the range are finite or minus infinity, never NaN.
    for (int corner = 0; corner < 16; corner++) {
        double value = 0, grad[4], theta[4];
        for (int j = 0; j < 4; j++) theta[j] = corner >> j & 1 ? 100 : -100;
        OK(hpt__model_mll(f.model, theta, f.y, 10, &value, grad));
        cr_expect(!isnan(value) && value < 1e300);
        for (int j = 0; j < 4; j++) cr_expect(isfinite(grad[j]));
    }
    fitted_fini(&f);
}

// ---- several at once

enum { JOBS = 5, P_MAX = D_MAX + BLOCKS + 1 };

typedef struct several { // likelihoods of the same points, each with hyperparameters and values of its own
    hpt__mll_job jobs[JOBS];
    double theta[JOBS][P_MAX], grad[JOBS][P_MAX];
    double *y;
} several;

static void several_init(several *s, fitted *f, int64_t n) {
    *s = (several){.y = numbers(JOBS * n)};
    for (int64_t i = 0; i < JOBS; i++) {
        for (int64_t j = 0; j < f->p.p; j++) s->theta[i][j] = f->p.theta[j] + uniform(&f->p.rng, -0.4, 0.4);
        for (int64_t j = 0; j < n; j++) s->y[i * n + j] = f->y[j] * (1 + (double)i) - (double)(i % 2);
        s->jobs[i] = (hpt__mll_job){.theta = s->theta[i], .y = s->y + i * n, .grad = s->grad[i], .info = 77};
    }
}

BACKEND_TEST(mll_many, each_is_what_it_is_alone) {
    static const int64_t n_of[] = {1, 2, 31, 32, 33, 64, 65, 127, 129, 200};
    for (int64_t s = 0; s < COUNT(n_of); s++) {
        fitted f;
        several many;
        fitted_init(&f, device, (uint64_t)(300 + s), (hpt__cov_kind)(s % 3), 1 + (7 * s) % 20, 1 + s % 6, n_of[s]);
        several_init(&many, &f, f.n);
        OK(hpt__model_mll_many(f.model, many.jobs, JOBS, f.n));
        for (int64_t i = 0; i < JOBS; i++) {
            const hpt__mll_job *j = &many.jobs[i];
            double value, grad[P_MAX];
            OK(hpt__model_mll(f.model, j->theta, j->y, f.n, &value, grad));
            cr_expect_eq(j->info, 0);
            near_number(j->value, value, 1e-9, 1e-10, "value", i);
            for (int64_t p = 0; p < f.p.p; p++) near_number(j->grad[p], grad[p], 1e-8, 1e-9, "gradient", p);
            if (hpt__device_is_host(device)) {
                cr_expect_eq(j->value, value);
                cr_expect_arr_eq(j->grad, grad, (size_t)f.p.p * sizeof *grad, "n = %d", (int)f.n);
            }
        }
        free(many.y);
        fitted_fini(&f);
    }
}

BACKEND_TEST(mll_many, does_not_depend_on_the_others) {
    fitted f;
    several many;
    double grad[P_MAX];
    fitted_init(&f, device, 7, HPT__COV_MATERN52, 4, 3, 70);
    several_init(&many, &f, 50);
    OK(hpt__model_mll_many(f.model, many.jobs, JOBS, 50));
    hpt__mll_job pair[2] = {many.jobs[4], many.jobs[1]};
    pair[0].grad = grad;
    OK(hpt__model_mll_many(f.model, pair, 2, 50));
    cr_expect_eq(pair[0].value, many.jobs[4].value);
    cr_expect_eq(pair[1].value, many.jobs[1].value);
    cr_expect_arr_eq(grad, many.grad[4], (size_t)f.p.p * sizeof *grad);
    cr_expect_eq(hpt__model_rows(f.model), 70, "the factor is left alone");
    OK(hpt__model_mll_many(f.model, many.jobs, 0, 50));
    free(many.y);
    fitted_fini(&f);
}

// The same point twice with next to no noise needs jitter; a theta out of range is -infinity; the others do not notice.
BACKEND_TEST(mll_many, one_that_fails_is_alone_in_it) {
    fitted f;
    several many;
    fitted_init(&f, device, 8, HPT__COV_RBF, 2, 1, 60);
    memcpy(f.x + 2 * 59, f.x, 2 * sizeof *f.x);
    OK(hpt__model_set_points(f.model, 0, f.x, f.mask, 60));
    several_init(&many, &f, 60);
    many.theta[2][f.p.p - 1] = -90;
    for (int round = 0; round < 2; round++) {
        OK(hpt__model_mll_many(f.model, many.jobs, JOBS, 60));
        for (int64_t i = 0; i < JOBS; i++) {
            double value, grad[P_MAX];
            OK(hpt__model_mll(f.model, many.theta[i], many.jobs[i].y, 60, &value, grad));
            if (!isinf(value)) near_number(many.jobs[i].value, value, 1e-9, 1e-9, "value", i);
            cr_expect_eq(isinf(many.jobs[i].value), isinf(value));
            for (int64_t p = 0; p < f.p.p; p++) cr_expect(isfinite(many.grad[i][p]));
        }
        cr_expect_eq(many.jobs[3].value == -INFINITY, round == 1);
        many.theta[3][0] = 101; // for the second round
    }
    free(many.y);
    fitted_fini(&f);
}

BACKEND_TEST(mll_many, without_gradients) {
    fitted f;
    several many;
    fitted_init(&f, device, 9, HPT__COV_MATERN32, 3, 2, 40);
    several_init(&many, &f, 40);
    for (int64_t i = 0; i < JOBS; i += 2) many.jobs[i].grad = NULL;
    OK(hpt__model_mll_many(f.model, many.jobs, JOBS, 40));
    for (int64_t i = 0; i < JOBS; i++)
        near_number(many.jobs[i].value, definition(&f.p, many.theta[i], f.x, f.mask, many.jobs[i].y, 40), 1e-9, 1e-10,
                    "value", i);
    cr_expect_eq(many.grad[0][0], 0, "a gradient that was not asked for is not written");
    free(many.y);
    fitted_fini(&f);
}

BACKEND_TEST(mll_many, bad_arguments_are_named) {
    fitted f;
    several many;
    fitted_init(&f, device, 10, HPT__COV_RBF, 1, 1, 10);
    several_init(&many, &f, 10);
    FAILS(HPT_E_ARG, hpt__model_mll_many(NULL, many.jobs, 2, 10));
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, NULL, 2, 10));
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, many.jobs, -1, 10));
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, many.jobs, 2, 11));
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, many.jobs, 2, 0));
    many.y[13] = NAN;
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, many.jobs, 2, 10));
    cr_expect(strstr(hpt_last_error(), "value 3 is nan"), "%s", hpt_last_error());
    many.jobs[1].theta = NULL;
    FAILS(HPT_E_ARG, hpt__model_mll_many(f.model, many.jobs, 2, 10));
    free(many.y);
    fitted_fini(&f);
}
