// SPDX-License-Identifier: Apache-2.0
// tpe_split.c: divides the trials for TPE, as Optuna 5 does (one objective).
//
// Of n finished trials (complete or pruned) the first min(ceil(0.1 n), 25) in this order are below, the rest above:
//   1. complete and feasible, by value;
//   2. pruned and feasible: who got further first, then by the last report (NaN last); who never reported at the end;
//   3. infeasible (a constraint > 0), by the sum of violations.
// Equal ones by row. Running trials, if wanted, are above: they repel the next trial. Failed ones do not count.
//
// Constraints are read from the trial's attributes ("constraints": a list; "constraints:<name>": a number), once per
// finished trial, since finished trials do not change.
// Ownership: the struct owns its arrays. Threads: one at a time. Cost: O(n) with a bounded insertion for the few that
// pass the worst of the 25.
#include "tpe_split.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include <math.h>
#include <string.h>

typedef struct rank_key {
    int tier;
    double first, second;
    int64_t row;
} rank_key;

static bool before(const rank_key *a, const rank_key *b) {
    if (a->tier != b->tier) return a->tier < b->tier;
    if (a->first != b->first) return a->first < b->first;
    if (a->second != b->second) return a->second < b->second;
    return a->row < b->row;
}

void hpt__tpe_split_init(hpt__tpe_split *s) {
    *s = (hpt__tpe_split){0};
    hpt__arena_init(&s->arena);
}

void hpt__tpe_split_fini(hpt__tpe_split *s) {
    hpt__free(s->violation);
    hpt__free(s->side);
    hpt__arena_fini(&s->arena);
    *s = (hpt__tpe_split){0};
}

static int reserve(hpt__tpe_split *s, int64_t n) {
    if (n <= s->cap) return 0;
    const int64_t cap = n + n / 2 + 64;
    double *violation = hpt__realloc(s->violation, (size_t)cap * sizeof *violation);
    if (!violation) return hpt__fail_memory();
    s->violation = violation;
    uint8_t *side = hpt__realloc(s->side, (size_t)cap);
    if (!side) return hpt__fail_memory();
    s->side = side;
    for (int64_t i = s->cap; i < cap; i++) violation[i] = -1;
    s->cap = cap;
    return 0;
}

static double excess(const hpt__json *v) {
    double x;
    return hpt__json_number(&x, v) && x > 0 ? x : 0;
}

static int read_violation(double *out, hpt__tpe_split *s, const hpt__trial_info *info) {
    double sum = 0;
    for (int64_t i = 0; i < info->n_attrs; i++) {
        const char *key = info->attr_keys[i], *text = info->attr_values[i];
        if (strncmp(key, "s:constraints", 13) != 0 || (key[13] != 0 && key[13] != ':') || !text) continue;
        hpt__json *v = NULL;
        hpt__arena_reset(&s->arena);
        const int rc = hpt__json_parse(&v, &s->arena, text, strlen(text));
        if (rc == HPT_E_MEMORY) return rc;
        if (rc < 0) continue; // unreadable: as if it were not there, like best and Pareto set do
        if (v->kind != HPT__JSON_ARRAY)
            sum += excess(v);
        else
            for (int64_t k = 0; k < v->a.n; k++) sum += excess(v->a.items[k]);
    }
    *out = sum;
    return 0;
}

static rank_key key_of(const hpt__trials *t, int64_t row, double sign, double violation) {
    rank_key key = {.row = row};
    if (violation > 0) {
        key.tier = 2;
        key.first = violation;
    } else if (t->state[row] == HPT_TRIAL_COMPLETE) {
        const double v = sign * t->values[row];
        key.first = isnan(v) ? INFINITY : v;
    } else {
        int64_t step;
        const double v = sign * hpt__trials_last_report(t, row, &step);
        key.tier = 1;
        key.first = step < 0 ? 1 : -(double)step;
        key.second = step < 0 ? 0 : isnan(v) ? INFINITY : v;
    }
    return key;
}

int hpt__tpe_split_make(hpt__tpe_split *s, const hpt__trials *t, int64_t number, double sign, bool running) {
    rank_key best[HPT__TPE_BELOW_MAX];
    int64_t n_best = 0;
    const int64_t n_finished = t->counts[HPT_TRIAL_COMPLETE] + t->counts[HPT_TRIAL_PRUNED];
    const int64_t n_below = (int64_t)fmin(ceil(0.1 * (double)n_finished), HPT__TPE_BELOW_MAX);
    int rc = reserve(s, t->n);
    if (rc < 0) return rc;
    for (int64_t row = 0; row < t->n; row++) {
        s->side[row] = HPT__TPE_UNUSED;
        if (t->state[row] == HPT_TRIAL_RUNNING && running && t->number[row] != number) s->side[row] = HPT__TPE_ABOVE;
        if (t->state[row] != HPT_TRIAL_COMPLETE && t->state[row] != HPT_TRIAL_PRUNED) continue;
        s->side[row] = HPT__TPE_ABOVE;
        if (s->violation[row] < 0) {
            rc = read_violation(&s->violation[row], s, &t->info[row]);
            if (rc < 0) return rc;
        }
        const rank_key key = key_of(t, row, sign, s->violation[row]);
        if (n_best == n_below && (n_below == 0 || !before(&key, &best[n_best - 1]))) continue;
        int64_t at = n_best < n_below ? n_best++ : n_best - 1;
        for (; at > 0 && before(&key, &best[at - 1]); at--) best[at] = best[at - 1];
        best[at] = key;
    }
    for (int64_t i = 0; i < n_best; i++) s->side[best[i].row] = HPT__TPE_BELOW;
    return 0;
}
