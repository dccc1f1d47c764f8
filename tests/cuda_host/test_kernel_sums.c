// SPDX-License-Identifier: Apache-2.0
// test_kernel_sums.c: the sums of the likelihood and its gradient (cuda_slope_sums, cuda_add_rows, cuda_logdet)
// against plain loops. The slopes of one pair are ref_k_theta's.
#include "cpu/ref.h"
#include "kernel_testing.h"

static const int64_t sizes[] = {1, 15, 16, 17, 31, 32, 33, 64, 65, 130};

// sums (p): sum over all i, j of w_ij d k_ij / d theta, trace of w last; size: the same with |.|, for the rounding.
static void plain_sums(long double *sums, long double *size, const cloud *c, const double *alpha, const double *inverse,
                       int64_t ld) {
    const int64_t d = c->p.cov.d, p = c->p.p;
    double slope[D_MAX + BLOCKS + 1];
    for (int64_t h = 0; h < p; h++) sums[h] = size[h] = 0;
    for (int64_t j = 0; j < c->n; j++)
        for (int64_t i = 0; i < c->n; i++) {
            const int64_t low = i > j ? i : j, high = i > j ? j : i;
            const long double w = (long double)alpha[i] * alpha[j] - inverse[low + high * ld];
            ref_k_theta(slope, &c->p.cov, c->p.theta, c->x + i * d, c->mask[i], c->x + j * d, c->mask[j]);
            slope[p - 1] = i == j ? 1 : 0;
            for (int64_t h = 0; h < p; h++) {
                sums[h] += w * slope[h];
                size[h] += fabsl(w * slope[h]);
            }
        }
}

// NaN above the diagonal, which nobody reads.
static double *lower(int64_t n, int64_t ld) {
    double *a = columns(n, n, ld);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < j; i++) a[i + j * ld] = NAN;
    return a;
}

static void slopes_agree_of(const cloud *c, int64_t blocks) {
    long double sums[D_MAX + BLOCKS + 1], size[D_MAX + BLOCKS + 1];
    const int64_t n = c->n, p = c->p.p, ld = n + 2;
    double *alpha = columns(n, 1, n), *inverse = lower(n, ld), *partial = marked(blocks * p), *out = marked(p);
    const cuda__points x = cloud_points(c, 0, n, n + 3);
    const cuda__slope_sums_args args = {c->s.cov, x, alpha, inverse, ld, 0, partial, p};
    kernel_run("cuda_slope_sums", blocks, 1, &args, &(output){partial, (size_t)(blocks * p) * sizeof *partial}, 1);
    const cuda__add_rows_args add = {partial, out, blocks, p};
    kernel_run("cuda_add_rows", tiles(p, CUDA__THREADS), 1, &add, &(output){out, (size_t)p * sizeof *out}, 1);
    plain_sums(sums, size, c, alpha, inverse, ld);
    for (int64_t h = 0; h < p; h++) near_number(out[h], (double)sums[h], 1e-13 * (double)size[h], 0, "slope", h);
    points_free(x);
    free(alpha);
    free(inverse);
    free(partial);
    free(out);
}

static void slopes_agree(const shape *of, uint64_t seed, int64_t n, int64_t blocks) {
    cloud c;
    cloud_init(&c, of, seed, n);
    slopes_agree_of(&c, blocks);
    cloud_fini(&c);
}

Test(kernel_sums, slopes_of_all_hyperparameters_are_those_of_the_pairs)
{
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(sizes); at++)
            slopes_agree(&shapes[of], (uint64_t)(of + 100 * at), sizes[at], 1 + (of + at) % 4);
}

Test(kernel_sums, blocks_without_a_tile_add_nothing)
{
    slopes_agree(&shapes[7], 3, 40, 3);  // a tile each
    slopes_agree(&shapes[7], 3, 40, 11); // eight without
    slopes_agree(&shapes[7], 3, 1, 5);
}

Test(kernel_sums, a_block_without_columns_has_its_term_all_the_same)
{
    cloud c;
    cloud_init(&c, &(shape){HPT__COV_MATERN52, 3, 2, false, false}, 1, 100);
    for (int64_t j = 0; j < 3; j++) c.p.block[j] = 1; // block 0 is empty: term 0 is a constant
    sorted_fini(&c.s);
    sorted_init(&c.s, &c.p);
    slopes_agree_of(&c, 2);
    cloud_fini(&c);
}

Test(kernel_sums, rows_are_added_in_their_order)
{
    static const int64_t many[] = {1, 3, 255, 256, 257};
    for (int64_t at = 0; at < COUNT(many); at++) {
        const int64_t p = many[at], rows = many[COUNT(many) - 1 - at];
        double *partial = columns(p, rows, p), *out = marked(p);
        const cuda__add_rows_args args = {partial, out, rows, p};
        kernel_run("cuda_add_rows", tiles(p, CUDA__THREADS), 1, &args, &(output){out, (size_t)p * sizeof *out}, 1);
        for (int64_t i = 0; i < p; i++) {
            double sum = 0;
            for (int64_t row = 0; row < rows; row++) sum += partial[row * p + i];
            cr_assert_eq(out[i], sum);
        }
        free(partial);
        free(out);
    }
}

Test(kernel_sums, logdet_reads_the_diagonal_alone)
{
    static const int64_t many[] = {1, 32, 255, 256, 257, 700};
    for (int64_t at = 0; at < COUNT(many); at++) {
        const int64_t n = many[at], lda = n + 1;
        double *a = marked((n - 1) * lda + n), *v = columns(n, 1, n), out[2];
        long double logs = 0, squares = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            a[i * (lda + 1)] = exp(3 * v[n - 1 - i]);
            logs += 2 * logl((long double)a[i * (lda + 1)]);
            size += 6;
            squares += (long double)v[i] * v[i];
        }
        for (int with = 0; with < 2; with++) {
            const cuda__logdet_args args = {a, with ? v : NULL, out, n, lda};
            kernel_run("cuda_logdet", 1, 1, &args, &(output){out, sizeof out}, 1);
            near_number(out[0], (double)logs, 1e-15 * (double)size, 1e-15, "logarithms for n =", n);
            near_number(out[1], with ? (double)squares : 0, 0, 1e-14, "squares for n =", n);
        }
        free(a);
        free(v);
    }
}
