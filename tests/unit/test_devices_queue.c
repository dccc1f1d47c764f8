// SPDX-License-Identifier: Apache-2.0
// test_devices_queue.c: the ledger and its queue against a plain model: a million random sequences of requests and
// releases, checked after each step; and that no request waits for ever.
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/devices/ledger_queue.h"
#include <criterion/criterion.h>
#include <string.h>

static const int64_t GIB = 1073741824;
enum { GPUS = 4, STEPS = 12, IDS = STEPS + 1 };
#ifdef __SANITIZE_ADDRESS__ // ten times slower
enum { SEQUENCES = 100000 };
#else
enum { SEQUENCES = 1000000 };
#endif

static int64_t below(hpt__rng *rng, int64_t n) {
    return hpt__rng_below(rng, n);
}

// ---- the model: what is granted, as plain sums of the grants that are held

typedef struct model {
    hpt__demand demands[IDS];
    hpt__grant grants[IDS];
    bool waiting[IDS];
    int64_t order[IDS], n_order; // waiting ids, oldest first
    int64_t started[IDS], clock; // when a request got its share
} model;

static bool room_on(const hpt__ledger *l, const model *m, int g, const hpt__demand *d) {
    const hpt__ledger_gpu *gpu = &l->gpus[g];
    int64_t used = d->gpu, memory = d->gpu_memory, n = 0;
    if (gpu->units == 0) return false;
    if (memory == 0) memory = (int64_t)((double)gpu->memory * ((double)d->gpu / (double)gpu->units));
    for (int i = 0; i < IDS; i++)
        for (int64_t k = 0; m->grants[i].held && k < m->grants[i].demand.n_gpus; k++) {
            if (m->grants[i].gpus[k] != g) continue;
            used += m->grants[i].demand.gpu;
            memory += m->grants[i].gpu_memory[k];
            n++;
        }
    if (d->profile[0] && strcmp(d->profile, gpu->info.profile) != 0) return false;
    if (d->n_gpus > 1 && gpu->info.profile[0]) return false;
    if (gpu->exclusive && n > 0) return false;
    return used <= gpu->units && (gpu->memory == 0 || memory <= gpu->memory);
}

// Whether a request could start, with (others) or without (the oldest) regard to what is kept.
static bool has_room(const hpt__ledger *l, const model *m, const hpt__queue *q, const hpt__demand *d, bool other) {
    int64_t cpu = d->cpu, memory = d->memory, n = 0;
    for (int i = 0; i < IDS; i++) {
        if (!m->grants[i].held) continue;
        cpu += m->grants[i].demand.cpu;
        memory += m->grants[i].demand.memory;
    }
    if (other && q->keeps) {
        cpu += q->items[0].demand.cpu;
        memory += q->items[0].demand.memory;
    }
    if (cpu > l->cpu || (l->memory > 0 && memory > l->memory)) return false;
    for (int g = 0; g < l->n_gpus; g++) {
        bool kept = false;
        for (int64_t k = 0; other && k < q->n_reserved; k++) kept = kept || q->reserved[k] == g;
        n += !kept && room_on(l, m, g, d);
    }
    return n >= d->n_gpus;
}

static void check_sums(const hpt__ledger *l, const model *m) {
    int64_t cpu = 0, memory = 0, used[GPUS] = {0}, bytes[GPUS] = {0}, n[GPUS] = {0};
    for (int i = 0; i < IDS; i++) {
        const hpt__grant *g = &m->grants[i];
        if (!g->held) continue;
        cpu += g->demand.cpu;
        memory += g->demand.memory;
        for (int64_t k = 0; k < g->demand.n_gpus; k++) {
            for (int64_t j = 0; j < k; j++) cr_assert_neq(g->gpus[j], g->gpus[k], "a device granted twice");
            used[g->gpus[k]] += g->demand.gpu;
            bytes[g->gpus[k]] += g->gpu_memory[k];
            n[g->gpus[k]]++;
        }
    }
    cr_assert(cpu <= l->cpu && cpu == l->cpu_used);
    cr_assert((l->memory == 0 || memory <= l->memory) && memory == l->memory_used);
    for (int g = 0; g < l->n_gpus; g++) {
        const hpt__ledger_gpu *gpu = &l->gpus[g];
        cr_assert(used[g] <= gpu->units && used[g] == gpu->used);
        cr_assert((gpu->memory == 0 || bytes[g] <= gpu->memory) && bytes[g] == gpu->memory_used);
        cr_assert(n[g] == gpu->n_grants && (!gpu->exclusive || n[g] <= 1));
    }
}

// Starts what can start, each allowed by the rule; then nothing is left that could.
static void run_queue(hpt__ledger *l, hpt__queue *q, model *m) {
    hpt__grant grant;
    int64_t id;
    while (hpt__queue_next(&grant, &id, q, l)) {
        cr_assert(m->waiting[id] && !m->grants[id].held, "it waited");
        cr_assert(memcmp(&grant.demand, &m->demands[id], sizeof grant.demand) == 0);
        const bool oldest = m->order[0] == id;
        for (int64_t k = 0; k < grant.demand.n_gpus; k++) {
            cr_assert(room_on(l, m, grant.gpus[k], &grant.demand));
            for (int64_t j = 0; !oldest && j < q->n_reserved; j++)
                cr_assert_neq(q->reserved[j], grant.gpus[k], "a younger one took what is kept for the oldest");
        }
        m->grants[id] = grant;
        m->waiting[id] = false;
        m->started[id] = m->clock;
        int64_t at = 0;
        while (m->order[at] != id) at++;
        memmove(&m->order[at], &m->order[at + 1], (size_t)(--m->n_order - at) * sizeof *m->order);
        check_sums(l, m);
    }
    cr_assert_eq(q->n, m->n_order);
    for (int64_t i = 0; i < q->n; i++) {
        cr_assert_eq(q->items[i].id, m->order[i], "the order is kept");
        cr_assert_not(has_room(l, m, q, &q->items[i].demand, i > 0), "a request with room was left waiting");
    }
}

static hpt__demand random_demand(hpt__rng *rng) {
    static const double shares[] = {0.1, 0.15, 0.25, 1.0 / 3, 0.5, 0.6, 1};
    hpt__demand d;
    const int64_t kind = below(rng, 10);
    const double gpu = kind == 0 ? 0 : kind == 1 ? (double)(2 + below(rng, 3)) : shares[below(rng, 7)];
    const int64_t bytes = gpu > 0 && below(rng, 2) ? (1 + below(rng, 20)) * GIB : 0;
    cr_assert_eq(hpt__demand_make(&d, 0.1 * (double)(1 + below(rng, 20)), below(rng, 3) * GIB, gpu, bytes), 0);
    if (kind == 2) cr_assert_eq(hpt__demand_instance(&d, "1g.10gb"), 0);
    return d;
}

static void random_machine(hpt__ledger *l, hpt__rng *rng) {
    static hpt_device_info d[GPUS + 1];
    const int64_t n = 1 + below(rng, GPUS);
    d[0] = (hpt_device_info){
        .kind = "cpu", .memory_bytes = below(rng, 2) * 8 * GIB, .capacity = 1 + (double)below(rng, 8)};
    for (int64_t i = 1; i <= n; i++) {
        d[i] = (hpt_device_info){.kind = "gpu", .memory_bytes = below(rng, 3) * 20 * GIB, .capacity = 1};
        if (below(rng, 6) == 0) strcpy(d[i].profile, "1g.10gb");
        if (below(rng, 8) == 0) strcpy(d[i].compute_mode, "exclusive_process");
        if (below(rng, 10) == 0) d[i].capacity = 0.5 * (double)below(rng, 2);
    }
    cr_assert_eq(hpt__ledger_init(l, d, n + 1), 0);
    l->policy = below(rng, 2) ? HPT__PACK : HPT__SPREAD;
    const int64_t engine = below(rng, n);
    if (below(rng, 4) == 0) cr_assert_eq(hpt__ledger_engine(l, engine, GIB), 0);
}

static void sequence(hpt__rng *rng, hpt__queue *q) {
    static model m;
    hpt__ledger l;
    memset(&m, 0, sizeof m);
    random_machine(&l, rng);
    for (int64_t id = 0; id < STEPS; id++) {
        m.clock++;
        const int64_t op = below(rng, 8), other = below(rng, STEPS);
        if (op < 4) {
            const hpt__demand d = random_demand(rng);
            if (hpt__ledger_check(&l, &d) < 0) {
                cr_assert_eq(hpt__ledger_capacity(&l, &d, 100), 0, "refused, yet there are places");
                continue;
            }
            cr_assert(hpt__ledger_capacity(&l, &d, 100) >= 1, "accepted, yet there is no place");
            m.demands[id] = d;
            m.waiting[id] = true;
            m.order[m.n_order++] = id;
            cr_assert_eq(hpt__queue_push(q, &d, id), 0);
        } else if (op < 7) {
            hpt__ledger_give(&l, &m.grants[other]);
        } else {
            const bool waits = m.waiting[other];
            cr_assert_eq(hpt__queue_remove(q, &l, other), waits);
            if (!waits) continue;
            m.waiting[other] = false;
            int64_t at = 0;
            while (m.order[at] != other) at++;
            memmove(&m.order[at], &m.order[at + 1], (size_t)(--m.n_order - at) * sizeof *m.order);
        }
        check_sums(&l, &m);
        run_queue(&l, q, &m);
    }
    // All is given back in time: then everything that waited starts, and the books are empty in the end.
    for (int64_t round = 0; m.n_order > 0; round++) {
        cr_assert(round < STEPS, "a request waits although all that ran has ended");
        for (int64_t i = 0; i < STEPS; i++) hpt__ledger_give(&l, &m.grants[i]);
        run_queue(&l, q, &m);
    }
    for (int64_t i = 0; i < STEPS; i++) hpt__ledger_give(&l, &m.grants[i]);
    check_sums(&l, &m);
    cr_assert(l.cpu_kept == 0 && l.memory_kept == 0 && q->n == 0 && q->n_reserved == 0);
    for (int64_t g = 0; g < l.n_gpus; g++) cr_assert(!l.gpus[g].reserved && l.gpus[g].used == 0);
    hpt__ledger_fini(&l);
}

Test(devices_queue, a_million_random_sequences_keep_every_device_within_its_capacity, .timeout = 600)
{
    hpt__rng rng;
    hpt__queue q = {0};
    hpt__rng_init(&rng, 11, 0);
    for (int64_t i = 0; i < SEQUENCES; i++) sequence(&rng, &q);
    hpt__queue_fini(&q);
}

// ---- starvation

static void machine(hpt__ledger *l, double cores, int64_t n_gpus) {
    static hpt_device_info d[65];
    d[0] = (hpt_device_info){.kind = "cpu", .capacity = cores};
    for (int64_t i = 1; i <= n_gpus; i++)
        d[i] = (hpt_device_info){.kind = "gpu", .memory_bytes = 40 * GIB, .capacity = 1};
    cr_assert_eq(hpt__ledger_init(l, d, n_gpus + 1), 0);
}

static hpt__demand demand(double cpu, double gpu) {
    hpt__demand d;
    cr_assert_eq(hpt__demand_make(&d, cpu, 0, gpu, 0), 0);
    return d;
}

// Small ones arrive without end, one for each that ends, at random: without a reservation two devices would never be
// free at once.
Test(devices_queue, a_large_request_starts_although_small_ones_never_cease)
{
    hpt__ledger l;
    hpt__queue q = {0};
    hpt__rng rng;
    static hpt__grant held[64];
    hpt__grant g;
    int64_t id, n = 0, ended = 0, backfilled = 0;
    machine(&l, 1000, 4);
    hpt__rng_init(&rng, 3, 0);
    const hpt__demand small = demand(1, 0.25), large = demand(1, 2);
    for (int64_t i = 0; i < 40; i++) cr_assert_eq(hpt__queue_push(&q, &small, i), 0);
    while (hpt__queue_next(&held[n], &id, &q, &l)) n++;
    cr_assert_eq(n, 16);
    cr_assert_eq(hpt__queue_push(&q, &large, 1000), 0);
    for (id = -1; id != 1000;) {
        const int64_t i = below(&rng, n);
        hpt__ledger_give(&l, &held[i]);
        held[i] = held[--n];
        cr_assert_eq(hpt__queue_push(&q, &small, 2000), 0);
        while (id != 1000 && hpt__queue_next(&g, &id, &q, &l)) {
            backfilled += id == 2000;
            held[n++] = g;
        }
        // 24 small ones are older and go first; then the devices kept for it drain while the other two stay busy.
        cr_assert(++ended < 200, "the large request waits after %d ends", (int)ended);
    }
    cr_assert(backfilled > 0, "others went ahead where they did not delay it");
    hpt__queue_fini(&q);
    hpt__ledger_fini(&l);
}

Test(devices_queue, cores_are_kept_for_the_oldest_as_well)
{
    hpt__ledger l;
    hpt__queue q = {0};
    hpt__grant a, b;
    int64_t id;
    machine(&l, 4, 1);
    const hpt__demand one = demand(1, 0), three = demand(3, 0), all = demand(4, 0);
    cr_assert_eq(hpt__queue_push(&q, &three, 1), 0);
    cr_assert(hpt__queue_next(&a, &id, &q, &l));
    cr_assert_eq(hpt__queue_push(&q, &all, 2), 0);
    cr_assert_eq(hpt__queue_push(&q, &one, 3), 0);
    cr_assert_not(hpt__queue_next(&b, &id, &q, &l), "the free core is one of the four that the oldest waits for");
    hpt__ledger_give(&l, &a);
    cr_assert(hpt__queue_next(&b, &id, &q, &l) && id == 2);
    hpt__queue_fini(&q);
    hpt__ledger_fini(&l);
}

Test(devices_queue, a_request_that_is_taken_back_keeps_nothing)
{
    hpt__ledger l;
    hpt__queue q = {0};
    hpt__grant a, b;
    int64_t id;
    machine(&l, 8, 1);
    const hpt__demand half = demand(1, 0.5), whole = demand(1, 1);
    cr_assert_eq(hpt__queue_push(&q, &half, 1), 0);
    cr_assert(hpt__queue_next(&a, &id, &q, &l));
    cr_assert_eq(hpt__queue_push(&q, &whole, 2), 0);
    cr_assert_eq(hpt__queue_push(&q, &half, 3), 0);
    cr_assert_not(hpt__queue_next(&b, &id, &q, &l));
    cr_assert_not(hpt__ledger_take(&b, &l, &half), "what is kept is no room for those who do not queue either");
    cr_assert(hpt__queue_remove(&q, &l, 2));
    cr_assert(hpt__queue_next(&b, &id, &q, &l) && id == 3);
    hpt__queue_fini(&q);
    hpt__ledger_fini(&l);
}
