// SPDX-License-Identifier: Apache-2.0
// space_diff.c: whether two parameters, or two spaces, are the same, and where they first differ.
//
// Parameters are the same when Optuna's == says so: same class, bounds, step and log flag as Optuna sees it;
// choices equal one by one in Python's sense (1 == 1.0 == True, NaN equal to NaN). Spaces are compared by
// name, whatever the order; first parameters with their laws and probabilities, then conditions, as sets.
// Owns nothing. Threads: any. Cost: O(size of both) expected, O(c^2) for c conditions of one parameter.
#include "space_build.h"
#include <string.h>

static bool same_choices(const hpt__param *a, const hpt__param *b) {
    if (a->n_choices != b->n_choices) return false;
    for (int64_t i = 0; i < a->n_choices; i++)
        if (!hpt__json_equal(a->choices[i], b->choices[i])) return false;
    return true;
}

bool hpt__param_same_distribution(const hpt__param *a, const hpt__param *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == HPT__PARAM_CATEGORICAL) return same_choices(a, b);
    return a->low == b->low && a->high == b->high && a->step == b->step &&
           hpt__distribution_log(a) == hpt__distribution_log(b);
}

static bool same_law(const hpt__param *a, const hpt__param *b) {
    if (a->kind != HPT__PARAM_CATEGORICAL)
        return a->law == b->law && (a->law == HPT__LAW_FLAT || (a->law_a == b->law_a && a->law_b == b->law_b &&
                                                                a->step == b->step && a->log == b->log));
    if (!a->probabilities || !b->probabilities) return a->probabilities == b->probabilities;
    return memcmp(a->cumulative, b->cumulative, (size_t)a->n_choices * sizeof *a->cumulative) == 0;
}

static bool number_differs(hpt__str *out, const hpt__param *p, const char *what, double stored, double given) {
    if (stored == given) return false;
    const bool none = p->kind == HPT__PARAM_FLOAT && strcmp(what, "step") == 0; // step 0
    hpt__str_addf(out, "parameter '%s': %s ", p->name, what);
    if (none && stored == 0)
        hpt__str_add(out, "none");
    else
        hpt__param_external(out, p, stored);
    hpt__str_add(out, " is now ");
    if (none && given == 0)
        hpt__str_add(out, "none");
    else
        hpt__param_external(out, p, given);
    return true;
}

static bool param_differs(hpt__str *out, const hpt__param *stored, const hpt__param *given) {
    const bool categorical = stored->kind == HPT__PARAM_CATEGORICAL;
    if (stored->kind != given->kind || stored->is_constant != given->is_constant ||
        (categorical && !same_choices(stored, given)) || !same_law(stored, given)) {
        hpt__str_addf(out, "parameter '%s': ", stored->name);
        hpt__param_describe(out, stored);
        hpt__str_add(out, " is now ");
        hpt__param_describe(out, given);
        return true;
    }
    if (categorical || stored->law != HPT__LAW_FLAT) return false;
    if (number_differs(out, stored, "low", stored->low, given->low)) return true;
    if (number_differs(out, stored, "high", stored->high, given->high)) return true;
    if (number_differs(out, stored, "step", stored->step, given->step)) return true;
    if (stored->log == given->log) return false;
    hpt__str_addf(out, "parameter '%s': %s is now %s", stored->name, stored->log ? "log" : "linear",
                  given->log ? "log" : "linear");
    return true;
}

static bool has_condition(const hpt_space *space, const hpt__param *p, const char *parent, const hpt__condition *c) {
    for (int64_t i = 0; i < p->n_conditions; i++) {
        const hpt__condition *other = &p->conditions[i];
        if (other->n_values != c->n_values || strcmp(space->params[other->parent].name, parent) != 0) continue;
        int64_t k = 0;
        while (k < c->n_values && other->values[k] == c->values[k]) k++;
        if (k == c->n_values) return true;
    }
    return false;
}

// A condition of p (in a) that its namesake q (in b) lacks.
static bool condition_differs(hpt__str *out, const hpt_space *a, const hpt__param *p, const hpt_space *b,
                              const hpt__param *q, const char *verdict) {
    for (int64_t i = 0; i < p->n_conditions; i++) {
        const hpt__condition *c = &p->conditions[i];
        const hpt__param *parent = &a->params[c->parent];
        if (has_condition(b, q, parent->name, c)) continue;
        hpt__str_addf(out, "parameter '%s': the condition '%s' in [", p->name, parent->name);
        for (int64_t k = 0; k < c->n_values; k++) {
            if (k > 0) hpt__str_add(out, ", ");
            hpt__param_external(out, parent, c->values[k]);
        }
        hpt__str_addf(out, "] %s", verdict);
        return true;
    }
    return false;
}

bool hpt__space_difference(hpt__str *out, const hpt_space *stored, const hpt_space *given) {
    for (int64_t i = 0; i < stored->d; i++) {
        const int64_t j = hpt__space_find(given, stored->params[i].name);
        if (j < 0) {
            hpt__str_addf(out, "parameter '%s' is gone", stored->params[i].name);
            return true;
        }
        if (param_differs(out, &stored->params[i], &given->params[j])) return true;
    }
    for (int64_t j = 0; j < given->d; j++)
        if (hpt__space_find(stored, given->params[j].name) < 0) {
            hpt__str_addf(out, "parameter '%s' is new", given->params[j].name);
            return true;
        }
    for (int64_t i = 0; i < stored->d; i++) {
        const hpt__param *s = &stored->params[i], *g = &given->params[hpt__space_find(given, s->name)];
        if (condition_differs(out, stored, s, given, g, "is gone")) return true;
        if (condition_differs(out, given, g, stored, s, "is new")) return true;
    }
    return false;
}
