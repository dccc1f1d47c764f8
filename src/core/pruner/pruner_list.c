// SPDX-License-Identifier: Apache-2.0
// pruner_list.c: which pruners there are.
//
// Ownership: static tables. Threads: any.
#include "../base/error.h"
#include "../base/str.h"
#include "pruner_ops.h"

#include <string.h>

static const hpt__pruner_ops *const PRUNERS[] = {
    &hpt__pruner_nop_ops,      &hpt__pruner_median_ops, &hpt__pruner_percentile_ops, &hpt__pruner_threshold_ops,
    &hpt__pruner_patience_ops, &hpt__pruner_asha_ops,   &hpt__pruner_hyperband_ops,  &hpt__pruner_bands_ops,
};
enum { N_PRUNERS = sizeof PRUNERS / sizeof *PRUNERS };

const char *hpt_pruner_name(int64_t i) {
    return i >= 0 && i < N_PRUNERS ? PRUNERS[i]->name : NULL;
}

const char *hpt_pruner_doc(int64_t i) {
    return i >= 0 && i < N_PRUNERS ? PRUNERS[i]->doc : NULL;
}

static int unknown(const char *name) {
    const char *names[N_PRUNERS];
    hpt__str all = HPT__STR_INIT;
    for (int64_t i = 0; i < N_PRUNERS; i++) {
        names[i] = PRUNERS[i]->name;
        hpt__str_add(&all, i > 0 ? ", " : "");
        hpt__str_add(&all, names[i]);
    }
    const char *nearest = hpt__nearest(name, names, N_PRUNERS);
    int rc = nearest ? hpt__fail(HPT_E_ARG, "no pruner '%s'; did you mean '%s'? There are: %s", name, nearest,
                                 hpt__str_text(&all))
                     : hpt__fail(HPT_E_ARG, "no pruner '%s'; there are: %s", name, hpt__str_text(&all));
    hpt__str_fini(&all);
    return rc;
}

int hpt__pruner_find(const hpt__pruner_ops **out, const char *name) {
    for (int64_t i = 0; name && i < N_PRUNERS; i++) {
        if (strcmp(PRUNERS[i]->name, name) == 0) {
            *out = PRUNERS[i];
            return 0;
        }
    }
    return unknown(name ? name : "(null)");
}
