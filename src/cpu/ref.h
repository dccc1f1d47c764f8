// SPDX-License-Identifier: Apache-2.0
// ref.h: what the files of backend `ref` share. Letters and layouts: core/backend/backend_impl.h.
#ifndef HPT_CPU_REF_H
#define HPT_CPU_REF_H

#include "../core/backend/backend_impl.h"

typedef struct ref_model {
    const hpt__cov *cov; // borrowed
    int64_t cap;         // rows that x, mask, l and w have room for; leading dimension of l
    int64_t n;           // points
    int64_t rows;        // of the factor; 0: none
    int64_t n_weights;   // points that w covers; 0: no weights
    double *x;           // cap x d, row-major
    uint64_t *mask;      // cap
    double *l;           // cap x cap, column-major, lower
    double *w;           // cap
    double *theta;       // p, of the factor
    double jitter;       // of the factor
} ref_model;

// ---- ref_cov.c
double ref_k(const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z, uint64_t mz);
// d k / d theta, p numbers (the noise's is 0: it is no part of k).
void ref_k_theta(double *grad, const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z,
                 uint64_t mz);
// d k / d z, d numbers; 0 for categorical and inactive columns.
void ref_k_point(double *grad, const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z,
                 uint64_t mz);
double ref_noise(const hpt__cov *c, const double *theta);
int ref_cov_build(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask, int64_t n,
                  double *k, int64_t ldk);
int ref_cov_cross(void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask,
                  int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk);

// ---- ref_factor.c. Columns: l is n x n with leading dimension ldl, lower.
void ref_solve(const double *l, int64_t ldl, int64_t n, double *b);            // b <- L^-1 b
void ref_solve_transposed(const double *l, int64_t ldl, int64_t n, double *b); // b <- L^-T b
// Factors the lower triangle of rows from .. n - 1 in place, those above being a factor already; 0, or the pivot (from 1)
// that is not positive.
int64_t ref_factor_rows(double *l, int64_t ldl, int64_t from, int64_t n);
double ref_logdet(const double *l, int64_t ldl, int64_t n);
int ref_model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info);
int ref_model_append(void *model, double *logdet, int64_t *info);
int ref_model_get_factor(const void *model, double *l, int64_t ldl);
int ref_model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s);
int ref_model_set_y(void *model, const double *y, int64_t n);
int ref_mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
            int64_t *info);

// ---- ref_fill.c
int ref_fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                   double *out);
int ref_fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out);

// ---- ref_predict.c
int ref_posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                  double *dmean, double *dvar);
int ref_acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                double *grad);
int ref_joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc);

// ---- ref_path.c
int ref_paths(void *model, const hpt__paths *paths, const double *z, const uint64_t *zmask, int64_t m, double *out,
              int64_t ldo);

#endif
