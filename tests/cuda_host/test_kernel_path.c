// SPDX-License-Identifier: Apache-2.0
// test_kernel_path.c: cuda_waves against phases in long double; whatever inactive columns hold, and nothing past the end.
#include "kernel_testing.h"

static const int64_t sizes[] = {1, 7, 8, 9, 20}, features[] = {1, 255, 256, 257, 300};

Test(kernel_path, waves_are_cosines_and_sines_of_the_phases)
{
    for (int64_t of = 0; of < n_shapes; of++) {
        for (int64_t at = 0; at < COUNT(sizes); at++) {
            const int64_t m = sizes[at], n_features = features[(at + of) % COUNT(features)];
            cloud c;
            waves w;
            cloud_init(&c, &shapes[of], 100 + (uint64_t)of, m + 3);
            waves_init(&w, &c.p, 1, 0, n_features);
            const int64_t d = c.p.cov.d, terms = c.p.cov.n_terms, size = 2 * m * terms * n_features;
            const cuda__points z = cloud_points(&c, 3, m, m + 2);
            double *wave = marked(size + 1);
            const cuda__waves_args args = {c.s.cov, z, w.first, w.omega, wave, w.first[d], n_features};
            kernel_run("cuda_waves", tiles(m, CUDA__PLACES), terms * tiles(n_features, CUDA__THREADS), &args,
                       &(output){wave, (size_t)(size + 1) * sizeof *wave}, 1);
            for (int64_t j = 0; j < m; j++) {
                const double *x = c.x + (3 + j) * d;
                for (int64_t t = 0; t < terms; t++) {
                    const bool active = (c.p.terms[t] & ~z.mask[j]) == 0;
                    const double *got = wave + 2 * (j * terms + t) * n_features;
                    for (int64_t f = 0; f < n_features; f++) {
                        long double phase = 0;
                        for (int64_t k = 0; active && k < d; k++) {
                            if (!(c.p.terms[t] >> c.p.block[k] & 1)) continue;
                            const int64_t row = w.first[k] + (c.p.categorical[k] ? 1 + (int64_t)x[k] : 0);
                            phase += (c.p.categorical[k] ? 1 : (long double)x[k]) *
                                     (long double)w.omega[(t * w.first[d] + row) * n_features + f];
                        }
                        near_number(got[f], active ? (double)cosl(phase) : 0, 1e-13, 0, "cosine", f);
                        near_number(got[n_features + f], active ? (double)sinl(phase) : 0, 1e-13, 0, "sine", f);
                    }
                }
            }
            cr_assert(is_marked(wave[size]));
            points_free(z);
            free(wave);
            waves_fini(&w);
            cloud_fini(&c);
        }
    }
}
