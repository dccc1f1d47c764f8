// SPDX-License-Identifier: Apache-2.0
// test_run_mps.c: how shares of a GPU are held: the tier of each trial, what its environment says, a trial that escapes, a
// machine on which MPS cannot be had, and what a killed run leaves. Over tests/nvml/fake_nvml.c and
// tests/mps/fake_mps_control.c: a trial that writes client.PID into its pipe folder is a client.
#include "core/devices/claims.h"
#include "run_support.h"
#include "slow_sampler.h"

#include <criterion/criterion.h>
#include <hpt/device.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(run_mps, .init = run_enter_mps, .fini = run_leave);

static const char QUARTER[] = "hpt: {resources: {gpu: 0.25, cpu: 0.1}}\n";
static const char NO_CUDA[] = "env > $HPT_TRIAL_DIR/env; echo loss=1";
// On the GPU as NVML tells it, whether or not it is a client.
#define ON_GPU "echo $$ > pid.part; mv pid.part pid; "

static const char *environment_of(int64_t trial) {
    char path[96];
    snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/env", (int)trial);
    return run_read(path);
}

// How many processes of MPS have a pipe folder that begins so.
static int count_mps(const char *begin) {
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    int found = 0;
    cr_assert_eq(hpt_mps_list(&list, &n), 0);
    for (int64_t i = 0; i < n; i++) found += strncmp(list[i].pipe_directory, begin, strlen(begin)) == 0;
    hpt_free(list);
    return found;
}

static hpt_run_options with_option(const char *const *option) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 2;
    o.options = option;
    o.n_options = 1;
    return o;
}

static const char *const required[] = {"run.enforce=required"}, *const off[] = {"run.enforce=off"};

Test(run_mps, a_share_is_held_by_the_gpus_own_server_and_the_trial_was_seen_there)
{
    run_sweep_file("env > $HPT_TRIAL_DIR/env; d=$CUDA_MPS_PIPE_DIRECTORY; > $d/client.$$; "
                   "while [ ! -e $d/seen.$$ ]; do sleep 0.02; done; sleep 1; echo loss=1",
                   1, QUARTER);
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "mps");
    const char *env = environment_of(0);
    run_has(env, "\nCUDA_VISIBLE_DEVICES=GPU-aaaa-1\n");
    run_has(env, "\nCUDA_MPS_PIPE_DIRECTORY=/tmp/hpt-mps-");
    run_has(env, "\nCUDA_MPS_LOG_DIRECTORY=/tmp/hpt-mps-");
    run_has(env, "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25\n");
    run_has(env, "\nCUDA_MPS_PINNED_DEVICE_MEM_LIMIT=GPU-aaaa-1=10240M\n");
    run_has(env, "\nXLA_PYTHON_CLIENT_MEM_FRACTION=0.2500\n");
    run_has(env, "\nTF_FORCE_GPU_ALLOW_GROWTH=true\n");
    char pipe[40];
    snprintf(pipe, sizeof pipe, "%.18s", strstr(env, "CUDA_MPS_PIPE_DIRECTORY=") + 24);
    cr_assert_eq(count_mps(pipe), 0, "controllers end with the run");
    cr_assert(access(pipe, F_OK) < 0 && access("hpt_runs/t/mps.txt", F_OK) < 0);
}

Test(run_mps, a_daemon_that_is_busy_with_its_server_is_asked_again)
{
    setenv("FAKE_MPS", "busy=3", 1);
    run_sweep_file(
        "d=$CUDA_MPS_PIPE_DIRECTORY; > $d/client.$$; while [ ! -e $d/seen.$$ ]; do sleep 0.02; done; sleep 1; "
        "cat $d/busy > busy; echo loss=1",
        1, QUARTER);
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_read("busy"), "3\n", "it was busy");
    cr_assert_str_eq(run_tier("t", 0), "mps");
    cr_assert(!strstr(record.notices, "controller"), "%s", record.notices);
}

#define CLIENT \
    "> $CUDA_MPS_PIPE_DIRECTORY/client.$$; while [ ! -e $CUDA_MPS_PIPE_DIRECTORY/seen.$$ ]; do sleep 0.02; done; sleep 1; "

Test(run_mps, a_client_that_left_the_trials_session_is_the_trials_also_when_its_parent_is_gone)
{
    static const char *const scripts[] = {"setsid sh -c '" CLIENT "' & wait; echo loss=1",
                                          "(setsid sh -c '" CLIENT
                                          "> done' &); while [ ! -e done ]; do sleep 0.02; done; "
                                          "echo loss=1"};
    for (int i = 0; i < 2; i++) {
        run_sweep_file(scripts[i], i + 1, QUARTER);
        run_ok(NULL);
        cr_assert_str_eq(run_tier("t", i), "mps", "%d: %s", i, run_tier("t", i));
    }
}

// Holds its place until so many trials run.
static const char ALL_AT_ONCE[] = "touch up.$HPT_TRIAL; i=0; while [ $(ls up.* | wc -l) -lt 4 ] && [ $i -lt 20 ]; "
                                  "do sleep 0.05; i=$((i+1)); done; echo loss=1";

Test(run_mps, a_gpu_for_one_process_takes_one_trial_and_under_its_own_server_as_many_as_there_are_shares)
{
    hpt_run_options o = with_option(off);
    o.slots = 0;
    run_file("gpus", "gpu GPU-aaaa-1 40960 mode=3\n", false);
    run_sweep_file(ALL_AT_ONCE, 4, QUARTER);
    run_ok(&o);
    cr_assert_eq(record.most_running, 1);
    run_sweep_file(ALL_AT_ONCE, 8, QUARTER);
    o.options = NULL;
    o.n_options = 0;
    run_ok(&o);
    cr_assert_eq(record.most_running, 4);
    cr_assert_str_eq(run_tier("t", 7), "mps-unverified");
}

Test(run_mps, memory_that_other_programs_have_is_not_given_and_that_of_other_runs_trials_is_no_such)
{
    char text[160];
    hpt_run_summary summary;
    run_file("gpus", "gpu GPU-aaaa-1 40960 used=10240\n", false);
    run_sweep_file(NO_CUDA, 1, QUARTER);
    run_ok(NULL);
    run_has(record.notices, "not given to trials, because programs that are no trials have it: 10.0 GiB of gpu:0");
    run_has(environment_of(0), "\nHPT_GPU_MEM_BYTES=8053063680\n"); // a quarter of 30 GiB
    run_sweep_file(NO_CUDA, 2, "hpt: {resources: {gpu: 0.25, gpu_memory: 35GiB, cpu: 0.1}}\n");
    cr_assert_eq(run_it(&summary, NULL), HPT_E_ARG);
    run_has(hpt_last_error(), "the largest has 30.0 GiB for trials, other programs have the rest");
    const pid_t pid = fork();
    if (pid == 0) {
        setenv("HPT_RUN_ID", "another", 1);
        execlp("sleep", "sleep", "60", NULL);
        _exit(1);
    }
    snprintf(text, sizeof text, "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 %d 10240\n", (int)pid);
    run_file("gpus", text, false);
    run_sweep_file(NO_CUDA, 2, QUARTER);
    snprintf(text, sizeof text, "/proc/%d/environ", (int)pid);
    while (!memmem(run_read(text), 20000, "HPT_RUN_ID=another", 18)) run_nap(0.01); // until it has begun
    run_ok(NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert(!strstr(record.notices, "not given to trials"), "%s", record.notices);
    run_has(environment_of(1), "\nHPT_GPU_MEM_BYTES=10737418240\n");
}

Test(run_mps, a_controller_of_another_run_that_cannot_be_joined_leaves_shares_advisory_and_required_refuses)
{
    static const char *const pipes[] = {"/tmp/elsewhere/0.0", NULL}; // no folder of a run's; one without a daemon
    char root[] = "/tmp/hpt-mps-XXXXXX", folder[40];
    hpt_run_summary summary;
    hpt__ledger ledger;
    hpt__claims other;
    hpt_device_info gpu = {.name = "gpu:0", .kind = "gpu", .uuid = "GPU-aaaa-1", .memory_bytes = 1, .capacity = 1};
    const hpt_run_options o = with_option(required);
    cr_assert(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/0.0", root);
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_eq(hpt__ledger_init(&ledger, &gpu, 1), 0);
    cr_assert_eq(hpt__claims_open(&other, &ledger, getenv("HPT_CLAIMS_DIR"), "/other", true, false), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(hpt__claims_begin(&other));
        strcpy(ledger.gpus[0].server, pipes[i] ? pipes[i] : folder);
        hpt__claims_end(&other);
        run_sweep_file(NO_CUDA, i + 1, QUARTER);
        cr_assert_eq(run_it(&summary, &o), HPT_E_DEVICE);
        run_has(hpt_last_error(),
                "shares of gpu:0 cannot be held: the MPS controller of another run of yours cannot be joined");
        run_ok(NULL);
        cr_assert_str_eq(run_tier("t", i), "advisory");
        run_has(record.notices, "the MPS controller of another run of yours cannot be joined");
    }
    hpt__claims_close(&other);
    run_sweep_file(NO_CUDA, 3, QUARTER);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 2), "mps-unverified");
    hpt__ledger_fini(&ledger);
    rmdir(folder);
    rmdir(root);
}

Test(run_mps, a_trial_that_never_uses_its_gpu_stays_unverified_and_may_do_so)
{
    run_sweep_file(NO_CUDA, 1, QUARTER);
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "mps-unverified");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
}

Test(run_mps, limits_follow_what_is_asked_for_and_the_users_own_settings_stay)
{
    setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", ".9", 1);
    setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "77", 1);
    run_sweep_file(NO_CUDA, 1, "hpt: {resources: {gpu: 0.5, gpu_memory: 1GiB}}\n");
    run_ok(NULL);
    const char *env = environment_of(0);
    run_has(env, "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50\n");
    run_has(env, "\nCUDA_MPS_PINNED_DEVICE_MEM_LIMIT=GPU-aaaa-1=1024M\n");
    run_has(env, "\nXLA_PYTHON_CLIENT_MEM_FRACTION=.9\n");
    cr_assert(!strstr(env, "PERCENTAGE=77"));
}

Test(run_mps, a_whole_gpu_is_not_put_under_mps)
{
    run_sweep_file(NO_CUDA, 1, "hpt: {resources: {gpu: 1}}\n");
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "advisory");
    cr_assert(!strstr(environment_of(0), "CUDA_MPS_"));
}

Test(run_mps, an_instance_of_mig_is_held_by_hardware)
{
    run_file("gpus", "gpu GPU-bbbb-2 81920 mig\ninstance 0 MIG-1111 9728 1g.10gb\n", false);
    run_sweep_file(NO_CUDA, 1, "hpt: {resources: {gpu: 1g.10gb}}\n");
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "mig");
    cr_assert(!strstr(environment_of(0), "CUDA_MPS_"), "MPS and MIG are not combined");
}

Test(run_mps, off_counts_shares_and_starts_nothing)
{
    run_sweep_file(NO_CUDA, 1, QUARTER);
    const hpt_run_options o = with_option(off);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "none");
    cr_assert(!strstr(environment_of(0), "CUDA_MPS_"));
}

static void let_go(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && (strstr(e->text, "not enforced") || strstr(e->text, "advisory until it") ||
                                      strstr(e->text, "more than its share")))
        run_file("go", "", false);
}

Test(run_mps, a_trial_beside_its_server_is_called_unenforced_and_told_so)
{
    run_file("gpus", "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 @pid 500\n", false);
    run_sweep_file(ON_GPU "while [ ! -e go ]; do sleep 0.02; done; echo loss=1", 1, QUARTER);
    record.hook = let_go;
    run_ok(NULL);
    cr_assert_str_eq(run_tier("t", 0), "unenforced");
    run_has(record.notices, "trial 0 computes on GPU-aaaa-1 beside its MPS server");
}

Test(run_mps, where_holding_is_required_such_a_trial_is_ended_with_the_reason)
{
    run_file("gpus", "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 @pid 500\n", false);
    run_sweep_file(ON_GPU "sleep 60; echo loss=1", 1, QUARTER);
    const hpt_run_options o = with_option(required);
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "unenforced");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
    run_has(record.reason[0], "beside its MPS server");
}

Test(run_mps, where_mps_cannot_be_had_the_next_tier_is_taken_or_the_run_refused)
{
    static const char *const failures[][2] = {{"nostart", "Cannot create the control pipe"},
                                              {"garbage", "not understood"}};
    int trials = 0;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        hpt_run_summary summary;
        const hpt_run_options o = with_option(required);
        setenv("FAKE_MPS", failures[i][0], 1);
        record.notices[0] = '\0';
        run_sweep_file(NO_CUDA, ++trials, QUARTER);
        cr_assert_eq(run_it(&summary, &o), HPT_E_DEVICE);
        run_has(hpt_last_error(), "run.enforce=required: shares of gpu:0 cannot be held");
        run_has(hpt_last_error(), failures[i][1]);
        run_ok(NULL);
        cr_assert_str_eq(run_tier("t", trials - 1), "advisory");
        run_has(record.notices, failures[i][1]);
    }
    unsetenv("FAKE_MPS");
    setenv("HPT_MPS_CONTROL", "no-such-mps-control", 1);
    run_sweep_file(NO_CUDA, ++trials, QUARTER);
    run_ok(NULL);
    cr_assert_str_eq(run_tier("t", trials - 1), "advisory");
    run_has(record.notices, "'no-such-mps-control' not found");
}

Test(run_mps, a_controller_of_the_users_own_is_left_alone)
{
    setenv("CUDA_MPS_PIPE_DIRECTORY", "/tmp/theirs", 1);
    run_sweep_file(NO_CUDA, 1, QUARTER);
    run_ok(NULL);
    cr_assert_str_eq(run_tier("t", 0), "advisory");
    run_has(environment_of(0), "\nCUDA_MPS_PIPE_DIRECTORY=/tmp/theirs\n");
    run_has(record.notices, "CUDA_MPS_PIPE_DIRECTORY names a controller that is not this run's");
}

Test(run_mps, a_controller_that_is_lost_is_told_and_the_run_goes_on)
{
    run_sweep_file("kill -9 $(cat $CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid); "
                   "while [ ! -e go ]; do sleep 0.02; done; echo loss=1",
                   1, QUARTER);
    record.hook = let_go;
    run_ok(NULL);
    run_has(record.notices, "advisory until it");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
}

// Trial 2 starts while the controller is lost, 3 when it is back.
static void lose_and_find(const hpt_run_event *e) {
    const bool notice = e->kind == HPT_RUN_NOTICE;
    if (notice && strstr(e->text, "advisory until it")) run_file("lost", "", false);
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number == 2) {
        unsetenv("FAKE_MPS");
        run_time_passes(11);
    }
    if (notice && strstr(e->text, "is used with MPS again")) run_file("go", "", false);
}

Test(run_mps, a_controller_that_was_given_up_and_answers_again_holds_the_trials_that_follow)
{
    setenv("FAKE_MPS", "busy=1000", 1);
    run_sweep_file("[ $HPT_TRIAL = 0 ] && > $CUDA_MPS_PIPE_DIRECTORY/client.$$; "
                   "[ $HPT_TRIAL = 1 ] && while [ ! -e lost ]; do sleep 0.02; done; "
                   "[ $HPT_TRIAL != 1 ] && while [ ! -e go ]; do sleep 0.02; done; echo loss=1",
                   4, QUARTER);
    record.hook = lose_and_find;
    run_ok(NULL);
    cr_assert_str_eq(run_tier("t", 0), "mps", "it was a client all the time");
    cr_assert_str_eq(run_tier("t", 2), "advisory");
    cr_assert_str_eq(run_tier("t", 3), "mps-unverified");
    cr_assert(run_count(record.notices, "advisory until it answers again") == 1, "%s", record.notices);
    cr_assert(run_count(record.notices, "is used with MPS again") == 1, "%s", record.notices);
}

static const char KILLS_ITS_DAEMON[] =
    "env > $HPT_TRIAL_DIR/env; case $HPT_TRIAL in 0) kill -9 $(cat $CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid); "
    "while [ ! -e lost ]; do sleep 0.02; done;; 1) while [ ! -e lost ]; do sleep 0.02; done;; "
    "2|3) [ $EXCLUSIVE ] && sleep 1 || while [ ! -e go ]; do sleep 0.02; done;; esac; echo loss=1";

static const char *pipe_of(int64_t trial) {
    static char pipe[64];
    const char *p = strstr(environment_of(trial), "CUDA_MPS_PIPE_DIRECTORY=");
    pipe[0] = '\0';
    if (p) snprintf(pipe, sizeof pipe, "%.*s", (int)strcspn(p + 24, "\n"), p + 24);
    return pipe;
}

Test(run_mps, a_daemon_that_has_ended_is_started_anew_beside_trials_that_began_without_it)
{
    char before[64];
    unsetenv("EXCLUSIVE");
    run_sweep_file(KILLS_ITS_DAEMON, 5, QUARTER);
    record.hook = lose_and_find;
    run_ok(NULL);
    cr_assert_str_eq(run_tier("t", 2), "advisory");
    cr_assert_str_eq(run_tier("t", 4), "mps-unverified");
    snprintf(before, sizeof before, "%s", pipe_of(0));
    cr_assert(*before && *pipe_of(4) && strcmp(before, pipe_of(4)) != 0, "%s, %s", before, pipe_of(4));
    cr_assert(run_count(record.notices, "advisory until it has been started anew") == 1, "%s", record.notices);
}

static void lose_and_find_later(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 2 && strstr(record.notices, "is used with MPS again"))
        run_file("early", "", false);
    lose_and_find(e);
}

Test(run_mps, on_a_gpu_for_one_process_a_new_daemon_waits_for_the_trial_that_has_it)
{
    setenv("EXCLUSIVE", "1", 1);
    run_file("gpus", "gpu GPU-aaaa-1 40960 mode=3\n", false);
    run_sweep_file(KILLS_ITS_DAEMON, 4, QUARTER);
    record.hook = lose_and_find_later;
    run_ok(NULL);
    unsetenv("EXCLUSIVE");
    cr_assert_str_eq(run_tier("t", 2), "advisory");
    cr_assert_str_eq(run_tier("t", 3), "mps-unverified");
    cr_assert(access("early", F_OK) < 0, "%s", record.notices);
}

static bool answers; // again, when it is asked after a while

static void when_required_and_silent(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "nothing is started on this GPU until it answers again"))
        run_file("lost", "", false);
    if (access("lost", F_OK) < 0) return;
    if (answers && e->kind == HPT_RUN_NOTICE && strstr(e->text, "until it answers again")) {
        unsetenv("FAKE_MPS");
        run_time_passes(11);
    }
    if (!answers && e->kind == HPT_RUN_TICK) run_time_passes(60);
}

static const char SILENT[] = "> $CUDA_MPS_PIPE_DIRECTORY/client.$$; [ $HPT_TRIAL = 0 ] && while [ ! -e lost ]; do "
                             "sleep 0.02; done; echo loss=1";

Test(run_mps, where_holding_is_required_a_silent_controller_is_waited_for)
{
    hpt_run_options o = with_option(required);
    o.slots = 1;
    answers = true;
    setenv("FAKE_MPS", "busy=1000", 1);
    run_sweep_file(SILENT, 2, QUARTER);
    record.hook = when_required_and_silent;
    run_ok(&o);
    cr_assert(access("lost", F_OK) == 0);
    cr_assert_str_neq(run_tier("t", 1), "advisory");
    cr_assert(run_count(record.notices, "is used with MPS again") == 1, "%s", record.notices);
}

Test(run_mps, where_holding_is_required_a_controller_that_stays_silent_ends_the_run)
{
    hpt_run_summary summary;
    hpt_run_options o = with_option(required);
    o.slots = 1;
    answers = false;
    setenv("FAKE_MPS", "busy=1000", 1);
    run_sweep_file(SILENT, 2, QUARTER);
    record.hook = when_required_and_silent;
    cr_assert_eq(run_it(&summary, &o), HPT_E_DEVICE);
    run_has(hpt_last_error(), "for 10 minutes; run again to go on");
    cr_assert_eq(record.starts[1], 0);
}

static int ticks;

static void pass_hours(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "advisory until it")) run_file("lost", "", false);
    if (e->kind != HPT_RUN_TICK || access("noted", F_OK) < 0) return;
    run_time_passes(1000);
    if (++ticks == 5) run_file("go", "", false);
}

Test(run_mps, a_controller_that_nobody_waits_for_is_not_asked)
{
    setenv("FAKE_MPS", "busy=1000", 1);
    run_sweep_file("d=$CUDA_MPS_PIPE_DIRECTORY; > $d/client.$$; while [ ! -e lost ]; do sleep 0.02; done; "
                   "cp $d/busy before; > noted; while [ ! -e go ]; do sleep 0.02; done; cp $d/busy after; echo loss=1",
                   1, QUARTER);
    ticks = 0;
    record.hook = pass_hours;
    run_ok(NULL);
    char before[32];
    snprintf(before, sizeof before, "%s", run_read("before"));
    cr_assert(*before);
    cr_assert_str_eq(before, run_read("after"));
}

Test(run_mps, where_holding_is_required_a_lost_controller_ends_the_run_with_the_reason)
{
    hpt_run_summary summary;
    const hpt_run_options o = with_option(required);
    run_sweep_file("kill -9 $(cat $CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid); exec sleep 60", 1,
                   "hpt: {resources: {gpu: 0.25, cpu: 0.1}, grace: 1}\n");
    cr_assert_eq(run_it(&summary, &o), HPT_E_DEVICE);
    run_has(hpt_last_error(), "run.enforce=required: the MPS controller of GPU-aaaa-1: ");
    cr_assert_eq(run_processes_after(2), 0);
}

Test(run_mps, the_next_run_ends_the_controllers_of_a_killed_one)
{
    char root[32] = "", boot[64];
    run_sweep_file("touch up; sleep 60", 1, QUARTER);
    const pid_t pid = run_fork(NULL);
    run_wait_for("up");
    cr_assert_eq(sscanf(run_read("hpt_runs/t/mps.txt"), "%63s %31s", boot, root), 2);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    waitpid(pid, NULL, 0);
    cr_assert_eq(count_mps(root), 1);
    run_sweep_file(NO_CUDA, 1, QUARTER);
    run_ok(NULL);
    cr_assert_eq(count_mps(root), 0);
    cr_assert(access(root, F_OK) < 0);
}

// Trial 0 is a client that no SIGTERM ends; the others do nothing on the GPU.
static const char DEAF[] = "env > $HPT_TRIAL_DIR/env; if [ $HPT_TRIAL = 0 ]; then trap '' TERM; echo $$ > pid; "
                           "> $CUDA_MPS_PIPE_DIRECTORY/client.$$; while :; do sleep 0.05; done; fi; echo loss=1";
static const char DEAF_LIMITS[] = "hpt: {resources: {gpu: 0.25, cpu: 0.1}, grace: 0.2, timeout: {trial: 0.5}}\n";

Test(run_mps, a_deaf_trials_work_on_the_gpu_is_ended_before_it_is_killed)
{
    char line[64];
    setenv("FAKE_MPS_LOG", "log", 1);
    run_sweep_file(DEAF, 1, DEAF_LIMITS);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    snprintf(line, sizeof line, "terminate_client %d alive\n", atoi(run_read("pid")));
    cr_assert_str_eq(run_read("log"), line);
    cr_assert(!strstr(record.notices, "controller"), "%s", record.notices);
}

// Its daemon is busy at the first look, and again when the trial is to be killed.
Test(run_mps, a_deaf_trials_work_is_ended_though_its_daemon_is_busy_when_asked)
{
    char line[64];
    setenv("FAKE_MPS_LOG", "log", 1);
    setenv("FAKE_MPS", "busy=2", 1);
    run_sweep_file("trap 'rm -f $CUDA_MPS_PIPE_DIRECTORY/busy; touch again' TERM; echo $$ > pid; "
                   "> $CUDA_MPS_PIPE_DIRECTORY/client.$$; while :; do sleep 0.05; done",
                   1, "hpt: {resources: {gpu: 0.25, cpu: 0.1}, grace: 0.2, timeout: {trial: 2}}\n");
    run_ok(NULL);
    cr_assert(access("again", F_OK) == 0);
    snprintf(line, sizeof line, "terminate_client %d alive\n", atoi(run_read("pid")));
    cr_assert_str_eq(run_read("log"), line);
    cr_assert_str_eq(run_tier("t", 0), "mps");
    cr_assert(!strstr(record.notices, "controller"), "%s", record.notices);
}

static void when_given_up(const hpt_run_event *e) {
    if (e->kind != HPT_RUN_NOTICE || !strstr(e->text, "advisory until it")) return;
    unsetenv("FAKE_MPS");
    run_file("go", "", false);
}

Test(run_mps, a_client_of_a_controller_that_was_given_up_is_ended_before_it_is_killed)
{
    char line[64];
    setenv("FAKE_MPS_LOG", "log", 1);
    setenv("FAKE_MPS", "busy=1000", 1);
    run_sweep_file("trap '' TERM; echo $$ > pid; > $CUDA_MPS_PIPE_DIRECTORY/client.$$; while :; do sleep 0.05; done", 1,
                   "hpt: {resources: {gpu: 0.25, cpu: 0.1}, grace: 0.2, timeout: {trial: 6}}\n");
    record.hook = when_given_up;
    run_ok(NULL);
    cr_assert(access("go", F_OK) == 0, "it was given up: %s", record.notices);
    snprintf(line, sizeof line, "terminate_client %d alive\n", atoi(run_read("pid")));
    cr_assert_str_eq(run_read("log"), line);
}

Test(run_mps, where_a_client_cannot_be_ended_the_controller_is_started_anew_before_the_next_trial)
{
    char pipe[2][64];
    hpt_run_options o = with_option(required);
    o.slots = 1;
    setenv("FAKE_MPS", "noterm", 1);
    run_sweep_file(DEAF, 3, DEAF_LIMITS);
    run_ok(&o);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    run_has(record.notices, "could not end a client (1): nothing is started there");
    for (int i = 0; i < 2; i++) {
        const char *p = strstr(environment_of(i), "CUDA_MPS_PIPE_DIRECTORY=");
        cr_assert(p);
        snprintf(pipe[i], sizeof pipe[i], "%.*s", (int)strcspn(p, "\n"), p);
    }
    cr_assert_str_neq(pipe[0], pipe[1]);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
    cr_assert_str_eq(run_tier("t", 2), "mps-unverified");
}

static void when_drained(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "could not end a client")) sem_post(&slow_go_on);
}

Test(run_mps, a_share_that_was_taken_before_its_gpu_was_drained_does_not_start_there)
{
    char pipe[2][64];
    slow_sampler = true;
    slow_sampler_seconds = 0;
    slow_gate = 2; // the suggestion of trial 2 takes until the GPU is drained
    sem_init(&slow_go_on, 0, 0);
    setenv("FAKE_MPS", "noterm", 1);
    run_sweep_file(DEAF, 3, DEAF_LIMITS);
    record.hook = when_drained;
    run_ok(NULL);
    slow_sampler = false;
    slow_gate = -1;
    for (int i = 0; i < 2; i++) {
        const char *p = strstr(environment_of(2 * i), "CUDA_MPS_PIPE_DIRECTORY=");
        cr_assert(p, "trial %d", 2 * i);
        snprintf(pipe[i], sizeof pipe[i], "%.*s", (int)strcspn(p, "\n"), p);
    }
    cr_assert_str_neq(pipe[0], pipe[1], "it was started on the controller that was to end");
    cr_assert_eq(record.outcome[2], HPT_OUTCOME_DONE);
}

static const char GIBIBYTE[] = "hpt: {resources: {gpu: 0.25, gpu_memory: 1GiB, cpu: 0.1}, grace: 1}\n";

static void without_mps(const char *process) {
    char text[128];
    setenv("HPT_MPS_CONTROL", "no-such-mps-control", 1);
    snprintf(text, sizeof text, "gpu GPU-aaaa-1 40960\nprocess GPU-aaaa-1 @pid %s\n", process);
    run_file("gpus", text, false);
}

Test(run_mps, a_little_more_memory_than_the_share_is_told_once)
{
    without_mps("1060");
    run_sweep_file(ON_GPU "while [ ! -e go ]; do sleep 0.02; done; sleep 2.5; echo loss=1", 1, GIBIBYTE);
    record.hook = let_go;
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
    const char *first = strstr(record.notices, "trial 0 uses 1.04 GiB of gpu:0, more than its share of 1.00 GiB");
    cr_assert(first, "%s", record.notices);
    cr_assert(!strstr(first + 1, "trial 0 uses"), "%s", record.notices);
}

Test(run_mps, much_more_memory_than_the_share_ends_the_trial_as_oom_gpu)
{
    without_mps("2048 step=8192"); // more than any share at the second look
    run_sweep_file(ON_GPU "sleep 60; echo loss=1", 1, GIBIBYTE);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_OOM_GPU);
    run_has(record.reason[0], "GiB of GPU memory, its share is ");
    run_has(record.reason[0], "after 1 smaller share");
    cr_assert_str_eq(run_attr("t", 0, "s:hpt:outcome"), "\"oom-gpu\"");
}

Test(run_mps, memory_within_the_share_and_that_of_strangers_is_no_matter)
{
    without_mps("1024\nprocess GPU-aaaa-1 1 30000");
    run_sweep_file(ON_GPU "sleep 2.5; echo loss=1", 1, GIBIBYTE);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
    cr_assert(!strstr(record.notices, "more than"), "%s", record.notices);
}
