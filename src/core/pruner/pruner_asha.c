// SPDX-License-Identifier: Apache-2.0
// pruner_asha.c: one set of rungs for all trials; the rule and its source are in pruner_halving.c.
//
// Ownership: the state owns what was read of the trials. Threads, cost: as pruner_halving.c.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_halving.h"

typedef struct asha_state {
    hpt__halving halving;
    hpt__watch watch;
} asha_state;

static int asha_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    if (o->asha_bootstrap_count > 0 && o->asha_min_resource == 0) {
        return hpt__fail(HPT_E_ARG, "asha.bootstrap_count needs asha.min_resource: where the first rung lies is known "
                                    "only once a trial has completed");
    }
    asha_state *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->halving = (hpt__halving){
        .sign = env->direction == HPT_MAXIMIZE ? -1.0 : 1.0,
        .min_resource = o->asha_min_resource,
        .reduction_factor = o->asha_reduction_factor,
        .rate = o->asha_min_early_stopping_rate,
        .bootstrap_count = o->asha_bootstrap_count,
    };
    *state = s;
    return 0;
}

static void asha_destroy(void *state) {
    asha_state *s = state;
    if (!s) return;
    hpt__halving_fini(&s->halving);
    hpt__watch_fini(&s->watch);
    hpt__free(s);
}

static bool asha_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    asha_state *s = state;
    return hpt__halving_judge(&s->halving, &s->watch, table, row, notes, NULL, NULL);
}

const hpt__pruner_ops hpt__pruner_asha_ops = {
    .name = "asha",
    .doc = "successive halving: lets one trial in 4 (an option) pass each rung, rungs 4 times apart",
    .create = asha_create,
    .destroy = asha_destroy,
    .should_prune = asha_should_prune,
};
