// SPDX-License-Identifier: Apache-2.0
// test_api_table.c: hpt_study_table says the same as the handles of the single trials.
#include "api_testing.h"

#include <unistd.h>

#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <string.h>

static hpt_study *study;

static void open_study(void) {
    static const char *const choices[] = {"adam", "sgd"};
    static const char *const adam[] = {"adam"};
    hpt_space *space;
    cr_assert_eq(hpt_space_create(&space), 0);
    cr_assert_eq(hpt_space_add_float(space, "lr", 1e-4, 1.0, 0, HPT_LOG), 0);
    cr_assert_eq(hpt_space_add_categorical(space, "opt", choices, 2), 0);
    cr_assert_eq(hpt_space_add_int(space, "beta", 1, 9, 1, 0), 0);
    cr_assert_eq(hpt_space_add_condition(space, "beta", "opt", adam, 1), 0);
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    const hpt_direction directions[] = {HPT_MINIMIZE, HPT_MAXIMIZE};
    o.space = space;
    o.sampler = "random";
    o.directions = directions;
    o.n_directions = 2;
    o.has_seed = true;
    o.seed = 5;
    cr_assert_eq(hpt_study_open(&study, &o), 0, "%s", hpt_last_error());
    hpt_space_destroy(space);
}

static void close_study(void) {
    hpt_study_close(study);
}

TestSuite(api_table, .init = open_study, .fini = close_study);

static void tell_some(int n) {
    for (int i = 0; i < n; i++) {
        hpt_trial *t;
        const double values[] = {i, -0.5 * i};
        cr_assert_eq(hpt_study_ask(&t, study), 0);
        if (i % 3 == 0) cr_assert_eq(hpt_trial_set_attr(t, "note", i % 2 ? "\"odd\"" : "[1,2]"), 0);
        for (int s = 0; s < i % 4; s++) cr_assert_eq(hpt_trial_report(t, 2 * s, s + 0.25), 0);
        if (i % 5 == 4)
            cr_assert_eq(hpt_study_tell(study, t, HPT_TRIAL_FAIL, NULL, 0), 0);
        else if (i % 5 != 3)
            cr_assert_eq(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, values, 2), 0);
        hpt_trial_destroy(t);
    }
}

Test(api_table, every_number_is_that_of_the_trials_handle)
{
    static const char *const keys[] = {"hpt:by", "note", "nothing"};
    hpt_table *t;
    tell_some(40);
    cr_assert_eq(hpt_study_table(&t, study, keys, 3), 0, "%s", hpt_last_error());
    cr_assert_eq(t->n, 40);
    cr_assert_eq(t->d, 3);
    cr_assert_eq(t->k, 2);
    cr_assert_eq(t->n_attrs, 3);
    cr_assert_str_eq(t->names[1], "opt");
    cr_assert_eq(t->n_choices[0], 0);
    cr_assert_eq(t->n_choices[1], 2);
    cr_assert_str_eq(t->choices[1][1], "sgd");
    for (int64_t row = 0; row < t->n; row++) {
        hpt_trial *trial;
        const double *values;
        const char *attr;
        double v, start, end;
        int64_t n, c, step;
        cr_assert_eq(hpt_study_trial(&trial, study, t->number[row]), 0);
        cr_assert_eq(t->number[row], row);
        cr_assert_eq(t->state[row], hpt_trial_get_state(trial));
        cr_assert_eq(hpt_trial_values(&values, &n, trial), 0);
        for (int64_t j = 0; j < 2; j++)
            cr_assert(n ? t->values[row * 2 + j] == values[j] : isnan(t->values[row * 2 + j]));
        cr_assert_eq(hpt_trial_get_float(&v, trial, "lr"), 0);
        cr_assert_eq(t->params[0][row], v);
        cr_assert_eq(hpt_trial_get_category(&c, trial, "opt"), 0);
        cr_assert_eq(t->params[1][row], (double)c);
        cr_assert_eq(isnan(t->params[2][row]), !hpt_trial_has(trial, "beta"));
        cr_assert_eq(hpt_trial_last_report(&step, &v, trial), 0);
        cr_assert_eq(t->last_step[row], step);
        cr_assert(t->last_value[row] == v || (isnan(v) && isnan(t->last_value[row])));
        cr_assert_eq(t->n_reports[row], row % 4);
        cr_assert_eq(hpt_trial_times(&start, &end, trial), 0);
        cr_assert_eq(t->start[row], start);
        cr_assert(t->end[row] == end || (isnan(end) && isnan(t->end[row])));
        cr_assert(t->feasible[row]);
        for (int64_t a = 0; a < 3; a++) {
            cr_assert_eq(hpt_trial_get_attr(&attr, trial, keys[a]), 0);
            cr_assert_eq(attr == NULL, t->attrs[a][row] == NULL);
            if (attr) cr_assert_str_eq(attr, t->attrs[a][row]);
        }
        hpt_trial_destroy(trial);
    }
    hpt_table_destroy(t);
}

Test(api_table, a_copy_stays_as_it_was_and_shares_equal_texts)
{
    static const char *const keys[] = {"hpt:by"};
    hpt_table *before, *after;
    tell_some(5);
    cr_assert_eq(hpt_study_table(&before, study, keys, 1), 0);
    tell_some(500);
    cr_assert_eq(hpt_study_table(&after, study, keys, 1), 0);
    cr_assert_eq(before->n, 5);
    cr_assert_eq(after->n, 505);
    for (int64_t row = 0; row < 5; row++) cr_assert_eq(before->params[0][row], after->params[0][row]);
    cr_assert_eq(after->attrs[0][0], after->attrs[0][504], "equal texts are one");
    hpt_study_close(study);
    study = NULL;
    cr_assert_str_eq(before->attrs[0][4], "\"random\"", "the copy outlives the study");
    hpt_table_destroy(before);
    hpt_table_destroy(after);
}

Test(api_table, empty_studies_and_bad_arguments)
{
    static const char *const null_key[] = {NULL};
    hpt_table *t;
    cr_assert_eq(hpt_study_table(&t, study, NULL, 0), 0);
    cr_assert_eq(t->n, 0);
    cr_assert_eq(t->d, 3);
    hpt_table_destroy(t);
    hpt_table_destroy(NULL);
    cr_assert_eq(hpt_study_table(NULL, study, NULL, 0), HPT_E_ARG);
    cr_assert_eq(hpt_study_table(&t, NULL, NULL, 0), HPT_E_ARG);
    cr_assert_eq(hpt_study_table(&t, study, NULL, 1), HPT_E_ARG);
    cr_assert_eq(hpt_study_table(&t, study, NULL, -1), HPT_E_ARG);
    cr_assert_eq(hpt_study_table(&t, study, null_key, 1), HPT_E_ARG);
}

Test(api_table, names_of_the_objectives_are_stored_with_the_study)
{
    const char *const names[] = {"accuracy", "latency \"ms\""};
    const hpt_direction directions[] = {HPT_MAXIMIZE, HPT_MINIMIZE};
    char path[64], url[96];
    snprintf(path, sizeof path, "/tmp/hpt-names-%d.db", (int)getpid());
    snprintf(url, sizeof url, "sqlite:///%s", path);
    hpt_space *space;
    hpt_study *study;
    hpt_table *table;
    cr_assert(hpt_space_create(&space) == 0 && hpt_space_add_float(space, "x", 0, 1, 0, 0) == 0);
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = "two";
    o.storage = url;
    o.space = space;
    o.directions = directions;
    o.n_directions = 2;
    o.metric_names = names;
    cr_assert_eq(hpt_study_open(&study, &o), 0);
    hpt_study_close(study);
    hpt_study_options again = HPT_STUDY_OPTIONS_INIT;
    again.storage = url;
    again.mode = HPT_OPEN_READ_ONLY;
    cr_assert_eq(hpt_study_open(&study, &again), 0);
    cr_assert_str_eq(hpt_study_metric_name(study, 0), "accuracy");
    cr_assert_str_eq(hpt_study_metric_name(study, 1), "latency \"ms\"");
    cr_assert_null(hpt_study_metric_name(study, 2));
    cr_assert_eq(hpt_study_table(&table, study, NULL, 0), 0);
    cr_assert_str_eq(table->metric_names[1], "latency \"ms\"");
    hpt_table_destroy(table);
    hpt_study_close(study);
    hpt_space_destroy(space);
    remove(path);
}
