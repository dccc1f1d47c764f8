// SPDX-License-Identifier: Apache-2.0
// gp_placement.h: when a study that may choose moves from the host to an accelerator.
#ifndef HPT_GP_GP_PLACEMENT_H
#define HPT_GP_GP_PLACEMENT_H

#include "../backend/backend.h"

typedef struct hpt__placement { // zeros: nothing looked for yet
    int64_t look_at;            // points from which on to look (again)
} hpt__placement;

// Estimated seconds of an average ask with n told points and m candidates on a device, its share of fits included.
double hpt__gp_ask_seconds(hpt__device *device, const hpt__cov *cov, int64_t n, int64_t m);

// The best accelerator, opened, if an ask with n points is expected to be well faster there than on `host`, where the model
// has at most `most` of them (0: all); the caller's. NULL: there is none, or it is not, or it is not time to look.
hpt__device *hpt__placement_look(hpt__placement *p, hpt__device *host, const hpt__cov *cov, int64_t n, int64_t most,
                                 int64_t m, const hpt__ctx_options *options);

#endif
