// SPDX-License-Identifier: Apache-2.0
// lbfgsb.h: the minimum of a smooth function within bounds by L-BFGS-B, with reverse communication: the caller evaluates,
// so that dozens of searches can advance together and each step is one evaluation of a whole batch.
//
//   hpt__lbfgsb s = {0};
//   HPT_TRY(hpt__lbfgsb_init(&s, n, low, high, x0, &options));
//   do {
//       f = function(g, hpt__lbfgsb_point(&s));
//   } while (hpt__lbfgsb_tell(&s, f, g) == HPT__LBFGSB_EVALUATE);
//   const double *x = hpt__lbfgsb_result(&s, &f);
//   hpt__lbfgsb_fini(&s);
//
// Letters: n variables, m pairs of memory. Deterministic: the points are a function of what was told.
#ifndef HPT_BASE_LBFGSB_H
#define HPT_BASE_LBFGSB_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stdint.h>

enum { HPT__LBFGSB_MEMORY = 10 };

typedef enum hpt__lbfgsb_request {
    HPT__LBFGSB_EVALUATE = 0, // wants f and gradient at hpt__lbfgsb_point
    HPT__LBFGSB_DONE = 1,
} hpt__lbfgsb_request;

typedef enum hpt__lbfgsb_reason {
    HPT__LBFGSB_RUNNING = 0,
    HPT__LBFGSB_GRADIENT = 1,    // the projected gradient is small enough
    HPT__LBFGSB_DECREASE = 2,    // the last iteration gained too little
    HPT__LBFGSB_ITERATIONS = 3,  // max_iterations
    HPT__LBFGSB_EVALUATIONS = 4, // max_evaluations
    HPT__LBFGSB_STUCK = 5,       // no lower value along the steepest descent: as good as rounding allows
    HPT__LBFGSB_NOT_FINITE = 6,  // at the start already
} hpt__lbfgsb_reason;

typedef struct hpt__lbfgsb_options { // zeros are legal: 0 means "never stops for this"
    double gradient_tolerance;       // stop when max_i |clip(x - g)_i - x_i| <= this
    double decrease_tolerance;       // stop when f_old - f <= this * max(|f_old|, |f|, 1)
    int64_t max_iterations;
    int64_t max_evaluations;
    // Length of the first trial step, when nothing is known of the scale. 0: length 1 where a variable lacks a bound, else up to
    // the Cauchy point of the unit quadratic, which in a box may well be a corner.
    double first_step;
} hpt__lbfgsb_options;

typedef struct hpt__lbfgsb_linesearch { // Moré-Thuente: brackets [x, y] of steps with value f and slope g
    double stx, fx, gx, sty, fy, gy, stmin, stmax;
    double finit, ginit, width, width1;
    bool bracketed, stage1;
} hpt__lbfgsb_linesearch;

typedef struct hpt__lbfgsb {
    int64_t n;
    hpt__lbfgsb_options options;
    hpt__lbfgsb_reason reason;
    int64_t n_iterations, n_evaluations;
    double f, f_best;
    // all below live in one allocation
    double *low, *high;                       // n
    double *x, *g;                            // n, iterate and its gradient
    double *trial, *best;                     // n, point to evaluate; best point seen
    double *step_x, *step_g;                  // n, best step of the line search
    double *dir, *cauchy, *work, *breaks;     // n
    double *s, *y;                            // n x m each, scaled so that s'y = 1
    double *sy, *ss;                          // m x m
    double *chol_m, *chol_e, *chol_h, *small; // factors of the middle matrices; vectors of 2 m
    int64_t *order;                           // n, free variables
    int64_t n_pairs;
    double theta;
    // line search
    hpt__lbfgsb_linesearch search;
    double step, step_max, step_limit; // trial, largest feasible, smallest with a value that was not finite
    double step_f;                     // value of step_x; infinity: none yet
    int64_t n_search;                  // evaluations of this line search
    void *memory;
    int64_t capacity; // n that memory is for
} hpt__lbfgsb;

// Starts a search at x0 moved into the bounds; low, high, x0: n numbers, copied; low <= high, infinities allowed,
// low == high: a variable that stays. *s: zeros, or a state used before, whose memory is taken again where it suffices.
// 0 or HPT_E_MEMORY (recorded; *s can still be started or ended). n >= 0; n = 0 is done after one evaluation.
HPT_NODISCARD int hpt__lbfgsb_init(hpt__lbfgsb *s, int64_t n, const double *low, const double *high, const double *x0,
                                   const hpt__lbfgsb_options *options);
void hpt__lbfgsb_fini(hpt__lbfgsb *s);

// The point to evaluate, always within the bounds; borrowed until the next call of tell.
const double *hpt__lbfgsb_point(const hpt__lbfgsb *s);
// Takes value and gradient (n) there. Infinities and NaN are fine (in f or g): the search steps back. After DONE no-op.
hpt__lbfgsb_request hpt__lbfgsb_tell(hpt__lbfgsb *s, double f, const double *g);
// Best point told so far and its value (NULL: not wanted); x0 and infinity if none was finite. Borrowed from the state.
const double *hpt__lbfgsb_result(const hpt__lbfgsb *s, double *f);

#endif
