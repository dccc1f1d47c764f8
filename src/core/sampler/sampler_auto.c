// SPDX-License-Identifier: Apache-2.0
// sampler_auto.c: the default: a good start, then a model, and no point twice where points can be counted.
//
//   trial 0                       the centre of the space: the middle of every range, under a law its median, and the
//                                 likeliest choice, of equals the first
//   until auto.n_startup trials   points of the scrambled Sobol sequence (random ones beyond its 1111 dimensions), also
//                                 while fewer than tpe.n_startup trials have a result for the model
//   after that                    TPE for one objective; with several the Sobol sequence goes on
//
// In a finite space of up to 100,000 points a point that some trial has already (told or running) is replaced by a near
// one without a trial, and when every point has had its trial the answer is HPT_S_EXHAUSTED: auto takes the objective as
// repeatable. Who wants repeats of a noisy one asks tpe or random by name, or enqueues points.
// A trial with coordinates fixed by its user is completed and never replaced.
//
// Ownership: the state owns the samplers it is made of. Threads: one call at a time (the study's lock).
// Cost: that of qmc and tpe; sampler_visited.c for the set of points.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "../space/sobol.h"
#include "sampler_ops.h"
#include "sampler_visited.h"

#include <math.h>
#include <string.h>

static const uint64_t AUTO_TAG = 0x6175746f; // "auto"

typedef struct auto_state {
    hpt__sampler_env env;
    const hpt__sampler_ops *spread; // qmc or random
    void *spread_state;
    void *tpe_state;       // NULL: several objectives
    hpt__visited *visited; // NULL: the space is not small
} auto_state;

static void auto_destroy(void *state) {
    auto_state *s = state;
    if (!s) return;
    if (s->spread) s->spread->destroy(s->spread_state);
    hpt__sampler_tpe_ops.destroy(s->tpe_state);
    hpt__visited_destroy(s->visited);
    hpt__free(s);
}

static int auto_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    int64_t n_varied = 0;
    auto_state *s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->env = *env;
    for (int64_t i = 0; i < env->space->d; i++)
        if (!hpt__param_fixed(&env->space->params[i])) n_varied++;
    // Options are read at creation only by qmc: the start is scrambled whatever sampler qmc is told to do.
    hpt__options scrambled = *env->options;
    scrambled.qmc_scramble = true;
    hpt__sampler_env spread_env = *env;
    spread_env.options = &scrambled;
    s->spread = n_varied <= HPT__SOBOL_MAX_DIM ? &hpt__sampler_qmc_ops : &hpt__sampler_random_ops;
    HPT_TRY(s->spread->create(&s->spread_state, &spread_env));
    if (env->k == 1) HPT_TRY(hpt__sampler_tpe_ops.create(&s->tpe_state, env));
    HPT_TRY(hpt__visited_create(&s->visited, env->space));
    *state = s;
    s = NULL;
out:
    auto_destroy(s);
    return rc;
}

static double likeliest(const hpt__param *p) {
    int64_t best = 0;
    for (int64_t k = 1; p->probabilities && k < p->n_choices; k++)
        if (p->probabilities[k] > p->probabilities[best]) best = k;
    return (double)best;
}

static void centre(double *point, const hpt_space *space) {
    for (int64_t t = 0; t < space->d; t++) {
        const int64_t i = space->topo[t];
        const hpt__param *p = &space->params[i];
        if (!hpt__space_active(space, i, point))
            point[i] = NAN;
        else if (isnan(point[i]))
            point[i] = p->kind == HPT__PARAM_CATEGORICAL ? likeliest(p) : hpt__codec_decode1(p, 0.5);
    }
}

static int choose(double *point, const char **by, auto_state *s, const hpt__trials *table, int64_t number) {
    const hpt__options *o = s->env.options;
    if (number == 0) {
        centre(point, s->env.space);
        *by = "centre";
        return 0;
    }
    const int64_t n_results = table->counts[HPT_TRIAL_COMPLETE] + table->counts[HPT_TRIAL_PRUNED];
    if (s->tpe_state && number >= o->auto_n_startup && n_results > 0 && n_results >= o->tpe_n_startup)
        return hpt__sampler_tpe_ops.suggest(point, by, s->tpe_state, table, number);
    // The sequence starts with trial 1.
    return s->spread->suggest(point, by, s->spread_state, table, number - 1);
}

static int auto_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    int rc = 0;
    auto_state *s = state;
    bool free_choice = s->visited != NULL;
    for (int64_t i = 0; i < s->env.space->d; i++)
        if (!isnan(point[i])) free_choice = false;
    if (free_choice) {
        HPT_TRY(hpt__visited_sync(s->visited, table, number));
        if (hpt__visited_left(s->visited) == 0) return HPT_S_EXHAUSTED;
    }
    HPT_TRY(choose(point, by, s, table, number));
    if (free_choice && hpt__visited_has(s->visited, point)) {
        hpt__rng rng;
        hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(AUTO_TAG, (uint64_t)number));
        hpt__visited_replace(point, s->visited, &rng);
        *by = "enumeration";
    }
out:
    return rc;
}

const hpt__sampler_ops hpt__sampler_auto_ops = {
    .name = "auto",
    .doc = "centre and Sobol points, then tpe; never a point twice in a small finite space",
    .create = auto_create,
    .destroy = auto_destroy,
    .suggest = auto_suggest,
};
