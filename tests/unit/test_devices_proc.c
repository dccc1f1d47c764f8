// SPDX-License-Identifier: Apache-2.0
// test_devices_proc.c: which processes are a trial's.
#include "core/base/alloc.h"
#include "core/devices/proc_walk.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const TRIAL[] = {"HPT_TRIAL=7", "HPT_RUN_ID=abc", NULL}, *const OTHER[] = {"HPT_TRIAL=8",
                                                                                              "HPT_RUN_ID=abc", NULL};

static void wait_for_exec(pid_t pid, const char *name, const char *value) {
    hpt__str text = HPT__STR_INIT;
    alarm(60);
    do hpt__proc_environment(&text, pid);
    while (!hpt__proc_has_entry(&text, name, value));
    hpt__str_fini(&text);
}

// A process that sleeps, in a session of its own or not.
static pid_t sleeper(bool session, const char *const *env) {
    const pid_t pid = fork();
    if (pid == 0) {
        if (session) (void)setsid();
        execle("/bin/sleep", "sleep", "60", (char *)NULL, (char *const *)(uintptr_t)env);
        _exit(1);
    }
    cr_assert(pid > 0);
    return pid;
}

Test(devices_proc, a_trials_processes_are_its_session_its_descendants_and_orphans_that_carry_its_name)
{
    int fd[2];
    pid_t pids[3];
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    cr_assert_eq(pipe(fd), 0);
    const pid_t leader = fork();
    if (leader == 0) { // the trial: a child in its session, one that left it, and a grandchild whose parent ends
        (void)setsid();
        static const char *const none[] = {"X=1", NULL};
        pids[0] = sleeper(false, none);
        pids[1] = sleeper(true, none);
        const pid_t between = fork();
        if (between == 0) {
            (void)setsid();
            pids[2] = sleeper(true, TRIAL);
            (void)!write(fd[1], pids, sizeof pids);
            _exit(0);
        }
        (void)waitpid(between, NULL, 0);
        for (;;) pause();
    }
    cr_assert_eq(read(fd[0], pids, sizeof pids), (ssize_t)sizeof pids);
    const pid_t stranger = sleeper(true, OTHER);
    wait_for_exec(pids[2], "HPT_TRIAL", "7");
    wait_for_exec(stranger, "HPT_TRIAL", "8");
    for (hpt__proc_stat s; hpt__proc_stat_read(&s, pids[2]) && s.parent != getpid();) continue; // until it is an orphan
    const hpt__family family = {.leader = leader, .trial = 7, .run_id = "abc"},
                      next = {.leader = stranger, .trial = 8, .run_id = "abc"};
    for (int i = 0; i < 3; i++) {
        cr_assert(hpt__proc_is_of(pids[i], &family), "process %d", i);
        cr_assert(!hpt__proc_is_of(pids[i], &next), "process %d", i);
    }
    cr_assert(hpt__proc_is_of(leader, &family));
    cr_assert(!hpt__proc_is_of(stranger, &family));
    cr_assert(!hpt__proc_is_of(getpid(), &family), "the run is not its trial's");
    for (int i = 0; i < 3; i++) kill(pids[i], SIGKILL);
    kill(leader, SIGKILL);
    kill(stranger, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) continue;
    cr_assert(!hpt__proc_is_of(pids[1], &family), "it is gone");
}

Test(devices_proc, state_parent_and_start_are_read_behind_a_name_that_holds_anything)
{
    hpt__proc_stat me, child;
    const pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, ") R 1 (");
        for (;;) pause();
    }
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    while (name[0] != ')') {
        FILE *f = fopen(path, "r");
        cr_assert(f && fgets(name, sizeof name, f));
        fclose(f);
    }
    do cr_assert(hpt__proc_stat_read(&child, pid));
    while (child.state != 'S');
    cr_assert(hpt__proc_stat_read(&me, getpid()));
    cr_assert_eq(child.parent, getpid());
    cr_assert_leq(me.start, child.start);
    kill(pid, SIGKILL);
    while (hpt__proc_stat_read(&child, pid) && child.state != 'Z') continue;
    cr_assert_eq(child.state, 'Z');
    waitpid(pid, NULL, 0);
    cr_assert(!hpt__proc_stat_read(&child, pid));
}
