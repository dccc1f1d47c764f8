// SPDX-License-Identifier: Apache-2.0
// test_api_open.c: how a study is opened, joined, reopened and shared, through the public headers only.
#include "api_testing.h"

#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(api_open, bad_options_are_refused)
{
    hpt_study *study = NULL;
    hpt_space *space = line_space(), *empty;
    OK(hpt_space_create(&empty));
    hpt_study_options good = HPT_STUDY_OPTIONS_INIT, o;
    good.space = space;
    const hpt_direction odd[] = {(hpt_direction)7};
    FAILS(HPT_E_ARG, hpt_study_open(&study, NULL));
    FAILS(HPT_E_ARG, hpt_study_open(NULL, &good));
#define REFUSED(status, change, says)                                      \
    do {                                                                   \
        o = good;                                                          \
        change;                                                            \
        FAILS(status, hpt_study_open(&study, &o));                         \
        cr_assert(strstr(hpt_last_error(), says), "%s", hpt_last_error()); \
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
    REFUSED(HPT_E_DEVICE, o.device = "cuda:99", "cuda:99");
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

Test(api_open, modes_create_join_and_refuse)
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
    cr_assert(strstr(hpt_last_error(), "'x'") && strstr(hpt_last_error(), "another study name"), "%s",
              hpt_last_error());
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

Test(api_open, reopened_study_continues_as_if_never_closed)
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

Test(api_open, trials_of_an_earlier_process_can_be_told)
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

Test(api_open, two_handles_on_one_file_see_each_other)
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

Test(api_open, read_only_reads_and_refuses_to_write)
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

static int collect(const char *text, size_t size, void *payload) {
    char *all = payload; // 64 KiB
    const size_t n = strlen(all);
    cr_assert_lt(n + size, 65536u);
    memcpy(all + n, text, size);
    all[n + size] = 0;
    return 0;
}

static void stored_config(char *out, const char *url) {
    hpt_study *study;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    OK(hpt_study_open(&study, &o));
    out[0] = 0;
    OK(hpt_study_export(study, "json", 1000000, collect, out));
    hpt_study_close(study);
}

Test(api_open, given_beats_environment_beats_stored_beats_default)
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
