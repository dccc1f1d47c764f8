// SPDX-License-Identifier: Apache-2.0
// test_base_lbfgsb.c: minima within bounds, the reasons to stop, values that are not finite, memory.
// SciPy's answers: oracle_lbfgsb.py.
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/lbfgsb.h"
#include "lbfgsb_testing.h"

#include <criterion/criterion.h>

static const hpt__lbfgsb_options tight = {
    .gradient_tolerance = 1e-8, .decrease_tolerance = 1e-15, .max_iterations = 2000, .max_evaluations = 4000};

static double minimise(hpt__lbfgsb *s, lbfgsb_function function, int64_t n, const double *low, const double *high,
                       const double *x0, const hpt__lbfgsb_options *options) {
    double g[64], f;
    cr_assert_eq(hpt__lbfgsb_init(s, n, low, high, x0, options), 0);
    do {
        const double *x = hpt__lbfgsb_point(s);
        for (int64_t i = 0; i < n; i++) cr_assert(x[i] >= low[i] && x[i] <= high[i], "outside the bounds");
        f = function(g, x, n);
    } while (hpt__lbfgsb_tell(s, f, g) == HPT__LBFGSB_EVALUATE);
    hpt__lbfgsb_result(s, &f);
    return f;
}

static void fill(double *v, int64_t n, double value) {
    for (int64_t i = 0; i < n; i++) v[i] = value;
}

Test(base_lbfgsb, finds_minima_without_bounds)
{
    static const struct {
        lbfgsb_function function;
        int64_t n;
        double x0[4], least;
    } cases[] = {{rosenbrock, 2, {-1.2, 1}, 1e-14},
                 {beale, 2, {1, 1}, 1e-14},
                 {wood, 4, {-3, -1, -3, -1}, 1e-13},
                 {powell, 4, {3, -1, 0, 1}, 1e-8},
                 {quadratic, 4, {3, -1, 0, 1}, 1e-12}};
    double low[4], high[4];
    fill(low, 4, -INFINITY);
    fill(high, 4, INFINITY);
    hpt__lbfgsb s = {0};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double f = minimise(&s, cases[c].function, cases[c].n, low, high, cases[c].x0, &tight);
        cr_expect(f < cases[c].least, "case %zu: %g after %lld evaluations", c, f, (long long)s.n_evaluations);
    }
    hpt__lbfgsb_fini(&s);
}

// Minimum of sum (x_i - a_i)^2 in a box: a moved into it.
static double shifted(double *g, const double *x, int64_t n) {
    double f = 0;
    for (int64_t i = 0; i < n; i++) {
        const double r = x[i] - (double)(i % 5 - 2);
        f += r * r;
        g[i] = 2 * r;
    }
    return f;
}

Test(base_lbfgsb, active_bounds_are_met_in_every_bit)
{
    double low[20], high[20], x0[20];
    fill(low, 20, -0.7);
    fill(high, 20, 1.1);
    fill(x0, 20, 40);
    low[3] = high[3] = 0.123;
    hpt__lbfgsb s = {0};
    minimise(&s, shifted, 20, low, high, x0, &tight);
    const double *x = hpt__lbfgsb_result(&s, NULL);
    for (int i = 0; i < 20; i++) {
        const double a = i % 5 - 2, want = fmin(fmax(a, low[i]), high[i]);
        if (want == a)
            cr_expect_float_eq(x[i], want, 1e-7);
        else
            cr_expect_eq(x[i], want);
    }
    cr_expect_eq(s.reason, HPT__LBFGSB_GRADIENT);
    hpt__lbfgsb_fini(&s);
}

Test(base_lbfgsb, stops_for_each_reason)
{
    double low[2], high[2], g[2] = {0, 0};
    const double x0[2] = {-1.2, 1};
    fill(low, 2, -INFINITY);
    fill(high, 2, INFINITY);
    hpt__lbfgsb s = {0};
    minimise(&s, rosenbrock, 2, low, high, x0, &(hpt__lbfgsb_options){.max_iterations = 3});
    cr_expect_eq(s.reason, HPT__LBFGSB_ITERATIONS);
    cr_expect_eq(s.n_iterations, 3);
    minimise(&s, rosenbrock, 2, low, high, x0, &(hpt__lbfgsb_options){.max_evaluations = 7});
    cr_expect_eq(s.reason, HPT__LBFGSB_EVALUATIONS);
    cr_expect_eq(s.n_evaluations, 7);
    minimise(&s, rosenbrock, 2, low, high, x0, &(hpt__lbfgsb_options){.decrease_tolerance = 1e-3});
    cr_expect_eq(s.reason, HPT__LBFGSB_DECREASE);
    minimise(&s, rosenbrock, 2, low, high, x0, &(hpt__lbfgsb_options){.gradient_tolerance = 1e-2});
    cr_expect_eq(s.reason, HPT__LBFGSB_GRADIENT);
    // Without any limit rounding ends it.
    cr_expect_lt(minimise(&s, rosenbrock, 2, low, high, x0, &(hpt__lbfgsb_options){0}), 1e-20);
    cr_assert_eq(hpt__lbfgsb_init(&s, 2, low, high, x0, &tight), 0);
    cr_expect_eq(hpt__lbfgsb_tell(&s, NAN, g), HPT__LBFGSB_DONE);
    cr_expect_eq(s.reason, HPT__LBFGSB_NOT_FINITE);
    cr_assert_eq(hpt__lbfgsb_init(&s, 0, low, high, x0, &tight), 0);
    cr_expect_eq(hpt__lbfgsb_tell(&s, 1, g), HPT__LBFGSB_DONE);
    hpt__lbfgsb_fini(&s);
}

static int walls; // how often the function was not finite

// Defined for x0 + x1 < 1 only; the minimum is near that wall.
static double walled(double *g, const double *x, int64_t n) {
    (void)n;
    const double room = 1 - x[0] - x[1];
    if (!(room > 0)) {
        walls++;
        g[0] = g[1] = NAN;
        return walls % 2 ? INFINITY : NAN;
    }
    g[0] = -100 + 1 / room + 0.2 * x[0];
    g[1] = -100 + 1 / room + 0.2 * x[1];
    return -100 * (x[0] + x[1]) - log(room) + 0.1 * (x[0] * x[0] + x[1] * x[1]);
}

Test(base_lbfgsb, steps_back_from_values_that_are_not_finite)
{
    double low[2], high[2];
    const double x0[2] = {-3, 0.5};
    hpt__lbfgsb s = {0};
    for (int boxed = 0; boxed < 2; boxed++) {
        fill(low, 2, boxed ? -5 : -INFINITY);
        fill(high, 2, boxed ? 5 : INFINITY);
        walls = 0;
        minimise(&s, walled, 2, low, high, x0, &tight);
        const double *x = hpt__lbfgsb_result(&s, NULL);
        cr_expect(walls > 0, "the wall was never met");
        cr_expect_float_eq(x[0], x[1], 1e-4);
        cr_expect_float_eq(1 - x[0] - x[1], 0.01, 1e-4);
    }
    hpt__lbfgsb_fini(&s);
}

Test(base_lbfgsb, states_advance_in_lockstep_as_alone)
{
    enum { COUNT = 6, N = 10 };
    hpt__lbfgsb s[COUNT] = {0}, alone = {0};
    double low[N], high[N], x0[N], g[N];
    fill(low, N, -2);
    fill(high, N, 1.5);
    bool done[COUNT] = {false};
    for (int k = 0; k < COUNT; k++) {
        fill(x0, N, -1 + 0.3 * k);
        cr_assert_eq(hpt__lbfgsb_init(&s[k], N, low, high, x0, &tight), 0);
    }
    for (bool any = true; any;) {
        any = false;
        for (int k = 0; k < COUNT; k++) {
            if (done[k]) continue;
            const double f = rosenbrock(g, hpt__lbfgsb_point(&s[k]), N);
            done[k] = hpt__lbfgsb_tell(&s[k], f, g) == HPT__LBFGSB_DONE;
            any = any || !done[k];
        }
    }
    for (int k = 0; k < COUNT; k++) {
        double f;
        fill(x0, N, -1 + 0.3 * k);
        const double want = minimise(&alone, rosenbrock, N, low, high, x0, &tight);
        const double *x = hpt__lbfgsb_result(&s[k], &f);
        cr_expect_eq(f, want);
        cr_expect_eq(memcmp(x, hpt__lbfgsb_result(&alone, NULL), sizeof x0), 0);
        hpt__lbfgsb_fini(&s[k]);
    }
    hpt__lbfgsb_fini(&alone);
}

static bool fail_all(size_t size, void *payload) {
    (void)size;
    ++*(int *)payload;
    return true;
}

Test(base_lbfgsb, allocates_once_and_reports_that_it_cannot)
{
    double low[8], high[8], x0[8];
    fill(low, 8, -1);
    fill(high, 8, 2);
    fill(x0, 8, 0);
    int calls = 0;
    hpt__lbfgsb s = {0};
    hpt__alloc_set_hook(fail_all, &calls);
    cr_expect_eq(hpt__lbfgsb_init(&s, 8, low, high, x0, &tight), HPT_E_MEMORY);
    hpt__alloc_set_hook(NULL, NULL);
    cr_assert_eq(hpt__lbfgsb_init(&s, 8, low, high, x0, &tight), 0);
    hpt__alloc_set_hook(fail_all, &calls);
    calls = 0;
    cr_expect_lt(minimise(&s, rosenbrock, 8, low, high, x0, &tight), 1e-10); // the memory is taken again
    minimise(&s, rosenbrock, 5, low, high, x0, &tight);
    hpt__alloc_set_hook(NULL, NULL);
    cr_expect_eq(calls, 0);
    hpt__lbfgsb_fini(&s);
}
