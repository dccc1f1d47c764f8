// SPDX-License-Identifier: Apache-2.0
// gp_suggest.c: suggestions of the surrogate alone (include/hpt/gp.h), for programs with a loop of their own.
//
// LogEI as sampler `gp` uses it, without its start, doubt and floors, which need to know about trials. Points of a batch
// are appended to the factor as pending ones: the variance knows them, and the value to improve on is the smallest of the
// incumbent and the means at pending points, so that what is expected of one is not sought again. More than FEW of
// them are sought in one pool of candidates (acq_pool.c), which is cheaper and less thorough.
//
// Ownership: points are the caller's; pending points are dropped before the call returns. Threads: those of the gp.
// Cost: O(n^2) a candidate, some 2,300 candidates; a further point of a batch O(n) a candidate and a few O(n^2).
#include "../base/alloc.h"
#include "../base/error.h"
#include "../gp/gp_api.h"
#include "acq.h"

#include <math.h>

static const uint64_t SUGGEST_TAG = 0x73756767657374; // "suggest"
static const uint64_t POOL_TAG = 0x706f6f6c;          // "pool"
enum { N_GLOBAL = 1536, N_LOCAL = 768, N_STARTS = 8, MAX_STEPS = 40, FEW = 3 };

// Lowers *best to the model's mean at a pending row.
static int pending_best(double *best, hpt_gp *gp, const double *row, uint64_t mask) {
    double mean;
    int rc = hpt__model_posterior(hpt__gp_model(gp->gp), row, &mask, 1, &mean, NULL, NULL, NULL);
    if (rc >= 0) *best = fmin(*best, mean);
    return rc;
}

static int pend(double *best, hpt__acq_pool *pool, hpt_gp *gp, const double *row, uint64_t mask) {
    int rc = hpt__gp_add_pending(gp->gp, row, mask);
    if (rc >= 0 && pool) rc = hpt__acq_pool_append(pool, gp->gp);
    return rc < 0 ? rc : pending_best(best, gp, row, mask);
}

typedef struct wanted {
    double *points;
    int64_t q, m, n_suggested; // n_suggested: before the call
} wanted;

static int suggest(hpt_gp *gp, void *args) {
    const wanted *want = args;
    double *points = want->points;
    const int64_t q = want->q, m = want->m;
    int rc = 0;
    bool exhausted = false, exploring;
    uint64_t mask;
    double value, *row = hpt__malloc((size_t)gp->code.cov.d * sizeof *row);
    hpt__acq_pool *pool = NULL;
    if (!row) return hpt__fail_memory();
    gp->n_suggested = want->n_suggested;
    const int64_t width = gp->space->d, d = gp->code.cov.d;
    const hpt__search_options whole = {
        .n_global = N_GLOBAL, .n_local = N_LOCAL, .n_starts = N_STARTS, .max_steps = MAX_STEPS, .lock_param = -1};
    hpt__acq logei = {.kind = HPT__ACQ_LOGEI};
    hpt__rng rng;
    HPT_TRY(hpt__gp_ready(gp->gp));
    HPT_TRY(hpt__gp_set_pending(gp->gp, NULL, NULL, 0));
    HPT_TRY(hpt__acq_incumbent(&logei.best, NULL, gp->gp));
    logei.noise = hpt__acq_noise(gp->gp);
    if (q > FEW) {
        hpt__rng_init(&rng, gp->seed, hpt__rng_mix(POOL_TAG, (uint64_t)gp->n_suggested));
        HPT_TRY(hpt__acq_pool_make(&pool, gp->gp, &gp->code, &whole, &rng));
    }
    for (int64_t i = 0; i < m; i++) HPT_TRY(pend(&logei.best, pool, gp, gp->rows + i * d, gp->mask[i]));
    for (int64_t i = 0; i < q; i++) {
        hpt__acq acq = logei;
        hpt__search_options o = whole;
        if (i > 0 && hpt__acq_pool_fits(pool, gp->gp)) o.pool = pool;
        HPT_TRY(hpt__acq_while_pending(&acq, &exploring, &o, gp->gp, &gp->code, i));
        hpt__rng_init(&rng, gp->seed, hpt__rng_mix(SUGGEST_TAG, (uint64_t)gp->n_suggested++));
        HPT_TRY(hpt__acq_search(row, &mask, &value, gp->gp, &gp->code, &acq, NULL, &o, &rng));
        exhausted = exhausted || rc == HPT_S_EXHAUSTED;
        hpt__gp_decode(points + i * width, &gp->code, row);
        if (i + 1 < q) HPT_TRY(pend(&logei.best, pool, gp, row, mask));
    }
    rc = exhausted ? HPT_S_EXHAUSTED : 0;
out:
    hpt__acq_pool_destroy(pool);
    hpt__free(row);
    return rc;
}

int hpt_gp_suggest(hpt_gp *gp, double *points, int64_t q, const double *pending, int64_t m) {
    int rc = 0;
    HPT_FAIL_IF(!gp || q < 0 || (q > 0 && !points) || m < 0 || (m > 0 && !pending), HPT_E_ARG,
                "hpt_gp_suggest: an argument is NULL or a number is negative");
    HPT_FAIL_IF(hpt__gp_n(gp->gp) < 1, HPT_E_STATE,
                "hpt_gp_suggest: nothing was told yet; evaluate a few points first, the centre or random ones");
    if (q == 0) return 0;
    HPT_TRY(hpt__gp_api_encode(gp, pending, m, "pending point"));
    gp->n_asks++;
    rc = hpt__gp_api_run(gp, suggest, &(wanted){points, q, m, gp->n_suggested});
    // Whatever became of it, the gp is as before. Dropping rows frees nothing that could fail.
    const int dropped = hpt__gp_set_pending(gp->gp, NULL, NULL, 0);
    if (rc >= 0 && dropped < 0) rc = dropped;
out:
    return rc;
}
