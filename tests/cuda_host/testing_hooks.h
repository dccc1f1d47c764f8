// SPDX-License-Identifier: Apache-2.0
// testing_hooks.h: the mock inside the plugin of device `cuda:mock`, for tests that reach it through the engine.
#ifndef HPT_TESTING_HOOKS_H
#define HPT_TESTING_HOOKS_H

#include "../backend/backend_testing.h"
#include "mock.h"
#include <dlfcn.h>

#define HOOK(name) __typeof__(hpt_mock_##name) *name
static struct hooks { // of the plugin
    HOOK(check);
    HOOK(reset);
    HOOK(devices);
    HOOK(fail_at);
    HOOK(calls);
    HOOK(calls_of);
    HOOK(coarse);
} mock;

static inline void find_hooks(void) {
    void *library = dlopen(HPT_BINARY_DIR "/lib/libhpt_gpu_cuda_mock.so", RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
#define FIND(name)                                        \
    do {                                                  \
        void *symbol = dlsym(library, "hpt_mock_" #name); \
        cr_assert_not_null(symbol, "hpt_mock_" #name);    \
        memcpy(&mock.name, &symbol, sizeof symbol);       \
    } while (0)
    FIND(check);
    FIND(reset);
    FIND(devices);
    FIND(fail_at);
    FIND(calls);
    FIND(calls_of);
    FIND(coarse);
}

static inline void expect_clean(const char *when) {
    char why[300] = "";
    cr_assert_eq(mock.check(why, sizeof why), 0, "%s: %s", when, why);
}

#endif
