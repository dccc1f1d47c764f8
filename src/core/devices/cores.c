// SPDX-License-Identifier: Apache-2.0
// cores.c: disjoint sets of cores for trials that ask for whole ones.
//
// Which: of the memory node (NUMA) that has room and the fewest free cores, so that whole nodes stay free for large
// trials; where none has room, the first free ones in the order of the nodes. Never outside the process's own mask, which
// a batch system or taskset has set.
//
// Two runs of a user on one machine must not pin their trials to the same cores while others stand idle. A core in use
// is therefore locked, by flock on a file below XDG_RUNTIME_DIR or /tmp: the kernel drops the lock with the run, however
// that ends. Where no such folder of this user alone can be had nothing is locked. The trials do not inherit the lock.
//
// Ownership: the struct's. Threads: the run's. Cost: a few system calls a core. Sources: sched_setaffinity(2), flock(2),
// /sys/devices/system/cpu/cpu<N>/node<M> (Documentation/ABI/stable/sysfs-devices-node).
#include "cores.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { NODES_MAX = 64 };

static int node_of(int core) {
    char path[96];
    for (int node = 0; node < NODES_MAX; node++) {
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/node%d", core, node);
        if (access(path, F_OK) == 0) return node;
        if (node > 0) continue;
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node1"); // one node: nothing to look for
        if (access(path, F_OK) != 0) return 0;
    }
    return 0;
}

static int by_node(const void *a, const void *b) {
    const hpt__core *x = a, *y = b;
    return x->node != y->node ? (x->node > y->node) - (x->node < y->node) : (x->id > y->id) - (x->id < y->id);
}

// A folder that is this user's alone.
static char *private_folder(void) {
    char path[512];
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/' || strlen(base) > 400) base = "/tmp";
    (void)snprintf(path, sizeof path, "%s/hpt-cores-%lu", base, (unsigned long)geteuid());
    return hpt__private_folder(path) ? hpt__strdup(path) : NULL;
}

int hpt__cores_init(hpt__cores *cores) {
    cpu_set_t mask[HPT__CORE_SETS];
    *cores = (hpt__cores){0};
    memset(mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, mask) < 0) return 0;
    const int n = CPU_COUNT_S(sizeof mask, mask);
    cores->items = hpt__calloc((size_t)n + 1, sizeof *cores->items);
    if (!cores->items) return hpt__fail_memory();
    for (int id = 0; id < HPT__CORES_MAX && cores->n < n; id++)
        if (CPU_ISSET_S((size_t)id, sizeof mask, mask))
            cores->items[cores->n++] = (hpt__core){.id = id, .node = node_of(id), .holder = -1, .lock = -1};
    qsort(cores->items, (size_t)cores->n, sizeof *cores->items, by_node);
    cores->lock_dir = private_folder();
    return 0;
}

void hpt__cores_fini(hpt__cores *cores) {
    for (int64_t i = 0; i < cores->n; i++)
        if (cores->items[i].lock >= 0) close(cores->items[i].lock);
    hpt__free(cores->items);
    hpt__free(cores->lock_dir);
    *cores = (hpt__cores){0};
}

// False: another run holds it.
static bool lock(const hpt__cores *cores, hpt__core *core) {
    char path[600];
    if (!cores->lock_dir) return true;
    (void)snprintf(path, sizeof path, "%s/%d", cores->lock_dir, core->id);
    core->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (core->lock < 0) return true; // no place to say it
    if (flock(core->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return true;
    close(core->lock);
    core->lock = -1;
    return false;
}

// Takes up to n free cores of a node (-1: any); how many it got.
static int64_t take_of(hpt__cores *cores, int64_t holder, int64_t n, int node) {
    int64_t got = 0;
    for (int64_t i = 0; i < cores->n && got < n; i++) {
        hpt__core *c = &cores->items[i];
        if (c->holder >= 0 || (node >= 0 && c->node != node) || !lock(cores, c)) continue;
        c->holder = holder;
        got++;
    }
    return got;
}

// The node with room and the fewest free cores; -1: none has room.
static int best_node(const hpt__cores *cores, int64_t n) {
    int64_t n_free[NODES_MAX] = {0};
    int best = -1;
    for (int64_t i = 0; i < cores->n; i++) n_free[cores->items[i].node] += cores->items[i].holder < 0;
    for (int node = 0; node < NODES_MAX; node++)
        if (n_free[node] >= n && (best < 0 || n_free[node] < n_free[best])) best = node;
    return best;
}

bool hpt__cores_take(hpt__cores *cores, int64_t holder, int64_t n) {
    const int node = best_node(cores, n);
    int64_t got = node >= 0 ? take_of(cores, holder, n, node) : 0;
    if (got < n) got += take_of(cores, holder, n - got, -1); // some of the node's are another run's
    if (got == n && n > 0) return true;
    hpt__cores_give(cores, holder);
    return false;
}

void hpt__cores_give(hpt__cores *cores, int64_t holder) {
    for (int64_t i = 0; i < cores->n; i++) {
        hpt__core *c = &cores->items[i];
        if (c->holder != holder) continue;
        if (c->lock >= 0) close(c->lock);
        c->lock = -1;
        c->holder = -1;
    }
}

bool hpt__cores_mask(cpu_set_t mask[HPT__CORE_SETS], const hpt__cores *cores, int64_t holder) {
    bool any = false;
    memset(mask, 0, HPT__CORE_SETS * sizeof *mask);
    for (int64_t i = 0; i < cores->n; i++) {
        if (cores->items[i].holder != holder) continue;
        CPU_SET_S((size_t)cores->items[i].id, HPT__CORE_SETS * sizeof *mask, mask);
        any = true;
    }
    return any;
}

void hpt__cores_text(hpt__str *out, const hpt__cores *cores, int64_t holder) {
    cpu_set_t mask[HPT__CORE_SETS];
    const char *comma = "";
    if (!hpt__cores_mask(mask, cores, holder)) return;
    for (int id = 0; id < HPT__CORES_MAX; id++) {
        if (!CPU_ISSET_S((size_t)id, sizeof mask, mask)) continue;
        int last = id;
        while (last + 1 < HPT__CORES_MAX && CPU_ISSET_S((size_t)(last + 1), sizeof mask, mask)) last++;
        hpt__str_addf(out, last > id ? "%s%d-%d" : "%s%d", comma, id, last);
        comma = ",";
        id = last;
    }
}
