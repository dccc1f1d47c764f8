// SPDX-License-Identifier: Apache-2.0
// cuda_api.c: finds the driver and the toolkit's libraries and fills the table of their functions.
//
// The driver (libcuda.so.1) comes from the loader's own places only: it must be the one that fits the kernel's module. The others are
// looked for, newest first, in each absolute folder of HPT_CUDA_PATH (a toolkit, or a site-packages/nvidia in which pip puts every
// library into a folder of its own), then in the loader's places, then in the toolkit's usual one. Never in the working folder.
// cuSOLVER calls cuBLAS itself: one of a pair of versions brings the other, so both come from the same search.
// A library is loaded when it is first needed (cold, cuSOLVER's half a gigabyte takes a second) and never unloaded: they keep state of
// threads. Threads: one lock around loading.
#include "cuda_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LENGTH = 1024, WHY_LENGTH = 240 };

typedef struct function {
    const char *name;
    size_t at; // of its pointer in the table
} function;

#define ENTRY(library, symbol) {#symbol, offsetof(cuda__api, symbol)},
static const function driver_functions[] = {CUDA__DRIVER_FUNCTIONS(ENTRY){NULL, 0}};
static const function blas_functions[] = {CUDA__BLAS_FUNCTIONS(ENTRY){NULL, 0}};
static const function solver_functions[] = {CUDA__SOLVER_FUNCTIONS(ENTRY){NULL, 0}};

typedef struct library {
    const char *what, *folder; // folder: pip's
    const char *names[3];      // by toolkit, newest first
    const function *functions;
    const char *remedy;
    bool tried, loaded;
    char path[PATH_LENGTH], why[WHY_LENGTH];
} library;

#define TOOLKIT "install the CUDA toolkit 12 or 13, or pip's nvidia-* packages, and name their folder in HPT_CUDA_PATH"
static library libraries[CUDA__LIBRARIES] = {
    {.what = "the NVIDIA driver",
     .names = {"libcuda.so.1"},
     .functions = driver_functions,
     .remedy = "is an NVIDIA driver installed on this machine?"},
    {.what = "cuBLAS",
     .folder = "cublas",
     .names = {"libcublas.so.13", "libcublas.so.12"},
     .functions = blas_functions,
     .remedy = TOOLKIT},
    {.what = "cuSOLVER",
     .folder = "cusolver",
     .names = {"libcusolver.so.12", "libcusolver.so.11"},
     .functions = solver_functions,
     .remedy = TOOLKIT},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cuda__api table;

static void *open_at(library *l, const char *folder, size_t length, const char *below, const char *name) {
    char path[PATH_LENGTH];
    const int n = snprintf(path, sizeof path, "%.*s%s%s/%s", (int)length, folder, below[0] ? "/" : "", below, name);
    if (n < 0 || (size_t)n >= sizeof path) return NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle) memcpy(l->path, path, (size_t)n + 1);
    return handle;
}

static void *open_below(library *l, const char *folder, size_t length, const char *name) {
    char own[64];
    (void)snprintf(own, sizeof own, "%s/lib", l->folder);
    const char *below[] = {"", "lib64", "lib", own, "cu13/lib"};
    void *handle = NULL;
    for (size_t i = 0; i < sizeof below / sizeof below[0] && !handle; i++)
        handle = open_at(l, folder, length, below[i], name);
    return handle;
}

static void *open_named(library *l, const char *name) {
    const char *places = l->folder ? getenv("HPT_CUDA_PATH") : NULL;
    void *handle = NULL;
    for (const char *at = places; at && *at && !handle;) {
        const size_t length = strcspn(at, ":");
        if (at[0] == '/') handle = open_below(l, at, length, name);
        at += length + (at[length] == ':');
    }
    if (handle) return handle;
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle) {
        (void)snprintf(l->path, sizeof l->path, "%s", name);
        return handle;
    }
    (void)snprintf(l->why, sizeof l->why, "%s", dlerror());
    return l->folder ? open_below(l, "/usr/local/cuda", strlen("/usr/local/cuda"), name) : NULL;
}

static void load(library *l) {
    void *handle = NULL;
    for (int i = 0; i < 3 && l->names[i] && !handle; i++) handle = open_named(l, l->names[i]);
    if (!handle) {
        char reason[WHY_LENGTH];
        memcpy(reason, l->why, sizeof reason);
        (void)snprintf(l->why, sizeof l->why, "%s cannot be loaded (%.100s); %s", l->what, reason, l->remedy);
        return;
    }
    for (const function *f = l->functions; f->name; f++) {
        void *symbol = dlsym(handle, f->name);
        if (!symbol) {
            (void)snprintf(l->why, sizeof l->why, "%s lacks the function %s; a newer version is needed", l->what,
                           f->name);
            return; // stays loaded: unloading these libraries is not safe
        }
        memcpy((char *)&table + f->at, &symbol, sizeof symbol);
    }
    l->loaded = true;
}

const cuda__api *cuda__api_load(cuda__library which, char *why, size_t size) {
    library *l = &libraries[which];
    (void)pthread_mutex_lock(&lock);
    if (!l->tried) load(l);
    l->tried = true;
    if (!l->loaded) (void)snprintf(why, size, "%s", l->why);
    const bool loaded = l->loaded;
    (void)pthread_mutex_unlock(&lock);
    return loaded ? &table : NULL;
}

const char *cuda__api_path(cuda__library which) {
    return libraries[which].path;
}
