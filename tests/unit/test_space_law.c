// SPDX-License-Identifier: Apache-2.0
// test_space_law.c: rounded uniform, normal and beta laws, probabilities of choices: values, masses, texts, errors. Against
// SciPy and NumPy at many points: oracle_codec.py.
#include "core/base/special.h"
#include "core/space/codec.h"
#include "core/space/grid.h"
#include "space_testing.h"
#include <float.h>

static const golden_law more[] = {
    {2, 0, 1e6, 1e-3, 0, 0, ""},     {2, 0, 0.3, 0.01, 0.001, 0, ""},     {3, 0, 0.5, 0.5, 0.01, 0, ""},
    {3, 0, 1e4, 1e4, 0.0001, 0, ""}, {3, 0, 0.02, 40, 0, 0, ""},          {1, 1, 0, 9e15, 1e3, 0, ""},
    {1, 0, 1e-3, 1e3, 0.25, 1, ""},  {1, 0, -1e300, 1e300, 1e290, 0, ""},
};
enum { N_CASES = (int)(COUNT(golden_laws) + COUNT(more)) };

static const golden_law *case_at(int i) {
    return i < (int)COUNT(golden_laws) ? &golden_laws[i] : &more[i - (int)COUNT(golden_laws)];
}

static const hpt__param *make(hpt_space **s, int i) {
    *s = new_space();
    OK(add_law(*s, "x", case_at(i)));
    return &(*s)->params[0];
}

Test(space_law, optuna_is_told_the_range_of_the_values)
{
    for (int64_t i = 0; i < COUNT(golden_laws); i++) {
        hpt_space *s;
        const hpt__param *p = make(&s, (int)i);
        cr_expect_str_eq(p->dist_json, golden_laws[i].json, "case %d: %s", (int)i, p->dist_json);
        hpt_space *t = new_space(); // as a study of its tables has it
        OK(hpt__space_add_distribution(t, "x", p->dist_json));
        cr_expect(hpt__param_same_distribution(p, &t->params[0]), "case %d", (int)i);
        hpt_space_destroy(t);
        hpt_space_destroy(s);
    }
}

Test(space_law, every_u_decodes_to_a_legal_value_and_order_is_kept)
{
    for (int c = 0; c < N_CASES; c++) {
        hpt_space *s;
        const hpt__param *p = make(&s, c);
        double last = -INFINITY;
        for (int i = 0; i <= 2000; i++) {
            const double u = i / 2000.0, v = hpt__codec_decode1(p, u), at = hpt__codec_encode1(p, v);
            cr_assert(hpt__param_contains(p, v) && v >= last, "case %d, u %g: %.17g", c, u, v);
            cr_assert_eq(hpt__param_clip(p, v), v);
            cr_assert(at >= 0 && at <= 1);
            if (p->step > 0) cr_assert_eq(hpt__codec_decode1(p, at), v, "case %d, u %g: %.17g", c, u, v);
            last = v;
        }
        const double odd[] = {-1, 2, NAN, INFINITY, -INFINITY, -0.0, 1 - DBL_EPSILON / 2, DBL_MIN};
        for (int64_t i = 0; i < COUNT(odd); i++)
            cr_expect(hpt__param_contains(p, hpt__codec_decode1(p, odd[i])), "case %d, u %g", c, odd[i]);
        cr_expect_eq(hpt__codec_decode1(p, 0), p->low);
        cr_expect_eq(hpt__codec_decode1(p, 1), p->high);
        const double far[] = {-INFINITY, INFINITY, NAN, p->low, p->high, 0};
        for (int64_t i = 0; i < COUNT(far); i++) {
            const double u = hpt__codec_encode1(p, far[i]);
            cr_expect(u >= 0 && u <= 1, "case %d, v %g: %g", c, far[i], u);
        }
        if (hpt__param_fixed(p)) cr_expect_eq(hpt__codec_encode1(p, p->low), 0.5);
        hpt_space_destroy(s);
    }
}

Test(space_law, every_value_of_a_rounded_law_survives_encoding_unless_nothing_rounds_to_it)
{
    for (int c = 0; c < N_CASES; c++) {
        hpt_space *s;
        const hpt__param *p = make(&s, c);
        const int64_t n = hpt__param_cardinality(p), stride = n > 2000 ? n / 2000 : 1;
        for (int64_t k = 0; k < n; k += stride) {
            const double v = hpt__param_value_at(p, k), u = hpt__codec_encode1(p, v);
            const double below = nextafter(u, -1), above = nextafter(u, 2);
            // A cell without a number of its own lies between two of them.
            const bool none = hpt__codec_decode1(p, below) < v && hpt__codec_decode1(p, above) > v;
            const bool ends = p->law == HPT__LAW_BETA && (u < 1e-10 || u > 1 - 1e-10); // masses down to 1e-320
            if (!none && !ends) cr_assert_eq(hpt__codec_decode1(p, u), v, "case %d, value %.17g, u %.17g", c, v, u);
            cr_assert(hpt__param_contains(p, v));
            cr_assert_eq(hpt__param_index_of(p, v), k);
        }
        hpt_space_destroy(s);
    }
}

Test(space_law, a_value_that_few_numbers_decode_to_encodes_to_one_of_them)
{
    // In the upper tail a cell is as narrow as the distance of two numbers below 1: every one of them in turn.
    hpt_space *s = new_space();
    OK(hpt_space_add_normal(s, "x", 0, 1, 1e-5, 0));
    const hpt__param *p = s->params;
    double last = 0;
    int64_t n = 0;
    for (int k = 1; k < 60000; k++) {
        const double v = hpt__codec_decode1(p, 1 - k * 0x1p-53);
        if (v == last) continue;
        last = v;
        n++;
        cr_assert_eq(hpt__codec_decode1(p, hpt__codec_encode1(p, v)), v, "%.17g", v);
    }
    cr_expect_gt(n, 10000);
    hpt_space_destroy(s);
}

Test(space_law, inner_values_are_the_doubles_that_numpys_rounding_gives)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "x", 0, 1, 0.1, 0));
    cr_expect_eq(hpt__codec_decode1(s->params, 0.31), 3 * 0.1); // 0.30000000000000004
    cr_expect_eq(hpt__codec_decode1(s->params, 0.68), 7 * 0.1);
    cr_expect(hpt__param_contains(s->params, 0.3));
    cr_expect_eq(hpt__param_clip(s->params, 0.3), 3 * 0.1);
    hpt_space_destroy(s);
    // At the ends they are the ones that are multiples in decimals, since Optuna checks there; the others are legal too.
    s = new_space();
    OK(hpt_space_add_rounded(s, "x", 0.3, 0.7, 0.1, 0));
    cr_expect_eq(s->params[0].low, 0.3);
    cr_expect_eq(s->params[0].high, 0.7);
    cr_expect(hpt__param_contains(s->params, 7 * 0.1));
    cr_expect_eq(hpt__param_clip(s->params, 7 * 0.1), 0.7);
    cr_expect_not(hpt__param_contains(s->params, 0.8));
    cr_expect_not(hpt__param_contains(s->params, 0.2));
    cr_expect_not(hpt__param_contains(s->params, NAN));
    hpt_space_destroy(s);
}

// Length of the u that decode to at most v.
static double mass_up_to(const hpt__param *p, double v) {
    double lo = 0, hi = 1;
    for (int i = 0; i < 60; i++) {
        const double mid = 0.5 * (lo + hi);
        if (hpt__codec_decode1(p, mid) <= v)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

Test(space_law, the_end_values_of_a_rounded_uniform_have_half_the_mass_of_the_others)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "x", 0, 10, 0.5, 0));
    const hpt__param *p = s->params;
    cr_assert_eq(hpt__param_cardinality(p), 21);
    double before = 0;
    for (int64_t k = 0; k < 21; k++) {
        const double end = mass_up_to(p, hpt__param_value_at(p, k)), mass = end - before;
        cr_expect_float_eq(mass, k == 0 || k == 20 ? 0.025 : 0.05, 1e-14, "value %d: %g", (int)k, mass);
        cr_expect_float_eq(hpt__codec_encode1(p, hpt__param_value_at(p, k)), 0.5 * (before + end), 1e-14);
        before = end;
    }
    hpt_space_destroy(s);
}

Test(space_law, cells_have_the_mass_that_closed_forms_give)
{
    const golden_law cases[] = {{1, 1, 1, 100, 7, 0, ""}, {1, 1, 1, 100, 10, 1, ""},    {1, 0, 0.3, 7.7, 0.25, 1, ""},
                                {2, 0, 1, 2, 0.5, 0, ""}, {2, 0, 0.5, 0.4, 0.1, 1, ""}, {2, 1, 10, 3, 2, 0, ""},
                                {3, 0, 1, 4, 0.1, 0, ""}};
    for (int64_t c = 0; c < COUNT(cases); c++) {
        const golden_law *g = &cases[c];
        hpt_space *s = new_space();
        OK(add_law(s, "x", g));
        const hpt__param *p = s->params;
        for (int64_t k = 0; k + 1 < hpt__param_cardinality(p); k++) {
            const double x = hpt__param_value_at(p, k) + 0.5 * g->q, t = g->log ? log(x) : x;
            const double a = g->law == 1 && g->log ? log(g->a) : g->a, b = g->law == 1 && g->log ? log(g->b) : g->b;
            const double want = g->law == 1   ? fmin((t - a) / (b - a), 1)
                                : g->law == 2 ? 0.5 * erfc(-(t - a) / b * 0.70710678118654752440)
                                              : 1 - pow(1 - x, 4); // shapes 1, 4
            cr_expect_float_eq(mass_up_to(p, hpt__param_value_at(p, k)), want, 1e-13, "case %d, below %g", (int)c, x);
        }
        hpt_space_destroy(s);
    }
}

Test(space_law, continuous_laws_are_their_quantile_functions)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_normal(s, "normal", 3, 2, 0, 0));
    OK(hpt_space_add_normal(s, "lognormal", -1, 0.5, 0, HPT_LOG));
    OK(hpt_space_add_beta(s, "arcsine", 0.5, 0.5, 0, 0));
    OK(hpt_space_add_beta(s, "power", 3, 1, 0, 0));
    for (int i = 1; i < 1000; i++) {
        const double u = i / 1000.0, z = hpt__ndtri(u);
        const double wanted[] = {3 + 2 * z, exp(-1 + 0.5 * z), pow(sin(u * 1.57079632679489661923), 2), cbrt(u)};
        for (int k = 0; k < 4; k++) {
            const double v = hpt__codec_decode1(&s->params[k], u);
            cr_assert_float_eq(v, wanted[k], 1e-13 * fmax(wanted[k], 0.1), "%s, u %g: %.17g", s->params[k].name, u, v);
            cr_assert_float_eq(hpt__codec_encode1(&s->params[k], v), u, 1e-12);
        }
    }
    cr_expect_eq(s->params[0].low, 3 - 14.0);
    cr_expect_eq(s->params[0].high, 3 + 14.0);
    cr_expect_eq(hpt__codec_decode1(&s->params[0], 0), -11.0); // minus infinity, moved to the end
    cr_expect_eq(hpt__codec_decode1(&s->params[0], 1), 17.0);
    cr_expect_eq(s->params[1].low, exp(-4.5));
    cr_expect_eq(hpt__param_cardinality(&s->params[0]), -1);
    hpt_space_destroy(s);
}

Test(space_law, whole_values_are_integers_everywhere)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_normal(s, "n", 32, 8, 4, HPT_WHOLE));
    OK(hpt_space_add_rounded(s, "r", 0.5, 9.5, 1, HPT_WHOLE));
    OK(hpt_space_add_rounded(s, "f", 0, 9, 1, 0));
    cr_expect_eq(s->params[0].kind, HPT__PARAM_INT);
    cr_expect_eq(s->params[0].low, -24.0);
    cr_expect_eq(s->params[0].high, 88.0);
    cr_expect_eq(s->params[1].low, 1.0);
    cr_expect_eq(s->params[1].high, 9.0);
    hpt__str text = HPT__STR_INIT;
    const double point[] = {36, 3, 3};
    hpt__space_point_json(&text, s, point, true);
    cr_expect_str_eq(hpt__str_text(&text), "{\"n\": 36, \"r\": 3, \"f\": 3.0}");
    hpt__str_fini(&text);
    cr_expect_not(hpt__param_contains(&s->params[0], 34));
    cr_expect_not(hpt__param_contains(&s->params[0], 36.0001));
    hpt_space_destroy(s);
}

Test(space_law, bad_laws_are_named_and_leave_the_space_unchanged)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "a", 0, 3, 1, 0));
    char before[512];
    snprintf(before, sizeof before, "%s", json_of(s));
    FAILS(HPT_E_EXISTS, "'a'", hpt_space_add_normal(s, "a", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "name", hpt_space_add_beta(s, "", 1, 1, 0, 0));
    FAILS(HPT_E_ARG, "NULL", hpt_space_add_rounded(NULL, "b", 0, 1, 1, 0));
    FAILS(HPT_E_ARG, "'b': low 2.0 is above high 1.0", hpt_space_add_rounded(s, "b", 2, 1, 1, 0));
    FAILS(HPT_E_ARG, "hpt_space_add_float", hpt_space_add_rounded(s, "b", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "'b': a log range needs low > 0, got 0.0", hpt_space_add_rounded(s, "b", 0, 1, 1, HPT_LOG));
    FAILS(HPT_E_ARG, "flags 0x4", hpt_space_add_rounded(s, "b", 0, 1, 1, 4));
    FAILS(HPT_E_ARG, "flags 0x1", hpt_space_add_beta(s, "b", 1, 1, 0, HPT_LOG));
    FAILS(HPT_E_ARG, "flags 0x2", hpt_space_add_float(s, "b", 0, 1, 0, HPT_WHOLE));
    FAILS(HPT_E_ARG, "whole q", hpt_space_add_rounded(s, "b", 0, 10, 0.5, HPT_WHOLE));
    FAILS(HPT_E_ARG, "whole q", hpt_space_add_normal(s, "b", 0, 10, 0, HPT_WHOLE));
    FAILS(HPT_E_ARG, "2^53", hpt_space_add_rounded(s, "b", 0, 1e17, 1e4, HPT_WHOLE));
    FAILS(HPT_E_ARG, "2^50", hpt_space_add_rounded(s, "b", 0, 1, 1e-16, 0));
    FAILS(HPT_E_ARG, "2^50", hpt_space_add_normal(s, "b", 1e20, 1, 1, 0));
    FAILS(HPT_E_ARG, "1e308", hpt_space_add_rounded(s, "b", 0, 1.7e308, 1.2e308, 0));
    FAILS(HPT_E_ARG, "sigma must be positive", hpt_space_add_normal(s, "b", 0, 0, 0, 0));
    FAILS(HPT_E_ARG, "sigma must be positive", hpt_space_add_normal(s, "b", 0, -1, 0, 0));
    FAILS(HPT_E_ARG, "smaller sigma", hpt_space_add_normal(s, "b", 0, 1e308, 0, 0));
    FAILS(HPT_E_ARG, "smaller sigma", hpt_space_add_normal(s, "b", 0, 200, 0, HPT_LOG));
    FAILS(HPT_E_ARG, "smaller sigma", hpt_space_add_normal(s, "b", -740, 1, 0, HPT_LOG));
    FAILS(HPT_E_ARG, "shapes", hpt_space_add_beta(s, "b", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "shapes", hpt_space_add_beta(s, "b", 1, -1, 0, 0));
    FAILS(HPT_E_ARG, "1e6", hpt_space_add_beta(s, "b", 1, 1e7, 0, 0));
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        FAILS(HPT_E_ARG, "finite", hpt_space_add_rounded(s, "b", bad[i], 1, 1, 0));
        FAILS(HPT_E_ARG, "finite", hpt_space_add_rounded(s, "b", 0, bad[i], 1, 0));
        FAILS(HPT_E_ARG, "q must be positive", hpt_space_add_rounded(s, "b", 0, 1, bad[i], 0));
        FAILS(HPT_E_ARG, "mu must be finite", hpt_space_add_normal(s, "b", bad[i], 1, 0, 0));
        FAILS(HPT_E_ARG, "sigma", hpt_space_add_normal(s, "b", 0, bad[i], 0, 0));
        FAILS(HPT_E_ARG, "q must be positive", hpt_space_add_normal(s, "b", 0, 1, bad[i], 0));
        FAILS(HPT_E_ARG, "shapes", hpt_space_add_beta(s, "b", bad[i], 1, 0, 0));
        FAILS(HPT_E_ARG, "q must be positive", hpt_space_add_beta(s, "b", 1, 1, bad[i], 0));
    }
    cr_expect_str_eq(json_of(s), before);
    hpt_space_destroy(s);
}

static const char whole[] =
    "{\"parameters\": [{\"name\": \"width\", \"type\": \"int\", \"law\": \"uniform\", \"low\": 16.0, \"high\": 256.5, "
    "\"q\": 16, \"log\": true}, {\"name\": \"noise\", \"type\": \"float\", \"law\": \"uniform\", \"low\": 0.05, "
    "\"high\": 0.95, \"q\": 0.1}, {\"name\": \"decay\", \"type\": \"float\", \"law\": \"normal\", \"mu\": -7.0, "
    "\"sigma\": 2.0, \"log\": true}, {\"name\": \"shift\", \"type\": \"int\", \"law\": \"normal\", \"mu\": 0.5, "
    "\"sigma\": 3.0, \"q\": 2}, {\"name\": \"mix\", \"type\": \"float\", \"law\": \"beta\", \"a\": 0.5, \"b\": 2.0, "
    "\"q\": 0.01, \"when\": [{\"parent\": \"init\", \"values\": [\"he\"]}, {\"parent\": \"noise\", \"values\": "
    "[0.2, 0.30000000000000004]}]}, {\"name\": \"init\", \"type\": \"categorical\", \"choices\": [\"he\", \"zero\", null], "
    "\"probabilities\": [0.9, 0.1, 0.0]}]}";

Test(space_law, the_text_of_laws_reads_back_as_the_same_text_and_law)
{
    hpt_space *s, *t;
    OK(hpt_space_from_json(&s, whole));
    cr_expect_str_eq(json_of(s), whole);
    OK(hpt__space_dup(&t, s));
    cr_expect_str_eq(json_of(t), whole);
    for (int64_t i = 0; i < s->d; i++) {
        const hpt__param *a = &s->params[i], *b = &t->params[i];
        cr_expect_str_eq(a->dist_json, b->dist_json);
        for (int k = 0; k <= 100; k++)
            cr_expect_eq(hpt__codec_decode1(a, k / 100.0), hpt__codec_decode1(b, k / 100.0), "%s", a->name);
    }
    hpt__str text = HPT__STR_INIT;
    cr_expect_not(hpt__space_difference(&text, s, t));
    hpt__str_fini(&text);
    hpt_space_destroy(t);
    hpt_space_destroy(s);
}

Test(space_law, malformed_texts_of_laws_are_refused_with_the_place_named)
{
    const struct {
        const char *parameter, *why;
    } cases[] = {
        {"\"type\":\"float\",\"law\":\"gamma\"", "parameter 'x': unknown law 'gamma'; one of uniform, normal, beta"},
        {"\"type\":\"float\",\"law\":1", "parameter 'x': 'law' must be a string"},
        {"\"type\":\"float\",\"law\":\"normal\",\"mean\":0,\"sigma\":1", "unknown key 'mean'"},
        {"\"type\":\"float\",\"law\":\"normal\",\"mu\":0", "'sigma' must be a number"},
        {"\"type\":\"float\",\"law\":\"uniform\",\"low\":0,\"high\":1", "q must be positive"},
        {"\"type\":\"int\",\"law\":\"uniform\",\"low\":0,\"high\":1,\"q\":0.5", "'q' must be an integer"},
        {"\"type\":\"int\",\"law\":\"normal\",\"mu\":0,\"sigma\":1", "whole q"},
        {"\"type\":\"float\",\"law\":\"beta\",\"a\":1,\"b\":1,\"log\":true", "a beta law has no 'log'"},
        {"\"type\":\"float\",\"law\":\"beta\",\"a\":1,\"b\":1,\"log\":0", "'log' must be true or false"},
        {"\"type\":\"float\",\"law\":\"beta\",\"a\":1,\"b\":1,\"step\":0.1", "unknown key 'step'"},
        {"\"type\":\"categorical\",\"law\":\"normal\",\"choices\":[1]", "unknown key 'law'"},
        {"\"type\":\"categorical\",\"choices\":[1,2],\"probabilities\":0.5", "'probabilities' must be a list"},
        {"\"type\":\"categorical\",\"choices\":[1,2],\"probabilities\":[1,null]", "probability 1 is no number"},
        {"\"type\":\"categorical\",\"choices\":[1,2],\"probabilities\":[1]", "1 probabilities for 2 choices"},
        {"\"type\":\"constant\",\"value\":1,\"probabilities\":[1]", "unknown key 'probabilities'"},
    };
    hpt_space *s = NULL;
    for (int64_t i = 0; i < COUNT(cases); i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"parameters\":[{\"name\":\"x\",%s}]}", cases[i].parameter);
        FAILS(HPT_E_ARG, cases[i].why, hpt_space_from_json(&s, text));
        cr_expect_null(s);
    }
}

Test(space_law, laws_are_described_in_words)
{
    static const char *const words[] = {
        "int log-uniform 16..256.5 rounded to 16", "uniform 0.05..0.95 rounded to 0.1", "log-normal mu -7 sigma 2",
        "int normal mu 0.5 sigma 3 rounded to 2",  "beta a 0.5 b 2 rounded to 0.01",    "{he 0.9, zero 0.1, null 0}"};
    hpt_space *s;
    OK(hpt_space_from_json(&s, whole));
    for (int64_t i = 0; i < s->d; i++) {
        char *text;
        OK(hpt_space_describe(&text, s, hpt_space_name(s, i)));
        cr_expect_str_eq(text, words[i]);
        hpt_free(text);
    }
    hpt_space_destroy(s);
}

Test(space_law, a_difference_in_law_is_a_difference_of_spaces_but_not_to_optuna)
{
    const struct {
        golden_law a, b;
        const char *words;
    } cases[] = {
        {{2, 0, 0, 1, 0, 0, ""},
         {2, 0, 0, 2, 0, 0, ""},
         "parameter 'x': normal mu 0 sigma 1 is now normal mu 0 sigma 2"},
        {{3, 0, 2, 2, 0, 0, ""}, {3, 0, 2, 3, 0, 0, ""}, "parameter 'x': beta a 2 b 2 is now beta a 2 b 3"},
        {{1, 0, 0, 1, 0.5, 0, ""},
         {3, 0, 1, 1, 0.5, 0, ""},
         "parameter 'x': uniform 0..1 rounded to 0.5 is now beta a 1 b 1 rounded to 0.5"},
        {{1, 0, 0, 1, 0.5, 0, ""},
         {1, 0, 0, 1.1, 0.5, 0, ""},
         "parameter 'x': uniform 0..1 rounded to 0.5 is now uniform 0..1.1 rounded to 0.5"},
        {{1, 0, 1, 2, 0.5, 0, ""},
         {1, 0, 1, 2, 0.5, 1, ""},
         "parameter 'x': uniform 1..2 rounded to 0.5 is now log-uniform 1..2 rounded to 0.5"},
        {{1, 0, 1, 2, 1, 0, ""},
         {1, 1, 1, 2, 1, 0, ""},
         "parameter 'x': uniform 1..2 rounded to 1 is now int uniform 1..2 rounded to 1"},
    };
    hpt__str text = HPT__STR_INIT;
    for (int64_t i = 0; i < COUNT(cases); i++) {
        hpt_space *s = new_space(), *t = new_space();
        OK(add_law(s, "x", &cases[i].a));
        OK(add_law(t, "x", &cases[i].b));
        hpt__str_clear(&text);
        cr_expect(hpt__space_difference(&text, s, t));
        cr_expect_str_eq(hpt__str_text(&text), cases[i].words);
        hpt_space_destroy(t);
        OK(hpt__space_dup(&t, s));
        cr_expect_not(hpt__space_difference(&text, s, t));
        hpt_space_destroy(s);
        hpt_space_destroy(t);
    }
    hpt_space *flat = new_space(), *law = new_space();
    OK(hpt_space_add_float(flat, "x", 0, 1, 0, 0));
    OK(hpt_space_add_beta(law, "x", 1, 2, 0, 0));
    hpt__str_clear(&text);
    cr_expect(hpt__space_difference(&text, flat, law));
    cr_expect_str_eq(hpt__str_text(&text), "parameter 'x': float 0.0..1.0 is now beta a 1 b 2");
    cr_expect(hpt__param_same_distribution(flat->params, law->params));
    hpt_space_destroy(flat);
    hpt_space_destroy(law);
    hpt__str_fini(&text);
}

Test(space_law, finite_laws_are_counted_and_enumerated_and_normal_ones_are_not)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "b", 0.3, 0.7, 0.1, 0));
    OK(hpt_space_add_beta(s, "a", 2, 2, 0.5, 0));
    cr_expect_eq(hpt_space_cardinality(s), 15);
    hpt__grid *g;
    OK(hpt__grid_create(&g, s));
    for (int64_t i = 0; i < 15; i++) {
        double point[2];
        hpt__grid_point(point, g, i);
        cr_expect_eq(point[1], 0.5 * (double)(i / 5));
        cr_expect_eq(point[0], hpt__param_value_at(s->params, i % 5));
        cr_expect(hpt__space_check(s, point, NULL));
    }
    hpt__grid_destroy(g);
    OK(hpt_space_add_normal(s, "n", 0, 1, 1, HPT_WHOLE));
    cr_expect_eq(hpt__param_cardinality(param(s, "n")), 15);
    cr_expect_eq(hpt__param_enumerable(param(s, "n")), -1);
    cr_expect_eq(hpt_space_cardinality(s), -1);
    FAILS(HPT_E_ARG, "'n' has a normal law", hpt__grid_create(&g, s));
    hpt_space_destroy(s);
    s = new_space();
    OK(hpt_space_add_beta(s, "c", 2, 2, 0, 0));
    FAILS(HPT_E_ARG, "'c' has no finite number", hpt__grid_create(&g, s));
    hpt_space_destroy(s);
}

Test(space_law, rounded_parameters_and_weighted_choices_can_be_parents)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "r", 0.3, 0.7, 0.1, 0));
    OK(hpt_space_add_normal(s, "n", 0, 1, 0, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("x", "y")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0.75, 0.25}, 2));
    OK(hpt_space_add_float(s, "child", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "child", "r", LIST("0.4", "0.7")));
    OK(hpt_space_add_condition(s, "child", "c", LIST("y")));
    FAILS(HPT_E_ARG, "continuous", hpt_space_add_condition(s, "child", "n", LIST("0")));
    FAILS(HPT_E_ARG, "is not a value of 'r'", hpt_space_add_condition(s, "child", "r", LIST("0.8")));
    int present = 0;
    for (int i = 0; i < 1000; i++) { // r at u in [0.125, 0.375) is 0.4, from 0.875 on 0.7; c is y from 0.75 on
        double point[4];
        hpt__codec_decode(point, s, (const double[]){(i / 4 + 0.5) / 250, 0.5, (i % 4 + 0.5) / 4, 0.5});
        cr_assert(hpt__space_check(s, point, NULL));
        if (!isnan(point[3])) present++;
    }
    cr_expect(present >= 93 && present <= 95, "%d", present); // (0.25 + 0.125) / 4 of 1000
    hpt_space_destroy(s);
}

// ---- probabilities

Test(space_law, choices_take_the_share_of_the_unit_interval_that_is_their_probability)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c", "d", "e")));
    const double p[] = {0, 0.25, 0, 0.75, 0};
    OK(hpt_space_set_probabilities(s, "c", p, 5));
    const hpt__param *c = s->params;
    cr_expect_eq(c->cumulative[4], 1.0);
    for (int i = 0; i <= 4096; i++) {
        const double v = hpt__codec_decode1(c, i / 4096.0);
        cr_assert_eq(v, i < 1024 ? 1 : 3, "u %g: %g", i / 4096.0, v);
    }
    cr_expect_eq(hpt__codec_decode1(c, NAN), 3.0);
    const double wanted[] = {0, 0.125, 0.25, 0.625, 1}; // those of probability 0: the border where they stand
    for (int k = 0; k < 5; k++) {
        cr_expect_eq(hpt__codec_encode1(c, k), wanted[k]);
        if (p[k] > 0) cr_expect_eq(hpt__codec_decode1(c, hpt__codec_encode1(c, k)), k);
        cr_expect(hpt__param_contains(c, k)); // legal all the same
    }
    cr_expect_str_eq(c->dist_json, "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": "
                                   "[\"a\", \"b\", \"c\", \"d\", \"e\"]}}");
    hpt_space_destroy(s);
}

Test(space_law, probabilities_are_normalised)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0.333333, 0.333333, 0.333333}, 3));
    cr_expect_float_eq(s->params[0].cumulative[0], 1 / 3.0, 1e-15);
    cr_expect_float_eq(s->params[0].cumulative[1], 2 / 3.0, 1e-15);
    cr_expect_eq(s->params[0].cumulative[2], 1.0);
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0, 1, 0}, 3)); // again: the new ones
    for (int i = 0; i <= 100; i++) cr_expect_eq(hpt__codec_decode1(s->params, i / 100.0), 1.0);
    hpt_space_destroy(s);
}

Test(space_law, bad_probabilities_are_named_and_change_nothing)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "optimizer", LIST("sgd", "adam")));
    OK(hpt_space_add_constant(s, "k", "1"));
    OK(hpt_space_add_int(s, "i", 0, 1, 1, 0));
    char before[512];
    snprintf(before, sizeof before, "%s", json_of(s));
    const double half[] = {0.5, 0.5, 0};
    FAILS(HPT_E_ARG, "3 probabilities for 2 choices", hpt_space_set_probabilities(s, "optimizer", half, 3));
    FAILS(HPT_E_ARG, "1 probabilities for 2", hpt_space_set_probabilities(s, "optimizer", half, 1));
    FAILS(HPT_E_ARG, "choice 1 (adam) must be 0 or more, got -0.5",
          hpt_space_set_probabilities(s, "optimizer", (const double[]){1.5, -0.5}, 2));
    FAILS(HPT_E_ARG, "got nan", hpt_space_set_probabilities(s, "optimizer", (const double[]){NAN, 1}, 2));
    FAILS(HPT_E_ARG, "got inf", hpt_space_set_probabilities(s, "optimizer", (const double[]){0, INFINITY}, 2));
    FAILS(HPT_E_ARG, "sum to 1.00001", hpt_space_set_probabilities(s, "optimizer", (const double[]){0.5, 0.50001}, 2));
    FAILS(HPT_E_ARG, "sum to 0.0", hpt_space_set_probabilities(s, "optimizer", (const double[]){0, 0}, 2));
    FAILS(HPT_E_ARG, "NULL", hpt_space_set_probabilities(s, "optimizer", NULL, 2));
    FAILS(HPT_E_ARG, "NULL", hpt_space_set_probabilities(NULL, "optimizer", half, 2));
    FAILS(HPT_E_ARG, "NULL", hpt_space_set_probabilities(s, NULL, half, 2));
    FAILS(HPT_E_ARG, "'k' has no choices", hpt_space_set_probabilities(s, "k", (const double[]){1}, 1));
    FAILS(HPT_E_ARG, "'i' has no choices", hpt_space_set_probabilities(s, "i", half, 2));
    FAILS(HPT_E_NOT_FOUND, "did you mean 'optimizer'", hpt_space_set_probabilities(s, "optimiser", half, 2));
    cr_expect_str_eq(json_of(s), before);
    cr_expect_null(s->params[0].cumulative);
    hpt_space_destroy(s);
}

Test(space_law, another_probability_is_a_difference_of_spaces)
{
    hpt_space *s = new_space(), *t;
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b")));
    OK(hpt__space_dup(&t, s));
    OK(hpt_space_set_probabilities(t, "c", (const double[]){0.5, 0.5}, 2));
    hpt__str text = HPT__STR_INIT;
    cr_expect(hpt__space_difference(&text, s, t));
    cr_expect_str_eq(hpt__str_text(&text), "parameter 'c': {a, b} is now {a 0.5, b 0.5}");
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0.75, 0.25}, 2));
    hpt__str_clear(&text);
    cr_expect(hpt__space_difference(&text, s, t));
    cr_expect_str_eq(hpt__str_text(&text), "parameter 'c': {a 0.75, b 0.25} is now {a 0.5, b 0.5}");
    OK(hpt_space_set_probabilities(t, "c", (const double[]){0.75, 0.25}, 2));
    cr_expect_not(hpt__space_difference(&text, s, t));
    hpt__str_fini(&text);
    hpt_space_destroy(s);
    hpt_space_destroy(t);
}

Test(space_law, grids_leave_out_choices_of_probability_0_and_what_hangs_on_them)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "c", LIST("v", "w", "x", "y", "z")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){0, 0.5, 0, 0.5, 0}, 5));
    OK(hpt_space_add_int(s, "i", 0, 2, 1, 0));
    OK(hpt_space_add_int(s, "j", 0, 9, 1, 0));
    OK(hpt_space_add_condition(s, "i", "c", LIST("x", "y", "z")));
    cr_assert_eq(hpt_space_cardinality(s), 40); // j with: w; y and i = 0, 1, 2
    OK(hpt_space_add_condition(s, "j", "c", LIST("v", "x")));
    cr_assert_eq(hpt_space_cardinality(s), 4); // w; y with i = 0, 1, 2
    hpt__grid *g;
    OK(hpt__grid_create(&g, s));
    for (int64_t k = 0; k < 4; k++) {
        double point[3];
        hpt__grid_point(point, g, k);
        cr_expect_eq(point[0], k == 0 ? 1 : 3);
        cr_expect(k == 0 ? isnan(point[1]) : point[1] == (double)(k - 1));
        cr_expect(isnan(point[2]));
    }
    hpt__grid_destroy(g);
    hpt_space_destroy(s);
}
