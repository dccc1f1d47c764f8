// SPDX-License-Identifier: Apache-2.0
// trial.c: the handle of one trial: reading its parameters, reporting, attributes.
//
// A handle is one allocation: the struct, d internal values of the point and k objective values behind it.
// Parameters never change once asked, so getters read the copy and need no lock; texts (JSON, numbers as
// strings) are made on first use and kept until the handle goes.
//
// A categorical parameter, or a constant, whose choice is a number reads as that number too: sweeps write
// {"values": [16, 32, 64]} and their codes want an integer.
//
// Ownership: the caller owns the handle; the study must outlive it. Threads: one at a time per handle; report,
// should_prune and set_attr take the study's lock. Cost: a getter is one hash lookup.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "study_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX_BYTES = 510 }; // Optuna's column holds 512; room for our "u:"

hpt_trial *hpt__trial_new(hpt_study *study) {
    const size_t n = (size_t)(study->space->d + study->k);
    hpt_trial *trial = hpt__malloc(sizeof *trial + n * sizeof(double));
    if (!trial) return NULL;
    *trial = (hpt_trial){.study = study, .number = -1, .trial_id = -1, .state = HPT_TRIAL_RUNNING};
    for (size_t i = 0; i < n; i++) trial->data[i] = NAN;
    return trial;
}

void hpt__trial_load(hpt_trial *trial, int64_t row) {
    const hpt_study *study = trial->study;
    const hpt__trials *t = &study->table;
    trial->number = t->number[row];
    trial->trial_id = t->info[row].trial_id;
    trial->state = (hpt_trial_state)t->state[row];
    hpt__trials_get_point(trial->data, t, row);
    // All values or none are set; a failed or running trial has NaN.
    const double *values = t->values + row * study->k;
    trial->n_values = 0;
    if (isnan(values[0])) return;
    memcpy(hpt__trial_values_of(trial), values, (size_t)study->k * sizeof(double));
    trial->n_values = study->k;
}

void hpt_trial_destroy(hpt_trial *trial) {
    if (!trial) return;
    if (trial->texts) {
        for (int64_t i = 0; i < trial->study->space->d; i++) hpt__free(trial->texts[i]);
        hpt__free(trial->texts);
    }
    hpt__free(trial->params_json);
    hpt__free(trial->attr_json);
    hpt__free(trial);
}

int64_t hpt_trial_number(const hpt_trial *trial) {
    return trial ? trial->number : -1;
}

hpt_trial_state hpt_trial_get_state(const hpt_trial *trial) {
    return trial ? trial->state : HPT_TRIAL_FAIL;
}

const double *hpt__trial_point(const hpt_trial *trial) {
    return trial->data;
}

// ---- parameters ----------------------------------------------------------------------------------------------

int hpt__study_unknown_param(const hpt_study *study, const char *name) {
    const hpt_space *space = study->space;
    const char *near = NULL;
    const char **names = hpt__malloc((size_t)(space->d + 1) * sizeof *names);
    if (names) {
        for (int64_t i = 0; i < space->d; i++) names[i] = space->params[i].name;
        near = hpt__nearest(name, names, space->d);
        hpt__free(names);
    }
    if (near)
        return hpt__fail(HPT_E_NOT_FOUND, "study '%s' has no parameter '%s'; did you mean '%s'?", study->name, name,
                         near);
    return hpt__fail(HPT_E_NOT_FOUND, "study '%s' has no parameter '%s'", study->name, name);
}

static int find(int64_t *i, const hpt_trial *trial, const char *name) {
    if (!trial || !name) return hpt__fail(HPT_E_ARG, "reading a parameter: the trial or the name is NULL");
    *i = hpt__space_find(trial->study->space, name);
    if (*i < 0) return hpt__study_unknown_param(trial->study, name);
    const hpt__param *p = &trial->study->space->params[*i];
    const double v = trial->data[*i];
    if (isnan(v)) {
        return hpt__fail(HPT_E_STATE,
                         "trial %lld has no parameter '%s': its condition does not hold; ask hpt_trial_has first",
                         (long long)trial->number, name);
    }
    if (p->kind == HPT__PARAM_CATEGORICAL && !(v >= 0 && v < (double)p->n_choices)) { // another program's trial
        return hpt__fail(HPT_E_INCOMPATIBLE, "trial %lld holds a choice of '%s' that the space lacks",
                         (long long)trial->number, name);
    }
    return 0;
}

bool hpt_trial_has(const hpt_trial *trial, const char *name) {
    if (!trial || !name) return false;
    int64_t i = hpt__space_find(trial->study->space, name);
    return i >= 0 && !isnan(trial->data[i]);
}

int hpt_trial_get_float(double *out, const hpt_trial *trial, const char *name) {
    int64_t i = 0;
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_trial_get_float: out is NULL");
    int rc = find(&i, trial, name);
    if (rc < 0) return rc;
    const hpt__param *p = &trial->study->space->params[i];
    double v = trial->data[i];
    if (p->kind == HPT__PARAM_CATEGORICAL && !hpt__json_number(&v, p->choices[(int64_t)trial->data[i]])) {
        return hpt__fail(HPT_E_ARG,
                         "parameter '%s' is '%s', not a number; read it with hpt_trial_get_string or _get_category",
                         name, p->choice_text[(int64_t)trial->data[i]]);
    }
    *out = v;
    return 0;
}

int hpt_trial_get_int(int64_t *out, const hpt_trial *trial, const char *name) {
    int64_t i = 0, v = 0;
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_trial_get_int: out is NULL");
    int rc = find(&i, trial, name);
    if (rc < 0) return rc;
    const hpt__param *p = &trial->study->space->params[i];
    switch (p->kind) {
    case HPT__PARAM_INT:
        v = (int64_t)trial->data[i];
        break; // |v| <= 2^53: exact
    case HPT__PARAM_CATEGORICAL:
        if (hpt__json_integer(&v, p->choices[(int64_t)trial->data[i]])) break;
        return hpt__fail(HPT_E_ARG,
                         "parameter '%s' is '%s', not an integer; read it with hpt_trial_get_string or _get_category",
                         name, p->choice_text[(int64_t)trial->data[i]]);
    case HPT__PARAM_FLOAT:
    default:
        return hpt__fail(HPT_E_ARG, "parameter '%s' is a real number; read it with hpt_trial_get_float", name);
    }
    *out = v;
    return 0;
}

int hpt_trial_get_category(int64_t *out, const hpt_trial *trial, const char *name) {
    int64_t i = 0;
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_trial_get_category: out is NULL");
    int rc = find(&i, trial, name);
    if (rc < 0) return rc;
    if (trial->study->space->params[i].kind != HPT__PARAM_CATEGORICAL) {
        return hpt__fail(HPT_E_ARG, "parameter '%s' is a number, not a choice; read it with hpt_trial_get_float", name);
    }
    *out = (int64_t)trial->data[i];
    return 0;
}

int hpt_trial_get_string(const char **out, hpt_trial *trial, const char *name) {
    int64_t i = 0;
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_trial_get_string: out is NULL");
    int rc = find(&i, trial, name);
    if (rc < 0) return rc;
    const hpt_space *space = trial->study->space;
    const hpt__param *p = &space->params[i];
    if (p->kind == HPT__PARAM_CATEGORICAL) {
        *out = p->choice_text[(int64_t)trial->data[i]];
        return 0;
    }
    if (!trial->texts) {
        trial->texts = hpt__calloc((size_t)space->d, sizeof *trial->texts);
        if (!trial->texts) return hpt__fail_memory();
    }
    if (!trial->texts[i]) {
        hpt__str text = HPT__STR_INIT;
        hpt__param_external(&text, p, trial->data[i]);
        trial->texts[i] = hpt__str_take(&text);
        hpt__str_fini(&text);
        if (!trial->texts[i]) return hpt__fail_memory();
    }
    *out = trial->texts[i];
    return 0;
}

int hpt_trial_params_json(const char **out, hpt_trial *trial) {
    if (!out || !trial) return hpt__fail(HPT_E_ARG, "hpt_trial_params_json: an argument is NULL");
    if (!trial->params_json) {
        hpt__str text = HPT__STR_INIT;
        hpt__space_point_json(&text, trial->study->space, trial->data, false);
        trial->params_json = hpt__str_take(&text);
        hpt__str_fini(&text);
        if (!trial->params_json) return hpt__fail_memory();
    }
    *out = trial->params_json;
    return 0;
}

int hpt_trial_values(const double **out, int64_t *n_values, hpt_trial *trial) {
    if (!out || !n_values || !trial) return hpt__fail(HPT_E_ARG, "hpt_trial_values: an argument is NULL");
    *out = hpt__trial_values_of(trial);
    *n_values = trial->n_values;
    return 0;
}

// ---- while it runs -------------------------------------------------------------------------------------------

static int not_running(const hpt_trial *trial, hpt_trial_state state) {
    return hpt__fail(HPT_E_STATE, "trial %lld is not running (%s)", (long long)trial->number,
                     hpt_trial_state_to_string(state));
}

int hpt_trial_report(hpt_trial *trial, int64_t step, double value) {
    int rc = 0;
    int64_t row;
    if (!trial) return hpt__fail(HPT_E_ARG, "hpt_trial_report: trial is NULL");
    if (step < 0)
        return hpt__fail(HPT_E_ARG, "trial %lld: step %lld is negative", (long long)trial->number, (long long)step);
    hpt_study *study = trial->study;
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "reported to"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    const hpt_trial_state state = (hpt_trial_state)study->table.state[row];
    if (state != HPT_TRIAL_RUNNING) {
        trial->state = state;
        rc = not_running(trial, state);
        goto out;
    }
    const hpt__report_item item = {trial->trial_id, step, value};
    const double t0 = hpt__now_mono();
    rc = study->storage->ops->report(study->storage, &item, 1);
    study->times.storage += hpt__now_mono() - t0;
    if (rc < 0) goto out;
    HPT_TRY(hpt__trials_report(&study->table, row, step, value));
    study->n_reports++;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

// What the pruner wants remembered, as attributes of the trial, in one transaction. Lock held.
static int store_notes(hpt_study *study, int64_t row, const hpt__pruner_notes *notes) {
    int rc = 0;
    char keys[HPT__PRUNER_NOTES_MAX][sizeof notes->items[0].key + 2];
    size_t at[HPT__PRUNER_NOTES_MAX];
    hpt__attr_item attrs[HPT__PRUNER_NOTES_MAX];
    hpt__str texts = HPT__STR_INIT; // may move while it grows: pointers come after
    HPT_TRY(hpt__study_writable(study, "changed"));
    for (int64_t i = 0; i < notes->n; i++) {
        snprintf(keys[i], sizeof keys[i], "s:%s", notes->items[i].key);
        at[i] = texts.len;
        hpt__study_add_number(&texts, notes->items[i].value);
        hpt__str_addc(&texts, '\0');
    }
    HPT_TRY(hpt__str_status(&texts));
    for (int64_t i = 0; i < notes->n; i++) attrs[i] = (hpt__attr_item){keys[i], hpt__str_text(&texts) + at[i]};
    HPT_TRY(hpt__study_attrs_locked(study, row, attrs, notes->n));
    rc = 0;
out:
    hpt__str_fini(&texts);
    return rc;
}

int hpt_trial_should_prune(bool *out, hpt_trial *trial) {
    int rc = 0;
    int64_t row;
    hpt__pruner_notes notes = {.n = 0};
    if (!out || !trial) return hpt__fail(HPT_E_ARG, "hpt_trial_should_prune: an argument is NULL");
    hpt_study *study = trial->study;
    // Several objectives have no order to prune by; the pruner `nop` needs no look at the trials.
    if (study->k != 1 || !study->pruner || study->pruner == &hpt__pruner_nop_ops) {
        *out = false;
        return 0;
    }
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_sync(study)); // other processes' results count
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    const bool prune = study->table.state[row] == HPT_TRIAL_RUNNING &&
                       study->pruner->should_prune(study->pruner_state, &study->table, row, &notes);
    if (notes.n > 0) HPT_TRY(store_notes(study, row, &notes)); // first: other trials are judged by them
    *out = prune;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt_trial_set_attr(hpt_trial *trial, const char *key, const char *json) {
    int rc = 0;
    int64_t row;
    hpt__arena arena;
    hpt__json *value = NULL;
    hpt__str text = HPT__STR_INIT, full_key = HPT__STR_INIT;
    if (!trial || !key || !json) return hpt__fail(HPT_E_ARG, "hpt_trial_set_attr: an argument is NULL");
    hpt__arena_init(&arena);
    hpt_study *study = trial->study;
    pthread_mutex_lock(&study->lock);
    HPT_FAIL_IF(!*key || strlen(key) > KEY_MAX_BYTES, HPT_E_ARG, "an attribute's key has 1 to %d bytes", KEY_MAX_BYTES);
    rc = hpt__json_parse(&value, &arena, json, strlen(json));
    if (rc < 0) {
        rc = hpt__fail_prefix(rc == HPT_E_PARSE ? HPT_E_ARG : rc, "trial %lld, attribute '%s'",
                              (long long)trial->number, key);
        goto out;
    }
    HPT_TRY(hpt__study_writable(study, "changed"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    const hpt_trial_state state = (hpt_trial_state)study->table.state[row];
    if (state != HPT_TRIAL_RUNNING && state != HPT_TRIAL_WAITING) { // finished trials are immutable for Optuna too
        rc = not_running(trial, state);
        goto out;
    }
    hpt__str_add(&full_key, "u:");
    hpt__str_add(&full_key, key);
    hpt__json_dumps(&text, value);
    HPT_TRY(hpt__str_status(&full_key));
    HPT_TRY(hpt__str_status(&text));
    const hpt__attr_item attr = {hpt__str_text(&full_key), hpt__str_text(&text)};
    HPT_TRY(hpt__study_attrs_locked(study, row, &attr, 1));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    hpt__str_fini(&full_key);
    hpt__str_fini(&text);
    hpt__arena_fini(&arena);
    return rc;
}
