// SPDX-License-Identifier: Apache-2.0
// sampler_qmc.c: points of a Sobol sequence: trial i takes point i.
//
// One dimension for each parameter that can vary, in the space's order, conditional ones included (an absent parameter's
// coordinate is dropped: the others keep their even spread). The index is the trial's number and not a counter in
// the study, as Optuna has it, so two workers cannot use one index twice; numbers of enqueued trials skip theirs.
// By default scrambled with the seed (Matousek 1998), which removes the corner at the origin and keeps the net.
// Ownership: the state owns the sequence and one buffer. Threads: one call at a time (the study's lock).
// Cost: O(d) a point (32 XORs a coordinate at most), nothing allocated after create.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "../space/sobol.h"
#include "sampler_ops.h"

#include <math.h>

static const uint64_t QMC_TAG = 0x716d63; // "qmc"

typedef struct qmc_state {
    const hpt_space *space;
    hpt__sobol *sobol;
    double *u; // one coordinate for each parameter that varies
} qmc_state;

static void qmc_destroy(void *state) {
    qmc_state *s = state;
    if (!s) return;
    hpt__sobol_destroy(s->sobol);
    hpt__free(s->u);
    hpt__free(s);
}

static int qmc_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    int64_t d = 0;
    qmc_state *s = NULL;
    for (int64_t i = 0; i < env->space->d; i++)
        if (!hpt__param_fixed(&env->space->params[i])) d++;
    HPT_FAIL_IF(d > HPT__SOBOL_MAX_DIM, HPT_E_UNSUPPORTED,
                "sampler qmc has %d dimensions at most, this space varies %lld parameters; use auto, tpe or random",
                HPT__SOBOL_MAX_DIM, (long long)d);
    s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->space = env->space;
    s->u = hpt__calloc((size_t)(d + 1), sizeof *s->u);
    if (!s->u) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__sobol_create(&s->sobol, d > 0 ? d : 1, env->options->qmc_scramble, hpt__rng_mix(QMC_TAG, env->seed)));
    *state = s;
    s = NULL;
out:
    qmc_destroy(s);
    return rc;
}

static int qmc_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    qmc_state *s = state;
    const hpt_space *space = s->space;
    (void)table;
    hpt__sobol_point(s->u, s->sobol, (uint64_t)number & UINT32_MAX);
    // Two passes: dimensions are counted in the space's order, activity is decided parents first.
    int64_t k = 0;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        const double v = hpt__codec_decode1(p, hpt__param_fixed(p) ? 0.5 : s->u[k++]);
        if (isnan(point[i])) point[i] = v;
    }
    hpt__space_mask(space, point);
    *by = "sobol";
    return 0;
}

const hpt__sampler_ops hpt__sampler_qmc_ops = {
    .name = "qmc",
    .doc = "Sobol points, spread more evenly than random ones; any number of objectives",
    .create = qmc_create,
    .destroy = qmc_destroy,
    .suggest = qmc_suggest,
    .cheap = true,
};
