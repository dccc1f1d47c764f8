// SPDX-License-Identifier: Apache-2.0
// test_run_share.c: what of a share a trial finds enforced, and what is recorded of its use.
#include "core/devices/cores.h"
#include "run_support.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(run_share, .init = run_enter, .fini = run_leave);

static const char SHOW_CORES[] = "grep Cpus_allowed_list /proc/self/status | cut -f2 > $HPT_TRIAL_DIR/cores; "
                                 "sleep 0.1; echo loss=1";

static const char *file_of(int64_t trial, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/%s", (int)trial, name);
    return run_read(path);
}

static int n_cores(void) {
    cpu_set_t mask;
    cr_assert_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
    return CPU_COUNT(&mask);
}

Test(run_share, whole_cores_are_a_trials_own)
{
    run_sweep_file(SHOW_CORES, 2, "hpt: {resources: {cpu: 1}}\n");
    run_ok(NULL);
    char first[32];
    snprintf(first, sizeof first, "%s", file_of(0, "cores"));
    cr_assert(strspn(first, "0123456789") == strlen(first) - 1, "one core: %s", first);
    if (record.most_running == 2) cr_assert_str_neq(first, file_of(1, "cores"));
    first[strlen(first) - 1] = '\0';
    char entry[64];
    snprintf(entry, sizeof entry, "\"cores\": \"%s\"", first);
    cr_assert(strstr(run_attr("t", 0, "s:hpt:use"), entry), "%s", run_attr("t", 0, "s:hpt:use"));
}

Test(run_share, how_long_a_trial_ran_and_what_an_interrupted_attempt_held_are_stored)
{
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "1";
    run_sweep_file("touch up; [ -e again ] || exec sleep 60; sleep 0.3; echo loss=1", 1,
                   "hpt: {resources: {cpu: 0.01, gpu: 0.5}}\n");
    pid_t pid = run_fork(&o);
    run_wait_for("up");
    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    const char *attempts = run_attr("t", 0, "s:hpt:attempts");
    cr_assert(strstr(attempts, "[{\"outcome\": \"stopped\", \"seconds\": "), "%s", attempts);
    cr_assert(strstr(attempts, "\"gpus\": \"gpu:0\", \"gpu\": 0.5}"), "%s", attempts);
    run_file("again", "", false);
    run_ok(&o);
    const char *use = run_attr("t", 0, "s:hpt:use"), *at = strstr(use, "\"seconds\": ");
    cr_assert(at, "%s", use);
    const double seconds = strtod(at + strlen("\"seconds\": "), NULL);
    cr_assert(seconds >= 0.3 && seconds < 60, "%g, not the time since it was asked for", seconds);
}

Test(run_share, cores_stay_within_the_mask_that_the_run_was_given)
{
    cpu_set_t all, one;
    if (n_cores() < 2) cr_skip_test("needs two cores");
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all)) last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    run_sweep_file(SHOW_CORES, 2, "hpt: {resources: {cpu: 1}}\n");
    run_ok(NULL);
    cr_assert_eq(record.most_running, 1);
    cr_assert_eq(atoi(file_of(0, "cores")), last);
    cr_assert_eq(atoi(file_of(1, "cores")), last);
}

Test(run_share, a_fraction_of_a_core_and_a_share_that_nobody_named_are_not_pinned)
{
    const char *const extra[] = {NULL, "hpt: {resources: {cpu: 0.5}}\n"};
    for (int i = 0; i < 2; i++) {
        char mine[64];
        snprintf(mine, sizeof mine, "%s", "");
        FILE *p = popen("grep Cpus_allowed_list /proc/self/status | cut -f2", "r");
        cr_assert(p && fgets(mine, sizeof mine, p));
        pclose(p);
        run_sweep_file(SHOW_CORES, i + 1, extra[i]);
        run_ok(NULL);
        cr_assert_str_eq(file_of(i, "cores"), mine);
    }
}

Test(run_share, thread_counts_are_the_share_unless_the_user_has_set_them)
{
    static const char script[] = "echo $OMP_NUM_THREADS,$OPENBLAS_NUM_THREADS,$MKL_NUM_THREADS,$BLIS_NUM_THREADS,"
                                 "$NUMEXPR_NUM_THREADS > $HPT_TRIAL_DIR/n; echo loss=1";
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
                                        "NUMEXPR_NUM_THREADS"};
    for (int i = 0; i < 4; i++) unsetenv(names[i]);
    run_sweep_file(script, 1, "hpt: {resources: {cpu: 1.5}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of(0, "n"), "1,1,1,1,1\n");
    setenv("MKL_NUM_THREADS", "3", 1);
    run_sweep_file(script, 2, "hpt: {resources: {cpu: 1.5}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of(1, "n"), "1,1,3,1,1\n");
    setenv("OMP_NUM_THREADS", "5", 1);
    run_sweep_file(script, 3, "hpt: {resources: {cpu: 1.5}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of(2, "n"), "5,,3,,\n");
}

Test(run_share, memory_limits_the_data_of_a_trials_processes_unless_it_asks_for_a_gpu)
{
    static const char script[] = "ulimit -d > $HPT_TRIAL_DIR/d; echo loss=1";
    run_sweep_file(script, 1, "hpt: {resources: {memory: 64MiB}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of(0, "d"), "65536\n");
    cr_assert(strstr(run_attr("t", 0, "s:hpt:use"), "\"tier\": \"rlimit\""));
    setenv("HPT_FAKE_DEVICES", "1x40GiB", 1);
    run_sweep_file(script, 2, "hpt: {resources: {memory: 64MiB, gpu: 0.25}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of(1, "d"), "unlimited\n");
    const char *use = run_attr("t", 1, "s:hpt:use");
    cr_assert(strstr(use, "\"tier\": \"advisory\"") && strstr(use, "\"gpus\": \"gpu:0\"") &&
                  strstr(use, "\"gpu\": 0.25"),
              "%s", use);
}

Test(run_share, a_trial_that_takes_more_than_its_memory_fails)
{
    run_sweep_file("awk 'BEGIN { s = \"0123456789abcdef\"; while (length(s) < 2^28) s = s s; print \"loss=1\" }'", 1,
                   "hpt: {resources: {memory: 64MiB}}\n");
    run_ok(NULL);
    // awk's words decide which of the two
    cr_assert(record.outcome[0] == HPT_OUTCOME_FAILED || record.outcome[0] == HPT_OUTCOME_OOM_HOST, "%s",
              record.reason[0]);
}

Test(run_share, the_peak_of_memory_and_the_time_of_a_trial_are_recorded)
{
    run_sweep_file("awk 'BEGIN { s = \"0123456789abcdef\"; while (length(s) < 2^25) s = s s; print \"loss=1\" }'; "
                   "exit $HPT_TRIAL",
                   2, NULL);
    run_ok(NULL);
    for (int64_t i = 0; i < 2; i++) { // done and failed
        const char *use = run_attr("t", i, "s:hpt:use");
        const char *peak = strstr(use, "\"peak_memory\": "), *cpu = strstr(use, "\"cpu_seconds\": ");
        cr_assert(peak && cpu, "%s", use);
        cr_assert_geq(strtod(peak + 15, NULL), 33554432.0, "the string alone has 32 MiB: %s", use);
        cr_assert_gt(strtod(cpu + 15, NULL), 0.0);
    }
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_FAILED);
}
