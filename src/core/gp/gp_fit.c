// SPDX-License-Identifier: Apache-2.0
// gp_fit.c: hyperparameters by maximum a posteriori, and when to look for them.
//
//   theta* = argmax  log p(z | theta) + log prior(theta)   in logarithms, within bounds, by L-BFGS-B with the analytic gradient
//
// for each transformation of the objective on its own, from where its last search ended. That with the larger
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
// Fewer than three points or constant data say nothing about theta: it keeps its default. A search that finds no finite
// value, or an error of the device, leaves the hyperparameters as they were.
// Random numbers: Philox, stream = number of the search; so a resumed study goes on as the interrupted one.
// Cost: one evaluation O(n^3); warm about 10 of them, with restarts about 120 for each transformation (of 300 points at most).
#include "gp_impl.h"

#include <math.h>
#include <string.h>

enum { CHEAP = 60, FEW = 100, RARE = 200, SHORT = 300, RANDOM_STARTS = 2, EVALUATIONS = 60, EVALUATIONS_LONG = 10 };
static const double gradient_enough = 0.1;     // at the old optimum
static const double gradient_tolerance = 1e-2; // nats per unit of a logarithm: far below what the data can tell
static const double decrease_tolerance = 1e-6;

// Value and gradient of -(log likelihood of the first n points + log prior) at theta; infinity where there is none.
static int objective(double *f, hpt__gp *gp, const double *z, int64_t n, const double *theta) {
    int rc = hpt__model_mll(gp->model, theta, z, n, f, gp->gradient);
    if (rc < 0) return rc;
    *f = -(*f + hpt__gp_log_prior(&gp->code->cov, theta, gp->gradient));
    for (int64_t j = 0; j < gp->p; j++) gp->gradient[j] = -gp->gradient[j];
    return 0;
}

// One search from gp->start over the first n points; *theta and *best are replaced where it ends lower than *best. check:
// may end at once where the gradient is small already; *moved says whether it went on.
static int search_from_start(bool *moved, double *theta, double *best, hpt__gp *gp, const double *z, int64_t n,
                             bool check) {
    int rc = 0;
    double f;
    hpt__lbfgsb_options options = {
        .gradient_tolerance = gradient_tolerance,
        .decrease_tolerance = decrease_tolerance,
        .max_evaluations = gp->settings.max_evaluations > 0 ? gp->settings.max_evaluations : EVALUATIONS,
        .first_step = 0.5,
    };
    if (n > SHORT && options.max_evaluations > EVALUATIONS_LONG) options.max_evaluations = EVALUATIONS_LONG;
    HPT_TRY(hpt__lbfgsb_init(&gp->search, gp->p, gp->low, gp->high, gp->start, &options));
    if (check) gp->search.options.gradient_tolerance = gradient_enough;
    hpt__lbfgsb_request request;
    do {
        HPT_TRY(objective(&f, gp, z, n, hpt__lbfgsb_point(&gp->search)));
        request = hpt__lbfgsb_tell(&gp->search, f, gp->gradient);
        gp->search.options.gradient_tolerance = gradient_tolerance;
    } while (request == HPT__LBFGSB_EVALUATE);
    *moved = gp->search.n_evaluations > 1;
    const double *x = hpt__lbfgsb_result(&gp->search, &f);
    if (f < *best) {
        *best = f;
        memcpy(theta, x, (size_t)gp->p * sizeof *theta);
    }
    rc = 0;
out:
    return rc;
}

static void random_start(hpt__gp *gp, hpt__rng *rng) {
    const hpt__cov *cov = &gp->code->cov;
    hpt__gp_default_theta(gp->start, cov);
    for (int64_t c = 0; c < cov->d; c++) gp->start[c] += hpt__rng_normal(rng);
    for (int64_t t = 1; t < cov->n_terms; t++) gp->start[cov->d + t] = -3 + 4 * hpt__rng_uniform(rng);
    gp->start[gp->p - 1] = -8 + 6 * hpt__rng_uniform(rng);
}

// The search for one transformation. *moved: theta was looked for, not only checked. Leaves optimum[kind] alone on failure.
static int fit_kind(bool *moved, hpt__gp *gp, hpt__warp_kind kind, bool restarts) {
    int rc = 0;
    hpt__gp_optimum *o = &gp->optimum[kind];
    hpt__warp w;
    double *z = gp->buffer, best = INFINITY;
    hpt__gp_warp_fit(&w, kind, gp->y, gp->n, gp->buffer);
    for (int64_t i = 0; i < gp->n; i++) z[i] = hpt__warp_apply(&w, gp->y[i]);
    hpt__gp_bounds(gp->low, gp->high, &gp->code->cov, HPT__GP_NOISE_FLOOR);
    if (!isnan(gp->settings.noise)) gp->low[gp->p - 1] = gp->high[gp->p - 1] = hpt__gp_fixed_noise(gp, &w);
    hpt__rng rng;
    hpt__rng_init(&rng, gp->settings.seed, hpt__rng_mix(0x66697467, (uint64_t)(2 * gp->n_searches + (int64_t)kind)));
    *moved = false;
    if (o->found) {
        memcpy(gp->start, o->theta, (size_t)gp->p * sizeof *gp->start);
        HPT_TRY(search_from_start(moved, gp->scratch, &best, gp, z, gp->n, !restarts && gp->n >= CHEAP));
    }
    if (!o->found || restarts || !isfinite(best)) {
        const int64_t part = gp->n < SHORT ? gp->n : SHORT;
        double best_part = INFINITY, *found = part < gp->n ? gp->theta_part : gp->scratch;
        const int64_t n_random = restarts || !isfinite(best) ? RANDOM_STARTS : 0;
        for (int64_t k = 0; k <= n_random; k++) {
            if (k == 0)
                hpt__gp_default_theta(gp->start, &gp->code->cov);
            else
                random_start(gp, &rng);
            HPT_TRY(search_from_start(moved, found, part < gp->n ? &best_part : &best, gp, z, part, false));
        }
        if (part < gp->n && isfinite(best_part)) {
            memcpy(gp->start, found, (size_t)gp->p * sizeof *found);
            HPT_TRY(search_from_start(moved, gp->scratch, &best, gp, z, gp->n, false));
        }
        *moved = true;
    }
    rc = 0;
    if (!isfinite(best)) { // nothing can be said of these data under any theta that was tried
        *moved = false;
        goto out;
    }
    memcpy(o->theta, gp->scratch, (size_t)gp->p * sizeof *o->theta);
    o->score = -best + hpt__warp_log_jacobian(&w, gp->y, gp->n);
    o->found = true;
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
    for (int k = 0; k < HPT__WARP_COUNT; k++) {
        const hpt__warp_kind kind = (hpt__warp_kind)k;
        if (kind != HPT__WARP_NONE && !gp->settings.warp) continue;
        if (work == DUE_WARM && gp->n >= FEW && kind != old) continue;
        bool moved;
        HPT_TRY(fit_kind(&moved, gp, kind, work == DUE_RESTARTS));
        any = any || moved;
    }
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
