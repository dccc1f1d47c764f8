// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_record.c: whole studies read and written as records: copies, exports, imports.
//
// Reading: trials come in batches by id, each with one statement a table, so memory is bounded by the batch; the order
// of parameters and attributes is that of their rows. A single batch is one read transaction; a caller that wants one
// state of the whole study holds a transaction around all.
// Writing: the caller holds the write lock. Trials are inserted as they are, also running ones. What no reader could use
// is left out: a parameter without value, a NaN objective value, an attribute without key or text.
// Ownership: records own arrays, the batch's arena the texts. Threads: as the handle. Cost: some 10 us a trial of 5
// parameters each way.
#include "../base/alloc.h"
#include "../base/error.h"
#include "storage_record.h"
#include "storage_sqlite_impl.h"

#include <math.h>

// ---- transactions

int hpt__sqlite_hold(hpt__storage *storage, bool write) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    if (write) return hpt__sqlite_begin(s);
    return hpt__sqlite_exec(s, HPT__SQL_BEGIN_READ, "");
}

int hpt__sqlite_release(hpt__storage *storage, int rc) {
    return hpt__sqlite_end((hpt__sqlite *)storage, rc);
}

// ---- reading

static const char *text_of(sqlite3_stmt *stmt, int column) {
    return (const char *)sqlite3_column_text(stmt, column);
}

static int attrs_of(hpt__sqlite *s, hpt__sql id, char kind, int64_t study_id,
                    int (*fn)(const char *key, const char *json, void *p), void *p) {
    sqlite3_stmt *stmt;
    hpt__str key = HPT__STR_INIT;
    int rc = hpt__sqlite_query(&stmt, s, id, "i", study_id);
    if (rc < 0) return rc;
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        const char *name = text_of(stmt, 0), *json = text_of(stmt, 1);
        if (!name || !json) continue;
        hpt__str_clear(&key);
        hpt__str_addf(&key, "%c:", kind);
        hpt__str_add(&key, name);
        rc = hpt__str_status(&key);
        if (rc >= 0) rc = fn(hpt__str_text(&key), json, p);
        if (rc < 0) {
            sqlite3_reset(stmt);
            break;
        }
    }
    hpt__str_fini(&key);
    return rc;
}

int hpt__sqlite_study_attrs(hpt__storage *storage, int64_t study_id,
                            int (*fn)(const char *key, const char *json, void *p), void *p) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    const int rc = attrs_of(s, HPT__SQL_STUDY_USER_ALL, 'u', study_id, fn, p);
    return rc < 0 ? rc : attrs_of(s, HPT__SQL_STUDY_SYSTEM_ALL, 's', study_id, fn, p);
}

static int read_heads(hpt__records *batch, hpt__sqlite *s, int64_t study_id, int64_t after, int64_t limit) {
    sqlite3_stmt *stmt;
    int rc = hpt__sqlite_query(&stmt, s, HPT__SQL_RECORD_TRIALS, "iii", study_id, after, limit);
    if (rc < 0) return rc;
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        hpt__sqlite_head h;
        hpt__record *r;
        rc = hpt__sqlite_read_head(&h, s, stmt, -1);
        if (rc >= 0) rc = hpt__records_add(&r, batch);
        if (rc < 0) {
            sqlite3_reset(stmt);
            return rc;
        }
        r->trial_id = h.trial_id;
        r->number = h.number;
        r->state = h.state;
        r->start_us = h.start_us;
        r->complete_us = h.complete_us;
    }
    return rc;
}

static int take_param(hpt__record *r, hpt__records *batch, sqlite3_stmt *stmt) {
    const char *name = text_of(stmt, 1), *distribution = text_of(stmt, 3);
    if (!name || !distribution || sqlite3_column_type(stmt, 2) == SQLITE_NULL) return HPT_OK;
    int rc = hpt__records_text(&name, batch, name);
    if (rc >= 0) rc = hpt__records_text(&distribution, batch, distribution);
    return rc < 0 ? rc : hpt__record_add_param(r, name, sqlite3_column_double(stmt, 2), distribution);
}

static int take_attr(hpt__record *r, hpt__records *batch, sqlite3_stmt *stmt, char kind, hpt__str *scratch) {
    const char *name = text_of(stmt, 1), *json = text_of(stmt, 2), *key;
    if (!name || !json) return HPT_OK;
    hpt__str_clear(scratch);
    hpt__str_addf(scratch, "%c:", kind);
    hpt__str_add(scratch, name);
    int rc = hpt__str_status(scratch);
    if (rc >= 0) rc = hpt__records_text(&key, batch, hpt__str_text(scratch));
    if (rc >= 0) rc = hpt__records_text(&json, batch, json);
    return rc < 0 ? rc : hpt__record_add_attr(r, key, json);
}

// Objectives come in order; a gap (a damaged trial) becomes NaN.
static int take_value(hpt__record *r, sqlite3_stmt *stmt) {
    const int64_t objective = sqlite3_column_int64(stmt, 1);
    if (objective < r->n_values || objective > 1000000) return HPT_OK;
    const int rc = hpt__grow(&r->values, &r->cap_values, objective + 1, sizeof *r->values);
    if (rc < 0) return rc;
    while (r->n_values < objective) r->values[r->n_values++] = NAN;
    r->values[r->n_values++] = hpt__sqlite_value(stmt, 2);
    return HPT_OK;
}

// One stream of details; both it and the batch are in the order of ids.
static int stream(hpt__records *batch, hpt__sqlite *s, int64_t study_id, hpt__sql id, hpt__str *scratch) {
    sqlite3_stmt *stmt;
    int64_t at = 0;
    int rc =
        hpt__sqlite_query(&stmt, s, id, "iii", study_id, batch->items[0].trial_id, batch->items[batch->n - 1].trial_id);
    if (rc < 0) return rc;
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        const int64_t trial_id = sqlite3_column_int64(stmt, 0);
        while (at < batch->n && batch->items[at].trial_id < trial_id) at++;
        if (at == batch->n || batch->items[at].trial_id != trial_id) continue;
        hpt__record *r = &batch->items[at];
        switch (id) {
        case HPT__SQL_RECORD_PARAMS:
            rc = take_param(r, batch, stmt);
            break;
        case HPT__SQL_RECORD_USER:
            rc = take_attr(r, batch, stmt, 'u', scratch);
            break;
        case HPT__SQL_RECORD_SYSTEM:
            rc = take_attr(r, batch, stmt, 's', scratch);
            break;
        case HPT__SQL_LOAD_REPORTS:
            rc = hpt__record_set_report(r, sqlite3_column_int64(stmt, 1), hpt__sqlite_value(stmt, 2));
            break;
        case HPT__SQL_RECORD_VALUES:
            rc = take_value(r, stmt);
            break;
        default:
            r->heartbeat_us = hpt__sqlite_time(stmt, 1);
            break;
        }
        if (rc < 0) {
            sqlite3_reset(stmt);
            return rc;
        }
    }
    return rc;
}

static int has_heartbeats(bool *out, hpt__sqlite *s) {
    sqlite3_stmt *stmt;
    int rc = hpt__sqlite_query(&stmt, s, HPT__SQL_HAS_HEARTBEATS, "");
    if (rc >= 0) rc = hpt__sqlite_step(s, stmt);
    if (rc < 0) return rc;
    *out = rc == 1;
    sqlite3_reset(stmt);
    return HPT_OK;
}

static int read_batch(hpt__records *batch, hpt__sqlite *s, int64_t study_id, int64_t after, int64_t limit) {
    static const hpt__sql streams[] = {HPT__SQL_RECORD_PARAMS, HPT__SQL_RECORD_USER, HPT__SQL_RECORD_SYSTEM,
                                       HPT__SQL_LOAD_REPORTS, HPT__SQL_RECORD_VALUES};
    bool heartbeats;
    hpt__str scratch = HPT__STR_INIT;
    int rc = read_heads(batch, s, study_id, after, limit);
    if (rc < 0 || batch->n == 0) return rc;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        HPT_TRY(stream(batch, s, study_id, streams[i], &scratch));
    HPT_TRY(has_heartbeats(&heartbeats, s)); // the table is missing where Rustuna made the database
    if (heartbeats) HPT_TRY(stream(batch, s, study_id, HPT__SQL_RECORD_HEARTBEATS, &scratch));
    rc = HPT_OK;
out:
    hpt__str_fini(&scratch);
    return rc;
}

int hpt__sqlite_records(hpt__records *batch, int64_t *after, hpt__storage *storage, int64_t study_id, int64_t limit) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    const bool own = sqlite3_get_autocommit(s->db);
    int rc = HPT_OK;
    hpt__records_clear(batch);
    if (own) rc = hpt__sqlite_exec(s, HPT__SQL_BEGIN_READ, "");
    if (rc < 0) return rc;
    rc = read_batch(batch, s, study_id, *after, limit);
    if (own) rc = hpt__sqlite_end(s, rc);
    if (rc < 0) {
        hpt__records_clear(batch);
        return rc;
    }
    if (batch->n == 0) return HPT_S_NOTHING;
    *after = batch->items[batch->n - 1].trial_id;
    return HPT_OK;
}

// ---- writing

int hpt__sqlite_bulk_study(int64_t *study_id, hpt__storage *storage, const char *name, const hpt_direction *directions,
                           int64_t k, const hpt__attr_item *attrs, int64_t n_attrs) {
    return hpt__sqlite_study_insert(study_id, (hpt__sqlite *)storage, name, directions, k, attrs, n_attrs);
}

static int insert_number(hpt__sqlite *s, hpt__sql id, int64_t trial_id, int64_t key, double v) {
    return hpt__sqlite_exec(s, id, "iids", trial_id, key, isinf(v) ? NAN : v, hpt__sqlite_value_type(v));
}

int hpt__sqlite_bulk_trial(hpt__storage *storage, int64_t study_id, const hpt__record *r) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    int rc = HPT_OK;
    HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_TRIAL_INSERT, "iistt", r->number, study_id,
                             hpt_trial_state_to_string(r->state), r->start_us, r->complete_us));
    const int64_t id = sqlite3_last_insert_rowid(s->db);
    for (int64_t i = 0; i < r->n_params; i++) {
        if (isnan(r->params[i].internal)) continue;
        HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_PARAM_INSERT, "isds", id, r->params[i].name, r->params[i].internal,
                                 r->params[i].distribution));
    }
    for (int64_t i = 0; i < r->n_values; i++)
        if (!isnan(r->values[i])) HPT_TRY(insert_number(s, HPT__SQL_VALUE_SET, id, i, r->values[i]));
    for (int64_t i = 0; i < r->n_reports; i++)
        HPT_TRY(insert_number(s, HPT__SQL_REPORT_SET, id, r->reports[i].step, r->reports[i].value));
    HPT_TRY(hpt__sqlite_set_attrs(s, HPT__SQL_TRIAL_USER_SET, HPT__SQL_TRIAL_SYSTEM_SET, id, r->attrs, r->n_attrs));
    if (r->heartbeat_us != INT64_MIN)
        HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_HEARTBEAT_INSERT, "it", id, r->heartbeat_us));
out:
    return rc;
}
