// SPDX-License-Identifier: Apache-2.0
// sampler_gp.c: Bayesian optimisation of one objective with a Gaussian process.
//
//   1. the start (sampler_start.c), until the model has a point for every second one of it
//   2. the trials as points and values (gp_archive.c), appended to the model; hyperparameters, kernel (gp_kernel.c) and
//      transformation by the schedule of gp_fit.c
//   3. the largest LogEI (Ament et al., NeurIPS 2023) over the incumbent, found by core/acq
// and three asides, because a fit to few data is surer than it should be:
//   doubt   every 4th trial below 100 is chosen with all lengthscales cut to 0.25 sqrt(d) and an amplitude of at least 1,
//           the fit untouched (the cheapest exploration that was found; nothing lost on smooth functions)
//   floor   every 6th trial goes to the value of a parent that was tried least, as long as there is one with fewer than
//           6 (parameters + 1) trials, the parameters that come with it and with the values above it: below that a branch is
//           not yet known to be worse. On a nested tree whose best leaf looks worst, within 0.01 in 120 trials: 59 of 60
//           seeds; with every 8th trial and the leaf's own parameters alone 45; on trees of five branches without nesting 37
//           of 40 with either (docs/ablation.md)
//   noise   the incumbent is the model's smallest mean, not the luckiest result (acq_search.c), and a place where results
//           have said most of what they can is worth less (acq_value.c): without that, 60 of 80 trials on Branin's
//           function with noise repeated one point at the edge
//
// Trials that run. They are appended to the factor, so that the variance knows of them and the mean does not (Desautels et
// al., JMLR 2014); the value to improve on is the smallest of the incumbent and the means at these points: what a running
// trial is expected to bring is not to be won a second time. A batch is chosen one by one like this, and every 4th point while
// others run explores (UCB-PE, acq_pool.c). From 100 told points on whoever asks while something runs shares candidates
// (gp_sampler_batch.c); before, and beside a local model, the search is smaller from the second point of a batch on. Where 64 and
// more run, the next points are Thompson samples (acq_thompson.c): in batches of 256 better in 26 of 36 runs, in batches of 512 in
// half the time (docs/ablation.md).
//
// Many trials: a local model, gp_policy.c, beside which the search asks all told points by their nearest neighbours
// (acq_wide.c); logged once, in the study's stats and its stored state.
//
// Trust region (gp_policy.c). From 8 numeric parameters on, asks that are none of the asides look only into it: measured at 150
// trials on Rosenbrock's function in 10 dimensions regret 14 against 54 without (medians of 4), at 400 on Ackley's in 20
// dimensions 0.7 against 2.3 (means of 2). From 4 on they do once 24 results have shown the whole: Levy's function in 4 dimensions
// 0.0033 against 0.081, Rosenbrock's 1.3 against 3.5 (60 trials, medians of 16; docs/ablation.md). There not with noise, when the
// best result is no centre to trust, nor with kernel RBF, which sees farther than the region. In 2 and 3 dimensions the whole is
// small enough to look at.
//
// Deterministic in seed, number, rows and the saved state (hyperparameters and the schedule, JSON), which the study stores
// with the ask that changed it: who resumes a study asks what the killed process would have asked.
// Ownership: owns device, model and archive. Threads: one call at a time (the study's lock).
// Cost: O(n^2) an ask and what the schedule of the fit adds.
#include "../acq/acq.h"
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "gp_policy.h"
#include "gp_sampler.h"

#include <math.h>
#include <string.h>

static const uint64_t GP_TAG = 0x6770; // "gp"
enum {
    N_GLOBAL = 1536, // candidates of the space, near the best, refined; steps
    N_LOCAL = 768,
    N_WIDE = 512, // candidates of the space beside a local model
    N_STARTS = 8,
    MAX_STEPS = 40,
    FIT_EVALUATIONS = 60,
    DOUBT_EVERY = 4,
    DOUBT_BELOW = 100,
    FLOOR_EVERY = 6,
    FLOOR_AT = 5, // of FLOOR_EVERY: never a trial of doubt
    FLOOR_TRIES = 6,
    FULL_SEARCH_BELOW = 300, // told points; beyond, fewer candidates: each costs O(n^2)
    THOMPSON_FROM = 64,      // pending points
    POOL_FROM = DOUBT_BELOW, // told points; before, doubt changes the factor too often for a pool
};

typedef hpt__gp_sampler gp_state;

static void gp_destroy(void *state) {
    gp_state *s = state;
    if (!s) return;
    hpt__acq_pool_destroy(s->pool);
    hpt__acq_crowd_destroy(s->crowd);
    hpt__gp_destroy(s->gp);
    hpt__device_close(s->device);
    hpt__start_destroy(s->start);
    if (s->has_archive) hpt__gp_archive_fini(&s->archive);
    if (s->has_code) hpt__gp_code_fini(&s->code);
    hpt__free(s->in_model);
    hpt__free(s->pending);
    hpt__free(s->loaded);
    hpt__free(s->before);
    hpt__free(s->row);
    hpt__free(s);
}

static int gp_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    gp_state *s = NULL;
    HPT_FAIL_IF(env->k != 1, HPT_E_UNSUPPORTED,
                "sampler gp handles one objective, this study has %lld; use auto, qmc or random", (long long)env->k);
    s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->env = *env;
    HPT_TRY(hpt__start_create(&s->start, env, env->options->gp_n_startup));
    if (hpt__tpe_impute_of(env->options->impute_running) != HPT__TPE_IMPUTE_NONE)
        hpt__log(HPT_LOG_WARN, "sampler gp takes no value for running trials: option impute.running has no effect");
    // One that was asked for by name is opened now, so that a study on a device that is not there does not begin.
    if (!hpt__device_is_auto(env->device)) HPT_TRY(hpt__gp_sampler_open_device(s));
    *state = s;
    s = NULL;
    rc = 0;
out:
    gp_destroy(s);
    return rc;
}

// ---- the model

// The host's side.
static int make_archive(gp_state *s) {
    int rc = 0;
    const hpt__options *o = s->env.options;
    if (!s->has_code) {
        hpt__cov_kind kind;
        (void)hpt__cov_kind_of(&kind, o->gp_kernel); // auto: Matern 5/2, and what the evidence says
        HPT_TRY(hpt__gp_code_init(&s->code, s->env.space, kind));
        s->has_code = true;
    }
    if (!s->has_archive) {
        const double sign = s->env.directions[0] == HPT_MAXIMIZE ? -1.0 : 1.0;
        HPT_TRY(hpt__gp_archive_init(&s->archive, &s->code, sign, hpt__tpe_impute_of(o->impute_failed)));
        s->has_archive = true;
    }
    if (s->code.cov.d == 0) return 0;
    if (!s->row) {
        const size_t d = (size_t)s->code.cov.d, all = (size_t)s->env.space->d;
        s->row = hpt__malloc((4 * d + 2 * all) * sizeof *s->row);
        if (!s->row) HPT_TRY(hpt__fail_memory());
        s->length = s->row + d;
        s->point = s->length + d;
        s->fixed = s->point + all;
        s->centre = s->fixed + all;
        s->half_width = s->centre + d;
    }
    rc = 0;
out:
    return rc;
}

static int make_model(gp_state *s) {
    if (s->gp) return 0;
    int rc = s->device ? 0 : hpt__gp_sampler_open_device(s);
    if (rc < 0) return rc;
    const hpt__gp_settings settings = {
        .choose_kernel = strcmp(s->env.options->gp_kernel, "auto") == 0,
        .noise = s->env.options->gp_noise < 0 ? NAN : s->env.options->gp_noise,
        .warp = true,
        .seed = s->env.seed,
        .max_evaluations = FIT_EVALUATIONS,
    };
    return hpt__gp_create(&s->gp, s->device, &s->code, &settings);
}

// ---- where to look

// Parameters that vary and exist only under this value of the parent.
static int64_t own_params(const hpt_space *space, int64_t parent, double value) {
    int64_t n = 0;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (hpt__param_fixed(p)) continue;
        for (int64_t c = 0; c < p->n_conditions; c++) {
            if (p->conditions[c].parent != parent) continue;
            for (int64_t v = 0; v < p->conditions[c].n_values; v++) n += p->conditions[c].values[v] == value;
        }
    }
    return n;
}

static int64_t tries(const gp_state *s, int64_t column, double value) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int64_t n = 0;
    for (int64_t i = 0; i < a->n; i++)
        n += (a->masks[i] >> s->code.cov.block[column] & 1) && a->rows[i * d + column] == value;
    for (int64_t i = 0; i < a->n_pending; i++)
        n += (a->pending_masks[i] >> s->code.cov.block[column] & 1) && a->pending_rows[i * d + column] == value;
    return n;
}

// Parameters that the values above this parent brought with them: they vary in its branches too.
static int64_t inherited_params(const hpt_space *space, int64_t parent) {
    int64_t n = 0;
    for (int64_t steps = 0; steps < space->d && space->params[parent].n_conditions > 0; steps++) {
        const hpt__condition *c = &space->params[parent].conditions[0];
        n += own_params(space, c->parent, c->values[0]) - 1; // without the parent itself
        parent = c->parent;
    }
    return n;
}

// The value of a categorical parent that was tried least and too seldom; false: there is none, or the user fixed
// something. The values that its own parents need for it go into `fixed`.
static bool starving(int64_t *param, double *value, double *fixed, const gp_state *s) {
    const hpt_space *space = s->env.space;
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        const int64_t c = s->code.column[i];
        if (!p->is_parent || p->kind != HPT__PARAM_CATEGORICAL || c < 0) continue;
        const int64_t inherited = inherited_params(space, i);
        for (int64_t k = 0; k < p->n_choices; k++) {
            const int64_t own = own_params(space, i, (double)k);
            if (own == 0 || !hpt__param_drawable(p, k)) continue;
            const int64_t n = tries(s, c, (double)k);
            if (n >= FLOOR_TRIES * (own + inherited + 1) || n >= least) continue;
            least = n;
            *param = i;
            *value = (double)k;
        }
    }
    if (least == INT64_MAX) return false;
    int64_t at = *param;
    for (int64_t steps = 0; steps < space->d && space->params[at].n_conditions > 0; steps++) {
        const hpt__condition *c = &space->params[at].conditions[0];
        fixed[c->parent] = c->values[0];
        at = c->parent;
    }
    return true;
}

static hpt__search_options search_options(const gp_state *s) {
    hpt__search_options o = {
        .n_global = N_GLOBAL, .n_local = N_LOCAL, .n_starts = N_STARTS, .max_steps = MAX_STEPS, .lock_param = -1};
    const int64_t n = s->n_model;
    if (n > FULL_SEARCH_BELOW) {
        o.n_global = N_GLOBAL * FULL_SEARCH_BELOW / n;
        o.n_local = N_LOCAL * FULL_SEARCH_BELOW / n;
    }
    if (s->local) o.n_global = N_WIDE;
    if (s->archive.n_provisional > 0 && (n < POOL_FROM || s->local)) {
        o.n_global /= 8;
        o.n_local /= 8;
        o.n_starts = 2;
    }
    if (o.n_global < 128) o.n_global = 128;
    if (o.n_local < 128) o.n_local = 128;
    // The model lacks points that must not be asked again.
    if (s->n_model < s->archive.n) {
        o.excluded = s->archive.rows;
        o.excluded_mask = s->archive.masks;
        o.n_excluded = s->archive.n;
    }
    return o;
}

// Numeric columns that are active at an entry; few: those of grids of few values, all of which the search tries, too.
static bool numeric(const gp_state *s, int64_t c, int64_t entry, bool few) {
    const hpt__cov *cov = &s->code.cov;
    if (cov->categorical[c] || !(s->archive.masks[entry] >> cov->block[c] & 1)) return false;
    const int64_t levels = hpt__param_cardinality(&s->code.space->params[s->code.param[c]]);
    return few || levels < 0 || levels > HPT__ACQ_FEW_LEVELS;
}

static int64_t count_numeric(const gp_state *s, int64_t entry, bool few) {
    int64_t n = 0;
    for (int64_t c = 0; c < s->code.cov.d; c++) n += numeric(s, c, entry, few);
    return n;
}

// The trust region as centre and half width of each column; false: there is none yet, or few numeric columns are active at
// the centre. Other columns, of branches not taken there too, are left free, and among few ones grids of few values: in a box that
// cannot hold their next value they would stay what they are.
// *best: the value to improve on in a round that began anew, else as it was.
static bool region(hpt__search_options *o, double *best, gp_state *s) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    hpt__gp_region r;
    if (d < HPT__GP_REGION_FROM || s->n_model < hpt__gp_region_after(d)) return false;
    hpt__gp_region_replay(&r, a);
    if (r.centre < 0) return false;
    const bool many = count_numeric(s, r.centre, true) >= HPT__GP_REGION_ALWAYS;
    const int64_t n = count_numeric(s, r.centre, many);
    if (n < HPT__GP_REGION_FROM) return false;
    if (!many && (s->local || hpt__acq_noise(s->gp) > 0 || hpt__gp_cov(s->gp)->kind == HPT__COV_RBF)) return false;
    const double *theta = hpt__gp_theta(s->gp), *row = a->rows + r.centre * d;
    double sum = 0;
    for (int64_t c = 0; c < d; c++)
        if (numeric(s, c, r.centre, many)) sum += theta[c];
    for (int64_t c = 0; c < d; c++) {
        const bool bounded = numeric(s, c, r.centre, many);
        s->centre[c] = bounded ? row[c] : 0.5;
        s->half_width[c] = bounded ? 0.5 * r.size * exp(theta[c] - sum / (double)n) : 1;
    }
    o->centre = s->centre;
    o->half_width = s->half_width;
    if (r.n_starts > 0) *best = fmax(*best, hpt__gp_transform(s->gp, a->y[r.centre]));
    return true;
}

static int choose(double *point, const char **by, gp_state *s, int64_t number) {
    int rc = 0;
    const hpt_space *space = s->env.space;
    const int64_t d = s->code.cov.d;
    hpt__neighbours *nearest = NULL;
    hpt__rng rng;
    hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(GP_TAG, (uint64_t)number));
    hpt__search_options o = search_options(s);
    bool free_choice = true, explores;
    memcpy(s->fixed, point, (size_t)space->d * sizeof *point);
    for (int64_t i = 0; i < space->d; i++) free_choice = free_choice && isnan(point[i]);

    *by = s->local ? "gp_local" : "gp";
    if (number % DOUBT_EVERY == 0 && s->n_model < DOUBT_BELOW && !s->local) {
        HPT_TRY(hpt__gp_ready_doubtful(s->gp, 0.25 * sqrt((double)d), 1));
        *by = "gp_doubt";
        s->changed = true; // the next factor goes on from this one's rows
    } else {
        HPT_TRY(hpt__gp_ready(s->gp));
    }
    if (free_choice && number % FLOOR_EVERY == FLOOR_AT && starving(&o.lock_param, &o.lock_value, s->fixed, s))
        *by = "gp_floor";
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    HPT_TRY(hpt__gp_sampler_incumbent(&acq.best, s));
    acq.noise = hpt__acq_noise(s->gp);
    const bool plain = strcmp(*by, "gp") == 0 || strcmp(*by, "gp_local") == 0;
    if (plain && region(&o, &acq.best, s) && !s->local) *by = "gp_region";
    const bool pool =
        s->archive.n_pending > 0 && free_choice && o.lock_param < 0 && s->n_model >= POOL_FROM && !s->local;
    if (pool && s->archive.n_pending >= THOMPSON_FROM) {
        HPT_TRY(hpt__gp_sampler_thompson(s, &o, number));
        if (rc == 0) {
            *by = "gp_thompson";
            goto decode;
        }
    }
    hpt__search_options half = o; // many points look at the same candidates: each costs all of them O(n)
    half.n_global /= 2;
    half.n_local /= 2;
    HPT_TRY(hpt__gp_sampler_set_pending(s, pool ? &half : NULL));
    HPT_TRY(hpt__gp_sampler_pending_best(&acq.best, s));
    if (pool && hpt__acq_pool_fits(s->pool, s->gp)) o.pool = s->pool;
    HPT_TRY(hpt__acq_while_pending(&acq, &explores, &o, s->gp, &s->code, number));
    if (explores) *by = "gp_spread";
    uint64_t mask;
    double value;
    const double t0 = hpt__now_mono();
    if (s->local) HPT_TRY(hpt__gp_sampler_nearest(&nearest, s));
    o.nearest = nearest;
    HPT_TRY(hpt__acq_search(s->row, &mask, &value, s->gp, &s->code, &acq, s->fixed, &o, &rng));
    s->search_seconds += hpt__now_mono() - t0;
    if (rc == HPT_S_EXHAUSTED) *by = "gp_repeat";
decode:
    hpt__gp_decode(s->point, &s->code, s->row);
    for (int64_t i = 0; i < space->d; i++)
        if (isnan(point[i])) point[i] = s->point[i];
    hpt__space_mask(space, point);
    rc = 0;
out:
    hpt__neighbours_destroy(nearest);
    return rc;
}

static int ask(double *point, const char **by, gp_state *s, bool moved, int64_t number) {
    int rc = make_model(s);
    if (rc < 0) return rc;
    rc = hpt__gp_sampler_update(s, moved, N_GLOBAL + N_LOCAL);
    if (rc >= 0) return choose(point, by, s, number);
    // Whatever part of it was done: the next call tells the model everything.
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    if (hpt__gp_clear(s->gp) >= 0) hpt__error_set(message);
    s->n_model = s->n_pending = s->upto = 0;
    return rc;
}

static int gp_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    int rc = 0;
    gp_state *s = state;
    bool reset = false, moved = false;
    const int64_t n = hpt__start_n(s->start);
    if (number <= n || table->counts[HPT_TRIAL_COMPLETE] + table->counts[HPT_TRIAL_PRUNED] < (n + 1) / 2)
        return hpt__start_suggest(point, by, s->start, table, number);
    HPT_TRY(make_archive(s));
    if (s->code.cov.d == 0) return hpt__start_suggest(point, by, s->start, table, number);
    HPT_TRY(hpt__gp_archive_sync(&reset, &moved, &s->archive, table, number));
    if (reset) {
        if (s->gp) HPT_TRY(hpt__gp_clear(s->gp));
        s->n_model = s->n_pending = s->upto = s->round = 0;
        s->local = false;
    }
    if (s->archive.n_told + s->archive.n_imputed == 0) return hpt__start_suggest(point, by, s->start, table, number);
    const double t0 = hpt__now_mono();
    HPT_TRY(hpt__gp_sampler_begin_ask(s, N_GLOBAL + N_LOCAL));
    rc = ask(point, by, s, moved, number);
    while (rc < 0) {
        rc = hpt__gp_sampler_fall_back(s, rc);
        if (rc < 0) break;
        rc = ask(point, by, s, moved, number);
    }
    s->ask_seconds += hpt__now_mono() - t0;
    s->n_asks++;
    if (rc != HPT_E_NUMERIC) goto out;
    // No jitter made a factor: the study goes on with evenly spread points until the data change.
    hpt__log(HPT_LOG_WARN, "sampler gp, trial %lld: %s; a Sobol point is taken", (long long)number, hpt_last_error());
    rc = hpt__start_suggest(point, by, s->start, table, number);
out:
    return rc;
}

// ---- the table

static int gp_save(hpt__str *out, void *state) {
    gp_state *s = state;
    if (!s->changed || !s->gp || s->n_model == 0) return HPT_S_NOTHING;
    int rc = hpt__gp_sampler_save_text(out, s);
    if (rc >= 0) s->changed = false;
    return rc;
}

static int gp_load(void *state, const char *json) {
    gp_state *s = state;
    char *copy = hpt__strdup(json);
    if (!copy) return hpt__fail_memory();
    hpt__free(s->loaded);
    s->loaded = copy;
    return 0;
}

static void gp_describe(hpt__str *out, void *state) {
    const gp_state *s = state;
    if (!s->gp) return;
    hpt__str_add(out, "{\"device\":");
    hpt__str_add_json_string(out, hpt__device_name(s->device), strlen(hpt__device_name(s->device)));
    hpt__fallback_json(out, &s->fallback);
    hpt__str_addf(out, ",\"policy\":\"%s\",\"points\":%lld,\"pending\":%lld,", s->local ? "local" : "exact",
                  (long long)s->n_model, (long long)s->n_pending);
    if (s->limit.points > 0)
        hpt__str_addf(out, "\"limit\":%lld,\"limit_by\":\"%s\",", (long long)s->limit.points,
                      hpt__gp_limit_names[s->limit.by]);
    hpt__str_add(out, "\"seconds\":{\"fit\":");
    hpt__str_add_double(out, s->fit_seconds);
    hpt__str_add(out, ",\"acquisition\":");
    hpt__str_add_double(out, s->search_seconds);
    hpt__str_add(out, "}}");
}

const hpt__sampler_ops hpt__sampler_gp_ops = {
    .name = "gp",
    .doc = "Gaussian process and expected improvement, mixed and conditional spaces; one objective",
    .create = gp_create,
    .destroy = gp_destroy,
    .suggest = gp_suggest,
    .save = gp_save,
    .load = gp_load,
    .describe = gp_describe,
    .explain = hpt__gp_sampler_explain,
};
