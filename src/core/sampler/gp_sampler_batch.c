// SPDX-License-Identifier: Apache-2.0
// gp_sampler_batch.c: sampler gp with trials that run: the points of a batch, and asks before all results are back.
//
// Pending points are rows of the factor, so that the variance knows of them and the mean does not (Desautels et al., JMLR
// 2014); that is what telling each of them its own mean would give (a "kriging believer"), without a second model.
//
// From POOL_FROM told points on, whoever asks while something runs looks into one pool of candidates (core/acq/acq_pool.c),
// which is made once for the present results, however many ask: what a further point costs is a row of the factor and of
// the pool, and a short refinement of the two best. The pool is made of the told points and grows by the pending ones in their
// order, so that it is the same for a process that resumes the study.
//
// Ownership: the sampler's. Threads: those of the sampler.
// Cost: the pool as one search; a point of a batch O(n (n + m)) and a few gradients of O(n^2).
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "gp_sampler.h"

#include <string.h>

enum { THOMPSON_CANDIDATES = 4096 };
static const uint64_t POOL_TAG = 0x706f6f6c, CROWD_TAG = 0x63726f7764; // "pool", "crowd"

// Whether the model's pending points are the first ones of the archive's.
static bool begins_alike(const hpt__gp_sampler *s) {
    const hpt__gp_archive *a = &s->archive;
    if (s->n_pending > a->n_pending || hpt__gp_n_pending(s->gp) != s->n_pending) return false;
    for (int64_t i = 0; i < s->n_pending; i++)
        if (s->pending[i] != a->pending_number[i]) return false;
    return true;
}

int hpt__gp_sampler_set_pending(hpt__gp_sampler *s, const hpt__search_options *pool) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int rc = 0;
    HPT_TRY(hpt__grow(&s->pending, &s->cap_pending, a->n_pending + 1, sizeof *s->pending));
    const bool stale = pool && !hpt__acq_pool_fits(s->pool, s->gp);
    if (stale || !begins_alike(s)) {
        s->n_pending = 0;
        HPT_TRY(hpt__gp_set_pending(s->gp, NULL, NULL, 0));
    }
    if (pool && !hpt__acq_pool_fits(s->pool, s->gp)) {
        hpt__rng rng;
        hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(POOL_TAG, (uint64_t)a->n));
        HPT_TRY(hpt__acq_pool_make(&s->pool, s->gp, &s->code, pool, &rng));
    }
    for (int64_t i = s->n_pending; i < a->n_pending; i++) {
        HPT_TRY(hpt__gp_add_pending(s->gp, a->pending_rows + i * d, a->pending_masks[i]));
        if (s->pool) HPT_TRY(hpt__acq_pool_append(s->pool, s->gp));
        s->pending[s->n_pending++] = a->pending_number[i];
    }
    rc = 0;
out:
    return rc;
}

int hpt__gp_sampler_thompson(hpt__gp_sampler *s, const hpt__search_options *options, int64_t number) {
    const hpt__gp_archive *a = &s->archive;
    hpt__search_options many = *options;
    uint64_t mask;
    many.n_global = many.n_local = THOMPSON_CANDIDATES / 2;
    many.excluded = a->pending_rows; // the model knows of some of them at most
    many.excluded_mask = a->pending_masks;
    many.n_excluded = a->n_pending;
    const double t0 = hpt__now_mono();
    const int rc = hpt__acq_thompson(s->row, &mask, &s->crowd, s->gp, &s->code, &many,
                                     hpt__rng_mix(s->env.seed, CROWD_TAG), number);
    s->search_seconds += hpt__now_mono() - t0;
    return rc;
}

int hpt__gp_sampler_incumbent(double *best, hpt__gp_sampler *s) {
    const int64_t now = hpt__gp_generation(s->gp);
    int rc = 0;
    if (s->incumbent_of != now) {
        HPT_TRY(hpt__acq_incumbent(&s->incumbent, NULL, s->gp));
        s->incumbent_of = now;
    }
    *best = s->incumbent;
out:
    return rc;
}

int hpt__gp_sampler_pending_best(double *best, const hpt__gp_sampler *s) {
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
