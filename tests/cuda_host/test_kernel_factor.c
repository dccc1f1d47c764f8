// SPDX-License-Identifier: Apache-2.0
// test_kernel_factor.c: cuda_small_lauum, cuda_small_invert and cuda_copy against plain loops.
#include "kernel_testing.h"

Test(kernel_factor, small_lauum_is_l_transposed_l_in_place_of_the_lower_triangle)
{
    for (int64_t n = 1; n <= CUDA__SMALL; n++) {
        const int64_t lda = n + n % 3, size = (n - 1) * lda + n;
        double *l = columns(n, n, lda), *a = marked(size);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = j; i < n; i++) a[i + j * lda] = l[i + j * lda];
        const cuda__small_lauum_args args = {a, n, lda};
        kernel_run("cuda_small_lauum", 1, 1, &args, &(output){a, (size_t)size * sizeof *a}, 1);
        for (int64_t at = 0; at < size; at++) {
            const int64_t i = at % lda, j = at / lda;
            long double sum = 0;
            if (i >= n || i < j) {
                cr_assert(is_marked(a[at]), "%lld, %lld of n = %lld is written", (long long)i, (long long)j,
                          (long long)n);
                continue;
            }
            for (int64_t k = i; k < n; k++) sum += (long double)l[k + i * lda] * l[k + j * lda];
            near_number(a[at], (double)sum, 1e-14, 0, "entry", at);
        }
        free(l);
        free(a);
    }
}

Test(kernel_factor, small_invert_gives_the_inverses_of_the_triangles_on_the_diagonal)
{
    static const int64_t many[] = {1, 2, 31, 63, 64, 65, 130};
    for (int64_t at = 0; at < COUNT(many); at++) {
        const int64_t n = many[at], lda = n + 3, size = (n - 1) * lda + n;
        double *l = columns(n, n, lda), *a = marked(size);
        for (int64_t j = 0; j < n; j++) {
            l[j + j * lda] = 2 + l[j + j * lda];
            for (int64_t i = 0; i < n; i++) a[i + j * lda] = i < j ? NAN : l[i + j * lda];
        }
        const cuda__small_invert_args args = {a, n, lda};
        kernel_run("cuda_small_invert", tiles(n, CUDA__BLOCK), 1, &args, &(output){a, (size_t)size * sizeof *a}, 1);
        for (int64_t j = 0; j < n; j++) {
            const int64_t first = j / CUDA__BLOCK * CUDA__BLOCK,
                          end = first + CUDA__BLOCK < n ? first + CUDA__BLOCK : n;
            long double x[CUDA__BLOCK];
            for (int64_t i = 0; i < n; i++) {
                const double got = a[i + j * lda];
                if (i < first || i >= end) {
                    cr_assert(i < j ? isnan(got) : got == l[i + j * lda], "%lld, %lld is changed", (long long)i,
                              (long long)j);
                } else if (i < j) {
                    cr_assert_eq(got, 0);
                } else {
                    long double sum = i == j;
                    for (int64_t k = j; k < i; k++) sum -= (long double)l[i + k * lda] * x[k - first];
                    x[i - first] = sum / l[i + i * lda];
                    near_number(got, (double)x[i - first], 1e-13, 1e-12, "inverse", i + j * lda);
                }
            }
        }
        free(l);
        free(a);
    }
}

static void copies(int64_t n, int64_t m, bool transposed, bool is_lower) {
    const int64_t ldf = n + 1, ldt = (transposed ? m : n) + 2;
    const int64_t rows = transposed ? m : n, size = ((transposed ? n : m) - 1) * ldt + rows;
    double *from = columns(n, m, ldf), *to = marked(size);
    for (int64_t j = 0; is_lower && j < m; j++)
        for (int64_t i = 0; i < j && i < n; i++) from[i + j * ldf] = NAN; // zeros are written, whatever is there
    const cuda__copy_args args = {from, to, n, m, ldf, ldt, -0.75, transposed, is_lower};
    kernel_run("cuda_copy", tiles(n, 32), tiles(m, 32), &args, &(output){to, (size_t)size * sizeof *to}, 1);
    for (int64_t at = 0; at < size; at++) {
        const int64_t row = at % ldt, column = at / ldt, i = transposed ? column : row, j = transposed ? row : column;
        if (row >= rows)
            cr_assert(is_marked(to[at]));
        else
            cr_assert_eq(to[at], is_lower && i < j ? 0 : -0.75 * from[i + j * ldf], "%lld, %lld of %lld x %lld",
                         (long long)i, (long long)j, (long long)n, (long long)m);
    }
    free(from);
    free(to);
}

Test(kernel_factor, copies_scaled_transposed_and_with_zeros_above_the_diagonal)
{
    static const int64_t sizes[] = {1, 2, 31, 32, 33, 64, 70};
    for (int64_t a = 0; a < COUNT(sizes); a++)
        for (int64_t b = 0; b < COUNT(sizes); b++)
            for (int how = 0; how < 4; how++) copies(sizes[a], sizes[b], how & 1, how & 2);
}
