// SPDX-License-Identifier: Apache-2.0
// test_api_study.c: opening, asking, telling and questioning a study through the public headers only.
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_assert_eq((call), (status), "%s: %s", #call, hpt_last_error())

static hpt_space *mixed_space(void)
{
    hpt_space *s;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "lr", 1e-5, 1.0, 0.0, HPT_LOG));
    OK(hpt_space_add_int(s, "layers", 1, 8, 1, 0));
    OK(hpt_space_add_categorical(s, "opt", (const char *const[]){"sgd", "adam"}, 2));
    OK(hpt_space_add_float(s, "momentum", 0.0, 0.9, 0.0, 0));
    OK(hpt_space_add_condition(s, "momentum", "opt", (const char *const[]){"sgd"}, 1));
    OK(hpt_space_add_categorical_json(s, "width", (const char *const[]){"16", "32", "2.5"}, 3));
    OK(hpt_space_add_constant(s, "data", "{\"name\": \"x\"}"));
    return s;
}

static hpt_space *line_space(void)
{
    hpt_space *s;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "x", -5.0, 5.0, 0.0, 0));
    return s;
}

static hpt_study *open_with(hpt_space *space, const char *sampler, uint64_t seed)
{
    hpt_study *study;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.sampler = sampler;
    o.seed = seed;
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    return study;
}

static const char *params_of(hpt_trial *t)
{
    const char *json;
    OK(hpt_trial_params_json(&json, t));
    return json;
}

// A file that goes when the test's process ends.
static char db_path[64], db_url[96];
static void drop_db(void)
{
    char side[80];
    unlink(db_path);
    for (int i = 0; i < 2; i++) {
        snprintf(side, sizeof side, "%s%s", db_path, i ? "-wal" : "-shm");
        unlink(side);
    }
}

static const char *fresh_db(void)
{
    snprintf(db_path, sizeof db_path, "/tmp/hpt_api_%ld.db", (long)getpid());
    snprintf(db_url, sizeof db_url, "sqlite:///%s", db_path);
    drop_db();
    atexit(drop_db);
    return db_url;
}

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
        if (c == 2) FAILS(HPT_E_ARG, hpt_trial_get_int(&n, t, "width"));
        else OK(hpt_trial_get_int(&n, t, "width"));
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
            if (complete[i]) OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, y[i], k));
            else OK(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
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

Test(api_study, attributes_must_be_json)
{
    hpt_study *study = open_with(line_space(), "random", 1);
    hpt_trial *t;
    OK(hpt_study_ask(&t, study));
    OK(hpt_trial_set_attr(t, "note", "{\"a\": [1, null]}"));
    OK(hpt_trial_set_attr(t, "note", "\"b\""));
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, "note", "{a}"));
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, "", "1"));
    FAILS(HPT_E_ARG, hpt_trial_set_attr(t, NULL, "1"));
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

// ---- modes of opening ----------------------------------------------------------------------------------------

Test(api_study_open, bad_options_are_refused)
{
    hpt_study *study = NULL;
    hpt_space *space = line_space(), *empty;
    OK(hpt_space_create(&empty));
    hpt_study_options good = HPT_STUDY_OPTIONS_INIT, o;
    good.space = space;
    const hpt_direction odd[] = {(hpt_direction)7};
    FAILS(HPT_E_ARG, hpt_study_open(&study, NULL));
    FAILS(HPT_E_ARG, hpt_study_open(NULL, &good));
#define REFUSED(status, change, says)                                                             \
    do {                                                                                          \
        o = good;                                                                                 \
        change;                                                                                   \
        FAILS(status, hpt_study_open(&study, &o));                                                \
        cr_assert(strstr(hpt_last_error(), says), "%s", hpt_last_error());                        \
    } while (0)
    REFUSED(HPT_E_ARG, o.struct_size = 0, "HPT_STUDY_OPTIONS_INIT");
    REFUSED(HPT_E_ARG, o.name = "", "name");
    REFUSED(HPT_E_ARG, o.space = NULL, "space");
    REFUSED(HPT_E_ARG, o.space = empty, "no parameters");
    REFUSED(HPT_E_ARG, o.n_directions = -1, "n_directions");
    REFUSED(HPT_E_ARG, (o.n_directions = 1, o.directions = odd), "HPT_MINIMIZE");
    REFUSED(HPT_E_ARG, o.sampler = "tpee", "tpe");
    REFUSED(HPT_E_ARG, o.pruner = "medain", "median");
    REFUSED(HPT_E_ARG, o.mode = (hpt_open_mode)9, "mode");
    REFUSED(HPT_E_ARG, (o.options = (const char *const[]){"tpe.n_startupp=3"}, o.n_options = 1), "tpe.n_startup");
    REFUSED(HPT_E_ARG, (o.options = (const char *const[]){"tpe.n_startup=-3"}, o.n_options = 1), "tpe.n_startup");
    REFUSED(HPT_E_ARG, o.sampler = "grid", "x"); // continuous parameter
    REFUSED(HPT_E_DEVICE, o.device = "cuda:0", "cuda:0");
    REFUSED(HPT_E_ARG, o.device = "gpu", "auto");
    REFUSED(HPT_E_UNSUPPORTED, o.storage = "mysql://host/db", "sqlite");
    REFUSED(HPT_E_NOT_FOUND, o.mode = HPT_OPEN_EXISTING, "");
    cr_assert_null(study);
    OK(hpt_study_open(&study, &good));
    cr_assert_str_eq(hpt_study_name(study), "study");
    cr_assert_str_eq(hpt_study_storage(study), ":memory:");
    cr_assert_str_eq(hpt_study_sampler(study), "auto");
    cr_assert_str_eq(hpt_study_pruner(study), "nop");
    cr_assert_eq(hpt_study_n_directions(study), 1);
    cr_assert_eq(hpt_study_direction(study, 0), HPT_MINIMIZE);
    hpt_study_close(study);
    hpt_space_destroy(space);
    hpt_space_destroy(empty);
}

Test(api_study_open, modes_create_join_and_refuse)
{
    const char *url = fresh_db();
    hpt_study *study;
    hpt_space *space = line_space(), *other;
    OK(hpt_space_create(&other));
    OK(hpt_space_add_float(other, "x", -5.0, 6.0, 0.0, 0));
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.name = "s";
    o.mode = HPT_OPEN_EXISTING;
    FAILS(HPT_E_NOT_FOUND, hpt_study_open(&study, &o));
    cr_assert_neq(access(db_path, F_OK), 0, "looking for a study makes no file");
    o.space = space;
    o.mode = HPT_OPEN_CREATE;
    OK(hpt_study_open(&study, &o));
    const uint64_t seed = hpt_study_seed(study);
    hpt_study_close(study);
    FAILS(HPT_E_EXISTS, hpt_study_open(&study, &o));
    o.mode = HPT_OPEN_OR_CREATE;
    OK(hpt_study_open(&study, &o));
    cr_assert_eq(hpt_study_seed(study), seed, "the drawn seed is stored");
    hpt_study_close(study);
    o.space = other;
    FAILS(HPT_E_INCOMPATIBLE, hpt_study_open(&study, &o));
    cr_assert(strstr(hpt_last_error(), "'x'") && strstr(hpt_last_error(), "another study name"), "%s", hpt_last_error());
    o.space = NULL;
    o.directions = (const hpt_direction[]){HPT_MAXIMIZE};
    o.n_directions = 1;
    FAILS(HPT_E_INCOMPATIBLE, hpt_study_open(&study, &o));
    o.directions = (const hpt_direction[]){HPT_MINIMIZE, HPT_MINIMIZE};
    o.n_directions = 2;
    FAILS(HPT_E_INCOMPATIBLE, hpt_study_open(&study, &o));
    o.directions = NULL;
    o.n_directions = 0;
    o.name = NULL; // the only study
    o.mode = HPT_OPEN_EXISTING;
    OK(hpt_study_open(&study, &o));
    cr_assert_str_eq(hpt_study_name(study), "s");
    hpt_study_close(study);
    o.name = "t";
    o.mode = HPT_OPEN_OR_CREATE;
    o.space = other;
    OK(hpt_study_open(&study, &o));
    hpt_study_close(study);
    o.name = NULL; // two studies now
    FAILS(HPT_E_NOT_FOUND, hpt_study_open(&study, &o));
    cr_assert(strstr(hpt_last_error(), "s") && strstr(hpt_last_error(), "t"));
    hpt_space_destroy(space);
    hpt_space_destroy(other);
}

Test(api_study_open, reopened_study_continues_as_if_never_closed)
{
    const char *const samplers[] = {"random", "qmc", "tpe", "auto"};
    for (int s = 0; s < 4; s++) {
        const char *url = fresh_db();
        hpt_study *whole = open_with(mixed_space(), samplers[s], 21), *parts = NULL;
        for (int i = 0; i < 30; i++) {
            if (i % 7 == 0) {
                hpt_space *space = mixed_space();
                hpt_study_close(parts);
                hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
                o.storage = url;
                o.name = "p";
                if (i == 0) {
                    o.space = space;
                    o.sampler = samplers[s];
                    o.seed = 21;
                    o.has_seed = true;
                }
                OK(hpt_study_open(&parts, &o));
                hpt_space_destroy(space);
                cr_assert_str_eq(hpt_study_sampler(parts), samplers[s]);
                cr_assert_eq(hpt_study_seed(parts), 21);
            }
            hpt_trial *t, *u;
            double lr;
            OK(hpt_study_ask(&t, whole));
            OK(hpt_study_ask(&u, parts));
            cr_assert_str_eq(params_of(t), params_of(u), "sampler %s, trial %d", samplers[s], i);
            OK(hpt_trial_get_float(&lr, t, "lr"));
            const double y = fabs(log10(lr) + 3);
            OK(hpt_study_tell(whole, t, HPT_TRIAL_COMPLETE, &y, 1));
            OK(hpt_study_tell(parts, u, HPT_TRIAL_COMPLETE, &y, 1));
            hpt_trial_destroy(t);
            hpt_trial_destroy(u);
        }
        hpt_study_close(whole);
        hpt_study_close(parts);
    }
}

Test(api_study_open, trials_of_an_earlier_process_can_be_told)
{
    const char *url = fresh_db();
    hpt_study *study;
    hpt_space *space = line_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.space = space;
    hpt_trial *t;
    OK(hpt_study_open(&study, &o));
    for (int i = 0; i < 3; i++) {
        OK(hpt_study_ask(&t, study));
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
    hpt_space_destroy(space);
    o.space = NULL;
    OK(hpt_study_open(&study, &o));
    OK(hpt_study_trial(&t, study, 1));
    const double y = 4;
    OK(hpt_trial_report(t, 1, 2.0));
    OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
    hpt_trial_destroy(t);
    OK(hpt_study_best(&t, study));
    cr_assert_eq(hpt_trial_number(t), 1);
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(api_study_open, two_handles_on_one_file_see_each_other)
{
    const char *url = fresh_db();
    hpt_study *a, *b;
    hpt_space *space = line_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.space = space;
    OK(hpt_study_open(&a, &o));
    OK(hpt_study_open(&b, &o));
    hpt_space_destroy(space);
    bool taken[40] = {false};
    for (int i = 0; i < 20; i++) {
        hpt_trial *t, *u, *again;
        const double y = i;
        OK(hpt_study_ask(&t, a));
        OK(hpt_study_ask(&u, b));
        const int64_t numbers[] = {hpt_trial_number(t), hpt_trial_number(u)};
        for (int k = 0; k < 2; k++) {
            cr_assert(numbers[k] >= 0 && numbers[k] < 40 && !taken[numbers[k]], "trial %ld twice", (long)numbers[k]);
            taken[numbers[k]] = true;
        }
        OK(hpt_study_trial(&again, b, numbers[0]));
        cr_assert_str_eq(params_of(t), params_of(again));
        OK(hpt_study_tell(b, again, HPT_TRIAL_COMPLETE, &y, 1));
        FAILS(HPT_E_STATE, hpt_study_tell(a, t, HPT_TRIAL_COMPLETE, &y, 1));
        cr_assert(strstr(hpt_last_error(), "COMPLETE"), "%s", hpt_last_error());
        hpt_trial_destroy(t);
        hpt_trial_destroy(u);
        hpt_trial_destroy(again);
    }
    int64_t ca[5], cb[5];
    OK(hpt_study_counts(ca, a));
    OK(hpt_study_counts(cb, b));
    cr_assert_eq(memcmp(ca, cb, sizeof ca), 0);
    cr_assert_eq(ca[HPT_TRIAL_COMPLETE], 20);
    hpt_study_close(a);
    hpt_study_close(b);
}

Test(api_study_open, read_only_reads_and_refuses_to_write)
{
    const char *url = fresh_db();
    hpt_study *study;
    hpt_space *space = line_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.space = space;
    hpt_trial *t;
    const double y = 1;
    OK(hpt_study_open(&study, &o));
    OK(hpt_study_ask(&t, study));
    OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
    hpt_trial_destroy(t);
    OK(hpt_study_ask(&t, study));
    hpt_trial_destroy(t);
    hpt_study_close(study);
    hpt_space_destroy(space);
    o.space = NULL;
    o.mode = HPT_OPEN_READ_ONLY;
    o.sampler = "tpe"; // must not be stored
    OK(hpt_study_open(&study, &o));
    OK(hpt_study_best(&t, study));
    hpt_trial_destroy(t);
    OK(hpt_study_trial(&t, study, 1));
    FAILS(HPT_E_STATE, hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
    FAILS(HPT_E_STATE, hpt_trial_report(t, 0, 1));
    FAILS(HPT_E_STATE, hpt_trial_set_attr(t, "a", "1"));
    hpt_trial_destroy(t);
    FAILS(HPT_E_STATE, hpt_study_ask(&t, study));
    FAILS(HPT_E_STATE, hpt_study_enqueue(study, "{}"));
    hpt_study_close(study);
    o.mode = HPT_OPEN_EXISTING;
    o.sampler = NULL;
    OK(hpt_study_open(&study, &o));
    cr_assert_str_eq(hpt_study_sampler(study), "auto");
    hpt_study_close(study);
}

static int collect(const char *text, size_t size, void *payload)
{
    char *all = payload; // 64 KiB
    const size_t n = strlen(all);
    cr_assert_lt(n + size, 65536u);
    memcpy(all + n, text, size);
    all[n + size] = 0;
    return 0;
}

static void stored_config(char *out, const char *url)
{
    hpt_study *study;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    OK(hpt_study_open(&study, &o));
    out[0] = 0;
    OK(hpt_study_export(study, "json", 1000000, collect, out));
    hpt_study_close(study);
}

Test(api_study_open, given_beats_environment_beats_stored_beats_default)
{
    static char text[65536];
    const char *url = fresh_db();
    hpt_study *study;
    hpt_space *space = line_space();
    unsetenv("HPT_TPE_N_STARTUP");
    unsetenv("HPT_DEVICE");
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.space = space;
    o.sampler = "tpe";
    o.options = (const char *const[]){"tpe.n_startup=20", "tpe.n_candidates=48"};
    o.n_options = 2;
    o.seed = UINT64_MAX; // beyond what JSON readers keep as a number
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    hpt_study_close(study);
    o = (hpt_study_options)HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    OK(hpt_study_open(&study, &o));
    cr_assert_eq(hpt_study_seed(study), UINT64_MAX);
    cr_assert_str_eq(hpt_study_sampler(study), "tpe");
    hpt_study_close(study);
    stored_config(text, url);
    cr_assert(strstr(text, "\"tpe.n_startup\": 20") && strstr(text, "\"tpe.n_candidates\": 48"), "%s", text);
    setenv("HPT_TPE_N_STARTUP", "10", 1); // the default, but said now
    OK(hpt_study_open(&study, &o));
    hpt_study_close(study);
    stored_config(text, url);
    cr_assert(!strstr(text, "tpe.n_startup") && strstr(text, "\"tpe.n_candidates\": 48"), "%s", text);
    o.options = (const char *const[]){"tpe.n_startup=7"};
    o.n_options = 1;
    o.sampler = "random";
    o.seed = 3;
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    cr_assert_str_eq(hpt_study_sampler(study), "random");
    cr_assert_eq(hpt_study_seed(study), 3);
    hpt_study_close(study);
    stored_config(text, url);
    cr_assert(strstr(text, "\"sampler\": \"random\"") && strstr(text, "\"seed\": 3"), "%s", text);
    setenv("HPT_TPE_N_STARTUP", "many", 1);
    FAILS(HPT_E_ARG, hpt_study_open(&study, &o));
    cr_assert(strstr(hpt_last_error(), "HPT_TPE_N_STARTUP"), "%s", hpt_last_error());
    hpt_space_destroy(space);
}
