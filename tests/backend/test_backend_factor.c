// SPDX-License-Identifier: Apache-2.0
// test_backend_factor.c: factors against long double and against themselves: whatever way a model came to its points, it
// is the model that was made of them at once.
#include "backend_testing.h"

#include "core/backend/device_state.h"

static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 127, 129, 200};

static double *factor_of(hpt__model *model, int64_t n) {
    double *l = numbers(n * n);
    cr_assert_eq(hpt__model_rows(model), n);
    OK(hpt__model_get_factor(model, l, n));
    return l;
}

static void same_factor(hpt__model *model, const problem *p, const double *x, const uint64_t *mask, int64_t n,
                        double tolerance) {
    long double *want = calloc((size_t)(n * n), sizeof *want);
    cr_assert(exact_factor(want, p, p->theta, x, mask, n, 0));
    double *l = factor_of(model, n);
    for (int64_t i = 0; i < n * n; i++) near_number(l[i], (double)want[i], tolerance, tolerance, "factor", i);
    free(l);
    free(want);
}

BACKEND_TEST(factor, is_that_of_the_matrix_and_logdet_is_its_own) {
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        const int64_t n = sizes[s], d = 1 + s;
        fitted f;
        double jitter = -1, logdet = 0;
        fitted_init(&f, device, (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 4, n);
        OK(hpt__model_factor(f.model, f.p.theta, &jitter, &logdet));
        cr_expect_eq(jitter, 0);
        double *l = factor_of(f.model, n), sum = 0, worst = 0;
        for (int64_t j = 0; j < n; j++) {
            sum += 2 * log(l[j + j * n]);
            for (int64_t i = 0; i < j; i++) cr_assert_eq(l[i + j * n], 0);
            for (int64_t i = j; i < n; i++) {
                double a = 0;
                for (int64_t k = 0; k <= j; k++) a += l[i + k * n] * l[j + k * n];
                double want = (double)exact_k(&f.p.cov, f.p.theta, f.x + i * d, f.mask[i], f.x + j * d, f.mask[j]);
                if (i == j) want += exp(f.p.theta[f.p.p - 1]);
                worst = fmax(worst, fabs(a - want));
            }
        }
        cr_expect(worst < 1e-13 * (double)(n + 10), "n %d: |A - LL'| = %g", (int)n, worst);
        free(l);
        near_number(logdet, sum, 1e-11, 1e-12, "logdet", n);
        same_factor(f.model, &f.p, f.x, f.mask, n, 1e-9);
        fitted_fini(&f);
    }
}

BACKEND_TEST(factor, appended_rows_are_those_of_a_fresh_factor) {
    static const int64_t steps[] = {1, 3, 40};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        for (int64_t t = 0; t < COUNT(steps); t++) {
            const int64_t n = sizes[s], k = steps[t], d = 4;
            fitted f, whole;
            double logdet, fresh, jitter;
            fitted_init(&whole, device, (uint64_t)(s + 31 * t), (hpt__cov_kind)(t % 3), d, 3, n + k);
            fitted_init(&f, device, (uint64_t)(s + 31 * t), (hpt__cov_kind)(t % 3), d, 3, n);
            OK(hpt__model_factor(whole.model, whole.p.theta, &jitter, &fresh));
            OK(hpt__model_set_points(f.model, 0, whole.x, whole.mask, n));
            OK(hpt__model_factor(f.model, whole.p.theta, &jitter, &logdet));
            OK(hpt__model_set_points(f.model, n, whole.x + n * d, whole.mask + n, k));
            cr_assert_eq(hpt__model_rows(f.model), n);
            cr_assert_eq(hpt__model_points(f.model), n + k);
            OK(hpt__model_append(f.model, &logdet));
            near_number(logdet, fresh, 1e-10, 1e-10, "logdet", n);
            double *a = factor_of(f.model, n + k), *b = factor_of(whole.model, n + k);
            for (int64_t i = 0; i < (n + k) * (n + k); i++) near_number(a[i], b[i], 1e-10, 1e-10, "factor", i);
            OK(hpt__model_append(f.model, &fresh)); // nothing new: the same again
            near_number(fresh, logdet, 0, 1e-14, "logdet", n);
            // Cut back and extended again.
            OK(hpt__model_truncate(f.model, n));
            cr_assert_eq(hpt__model_rows(f.model), n);
            OK(hpt__model_set_points(f.model, n, whole.x + n * d, whole.mask + n, k));
            OK(hpt__model_append(f.model, &logdet));
            double *c = factor_of(f.model, n + k);
            for (int64_t i = 0; i < (n + k) * (n + k); i++) near_number(c[i], b[i], 1e-10, 1e-10, "factor", i);
            free(a);
            free(b);
            free(c);
            fitted_fini(&f);
            fitted_fini(&whole);
        }
    }
}

// Random sequences of everything that changes a model, held against one made afresh.
BACKEND_TEST(factor, any_way_to_the_same_points_gives_the_same_model) {
    enum { MOST = 150, D = 5, M = 9 };
    for (uint64_t seed = 0; seed < 25; seed++) {
        problem p;
        double x[MOST * D], y[MOST], z[M * D], mean[M], var[M], mean2[M], var2[M], jitter, logdet;
        uint64_t mask[MOST], zmask[M];
        problem_init(&p, 500 + seed, (hpt__cov_kind)(seed % 3), D, 3, true);
        problem_points(&p, z, zmask, M);
        problem_values(&p, y, MOST);
        hpt__model *model, *fresh;
        OK(hpt__model_create(&model, device, &p.cov, seed % 2 ? 64 : 0));
        int64_t n = 0, rows = 0, told = 0;
        for (int step = 0; step < 30; step++) {
            const int64_t what = hpt__rng_below(&p.rng, 6);
            if (what == 0 && n > 0) { // truncate
                n = hpt__rng_below(&p.rng, n + 1);
                OK(hpt__model_truncate(model, n));
                if (rows > n) rows = n;
            } else if (what == 1 && n > 0) { // other points from somewhere on
                const int64_t at = hpt__rng_below(&p.rng, n),
                              k = 1 + hpt__rng_below(&p.rng, MOST - at < 30 ? MOST - at : 30);
                problem_points(&p, x + at * D, mask + at, k);
                OK(hpt__model_set_points(model, at, x + at * D, mask + at, k));
                n = at + k;
                if (rows > at) rows = at;
            } else if (what < 4 && n < MOST) { // more points
                const int64_t k = 1 + hpt__rng_below(&p.rng, MOST - n < 45 ? MOST - n : 45);
                problem_points(&p, x + n * D, mask + n, k);
                OK(hpt__model_set_points(model, n, x + n * D, mask + n, k));
                n += k;
            } else if (what == 4 && rows > 0) { // values
                told = 1 + hpt__rng_below(&p.rng, rows);
                OK(hpt__model_set_y(model, y, told));
            } else if (n > 0) {
                if (rows > 0)
                    OK(hpt__model_append(model, &logdet));
                else
                    OK(hpt__model_factor(model, p.theta, &jitter, &logdet));
                if (rows == 0) told = 0;
                rows = n;
            }
            if (told > rows) told = 0;
            cr_assert_eq(hpt__model_points(model), n);
            cr_assert_eq(hpt__model_rows(model), rows);
            if (rows == 0) continue;
            OK(hpt__model_create(&fresh, device, &p.cov, 0));
            OK(hpt__model_set_points(fresh, 0, x, mask, rows));
            OK(hpt__model_factor(fresh, p.theta, &jitter, &logdet));
            if (told) {
                OK(hpt__model_set_y(fresh, y, told));
                OK(hpt__model_posterior(model, z, zmask, M, mean, NULL, NULL, NULL));
                OK(hpt__model_posterior(fresh, z, zmask, M, mean2, NULL, NULL, NULL));
                for (int64_t i = 0; i < M; i++) near_number(mean[i], mean2[i], 1e-8, 1e-8, "mean", i);
            } else {
                FAILS(HPT_E_STATE, hpt__model_posterior(model, z, zmask, M, mean, NULL, NULL, NULL));
            }
            OK(hpt__model_posterior(model, z, zmask, M, NULL, var, NULL, NULL));
            OK(hpt__model_posterior(fresh, z, zmask, M, NULL, var2, NULL, NULL));
            for (int64_t i = 0; i < M; i++) near_number(var[i], var2[i], 1e-8, 1e-8, "var", i);
            hpt__model_destroy(fresh);
        }
        hpt__model_destroy(model);
    }
}

BACKEND_TEST(factor, solves_with_the_factor_and_its_transpose) {
    static const int64_t columns[] = {1, 2, 17, 130};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        const int64_t n = sizes[s], k = columns[s % 4], ldb = n + 2;
        fitted f;
        fitted_init(&f, device, 70 + (uint64_t)s, HPT__COV_MATERN52, 3, 2, n);
        double *l = factor_of(f.model, n), *b = numbers(ldb * k), *c = numbers(ldb * k);
        for (int64_t i = 0; i < ldb * k; i++) b[i] = c[i] = hpt__rng_normal(&f.p.rng);
        for (int transposed = 0; transposed < 2; transposed++) {
            memcpy(b, c, (size_t)(ldb * k) * sizeof *b);
            OK(hpt__model_solve(f.model, transposed, b, ldb, k));
            for (int64_t j = 0; j < k; j++) {
                for (int64_t i = 0; i < n; i++) {
                    double sum = 0, size = 0;
                    for (int64_t a = 0; a < n; a++) {
                        const double term = (transposed ? l[a + i * n] : l[i + a * n]) * b[a + j * ldb];
                        sum += term;
                        size += fabs(term);
                    }
                    near_number(sum, c[i + j * ldb], 1e-13 * (size + 1), 0, "residual", i);
                }
                for (int64_t i = n; i < ldb; i++) cr_assert_eq(b[i + j * ldb], c[i + j * ldb]);
            }
        }
        OK(hpt__model_solve(f.model, false, b, ldb, 0));
        free(l);
        free(b);
        free(c);
        fitted_fini(&f);
    }
}

// Without noise a matrix of equal rows is singular; the ladder finds the smallest step that helps.
BACKEND_TEST(factor, of_the_same_point_three_hundred_times_needs_jitter) {
    enum { N = 300 };
    problem p;
    double x[N * 2], y[N], jitter = 0, logdet = 0, mean[2], var[2], value, grad[8];
    uint64_t mask[N];
    problem_init(&p, 9, HPT__COV_MATERN52, 2, 1, false);
    p.theta[3] = -80;
    for (int64_t i = 0; i < N; i++) {
        x[2 * i] = 0.25;
        x[2 * i + 1] = 0.5;
        mask[i] = 1;
        y[i] = 1.5;
    }
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, N));
    OK(hpt__model_set_points(model, 0, x, mask, N));
    cr_assert_eq(hpt__model_factor(model, p.theta, &jitter, &logdet), HPT_S_JITTERED, "%s", hpt_last_error());
    cr_expect(jitter > 0 && jitter <= 1e-3 * exp(p.theta[2]) * 1.01, "%g", jitter);
    cr_expect(isfinite(logdet));
    OK(hpt__model_set_y(model, y, N));
    const double z[4] = {0.25, 0.5, 0.9, 0.1};
    OK(hpt__model_posterior(model, z, mask, 2, mean, var, NULL, NULL));
    near_number(mean[0], 1.5, 1e-3, 0, "mean", 0);
    cr_expect(var[0] >= 0 && var[0] < 1e-3 * exp(p.theta[2]), "%g", var[0]);
    OK(hpt__model_mll(model, p.theta, y, N, &value, grad));
    cr_expect(isfinite(value));
    // The same with the noise of tuning: no jitter.
    p.theta[3] = log(1e-6);
    OK(hpt__model_factor(model, p.theta, &jitter, &logdet));
    cr_expect_eq(jitter, 0);
    hpt__model_destroy(model);
}

BACKEND_TEST(factor, jitter_is_a_power_of_ten_of_the_mean_diagonal) {
    enum { N = 40 };
    problem p;
    double x[N * 3], jitter = 0, mean = 0;
    uint64_t mask[N];
    problem_init(&p, 11, HPT__COV_MATERN52, 3, 3, false);
    p.theta[6] = -80;
    for (int64_t i = 0; i < N; i++) {
        for (int j = 0; j < 3; j++) x[3 * i + j] = 0.5;
        mask[i] = i < 10 ? 1 : p.terms[1 + i % 2];
        for (int64_t t = 0; t < 3; t++)
            if ((p.terms[t] & ~mask[i]) == 0) mean += exp(p.theta[3 + t]) / N;
    }
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, 0));
    OK(hpt__model_set_points(model, 0, x, mask, N));
    cr_assert_eq(hpt__model_factor(model, p.theta, &jitter, NULL), HPT_S_JITTERED, "%s", hpt_last_error());
    const double power = log10(jitter / mean);
    near_number(power, rint(power), 1e-9, 0, "log10 of the jitter", 0);
    cr_expect(power < -2.5 && power > -10.5, "%g", power);
    hpt__model_destroy(model);
}

// The table's own promise, below the wrapper that would factor anew: 1 - 1 = 0 is no pivot.
BACKEND_TEST(factor, append_that_fails_leaves_the_factor_and_the_weights) {
    problem p;
    const double x[3] = {0.1, 0.6, 0.1}, y[2] = {1, 2};
    const uint64_t mask[3] = {1, 1, 1};
    double logdet = 0, l[4], before[4], mean = 0;
    int64_t info = 7;
    void *model = NULL;
    const hpt__backend *ops = device->ops;
    problem_init(&p, 10, HPT__COV_RBF, 1, 1, false);
    p.theta[0] = -4; // far apart: the factor is the unit matrix
    p.theta[1] = 0;
    p.theta[2] = -90;
    OK(ops->model_create(&model, device->ctx, &p.cov, 0));
    OK(ops->model_set_points(model, 0, x, mask, 2));
    OK(ops->model_factor(model, p.theta, 0, &logdet, &info));
    cr_assert_eq(info, 0);
    OK(ops->model_set_y(model, y, 2));
    OK(ops->model_get_factor(model, before, 2));
    OK(ops->model_set_points(model, 2, x + 2, mask + 2, 1));
    OK(ops->model_append(model, &logdet, &info));
    cr_expect_eq(info, 3);
    cr_expect_eq(ops->model_rows(model), 2);
    OK(ops->model_get_factor(model, l, 2));
    for (int i = 0; i < 4; i++) cr_expect_eq(l[i], before[i]);
    OK(ops->posterior(model, x + 1, mask, 1, &mean, NULL, NULL, NULL));
    near_number(mean, 2, 1e-12, 0, "mean", 0);
    // A factor that fails leaves none.
    OK(ops->model_factor(model, p.theta, 0, &logdet, &info));
    cr_expect_eq(info, 3);
    cr_expect_eq(ops->model_rows(model), 0);
    ops->model_destroy(model);
}

// A point that is there already, appended to a factor without noise: the whole is factored anew with jitter, and the values
// are still there.
BACKEND_TEST(factor, append_that_is_not_positive_definite_climbs_the_ladder) {
    problem p;
    double jitter, logdet, mean[1], var[1];
    problem_init(&p, 10, HPT__COV_MATERN52, 1, 1, false);
    p.theta[2] = -90;
    const double x[3] = {0.1, 0.6, 0.1}, y[2] = {1, 2};
    const uint64_t mask[3] = {1, 1, 1};
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, 0));
    OK(hpt__model_set_points(model, 0, x, mask, 2));
    OK(hpt__model_factor(model, p.theta, &jitter, &logdet));
    OK(hpt__model_set_y(model, y, 2));
    for (int64_t k = 2; k < 30; k++) { // rounding may save one or the other
        OK(hpt__model_set_points(model, k, x + 2, mask, 1));
        const int rc = hpt__model_append(model, &logdet);
        cr_assert(rc == 0 || rc == HPT_S_JITTERED, "%s", hpt_last_error());
        cr_assert_eq(hpt__model_rows(model), k + 1);
        OK(hpt__model_posterior(model, x + 1, mask, 1, mean, var, NULL, NULL));
        near_number(mean[0], 2, 1e-5, 0, "mean", k);
        cr_assert(isfinite(logdet) && var[0] >= 0);
    }
    hpt__model_destroy(model);
}

BACKEND_TEST(factor, weights_go_where_their_points_or_factor_go) {
    fitted f;
    double v[1], jitter, logdet;
    fitted_init(&f, device, 12, HPT__COV_MATERN52, 2, 1, 20);
#define HAS_WEIGHTS(yes) \
    FAILS((yes) ? 0 : HPT_E_STATE, hpt__model_posterior(f.model, f.x, f.mask, 1, v, NULL, NULL, NULL))
    HAS_WEIGHTS(true);
    OK(hpt__model_truncate(f.model, 19));
    HAS_WEIGHTS(false);
    OK(hpt__model_set_y(f.model, f.y, 10));
    HAS_WEIGHTS(true);
    OK(hpt__model_truncate(f.model, 10));
    HAS_WEIGHTS(true);
    OK(hpt__model_set_points(f.model, 10, f.x + 20, f.mask, 3));
    OK(hpt__model_append(f.model, &logdet));
    HAS_WEIGHTS(true);
    OK(hpt__model_set_points(f.model, 9, f.x, f.mask, 1));
    HAS_WEIGHTS(false);
    OK(hpt__model_append(f.model, &logdet));
    OK(hpt__model_set_y(f.model, f.y, 10));
    OK(hpt__model_factor(f.model, f.p.theta, &jitter, &logdet));
    HAS_WEIGHTS(false);
    fitted_fini(&f);
}

BACKEND_TEST(factor, capacity_grows_and_nothing_moves) {
    fitted f;
    fitted_init(&f, device, 13, HPT__COV_RBF, 3, 2, 60);
    double before[60], after[60], more[3 * 100], logdet;
    uint64_t mask[100];
    OK(hpt__model_posterior(f.model, f.x, f.mask, 60, before, NULL, NULL, NULL));
    problem_points(&f.p, more, mask, 100);
    OK(hpt__model_set_points(f.model, 60, more, mask, 100)); // beyond the first capacity
    OK(hpt__model_posterior(f.model, f.x, f.mask, 60, after, NULL, NULL, NULL));
    for (int64_t i = 0; i < 60; i++) near_number(after[i], before[i], 1e-13, 1e-13, "mean", i);
    OK(hpt__model_append(f.model, &logdet));
    cr_expect_eq(hpt__model_rows(f.model), 160);
    fitted_fini(&f);
}
