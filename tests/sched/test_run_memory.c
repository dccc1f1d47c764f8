// SPDX-License-Identifier: Apache-2.0
// test_run_memory.c: GPU memory of trials: one that had too little is started again with more; `gpu_memory: learn`. GPUs are
// declared, or those of tests/nvml/fake_nvml.c where what a trial uses matters.
#include "run_support.h"

#include "core/study/study_impl.h"
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(void) {
    run_enter();
    setenv("HPT_FAKE_DEVICES", "1x40GiB", 1);
    setenv("HPT_MPS_CONTROL", "no-such-mps-control", 1);
    unsetenv("CUDA_MPS_PIPE_DIRECTORY");
    unsetenv("SLURM_JOB_ID");
}
TestSuite(run_memory, .init = enter, .fini = run_leave);

static const double GIB = 1073741824.0;
#define NOTE "echo $HPT_GPU_MEM_BYTES >> shares; "
#define OOM "{ echo 'torch.OutOfMemoryError: CUDA out of memory.' >&2; exit 1; }; "

// The k-th share that was noted, in GiB.
static double share(int k) {
    const char *p = run_read("shares");
    for (; k > 0 && p; k--) p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL;
    return p && *p ? atof(p) / GIB : NAN;
}

static int64_t n_oom;
static void count_oom(const hpt_run_event *e) {
    n_oom += e->kind == HPT_RUN_TRIAL_ENDED && e->outcome == HPT_OUTCOME_OOM_GPU;
}

Test(run_memory, a_share_that_was_too_small_is_half_as_large_again_in_the_next_attempt)
{
    run_sweep_file(NOTE "[ $HPT_RESUME = 0 ] && " OOM "echo loss=1", 1, "hpt: {resources: {gpu: 0.25}}\n");
    n_oom = 0;
    record.hook = count_oom;
    const hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 1 && s.n_failed == 0, "the point is not told as failed, and the cap of 1 holds");
    cr_assert_eq(n_oom, 1);
    cr_assert(share(0) == 10 && share(1) == 15, "%g %g", share(0), share(1));
    run_has(record.notices,
            "trial 0: exit code 1: torch.OutOfMemoryError: CUDA out of memory.; it had 10.00 GiB of a GPU and is "
            "started again with 15.00 GiB\n");
    run_has(run_attr("t", 0, "s:hpt:attempts"), "{\"outcome\": \"oom-gpu\", ");
    run_has(run_attr("t", 0, "s:hpt:attempts"), "\"gpu_memory\": 10737418240");
    run_has(run_attr("t", 0, "s:hpt:use"), "\"gpu\": 0.25, \"gpu_memory\": 16106127360");
}

Test(run_memory, it_is_tried_once_more_unless_the_sweep_says_more_often)
{
    run_sweep_file(NOTE OOM, 1, "hpt: {resources: {gpu: 0.25, gpu_memory: 2GiB}}\n");
    run_ok(NULL);
    cr_assert_eq(record.starts[0], 2);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_OOM_GPU);
    run_has(record.reason[0], "CUDA out of memory.; it had 3.00 GiB, after 1 smaller share");
    cr_assert_str_eq(run_attr("t", 0, "s:hpt:outcome"), "\"oom-gpu\"");
    unlink("shares");
    run_sweep_file(NOTE OOM, 2, "hpt: {resources: {gpu: 0.25, gpu_memory: 2GiB}, retries: 3}\n");
    run_ok(NULL);
    cr_assert_eq(record.starts[1], 4);
    cr_assert(share(0) == 2 && share(1) == 3 && share(2) == 4.5 && share(3) == 6.75, "%s", run_read("shares"));
}

Test(run_memory, what_had_all_of_the_largest_gpu_can_never_fit_and_says_so)
{
    setenv("HPT_FAKE_DEVICES", "1x24GiB+1x40GiB", 1);
    run_sweep_file(NOTE OOM, 1, "hpt: {resources: {gpu: 0.75}, retries: 9}\n");
    run_ok(NULL);
    cr_assert_eq(record.starts[0], 3);
    cr_assert(share(0) == 18 && share(1) == 27 && share(2) == 40, "%s", run_read("shares"));
    run_has(record.reason[0], "it had 40.00 GiB, and no GPU here has more for it");
}

Test(run_memory, whole_gpus_are_left_to_the_usual_retries)
{
    run_sweep_file(NOTE OOM, 2, "hpt: {resources: {gpu: 1}, retries: 1}\n");
    run_ok(NULL);
    cr_assert(record.starts[0] == 1 && record.starts[1] == 1);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_OOM_GPU);
}

Test(run_memory, a_larger_share_waits_for_its_room_and_is_never_beside_too_many)
{
    run_sweep_file(NOTE "[ $HPT_TRIAL = 0 ] && [ $HPT_RESUME = 0 ] && " OOM "sleep 0.2; echo loss=1", 6,
                   "hpt: {resources: {gpu: 0.5, cpu: 0.1}}\n");
    const hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 6);
    run_has(run_attr("t", 0, "s:hpt:use"), "\"gpu_memory\": 32212254720");
}

Test(run_memory, a_killed_run_leaves_what_it_learned_of_a_trial)
{
    run_sweep_file(NOTE "[ $HPT_ATTEMPT = 0 ] && " OOM "[ $HPT_ATTEMPT = 1 ] && { touch up; sleep 60; }; echo loss=1",
                   1, "hpt: {resources: {gpu: 0.25}}\n");
    const pid_t pid = run_fork(NULL);
    run_wait_for("up");
    cr_assert_eq(kill(pid, SIGKILL), 0);
    waitpid(pid, NULL, 0);
    const hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 1);
    cr_assert(share(2) == 15, "%s", run_read("shares"));
}

// ---- what is used is known

static void on_a_gpu(const char *process) {
    char text[128];
    unsetenv("HPT_FAKE_DEVICES");
    setenv("HPT_NVML_PATH", HPT_BINARY_DIR "/tests/fake/libfake_nvml.so", 1);
    setenv("FAKE_NVML_SCRIPT", "gpus", 1);
    snprintf(text, sizeof text, "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 @pid %s\n", process);
    run_file("gpus", text, false);
}
#define ON_GPU "echo $$ > pid.part; mv pid.part pid; "

Test(run_memory, one_that_took_more_than_its_share_gets_more_than_it_took)
{
    on_a_gpu("2048");
    run_sweep_file(NOTE ON_GPU "[ $HPT_RESUME = 0 ] && sleep 60; sleep 2; echo loss=1", 1,
                   "hpt: {resources: {gpu: 0.25, gpu_memory: 1GiB}, grace: 1}\n");
    const hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 1, "%s", record.reason[0]);
    cr_assert(share(0) == 1 && share(1) == 3, "%s", run_read("shares"));
    run_has(run_attr("t", 0, "s:hpt:attempts"), "\"gpu_peak\": 2147483648");
}

// ---- gpu_memory: learn

enum { LEARNERS = 8 };

// Trial i takes mib[i]. It writes its number to pid.i, and waits for go.i: until it has been looked at.
static void learners(const int *mib) {
    char text[1024] = "gpu GPU-aaaa-1 40960\n";
    on_a_gpu("0");
    for (int i = 0; i < LEARNERS; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "process GPU-aaaa-1 @pid.%d %d\n", i, mib[i]);
    run_file("gpus", text, false);
}
#define LEARN \
    NOTE "echo $$ > p.$HPT_TRIAL; mv p.$HPT_TRIAL pid.$HPT_TRIAL; while [ ! -e go.$HPT_TRIAL ]; do sleep 0.02; done; "

// Trials are looked at once a second, and a tick comes five times. After enough of them every trial that has told its
// number has been looked at, and may end.
static void look_for(const hpt_run_event *e, int enough) {
    static int ticks[LEARNERS];
    char name[32];
    if (e->kind != HPT_RUN_TICK) return;
    for (int i = 0; i < LEARNERS; i++) {
        snprintf(name, sizeof name, "pid.%d", i);
        if (access(name, F_OK) < 0 || ++ticks[i] != enough) continue;
        snprintf(name, sizeof name, "go.%d", i);
        run_file(name, "", false);
    }
}

static void look_slowly(const hpt_run_event *e) {
    look_for(e, 12);
}

static void look_at_them(const hpt_run_event *e) { // a second passes each tick
    if (e->kind == HPT_RUN_TICK) run_time_passes(1);
    look_for(e, 3);
}

static hpt_run_options one_slot(int64_t n_trials) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    o.n_trials = n_trials;
    return o;
}

static const char QUARTER[] = "hpt: {resources: {gpu: 0.25, gpu_memory: learn, cpu: 0.1}}\n";
static const int ALIKE[LEARNERS] = {2000, 1500, 1000, 1000, 1000, 1000, 1000, 1000};

Test(run_memory, later_trials_get_what_the_first_used_and_a_tenth_and_the_next_run_knows_it)
{
    learners(ALIKE);
    run_sweep_file(LEARN "echo loss=1", 8, QUARTER);
    record.hook = look_at_them;
    hpt_run_options o = one_slot(4);
    run_ok(&o);
    cr_assert(share(0) == 10 && share(2) == 10 && share(3) == 2.25, "%s", run_read("shares"));
    run_has(record.notices,
            "gpu_memory: learn: each trial gets 2.25 GiB from now on; of 3 known, the largest took 1.95 GiB");
    run_has(run_attr("t", 1, "s:hpt:use"), "\"gpu_peak\": 1572864000,");
    o.n_trials = 5;
    run_ok(&o);
    cr_assert_eq(share(4), 2.25, "%s", run_read("shares"));
    run_has(record.notices, "each trial gets 2.25 GiB from now on; of 4 known");
}

Test(run_memory, without_a_share_trials_begin_alone_and_then_share_as_their_memory_allows)
{
    static const int large[LEARNERS] = {9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000};
    learners(large);
    run_sweep_file("echo $HPT_GPU_SHARE >> parts; " LEARN "echo loss=1", 8,
                   "hpt: {resources: {gpu_memory: learn, cpu: 0.1}, parallel: 8}\n");
    record.hook = look_at_them;
    const hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    const hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 8);
    cr_assert(share(0) == 40 && share(2) == 40 && share(3) == 9.75, "%s", run_read("shares"));
    cr_assert_eq(strncmp(run_read("parts"), "1.0\n1.0\n1.0\n0.25\n", 17), 0, "%s", run_read("parts"));
    cr_assert_eq(record.most_running, 4);
}

Test(run_memory, an_attempt_that_had_too_little_raises_the_share_of_all)
{
    learners(ALIKE);
    run_sweep_file(LEARN "[ $HPT_TRIAL = 3 ] && [ $HPT_RESUME = 0 ] && " OOM "echo loss=1", 5, QUARTER);
    record.hook = look_at_them;
    const hpt_run_options o = one_slot(0);
    const hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 5);
    cr_assert(share(3) == 2.25 && share(4) == 3.375 && share(5) == 2.5, "%s", run_read("shares"));
}

Test(run_memory, who_fills_whatever_it_is_given_does_not_raise_its_own_share)
{
    static const int full[LEARNERS] = {10240, 10240, 10240, 10240, 10240, 10240, 10240, 10240};
    learners(full);
    run_sweep_file(LEARN "echo loss=1", 5, QUARTER);
    record.hook = look_at_them;
    const hpt_run_options o = one_slot(0);
    run_ok(&o);
    cr_assert_eq(share(4), 10, "%s", run_read("shares"));
}

Test(run_memory, where_nothing_tells_what_is_used_that_is_said_and_shares_stay_in_proportion)
{
    run_sweep_file(NOTE "echo loss=1", 5, QUARTER);
    run_ok(NULL);
    cr_assert_eq(share(4), 10);
    run_has(record.notices, "gpu_memory: learn: nothing tells here what trials use (no NVML for these GPUs)");
}

// Tells n trials that used a GiB each, the first 20 if it is an outlier.
static void tell_trials(int n, bool outlier) {
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = "sqlite:///hpt_runs/t/study.db";
    o.mode = HPT_OPEN_EXISTING;
    cr_assert_eq(hpt_study_open(&study, &o), 0, "%s", hpt_last_error());
    for (int i = 0; i < n; i++) {
        const double one = 1;
        const hpt__attr_item use = {"s:hpt:use", i == 0 && outlier
                                                     ? "{\"gpu_memory\": 32212254720, \"gpu_peak\": 21474836480}"
                                                     : "{\"gpu_memory\": 10737418240, \"gpu_peak\": 1073741824}"};
        hpt_trial *trial = NULL;
        cr_assert_eq(hpt_study_ask(&trial, study), 0, "%s", hpt_last_error());
        cr_assert_eq(hpt__study_tell_attrs(study, trial, HPT_TRIAL_COMPLETE, &one, 1, &use, 1), 0, "%s",
                     hpt_last_error());
        hpt_trial_destroy(trial);
    }
    hpt_study_close(study);
}

Test(run_memory, one_outlier_among_many_does_not_make_all_shares_large)
{
    learners(ALIKE);
    run_sweep_file(NOTE "echo loss=1", 30, QUARTER);
    hpt_run_options o = one_slot(1);
    run_ok(&o); // makes the study; its trial is too short for a peak
    tell_trials(18, true);
    o.n_trials = 20;
    run_ok(&o);
    cr_assert_eq(share(1), 22, "of few the largest counts: %s", run_read("shares"));
    tell_trials(6, false);
    o.n_trials = 27;
    run_ok(&o);
    run_has(record.notices, "each trial gets 1.25 GiB from now on; of 24 known, the largest took 20.00 GiB");
}

Test(run_memory, the_peak_of_a_trial_under_mps_is_known_too)
{
    learners(ALIKE);
    setenv("HPT_MPS_CONTROL", HPT_BINARY_DIR "/tests/fake/nvidia-cuda-mps-control", 1);
    unsetenv("FAKE_MPS");
    run_file("gpus", "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 @pid.0 700 mps\n", false);
    run_sweep_file(
        "> $CUDA_MPS_PIPE_DIRECTORY/client.$$; while [ ! -e $CUDA_MPS_PIPE_DIRECTORY/seen.$$ ]; do sleep 0.02; "
        "done; " LEARN "echo loss=1",
        1, "hpt: {resources: {gpu: 0.25, cpu: 0.1}}\n");
    record.hook = look_slowly; // answers of a controller have a time limit
    run_ok(NULL);
    run_has(run_attr("t", 0, "s:hpt:use"), "\"gpu_peak\": 734003200, \"tier\": \"mps\"");
}
