// SPDX-License-Identifier: Apache-2.0
// test_pruner_study.c: what a study does with a pruner's answer and notes.
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/study/study_state.h"

#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_assert_eq((call), (status), "%s: %s", #call, hpt_last_error())

static hpt_study *open_study(const char *storage, const char *pruner, int64_t n_objectives) {
    hpt_study *study;
    hpt_space *space;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    o.space = space;
    o.storage = storage;
    o.sampler = "random";
    o.pruner = pruner;
    o.directions = (const hpt_direction[]){HPT_MINIMIZE, HPT_MINIMIZE};
    o.n_directions = n_objectives;
    o.options = (const char *const[]){"asha.min_resource=1", "asha.reduction_factor=2", "threshold.upper=1"};
    o.n_options = 3;
    OK(hpt_study_open(&study, &o));
    hpt_space_destroy(space);
    return study;
}

static hpt_trial *asked(hpt_study *study, int64_t step, double value) {
    hpt_trial *t;
    OK(hpt_study_ask(&t, study));
    OK(hpt_trial_report(t, step, value));
    return t;
}

static char *attr(hpt_study *study, int64_t number, const char *key) {
    char *text = NULL;
    OK(hpt__study_trial_attr(&text, study, number, key));
    return text;
}

static void new_url(char url[64], char path[48]) {
    snprintf(path, 48, "/tmp/hpt_pruner_XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    snprintf(url, 64, "sqlite:///%s", path);
}

static void remove_all(const char *path) {
    char name[64];
    const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

Test(pruner_study, notes_are_stored_before_the_answer_and_judge_another_handles_trials)
{
    char url[64], path[48];
    bool prune;
    new_url(url, path);
    hpt_study *a = open_study(url, "asha", 1), *b = open_study(url, "asha", 1);
    hpt_trial *first = asked(a, 2, 0.25); // rungs at 1 and 2
    OK(hpt_trial_should_prune(&prune, first));
    cr_expect(!prune);
    const char *const keys[] = {"s:completed_rung_0", "s:completed_rung_1"};
    for (int i = 0; i < 2; i++) {
        char *in_a = attr(a, 0, keys[i]), *in_b = attr(b, 0, keys[i]);
        cr_assert(in_a && in_b);
        cr_expect_str_eq(in_a, "0.25");
        cr_expect_str_eq(in_b, "0.25");
        hpt_free(in_a);
        hpt_free(in_b);
    }
    hpt_trial *second = asked(b, 1, 0.5);
    OK(hpt_trial_should_prune(&prune, second));
    cr_expect(prune, "0.25 at the first rung is better");
    hpt_trial *third = asked(b, 1, INFINITY);
    OK(hpt_trial_should_prune(&prune, third));
    char *text = attr(a, 2, "s:completed_rung_0");
    cr_expect_str_eq(text, "Infinity", "Python's spelling");
    hpt_free(text);
    hpt_trial_destroy(first);
    hpt_trial_destroy(second);
    hpt_trial_destroy(third);
    hpt_study_close(a);
    hpt_study_close(b);
    a = open_study(url, NULL, 1); // the pruner is remembered, and the rungs
    hpt_trial *fourth = asked(a, 1, 0.3);
    OK(hpt_trial_should_prune(&prune, fourth));
    cr_expect(!prune, "second of four, of which two pass");
    hpt_trial_destroy(fourth);
    hpt_study_close(a);
    remove_all(path);
}

static int refuse_attr(hpt__storage *s, int64_t trial_id, const hpt__attr_item *attrs, int64_t n) {
    (void)s;
    (void)trial_id;
    (void)attrs;
    (void)n;
    return hpt__fail(HPT_E_STORAGE, "disk full");
}

Test(pruner_study, a_note_that_cannot_be_stored_is_the_error_of_the_question)
{
    bool prune = false;
    hpt_study *study = open_study(":memory:", "asha", 1);
    hpt_trial *good = asked(study, 1, 0), *bad = asked(study, 1, 1);
    OK(hpt_trial_should_prune(&prune, good));
    hpt__storage *storage = study->storage;
    const hpt__storage_ops *ops = storage->ops;
    hpt__storage_ops broken = *ops;
    broken.trial_attr_set = refuse_attr;
    storage->ops = &broken;
    FAILS(HPT_E_STORAGE, hpt_trial_should_prune(&prune, bad));
    cr_expect_str_eq(hpt_last_error(), "disk full");
    cr_expect(!prune, "no answer was given");
    char *text = attr(study, 1, "s:completed_rung_0");
    cr_expect_null(text, "what is not stored is not in the table");
    storage->ops = ops;
    OK(hpt_trial_should_prune(&prune, bad));
    cr_expect(prune);
    hpt_trial_destroy(good);
    hpt_trial_destroy(bad);
    hpt_study_close(study);
}

static int64_t allocs_left;
static bool fail_one(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return allocs_left-- == 0;
}

Test(pruner_study, a_failing_allocation_is_an_error_or_keeps_the_trial)
{
    bool failed = true;
    for (int64_t k = 0; failed; k++) {
        bool prune = false;
        hpt_study *study = open_study(":memory:", "asha", 1);
        hpt_trial *good = asked(study, 1, 0), *bad = asked(study, 1, 1);
        OK(hpt_trial_should_prune(&prune, good));
        allocs_left = k;
        hpt__alloc_set_hook(fail_one, NULL);
        const int rc = hpt_trial_should_prune(&prune, bad);
        hpt__alloc_set_hook(NULL, NULL);
        failed = allocs_left < 0;
        cr_expect(rc == 0 || (rc == HPT_E_MEMORY && failed));
        cr_expect_eq(prune, !failed, "allocation %d", (int)k);
        hpt_trial_destroy(good);
        hpt_trial_destroy(bad);
        hpt_study_close(study);
        cr_assert_lt(k, 1000);
    }
}

Test(pruner_study, several_objectives_are_never_pruned)
{
    bool prune = true;
    hpt_study *study = open_study(":memory:", "threshold", 2);
    hpt_trial *t = asked(study, 1, 100);
    OK(hpt_trial_should_prune(&prune, t));
    cr_expect(!prune);
    hpt_trial_destroy(t);
    hpt_study_close(study);
    study = open_study(":memory:", "threshold", 1);
    t = asked(study, 1, 100);
    OK(hpt_trial_should_prune(&prune, t));
    cr_expect(prune);
    OK(hpt_study_tell(study, t, HPT_TRIAL_PRUNED, NULL, 0));
    OK(hpt_trial_should_prune(&prune, t));
    cr_expect(!prune, "it ended");
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(pruner_study, a_study_opens_only_with_a_pruner_that_can_work)
{
    hpt_study *study = NULL;
    hpt_space *space;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    o.space = space;
    o.pruner = "bands";
    FAILS(HPT_E_ARG, hpt_study_open(&study, &o));
    cr_expect(strstr(hpt_last_error(), "bands.min_iter"));
    hpt_space_destroy(space);
}
