// SPDX-License-Identifier: Apache-2.0
// mps_root.h: folders of MPS controllers, which runs use them, and the end of those that none uses any more.
//
//   /tmp/hpt-mps-XXXXXX/      of the run that made it, locked (flock, shared) while it lives
//     0.0/  0.0.log/          pipe and log folder of a controller; the former is locked, shared, by each run that uses it
//   DIR/mps-XXXXXX            in the folder of claims: that there is such a folder
#ifndef HPT_MPS_MPS_ROOT_H
#define HPT_MPS_MPS_ROOT_H

#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { HPT__MPS_PATH = 48, HPT__MPS_ROOT = 32 };

// The control program: HPT_MPS_CONTROL, else nvidia-cuda-mps-control along PATH. HPT_E_NOT_FOUND: says so.
HPT_NODISCARD int hpt__mps_program(char **out);

// Makes a folder for controllers, and what says so: in the run's folder, and in the folder of claims (registry; NULL: none).
HPT_NODISCARD int hpt__mps_root_make(char root[HPT__MPS_ROOT], int *fd, const char *run_dir, const char *registry);

// Locks a pipe folder (or a root) of this user's; alone: while nobody else has it. Without waiting. -1: not; errno EWOULDBLOCK: others have it.
int hpt__mps_lock(const char *folder, bool alone);
void hpt__mps_unlock(int *fd);           // -1: no-op
bool hpt__mps_is_pipe(const char *pipe); // named as a pipe folder of a run's is

// How many processes of MPS, of this user, belong to a pipe folder; they get a signal unless it is 0.
int64_t hpt__mps_processes(const char *pipe, int signal_number);
pid_t hpt__mps_daemon(const char *pipe); // the control daemon among them; 0: there is none
// Waits for their end, so long at most, then ends them and waits once more. Removes pipe and log folder.
void hpt__mps_end_folder(const char *pipe, double seconds);

// Ends the controllers of a root whose run is dead and that no run uses; removes what is empty then. How many processes.
int64_t hpt__mps_root_end(const char *root, const char *program, const char *registry);
// The same for all roots that the folder of claims knows.
int64_t hpt__mps_sweep(const char *registry, const char *program);
// The same for the one that a killed run of this folder left on this machine. *n: how many processes.
HPT_NODISCARD int hpt__mps_end_leftovers(int64_t *n, const char *run_dir);
void hpt__mps_forget(const char *run_dir); // the run's folder names no root any more

#endif
