// SPDX-License-Identifier: Apache-2.0
// run_oom_retry.c: a trial that had too little memory of its GPU is started again with more.
//
//   more = min(GROWTH * max(share, peak), the most that a trial can have of a GPU), in whole MiB
//
// Its share was ours to choose, so it keeps its number: the study is told no failure of a point that may be good, and the
// sweep is no trial longer. That happens once, or hpt:retries times where that is more. With its share unchanged it
// would end in the same way, so that no other retry follows.
//
// A trial that had all of the largest GPU can never fit, and fails with a reason that says so. One that asks for whole GPUs is
// left to hpt:retries: what it lacked was taken by somebody else, or it will fail again. Memory alone grows, not the share of
// the processors: those are not what was short.
//
// What an attempt had and used is in the trial's list of attempts (run_attempts.c), so that a later run knows it as well.
// Ownership: none. Threads: the loop's. Cost: one attribute.
#include "run_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double GROWTH = 1.5, GIB = 1073741824.0;
static const int64_t MIB = 1 << 20;
enum { TOLD = 5 };

int64_t hpt__run_most_memory(const hpt__run *run) {
    int64_t most = 0;
    const hpt__demand least = {.n_gpus = 1, .gpu = run->demand.gpu, .gpu_memory = 1};
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) {
        const hpt__ledger_gpu *g = &run->ledger.gpus[i];
        if (g->memory > most && hpt__ledger_fits(g, &least, 0, 0, 0)) most = g->memory;
    }
    return most;
}

int64_t hpt__run_more_memory(const hpt__run *run, int64_t had, int64_t used) {
    const int64_t most = hpt__run_most_memory(run);
    const double want = GROWTH * (double)(used > had ? used : had);
    const int64_t whole = (int64_t)ceil(want / (double)MIB) * MIB;
    return whole < most ? whole : most;
}

int hpt__run_retry_oom(bool *is, bool *again, char *reason, size_t size, hpt__run *run, hpt__running *t,
                       const char *log) {
    const hpt__demand *d = &t->grant.demand;
    const int64_t had = t->grant.gpu_memory[0], most = hpt__run_most_memory(run);
    const int64_t limit = run->sweep->retries > 1 ? run->sweep->retries : 1;
    const size_t len = strlen(reason);
    int64_t n = 0;
    *is = false;
    *again = !(d->n_gpus == 1 && d->gpu < HPT__GPU_UNITS && !d->profile[0] && had > 0);
    if (*again) return 0;
    if (had >= most) {
        (void)snprintf(reason + len, size - len, "; it had %.2f GiB, and no GPU here has more for it",
                       (double)had / GIB);
        return 0;
    }
    int rc = hpt__run_note_interrupted(&n, run, t, "oom-gpu");
    if (rc < 0) return rc;
    hpt__run_learn_oom(run, t);
    const double more = (double)hpt__run_more_memory(run, had, t->gpu_used) / GIB;
    if (n > limit) {
        (void)snprintf(reason + len, size - len, "; it had %.2f GiB, after %lld smaller share%s (hpt:retries)",
                       (double)had / GIB, (long long)limit, limit == 1 ? "" : "s");
        return 0;
    }
    *is = true;
    (void)snprintf(reason + len, size - len, "; it had %.2f GiB of a GPU and is started again with %.2f GiB",
                   (double)had / GIB, more);
    if (++run->n_oom_told <= TOLD)
        hpt__run_notice(run, "trial %lld: %s%s", (long long)t->number, reason,
                        run->n_oom_told == TOLD ? " (of further ones nothing is told)" : "");
    return hpt__run_start_again(run, t, HPT_OUTCOME_OOM_GPU, reason, log);
}
