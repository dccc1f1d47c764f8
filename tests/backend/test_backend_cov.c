// SPDX-License-Identifier: Apache-2.0
// test_backend_cov.c: covariances against their closed forms in long double.
#include "backend_testing.h"

static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 127, 129, 200};
static const int64_t dims[] = {1, 2, 3, 5, 8, 13, 20};
static const hpt__cov_kind kinds[] = {HPT__COV_MATERN52, HPT__COV_MATERN32, HPT__COV_RBF};

// One pair of points whose covariance is known by hand.
static void one_pair(hpt__device *device, hpt__cov_kind kind, double want) {
    const uint8_t categorical[2] = {0, 1};
    const int32_t block[2] = {0, 0};
    const uint64_t term = 1, mask[2] = {1, 1};
    const hpt__cov cov = {kind, 2, categorical, block, 1, 1, &term};
    const double theta[4] = {log(0.5), log(2), log(3), -100}; // r^2 = (0.75 / 0.5)^2 + 1 / 4 = 2.5
    const double x[4] = {0.25, 1, 1, 2};
    double k[4] = {0, 0, 77, 0};
    OK(hpt__cov_build(device, &cov, theta, x, mask, 2, k, 2));
    near_number(k[0], 3, 0, 1e-14, "variance", 0);
    near_number(k[1], 3 * want, 0, 1e-14, "covariance", 0);
    cr_expect_eq(k[2], 77, "only the lower triangle is written");
}

BACKEND_TEST(cov, of_two_points_is_the_closed_form) {
    const double r = sqrt(2.5);
    one_pair(device, HPT__COV_MATERN52, (1 + sqrt(5) * r + 5 * 2.5 / 3) * exp(-sqrt(5) * r));
    one_pair(device, HPT__COV_MATERN32, (1 + sqrt(3) * r) * exp(-sqrt(3) * r));
    one_pair(device, HPT__COV_RBF, exp(-1.25));
}

static void check_build(hpt__device *device, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks,
                        int64_t n) {
    problem p;
    problem_init(&p, seed, kind, d, n_blocks, n_blocks > 1 || seed % 2);
    const int64_t ldk = n + 3;
    double *x = numbers(n * d), *k = numbers(ldk * n), *cross = numbers(ldk * n);
    uint64_t *mask = words(n);
    problem_points(&p, x, mask, n);
    OK(hpt__cov_build(device, &p.cov, p.theta, x, mask, n, k, ldk));
    OK(hpt__cov_cross(device, &p.cov, p.theta, x, mask, n, x, mask, n, cross, ldk));
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++) {
            const double want = (double)exact_k(&p.cov, p.theta, x + i * d, mask[i], x + j * d, mask[j]);
            near_number(cross[i + j * ldk], want, 1e-12, 1e-12, "cross", i + j * n);
            if (i >= j) near_number(k[i + j * ldk], want, 1e-12, 1e-12, "build", i + j * n);
            near_number(cross[i + j * ldk], cross[j + i * ldk], 1e-12, 1e-12, "symmetry", i + j * n);
        }
        for (int64_t i = n; i < ldk; i++) cr_assert_eq(cross[i + j * ldk], 0, "wrote between the columns");
    }
    free(x);
    free(k);
    free(cross);
    free(mask);
}

BACKEND_TEST(cov, matches_long_double_at_sizes_around_tiles) {
    for (int64_t i = 0; i < COUNT(sizes); i++)
        for (int kind = 0; kind < 3; kind++)
            check_build(device, (uint64_t)(10 * i + kind), kinds[kind], dims[(i + kind) % COUNT(dims)],
                        1 + (i + kind) % 5, sizes[i]);
}

BACKEND_TEST(cov, matches_long_double_in_all_dimensions) {
    for (int64_t d = 1; d <= 20; d++)
        for (int kind = 0; kind < 3; kind++) check_build(device, (uint64_t)(100 + 3 * d + kind), kinds[kind], d, 4, 17);
}

BACKEND_TEST(cov, between_two_sets_is_rectangular) {
    problem p;
    problem_init(&p, 5, HPT__COV_MATERN52, 7, 4, true);
    const int64_t n = 33, m = 70;
    double *x = numbers(n * 7), *z = numbers(m * 7), *k = numbers(n * m);
    uint64_t *mx = words(n), *mz = words(m);
    problem_points(&p, x, mx, n);
    problem_points(&p, z, mz, m);
    OK(hpt__cov_cross(device, &p.cov, p.theta, x, mx, n, z, mz, m, k, n));
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < n; i++)
            near_number(k[i + j * n], (double)exact_k(&p.cov, p.theta, x + i * 7, mx[i], z + j * 7, mz[j]), 1e-12,
                        1e-12, "cross", i + j * n);
    free(x);
    free(z);
    free(k);
    free(mx);
    free(mz);
}

BACKEND_TEST(cov, of_distant_points_is_zero_and_not_nan) {
    for (int kind = 0; kind < 3; kind++) {
        problem p;
        problem_init(&p, 6, kinds[kind], 2, 1, false);
        p.theta[0] = p.theta[1] = -90;
        const double x[4] = {0, 0, 1, 1};
        const uint64_t mask[2] = {1, 1};
        double k[4];
        OK(hpt__cov_cross(device, &p.cov, p.theta, x, mask, 2, x, mask, 2, k, 2));
        cr_expect_eq(k[1], 0);
        near_number(k[0], exp(p.theta[2]), 0, 1e-14, "variance", kind);
    }
}

// A sum of valid covariances over jointly active groups is one: its factor exists with jitter at rounding level.
BACKEND_TEST(cov, of_conditional_points_is_positive_semidefinite) {
    enum { N = 40 };
    double x[N * D_MAX], k[N * N];
    uint64_t mask[N];
    for (uint64_t seed = 0; seed < 200; seed++) {
        problem p;
        problem_init(&p, 1000 + seed, kinds[seed % 3], 1 + (int64_t)(seed % 12), 6, true);
        problem_points(&p, x, mask, N);
        OK(hpt__cov_build(device, &p.cov, p.theta, x, mask, N, k, N));
        double trace = 0;
        for (int64_t i = 0; i < N; i++) trace += k[i + i * N];
        for (int64_t j = 0; j < N; j++) {
            k[j + j * N] += 1e-12 * trace;
            for (int64_t c = 0; c < j; c++)
                for (int64_t i = j; i < N; i++) k[i + j * N] -= k[i + c * N] * k[j + c * N];
            cr_assert(k[j + j * N] > 0, "seed %d, pivot %d: %g", (int)seed, (int)j, k[j + j * N]);
            const double root = sqrt(k[j + j * N]);
            for (int64_t i = j; i < N; i++) k[i + j * N] /= root;
        }
    }
}
