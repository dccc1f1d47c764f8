// SPDX-License-Identifier: Apache-2.0
// test_space_codec.c: the map to the unit cube: round trips, legality at every u, and the mass of every value.
#include "core/base/rng.h"
#include "core/space/codec.h"
#include "space_testing.h"
#include <float.h>

static const golden_range extra[] = {
    // kind, low, high, step, log
    {0, 0.5, 8, 0.5, 1, ""},       {0, 0.1, 5.1, 0.2, 1, ""},
    {1, 8, 1024, 8, 1, ""},        {1, 1, 99, 7, 1, ""},
    {1, 1, 2, 1, 1, ""},           {0, 1, 1.0000001, 0, 1, ""},
    {0, 5e-324, 1e308, 0, 1, ""},  {1, 0, 1, 1, 0, ""},
    {0, 1, 1.7e308, 1e300, 1, ""}, {0, 0.1, 0.10000000000000002, 0, 0, ""},
    {0, 10.5, 1000.5, 10, 1, ""},
};

static hpt__param make(hpt_space **s, int64_t i) {
    const golden_range *g = i < COUNT(golden_ranges) ? &golden_ranges[i] : &extra[i - COUNT(golden_ranges)];
    *s = new_space();
    OK(add_range(*s, "x", g->kind, g->low, g->high, g->step, g->log));
    return (*s)->params[0];
}

Test(space_codec, every_u_decodes_to_a_legal_value_and_order_is_kept)
{
    for (int64_t c = 0; c < COUNT(golden_ranges) + COUNT(extra); c++) {
        hpt_space *s;
        const hpt__param p = make(&s, c);
        double last = -INFINITY;
        for (int i = 0; i <= 1000; i++) {
            const double u = i / 1000.0, v = hpt__codec_decode1(&p, u);
            cr_assert(hpt__param_contains(&p, v), "case %d, u %g: %.17g", (int)c, u, v);
            cr_assert(v >= last, "case %d, u %g", (int)c, u);
            last = v;
        }
        const double odd[] = {-1, 2, NAN, INFINITY, -INFINITY, -0.0, 1 - DBL_EPSILON / 2, DBL_MIN};
        for (int64_t i = 0; i < COUNT(odd); i++)
            cr_expect(hpt__param_contains(&p, hpt__codec_decode1(&p, odd[i])), "case %d, u %g", (int)c, odd[i]);
        cr_expect_eq(hpt__codec_decode1(&p, 0), p.low);
        cr_expect_eq(hpt__codec_decode1(&p, 1), p.high);
        const double far[] = {-INFINITY, INFINITY, NAN, p.low, p.high, 0};
        for (int64_t i = 0; i < COUNT(far); i++) {
            const double u = hpt__codec_encode1(&p, far[i]);
            cr_expect(u >= 0 && u <= 1, "case %d, v %g: %g", (int)c, far[i], u);
        }
        if (hpt__param_fixed(&p)) cr_expect_eq(hpt__codec_encode1(&p, p.low), 0.5);
        hpt_space_destroy(s);
    }
}

Test(space_codec, a_grid_value_survives_encoding_and_decoding_bit_by_bit)
{
    for (int64_t c = 0; c < COUNT(golden_ranges) + COUNT(extra); c++) {
        hpt_space *s;
        const hpt__param p = make(&s, c);
        const int64_t n = hpt__param_cardinality(&p);
        const bool resolved = n <= (p.log ? INT64_C(1) << 40 : INT64_C(1) << 51);
        const int64_t stride = n > 5000 ? n / 5000 : 1;
        for (int64_t k = 0; resolved && k < n; k += stride) {
            const double v = hpt__param_value_at(&p, k);
            cr_assert_eq(hpt__codec_decode1(&p, hpt__codec_encode1(&p, v)), v, "case %d, value %lld", (int)c,
                         (long long)k);
        }
        hpt_space_destroy(s);
    }
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "x", 1, INT64_C(1) << 40, 1, HPT_LOG));
    for (int64_t v = 1; v > 0 && v <= INT64_C(1) << 40; v += 1 + v / 7)
        cr_expect_eq(hpt__codec_decode1(s->params, hpt__codec_encode1(s->params, (double)v)), (double)v);
    hpt_space_destroy(s);
}

Test(space_codec, a_continuous_value_survives_to_rounding)
{
    for (int64_t c = 0; c < COUNT(golden_ranges) + COUNT(extra); c++) {
        hpt_space *s;
        const hpt__param p = make(&s, c);
        // The value's rounding shows in u as ulp(v)/range, at most one in ranges of a few ulps.
        const double scale =
            p.log ? 1 / log(p.high / p.low) : fmax(fabs(p.low), fabs(p.high)) / (p.high / 2 - p.low / 2);
        const double tolerance = 8 * DBL_EPSILON * (1 + (isfinite(scale) ? scale : 0));
        // Subnormal numbers have no relative accuracy to keep.
        const bool normal = p.high >= DBL_MIN && !(p.log && p.low < DBL_MIN);
        for (int i = 0; hpt__param_cardinality(&p) < 0 && normal && i <= 200; i++) {
            const double u = i / 200.0, v = hpt__codec_decode1(&p, u);
            cr_assert(fabs(hpt__codec_encode1(&p, v) - u) <= tolerance, "case %d: u %.17g, back %.17g", (int)c, u,
                      hpt__codec_encode1(&p, v));
            const double again = hpt__codec_decode1(&p, hpt__codec_encode1(&p, v));
            // In log ranges of many decades a last bit of u is log(high/low) last bits of v.
            const double size = p.log ? fabs(v) * (1 + log(p.high) - log(p.low)) : fmax(fabs(p.low), fabs(p.high));
            cr_assert(fabs(again - v) <= 8 * DBL_EPSILON * size, "case %d: %.17g %.17g", (int)c, v, again);
        }
        hpt_space_destroy(s);
    }
}

Test(space_codec, it_agrees_with_optunas_transform)
{
    cr_assert_gt(COUNT(golden_decodes), 100);
    for (int64_t i = 0; i < COUNT(golden_decodes); i++) {
        const golden_decode *g = &golden_decodes[i];
        hpt_space *s = new_space();
        OK(add_range(s, "x", g->kind, g->low, g->high, g->step, g->log));
        const double v = hpt__codec_decode1(s->params, g->u);
        const double scale = g->log ? fabs(g->value) * 700 : fmax(fabs(g->low), fabs(g->high));
        const double tolerance = g->kind ? 0 : g->step > 0 ? DBL_EPSILON * scale : 4 * DBL_EPSILON * scale;
        cr_expect(fabs(v - g->value) <= tolerance, "case %d: %.17g, Optuna %.17g", (int)i, v, g->value);
        hpt_space_destroy(s);
    }
}

// Mass of grid value k: the length of the u that decode to it, found by bisection.
static double upper_end(const hpt__param *p, int64_t k) {
    double lo = hpt__codec_encode1(p, hpt__param_value_at(p, k)), hi = 1;
    for (int i = 0; i < 60; i++) {
        const double mid = 0.5 * (lo + hi);
        if (hpt__param_index_of(p, hpt__codec_decode1(p, mid)) <= k)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

Test(space_codec, grid_values_have_equal_mass_and_log_ones_that_of_a_log_uniform_draw)
{
    const golden_range cases[] = {{1, 1, 10, 1, 0, ""}, {0, 0, 1, 0.1, 0, ""},   {1, 1, 10, 1, 1, ""},
                                  {1, 3, 99, 7, 1, ""}, {0, 0.5, 4, 0.5, 1, ""}, {0, 0.15, 3.15, 0.3, 1, ""}};
    for (int64_t c = 0; c < COUNT(cases); c++) {
        hpt_space *s = new_space();
        OK(add_range(s, "x", cases[c].kind, cases[c].low, cases[c].high, cases[c].step, cases[c].log));
        const hpt__param *p = s->params;
        const int64_t n = hpt__param_cardinality(p);
        const double a = fmax(p->low - p->step / 2, p->low / 2), b = p->high + p->step / 2;
        double before = 0;
        for (int64_t k = 0; k < n; k++) {
            const double end = upper_end(p, k), v = hpt__param_value_at(p, k);
            const double left = k == 0 ? a : v - p->step / 2;
            const double mass = p->log ? log((v + p->step / 2) / left) / log(b / a) : 1.0 / (double)n;
            cr_expect(fabs(end - before - mass) < 1e-12, "case %d, value %g: %g, not %g", (int)c, v, end - before,
                      mass);
            cr_expect(fabs(hpt__codec_encode1(p, v) - 0.5 * (before + end)) < 1e-12, "case %d, value %g", (int)c, v);
            before = end;
        }
        hpt_space_destroy(s);
    }
}

Test(space_codec, categories_share_the_unit_interval_evenly)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c", "d", "e", "f", "g")));
    for (int k = 0; k < 7; k++) {
        cr_expect_eq(hpt__codec_decode1(s->params, (k + 0.01) / 7), k);
        cr_expect_eq(hpt__codec_decode1(s->params, (k + 0.99) / 7), k);
        cr_expect_float_eq(hpt__codec_encode1(s->params, k), (k + 0.5) / 7, 1e-16);
    }
    hpt_space_destroy(s);
}
