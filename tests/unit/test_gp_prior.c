// SPDX-License-Identifier: Apache-2.0
// test_gp_prior.c: densities of hyperparameters and their gradients; the transformation of the objective.
#include "gp_testing.h"

Test(gp_prior, gradient_matches_differences_everywhere_within_the_bounds)
{
    hpt_space *s = rich_space();
    hpt__gp_code code;
    OK(hpt__gp_code_init(&code, s, HPT__COV_MATERN52));
    const int64_t p = hpt__cov_n_theta(&code.cov);
    double low[64], high[64], theta[64], grad[64];
    hpt__gp_bounds(low, high, &code.cov, 1e-6);
    hpt__rng rng;
    hpt__rng_init(&rng, 3, 0);
    for (int k = 0; k < 50; k++) {
        for (int64_t j = 0; j < p; j++) {
            theta[j] = low[j] + (high[j] - low[j]) * hpt__rng_uniform(&rng);
            grad[j] = 1; // what was there stays
        }
        hpt__gp_log_prior(&code.cov, theta, grad);
        for (int64_t j = 0; j < p; j++) {
            const double h = 1e-5, at = theta[j];
            // Of the one term alone, so that a large other one does not swamp the difference.
            double base[64];
            for (int64_t i = 0; i < p; i++) base[i] = 0;
            base[j] = at + h;
            const double up = hpt__gp_log_prior(&code.cov, base, NULL);
            base[j] = at - h;
            const double down = hpt__gp_log_prior(&code.cov, base, NULL);
            const double want = (up - down) / (2 * h);
            cr_expect(fabs(grad[j] - 1 - want) <= 1e-6 * (1 + fabs(want)), "theta %d = %g: %g, difference %g", (int)j,
                      at, grad[j] - 1, want);
        }
    }
    hpt__gp_code_fini(&code);
    hpt_space_destroy(s);
}

static const double values[] = {3, -1, 0.5, 12, 400, 2, 2, -0.7, 1e4, 7, 1.5};
enum { N = sizeof values / sizeof *values };

Test(gp_warp, is_monotone_invertible_and_has_the_stated_jacobian)
{
    for (int kind = 0; kind < 2; kind++) {
        hpt__warp w;
        hpt__warp_fit(&w, (hpt__warp_kind)kind, values, N);
        double before = -INFINITY, jacobian = 0, sum = 0, square = 0;
        for (int i = -50; i <= 400; i++) {
            const double y = i < 0 ? 0.1 * i : 0.05 * i * i, z = hpt__warp_apply(&w, y);
            cr_expect(i == 0 || z > before);
            before = z;
            cr_expect_float_eq(hpt__warp_invert(&w, z), y, 1e-9 * (1 + fabs(y)));
        }
        for (int i = 0; i < N; i++) {
            const double h = 1e-6 * (1 + fabs(values[i]));
            jacobian += log((hpt__warp_apply(&w, values[i] + h) - hpt__warp_apply(&w, values[i] - h)) / (2 * h));
            sum += hpt__warp_apply(&w, values[i]);
            square += pow(hpt__warp_apply(&w, values[i]), 2);
        }
        cr_expect_float_eq(hpt__warp_log_jacobian(&w, values, N), jacobian, 1e-5);
        cr_expect_float_eq(sum / N, 0, 1e-12);
        cr_expect_float_eq(square / N, 1, 1e-12);
    }
}

Test(gp_warp, tail_starts_at_the_median_with_the_lower_quartile_as_scale)
{
    hpt__warp w;
    hpt__warp_fit(&w, HPT__WARP_LOG_TAIL, values, N);
    // Sorted: -1 -0.7 0.5 1.5 2 2 3 7 12 400 1e4; numpy.quantile: 2 and 1.
    cr_expect_eq(w.median, 2);
    cr_expect_float_eq(w.scale, 1, 1e-15);
    double shuffled[1000];
    for (int i = 0; i < 1000; i++) shuffled[i] = (double)(i * 617 % 1000);
    hpt__warp_fit(&w, HPT__WARP_LOG_TAIL, shuffled, 1000); // quartiles by selection
    cr_expect_float_eq(w.median, 499.5, 1e-12);
    cr_expect_float_eq(w.scale, 499.5 - 249.75, 1e-12);
}

Test(gp_warp, constant_and_huge_data_stay_finite)
{
    const double cases[][4] = {{5, 5, 5, 5},
                               {0, 0, 0, 0},
                               {1e300, -1e300, 0, 1},
                               {1e300, 1e300, 1e300, 1e300},
                               {2e300, -2e300, 1, 2},
                               {1e-310, 0, 2e-310, 0},
                               {1, 1 + 1e-16, 1, 1},
                               {1e10, 1e10 + 2e-6, 1e10, 1e10},
                               {1e300, 1e300 * (1 + 1e-15), 1e300, 1e300},
                               {0, 0, 0, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int kind = 0; kind < 2; kind++) {
            for (int64_t n = 1; n <= 4; n++) {
                hpt__warp w;
                hpt__warp_fit(&w, (hpt__warp_kind)kind, cases[c], n);
                cr_expect(w.sd > 0 && isfinite(w.sd) && isfinite(w.mean));
                for (int64_t i = 0; i < n; i++) {
                    const double z = hpt__warp_apply(&w, cases[c][i]);
                    cr_expect(fabs(z) <= 10, "case %zu: %g becomes %g", c, cases[c][i], z);
                    cr_expect(isfinite(hpt__warp_invert(&w, z)) && isfinite(hpt__warp_invert(&w, 1e3)));
                }
                cr_expect(isfinite(hpt__warp_log_jacobian(&w, cases[c], n)));
            }
        }
    }
}

static double fence_of(const double *y, int64_t n, int seed) { // in an order of its own
    double copy[200];
    hpt__rng rng;
    hpt__rng_init(&rng, (uint64_t)seed, 0);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = hpt__rng_below(&rng, i + 1);
        copy[i] = copy[k];
        copy[k] = y[i];
    }
    return hpt__gp_fence(copy, n);
}

Test(gp_warp, the_fence_is_far_out_for_ordinary_tails_and_keeps_absurd_values_in_reach)
{
    double y[200];
    hpt__rng rng;
    hpt__rng_init(&rng, 12, 0);
    // Sorted: 0 1 .. 20: m = 10, s = 5, upper quartile 15: the least factor, 20.
    for (int i = 0; i < 21; i++) y[i] = i;
    cr_expect_float_eq(fence_of(y, 21, 1), 10 + 5 * 19.0, 1e-12);
    y[20] = 1e300;
    cr_expect_float_eq(fence_of(y, 21, 2), 10 + 5 * 19.0, 1e-12, "an outlier does not move it");
    for (int i = 15; i < 21; i++) y[i] = 90; // upper quartile 15 -> 90: r = 1 + 80 / 5 = 17
    cr_expect_float_eq(fence_of(y, 21, 3), 10 + 5 * (pow(17, 4) - 1), 1e-9, "a heavy tail does");
    // Tails that are known: nothing of them is beyond it.
    for (int law = 0; law < 3; law++) {
        for (int i = 0; i < 200; i++) {
            const double normal = hpt__rng_normal(&rng);
            y[i] = law == 0 ? normal : law == 1 ? exp(normal) : pow(10, 12 * hpt__rng_uniform(&rng));
        }
        const double fence = fence_of(y, 200, 4);
        for (int i = 0; i < 200; i++) cr_expect_lt(y[i], fence, "law %d: %g, fence %g", law, y[i], fence);
    }
    // No scale: few values, or half of them and more the same.
    cr_expect_eq(fence_of(y, 4, 5), INFINITY);
    for (int i = 0; i < 20; i++) y[i] = i < 16 ? 2 : 1e300;
    cr_expect_eq(fence_of(y, 20, 6), INFINITY);
    for (int i = 0; i < 20; i++) y[i] = i < 1 ? 1 : 2; // one that is better gives it
    cr_expect_float_eq(fence_of(y, 20, 7), 2 + 19.0, 1e-12);
    for (int i = 0; i < 20; i++) y[i] = i < 8 ? -1e300 : 1e300;
    cr_expect_not(isnan(fence_of(y, 20, 8)));
}

Test(gp_warp, one_absurd_value_leaves_the_prediction_of_the_others)
{
    enum { TOLD = 40, ASKED = 50 };
    static double rows[2 * (TOLD + ASKED)], y[TOLD], mean[ASKED], sd[ASKED];
    static uint64_t mask[TOLD + ASKED];
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    hpt__rng rng;
    hpt__rng_init(&rng, 13, 0);
    random_rows(rows, mask, &b, TOLD + ASKED, &rng);
    const double absurd[] = {1e6, 1e300, INFINITY};
    for (int k = 0; k < 3; k++) {
        hpt__gp *gp = another_gp(&b, NAN, true);
        double error = 0;
        for (int i = 0; i < TOLD; i++) y[i] = i == 7 ? absurd[k] : smooth(rows + 2 * i, 2);
        OK(hpt__gp_tell(gp, rows, mask, y, TOLD));
        OK(hpt__gp_fit(gp, false));
        OK(hpt__gp_predict(gp, rows + 2 * TOLD, mask + TOLD, ASKED, mean, sd));
        for (int i = 0; i < ASKED; i++) error += pow(mean[i] - smooth(rows + 2 * (TOLD + i), 2), 2) / ASKED;
        cr_log_info("%g: error %g", absurd[k], sqrt(error));
        cr_expect_lt(sqrt(error), 0.5, "%g: error %g", absurd[k], sqrt(error));
        hpt__gp_destroy(gp);
    }
    bench_close(&b);
}

Test(gp_warp, a_value_is_transformed_as_that_of_a_told_point)
{
    enum { TOLD = 30 };
    double rows[2 * TOLD], y[TOLD];
    uint64_t mask[TOLD];
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    hpt__rng rng;
    hpt__rng_init(&rng, 13, 0);
    random_rows(rows, mask, &b, TOLD, &rng);
    const double odd[] = {1e6, 1e300, INFINITY, -INFINITY}; // the first two lie beyond the fence
    for (int i = 0; i < TOLD; i++) y[i] = i < 4 ? odd[i] : smooth(rows + 2 * i, 2);
    OK(hpt__gp_tell(b.gp, rows, mask, y, TOLD));
    OK(hpt__gp_fit(b.gp, false));
    for (int i = 0; i < TOLD; i++) cr_expect_eq(hpt__gp_transform(b.gp, y[i]), hpt__gp_z(b.gp)[i], "%g", y[i]);
    bench_close(&b);
}
