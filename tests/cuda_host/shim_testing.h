// SPDX-License-Identifier: Apache-2.0
// shim_testing.h: launches a kernel in an order, or in every order.
#ifndef HPT_SHIM_TESTING_H
#define HPT_SHIM_TESTING_H

#include <criterion/criterion.h>

#include "shim_run.h"

static const char *const shim_orders[] = {"forward", "reverse", "random:1", "random:2", "random:77"};
enum { SHIM_ORDERS = sizeof shim_orders / sizeof shim_orders[0] };

static inline int shim_try(const char *order, const shim_kernel *k, unsigned grid, unsigned block, const void *args,
                           char *why, size_t size) {
    const unsigned grids[3] = {grid, 1, 1}, blocks[3] = {block, 1, 1};
    cr_assert_eq(shim_set_order(order), 0);
    why[0] = 0;
    return shim_launch(k, grids, blocks, args, why, size);
}

static inline void shim_do(const char *order, const shim_kernel *k, unsigned grid, unsigned block, const void *args) {
    char why[300];
    const int rc = shim_try(order, k, grid, block, args, why, sizeof why);
    cr_assert_eq(rc, 0, "%s: %s", order, why);
}

#endif
