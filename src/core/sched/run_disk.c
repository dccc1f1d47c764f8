// SPDX-License-Identifier: Apache-2.0
// run_disk.c: no trial is started while the disk of the run's folder is nearly full.
//
// Those that run go on: they hold their share already, and what they free at their end may be what is missing. Below
// run.disk_reserve free bytes one notice is given and starts wait; they go on once there is a quarter more than that, so
// that the edge is not crossed back and forth.
//
// Ownership: none. Threads: the run's. Cost: one statvfs a second.
#include "run_impl.h"

#include <sys/statvfs.h>

void hpt__run_look_at_disk(hpt__run *run) {
    struct statvfs disk;
    const int64_t reserve = run->disk_reserve;
    if (reserve == 0 || statvfs(run->dir.real, &disk) != 0) return;
    const double left = (double)disk.f_bavail * (double)disk.f_frsize;
    if (!run->disk_full && left < (double)reserve) {
        run->disk_full = true;
        hpt__run_notice(run,
                        "the disk of '%s' has %.0f MiB left: no trial is started until there is more than %lld MiB "
                        "(option run.disk_reserve)",
                        run->dir.path, left / 1048576, (long long)(reserve + reserve / 4) >> 20);
    } else if (run->disk_full && left > 1.25 * (double)reserve) {
        run->disk_full = false;
        hpt__run_notice(run, "the disk of '%s' has %.0f MiB left: trials are started again", run->dir.path,
                        left / 1048576);
    }
}
