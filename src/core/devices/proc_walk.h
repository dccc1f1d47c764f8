// SPDX-License-Identifier: Apache-2.0
// proc_walk.h: what /proc tells of processes, and which of them belong to a trial.
#ifndef HPT_DEVICES_PROC_WALK_H
#define HPT_DEVICES_PROC_WALK_H

#include "../base/str.h"
#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct hpt__pids { // zeros: empty; items are freed by the caller (hpt__free)
    pid_t *items;
    int64_t n, cap;
} hpt__pids;

typedef struct hpt__proc_stat {
    char state; // as ps shows it: 'R', 'S', 'Z' ...
    pid_t parent;
    unsigned long long start; // clock ticks since boot
} hpt__proc_stat;

HPT_NODISCARD int hpt__pids_add(hpt__pids *pids, pid_t pid);
// Adds the entries of a folder whose names are numbers: "/proc", "/proc/self/task".
HPT_NODISCARD int hpt__proc_list(hpt__pids *pids, const char *folder);
bool hpt__proc_stat_read(hpt__proc_stat *out, pid_t pid); // false: there is no such process
void hpt__proc_read(hpt__str *out, const char *path);     // a whole file of /proc; empty if it cannot be read
// A process's environment, empty if it is not ours to read. Has it NAME=value? value NULL: any.
void hpt__proc_environment(hpt__str *out, pid_t pid);
bool hpt__proc_has_entry(const hpt__str *environment, const char *name, const char *value);

typedef struct hpt__family { // a trial, to tell its processes by
    pid_t leader;            // its first process
    int64_t trial;
    const char *run_id;
} hpt__family;

// Whether a process is a trial's: in its leader's session, or descended from it, or (its parent is gone) carries the trial's
// number and run in its environment.
bool hpt__proc_is_of(pid_t pid, const hpt__family *family);

#endif
