// SPDX-License-Identifier: Apache-2.0
// str.c: the growing string, and "did you mean".
//
// Invariant: data == NULL, or data[len] == 0 and len < cap. A failed append leaves what was there.
// nearest: optimal string alignment distance (Damerau 1964 with each part edited once; the recurrence of
//          Wagner and Fischer 1974 plus a transposition), letters compared without case, because "LR" for
//          "lr" is the commonest slip. Three rows on the stack.
// Ownership: the string owns its buffer until hpt__str_take. Threads: one at a time.
// Cost: appends amortised O(n), growth by half; nearest O(candidates x length^2) on the error path only.
#include "str.h"

#include "alloc.h"
#include "error.h"
#include "num.h"
#include "utf8.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Makes room for `extra` more bytes and the NUL.
static bool reserve(hpt__str *s, size_t extra) {
    if (s->failed) return false;
    if (extra >= SIZE_MAX / 4 || s->len >= SIZE_MAX / 4) {
        s->failed = true;
        return false;
    }
    size_t need = s->len + extra + 1;
    if (need <= s->cap) return true;
    size_t cap = s->cap + s->cap / 2;
    if (cap < 32) cap = 32;
    if (cap < need) cap = need;
    char *data = hpt__realloc(s->data, cap);
    if (!data) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->cap = cap;
    return true;
}

void hpt__str_fini(hpt__str *s) {
    hpt__free(s->data);
    *s = (hpt__str)HPT__STR_INIT;
}

void hpt__str_clear(hpt__str *s) {
    s->len = 0;
    s->failed = false;
    if (s->data) s->data[0] = 0;
}

const char *hpt__str_text(const hpt__str *s) {
    return s->data ? s->data : "";
}

int hpt__str_status(const hpt__str *s) {
    return s->failed ? hpt__fail_memory() : HPT_OK;
}

char *hpt__str_take(hpt__str *s) {
    if (!s->data) hpt__str_addn(s, "", 0); // an empty result is still a string of its own
    if (s->failed) {
        hpt__str_fini(s);
        return NULL;
    }
    char *data = s->data;
    *s = (hpt__str)HPT__STR_INIT;
    return data;
}

void hpt__str_addn(hpt__str *s, const char *text, size_t n) {
    if (!reserve(s, n)) return;
    if (n) memcpy(s->data + s->len, text, n);
    s->len += n;
    s->data[s->len] = 0;
}

void hpt__str_add(hpt__str *s, const char *text) {
    hpt__str_addn(s, text, strlen(text));
}

void hpt__str_addc(hpt__str *s, char c) {
    hpt__str_addn(s, &c, 1);
}

void hpt__str_addf(hpt__str *s, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    char small[256];
    int wanted = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (wanted < 0) {
        s->failed = true;
    } else if ((size_t)wanted < sizeof small) {
        hpt__str_addn(s, small, (size_t)wanted);
    } else if (reserve(s, (size_t)wanted)) {
        (void)vsnprintf(s->data + s->len, (size_t)wanted + 1, fmt, again);
        s->len += (size_t)wanted;
    }
    va_end(again);
}

void hpt__str_add_int(hpt__str *s, int64_t v) {
    char digits[24], *p = digits + sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0) *--p = '-';
    hpt__str_addn(s, p, (size_t)(digits + sizeof digits - p));
}

void hpt__str_add_double(hpt__str *s, double v) {
    char text[HPT__DOUBLE_MAX];
    hpt__str_addn(s, text, hpt__double_repr(text, v));
}

static void add_u16(hpt__str *s, uint32_t unit) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15], hex[unit & 15]};
    hpt__str_addn(s, text, sizeof text);
}

void hpt__str_add_json_string(hpt__str *s, const char *text, size_t n) {
    hpt__str_addc(s, '"');
    size_t i = 0;
    while (i < n) {
        size_t run = i; // the usual case: a stretch that needs no escape
        while (run < n && text[run] >= ' ' && text[run] <= '~' && text[run] != '"' && text[run] != '\\') run++;
        hpt__str_addn(s, text + i, run - i);
        i = run;
        if (i == n) break;
        uint32_t c;
        size_t len = hpt__utf8_decode(&c, text + i, n - i);
        if (len == 0) len = 1, c = 0xFFFD; // not UTF-8: must not reach a file as it is
        i += len;
        switch (c) {
        case '"':
            hpt__str_add(s, "\\\"");
            break;
        case '\\':
            hpt__str_add(s, "\\\\");
            break;
        case '\n':
            hpt__str_add(s, "\\n");
            break;
        case '\r':
            hpt__str_add(s, "\\r");
            break;
        case '\t':
            hpt__str_add(s, "\\t");
            break;
        case '\f':
            hpt__str_add(s, "\\f");
            break;
        case '\b':
            hpt__str_add(s, "\\b");
            break;
        default:
            if (c >= 0x10000) {
                add_u16(s, 0xD800 + ((c - 0x10000) >> 10));
                add_u16(s, 0xDC00 + ((c - 0x10000) & 0x3FF));
            } else {
                add_u16(s, c);
            }
        }
    }
    hpt__str_addc(s, '"');
}

enum { NEAREST_MAX = 96 }; // longer names get no suggestion

static int fold(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int min3(int a, int b, int c) {
    int m = a < b ? a : b;
    return m < c ? m : c;
}

static int distance(const char *a, size_t na, const char *b, size_t nb) {
    int rows[3][NEAREST_MAX + 1];
    int *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= nb; j++) last[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int same = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + same);
            bool swapped = i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]);
            if (swapped && before[j - 2] + 1 < now[j]) now[j] = before[j - 2] + 1;
        }
        int *spare = before;
        before = last, last = now, now = spare;
    }
    return last[nb];
}

const char *hpt__nearest(const char *text, const char *const *candidates, int64_t n) {
    size_t len = strlen(text);
    if (len > NEAREST_MAX) return NULL;
    const char *best = NULL;
    int best_distance = 1 + (int)(len / 3) + 1;
    for (int64_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > NEAREST_MAX) continue;
        int d = distance(text, len, candidates[i], other);
        if (d < best_distance) best_distance = d, best = candidates[i];
    }
    return best;
}
