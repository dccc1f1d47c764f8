// SPDX-License-Identifier: Apache-2.0
// test_backend_acquire.c: acquisition values against 200 digits (unit/golden_logei.py) and differences, on every backend
// against the moments, and screening against a full sort.
#include "backend_testing.h"

#include "core/base/special.h"
#include "golden_logei.inc"

static const hpt__acq_kind kinds[] = {HPT__ACQ_LOGEI, HPT__ACQ_LCB, HPT__ACQ_PE, HPT__ACQ_MEAN, HPT__ACQ_SD};

Test(acq_value, erfcx_matches_mpmath)
{
    for (int64_t i = 0; i < COUNT(golden_erfcx); i++)
        near_number(hpt__erfcx(golden_erfcx[i].x), golden_erfcx[i].want, 0, 2e-15, "erfcx", i);
    cr_expect_eq(hpt__erfcx(-30), INFINITY);
    cr_expect_eq(hpt__erfcx(-INFINITY), INFINITY);
    cr_expect_eq(hpt__erfcx(INFINITY), 0);
    cr_expect(isnan(hpt__erfcx(NAN)));
}

Test(acq_value, logei_matches_two_hundred_digits)
{
    for (int64_t i = 0; i < COUNT(golden_logei); i++) {
        const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = golden_logei[i].u};
        double dmean, dvar;
        near_number(hpt__acq_value(&acq, 0, 1), golden_logei[i].log_h, 2e-14, 2e-15, "log h at entry", i);
        hpt__acq_derivatives(&dmean, &dvar, &acq, 0, 1);
        near_number(dmean, -golden_logei[i].big_phi_h, 0, 1e-13, "Phi/h at entry", i);
        near_number(dvar, golden_logei[i].phi_h / 2, 1e-300,
                    1e-13 + 4e-16 * golden_logei[i].u * golden_logei[i].u * (golden_logei[i].u > 0), "phi/h at entry",
                    i);
    }
}

Test(acq_value, logei_scales_with_the_standard_deviation)
{
    for (int64_t i = 0; i < COUNT(golden_logei); i++) {
        const double sd = 0x1p-7, mean = 0x1p-3;
        const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = mean + golden_logei[i].u * sd};
        const double u = (acq.best - mean) / sd; // not quite the table's
        if (u != golden_logei[i].u) continue;
        near_number(hpt__acq_value(&acq, mean, sd * sd), golden_logei[i].log_h + log(sd), 1e-13, 4e-15, "entry", i);
    }
}

Test(acq_value, derivatives_are_the_slopes_and_join_where_branches_meet)
{
    for (int64_t k = 0; k < COUNT(kinds); k++) {
        for (double mean = -3; mean < 60; mean += 0.37) {
            for (double var = 1e-3; var < 20; var *= 7) {
                const double noise_variance = mean < 30 ? 0.05 : 0;
                const hpt__acq acq = {kinds[k], 0.21, 1.7, 0.4, noise_variance};
                const double h = 1e-4, g = 1e-4 * var;
                const double kink = acq.tau - (mean - acq.beta * sqrt(var));
                if (kinds[k] == HPT__ACQ_PE && fabs(kink) < 1e-2) continue;
                double dmean, dvar;
                hpt__acq_derivatives(&dmean, &dvar, &acq, mean, var);
#define V(m, v) hpt__acq_value(&acq, mean + (m)*h, var + (v)*g)
                const double by_mean = (V(-2, 0) - 8 * V(-1, 0) + 8 * V(1, 0) - V(2, 0)) / (12 * h);
                const double by_var = (V(0, -2) - 8 * V(0, -1) + 8 * V(0, 1) - V(0, 2)) / (12 * g);
                const double noise = 1e-14 * fabs(V(0, 0));
                near_number(dmean, by_mean, 1e-8 + noise / h, 1e-7, "dmean", k);
                near_number(dvar, by_var, 1e-8 + noise / g, 1e-7, "dvar", k);
            }
        }
    }
}

Test(acq_value, exploration_is_the_deviation_less_ten_times_what_a_point_lacks_of_its_threshold)
{
    const hpt__acq acq = {.kind = HPT__ACQ_PE, .beta = 0.5, .tau = -1};
    cr_expect_float_eq(hpt__acq_value(&acq, -0.5, 4), 2, 1e-15, "the lower bound -1.5 is below -1");
    cr_expect_float_eq(hpt__acq_value(&acq, 1, 4), 2 - 10 * 1, 1e-14, "the lower bound 0 is 1 above");
}

Test(acq_value, noise_takes_what_a_repeat_cannot_tell)
{
    for (double q = 1e-18; q < 1e18; q *= 9) { // variance in units of the noise
        const double noise = 0.3, var = q * noise;
        const hpt__acq plain = {.kind = HPT__ACQ_LOGEI, .best = 0.2}, noisy = {HPT__ACQ_LOGEI, 0.2, 0, 0, noise};
        const double factor = hpt__acq_value(&noisy, 0.5, var) - hpt__acq_value(&plain, 0.5, var);
        const double want =
            q < 1e-6 ? log(q / 2) - 0.75 * q : log1p(-1 / sqrt(1 + q)); // the series where 1 - 1 + q/2 rounds
        near_number(factor, want, 1e-14 * fabs(hpt__acq_value(&plain, 0.5, var)), 1e-9, "factor", 0);
    }
}

Test(acq_value, a_variance_of_zero_gives_finite_values_in_the_order_of_the_means)
{
    const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = 0};
    double last = INFINITY;
    for (double mean = -1; mean <= 1; mean += 0.1) {
        double dmean, dvar;
        const double v = hpt__acq_value(&acq, mean, 0);
        hpt__acq_derivatives(&dmean, &dvar, &acq, mean, 0);
        cr_expect(isfinite(v) && v < last && isfinite(dmean) && dvar == 0, "%g: %g %g %g", mean, v, dmean, dvar);
        last = v;
    }
}

BACKEND_TEST(acquire, is_the_value_of_the_moments_and_its_slope) {
    for (int64_t s = 0; s < 10; s++) {
        fitted f;
        const int64_t d = 1 + (3 * s) % 9, m = 8, n = 5 + 11 * s;
        fitted_init(&f, device, (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 4, n);
        double z[8 * D_MAX], mean[8], var[8], value[8], alone[8], grad[8 * D_MAX], dmean[8 * D_MAX], dvar[8 * D_MAX];
        uint64_t zmask[8];
        problem_points(&f.p, z, zmask, m);
        OK(hpt__model_posterior(f.model, z, zmask, m, mean, var, dmean, dvar));
        for (int64_t k = 0; k < COUNT(kinds); k++) {
            const hpt__acq acq = {kinds[k], -0.5, 1.7, 0.1, s % 2 ? 0.02 : 0};
            OK(hpt__model_acquire(f.model, &acq, z, zmask, m, value, grad));
            OK(hpt__model_acquire(f.model, &acq, z, zmask, m, alone, NULL));
            for (int64_t i = 0; i < m; i++) {
                const double want = hpt__acq_value(&acq, mean[i], var[i]);
                double by_mean, by_var;
                hpt__acq_derivatives(&by_mean, &by_var, &acq, mean[i], var[i]);
                near_number(value[i], want, 1e-9, 1e-9, "value", i);
                near_number(alone[i], want, 1e-9, 1e-9, "value without gradient", i);
                for (int64_t j = 0; j < d; j++) {
                    const double slope = by_mean * dmean[i * d + j] + by_var * dvar[i * d + j];
                    near_number(grad[i * d + j], slope, 1e-8, 1e-8, "gradient", j);
                    if (f.p.categorical[j] || !(zmask[i] >> f.p.block[j] & 1)) {
                        cr_assert_eq(grad[i * d + j], 0);
                        continue;
                    }
                    static const double at[4] = {-2, -1, 1, 2};
                    double moved[D_MAX], v[4];
                    const double h = 1e-4;
                    if (kinds[k] == HPT__ACQ_PE && fabs(acq.tau - mean[i] + acq.beta * sqrt(var[i])) < 1e-2) continue;
                    for (int q = 0; q < 4; q++) {
                        memcpy(moved, z + i * d, (size_t)d * sizeof *moved);
                        moved[j] += at[q] * h;
                        OK(hpt__model_acquire(f.model, &acq, moved, zmask + i, 1, &v[q], NULL));
                    }
                    near_number(grad[i * d + j], (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * h),
                                1e-6 * (1 + 1e-3 * fabs(value[i])), 1e-5, "slope", j);
                }
            }
        }
        fitted_fini(&f);
    }
}

BACKEND_TEST(acquire, of_the_standard_deviation_needs_no_values) {
    fitted f;
    double value, logdet, jitter;
    const hpt__acq sd = {.kind = HPT__ACQ_SD}, mean = {.kind = HPT__ACQ_MEAN};
    fitted_init(&f, device, 3, HPT__COV_MATERN52, 2, 1, 10);
    OK(hpt__model_factor(f.model, f.p.theta, &jitter, &logdet));
    OK(hpt__model_acquire(f.model, &sd, f.x, f.mask, 1, &value, NULL));
    FAILS(HPT_E_STATE, hpt__model_acquire(f.model, &mean, f.x, f.mask, 1, &value, NULL));
    fitted_fini(&f);
}

static double *sort_values;
static int by_value(const void *a, const void *b) {
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    if (sort_values[i] != sort_values[j]) return sort_values[i] > sort_values[j] ? -1 : 1;
    return i < j ? -1 : i > j;
}

BACKEND_TEST(screen, gives_the_true_best_with_ties_by_index) {
    static const int64_t many[] = {1, 2, 100, 1023, 1024, 1025, 3000};
    for (int64_t s = 0; s < COUNT(many); s++) {
        fitted f;
        const int64_t m = many[s], d = 3;
        fitted_init(&f, device, (uint64_t)s, HPT__COV_MATERN52, d, 2, 20 + s);
        double *z = numbers(m * d), *value = numbers(m), *best = numbers(m);
        uint64_t *zmask = words(m);
        int64_t *order = calloc((size_t)m, sizeof *order), *index = calloc((size_t)m, sizeof *index);
        problem_points(&f.p, z, zmask, m);
        for (int64_t i = 0; i < m; i++) { // every third point is one of four: ties
            if (i % 3 || i < 4) continue;
            memcpy(z + i * d, z + (i % 4) * d, (size_t)d * sizeof *z);
            zmask[i] = zmask[i % 4];
        }
        for (int64_t k = 0; k < COUNT(kinds); k++) {
            const hpt__acq acq = {kinds[k], -0.2, 2, 0, 0.01};
            // One by one, so that equal points have equal values whatever the blocks are.
            for (int64_t i = 0; i < m; i++) {
                OK(hpt__model_acquire(f.model, &acq, z + i * d, zmask + i, 1, value + i, NULL));
                order[i] = i;
            }
            sort_values = value;
            qsort(order, (size_t)m, sizeof *order, by_value);
            const int64_t wanted[] = {1, m < 7 ? m : 7, m / 2, m};
            for (int w = 0; w < 4; w++) {
                OK(hpt__model_screen(f.model, &acq, z, zmask, m, wanted[w], index, best));
                for (int64_t i = 0; i < wanted[w]; i++) {
                    near_number(best[i], value[order[i]], 1e-10, 1e-10, "value", i);
                    near_number(value[index[i]], value[order[i]], 1e-10, 1e-10, "value of the index", i);
                    if (i > 0)
                        cr_assert(best[i] < best[i - 1] || (best[i] == best[i - 1] && index[i] > index[i - 1]),
                                  "order");
                }
            }
        }
        free(z);
        free(value);
        free(best);
        free(zmask);
        free(order);
        free(index);
        fitted_fini(&f);
    }
}

// On an accelerator; in `ref` and `cpu` the word means nothing.
BACKEND_TEST(screen, in_single_precision_gives_what_ref_gives) {
    hpt__device *single = NULL, *ref = testing_device("ref");
    enum { M = 400, K = 20 };
    setenv("HPT_CUDA_SCREEN", "single", 1);
    OK(hpt__device_open(&single, hpt__device_name(device), NULL, NULL));
    for (int64_t s = 0; s < 4; s++) {
        fitted got, want;
        const int64_t d = 2 + s;
        fitted_init(&got, single, (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 4, 60 + 20 * s);
        fitted_init(&want, ref, (uint64_t)s, (hpt__cov_kind)(s % 3), d, 1 + s % 4, 60 + 20 * s);
        double *z = numbers(M * d), best[2][K];
        uint64_t *zmask = words(M);
        int64_t index[2][K];
        problem_points(&got.p, z, zmask, M);
        for (int64_t k = 0; k < COUNT(kinds); k++) {
            const hpt__acq acq = {kinds[k], -0.2, 2, 0, 0.01};
            OK(hpt__model_screen(got.model, &acq, z, zmask, M, K, index[0], best[0]));
            OK(hpt__model_screen(want.model, &acq, z, zmask, M, K, index[1], best[1]));
            for (int64_t i = 0; i < K; i++) {
                const double apart =
                    i == 0 ? INFINITY : fmin(best[1][i - 1] - best[1][i], i + 1 < K ? best[1][i] - best[1][i + 1] : 0);
                near_number(best[0][i], best[1][i], 1e-9, 1e-9, "value", i);
                if (apart > 1e-8) cr_assert_eq(index[0][i], index[1][i], "place %lld", (long long)i);
            }
        }
        free(z);
        free(zmask);
        fitted_fini(&got);
        fitted_fini(&want);
    }
    hpt__device_close(single);
    hpt__device_close(ref);
}
