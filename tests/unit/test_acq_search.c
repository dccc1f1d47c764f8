// SPDX-License-Identifier: Apache-2.0
// test_acq_search.c: the search against brute force, and what it must never give.
#include "acq_testing.h"

static double bowls(const double *x, const hpt_space *space) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++) sum += sin(7 * x[i] + (double)i) + (x[i] - 0.6) * (x[i] - 0.6);
    return sum;
}

// The largest value on a grid of k points an axis.
static double brute(gp_lab *l, const hpt__acq *acq, int64_t k) {
    enum { CHUNK = 512 };
    static double rows[CHUNK * 3], values[CHUNK];
    static uint64_t masks[CHUNK];
    const int64_t d = l->code.cov.d;
    int64_t total = 1, m = 0;
    double best = -INFINITY;
    for (int64_t c = 0; c < d; c++) total *= k;
    for (int64_t i = 0; i < total; i++) {
        for (int64_t c = 0, r = i; c < d; c++, r /= k) rows[m * d + c] = (double)(r % k) / (double)(k - 1);
        masks[m++] = 1;
        if (m < CHUNK && i + 1 < total) continue;
        OK(hpt__model_acquire(hpt__gp_model(l->gp), acq, rows, masks, m, values, NULL));
        for (int64_t j = 0; j < m; j++) best = fmax(best, values[j]);
        m = 0;
    }
    return best;
}

Test(acq_search, finds_what_a_fine_grid_finds)
{
    static const int64_t axis[] = {0, 4001, 201, 41};
    for (int64_t d = 1; d <= 3; d++) {
        for (uint64_t seed = 0; seed < 4; seed++) {
            gp_lab l;
            double row[3], value;
            uint64_t mask;
            gp_lab_open(&l, unit_box(d), NAN);
            gp_lab_fill(&l, bowls, 5 * d + 3, seed);
            const hpt__acq kinds[] = {gp_lab_logei(&l), {.kind = HPT__ACQ_LCB, .beta = 1.8}, {.kind = HPT__ACQ_MEAN}};
            for (int i = 0; i < 3; i++) {
                OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &kinds[i], NULL, &l.options, &l.rng));
                const double grid = brute(&l, &kinds[i], axis[d]);
                cr_expect_geq(value, grid - 1e-3, "d %d seed %d kind %d: %g, grid %g", (int)d, (int)seed, i, value,
                              grid);
            }
            gp_lab_close(&l);
        }
    }
}

static hpt_space *int_grid(int64_t a, int64_t b) {
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "a", 1, a, 1, 0));
    OK(hpt_space_add_int(s, "b", 1, b, 1, HPT_LOG));
    return s;
}

static double plane(const double *x, const hpt_space *space) {
    (void)space;
    return fabs(x[0] - 3) + 0.5 * fabs(x[1] - 2);
}

Test(acq_search, gives_each_point_of_a_small_grid_once_and_then_says_so)
{
    gp_lab l;
    double row[2], value, point[2];
    uint64_t mask;
    bool had[7][6] = {{false}};
    gp_lab_open(&l, int_grid(6, 5), NAN);
    gp_lab_fill(&l, plane, 4, 1);
    for (int64_t i = 0; i < 4; i++) {
        hpt__gp_decode(point, &l.code, hpt__gp_rows(l.gp) + 2 * i);
        had[(int)point[0]][(int)point[1]] = true;
    }
    int left = 30;
    for (int i = 1; i <= 6; i++)
        for (int j = 1; j <= 5; j++) left -= had[i][j];
    for (; left > 0; left--) {
        const hpt__acq acq = gp_lab_logei(&l);
        OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
        hpt__gp_decode(point, &l.code, row);
        cr_assert_not(had[(int)point[0]][(int)point[1]], "%g %g again", point[0], point[1]);
        had[(int)point[0]][(int)point[1]] = true;
        gp_lab_tell(&l, point, plane(point, l.space));
        cr_assert_geq(hpt__gp_ready(l.gp), 0);
    }
    const hpt__acq acq = gp_lab_logei(&l);
    cr_expect_eq(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng), HPT_S_EXHAUSTED);
    gp_lab_close(&l);
}

Test(acq_search, finds_the_last_points_of_a_crowded_grid)
{
    enum { A = 60, B = 50 };
    gp_lab l;
    static double rows[A * B * 2];
    static uint64_t masks[A * B];
    double row[2], value, point[2];
    uint64_t mask;
    int64_t m = 0;
    gp_lab_open(&l, int_grid(A, B), NAN);
    gp_lab_fill(&l, plane, 12, 1);
    for (int a = 1; a <= A; a++) {
        for (int b = 1; b <= B; b++) {
            if (a == 33 && b == 7) continue;
            point[0] = a;
            point[1] = b;
            hpt__gp_encode(rows + 2 * m, &masks[m], &l.code, point);
            m++;
        }
    }
    l.options.excluded = rows;
    l.options.excluded_mask = masks;
    l.options.n_excluded = m;
    const hpt__acq acq = gp_lab_logei(&l);
    OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
    hpt__gp_decode(point, &l.code, row);
    cr_expect(point[0] == 33 && point[1] == 7, "%g %g", point[0], point[1]);
    gp_lab_tell(&l, point, 1);
    cr_assert_geq(hpt__gp_ready(l.gp), 0);
    cr_expect_eq(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng), HPT_S_EXHAUSTED);
    gp_lab_close(&l);
}

Test(acq_search, pending_points_are_not_given_again)
{
    gp_lab l;
    double row[2], value;
    uint64_t mask;
    gp_lab_open(&l, int_grid(6, 5), NAN);
    gp_lab_fill(&l, plane, 6, 1);
    double rows[3][2];
    for (int i = 0; i < 3; i++) {
        const hpt__acq acq = gp_lab_logei(&l);
        OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
        memcpy(rows[i], row, sizeof row);
        for (int j = 0; j < i; j++) cr_expect(fabs(rows[j][0] - row[0]) + fabs(rows[j][1] - row[1]) > 1e-6);
        cr_assert_geq(hpt__gp_add_pending(l.gp, row, mask), 0);
    }
    gp_lab_close(&l);
}

// Branches with their own parameters; the best is branch c with m = 5, choice q, z = 0.25.
static hpt_space *branches(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "branch", LIST("a", "b", "c")));
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "z", 1e-4, 1, 0, HPT_LOG));
    OK(hpt_space_add_int(s, "m", 1, 9, 1, 0));
    OK(hpt_space_add_categorical(s, "kind", LIST("p", "q", "r", "s")));
    OK(hpt_space_add_condition(s, "y", "branch", LIST("b")));
    OK(hpt_space_add_condition(s, "z", "branch", LIST("c")));
    OK(hpt_space_add_condition(s, "m", "branch", LIST("c")));
    return s;
}

static double tree(const double *p, const hpt_space *space) {
    (void)space;
    const double common = (p[1] - 0.3) * (p[1] - 0.3) + (p[5] == 1 ? 0 : 0.4);
    if (p[0] == 0) return 1 + common;
    if (p[0] == 1) return 0.8 + common + (p[2] - 0.7) * (p[2] - 0.7);
    return common + 0.2 * pow(log10(p[3]) + 2, 2) + 0.05 * fabs(p[4] - 5);
}

Test(acq_search, moves_between_branches_choices_and_grids)
{
    gp_lab l;
    double row[6], value, point[6];
    uint64_t mask;
    gp_lab_open(&l, branches(), NAN);
    gp_lab_fill(&l, tree, 40, 5);
    const hpt__acq acq = {.kind = HPT__ACQ_MEAN};
    OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
    hpt__gp_decode(point, &l.code, row);
    int64_t bad = -1;
    cr_assert(hpt__space_check(l.space, point, &bad));
    // Brute force over everything: many random points, none of which is better.
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 1);
    for (int i = 0; i < 20000; i++) {
        double other[6], other_row[6], v;
        uint64_t other_mask;
        blank(other, l.space);
        hpt__sampler_fill_random(other, l.space, &rng);
        hpt__gp_encode(other_row, &other_mask, &l.code, other);
        OK(hpt__model_acquire(hpt__gp_model(l.gp), &acq, other_row, &other_mask, 1, &v, NULL));
        cr_assert_leq(v, value + 1e-3, "branch %g beats branch %g", other[0], point[0]);
    }
    cr_expect_eq(point[0], 2);
    cr_expect_eq(point[5], 1);
    gp_lab_close(&l);
}

Test(acq_search, keeps_locked_and_fixed_parameters)
{
    gp_lab l;
    double row[6], value, point[6], fixed[6];
    uint64_t mask;
    gp_lab_open(&l, branches(), NAN);
    gp_lab_fill(&l, tree, 40, 5);
    const hpt__acq acq = gp_lab_logei(&l);
    for (int branch = 0; branch < 3; branch++) {
        blank(fixed, l.space);
        fixed[1] = 0.9;
        fixed[5] = 2;
        l.options.lock_param = 0;
        l.options.lock_value = branch;
        OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, fixed, &l.options, &l.rng));
        hpt__gp_decode(point, &l.code, row);
        cr_expect_eq(point[0], branch);
        cr_expect_float_eq(point[1], 0.9, 1e-12);
        cr_expect_eq(point[5], 2);
        cr_expect_eq(isnan(point[2]), branch != 1);
        cr_expect_eq(isnan(point[3]), branch != 2);
    }
    gp_lab_close(&l);
}

Test(acq_search, stays_in_its_trust_region)
{
    gp_lab l;
    double row[3], value;
    uint64_t mask;
    gp_lab_open(&l, unit_box(3), NAN);
    gp_lab_fill(&l, bowls, 20, 5);
    const double centre[] = {0.05, 0.5, 0.9}, half[] = {0.1, 0.02, 0.3};
    l.options.centre = centre;
    l.options.half_width = half;
    for (int i = 0; i < 5; i++) {
        const hpt__acq acq = {.kind = i % 2 ? HPT__ACQ_SD : HPT__ACQ_LCB, .beta = 3};
        OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
        for (int c = 0; c < 3; c++)
            cr_expect(row[c] >= 0 && row[c] <= 1 && fabs(row[c] - centre[c]) <= half[c] + 1e-12, "column %d: %g", c,
                      row[c]);
    }
    gp_lab_close(&l);
}

Test(acq_search, the_same_state_gives_the_same_bits)
{
    double rows[2][6], values[2];
    uint64_t masks[2];
    for (int i = 0; i < 2; i++) {
        gp_lab l;
        gp_lab_open(&l, branches(), NAN);
        gp_lab_fill(&l, tree, 25, 5);
        const hpt__acq acq = gp_lab_logei(&l);
        OK(hpt__acq_search(rows[i], &masks[i], &values[i], l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
        gp_lab_close(&l);
    }
    cr_expect_arr_eq(rows[0], rows[1], sizeof rows[0]);
    cr_expect_eq(values[0], values[1]);
    cr_expect_eq(masks[0], masks[1]);
}

static double square(const double *x, const hpt_space *space) {
    (void)space;
    return (x[0] - 0.4) * (x[0] - 0.4);
}

Test(acq_search, does_not_polish_an_optimum_that_is_known)
{
    gp_lab l;
    double row[1], value;
    uint64_t mask;
    gp_lab_open(&l, unit_box(1), NAN);
    gp_lab_fill(&l, square, 8, 2);
    for (int i = 0; i < 12; i++) {
        const hpt__acq acq = gp_lab_logei(&l);
        OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
        if (value < log(1e-5))
            for (int64_t j = 0; j < l.n; j++)
                cr_expect_gt(fabs(row[0] - hpt__gp_rows(l.gp)[j]), 0.999e-3, "trial %d polishes", i);
        gp_lab_tell(&l, row, square(row, l.space));
        cr_assert_geq(hpt__gp_ready(l.gp), 0);
    }
    gp_lab_close(&l);
}

Test(acq_search, the_incumbent_of_a_noisy_model_is_the_smallest_mean)
{
    gp_lab l;
    gp_lab_open(&l, unit_box(1), 0.5);
    // A lucky value among bad ones, and a good region.
    for (int i = 0; i < 20; i++) {
        const double x = (i + 0.5) / 20;
        gp_lab_tell(&l, &x, i == 3 ? -1 : x > 0.6 && x < 0.8 ? -0.6 : 1);
    }
    cr_assert_geq(hpt__gp_fit(l.gp, true), 0);
    cr_assert_geq(hpt__gp_ready(l.gp), 0);
    double best;
    int64_t index;
    OK(hpt__acq_incumbent(&best, &index, l.gp));
    const double x = hpt__gp_rows(l.gp)[index];
    cr_expect(x > 0.55 && x < 0.85, "incumbent at %g", x);
    gp_lab_close(&l);
}

Test(acq_search, an_allocation_that_fails_is_an_error_and_leaks_nothing)
{
    gp_lab l;
    double row[6], value;
    uint64_t mask;
    gp_lab_open(&l, branches(), NAN);
    gp_lab_fill(&l, tree, 15, 5);
    l.options.n_global = 64;
    l.options.n_local = 32;
    l.options.n_starts = 3;
    const hpt__acq acq = gp_lab_logei(&l);
    OK(hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng));
    for (int64_t k = 0;; k++) {
        failing f = {.left = k};
        hpt__alloc_set_hook(fail_kth, &f);
        int rc = hpt__acq_search(row, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng);
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect_eq(rc, f.failed ? HPT_E_MEMORY : 0, "allocation %d: %d", (int)k, rc);
        if (!f.failed) break;
    }
    gp_lab_close(&l);
}
