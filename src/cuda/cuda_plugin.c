// SPDX-License-Identifier: Apache-2.0
// cuda_plugin.c: the plugin's one exported function, and the library's base services inside the plugin: the functions of
// core/base that the host files call, handed on to the library that loaded it (core/backend/plugin.h).
//
// Why so: error lines and allocations stay the library's own (the line that a caller reads, the allocation that a test makes
// fail), and the plugin has no symbol of the library, whichever way that was linked.
// Threads: the host's table is set once, before any other call.
#include "../core/backend/plugin.h"
#include "../core/base/alloc.h"
#include "../core/base/error.h"

#include <stdio.h>
#include <string.h>

static const hpt__plugin_host *host;

extern const hpt__backend hpt__backend_cuda;

hpt__plugin_entry hpt_backend_plugin __attribute__((visibility("default")));

const hpt__backend *hpt_backend_plugin(const hpt__plugin_host *from, char *why, size_t size) {
    if (from->abi != HPT__PLUGIN_ABI || from->struct_size != sizeof *from) {
        (void)snprintf(why, size, "it was built for another version of the library (plugin ABI %d; the library has %u)",
                       (int)HPT__PLUGIN_ABI, from->abi);
        return NULL;
    }
    host = from;
    return &hpt__backend_cuda;
}

int hpt__fail(int status, const char *fmt, ...) {
    char line[HPT__ERROR_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    return host->fail(status, line);
}

int hpt__fail_memory(void) {
    return host->fail(HPT_E_MEMORY, HPT__OUT_OF_MEMORY);
}

void *hpt__malloc(size_t size) {
    return host->resize(NULL, size ? size : 1);
}

void *hpt__calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *p = hpt__malloc(count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

void hpt__free(void *p) {
    host->release(p);
}
