// SPDX-License-Identifier: Apache-2.0
// run_dir.h: the folder of a run on disk.
//
//   study.db             the study, unless another storage was named
//   run.lock             locked (flock) while a run owns the folder; holds its process id as text
//   origin.json          where the run was started: study, storage, sweep_dir, cwd, n_trials
//   sweep.yaml           copy of the sweep file
//   socket               Unix stream socket of the running run (a link where its path is too long for a socket)
//   trials/000042/       stdout.log stderr.log report.log params.json checkpoint/ stop
#ifndef HPT_SCHED_RUN_DIR_H
#define HPT_SCHED_RUN_DIR_H

#include "../base/str.h"
#include <limits.h>

typedef struct hpt__run_dir {
    char *path;    // as given
    char *real;    // absolute
    char *socket;  // path that trials connect to; NULL before listening
    char *shelter; // private folder that holds the socket where real is too long; NULL: none
    int lock_fd;   // -1: not held
    bool created;  // by this call of open
    bool created_parent;
} hpt__run_dir;

#define HPT__RUN_DIR_INIT \
    { .lock_fd = -1 }

// "hpt_runs/<study>", the name made safe: what differs after that gets a hash, so that two studies never share one.
void hpt__run_dir_default(hpt__str *out, const char *study);

// Makes the folder if need be and locks it. HPT_E_BUSY names the process that holds it.
HPT_NODISCARD int hpt__run_dir_open(hpt__run_dir *d, const char *path);
// Unlocks and removes the socket. undo: removes what open made, if it is still empty otherwise.
void hpt__run_dir_close(hpt__run_dir *d, bool undo);

// Listens; the descriptor is not blocking.
HPT_NODISCARD int hpt__run_dir_listen(int *fd, hpt__run_dir *d);
// Connects to the run that owns the folder. HPT_E_NOT_FOUND: none does.
HPT_NODISCARD int hpt__run_dir_connect(int *fd, const char *path);

// Replaces <folder>/<name> in one step.
HPT_NODISCARD int hpt__run_dir_write(const hpt__run_dir *d, const char *name, const char *text, size_t n);
// hpt_runs/latest -> this folder, if its parent is called so. Failure is of no consequence.
void hpt__run_dir_mark_latest(const hpt__run_dir *d);

#endif
