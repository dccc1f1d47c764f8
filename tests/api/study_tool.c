// SPDX-License-Identifier: Apache-2.0
// study_tool.c: makes or continues a study through the public headers, for optuna_study.py to compare with Optuna.
//
//   study_tool create <url>       a study with every kind of parameter, a condition, every outcome, queued points
//   study_tool pareto <url>       a study with two objectives
//   study_tool continue <url>     joins the storage's only study, asks and tells 5 trials, whoever made it
//   study_tool dump <url>         prints the study as JSON
// Exit status 0, or 1 with a line on standard error.
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRY(call)                                                             \
    do {                                                                      \
        if ((call) < 0) {                                                     \
            fprintf(stderr, "study_tool: %s: %s\n", #call, hpt_last_error()); \
            rc = 1;                                                           \
            goto out;                                                         \
        }                                                                     \
    } while (0)

static int add_parameters(hpt_space *s) {
    int rc = 0;
    TRY(hpt_space_add_float(s, "lr", 1e-5, 1.0, 0.0, HPT_LOG));
    TRY(hpt_space_add_float(s, "dropout", 0.0, 0.95, 0.1, 0));
    TRY(hpt_space_add_float(s, "bias", -2.5, 2.5, 0.0, 0));
    TRY(hpt_space_add_int(s, "layers", 1, 10, 3, 0));
    TRY(hpt_space_add_int(s, "units", 1, 1024, 1, HPT_LOG));
    TRY(hpt_space_add_categorical(s, "opt", (const char *const[]){"sgd", "adam", "r\xc3\xa9sum\xc3\xa9 \"q\""}, 3));
    TRY(hpt_space_add_categorical_json(s, "mixed", (const char *const[]){"1", "2.5", "null", "true", "\"t\""}, 5));
    TRY(hpt_space_add_constant(s, "epochs", "12"));
    TRY(hpt_space_add_float(s, "momentum", 0.0, 0.99, 0.0, 0));
    TRY(hpt_space_add_condition(s, "momentum", "opt", (const char *const[]){"sgd"}, 1));
out:
    return rc;
}

static int create(const char *url) {
    int rc = 0;
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_trial *t = NULL;
    TRY(hpt_space_create(&space));
    rc = add_parameters(space);
    if (rc) goto out;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = "ours";
    o.storage = url;
    o.space = space;
    o.seed = 42;
    o.has_seed = true;
    o.mode = HPT_OPEN_CREATE;
    o.directions = (const hpt_direction[]){HPT_MAXIMIZE};
    o.n_directions = 1;
    TRY(hpt_study_open(&study, &o));
    TRY(hpt_study_enqueue(study, "{\"lr\": 0.125, \"opt\": \"sgd\", \"momentum\": 0.5}"));
    for (int i = 0; i < 30; i++) {
        TRY(hpt_study_ask(&t, study));
        double lr, y;
        TRY(hpt_trial_get_float(&lr, t, "lr"));
        y = -fabs(log10(lr) + 2);
        TRY(hpt_trial_report(t, 0, y - 1));
        TRY(hpt_trial_report(t, 5, i % 6 == 1 ? NAN : i % 6 == 2 ? -INFINITY : y));
        TRY(hpt_trial_set_attr(t, "note", "{\"nested\": [1, null, \"\\u00e9\"]}"));
        if (i == 8) y = -INFINITY;
        if (i == 9) y = NAN;
        if (i % 10 == 4)
            TRY(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
        else if (i % 6 <= 2)
            TRY(hpt_study_tell(study, t, HPT_TRIAL_PRUNED, NULL, 0));
        else if (i != 29)
            TRY(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1)); // 29 stays running
        hpt_trial_destroy(t);
        t = NULL;
    }
    TRY(hpt_study_enqueue(study, "{\"lr\": 0.0625, \"layers\": 7}"));
out:
    hpt_trial_destroy(t);
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc;
}

static int pareto(const char *url) {
    int rc = 0;
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_trial *t = NULL;
    TRY(hpt_space_create(&space));
    TRY(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    TRY(hpt_space_add_float(space, "y", 0.0, 1.0, 0.0, 0));
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = "two";
    o.storage = url;
    o.space = space;
    o.sampler = "random";
    o.mode = HPT_OPEN_CREATE;
    o.directions = (const hpt_direction[]){HPT_MINIMIZE, HPT_MAXIMIZE};
    o.n_directions = 2;
    TRY(hpt_study_open(&study, &o));
    for (int i = 0; i < 40; i++) {
        double v[2];
        TRY(hpt_study_ask(&t, study));
        TRY(hpt_trial_get_float(&v[0], t, "x"));
        TRY(hpt_trial_get_float(&v[1], t, "y"));
        if (i % 8 == 5)
            TRY(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0));
        else
            TRY(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, v, 2));
        hpt_trial_destroy(t);
        t = NULL;
    }
    hpt_trial **front;
    int64_t n;
    TRY(hpt_study_pareto(&front, &n, study));
    for (int64_t i = 0; i < n; i++) {
        printf("%lld\n", (long long)hpt_trial_number(front[i]));
        hpt_trial_destroy(front[i]);
    }
    hpt_free(front);
out:
    hpt_trial_destroy(t);
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc;
}

static int go_on(const char *url) {
    int rc = 0;
    hpt_study *study = NULL;
    hpt_trial *t = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.mode = HPT_OPEN_EXISTING;
    TRY(hpt_study_open(&study, &o));
    for (int i = 0; i < 5; i++) {
        const char *json;
        TRY(hpt_study_ask(&t, study));
        TRY(hpt_trial_params_json(&json, t));
        double y = (double)strlen(json);
        TRY(hpt_trial_report(t, 1, y));
        TRY(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &y, 1));
        printf("%lld %s\n", (long long)hpt_trial_number(t), json);
        hpt_trial_destroy(t);
        t = NULL;
    }
out:
    hpt_trial_destroy(t);
    hpt_study_close(study);
    return rc;
}

static int to_stdout(const char *text, size_t size, void *payload) {
    (void)payload;
    return fwrite(text, 1, size, stdout) == size ? 0 : -1;
}

static int dump(const char *url) {
    int rc = 0;
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    TRY(hpt_study_open(&study, &o));
    TRY(hpt_study_export(study, "json", 0, to_stdout, NULL));
out:
    hpt_study_close(study);
    return rc;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "create") == 0) return create(argv[2]);
    if (argc == 3 && strcmp(argv[1], "pareto") == 0) return pareto(argv[2]);
    if (argc == 3 && strcmp(argv[1], "continue") == 0) return go_on(argv[2]);
    if (argc == 3 && strcmp(argv[1], "dump") == 0) return dump(argv[2]);
    fprintf(stderr, "usage: study_tool create|pareto|continue|dump <url>\n");
    return 2;
}
