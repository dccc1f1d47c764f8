// SPDX-License-Identifier: Apache-2.0
// test_base_json.c: JSON in Python's dialect. Expected texts were printed by CPython 3.11: json.dumps(v),
// json.dumps(v, separators=(",", ":")), str(v), repr(v) of v = json.loads(text).
#include "core/base/alloc.h"
#include "core/base/json.h"
#include "core/base/rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hpt__json *must_parse(hpt__arena *arena, const char *text) {
    hpt__json *v = NULL;
    int rc = hpt__json_parse(&v, arena, text, strlen(text));
    cr_assert_eq(rc, 0, "%s: %s", text, hpt_last_error());
    return v;
}

static void check_text(void (*write)(hpt__str *, const hpt__json *), const hpt__json *v, const char *want) {
    hpt__str s = HPT__STR_INIT;
    write(&s, v);
    cr_expect_str_eq(hpt__str_text(&s), want);
    hpt__str_fini(&s);
}

Test(base_json, texts_equal_pythons)
{
    static const struct {
        const char *text, *dumps, *compact, *str, *repr;
    } cases[] = {
        {"null", "null", "null", "None", "None"},
        {"true", "true", "true", "True", "True"},
        {"false", "false", "false", "False", "False"},
        {"0", "0", "0", "0", "0"},
        {"-0", "0", "0", "0", "0"},
        {"-0.0", "-0.0", "-0.0", "-0.0", "-0.0"},
        {"1", "1", "1", "1", "1"},
        {"1.0", "1.0", "1.0", "1.0", "1.0"},
        {"-12", "-12", "-12", "-12", "-12"},
        {"1e5", "100000.0", "100000.0", "100000.0", "100000.0"},
        {"1E+2", "100.0", "100.0", "100.0", "100.0"},
        {"1e16", "1e+16", "1e+16", "1e+16", "1e+16"},
        {"1e-5", "1e-05", "1e-05", "1e-05", "1e-05"},
        {"0.1", "0.1", "0.1", "0.1", "0.1"},
        {"123456789012345678", "123456789012345678", "123456789012345678", "123456789012345678", "123456789012345678"},
        {"9223372036854775807", "9223372036854775807", "9223372036854775807", "9223372036854775807",
         "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808",
         "-9223372036854775808"},
        {"1e22", "1e+22", "1e+22", "1e+22", "1e+22"},
        {"1.5e300", "1.5e+300", "1.5e+300", "1.5e+300", "1.5e+300"},
        {"NaN", "NaN", "NaN", "nan", "nan"},
        {"Infinity", "Infinity", "Infinity", "inf", "inf"},
        {"-Infinity", "-Infinity", "-Infinity", "-inf", "-inf"},
        {"[NaN,Infinity , -Infinity]", "[NaN, Infinity, -Infinity]", "[NaN,Infinity,-Infinity]", "[nan, inf, -inf]",
         "[nan, inf, -inf]"},
        {"\"\"", "\"\"", "\"\"", "", "''"},
        {"\"abc\"", "\"abc\"", "\"abc\"", "abc", "'abc'"},
        {"\"it's\"", "\"it's\"", "\"it's\"", "it's", "\"it's\""},
        {"\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\"", "say \"hi\"", "'say \"hi\"'"},
        {"\"it's \\\"both\\\"\"", "\"it's \\\"both\\\"\"", "\"it's \\\"both\\\"\"", "it's \"both\"",
         "'it\\'s \"both\"'"},
        {"\"a\\\\b\"", "\"a\\\\b\"", "\"a\\\\b\"", "a\\b", "'a\\\\b'"},
        {"\"\\n\\t\\r\\b\\f\\u0007\\u007f\"", "\"\\n\\t\\r\\b\\f\\u0007\\u007f\"", "\"\\n\\t\\r\\b\\f\\u0007\\u007f\"",
         "\n\t\015\010\014\007\177", "'\\n\\t\\r\\x08\\x0c\\x07\\x7f'"},
        {"\"\\/\"", "\"/\"", "\"/\"", "/", "'/'"},
        {"\"\\u00e9\\u20ac\"", "\"\\u00e9\\u20ac\"", "\"\\u00e9\\u20ac\"", "\303\251\342\202\254",
         "'\303\251\342\202\254'"},
        {"\"\303\251\342\202\254\"", "\"\\u00e9\\u20ac\"", "\"\\u00e9\\u20ac\"", "\303\251\342\202\254",
         "'\303\251\342\202\254'"},
        {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\"", "\360\237\230\200", "'\360\237\230\200'"},
        {"\"\360\237\230\200\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\"", "\360\237\230\200", "'\360\237\230\200'"},
        {"\"\\u0000x\"", "\"\\u0000x\"", "\"\\u0000x\"", "\000x", "'\\x00x'"},
        {"\"\\u00a0\\u00ad\\u200b\\u2028\\ufeff\"", "\"\\u00a0\\u00ad\\u200b\\u2028\\ufeff\"",
         "\"\\u00a0\\u00ad\\u200b\\u2028\\ufeff\"", "\302\240\302\255\342\200\213\342\200\250\357\273\277",
         "'\\xa0\\xad\\u200b\\u2028\\ufeff'"},
        {"\"\\ue000\\ufffe\\udbff\\udfff\"", "\"\\ue000\\ufffe\\udbff\\udfff\"", "\"\\ue000\\ufffe\\udbff\\udfff\"",
         "\356\200\200\357\277\276\364\217\277\277", "'\\ue000\\ufffe\\U0010ffff'"},
        {"\"\346\227\245\346\234\254 \\u3000\"", "\"\\u65e5\\u672c \\u3000\"", "\"\\u65e5\\u672c \\u3000\"",
         "\346\227\245\346\234\254 \343\200\200", "'\346\227\245\346\234\254 \\u3000'"},
        {"[]", "[]", "[]", "[]", "[]"},
        {"{}", "{}", "{}", "{}", "{}"},
        {"[ ]", "[]", "[]", "[]", "[]"},
        {"{ }", "{}", "{}", "{}", "{}"},
        {"[1,2,3]", "[1, 2, 3]", "[1,2,3]", "[1, 2, 3]", "[1, 2, 3]"},
        {"[1.0,[2,[true,null]],\"x\"]", "[1.0, [2, [true, null]], \"x\"]", "[1.0,[2,[true,null]],\"x\"]",
         "[1.0, [2, [True, None]], 'x']", "[1.0, [2, [True, None]], 'x']"},
        {"{\"lr\":0.001,\"n\":3}", "{\"lr\": 0.001, \"n\": 3}", "{\"lr\":0.001,\"n\":3}", "{'lr': 0.001, 'n': 3}",
         "{'lr': 0.001, 'n': 3}"},
        {"{\"a\":{\"b\":[1,\"it's\",{\"c\":null}]},\"k\\u00e9y\":false}",
         "{\"a\": {\"b\": [1, \"it's\", {\"c\": null}]}, \"k\\u00e9y\": false}",
         "{\"a\":{\"b\":[1,\"it's\",{\"c\":null}]},\"k\\u00e9y\":false}",
         "{'a': {'b': [1, \"it's\", {'c': None}]}, 'k\303\251y': False}",
         "{'a': {'b': [1, \"it's\", {'c': None}]}, 'k\303\251y': False}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\": 3, \"b\": 2}", "{\"a\":3,\"b\":2}", "{'a': 3, 'b': 2}",
         "{'a': 3, 'b': 2}"},
        {"{\"\":\"\"}", "{\"\": \"\"}", "{\"\":\"\"}", "{'': ''}", "{'': ''}"},
        {" \n\t\015[ 1 , 2 ] \n", "[1, 2]", "[1,2]", "[1, 2]", "[1, 2]"},
        {"{\"x'y\":\"\\\\\"}", "{\"x'y\": \"\\\\\"}", "{\"x'y\":\"\\\\\"}", "{\"x'y\": '\\\\'}", "{\"x'y\": '\\\\'}"},
        {"[[[[[[]]]]]]", "[[[[[[]]]]]]", "[[[[[[]]]]]]", "[[[[[[]]]]]]", "[[[[[[]]]]]]"},
        {"[1e5,100000,1e-5,1E400]", "[100000.0, 100000, 1e-05, Infinity]", "[100000.0,100000,1e-05,Infinity]",
         "[100000.0, 100000, 1e-05, inf]", "[100000.0, 100000, 1e-05, inf]"},
    };
    hpt__arena arena;
    hpt__arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hpt__json *v = must_parse(&arena, cases[i].text);
        check_text(hpt__json_dumps, v, cases[i].dumps);
        check_text(hpt__json_compact, v, cases[i].compact);
        if (!strstr(cases[i].text, "u0000")) check_text(hpt__json_pystr, v, cases[i].str); // a NUL ends str_eq
        check_text(hpt__json_pyrepr, v, cases[i].repr);
        cr_expect(hpt__json_equal(v, must_parse(&arena, cases[i].dumps)));
        hpt__json *copy = hpt__json_dup(&arena, v);
        cr_expect(hpt__json_equal(v, copy));
        check_text(hpt__json_dumps, copy, cases[i].dumps);
    }
    hpt__arena_fini(&arena);
}

Test(base_json, numbers_keep_their_kind)
{
    hpt__arena arena;
    hpt__arena_init(&arena);
    static const struct {
        const char *text;
        hpt__json_kind kind;
    } cases[] = {{"1", HPT__JSON_INT},
                 {"1.0", HPT__JSON_FLOAT},
                 {"1e3", HPT__JSON_FLOAT},
                 {"-9223372036854775808", HPT__JSON_INT},
                 {"9223372036854775808", HPT__JSON_FLOAT},
                 {"NaN", HPT__JSON_FLOAT},
                 {"true", HPT__JSON_BOOL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(must_parse(&arena, cases[i].text)->kind, cases[i].kind, "%s", cases[i].text);
    double d = 0;
    int64_t n = 0;
    cr_expect(hpt__json_number(&d, must_parse(&arena, "3")) && d == 3);
    cr_expect(hpt__json_integer(&n, must_parse(&arena, "1e3")) && n == 1000);
    cr_expect_not(hpt__json_integer(&n, must_parse(&arena, "1.5")));
    cr_expect_not(hpt__json_integer(&n, must_parse(&arena, "9223372036854775808")));
    cr_expect_not(hpt__json_integer(&n, must_parse(&arena, "NaN")));
    cr_expect_not(hpt__json_integer(&n, must_parse(&arena, "true")));
    cr_expect_not(hpt__json_number(&d, must_parse(&arena, "\"3\"")));
    cr_expect_not(hpt__json_number(&d, NULL) || hpt__json_integer(&n, NULL));
    cr_expect_null(hpt__json_string(NULL));
    cr_expect_null(hpt__json_get(NULL, "a"));
    cr_expect_null(hpt__json_get(must_parse(&arena, "[1]"), "a"));
    cr_expect_null(hpt__json_string(must_parse(&arena, "[1]")));
    cr_expect_str_eq(hpt__json_string(must_parse(&arena, "\"x\"")), "x");
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "list", "mapping"};
    for (int k = 0; k < 7; k++) cr_expect_str_eq(hpt__json_kind_name((hpt__json_kind)k), names[k]);
    check_text(hpt__json_dumps, NULL, "null");
    hpt__arena_fini(&arena);
}

Test(base_json, equality_is_pythons)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "true", true},
        {"0.0", "false", true},
        {"-0.0", "0", true},
        {"NaN", "NaN", true},
        {"9007199254740993", "9007199254740992.0", false}, // exact, not after rounding
        {"1", "\"1\"", false},
        {"null", "false", false},
        {"\"a\"", "\"a\\u0000\"", false},
        {"[1,2]", "[1.0,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[]", "{}", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":true}", true},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"1e300", "1", false},
    };
    hpt__arena arena;
    hpt__arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const hpt__json *a = must_parse(&arena, cases[i].a), *b = must_parse(&arena, cases[i].b);
        cr_expect_eq(hpt__json_equal(a, b), cases[i].equal, "%s and %s", cases[i].a, cases[i].b);
        cr_expect_eq(hpt__json_equal(b, a), cases[i].equal, "%s and %s", cases[i].b, cases[i].a);
    }
    cr_expect(hpt__json_equal(NULL, NULL));
    cr_expect_not(hpt__json_equal(NULL, must_parse(&arena, "null")));
    hpt__arena_fini(&arena);
}

Test(base_json, errors_name_line_and_column)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        {"", "line 1, column 1: "},
        {"  ", "line 1, column 3: "},
        {"nul", "line 1, column 1: "},
        {"[1,]", "line 1, column 4: "},
        {"[1 2]", "line 1, column 4: "},
        {"{\"a\" 1}", "line 1, column 6: "},
        {"{\"a\":1,}", "line 1, column 8: "},
        {"{a:1}", "line 1, column 2: "},
        {"[1,\n 2,\n x]", "line 3, column 2: "},
        {"\"abc", "line 1, column 1: "},
        {"\"a\nb\"", "line 1, column 3: "},
        {"[\"\xc3\xa9\xc3\xa9\", x]", "line 1, column 8: "},
        {"01", "line 1, column 1: "},
        {"1.", "line 1, column 3: "},
        {"1e", "line 1, column 3: "},
        {"-", "line 1, column 1: "},
        {"+1", "line 1, column 1: "},
        {".5", "line 1, column 1: "},
        {"1 2", "line 1, column 3: "},
        {"\"\\x\"", "line 1, column 2: "},
        {"\"\\u12\"", "line 1, column 2: "},
        {"\"\\u12g4\"", "line 1, column 2: "},
        {"\"\\", "line 1, column 1: "},
        {"\"\\\"", "line 1, column 1: "},
        {"\"\xff\"", "line 1, column 2: "},
        {"\"\xed\xa0\x80\"", "line 1, column 2: "},
        {"{\"a\\u0000\":1}", "line 1, column 2: "},
        {"[", "line 1, column 2: "},
        {"{", "line 1, column 2: "},
        {"tru", "line 1, column 1: "},
        {"-Inf", "line 1, column 1: "},
        {"'a'", "line 1, column 1: "},
        {"]", "line 1, column 1: "},
        {"\xef\xbb\xbf"
         "1",
         "line 1, column 1: "},
    };
    hpt__arena arena;
    hpt__arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hpt__json *v = NULL;
        // Exactly sized copies: the address sanitizer sees one byte too far.
        size_t n = strlen(cases[i].text);
        char *text = malloc(n ? n : 1);
        memcpy(text, cases[i].text, n);
        cr_expect_eq(hpt__json_parse(&v, &arena, text, n), HPT_E_PARSE, "%s", cases[i].text);
        cr_expect_null(v);
        cr_expect_eq(strncmp(hpt_last_error(), cases[i].where, strlen(cases[i].where)), 0, "%s: %s", cases[i].text,
                     hpt_last_error());
        free(text);
    }
    hpt__json *v;
    cr_expect_eq(hpt__json_parse(&v, &arena, NULL, 0), HPT_E_PARSE);
    cr_expect_eq(must_parse(&arena, "\n\n[\n1]")->line, 3);
    cr_expect_eq(must_parse(&arena, "[\n1]")->a.items[0]->line, 2);
    check_text(hpt__json_compact, must_parse(&arena, "\"\\ud800\""), "\"\\ufffd\"");
    check_text(hpt__json_compact, must_parse(&arena, "\"\\udc00\\ud800x\\ud800\\u0041\""),
               "\"\\ufffd\\ufffdx\\ufffdA\"");
    hpt__arena_fini(&arena);
}

Test(base_json, depth_is_limited_to_256)
{
    hpt__arena arena;
    hpt__arena_init(&arena);
    char text[1025];
    hpt__json *v;
    for (int depth = 255; depth <= 258; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            hpt__str s = HPT__STR_INIT;
            for (int i = 0; i < depth; i++) hpt__str_add(&s, kind ? "{\"a\":" : "[");
            if (kind) hpt__str_add(&s, "1");
            for (int i = 0; i < depth; i++) hpt__str_add(&s, kind ? "}" : "]");
            cr_expect_eq(hpt__json_parse(&v, &arena, s.data, s.len), depth <= 256 ? 0 : HPT_E_PARSE, "depth %d", depth);
            hpt__str_fini(&s);
        }
    }
    memset(text, '[', sizeof text);
    cr_expect_eq(hpt__json_parse(&v, &arena, text, sizeof text), HPT_E_PARSE);
    hpt__arena_fini(&arena);
}

Test(base_json, large_objects_keep_order_and_last_duplicate)
{
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__str s = HPT__STR_INIT;
    hpt__str_add(&s, "{");
    for (int i = 0; i < 20000; i++) hpt__str_addf(&s, "%s\"k%d\":%d", i ? "," : "", i % 10000, i);
    hpt__str_add(&s, "}");
    hpt__json *v = must_parse(&arena, hpt__str_text(&s));
    cr_assert_eq(v->o.n, 10000);
    for (int i = 0; i < 10000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_str_eq(v->o.keys[i], key);
        cr_assert_eq(v->o.values[i]->i, i + 10000);
    }
    cr_expect(hpt__json_equal(v, hpt__json_dup(&arena, v)));
    hpt__str_fini(&s);
    hpt__arena_fini(&arena);
}

Test(base_json, values_made_in_code_print)
{
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *o = hpt__json_new(&arena, HPT__JSON_OBJECT), *a = hpt__json_new(&arena, HPT__JSON_ARRAY);
    for (int i = 0; i < 10; i++) cr_assert_eq(hpt__json_append(&arena, a, hpt__json_new_int(&arena, i)), 0);
    char key[] = "a";
    cr_assert_eq(hpt__json_set(&arena, o, key, a), 0);
    key[0] = 'b'; // the key was copied
    cr_assert_eq(hpt__json_set(&arena, o, key, hpt__json_new_bool(&arena, true)), 0);
    cr_assert_eq(hpt__json_set(&arena, o, "c", hpt__json_new_float(&arena, 2)), 0);
    cr_assert_eq(hpt__json_set(&arena, o, "b", hpt__json_new_string(&arena, "xyz", 2)), 0);
    cr_assert_eq(hpt__json_set(&arena, o, "d", hpt__json_new(&arena, HPT__JSON_STRING)), 0);
    cr_assert_eq(hpt__json_set(&arena, o, "e", hpt__json_new(&arena, HPT__JSON_NULL)), 0);
    check_text(hpt__json_dumps, o,
               "{\"a\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], \"b\": \"xy\", \"c\": 2.0, \"d\": \"\", \"e\": null}");
    cr_expect_eq(hpt__json_append(&arena, a, NULL), HPT_E_MEMORY); // a maker that failed
    hpt__json *bad = hpt__json_new_string(&arena, "\xff'\x80", 3);
    check_text(hpt__json_dumps, bad, "\"\\ufffd'\\ufffd\"");
    check_text(hpt__json_pyrepr, bad, "\"\\udcff'\\udc80\"");
    hpt__arena_fini(&arena);
}

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int *left = payload;
    return (*left)-- == 0;
}

Test(base_json, any_allocation_may_fail)
{
    hpt__str s = HPT__STR_INIT;
    hpt__str_add(&s, "{");
    for (int i = 0; i < 300; i++)
        hpt__str_addf(&s, "%s\"key %d\":[%d,\"%d\",{\"x\":1e%d}]", i ? "," : "", i, i, i, i % 300);
    hpt__str_add(&s, "}");
    int rc = -1, k = 0;
    for (; k < 5000 && rc != 0; k++) {
        hpt__arena arena;
        hpt__arena_init(&arena);
        hpt__json *v;
        int left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = hpt__json_parse(&v, &arena, s.data, s.len);
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert(rc == 0 || rc == HPT_E_MEMORY);
        hpt__arena_fini(&arena);
    }
    cr_expect(rc == 0 && k > 10, "%d", k);
    hpt__str_fini(&s);
}

Test(base_json, any_bytes_are_survived)
{
    // Mutations of a valid text; what parses must print and parse back to an equal value.
    static const char seed_text[] =
        "{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\\n\", true, null, NaN, -Infinity], \"b\": {\"c\": \"\xc3\xa9\"}}";
    static const char tokens[] = "{}[]\",:\\u0-+.eEtfnNI \n\x80\xff'";
    hpt__rng rng;
    hpt__rng_init(&rng, 99, 0);
    int good = 0;
    for (int round = 0; round < 40000; round++) {
        size_t n = sizeof seed_text - 1;
        char *text = malloc(n);
        memcpy(text, seed_text, n);
        for (int64_t m = hpt__rng_below(&rng, 4); m >= 0; m--) {
            size_t at = (size_t)hpt__rng_below(&rng, (int64_t)n);
            text[at] = hpt__rng_below(&rng, 2) ? tokens[hpt__rng_below(&rng, sizeof tokens - 1)]
                                               : (char)hpt__rng_below(&rng, 256);
        }
        size_t cut = hpt__rng_below(&rng, 4) ? n : (size_t)hpt__rng_below(&rng, (int64_t)n);
        text = realloc(text, cut ? cut : 1);
        hpt__arena arena;
        hpt__arena_init(&arena);
        hpt__json *v, *back;
        int rc = hpt__json_parse(&v, &arena, text, cut);
        cr_assert(rc == 0 || rc == HPT_E_PARSE);
        if (rc == 0) {
            good++;
            hpt__str s = HPT__STR_INIT;
            hpt__json_dumps(&s, v);
            cr_assert_eq(hpt__json_parse(&back, &arena, s.data, s.len), 0);
            cr_assert(hpt__json_equal(v, back));
            hpt__json_pystr(&s, v);
            hpt__str_fini(&s);
        }
        hpt__arena_fini(&arena);
        free(text);
    }
    cr_expect_gt(good, 300, "%d", good);
}
