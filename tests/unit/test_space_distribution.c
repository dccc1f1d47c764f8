// SPDX-License-Identifier: Apache-2.0
// test_space_distribution.c: Optuna's distribution_json against golden texts that Optuna wrote.
#include "space_testing.h"

Test(space_distribution, ranges_are_written_as_optuna_writes_them)
{
    for (int64_t i = 0; i < COUNT(golden_ranges); i++) {
        const golden_range *g = &golden_ranges[i];
        hpt_space *s = new_space();
        OK(add_range(s, "x", g->kind, g->low, g->high, g->step, g->log));
        cr_expect_str_eq(s->params[0].dist_json, g->json);
        hpt_space_destroy(s);
    }
}

Test(space_distribution, what_optuna_wrote_is_read_and_written_back_unchanged)
{
    hpt_space *s = new_space();
    char name[16];
    for (int64_t i = 0; i < COUNT(golden_ranges) + COUNT(golden_categoricals); i++) {
        const char *json =
            i < COUNT(golden_ranges) ? golden_ranges[i].json : golden_categoricals[i - COUNT(golden_ranges)];
        snprintf(name, sizeof name, "x%d", (int)i);
        OK(hpt__space_add_distribution(s, name, json));
        cr_expect_str_eq(s->params[i].dist_json, json);
    }
    hpt_space_destroy(s);
}

Test(space_distribution, short_and_old_forms_are_read)
{
    hpt_space *s = new_space();
    char name[16];
    for (int64_t i = 0; i < COUNT(golden_reads); i++) {
        snprintf(name, sizeof name, "x%d", (int)i);
        OK(hpt__space_add_distribution(s, name, golden_reads[i][0]));
        cr_expect_str_eq(s->params[i].dist_json, golden_reads[i][1]);
    }
    hpt_space_destroy(s);
}

Test(space_distribution, what_optuna_refuses_is_refused_by_name)
{
    hpt_space *s = new_space();
    for (int64_t i = 0; i < COUNT(golden_refused); i++) {
        int rc = hpt__space_add_distribution(s, "the_name", golden_refused[i]);
        cr_expect(rc == HPT_E_ARG || rc == HPT_E_PARSE, "%s: %d", golden_refused[i], rc);
        cr_expect(strstr(hpt_last_error(), "'the_name'"), "%s: %s", golden_refused[i], hpt_last_error());
    }
    cr_expect_eq(hpt_space_size(s), 0);
    OK(hpt_space_add_int(s, "taken", 0, 1, 1, 0));
    FAILS(HPT_E_EXISTS, "'taken'", hpt__space_add_distribution(s, "taken", golden_reads[0][0]));
    FAILS(HPT_E_ARG, "2^53",
          hpt__space_add_distribution(s, "big", "{\"type\":\"int\",\"low\":0,\"high\":9223372036854775807}"));
    hpt_space_destroy(s);
}

Test(space_distribution, log_with_a_step_is_shown_to_optuna_as_linear)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "i", 8, 1024, 8, HPT_LOG));
    OK(hpt_space_add_float(s, "f", 0.5, 8, 0.5, HPT_LOG));
    cr_expect_str_eq(
        s->params[0].dist_json,
        "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 8, \"low\": 8, \"high\": 1024}}");
    cr_expect_str_eq(s->params[1].dist_json, "{\"name\": \"FloatDistribution\", \"attributes\": "
                                             "{\"step\": 0.5, \"low\": 0.5, \"high\": 8.0, \"log\": false}}");
    // and what comes back from its tables is the same distribution
    for (int i = 0; i < 2; i++) {
        hpt_space *t = new_space();
        OK(hpt__space_add_distribution(t, "x", s->params[i].dist_json));
        cr_expect(hpt__param_same_distribution(&s->params[i], &t->params[0]));
        hpt_space_destroy(t);
    }
    hpt_space_destroy(s);
}

Test(space_distribution, sameness_is_optunas_equality)
{
    const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"{\"type\":\"float\",\"low\":0,\"high\":1}", "{\"type\":\"float\",\"low\":0.0,\"high\":1.0}", true},
        {"{\"type\":\"float\",\"low\":0,\"high\":1}", "{\"type\":\"float\",\"low\":0,\"high\":2}", false},
        {"{\"type\":\"float\",\"low\":0,\"high\":1}", "{\"type\":\"int\",\"low\":0,\"high\":1}", false},
        {"{\"type\":\"float\",\"low\":1,\"high\":2}", "{\"type\":\"float\",\"low\":1,\"high\":2,\"log\":true}", false},
        {"{\"type\":\"float\",\"low\":0,\"high\":1,\"step\":0.5}", "{\"type\":\"float\",\"low\":0,\"high\":1}", false},
        {"{\"type\":\"float\",\"low\":0,\"high\":1.2,\"step\":0.5}",
         "{\"type\":\"float\",\"low\":0,\"high\":1,\"step\":0.5}", true},
        {"{\"type\":\"categorical\",\"choices\":[1,NaN]}", "{\"type\":\"categorical\",\"choices\":[1.0,NaN]}", true},
        {"{\"type\":\"categorical\",\"choices\":[1]}", "{\"type\":\"categorical\",\"choices\":[\"1\"]}", false},
        {"{\"type\":\"categorical\",\"choices\":[1,2]}", "{\"type\":\"categorical\",\"choices\":[2,1]}", false},
        {"{\"type\":\"categorical\",\"choices\":[1,2]}", "{\"type\":\"categorical\",\"choices\":[1]}", false},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        hpt_space *s = new_space();
        OK(hpt__space_add_distribution(s, "a", cases[i].a));
        OK(hpt__space_add_distribution(s, "b", cases[i].b));
        cr_expect_eq(hpt__param_same_distribution(&s->params[0], &s->params[1]), cases[i].same, "case %d", (int)i);
        cr_expect_eq(hpt__param_same_distribution(&s->params[1], &s->params[0]), cases[i].same, "case %d", (int)i);
        hpt_space_destroy(s);
    }
}
