// SPDX-License-Identifier: Apache-2.0
// sampler_start.c: the points with which a study begins.
//
//   trial 0          the centre: the middle of every range, under a law its median, and the likeliest choice, of equals
//                    the first
//   trials 1 .. n    points of the scrambled Sobol sequence (random ones beyond its 1111 dimensions), with choices and
//                    parents stratified: each value is taken equally often, in an order drawn for each parameter, because a
//                    branch that the start saw once is written off by a model (measured: three seeds of ten)
//   after that       the sequence goes on
//
// n = max(4, min(2 d, 10), 3 k), at most 24: d parameters that vary, k the most values of a categorical parent. Fewer
// points starve the first fit, more are taken from the model, which uses them better (measured on BBOB, 5 and 10 d).
//
// Deterministic in seed and number. Ownership: owns its sampler and tables. Threads: one at a time. Cost: O(d) a point.
#include "sampler_start.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "../space/sobol.h"

#include <math.h>

static const uint64_t START_TAG = 0x7374617274; // "start"
enum { MOST = 24, LEAST = 4, USUAL = 10, PER_BRANCH = 3 };

struct hpt__start {
    const hpt_space *space;
    hpt__options scrambled;
    hpt__sampler_env env;
    const hpt__sampler_ops *spread; // qmc or random
    void *spread_state;
    int64_t n;
    int32_t *level; // d x n: stratified value of a parameter in trial 1 + i, -1: as the sequence has it
};

static int64_t varied(const hpt_space *space) {
    int64_t n = 0;
    for (int64_t i = 0; i < space->d; i++) n += !hpt__param_fixed(&space->params[i]);
    return n;
}

int64_t hpt__start_size(const hpt_space *space) {
    int64_t n = 2 * varied(space);
    if (n > USUAL) n = USUAL;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (p->kind == HPT__PARAM_CATEGORICAL && p->is_parent && PER_BRANCH * p->n_choices > n)
            n = PER_BRANCH * p->n_choices;
    }
    return n < LEAST ? LEAST : n > MOST ? MOST : n;
}

static bool stratified(const hpt__param *p, int64_t n) {
    const int64_t k = hpt__param_enumerable(p);
    if (k < 2 || k > n || p->probabilities || p->law != HPT__LAW_FLAT) return false;
    return p->kind == HPT__PARAM_CATEGORICAL || p->is_parent;
}

static int stratify(hpt__start *s) {
    const hpt_space *space = s->space;
    s->level = hpt__malloc(((size_t)(space->d * s->n) + 1) * sizeof *s->level);
    if (!s->level) return hpt__fail_memory();
    for (int64_t j = 0; j < space->d; j++) {
        const hpt__param *p = &space->params[j];
        int32_t *level = s->level + j * s->n;
        const bool wanted = stratified(p, s->n);
        for (int64_t i = 0; i < s->n; i++) level[i] = wanted ? (int32_t)(i % hpt__param_cardinality(p)) : -1;
        hpt__rng rng;
        hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(START_TAG, (uint64_t)j));
        for (int64_t i = s->n - 1; wanted && i > 0; i--) {
            const int64_t k = hpt__rng_below(&rng, i + 1);
            const int32_t t = level[i];
            level[i] = level[k];
            level[k] = t;
        }
    }
    return 0;
}

int hpt__start_create(hpt__start **out, const hpt__sampler_env *env, int64_t n) {
    int rc = 0;
    hpt__start *s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->space = env->space;
    s->n = n > 0 ? n : hpt__start_size(env->space);
    // The start is scrambled whatever sampler qmc is told to do.
    s->scrambled = *env->options;
    s->scrambled.qmc_scramble = true;
    s->env = *env;
    s->env.options = &s->scrambled;
    s->spread = varied(env->space) <= HPT__SOBOL_MAX_DIM ? &hpt__sampler_qmc_ops : &hpt__sampler_random_ops;
    HPT_TRY(s->spread->create(&s->spread_state, &s->env));
    HPT_TRY(stratify(s));
    *out = s;
    s = NULL;
out:
    hpt__start_destroy(s);
    return rc;
}

void hpt__start_destroy(hpt__start *s) {
    if (!s) return;
    if (s->spread) s->spread->destroy(s->spread_state);
    hpt__free(s->level);
    hpt__free(s);
}

int64_t hpt__start_n(const hpt__start *s) {
    return s->n;
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

int hpt__start_suggest(double *point, const char **by, hpt__start *s, const hpt__trials *table, int64_t number) {
    if (number == 0) {
        centre(point, s->space);
        *by = "centre";
        return 0;
    }
    for (int64_t j = 0; number <= s->n && j < s->space->d; j++) {
        const int32_t level = s->level[j * s->n + number - 1];
        if (level >= 0 && isnan(point[j])) point[j] = hpt__param_value_at(&s->space->params[j], level);
    }
    // The sequence starts with trial 1.
    return s->spread->suggest(point, by, s->spread_state, table, number - 1);
}
