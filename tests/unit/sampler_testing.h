// SPDX-License-Identifier: Apache-2.0
// sampler_testing.h: helpers of the test_sampler_*.c and test_pruner_*.c files: spaces, tables and a study in miniature.
#ifndef HPT_TESTS_SAMPLER_TESTING_H
#define HPT_TESTS_SAMPLER_TESTING_H

#include "core/base/alloc.h"
#include "core/sampler/sampler_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, text, call)                                                            \
    do {                                                                                     \
        int got_ = (call);                                                                   \
        cr_expect_eq(got_, (status), "%s gave %d: %s", #call, got_, hpt_last_error());       \
        cr_expect(strstr(hpt_last_error(), (text)), "%s said: %s", #call, hpt_last_error()); \
    } while (0)
#define LIST(...) \
    (const char *const[]){__VA_ARGS__}, (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

enum { MAX_D = 64 };

static inline hpt_space *new_space(void) {
    hpt_space *s = NULL;
    OK(hpt_space_create(&s));
    return s;
}

// One parameter of every kind, with a conditional subtree two levels deep.
static inline hpt_space *unit_box(int64_t d) {
    hpt_space *s = new_space();
    for (int64_t i = 0; i < d; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "x%d", (int)i);
        OK(hpt_space_add_float(s, name, 0, 1, 0, 0));
    }
    return s;
}

static inline hpt_space *mixed_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "momentum", 0, 0.99, 0, 0)); // a child before its parent
    OK(hpt_space_add_float(s, "lr", 1e-5, 1, 0, HPT_LOG));
    OK(hpt_space_add_categorical(s, "optimizer", LIST("sgd", "adam", "lion")));
    OK(hpt_space_add_constant(s, "version", "3"));
    OK(hpt_space_add_int(s, "layers", 1, 6, 1, 0));
    OK(hpt_space_add_float(s, "dropout", 0, 0.5, 0.05, 0));
    OK(hpt_space_add_int(s, "units", 8, 1024, 1, HPT_LOG));
    OK(hpt_space_add_float(s, "beta", 0.9, 0.999, 0, 0));
    OK(hpt_space_add_int(s, "same", 4, 4, 1, 0));
    OK(hpt_space_add_categorical(s, "nesterov", LIST("yes", "no")));
    OK(hpt_space_add_float(s, "damping", 0.1, 1.0, 0.3, HPT_LOG)); // a step above its low bound
    OK(hpt_space_add_condition(s, "momentum", "optimizer", LIST("sgd")));
    OK(hpt_space_add_condition(s, "nesterov", "optimizer", LIST("sgd")));
    OK(hpt_space_add_condition(s, "damping", "nesterov", LIST("no")));
    OK(hpt_space_add_condition(s, "beta", "optimizer", LIST("adam", "lion")));
    OK(hpt_space_add_condition(s, "units", "layers", LIST("2", "3", "4", "5", "6")));
    return s;
}

typedef struct lab { // a study in miniature
    hpt_space *space;
    hpt__options options;
    hpt_direction direction[4];
    hpt__sampler_env env;
    const hpt__sampler_ops *ops;
    void *state;
    hpt__trials table;
} lab;

// Takes the space. sampler NULL: none made yet.
static inline void lab_open(lab *l, hpt_space *space, const char *sampler, uint64_t seed) {
    memset(l, 0, sizeof *l);
    l->space = space;
    hpt__options_default(&l->options);
    for (int i = 0; i < 4; i++) l->direction[i] = HPT_MINIMIZE;
    l->env =
        (hpt__sampler_env){.space = space, .options = &l->options, .directions = l->direction, .k = 1, .seed = seed};
    OK(hpt__trials_init(&l->table, space, 1, HPT_MINIMIZE));
    if (!sampler) return;
    OK(hpt__sampler_find(&l->ops, sampler));
    OK(l->ops->create(&l->state, &l->env));
}

static inline void lab_close(lab *l) {
    if (l->ops) l->ops->destroy(l->state);
    hpt__trials_fini(&l->table);
    hpt_space_destroy(l->space);
}

static inline void blank(double *point, const hpt_space *space) {
    for (int64_t i = 0; i < space->d; i++) point[i] = NAN;
}

static inline int lab_suggest(double *point, const char **by, lab *l) {
    *by = NULL;
    blank(point, l->space);
    return l->ops->suggest(point, by, l->state, &l->table, l->table.n);
}

static inline int64_t add_row(hpt__trials *t, const double *point, hpt_trial_state state) {
    int64_t row = -1;
    OK(hpt__trials_add(&row, t, t->n, t->n + 1, HPT_TRIAL_RUNNING));
    if (point) hpt__trials_set_point(t, row, point);
    if (state != HPT_TRIAL_RUNNING) hpt__trials_set_state(t, row, state);
    return row;
}

static inline void tell(hpt__trials *t, int64_t row, double value) {
    hpt__trials_finish(t, row, HPT_TRIAL_COMPLETE, &value, 0);
}

static inline void check_legal(const lab *l, const double *point, const char *what) {
    int64_t bad = -1;
    cr_assert(hpt__space_check(l->space, point, &bad), "%s: parameter %s = %g is illegal", what,
              bad >= 0 ? l->space->params[bad].name : "?", bad >= 0 ? point[bad] : 0.0);
}

static inline bool same_points(const double *a, const double *b, int64_t d) {
    for (int64_t i = 0; i < d; i++)
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

typedef double (*test_function)(const double *point, const hpt_space *space);

// n trials one after the other; the best value.
static inline double lab_run(lab *l, test_function f, int64_t n) {
    double point[MAX_D];
    const char *by;
    for (int64_t i = 0; i < n; i++) {
        OK(lab_suggest(point, &by, l));
        check_legal(l, point, l->ops->name);
        int64_t row = add_row(&l->table, point, HPT_TRIAL_RUNNING);
        tell(&l->table, row, f(point, l->space));
    }
    return l->table.values[l->table.best];
}

// ---- allocations that fail

typedef struct failing {
    int64_t left;
    bool failed;
} failing;

static inline bool fail_kth(size_t size, void *payload) {
    failing *f = payload;
    (void)size;
    if (f->left-- != 0) return false;
    f->failed = true;
    return true;
}

#endif
