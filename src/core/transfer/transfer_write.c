// SPDX-License-Identifier: Apache-2.0
// transfer_write.c: trials as JSON lines and as Optuna's journal.
//
// A trial in JSON (compact, one line):
//   {"number":0,"state":"COMPLETE","values":[0.25],"params":{...},"reports":[[step,value],...],
//    "datetime_start":"2026-01-31 12:00:00.000000","datetime_complete":...,"duration":1.5,
//    "user_attrs":{...},"system_attrs":{...}}
// and in format jsonl, so that a line can be imported, also
//   "study":"s","directions":["minimize"],"distributions":{...} and on the first line
//   "study_user_attrs":{...},"study_system_attrs":{...}
// Times are UTC, null where there is none; duration in seconds. Numbers that are not finite are Python's tokens NaN,
// Infinity, -Infinity, which its json module and ours read.
//
// Journal (facts: optuna/storages/journal/_storage.py): one JSON object a line, an operation by its op_code: 0 the study,
// 2 and 3 its attributes, 4 a trial with everything it has. A trial's number is its place in the file. Times are ISO 8601
// with +00:00; distributions are JSON texts, parameters in internal form.
// Threads: any. Cost: linear in the text.
#include "../base/clock.h"
#include "../base/error.h"
#include "transfer.h"

#include <math.h>
#include <string.h>

void hpt__transfer_number(hpt__str *out, double v) {
    if (isnan(v))
        hpt__str_add(out, "NaN");
    else if (isinf(v))
        hpt__str_add(out, v > 0 ? "Infinity" : "-Infinity");
    else
        hpt__str_add_double(out, v);
}

static void add_string(hpt__str *out, const char *text) {
    hpt__str_add_json_string(out, text, strlen(text));
}

// JSON text that another program stored may be spread over lines; between tokens a blank does as well.
static void add_one_line(hpt__str *out, const char *text) {
    for (size_t n; *text; text += n) {
        n = strcspn(text, "\r\n");
        hpt__str_addn(out, text, n);
        if (!text[n]) break;
        hpt__str_addc(out, ' ');
        n++;
    }
}

static void add_attrs(hpt__str *out, const hpt__attr_item *attrs, int64_t n, char kind) {
    bool first = true;
    hpt__str_addc(out, '{');
    for (int64_t i = 0; i < n; i++) {
        if (attrs[i].key[0] != kind) continue;
        if (!first) hpt__str_addc(out, ',');
        first = false;
        add_string(out, attrs[i].key + 2);
        hpt__str_addc(out, ':');
        add_one_line(out, attrs[i].value_json);
    }
    hpt__str_addc(out, '}');
}

// The parameter of a record, NULL if no reader could use it.
static int usable(const hpt__param **out, hpt__dist_cache *c, const hpt__record_param *p) {
    const int rc = hpt__dist_get(out, c, p->name, p->distribution);
    if (rc < 0 || !*out) return rc;
    const bool bad = isnan(p->internal) || ((*out)->kind == HPT__PARAM_CATEGORICAL &&
                                            !(p->internal >= 0 && p->internal < (double)(*out)->n_choices));
    if (bad) *out = NULL;
    return HPT_OK;
}

typedef enum param_part { EXTERNAL, DISTRIBUTION, DISTRIBUTION_TEXT, INTERNAL } param_part;

// One member a parameter: its value, its distribution, the same as a string, or its internal form.
static int add_params(hpt__str *out, hpt__dist_cache *c, const hpt__record *r, param_part part) {
    bool first = true;
    hpt__str_addc(out, '{');
    for (int64_t i = 0; i < r->n_params; i++) {
        const hpt__param *p;
        const int rc = usable(&p, c, &r->params[i]);
        if (rc < 0) return rc;
        if (!p) continue;
        if (!first) hpt__str_addc(out, ',');
        first = false;
        add_string(out, r->params[i].name);
        hpt__str_addc(out, ':');
        switch (part) {
        case EXTERNAL:
            hpt__param_external(out, p, r->params[i].internal);
            break;
        case DISTRIBUTION:
            add_one_line(out, r->params[i].distribution);
            break;
        case DISTRIBUTION_TEXT:
            add_string(out, r->params[i].distribution);
            break;
        case INTERNAL:
            hpt__transfer_number(out, r->params[i].internal);
            break;
        }
    }
    hpt__str_addc(out, '}');
    return HPT_OK;
}

static void add_values(hpt__str *out, const double *values, int64_t n) {
    if (n == 0) {
        hpt__str_add(out, "null");
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        hpt__str_addc(out, j ? ',' : '[');
        hpt__transfer_number(out, values[j]);
    }
    hpt__str_addc(out, ']');
}

// ---- JSON

static void add_time(hpt__str *out, int64_t us) {
    char text[HPT__DATETIME_MAX];
    if (us == INT64_MIN) {
        hpt__str_add(out, "null");
        return;
    }
    hpt__datetime_format(text, us);
    hpt__str_addf(out, "\"%s\"", text);
}

static int add_study(hpt__str *out, hpt__dist_cache *c, const hpt__record *r, const hpt__transfer_head *head,
                     bool with_attrs) {
    hpt__str_add(out, ",\"study\":");
    add_string(out, head->name);
    hpt__str_add(out, ",\"directions\":[");
    for (int64_t i = 0; i < head->k; i++)
        hpt__str_addf(out, "%s\"%s\"", i ? "," : "", head->directions[i] == HPT_MAXIMIZE ? "maximize" : "minimize");
    hpt__str_add(out, "],\"distributions\":");
    const int rc = add_params(out, c, r, DISTRIBUTION);
    if (!with_attrs) return rc;
    hpt__str_add(out, ",\"study_user_attrs\":");
    add_attrs(out, head->attrs, head->n_attrs, 'u');
    hpt__str_add(out, ",\"study_system_attrs\":");
    add_attrs(out, head->attrs, head->n_attrs, 's');
    return rc;
}

int hpt__transfer_json(hpt__str *out, hpt__dist_cache *c, const hpt__record *r, const hpt__transfer_head *head,
                       bool with_attrs) {
    int rc = HPT_OK;
    hpt__str_addf(out, "{\"number\":%lld,\"state\":\"%s\",\"values\":", (long long)r->number,
                  hpt_trial_state_to_string(r->state));
    add_values(out, r->values, r->n_values);
    hpt__str_add(out, ",\"params\":");
    HPT_TRY(add_params(out, c, r, EXTERNAL));
    hpt__str_add(out, ",\"reports\":[");
    for (int64_t i = 0; i < r->n_reports; i++) {
        hpt__str_addf(out, "%s[%lld,", i ? "," : "", (long long)r->reports[i].step);
        hpt__transfer_number(out, r->reports[i].value);
        hpt__str_addc(out, ']');
    }
    hpt__str_add(out, "],\"datetime_start\":");
    add_time(out, r->start_us);
    hpt__str_add(out, ",\"datetime_complete\":");
    add_time(out, r->complete_us);
    hpt__str_add(out, ",\"duration\":");
    if (r->start_us != INT64_MIN && r->complete_us != INT64_MIN)
        hpt__transfer_number(out, (double)(r->complete_us - r->start_us) * 1e-6);
    else
        hpt__str_add(out, "null");
    hpt__str_add(out, ",\"user_attrs\":");
    add_attrs(out, r->attrs, r->n_attrs, 'u');
    hpt__str_add(out, ",\"system_attrs\":");
    add_attrs(out, r->attrs, r->n_attrs, 's');
    if (head) HPT_TRY(add_study(out, c, r, head, with_attrs));
    hpt__str_addc(out, '}');
    rc = hpt__str_status(out);
out:
    return rc;
}

// ---- journal

#define WORKER "\"worker_id\":\"hpt_gpu-export\""

// Optuna reads nothing of a file in which one line is no JSON, so texts are looked at first.
static int check_attrs(const hpt__attr_item *attrs, int64_t n, int64_t number) {
    hpt__arena scratch;
    hpt__json *unused;
    int rc = HPT_OK;
    hpt__arena_init(&scratch);
    for (int64_t i = 0; i < n && rc >= 0; i++) {
        rc = hpt__json_parse(&unused, &scratch, attrs[i].value_json, strlen(attrs[i].value_json));
        hpt__arena_reset(&scratch);
        if (rc == HPT_E_PARSE)
            rc = hpt__fail(HPT_E_INCOMPATIBLE,
                           "attribute '%s' of %s (number %lld) is no JSON; see \"hpt storage check\"", attrs[i].key + 2,
                           number < 0 ? "the study" : "a trial", (long long)number);
    }
    hpt__arena_fini(&scratch);
    return rc;
}

int hpt__transfer_journal_study(hpt__str *out, const hpt__transfer_head *head) {
    const int rc = check_attrs(head->attrs, head->n_attrs, -1);
    if (rc < 0) return rc;
    hpt__str_add(out, "{\"op_code\":0," WORKER ",\"study_name\":");
    add_string(out, head->name);
    hpt__str_add(out, ",\"directions\":[");
    for (int64_t i = 0; i < head->k; i++) hpt__str_addf(out, "%s%d", i ? "," : "", (int)head->directions[i]);
    hpt__str_add(out, "]}\n");
    for (int64_t i = 0; i < head->n_attrs; i++) {
        const bool user = head->attrs[i].key[0] == 'u';
        hpt__str_addf(out, "{\"op_code\":%d," WORKER ",\"study_id\":0,\"%s_attr\":", user ? 2 : 3,
                      user ? "user" : "system");
        add_attrs(out, &head->attrs[i], 1, head->attrs[i].key[0]);
        hpt__str_add(out, "}\n");
    }
    return hpt__str_status(out);
}

static void add_iso(hpt__str *out, int64_t us) {
    char text[HPT__DATETIME_MAX];
    if (us == INT64_MIN) {
        hpt__str_add(out, "null");
        return;
    }
    hpt__datetime_format(text, us);
    char *blank = strchr(text, ' ');
    if (blank) *blank = 'T';
    hpt__str_addf(out, "\"%s+00:00\"", text);
}

int hpt__transfer_journal_trial(hpt__str *out, hpt__dist_cache *c, const hpt__record *r, int64_t k) {
    int rc = HPT_OK;
    HPT_TRY(check_attrs(r->attrs, r->n_attrs, r->number));
    hpt__str_add(out, "{\"op_code\":4," WORKER ",\"study_id\":0,\"datetime_start\":");
    add_iso(out, r->start_us);
    if (r->complete_us != INT64_MIN) { // the reader takes no null here
        hpt__str_add(out, ",\"datetime_complete\":");
        add_iso(out, r->complete_us);
    }
    hpt__str_addf(out, ",\"state\":%d,\"value\":", (int)r->state);
    const bool one = k == 1 && r->n_values == 1;
    if (one)
        hpt__transfer_number(out, r->values[0]);
    else
        hpt__str_add(out, "null");
    hpt__str_add(out, ",\"values\":");
    add_values(out, r->values, one ? 0 : r->n_values);
    hpt__str_add(out, ",\"distributions\":");
    HPT_TRY(add_params(out, c, r, DISTRIBUTION_TEXT));
    hpt__str_add(out, ",\"params\":");
    HPT_TRY(add_params(out, c, r, INTERNAL));
    hpt__str_add(out, ",\"user_attrs\":");
    add_attrs(out, r->attrs, r->n_attrs, 'u');
    hpt__str_add(out, ",\"system_attrs\":");
    add_attrs(out, r->attrs, r->n_attrs, 's');
    hpt__str_add(out, ",\"intermediate_values\":{");
    for (int64_t i = 0; i < r->n_reports; i++) {
        hpt__str_addf(out, "%s\"%lld\":", i ? "," : "", (long long)r->reports[i].step);
        hpt__transfer_number(out, r->reports[i].value);
    }
    hpt__str_add(out, "}}\n");
    rc = hpt__str_status(out);
out:
    return rc;
}
