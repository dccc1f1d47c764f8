// SPDX-License-Identifier: Apache-2.0
// proc_walk.c: see proc_walk.h.
//
// The way from a process up to a trial's first one passes through numbers that may be taken anew while it is walked; a parent
// that began after its child is such a number, and ends the walk. A trial's process whose parents have ended has become a child of
// the run (a subreaper), so that the walk cannot find its trial: there the environment tells.
//
// Ownership: nothing is held. Threads: any. Cost: some microseconds a file. Source: proc(5).
#include "proc_walk.h"

#include "../base/alloc.h"
#include "../base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GENERATIONS = 64 };

int hpt__pids_add(hpt__pids *pids, pid_t pid) {
    int rc = hpt__grow(&pids->items, &pids->cap, pids->n + 1, sizeof *pids->items);
    if (rc == 0) pids->items[pids->n++] = pid;
    return rc;
}

int hpt__proc_list(hpt__pids *pids, const char *folder) {
    int rc = 0;
    const struct dirent *e;
    DIR *d = opendir(folder);
    if (!d) return 0;
    while (rc == 0 && (e = readdir(d)) != NULL)
        if (isdigit((unsigned char)e->d_name[0])) rc = hpt__pids_add(pids, (pid_t)strtol(e->d_name, NULL, 10));
    closedir(d);
    return rc;
}

bool hpt__proc_stat_read(hpt__proc_stat *out, pid_t pid) {
    char path[64], text[1024];
    long parent = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (!hpt__read_start(text, sizeof text, NULL, path)) return false;
    // Fields 3, 4 and 22; the name before them may hold anything.
    const char *p = strrchr(text, ')');
    const int n = p ? sscanf(p + 1, " %c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                             &out->state, &parent, &out->start)
                    : 0;
    out->parent = (pid_t)parent;
    return n == 3;
}

void hpt__proc_read(hpt__str *out, const char *path) {
    char buffer[16384];
    ssize_t n;
    hpt__str_clear(out);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) hpt__str_addn(out, buffer, (size_t)n);
    close(fd);
}

void hpt__proc_environment(hpt__str *out, pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    hpt__proc_read(out, path);
}

bool hpt__proc_has_entry(const hpt__str *environment, const char *name, const char *value) {
    const char *p = hpt__str_text(environment), *end = p + environment->len;
    const size_t n = strlen(name);
    for (; p < end; p += strlen(p) + 1)
        if (strncmp(p, name, n) == 0 && p[n] == '=' && (!value || strcmp(p + n + 1, value) == 0)) return true;
    return false;
}

static bool descends(pid_t pid, pid_t ancestor) {
    hpt__proc_stat child, parent;
    if (!hpt__proc_stat_read(&child, pid)) return false;
    for (int i = 0; i < GENERATIONS && child.parent > 1; i++) {
        if (!hpt__proc_stat_read(&parent, child.parent) || parent.start > child.start) return false;
        if (child.parent == ancestor) return true;
        child = parent;
    }
    return false;
}

bool hpt__proc_is_of(pid_t pid, const hpt__family *f) {
    char number[24];
    hpt__str text = HPT__STR_INIT;
    if (pid == f->leader || getsid(pid) == f->leader || descends(pid, f->leader)) return true;
    (void)snprintf(number, sizeof number, "%lld", (long long)f->trial);
    hpt__proc_environment(&text, pid);
    const bool mine =
        hpt__proc_has_entry(&text, "HPT_TRIAL", number) && hpt__proc_has_entry(&text, "HPT_RUN_ID", f->run_id);
    hpt__str_fini(&text);
    return mine;
}
