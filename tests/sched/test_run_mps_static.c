// SPDX-License-Identifier: Apache-2.0
// test_run_mps_static.c: static SM partitions: made before a trial starts and removed when it has ended, never more than the GPU has,
// shared by two runs, left by killed ones, and every way in which they cannot be had. Over the fakes of test_run_mps.c: 15 chunks of 8
// multiprocessors on a GPU that has 132.
#include "run_support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void enter(void) {
    char path[300], folder[256];
    run_enter_mps();
    cr_assert(getcwd(folder, sizeof folder));
    snprintf(path, sizeof path, "%s/parts", folder);
    setenv("FAKE_MPS_PARTS", path, 1);
    setenv("FAKE_MPS", "version=13010", 1);
    setenv("HPT_RUN_SM_PARTITIONS", "auto", 1);
}
TestSuite(run_mps_static, .init = enter, .fini = run_leave);

#define SHARE(part) "hpt: {resources: {gpu: " part ", cpu: 0.1}, grace: 1}\n"
#define CLIENT                                                                                                          \
    "env > $HPT_TRIAL_DIR/env; d=$CUDA_MPS_PIPE_DIRECTORY; ls $d > $HPT_TRIAL_DIR/pipe; echo $CUDA_MPS_SM_PARTITION > " \
    "$d/client.$$; while [ ! -e $d/seen.$$ ]; do sleep 0.02; done; "
static const char NO_CUDA[] =
    "env > $HPT_TRIAL_DIR/env; ls $CUDA_MPS_PIPE_DIRECTORY > $HPT_TRIAL_DIR/pipe; echo loss=1";

static hpt_run_options with(int64_t slots, const char *const *option) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = slots;
    o.options = option;
    o.n_options = option ? 1 : 0;
    return o;
}

static hpt_run_options of(const char *study, int64_t slots) {
    hpt_run_options o = with(slots, NULL);
    o.study = study;
    return o;
}

static const char *const required[] = {"run.enforce=required"}, *const off[] = {"run.sm_partitions=off"},
                         *const on[] = {"run.sm_partitions=on"};

static void cr_lacks(const char *text, const char *part) {
    cr_assert(!strstr(text, part), "'%s' is in: %s", part, text);
}

static const char *file_of(const char *study, int64_t trial, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "hpt_runs/%s/trials/%06d/%s", study, (int)trial, name);
    return run_read(path);
}

// Of all that was made and removed: never more chunks than there are. Returns the largest number in use.
static int most_chunks(void) {
    int most = 0, used = 0, id, chunks, told;
    char what[8];
    const char *p = run_read("parts");
    cr_assert(*p);
    for (; sscanf(p, "%7s %d %d of %d", what, &id, &chunks, &told) == 4; p += strcspn(p, "\n") + 1) {
        used += strcmp(what, "add") == 0 ? chunks : strcmp(what, "rm") == 0 ? -chunks : 0;
        cr_assert_eq(used, told, "%s", run_read("parts"));
        cr_assert_leq(used, 15);
        most = used > most ? used : most;
    }
    return most;
}

Test(run_mps_static, a_partition_is_there_when_the_trial_starts_is_named_to_it_and_gone_before_the_next_one)
{
    static const char *const programs[] = {"version=13010",
                                           "version=13020 plainid dashes"}; // both forms of the answers
    for (int i = 0; i < 2; i++) {
        const hpt_run_options o = with(1, required);
        setenv("FAKE_MPS", programs[i], 1);
        unlink("parts");
        run_sweep_file(CLIENT "cp parts $HPT_TRIAL_DIR/made; sleep 1; echo loss=1", 2 * i + 2, SHARE("0.2"));
        run_ok(&o);
        for (int k = 2 * i; k < 2 * i + 2; k++) {
            cr_assert_str_eq(run_tier("t", k), "mps-static");
            cr_assert_eq(record.outcome[k], HPT_OUTCOME_DONE);
            const char *env = file_of("t", k, "env");
            run_has(env, "\nCUDA_MPS_SM_PARTITION=GPU-aaaa-1/D/79e/Dgw00\n");
            run_has(env, "\nCUDA_VISIBLE_DEVICES=0\n");
            run_has(env, "\nCUDA_MPS_PINNED_DEVICE_MEM_LIMIT=GPU-aaaa-1=8192M\n");
            cr_lacks(env, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
        }
        cr_assert_str_eq(file_of("t", 2 * i, "made"), "add 00 3 of 3\n");
        cr_assert_str_eq(file_of("t", 2 * i + 1, "made"), "add 00 3 of 3\nrm 00 3 of 0\nadd 00 3 of 3\n");
        cr_assert_str_eq(record.notices, "");
    }
}

Test(run_mps_static, an_older_program_gets_no_partitions_and_no_line)
{
    const hpt_run_options o = with(2, required);
    setenv("FAKE_MPS", "version=13000", 1);
    setenv("CUDA_MPS_SM_PARTITION", "GPU-aaaa-1/other", 1);
    run_sweep_file(NO_CUDA, 1, SHARE("0.2"));
    run_ok(&o);
    unsetenv("CUDA_MPS_SM_PARTITION");
    cr_assert_str_eq(run_tier("t", 0), "mps-unverified");
    run_has(file_of("t", 0, "env"), "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=20\n");
    run_has(file_of("t", 0, "env"), "\nCUDA_VISIBLE_DEVICES=GPU-aaaa-1\n");
    cr_lacks(file_of("t", 0, "env"), "CUDA_MPS_SM_PARTITION");
    cr_lacks(file_of("t", 0, "pipe"), "parted");
    cr_assert_str_eq(record.notices, "");
}

Test(run_mps_static, what_cannot_be_had_at_the_start_is_one_line_and_a_percentage)
{
    static const char *const failures[][3] = {
        {"version=13010 nostatic", "0.2", "invalid option -- 'S'"},
        {"version=13010 notable", "0.2", "the answer to lspart is not understood"},
        {"version=13010 sick", "0.2", "the answer to lspart is not understood"},
        {"version=13010", "0.25", "a share of 0.25 is 3 of its 15 chunks, 24 of 33 multiprocessors"},
        {"version=13010 chunks=3", "0.3", "a share of 0.3 is 0 of its 3 chunks, 0 of 39 multiprocessors"}};
    for (int i = 0; i < 5; i++) {
        char extra[96], percent[64];
        const hpt_run_options o = with(2, required);
        setenv("FAKE_MPS", failures[i][0], 1);
        snprintf(extra, sizeof extra, "hpt: {resources: {gpu: %s, cpu: 0.1}}\n", failures[i][1]);
        run_sweep_file(NO_CUDA, i + 1, extra);
        run_ok(&o);
        cr_assert_str_eq(run_tier("t", i), "mps-unverified");
        snprintf(percent, sizeof percent, "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=%d\n",
                 (int)(100 * atof(failures[i][1])));
        run_has(file_of("t", i, "env"), percent);
        cr_lacks(file_of("t", i, "pipe"), "parted");
        cr_assert_eq(run_count(record.notices, "\n"), 1, "%s", record.notices);
        run_has(record.notices, "shares of gpu:0 are held by percentage, not by static SM partitions: ");
        run_has(record.notices, failures[i][2]);
    }
}

Test(run_mps_static, the_option_forces_them_or_leaves_them)
{
    hpt_run_options o = with(2, on);
    run_sweep_file(CLIENT "sleep 1; echo loss=1", 1, SHARE("0.25"));
    run_ok(&o);
    cr_assert_str_eq(run_tier("t", 0), "mps-static");
    cr_assert_str_eq(run_read("parts"), "add 00 3 of 3\n");
    o = with(2, off);
    run_sweep_file(NO_CUDA, 2, SHARE("0.2"));
    run_ok(&o);
    run_has(file_of("t", 1, "env"), "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=20\n");
    cr_lacks(file_of("t", 1, "pipe"), "parted");
    cr_assert_str_eq(record.notices, "");
}

Test(run_mps_static, percentages_are_the_default)
{
    const hpt_run_options o = with(1, NULL);
    unsetenv("HPT_RUN_SM_PARTITIONS");
    run_sweep_file(NO_CUDA, 1, SHARE("0.2"));
    run_ok(&o);
    run_has(file_of("t", 0, "env"), "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=20\n");
}

Test(run_mps_static, one_is_removed_however_its_trial_ended_or_did_not_start)
{
    const hpt_run_options o = with(1, NULL);
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    run_file(
        "prog",
        "#!/bin/sh\necho $CUDA_MPS_SM_PARTITION > $CUDA_MPS_PIPE_DIRECTORY/client.$$\n"
        "case $HPT_TRIAL in 0) kill -9 $$;; 1) exit 3;; 2) sleep 60;; 3) rm $HPT_SWEEP_DIR/prog;; esac; echo loss=1\n",
        true);
    run_file("sweep.yaml",
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: 6\n"
             "parameters: {x: {min: 0.0, max: 1.0}}\ncommand: [./prog]\n"
             "hpt: {resources: {gpu: 0.2, cpu: 0.1}, grace: 0.2, timeout: {trial: 1s}}\n",
             false);
    run_ok(&o);
    unsetenv("HPT_DISABLE_FLAPPING");
    cr_assert_eq(record.outcome[2], HPT_OUTCOME_TIMEOUT, "%s", record.reason[2]);
    run_has(record.reason[5], "could not be started");
    cr_assert_eq(run_count(run_read("parts"), "add 00 3 of 3\n"), 6, "%s", run_read("parts"));
    cr_assert_geq(run_count(run_read("parts"), "rm 00 3 of 0\n"), 5, "%s", run_read("parts"));
}

Test(run_mps_static, a_name_that_is_given_again_is_not_removed_with_the_one_that_had_it_before)
{
    const hpt_run_options o = with(1, required);
    run_sweep_file("sleep 0.5; " CLIENT "cp parts $HPT_TRIAL_DIR/made; sleep 1; echo loss=1", 2, SHARE("0.2"));
    run_ok(&o);
    cr_assert_str_eq(file_of("t", 1, "made"), "add 00 3 of 3\nrm 00 3 of 0\nadd 00 3 of 3\n");
}

// This process stays in the partition of trial 0, which is not removed so; meanwhile another run's record comes to name it.
static int other_run = -1;

static void take_name(const hpt_run_event *e) {
    char root[64], path[96];
    if (e->number > 1 || sscanf(run_read("hpt_runs/t/mps.txt"), "%*s %63s", root) != 1) return;
    snprintf(path, sizeof path, "%.60s/0.0/client.%d", root, (int)getpid());
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number == 0) run_file(path, "GPU-aaaa-1/D/79e/Dgw00\n", false);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 1) unlink(path);
    if (e->kind != HPT_RUN_TRIAL_ENDED || e->number != 0) return;
    snprintf(path, sizeof path, "%.60s/0.0.log/parts-others.ids", root);
    run_file(path, "D/79e/Dgw00\n", false);
    *strrchr(path, '.') = '\0';
    other_run = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(flock(other_run, LOCK_EX | LOCK_NB), 0);
}

Test(run_mps_static, nor_when_another_run_has_that_name_now)
{
    const hpt_run_options o = with(1, NULL);
    run_sweep_file("sleep 0.5; echo loss=1", 4, SHARE("0.2"));
    record.hook = take_name;
    run_ok(&o);
    run_has(run_read("parts"), "add 00 3 of 3\nadd 01 3 of 6\nrm 01 3 of 3\n");
    cr_lacks(run_read("parts"), "rm 00");
    close(other_run);
}

Test(run_mps_static, shares_of_every_size_together_never_need_more_chunks_than_there_are)
{
    const hpt_run_options o = with(12, on);
    run_sweep_file("sleep 0.$(($(printf %.0f $HPT_PARAM_X) % 3 + 1)); echo loss=1", 40,
                   "hpt: {resources: {gpu: \"0.05 + {x} * 0.45\", cpu: 0.05}}\n");
    run_ok(&o);
    for (int i = 0; i < 40; i++) cr_assert_eq(record.outcome[i], HPT_OUTCOME_DONE, "%d: %s", i, record.reason[i]);
    cr_assert_gt(most_chunks(), 7);
    cr_assert_eq(run_count(run_read("parts"), "add "), 40);
}

// ---- two runs

#define HELD(name) CLIENT "> up." name ".$HPT_TRIAL; while [ ! -e go." name " ]; do sleep 0.02; done; echo loss=1"

static pid_t begin(const char *study, int64_t slots, const char *script, int cap, const char *share) {
    char extra[96];
    const hpt_run_options o = of(study, slots);
    snprintf(extra, sizeof extra, "hpt: {resources: {gpu: %s, cpu: 0.1}, grace: 1}\n", share);
    run_sweep_file(script, cap, extra);
    return run_fork(&o);
}

static void wait_for_line(const char *line) {
    for (int i = 0; i < 1500 && !strstr(run_read("parts"), line); i++) run_nap(0.02);
    run_has(run_read("parts"), line);
}

Test(run_mps_static, two_runs_have_partitions_at_one_controller_and_each_removes_its_own)
{
    const pid_t one = begin("a", 1, HELD("a"), 1, "0.4");
    run_wait_for("up.a.0");
    const pid_t two = begin("b", 1, HELD("b"), 1, "0.6");
    run_wait_for("up.b.0");
    cr_assert_eq(most_chunks(), 15);
    cr_lacks(run_read("parts"), "refuse");
    run_file("go.a", "", false);
    cr_assert_eq(run_wait_exit(one), 100 + HPT_RUN_END_CAP);
    wait_for_line("rm 00 6 of 9\n"); // though the controller goes on
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    run_has(file_of("a", 0, "env"), "/D/79e/Dgw00\n");
    run_has(file_of("b", 0, "env"), "/D/79e/Dgw01\n");
}

Test(run_mps_static, the_mode_is_the_controllers_for_a_run_that_joins_it)
{
    static const char *const modes[] = {"version=13010", "version=13000"};
    for (int i = 0; i < 2; i++) {
        hpt_run_options o = of("b", 1);
        setenv("FAKE_MPS", modes[i], 1);
        unlink("parts");
        unlink("go.a");
        unlink("up.a.0");
        const pid_t one = begin(i ? "c" : "a", 1, HELD("a"), 1, "0.4");
        run_wait_for("up.a.0");
        setenv("FAKE_MPS", "version=13010", 1);
        o.options = i ? on : off; // in vain
        o.n_options = 1;
        run_sweep_file(NO_CUDA, i + 1, SHARE("0.02")); // less than a chunk
        run_ok(&o);
        if (i == 0) run_has(run_read("parts"), "add 01 1 of 7\n");
        cr_assert_eq(strstr(file_of("b", i, "env"), "CUDA_MPS_SM_PARTITION=") != NULL, i == 0);
        cr_assert_eq(strstr(file_of("b", i, "env"), "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=2\n") != NULL, i == 1);
        run_file("go.a", "", false);
        cr_assert_eq(run_wait_exit(one), 100 + HPT_RUN_END_CAP);
    }
}

Test(run_mps_static, what_a_killed_run_left_is_removed_by_the_other_when_it_needs_room)
{
    const pid_t one = begin("a", 1, HELD("a"), 1, "0.5");
    run_wait_for("up.a.0");
    const pid_t two = begin("b", 2, HELD("b"), 2, "0.4");
    run_wait_for("up.b.0");
    cr_assert_eq(kill(one, SIGKILL), 0);
    waitpid(one, NULL, 0);
    run_wait_for("up.b.1");
    run_has(run_read("parts"), "add 00 7 of 7\n");
    run_has(run_read("parts"), "rm 00 7 of 6\n");
    cr_assert_eq(most_chunks(), 13);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    run_has(file_of("b", 1, "env"), "CUDA_MPS_SM_PARTITION=");
}

Test(run_mps_static, and_by_the_next_run_that_joins_the_controller)
{
    const pid_t one = begin("a", 1, HELD("a"), 1, "0.2");
    run_wait_for("up.a.0");
    const pid_t two = begin("b", 1, HELD("b"), 1, "0.2");
    run_wait_for("up.b.0");
    cr_assert_eq(kill(one, SIGKILL), 0);
    waitpid(one, NULL, 0);
    const hpt_run_options o = of("c", 1);
    run_file("go.c", "", false);
    run_sweep_file(HELD("c"), 1, SHARE("0.2"));
    run_ok(&o);
    run_has(run_read("parts"), "rm 00 3 of ");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    (void)most_chunks();
}

Test(run_mps_static, one_that_a_run_was_making_when_it_was_killed_is_found_without_a_name)
{
    const pid_t two = begin("b", 2, HELD("b"), 2, "0.4");
    run_wait_for("up.b.0");
    run_wait_for("up.b.1");
    setenv("FAKE_MPS", "version=13010 lostpart", 1);
    const pid_t one = begin("a", 1, HELD("a"), 1, "0.2");
    wait_for_line("add 02 3 of 15\n");
    cr_assert_eq(kill(one, SIGKILL), 0);
    waitpid(one, NULL, 0);
    setenv("FAKE_MPS", "version=13010", 1);
    const hpt_run_options o = of("c", 1);
    run_file("go.c", "", false);
    run_sweep_file(HELD("c"), 1, SHARE("0.2"));
    run_ok(&o);
    run_has(run_read("parts"), "rm 02 3 of 12\n");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_assert_eq(most_chunks(), 15);
}

// ---- later failures

static const char *later; // FAKE_MPS from the start of trial 0, 3, ... on
static int64_t n_ticks;

static void spoil(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number % 3 == 0) setenv("FAKE_MPS", later, 1);
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "until it answers again")) {
        setenv("FAKE_MPS", "version=13010", 1);
        if (strstr(e->text, "nothing is started")) run_time_passes(11);
    }
}

Test(run_mps_static, a_gpu_that_refuses_them_in_the_middle_of_a_run_goes_on_with_percentages)
{
    later = "version=13010 nopart";
    for (int i = 0; i < 2; i++) {
        const hpt_run_options o = with(1, i ? required : NULL);
        setenv("FAKE_MPS", "version=13010", 1);
        record.hook = spoil;
        run_sweep_file("sleep 0.1; env > $HPT_TRIAL_DIR/env; echo loss=1", 3 * i + 3, SHARE("0.2"));
        run_ok(&o);
        run_has(file_of("t", 3 * i, "env"), "\nCUDA_MPS_SM_PARTITION=");
        for (int k = 3 * i + 1; k < 3 * i + 3; k++) {
            cr_assert_eq(record.outcome[k], HPT_OUTCOME_DONE, "%d", k);
            run_has(file_of("t", k, "env"), "\nCUDA_MPS_ACTIVE_THREAD_PERCENTAGE=20\n");
            cr_assert_str_eq(run_attr("t", k, "s:hpt:attempts"), "");
        }
        cr_assert_eq(run_count(record.notices, "made no SM partition, and none is tried again (Failed to fulfill"), 1,
                     "%s", record.notices);
    }
}

Test(run_mps_static, a_controller_that_says_nothing_of_partitions_any_more_is_lost_and_what_waits_starts_without)
{
    const hpt_run_options o = with(1, NULL);
    later = "version=13010 sick";
    record.hook = spoil;
    run_sweep_file("sleep 0.1; env > $HPT_TRIAL_DIR/env; echo loss=1", 2, SHARE("0.2"));
    run_ok(&o);
    run_has(
        record.notices,
        "the MPS controller of GPU-aaaa-1: its answer is not understood; shares of this GPU are advisory until it answers again");
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
    cr_assert_str_eq(run_tier("t", 1), "advisory");
    cr_lacks(file_of("t", 1, "env"), "CUDA_MPS_");
    cr_assert_str_eq(run_attr("t", 1, "s:hpt:attempts"), "");
}

Test(run_mps_static, where_they_are_required_its_trials_wait_until_it_answers_again)
{
    const hpt_run_options o = with(1, required);
    later = "version=13010 sick";
    record.hook = spoil;
    run_sweep_file("[ $HPT_TRIAL = 0 ] && sleep 0.3; " CLIENT "sleep 1; echo loss=1", 2, SHARE("0.2"));
    run_ok(&o);
    run_has(record.notices, "nothing is started on this GPU until it answers again");
    run_has(record.notices, "gpu:0 is used with MPS again");
    cr_assert_str_eq(run_tier("t", 1), "mps-static");
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
    cr_assert_str_eq(run_attr("t", 1, "s:hpt:attempts"), "");
}

static time_t jumped;

static void keep_until_told(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number == 0) setenv("FAKE_MPS", "version=13010 keeppart", 1);
    // Less than a command may take, so that none is given up for it.
    if (e->kind == HPT_RUN_TICK && record.n_ended > 0 && time(NULL) != jumped) jumped = time(NULL), run_time_passes(4);
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "waits for multiprocessors"))
        setenv("FAKE_MPS", "version=13010", 1);
}

Test(run_mps_static, a_share_whose_partition_stays_is_given_back_after_a_while_and_who_needs_its_chunks_says_so_once)
{
    const hpt_run_options o = with(2, NULL);
    record.hook = keep_until_told;
    run_sweep_file("sleep 0.1; grep -v refuse parts > $HPT_TRIAL_DIR/made; echo loss=1", 2, SHARE("0.6"));
    run_ok(&o);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
    cr_assert_eq(run_count(record.notices, "\n"), 1, "%s", record.notices);
    run_has(record.notices, "trial 1 waits for multiprocessors of gpu:0: it needs 9 of 15 chunks, 6 are free");
    run_has(run_read("parts"), "refuse 01 9 of 9\n");
    cr_assert_str_eq(file_of("t", 1, "made"), "add 00 9 of 9\nrm 00 9 of 0\nadd 00 9 of 9\n");
}

static void keep_for_a_while(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number == 0) setenv("FAKE_MPS", "version=13010 keeppart", 1);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 0) n_ticks = 0;
    if (e->kind == HPT_RUN_TICK && n_ticks++ == 4) setenv("FAKE_MPS", "version=13010", 1);
}

Test(run_mps_static, one_that_still_has_clients_is_tried_again_and_keeps_its_share_until_it_is_gone)
{
    const hpt_run_options o = with(2, NULL);
    n_ticks = -1000;
    record.hook = keep_for_a_while;
    run_sweep_file("sleep 0.1; cat parts > $HPT_TRIAL_DIR/made; echo loss=1", 2, SHARE("0.6"));
    run_ok(&o);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE);
    cr_assert_str_eq(file_of("t", 1, "made"), "add 00 9 of 9\nrm 00 9 of 0\nadd 00 9 of 9\n");
}
