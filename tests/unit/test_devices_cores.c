// SPDX-License-Identifier: Apache-2.0
// test_devices_cores.c: which cores trials get.
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/devices/cores.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A machine of `nodes` nodes with `per_node` cores each; every other number is missing, as under a batch system.
static hpt__cores machine(int nodes, int per_node) {
    hpt__cores c = {.n = nodes * per_node};
    c.items = hpt__calloc((size_t)c.n, sizeof *c.items);
    cr_assert(c.items);
    for (int i = 0; i < c.n; i++) c.items[i] = (hpt__core){.id = 2 * i, .node = i / per_node, .holder = -1, .lock = -1};
    return c;
}

static int64_t held(const hpt__cores *c, int64_t holder) {
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++) n += c->items[i].holder == holder;
    return n;
}

Test(devices_cores, any_order_of_taking_and_giving_keeps_the_sets_disjoint_and_whole)
{
    enum { HOLDERS = 12 };
    hpt__cores c = machine(3, 8);
    int64_t has[HOLDERS] = {0}, used = 0;
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 1);
    for (int step = 0; step < 20000; step++) {
        const int64_t h = hpt__rng_below(&rng, HOLDERS), n = 1 + hpt__rng_below(&rng, 10);
        if (has[h] > 0) {
            hpt__cores_give(&c, h);
            used -= has[h];
            has[h] = 0;
        } else {
            const bool got = hpt__cores_take(&c, h, n);
            cr_assert_eq(got, used + n <= c.n, "step %d", step);
            has[h] = got ? n : 0;
            used += has[h];
        }
        for (int64_t k = 0; k < HOLDERS; k++) cr_assert_eq(held(&c, k), has[k]);
        cr_assert_eq(held(&c, -1), c.n - used);
    }
    hpt__cores_fini(&c);
}

Test(devices_cores, a_set_lies_on_one_node_where_one_has_room_and_fills_nodes_up)
{
    hpt__cores c = machine(2, 4);
    cpu_set_t mask[HPT__CORE_SETS];
    hpt__str text = HPT__STR_INIT;
    cr_assert(hpt__cores_take(&c, 0, 3)); // node 0
    cr_assert(hpt__cores_take(&c, 1, 2)); // node 1: node 0 has one left
    cr_assert(hpt__cores_take(&c, 2, 1)); // node 0: the fullest with room
    hpt__cores_text(&text, &c, 2);
    cr_assert_str_eq(hpt__str_text(&text), "6");
    hpt__str_clear(&text);
    hpt__cores_text(&text, &c, 1);
    cr_assert_str_eq(hpt__str_text(&text), "8,10");
    cr_assert(!hpt__cores_take(&c, 3, 3));
    cr_assert_eq(held(&c, 3), 0, "a request that cannot be met holds nothing");
    cr_assert(!hpt__cores_mask(mask, &c, 3));
    hpt__cores_give(&c, 0);
    cr_assert(hpt__cores_take(&c, 3, 5), "over two nodes where no node has room");
    cr_assert(hpt__cores_mask(mask, &c, 3));
    cr_assert_eq(CPU_COUNT_S(sizeof mask, mask), 5);
    hpt__str_fini(&text);
    hpt__cores_fini(&c);
}

Test(devices_cores, neighbouring_cores_are_written_as_a_range)
{
    hpt__cores c = machine(1, 4);
    hpt__str text = HPT__STR_INIT;
    const int ids[] = {0, 1, 2, 1030}; // beyond one cpu_set_t
    for (int i = 0; i < 4; i++) c.items[i].id = ids[i];
    cr_assert(hpt__cores_take(&c, 0, 4));
    hpt__cores_text(&text, &c, 0);
    cr_assert_str_eq(hpt__str_text(&text), "0-2,1030");
    hpt__str_fini(&text);
    hpt__cores_fini(&c);
}

Test(devices_cores, a_core_that_another_run_holds_is_not_taken)
{
    char folder[] = "/tmp/hpt-cores-test-XXXXXX", command[64];
    hpt__cores a, b;
    cr_assert(mkdtemp(folder));
    setenv("XDG_RUNTIME_DIR", folder, 1);
    cr_assert_eq(hpt__cores_init(&a), 0);
    cr_assert_eq(hpt__cores_init(&b), 0);
    cr_assert(a.n >= 1 && a.lock_dir);
    cr_assert(hpt__cores_take(&a, 0, 1));
    cr_assert_eq(hpt__cores_take(&b, 0, a.n), false, "one is a's");
    if (a.n > 1) {
        cr_assert(hpt__cores_take(&b, 0, a.n - 1));
        for (int64_t i = 0; i < a.n; i++) cr_assert(a.items[i].holder < 0 || b.items[i].holder < 0);
        hpt__cores_give(&b, 0);
    }
    hpt__cores_fini(&a); // as the end of a process does
    cr_assert(hpt__cores_take(&b, 0, b.n), "all are free again");
    hpt__cores_fini(&b);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
