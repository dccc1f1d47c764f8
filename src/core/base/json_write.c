// SPDX-License-Identifier: Apache-2.0
// json_write.c: values as text, in four forms that Python programs compare byte by byte: json.dumps(v),
// json.dumps(v, separators=(",", ":")), str(v) and repr(v).
//
// repr of a string follows Python's unicode_repr: single quotes unless the text has one and no double
// quote; \\, the quote, \n, \r and \t by short escape; other characters that are not printable as \xNN,
// \uNNNN or \UNNNNNNNN; bytes that are not UTF-8 as \udcNN, the way os.environ shows them.
// Failure: only memory, sticky in the string. Threads: any number on one value. Cost: linear.
#include "json.h"

#include "num.h"
#include "utf8.h"
#include <math.h>
#include <string.h>

typedef struct style {
    const char *comma, *colon, *yes, *no, *null, *nan, *inf, *minus_inf;
    void (*string)(hpt__str *out, const char *text, size_t n);
} style;

static void add_escape(hpt__str *out, char letter, uint32_t code, int digits) {
    hpt__str_addc(out, '\\');
    hpt__str_addc(out, letter);
    while (digits-- > 0) hpt__str_addc(out, "0123456789abcdef"[code >> 4 * digits & 15]);
}

static void repr_string(hpt__str *out, const char *text, size_t n) {
    bool single = n && memchr(text, '\'', n), twice = n && memchr(text, '"', n);
    char quote = single && !twice ? '"' : '\'';
    hpt__str_addc(out, quote);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t len = hpt__utf8_decode(&c, text + i, n - i);
        if (len == 0) {
            add_escape(out, 'u', 0xDC00u + (unsigned char)text[i], 4);
            i++;
            continue;
        }
        if (c == '\\' || c == (uint32_t)quote) {
            hpt__str_addc(out, '\\');
            hpt__str_addc(out, (char)c);
        } else if (c == '\n') {
            hpt__str_add(out, "\\n");
        } else if (c == '\r') {
            hpt__str_add(out, "\\r");
        } else if (c == '\t') {
            hpt__str_add(out, "\\t");
        } else if (hpt__utf8_printable(c)) {
            hpt__str_addn(out, text + i, len);
        } else if (c < 0x100) {
            add_escape(out, 'x', c, 2);
        } else if (c < 0x10000) {
            add_escape(out, 'u', c, 4);
        } else {
            add_escape(out, 'U', c, 8);
        }
        i += len;
    }
    hpt__str_addc(out, quote);
}

static void write_value(hpt__str *out, const hpt__json *v, const style *st) {
    if (!v) {
        hpt__str_add(out, st->null);
        return;
    }
    switch (v->kind) {
    case HPT__JSON_NULL:
        hpt__str_add(out, st->null);
        break;
    case HPT__JSON_BOOL:
        hpt__str_add(out, v->b ? st->yes : st->no);
        break;
    case HPT__JSON_INT:
        hpt__str_add_int(out, v->i);
        break;
    case HPT__JSON_FLOAT:
        if (isnan(v->f))
            hpt__str_add(out, st->nan);
        else if (isinf(v->f))
            hpt__str_add(out, v->f > 0 ? st->inf : st->minus_inf);
        else
            hpt__str_add_double(out, v->f);
        break;
    case HPT__JSON_STRING:
        st->string(out, v->s.text, v->s.len);
        break;
    case HPT__JSON_ARRAY:
        hpt__str_addc(out, '[');
        for (int64_t i = 0; i < v->a.n; i++) {
            if (i) hpt__str_add(out, st->comma);
            write_value(out, v->a.items[i], st);
        }
        hpt__str_addc(out, ']');
        break;
    case HPT__JSON_OBJECT:
        hpt__str_addc(out, '{');
        for (int64_t i = 0; i < v->o.n; i++) {
            if (i) hpt__str_add(out, st->comma);
            st->string(out, v->o.keys[i], strlen(v->o.keys[i]));
            hpt__str_add(out, st->colon);
            write_value(out, v->o.values[i], st);
        }
        hpt__str_addc(out, '}');
        break;
    }
}

#define JSON_WORDS                                                                                           \
    .yes = "true", .no = "false", .null = "null", .nan = "NaN", .inf = "Infinity", .minus_inf = "-Infinity", \
    .string = hpt__str_add_json_string

void hpt__json_dumps(hpt__str *out, const hpt__json *v) {
    static const style dumps = {.comma = ", ", .colon = ": ", JSON_WORDS};
    write_value(out, v, &dumps);
}

void hpt__json_compact(hpt__str *out, const hpt__json *v) {
    static const style compact = {.comma = ",", .colon = ":", JSON_WORDS};
    write_value(out, v, &compact);
}

void hpt__json_pyrepr(hpt__str *out, const hpt__json *v) {
    static const style repr = {.comma = ", ",
                               .colon = ": ",
                               .yes = "True",
                               .no = "False",
                               .null = "None",
                               .nan = "nan",
                               .inf = "inf",
                               .minus_inf = "-inf",
                               .string = repr_string};
    write_value(out, v, &repr);
}

void hpt__json_pystr(hpt__str *out, const hpt__json *v) {
    if (v && v->kind == HPT__JSON_STRING)
        hpt__str_addn(out, v->s.text, v->s.len);
    else
        hpt__json_pyrepr(out, v);
}
