// SPDX-License-Identifier: Apache-2.0
// test_kernel_many.c: the kernels for several small matrices at once (cuda_many.cu) against plain loops in long double, and those
// that serve one or several problems (cuda_lower, cuda_slope_sums, cuda_add_rows) against themselves with one.
#include "kernel_testing.h"

enum { MANY = 3 };
static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 97};

typedef struct matrices { // MANY positive definite ones, and what the kernels make of them
    int64_t n, lda, step, size;
    double *whole; // n x n each, both triangles
    cuda__many_args args;
    output out[4];
} matrices;

// What is above the diagonal and in the gaps holds marks, which have to stay.
static void matrices_init(matrices *t, int64_t n) {
    const int64_t lda = n + 3, step = lda * n + 5, size = (MANY - 1) * step + (n - 1) * lda + n;
    double *x = columns(n, n * MANY, n), *y = columns(n * MANY, 1, n * MANY);
    *t = (matrices){.n = n, .lda = lda, .step = step, .size = size, .whole = numbers(n * n * MANY)};
    t->args = (cuda__many_args){.a = marked(size),
                                .m = marked(size),
                                .y = y,
                                .v = marked(n * MANY),
                                .alpha = marked(n * MANY),
                                .out = marked(2 * MANY),
                                .info = calloc(MANY, sizeof(int32_t)),
                                .n = n,
                                .lda = lda,
                                .step = step};
    cr_assert_not_null(t->args.info);
    for (int64_t q = 0; q < MANY; q++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < n; i++) {
                double sum = i == j ? 0.1 * (double)(q + 1) : 0;
                for (int64_t l = 0; l < n; l++) sum += x[(q * n + i) * n + l] * x[(q * n + j) * n + l];
                t->whole[(q * n + j) * n + i] = sum;
                if (i >= j) t->args.a[q * step + i + j * lda] = sum;
            }
    free(x);
    t->out[0] = (output){t->args.a, (size_t)size * sizeof(double)};
    t->out[1] = (output){t->args.m, (size_t)size * sizeof(double)};
    t->out[2] = (output){t->args.info, MANY * sizeof(int32_t)};
}

static void matrices_fini(matrices *t) {
    free(t->whole);
    free(t->args.a);
    free(t->args.m);
    free((void *)t->args.y);
    free(t->args.v);
    free(t->args.alpha);
    free(t->args.out);
    free(t->args.info);
}

static void factor_and_invert(matrices *t) {
    kernel_run("cuda_many_factor", 1, MANY, &t->args, t->out, 3);
    kernel_run("cuda_many_invert", tiles(t->n, CUDA__SMALL), MANY, &t->args, &t->out[1], 1);
}

static bool plain_factor(long double *l, const double *a, int64_t n) { // lower triangle; a: n x n
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) {
            long double sum = a[i + j * n];
            for (int64_t k = 0; k < j; k++) sum -= l[i + k * n] * l[j + k * n];
            if (i == j && !(sum > 0)) return false;
            l[i + j * n] = i == j ? sqrtl(sum) : sum / l[j + j * n];
        }
    return true;
}

static void expect_untouched(const matrices *t, const double *a) {
    for (int64_t at = 0; at < t->size; at++) {
        const int64_t i = at % t->step % t->lda, j = at % t->step / t->lda;
        if (i < j || i >= t->n || j >= t->n)
            cr_assert(is_marked(a[at]), "%lld, %lld of n = %lld is written", (long long)i, (long long)j,
                      (long long)t->n);
    }
}

Test(kernel_many, factor_inverse_weights_and_gram_are_those_of_plain_loops)
{
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        const int64_t n = sizes[s];
        matrices t;
        matrices_init(&t, n);
        double *l_got = numbers(t.size);
        long double *l = calloc((size_t)(n * n), sizeof *l), *m = calloc((size_t)(n * n), sizeof *m);
        cr_assert(l && m);
        kernel_run("cuda_many_factor", 1, MANY, &t.args, t.out, 3);
        memcpy(l_got, t.args.a, (size_t)t.size * sizeof *l_got);
        kernel_run("cuda_many_invert", tiles(n, CUDA__SMALL), MANY, &t.args, &t.out[1], 1);
        kernel_run("cuda_many_weights", 1, MANY, &t.args,
                   (const output[]){{t.args.v, (size_t)(n * MANY) * sizeof(double)},
                                    {t.args.alpha, (size_t)(n * MANY) * sizeof(double)},
                                    {t.args.out, 2 * MANY * sizeof(double)}},
                   3);
        kernel_run("cuda_many_gram", tiles(n, CUDA__SMALL) * (tiles(n, CUDA__SMALL) + 1) / 2, MANY, &t.args, t.out, 1);
        expect_untouched(&t, t.args.a);
        expect_untouched(&t, t.args.m);
        for (int64_t q = 0; q < MANY; q++) {
            const double *m_got = t.args.m + q * t.step, *gram = t.args.a + q * t.step, *y = t.args.y + q * n;
            long double logdet = 0, squares = 0;
            cr_assert_eq(t.args.info[q], 0);
            cr_assert(plain_factor(l, t.whole + q * n * n, n));
            for (int64_t j = 0; j < n; j++) // M by columns: L M = I
                for (int64_t i = j; i < n; i++) {
                    long double sum = i == j;
                    for (int64_t k = j; k < i; k++) sum -= l[i + k * n] * m[k + j * n];
                    m[i + j * n] = sum / l[i + i * n];
                }
            for (int64_t j = 0; j < n; j++) {
                logdet += 2 * logl(l[j + j * n]);
                for (int64_t i = j; i < n; i++) {
                    long double inverse = 0;
                    for (int64_t k = i; k < n; k++) inverse += m[k + i * n] * m[k + j * n];
                    near_number(l_got[q * t.step + i + j * t.lda], (double)l[i + j * n], 1e-12, 1e-10, "L", i);
                    near_number(m_got[i + j * t.lda], (double)m[i + j * n], 1e-11, 1e-10, "M", i);
                    near_number(gram[i + j * t.lda], (double)inverse, 1e-10, 1e-9, "inverse", i);
                }
            }
            for (int64_t i = 0; i < n; i++) {
                long double v = 0, alpha = 0;
                for (int64_t j = 0; j <= i; j++) v += m[i + j * n] * y[j];
                for (int64_t k = i; k < n; k++)
                    for (int64_t j = 0; j <= k; j++) alpha += m[k + i * n] * m[k + j * n] * y[j];
                squares += v * v;
                near_number(t.args.v[q * n + i], (double)v, 1e-10, 1e-10, "v", i);
                near_number(t.args.alpha[q * n + i], (double)alpha, 1e-9, 1e-9, "alpha", i);
            }
            near_number(t.args.out[2 * q], (double)logdet, 1e-11, 1e-12, "log-determinant", n);
            near_number(t.args.out[2 * q + 1], (double)squares, 1e-10, 1e-10, "squares", n);
        }
        free(l);
        free(m);
        free(l_got);
        matrices_fini(&t);
    }
}

Test(kernel_many, a_pivot_that_fails_is_named_and_the_others_do_not_notice)
{
    static const int64_t at[] = {0, 1, 31, 32, 40, 64};
    for (int64_t s = 0; s < COUNT(at); s++)
        for (int bad = 0; bad < 3; bad++) {
            static const double pivots[] = {-1, NAN, INFINITY};
            matrices t, good;
            matrices_init(&t, 65);
            matrices_init(&good, 65);
            t.args.a[t.step + at[s] * (t.lda + 1)] = pivots[bad] * 1e3;
            factor_and_invert(&t);
            factor_and_invert(&good);
            cr_assert_eq(t.args.info[1], at[s] + 1, "%d", (int)t.args.info[1]);
            for (int64_t q = 0; q < MANY; q += 2) {
                cr_assert_eq(t.args.info[q], 0);
                cr_assert_arr_eq(t.args.a + q * t.step, good.args.a + q * t.step, (size_t)(64 * t.lda + 65) * 8);
                cr_assert_arr_eq(t.args.m + q * t.step, good.args.m + q * t.step, (size_t)(64 * t.lda + 65) * 8);
            }
            kernel_run("cuda_many_weights", 1, MANY, &t.args,
                       &(output){t.args.alpha, (size_t)(65 * MANY) * sizeof(double)}, 1);
            for (int64_t i = 0; i < 65; i++) cr_assert_eq(t.args.alpha[65 + i], 0);
            matrices_fini(&t);
            matrices_fini(&good);
        }
}

// Hyperparameters of MANY problems behind one another, as the host lays them out.
static cuda__cov several(const cloud *c, double *numbers_of) {
    const int64_t d = c->p.cov.d, terms = c->p.cov.n_terms, step = d + terms;
    cuda__cov cov = c->s.cov;
    for (int64_t q = 0; q < MANY; q++) {
        for (int64_t i = 0; i < d; i++) numbers_of[q * step + i] = c->s.cov.inv_l[i] * (1 + 0.1 * (double)q);
        for (int64_t i = 0; i < terms; i++) numbers_of[q * step + d + i] = c->s.cov.amplitude[i] / (1 + (double)q);
    }
    cov.inv_l = numbers_of;
    cov.amplitude = numbers_of + d;
    cov.step = step;
    return cov;
}

Test(kernel_many, covariances_and_slopes_of_several_problems_are_those_of_each)
{
    static const int64_t some[] = {1, 33, 70};
    for (int64_t of = 0; of < n_shapes; of++) {
        const int64_t n = some[of % 3], ldk = n + 1, step = n * ldk + 2, size = MANY * step, rows = 2;
        const int64_t side = tiles(n, CUDA__TILE);
        cloud c;
        cloud_init(&c, &shapes[of], (uint64_t)of, n);
        const int64_t p = c.p.p;
        double *hyper = numbers(MANY * p), *k = marked(size), *one = marked(size),
               *alpha = columns(n * MANY, 1, n * MANY);
        double *partial = marked(MANY * rows * p), *one_partial = marked(rows * p), *sums = marked(MANY * p),
               *one_sums = marked(p), diagonals[MANY] = {0.5, 1, 2};
        const cuda__points x = cloud_points(&c, 0, n, n + 3);
        const cuda__cov cov = several(&c, hyper);
        const cuda__lower_args lower = {cov, x, 7, diagonals, k, ldk, step};
        kernel_run("cuda_lower", side * (side + 1) / 2, MANY, &lower, &(output){k, (size_t)size * 8}, 1);
        const cuda__slope_sums_args slopes = {cov, x, alpha, k, ldk, step, partial, p};
        kernel_run("cuda_slope_sums", rows, MANY, &slopes, &(output){partial, (size_t)(MANY * rows * p) * 8}, 1);
        const cuda__add_rows_args add = {partial, sums, rows, p};
        kernel_run("cuda_add_rows", 1, MANY, &add, &(output){sums, (size_t)(MANY * p) * 8}, 1);
        for (int64_t q = 0; q < MANY; q++) {
            cuda__cov own = cov;
            own.inv_l += q * cov.step;
            own.amplitude += q * cov.step;
            const cuda__lower_args lower_one = {own, x, diagonals[q], NULL, one + q * step, ldk, 0};
            kernel_run("cuda_lower", side * (side + 1) / 2, 1, &lower_one, &(output){one + q * step, (size_t)step * 8},
                       1);
            const cuda__slope_sums_args slopes_one = {own, x, alpha + q * n, k + q * step, ldk, 0, one_partial, p};
            kernel_run("cuda_slope_sums", rows, 1, &slopes_one, &(output){one_partial, (size_t)(rows * p) * 8}, 1);
            const cuda__add_rows_args add_one = {one_partial, one_sums, rows, p};
            kernel_run("cuda_add_rows", 1, 1, &add_one, &(output){one_sums, (size_t)p * 8}, 1);
            cr_assert_arr_eq(sums + q * p, one_sums, (size_t)p * 8);
        }
        cr_assert_arr_eq(k, one, (size_t)size * 8);
        points_free(x);
        cloud_fini(&c);
        free(hyper);
        free(k);
        free(one);
        free(alpha);
        free(partial);
        free(one_partial);
        free(sums);
        free(one_sums);
    }
}
