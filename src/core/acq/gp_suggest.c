// SPDX-License-Identifier: Apache-2.0
// gp_suggest.c: suggestions of the surrogate alone (include/hpt/gp.h), for programs with a loop of their own.
//
// LogEI as sampler `gp` uses it, without its start, doubt and floors, which need to know about trials. Points of a batch
// are appended to the factor as pending ones: the variance knows them, and the value to improve on is the smallest of the
// incumbent and the means at pending points, so that what is expected of one is not sought again.
//
// Ownership: points are the caller's; pending points are dropped before the call returns. Threads: those of the gp.
// Cost: O(n^2) a candidate, some 2,300 candidates a point.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../gp/gp_api.h"
#include "acq.h"

#include <math.h>

static const uint64_t SUGGEST_TAG = 0x73756767657374; // "suggest"
enum { N_GLOBAL = 1536, N_LOCAL = 768, N_STARTS = 8, MAX_STEPS = 40 };

// Lowers *best to the model's mean at a pending row.
static int pending_best(double *best, hpt_gp *gp, const double *row, uint64_t mask) {
    double mean;
    int rc = hpt__model_posterior(hpt__gp_model(gp->gp), row, &mask, 1, &mean, NULL, NULL, NULL);
    if (rc >= 0) *best = fmin(*best, mean);
    return rc;
}

static int suggest(double *points, hpt_gp *gp, int64_t q, int64_t m) {
    int rc = 0;
    bool exhausted = false;
    uint64_t mask;
    double value, *row = hpt__malloc((size_t)gp->code.cov.d * sizeof *row);
    if (!row) return hpt__fail_memory();
    const int64_t width = gp->space->d, d = gp->code.cov.d;
    const hpt__search_options options = {
        .n_global = N_GLOBAL, .n_local = N_LOCAL, .n_starts = N_STARTS, .max_steps = MAX_STEPS, .lock_param = -1};
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    HPT_TRY(hpt__gp_ready(gp->gp));
    HPT_TRY(hpt__gp_set_pending(gp->gp, gp->rows, gp->mask, m));
    HPT_TRY(hpt__acq_incumbent(&acq.best, NULL, gp->gp));
    acq.noise = hpt__acq_noise(gp->gp);
    for (int64_t i = 0; i < m; i++) HPT_TRY(pending_best(&acq.best, gp, gp->rows + i * d, gp->mask[i]));
    for (int64_t i = 0; i < q; i++) {
        hpt__rng rng;
        hpt__rng_init(&rng, gp->seed, hpt__rng_mix(SUGGEST_TAG, (uint64_t)gp->n_suggested++));
        HPT_TRY(hpt__acq_search(row, &mask, &value, gp->gp, &gp->code, &acq, NULL, &options, &rng));
        exhausted = exhausted || rc == HPT_S_EXHAUSTED;
        hpt__gp_decode(points + i * width, &gp->code, row);
        if (i + 1 == q) break;
        HPT_TRY(hpt__gp_add_pending(gp->gp, row, mask));
        HPT_TRY(pending_best(&acq.best, gp, row, mask));
    }
    rc = exhausted ? HPT_S_EXHAUSTED : 0;
out:
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
    rc = suggest(points, gp, q, m);
    // Whatever became of it, the gp is as before. Dropping rows frees nothing that could fail.
    const int dropped = hpt__gp_set_pending(gp->gp, NULL, NULL, 0);
    if (rc >= 0 && dropped < 0) rc = dropped;
out:
    return rc;
}
