// SPDX-License-Identifier: Apache-2.0
// run_watchdog.c: what trials use of their GPUs' memory, as NVML counts it: the peak of each, whatever its tier, and an end of
// those that take too much where nothing holds their share (tiers advisory and unenforced).
//
//   used <= share              nothing
//   share < used <= 1.1 share  one line, once a trial
//   1.1 share < used           the trial is ended, outcome oom-gpu
//
// The tenth between them is for the driver's context and an allocator's rounding, which few who write gpu_memory count. What
// lies beyond is a neighbour's, who would fail in its place. It is looked at about once a second: an allocation that is faster
// than that may still hit a neighbour. Which processes are a trial's: hpt__proc_is_of.
//
// A trial that was ended so is tried again with a larger share (run_oom_retry.c).
//
// Threads: the loop's. Cost: one poll of NVML, some tens of microseconds, for each GPU with trials. A GPU that does not answer
// is not judged.
#include "run_impl.h"

#include <stdio.h>

static const double HARD = 1.1, GIB = 1073741824.0;

static bool is_on(const hpt__running *t, int64_t gpu) {
    bool on = false;
    for (int64_t i = 0; t->trial && !t->ended && i < t->grant.demand.n_gpus; i++) on = on || t->grant.gpus[i] == gpu;
    return on;
}

static bool is_limited(const hpt__running *t) {
    const hpt__grant *g = &t->grant;
    return t->cause == HPT__STOP_NONE && g->demand.n_gpus == 1 && g->demand.gpu < HPT__GPU_UNITS &&
           g->gpu_memory[0] > 0 && (t->tier == HPT__TIER_ADVISORY || t->tier == HPT__TIER_UNENFORCED);
}

static int64_t used_by(const hpt__run *run, const hpt__running *t) {
    const hpt__gpu_load *load = &run->load;
    const hpt__family family = hpt__run_family(run, t);
    int64_t sum = 0;
    for (int64_t i = 0; i < load->n; i++)
        if (load->processes[i].used_bytes > 0 && hpt__proc_is_of(load->processes[i].pid, &family))
            sum += load->processes[i].used_bytes;
    return sum;
}

static void judge(hpt__run *run, hpt__running *t) {
    const int64_t used = used_by(run, t), share = t->grant.gpu_memory[0];
    if (used > t->gpu_used) t->gpu_used = used;
    if (!is_limited(t)) return;
    if ((double)used > HARD * (double)share) {
        hpt__run_stop_trial(run, t, HPT__STOP_OOM_GPU);
    } else if (used > share && !t->warned) {
        t->warned = true;
        hpt__run_notice(run, "trial %lld uses %.2f GiB of %s, more than its share of %.2f GiB; it is ended at %.2f GiB",
                        (long long)t->number, (double)used / GIB, run->ledger.gpus[t->grant.gpus[0]].info.name,
                        (double)share / GIB, HARD * (double)share / GIB);
    }
}

void hpt__run_watchdog(hpt__run *run) {
    for (int64_t gpu = 0; run->nvml && gpu < run->ledger.n_gpus; gpu++) {
        bool any = false;
        for (int64_t i = 0; i < run->n_slots && !any; i++) any = is_on(&run->slots[i], gpu);
        if (!any || hpt__run_is_lost(run, gpu) || !hpt__run_gpu_poll(run, gpu)) continue;
        for (int64_t i = 0; i < run->n_slots; i++)
            if (is_on(&run->slots[i], gpu)) judge(run, &run->slots[i]);
    }
}

void hpt__run_explain_memory(char *out, size_t size, const hpt__running *t) {
    (void)snprintf(out, size, "used %.2f GiB of GPU memory, its share is %.2f GiB (hpt:resources.gpu_memory)",
                   (double)t->gpu_used / GIB, (double)t->grant.gpu_memory[0] / GIB);
}
