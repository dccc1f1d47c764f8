// SPDX-License-Identifier: Apache-2.0
// test_space_json.c: the text stored with a study, and points as JSON.
#include "space_testing.h"

static const char whole[] =
    "{\"parameters\": [{\"name\": \"momentum\", \"type\": \"float\", \"low\": 0.0, \"high\": 0.9, \"step\": 0.1, "
    "\"when\": [{\"parent\": \"optimizer\", \"values\": [\"sgd\", null]}, {\"parent\": \"layers\", \"values\": [2, 4]}]}, "
    "{\"name\": \"lr\", \"type\": \"float\", \"low\": 1e-05, \"high\": 1.0, \"log\": true}, "
    "{\"name\": \"layers\", \"type\": \"int\", \"low\": 2, \"high\": 8, \"step\": 2}, "
    "{\"name\": \"optimizer\", \"type\": \"categorical\", \"choices\": [\"sgd\", \"\\u00e9\", null, 1, 1.0, true, NaN, [1, {}]], "
    "\"when\": [{\"parent\": \"gate\", \"values\": [0.5]}]}, "
    "{\"name\": \"gate\", \"type\": \"float\", \"low\": 0.0, \"high\": 1.0, \"step\": 0.5}, "
    "{\"name\": \"epochs\", \"type\": \"constant\", \"value\": {\"n\": 3}}, "
    "{\"name\": \"width\", \"type\": \"int\", \"low\": 1, \"high\": 9007199254740992, \"log\": true}]}";

Test(space_json, the_text_of_a_space_reads_back_as_the_same_text)
{
    hpt_space *s, *t;
    OK(hpt_space_from_json(&s, whole));
    cr_expect_str_eq(json_of(s), whole);
    OK(hpt__space_dup(&t, s));
    cr_expect_str_eq(json_of(t), whole);
    hpt_space_destroy(t);
    hpt_space_destroy(s);
    OK(hpt_space_from_json(&s, "{\"parameters\":[]}"));
    cr_expect_str_eq(json_of(s), "{\"parameters\": []}");
    hpt_space_destroy(s);
}

Test(space_json, an_adjusted_high_survives_storing)
{
    // For steps of 16 digits a second decimal adjustment can lose the last value (2.333333333333333 to 2.0 here).
    for (int64_t i = 0; i < COUNT(golden_ranges); i++) {
        const golden_range *g = &golden_ranges[i];
        hpt_space *s = new_space(), *t;
        OK(add_range(s, "x", g->kind, g->low, g->high, g->step, g->log));
        OK(hpt_space_from_json(&t, json_of(s)));
        cr_expect_eq(t->params[0].high, s->params[0].high, "case %d", (int)i);
        cr_expect_eq(hpt__param_cardinality(&t->params[0]), hpt__param_cardinality(&s->params[0]));
        cr_expect_str_eq(t->params[0].dist_json, s->params[0].dist_json);
        hpt_space_destroy(s);
        hpt_space_destroy(t);
    }
    hpt_space *s;
    OK(hpt_space_from_json(&s,
                           "{\"parameters\":[{\"name\":\"x\",\"type\":\"float\",\"low\":0,\"high\":1,\"step\":0.3}]}"));
    cr_expect_eq(s->params[0].high, 0.9);
    hpt_space_destroy(s);
}

Test(space_json, malformed_spaces_are_refused_with_the_place_named)
{
    const struct {
        const char *parameters, *why;
    } cases[] = {
        {"5", "must be a list"},
        {"[5]", "parameter 0 is no mapping"},
        {"[{\"type\":\"int\"}]", "parameter 0: 'name'"},
        {"[{\"name\":\"x\"}]", "parameter 'x': 'type'"},
        {"[{\"name\":\"x\",\"type\":\"flaot\"}]", "did you mean 'float'"},
        {"[{\"name\":\"x\",\"type\":\"complex\"}]", "one of float, int"},
        {"[{\"name\":\"x\",\"type\":\"int\",\"low\":1}]", "'high' must be an integer"},
        {"[{\"name\":\"x\",\"type\":\"int\",\"low\":1,\"high\":2.5}]", "'high' must be an integer"},
        {"[{\"name\":\"x\",\"type\":\"int\",\"low\":1,\"high\":2,\"step\":0}]", "'step'"},
        {"[{\"name\":\"x\",\"type\":\"int\",\"low\":1,\"high\":9223372036854775807}]", "2^53"},
        {"[{\"name\":\"x\",\"type\":\"float\",\"low\":\"0\",\"high\":2}]", "'low' must be a number"},
        {"[{\"name\":\"x\",\"type\":\"float\",\"low\":0,\"high\":Infinity}]", "finite"},
        {"[{\"name\":\"x\",\"type\":\"float\",\"low\":0,\"high\":2,\"log\":1}]", "'log' must be true or false"},
        {"[{\"name\":\"x\",\"type\":\"float\",\"low\":0,\"high\":2,\"setp\":1}]", "did you mean 'step'"},
        {"[{\"name\":\"x\",\"type\":\"categorical\"}]", "'choices' must be a list"},
        {"[{\"name\":\"x\",\"type\":\"categorical\",\"choices\":[]}]", "at least one choice"},
        {"[{\"name\":\"x\",\"type\":\"constant\"}]", "'value'"},
        {"[{\"name\":\"x\\u0000\",\"type\":\"constant\",\"value\":1}]", "NUL"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1},{\"name\":\"x\",\"type\":\"constant\",\"value\":1}]",
         "already"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":5}]", "'when' must be a list"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[5]}]", "condition of 'x'"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\"}]}]", "'values'"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\",\"values\":[1]}]}]",
         "no parameter 'y'"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"x\",\"values\":[1]}]}]", "itself"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\",\"values\":[]}]},"
         "{\"name\":\"y\",\"type\":\"int\",\"low\":0,\"high\":3}]",
         "at least one value"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\",\"values\":[4]}]},"
         "{\"name\":\"y\",\"type\":\"int\",\"low\":0,\"high\":3}]",
         "condition of 'x': parameter 'y': 4 is not in int 0..3"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\",\"values\":[4]}]},"
         "{\"name\":\"y\",\"type\":\"categorical\",\"choices\":[3]}]",
         "'4' is not a value of 'y'"},
        {"[{\"name\":\"x\",\"type\":\"constant\",\"value\":1,\"when\":[{\"parent\":\"y\",\"values\":[1],\"valeus\":1}]},"
         "{\"name\":\"y\",\"type\":\"int\",\"low\":0,\"high\":3}]",
         "did you mean 'values'"},
        {"[{\"name\":\"x\",\"type\":\"int\",\"low\":0,\"high\":1,\"when\":[{\"parent\":\"y\",\"values\":[1]}]},"
         "{\"name\":\"y\",\"type\":\"int\",\"low\":0,\"high\":1,\"when\":[{\"parent\":\"x\",\"values\":[1]}]}]",
         "cycle"},
    };
    hpt_space *s = NULL;
    for (int64_t i = 0; i < COUNT(cases); i++) {
        char text[1024];
        snprintf(text, sizeof text, "{\"parameters\":%s}", cases[i].parameters);
        int rc = hpt_space_from_json(&s, text);
        cr_expect(rc == HPT_E_ARG || rc == HPT_E_NOT_FOUND || rc == HPT_E_EXISTS, "%s: %d", text, rc);
        cr_expect(strncmp(hpt_last_error(), "space: ", 7) == 0 && strstr(hpt_last_error(), cases[i].why), "%s: %s",
                  text, hpt_last_error());
        cr_expect_null(s);
    }
    FAILS(HPT_E_PARSE, "space: line 1", hpt_space_from_json(&s, "{\"parameters\":"));
    FAILS(HPT_E_ARG, "'parameters'", hpt_space_from_json(&s, "[]"));
    FAILS(HPT_E_ARG, "did you mean 'parameters'", hpt_space_from_json(&s, "{\"parameter\": []}"));
    FAILS(HPT_E_ARG, "NULL", hpt_space_from_json(&s, NULL));
    FAILS(HPT_E_ARG, "NULL", hpt_space_from_json(NULL, "{}"));
}

Test(space_json, a_point_is_written_without_absent_parameters_and_read_back)
{
    hpt_space *s;
    OK(hpt_space_from_json(&s, whole));
    const double point[7] = {NAN, 0.01, 4, 6, 0.5, 0, 17};
    hpt__str text = HPT__STR_INIT;
    hpt__space_point_json(&text, s, point, true);
    cr_expect_str_eq(hpt__str_text(&text), "{\"lr\": 0.01, \"layers\": 4, \"optimizer\": NaN, \"gate\": 0.5, "
                                           "\"epochs\": {\"n\": 3}, \"width\": 17}");
    hpt__arena arena;
    hpt__arena_init(&arena);
    for (int style = 0; style < 2; style++) {
        hpt__json *json;
        double back[7];
        hpt__str_clear(&text);
        hpt__space_point_json(&text, s, point, style);
        OK(hpt__json_parse(&json, &arena, hpt__str_text(&text), text.len));
        OK(hpt__space_point_from_json(back, s, json));
        for (int i = 0; i < 7; i++) cr_expect(same_value(point[i], back[i]));
    }
    cr_expect_null(strchr(hpt__str_text(&text), '\n'));
    const struct {
        const char *json;
        int status;
        const char *why;
    } bad[] = {{"{\"lrr\": 1}", HPT_E_NOT_FOUND, "did you mean 'lr'"},
               {"{\"lr\": 3}", HPT_E_ARG, "parameter 'lr': 3 is not in float 1e-05..1.0 log"},
               {"[1]", HPT_E_ARG, "mapping"}};
    for (int64_t i = 0; i < COUNT(bad); i++) {
        hpt__json *json;
        double back[7];
        OK(hpt__json_parse(&json, &arena, bad[i].json, strlen(bad[i].json)));
        FAILS(bad[i].status, bad[i].why, hpt__space_point_from_json(back, s, json));
    }
    hpt__arena_fini(&arena);
    hpt__str_fini(&text);
    hpt_space_destroy(s);
}
