// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_trial.c: trials written: created in batches, claimed from the queue, reported, told.
//
// Numbers. Optuna has no unique constraint on (study, number); what keeps numbers distinct is that they are given out
// under the database's write lock, after the table has caught up: next = largest number + 1. Two writers that counted
// without the lock would overwrite each other's trials (measured on Optuna: 164 of 900 lost).
//
// The rows enter the table before the commit and are taken back if it fails: once the commit is through nothing can
// fail any more, so table and database cannot part.
//
// Infinite values are NULL and a word (INF_POS, INF_NEG), reports also NAN; times are UTC with six digits of fraction.
// Threads: as the handle. Cost: one transaction each; with 5 parameters some 50 us (WAL, synchronous=NORMAL).
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <math.h>
#include <string.h>

static bool finished(hpt_trial_state state) {
    return state != HPT_TRIAL_RUNNING && state != HPT_TRIAL_WAITING;
}

// ---- pieces of a trial

// Parameters of `point` that `stored` (NULL: none) lacks.
static int insert_params(hpt__sqlite *s, hpt__sql id, int64_t trial_id, const hpt_space *space, const double *point,
                         const double *stored) {
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (isnan(point[i]) || (stored && !isnan(stored[i]))) continue;
        const int rc = hpt__sqlite_exec(s, id, "isds", trial_id, p->name, point[i], p->dist_json);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int insert_values(hpt__sqlite *s, int64_t trial_id, const double *values, int64_t k) {
    for (int64_t i = 0; values && i < k; i++) {
        if (isnan(values[i]))
            return hpt__fail(HPT_E_ARG,
                             "value %lld of a trial is NaN, which a database of Optuna's "
                             "schema cannot hold; tell the trial as failed",
                             (long long)i);
        const double v = isinf(values[i]) ? NAN : values[i];
        const int rc =
            hpt__sqlite_exec(s, HPT__SQL_VALUE_SET, "iids", trial_id, i, v, hpt__sqlite_value_type(values[i]));
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int insert_trial(hpt__sqlite *s, int64_t study_id, const hpt__trials *table, hpt__new_trial *trial) {
    int rc = HPT_OK;
    HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_TRIAL_INSERT, "iistt", trial->number, study_id,
                             hpt_trial_state_to_string(trial->state), trial->start_us, trial->complete_us));
    trial->trial_id = sqlite3_last_insert_rowid(s->db);
    if (trial->point)
        HPT_TRY(insert_params(s, HPT__SQL_PARAM_INSERT, trial->trial_id, table->space, trial->point, NULL));
    if (finished(trial->state)) HPT_TRY(insert_values(s, trial->trial_id, trial->values, table->k));
    for (int64_t i = 0; i < trial->n_attrs; i++) {
        const hpt__attr_item attr = {trial->attr_keys[i], trial->attr_values[i]};
        HPT_TRY(
            hpt__sqlite_set_attrs(s, HPT__SQL_TRIAL_USER_SET, HPT__SQL_TRIAL_SYSTEM_SET, trial->trial_id, &attr, 1));
    }
out:
    return rc;
}

// ---- create

int hpt__sqlite_create_trials(hpt__storage *storage, int64_t study_id, hpt__trials *table, hpt__new_trial *batch,
                              int64_t q, hpt__fill_fn fill, void *payload) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    hpt__sqlite_view *view = NULL;
    int64_t n_before = table->n;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    HPT_TRY(hpt__sqlite_view_of(&view, s, study_id, table));
    HPT_TRY(hpt__sqlite_catch_up(s, view, table));
    n_before = table->n;
    rc = fill(batch, &q, view->next_number, payload);
    if (rc != 0) goto out;
    HPT_TRY(hpt__grow(&view->open_rows, &view->cap_open, view->n_open + q, sizeof *view->open_rows));
    for (int64_t i = 0; i < q; i++) {
        batch[i].number = view->next_number + i;
        HPT_TRY(insert_trial(s, study_id, table, &batch[i]));
        HPT_TRY(hpt__storage_add_row(table, &batch[i]));
    }
    rc = HPT_OK;
out:
    if (rc != 0) {
        hpt__sqlite_rollback(s);
        hpt__trials_truncate(table, n_before);
        return rc;
    }
    rc = hpt__sqlite_end(s, rc);
    if (rc < 0) {
        hpt__trials_truncate(table, n_before);
        return rc;
    }
    for (int64_t i = 0; i < q; i++) {
        if (!finished(batch[i].state)) view->open_rows[view->n_open++] = n_before + i;
        view->last_trial_id = batch[i].trial_id;
    }
    view->next_number += q;
    view->n_rows = table->n;
    return HPT_OK;
}

// ---- claim

static int64_t oldest_waiting(const hpt__sqlite_view *view, const hpt__trials *table) {
    for (int64_t i = 0; i < view->n_open; i++)
        if (table->state[view->open_rows[i]] == HPT_TRIAL_WAITING) return view->open_rows[i];
    return -1;
}

// Inside the transaction. *row = -1: none waits.
static int claim(int64_t *row, double *point, double *stored, hpt__sqlite *s, int64_t study_id, hpt__trials *table,
                 int64_t now, int (*fill)(double *point, int64_t row, void *payload), void *payload) {
    hpt__sqlite_view *view;
    int rc = hpt__sqlite_view_of(&view, s, study_id, table);
    if (rc < 0) return rc;
    rc = hpt__sqlite_catch_up(s, view, table);
    if (rc < 0) return rc;
    *row = oldest_waiting(view, table);
    if (*row < 0) return HPT_S_NOTHING;
    const int64_t trial_id = table->info[*row].trial_id;
    hpt__trials_get_point(point, table, *row);
    memcpy(stored, point, (size_t)table->d * sizeof *stored);
    rc = fill(point, *row, payload);
    if (rc != 0) return rc;
    rc = hpt__sqlite_exec(s, HPT__SQL_TRIAL_CLAIM, "it", trial_id, now);
    if (rc < 0) return rc;
    if (sqlite3_changes(s->db) != 1) // under the lock and caught up: only another table of this handle can have done it
        return hpt__fail(HPT_E_STATE, "database '%s': trial %lld is not waiting any more; ask again", s->path,
                         (long long)table->number[*row]);
    return insert_params(s, HPT__SQL_PARAM_SET, trial_id, table->space, point, stored);
}

int hpt__sqlite_claim_waiting(int64_t *row, hpt__storage *storage, int64_t study_id, hpt__trials *table,
                              int (*fill)(double *point, int64_t row, void *payload), void *payload) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    const int64_t now = hpt__now_utc_us();
    int64_t claimed = -1;
    *row = -1;
    int rc = hpt__sqlite_sync(storage, study_id, table); // without the write lock, as mostly nothing waits
    if (rc < 0) return rc;
    if (table->counts[HPT_TRIAL_WAITING] == 0) return HPT_S_NOTHING;
    double *point = hpt__malloc((size_t)table->d * 2 * sizeof *point);
    if (!point) return hpt__fail_memory();
    rc = hpt__sqlite_begin(s);
    if (rc < 0) goto out;
    rc = claim(&claimed, point, point + table->d, s, study_id, table, now, fill, payload);
    if (rc != 0) {
        hpt__sqlite_rollback(s);
        goto out;
    }
    rc = hpt__sqlite_end(s, rc);
    if (rc < 0) goto out;
    hpt__trials_set_point(table, claimed, point);
    hpt__trials_set_state(table, claimed, HPT_TRIAL_RUNNING);
    table->info[claimed].start_us = now;
    hpt__storage_judge(table, claimed, point, false);
    *row = claimed;
out:
    hpt__free(point);
    return rc;
}

int hpt__sqlite_unclaim(hpt__storage *storage, int64_t trial_id) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_TRIAL_UNCLAIM, "i", trial_id));
    if (sqlite3_changes(s->db) != 1)
        rc = hpt__fail(HPT_E_STATE, "the trial with id %lld does not run", (long long)trial_id);
out:
    return hpt__sqlite_end(s, rc);
}

// ---- report, attributes, tell

int hpt__sqlite_report(hpt__storage *storage, const hpt__report_item *items, int64_t n) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < n && rc >= 0; i++) {
        const double v = isinf(items[i].value) ? NAN : items[i].value;
        rc = hpt__sqlite_exec(s, HPT__SQL_REPORT_SET, "iids", items[i].trial_id, items[i].step, v,
                              hpt__sqlite_value_type(items[i].value));
    }
    return hpt__sqlite_end(s, rc);
}

int hpt__sqlite_trial_attr_set(hpt__storage *storage, int64_t trial_id, const hpt__attr_item *attrs, int64_t n_attrs) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    const int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    return hpt__sqlite_end(
        s, hpt__sqlite_set_attrs(s, HPT__SQL_TRIAL_USER_SET, HPT__SQL_TRIAL_SYSTEM_SET, trial_id, attrs, n_attrs));
}

// Why a trial could not be finished.
static int not_finished(hpt__sqlite *s, int64_t trial_id) {
    int rc = HPT_OK;
    sqlite3_stmt *stmt;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_TRIAL_STATE, "i", trial_id));
    HPT_TRY(hpt__sqlite_step(s, stmt));
    if (rc == 0)
        return hpt__fail(HPT_E_NOT_FOUND, "database '%s' has no trial with id %lld; its study was deleted", s->path,
                         (long long)trial_id);
    const char *state = (const char *)sqlite3_column_text(stmt, 1);
    rc = hpt__fail(HPT_E_STATE, "trial %lld is finished already (%s); its result stays",
                   (long long)sqlite3_column_int64(stmt, 0), state ? state : "?");
    sqlite3_reset(stmt);
out:
    return rc;
}

int hpt__sqlite_tell(hpt__storage *storage, int64_t trial_id, hpt_trial_state state, const double *values, int64_t k,
                     int64_t complete_us, const hpt__attr_item *attrs, int64_t n_attrs) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_TRIAL_FINISH, "ist", trial_id, hpt_trial_state_to_string(state), complete_us));
    if (sqlite3_changes(s->db) != 1) HPT_TRY(not_finished(s, trial_id));
    HPT_TRY(insert_values(s, trial_id, values, k));
    HPT_TRY(hpt__sqlite_set_attrs(s, HPT__SQL_TRIAL_USER_SET, HPT__SQL_TRIAL_SYSTEM_SET, trial_id, attrs, n_attrs));
out:
    return hpt__sqlite_end(s, rc);
}
