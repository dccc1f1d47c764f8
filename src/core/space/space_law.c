// SPDX-License-Identifier: Apache-2.0
// space_law.c: parameters with a law of their own (rounded uniform, normal, beta) and choices with probabilities.
//
// What Optuna is told of a law is a range, the smallest one with all values:
//   rounded, beta   the bounds of X, or the outermost multiples of q that a part of [low, high] of positive length
//                   rounds to
//   normal          mu -+ 7 sigma (log: exp of it), likewise; P(|Z| > 7) = 2.6e-12
// Multiples at the ends are found in decimal arithmetic, so that high - low is a multiple of q to Optuna too, which
// checks it there: 7 * 0.1 in doubles is 0.7000000000000001, in its arithmetic one step too far. The others are k * q in
// doubles, numpy's round(x / q) * q. |k| is at most 2^50: beyond, k * q and (k + 1) * q are not told apart reliably.
//
// Ownership: probabilities lie in the space's arena. Threads: one while building. Cost: O(1); O(n) for n choices.
#include "../base/error.h"
#include "../base/num.h"
#include "space_build.h"
#include <float.h>
#include <math.h>
#include <string.h>

static const double multiples_max = 0x1p50;
static const double whole_max = 0x1p53;
static const double deviations = 7;
static const double shape_max = 1e6;              // the continued fraction takes sqrt(shape) steps
static const double sum_tolerance = 1e-6 + 1e-12; // 0.333333 three times is just within, whatever rounding does

// ---- ranges

typedef struct text {
    char data[HPT__DOUBLE_MAX];
} text;

static text repr(double v) {
    text t;
    hpt__double_repr(t.data, v);
    return t;
}

// k q to the digit.
static double multiple(double k, double q) {
    const double v = k == 0 ? 0 : hpt__decimal_high(0, (fabs(k) + 0.5) * q, q);
    return k < 0 ? -v : v;
}

// The multiple of q that numbers just above x (up) or just below round to: where x is half way, rint alone could take
// the one that x itself only, thus nothing, rounds to.
static double end_multiple(double x, double q, bool up) {
    const double t = x / q, below = floor(t);
    const bool half = fabs(t - below - 0.5) <= 4 * DBL_EPSILON * fmax(1, fabs(t));
    return half ? below + up : rint(t);
}

static int check_shape(const char *name, hpt__law law, double a, double b) {
    switch (law) {
    case HPT__LAW_FLAT:
        break;
    case HPT__LAW_ROUNDED:
        if (!isfinite(a) || !isfinite(b))
            return hpt__fail(HPT_E_ARG, "parameter '%s': bounds must be finite, got %s..%s", name, repr(a).data,
                             repr(b).data);
        if (a > b)
            return hpt__fail(HPT_E_ARG, "parameter '%s': low %s is above high %s", name, repr(a).data, repr(b).data);
        break;
    case HPT__LAW_NORMAL:
        if (!isfinite(a)) return hpt__fail(HPT_E_ARG, "parameter '%s': mu must be finite, got %s", name, repr(a).data);
        if (!(b > 0 && isfinite(b)))
            return hpt__fail(HPT_E_ARG, "parameter '%s': sigma must be positive and finite, got %s", name,
                             repr(b).data);
        break;
    case HPT__LAW_BETA:
        if (!(a > 0 && a <= shape_max && b > 0 && b <= shape_max))
            return hpt__fail(HPT_E_ARG,
                             "parameter '%s': the shapes of a beta law are above 0 and at most 1e6, got %s, %s", name,
                             repr(a).data, repr(b).data);
        break;
    }
    return 0;
}

static int check_q(const char *name, hpt__param_kind kind, hpt__law law, double q) {
    if (law == HPT__LAW_ROUNDED && q == 0)
        return hpt__fail(HPT_E_ARG, "parameter '%s': q must be positive; without rounding it is hpt_space_add_float",
                         name);
    if (!(q >= 0 && isfinite(q)))
        return hpt__fail(HPT_E_ARG, "parameter '%s': q must be positive%s, got %s", name,
                         law == HPT__LAW_ROUNDED ? "" : ", or 0 for no rounding", repr(q).data);
    if (kind == HPT__PARAM_INT && (q < 1 || q != floor(q) || q > whole_max))
        return hpt__fail(
            HPT_E_ARG, "parameter '%s': integers need a whole q from 1 to 2^53, got %s; change q, or have real values",
            name, repr(q).data);
    return 0;
}

// low and high from the law.
static int set_range(hpt__param *p, const char *name) {
    double low = p->law_a, high = p->law_b;
    if (p->law == HPT__LAW_NORMAL) {
        low = p->law_a - deviations * p->law_b;
        high = p->law_a + deviations * p->law_b;
        if (p->log) {
            low = exp(low);
            high = exp(high);
        }
        if (!isfinite(low) || !isfinite(high) || (p->log && low <= 0))
            return hpt__fail(HPT_E_ARG,
                             "parameter '%s': mu %s, sigma %s: the range of 7 sigma, %s..%s, passes what doubles hold; "
                             "give a smaller sigma",
                             name, repr(p->law_a).data, repr(p->law_b).data, repr(low).data, repr(high).data);
    } else if (p->law == HPT__LAW_BETA) {
        low = 0;
        high = 1;
    } else if (p->log && low <= 0) {
        return hpt__fail(HPT_E_ARG, "parameter '%s': a log range needs low > 0, got %s", name, repr(low).data);
    }
    if (p->step > 0) {
        const double q = p->step;
        double first = end_multiple(low, q, true), last = end_multiple(high, q, false);
        if (first > last) first = last = rint(low / q); // [low, high] is one point, or nearly
        if (!(fabs(first) <= multiples_max && fabs(last) <= multiples_max) || !isfinite((fabs(last) + 0.5) * q) ||
            !isfinite((fabs(first) + 0.5) * q))
            return hpt__fail(
                HPT_E_ARG,
                "parameter '%s': q %s is too small or too large for %s..%s (values up to 2^50 q, below 1e308)", name,
                repr(q).data, repr(low).data, repr(high).data);
        if (p->kind == HPT__PARAM_INT) {
            low = first * q;
            high = last * q;
            if (fabs(low) > whole_max || fabs(high) > whole_max)
                return hpt__fail(
                    HPT_E_ARG,
                    "parameter '%s': integers up to %s pass 2^53, where doubles stop to hold every integer; "
                    "narrow the law, or have real values",
                    name, repr(fmax(fabs(low), fabs(high))).data);
        } else {
            low = multiple(first, q);
            high = first == last ? low : hpt__decimal_high(low, (last + 0.5) * q, q);
        }
    }
    p->low = low;
    p->high = high;
    return 0;
}

int hpt__space_add_law(hpt_space *space, const char *name, hpt__param_kind kind, hpt__law law, double a, double b,
                       double q, bool log) {
    hpt__param p = {.kind = kind, .log = log, .step = q, .law = law, .law_a = a, .law_b = b};
    int rc = hpt__space_check_name(space, name);
    if (rc == 0) rc = check_shape(name, law, a, b);
    if (rc == 0) rc = check_q(name, kind, law, q);
    if (rc == 0) rc = set_range(&p, name);
    return rc < 0 ? rc : hpt__space_append(space, name, &p);
}

static int add(hpt_space *space, const char *name, hpt__law law, double a, double b, double q, unsigned flags,
               unsigned known) {
    int rc = hpt__space_check_name(space, name);
    if (rc < 0) return rc;
    if (flags & ~known) return hpt__fail(HPT_E_ARG, "parameter '%s': unknown flags 0x%x", name, flags & ~known);
    return hpt__space_add_law(space, name, flags & HPT_WHOLE ? HPT__PARAM_INT : HPT__PARAM_FLOAT, law, a, b, q,
                              flags & HPT_LOG);
}

int hpt_space_add_rounded(hpt_space *space, const char *name, double low, double high, double q, unsigned flags) {
    return add(space, name, HPT__LAW_ROUNDED, low, high, q, flags, HPT_LOG | HPT_WHOLE);
}

int hpt_space_add_normal(hpt_space *space, const char *name, double mu, double sigma, double q, unsigned flags) {
    return add(space, name, HPT__LAW_NORMAL, mu, sigma, q, flags, HPT_LOG | HPT_WHOLE);
}

int hpt_space_add_beta(hpt_space *space, const char *name, double a, double b, double q, unsigned flags) {
    return add(space, name, HPT__LAW_BETA, a, b, q, flags, HPT_WHOLE);
}

// ---- probabilities

int hpt__space_set_probabilities(hpt_space *space, int64_t i, const double *probabilities, int64_t n) {
    int rc = 0;
    hpt__param *p = &space->params[i];
    double sum = 0;
    HPT_FAIL_IF(p->kind != HPT__PARAM_CATEGORICAL || p->is_constant, HPT_E_ARG,
                "parameter '%s' has no choices that could have probabilities", p->name);
    HPT_FAIL_IF(!probabilities, HPT_E_ARG, "parameter '%s': probabilities is NULL", p->name);
    HPT_FAIL_IF(n != p->n_choices, HPT_E_ARG, "parameter '%s': %lld probabilities for %lld choices; give one for each",
                p->name, (long long)n, (long long)p->n_choices);
    int64_t last = 0; // choice of positive probability
    for (int64_t k = 0; k < n; k++) {
        HPT_FAIL_IF(!(probabilities[k] >= 0 && isfinite(probabilities[k])), HPT_E_ARG,
                    "parameter '%s': the probability of choice %lld (%s) must be 0 or more, got %s", p->name,
                    (long long)k, p->choice_text[k], repr(probabilities[k]).data);
        sum += probabilities[k];
        if (probabilities[k] > 0) last = k;
    }
    HPT_FAIL_IF(!(fabs(sum - 1) <= sum_tolerance), HPT_E_ARG,
                "parameter '%s': the probabilities sum to %s; they must sum to 1", p->name, repr(sum).data);
    double *given = hpt__arena_alloc(&space->arena, (size_t)n * sizeof *given);
    double *cumulative = hpt__arena_alloc(&space->arena, (size_t)n * sizeof *cumulative);
    if (!given || !cumulative) HPT_TRY(hpt__fail_memory());
    memcpy(given, probabilities, (size_t)n * sizeof *given);
    double running = 0;
    for (int64_t k = 0; k < n; k++) {
        running += given[k];
        cumulative[k] = k >= last ? 1 : fmin(running / sum, 1);
    }
    p->probabilities = given;
    p->cumulative = cumulative;
out:
    return rc;
}

int hpt_space_set_probabilities(hpt_space *space, const char *name, const double *probabilities, int64_t n) {
    if (!space || !name) return hpt__fail(HPT_E_ARG, "hpt_space_set_probabilities: space or name is NULL");
    const int64_t i = hpt__space_find(space, name);
    return i < 0 ? hpt__space_unknown(space, name) : hpt__space_set_probabilities(space, i, probabilities, n);
}
