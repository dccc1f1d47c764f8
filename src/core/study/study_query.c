// SPDX-License-Identifier: Apache-2.0
// study_query.c: what is known so far: one trial, the best, the non-dominated ones, counts, where time went.
//
// Constraints, as Optuna stores them: system attribute "constraints" (a list, Optuna <= 4 and hpt serve) or one
// attribute "constraints:<name>" each (Optuna 5); a trial is feasible if all are <= 0, and one without any is
// feasible. Infeasible trials are neither best nor on the Pareto front.
//
// Pareto front: trials sorted lexicographically by their values (turned so that smaller is better); a trial can
// then only be dominated by an earlier one, and only those on the front so far need comparing. With k == 2 it is
// enough to look at the least second value so far. Cost: O(n log n) for k <= 2, O(n log n + n f k) else, f the
// size of the front. k == 1 gives all trials equal to the best.
//
// Ownership: handles are new and the caller's. Threads: the study's lock.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- constraints ---------------------------------------------------------------------------------------------

static bool within(const hpt__json *v) {
    double x;
    return !hpt__json_number(&x, v) || x <= 0;
}

bool hpt__study_feasible(const hpt__trials *t, int64_t row, hpt__arena *arena) {
    const hpt__trial_info *info = &t->info[row];
    for (int64_t i = 0; i < info->n_attrs; i++) {
        const char *key = info->attr_keys[i];
        if (strncmp(key, "s:constraints", 13) != 0 || (key[13] != 0 && key[13] != ':')) continue;
        hpt__json *v = NULL;
        hpt__arena_reset(arena);
        if (hpt__json_parse(&v, arena, info->attr_values[i], strlen(info->attr_values[i])) < 0) continue;
        if (v->kind != HPT__JSON_ARRAY) {
            if (!within(v)) return false;
            continue;
        }
        for (int64_t j = 0; j < v->a.n; j++) {
            if (!within(v->a.items[j])) return false;
        }
    }
    return true;
}

// ---- best ----------------------------------------------------------------------------------------------------

// The incremental best of the table if it is feasible, else the best feasible one. -1: none.
static int64_t best_row(const hpt_study *study, hpt__arena *arena) {
    const hpt__trials *t = &study->table;
    if (t->best < 0 || hpt__study_feasible(t, t->best, arena)) return t->best;
    const double sign = study->directions[0] == HPT_MAXIMIZE ? -1.0 : 1.0;
    int64_t best = -1;
    for (int64_t row = 0; row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_COMPLETE) continue;
        if (best >= 0 && sign * t->values[row] >= sign * t->values[best]) continue;
        if (hpt__study_feasible(t, row, arena)) best = row;
    }
    return best;
}

static int load_new(hpt_trial **out, hpt_study *study, int64_t row) {
    hpt_trial *trial = hpt__trial_new(study);
    if (!trial) return hpt__fail_memory();
    hpt__trial_load(trial, row);
    *out = trial;
    return 0;
}

int hpt_study_best(hpt_trial **out, hpt_study *study) {
    int rc = 0;
    hpt__arena arena;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_best: an argument is NULL");
    hpt__arena_init(&arena);
    pthread_mutex_lock(&study->lock);
    HPT_FAIL_IF(study->k != 1, HPT_E_ARG,
                "study '%s' has %lld objectives and no single best trial; ask for the Pareto front", study->name,
                (long long)study->k);
    HPT_TRY(hpt__study_sync(study));
    const int64_t row = best_row(study, &arena);
    HPT_FAIL_IF(row<0, HPT_E_NOT_FOUND, "study '%s' has no %scomplete trial yet", study->name,
                    study->table.counts[HPT_TRIAL_COMPLETE]> 0
                    ? "feasible "
                    : "");
    HPT_TRY(load_new(out, study, row));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    hpt__arena_fini(&arena);
    return rc;
}

// ---- Pareto front --------------------------------------------------------------------------------------------

typedef struct pareto_item {
    const double *v; // k values, smaller is better
    int64_t k, row;
} pareto_item;

static int by_values(const void *a, const void *b) {
    const pareto_item *x = a, *y = b;
    for (int64_t j = 0; j < x->k; j++) {
        if (x->v[j] < y->v[j]) return -1;
        if (x->v[j] > y->v[j]) return 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

static int by_row(const void *a, const void *b) {
    const pareto_item *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

// x before y in lexicographic order: x dominates y if it is nowhere worse and they differ.
static bool dominates(const double *x, const double *y, int64_t k) {
    bool differ = false;
    for (int64_t j = 0; j < k; j++) {
        if (x[j] > y[j]) return false;
        if (x[j] < y[j]) differ = true;
    }
    return differ;
}

// Moves the front of sorted items to the start and returns its size.
static int64_t front_of(pareto_item *items, int64_t n, int64_t k) {
    int64_t f = 0;
    for (int64_t i = 0; i < n; i++) {
        bool dominated = false;
        if (k <= 2) {
            // The last one on the front has the least second value; if it does not dominate, none does.
            dominated = f > 0 && dominates(items[f - 1].v, items[i].v, k);
        } else {
            for (int64_t j = f - 1; j >= 0 && !dominated; j--) dominated = dominates(items[j].v, items[i].v, k);
        }
        if (!dominated) items[f++] = items[i];
    }
    return f;
}

int hpt_study_pareto(hpt_trial ***out, int64_t *n, hpt_study *study) {
    int rc = 0;
    int64_t m = 0, made = 0;
    hpt__arena arena;
    pareto_item *items = NULL;
    double *values = NULL;
    hpt_trial **trials = NULL;
    if (!out || !n || !study) return hpt__fail(HPT_E_ARG, "hpt_study_pareto: an argument is NULL");
    hpt__arena_init(&arena);
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study));
    const hpt__trials *t = &study->table;
    const int64_t k = study->k, complete = t->counts[HPT_TRIAL_COMPLETE];
    items = hpt__calloc((size_t)complete + 1, sizeof *items);
    values = hpt__calloc((size_t)(complete * k) + 1, sizeof *values);
    if (!items || !values) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t row = 0; row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_COMPLETE || !hpt__study_feasible(t, row, &arena)) continue;
        double *v = values + m * k;
        for (int64_t j = 0; j < k; j++) {
            const double x = t->values[row * k + j];
            v[j] = study->directions[j] == HPT_MAXIMIZE ? -x : x;
        }
        items[m++] = (pareto_item){v, k, row};
    }
    qsort(items, (size_t)m, sizeof *items, by_values);
    m = front_of(items, m, k);
    qsort(items, (size_t)m, sizeof *items, by_row);
    trials = hpt__calloc((size_t)m + 1, sizeof *trials);
    if (!trials) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (; made < m; made++) HPT_TRY(load_new(&trials[made], study, items[made].row));
    *out = trials;
    *n = m;
    trials = NULL;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    if (trials) {
        for (int64_t i = 0; i < made; i++) hpt_trial_destroy(trials[i]);
    }
    hpt__free(trials);
    hpt__free(items);
    hpt__free(values);
    hpt__arena_fini(&arena);
    return rc;
}

// ---- lookups -------------------------------------------------------------------------------------------------

int hpt_study_trial(hpt_trial **out, hpt_study *study, int64_t number) {
    int rc = 0;
    int64_t row;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_trial: an argument is NULL");
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study)); // its state may have changed elsewhere
    HPT_TRY(hpt__study_row(&row, study, number));
    HPT_TRY(load_new(out, study, row));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt_study_counts(int64_t out[5], hpt_study *study) {
    int rc = 0;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_counts: an argument is NULL");
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study));
    memcpy(out, study->table.counts, sizeof study->table.counts);
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt__study_numbers(int64_t **out, int64_t *n, hpt_study *study, hpt_trial_state state) {
    int rc = 0;
    int64_t m = 0, *numbers = NULL;
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study));
    const hpt__trials *t = &study->table;
    numbers = hpt__malloc(((size_t)t->counts[state] + 1) * sizeof *numbers);
    if (!numbers) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t row = 0; row < t->n; row++) {
        if (t->state[row] == (uint8_t)state) numbers[m++] = t->number[row];
    }
    *out = numbers;
    *n = m;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

// ---- where time went -----------------------------------------------------------------------------------------

int hpt_study_stats(char **out, hpt_study *study) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_stats: an argument is NULL");
    pthread_mutex_lock(&study->ask_lock); // the sampler describes itself
    pthread_mutex_lock(&study->lock);
    const hpt__trials *t = &study->table;
    hpt__str_addf(&text,
                  "{\"asks\":%lld,\"tells\":%lld,\"reports\":%lld,\"seconds\":{\"ask\":", (long long)study->n_asks,
                  (long long)study->n_tells, (long long)study->n_reports);
    hpt__study_add_number(&text, study->times.ask);
    hpt__str_add(&text, ",\"suggest\":");
    hpt__study_add_number(&text, study->times.suggest);
    hpt__str_add(&text, ",\"storage\":");
    hpt__study_add_number(&text, study->times.storage);
    hpt__str_add(&text, "},\"sampler\":");
    hpt__str_add_json_string(&text, study->sampler_name, strlen(study->sampler_name));
    hpt__str_add(&text, ",\"pruner\":");
    hpt__str_add_json_string(&text, study->pruner_name, strlen(study->pruner_name));
    hpt__str_add(&text, ",\"device\":");
    hpt__str_add_json_string(&text, study->device, strlen(study->device));
    hpt__str_add(&text, ",\"last\":");
    if (study->last_by) {
        hpt__str_addf(&text, "{\"number\":%lld,\"by\":", (long long)study->last_number);
        hpt__str_add_json_string(&text, study->last_by, strlen(study->last_by));
        hpt__str_addc(&text, '}');
    } else {
        hpt__str_add(&text, "null");
    }
    if (study->sampler_made && study->sampler->describe) {
        hpt__str_add(&text, ",\"model\":");
        const size_t after = text.len;
        study->sampler->describe(&text, study->sampler_state);
        if (text.len == after) hpt__str_add(&text, "null");
    }
    hpt__str_add(&text, ",\"trials\":{");
    static const char *const names[] = {"running", "complete", "pruned", "fail", "waiting"};
    for (int i = 0; i < 5; i++) {
        hpt__str_addf(&text, "%s\"%s\":%lld", i ? "," : "", names[i], (long long)t->counts[i]);
    }
    hpt__str_add(&text, "}}");
    pthread_mutex_unlock(&study->lock);
    pthread_mutex_unlock(&study->ask_lock);
    char *taken = hpt__str_take(&text);
    if (!taken) {
        rc = hpt__fail_memory();
        goto out;
    }
    *out = taken;
out:
    hpt__str_fini(&text);
    return rc;
}
