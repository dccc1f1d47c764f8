// SPDX-License-Identifier: Apache-2.0
// test_sampler_gp_faults.c: the Gaussian process sampler with stored states that are not its own, with studies that others
// go on with, with trials that end in any order, and with spaces at the edge of what there is.
#include "core/study/study_impl.h"
#include "sampler_testing.h"

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
    cr_expect(strstr(hpt__str_text(&stats), "\"policy\":\"local\",\"points\":32,"), "%s", hpt__str_text(&stats));
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
