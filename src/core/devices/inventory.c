// SPDX-License-Identifier: Apache-2.0
// inventory.c: hpt_device_list: what this machine offers to trials.
//
// The CPU comes first (host_limits.c). GPUs come from the first of these that is given: the argument (--gpus), the
// variable HPT_FAKE_DEVICES, the driver (nvml.c, loaded at run time). Declared GPUs need no hardware, so all scheduling
// can be tried without any. Of the driver's GPUs those count that CUDA_VISIBLE_DEVICES shows, or where that is not set
// SLURM_STEP_GPUS or SLURM_JOB_GPUS (gpu_visible.c); where no driver answers, what CUDA_VISIBLE_DEVICES names is believed.
// If it is set, declared device i is its i-th entry, because a number of ours would name another device there.
//
// Slurm's shards and MPS percentages are a part of a GPU that nothing fences: that part is then all there is to share.
// SLURM_SHARDS_ON_NODE counts the shards but not how many a GPU has; HPT_SLURM_SHARDS_PER_GPU says it, else the GPU
// counts as a whole, with a note. CUDA_MPS_ACTIVE_THREAD_PERCENTAGE under Slurm is such a part already.
//
// Grammar of a declaration: GROUP ('+' GROUP)*, GROUP = COUNT | COUNT 'x' SIZE | SIZE, e.g. "4", "4x40GiB+2x80GiB",
// "80GiB"; "0" declares that there are none. Or UUIDs of devices of this machine: "GPU-8932f937,MIG-...".
//
// Ownership: *out belongs to the caller (hpt_free). Threads: any. Cost: some small files; the driver is asked once per
// call, only if nothing else is declared, and closed again.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "../base/num.h"
#include "gpu_visible.h"
#include "host_limits.h"
#include "nvml_abi.h"

#include <hpt/device.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS_MAX = 4096 };

typedef struct inventory {
    hpt_device_info *list;
    int64_t n, cap;
} inventory;

// ---- entries

// Adds to the note of a device; what does not fit any more is left out.
static void note(hpt_device_info *d, const char *fmt, ...) HPT_PRINTF(2, 3);
static void note(hpt_device_info *d, const char *fmt, ...) {
    char text[sizeof d->note];
    const size_t at = strlen(d->note);
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || at + (at ? 2 : 0) + (size_t)n >= sizeof d->note) return;
    if (at) memcpy(d->note + at, "; ", 2);
    memcpy(d->note + at + (at ? 2 : 0), text, (size_t)n + 1);
}

static int add_entry(hpt_device_info **out, inventory *v, const char *kind, const char *source) {
    int rc = hpt__grow(&v->list, &v->cap, v->n + 1, sizeof *v->list);
    if (rc < 0) return rc;
    hpt_device_info *d = &v->list[v->n];
    *d = (hpt_device_info){.capacity = 1.0, .used_bytes = -1, .n_processes = -1};
    (void)snprintf(d->kind, sizeof d->kind, "%s", kind);
    (void)snprintf(d->source, sizeof d->source, "%s", source);
    (void)snprintf(d->name, sizeof d->name, v->n ? "%s:%lld" : "%s", kind, (long long)v->n - 1); // the CPU is entry 0
    v->n++;
    *out = d;
    return 0;
}

static int add_cpu(inventory *v) {
    hpt__host_limits limits;
    hpt_device_info *d = NULL;
    int rc = add_entry(&d, v, "cpu", "detected");
    if (rc < 0) return rc;
    hpt__host_limits_read(&limits, "");
    d->capacity = limits.cores;
    d->memory_bytes = limits.memory_bytes;
    if (strcmp(limits.cores_from, "affinity") != 0) note(d, "cores: %s", limits.cores_from);
    if (strcmp(limits.memory_from, "MemTotal") != 0) note(d, "memory: %s", limits.memory_from);
    return 0;
}

// ---- declared

static int bad_declaration(const char *text, const char *source) {
    return hpt__fail(HPT_E_ARG,
                     "%s: '%s' is no list of GPUs; write a count, or e.g. 4x40GiB+2x80GiB, or UUIDs (at most %d)",
                     source, text, GPUS_MAX);
}

static int add_declared(inventory *v, const char *text, const char *source) {
    int rc = 0;
    const char *p = text, *visible = getenv("CUDA_VISIBLE_DEVICES");
    hpt__visible *ids = NULL;
    hpt__visible_end visible_end;
    int64_t n_ids = 0;
    if (!*p) return bad_declaration(text, source);
    if (visible) HPT_TRY(hpt__visible_read(&ids, &n_ids, &visible_end, visible, NULL, 0, true));
    for (;;) {
        const char *end = strchrnul(p, '+');
        const size_t len = (size_t)(end - p);
        const char *x = memchr(p, 'x', len);
        int64_t count = 1, memory = 0;
        bool ok;
        if (x)
            ok = hpt__parse_int(&count, p, (size_t)(x - p)) &&
                 hpt__parse_bytes(&memory, x + 1, (size_t)(end - x - 1)) && memory > 0;
        else
            ok = hpt__parse_int(&count, p, len) || (hpt__parse_bytes(&memory, p, len) && memory > 0);
        if (!ok || count < 0 || v->n + count > GPUS_MAX) {
            rc = bad_declaration(text, source);
            goto out;
        }
        for (int64_t k = 0; k < count; k++) {
            hpt_device_info *d = NULL;
            const int64_t i = v->n - 1;
            HPT_TRY(add_entry(&d, v, "gpu", source));
            d->memory_bytes = memory;
            if (i < n_ids)
                memcpy(d->visible_id, ids[i].id, sizeof d->visible_id);
            else
                (void)snprintf(d->visible_id, sizeof d->visible_id, "%lld", (long long)i);
        }
        if (!*end) break;
        p = end + 1;
    }
    rc = 0;
out:
    hpt__free(ids);
    return rc;
}

// ---- detected

static const char *mode_name(int mode) {
    switch (mode) {
    case HPT__NVML_COMPUTE_DEFAULT:
        return "default";
    case HPT__NVML_COMPUTE_PROHIBITED:
        return "prohibited";
    case HPT__NVML_COMPUTE_EXCLUSIVE_THREAD:
    case HPT__NVML_COMPUTE_EXCLUSIVE_PROCESS:
        return "exclusive_process";
    default:
        return "";
    }
}

static void describe(hpt_device_info *d, const hpt__gpu *g) {
    d->memory_bytes = g->memory_bytes;
    d->used_bytes = g->used_bytes;
    d->n_processes = g->n_processes;
    d->mps = g->mps;
    (void)snprintf(d->model, sizeof d->model, "%s", g->model);
    (void)snprintf(d->uuid, sizeof d->uuid, "%s", g->uuid);
    (void)snprintf(d->profile, sizeof d->profile, "%s", g->profile);
    (void)snprintf(d->parent, sizeof d->parent, "%s", g->parent);
    (void)snprintf(d->pci, sizeof d->pci, "%s", g->pci);
    (void)snprintf(d->compute_mode, sizeof d->compute_mode, "%s", mode_name(g->compute_mode));
    if (g->mig && !g->profile[0]) {
        d->capacity = 0;
        note(d, "in MIG mode without an instance: nothing can run on it");
    }
    if (g->compute_mode == HPT__NVML_COMPUTE_PROHIBITED) {
        d->capacity = 0;
        note(d, "compute mode 'prohibited': nothing can run on it");
    }
    if (strcmp(d->compute_mode, "exclusive_process") == 0 && !g->mps) note(d, "one process at a time (compute mode)");
    if (g->mps) note(d, "an MPS server is on it");
}

static int64_t count_variable(const char *name) {
    int64_t n = 0;
    const char *text = getenv(name);
    return text && hpt__parse_int(&n, text, strlen(text)) && n > 0 ? n : 0;
}

// What Slurm gave of n GPUs where it is less than all of them.
static void apply_slurm_part(hpt_device_info *gpus, int64_t n) {
    const int64_t shards = count_variable("SLURM_SHARDS_ON_NODE"), per = count_variable("HPT_SLURM_SHARDS_PER_GPU"),
                  percent = count_variable("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
    double part = 1.0;
    if (!getenv("SLURM_JOB_ID")) return;
    if (shards > 0 && per > 0) part = (double)shards / (double)(per * n);
    if (percent > 0 && percent < 100) part = (double)percent / 100;
    for (int64_t i = 0; i < n; i++) {
        if (shards > 0 && per == 0)
            note(&gpus[i], "%lld shards of Slurm; set HPT_SLURM_SHARDS_PER_GPU to share only them", (long long)shards);
        if (!(part < 1.0) || gpus[i].capacity == 0) continue;
        gpus[i].capacity = part;
        gpus[i].memory_bytes = (int64_t)((double)gpus[i].memory_bytes * part);
        note(&gpus[i], "Slurm gave %g of it", part);
    }
}

static int add_visible(inventory *v, const hpt__visible *visible, int64_t n, const char *source, const hpt__gpu *gpus,
                       int64_t n_gpus) {
    int64_t least = n_gpus ? gpus[0].memory_bytes : 0;
    for (int64_t k = 1; k < n_gpus; k++) least = gpus[k].memory_bytes < least ? gpus[k].memory_bytes : least;
    for (int64_t i = 0; i < n; i++) {
        hpt_device_info *d = NULL;
        int rc = add_entry(&d, v, "gpu", source);
        if (rc < 0) return rc;
        memcpy(d->visible_id, visible[i].id, sizeof d->visible_id);
        if (visible[i].gpu >= 0) {
            describe(d, &gpus[visible[i].gpu]);
        } else if (n_gpus > 0) { // one of several models: which one is not for us to say
            d->memory_bytes = least;
            note(d, "which GPU this is, CUDA_DEVICE_ORDER=PCI_BUS_ID would settle; memory of the smallest");
        }
    }
    return 0;
}

static int add_all(inventory *v, const hpt__gpu *gpus, int64_t n) {
    const int64_t granted = count_variable("SLURM_GPUS_ON_NODE");
    for (int64_t i = 0; i < n; i++) {
        hpt_device_info *d = NULL;
        int rc = add_entry(&d, v, "gpu", "detected");
        if (rc < 0) return rc;
        describe(d, &gpus[i]);
        memcpy(d->visible_id, gpus[i].uuid, sizeof d->visible_id);
        if (granted == 0 || granted >= n || !getenv("SLURM_JOB_ID")) continue;
        note(d, "Slurm gave %lld of %lld and does not say which", (long long)granted, (long long)n);
        if (i >= granted) d->capacity = 0;
    }
    return 0;
}

// uuids: of --gpus, each of which must be there; NULL: what the environment shows.
static int add_detected(inventory *v, const char *uuids, const char *source) {
    int rc = 0;
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS"};
    hpt__nvml *nvml = NULL;
    hpt__gpu *gpus = NULL;
    hpt__visible *visible = NULL;
    hpt__visible_end end = {.entry = ""};
    int64_t n_gpus = 0, n_visible = 0;
    const char *text = uuids, *order = getenv("CUDA_DEVICE_ORDER");
    bool numbered = true;
    for (size_t i = 0; !text && i < sizeof names / sizeof *names; i++) {
        text = getenv(names[i]);
        source = names[i];
        numbered = i > 0 || (order && strcmp(order, "PCI_BUS_ID") == 0);
    }
    if (text && !*text) return 0; // none is shown: nothing to ask for
    // A machine without the library, without a driver or with one that does not answer has no GPUs: no error.
    rc = hpt__nvml_open(&nvml);
    if (rc >= 0) rc = hpt__nvml_list(&gpus, &n_gpus, nvml);
    if (rc < 0 && rc != HPT_E_DEVICE) goto out;
    HPT_FAIL_IF(uuids && n_gpus == 0, HPT_E_ARG, "%s: '%s' names devices of this machine, which shows none", source,
                uuids);
    if (rc < 0) hpt__log(HPT_LOG_DEBUG, "%s", hpt_last_error());
    rc = 0;
    if (!text || (n_gpus == 0 && strcmp(source, names[0]) != 0)) {
        HPT_TRY(add_all(v, gpus, n_gpus));
    } else {
        HPT_TRY(hpt__visible_read(&visible, &n_visible, &end, text, gpus, n_gpus, numbered));
        HPT_FAIL_IF(uuids && end.why, HPT_E_ARG, "%s: '%s': %s; `hpt devices` lists them", source, end.entry, end.why);
        if (end.why && end.entry[0] && end.entry[0] != '-')
            hpt__log(HPT_LOG_WARN, "%s: '%s' and what follows is hidden: %s", source, end.entry, end.why);
        HPT_TRY(add_visible(v, visible, n_visible, source, gpus, n_gpus));
    }
    if (v->n > 1) apply_slurm_part(v->list + 1, v->n - 1);
    rc = 0;
out:
    hpt__nvml_close(nvml);
    hpt__free(gpus);
    hpt__free(visible);
    return rc;
}

static int add_named(inventory *v, const char *text, const char *source) {
    if (strncmp(text, "GPU-", 4) == 0 || strncmp(text, "MIG-", 4) == 0) return add_detected(v, text, source);
    return add_declared(v, text, source);
}

int hpt_device_list(hpt_device_info **out, int64_t *n_out, const char *declared) {
    int rc = 0;
    inventory v = {0};
    const char *fake = getenv("HPT_FAKE_DEVICES");
    HPT_FAIL_IF(!out || !n_out, HPT_E_ARG, "hpt_device_list: an argument is NULL");
    HPT_TRY(add_cpu(&v));
    if (declared)
        HPT_TRY(add_named(&v, declared, "--gpus"));
    else if (fake && *fake)
        HPT_TRY(add_declared(&v, fake, "HPT_FAKE_DEVICES"));
    else
        HPT_TRY(add_detected(&v, NULL, NULL));
    rc = 0;
    *out = v.list;
    *n_out = v.n;
    v.list = NULL;
out:
    hpt__free(v.list);
    return rc;
}
