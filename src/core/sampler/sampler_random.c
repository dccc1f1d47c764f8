// SPDX-License-Identifier: Apache-2.0
// sampler_random.c: every trial independent and uniform in the codec's unit cube: log-uniform where log, each grid value
// with the mass of its cell, laws and probabilities as given; conditional parameters given their parents.
//
// Ownership: the state is one struct. Threads: one call at a time (the study's lock). Cost: see fill_random; no
// allocation after create.
#include "../base/alloc.h"
#include "../base/error.h"
#include "sampler_ops.h"

static const uint64_t RANDOM_TAG = 0x72616e646f6d; // "random"

typedef struct random_state {
    const hpt_space *space;
    uint64_t seed;
} random_state;

static int random_create(void **state, const hpt__sampler_env *env) {
    random_state *s = hpt__malloc(sizeof *s);
    if (!s) return hpt__fail_memory();
    *s = (random_state){.space = env->space, .seed = env->seed};
    *state = s;
    return 0;
}

static int random_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    const random_state *s = state;
    hpt__rng rng;
    (void)table;
    hpt__rng_init(&rng, s->seed, hpt__rng_mix(RANDOM_TAG, (uint64_t)number));
    hpt__sampler_fill_random(point, s->space, &rng);
    *by = "random";
    return 0;
}

const hpt__sampler_ops hpt__sampler_random_ops = {
    .name = "random",
    .doc = "independent uniform points; any number of objectives",
    .create = random_create,
    .destroy = hpt__free,
    .suggest = random_suggest,
    .cheap = true,
};
