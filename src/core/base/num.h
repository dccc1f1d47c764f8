// SPDX-License-Identifier: Apache-2.0
// num.h: doubles as text and back, exactly and independent of the locale.
#ifndef HPT_BASE_NUM_H
#define HPT_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HPT__DOUBLE_MAX = 32 };

// Shortest text that reads back as v, in Python's repr form ("0.1", "1.0", "1e-05", "1e+16", "nan",
// "inf", "-inf", "-0.0"). Returns the length.
size_t hpt__double_repr(char out[HPT__DOUBLE_MAX], double v);

// Parses the whole of text[0..n): decimal float syntax only (no hex, no locale, no white space; "nan",
// "inf", "infinity" with sign in any case only if allow_special). False if it is anything else. Overflow gives inf.
bool hpt__parse_double(double *out, const char *text, size_t n, bool allow_special);
// Decimal integer with optional sign; false on overflow or anything else.
bool hpt__parse_int(int64_t *out, const char *text, size_t n);
bool hpt__parse_uint64(uint64_t *out, const char *text, size_t n);

// Largest low + k*step <= high, computed in decimal arithmetic on the shortest representations of the
// three numbers, as Optuna does (optuna/distributions.py, _adjust_discrete_uniform_high): equal doubles result.
double hpt__decimal_high(double low, double high, double step);

// "80GiB", "512 MiB", "1.5G", "4096" -> bytes; K and KiB are 1024, KB is 1000 (as dd and sort have it). False on
// anything else.
bool hpt__parse_bytes(int64_t *out, const char *text, size_t n);

#endif
