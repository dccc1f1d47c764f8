// SPDX-License-Identifier: Apache-2.0
// fake_plugin.h: what a test says to the fake backend in a library of its own (fake_plugin.c), and how it gets there.
#ifndef HPT_TESTS_FAKE_PLUGIN_H
#define HPT_TESTS_FAKE_PLUGIN_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct fake_control {
    int64_t n_devices;
    int64_t entries;      // calls of the plugin's one function
    int64_t calls;        // operations so far, those that can fail
    int64_t fail_at;      // the operation of this number fails; -1: none
    bool stays;           // and all after it
    int status;           // with this
    bool instant;         // its speed is measured (backend/cost.c) as if nothing took time
    int64_t open, models; // that are alive
} fake_control;

#define FAKE_FOLDER HPT_BINARY_DIR "/tests/fake"

// Whether the plugin is loaded; loads nothing.
static inline bool fake_is_loaded(void) {
    void *library = dlopen(FAKE_FOLDER "/libhpt_gpu_cuda.so", RTLD_NOW | RTLD_NOLOAD);
    if (library) dlclose(library);
    return library != NULL;
}

// The plugin becomes the first candidate, `ref` what there is on the host, and nobody's cache is read.
static inline void fake_first(void) {
    setenv("HPT_CUDA_PATH", FAKE_FOLDER, 1);
    setenv("HPT_BLAS_LIBRARY", "/nowhere", 1);
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    unsetenv("HPT_DEVICE");
}

// The control of a plugin, loaded now if need be. FAKE: of the file with this tail, "" or "_twin".
static inline fake_control *fake_get(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, "fake") : NULL;
}
#define FAKE(tail) fake_get(FAKE_FOLDER "/libhpt_gpu_cuda" tail ".so")

#endif
