// SPDX-License-Identifier: Apache-2.0
// storage_table.c: what every storage does with the table it fills: rows added, foreign trials recognised.
//
// A trial is foreign when a parameter lies outside the space, is missing or is one too many: Optuna lets ranges change
// from trial to trial, and lets a trial go on choosing parameters while it runs.
// Threads: as the table. Cost: O(d) a row.
#include "storage_table.h"
#include "../base/error.h"

#include <math.h>

void hpt__storage_judge(hpt__trials *t, int64_t row, const double *point, bool strange) {
    bool foreign = strange || (point ? !hpt__space_check(t->space, point, NULL) : t->d > 0);
    for (int64_t c = t->d; c < t->n_columns && !foreign; c++) foreign = !isnan(t->columns[c].values[row]);
    foreign = foreign && t->state[row] != HPT_TRIAL_WAITING;
    if (t->info[row].foreign != foreign) hpt__trials_touch(t, row);
    t->info[row].foreign = foreign;
}

int hpt__storage_fits(bool *out, const hpt__param *p, const char *dist_json) {
    hpt_space *scratch = NULL;
    *out = false;
    int rc = hpt_space_create(&scratch);
    if (rc < 0) return rc;
    rc = hpt__space_add_distribution(scratch, p->name, dist_json);
    if (rc >= 0 && scratch->params[0].kind == p->kind)
        *out = p->kind != HPT__PARAM_CATEGORICAL || hpt__param_same_distribution(&scratch->params[0], p);
    hpt_space_destroy(scratch);
    return rc == HPT_E_MEMORY ? rc : HPT_OK;
}

int hpt__storage_add_row(hpt__trials *t, const hpt__new_trial *trial) {
    int rc = HPT_OK;
    int64_t row;
    HPT_TRY(hpt__trials_add(&row, t, trial->number, trial->trial_id, trial->state));
    if (trial->point) hpt__trials_set_point(t, row, trial->point);
    t->info[row].start_us = trial->start_us;
    for (int64_t i = 0; i < trial->n_attrs; i++)
        HPT_TRY(hpt__trials_set_attr(t, row, trial->attr_keys[i], trial->attr_values[i]));
    if (trial->state != HPT_TRIAL_RUNNING && trial->state != HPT_TRIAL_WAITING)
        hpt__trials_finish(t, row, trial->state, trial->values, trial->complete_us);
    hpt__storage_judge(t, row, trial->point, false);
out:
    return rc;
}
