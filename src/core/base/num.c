// SPDX-License-Identifier: Apache-2.0
// num.c: doubles as text and back.
//
// repr : the shortest digits that read back as v, and of those the nearest to v (what Python's repr prints).
//   1. Whole numbers and short decimals below 15 digits: k = rint(v 10^e) with k < 10^15 and e <= 22; both
//      are exact doubles, so k / 10^e is rounded once and k / 10^e == v proves that the text reads back.
//      Decimals of 15 digits lie further apart than doubles, so no other text of that length can.
//   2. From 1e-6 to 2^52, a = m 2^-h with m < 2^53, powers of two apart: N = m 10^s, the first 17 digits of a before the
//      binary point at bit h, is exact in 128 bits, and so are the ends N +- 10^s / 2 of what reads back as a (they
//      themselves if m is even). The answer is the multiple of the largest 10^j between them that is nearest to N.
//   3. Else "%.*e" with 15, 16, 17 digits (glibc and musl round it exactly) until it reads back. The p-digit
//      text nearest to v may fail while the next one up works, but only where the gap below v is half
//      the gap above, at powers of two (2**-44 = 5.684341886080802e-14): there that one is tried too.
//      Subnormals have fewer than 15 digits, so they start at one digit.
// parse: digits are collected into "DDDe<exp>", which has no decimal point and so means the same to strtod
//   in every locale. Beyond 800 digits only "is any non-zero" can matter (768 decide every double).
//   Short ones take the exact path of Clinger, "How to read floating point numbers accurately", PLDI 1990.
// decimal_high: Python's decimal module on digit arrays: results rounded half to even at 28 digits, like its
//   default context; quotients of more than 28 digits, where Python raises, leave high as it is.
// Threads: any; no state. Cost: repr 15 ns for short decimals, about 0.1 us to 17 digits, 0.5 us by the third way; parse 20 to 100 ns; decimal_high 0.4 us.
// Assumes: round to nearest, and no excess precision (x86-64, aarch64).
#include "num.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double power10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { DIGITS_MAX = 800 };

__extension__ typedef unsigned __int128 u128;

// digits[0..n) x 10^exp10, correctly rounded; n <= DIGITS_MAX + 1, at least 1. exp10 is clamped by the caller.
static double compose(const char *digits, int n, int exp10) {
    if (n <= 15 && exp10 >= -22 && exp10 <= 22) {
        int64_t k = 0;
        for (int i = 0; i < n; i++) k = k * 10 + (digits[i] - '0');
        return exp10 < 0 ? (double)k / power10[-exp10] : (double)k * power10[exp10];
    }
    char text[DIGITS_MAX + 24];
    memcpy(text, digits, (size_t)n);
    char *p = text + n;
    *p++ = 'e';
    unsigned e = exp10 < 0 ? 0u - (unsigned)exp10 : (unsigned)exp10;
    if (exp10 < 0) *p++ = '-';
    char reversed[12];
    int m = 0;
    do {
        reversed[m++] = (char)('0' + e % 10);
        e /= 10;
    } while (e);
    while (m) *p++ = reversed[--m];
    *p = 0;
    int saved = errno; // out of range is not an error here
    double v = strtod(text, NULL);
    errno = saved;
    return v;
}

static int strip_zeros(const char *digits, int n) {
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

// Writes k in decimal; returns the number of digits.
static int put_digits(char *out, uint64_t k) {
    char reversed[20];
    int n = 0;
    do {
        reversed[n++] = (char)('0' + k % 10);
        k /= 10;
    } while (k);
    for (int i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

// The p significant digits nearest to a, into digits; *point: a = 0.ddd x 10^point. The separator that the
// locale puts after the first digit is skipped, whatever it is: its bytes are no ASCII digits.
static void rounded_digits(char digits[17], int *point, double a, int p) {
    char text[64];
    (void)snprintf(text, sizeof text, "%.*e", p - 1, a);
    int n = 0;
    const char *t = text;
    for (; *t && *t != 'e'; t++) {
        if (*t >= '0' && *t <= '9' && n < p) digits[n++] = *t;
    }
    int e = 0;
    bool negative = t[0] == 'e' && t[1] == '-';
    for (; *t; t++) {
        if (*t >= '0' && *t <= '9') e = e * 10 + (*t - '0');
    }
    *point = (negative ? -e : e) + 1;
}

// The second way of the head. Returns the number of digits, or 0 where it does not apply.
static int exact_digits(char digits[20], int *point, double a) {
    if (!(a >= 1e-6 && a < 0x1p52)) return 0;
    int h;
    const uint64_t m = (uint64_t)ldexp(frexp(a, &h), 53);
    h = 53 - h; // 1 .. 72
    if (m == UINT64_C(1) << 52) return 0;
    int s = 15;
    while (s > 0 && a >= power10[16 - s]) s--;
    while (s < 22 && a * power10[s] < 1e16) s++; // rounded up to 1e16 at worst, which the check of q catches
    const u128 scale = (u128)power10[s], n = m * scale, one = (u128)1 << h, half = scale / 2;
    const u128 fraction = n & (one - 1);
    const uint64_t q = (uint64_t)(n >> h);
    if (s == 0 || q < UINT64_C(10000000000000000) || q >= UINT64_C(100000000000000000)) return 0;
    uint64_t ten = 1, k = q + (fraction > one / 2 || (fraction == one / 2 && q % 2 == 1));
    int dropped = 0;
    for (int j = 1; j <= 16; j++) {
        ten *= 10;
        const u128 below = ((u128)(q % ten) << h) | fraction, above = ((u128)ten << h) - below;
        const bool low = below < above || (below == above && q / ten % 2 == 0);
        const u128 distance = low ? below : above;
        if (distance > half || (distance == half && m % 2 == 1)) break;
        k = q / ten + !low;
        dropped = j;
    }
    const int count = put_digits(digits, k);
    *point = count + dropped - s;
    return strip_zeros(digits, count);
}

// Shortest digits of a > 0, without trailing zeros; a = 0.ddd x 10^point. Returns their number, at most 17.
static int shortest_digits(char digits[20], int *point, double a) {
    if (a < 1e15 && a >= 1e-7) {
        for (int e = 0; e <= 22; e++) {
            double scaled = a * power10[e];
            if (scaled >= 1e15) break;
            double k = rint(scaled);
            if (k / power10[e] != a) continue;
            int n = put_digits(digits, (uint64_t)k);
            *point = n - e;
            return strip_zeros(digits, n);
        }
    }
    const int exact = exact_digits(digits, point, a);
    if (exact > 0) return exact;
    int binary_exponent;
    bool power_of_two = frexp(a, &binary_exponent) == 0.5;
    for (int p = a < 0x1p-1022 ? 1 : 15; p < 17; p++) {
        rounded_digits(digits, point, a, p);
        if (compose(digits, p, *point - p) == a) return strip_zeros(digits, p);
        if (!power_of_two) continue;
        int i = p - 1;
        while (i >= 0 && digits[i] == '9') digits[i--] = '0';
        if (i < 0) continue; // 99..9: the next one up has fewer digits and was tried already
        digits[i]++;
        if (compose(digits, p, *point - p) == a) return strip_zeros(digits, p);
    }
    rounded_digits(digits, point, a, 17);
    return strip_zeros(digits, 17);
}

size_t hpt__double_repr(char out[HPT__DOUBLE_MAX], double v) {
    char *p = out;
    if (isnan(v)) {
        memcpy(out, "nan", 4);
        return 3;
    }
    if (signbit(v)) *p++ = '-', v = -v;
    if (isinf(v) || v == 0) {
        memcpy(p, v == 0 ? "0.0" : "inf", 4);
        return (size_t)(p + 3 - out);
    }
    char digits[20];
    int point, n = shortest_digits(digits, &point, v);
    if (point > 16 || point < -3) { // Python's float_repr_style: exponent below -4 or from 16 on
        int e = point - 1;
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)n - 1);
            p += n - 1;
        }
        *p++ = 'e';
        *p++ = e < 0 ? '-' : '+';
        if (e < 0) e = -e;
        if (e < 10) *p++ = '0';
        p += put_digits(p, (uint64_t)e);
    } else if (point <= 0) {
        *p++ = '0', *p++ = '.';
        for (int i = point; i < 0; i++) *p++ = '0';
        memcpy(p, digits, (size_t)n);
        p += n;
    } else {
        for (int i = 0; i < point; i++) *p++ = i < n ? digits[i] : '0';
        *p++ = '.';
        if (n > point) {
            memcpy(p, digits + point, (size_t)(n - point));
            p += n - point;
        } else {
            *p++ = '0';
        }
    }
    *p = 0;
    return (size_t)(p - out);
}

static bool word_is(const char *text, size_t n, const char *word) {
    if (strlen(word) != n) return false;
    for (size_t i = 0; i < n; i++) {
        if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool hpt__parse_double(double *out, const char *text, size_t n, bool allow_special) {
    size_t i = 0;
    bool negative = n > 0 && text[0] == '-';
    if (n > 0 && (text[0] == '-' || text[0] == '+')) i = 1;
    if (allow_special && (word_is(text + i, n - i, "inf") || word_is(text + i, n - i, "infinity"))) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (allow_special && word_is(text + i, n - i, "nan")) {
        *out = NAN;
        return true;
    }
    char digits[DIGITS_MAX + 1];
    int kept = 0;
    int64_t exp10 = 0; // of the last kept digit; 64 bits: n may exceed 2^31
    bool any = false, point = false, sticky = false;
    for (; i < n && (is_digit(text[i]) || (text[i] == '.' && !point)); i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point) exp10--;
        if (kept == 0 && text[i] == '0') continue;
        if (kept < DIGITS_MAX) {
            digits[kept++] = text[i];
        } else {
            exp10++;
            if (text[i] != '0') sticky = true;
        }
    }
    if (!any) return false;
    if (i < n) {
        if (text[i] != 'e' && text[i] != 'E') return false;
        i++;
        bool down = i < n && text[i] == '-';
        if (i < n && (text[i] == '-' || text[i] == '+')) i++;
        if (i == n) return false;
        int64_t e = 0;
        for (; i < n; i++) {
            if (!is_digit(text[i])) return false;
            if (e < INT64_C(1000000000000000)) e = e * 10 + (text[i] - '0');
        }
        exp10 += down ? -e : e;
    }
    double v = 0;
    if (kept > 0) {
        if (sticky) digits[kept++] = '1', exp10--;
        // Beyond these the result is 0 or inf whatever the digits are (at most 801 of them).
        int e = exp10 > 400 ? 400 : exp10 < -1300 ? -1300 : (int)exp10;
        v = compose(digits, kept, e);
    }
    *out = negative ? -v : v;
    return true;
}

bool hpt__parse_uint64(uint64_t *out, const char *text, size_t n) {
    size_t i = n > 0 && text[0] == '+' ? 1 : 0;
    if (i == n) return false;
    uint64_t v = 0;
    for (; i < n; i++) {
        if (!is_digit(text[i])) return false;
        unsigned d = (unsigned)(text[i] - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool hpt__parse_int(int64_t *out, const char *text, size_t n) {
    uint64_t v;
    if (n > 0 && text[0] == '-') {
        if (n > 1 && text[1] == '+') return false;
        if (!hpt__parse_uint64(&v, text + 1, n - 1) || v > (uint64_t)INT64_MAX + 1) return false;
        *out = v == 0 ? 0 : -(int64_t)(v - 1) - 1;
        return true;
    }
    if (!hpt__parse_uint64(&v, text, n) || v > (uint64_t)INT64_MAX) return false;
    *out = (int64_t)v;
    return true;
}

// A decimal number: digits d[0..n), most significant first, no leading zeros; zero has n = 0.
enum { PRECISION = 28, DEC_DIGITS = 128 };

typedef struct dec {
    bool negative;
    int n, exp; // value = (-1)^negative x d x 10^exp
    unsigned char d[DEC_DIGITS];
} dec;

static int dec_top(const dec *a) // exponent of the first digit
{
    return a->exp + a->n - 1;
}

static dec dec_from(double v) {
    dec a = {.negative = v < 0};
    if (v == 0) return a;
    char digits[20];
    int point;
    a.n = shortest_digits(digits, &point, fabs(v));
    a.exp = point - a.n;
    for (int i = 0; i < a.n; i++) a.d[i] = (unsigned char)(digits[i] - '0');
    return a;
}

static void dec_trim(dec *a) {
    int zeros = 0;
    while (zeros < a->n && a->d[zeros] == 0) zeros++;
    a->n -= zeros;
    memmove(a->d, a->d + zeros, (size_t)a->n);
    if (a->n == 0) a->exp = 0, a->negative = false;
}

static void dec_round(dec *a) {
    if (a->n <= PRECISION) return;
    bool above = false; // anything after the first dropped digit
    for (int i = PRECISION + 1; i < a->n; i++) above |= a->d[i] != 0;
    int first = a->d[PRECISION];
    bool up = first > 5 || (first == 5 && (above || a->d[PRECISION - 1] % 2 == 1));
    a->exp += a->n - PRECISION;
    a->n = PRECISION;
    if (!up) return;
    int i = PRECISION - 1;
    while (i >= 0 && a->d[i] == 9) a->d[i--] = 0;
    if (i >= 0) {
        a->d[i]++;
    } else { // 99..9 became 100..0
        a->d[0] = 1;
        a->exp++;
    }
}

// Compares whole numbers of the same exponent.
static int dec_compare(const dec *a, const dec *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    return memcmp(a->d, b->d, (size_t)a->n);
}

// a -= b for whole numbers of the same exponent, a >= b.
static void dec_reduce(dec *a, const dec *b) {
    int borrow = 0;
    for (int i = 0; i < a->n; i++) {
        int from = a->n - 1 - i, digit = a->d[from] - borrow;
        if (i < b->n) digit -= b->d[b->n - 1 - i];
        borrow = digit < 0 ? 1 : 0;
        a->d[from] = (unsigned char)(digit + 10 * borrow);
    }
    dec_trim(a);
}

// Brings both to the smaller exponent. The callers see to it that the digits fit.
static void dec_align(dec *a, dec *b) {
    dec *high = a->exp > b->exp ? a : b, *low = high == a ? b : a;
    int shift = high->exp - low->exp;
    if (high->n > 0) {
        memset(high->d + high->n, 0, (size_t)shift);
        high->n += shift;
    }
    high->exp = low->exp;
}

static dec dec_add(dec a, dec b) {
    if (a.n == 0) return b;
    if (b.n == 0) return a;
    if (dec_top(&a) < dec_top(&b)) {
        dec swap = a;
        a = b, b = swap;
    }
    // b below a quarter of the last of 28 places: cannot change the rounded sum. This also bounds the digits
    // below: at most PRECISION + 3 + the 45 of an unrounded product.
    if (dec_top(&a) - dec_top(&b) > PRECISION + 3) {
        dec_round(&a);
        return a;
    }
    dec_align(&a, &b);
    dec sum = {.negative = a.negative, .exp = a.exp};
    if (a.negative != b.negative) {
        bool swapped = dec_compare(&a, &b) < 0;
        sum = swapped ? b : a;
        dec_reduce(&sum, swapped ? &a : &b);
    } else {
        sum.n = (a.n > b.n ? a.n : b.n) + 1;
        int carry = 0;
        for (int i = 0; i < sum.n; i++) {
            int digit = carry + (i < a.n ? a.d[a.n - 1 - i] : 0) + (i < b.n ? b.d[b.n - 1 - i] : 0);
            sum.d[sum.n - 1 - i] = (unsigned char)(digit % 10);
            carry = digit / 10;
        }
        dec_trim(&sum);
    }
    dec_round(&sum);
    return sum;
}

// quotient = floor(a / b) for a >= 0, b > 0; false if it has more than 28 digits.
static bool dec_divide(dec *quotient, bool *exact, dec a, dec b) {
    *quotient = (dec){0};
    *exact = a.n == 0;
    if (a.n == 0) return true;
    int diff = dec_top(&a) - dec_top(&b);
    if (diff > PRECISION) return false;
    if (diff <= -2) return true;
    dec_align(&a, &b); // at most PRECISION + 17 digits
    dec rest = {.exp = a.exp};
    for (int i = 0; i < a.n; i++) {
        rest.d[rest.n++] = a.d[i];
        dec_trim(&rest);
        rest.exp = a.exp;
        unsigned char times = 0;
        while (dec_compare(&rest, &b) >= 0) {
            dec_reduce(&rest, &b);
            times++;
        }
        quotient->d[quotient->n++] = times;
    }
    *exact = rest.n == 0;
    dec_trim(quotient);
    return quotient->n <= PRECISION;
}

static dec dec_multiply(const dec *a, const dec *b) {
    dec product = {.negative = a->negative != b->negative, .n = a->n + b->n, .exp = a->exp + b->exp};
    int column[DEC_DIGITS] = {0};
    for (int i = 0; i < a->n; i++) {
        for (int j = 0; j < b->n; j++) column[i + j + 1] += a->d[i] * b->d[j];
    }
    for (int i = product.n - 1; i > 0; i--) column[i - 1] += column[i] / 10, column[i] %= 10;
    for (int i = 0; i < product.n; i++) product.d[i] = (unsigned char)column[i];
    dec_trim(&product);
    dec_round(&product);
    return product;
}

double hpt__decimal_high(double low, double high, double step) {
    if (!isfinite(low) || !isfinite(high) || !isfinite(step) || step <= 0 || high <= low) return high;
    dec d_low = dec_from(low), d_step = dec_from(step), minus_low = d_low, quotient;
    minus_low.negative = !minus_low.negative;
    dec range = dec_add(dec_from(high), minus_low);
    bool exact;
    if (!dec_divide(&quotient, &exact, range, d_step) || exact) return high;
    dec adjusted = dec_add(dec_multiply(&quotient, &d_step), d_low);
    if (adjusted.n == 0) return 0;
    char digits[DEC_DIGITS];
    for (int i = 0; i < adjusted.n; i++) digits[i] = (char)('0' + adjusted.d[i]);
    double v = compose(digits, adjusted.n, adjusted.exp);
    return adjusted.negative ? -v : v;
}

bool hpt__parse_bytes(int64_t *out, const char *text, size_t n) {
    size_t digits = 0;
    bool fraction = false;
    while (digits < n && (is_digit(text[digits]) || text[digits] == '.')) fraction |= text[digits++] == '.';
    size_t unit = digits;
    while (unit < n && text[unit] == ' ') unit++;
    if (unit == n && unit != digits) return false; // a blank with nothing after it
    // K and KiB are 1024, KB is 1000, like dd, head and sort.
    uint64_t factor = 1;
    size_t left = n - unit;
    if (left > 0 && (text[unit] | 0x20) != 'b') {
        static const char prefixes[] = "kmgtpe";
        const char *found = memchr(prefixes, text[unit] | 0x20, sizeof prefixes - 1);
        if (!found) return false;
        bool binary = left == 1 || (text[unit + 1] | 0x20) == 'i';
        for (const char *p = prefixes; p <= found; p++) factor *= binary ? 1024 : 1000;
        unit++, left--;
        if (left > 0 && (text[unit] | 0x20) == 'i') unit++, left--;
    }
    if (left > 0 && (text[unit] | 0x20) == 'b') left--;
    if (left > 0) return false;
    if (!fraction) {
        uint64_t count;
        if (!hpt__parse_uint64(&count, text, digits) || count > (uint64_t)INT64_MAX / factor) return false;
        *out = (int64_t)(count * factor);
        return true;
    }
    double count;
    if (!hpt__parse_double(&count, text, digits, false)) return false;
    double bytes = rint(count * (double)factor);
    if (!(bytes < 0x1p63)) return false;
    *out = (int64_t)bytes;
    return true;
}
