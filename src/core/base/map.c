// SPDX-License-Identifier: Apache-2.0
// map.c: insertion-ordered hash map: a dense entry array and a table of indices into it (the layout of
// Python's dict since 3.6), linear probing, at most two thirds of the slots in use.
//
// hash: FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), then the murmur3 finaliser, because linear probing
//       looks at the low bits, which FNV alone leaves poor for short keys.
// Ownership: keys are copied and freed here; values are the caller's. Threads: one at a time.
// Cost: O(1) expected; 4 bytes per slot + 32 per entry + the key. Rebuilding drops removed entries, so
//       indices into `entries` are good only until the next set.
#include "map.h"

#include "alloc.h"
#include "error.h"
#include <string.h>

enum { SLOT_FREE = -1, SLOT_REMOVED = -2 };

void hpt__map_init(hpt__map *m) {
    *m = (hpt__map){0};
}

void hpt__map_fini(hpt__map *m) {
    for (int64_t i = 0; i < m->n_entries; i++) hpt__free(m->entries[i].key);
    hpt__free(m->entries);
    hpt__free(m->slots);
    hpt__map_init(m);
}

uint64_t hpt__hash(const void *data, size_t len) {
    const unsigned char *p = data;
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * UINT64_C(1099511628211);
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

// Slot of the key, or -1.
static int64_t find(const hpt__map *m, const char *key, size_t len, uint64_t hash) {
    if (m->n_slots == 0) return -1;
    uint64_t mask = (uint64_t)m->n_slots - 1;
    for (uint64_t s = hash & mask;; s = (s + 1) & mask) {
        int32_t index = m->slots[s];
        if (index == SLOT_FREE) return -1;
        if (index == SLOT_REMOVED) continue;
        const hpt__map_entry *e = &m->entries[index];
        if (e->hash == hash && e->len == len && (len == 0 || memcmp(e->key, key, len) == 0)) return (int64_t)s;
    }
}

static void place(int32_t *slots, int64_t n_slots, uint64_t hash, int32_t index) {
    uint64_t mask = (uint64_t)n_slots - 1, s = hash & mask;
    while (slots[s] >= 0) s = (s + 1) & mask;
    slots[s] = index;
}

// A new table for at least `live` entries, without the removed ones.
static int rebuild(hpt__map *m, int64_t live) {
    int64_t n_slots = 16;
    while (n_slots < live * 2) n_slots *= 2;
    int32_t *slots = hpt__malloc((size_t)n_slots * sizeof *slots);
    if (!slots) return hpt__fail_memory();
    for (int64_t i = 0; i < n_slots; i++) slots[i] = SLOT_FREE;
    int64_t kept = 0;
    for (int64_t i = 0; i < m->n_entries; i++) {
        if (!m->entries[i].key) continue;
        if (kept != i) m->entries[kept] = m->entries[i];
        place(slots, n_slots, m->entries[kept].hash, (int32_t)kept);
        kept++;
    }
    hpt__free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    m->n_entries = kept;
    return HPT_OK;
}

int hpt__map_set(hpt__map *m, const char *key, size_t len, int64_t value) {
    uint64_t hash = hpt__hash(key, len);
    int64_t slot = find(m, key, len, hash);
    if (slot >= 0) {
        m->entries[m->slots[slot]].value = value;
        return HPT_OK;
    }
    // Removed entries still occupy slots, so n_entries is what fills the table.
    if (len == SIZE_MAX || m->n_live >= INT32_MAX / 2) return hpt__fail_memory();
    if ((m->n_entries + 1) * 3 > m->n_slots * 2) {
        int rc = rebuild(m, (m->n_live + 1) * 2);
        if (rc < 0) return rc;
    }
    int rc = hpt__grow(&m->entries, &m->cap_entries, m->n_entries + 1, sizeof *m->entries);
    if (rc < 0) return rc;
    char *copy = hpt__malloc(len + 1);
    if (!copy) return hpt__fail_memory();
    if (len) memcpy(copy, key, len);
    copy[len] = 0;
    m->entries[m->n_entries] = (hpt__map_entry){.key = copy, .len = len, .hash = hash, .value = value};
    place(m->slots, m->n_slots, hash, (int32_t)m->n_entries);
    m->n_entries++;
    m->n_live++;
    return HPT_OK;
}

bool hpt__map_get(int64_t *out, const hpt__map *m, const char *key, size_t len) {
    int64_t slot = find(m, key, len, hpt__hash(key, len));
    if (slot < 0) return false;
    if (out) *out = m->entries[m->slots[slot]].value;
    return true;
}

bool hpt__map_remove(hpt__map *m, const char *key, size_t len) {
    int64_t slot = find(m, key, len, hpt__hash(key, len));
    if (slot < 0) return false;
    hpt__map_entry *e = &m->entries[m->slots[slot]];
    hpt__free(e->key);
    e->key = NULL;
    m->slots[slot] = SLOT_REMOVED;
    m->n_live--;
    return true;
}
