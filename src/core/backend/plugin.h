// SPDX-License-Identifier: Apache-2.0
// plugin.h: what the library and a backend in a library of its own say to each other. Read by both sides.
//
// A plugin is a shared library with one exported function of this type and name. It calls nothing of the library but through
// `host`, and the library calls nothing of it but through the table, so that neither has symbols of the other; ABI numbers
// and sizes say whether both were built from the same sources.
#ifndef HPT_BACKEND_PLUGIN_H
#define HPT_BACKEND_PLUGIN_H

#include "backend_impl.h"

enum { HPT__PLUGIN_ABI = 1 };

typedef struct hpt__plugin_host {              // lives as long as the process
    uint32_t abi;                              // HPT__PLUGIN_ABI
    uint32_t struct_size;                      // sizeof(hpt__plugin_host)
    int (*fail)(int status, const char *line); // records the line as this thread's error; returns status
    void *(*resize)(void *old, size_t size);   // as realloc; size > 0
    void (*release)(void *old);                // as free
} hpt__plugin_host;

#define HPT__PLUGIN_ENTRY "hpt_backend_plugin"
// The plugin's table (constant), or NULL with one line in why (size bytes): another ABI. Loads nothing and opens nothing.
typedef const hpt__backend *hpt__plugin_entry(const hpt__plugin_host *host, char *why, size_t size);

#endif
