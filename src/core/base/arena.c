// SPDX-License-Identifier: Apache-2.0
// arena.c: blocks in a list, a bump pointer in the newest.
//
// Blocks double from 4 KiB to 1 MiB; a request that is larger gets a block of its own size, put behind the
// head so that the head's free rest is not lost. Ownership: the arena owns every block; what it hands out
// dies with it. Threads: one at a time. Cost: a few instructions per allocation, one malloc per block.
#include "arena.h"

#include "alloc.h"
#include <stdalign.h>
#include <string.h>

enum { BLOCK_FIRST = 4096, BLOCK_MAX = 1 << 20, ALIGN = 16 };

struct hpt__arena_block {
    struct hpt__arena_block *next;
    size_t size, used;
    alignas(ALIGN) unsigned char data[];
};

void hpt__arena_init(hpt__arena *arena) {
    arena->head = NULL;
    arena->used = 0;
}

void hpt__arena_fini(hpt__arena *arena) {
    for (struct hpt__arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        hpt__free(b);
    }
    hpt__arena_init(arena);
}

void hpt__arena_reset(hpt__arena *arena) {
    struct hpt__arena_block *largest = NULL;
    for (struct hpt__arena_block *b = arena->head; b; b = b->next) {
        if (!largest || b->size > largest->size) largest = b;
    }
    for (struct hpt__arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        if (b != largest) hpt__free(b);
    }
    if (largest) largest->next = NULL, largest->used = 0;
    arena->head = largest;
    arena->used = 0;
}

static struct hpt__arena_block *add_block(hpt__arena *arena, size_t size) {
    struct hpt__arena_block *head = arena->head;
    size_t usual = BLOCK_FIRST;
    if (head) usual = head->size >= BLOCK_MAX / 2 ? BLOCK_MAX : head->size * 2;
    bool own = size > usual;
    size_t room = own ? size : usual;
    struct hpt__arena_block *b = hpt__malloc(sizeof *b + room);
    if (!b) return NULL;
    b->size = room;
    b->used = 0;
    if (own && head) {
        b->next = head->next;
        head->next = b;
    } else {
        b->next = head;
        arena->head = b;
    }
    return b;
}

void *hpt__arena_alloc(hpt__arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size_t padded = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (padded == 0) padded = ALIGN; // distinct pointers, also for nothing
    struct hpt__arena_block *b = arena->head;
    if (!b || b->size - b->used < padded) {
        b = add_block(arena, padded);
        if (!b) return NULL;
    }
    void *p = b->data + b->used;
    b->used += padded;
    arena->used += padded;
    return p;
}

void *hpt__arena_alloc0(hpt__arena *arena, size_t size) {
    void *p = hpt__arena_alloc(arena, size);
    if (p && size) memset(p, 0, size);
    return p;
}

char *hpt__arena_strndup(hpt__arena *arena, const char *text, size_t n) {
    if (n > SIZE_MAX / 4) return NULL;
    char *copy = hpt__arena_alloc(arena, n + 1);
    if (!copy) return NULL;
    if (n) memcpy(copy, text, n); // all n bytes: JSON strings may hold a NUL
    copy[n] = 0;
    return copy;
}
