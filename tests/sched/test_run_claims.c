// SPDX-License-Identifier: Apache-2.0
// test_run_claims.c: a run beside another one, which here is a ledger of this test's in the same folder of claims.
#include "core/devices/claims.h"
#include "core/devices/host_limits.h"
#include "run_support.h"

#include <criterion/criterion.h>
#include <hpt/device.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static hpt__ledger ledger;
static hpt__claims other;
static hpt__grant grant;

// The other run has all that was declared.
static void enter(void) {
    hpt_device_info *devices = NULL;
    int64_t n = 0;
    hpt__demand all;
    run_enter();
    setenv("HPT_FAKE_DEVICES", "10GiB", 1);
    cr_assert_eq(hpt_device_list(&devices, &n, NULL), 0);
    cr_assert_eq(hpt__ledger_init(&ledger, devices, n), 0);
    hpt_free(devices);
    cr_assert_eq(hpt__claims_open(&other, &ledger, getenv("HPT_CLAIMS_DIR"), "/other", true, true), 0);
    cr_assert_eq(hpt__demand_make(&all, 0.001, ledger.memory, 1, 0), 0);
    cr_assert(hpt__claims_begin(&other));
    cr_assert(hpt__ledger_take(&grant, &ledger, &all));
    hpt__claims_end(&other);
}

static void leave(void) {
    hpt__claims_close(&other);
    hpt__ledger_fini(&ledger);
    run_leave();
}
TestSuite(run_claims, .init = enter, .fini = leave);

static void give(void) {
    hpt__ledger_give(&ledger, &grant);
    hpt__claims_given(&other);
}

// Until another run has joined; asks: and waits for a GPU.
static void wait_for_other(bool asks) {
    for (int i = 0; i < 3000 && (asks ? other.n_waiters : other.n_runs) == 0; i++) {
        run_nap(0.02);
        if (hpt__claims_begin(&other)) hpt__claims_end(&other);
    }
    cr_assert((asks ? other.n_waiters : other.n_runs) > 0, "the other run does not come");
}

static const char SCRIPT[] = "touch begun; echo loss=1";

Test(run_claims, a_trial_waits_for_the_gpu_that_another_run_has)
{
    run_sweep_file(SCRIPT, 3, "hpt: {resources: {gpu: 0.5, cpu: 0.1}}\n");
    const pid_t pid = run_fork(NULL);
    wait_for_other(true);
    cr_assert(access("begun", F_OK) < 0);
    give();
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert_eq(access("begun", F_OK), 0);
}

Test(run_claims, a_trial_whose_amount_is_computed_waits_likewise)
{
    run_sweep_file(SCRIPT, 3, "hpt: {resources: {gpu: '0.1 + {x} / 2', cpu: 0.1}}\n");
    const pid_t pid = run_fork(NULL);
    wait_for_other(true);
    cr_assert(access("begun", F_OK) < 0);
    give();
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
}

Test(run_claims, memory_of_the_host_that_another_run_has_is_waited_for)
{
    hpt__host_limits limits;
    hpt__host_limits_read(&limits, "");
    if (strcmp(limits.memory_from, "MemTotal") != 0)
        cr_skip_test("this machine's memory is limited: nothing is shared");
    run_sweep_file(SCRIPT, 2, "hpt: {resources: {memory: 1MiB, cpu: 0.1}}\n");
    const pid_t pid = run_fork(NULL);
    wait_for_other(false);
    cr_assert(access("begun", F_OK) < 0);
    give();
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
}

Test(run_claims, a_run_inside_a_trial_does_not_wait_for_that_trials_own_share)
{
    setenv("HPT_TRIAL", "3", 1);
    run_sweep_file(SCRIPT, 2, "hpt: {resources: {gpu: 0.5, cpu: 0.1}}\n");
    run_ok(NULL);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
}

static void on_wait(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "waits for room") && grant.held) give();
}

Test(run_claims, what_is_waited_for_is_said)
{
    run_sweep_file(SCRIPT, 2, "hpt: {resources: {gpu: 0.5, cpu: 0.1}}\n");
    record.hook = on_wait;
    run_ok(NULL);
    cr_assert(strstr(record.notices, "waits for room on GPUs that other runs have: /other (process "), "%s",
              record.notices);
    cr_assert_eq(record.n_notices, 1, "%s", record.notices);
}
