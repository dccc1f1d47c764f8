// SPDX-License-Identifier: Apache-2.0
// cuda_path.cu: the waves of functions drawn pathwise (formulas: backend_impl.h). Host side: cuda_path.c.
//
//   wave_tf(z) = (cos p_tf, sin p_tf),   p_tf = sum over the columns of term t of frequency times coordinate, or of the choice's
// A thread has one feature of one term at PLACES candidates: neighbouring threads read and write neighbouring numbers, and a
// frequency serves all candidates. A value of a column that is not active may be anything: it is neither multiplied nor taken
// for a choice. sincos is right to 2 units in the last place for any phase; what is lost is the rounding of the sum, 1e-12 for
// phases below 1e4.
// Cost: 2 d flops and one sine and cosine (about 80) a wave; 16 bytes written.
#include "cuda_tile.cuh"

CUDA__KERNEL(cuda_waves, cuda__waves_args, CUDA__THREADS) {
    const int parts = (int)((a.n_features + CUDA__THREADS - 1) / CUDA__THREADS), t = (int)blockIdx.y / parts;
    const int64_t f = (int64_t)((int)blockIdx.y % parts) * CUDA__THREADS + threadIdx.x, n = a.n_features;
    const int64_t j0 = (int64_t)blockIdx.x * CUDA__PLACES;
    if (f >= n) return;
    const double *omega = a.omega + t * a.rows * n + f;
    double phase[CUDA__PLACES];
    bool active[CUDA__PLACES];
    CUDA__EACH (e, CUDA__PLACES) {
        phase[e] = 0;
        active[e] = j0 + e < a.z.n && cuda__active(a.cov, t, a.z.mask[j0 + e]);
    }
    for (int b = 0; b < a.cov.n_blocks; b++) {
        if (!(a.cov.term_blocks[t] >> b & 1)) continue;
        for (int c = a.cov.first[b]; c < a.cov.first[b + 1]; c++) {
            const double *w = omega + a.first[a.cov.order[c]] * n, *x = a.z.x + c * a.z.ld + j0;
            if (a.cov.categorical[c]) {
                CUDA__EACH (e, CUDA__PLACES)
                    if (active[e]) phase[e] += w[(1 + (int64_t)x[e]) * n];
            } else {
                CUDA__EACH (e, CUDA__PLACES)
                    if (active[e]) phase[e] += x[e] * w[0];
            }
        }
    }
    CUDA__EACH (e, CUDA__PLACES) {
        if (j0 + e >= a.z.n) return;
        double *wave = a.wave + 2 * ((j0 + e) * a.cov.n_terms + t) * n + f, sine = 0, cosine = 0;
        if (active[e]) sincos(phase[e], &sine, &cosine);
        wave[0] = cosine;
        wave[n] = sine;
    }
}
