// SPDX-License-Identifier: Apache-2.0
// codec.c: parameters to the unit cube and back.
//
//   continuous        v = low + u (high - low)
//   continuous, log   v = low (high/low)^u
//   grid of n values  cell j = [j/n, (j+1)/n) of u, centre (j + 1/2)/n
//   grid, log         x = a (b/a)^u, a = max(low - step/2, low/2), b = high + step/2; v is the grid value nearest
//                     to x, so its cell is [log(v - step/2), log(v + step/2)) rescaled
//
// The last rule gives each value the mass that a log-uniform draw from [a, b) rounds to it, which for integers
// with step 1 is Optuna's rule (optuna/_transform.py: low - 0.5, high + 0.5). With a step above low, low - step/2
// would come near 0 or pass it, and the first cell would take nearly all of the logarithmic range; hence low/2,
// which equals low - step/2 at step = low, so that the rule stays continuous.
//
// Ratios go through log1p((v - low)/low): relative accuracy also where high is close to low. Whatever rounding
// does, decode clips to a legal value, bounds included. Encoding a grid value and decoding gives the same
// value as long as its cell is wider than some 1e-15 of the cube: n up to 2^51, log integers up to about 2^40.
// Owns nothing. Threads: any. Cost: O(1) a coordinate, one log and one exp where log.
#include "codec.h"

#include <float.h>
#include <math.h>

// log(x / base), 0 < base <= x.
static double log_ratio(double x, double base) {
    const double r = (x - base) / base;
    return isfinite(r) ? log1p(r) : log(x) - log(base);
}

// base e^t without overflow on the way.
static double scaled_exp(double base, double t) {
    return t < 700 ? base * exp(t) : exp(log(base) + t);
}

static double clamp_unit(double u) {
    if (isnan(u)) return 0.5; // an absent coordinate asked for all the same: the middle is legal and deterministic
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static double widened_low(const hpt__param *p) {
    return fmax(p->low - 0.5 * p->step, 0.5 * p->low);
}

static double widened_high(const hpt__param *p) {
    return fmin(p->high + 0.5 * p->step, DBL_MAX);
}

double hpt__codec_decode1(const hpt__param *p, double u) {
    const int64_t n = hpt__param_cardinality(p);
    u = clamp_unit(u);
    if (n == 1) return p->low;
    if (n > 1 && p->log) {
        const double a = widened_low(p), b = widened_high(p);
        return hpt__param_value_at(p, hpt__param_index_of(p, scaled_exp(a, u * log_ratio(b, a))));
    }
    if (n > 1) return hpt__param_value_at(p, (int64_t)(u * (double)n)); // u = 1 gives n, which value_at takes as n - 1
    if (u <= 0) return p->low;
    if (u >= 1) return p->high;
    if (p->log) return hpt__param_clip(p, scaled_exp(p->low, u * log_ratio(p->high, p->low)));
    const double range = p->high - p->low;
    return hpt__param_clip(p, isfinite(range) ? p->low + u * range : (1 - u) * p->low + u * p->high);
}

double hpt__codec_encode1(const hpt__param *p, double v) {
    const int64_t n = hpt__param_cardinality(p);
    if (n == 1) return 0.5;
    if (n > 1) {
        const int64_t k = hpt__param_index_of(p, v);
        if (!p->log) return ((double)k + 0.5) / (double)n;
        const double a = widened_low(p), b = widened_high(p), at = hpt__param_value_at(p, k);
        const double left = k == 0 ? 0 : log_ratio(at - 0.5 * p->step, a);
        return clamp_unit(0.5 * (left + log_ratio(at + 0.5 * p->step, a)) / log_ratio(b, a));
    }
    v = hpt__param_clip(p, v);
    if (p->log) return clamp_unit(log_ratio(v, p->low) / log_ratio(p->high, p->low));
    const double range = p->high - p->low;
    return clamp_unit(isfinite(range) ? (v - p->low) / range
                                      : (0.5 * v - 0.5 * p->low) / (0.5 * p->high - 0.5 * p->low));
}

void hpt__codec_decode(double *point, const hpt_space *space, const double *cube) {
    for (int64_t t = 0; t < space->d; t++) {
        const int64_t i = space->topo[t];
        point[i] = hpt__space_active(space, i, point) ? hpt__codec_decode1(&space->params[i], cube[i]) : NAN;
    }
}

void hpt__codec_encode(double *cube, const hpt_space *space, const double *point) {
    for (int64_t i = 0; i < space->d; i++)
        cube[i] = isnan(point[i]) ? NAN : hpt__codec_encode1(&space->params[i], point[i]);
}
