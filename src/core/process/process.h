// SPDX-License-Identifier: Apache-2.0
// process.h: starting one trial's process, finding and ending what belongs to trials.
#ifndef HPT_PROCESS_PROCESS_H
#define HPT_PROCESS_PROCESS_H

#include "../devices/cores.h"
#include <hpt/export.h>
#include <hpt/status.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct hpt__spawn {
    const char *path; // the program's file
    char *const *argv, *const *envp;
    const char *cwd;                      // NULL: the caller's
    int fd_in, fd_out, fd_err, fd_report; // become 0, 1, 2 and 3; all above 3
    sigset_t mask;                        // signal mask of the new process
    const cpu_set_t *cores;               // HPT__CORE_SETS of them (cores.h); NULL: the caller's
    int64_t data_limit;                   // bytes of RLIMIT_DATA; 0: the caller's
    int door;                             // of a control group to enter, above 3 (cgroup.h); -1: none
    bool keeps_limit;                     // RLIMIT_DATA holds there too
    bool entered;                         // out: it is in that group
} hpt__spawn;

// Starts a process in a session and process group of its own. *error_number: 0, or why the program could not be
// executed (the call then returns 0 and *pid is -1). HPT_E_IO: no process could be made.
HPT_NODISCARD int hpt__process_spawn(pid_t *pid, int *error_number, hpt__spawn *spawn);

// Finds argv[0] as execvp does: with a slash as it is, else along PATH. *out: owned path. HPT_E_NOT_FOUND: says
// whether it is missing or not executable.
HPT_NODISCARD int hpt__process_find(char **out, const char *program);

// ---- leftovers.c
// Ends every process on this machine that carries HPT_RUN_ID=run_id and HPT_RUN_DIR=run_dir in its environment, and
// waits until they are gone, at most `seconds`. *n: how many there were.
HPT_NODISCARD int hpt__leftovers_end(int64_t *n, const char *run_id, const char *run_dir, double seconds);

// Ends and reaps what a trial has left: children of this process (a subreaper) that are in the trial's session or
// carry its number and run in their environment. leaders: pids that are left alone.
typedef struct hpt__orphan_query {
    pid_t session; // pid of the trial's first process
    int64_t trial;
    const char *run_id;
    const pid_t *leaders;
    int64_t n_leaders;
} hpt__orphan_query;
HPT_NODISCARD int hpt__orphans_end(int64_t *n, const hpt__orphan_query *query, double seconds);

#endif
