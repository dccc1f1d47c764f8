// SPDX-License-Identifier: Apache-2.0
// study_tell.c: what comes back from trials: results, many reports at once, attributes.
//
// The rules of a tell are Optuna's (optuna/study/_tell.py): COMPLETE needs a number per objective and infinities
// count as numbers; a NaN makes the trial FAIL; PRUNED without value keeps the last report unless that is NaN;
// FAIL has no value. A finished trial never changes again.
//
// Storage first, then the table (study_state.h). When the storage says that another process finished the trial,
// a sync brings the table up to date before the message is made, so that it names the right state.
//
// Threads: the study's lock. Cost: one transaction; in memory, a few stores.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "study_state.h"

#include <math.h>
#include <string.h>

int hpt__study_row(int64_t *row, hpt_study *study, int64_t number) {
    *row = hpt__trials_row_of(&study->table, number);
    if (*row < 0) {
        int rc = hpt__study_sync(study);
        if (rc < 0) return rc;
        *row = hpt__trials_row_of(&study->table, number);
    }
    if (*row >= 0) return 0;
    return hpt__fail(HPT_E_NOT_FOUND, "study '%s' has no trial %lld; it has %lld trial%s", study->name,
                     (long long)number, (long long)study->table.n, study->table.n == 1 ? "" : "s");
}

int hpt__study_attrs_locked(hpt_study *study, int64_t row, const hpt__attr_item *attrs, int64_t n_attrs) {
    const double t0 = hpt__now_mono();
    int rc = study->storage->ops->trial_attr_set(study->storage, study->table.info[row].trial_id, attrs, n_attrs);
    study->times.storage += hpt__now_mono() - t0;
    for (int64_t i = 0; rc >= 0 && i < n_attrs; i++) {
        rc = hpt__trials_set_attr(&study->table, row, attrs[i].key, attrs[i].value_json);
    }
    return rc;
}

static int finished_already(int64_t number, hpt_trial_state state) {
    if (state == HPT_TRIAL_WAITING) {
        return hpt__fail(HPT_E_STATE, "trial %lld still waits in the queue; ask for it before telling it",
                         (long long)number);
    }
    return hpt__fail(HPT_E_STATE, "trial %lld is finished already (%s)", (long long)number,
                     hpt_trial_state_to_string(state));
}

// Checks what the caller told and decides what is stored: *state may become FAIL, *values NULL or kept[0].
static int settle_result(hpt_trial_state *state, const double **values, int64_t n_values, double *kept,
                         const hpt_study *study, int64_t row, int64_t number) {
    if (n_values > 0 && !*values) return hpt__fail(HPT_E_ARG, "trial %lld: values is NULL", (long long)number);
    switch (*state) {
    case HPT_TRIAL_COMPLETE:
        if (n_values != study->k) {
            return hpt__fail(HPT_E_ARG, "trial %lld: %lld value%s told, the study has %lld objective%s",
                             (long long)number, (long long)n_values, n_values == 1 ? "" : "s", (long long)study->k,
                             study->k == 1 ? "" : "s");
        }
        for (int64_t i = 0; i < n_values; i++) {
            if (!isnan((*values)[i])) continue;
            *state = HPT_TRIAL_FAIL;
            *values = NULL;
            return HPT_S_NOTHING;
        }
        return 0;
    case HPT_TRIAL_PRUNED:
        if (n_values != 0 && n_values != study->k) {
            return hpt__fail(HPT_E_ARG, "trial %lld: a pruned trial is told with no value or %lld", (long long)number,
                             (long long)study->k);
        }
        for (int64_t i = 0; i < n_values; i++) {
            if (isnan((*values)[i])) n_values = 0;
        }
        if (n_values > 0) return 0;
        *values = NULL;
        if (study->k == 1) {
            int64_t step;
            *kept = hpt__trials_last_report(&study->table, row, &step);
            if (!isnan(*kept)) *values = kept;
        }
        return 0;
    case HPT_TRIAL_FAIL:
        if (n_values != 0) return hpt__fail(HPT_E_ARG, "trial %lld: a failed trial has no values", (long long)number);
        *values = NULL;
        return 0;
    case HPT_TRIAL_RUNNING:
    case HPT_TRIAL_WAITING:
    default:
        return hpt__fail(HPT_E_ARG, "trial %lld: a trial is told COMPLETE, PRUNED or FAIL, not %s", (long long)number,
                         hpt_trial_state_to_string(*state));
    }
}

static int tell_locked(hpt_study *study, hpt_trial *trial, hpt_trial_state state, const double *values,
                       int64_t n_values, const hpt__attr_item *attrs, int64_t n_attrs) {
    int rc = 0, remark = 0;
    int64_t row;
    double kept = NAN;
    HPT_TRY(hpt__study_writable(study, "told"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    if (study->table.state[row] != HPT_TRIAL_RUNNING) {
        trial->state = (hpt_trial_state)study->table.state[row];
        rc = finished_already(trial->number, trial->state);
        goto out;
    }
    // The last report may be another process's.
    if (state == HPT_TRIAL_PRUNED && n_values == 0) HPT_TRY(hpt__study_sync(study));
    HPT_TRY(settle_result(&state, &values, n_values, &kept, study, row, trial->number));
    remark = rc;

    // A date that was set back meanwhile must not give a negative duration.
    const int64_t date = hpt__now_utc_us(), start = study->table.info[row].start_us;
    const int64_t now = date > start ? date : start;
    const double t0 = hpt__now_mono();
    rc = study->storage->ops->tell(study->storage, trial->trial_id, state, values, values ? study->k : 0, now, attrs,
                                   n_attrs);
    study->times.storage += hpt__now_mono() - t0;
    if (rc == HPT_E_STATE) { // another process was quicker
        HPT_TRY(hpt__study_sync(study));
        trial->state = (hpt_trial_state)study->table.state[row];
        rc = finished_already(trial->number, trial->state);
        goto out;
    }
    if (rc < 0) goto out;
    hpt__trials_finish(&study->table, row, state, values, now);
    study->n_tells++;
    trial->state = state;
    trial->n_values = values ? study->k : 0;
    if (values) memcpy(hpt__trial_values_of(trial), values, (size_t)study->k * sizeof(double));
    for (int64_t i = 0; i < n_attrs; i++) {
        HPT_TRY(hpt__trials_set_attr(&study->table, row, attrs[i].key, attrs[i].value_json));
    }
    rc = remark;
out:
    return rc;
}

int hpt__study_tell_attrs(hpt_study *study, hpt_trial *trial, hpt_trial_state state, const double *values,
                          int64_t n_values, const hpt__attr_item *attrs, int64_t n_attrs) {
    if (!study || !trial) return hpt__fail(HPT_E_ARG, "hpt_study_tell: an argument is NULL");
    if (trial->study != study) {
        return hpt__fail(HPT_E_ARG, "trial %lld belongs to another study ('%s')", (long long)trial->number,
                         trial->study->name);
    }
    pthread_mutex_lock(&study->lock);
    int rc = tell_locked(study, trial, state, values, n_values, attrs, n_attrs);
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt_study_tell(hpt_study *study, hpt_trial *trial, hpt_trial_state state, const double *values, int64_t n_values) {
    return hpt__study_tell_attrs(study, trial, state, values, n_values, NULL, 0);
}

int hpt__study_report_many(hpt_study *study, const hpt__study_report *items, int64_t n) {
    int rc = 0;
    int64_t m = 0;
    hpt__report_item *stored = NULL;
    if (n <= 0) return 0;
    stored = hpt__malloc((size_t)n * sizeof *stored);
    if (!stored) return hpt__fail_memory();
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "reported to"));
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = hpt__trials_row_of(&study->table, items[i].number);
        if (row < 0 || study->table.state[row] != HPT_TRIAL_RUNNING || items[i].step < 0) continue;
        stored[m++] = (hpt__report_item){study->table.info[row].trial_id, items[i].step, items[i].value};
    }
    if (m > 0) {
        const double t0 = hpt__now_mono();
        rc = study->storage->ops->report(study->storage, stored, m);
        study->times.storage += hpt__now_mono() - t0;
        if (rc < 0) goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = hpt__trials_row_of(&study->table, items[i].number);
        if (row < 0 || study->table.state[row] != HPT_TRIAL_RUNNING || items[i].step < 0) continue;
        HPT_TRY(hpt__trials_report(&study->table, row, items[i].step, items[i].value));
        study->n_reports++;
    }
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    hpt__free(stored);
    return rc;
}

// ---- attributes ----------------------------------------------------------------------------------------------

int hpt__study_trial_attrs(hpt_study *study, hpt_trial *trial, const hpt__attr_item *attrs, int64_t n_attrs) {
    int rc = 0;
    int64_t row;
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "changed"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    HPT_TRY(hpt__study_attrs_locked(study, row, attrs, n_attrs));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt__study_trial_attr(char **out, hpt_study *study, int64_t number, const char *key) {
    int rc = 0;
    int64_t row;
    char *copy = NULL;
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_row(&row, study, number));
    const char *text = hpt__trials_attr(&study->table, row, key);
    if (text) {
        copy = hpt__strdup(text);
        if (!copy) {
            rc = hpt__fail_memory();
            goto out;
        }
    }
    *out = copy;
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt__study_attr_get(char **out, hpt_study *study, const char *key) {
    pthread_mutex_lock(&study->lock);
    int rc = study->storage->ops->study_attr_get(out, study->storage, study->study_id, key);
    pthread_mutex_unlock(&study->lock);
    return rc;
}

int hpt__study_attr_set(hpt_study *study, const char *key, const char *json) {
    int rc = 0;
    const hpt__attr_item attr = {key, json};
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "changed"));
    HPT_TRY(study->storage->ops->study_attr_set(study->storage, study->study_id, &attr, 1));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}
