// SPDX-License-Identifier: Apache-2.0
// test_space_fault.c: the k-th allocation fails, for every k: an error, no leak (the sanitizer looks), the space unchanged.
#include "core/space/grid.h"
#include "core/space/sobol.h"
#include "space_testing.h"

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

typedef int (*step_fn)(hpt_space *s);

static int step_float(hpt_space *s) {
    return hpt_space_add_float(s, "f", 0, 1, 0.1, 0);
}
static int step_int(hpt_space *s) {
    return hpt_space_add_int(s, "i", 1, 9, 1, HPT_LOG);
}
static int step_cat(hpt_space *s) {
    return hpt_space_add_categorical_json(s, "c", LIST("\"a\"", "[1,{\"x\":2}]", "true"));
}
static int step_constant(hpt_space *s) {
    return hpt_space_add_constant(s, "k", "[1,2,3]");
}
static int step_distribution(hpt_space *s) {
    return hpt__space_add_distribution(s, "d", golden_categoricals[2]);
}
static int step_condition(hpt_space *s) {
    return hpt_space_add_condition(s, "f", "c", LIST("a", "true"));
}
static int step_numeric_condition(hpt_space *s) {
    return hpt_space_add_condition(s, "f", "i", LIST("1", "3"));
}
static int step_rounded(hpt_space *s) {
    return hpt_space_add_rounded(s, "r", 0, 1, 0.1, 0);
}
static int step_normal(hpt_space *s) {
    return hpt_space_add_normal(s, "n", 0, 1, 1, HPT_LOG | HPT_WHOLE);
}
static int step_beta(hpt_space *s) {
    return hpt_space_add_beta(s, "b", 2, 5, 0, 0);
}
static int step_probabilities(hpt_space *s) {
    return hpt_space_set_probabilities(s, "c", (const double[]){0.5, 0, 0.5}, 3);
}
static int step_law_condition(hpt_space *s) {
    return hpt_space_add_condition(s, "n", "r", LIST("0.5"));
}

static const step_fn steps[] = {
    step_float,   step_int,    step_cat,  step_constant,      step_distribution, step_condition, step_numeric_condition,
    step_rounded, step_normal, step_beta, step_probabilities, step_law_condition};

Test(space_fault, an_addition_that_runs_out_of_memory_leaves_the_space_unchanged)
{
    hpt_space *s = new_space();
    for (int64_t i = 0; i < COUNT(steps); i++) {
        char before[2048];
        snprintf(before, sizeof before, "%s", json_of(s));
        int rc = HPT_E_MEMORY;
        int64_t failures = -1;
        for (int64_t k = 0; rc < 0; k++) {
            int64_t left = k;
            hpt__alloc_set_hook(fail_kth, &left);
            rc = steps[i](s);
            hpt__alloc_set_hook(NULL, NULL);
            failures++;
            if (rc == 0) break;
            cr_assert_eq(rc, HPT_E_MEMORY, "step %d, allocation %d: %d %s", (int)i, (int)k, rc, hpt_last_error());
            cr_assert_str_eq(json_of(s), before);
        }
        // A few probabilities fit into the arena's block where there is room in it.
        cr_expect(failures > 0 || steps[i] == step_probabilities, "step %d", (int)i);
        cr_expect_str_neq(json_of(s), before);
    }
    hpt_space_destroy(s);
}

Test(space_fault, probabilities_that_run_out_of_memory_leave_all_choices_alike)
{
    enum { N = 20000 };
    static char names[N][16];
    static const char *choices[N];
    static double p[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        choices[i] = names[i];
    }
    p[7] = 1;
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "c", choices, N));
    int64_t k = 0;
    for (int rc = -1; rc < 0; k++) {
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = hpt_space_set_probabilities(s, "c", p, N);
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert(rc == 0 || rc == HPT_E_MEMORY);
        cr_assert_eq(rc == 0, s->params[0].cumulative != NULL);
        cr_assert_eq(rc == 0, s->params[0].probabilities != NULL);
    }
    cr_expect_gt(k, 1);
    hpt_space_destroy(s);
}

// Everything that hands out an object.
static int make_all(const hpt_space *s, const hpt_space *finite, const char *text) {
    int rc = 0;
    hpt_space *copy = NULL, *read = NULL;
    hpt__grid *g = NULL;
    hpt__sobol *q = NULL;
    char *json = NULL;
    rc = hpt__space_dup(&copy, s);
    if (rc == 0) rc = hpt_space_from_json(&read, text);
    if (rc == 0) rc = hpt_space_to_json(&json, s);
    if (rc == 0) rc = hpt__grid_create(&g, finite);
    if (rc == 0) rc = hpt__sobol_create(&q, 3, true, 1);
    if (rc == 0) cr_expect_str_eq(json, text);
    hpt_space_destroy(copy);
    hpt_space_destroy(read);
    hpt__grid_destroy(g);
    hpt__sobol_destroy(q);
    hpt_free(json);
    return rc;
}

Test(space_fault, no_object_comes_out_of_a_failed_allocation)
{
    hpt_space *s = new_space();
    for (int64_t i = 0; i < COUNT(steps); i++) OK(steps[i](s));
    hpt_space *finite = new_space(); // beside it, as a grid takes no normal law
    for (int64_t i = 0; i < COUNT(steps); i++)
        if (steps[i] != step_normal && steps[i] != step_beta && steps[i] != step_law_condition) OK(steps[i](finite));
    char text[2048];
    snprintf(text, sizeof text, "%s", json_of(s));
    int64_t k = 0;
    for (int rc = -1; rc < 0; k++) {
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = make_all(s, finite, text);
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert(rc == 0 || rc == HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
    }
    cr_expect_gt(k, 30);
    hpt_space_destroy(s);
    hpt_space_destroy(finite);
}

Test(space_fault, messages_come_without_memory_for_suggestions)
{
    hpt_space *s = new_space();
    for (int64_t i = 0; i < COUNT(steps); i++) OK(steps[i](s));
    for (int64_t k = 0; k < 8; k++) {
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        int missing = hpt_space_add_condition(s, "f", "ii", LIST("1")),
            wrong = hpt_space_add_condition(s, "f", "i", LIST("99"));
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect_eq(missing, HPT_E_NOT_FOUND);
        cr_expect(wrong == HPT_E_ARG || wrong == HPT_E_MEMORY);
    }
    hpt_space_destroy(s);
}
