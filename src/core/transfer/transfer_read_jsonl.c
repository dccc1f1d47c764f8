// SPDX-License-Identifier: Apache-2.0
// transfer_read_jsonl.c: JSON lines as hpt_study_export writes them (form: transfer_write.c), a trial a line.
//
// A line says what study it belongs to, so several exports may be put into one file. Lines of other programs need only
// "params", "distributions" and "values" or "state". A number that its distribution does not hold is taken as it is:
// Optuna lets enqueued values lie outside.
// Threads: one file at a time. Cost: linear; one line is in memory.
#include "../base/alloc.h"
#include "../base/error.h"
#include "transfer_read.h"

#include <math.h>
#include <string.h>

// ---- pieces of JSON

int hpt__json_values(hpt__record *r, const hpt__json *list) {
    if (!list || list->kind == HPT__JSON_NULL) return HPT_OK;
    if (list->kind != HPT__JSON_ARRAY) return hpt__fail(HPT_E_PARSE, "the values are no list");
    const int rc = hpt__grow(&r->values, &r->cap_values, list->a.n, sizeof *r->values);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < list->a.n; i++)
        if (!hpt__json_number(&r->values[i], list->a.items[i]))
            return hpt__fail(HPT_E_PARSE, "value %lld is no number", (long long)i);
    r->n_values = list->a.n;
    return HPT_OK;
}

int hpt__json_attr(hpt__attr_item *out, hpt__arena *arena, char kind, const char *key, const hpt__json *value) {
    hpt__str text = HPT__STR_INIT;
    hpt__str_addc(&text, kind);
    hpt__str_addc(&text, ':');
    hpt__str_add(&text, key);
    const size_t n = text.len;
    hpt__str_addc(&text, 0);
    hpt__json_dumps(&text, value);
    int rc = hpt__str_status(&text);
    if (rc >= 0) {
        char *copy = hpt__arena_strndup(arena, hpt__str_text(&text), text.len);
        *out = (hpt__attr_item){copy, copy ? copy + n + 1 : NULL};
        if (!copy) rc = hpt__fail_memory();
    }
    hpt__str_fini(&text);
    return rc;
}

int hpt__json_attrs(hpt__record *r, hpt__arena *arena, char kind, const hpt__json *object) {
    if (!object || object->kind == HPT__JSON_NULL) return HPT_OK;
    if (object->kind != HPT__JSON_OBJECT) return hpt__fail(HPT_E_PARSE, "the attributes are no object");
    for (int64_t i = 0; i < object->o.n; i++) {
        hpt__attr_item attr;
        int rc = hpt__json_attr(&attr, arena, kind, object->o.keys[i], object->o.values[i]);
        if (rc >= 0) rc = hpt__record_set_attr(r, attr.key, attr.value_json);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

// ---- a line

static int read_time(int64_t *out, const hpt__json *line, const char *key) {
    const hpt__json *v = hpt__json_get(line, key);
    *out = INT64_MIN;
    if (!v || v->kind == HPT__JSON_NULL) return HPT_OK;
    const char *text = hpt__json_string(v);
    if (!text || !hpt__transfer_time(out, text, false))
        return hpt__fail(HPT_E_PARSE, "'%s' is no time like \"2026-01-31 12:00:00.000000\"", key);
    return HPT_OK;
}

static int read_reports(hpt__record *r, const hpt__json *list) {
    if (!list || list->kind == HPT__JSON_NULL) return HPT_OK;
    if (list->kind != HPT__JSON_ARRAY) return hpt__fail(HPT_E_PARSE, "'reports' is no list");
    for (int64_t i = 0; i < list->a.n; i++) {
        int64_t step;
        double value;
        const hpt__json *pair = list->a.items[i];
        if (pair->kind != HPT__JSON_ARRAY || pair->a.n != 2 || !hpt__json_integer(&step, pair->a.items[0]) ||
            !hpt__json_number(&value, pair->a.items[1]))
            return hpt__fail(HPT_E_PARSE, "report %lld is not [step, value]", (long long)i);
        const int rc = hpt__record_set_report(r, step, value);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int read_param(hpt__record *r, hpt__import *in, hpt__arena *arena, const char *name, const hpt__json *value,
                      const hpt__json *distribution) {
    const hpt__param *p;
    double internal;
    hpt__str text = HPT__STR_INIT;
    int rc = HPT_OK;
    HPT_FAIL_IF(!distribution, HPT_E_INCOMPATIBLE,
                "parameter '%s' has no entry in 'distributions'; export again with this program", name);
    hpt__json_dumps(&text, distribution);
    HPT_TRY(hpt__str_status(&text));
    HPT_TRY(hpt__dist_get(&p, &in->dists, name, hpt__str_text(&text)));
    HPT_FAIL_IF(!p, HPT_E_INCOMPATIBLE, "parameter '%s': its distribution is not one of Optuna's", name);
    if (p->kind == HPT__PARAM_CATEGORICAL)
        HPT_TRY(hpt__param_internal(&internal, p, value));
    else
        HPT_FAIL_IF(!hpt__json_number(&internal, value), HPT_E_INCOMPATIBLE, "parameter '%s': its value is no number",
                    name);
    const char *copy = hpt__arena_strndup(arena, hpt__str_text(&text), text.len);
    HPT_FAIL_IF(!copy, HPT_E_MEMORY, "out of memory");
    HPT_TRY(hpt__record_add_param(r, name, internal, copy));
out:
    hpt__str_fini(&text);
    return rc;
}

static int read_params(hpt__record *r, hpt__import *in, hpt__arena *arena, const hpt__json *line) {
    const hpt__json *params = hpt__json_get(line, "params"), *distributions = hpt__json_get(line, "distributions");
    if (!params) return HPT_OK;
    if (params->kind != HPT__JSON_OBJECT) return hpt__fail(HPT_E_PARSE, "'params' is no object");
    for (int64_t i = 0; i < params->o.n; i++) {
        const char *name = params->o.keys[i];
        const int rc = read_param(r, in, arena, name, params->o.values[i], hpt__json_get(distributions, name));
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

// The study that the line belongs to, made at its first line.
static int read_study(int64_t *index, hpt__import *in, hpt__arena *arena, const hpt__json *line, int64_t n_values) {
    int rc = HPT_OK;
    const hpt__json *list = hpt__json_get(line, "directions");
    const char *name = hpt__json_string(hpt__json_get(line, "study"));
    hpt__record attrs = {0}; // only its list of attributes is used
    HPT_FAIL_IF(list && (list->kind != HPT__JSON_ARRAY || list->a.n < 1), HPT_E_PARSE, "'directions' is no list");
    const int64_t k = list ? list->a.n : n_values > 0 ? n_values : 1;
    hpt_direction *directions = hpt__arena_alloc(arena, (size_t)k * sizeof *directions);
    if (!directions) return hpt__fail_memory();
    for (int64_t i = 0; i < k; i++) {
        const char *word = list ? hpt__json_string(list->a.items[i]) : "minimize";
        HPT_FAIL_IF(!word || (strcmp(word, "minimize") != 0 && strcmp(word, "maximize") != 0), HPT_E_PARSE,
                    "direction %lld is neither minimize nor maximize", (long long)i);
        directions[i] = strcmp(word, "maximize") == 0 ? HPT_MAXIMIZE : HPT_MINIMIZE;
    }
    HPT_TRY(hpt__json_attrs(&attrs, arena, 'u', hpt__json_get(line, "study_user_attrs")));
    HPT_TRY(hpt__json_attrs(&attrs, arena, 's', hpt__json_get(line, "study_system_attrs")));
    HPT_TRY(hpt__import_study_add(index, in, name, directions, k, attrs.attrs, attrs.n_attrs, true));
out:
    hpt__record_fini(&attrs);
    return rc;
}

static int read_line(hpt__import *in, hpt__record *r, hpt__arena *arena, const hpt__lines *l) {
    int rc = HPT_OK;
    int64_t index, number = -1;
    hpt__json *line;
    hpt__record_clear(r);
    HPT_TRY(hpt__json_parse(&line, arena, hpt__str_text(&l->line), l->line.len));
    HPT_FAIL_IF(line->kind != HPT__JSON_OBJECT, HPT_E_PARSE, "not an object");
    HPT_FAIL_IF(hpt__json_get(line, "number") &&
                    (!hpt__json_integer(&number, hpt__json_get(line, "number")) || number < 0),
                HPT_E_PARSE, "'number' is no number from 0 on");
    HPT_TRY(hpt__json_values(r, hpt__json_get(line, "values")));
    const char *state = hpt__json_string(hpt__json_get(line, "state"));
    if (hpt__json_get(line, "state"))
        HPT_TRY(hpt_trial_state_from_string(&r->state, state ? state : ""));
    else
        r->state = r->n_values ? HPT_TRIAL_COMPLETE : HPT_TRIAL_FAIL;
    HPT_TRY(read_params(r, in, arena, line));
    HPT_TRY(read_reports(r, hpt__json_get(line, "reports")));
    HPT_TRY(read_time(&r->start_us, line, "datetime_start"));
    HPT_TRY(read_time(&r->complete_us, line, "datetime_complete"));
    HPT_TRY(hpt__json_attrs(r, arena, 'u', hpt__json_get(line, "user_attrs")));
    HPT_TRY(hpt__json_attrs(r, arena, 's', hpt__json_get(line, "system_attrs")));
    HPT_TRY(read_study(&index, in, arena, line, r->n_values));
    HPT_TRY(hpt__import_trial(in, index, r, number));
out:
    return rc;
}

int hpt__read_jsonl(hpt__import *in) {
    hpt__lines l;
    hpt__record r = {0};
    hpt__arena arena;
    int rc = hpt__lines_open(&l, in->path);
    if (rc < 0) return rc;
    hpt__arena_init(&arena);
    while ((rc = hpt__lines_next(&l)) == 1) {
        if (!hpt__str_text(&l.line)[strspn(hpt__str_text(&l.line), " \t\r")]) continue;
        hpt__arena_reset(&arena);
        rc = read_line(in, &r, &arena, &l);
        if (rc < 0) {
            // What the storage says already names its file.
            if (rc != HPT_E_MEMORY && rc != HPT_E_STORAGE && rc != HPT_E_EXISTS && rc != HPT_E_BUSY)
                rc = hpt__fail_prefix(rc, "%s:%lld", in->path, (long long)l.number);
            break;
        }
    }
    hpt__lines_close(&l);
    hpt__record_fini(&r);
    hpt__arena_fini(&arena);
    return rc;
}
