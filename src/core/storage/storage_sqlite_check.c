// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_check.c: hpt_storage_check: everything in a database that would make a reader fail or lose trials.
//
// In order: SQLite's own integrity check; tables, columns and the unique indexes that upserts need; what one statement
// finds (STATEMENTS: each gives the lines of its findings); then what needs our eyes: times, JSON texts, parameters
// against their distributions. A kind of finding is told ten times and then counted. What a reader would do is known from
// Optuna (facts: optuna/storages/_rdb/models.py): a NULL number, a FINITE value that is NULL, a time with a T, an unknown
// word of an enumeration and bad JSON are exceptions on loading the study; of trials with the same number all but one
// vanish.
// One read transaction; nothing is written. A file that SQLite cannot read any further is a finding, not an error.
// Threads: any. Cost: reads everything once or twice; 100,000 trials of 20 parameters: some seconds.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <math.h>
#include <string.h>

enum { TOLD = 10 };

typedef struct checker {
    hpt__sqlite *s;
    hpt_write_fn write;
    void *payload;
    int64_t n, n_kind; // findings; of the present kind
    hpt__str line;
    bool broken; // SQLite cannot read on
} checker;

// ---- findings

static int tell(checker *c, const char *text) {
    if (!c->write) return HPT_OK;
    if (c->write(text, strlen(text), c->payload) == 0) return HPT_OK;
    return hpt__fail(HPT_E_CALLBACK, "checking a database: the write function failed");
}

// One finding of the present kind, in c->line.
static int found(checker *c) {
    c->n++;
    const int rc = hpt__str_status(&c->line);
    if (rc < 0 || c->n_kind++ >= TOLD) return rc;
    return tell(c, hpt__str_text(&c->line));
}

// Ends a kind of finding.
static int end_kind(checker *c) {
    int rc = HPT_OK;
    if (c->n_kind > TOLD) {
        hpt__str_clear(&c->line);
        hpt__str_addf(&c->line, "... and %lld more of this kind", (long long)(c->n_kind - TOLD));
        rc = hpt__str_status(&c->line);
        if (rc >= 0) rc = tell(c, hpt__str_text(&c->line));
    }
    c->n_kind = 0;
    return rc;
}

// A failed read: damage is a finding and ends the check, all else an error.
static int stopped(checker *c, const char *what) {
    const int code = sqlite3_extended_errcode(c->s->db) & 0xff;
    if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB && code != SQLITE_ERROR) return hpt__sqlite_error(c->s);
    hpt__str_clear(&c->line);
    hpt__str_addf(&c->line, "%s: cannot be read any further: %s", what, sqlite3_errmsg(c->s->db));
    c->broken = code != SQLITE_ERROR; // a missing column was told already
    if (code == SQLITE_ERROR && c->n > 0) return HPT_OK;
    return found(c);
}

// Calls fn for each row of a statement.
static int each(checker *c, const char *what, const char *sql, int (*fn)(checker *c, sqlite3_stmt *stmt, void *p),
                void *p) {
    sqlite3_stmt *stmt = NULL;
    int rc = HPT_OK, code = SQLITE_DONE;
    if (c->broken) return HPT_OK;
    if (sqlite3_prepare_v2(c->s->db, sql, -1, &stmt, NULL) != SQLITE_OK) return stopped(c, what);
    while (rc >= 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) rc = fn(c, stmt, p);
    if (rc >= 0 && code != SQLITE_DONE) rc = stopped(c, what);
    sqlite3_finalize(stmt);
    if (rc >= 0) rc = end_kind(c);
    return rc;
}

static const char *text_of(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "NULL";
}

// ---- the file and its tables

static int integrity_row(checker *c, sqlite3_stmt *stmt, void *p) {
    (void)p;
    const char *text = text_of(stmt, 0);
    if (strcmp(text, "ok") == 0) return HPT_OK;
    hpt__str_clear(&c->line);
    hpt__str_addf(&c->line, "SQLite: %s", text);
    return found(c);
}

// A table with its columns and the column pairs that upserts need to be unique.
typedef struct shape {
    const char *table, *columns, *unique;
} shape;

static const shape SHAPES[] = {
    {"studies", "study_id study_name", "study_name"},
    {"study_directions", "study_direction_id direction study_id objective", "study_id,objective"},
    {"study_user_attributes", "study_user_attribute_id study_id key value_json", "study_id,key"},
    {"study_system_attributes", "study_system_attribute_id study_id key value_json", "study_id,key"},
    {"trials", "trial_id number study_id state datetime_start datetime_complete", NULL},
    {"trial_user_attributes", "trial_user_attribute_id trial_id key value_json", "trial_id,key"},
    {"trial_system_attributes", "trial_system_attribute_id trial_id key value_json", "trial_id,key"},
    {"trial_params", "param_id trial_id param_name param_value distribution_json", "trial_id,param_name"},
    {"trial_values", "trial_value_id trial_id objective value value_type", "trial_id,objective"},
    {"trial_intermediate_values",
     "trial_intermediate_value_id trial_id step intermediate_value intermediate_value_type", "trial_id,step"},
};

static int count_row(checker *c, sqlite3_stmt *stmt, void *p) {
    (void)c;
    *(int64_t *)p = sqlite3_column_int64(stmt, 0);
    return HPT_OK;
}

static int count(int64_t *out, checker *c, const char *what, const char *fmt, const char *a, const char *b) {
    *out = -1;
    char *sql = sqlite3_mprintf(fmt, a, b);
    if (!sql) return hpt__fail_memory();
    const int rc = each(c, what, sql, count_row, out);
    sqlite3_free(sql);
    return rc;
}

static int check_shape(checker *c, const shape *sh) {
    int rc = HPT_OK;
    int64_t n;
    char column[64];
    for (const char *p = sh->columns; *p; p += *p == ' ') {
        const size_t len = strcspn(p, " ");
        sqlite3_snprintf((int)len + 1, column, "%s", p);
        p += len;
        HPT_TRY(
            count(&n, c, sh->table, "SELECT COUNT(*) FROM pragma_table_info(%Q) WHERE name = %Q", sh->table, column));
        if (n != 0) continue;
        hpt__str_clear(&c->line);
        hpt__str_addf(&c->line, "table %s: column %s is missing", sh->table, column);
        HPT_TRY(found(c));
    }
    if (!sh->unique) goto out;
    HPT_TRY(
        count(&n, c, sh->table,
              "SELECT COUNT(*) FROM pragma_index_list(%Q) l WHERE l.\"unique\" AND (SELECT group_concat(i.name) FROM "
              "(SELECT name FROM pragma_index_info(l.name) ORDER BY seqno) i) = %Q",
              sh->table, sh->unique));
    if (n == 0) {
        hpt__str_clear(&c->line);
        hpt__str_addf(&c->line, "table %s: no unique index over (%s); every report and attribute fails without it",
                      sh->table, sh->unique);
        HPT_TRY(found(c));
    }
out:
    return rc;
}

static int check_tables(checker *c) {
    int rc = HPT_OK;
    int64_t n;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) HPT_TRY(check_shape(c, &SHAPES[i]));
    HPT_TRY(end_kind(c));
    HPT_TRY(count(&n, c, "version", "SELECT COUNT(*) FROM sqlite_master WHERE name = %Q OR name = %Q",
                  "alembic_version", "alembic_version"));
    if (n == 1) HPT_TRY(count(&n, c, "version", "SELECT COUNT(*) FROM alembic_version WHERE %Q = %Q", "", ""));
    if (n == 0)
        HPT_TRY(tell(c,
                     "remark: the revision of the schema is not written down (table alembic_version); a writer of hpt "
                     "does so, and a newer Optuna would take the database for one of its own"));
out:
    return rc;
}

// ---- what one statement finds

// Where a trial is, for the lines of findings: study's name and number.
#define PLACE \
    "'study ''' || COALESCE(s.study_name, '?') || ''', trial ' || COALESCE(t.number, '(id ' || t.trial_id || ')')"
#define FROM_TRIALS " FROM trials t LEFT JOIN studies s ON s.study_id = t.study_id "
#define WITH_TRIAL(table) \
    " FROM " table " x JOIN trials t ON t.trial_id = x.trial_id LEFT JOIN studies s ON s.study_id = t.study_id "
#define ORPHANS(table, key, parents, parent)                                                                           \
    {                                                                                                                  \
        table, "SELECT 'table " table ": row ' || x.rowid || ' belongs to no " parent " (" key " ' || COALESCE(x." key \
               ", 'NULL') || ')' FROM " table " x WHERE NOT EXISTS (SELECT 1 FROM " parents " p WHERE p." key          \
               " = x." key ")"                                                                                         \
    }

static const struct {
    const char *what, *sql;
} STATEMENTS[] = {
    {"study_directions", "SELECT 'study ''' || s.study_name || ''': no direction' FROM studies s WHERE NOT EXISTS"
                         " (SELECT 1 FROM study_directions d WHERE d.study_id = s.study_id)"},
    {"study_directions",
     "SELECT 'study ''' || s.study_name || ''': its objectives are not 0, 1, ...' FROM studies s JOIN study_directions d"
     " ON d.study_id = s.study_id GROUP BY s.study_id HAVING MIN(d.objective) <> 0 OR MAX(d.objective) <> COUNT(*) - 1"},
    {"study_directions",
     "SELECT 'study ''' || COALESCE(s.study_name, '?') || ''': unknown direction ''' || d.direction || '''' FROM"
     " study_directions d LEFT JOIN studies s ON s.study_id = d.study_id WHERE d.direction NOT IN"
     " ('MINIMIZE', 'MAXIMIZE', 'NOT_SET')"},
    {"trials", "SELECT " PLACE " || ': has no number'" FROM_TRIALS "WHERE t.number IS NULL"},
    {"trials",
     "SELECT 'study ''' || s.study_name || ''': ' || COUNT(*) || ' trials have the number ' || t.number || '; a reader"
     " sees only one of them'" FROM_TRIALS "WHERE t.number IS NOT NULL AND s.study_id IS NOT NULL"
     " GROUP BY t.study_id, t.number HAVING COUNT(*) > 1"},
    {"trials",
     "SELECT 'study ''' || s.study_name || ''': ' || (MAX(t.number) + 1 - COUNT(DISTINCT t.number)) || ' of the numbers 0"
     " to ' || MAX(t.number) || ' are missing; Optuna''s next trial would double one'" FROM_TRIALS
     "WHERE s.study_id IS NOT NULL GROUP BY t.study_id HAVING MAX(t.number) + 1 > COUNT(DISTINCT t.number) OR"
     " MIN(t.number) < 0"},
    {"trials", "SELECT " PLACE " || ': unknown state ''' || t.state || ''''" FROM_TRIALS
               "WHERE t.state NOT IN ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING')"},
    {"trial_values", "SELECT " PLACE " || ': unknown value type ''' || x.value_type || ''''" WITH_TRIAL(
                         "trial_values") "WHERE x.value_type NOT IN ('FINITE', 'INF_POS', 'INF_NEG')"},
    {"trial_values", "SELECT " PLACE " || ': value ' || x.objective || ' is FINITE and NULL'" WITH_TRIAL(
                         "trial_values") "WHERE x.value_type = 'FINITE' AND x.value IS NULL"},
    {"trial_values", "SELECT " PLACE " || ': value ' || x.objective || ' is no number'" WITH_TRIAL(
                         "trial_values") "WHERE typeof(x.value) NOT IN ('real', 'integer', 'null')"},
    {"trial_values",
     "SELECT " PLACE " || ': a value for objective ' || x.objective || ', which the study does not have'" WITH_TRIAL(
         "trial_values") "WHERE NOT EXISTS (SELECT 1 FROM study_directions d WHERE d.study_id = t.study_id AND"
                         " d.objective = x.objective) AND s.study_id IS NOT NULL"},
    {"trial_values",
     "SELECT " PLACE " || ': COMPLETE without all its values'" FROM_TRIALS
     "WHERE t.state = 'COMPLETE' AND (SELECT COUNT(*) FROM trial_values x WHERE x.trial_id = t.trial_id)"
     " < (SELECT COUNT(*) FROM study_directions d WHERE d.study_id = t.study_id)"},
    {"trial_intermediate_values",
     "SELECT " PLACE " || ': unknown value type ''' || x.intermediate_value_type || ''' at step ' || x.step" WITH_TRIAL(
         "trial_intermediate_values") "WHERE x.intermediate_value_type NOT IN ('FINITE', 'INF_POS', 'INF_NEG', 'NAN')"},
    {"trial_intermediate_values",
     "SELECT " PLACE " || ': the report at step ' || x.step || ' is FINITE and NULL'" WITH_TRIAL(
         "trial_intermediate_values") "WHERE x.intermediate_value_type = 'FINITE' AND x.intermediate_value IS NULL"},
    {"trial_intermediate_values",
     "SELECT " PLACE " || ': the report at step ' || x.step || ' is no number'" WITH_TRIAL(
         "trial_intermediate_values") "WHERE typeof(x.intermediate_value) NOT IN ('real', 'integer', 'null')"},
    {"trial_params",
     "SELECT " PLACE " || ': parameter ''' || COALESCE(x.param_name, 'NULL') || ''' has no value'" WITH_TRIAL(
         "trial_params") "WHERE x.param_value IS NULL OR x.param_name IS NULL OR"
                         " typeof(x.param_value) NOT IN ('real', 'integer')"},
    ORPHANS("trials", "study_id", "studies", "study"),
    ORPHANS("study_directions", "study_id", "studies", "study"),
    ORPHANS("study_user_attributes", "study_id", "studies", "study"),
    ORPHANS("study_system_attributes", "study_id", "studies", "study"),
    ORPHANS("trial_user_attributes", "trial_id", "trials", "trial"),
    ORPHANS("trial_system_attributes", "trial_id", "trials", "trial"),
    ORPHANS("trial_params", "trial_id", "trials", "trial"),
    ORPHANS("trial_values", "trial_id", "trials", "trial"),
    ORPHANS("trial_intermediate_values", "trial_id", "trials", "trial"),
};

static int line_row(checker *c, sqlite3_stmt *stmt, void *p) {
    (void)p;
    hpt__str_clear(&c->line);
    hpt__str_add(&c->line, text_of(stmt, 0));
    return found(c);
}

// ---- what needs our eyes

static int time_row(checker *c, sqlite3_stmt *stmt, void *p) {
    (void)p;
    int rc = HPT_OK;
    for (int i = 1; i <= 2 && rc >= 0; i++) {
        int64_t us;
        if (sqlite3_column_type(stmt, i) == SQLITE_NULL) continue;
        const char *text = text_of(stmt, i);
        if (hpt__datetime_parse(&us, text)) continue;
        hpt__str_clear(&c->line);
        hpt__str_addf(&c->line, "%s: '%s' is no time like '2026-01-31 12:00:00.000000'", text_of(stmt, 0), text);
        rc = found(c);
    }
    return rc;
}

static int json_row(checker *c, sqlite3_stmt *stmt, void *p) {
    hpt__arena *arena = p;
    hpt__json *unused;
    char message[HPT__ERROR_MAX];
    int rc = HPT_E_PARSE;
    const bool null = sqlite3_column_type(stmt, 2) == SQLITE_NULL || sqlite3_column_type(stmt, 1) == SQLITE_NULL;
    const char *text = text_of(stmt, 2);
    hpt__arena_reset(arena);
    if (!null) rc = hpt__json_parse(&unused, arena, text, (size_t)sqlite3_column_bytes(stmt, 2));
    const bool json = rc != HPT_E_PARSE;
    if (rc >= 0 && strcmp(text_of(stmt, 1), "hpt:space") == 0) { // what a study cannot be opened without
        hpt_space *space = NULL;
        rc = hpt_space_from_json(&space, text);
        hpt_space_destroy(space);
    }
    if (rc >= 0 || rc == HPT_E_MEMORY) return rc;
    hpt__error_copy(message);
    hpt__str_clear(&c->line);
    hpt__str_addf(&c->line, "%s: attribute '%s' is no %s (%s)", text_of(stmt, 0), text_of(stmt, 1),
                  json ? "space" : "JSON", null ? "NULL" : message);
    return found(c);
}

typedef struct seen { // the last distribution of a parameter name
    char *text;
    hpt_space *space; // of that parameter alone; NULL: it cannot be read
} seen;

typedef struct known {
    hpt__map at; // name -> index
    seen *items;
    int64_t n, cap;
} known;

static void known_fini(known *k) {
    for (int64_t i = 0; i < k->n; i++) {
        hpt__free(k->items[i].text);
        hpt_space_destroy(k->items[i].space);
    }
    hpt__free(k->items);
    hpt__map_fini(&k->at);
}

// *out NULL: the text is no distribution. Read again only when the name's text changed.
static int distribution_of(const hpt__param **out, known *k, const char *name, const char *text) {
    int64_t at;
    int rc = HPT_OK;
    *out = NULL;
    if (!hpt__map_get(&at, &k->at, name, strlen(name))) {
        at = k->n;
        HPT_TRY(hpt__grow(&k->items, &k->cap, at + 1, sizeof *k->items));
        HPT_TRY(hpt__map_set(&k->at, name, strlen(name), at));
        k->items[k->n++] = (seen){0};
    }
    seen *one = &k->items[at];
    if (!one->text || strcmp(one->text, text) != 0) {
        hpt__free(one->text);
        hpt_space_destroy(one->space);
        *one = (seen){.text = hpt__strdup(text)};
        if (!one->text) return hpt__fail_memory();
        HPT_TRY(hpt_space_create(&one->space));
        rc = hpt__space_add_distribution(one->space, name, text);
        if (rc == HPT_E_MEMORY) goto out;
        if (rc < 0) {
            hpt_space_destroy(one->space);
            one->space = NULL;
        }
    }
    if (one->space) *out = &one->space->params[0];
    rc = HPT_OK;
out:
    return rc;
}

static int param_row(checker *c, sqlite3_stmt *stmt, void *p) {
    const hpt__param *param;
    const char *name = text_of(stmt, 1), *text = text_of(stmt, 3);
    const int rc = distribution_of(&param, p, name, text);
    if (rc < 0) return rc;
    hpt__str_clear(&c->line);
    if (!param) {
        hpt__str_addf(&c->line, "%s: the distribution of parameter '%s' cannot be read: ", text_of(stmt, 0), name);
        hpt__str_addn(&c->line, text, strlen(text) < 80 ? strlen(text) : 80);
        return found(c);
    }
    const double v = sqlite3_column_double(stmt, 2);
    if (hpt__param_contains(param, v)) return HPT_OK;
    hpt__str_addf(&c->line, "%s: parameter '%s' is %.17g, outside ", text_of(stmt, 0), name, v);
    hpt__param_describe(&c->line, param);
    return found(c);
}

static int check_texts(checker *c) {
#define ATTRS_OF_STUDY(table)                                                                               \
    "SELECT 'study ''' || s.study_name || '''', x.\"key\", x.value_json FROM " table " x JOIN studies s ON" \
    " s.study_id = x.study_id"
#define ATTRS_OF_TRIAL(table) "SELECT " PLACE ", x.\"key\", x.value_json" WITH_TRIAL(table)
    static const struct {
        const char *table, *sql;
    } attrs[] = {
        {"study_user_attributes", ATTRS_OF_STUDY("study_user_attributes")},
        {"study_system_attributes", ATTRS_OF_STUDY("study_system_attributes")},
        {"trial_user_attributes", ATTRS_OF_TRIAL("trial_user_attributes")},
        {"trial_system_attributes", ATTRS_OF_TRIAL("trial_system_attributes")},
    };
    int rc = HPT_OK;
    int64_t n;
    hpt__arena arena;
    known k = {0};
    hpt__arena_init(&arena);
    hpt__map_init(&k.at);
    HPT_TRY(each(c, "trials", "SELECT " PLACE ", t.datetime_start, t.datetime_complete" FROM_TRIALS, time_row, NULL));
    HPT_TRY(count(&n, c, "trial_heartbeats", "SELECT COUNT(*) FROM sqlite_master WHERE name = %Q AND type = %Q",
                  "trial_heartbeats", "table"));
    if (n == 1)
        HPT_TRY(each(c, "trial_heartbeats",
                     "SELECT " PLACE " || ', heartbeat', x.heartbeat, NULL" WITH_TRIAL("trial_heartbeats"), time_row,
                     NULL));
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
        HPT_TRY(each(c, attrs[i].table, attrs[i].sql, json_row, &arena));
    HPT_TRY(each(c, "trial_params",
                 "SELECT " PLACE ", x.param_name, x.param_value, x.distribution_json" WITH_TRIAL(
                     "trial_params") "WHERE x.param_value IS NOT NULL AND x.param_name IS NOT NULL ",
                 param_row, &k));
out:
    hpt__arena_fini(&arena);
    known_fini(&k);
    return rc;
}

// ---- the call

static int check_all(checker *c) {
    int rc = HPT_OK;
    HPT_TRY(each(c, "integrity", "PRAGMA integrity_check", integrity_row, NULL));
    HPT_TRY(check_tables(c));
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        HPT_TRY(each(c, STATEMENTS[i].what, STATEMENTS[i].sql, line_row, NULL));
    HPT_TRY(check_texts(c));
out:
    return rc;
}

// What makes opening fail is a finding if the file itself is to blame.
static int refused(checker *c, int rc) {
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    if (rc != HPT_E_INCOMPATIBLE && !(rc == HPT_E_STORAGE && strstr(message, "is damaged"))) return rc;
    hpt__str_add(&c->line, message);
    return found(c);
}

int hpt_storage_check(int64_t *n_problems, const char *url, hpt_write_fn write, void *payload) {
    int rc = HPT_OK;
    hpt__options options;
    hpt__storage *storage = NULL;
    checker c = {.write = write, .payload = payload};
    if (!url || !n_problems) return hpt__fail(HPT_E_ARG, "hpt_storage_check: n_problems or url is NULL");
    HPT_FAIL_IF(strcmp(url, ":memory:") == 0, HPT_E_ARG, "':memory:' names no database; give a file's path");
    HPT_TRY(hpt__options_from_env(&options));
    rc = hpt__storage_open(&storage, url, false, true, &options);
    if (rc < 0) {
        HPT_TRY(refused(&c, rc));
    } else {
        c.s = (hpt__sqlite *)storage;
        HPT_TRY(storage->ops->hold(storage, false));
        rc = check_all(&c);
        const int end =
            storage->ops->release(storage, rc); // only a read: fails where the file is damaged, which was told
        if (rc >= 0 && end < 0 && c.n == 0) rc = end;
        if (rc < 0) goto out;
    }
    *n_problems = c.n;
    rc = HPT_OK;
out:
    hpt__storage_close(storage);
    hpt__str_fini(&c.line);
    return rc;
}
