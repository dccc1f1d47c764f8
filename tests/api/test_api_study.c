// SPDX-License-Identifier: Apache-2.0
// test_api_study.c: asking, telling and questioning a study through the public headers only.
#include "api_testing.h"

#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(api_study, ask_and_tell_find_the_best)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    double best = INFINITY;
    int64_t best_number = -1;
    for (int64_t i = 0; i < 60; i++) {
        hpt_trial *t;
        double x;
        OK(hpt_study_ask(&t, study));
        cr_assert_eq(hpt_trial_number(t), i);
        cr_assert_eq(hpt_trial_get_state(t), HPT_TRIAL_RUNNING);
        OK(hpt_trial_get_float(&x, t, "x"));
        cr_assert(x >= -5 && x <= 5);
        const double y = (x - 1) * (x - 1);
        OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
        cr_assert_eq(hpt_trial_get_state(t), HPT_TRIAL_COMPLETE);
        if (y < best) {
            best = y;
            best_number = i;
        }
        hpt_trial_destroy(t);
    }
    hpt_trial *t;
    const double *v;
    int64_t n, counts[5];
    OK(hpt_study_best(&t, study));
    cr_assert_eq(hpt_trial_number(t), best_number);
    OK(hpt_trial_values(&v, &n, t));
    cr_assert_eq(n, 1);
    cr_assert_eq(v[0], best);
    hpt_trial_destroy(t);
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 60);
    cr_assert_eq(counts[HPT_TRIAL_RUNNING], 0);
    hpt_study_close(study);
}

Test(api_study, getters_give_each_kind_of_parameter)
{
    hpt_study *study = open_with(mixed_space(), "random", 3);
    bool saw_sgd = false, saw_adam = false;
    for (int i = 0; i < 40; i++) {
        hpt_trial *t;
        double f;
        int64_t n, c;
        const char *text;
        OK(hpt_study_ask(&t, study));
        OK(hpt_trial_get_float(&f, t, "lr"));
        cr_assert(f >= 1e-5 && f <= 1);
        OK(hpt_trial_get_int(&n, t, "layers"));
        cr_assert(n >= 1 && n <= 8);
        OK(hpt_trial_get_float(&f, t, "layers"));
        cr_assert_eq(f, (double)n);
        OK(hpt_trial_get_category(&c, t, "opt"));
        OK(hpt_trial_get_string(&text, t, "opt"));
        cr_assert_str_eq(text, c == 0 ? "sgd" : "adam");
        cr_assert_eq(hpt_trial_has(t, "momentum"), c == 0);
        if (c == 0) {
            OK(hpt_trial_get_float(&f, t, "momentum"));
            cr_assert(strstr(params_of(t), "\"momentum\":"));
        } else {
            FAILS(HPT_E_STATE, hpt_trial_get_float(&f, t, "momentum"));
            cr_assert_not(strstr(params_of(t), "\"momentum\":"));
        }
        saw_sgd |= c == 0;
        saw_adam |= c == 1;
        OK(hpt_trial_get_category(&c, t, "width"));
        OK(hpt_trial_get_float(&f, t, "width"));
        cr_assert_eq(f, c == 0 ? 16.0 : c == 1 ? 32.0 : 2.5);
        if (c == 2)
            FAILS(HPT_E_ARG, hpt_trial_get_int(&n, t, "width"));
        else
            OK(hpt_trial_get_int(&n, t, "width"));
        OK(hpt_trial_get_string(&text, t, "data"));
        cr_assert_str_eq(text, "{\"name\":\"x\"}");
        const char *again;
        OK(hpt_trial_get_string(&text, t, "layers"));
        OK(hpt_trial_get_string(&again, t, "layers"));
        cr_assert_eq(text, again, "borrowed until the trial goes");
        hpt_trial_destroy(t);
    }
    cr_assert(saw_sgd && saw_adam);
    hpt_study_close(study);
}

Test(api_study, wrong_getters_name_the_parameter_and_the_remedy)
{
    hpt_study *study = open_with(mixed_space(), "random", 3);
    hpt_trial *t;
    double f;
    int64_t n;
    const char *text;
    OK(hpt_study_ask(&t, study));
    FAILS(HPT_E_NOT_FOUND, hpt_trial_get_float(&f, t, "layer"));
    cr_assert(strstr(hpt_last_error(), "layers"), "%s", hpt_last_error());
    FAILS(HPT_E_ARG, hpt_trial_get_float(&f, t, "opt"));
    cr_assert(strstr(hpt_last_error(), "hpt_trial_get_string"), "%s", hpt_last_error());
    FAILS(HPT_E_ARG, hpt_trial_get_int(&n, t, "lr"));
    FAILS(HPT_E_ARG, hpt_trial_get_category(&n, t, "lr"));
    FAILS(HPT_E_NOT_FOUND, hpt_trial_get_string(&text, t, "zzzzzzzz"));
    FAILS(HPT_E_ARG, hpt_trial_get_float(NULL, t, "lr"));
    FAILS(HPT_E_ARG, hpt_trial_get_float(&f, NULL, "lr"));
    cr_assert_not(hpt_trial_has(t, "zzzzzzzz"));
    hpt_trial_destroy(t);
    hpt_trial_destroy(NULL);
    hpt_study_close(study);
    hpt_study_close(NULL);
}

Test(api_study, same_seed_gives_the_same_points_one_by_one_or_in_a_batch)
{
    const char *const samplers[] = {"random", "qmc", "tpe", "auto"};
    for (int s = 0; s < 4; s++) {
        hpt_study *one = open_with(mixed_space(), samplers[s], 11), *batch = open_with(mixed_space(), samplers[s], 11),
                  *other = open_with(mixed_space(), samplers[s], 12);
        hpt_trial *many[8];
        int64_t n, differ = 0;
        OK(hpt_study_ask_batch(many, &n, batch, 8));
        cr_assert_eq(n, 8);
        for (int i = 0; i < 8; i++) {
            hpt_trial *t, *u;
            OK(hpt_study_ask(&t, one));
            OK(hpt_study_ask(&u, other));
            cr_assert_eq(hpt_trial_number(many[i]), i);
            cr_assert_str_eq(params_of(t), params_of(many[i]), "sampler %s, trial %d", samplers[s], i);
            differ += strcmp(params_of(t), params_of(u)) != 0;
            hpt_trial_destroy(t);
            hpt_trial_destroy(u);
            hpt_trial_destroy(many[i]);
        }
        cr_assert(differ >= 6, "sampler %s: another seed gave the same points", samplers[s]);
        hpt_study_close(one);
        hpt_study_close(batch);
        hpt_study_close(other);
    }
}

Test(api_study, telling_checks_state_and_values)
{
    hpt_study *study = open_with(line_space(), "random", 1), *stranger = open_with(line_space(), "random", 1);
    hpt_trial *t, *again;
    const double values[2] = {1, 2};
    const double *v;
    int64_t n;
    OK(hpt_study_ask(&t, study));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, values, 2));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, NULL, 0));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, NULL, 1));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_FAIL, values, 1));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_PRUNED, values, 2));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_RUNNING, NULL, 0));
    FAILS(HPT_E_ARG, hpt_study_tell(study, t, HPT_TRIAL_WAITING, NULL, 0));
    FAILS(HPT_E_ARG, hpt_study_tell(stranger, t, HPT_TRIAL_COMPLETE, values, 1));
    FAILS(HPT_E_ARG, hpt_study_tell(study, NULL, HPT_TRIAL_COMPLETE, values, 1));
    OK(hpt_study_trial(&again, study, 0));
    OK(hpt_study_tell(study, again, HPT_TRIAL_COMPLETE, values, 1));
    FAILS(HPT_E_STATE, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, values, 1));
    cr_assert_str_eq(hpt_last_error(), "trial 0 is finished already (COMPLETE)");
    cr_assert_eq(hpt_trial_get_state(t), HPT_TRIAL_COMPLETE);
    FAILS(HPT_E_STATE, hpt_trial_report(t, 0, 1.0));
    FAILS(HPT_E_STATE, hpt_trial_set_attr(t, "k", "1"));
    FAILS(HPT_E_NOT_FOUND, hpt_study_trial(&again, study, 7));
    OK(hpt_trial_values(&v, &n, again));
    cr_assert(n == 1 && v[0] == 1);
    hpt_trial_destroy(t);
    hpt_trial_destroy(again);
    hpt_study_close(study);
    hpt_study_close(stranger);
}

Test(api_study, nan_fails_a_trial_and_infinity_is_a_value)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    hpt_trial *t, *best;
    const double nan_value = NAN, inf = INFINITY;
    int64_t n, counts[5];
    const double *v;
    OK(hpt_study_ask(&t, study));
    FAILS(HPT_S_NOTHING, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &nan_value, 1));
    cr_assert_eq(hpt_trial_get_state(t), HPT_TRIAL_FAIL);
    OK(hpt_trial_values(&v, &n, t));
    cr_assert_eq(n, 0);
    hpt_trial_destroy(t);
    FAILS(HPT_E_NOT_FOUND, hpt_study_best(&best, study));
    OK(hpt_study_ask(&t, study));
    OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &inf, 1));
    hpt_trial_destroy(t);
    OK(hpt_study_best(&best, study));
    OK(hpt_trial_values(&v, &n, best));
    cr_assert(n == 1 && isinf(v[0]));
    hpt_trial_destroy(best);
    OK(hpt_study_counts(counts, study));
    cr_assert(counts[HPT_TRIAL_FAIL] == 1 && counts[HPT_TRIAL_COMPLETE] == 1);
    hpt_study_close(study);
}

Test(api_study, pruned_trials_keep_the_last_report)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    const struct {
        double last;
        bool report, give;
        double expected; // NaN: none
    } cases[] = {{0.75, true, false, 0.75}, {NAN, true, false, NAN}, {0, false, false, NAN}, {0.75, true, true, 9}};
    for (int i = 0; i < 4; i++) {
        hpt_trial *t;
        const double given = 9, *v;
        int64_t n;
        bool prune = true;
        OK(hpt_study_ask(&t, study));
        if (cases[i].report) {
            OK(hpt_trial_report(t, 4, cases[i].last)); // out of order: the step counts, not the time
            OK(hpt_trial_report(t, 2, 0.25));
        }
        OK(hpt_trial_should_prune(&prune, t));
        cr_assert_not(prune, "pruner nop never prunes");
        OK(hpt_study_tell(study, t, HPT_TRIAL_PRUNED, cases[i].give ? &given : NULL, cases[i].give));
        OK(hpt_trial_values(&v, &n, t));
        cr_assert_eq(n, isnan(cases[i].expected) ? 0 : 1, "case %d", i);
        if (n) cr_assert_eq(v[0], cases[i].expected);
        hpt_trial_destroy(t);
        OK(hpt_study_trial(&t, study, i));
        OK(hpt_trial_values(&v, &n, t));
        cr_assert_eq(n, isnan(cases[i].expected) ? 0 : 1, "case %d, looked up", i);
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
}

Test(api_study, median_pruner_stops_the_bad_trial)
{
    hpt_study *study;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    hpt_space *space = line_space();
    o.space = space;
    o.pruner = "median";
    o.options = (const char *const[]){"median.n_startup=3"};
    o.n_options = 1;
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    cr_assert_str_eq(hpt_study_pruner(study), "median");
    for (int i = 0; i < 4; i++) {
        hpt_trial *t;
        const double v = i;
        OK(hpt_study_ask(&t, study));
        OK(hpt_trial_report(t, 0, v));
        OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &v, 1));
        hpt_trial_destroy(t);
    }
    for (int bad = 0; bad < 2; bad++) {
        hpt_trial *t;
        bool prune;
        OK(hpt_study_ask(&t, study));
        FAILS(HPT_E_ARG, hpt_trial_report(t, -1, 0));
        OK(hpt_trial_report(t, 0, bad ? 100.0 : -100.0));
        OK(hpt_trial_should_prune(&prune, t));
        cr_assert_eq(prune, bad);
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
}

Test(api_study, pareto_front_equals_brute_force)
{
    for (int64_t k = 1; k <= 4; k++) {
        hpt_study *study;
        hpt_space *space = line_space();
        hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
        const hpt_direction directions[] = {HPT_MINIMIZE, HPT_MAXIMIZE, HPT_MINIMIZE, HPT_MAXIMIZE};
        o.space = space;
        o.sampler = "random";
        o.directions = directions;
        o.n_directions = k;
        OK(hpt_study_open(&study, &o));
        hpt_space_destroy(space);
        enum { N = 150 };
        double y[N][4];
        bool complete[N], prune;
        uint32_t state = 1;
        for (int i = 0; i < N; i++) {
            hpt_trial *t;
            OK(hpt_study_ask(&t, study));
            complete[i] = i % 10 != 3;
            for (int64_t j = 0; j < k; j++) { // few different numbers: ties and duplicates happen
                state = state * 1664525u + 1013904223u;
                y[i][j] = (double)(state >> 29);
            }
            if (i == 17 && k > 1) y[i][1] = INFINITY;
            OK(hpt_trial_report(t, 0, 1.0));
            OK(hpt_trial_should_prune(&prune, t));
            cr_assert_not(prune);
            if (complete[i])
                OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, y[i], k));
            else
                OK(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
            hpt_trial_destroy(t);
        }
        hpt_trial **front, *best;
        int64_t n, at = 0;
        OK(hpt_study_pareto(&front, &n, study));
        for (int i = 0; i < N; i++) {
            bool dominated = !complete[i];
            for (int m = 0; m < N && !dominated; m++) {
                bool no_worse = complete[m], better = false;
                for (int64_t j = 0; j < k; j++) {
                    const double sign = directions[j] == HPT_MAXIMIZE ? -1 : 1;
                    if (sign * y[m][j] > sign * y[i][j]) no_worse = false;
                    if (sign * y[m][j] < sign * y[i][j]) better = true;
                }
                dominated = no_worse && better;
            }
            if (dominated) continue;
            cr_assert_lt(at, n, "k %ld: trial %d is missing", (long)k, i);
            cr_assert_eq(hpt_trial_number(front[at]), i, "k %ld", (long)k);
            at++;
        }
        cr_assert_eq(at, n);
        for (int64_t i = 0; i < n; i++) hpt_trial_destroy(front[i]);
        hpt_free(front);
        if (k == 1) {
            OK(hpt_study_best(&best, study));
            hpt_trial_destroy(best);
        } else {
            FAILS(HPT_E_ARG, hpt_study_best(&best, study));
        }
        hpt_study_close(study);
    }
}

Test(api_study, queued_points_come_first_and_the_rest_is_filled_in)
{
    hpt_study *study = open_with(mixed_space(), "random", 5);
    hpt_trial *t;
    double f;
    int64_t c, counts[5];
    OK(hpt_study_enqueue(study, "{\"lr\": 0.125, \"opt\": \"sgd\", \"momentum\": 0.5}"));
    OK(hpt_study_enqueue(study, "{\"layers\": 3}"));
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_WAITING], 2);
    OK(hpt_study_trial(&t, study, 1));
    cr_assert_eq(hpt_trial_get_state(t), HPT_TRIAL_WAITING);
    cr_assert_not(hpt_trial_has(t, "lr"));
    const double y = 0;
    FAILS(HPT_E_STATE, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
    hpt_trial_destroy(t);
    hpt_trial *many[3];
    OK(hpt_study_ask_batch(many, &c, study, 3));
    cr_assert_eq(c, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hpt_trial_number(many[i]), i);
        cr_assert(hpt_trial_has(many[i], "lr") && hpt_trial_has(many[i], "layers") && hpt_trial_has(many[i], "data"));
    }
    OK(hpt_trial_get_float(&f, many[0], "lr"));
    cr_assert_eq(f, 0.125);
    OK(hpt_trial_get_float(&f, many[0], "momentum"));
    cr_assert_eq(f, 0.5);
    OK(hpt_trial_get_int(&c, many[1], "layers"));
    cr_assert_eq(c, 3);
    for (int i = 0; i < 3; i++) hpt_trial_destroy(many[i]);
    hpt_study_close(study);
}

Test(api_study, bad_points_are_not_queued)
{
    hpt_study *study = open_with(mixed_space(), "random", 5);
    const struct {
        const char *json, *says;
        int status;
    } cases[] = {
        {"{\"lr\": 2.0}", "lr", HPT_E_ARG},
        {"{\"lr\": \"a\"}", "lr", HPT_E_ARG},
        {"{\"layer\": 2}", "layers", HPT_E_NOT_FOUND},
        {"{\"layers\": 2.5}", "layers", HPT_E_ARG},
        {"{\"opt\": \"adm\"}", "adam", HPT_E_ARG},
        {"{\"momentum\": 0.5}", "opt", HPT_E_ARG},
        {"{\"momentum\": 0.5, \"opt\": \"adam\"}", "sgd", HPT_E_ARG},
        {"{\"data\": 1}", "data", HPT_E_ARG},
        {"[1]", "object", HPT_E_ARG},
        {"{", "params", HPT_E_ARG},
        {"", "params", HPT_E_ARG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FAILS(cases[i].status, hpt_study_enqueue(study, cases[i].json));
        cr_assert(strstr(hpt_last_error(), cases[i].says), "%s: %s", cases[i].json, hpt_last_error());
    }
    int64_t counts[5];
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_WAITING], 0);
    OK(hpt_study_enqueue(study, "{}"));
    hpt_study_close(study);
}

Test(api_study, grid_is_asked_once_each_and_then_exhausted)
{
    for (int batch = 0; batch < 2; batch++) {
        hpt_space *space;
        OK(hpt_space_create(&space));
        OK(hpt_space_add_int(space, "a", 1, 3, 1, 0));
        OK(hpt_space_add_categorical(space, "b", (const char *const[]){"x", "y"}, 2));
        hpt_study *study = open_with(space, "grid", 1);
        char seen[6][64];
        int64_t n = 0;
        if (batch) OK(hpt_study_enqueue(study, "{}")); // nothing fixed: takes a point of the grid like any other
        if (batch) {
            hpt_trial *many[10];
            FAILS(HPT_S_EXHAUSTED, hpt_study_ask_batch(many, &n, study, 10));
            cr_assert_eq(n, 6);
            for (int i = 0; i < 6; i++) {
                snprintf(seen[i], sizeof seen[i], "%s", params_of(many[i]));
                hpt_trial_destroy(many[i]);
            }
        } else {
            hpt_trial *t;
            while (hpt_study_ask(&t, study) == 0) {
                cr_assert_lt(n, 6);
                snprintf(seen[n++], sizeof seen[0], "%s", params_of(t));
                hpt_trial_destroy(t);
            }
            cr_assert_null(t);
        }
        cr_assert_eq(n, 6);
        for (int i = 0; i < 6; i++) {
            for (int j = 0; j < i; j++) cr_assert_str_neq(seen[i], seen[j]);
        }
        hpt_study_close(study);
    }
}

Test(api_study, attributes_must_be_json_and_can_be_read_back)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    hpt_trial *t;
    const char *text;
    OK(hpt_study_ask(&t, study));
    OK(hpt_trial_get_attr(&text, t, "note"));
    cr_assert_null(text);
    OK(hpt_trial_set_attr(t, "note", "{\"a\":[1,null]}"));
    OK(hpt_trial_get_attr(&text, t, "note"));
    cr_assert_str_eq(text, "{\"a\": [1, null]}");
    OK(hpt_trial_set_attr(t, "note", "\"b\""));
    OK(hpt_trial_get_attr(&text, t, "note"));
    cr_assert_str_eq(text, "\"b\"");
    OK(hpt_trial_get_attr(&text, t, "hpt:by"));
    cr_assert_str_eq(text, "\"random\"");
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, "note", "{a}"));
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, "", "1"));
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, NULL, "1"));
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(api_study, times_and_the_last_report_can_be_read)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    hpt_trial *t;
    double start, end, value;
    int64_t step;
    OK(hpt_study_ask(&t, study));
    OK(hpt_trial_times(&start, &end, t));
    cr_assert(start > 1.5e9 && isnan(end));
    OK(hpt_trial_last_report(&step, &value, t));
    cr_assert(step == -1 && isnan(value));
    OK(hpt_trial_report(t, 7, 0.5));
    OK(hpt_trial_report(t, 3, 0.25));
    OK(hpt_trial_last_report(&step, &value, t));
    cr_assert(step == 7 && value == 0.5);
    OK(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
    OK(hpt_trial_times(&start, &end, t));
    cr_assert(end >= start);
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(api_study, facts_name_what_is_stored_about_a_study)
{
    static const char *const options[] = {"gp.n_max=64"};
    hpt_space *space = line_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    hpt_study *study = NULL;
    hpt_fact *facts = NULL;
    int64_t n = 0;
    o.space = space;
    o.sampler = "gp";
    o.device = "ref";
    o.options = options;
    o.n_options = 1;
    OK(hpt_study_open(&study, &o));
    for (int round = 0; round < 2; round++) {
        int found = 0, model = 0;
        OK(hpt_study_facts(&facts, &n, study));
        for (int64_t i = 0; i < n; i++) {
            const hpt_fact f = facts[i];
            found += !strcmp(f.group, "options") && !strcmp(f.name, "gp.n_max") && !strcmp(f.value, "64");
            found += !strcmp(f.group, "study") && !strcmp(f.name, "sampler") && !strcmp(f.value, "\"gp\"");
            found += !strcmp(f.group, "study") && !strcmp(f.name, "device") && !strcmp(f.value, "\"ref\"");
            model += !strcmp(f.group, "model") && !strcmp(f.name, "policy") && !strcmp(f.value, "\"exact\"");
            model += !strcmp(f.group, "lengthscale");
        }
        cr_expect_eq(found, 3);
        cr_expect_eq(model, 2 * round, "%d facts about the model", model);
        hpt_free(facts);
        for (int i = 0; round == 0 && i < 12; i++) {
            hpt_trial *t = NULL;
            const double y = i % 5;
            OK(hpt_study_ask(&t, study));
            OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
            hpt_trial_destroy(t);
        }
    }
    cr_expect_eq(hpt_study_facts(NULL, &n, study), HPT_E_ARG);
    cr_expect_eq(hpt_study_facts(&facts, &n, NULL), HPT_E_ARG);
    hpt_study_close(study);
    hpt_space_destroy(space);
}
