// SPDX-License-Identifier: Apache-2.0
// test_devices_ledger.c: shares per device, packing, and what can never fit.
#include "core/base/rng.h"
#include "core/devices/ledger.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t GIB = 1073741824;

static void machine(hpt__ledger *l, double cores, int64_t n_gpus, int64_t gpu_memory) {
    hpt_device_info d[32] = {{.name = "cpu", .kind = "cpu", .memory_bytes = 64 * GIB, .capacity = cores}};
    for (int64_t i = 0; i < n_gpus; i++) {
        hpt_device_info *g = &d[i + 1];
        snprintf(g->name, sizeof g->name, "gpu:%d", (int)i);
        strcpy(g->kind, "gpu");
        snprintf(g->visible_id, sizeof g->visible_id, "%d", (int)i);
        g->memory_bytes = gpu_memory;
        g->capacity = 1;
    }
    cr_assert_eq(hpt__ledger_init(l, d, n_gpus + 1), 0);
}

static hpt__demand demand(double cpu, double gpu, int64_t gpu_memory) {
    hpt__demand d;
    cr_assert_eq(hpt__demand_make(&d, cpu, 0, gpu, gpu_memory), 0);
    return d;
}

Test(devices_ledger, shares_are_counted_per_device_not_in_the_sum)
{
    hpt__ledger l;
    machine(&l, 1000, 8, 0);
    const hpt__demand d = demand(0.1, 0.15, 0);
    static hpt__grant g[64];
    int64_t n = 0;
    cr_assert_eq(hpt__ledger_capacity(&l, &d, 1000), 48);
    while (hpt__ledger_take(&g[n], &l, &d)) n++;
    cr_assert_eq(n, 48); // 8 / 0.15 = 53.3 would oversubscribe
    for (int64_t i = 0; i < l.n_gpus; i++) cr_assert_eq(l.gpus[i].used, 900000);
    hpt__ledger_fini(&l);
}

Test(devices_ledger, ten_tenths_and_three_thirds_fit)
{
    static const struct {
        double share;
        int64_t n;
    } cases[] = {{0.1, 10}, {1.0 / 3, 3}, {0.25, 4}, {1.0 / 7, 7}, {1.0, 1}, {0.6, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpt__ledger l;
        hpt__grant g;
        machine(&l, 1000, 1, 0);
        const hpt__demand d = demand(1, cases[i].share, 0);
        int64_t n = 0;
        while (hpt__ledger_take(&g, &l, &d)) n++;
        cr_assert_eq(n, cases[i].n, "share %g: %d", cases[i].share, (int)n);
        cr_assert_eq(hpt__ledger_capacity(&l, &d, 1000), n);
        hpt__ledger_fini(&l);
    }
}

Test(devices_ledger, the_fullest_device_with_room_is_taken)
{
    hpt__ledger l;
    hpt__grant a, b, c, whole;
    machine(&l, 16, 2, 0);
    const hpt__demand half = demand(1, 0.5, 0), one = demand(1, 1, 0);
    cr_assert(hpt__ledger_take(&a, &l, &half));
    cr_assert(hpt__ledger_take(&b, &l, &half));
    cr_assert_eq(a.gpus[0], b.gpus[0]);
    cr_assert(hpt__ledger_take(&whole, &l, &one), "one device is still whole");
    cr_assert_neq(whole.gpus[0], a.gpus[0]);
    cr_assert_not(hpt__ledger_take(&c, &l, &half));
    hpt__ledger_give(&l, &b);
    cr_assert(hpt__ledger_take(&c, &l, &half));
    cr_assert_eq(c.gpus[0], a.gpus[0]);
    hpt__ledger_fini(&l);
}

Test(devices_ledger, several_gpus_are_whole_and_different)
{
    hpt__ledger l;
    hpt__grant g, h;
    machine(&l, 16, 3, 0);
    const hpt__demand two = demand(1, 2, 0);
    cr_assert(hpt__ledger_take(&g, &l, &two));
    cr_assert_eq(g.demand.n_gpus, 2);
    cr_assert_neq(g.gpus[0], g.gpus[1]);
    cr_assert_not(hpt__ledger_take(&h, &l, &two));
    cr_assert_eq(hpt__ledger_capacity(&l, &two, 100), 1);
    hpt__ledger_give(&l, &g);
    hpt__ledger_give(&l, &g); // a second time changes nothing
    for (int64_t i = 0; i < 3; i++) cr_assert_eq(l.gpus[i].used, 0);
    cr_assert_eq(l.cpu_used, 0);
    hpt__ledger_fini(&l);
}

Test(devices_ledger, memory_of_a_device_limits_its_shares)
{
    hpt__ledger l;
    hpt__grant g;
    machine(&l, 100, 2, 40 * GIB);
    const hpt__demand d = demand(1, 0.1, 15 * GIB);
    int64_t n = 0;
    while (hpt__ledger_take(&g, &l, &d)) n++;
    cr_assert_eq(n, 4); // two times 15 GiB of 40 on each
    cr_assert_eq(g.gpu_memory[0], 15 * GIB);
    hpt__ledger_fini(&l);
    machine(&l, 100, 1, 40 * GIB);
    const hpt__demand share = demand(1, 0.25, 0);
    cr_assert(hpt__ledger_take(&g, &l, &share));
    cr_assert_eq(g.gpu_memory[0], 10 * GIB, "a share of the device is that share of its memory");
    hpt__ledger_fini(&l);
}

Test(devices_ledger, impossible_demands_are_refused_with_their_key)
{
    hpt__ledger l;
    machine(&l, 4, 2, 40 * GIB);
    static const struct {
        double cpu, gpu;
        int64_t memory, gpu_memory;
        const char *word;
    } cases[] = {{8, 0, 0, 0, "cores"},
                 {1, 3, 0, 0, "GPUs"},
                 {1, 0.5, 0, 80LL << 30, "gpu_memory"},
                 {1, 0, 100LL << 30, 0, "memory"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpt__demand d;
        cr_assert_eq(hpt__demand_make(&d, cases[i].cpu, cases[i].memory, cases[i].gpu, cases[i].gpu_memory), 0);
        cr_assert_eq(hpt__ledger_check(&l, &d), HPT_E_ARG, "case %zu", i);
        cr_assert(strstr(hpt_last_error(), cases[i].word), "case %zu: %s", i, hpt_last_error());
        cr_assert_eq(hpt__ledger_capacity(&l, &d, 100), 0);
    }
    hpt__ledger_fini(&l);
    hpt__ledger none;
    machine(&none, 4, 0, 0);
    const hpt__demand gpu = demand(1, 0.5, 0);
    cr_assert_eq(hpt__ledger_check(&none, &gpu), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "--gpus"));
    hpt__ledger_fini(&none);
}

Test(devices_ledger, senseless_numbers_are_no_demand)
{
    static const double cpu[] = {0, -1, 1e9, (double)NAN};
    static const double gpu[] = {-0.5, 1.5, 65, 1e-9, (double)NAN};
    hpt__demand d;
    for (size_t i = 0; i < sizeof cpu / sizeof *cpu; i++)
        cr_assert_eq(hpt__demand_make(&d, cpu[i], 0, 0, 0), HPT_E_ARG, "cpu %g", cpu[i]);
    for (size_t i = 0; i < sizeof gpu / sizeof *gpu; i++)
        cr_assert_eq(hpt__demand_make(&d, 1, 0, gpu[i], 0), HPT_E_ARG, "gpu %g", gpu[i]);
}

// ---- MIG instances, parts of a device, exclusive devices, the engine

static hpt__ledger mixed(void) { // two GPUs of 40 and 80 GiB, three instances of 10, 10 and 20 GiB
    static const struct {
        const char *profile;
        int64_t gib;
    } gpus[] = {{"", 40}, {"", 80}, {"1g.10gb", 10}, {"1g.10gb", 10}, {"2g.20gb", 20}};
    hpt_device_info d[6] = {{.kind = "cpu", .memory_bytes = 64 * GIB, .capacity = 64}};
    hpt__ledger l;
    for (int i = 0; i < 5; i++) {
        d[i + 1] = (hpt_device_info){.kind = "gpu", .memory_bytes = gpus[i].gib * GIB, .capacity = 1};
        strcpy(d[i + 1].profile, gpus[i].profile);
    }
    cr_assert_eq(hpt__ledger_init(&l, d, 6), 0);
    return l;
}

Test(devices_ledger, a_profile_asks_for_an_instance_of_that_size_and_for_no_other)
{
    hpt__ledger l = mixed();
    hpt__grant g;
    hpt__demand d = demand(1, 0, 0);
    cr_assert_eq(hpt__demand_instance(&d, "1g.10gb"), 0);
    cr_assert_eq(hpt__ledger_check(&l, &d), 0);
    cr_assert_eq(hpt__ledger_capacity(&l, &d, 100), 2);
    cr_assert(hpt__ledger_take(&g, &l, &d) && g.gpus[0] == 2 && g.gpu_memory[0] == 10 * GIB);
    cr_assert(hpt__ledger_take(&g, &l, &d) && g.gpus[0] == 3);
    cr_assert_not(hpt__ledger_take(&g, &l, &d), "there are two");
    cr_assert_eq(hpt__demand_instance(&d, "3g.40gb"), 0);
    cr_assert_eq(hpt__ledger_check(&l, &d), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "3g.40gb") && strstr(hpt_last_error(), "1g.10gb, 2g.20gb"), "%s",
              hpt_last_error());
    static const char *const bad[] = {"", "1g", "g.10gb", "1g.gb", "1g.10", "1g.10gbx", "1g.10gb+", "x1g.10gb", "half"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(hpt__demand_instance(&d, bad[i]), HPT_E_ARG, "'%s'", bad[i]);
    cr_assert(hpt__is_mig_profile("7g.80gb") && hpt__is_mig_profile("1c.3g.40gb") && hpt__is_mig_profile("1g.10gb+me"));
    hpt__ledger_fini(&l);
}

Test(devices_ledger, several_gpus_never_come_from_mig_instances)
{
    hpt__ledger l = mixed();
    hpt__grant g;
    const hpt__demand two = demand(1, 2, 0), three = demand(1, 3, 0);
    cr_assert_eq(hpt__ledger_check(&l, &three), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "has 2 that one process can use together"), "%s", hpt_last_error());
    cr_assert(hpt__ledger_take(&g, &l, &two));
    cr_assert(g.gpus[0] + g.gpus[1] == 1, "the two GPUs");
    hpt__ledger_fini(&l);
}

Test(devices_ledger, a_small_trial_leaves_the_large_device_free)
{
    hpt__ledger l = mixed();
    hpt__grant g;
    const hpt__demand small = demand(1, 0.1, 8 * GIB), large = demand(1, 0.1, 70 * GIB);
    cr_assert(hpt__ledger_take(&g, &l, &small) && g.gpus[0] == 2, "best fit: the smallest that holds it");
    cr_assert(hpt__ledger_take(&g, &l, &large) && g.gpus[0] == 1);
    l.policy = HPT__SPREAD;
    cr_assert(hpt__ledger_take(&g, &l, &small) && g.gpus[0] == 0, "worst fit: where the most is left");
    hpt__ledger_fini(&l);
}

Test(devices_ledger, spread_puts_each_trial_on_another_device_before_any_shares)
{
    hpt__ledger l;
    hpt__grant g;
    machine(&l, 100, 4, 40 * GIB);
    l.policy = HPT__SPREAD;
    const hpt__demand quarter = demand(1, 0.25, 0);
    for (int i = 0; i < 16; i++) {
        cr_assert(hpt__ledger_take(&g, &l, &quarter));
        cr_assert_eq(g.gpus[0], i % 4);
    }
    cr_assert_not(hpt__ledger_take(&g, &l, &quarter));
    hpt__ledger_fini(&l);
}

Test(devices_ledger, a_part_of_a_device_is_all_there_is_to_share)
{
    hpt__ledger l;
    hpt__grant g;
    machine(&l, 100, 1, 0);
    hpt_device_info d[2] = {{.kind = "cpu", .capacity = 100}, l.gpus[0].info};
    hpt__ledger_fini(&l);
    d[1].capacity = 0.25;
    d[1].memory_bytes = 10 * GIB;
    cr_assert_eq(hpt__ledger_init(&l, d, 2), 0);
    const hpt__demand eighth = demand(1, 0.125, 0), half = demand(1, 0.5, 0);
    cr_assert_eq(hpt__ledger_capacity(&l, &eighth, 100), 2);
    cr_assert(hpt__ledger_take(&g, &l, &eighth) && g.gpu_memory[0] == 5 * GIB, "half of the part's memory");
    cr_assert_eq(hpt__ledger_check(&l, &half), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "only 0.25 of one is ours"), "%s", hpt_last_error());
    hpt__ledger_fini(&l);
    d[1].capacity = 0;
    cr_assert_eq(hpt__ledger_init(&l, d, 2), 0);
    cr_assert_eq(hpt__ledger_check(&l, &eighth), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "nothing can run on"), "%s", hpt_last_error());
    hpt__ledger_fini(&l);
}

Test(devices_ledger, a_device_for_one_process_is_not_shared)
{
    hpt__ledger l;
    hpt__grant g;
    machine(&l, 100, 1, 40 * GIB);
    hpt_device_info d[2] = {{.kind = "cpu", .capacity = 100}, l.gpus[0].info};
    hpt__ledger_fini(&l);
    strcpy(d[1].compute_mode, "exclusive_process");
    cr_assert_eq(hpt__ledger_init(&l, d, 2), 0);
    const hpt__demand quarter = demand(1, 0.25, 0);
    cr_assert_eq(hpt__ledger_capacity(&l, &quarter, 100), 1);
    cr_assert(hpt__ledger_take(&g, &l, &quarter));
    hpt__grant second;
    cr_assert_not(hpt__ledger_take(&second, &l, &quarter));
    hpt__ledger_fini(&l);
    d[1].mps = 1; // through an MPS server all clients are one process to the device
    cr_assert_eq(hpt__ledger_init(&l, d, 2), 0);
    cr_assert_eq(hpt__ledger_capacity(&l, &quarter, 100), 4);
    hpt__ledger_fini(&l);
}

Test(devices_ledger, what_the_engine_keeps_is_not_granted)
{
    hpt__ledger l;
    hpt__grant g;
    machine(&l, 100, 2, 40 * GIB);
    cr_assert_eq(hpt__ledger_engine(&l, 0, 4 * GIB), 0);
    const hpt__demand quarter = demand(1, 0.25, 0), all = demand(1, 1, 40 * GIB);
    for (int i = 0; i < 8; i++) {
        cr_assert(hpt__ledger_take(&g, &l, &quarter), "shares are of what is left, so four fit all the same");
        cr_assert_eq(g.gpu_memory[0], (g.gpus[0] == 0 ? 9 : 10) * GIB);
    }
    hpt__ledger_fini(&l);
    machine(&l, 100, 1, 40 * GIB);
    cr_assert_eq(hpt__ledger_engine(&l, 0, 4 * GIB), 0);
    cr_assert_eq(hpt__ledger_check(&l, &all), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "36.0 GiB for trials"), "%s", hpt_last_error());
    cr_assert_eq(hpt__ledger_engine(&l, 0, 40 * GIB), HPT_E_ARG);
    cr_assert_eq(hpt__ledger_engine(&l, 1, 1), HPT_E_ARG);
    hpt__ledger_fini(&l);
}

// Random takes and gives of different demands: never over any device's sum, and everything comes back.
Test(devices_ledger, no_device_is_ever_oversubscribed)
{
    hpt__rng rng;
    hpt__rng_init(&rng, 7, 0);
    for (int round = 0; round < 20; round++) {
        hpt__ledger l;
        static hpt__grant held[64];
        int64_t n = 0;
        machine(&l, 8, 1 + hpt__rng_below(&rng, 4), 40 * GIB);
        for (int step = 0; step < 500; step++) {
            if (n > 0 && hpt__rng_below(&rng, 3) == 0) {
                const int64_t i = hpt__rng_below(&rng, n);
                hpt__ledger_give(&l, &held[i]);
                held[i] = held[--n];
            } else if (n < 64) {
                const double gpu = hpt__rng_below(&rng, 5) == 0 ? (double)(1 + hpt__rng_below(&rng, 2))
                                                                : 0.05 + 0.9 * hpt__rng_uniform(&rng);
                const hpt__demand d = demand(0.1 + hpt__rng_uniform(&rng), gpu,
                                             hpt__rng_below(&rng, 2) * (1 + hpt__rng_below(&rng, 30)) * GIB);
                if (hpt__ledger_take(&held[n], &l, &d)) n++;
            }
            int64_t used[8] = {0}, memory[8] = {0}, cpu = 0;
            for (int64_t i = 0; i < n; i++) {
                cpu += held[i].demand.cpu;
                for (int64_t k = 0; k < held[i].demand.n_gpus; k++) {
                    used[held[i].gpus[k]] += held[i].demand.gpu;
                    memory[held[i].gpus[k]] += held[i].gpu_memory[k];
                }
            }
            cr_assert(cpu <= l.cpu && cpu == l.cpu_used);
            for (int64_t k = 0; k < l.n_gpus; k++) {
                cr_assert(used[k] <= HPT__GPU_UNITS && used[k] == l.gpus[k].used);
                cr_assert(memory[k] <= 40 * GIB && memory[k] == l.gpus[k].memory_used);
            }
        }
        while (n > 0) hpt__ledger_give(&l, &held[--n]);
        cr_assert_eq(l.cpu_used, 0);
        for (int64_t k = 0; k < l.n_gpus; k++) cr_assert(l.gpus[k].used == 0 && l.gpus[k].memory_used == 0);
        hpt__ledger_fini(&l);
    }
}
