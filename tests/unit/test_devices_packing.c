// SPDX-License-Identifier: Apache-2.0
// test_devices_packing.c: how full best fit gets devices, against an exact packer on small cases.
//
// Given requests in an order that nobody chose, each placed at once or passed over, against the best of all ways to place a
// part of them. Bound, with compute alone and no share above s: where a request is passed over every device is used by
// more than 1 - s, so best fit places at least (1 - s) of what the exact packer does. With whole devices among the
// requests no bound exists for any packer that must not wait (0.01 first, then 1.0, on one device); there the average
// counts.
#include "core/base/rng.h"
#include "core/devices/ledger.h"
#include <criterion/criterion.h>

static const int64_t GIB = 1073741824;
enum { ITEMS = 9, DEVICES = 3, CASES = 2000 };

typedef struct items {
    hpt__demand d[ITEMS];
    int64_t n_devices;
} items;

// The most compute that can be placed of items i..: every item on every device, or nowhere.
static int64_t exact(const items *it, int i, int64_t used[DEVICES], int64_t memory[DEVICES]) {
    if (i == ITEMS) return 0;
    int64_t best = exact(it, i + 1, used, memory);
    const hpt__demand *d = &it->d[i];
    for (int64_t g = 0; g < it->n_devices; g++) {
        bool seen = false; // a device like one that was tried
        for (int64_t k = 0; k < g; k++) seen = seen || (used[k] == used[g] && memory[k] == memory[g]);
        if (seen || used[g] + d->gpu > HPT__GPU_UNITS || memory[g] + d->gpu_memory > 40 * GIB) continue;
        used[g] += d->gpu;
        memory[g] += d->gpu_memory;
        const int64_t sum = d->gpu + exact(it, i + 1, used, memory);
        used[g] -= d->gpu;
        memory[g] -= d->gpu_memory;
        if (sum > best) best = sum;
    }
    return best;
}

static int64_t placed(const items *it, hpt__policy policy) {
    hpt_device_info d[DEVICES + 1] = {{.kind = "cpu", .capacity = 1000}};
    hpt__ledger l;
    hpt__grant g;
    int64_t sum = 0;
    for (int64_t i = 1; i <= it->n_devices; i++)
        d[i] = (hpt_device_info){.kind = "gpu", .memory_bytes = 40 * GIB, .capacity = 1};
    cr_assert_eq(hpt__ledger_init(&l, d, it->n_devices + 1), 0);
    l.policy = policy;
    for (int i = 0; i < ITEMS; i++)
        if (hpt__ledger_take(&g, &l, &it->d[i])) sum += it->d[i].gpu;
    hpt__ledger_fini(&l);
    return sum;
}

typedef struct score {
    double mean, worst; // part of what the exact packer places
} score;

static score compare(hpt__policy policy, double share_max, bool with_memory, uint64_t seed) {
    score s = {0, 1};
    hpt__rng rng;
    hpt__rng_init(&rng, seed, 0);
    for (int c = 0; c < CASES; c++) {
        items it = {.n_devices = 1 + hpt__rng_below(&rng, DEVICES)};
        int64_t used[DEVICES] = {0}, memory[DEVICES] = {0};
        for (int i = 0; i < ITEMS; i++) {
            const double share = 0.05 * (double)(1 + hpt__rng_below(&rng, (int64_t)(share_max * 20 + 0.5)));
            const int64_t bytes = with_memory ? (1 + hpt__rng_below(&rng, 20)) * GIB : 1;
            cr_assert_eq(hpt__demand_make(&it.d[i], 1, 0, share, bytes), 0);
        }
        const double ratio = (double)placed(&it, policy) / (double)exact(&it, 0, used, memory);
        cr_assert(ratio <= 1.0, "more than the exact packer places");
        s.mean += ratio / CASES;
        if (ratio < s.worst) s.worst = ratio;
    }
    return s;
}

Test(devices_packing, best_fit_keeps_its_bound_against_the_exact_packer)
{
    static const double most[] = {0.1, 0.25, 0.5};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        const score s = compare(HPT__PACK, most[i], false, 5);
        cr_assert(s.worst >= 1 - most[i], "shares up to %g: %g of the exact packer's", most[i], s.worst);
        cr_assert(s.mean >= 0.95, "shares up to %g: %g on average", most[i], s.mean);
    }
}

Test(devices_packing, with_memory_and_whole_devices_five_sixths_of_the_optimum_on_average)
{
    const score whole = compare(HPT__PACK, 1.0, false, 6), memory = compare(HPT__PACK, 0.5, true, 7);
    cr_assert(whole.mean >= 0.83, "%g", whole.mean);
    cr_assert(memory.mean >= 0.88, "%g", memory.mean);
}

Test(devices_packing, pack_places_more_than_spread)
{
    const score pack = compare(HPT__PACK, 1.0, false, 8), spread = compare(HPT__SPREAD, 1.0, false, 8);
    cr_assert(pack.mean > spread.mean, "%g, %g", pack.mean, spread.mean);
    cr_log_info("pack %g (worst %g), spread %g (worst %g)", pack.mean, pack.worst, spread.mean, spread.worst);
}
