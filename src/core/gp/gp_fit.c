// SPDX-License-Identifier: Apache-2.0
// gp_fit.c: hyperparameters by maximum a posteriori, and when to look for them.
//
//   theta* = argmax  log p(z | theta) + log prior(theta)   in logarithms, within bounds, by L-BFGS-B with the analytic gradient
//
// for each transformation of the objective, from where its last search ended. That with the larger
//   log p(z | theta*) + log prior(theta*) + sum_i log dz_i/dy_i
// is taken (the densities of y itself, so that they may be compared).
//
// Schedule. Few points (below 60): a warm search after every new result, it costs milliseconds. Then only when n has grown by
// a tenth since the last, so that all fits of a study together cost a constant times the last one; it begins with the
// gradient at the old optimum and ends there if that is small, for one evaluation instead of ten. A search with restarts,
// from the default and two random places beside the last optimum, is due when n has grown by a quarter since the last
// such search (from 200 points on: has doubled), because a warm search stays in the mode it is in; both transformations
// are compared then and, with few points, at every fit. Evaluations per search are bounded by the settings.
// Past 300 points the restarts see the first 300 only, and the best of them goes on from there with all points; a search over
// more than 300 points has at most 10 evaluations, the next one goes on from where it ended. So the longest ask of a study of
// thousands of trials takes tens of evaluations and not hundreds.
//
// A model that was given other, fewer points (the local one of sampler gp) searches warm.
//
// All searches over the same points advance together, as those of the acquisition do: one state of L-BFGS-B each, every step one
// call for the likelihoods of those still running. They know nothing of one another, so the result is that of one search after
// the other; cpu and cuda compute small likelihoods together at less than the cost of the sum.
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

typedef struct transformed { // what the fit finds for one transformation
    hpt__warp warp;
    bool wanted, moved;  // moved: theta was looked for, not only checked
    double best;         // least -(log likelihood + log prior) of all points so far; infinity: none
    const double *theta; // where; borrowed from its search
} transformed;

typedef struct batch { // searches that are not done yet
    hpt__gp_search *running[HPT__WARP_COUNT * HPT__GP_STARTS];
    int64_t n;
} batch;

// Adds search `which` of a transformation, from gp->start over n points. check: may end at once where the gradient is small
// already.
static int begin(batch *r, hpt__gp *gp, const transformed *t, int which, int64_t n, bool check) {
    int rc = 0;
    hpt__gp_search *s = &gp->search[t->warp.kind][which];
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

// All to their ends. A step tells each its value and gradient of -(log likelihood of the first n points + log prior);
// infinity where there is none.
static int advance(batch *r, hpt__gp *gp, int64_t n) {
    int rc = 0;
    hpt__mll_job jobs[HPT__WARP_COUNT * HPT__GP_STARTS];
    while (r->n > 0) {
        int64_t left = 0;
        for (int64_t i = 0; i < r->n; i++) {
            hpt__gp_search *s = r->running[i];
            jobs[i] =
                (hpt__mll_job){.theta = hpt__lbfgsb_point(&s->state), .y = gp->z_of[s->kind], .grad = s->gradient};
        }
        HPT_TRY(hpt__model_mll_many(gp->model, jobs, r->n, n));
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

enum { WARM = 0, DEFAULT = 1, RANDOM = 2 }; // searches of a transformation

// The searches that know nothing of the last optimum, over n points.
static int begin_afresh(batch *r, hpt__gp *gp, const transformed *t, int64_t n) {
    int rc = 0;
    hpt__rng rng;
    hpt__rng_init(&rng, gp->settings.seed,
                  hpt__rng_mix(0x66697467, (uint64_t)(2 * gp->n_searches + (int64_t)t->warp.kind)));
    hpt__gp_default_theta(gp->start, &gp->code->cov);
    HPT_TRY(begin(r, gp, t, DEFAULT, n, false));
    for (int which = RANDOM; which < HPT__GP_STARTS; which++) {
        random_start(gp, &rng);
        HPT_TRY(begin(r, gp, t, which, n, false));
    }
out:
    return rc;
}

static int begin_warm(batch *r, hpt__gp *gp, const transformed *t, bool check) {
    memcpy(gp->start, gp->optimum[t->warp.kind].theta, (size_t)gp->p * sizeof *gp->start);
    return begin(r, gp, t, WARM, gp->n, check);
}

// Of the first `part` points; goes on with all of them from the best.
static int search_part(transformed *all, hpt__gp *gp, const bool *afresh, int64_t part) {
    int rc = 0;
    batch r = {.n = 0};
    for (int k = 0; k < HPT__WARP_COUNT; k++)
        if (afresh[k]) HPT_TRY(begin_afresh(&r, gp, &all[k], part));
    HPT_TRY(advance(&r, gp, part));
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        double best = INFINITY;
        const double *theta = NULL;
        for (int which = DEFAULT; afresh[k] && which < HPT__GP_STARTS; which++)
            take(part < gp->n ? &best : &all[k].best, part < gp->n ? &theta : &all[k].theta, &gp->search[k][which]);
        if (!theta) continue;
        memcpy(gp->start, theta, (size_t)gp->p * sizeof *gp->start);
        HPT_TRY(begin(&r, gp, &all[k], DEFAULT, gp->n, false));
    }
    const batch last = r;
    HPT_TRY(advance(&r, gp, gp->n));
    for (int64_t i = 0; i < last.n; i++) {
        transformed *t = &all[last.running[i]->kind];
        take(&t->best, &t->theta, last.running[i]);
    }
out:
    return rc;
}

// All wanted transformations; optimum[] changes only when every search has ended.
static int fit_all(transformed *all, hpt__gp *gp, bool restarts) {
    int rc = 0;
    const int64_t part = gp->n < SHORT ? gp->n : SHORT;
    bool afresh[HPT__WARP_COUNT], some = false;
    batch r = {.n = 0};
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        transformed *t = &all[k];
        const bool found = gp->optimum[k].found;
        t->best = INFINITY;
        if (t->wanted && found) HPT_TRY(begin_warm(&r, gp, t, !restarts && gp->n >= CHEAP));
        // Few points: those that are due anyway go with them.
        if (t->wanted && part == gp->n && (restarts || !found)) HPT_TRY(begin_afresh(&r, gp, t, part));
    }
    const batch first = r;
    HPT_TRY(advance(&r, gp, gp->n));
    for (int64_t i = 0; i < first.n; i++) {
        transformed *t = &all[first.running[i]->kind];
        take(&t->best, &t->theta, first.running[i]);
        t->moved = t->moved || first.running[i]->state.n_evaluations > 1;
    }
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        const bool due = all[k].wanted && (restarts || !gp->optimum[k].found);
        afresh[k] = part < gp->n ? due || (all[k].wanted && !isfinite(all[k].best))
                                 : all[k].wanted && !due && !isfinite(all[k].best);
        some = some || afresh[k];
        all[k].moved = all[k].moved || due || afresh[k];
    }
    if (some) HPT_TRY(search_part(all, gp, afresh, part));
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        const transformed *t = &all[k];
        hpt__gp_optimum *o = &gp->optimum[k];
        if (!isfinite(t->best)) { // nothing can be said of these data under any theta that was tried
            all[k].moved = false;
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
    if (n < gp->n_fit) return gp->optimum[gp->warp.kind].found && n > CHEAP ? DUE_WARM : DUE_RESTARTS; // other points
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
    const hpt__warp_kind old = gp->warp.kind;
    bool any = false;
    transformed all[HPT__WARP_COUNT] = {{.wanted = false}};
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        transformed *t = &all[k];
        const hpt__warp_kind kind = (hpt__warp_kind)k;
        t->wanted = (kind == HPT__WARP_NONE || gp->settings.warp) && !(work == DUE_WARM && gp->n >= FEW && kind != old);
        hpt__gp_warp_fit(&t->warp, kind, gp->y, gp->n, gp->buffer);
        for (int64_t i = 0; i < gp->n; i++) gp->z_of[k][i] = hpt__warp_apply(&t->warp, gp->y[i]);
    }
    HPT_TRY(fit_all(all, gp, work == DUE_RESTARTS));
    for (int k = 0; k < HPT__WARP_COUNT; k++) any = any || all[k].moved;
    const hpt__gp_optimum *o = gp->optimum;
    hpt__warp_kind best = old;
    if (work == DUE_RESTARTS || gp->n < FEW) {
        const bool tail = gp->settings.warp && o[HPT__WARP_LOG_TAIL].found &&
                          (!o[HPT__WARP_NONE].found || o[HPT__WARP_LOG_TAIL].score > o[HPT__WARP_NONE].score);
        best = tail ? HPT__WARP_LOG_TAIL : HPT__WARP_NONE;
    }
    if (work == DUE_RESTARTS || gp->n < gp->n_fit) gp->n_restart = gp->n;
    if (work == DUE_RESTARTS) gp->n_searches++;
    gp->n_fit = gp->n;
    gp->changed = false;
    if (!o[best].found || (!any && best == old)) return HPT_S_NOTHING;
    hpt__gp_choose(gp, best);
    hpt__gp_sync_values(gp);
    rc = 0;
out:
    return rc;
}
