// SPDX-License-Identifier: Apache-2.0
// acq.h: where to evaluate next: the search for the maximum of an acquisition function over a search space.
//
// Letters as in backend_impl.h.
#ifndef HPT_ACQ_ACQ_H
#define HPT_ACQ_ACQ_H

#include "../gp/gp.h"
#include "../gp/gp_nearest.h"

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

#endif
