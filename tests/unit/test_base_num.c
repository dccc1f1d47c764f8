// SPDX-License-Identifier: Apache-2.0
// test_base_num.c: numbers as text. Expected strings were printed by CPython's repr(), expected bounds by
// optuna.distributions.FloatDistribution(low, high, step=step).high (Optuna 5.0).
#include "core/base/num.h"
#include "core/base/rng.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t to_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static bool parse(double *out, const char *text) {
    return hpt__parse_double(out, text, strlen(text), false);
}

static const struct {
    uint64_t bits;
    const char *text;
} reprs[] = {
    {UINT64_C(0x0000000000000000), "0.0"},
    {UINT64_C(0x8000000000000000), "-0.0"},
    {UINT64_C(0x3ff0000000000000), "1.0"},
    {UINT64_C(0xbff0000000000000), "-1.0"},
    {UINT64_C(0x3fb999999999999a), "0.1"},
    {UINT64_C(0x3fc999999999999a), "0.2"},
    {UINT64_C(0x3fd3333333333333), "0.3"},
    {UINT64_C(0x3fd3333333333334), "0.30000000000000004"},
    {UINT64_C(0x3fd5555555555555), "0.3333333333333333"},
    {UINT64_C(0x3fe5555555555555), "0.6666666666666666"},
    {UINT64_C(0x3f1a36e2eb1c432d), "0.0001"},
    {UINT64_C(0x3ee4f8b588e368f1), "1e-05"},
    {UINT64_C(0x3f202c9dedbc309d), "0.0001234"},
    {UINT64_C(0x3f202e85be180b74), "0.00012345678901234567"},
    {UINT64_C(0x40fe240c9fbe76c9), "123456.789"},
    {UINT64_C(0x430c6bf526340000), "1000000000000000.0"},
    {UINT64_C(0x4341c37937e08000), "1e+16"},
    {UINT64_C(0x4341c37937e07fff), "9999999999999998.0"},
    {UINT64_C(0x4376345785d8a000), "1e+17"},
    {UINT64_C(0x444b1ae4d6e2ef50), "1e+21"},
    {UINT64_C(0x4480f0cf064dd592), "1e+22"},
    {UINT64_C(0x44b52d02c7e14af6), "1e+23"},
    {UINT64_C(0x0000000000000001), "5e-324"},
    {UINT64_C(0x0000000000000002), "1e-323"},
    {UINT64_C(0x0000000000000005), "2.5e-323"},
    {UINT64_C(0x0000000000000009), "4.4e-323"},
    {UINT64_C(0x0010000000000000), "2.2250738585072014e-308"},
    {UINT64_C(0x000fffffffffffff), "2.225073858507201e-308"},
    {UINT64_C(0x000fffffffffffff), "2.225073858507201e-308"},
    {UINT64_C(0x7fefffffffffffff), "1.7976931348623157e+308"},
    {UINT64_C(0xffefffffffffffff), "-1.7976931348623157e+308"},
    {UINT64_C(0x3d30000000000000), "5.684341886080802e-14"},
    {UINT64_C(0x3e70000000000000), "5.960464477539063e-08"},
    {UINT64_C(0x0010000000000000), "2.2250738585072014e-308"},
    {UINT64_C(0x0008000000000000), "1.1125369292536007e-308"},
    {UINT64_C(0x0000000000000001), "5e-324"},
    {UINT64_C(0x4580000000000000), "6.189700196426902e+26"},
    {UINT64_C(0x0020000000000000), "4.450147717014403e-308"},
    {UINT64_C(0x7fe0000000000000), "8.98846567431158e+307"},
    {UINT64_C(0x4790000000000000), "5.316911983139664e+36"},
    {UINT64_C(0x433fffffffffffff), "9007199254740991.0"},
    {UINT64_C(0x4340000000000000), "9007199254740992.0"},
    {UINT64_C(0x4340000000000001), "9007199254740994.0"},
    {UINT64_C(0x4350000000000000), "1.8014398509481984e+16"},
    {UINT64_C(0x4330000000000000), "4503599627370496.0"},
    {UINT64_C(0x4330000000000002), "4503599627370498.0"},
    {UINT64_C(0x437b69b4ba630f34), "1.2345678901234566e+17"},
    {UINT64_C(0x437b69b4ba630f35), "1.2345678901234568e+17"},
    {UINT64_C(0x3fd3333333333334), "0.30000000000000004"},
    {UINT64_C(0x3f0a36e2eb1c432d), "5e-05"},
    {UINT64_C(0x4059000000000000), "100.0"},
    {UINT64_C(0x43118b54f22aeb03), "1234567890123456.8"},
    {UINT64_C(0x400921fb54442d18), "3.141592653589793"},
    {UINT64_C(0x4005bf0a8b145769), "2.718281828459045"},
    {UINT64_C(0x3ff0000000000001), "1.0000000000000002"},
    {UINT64_C(0x3fefffffffffffff), "0.9999999999999999"},
    {UINT64_C(0x447c7e83209e90b2), "8.41e+21"},
    {UINT64_C(0x0000000000004000), "8.095e-320"},
    {UINT64_C(0x00000000000000c0), "9.5e-322"},
    {UINT64_C(0x44dfe185ca57c517), "6.02214076e+23"},
    {UINT64_C(0x38b54484932d2e72), "1.6e-35"},
    {UINT64_C(0x41b1de784a000000), "299792458.0"},
    {UINT64_C(0x3fb1eb851eb851ec), "0.07"},
    {UINT64_C(0x3e7ad7f29abcaf48), "1e-07"},
    {UINT64_C(0x3e7ad7f29abcaf48), "1e-07"},
    {UINT64_C(0x4011666666666666), "4.35"},
    {UINT64_C(0x3f02599ed7c6fbd2), "3.5e-05"},
    {UINT64_C(0x7e37e43c8800759c), "1e+300"},
    {UINT64_C(0x01a56e1fc2f8f359), "1e-300"},
    {UINT64_C(0x4031800000000000), "17.5"},
    {UINT64_C(0x3f60624dd2f1a9fc), "0.002"},
};

Test(base_num, repr_equals_python_on_hard_cases)
{
    char text[HPT__DOUBLE_MAX];
    for (size_t i = 0; i < sizeof reprs / sizeof reprs[0]; i++) {
        size_t len = hpt__double_repr(text, from_bits(reprs[i].bits));
        cr_expect_str_eq(text, reprs[i].text, "bits %016llx", (unsigned long long)reprs[i].bits);
        cr_expect_eq(len, strlen(reprs[i].text));
    }
    hpt__double_repr(text, NAN);
    cr_expect_str_eq(text, "nan");
    hpt__double_repr(text, INFINITY);
    cr_expect_str_eq(text, "inf");
    hpt__double_repr(text, -INFINITY);
    cr_expect_str_eq(text, "-inf");
}

// Reads back, and no text with one digit fewer does.
static void check_shortest(double v) {
    char text[HPT__DOUBLE_MAX], shorter[64];
    double back;
    size_t len = hpt__double_repr(text, v);
    cr_assert_lt(len, sizeof text);
    cr_assert(parse(&back, text), "%s", text);
    cr_assert_eq(to_bits(back), to_bits(v), "%s for %016llx", text, (unsigned long long)to_bits(v));
    char digits[32];
    int n = 0;
    for (const char *p = text; *p && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && (n > 0 || *p != '0')) digits[n++] = *p;
    }
    while (n > 1 && digits[n - 1] == '0') n--;
    if (n <= 1) return;
    snprintf(shorter, sizeof shorter, "%.*e", n - 2, v);
    if (parse(&back, shorter)) cr_assert_neq(to_bits(back), to_bits(v), "%s is longer than %s", text, shorter);
}

Test(base_num, repr_reads_back_and_is_shortest)
{
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 0);
    for (int i = 0; i < 100000; i++) {
        double v = from_bits(hpt__rng_u64(&rng));
        if (isfinite(v)) check_shortest(v);
    }
    for (int i = 0; i < 20000; i++) check_shortest(from_bits(hpt__rng_u64(&rng) >> 12)); // subnormal
    for (int e = -1074; e < 1024; e++) {
        uint64_t bits = to_bits(ldexp(1, e));
        for (int64_t d = -1; d <= 1; d++) {
            if (bits > 1) check_shortest(from_bits(bits + (uint64_t)d));
        }
    }
    for (int i = 0; i < 20000; i++) { // short decimals: the exact path
        int64_t k = hpt__rng_below(&rng, 1000000);
        int e = (int)hpt__rng_below(&rng, 12);
        char want[64], text[HPT__DOUBLE_MAX];
        snprintf(want, sizeof want, "%llde-%d", (long long)k, e);
        double v, back;
        cr_assert(parse(&v, want));
        hpt__double_repr(text, v);
        cr_assert(parse(&back, text) && back == v && strlen(text) <= 20, "%s: %s", want, text);
    }
}

// Where repr works on integers of 128 bits: the digits are also the nearest of their number, as printf rounds them.
Test(base_num, repr_from_a_millionth_to_2_to_the_52_is_shortest_and_nearest)
{
    hpt__rng rng;
    hpt__rng_init(&rng, 2, 0);
    for (int i = 0; i < 200000; i++) {
        const int kind = i % 4, e = (int)hpt__rng_below(&rng, 74) - 21;
        double v = ldexp(1 + (double)(hpt__rng_u64(&rng) >> 12) * 0x1p-52, e);
        if (kind == 1) v = rint(ldexp(v, 30 - e)) * ldexp(1, e - 30);                // few bits
        if (kind == 2) v = (double)hpt__rng_below(&rng, 10000000) / pow(10, i % 11); // few digits ...
        if (kind == 3)
            v = nextafter((double)hpt__rng_below(&rng, 1000000) / 1000, i % 8 > 3 ? 1e9 : 0); // ... beside one
        if (!(v >= 1e-6 && v < 0x1p52)) continue;
        check_shortest(v);
        char text[HPT__DOUBLE_MAX], rounded[64], digits[32];
        int n = 0, m = 0;
        hpt__double_repr(text, v);
        for (const char *p = text; *p && *p != 'e'; p++)
            if (*p >= '0' && *p <= '9' && (n > 0 || *p != '0')) digits[n++] = *p;
        while (n > 1 && digits[n - 1] == '0') n--;
        snprintf(rounded, sizeof rounded, "%.*e", n - 1, v);
        for (const char *p = rounded; *p && *p != 'e'; p++)
            if (*p >= '0' && *p <= '9') cr_assert_eq(digits[m++], *p, "%s is not %s", text, rounded);
        cr_assert_eq(m, n);
    }
}

Test(base_num, parse_rounds_correctly)
{
    static const struct {
        const char *text;
        uint64_t bits;
    } cases[] = {
        {"9007199254740993", UINT64_C(0x4340000000000000)}, // a tie: to even
        {"9007199254740993.0000000000000000000000000001", UINT64_C(0x4340000000000001)},
        {"9007199254740995", UINT64_C(0x4340000000000002)},
        {"2.2250738585072011e-308", UINT64_C(0x000fffffffffffff)},
        {"2.4703282292062327e-324", 0},
        {"2.4703282292062328e-324", 1},
        {"1.7976931348623158e308", UINT64_C(0x7fefffffffffffff)},
        {"1.7976931348623159e308", UINT64_C(0x7ff0000000000000)},
        {"1e400", UINT64_C(0x7ff0000000000000)},
        {"-1e99999999999999999999", UINT64_C(0xfff0000000000000)},
        {"1e-99999999999999999999", 0},
        {"0e99999999999999999999", 0},
        {"-0", UINT64_C(0x8000000000000000)},
        {"+.5", UINT64_C(0x3fe0000000000000)},
        {"5.", UINT64_C(0x4014000000000000)},
        {"1E+2", UINT64_C(0x4059000000000000)},
        {"000000000000000000000000000000000000000000000001", UINT64_C(0x3ff0000000000000)},
    };
    double v;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert(parse(&v, cases[i].text), "%s", cases[i].text);
        cr_expect_eq(to_bits(v), cases[i].bits, "%s gave %a", cases[i].text, v);
    }
    // 1 + 2^-53 exactly is a tie; one more digit after a thousand zeros breaks it upward.
    char longer[2000] = "1.00000000000000011102230246251565404236316680908203125";
    cr_expect(parse(&v, longer) && v == 1);
    size_t len = strlen(longer);
    memset(longer + len, '0', 1200);
    memcpy(longer + len + 1200, "1", 2);
    cr_expect(parse(&v, longer) && v == nextafter(1, 2));
}

Test(base_num, parse_refuses_what_is_no_decimal_number)
{
    static const char *const bad[] = {"",    "+",   "-",    ".",    "e5",   "1e",  "1e+",     "1e5.0", " 1",
                                      "1 ",  "1,5", "0x10", "1p3",  "1_0",  "--1", "+-1",     "1.2.3", "nan",
                                      "inf", "1f",  "\t1",  "NaN1", "1e 5", "1-2", "infinity"};
    double v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(parse(&v, bad[i]), "\"%s\"", bad[i]);
    cr_expect_not(hpt__parse_double(&v, "1\0002", 3, false));
    cr_expect_not(hpt__parse_double(&v, "", 0, true));
    cr_expect_not(hpt__parse_double(&v, "infi", 4, true));
    cr_expect_eq(v, 42);
    cr_expect(hpt__parse_double(&v, "12345", 3, false) && v == 123); // n counts, not a NUL
    cr_expect(hpt__parse_double(&v, "-Infinity", 9, true) && isinf(v) && v < 0);
    cr_expect(hpt__parse_double(&v, "+INF", 4, true) && isinf(v) && v > 0);
    cr_expect(hpt__parse_double(&v, "NaN", 3, true) && isnan(v));
}

Test(base_num, text_does_not_depend_on_the_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    bool any = false;
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        if (!setlocale(LC_ALL, locales[i])) continue;
        any = true;
        char text[HPT__DOUBLE_MAX];
        double v;
        hpt__double_repr(text, 0x1p-44);
        cr_expect_str_eq(text, "5.684341886080802e-14");
        cr_expect(parse(&v, "0.30000000000000004") && v == 0.1 + 0.2);
        cr_expect_not(parse(&v, "1,5"));
        cr_expect_eq(hpt__decimal_high(0, 1, 0.3), 0.9);
    }
    if (!any) cr_skip_test("no locale with another decimal separator is installed");
}

Test(base_num, integers_stop_at_their_bounds)
{
    int64_t v;
    uint64_t u;
    cr_expect(hpt__parse_int(&v, "-9223372036854775808", 20) && v == INT64_MIN);
    cr_expect(hpt__parse_int(&v, "9223372036854775807", 19) && v == INT64_MAX);
    cr_expect(hpt__parse_int(&v, "+007", 4) && v == 7);
    cr_expect(hpt__parse_int(&v, "-0", 2) && v == 0);
    cr_expect(hpt__parse_uint64(&u, "18446744073709551615", 20) && u == UINT64_MAX);
    static const char *const bad[] = {
        "",    "-",   "+",   "9223372036854775808",    "-9223372036854775809", "1.0", " 1", "1 ", "-+1",
        "+-1", "1e3", "0x1", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(hpt__parse_int(&v, bad[i], strlen(bad[i])), "\"%s\"", bad[i]);
    cr_expect_not(hpt__parse_uint64(&u, "18446744073709551616", 20));
    cr_expect_not(hpt__parse_uint64(&u, "-1", 2));
}

Test(base_num, decimal_high_equals_optuna)
{
    static const struct {
        double low, high, step, want;
    } cases[] = {
        {0.0, 1.0, 0.3, 0.9},
        {0.0, 1.0, 0.1, 1.0},
        {0.0, 1.0, 0.25, 1.0},
        {0.0, 0.3, 0.1, 0.3},
        {0.1, 1.0, 0.2, 0.9},
        {1e-05, 1.0, 0.1, 0.90001},
        {-1.0, 1.0, 0.3, 0.8},
        {-0.5, 0.5, 0.07, 0.48},
        {0.0, 10.0, 3.0, 9.0},
        {0.0, 10.0, 2.5, 10.0},
        {1.0, 2.0, 0.001, 2.0},
        {0.0, 1.0, 1e-17, 1.0},
        {0.0, 1e+16, 0.1, 1e+16},
        {0.0, 1e+30, 7.0, 1e+30}, // Python raises
        {0.0, 1e+30, 300.0, 1e+30},
        {1e-300, 1.0, 0.1, 1.0},
        {-1e-300, 1.0, 0.3, 0.9},
        {1.0, 1e+300, 1e+299, 1e+300},
        {0.0, 1e+300, 1e-300, 1e+300}, // Python raises
        {0.1, 0.7, 0.2, 0.7},
        {0.1, 0.9, 0.4, 0.9},
        {0.0, 0.7, 0.1, 0.7},
        {1.1, 3.3, 1.1, 3.3},
        {-3.3, -1.1, 1.1, -1.1},
        {-10000000000.0, 10000000000.0, 0.7, 9999999999.7},
        {0.0, 5e-324, 5e-324, 5e-324},
        {0.0, 1e-323, 1.5e-323, 0.0},
        {0.30000000000000004, 1.0, 0.1, 0.9},
        {0.3333333333333333, 0.6666666666666666, 0.14285714285714285, 0.619047619047619},
        {3.141592653589793, 100.0, 2.718281828459045, 98.28145664965636},
        {0.001, 1.0, 0.01, 0.991},
        {2.0, 8.0, 7.0, 2.0},
        {0.0, 1.0, 2.0, 0.0},
        {5.0, 5.5, 1.0, 5.0},
        {-0.0, 1.0, 0.4, 0.8},
        {1000000000000000.0, 1e+16, 123456789.123, 9999999927066700.0},
        {1e+22, 1e+23, 3.0, 1e+23},
        {0.0, 123456789.98765433, 1e-09, 123456789.98765433},
        {1e+16, 1.0000000000000002e+16, 1.0, 1.0000000000000002e+16},
        {-2.0, 2.0, 1e-12, 2.0},
        {0.0, 0.1, 0.03, 0.09},
        {10.0, 11.0, 0.15, 10.9},
        // Ranges of more than 28 digits: the rounding of the decimal context shows.
        {-1.2345678901234568e-10, 98765432.10987654, 0.1, 98765432.1},
        {1.2345678901234567e-12, 10000000000.0, 0.3, 9999999999.9},
        {-9.876543210987654e-13, 123456789012.34567, 0.7, 123456789012.2},
        {3.3333333333333334e-14, 9999999999999.998, 1.1, 9999999999999.9},
        {1e-20, 1000000000.0, 7.0, 999999994.0},
        {-1e-20, 1000000000.0, 7.0, 999999994.0},
        {-1e-30, 1000000000.0, 7.5, 999999997.5},
        {5e-324, 1.0, 0.4, 0.8},
        {1e-13, 99999999999999.98, 3.0000000000000004, 99999999999999.02},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = hpt__decimal_high(cases[i].low, cases[i].high, cases[i].step);
        cr_expect_eq(to_bits(got), to_bits(cases[i].want), "low %.17g high %.17g step %.17g: %.17g, want %.17g",
                     cases[i].low, cases[i].high, cases[i].step, got, cases[i].want);
    }
    cr_expect_eq(hpt__decimal_high(2, 1, 0.3), 1);
    cr_expect_eq(hpt__decimal_high(0, 1, 0), 1);
    cr_expect_eq(hpt__decimal_high(0, INFINITY, 1), INFINITY);
}

Test(base_num, bytes_take_units)
{
    static const struct {
        const char *text;
        int64_t want; // -1: refused
    } cases[] = {
        {"80GiB", INT64_C(80) << 30},
        {"512 MiB", INT64_C(512) << 20},
        {"1.5G", INT64_C(3) << 29},
        {"4096", 4096},
        {"0", 0},
        {"1k", 1024},
        {"1KB", 1000},
        {"2gb", 2000000000},
        {"1Ti", INT64_C(1) << 40},
        {"7B", 7},
        {"0.5KiB", 512},
        {"1EiB", INT64_C(1) << 60},
        {"7.9e", INT64_C(9108079886394091520)},
        {"8EiB", -1},
        {"8.0E", -1},
        {"", -1},
        {"GiB", -1},
        {"-1", -1},
        {"1 ", -1},
        {" 1", -1},
        {"1GiBs", -1},
        {"1.2.3G", -1},
        {"1x", -1},
        {"1iB", -1},
        {"1e3", -1},
        {".", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t v = -1;
        bool good = hpt__parse_bytes(&v, cases[i].text, strlen(cases[i].text));
        cr_expect_eq(good, cases[i].want >= 0, "\"%s\"", cases[i].text);
        cr_expect_eq(v, cases[i].want, "\"%s\" gave %lld", cases[i].text, (long long)v);
    }
}
