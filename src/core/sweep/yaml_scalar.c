// SPDX-License-Identifier: Apache-2.0
// yaml_scalar.c: what a plain YAML scalar means: null, boolean, integer, float or text, by the YAML 1.1 rules
// exactly as PyYAML's safe_load applies them, because that is what reads a W&B sweep file.
//
// Rules (yaml.org/type/{bool,float,int,null}.html as narrowed by PyYAML 6, yaml/resolver.py), in its order:
//   bool   yes no true false on off, in lower, Capital or UPPER case (y and n alone are text)
//   float  [-+]?D.D*([eE][-+]d+)? | .D([eE][-+]d+)? | [-+]?D(:[0-5]?d)+.D* | [-+]?.inf | .nan
//          so 1e-3, 1.0e3 (exponent without sign) and -.5 are text
//   int    [-+]?0b[01_]+ | [-+]?0[0-7_]+ (octal) | [-+]?(0|[1-9]D) | [-+]?0x... | [-+]?[1-9]D(:[0-5]?d)+ (base 60)
//   null   "" ~ null Null NULL
// where D is a run of digits and underscores that starts with a digit, and underscores mean nothing.
// Where PyYAML gives a value that JSON lacks or stops with a Python error, the text is kept as it stands:
// dates and times (2024-01-31), "=", "<<" as a value, "0b_", "0x_". Integers beyond 64 bits become floats.
//
// Ownership: nodes and scratch in the caller's arena. Threads: any, one arena each. Cost: linear in the text.
#include "../base/error.h"
#include "../base/num.h"
#include "sweep_impl.h"
#include "yaml_impl.h"
#include <math.h>
#include <string.h>

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

static bool digit_or_bar(char c) {
    return digit(c) || c == '_';
}

static bool is_word(const char *text, size_t n, const char *word) {
    return strlen(word) == n && memcmp(text, word, n) == 0;
}

// The word in lower case, with a capital first letter, or in capitals.
static bool is_cased_word(const char *text, size_t n, const char *word) {
    if (strlen(word) != n) return false;
    size_t upper = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == word[i]) continue;
        if (text[i] != word[i] - 'a' + 'A' || upper != i) return false;
        upper++;
    }
    return upper == 0 || upper == 1 || upper == n;
}

static bool match_bool(bool *out, const char *text, size_t n) {
    static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false", "off"};
    for (int i = 0; i < 3; i++) {
        *out = is_cased_word(text, n, yes[i]);
        if (*out || is_cased_word(text, n, no[i])) return true;
    }
    return false;
}

static bool match_null(const char *text, size_t n) {
    return n == 0 || is_word(text, n, "~") || is_word(text, n, "null") || is_word(text, n, "Null") ||
           is_word(text, n, "NULL");
}

// [0-9][0-9_]* at text[i..n): the index behind it, or i.
static size_t skip_run(const char *text, size_t i, size_t n) {
    if (i >= n || !digit(text[i])) return i;
    while (i < n && digit_or_bar(text[i])) i++;
    return i;
}

// (:[0-5]?[0-9])+ at text[i..n): the index behind the last complete group, or i.
static size_t skip_sixties(const char *text, size_t i, size_t n) {
    while (i + 1 < n && text[i] == ':' && digit(text[i + 1])) {
        if (i + 2 < n && digit(text[i + 2]) && text[i + 1] <= '5') {
            i += 3;
        } else {
            i += 2;
        }
    }
    return i;
}

// [eE][-+][0-9]+ up to the end.
static bool is_exponent(const char *text, size_t i, size_t n) {
    if (i + 2 >= n || (text[i] | 0x20) != 'e' || (text[i + 1] != '-' && text[i + 1] != '+')) return false;
    for (i += 2; i < n; i++) {
        if (!digit(text[i])) return false;
    }
    return true;
}

static bool looks_float(const char *text, size_t n) {
    size_t i = n > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (n - i == 4 && (is_word(text + i, 4, ".inf") || is_word(text + i, 4, ".Inf") || is_word(text + i, 4, ".INF")))
        return true;
    if (is_word(text, n, ".nan") || is_word(text, n, ".NaN") || is_word(text, n, ".NAN")) return true;
    if (i == 0 && n > 1 && text[0] == '.') { // no sign in this form
        size_t end = skip_run(text, 1, n);
        return end > 1 && (end == n || is_exponent(text, end, n));
    }
    size_t end = skip_run(text, i, n);
    if (end == i) return false;
    size_t sixties = skip_sixties(text, end, n);
    if (sixties >= n || text[sixties] != '.') return false;
    size_t tail = sixties + 1;
    while (tail < n && digit_or_bar(text[tail])) tail++;
    return tail == n || (sixties == end && is_exponent(text, tail, n));
}

static bool all_of(const char *text, size_t i, size_t n, const char *set) {
    if (i >= n) return false;
    for (; i < n; i++) {
        if (!text[i] || !strchr(set, text[i])) return false;
    }
    return true;
}

static bool looks_int(const char *text, size_t n) {
    size_t i = n > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (i == n || !digit(text[i])) return false;
    if (text[i] == '0') {
        if (i + 1 == n) return true;
        if (text[i + 1] == 'b') return all_of(text, i + 2, n, "01_");
        if (text[i + 1] == 'x') return all_of(text, i + 2, n, "0123456789abcdefABCDEF_");
        return all_of(text, i + 1, n, "01234567_");
    }
    size_t end = skip_run(text, i, n);
    return skip_sixties(text, end, n) == n;
}

// digits in base 2, 8 or 16, exact up to 2^63 and correctly rounded above: the top 64 bits are kept, what falls off
// below is remembered in the lowest one, far beneath the 53 that survive.
static void read_power_base(uint64_t *bits, int *dropped, const char *text, size_t n, int shift) {
    uint64_t v = 0, sticky = 0;
    int lost = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = digit(text[i]) ? (unsigned)(text[i] - '0') : (unsigned)((text[i] | 0x20) - 'a' + 10);
        for (int b = shift - 1; b >= 0; b--) {
            if (v >> 63) {
                sticky |= v & 1;
                v >>= 1;
                if (lost < 100000) lost++;
            }
            v = v << 1 | (d >> b & 1u);
        }
    }
    *bits = v | sticky;
    *dropped = lost;
}

// Base 60, most significant part first. False when it leaves int64; *approx is right either way.
static bool read_sixties(int64_t *exact, double *approx, const char *text, size_t n, bool negative) {
    int64_t v = 0;
    double f = 0;
    bool fits = true;
    for (size_t i = 0; i < n; i++) {
        int64_t part = 0;
        double part_f = 0;
        for (; i < n && text[i] != ':'; i++) {
            int d = text[i] - '0';
            part_f = part_f * 10 + d;
            if (__builtin_mul_overflow(part, 10, &part) || __builtin_add_overflow(part, d, &part)) fits = false;
        }
        if (__builtin_mul_overflow(v, 60, &v) || __builtin_add_overflow(v, part, &v)) fits = false;
        f = f * 60 + part_f;
    }
    *exact = negative ? -v : v;
    *approx = negative ? -f : f;
    return fits;
}

static hpt__json *number_node(hpt__arena *arena, bool fits, int64_t exact, double approx) {
    return fits ? hpt__json_new_int(arena, exact) : hpt__json_new_float(arena, approx);
}

// text matches looks_int and has no underscores. NULL and *bad: a prefix without digits.
static hpt__json *read_int(bool *bad, hpt__arena *arena, const char *text, size_t n) {
    bool negative = text[0] == '-';
    int64_t exact = 0;
    double approx = 0;
    size_t i = text[0] == '-' || text[0] == '+' ? 1 : 0;
    *bad = false;
    if (text[i] == '0' && i + 1 < n) {
        int shift = text[i + 1] == 'b' ? 1 : text[i + 1] == 'x' ? 4 : 3;
        i += shift == 3 ? 1 : 2;
        if (i == n) {
            *bad = true;
            return NULL;
        }
        uint64_t bits;
        int dropped;
        read_power_base(&bits, &dropped, text + i, n - i, shift);
        bool fits = dropped == 0 && bits <= (uint64_t)INT64_MAX;
        if (fits) exact = negative ? -(int64_t)bits : (int64_t)bits;
        approx = ldexp((double)bits, dropped);
        return number_node(arena, fits, exact, negative ? -approx : approx);
    }
    if (memchr(text, ':', n)) {
        bool fits = read_sixties(&exact, &approx, text + i, n - i, negative);
        return number_node(arena, fits, exact, approx);
    }
    bool fits = hpt__parse_int(&exact, text, n);
    if (!fits && !hpt__parse_double(&approx, text, n, false)) *bad = true;
    return *bad ? NULL : number_node(arena, fits, exact, approx);
}

// text matches looks_float and has no underscores.
static hpt__json *read_float(bool *bad, hpt__arena *arena, const char *text, size_t n) {
    bool negative = text[0] == '-';
    size_t i = text[0] == '-' || text[0] == '+' ? 1 : 0;
    double v = 0;
    *bad = false;
    if (n - i == 4 && (text[i + 1] | 0x20) == 'i') {
        v = INFINITY;
    } else if (n - i == 4 && (text[i + 1] | 0x20) == 'n') {
        v = NAN;
    } else if (memchr(text, ':', n)) { // summed from the last part up, as Python does: the same rounding
        double base = 1;
        for (size_t end = n; end > i;) {
            size_t start = end;
            while (start > i && text[start - 1] != ':') start--;
            double part;
            if (!hpt__parse_double(&part, text + start, end - start, false)) *bad = true;
            if (*bad) return NULL;
            v += part * base;
            base *= 60;
            end = start > i ? start - 1 : i;
        }
    } else if (!hpt__parse_double(&v, text + i, n - i, false)) {
        *bad = true;
        return NULL;
    }
    return hpt__json_new_float(arena, negative ? -v : v);
}

static char *without_bars(size_t *m, hpt__arena *arena, const char *text, size_t n) {
    char *copy = hpt__arena_strndup(arena, text, n);
    if (!copy) return NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '_') copy[k++] = text[i];
    }
    copy[k] = 0;
    *m = k;
    return copy;
}

int hpt__yaml_resolve(hpt__json **out, hpt__arena *arena, hpt__yaml_rule rule, const char *text, size_t n) {
    hpt__json *node = NULL;
    bool b, bad = false, plain = rule == HPT__YAML_PLAIN;
    *out = NULL;
    if ((plain || rule == HPT__YAML_BOOL) && match_bool(&b, text, n)) {
        node = hpt__json_new_bool(arena, b);
    } else if ((plain || rule == HPT__YAML_NULL) && match_null(text, n)) {
        node = hpt__json_new(arena, HPT__JSON_NULL);
    } else if (rule == HPT__YAML_BOOL || rule == HPT__YAML_NULL) {
        return HPT_OK;
    } else {
        bool as_float = (plain || rule == HPT__YAML_FLOAT) && looks_float(text, n);
        bool as_int = !as_float && rule != HPT__YAML_STR && looks_int(text, n);
        double v;
        if (as_float || as_int) {
            size_t m = 0;
            char *digits = without_bars(&m, arena, text, n);
            if (!digits) return hpt__fail_memory();
            node = as_float ? read_float(&bad, arena, digits, m) : read_int(&bad, arena, digits, m);
            if (node && rule == HPT__YAML_FLOAT && hpt__json_number(&v, node)) {
                node->kind = HPT__JSON_FLOAT;
                node->f = v;
            }
        } else if (rule == HPT__YAML_FLOAT && hpt__parse_double(&v, text, n, true)) {
            node = hpt__json_new_float(arena, v);
        } else {
            bad = true;
        }
        if (bad && !plain && rule != HPT__YAML_STR) return HPT_OK;
        if (bad) node = hpt__json_new_string(arena, text, n);
    }
    if (!node) return hpt__fail_memory();
    *out = node;
    return HPT_OK;
}

hpt__json *hpt__yaml_scalar(hpt__arena *arena, const char *text, size_t n) {
    hpt__json *node;
    return hpt__yaml_resolve(&node, arena, HPT__YAML_PLAIN, text, n) < 0 ? NULL : node;
}
