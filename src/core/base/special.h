// SPDX-License-Identifier: Apache-2.0
// special.h: functions of the normal distribution, accurate in the tails (libm has only erf and erfc), and of the beta law.
#ifndef HPT_BASE_SPECIAL_H
#define HPT_BASE_SPECIAL_H

double hpt__log_ndtr(double z); // log Phi(z); relative error < 1e-15 up to z = 37.4 (then it is subnormal)
double hpt__ndtri(double p);    // Phi^-1(p), p in (0, 1); relative error < 1e-14
double hpt__ndtr(double z);     // Phi(z), as accurate
double hpt__erfcx(double x);    // exp(x^2) erfc(x); relative error < 2e-15; infinite below x = -26.6
double hpt__log_diff_ndtr(double a, double b); // log(Phi(b) - Phi(a)), a < b, without cancellation

// The beta law with shapes a, b > 0 (tried from 1e-3 to 1e6), beta.c: P(X <= x) and its inverse. The error of the first is
// below 1e-14, and below 1e-13 (1 + |log P|) P for shapes from 0.1 on. The second moves by what an error of 1e-14 in p
// or 1 - p, whichever is smaller, is worth; it is 0 where the quantile is below 1e-323.
double hpt__beta_cdf(double a, double b, double x);
double hpt__beta_quantile(double a, double b, double p);

#endif
