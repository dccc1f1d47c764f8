// SPDX-License-Identifier: Apache-2.0
// special.h: functions of the normal distribution, accurate in the tails (libm has only erf and erfc).
#ifndef HPT_BASE_SPECIAL_H
#define HPT_BASE_SPECIAL_H

double hpt__log_ndtr(double z); // log Phi(z); relative error < 1e-15 up to z = 37.4 (then it is subnormal)
double hpt__ndtri(double p);    // Phi^-1(p), p in (0, 1); relative error < 1e-14
double hpt__log_diff_ndtr(double a, double b); // log(Phi(b) - Phi(a)), a < b, without cancellation

#endif
