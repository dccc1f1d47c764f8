// SPDX-License-Identifier: Apache-2.0
// test_gp_path.c: functions drawn pathwise have the posterior's mean and covariance, go through the data and stay the same.
#include "core/gp/gp_path.h"
#include "gp_testing.h"

enum { TOLD = 14, M = 12, S = 3 };

static void fill(bench *b, double noise) {
    const int64_t d = b->code.cov.d;
    double rows[TOLD * 64], y[TOLD];
    uint64_t mask[TOLD];
    hpt__rng rng;
    hpt__rng_init(&rng, 31, 0);
    random_rows(rows, mask, b, TOLD, &rng);
    for (int i = 0; i < TOLD; i++) y[i] = smooth(rows + i * d, d) + noise * hpt__rng_normal(&rng);
    OK(hpt__gp_tell(b->gp, rows, mask, y, TOLD));
    OK(hpt__gp_fit(b->gp, true));
    OK(hpt__gp_ready(b->gp));
}

// Moments of n_draws x S functions, frequencies drawn anew for each S, against the joint posterior. What a set of frequencies makes
// of the variance among the data has a heavy tail, the heavier the rougher the kernel: Matern 3/2 needs the most sets.
static void expect_moments(hpt_space *space, hpt__cov_kind kind, double noise, int n_draws) {
    bench b = {.space = space, .device = open_device()};
    OK(hpt__gp_code_init(&b.code, space, kind));
    const hpt__gp_settings settings = {.noise = noise, .seed = 7, .max_evaluations = 60};
    OK(hpt__gp_create(&b.gp, b.device, &b.code, &settings));
    fill(&b, noise);
    double rows[M * 64], mean[M], cov[M * M], sum[M] = {0}, product[M * M] = {0}, f[M * S];
    uint64_t mask[M];
    hpt__rng rng;
    hpt__rng_init(&rng, 5, 0);
    random_rows(rows, mask, &b, M, &rng);
    OK(hpt__model_joint(hpt__gp_model(b.gp), rows, mask, M, mean, cov, M));
    for (int k = 0; k < n_draws; k++) {
        hpt__gp_paths *paths = NULL;
        OK(hpt__gp_paths_draw(&paths, b.gp, (uint64_t)k, 0, S));
        OK(hpt__gp_paths_value(f, M, paths, b.gp, rows, mask, M));
        hpt__gp_paths_destroy(paths);
        for (int s = 0; s < S; s++) {
            for (int i = 0; i < M; i++) {
                sum[i] += f[s * M + i] - mean[i];
                for (int j = 0; j <= i; j++) product[i * M + j] += (f[s * M + i] - mean[i]) * (f[s * M + j] - mean[j]);
            }
        }
    }
    const double n = n_draws * S;
    for (int i = 0; i < M; i++) {
        cr_expect(fabs(sum[i] / n) < 5 * sqrt(cov[i * M + i] / n) + 1e-6, "mean %d is off by %g, sd %g", i, sum[i] / n,
                  sqrt(cov[i * M + i]));
        for (int j = 0; j <= i; j++) {
            const double size = sqrt(cov[i * M + i] * cov[j * M + j]);
            cr_expect(fabs(product[i * M + j] / n - cov[i * M + j]) < 0.15 * size + 1e-9,
                      "kind %d: covariance of %d and %d: %g, the posterior's %g, scale %g", (int)kind, i, j,
                      product[i * M + j] / n, cov[i * M + j], size);
        }
    }
    bench_close(&b);
}

Test(gp_path, has_the_posteriors_mean_and_covariance)
{
    expect_moments(plain_space(3), HPT__COV_MATERN52, 0.1, 600);
    expect_moments(plain_space(2), HPT__COV_MATERN32, 0, 2000);
    expect_moments(plain_space(2), HPT__COV_RBF, 0.3, 300);
}

Test(gp_path, has_it_with_choices_and_conditions_too)
{ expect_moments(rich_space(), HPT__COV_MATERN52, 0.1, 300); }

Test(gp_path, goes_through_what_was_told_without_noise)
{
    bench b;
    bench_open(&b, plain_space(3), 0, false);
    fill(&b, 0);
    hpt__gp_paths *paths = NULL;
    double f[TOLD * 3];
    OK(hpt__gp_paths_draw(&paths, b.gp, 1, 0, 3));
    OK(hpt__gp_paths_value(f, TOLD, paths, b.gp, hpt__gp_rows(b.gp), hpt__gp_masks(b.gp), TOLD));
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < TOLD; i++)
            cr_expect_float_eq(f[s * TOLD + i], hpt__gp_z(b.gp)[i], 1e-3, "function %d at point %d: %g, told %g", s, i,
                               f[s * TOLD + i], hpt__gp_z(b.gp)[i]);
    hpt__gp_paths_destroy(paths);
    bench_close(&b);
}

Test(gp_path, is_the_same_function_with_others_beside_it_or_pending_points)
{
    bench b;
    bench_open(&b, rich_space(), NAN, false);
    fill(&b, 0.1);
    hpt__gp_paths *all = NULL, *some = NULL, *later = NULL;
    double rows[M * 64], f[M * 8], g[M * 3], h[M * 3];
    uint64_t mask[M];
    hpt__rng rng;
    hpt__rng_init(&rng, 6, 0);
    random_rows(rows, mask, &b, M, &rng);
    OK(hpt__gp_paths_draw(&all, b.gp, 9, 0, 8));
    OK(hpt__gp_paths_draw(&some, b.gp, 9, 3, 3));
    OK(hpt__gp_paths_value(f, M, all, b.gp, rows, mask, M));
    OK(hpt__gp_paths_value(g, M, some, b.gp, rows, mask, M));
    OK(hpt__gp_set_pending(b.gp, rows, mask, 4));
    cr_expect(hpt__gp_paths_fit(all, b.gp), "pending points are no news");
    OK(hpt__gp_paths_draw(&later, b.gp, 9, 3, 3));
    OK(hpt__gp_paths_value(h, M, later, b.gp, rows, mask, M));
    for (int k = 0; k < 3 * M; k++) {
        cr_expect_float_eq(g[k], f[3 * M + k], 1e-9, "%g and %g", g[k], f[3 * M + k]);
        cr_expect_float_eq(h[k], f[3 * M + k], 1e-9, "with pending points %g, without %g", h[k], f[3 * M + k]);
    }
    double apart = 0;
    for (int k = 0; k < M; k++) apart = fmax(apart, fabs(f[k] - f[M + k]));
    cr_expect_gt(apart, 1e-2, "two functions are two");
    // New data: another posterior.
    const double y = 0.5;
    OK(hpt__gp_tell(b.gp, rows, mask, &y, 1));
    OK(hpt__gp_ready(b.gp));
    cr_expect_not(hpt__gp_paths_fit(all, b.gp));
    cr_expect_eq(hpt__gp_paths_value(f, M, all, b.gp, rows, mask, M), HPT_E_STATE);
    hpt__gp_paths_destroy(all);
    hpt__gp_paths_destroy(some);
    hpt__gp_paths_destroy(later);
    hpt__gp_paths_destroy(NULL);
    bench_close(&b);
}

static bool fail_at(size_t size, void *payload) {
    (void)size;
    return (*(int64_t *)payload)-- == 0;
}

Test(gp_path, an_allocation_that_fails_is_an_error_and_leaks_nothing)
{
    bench b;
    bench_open(&b, rich_space(), NAN, false);
    fill(&b, 0.1);
    int64_t k = 0;
    for (; k < 100; k++) {
        hpt__gp_paths *paths = NULL;
        int64_t left = k;
        hpt__alloc_set_hook(fail_at, &left);
        const int rc = hpt__gp_paths_draw(&paths, b.gp, 1, 0, 4);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc >= 0) {
            hpt__gp_paths_destroy(paths);
            break;
        }
        cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d: %s", (int)k, hpt_last_error());
        cr_assert_null(paths);
    }
    cr_expect(k > 4 && k < 100, "%d allocations failed", (int)k);
    bench_close(&b);
}
