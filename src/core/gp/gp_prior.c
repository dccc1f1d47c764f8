// SPDX-License-Identifier: Apache-2.0
// gp_prior.c: what is thought of hyperparameters before the data: log densities up to a constant, over theta (logarithms).
//
//   lengthscale l          -(0.1 l^2 + 0.01 / l^2)        weak: 0.1 costs 1 nat, 5 costs 2.5
//   amplitude (variance) a -(log a)^2 / 2                 each term
//   noise variance v       0.1 log v - 12 v               Gamma(1.1, 12): 0.3 costs 3.7
//
// Lengthscales. Optuna's prior is 0.1 on both sides; there 0.1 costs 10 nats, and a function whose features are that narrow is taken
// for noise: on Shekel's in 4 dimensions half of the runs end at 6.0, with 0.01 at 3e-4. Over eight functions in 4 to 10
// dimensions 0.01 wins 119 and loses 73 of 192 runs against it, with noise 46 of 72, in 20 dimensions as many as it loses; priors
// that scale with the dimension lose where there are 10 parameters (docs/ablation.md). The noise: under plain expected improvement
// Optuna's Gamma(1.1, 30) trusts lucky results; with the factor for noise (acq_value.c), medians of 24 seeds for rates 5, 12
// and 30: Hartmann 6-d, sd 0.3: 0.21 0.21 0.15, means 0.30 0.24 0.14; Branin, sd 5: 0.094 0.030 0.016; without noise
// Hartmann's mean is 0.10 0.056 0.12, because the narrow one now and then misses every basin.
// Bounds keep a search in what double precision can factor.
// Pure functions, any thread, O(p).
#include "gp.h"

#include <math.h>

static const double long_weight = 0.1, short_weight = 0.01, noise_shape = 0.1, noise_rate = 12;

double hpt__gp_log_prior(const hpt__cov *cov, const double *theta, double *grad) {
    double value = 0;
    for (int64_t c = 0; c < cov->d; c++) {
        const double longer = long_weight * exp(2 * theta[c]), shorter = short_weight * exp(-2 * theta[c]);
        value -= longer + shorter;
        if (grad) grad[c] -= 2 * (longer - shorter);
    }
    for (int64_t t = cov->d; t < cov->d + cov->n_terms; t++) {
        value -= 0.5 * theta[t] * theta[t];
        if (grad) grad[t] -= theta[t];
    }
    const int64_t v = cov->d + cov->n_terms;
    value += noise_shape * theta[v] - noise_rate * exp(theta[v]);
    if (grad) grad[v] += noise_shape - noise_rate * exp(theta[v]);
    return value;
}

void hpt__gp_bounds(double *low, double *high, const hpt__cov *cov, double noise_floor) {
    for (int64_t c = 0; c < cov->d; c++) {
        low[c] = log(5e-3);
        high[c] = log(1e3);
    }
    for (int64_t t = cov->d; t < cov->d + cov->n_terms; t++) {
        low[t] = log(t == cov->d ? 1e-2 : 1e-3); // a group may be without effect, all together may not
        high[t] = log(1e2);
    }
    low[cov->d + cov->n_terms] = log(noise_floor);
    high[cov->d + cov->n_terms] = fmax(0, log(noise_floor));
}
