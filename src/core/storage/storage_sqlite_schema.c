// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_schema.c: the tables of Optuna's RDB storage, revision v3.2.0.a: made, and recognised.
//
// The schema is Optuna's so that its workers, optuna-dashboard and its Python API open a study of ours while it runs, and
// so that we open theirs (facts: optuna/storages/_rdb/models.py; unchanged since 3.2). Names of tables, columns and
// indexes and the declared types are part of the interface: SQLAlchemy and the dashboards' readers rely on them;
// tests/storage/optuna_schema.py compares with what Optuna makes. No further index: Optuna's writers would pay for it.
//
// Recognised by two rows: alembic_version holds 'v3.2.0.a'; where it is missing or empty (Rustuna leaves it so),
// version_info.schema_version must be 12 and the columns of 3.0 be there (12 was the version long before that), and a
// writer stamps the revision, because a future Optuna would take an unstamped database for one of its own newest
// revision.
// Cost: a few hundred microseconds, once.
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "storage_sqlite_impl.h"

#include <hpt/version.h>
#include <string.h>

#define REVISION "v3.2.0.a"

static const char TABLES[] =
    "CREATE TABLE studies (study_id INTEGER NOT NULL, study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id));"
    "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);"
    "CREATE TABLE version_info (version_info_id INTEGER NOT NULL, schema_version INTEGER, library_version VARCHAR(256),"
    " PRIMARY KEY (version_info_id), CHECK (version_info_id=1));"
    "CREATE TABLE study_directions (study_direction_id INTEGER NOT NULL, direction VARCHAR(8) NOT NULL,"
    " study_id INTEGER NOT NULL, objective INTEGER NOT NULL, PRIMARY KEY (study_direction_id),"
    " UNIQUE (study_id, objective), FOREIGN KEY(study_id) REFERENCES studies (study_id));"
    "CREATE TABLE study_user_attributes (study_user_attribute_id INTEGER NOT NULL, study_id INTEGER,"
    " \"key\" VARCHAR(512), value_json TEXT, PRIMARY KEY (study_user_attribute_id), UNIQUE (study_id, \"key\"),"
    " FOREIGN KEY(study_id) REFERENCES studies (study_id));"
    "CREATE TABLE study_system_attributes (study_system_attribute_id INTEGER NOT NULL, study_id INTEGER,"
    " \"key\" VARCHAR(512), value_json TEXT, PRIMARY KEY (study_system_attribute_id), UNIQUE (study_id, \"key\"),"
    " FOREIGN KEY(study_id) REFERENCES studies (study_id));"
    "CREATE TABLE trials (trial_id INTEGER NOT NULL, number INTEGER, study_id INTEGER, state VARCHAR(8) NOT NULL,"
    " datetime_start DATETIME, datetime_complete DATETIME, PRIMARY KEY (trial_id),"
    " FOREIGN KEY(study_id) REFERENCES studies (study_id));"
    "CREATE INDEX ix_trials_study_id ON trials (study_id);"
    "CREATE TABLE trial_user_attributes (trial_user_attribute_id INTEGER NOT NULL, trial_id INTEGER,"
    " \"key\" VARCHAR(512), value_json TEXT, PRIMARY KEY (trial_user_attribute_id), UNIQUE (trial_id, \"key\"),"
    " FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE trial_system_attributes (trial_system_attribute_id INTEGER NOT NULL, trial_id INTEGER,"
    " \"key\" VARCHAR(512), value_json TEXT, PRIMARY KEY (trial_system_attribute_id), UNIQUE (trial_id, \"key\"),"
    " FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE trial_params (param_id INTEGER NOT NULL, trial_id INTEGER, param_name VARCHAR(512),"
    " param_value FLOAT, distribution_json TEXT, PRIMARY KEY (param_id), UNIQUE (trial_id, param_name),"
    " FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE trial_values (trial_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL,"
    " objective INTEGER NOT NULL, value FLOAT, value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_value_id),"
    " UNIQUE (trial_id, objective), FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE trial_intermediate_values (trial_intermediate_value_id INTEGER NOT NULL,"
    " trial_id INTEGER NOT NULL, step INTEGER NOT NULL, intermediate_value FLOAT,"
    " intermediate_value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_intermediate_value_id),"
    " UNIQUE (trial_id, step), FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE trial_heartbeats (trial_heartbeat_id INTEGER NOT NULL, trial_id INTEGER NOT NULL,"
    " heartbeat DATETIME NOT NULL, PRIMARY KEY (trial_heartbeat_id), UNIQUE (trial_id),"
    " FOREIGN KEY(trial_id) REFERENCES trials (trial_id));"
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
    "INSERT INTO version_info VALUES (1, 12, 'hpt_gpu " HPT_VERSION_STRING "');"
    "INSERT INTO alembic_version VALUES ('" REVISION "');";

// What reading and writing needs; heartbeats are left alone.
#define NEEDED                                                                                                      \
    "('studies', 'study_directions', 'study_user_attributes', 'study_system_attributes', 'trials', 'trial_params'," \
    " 'trial_user_attributes', 'trial_system_attributes', 'trial_values', 'trial_intermediate_values')"
enum { N_NEEDED = 10, TEXT_MAX = 64 };

// The first row of a statement that runs once: an integer and, if text is given, a text (cut off at TEXT_MAX).
// *number = -1 if there is no row.
static int ask(int64_t *number, char *text, hpt__sqlite *s, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    *number = -1;
    if (text) *text = 0;
    if (sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) != SQLITE_OK) return hpt__sqlite_error(s);
    const int code = sqlite3_step(stmt);
    int rc = code == SQLITE_ROW || code == SQLITE_DONE ? HPT_OK : hpt__sqlite_error(s);
    if (code == SQLITE_ROW) {
        *number = sqlite3_column_int64(stmt, 0);
        const char *found = text ? (const char *)sqlite3_column_text(stmt, 1) : NULL;
        if (found) sqlite3_snprintf(TEXT_MAX, text, "%s", found);
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int has_table(bool *out, hpt__sqlite *s, const char *sql) {
    int64_t n;
    const int rc = ask(&n, NULL, s, sql);
    *out = n > 0;
    return rc;
}

static int look_at_revision(hpt__schema_state *out, hpt__sqlite *s) {
    int rc = HPT_OK;
    bool has_alembic, has_info, has_words;
    int64_t n = 0, version = -1;
    char revision[TEXT_MAX] = "";
    HPT_TRY(
        has_table(&has_alembic, s, "SELECT COUNT(*) FROM sqlite_master WHERE type='table' AND name='alembic_version'"));
    if (has_alembic) HPT_TRY(ask(&n, revision, s, "SELECT COUNT(*), MAX(version_num) FROM alembic_version"));
    if (*revision) {
        HPT_FAIL_IF(n != 1 || strcmp(revision, REVISION) != 0, HPT_E_INCOMPATIBLE,
                    "database '%s' has revision %s of Optuna's schema, this program knows " REVISION
                    "; upgrade an older one with \"optuna storage upgrade --storage sqlite:///FILE\", take a newer "
                    "hpt for a newer one",
                    s->path, revision);
        *out = HPT__SCHEMA_READY;
        goto out;
    }
    HPT_TRY(has_table(&has_info, s, "SELECT COUNT(*) FROM sqlite_master WHERE type='table' AND name='version_info'"));
    if (has_info) HPT_TRY(ask(&version, NULL, s, "SELECT schema_version FROM version_info"));
    HPT_FAIL_IF(version < 0, HPT_E_INCOMPATIBLE,
                "database '%s' does not say which revision of Optuna's schema it has, this program knows " REVISION
                "; let Optuna open it once",
                s->path);
    HPT_FAIL_IF(version != 12, HPT_E_INCOMPATIBLE,
                "database '%s' has version %lld of Optuna's schema, this program knows 12 (revision " REVISION
                "); let the Optuna that made it write its studies into a new database",
                s->path, (long long)version);
    HPT_TRY(has_table(&has_words, s,
                      "SELECT (SELECT COUNT(*) FROM pragma_table_info('trial_values') WHERE name='value_type') AND"
                      " (SELECT COUNT(*) FROM pragma_table_info('trial_intermediate_values')"
                      " WHERE name='intermediate_value_type')"));
    HPT_FAIL_IF(!has_words, HPT_E_INCOMPATIBLE,
                "database '%s' has tables of an Optuna before 3.0, this program knows revision " REVISION
                "; bring it up to date with \"optuna storage upgrade --storage sqlite:///FILE\"",
                s->path);
    *out = HPT__SCHEMA_UNSTAMPED;
out:
    return rc;
}

int hpt__sqlite_schema_look(hpt__schema_state *out, hpt__sqlite *s) {
    int rc = HPT_OK;
    int64_t n, n_needed;
    char encoding[TEXT_MAX];
    HPT_TRY(ask(&n, NULL, s, "SELECT COUNT(*) FROM sqlite_master"));
    if (n == 0) {
        *out = HPT__SCHEMA_NONE;
        goto out;
    }
    HPT_TRY(ask(&n_needed, NULL, s, "SELECT COUNT(*) FROM sqlite_master WHERE type='table' AND name IN " NEEDED));
    HPT_FAIL_IF(
        n_needed != N_NEEDED, HPT_E_INCOMPATIBLE,
        "database '%s' has other tables than a study of ours or of Optuna; give the path of one, or of a new file",
        s->path);
    HPT_TRY(ask(&n, encoding, s, "SELECT 0, encoding FROM pragma_encoding"));
    HPT_FAIL_IF(strcmp(encoding, "UTF-8") != 0, HPT_E_INCOMPATIBLE,
                "database '%s' stores text as %s; copy it into a UTF-8 one (sqlite3 FILE .dump)", s->path, encoding);
    HPT_TRY(look_at_revision(out, s));
out:
    return rc;
}

// WAL needs a moment in which nobody else has the file open for a statement. A database that stays without it is slower
// with several writers but right, so this gives up quietly after the time a lock may take.
static int switch_to_wal(hpt__sqlite *s) {
    int rc = HPT_OK;
    const double deadline = hpt__now_mono() + (double)s->busy_timeout;
    do {
        rc = hpt__sqlite_script(s, "PRAGMA journal_mode=WAL");
        if (rc != HPT_E_BUSY) return rc;
        sqlite3_sleep(5);
    } while (hpt__now_mono() < deadline);
    hpt__log(HPT_LOG_WARN, "database '%s' could not be put into WAL mode; several writers will wait for each other",
             s->path);
    return HPT_OK;
}

int hpt__sqlite_schema_make(hpt__sqlite *s) {
    hpt__schema_state state = HPT__SCHEMA_NONE;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    rc = hpt__sqlite_schema_look(&state, s); // another process may have been first
    if (rc >= 0 && state == HPT__SCHEMA_NONE) rc = hpt__sqlite_script(s, TABLES);
    rc = hpt__sqlite_end(s, rc);
    if (rc < 0 || state != HPT__SCHEMA_NONE) return rc;
    return switch_to_wal(s);
}

int hpt__sqlite_schema_stamp(hpt__sqlite *s) {
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    hpt__schema_state state;
    rc = hpt__sqlite_schema_look(&state, s);
    if (rc >= 0 && state == HPT__SCHEMA_UNSTAMPED)
        rc = hpt__sqlite_script(s, "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
                                   " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
                                   "INSERT INTO alembic_version VALUES ('" REVISION "');");
    return hpt__sqlite_end(s, rc);
}
