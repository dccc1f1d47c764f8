// SPDX-License-Identifier: Apache-2.0
// acq_wide.c: the search where the model has a part of the told points only (a local model of sampler gp).
//
// What such a model does not know of the space it takes for unexplored: the variance there is too large, and so is the
// acquisition value. So the search asks all told points instead, by their nearest neighbours (gp_nearest.h):
//   screening    every candidate by its 32 nearest
//   refinement   every start in an exact model of its 128 nearest, twice, with the neighbours of where it went; within
//                the box that these span, because beyond it they know nothing
//   the winner   is the best by one measure for all: an exact model of the 256 nearest. A start that refinement made
//                worse by it stays where it was
// A local model that is smaller than that (little memory) sets the number of neighbours.
// Ownership: nothing is kept. Threads: one at a time. Cost: (candidates + 4 starts) n covariances, small models.
#include "../base/alloc.h"
#include "../base/error.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum { SCREENED_BY = 32, REFINED_BY = 128, JUDGED_BY = 256, ROUNDS = 2, JUDGED = 8 };

int hpt__wide_screen(int64_t *index, double *value, int64_t k, hpt__search *s) {
    int rc = 0;
    const int64_t n = s->n;
    double *mean = hpt__malloc((size_t)(2 * n + 1) * sizeof *mean), *var = mean + n, *score = mean;
    if (!mean) return hpt__fail_memory();
    HPT_TRY(hpt__neighbours_posterior(s->options->nearest, s->rows, s->masks, n, SCREENED_BY, mean, var));
    for (int64_t i = 0; i < n; i++) score[i] = hpt__acq_value(s->acq, mean[i], var[i]);
    for (int64_t j = 0; j < k; j++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(score[i]) && (best < 0 || score[i] > score[best])) best = i;
        index[j] = best;
        value[j] = score[best];
        score[best] = NAN; // taken
    }
    rc = 0;
out:
    hpt__free(mean);
    return rc;
}

// As many neighbours as `most`, or as the model has points: so many fit into the device's memory.
static int64_t at_most(const hpt__search *s, int64_t most) {
    const int64_t n = hpt__gp_n(s->gp);
    return n < most ? n : most;
}

static int ask(double *value, hpt__model *model, hpt__search *s, const double *row, uint64_t mask, int64_t m) {
    int rc = hpt__neighbours_model(model, s->options->nearest, row, mask, m);
    return rc < 0 ? rc : hpt__model_acquire(model, s->acq, row, &mask, 1, value, NULL);
}

// One start in a model of its neighbours; *value: by the measure of the winner.
static int refine_one(double *row, uint64_t *mask, double *value, hpt__model *model, hpt__search *s, double *scratch) {
    int rc = 0;
    double *was = scratch, *low = was + s->d, *high = low + s->d, v;
    uint64_t was_mask;
    HPT_TRY(ask(value, model, s, row, *mask, at_most(s, JUDGED_BY)));
    memcpy(low, s->low, (size_t)s->d * sizeof *low);
    memcpy(high, s->high, (size_t)s->d * sizeof *high);
    s->model = model;
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(was, row, (size_t)s->d * sizeof *row);
        was_mask = *mask;
        HPT_TRY(ask(&v, model, s, row, *mask, at_most(s, REFINED_BY)));
        hpt__neighbours_box(s->low, s->high, s->options->nearest);
        for (int64_t c = 0; c < s->d; c++) {
            s->low[c] = fmax(s->low[c], low[c]);
            s->high[c] = fmin(s->high[c], high[c]);
        }
        rc = hpt__refine(row, mask, &v, 1, s);
        memcpy(s->low, low, (size_t)s->d * sizeof *low);
        memcpy(s->high, high, (size_t)s->d * sizeof *high);
        if (rc >= 0) rc = ask(&v, model, s, row, *mask, at_most(s, JUDGED_BY));
        if (rc < 0) goto out;
        if (!(v > *value)) { // and a second round would begin at the same place
            memcpy(row, was, (size_t)s->d * sizeof *row);
            *mask = was_mask;
            break;
        }
        *value = v;
    }
    rc = 0;
out:
    return rc;
}

int hpt__wide_finish(hpt__search_pool *p, int64_t n_kept, hpt__search *s) {
    int rc = 0;
    const int64_t d = s->d, n_starts = p->n - n_kept;
    hpt__model *model = NULL, *const own = s->model;
    double *scratch = hpt__malloc((size_t)(3 * d) * sizeof *scratch);
    if (!scratch) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__model_create(&model, hpt__neighbours_device(s->options->nearest), hpt__gp_cov(s->gp),
                              at_most(s, JUDGED_BY)));
    for (int64_t i = n_kept; i < p->n; i++)
        HPT_TRY(refine_one(p->rows + i * d, &p->masks[i], &p->values[i], model, s, scratch));
    for (int64_t i = 0; i < n_kept; i++) {
        if (n_starts > 0 || i >= JUDGED)
            p->values[i] = -INFINITY; // the best of them are starts, or are judged
        else
            HPT_TRY(ask(&p->values[i], model, s, p->rows + i * d, p->masks[i], at_most(s, JUDGED_BY)));
    }
    rc = 0;
out:
    s->model = own;
    hpt__model_destroy(model);
    hpt__free(scratch);
    return rc;
}
