// SPDX-License-Identifier: Apache-2.0
// leftovers.c: no process of a trial survives it.
//
// Two situations. (1) A trial's first process has ended: its process group gets SIGKILL from the caller. What left the
// group, even by setsid and a double fork, has become our child, because the run is a subreaper; it is known by its
// session, or by HPT_TRIAL and HPT_RUN_ID in its environment. Ending one process hands us its children, so the search
// repeats until it finds nothing. (2) The run itself was killed with SIGKILL: its trials' first processes die with it
// (parent-death signal), deeper ones live on as children of init. The next run of the same folder finds them by
// HPT_RUN_ID and HPT_RUN_DIR. Both are compared: other folders may work on the same study.
//
// Not found: a process that both leaves the session and clears its environment. Only a cgroup would hold it, and not
// every user may make one.
//
// A process on its way through exec shows an empty environment for a moment (the kernel sets its place after the new memory is in
// use), and one on its way out has none while its children are not handed over yet. Where many processes want the cores, or much memory
// is given back, such a moment lasts: they are looked at again for as long as CHANGE_SECONDS. Once a process is a zombie
// its children are ours, so that another look follows on each that became one. Who cleared its environment is neither.
//
// A pidfd is opened before a process is looked at, and the signal goes through it: a number that another process has taken
// meanwhile hits nobody. Waiting uses it too; never longer than the given time, because a process
// in uninterruptible sleep does not die. Threads: the run's. Cost: (1) reads one line of /proc if nothing is left;
// (2) one small file per process of this user. Sources: prctl(2) PR_SET_CHILD_SUBREAPER, proc(5), pidfd_open(2).
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/file.h"
#include "../base/str.h"
#include "../devices/proc_walk.h"
#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double CHANGE_SECONDS = 1.0;

static void pause_for_change(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

// Kernel threads have no program, and zombies none any more.
static bool has_program(pid_t pid) {
    char path[64], target[8];
    (void)snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
    return readlink(path, target, sizeof target) > 0;
}

typedef enum stage { // of a process that shows no environment
    STAYS,           // it has none, or it is not for us to read
    IN_EXEC,         // its environment has no place yet
    EXITS,           // it has no memory any more; kernel threads too
    GONE,            // a zombie at most
} stage;

static stage stage_of(pid_t pid) {
    enum { STATE = 3, VSIZE = 23, ENV_START = 50 }; // fields of stat; the last is 0 too for who may not know
    char path[64], text[1024], *rest = NULL;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (!hpt__read_start(text, sizeof text, NULL, path)) return GONE;
    char *p = strrchr(text, ')');
    p = p ? strtok_r(p + 1, " ", &rest) : NULL;
    for (int field = STATE; p && field <= ENV_START; field++) {
        if (field == STATE && (*p == 'Z' || *p == 'X')) return GONE;
        if (field == VSIZE && strcmp(p, "0") == 0) return EXITS;
        if (field == ENV_START && strcmp(p, "0") == 0 && has_program(pid)) return IN_EXEC;
        p = strtok_r(NULL, " ", &rest);
    }
    return STAYS;
}

static bool is_zombie(pid_t pid) {
    hpt__proc_stat stat;
    return !hpt__proc_stat_read(&stat, pid) || stat.state == 'Z' || stat.state == 'X'; // gone
}

static int open_process(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0U);
}

// Kills a process and waits until it is gone. fd: open_process before the process was looked at; -1: no pidfds here.
static void kill_and_wait(pid_t pid, int fd, double until) {
    if (fd < 0) {
        (void)kill(pid, SIGKILL);
        return;
    }
    (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0U);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        const double left = until - hpt__now_mono();
        const int k = poll(&p, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (k >= 0 || errno != EINTR) break;
    }
}

int hpt__leftovers_end(int64_t *n, const char *run_id, const char *run_dir, double seconds) {
    int rc = 0;
    hpt__pids all = {0};
    hpt__str text = HPT__STR_INIT;
    const double until = hpt__now_mono() + seconds, change_until = hpt__now_mono() + CHANGE_SECONDS;
    int64_t found;
    bool unsure;
    *n = 0;
    do { // a process that forks while we look is found by the next look
        found = 0;
        unsure = false;
        all.n = 0;
        HPT_TRY(hpt__proc_list(&all, "/proc"));
        for (int64_t i = 0; i < all.n; i++) {
            const pid_t pid = all.items[i];
            char path[64];
            struct stat st;
            (void)snprintf(path, sizeof path, "/proc/%ld", (long)pid);
            if (pid == getpid() || stat(path, &st) < 0 || st.st_uid != geteuid()) continue;
            const int fd = open_process(pid);
            hpt__proc_environment(&text, pid);
            if (text.len == 0 && stage_of(pid) == IN_EXEC) unsure = true;
            if (hpt__proc_has_entry(&text, "HPT_RUN_ID", run_id) &&
                hpt__proc_has_entry(&text, "HPT_RUN_DIR", run_dir) && !is_zombie(pid)) {
                kill_and_wait(pid, fd, until);
                found++;
            }
            if (fd >= 0) close(fd);
            HPT_TRY(hpt__str_status(&text));
        }
        *n += found;
        unsure = unsure && hpt__now_mono() < change_until;
        if (unsure) pause_for_change();
    } while (unsure || (found > 0 && hpt__now_mono() < until));
    rc = 0;
out:
    hpt__str_fini(&text);
    hpt__free(all.items);
    return rc;
}

// Children of all threads of this process.
static int list_children(hpt__pids *out, hpt__pids *threads, hpt__str *text) {
    char path[96];
    threads->n = out->n = 0;
    int rc = hpt__proc_list(threads, "/proc/self/task");
    for (int64_t i = 0; rc == 0 && i < threads->n; i++) {
        (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)threads->items[i]);
        hpt__proc_read(text, path);
        rc = hpt__str_status(text);
        const char *p = hpt__str_text(text);
        while (rc == 0 && isdigit((unsigned char)*p)) {
            char *end;
            rc = hpt__pids_add(out, (pid_t)strtol(p, &end, 10));
            for (p = end; *p == ' '; p++) continue;
        }
    }
    return rc;
}

int hpt__orphans_end(int64_t *n, const hpt__orphan_query *q, double seconds) {
    int rc = 0;
    hpt__pids children = {0}, threads = {0};
    hpt__str text = HPT__STR_INIT;
    char number[24];
    const double until = hpt__now_mono() + seconds, change_until = hpt__now_mono() + CHANGE_SECONDS;
    int64_t found, zombies, known_zombies = 0;
    bool unsure;
    (void)snprintf(number, sizeof number, "%lld", (long long)q->trial);
    *n = 0;
    do {
        found = zombies = 0;
        unsure = false;
        HPT_TRY(list_children(&children, &threads, &text));
        for (int64_t i = 0; i < children.n; i++) {
            const pid_t pid = children.items[i];
            bool mine = false, leader = false;
            for (int64_t k = 0; k < q->n_leaders; k++) leader = leader || q->leaders[k] == pid;
            if (leader) continue;
            mine = getsid(pid) == q->session;
            if (!mine) {
                hpt__proc_environment(&text, pid);
                HPT_TRY(hpt__str_status(&text));
                const stage now = text.len == 0 ? stage_of(pid) : STAYS;
                unsure = unsure || now == IN_EXEC || now == EXITS;
                zombies += now == GONE;
                mine = hpt__proc_has_entry(&text, "HPT_TRIAL", number) &&
                       hpt__proc_has_entry(&text, "HPT_RUN_ID", q->run_id);
            }
            if (!mine) continue;
            const int fd = open_process(pid); // our child: its number stays its own until it is waited for
            kill_and_wait(pid, fd, until);
            if (fd >= 0) close(fd);
            if (waitpid(pid, NULL, WNOHANG) == pid) found++;
        }
        *n += found;
        unsure = unsure || zombies != known_zombies;
        known_zombies = zombies;
        unsure = unsure && hpt__now_mono() < change_until;
        if (unsure) pause_for_change();
    } while (unsure || (found > 0 && hpt__now_mono() < until));
    rc = 0;
out:
    hpt__str_fini(&text);
    hpt__free(threads.items);
    hpt__free(children.items);
    return rc;
}
