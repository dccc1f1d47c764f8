// SPDX-License-Identifier: Apache-2.0
// json.c: values in memory: making, reading, comparing. json_parse.c reads text, json_write.c writes it.
//
// Ownership: everything lives in the arena; nothing is freed alone, so growing an array leaves the old one
// behind (geometric growth: less than the final size in all). Objects keep insertion order, as Python's do;
// lookup is linear: parameter blocks have tens of keys (the parser alone has to guard against more).
// Threads: one at a time while building; any number of readers after. Recursion follows the depth of the
// value, which the readers of text and YAML bound.
#include "json.h"

#include "error.h"
#include <math.h>
#include <string.h>

hpt__json *hpt__json_new(hpt__arena *arena, hpt__json_kind kind) {
    hpt__json *v = hpt__arena_alloc0(arena, sizeof *v);
    if (!v) return NULL;
    v->kind = kind;
    if (kind == HPT__JSON_STRING) v->s.text = "";
    return v;
}

hpt__json *hpt__json_new_bool(hpt__arena *arena, bool v) {
    hpt__json *j = hpt__json_new(arena, HPT__JSON_BOOL);
    if (j) j->b = v;
    return j;
}

hpt__json *hpt__json_new_int(hpt__arena *arena, int64_t v) {
    hpt__json *j = hpt__json_new(arena, HPT__JSON_INT);
    if (j) j->i = v;
    return j;
}

hpt__json *hpt__json_new_float(hpt__arena *arena, double v) {
    hpt__json *j = hpt__json_new(arena, HPT__JSON_FLOAT);
    if (j) j->f = v;
    return j;
}

hpt__json *hpt__json_new_string(hpt__arena *arena, const char *text, size_t n) {
    hpt__json *j = hpt__json_new(arena, HPT__JSON_STRING);
    char *copy = hpt__arena_strndup(arena, text, n);
    if (!j || !copy) return NULL;
    j->s.text = copy;
    j->s.len = n;
    return j;
}

static int64_t next_cap(int64_t cap) {
    return cap < 4 ? 4 : cap * 2;
}

int hpt__json_append(hpt__arena *arena, hpt__json *array, hpt__json *item) {
    HPT_ASSERT(array->kind == HPT__JSON_ARRAY);
    if (!item) return hpt__fail_memory(); // a maker failed: lets callers nest the two calls
    if (array->a.n == array->a.cap) {
        int64_t cap = next_cap(array->a.cap);
        hpt__json **items = hpt__arena_alloc(arena, (size_t)cap * sizeof *items);
        if (!items) return hpt__fail_memory();
        if (array->a.n) memcpy(items, array->a.items, (size_t)array->a.n * sizeof *items);
        array->a.items = items;
        array->a.cap = cap;
    }
    array->a.items[array->a.n++] = item;
    return HPT_OK;
}

static int64_t index_of(const hpt__json *object, const char *key) {
    for (int64_t i = 0; i < object->o.n; i++) {
        if (strcmp(object->o.keys[i], key) == 0) return i;
    }
    return -1;
}

int hpt__json_set(hpt__arena *arena, hpt__json *object, const char *key, hpt__json *value) {
    HPT_ASSERT(object->kind == HPT__JSON_OBJECT);
    if (!value) return hpt__fail_memory();
    int64_t at = index_of(object, key);
    if (at >= 0) {
        object->o.values[at] = value;
        return HPT_OK;
    }
    char *copy = hpt__arena_strndup(arena, key, strlen(key));
    if (!copy) return hpt__fail_memory();
    if (object->o.n == object->o.cap) {
        int64_t cap = next_cap(object->o.cap);
        const char **keys = hpt__arena_alloc(arena, (size_t)cap * sizeof *keys);
        hpt__json **values = hpt__arena_alloc(arena, (size_t)cap * sizeof *values);
        if (!keys || !values) return hpt__fail_memory();
        if (object->o.n) {
            memcpy(keys, object->o.keys, (size_t)object->o.n * sizeof *keys);
            memcpy(values, object->o.values, (size_t)object->o.n * sizeof *values);
        }
        object->o.keys = keys;
        object->o.values = values;
        object->o.cap = cap;
    }
    object->o.keys[object->o.n] = copy;
    object->o.values[object->o.n++] = value;
    return HPT_OK;
}

// Members are copied into arrays of the exact size rather than by hpt__json_set, whose search for the key
// would make copying a large object quadratic.
static bool dup_members(hpt__arena *arena, hpt__json **to, hpt__json *const *from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        to[i] = hpt__json_dup(arena, from[i]);
        if (!to[i]) return false;
    }
    return true;
}

hpt__json *hpt__json_dup(hpt__arena *arena, const hpt__json *v) {
    if (!v) return NULL;
    hpt__json *copy = hpt__json_new(arena, v->kind);
    if (!copy) return NULL;
    copy->line = v->line;
    switch (v->kind) {
    case HPT__JSON_NULL:
        break;
    case HPT__JSON_BOOL:
        copy->b = v->b;
        break;
    case HPT__JSON_INT:
        copy->i = v->i;
        break;
    case HPT__JSON_FLOAT:
        copy->f = v->f;
        break;
    case HPT__JSON_STRING: {
        char *text = hpt__arena_strndup(arena, v->s.text, v->s.len);
        if (!text) return NULL;
        copy->s.text = text;
        copy->s.len = v->s.len;
        break;
    }
    case HPT__JSON_ARRAY:
        if (v->a.n == 0) break;
        copy->a.items = hpt__arena_alloc(arena, (size_t)v->a.n * sizeof *copy->a.items);
        if (!copy->a.items || !dup_members(arena, copy->a.items, v->a.items, v->a.n)) return NULL;
        copy->a.n = copy->a.cap = v->a.n;
        break;
    case HPT__JSON_OBJECT:
        if (v->o.n == 0) break;
        copy->o.keys = hpt__arena_alloc(arena, (size_t)v->o.n * sizeof *copy->o.keys);
        copy->o.values = hpt__arena_alloc(arena, (size_t)v->o.n * sizeof *copy->o.values);
        if (!copy->o.keys || !copy->o.values) return NULL;
        for (int64_t i = 0; i < v->o.n; i++) {
            copy->o.keys[i] = hpt__arena_strndup(arena, v->o.keys[i], strlen(v->o.keys[i]));
            if (!copy->o.keys[i]) return NULL;
        }
        if (!dup_members(arena, copy->o.values, v->o.values, v->o.n)) return NULL;
        copy->o.n = copy->o.cap = v->o.n;
        break;
    }
    return copy;
}

hpt__json *hpt__json_get(const hpt__json *object, const char *key) {
    if (!object || object->kind != HPT__JSON_OBJECT) return NULL;
    int64_t at = index_of(object, key);
    return at < 0 ? NULL : object->o.values[at];
}

const char *hpt__json_string(const hpt__json *v) {
    return v && v->kind == HPT__JSON_STRING ? v->s.text : NULL;
}

bool hpt__json_number(double *out, const hpt__json *v) {
    if (!v || (v->kind != HPT__JSON_INT && v->kind != HPT__JSON_FLOAT)) return false;
    *out = v->kind == HPT__JSON_INT ? (double)v->i : v->f;
    return true;
}

// The int64 that equals f, if there is one.
static bool whole(int64_t *out, double f) {
    if (!(f >= -0x1p63 && f < 0x1p63) || f != floor(f)) return false;
    *out = (int64_t)f;
    return true;
}

bool hpt__json_integer(int64_t *out, const hpt__json *v) {
    if (!v) return false;
    if (v->kind == HPT__JSON_INT) {
        *out = v->i;
        return true;
    }
    return v->kind == HPT__JSON_FLOAT && whole(out, v->f);
}

const char *hpt__json_kind_name(hpt__json_kind kind) {
    switch (kind) {
    case HPT__JSON_NULL:
        return "null";
    case HPT__JSON_BOOL:
        return "boolean";
    case HPT__JSON_INT:
        return "integer";
    case HPT__JSON_FLOAT:
        return "number";
    case HPT__JSON_STRING:
        return "string";
    case HPT__JSON_ARRAY:
        return "list";
    case HPT__JSON_OBJECT:
        return "mapping";
    }
    return "unknown";
}

// Booleans are the numbers 0 and 1 in Python. Integers and floats compare by exact value, not after rounding.
static bool is_numeric(const hpt__json *v) {
    return v->kind == HPT__JSON_BOOL || v->kind == HPT__JSON_INT || v->kind == HPT__JSON_FLOAT;
}

static bool numbers_equal(const hpt__json *a, const hpt__json *b) {
    if (a->kind == HPT__JSON_FLOAT && b->kind == HPT__JSON_FLOAT) return a->f == b->f || (isnan(a->f) && isnan(b->f));
    int64_t x, y;
    if (a->kind == HPT__JSON_FLOAT) {
        if (!whole(&x, a->f)) return false;
    } else {
        x = a->kind == HPT__JSON_BOOL ? a->b : a->i;
    }
    if (b->kind == HPT__JSON_FLOAT) {
        if (!whole(&y, b->f)) return false;
    } else {
        y = b->kind == HPT__JSON_BOOL ? b->b : b->i;
    }
    return x == y;
}

static bool objects_equal(const hpt__json *a, const hpt__json *b) {
    if (a->o.n != b->o.n) return false;
    for (int64_t i = 0; i < a->o.n; i++) {
        // Mostly the order is the same; else search.
        bool here = strcmp(a->o.keys[i], b->o.keys[i]) == 0;
        const hpt__json *other = here ? b->o.values[i] : hpt__json_get(b, a->o.keys[i]);
        if (!other || !hpt__json_equal(a->o.values[i], other)) return false;
    }
    return true;
}

bool hpt__json_equal(const hpt__json *a, const hpt__json *b) {
    if (!a || !b) return a == b;
    if (is_numeric(a) && is_numeric(b)) return numbers_equal(a, b);
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case HPT__JSON_NULL:
        return true;
    case HPT__JSON_STRING:
        return a->s.len == b->s.len && memcmp(a->s.text, b->s.text, a->s.len) == 0;
    case HPT__JSON_ARRAY:
        if (a->a.n != b->a.n) return false;
        for (int64_t i = 0; i < a->a.n; i++) {
            if (!hpt__json_equal(a->a.items[i], b->a.items[i])) return false;
        }
        return true;
    case HPT__JSON_OBJECT:
        return objects_equal(a, b);
    default:
        return false;
    }
}
