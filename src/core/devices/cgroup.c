// SPDX-License-Identifier: Apache-2.0
// cgroup.c: see cgroup.h.
//
//   ROOT                    the group that this process was in (HPT_CGROUP names another one, or is "off")
//   ROOT/hpt-run-PID        this process, because a group with limits for groups below it may hold no process itself
//   ROOT/hpt-trial-PID-N-K  a trial: memory.max, memory.swap.max 0, memory.oom.group 1 (a trial is one thing: it is
//                           ended as a whole), pids.max; read at its end: memory.events, memory.peak; cgroup.kill
//
// To be had are groups that are delegated (systemd-run --user --scope -p Delegate=yes hpt run ...; a service of the user's
// manager; a container's own hierarchy) and in which nobody else is: the kernel refuses cgroup.subtree_control otherwise, and this process
// goes back. A login session's group belongs to root, and a process cannot be moved from it into one of the user's, so that no
// group could be made for it here; hence the command above, which begins in the right place.
//
// Files are opened with O_CREAT, which the kernel's file system refuses for names that it does not know; a plain folder then stands
// in for it in tests.
//
// Ownership: folders are removed when they are empty. Threads: the run's. Cost: some ten system calls a trial.
// Source: Linux, Documentation/admin-guide/cgroup-v2.rst (delegation, no internal processes, cgroup.kill since 5.14,
// memory.peak since 5.19).
#include "cgroup.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/file.h"
#include "../base/num.h"
#include "../base/str.h"
#include "host_limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_SIZE = PATH_MAX + 64,
    FILE_SIZE = PATH_SIZE + 512,
    REMOVALS = 100
}; // of a group, of a file in one below it

static bool put(const char *group, const char *name, const char *text) {
    char path[FILE_SIZE];
    const size_t n = strlen(text);
    (void)snprintf(path, sizeof path, "%s/%s", group, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    const bool done = write(fd, text, n) == (ssize_t)n;
    close(fd);
    return done;
}

static bool put_int(const char *group, const char *name, int64_t value) {
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return put(group, name, text);
}

static bool get(char *out, size_t size, const char *group, const char *name) {
    char path[FILE_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", group, name);
    return hpt__read_start(out, size, NULL, path);
}

static bool has_word(const char *list, const char *word) {
    const size_t n = strlen(word);
    for (const char *p = list; *p; p += strspn(p, " \n")) {
        const size_t k = strcspn(p, " \n");
        if (k == n && memcmp(p, word, n) == 0) return true;
        p += k;
    }
    return false;
}

// Ends what runs that were killed have left in their trials' groups here.
static void end_leftovers(const hpt__cgroups *c) {
    const struct dirent *e;
    DIR *d = opendir(c->root);
    while (d && (e = readdir(d)) != NULL) {
        char path[PATH_SIZE + 256];
        long pid = 0;
        const bool trial = sscanf(e->d_name, "hpt-trial-%ld-", &pid) == 1;
        if ((!trial && sscanf(e->d_name, "hpt-run-%ld", &pid) != 1) || pid <= 0) continue;
        if (kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        (void)snprintf(path, sizeof path, "%s/%s", c->root, e->d_name);
        if (trial) hpt__cgroup_kill(path);
        hpt__cgroup_remove(path);
    }
    if (d) (void)closedir(d);
}

int hpt__cgroups_open(hpt__cgroups *c) {
    char own[PATH_MAX], controllers[1024];
    const char *named = getenv("HPT_CGROUP");
    *c = (hpt__cgroups){0};
    if (named && strcmp(named, "off") == 0) return 0;
    if (named && !*named) named = NULL;
    if (!named && !hpt__cgroup_own(own, sizeof own, "")) return 0;
    c->root = hpt__strdup(named ? named : own);
    if (!c->root) return hpt__fail_memory();
    hpt__str leaf = HPT__STR_INIT;
    hpt__str_addf(&leaf, "%s/hpt-run-%ld", c->root, (long)getpid());
    c->leaf = hpt__str_take(&leaf);
    if (!c->leaf) {
        hpt__free(c->root);
        *c = (hpt__cgroups){0};
        return hpt__fail_memory();
    }
    c->memory = get(controllers, sizeof controllers, c->root, "cgroup.controllers") &&
                has_word(controllers, "memory") && has_word(controllers, "pids");
    // A group that was named is used to end trials even where it can limit nothing.
    bool good = (c->memory || named) && (mkdir(c->leaf, 0700) == 0 || errno == EEXIST);
    good = good && put_int(c->leaf, "cgroup.procs", getpid());
    if (good && c->memory && !put(c->root, "cgroup.subtree_control", "+memory +pids")) good = false;
    if (good)
        end_leftovers(c);
    else
        hpt__cgroups_close(c);
    return 0;
}

void hpt__cgroup_remove(const char *group) {
    for (int i = 0; i < REMOVALS && rmdir(group) < 0 && errno == EBUSY; i++) // what was killed is on its way out
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void hpt__cgroups_close(hpt__cgroups *c) {
    if (c->root) {
        if (c->memory) (void)put(c->root, "cgroup.subtree_control", "-memory -pids");
        (void)put_int(c->root, "cgroup.procs", getpid());
        hpt__cgroup_remove(c->leaf);
    }
    hpt__free(c->root);
    hpt__free(c->leaf);
    *c = (hpt__cgroups){0};
}

char *hpt__cgroup_make(const hpt__cgroups *c, int64_t trial, int64_t memory) {
    static int count;
    hpt__str path = HPT__STR_INIT;
    if (!c->root) return NULL;
    hpt__str_addf(&path, "%s/hpt-trial-%ld-%lld-%d", c->root, (long)getpid(), (long long)trial, count++);
    char *group = hpt__str_take(&path);
    if (!group) return NULL;
    bool good = mkdir(group, 0700) == 0;
    if (good && c->memory) {
        good = memory == 0 || put_int(group, "memory.max", memory);
        if (memory > 0) (void)put_int(group, "memory.swap.max", 0);
        (void)put_int(group, "memory.oom.group", 1);
        (void)put_int(group, "pids.max", HPT__CGROUP_PIDS);
    }
    if (good) return group;
    (void)rmdir(group);
    hpt__free(group);
    return NULL;
}

int hpt__cgroup_door(const char *group) {
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", group);
    const int low = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (low < 0) return -1;
    const int fd = fcntl(low, F_DUPFD_CLOEXEC, 4);
    close(low);
    return fd;
}

void hpt__cgroup_kill(const char *group) {
    (void)put_int(group, "cgroup.kill", 1);
}

static int64_t number_at(const char *text) {
    int64_t v = 0;
    return hpt__parse_int(&v, text, strcspn(text, "\n")) && v > 0 ? v : 0;
}

hpt__cgroup_use hpt__cgroup_look(const char *group) {
    char text[1024];
    hpt__cgroup_use use = {0};
    if (get(text, sizeof text, group, "memory.peak")) use.peak = number_at(text);
    if (!get(text, sizeof text, group, "memory.events")) return use;
    const char *line = strncmp(text, "oom_kill ", 9) == 0 ? text : strstr(text, "\noom_kill ");
    if (line) use.oom_kills = number_at(strchr(line, ' ') + 1);
    return use;
}
