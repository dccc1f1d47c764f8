// SPDX-License-Identifier: Apache-2.0
// test_sampler_tpe.c: TPE: what it depends on, what it keeps, and that it optimises. Densities: oracle_tpe.py. Groups, the
// split, and laws have files of their own.
#include "core/base/special.h"
#include "core/sampler/tpe_parzen.h"
#include "sampler_testing.h"

// ---- what it depends on

// A study's life with up to 7 running trials, told out of order, pruned, failed, with provisional rows of batches that other
// trials replace. At every step the state that lived through it and one made from nothing must agree in every bit.
static void live_and_fresh_agree(bool multivariate, bool liar, uint64_t seed) {
    lab l;
    hpt__rng rng;
    double point[MAX_D], again[MAX_D];
    int64_t running[8], n_running = 0;
    const char *by;
    int64_t n_tpe = 0;
    lab_open(&l, mixed_space(), NULL, seed);
    l.options.tpe_multivariate = multivariate;
    l.options.tpe_constant_liar = liar;
    l.ops = &hpt__sampler_tpe_ops;
    OK(l.ops->create(&l.state, &l.env));
    hpt__rng_init(&rng, seed, 1);
    for (int step = 0; step < 220; step++) {
        void *fresh = NULL;
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "tpe");
        n_tpe += strcmp(by, "tpe") == 0;
        OK(l.ops->create(&fresh, &l.env));
        blank(again, l.space);
        OK(l.ops->suggest(again, &by, fresh, &l.table, l.table.n));
        l.ops->destroy(fresh);
        cr_assert(same_points(point, again, l.space->d), "step %d", step);
        if (step % 9 == 4) { // a batch of two whose rows are taken back; then another trial gets the first number
            const int64_t n = l.table.n;
            add_row(&l.table, point, HPT_TRIAL_RUNNING);
            OK(lab_suggest(again, &by, &l));
            add_row(&l.table, again, HPT_TRIAL_RUNNING);
            OK(lab_suggest(again, &by, &l));
            hpt__trials_truncate(&l.table, n);
            blank(point, l.space);
            hpt__sampler_fill_random(point, l.space, &rng);
        }
        const int64_t row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
        if (step % 31 == 7) { // a trial of another program, outside the space
            double v = 50;
            OK(hpt__trials_set_param(&l.table, row, "lr", v, NULL));
        }
        running[n_running++] = row;
        while (n_running > (int64_t)(1 + hpt__rng_below(&rng, 7))) {
            const int64_t i = hpt__rng_below(&rng, n_running), told = running[i];
            running[i] = running[--n_running];
            const int64_t what = hpt__rng_below(&rng, 10);
            const double value = floor(hpt__rng_uniform(&rng) * 30);
            if (what == 0) {
                hpt__trials_finish(&l.table, told, HPT_TRIAL_FAIL, NULL, 0);
            } else if (what <= 2) {
                OK(hpt__trials_report(&l.table, told, what, value));
                hpt__trials_finish(&l.table, told, HPT_TRIAL_PRUNED, NULL, 0);
            } else {
                if (what == 3) OK(hpt__trials_set_attr(&l.table, told, "s:constraints", "[0.5, -1]"));
                tell(&l.table, told, value);
            }
        }
    }
    cr_expect_gt(n_tpe, 150);
    lab_close(&l);
}

Test(sampler_tpe, suggestions_do_not_depend_on_what_is_cached)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        live_and_fresh_agree(true, true, seed);
        live_and_fresh_agree(true, false, seed);
        live_and_fresh_agree(false, true, seed);
    }
}

Test(sampler_tpe, starts_at_random_until_enough_trials_are_complete_or_pruned)
{
    lab l;
    double point[MAX_D];
    const char *by;
    lab_open(&l, mixed_space(), "tpe", 4);
    for (int i = 0; i < 30; i++) {
        OK(lab_suggest(point, &by, &l));
        const int64_t n_results = l.table.counts[HPT_TRIAL_COMPLETE] + l.table.counts[HPT_TRIAL_PRUNED];
        cr_expect_str_eq(by, n_results < 10 ? "random" : "tpe");
        const int64_t row = add_row(&l.table, point, HPT_TRIAL_RUNNING);
        if (i % 4 == 0)
            hpt__trials_finish(&l.table, row, HPT_TRIAL_FAIL, NULL, 0);
        else if (i % 4 == 1)
            hpt__trials_finish(&l.table, row, HPT_TRIAL_PRUNED, NULL, 0);
        else if (i % 4 == 2)
            tell(&l.table, row, i);
    }
    cr_expect_str_eq(by, "tpe");
    lab_close(&l);
}

Test(sampler_tpe, maximising_is_minimising_the_negative)
{
    lab up, down;
    double p[MAX_D], q[MAX_D];
    const char *by;
    lab_open(&up, mixed_space(), NULL, 8);
    lab_open(&down, mixed_space(), "tpe", 8);
    up.direction[0] = HPT_MAXIMIZE;
    up.ops = &hpt__sampler_tpe_ops;
    OK(up.ops->create(&up.state, &up.env));
    for (int i = 0; i < 80; i++) {
        OK(lab_suggest(p, &by, &up));
        OK(lab_suggest(q, &by, &down));
        cr_assert(same_points(p, q, up.space->d), "trial %d", i);
        const double value = sin(3.0 * i) + p[1];
        tell(&up.table, add_row(&up.table, p, HPT_TRIAL_RUNNING), -value);
        tell(&down.table, add_row(&down.table, q, HPT_TRIAL_RUNNING), value);
    }
    lab_close(&up);
    lab_close(&down);
}

Test(sampler_tpe, several_objectives_are_refused_naming_what_to_use)
{
    lab l;
    void *state = NULL;
    lab_open(&l, mixed_space(), NULL, 1);
    l.env.k = 2;
    FAILS(HPT_E_UNSUPPORTED, "auto", hpt__sampler_tpe_ops.create(&state, &l.env));
    cr_expect_null(state);
    lab_close(&l);
}

Test(sampler_tpe, strange_ranges_stay_legal)
{
    lab l;
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "huge", -1.5e308, 1.5e308, 0, 0));
    OK(hpt_space_add_float(s, "tiny", 1e-300, 1e-299, 0, HPT_LOG));
    OK(hpt_space_add_float(s, "close", 1.0, 1.0 + 1e-12, 0, 0));
    OK(hpt_space_add_int(s, "two", 0, 1, 1, 0));
    OK(hpt_space_add_int(s, "far", -9007199254740992, 9007199254740992, 1, 0));
    OK(hpt_space_add_int(s, "far log", 1, 9007199254740992, 1, HPT_LOG));
    OK(hpt_space_add_float(s, "coarse", 0.001, 10, 3, HPT_LOG));
    lab_open(&l, s, "tpe", 2);
    double point[MAX_D];
    const char *by;
    for (int i = 0; i < 150; i++) {
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "tpe");
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING),
             i % 3   ? point[1] * 1e300
             : i % 2 ? INFINITY
                     : -INFINITY);
    }
    lab_close(&l);
}

// ---- the estimator

Test(sampler_tpe, densities_of_a_finite_group_sum_to_one)
{
    hpt_space *s = new_space();
    hpt__trials t;
    hpt__parzen e;
    const int32_t params[] = {0, 1, 2};
    OK(hpt_space_add_int(s, "n", 1, 9, 2, 0));
    OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c")));
    OK(hpt_space_add_int(s, "m", 1, 40, 1, HPT_LOG));
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    OK(hpt__parzen_init(&e, s, params, 3));
    uint8_t want[64];
    double x[5 * 3 * 40 * 3], p[5 * 3 * 40];
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 2);
    for (int rows = 0; rows < 40; rows += 13) {
        while (t.n < rows) {
            double point[3] = {NAN, NAN, NAN};
            hpt__sampler_fill_random(point, s, &rng);
            add_row(&t, point, HPT_TRIAL_COMPLETE);
        }
        memset(want, 1, sizeof want);
        OK(hpt__parzen_sync(&e, &t, want));
        int64_t q = 0;
        for (int a = 0; a < 5; a++)
            for (int b = 0; b < 3; b++)
                for (int c = 0; c < 40; c++, q++)
                    for (int j = 0; j < 3; j++)
                        x[q * 3 + j] = e.columns[j].param == 0 ? 1 + 2 * a : e.columns[j].param == 1 ? b : 1 + c;
        hpt__parzen_log_pdf(p, &e, x, q);
        double sum = 0;
        for (int64_t i = 0; i < q; i++) sum += exp(p[i]);
        cr_expect_float_eq(sum, 1, 1e-10, "%d rows: %.17g", rows, sum);
        // Drawing agrees with the density: the mass of the likeliest points against their frequency.
        enum { DRAWS = 20000 };
        static double drawn[DRAWS * 3];
        int64_t counts[5 * 3 * 40] = {0};
        hpt__parzen_draw(drawn, &e, &rng, DRAWS, NULL);
        for (int64_t i = 0; i < DRAWS; i++) {
            int64_t at[3] = {0};
            for (int j = 0; j < 3; j++) at[e.columns[j].param] = (int64_t)drawn[i * 3 + j];
            counts[((at[0] - 1) / 2 * 3 + at[1]) * 40 + at[2] - 1]++;
        }
        for (int64_t i = 0; i < q; i++) {
            const double expected = exp(p[i]) * DRAWS;
            cr_expect_lt(fabs((double)counts[i] - expected), 6 * sqrt(expected) + 6, "point %d: %d of %g", (int)i,
                         (int)counts[i], expected);
        }
    }
    hpt__parzen_fini(&e);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

Test(sampler_tpe, the_series_for_narrow_cells_equals_the_difference_of_distribution_functions)
{
    static hpt__parzen_memo memo[1 << HPT__PARZEN_MEMO_BITS];
    for (double mid = -12; mid <= 12; mid += 0.0937) {
        for (double h = 1e-3; h < 3; h *= 1.13) { // below, the rounding of mid - h and mid + h is what one would see
            const double got = hpt__parzen_cell_mean(NULL, mid, h);
            const double expected =
                hpt__log_diff_ndtr(mid - h, mid + h) - log(2 * h) + 0.5 * log(2 * 3.14159265358979323846);
            // What rounding mid and h does to the difference, and the series' own error.
            const double tolerance = 1e-12 + 4e-16 * (1 + fabs(mid)) * (1 + fabs(mid)) / h;
            cr_expect_float_eq(got, expected, tolerance, "mid %g h %g: %.17g, expected %.17g", mid, h, got, expected);
            cr_expect_eq(hpt__parzen_cell_mean(memo, mid, h), got);
            cr_expect_eq(hpt__parzen_cell_mean(memo, mid, h), got, "remembered");
        }
        for (double h = 1e-9; h < 1e-3; h *= 10)
            cr_expect_float_eq(hpt__parzen_cell_mean(NULL, mid, h), -0.5 * mid * mid + (mid * mid - 1) * h * h / 6,
                               1e-8 * h + 1e-14);
    }
}

Test(sampler_tpe, the_exponential_is_right_to_the_last_bits_and_alike_for_every_vector_unit)
{
    const hpt__block_ops *plain = hpt__block_ops_choose(true), *wide = hpt__block_ops_choose(false);
    double x[16], w[16] = {0}, worst = 0;
    for (double from = -60; from <= 0; from += 0.00137) {
        for (int i = 0; i < 16; i++) {
            x[i] = from;
            w[i] = i == (int)(-from * 10) % 16;
        }
        const double got = plain->sum_exp(x, w, 16, 0);
        cr_assert_eq(got, wide->sum_exp(x, w, 16, 0), "exp(%.17g)", from);
        worst = fmax(worst, fabs(got / exp(from) - 1));
    }
    cr_log_info("largest relative difference to the C library's exp: %.3g", worst);
    cr_expect_leq(worst, 0x1p-51);
    cr_expect_eq(plain->sum_exp((double[16]){0}, (double[16]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 16, 0),
                 16);
}

Test(sampler_tpe, a_draw_with_fixed_coordinates_follows_the_kernels_near_them)
{
    // Two clusters, (0.1, 0.9) and (0.9, 0.1): given x = 0.1, y is near 0.9.
    hpt_space *s = new_space();
    hpt__trials t;
    hpt__parzen e;
    const int32_t params[] = {0, 1};
    uint8_t want[40];
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    OK(hpt__parzen_init(&e, s, params, 2));
    for (int i = 0; i < 40; i++) {
        const double noise = 0.001 * i;
        add_row(&t, i % 2 ? (const double[]){0.1 + noise, 0.9 - noise} : (const double[]){0.9 - noise, 0.1 + noise},
                HPT_TRIAL_COMPLETE);
    }
    memset(want, 1, sizeof want);
    OK(hpt__parzen_sync(&e, &t, want));
    double x[2 * 200];
    const double fixed[] = {0.1, NAN};
    int near = 0;
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 1);
    hpt__parzen_draw(x, &e, &rng, 200, fixed);
    for (int i = 0; i < 200; i++) {
        cr_expect_eq(x[2 * i], 0.1);
        near += x[2 * i + 1] > 0.5;
    }
    cr_expect_gt(near, 190);
    hpt__parzen_fini(&e);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

// ---- that it optimises

static double sphere(const double *point, const hpt_space *space) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++) sum += (point[i] - 0.3) * (point[i] - 0.3);
    return sum;
}

// Each branch has a minimum of its own; that of "c", which needs two parameters right, is the lowest.
static double branches(const double *point, const hpt_space *space) {
    (void)space;
    if (point[0] == 0) return 2 + fabs(point[1]);
    if (point[0] == 1) return 1 + point[2] * point[2];
    return fabs(point[3] - 0.7) + fabs(log10(point[4]) + 3);
}

static hpt_space *cube(int d) {
    hpt_space *s = new_space();
    for (int i = 0; i < d; i++) {
        const char name[] = {(char)('a' + i), 0};
        OK(hpt_space_add_float(s, name, -1, 1, 0, 0));
    }
    return s;
}

static hpt_space *branch_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "branch", LIST("a", "b", "c")));
    OK(hpt_space_add_float(s, "pa", -1, 1, 0, 0));
    OK(hpt_space_add_float(s, "pb", -1, 1, 0, 0));
    OK(hpt_space_add_float(s, "pc", 0, 1, 0, 0));
    OK(hpt_space_add_float(s, "qc", 1e-6, 1, 0, HPT_LOG));
    OK(hpt_space_add_condition(s, "pa", "branch", LIST("a")));
    OK(hpt_space_add_condition(s, "pb", "branch", LIST("b")));
    OK(hpt_space_add_condition(s, "pc", "branch", LIST("c")));
    OK(hpt_space_add_condition(s, "qc", "branch", LIST("c")));
    return s;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { SEEDS = 20 };

static double median_best(const char *sampler, bool multivariate, hpt_space *(*make)(void), test_function f,
                          int64_t n) {
    double best[SEEDS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lab l;
        lab_open(&l, make(), NULL, seed);
        l.options.tpe_multivariate = multivariate;
        OK(hpt__sampler_find(&l.ops, sampler));
        OK(l.ops->create(&l.state, &l.env));
        best[seed] = lab_run(&l, f, n);
        lab_close(&l);
    }
    qsort(best, SEEDS, sizeof *best, ascending);
    return 0.5 * (best[SEEDS / 2 - 1] + best[SEEDS / 2]);
}

static hpt_space *cube2(void) {
    return cube(2);
}

static hpt_space *cube10(void) {
    return cube(10);
}

// Fixed seeds: the figures are always the same, and the factors asked for are less than half of those measured.
static void beats_random(const char *what, hpt_space *(*make)(void), test_function f, int64_t n, double factor) {
    const double random = median_best("random", true, make, f, n);
    for (int multivariate = 0; multivariate < 2; multivariate++) {
        const double tpe = median_best("tpe", multivariate, make, f, n);
        cr_log_info("%s, %d trials: tpe (%s) %g, random %g", what, (int)n, multivariate ? "joint" : "single", tpe,
                    random);
        cr_expect_lt(tpe * factor, random, "%s: tpe (%s) %g, random %g", what, multivariate ? "joint" : "single", tpe,
                     random);
    }
}

Test(sampler_tpe, beats_random_on_the_sphere_in_2_dimensions)
{ beats_random("sphere 2", cube2, sphere, 100, 10); }

Test(sampler_tpe, beats_random_on_the_sphere_in_10_dimensions)
{ beats_random("sphere 10", cube10, sphere, 150, 2); }

Test(sampler_tpe, beats_random_on_a_conditional_problem)
{ beats_random("branches", branch_space, branches, 100, 4); }
