// SPDX-License-Identifier: Apache-2.0
// map.h: hash map from byte strings to int64_t (an index, or a pointer cast by the caller). Keys are copied.
// Open addressing with linear probing, FNV-1a mixed; iteration in order of insertion. One thread at a time.
#ifndef HPT_BASE_MAP_H
#define HPT_BASE_MAP_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hpt__map {
    struct hpt__map_entry *entries; // in order of insertion; removed ones have key NULL
    int64_t n_entries, cap_entries, n_live;
    int32_t *slots; // index into entries, -1 free, -2 removed
    int64_t n_slots;
} hpt__map;

typedef struct hpt__map_entry {
    char *key;
    size_t len;
    uint64_t hash;
    int64_t value;
} hpt__map_entry;

void hpt__map_init(hpt__map *m);
void hpt__map_fini(hpt__map *m);
HPT_NODISCARD int hpt__map_set(hpt__map *m, const char *key, size_t len, int64_t value); // 0 or HPT_E_MEMORY
bool hpt__map_get(int64_t *out, const hpt__map *m, const char *key, size_t len);
bool hpt__map_remove(hpt__map *m, const char *key, size_t len);
uint64_t hpt__hash(const void *data, size_t len); // FNV-1a 64 with a final avalanche

#endif
