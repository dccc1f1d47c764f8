// SPDX-License-Identifier: Apache-2.0
// test_study_internals.c: what sched and serve use of a study, and what no public call shows: the rows a sampler
// sees in a batch, optimistic asks that lose a race, retries, failing allocations.
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/study/study_state.h"
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_assert_eq((call), (status), "%s: %s", #call, hpt_last_error())

static hpt_space *small_space(void) {
    hpt_space *s;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "x", 0.0, 1.0, 0.0, 0));
    OK(hpt_space_add_categorical(s, "c", (const char *const[]){"a", "b"}, 2));
    OK(hpt_space_add_int(s, "n", 1, 4, 1, 0));
    OK(hpt_space_add_condition(s, "n", "c", (const char *const[]){"b"}, 1));
    return s;
}

static hpt_study *open_study(const char *storage, const char *sampler) {
    hpt_study *study;
    hpt_space *space = small_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.storage = storage;
    o.sampler = sampler;
    o.seed = 5;
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    return study;
}

static char db_path[64], db_url[96];
static void drop_db(void) {
    char side[80];
    unlink(db_path);
    for (int i = 0; i < 2; i++) {
        snprintf(side, sizeof side, "%s%s", db_path, i ? "-wal" : "-shm");
        unlink(side);
    }
}

static const char *fresh_db(void) {
    snprintf(db_path, sizeof db_path, "/tmp/hpt_study_%ld.db", (long)getpid());
    snprintf(db_url, sizeof db_url, "sqlite:///%s", db_path);
    drop_db();
    atexit(drop_db);
    return db_url;
}

// ---- a sampler that writes down what it sees -----------------------------------------------------------------

typedef struct spy {
    int64_t numbers[64], rows[64], running[64];
    uint64_t calls;
    int fail_at;      // call that fails; 0: none
    hpt_study *rival; // asked once, in the middle of the first suggestion
    int creates;
} spy;
static spy the_spy;

static int spy_create(void **state, const hpt__sampler_env *env) {
    (void)env;
    *state = &the_spy;
    the_spy.creates++;
    return 0;
}

static int spy_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    spy *s = state;
    const uint64_t i = s->calls++;
    if (s->fail_at && (int)s->calls == s->fail_at) return hpt__fail(HPT_E_INTERNAL, "the spy fails");
    if (i < 64) {
        s->numbers[i] = number;
        s->rows[i] = table->n;
        s->running[i] = table->counts[HPT_TRIAL_RUNNING];
    }
    if (table->n) { // the newest earlier trial is visible with its point
        double seen[3];
        hpt__trials_get_point(seen, table, table->n - 1);
        cr_assert_eq(seen[0], (double)table->number[table->n - 1] / 100);
    }
    if (s->rival) {
        hpt_trial *t;
        hpt_study *rival = s->rival;
        s->rival = NULL;
        OK(hpt_study_ask(&t, rival));
        hpt_trial_destroy(t);
    }
    point[0] = (double)number / 100;
    point[1] = 0;
    point[2] = NAN;
    *by = "spy";
    return 0;
}

static hpt__sampler_ops spy_ops = {.name = "spy", .doc = "", .create = spy_create, .suggest = spy_suggest};

static hpt_study *open_spied(const char *storage, bool cheap) {
    hpt_study *study = open_study(storage, "random");
    spy_ops.cheap = cheap;
    study->sampler->destroy(study->sampler_state);
    study->sampler = &spy_ops;
    study->sampler_made = false;
    study->sampler_state = NULL;
    return study;
}

Test(study_batch, a_model_sees_earlier_points_of_the_batch_as_running)
{
    hpt_study *study = open_spied(":memory:", false);
    hpt_trial *many[6];
    int64_t n;
    OK(hpt_study_ask_batch(many, &n, study, 6));
    cr_assert_eq(n, 6);
    cr_assert_eq(the_spy.calls, 6);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(the_spy.numbers[i], i);
        cr_assert_eq(the_spy.rows[i], i);
        cr_assert_eq(the_spy.running[i], i);
        cr_assert_eq(hpt_trial_number(many[i]), i);
        double x;
        OK(hpt_trial_get_float(&x, many[i], "x"));
        cr_assert_eq(x, i / 100.0);
        char *by;
        OK(hpt__study_trial_attr(&by, study, i, "s:hpt:by"));
        cr_assert_str_eq(by, "\"spy\"");
        hpt_free(by);
        hpt_trial_destroy(many[i]);
    }
    cr_assert_eq(study->table.n, 6);
    cr_assert_eq(study->table.counts[HPT_TRIAL_RUNNING], 6);
    hpt_study_close(study);
}

Test(study_batch, a_failing_sampler_leaves_no_row_behind)
{
    hpt_study *study = open_spied(":memory:", false);
    hpt_trial *many[4];
    int64_t n;
    the_spy.fail_at = 3;
    FAILS(HPT_E_INTERNAL, hpt_study_ask_batch(many, &n, study, 4));
    cr_assert_eq(study->table.n, 0);
    cr_assert_eq(study->table.counts[HPT_TRIAL_RUNNING], 0);
    OK(hpt_study_ask_batch(many, &n, study, 4));
    cr_assert_eq(the_spy.creates, 2, "its caches are made anew");
    cr_assert_eq(study->table.n, 4);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(hpt_trial_number(many[i]), i);
        hpt_trial_destroy(many[i]);
    }
    hpt_study_close(study);
}

Test(study_batch, a_lost_race_makes_the_points_again_for_their_real_numbers)
{
    const char *url = fresh_db();
    hpt_study *rival = open_spied(url, true), *study = open_spied(url, false);
    hpt_trial *many[2];
    int64_t n;
    the_spy.rival = rival;
    OK(hpt_study_ask_batch(many, &n, study, 2));
    cr_assert_eq(n, 2);
    for (int i = 0; i < 2; i++) {
        double x;
        cr_assert_eq(hpt_trial_number(many[i]), i + 1, "the rival has number 0");
        OK(hpt_trial_get_float(&x, many[i], "x"));
        cr_assert_eq(x, (i + 1) / 100.0);
        hpt_trial_destroy(many[i]);
    }
    cr_assert_eq(the_spy.calls, 5, "two in vain, one of the rival, two again");
    cr_assert_eq(study->table.n, 3);
    hpt_study_close(study);
    hpt_study_close(rival);
}

// ---- for the scheduler ---------------------------------------------------------------------------------------

Test(study_sched, reports_of_many_trials_skip_the_finished)
{
    hpt_study *study = open_study(":memory:", "random");
    hpt_trial *many[3];
    int64_t n, step, *numbers;
    const double y = 1;
    OK(hpt_study_ask_batch(many, &n, study, 3));
    OK(hpt_study_tell(study, many[1], HPT_TRIAL_COMPLETE, &y, 1));
    const hpt__study_report items[] = {{0, 0, 5}, {1, 0, 6}, {2, 0, 7}, {0, 1, 8}, {0, 0, 9}, {77, 0, 1}, {2, -3, 1}};
    OK(hpt__study_report_many(study, items, 7));
    OK(hpt__study_report_many(study, NULL, 0));
    cr_assert_eq(hpt__trials_last_report(&study->table, 0, &step), 8);
    cr_assert_eq(step, 1);
    cr_assert_eq(study->table.info[0].n_reports, 2);
    cr_assert_eq(study->table.info[0].reports[0].value, 9, "the same step again replaces");
    cr_assert_eq(study->table.info[1].n_reports, 0);
    cr_assert_eq(study->table.info[2].n_reports, 1);
    OK(hpt__study_numbers(&numbers, &n, study, HPT_TRIAL_RUNNING));
    cr_assert(n == 2 && numbers[0] == 0 && numbers[1] == 2);
    hpt_free(numbers);
    for (int i = 0; i < 3; i++) hpt_trial_destroy(many[i]);
    hpt_study_close(study);
}

Test(study_sched, attributes_are_told_with_the_result)
{
    const char *const urls[] = {":memory:", NULL};
    for (int u = 0; u < 2; u++) {
        hpt_study *study = open_study(urls[u] ? urls[u] : fresh_db(), "random");
        hpt_trial *t;
        char *text;
        const hpt__attr_item attrs[] = {{"s:hpt:outcome", "\"done\""}, {"u:note", "[1, 2]"}};
        const hpt__attr_item early = {"s:hpt:attempts", "1"};
        OK(hpt_study_ask(&t, study));
        OK(hpt__study_trial_attrs(study, t, &early, 1));
        const double y = 2;
        OK(hpt__study_tell_attrs(study, t, HPT_TRIAL_COMPLETE, &y, 1, attrs, 2));
        OK(hpt__study_trial_attr(&text, study, 0, "s:hpt:outcome"));
        cr_assert_str_eq(text, "\"done\"");
        hpt_free(text);
        OK(hpt__study_trial_attr(&text, study, 0, "u:note"));
        cr_assert_str_eq(text, "[1, 2]");
        hpt_free(text);
        OK(hpt__study_trial_attr(&text, study, 0, "s:hpt:attempts"));
        cr_assert_str_eq(text, "1");
        hpt_free(text);
        OK(hpt__study_trial_attr(&text, study, 0, "s:nothing"));
        cr_assert_null(text);
        FAILS(HPT_E_NOT_FOUND, hpt__study_trial_attr(&text, study, 4, "s:nothing"));
        OK(hpt__study_attr_set(study, "s:hpt:run_id", "\"r1\""));
        OK(hpt__study_attr_get(&text, study, "s:hpt:run_id"));
        cr_assert_str_eq(text, "\"r1\"");
        hpt_free(text);
        OK(hpt__study_attr_get(&text, study, "s:hpt:nothing"));
        cr_assert_null(text);
        hpt_trial_destroy(t);
        hpt_study_close(study);
    }
}

Test(study_sched, a_retry_is_the_same_point_with_its_history)
{
    const char *const urls[] = {":memory:", NULL};
    for (int u = 0; u < 2; u++) {
        hpt_study *study = open_study(urls[u] ? urls[u] : fresh_db(), "random");
        hpt_trial *t, *again = NULL;
        double point[3];
        OK(hpt_study_ask(&t, study));
        OK(hpt_trial_set_attr(t, "mine", "7"));
        memcpy(point, hpt__trial_point(t), sizeof point);
        const hpt__attr_item outcome = {"s:hpt:outcome", "\"failed\""};
        for (int attempt = 1; attempt <= 2; attempt++) {
            OK(hpt__study_tell_attrs(study, t, HPT_TRIAL_FAIL, NULL, 0, &outcome, 1));
            OK(hpt__study_retry(study, t));
            OK(hpt_study_ask(&again, study));
            cr_assert_eq(hpt_trial_number(again), attempt);
            for (int i = 0; i < 3; i++) {
                const double v = hpt__trial_point(again)[i];
                cr_assert(v == point[i] || (isnan(v) && isnan(point[i])));
            }
            char *text;
            OK(hpt__study_trial_attr(&text, study, attempt, "s:failed_trial"));
            cr_assert_str_eq(text, "0");
            hpt_free(text);
            OK(hpt__study_trial_attr(&text, study, attempt, "s:retry_history"));
            cr_assert_str_eq(text, attempt == 1 ? "[0]" : "[0, 1]");
            hpt_free(text);
            OK(hpt__study_trial_attr(&text, study, attempt, "u:mine"));
            cr_assert_str_eq(text, "7");
            hpt_free(text);
            OK(hpt__study_trial_attr(&text, study, attempt, "s:hpt:outcome"));
            cr_assert_null(text, "the outcome belongs to the attempt");
            hpt_trial_destroy(t);
            t = again;
        }
        hpt_trial_destroy(t);
        hpt_study_close(study);
    }
}

static int fill_copy(hpt__new_trial *batch, int64_t *q, int64_t first, void *payload) {
    (void)first;
    batch[0] = *(const hpt__new_trial *)payload;
    *q = 1;
    return 0;
}

Test(study_queue, points_queued_by_optuna_are_taken_from_its_attribute)
{
    hpt_study *study = open_study(":memory:", "random");
    const char *const keys[] = {"s:fixed_params"};
    const struct {
        const char *text;
        double x, c, n; // NaN: whatever the sampler likes
    } cases[] = {
        {"{\"x\": 0.25, \"c\": \"b\", \"n\": 2}", 0.25, 1, 2},
        {"{\"x\": 0.5}", 0.5, NAN, NAN},
        {"{\"x\": 7.0, \"c\": \"a\", \"other\": 1}", NAN, 0, NAN},
        {"no json", NAN, NAN, NAN},
        {"[1]", NAN, NAN, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpt__new_trial batch = {0};
        hpt__new_trial waiting = {.state = HPT_TRIAL_WAITING,
                                  .attr_keys = keys,
                                  .attr_values = &cases[i].text,
                                  .n_attrs = 1,
                                  .start_us = INT64_MIN,
                                  .complete_us = INT64_MIN};
        OK(study->storage->ops->create_trials(study->storage, study->study_id, &study->table, &batch, 1, fill_copy,
                                              &waiting));
        hpt_trial *t;
        int64_t bad;
        OK(hpt_study_ask(&t, study));
        cr_assert_eq(hpt_trial_number(t), (int64_t)i);
        const double *p = hpt__trial_point(t);
        cr_assert(hpt__space_check(study->space, p, &bad), "case %zu", i);
        if (!isnan(cases[i].x)) cr_assert_eq(p[0], cases[i].x);
        if (!isnan(cases[i].c)) cr_assert_eq(p[1], cases[i].c);
        if (!isnan(cases[i].n)) cr_assert_eq(p[2], cases[i].n);
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
}

// ---- failing allocations -------------------------------------------------------------------------------------

static int64_t allocs_left;
static bool fail_one(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return allocs_left-- == 0;
}

static int sink(const char *text, size_t size, void *payload) {
    (void)text;
    *(size_t *)payload += size;
    return 0;
}

// Everything a study does; any call may fail with HPT_E_MEMORY only. Returns whether all succeeded.
static bool whole_life(const char *url) {
    int rc = 0;
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_trial *t = NULL, *many[3] = {0}, **front = NULL;
    int64_t n_many = 0, n_front = 0, counts[5], n, *numbers = NULL;
    char *text = NULL;
    const char *borrowed;
    bool prune;
    size_t size = 0;
    const double y = 1;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.sampler = "tpe";
    o.pruner = "median";
    o.seed = 1;
    o.has_seed = true;
    o.options = (const char *const[]){"tpe.n_startup=0"};
    o.n_options = 1;
    HPT_TRY(hpt_space_create(&space));
    HPT_TRY(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    HPT_TRY(hpt_space_add_int(space, "n", 1, 4, 1, 0));
    o.space = space;
    HPT_TRY(hpt_study_open(&study, &o));
    HPT_TRY(hpt_study_enqueue(study, "{\"x\": 0.5}"));
    HPT_TRY(hpt_study_ask_batch(many, &n_many, study, 3));
    for (int i = 0; i < n_many; i++) {
        HPT_TRY(hpt_trial_report(many[i], 0, 1.5));
        HPT_TRY(hpt_trial_should_prune(&prune, many[i]));
        HPT_TRY(hpt_trial_set_attr(many[i], "k", "[1]"));
        HPT_TRY(hpt_trial_params_json(&borrowed, many[i]));
        HPT_TRY(hpt_trial_get_string(&borrowed, many[i], "x"));
        if (i == 2)
            HPT_TRY(hpt_study_tell(study, many[i], HPT_TRIAL_FAIL, NULL, 0));
        else
            HPT_TRY(hpt_study_tell(study, many[i], HPT_TRIAL_COMPLETE, &y, 1));
    }
    if (n_many == 3) HPT_TRY(hpt__study_retry(study, many[2]));
    HPT_TRY(hpt_study_ask(&t, study));
    hpt_trial_destroy(t);
    t = NULL;
    HPT_TRY(hpt_study_best(&t, study));
    HPT_TRY(hpt_study_pareto(&front, &n_front, study));
    HPT_TRY(hpt_study_counts(counts, study));
    HPT_TRY(hpt__study_numbers(&numbers, &n, study, HPT_TRIAL_COMPLETE));
    HPT_TRY(hpt_study_stats(&text, study));
    HPT_TRY(hpt_study_export(study, "csv", 0, sink, &size));
    HPT_TRY(hpt_study_export(study, "json", 0, sink, &size));
    rc = 0;
out:
    cr_assert(rc == 0 || rc == HPT_E_MEMORY || rc == HPT_E_STORAGE, "%s", hpt_last_error());
    hpt_trial_destroy(t);
    for (int64_t i = 0; i < n_many; i++) hpt_trial_destroy(many[i]);
    for (int64_t i = 0; i < n_front; i++) hpt_trial_destroy(front[i]);
    hpt_free(front);
    hpt_free(numbers);
    hpt_free(text);
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc == 0;
}

Test(study_fault, every_failing_allocation_is_an_error_without_leak)
{
    bool done = false;
    int64_t k = 0;
    for (; !done; k++) {
        allocs_left = k;
        hpt__alloc_set_hook(fail_one, NULL);
        done = whole_life(":memory:") && allocs_left >= 0;
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert_lt(k, 100000);
    }
    cr_assert_gt(k, 100, "the hook was not reached");
}

Test(study_fault, serving_survives_every_failing_allocation)
{
    static const char *const lines[] = {
        ("{\"op\":\"create\",\"sampler\":{\"type\":\"tpe\",\"n_startup\":1},\"objectives\":[{\"name\":\"a\"}],"
         "\"parameters\":{\"x\":{\"min\":0.0,\"max\":1.0}}}"),
        "{\"op\":\"ask\",\"n\":2}",
        "{\"op\":\"tell\",\"trial\":0,\"value\":1,\"constraints\":[1]}",
        "{\"op\":\"enqueue\",\"params\":{\"x\":0.5}}",
        "{\"op\":\"trials\"}",
        "{\"op\":\"pareto\"}",
        "{\"op\":\"stats\"}",
        "{\"op\":\"nothing\"}",
    };
    bool done = false;
    int64_t k = 0;
    for (; !done; k++) {
        hpt_serve *serve = NULL;
        allocs_left = k;
        hpt__alloc_set_hook(fail_one, NULL);
        int rc = hpt_serve_create(&serve);
        for (size_t i = 0; rc == 0 && i < sizeof lines / sizeof *lines; i++) {
            const char *reply = NULL;
            const int status = hpt_serve_request(&reply, serve, lines[i]);
            cr_assert(status == 0 || status == HPT_E_MEMORY, "%s", hpt_last_error());
            if (status == 0) cr_assert_eq(strncmp(reply, "{\"ok\":", 6), 0);
        }
        done = allocs_left >= 0;
        hpt_serve_destroy(serve);
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert_lt(k, 100000);
    }
    cr_assert_gt(k, 50, "the hook was not reached");
}
