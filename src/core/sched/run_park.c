// SPDX-License-Identifier: Apache-2.0
// run_park.c: trials whose demand is computed from their parameters, and who therefore wait for room after they were asked.
//
// A sweep whose trials all ask for the same takes the share first and asks then. Here the point must be known first: room for
// the smallest demand is the sign to ask, and the trial then queues (ledger_queue.h) until there is room for its own.
// So does, in any sweep, a trial that is to have a GPU to itself (run_fault.c) or more of its memory (run_oom_retry.c). It counts as running meanwhile, in the study and for the number of slots: its point is decided, and a model spreads new
// ones around it. Some wait beside the oldest, so that small ones can go ahead; not many, since a point that waits
// long was chosen knowing less. Dropped with the run they stay RUNNING, and the next run starts them.
//
// Ownership: a parked trial is the run's. Threads: the loop's. Cost: as the queue.
#include "../base/alloc.h"
#include "../base/error.h"
#include "run_impl.h"

#include <stdio.h>

bool hpt__run_parks(const hpt__run *run) {
    return hpt__sweep_has_formula(run->sweep);
}

bool hpt__run_parked_many(const hpt__run *run) {
    return run->queue.n > run->ledger.n_gpus + 1;
}

// As much of one GPU as this run may give to trials, so that nobody else is there.
static void ask_for_all(hpt__demand *d, const hpt__ledger *ledger) {
    int64_t most = d->gpu;
    for (int64_t i = 0; i < ledger->n_gpus; i++)
        if (ledger->gpus[i].units > most && hpt__ledger_fits(&ledger->gpus[i], d, 0, 0, 0))
            most = ledger->gpus[i].units;
    d->gpu = most;
    d->gpu_memory = 0;
}

int hpt__run_park(hpt__run *run, hpt_trial *trial, const hpt__history *history) {
    hpt__demand demand;
    int rc = hpt__run_demand(&demand, run, hpt__run_point(run, hpt__trial_point(trial)));
    if (rc == HPT_E_ARG) {
        char reason[HPT__ERROR_MAX + 32], why[HPT__ERROR_MAX];
        hpt__error_copy(why);
        (void)snprintf(reason, sizeof reason, "could not be started: %s", why);
        rc = hpt__run_ended_bad(run, trial, NULL, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED, reason, NULL, 0);
        goto out;
    }
    if (rc < 0) goto out;
    const hpt__demand usual = demand;
    hpt__run_learned(&demand, run);
    if (demand.n_gpus == 1 && history->gpu_memory > demand.gpu_memory) demand.gpu_memory = history->gpu_memory;
    if (demand.n_gpus == 1 && history->n_faults >= HPT__SUSPECT) ask_for_all(&demand, &run->ledger);
    if (hpt__ledger_check(&run->ledger, &demand) < 0) demand = usual; // no GPU has both that share and that much memory
    return hpt__run_park_as(run, trial, history->attempt, &demand);
out:
    hpt_trial_destroy(trial);
    return rc < 0 ? rc : 0;
}

int hpt__run_park_as(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__demand *demand) {
    int64_t i = 0;
    int rc = 0;
    while (i < run->cap_parked && run->parked[i].trial) i++;
    if (i == run->cap_parked) {
        HPT_TRY(hpt__grow(&run->parked, &run->cap_parked, i + 1, sizeof *run->parked));
        for (int64_t k = i; k < run->cap_parked; k++) run->parked[k] = (hpt__parked){0};
    }
    HPT_TRY(hpt__queue_push(&run->queue, demand, i));
    run->parked[i] = (hpt__parked){trial, attempt};
    run->n_running++;
    return 0;
out:
    hpt_trial_destroy(trial);
    return rc < 0 ? rc : 0;
}

bool hpt__run_unpark(hpt_trial **trial, int64_t *attempt, hpt__grant *grant, hpt__run *run) {
    int64_t i;
    if (!hpt__run_take_queued(grant, &i, run)) return false;
    *trial = run->parked[i].trial;
    *attempt = run->parked[i].attempt;
    run->parked[i].trial = NULL;
    run->n_running--;
    return true;
}

void hpt__run_drop_parked(hpt__run *run) {
    hpt__run_part_drop(run);
    while (run->queue.n > 0) {
        const int64_t i = run->queue.items[run->queue.n - 1].id;
        (void)hpt__queue_remove(&run->queue, &run->ledger, i);
        hpt_trial_destroy(run->parked[i].trial);
        run->parked[i].trial = NULL;
        run->n_running--;
    }
}

void hpt__run_park_fini(hpt__run *run) {
    hpt__run_drop_parked(run);
    hpt__queue_fini(&run->queue);
    hpt__free(run->parked);
}
