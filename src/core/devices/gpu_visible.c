// SPDX-License-Identifier: Apache-2.0
// gpu_visible.c: entries of CUDA_VISIBLE_DEVICES, as the CUDA driver reads them.
//
//   ENTRY = NUMBER | beginning of a GPU's or MIG instance's UUID ("GPU-8932f937", "MIG-...", "MIG-GPU-.../1/0")
//
// The first entry that is empty, -1, no device, not unique, or a repetition ends the list: it and all after it are
// hidden. Source: CUDA C++ Programming Guide, "CUDA Environment Variables". Two rules are ours: an entry that names a
// GPU in MIG mode stands for all its instances (CUDA would show a program the first alone, and each trial is given one
// by its own UUID); and Slurm's ranges "0-3" are read, which never stand in CUDA's variable.
//
// A number means CUDA's order, fastest first, unless CUDA_DEVICE_ORDER=PCI_BUS_ID; where all GPUs are of one model the
// two orders agree. Where they may not, the number itself is handed on.
#include "gpu_visible.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 4096 };

typedef struct visible_list {
    hpt__visible *items;
    int64_t n, cap;
} visible_list;

static int add(visible_list *list, int64_t gpu, const char *id, size_t n) {
    int rc = hpt__grow(&list->items, &list->cap, list->n + 1, sizeof *list->items);
    if (rc < 0) return rc;
    hpt__visible *v = &list->items[list->n++];
    v->gpu = gpu;
    (void)snprintf(v->id, sizeof v->id, "%.*s", (int)n, id);
    return 0;
}

static bool is_taken(const visible_list *list, int64_t gpu, const char *id, size_t n) {
    for (int64_t i = 0; i < list->n; i++) {
        const hpt__visible *v = &list->items[i];
        if (gpu >= 0 ? v->gpu == gpu : strlen(v->id) == n && memcmp(v->id, id, n) == 0) return true;
    }
    return false;
}

static bool all_alike(const hpt__gpu *gpus, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (strcmp(gpus[i].model, gpus[0].model) != 0 || gpus[i].memory_bytes != gpus[0].memory_bytes || gpus[i].mig ||
            gpus[0].mig)
            return false;
    return true;
}

static bool begins(const char *text, const char *start, size_t n) {
    return strncmp(text, start, n) == 0;
}

// The whole UUID, or a beginning that one device alone has. NULL: found; else why it ends the list.
static const char *find_uuid(char found[96], const char *entry, size_t n, const hpt__gpu *gpus, int64_t n_gpus) {
    int64_t hits = 0;
    found[0] = '\0';
    for (int64_t i = 0; i < n_gpus; i++) {
        const char *uuid = begins(gpus[i].uuid, entry, n) ? gpus[i].uuid : gpus[i].parent;
        if (!begins(uuid, entry, n) || strcmp(uuid, found) == 0) continue; // instances share their parent
        (void)snprintf(found, 96, "%s", uuid);
        if (strlen(uuid) == n) return NULL;
        hits++;
    }
    return hits == 1 ? NULL : hits == 0 ? "no device here has this UUID" : "several devices begin like this";
}

// Adds what one entry means; *why: it ends the list.
static int read_entry(visible_list *list, const char **why, const char *entry, size_t n, const hpt__gpu *gpus,
                      int64_t n_gpus, bool numbered) {
    char uuid[96] = "";
    int64_t number = -1, hits = 0;
    const bool is_number = hpt__parse_int(&number, entry, n);
    *why = NULL;
    if (n == 0 || n >= sizeof uuid || (is_number && number < 0)) return *why = "it ends the list", 0;
    if (n_gpus == 0 || (is_number && !numbered)) {
        int64_t highest = -1;
        for (int64_t i = 0; i < n_gpus; i++) highest = gpus[i].index > highest ? gpus[i].index : highest;
        if (n_gpus > 0 && number > highest) return *why = "there are fewer GPUs", 0;
        if (is_taken(list, -1, entry, n)) return *why = "it stands there twice", 0;
        return add(list, -1, entry, n);
    }
    if (!is_number) *why = find_uuid(uuid, entry, n, gpus, n_gpus);
    if (*why) return 0;
    for (int64_t i = 0; i < n_gpus; i++) {
        const hpt__gpu *g = &gpus[i];
        if (is_number ? g->index != number : strcmp(g->uuid, uuid) != 0 && strcmp(g->parent, uuid) != 0) continue;
        if (is_taken(list, i, NULL, 0)) return *why = "it stands there twice", 0;
        int rc = add(list, i, g->uuid, strlen(g->uuid));
        if (rc < 0) return rc;
        hits++;
    }
    if (hits == 0) *why = "there are fewer GPUs";
    return 0;
}

// "2-5", only in Slurm's variables: numbers do not begin with '-', and UUIDs not with a digit.
static bool read_range(int64_t *low, int64_t *high, const char *entry, size_t n) {
    const char *dash = memchr(entry, '-', n);
    return dash && dash > entry && hpt__parse_int(low, entry, (size_t)(dash - entry)) &&
           hpt__parse_int(high, dash + 1, (size_t)(entry + n - dash - 1)) && *low >= 0 && *low <= *high &&
           *high < ENTRIES_MAX;
}

int hpt__visible_read(hpt__visible **out, int64_t *n_out, hpt__visible_end *end, const char *text, const hpt__gpu *gpus,
                      int64_t n_gpus, bool numbered) {
    int rc = 0;
    visible_list list = {0};
    const bool known = numbered || all_alike(gpus, n_gpus);
    *end = (hpt__visible_end){.entry = ""};
    for (const char *p = text; *text && !end->why && list.n < ENTRIES_MAX;) {
        const char *stop = strchrnul(p, ',');
        const char *entry = p;
        while (entry < stop && (*entry == ' ' || *entry == '\t')) entry++;
        size_t n = (size_t)(stop - entry);
        while (n > 0 && (entry[n - 1] == ' ' || entry[n - 1] == '\t')) n--;
        int64_t low = 0, high = 0;
        if (read_range(&low, &high, entry, n)) {
            for (int64_t k = low; k <= high && !end->why; k++) {
                char number[24];
                const int len = snprintf(number, sizeof number, "%lld", (long long)k);
                HPT_TRY(read_entry(&list, &end->why, number, (size_t)len, gpus, n_gpus, known));
            }
        } else {
            HPT_TRY(read_entry(&list, &end->why, entry, n, gpus, n_gpus, known));
        }
        if (end->why) (void)snprintf(end->entry, sizeof end->entry, "%.*s", n < 95 ? (int)n : 95, entry);
        if (!*stop) break;
        p = stop + 1;
    }
    *out = list.items;
    *n_out = list.n;
    list.items = NULL;
    rc = 0;
out:
    hpt__free(list.items);
    return rc;
}
