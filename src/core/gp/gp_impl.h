// SPDX-License-Identifier: Apache-2.0
// gp_impl.h: the inside of the surrogate, for the files of this room.
#ifndef HPT_GP_GP_IMPL_H
#define HPT_GP_GP_IMPL_H

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/lbfgsb.h"
#include "gp.h"

// Values of the objective beyond this are moved to it; their differences are still finite.
#define HPT__GP_HUGE 1e300
// Noise variances in transformed units: floor of the fit, range of a fixed one.
#define HPT__GP_NOISE_FLOOR 1e-6
#define HPT__GP_NOISE_LEAST 1e-8
#define HPT__GP_NOISE_MOST 1e4

// Kernels and transformations that the evidence chooses from; a variant is a pair of them, kernel * HPT__WARP_COUNT +
// transformation. Starts: searches of a fit for each variant.
enum {
    HPT__GP_KERNELS = 2,
    HPT__WARP_COUNT = 2,
    HPT__GP_VARIANTS = HPT__GP_KERNELS * HPT__WARP_COUNT,
    HPT__GP_STARTS = 4
};
// Nats by which RBF has to be better (gp_kernel.c).
#define HPT__GP_SMOOTH_ODDS 3.0

typedef struct hpt__gp_optimum { // of the posterior of theta, one for each variant
    bool found;
    double *theta; // p
    double score;  // log posterior + log Jacobian at the last fit
} hpt__gp_optimum;

typedef struct hpt__gp_search { // one of those that advance together
    hpt__lbfgsb state;
    int variant;
    double *gradient; // p; of gp->gradients
} hpt__gp_search;

struct hpt__gp {
    hpt__device *device;      // borrowed
    const hpt__gp_code *code; // borrowed
    hpt__gp_settings settings;
    int64_t d, p;
    // Points: n told, then n_pending. Host memory holds the truth, the model a copy of the first n_model rows.
    int64_t n, n_pending, cap;
    double *rows;                  // cap x d
    uint64_t *mask;                // cap
    double *raw;                   // cap, as told, infinities too
    double *y;                     // cap, finite
    double *z;                     // cap, transformed
    double *buffer;                // cap
    int64_t *block_count;          // n_blocks: told points in which a block is active
    hpt__cov cov[HPT__GP_KERNELS]; // the code's, and the same with RBF
    bool two_kernels;              // the evidence chooses
    int kernel;                    // of the model
    hpt__model *model;
    int64_t n_model;
    hpt__model *rival; // of the other kernel, while the two are compared, else NULL: the first n_rival points
    int64_t n_rival;
    // What is up to date.
    bool z_ready;         // y, z and warp are those of raw
    double fence;         // beyond it values are only bad (gp_warp.c), when z is ready; at most HPT__GP_HUGE
    double worse, better; // what an infinite value stands for
    bool weights_ready;   // the model's weights are those of z and of the factor
    bool doubtful;        // the factor is one of hpt__gp_ready_doubtful
    int64_t n_factor;     // told points of the last factorisation; later rows were appended. 0: no factor
    int64_t generation;   // of the factor and weights of the told points
    double *theta_factor; // p, of the factor
    double *theta_used;   // p, for prediction
    // A factor that a saved state had, until it is made: points of the factorisation, rows with those appended, theta.
    int64_t n_resume, n_resume_rows;
    double *theta_resume; // p
    double *scratch;      // p
    // Fit.
    hpt__gp_optimum optimum[HPT__GP_VARIANTS];
    hpt__warp warp;             // of z; its kind is the chosen one
    double *low, *high, *start; // p
    double *gradients;          // p for each search
    double *z_of[HPT__WARP_COUNT];
    hpt__gp_search search[HPT__GP_VARIANTS][HPT__GP_STARTS]; // z_of: cap; values under each transformation
    int64_t n_fit, n_restart; // told points at the last fit or check, at the last search with restarts; 0: never
    int64_t n_searches;       // searches with restarts so far: their random numbers
    bool changed;             // values replaced since the last fit
};

// hpt__warp_fit with a buffer of n numbers.
void hpt__gp_warp_fit(hpt__warp *w, hpt__warp_kind kind, const double *y, int64_t n, double *buffer);

// gp.c: the told points are in the model; y, z and warp are up to date.
HPT_NODISCARD int hpt__gp_sync_points(hpt__gp *gp);
void hpt__gp_sync_values(hpt__gp *gp);
// Logarithm of the variance in transformed units of a noise that settings fix.
double hpt__gp_fixed_noise(const hpt__gp *gp, const hpt__warp *w);
void hpt__gp_default_theta(double *theta, const hpt__cov *cov);
void hpt__gp_drop_factor(hpt__gp *gp);
// The fit has chosen optimum[variant]: model, transformation and theta_used follow. Fails as hpt__gp_use_kernel.
HPT_NODISCARD int hpt__gp_choose(hpt__gp *gp, int variant);
int hpt__gp_variant(const hpt__gp *gp); // in use

// gp_kernel.c. Sets cov and its choice, once.
void hpt__gp_set_kernels(hpt__gp *gp);
// The rival has the first n told points. HPT_E_MEMORY, HPT_E_DEVICE: it has what it had.
HPT_NODISCARD int hpt__gp_sync_rival(hpt__gp *gp, int64_t n);
void hpt__gp_drop_rival(hpt__gp *gp);
// The model is one of this kernel. On failure it is what it was.
HPT_NODISCARD int hpt__gp_use_kernel(hpt__gp *gp, int kernel);

#endif
