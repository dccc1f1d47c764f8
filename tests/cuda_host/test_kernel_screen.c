// SPDX-License-Identifier: Apache-2.0
// test_kernel_screen.c: the kernels of screening in single precision: what is rounded against the same in double, bounds against
// plain loops and the host's formulas.
#include "kernel_testing.h"

static const uint32_t mark = UINT32_C(0x7fbadc0f); // a NaN that no operation makes

static float *marked_floats(int64_t n) {
    float *a = malloc((size_t)n * sizeof *a);
    cr_assert_not_null(a);
    for (int64_t i = 0; i < n; i++) memcpy(a + i, &mark, sizeof *a);
    return a;
}

static bool is_float_marked(float v) {
    return memcmp(&v, &mark, sizeof v) == 0;
}

// Single precision; NaN between columns.
static float *float_columns(int64_t rows, int64_t n, int64_t ld, double scale) {
    const int64_t size = (n - 1) * ld + rows;
    double *from = columns(rows, n, ld);
    float *to = malloc((size_t)size * sizeof *to);
    cr_assert_not_null(to);
    for (int64_t i = 0; i < size; i++) to[i] = (float)(scale * from[i]);
    free(from);
    return to;
}

Test(kernel_screen, cross_in_single_precision_is_the_one_in_double_rounded_once)
{
    static const int64_t sizes[] = {1, 17, 64, 65, 130};
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(sizes); at++) {
            const int64_t n = sizes[at], m = sizes[(at + of) % COUNT(sizes)], ldk = n + 2, size = (m - 1) * ldk + n;
            cloud c; // its first n points are x, the others z
            cloud_init(&c, &shapes[of], (uint64_t)(of + 100 * at), n + m);
            double *full = marked(size);
            float *single = marked_floats(size);
            const cuda__points x = cloud_points(&c, 0, n, n + 1), z = cloud_points(&c, n, m, m);
            const cuda__cross_args in_double = {c.s.cov, x, z, full, ldk};
            const cuda__cross_single_args in_single = {c.s.cov, x, z, single, ldk};
            kernel_run("cuda_cross", tiles(n, CUDA__TILE), tiles(m, CUDA__TILE), &in_double,
                       &(output){full, (size_t)size * sizeof *full}, 1);
            kernel_run("cuda_cross_single", tiles(n, CUDA__TILE), tiles(m, CUDA__TILE), &in_single,
                       &(output){single, (size_t)size * sizeof *single}, 1);
            for (int64_t i = 0; i < size; i++) {
                if (i % ldk < n)
                    cr_assert_eq(single[i], (float)full[i], "entry %lld", (long long)i);
                else
                    cr_assert(is_float_marked(single[i]));
            }
            points_free(x);
            points_free(z);
            free(full);
            free(single);
            cloud_fini(&c);
        }
}

Test(kernel_screen, rows_of_a_triangle_are_rounded_and_nothing_else_is_touched)
{
    static const int64_t sizes[] = {1, 31, 33, 256, 257, 600};
    for (int64_t at = 0; at < COUNT(sizes); at++)
        for (int64_t first = 0; first < sizes[at]; first += 1 + sizes[at] / 3) {
            const int64_t n = sizes[at], ld = n + 3, size = (n - 1) * ld + n;
            double *from = columns(n, n, ld);
            float *to = marked_floats(size);
            const cuda__single_args args = {from, to, first, n, ld};
            for (int64_t j = 1; j < n; j++) // above the diagonal nobody has written
                for (int64_t i = 0; i < j; i++) from[i + j * ld] = NAN;
            kernel_run("cuda_single", tiles(n - first, CUDA__THREADS), tiles(n, CUDA__WARP), &args,
                       &(output){to, (size_t)size * sizeof *to}, 1);
            for (int64_t i = 0; i < size; i++) {
                const int64_t row = i % ld, column = i / ld;
                if (row >= first && row < n && row >= column)
                    cr_assert_eq(to[i], (float)from[i], "%lld", (long long)i);
                else
                    cr_assert(is_float_marked(to[i]), "row %lld of column %lld", (long long)row, (long long)column);
            }
            free(from);
            free(to);
        }
}

static void bounds_agree(const shape *of, const hpt__acq *acq, int64_t m, int64_t n_k, int64_t n_v) {
    cloud c;
    const int64_t ld = (n_k > n_v ? n_k : n_v) + 1;
    const double mean_error = 0.01, var_error = 0.02;
    const bool needs_mean = acq->kind != HPT__ACQ_SD;
    cloud_init(&c, of, 7, m);
    float *k = float_columns(n_k, m, ld, 1), *v = float_columns(n_v, m, ld, 0.05);
    double *alpha = columns(n_k, 1, n_k), *upper = marked(m), *lower = marked(m);
    const cuda__points z = cloud_points(&c, 0, m, m);
    const cuda__bounds_args args = {.cov = c.s.cov,
                                    .z = z,
                                    .k = needs_mean ? k : NULL,
                                    .v = v,
                                    .alpha = alpha,
                                    .n_k = n_k,
                                    .n_v = n_v,
                                    .ld = ld,
                                    .mean_error = mean_error,
                                    .var_error = var_error,
                                    .acq = *acq,
                                    .upper = upper,
                                    .lower = lower};
    const output outputs[] = {{upper, (size_t)m * sizeof *upper}, {lower, (size_t)m * sizeof *lower}};
    kernel_run("cuda_bounds", m, 1, &args, outputs, 2);
    for (int64_t j = 0; j < m; j++) {
        long double mean = 0, squares = 0, known = 0;
        for (int64_t i = 0; needs_mean && i < n_k; i++) {
            const long double product = (long double)k[i + j * ld] * alpha[i];
            mean += product;
            squares += product * product;
        }
        for (int64_t i = 0; i < n_v; i++) known += (long double)v[i + j * ld] * v[i + j * ld];
        const double e = mean_error * (double)sqrtl(squares), f = var_error * (double)sqrtl(known);
        const double left = fmax(hpt__cov_variance(&c.p.cov, c.p.theta, c.mask[j]) - (double)known, 0);
        const double high = hpt__acq_value(acq, (double)mean - e, left + f),
                     low = hpt__acq_value(acq, (double)mean + e, left - f);
        near_number(upper[j], high, 1e-12, 1e-11, "upper", j);
        near_number(lower[j], low, 1e-12, 1e-11, "lower", j);
        cr_assert_gt(upper[j], lower[j]);
    }
    points_free(z);
    free(k);
    free(v);
    free(alpha);
    free(upper);
    free(lower);
    cloud_fini(&c);
}

Test(kernel_screen, bounds_lie_on_both_sides_of_the_acquisition_by_the_errors)
{
    static const hpt__acq kinds[] = {{.kind = HPT__ACQ_LOGEI, .best = 0.3},
                                     {.kind = HPT__ACQ_LOGEI, .best = -0.2, .noise = 0.01},
                                     {.kind = HPT__ACQ_LCB, .beta = 2},
                                     {.kind = HPT__ACQ_PE, .beta = 1.5, .tau = 0.4},
                                     {.kind = HPT__ACQ_SD}};
    static const int64_t sizes[] = {1, 40, 255, 257};
    for (int64_t at = 0; at < COUNT(kinds); at++)
        for (int64_t s = 0; s < COUNT(sizes); s++)
            bounds_agree(&shapes[(at + s) % n_shapes], &kinds[at], 1 + s, sizes[s], sizes[s] + at % 3);
}
