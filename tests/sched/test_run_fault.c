// SPDX-License-Identifier: Apache-2.0
// test_run_fault.c: hpt_run_sweep when allocations or writes fail: an error, no process left, nothing told lost.
#include "run_support.h"

#include "core/base/alloc.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(run_fault, .init = run_enter, .fini = run_leave);

static int64_t left, taken;
static bool fail_once(size_t size, void *payload) {
    (void)size;
    (void)payload;
    taken++;
    return left-- == 0;
}

// For every k (in steps) the k-th allocation of a run fails. Whatever the call says, no process stays, and running the
// same folder again brings the sweep to its end.
static void fail_each_allocation(void) {
    int n_errors = 0;
    for (int64_t k = 0, done = 0; !done; k += k < 40 ? 1 : 6) {
        hpt_sweep *sweep = NULL;
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        hpt_run_summary s;
        char dir[32];
        snprintf(dir, sizeof dir, "k%lld", (long long)k);
        o.run_dir = dir;
        o.slots = 2;
        cr_assert_eq(hpt_sweep_load(&sweep, "sweep.yaml"), 0);
        left = k;
        taken = 0;
        hpt__alloc_set_hook(fail_once, NULL);
        int rc = hpt_run_sweep(&s, sweep, &o);
        hpt__alloc_set_hook(NULL, NULL);
        done = taken <= k;
        cr_assert(rc == 0 || rc == HPT_E_MEMORY || rc == HPT_E_STORAGE, "k %d: %d %s", (int)k, rc, hpt_last_error());
        n_errors += rc < 0;
        cr_assert_eq(run_processes(), 0, "k %d", (int)k);
        rc = hpt_run_sweep(&s, sweep, &o);
        cr_assert_eq(rc, 0, "k %d: %s", (int)k, hpt_last_error());
        cr_assert(s.n_done == 2 && s.n_failed == 0, "k %d: %d done, %d failed", (int)k, (int)s.n_done, (int)s.n_failed);
        hpt_sweep_destroy(sweep);
    }
    cr_assert(n_errors > 40, "%d errors", n_errors);
}

Test(run_fault, any_failing_allocation_ends_in_an_error_and_can_be_resumed)
{
    run_sweep_file("echo step=1 loss=2; echo loss=1", 2, "hpt: {pruner: median}\n");
    fail_each_allocation();
}

Test(run_fault, so_it_does_where_a_trial_gets_more_memory_and_shares_are_learned)
{
    setenv("HPT_FAKE_DEVICES", "1x40GiB", 1);
    run_sweep_file(
        "[ $HPT_TRIAL = 1 ] && [ $HPT_ATTEMPT = 0 ] && { echo CUDA out of memory >&2; exit 1; }; echo loss=1", 2,
        "hpt: {resources: {gpu: 0.25, gpu_memory: learn, cpu: 0.1}}\n");
    fail_each_allocation();
}

// A limit on file sizes stands for a full disk: writes to the database fail from some moment on.
Test(run_fault, a_database_that_cannot_grow_ends_the_run_and_keeps_what_was_told)
{
    run_sweep_file("ulimit -f unlimited 2>/dev/null; echo loss=$HPT_PARAM_X", 100000, NULL);
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN); // the write then fails with EFBIG
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 2500000; // the write-ahead log reaches it first
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    hpt_run_summary s;
    int rc = run_it(&s, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert(rc == HPT_E_STORAGE || rc == HPT_E_IO, "%d: %s", rc, hpt_last_error());
    cr_assert_eq(run_processes(), 0);
    const int64_t told = record.n_ended;
    cr_assert_gt(told, 20);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_geq(counts[HPT_TRIAL_COMPLETE], told, "%d of %d", (int)counts[HPT_TRIAL_COMPLETE], (int)told);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 2;
    o.n_trials = told + 10;
    s = run_ok(&o);
    cr_assert_eq(s.n_done, told + 10);
    cr_assert_eq(s.n_failed, 0);
}
