// SPDX-License-Identifier: Apache-2.0
// alloc.c: the one door to the heap.
//
// Why : tests/fault makes the k-th allocation fail for every k; that needs a single place. A size of zero
//       gives a real pointer, so that NULL always means failure.
// Ownership: the caller owns what it gets; hpt_free and hpt__free are the same thing.
// Threads: as malloc. The hook is set before threads start and read without a lock; a hook that counts
//          must do so atomically itself.
// Cost: one test of a pointer on top of malloc.
#include "alloc.h"

#include "error.h"
#include <stdlib.h>
#include <string.h>

static hpt__alloc_hook hook_fn;
static void *hook_payload;

static bool refused(size_t size) {
    return hook_fn && hook_fn(size, hook_payload);
}

void hpt__alloc_set_hook(hpt__alloc_hook hook, void *payload) {
    hook_fn = hook;
    hook_payload = payload;
}

void *hpt__malloc(size_t size) {
    if (refused(size)) return NULL;
    return malloc(size ? size : 1);
}

void *hpt__calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    size_t total = count * size;
    if (refused(total)) return NULL;
    return total ? calloc(count, size) : calloc(1, 1);
}

void *hpt__realloc(void *ptr, size_t size) {
    if (refused(size)) return NULL;
    return realloc(ptr, size ? size : 1);
}

void hpt__free(void *ptr) {
    free(ptr);
}

char *hpt__strdup(const char *text) {
    size_t len = strlen(text);
    char *copy = hpt__malloc(len + 1);
    if (copy) memcpy(copy, text, len + 1);
    return copy;
}

char *hpt__strndup(const char *text, size_t n) {
    // Stops at a NUL like the POSIX function; memchr never reads past n.
    const char *nul = n ? memchr(text, 0, n) : NULL;
    size_t len = nul ? (size_t)(nul - text) : n;
    if (len == SIZE_MAX) return NULL;
    char *copy = hpt__malloc(len + 1);
    if (!copy) return NULL;
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

int hpt__grow(void *array_ptr, int64_t *cap, int64_t need, size_t size) {
    if (need <= *cap) return HPT_OK;
    int64_t next = *cap <= INT64_MAX / 2 ? *cap + *cap / 2 : need;
    if (next < 8) next = 8;
    if (next < need) next = need;
    if (size && (uint64_t)next > SIZE_MAX / size) return hpt__fail_memory();
    // array_ptr is the address of a T *, for any T: copied as bytes, since reading it as a void * lvalue
    // would break the aliasing rules.
    void *old, *grown;
    memcpy(&old, array_ptr, sizeof old);
    grown = hpt__realloc(old, (size_t)next * size);
    if (!grown) return hpt__fail_memory();
    memcpy(array_ptr, &grown, sizeof grown);
    *cap = next;
    return HPT_OK;
}
