// SPDX-License-Identifier: Apache-2.0
// alloc.h: every heap allocation of the library goes through here, so that tests can make the k-th one fail.
// All return NULL on failure without recording an error (callers use hpt__fail_memory).
#ifndef HPT_BASE_ALLOC_H
#define HPT_BASE_ALLOC_H

#include <hpt/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *hpt__malloc(size_t size);
void *hpt__calloc(size_t count, size_t size); // checks count*size for overflow
void *hpt__realloc(void *ptr, size_t size);   // ptr untouched on failure
void hpt__free(void *ptr);
char *hpt__strdup(const char *text);
char *hpt__strndup(const char *text, size_t n);

// Grows *array (element size `size`) so that it holds at least `need` elements; *cap is updated.
// Geometric growth (x1.5, at least 8). Returns 0 or HPT_E_MEMORY (recorded); *array stays valid.
HPT_NODISCARD int hpt__grow(void *array_ptr, int64_t *cap, int64_t need, size_t size);

// Tests only: called before each allocation; returning true makes it fail. NULL: none. Not thread-safe to set.
typedef bool (*hpt__alloc_hook)(size_t size, void *payload);
void hpt__alloc_set_hook(hpt__alloc_hook hook, void *payload);

#endif
