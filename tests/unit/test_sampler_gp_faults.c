// SPDX-License-Identifier: Apache-2.0
// test_sampler_gp_faults.c: the Gaussian process sampler with stored states that are not its own, with studies that others
// go on with, with trials that end in any order, and with spaces at the edge of what there is.
#include "core/study/study_impl.h"
#include "sampler_testing.h"

#include <hpt/log.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static hpt_space *plane(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    return s;
}

static double bowl(const double *p, const hpt_space *space) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++)
        if (!isnan(p[i])) sum += (p[i] - 0.3) * (p[i] - 0.3);
    return sum;
}

static void add_many(hpt_space *s, const char *prefix, int n) {
    char name[16];
    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "%s%d", prefix, i);
        OK(hpt_space_add_float(s, name, 0, 1, 0, 0));
    }
}

// ---- states

#define MODEL(counts, noise)                                                                                         \
    "{\"gp\": {\"model\": {\"warp\": \"none\", " counts ", \"changed\": false, \"none\": {\"score\": 1, \"theta\": " \
    "[-1, -1, 0, " noise "]}}, \"upto\": 8, \"local\": "
#define COUNTS "\"n_fit\": 8, \"n_restart\": 8, \"n_searches\": 1"

Test(sampler_gp_faults, a_state_of_another_study_or_version_costs_a_fit_and_no_trial)
{
    static const char *const texts[] = {
        MODEL(COUNTS, "-6") "null}}",
        MODEL(COUNTS, "-6") "[0, 1, 2, 3, 4, 5]}}", // entry 2 failed and is in no model
        MODEL("\"n_fit\": 9223372036854775807, \"n_restart\": 9223372036854775807, \"n_searches\": 9223372036854775807",
              "-6") "null}}",
        MODEL("\"n_fit\": 2, \"n_restart\": 2000000000, \"n_searches\": 2000000000", "-6") "null}}",
        MODEL(COUNTS, "99") "null}}",
        MODEL(COUNTS, "-99") "null}}",
        MODEL(COUNTS, "1e400") "null}}",
        "{\"gp\": {\"model\": {\"warp\": \"none\", " COUNTS ", \"changed\": false, \"none\": {\"score\": 1, \"theta\": "
        "[80, 80, 100, -100]}, \"factor\": {\"first\": 8, \"rows\": 8, \"theta\": [80, 80, 100, -100]}}, \"upto\": 8, "
        "\"local\": null}}",
        MODEL(COUNTS, "-6") "[]}}",
        MODEL(COUNTS, "-6") "[7, 3]}}",
        MODEL(COUNTS, "-6") "[-1]}}",
        "{\"cmaes\": {\"sigma\": 1}}",
        "null",
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        lab l;
        double point[2];
        const char *by;
        lab_open(&l, plane(), NULL, 2);
        OK(hpt__options_set(&l.options, "impute.failed", "none"));
        OK(hpt__sampler_find(&l.ops, "gp"));
        OK(l.ops->create(&l.state, &l.env));
        for (int i = 0; i < 12; i++) {
            OK(lab_suggest(point, &by, &l));
            const int64_t row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
            if (i == 2)
                hpt__trials_finish(&l.table, row, HPT_TRIAL_FAIL, NULL, 0);
            else
                tell(&l.table, row, bowl(point, l.space));
        }
        l.ops->destroy(l.state);
        l.state = NULL;
        OK(l.ops->create(&l.state, &l.env));
        OK(l.ops->load(l.state, texts[k]));
        for (int i = 0; i < 3; i++) {
            OK(lab_suggest(point, &by, &l));
            check_legal(&l, point, "gp");
            cr_expect_eq(strncmp(by, "gp", 2), 0, "state %d: %s", (int)k, by);
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), bowl(point, l.space));
        }
        lab_close(&l);
    }
}

Test(sampler_gp_faults, a_state_of_more_points_than_are_modelled_now_gives_a_local_model)
{
    lab l;
    double point[2];
    const char *by;
    hpt__str state = HPT__STR_INIT, stats = HPT__STR_INIT;
    lab_open(&l, plane(), "gp", 2);
    (void)lab_run(&l, bowl, 12);
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 0);
    for (int i = 12; i < 100; i++) { // somebody else's
        point[0] = hpt__rng_uniform(&rng);
        point[1] = hpt__rng_uniform(&rng);
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), bowl(point, l.space));
    }
    OK(lab_suggest(point, &by, &l));
    OK(l.ops->save(&state, l.state));
    l.ops->destroy(l.state);
    l.state = NULL;
    OK(hpt__options_set(&l.options, "gp.n_max", "64"));
    OK(l.ops->create(&l.state, &l.env));
    OK(l.ops->load(l.state, hpt__str_text(&state)));
    OK(lab_suggest(point, &by, &l));
    check_legal(&l, point, "gp");
    l.ops->describe(&stats, l.state);
    const char *policy = strstr(hpt__str_text(&stats), "\"policy\":\"local\",\"points\":");
    cr_expect(policy && atoi(strstr(policy, "points") + strlen("points\":")) <= 64, "%s", hpt__str_text(&stats));
    hpt__str_fini(&state);
    hpt__str_fini(&stats);
    lab_close(&l);
}

// ---- several processes, any order

static char path[64], url[80];

static void remove_files(void) {
    static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
    char name[80];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, tails[i]);
        (void)unlink(name);
    }
}

static void in_a_file(void) {
    (void)snprintf(path, sizeof path, "/tmp/hpt_test_gp_faults_%d.db", (int)getpid());
    (void)snprintf(url, sizeof url, "sqlite:///%s", path);
    remove_files();
}

static hpt_study *open_study(hpt_space *space) {
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = "s";
    o.storage = url;
    o.space = space;
    o.sampler = "gp";
    o.device = "ref";
    o.seed = 11;
    o.has_seed = true;
    OK(hpt_study_open(&study, &o));
    return study;
}

static void end(hpt_study *study, hpt_trial *trial) { // every fifth trial fails
    const double y = bowl(hpt__trial_point(trial), hpt_study_space(study));
    const bool fails = hpt_trial_number(trial) % 5 == 4;
    OK(hpt_study_tell(study, trial, fails ? HPT_TRIAL_FAIL : HPT_TRIAL_COMPLETE, &y, fails ? 0 : 1));
    hpt_trial_destroy(trial);
}

// Four trials at once that end in a scrambled order, then one ask. resumed: by a process that was not there.
static void four_at_once(double *point, int64_t rounds, bool resumed) {
    remove_files();
    hpt_space *space = plane();
    hpt_study *study = open_study(space);
    hpt_trial *trials[4] = {NULL}, *last = NULL;
    for (int64_t i = 0; i < 4 * rounds; i++) {
        const int64_t at = i * 7 % 11 % 4;
        if (trials[at]) end(study, trials[at]);
        OK(hpt_study_ask(&trials[at], study));
    }
    if (resumed) {
        hpt_study_close(study);
        study = open_study(NULL);
    }
    OK(hpt_study_ask(&last, study));
    memcpy(point, hpt__trial_point(last), 2 * sizeof *point);
    hpt_trial_destroy(last);
    for (int i = 0; i < 4; i++) hpt_trial_destroy(trials[i]);
    hpt_study_close(study);
    hpt_space_destroy(space);
}

Test(sampler_gp_faults, trials_that_end_in_any_order_leave_a_study_that_is_resumed_in_every_bit, .init = in_a_file,
     .fini = remove_files)
{
    for (int64_t rounds = 3; rounds < 9; rounds++) {
        double points[2][2];
        for (int resumed = 0; resumed < 2; resumed++) four_at_once(points[resumed], rounds, resumed);
        cr_expect_arr_eq(points[0], points[1], sizeof points[0], "%d rounds: %.17g %.17g, resumed %.17g %.17g",
                         (int)rounds, points[0][0], points[0][1], points[1][0], points[1][1]);
    }
}

Test(sampler_gp_faults, two_processes_share_a_study_and_a_third_goes_on_with_either_state, .init = in_a_file,
     .fini = remove_files)
{
    hpt_space *space = plane();
    hpt_study *study[3] = {open_study(space), open_study(NULL), NULL};
    hpt_trial *trials[2] = {NULL};
    double points[60][2];
    for (int i = 0; i < 40; i++) { // either has a trial running while the other asks; the one or the other ends first
        const int who = i % 3 == 1;
        if (trials[who]) end(study[who], trials[who]);
        OK(hpt_study_ask(&trials[who], study[who]));
        memcpy(points[i], hpt__trial_point(trials[who]), sizeof points[i]);
        if (i % 7 == 6) {
            end(study[1 - who], trials[1 - who]);
            trials[1 - who] = NULL;
        }
    }
    for (int i = 40; i < 44; i++) {
        hpt_study_close(study[2]);
        study[2] = open_study(NULL);
        hpt_trial *t = NULL;
        OK(hpt_study_ask(&t, study[2]));
        memcpy(points[i], hpt__trial_point(t), sizeof points[i]);
        end(study[2], t);
    }
    for (int i = 0; i < 44; i++)
        for (int j = 0; j < i; j++) cr_expect(!same_points(points[i], points[j], 2), "%d asks what %d asked", i, j);
    for (int i = 0; i < 2; i++) hpt_trial_destroy(trials[i]);
    for (int i = 0; i < 3; i++) hpt_study_close(study[i]);
    hpt_space_destroy(space);
}

static void keep(hpt_log_level level, const char *line, void *payload) {
    if (level == HPT_LOG_WARN) (void)snprintf(payload, 200, "%s", line);
}

Test(sampler_gp_faults, a_value_for_running_trials_is_refused_with_a_line)
{
    char line[200] = "";
    lab l;
    lab_open(&l, plane(), NULL, 2);
    hpt_log_set(keep, line, HPT_LOG_WARN);
    OK(hpt__sampler_find(&l.ops, "gp"));
    OK(l.ops->create(&l.state, &l.env));
    cr_expect_str_eq(line, "");
    l.ops->destroy(l.state);
    l.state = NULL;
    OK(hpt__options_set(&l.options, "impute.running", "worst"));
    OK(l.ops->create(&l.state, &l.env));
    cr_expect(strstr(line, "impute.running has no effect"), "%s", line);
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
    lab_close(&l);
}

// ---- threads

Test(sampler_gp_faults, one_core_asks_what_all_cores_ask)
{
    enum { D = 9, N = 40 };
    static double points[N][D];
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0) cr_skip_test("more cores than a cpu_set_t holds");
    for (int k = 0; k < 2; k++) {
        lab l;
        hpt_space *space = new_space();
        add_many(space, "x", D);
        lab_open(&l, space, NULL, 4);
        l.env.device = "cpu";
        OK(hpt__sampler_find(&l.ops, "gp"));
        const int rc = l.ops->create(&l.state, &l.env);
        const char *required = getenv("HPT_TEST_REQUIRE");
        if (rc == HPT_E_DEVICE && !(required && strstr(required, "cpu"))) cr_skip_test("%s", hpt_last_error());
        OK(rc);
        for (int i = 0; i < N; i++) {
            double point[D];
            const char *by;
            OK(lab_suggest(point, &by, &l));
            if (k == 0)
                memcpy(points[i], point, sizeof point);
            else
                cr_assert_arr_eq(points[i], point, sizeof point, "trial %d", i);
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), bowl(point, space));
        }
        lab_close(&l);
        int core = 0;
        while (!CPU_ISSET(core, &all)) core++;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    }
}

// ---- spaces at the edge

static void add_choices(hpt_space *s, const char *name, int n) {
    char(*texts)[8] = malloc((size_t)n * sizeof *texts);
    const char **choices = malloc((size_t)n * sizeof *choices);
    for (int i = 0; i < n; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "v%d", i);
        choices[i] = texts[i];
    }
    OK(hpt_space_add_categorical(s, name, choices, n));
    free(texts);
    free(choices);
}

static void one_choice(hpt_space *s) {
    OK(hpt_space_add_categorical(s, "one", LIST("a")));
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
}
static void one_dimension(hpt_space *s) {
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
}
static void two_values(hpt_space *s) {
    OK(hpt_space_add_int(s, "i", 0, 1, 1, 0));
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
}
static void step_that_does_not_divide(hpt_space *s) {
    OK(hpt_space_add_float(s, "x", 0, 1, 0.3, 0));
    OK(hpt_space_add_int(s, "i", 0, 10, 4, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
}
static void decades(hpt_space *s) {
    OK(hpt_space_add_float(s, "x", 1e-300, 1e300, 0, HPT_LOG));
}
static void tiny_range(hpt_space *s) {
    OK(hpt_space_add_float(s, "x", 1, 1 + 1e-12, 0, 0));
}
static void huge_range(hpt_space *s) {
    OK(hpt_space_add_float(s, "x", -1.7e308, 1.7e308, 0, 0));
}
static void long_integers(hpt_space *s) {
    OK(hpt_space_add_int(s, "i", -(INT64_C(1) << 53), INT64_C(1) << 53, 1, 0));
}
static void never_active(hpt_space *s) {
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b")));
    OK(hpt_space_set_probabilities(s, "c", (const double[]){1, 0}, 2));
    OK(hpt_space_add_float(s, "child", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "child", "c", LIST("b")));
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
}
static void many_choices(hpt_space *s) {
    add_choices(s, "c", 10000);
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
}
static void many_groups(hpt_space *s) {
    enum { GROUPS = 70 };
    add_choices(s, "c", GROUPS);
    add_many(s, "x", GROUPS);
    for (int i = 0; i < GROUPS; i++) {
        char name[16], value[16];
        (void)snprintf(name, sizeof name, "x%d", i);
        (void)snprintf(value, sizeof value, "v%d", i);
        OK(hpt_space_add_condition(s, name, "c", LIST(value)));
    }
}
static void thousand_dimensions(hpt_space *s) {
    add_many(s, "x", 1000);
}

Test(sampler_gp_faults, spaces_at_the_edge_give_legal_points_and_none_twice)
{
    static const struct {
        const char *name;
        void (*make)(hpt_space *);
        int n;
    } cases[] = {{"one choice", one_choice, 20},
                 {"one dimension", one_dimension, 20},
                 {"two values", two_values, 20},
                 {"a step that does not divide", step_that_does_not_divide, 25},
                 {"600 decades", decades, 20},
                 {"a tiny range", tiny_range, 20},
                 {"a huge range", huge_range, 20},
                 {"2^54 integers", long_integers, 20},
                 {"a condition that never holds", never_active, 20},
                 {"10,000 choices", many_choices, 20},
                 {"70 groups", many_groups, 34},
                 {"1,000 dimensions", thousand_dimensions, 14}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        lab l;
        hpt_space *space = new_space();
        cases[k].make(space);
        lab_open(&l, space, "gp", 3);
        const int64_t d = space->d;
        double *points = malloc((size_t)(cases[k].n * d) * sizeof *points);
        int n_model = 0;
        for (int i = 0; i < cases[k].n; i++) {
            double *point = points + i * d;
            const char *by;
            cr_assert_eq(lab_suggest(point, &by, &l), 0, "%s, trial %d: %s", cases[k].name, i, hpt_last_error());
            check_legal(&l, point, cases[k].name);
            n_model += strncmp(by, "gp", 2) == 0;
            for (int j = 0; j < i && i > 10; j++)
                cr_expect(!same_points(point, points + j * d, d), "%s: %d asks what %d asked", cases[k].name, i, j);
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), bowl(point, space));
        }
        cr_expect_gt(n_model, 2, "%s: the model chose %d", cases[k].name, n_model);
        free(points);
        lab_close(&l);
    }
}
