// SPDX-License-Identifier: Apache-2.0
// test_space_grid.c: numbering finite spaces, against brute force.
#include "core/base/rng.h"
#include "core/space/grid.h"
#include "space_testing.h"
#include <stdlib.h>

static hpt__grid *grid(const hpt_space *s) {
    hpt__grid *g = NULL;
    OK(hpt__grid_create(&g, s));
    return g;
}

Test(space_grid, without_conditions_it_is_the_product_over_sorted_names_with_the_last_fastest)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "c", 1, 3, 1, 0));
    OK(hpt_space_add_categorical(s, "a", LIST("x", "y")));
    OK(hpt_space_add_float(s, "b", 0, 0.3, 0.1, 0));
    OK(hpt_space_add_constant(s, "B", "1"));
    hpt__grid *g = grid(s);
    cr_assert_eq(hpt__grid_size(g), 2 * 4 * 3);
    int64_t i = 0;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 4; b++)
            for (int c = 1; c <= 3; c++) {
                double point[4];
                hpt__grid_point(point, g, i++);
                cr_expect(point[1] == a && point[0] == c && point[3] == 0 &&
                          point[2] == hpt__param_value_at(&s->params[2], b));
            }
    cr_expect_eq(hpt_space_cardinality(s), 24);
    hpt__grid_destroy(g);
    hpt_space_destroy(s);
}

Test(space_grid, a_space_of_10_to_the_15_points_costs_nothing)
{
    hpt_space *s = new_space();
    char name[16];
    for (int k = 0; k < 15; k++) {
        snprintf(name, sizeof name, "p%02d", k);
        OK(hpt_space_add_int(s, name, 0, 9, 1, 0));
    }
    hpt__grid *g = grid(s);
    cr_expect_eq(hpt__grid_size(g), INT64_C(1000000000000000));
    double point[15];
    hpt__grid_point(point, g, INT64_C(123456789012345));
    const int digits[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5};
    for (int k = 0; k < 15; k++) cr_expect_eq(point[k], digits[k]);
    hpt__grid_point(point, g, INT64_C(999999999999999));
    for (int k = 0; k < 15; k++) cr_expect_eq(point[k], 9);
    hpt__grid_destroy(g);
    hpt_space_destroy(s);
}

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, 8 * sizeof(double));
}

// All points by trying every combination of all parameters, masked, duplicates removed. Rows of 8 doubles.
static int64_t brute_force(double (*rows)[8], const hpt_space *s) {
    int64_t total = 1, kept = 0;
    for (int64_t i = 0; i < s->d; i++) total *= hpt__param_cardinality(&s->params[i]);
    for (int64_t t = 0; t < total; t++) {
        int64_t rest = t;
        for (int64_t i = 0; i < s->d; i++) {
            const int64_t n = hpt__param_cardinality(&s->params[i]);
            rows[t][i] = hpt__param_value_at(&s->params[i], rest % n);
            rest /= n;
        }
        hpt__space_mask(s, rows[t]);
        for (int i = 0; i < 8; i++)
            if (i >= s->d || isnan(rows[t][i])) rows[t][i] = -1; // comparable by bytes; no parameter has -1
    }
    qsort(rows, (size_t)total, sizeof *rows, by_bytes);
    for (int64_t t = 0; t < total; t++)
        if (t == 0 || by_bytes(rows[t], rows[t - 1]) != 0) memmove(rows[kept++], rows[t], sizeof *rows);
    return kept;
}

Test(space_grid, conditional_spaces_list_every_active_combination_once)
{
    enum { ROWS = 1 << 14 };
    double(*want)[8] = calloc(ROWS, sizeof *want), (*got)[8] = calloc(ROWS, sizeof *got);
    int64_t conditional = 0, never = 0;
    for (uint64_t seed = 0; seed < 150; seed++) {
        hpt__rng rng;
        hpt__rng_init(&rng, seed, 1);
        hpt_space *s = new_space();
        const int d = 2 + (int)hpt__rng_below(&rng, 6);
        for (int i = 0; i < d; i++) {
            char name[16];
            snprintf(name, sizeof name, "%c%d", 'a' + (int)hpt__rng_below(&rng, 26), i);
            const int64_t n = 1 + hpt__rng_below(&rng, 4);
            switch (hpt__rng_below(&rng, 3)) {
            case 0:
                OK(hpt_space_add_int(s, name, 3, 3 + 2 * (n - 1), 2, 0));
                break;
            case 1:
                OK(hpt_space_add_float(s, name, 0, 0.1 * (double)(n - 1), 0.1, 0));
                break;
            default:
                OK(hpt_space_add_categorical(s, name, (const char *const[]){"p", "q", "r", "s"}, n));
            }
        }
        for (int e = 0; e < d; e++) {
            const int64_t child = hpt__rng_below(&rng, d), parent = hpt__rng_below(&rng, d);
            const int64_t n = hpt__param_cardinality(&s->params[parent]);
            double values[2];
            for (int k = 0; k < 2; k++) values[k] = hpt__param_value_at(&s->params[parent], hpt__rng_below(&rng, n));
            int rc = hpt__space_add_condition_values(s, child, parent, values, 1 + hpt__rng_below(&rng, 2));
            conditional += rc == 0;
        }
        const int64_t n = brute_force(want, s);
        hpt__grid *g = grid(s);
        cr_assert_eq(hpt__grid_size(g), n, "seed %d: %d, brute force %d: %s", (int)seed, (int)hpt__grid_size(g), (int)n,
                     json_of(s));
        cr_expect_eq(hpt_space_cardinality(s), n);
        for (int64_t i = 0; i < n; i++) {
            int64_t bad;
            double point[8];
            hpt__grid_point(point, g, i);
            cr_assert(hpt__space_check(s, point, &bad), "seed %d, point %d", (int)seed, (int)i);
            for (int k = 0; k < 8; k++) got[i][k] = k >= d || isnan(point[k]) ? -1 : point[k];
        }
        qsort(got, (size_t)n, sizeof *got, by_bytes);
        cr_assert_eq(memcmp(got, want, (size_t)n * sizeof *got), 0, "seed %d: %s", (int)seed, json_of(s));
        hpt__grid_destroy(g);
        for (int k = 0; k < d; k++) {
            int64_t present = 0;
            for (int64_t i = 0; i < n; i++) present += want[i][k] != -1;
            never += present == 0;
        }
        hpt_space_destroy(s);
    }
    // the random spaces did hold conditions, and parameters that can never exist
    cr_expect(conditional > 200 && never > 3, "%d %d", (int)conditional, (int)never);
    free(want);
    free(got);
}

Test(space_grid, children_vary_fastest_under_their_parents_value)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "a_child", 0, 1, 1, 0));
    OK(hpt_space_add_int(s, "parent", 0, 3, 1, 0));
    OK(hpt_space_add_condition(s, "a_child", "parent", LIST("1", "2")));
    const double want[6][2] = {{NAN, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}, {NAN, 3}};
    hpt__grid *g = grid(s);
    cr_assert_eq(hpt__grid_size(g), 6);
    for (int i = 0; i < 6; i++) {
        double point[2];
        hpt__grid_point(point, g, i);
        cr_expect(same_value(point[0], want[i][0]) && same_value(point[1], want[i][1]), "%d: %g %g", i, point[0],
                  point[1]);
    }
    hpt__grid_destroy(g);
    hpt_space_destroy(s);
}

Test(space_grid, a_wide_parent_counts_by_runs_and_not_by_values)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "parent", 1, INT64_C(1000000000000), 1, 0));
    OK(hpt_space_add_int(s, "other", 0, INT64_C(999999), 1, 0));
    OK(hpt_space_add_int(s, "child", 0, 4, 1, 0));
    OK(hpt_space_add_condition(s, "child", "parent", LIST("77", "78")));
    OK(hpt_space_add_condition(s, "child", "other", LIST("5")));
    const int64_t n = INT64_C(1000000000000) * 1000000 + 2 * 4;
    cr_expect_eq(hpt_space_cardinality(s), n);
    hpt__grid *g = grid(s);
    for (int64_t i = 0; i < n; i += n / 1009) {
        int64_t bad;
        double point[3];
        hpt__grid_point(point, g, i);
        cr_assert(hpt__space_check(s, point, &bad));
    }
    hpt__grid_destroy(g);
    hpt_space_destroy(s);
}

Test(space_grid, spaces_that_cannot_be_counted_say_why)
{
    hpt__grid *g = NULL;
    hpt_space *s = new_space();
    char name[16];
    cr_expect_eq(hpt_space_cardinality(s), 1); // one point without parameters
    OK(hpt_space_add_int(s, "n", 0, 1, 1, 0));
    OK(hpt_space_add_float(s, "fixed", 2, 2, 0, 0));
    cr_expect_eq(hpt_space_cardinality(s), 2);
    OK(hpt_space_add_float(s, "lr", 0, 1, 0, 0));
    cr_expect_eq(hpt_space_cardinality(s), -1);
    cr_expect_eq(hpt_space_cardinality(NULL), -1);
    FAILS(HPT_E_ARG, "'lr'", hpt__grid_create(&g, s));
    cr_expect(strstr(hpt_last_error(), "hpt:step"));
    hpt_space_destroy(s);
    s = new_space();
    for (int k = 0; k < 62; k++) {
        snprintf(name, sizeof name, "p%d", k);
        OK(hpt_space_add_int(s, name, 0, 1, 1, 0));
    }
    cr_expect_eq(hpt_space_cardinality(s), INT64_C(1) << 62);
    OK(hpt_space_add_int(s, "one", 0, 1, 1, 0));
    cr_expect_eq(hpt_space_cardinality(s), -1);
    FAILS(HPT_E_UNSUPPORTED, "2^62", hpt__grid_create(&g, s));
    hpt_space_destroy(s);
    s = new_space();
    for (int k = 0; k < 21; k++) { // 21 parents of one child: 2^21 joint cases
        snprintf(name, sizeof name, "p%d", k);
        OK(hpt_space_add_int(s, name, 0, 1, 1, 0));
    }
    OK(hpt_space_add_int(s, "child", 0, 1, 1, 0));
    for (int k = 0; k < 21; k++) OK(hpt_space_add_condition(s, "child", hpt_space_name(s, k), LIST("1")));
    FAILS(HPT_E_UNSUPPORTED, "2^20", hpt__grid_create(&g, s));
    cr_expect_eq(hpt_space_cardinality(s), -1);
    cr_expect_null(g);
    hpt_space_destroy(s);
    hpt__grid_destroy(NULL);
}
