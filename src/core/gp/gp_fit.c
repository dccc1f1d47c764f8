// SPDX-License-Identifier: Apache-2.0
// gp_fit.c: hyperparameters by maximum a posteriori, and when to look for them.
//
//   theta* = argmax  log p(z | theta) + log prior(theta)   in logarithms, within bounds, by L-BFGS-B with the analytic gradient
//
// for each variant, a pair of a kernel (gp_kernel.c) and a transformation of the objective, from where its last search ended. That
// with the largest
//   log p(z | theta*) + log prior(theta*) + sum_i log dz_i/dy_i
// is taken (the densities of y itself, so that they may be compared).
//
// Schedule. Few points (below 60): a warm search after every new result, it costs milliseconds. Then only when n has grown by
// a tenth since the last, so that all fits of a study together cost a constant times the last one; it begins with the
// gradient at the old optimum and ends there if that is small, for one evaluation instead of ten. A search with restarts,
// from the default and two random places beside the last optimum, is due when n has grown by a quarter since the last
// such search (from 200 points on: has doubled), because a warm search stays in the mode it is in; the variants
// are compared then and, with few points, at every fit. Evaluations per search are bounded by the settings.
// Past 300 points the restarts see the first 300 only, and the best of them goes on from there with all points; a search over
// more than 300 points has at most 10 evaluations, the next one goes on from where it ended. So the longest ask of a study of
// thousands of trials takes tens of evaluations and not hundreds. There the kernel stays what it is; if it is the first fit, the
// first 300 points say which one goes on.
//
// A model that was given other, fewer points (the local one of sampler gp) searches warm.
//
// All searches over the same points with the same kernel advance together, as those of the acquisition do: one state of L-BFGS-B
// each, every step one call for the likelihoods of those still running. They know nothing of one another, so the result is that
// of one search after the other; cpu and cuda compute small likelihoods together at less than the cost of the sum.
//
// Fewer than three points or constant data say nothing about theta: it keeps its default. A search that finds no finite
// value, or an error of the device, leaves the hyperparameters as they were.
// Random numbers: Philox, stream = number of the search; so a resumed study goes on as the interrupted one.
// Cost: one evaluation O(n^3); warm about 10 of them, with restarts about 120 for each transformation (of 300 points at most).
#include "gp_impl.h"

#include <math.h>
#include <string.h>

enum { CHEAP = 60, FEW = 100, RARE = 200, SHORT = 300, EVALUATIONS = 60, EVALUATIONS_LONG = 10 };
static const double gradient_enough = 0.1;     // at the old optimum
static const double gradient_tolerance = 1e-2; // nats per unit of a logarithm: far below what the data can tell
static const double decrease_tolerance = 1e-6;

// ---- searches that advance together

typedef struct variant { // what the fit finds for one
    int at;
    hpt__warp warp;
    bool wanted, moved;  // moved: theta was looked for, not only checked
    double best;         // least -(log likelihood + log prior) of all points so far; infinity: none
    const double *theta; // where; borrowed from its search
} variant;

typedef struct batch { // searches that are not done yet
    hpt__gp_search *running[HPT__GP_VARIANTS * HPT__GP_STARTS];
    int64_t n;
} batch;

// Adds search `which` of a variant, from gp->start over n points. check: may end at once where the gradient is small
// already.
static int begin(batch *r, hpt__gp *gp, const variant *t, int which, int64_t n, bool check) {
    int rc = 0;
    hpt__gp_search *s = &gp->search[t->at][which];
    hpt__lbfgsb_options options = {
        .gradient_tolerance = gradient_tolerance,
        .decrease_tolerance = decrease_tolerance,
        .max_evaluations = gp->settings.max_evaluations > 0 ? gp->settings.max_evaluations : EVALUATIONS,
        .first_step = 0.5,
    };
    if (n > SHORT && options.max_evaluations > EVALUATIONS_LONG) options.max_evaluations = EVALUATIONS_LONG;
    hpt__gp_bounds(gp->low, gp->high, &gp->code->cov, HPT__GP_NOISE_FLOOR);
    if (!isnan(gp->settings.noise)) gp->low[gp->p - 1] = gp->high[gp->p - 1] = hpt__gp_fixed_noise(gp, &t->warp);
    HPT_TRY(hpt__lbfgsb_init(&s->state, gp->p, gp->low, gp->high, gp->start, &options));
    if (check) s->state.options.gradient_tolerance = gradient_enough;
    r->running[r->n++] = s;
out:
    return rc;
}

static int kernel_of(const hpt__gp_search *s) {
    return s->variant / HPT__WARP_COUNT;
}

// Those of one kernel to their ends, with its model. A step tells each its value and gradient of -(log likelihood of the first n
// points + log prior); infinity where there is none.
static int advance_kernel(batch *r, hpt__gp *gp, hpt__model *model, int64_t n) {
    int rc = 0;
    hpt__mll_job jobs[HPT__GP_VARIANTS * HPT__GP_STARTS];
    while (r->n > 0) {
        int64_t left = 0;
        for (int64_t i = 0; i < r->n; i++) {
            hpt__gp_search *s = r->running[i];
            jobs[i] = (hpt__mll_job){.theta = hpt__lbfgsb_point(&s->state),
                                     .y = gp->z_of[s->variant % HPT__WARP_COUNT],
                                     .grad = s->gradient};
        }
        HPT_TRY(hpt__model_mll_many(model, jobs, r->n, n));
        for (int64_t i = 0; i < r->n; i++) {
            hpt__gp_search *s = r->running[i];
            const double f = -(jobs[i].value + hpt__gp_log_prior(&gp->code->cov, jobs[i].theta, s->gradient));
            for (int64_t j = 0; j < gp->p; j++) s->gradient[j] = -s->gradient[j];
            const hpt__lbfgsb_request request = hpt__lbfgsb_tell(&s->state, f, s->gradient);
            s->state.options.gradient_tolerance = gradient_tolerance;
            if (request == HPT__LBFGSB_EVALUATE) r->running[left++] = s;
        }
        r->n = left;
    }
    rc = 0;
out:
    return rc;
}

static int advance(batch *r, hpt__gp *gp, int64_t n) {
    int rc = 0;
    for (int k = 0; k < HPT__GP_KERNELS; k++) {
        batch own = {.n = 0};
        for (int64_t i = 0; i < r->n; i++)
            if (kernel_of(r->running[i]) == k) own.running[own.n++] = r->running[i];
        if (own.n == 0) continue;
        if (k != gp->kernel) HPT_TRY(hpt__gp_sync_rival(gp, n));
        HPT_TRY(advance_kernel(&own, gp, k == gp->kernel ? gp->model : gp->rival, n));
    }
    r->n = 0;
    rc = 0;
out:
    return rc;
}

// Replaces *best and *theta by the result of a search that ended lower.
static void take(double *best, const double **theta, const hpt__gp_search *s) {
    double f;
    const double *x = hpt__lbfgsb_result(&s->state, &f);
    if (f >= *best) return;
    *best = f;
    *theta = x;
}

static void random_start(hpt__gp *gp, hpt__rng *rng) {
    const hpt__cov *cov = &gp->code->cov;
    hpt__gp_default_theta(gp->start, cov);
    for (int64_t c = 0; c < cov->d; c++) gp->start[c] += hpt__rng_normal(rng);
    for (int64_t t = 1; t < cov->n_terms; t++) gp->start[cov->d + t] = -3 + 4 * hpt__rng_uniform(rng);
    gp->start[gp->p - 1] = -8 + 6 * hpt__rng_uniform(rng);
}

enum { WARM = 0, DEFAULT = 1, RANDOM = 2 }; // searches of a variant

// The rival of the kernel in use has one such search: what it has to win by shows without the random places, and its likelihoods,
// smooth to the edge of what can be factored, take the longest.
static int end_of_starts(const hpt__gp *gp, const variant *t) {
    return t->at / HPT__WARP_COUNT == gp->kernel ? HPT__GP_STARTS : RANDOM;
}

// The searches that know nothing of the last optimum, over n points.
static int begin_afresh(batch *r, hpt__gp *gp, const variant *t, int64_t n) {
    int rc = 0;
    hpt__rng rng;
    hpt__rng_init(&rng, gp->settings.seed, // both kernels start at the same places
                  hpt__rng_mix(0x66697467, (uint64_t)(2 * gp->n_searches + (int64_t)t->warp.kind)));
    hpt__gp_default_theta(gp->start, &gp->code->cov);
    HPT_TRY(begin(r, gp, t, DEFAULT, n, false));
    for (int which = RANDOM; which < end_of_starts(gp, t); which++) {
        random_start(gp, &rng);
        HPT_TRY(begin(r, gp, t, which, n, false));
    }
out:
    return rc;
}

static int begin_warm(batch *r, hpt__gp *gp, const variant *t, bool check) {
    memcpy(gp->start, gp->optimum[t->at].theta, (size_t)gp->p * sizeof *gp->start);
    return begin(r, gp, t, WARM, gp->n, check);
}

static double odds_of(int at) {
    return at / HPT__WARP_COUNT > 0 ? HPT__GP_SMOOTH_ODDS : 0;
}

// Of the variants that were searched over the first `part` points only those of the kernel that explains them better go on.
static void keep_kernel(bool *afresh, variant *all, const double *best, const hpt__gp *gp, int64_t part) {
    int kept = -1;
    double most = -INFINITY;
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        const double score = -best[v] + hpt__warp_log_jacobian(&all[v].warp, gp->y, part) - odds_of(v);
        if (!afresh[v] || !(score > most)) continue;
        most = score;
        kept = v / HPT__WARP_COUNT;
    }
    for (int v = 0; v < HPT__GP_VARIANTS && kept >= 0; v++)
        if (v / HPT__WARP_COUNT != kept) afresh[v] = all[v].wanted = all[v].moved = false;
}

// Of the first `part` points; goes on with all of them from the best.
static int search_part(variant *all, hpt__gp *gp, bool *afresh, int64_t part) {
    int rc = 0;
    double best[HPT__GP_VARIANTS];
    const double *theta[HPT__GP_VARIANTS] = {NULL};
    batch r = {.n = 0};
    for (int v = 0; v < HPT__GP_VARIANTS; v++)
        if (afresh[v]) HPT_TRY(begin_afresh(&r, gp, &all[v], part));
    HPT_TRY(advance(&r, gp, part));
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        best[v] = INFINITY;
        for (int which = DEFAULT; afresh[v] && which < end_of_starts(gp, &all[v]); which++)
            take(part < gp->n ? &best[v] : &all[v].best, part < gp->n ? &theta[v] : &all[v].theta,
                 &gp->search[v][which]);
    }
    if (part < gp->n) keep_kernel(afresh, all, best, gp, part);
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        if (!afresh[v] || !theta[v]) continue;
        memcpy(gp->start, theta[v], (size_t)gp->p * sizeof *gp->start);
        HPT_TRY(begin(&r, gp, &all[v], DEFAULT, gp->n, false));
    }
    const batch last = r;
    HPT_TRY(advance(&r, gp, gp->n));
    for (int64_t i = 0; i < last.n; i++) {
        variant *t = &all[last.running[i]->variant];
        take(&t->best, &t->theta, last.running[i]);
    }
out:
    return rc;
}

// All wanted variants; optimum[] changes only when every search has ended.
static int fit_all(variant *all, hpt__gp *gp, bool restarts) {
    int rc = 0;
    const int64_t part = gp->n < SHORT ? gp->n : SHORT;
    bool afresh[HPT__GP_VARIANTS], some = false;
    batch r = {.n = 0};
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        variant *t = &all[v];
        const bool found = gp->optimum[v].found;
        t->best = INFINITY;
        if (t->wanted && found) HPT_TRY(begin_warm(&r, gp, t, !restarts && gp->n >= CHEAP));
        // Few points: those that are due anyway go with them.
        if (t->wanted && part == gp->n && (restarts || !found)) HPT_TRY(begin_afresh(&r, gp, t, part));
    }
    const batch first = r;
    HPT_TRY(advance(&r, gp, gp->n));
    for (int64_t i = 0; i < first.n; i++) {
        variant *t = &all[first.running[i]->variant];
        take(&t->best, &t->theta, first.running[i]);
        t->moved = t->moved || first.running[i]->state.n_evaluations > 1;
    }
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        const bool due = all[v].wanted && (restarts || !gp->optimum[v].found);
        afresh[v] = part < gp->n ? due || (all[v].wanted && !isfinite(all[v].best))
                                 : all[v].wanted && !due && !isfinite(all[v].best);
        some = some || afresh[v];
        all[v].moved = all[v].moved || due || afresh[v];
    }
    if (some) HPT_TRY(search_part(all, gp, afresh, part));
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        const variant *t = &all[v];
        hpt__gp_optimum *o = &gp->optimum[v];
        if (!isfinite(t->best)) { // nothing can be said of these data under any theta that was tried
            all[v].moved = false;
            continue;
        }
        memcpy(o->theta, t->theta, (size_t)gp->p * sizeof *o->theta);
        o->score = -t->best + hpt__warp_log_jacobian(&t->warp, gp->y, gp->n);
        o->found = true;
    }
    rc = 0;
out:
    return rc;
}

static bool is_constant(const hpt__gp *gp) {
    for (int64_t i = 1; i < gp->n; i++)
        if (gp->y[i] != gp->y[0]) return false;
    return true;
}

typedef enum due { DUE_NOTHING, DUE_WARM, DUE_RESTARTS } due;

static due what_is_due(const hpt__gp *gp, int64_t n, bool force) {
    if (force || gp->n_restart == 0) return DUE_RESTARTS;
    if (n == gp->n_fit && !gp->changed) return DUE_NOTHING;
    if (n < gp->n_fit)
        return gp->optimum[hpt__gp_variant(gp)].found && n > CHEAP ? DUE_WARM : DUE_RESTARTS; // other points
    if (n >= (n < RARE ? gp->n_restart + gp->n_restart / 4 + 1 : 2 * gp->n_restart)) return DUE_RESTARTS;
    if (n < CHEAP || n >= gp->n_fit + gp->n_fit / 10 + 1) return DUE_WARM;
    return DUE_NOTHING;
}

bool hpt__gp_fit_due(const hpt__gp *gp, int64_t n) {
    return what_is_due(gp, n, false) != DUE_NOTHING;
}

int hpt__gp_fit(hpt__gp *gp, bool force) {
    int rc = 0;
    hpt__gp_sync_values(gp);
    if (gp->n < 3 || is_constant(gp)) return HPT_S_NOTHING;
    const due work = what_is_due(gp, gp->n, force);
    if (work == DUE_NOTHING) return HPT_S_NOTHING;
    HPT_TRY(hpt__gp_sync_points(gp));
    const int old = hpt__gp_variant(gp);
    const bool compare = work == DUE_RESTARTS || gp->n < FEW;
    bool any = false, first = true;
    variant all[HPT__GP_VARIANTS] = {{.wanted = false}};
    for (int v = 0; v < HPT__GP_VARIANTS; v++) first = first && !gp->optimum[v].found;
    const bool both = gp->two_kernels && (first || (compare && gp->n <= SHORT));
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        const hpt__warp_kind kind = (hpt__warp_kind)k;
        variant *t = &all[k];
        hpt__gp_warp_fit(&t->warp, kind, gp->y, gp->n, gp->buffer);
        for (int64_t i = 0; i < gp->n; i++) gp->z_of[k][i] = hpt__warp_apply(&t->warp, gp->y[i]);
    }
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        const int k = v % HPT__WARP_COUNT;
        all[v].at = v;
        all[v].warp = all[k].warp;
        all[v].wanted = (both || v / HPT__WARP_COUNT == gp->kernel) && (k == HPT__WARP_NONE || gp->settings.warp) &&
                        (compare || v == old);
    }
    HPT_TRY(fit_all(all, gp, work == DUE_RESTARTS));
    const hpt__gp_optimum *o = gp->optimum;
    int best = old;
    double most = -INFINITY;
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        any = any || all[v].moved;
        if (!compare || !all[v].wanted || !o[v].found || !(o[v].score - odds_of(v) > most)) continue;
        most = o[v].score - odds_of(v);
        best = v;
    }
    if (work == DUE_RESTARTS || gp->n < gp->n_fit) gp->n_restart = gp->n;
    if (work == DUE_RESTARTS) gp->n_searches++;
    gp->n_fit = gp->n;
    gp->changed = false;
    rc = HPT_S_NOTHING;
    if (o[best].found && (any || best != old)) {
        HPT_TRY(hpt__gp_choose(gp, best));
        hpt__gp_sync_values(gp);
    }
    if (gp->n > SHORT) hpt__gp_drop_rival(gp);
out:
    return rc;
}
