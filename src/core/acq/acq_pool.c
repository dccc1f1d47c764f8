// SPDX-License-Identifier: Apache-2.0
// acq_pool.c: candidates that many searches share, with their posterior moments.
//
// The points of a batch are sought in the same surface, which each of them changes a little: it becomes a pending row of the
// factor, and the variance sinks around it. So the candidates are made and scored once, and what is kept of the scoring,
//   V = L^-1 K(X, C)  (rows x m),   var_c = k(c, c) - sum_i V_ic^2,
// gains one row for one pending point p:  V_p = (k(p, C) - l' V) / l_pp,  where (l, l_pp) is the new row of L, and
// var_c -= V_pc^2; means stay. That is the row which the factor of all of them would have; it costs 2 n flops a candidate
// where a scoring anew costs n^2 and the making of a candidate as much as 1,000 of them.
//
// What is sought while points are pending: mostly LogEI; every 4th time the largest standard deviation among the points
// whose lower bound, mean - sd / 2, is below the value to improve on (UCB-PE: Contal et al., ECML 2013; its constants and the
// penalty of 10 outside as in Song et al., arXiv 2408.11527, where most points of a batch are of this kind: here that was
// measured to lose on smooth functions and to miss branches of a tree, and a quarter to win, docs/ablation.md).
//
// V lies by rows, so that a new one goes to the end and the products run along memory.
// The same calls give the same bits: rows are added one by one, in the order of the pending points, by whoever resumes a study
// too. Ownership: own arrays; gp and code are the caller's at every call. Threads: one at a time. Memory: 8 rows x m bytes.
// Cost: made as a screening of m candidates; O(n (n + m)) a pending point; O(m) a search.
#include "../base/alloc.h"
#include "../base/error.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum {
    PART = 256,       // candidates solved in one call
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
    hpt__free(p->v);
    hpt__free(p->solved);
    hpt__free(p);
}

bool hpt__acq_pool_fits(const hpt__acq_pool *p, const hpt__gp *gp) {
    return p && p->ready && p->generation == hpt__gp_generation(gp) &&
           p->n_rows == hpt__gp_n(gp) + hpt__gp_n_pending(gp);
}

// V of the told points, and the moments; the gp has no pending ones.
static int score(hpt__acq_pool *p, hpt__device *device, hpt__gp *gp, const hpt__gp_code *code) {
    int rc = 0;
    const int64_t n = hpt__gp_n(gp), d = code->cov.d;
    HPT_TRY(hpt__grow(&p->v, &p->cap_v, (n + 1) * p->n, sizeof *p->v));
    HPT_TRY(hpt__grow(&p->solved, &p->cap_solved, n * PART, sizeof *p->solved));
    HPT_TRY(hpt__model_posterior(hpt__gp_model(gp), p->rows, p->masks, p->n, p->mean, NULL, NULL, NULL));
    for (int64_t j = 0; j < p->n; j++) p->var[j] = hpt__cov_variance(&code->cov, hpt__gp_theta(gp), p->masks[j]);
    for (int64_t from = 0; from < p->n; from += PART) {
        const int64_t k = p->n - from < PART ? p->n - from : PART;
        HPT_TRY(hpt__cov_cross(device, &code->cov, hpt__gp_theta(gp), hpt__gp_rows(gp), hpt__gp_masks(gp), n,
                               p->rows + from * d, p->masks + from, k, p->solved, n));
        HPT_TRY(hpt__model_solve(hpt__gp_model(gp), false, p->solved, n, k));
        for (int64_t j = 0; j < k; j++) {
            const double *v = p->solved + j * n;
            for (int64_t i = 0; i < n; i++) p->v[i * p->n + from + j] = v[i];
            for (int64_t i = 0; i < n; i++) p->var[from + j] -= v[i] * v[i];
        }
    }
    rc = 0;
out:
    return rc;
}

int hpt__acq_pool_make(hpt__acq_pool **pool, hpt__device *device, hpt__gp *gp, const hpt__gp_code *code,
                       const hpt__search_options *options, hpt__rng *rng) {
    int rc = 0;
    hpt__acq_pool *p = *pool;
    if (!p) p = *pool = hpt__calloc(1, sizeof *p);
    if (!p) return hpt__fail_memory();
    p->ready = false;
    HPT_FAIL_IF(code->cov.d < 1 || hpt__gp_n_pending(gp) > 0, HPT_E_STATE,
                "shared candidates are made while nothing is pending, of parameters that vary");
    HPT_TRY(hpt__candidates_keep(&p->rows, &p->masks, &p->n, &p->complete, gp, code, options, rng));
    hpt__free(p->mean);
    p->mean = hpt__malloc((size_t)(3 * p->n + 1) * sizeof *p->mean);
    if (!p->mean) HPT_TRY(hpt__fail_memory());
    p->var = p->mean + p->n;
    p->fresh = p->var + p->n;
    HPT_TRY(score(p, device, gp, code));
    p->n_rows = hpt__gp_n(gp);
    p->generation = hpt__gp_generation(gp);
    p->ready = true;
    rc = 0;
out:
    return rc;
}

int hpt__acq_pool_append(hpt__acq_pool *p, hpt__device *device, hpt__gp *gp, const hpt__gp_code *code) {
    int rc = 0;
    const int64_t n = p->n_rows, d = code->cov.d, m = p->n; // rows before the new one
    if (!p->ready) return 0;
    p->ready = false;
    if (p->generation != hpt__gp_generation(gp) || n + 1 != hpt__gp_n(gp) + hpt__gp_n_pending(gp)) return 0;
    const double *row = hpt__gp_rows(gp) + n * d, *theta = hpt__gp_theta(gp);
    const uint64_t *mask = hpt__gp_masks(gp) + n;
    HPT_TRY(hpt__grow(&p->v, &p->cap_v, (n + 1) * m, sizeof *p->v));
    HPT_TRY(hpt__grow(&p->solved, &p->cap_solved, 2 * (n + 1), sizeof *p->solved));
    // L^-1 of the covariances with the rows before is l; of the last unit vector, 1 / l_pp at its end.
    double *l = p->solved, *unit = l + n + 1;
    memset(l, 0, (size_t)(2 * (n + 1)) * sizeof *l);
    HPT_TRY(hpt__cov_cross(device, &code->cov, theta, hpt__gp_rows(gp), hpt__gp_masks(gp), n, row, mask, 1, l, n + 1));
    unit[n] = 1;
    HPT_TRY(hpt__model_solve(hpt__gp_model(gp), false, l, n + 1, 2));
    HPT_TRY(hpt__cov_cross(device, &code->cov, theta, p->rows, p->masks, m, row, mask, 1, p->fresh, m));
    for (int64_t i = 0; i < n; i++) {
        const double *v = p->v + i * m, by = l[i];
        for (int64_t j = 0; j < m; j++) p->fresh[j] -= by * v[j];
    }
    for (int64_t j = 0; j < m; j++) {
        p->v[n * m + j] = p->fresh[j] *= unit[n];
        p->var[j] -= p->fresh[j] * p->fresh[j];
    }
    p->n_rows++;
    p->ready = true;
    rc = 0;
out:
    return rc;
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
