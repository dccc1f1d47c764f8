// SPDX-License-Identifier: Apache-2.0
// tpe_split.c: divides the trials for TPE, as Optuna 5 does (one objective), with imputed values beside.
//
// Of n ranked trials the first min(ceil(0.1 n), 25) in this order are below, the rest above:
//   1. complete and feasible, by value; failed and running ones with an imputed value likewise;
//   2. pruned and feasible: who got further first, then by the last report (NaN last); who never reported at the end;
//   3. infeasible (a constraint > 0), by the sum of violations.
// Equal ones by row. Trials that count as the worst are above and never below, also when few others are there; n counts
// them. Running ones of the constant liar are above and not counted.
//
// impute.failed and impute.running, each none, worst, best or latest. With none for both this is Optuna's split: failed
// trials left out, running ones as tpe.constant_liar says. The words are those of W&B sweeps (wandb/sweeps,
// bayes_search.py, as of 2023), whose Gaussian process takes a failed, crashed or killed run
//   worst   with the worst value that any ended run ever logged
//   best    with the best value that it logged itself
//   latest  with the last finite value that it logged itself
// and, where best and latest find none, with 0. Here such a trial counts as the worst: 0 may be a very good value. W&B gives
// a running run its own best value under all three (impute_while_running); here best and latest mean the same for both.
// A failed trial that has none of the space's parameters (it died before its point was known) says nothing about any
// point: it is left out and not counted.
//
// Constraints are read from the trial's attributes ("constraints": a list; "constraints:<name>": a number), and reports
// of failed trials looked through, once per finished trial, since finished trials do not change.
// Ownership: the struct owns its arrays. Threads: one at a time. Cost: O(n) with a bounded insertion for the few that
// pass the worst of the 25; impute.running best: the reports of running trials each time.
#include "tpe_split.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include <math.h>
#include <string.h>

// Instead of a violation, which is never negative.
static const double NOT_LOOKED_AT = -1, NO_POINT = -2;

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

hpt__tpe_impute hpt__tpe_impute_of(const char *choice) {
    if (strcmp(choice, "worst") == 0) return HPT__TPE_IMPUTE_WORST;
    if (strcmp(choice, "best") == 0) return HPT__TPE_IMPUTE_BEST;
    return strcmp(choice, "latest") == 0 ? HPT__TPE_IMPUTE_LATEST : HPT__TPE_IMPUTE_NONE;
}

void hpt__tpe_split_init(hpt__tpe_split *s) {
    *s = (hpt__tpe_split){0};
    hpt__arena_init(&s->arena);
}

void hpt__tpe_split_fini(hpt__tpe_split *s) {
    hpt__free(s->violation);
    hpt__free(s->worth);
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
    double *worth = hpt__realloc(s->worth, (size_t)cap * sizeof *worth);
    if (!worth) return hpt__fail_memory();
    s->worth = worth;
    uint8_t *side = hpt__realloc(s->side, (size_t)cap);
    if (!side) return hpt__fail_memory();
    s->side = side;
    for (int64_t i = s->cap; i < cap; i++) violation[i] = NOT_LOOKED_AT;
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

// The value of a trial that has none, NaN: as the worst.
static double imputed(const hpt__trial_info *info, hpt__tpe_impute how, double sign) {
    double value = NAN;
    if (how == HPT__TPE_IMPUTE_WORST) return value;
    for (int64_t i = info->n_reports - 1; i >= 0; i--) {
        const double v = info->reports[i].value;
        if (!isfinite(v)) continue;
        if (how == HPT__TPE_IMPUTE_LATEST) return v;
        if (isnan(value) || sign * v < sign * value) value = v;
    }
    return value;
}

static bool has_point(const hpt__trials *t, int64_t row) {
    for (int64_t i = 0; i < t->d; i++)
        if (!isnan(t->columns[i].values[row])) return true;
    return false;
}

// What is kept of a finished trial.
static int look_at(hpt__tpe_split *s, const hpt__trials *t, int64_t row, const hpt__tpe_split_rules *rules) {
    if (t->state[row] == HPT_TRIAL_FAIL) {
        if (!has_point(t, row)) {
            s->violation[row] = NO_POINT;
            return 0;
        }
        s->worth[row] = imputed(&t->info[row], rules->failed, rules->sign);
    }
    return read_violation(&s->violation[row], s, &t->info[row]);
}

// Place of a complete or pruned trial, or of one with an imputed value.
static rank_key key_of(const hpt__trials *t, int64_t row, double sign, double violation, double worth) {
    rank_key key = {.row = row};
    if (violation > 0) {
        key.tier = 2;
        key.first = violation;
    } else if (t->state[row] != HPT_TRIAL_PRUNED) {
        const double v = sign * (t->state[row] == HPT_TRIAL_COMPLETE ? t->values[row] : worth);
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

// Keeps the first HPT__TPE_BELOW_MAX.
static void rank(rank_key *best, int64_t *n_best, rank_key key) {
    if (*n_best == HPT__TPE_BELOW_MAX && !before(&key, &best[*n_best - 1])) return;
    int64_t at = *n_best < HPT__TPE_BELOW_MAX ? (*n_best)++ : *n_best - 1;
    for (; at > 0 && before(&key, &best[at - 1]); at--) best[at] = best[at - 1];
    best[at] = key;
}

int hpt__tpe_split_make(hpt__tpe_split *s, const hpt__trials *t, int64_t number, const hpt__tpe_split_rules *rules) {
    rank_key best[HPT__TPE_BELOW_MAX];
    int64_t n_best = 0, n_counted = 0;
    int rc = reserve(s, t->n);
    if (rc < 0) return rc;
    for (int64_t row = 0; row < t->n; row++) {
        const uint8_t state = t->state[row];
        double violation = 0, worth = NAN;
        s->side[row] = HPT__TPE_UNUSED;
        if (state == HPT_TRIAL_WAITING || t->number[row] == number) continue;
        if (state == HPT_TRIAL_FAIL && rules->failed == HPT__TPE_IMPUTE_NONE) continue;
        if (state == HPT_TRIAL_RUNNING) {
            if (rules->running == HPT__TPE_IMPUTE_NONE) {
                if (rules->liar) s->side[row] = HPT__TPE_ABOVE;
                continue;
            }
            worth = imputed(&t->info[row], rules->running, rules->sign);
        } else {
            if (s->violation[row] == NOT_LOOKED_AT) {
                rc = look_at(s, t, row, rules);
                if (rc < 0) return rc;
            }
            violation = s->violation[row];
            if (violation == NO_POINT) continue;
            if (state == HPT_TRIAL_FAIL) worth = s->worth[row];
        }
        n_counted++;
        s->side[row] = HPT__TPE_ABOVE;
        if ((state == HPT_TRIAL_RUNNING || state == HPT_TRIAL_FAIL) && isnan(worth)) continue;
        rank(best, &n_best, key_of(t, row, rules->sign, violation, worth));
    }
    const int64_t n_below = (int64_t)fmin(ceil(0.1 * (double)n_counted), HPT__TPE_BELOW_MAX);
    for (int64_t i = 0; i < n_best && i < n_below; i++) s->side[best[i].row] = HPT__TPE_BELOW;
    return 0;
}
