// SPDX-License-Identifier: Apache-2.0
// sampler_gp.c: Bayesian optimisation of one objective with a Gaussian process.
//
//   1. the start (sampler_start.c), until the model has a point for every second one of it
//   2. the trials as points and values (gp_archive.c), appended to the model; hyperparameters by the schedule of gp_fit.c
//   3. the largest LogEI (Ament et al., NeurIPS 2023) over the incumbent, found by core/acq
// and three asides, because a fit to few data is surer than it should be:
//   doubt   every 4th trial below 100 is chosen with all lengthscales cut to 0.25 sqrt(d) and an amplitude of at least 1,
//           the fit untouched (the cheapest exploration that was found; nothing lost on smooth functions)
//   floor   every 8th trial goes to the value of a parent that was tried least, as long as there is one with fewer than
//           6 (own parameters + 1) trials: below that a branch is not yet known to be worse
//   noise   the incumbent is the model's smallest mean, not the luckiest result (acq_search.c)
//
// Trials that run. They are appended to the factor, so that the variance knows of them and the mean does not (Desautels et
// al., JMLR 2014); the value to improve on is the smallest of the incumbent and the means at these points: what a running
// trial is expected to bring is not to be won a second time. A batch is chosen one by one like this; from the second point
// of a batch on the search is smaller.
//
// Many trials: a local model, gp_policy.c; logged once, and in the study's stats. From 8 numeric parameters on, asks that are none
// of the asides look only into a trust region (gp_policy.c): measured at 150 trials on Rosenbrock's function in 10 dimensions
// regret 14 against 54 without (medians of 4), at 400 on Ackley's in 20 dimensions 0.7 against 2.3 (means of 2), on a
// rotated Rastrigin alike; below 8 it is no better.
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
#include "../base/map.h"
#include "gp_policy.h"
#include "sampler_ops.h"
#include "sampler_start.h"

#include <math.h>
#include <string.h>

static const uint64_t GP_TAG = 0x6770; // "gp"
enum {
    N_GLOBAL = 1536, // candidates of the space, near the best, refined; steps
    N_LOCAL = 768,
    N_STARTS = 8,
    MAX_STEPS = 40,
    FIT_EVALUATIONS = 60,
    DOUBT_EVERY = 4,
    DOUBT_BELOW = 100,
    FLOOR_EVERY = 8,
    FLOOR_AT = 5, // of FLOOR_EVERY: never a trial of doubt
    FLOOR_TRIES = 6,
    FULL_SEARCH_BELOW = 300, // told points; beyond, fewer candidates: each costs O(n^2)
    REGION_FROM = 8,         // numeric columns at the best point
    UNSAVED = 64,            // results that come between two saves at most, beside a quarter of all
};

typedef struct gp_state {
    hpt__sampler_env env;
    hpt__start *start;
    hpt__gp_code code;
    bool has_code, local;
    hpt__device *device;
    hpt__gp *gp;
    hpt__gp_archive archive;
    bool has_archive;
    int64_t *in_model; // archive entries in the model, in its order
    int64_t n_model, cap_model;
    int64_t *pending; // numbers that the model has as pending
    int64_t n_pending, cap_pending;
    int64_t upto; // archive entries before it are in the model or left out of it
    char *loaded; // state given by load, until the model is there to take it
    uint64_t state_hash;
    bool changed; // since the last save
    double fit_seconds, search_seconds;
    double *row, *length, *point, *fixed, *centre, *half_width; // d or space->d each, one block
} gp_state;

static void gp_destroy(void *state) {
    gp_state *s = state;
    if (!s) return;
    hpt__gp_destroy(s->gp);
    hpt__device_close(s->device);
    hpt__start_destroy(s->start);
    if (s->has_archive) hpt__gp_archive_fini(&s->archive);
    if (s->has_code) hpt__gp_code_fini(&s->code);
    hpt__free(s->in_model);
    hpt__free(s->pending);
    hpt__free(s->loaded);
    hpt__free(s->row);
    hpt__free(s);
}

static bool is_auto(const char *device) {
    return !device || strcmp(device, "auto") == 0;
}

static int open_device(gp_state *s) {
    hpt__str why = HPT__STR_INIT;
    int rc = hpt__device_open(&s->device, s->env.device, NULL, &why);
    if (rc >= 0) rc = hpt__str_status(&why);
    if (rc >= 0 && why.len > 0)
        hpt__log(HPT_LOG_INFO, "sampler gp computes on %s: %s", hpt__device_name(s->device), hpt__str_text(&why));
    hpt__str_fini(&why);
    return rc;
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
    if (!is_auto(env->device)) HPT_TRY(open_device(s));
    *state = s;
    s = NULL;
    rc = 0;
out:
    gp_destroy(s);
    return rc;
}

// ---- the model

static int make_model(gp_state *s) {
    int rc = 0;
    const hpt__options *o = s->env.options;
    if (!s->has_code) {
        HPT_TRY(hpt__gp_code_init(&s->code, s->env.space, HPT__COV_MATERN52));
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
    if (!s->device) HPT_TRY(open_device(s));
    if (!s->gp) {
        const hpt__gp_settings settings = {
            .kind = HPT__COV_MATERN52,
            .noise = o->gp_noise < 0 ? NAN : o->gp_noise,
            .warp = true,
            .seed = s->env.seed,
            .max_evaluations = FIT_EVALUATIONS,
        };
        HPT_TRY(hpt__gp_create(&s->gp, s->device, &s->code, &settings));
    }
    rc = 0;
out:
    return rc;
}

// Told points that the device's memory holds, or the user allows.
static int64_t most_points(const gp_state *s) {
    int64_t n = s->env.options->gp_n_max;
    const int64_t memory = hpt__device_memory(s->device);
    hpt__model_shape shape = {.d = s->code.cov.d, .n_terms = s->code.cov.n_terms, .m = N_GLOBAL + N_LOCAL, .s = 1};
    for (shape.n = n; n > 64; n = n / 4 * 3) {
        shape.n = n;
        if (hpt__device_need(s->device, &shape) <= memory) break;
    }
    return n;
}

// Appends entries of the archive to the model: a run of neighbours in one call.
static int tell(gp_state *s, const int64_t *which, int64_t n) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int rc = hpt__grow(&s->in_model, &s->cap_model, s->n_model + n, sizeof *s->in_model);
    if (rc < 0) return rc;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && which[j] == which[j - 1] + 1;) j++;
        rc = hpt__gp_tell(s->gp, a->rows + which[i] * d, &a->masks[which[i]], &a->y[which[i]], j - i);
        if (rc < 0) return rc;
        s->n_pending = 0;
        memcpy(s->in_model + s->n_model, which + i, (size_t)(j - i) * sizeof *which);
        s->n_model += j - i;
    }
    return 0;
}

// Tells the archive's entries from s->upto to n.
static int tell_upto(gp_state *s, int64_t n) {
    int rc = 0;
    int64_t *which = NULL, m = 0;
    if (s->upto >= n) return 0;
    which = hpt__malloc((size_t)(n - s->upto) * sizeof *which);
    if (!which) return hpt__fail_memory();
    for (int64_t i = s->upto; i < n; i++)
        if (s->archive.kind[i] != HPT__GP_LEFT_OUT) which[m++] = i;
    HPT_TRY(tell(s, which, m));
    s->upto = n;
    rc = 0;
out:
    hpt__free(which);
    return rc;
}

// A model of the entries `which` alone, of the first upto of the archive.
static int tell_anew(gp_state *s, const int64_t *which, int64_t n, int64_t upto) {
    int rc = hpt__gp_clear(s->gp);
    s->n_model = s->n_pending = 0;
    if (rc >= 0) rc = tell(s, which, n);
    s->upto = upto;
    return rc;
}

static int go_local(gp_state *s, int64_t most) {
    int rc = 0;
    int64_t *which = NULL, n = 0;
    const double *theta = hpt__gp_theta(s->gp);
    for (int64_t c = 0; c < s->code.cov.d; c++) s->length[c] = s->n_model > 0 ? exp(theta[c]) : 1;
    HPT_TRY(hpt__gp_subset(&which, &n, &s->archive, s->archive.n, most / 2, s->length));
    HPT_TRY(tell_anew(s, which, n, s->archive.n));
    if (!s->local)
        hpt__log(
            HPT_LOG_INFO,
            "sampler gp: %lld told points are more than it models exactly (at most %lld, option gp.n_max): from here "
            "on a model of the points near the best one and of a sample of the others",
            (long long)s->archive.n, (long long)most);
    s->local = true;
    s->changed = true;
    rc = 0;
out:
    hpt__free(which);
    return rc;
}

// ---- saved state: {"gp": {"model": what gp.h saves, "upto": n, "local": [entries] or null}}: the archive's first n entries
// had come when the fit was made; local: those of them that the model has.

static int save_text(hpt__str *out, const gp_state *s) {
    hpt__str_add(out, "{\"gp\": {\"model\": ");
    hpt__gp_state_json(out, s->gp);
    hpt__str_addf(out, ", \"upto\": %lld, \"local\": ", (long long)s->upto);
    if (!s->local) {
        hpt__str_add(out, "null}}");
        return hpt__str_status(out);
    }
    for (int64_t i = 0; i < s->n_model; i++) hpt__str_addf(out, "%s%lld", i ? ", " : "[", (long long)s->in_model[i]);
    hpt__str_add(out, s->n_model > 0 ? "]}}" : "[]}}");
    return hpt__str_status(out);
}

// Whether the state is another than the one saved last. What says how the factor was made, which comes last and changes
// with every row, does not count: from the saved one on it is made again by the same steps.
static int notice_change(gp_state *s) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    hpt__gp_state_json(&text, s->gp);
    HPT_TRY(hpt__str_status(&text));
    const char *factor = strstr(text.data, "\"factor\"");
    const uint64_t hash = hpt__hash(text.data, factor ? (size_t)(factor - text.data) : text.len);
    if (hash != s->state_hash) s->changed = true;
    s->state_hash = hash;
out:
    hpt__str_fini(&text);
    return rc;
}

static int gp_save(hpt__str *out, void *state) {
    gp_state *s = state;
    if (!s->changed || !s->gp || s->n_model == 0) return HPT_S_NOTHING;
    int rc = save_text(out, s);
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

static bool entries(int64_t *which, const hpt__json *list, const hpt__gp_archive *a, int64_t n) {
    for (int64_t i = 0; i < list->a.n; i++)
        if (!hpt__json_integer(&which[i], list->a.items[i]) || which[i] < (i > 0 ? which[i - 1] + 1 : 0) ||
            which[i] >= n || a->kind[which[i]] == HPT__GP_LEFT_OUT)
            return false;
    return true;
}

// Puts the model where it was when the state was saved. A state that does not fit the trials (another program removed
// some, a newer version wrote it, it models more than `most`) is worth a fit, not an error. What came later is told one by
// one, as it came, so that the factor is made by the same steps; unless there is more than a process that was there all
// the time can have left unsaved (a fit is due when n has grown by a tenth): then others went on with the study, and
// update tells it at once.
static int restore(gp_state *s, int64_t most) {
    int rc = 0;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *root = NULL;
    int64_t upto = 0, *which = NULL;
    const char *text = s->loaded;
    rc = hpt__json_parse(&root, &arena, text, strlen(text));
    if (rc == HPT_E_MEMORY) goto out;
    root = hpt__json_get(root, "gp");
    const hpt__json *local = hpt__json_get(root, "local"), *model = hpt__json_get(root, "model");
    bool good =
        rc >= 0 && model && hpt__json_integer(&upto, hpt__json_get(root, "upto")) && upto >= 0 && upto <= s->archive.n;
    const int64_t n_local = local && local->kind == HPT__JSON_ARRAY ? local->a.n : -1;
    good = good && (n_local >= 0 ? n_local : upto) <= most;
    if (good && n_local >= 0) {
        which = hpt__malloc((size_t)(n_local + 1) * sizeof *which);
        if (!which) HPT_TRY(hpt__fail_memory());
        good = entries(which, local, &s->archive, upto);
        if (good) HPT_TRY(tell_anew(s, which, n_local, upto));
        s->local = good;
    } else if (good) {
        HPT_TRY(tell_upto(s, upto));
    }
    if (good && s->n_model > 0) {
        rc = hpt__gp_state_from_json(s->gp, model);
        if (rc == HPT_E_MEMORY) goto out;
        good = rc >= 0;
        if (good) HPT_TRY(hpt__gp_ready(s->gp));
    }
    const int64_t later = s->archive.n - s->upto;
    const bool one_by_one = s->n_model > 0 && later <= UNSAVED + upto / 4 && s->n_model + later <= most;
    for (int64_t i = s->upto; good && one_by_one && i < s->archive.n; i++) {
        HPT_TRY(tell_upto(s, i + 1));
        HPT_TRY(hpt__gp_ready(s->gp));
    }
    if (!good)
        hpt__log(HPT_LOG_WARN, "sampler gp: its stored state does not fit the study's trials; it is fitted anew");
    rc = 0;
out:
    if (rc >= 0) {
        hpt__free(s->loaded);
        s->loaded = NULL;
    }
    hpt__free(which);
    hpt__arena_fini(&arena);
    return rc;
}

// ---- bringing the model up to date

static int correct_values(gp_state *s) {
    int rc = 0;
    for (int64_t i = 0; i < s->n_model && rc >= 0; i++) {
        const int64_t e = s->in_model[i];
        if (s->archive.kind[e] != HPT__GP_TOLD) rc = hpt__gp_set_value(s->gp, i, s->archive.y[e]);
    }
    return rc;
}

static int update(gp_state *s, bool moved) {
    int rc = 0;
    const int64_t most = most_points(s);
    if (s->loaded) HPT_TRY(restore(s, most));
    if (moved) HPT_TRY(correct_values(s));
    if (s->n_model + (s->archive.n - s->upto) > most)
        HPT_TRY(go_local(s, most));
    else
        HPT_TRY(tell_upto(s, s->archive.n));
    if (s->n_model == 0) goto out;
    const double t0 = hpt__now_mono();
    HPT_TRY(hpt__gp_fit(s->gp, false));
    s->fit_seconds += hpt__now_mono() - t0;
    HPT_TRY(notice_change(s));
out:
    return rc < 0 ? rc : 0;
}

static int set_pending(gp_state *s) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int rc = hpt__grow(&s->pending, &s->cap_pending, a->n_pending + 1, sizeof *s->pending);
    if (rc < 0) return rc;
    bool more = s->n_pending <= a->n_pending && hpt__gp_n_pending(s->gp) == s->n_pending;
    for (int64_t i = 0; i < s->n_pending && more; i++) more = s->pending[i] == a->pending_number[i];
    if (!more) {
        rc = hpt__gp_set_pending(s->gp, a->pending_rows, a->pending_masks, a->n_pending);
    } else {
        for (int64_t i = s->n_pending; i < a->n_pending && rc >= 0; i++)
            rc = hpt__gp_add_pending(s->gp, a->pending_rows + i * d, a->pending_masks[i]);
    }
    s->n_pending = 0;
    if (rc < 0) return rc;
    for (int64_t i = 0; i < a->n_pending; i++) s->pending[i] = a->pending_number[i];
    s->n_pending = a->n_pending;
    return 0;
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

// The value of a categorical parent that was tried least and too seldom; false: there is none, or the user fixed
// something. The values that its own parents need for it go into `fixed`.
static bool starving(int64_t *param, double *value, double *fixed, const gp_state *s) {
    const hpt_space *space = s->env.space;
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        const int64_t c = s->code.column[i];
        if (!p->is_parent || p->kind != HPT__PARAM_CATEGORICAL || c < 0) continue;
        for (int64_t k = 0; k < p->n_choices; k++) {
            const int64_t own = own_params(space, i, (double)k);
            if (own == 0 || !hpt__param_drawable(p, k)) continue;
            const int64_t n = tries(s, c, (double)k);
            if (n >= FLOOR_TRIES * (own + 1) || n >= least) continue;
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
    if (s->archive.n_provisional > 0) {
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

// The smallest mean at the pending points, if it is below *best.
static int pending_best(double *best, const gp_state *s) {
    const hpt__gp_archive *a = &s->archive;
    if (a->n_pending == 0) return 0;
    double *mean = hpt__malloc((size_t)a->n_pending * sizeof *mean);
    if (!mean) return hpt__fail_memory();
    int rc = hpt__model_posterior(hpt__gp_model(s->gp), a->pending_rows, a->pending_masks, a->n_pending, mean, NULL,
                                  NULL, NULL);
    for (int64_t i = 0; i < a->n_pending && rc >= 0; i++)
        if (mean[i] < *best) *best = mean[i];
    hpt__free(mean);
    return rc;
}

// The trust region as centre and half width of each column; false: few numeric columns are
// active at the centre, or there is none yet. Other columns, of branches not taken there too, are left free.
// *best: the value to improve on in a round that began anew, else as it was.
static bool region(hpt__search_options *o, double *best, gp_state *s) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    hpt__gp_region r;
    if (d < REGION_FROM || s->n_model < 2 * d) return false;
    hpt__gp_region_replay(&r, a, 2 * d, a->n_pending + 1);
    if (r.centre < 0) return false;
    const double *theta = hpt__gp_theta(s->gp), *row = a->rows + r.centre * d;
    double sum = 0;
    int64_t n = 0;
    for (int64_t c = 0; c < d; c++) {
        s->half_width[c] = s->code.cov.categorical[c] || !(a->masks[r.centre] >> s->code.cov.block[c] & 1) ? 1 : 0;
        if (s->half_width[c] > 0) continue;
        sum += theta[c];
        n++;
    }
    if (n < REGION_FROM) return false;
    for (int64_t c = 0; c < d; c++) {
        s->centre[c] = s->half_width[c] > 0 ? 0.5 : row[c];
        if (s->half_width[c] == 0) s->half_width[c] = 0.5 * r.size * exp(theta[c] - sum / (double)n);
    }
    o->centre = s->centre;
    o->half_width = s->half_width;
    if (r.n_starts > 0) *best = fmax(*best, hpt__warp_apply(hpt__gp_warp(s->gp), a->y[r.centre]));
    return true;
}

static int choose(double *point, const char **by, gp_state *s, int64_t number) {
    int rc = 0;
    const hpt_space *space = s->env.space;
    const int64_t d = s->code.cov.d;
    hpt__rng rng;
    hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(GP_TAG, (uint64_t)number));
    hpt__search_options o = search_options(s);
    bool free_choice = true;
    memcpy(s->fixed, point, (size_t)space->d * sizeof *point);
    for (int64_t i = 0; i < space->d; i++) free_choice = free_choice && isnan(point[i]);

    *by = s->local ? "gp_local" : "gp";
    if (number % DOUBT_EVERY == 0 && s->n_model < DOUBT_BELOW) {
        HPT_TRY(hpt__gp_ready_doubtful(s->gp, 0.25 * sqrt((double)d), 1));
        *by = "gp_doubt";
        s->changed = true; // the next factor goes on from this one's rows
    } else {
        HPT_TRY(hpt__gp_ready(s->gp));
    }
    if (free_choice && number % FLOOR_EVERY == FLOOR_AT && starving(&o.lock_param, &o.lock_value, s->fixed, s))
        *by = "gp_floor";
    HPT_TRY(set_pending(s));
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    HPT_TRY(hpt__acq_incumbent(&acq.best, NULL, s->gp));
    if (strcmp(*by, "gp") == 0 && region(&o, &acq.best, s)) *by = "gp_region";
    HPT_TRY(pending_best(&acq.best, s));
    uint64_t mask;
    double value;
    const double t0 = hpt__now_mono();
    HPT_TRY(hpt__acq_search(s->row, &mask, &value, s->gp, &s->code, &acq, s->fixed, &o, &rng));
    s->search_seconds += hpt__now_mono() - t0;
    if (rc == HPT_S_EXHAUSTED) *by = "gp_repeat";
    hpt__gp_decode(s->point, &s->code, s->row);
    for (int64_t i = 0; i < space->d; i++)
        if (isnan(point[i])) point[i] = s->point[i];
    hpt__space_mask(space, point);
    rc = 0;
out:
    return rc;
}

static int gp_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    int rc = 0;
    gp_state *s = state;
    bool reset = false, moved = false;
    const int64_t n = hpt__start_n(s->start);
    if (number <= n || table->counts[HPT_TRIAL_COMPLETE] + table->counts[HPT_TRIAL_PRUNED] < (n + 1) / 2)
        return hpt__start_suggest(point, by, s->start, table, number);
    HPT_TRY(make_model(s));
    if (s->code.cov.d == 0) return hpt__start_suggest(point, by, s->start, table, number);
    HPT_TRY(hpt__gp_archive_sync(&reset, &moved, &s->archive, table, number));
    if (reset) {
        HPT_TRY(hpt__gp_clear(s->gp));
        s->n_model = s->n_pending = s->upto = 0;
        s->local = false;
    }
    if (s->archive.n_told + s->archive.n_imputed == 0) return hpt__start_suggest(point, by, s->start, table, number);
    rc = update(s, moved);
    if (rc < 0) { // whatever part of it was done: the next call tells the model everything
        char message[HPT__ERROR_MAX];
        hpt__error_copy(message);
        if (hpt__gp_clear(s->gp) >= 0) hpt__error_set(message);
        s->n_model = s->n_pending = s->upto = 0;
    }
    if (rc >= 0) rc = choose(point, by, s, number);
    if (rc != HPT_E_NUMERIC) goto out;
    // No jitter made a factor: the study goes on with evenly spread points until the data change.
    hpt__log(HPT_LOG_WARN, "sampler gp, trial %lld: %s; a Sobol point is taken", (long long)number, hpt_last_error());
    rc = hpt__start_suggest(point, by, s->start, table, number);
out:
    return rc;
}

static void gp_describe(hpt__str *out, void *state) {
    const gp_state *s = state;
    if (!s->gp) return;
    hpt__str_add(out, "{\"device\":");
    hpt__str_add_json_string(out, hpt__device_name(s->device), strlen(hpt__device_name(s->device)));
    hpt__str_addf(out, ",\"policy\":\"%s\",\"points\":%lld,\"pending\":%lld,\"seconds\":{\"fit\":",
                  s->local ? "local" : "exact", (long long)s->n_model, (long long)s->n_pending);
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
};
