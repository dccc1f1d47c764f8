// SPDX-License-Identifier: Apache-2.0
// test_base_beta.c: the beta law against mpmath at 50 digits, where SciPy's own values are not good enough to compare with.
#include "core/base/special.h"

#include <criterion/criterion.h>
#include <math.h>

static const struct {
    double a, b, x, want;
} cases[] = {
    {0.001, 1000000.0, 1.2e-18, 0.97348554140259952939},
    {0.5, 0.5, 1e-300, 6.3661977236758135105e-151},
    {0.5, 0.5, 0.999999, 0.9993633801215199223},
    {2.0, 3.0, 0.25, 0.26171875},
    {0.001, 0.001, 0.5, 0.5},
    {0.1, 1000.0, 8.25373e-07, 0.51674021021555621041},
    {1000.0, 2000.0, 0.3331, 0.4909016667717744885},
    {100000.0, 200000.0, 0.3331, 0.39330707464086896457},
    {30.0, 10000.0, 0.0021, 0.038424682061587113505},
    {10000.0, 30.0, 0.99, 3.7059103839423671943e-17},
};
enum { N = sizeof cases / sizeof cases[0] };

// A relative change of x in its last bit changes I_x by x pdf / I_x of these.
static double tolerance(int i) {
    return 2e-13 * (1 + fabs(log(cases[i].want)));
}

Test(base_beta, distribution_function_matches_mpmath)
{
    for (int i = 0; i < N; i++) {
        const double got = hpt__beta_cdf(cases[i].a, cases[i].b, cases[i].x);
        cr_expect_leq(fabs(got - cases[i].want) / cases[i].want, tolerance(i), "a %g b %g x %g: %.17g", cases[i].a,
                      cases[i].b, cases[i].x, got);
    }
}

Test(base_beta, quantile_is_its_inverse)
{
    for (int i = 0; i < N; i++) {
        const double x = hpt__beta_quantile(cases[i].a, cases[i].b, cases[i].want);
        const double back = hpt__beta_cdf(cases[i].a, cases[i].b, x);
        if (cases[i].want == 1) continue;
        cr_expect_leq(fabs(back - cases[i].want) / cases[i].want, tolerance(i), "a %g b %g u %g: x %.17g", cases[i].a,
                      cases[i].b, cases[i].want, x);
    }
}

Test(base_beta, outside_and_bad_arguments_are_defined)
{
    cr_expect(hpt__beta_cdf(2, 3, -1) == 0 && hpt__beta_cdf(2, 3, 2) == 1);
    cr_expect(hpt__beta_quantile(2, 3, 0) == 0 && hpt__beta_quantile(2, 3, 1) == 1);
    cr_expect(isnan(hpt__beta_cdf(0, 3, 0.5)) && isnan(hpt__beta_quantile(2, 3, 1.5)) &&
              isnan(hpt__beta_cdf(2, 3, NAN)));
}
