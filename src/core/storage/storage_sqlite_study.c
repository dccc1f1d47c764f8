// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_study.c: studies in the database: made, found, listed, and their attributes.
//
// Threads: as the handle. Ownership: names, directions and texts handed out belong to the caller. Cost: a few statements
// each; hpt__sqlite_studies reads one index entry a trial and one value row a completed trial.
#include "../base/alloc.h"
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <math.h>
#include <string.h>

enum { NAMES_LISTED = 10 };

static const char *text_of(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

// ---- create

int hpt__sqlite_study_insert(int64_t *study_id, hpt__sqlite *s, const char *name, const hpt_direction *directions,
                             int64_t k, const hpt__attr_item *attrs, int64_t n_attrs) {
    int rc = HPT_OK;
    sqlite3_stmt *stmt;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_BY_NAME, "s", name));
    HPT_TRY(hpt__sqlite_step(s, stmt));
    sqlite3_reset(stmt);
    HPT_FAIL_IF(rc == 1, HPT_E_EXISTS, "database '%s' has a study '%s' already; choose another name, or open that one",
                s->path, name);
    HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_STUDY_INSERT, "s", name));
    const int64_t id = sqlite3_last_insert_rowid(s->db);
    for (int64_t i = 0; i < k; i++)
        HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_STUDY_DIRECTION_INSERT, "sii",
                                 directions[i] == HPT_MAXIMIZE ? "MAXIMIZE" : "MINIMIZE", id, i));
    HPT_TRY(hpt__sqlite_set_attrs(s, HPT__SQL_STUDY_USER_SET, HPT__SQL_STUDY_SYSTEM_SET, id, attrs, n_attrs));
    *study_id = id;
    rc = HPT_OK;
out:
    return rc;
}

int hpt__sqlite_study_create(int64_t *study_id, hpt__storage *storage, const char *name,
                             const hpt_direction *directions, int64_t k, const hpt__attr_item *attrs, int64_t n_attrs) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    int64_t id = 0;
    int rc = hpt__sqlite_begin(s);
    if (rc < 0) return rc;
    rc = hpt__sqlite_end(s, hpt__sqlite_study_insert(&id, s, name, directions, k, attrs, n_attrs));
    if (rc >= 0) *study_id = id;
    return rc;
}

// ---- find

// The error for an unnamed study where there is not just one.
static int name_them(hpt__sqlite *s, int64_t n) {
    int rc = HPT_OK;
    sqlite3_stmt *stmt = NULL;
    hpt__str names = HPT__STR_INIT;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_ALL, ""));
    for (int64_t i = 0; (rc = hpt__sqlite_step(s, stmt)) == 1; i++) {
        if (i < NAMES_LISTED) hpt__str_addf(&names, "%s%s", i ? ", " : "", text_of(stmt, 1));
    }
    if (rc < 0) goto out;
    if (n > NAMES_LISTED) hpt__str_add(&names, ", ...");
    HPT_TRY(hpt__str_status(&names));
    rc = hpt__fail(HPT_E_NOT_FOUND, "database '%s' has %lld studies, name one of: %s", s->path, (long long)n,
                   hpt__str_text(&names));
out:
    hpt__str_fini(&names);
    return rc;
}

// *name owned by the caller.
static int find_id(int64_t *study_id, char **name, hpt__sqlite *s, const char *wanted) {
    int rc = HPT_OK;
    int64_t n = 0;
    char *found = NULL;
    sqlite3_stmt *stmt;
    if (wanted)
        HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_BY_NAME, "s", wanted));
    else
        HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_ALL, ""));
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        if (n++) continue;
        *study_id = sqlite3_column_int64(stmt, 0);
        found = hpt__strdup(text_of(stmt, 1));
        if (!found) {
            sqlite3_reset(stmt);
            return hpt__fail_memory();
        }
    }
    if (rc < 0) goto out;
    HPT_FAIL_IF(n == 0 && wanted, HPT_E_NOT_FOUND, "database '%s' has no study '%s'; list them with \"hpt studies\"",
                s->path, wanted);
    HPT_FAIL_IF(n == 0, HPT_E_NOT_FOUND, "database '%s' has no study yet; create one first", s->path);
    if (n > 1) rc = name_them(s, n);
out:
    if (rc < 0)
        hpt__free(found);
    else
        *name = found;
    return rc;
}

static int read_directions(hpt_direction **out, int64_t *k, hpt__sqlite *s, int64_t study_id) {
    int rc = HPT_OK;
    hpt_direction *directions = NULL;
    int64_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_DIRECTIONS, "i", study_id));
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        if (hpt__grow(&directions, &cap, n + 1, sizeof *directions) < 0) {
            sqlite3_reset(stmt);
            rc = HPT_E_MEMORY;
            goto out;
        }
        // NOT_SET, which only studies of before Optuna 1 have, means the default.
        directions[n++] = strcmp(text_of(stmt, 0), "MAXIMIZE") == 0 ? HPT_MAXIMIZE : HPT_MINIMIZE;
    }
    if (rc < 0) goto out;
    HPT_FAIL_IF(n == 0, HPT_E_INCOMPATIBLE, "database '%s': study %lld has no direction; delete it with Optuna",
                s->path, (long long)study_id);
    *out = directions;
    *k = n;
    directions = NULL;
out:
    hpt__free(directions);
    return rc;
}

int hpt__sqlite_study_find(int64_t *study_id, char **name_out, hpt_direction **directions, int64_t *k,
                           hpt__storage *storage, const char *name) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    char *found = NULL;
    int64_t id = 0;
    int rc = find_id(&id, &found, s, name);
    if (rc < 0) return rc;
    rc = read_directions(directions, k, s, id);
    if (rc < 0) {
        hpt__free(found);
        return rc;
    }
    *study_id = id;
    *name_out = found;
    return HPT_OK;
}

// ---- attributes

int hpt__sqlite_study_attr_get(char **out, hpt__storage *storage, int64_t study_id, const char *key) {
    int rc = HPT_OK;
    hpt__sqlite *s = (hpt__sqlite *)storage;
    sqlite3_stmt *stmt;
    char *text = NULL;
    HPT_FAIL_IF((key[0] != 'u' && key[0] != 's') || key[1] != ':', HPT_E_ARG,
                "attribute '%s': a key begins with u: or s:", key);
    HPT_TRY(hpt__sqlite_query(&stmt, s, key[0] == 'u' ? HPT__SQL_STUDY_USER_GET : HPT__SQL_STUDY_SYSTEM_GET, "is",
                              study_id, key + 2));
    HPT_TRY(hpt__sqlite_step(s, stmt));
    if (rc == 1) {
        text = hpt__strdup(text_of(stmt, 0));
        sqlite3_reset(stmt);
        if (!text) return hpt__fail_memory();
    }
    *out = text;
    rc = HPT_OK;
out:
    return rc;
}

int hpt__sqlite_study_attr_set(hpt__storage *storage, int64_t study_id, const hpt__attr_item *attrs, int64_t n_attrs) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    const bool own = sqlite3_get_autocommit(s->db) != 0; // else part of the transaction that the caller is in
    int rc = own ? hpt__sqlite_begin(s) : HPT_OK;
    if (rc < 0) return rc;
    rc = hpt__sqlite_set_attrs(s, HPT__SQL_STUDY_USER_SET, HPT__SQL_STUDY_SYSTEM_SET, study_id, attrs, n_attrs);
    return own ? hpt__sqlite_end(s, rc) : rc;
}

// ---- list

// Counts, and the start of the first trial to whole seconds.
static int count_trials(hpt_study_summary *out, hpt__sqlite *s, int64_t study_id) {
    int rc = HPT_OK;
    sqlite3_stmt *stmt;
    char first[20] = "";
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_COUNTS, "i", study_id));
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        hpt_trial_state state;
        if (hpt_trial_state_from_string(&state, text_of(stmt, 0)) < 0) continue;
        out->counts[state] = sqlite3_column_int64(stmt, 1);
        const char *start = text_of(stmt, 2);
        if (*start && (!*first || strncmp(start, first, sizeof first - 1) < 0))
            sqlite3_snprintf(sizeof first, first, "%s", start);
    }
    if (rc < 0) goto out;
    out->created = hpt__strdup(first);
    if (!out->created) rc = hpt__fail_memory();
out:
    return rc;
}

static int find_best(hpt_study_summary *out, hpt__sqlite *s, int64_t study_id, hpt_direction direction) {
    int rc = HPT_OK;
    sqlite3_stmt *stmt;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_BEST, "i", study_id));
    HPT_TRY(hpt__sqlite_step(s, stmt));
    const int column = direction == HPT_MAXIMIZE ? 1 : 0;
    if (rc == 1 && sqlite3_column_type(stmt, column) != SQLITE_NULL) out->best = sqlite3_column_double(stmt, column);
    sqlite3_reset(stmt);
    rc = HPT_OK;
out:
    return rc;
}

static int summarise(hpt_study_summary *out, hpt__sqlite *s, int64_t study_id) {
    hpt_direction *directions = NULL;
    int rc = read_directions(&directions, &out->n_directions, s, study_id);
    if (rc < 0) return rc;
    out->best = NAN;
    HPT_TRY(count_trials(out, s, study_id));
    if (out->n_directions == 1) HPT_TRY(find_best(out, s, study_id, directions[0]));
out:
    hpt__free(directions);
    return rc;
}

int hpt__sqlite_studies(hpt_study_summary **out, int64_t *n_out, hpt__storage *storage) {
    int rc = HPT_OK;
    hpt__sqlite *s = (hpt__sqlite *)storage;
    hpt_study_summary *all = NULL;
    int64_t *ids = NULL, n = 0, cap = 0, cap_ids = 0;
    sqlite3_stmt *stmt;
    // One snapshot, so that counts and best of a study that runs agree; the caller may hold one.
    const bool own = sqlite3_get_autocommit(s->db);
    if (own) HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_BEGIN_READ, ""));
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_ALL, ""));
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        if ((rc = hpt__grow(&all, &cap, n + 1, sizeof *all)) < 0 ||
            (rc = hpt__grow(&ids, &cap_ids, n + 1, sizeof *ids)) < 0) {
            sqlite3_reset(stmt);
            goto out;
        }
        all[n] = (hpt_study_summary){.name = hpt__strdup(text_of(stmt, 1))};
        if (!all[n].name) {
            sqlite3_reset(stmt);
            rc = hpt__fail_memory();
            goto out;
        }
        ids[n++] = sqlite3_column_int64(stmt, 0);
    }
    if (rc < 0) goto out;
    for (int64_t i = 0; i < n; i++) HPT_TRY(summarise(&all[i], s, ids[i]));
    if (own) HPT_TRY(hpt__sqlite_exec(s, HPT__SQL_COMMIT, ""));
    if (!all) HPT_TRY(hpt__grow(&all, &cap, 1, sizeof *all)); // an array also of none
    *out = all;
    *n_out = n;
    all = NULL;
    rc = HPT_OK;
out:
    if (rc < 0 && own) hpt__sqlite_rollback(s);
    if (all) hpt_storage_summaries_free(all, n);
    hpt__free(ids);
    return rc;
}
