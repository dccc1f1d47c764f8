// SPDX-License-Identifier: Apache-2.0
// storage_sqlite.c: a database file of Optuna's schema: opening it, its statements, transactions and errors.
//
// Opening never harms what it finds. A file that exists is first looked at through a read-only connection; only if it
// has Optuna's tables of our revision is it opened for writing. The file is never opened by other means than SQLite:
// closing any descriptor of it would drop the POSIX locks of every connection this process has to it
// (https://www.sqlite.org/howtocorrupt.html, 2.2). WAL mode is set in databases made here (readers and one writer do
// not wait for each other, and Optuna's own workers get 4 times faster with it); others keep the mode they have.
//
// read_only: SQLite needs a shared-memory file beside a database in WAL mode, also for reading. Where the folder does
// not let it make one, the file is read as "immutable": what it holds, without a write-ahead log that may lie beside.
//
// Statements are prepared at first use and kept; an ask or a tell then is bind, step, reset. Every change is one
// BEGIN IMMEDIATE transaction: the write lock is taken before anything is read that the change depends on.
// Ownership: the handle owns connection, statements and views. Threads: one at a time (the connection has no mutex).
// Cost: measured in tests/storage/make_storage_fixture.c, mode "speed".
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "storage_sqlite_impl.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const SQL_TEXTS[HPT__SQL_COUNT] = {
#define X(name, text) [HPT__SQL_##name] = text,
    HPT__SQL_LIST(X)
#undef X
};

// ---- errors, statements, transactions

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
                         s->path, strerror(sqlite3_system_errno(s->db)));
    case SQLITE_IOERR:
        return hpt__fail(HPT_E_STORAGE, "database '%s': reading or writing failed (%s); check the disk", s->path,
                         strerror(sqlite3_system_errno(s->db)));
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

// ---- open and close

// The part of the URL that is a path; a bare path is one. The message names what to write instead.
static int path_of(char **out, const char *url) {
    const char *path = url;
    if (strncmp(url, "sqlite:", 7) == 0) {
        if (strncmp(url + 7, "///", 3) != 0)
            return hpt__fail(HPT_E_ARG, "'%s': write sqlite:///relative.db or sqlite:////absolute.db", url);
        path = url + 10;
        if (strcmp(path, ":memory:") == 0)
            return hpt__fail(HPT_E_ARG, "'%s': for a study that is not stored write :memory:", url);
        if (strchr(path, '?'))
            return hpt__fail(HPT_E_ARG, "'%s': parameters after ? are not known; sqlite.* options do their work", url);
    }
    if (!*path) return hpt__fail(HPT_E_ARG, "'%s' names no file; write sqlite:///relative.db", url);
    *out = hpt__strdup(path);
    return *out ? HPT_OK : hpt__fail_memory();
}

static int close_db(hpt__sqlite *s) {
    for (int i = 0; i < HPT__SQL_COUNT; i++) {
        sqlite3_finalize(s->stmts[i]);
        s->stmts[i] = NULL;
    }
    sqlite3_close_v2(s->db);
    s->db = NULL;
    return HPT_OK;
}

// A name that SQLite takes as a file's whatever its first letters ("file:", ":memory:"); as a URI if immutable.
static int file_name(hpt__str *out, const char *path, bool immutable) {
    if (immutable) hpt__str_add(out, "file:");
    if (path[0] != '/') hpt__str_add(out, "./");
    for (const char *p = path; *p; p++) {
        if (immutable && strchr("%?#", *p))
            hpt__str_addf(out, "%%%02X", (unsigned)(unsigned char)*p);
        else
            hpt__str_addc(out, *p);
    }
    if (immutable) hpt__str_add(out, "?immutable=1");
    return hpt__str_status(out);
}

static int open_db(hpt__sqlite *s, int flags, bool immutable) {
    hpt__str name = HPT__STR_INIT;
    int rc = file_name(&name, s->path, immutable);
    if (rc < 0) goto out;
    flags |= SQLITE_OPEN_NOMUTEX | (immutable ? SQLITE_OPEN_URI : 0);
    if (sqlite3_open_v2(hpt__str_text(&name), &s->db, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(s->db, (int)(s->busy_timeout * 1000)) != SQLITE_OK) {
        rc = hpt__sqlite_error(s);
        close_db(s);
    }
out:
    hpt__str_fini(&name);
    return rc;
}

// Whether the folder of a file to be made is there and lets us.
static int check_folder(const hpt__sqlite *s) {
    int rc = HPT_OK;
    struct stat st;
    const char *slash = strrchr(s->path, '/');
    char *folder = !slash ? hpt__strdup(".") : hpt__strndup(s->path, slash == s->path ? 1 : (size_t)(slash - s->path));
    if (!folder) return hpt__fail_memory();
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode))
        rc = hpt__fail(HPT_E_STORAGE, "database '%s': folder '%s' does not exist; create it first", s->path, folder);
    else if (access(folder, W_OK | X_OK) != 0)
        rc = hpt__fail(HPT_E_STORAGE, "database '%s': folder '%s' cannot be written (%s); choose another", s->path,
                       folder, strerror(errno));
    hpt__free(folder);
    return rc;
}

// *fresh: there is nothing in the file yet, and it may be made.
static int look_at_path(bool *fresh, const hpt__sqlite *s, bool create) {
    struct stat st;
    const bool may_create = create && !s->read_only;
    *fresh = false;
    if (stat(s->path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return hpt__fail(HPT_E_STORAGE, "database '%s' cannot be reached (%s)", s->path, strerror(errno));
        if (!may_create)
            return hpt__fail(HPT_E_NOT_FOUND,
                             "database '%s' does not exist; check the path, or create a study in it first", s->path);
        *fresh = true;
        return check_folder(s);
    }
    if (!S_ISREG(st.st_mode))
        return hpt__fail(HPT_E_ARG, "'%s' is %s; give the path of a database file", s->path,
                         S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
    if (st.st_size > 0) return HPT_OK;
    if (!may_create) return hpt__fail(HPT_E_NOT_FOUND, "database '%s' is empty; create a study in it first", s->path);
    *fresh = true;
    return HPT_OK;
}

// Opens read-only and looks; the connection stays open on success.
static int open_to_read(hpt__schema_state *state, hpt__sqlite *s) {
    int rc = open_db(s, SQLITE_OPEN_READONLY, false);
    if (rc < 0) return rc;
    rc = hpt__sqlite_schema_look(state, s);
    const int code = rc < 0 ? sqlite3_extended_errcode(s->db) & 0xff : SQLITE_OK;
    if (rc < 0) close_db(s);
    if (!s->read_only || (code != SQLITE_CANTOPEN && code != SQLITE_READONLY)) return rc;
    rc = open_db(s, SQLITE_OPEN_READONLY, true);
    if (rc >= 0) rc = hpt__sqlite_schema_look(state, s);
    if (rc < 0) return rc;
    hpt__log(HPT_LOG_WARN,
             "database '%s' is read without its write-ahead log (its folder is read-only): "
             "the newest results may be missing",
             s->path);
    return HPT_OK;
}

static int open_to_write(hpt__sqlite *s, bool create) {
    int rc = HPT_OK;
    hpt__schema_state state;
    HPT_TRY(open_db(s, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), false));
    HPT_FAIL_IF(sqlite3_db_readonly(s->db, "main") == 1, HPT_E_STORAGE,
                "database '%s' cannot be written; give write permission, or open it read-only", s->path);
    HPT_TRY(hpt__sqlite_schema_look(&state, s));
    HPT_FAIL_IF(state == HPT__SCHEMA_NONE && !create, HPT_E_NOT_FOUND,
                "database '%s' has no tables yet; create a study in it first", s->path);
    if (state == HPT__SCHEMA_NONE) HPT_TRY(hpt__sqlite_schema_make(s));
    if (state == HPT__SCHEMA_UNSTAMPED) HPT_TRY(hpt__sqlite_schema_stamp(s));
out:
    return rc;
}

static void close_sqlite(hpt__storage *storage) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    if (!s) return;
    close_db(s);
    for (int64_t i = 0; i < s->n_views; i++) hpt__sqlite_view_fini(&s->views[i]);
    hpt__free(s->views);
    hpt__free(s->path);
    hpt__free(s->base.url);
    hpt__free(s);
}

static int open_sqlite(hpt__storage **out, const char *url, bool create, bool read_only, const hpt__options *options) {
    int rc = HPT_OK;
    bool fresh;
    hpt__schema_state state;
    hpt__sqlite *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->base.ops = &hpt__storage_sqlite_ops;
    s->read_only = read_only;
    s->busy_timeout = options->sqlite_busy_timeout;
    s->base.url = hpt__strdup(url);
    HPT_FAIL_IF(!s->base.url, HPT_E_MEMORY, "out of memory");
    HPT_TRY(path_of(&s->path, url));
    HPT_TRY(look_at_path(&fresh, s, create));
    if (!fresh) {
        rc = open_to_read(&state, s);
        // What a reader cannot see (a crashed writer's journal to roll back) a writer can put right.
        if (rc < 0 && (read_only || rc == HPT_E_INCOMPATIBLE || rc == HPT_E_MEMORY)) goto out;
        HPT_FAIL_IF(rc >= 0 && read_only && state == HPT__SCHEMA_NONE, HPT_E_NOT_FOUND,
                    "database '%s' has no tables yet; create a study in it first", s->path);
    }
    if (!read_only) {
        close_db(s);
        HPT_TRY(open_to_write(s, create));
        HPT_TRY(hpt__sqlite_script(s, strcmp(options->sqlite_synchronous, "full") == 0 ? "PRAGMA synchronous=FULL"
                                                                                       : "PRAGMA synchronous=NORMAL"));
    }
    // 16 MiB instead of 2: the pages that a load of 100,000 trials comes back to.
    HPT_TRY(hpt__sqlite_script(s, "PRAGMA cache_size=-16384"));
    *out = &s->base;
    s = NULL;
    rc = HPT_OK;
out:
    close_sqlite(s ? &s->base : NULL);
    return rc;
}

const hpt__storage_ops hpt__storage_sqlite_ops = {
    .scheme = "sqlite",
    .open = open_sqlite,
    .close = close_sqlite,
    .study_create = hpt__sqlite_study_create,
    .study_find = hpt__sqlite_study_find,
    .study_attr_get = hpt__sqlite_study_attr_get,
    .study_attr_set = hpt__sqlite_study_attr_set,
    .studies = hpt__sqlite_studies,
    .distributions = hpt__sqlite_distributions,
    .sync = hpt__sqlite_sync,
    .create_trials = hpt__sqlite_create_trials,
    .claim_waiting = hpt__sqlite_claim_waiting,
    .report = hpt__sqlite_report,
    .trial_attr_set = hpt__sqlite_trial_attr_set,
    .tell = hpt__sqlite_tell,
};
