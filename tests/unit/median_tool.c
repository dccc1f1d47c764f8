// SPDX-License-Identifier: Apache-2.0
// median_tool.c: decisions of our median pruner; oracle_median.py compares them with Optuna's.
//
// stdin: [{"maximize": false, "n_startup": 5, "n_warmup": 0, "interval": 1, "n_min_trials": 1,
//          "trials": [{"state": "COMPLETE", "reports": [[step, value], ...]}, ...],
//          "running": [[step, value], ...]}, ...]
// stdout: for each case a list of the decisions after each report of the running trial: [[false, true], ...]
#include "core/base/error.h"
#include "core/pruner/pruner_ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "median_tool: %s: %s\n", what, hpt_last_error());
    exit(1);
}

static void report(hpt__trials *t, int64_t row, const hpt__json *pair) {
    int64_t step;
    double value = 0;
    must(hpt__json_integer(&step, pair->a.items[0]) && hpt__json_number(&value, pair->a.items[1]), "report");
    must(hpt__trials_report(t, row, step, value) == 0, "report");
}

static void run_case(const hpt_space *space, const hpt__json *j) {
    hpt__options o;
    hpt__trials t;
    void *state = NULL;
    int64_t row;
    hpt__options_default(&o);
    must(hpt__json_integer(&o.median_n_startup, hpt__json_get(j, "n_startup")) &&
             hpt__json_integer(&o.median_n_warmup, hpt__json_get(j, "n_warmup")) &&
             hpt__json_integer(&o.median_interval, hpt__json_get(j, "interval")) &&
             hpt__json_integer(&o.median_n_min_trials, hpt__json_get(j, "n_min_trials")),
         "options");
    const hpt_direction direction = hpt__json_get(j, "maximize")->b ? HPT_MAXIMIZE : HPT_MINIMIZE;
    const hpt__pruner_env env = {.options = &o, .direction = direction, .study_name = "s"};
    must(hpt__trials_init(&t, space, 1, direction) == 0, "table");
    must(hpt__pruner_median_ops.create(&state, &env) == 0, "pruner");
    const hpt__json *trials = hpt__json_get(j, "trials"), *running = hpt__json_get(j, "running");
    for (int64_t i = 0; i < trials->a.n; i++) {
        hpt_trial_state s;
        const double value = 0;
        const hpt__json *reports = hpt__json_get(trials->a.items[i], "reports");
        must(hpt_trial_state_from_string(&s, hpt__json_string(hpt__json_get(trials->a.items[i], "state"))) == 0,
             "state");
        must(hpt__trials_add(&row, &t, t.n, t.n, HPT_TRIAL_RUNNING) == 0, "row");
        for (int64_t r = 0; r < reports->a.n; r++) report(&t, row, reports->a.items[r]);
        hpt__trials_finish(&t, row, s, &value, 0);
    }
    must(hpt__trials_add(&row, &t, t.n, t.n, HPT_TRIAL_RUNNING) == 0, "row");
    printf("[");
    for (int64_t r = 0; r < running->a.n; r++) {
        report(&t, row, running->a.items[r]);
        printf("%s%s", r > 0 ? ", " : "",
               hpt__pruner_median_ops.should_prune(state, &t, row, &(hpt__pruner_notes){0}) ? "true" : "false");
    }
    printf("]");
    hpt__pruner_median_ops.destroy(state);
    hpt__trials_fini(&t);
}

int main(void) {
    hpt__str text = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *cases;
    hpt_space *space;
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) hpt__str_addn(&text, buffer, n);
    hpt__arena_init(&arena);
    must(hpt__json_parse(&cases, &arena, hpt__str_text(&text), text.len) == 0, "input");
    must(hpt_space_create(&space) == 0, "space");
    printf("[");
    for (int64_t i = 0; i < cases->a.n; i++) {
        if (i > 0) printf(",\n ");
        run_case(space, cases->a.items[i]);
    }
    printf("]\n");
    hpt_space_destroy(space);
    hpt__arena_fini(&arena);
    hpt__str_fini(&text);
    return 0;
}
