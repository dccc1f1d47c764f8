// SPDX-License-Identifier: Apache-2.0
// json_parse.c: JSON text to values, in the dialect of Python's json.loads (RFC 8259 plus NaN, Infinity and
// -Infinity; control characters inside strings are errors; the last of equal keys wins and keeps the place
// of the first).
//
// Stricter than Python in two points: text must be valid UTF-8 where it matters (strings), and a key may not
// contain a NUL, since keys are C strings here. Looser in one: a lone surrogate escape becomes U+FFFD.
// Safety: every read is checked against the end; recursion stops at 256 levels; the text need not be
// NUL-terminated. Cost: linear; objects beyond 16 keys find duplicates with a hash map.
// Ownership: values in the caller's arena, also after an error. Threads: one arena, one thread.
#include "json.h"

#include "error.h"
#include "map.h"
#include "num.h"
#include "utf8.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum { DEPTH_MAX = 256, LINEAR_KEYS = 16 };

typedef struct reader {
    const char *p, *end, *line_start;
    int line, depth;
    hpt__arena *arena;
} reader;

// Columns count characters from 1, so bytes that continue one are skipped.
static int bad(const reader *r, const char *at, const char *what) {
    long long column = 1;
    for (const char *p = r->line_start; p < at; p++) column += ((unsigned char)*p & 0xC0) != 0x80;
    return hpt__fail(HPT_E_PARSE, "line %d, column %lld: %s", r->line, column, what);
}

static void skip_blanks(reader *r) {
    for (; r->p < r->end; r->p++) {
        char c = *r->p;
        if (c == '\n') {
            if (r->line < INT_MAX) r->line++;
            r->line_start = r->p + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static bool take_word(reader *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) return false;
    r->p += n;
    return true;
}

// Four hex digits at p; -1 if they are not there.
static int32_t hex4(const char *p, const char *end) {
    if (end - p < 4) return -1;
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

// One escape, r->p behind the backslash; appends to *w.
static int read_escape(reader *r, char **w) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = r->p - 1;
    char c = *r->p++; // there is one: the scan for the closing quote went over it
    if (c != 'u') {
        const char *found = memchr(from, c, sizeof from - 1);
        if (!found) return bad(r, at, "invalid escape in a string");
        *(*w)++ = to[found - from];
        return HPT_OK;
    }
    int32_t unit = hex4(r->p, r->end);
    if (unit < 0) return bad(r, at, "\\u needs four hexadecimal digits");
    r->p += 4;
    uint32_t code = (uint32_t)unit;
    if (code >= 0xD800 && code <= 0xDBFF && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
        int32_t second = hex4(r->p + 2, r->end);
        if (second >= 0xDC00 && second <= 0xDFFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)second - 0xDC00);
            r->p += 6;
        }
    }
    *w += hpt__utf8_encode(*w, code); // a surrogate that is still alone comes out as U+FFFD
    return HPT_OK;
}

static int read_string(reader *r, const char **text, size_t *len) {
    const char *start = r->p++;
    const char *close = r->p;
    while (close < r->end && *close != '"') close += *close == '\\' && r->end - close > 1 ? 2 : 1;
    if (close >= r->end) return bad(r, start, "string without closing quote");
    // No escape is shorter than what it stands for, so the source length is room enough.
    char *out = hpt__arena_alloc(r->arena, (size_t)(close - r->p) + 1), *w = out;
    if (!out) return hpt__fail_memory();
    while (r->p < close) {
        unsigned char c = (unsigned char)*r->p;
        if (c == '\\') {
            r->p++;
            int rc = read_escape(r, &w);
            if (rc < 0) return rc;
        } else if (c < 0x20) {
            return bad(r, r->p, "control character in a string; write it as an escape");
        } else if (c < 0x80) {
            *w++ = (char)c;
            r->p++;
        } else {
            uint32_t code;
            size_t n = hpt__utf8_decode(&code, r->p, (size_t)(close - r->p));
            if (n == 0) return bad(r, r->p, "text is not UTF-8");
            memcpy(w, r->p, n);
            w += n;
            r->p += n;
        }
    }
    // hex4 may look past `close` only for an escape that is malformed, and then fails: a quote is no digit.
    r->p = close + 1;
    *w = 0;
    *text = out;
    *len = (size_t)(w - out);
    return HPT_OK;
}

static void skip_digits(reader *r) {
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
}

static int read_number(reader *r, hpt__json *v) {
    const char *start = r->p, *digits;
    bool whole = true;
    if (*r->p == '-') r->p++;
    digits = r->p;
    skip_digits(r);
    if (r->p == digits) return bad(r, start, "expected a value");
    if (*digits == '0' && r->p - digits > 1) return bad(r, start, "a number may not begin with 0");
    if (r->p < r->end && *r->p == '.') {
        digits = ++r->p;
        skip_digits(r);
        if (r->p == digits) return bad(r, r->p, "expected a digit after the point");
        whole = false;
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
        digits = r->p;
        skip_digits(r);
        if (r->p == digits) return bad(r, r->p, "expected a digit in the exponent");
        whole = false;
    }
    size_t n = (size_t)(r->p - start);
    if (whole && hpt__parse_int(&v->i, start, n)) {
        v->kind = HPT__JSON_INT;
        return HPT_OK;
    }
    v->kind = HPT__JSON_FLOAT;
    if (!hpt__parse_double(&v->f, start, n, false)) return bad(r, start, "malformed number");
    return HPT_OK;
}

static int read_value(reader *r, hpt__json **out);

static int read_array(reader *r, hpt__json *array) {
    r->p++;
    skip_blanks(r);
    if (take_word(r, "]")) return HPT_OK;
    for (;;) {
        hpt__json *item;
        int rc = read_value(r, &item);
        if (rc == HPT_OK) rc = hpt__json_append(r->arena, array, item);
        if (rc < 0) return rc;
        skip_blanks(r);
        if (take_word(r, "]")) return HPT_OK;
        if (!take_word(r, ",")) return bad(r, r->p, "expected , or ] in a list");
    }
}

// Puts one member into the object, finding an equal key by search while keys are few and by map after that.
static int add_member(reader *r, hpt__json *object, hpt__map *seen, const char *key, hpt__json *value) {
    size_t len = strlen(key);
    if (object->o.n < LINEAR_KEYS) return hpt__json_set(r->arena, object, key, value);
    if (seen->n_live == 0) {
        for (int64_t i = 0; i < object->o.n; i++) {
            int rc = hpt__map_set(seen, object->o.keys[i], strlen(object->o.keys[i]), i);
            if (rc < 0) return rc;
        }
    }
    int64_t at;
    if (hpt__map_get(&at, seen, key, len)) {
        object->o.values[at] = value;
        return HPT_OK;
    }
    int rc = hpt__map_set(seen, key, len, object->o.n);
    if (rc < 0) return rc;
    if (object->o.n == object->o.cap) {
        int64_t n = object->o.n, cap = n * 2;
        const char **keys = hpt__arena_alloc(r->arena, (size_t)cap * sizeof *keys);
        hpt__json **values = hpt__arena_alloc(r->arena, (size_t)cap * sizeof *values);
        if (!keys || !values) return hpt__fail_memory();
        memcpy(keys, object->o.keys, (size_t)n * sizeof *keys);
        memcpy(values, object->o.values, (size_t)n * sizeof *values);
        object->o.keys = keys;
        object->o.values = values;
        object->o.cap = cap;
    }
    object->o.keys[object->o.n] = key; // already in the arena
    object->o.values[object->o.n++] = value;
    return HPT_OK;
}

static int read_members(reader *r, hpt__json *object, hpt__map *seen) {
    r->p++;
    skip_blanks(r);
    if (take_word(r, "}")) return HPT_OK;
    for (;;) {
        if (r->p >= r->end || *r->p != '"') return bad(r, r->p, "expected a key in double quotes");
        const char *at = r->p, *key;
        size_t len;
        hpt__json *value;
        int rc = read_string(r, &key, &len);
        if (rc < 0) return rc;
        if (memchr(key, 0, len)) return bad(r, at, "a key may not contain a NUL");
        skip_blanks(r);
        if (!take_word(r, ":")) return bad(r, r->p, "expected : after a key");
        skip_blanks(r);
        rc = read_value(r, &value);
        if (rc == HPT_OK) rc = add_member(r, object, seen, key, value);
        if (rc < 0) return rc;
        skip_blanks(r);
        if (take_word(r, "}")) return HPT_OK;
        if (!take_word(r, ",")) return bad(r, r->p, "expected , or } in a mapping");
        skip_blanks(r);
    }
}

static int read_object(reader *r, hpt__json *object) {
    hpt__map seen;
    hpt__map_init(&seen);
    int rc = read_members(r, object, &seen);
    hpt__map_fini(&seen);
    return rc;
}

static int set_bool(hpt__json *v, bool b) {
    v->kind = HPT__JSON_BOOL;
    v->b = b;
    return HPT_OK;
}

static int set_float(hpt__json *v, double f) {
    v->kind = HPT__JSON_FLOAT;
    v->f = f;
    return HPT_OK;
}

static int read_value(reader *r, hpt__json **out) {
    skip_blanks(r);
    if (r->p >= r->end) return bad(r, r->p, "expected a value, found the end");
    hpt__json *v = hpt__json_new(r->arena, HPT__JSON_NULL);
    if (!v) return hpt__fail_memory();
    v->line = r->line;
    *out = v;
    switch (*r->p) {
    case '{':
    case '[': {
        if (r->depth == DEPTH_MAX) return bad(r, r->p, "nested more than 256 deep");
        r->depth++;
        v->kind = *r->p == '{' ? HPT__JSON_OBJECT : HPT__JSON_ARRAY;
        int rc = v->kind == HPT__JSON_OBJECT ? read_object(r, v) : read_array(r, v);
        r->depth--;
        return rc;
    }
    case '"':
        v->kind = HPT__JSON_STRING;
        return read_string(r, &v->s.text, &v->s.len);
    default:
        break;
    }
    if (take_word(r, "null")) return HPT_OK;
    if (take_word(r, "true")) return set_bool(v, true);
    if (take_word(r, "false")) return set_bool(v, false);
    if (take_word(r, "NaN")) return set_float(v, NAN);
    if (take_word(r, "Infinity")) return set_float(v, INFINITY);
    if (take_word(r, "-Infinity")) return set_float(v, -INFINITY);
    if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) return read_number(r, v);
    return bad(r, r->p, "expected a value");
}

int hpt__json_parse(hpt__json **out, hpt__arena *arena, const char *text, size_t n) {
    static const char nothing[] = "";
    if (!text) text = nothing, n = 0; // no arithmetic on NULL
    reader r = {.p = text, .end = text + n, .line_start = text, .line = 1, .arena = arena};
    hpt__json *v;
    int rc = read_value(&r, &v);
    if (rc < 0) return rc;
    skip_blanks(&r);
    if (r.p < r.end) return bad(&r, r.p, "text after the value");
    *out = v;
    return HPT_OK;
}
