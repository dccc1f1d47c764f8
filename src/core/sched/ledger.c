// SPDX-License-Identifier: Apache-2.0
// ledger.c: shares of cores, memory and GPUs.
//
// Rules. A share lies on one device: room is looked for per device, never in the sum of all (eight GPUs hold 48 shares
// of 0.15, not 53; counting the sum is a known fault, ray-project/ray issue 5902). Shares are packed: of the devices
// with room the fullest is taken, so that whole devices stay free for trials that need one. Demands above one GPU take
// whole idle devices. Memory of a device is counted where it is known or asked for; without a figure of its own a
// share of the device takes that share of its memory.
//
// Ownership: the ledger copies the device records; a grant is the caller's struct and must be given back once.
// Threads: one at a time. Cost: O(devices) a call. The list is short, so nothing is sorted.
#include "ledger.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <math.h>
#include <string.h>

int hpt__ledger_init(hpt__ledger *ledger, const hpt_device_info *devices, int64_t n) {
    *ledger = (hpt__ledger){0};
    ledger->gpus = hpt__calloc((size_t)n + 1, sizeof *ledger->gpus);
    if (!ledger->gpus) return hpt__fail_memory();
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(devices[i].kind, "cpu") == 0) {
            ledger->cpu = (int64_t)llround(devices[i].capacity * HPT__CPU_UNITS);
            ledger->memory = devices[i].memory_bytes;
        } else {
            ledger->gpus[ledger->n_gpus++].info = devices[i];
        }
    }
    return 0;
}

void hpt__ledger_fini(hpt__ledger *ledger) {
    hpt__free(ledger->gpus);
    *ledger = (hpt__ledger){0};
}

int hpt__demand_make(hpt__demand *out, double cpu, int64_t memory, double gpu, int64_t gpu_memory) {
    hpt__demand d = {.memory = memory, .gpu_memory = gpu_memory};
    if (!(cpu >= 1.0 / HPT__CPU_UNITS && cpu <= 1e6))
        return hpt__fail(HPT_E_ARG, "hpt:resources.cpu: %g cores cannot be given; ask for 0.001 or more", cpu);
    if (memory < 0 || gpu_memory < 0) return hpt__fail(HPT_E_ARG, "hpt:resources: a negative memory size");
    if (!(gpu >= 0 && gpu <= HPT__GPUS_PER_TRIAL))
        return hpt__fail(HPT_E_ARG, "hpt:resources.gpu: %g GPUs cannot be given to one trial; ask for 0 to %d", gpu,
                         HPT__GPUS_PER_TRIAL);
    if (gpu > 1 && gpu != floor(gpu))
        return hpt__fail(HPT_E_ARG, "hpt:resources.gpu: %g is neither a share of one GPU nor a whole number of GPUs",
                         gpu);
    d.cpu = (int64_t)llround(cpu * HPT__CPU_UNITS);
    d.n_gpus = gpu > 1 ? (int64_t)gpu : gpu > 0 || gpu_memory > 0 ? 1 : 0;
    d.gpu = gpu > 1 ? HPT__GPU_UNITS : (int64_t)llround(gpu * HPT__GPU_UNITS);
    if (gpu > 0 && d.gpu == 0)
        return hpt__fail(HPT_E_ARG, "hpt:resources.gpu: %g is too small; ask for 0.000001 or more", gpu);
    *out = d;
    return 0;
}

static int64_t memory_wanted(const hpt__ledger_gpu *g, const hpt__demand *d) {
    if (d->gpu_memory > 0) return d->gpu_memory;
    return (int64_t)((double)g->info.memory_bytes * ((double)d->gpu / HPT__GPU_UNITS));
}

static bool fits(const hpt__ledger_gpu *g, const hpt__demand *d, int64_t used, int64_t memory_used) {
    if (used + d->gpu > HPT__GPU_UNITS) return false;
    return g->info.memory_bytes <= 0 || memory_used + memory_wanted(g, d) <= g->info.memory_bytes;
}

int hpt__ledger_check(const hpt__ledger *ledger, const hpt__demand *d) {
    if (d->cpu > ledger->cpu)
        return hpt__fail(HPT_E_ARG, "a trial asks for %g cores (hpt:resources.cpu), but this machine offers %g",
                         (double)d->cpu / HPT__CPU_UNITS, (double)ledger->cpu / HPT__CPU_UNITS);
    if (ledger->memory > 0 && d->memory > ledger->memory)
        return hpt__fail(HPT_E_ARG,
                         "a trial asks for %.1f GiB of memory (hpt:resources.memory), but this machine has %.1f GiB",
                         (double)d->memory / 1073741824.0, (double)ledger->memory / 1073741824.0);
    if (d->n_gpus == 0) return 0;
    if (ledger->n_gpus == 0)
        return hpt__fail(HPT_E_ARG, "a trial asks for a GPU (hpt:resources.gpu), but this machine has none; `hpt "
                                    "devices` lists what is found, --gpus declares some");
    int64_t n = 0;
    for (int64_t i = 0; i < ledger->n_gpus; i++) n += fits(&ledger->gpus[i], d, 0, 0);
    if (n >= d->n_gpus) return 0;
    if (d->n_gpus > ledger->n_gpus)
        return hpt__fail(HPT_E_ARG, "a trial asks for %lld GPUs (hpt:resources.gpu), but this machine has %lld",
                         (long long)d->n_gpus, (long long)ledger->n_gpus);
    return hpt__fail(HPT_E_ARG,
                     "a trial asks for %lld GPU(s) with %.1f GiB each (hpt:resources.gpu_memory), but only %lld of the "
                     "%lld here are that large",
                     (long long)d->n_gpus, (double)d->gpu_memory / 1073741824.0, (long long)n,
                     (long long)ledger->n_gpus);
}

// How many demands fit on one empty device, at most limit.
static int64_t per_device(const hpt__ledger_gpu *g, const hpt__demand *d, int64_t limit) {
    int64_t n = limit;
    if (d->gpu > 0 && HPT__GPU_UNITS / d->gpu < n) n = HPT__GPU_UNITS / d->gpu;
    const int64_t wanted = memory_wanted(g, d);
    if (g->info.memory_bytes > 0 && wanted > 0 && g->info.memory_bytes / wanted < n) n = g->info.memory_bytes / wanted;
    return n;
}

int64_t hpt__ledger_capacity(const hpt__ledger *ledger, const hpt__demand *d, int64_t limit) {
    int64_t n = limit;
    if (d->cpu > 0 && ledger->cpu / d->cpu < n) n = ledger->cpu / d->cpu;
    if (d->memory > 0 && ledger->memory > 0 && ledger->memory / d->memory < n) n = ledger->memory / d->memory;
    if (d->n_gpus > 0) {
        int64_t on_gpus = 0;
        for (int64_t i = 0; i < ledger->n_gpus && on_gpus < limit; i++)
            on_gpus += per_device(&ledger->gpus[i], d, limit - on_gpus);
        if (on_gpus / d->n_gpus < n) n = on_gpus / d->n_gpus;
    }
    return n;
}

bool hpt__ledger_take(hpt__grant *grant, hpt__ledger *ledger, const hpt__demand *d) {
    hpt__grant g = {.demand = *d, .held = true};
    if (ledger->cpu_used + d->cpu > ledger->cpu) return false;
    if (ledger->memory > 0 && ledger->memory_used + d->memory > ledger->memory) return false;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        int32_t best = -1;
        for (int32_t i = 0; i < ledger->n_gpus; i++) {
            const hpt__ledger_gpu *gpu = &ledger->gpus[i];
            bool mine = false;
            for (int64_t j = 0; j < k; j++) mine = mine || g.gpus[j] == i;
            if (mine || !fits(gpu, d, gpu->used, gpu->memory_used)) continue;
            if (best < 0 || gpu->used > ledger->gpus[best].used) best = i;
        }
        if (best < 0) return false;
        g.gpus[k] = best;
        g.gpu_memory[k] = memory_wanted(&ledger->gpus[best], d);
    }
    ledger->cpu_used += d->cpu;
    ledger->memory_used += d->memory;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        ledger->gpus[g.gpus[k]].used += d->gpu;
        ledger->gpus[g.gpus[k]].memory_used += g.gpu_memory[k];
    }
    *grant = g;
    return true;
}

void hpt__ledger_give(hpt__ledger *ledger, hpt__grant *grant) {
    if (!grant->held) return;
    const hpt__demand *d = &grant->demand;
    ledger->cpu_used -= d->cpu;
    ledger->memory_used -= d->memory;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        ledger->gpus[grant->gpus[k]].used -= d->gpu;
        ledger->gpus[grant->gpus[k]].memory_used -= grant->gpu_memory[k];
    }
    grant->held = false;
}
