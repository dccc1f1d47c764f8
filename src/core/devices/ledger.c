// SPDX-License-Identifier: Apache-2.0
// ledger.c: capacity, requests that can never fit, taking and giving back. Where a share goes: ledger_place.c; who is
// next when there is no room: ledger_queue.c.
//
// A share lies on one device, so capacities are counted per device, never over their sum (8 GPUs hold 48 shares of 0.15,
// not 53). Memory of a device is granted with the share, explicitly or in proportion, because memory is what fails first.
// What the engine's own models may take of a device is set apart before: trials share the rest.
//
// Ownership: a grant names devices by index and is given back once.
// Threads: one at a time. Cost: O(devices) a call. The list is short, so nothing is sorted.
#include "ledger.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double GIB = 1073741824.0;

int hpt__ledger_init(hpt__ledger *ledger, const hpt_device_info *devices, int64_t n) {
    *ledger = (hpt__ledger){0};
    ledger->gpus = hpt__calloc((size_t)n + 1, sizeof *ledger->gpus);
    if (!ledger->gpus) return hpt__fail_memory();
    for (int64_t i = 0; i < n; i++) {
        const hpt_device_info *d = &devices[i];
        if (strcmp(d->kind, "cpu") == 0) {
            ledger->cpu = (int64_t)llround(d->capacity * HPT__CPU_UNITS);
            ledger->memory = d->memory_bytes;
            continue;
        }
        ledger->gpus[ledger->n_gpus++] =
            (hpt__ledger_gpu){.info = *d,
                              .units = (int64_t)llround(d->capacity * HPT__GPU_UNITS),
                              .memory = d->memory_bytes,
                              .exclusive = strcmp(d->compute_mode, "exclusive_process") == 0 && !d->mps};
    }
    return 0;
}

void hpt__ledger_fini(hpt__ledger *ledger) {
    hpt__free(ledger->gpus);
    *ledger = (hpt__ledger){0};
}

int hpt__ledger_engine(hpt__ledger *ledger, int64_t gpu, int64_t bytes) {
    if (gpu < 0 || gpu >= ledger->n_gpus)
        return hpt__fail(HPT_E_ARG, "there is no gpu:%lld to set memory apart on", (long long)gpu);
    hpt__ledger_gpu *g = &ledger->gpus[gpu];
    if (bytes < 0 || (g->memory > 0 && bytes >= g->memory))
        return hpt__fail(HPT_E_ARG, "%s has %.1f GiB; the engine cannot keep %.1f GiB of it (run.engine_memory)",
                         g->info.name, (double)g->memory / GIB, (double)bytes / GIB);
    g->engine = bytes;
    if (g->memory > 0) g->memory -= bytes;
    return 0;
}

// ---- demands

// [COMPUTE 'c.'] SLICES 'g.' SIZE 'gb' ['+' ATTRIBUTES], as nvidia-smi writes it.
bool hpt__is_mig_profile(const char *text) {
    const char *p = text;
    if (strlen(text) >= HPT__PROFILE_MAX) return false;
    if (isdigit((unsigned char)p[0]) && strncmp(p + 1, "c.", 2) == 0) p += 3;
    if (!isdigit((unsigned char)p[0]) || strncmp(p + 1, "g.", 2) != 0) return false;
    p += 3;
    const size_t digits = strspn(p, "0123456789");
    if (digits == 0 || strncmp(p + digits, "gb", 2) != 0) return false;
    p += digits + 2;
    return *p == '\0' || (*p == '+' && p[1] && p[1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz.")] == '\0');
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

int hpt__demand_instance(hpt__demand *d, const char *profile) {
    if (!hpt__is_mig_profile(profile))
        return hpt__fail(HPT_E_ARG, "hpt:resources.gpu: '%.40s' is no MIG profile; write one as in 1g.10gb", profile);
    (void)snprintf(d->profile, sizeof d->profile, "%s", profile);
    d->n_gpus = 1;
    d->gpu = HPT__GPU_UNITS;
    return 0;
}

// ---- requests that can never fit

static int no_profile(const hpt__ledger *ledger, const hpt__demand *d) {
    char all[200] = "";
    for (int64_t i = 0; i < ledger->n_gpus; i++) {
        const char *profile = ledger->gpus[i].info.profile;
        const size_t len = strlen(all);
        if (!profile[0] || strstr(all, profile) || len + strlen(profile) + 3 > sizeof all) continue;
        (void)snprintf(all + len, sizeof all - len, "%s%s", len ? ", " : "", profile);
    }
    return hpt__fail(HPT_E_ARG,
                     "a trial asks for a MIG instance %s (hpt:resources.gpu), but this machine has %s%s; `hpt devices` "
                     "lists them",
                     d->profile, all[0] ? "only " : "no MIG instances", all);
}

static int too_few(const hpt__ledger *ledger, const hpt__demand *d, int64_t n) {
    int64_t usable = 0, most = 0, memory = 0, foreign = 0;
    for (int64_t i = 0; i < ledger->n_gpus; i++) {
        const hpt__ledger_gpu *g = &ledger->gpus[i];
        usable += g->units > 0 && !(d->n_gpus > 1 && g->info.profile[0]);
        if (g->units > most) most = g->units;
        if (g->units > 0 && g->memory > memory) memory = g->memory;
        foreign += g->foreign;
    }
    if (most == 0)
        return hpt__fail(HPT_E_ARG,
                         "a trial asks for a GPU (hpt:resources.gpu), but nothing can run on the %lld here; "
                         "`hpt devices` says why%s",
                         (long long)ledger->n_gpus, foreign > 0 ? ", or other programs have their memory" : "");
    if (d->n_gpus > usable)
        return hpt__fail(HPT_E_ARG, "a trial asks for %lld GPUs (hpt:resources.gpu), but this machine has %lld%s",
                         (long long)d->n_gpus, (long long)usable,
                         usable < ledger->n_gpus ? " that one process can use together" : "");
    if (d->gpu > most)
        return hpt__fail(HPT_E_ARG, "a trial asks for %g of a GPU (hpt:resources.gpu), but only %g of one is ours",
                         (double)d->gpu / HPT__GPU_UNITS, (double)most / HPT__GPU_UNITS);
    return hpt__fail(HPT_E_ARG,
                     "a trial asks for %lld GPU(s) with %.1f GiB each (hpt:resources.gpu_memory), but only %lld of the "
                     "%lld here are that large; the largest has %.1f GiB for trials%s",
                     (long long)d->n_gpus, (double)d->gpu_memory / GIB, (long long)n, (long long)ledger->n_gpus,
                     (double)memory / GIB, foreign > 0 ? ", other programs have the rest (nvidia-smi lists them)" : "");
}

int hpt__ledger_check(const hpt__ledger *ledger, const hpt__demand *d) {
    if (d->cpu > ledger->cpu)
        return hpt__fail(HPT_E_ARG, "a trial asks for %g cores (hpt:resources.cpu), but this machine offers %g",
                         (double)d->cpu / HPT__CPU_UNITS, (double)ledger->cpu / HPT__CPU_UNITS);
    if (ledger->memory > 0 && d->memory > ledger->memory)
        return hpt__fail(HPT_E_ARG,
                         "a trial asks for %.1f GiB of memory (hpt:resources.memory), but this machine has %.1f GiB",
                         (double)d->memory / GIB, (double)ledger->memory / GIB);
    if (d->n_gpus == 0) return 0;
    if (ledger->n_gpus == 0)
        return hpt__fail(HPT_E_ARG, "a trial asks for a GPU (hpt:resources.gpu), but this machine has none; `hpt "
                                    "devices` lists what is found, --gpus declares some");
    int64_t n = 0, of_profile = 0;
    for (int64_t i = 0; i < ledger->n_gpus; i++) {
        n += hpt__ledger_fits(&ledger->gpus[i], d, 0, 0, 0);
        of_profile += strcmp(ledger->gpus[i].info.profile, d->profile) == 0;
    }
    if (n >= d->n_gpus) return 0;
    return d->profile[0] && of_profile == 0 ? no_profile(ledger, d) : too_few(ledger, d, n);
}

// How many demands fit on one empty device, at most limit.
static int64_t per_device(const hpt__ledger_gpu *g, const hpt__demand *d, int64_t limit) {
    int64_t n = limit;
    if (!hpt__ledger_fits(g, d, 0, 0, 0)) return 0;
    if (g->exclusive && n > 1) n = 1;
    if (d->gpu > 0 && g->units / d->gpu < n) n = g->units / d->gpu;
    const int64_t wanted = hpt__ledger_memory_wanted(g, d);
    if (g->memory > 0 && wanted > 0 && g->memory / wanted < n) n = g->memory / wanted;
    return n;
}

int64_t hpt__ledger_capacity(const hpt__ledger *ledger, const hpt__demand *d, int64_t limit) {
    int64_t n = limit;
    if (d->cpu > 0 && ledger->cpu / d->cpu < n) n = ledger->cpu / d->cpu;
    if (d->memory > 0 && ledger->memory > 0 && ledger->memory / d->memory < n) n = ledger->memory / d->memory;
    if (d->n_gpus > 0) {
        int64_t on_gpus = 0;
        for (int64_t i = 0; i < ledger->n_gpus && on_gpus / d->n_gpus < limit; i++)
            on_gpus += per_device(&ledger->gpus[i], d, limit);
        if (on_gpus / d->n_gpus < n) n = on_gpus / d->n_gpus;
    }
    return n;
}

// ---- taking and giving back

bool hpt__ledger_take(hpt__grant *grant, hpt__ledger *ledger, const hpt__demand *d) {
    hpt__grant g;
    if (!hpt__ledger_place(&g, ledger, d, false)) return false;
    hpt__ledger_book(ledger, &g);
    *grant = g;
    return true;
}

void hpt__ledger_give(hpt__ledger *ledger, hpt__grant *grant) {
    if (!grant->held) return;
    const hpt__demand *d = &grant->demand;
    ledger->cpu_used -= d->cpu;
    ledger->memory_used -= d->memory;
    for (int64_t k = 0; k < d->n_gpus; k++) {
        hpt__ledger_gpu *g = &ledger->gpus[grant->gpus[k]];
        g->used -= d->gpu;
        g->memory_used -= grant->gpu_memory[k];
        g->n_grants--;
    }
    grant->held = false;
    ledger->given++;
}
