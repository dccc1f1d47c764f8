// SPDX-License-Identifier: Apache-2.0
// test_run_monitor.c: hpt_monitor: what another process learns of a run from its socket, from the driver and from /proc.
#include "run_support.h"

#include "core/base/alloc.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_monitor, .init = run_enter, .fini = run_leave);

static const char WAITS[] =
    "echo step=4 loss=2; touch up$HPT_TRIAL; while [ ! -e go ]; do sleep 0.02; done; echo loss=1";

static const hpt_run_view *look(hpt_monitor *m) {
    const hpt_run_view *v = NULL;
    cr_assert_eq(hpt_monitor_look(&v, m), 0, "%s", hpt_last_error());
    return v;
}

Test(run_monitor, a_run_tells_devices_shares_and_trials_and_one_that_ended_is_not_going)
{
    hpt_monitor *m = NULL;
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "2x40GiB";
    o.slots = 3;
    run_sweep_file(WAITS, 3, "hpt: {resources: {cpu: 0.01, gpu: 0.5, gpu_memory: 10GiB}}\n");
    cr_assert_eq(hpt_monitor_open(&m, "hpt_runs/t"), HPT_E_NOT_FOUND, "nothing was started yet");
    cr_assert(strstr(hpt_last_error(), "there is no run in 'hpt_runs/t'"), "%s", hpt_last_error());
    pid_t pid = run_fork(&o);
    for (int i = 0; i < 3; i++) {
        char up[16];
        snprintf(up, sizeof up, "up%d", i);
        run_wait_for(up);
    }
    cr_assert_eq(hpt_monitor_open(&m, "hpt_runs/t"), 0, "%s", hpt_last_error());
    const hpt_run_view *v = look(m);
    cr_assert(v->going && v->answered);
    cr_assert_str_eq(v->study, "t");
    cr_assert_str_eq(v->storage, "sqlite:///hpt_runs/t/study.db");
    cr_assert(v->pid == pid && v->cap == 3 && v->n_slots == 3 && v->elapsed > 0);
    cr_assert_eq(v->n_devices, 3);
    cr_assert_str_eq(v->devices[0].name, "cpu");
    cr_assert(v->devices[0].granted > 0.0299 && v->devices[0].granted < 0.0301, "%g", v->devices[0].granted);
    cr_assert_eq(v->devices[0].n_trials, 3);
    cr_assert_geq(v->devices[0].used_bytes, 3 * 100 * 1024, "three shells take some memory");
    double granted = 0;
    int64_t n = 0;
    for (int i = 1; i < 3; i++) {
        const hpt_run_device *d = &v->devices[i];
        granted += d->granted;
        n += d->n_trials;
        cr_assert(d->capacity == 1 && d->granted <= 1 && d->memory_bytes == 40LL << 30);
        cr_assert_eq(d->granted_bytes, d->n_trials * (10LL << 30));
        cr_assert_eq(d->used_bytes, -1, "nobody measures a declared GPU");
    }
    cr_assert(granted == 1.5 && n == 3);
    cr_assert_eq(v->n_trials, 3);
    for (int i = 0; i < 3; i++) {
        const hpt_run_process *t = &v->trials[i];
        cr_assert(t->slot == i && t->number >= 0 && t->number < 3 && t->attempt == 0 && !t->stopping);
        cr_assert(strstr(t->use, "\"gpu\": 0.5") && strstr(t->use, "\"gpu_memory\": 10737418240"), "%s", t->use);
        cr_assert_eq(getsid((pid_t)t->pid), t->pid);
        cr_assert_geq(t->host_bytes, 100 * 1024);
        cr_assert_eq(t->gpu_bytes, -1);
    }
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    v = look(m);
    cr_assert(!v->going && !v->answered && v->n_trials == 0 && v->n_devices == 0);
    hpt_monitor_close(m);
}

Test(run_monitor, a_machine_of_a_thousand_devices_comes_whole_and_in_order)
{
    hpt_monitor *m = NULL;
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "1000";
    o.slots = 2;
    run_sweep_file(WAITS, 2, "hpt: {resources: {cpu: 0.01, gpu: 1}}\n");
    pid_t pid = run_fork(&o);
    run_wait_for("up0");
    run_wait_for("up1");
    cr_assert_eq(hpt_monitor_open(&m, "hpt_runs/t"), 0);
    for (int k = 0; k < 2; k++) { // the second look uses the memory of the first
        const hpt_run_view *v = look(m);
        cr_assert_eq(v->n_devices, 1001);
        cr_assert_eq(v->n_trials, 2);
        for (int i = 1; i < 1001; i++) {
            char name[32];
            snprintf(name, sizeof name, "gpu:%d", i - 1);
            cr_assert_str_eq(v->devices[i].name, name);
        }
    }
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    hpt_monitor_close(m);
}

Test(run_monitor, trials_that_wait_for_their_share_are_told_as_such)
{
    hpt_monitor *m = NULL;
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "1x10GiB";
    o.slots = 2;
    o.has_seed = true; // whose two points ask for more than 10 GiB together
    o.seed = 1;
    run_sweep_file(WAITS, 2, "hpt: {resources: {cpu: 0.01, gpu: 0.25, gpu_memory: \"{x} * 6GiB + 4GiB\"}}\n");
    pid_t pid = run_fork(&o);
    run_wait_for("up0");
    cr_assert_eq(hpt_monitor_open(&m, "hpt_runs/t"), 0);
    const hpt_run_view *v = look(m);
    for (int i = 0; i < 100 && v->n_trials < 2; i++) { // the second is asked for beside the first
        run_nap(0.1);
        v = look(m);
    }
    if (v->n_trials == 2) {
        cr_assert_eq(v->trials[0].slot, 0);
        cr_assert(v->trials[1].slot == -1 && v->trials[1].pid == -1 && v->trials[1].host_bytes == -1);
        cr_assert_str_eq(v->trials[1].use, "{}");
    }
    const bool waited = v->n_trials == 2;
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert(waited, "no trial waited");
    hpt_monitor_close(m);
}

Test(run_monitor, a_run_that_does_not_answer_is_going_all_the_same)
{
    hpt_monitor *m = NULL;
    run_sweep_file(WAITS, 1, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up0");
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    cr_assert_eq(hpt_monitor_open(&m, "hpt_runs/t"), 0);
    const hpt_run_view *v = look(m);
    cr_assert(v->going && !v->answered && v->n_trials == 0 && v->n_devices == 0);
    cr_assert_eq(kill(pid, SIGCONT), 0);
    cr_assert(look(m)->answered);
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    hpt_monitor_close(m);
}

static int64_t left;
static bool fail_once(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return left-- == 0;
}

Test(run_monitor, any_failing_allocation_is_an_error_and_the_next_look_is_whole)
{
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "2";
    int n_errors = 0;
    run_sweep_file(WAITS, 2, "hpt: {resources: {cpu: 0.01, gpu: 0.5}}\n");
    pid_t pid = run_fork(&o);
    run_wait_for("up0");
    run_wait_for("up1");
    for (int64_t k = 0, done = 0; !done; k++) {
        hpt_monitor *m = NULL;
        const hpt_run_view *v = NULL;
        left = k;
        hpt__alloc_set_hook(fail_once, NULL);
        int rc = hpt_monitor_open(&m, "hpt_runs/t");
        const bool opened = rc == 0;
        if (opened) rc = hpt_monitor_look(&v, m);
        hpt__alloc_set_hook(NULL, NULL);
        done = left >= 0;
        n_errors += rc < 0;
        cr_assert(rc == 0 || rc == HPT_E_MEMORY, "k %d: %d %s", (int)k, rc, hpt_last_error());
        if (opened) {
            v = look(m);
            cr_assert(v->n_trials == 2 && v->n_devices == 3, "k %d", (int)k);
        }
        hpt_monitor_close(m);
    }
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert(n_errors > 5, "%d errors", n_errors);
}
