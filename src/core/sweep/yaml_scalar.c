// SPDX-License-Identifier: Apache-2.0
// yaml_scalar.c: what a plain YAML scalar means, by the YAML 1.1 rules as PyYAML's safe_load applies them.
//
// W&B reads sweep files with PyYAML, so its rules are the format: `1e-3` is a string (a float needs a point and a
// signed exponent), `yes` and `on` are booleans, `017` is 15, `1_000` is 1000, `1:30` is 90. Dates stay strings,
// for JSON has none. Integers beyond 64 bits become floats. The grammar is that of yaml.org/type/{bool,int,float,null}.
// html, with the two narrowings that PyYAML makes (exponents need a sign; no sign before .5 and .nan).
#include "../base/num.h"
#include "sweep_impl.h"

#include <math.h>
#include <string.h>

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

static bool one_of(const char *text, size_t n, const char *const *words) {
    for (; *words; words++)
        if (strlen(*words) == n && memcmp(text, *words, n) == 0) return true;
    return false;
}

// Length of the run of characters from `set` that starts at text.
static size_t run(const char *text, const char *end, const char *set) {
    const char *p = text;
    while (p < end && *p && strchr(set, *p)) p++;
    return (size_t)(p - text);
}

// (:[0-5]?[0-9])+ up to end; false if anything else stands there.
static bool sexagesimal_tail(const char *p, const char *end) {
    if (p == end) return false;
    while (p < end) {
        if (*p++ != ':') return false;
        const size_t n = run(p, end, "0123456789");
        if (n < 1 || n > 2 || (n == 2 && *p > '5')) return false;
        p += n;
    }
    return true;
}

// Where nodes come from. failed: memory ran out, so that "no number" is not mistaken for "text".
typedef struct memory {
    hpt__arena *arena;
    bool failed;
} memory;

static void *take(memory *mem, size_t size) {
    void *p = hpt__arena_alloc(mem->arena, size);
    if (!p) mem->failed = true;
    return p;
}

static hpt__json *new_float(memory *mem, double v) {
    hpt__json *node = hpt__json_new_float(mem->arena, v);
    if (!node) mem->failed = true;
    return node;
}

static hpt__json *new_int(memory *mem, int64_t v) {
    hpt__json *node = hpt__json_new_int(mem->arena, v);
    if (!node) mem->failed = true;
    return node;
}

// Copies without underscores; the result is NUL-terminated.
static char *without_underscores(memory *mem, const char *text, const char *end, size_t *n) {
    char *copy = take(mem, (size_t)(end - text) + 1);
    *n = 0;
    if (!copy) return NULL;
    for (const char *p = text; p < end; p++)
        if (*p != '_') copy[(*n)++] = *p;
    copy[*n] = '\0';
    return copy;
}

// digits in a base from 2 to 60 digit groups; as a double when 64 bits do not hold it.
static hpt__json *number_of_base(memory *mem, const char *digits, size_t n, int base, bool negative) {
    double f = 0;
    int64_t i = 0;
    bool overflow = false;
    for (size_t k = 0; k < n; k++) {
        const char c = digits[k];
        const int v = digit(c) ? c - '0' : (c | 32) - 'a' + 10;
        f = f * base + v;
        if (__builtin_mul_overflow(i, base, &i) || __builtin_sub_overflow(i, v, &i)) overflow = true;
    }
    if (overflow || (!negative && i == INT64_MIN)) {
        if (base == 10 && !hpt__parse_double(&f, digits, n, false)) return NULL; // correctly rounded
        return new_float(mem, negative ? -f : f);
    }
    return new_int(mem, negative ? i : -i); // summed below zero, where there is room for one more
}

static hpt__json *sexagesimal(memory *mem, const char *text, const char *end, bool negative, bool is_float) {
    double f = 0;
    while (text < end) {
        const char *colon = memchr(text, ':', (size_t)(end - text));
        const char *stop = colon ? colon : end;
        size_t n;
        double part = 0;
        const char *copy = without_underscores(mem, text, stop, &n);
        if (!copy) return NULL;
        if (n && copy[n - 1] == '.') n--;
        if (n && !hpt__parse_double(&part, copy, n, false)) part = 0;
        f = f * 60 + part;
        text = colon ? colon + 1 : end;
    }
    if (negative) f = -f;
    if (!is_float && fabs(f) < 9.0e15) return new_int(mem, (int64_t)f);
    return new_float(mem, f);
}

static hpt__json *as_integer(memory *mem, const char *text, const char *end, bool negative) {
    const size_t n = (size_t)(end - text);
    size_t m;
    if (n == 0) return NULL;
    if (n > 2 && text[0] == '0' && (text[1] == 'b' || text[1] == 'x')) {
        const char *set = text[1] == 'b' ? "01_" : "0123456789abcdefABCDEF_";
        if (run(text + 2, end, set) != n - 2) return NULL;
        const char *copy = without_underscores(mem, text + 2, end, &m);
        return copy && m ? number_of_base(mem, copy, m, text[1] == 'b' ? 2 : 16, negative) : NULL;
    }
    if (text[0] == '0' && n > 1) {
        if (run(text + 1, end, "01234567_") != n - 1) return NULL;
        const char *copy = without_underscores(mem, text, end, &m);
        return copy ? number_of_base(mem, copy, m, 8, negative) : NULL;
    }
    const size_t k = run(text, end, "0123456789_");
    if (!digit(text[0]) || k == 0) return NULL;
    if (k == n) {
        const char *copy = without_underscores(mem, text, end, &m);
        return copy ? number_of_base(mem, copy, m, 10, negative) : NULL;
    }
    return text[0] != '0' && sexagesimal_tail(text + k, end) ? sexagesimal(mem, text, end, negative, false) : NULL;
}

static hpt__json *as_float(memory *mem, const char *text, const char *end, bool negative, bool has_sign) {
    static const char *const inf[] = {".inf", ".Inf", ".INF", NULL}, *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    const size_t n = (size_t)(end - text);
    if (one_of(text, n, inf)) return new_float(mem, negative ? -INFINITY : INFINITY);
    if (!has_sign && one_of(text, n, nan)) return new_float(mem, NAN);
    if (n < 2) return NULL;
    const char *p = text;
    if (digit(*p)) {
        p += run(p, end, "0123456789_");
    } else if (*p != '.' || has_sign || !digit(p[1])) {
        return NULL;
    }
    if (p < end && *p == ':') { // groups of sixty, then a point and digits
        const char *point = memchr(p, '.', (size_t)(end - p));
        if (!point || !sexagesimal_tail(p, point)) return NULL;
        if (run(point + 1, end, "0123456789_") != (size_t)(end - point) - 1) return NULL;
        return sexagesimal(mem, text, end, negative, true);
    }
    if (p == end || *p != '.') return NULL;
    p++;
    p += run(p, end, "0123456789_");
    if (p < end) {
        if (*p != 'e' && *p != 'E') return NULL;
        if (++p == end || (*p != '+' && *p != '-')) return NULL;
        p++;
        const size_t k = run(p, end, "0123456789");
        if (k == 0 || p + k != end) return NULL;
    }
    size_t m;
    double v;
    const char *copy = without_underscores(mem, text, end, &m);
    if (!copy || !hpt__parse_double(&v, copy, m, false)) return NULL;
    return new_float(mem, negative ? -v : v);
}

hpt__json *hpt__yaml_scalar(hpt__arena *arena, const char *text, size_t n) {
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
    static const char *const null[] = {"~", "null", "Null", "NULL", "", NULL};
    if (one_of(text, n, yes)) return hpt__json_new_bool(arena, true);
    if (one_of(text, n, no)) return hpt__json_new_bool(arena, false);
    if (one_of(text, n, null)) return hpt__json_new(arena, HPT__JSON_NULL);
    if (n && (digit(text[0]) || strchr("+-.", text[0]))) {
        const bool has_sign = text[0] == '+' || text[0] == '-', negative = text[0] == '-';
        const char *start = text + has_sign, *end = text + n;
        memory mem = {.arena = arena};
        hpt__json *v = as_float(&mem, start, end, negative, has_sign);
        if (!v && !mem.failed) v = as_integer(&mem, start, end, negative);
        if (v || mem.failed) return v;
    }
    return hpt__json_new_string(arena, text, n);
}
