// SPDX-License-Identifier: Apache-2.0
// test_base_random.c: the counter generator, its distributions, and the clock's texts.
#include "core/base/clock.h"
#include "core/base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(base_rng, philox_matches_random123_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        // kat_vectors of Random123, philox4x32, 10 rounds
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        hpt__philox4x32(out, cases[i].counter, cases[i].key);
        cr_expect_arr_eq(out, cases[i].want, sizeof out);
    }
    // A stream is these blocks in order, with stream and seed in their places.
    hpt__rng rng;
    hpt__rng_init(&rng, UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e));
    rng.counter[0] = 0x243f6a88, rng.counter[1] = 0x85a308d3;
    for (int i = 0; i < 4; i++) cr_expect_eq(hpt__rng_u32(&rng), cases[2].want[i]);
    rng.counter[0] = 0xffffffff, rng.counter[1] = 5;
    hpt__rng_u32(&rng);
    cr_expect(rng.counter[0] == 0 && rng.counter[1] == 6); // the carry
}

Test(base_rng, streams_are_reproducible_and_apart)
{
    hpt__rng a, b, c, d;
    hpt__rng_init(&a, 7, 1);
    hpt__rng_init(&b, 7, 1);
    hpt__rng_init(&c, 7, 2);
    hpt__rng_init(&d, 8, 1);
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = hpt__rng_u64(&a);
        cr_assert_eq(x, hpt__rng_u64(&b));
        same_c += x == hpt__rng_u64(&c);
        same_d += x == hpt__rng_u64(&d);
    }
    cr_expect_eq(same_c + same_d, 0);
    cr_expect_neq(hpt__rng_mix(1, 2), hpt__rng_mix(2, 1));
    cr_expect_eq(hpt__rng_mix(1, 2), hpt__rng_mix(1, 2));
    int bits = 0; // one input bit flips about half of the output bits
    for (int i = 0; i < 64; i++)
        bits += __builtin_popcountll(hpt__rng_mix(5, 9) ^ hpt__rng_mix(5 ^ UINT64_C(1) << i, 9));
    cr_expect(bits > 64 * 28 && bits < 64 * 36, "%d", bits);
    uint64_t s = 0, t = 0;
    cr_expect_eq(hpt__rng_system_seed(&s), 0);
    cr_expect_eq(hpt__rng_system_seed(&t), 0);
    cr_expect_neq(s, t);
}

Test(base_rng, moments_fit)
{
    // Bounds are five standard errors.
    enum { N = 200000 };
    hpt__rng rng;
    hpt__rng_init(&rng, 42, 0);
    double sum = 0, square = 0, fourth = 0, u_sum = 0;
    int64_t counts[7] = {0};
    for (int i = 0; i < N; i++) {
        double u = hpt__rng_uniform(&rng), z = hpt__rng_normal(&rng);
        cr_assert(u >= 0 && u < 1 && isfinite(z));
        u_sum += u;
        sum += z;
        square += z * z;
        fourth += z * z * z * z;
        int64_t k = hpt__rng_below(&rng, 7);
        cr_assert(k >= 0 && k < 7);
        counts[k]++;
    }
    double root = sqrt((double)N);
    cr_expect_lt(fabs(u_sum / N - 0.5), 5 * sqrt(1.0 / 12) / root);
    cr_expect_lt(fabs(sum / N), 5 / root);
    cr_expect_lt(fabs(square / N - 1), 5 * sqrt(2.0) / root);
    cr_expect_lt(fabs(fourth / N - 3), 5 * sqrt(96.0) / root);
    double chi2 = 0, each = N / 7.0;
    for (int i = 0; i < 7; i++) chi2 += ((double)counts[i] - each) * ((double)counts[i] - each) / each;
    cr_expect_lt(chi2, 30); // 6 degrees of freedom: p < 1e-4
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(hpt__rng_below(&rng, 1), 0);
        cr_assert_geq(hpt__rng_below(&rng, INT64_MAX), 0);
    }
    // 3 * 2^61 makes the unbiased draw reject a quarter; a biased one would favour the lower two thirds.
    int64_t n = INT64_C(3) << 61, low = 0;
    for (int i = 0; i < 30000; i++) low += hpt__rng_below(&rng, n) < n / 3;
    cr_expect_lt(fabs((double)low / 30000 - 1.0 / 3), 5 * sqrt(2.0 / 9 / 30000));
}

Test(base_clock, texts_equal_pythons_datetime)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01 00:00:00.000000"},
        {-1, "1969-12-31 23:59:59.999999"},
        {INT64_C(951782400000000), "2000-02-29 00:00:00.000000"},
        {INT64_C(1709251199999999), "2024-02-29 23:59:59.999999"},
        {INT64_C(4107542400000000), "2100-03-01 00:00:00.000000"},
        {INT64_C(-2203891200000000), "1900-03-01 00:00:00.000000"},
        {INT64_C(253402300799999999), "9999-12-31 23:59:59.999999"},
        {INT64_C(-62135596800000000), "0001-01-01 00:00:00.000000"},
        {INT64_C(1752753045000123), "2025-07-17 11:50:45.000123"},
    };
    char text[HPT__DATETIME_MAX];
    int64_t us;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(hpt__datetime_format(text, cases[i].us), strlen(cases[i].text));
        cr_expect_str_eq(text, cases[i].text);
        cr_expect(hpt__datetime_parse(&us, cases[i].text) && us == cases[i].us, "%s", cases[i].text);
    }
    for (int64_t day = -200000; day < 400000; day += 1) { // every day of 1600 years, both ways
        int64_t want = day * INT64_C(86400000000) + 12345;
        hpt__datetime_format(text, want);
        cr_assert(hpt__datetime_parse(&us, text) && us == want, "%s", text);
    }
    cr_expect_lt(hpt__datetime_format(text, INT64_MIN), (size_t)HPT__DATETIME_MAX);
    cr_expect_lt(hpt__datetime_format(text, INT64_MAX), (size_t)HPT__DATETIME_MAX);
}

Test(base_clock, parse_reads_fractions_as_sqlalchemy_and_refuses_the_rest)
{
    int64_t us;
    cr_expect(hpt__datetime_parse(&us, "1970-01-01 00:00:01") && us == 1000000);
    cr_expect(hpt__datetime_parse(&us, "1970-01-01 00:00:01.123") && us == 1000123);
    cr_expect(hpt__datetime_parse(&us, "1970-01-01 00:00:01.000001") && us == 1000001);
    static const char *const bad[] = {"",
                                      "1970",
                                      "1970-01-01",
                                      "1970-01-01T00:00:00",
                                      "1970-01-01 00:00:00.",
                                      "1970-01-01 00:00:00.1234567",
                                      "1970-01-01 00:00:00 ",
                                      "1970-01-01 00:00:00Z",
                                      "1970-13-01 00:00:00",
                                      "1970-00-01 00:00:00",
                                      "1970-02-30 00:00:00",
                                      "1900-02-29 00:00:00",
                                      "2023-02-29 00:00:00",
                                      "1970-01-00 00:00:00",
                                      "1970-01-01 24:00:00",
                                      "1970-01-01 00:60:00",
                                      "1970-01-01 00:00:60",
                                      "0000-01-01 00:00:00",
                                      "197a-01-01 00:00:00",
                                      " 1970-01-01 00:00:00",
                                      "1970-01-01 00:00:00.12a"};
    us = 99;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(hpt__datetime_parse(&us, bad[i]), "%s", bad[i]);
    cr_expect_eq(us, 99);
    double a = hpt__now_mono(), b = hpt__now_mono();
    cr_expect_geq(b, a);
    cr_expect_gt(hpt__now_utc_us(), INT64_C(1700000000000000));
}
