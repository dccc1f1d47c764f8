// SPDX-License-Identifier: Apache-2.0
// sampler_list.c: which samplers there are, and what they share.
//
// Why a table: a sampler is added by one file and one line here; nothing else names samplers.
// Ownership: static tables. Threads: any. Cost: fill_random one uniform and one decode per free parameter, nothing
// allocated (40 parameters: about 1 us).
#include "../base/error.h"
#include "../base/str.h"
#include "../space/codec.h"
#include "sampler_ops.h"

#include <math.h>
#include <string.h>

static const hpt__sampler_ops *const SAMPLERS[] = {
    &hpt__sampler_auto_ops,   &hpt__sampler_gp_ops,  &hpt__sampler_tpe_ops,
    &hpt__sampler_random_ops, &hpt__sampler_qmc_ops, &hpt__sampler_grid_ops,
};
enum { N_SAMPLERS = sizeof SAMPLERS / sizeof *SAMPLERS };

const char *hpt_sampler_name(int64_t i) {
    return i >= 0 && i < N_SAMPLERS ? SAMPLERS[i]->name : NULL;
}

const char *hpt_sampler_doc(int64_t i) {
    return i >= 0 && i < N_SAMPLERS ? SAMPLERS[i]->doc : NULL;
}

static int unknown(const char *name) {
    const char *names[N_SAMPLERS];
    hpt__str all = HPT__STR_INIT;
    for (int64_t i = 0; i < N_SAMPLERS; i++) {
        names[i] = SAMPLERS[i]->name;
        hpt__str_add(&all, i > 0 ? ", " : "");
        hpt__str_add(&all, names[i]);
    }
    const char *nearest = hpt__nearest(name, names, N_SAMPLERS);
    int rc = nearest ? hpt__fail(HPT_E_ARG, "no sampler '%s'; did you mean '%s'? There are: %s", name, nearest,
                                 hpt__str_text(&all))
                     : hpt__fail(HPT_E_ARG, "no sampler '%s'; there are: %s", name, hpt__str_text(&all));
    hpt__str_fini(&all);
    return rc;
}

int hpt__sampler_find(const hpt__sampler_ops **out, const char *name) {
    for (int64_t i = 0; name && i < N_SAMPLERS; i++) {
        if (strcmp(SAMPLERS[i]->name, name) == 0) {
            *out = SAMPLERS[i];
            return 0;
        }
    }
    return unknown(name ? name : "(null)");
}

void hpt__sampler_fill_random(double *point, const hpt_space *space, hpt__rng *rng) {
    for (int64_t t = 0; t < space->d; t++) {
        const int64_t i = space->topo[t];
        const hpt__param *p = &space->params[i];
        if (p->n_conditions > 0 && !hpt__space_active(space, i, point))
            point[i] = NAN;
        else if (isnan(point[i]))
            point[i] = hpt__codec_decode1(p, hpt__rng_uniform(rng));
    }
}
