// SPDX-License-Identifier: Apache-2.0
// test_sampler_gp_device.c: sampler gp on a device that fails. The device is the fake plugin, which computes ref's bits, and
// the host has nothing but ref: so what is asked after a failure can be held, in every bit, against a study that ran on ref
// from the start. A sample of all operations by default, each of them with HPT_TEST_FULL=1.
#include "core/study/study_impl.h"
#include "sampler_testing.h"

#include "../backend/plugin/fake_plugin.h"
#include <hpt/log.h>

enum { N_MOST = 80 };

typedef struct told { // what was logged, and what the stats say at the end
    int warnings;
    char line[300];
    char stats[600];
} told;

static void keep(hpt_log_level level, const char *line, void *payload) {
    told *t = payload;
    if (level != HPT_LOG_WARN || strncmp(line, "device ", 7) != 0) return;
    t->warnings++;
    (void)snprintf(t->line, sizeof t->line, "%s", line);
}

static hpt_space *small_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b")));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "y", "c", LIST("b")));
    return s;
}

static double bowl(const double *p, const hpt_space *space) {
    (void)space;
    return (p[0] - 0.3) * (p[0] - 0.3) + (isnan(p[2]) ? 0.1 : (p[2] - 0.6) * (p[2] - 0.6));
}

typedef struct plan {
    const char *device;
    int64_t fail_at; // operations count from the creation of the sampler
    bool stays;
    int status;
    int64_t n_before;       // trials of somebody else, at random places
    int64_t n;              // asks after these
    const char *n_max, *by; // option gp.n_max; a sampler's name (NULL: gp)
    bool promised;          // the GPUs are promised to trials: gp.accelerator=false
} plan;

// The points that are asked while the trial before each still runs. Returns the device's operations.
static int64_t run(double *points, told *t, const plan *p) {
    lab l;
    const char *by;
    fake_control *fake = FAKE("");
    hpt__str stats = HPT__STR_INIT;
    hpt__rng rng;
    *t = (told){0};
    lab_open(&l, small_space(), NULL, 5);
    OK(hpt__options_set(&l.options, "gp.n_startup", "4"));
    OK(hpt__options_set(&l.options, "auto.n_startup", "4"));
    if (p->n_max) OK(hpt__options_set(&l.options, "gp.n_max", p->n_max));
    if (p->promised) OK(hpt__options_set(&l.options, "gp.accelerator", "false"));
    l.env.device = p->device;
    fake->fail_at = -1; // it can be opened
    OK(hpt__sampler_find(&l.ops, p->by ? p->by : "gp"));
    OK(l.ops->create(&l.state, &l.env));
    if (!p->device) OK(l.ops->load(l.state, "{\"gp\": {\"device\": \"cuda\"}}")); // where auto had moved before
    fake->calls = 0;
    fake->fail_at = p->fail_at;
    fake->stays = p->stays;
    fake->status = p->status;
    hpt_log_set(keep, t, HPT_LOG_WARN);
    hpt__rng_init(&rng, 3, 0);
    for (int64_t i = 0; i < p->n_before; i++) {
        double point[3] = {hpt__rng_uniform(&rng), (double)(i % 2), hpt__rng_uniform(&rng)};
        if (i % 2 == 0) point[2] = NAN;
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), bowl(point, l.space));
    }
    int64_t row = -1;
    for (int64_t i = 0; i < p->n; i++) {
        double *point = points + 3 * i;
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "gp");
        if (row >= 0) tell(&l.table, row, bowl(point - 3, l.space));
        row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
    }
    l.ops->describe(&stats, l.state);
    (void)snprintf(t->stats, sizeof t->stats, "%s", hpt__str_text(&stats));
    hpt__str_fini(&stats);
    lab_close(&l);
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
    cr_assert_eq(fake->models, 0);
    cr_assert_eq(fake->open, 0);
    return fake->calls;
}

// Every operation of a run fails in turn (of a sample: the first ones, then some): the same points, one warning. Not the
// opening by auto, which does without what it cannot open.
static void every_operation(plan p, int64_t samples, const char *says) {
    double want[3 * N_MOST], got[3 * N_MOST];
    told t;
    const bool all = getenv("HPT_TEST_FULL") != NULL;
    p.fail_at = -1;
    const char *device = p.device;
    p.device = "ref";
    (void)run(want, &t, &p);
    p.device = device;
    const int64_t n_calls = run(got, &t, &p);
    cr_assert_gt(n_calls, 50);
    cr_assert_eq(t.warnings, 0, "%s", t.line);
    for (int64_t k = p.device ? 0 : 1; k < n_calls; k += all || k < samples / 3 ? 1 : 1 + n_calls / samples) {
        p.fail_at = k;
        (void)run(got, &t, &p);
        cr_assert_eq(t.warnings, 1, "operation %d: %s", (int)k, t.line);
        cr_assert(strstr(t.line, "device cuda failed (operation "), "%s", t.line);
        cr_assert(strstr(t.line, "); going on on ref"), "%s", t.line);
        cr_assert(strstr(t.stats, says), "%s", t.stats);
        for (int64_t i = 0; i < p.n; i++)
            cr_assert(same_points(got + 3 * i, want + 3 * i, 3), "operation %d: ask %d is another", (int)k, (int)i);
    }
}

#define ON_REF "{\"device\":\"ref\", \"instead_of\": \"cuda\", \"because\": \"operation "

Test(sampler_gp_device, that_is_lost_at_any_operation_leaves_a_study_that_goes_on_as_if_it_had_run_on_the_host,
     .init = fake_first)
{ every_operation((plan){.device = "cuda", .status = HPT_E_DEVICE, .stays = true, .n = 9}, 100, ON_REF); }

Test(sampler_gp_device, that_is_lost_and_was_chosen_by_auto_is_no_reason_for_tpe, .init = fake_first)
{ every_operation((plan){.status = HPT_E_DEVICE, .stays = true, .n = 9, .by = "auto"}, 30, ON_REF); }

Test(sampler_gp_device, whose_memory_fails_at_any_operation_likewise, .init = fake_first)
{ every_operation((plan){.device = "cuda", .status = HPT_E_MEMORY, .n = 9}, 100, ON_REF); }

Test(sampler_gp_device, whose_memory_fails_costs_no_points, .init = fake_first)
{
    every_operation((plan){.device = "cuda", .status = HPT_E_MEMORY, .stays = true, .n_before = 130, .n = 1}, 2,
                    "\"policy\":\"exact\",\"points\":130,");
}

Test(sampler_gp_device, that_is_lost_beside_a_local_model, .init = fake_first)
{
    every_operation(
        (plan){.device = "cuda", .status = HPT_E_DEVICE, .stays = true, .n_before = 100, .n = 2, .n_max = "64"}, 5,
        "\"policy\":\"local\"");
}

Test(sampler_gp_device, that_is_faster_is_moved_to_by_auto_and_asks_the_same, .init = fake_first)
{
    double want[3 * 4], got[3 * 4];
    told t;
    plan p = {.device = "ref", .fail_at = -1, .n_before = 320, .n = 4, .n_max = "64"};
    (void)run(want, &t, &p);
    p.device = "auto";
    (void)run(got, &t, &p); // no faster than the host (with 320 points against 64): looked at, closed again
    cr_expect(strstr(t.stats, "\"device\":\"ref\""), "%s", t.stats);
    cr_expect_arr_eq(got, want, sizeof want);
    FAKE("")->instant = true;
    cr_expect_gt(run(got, &t, &p), 50);
    cr_expect(strstr(t.stats, "\"device\":\"cuda\""), "%s", t.stats);
    for (int i = 0; i < 4; i++) cr_expect(same_points(got + 3 * i, want + 3 * i, 3), "ask %d", i);
    cr_expect_eq(t.warnings, 0);
}

Test(sampler_gp_device, that_is_promised_to_trials_is_not_touched_by_auto, .init = fake_first)
{
    double want[3 * 4], got[3 * 4];
    told t;
    plan p = {.device = "ref", .fail_at = -1, .n_before = 320, .n = 4, .n_max = "64"};
    (void)run(want, &t, &p);
    FAKE("")->instant = true;
    p.promised = true;
    p.device = "auto";
    cr_expect_eq(run(got, &t, &p), 0, "it is faster by far, and yet no operation ran on it");
    cr_expect(strstr(t.stats, "\"device\":\"ref\""), "%s", t.stats);
    cr_expect_arr_eq(got, want, sizeof want);
    p.device = NULL; // where auto had moved before
    p.n_before = 20;
    cr_expect_eq(run(got, &t, &p), 0);
    p.device = "cuda"; // asked for by name
    cr_expect_gt(run(got, &t, &p), 0);
}

// ---- trying again

// The asks (from 1) in which the device was called, for a run whose operations from `fail_at` on fail.
static int64_t asks_with_calls(int64_t *asks, double *points, const plan *p) {
    lab l;
    const char *by;
    int64_t n = 0;
    fake_control *fake = FAKE("");
    lab_open(&l, small_space(), NULL, 5);
    OK(hpt__options_set(&l.options, "gp.n_startup", "4"));
    l.env.device = p->device;
    fake->fail_at = -1;
    OK(hpt__sampler_find(&l.ops, "gp"));
    OK(l.ops->create(&l.state, &l.env));
    fake->calls = 0;
    fake->fail_at = p->fail_at;
    fake->stays = p->stays;
    fake->status = p->status;
    for (int64_t i = 0; i < p->n; i++) {
        const int64_t before = fake->calls;
        OK(lab_suggest(points + 3 * i, &by, &l));
        if (fake->calls > before) asks[n++] = l.table.n - 4; // the first of the model is trial 5
        tell(&l.table, add_row(&l.table, points + 3 * i, HPT_TRIAL_RUNNING), bowl(points + 3 * i, l.space));
    }
    lab_close(&l);
    return n;
}

Test(sampler_gp_device, whose_memory_fails_is_tried_again_after_16_asks_and_twice_as_many, .init = fake_first)
{
    int64_t asks[N_MOST];
    double points[3 * N_MOST], want[3 * N_MOST];
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    const int64_t n =
        asks_with_calls(asks, points, &(plan){.device = "cuda", .stays = true, .status = HPT_E_MEMORY, .n = 60});
    cr_assert_eq(n, 3, "%d", (int)n);
    cr_expect_eq(asks[1], asks[0] + 16);
    cr_expect_eq(asks[2], asks[1] + 32);
    // Memory that is back: from the first try on everything is computed there again, and what is asked does not change.
    const int64_t m = asks_with_calls(asks, points, &(plan){.device = "cuda", .status = HPT_E_MEMORY, .n = 60});
    cr_expect_eq(asks[1], asks[0] + 16);
    cr_expect_eq(m, 60 - asks[1] - 5 + 2, "%d asks, the second %d", (int)m, (int)asks[1]);
    (void)asks_with_calls(asks, want, &(plan){.device = "ref", .fail_at = -1, .n = 60});
    for (int i = 0; i < 60; i++) cr_expect(same_points(points + 3 * i, want + 3 * i, 3), "ask %d", i);
}

Test(sampler_gp_device, that_is_lost_is_not_tried_again, .init = fake_first)
{
    int64_t asks[N_MOST];
    double points[3 * N_MOST];
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    const int64_t n = asks_with_calls(asks, points, &(plan){.device = "cuda", .status = HPT_E_DEVICE, .n = 40});
    cr_expect_eq(n, 1, "%d", (int)n);
}

// ---- what is recorded, and what fails beside the device

Test(sampler_gp_device, that_failed_stands_in_the_study, .init = fake_first)
{
    hpt_study *study;
    hpt_fact *facts;
    int64_t n;
    hpt_space *space = small_space();
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.space = space;
    o.sampler = "gp";
    o.device = "cuda";
    o.seed = 4;
    o.has_seed = true;
    o.options = (const char *const[]){"gp.n_startup=4"};
    o.n_options = 1;
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    OK(hpt_study_open(&study, &o));
    for (int i = 0; i < 8; i++) {
        hpt_trial *trial;
        const double y = i;
        if (i == 6) FAKE("")->fail_at = FAKE("")->calls + 20;
        FAKE("")->status = HPT_E_DEVICE;
        OK(hpt_study_ask(&trial, study));
        OK(hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &y, 1));
        hpt_trial_destroy(trial);
    }
    OK(hpt_study_facts(&facts, &n, study));
    const char *device = "", *instead = "", *because = "";
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(facts[i].group, "model") != 0) continue;
        if (strcmp(facts[i].name, "device") == 0) device = facts[i].value;
        if (strcmp(facts[i].name, "instead_of") == 0) instead = facts[i].value;
        if (strcmp(facts[i].name, "because") == 0) because = facts[i].value;
    }
    cr_expect(strstr(device, "ref"), "%s", device);
    cr_expect(strstr(instead, "cuda"), "%s", instead);
    cr_expect(strstr(because, "was to fail"), "%s", because);
    hpt_free(facts);
    hpt_study_close(study);
    hpt_space_destroy(space);
}

Test(sampler_gp_device, that_fails_while_memory_is_short_is_an_error_and_leaks_nothing, .init = fake_first)
{
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    for (int64_t k = 0, failed = 1; failed; k += 1 + k / 10) {
        lab l;
        double point[3];
        const char *by;
        fake_control *fake = FAKE("");
        fake->fail_at = -1;
        lab_open(&l, small_space(), NULL, 5);
        OK(hpt__options_set(&l.options, "gp.n_startup", "4"));
        l.env.device = "cuda";
        OK(hpt__sampler_find(&l.ops, "gp"));
        OK(l.ops->create(&l.state, &l.env));
        (void)lab_run(&l, bowl, 7);
        fake->fail_at = fake->calls + 3;
        fake->status = HPT_E_DEVICE;
        failing f = {.left = k};
        hpt__alloc_set_hook(fail_kth, &f);
        const int rc = lab_suggest(point, &by, &l);
        hpt__alloc_set_hook(NULL, NULL);
        failed = f.failed;
        cr_assert(rc == 0 || rc == HPT_E_MEMORY || rc == HPT_E_DEVICE, "allocation %d: %d %s", (int)k, rc,
                  hpt_last_error());
        OK(lab_suggest(point, &by, &l)); // the next one is asked, be it on the host or there
        check_legal(&l, point, "gp");
        lab_close(&l);
        cr_assert_eq(fake->open, 0);
        cr_assert_eq(fake->models, 0);
    }
}

// Of a device that is well: the host's lack of memory is an error of this ask, as on a host device.
Test(sampler_gp_device, is_not_given_up_for_an_allocation_of_the_host_that_fails, .init = fake_first)
{
    int64_t errors = 0;
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    for (int64_t k = 0, failed = 1; failed; k += 1 + k / 10) {
        lab l;
        double point[3];
        const char *by;
        hpt__str text = HPT__STR_INIT;
        fake_control *fake = FAKE("");
        fake->fail_at = -1;
        lab_open(&l, small_space(), NULL, 5);
        OK(hpt__options_set(&l.options, "gp.n_startup", "4"));
        l.env.device = "cuda";
        OK(hpt__sampler_find(&l.ops, "gp"));
        OK(l.ops->create(&l.state, &l.env));
        (void)lab_run(&l, bowl, 7);
        failing f = {.left = k};
        hpt__alloc_set_hook(fail_kth, &f);
        const int rc = lab_suggest(point, &by, &l);
        hpt__alloc_set_hook(NULL, NULL);
        failed = f.failed;
        cr_assert(rc == 0 || rc == HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
        errors += rc < 0;
        OK(lab_suggest(point, &by, &l));
        l.ops->describe(&text, l.state);
        cr_assert(strstr(hpt__str_text(&text), "\"device\":\"cuda\"") && !strstr(hpt__str_text(&text), "instead_of"),
                  "allocation %d: %s", (int)k, hpt__str_text(&text));
        hpt__str_fini(&text);
        lab_close(&l);
        cr_assert_eq(fake->open, 0);
    }
    cr_expect_gt(errors, 10);
}
