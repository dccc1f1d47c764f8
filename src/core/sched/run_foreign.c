// SPDX-License-Identifier: Apache-2.0
// run_foreign.c: memory of GPUs that is in use before the run begins, by programs that are no trials.
//
//   foreign(device) = used - sum over processes that are a trial's of their memory
//
// It is set apart once, before shares are counted, with one line; what such programs take or free later is not followed, since
// a run plans with what it found (and `hpt:resources.gpu_memory` that can no longer be had is refused then, instead of
// failing in each trial). Less than SMALL is the driver's own and not worth a line. Trials of other runs of this user are known by
// their environment and counted by their claims (claims.c); so are leftovers of this folder's killed run, which are ended soon.
//
// Ownership: none. Threads: the run's. Cost: nothing where the inventory found devices empty; else NVML is opened once more, a
// poll a device and one small file per process on it.
#include "run_impl.h"

#include <stdio.h>
#include <string.h>

static const int64_t SMALL = 256LL << 20;
static const double GIB = 1073741824.0;

static int64_t of_trials(const hpt__gpu_load *load) {
    int64_t sum = 0;
    hpt__str environment = HPT__STR_INIT;
    for (int64_t i = 0; i < load->n; i++) {
        hpt__proc_environment(&environment, load->processes[i].pid);
        if (load->processes[i].used_bytes > 0 && hpt__proc_has_entry(&environment, "HPT_RUN_ID", NULL))
            sum += load->processes[i].used_bytes;
    }
    hpt__str_fini(&environment);
    return sum;
}

static void set_apart(hpt__run *run, hpt__ledger_gpu *g, int64_t foreign) {
    const size_t at = strlen(run->foreign_note), size = sizeof run->foreign_note - at;
    if (foreign < SMALL) return;
    const int64_t left = hpt__ledger_whole(g) - foreign;
    if (left < g->memory)
        g->memory = left > 0 ? left : 0; // what a batch system gave may be a part, and not that of the others
    g->foreign = foreign;
    if (g->memory == 0) g->units = 0; // 0 would say that nothing is known of its memory
    (void)snprintf(run->foreign_note + at, size, "%s%.1f GiB of %s", at ? ", " : "", (double)foreign / GIB,
                   g->info.name);
}

void hpt__run_set_foreign_apart(hpt__run *run) {
    hpt__nvml *nvml = NULL;
    hpt__gpu_load load = {0};
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) {
        hpt__ledger_gpu *g = &run->ledger.gpus[i];
        if (!g->info.uuid[0] || g->info.used_bytes < SMALL || g->memory <= 0) continue;
        if (!nvml && hpt__nvml_open(&nvml) < 0) return;
        if (hpt__nvml_poll(&load, nvml, g->info.uuid) == 0) set_apart(run, g, load.used_bytes - of_trials(&load));
    }
    hpt__gpu_load_fini(&load);
    hpt__nvml_close(nvml);
}
