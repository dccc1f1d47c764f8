// SPDX-License-Identifier: Apache-2.0
// ref_predict.c: predictions of backend `ref`, candidate by candidate.
//
//   k_i = k(x_i, z)                               rows
//   mean = sum over the first n_weights points of w_i k_i
//   v = L^-1 k,  var = k(z, z) - v'v              not below 0
//   dmean/dz = sum w_i dk_i/dz,   dvar/dz = -2 sum (L^-T v)_i dk_i/dz      (k(z, z) does not depend on z)
//   joint: cov_ab = k(z_a, z_b) - v_a'v_b
//
// Why by triangular solves and not by K^-1: variances near told points are differences of nearly equal numbers; with K^-1
// their error is 4 % at noise 1e-6, with L it stays at rounding (measured, docs/design/0003).
// Ownership: workspace within a call. Threads: one at a time per model. Cost: n^2 per candidate, twice with gradient.
#include "ref.h"

#include "../core/backend/backend.h"
#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <math.h>

static void cross(double *k, const ref_model *m, int64_t n, const double *z, uint64_t zmask) {
    for (int64_t i = 0; i < n; i++) k[i] = ref_k(m->cov, m->theta, m->x + i * m->cov->d, m->mask[i], z, zmask);
}

static double mean_of(const ref_model *m, const double *k) {
    double sum = 0;
    for (int64_t i = 0; i < m->n_weights; i++) sum += m->w[i] * k[i];
    return sum;
}

// out (d) = sum over i < n of a_i dk_i/dz. dk: d numbers of workspace.
static void gradient(double *out, const ref_model *m, const double *a, int64_t n, double factor, const double *z,
                     uint64_t zmask, double *dk) {
    const int64_t d = m->cov->d;
    for (int64_t j = 0; j < d; j++) out[j] = 0;
    for (int64_t i = 0; i < n; i++) {
        ref_k_point(dk, m->cov, m->theta, m->x + i * d, m->mask[i], z, zmask);
        for (int64_t j = 0; j < d; j++) out[j] += factor * a[i] * dk[j];
    }
}

int ref_posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                  double *dmean, double *dvar) {
    const ref_model *g = model;
    const int64_t d = g->cov->d, rows = g->rows;
    double *k = hpt__malloc((size_t)(rows + d) * sizeof *k);
    if (!k) return hpt__fail_memory();
    double *dk = k + rows;
    for (int64_t i = 0; i < m; i++) {
        const double *point = z + i * d;
        cross(k, g, rows, point, zmask[i]);
        if (mean) mean[i] = mean_of(g, k);
        if (dmean) gradient(dmean + i * d, g, g->w, g->n_weights, 1, point, zmask[i], dk);
        if (!var && !dvar) continue;
        ref_solve(g->l, g->cap, rows, k);
        if (var) {
            double sum = ref_k(g->cov, g->theta, point, zmask[i], point, zmask[i]);
            for (int64_t j = 0; j < rows; j++) sum -= k[j] * k[j];
            var[i] = sum > 0 ? sum : 0;
        }
        if (dvar) {
            ref_solve_transposed(g->l, g->cap, rows, k);
            gradient(dvar + i * d, g, k, rows, -2, point, zmask[i], dk);
        }
    }
    hpt__free(k);
    return 0;
}

int ref_acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                double *grad) {
    const ref_model *g = model;
    const int64_t d = g->cov->d;
    int rc = 0;
    double *dmean = hpt__malloc((size_t)(2 * d) * sizeof *dmean);
    if (!dmean) return hpt__fail_memory();
    double *dvar = dmean + d;
    for (int64_t i = 0; i < m; i++) {
        const bool needs_mean = acq->kind != HPT__ACQ_SD;
        double mean = 0, var = 0, by_mean, by_var;
        HPT_TRY(ref_posterior(model, z + i * d, zmask + i, 1, needs_mean ? &mean : NULL, &var,
                              grad && needs_mean ? dmean : NULL, grad ? dvar : NULL));
        value[i] = hpt__acq_value(acq, mean, var);
        if (!grad) continue;
        hpt__acq_derivatives(&by_mean, &by_var, acq, mean, var);
        for (int64_t j = 0; j < d; j++) grad[i * d + j] = by_var * dvar[j] + (needs_mean ? by_mean * dmean[j] : 0);
    }
out:
    hpt__free(dmean);
    return rc;
}

int ref_joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc) {
    const ref_model *g = model;
    const int64_t d = g->cov->d, rows = g->rows;
    double *v = hpt__malloc((size_t)rows * (size_t)m * sizeof *v); // rows x m
    if (!v) return hpt__fail_memory();
    for (int64_t i = 0; i < m; i++) {
        cross(v + i * rows, g, rows, z + i * d, zmask[i]);
        if (mean) mean[i] = mean_of(g, v + i * rows);
        ref_solve(g->l, g->cap, rows, v + i * rows);
    }
    for (int64_t a = 0; a < m; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double sum = ref_k(g->cov, g->theta, z + a * d, zmask[a], z + b * d, zmask[b]);
            for (int64_t j = 0; j < rows; j++) sum -= v[j + a * rows] * v[j + b * rows];
            if (a == b && sum < 0) sum = 0;
            cov[a + b * ldc] = cov[b + a * ldc] = sum;
        }
    }
    hpt__free(v);
    return 0;
}
