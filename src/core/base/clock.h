// SPDX-License-Identifier: Apache-2.0
// clock.h: time. Durations use the monotonic clock; what is stored uses UTC.
#ifndef HPT_BASE_CLOCK_H
#define HPT_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

double hpt__now_mono(void);    // seconds, monotonic
int64_t hpt__now_utc_us(void); // microseconds since 1970 UTC

enum { HPT__DATETIME_MAX = 32 };
// "YYYY-MM-DD HH:MM:SS.ffffff" (Optuna's form in SQLite); us may be negative. Returns the length.
size_t hpt__datetime_format(char out[HPT__DATETIME_MAX], int64_t us);
// The same back; the fraction may be missing (CURRENT_TIMESTAMP) or have 1 to 6 digits, read as SQLAlchemy
// does (".123" is 123 us). False on anything else.
bool hpt__datetime_parse(int64_t *us, const char *text);

#endif
