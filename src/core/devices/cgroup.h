// SPDX-License-Identifier: Apache-2.0
// cgroup.h: a control group (v2) for each trial, where this process's own group is delegated to the user.
//
// Ownership: an hpt__cgroups owns its folders below `root`. Threads: one at a time.
#ifndef HPT_DEVICES_CGROUP_H
#define HPT_DEVICES_CGROUP_H

#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hpt__cgroups { // zeros: there are none
    char *root, *leaf; // the group that this process was in, and the one below it in which it is; NULL: not to be had
    bool memory;       // memory and number of processes are limited
} hpt__cgroups;

enum { HPT__CGROUP_PIDS = 16384 }; // processes and threads of one trial

// Moves this process into a group below its own and prepares that for trials. Where that is not possible c stays zero: no error, since
// most sessions cannot. HPT_E_MEMORY alone fails.
HPT_NODISCARD int hpt__cgroups_open(hpt__cgroups *c);
void hpt__cgroups_close(hpt__cgroups *c); // moves it back; a zeroed one is fine

// A group for a trial, of at most `memory` bytes (0: no limit). Owned path; NULL: none could be made.
char *hpt__cgroup_make(const hpt__cgroups *c, int64_t trial, int64_t memory);
int hpt__cgroup_door(const char *group);    // descriptor above 3; who writes "0" to it enters; -1: none
void hpt__cgroup_kill(const char *group);   // all that is in it, however it came to be; does not wait
void hpt__cgroup_remove(const char *group); // if nothing is in it any more

typedef struct hpt__cgroup_use {
    int64_t peak;      // bytes at once, of all processes together, with their page cache; 0: not known
    int64_t oom_kills; // processes that the kernel ended because memory.max was reached
} hpt__cgroup_use;
hpt__cgroup_use hpt__cgroup_look(const char *group);

#endif
