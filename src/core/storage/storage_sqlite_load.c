// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_load.c: the database read into a study's table: all of it at first, then what changed.
//
// "PRAGMA data_version" is a counter of commits by other connections; as long as it stands still there is nothing to
// read, since what this handle writes the study puts into the table itself. When it moved, new are the trials with an id
// beyond the last one seen (ids grow in the order of the write lock), and of the old ones only those that were not
// finished can differ: finished trials are immutable in Optuna. A waiting trial is read again only once it is none.
//
// First load: ordered streams, one statement a table, no statement a trial. If the study owns most of the database's
// trials, tables are read in the order of their rows (SCAN_*); else through the study's trials (LOAD_*). 100,000 trials
// of 20 parameters: see docs; the texts of distributions are compared with the space's own and forgotten.
//
// A value is taken into the column of a parameter of the space if its distribution fits (storage_table.h), else the
// trial is foreign. A trial appears in the table whole or not at all: a load that fails takes its new rows back.
// Ownership: the view keeps row numbers and the last distribution compared, the table the data. Threads: as the handle.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <math.h>
#include <string.h>

// ---- views

void hpt__sqlite_view_fini(hpt__sqlite_view *view) {
    for (int64_t i = 0; view->verdicts && i < view->d; i++) hpt__free(view->verdicts[i].text);
    hpt__free(view->verdicts);
    hpt__free(view->point);
    hpt__free(view->open_rows);
    *view = (hpt__sqlite_view){0};
}

// A view for a table as it stands, which says nothing about when it was last in step.
static int view_init(hpt__sqlite_view *view, int64_t study_id, const hpt__trials *table) {
    int rc = HPT_OK;
    *view =
        (hpt__sqlite_view){.study_id = study_id, .table = table, .n_rows = table->n, .data_version = -1, .d = table->d};
    view->verdicts = hpt__calloc((size_t)table->d, sizeof *view->verdicts);
    view->point = hpt__calloc((size_t)table->d, sizeof *view->point);
    if (!view->verdicts || !view->point) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t row = 0; row < table->n; row++) {
        if (table->info[row].trial_id > view->last_trial_id) view->last_trial_id = table->info[row].trial_id;
        if (table->number[row] >= view->next_number) view->next_number = table->number[row] + 1;
        if (table->state[row] != HPT_TRIAL_RUNNING && table->state[row] != HPT_TRIAL_WAITING) continue;
        HPT_TRY(hpt__grow(&view->open_rows, &view->cap_open, view->n_open + 1, sizeof *view->open_rows));
        view->open_rows[view->n_open++] = row;
    }
    rc = HPT_OK;
out:
    if (rc < 0) hpt__sqlite_view_fini(view);
    return rc;
}

int hpt__sqlite_view_of(hpt__sqlite_view **out, hpt__sqlite *s, int64_t study_id, const hpt__trials *table) {
    int64_t i = 0;
    while (i < s->n_views && s->views[i].study_id != study_id) i++;
    if (i < s->n_views) {
        const hpt__sqlite_view *view = &s->views[i];
        if (view->table == table && view->n_rows == table->n && view->d == table->d && table->n > 0) {
            *out = &s->views[i];
            return HPT_OK;
        }
    }
    hpt__sqlite_view fresh;
    int rc = view_init(&fresh, study_id, table);
    if (rc < 0) return rc;
    if (i == s->n_views) {
        rc = hpt__grow(&s->views, &s->cap_views, i + 1, sizeof *s->views);
        if (rc < 0) {
            hpt__sqlite_view_fini(&fresh);
            return rc;
        }
        s->n_views++;
    } else {
        hpt__sqlite_view_fini(&s->views[i]);
    }
    s->views[i] = fresh;
    *out = &s->views[i];
    return HPT_OK;
}

// ---- one load

typedef struct load {
    hpt__sqlite *s;
    hpt__sqlite_view *view;
    hpt__trials *table;
    int64_t row;   // where the last id was found
    int64_t first; // no row before this one belongs to the load
    bool *strange; // by row - first: a value was left out
} load;

// Row of a trial id at or after `first`, or -1. Ids ascend with rows; streams mostly stay at a row or go to the next.
static int64_t row_of_id(load *l, int64_t trial_id) {
    const hpt__trial_info *info = l->table->info;
    const int64_t n = l->table->n;
    for (int64_t row = l->row; row < n && row < l->row + 2; row++)
        if (info[row].trial_id == trial_id) return l->row = row;
    int64_t low = l->first, high = n;
    while (low < high) {
        const int64_t mid = low + (high - low) / 2;
        if (info[mid].trial_id < trial_id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low >= n || info[low].trial_id != trial_id) return -1;
    return l->row = low;
}

// A text of the database. It ends at its first NUL byte, which SQLite would let stand in its midst.
static const char *text_at(sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

// Whether the text's values may go to column i of the space: the space's own text, the last other one, or a new one.
static int fits(bool *out, load *l, int64_t i, const char *text) {
    const hpt__param *p = &l->table->space->params[i];
    hpt__sqlite_verdict *v = &l->view->verdicts[i];
    if (strcmp(text, p->dist_json) == 0) {
        *out = true;
        return HPT_OK;
    }
    if (v->text && strcmp(v->text, text) == 0) {
        *out = v->fits;
        return HPT_OK;
    }
    char *copy = hpt__strdup(text);
    if (!copy) return hpt__fail_memory();
    const int rc = hpt__storage_fits(out, p, text);
    if (rc < 0) {
        hpt__free(copy);
        return rc;
    }
    hpt__free(v->text);
    *v = (hpt__sqlite_verdict){copy, *out};
    return HPT_OK;
}

static int take_param(load *l, sqlite3_stmt *stmt, int64_t row, int64_t *guess) {
    hpt__trials *t = l->table;
    const char *name = text_at(stmt, 1), *dist = text_at(stmt, 3);
    const double v = sqlite3_column_type(stmt, 2) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, 2);
    // Parameters come in nearly the same order in every trial: the next column is the first guess.
    int64_t i = *guess + 1 < t->d ? *guess + 1 : 0;
    if (t->d == 0 || strcmp(name, t->space->params[i].name) != 0) i = hpt__space_find(t->space, name);
    if (i < 0) return hpt__trials_set_param(t, row, name, v, dist);
    *guess = i;
    bool ok;
    const int rc = fits(&ok, l, i, dist);
    if (rc < 0) return rc;
    if (!ok)
        l->strange[row - l->first] = true;
    else if (memcmp(&t->columns[i].values[row], &v, sizeof v) != 0) {
        t->columns[i].values[row] = v;
        hpt__trials_touch(t, row);
    }
    return HPT_OK;
}

static int take_attr(load *l, sqlite3_stmt *stmt, int64_t row, char kind, hpt__str *key) {
    hpt__str_clear(key);
    hpt__str_addc(key, kind);
    hpt__str_addc(key, ':');
    hpt__str_add(key, text_at(stmt, 1));
    const int rc = hpt__str_status(key);
    return rc < 0 ? rc : hpt__trials_set_attr(l->table, row, hpt__str_text(key), text_at(stmt, 2));
}

static void take_value(load *l, sqlite3_stmt *stmt, int64_t row) {
    const int64_t objective = sqlite3_column_int64(stmt, 1);
    if (objective < 0 || objective >= l->table->k) return;
    l->table->values[row * l->table->k + objective] = hpt__sqlite_value(stmt, 2);
}

// One stream of details into the rows at or after `first`.
static int stream(load *l, hpt__sql ordered, hpt__sql scan, bool whole, int64_t low, int64_t high, hpt__str *key) {
    sqlite3_stmt *stmt;
    int64_t guess = -1;
    int rc = whole ? hpt__sqlite_query(&stmt, l->s, scan, "")
                   : hpt__sqlite_query(&stmt, l->s, ordered, "iii", l->view->study_id, low, high);
    if (rc < 0) return rc;
    l->row = l->first;
    while ((rc = hpt__sqlite_step(l->s, stmt)) == 1) {
        const int64_t row = row_of_id(l, sqlite3_column_int64(stmt, 0));
        if (row < 0) continue;
        switch (ordered) {
        case HPT__SQL_LOAD_PARAMS:
            rc = take_param(l, stmt, row, &guess);
            break;
        case HPT__SQL_LOAD_USER:
            rc = take_attr(l, stmt, row, 'u', key);
            break;
        case HPT__SQL_LOAD_SYSTEM:
            rc = take_attr(l, stmt, row, 's', key);
            break;
        case HPT__SQL_LOAD_REPORTS:
            rc = hpt__trials_report(l->table, row, sqlite3_column_int64(stmt, 1), hpt__sqlite_value(stmt, 2));
            break;
        default:
            take_value(l, stmt, row);
            break;
        }
        if (rc < 0) {
            sqlite3_reset(stmt);
            return rc;
        }
    }
    return rc;
}

// Parameters, attributes, reports and values of the trials with ids low..high, whose rows are there already.
static int load_details(load *l, bool whole, int64_t low, int64_t high) {
    int rc = HPT_OK;
    hpt__str key = HPT__STR_INIT;
    HPT_TRY(stream(l, HPT__SQL_LOAD_PARAMS, HPT__SQL_SCAN_PARAMS, whole, low, high, &key));
    HPT_TRY(stream(l, HPT__SQL_LOAD_USER, HPT__SQL_SCAN_USER, whole, low, high, &key));
    HPT_TRY(stream(l, HPT__SQL_LOAD_SYSTEM, HPT__SQL_SCAN_SYSTEM, whole, low, high, &key));
    HPT_TRY(stream(l, HPT__SQL_LOAD_REPORTS, HPT__SQL_SCAN_REPORTS, whole, low, high, &key));
    HPT_TRY(stream(l, HPT__SQL_LOAD_VALUES, HPT__SQL_SCAN_VALUES, whole, low, high, &key));
out:
    hpt__str_fini(&key);
    return rc;
}

// ---- rows of the trials table

int64_t hpt__sqlite_time(sqlite3_stmt *stmt, int column) {
    int64_t us;
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text && hpt__datetime_parse(&us, text) ? us : INT64_MIN;
}

int hpt__sqlite_read_head(hpt__sqlite_head *out, hpt__sqlite *s, sqlite3_stmt *stmt, int64_t next_number) {
    const char *state = (const char *)sqlite3_column_text(stmt, 2);
    out->trial_id = sqlite3_column_int64(stmt, 0);
    // NULL: a writer that numbers in a second step was interrupted; the number Optuna would give is the count.
    out->number = sqlite3_column_type(stmt, 1) == SQLITE_NULL ? next_number : sqlite3_column_int64(stmt, 1);
    // Sums with numbers and ids must not overflow.
    if (out->number < 0 || out->number > INT64_MAX / 4 || out->trial_id > INT64_MAX / 4)
        return hpt__fail(HPT_E_INCOMPATIBLE,
                         "database '%s': the trial with id %lld has the number %lld, which no program gives", s->path,
                         (long long)out->trial_id, (long long)out->number);
    if (hpt_trial_state_from_string(&out->state, state) < 0)
        return hpt__fail(HPT_E_INCOMPATIBLE,
                         "database '%s': trial %lld has the unknown state '%s'; a newer program wrote it", s->path,
                         (long long)out->number, state ? state : "NULL");
    out->start_us = hpt__sqlite_time(stmt, 3);
    out->complete_us = hpt__sqlite_time(stmt, 4);
    return HPT_OK;
}

static bool is_open(hpt_trial_state state) {
    return state == HPT_TRIAL_RUNNING || state == HPT_TRIAL_WAITING;
}

// The row's details are there: its state, and whether the space knows its parameters.
static void settle(load *l, int64_t row, hpt_trial_state state, int64_t complete_us) {
    hpt__trials *t = l->table;
    if (!is_open(state))
        hpt__trials_finish(t, row, state, &t->values[row * t->k], complete_us);
    else if (t->state[row] != state)
        hpt__trials_set_state(t, row, state);
    hpt__trials_get_point(l->view->point, t, row);
    hpt__storage_judge(t, row, l->view->point, l->strange[row - l->first]);
}

static int add_new_rows(load *l, int64_t *last_id, int64_t *next_number) {
    sqlite3_stmt *stmt;
    hpt__trials *t = l->table;
    int rc = hpt__sqlite_query(&stmt, l->s, HPT__SQL_LOAD_TRIALS, "iii", l->view->study_id, l->view->last_trial_id + 1,
                               INT64_MAX);
    if (rc < 0) return rc;
    while ((rc = hpt__sqlite_step(l->s, stmt)) == 1) {
        hpt__sqlite_head h;
        int64_t row;
        rc = hpt__sqlite_read_head(&h, l->s, stmt, *next_number);
        if (rc >= 0) rc = hpt__trials_add(&row, t, h.number, h.trial_id, h.state);
        if (rc < 0) {
            sqlite3_reset(stmt);
            return rc;
        }
        t->info[row].start_us = h.start_us;
        t->info[row].complete_us = h.complete_us;
        *last_id = h.trial_id;
        if (h.number >= *next_number) *next_number = h.number + 1;
    }
    return rc;
}

// Trials beyond the last one seen.
static int load_new(hpt__sqlite *s, hpt__sqlite_view *view, hpt__trials *table) {
    load l = {s, view, table, 0, table->n, NULL};
    sqlite3_stmt *stmt;
    int64_t last_id = view->last_trial_id, next_number = view->next_number, n_all = INT64_MAX;
    int rc = add_new_rows(&l, &last_id, &next_number);
    const int64_t n_new = table->n - l.first;
    if (rc < 0 || n_new == 0) goto out;
    l.strange = hpt__calloc((size_t)n_new, sizeof *l.strange);
    if (!l.strange) {
        rc = hpt__fail_memory();
        goto out;
    }
    if (n_new > 1000) { // only then does it matter which way
        HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_COUNT_ALL_TRIALS, ""));
        HPT_TRY(hpt__sqlite_step(s, stmt));
        if (rc == 1) n_all = sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
    }
    HPT_TRY(load_details(&l, n_new > n_all / 2, view->last_trial_id + 1, last_id));
    int64_t n_open = 0;
    for (int64_t row = l.first; row < table->n; row++) n_open += is_open((hpt_trial_state)table->state[row]);
    HPT_TRY(hpt__grow(&view->open_rows, &view->cap_open, view->n_open + n_open, sizeof *view->open_rows));
    for (int64_t row = l.first; row < table->n; row++) {
        settle(&l, row, (hpt_trial_state)table->state[row], table->info[row].complete_us);
        if (is_open((hpt_trial_state)table->state[row])) view->open_rows[view->n_open++] = row;
    }
    view->last_trial_id = last_id;
    view->next_number = next_number;
    view->n_rows = table->n;
    rc = HPT_OK;
out:
    if (rc < 0) hpt__trials_truncate(table, l.first);
    hpt__free(l.strange);
    return rc;
}

// ---- trials that were not finished

static int refresh_row(hpt__sqlite *s, hpt__sqlite_view *view, hpt__trials *t, int64_t row) {
    bool strange = false;
    load l = {s, view, t, row, row, &strange};
    sqlite3_stmt *stmt;
    hpt__sqlite_head h;
    const int64_t id = t->info[row].trial_id;
    int rc = hpt__sqlite_query(&stmt, s, HPT__SQL_LOAD_TRIALS, "iii", view->study_id, id, id);
    if (rc < 0) return rc;
    rc = hpt__sqlite_step(s, stmt);
    if (rc < 0) return rc;
    if (rc == 0)
        return hpt__fail(HPT_E_STORAGE, "database '%s': trial %lld has vanished; its study was deleted or replaced",
                         s->path, (long long)t->number[row]);
    rc = hpt__sqlite_read_head(&h, s, stmt, t->number[row]);
    sqlite3_reset(stmt);
    if (rc < 0) return rc;
    if (h.state == HPT_TRIAL_WAITING && t->state[row] == HPT_TRIAL_WAITING) return HPT_OK;
    rc = load_details(&l, false, id, id);
    if (rc < 0) return rc;
    t->info[row].start_us = h.start_us;
    settle(&l, row, h.state, h.complete_us);
    return HPT_OK;
}

static int refresh_open(hpt__sqlite *s, hpt__sqlite_view *view, hpt__trials *table) {
    int rc = HPT_OK;
    int64_t kept = 0, i = 0;
    for (; i < view->n_open; i++) {
        const int64_t row = view->open_rows[i];
        if (!is_open((hpt_trial_state)table->state[row])) continue; // told by this handle
        HPT_TRY(refresh_row(s, view, table, row));
        if (is_open((hpt_trial_state)table->state[row])) view->open_rows[kept++] = row;
    }
    view->n_open = kept;
    rc = HPT_OK;
out:
    if (rc < 0 && kept < i) { // keep what was not looked at
        memmove(view->open_rows + kept, view->open_rows + i, (size_t)(view->n_open - i) * sizeof *view->open_rows);
        view->n_open -= i - kept;
    }
    return rc;
}

// ---- sync

static int read_data_version(int64_t *out, hpt__sqlite *s) {
    sqlite3_stmt *stmt;
    int rc = hpt__sqlite_query(&stmt, s, HPT__SQL_DATA_VERSION, "");
    if (rc < 0) return rc;
    rc = hpt__sqlite_step(s, stmt);
    if (rc == 1) {
        *out = sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
        rc = HPT_OK;
    }
    return rc;
}

int hpt__sqlite_catch_up(hpt__sqlite *s, hpt__sqlite_view *view, hpt__trials *table) {
    int rc = HPT_OK;
    int64_t version = -1;
    sqlite3_stmt *stmt;
    HPT_TRY(read_data_version(&version, s));
    if (version == view->data_version) return HPT_OK;
    HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_STUDY_BY_ID, "i", view->study_id));
    HPT_TRY(hpt__sqlite_step(s, stmt));
    HPT_FAIL_IF(rc == 0, HPT_E_NOT_FOUND, "database '%s': the study was deleted by another program", s->path);
    sqlite3_reset(stmt);
    HPT_TRY(refresh_open(s, view, table));
    HPT_TRY(load_new(s, view, table));
    view->data_version = version;
out:
    return rc;
}

int hpt__sqlite_sync(hpt__storage *storage, int64_t study_id, hpt__trials *table) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    hpt__sqlite_view *view;
    int64_t version = -1;
    const uint64_t before = table->version;
    int rc = hpt__sqlite_view_of(&view, s, study_id, table);
    if (rc < 0) return rc;
    rc = read_data_version(&version, s);
    if (rc < 0) return rc;
    if (version == view->data_version) return HPT_S_NOTHING;
    rc = hpt__sqlite_exec(s, HPT__SQL_BEGIN_READ, "");
    if (rc < 0) return rc;
    rc = hpt__sqlite_end(s, hpt__sqlite_catch_up(s, view, table));
    if (rc < 0) return rc;
    return table->version == before ? HPT_S_NOTHING : HPT_OK;
}

// ---- distributions

typedef struct seen {            // of one parameter name
    int64_t first_id, newest_id; // param_id of its first row; of the newest trial's
    int64_t newest_trial;
} seen;

// Names in the map, in order of insertion, with what was seen of each.
static int collect_names(hpt__map *names, seen **all, int64_t *n, hpt__sqlite *s, int64_t study_id) {
    sqlite3_stmt *stmt;
    int64_t cap = 0;
    int rc = hpt__sqlite_query(&stmt, s, HPT__SQL_PARAM_NAMES, "iii", study_id, (int64_t)0, INT64_MAX);
    if (rc < 0) return rc;
    while ((rc = hpt__sqlite_step(s, stmt)) == 1) {
        int64_t at;
        const char *name = text_at(stmt, 0);
        const size_t len = strlen(name);
        const int64_t id = sqlite3_column_int64(stmt, 1), trial_id = sqlite3_column_int64(stmt, 2);
        if (!hpt__map_get(&at, names, name, len)) {
            at = *n;
            rc = hpt__grow(all, &cap, at + 1, sizeof **all);
            if (rc >= 0) rc = hpt__map_set(names, name, len, at);
            if (rc < 0) {
                sqlite3_reset(stmt);
                return rc;
            }
            (*all)[at] = (seen){id, id, trial_id};
            ++*n;
        }
        seen *one = &(*all)[at];
        if (id < one->first_id) one->first_id = id;
        if (trial_id >= one->newest_trial) {
            one->newest_trial = trial_id;
            one->newest_id = id;
        }
    }
    return rc;
}

int hpt__sqlite_distributions(hpt__storage *storage, int64_t study_id,
                              int (*fn)(const char *name, const char *json, void *p), void *p) {
    hpt__sqlite *s = (hpt__sqlite *)storage;
    hpt__map names;
    seen *all = NULL;
    int64_t n = 0;
    hpt__map_init(&names);
    int rc = collect_names(&names, &all, &n, s, study_id);
    if (rc < 0) goto out;
    for (int64_t done = 0; done < n; done++) { // few names: the next is the one that appeared first of those left
        int64_t next = -1;
        for (int64_t i = 0; i < n; i++)
            if (all[i].first_id != INT64_MAX && (next < 0 || all[i].first_id < all[next].first_id)) next = i;
        sqlite3_stmt *stmt;
        HPT_TRY(hpt__sqlite_query(&stmt, s, HPT__SQL_PARAM_DISTRIBUTION, "i", all[next].newest_id));
        HPT_TRY(hpt__sqlite_step(s, stmt));
        if (rc == 1) {
            rc = fn(names.entries[next].key, text_at(stmt, 0), p);
            sqlite3_reset(stmt);
            if (rc != 0) goto out;
        }
        all[next].first_id = INT64_MAX;
    }
    rc = HPT_OK;
out:
    hpt__map_fini(&names);
    hpt__free(all);
    return rc;
}
