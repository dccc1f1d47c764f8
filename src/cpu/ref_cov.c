// SPDX-License-Identifier: Apache-2.0
// ref_cov.c: the covariance of backend `ref`, pair by pair, straight from the formula in backend_impl.h.
//
//   M as a function of q = r^2, with s = sqrt5 r, sqrt3 r:
//     Matern 5/2  M = (1 + s + s^2 / 3) exp(-s)   dM/dq = -5/6 (1 + s) exp(-s)
//     Matern 3/2  M = (1 + s) exp(-s)             dM/dq = -3/2 exp(-s)
//     RBF         M = exp(-q / 2)                 dM/dq = -1/2 M
//   With respect to q the derivative is finite at r = 0, where dr/dx is not.
//   d q / d log l_c = -2 (x_c - z_c)^2 / l_c^2,  d q / d z_c = -2 (x_c - z_c) / l_c^2.
//
// Why pair by pair: it is the oracle; what a reader checks against the formula is one loop over terms and one over columns.
// Columns of inactive blocks are skipped, not multiplied by zero: they may hold any number.
// Threads: pure functions. Cost: one exponential and d operations per pair and term.
#include "ref.h"

#include <math.h>

// M and dM/dq at q. Beyond exp's range both are 0; the test keeps infinity times zero out.
static double shape(double *slope, hpt__cov_kind kind, double q) {
    if (kind == HPT__COV_RBF) {
        const double m = exp(-0.5 * q);
        *slope = -0.5 * m;
        return m;
    }
    const double s = sqrt((kind == HPT__COV_MATERN52 ? 5 : 3) * q);
    if (s > 800) {
        *slope = 0;
        return 0;
    }
    const double e = exp(-s);
    if (kind == HPT__COV_MATERN52) {
        *slope = -5.0 / 6 * (1 + s) * e;
        return (1 + s + s * s / 3) * e;
    }
    *slope = -1.5 * e;
    return (1 + s) * e;
}

static bool in_term(const hpt__cov *c, int64_t column, int64_t t) {
    return c->term_blocks[t] >> c->block[column] & 1;
}

static bool active(const hpt__cov *c, int64_t t, uint64_t mx, uint64_t mz) {
    return (c->term_blocks[t] & ~(mx & mz)) == 0;
}

// (x - z)^2 / l^2 of one column, or [x != z] / l^2.
static double distance(const hpt__cov *c, const double *theta, int64_t column, const double *x, const double *z) {
    const double l = exp(theta[column]);
    const double delta = c->categorical[column] ? (x[column] != z[column] ? 1 : 0) : x[column] - z[column];
    return delta / l * (delta / l);
}

static double term_distance(const hpt__cov *c, const double *theta, int64_t t, const double *x, const double *z) {
    double q = 0;
    for (int64_t j = 0; j < c->d; j++)
        if (in_term(c, j, t)) q += distance(c, theta, j, x, z);
    return q;
}

double ref_k(const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z, uint64_t mz) {
    double k = 0, slope;
    for (int64_t t = 0; t < c->n_terms; t++)
        if (active(c, t, mx, mz)) k += exp(theta[c->d + t]) * shape(&slope, c->kind, term_distance(c, theta, t, x, z));
    return k;
}

void ref_k_theta(double *grad, const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z,
                 uint64_t mz) {
    for (int64_t j = 0; j < hpt__cov_n_theta(c); j++) grad[j] = 0;
    for (int64_t t = 0; t < c->n_terms; t++) {
        if (!active(c, t, mx, mz)) continue;
        double slope;
        const double amplitude = exp(theta[c->d + t]);
        const double m = shape(&slope, c->kind, term_distance(c, theta, t, x, z));
        grad[c->d + t] = amplitude * m;
        if (slope == 0) continue;
        for (int64_t j = 0; j < c->d; j++)
            if (in_term(c, j, t)) grad[j] += amplitude * slope * -2 * distance(c, theta, j, x, z);
    }
}

void ref_k_point(double *grad, const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z,
                 uint64_t mz) {
    for (int64_t j = 0; j < c->d; j++) grad[j] = 0;
    for (int64_t t = 0; t < c->n_terms; t++) {
        if (!active(c, t, mx, mz)) continue;
        double slope;
        const double amplitude = exp(theta[c->d + t]);
        (void)shape(&slope, c->kind, term_distance(c, theta, t, x, z));
        if (slope == 0) continue;
        for (int64_t j = 0; j < c->d; j++) {
            if (!in_term(c, j, t) || c->categorical[j]) continue;
            const double l = exp(theta[j]);
            grad[j] += amplitude * slope * -2 * ((x[j] - z[j]) / l) / l;
        }
    }
}

double ref_noise(const hpt__cov *c, const double *theta) {
    return exp(theta[c->d + c->n_terms]);
}

int ref_cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask, int64_t n,
                  double *k, int64_t ldk) {
    (void)ctx;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++)
            k[i + j * ldk] = ref_k(cov, theta, x + i * cov->d, mask[i], x + j * cov->d, mask[j]);
    return 0;
}

int ref_cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                  int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk) {
    (void)ctx;
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < n; i++)
            k[i + j * ldk] = ref_k(cov, theta, x + i * cov->d, xmask[i], z + j * cov->d, zmask[j]);
    return 0;
}
