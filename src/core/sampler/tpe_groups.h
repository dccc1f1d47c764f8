// SPDX-License-Identifier: Apache-2.0
// tpe_groups.h: which parameters of a space belong together, for TPE's joint densities.
#ifndef HPT_SAMPLER_TPE_GROUPS_H
#define HPT_SAMPLER_TPE_GROUPS_H

#include "../trials/trials.h"

typedef struct hpt__tpe_groups {
    const hpt_space *space; // borrowed
    int32_t *group_of;      // d; 0 <= group < n
    int32_t n;
    int32_t *first; // n: the parameter of the group that comes first in topological order
    bool *joined;   // n: more than one parameter could be in it
    // Rows before n_passed have been looked at, but for those in `open`, which were not finished.
    int64_t n_passed;
    int32_t *open;
    int64_t n_open, cap_open;
    int32_t *present, *size, *half; // scratch, n
} hpt__tpe_groups;

// joint false: every parameter by itself.
HPT_NODISCARD int hpt__tpe_groups_init(hpt__tpe_groups *g, const hpt_space *space, bool joint);
void hpt__tpe_groups_fini(hpt__tpe_groups *g); // accepts a zeroed one
// Takes in the trials that finished since the last call. *changed: groups were split. After a failure nothing is lost:
// the next call goes on.
HPT_NODISCARD int hpt__tpe_groups_update(bool *changed, hpt__tpe_groups *g, const hpt__trials *t);

#endif
