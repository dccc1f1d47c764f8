// SPDX-License-Identifier: Apache-2.0
// gp_fallback.h: when a device fails, the host's memory and processors go on: the policy, for sampler gp and for hpt_gp.
#ifndef HPT_GP_GP_FALLBACK_H
#define HPT_GP_GP_FALLBACK_H

#include "../backend/backend.h"

typedef struct hpt__fallback { // zeros: nothing failed yet
    char device[48];           // that failed; "": none
    char why[160];
    bool away;     // the host computes in its place
    bool lost;     // it is not to be tried again
    int64_t wait;  // asks before it is tried again
    int64_t since; // the ask that it failed in
} hpt__fallback;

// An operation on `device` failed with `status`, its line recorded. Where that is a matter for the host (HPT_E_DEVICE, or
// HPT_E_MEMORY of a device that is not the host's, and not the host's own lack of it) *host is opened and the caller closes the old one; else, or if there is
// no host device, status with its line. asks: the caller's count of them.
HPT_NODISCARD int hpt__fallback_take(hpt__device **host, hpt__fallback *f, const hpt__device *device, int status,
                                     int64_t asks, const hpt__ctx_options *options);
// Whether it is time to try the device again; opens it. NULL: not now.
hpt__device *hpt__fallback_again(hpt__fallback *f, int64_t asks, const hpt__ctx_options *options);
// For a JSON object that says what runs: , "instead_of": "cuda:0", "because": "..." or nothing.
void hpt__fallback_json(hpt__str *out, const hpt__fallback *f);

#endif
