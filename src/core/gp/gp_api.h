// SPDX-License-Identifier: Apache-2.0
// gp_api.h: the public surrogate's inside, for the rooms that add functions to it (core/acq: a suggestion).
#ifndef HPT_GP_GP_API_H
#define HPT_GP_GP_API_H

#include "gp.h"
#include "gp_fallback.h"
#include "gp_path.h"
#include "gp_placement.h"
#include <hpt/gp.h>

struct hpt_gp {
    hpt_space *space; // own copy; the code borrows it
    hpt__device *device;
    hpt__gp_code code;
    hpt__gp *gp;
    uint64_t seed;
    int64_t n_suggested;  // suggestions so far: their random numbers
    int64_t n_asks;       // calls for some
    hpt__gp_paths *paths; // of the last hpt_gp_sample, or NULL; number and seed
    int64_t n_paths;
    uint64_t paths_seed;
    hpt__fallback fallback;
    bool automatic; // the device was not asked for by name
    hpt__placement placement;
    double *rows;   // cap x d, scratch for points
    uint64_t *mask; // cap
    int64_t cap;
};

// Checks n public points (space->d each) and encodes them into rows and mask. what: "point", for messages.
HPT_NODISCARD int hpt__gp_api_encode(hpt_gp *gp, const double *points, int64_t n, const char *what);

// Runs op on the gp, and where the device fails once more on the host's, from what was told and from the state before.
typedef int hpt__gp_api_op(hpt_gp *gp, void *args);
HPT_NODISCARD int hpt__gp_api_run(hpt_gp *gp, hpt__gp_api_op *op, void *args);

#endif
