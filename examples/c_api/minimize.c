// SPDX-License-Identifier: Apache-2.0
// minimize.c: a C program that tunes a function of its own through ask, report and tell.
//
//   cc minimize.c $(pkg-config --cflags --libs hpt_gpu) -lm -o minimize && ./minimize
//
// The function is a small conditional problem: method "a" has a parameter x, method "b" has y and k.
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int status) {
    if (status >= 0) return;
    fprintf(stderr, "minimize: %s\n", hpt_last_error());
    exit(1);
}

// Smallest value 0.1, at method = "b", y = 1, k = 3.
static double loss(const hpt_trial *trial, const char *method) {
    double x, y;
    int64_t k;
    if (!strcmp(method, "a")) {
        check(hpt_trial_get_float(&x, trial, "x"));
        return 1.0 + log10(x / 0.01) * log10(x / 0.01);
    }
    check(hpt_trial_get_float(&y, trial, "y"));
    check(hpt_trial_get_int(&k, trial, "k"));
    return 0.1 + (y - 1) * (y - 1) + 0.2 * fabs((double)(k - 3));
}

int main(int argc, char **argv) {
    hpt_space *space;
    check(hpt_space_create(&space));
    check(hpt_space_add_categorical(space, "method", (const char *const[]){"a", "b"}, 2));
    check(hpt_space_add_float(space, "x", 1e-5, 1.0, 0.0, HPT_LOG));
    check(hpt_space_add_float(space, "y", -5.0, 5.0, 0.0, 0));
    check(hpt_space_add_int(space, "k", 1, 8, 1, 0));
    check(hpt_space_add_condition(space, "x", "method", (const char *const[]){"a"}, 1));
    check(hpt_space_add_condition(space, "y", "method", (const char *const[]){"b"}, 1));
    check(hpt_space_add_condition(space, "k", "method", (const char *const[]){"b"}, 1));

    hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
    options.name = "minimize";
    options.storage = argc > 1 ? argv[1] : ":memory:"; // e.g. sqlite:///minimize.db keeps the study
    options.space = space;
    options.pruner = "median";
    options.seed = 7;
    options.has_seed = true;
    hpt_study *study;
    check(hpt_study_open(&study, &options));
    hpt_space_destroy(space); // the study has a copy

    for (int i = 0; i < 100; i++) {
        hpt_trial *trial;
        const char *method;
        bool prune = false;
        check(hpt_study_ask(&trial, study));
        check(hpt_trial_get_string(&method, trial, "method"));
        double value = loss(trial, method);
        for (int step = 0; step < 5 && !prune; step++) { // a training run that converges from above
            check(hpt_trial_report(trial, step, value + exp(-step)));
            check(hpt_trial_should_prune(&prune, trial));
        }
        if (prune)
            check(hpt_study_tell(study, trial, HPT_TRIAL_PRUNED, NULL, 0));
        else
            check(hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &value, 1));
        hpt_trial_destroy(trial);
    }

    hpt_trial *best;
    const double *values;
    int64_t n_values;
    const char *params;
    check(hpt_study_best(&best, study));
    check(hpt_trial_values(&values, &n_values, best));
    check(hpt_trial_params_json(&params, best));
    printf("best %.6f in trial %lld: %s\n", values[0], (long long)hpt_trial_number(best), params);
    int good = values[0] < 1.0;
    hpt_trial_destroy(best);
    hpt_study_close(study);
    return good ? 0 : 1;
}
