// SPDX-License-Identifier: Apache-2.0
// acq_formulas.h: acquisition values and derivatives from a posterior mean and variance: the text that host and accelerators
// compile alike. A file that includes it names, before it does, the function qualifiers HPT__ACQ_FN and the special functions
// HPT__ACQ_ERFCX and HPT__ACQ_NDTR that are at hand there. Formulas, branches and sources: acq_value.c.
#ifndef HPT_BACKEND_ACQ_FORMULAS_H
#define HPT_BACKEND_ACQ_FORMULAS_H

#include "backend_impl.h"
#include <math.h>

#define HPT__ACQ_VAR_MIN 1e-20
#define HPT__ACQ_LOG_SQRT_2PI 0.91893853320467274178
#define HPT__ACQ_SQRT_HALF_PI 1.25331413731550025121
#define HPT__ACQ_SQRT_HALF 0.70710678118654752440

typedef struct hpt__acq_improvement {
    double log_h, big_phi_h, phi_h; // log h, Phi / h, phi / h
} hpt__acq_improvement;

HPT__ACQ_FN hpt__acq_improvement hpt__acq_improve(double u) {
    hpt__acq_improvement r;
    if (u > -1) {
        const double phi = exp(-0.5 * u * u - HPT__ACQ_LOG_SQRT_2PI), big_phi = HPT__ACQ_NDTR(u), h = phi + u * big_phi;
        r.log_h = log(h);
        r.big_phi_h = big_phi / h;
        r.phi_h = phi / h;
        return r;
    }
    double rest; // (1 - |u| m) u^2, in (0.3, 1)
    double mills;
    if (u > -12) {
        mills = HPT__ACQ_SQRT_HALF_PI * HPT__ACQ_ERFCX(-u * HPT__ACQ_SQRT_HALF);
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
    r.log_h = -0.5 * u * u - HPT__ACQ_LOG_SQRT_2PI - 2 * log(-u) + log(rest);
    r.big_phi_h = mills * u * u / rest;
    r.phi_h = u * u / rest;
    return r;
}

// log(1 - sqrt(noise / (sd^2 + noise))) without the difference of near numbers.
HPT__ACQ_FN double hpt__acq_log_news(double sd, double noise) {
    const double q = sd / noise * sd, r = sqrt(1 + q);
    return log(q) - log(r) - log(r + 1);
}

HPT__ACQ_FN double hpt__acq_value_of(const hpt__acq *acq, double mean, double var) {
    const double sd = sqrt(var > HPT__ACQ_VAR_MIN ? var : HPT__ACQ_VAR_MIN);
    switch (acq->kind) {
    case HPT__ACQ_LOGEI:
        return hpt__acq_improve((acq->best - mean) / sd).log_h + log(sd) +
               (acq->noise > 0 ? hpt__acq_log_news(sd, acq->noise) : 0);
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

HPT__ACQ_FN void hpt__acq_derivatives_of(double *dmean, double *dvar, const hpt__acq *acq, double mean, double var) {
    const double sd = sqrt(var > HPT__ACQ_VAR_MIN ? var : HPT__ACQ_VAR_MIN);
    double by_sd = 0;
    *dmean = 0;
    switch (acq->kind) {
    case HPT__ACQ_LOGEI: {
        const hpt__acq_improvement r = hpt__acq_improve((acq->best - mean) / sd);
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
    *dvar = var > HPT__ACQ_VAR_MIN ? by_sd / (2 * sd) : 0;
}

#endif
