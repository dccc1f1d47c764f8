// SPDX-License-Identifier: Apache-2.0
// test_space_build.c: adding parameters, looking them up, the values of one, copying and comparing spaces.
#include "space_testing.h"

Test(space_build, parameters_are_found_by_name_and_number)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "lr", 1e-5, 1.0, 0.0, HPT_LOG));
    OK(hpt_space_add_int(s, "layers", 1, 9, 2, 0));
    OK(hpt_space_add_categorical(s, "optimizer", LIST("sgd", "adam")));
    OK(hpt_space_add_constant(s, "epochs", "{\"n\": [10]}"));
    OK(hpt_space_add_float(s, "\xc3\xa9.nested name", 0, 1, 0, 0));
    cr_expect_eq(hpt_space_size(s), 5);
    const char *const names[] = {"lr", "layers", "optimizer", "epochs", "\xc3\xa9.nested name"};
    for (int64_t i = 0; i < 5; i++) {
        cr_expect_str_eq(hpt_space_name(s, i), names[i]);
        cr_expect_eq(hpt__space_find(s, names[i]), i);
    }
    cr_expect_null(hpt_space_name(s, 5));
    cr_expect_null(hpt_space_name(s, -1));
    cr_expect_null(hpt_space_name(NULL, 0));
    cr_expect_eq(hpt_space_size(NULL), 0);
    cr_expect_eq(hpt__space_find(s, "LR"), -1);
    cr_expect_str_eq(param(s, "epochs")->choice_text[0], "{\"n\":[10]}");
    cr_expect(param(s, "epochs")->is_constant && !param(s, "optimizer")->is_constant);
    hpt_space_destroy(s);
    hpt_space_destroy(NULL);
}

Test(space_build, bad_arguments_are_named_and_leave_the_space_unchanged)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "a", 0, 3, 1, 0));
    char before[512];
    snprintf(before, sizeof before, "%s", json_of(s));
    char long_name[600];
    memset(long_name, 'n', sizeof long_name);
    long_name[513] = 0;
    FAILS(HPT_E_EXISTS, "'a'", hpt_space_add_float(s, "a", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "name", hpt_space_add_float(s, "", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "name", hpt_space_add_float(s, NULL, 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "512", hpt_space_add_float(s, long_name, 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "UTF-8", hpt_space_add_float(s, "\xff", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "NULL", hpt_space_add_float(NULL, "b", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "'b': low 2.0 is above high 1.0", hpt_space_add_float(s, "b", 2, 1, 0, 0));
    FAILS(HPT_E_ARG, "log range needs low > 0", hpt_space_add_float(s, "b", 0, 1, 0, HPT_LOG));
    FAILS(HPT_E_ARG, "log range needs low >= 1", hpt_space_add_int(s, "b", 0, 9, 1, HPT_LOG));
    FAILS(HPT_E_ARG, "2^50", hpt_space_add_float(s, "b", 0, 1, 1e-300, 0));
    FAILS(HPT_E_ARG, "step", hpt_space_add_float(s, "b", 0, 1, -0.5, 0));
    FAILS(HPT_E_ARG, "flags", hpt_space_add_float(s, "b", 0, 1, 0, 2));
    FAILS(HPT_E_ARG, "flags", hpt_space_add_int(s, "b", 0, 1, 1, 0x80000000u));
    FAILS(HPT_E_ARG, "step", hpt_space_add_int(s, "b", 0, 1, 0, 0));
    FAILS(HPT_E_ARG, "step", hpt_space_add_int(s, "b", 0, 1, INT64_MAX, 0));
    FAILS(HPT_E_ARG, "2^53", hpt_space_add_int(s, "b", 0, (INT64_C(1) << 53) + 1, 1, 0));
    FAILS(HPT_E_ARG, "2^53", hpt_space_add_int(s, "b", INT64_MIN, 0, 1, 0));
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        FAILS(HPT_E_ARG, "finite", hpt_space_add_float(s, "b", bad[i], 1, 0, 0));
        FAILS(HPT_E_ARG, "finite", hpt_space_add_float(s, "b", 0, bad[i], 0, 0));
        FAILS(HPT_E_ARG, "step", hpt_space_add_float(s, "b", 0, 1, bad[i], 0));
    }
    FAILS(HPT_E_ARG, "at least one", hpt_space_add_categorical(s, "b", NULL, 0));
    FAILS(HPT_E_ARG, "NULL", hpt_space_add_categorical(s, "b", NULL, 2));
    FAILS(HPT_E_ARG, "choice 1 is NULL", hpt_space_add_categorical(s, "b", LIST("x", NULL)));
    FAILS(HPT_E_ARG, "choices 0 and 2 are both \"x\"", hpt_space_add_categorical(s, "b", LIST("x", "y", "x")));
    FAILS(HPT_E_ARG, "UTF-8", hpt_space_add_categorical(s, "b", LIST("x", "\xc3")));
    FAILS(HPT_E_ARG, "choice 1 is not JSON", hpt_space_add_categorical_json(s, "b", LIST("1", "[1,")));
    FAILS(HPT_E_ARG, "NUL", hpt_space_add_categorical_json(s, "b", LIST("\"a\\u0000b\"")));
    FAILS(HPT_E_ARG, "both 1", hpt_space_add_categorical_json(s, "b", LIST("1", " 1 ")));
    FAILS(HPT_E_ARG, "not JSON", hpt_space_add_constant(s, "b", "adam"));
    FAILS(HPT_E_ARG, "NULL", hpt_space_add_constant(s, "b", NULL));
    FAILS(HPT_E_ARG, "NULL", hpt_space_create(NULL));
    cr_expect_str_eq(json_of(s), before);
    cr_expect_eq(hpt_space_size(s), 1);
    hpt_space_destroy(s);
}

Test(space_build, a_step_that_does_not_divide_lowers_high_in_decimal)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "tenths", 0, 0.95, 0.1, 0));
    OK(hpt_space_add_float(s, "third", 0, 0.3, 0.1, 0)); // 0.3/0.1 is below 3 in doubles
    OK(hpt_space_add_int(s, "odd", 1, 8, 2, 0));
    OK(hpt_space_add_int(s, "wide", -5, -4, 100, 0));
    cr_expect_eq(param(s, "tenths")->high, 0.9);
    cr_expect_eq(param(s, "third")->high, 0.3);
    cr_expect_eq(hpt__param_cardinality(param(s, "tenths")), 10);
    cr_expect_eq(hpt__param_cardinality(param(s, "third")), 4);
    cr_expect_eq(hpt__param_value_at(param(s, "third"), 3), 0.3);
    cr_expect_eq(param(s, "odd")->high, 7.0);
    cr_expect(hpt__param_fixed(param(s, "wide")));
    hpt_space_destroy(s);
}

Test(space_build, grid_values_are_low_plus_k_steps_and_index_of_inverts_them)
{
    for (int64_t c = 0; c < COUNT(golden_ranges); c++) {
        const golden_range *g = &golden_ranges[c];
        hpt_space *s = new_space();
        OK(add_range(s, "x", g->kind, g->low, g->high, g->step, g->log));
        const hpt__param *p = param(s, "x");
        const int64_t n = hpt__param_cardinality(p);
        cr_expect_eq(n < 0, g->kind == 0 && g->step == 0 && g->low < g->high, "case %lld", (long long)c);
        const int64_t ks[] = {0, 1, 2, 3, n / 3, n / 2, n - 3, n - 2, n - 1};
        for (int i = 0; n > 0 && i < 9; i++) {
            const int64_t k = ks[i] < 0 ? 0 : ks[i] >= n ? n - 1 : ks[i];
            const double v = hpt__param_value_at(p, k);
            const double direct =
                g->kind ? (double)((int64_t)p->low + k * (int64_t)p->step) : p->low + (double)k * p->step;
            if (k < n - 1)
                cr_expect_eq(v, direct < p->high ? direct : p->high, "case %lld, k %lld", (long long)c, (long long)k);
            else
                cr_expect_eq(v, p->high);
            cr_expect_eq(hpt__param_index_of(p, v), k, "case %lld, k %lld of %lld", (long long)c, (long long)k,
                         (long long)n);
            cr_expect(hpt__param_contains(p, v), "case %lld, k %lld: %.17g", (long long)c, (long long)k, v);
            cr_expect_eq(hpt__param_clip(p, v), v);
        }
        hpt_space_destroy(s);
    }
}

Test(space_build, contains_and_clip_take_any_double)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "real", -1, 2, 0, 0));
    OK(hpt_space_add_float(s, "tenths", 0, 1, 0.1, 0));
    OK(hpt_space_add_int(s, "odd", 1, 9, 2, 0));
    OK(hpt_space_add_int(s, "big", -(INT64_C(1) << 53), INT64_C(1) << 53, 2, 0));
    OK(hpt_space_add_categorical(s, "cat", LIST("a", "b", "c")));
    OK(hpt_space_add_constant(s, "one", "1"));
    const struct {
        const char *name;
        double v;
        bool legal;
        double clipped;
    } cases[] = {
        {"real", -1, true, -1},
        {"real", 2, true, 2},
        {"real", 0.123, true, 0.123},
        {"real", 2.0000001, false, 2},
        {"real", -7, false, -1},
        {"tenths", 0.30000000000000004, true, 0.30000000000000004},
        {"tenths", 0.3, true, 0.30000000000000004},
        {"tenths", 0.351, false, 0.4},
        {"tenths", 0.349, false, 0.30000000000000004},
        {"tenths", 1.0, true, 1.0},
        {"odd", 3, true, 3},
        {"odd", 4, false, 5},
        {"odd", 3.9, false, 3},
        {"odd", 2.5, false, 3},
        {"odd", 11, false, 9},
        {"odd", -1e300, false, 1},
        {"big", 9007199254740990, true, 9007199254740990},
        {"big", 9007199254740991, false, 9007199254740992},
        {"cat", 0, true, 0},
        {"cat", 2, true, 2},
        {"cat", 3, false, 2},
        {"cat", 1.4, false, 1},
        {"cat", -0.6, false, 0},
        {"one", 0, true, 0},
        {"one", 1, false, 0},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        const hpt__param *p = param(s, cases[i].name);
        cr_expect_eq(hpt__param_contains(p, cases[i].v), cases[i].legal, "%s %.17g", cases[i].name, cases[i].v);
        cr_expect_eq(hpt__param_clip(p, cases[i].v), cases[i].clipped, "%s %.17g -> %.17g", cases[i].name, cases[i].v,
                     hpt__param_clip(p, cases[i].v));
    }
    for (int64_t i = 0; i < hpt_space_size(s); i++) {
        const hpt__param *p = &s->params[i];
        cr_expect(!hpt__param_contains(p, NAN) && !hpt__param_contains(p, INFINITY) &&
                  !hpt__param_contains(p, -INFINITY));
        cr_expect_eq(hpt__param_clip(p, INFINITY), p->high);
        cr_expect_eq(hpt__param_clip(p, -INFINITY), p->low);
        cr_expect_eq(hpt__param_clip(p, NAN), p->low);
    }
    hpt_space_destroy(s);
}

Test(space_build, external_values_become_internal_ones_and_wrong_ones_are_named)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "lr", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "tenths", 0, 1, 0.1, 0));
    OK(hpt_space_add_int(s, "n", 1, 8, 1, 0));
    OK(hpt_space_add_categorical(s, "opt", LIST("sgd", "adam")));
    OK(hpt_space_add_categorical_json(s, "mix", LIST("true", "1.0", "1", "\"1\"", "null", "[1,2]", "NaN")));
    const struct {
        const char *name, *json, *external; // external NULL: refused
        double v;
    } cases[] = {
        {"lr", "0.5", "0.5", 0.5},
        {"lr", "1", "1.0", 1},
        {"lr", "1e-5", "1e-05", 1e-5},
        {"lr", "2", NULL, 0},
        {"lr", "\"0.5\"", NULL, 0},
        {"lr", "NaN", NULL, 0},
        {"lr", "true", NULL, 0},
        {"lr", "null", NULL, 0},
        {"tenths", "0.3", "0.30000000000000004", 0.1 * 3},
        {"tenths", "0.35", NULL, 0},
        {"n", "3", "3", 3},
        {"n", "3.0", "3", 3},
        {"n", "3.5", NULL, 0},
        {"n", "9", NULL, 0},
        {"opt", "\"adam\"", "\"adam\"", 1},
        {"opt", "\"adma\"", NULL, 0},
        {"opt", "1", NULL, 0},
        {"mix", "true", "true", 0},
        {"mix", "1.0", "1.0", 1},
        {"mix", "1", "1", 2},
        {"mix", "\"1\"", "\"1\"", 3},
        {"mix", "null", "null", 4},
        {"mix", "[1, 2]", "[1,2]", 5},
        {"mix", "[1.0, 2]", "[1,2]", 5},
        {"mix", "NaN", "NaN", 6},
        {"mix", "false", NULL, 0},
        {"mix", "{}", NULL, 0},
    };
    hpt__arena arena;
    hpt__arena_init(&arena);
    for (int64_t i = 0; i < COUNT(cases); i++) {
        const hpt__param *p = param(s, cases[i].name);
        hpt__json *json;
        double v = -99;
        OK(hpt__json_parse(&json, &arena, cases[i].json, strlen(cases[i].json)));
        if (!cases[i].external) {
            FAILS(HPT_E_ARG, cases[i].name, hpt__param_internal(&v, p, json));
            continue;
        }
        OK(hpt__param_internal(&v, p, json));
        cr_expect_eq(v, cases[i].v, "%s %s -> %.17g", cases[i].name, cases[i].json, v);
        hpt__str text = HPT__STR_INIT;
        hpt__param_external(&text, p, v);
        cr_expect_str_eq(hpt__str_text(&text), cases[i].external);
        hpt__str_fini(&text);
    }
    // Values from a database need not fit today's range: written as they are, never cut.
    const double foreign[] = {100, -3, 1e300, INFINITY};
    const char *const written[] = {"100", "-3", "1e+300", "inf"};
    for (int i = 0; i < 4; i++) {
        hpt__str text = HPT__STR_INIT;
        hpt__param_external(&text, param(s, "n"), foreign[i]);
        cr_expect_str_eq(hpt__str_text(&text), written[i]);
        hpt__str_fini(&text);
    }
    hpt__json *typo = hpt__json_new_string(&arena, "adma", 4);
    double v;
    FAILS(HPT_E_ARG, "did you mean 'adam'", hpt__param_internal(&v, param(s, "opt"), typo));
    FAILS(HPT_E_ARG, "\"adma\" is not in int 1..8", hpt__param_internal(&v, param(s, "n"), typo));
    FAILS(HPT_E_ARG, "no value", hpt__param_internal(&v, param(s, "n"), NULL));
    hpt__arena_fini(&arena);
    hpt_space_destroy(s);
}

Test(space_build, a_parameter_is_described_in_words)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "a", 1e-5, 1, 0, HPT_LOG));
    OK(hpt_space_add_int(s, "b", 1, 8, 2, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("sgd", "adam")));
    OK(hpt_space_add_float(s, "d", 0, 1, 0.5, 0));
    OK(hpt_space_add_int(s, "e", 1, 1024, 1, HPT_LOG));
    OK(hpt_space_add_constant(s, "f", "\"x\""));
    const char *const words[] = {"float 1e-05..1.0 log",    "int 1..7 step 2", "{sgd, adam}",
                                 "float 0.0..1.0 step 0.5", "int 1..1024 log", "constant x"};
    for (int64_t i = 0; i < COUNT(words); i++) {
        hpt__str text = HPT__STR_INIT;
        hpt__param_describe(&text, &s->params[i]);
        cr_expect_str_eq(hpt__str_text(&text), words[i]);
        hpt__str_fini(&text);
    }
    hpt_space_destroy(s);
}

static hpt_space *conditional(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "momentum", 0, 0.9, 0.1, 0));
    OK(hpt_space_add_categorical(s, "optimizer", LIST("sgd", "adam")));
    OK(hpt_space_add_int(s, "layers", 1, 4, 1, HPT_LOG));
    OK(hpt_space_add_constant(s, "seed", "7"));
    OK(hpt_space_add_condition(s, "momentum", "optimizer", LIST("sgd")));
    OK(hpt_space_add_condition(s, "momentum", "layers", LIST("2", "3")));
    return s;
}

Test(space_build, a_copy_is_equal_and_independent)
{
    hpt_space *s = conditional(), *copy;
    char text[1024];
    snprintf(text, sizeof text, "%s", json_of(s));
    OK(hpt__space_dup(&copy, s));
    hpt_space_destroy(s);
    cr_expect_str_eq(json_of(copy), text);
    cr_expect(param(copy, "optimizer")->is_parent && !param(copy, "momentum")->is_parent);
    OK(hpt_space_add_float(copy, "new", 0, 1, 0, 0));
    hpt_space_destroy(copy);
}

Test(space_build, the_first_difference_of_two_spaces_is_named)
{
    hpt__str why = HPT__STR_INIT;
    hpt_space *a = conditional(), *b;
    OK(hpt__space_dup(&b, a));
    cr_expect(!hpt__space_difference(&why, a, b));
    cr_expect_eq(why.len, 0);
    hpt_space_destroy(b);
    const struct {
        const char *json, *why;
    } cases[] = {
        {"\"type\":\"float\",\"low\":0,\"high\":1", NULL},
        {"\"type\":\"float\",\"low\":0,\"high\":0.1", "parameter 'x': high 1.0 is now 0.1"},
        {"\"type\":\"float\",\"low\":0.5,\"high\":1", "parameter 'x': low 0.0 is now 0.5"},
        {"\"type\":\"float\",\"low\":0,\"high\":1,\"step\":0.5", "parameter 'x': step none is now 0.5"},
        {"\"type\":\"int\",\"low\":0,\"high\":1", "parameter 'x': float 0.0..1.0 is now int 0..1"},
        {"\"type\":\"categorical\",\"choices\":[0,1]", "parameter 'x': float 0.0..1.0 is now {0, 1}"},
        {"\"type\":\"float\",\"low\":0,\"high\":1,\"when\":[{\"parent\":\"p\",\"values\":[1]}]",
         "parameter 'x': the condition 'p' in [1] is new"},
    };
    // Conditions differ by value, by number of values, by parent.
    const char *const whens[] = {"[{\"parent\":\"p\",\"values\":[0]}]", "[{\"parent\":\"p\",\"values\":[1]}]",
                                 "[{\"parent\":\"p\",\"values\":[0,1]}]", "[{\"parent\":\"q\",\"values\":[0]}]"};
    hpt_space *with[4];
    for (int i = 0; i < 4; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"parameters\":[{\"name\":\"p\",\"type\":\"int\",\"low\":0,\"high\":1},"
                 "{\"name\":\"q\",\"type\":\"int\",\"low\":0,\"high\":1},"
                 "{\"name\":\"x\",\"type\":\"int\",\"low\":0,\"high\":1,\"when\":%s}]}",
                 whens[i]);
        OK(hpt_space_from_json(&with[i], text));
    }
    for (int i = 0; i < 16; i++) {
        hpt__str_clear(&why);
        cr_expect_eq(hpt__space_difference(&why, with[i / 4], with[i % 4]), i / 4 != i % 4, "%d %d", i / 4, i % 4);
        cr_expect_eq(strstr(hpt__str_text(&why), "'x': the condition '") != NULL, i / 4 != i % 4);
    }
    for (int i = 0; i < 4; i++) hpt_space_destroy(with[i]);
    hpt__str_clear(&why);
    hpt_space *linear = new_space(), *log = new_space();
    OK(hpt_space_add_int(linear, "n", 1, 9, 2, 0));
    OK(hpt_space_add_int(log, "n", 1, 9, 2, HPT_LOG)); // the same to Optuna, not to us
    cr_expect(hpt__space_difference(&why, linear, log));
    cr_expect_str_eq(hpt__str_text(&why), "parameter 'n': linear is now log");
    hpt__str_clear(&why);
    cr_expect(hpt__space_difference(&why, log, linear));
    cr_expect_str_eq(hpt__str_text(&why), "parameter 'n': log is now linear");
    hpt_space_destroy(linear);
    hpt_space_destroy(log);
    for (int64_t i = 0; i < COUNT(cases); i++) {
        char text[2][512]; // the other order of parameters, which must not matter
        hpt_space *stored, *given;
        snprintf(text[0], sizeof text[0],
                 "{\"parameters\":[{\"name\":\"p\",\"type\":\"int\",\"low\":0,\"high\":1},"
                 "{\"name\":\"x\",%s}]}",
                 cases[0].json);
        snprintf(text[1], sizeof text[1],
                 "{\"parameters\":[{\"name\":\"x\",%s},"
                 "{\"name\":\"p\",\"type\":\"int\",\"low\":0,\"high\":1}]}",
                 cases[i].json);
        OK(hpt_space_from_json(&stored, text[0]));
        OK(hpt_space_from_json(&given, text[1]));
        hpt__str_clear(&why);
        cr_expect_eq(hpt__space_difference(&why, stored, given), cases[i].why != NULL);
        cr_expect_str_eq(hpt__str_text(&why), cases[i].why ? cases[i].why : "");
        hpt__str_clear(&why);
        cr_expect_eq(hpt__space_difference(&why, given, stored), cases[i].why != NULL);
        OK(hpt_space_add_float(given, "extra", 0, 1, 0, 0));
        hpt__str_clear(&why);
        if (!cases[i].why) {
            cr_expect(hpt__space_difference(&why, stored, given));
            cr_expect_str_eq(hpt__str_text(&why), "parameter 'extra' is new");
            hpt__str_clear(&why);
            cr_expect(hpt__space_difference(&why, given, stored));
            cr_expect_str_eq(hpt__str_text(&why), "parameter 'extra' is gone");
        }
        hpt_space_destroy(stored);
        hpt_space_destroy(given);
    }
    hpt__str_fini(&why);
    hpt_space_destroy(a);
}
