// SPDX-License-Identifier: Apache-2.0
// acq_pool.c: candidates that many searches share, with their posterior moments.
//
// The points of a batch are sought in the same surface, which each of them changes a little: it becomes a pending row of the
// factor, and the variance sinks around it. So the candidates are made and scored once, and the model keeps what its backend needs
// to lower their variances with each pending point (backend/model_pool.c): 2 n flops a candidate where a scoring anew costs n^2
// and the making of a candidate as much as 1,000 of them.
//
// What is sought while points are pending: mostly LogEI; every 4th time the largest standard deviation among the points
// whose lower bound, mean - sd / 2, is below the value to improve on (UCB-PE: Contal et al., ECML 2013; its constants and the
// penalty of 10 outside as in Song et al., arXiv 2408.11527, where most points of a batch are of this kind: here that was
// measured to lose on smooth functions and to miss branches of a tree, and a quarter to win, docs/ablation.md).
//
// The same calls give the same bits: rows are added one by one, in the order of the pending points, by whoever resumes a study
// too. Ownership: own arrays; gp and code are the caller's at every call. Threads: one at a time.
// Cost: made as a screening of m candidates; O(n (n + m)) a pending point; O(m) a search.
#include "../base/alloc.h"
#include "../base/error.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum {
    SPREAD_EVERY = 4, // every 4th point explores
    SPREAD_AT = 2,
    STARTS = 2, // refined; steps
    STEPS = 12,
    LARGE = 8, // pending points from which only one is, with fewer steps, and none that explores
    LARGE_STEPS = 4,
    MANY = 32, // from which none is
};
static const double SPREAD_BETA = 0.5;

void hpt__acq_pool_destroy(hpt__acq_pool *p) {
    if (!p) return;
    hpt__free(p->rows);
    hpt__free(p->masks);
    hpt__free(p->mean);
    hpt__free(p);
}

bool hpt__acq_pool_fits(const hpt__acq_pool *p, const hpt__gp *gp) {
    return p && p->ready && p->generation == hpt__gp_generation(gp) &&
           p->n_rows == hpt__gp_n(gp) + hpt__gp_n_pending(gp);
}

int hpt__acq_pool_make(hpt__acq_pool **pool, hpt__gp *gp, const hpt__gp_code *code, const hpt__search_options *options,
                       hpt__rng *rng) {
    int rc = 0;
    hpt__acq_pool *p = *pool;
    if (!p) p = *pool = hpt__calloc(1, sizeof *p);
    if (!p) return hpt__fail_memory();
    p->ready = false;
    HPT_FAIL_IF(code->cov.d < 1 || hpt__gp_n_pending(gp) > 0, HPT_E_STATE,
                "shared candidates are made while nothing is pending, of parameters that vary");
    HPT_TRY(hpt__candidates_keep(&p->rows, &p->masks, &p->n, &p->complete, gp, code, options, rng));
    hpt__free(p->mean);
    p->mean = hpt__malloc((size_t)(2 * p->n + 1) * sizeof *p->mean);
    if (!p->mean) HPT_TRY(hpt__fail_memory());
    p->var = p->mean + p->n;
    p->n_rows = hpt__gp_n(gp);
    p->generation = hpt__gp_generation(gp);
    rc = hpt__model_pool_set(&p->number, hpt__gp_model(gp), hpt__gp_rows(gp), hpt__gp_masks(gp), p->rows, p->masks,
                             p->n, p->mean, p->var);
    p->ready = rc >= 0;
out:
    return rc;
}

int hpt__acq_pool_append(hpt__acq_pool *p, hpt__gp *gp) {
    if (!p->ready) return 0;
    p->ready = false;
    if (p->generation != hpt__gp_generation(gp) || p->n_rows + 1 != hpt__gp_n(gp) + hpt__gp_n_pending(gp)) return 0;
    const int rc = hpt__model_pool_append(p->number, hpt__gp_model(gp), hpt__gp_rows(gp), hpt__gp_masks(gp), p->rows,
                                          p->masks, p->n, p->var);
    p->n_rows++;
    p->ready = rc >= 0 && rc != HPT_S_NOTHING;
    return rc < 0 ? rc : 0;
}

int64_t hpt__acq_pool_moments(const double **mean, const double **var, const double **rows, const uint64_t **masks,
                              const hpt__acq_pool *p) {
    *mean = p->mean;
    *var = p->var;
    *rows = p->rows;
    *masks = p->masks;
    return p->n;
}

int hpt__acq_while_pending(hpt__acq *acq, bool *explores, hpt__search_options *o, hpt__gp *gp, const hpt__gp_code *code,
                           int64_t turn) {
    const int64_t n_pending = hpt__gp_n_pending(gp);
    const bool large = n_pending >= LARGE;
    *explores = n_pending > 0 && turn % SPREAD_EVERY == SPREAD_AT;
    if (o->pool) {
        o->n_starts = !large ? STARTS : *explores || n_pending >= MANY ? 0 : 1;
        o->max_steps = large ? LARGE_STEPS : STEPS;
    }
    if (!*explores) return 0;
    *acq = (hpt__acq){.kind = HPT__ACQ_PE, .beta = SPREAD_BETA};
    return hpt__acq_threshold(&acq->tau, gp, code);
}

int64_t hpt__acq_pool_screen(int64_t *index, double *value, int64_t most, const hpt__acq_pool *p, const hpt__acq *acq,
                             const hpt__seen *seen) {
    int64_t k = 0;
    for (int64_t j = 0; j < p->n; j++) {
        const double v = hpt__acq_value(acq, p->mean[j], fmax(p->var[j], 0));
        if (k == most && !(v > value[k - 1])) continue;
        if (hpt__seen_has(seen, p->rows + j * seen->code->cov.d, p->masks[j])) continue;
        int64_t at = k < most ? k++ : k - 1;
        for (; at > 0 && v > value[at - 1]; at--) {
            value[at] = value[at - 1];
            index[at] = index[at - 1];
        }
        value[at] = v;
        index[at] = j;
    }
    return k;
}
