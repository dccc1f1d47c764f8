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
