// SPDX-License-Identifier: Apache-2.0
// test_kernel_cov.c: cuda_lower, cuda_cross and cuda_variance against the covariance in long double, pair by pair.
#include "kernel_testing.h"

static const int64_t sizes[] = {1, 15, 16, 17, 63, 64, 65, 130};

// A kernel divides columns by length scales before it takes differences: an error of some roundings of x / l (at most 4 here).
static const double absolute = 4e-15, relative = 4e-14;

static double want(const cloud *c, int64_t i, int64_t j) {
    const int64_t d = c->p.cov.d;
    return (double)exact_k(&c->p.cov, c->p.theta, c->x + i * d, c->mask[i], c->x + j * d, c->mask[j]);
}

Test(kernel_cov, lower_is_the_lower_triangle_of_k_and_nothing_else_is_touched)
{
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(sizes); at++) {
            cloud c;
            cloud_init(&c, &shapes[of], (uint64_t)(of + 100 * at), sizes[at]);
            const int64_t n = c.n, ldk = n + 3, side = tiles(n, CUDA__TILE), size = (n - 1) * ldk + n;
            double *k = marked(size);
            const cuda__points x = cloud_points(&c, 0, n, n + 5);
            const cuda__lower_args args = {c.s.cov, x, 0.25, NULL, k, ldk, 0};
            kernel_run("cuda_lower", side * (side + 1) / 2, 1, &args, &(output){k, (size_t)size * sizeof *k}, 1);
            for (int64_t i = 0; i < size; i++) {
                const int64_t row = i % ldk, column = i / ldk;
                if (row < n && row >= column)
                    near_number(k[i], want(&c, row, column) + (row == column ? 0.25 : 0), absolute, relative, "entry",
                                i);
                else
                    cr_assert(is_marked(k[i]), "entry %lld, %lld of n = %lld is written", (long long)row,
                              (long long)column, (long long)n);
            }
            points_free(x);
            free(k);
            cloud_fini(&c);
        }
}

Test(kernel_cov, cross_is_k_between_two_sets)
{
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(sizes); at++) {
            const int64_t n = sizes[at], m = sizes[(at + of) % COUNT(sizes)], ldk = n + 2, size = (m - 1) * ldk + n;
            cloud c; // its first n points are x, the others z
            cloud_init(&c, &shapes[of], (uint64_t)(of + 100 * at), n + m);
            double *k = marked(size);
            const cuda__points x = cloud_points(&c, 0, n, n + 1);
            const cuda__points z = cloud_points(&c, n, m, m);
            const cuda__cross_args args = {c.s.cov, x, z, k, ldk};
            kernel_run("cuda_cross", tiles(n, CUDA__TILE), tiles(m, CUDA__TILE), &args,
                       &(output){k, (size_t)size * sizeof *k}, 1);
            for (int64_t i = 0; i < size; i++)
                if (i % ldk < n)
                    near_number(k[i], want(&c, i % ldk, n + i / ldk), absolute, relative, "entry", i);
                else
                    cr_assert(is_marked(k[i]));
            points_free(x);
            points_free(z);
            free(k);
            cloud_fini(&c);
        }
}

Test(kernel_cov, points_far_apart_have_covariance_zero_and_no_nan)
{
    for (int kind = 0; kind < 3; kind++) {
        cloud c;
        double k[4] = {0};
        cloud_init(&c, &(shape){(hpt__cov_kind)kind, 1, 1, false, false}, 1, 2);
        c.x[0] = 1e170; // the square of the distance is infinite
        c.x[1] = -1e170;
        const cuda__points x = cloud_points(&c, 0, 2, 2);
        const cuda__lower_args args = {c.s.cov, x, 0, NULL, k, 2, 0};
        kernel_run("cuda_lower", 1, 1, &args, &(output){k, sizeof k}, 1);
        cr_expect(k[0] == c.s.cov.amplitude[0] && k[1] == 0 && k[3] == k[0], "%g %g %g", k[0], k[1], k[3]);
        points_free(x);
        cloud_fini(&c);
    }
}
