// SPDX-License-Identifier: Apache-2.0
// ledger_queue.c: see ledger_queue.h for the rule.
//
// A request without room is not tried again before something was given back: taking makes room for nobody. So each
// return of a share costs one pass over the queue, each start the rest of a pass. In a pass a request is passed over
// without looking at the devices if one equal to it had no room just now (up to 64 kinds of requests are told apart), or
// one that asks for no more of anything; of such witnesses a few are kept, which suffices where memory is computed from
// parameters and hardly two requests are equal.
//
// Ownership: the queue owns its items. Threads: one at a time. Cost: a decision with 1,000 waiting on 64 devices takes
// some microseconds (bench/results/sched.md).
#include "ledger_queue.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <string.h>

enum { WITNESSES = 8 };

void hpt__queue_fini(hpt__queue *q) {
    hpt__free(q->items);
    *q = (hpt__queue){0};
}

static int64_t kind_of(hpt__queue *q, const hpt__demand *d) {
    int64_t free_one = HPT__KINDS;
    for (int64_t k = 0; k < HPT__KINDS; k++) {
        if (q->n_of_kind[k] == 0)
            free_one = free_one < HPT__KINDS ? free_one : k;
        else if (memcmp(&q->kinds[k], d, sizeof *d) == 0)
            return k;
    }
    if (free_one < HPT__KINDS) q->kinds[free_one] = *d;
    return free_one;
}

int hpt__queue_push(hpt__queue *q, const hpt__demand *d, int64_t id) {
    int rc = hpt__grow(&q->items, &q->cap, q->n + 1, sizeof *q->items);
    if (rc < 0) return rc;
    const int64_t kind = kind_of(q, d);
    if (kind < HPT__KINDS) q->n_of_kind[kind]++;
    q->items[q->n++] = (hpt__waiting){*d, id, kind};
    return 0;
}

// ---- what is kept for the oldest

static void release(hpt__queue *q, hpt__ledger *l) {
    for (int64_t i = 0; i < q->n_reserved; i++) l->gpus[q->reserved[i]].reserved = false;
    q->n_reserved = 0;
    q->keeps = false;
    l->cpu_kept = l->memory_kept = 0;
    q->tried = 0; // what was kept is room again
}

// Of devices that are equally short the one that was reserved before, so that nothing moves without need.
static void reserve(hpt__queue *q, hpt__ledger *l) {
    const hpt__demand *d = &q->items[0].demand;
    int32_t before[HPT__GPUS_PER_TRIAL];
    const int64_t n_before = q->n_reserved;
    memcpy(before, q->reserved, (size_t)n_before * sizeof *before);
    for (int64_t i = 0; i < n_before; i++) l->gpus[before[i]].reserved = false;
    q->n_reserved = 0;
    q->keeps = true;
    l->cpu_kept = d->cpu;
    l->memory_kept = d->memory;
    while (q->n_reserved < d->n_gpus) {
        int32_t best = -1;
        double least = 0;
        for (int64_t k = 0; k < n_before + l->n_gpus; k++) {
            const int32_t i = k < n_before ? before[k] : (int32_t)(k - n_before);
            const hpt__ledger_gpu *g = &l->gpus[i];
            if (g->reserved || !hpt__ledger_fits(g, d, 0, 0, 0)) continue;
            const double s = hpt__ledger_shortage(g, d);
            if (best >= 0 && !(s < least)) continue;
            best = i;
            least = s;
        }
        if (best < 0) break; // too few devices for it at all: hpt__ledger_check was not asked
        l->gpus[best].reserved = true;
        q->reserved[q->n_reserved++] = best;
    }
}

// ---- passes

static bool asks_no_less(const hpt__demand *a, const hpt__demand *b) {
    // Memory in proportion to a share is not comparable with memory by bytes.
    return a->cpu >= b->cpu && a->memory >= b->memory && a->n_gpus >= b->n_gpus && a->gpu >= b->gpu &&
           (a->gpu_memory > 0) == (b->gpu_memory > 0) && a->gpu_memory >= b->gpu_memory &&
           strcmp(a->profile, b->profile) == 0;
}

static void take_off(hpt__queue *q, int64_t i) {
    if (q->items[i].kind < HPT__KINDS) q->n_of_kind[q->items[i].kind]--;
    memmove(&q->items[i], &q->items[i + 1], (size_t)(q->n - i - 1) * sizeof *q->items);
    q->n--;
}

bool hpt__queue_next(hpt__grant *grant, int64_t *id, hpt__queue *q, hpt__ledger *l) {
    hpt__demand witness[WITNESSES];
    int64_t n_witness = 0;
    bool failed[HPT__KINDS + 1] = {false};
    if (q->given != l->given) q->tried = 0;
    q->given = l->given;
    if (q->n > 0 && q->tried == 0) {
        if (hpt__ledger_place(grant, l, &q->items[0].demand, true)) {
            hpt__ledger_book(l, grant);
            *id = q->items[0].id;
            release(q, l);
            take_off(q, 0);
            return true;
        }
        reserve(q, l);
        q->tried = 1;
    }
    for (int64_t i = q->tried; i < q->n; i++) {
        const hpt__demand *d = &q->items[i].demand;
        const int64_t kind = q->items[i].kind;
        if (failed[kind]) continue;
        bool hopeless = false;
        for (int64_t k = 0; k < n_witness && !hopeless; k++) hopeless = asks_no_less(d, &witness[k]);
        if (hopeless || !hpt__ledger_place(grant, l, d, false)) {
            if (!hopeless && n_witness < WITNESSES) witness[n_witness++] = *d;
            failed[kind] = kind < HPT__KINDS;
            continue;
        }
        hpt__ledger_book(l, grant);
        *id = q->items[i].id;
        take_off(q, i);
        q->tried = i;
        return true;
    }
    q->tried = q->n;
    return false;
}

bool hpt__queue_remove(hpt__queue *q, hpt__ledger *l, int64_t id) {
    for (int64_t i = 0; i < q->n; i++) {
        if (q->items[i].id != id) continue;
        if (i == 0 && q->keeps) release(q, l);
        take_off(q, i);
        if (q->tried > i) q->tried--;
        return true;
    }
    return false;
}
