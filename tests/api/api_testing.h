// SPDX-License-Identifier: Apache-2.0
// api_testing.h: spaces, studies and a database that the tests of the public interface share.
#ifndef HPT_API_TESTING_H
#define HPT_API_TESTING_H

#include <criterion/criterion.h>
#include <hpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_assert_eq((call), (status), "%s: %s", #call, hpt_last_error())

static inline hpt_space *mixed_space(void) {
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

static inline hpt_space *line_space(void) {
    hpt_space *s;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "x", -5.0, 5.0, 0.0, 0));
    return s;
}

static inline hpt_study *open_with(hpt_space *space, const char *sampler, uint64_t seed) {
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

static inline const char *params_of(hpt_trial *t) {
    const char *json;
    OK(hpt_trial_params_json(&json, t));
    return json;
}

// A file that goes when the test's process ends.
static char db_path[64], db_url[96];
static inline void drop_db(void) {
    char side[80];
    unlink(db_path);
    for (int i = 0; i < 2; i++) {
        snprintf(side, sizeof side, "%s%s", db_path, i ? "-wal" : "-shm");
        unlink(side);
    }
}

static inline const char *fresh_db(void) {
    snprintf(db_path, sizeof db_path, "/tmp/hpt_api_%ld.db", (long)getpid());
    snprintf(db_url, sizeof db_url, "sqlite:///%s", db_path);
    drop_db();
    atexit(drop_db);
    return db_url;
}

#endif
