// SPDX-License-Identifier: Apache-2.0
// test_space_sobol.c: Sobol points against SciPy's, and that scrambling keeps what makes them good.
#include "core/base/rng.h"
#include "core/space/sobol.h"
#include "space_testing.h"

static hpt__sobol *sobol(int64_t d, bool scramble, uint64_t seed) {
    hpt__sobol *s = NULL;
    OK(hpt__sobol_create(&s, d, scramble, seed));
    return s;
}

Test(space_sobol, unscrambled_points_are_scipys)
{
    static double x[HPT__SOBOL_MAX_DIM];
    for (int64_t c = 0; c < COUNT(golden_sobols); c++) {
        const golden_sobol *g = &golden_sobols[c];
        hpt__sobol *s = sobol(g->d, false, 9);
        uint64_t hash = 1; // see oracle_space.py
        for (int i = 0; i < g->n; i++) {
            hpt__sobol_point(x, s, (uint64_t)i);
            for (int k = 0; k < g->d; k++) hash = hash * UINT64_C(6364136223846793005) + (uint64_t)(x[k] * 0x1p32);
        }
        cr_expect_eq(hash, g->hash, "d = %d", g->d);
        hpt__sobol_point(x, s, 0);
        for (int k = 0; k < g->d; k++) cr_expect_eq(x[k], 0.0);
        hpt__sobol_destroy(s);
    }
}

Test(space_sobol, dimensions_out_of_range_are_refused)
{
    hpt__sobol *s = NULL;
    FAILS(HPT_E_ARG, "1111", hpt__sobol_create(&s, 0, false, 0));
    FAILS(HPT_E_ARG, "1112", hpt__sobol_create(&s, 1112, false, 0));
    cr_expect_null(s);
    hpt__sobol_destroy(NULL);
}

Test(space_sobol, every_aligned_block_of_2_to_the_m_points_is_stratified_in_every_dimension)
{
    enum { D = 1111, M = 8, N = 1 << M };
    static double x[D];
    static bool taken[D][N];
    const uint64_t starts[] = {0, N, 5 * N, (UINT64_C(1) << 32) - N};
    for (int scramble = 0; scramble < 2; scramble++) {
        hpt__sobol *s = sobol(D, scramble, 123);
        for (int b = 0; b < 4; b++) {
            memset(taken, 0, sizeof taken);
            for (uint64_t i = starts[b]; i < starts[b] + N; i++) {
                hpt__sobol_point(x, s, i);
                for (int k = 0; k < D; k++) {
                    cr_assert(x[k] >= 0 && x[k] < 1);
                    const int cell = (int)(x[k] * N);
                    cr_assert(!taken[k][cell], "dimension %d, block %d, scramble %d", k, b, scramble);
                    taken[k][cell] = true;
                }
            }
        }
        hpt__sobol_destroy(s);
    }
}

Test(space_sobol, the_first_two_dimensions_are_a_digital_net_before_and_after_scrambling)
{
    // t = 0: each elementary box 2^-a x 2^-(m-a) holds one point of 2^m.
    enum { M = 10, N = 1 << M };
    for (int scramble = 0; scramble < 2; scramble++) {
        hpt__sobol *s = sobol(2, scramble, 77);
        for (int a = 0; a <= M; a++) {
            bool taken[N] = {false};
            for (uint64_t i = 0; i < N; i++) {
                double x[2];
                hpt__sobol_point(x, s, i);
                const int box = (int)(x[0] * (1 << a)) * (1 << (M - a)) + (int)(x[1] * (1 << (M - a)));
                cr_assert(!taken[box], "scramble %d, a %d", scramble, a);
                taken[box] = true;
            }
        }
        hpt__sobol_destroy(s);
    }
}

Test(space_sobol, scrambling_depends_on_the_seed_and_the_dimension_only)
{
    hpt__sobol *a = sobol(20, true, 1), *b = sobol(20, true, 2), *wide = sobol(40, true, 1);
    double x[20], y[20], z[40];
    int differ = 0;
    for (uint64_t i = 0; i < 64; i++) {
        hpt__sobol_point(x, a, i);
        hpt__sobol_point(y, b, i);
        hpt__sobol_point(z, wide, i);
        for (int k = 0; k < 20; k++) {
            cr_expect_eq(x[k], z[k]);
            differ += x[k] != y[k];
        }
    }
    cr_expect_gt(differ, 64 * 20 - 10);
    hpt__sobol_point(x, a, 0);
    for (int k = 1; k < 20; k++) cr_expect_neq(x[0], x[k]);
    hpt__sobol_destroy(a), hpt__sobol_destroy(b), hpt__sobol_destroy(wide);
}

Test(space_sobol, a_scrambled_point_is_uniform_over_seeds)
{
    // Mean and variance of point 5 over 4000 seeds, in 8 dimensions: 1/2 and 1/12, within 5 sigma.
    enum { SEEDS = 4000, D = 8 };
    double sum[D] = {0}, squares[D] = {0}, x[D];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        hpt__sobol *s = sobol(D, true, seed);
        hpt__sobol_point(x, s, 5);
        for (int k = 0; k < D; k++) {
            sum[k] += x[k];
            squares[k] += (x[k] - 0.5) * (x[k] - 0.5);
        }
        hpt__sobol_destroy(s);
    }
    for (int k = 0; k < D; k++) {
        cr_expect(fabs(sum[k] / SEEDS - 0.5) < 5 * sqrt(1 / 12.0 / SEEDS), "%d: %g", k, sum[k] / SEEDS);
        cr_expect(fabs(squares[k] / SEEDS - 1 / 12.0) < 5 * sqrt((1 / 80.0 - 1 / 144.0) / SEEDS), "%d", k);
    }
}

// prod (1 + (x_k - 1/2)/(k+1)), integral 1.
static double smooth(const double *x, int d) {
    double f = 1;
    for (int k = 0; k < d; k++) f *= 1 + (x[k] - 0.5) / (k + 1);
    return f;
}

Test(space_sobol, it_integrates_a_smooth_function_a_hundred_times_better_than_random_points)
{
    enum { D = 6, N = 4096, SEEDS = 16 };
    double quasi = 0, random = 0, x[D];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        hpt__sobol *s = sobol(D, true, seed);
        hpt__rng rng;
        hpt__rng_init(&rng, seed, 99);
        double a = 0, b = 0;
        for (uint64_t i = 0; i < N; i++) {
            hpt__sobol_point(x, s, i);
            a += smooth(x, D);
            for (int k = 0; k < D; k++) x[k] = hpt__rng_uniform(&rng);
            b += smooth(x, D);
        }
        quasi += pow(a / N - 1, 2);
        random += pow(b / N - 1, 2);
        hpt__sobol_destroy(s);
    }
    cr_expect(sqrt(quasi) * 100 < sqrt(random), "root mean squares %g and %g", sqrt(quasi / SEEDS),
              sqrt(random / SEEDS));
}
