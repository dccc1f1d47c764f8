// SPDX-License-Identifier: Apache-2.0
// arena.h: bump allocation freed all at once; for parse trees and per-call scratch. One thread at a time.
#ifndef HPT_BASE_ARENA_H
#define HPT_BASE_ARENA_H

#include <stddef.h>

typedef struct hpt__arena {
    struct hpt__arena_block *head;
    size_t used; // bytes handed out since init or reset
} hpt__arena;

void hpt__arena_init(hpt__arena *arena);  // allocates nothing
void hpt__arena_fini(hpt__arena *arena);  // accepts a zeroed one; frees every block
void hpt__arena_reset(hpt__arena *arena); // keeps the largest block for reuse
// Aligned to 16 bytes; NULL when out of memory. Not zeroed (alloc0: zeroed).
void *hpt__arena_alloc(hpt__arena *arena, size_t size);
void *hpt__arena_alloc0(hpt__arena *arena, size_t size);
char *hpt__arena_strndup(hpt__arena *arena, const char *text, size_t n); // NUL-terminated copy

#endif
