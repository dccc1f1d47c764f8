// SPDX-License-Identifier: Apache-2.0
// space_json.c: a space as the text that a study stores, and back.
//
//   {"parameters": [
//     {"name": "lr", "type": "float", "low": 1e-05, "high": 1.0, "log": true},
//     {"name": "layers", "type": "int", "low": 1, "high": 9, "step": 2},
//     {"name": "optimizer", "type": "categorical", "choices": ["sgd", "adam"]},
//     {"name": "momentum", "type": "float", "low": 0.0, "high": 0.9, "step": 0.1,
//      "when": [{"parent": "optimizer", "values": ["sgd"]}]},
//     {"name": "epochs", "type": "constant", "value": 10},
//     {"name": "width", "type": "int", "law": "uniform", "low": 16.0, "high": 256.0, "q": 16, "log": true},
//     {"name": "decay", "type": "float", "law": "normal", "mu": -7.0, "sigma": 2.0, "log": true},
//     {"name": "mix", "type": "float", "law": "beta", "a": 0.5, "b": 0.5, "q": 0.01},
//     {"name": "init", "type": "categorical", "choices": ["he", "zero"], "probabilities": [0.9, 0.1]}]}
//
// on one line, in the form of json.dumps. Order is the order of addition; parents may follow children. Absent:
// step of a continuous float or of an integer with step 1, log false, no conditions, the uniform law without rounding, q of
// a law that is not rounded. Probabilities are written as they were given. Numbers are the shortest that
// read back as the same double, so to_json(from_json(text)) is text. An unknown key is an error and not
// skipped: a space that means more than this version knows must not be searched as if it did not.
//
// Why not Optuna's distributions: they have no conditions, no log with step, no constants and no laws.
// Ownership: the text is the caller's. Threads: as the space. Cost: linear.
#include "../base/alloc.h"
#include "../base/error.h"
#include "space_build.h"
#include <math.h>
#include <string.h>

// ---- writing

static void write_key(hpt__str *out, const char *key) {
    hpt__str_addf(out, ", \"%s\": ", key);
}

static void write_string(hpt__str *out, const char *text) {
    hpt__str_add_json_string(out, text, strlen(text));
}

static void write_value(hpt__str *out, const hpt__param *p, double v) {
    if (p->kind == HPT__PARAM_CATEGORICAL)
        hpt__json_dumps(out, p->choices[hpt__param_index_of(p, v)]);
    else
        hpt__param_external(out, p, v);
}

static void write_range(hpt__str *out, const hpt__param *p) {
    const bool is_int = p->kind == HPT__PARAM_INT;
    hpt__str_add(out, is_int ? "\"int\"" : "\"float\"");
    write_key(out, "low");
    write_value(out, p, p->low);
    write_key(out, "high");
    write_value(out, p, p->high);
    if (p->step > (is_int ? 1 : 0)) {
        write_key(out, "step");
        write_value(out, p, p->step);
    }
    if (p->log) {
        write_key(out, "log");
        hpt__str_add(out, "true");
    }
}

// Names of the law's numbers, in the order of law_a, law_b.
typedef struct law_keys {
    const char *name, *a, *b;
} law_keys;

static const law_keys laws[] = {
    [HPT__LAW_ROUNDED] = {"uniform", "low", "high"},
    [HPT__LAW_NORMAL] = {"normal", "mu", "sigma"},
    [HPT__LAW_BETA] = {"beta", "a", "b"},
};
enum { N_LAWS = sizeof laws / sizeof *laws };

static void write_law(hpt__str *out, const hpt__param *p) {
    const law_keys *law = &laws[p->law];
    hpt__str_addf(out, "%s, \"law\": \"%s\"", p->kind == HPT__PARAM_INT ? "\"int\"" : "\"float\"", law->name);
    write_key(out, law->a);
    hpt__str_add_double(out, p->law_a);
    write_key(out, law->b);
    hpt__str_add_double(out, p->law_b);
    if (p->step > 0) {
        write_key(out, "q");
        write_value(out, p, p->step);
    }
    if (p->log) {
        write_key(out, "log");
        hpt__str_add(out, "true");
    }
}

static void write_choices(hpt__str *out, const hpt__param *p) {
    if (p->is_constant) {
        hpt__str_add(out, "\"constant\"");
        write_key(out, "value");
        hpt__json_dumps(out, p->choices[0]);
        return;
    }
    hpt__str_add(out, "\"categorical\"");
    write_key(out, "choices");
    for (int64_t i = 0; i < p->n_choices; i++) {
        hpt__str_add(out, i > 0 ? ", " : "[");
        hpt__json_dumps(out, p->choices[i]);
    }
    hpt__str_addc(out, ']');
    if (!p->probabilities) return;
    write_key(out, "probabilities");
    for (int64_t i = 0; i < p->n_choices; i++) {
        hpt__str_add(out, i > 0 ? ", " : "[");
        hpt__str_add_double(out, p->probabilities[i]);
    }
    hpt__str_addc(out, ']');
}

static void write_conditions(hpt__str *out, const hpt_space *space, const hpt__param *p) {
    if (p->n_conditions == 0) return;
    write_key(out, "when");
    for (int64_t i = 0; i < p->n_conditions; i++) {
        const hpt__condition *c = &p->conditions[i];
        const hpt__param *parent = &space->params[c->parent];
        hpt__str_add(out, i > 0 ? ", {\"parent\": " : "[{\"parent\": ");
        write_string(out, parent->name);
        write_key(out, "values");
        for (int64_t k = 0; k < c->n_values; k++) {
            hpt__str_add(out, k > 0 ? ", " : "[");
            write_value(out, parent, c->values[k]);
        }
        hpt__str_add(out, "]}");
    }
    hpt__str_addc(out, ']');
}

int hpt_space_to_json(char **out, const hpt_space *space) {
    if (!out || !space) return hpt__fail(HPT_E_ARG, "hpt_space_to_json: out or space is NULL");
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    hpt__str_add(&text, "{\"parameters\": [");
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        hpt__str_add(&text, i > 0 ? ", {\"name\": " : "{\"name\": ");
        write_string(&text, p->name);
        write_key(&text, "type");
        if (p->kind == HPT__PARAM_CATEGORICAL)
            write_choices(&text, p);
        else if (p->law != HPT__LAW_FLAT)
            write_law(&text, p);
        else
            write_range(&text, p);
        write_conditions(&text, space, p);
        hpt__str_addc(&text, '}');
    }
    hpt__str_add(&text, "]}");
    HPT_TRY(hpt__str_status(&text));
    *out = hpt__str_take(&text);
    if (!*out) HPT_TRY(hpt__fail_memory());
out:
    hpt__str_fini(&text);
    return rc;
}

// ---- reading

static int check_keys(const hpt__json *object, const char *const *keys, int64_t n) {
    for (int64_t i = 0; i < object->o.n; i++) {
        const char *key = object->o.keys[i];
        int64_t k = 0;
        while (k < n && strcmp(keys[k], key) != 0) k++;
        if (k < n) continue;
        const char *nearest = hpt__nearest(key, keys, n);
        return nearest ? hpt__fail(HPT_E_ARG, "unknown key '%s'; did you mean '%s'?", key, nearest)
                       : hpt__fail(HPT_E_ARG, "unknown key '%s'", key);
    }
    return 0;
}

#define CHECK_KEYS(object, ...)                              \
    check_keys((object), (const char *const[]){__VA_ARGS__}, \
               (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)))

static int read_text(const char **out, const hpt__json *object, const char *key) {
    const hpt__json *v = hpt__json_get(object, key);
    *out = hpt__json_string(v);
    if (!*out) return hpt__fail(HPT_E_ARG, "'%s' must be a string", key);
    if (memchr(*out, 0, v->s.len)) return hpt__fail(HPT_E_ARG, "'%s' holds a NUL character", key);
    return 0;
}

static int read_bound(double *out, const hpt__json *object, const char *key, bool is_int) {
    const hpt__json *v = hpt__json_get(object, key);
    int64_t i;
    if (!is_int) return hpt__json_number(out, v) ? 0 : hpt__fail(HPT_E_ARG, "'%s' must be a number", key);
    if (!hpt__json_integer(&i, v)) return hpt__fail(HPT_E_ARG, "'%s' must be an integer", key);
    *out = (double)i;
    if (!(fabs(*out) <= 0x1p53)) return hpt__fail(HPT_E_ARG, "'%s' passes 2^53", key);
    return 0;
}

// A parameter as read, before it is added: errors of reading get the name put before them, those of adding have it.
typedef struct draft {
    hpt__param_kind kind;
    hpt__range range;
    hpt__json *const *choices;
    int64_t n_choices;
    bool is_constant;
    hpt__json *value;
    const hpt__json *probabilities; // NULL: none
    hpt__law law;                   // with range.step as q
    double law_a, law_b;
} draft;

static int read_log(bool *out, const hpt__json *o) {
    const hpt__json *log = hpt__json_get(o, "log");
    if (log && log->kind != HPT__JSON_BOOL) return hpt__fail(HPT_E_ARG, "'log' must be true or false");
    *out = log && log->b;
    return 0;
}

static int read_law(draft *out, const hpt__json *o, hpt__param_kind kind) {
    int rc = 0;
    const char *name;
    HPT_TRY(read_text(&name, o, "law"));
    int law = HPT__LAW_ROUNDED;
    while (law < N_LAWS && strcmp(laws[law].name, name) != 0) law++;
    HPT_FAIL_IF(law == N_LAWS, HPT_E_ARG, "unknown law '%s'; one of uniform, normal, beta", name);
    HPT_TRY(CHECK_KEYS(o, "name", "type", "law", laws[law].a, laws[law].b, "q", "log", "when"));
    HPT_TRY(read_bound(&out->law_a, o, laws[law].a, false));
    HPT_TRY(read_bound(&out->law_b, o, laws[law].b, false));
    if (hpt__json_get(o, "q")) HPT_TRY(read_bound(&out->range.step, o, "q", kind == HPT__PARAM_INT));
    HPT_TRY(read_log(&out->range.log, o));
    HPT_FAIL_IF(out->range.log && law == HPT__LAW_BETA, HPT_E_ARG, "a beta law has no 'log'");
    out->kind = kind;
    out->law = (hpt__law)law;
out:
    return rc;
}

static int read_range(draft *out, const hpt__json *o, hpt__param_kind kind) {
    if (hpt__json_get(o, "law")) return read_law(out, o, kind);
    int rc = 0;
    const bool is_int = kind == HPT__PARAM_INT;
    hpt__range r = {.step = is_int ? 1 : 0, .keep_high = true};
    HPT_TRY(CHECK_KEYS(o, "name", "type", "low", "high", "step", "log", "when"));
    HPT_TRY(read_bound(&r.low, o, "low", is_int));
    HPT_TRY(read_bound(&r.high, o, "high", is_int));
    if (hpt__json_get(o, "step")) HPT_TRY(read_bound(&r.step, o, "step", is_int));
    HPT_FAIL_IF(is_int && r.step < 1, HPT_E_ARG, "'step' of an integer is at least 1");
    HPT_TRY(read_log(&r.log, o));
    out->kind = kind;
    out->range = r;
out:
    return rc;
}

static int read_constant(draft *out, const hpt__json *o) {
    int rc = CHECK_KEYS(o, "name", "type", "value", "when");
    if (rc < 0) return rc;
    out->value = hpt__json_get(o, "value");
    if (!out->value) return hpt__fail(HPT_E_ARG, "a constant needs a 'value'");
    out->kind = HPT__PARAM_CATEGORICAL;
    out->choices = &out->value;
    out->n_choices = 1;
    out->is_constant = true;
    return 0;
}

static int read_choices(draft *out, const hpt__json *o) {
    int rc = CHECK_KEYS(o, "name", "type", "choices", "probabilities", "when");
    if (rc < 0) return rc;
    const hpt__json *list = hpt__json_get(o, "choices");
    if (!list || list->kind != HPT__JSON_ARRAY) return hpt__fail(HPT_E_ARG, "'choices' must be a list");
    out->probabilities = hpt__json_get(o, "probabilities");
    if (out->probabilities && out->probabilities->kind != HPT__JSON_ARRAY)
        return hpt__fail(HPT_E_ARG, "'probabilities' must be a list");
    out->kind = HPT__PARAM_CATEGORICAL;
    out->choices = list->a.items;
    out->n_choices = list->a.n;
    return 0;
}

static int read_parameter(draft *out, const hpt__json *o) {
    static const char *const types[] = {"float", "int", "categorical", "constant"};
    const char *type;
    int rc = read_text(&type, o, "type");
    if (rc < 0) return rc;
    if (strcmp(type, "float") == 0) return read_range(out, o, HPT__PARAM_FLOAT);
    if (strcmp(type, "int") == 0) return read_range(out, o, HPT__PARAM_INT);
    if (strcmp(type, "categorical") == 0) return read_choices(out, o);
    if (strcmp(type, "constant") == 0) return read_constant(out, o);
    const char *nearest = hpt__nearest(type, types, 4);
    return nearest ? hpt__fail(HPT_E_ARG, "unknown type '%s'; did you mean '%s'?", type, nearest)
                   : hpt__fail(HPT_E_ARG, "unknown type '%s'; one of float, int, categorical, constant", type);
}

// To the parameter added last.
static int add_probabilities(hpt_space *space, const hpt__json *list) {
    const int64_t i = space->d - 1;
    double *p = hpt__calloc((size_t)list->a.n + 1, sizeof *p);
    int rc = p ? 0 : hpt__fail_memory();
    for (int64_t k = 0; rc == 0 && k < list->a.n; k++)
        if (!hpt__json_number(&p[k], list->a.items[k]))
            rc = hpt__fail(HPT_E_ARG, "parameter '%s': probability %lld is no number", space->params[i].name,
                           (long long)k);
    if (rc == 0) rc = hpt__space_set_probabilities(space, i, p, list->a.n);
    hpt__free(p);
    return rc;
}

static int add_parameter(hpt_space *space, const hpt__json *o, int64_t i) {
    if (o->kind != HPT__JSON_OBJECT) return hpt__fail(HPT_E_ARG, "parameter %lld is no mapping", (long long)i);
    const char *name;
    draft p = {0};
    int rc = read_text(&name, o, "name");
    if (rc < 0) return hpt__fail_prefix(rc, "parameter %lld", (long long)i);
    rc = read_parameter(&p, o);
    if (rc < 0) return hpt__fail_prefix(rc, "parameter '%s'", name);
    if (p.law != HPT__LAW_FLAT)
        return hpt__space_add_law(space, name, p.kind, p.law, p.law_a, p.law_b, p.range.step, p.range.log);
    if (p.kind != HPT__PARAM_CATEGORICAL) return hpt__space_add_range(space, name, p.kind, p.range);
    rc = hpt__space_add_choices(space, name, p.choices, p.n_choices, p.is_constant);
    return rc == 0 && p.probabilities ? add_probabilities(space, p.probabilities) : rc;
}

static int read_condition(int64_t *parent, const hpt__json **values, const hpt_space *space, const hpt__json *c) {
    if (c->kind != HPT__JSON_OBJECT) return hpt__fail(HPT_E_ARG, "'when' must hold mappings of parent and values");
    const char *name = NULL;
    int rc = CHECK_KEYS(c, "parent", "values");
    if (rc == 0) rc = read_text(&name, c, "parent");
    if (rc < 0) return rc;
    *values = hpt__json_get(c, "values");
    if (!*values || (*values)->kind != HPT__JSON_ARRAY) return hpt__fail(HPT_E_ARG, "'values' must be a list");
    *parent = hpt__space_find(space, name);
    return *parent < 0 ? hpt__space_unknown(space, name) : 0;
}

static int add_conditions(hpt_space *space, int64_t child, const hpt__json *when) {
    const char *name = space->params[child].name;
    if (when && when->kind != HPT__JSON_ARRAY)
        return hpt__fail(HPT_E_ARG, "parameter '%s': 'when' must be a list", name);
    for (int64_t i = 0; when && i < when->a.n; i++) {
        int64_t parent = 0;
        const hpt__json *values = NULL;
        int rc = read_condition(&parent, &values, space, when->a.items[i]);
        if (rc < 0) return hpt__fail_prefix(rc, "condition of '%s'", name);
        rc = hpt__space_add_condition_json(space, child, parent, values);
        if (rc < 0) return rc;
    }
    return 0;
}

static int read_space(hpt_space *space, const hpt__json *root) {
    int rc = 0;
    HPT_FAIL_IF(root->kind != HPT__JSON_OBJECT, HPT_E_ARG, "must be a mapping with the key 'parameters', not a %s",
                hpt__json_kind_name(root->kind));
    HPT_TRY(CHECK_KEYS(root, "parameters"));
    const hpt__json *list = hpt__json_get(root, "parameters");
    HPT_FAIL_IF(!list || list->kind != HPT__JSON_ARRAY, HPT_E_ARG, "'parameters' must be a list");
    for (int64_t i = 0; i < list->a.n; i++) HPT_TRY(add_parameter(space, list->a.items[i], i));
    for (int64_t i = 0; i < list->a.n; i++) HPT_TRY(add_conditions(space, i, hpt__json_get(list->a.items[i], "when")));
out:
    return rc;
}

int hpt_space_from_json(hpt_space **out, const char *json) {
    if (!out || !json) return hpt__fail(HPT_E_ARG, "hpt_space_from_json: out or json is NULL");
    int rc = 0;
    hpt_space *space = NULL;
    hpt__json *root;
    hpt__arena scratch;
    hpt__arena_init(&scratch);
    HPT_TRY(hpt_space_create(&space));
    HPT_TRY(hpt__json_parse(&root, &scratch, json, strlen(json)));
    HPT_TRY(read_space(space, root));
    *out = space;
    space = NULL;
out:
    if (rc < 0 && rc != HPT_E_MEMORY) rc = hpt__fail_prefix(rc, "space");
    hpt_space_destroy(space);
    hpt__arena_fini(&scratch);
    return rc;
}

// ---- points

void hpt__space_point_json(hpt__str *out, const hpt_space *space, const double *point, bool python_style) {
    bool first = true;
    hpt__str_addc(out, '{');
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (isnan(point[i])) continue;
        if (!first) hpt__str_add(out, python_style ? ", " : ",");
        first = false;
        write_string(out, p->name);
        hpt__str_add(out, python_style ? ": " : ":");
        if (python_style)
            write_value(out, p, point[i]);
        else
            hpt__param_external(out, p, point[i]);
    }
    hpt__str_addc(out, '}');
}

int hpt__space_point_from_json(double *point, const hpt_space *space, const hpt__json *object) {
    if (!object || object->kind != HPT__JSON_OBJECT)
        return hpt__fail(HPT_E_ARG, "parameters must be a mapping of names to values");
    for (int64_t i = 0; i < space->d; i++) point[i] = NAN;
    for (int64_t k = 0; k < object->o.n; k++) {
        const int64_t i = hpt__space_find(space, object->o.keys[k]);
        if (i < 0) return hpt__space_unknown(space, object->o.keys[k]);
        int rc = hpt__param_internal(&point[i], &space->params[i], object->o.values[k]);
        if (rc < 0) return rc;
    }
    return 0;
}
