// SPDX-License-Identifier: Apache-2.0
// test_base_special.c: the normal distribution against mpmath at 60 digits and more.
#include "core/base/special.h"

#include <criterion/criterion.h>
#include <math.h>

static double relative(double got, double want) {
    return fabs(got - want) / fabs(want);
}

Test(base_special, log_ndtr_matches_mpmath)
{
    static const struct {
        double z, want;
    } cases[] = {
        {-10000000000.0, -5.0000000000000000024e+19},
        {-100000.0, -5.0000000124318639983e+9},
        {-5000.5, -1.2502509561231759613e+7},
        {-100.25, -5.0305579550765207074e+3},
        {-40.0, -8.0460844201375378817e+2},
        {-37.6, -7.1142664867077626811e+2},
        {-36.0001, -6.5250683037230220429e+2},
        {-36.0, -6.5250322759379839685e+2},
        {-35.9999, -6.5249962482528690886e+2},
        {-30.7, -4.7558925940722927553e+2},
        {-20.3, -2.0997697152524203459e+2},
        {-12.5, -8.1575967870743883217e+1},
        {-8.1, -3.5830502890801471824e+1},
        {-5.0, -1.5064998393988725736e+1},
        {-3.3, -7.6346161480711272938},
        {-2.0, -3.7831843336820319488},
        {-1.0, -1.8410216450092635058},
        {-0.5, -1.1759117615936186089},
        {-0.1, -7.7615459273027332557e-1},
        {-1e-08, -6.9314718853879094928e-1},
        {0.0, -6.9314718055994530942e-1},
        {1e-300, -6.9314718055994530942e-1},
        {1e-08, -6.9314717258109973322e-1},
        {0.1, -6.1650501011502628874e-1},
        {0.5, -3.6894641528865639307e-1},
        {0.7, -2.77023942277131263e-1},
        {1.0, -1.7275377902344988953e-1},
        {1.5, -6.9143455612233982993e-2},
        {2.0, -2.3012909328963488465e-2},
        {3.0, -1.3508099647481937988e-3},
        {4.4, -5.4125585555724822369e-6},
        {5.5, -1.8989562646189462989e-8},
        {6.3, -1.4882282218730538289e-10},
        {8.2, -1.2019351542735858875e-16},
        {10.1, -2.7621094717645167894e-24},
        {15.5, -1.7344607917938700513e-54},
        {20.3, -6.4292444676983463386e-92},
        {25.7, -5.844410374380774338e-146},
        {30.9, -5.9722886418382641425e-210},
        {33.3, -1.9305055059278399761e-243},
        {36.6, -1.4300370427625566617e-293},
        {37.2, -3.4120543434702389671e-303},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = hpt__log_ndtr(cases[i].z);
        cr_expect_lt(relative(got, cases[i].want), 1e-14, "z = %g: %.17g, want %.17g", cases[i].z, got, cases[i].want);
    }
    cr_expect_eq(hpt__log_ndtr(-INFINITY), -INFINITY);
    cr_expect_eq(hpt__log_ndtr(INFINITY), 0);
    cr_expect_eq(hpt__log_ndtr(1e300), 0);
    cr_expect_eq(hpt__log_ndtr(-1e200), -INFINITY);
    cr_expect(isnan(hpt__log_ndtr(NAN)));
    for (double z = -50; z < 37; z += 1.0 / 64) cr_assert_lt(hpt__log_ndtr(z), hpt__log_ndtr(z + 1.0 / 64));
}

Test(base_special, ndtri_matches_mpmath)
{
    static const struct {
        double p, want;
    } cases[] = {
        {5e-324, -3.8467405617144346251e+1},
        {1e-310, -3.7663060331949523732e+1},
        {2.3e-308, -3.7518497245012296732e+1},
        {1e-300, -3.7047096299361199237e+1},
        {1e-200, -3.0205594179579643063e+1},
        {1e-100, -2.1273453560965324294e+1},
        {1e-50, -1.4933337534788488981e+1},
        {1e-20, -9.2623400897984075796},
        {1.4e-11, -6.6567230915181836356},
        {1e-10, -6.3613409024040561991},
        {1e-05, -4.2648907939228246102},
        {0.001, -3.0902323061678135354},
        {0.01, -2.3263478740408410931},
        {0.025, -1.9599639845400542118},
        {0.074, -1.4466320671589785099},
        {0.075, -1.4395314709384559349},
        {0.076, -1.4325027208258116188},
        {0.1, -1.2815515655446004353},
        {0.25, -6.744897501960817432e-1},
        {0.4, -2.5334710313579974132e-1},
        {0.49, -2.5068908258711058033e-2},
        {0.4999999, -2.5066282747031065135e-7},
        {0.4999999999990905, -2.2797651350911114627e-12},
        {0.5000000000000001, 2.7829164246717669222e-16},
        {0.6, 2.5334710313579974132e-1},
        {0.75, 6.744897501960817432e-1},
        {0.9, 1.2815515655446005935},
        {0.924, 1.43250272082581191},
        {0.925, 1.4395314709384562291},
        {0.926, 1.446632067158978807},
        {0.975, 1.9599639845400538556},
        {0.999, 3.0902323061678132778},
        {0.99999, 4.2648907939238407699},
        {0.9999999999, 6.3613408896974218642},
        {0.9999999999999991, 7.9560381254815309622},
        {0.9999999999999999, 8.2095361516013868556},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = hpt__ndtri(cases[i].p);
        cr_expect_lt(relative(got, cases[i].want), 2e-15, "p = %g: %.17g, want %.17g", cases[i].p, got, cases[i].want);
    }
    cr_expect_eq(hpt__ndtri(0.5), 0);
    cr_expect_eq(hpt__ndtri(0), -INFINITY);
    cr_expect_eq(hpt__ndtri(1), INFINITY);
    cr_expect(isnan(hpt__ndtri(-0.1)) && isnan(hpt__ndtri(1.1)) && isnan(hpt__ndtri(NAN)));
    for (double z = -37; z < -0.1; z += 0.37) // the inverse of the other one
        cr_expect_lt(relative(hpt__ndtri(exp(hpt__log_ndtr(z))), z), 1e-13, "z = %g", z);
}

Test(base_special, log_diff_ndtr_does_not_cancel)
{
    static const struct {
        double a, b, want;
    } cases[] = {
        {-1.0, 1.0, -3.8171514630212607227e-1},
        {-1e-09, 1e-09, -2.0949057189591138526e+1},
        {0.0, 1e-12, -2.854995964913322097e+1},
        {0.0, 1.0, -1.0748623268620713817},
        {0.0, 40.0, -6.9314718055994530942e-1},
        {-3.0, 8.0, -1.3508099647488167358e-3},
        {1.0, 1.0000001, -1.7537034233579126632e+1},
        {30.0, 30.0001, -4.6013077853184862748e+2},
        {30.0, 31.0, -4.5432124395634325204e+2},
        {37.0, 37.5, -6.8903058558493407581e+2},
        {-37.5, -37.0, -6.8903058558493407581e+2},
        {-5000.0, -4999.999, -1.250000444289281508e+7},
        {100.0, 200.0, -5.0055242086942050886e+3},
        {-2.0, -1.5, -3.1222694554652590125},
        {2.0, 2.0000000000000004, -3.8269444741761883966e+1},
        {-10.0, -1.0, -1.8410216450092635058},
        {8.0, 9.0, -3.5013618593437148117e+1},
        {-8.5, 8.5, -1.8959069644406636888e-17},
        {0.25, 0.75, -1.7448778569559151016},
        {-1e-05, 3.0, -6.9584262723224637105e-1},
        {20.0, 20.2, -2.0393509134103266727e+2},
        {3.0, 5.1, -6.6078520365129165155},
        {-1.0, 0.0, -1.0748623268620713817},
        {5.0, 5.0000000000009095, -4.1144825755604758855e+1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = hpt__log_diff_ndtr(cases[i].a, cases[i].b);
        cr_expect_lt(relative(got, cases[i].want), 1e-14, "[%.17g, %.17g]: %.17g, want %.17g", cases[i].a, cases[i].b,
                     got, cases[i].want);
        double mirrored = hpt__log_diff_ndtr(-cases[i].b, -cases[i].a);
        cr_expect_lt(relative(mirrored, cases[i].want), 1e-14);
    }
    cr_expect_eq(hpt__log_diff_ndtr(-INFINITY, 1), hpt__log_ndtr(1));
    cr_expect_eq(hpt__log_diff_ndtr(1, INFINITY), hpt__log_ndtr(-1));
    cr_expect_eq(hpt__log_diff_ndtr(-INFINITY, INFINITY), 0);
    cr_expect_eq(hpt__log_diff_ndtr(2, 2), -INFINITY);
    cr_expect(isnan(hpt__log_diff_ndtr(2, 1)) && isnan(hpt__log_diff_ndtr(NAN, 1)));
}

Test(base_special, sums_of_exponentials_do_not_overflow)
{
    cr_expect_lt(fabs(hpt__logaddexp(1000, 1000) - (1000 + log(2.0))), 1e-12);
    cr_expect_eq(hpt__logaddexp(-1000, 0), 0);
    cr_expect_eq(hpt__logaddexp(-INFINITY, 3), 3);
    cr_expect_eq(hpt__logaddexp(-INFINITY, -INFINITY), -INFINITY);
    cr_expect_eq(hpt__logaddexp(INFINITY, INFINITY), INFINITY);
    cr_expect_eq(hpt__logaddexp(INFINITY, -INFINITY), INFINITY);
    cr_expect(isnan(hpt__logaddexp(NAN, 1)));
    const double x[] = {-1000, -1001, -999}, none[] = {-INFINITY, -INFINITY}, top[] = {0, INFINITY}, bad[] = {1, NAN};
    cr_expect_lt(fabs(hpt__log_sum_exp(x, 3) - (-1000 + log(1 + exp(-1.0) + exp(1.0)))), 1e-12);
    cr_expect_eq(hpt__log_sum_exp(x, 0), -INFINITY);
    cr_expect_eq(hpt__log_sum_exp(none, 2), -INFINITY);
    cr_expect_eq(hpt__log_sum_exp(top, 2), INFINITY);
    cr_expect(isnan(hpt__log_sum_exp(bad, 2)));
}
