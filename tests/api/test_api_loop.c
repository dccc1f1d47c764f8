// SPDX-License-Identifier: Apache-2.0
// test_api_loop.c: hpt_study_optimize, exports and statistics through the public headers only.
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_assert_eq((call), (status), "%s: %s", #call, hpt_last_error())

static hpt_study *line_study(const char *sampler) {
    hpt_study *study;
    hpt_space *space;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_float(space, "x", -5.0, 5.0, 0.0, 0));
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.sampler = sampler;
    o.seed = 1;
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    return study;
}

static int parabola(double *values, hpt_trial *trial, void *payload) {
    double x;
    if (payload) atomic_fetch_add((atomic_int *)payload, 1);
    OK(hpt_trial_get_float(&x, trial, "x"));
    values[0] = (x - 1) * (x - 1);
    return 0;
}

Test(api_optimize, makes_the_number_of_trials_asked_for)
{
    for (int64_t threads = 0; threads <= 8; threads += 4) {
        hpt_study *study = line_study("random");
        atomic_int calls = 0;
        hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
        o.n_trials = 50;
        o.n_threads = threads;
        OK(hpt_study_optimize(study, parabola, &calls, &o));
        int64_t counts[5];
        OK(hpt_study_counts(counts, study));
        cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 50);
        cr_assert_eq(atomic_load(&calls), 50);
        hpt_study_close(study);
    }
}

Test(api_optimize, threads_do_not_change_points_that_depend_on_the_number_only)
{
    hpt_study *one = line_study("random"), *many = line_study("random");
    hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
    o.n_trials = 40;
    OK(hpt_study_optimize(one, parabola, NULL, &o));
    o.n_threads = 4;
    OK(hpt_study_optimize(many, parabola, NULL, &o));
    for (int64_t i = 0; i < 40; i++) {
        hpt_trial *a, *b;
        double x, y;
        OK(hpt_study_trial(&a, one, i));
        OK(hpt_study_trial(&b, many, i));
        OK(hpt_trial_get_float(&x, a, "x"));
        OK(hpt_trial_get_float(&y, b, "x"));
        cr_assert_eq(x, y, "trial %ld", (long)i);
        hpt_trial_destroy(a);
        hpt_trial_destroy(b);
    }
    hpt_study_close(one);
    hpt_study_close(many);
}

static int moody(double *values, hpt_trial *trial, void *payload) {
    (void)payload;
    values[0] = 1;
    switch (hpt_trial_number(trial) % 4) {
    case 0:
        return 0;
    case 1:
        return HPT_S_PRUNE;
    case 2:
        return HPT_E_IO;
    default:
        values[0] = NAN;
        return 0;
    }
}

Test(api_optimize, failures_and_prunings_do_not_end_the_loop)
{
    hpt_study *study = line_study("random");
    hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
    o.n_trials = 20;
    OK(hpt_study_optimize(study, moody, NULL, &o));
    int64_t counts[5];
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 5);
    cr_assert_eq(counts[HPT_TRIAL_PRUNED], 5);
    cr_assert_eq(counts[HPT_TRIAL_FAIL], 10);
    hpt_study_close(study);
}

typedef struct watch {
    atomic_int inside, calls;
    int stop_at;
} watch;

static int watcher(hpt_study *study, hpt_trial *trial, void *payload) {
    watch *w = payload;
    int64_t counts[5];
    cr_assert_eq(atomic_fetch_add(&w->inside, 1), 0, "callbacks overlap");
    OK(hpt_study_counts(counts, study)); // the study may be used
    cr_assert_eq(hpt_trial_get_state(trial), HPT_TRIAL_COMPLETE);
    const int calls = atomic_fetch_add(&w->calls, 1) + 1;
    atomic_fetch_sub(&w->inside, 1);
    return calls >= w->stop_at;
}

Test(api_optimize, callback_is_serialised_and_can_stop)
{
    for (int64_t threads = 1; threads <= 4; threads += 3) {
        hpt_study *study = line_study("random");
        watch w = {.stop_at = 10};
        hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
        o.n_threads = threads;
        o.callback = watcher;
        o.callback_payload = &w;
        FAILS(HPT_S_STOPPED, hpt_study_optimize(study, parabola, NULL, &o));
        const int calls = atomic_load(&w.calls);
        cr_assert(calls >= 10 && calls < 10 + threads, "%d calls", calls);
        hpt_study_close(study);
    }
}

Test(api_optimize, timeout_and_exhaustion_end_the_loop)
{
    hpt_study *study = line_study("random");
    hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
    o.timeout = 0.02;
    FAILS(HPT_S_STOPPED, hpt_study_optimize(study, parabola, NULL, &o));
    hpt_study_close(study);
    for (int64_t threads = 1; threads <= 4; threads += 3) {
        hpt_space *space;
        OK(hpt_space_create(&space));
        OK(hpt_space_add_int(space, "x", 1, 7, 1, 0));
        hpt_study_options so = HPT_STUDY_OPTIONS_INIT;
        so.space = space;
        so.sampler = "grid";
        OK(hpt_study_open(&study, &so));
        hpt_space_destroy(space);
        o = (hpt_optimize_options)HPT_OPTIMIZE_OPTIONS_INIT;
        o.n_threads = threads;
        FAILS(HPT_S_EXHAUSTED, hpt_study_optimize(study, parabola, NULL, &o));
        int64_t counts[5];
        OK(hpt_study_counts(counts, study));
        cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 7);
        hpt_study_close(study);
    }
}

static int tells_itself(double *values, hpt_trial *trial, void *payload) {
    values[0] = 0;
    OK(hpt_study_tell(payload, trial, HPT_TRIAL_COMPLETE, values, 1));
    return 0;
}

Test(api_optimize, errors_of_the_engine_reach_the_caller_with_their_message)
{
    for (int64_t threads = 1; threads <= 4; threads += 3) {
        hpt_study *study = line_study("random");
        hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
        o.n_trials = 20;
        o.n_threads = threads;
        FAILS(HPT_E_STATE, hpt_study_optimize(study, tells_itself, study, &o));
        cr_assert(strstr(hpt_last_error(), "finished already"), "%s", hpt_last_error());
        o.n_threads = -1;
        FAILS(HPT_E_ARG, hpt_study_optimize(study, parabola, NULL, &o));
        o.n_threads = 0;
        o.timeout = NAN;
        FAILS(HPT_E_ARG, hpt_study_optimize(study, parabola, NULL, &o));
        FAILS(HPT_E_ARG, hpt_study_optimize(study, NULL, NULL, NULL));
        hpt_study_close(study);
    }
}

static void *ask_and_tell(void *payload) {
    hpt_study *study = payload;
    for (int i = 0; i < 200; i++) {
        hpt_trial *t, *best;
        int64_t counts[5];
        OK(hpt_study_ask(&t, study));
        const double y = (double)hpt_trial_number(t);
        OK(hpt_trial_report(t, 0, y));
        OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
        OK(hpt_study_best(&best, study));
        OK(hpt_study_counts(counts, study));
        hpt_trial_destroy(best);
        hpt_trial_destroy(t);
    }
    return NULL;
}

Test(api_threads, many_threads_share_a_study)
{
    hpt_study *study = line_study("random");
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) cr_assert_eq(pthread_create(&threads[i], NULL, ask_and_tell, study), 0);
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    int64_t counts[5];
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 1200);
    hpt_trial *best;
    OK(hpt_study_best(&best, study));
    cr_assert_eq(hpt_trial_number(best), 0);
    hpt_trial_destroy(best);
    hpt_study_close(study);
}

// ---- export --------------------------------------------------------------------------------------------------

typedef struct sink {
    char *text;
    size_t len, cap;
    int fail_after; // pieces; 0: never
    int pieces;
    hpt_study *study; // used from inside, if set
} sink;

static int into(const char *text, size_t size, void *payload) {
    sink *s = payload;
    int64_t counts[5];
    if (s->study) OK(hpt_study_counts(counts, s->study));
    if (s->fail_after && ++s->pieces >= s->fail_after) return -1;
    if (s->len + size + 1 > s->cap) {
        s->cap = (s->len + size + 1) * 2;
        s->text = realloc(s->text, s->cap);
        cr_assert_not_null(s->text);
    }
    memcpy(s->text + s->len, text, size);
    s->len += size;
    s->text[s->len] = 0;
    return 0;
}

static int count_char(const char *text, char c) {
    int n = 0;
    for (; *text; text++) n += *text == c;
    return n;
}

static hpt_study *varied_study(void) {
    hpt_study *study;
    hpt_space *space;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_categorical_json(space, "a,b", (const char *const[]){"\"say \\\"hi\\\"\"", "true", "null"}, 3));
    OK(hpt_space_add_int(space, "n", 1, 4, 1, 0));
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.sampler = "grid";
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    for (int i = 0; i < 6; i++) {
        hpt_trial *t;
        const double y = i == 3 ? INFINITY : i * 0.5;
        OK(hpt_study_ask(&t, study));
        OK(hpt_trial_report(t, 1, NAN));
        if (i == 1) OK(hpt_trial_set_attr(t, "note", "\"x, y\""));
        if (i < 4)
            OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
        else if (i == 4)
            OK(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
        hpt_trial_destroy(t);
    }
    return study;
}

Test(api_export, csv_has_optunas_columns_and_quotes_fields)
{
    hpt_study *study = varied_study();
    sink s = {.study = study};
    OK(hpt_study_export(study, "csv", 0, into, &s));
    const char *head =
        "number,value,datetime_start,datetime_complete,duration,\"params_a,b\",params_n,user_attrs_note,state\r\n";
    cr_assert_eq(strncmp(s.text, head, strlen(head)), 0, "%s", s.text);
    cr_assert_eq(count_char(s.text, '\n'), 7);
    cr_assert(strstr(s.text, "\"say \"\"hi\"\"\""), "%s", s.text);
    cr_assert(strstr(s.text, ",\"x, y\",COMPLETE\r\n"), "%s", s.text);
    cr_assert(strstr(s.text, "3,inf,"), "%s", s.text);
    cr_assert(strstr(s.text, "0 days 00:00:0"), "%s", s.text);
    cr_assert(strstr(s.text, ",RUNNING\r\n") && strstr(s.text, ",FAIL\r\n"), "%s", s.text);
    free(s.text);
    hpt_study_close(study);
}

Test(api_export, json_lines_hold_a_trial_each_and_since_cuts)
{
    hpt_study *study = varied_study();
    sink s = {0};
    OK(hpt_study_export(study, "jsonl", 2, into, &s));
    cr_assert_eq(count_char(s.text, '\n'), 4);
    cr_assert_eq(strncmp(s.text, "{\"number\":2,\"state\":\"COMPLETE\",\"values\":[1.0],\"params\":{", 56), 0, "%s",
                 s.text);
    cr_assert(strstr(s.text, "\"values\":[Infinity]"), "%s", s.text);
    cr_assert(strstr(s.text, "\"values\":null"), "%s", s.text);
    cr_assert(strstr(s.text, "\"reports\":[[1,NaN]]"), "%s", s.text);
    cr_assert(strstr(s.text, "\"hpt:by\":\"grid\""), "%s", s.text);
    free(s.text);
    s = (sink){0};
    OK(hpt_study_export(study, "json", 0, into, &s));
    cr_assert_eq(strncmp(s.text, "{\"study\":\"study\",\"storage\":\":memory:\",\"directions\":[\"minimize\"],", 64), 0,
                 "%s", s.text);
    cr_assert_str_eq(s.text + s.len - 4, "}]}\n");
    cr_assert_eq(count_char(s.text, '{'), count_char(s.text, '}'));
    free(s.text);
    hpt_study_close(study);
}

Test(api_export, bad_formats_and_failing_writers_are_errors)
{
    hpt_study *study = varied_study();
    sink s = {.fail_after = 1};
    FAILS(HPT_E_ARG, hpt_study_export(study, "xml", 0, into, &s));
    FAILS(HPT_E_ARG, hpt_study_export(study, NULL, 0, into, &s));
    FAILS(HPT_E_ARG, hpt_study_export(study, "csv", 0, NULL, NULL));
    FAILS(HPT_E_CALLBACK, hpt_study_export(study, "csv", 0, into, &s));
    int64_t counts[5];
    OK(hpt_study_counts(counts, study)); // not left locked
    hpt_study_close(study);
}

Test(api_export, large_exports_come_in_pieces_that_join)
{
    hpt_study *study = line_study("random");
    hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
    o.n_trials = 2000;
    OK(hpt_study_optimize(study, parabola, NULL, &o));
    sink s = {.study = study, .fail_after = 1000000};
    OK(hpt_study_export(study, "jsonl", 0, into, &s));
    cr_assert_gt(s.pieces, 2);
    cr_assert_eq(count_char(s.text, '\n'), 2000);
    free(s.text);
    hpt_study_close(study);
}

Test(api_stats, say_what_was_done_and_what_chose)
{
    hpt_study *study = line_study("random");
    char *text;
    OK(hpt_study_stats(&text, study));
    cr_assert(strstr(text, "\"last\":null") && strstr(text, "\"asks\":0"), "%s", text);
    hpt_free(text);
    hpt_optimize_options o = HPT_OPTIMIZE_OPTIONS_INIT;
    o.n_trials = 5;
    OK(hpt_study_optimize(study, parabola, NULL, &o));
    OK(hpt_study_stats(&text, study));
    cr_assert(strstr(text, "\"asks\":5,\"tells\":5,"), "%s", text);
    cr_assert(strstr(text, "\"last\":{\"number\":4,\"by\":\"random\"}"), "%s", text);
    cr_assert(strstr(text, "\"complete\":5"), "%s", text);
    cr_assert(strstr(text, "\"seconds\":{\"ask\":"), "%s", text);
    hpt_free(text);
    hpt_study_close(study);
}
