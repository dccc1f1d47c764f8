// SPDX-License-Identifier: Apache-2.0
// ref_path.c: functions drawn pathwise of backend `ref`, candidate by candidate (formulas: backend_impl.h).
//
//   f_k(z) = k' w_k + wave' uv_k,   k (n) the covariances of z, wave (2 F T) its cosines and sines, 0 where a term is not active
//
// Ownership: workspace within a call. Threads: one at a time per model. Cost: n (d + s) + F T (d + s), a sine and a cosine
// a feature.
#include "ref.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <math.h>

static void waves_of(double *wave, const hpt__cov *cov, const hpt__paths *p, const double *z, uint64_t zmask) {
    const int64_t n = p->n_features;
    for (int64_t t = 0; t < cov->n_terms; t++) {
        const double *omega = p->omega + t * p->first[cov->d] * n;
        double *u = wave + t * 2 * n, *v = u + n;
        for (int64_t f = 0; f < n; f++) {
            double phase = 0;
            u[f] = v[f] = 0;
            if (cov->term_blocks[t] & ~zmask) continue;
            for (int64_t c = 0; c < cov->d; c++) {
                if (!(cov->term_blocks[t] >> cov->block[c] & 1)) continue;
                const double *of_column = omega + p->first[c] * n + f;
                phase += cov->categorical[c] ? of_column[(1 + (int64_t)z[c]) * n] : z[c] * of_column[0];
            }
            u[f] = cos(phase);
            v[f] = sin(phase);
        }
    }
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

int ref_paths(void *model, const hpt__paths *p, const double *z, const uint64_t *zmask, int64_t m, double *out,
              int64_t ldo) {
    const ref_model *g = model;
    const int64_t n = p->n, d = g->cov->d, n_waves = 2 * p->n_features * g->cov->n_terms;
    double *k = hpt__malloc((size_t)(n + n_waves) * sizeof *k), *wave = k + n;
    if (!k) return hpt__fail_memory();
    for (int64_t i = 0; i < m; i++) {
        for (int64_t a = 0; a < n; a++) k[a] = ref_k(g->cov, g->theta, g->x + a * d, g->mask[a], z + i * d, zmask[i]);
        if (n_waves > 0) waves_of(wave, g->cov, p, z + i * d, zmask[i]);
        for (int64_t j = 0; j < p->s; j++)
            out[i + j * ldo] = dot(k, p->w + j * n, n) + dot(wave, p->uv + j * n_waves, n_waves);
    }
    hpt__free(k);
    return 0;
}
