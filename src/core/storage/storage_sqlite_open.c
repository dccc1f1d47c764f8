// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_open.c: a database file opened and closed.
//
// Opening never harms what it finds. A file that exists is first looked at without writing; only if it has Optuna's
// tables of our revision is it opened for writing. WAL mode is set in databases made here (readers and the writer do not
// wait for each other, and Optuna's own workers get 4 times faster with it); others keep the mode they have.
//
// The file is never opened by other means than SQLite: closing any descriptor of it would drop the POSIX locks of every
// connection this process has to it (https://www.sqlite.org/howtocorrupt.html, 2.2). Where no log or journal lies beside
// it, the look is "immutable": without locks and, for a database in WAL mode, without the -wal and -shm files that even
// a reader makes. Such a look may meet a writer that starts in that moment, so its verdict counts only if there is still
// no log afterwards.
//
// read_only: a reader of a WAL database makes -wal and -shm where there are none; on close they go again. Where the
// folder does not let it make them, the file is read as immutable: what it holds, without a log that may lie beside.
// Ownership: the handle owns connection, statements and views. Threads: one at a time. Cost: about a millisecond.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "storage_sqlite_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void close_db(hpt__sqlite *s) {
    for (int i = 0; i < HPT__SQL_COUNT; i++) {
        sqlite3_finalize(s->stmts[i]);
        s->stmts[i] = NULL;
    }
    sqlite3_close_v2(s->db);
    s->db = NULL;
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

// Size of the file whose name is the database's and a suffix; -1: none.
static int64_t size_beside(const hpt__sqlite *s, const char *suffix) {
    struct stat st;
    hpt__str name = HPT__STR_INIT;
    hpt__str_addf(&name, "%s%s", s->path, suffix);
    const int64_t size = stat(hpt__str_text(&name), &st) == 0 ? (int64_t)st.st_size : -1;
    hpt__str_fini(&name);
    return size;
}

static bool at_rest(const hpt__sqlite *s) {
    return size_beside(s, "-wal") < 0 && size_beside(s, "-journal") < 0;
}

// Opens and looks; the connection stays open on success. *code: SQLite's when the look failed.
static int open_and_look(hpt__schema_state *state, int *code, hpt__sqlite *s, bool immutable) {
    *code = SQLITE_OK;
    int rc = open_db(s, SQLITE_OPEN_READONLY, immutable);
    if (rc < 0) return rc;
    rc = hpt__sqlite_schema_look(state, s);
    if (rc >= 0) return rc;
    *code = sqlite3_extended_errcode(s->db) & 0xff;
    close_db(s);
    return rc;
}

// Whether the file is one to be opened, without touching it.
static int look_inside(hpt__schema_state *state, hpt__sqlite *s) {
    int code, rc;
    if (at_rest(s)) {
        rc = open_and_look(state, &code, s, true);
        close_db(s);
        if (rc >= 0 || rc == HPT_E_MEMORY || at_rest(s)) return rc;
    }
    rc = open_and_look(state, &code, s, false);
    close_db(s);
    return rc;
}

static int open_to_read(hpt__sqlite *s) {
    int code;
    hpt__schema_state state;
    s->tidy = size_beside(s, "-wal") < 0;
    int rc = open_and_look(&state, &code, s, false);
    if (rc < 0 && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)) {
        rc = open_and_look(&state, &code, s, true);
        if (rc >= 0 && size_beside(s, "-wal") > 0)
            hpt__log(
                HPT_LOG_WARN,
                "database '%s' is read without the log beside it, as its folder cannot be written: the newest results "
                "may be missing",
                s->path);
    }
    return rc;
}

// A connection that may write and is the last one takes an empty log away; SQLite's locks say whether it is.
static void tidy_up(hpt__sqlite *s) {
    char message[HPT__ERROR_MAX];
    if (!s->tidy || size_beside(s, "-wal") != 0) return;
    hpt__error_copy(message);
    s->busy_timeout = 0;
    int rc = open_db(s, SQLITE_OPEN_READWRITE, false);
    if (rc >= 0) rc = hpt__sqlite_script(s, "SELECT COUNT(*) FROM sqlite_master");
    if (rc < 0) hpt__error_set(message); // then they stay, as with any reader
    close_db(s);
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
    tidy_up(s);
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
        rc = look_inside(&state, s);
        // What a look cannot see (a crashed writer's journal to roll back) a writer can put right.
        if (rc == HPT_E_INCOMPATIBLE || rc == HPT_E_MEMORY) goto out;
        HPT_FAIL_IF(rc >= 0 && read_only && state == HPT__SCHEMA_NONE, HPT_E_NOT_FOUND,
                    "database '%s' has no tables yet; create a study in it first", s->path);
    }
    if (read_only) {
        HPT_TRY(open_to_read(s));
    } else {
        HPT_TRY(open_to_write(s, create));
        HPT_TRY(hpt__sqlite_script(s, strcmp(options->sqlite_synchronous, "full") == 0 ? "PRAGMA synchronous=FULL"
                                                                                       : "PRAGMA synchronous=NORMAL"));
    }
    // 16 MiB instead of 2: the pages that a load of 100,000 trials comes back to. A checkpoint (two fsyncs) each 16 MiB of
    // log instead of 4: on a busy disk they were most of an ask's time.
    HPT_TRY(hpt__sqlite_script(s, "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=4000"));
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
    .unclaim = hpt__sqlite_unclaim,
    .report = hpt__sqlite_report,
    .trial_attr_set = hpt__sqlite_trial_attr_set,
    .tell = hpt__sqlite_tell,
    .hold = hpt__sqlite_hold,
    .release = hpt__sqlite_release,
    .study_attrs = hpt__sqlite_study_attrs,
    .records = hpt__sqlite_records,
    .bulk_study = hpt__sqlite_bulk_study,
    .bulk_trial = hpt__sqlite_bulk_trial,
};
