// SPDX-License-Identifier: Apache-2.0
// test_run_cgroup.c: trials in control groups: over a folder that stands in for one, and over the kernel's own where this
// process may make groups.
#include "core/devices/host_limits.h"
#include "run_support.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char group[PATH_MAX + 32];

static void enter(void) {
    run_enter();
    cr_assert_eq(mkdir("group", 0700), 0);
    run_file("group/cgroup.controllers", "cpuset cpu memory pids\n", false);
    cr_assert(realpath("group", group));
    setenv("HPT_CGROUP", group, 1);
    setenv("GROUP", group, 1);
}

// Removes what a test made in the kernel's file system.
static void leave(void) {
    if (*group && strncmp(group, "/tmp", 4) != 0)
        for (int i = 0; i < 200 && rmdir(group) < 0; i++) run_nap(0.01);
    run_leave();
}
TestSuite(run_cgroup, .init = enter, .fini = leave);

static const char MEMORY[] = "hpt: {resources: {memory: 96MiB, cpu: 0.1}}\n";

// A file of the only group that fits.
static const char *file_of(const char *name, const char *file) {
    static char out[256];
    char pattern[PATH_MAX + 128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/%s", group, name, file);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    cr_assert_eq(found.gl_pathc, 1, "%s", pattern);
    snprintf(out, sizeof out, "%s", run_read(found.gl_pathv[0]));
    globfree(&found);
    return out;
}

Test(run_cgroup, a_trial_is_in_a_group_of_its_own_with_its_memory_as_limit_and_without_rlimit)
{
    run_sweep_file("ulimit -d > $HPT_TRIAL_DIR/data; cd $GROUP/hpt-trial-*-$HPT_TRIAL-*; "
                   "echo 73400320 > memory.peak; echo loss=1",
                   1, MEMORY);
    run_ok(NULL);
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "memory.max"), "100663296");
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "memory.swap.max"), "0");
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "memory.oom.group"), "1");
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "pids.max"), "16384");
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "cgroup.procs"), "0");
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "cgroup.kill"), "1");
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000000/data"), "unlimited\n");
    const char *use = run_attr("t", 0, "s:hpt:use");
    cr_assert(strstr(use, "\"tier\": \"cgroup\"") && strstr(use, "\"peak_memory\": 73400320"), "%s", use);
}

Test(run_cgroup, the_run_itself_makes_way_and_goes_back_at_its_end)
{
    char pid[24];
    run_sweep_file("cat $GROUP/cgroup.subtree_control $GROUP/hpt-run-*/cgroup.procs > seen; echo loss=1", 1, MEMORY);
    run_ok(NULL);
    snprintf(pid, sizeof pid, "+memory +pids%d", (int)getpid());
    cr_assert_str_eq(run_read("seen"), pid);
    cr_assert_str_eq(run_read("group/cgroup.subtree_control"), "-memory -pids");
    cr_assert_eq(atoi(run_read("group/cgroup.procs")), getpid());
}

Test(run_cgroup, a_trial_that_the_kernel_ended_at_its_limit_is_oom_host)
{
    run_sweep_file("cd $GROUP/hpt-trial-*-$HPT_TRIAL-*; "
                   "printf 'low 0\\noom 1\\noom_kill 2\\noom_group_kill 1\\n' > memory.events; exit 1",
                   1, MEMORY);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_OOM_HOST);
}

Test(run_cgroup, a_trial_with_a_gpu_has_its_memory_limited_too)
{
    setenv("HPT_FAKE_DEVICES", "1", 1);
    run_sweep_file("echo loss=1", 1, "hpt: {resources: {gpu: 0.5, memory: 64MiB, cpu: 0.1}}\n");
    run_ok(NULL);
    cr_assert_str_eq(file_of("hpt-trial-*-0-*", "memory.max"), "67108864");
    cr_assert(strstr(run_attr("t", 0, "s:hpt:use"), "\"tier\": \"advisory\", \"memory_tier\": \"cgroup\""));
}

Test(run_cgroup, where_groups_cannot_have_limits_the_trial_has_rlimit)
{
    const char *const spoilers[] = {"group/cgroup.subtree_control",
                                    "group/hpt-run-%d"}; // a folder, a file in its place
    char path[64];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, spoilers[i], (int)getpid());
        if (i == 0)
            cr_assert_eq(mkdir(path, 0700), 0);
        else
            run_file(path, "", false);
        run_sweep_file("ulimit -d > $HPT_TRIAL_DIR/data; echo loss=1", i + 1, MEMORY);
        run_ok(NULL);
        snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/data", i);
        cr_assert_str_eq(run_read(path), "98304\n");
        cr_assert(strstr(run_attr("t", i, "s:hpt:use"), "\"tier\": \"rlimit\""));
        if (i == 0) cr_assert_eq(system("rm -rf group/cgroup.subtree_control group/hpt-run-*"), 0);
    }
}

// ---- the kernel's own

// A group below this process's own, if it may make one; false: skip. controllers: with limits.
static bool real_group(bool controllers) {
    char own[PATH_MAX], path[PATH_MAX + 64];
    if (!hpt__cgroup_own(own, sizeof own, "")) return false;
    snprintf(group, sizeof group, "%s/hpt-test-%d", own, (int)getpid());
    if (mkdir(group, 0700) < 0) {
        *group = '\0';
        return false;
    }
    setenv("HPT_CGROUP", group, 1);
    snprintf(path, sizeof path, "%s/cgroup.kill", group);
    bool good = access(path, W_OK) == 0;
    snprintf(path, sizeof path, "%s/cgroup.controllers", group);
    if (controllers) good = good && strstr(run_read(path), "memory") && strstr(run_read(path), "pids");
    if (!good) (void)rmdir(group);
    return good;
}

Test(run_cgroup, no_process_of_a_trial_survives_it_not_even_one_without_session_and_environment)
{
    if (!real_group(false)) cr_skip_test("no control group can be made here");
    run_sweep_file(
        "(env -i setsid sh -c 'echo $$ > escaped; exec sleep 600' &); while [ ! -s escaped ]; do sleep 0.02; done; "
        "echo loss=1",
        1, NULL);
    const pid_t pid = run_fork(NULL); // a process of its own, which moves
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    const pid_t escaped = (pid_t)atoi(run_read("escaped"));
    cr_assert_gt(escaped, 0);
    for (int i = 0; i < 500 && kill(escaped, 0) == 0; i++) run_nap(0.01);
    cr_assert_lt(kill(escaped, 0), 0);
    cr_assert_eq(rmdir(group), 0, "nothing is left of the run's groups");
    *group = '\0';
}

Test(run_cgroup, the_next_run_in_the_same_group_ends_what_a_killed_one_has_left)
{
    if (!real_group(false)) cr_skip_test("no control group can be made here");
    run_sweep_file("(env -i setsid sh -c 'echo $$ > escaped; exec sleep 600' &); sleep 600", 1, NULL);
    const pid_t pid = run_fork(NULL);
    while (atoi(run_read("escaped")) == 0) run_nap(0.02);
    const pid_t escaped = (pid_t)atoi(run_read("escaped"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert_eq(kill(escaped, 0), 0, "it has no name and no parent by which it could be found");
    run_sweep_file("echo loss=1", 1, NULL);
    cr_assert_eq(run_wait_exit(run_fork(NULL)), 100 + HPT_RUN_END_CAP);
    for (int i = 0; i < 500 && kill(escaped, 0) == 0; i++) run_nap(0.01);
    cr_assert_lt(kill(escaped, 0), 0);
    cr_assert_eq(rmdir(group), 0, "nothing is left of either run's groups");
    *group = '\0';
}

Test(run_cgroup, all_processes_of_a_trial_together_cannot_take_more_than_its_memory)
{
    if (!real_group(true)) cr_skip_test("no control group with a limit of memory can be made here");
    static const char eat[] =
        "awk 'BEGIN { s = \"0123456789abcdef\"; while (length(s) < 2^26) s = s s; getline < \"/dev/stdin\" }'";
    char script[512];
    snprintf(script, sizeof script, "for i in 1 2 3 4; do sleep 30 | %s & done; wait; echo loss=1", eat);
    run_sweep_file(script, 1, MEMORY); // 4 x 64 MiB, 96 MiB in all
    const pid_t pid = run_fork(NULL);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert_str_eq(run_attr("t", 0, "s:hpt:outcome"), "\"oom-host\"");
    cr_assert(strstr(run_attr("t", 0, "s:hpt:use"), "\"tier\": \"cgroup\""));
}
