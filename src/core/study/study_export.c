// SPDX-License-Identifier: Apache-2.0
// study_export.c: the trials of a study as text: "json", "jsonl", "journal", "csv".
//
// JSON, JSON lines and the journal (forms: transfer/transfer_write.c) are written from the stored records, so that a
// parameter has the distribution of its trial and nothing that the study's space does not know is lost. A journal's
// trials are numbered by their place, so with since > 0 they begin at 0 again.
//
// CSV (RFC 4180, lines end in \r\n) is written from the table: the columns of Optuna's trials_dataframe: number, value or
// values_0.., datetime_start, datetime_complete, duration ("0 days 00:00:01.500000", pandas' form), params_<name>,
// user_attrs_<key>, state; Python's words for what is no number or string; empty where there is nothing. Parameters that
// only trials of other programs have follow those of the space.
//
// The caller's write function runs without the study's lock, so it may use the study: text is collected in pieces of
// about 64 KiB, then written. Trials are those present when the export began.
// Threads: any. Cost: linear in the text.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../transfer/transfer.h"
#include "study_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 64 * 1024, BATCH = 256 };

void hpt__study_add_number(hpt__str *out, double v) {
    hpt__transfer_number(out, v);
}

// What an export needs beyond the study.
typedef struct exporter {
    hpt_study *study;
    hpt_space *extra; // parameters of foreign trials only; extra_column[i] is the table's column
    int64_t *extra_column;
    hpt__arena arena;       // CSV: keys of user attributes, parsed attribute values
    const char **user_keys; // CSV, in order of first appearance, without "u:"
    int64_t n_user_keys, cap_user_keys;
    int64_t *rows;
    int64_t n_rows;
    hpt__str text;
    hpt__records batch;    // all but CSV
    hpt__dist_cache dists; // likewise
} exporter;

// Whether a stored internal value has an external form in the space (another program's need not).
static bool showable(const hpt__param *p, double v) {
    return !isnan(v) && (p->kind != HPT__PARAM_CATEGORICAL || (v >= 0 && v < (double)p->n_choices));
}

static bool has_values(const hpt__trials *t, int64_t row) {
    return !isnan(t->values[row * t->k]);
}

// ---- JSON ----------------------------------------------------------------------------------------------------

static int add_head_json(exporter *e) {
    hpt_study *study = e->study;
    hpt__str *out = &e->text;
    char *space = NULL;
    int rc = hpt_space_to_json(&space, study->space);
    if (rc < 0) return rc;
    hpt__str_add(out, "{\"study\":");
    hpt__str_add_json_string(out, study->name, strlen(study->name));
    hpt__str_add(out, ",\"storage\":");
    hpt__str_add_json_string(out, study->storage->url, strlen(study->storage->url));
    hpt__str_add(out, ",\"directions\":[");
    for (int64_t i = 0; i < study->k; i++) {
        hpt__str_addf(out, "%s\"%s\"", i ? "," : "", study->directions[i] == HPT_MAXIMIZE ? "maximize" : "minimize");
    }
    hpt__str_add(out, "],\"config\":");
    hpt__study_config_json(out, study);
    hpt__str_add(out, ",\"space\":");
    hpt__str_add(out, space);
    hpt__str_add(out, ",\"trials\":[");
    hpt__free(space);
    return 0;
}

// ---- CSV -----------------------------------------------------------------------------------------------------

static void csv_field(hpt__str *out, const char *text, size_t n) {
    bool quote = false;
    for (size_t i = 0; i < n; i++) quote |= strchr(",\"\r\n", text[i]) != NULL;
    if (!quote) {
        hpt__str_addn(out, text, n);
        return;
    }
    hpt__str_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') hpt__str_addc(out, '"');
        hpt__str_addc(out, text[i]);
    }
    hpt__str_addc(out, '"');
}

static void csv_value(hpt__str *out, const hpt__json *v) {
    hpt__str text = HPT__STR_INIT;
    hpt__json_pystr(&text, v);
    if (text.failed) out->failed = true;
    csv_field(out, hpt__str_text(&text), text.len);
    hpt__str_fini(&text);
}

static void csv_time(hpt__str *out, int64_t us) {
    char text[HPT__DATETIME_MAX];
    hpt__str_addc(out, ',');
    if (us == INT64_MIN) return;
    hpt__datetime_format(text, us);
    hpt__str_add(out, text);
}

// pandas.Timedelta as text: whole days towards minus infinity, then the time of day.
static void csv_duration(hpt__str *out, int64_t start, int64_t complete) {
    hpt__str_addc(out, ',');
    if (start == INT64_MIN || complete == INT64_MIN) return;
    const int64_t day = 86400000000LL, us = complete - start;
    int64_t days = us / day, rest = us % day;
    if (rest < 0) {
        rest += day;
        days--;
    }
    const int64_t s = rest / 1000000;
    hpt__str_addf(out, "%lld days %s%02lld:%02lld:%02lld", (long long)days, days < 0 ? "+" : "", (long long)(s / 3600),
                  (long long)(s / 60 % 60), (long long)(s % 60));
    if (rest % 1000000) hpt__str_addf(out, ".%06lld", (long long)(rest % 1000000));
}

static void csv_name(hpt__str *out, const char *prefix, const char *name) {
    hpt__str field = HPT__STR_INIT;
    hpt__str_addc(out, ',');
    hpt__str_add(&field, prefix);
    hpt__str_add(&field, name);
    if (field.failed) out->failed = true;
    csv_field(out, hpt__str_text(&field), field.len);
    hpt__str_fini(&field);
}

static void add_head_csv(exporter *e) {
    hpt__str *out = &e->text;
    hpt__str_add(out, "number");
    if (e->study->k == 1)
        hpt__str_add(out, ",value");
    else
        for (int64_t j = 0; j < e->study->k; j++) hpt__str_addf(out, ",values_%lld", (long long)j);
    hpt__str_add(out, ",datetime_start,datetime_complete,duration");
    for (int64_t i = 0; i < e->study->space->d; i++) csv_name(out, "params_", e->study->space->params[i].name);
    for (int64_t i = 0; e->extra && i < e->extra->d; i++) csv_name(out, "params_", e->extra->params[i].name);
    for (int64_t i = 0; i < e->n_user_keys; i++) csv_name(out, "user_attrs_", e->user_keys[i]);
    hpt__str_add(out, ",state\r\n");
}

static void csv_param(hpt__str *out, const hpt__param *p, double v) {
    hpt__str_addc(out, ',');
    if (!showable(p, v)) return;
    if (p->kind == HPT__PARAM_CATEGORICAL)
        csv_value(out, p->choices[(int64_t)v]);
    else
        hpt__param_external(out, p, v);
}

static int add_trial_csv(exporter *e, int64_t row) {
    const hpt__trials *t = &e->study->table;
    const hpt__trial_info *info = &t->info[row];
    hpt__str *out = &e->text;
    hpt__str_add_int(out, t->number[row]);
    for (int64_t j = 0; j < t->k; j++) {
        hpt__str_addc(out, ',');
        if (has_values(t, row)) hpt__str_add_double(out, t->values[row * t->k + j]);
    }
    csv_time(out, info->start_us);
    csv_time(out, info->complete_us);
    csv_duration(out, info->start_us, info->complete_us);
    for (int64_t i = 0; i < e->study->space->d; i++)
        csv_param(out, &e->study->space->params[i], t->columns[i].values[row]);
    for (int64_t i = 0; e->extra && i < e->extra->d; i++) {
        csv_param(out, &e->extra->params[i], t->columns[e->extra_column[i]].values[row]);
    }
    for (int64_t i = 0; i < e->n_user_keys; i++) {
        hpt__str_addc(out, ',');
        for (int64_t a = 0; a < info->n_attrs; a++) {
            if (strncmp(info->attr_keys[a], "u:", 2) != 0 || strcmp(info->attr_keys[a] + 2, e->user_keys[i]) != 0)
                continue;
            hpt__arena scratch;
            hpt__json *v = NULL;
            hpt__arena_init(&scratch);
            int rc = hpt__json_parse(&v, &scratch, info->attr_values[a], strlen(info->attr_values[a]));
            if (rc >= 0)
                csv_value(out, v);
            else if (rc != HPT_E_MEMORY)
                csv_field(out, info->attr_values[a], strlen(info->attr_values[a]));
            hpt__arena_fini(&scratch);
            if (rc == HPT_E_MEMORY) return rc;
        }
    }
    hpt__str_addf(out, ",%s\r\n", hpt_trial_state_to_string((hpt_trial_state)t->state[row]));
    return 0;
}

static int collect_user_keys(exporter *e) {
    int rc = 0;
    hpt__map seen;
    hpt__map_init(&seen);
    for (int64_t r = 0; r < e->n_rows; r++) {
        const hpt__trial_info *info = &e->study->table.info[e->rows[r]];
        for (int64_t a = 0; a < info->n_attrs; a++) {
            const char *key = info->attr_keys[a];
            int64_t unused;
            if (strncmp(key, "u:", 2) != 0 || hpt__map_get(&unused, &seen, key + 2, strlen(key + 2))) continue;
            char *copy = hpt__arena_strndup(&e->arena, key + 2, strlen(key + 2));
            if (!copy) {
                rc = hpt__fail_memory();
                goto out;
            }
            HPT_TRY(hpt__map_set(&seen, copy, strlen(copy), 1));
            HPT_TRY(hpt__grow(&e->user_keys, &e->cap_user_keys, e->n_user_keys + 1, sizeof *e->user_keys));
            e->user_keys[e->n_user_keys++] = copy;
        }
    }
    rc = 0;
out:
    hpt__map_fini(&seen);
    return rc;
}

// ---- all ----------------------------------------------------------------------------------------------------

// Columns that the space lacks, as parameters of their own. One whose distribution cannot be read is left out.
static int collect_extra(exporter *e) {
    int rc = 0;
    const hpt__trials *t = &e->study->table;
    if (t->n_columns <= t->d) return 0;
    e->extra_column = hpt__calloc((size_t)(t->n_columns - t->d), sizeof *e->extra_column);
    if (!e->extra_column) return hpt__fail_memory();
    HPT_TRY(hpt_space_create(&e->extra));
    for (int64_t c = t->d; c < t->n_columns; c++) {
        if (!t->columns[c].dist_json) continue;
        rc = hpt__space_add_distribution(e->extra, t->columns[c].name, t->columns[c].dist_json);
        if (rc == HPT_E_MEMORY) goto out;
        if (rc >= 0) e->extra_column[e->extra->d - 1] = c;
    }
    rc = 0;
out:
    return rc;
}

static int collect_rows(exporter *e, int64_t since) {
    const hpt__trials *t = &e->study->table;
    e->rows = hpt__malloc(((size_t)t->n + 1) * sizeof *e->rows);
    if (!e->rows) return hpt__fail_memory();
    for (int64_t row = 0; row < t->n; row++) {
        if (t->number[row] >= since) e->rows[e->n_rows++] = row;
    }
    return 0;
}

static int flush_text(exporter *e, hpt_write_fn write, void *payload) {
    int rc = hpt__str_status(&e->text);
    if (rc < 0) return rc;
    if (e->text.len > 0 && write(hpt__str_text(&e->text), e->text.len, payload) != 0) {
        return hpt__fail(HPT_E_CALLBACK, "exporting study '%s': the write function failed", e->study->name);
    }
    hpt__str_clear(&e->text);
    return 0;
}

// ---- formats -------------------------------------------------------------------------------------------------

static int export_csv(exporter *e, int64_t since, hpt_write_fn write, void *payload) {
    int rc = 0;
    HPT_TRY(collect_extra(e));
    HPT_TRY(collect_rows(e, since));
    HPT_TRY(collect_user_keys(e));
    add_head_csv(e);
    for (int64_t i = 0; i < e->n_rows; i++) {
        HPT_TRY(add_trial_csv(e, e->rows[i]));
        if (e->text.len < PIECE_BYTES) continue;
        pthread_mutex_unlock(&e->study->lock);
        rc = flush_text(e, write, payload);
        pthread_mutex_lock(&e->study->lock);
        if (rc < 0) goto out;
    }
out:
    return rc;
}

typedef enum export_form { JSON, JSONL, JOURNAL, LINES } export_form; // LINES: a trial a line, without its study

static int add_record(exporter *e, const hpt__record *r, const hpt__transfer_head *head, export_form form, bool first) {
    int rc = 0;
    if (form == JOURNAL) return hpt__transfer_journal_trial(&e->text, &e->dists, r, head->k);
    if (form == JSON && !first) hpt__str_addc(&e->text, ',');
    rc = hpt__transfer_json(&e->text, &e->dists, r, form == JSONL ? head : NULL, first);
    if (form != JSON) hpt__str_addc(&e->text, '\n');
    return rc;
}

// The trials with ids in (after, last] and numbers from since on. Entered and left with the lock held.
static int export_records(exporter *e, const hpt__transfer_head *head, export_form form, int64_t since, int64_t after,
                          int64_t last, hpt_write_fn write, void *payload) {
    int rc = 0;
    bool first = true;
    hpt_study *study = e->study;
    while (after < last) {
        rc = study->storage->ops->records(&e->batch, &after, study->storage, study->study_id, BATCH);
        if (rc != 0) break;
        pthread_mutex_unlock(&study->lock);
        for (int64_t i = 0; i < e->batch.n && rc >= 0; i++) {
            const hpt__record *r = &e->batch.items[i];
            if (r->number < since || r->trial_id > last) continue;
            rc = add_record(e, r, head, form, first);
            first = false;
            if (rc >= 0 && e->text.len >= PIECE_BYTES) rc = flush_text(e, write, payload);
        }
        pthread_mutex_lock(&study->lock);
        if (rc < 0) break;
    }
    return rc < 0 ? rc : 0;
}

static int export_study(exporter *e, export_form form, int64_t since, hpt_write_fn write, void *payload) {
    int rc = 0;
    hpt_study *study = e->study;
    const hpt__trials *t = &study->table;
    hpt__attr_list attrs;
    int64_t after = INT64_MAX;
    hpt__attr_list_init(&attrs);
    HPT_TRY(study->storage->ops->study_attrs(study->storage, study->study_id, hpt__attr_list_add, &attrs));
    const hpt__transfer_head head = {study->name, study->directions, study->k, attrs.items, attrs.n};
    if (form == JSON) HPT_TRY(add_head_json(e));
    if (form == JOURNAL) HPT_TRY(hpt__transfer_journal_study(&e->text, &head));
    for (int64_t row = 0; row < t->n; row++)
        if (t->number[row] >= since && t->info[row].trial_id <= after) after = t->info[row].trial_id - 1;
    const int64_t last = t->n ? t->info[t->n - 1].trial_id : 0;
    HPT_TRY(export_records(e, &head, form, since, after, last, write, payload));
    if (form == JSON) hpt__str_add(&e->text, "]}\n");
out:
    hpt__attr_list_fini(&attrs);
    return rc;
}

static int export_locked(hpt_study *study, bool csv, export_form form, int64_t since, hpt_write_fn write,
                         void *payload) {
    exporter e = {.study = study, .text = HPT__STR_INIT};
    hpt__arena_init(&e.arena);
    hpt__records_init(&e.batch);
    hpt__dist_cache_init(&e.dists);
    pthread_mutex_lock(&study->lock);
    int rc = hpt__study_sync(study);
    if (rc >= 0) rc = csv ? export_csv(&e, since, write, payload) : export_study(&e, form, since, write, payload);
    pthread_mutex_unlock(&study->lock);
    if (rc >= 0) rc = flush_text(&e, write, payload);
    hpt_space_destroy(e.extra);
    hpt__free(e.extra_column);
    hpt__free(e.rows);
    hpt__free(e.user_keys);
    hpt__arena_fini(&e.arena);
    hpt__records_fini(&e.batch);
    hpt__dist_cache_fini(&e.dists);
    hpt__str_fini(&e.text);
    return rc;
}

int hpt_study_export(hpt_study *study, const char *format, int64_t since, hpt_write_fn write, void *payload) {
    static const char *const forms[] = {[JSON] = "json", [JSONL] = "jsonl", [JOURNAL] = "journal"};
    if (!study || !format || !write) return hpt__fail(HPT_E_ARG, "hpt_study_export: an argument is NULL");
    if (strcmp(format, "csv") == 0) return export_locked(study, true, JSON, since, write, payload);
    for (int i = JSON; i <= JOURNAL; i++)
        if (strcmp(format, forms[i]) == 0) return export_locked(study, false, (export_form)i, since, write, payload);
    return hpt__fail(HPT_E_ARG, "export format '%s' is none of json, jsonl, journal, csv", format);
}

int hpt__study_export_lines(hpt_study *study, int64_t since, hpt_write_fn write, void *payload) {
    return export_locked(study, false, LINES, since, write, payload);
}
