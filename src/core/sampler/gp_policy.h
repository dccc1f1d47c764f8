// SPDX-License-Identifier: Apache-2.0
// gp_policy.h: what a model sees of many trials, and where it may look in many dimensions.
#ifndef HPT_SAMPLER_GP_POLICY_H
#define HPT_SAMPLER_GP_POLICY_H

#include "gp_archive.h"

// Chooses `want` of the archive's first n entries for a local model: *out (want numbers, ascending; owned by the caller,
// hpt__free), *got of them. length: d lengthscales of the columns.
HPT_NODISCARD int hpt__gp_subset(int64_t **out, int64_t *got, const hpt__gp_archive *a, int64_t n, int64_t want,
                                 const double *length);

typedef struct hpt__gp_region {
    bool on;
    double size;      // L of the paper
    int64_t n_starts; // how often it began anew
    int64_t centre;   // archive entry
} hpt__gp_region;

// The trust region after all entries of the archive: a function of these alone. skip: entries before the model chose.
void hpt__gp_region_replay(hpt__gp_region *r, const hpt__gp_archive *a, int64_t skip, int64_t q);

#endif
