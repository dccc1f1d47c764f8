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
#include <math.h>

static const double var_min = 1e-20;
static const double log_sqrt_2pi = 0.91893853320467274178;
static const double sqrt_half_pi = 1.25331413731550025121;
static const double sqrt_half = 0.70710678118654752440;

typedef struct improvement {
    double log_h, big_phi_h, phi_h; // log h, Phi / h, phi / h
} improvement;

static improvement improve(double u) {
    improvement r;
    if (u > -1) {
        const double phi = exp(-0.5 * u * u - log_sqrt_2pi), big_phi = hpt__ndtr(u), h = phi + u * big_phi;
        r.log_h = log(h);
        r.big_phi_h = big_phi / h;
        r.phi_h = phi / h;
        return r;
    }
    double rest; // (1 - |u| m) u^2, in (0.3, 1)
    double mills;
    if (u > -12) {
        mills = sqrt_half_pi * hpt__erfcx(-u * sqrt_half);
        rest = (1 + u * mills) * u * u;
    } else {
        const double s = 1 / u / u; // u * u may be infinite
        double term = 1;
        rest = 1;
        for (int k = 1; k < 40 && fabs(term) > 1e-18; k++) {
            term *= -(2 * k + 1) * s;
            rest += term;
        }
        mills = (1 - rest * s) / -u;
    }
    r.log_h = -0.5 * u * u - log_sqrt_2pi - 2 * log(-u) + log(rest);
    r.big_phi_h = mills * u * u / rest;
    r.phi_h = u * u / rest;
    return r;
}

// log(1 - sqrt(noise / (sd^2 + noise))) without the difference of near numbers.
static double log_news(double sd, double noise) {
    const double q = sd / noise * sd, r = sqrt(1 + q);
    return log(q) - log(r) - log(r + 1);
}

double hpt__acq_value(const hpt__acq *acq, double mean, double var) {
    const double sd = sqrt(var > var_min ? var : var_min);
    switch (acq->kind) {
    case HPT__ACQ_LOGEI:
        return improve((acq->best - mean) / sd).log_h + log(sd) + (acq->noise > 0 ? log_news(sd, acq->noise) : 0);
    case HPT__ACQ_LCB:
        return acq->beta * sd - mean;
    case HPT__ACQ_PE: {
        const double promise = acq->tau - mean + acq->beta * sd;
        return promise < 0 ? sd + 10 * promise : sd;
    }
    case HPT__ACQ_MEAN:
        return -mean;
    case HPT__ACQ_SD:
        return sd;
    }
    return NAN;
}

void hpt__acq_derivatives(double *dmean, double *dvar, const hpt__acq *acq, double mean, double var) {
    const double sd = sqrt(var > var_min ? var : var_min);
    double by_sd = 0;
    *dmean = 0;
    switch (acq->kind) {
    case HPT__ACQ_LOGEI: {
        const improvement r = improve((acq->best - mean) / sd);
        *dmean = -r.big_phi_h / sd;
        by_sd = r.phi_h / sd;
        if (acq->noise > 0) {
            const double root = sqrt(1 + sd / acq->noise * sd);
            by_sd += (1 + 1 / root) / root / sd;
        }
        break;
    }
    case HPT__ACQ_LCB:
        *dmean = -1;
        by_sd = acq->beta;
        break;
    case HPT__ACQ_PE: {
        const bool poor = acq->tau - mean + acq->beta * sd < 0;
        *dmean = poor ? -10 : 0;
        by_sd = poor ? 1 + 10 * acq->beta : 1;
        break;
    }
    case HPT__ACQ_MEAN:
        *dmean = -1;
        break;
    case HPT__ACQ_SD:
        by_sd = 1;
        break;
    }
    *dvar = var > var_min ? by_sd / (2 * sd) : 0;
}
