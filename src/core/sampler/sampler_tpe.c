// SPDX-License-Identifier: Apache-2.0
// sampler_tpe.c: the tree-structured Parzen estimator (Bergstra et al., NIPS 2011) with the settings of Optuna 5.
//
// The trials are split into few good ones (below) and the others (above, running ones included so that parallel trials
// keep apart); a density l is put on the first and g on the second; of n_candidates points drawn from l the one with the
// largest log l - log g is taken. Split: tpe_split.c. Densities: tpe_parzen.c. Until n_startup trials are complete or
// pruned, points are random.
//
// Multivariate (the default): one product-kernel density over all parameters that are active together, so that
// dependences between parameters are followed. Conditional spaces are decomposed by activity: parameters with the same
// list of conditions exist in the same trials and form a group; groups are taken parents first. The root group
// (no conditions) is chosen from its joint density; then each group whose conditions hold, given the parents just chosen,
// from densities made of those trials alone in which it was active, split by the same global ranking. With few or
// no such trials the prior kernel dominates, so a branch that was never seen is explored broadly. Optuna's `group` option
// decomposes by observed co-occurrence instead, which needs finished trials to find out what the conditions say.
// Univariate: each parameter is a group of its own.
//
// Coordinates fixed by the user stay; the rest of their group is drawn from l given them.
// Trials of other programs with values outside the space are left out of the groups concerned.
//
// Deterministic: a function of seed, number and rows; everything kept is a cache of rows. Finished trials must not change,
// unfinished ones may (compared at every call).
// Ownership: the state owns its groups; space and options are borrowed. Threads: one call at a time (the study's lock).
// Cost per call, n trials, d parameters, c candidates: O(n d) bytes of bookkeeping, at most c n d kernel terms (far
// kernels are left early), linear in n. No allocation once the arrays have grown.
#include "../base/alloc.h"
#include "../base/error.h"
#include "sampler_ops.h"
#include "tpe_parzen.h"
#include "tpe_split.h"

#include <math.h>
#include <string.h>

static const uint64_t TPE_TAG = 0x747065; // "tpe"

typedef struct group {
    int32_t first;   // parameter that it was made for
    bool single;     // one parameter with one value
    int32_t *params; // g
    int64_t g;
    hpt__parzen below, above;
    uint8_t *usable; // rows: 0 unknown, 1 no, 2 yes; finished trials only
    double *fixed;   // g coordinates, NaN where free
} group;

typedef struct tpe_state {
    hpt__sampler_env env;
    double sign;
    group *groups;
    int64_t n_groups;
    hpt__tpe_split split;
    const hpt__trials *table; // whose rows are cached
    uint8_t *want;            // rows
    int64_t cap_rows;
    double *x, *l, *a; // candidates: c x g, and their log densities
    int64_t cap_x;
} tpe_state;

// ---- groups ------------------------------------------------------------------------------------------------------

static bool has_condition(const hpt__param *p, const hpt__condition *c) {
    for (int64_t i = 0; i < p->n_conditions; i++) {
        const hpt__condition *own = &p->conditions[i];
        if (own->parent == c->parent && own->n_values == c->n_values &&
            memcmp(own->values, c->values, (size_t)c->n_values * sizeof *c->values) == 0)
            return true;
    }
    return false;
}

static bool same_conditions(const hpt__param *a, const hpt__param *b) {
    if (a->n_conditions != b->n_conditions) return false;
    for (int64_t i = 0; i < a->n_conditions; i++)
        if (!has_condition(b, &a->conditions[i])) return false;
    for (int64_t i = 0; i < b->n_conditions; i++)
        if (!has_condition(a, &b->conditions[i])) return false;
    return true;
}

// Index of the group a parameter belongs to, or n_groups for a new one. A parameter with a single value (it may be a
// parent) is a group without densities.
static int64_t group_of(const tpe_state *s, int32_t param) {
    const hpt__param *params = s->env.space->params, *p = &params[param];
    if (!s->env.options->tpe_multivariate || hpt__param_fixed(p)) return s->n_groups;
    for (int64_t i = 0; i < s->n_groups; i++) {
        const group *gr = &s->groups[i];
        if (!gr->single && same_conditions(&params[gr->first], p)) return i;
    }
    return s->n_groups;
}

// Groups come in the order of their first parameter in topological order, so the parents of a group's conditions
// belong to groups before it.
static int make_groups(tpe_state *s) {
    int rc = 0;
    const hpt_space *space = s->env.space;
    int64_t *of = hpt__malloc((size_t)(space->d + 1) * sizeof *of);
    s->groups = hpt__calloc((size_t)(space->d + 1), sizeof *s->groups);
    if (!of || !s->groups) HPT_TRY(hpt__fail_memory());
    for (int64_t t = 0; t < space->d; t++) {
        const int32_t param = space->topo[t];
        of[t] = group_of(s, param);
        group *gr = &s->groups[of[t]];
        if (of[t] == s->n_groups) {
            s->n_groups++;
            gr->first = param;
            gr->single = hpt__param_fixed(&space->params[param]);
        }
        gr->g++;
    }
    for (int64_t i = 0; i < s->n_groups; i++) {
        group *gr = &s->groups[i];
        gr->params = hpt__malloc((size_t)gr->g * sizeof *gr->params);
        gr->fixed = hpt__malloc((size_t)gr->g * sizeof *gr->fixed);
        if (!gr->params || !gr->fixed) HPT_TRY(hpt__fail_memory());
        gr->g = 0;
    }
    for (int64_t t = 0; t < space->d; t++) {
        group *gr = &s->groups[of[t]];
        gr->params[gr->g++] = space->topo[t];
    }
    for (int64_t i = 0; i < s->n_groups; i++) {
        group *gr = &s->groups[i];
        if (gr->single) continue;
        HPT_TRY(hpt__parzen_init(&gr->below, space, gr->params, gr->g));
        HPT_TRY(hpt__parzen_init(&gr->above, space, gr->params, gr->g));
    }
out:
    hpt__free(of);
    return rc;
}

// ---- life --------------------------------------------------------------------------------------------------------

static void tpe_destroy(void *state) {
    tpe_state *s = state;
    if (!s) return;
    for (int64_t i = 0; i < s->n_groups; i++) {
        hpt__parzen_fini(&s->groups[i].below);
        hpt__parzen_fini(&s->groups[i].above);
        hpt__free(s->groups[i].params);
        hpt__free(s->groups[i].usable);
        hpt__free(s->groups[i].fixed);
    }
    hpt__free(s->groups);
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
    s->sign = env->directions[0] == HPT_MAXIMIZE ? -1.0 : 1.0;
    hpt__tpe_split_init(&s->split);
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
static void forget(tpe_state *s) {
    hpt__tpe_split_fini(&s->split);
    hpt__tpe_split_init(&s->split);
    for (int64_t i = 0; i < s->n_groups; i++) {
        s->groups[i].below.valid = s->groups[i].above.valid = false;
        if (s->cap_rows > 0) memset(s->groups[i].usable, 0, (size_t)s->cap_rows);
    }
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
    if (s->table != table) forget(s);
    s->table = table;
    for (int64_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].g > widest) widest = s->groups[i].g;
    HPT_TRY(reserve(s, table->n, widest * s->env.options->tpe_n_candidates));
    HPT_TRY(hpt__tpe_split_make(&s->split, table, number, s->sign, s->env.options->tpe_constant_liar));
    for (int64_t i = 0; i < s->n_groups; i++) {
        group *gr = &s->groups[i];
        if (!hpt__space_active(space, gr->first, point))
            for (int64_t j = 0; j < gr->g; j++) point[gr->params[j]] = NAN;
        else if (gr->single)
            point[gr->first] = space->params[gr->first].low;
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
