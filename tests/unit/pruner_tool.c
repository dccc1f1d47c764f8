// SPDX-License-Identifier: Apache-2.0
// pruner_tool.c: decisions of our pruners; oracle_pruner.py compares them with Optuna's.
//
// pruner_tool < cases
//   stdin: [{"pruner": "asha", "options": {"asha.min_resource": "1"}, "maximize": false, "study": "name",
//            "events": [["ask"], ["report", number, step, value], ["judge", number], ["tell", number, "PRUNED"],
//                       ["attr", number, "s:completed_rung_0", "0.5"], ...]}, ...]
//   stdout: for each case {"decisions": [false, ...], "attrs": [{"completed_rung_0": 0.5}, ...] of each trial,
//           "brackets": [0, ...] of each trial, only for hyperband}
//   What a pruner notes is put into the table as the study does it.
// pruner_tool study <storage> <study> <first value> ...
//   asks a trial of the study for each value, reports the value at step 1, prints the decision, and leaves the trial
//   running. Pruner asha, first rung at 1, reduction factor 2, minimising.
#include "core/base/error.h"
#include "core/base/num.h"
#include "core/pruner/pruner_halving.h"
#include <hpt/space.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "pruner_tool: %s: %s\n", what, hpt_last_error());
    exit(1);
}

static const hpt__json *at(const hpt__json *array, int64_t i) {
    must(array && array->kind == HPT__JSON_ARRAY && i < array->a.n, "an event is too short");
    return array->a.items[i];
}

static int64_t integer(const hpt__json *j) {
    int64_t v = 0;
    must(hpt__json_integer(&v, j), "an integer was expected");
    return v;
}

static double number(const hpt__json *j) {
    double v = 0;
    must(hpt__json_number(&v, j), "a number was expected");
    return v;
}

static void add_number(hpt__str *out, double v) {
    if (isnan(v))
        hpt__str_add(out, "NaN");
    else if (isinf(v))
        hpt__str_add(out, v > 0 ? "Infinity" : "-Infinity");
    else
        hpt__str_add_double(out, v);
}

static bool judge(const hpt__pruner_ops *ops, void *state, hpt__trials *t, int64_t row) {
    hpt__pruner_notes notes = {.n = 0};
    const bool stop = ops->should_prune(state, t, row, &notes);
    for (int64_t i = 0; i < notes.n; i++) {
        hpt__str key = HPT__STR_INIT, text = HPT__STR_INIT;
        hpt__str_addf(&key, "s:%s", notes.items[i].key);
        add_number(&text, notes.items[i].value);
        must(hpt__trials_set_attr(t, row, hpt__str_text(&key), hpt__str_text(&text)) == 0, "attribute");
        hpt__str_fini(&key);
        hpt__str_fini(&text);
    }
    return stop;
}

// Whether the event asked for a decision.
static bool play(bool *stop, const hpt__json *event, const hpt__pruner_ops *ops, void *state, hpt__trials *t) {
    const char *what = hpt__json_string(at(event, 0));
    int64_t row;
    if (strcmp(what, "ask") == 0) {
        must(hpt__trials_add(&row, t, t->n, t->n, HPT_TRIAL_RUNNING) == 0, "row");
        return false;
    }
    row = integer(at(event, 1));
    if (strcmp(what, "report") == 0) {
        must(hpt__trials_report(t, row, integer(at(event, 2)), number(at(event, 3))) == 0, "report");
    } else if (strcmp(what, "tell") == 0) {
        hpt_trial_state s;
        const double value = 0;
        must(hpt_trial_state_from_string(&s, hpt__json_string(at(event, 2))) == 0, "state");
        hpt__trials_finish(t, row, s, &value, 0);
    } else if (strcmp(what, "attr") == 0) {
        must(hpt__trials_set_attr(t, row, hpt__json_string(at(event, 2)), hpt__json_string(at(event, 3))) == 0, "attr");
    } else {
        *stop = judge(ops, state, t, row);
        return true;
    }
    return false;
}

static void run_case(hpt__str *out, const hpt_space *space, const hpt__json *j) {
    hpt__options o;
    hpt__trials t;
    void *state = NULL;
    const hpt__pruner_ops *ops = NULL;
    hpt__options_default(&o);
    const hpt__json *options = hpt__json_get(j, "options"), *events = hpt__json_get(j, "events");
    for (int64_t i = 0; i < options->o.n; i++)
        must(hpt__options_set(&o, options->o.keys[i], hpt__json_string(options->o.values[i])) == 0, "option");
    const hpt_direction direction = hpt__json_get(j, "maximize")->b ? HPT_MAXIMIZE : HPT_MINIMIZE;
    const hpt__pruner_env env = {
        .options = &o, .direction = direction, .study_name = hpt__json_string(hpt__json_get(j, "study"))};
    must(hpt__trials_init(&t, space, 1, direction) == 0, "table");
    must(hpt__pruner_find(&ops, hpt__json_string(hpt__json_get(j, "pruner"))) == 0, "pruner");
    must(ops->create(&state, &env) == 0, "pruner");
    hpt__str_add(out, "{\"decisions\": [");
    bool stop = false, first = true;
    for (int64_t i = 0; i < events->a.n; i++) {
        if (!play(&stop, events->a.items[i], ops, state, &t)) continue;
        hpt__str_addf(out, "%s%s", first ? "" : ", ", stop ? "true" : "false");
        first = false;
    }
    hpt__str_add(out, "], \"attrs\": [");
    for (int64_t row = 0; row < t.n; row++) {
        hpt__str_add(out, row > 0 ? ", {" : "{");
        for (int64_t i = 0; i < t.info[row].n_attrs; i++)
            hpt__str_addf(out, "%s\"%s\": %s", i > 0 ? ", " : "", t.info[row].attr_keys[i] + 2,
                          t.info[row].attr_values[i]);
        hpt__str_addc(out, '}');
    }
    hpt__str_add(out, "]");
    if (ops == &hpt__pruner_hyperband_ops) {
        hpt__str_add(out, ", \"brackets\": [");
        for (int64_t row = 0; row < t.n; row++)
            hpt__str_addf(out, "%s%lld", row > 0 ? ", " : "", (long long)hpt__hyperband_bracket(state, row));
        hpt__str_add(out, "]");
    }
    hpt__str_add(out, "}");
    ops->destroy(state);
    hpt__trials_fini(&t);
}

static void run_cases(void) {
    hpt__str text = HPT__STR_INIT, out = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *cases;
    hpt_space *space;
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) hpt__str_addn(&text, buffer, n);
    hpt__arena_init(&arena);
    must(hpt__json_parse(&cases, &arena, hpt__str_text(&text), text.len) == 0, "input");
    must(hpt_space_create(&space) == 0, "space");
    hpt__str_addc(&out, '[');
    for (int64_t i = 0; i < cases->a.n; i++) {
        if (i > 0) hpt__str_add(&out, ",\n ");
        run_case(&out, space, cases->a.items[i]);
    }
    hpt__str_add(&out, "]\n");
    must(hpt__str_status(&out) == 0, "output");
    fwrite(out.data, 1, out.len, stdout);
    hpt_space_destroy(space);
    hpt__arena_fini(&arena);
    hpt__str_fini(&text);
    hpt__str_fini(&out);
}

static void run_study(const char *storage, const char *name, char **values, int n_values) {
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    must(hpt_space_create(&space) == 0 && hpt_space_add_float(space, "x", 0, 1, 0, 0) == 0, "space");
    o.storage = storage;
    o.name = name;
    o.space = space;
    o.sampler = "random";
    o.pruner = "asha";
    o.options = (const char *const[]){"asha.min_resource=1", "asha.reduction_factor=2"};
    o.n_options = 2;
    must(hpt_study_open(&study, &o) >= 0, "study");
    for (int i = 0; i < n_values; i++) {
        hpt_trial *trial = NULL;
        bool stop = false;
        must(hpt_study_ask(&trial, study) >= 0, "ask");
        must(hpt_trial_report(trial, 1, strtod(values[i], NULL)) == 0, "report");
        must(hpt_trial_should_prune(&stop, trial) == 0, "should_prune");
        printf("%s\n", stop ? "true" : "false");
        hpt_trial_destroy(trial);
    }
    hpt_study_close(study);
    hpt_space_destroy(space);
}

int main(int argc, char **argv) {
    if (argc >= 4 && strcmp(argv[1], "study") == 0)
        run_study(argv[2], argv[3], argv + 4, argc - 4);
    else
        run_cases();
    return 0;
}
