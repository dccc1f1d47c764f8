// SPDX-License-Identifier: Apache-2.0
// storage_sqlite.c: statements, transactions and errors of the SQLite storage.
//
// Statements are prepared at first use and kept; an ask or a tell then is bind, step, reset. Every change is one
// BEGIN IMMEDIATE transaction: the write lock is taken before anything is read that the change depends on. An error rolls
// back and leaves the handle usable; its line names the file and what to do.
// Ownership: the handle owns the statements. Threads: one at a time (the connection has no mutex).
// Cost: an ask of 5 parameters and its tell take about 60 us of processor together (make_storage_fixture, mode "speed").
#include "../base/clock.h"
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const SQL_TEXTS[HPT__SQL_COUNT] = {
#define X(name, text) [HPT__SQL_##name] = text,
    HPT__SQL_LIST(X)
#undef X
};

// ---- errors, statements, transactions

// The system's reason, or SQLite's where the system gave none (a short write).
static const char *reason(const hpt__sqlite *s) {
    const int number = sqlite3_system_errno(s->db);
    return number ? strerror(number) : sqlite3_errmsg(s->db);
}

int hpt__sqlite_error(const hpt__sqlite *s) {
    if (!s->db) return hpt__fail_memory();
    const int code = sqlite3_extended_errcode(s->db) & 0xff;
    switch (code) {
    case SQLITE_NOMEM:
        return hpt__fail_memory();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return hpt__fail(
            HPT_E_BUSY,
            "database '%s' was locked by another process for %lld s; end that process, or raise the option "
            "sqlite.busy_timeout",
            s->path, (long long)s->busy_timeout);
    case SQLITE_FULL:
        return hpt__fail(HPT_E_STORAGE, "database '%s': the disk is full and the last change is not stored; free space",
                         s->path);
    case SQLITE_READONLY:
        return hpt__fail(HPT_E_STORAGE,
                         "database '%s' cannot be written; give write permission to the file and its folder", s->path);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return hpt__fail(HPT_E_STORAGE,
                         "database '%s' or its journal cannot be opened (%s); check the permissions of file and folder",
                         s->path, reason(s));
    case SQLITE_IOERR:
        return hpt__fail(HPT_E_STORAGE, "database '%s': reading or writing failed (%s); check the disk and its quota",
                         s->path, reason(s));
    case SQLITE_CORRUPT:
        return hpt__fail(HPT_E_STORAGE, "database '%s' is damaged (%s); salvage it with \"sqlite3 FILE .recover\"",
                         s->path, sqlite3_errmsg(s->db));
    case SQLITE_NOTADB:
        return hpt__fail(HPT_E_INCOMPATIBLE, "'%s' is not an SQLite database; give the path of one, or of a new file",
                         s->path);
    default:
        return hpt__fail(HPT_E_STORAGE, "database '%s': %s; check that nothing else changed its tables", s->path,
                         sqlite3_errmsg(s->db));
    }
}

static int bind_time(sqlite3_stmt *stmt, int i, int64_t us) {
    char text[HPT__DATETIME_MAX];
    if (us == INT64_MIN) return sqlite3_bind_null(stmt, i);
    const size_t n = hpt__datetime_format(text, us);
    return sqlite3_bind_text(stmt, i, text, (int)n, SQLITE_TRANSIENT);
}

static int query(sqlite3_stmt **out, hpt__sqlite *s, hpt__sql id, const char *types, va_list args) {
    if (!s->stmts[id] &&
        sqlite3_prepare_v3(s->db, SQL_TEXTS[id], -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[id], NULL) != SQLITE_OK)
        return hpt__sqlite_error(s);
    sqlite3_stmt *stmt = s->stmts[id];
    for (int i = 1; *types; types++, i++) {
        int code = SQLITE_MISUSE;
        switch (*types) {
        case 'i':
            code = sqlite3_bind_int64(stmt, i, va_arg(args, int64_t));
            break;
        case 'd':
            code = sqlite3_bind_double(stmt, i, va_arg(args, double));
            break;
        case 's':
            code = sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        case 't':
            code = bind_time(stmt, i, va_arg(args, int64_t));
            break;
        }
        if (code != SQLITE_OK) return hpt__sqlite_error(s);
    }
    *out = stmt;
    return HPT_OK;
}

int hpt__sqlite_query(sqlite3_stmt **out, hpt__sqlite *s, hpt__sql id, const char *types, ...) {
    va_list args;
    va_start(args, types);
    const int rc = query(out, s, id, types, args);
    va_end(args);
    return rc;
}

int hpt__sqlite_step(hpt__sqlite *s, sqlite3_stmt *stmt) {
    const int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) return 1;
    const int rc = code == SQLITE_DONE ? HPT_OK : hpt__sqlite_error(s);
    sqlite3_reset(stmt);
    return rc;
}

int hpt__sqlite_exec(hpt__sqlite *s, hpt__sql id, const char *types, ...) {
    sqlite3_stmt *stmt;
    va_list args;
    va_start(args, types);
    int rc = query(&stmt, s, id, types, args);
    va_end(args);
    return rc < 0 ? rc : hpt__sqlite_step(s, stmt);
}

int hpt__sqlite_script(hpt__sqlite *s, const char *sql) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? HPT_OK : hpt__sqlite_error(s);
}

int hpt__sqlite_begin(hpt__sqlite *s) {
    if (s->read_only)
        return hpt__fail(HPT_E_STORAGE,
                         "database '%s' was opened read-only; open the study in another mode to change it", s->path);
    return hpt__sqlite_exec(s, HPT__SQL_BEGIN_WRITE, "");
}

void hpt__sqlite_rollback(hpt__sqlite *s) {
    char message[HPT__ERROR_MAX];
    if (sqlite3_get_autocommit(s->db)) return; // after a full disk or an I/O error SQLite has done it by itself
    hpt__error_copy(message);
    const int rc = hpt__sqlite_exec(s, HPT__SQL_ROLLBACK, "");
    // A rollback only fails on I/O errors; the change is not stored either way, and the first error says why.
    if (rc < 0) hpt__error_set(message);
}

int hpt__sqlite_end(hpt__sqlite *s, int rc) {
    int end = rc;
    if (rc >= 0) end = hpt__sqlite_exec(s, HPT__SQL_COMMIT, "");
    if (end < 0) hpt__sqlite_rollback(s);
    return end < 0 ? end : rc;
}

int hpt__sqlite_set_attrs(hpt__sqlite *s, hpt__sql user, hpt__sql system, int64_t owner, const hpt__attr_item *attrs,
                          int64_t n_attrs) {
    for (int64_t i = 0; i < n_attrs; i++) {
        const char *key = attrs[i].key;
        if ((key[0] != 'u' && key[0] != 's') || key[1] != ':')
            return hpt__fail(HPT_E_ARG, "attribute '%s': a key begins with u: or s:", key);
        const int rc = hpt__sqlite_exec(s, key[0] == 'u' ? user : system, "iss", owner, key + 2, attrs[i].value_json);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

const char *hpt__sqlite_value_type(double v) {
    if (isnan(v)) return "NAN";
    if (isinf(v)) return v > 0 ? "INF_POS" : "INF_NEG";
    return "FINITE";
}

double hpt__sqlite_value(sqlite3_stmt *stmt, int column) {
    if (sqlite3_column_type(stmt, column) != SQLITE_NULL) return sqlite3_column_double(stmt, column);
    const char *type = (const char *)sqlite3_column_text(stmt, column + 1);
    if (type && strcmp(type, "INF_POS") == 0) return INFINITY;
    if (type && strcmp(type, "INF_NEG") == 0) return -INFINITY;
    return NAN; // "NAN", and what no writer should have left
}
