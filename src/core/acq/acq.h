// SPDX-License-Identifier: Apache-2.0
// acq.h: where to evaluate next: the search for the maximum of an acquisition function over a search space.
//
// Letters as in backend_impl.h.
#ifndef HPT_ACQ_ACQ_H
#define HPT_ACQ_ACQ_H

#include "../gp/gp.h"
#include "../gp/gp_nearest.h"

// Candidates with their moments that the points of a batch share (acq_pool.c).
typedef struct hpt__acq_pool hpt__acq_pool;

// A numeric parameter with so many values or fewer has all of them tried, one by one; others are searched as if continuous.
enum { HPT__ACQ_FEW_LEVELS = 21 };

typedef struct hpt__search_options {
    int64_t n_global;  // candidates of a scrambled Sobol sequence over the space
    int64_t n_local;   // candidates around the best told points
    int64_t n_starts;  // that are refined
    int64_t max_steps; // of L-BFGS-B
    // Only points whose parameter `lock_param` (of the space) has this internal value; -1: none.
    int64_t lock_param;
    double lock_value;
    // Trust region: centre row (d) and half width per column; NULL: the whole space.
    const double *centre, *half_width;
    // More points that are excluded, beside those of the model: rows as encoded (n_excluded x d) and masks. NULL: none.
    const double *excluded;
    const uint64_t *excluded_mask;
    int64_t n_excluded;
    // The candidates, instead of new ones; they fit the gp (hpt__acq_pool_fits). NULL: made for this search.
    const hpt__acq_pool *pool;
    // All told and pending points, where the model has a part of the told ones: acq_wide.c. NULL: it has all.
    hpt__neighbours *nearest;
} hpt__search_options;

// Coordinates of `fixed` (space->d, internal; NULL: none) that are not NaN stay as they are. Excluded are points that were
// told or are pending (row equal after snapping), unless nothing else is left (HPT_S_EXHAUSTED, *row is then the best
// repeat), and, as long as there is anything else, points that would only polish (rule: acq_search.c). The model is ready.
// row (d), mask, *value: the best legal point found and its acquisition value.
// Deterministic for the state of rng and the model.
HPT_NODISCARD int hpt__acq_search(double *row, uint64_t *mask, double *value, hpt__gp *gp, const hpt__gp_code *code,
                                  const hpt__acq *acq, const double *fixed, const hpt__search_options *options,
                                  hpt__rng *rng);

// The value to improve on: with noise the smallest posterior mean over told points, else the smallest told value, in
// transformed units.
HPT_NODISCARD int hpt__acq_incumbent(double *best, int64_t *index, hpt__gp *gp);
// The noise that expected improvement has to reckon with, a variance in transformed units; 0: too little to matter.
double hpt__acq_noise(const hpt__gp *gp);
// tau of HPT__ACQ_PE: the mean where mean - 1.8 sd is smallest among the best told and pending points.
HPT_NODISCARD int hpt__acq_threshold(double *tau, hpt__gp *gp, const hpt__gp_code *code);

// Makes *pool anew (NULL: it is created): candidates as a search with these options makes them, no value fixed. The gp is
// ready and has no pending points. On an error the pool fits nothing.
HPT_NODISCARD int hpt__acq_pool_make(hpt__acq_pool **pool, hpt__gp *gp, const hpt__gp_code *code,
                                     const hpt__search_options *options, hpt__rng *rng);
// To be called after each hpt__gp_add_pending: the moments learn of the new row. A pool that did not fit before stays so.
HPT_NODISCARD int hpt__acq_pool_append(hpt__acq_pool *pool, hpt__gp *gp);
// Whether the moments are those of the gp as it is.
bool hpt__acq_pool_fits(const hpt__acq_pool *pool, const hpt__gp *gp);
void hpt__acq_pool_destroy(hpt__acq_pool *pool);
// ---- Thompson samples (acq_thompson.c): candidates with the values of functions drawn from the posterior
typedef struct hpt__acq_crowd hpt__acq_crowd;
void hpt__acq_crowd_destroy(hpt__acq_crowd *crowd);
// The legal point where function `number` of the family `seed`, drawn from the posterior of what was told, is smallest among the
// candidates that options make and that are not taken. The gp is ready; *crowd (NULL: it is created) is made anew whenever
// the gp has learned something. HPT_S_NOTHING: every candidate is taken.
HPT_NODISCARD int hpt__acq_thompson(double *row, uint64_t *mask, hpt__acq_crowd **crowd, hpt__gp *gp,
                                    const hpt__gp_code *code, const hpt__search_options *options, uint64_t seed,
                                    int64_t number);

// For a search while points are pending: acq, a LogEI, may become one that explores (*explores); from a pool few starts are
// refined. turn: counts the searches.
HPT_NODISCARD int hpt__acq_while_pending(hpt__acq *acq, bool *explores, hpt__search_options *options, hpt__gp *gp,
                                         const hpt__gp_code *code, int64_t turn);
// Their number; mean, var (of the latent function), rows (n x d) and masks, borrowed until the pool changes. For tests.
int64_t hpt__acq_pool_moments(const double **mean, const double **var, const double **rows, const uint64_t **masks,
                              const hpt__acq_pool *pool);

#endif
