// SPDX-License-Identifier: Apache-2.0
// utf8.h: one character in, one character out (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF).
#ifndef HPT_BASE_UTF8_H
#define HPT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes taken (1 to 4), or 0 when text[0..n) does not begin with a valid character.
size_t hpt__utf8_decode(uint32_t *out, const char *text, size_t n);
// Bytes written (1 to 4); a number that is no character is written as U+FFFD.
size_t hpt__utf8_encode(char out[4], uint32_t code);
// Python's str.isprintable for one character; unassigned characters count as printable (see utf8.c).
bool hpt__utf8_printable(uint32_t code);

#endif
