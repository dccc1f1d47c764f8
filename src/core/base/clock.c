// SPDX-License-Identifier: Apache-2.0
// clock.c: clocks, and UTC time as the text that Optuna keeps in SQLite.
//
//   Calendar by era arithmetic: years begin in March so that the leap day is the last; 400 years are
//   146097 days. H. Hinnant, "chrono-compatible low-level date algorithms" (2013). No time zone, no
//   tables, no localtime/gmtime: those take a lock and read the environment.
// Threads: any. Cost: tens of nanoseconds.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // clock_gettime under -std=c17
#endif
#include "clock.h"

#include <string.h>
#include <time.h>

double hpt__now_mono(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t hpt__now_utc_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400), year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t *year, int64_t *month, int64_t *day, int64_t days) {
    int64_t z = days + 719468, era = floor_div(z, 146097), day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

// Writes v with at least `width` digits.
static char *put(char *p, int64_t v, int width) {
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n < width) digits[n++] = '0';
    while (n) *p++ = digits[--n];
    return p;
}

size_t hpt__datetime_format(char out[HPT__DATETIME_MAX], int64_t us) {
    const int64_t us_per_day = INT64_C(86400000000);
    int64_t days = floor_div(us, us_per_day), rest = us % us_per_day;
    if (rest < 0) rest += us_per_day;
    int64_t year, month, day;
    date_of(&year, &month, &day, days);
    char *p = out;
    if (year < 0) *p++ = '-', year = -year;
    p = put(p, year, 4);
    *p++ = '-';
    p = put(p, month, 2);
    *p++ = '-';
    p = put(p, day, 2);
    *p++ = ' ';
    p = put(p, rest / INT64_C(3600000000), 2);
    *p++ = ':';
    p = put(p, rest / 60000000 % 60, 2);
    *p++ = ':';
    p = put(p, rest / 1000000 % 60, 2);
    *p++ = '.';
    p = put(p, rest % 1000000, 6);
    *p = 0;
    return (size_t)(p - out);
}

// Exactly n digits at *p.
static bool take(int64_t *out, const char **p, int n) {
    int64_t v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9') return false;
        v = v * 10 + (c - '0');
    }
    *p += n;
    *out = v;
    return true;
}

static bool take_char(const char **p, char c) {
    if (**p != c) return false;
    ++*p;
    return true;
}

bool hpt__datetime_parse(int64_t *us, const char *text) {
    static const int month_days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day, hour, minute, second, fraction = 0;
    const char *p = text;
    bool shape = take(&year, &p, 4) && take_char(&p, '-') && take(&month, &p, 2) && take_char(&p, '-') &&
                 take(&day, &p, 2) && take_char(&p, ' ') && take(&hour, &p, 2) && take_char(&p, ':') &&
                 take(&minute, &p, 2) && take_char(&p, ':') && take(&second, &p, 2);
    if (!shape) return false;
    if (*p == '.') {
        size_t digits = strspn(p + 1, "0123456789");
        if (digits < 1 || digits > 6) return false;
        p++;
        (void)take(&fraction, &p, (int)digits); // no scaling: SQLAlchemy reads the digits as microseconds
    }
    if (*p != 0) return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1]) return false;
    if (month == 2 && day == 29 && !leap) return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    *us = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60000000 + second * 1000000 + fraction;
    return true;
}
