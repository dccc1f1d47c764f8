// SPDX-License-Identifier: Apache-2.0
// test_backend_predict.c: posteriors against the formula in long double, gradients against differences, and what pending
// points change.
#include "backend_testing.h"

static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 127, 129, 200};

typedef struct moments {
    long double mean, var;
} moments;

static moments formula(const fitted *f, const long double *l, const long double *w, int64_t told, const double *z,
                       uint64_t zmask, long double *k) {
    const int64_t d = f->p.cov.d;
    moments r = {0, exact_k(&f->p.cov, f->p.theta, z, zmask, z, zmask)};
    for (int64_t i = 0; i < f->n; i++) k[i] = exact_k(&f->p.cov, f->p.theta, f->x + i * d, f->mask[i], z, zmask);
    for (int64_t i = 0; i < told; i++) r.mean += k[i] * w[i];
    exact_solve(l, f->n, k);
    for (int64_t i = 0; i < f->n; i++) r.var -= k[i] * k[i];
    return r;
}

static void check_moments(const fitted *f, int64_t told, int64_t m) {
    const int64_t n = f->n, d = f->p.cov.d;
    long double *l = calloc((size_t)(n * n), sizeof *l), *w = calloc((size_t)n, sizeof *w),
                *k = calloc((size_t)n, sizeof *k);
    problem p = f->p;
    double *z = numbers(m * d), *mean = numbers(m), *var = numbers(m), *only = numbers(m);
    uint64_t *zmask = words(m);
    problem_points(&p, z, zmask, m);
    cr_assert(exact_factor(l, &f->p, f->p.theta, f->x, f->mask, told, 0));
    for (int64_t i = 0; i < told; i++) w[i] = f->y[i];
    exact_solve(l, told, w);
    exact_solve_transposed(l, told, w);
    cr_assert(exact_factor(l, &f->p, f->p.theta, f->x, f->mask, n, 0));
    OK(hpt__model_posterior(f->model, z, zmask, m, mean, var, NULL, NULL));
    for (int64_t i = 0; i < m; i++) {
        const moments want = formula(f, l, w, told, z + i * d, zmask[i], k);
        near_number(mean[i], (double)want.mean, 1e-10, 1e-9, "mean", i);
        near_number(var[i], (double)want.var, 1e-12, 1e-9, "var", i);
    }
    OK(hpt__model_posterior(f->model, z, zmask, m, only, NULL, NULL, NULL));
    for (int64_t i = 0; i < m; i++) near_number(only[i], mean[i], 1e-13, 1e-12, "mean alone", i);
    OK(hpt__model_posterior(f->model, z, zmask, m, NULL, only, NULL, NULL));
    for (int64_t i = 0; i < m; i++) near_number(only[i], var[i], 1e-13, 1e-12, "var alone", i);
    OK(hpt__model_posterior(f->model, z, zmask, m, NULL, NULL, NULL, NULL));
    free(l);
    free(w);
    free(k);
    free(z);
    free(mean);
    free(var);
    free(only);
    free(zmask);
}

BACKEND_TEST(posterior, is_the_formula) {
    static const int64_t candidates[] = {1, 2, 33, 70, 129};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        fitted f;
        fitted_init(&f, device, (uint64_t)s, (hpt__cov_kind)(s % 3), 1 + (3 * s) % 20, 1 + s % 5, sizes[s]);
        check_moments(&f, f.n, candidates[s % 5]);
        fitted_fini(&f);
    }
}

BACKEND_TEST(posterior, pending_points_shrink_the_variance_and_leave_the_mean) {
    static const int64_t pending[] = {1, 3, 40};
    for (int64_t i = 0; i < 3; i++) {
        fitted f;
        double logdet;
        fitted_init(&f, device, 60 + (uint64_t)i, HPT__COV_MATERN52, 4, 3, 50 + pending[i]);
        double *x = numbers(4 * f.n);
        memcpy(x, f.x, (size_t)(4 * f.n) * sizeof *x);
        OK(hpt__model_truncate(f.model, 50));
        OK(hpt__model_set_y(f.model, f.y, 50));
        OK(hpt__model_set_points(f.model, 50, x + 4 * 50, f.mask + 50, pending[i]));
        double without[20], with[20], mean[20], mean2[20], z[80], slope[80], slope2[80];
        uint64_t zmask[20];
        problem_points(&f.p, z, zmask, 20);
        OK(hpt__model_posterior(f.model, z, zmask, 20, mean, without, slope, NULL)); // not in the factor yet
        OK(hpt__model_append(f.model, &logdet));
        OK(hpt__model_posterior(f.model, z, zmask, 20, mean2, with, slope2, NULL));
        for (int k = 0; k < 80; k++) near_number(slope2[k], slope[k], 1e-12, 1e-12, "dmean", k);
        double shrunk = 0;
        for (int k = 0; k < 20; k++) {
            cr_assert(with[k] <= without[k] * (1 + 1e-12) + 1e-13);
            near_number(mean2[k], mean[k], 1e-13, 1e-12, "mean", k);
            shrunk += without[k] - with[k];
        }
        cr_expect(shrunk > 1e-4);
        check_moments(&f, 50, 33);
        free(x);
        fitted_fini(&f);
    }
}

BACKEND_TEST(posterior, variance_is_never_negative_at_told_points) {
    for (int kind = 0; kind < 3; kind++) {
        fitted f;
        fitted_init(&f, device, 80 + (uint64_t)kind, (hpt__cov_kind)kind, 2, 1, 150);
        double jitter, logdet, *var = numbers(150), *mean = numbers(150), *cov = numbers(150 * 150);
        f.p.theta[3] = log(1e-8);
        int rc = hpt__model_factor(f.model, f.p.theta, &jitter, &logdet);
        cr_assert(rc == 0 || rc == HPT_S_JITTERED, "%s", hpt_last_error());
        OK(hpt__model_set_y(f.model, f.y, 150));
        OK(hpt__model_posterior(f.model, f.x, f.mask, 150, mean, var, NULL, NULL));
        OK(hpt__model_joint(f.model, f.x, f.mask, 150, NULL, cov, 150));
        for (int i = 0; i < 150; i++) {
            cr_assert(var[i] >= 0 && var[i] < 1e-6, "%d: %g", i, var[i]);
            cr_assert(cov[i * 151] >= 0);
        }
        free(var);
        free(mean);
        free(cov);
        fitted_fini(&f);
    }
}

// Noise far below the last bit: what is left of k - k^2 / k is rounding, of either sign.
BACKEND_TEST(posterior, variance_is_not_negative_where_only_rounding_is_left) {
    problem p;
    const double x = 0.3;
    const uint64_t mask = 1;
    double var, cov;
    int64_t zeros = 0;
    problem_init(&p, 2, HPT__COV_MATERN52, 1, 1, false);
    p.theta[2] = -80;
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, 0));
    OK(hpt__model_set_points(model, 0, &x, &mask, 1));
    for (int i = 0; i < 300; i++) {
        p.theta[1] = uniform(&p.rng, -2, 2);
        OK(hpt__model_factor(model, p.theta, NULL, NULL));
        OK(hpt__model_posterior(model, &x, &mask, 1, NULL, &var, NULL, NULL));
        OK(hpt__model_joint(model, &x, &mask, 1, NULL, &cov, 1));
        cr_assert(var >= 0 && var < 1e-14 && cov >= 0 && cov < 1e-14, "%g %g", var, cov);
        zeros += var == 0;
    }
    cr_expect_gt(zeros, 0);
    hpt__model_destroy(model);
}

BACKEND_TEST(posterior, gradients_are_the_slopes) {
    const double h = 1e-4;
    for (int64_t s = 0; s < 12; s++) {
        fitted f;
        const int64_t n = sizes[s % 10] < 100 ? sizes[s % 10] : 90, d = 1 + (5 * s) % 13, m = 6;
        fitted_init(&f, device, 20 + (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 4, n);
        double z[6 * D_MAX], mean[6], var[6], dmean[6 * D_MAX], dvar[6 * D_MAX], v[4][6], u[4][6];
        uint64_t zmask[6];
        problem_points(&f.p, z, zmask, m);
        OK(hpt__model_posterior(f.model, z, zmask, m, mean, var, dmean, dvar));
        for (int64_t j = 0; j < d; j++) {
            static const double at[4] = {-2, -1, 1, 2};
            double moved[6 * D_MAX];
            for (int k = 0; k < 4; k++) {
                memcpy(moved, z, sizeof moved);
                for (int64_t i = 0; i < m; i++) moved[i * d + j] += at[k] * h;
                OK(hpt__model_posterior(f.model, moved, zmask, m, v[k], u[k], NULL, NULL));
            }
            for (int64_t i = 0; i < m; i++) {
                if (f.p.categorical[j] || !(zmask[i] >> f.p.block[j] & 1)) {
                    cr_assert_eq(dmean[i * d + j], 0);
                    cr_assert_eq(dvar[i * d + j], 0);
                    continue;
                }
                near_number(dmean[i * d + j], (v[0][i] - 8 * v[1][i] + 8 * v[2][i] - v[3][i]) / (12 * h), 1e-7, 1e-6,
                            "dmean", j);
                near_number(dvar[i * d + j], (u[0][i] - 8 * u[1][i] + 8 * u[2][i] - u[3][i]) / (12 * h), 1e-7, 1e-6,
                            "dvar", j);
            }
        }
        // A gradient alone is the same.
        double alone[6 * D_MAX];
        OK(hpt__model_posterior(f.model, z, zmask, m, NULL, NULL, alone, NULL));
        for (int64_t i = 0; i < m * d; i++) near_number(alone[i], dmean[i], 1e-12, 1e-12, "dmean alone", i);
        OK(hpt__model_posterior(f.model, z, zmask, m, NULL, NULL, NULL, alone));
        for (int64_t i = 0; i < m * d; i++) near_number(alone[i], dvar[i], 1e-12, 1e-12, "dvar alone", i);
        fitted_fini(&f);
    }
}

BACKEND_TEST(posterior, gradients_are_finite_at_told_points) {
    for (int kind = 0; kind < 3; kind++) {
        fitted f;
        fitted_init(&f, device, 30 + (uint64_t)kind, (hpt__cov_kind)kind, 3, 2, 40);
        double *dmean = numbers(120), *dvar = numbers(120);
        OK(hpt__model_posterior(f.model, f.x, f.mask, 40, NULL, NULL, dmean, dvar)); // NaN would be an error
        free(dmean);
        free(dvar);
        fitted_fini(&f);
    }
}

BACKEND_TEST(joint, diagonal_is_the_posterior_and_all_is_the_formula) {
    static const int64_t candidates[] = {1, 5, 33, 70};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        fitted f;
        const int64_t n = sizes[s], m = candidates[s % 4], d = 1 + s, ldc = m + 2;
        fitted_init(&f, device, 7 + (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 3, n);
        double *z = numbers(m * d), *mean = numbers(m), *var = numbers(m), *mean2 = numbers(m), *c = numbers(ldc * m);
        uint64_t *zmask = words(m);
        long double *l = calloc((size_t)(n * n), sizeof *l), *v = calloc((size_t)(n * m), sizeof *v);
        problem_points(&f.p, z, zmask, m);
        OK(hpt__model_posterior(f.model, z, zmask, m, mean, var, NULL, NULL));
        OK(hpt__model_joint(f.model, z, zmask, m, mean2, c, ldc));
        cr_assert(exact_factor(l, &f.p, f.p.theta, f.x, f.mask, n, 0));
        for (int64_t i = 0; i < m; i++) {
            near_number(mean2[i], mean[i], 1e-12, 1e-12, "mean", i);
            near_number(c[i + i * ldc], var[i], 1e-12, 1e-12, "diagonal", i);
            for (int64_t a = 0; a < n; a++)
                v[a + i * n] = exact_k(&f.p.cov, f.p.theta, f.x + a * d, f.mask[a], z + i * d, zmask[i]);
            exact_solve(l, n, v + i * n);
        }
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < m; j++) {
                long double want = exact_k(&f.p.cov, f.p.theta, z + i * d, zmask[i], z + j * d, zmask[j]);
                for (int64_t a = 0; a < n; a++) want -= v[a + i * n] * v[a + j * n];
                near_number(c[i + j * ldc], (double)want, 1e-11, 1e-9, "covariance", i + j * m);
            }
        }
        OK(hpt__model_joint(f.model, z, zmask, m, NULL, c, ldc));
        free(z);
        free(mean);
        free(var);
        free(mean2);
        free(c);
        free(zmask);
        free(l);
        free(v);
        fitted_fini(&f);
    }
}

BACKEND_TEST(posterior, of_one_point_in_one_dimension) {
    problem p;
    problem_init(&p, 1, HPT__COV_MATERN52, 1, 1, false);
    p.theta[0] = 0;
    p.theta[1] = log(2);
    p.theta[2] = log(0.5);
    const double x = 0.5, y = 3;
    const uint64_t mask = 1;
    double jitter, logdet, mean, var, dmean, dvar, value, grad[3];
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, 0));
    OK(hpt__model_set_points(model, 0, &x, &mask, 1));
    OK(hpt__model_factor(model, p.theta, &jitter, &logdet));
    near_number(logdet, log(2.5), 1e-15, 1e-15, "logdet", 0);
    OK(hpt__model_set_y(model, &y, 1));
    OK(hpt__model_posterior(model, &x, &mask, 1, &mean, &var, &dmean, &dvar));
    near_number(mean, 3 * 2 / 2.5, 0, 1e-15, "mean", 0);
    near_number(var, 2 - 4 / 2.5, 0, 1e-14, "var", 0);
    near_number(dmean, 0, 1e-15, 0, "dmean", 0);
    near_number(dvar, 0, 1e-15, 0, "dvar", 0);
    OK(hpt__model_mll(model, p.theta, &y, 1, &value, grad));
    near_number(value, -0.5 * 9 / 2.5 - 0.5 * log(2.5) - 0.5 * log(2 * acos(-1)), 0, 1e-14, "mll", 0);
    near_number(grad[0], 0, 1e-15, 0, "gradient", 0);
    near_number(grad[1], 0.5 * (9 / 6.25 - 1 / 2.5) * 2, 0, 1e-14, "gradient", 1);
    near_number(grad[2], 0.5 * (9 / 6.25 - 1 / 2.5) * 0.5, 0, 1e-14, "gradient", 2);
    hpt__model_destroy(model);
}
