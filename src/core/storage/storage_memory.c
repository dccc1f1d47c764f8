// SPDX-License-Identifier: Apache-2.0
// storage_memory.c: ":memory:", studies that live as long as their handle.
//
// Each study's trials are a table of the same kind as the study's own (hpt__trials), without a space: every parameter is
// a column found by its name. The study's table is a copy of it, as with a database, so that a study behaves the same
// on both and a second table on the handle can be filled. Nobody else can write, so a sync only copies rows that the
// table lacks. Every change allocates first and then takes effect, or is taken back: the transaction of this storage.
// A parameter has one distribution here, the newest, also in records: nobody else can bring another one.
// Ownership: the handle owns everything. Threads: one at a time. Cost: O(d) a trial, some microseconds.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "storage_record.h"
#include "storage_table.h"

#include <math.h>
#include <string.h>

typedef struct study {
    char *name;
    hpt_direction *directions;
    int64_t k;
    hpt__map attr_at; // key -> index into attrs
    char **attrs;     // JSON texts
    int64_t n_attrs, cap_attrs;
    hpt__trials trials;
    int64_t first_waiting; // no row before it waits
} study;

typedef struct place {
    int64_t study, row;
} place;

typedef struct memory {
    hpt__storage base;
    study **studies; // study_id - 1
    int64_t n_studies, cap_studies;
    place *places; // trial_id - 1
    int64_t n_places, cap_places;
    int64_t held_studies, held_places; // what there was when hold was called
} memory;

static bool finished(hpt_trial_state state) {
    return state != HPT_TRIAL_RUNNING && state != HPT_TRIAL_WAITING;
}

// ---- open and close

static void study_free(study *st) {
    if (!st) return;
    for (int64_t i = 0; i < st->n_attrs; i++) hpt__free(st->attrs[i]);
    hpt__free(st->attrs);
    hpt__map_fini(&st->attr_at);
    hpt__trials_fini(&st->trials);
    hpt__free(st->directions);
    hpt__free(st->name);
    hpt__free(st);
}

static void close_memory(hpt__storage *storage) {
    memory *m = (memory *)storage;
    if (!m) return;
    for (int64_t i = 0; i < m->n_studies; i++) study_free(m->studies[i]);
    hpt__free(m->studies);
    hpt__free(m->places);
    hpt__free(m->base.url);
    hpt__free(m);
}

static int open_memory(hpt__storage **out, const char *url, bool create, bool read_only, const hpt__options *options) {
    (void)create, (void)read_only, (void)options; // a new one each time, so there is nothing to find or to protect
    memory *m = hpt__calloc(1, sizeof *m);
    if (!m) return hpt__fail_memory();
    m->base.ops = &hpt__storage_memory_ops;
    m->base.url = hpt__strdup(url);
    if (!m->base.url) {
        close_memory(&m->base);
        return hpt__fail_memory();
    }
    *out = &m->base;
    return HPT_OK;
}

// ---- studies

static int check_key(const char *key) {
    if ((key[0] == 'u' || key[0] == 's') && key[1] == ':') return HPT_OK;
    return hpt__fail(HPT_E_ARG, "attribute '%s': a key begins with u: or s:", key);
}

static int set_attrs(study *st, const hpt__attr_item *attrs, int64_t n_attrs) {
    for (int64_t i = 0; i < n_attrs; i++) {
        int rc = check_key(attrs[i].key);
        if (rc < 0) return rc;
        char *copy = hpt__strdup(attrs[i].value_json);
        if (!copy) return hpt__fail_memory();
        int64_t at;
        if (hpt__map_get(&at, &st->attr_at, attrs[i].key, strlen(attrs[i].key))) {
            hpt__free(st->attrs[at]);
            st->attrs[at] = copy;
            continue;
        }
        rc = hpt__grow(&st->attrs, &st->cap_attrs, st->n_attrs + 1, sizeof *st->attrs);
        if (rc >= 0) rc = hpt__map_set(&st->attr_at, attrs[i].key, strlen(attrs[i].key), st->n_attrs);
        if (rc < 0) {
            hpt__free(copy);
            return rc;
        }
        st->attrs[st->n_attrs++] = copy;
    }
    return HPT_OK;
}

static int study_create(int64_t *study_id, hpt__storage *storage, const char *name, const hpt_direction *directions,
                        int64_t k, const hpt__attr_item *attrs, int64_t n_attrs) {
    int rc = HPT_OK;
    memory *m = (memory *)storage;
    study *st = NULL;
    for (int64_t i = 0; i < m->n_studies; i++)
        HPT_FAIL_IF(strcmp(m->studies[i]->name, name) == 0, HPT_E_EXISTS,
                    "there is a study '%s' in memory already; choose another name", name);
    HPT_TRY(hpt__grow(&m->studies, &m->cap_studies, m->n_studies + 1, sizeof *m->studies));
    st = hpt__calloc(1, sizeof *st);
    if (!st) return hpt__fail_memory();
    hpt__map_init(&st->attr_at);
    HPT_TRY(hpt__trials_init(&st->trials, NULL, k, directions[0]));
    st->k = k;
    st->name = hpt__strdup(name);
    st->directions = hpt__malloc((size_t)k * sizeof *st->directions);
    if (!st->name || !st->directions) {
        rc = hpt__fail_memory();
        goto out;
    }
    memcpy(st->directions, directions, (size_t)k * sizeof *st->directions);
    HPT_TRY(set_attrs(st, attrs, n_attrs));
    m->studies[m->n_studies++] = st;
    *study_id = m->n_studies;
    st = NULL;
out:
    study_free(st);
    return rc;
}

static study *study_of(const memory *m, int64_t study_id) {
    return m->studies[study_id - 1];
}

static int study_find(int64_t *study_id, char **name_out, hpt_direction **directions, int64_t *k, hpt__storage *storage,
                      const char *name) {
    const memory *m = (const memory *)storage;
    int64_t at = 0;
    while (name && at < m->n_studies && strcmp(m->studies[at]->name, name) != 0) at++;
    if (at >= m->n_studies)
        return hpt__fail(HPT_E_NOT_FOUND, "there is no study '%s' in memory; create it", name ? name : "");
    if (!name && m->n_studies > 1)
        return hpt__fail(HPT_E_NOT_FOUND, "there are %lld studies in memory, '%s' is the first; name one",
                         (long long)m->n_studies, m->studies[0]->name);
    const study *st = m->studies[at];
    char *copy = hpt__strdup(st->name);
    hpt_direction *copied = hpt__malloc((size_t)st->k * sizeof *copied);
    if (!copy || !copied) {
        hpt__free(copy);
        hpt__free(copied);
        return hpt__fail_memory();
    }
    memcpy(copied, st->directions, (size_t)st->k * sizeof *copied);
    *study_id = at + 1;
    *name_out = copy;
    *directions = copied;
    *k = st->k;
    return HPT_OK;
}

static int study_attr_get(char **out, hpt__storage *storage, int64_t study_id, const char *key) {
    const study *st = study_of((const memory *)storage, study_id);
    int64_t at;
    const int rc = check_key(key);
    if (rc < 0) return rc;
    if (!hpt__map_get(&at, &st->attr_at, key, strlen(key))) {
        *out = NULL;
        return HPT_OK;
    }
    char *copy = hpt__strdup(st->attrs[at]);
    if (!copy) return hpt__fail_memory();
    *out = copy;
    return HPT_OK;
}

static int study_attr_set(hpt__storage *storage, int64_t study_id, const hpt__attr_item *attrs, int64_t n_attrs) {
    return set_attrs(study_of((memory *)storage, study_id), attrs, n_attrs);
}

static int summarise(hpt_study_summary *out, const study *st) {
    const hpt__trials *t = &st->trials;
    int64_t first = INT64_MIN;
    char text[HPT__DATETIME_MAX] = "";
    *out = (hpt_study_summary){.n_directions = st->k, .best = t->best >= 0 ? t->values[t->best] : NAN};
    memcpy(out->counts, t->counts, sizeof out->counts);
    for (int64_t row = 0; row < t->n; row++) {
        const int64_t start = t->info[row].start_us;
        if (start != INT64_MIN && (first == INT64_MIN || start < first)) first = start;
    }
    if (first != INT64_MIN && hpt__datetime_format(text, first) > 19) text[19] = 0; // without the fraction
    out->name = hpt__strdup(st->name);
    out->created = hpt__strdup(text);
    return out->name && out->created ? HPT_OK : hpt__fail_memory();
}

static int studies(hpt_study_summary **out, int64_t *n, hpt__storage *storage) {
    const memory *m = (const memory *)storage;
    hpt_study_summary *all = hpt__calloc((size_t)m->n_studies, sizeof *all);
    if (!all) return hpt__fail_memory();
    for (int64_t i = 0; i < m->n_studies; i++) {
        const int rc = summarise(&all[i], m->studies[i]);
        if (rc < 0) {
            hpt_storage_summaries_free(all, i + 1);
            return rc;
        }
    }
    *out = all;
    *n = m->n_studies;
    return HPT_OK;
}

// ---- trials read

static int distributions(hpt__storage *storage, int64_t study_id,
                         int (*fn)(const char *name, const char *json, void *p), void *p) {
    const hpt__trials *t = &study_of((const memory *)storage, study_id)->trials;
    for (int64_t c = 0; c < t->n_columns; c++) {
        if (!t->columns[c].dist_json) continue;
        const int rc = fn(t->columns[c].name, t->columns[c].dist_json, p);
        if (rc != 0) return rc;
    }
    return HPT_OK;
}

// Column c of the store into the rows of the table from `first` on.
static int copy_column(hpt__trials *table, const hpt__trials *store, int64_t c, int64_t first, bool *strange) {
    const hpt__column *column = &store->columns[c];
    const int64_t i = hpt__space_find(table->space, column->name);
    bool fits = true;
    if (i >= 0 && column->dist_json && strcmp(column->dist_json, table->space->params[i].dist_json) != 0) {
        const int rc = hpt__storage_fits(&fits, &table->space->params[i], column->dist_json);
        if (rc < 0) return rc;
    }
    for (int64_t row = first; row < store->n; row++) {
        if (isnan(column->values[row])) continue;
        if (!fits) {
            strange[row - first] = true;
            continue;
        }
        const int rc = hpt__trials_set_param(table, row, column->name, column->values[row], column->dist_json);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

// Everything else of a row.
static int copy_row(hpt__trials *table, const hpt__trials *store, int64_t row) {
    int rc = HPT_OK;
    const hpt__trial_info *info = &store->info[row];
    for (int64_t i = 0; i < info->n_reports; i++)
        HPT_TRY(hpt__trials_report(table, row, info->reports[i].step, info->reports[i].value));
    for (int64_t i = 0; i < info->n_attrs; i++)
        HPT_TRY(hpt__trials_set_attr(table, row, info->attr_keys[i], info->attr_values[i]));
    table->info[row].start_us = info->start_us;
    const hpt_trial_state state = (hpt_trial_state)store->state[row];
    if (finished(state)) hpt__trials_finish(table, row, state, &store->values[row * store->k], info->complete_us);
out:
    return rc;
}

static int sync_table(hpt__storage *storage, int64_t study_id, hpt__trials *table) {
    const hpt__trials *store = &study_of((const memory *)storage, study_id)->trials;
    const int64_t first = table->n, n_new = store->n - first;
    int rc = HPT_OK;
    if (n_new <= 0) return HPT_S_NOTHING;
    bool *strange = hpt__calloc((size_t)n_new, sizeof *strange);
    double *point = hpt__calloc((size_t)table->d, sizeof *point);
    if (!strange || !point) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t row = first; row < store->n; row++) {
        int64_t at;
        HPT_TRY(hpt__trials_add(&at, table, store->number[row], store->info[row].trial_id,
                                (hpt_trial_state)store->state[row]));
    }
    for (int64_t c = 0; c < store->n_columns; c++) HPT_TRY(copy_column(table, store, c, first, strange));
    for (int64_t row = first; row < store->n; row++) {
        HPT_TRY(copy_row(table, store, row));
        hpt__trials_get_point(point, table, row);
        hpt__storage_judge(table, row, point, strange[row - first]);
    }
out:
    if (rc < 0) hpt__trials_truncate(table, first);
    hpt__free(point);
    hpt__free(strange);
    return rc;
}

// ---- trials written

static int set_params(hpt__trials *store, int64_t row, const hpt_space *space, const double *point) {
    for (int64_t i = 0; i < space->d; i++) {
        if (isnan(point[i])) continue;
        const int rc = hpt__trials_set_param(store, row, space->params[i].name, point[i], space->params[i].dist_json);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int check_values(const double *values, int64_t k) {
    for (int64_t i = 0; values && i < k; i++)
        if (isnan(values[i]))
            return hpt__fail(HPT_E_ARG, "value %lld of a trial is NaN; tell the trial as failed", (long long)i);
    return HPT_OK;
}

static int insert_trial(hpt__trials *store, const hpt_space *space, const hpt__new_trial *trial) {
    int rc = HPT_OK;
    hpt__new_trial bare = *trial;
    bare.point = NULL; // the store has no space
    for (int64_t i = 0; i < trial->n_attrs; i++) HPT_TRY(check_key(trial->attr_keys[i]));
    if (finished(trial->state)) HPT_TRY(check_values(trial->values, store->k));
    HPT_TRY(hpt__storage_add_row(store, &bare));
    if (trial->point) HPT_TRY(set_params(store, store->n - 1, space, trial->point));
out:
    return rc;
}

static int create_trials(hpt__storage *storage, int64_t study_id, hpt__trials *table, hpt__new_trial *batch, int64_t q,
                         hpt__fill_fn fill, void *payload) {
    memory *m = (memory *)storage;
    hpt__trials *store = &study_of(m, study_id)->trials;
    int rc = sync_table(storage, study_id, table);
    if (rc < 0) return rc;
    const int64_t n_before = store->n, places_before = m->n_places;
    rc = fill(batch, &q, n_before, payload);
    if (rc != 0) return rc;
    HPT_TRY(hpt__grow(&m->places, &m->cap_places, m->n_places + q, sizeof *m->places));
    for (int64_t i = 0; i < q; i++) {
        batch[i].number = store->n;
        m->places[m->n_places++] = (place){study_id, store->n};
        batch[i].trial_id = m->n_places;
        HPT_TRY(insert_trial(store, table->space, &batch[i]));
        HPT_TRY(hpt__storage_add_row(table, &batch[i]));
    }
    return HPT_OK;
out:
    m->n_places = places_before;
    hpt__trials_truncate(store, n_before);
    hpt__trials_truncate(table, n_before);
    return rc;
}

static int claim_waiting(int64_t *row, hpt__storage *storage, int64_t study_id, hpt__trials *table,
                         int (*fill)(double *point, int64_t row, void *payload), void *payload) {
    study *st = study_of((memory *)storage, study_id);
    hpt__trials *store = &st->trials;
    *row = -1;
    int rc = sync_table(storage, study_id, table);
    if (rc < 0) return rc;
    while (st->first_waiting < store->n && store->state[st->first_waiting] != HPT_TRIAL_WAITING) st->first_waiting++;
    const int64_t at = st->first_waiting;
    if (at == store->n) return HPT_S_NOTHING;
    double *point = hpt__malloc((size_t)table->d * sizeof *point);
    if (!point) return hpt__fail_memory();
    hpt__trials_get_point(point, table, at);
    rc = fill(point, at, payload);
    if (rc != 0) goto out;
    HPT_TRY(set_params(store, at, table->space, point));
    const int64_t now = hpt__now_utc_us();
    hpt__trials_set_state(store, at, HPT_TRIAL_RUNNING);
    store->info[at].start_us = now;
    hpt__trials_set_point(table, at, point);
    hpt__trials_set_state(table, at, HPT_TRIAL_RUNNING);
    table->info[at].start_us = now;
    hpt__storage_judge(table, at, point, false);
    *row = at;
out:
    hpt__free(point);
    return rc;
}

// HPT_E_NOT_FOUND if there is none.
static int place_of(hpt__trials **store, int64_t *row, const memory *m, int64_t trial_id) {
    if (trial_id < 1 || trial_id > m->n_places)
        return hpt__fail(HPT_E_NOT_FOUND, "there is no trial with id %lld in memory", (long long)trial_id);
    const place *p = &m->places[trial_id - 1];
    *store = &study_of(m, p->study)->trials;
    *row = p->row;
    return HPT_OK;
}

static int unclaim(hpt__storage *storage, int64_t trial_id) {
    int rc = HPT_OK;
    hpt__trials *store = NULL;
    int64_t row = -1;
    memory *m = (memory *)storage;
    HPT_TRY(place_of(&store, &row, m, trial_id));
    HPT_FAIL_IF(store->state[row] != HPT_TRIAL_RUNNING, HPT_E_STATE, "trial %lld does not run (%s)",
                (long long)store->number[row], hpt_trial_state_to_string((hpt_trial_state)store->state[row]));
    study *st = study_of(m, m->places[trial_id - 1].study);
    if (row < st->first_waiting) st->first_waiting = row;
    hpt__trials_set_state(store, row, HPT_TRIAL_WAITING);
    store->info[row].start_us = INT64_MIN;
out:
    return rc;
}

static int report(hpt__storage *storage, const hpt__report_item *items, int64_t n) {
    int rc = HPT_OK;
    for (int64_t i = 0; i < n; i++) {
        hpt__trials *store = NULL;
        int64_t row = -1;
        HPT_TRY(place_of(&store, &row, (memory *)storage, items[i].trial_id));
        HPT_TRY(hpt__trials_report(store, row, items[i].step, items[i].value));
    }
out:
    return rc;
}

static int trial_attr_set(hpt__storage *storage, int64_t trial_id, const hpt__attr_item *attrs, int64_t n_attrs) {
    hpt__trials *store = NULL;
    int64_t row = -1;
    int rc = place_of(&store, &row, (memory *)storage, trial_id);
    for (int64_t i = 0; i < n_attrs && rc >= 0; i++) rc = check_key(attrs[i].key);
    for (int64_t i = 0; i < n_attrs && rc >= 0; i++)
        rc = hpt__trials_set_attr(store, row, attrs[i].key, attrs[i].value_json);
    return rc;
}

static int tell(hpt__storage *storage, int64_t trial_id, hpt_trial_state state, const double *values, int64_t k,
                int64_t complete_us, const hpt__attr_item *attrs, int64_t n_attrs) {
    int rc = HPT_OK;
    hpt__trials *store = NULL;
    int64_t row = -1;
    HPT_TRY(place_of(&store, &row, (memory *)storage, trial_id));
    HPT_FAIL_IF(finished((hpt_trial_state)store->state[row]), HPT_E_STATE,
                "trial %lld is finished already (%s); its result stays", (long long)store->number[row],
                hpt_trial_state_to_string((hpt_trial_state)store->state[row]));
    HPT_TRY(check_values(values, k));
    HPT_TRY(trial_attr_set(storage, trial_id, attrs, n_attrs)); // what may fail comes first
    hpt__trials_finish(store, row, state, values, complete_us);
out:
    return rc;
}

// ---- whole studies

static int hold(hpt__storage *storage, bool write) {
    memory *m = (memory *)storage;
    (void)write;
    m->held_studies = m->n_studies;
    m->held_places = m->n_places;
    return HPT_OK;
}

static int release(hpt__storage *storage, int rc) {
    memory *m = (memory *)storage;
    if (rc >= 0) return rc;
    while (m->n_places > m->held_places) {
        const place *p = &m->places[--m->n_places];
        hpt__trials_truncate(&study_of(m, p->study)->trials, p->row);
    }
    while (m->n_studies > m->held_studies) study_free(m->studies[--m->n_studies]);
    return rc;
}

static int study_attrs(hpt__storage *storage, int64_t study_id, int (*fn)(const char *key, const char *json, void *p),
                       void *p) {
    const study *st = study_of((const memory *)storage, study_id);
    for (int64_t i = 0; i < st->attr_at.n_entries; i++) {
        const int rc = fn(st->attr_at.entries[i].key, st->attrs[st->attr_at.entries[i].value], p);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int read_record(hpt__record *r, hpt__records *batch, const hpt__trials *store, int64_t row) {
    int rc = HPT_OK;
    const hpt__trial_info *info = &store->info[row];
    const double *values = &store->values[row * store->k];
    r->trial_id = info->trial_id;
    r->number = store->number[row];
    r->state = (hpt_trial_state)store->state[row];
    r->start_us = info->start_us;
    r->complete_us = info->complete_us;
    for (int64_t c = 0; c < store->n_columns; c++) {
        const hpt__column *column = &store->columns[c];
        const char *name, *distribution;
        if (isnan(column->values[row]) || !column->dist_json) continue;
        HPT_TRY(hpt__records_text(&name, batch, column->name));
        HPT_TRY(hpt__records_text(&distribution, batch, column->dist_json));
        HPT_TRY(hpt__record_add_param(r, name, column->values[row], distribution));
    }
    if (!isnan(values[0])) HPT_TRY(hpt__record_set_values(r, values, store->k));
    for (int64_t i = 0; i < info->n_reports; i++)
        HPT_TRY(hpt__record_set_report(r, info->reports[i].step, info->reports[i].value));
    for (int64_t i = 0; i < info->n_attrs; i++) {
        const char *key, *json;
        HPT_TRY(hpt__records_text(&key, batch, info->attr_keys[i]));
        HPT_TRY(hpt__records_text(&json, batch, info->attr_values[i]));
        HPT_TRY(hpt__record_add_attr(r, key, json));
    }
out:
    return rc;
}

static int records(hpt__records *batch, int64_t *after, hpt__storage *storage, int64_t study_id, int64_t limit) {
    int rc = HPT_OK;
    const hpt__trials *store = &study_of((const memory *)storage, study_id)->trials;
    hpt__records_clear(batch);
    int64_t low = 0, high = store->n; // ids ascend with rows
    while (low < high) {
        const int64_t mid = low + (high - low) / 2;
        if (store->info[mid].trial_id <= *after)
            low = mid + 1;
        else
            high = mid;
    }
    for (int64_t row = low; row < store->n && batch->n < limit; row++) {
        hpt__record *r;
        HPT_TRY(hpt__records_add(&r, batch));
        HPT_TRY(read_record(r, batch, store, row));
    }
    if (batch->n == 0) return HPT_S_NOTHING;
    *after = batch->items[batch->n - 1].trial_id;
    rc = HPT_OK;
out:
    if (rc < 0) hpt__records_clear(batch);
    return rc;
}

static int bulk_trial(hpt__storage *storage, int64_t study_id, const hpt__record *r) {
    int rc = HPT_OK;
    memory *m = (memory *)storage;
    hpt__trials *store = &study_of(m, study_id)->trials;
    int64_t row;
    for (int64_t i = 0; i < r->n_attrs; i++) HPT_TRY(check_key(r->attrs[i].key));
    HPT_TRY(hpt__grow(&m->places, &m->cap_places, m->n_places + 1, sizeof *m->places));
    HPT_TRY(hpt__trials_add(&row, store, r->number, m->n_places + 1, r->state));
    m->places[m->n_places++] = (place){study_id, row};
    for (int64_t i = 0; i < r->n_params; i++)
        HPT_TRY(hpt__trials_set_param(store, row, r->params[i].name, r->params[i].internal, r->params[i].distribution));
    for (int64_t i = 0; i < r->n_reports; i++)
        HPT_TRY(hpt__trials_report(store, row, r->reports[i].step, r->reports[i].value));
    for (int64_t i = 0; i < r->n_attrs; i++)
        HPT_TRY(hpt__trials_set_attr(store, row, r->attrs[i].key, r->attrs[i].value_json));
    store->info[row].start_us = r->start_us;
    store->info[row].complete_us = r->complete_us;
    if (finished(r->state))
        hpt__trials_finish(store, row, r->state, r->n_values == store->k ? r->values : NULL, r->complete_us);
out:
    return rc;
}

const hpt__storage_ops hpt__storage_memory_ops = {
    .scheme = "memory",
    .open = open_memory,
    .close = close_memory,
    .study_create = study_create,
    .study_find = study_find,
    .study_attr_get = study_attr_get,
    .study_attr_set = study_attr_set,
    .studies = studies,
    .distributions = distributions,
    .sync = sync_table,
    .create_trials = create_trials,
    .claim_waiting = claim_waiting,
    .unclaim = unclaim,
    .report = report,
    .trial_attr_set = trial_attr_set,
    .tell = tell,
    .hold = hold,
    .release = release,
    .study_attrs = study_attrs,
    .records = records,
    .bulk_study = study_create,
    .bulk_trial = bulk_trial,
};
