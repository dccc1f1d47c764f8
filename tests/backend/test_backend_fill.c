// SPDX-License-Identifier: Apache-2.0
// test_backend_fill.c: bulk numbers from a device are those that the host draws one by one.
#include "backend_testing.h"
#include "core/space/sobol.h"

BACKEND_TEST(fill, sobol_points_have_the_bits_of_the_host) {
    static const int64_t dims[] = {1, 3, 40, HPT__SOBOL_MAX_DIM}, firsts[] = {0, 1, 777, (INT64_C(1) << 32) - 70};
    for (int64_t k = 0; k < COUNT(dims); k++)
        for (int scramble = 0; scramble < 2; scramble++) {
            const int64_t d = dims[k], n = 70;
            hpt__sobol *s;
            const uint32_t *columns, *shift;
            double *got = numbers(n * d), *want = numbers(d);
            OK(hpt__sobol_create(&s, d, scramble, 5));
            hpt__sobol_matrix(&columns, &shift, s);
            OK(hpt__fill_sobol(device, columns, shift, d, firsts[k], n, got));
            for (int64_t i = 0; i < n; i++) {
                hpt__sobol_point(want, s, (uint64_t)(firsts[k] + i));
                cr_expect_arr_eq(got + i * d, want, (size_t)d * sizeof *want, "point %d", (int)i);
            }
            FAILS(HPT_E_ARG, hpt__fill_sobol(device, columns, shift, d, (INT64_C(1) << 32) - 3, 4, got));
            FAILS(HPT_E_ARG, hpt__fill_sobol(device, columns, shift, d, -1, 4, got));
            FAILS(HPT_E_ARG, hpt__fill_sobol(device, columns, shift, d, 0, 4, NULL));
            OK(hpt__fill_sobol(device, columns, shift, d, 0, 0, NULL));
            hpt__sobol_destroy(s);
            free(got);
            free(want);
        }
}

// Enough for several parts and threads.
BACKEND_TEST(fill, normal_numbers_are_those_of_the_stream) {
    enum { N = 20001 };
    double *got = numbers(N), *part = numbers(50), mean = 0, square = 0;
    hpt__rng rng;
    const uint64_t seed = UINT64_C(0x123456789abcdef0), stream = UINT64_C(0xfedcba9876543210);
    OK(hpt__fill_normal(device, seed, stream, 0, N, got));
    hpt__rng_init(&rng, seed, stream);
    for (int64_t i = 0; i < N; i++) {
        const double want = hpt__rng_normal(&rng);
        if (hpt__device_is_host(device))
            cr_assert_eq(got[i], want, "number %d", (int)i);
        else
            near_number(got[i], want, 1e-16, 2e-14, "number", i);
        mean += got[i] / N;
        square += got[i] * got[i] / N;
    }
    cr_expect(fabs(mean) < 0.03 && fabs(square - 1) < 0.05, "%g, %g", mean, square);
    OK(hpt__fill_normal(device, seed, stream, 4095, 50, part)); // from an odd place, over the end of a part
    cr_expect_arr_eq(part, got + 4095, 50 * sizeof *part);
    FAILS(HPT_E_ARG, hpt__fill_normal(device, 1, 1, -1, 5, part));
    FAILS(HPT_E_ARG, hpt__fill_normal(device, 1, 1, INT64_MAX, 5, part));
    FAILS(HPT_E_ARG, hpt__fill_normal(device, 1, 1, 0, 5, NULL));
    OK(hpt__fill_normal(device, 1, 1, 0, 0, NULL));
    free(got);
    free(part);
}
