// SPDX-License-Identifier: Apache-2.0
// tpe_groups.c: groups of parameters, by declared conditions and by what the trials had together.
//
// A joint density needs trials that have all of its parameters. Where a space says when a parameter exists, parameters
// with the same list of conditions exist in the same trials: they are a group, and our own trials never lack a part of it.
//
// A space that was derived from another program's trials says nothing: an Optuna program decides while it runs which
// parameters it asks for. There the trials tell. A complete or pruned trial with the parameters s divides every group g
// into g and s, and g without s (Optuna's rule for TPESampler(group=True), optuna/search_space/group_decomposed.py). What
// results are the sets of parameters that were present and absent in the same trials, in whatever order these came: so
// the groups are a function of the rows. A value outside the range is present all the same. Failed trials divide
// nothing: they end anywhere. Parameters that no trial has yet stay together.
//
// A group that a trial is about to divide holds parameters with the same conditions, so its parts do too: a part is active
// when the group was.
//
// Groups are numbered by their first parameter in topological order, so the parents of a group's conditions belong to
// groups before it. A parameter with a single value is a group of its own and never joined, as it needs no density.
//
// Ownership: the struct owns its arrays; borrows the space. Threads: one at a time. Cost: O(d) a finished trial, once; O(1)
// an unfinished one a call; a division O(d), of which there are fewer than d.
#include "tpe_groups.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include <math.h>
#include <string.h>

// ---- declared conditions -----------------------------------------------------------------------------------------

static bool has_condition(const hpt__param *p, const hpt__condition *c) {
    for (int64_t i = 0; i < p->n_conditions; i++) {
        const hpt__condition *own = &p->conditions[i];
        if (own->parent == c->parent && own->n_values == c->n_values &&
            memcmp(own->values, c->values, (size_t)c->n_values * sizeof *c->values) == 0)
            return true;
    }
    return false;
}

static bool same_conditions(const hpt__param *a, const hpt__param *b) {
    if (a->n_conditions != b->n_conditions) return false;
    for (int64_t i = 0; i < a->n_conditions; i++)
        if (!has_condition(b, &a->conditions[i])) return false;
    for (int64_t i = 0; i < b->n_conditions; i++)
        if (!has_condition(a, &b->conditions[i])) return false;
    return true;
}

static int32_t declared_group(const hpt__tpe_groups *g, int32_t param, bool joint) {
    const hpt__param *params = g->space->params;
    if (!joint || hpt__param_fixed(&params[param])) return g->n;
    for (int32_t i = 0; i < g->n; i++)
        if (g->joined[i] && same_conditions(&params[g->first[i]], &params[param])) return i;
    return g->n;
}

int hpt__tpe_groups_init(hpt__tpe_groups *g, const hpt_space *space, bool joint) {
    const size_t d = (size_t)space->d + 1;
    *g = (hpt__tpe_groups){.space = space};
    g->group_of = hpt__malloc(d * sizeof *g->group_of);
    g->first = hpt__malloc(d * sizeof *g->first);
    g->joined = hpt__malloc(d * sizeof *g->joined);
    g->present = hpt__malloc(d * sizeof *g->present);
    g->size = hpt__malloc(d * sizeof *g->size);
    g->half = hpt__malloc(d * sizeof *g->half);
    if (!g->group_of || !g->first || !g->joined || !g->present || !g->size || !g->half) {
        hpt__tpe_groups_fini(g);
        return hpt__fail_memory();
    }
    for (int64_t t = 0; t < space->d; t++) {
        const int32_t param = space->topo[t], group = declared_group(g, param, joint);
        g->group_of[param] = group;
        if (group < g->n) continue;
        g->first[group] = param;
        g->joined[group] = joint && !hpt__param_fixed(&space->params[param]);
        g->n++;
    }
    return 0;
}

void hpt__tpe_groups_fini(hpt__tpe_groups *g) {
    hpt__free(g->group_of);
    hpt__free(g->first);
    hpt__free(g->joined);
    hpt__free(g->open);
    hpt__free(g->present);
    hpt__free(g->size);
    hpt__free(g->half);
    *g = (hpt__tpe_groups){0};
}

// ---- what trials have together -----------------------------------------------------------------------------------

// Numbers groups by their first parameter again.
static void renumber(hpt__tpe_groups *g) {
    const hpt_space *space = g->space;
    int32_t *number = g->half, n = 0;
    for (int32_t i = 0; i < g->n; i++) number[i] = -1;
    for (int64_t t = 0; t < space->d; t++) {
        const int32_t param = space->topo[t], group = g->group_of[param];
        if (number[group] < 0) {
            number[group] = n;
            g->first[n] = param;
            n++;
        }
        g->group_of[param] = number[group];
    }
    HPT_ASSERT(n == g->n);
}

// Divides the groups that the row has in part. True if there were any.
static bool divide(hpt__tpe_groups *g, const hpt__trials *t, int64_t row) {
    const int32_t n = g->n;
    for (int32_t i = 0; i < n; i++) g->present[i] = g->size[i] = 0;
    for (int64_t i = 0; i < g->space->d; i++) {
        g->present[g->group_of[i]] += !isnan(t->columns[i].values[row]);
        g->size[g->group_of[i]]++;
    }
    for (int32_t i = 0; i < n; i++) {
        const bool torn = g->joined[i] && g->present[i] > 0 && g->present[i] < g->size[i];
        g->half[i] = torn ? g->n++ : i;
    }
    if (g->n == n) return false;
    for (int64_t i = 0; i < g->space->d; i++)
        if (!isnan(t->columns[i].values[row])) g->group_of[i] = g->half[g->group_of[i]];
    renumber(g);
    for (int64_t i = 0; i < g->space->d; i++) g->joined[g->group_of[i]] = !hpt__param_fixed(&g->space->params[i]);
    return true;
}

// Takes row in if it is finished; false if it is not yet.
static bool take(bool *changed, hpt__tpe_groups *g, const hpt__trials *t, int64_t row) {
    const uint8_t state = t->state[row];
    if (state == HPT_TRIAL_RUNNING || state == HPT_TRIAL_WAITING) return false;
    if (state != HPT_TRIAL_FAIL && divide(g, t, row)) *changed = true;
    return true;
}

int hpt__tpe_groups_update(bool *changed, hpt__tpe_groups *g, const hpt__trials *t) {
    int64_t kept = 0, n_joined = 0;
    *changed = false;
    for (int32_t i = 0; i < g->n; i++) n_joined += g->joined[i];
    if (n_joined == 0) return 0;
    if (g->n_passed > t->n) g->n_passed = t->n; // a batch's provisional rows were taken back
    for (int64_t i = 0; i < g->n_open; i++)
        if (g->open[i] < g->n_passed && !take(changed, g, t, g->open[i])) g->open[kept++] = g->open[i];
    g->n_open = kept;
    for (; g->n_passed < t->n; g->n_passed++) {
        const int rc = hpt__grow(&g->open, &g->cap_open, g->n_open + 1, sizeof *g->open);
        if (rc < 0) return rc;
        if (!take(changed, g, t, g->n_passed)) g->open[g->n_open++] = (int32_t)g->n_passed;
    }
    return 0;
}
