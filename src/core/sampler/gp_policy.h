// SPDX-License-Identifier: Apache-2.0
// gp_policy.h: what a model sees of many trials, and where it may look in many dimensions.
#ifndef HPT_SAMPLER_GP_POLICY_H
#define HPT_SAMPLER_GP_POLICY_H

#include "gp_archive.h"

// How many told points an exact model may have.
typedef enum hpt__gp_limit_by { HPT__GP_BY_OPTION = 0, HPT__GP_BY_SECONDS = 1, HPT__GP_BY_MEMORY = 2 } hpt__gp_limit_by;
typedef struct hpt__gp_limit {
    int64_t points; // 0: not decided yet
    hpt__gp_limit_by by;
} hpt__gp_limit;
extern const char *const hpt__gp_limit_names[3]; // "option", "seconds", "memory"

// The limit on this device: gp.n_max, else what gp.ask_seconds allows (in steps of a factor of two: small differences of
// speed make none), then what fits into the device's memory. m: candidates of a search. known: an earlier decision that
// stands (points 0: none); only memory may lower it. HPT_E_MEMORY: not even the smallest model fits.
HPT_NODISCARD int hpt__gp_limit_find(hpt__gp_limit *out, hpt__device *device, const hpt__cov *cov,
                                     const hpt__options *options, int64_t m, hpt__gp_limit known);

// Chooses `want` of the archive's entries for a local model: *out (want numbers, ascending; owned by the caller,
// hpt__free), *got of them. centre: entry that they lie around; -1: the best. length: d lengthscales of the columns.
HPT_NODISCARD int hpt__gp_subset(int64_t **out, int64_t *got, const hpt__gp_archive *a, int64_t centre, int64_t want,
                                 const double *length);

typedef struct hpt__gp_region {
    double size;      // L of the paper
    int64_t n_starts; // how often it began anew
    int64_t centre;   // archive entry
} hpt__gp_region;

// Numeric columns at the best point from which there is a trust region, and from which there is one whatever the model is.
enum { HPT__GP_REGION_FROM = 4, HPT__GP_REGION_ALWAYS = 8 };

// Results that a space of d columns has before it has a trust region.
int64_t hpt__gp_region_after(int64_t d);

// The trust region after all entries of the archive: a function of these alone.
void hpt__gp_region_replay(hpt__gp_region *r, const hpt__gp_archive *a);

#endif
