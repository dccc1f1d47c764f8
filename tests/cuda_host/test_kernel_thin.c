// SPDX-License-Identifier: Apache-2.0
// test_kernel_thin.c: a triangle times few columns, and a row more of factor and inverse, against plain loops.
#include "kernel_testing.h"

static const int64_t sizes[] = {1, 2, 31, 32, 33, 63, 65, 255, 256, 257, 300, 530};

static void products_agree(int64_t n, int64_t s, bool transposed) {
    const int64_t ldm = n + 1, ldb = n + 2, ldo = n + 3, size = (s - 1) * ldo + n;
    double *m = columns(n, n, ldm), *b = columns(n, s, ldb), *out = marked(size);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < j; i++) m[i + j * ldm] = NAN; // not read
    const cuda__thin_args args = {m, b, out, n, s, ldm, ldb, ldo};
    kernel_run(transposed ? "cuda_thin_transposed" : "cuda_thin", tiles(n, CUDA__WARP), tiles(s, CUDA__THIN), &args,
               &(output){out, (size_t)size * sizeof *out}, 1);
    for (int64_t at = 0; at < size; at++) {
        const int64_t i = at % ldo, c = at / ldo;
        if (i >= n) {
            cr_assert(is_marked(out[at]));
            continue;
        }
        long double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            if (transposed ? j >= i : j <= i)
                sum += (long double)m[transposed ? j + i * ldm : i + j * ldm] * b[j + c * ldb];
        }
        near_number(out[at], (double)sum, 2e-16 * (double)(n + 10), 0, transposed ? "M'b" : "M b", at);
    }
    free(m);
    free(b);
    free(out);
}

Test(kernel_thin, products_with_a_triangle_are_those_of_plain_loops)
{
    for (int64_t at = 0; at < COUNT(sizes); at++)
        for (int64_t s = 1; s <= 2 * CUDA__THIN + 1; s += 5)
            for (int transposed = 0; transposed < 2; transposed++) products_agree(sizes[at], s, transposed);
    for (int64_t s = 1; s <= 2 * CUDA__THIN; s++)
        for (int transposed = 0; transposed < 2; transposed++) products_agree(40, s, transposed);
}

Test(kernel_thin, a_row_more_of_the_factor_and_of_its_inverse)
{
    static const int64_t many[] = {0, 1, 31, 256, 300};
    for (int64_t at = 0; at < COUNT(many); at++)
        for (int bad = 0; bad < 2; bad++) {
            const int64_t n = many[at], ld = n + 4, size = n * ld + 1;
            double *v = columns(n + 1, 1, n + 1), *u = columns(n + 1, 1, n + 1);
            double *l = marked(size), *m = marked(size);
            long double left = bad ? -0.5L : 2.25L, diagonal = left;
            int32_t info = -1;
            for (int64_t j = 0; j < n; j++) diagonal += (long double)v[j] * v[j];
            l[n * ld] = (double)diagonal;
            const cuda__append_row_args args = {v, u, l, m, &info, n, ld};
            const output outputs[] = {
                {l, (size_t)size * sizeof *l}, {m, (size_t)size * sizeof *m}, {&info, sizeof info}};
            kernel_run("cuda_append_row", 1, 1, &args, outputs, 3);
            cr_assert_eq(info, bad);
            for (int64_t i = 0; !bad && i < size; i++) {
                if (i % ld) {
                    cr_assert(is_marked(l[i]) && is_marked(m[i]), "%lld is written", (long long)i);
                    continue;
                }
                const int64_t j = i / ld;
                near_number(l[i], j < n ? v[j] : 1.5, 1e-14, 0, "factor", j);
                near_number(m[i], (j < n ? -u[j] : 1) / 1.5, 1e-14, 0, "inverse", j);
            }
            free(v);
            free(u);
            free(l);
            free(m);
        }
}
