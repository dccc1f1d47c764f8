// SPDX-License-Identifier: Apache-2.0
// acq_value.c: acquisition values and their derivatives from a posterior mean and variance.
//
//   sd = sqrt(var),  u = (best - mean) / sd,  h(u) = phi(u) + u Phi(u)
//   LOGEI  log h(u) + log sd           d/dmean = -(Phi / h) / sd          d/dsd = (phi / h) / sd
//          with noise v:  + log(1 - sqrt(v / (var + v))) = log(q / (r (r + 1))),  q = var / v,  r = sqrt(1 + q)
//                                                             d/dsd += (r + 1) / (r^2 sd)
//   LCB    beta sd - mean              -1                                  beta
//   PE     sd + 10 min(tau - mean + beta sd, 0)    0 or -10                1 or 1 + 10 beta
//   MEAN   -mean                       -1                                  0
//   SD     sd                          0                                   1
//   d/dvar = d/dsd / (2 sd)
//
// log h in three branches, with m(u) = Phi(u) / phi(u), Mills' ratio:
//   u > -1           the formula itself: both terms are of the size of their sum
//   -12 < u <= -1    h = phi (1 - |u| m),  m = sqrt(pi/2) erfcx(|u| / sqrt2): phi leaves by its logarithm; of the bracket
//                    u^-2 is left, so that at most two digits go
//   u <= -12         1 - |u| m = u^-2 (1 - 3 u^-2 + 15 u^-4 - ...): no difference of near numbers; the terms fall below
//                    1e-17 before they grow again (the smallest one is about exp(-u^2 / 2))
// The ratios Phi / h = m / (1 - |u| m) and phi / h = 1 / (1 - |u| m) come from the same bracket, so that gradients stay
// accurate where h itself underflows (u < -38).
// Source: log EI: S. Ament et al., "Unexpected improvements to expected improvement", NeurIPS 2023; the series is Laplace's
// (Abramowitz and Stegun 26.2.12). The factor for noise: D. Huang et al., "Global optimization of stochastic black-box
// systems via sequential kriging meta-models", J. Global Optim. 2006 (augmented EI): what one more noisy result can tell
// about a point falls with the square of what is still unknown there. Branch points are ours; 200-digit references:
// tests/unit/golden_logei.py.
//
// A variance below 1e-20 counts as 1e-20: at points that are known exactly the improvement is tiny but still ordered by the
// mean, and nothing becomes infinite. Threads: pure functions. Cost: 50 to 150 ns.
#include "backend.h"

#include "../base/special.h"

#define HPT__ACQ_FN static
#define HPT__ACQ_ERFCX hpt__erfcx
#define HPT__ACQ_NDTR hpt__ndtr
#include "acq_formulas.h"

double hpt__acq_value(const hpt__acq *acq, double mean, double var) {
    return hpt__acq_value_of(acq, mean, var);
}

void hpt__acq_derivatives(double *dmean, double *dvar, const hpt__acq *acq, double mean, double var) {
    hpt__acq_derivatives_of(dmean, dvar, acq, mean, var);
}
