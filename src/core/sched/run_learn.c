// SPDX-License-Identifier: Apache-2.0
// run_learn.c: `gpu_memory: learn`: how much memory of a GPU a trial gets, from what finished trials used.
//
//   need(attempt) = min(MARGIN peak, share)   of a trial that finished; peak: the largest that NVML was seen to count for it
//                 = MARGIN peak               of one that took more than its share, where nothing held it
//                 = MARGIN share              of an attempt that had too little (oom-gpu)
//   amount        = QUANTILE of all needs (of fewer than 20: the largest), rounded up to STEP, at most what a GPU has for a trial
// until FROM needs are known: the share's part of the GPU.
//
// Not the largest for ever: one outlier of a thousand trials would keep the others apart, while a share that is too small costs
// one attempt, most often in its first steps (run_oom_retry.c). A sweep whose trials differ much, and by what, is better served by
// a formula. The share is an upper bound of the need of a trial that finished within it: allocators that fill whatever they are
// given would otherwise raise their own share each time. Peaks are looked for about once a second, so that a shorter
// trial has none, and a short spike may be missed: what MARGIN is for.
//
// Where the sweep names no `gpu`, trials begin with a GPU each. Then n = floor(memory of the largest GPU / amount) share one, at
// most CLIENTS (of MPS), with 1/n of its processors each. The number of slots is then what the host holds, not the GPUs.
//
// Peaks and shares are the trials' attribute hpt:use, so that the next run of the study begins with what this one knew.
//
// Ownership: the run's. Threads: the loop's. Cost: two attributes of each finished trial at the start, then nothing.
// Source of CLIENTS: NVIDIA's MPS documentation (48 client contexts a GPU before CUDA 13.1).
#include "../base/alloc.h"
#include "run_impl.h"

#include <math.h>
#include <string.h>

static const double MARGIN = 1.1, QUANTILE = 0.95, GIB = 1073741824.0;
static const int64_t STEP = 256 << 20;
enum { FROM = 3, CLIENTS = 48 };

void hpt__run_learn_plan(hpt__run *run) {
    hpt__demand host = run->demand;
    const int64_t parallel = run->o->slots > 0 ? run->o->slots : run->sweep->parallel;
    int64_t limit = CLIENTS * run->ledger.n_gpus;
    if (!run->sweep->gpu_follows) return;
    if (parallel > 0 && parallel < limit) limit = parallel;
    if (limit > HPT__SLOTS_MAX) limit = HPT__SLOTS_MAX;
    if (parallel > 0 && !(run->sweep->cpu > 0) && run->ledger.cpu / limit < host.cpu) // as run_plan.c has it
        run->demand.cpu = host.cpu = run->ledger.cpu / limit > 0 ? run->ledger.cpu / limit : 1;
    host.n_gpus = 0;
    const int64_t n = hpt__ledger_capacity(&run->ledger, &host, limit);
    if (n > run->n_slots) run->n_slots = n;
}

// Keeps the needs sorted. Without memory for one more it is left out.
static void add_need(hpt__learnt *l, double need) {
    int64_t k = l->n;
    if (hpt__grow(&l->needs, &l->cap, l->n + 1, sizeof *l->needs) < 0) return;
    for (; k > 0 && (double)l->needs[k - 1] > need; k--) l->needs[k] = l->needs[k - 1];
    l->needs[k] = (int64_t)ceil(need);
    l->n++;
}

static void add(hpt__learnt *l, int64_t share, int64_t peak) {
    if (peak <= 0) return;
    if (peak > l->peak) l->peak = peak;
    add_need(l, peak > share ? MARGIN * (double)peak : fmin(MARGIN * (double)peak, (double)share));
}

// Sets run->demand, and tells a change.
static void apply(hpt__run *run) {
    hpt__learnt *l = &run->learnt;
    const int64_t most = hpt__run_most_memory(run);
    if (!run->sweep->gpu_memory_learned || l->n < FROM || most <= 0) return;
    int64_t amount = (l->needs[(int64_t)ceil(QUANTILE * (double)l->n) - 1] + STEP - 1) / STEP * STEP;
    if (amount > most) amount = most;
    if (amount == l->amount) return;
    l->amount = run->demand.gpu_memory = amount;
    if (run->sweep->gpu_follows) {
        const int64_t n = most / amount < CLIENTS ? most / amount : CLIENTS;
        run->demand.gpu = HPT__GPU_UNITS / n;
        if (n == 1) run->demand.gpu_memory = 0; // all of it
    }
    run->ledger.given++; // what had no room may have it now
    hpt__run_notice(run,
                    "gpu_memory: learn: each trial gets %.2f GiB from now on; of %lld known, the largest took %.2f GiB",
                    (double)amount / GIB, (long long)l->n, (double)l->peak / GIB);
}

static int64_t bytes_of(const hpt__json *use, const char *key) {
    int64_t v = 0;
    const hpt__json *node = hpt__json_get(use, key);
    return node && hpt__json_integer(&v, node) ? v : 0;
}

static int read_object(hpt__json **out, hpt__arena *arena, hpt__run *run, int64_t number, const char *key) {
    char *text = NULL;
    *out = NULL;
    int rc = hpt__study_trial_attr(&text, run->study, number, key);
    if (rc == 0 && text && hpt__json_parse(out, arena, text, strlen(text)) < 0) *out = NULL;
    hpt__free(text);
    return rc;
}

static int read_trial(hpt__run *run, int64_t number, bool finished) {
    int rc = 0;
    hpt__json *use = NULL, *attempts = NULL;
    hpt__arena arena;
    hpt__arena_init(&arena);
    if (finished) HPT_TRY(read_object(&use, &arena, run, number, "s:hpt:use"));
    HPT_TRY(read_object(&attempts, &arena, run, number, "s:hpt:attempts"));
    rc = 0;
    if (use && use->kind == HPT__JSON_OBJECT) add(&run->learnt, bytes_of(use, "gpu_memory"), bytes_of(use, "gpu_peak"));
    for (int64_t i = 0; attempts && attempts->kind == HPT__JSON_ARRAY && i < attempts->a.n; i++) {
        const char *outcome = hpt__json_string(hpt__json_get(attempts->a.items[i], "outcome"));
        if (outcome && strcmp(outcome, "oom-gpu") == 0)
            add_need(&run->learnt, MARGIN * (double)bytes_of(attempts->a.items[i], "gpu_memory"));
    }
out:
    hpt__arena_fini(&arena);
    return rc;
}

int hpt__run_learn_open(hpt__run *run) {
    static const hpt_trial_state states[] = {HPT_TRIAL_COMPLETE, HPT_TRIAL_PRUNED, HPT_TRIAL_FAIL, HPT_TRIAL_RUNNING};
    int rc = 0;
    int64_t *numbers = NULL, n = 0;
    for (size_t k = 0; run->sweep->gpu_memory_learned && k < sizeof states / sizeof *states; k++) {
        HPT_TRY(hpt__study_numbers(&numbers, &n, run->study, states[k]));
        for (int64_t i = 0; i < n; i++) HPT_TRY(read_trial(run, numbers[i], k < 2));
        hpt__free(numbers);
        numbers = NULL;
    }
    rc = 0;
out:
    hpt__free(numbers);
    return rc;
}

void hpt__run_learn_start(hpt__run *run) {
    if (!run->sweep->gpu_memory_learned) return;
    if (!run->nvml)
        hpt__run_notice(run, "gpu_memory: learn: nothing tells here what trials use (%s)",
                        run->enforce == HPT__ENFORCE_OFF ? "run.enforce=off" : "no NVML for these GPUs");
    apply(run);
}

void hpt__run_learn(hpt__run *run, const hpt__running *t) {
    if (!run->sweep->gpu_memory_learned || t->grant.demand.n_gpus != 1) return;
    add(&run->learnt, t->grant.gpu_memory[0], t->gpu_used);
    apply(run);
}

void hpt__run_learn_oom(hpt__run *run, const hpt__running *t) {
    if (!run->sweep->gpu_memory_learned) return;
    add_need(&run->learnt, MARGIN * (double)t->grant.gpu_memory[0]);
    apply(run);
}

void hpt__run_learned(hpt__demand *demand, const hpt__run *run) {
    if (!run->sweep->gpu_memory_learned || run->learnt.amount <= 0) return;
    demand->gpu_memory = run->demand.gpu_memory;
    if (run->sweep->gpu_follows) demand->gpu = run->demand.gpu;
}

void hpt__run_learn_fini(hpt__run *run) {
    hpt__free(run->learnt.needs);
}
