// SPDX-License-Identifier: Apache-2.0
// gp.h: the surrogate: one Gaussian process over the points of a search space, with its fit.
//
// It minimises: who maximises negates. Letters as in backend_impl.h; n told values, n_pending points without one.
//
// Encoding (gp_encode.c). One column per parameter that can vary. Numeric parameters (float, int, step; of every law) are
// their codec coordinate in [0, 1] (a grid value: the centre of its cell), categorical ones their choice index as a
// categorical column. Block 0 holds the unconditional parameters; parameters with the same set of conditions share a
// block, which is active in a point exactly where they exist. Term 0 is block 0; each other block has one term, over its
// own columns, those of the blocks that its parents are in, and block 0: a sum over jointly active groups, no imputed
// numbers. More than 63 such groups: the rest goes into block 0 with absent values at 0.5 (choice -1).
#ifndef HPT_GP_GP_H
#define HPT_GP_GP_H

#include "../backend/backend.h"
#include "../base/options.h"
#include "../base/rng.h"
#include "../space/space_impl.h"

// ---- encoding
typedef struct hpt__gp_code {
    const hpt_space *space; // borrowed
    hpt__cov cov;           // its arrays are owned here
    int64_t *param;         // d: parameter of each column
    int64_t *column;        // space->d: column of each parameter, -1: it cannot vary
    double *step;           // d: distance of neighbouring grid values in the unit cube (0: continuous; categorical: 0)
} hpt__gp_code;

HPT_NODISCARD int hpt__gp_code_init(hpt__gp_code *code, const hpt_space *space, hpt__cov_kind kind);
void hpt__gp_code_fini(hpt__gp_code *code);
// Internal point (space->d, NaN absent) -> row (d) and mask.
void hpt__gp_encode(double *row, uint64_t *mask, const hpt__gp_code *code, const double *point);
// Row -> internal point, every numeric column snapped to a legal value, conditions applied.
void hpt__gp_decode(double *point, const hpt__gp_code *code, const double *row);
// Replaces a row by that of the legal point it decodes to, and sets its mask.
HPT_NODISCARD int hpt__gp_snap(double *row, uint64_t *mask, const hpt__gp_code *code, double *scratch_point);

// ---- transformation of the objective (gp_warp.c): none, or log-compressed bad tail; then standardised.
typedef enum hpt__warp_kind { HPT__WARP_NONE = 0, HPT__WARP_LOG_TAIL = 1 } hpt__warp_kind;
typedef struct hpt__warp {
    hpt__warp_kind kind;
    double median, scale; // LOG_TAIL: y above the median m -> m + s log1p((y - m) / s)
    double mean, sd;      // of the result
} hpt__warp;
// values: finite, at most 2e300 in size, n >= 1 (the caller clips). Constant data: sd = 1. Without memory for the quartiles
// (n > 256): as NONE.
void hpt__warp_fit(hpt__warp *w, hpt__warp_kind kind, const double *y, int64_t n);
double hpt__warp_apply(const hpt__warp *w, double y);
double hpt__warp_invert(const hpt__warp *w, double z);
// Values beyond the fence say no more than "very bad" and are moved to it. y (finite, reordered): n. Infinite: there is none
// (few values, most of them equal).
double hpt__gp_fence(double *y, int64_t n);
double hpt__warp_log_jacobian(const hpt__warp *w, const double *y, int64_t n); // sum of log dz/dy

// ---- the surrogate
typedef struct hpt__gp hpt__gp;

typedef struct hpt__gp_settings {
    bool choose_kernel;      // between that of the code and RBF by the evidence; else the code's
    double noise;            // NaN: fitted; else the fixed standard deviation in units of the objective
    bool warp;               // choose between none and log tail by the evidence; else none
    uint64_t seed;           // restarts
    int64_t max_evaluations; // of one local search
} hpt__gp_settings;

HPT_NODISCARD int hpt__gp_create(hpt__gp **out, hpt__device *device, const hpt__gp_code *code,
                                 const hpt__gp_settings *s);
void hpt__gp_destroy(hpt__gp *gp);
// Appends n told points (rows n x d, masks) with their values. NaN is an error; values far beyond the bad half count as
// hpt__gp_fence says, infinities as the worst (best) finite one plus (minus) the spread of all finite ones, whatever these
// are at the time. Drops pending points.
// O(n^2) each on a factored model at the next ready: nothing is rebuilt.
HPT_NODISCARD int hpt__gp_tell(hpt__gp *gp, const double *rows, const uint64_t *mask, const double *y, int64_t n);
// Room for n points, so that telling them does not fail for want of memory.
HPT_NODISCARD int hpt__gp_reserve(hpt__gp *gp, int64_t n);
// Forgets everything told.
HPT_NODISCARD int hpt__gp_clear(hpt__gp *gp);
// Replaces one told value (a late correction, an imputed value that moved); no factor is rebuilt.
HPT_NODISCARD int hpt__gp_set_value(hpt__gp *gp, int64_t i, double y);
// Pending points after the told ones: variance knows them, the mean does not. Replaces earlier pending ones.
HPT_NODISCARD int hpt__gp_set_pending(hpt__gp *gp, const double *rows, const uint64_t *mask, int64_t n);
HPT_NODISCARD int hpt__gp_add_pending(hpt__gp *gp, const double *row, uint64_t mask); // one more: O(n^2)

// Brings the hyperparameters up to date: nothing, a gradient check, a warm search, or a search with restarts, by the
// geometric schedule of gp_fit.c; force: a search with restarts. HPT_S_NOTHING: they stayed as they were.
HPT_NODISCARD int hpt__gp_fit(hpt__gp *gp, bool force);
// Whether it would do anything if n points were told.
bool hpt__gp_fit_due(const hpt__gp *gp, int64_t n);
// Goes on with another device: its model is made there when it is needed, of what was told. Where that fails nothing changed.
// The old device may be closed afterwards.
HPT_NODISCARD int hpt__gp_move(hpt__gp *gp, hpt__device *device);
// Makes factor and weights of the present data and hyperparameters, where they are not there yet. Needs n >= 1.
HPT_NODISCARD int hpt__gp_ready(hpt__gp *gp);
// Factor and weights with other hyperparameters for prediction, the fit untouched: what sampler gp calls doubt.
// lengthscale_max: upper bound for all l_c (infinity: none); amplitude_min: lower bound for the amplitude of term 0.
HPT_NODISCARD int hpt__gp_ready_doubtful(hpt__gp *gp, double lengthscale_max, double amplitude_min);

// As users write them.
extern const char *const hpt__cov_kind_names[HPT__COV_KINDS];
// The kind of that name. False: there is none; *kind is Matern 5/2.
bool hpt__cov_kind_of(hpt__cov_kind *kind, const char *name);
const hpt__cov *hpt__gp_cov(const hpt__gp *gp); // the covariance in use: the code's, or that with kernel RBF
int64_t hpt__gp_n(const hpt__gp *gp);
int64_t hpt__gp_n_pending(const hpt__gp *gp);
const double *hpt__gp_theta(const hpt__gp *gp); // p, in use for prediction (before a fit: a default); borrowed
const hpt__warp *hpt__gp_warp(const hpt__gp *gp);
const hpt__gp_code *hpt__gp_code_of(const hpt__gp *gp);
hpt__model *hpt__gp_model(hpt__gp *gp); // for acquisition; ready; in transformed units
// Another number whenever the told points' factor or weights became others; pending points do not count.
int64_t hpt__gp_generation(const hpt__gp *gp);
double hpt__gp_noise_sd(const hpt__gp *gp); // in transformed units
// Told rows (n of them, then the n_pending pending ones) and transformed values (n); borrowed until the next tell or pending
// point. z is up to date after fit, ready and predict.
const double *hpt__gp_rows(const hpt__gp *gp);
const uint64_t *hpt__gp_masks(const hpt__gp *gp);
const double *hpt__gp_z(const hpt__gp *gp);
// A value of the objective (not NaN) as that of a told point would be transformed.
double hpt__gp_transform(hpt__gp *gp, double y);
// Mean and variance in the units of the objective (of the median and of half the 84 %-16 % range where it is transformed).
HPT_NODISCARD int hpt__gp_predict(hpt__gp *gp, const double *rows, const uint64_t *mask, int64_t m, double *mean,
                                  double *sd);
// Log density of the told values under the theta in use, in units of the objective. O(n^3).
HPT_NODISCARD int hpt__gp_log_likelihood(hpt__gp *gp, double *out);
// Hyperparameters, transformation and the schedule's state as one JSON object, and back: what a resumed study needs to go
// on exactly as the killed one.
void hpt__gp_state_json(hpt__str *out, const hpt__gp *gp);
HPT_NODISCARD int hpt__gp_state_from_json(hpt__gp *gp, const hpt__json *object);
// What such an object says is in use: hyperparameters, kernel and transformation; each NULL where it does not say. Names are
// static.
const hpt__json *hpt__gp_state_theta(const char **kernel, const char **warp, const hpt__json *object);

// log prior of theta and, where grad is not NULL, its gradient added (gp_prior.c).
double hpt__gp_log_prior(const hpt__cov *cov, const double *theta, double *grad);
// Bounds of theta for a search; noise_floor: smallest noise variance.
void hpt__gp_bounds(double *low, double *high, const hpt__cov *cov, double noise_floor);

#endif
