// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_impl.h: the inside of the SQLite storage, shared by its files:
//   storage_sqlite.c         statements, transactions, errors
//   storage_sqlite_open.c    opening and closing a file
//   storage_sqlite_schema.c  Optuna's tables: making them, and looking whether a file has them
//   storage_sqlite_study.c   studies and their attributes
//   storage_sqlite_trial.c   writing trials
//   storage_sqlite_load.c    reading trials into the table
//   storage_sqlite_record.c  whole studies read and written: copies, exports, imports
//   storage_sqlite_check.c   damage found (hpt_storage_check)
//   storage_sqlite_vacuum.c  a file without gaps (hpt_storage_vacuum)
#ifndef HPT_STORAGE_SQLITE_IMPL_H
#define HPT_STORAGE_SQLITE_IMPL_H

#include "storage_ops.h"
#include "storage_sqlite_sql.h"
#include "storage_table.h"

#include <sqlite3.h>

// The last distribution text, other than the space's own, that was compared with a parameter of the space.
typedef struct hpt__sqlite_verdict {
    char *text;
    bool fits;
} hpt__sqlite_verdict;

// What the table of a study has seen of the database. One per study; a second table on the same handle takes it over.
typedef struct hpt__sqlite_view {
    int64_t study_id;
    const hpt__trials *table; // compared only
    int64_t n_rows;           // of the table when it was last in step
    int64_t data_version;     // of the database then; -1: look again
    int64_t last_trial_id, next_number;
    int64_t *open_rows; // rows that were not finished when last looked at, ascending
    int64_t n_open, cap_open;
    hpt__sqlite_verdict *verdicts; // d
    double *point;                 // d, scratch
    int64_t d;
} hpt__sqlite_view;

typedef struct hpt__sqlite {
    hpt__storage base;
    char *path; // as the user gave it, for messages
    sqlite3 *db;
    bool read_only, tidy; // tidy: there was no log before
    int64_t busy_timeout; // s
    sqlite3_stmt *stmts[HPT__SQL_COUNT];
    hpt__sqlite_view *views;
    int64_t n_views, cap_views;
} hpt__sqlite;

// ---- storage_sqlite.c

// The database's last error as a status and a line that names the file and the remedy.
int hpt__sqlite_error(const hpt__sqlite *s);
// A kept statement, reset and bound. types, one letter an argument: i int64_t, d double (NaN becomes NULL), s text (NULL:
// NULL; borrowed until the statement is done), t microseconds UTC as datetime text (INT64_MIN: NULL).
HPT_NODISCARD int hpt__sqlite_query(sqlite3_stmt **out, hpt__sqlite *s, hpt__sql id, const char *types, ...);
// 1: a row; 0: no further row; negative: error. Resets the statement in the last two cases.
HPT_NODISCARD int hpt__sqlite_step(hpt__sqlite *s, sqlite3_stmt *stmt);
// query and step for statements that give no row.
HPT_NODISCARD int hpt__sqlite_exec(hpt__sqlite *s, hpt__sql id, const char *types, ...);
// SQL that runs once.
HPT_NODISCARD int hpt__sqlite_script(hpt__sqlite *s, const char *sql);

HPT_NODISCARD int hpt__sqlite_begin(hpt__sqlite *s); // the write lock; refused if read-only
// Commits, or rolls back if rc is an error; returns rc or the commit's error. The message recorded for rc survives.
HPT_NODISCARD int hpt__sqlite_end(hpt__sqlite *s, int rc);
void hpt__sqlite_rollback(hpt__sqlite *s); // keeps the recorded message

// "u:key" / "s:key" to the right statement. HPT_E_ARG for another prefix.
HPT_NODISCARD int hpt__sqlite_set_attrs(hpt__sqlite *s, hpt__sql user, hpt__sql system, int64_t owner,
                                        const hpt__attr_item *attrs, int64_t n_attrs);
// An objective or intermediate value as Optuna splits it: a number (NULL if not finite) and a word.
const char *hpt__sqlite_value_type(double v);
double hpt__sqlite_value(sqlite3_stmt *stmt, int column); // and back, from columns column and column + 1

// ---- storage_sqlite_schema.c

typedef enum hpt__schema_state {
    HPT__SCHEMA_NONE,     // no table at all
    HPT__SCHEMA_READY,    // Optuna's, of our revision
    HPT__SCHEMA_UNSTAMPED // the same, but the revision is not written down
} hpt__schema_state;
// HPT_E_INCOMPATIBLE: a database of something else, or of another revision. Reads only.
HPT_NODISCARD int hpt__sqlite_schema_look(hpt__schema_state *out, hpt__sqlite *s);
HPT_NODISCARD int hpt__sqlite_schema_make(hpt__sqlite *s);  // in a database without tables
HPT_NODISCARD int hpt__sqlite_schema_stamp(hpt__sqlite *s); // writes the revision down

// ---- storage_sqlite_study.c

int hpt__sqlite_study_create(int64_t *study_id, hpt__storage *s, const char *name, const hpt_direction *directions,
                             int64_t k, const hpt__attr_item *attrs, int64_t n_attrs);
int hpt__sqlite_study_find(int64_t *study_id, char **name_out, hpt_direction **directions, int64_t *k, hpt__storage *s,
                           const char *name);
int hpt__sqlite_study_attr_get(char **out, hpt__storage *s, int64_t study_id, const char *key);
int hpt__sqlite_study_attr_set(hpt__storage *s, int64_t study_id, const hpt__attr_item *attrs, int64_t n_attrs);
int hpt__sqlite_studies(hpt_study_summary **out, int64_t *n, hpt__storage *s);
// study_create inside a transaction that the caller holds.
HPT_NODISCARD int hpt__sqlite_study_insert(int64_t *study_id, hpt__sqlite *s, const char *name,
                                           const hpt_direction *directions, int64_t k, const hpt__attr_item *attrs,
                                           int64_t n_attrs);

// ---- storage_sqlite_trial.c

int hpt__sqlite_create_trials(hpt__storage *s, int64_t study_id, hpt__trials *table, hpt__new_trial *batch, int64_t q,
                              hpt__fill_fn fill, void *payload);
int hpt__sqlite_claim_waiting(int64_t *row, hpt__storage *s, int64_t study_id, hpt__trials *table,
                              int (*fill)(double *point, int64_t row, void *payload), void *payload);
int hpt__sqlite_unclaim(hpt__storage *s, int64_t trial_id);
int hpt__sqlite_report(hpt__storage *s, const hpt__report_item *items, int64_t n);
int hpt__sqlite_trial_attr_set(hpt__storage *s, int64_t trial_id, const hpt__attr_item *attrs, int64_t n_attrs);
int hpt__sqlite_tell(hpt__storage *s, int64_t trial_id, hpt_trial_state state, const double *values, int64_t k,
                     int64_t complete_us, const hpt__attr_item *attrs, int64_t n_attrs);

// ---- storage_sqlite_load.c

int hpt__sqlite_distributions(hpt__storage *s, int64_t study_id, int (*fn)(const char *name, const char *json, void *p),
                              void *p);
int hpt__sqlite_sync(hpt__storage *s, int64_t study_id, hpt__trials *table);
// The study's view, in step with the table or set up to become so. Borrowed until the next call.
HPT_NODISCARD int hpt__sqlite_view_of(hpt__sqlite_view **out, hpt__sqlite *s, int64_t study_id,
                                      const hpt__trials *table);
// sync inside a transaction that the caller holds.
HPT_NODISCARD int hpt__sqlite_catch_up(hpt__sqlite *s, hpt__sqlite_view *view, hpt__trials *table);
void hpt__sqlite_view_fini(hpt__sqlite_view *view);

typedef struct hpt__sqlite_head {
    int64_t trial_id, number, start_us, complete_us;
    hpt_trial_state state;
} hpt__sqlite_head;
// A row of LOAD_TRIALS. next_number: what a trial without a number gets.
HPT_NODISCARD int hpt__sqlite_read_head(hpt__sqlite_head *out, hpt__sqlite *s, sqlite3_stmt *stmt, int64_t next_number);
int64_t hpt__sqlite_time(sqlite3_stmt *stmt, int column); // INT64_MIN: NULL, or no datetime

// ---- storage_sqlite_record.c

int hpt__sqlite_hold(hpt__storage *s, bool write);
int hpt__sqlite_release(hpt__storage *s, int rc);
int hpt__sqlite_study_attrs(hpt__storage *s, int64_t study_id, int (*fn)(const char *key, const char *json, void *p),
                            void *p);
int hpt__sqlite_records(hpt__records *batch, int64_t *after, hpt__storage *s, int64_t study_id, int64_t limit);
int hpt__sqlite_bulk_study(int64_t *study_id, hpt__storage *s, const char *name, const hpt_direction *directions,
                           int64_t k, const hpt__attr_item *attrs, int64_t n_attrs);
int hpt__sqlite_bulk_trial(hpt__storage *s, int64_t study_id, const hpt__record *trial);

#endif
