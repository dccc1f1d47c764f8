// SPDX-License-Identifier: Apache-2.0
// pruner_testing.h: a table of trials and a pruner, for the suites of pruners.
#ifndef HPT_PRUNER_TESTING_H
#define HPT_PRUNER_TESTING_H

#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/pruner/pruner_halving.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())

typedef struct lab {
    hpt_space *space;
    hpt__options options;
    hpt__pruner_env env;
    hpt__trials table;
    const hpt__pruner_ops *ops;
    void *state;
    hpt__pruner_notes notes; // of the last judgement
} lab;

// options: NULL-terminated "key=value".
__attribute__((unused)) static void lab_open(lab *l, const char *pruner, hpt_direction direction,
                                             const char *const *options) {
    memset(l, 0, sizeof *l);
    OK(hpt_space_create(&l->space));
    hpt__options_default(&l->options);
    for (; options && *options; options++) OK(hpt__options_set_pair(&l->options, *options));
    l->env = (hpt__pruner_env){.options = &l->options, .direction = direction, .study_name = "study"};
    OK(hpt__trials_init(&l->table, l->space, 1, direction));
    OK(hpt__pruner_find(&l->ops, pruner));
    OK(l->ops->create(&l->state, &l->env));
}

__attribute__((unused)) static void lab_close(lab *l) {
    l->ops->destroy(l->state);
    hpt__trials_fini(&l->table);
    hpt_space_destroy(l->space);
}

// A fresh pruner on the same table, with what the options are now.
__attribute__((unused)) static void lab_again(lab *l) {
    l->ops->destroy(l->state);
    OK(l->ops->create(&l->state, &l->env));
}

__attribute__((unused)) static int64_t lab_ask(lab *l) {
    int64_t row;
    OK(hpt__trials_add(&row, &l->table, l->table.n, l->table.n, HPT_TRIAL_RUNNING));
    return row;
}

__attribute__((unused)) static void lab_tell(lab *l, int64_t row, hpt_trial_state state) {
    const double value = 0;
    hpt__trials_finish(&l->table, row, state, &value, 0);
}

__attribute__((unused)) static bool lab_look(lab *l, int64_t row) {
    l->notes.n = 0;
    return l->ops->should_prune(l->state, &l->table, row, &l->notes);
}

// Reports, looks, and puts the notes into the table as the study does.
__attribute__((unused)) static bool lab_judge(lab *l, int64_t row, int64_t step, double value) {
    OK(hpt__trials_report(&l->table, row, step, value));
    const bool stop = lab_look(l, row);
    for (int64_t i = 0; i < l->notes.n; i++) {
        char key[64], text[32];
        snprintf(key, sizeof key, "s:%s", l->notes.items[i].key);
        snprintf(text, sizeof text, "%.17g", l->notes.items[i].value);
        OK(hpt__trials_set_attr(&l->table, row, key, text));
    }
    return stop;
}

// A completed trial with values[0..n) at steps first, first + 1, ...
__attribute__((unused)) static int64_t lab_completed(lab *l, int64_t first, const double *values, int64_t n) {
    const int64_t row = lab_ask(l);
    for (int64_t i = 0; i < n; i++) OK(hpt__trials_report(&l->table, row, first + i, values[i]));
    lab_tell(l, row, HPT_TRIAL_COMPLETE);
    return row;
}

// The pruner cannot be made with these options, and the message names `word`.
__attribute__((unused)) static void refuses(const char *pruner, const char *const *options, const char *word) {
    hpt__options o;
    const hpt__pruner_ops *ops = NULL;
    void *state = NULL;
    const hpt__pruner_env env = {.options = &o, .direction = HPT_MINIMIZE, .study_name = "study"};
    hpt__options_default(&o);
    for (; options && *options; options++) OK(hpt__options_set_pair(&o, *options));
    OK(hpt__pruner_find(&ops, pruner));
    cr_assert_eq(ops->create(&state, &env), HPT_E_ARG, "%s", pruner);
    cr_expect(strstr(hpt_last_error(), word), "%s", hpt_last_error());
}

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
