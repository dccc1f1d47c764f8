// SPDX-License-Identifier: Apache-2.0
// gpu_probe.c: GPUs and MIG instances through NVML, loaded at run time.
//
// NVML is asked rather than the CUDA runtime: it starts no context, takes milliseconds and leaves nothing on the
// device, so that trials may be forked afterwards. Devices are named by UUID, because numbers mean different devices
// to different programs (CUDA_DEVICE_ORDER). A GPU in MIG mode is replaced by its instances: a program can use only
// those. The few prototypes below are NVML's documented C interface
// (https://docs.nvidia.com/deploy/nvml-api/), declared here so that no header of the toolkit is needed to build.
//
// A machine without the library, without a driver or with one that does not answer has no GPUs; that is a state, not
// an error. Ownership: *out is the caller's. Threads: any; the library is closed again before returning.
#include "../base/alloc.h"
#include "../base/error.h"
#include "inventory.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

typedef void *nvml_device;
typedef struct nvml_memory {
    unsigned long long total, free, used;
} nvml_memory;

typedef struct nvml_api {
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *n);
    int (*handle)(unsigned i, nvml_device *device);
    int (*uuid)(nvml_device device, char *text, unsigned size);
    int (*memory)(nvml_device device, nvml_memory *memory);
    int (*mig_mode)(nvml_device device, unsigned *current, unsigned *pending); // may be missing
    int (*mig_max)(nvml_device device, unsigned *n);                           // may be missing
    int (*mig_handle)(nvml_device device, unsigned i, nvml_device *instance);  // may be missing
} nvml_api;

// dlsym gives an object pointer where a function pointer is wanted; POSIX guarantees that the bytes agree.
static bool load(void *function, void *library, const char *name) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int add(hpt__gpu_probe **list, int64_t *n, int64_t *cap, const nvml_api *api, nvml_device device) {
    nvml_memory memory = {0};
    int rc = hpt__grow(list, cap, *n + 1, sizeof **list);
    if (rc < 0) return rc;
    hpt__gpu_probe *g = &(*list)[*n];
    *g = (hpt__gpu_probe){0};
    if (api->uuid(device, g->uuid, sizeof g->uuid) != 0) return 0;
    if (api->memory(device, &memory) == 0) g->memory_bytes = (int64_t)memory.total;
    ++*n;
    return 0;
}

static int add_instances(bool *is_mig, hpt__gpu_probe **list, int64_t *n, int64_t *cap, const nvml_api *api,
                         nvml_device device) {
    unsigned current = 0, pending = 0, most = 0;
    *is_mig = api->mig_mode && api->mig_max && api->mig_handle && api->mig_mode(device, &current, &pending) == 0 &&
              current == 1;
    if (!*is_mig || api->mig_max(device, &most) != 0) return 0;
    for (unsigned i = 0; i < most; i++) {
        nvml_device instance = NULL;
        if (api->mig_handle(device, i, &instance) != 0) continue;
        int rc = add(list, n, cap, api, instance);
        if (rc < 0) return rc;
    }
    return 0;
}

int hpt__gpu_probe_all(hpt__gpu_probe **out, int64_t *n_out) {
    int rc = 0;
    nvml_api api = {0};
    hpt__gpu_probe *list = NULL;
    int64_t n = 0, cap = 0;
    unsigned count = 0;
    bool started = false;
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) goto out;
    if (!load(&api.init, library, "nvmlInit_v2") || !load(&api.shutdown, library, "nvmlShutdown") ||
        !load(&api.count, library, "nvmlDeviceGetCount_v2") ||
        !load(&api.handle, library, "nvmlDeviceGetHandleByIndex_v2") ||
        !load(&api.uuid, library, "nvmlDeviceGetUUID") || !load(&api.memory, library, "nvmlDeviceGetMemoryInfo"))
        goto out;
    (void)load(&api.mig_mode, library, "nvmlDeviceGetMigMode");
    (void)load(&api.mig_max, library, "nvmlDeviceGetMaxMigDeviceCount");
    (void)load(&api.mig_handle, library, "nvmlDeviceGetMigDeviceHandleByIndex");
    started = api.init() == 0;
    if (!started || api.count(&count) != 0) goto out;
    for (unsigned i = 0; i < count; i++) {
        nvml_device device = NULL;
        bool is_mig = false;
        if (api.handle(i, &device) != 0) continue;
        HPT_TRY(add_instances(&is_mig, &list, &n, &cap, &api, device));
        if (!is_mig) HPT_TRY(add(&list, &n, &cap, &api, device));
    }
    rc = 0;
out:
    if (started) (void)api.shutdown();
    if (library) (void)dlclose(library);
    if (rc < 0) {
        hpt__free(list);
        return rc;
    }
    *out = list;
    *n_out = n;
    return rc;
}
