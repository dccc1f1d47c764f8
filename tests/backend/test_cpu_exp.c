// SPDX-License-Identifier: Apache-2.0
// test_cpu_exp.c: the array loops of backend `cpu`: error bounds against long double, and the same bits from every variant.
#ifdef HPT_HAVE_CPU_BACKEND
#include "backend_testing.h"
#include "cpu/cpu_vec.h"

enum { N = 4096 };

static double x[N], y[N], z[N];

static void fill(double low, double high, uint64_t seed) {
    hpt__rng rng;
    hpt__rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < N; i++) x[i] = uniform(&rng, low, high);
}

Test(cpu_vec, exp_is_within_two_units_in_the_last_place)
{
    const double low[] = {-708, -40, -1, -1e-8};
    long double worst = 0;
    for (int64_t r = 0; r < COUNT(low); r++) {
        fill(low[r], 0, (uint64_t)r + 1);
        x[0] = 0;
        x[1] = low[r];
        for (int64_t v = 0; cpu__vec_variant(v); v++) {
            cpu__vec_variant(v)->exp(y, x, N);
            for (int64_t i = 0; i < N; i++) {
                const long double want = expl((long double)x[i]);
                const long double unit = ldexpl(1, ilogbl(want) - 52), error = fabsl((long double)y[i] - want) / unit;
                if (error > worst) worst = error;
            }
        }
    }
    cr_log_info("largest error of exp: %.3Lf units in the last place", worst);
    cr_expect_lt(worst, 2.0L);
}

Test(cpu_vec, exp_of_zero_is_one_and_far_below_is_zero)
{
    const double edge[8] = {0, -0.0, -708.1, -745, -1e4, -1e300, -INFINITY, -1e-320};
    const double want[8] = {1, 1, 0, 0, 0, 0, 0, 1};
    double got[8];
    for (int64_t v = 0; cpu__vec_variant(v); v++) {
        cpu__vec_variant(v)->exp(got, edge, 8);
        for (int i = 0; i < 8; i++)
            cr_expect_eq(got[i], want[i], "%s exp(%g) is %g", cpu__vec_variant(v)->name, edge[i], got[i]);
    }
}

static long double exact_value(hpt__cov_kind kind, long double q) {
    const long double r5 = sqrtl(5 * q), r3 = sqrtl(3 * q);
    if (kind == HPT__COV_MATERN52) return (1 + r5 + 5 * q / 3) * expl(-r5);
    return kind == HPT__COV_MATERN32 ? (1 + r3) * expl(-r3) : expl(-q / 2);
}

static long double exact_slope(hpt__cov_kind kind, long double q) {
    const long double r5 = sqrtl(5 * q), r3 = sqrtl(3 * q);
    if (kind == HPT__COV_MATERN52) return 5.0L / 3 * (1 + r5) * expl(-r5);
    return kind == HPT__COV_MATERN32 ? 3 * expl(-r3) : expl(-q / 2);
}

Test(cpu_vec, covariances_and_slopes_are_within_1e_15_of_the_amplitude)
{
    const double high[] = {1e-6, 1, 100, 1e6};
    for (int64_t r = 0; r < COUNT(high); r++) {
        fill(0, high[r], (uint64_t)r + 9);
        x[0] = 0;
        x[1] = 1e308;
        x[2] = INFINITY;
        for (int kind = 0; kind < 3; kind++) {
            for (int64_t v = 0; cpu__vec_variant(v); v++) {
                cpu__vec_variant(v)->covariance(y, z, (hpt__cov_kind)kind, 2.5, x, N);
                cr_expect_eq(y[0], 2.5, "equal points have the amplitude itself");
                cr_expect(y[1] == 0 && y[2] == 0, "far points have no covariance");
                for (int64_t i = 3; i < N; i++) {
                    const double value = (double)(2.5L * exact_value((hpt__cov_kind)kind, (long double)x[i]));
                    const double slope = (double)(2.5L * exact_slope((hpt__cov_kind)kind, (long double)x[i]));
                    cr_assert_float_eq(y[i], value, 2.5e-15, "kind %d r2 %.17g: %.17g, not %.17g", kind, x[i], y[i],
                                       value);
                    cr_assert_float_eq(z[i], slope, 7.5e-15, "kind %d r2 %.17g: slope %.17g, not %.17g", kind, x[i],
                                       z[i], slope);
                }
            }
        }
    }
}

Test(cpu_vec, waves_are_within_1e_13_for_phases_below_ten_million)
{
    const double high[] = {1e-9, 1, 7, 100, 1e4, 1e7};
    for (int64_t r = 0; r < COUNT(high); r++) {
        fill(-high[r], high[r], (uint64_t)r + 5);
        for (int i = 0; i < 16 && high[r] > 1; i++) x[i] = (i - 8) * acos(-1) / 4; // where the pieces meet
        for (int64_t v = 0; cpu__vec_variant(v); v++) {
            cpu__vec_variant(v)->waves(y, z, x, N);
            for (int64_t i = 0; i < N; i++) {
                cr_assert_float_eq(y[i], (double)cosl((long double)x[i]), 1e-13, "cos(%.17g) is %.17g", x[i], y[i]);
                cr_assert_float_eq(z[i], (double)sinl((long double)x[i]), 1e-13, "sin(%.17g) is %.17g", x[i], z[i]);
            }
        }
    }
}

// One number of each loop over the same data.
static void run_all(const cpu__vec_ops *v, double *out) {
    enum { K = 37, S = 7, LD = 64 };
    static double c[LD * S], a[LD * LD], spd[LD * LD];
    fill(-1, 1, 77);
    v->exp(y, x, N); // arguments up to 1 are fine too
    memcpy(out, y, N / 2 * sizeof *out);
    out += N / 2;
    v->distance(out, x, 256, x + 2048, x + 3000, 5, 3, 248);
    out += 248;
    v->waves(out, out + 248, x, 248);
    v->add(out, 0.7, x + 5, 243);
    out += 2 * 248;
    *out++ = v->dot(x, x + 8, 1000);
    *out++ = v->sum_diff(x, x + 8, 0.3, 1000);
    *out++ = v->sum_diff2(x, x + 8, 0.3, 1000);
    *out++ = v->sum_miss(x, x + 8, x[40], 1000);
    memcpy(a, x, sizeof a);
    for (int transposed = 0; transposed < 2; transposed++) {
        memcpy(c, x, sizeof c);
        (transposed ? v->thin_transposed : v->thin)(c, LD, a, LD, x + 100, LD, 45, K, S);
        memcpy(out, c, sizeof c);
        out += LD * S;
    }
    for (int i = 0; i < LD; i++)
        for (int j = 0; j < LD; j++) spd[i + j * LD] = (i == j) + 0.01 * x[i + j * LD];
    *out++ = (double)v->cholesky(spd, LD, 61);
    memcpy(out, spd, sizeof spd);
}

Test(cpu_vec, every_variant_gives_the_same_bits)
{
    enum { OUT = N / 2 + 3 * 248 + 4 + 2 * 64 * 7 + 1 + 64 * 64 };
    static double first[OUT], other[OUT];
    run_all(cpu__vec_variant(0), first);
    for (int64_t v = 1; cpu__vec_variant(v); v++) {
        run_all(cpu__vec_variant(v), other);
        cr_expect_arr_eq(first, other, sizeof first, "%s differs from the plain one", cpu__vec_variant(v)->name);
    }
}

Test(cpu_vec, cholesky_names_the_pivot_that_fails)
{
    double a[9] = {4, 2, 0, 0, 1, 0, 0, 0, 1};
    for (int64_t v = 0; cpu__vec_variant(v); v++) {
        double copy[9];
        memcpy(copy, a, sizeof copy);
        cr_expect_eq(cpu__vec_variant(v)->cholesky(copy, 3, 3), 2, "1 - (2/2)^2 is 0 at the second pivot");
    }
}
#else
typedef int without_backend_cpu;
#endif
