// SPDX-License-Identifier: Apache-2.0
// sampler_tpe.c: the tree-structured Parzen estimator (Bergstra et al., NIPS 2011) with the settings of Optuna 5.
//
// The trials are split into few good ones (below) and the others (above, running ones included so that parallel trials
// keep apart); a density l is put on the first and g on the second; of n_candidates points drawn from l the one with the
// largest log l - log g is taken. Split: tpe_split.c. Densities: tpe_parzen.c. Until n_startup trials are complete or
// pruned, points are random.
//
// Multivariate (the default): one product-kernel density over all parameters that are active together, so that
// dependences between parameters are followed. Conditional spaces are decomposed into groups of parameters that exist in
// the same trials: those with the same list of conditions, and where the space declares none though trials of another
// program lack parameters, those that the trials had together (tpe_groups.c). Groups are taken parents first. The root group
// (no conditions) is chosen from its joint density; then each group whose conditions hold, given the parents just chosen,
// from densities made of those trials alone in which all of it was present, split by the same global ranking. With few or
// no such trials the prior kernel dominates, so a branch that was never seen is explored broadly. In a space without
// conditions every parameter is active, so every group is chosen; the program takes of it what it asks for.
// Univariate: each parameter is a group of its own.
//
// Coordinates fixed by the user stay; the rest of their group is drawn from l given them.
// Trials with values outside the space (another program's) are left out of the groups concerned, and of these only.
//
// Deterministic: a function of seed, number and rows; everything kept is a cache of rows. Finished trials must not change,
// unfinished ones may (compared at every call).
// Ownership: the state owns its groups; space and options are borrowed. Threads: one call at a time (the study's lock).
// When groups are divided, which happens fewer than d times in a study, the estimators of the parts are made anew.
// Cost per call, n trials, d parameters, c candidates: O(n d) bytes of bookkeeping, at most c n d kernel terms (far
// kernels are left early), linear in n. No allocation once the arrays have grown.
#include "../base/alloc.h"
#include "../base/error.h"
#include "sampler_ops.h"
#include "tpe_groups.h"
#include "tpe_parzen.h"
#include "tpe_split.h"

#include <math.h>
#include <string.h>

static const uint64_t TPE_TAG = 0x747065; // "tpe"

typedef struct group {
    bool single;     // one parameter with one value
    int32_t *params; // g, in topological order
    int64_t g;
    hpt__parzen below, above;
    uint8_t *usable; // cap_rows: 0 unknown, 1 no, 2 yes; finished trials only
    double *fixed;   // g coordinates, NaN where free
} group;

typedef struct tpe_state {
    hpt__sampler_env env;
    hpt__tpe_split_rules rules;
    hpt__tpe_groups partition;
    bool stale; // the partition has moved on from the groups
    group *groups;
    int64_t n_groups;
    hpt__tpe_split split;
    const hpt__trials *table; // whose rows are cached
    uint8_t *want;            // cap_rows
    int64_t cap_rows;
    double *x, *l, *a; // candidates: c x g, and their log densities
    int64_t cap_x;
} tpe_state;

// ---- groups ------------------------------------------------------------------------------------------------------

static void group_fini(group *gr) {
    hpt__parzen_fini(&gr->below);
    hpt__parzen_fini(&gr->above);
    hpt__free(gr->params);
    hpt__free(gr->usable);
    hpt__free(gr->fixed);
    *gr = (group){0};
}

static void free_groups(group *groups, int64_t n) {
    for (int64_t i = 0; i < n; i++) group_fini(&groups[i]);
    hpt__free(groups);
}

// One group without estimators.
static int list_params(group *gr, const tpe_state *s, int32_t number) {
    const hpt_space *space = s->env.space;
    const int32_t *of = s->partition.group_of;
    int64_t g = 0;
    for (int64_t i = 0; i < space->d; i++) g += of[i] == number;
    gr->params = hpt__malloc((size_t)g * sizeof *gr->params);
    if (!gr->params) return hpt__fail_memory();
    for (int64_t t = 0; t < space->d; t++)
        if (of[space->topo[t]] == number) gr->params[gr->g++] = space->topo[t];
    gr->single = hpt__param_fixed(&space->params[gr->params[0]]);
    return 0;
}

static int make_estimators(group *gr, const tpe_state *s) {
    gr->fixed = hpt__malloc((size_t)gr->g * sizeof *gr->fixed);
    if (!gr->fixed) return hpt__fail_memory();
    if (s->cap_rows > 0) {
        gr->usable = hpt__calloc((size_t)s->cap_rows, sizeof *gr->usable);
        if (!gr->usable) return hpt__fail_memory();
    }
    if (gr->single) return 0;
    int rc = hpt__parzen_init(&gr->below, s->env.space, gr->params, gr->g);
    return rc < 0 ? rc : hpt__parzen_init(&gr->above, s->env.space, gr->params, gr->g);
}

static group *same_group(const tpe_state *s, const group *gr) {
    for (int64_t i = 0; i < s->n_groups; i++) {
        group *old = &s->groups[i];
        if (old->g == gr->g && memcmp(old->params, gr->params, (size_t)gr->g * sizeof *gr->params) == 0) return old;
    }
    return NULL;
}

// Groups as the partition has them. Those that stay keep their estimators. On failure everything is as before.
static int make_groups(tpe_state *s) {
    int rc = 0;
    const int64_t n = s->partition.n;
    group *groups = hpt__calloc((size_t)(n + 1), sizeof *groups);
    if (!groups) HPT_TRY(hpt__fail_memory());
    for (int32_t i = 0; i < n; i++) {
        HPT_TRY(list_params(&groups[i], s, i));
        if (!same_group(s, &groups[i])) HPT_TRY(make_estimators(&groups[i], s));
    }
    for (int64_t i = 0; i < n; i++) {
        group *old = same_group(s, &groups[i]);
        if (!old) continue;
        const group made = groups[i];
        groups[i] = *old;
        *old = made;
    }
    free_groups(s->groups, s->n_groups);
    s->groups = groups;
    s->n_groups = n;
    groups = NULL;
    s->stale = false;
out:
    if (groups) free_groups(groups, n);
    return rc;
}

// ---- life --------------------------------------------------------------------------------------------------------

static void tpe_destroy(void *state) {
    tpe_state *s = state;
    if (!s) return;
    free_groups(s->groups, s->n_groups);
    hpt__tpe_groups_fini(&s->partition);
    hpt__tpe_split_fini(&s->split);
    hpt__free(s->want);
    hpt__free(s->x);
    hpt__free(s->l);
    hpt__free(s->a);
    hpt__free(s);
}

static int tpe_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    tpe_state *s = NULL;
    HPT_FAIL_IF(env->k != 1, HPT_E_UNSUPPORTED,
                "sampler tpe handles one objective, this study has %lld; use auto, qmc or random", (long long)env->k);
    s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->env = *env;
    s->rules = (hpt__tpe_split_rules){
        .sign = env->directions[0] == HPT_MAXIMIZE ? -1.0 : 1.0,
        .liar = env->options->tpe_constant_liar,
        .failed = hpt__tpe_impute_of(env->options->impute_failed),
        .running = hpt__tpe_impute_of(env->options->impute_running),
    };
    hpt__tpe_split_init(&s->split);
    HPT_TRY(hpt__tpe_groups_init(&s->partition, env->space, env->options->tpe_multivariate));
    HPT_TRY(make_groups(s));
    *state = s;
    s = NULL;
out:
    tpe_destroy(s);
    return rc;
}

static int reserve(tpe_state *s, int64_t rows, int64_t numbers) {
    if (rows > s->cap_rows) {
        const int64_t cap = rows + rows / 2 + 64;
        uint8_t *want = hpt__realloc(s->want, (size_t)cap);
        if (!want) return hpt__fail_memory();
        s->want = want;
        for (int64_t i = 0; i < s->n_groups; i++) {
            uint8_t *usable = hpt__realloc(s->groups[i].usable, (size_t)cap);
            if (!usable) return hpt__fail_memory();
            memset(usable + s->cap_rows, 0, (size_t)(cap - s->cap_rows));
            s->groups[i].usable = usable;
        }
        s->cap_rows = cap;
    }
    if (numbers > s->cap_x) {
        const size_t q = (size_t)s->env.options->tpe_n_candidates;
        double *x = hpt__realloc(s->x, (size_t)numbers * sizeof *x);
        if (!x) return hpt__fail_memory();
        s->x = x;
        if (!s->l) s->l = hpt__malloc(q * sizeof *s->l);
        if (!s->a) s->a = hpt__malloc(q * sizeof *s->a);
        if (!s->l || !s->a) return hpt__fail_memory();
        s->cap_x = numbers;
    }
    return 0;
}

// Another table than last time: nothing of what is cached holds.
static int forget(tpe_state *s) {
    s->table = NULL;
    hpt__tpe_split_fini(&s->split);
    hpt__tpe_split_init(&s->split);
    for (int64_t i = 0; i < s->n_groups; i++) {
        s->groups[i].below.valid = s->groups[i].above.valid = false;
        if (s->cap_rows > 0) memset(s->groups[i].usable, 0, (size_t)s->cap_rows);
    }
    hpt__tpe_groups_fini(&s->partition);
    s->stale = true;
    return hpt__tpe_groups_init(&s->partition, s->env.space, s->env.options->tpe_multivariate);
}

// Divides groups by the trials that finished since the last call.
static int regroup(tpe_state *s, const hpt__trials *t) {
    bool changed = false;
    const int rc = hpt__tpe_groups_update(&changed, &s->partition, t);
    s->stale |= changed;
    return rc < 0 || !s->stale ? rc : make_groups(s);
}

// ---- one group ---------------------------------------------------------------------------------------------------

static bool legal_row(const group *gr, const hpt__trials *t, const hpt_space *space, int64_t row) {
    for (int64_t j = 0; j < gr->g; j++) {
        const hpt__param *p = &space->params[gr->params[j]];
        const double v = t->columns[gr->params[j]].values[row];
        if (!(v >= p->low && v <= p->high)) return false; // NaN too
        if (p->kind == HPT__PARAM_CATEGORICAL && v != floor(v)) return false;
    }
    return true;
}

static bool usable_row(group *gr, const hpt__trials *t, const hpt_space *space, int64_t row) {
    if (t->state[row] == HPT_TRIAL_RUNNING) return legal_row(gr, t, space, row);
    if (gr->usable[row] == 0) gr->usable[row] = legal_row(gr, t, space, row) ? 2 : 1;
    return gr->usable[row] == 2;
}

static int sync_side(tpe_state *s, group *gr, const hpt__trials *t, hpt__tpe_side side) {
    for (int64_t row = 0; row < t->n; row++)
        s->want[row] = s->split.side[row] == side && usable_row(gr, t, s->env.space, row);
    return hpt__parzen_sync(side == HPT__TPE_BELOW ? &gr->below : &gr->above, t, s->want);
}

static int suggest_group(double *point, tpe_state *s, group *gr, const hpt__trials *t, hpt__rng *rng) {
    int64_t n_fixed = 0;
    const int64_t q = s->env.options->tpe_n_candidates, g = gr->g;
    for (int64_t j = 0; j < g; j++) {
        const hpt__parzen_column *c = &gr->below.columns[j];
        const double v = point[c->param];
        gr->fixed[j] = isnan(v) ? NAN : hpt__parzen_coordinate(c, v);
        n_fixed += !isnan(v);
    }
    if (n_fixed == g) return 0;
    int rc = sync_side(s, gr, t, HPT__TPE_BELOW);
    if (rc < 0) return rc;
    rc = sync_side(s, gr, t, HPT__TPE_ABOVE);
    if (rc < 0) return rc;
    hpt__parzen_draw(s->x, &gr->below, rng, q, n_fixed > 0 ? gr->fixed : NULL);
    hpt__parzen_log_pdf(s->l, &gr->below, s->x, q);
    hpt__parzen_log_pdf(s->a, &gr->above, s->x, q);
    int64_t best = 0;
    for (int64_t c = 1; c < q; c++)
        if (s->l[c] - s->a[c] > s->l[best] - s->a[best]) best = c;
    for (int64_t j = 0; j < g; j++) {
        const hpt__parzen_column *c = &gr->below.columns[j];
        if (isnan(point[c->param])) point[c->param] = hpt__parzen_value(c, s->x[best * g + j]);
    }
    return 0;
}

// ---- suggest -----------------------------------------------------------------------------------------------------

static int tpe_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    int rc = 0;
    tpe_state *s = state;
    const hpt_space *space = s->env.space;
    hpt__rng rng;
    int64_t widest = 0;
    hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(TPE_TAG, (uint64_t)number));
    if (table->counts[HPT_TRIAL_COMPLETE] + table->counts[HPT_TRIAL_PRUNED] < s->env.options->tpe_n_startup) {
        hpt__sampler_fill_random(point, space, &rng);
        *by = "random";
        return 0;
    }
    if (s->table && s->table != table) HPT_TRY(forget(s));
    if (!s->partition.group_of) HPT_TRY(forget(s)); // it failed the last time
    s->table = table;
    HPT_TRY(regroup(s, table));
    for (int64_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].g > widest) widest = s->groups[i].g;
    HPT_TRY(reserve(s, table->n, widest * s->env.options->tpe_n_candidates));
    HPT_TRY(hpt__tpe_split_make(&s->split, table, number, &s->rules));
    for (int64_t i = 0; i < s->n_groups; i++) {
        group *gr = &s->groups[i];
        if (!hpt__space_active(space, gr->params[0], point))
            for (int64_t j = 0; j < gr->g; j++) point[gr->params[j]] = NAN;
        else if (gr->single)
            point[gr->params[0]] = space->params[gr->params[0]].low;
        else
            HPT_TRY(suggest_group(point, s, gr, table, &rng));
    }
    *by = "tpe";
out:
    return rc;
}

const hpt__sampler_ops hpt__sampler_tpe_ops = {
    .name = "tpe",
    .doc = "tree-structured Parzen estimator, joint over parameters, conditional spaces by groups; one objective",
    .create = tpe_create,
    .destroy = tpe_destroy,
    .suggest = tpe_suggest,
};
