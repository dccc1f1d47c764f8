// SPDX-License-Identifier: Apache-2.0
// acq_wide.c: the search where the model has a part of the told points only (a local model of sampler gp).
//
// What the model does not know of the space, it takes for unexplored: its variance there is too large. So
//   candidates of the space   are scored by the posterior of their 32 nearest of all told points (gp_nearest.h); the best
//                             FINALISTS are refined, each in an exact model of its 128 nearest
//   candidates near the best  are scored and refined in the local model, as everywhere (acq_search.c)
//   the winner                is the best of both by one measure: the acquisition value in an exact model of the 256
//                             nearest of all told points
// Ownership: nothing is kept. Threads: one at a time. Cost: (candidates + finalists) n covariances, small models.
#include "../base/alloc.h"
#include "../base/error.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum { SCREENED_BY = 32, REFINED_BY = 128, JUDGED_BY = 256 };

static void put(hpt__search_pool *p, int64_t at, const double *row, uint64_t mask, double value, int64_t d) {
    memmove(p->rows + at * d, row, (size_t)d * sizeof *row);
    p->masks[at] = mask;
    p->values[at] = value;
}

// Index of the largest of n values that is not -infinity; -1: there is none.
static int64_t largest(const double *values, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (values[i] > (best < 0 ? -INFINITY : values[best])) best = i;
    return best;
}

static bool same(const hpt__search_pool *p, int64_t i, int64_t j, int64_t d) {
    return p->masks[i] == p->masks[j] && memcmp(p->rows + i * d, p->rows + j * d, (size_t)d * sizeof *p->rows) == 0;
}

// Leaves the best of the pool in its first places, without repeats.
static void keep_best(hpt__search_pool *p, int64_t d) {
    int64_t n = 0, chosen[HPT__SEARCH_FINALISTS];
    for (int64_t best; n < HPT__SEARCH_FINALISTS && (best = largest(p->values, p->n)) >= 0;) {
        bool again = false;
        for (int64_t i = 0; i < n && !again; i++) again = same(p, chosen[i], best, d);
        if (!again) chosen[n++] = best;
        p->values[best] = -INFINITY; // values are made anew
    }
    for (int64_t i = 0; i < n; i++) { // in order of their places, so that none is overwritten before it was moved
        int64_t first = i;
        for (int64_t j = i; j < n; j++)
            if (chosen[j] < chosen[first]) first = j;
        const int64_t at = chosen[first];
        chosen[first] = chosen[i];
        put(p, i, p->rows + at * d, p->masks[at], -INFINITY, d);
    }
    p->n = n;
}

int hpt__search_wide(hpt__search_pool *p, hpt__search *s, bool refine) {
    int rc = 0;
    const int64_t d = s->d, n = s->n_wide, fit = hpt__gp_n(s->gp); // so many points fit into memory, if no more
    const int64_t judged_by = fit < JUDGED_BY ? fit : JUDGED_BY, refined_by = fit < REFINED_BY ? fit : REFINED_BY;
    hpt__neighbours *near = s->options->nearest;
    hpt__model *model = NULL, *const own = s->model;
    double *mean = hpt__malloc((size_t)(2 * n + 1) * sizeof *mean), *var = mean + n, *score = mean;
    if (!mean) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__model_create(&model, hpt__neighbours_device(near), &s->code->cov, judged_by));
    HPT_TRY(hpt__neighbours_posterior(near, s->rows, s->masks, n, SCREENED_BY, mean, var));
    for (int64_t i = 0; i < n; i++) score[i] = hpt__acq_value(s->acq, mean[i], var[i]);
    keep_best(p, d);
    s->model = model;
    for (int64_t k = 0; k < HPT__SEARCH_FINALISTS; k++) {
        const int64_t best = largest(score, n);
        if (best < 0) break;
        double *row = p->rows + p->n * d;
        put(p, p->n, s->rows + best * d, s->masks[best], score[best], d);
        score[best] = -INFINITY;
        if (refine) {
            HPT_TRY(hpt__neighbours_model(model, near, row, p->masks[p->n], refined_by));
            HPT_TRY(hpt__model_acquire(model, s->acq, row, &p->masks[p->n], 1, &p->values[p->n], NULL));
            HPT_TRY(hpt__refine(row, &p->masks[p->n], &p->values[p->n], 1, s));
        }
        p->n++;
    }
    if (p->n == 0) put(p, p->n++, s->rows, s->masks[0], -INFINITY, d);
    for (int64_t i = 0; i < p->n; i++) {
        HPT_TRY(hpt__neighbours_model(model, near, p->rows + i * d, p->masks[i], judged_by));
        HPT_TRY(hpt__model_acquire(model, s->acq, p->rows + i * d, &p->masks[i], 1, &p->values[i], NULL));
    }
    rc = 0;
out:
    s->model = own;
    hpt__model_destroy(model);
    hpt__free(mean);
    return rc;
}
