// SPDX-License-Identifier: Apache-2.0
// gp_nearest.h: the posterior of many points by nearest neighbours: for each candidate, that of the few points which tell most
// about it.
//
// Letters as in backend_impl.h; n told points, m neighbours, k candidates.
#ifndef HPT_GP_GP_NEAREST_H
#define HPT_GP_GP_NEAREST_H

#include "../backend/backend.h"

typedef struct hpt__neighbours hpt__neighbours;

// Device and covariance are borrowed, theta (p) is copied.
HPT_NODISCARD int hpt__neighbours_create(hpt__neighbours **out, hpt__device *device, const hpt__cov *cov,
                                         const double *theta);
void hpt__neighbours_destroy(hpt__neighbours *s);
// Appends n points (rows n x d, masks; copied). values: transformed ones, n; NULL: pending points, which variance knows and
// the mean does not. No told point after a pending one (HPT_E_STATE).
HPT_NODISCARD int hpt__neighbours_add(hpt__neighbours *s, const double *rows, const uint64_t *mask,
                                      const double *values, int64_t n);
// A model (made with the same covariance, on the same device) of the m told points nearest to the point z, and of as many
// pending ones: factor and weights. Needs a told point.
HPT_NODISCARD int hpt__neighbours_model(hpt__model *model, hpt__neighbours *s, const double *z, uint64_t zmask,
                                        int64_t m);
// The smallest box around the told points of the last model: d numbers each. Other columns than those of a point's own
// blocks count as well.
void hpt__neighbours_box(double *low, double *high, const hpt__neighbours *s);
// Mean and variance (k each, of the latent function) of k candidates, each from its own m neighbours. With m >= n the exact ones.
HPT_NODISCARD int hpt__neighbours_posterior(hpt__neighbours *s, const double *z, const uint64_t *zmask, int64_t k,
                                            int64_t m, double *mean, double *var);
hpt__device *hpt__neighbours_device(const hpt__neighbours *s);

#endif
