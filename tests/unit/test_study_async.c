// SPDX-License-Identifier: Apache-2.0
// test_study_async.c: what goes on in a study while a model thinks. The sampler here stops in the middle of a suggestion
// until it is let go on; whatever waited for the ask would never come, and the alarm would end the test.
#include "core/study/study_state.h"
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())

static sem_t inside, go_on;
static atomic_bool gated;
static atomic_int calls;
static double last_seen; // value of trial 0 that the sampler saw

static int gate_create(void **state, const hpt__sampler_env *env) {
    (void)env;
    *state = NULL;
    return 0;
}

static int gate_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    (void)state;
    calls++;
    if (atomic_exchange(&gated, false)) {
        sem_post(&inside);
        sem_wait(&go_on);
    }
    last_seen = table->n ? table->values[0] : NAN;
    if (isnan(point[0])) point[0] = (double)number / 100;
    point[1] = 0;
    *by = "gate";
    return 0;
}

static hpt__sampler_ops gate_ops = {.name = "gate", .doc = "", .create = gate_create, .suggest = gate_suggest};

static hpt_study *open_gated(void) {
    hpt_study *study;
    hpt_space *space;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    alarm(60);
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    gated = false;
    calls = 0;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    OK(hpt_space_add_categorical(space, "c", (const char *const[]){"a"}, 1));
    o.space = space;
    o.storage = ":memory:";
    o.sampler = "random";
    o.pruner = "median";
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    study->sampler->destroy(study->sampler_state);
    study->sampler = &gate_ops;
    study->sampler_made = false;
    study->sampler_state = NULL;
    return study;
}

typedef struct asking {
    hpt_study *study;
    hpt_trial *trial;
    pthread_t thread;
    int64_t q, ahead, n;
    atomic_bool cancel;
    int rc;
} asking;

static void *ask_thread(void *payload) {
    asking *a = payload;
    a->rc = hpt__study_ask_ahead(&a->trial, &a->n, a->study, a->q, a->ahead, &a->cancel);
    return NULL;
}

static void start_ask(asking *a, hpt_study *study, int64_t q, int64_t ahead) {
    *a = (asking){.study = study, .q = q, .ahead = ahead};
    gated = true;
    cr_assert_eq(pthread_create(&a->thread, NULL, ask_thread, a), 0);
    sem_wait(&inside);
}

static void end_ask(asking *a) {
    sem_post(&go_on);
    pthread_join(a->thread, NULL);
}

static hpt_trial *ask(hpt_study *study) {
    hpt_trial *t;
    OK(hpt_study_ask(&t, study));
    return t;
}

Test(study_async, reports_tells_and_prunings_do_not_wait_for_a_model)
{
    hpt_study *study = open_gated();
    hpt_trial *a = ask(study), *b = ask(study);
    const double y = 0.5;
    bool prune;
    asking other;
    start_ask(&other, study, 1, 0);
    OK(hpt_trial_report(a, 0, 1.0));
    const hpt__study_report item = {1, 0, 2.0};
    OK(hpt__study_report_many(study, &item, 1));
    OK(hpt_trial_should_prune(&prune, b));
    OK(hpt_study_tell(study, a, HPT_TRIAL_COMPLETE, &y, 1));
    int64_t counts[5];
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 1);
    cr_assert_eq(counts[HPT_TRIAL_RUNNING], 1, "the third trial is not stored yet");
    end_ask(&other);
    OK(other.rc);
    cr_assert_eq(hpt_trial_number(other.trial), 2);
    cr_assert(isnan(last_seen), "a suggestion is made of what was known when it was asked for");
    cr_assert_eq(calls, 3, "and not thrown away for a result that came in meanwhile");
    hpt_trial *next = ask(study);
    cr_assert_eq(last_seen, 0.5, "the next ask knows it");
    hpt_trial_destroy(next);
    hpt_trial_destroy(other.trial);
    hpt_trial_destroy(a);
    hpt_trial_destroy(b);
    hpt_study_close(study);
}

Test(study_async, a_trial_that_was_queued_meanwhile_moves_the_numbers_and_the_points_are_made_again)
{
    hpt_study *study = open_gated();
    asking other;
    double x;
    start_ask(&other, study, 1, 0);
    OK(hpt_study_enqueue(study, "{\"x\": 0.75}"));
    end_ask(&other);
    OK(other.rc);
    cr_assert_eq(hpt_trial_number(other.trial), 1);
    OK(hpt_trial_get_float(&x, other.trial, "x"));
    cr_assert_eq(x, 0.01);
    cr_assert_eq(calls, 2);
    hpt_trial_destroy(other.trial);
    hpt_study_close(study);
}

Test(study_async, a_whole_waiting_trial_is_claimed_beside_an_ask)
{
    hpt_study *study = open_gated();
    asking other;
    hpt_trial *t = NULL;
    double x;
    start_ask(&other, study, 1, 0);
    cr_assert_eq(hpt__study_claim(&t, study), HPT_S_NOTHING);
    OK(hpt_study_enqueue(study, "{\"x\": 0.75}"));
    OK(hpt__study_claim(&t, study));
    OK(hpt_trial_get_float(&x, t, "x"));
    cr_assert_eq(x, 0.75);
    cr_assert_eq(hpt__study_claim(&t, study), HPT_S_NOTHING);
    end_ask(&other);
    OK(other.rc);
    hpt_trial_destroy(t);
    hpt_trial_destroy(other.trial);
    hpt_study_close(study);
}

Test(study_async, suggestions_ahead_wait_with_whole_points_of_the_same_batch)
{
    hpt_study *study = open_gated();
    hpt_trial *t, *rest;
    int64_t n, counts[5];
    double x;
    OK(hpt__study_ask_ahead(&t, &n, study, 1, 3, NULL));
    cr_assert_eq(n, 1);
    cr_assert_eq(hpt_trial_number(t), 0);
    OK(hpt_study_counts(counts, study));
    cr_assert_eq(counts[HPT_TRIAL_RUNNING], 1);
    cr_assert_eq(counts[HPT_TRIAL_WAITING], 3);
    const int before = calls;
    for (int i = 1; i <= 3; i++) {
        OK(hpt__study_claim(&rest, study));
        cr_assert_eq(hpt_trial_number(rest), i);
        OK(hpt_trial_get_float(&x, rest, "x"));
        cr_assert_eq(x, i / 100.0);
        hpt_trial_destroy(rest);
    }
    cr_assert_eq(calls, before, "the sampler is not asked again");
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(study_async, a_cancelled_ask_stores_nothing)
{
    hpt_study *study = open_gated();
    asking other;
    start_ask(&other, study, 1, 2);
    other.cancel = true;
    end_ask(&other);
    cr_assert_eq(other.rc, HPT_S_NOTHING);
    cr_assert_eq(other.n, 0);
    cr_assert_eq(study->table.n, 0);
    hpt_trial *t = ask(study);
    cr_assert_eq(hpt_trial_number(t), 0);
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(study_async, an_unclaimed_trial_is_the_next_that_is_asked_for)
{
    static const char path[] = "/tmp/hpt-study-async.db";
    const char *const urls[] = {":memory:", "sqlite:////tmp/hpt-study-async.db"};
    for (int u = 0; u < 2; u++) {
        hpt_study *study;
        hpt_space *space;
        hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
        unlink(path);
        OK(hpt_space_create(&space));
        OK(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
        o.space = space;
        o.storage = urls[u];
        o.sampler = "random";
        OK(hpt_study_open(&study, &o));
        hpt_trial *a = ask(study), *b = ask(study), *again;
        const double x = hpt__trial_point(a)[0];
        OK(hpt__study_unclaim(study, a));
        cr_assert_eq(hpt_trial_get_state(a), HPT_TRIAL_WAITING);
        cr_assert_eq(hpt__study_unclaim(study, a), HPT_E_STATE);
        if (u == 1) { // what another program reads
            hpt_study *reader;
            o.space = NULL;
            OK(hpt_study_open(&reader, &o));
            cr_assert_eq(reader->table.counts[HPT_TRIAL_WAITING], 1);
            cr_assert_eq(reader->table.info[0].start_us, INT64_MIN);
            hpt_study_close(reader);
        }
        again = ask(study);
        cr_assert_eq(hpt_trial_number(again), 0);
        cr_assert_eq(hpt__trial_point(again)[0], x);
        const double y = 1;
        OK(hpt_study_tell(study, again, HPT_TRIAL_COMPLETE, &y, 1));
        hpt_trial_destroy(a);
        hpt_trial_destroy(b);
        hpt_trial_destroy(again);
        hpt_study_close(study);
        hpt_space_destroy(space);
    }
    unlink(path);
}

Test(study_async, a_half_open_queued_point_is_completed_without_the_lock)
{
    hpt_study *study = open_gated();
    hpt_trial *running = ask(study);
    asking other;
    OK(hpt_study_enqueue(study, "{\"c\": \"a\"}"));
    start_ask(&other, study, 1, 0);
    OK(hpt_trial_report(running, 0, 1.0)); // would wait for ever
    end_ask(&other);
    OK(other.rc);
    double x;
    cr_assert_eq(hpt_trial_number(other.trial), 1);
    OK(hpt_trial_get_float(&x, other.trial, "x"));
    cr_assert_eq(x, 0.01);
    hpt_trial_destroy(running);
    hpt_trial_destroy(other.trial);
    hpt_study_close(study);
}
