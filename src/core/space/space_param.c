// SPDX-License-Identifier: Apache-2.0
// space_param.c: the values of one parameter: how many, which, and whether a number is one of them.
//
// Grid parameters have values 0..n-1:
//   integer      low + k step, exact (computed in int64; low and step are integers up to 2^53)
//   stepped      low + k step in doubles, at most high, and high itself for the last k: Optuna computes the
//                same (optuna/_transform.py), and high was found in decimal arithmetic, so 0, 0.1 .. 0.3 ends
//                in 0.3 and not in 0.30000000000000004
//   with a law   (round(low / step) + k) step, numpy's round(x / q) * q; at the ends low and high (space_law.c)
//   categorical  k
// Legal up to rounding: |v - low - k step| <= 1e-8 step (Optuna's tolerance) or a few units in the last place.
// Every function takes any double, infinite or NaN. Owns nothing. Threads: any. Cost: O(1); internal() O(choices).
#include "../base/error.h"
#include "../base/num.h"
#include "space_build.h"
#include <float.h>
#include <math.h>
#include <string.h>

int64_t hpt__param_cardinality(const hpt__param *p) {
    switch (p->kind) {
    case HPT__PARAM_CATEGORICAL:
        return p->n_choices;
    case HPT__PARAM_INT:
        return ((int64_t)p->high - (int64_t)p->low) / (int64_t)p->step + 1;
    case HPT__PARAM_FLOAT:
        break;
    }
    if (p->low >= p->high) return 1;
    if (p->step <= 0) return -1;
    return llround((p->high - p->low) / p->step) + 1; // at most 2^50 steps, space.c
}

bool hpt__param_fixed(const hpt__param *p) {
    return hpt__param_cardinality(p) == 1;
}

bool hpt__param_drawable(const hpt__param *p, int64_t k) {
    return !p->probabilities || p->probabilities[k] > 0;
}

int64_t hpt__param_enumerable(const hpt__param *p) {
    int64_t n = hpt__param_cardinality(p);
    if (p->law == HPT__LAW_NORMAL && n > 1) return -1;
    for (int64_t k = 0; p->probabilities && k < p->n_choices; k++)
        if (!hpt__param_drawable(p, k)) n--;
    return n;
}

double hpt__param_value_at(const hpt__param *p, int64_t k) {
    const int64_t n = hpt__param_cardinality(p);
    HPT_ASSERT(n > 0);
    if (k <= 0) return p->low;
    if (k >= n - 1) return p->high;
    switch (p->kind) {
    case HPT__PARAM_CATEGORICAL:
        return (double)k;
    case HPT__PARAM_INT:
        return (double)((int64_t)p->low + k * (int64_t)p->step);
    case HPT__PARAM_FLOAT:
        break;
    }
    if (p->law != HPT__LAW_FLAT) return fmin(fmax((rint(p->low / p->step) + (double)k) * p->step, p->low), p->high);
    return fmin(p->low + (double)k * p->step, p->high);
}

int64_t hpt__param_index_of(const hpt__param *p, double v) {
    const int64_t n = hpt__param_cardinality(p);
    if (n <= 1 || !(v > p->low)) return 0; // NaN too
    if (v >= p->high) return n - 1;
    int64_t k;
    if (p->kind == HPT__PARAM_INT) {
        // Integers apart, so that the difference of two large ones is exact; the fraction only decides the rounding.
        const double whole = floor(v);
        const int64_t offset = (int64_t)whole - (int64_t)p->low, step = (int64_t)p->step;
        k = offset / step;
        if ((double)(offset % step) + (v - whole) >= 0.5 * p->step) k++;
    } else {
        k = (int64_t)floor((v - p->low) / (p->kind == HPT__PARAM_FLOAT ? p->step : 1.0) + 0.5);
    }
    return k < 0 ? 0 : k > n - 1 ? n - 1 : k;
}

bool hpt__param_contains(const hpt__param *p, double v) {
    // Laws: round(x / q) * q of other programs may pass our end by a last bit, and a single value has a step too.
    const bool rounded_float = p->law != HPT__LAW_FLAT && p->step > 0 && p->kind == HPT__PARAM_FLOAT;
    if (!(v >= p->low && v <= p->high) && !rounded_float) return false;
    if (p->kind != HPT__PARAM_FLOAT) return hpt__param_value_at(p, hpt__param_index_of(p, v)) == v;
    if (!rounded_float && (p->step <= 0 || p->low >= p->high)) return true;
    const double at = hpt__param_value_at(p, hpt__param_index_of(p, v));
    const double ulps = 4 * DBL_EPSILON * fmax(fabs(p->low), fabs(p->high));
    return fabs(v - at) <= fmax(1e-8 * p->step, fmin(ulps, 0.25 * p->step));
}

double hpt__param_clip(const hpt__param *p, double v) {
    if (isnan(v)) return p->low;
    if (hpt__param_cardinality(p) > 0) return hpt__param_value_at(p, hpt__param_index_of(p, v));
    return fmin(fmax(v, p->low), p->high);
}

// ---- external form

void hpt__param_external(hpt__str *out, const hpt__param *p, double v) {
    switch (p->kind) {
    case HPT__PARAM_FLOAT:
        hpt__str_add_double(out, v);
        break;
    case HPT__PARAM_INT: // not clipped: Optuna lets a range change while a study runs
        if (fabs(v) < 0x1p62)
            hpt__str_add_int(out, (int64_t)v);
        else
            hpt__str_add_double(out, v);
        break;
    case HPT__PARAM_CATEGORICAL:
        hpt__json_compact(out, p->choices[hpt__param_index_of(p, v)]);
        break;
    }
}

// "parameter 'lr': 2.0 is not in float 0.0..1.0"; for strings with the nearest choice.
static int not_a_value(const hpt__param *p, const hpt__json *external) {
    hpt__str text = HPT__STR_INIT, range = HPT__STR_INIT;
    hpt__json_compact(&text, external);
    hpt__param_describe(&range, p);
    const char *given = hpt__json_string(external);
    const char *nearest = NULL;
    if (p->kind == HPT__PARAM_CATEGORICAL && given)
        nearest = hpt__nearest(given, (const char *const *)p->choice_text, p->n_choices);
    int rc = nearest ? hpt__fail(HPT_E_ARG, "parameter '%s': %s is not a choice; did you mean '%s'?", p->name,
                                 hpt__str_text(&text), nearest)
                     : hpt__fail(HPT_E_ARG, "parameter '%s': %s is not in %s", p->name, hpt__str_text(&text),
                                 hpt__str_text(&range));
    hpt__str_fini(&text);
    hpt__str_fini(&range);
    return rc;
}

int hpt__param_internal(double *out, const hpt__param *p, const hpt__json *external) {
    if (!external) return hpt__fail(HPT_E_ARG, "parameter '%s': no value", p->name);
    if (p->kind == HPT__PARAM_CATEGORICAL) {
        // First a choice of the same type, then one that Python calls equal (1 for 1.0, 1 for true), as Optuna does.
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < p->n_choices; i++)
                if ((pass || p->choices[i]->kind == external->kind) && hpt__json_equal(p->choices[i], external)) {
                    *out = (double)i;
                    return 0;
                }
        return not_a_value(p, external);
    }
    double v;
    if (!hpt__json_number(&v, external) || !hpt__param_contains(p, v)) return not_a_value(p, external);
    // On the exact grid value, so that equal points compare equal.
    *out = p->kind == HPT__PARAM_FLOAT && p->step <= 0 ? v : hpt__param_clip(p, v);
    return 0;
}

// 0.5, 10 and not 10.0: in a law's numbers it says nothing about the type of the values.
static void add_short(hpt__str *out, double v) {
    char text[HPT__DOUBLE_MAX];
    size_t n = hpt__double_repr(text, v);
    if (n > 2 && strcmp(text + n - 2, ".0") == 0) n -= 2;
    hpt__str_addn(out, text, n);
}

static void describe_law(hpt__str *out, const hpt__param *p) {
    static const char *const first[] = {"", "uniform ", "normal mu ", "beta a "};
    static const char *const second[] = {"", "..", " sigma ", " b "};
    if (p->kind == HPT__PARAM_INT) hpt__str_add(out, "int ");
    if (p->log) hpt__str_add(out, "log-");
    hpt__str_add(out, first[p->law]);
    add_short(out, p->law_a);
    hpt__str_add(out, second[p->law]);
    add_short(out, p->law_b);
    if (p->step > 0) {
        hpt__str_add(out, " rounded to ");
        add_short(out, p->step);
    }
}

void hpt__param_describe(hpt__str *out, const hpt__param *p) {
    if (p->kind == HPT__PARAM_CATEGORICAL) {
        if (p->is_constant) {
            hpt__str_addf(out, "constant %s", p->choice_text[0]);
            return;
        }
        hpt__str_addc(out, '{');
        for (int64_t i = 0; i < p->n_choices; i++) {
            if (i > 0) hpt__str_add(out, ", ");
            hpt__str_add(out, p->choice_text[i]);
            if (!p->probabilities) continue;
            hpt__str_addc(out, ' ');
            add_short(out, p->probabilities[i]);
        }
        hpt__str_addc(out, '}');
        return;
    }
    if (p->law != HPT__LAW_FLAT) {
        describe_law(out, p);
        return;
    }
    const bool is_int = p->kind == HPT__PARAM_INT;
    hpt__str_add(out, is_int ? "int " : "float ");
    hpt__param_external(out, p, p->low);
    hpt__str_add(out, "..");
    hpt__param_external(out, p, p->high);
    if (is_int && p->step > 1) hpt__str_addf(out, " step %lld", (long long)p->step);
    if (!is_int && p->step > 0) {
        hpt__str_add(out, " step ");
        hpt__str_add_double(out, p->step);
    }
    if (p->log) hpt__str_add(out, " log");
}
