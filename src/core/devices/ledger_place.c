// SPDX-License-Identifier: Apache-2.0
// ledger_place.c: on which device a request is placed: best fit (pack) or worst fit (spread) over two amounts.
//
//   left(device) = (units - used - asked) / units + (memory - memory_used - asked) / memory        after placing
//
// pack takes the device with the smallest left, spread the largest; of equal ones pack takes the one with less memory (a
// large one stays free for who needs it), then both the first. The sum and not compute alone: where memory is what
// fills a device, filling compute first would leave gaps of memory everywhere. A device of unknown memory counts compute
// twice. Several whole devices are chosen one after the other in the same way; never MIG instances, of which a process
// can use one only. Numbers against an exact packer: tests/unit/test_devices_packing.c.
//
// Threads: one at a time. Cost: O(devices asked for x devices), 64 devices about a microsecond.
#include "ledger.h"

#include <string.h>

int64_t hpt__ledger_memory_wanted(const hpt__ledger_gpu *g, const hpt__demand *d) {
    if (d->gpu_memory > 0 || g->units <= 0) return d->gpu_memory;
    return (int64_t)((double)g->memory * ((double)d->gpu / (double)g->units));
}

bool hpt__ledger_fits(const hpt__ledger_gpu *g, const hpt__demand *d, int64_t used, int64_t memory_used,
                      int64_t n_grants) {
    if (g->units <= 0 || used + d->gpu > g->units) return false;
    if (g->exclusive && n_grants > 0) return false;
    if (g->info.profile[0] && d->n_gpus > 1) return false;
    if (d->profile[0] && strcmp(d->profile, g->info.profile) != 0) return false;
    return g->memory <= 0 || memory_used + hpt__ledger_memory_wanted(g, d) <= g->memory;
}

int64_t hpt__ledger_whole(const hpt__ledger_gpu *g) {
    const double part = g->info.capacity;
    return part > 0 && part < 1 ? (int64_t)((double)g->info.memory_bytes / part) : g->info.memory_bytes;
}

// Whether a device has room for one more now: within what is ours of it, and beside other runs on the whole.
static bool has_room(const hpt__ledger *l, const hpt__ledger_gpu *g, const hpt__demand *d) {
    const hpt__others *o = &g->others;
    if (!hpt__ledger_fits(g, d, g->used, g->memory_used, g->n_grants)) return false;
    if (l->alone) return true;
    if (o->waits || (g->exclusive && o->n_grants > 0)) return false;
    if (*o->server && strcmp(o->server, g->server) != 0 && strcmp(g->info.compute_mode, "exclusive_process") == 0)
        return false; // that server is the one process
    if (g->used + o->units + d->gpu > HPT__GPU_UNITS) return false;
    return g->memory <= 0 || g->memory_used + g->engine + g->foreign + o->memory + hpt__ledger_memory_wanted(g, d) <=
                                 hpt__ledger_whole(g);
}

double hpt__ledger_shortage(const hpt__ledger_gpu *g, const hpt__demand *d) {
    const int64_t ours = g->used + d->gpu - g->units, all = g->used + g->others.units + d->gpu - HPT__GPU_UNITS;
    double most = (double)(ours > all ? ours : all) / (double)g->units;
    if (g->memory > 0) {
        const int64_t wanted = g->memory_used + hpt__ledger_memory_wanted(g, d), mine = wanted - g->memory,
                      total = wanted + g->engine + g->foreign + g->others.memory - hpt__ledger_whole(g);
        const double memory = (double)(mine > total ? mine : total) / (double)g->memory;
        if (memory > most) most = memory;
    }
    if (g->exclusive && g->n_grants + g->others.n_grants > 0 && most < 1) most = 1;
    return most > 0 ? most : 0;
}

// In millionths of a device, twice as many for an empty one.
static int64_t left_after(const hpt__ledger_gpu *g, const hpt__demand *d) {
    const double units = (double)(g->units - g->used - g->others.units - d->gpu) / (double)g->units;
    if (g->memory <= 0) return (int64_t)(2e6 * units);
    const double memory =
        (double)(g->memory - g->memory_used - g->others.memory - hpt__ledger_memory_wanted(g, d)) / (double)g->memory;
    return (int64_t)(1e6 * (units + memory));
}

static bool is_better(const hpt__ledger *l, int64_t left, const hpt__ledger_gpu *g, int64_t best_left,
                      const hpt__ledger_gpu *best) {
    if (left != best_left) return (l->policy == HPT__PACK) == (left < best_left);
    return l->policy == HPT__PACK && g->memory < best->memory;
}

bool hpt__ledger_place(hpt__grant *grant, const hpt__ledger *ledger, const hpt__demand *d, bool kept_too) {
    const int64_t cpu_kept = kept_too ? 0 : ledger->cpu_kept, memory_kept = kept_too ? 0 : ledger->memory_kept;
    if (ledger->cpu_used + cpu_kept + d->cpu > ledger->cpu) return false;
    const int64_t memory_others = ledger->alone || d->memory == 0 ? 0 : ledger->memory_others + ledger->memory_left;
    if (ledger->memory > 0 && ledger->memory_used + memory_others + memory_kept + d->memory > ledger->memory)
        return false;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        int32_t best = -1;
        int64_t best_left = 0;
        for (int32_t i = 0; i < ledger->n_gpus; i++) {
            const hpt__ledger_gpu *g = &ledger->gpus[i];
            if (g->used + d->gpu > g->units || g->drained || (g->reserved && !kept_too)) continue;
            bool mine = false;
            for (int64_t j = 0; j < k; j++) mine = mine || grant->gpus[j] == i;
            if (mine || !has_room(ledger, g, d)) continue;
            const int64_t left = left_after(g, d);
            if (best >= 0 && !is_better(ledger, left, g, best_left, &ledger->gpus[best])) continue;
            best = i;
            best_left = left;
        }
        if (best < 0) return false;
        grant->gpus[k] = best;
        grant->gpu_memory[k] = hpt__ledger_memory_wanted(&ledger->gpus[best], d);
    }
    grant->demand = *d;
    grant->held = false;
    return true;
}

void hpt__ledger_book(hpt__ledger *ledger, hpt__grant *grant) {
    const hpt__demand *d = &grant->demand;
    ledger->cpu_used += d->cpu;
    ledger->memory_used += d->memory;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        hpt__ledger_gpu *g = &ledger->gpus[grant->gpus[k]];
        g->used += d->gpu;
        g->memory_used += grant->gpu_memory[k];
        g->n_grants++;
    }
    grant->held = true;
}
