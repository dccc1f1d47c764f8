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
