// SPDX-License-Identifier: Apache-2.0
// fake_nvml.c: libnvidia-ml.so.1 of a machine that a script describes, so that all that asks the driver runs in CI.
//
// HPT_NVML_PATH names this library to the engine, FAKE_NVML_SCRIPT the script: a file of lines, '#' begins a comment.
//   gpu UUID MEMORY_MIB [reserved=MIB] [used=MIB] [mode=N] [mig] [model=NAME]      a GPU, numbered as they come;
//                                                    in a model '_' stands for a blank
//   instance GPU UUID MEMORY_MIB PROFILE             a MIG instance of GPU number GPU
//   process UUID PID MIB [mps] [from=K] [to=K] [step=MIB]   a process on a device; PID may be @FILE, a file that
//                                                    holds the number (none while it is not there)
//   lost GPU K [TO]       from the K-th look on (to the TO-th), GPU number GPU answers that it is lost
//   fault GPU XID K       a critical event, at the K-th look or later, once
//   init STATUS | count STATUS | missing NAME        that call fails with an NVML status (missing: NAME not supported)
// A look is one call for the memory of a device by this process, counted per device from 1; the memory of a process
// grows by step at each. So a script has no clock, and tests no timing.
//
// Threads: as the engine uses it, one. Everything lies in static tables; nothing is freed, nothing leaks.
#include "core/devices/nvml_abi.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 80, PROCESSES = 4096, WORDS = 12, INSTANCES_MAX = 7 };
static const unsigned long long MIB = 1ULL << 20;

typedef struct process {
    char pid[200];
    unsigned long long mib, step;
    long from, to;
    bool mps;
} process;

typedef struct device {
    char uuid[96], model[96];
    unsigned long long mib, reserved, used;
    unsigned mode;
    int parent; // -1: a GPU
    int number; // of GPUs, from 0
    bool mig;
    long looks, lost_at, lost_to, fault_at;
    unsigned long long xid;
    int processes[64];
    int n_processes;
} device;

struct nvmlEventSet_st {
    bool used;
};

static device devices[DEVICES];
static process processes[PROCESSES];
static int n_devices, n_processes, init_status, count_status, users;
static char missing[200];
static struct nvmlEventSet_st event_set;
static bool watched[DEVICES];

static device *of(hpt__nvml_device d) {
    return (device *)(void *)d;
}

static bool is_missing(const char *name) {
    return strstr(missing, name) != NULL;
}

static device *gpu_number(int number) {
    for (int i = 0; i < n_devices; i++)
        if (devices[i].parent < 0 && devices[i].number == number) return &devices[i];
    return NULL;
}

static device *by_name(const char *uuid) {
    for (int i = 0; i < n_devices; i++)
        if (strcmp(devices[i].uuid, uuid) == 0) return &devices[i];
    return NULL;
}

static bool value(const char *word, const char *key, unsigned long long *out) {
    const size_t n = strlen(key);
    if (strncmp(word, key, n) != 0 || word[n] != '=') return false;
    *out = strtoull(word + n + 1, NULL, 10);
    return true;
}

static void read_gpu(char **w, int n) {
    device *d = &devices[n_devices];
    unsigned long long v;
    int number = 0;
    while (gpu_number(number)) number++;
    *d = (device){.parent = -1, .number = number, .mib = strtoull(w[2], NULL, 10)};
    snprintf(d->uuid, sizeof d->uuid, "%s", w[1]);
    snprintf(d->model, sizeof d->model, "Fake GPU");
    for (int i = 3; i < n; i++) {
        if (value(w[i], "reserved", &v)) d->reserved = v;
        if (value(w[i], "used", &v)) d->used = v;
        if (value(w[i], "mode", &v)) d->mode = (unsigned)v;
        if (strcmp(w[i], "mig") == 0) d->mig = true;
        if (strncmp(w[i], "model=", 6) == 0) {
            snprintf(d->model, sizeof d->model, "%s", w[i] + 6);
            for (char *c = d->model; *c; c++)
                if (*c == '_') *c = ' ';
        }
    }
    n_devices++;
}

static void read_instance(char **w) {
    device *d = &devices[n_devices], *parent = gpu_number(atoi(w[1]));
    if (!parent) return;
    const device whole = *parent;
    *d = (device){.parent = whole.number, .number = -1, .mib = strtoull(w[3], NULL, 10)};
    snprintf(d->uuid, sizeof d->uuid, "%s", w[2]);
    snprintf(d->model, sizeof d->model, "%.60s MIG %.20s", whole.model, w[4]);
    n_devices++;
}

static void read_process(char **w, int n) {
    device *d = by_name(w[1]);
    process *p = &processes[n_processes];
    unsigned long long v;
    if (!d || d->n_processes == 64) return;
    *p = (process){.mib = strtoull(w[3], NULL, 10)};
    snprintf(p->pid, sizeof p->pid, "%s", w[2]);
    for (int i = 4; i < n; i++) {
        if (strcmp(w[i], "mps") == 0) p->mps = true;
        if (value(w[i], "from", &v)) p->from = (long)v;
        if (value(w[i], "to", &v)) p->to = (long)v;
        if (value(w[i], "step", &v)) p->step = v;
    }
    d->processes[d->n_processes++] = n_processes++;
}

static void read_line(char *line) {
    char *w[WORDS], *rest = NULL;
    int n = 0;
    line[strcspn(line, "#\n")] = '\0';
    for (char *p = strtok_r(line, " \t", &rest); p && n < WORDS; p = strtok_r(NULL, " \t", &rest)) w[n++] = p;
    if (n == 0 || n_devices == DEVICES || n_processes == PROCESSES) return;
    if (strcmp(w[0], "gpu") == 0 && n >= 3) read_gpu(w, n);
    if (strcmp(w[0], "instance") == 0 && n >= 5) read_instance(w);
    if (strcmp(w[0], "process") == 0 && n >= 4) read_process(w, n);
    if (strcmp(w[0], "lost") == 0 && n >= 3 && gpu_number(atoi(w[1]))) {
        gpu_number(atoi(w[1]))->lost_at = atol(w[2]);
        gpu_number(atoi(w[1]))->lost_to = n > 3 ? atol(w[3]) : 0;
    }
    if (strcmp(w[0], "fault") == 0 && n >= 4 && gpu_number(atoi(w[1]))) {
        gpu_number(atoi(w[1]))->xid = strtoull(w[2], NULL, 10);
        gpu_number(atoi(w[1]))->fault_at = atol(w[3]);
    }
    if (strcmp(w[0], "init") == 0 && n >= 2) init_status = atoi(w[1]);
    if (strcmp(w[0], "count") == 0 && n >= 2) count_status = atoi(w[1]);
    if (strcmp(w[0], "missing") == 0 && n >= 2) strncat(missing, w[1], sizeof missing - strlen(missing) - 1);
}

// ---- the interface

// Each function as nvml_abi.h declares it.
#define DECLARE(field, symbol, required, parameters) int symbol parameters;
HPT__NVML_FUNCTIONS(DECLARE)
#undef DECLARE

int nvmlInit_v2(void) {
    const char *path = getenv("FAKE_NVML_SCRIPT");
    char line[512];
    if (users++ > 0) return HPT__NVML_SUCCESS;
    n_devices = n_processes = init_status = count_status = 0;
    missing[0] = '\0';
    memset(watched, 0, sizeof watched);
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f) return users = 0, HPT__NVML_ERROR_DRIVER_NOT_LOADED;
    while (fgets(line, sizeof line, f)) read_line(line);
    fclose(f);
    if (init_status) users = 0;
    return init_status;
}

int nvmlShutdown(void) {
    if (users == 0) return HPT__NVML_ERROR_UNINITIALIZED;
    users--;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *n) {
    *n = 0;
    for (int i = 0; i < n_devices; i++) *n += devices[i].parent < 0;
    return count_status;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, hpt__nvml_device *out) {
    device *d = gpu_number((int)i);
    *out = (hpt__nvml_device)(void *)d;
    return d ? HPT__NVML_SUCCESS : HPT__NVML_ERROR_INVALID_ARGUMENT;
}

static bool is_lost(const device *d) {
    const device *gpu = d->parent < 0 ? d : gpu_number(d->parent);
    return gpu->lost_at > 0 && d->looks >= gpu->lost_at && (gpu->lost_to == 0 || d->looks <= gpu->lost_to);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, hpt__nvml_device *out) {
    device *d = by_name(uuid);
    *out = (hpt__nvml_device)(void *)d;
    return d ? HPT__NVML_SUCCESS : HPT__NVML_ERROR_NOT_FOUND;
}

int nvmlDeviceGetUUID(hpt__nvml_device d, char *text, unsigned size) {
    if (strlen(of(d)->uuid) >= size) return HPT__NVML_ERROR_INSUFFICIENT_SIZE;
    snprintf(text, size, "%s", of(d)->uuid);
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetName(hpt__nvml_device d, char *text, unsigned size) {
    if (is_missing("nvmlDeviceGetName")) return HPT__NVML_ERROR_NOT_SUPPORTED;
    snprintf(text, size, "%s", of(d)->model);
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(hpt__nvml_device d, hpt__nvml_pci *pci) {
    if (of(d)->parent >= 0) return HPT__NVML_ERROR_NOT_SUPPORTED;
    *pci = (hpt__nvml_pci){.bus = 7 + (unsigned)of(d)->number};
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus);
    return HPT__NVML_SUCCESS;
}

// The process's number now; 0: it does not run now.
static unsigned pid_of(const process *p, long looks) {
    unsigned pid = 0;
    if (looks < p->from || (p->to > 0 && looks > p->to)) return 0;
    if (p->pid[0] != '@') return (unsigned)strtoul(p->pid, NULL, 10);
    FILE *f = fopen(p->pid + 1, "r");
    if (!f) return 0;
    if (fscanf(f, "%u", &pid) != 1) pid = 0;
    fclose(f);
    return pid;
}

static unsigned long long used_by(const process *p, long looks) {
    const long grown = looks - (p->from > 1 ? p->from : 1);
    return (p->mib + p->step * (unsigned long long)(grown > 0 ? grown : 0)) * MIB;
}

static unsigned long long used_on(const device *d) {
    unsigned long long sum = d->used * MIB;
    for (int i = 0; i < d->n_processes; i++) {
        const process *p = &processes[d->processes[i]];
        if (pid_of(p, d->looks)) sum += used_by(p, d->looks);
    }
    const unsigned long long most = (d->mib - d->reserved) * MIB;
    return sum < most ? sum : most;
}

int nvmlDeviceGetMemoryInfo(hpt__nvml_device handle, hpt__nvml_memory *m) {
    device *d = of(handle);
    d->looks++;
    if (is_lost(d)) return HPT__NVML_ERROR_GPU_IS_LOST;
    if (is_missing("nvmlDeviceGetMemoryInfo,")) return HPT__NVML_ERROR_NOT_SUPPORTED;
    *m = (hpt__nvml_memory){.total = d->mib * MIB, .used = used_on(d) + d->reserved * MIB};
    m->free = m->total - m->used;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(hpt__nvml_device handle, hpt__nvml_memory_v2 *m) {
    device *d = of(handle);
    if (m->version != (sizeof *m | 2U << 24)) return HPT__NVML_ERROR_INVALID_ARGUMENT;
    if (is_missing("nvmlDeviceGetMemoryInfo")) return HPT__NVML_ERROR_NOT_SUPPORTED;
    if (is_lost(d)) return HPT__NVML_ERROR_GPU_IS_LOST;
    d->looks++;
    if (is_lost(d)) return HPT__NVML_ERROR_GPU_IS_LOST;
    m->total = d->mib * MIB;
    m->reserved = d->reserved * MIB;
    m->used = used_on(d);
    m->free = m->total - m->reserved - m->used;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetComputeMode(hpt__nvml_device d, unsigned *mode) {
    *mode = of(d)->mode;
    return HPT__NVML_SUCCESS;
}

static int list_processes(const device *d, unsigned *n, hpt__nvml_process *list, bool mps) {
    unsigned k = 0;
    int status = HPT__NVML_SUCCESS;
    if (is_missing("RunningProcesses")) return HPT__NVML_ERROR_NOT_SUPPORTED;
    if (is_lost(d)) return HPT__NVML_ERROR_GPU_IS_LOST;
    for (int i = 0; i < d->n_processes; i++) {
        const process *p = &processes[d->processes[i]];
        const unsigned pid = p->mps == mps ? pid_of(p, d->looks) : 0;
        if (pid == 0) continue;
        if (k < *n)
            list[k] = (hpt__nvml_process){pid, used_by(p, d->looks), ~0U, ~0U};
        else
            status = HPT__NVML_ERROR_INSUFFICIENT_SIZE;
        k++;
    }
    *n = k;
    return status;
}

int nvmlDeviceGetComputeRunningProcesses_v3(hpt__nvml_device d, unsigned *n, hpt__nvml_process *list) {
    return list_processes(of(d), n, list, false);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(hpt__nvml_device d, unsigned *n, hpt__nvml_process *list) {
    return list_processes(of(d), n, list, true);
}

int nvmlDeviceGetMigMode(hpt__nvml_device d, unsigned *current, unsigned *pending) {
    *current = *pending = of(d)->mig;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(hpt__nvml_device d, unsigned *n) {
    *n = of(d)->mig ? INSTANCES_MAX : 0;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(hpt__nvml_device d, unsigned i, hpt__nvml_device *instance) {
    unsigned k = 0;
    for (int j = 0; j < n_devices; j++) {
        if (devices[j].parent != of(d)->number || k++ != i) continue;
        *instance = (hpt__nvml_device)(void *)&devices[j];
        return HPT__NVML_SUCCESS;
    }
    return HPT__NVML_ERROR_NOT_FOUND;
}

int nvmlEventSetCreate(hpt__nvml_event_set *set) {
    event_set.used = true;
    *set = &event_set;
    return HPT__NVML_SUCCESS;
}

int nvmlEventSetFree(hpt__nvml_event_set set) {
    set->used = false;
    return HPT__NVML_SUCCESS;
}

int nvmlDeviceRegisterEvents(hpt__nvml_device d, unsigned long long types, hpt__nvml_event_set set) {
    if (!set->used || types != HPT__NVML_EVENT_XID) return HPT__NVML_ERROR_INVALID_ARGUMENT;
    watched[of(d) - devices] = true;
    return HPT__NVML_SUCCESS;
}

int nvmlEventSetWait_v2(hpt__nvml_event_set set, hpt__nvml_event *event, unsigned wait_ms) {
    (void)wait_ms;
    for (int i = 0; set->used && i < n_devices; i++) {
        device *d = &devices[i];
        if (!watched[i] || d->fault_at == 0 || d->looks < d->fault_at) continue;
        d->fault_at = 0;
        *event = (hpt__nvml_event){(hpt__nvml_device)(void *)d, HPT__NVML_EVENT_XID, d->xid, ~0U, ~0U};
        return HPT__NVML_SUCCESS;
    }
    return HPT__NVML_ERROR_TIMEOUT;
}
