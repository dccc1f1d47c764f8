// SPDX-License-Identifier: Apache-2.0
// run_lost.c: a GPU that stops answering (fell off the bus, needs a reset) is left out, and used again when it answers.
//
// It would otherwise be the first with room, again and again, for trials that fail at once. NVML says that it is lost: whenever it is
// polled for the memory of its trials (run_watchdog.c), and when one of its trials has failed. Only a GPU that answered
// before in this run can be lost; what a driver never tells is unknown. While lost it is looked at every AGAIN seconds.
//
// Trials that fail on a lost GPU are collateral (run_fault.c): the machine's fault, not theirs. If no GPU is left and nothing
// runs any more the run ends with an error; the next one goes on.
//
// Ownership: the array is the run's. Threads: the loop's. Cost: one poll for each failed trial with a GPU.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <stdio.h>

static const double AGAIN = 10.0;

int hpt__run_lost_open(hpt__run *run) {
    run->answers = hpt__calloc((size_t)run->ledger.n_gpus + 1, sizeof *run->answers);
    return run->answers ? 0 : hpt__fail_memory();
}

bool hpt__run_is_lost(const hpt__run *run, int64_t gpu) {
    return run->answers && run->answers[gpu].lost;
}

static void lose(hpt__run *run, int64_t gpu, const char *why) {
    run->answers[gpu].lost = true;
    run->ledger.gpus[gpu].drained = true;
    hpt__run_notice(run, "%s: %s; nothing is started there until it answers again", run->ledger.gpus[gpu].info.name,
                    why);
}

static void readmit(hpt__run *run, int64_t gpu) {
    run->answers[gpu].lost = false;
    hpt__run_undrain(run, gpu);
    hpt__run_notice(run, "%s answers again and is used again", run->ledger.gpus[gpu].info.name);
}

bool hpt__run_gpu_poll(hpt__run *run, int64_t gpu) {
    hpt__gpu_answers *a = run->answers ? &run->answers[gpu] : NULL;
    if (!a || !run->nvml) return false;
    const bool good = hpt__nvml_poll(&run->load, run->nvml, run->ledger.gpus[gpu].info.uuid) == 0;
    if (!good && a->before && !a->lost) lose(run, gpu, hpt_last_error());
    if (!good) a->again = hpt__now_mono() + AGAIN;
    if (good && a->lost) readmit(run, gpu);
    a->before = a->before || good;
    return good;
}

bool hpt__run_lost_any(hpt__run *run, const hpt__running *t) {
    bool lost = false;
    for (int64_t i = 0; run->answers && i < t->grant.demand.n_gpus; i++) {
        const int64_t gpu = t->grant.gpus[i];
        if (!run->answers[gpu].lost && run->answers[gpu].before) (void)hpt__run_gpu_poll(run, gpu);
        lost = lost || run->answers[gpu].lost;
    }
    return lost;
}

void hpt__run_lost_time(hpt__run *run) {
    int64_t left = 0, lost = 0;
    for (int64_t gpu = 0; run->answers && gpu < run->ledger.n_gpus; gpu++) {
        const hpt__gpu_answers *a = &run->answers[gpu];
        if (a->lost && hpt__now_mono() >= a->again) (void)hpt__run_gpu_poll(run, gpu);
        lost += a->lost;
        left += run->ledger.gpus[gpu].units > 0 && !a->lost;
    }
    for (int64_t i = 0; i < run->n_slots; i++) left += run->slots[i].trial != NULL;
    if (lost > 0 && left == 0)
        hpt__run_break(
            run, hpt__fail(HPT_E_DEVICE, "no GPU answers any more; run again to go on (`hpt devices` lists them)"));
}
