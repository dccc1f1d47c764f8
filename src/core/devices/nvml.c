// SPDX-License-Identifier: Apache-2.0
// nvml.c: see nvml.h. What a driver does not tell is unknown, never an error: old drivers lack functions, containers
// lack permissions, and some parts (unified memory, MIG instances) do not count everything.
//
// Memory is taken from the second version of the call where there is one: it tells the part that firmware and driver
// keep for themselves, and a share of what nobody can allocate would be granted for nothing.
#include "nvml.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "mps_find.h"
#include "nvml_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROCESSES_FIRST = 32, PROCESSES_TRIES = 5 };
static const char LIBRARY[] = "libnvidia-ml.so.1";

struct hpt__nvml {
    void *library;
    hpt__nvml_api api;
    hpt__nvml_event_set events;
    hpt__nvml_process *scratch;
    int64_t cap;
    bool started;
};

// dlsym gives an object pointer where a function pointer is wanted; POSIX guarantees that the bytes agree.
static const char *load_functions(hpt__nvml_api *api, void *library) {
    void *symbol = NULL;
#define LOAD(field, name, required, parameters) \
    symbol = dlsym(library, #name);             \
    if ((required) && !symbol) return #name;    \
    memcpy(&api->field, &symbol, sizeof api->field);
    HPT__NVML_FUNCTIONS(LOAD)
#undef LOAD
    return NULL;
}

static const char *reason_of(int status) {
    switch (status) {
    case HPT__NVML_ERROR_NOT_SUPPORTED:
        return "not supported";
    case HPT__NVML_ERROR_NOT_FOUND:
        return "not found";
    case HPT__NVML_ERROR_DRIVER_NOT_LOADED:
        return "the driver is not loaded";
    case HPT__NVML_ERROR_GPU_IS_LOST:
        return "the GPU is lost: it fell off the bus or needs a reset";
    default:
        return "NVML failed";
    }
}

int hpt__nvml_open(hpt__nvml **out) {
    int rc = 0, status = 0;
    const char *given = getenv("HPT_NVML_PATH"), *file = given && *given ? given : LIBRARY;
    hpt__nvml *nvml = hpt__calloc(1, sizeof *nvml);
    if (!nvml) return hpt__fail_memory();
    nvml->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    HPT_FAIL_IF(!nvml->library, HPT_E_DEVICE, "no NVIDIA driver: %s cannot be loaded", file);
    const char *missing = load_functions(&nvml->api, nvml->library);
    HPT_FAIL_IF(missing, HPT_E_DEVICE, "%s lacks %s; the driver is too old", file, missing);
    status = nvml->api.init();
    HPT_FAIL_IF(status != HPT__NVML_SUCCESS, HPT_E_DEVICE, "%s does not start: %s (NVML error %d)", file,
                reason_of(status), status);
    nvml->started = true;
    *out = nvml;
    nvml = NULL;
out:
    hpt__nvml_close(nvml);
    return rc;
}

void hpt__nvml_close(hpt__nvml *nvml) {
    if (!nvml) return;
    if (nvml->events) (void)nvml->api.event_set_free(nvml->events);
    if (nvml->started) (void)nvml->api.shutdown();
    if (nvml->library) (void)dlclose(nvml->library);
    hpt__free(nvml->scratch);
    hpt__free(nvml);
}

// ---- one device

// Status of the call that every driver has: whether the device answers at all.
static int read_memory(int64_t *total, int64_t *used, const hpt__nvml *nvml, hpt__nvml_device device) {
    hpt__nvml_memory_v2 v2 = {.version = (unsigned)sizeof v2 | HPT__NVML_MEMORY_VERSION << 24};
    hpt__nvml_memory v1 = {0};
    *total = 0;
    *used = -1;
    if (nvml->api.memory_v2 && nvml->api.memory_v2(device, &v2) == HPT__NVML_SUCCESS && v2.total >= v2.reserved) {
        *total = (int64_t)(v2.total - v2.reserved);
        // Headers disagree whether `used` holds the reserved part; what is not free is used, whatever they mean.
        *used = v2.free <= v2.total - v2.reserved ? *total - (int64_t)v2.free : 0;
        return HPT__NVML_SUCCESS;
    }
    const int status = nvml->api.memory(device, &v1);
    if (status == HPT__NVML_SUCCESS) {
        *total = (int64_t)v1.total;
        *used = (int64_t)v1.used;
    }
    return status;
}

// The processes that one of the two calls lists into nvml->scratch; -1: unknown. Negative status: no memory.
static int read_processes(int64_t *n_out, hpt__nvml *nvml, hpt__nvml_device device,
                          int (*call)(hpt__nvml_device, unsigned *, hpt__nvml_process *)) {
    int rc = 0;
    unsigned n = PROCESSES_FIRST;
    *n_out = -1;
    for (int k = 0; call && k < PROCESSES_TRIES; k++) { // others may start meanwhile
        rc = hpt__grow(&nvml->scratch, &nvml->cap, n, sizeof *nvml->scratch);
        if (rc < 0) return rc;
        n = (unsigned)nvml->cap;
        const int status = call(device, &n, nvml->scratch);
        if (status == HPT__NVML_SUCCESS) *n_out = n;
        if (status != HPT__NVML_ERROR_INSUFFICIENT_SIZE) break;
        n += PROCESSES_FIRST;
    }
    return 0;
}

static int add_processes(hpt__gpu_load *load, bool *known, hpt__nvml *nvml, hpt__nvml_device device, bool mps) {
    int64_t n = 0;
    int rc = read_processes(&n, nvml, device, mps ? nvml->api.mps_processes : nvml->api.processes);
    if (rc < 0) return rc;
    *known = *known || n >= 0;
    for (int64_t i = 0; i < n; i++) {
        const hpt__nvml_process *p = &nvml->scratch[i];
        hpt__gpu_process *slot = NULL;
        for (int64_t k = 0; k < load->n && !slot; k++)
            if (load->processes[k].pid == (pid_t)p->pid) slot = &load->processes[k];
        if (!slot) {
            rc = hpt__grow(&load->processes, &load->cap, load->n + 1, sizeof *load->processes);
            if (rc < 0) return rc;
            slot = &load->processes[load->n++];
            *slot = (hpt__gpu_process){.pid = (pid_t)p->pid, .used_bytes = -1};
        }
        // A value that fits no device (all bits set) stands for "not available".
        const int64_t used = p->used < (1ULL << 60) ? (int64_t)p->used : -1;
        if (used > slot->used_bytes) slot->used_bytes = used;
        slot->mps = slot->mps || mps;
    }
    return 0;
}

static int look(hpt__gpu_load *load, bool *known, hpt__nvml *nvml, hpt__nvml_device device) {
    load->n = 0;
    *known = false;
    int rc = add_processes(load, known, nvml, device, false);
    return rc < 0 ? rc : add_processes(load, known, nvml, device, true);
}

int hpt__nvml_poll(hpt__gpu_load *load, hpt__nvml *nvml, const char *uuid) {
    hpt__nvml_device device = NULL;
    bool known;
    int status = nvml->api.by_uuid(uuid, &device);
    load->n = 0;
    if (status == HPT__NVML_SUCCESS) status = read_memory(&load->memory_bytes, &load->used_bytes, nvml, device);
    // Parts with unified memory answer "not supported" here and list their processes all the same.
    if (status != HPT__NVML_SUCCESS && !(device && status == HPT__NVML_ERROR_NOT_SUPPORTED))
        return hpt__fail(HPT_E_DEVICE, "%s: %s (NVML error %d)", uuid, reason_of(status), status);
    return look(load, &known, nvml, device);
}

void hpt__gpu_load_fini(hpt__gpu_load *load) {
    hpt__free(load->processes);
    *load = (hpt__gpu_load){0};
}

// ---- the list

// The profile stands at the end of an instance's name: "NVIDIA A100-SXM4-40GB MIG 1g.5gb".
static void read_profile(hpt__gpu *g) {
    const char *mark = strstr(g->model, " MIG ");
    (void)snprintf(g->profile, sizeof g->profile, "%s", mark ? mark + 5 : "unknown");
}

static int describe(hpt__gpu *g, hpt__gpu_load *load, hpt__nvml *nvml, hpt__nvml_device device) {
    const hpt__nvml_api *api = &nvml->api;
    hpt__nvml_pci pci = {.bus_id = ""};
    unsigned mode = 0;
    bool known = false;
    g->compute_mode = -1;
    g->n_processes = -1;
    if (api->uuid(device, g->uuid, sizeof g->uuid) != HPT__NVML_SUCCESS) return HPT_S_NOTHING;
    g->uuid[sizeof g->uuid - 1] = '\0';
    if (!api->name || api->name(device, g->model, sizeof g->model) != HPT__NVML_SUCCESS) g->model[0] = '\0';
    if (api->pci && api->pci(device, &pci) == HPT__NVML_SUCCESS)
        (void)snprintf(g->pci, sizeof g->pci, "%.31s", pci.bus_id);
    if (api->compute_mode && api->compute_mode(device, &mode) == HPT__NVML_SUCCESS) g->compute_mode = (int)mode;
    const int status = read_memory(&g->memory_bytes, &g->used_bytes, nvml, device);
    if (status == HPT__NVML_ERROR_GPU_IS_LOST) return HPT_S_NOTHING;
    int rc = look(load, &known, nvml, device);
    if (rc < 0) return rc;
    if (known) g->n_processes = load->n;
    for (int64_t i = 0; i < load->n; i++)
        g->mps = g->mps || load->processes[i].mps || hpt__mps_is_server(load->processes[i].pid);
    return 0;
}

typedef struct gpu_list {
    hpt__gpu *gpus;
    int64_t n, cap;
    hpt__gpu_load load; // scratch
} gpu_list;

static int add(gpu_list *list, hpt__nvml *nvml, hpt__nvml_device device, const hpt__gpu *like) {
    int rc = hpt__grow(&list->gpus, &list->cap, list->n + 1, sizeof *list->gpus);
    if (rc < 0) return rc;
    hpt__gpu *g = &list->gpus[list->n];
    *g = *like;
    rc = describe(g, &list->load, nvml, device);
    if (rc == 0) list->n++;
    return rc;
}

// A GPU in MIG mode is replaced by its instances: a program can use only those.
static int add_instances(gpu_list *list, hpt__nvml *nvml, hpt__nvml_device device) {
    unsigned most = 0;
    const int64_t at = list->n - 1;
    const hpt__gpu parent = list->gpus[at];
    hpt__gpu like = {.index = parent.index, .mig = true};
    memcpy(like.parent, parent.uuid, sizeof like.parent);
    memcpy(like.pci, parent.pci, sizeof like.pci);
    list->gpus[at].mig = true;
    if (!nvml->api.mig_max || !nvml->api.mig_handle || nvml->api.mig_max(device, &most) != HPT__NVML_SUCCESS) return 0;
    for (unsigned i = 0; i < most; i++) {
        hpt__nvml_device instance = NULL;
        if (nvml->api.mig_handle(device, i, &instance) != HPT__NVML_SUCCESS) continue;
        int rc = add(list, nvml, instance, &like);
        if (rc < 0) return rc;
        if (rc == 0) read_profile(&list->gpus[list->n - 1]);
    }
    if (list->n == at + 1) return 0;
    memmove(&list->gpus[at], &list->gpus[at + 1], (size_t)(list->n - at - 1) * sizeof *list->gpus);
    list->n--;
    return 0;
}

int hpt__nvml_list(hpt__gpu **out, int64_t *n_out, hpt__nvml *nvml) {
    int rc = 0;
    gpu_list list = {0};
    unsigned count = 0, current = 0, pending = 0;
    const int status = nvml->api.count(&count);
    HPT_FAIL_IF(status != HPT__NVML_SUCCESS, HPT_E_DEVICE, "the driver does not count its GPUs: %s (NVML error %d)",
                reason_of(status), status);
    for (unsigned i = 0; i < count; i++) {
        hpt__nvml_device device = NULL;
        const hpt__gpu like = {.index = i};
        if (nvml->api.by_index(i, &device) != HPT__NVML_SUCCESS) continue;
        HPT_TRY(add(&list, nvml, device, &like));
        if (rc == 0 && nvml->api.mig_mode && nvml->api.mig_mode(device, &current, &pending) == HPT__NVML_SUCCESS &&
            current == HPT__NVML_MIG_ON)
            HPT_TRY(add_instances(&list, nvml, device));
    }
    rc = 0;
    *out = list.gpus;
    *n_out = list.n;
    list.gpus = NULL;
out:
    hpt__free(list.gpus);
    hpt__gpu_load_fini(&list.load);
    return rc;
}

// ---- faults

int hpt__nvml_watch_faults(hpt__nvml *nvml, const char *uuid) {
    hpt__nvml_device device = NULL;
    const hpt__nvml_api *api = &nvml->api;
    if (!api->event_set_create || !api->event_set_free || !api->event_register || !api->event_wait)
        return HPT_S_NOTHING;
    if (!nvml->events && api->event_set_create(&nvml->events) != HPT__NVML_SUCCESS) {
        nvml->events = NULL;
        return HPT_S_NOTHING;
    }
    const int status = api->by_uuid(uuid, &device);
    if (status != HPT__NVML_SUCCESS)
        return hpt__fail(HPT_E_DEVICE, "%s: %s (NVML error %d)", uuid, reason_of(status), status);
    return api->event_register(device, HPT__NVML_EVENT_XID, nvml->events) == HPT__NVML_SUCCESS ? 0 : HPT_S_NOTHING;
}

bool hpt__nvml_next_fault(char uuid[96], int64_t *xid, hpt__nvml *nvml) {
    hpt__nvml_event event = {0};
    if (!nvml->events || nvml->api.event_wait(nvml->events, &event, 0) != HPT__NVML_SUCCESS) return false;
    if (nvml->api.uuid(event.device, uuid, 96) != HPT__NVML_SUCCESS) uuid[0] = '\0';
    *xid = (int64_t)event.data;
    return true;
}
