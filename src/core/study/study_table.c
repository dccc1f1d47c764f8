// SPDX-License-Identifier: Apache-2.0
// study_table.c: hpt_study_table: the table of trials as a copy that the caller keeps.
//
// Everything lies in one arena that the table owns, so that a study of 100,000 trials costs a few dozen allocations. A
// text of an attribute that many trials share ("hpt:by" has a handful) is stored once.
//
// Ownership: the caller's, freed by hpt_table_destroy. Threads: the study's lock while copying, none afterwards.
// Cost: O(n (d + k + attributes)), about 10 ns a number.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_state.h"

#include <hpt/table.h>
#include <math.h>
#include <string.h>

typedef struct owned_table {
    hpt_table t; // first: hpt_table_destroy casts back
    hpt__arena arena;
} owned_table;

void hpt_table_destroy(hpt_table *table) {
    owned_table *owned = (owned_table *)table;
    if (!owned) return;
    hpt__arena_fini(&owned->arena);
    hpt__free(owned);
}

// n objects of a size from the arena; *failed collects, so that a row of calls needs one check.
static void *take(owned_table *o, bool *failed, int64_t n, size_t size) {
    void *p = (uint64_t)n > SIZE_MAX / size - 1 ? NULL : hpt__arena_alloc(&o->arena, ((size_t)n + 1) * size);
    if (!p) *failed = true;
    return p;
}

static int copy_space(owned_table *o, const hpt_space *space) {
    bool failed = false;
    const int64_t d = space->d;
    const char **names = take(o, &failed, d, sizeof *names);
    int64_t *n_choices = take(o, &failed, d, sizeof *n_choices);
    const char *const **choices = take(o, &failed, d, sizeof *choices);
    if (failed) return hpt__fail_memory();
    for (int64_t i = 0; i < d; i++) {
        const hpt__param *p = &space->params[i];
        const char **texts = take(o, &failed, p->n_choices, sizeof *texts);
        names[i] = hpt__arena_strndup(&o->arena, p->name, strlen(p->name));
        if (failed || !names[i]) return hpt__fail_memory();
        n_choices[i] = p->kind == HPT__PARAM_CATEGORICAL ? p->n_choices : 0;
        for (int64_t c = 0; c < n_choices[i]; c++) {
            texts[c] = hpt__arena_strndup(&o->arena, p->choice_text[c], strlen(p->choice_text[c]));
            if (!texts[c]) return hpt__fail_memory();
        }
        choices[i] = texts;
    }
    o->t.names = names;
    o->t.n_choices = n_choices;
    o->t.choices = choices;
    return 0;
}

static int copy_metric_names(owned_table *o, const hpt_study *study) {
    bool failed = false;
    if (!study->metric_names) return 0;
    const char **names = take(o, &failed, study->k, sizeof *names);
    for (int64_t i = 0; !failed && i < study->k; i++) {
        names[i] = hpt__arena_strndup(&o->arena, study->metric_names[i], strlen(study->metric_names[i]));
        failed = !names[i];
    }
    if (failed) return hpt__fail_memory();
    o->t.metric_names = names;
    return 0;
}

static double seconds(int64_t us) {
    return us == INT64_MIN ? NAN : (double)us * 1e-6;
}

static int copy_numbers(owned_table *o, const hpt__trials *t) {
    bool failed = false;
    const int64_t n = t->n, d = o->t.d;
    int64_t *number = take(o, &failed, n, sizeof *number), *step = take(o, &failed, n, sizeof *step);
    int64_t *n_reports = take(o, &failed, n, sizeof *n_reports);
    uint8_t *state = take(o, &failed, n, sizeof *state);
    double *values = take(o, &failed, n * t->k, sizeof *values), *last = take(o, &failed, n, sizeof *last);
    bool *feasible = take(o, &failed, n, sizeof *feasible);
    double *start = take(o, &failed, n, sizeof *start), *end = take(o, &failed, n, sizeof *end);
    const double **params = take(o, &failed, d, sizeof *params);
    if (failed) return hpt__fail_memory();
    if (n > 0) {
        memcpy(number, t->number, (size_t)n * sizeof *number);
        memcpy(state, t->state, (size_t)n * sizeof *state);
        memcpy(values, t->values, (size_t)(n * t->k) * sizeof *values);
    }
    for (int64_t i = 0; i < d; i++) {
        double *column = take(o, &failed, n, sizeof *column);
        if (failed) return hpt__fail_memory();
        if (n > 0) memcpy(column, t->columns[i].values, (size_t)n * sizeof *column);
        params[i] = column;
    }
    hpt__arena scratch;
    hpt__arena_init(&scratch);
    for (int64_t row = 0; row < n; row++) {
        start[row] = seconds(t->info[row].start_us);
        end[row] = seconds(t->info[row].complete_us);
        last[row] = hpt__trials_last_report(t, row, &step[row]);
        n_reports[row] = t->info[row].n_reports;
        feasible[row] = hpt__study_feasible(t, row, &scratch);
    }
    hpt__arena_fini(&scratch);
    o->t.number = number;
    o->t.state = state;
    o->t.values = values;
    o->t.params = params;
    o->t.start = start;
    o->t.end = end;
    o->t.last_step = step;
    o->t.last_value = last;
    o->t.n_reports = n_reports;
    o->t.feasible = feasible;
    return 0;
}

// The attribute's text of every row. seen: texts of this attribute, the value is the address of the copy.
static int copy_attr(const char *const **out, owned_table *o, const hpt__trials *t, const char *key) {
    int rc = 0;
    bool failed = false;
    hpt__map seen;
    hpt__str full = HPT__STR_INIT;
    hpt__map_init(&seen);
    const char **column = take(o, &failed, t->n, sizeof *column);
    HPT_FAIL_IF(failed, HPT_E_MEMORY, "out of memory");
    // The engine's own keys are system attributes, everything else belongs to the user.
    hpt__str_addf(&full, "%s%s", strncmp(key, "hpt:", 4) == 0 ? "s:" : "u:", key);
    HPT_TRY(hpt__str_status(&full));
    for (int64_t row = 0; row < t->n; row++) {
        const char *json = hpt__trials_attr(t, row, hpt__str_text(&full));
        int64_t at;
        column[row] = NULL;
        if (!json) continue;
        const size_t len = strlen(json);
        if (!hpt__map_get(&at, &seen, json, len)) {
            const char *copy = hpt__arena_strndup(&o->arena, json, len);
            HPT_FAIL_IF(!copy, HPT_E_MEMORY, "out of memory");
            at = (int64_t)(intptr_t)copy;
            HPT_TRY(hpt__map_set(&seen, json, len, at));
        }
        column[row] = (const char *)(intptr_t)at;
    }
    *out = column;
    rc = 0;
out:
    hpt__map_fini(&seen);
    hpt__str_fini(&full);
    return rc;
}

int hpt_study_table(hpt_table **out, hpt_study *study, const char *const *keys, int64_t n_keys) {
    int rc = 0;
    bool failed = false;
    if (!out || !study || n_keys < 0 || (n_keys > 0 && !keys))
        return hpt__fail(HPT_E_ARG, "hpt_study_table: an argument is NULL or n_keys is negative");
    owned_table *o = hpt__calloc(1, sizeof *o);
    if (!o) return hpt__fail_memory();
    hpt__arena_init(&o->arena);
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study));
    o->t.n = study->table.n;
    o->t.d = study->space->d;
    o->t.k = study->k;
    o->t.n_attrs = n_keys;
    HPT_TRY(copy_space(o, study->space));
    HPT_TRY(copy_metric_names(o, study));
    HPT_TRY(copy_numbers(o, &study->table));
    const char *const **attrs = take(o, &failed, n_keys, sizeof *attrs);
    HPT_FAIL_IF(failed, HPT_E_MEMORY, "out of memory");
    for (int64_t a = 0; a < n_keys; a++) {
        HPT_FAIL_IF(!keys[a], HPT_E_ARG, "hpt_study_table: keys[%lld] is NULL", (long long)a);
        HPT_TRY(copy_attr(&attrs[a], o, &study->table, keys[a]));
    }
    o->t.attrs = attrs;
    *out = &o->t;
    o = NULL;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    hpt_table_destroy(o ? &o->t : NULL);
    return rc;
}
