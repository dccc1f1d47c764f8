// SPDX-License-Identifier: Apache-2.0
// mock_api.c: cuda_api.h's table, filled with the mock (mock.h) in place of the libraries, and what a plugin of it exports.
// A library's functions are NULL until it is asked for, as they are in a process that has not loaded it.
// Threads: one lock.
#include "mock_impl.h"

#include <pthread.h>
#include <stdio.h>

static const char *const paths[CUDA__LIBRARIES] = {"the mock's driver", "the mock's cuBLAS", "the mock's cuSOLVER"};
// In place of cuda_image.c's; mock_driver.c knows it again.
const unsigned char cuda__kernels_image[] = "kernels of the mock";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cuda__api table;
static enum { NOT_TRIED, LOADED, FAILED } states[CUDA__LIBRARIES];

const cuda__api *cuda__api_load(cuda__library library, char *why, size_t size) {
    (void)pthread_mutex_lock(&lock);
    if (states[library] == NOT_TRIED) states[library] = mock__is_missing(library) ? FAILED : LOADED;
    const bool loaded = states[library] == LOADED;
#define FILL(room, symbol) table.symbol = mock_##symbol;
    if (loaded && library == CUDA__LIBRARY_DRIVER) {
        CUDA__DRIVER_FUNCTIONS(FILL)
    } else if (loaded && library == CUDA__LIBRARY_BLAS) {
        CUDA__BLAS_FUNCTIONS(FILL)
    } else if (loaded) {
        CUDA__SOLVER_FUNCTIONS(FILL)
    }
#undef FILL
    (void)pthread_mutex_unlock(&lock);
    if (loaded) return &table;
    (void)snprintf(why, size, "%s is missing (HPT_MOCK_MISSING)", paths[library]);
    return NULL;
}

const char *cuda__api_path(cuda__library library) {
    return mock_loaded(library) ? paths[library] : "";
}

bool mock_loaded(cuda__library library) {
    (void)pthread_mutex_lock(&lock);
    const bool loaded = states[library] == LOADED;
    (void)pthread_mutex_unlock(&lock);
    return loaded;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int hpt_mock_check(char *why, size_t size) {
    return mock_check(why, size);
}

EXPORT void hpt_mock_reset(void) {
    mock_reset();
}

EXPORT void hpt_mock_devices(int n, size_t total, size_t free) {
    mock_devices(n, total, free);
}

EXPORT void hpt_mock_fail_at(int64_t k, int kind) {
    mock_fail_at(k, (mock_fault)kind);
}

EXPORT int64_t hpt_mock_calls(void) {
    return mock_calls();
}

EXPORT int64_t hpt_mock_calls_of(const char *function) {
    return mock_calls_of(function);
}

EXPORT void hpt_mock_coarse(bool coarse) {
    mock_coarse(coarse);
}
