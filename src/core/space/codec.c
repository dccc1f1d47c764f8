// SPDX-License-Identifier: Apache-2.0
// codec.c: parameters to the unit cube and back.
//
//   continuous        v = low + u (high - low)
//   continuous, log   v = low (high/low)^u
//   grid of n values  cell j = [j/n, (j+1)/n) of u, centre (j + 1/2)/n
//   grid, log         x = a (b/a)^u, a = max(low - step/2, low/2), b = high + step/2; v is the grid value nearest
//                     to x, so its cell is [log(v - step/2), log(v + step/2)) rescaled
//
//   law F, not flat   v = F^-1(u); rounded: the value nearest to it, cell [F(v - q/2), F(v + q/2))
//                     normal: F^-1(u) = mu + sigma Phi^-1(u), log: exp of it; beyond the range its end (mass 1.3e-12)
//   probabilities     cell j = [c(j-1), c(j)), c their running sums, found by bisection
//
// The grid, log rule gives each value the mass that a log-uniform draw from [a, b) rounds to it, which for integers
// with step 1 is Optuna's rule (optuna/_transform.py: low - 0.5, high + 0.5). With a step above low, low - step/2
// would come near 0 or pass it, and the first cell would take nearly all of the logarithmic range; hence low/2,
// which equals low - step/2 at step = low, so that the rule stays continuous.
//
// Ratios go through log1p((v - low)/low): relative accuracy also where high is close to low. Whatever rounding
// does, decode clips to a legal value, bounds included. Encoding a grid value and decoding gives the same
// value as long as its cell is wider than some 1e-15 of the cube: n up to 2^51, log integers up to about 2^40.
// A rounded value whose cell is that narrow is encoded by searching the u that decodes to it.
// Owns nothing. Threads: any. Cost: O(1) a coordinate, one log and one exp where log; beta 1 to 3 us; probabilities
// O(log choices).
#include "codec.h"

#include "../base/special.h"

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

// Both of these for ranges that pass DBL_MAX too.
static double scaled_uniform(double low, double high, double u) {
    const double range = high - low;
    return isfinite(range) ? low + u * range : (1 - u) * low + u * high;
}

static double uniform_cdf(double low, double high, double v) {
    const double range = high - low;
    return isfinite(range) ? (v - low) / range : (0.5 * v - 0.5 * low) / (0.5 * high - 0.5 * low);
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

// ---- laws and probabilities

static double law_quantile(const hpt__param *p, double u) {
    switch (p->law) {
    case HPT__LAW_FLAT:
        break;
    case HPT__LAW_ROUNDED:
        return p->log ? scaled_exp(p->law_a, u * log_ratio(p->law_b, p->law_a)) : scaled_uniform(p->law_a, p->law_b, u);
    case HPT__LAW_NORMAL: {
        const double x = p->law_a + p->law_b * hpt__ndtri(u);
        return p->log ? exp(x) : x;
    }
    case HPT__LAW_BETA:
        return hpt__beta_quantile(p->law_a, p->law_b, u);
    }
    return p->low;
}

static double law_cdf(const hpt__param *p, double x) {
    if (p->log && x <= 0) return 0;
    switch (p->law) {
    case HPT__LAW_FLAT:
        break;
    case HPT__LAW_ROUNDED:
        if (x <= p->law_a) return 0;
        if (x >= p->law_b) return 1;
        return p->log ? log_ratio(x, p->law_a) / log_ratio(p->law_b, p->law_a) : uniform_cdf(p->law_a, p->law_b, x);
    case HPT__LAW_NORMAL:
        return hpt__ndtr(((p->log ? log(x) : x) - p->law_a) / p->law_b);
    case HPT__LAW_BETA:
        return hpt__beta_cdf(p->law_a, p->law_b, x);
    }
    return 0;
}

static double decode_law(const hpt__param *p, double u) {
    const double x = law_quantile(p, u);
    if (p->step <= 0) return fmin(fmax(x, p->low), p->high);
    const double k = rint(x / p->step) - rint(p->low / p->step);
    if (!(k > 0)) return p->low;
    if (k >= 0x1p52) return p->high;
    return hpt__param_value_at(p, (int64_t)k); // past the last it gives the last
}

static double encode_law(const hpt__param *p, double v) {
    v = hpt__param_clip(p, v);
    if (p->step <= 0) return clamp_unit(law_cdf(p, v));
    const double left = v <= p->low ? 0 : law_cdf(p, v - 0.5 * p->step);
    const double right = v >= p->high ? 1 : law_cdf(p, v + 0.5 * p->step);
    const double middle = clamp_unit(0.5 * (left + right));
    if (right - left > 1e-10) return middle;
    double lo = 0, hi = 1, u = middle; // decoding keeps order
    for (int i = 0; i < 64; i++) {
        const double at = decode_law(p, u);
        if (at == v) return u;
        if (at < v)
            lo = u;
        else
            hi = u;
        u = 0.5 * (lo + hi);
    }
    return middle;
}

static double decode_choice(const hpt__param *p, double u) {
    u = fmin(u, 1 - 0x1p-53);
    int64_t lo = 0, hi = p->n_choices - 1; // the first choice whose running sum is above u: never one of probability 0
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (p->cumulative[mid] > u)
            hi = mid;
        else
            lo = mid + 1;
    }
    return (double)lo;
}

static double encode_choice(const hpt__param *p, double v) {
    const int64_t k = hpt__param_index_of(p, v);
    return 0.5 * ((k > 0 ? p->cumulative[k - 1] : 0) + p->cumulative[k]);
}

// One test keeps what most parameters are out of the way of the others.
static inline bool is_plain(const hpt__param *p) {
    return p->law == HPT__LAW_FLAT && !p->cumulative;
}

// ---- one coordinate

double hpt__codec_decode1(const hpt__param *p, double u) {
    const int64_t n = hpt__param_cardinality(p);
    u = clamp_unit(u);
    if (n == 1) return p->low;
    if (!is_plain(p)) return p->cumulative ? decode_choice(p, u) : decode_law(p, u);
    if (n > 1 && p->log) {
        const double a = widened_low(p), b = widened_high(p);
        return hpt__param_value_at(p, hpt__param_index_of(p, scaled_exp(a, u * log_ratio(b, a))));
    }
    if (n > 1) return hpt__param_value_at(p, (int64_t)(u * (double)n)); // u = 1 gives n, which value_at takes as n - 1
    if (u <= 0) return p->low;
    if (u >= 1) return p->high;
    if (p->log) return hpt__param_clip(p, scaled_exp(p->low, u * log_ratio(p->high, p->low)));
    return hpt__param_clip(p, scaled_uniform(p->low, p->high, u));
}

double hpt__codec_encode1(const hpt__param *p, double v) {
    const int64_t n = hpt__param_cardinality(p);
    if (n == 1) return 0.5;
    if (!is_plain(p)) return p->cumulative ? encode_choice(p, v) : encode_law(p, v);
    if (n > 1) {
        const int64_t k = hpt__param_index_of(p, v);
        if (!p->log) return ((double)k + 0.5) / (double)n;
        const double a = widened_low(p), b = widened_high(p), at = hpt__param_value_at(p, k);
        const double left = k == 0 ? 0 : log_ratio(at - 0.5 * p->step, a);
        return clamp_unit(0.5 * (left + log_ratio(at + 0.5 * p->step, a)) / log_ratio(b, a));
    }
    v = hpt__param_clip(p, v);
    if (p->log) return clamp_unit(log_ratio(v, p->low) / log_ratio(p->high, p->low));
    return clamp_unit(uniform_cdf(p->low, p->high, v));
}

// ---- points

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
