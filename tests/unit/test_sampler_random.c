// SPDX-License-Identifier: Apache-2.0
// test_sampler_random.c: the distribution of random points.
#include "sampler_testing.h"

enum { DRAWS = 20000 };

// Kolmogorov-Smirnov distance of v[0..n) from the uniform distribution on [0, 1].
static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double distance_from_uniform(double *v, int64_t n) {
    double worst = 0;
    qsort(v, (size_t)n, sizeof *v, ascending);
    for (int64_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs(v[i] - (double)i / (double)n));
        worst = fmax(worst, fabs(v[i] - (double)(i + 1) / (double)n));
    }
    return worst;
}

Test(sampler_random, floats_are_uniform_and_log_floats_log_uniform)
{
    lab l;
    double point[2];
    const char *by;
    static double x[DRAWS], y[DRAWS];
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "x", -3, 5, 0, 0));
    OK(hpt_space_add_float(s, "y", 1e-4, 1e2, 0, HPT_LOG));
    lab_open(&l, s, "random", 17);
    for (int64_t n = 0; n < DRAWS; n++) {
        blank(point, s);
        OK(l.ops->suggest(point, &by, l.state, &l.table, n));
        cr_expect_str_eq(by, "random");
        x[n] = (point[0] + 3) / 8;
        y[n] = log(point[1] / 1e-4) / log(1e6);
    }
    // 1.95 / sqrt(n): one seed in a thousand exceeds it.
    cr_expect_lt(distance_from_uniform(x, DRAWS), 1.95 / sqrt(DRAWS));
    cr_expect_lt(distance_from_uniform(y, DRAWS), 1.95 / sqrt(DRAWS));
    lab_close(&l);
}

Test(sampler_random, every_value_of_a_grid_comes_equally_often)
{
    lab l;
    double point[2];
    const char *by;
    int64_t n_int[7] = {0}, n_cat[3] = {0};
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "n", 1, 7, 1, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c")));
    lab_open(&l, s, "random", 3);
    for (int64_t n = 0; n < DRAWS; n++) {
        blank(point, s);
        OK(l.ops->suggest(point, &by, l.state, &l.table, n));
        n_int[(int)point[0] - 1]++;
        n_cat[(int)point[1]]++;
    }
    for (int i = 0; i < 7; i++) cr_expect_lt(fabs((double)n_int[i] - DRAWS / 7.0), 5 * sqrt(DRAWS / 7.0));
    for (int i = 0; i < 3; i++) cr_expect_lt(fabs((double)n_cat[i] - DRAWS / 3.0), 5 * sqrt(DRAWS / 3.0));
    lab_close(&l);
}

static bool never(size_t size, void *payload) {
    (void)size;
    *(int *)payload += 1;
    return false;
}

Test(sampler_random, a_suggestion_allocates_nothing)
{
    lab l;
    double point[MAX_D];
    const char *by;
    int count = 0;
    lab_open(&l, mixed_space(), "random", 1);
    hpt__alloc_set_hook(never, &count);
    for (int64_t n = 0; n < 100; n++) OK(lab_suggest(point, &by, &l));
    hpt__alloc_set_hook(NULL, NULL);
    cr_expect_eq(count, 0);
    lab_close(&l);
}
