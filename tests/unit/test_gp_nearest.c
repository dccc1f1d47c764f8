// SPDX-License-Identifier: Apache-2.0
// test_gp_nearest.c: the posterior by nearest neighbours against the exact one and against a plain calculation.
#include "core/gp/gp_nearest.h"
#include "gp_testing.h"

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 600, ASKED = 40 };
#else
enum { MANY = 3000, ASKED = 200 };
#endif

static hpt__neighbours *neighbours_of(bench *b) { // those of b's model, told and pending
    hpt__neighbours *near = NULL;
    const int64_t n = hpt__gp_n(b->gp), d = b->code.cov.d;
    OK(hpt__neighbours_create(&near, b->device, &b->code.cov, hpt__gp_theta(b->gp)));
    OK(hpt__neighbours_add(near, hpt__gp_rows(b->gp), hpt__gp_masks(b->gp), hpt__gp_z(b->gp), n));
    OK(hpt__neighbours_add(near, hpt__gp_rows(b->gp) + n * d, hpt__gp_masks(b->gp) + n, NULL,
                           hpt__gp_n_pending(b->gp)));
    return near;
}

static void tell_random(bench *b, int64_t n, hpt__rng *rng) {
    const int64_t d = b->code.cov.d;
    double *rows = malloc((size_t)(n * d) * sizeof *rows), *y = malloc((size_t)n * sizeof *y);
    uint64_t *masks = malloc((size_t)n * sizeof *masks);
    random_rows(rows, masks, b, n, rng);
    for (int64_t i = 0; i < n; i++) y[i] = smooth(rows + i * d, d);
    OK(hpt__gp_tell(b->gp, rows, masks, y, n));
    free(rows);
    free(y);
    free(masks);
}

Test(gp_nearest, with_all_points_it_is_the_exact_posterior)
{
    bench b;
    hpt__rng rng;
    enum { N = 90, PENDING = 7, K = 70 }; // more candidates than a chunk
    double rows[K * 32], pending[PENDING * 32], mean[K], var[K], exact_mean[K], exact_var[K];
    uint64_t masks[K], pending_masks[PENDING];
    bench_open(&b, rich_space(), NAN, true);
    hpt__rng_init(&rng, 1, 2);
    tell_random(&b, N, &rng);
    OK(hpt__gp_fit(b.gp, false));
    random_rows(pending, pending_masks, &b, PENDING, &rng);
    OK(hpt__gp_set_pending(b.gp, pending, pending_masks, PENDING));
    OK(hpt__gp_ready(b.gp));
    random_rows(rows, masks, &b, K, &rng);
    OK(hpt__model_posterior(hpt__gp_model(b.gp), rows, masks, K, exact_mean, exact_var, NULL, NULL));
    hpt__neighbours *near = neighbours_of(&b);
    OK(hpt__neighbours_posterior(near, rows, masks, K, N, mean, var));
    for (int i = 0; i < K; i++) {
        cr_expect_float_eq(mean[i], exact_mean[i], 1e-8, "%d: mean %g, exact %g", i, mean[i], exact_mean[i]);
        cr_expect_float_eq(var[i], exact_var[i], 1e-8, "%d: variance %g, exact %g", i, var[i], exact_var[i]);
    }
    hpt__neighbours_destroy(near);
    bench_close(&b);
}

// ---- a plain calculation: the nearest ones by sorting, then Gauss's elimination

static void solve(double *a, double *x, int n) { // a x = x, symmetric positive definite
    for (int k = 0; k < n; k++)
        for (int i = k + 1; i < n; i++) {
            const double f = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++) a[i * n + j] -= f * a[k * n + j];
            x[i] -= f * x[k];
        }
    for (int k = n - 1; k >= 0; k--) {
        for (int j = k + 1; j < n; j++) x[k] -= a[k * n + j] * x[j];
        x[k] /= a[k * n + k];
    }
}

Test(gp_nearest, mixed_and_conditional_points_by_a_plain_calculation)
{
    bench b;
    hpt__rng rng;
    enum { N = 200, K = 20, M = 12 };
    double rows[K * 32], mean[K], var[K], k_all[N], k_one[M], own, a[M * M], x[M], w[M];
    uint64_t masks[K];
    bench_open(&b, rich_space(), NAN, false);
    hpt__rng_init(&rng, 3, 4);
    tell_random(&b, N, &rng);
    OK(hpt__gp_fit(b.gp, false));
    OK(hpt__gp_ready(b.gp));
    const hpt__cov *cov = &b.code.cov;
    const double *theta = hpt__gp_theta(b.gp), *told = hpt__gp_rows(b.gp), *z = hpt__gp_z(b.gp);
    const uint64_t *told_masks = hpt__gp_masks(b.gp);
    const double noise = exp(theta[cov->d + cov->n_terms]);
    random_rows(rows, masks, &b, K, &rng);
    hpt__neighbours *near = neighbours_of(&b);
    OK(hpt__neighbours_posterior(near, rows, masks, K, M, mean, var));
    for (int j = 0; j < K; j++) {
        int chosen[M];
        bool used[N] = {false};
        OK(hpt__cov_cross(b.device, cov, theta, told, told_masks, N, rows + j * cov->d, masks + j, 1, k_all, N));
        for (int i = 0; i < M; i++) {
            double best = -1;
            for (int p = 0; p < N; p++) {
                OK(hpt__cov_cross(b.device, cov, theta, told + p * cov->d, told_masks + p, 1, told + p * cov->d,
                                  told_masks + p, 1, &own, 1));
                const double score = k_all[p] * k_all[p] / (own + noise);
                if (!used[p] && score > best) best = score, chosen[i] = p;
            }
            used[chosen[i]] = true;
        }
        for (int i = 0; i < M; i++) {
            k_one[i] = x[i] = k_all[chosen[i]];
            for (int l = 0; l < M; l++)
                OK(hpt__cov_cross(b.device, cov, theta, told + chosen[i] * cov->d, told_masks + chosen[i], 1,
                                  told + chosen[l] * cov->d, told_masks + chosen[l], 1, &a[i * M + l], 1));
            a[i * M + i] += noise;
        }
        memcpy(w, x, sizeof w);
        solve(a, w, M);
        double m = 0, v;
        OK(hpt__cov_cross(b.device, cov, theta, rows + j * cov->d, masks + j, 1, rows + j * cov->d, masks + j, 1, &v,
                          1));
        for (int i = 0; i < M; i++) {
            m += w[i] * z[chosen[i]];
            v -= w[i] * k_one[i];
        }
        cr_expect_float_eq(mean[j], m, 1e-7, "%d: mean %g, by hand %g", j, mean[j], m);
        cr_expect_float_eq(var[j], v, 1e-7, "%d: variance %g, by hand %g", j, var[j], v);
    }
    hpt__neighbours_destroy(near);
    bench_close(&b);
}

// Under the model the exact mean is the nearest neighbours' plus a normal error of variance (theirs - the exact one).
Test(gp_nearest, thirty_two_neighbours_of_thousands_of_points)
{
    bench b = {.space = plain_space(6)};
    hpt__rng rng;
    double *rows = malloc(sizeof *rows * ASKED * 6), mean[ASKED], var[ASKED], exact_mean[ASKED], exact_var[ASKED];
    uint64_t masks[ASKED];
    OK(hpt__device_open(&b.device, "auto", NULL, NULL)); // thousands of points are too many for ref
    OK(hpt__gp_code_init(&b.code, b.space, HPT__COV_MATERN52));
    b.gp = another_gp(&b, 1e-2, false);
    hpt__rng_init(&rng, 5, 6);
    tell_random(&b, MANY, &rng);
    OK(hpt__gp_ready(b.gp)); // with the default hyperparameters
    random_rows(rows, masks, &b, ASKED, &rng);
    OK(hpt__model_posterior(hpt__gp_model(b.gp), rows, masks, ASKED, exact_mean, exact_var, NULL, NULL));
    hpt__neighbours *near = neighbours_of(&b);
    OK(hpt__neighbours_posterior(near, rows, masks, ASKED, 32, mean, var));
    double sum_e = 0, sum_n = 0, ee = 0, nn = 0, en = 0, sure = 0, square = 0;
    for (int i = 0; i < ASKED; i++) {
        cr_expect(var[i] >= exact_var[i] * (1 - 1e-9), "%d: fewer points are never surer: %g < %g", i, var[i],
                  exact_var[i]);
        sum_e += exact_mean[i];
        sum_n += mean[i];
        ee += exact_mean[i] * exact_mean[i];
        nn += mean[i] * mean[i];
        en += exact_mean[i] * mean[i];
        sure += sqrt(var[i] / exact_var[i]) / ASKED;
        square += pow(mean[i] - exact_mean[i], 2) / (var[i] - exact_var[i] + 1e-9) / ASKED;
    }
    const double r = (en - sum_e * sum_n / ASKED) / sqrt((ee - sum_e * sum_e / ASKED) * (nn - sum_n * sum_n / ASKED));
    cr_expect_gt(r, 0.999, "correlation of the means %g", r);
    cr_expect_lt(sure, 2, "standard deviation %g times the exact one in the mean", sure);
    cr_expect_lt(square, 2, "squared error %g times what the variances promise", square);
    hpt__neighbours_destroy(near);
    free(rows);
    bench_close(&b);
}

Test(gp_nearest, told_points_come_first_and_are_needed)
{
    bench b;
    double row[2] = {0.5, 0.5}, value = 1, mean, var;
    uint64_t mask = 1;
    hpt__neighbours *near = NULL;
    bench_open(&b, plain_space(2), NAN, false);
    OK(hpt__neighbours_create(&near, b.device, &b.code.cov, hpt__gp_theta(b.gp)));
    cr_expect_eq(hpt__neighbours_posterior(near, row, &mask, 1, 8, &mean, &var), HPT_E_STATE);
    OK(hpt__neighbours_add(near, row, &mask, NULL, 1));
    cr_expect_eq(hpt__neighbours_add(near, row, &mask, &value, 1), HPT_E_STATE);
    hpt__neighbours_destroy(near);
    bench_close(&b);
}

static bool fail_at(size_t size, void *payload) {
    int64_t *left = payload;
    (void)size;
    return (*left)-- == 0;
}

Test(gp_nearest, an_allocation_that_fails_is_an_error_and_leaks_nothing)
{
    bench b;
    hpt__rng rng;
    double rows[4], mean[2], var[2];
    uint64_t masks[2];
    bench_open(&b, plain_space(2), NAN, false);
    hpt__rng_init(&rng, 7, 8);
    tell_random(&b, 20, &rng);
    OK(hpt__gp_ready(b.gp));
    random_rows(rows, masks, &b, 2, &rng);
    for (int64_t k = 0;; k++) {
        int64_t left = k;
        hpt__neighbours *near = NULL;
        hpt__alloc_set_hook(fail_at, &left);
        int rc = hpt__neighbours_create(&near, b.device, &b.code.cov, hpt__gp_theta(b.gp));
        if (rc >= 0) rc = hpt__neighbours_add(near, hpt__gp_rows(b.gp), hpt__gp_masks(b.gp), hpt__gp_z(b.gp), 20);
        if (rc >= 0) rc = hpt__neighbours_posterior(near, rows, masks, 2, 8, mean, var);
        hpt__alloc_set_hook(NULL, NULL);
        hpt__neighbours_destroy(near);
        cr_expect_eq(rc, left < 0 ? HPT_E_MEMORY : 0, "allocation %d: %d", (int)k, rc);
        if (left >= 0) break;
    }
    bench_close(&b);
}
