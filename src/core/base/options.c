// SPDX-License-Identifier: Apache-2.0
// options.c: everything that follows from options.def: defaults, bounds, environment, text, JSON.
//
// The list is included four times with the macros defined differently, so a new option is one line there
// and nothing here. Environment names and the choices of enums are cut from the keys and "a|b|c" strings
// once, under pthread_once, into static arrays: that is what lets an enum field be a plain pointer that
// never needs freeing.
// Ownership: nothing allocated. Threads: any; each hpt__options belongs to its holder.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // pthread under -std=c17
#endif
#include "options.h"

#include "error.h"
#include "num.h"
#include <math.h> // INFINITY, as a bound in options.def
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { KIND_INT, KIND_FLOAT, KIND_BOOL, KIND_ENUM } kind;

typedef struct entry {
    const char *key;
    kind type;
    size_t offset;
    int64_t int_min, int_max;
    double float_min, float_max;
    const char *default_text, *bounds, *doc; // for an enum, bounds is "a|b|c"
} entry;

#define AT(field) offsetof(hpt__options, field)
#define OPT_INT(field, key, def, min, max, doc) \
    {key, KIND_INT, AT(field), min, max, 0, 0, #def, "[" #min ", " #max "]", doc},
#define OPT_FLOAT(field, key, def, min, max, doc) \
    {key, KIND_FLOAT, AT(field), 0, 0, min, max, #def, "[" #min ", " #max "]", doc},
#define OPT_BOOL(field, key, def, doc) {key, KIND_BOOL, AT(field), 0, 0, 0, 0, #def, "", doc},
#define OPT_ENUM(field, key, def, choices, doc) {key, KIND_ENUM, AT(field), 0, 0, 0, 0, def, choices, doc},
static const entry table[] = {
#include "options.def"
};
#undef OPT_INT
#undef OPT_FLOAT
#undef OPT_BOOL
#undef OPT_ENUM

enum { N_OPTIONS = sizeof table / sizeof table[0], NAME_MAX_BYTES = 64, CHOICES_MAX_BYTES = 128 };

#define OPT_INT(field, key, def, min, max, doc) \
    _Static_assert(sizeof(key) + 4 <= NAME_MAX_BYTES && (min) <= (def) && (def) <= (max), key);
#define OPT_FLOAT(field, key, def, min, max, doc) _Static_assert(sizeof(key) + 4 <= NAME_MAX_BYTES, key);
#define OPT_BOOL(field, key, def, doc) _Static_assert(sizeof(key) + 4 <= NAME_MAX_BYTES, key);
#define OPT_ENUM(field, key, def, choices, doc) \
    _Static_assert(sizeof(key) + 4 <= NAME_MAX_BYTES && sizeof(choices) < CHOICES_MAX_BYTES, key);
#include "options.def"
#undef OPT_INT
#undef OPT_FLOAT
#undef OPT_BOOL
#undef OPT_ENUM

static pthread_once_t names_once = PTHREAD_ONCE_INIT;
static char env_names[N_OPTIONS][NAME_MAX_BYTES];
static char choice_lists[N_OPTIONS][CHOICES_MAX_BYTES]; // "a\0b\0c\0\0"

static void make_names(void) {
    for (int i = 0; i < N_OPTIONS; i++) {
        char *w = env_names[i];
        memcpy(w, "HPT_", 4);
        w += 4;
        for (const char *p = table[i].key; *p; p++) {
            char c = *p;
            if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
            *w++ = c == '.' || c == '-' ? '_' : c;
        }
        if (table[i].type != KIND_ENUM) continue;
        w = choice_lists[i];
        for (const char *p = table[i].bounds; *p; p++) *w++ = *p == '|' ? '\0' : *p;
    }
}

// The static copy of a choice, or NULL.
static const char *choice_of(int64_t i, const char *value) {
    (void)pthread_once(&names_once, make_names);
    for (const char *p = choice_lists[i]; *p; p += strlen(p) + 1) {
        if (strcmp(p, value) == 0) return p;
    }
    return NULL;
}

int hpt_option_info_at(hpt_option_info *out, int64_t i) {
    static const char *const type_names[] = {"int", "float", "bool", "enum"};
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_option_info_at: out is NULL");
    if (i < 0) return hpt__fail(HPT_E_ARG, "hpt_option_info_at: index %lld is negative", (long long)i);
    if (i >= N_OPTIONS) return HPT_S_NOTHING;
    (void)pthread_once(&names_once, make_names);
    *out = (hpt_option_info){
        .key = table[i].key,
        .type = type_names[table[i].type],
        .default_value = table[i].default_text,
        .bounds = table[i].bounds,
        .env = env_names[i],
        .doc = table[i].doc,
    };
    return HPT_OK;
}

void hpt__options_default(hpt__options *o) {
#define OPT_INT(field, key, def, min, max, doc) o->field = (def);
#define OPT_FLOAT(field, key, def, min, max, doc) o->field = (def);
#define OPT_BOOL(field, key, def, doc) o->field = (def);
#define OPT_ENUM(field, key, def, choices, doc) o->field = (def);
#include "options.def"
#undef OPT_INT
#undef OPT_FLOAT
#undef OPT_BOOL
#undef OPT_ENUM
}

static int64_t find_key(const char *key, size_t len) {
    for (int64_t i = 0; i < N_OPTIONS; i++) {
        if (strlen(table[i].key) == len && memcmp(table[i].key, key, len) == 0) return i;
    }
    return -1;
}

static int unknown_key(const char *key) {
    const char *keys[N_OPTIONS];
    for (int i = 0; i < N_OPTIONS; i++) keys[i] = table[i].key;
    const char *near = hpt__nearest(key, keys, N_OPTIONS);
    if (near) return hpt__fail(HPT_E_ARG, "unknown option '%s'; did you mean '%s'?", key, near);
    return hpt__fail(HPT_E_ARG, "unknown option '%s'; `hpt help options` lists them", key);
}

static int bad_value(int64_t i, const char *value) {
    const entry *e = &table[i];
    switch (e->type) {
    case KIND_INT:
        return hpt__fail(HPT_E_ARG, "option '%s': '%s' is not an integer in %s", e->key, value, e->bounds);
    case KIND_FLOAT:
        return hpt__fail(HPT_E_ARG, "option '%s': '%s' is not a number in %s", e->key, value, e->bounds);
    case KIND_BOOL:
        return hpt__fail(HPT_E_ARG, "option '%s': '%s' is neither true nor false", e->key, value);
    case KIND_ENUM:
        break;
    }
    return hpt__fail(HPT_E_ARG, "option '%s': '%s' is none of %s", e->key, value, e->bounds);
}

static bool parse_bool(bool *out, const char *text) {
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    char lower[8] = "";
    size_t n = strlen(text);
    if (n >= sizeof lower) return false;
    for (size_t i = 0; i < n; i++) lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    for (int i = 0; i < 8; i++) {
        if (strcmp(lower, words[i]) != 0) continue;
        *out = i < 4;
        return true;
    }
    return false;
}

// Fields are reached by offset, so they are read and written as bytes.
static void put(hpt__options *o, const entry *e, const void *value, size_t size) {
    memcpy((char *)o + e->offset, value, size);
}

static void fetch(void *value, size_t size, const hpt__options *o, const entry *e) {
    memcpy(value, (const char *)o + e->offset, size);
}

static bool put_int(hpt__options *o, const entry *e, int64_t v) {
    if (v < e->int_min || v > e->int_max) return false;
    put(o, e, &v, sizeof v);
    return true;
}

static bool put_float(hpt__options *o, const entry *e, double v) {
    if (!(v >= e->float_min && v <= e->float_max)) return false; // also refuses NaN
    put(o, e, &v, sizeof v);
    return true;
}

static int set_at(hpt__options *o, int64_t i, const char *value) {
    const entry *e = &table[i];
    bool good = false;
    switch (e->type) {
    case KIND_INT: {
        int64_t v;
        good = hpt__parse_int(&v, value, strlen(value)) && put_int(o, e, v);
        break;
    }
    case KIND_FLOAT: {
        double v;
        good = hpt__parse_double(&v, value, strlen(value), true) && put_float(o, e, v);
        break;
    }
    case KIND_BOOL: {
        bool v;
        good = parse_bool(&v, value);
        if (good) put(o, e, &v, sizeof v);
        break;
    }
    case KIND_ENUM: {
        const char *v = choice_of(i, value);
        good = v != NULL;
        if (good) put(o, e, &v, sizeof v);
        break;
    }
    }
    return good ? HPT_OK : bad_value(i, value);
}

int hpt__options_set(hpt__options *o, const char *key, const char *value) {
    int64_t i = find_key(key, strlen(key));
    return i < 0 ? unknown_key(key) : set_at(o, i, value);
}

int hpt__options_set_pair(hpt__options *o, const char *key_equals_value) {
    const char *equals = strchr(key_equals_value, '=');
    if (!equals) return hpt__fail(HPT_E_ARG, "option '%s': write it as key=value", key_equals_value);
    size_t len = (size_t)(equals - key_equals_value);
    int64_t i = find_key(key_equals_value, len);
    if (i >= 0) return set_at(o, i, equals + 1);
    char key[NAME_MAX_BYTES * 2]; // for the message; cut if absurd
    if (len >= sizeof key) len = sizeof key - 1;
    memcpy(key, key_equals_value, len);
    key[len] = 0;
    return unknown_key(key);
}

int hpt__options_from_env(hpt__options *o) {
    (void)pthread_once(&names_once, make_names);
    hpt__options result;
    hpt__options_default(&result);
    for (int64_t i = 0; i < N_OPTIONS; i++) {
        const char *value = getenv(env_names[i]);
        if (!value || !*value) continue; // empty means unset, as for most programs
        int rc = set_at(&result, i, value);
        if (rc < 0) return hpt__fail_prefix(rc, "environment variable %s", env_names[i]);
    }
    *o = result;
    return HPT_OK;
}

// Appends the value of option i as JSON if it differs from the default.
static bool add_changed(hpt__str *out, const hpt__options *o, const hpt__options *def, int64_t i, bool first) {
    const entry *e = &table[i];
    hpt__str value = HPT__STR_INIT;
    bool changed = false;
    switch (e->type) {
    case KIND_INT: {
        int64_t a, b;
        fetch(&a, sizeof a, o, e);
        fetch(&b, sizeof b, def, e);
        if ((changed = a != b)) hpt__str_add_int(&value, a);
        break;
    }
    case KIND_FLOAT: {
        double a, b;
        fetch(&a, sizeof a, o, e);
        fetch(&b, sizeof b, def, e);
        if ((changed = a != b)) {
            hpt__json number = {.kind = HPT__JSON_FLOAT, .f = a};
            hpt__json_dumps(&value, &number); // Infinity, where a bound allows it
        }
        break;
    }
    case KIND_BOOL: {
        bool a, b;
        fetch(&a, sizeof a, o, e);
        fetch(&b, sizeof b, def, e);
        if ((changed = a != b)) hpt__str_add(&value, a ? "true" : "false");
        break;
    }
    case KIND_ENUM: {
        const char *a, *b;
        fetch(&a, sizeof a, o, e);
        fetch(&b, sizeof b, def, e);
        if ((changed = strcmp(a, b) != 0)) hpt__str_add_json_string(&value, a, strlen(a));
        break;
    }
    }
    if (changed) {
        hpt__str_add(out, first ? "" : ", ");
        hpt__str_add_json_string(out, e->key, strlen(e->key));
        hpt__str_add(out, ": ");
        hpt__str_add(out, hpt__str_text(&value));
        if (value.failed) out->failed = true;
    }
    hpt__str_fini(&value);
    return changed;
}

void hpt__options_to_json(hpt__str *out, const hpt__options *o) {
    hpt__options def;
    hpt__options_default(&def);
    bool first = true;
    hpt__str_addc(out, '{');
    for (int64_t i = 0; i < N_OPTIONS; i++) {
        if (add_changed(out, o, &def, i, first)) first = false;
    }
    hpt__str_addc(out, '}');
}

static int set_json(hpt__options *o, int64_t i, const hpt__json *v) {
    const entry *e = &table[i];
    int64_t whole;
    double number;
    const char *text = hpt__json_string(v);
    if (text) return set_at(o, i, text); // "16" too: what a shell passes through is a string
    bool good = false;
    switch (e->type) {
    case KIND_INT:
        good = hpt__json_integer(&whole, v) && put_int(o, e, whole);
        break;
    case KIND_FLOAT:
        good = hpt__json_number(&number, v) && put_float(o, e, number);
        break;
    case KIND_BOOL:
        good = v && v->kind == HPT__JSON_BOOL;
        if (good) put(o, e, &v->b, sizeof v->b);
        break;
    case KIND_ENUM:
        break;
    }
    if (good) return HPT_OK;
    hpt__str shown = HPT__STR_INIT;
    hpt__json_dumps(&shown, v);
    int rc = bad_value(i, hpt__str_text(&shown));
    hpt__str_fini(&shown);
    return rc;
}

int hpt__options_from_json(hpt__options *o, const hpt__json *object) {
    if (!object || object->kind != HPT__JSON_OBJECT)
        return hpt__fail(HPT_E_ARG, "options must be a mapping, not a %s",
                         object ? hpt__json_kind_name(object->kind) : "missing value");
    hpt__options result = *o;
    for (int64_t k = 0; k < object->o.n; k++) {
        int64_t i = find_key(object->o.keys[k], strlen(object->o.keys[k]));
        if (i < 0) return unknown_key(object->o.keys[k]);
        int rc = set_json(&result, i, object->o.values[k]);
        if (rc < 0) return rc;
    }
    *o = result;
    return HPT_OK;
}
