// SPDX-License-Identifier: Apache-2.0
// storage_record.c: trials as records, built piece by piece.
//
// Names are looked for one after the other: a trial has few parameters and attributes, and what a storage reads is
// unique already (add_*). Reports are kept sorted by step; they mostly come in order, so the search begins at the end.
#include "storage_record.h"
#include "../base/alloc.h"
#include "../base/error.h"

#include <string.h>

void hpt__attr_list_init(hpt__attr_list *all) {
    *all = (hpt__attr_list){0};
    hpt__arena_init(&all->texts);
}

void hpt__attr_list_fini(hpt__attr_list *all) {
    hpt__free(all->items);
    hpt__arena_fini(&all->texts);
    *all = (hpt__attr_list){0};
}

int hpt__attr_list_add(const char *key, const char *json, void *list) {
    hpt__attr_list *all = list;
    const int rc = hpt__grow(&all->items, &all->cap, all->n + 1, sizeof *all->items);
    if (rc < 0) return rc;
    const char *k = hpt__arena_strndup(&all->texts, key, strlen(key));
    const char *v = hpt__arena_strndup(&all->texts, json, strlen(json));
    if (!k || !v) return hpt__fail_memory();
    all->items[all->n++] = (hpt__attr_item){k, v};
    return HPT_OK;
}

void hpt__record_clear(hpt__record *r) {
    r->trial_id = 0;
    r->number = -1;
    r->state = HPT_TRIAL_RUNNING;
    r->start_us = r->complete_us = r->heartbeat_us = INT64_MIN;
    r->n_params = r->n_values = r->n_reports = r->n_attrs = 0;
}

void hpt__record_fini(hpt__record *r) {
    hpt__free(r->params);
    hpt__free(r->values);
    hpt__free(r->reports);
    hpt__free(r->attrs);
    *r = (hpt__record){0};
}

int hpt__record_add_param(hpt__record *r, const char *name, double internal, const char *distribution) {
    const int rc = hpt__grow(&r->params, &r->cap_params, r->n_params + 1, sizeof *r->params);
    if (rc >= 0) r->params[r->n_params++] = (hpt__record_param){name, internal, distribution};
    return rc;
}

int hpt__record_set_param(hpt__record *r, const char *name, double internal, const char *distribution) {
    for (int64_t i = 0; i < r->n_params; i++) {
        if (strcmp(r->params[i].name, name) != 0) continue;
        r->params[i] = (hpt__record_param){name, internal, distribution};
        return HPT_OK;
    }
    return hpt__record_add_param(r, name, internal, distribution);
}

int hpt__record_add_attr(hpt__record *r, const char *key, const char *json) {
    const int rc = hpt__grow(&r->attrs, &r->cap_attrs, r->n_attrs + 1, sizeof *r->attrs);
    if (rc >= 0) r->attrs[r->n_attrs++] = (hpt__attr_item){key, json};
    return rc;
}

int hpt__record_set_attr(hpt__record *r, const char *key, const char *json) {
    for (int64_t i = 0; i < r->n_attrs; i++) {
        if (strcmp(r->attrs[i].key, key) != 0) continue;
        r->attrs[i].value_json = json;
        return HPT_OK;
    }
    return hpt__record_add_attr(r, key, json);
}

int hpt__record_set_report(hpt__record *r, int64_t step, double value) {
    int64_t at = r->n_reports;
    while (at > 0 && r->reports[at - 1].step > step) at--;
    if (at > 0 && r->reports[at - 1].step == step) {
        r->reports[at - 1].value = value;
        return HPT_OK;
    }
    const int rc = hpt__grow(&r->reports, &r->cap_reports, r->n_reports + 1, sizeof *r->reports);
    if (rc < 0) return rc;
    memmove(r->reports + at + 1, r->reports + at, (size_t)(r->n_reports - at) * sizeof *r->reports);
    r->reports[at] = (hpt__report){step, value};
    r->n_reports++;
    return HPT_OK;
}

int hpt__record_set_values(hpt__record *r, const double *values, int64_t n) {
    const int rc = hpt__grow(&r->values, &r->cap_values, n, sizeof *r->values);
    if (rc < 0) return rc;
    if (n > 0) memcpy(r->values, values, (size_t)n * sizeof *values);
    r->n_values = n;
    return HPT_OK;
}

void hpt__records_init(hpt__records *all) {
    *all = (hpt__records){0};
    hpt__arena_init(&all->texts);
}

void hpt__records_fini(hpt__records *all) {
    for (int64_t i = 0; i < all->cap; i++) hpt__record_fini(&all->items[i]);
    hpt__free(all->items);
    hpt__arena_fini(&all->texts);
    *all = (hpt__records){0};
}

void hpt__records_clear(hpt__records *all) {
    all->n = 0;
    hpt__arena_reset(&all->texts);
}

int hpt__records_add(hpt__record **out, hpt__records *all) {
    const int64_t before = all->cap;
    const int rc = hpt__grow(&all->items, &all->cap, all->n + 1, sizeof *all->items);
    if (rc < 0) return rc;
    if (all->cap > before) memset(all->items + before, 0, (size_t)(all->cap - before) * sizeof *all->items);
    *out = &all->items[all->n++];
    hpt__record_clear(*out);
    return HPT_OK;
}

int hpt__records_text(const char **out, hpt__records *all, const char *text) {
    *out = hpt__arena_strndup(&all->texts, text, strlen(text));
    return *out ? HPT_OK : hpt__fail_memory();
}
