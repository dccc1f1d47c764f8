// SPDX-License-Identifier: Apache-2.0
// json.h: JSON as Python's json module reads and writes it: NaN, Infinity, -Infinity accepted; integers and
// floats kept apart; order of keys kept. No library in Debian accepts that dialect without loss (cJSON has
// doubles only, jansson rejects NaN), hence our own. Depth limited to 256, duplicate keys: the last wins.
#ifndef HPT_BASE_JSON_H
#define HPT_BASE_JSON_H

#include "arena.h"
#include "str.h"
#include <hpt/export.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum hpt__json_kind {
    HPT__JSON_NULL,
    HPT__JSON_BOOL,
    HPT__JSON_INT,   // fits int64
    HPT__JSON_FLOAT, // everything else that is a number, and integers beyond int64
    HPT__JSON_STRING,
    HPT__JSON_ARRAY,
    HPT__JSON_OBJECT,
} hpt__json_kind;

typedef struct hpt__json hpt__json;
struct hpt__json {
    hpt__json_kind kind;
    int line; // 1-based line of the source where the value starts (YAML nodes too); 0: made in code
    union {
        bool b;
        int64_t i;
        double f;
        struct {
            const char *text; // NUL-terminated UTF-8, may hold NUL inside; len counts
            size_t len;
        } s;
        struct {
            hpt__json **items;
            int64_t n, cap;
        } a;
        struct {
            const char **keys;
            hpt__json **values;
            int64_t n, cap;
        } o;
    };
};

// Parses text[0..n) whole into arena memory. HPT_E_PARSE: "line L, column C: ...". Surrogate escapes are
// joined; lone ones become U+FFFD; invalid UTF-8 in strings is an error, a NUL in a key too.
HPT_NODISCARD int hpt__json_parse(hpt__json **out, hpt__arena *arena, const char *text, size_t n);

// Makers; NULL when out of memory. Strings are copied into the arena.
hpt__json *hpt__json_new(hpt__arena *arena, hpt__json_kind kind);
hpt__json *hpt__json_new_bool(hpt__arena *arena, bool v);
hpt__json *hpt__json_new_int(hpt__arena *arena, int64_t v);
hpt__json *hpt__json_new_float(hpt__arena *arena, double v);
hpt__json *hpt__json_new_string(hpt__arena *arena, const char *text, size_t n);
HPT_NODISCARD int hpt__json_append(hpt__arena *arena, hpt__json *array, hpt__json *item);
HPT_NODISCARD int hpt__json_set(hpt__arena *arena, hpt__json *object, const char *key, hpt__json *value); // replaces
hpt__json *hpt__json_dup(hpt__arena *arena, const hpt__json *v);                                          // deep copy

// Readers; all accept NULL and wrong kinds by returning NULL / false.
hpt__json *hpt__json_get(const hpt__json *object, const char *key);
const char *hpt__json_string(const hpt__json *v);         // NULL unless a string
bool hpt__json_number(double *out, const hpt__json *v);   // INT or FLOAT
bool hpt__json_integer(int64_t *out, const hpt__json *v); // INT, or a FLOAT that is integral and fits
// "null", "boolean", "integer", "number", "string", "list", "mapping"
const char *hpt__json_kind_name(hpt__json_kind kind);
bool hpt__json_equal(const hpt__json *a, const hpt__json *b); // Python's ==: 1 == 1.0 == True; NaN equals NaN

// Writers. dumps: Python's json.dumps (", " and ": ", ASCII-escaped, NaN tokens). compact: no blanks.
void hpt__json_dumps(hpt__str *out, const hpt__json *v);
void hpt__json_compact(hpt__str *out, const hpt__json *v);
// Python's str(): strings bare at top level, True/False/None, lists and dicts with repr of their members.
void hpt__json_pystr(hpt__str *out, const hpt__json *v);
void hpt__json_pyrepr(hpt__str *out, const hpt__json *v);

#endif
