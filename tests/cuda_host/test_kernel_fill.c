// SPDX-License-Identifier: Apache-2.0
// test_kernel_fill.c: cuda_sobol and cuda_normal against the host's Sobol points and stream; nothing past the end is written.
#include "core/space/sobol.h"
#include "kernel_testing.h"

static const int64_t sizes[] = {1, 2, 255, 256, 257, 600};

Test(kernel_fill, sobol_has_the_bits_of_the_host)
{
    for (int64_t at = 0; at < COUNT(sizes); at++) {
        const int64_t n = sizes[at], d = 1 + 3 * at, first = 1000 * at;
        hpt__sobol *s;
        const uint32_t *columns, *shift;
        double want[32], *out = marked(n * d + 1);
        OK(hpt__sobol_create(&s, d, true, (uint64_t)at));
        hpt__sobol_matrix(&columns, &shift, s);
        const cuda__sobol_args args = {columns, shift, out, d, first, n};
        kernel_run("cuda_sobol", tiles(n * d, CUDA__THREADS), 1, &args,
                   &(output){out, (size_t)(n * d + 1) * sizeof *out}, 1);
        for (int64_t i = 0; i < n; i++) {
            hpt__sobol_point(want, s, (uint64_t)(first + i));
            cr_assert_arr_eq(out + i * d, want, (size_t)d * sizeof *want);
        }
        cr_assert(is_marked(out[n * d]));
        hpt__sobol_destroy(s);
        free(out);
    }
}

Test(kernel_fill, normal_is_the_stream)
{
    for (int64_t at = 0; at < COUNT(sizes); at++) {
        const int64_t n = sizes[at], first = at;
        double *out = marked(n + 1);
        hpt__rng rng;
        const cuda__normal_args args = {7, 9, out, first, n};
        kernel_run("cuda_normal", tiles(n, CUDA__THREADS), 1, &args, &(output){out, (size_t)(n + 1) * sizeof *out}, 1);
        hpt__rng_init(&rng, 7, 9);
        for (int64_t i = -first; i < n; i++) {
            const double want = hpt__rng_normal(&rng);
            if (i >= 0) cr_assert_eq(out[i], want); // under the shim the inverse is the host's
        }
        cr_assert(is_marked(out[n]));
        free(out);
    }
}
