// SPDX-License-Identifier: Apache-2.0
// str.h: a growing byte string, always NUL-terminated. Failure is sticky: after an allocation failed,
// every append is a no-op and hpt__str_status gives HPT_E_MEMORY, so writers check once at the end.
#ifndef HPT_BASE_STR_H
#define HPT_BASE_STR_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hpt__str {
    char *data; // NULL while empty and never grown; use hpt__str_text to read
    size_t len, cap;
    bool failed;
} hpt__str;

#define HPT__STR_INIT \
    { 0 }

void hpt__str_fini(hpt__str *s);
void hpt__str_clear(hpt__str *s);             // keeps the memory; clears `failed`
const char *hpt__str_text(const hpt__str *s); // never NULL
int hpt__str_status(const hpt__str *s);       // 0 or HPT_E_MEMORY (recorded)
char *hpt__str_take(hpt__str *s);             // hands out the buffer (hpt_free); NULL if failed; s is empty after

void hpt__str_add(hpt__str *s, const char *text);
void hpt__str_addn(hpt__str *s, const char *text, size_t n);
void hpt__str_addc(hpt__str *s, char c);
void hpt__str_addf(hpt__str *s, const char *fmt, ...) HPT_PRINTF(2, 3);
void hpt__str_add_int(hpt__str *s, int64_t v);
void hpt__str_add_double(hpt__str *s, double v);                        // Python's repr: 1.0, 1e-05, nan, inf
void hpt__str_add_json_string(hpt__str *s, const char *text, size_t n); // quoted; ASCII-escaped like json.dumps

// Edit distance for "did you mean": the candidate nearest to text, or NULL if none is near
// (distance > 1 + len/3).
const char *hpt__nearest(const char *text, const char *const *candidates, int64_t n);

#endif
