// SPDX-License-Identifier: Apache-2.0
// trial_view.c: what a program shows of a trial beside its parameters: attributes, times, the latest report. These are
// read from the table under the study's lock, so they are as new as the study's last sync.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_state.h"

#include <math.h>
#include <string.h>

int hpt_trial_get_attr(const char **out, hpt_trial *trial, const char *key) {
    int rc = 0;
    hpt__str full = HPT__STR_INIT;
    if (!out || !trial || !key) return hpt__fail(HPT_E_ARG, "hpt_trial_get_attr: an argument is NULL");
    hpt_study *study = trial->study;
    // The engine's own keys are system attributes, everything else belongs to the user.
    hpt__str_addf(&full, "%s%s", strncmp(key, "hpt:", 4) == 0 ? "s:" : "u:", key);
    rc = hpt__str_status(&full);
    if (rc < 0) goto out;
    pthread_mutex_lock(&study->lock);
    const int64_t row = hpt__trials_row_of(&study->table, trial->number);
    const char *json = row < 0 ? NULL : hpt__trials_attr(&study->table, row, hpt__str_text(&full));
    char *copy = json ? hpt__strdup(json) : NULL;
    pthread_mutex_unlock(&study->lock);
    if (json && !copy) {
        rc = hpt__fail_memory();
        goto out;
    }
    hpt__free(trial->attr_json);
    trial->attr_json = copy;
    *out = copy;
out:
    hpt__str_fini(&full);
    return rc;
}

static double seconds(int64_t us) {
    return us == INT64_MIN ? NAN : (double)us * 1e-6;
}

int hpt_trial_times(double *start, double *end, const hpt_trial *trial) {
    if (!start || !end || !trial) return hpt__fail(HPT_E_ARG, "hpt_trial_times: an argument is NULL");
    hpt_study *study = trial->study;
    pthread_mutex_lock(&study->lock);
    const int64_t row = hpt__trials_row_of(&study->table, trial->number);
    *start = row < 0 ? NAN : seconds(study->table.info[row].start_us);
    *end = row < 0 ? NAN : seconds(study->table.info[row].complete_us);
    pthread_mutex_unlock(&study->lock);
    return HPT_OK;
}

int hpt_trial_last_report(int64_t *step, double *value, hpt_trial *trial) {
    if (!step || !value || !trial) return hpt__fail(HPT_E_ARG, "hpt_trial_last_report: an argument is NULL");
    hpt_study *study = trial->study;
    *step = -1;
    *value = NAN;
    pthread_mutex_lock(&study->lock);
    const int64_t row = hpt__trials_row_of(&study->table, trial->number);
    if (row >= 0) *value = hpt__trials_last_report(&study->table, row, step);
    pthread_mutex_unlock(&study->lock);
    return HPT_OK;
}
