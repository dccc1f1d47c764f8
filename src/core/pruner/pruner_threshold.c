// SPDX-License-Identifier: Apache-2.0
// pruner_threshold.c: stops a trial whose latest report is NaN, below a lower or above an upper bound, whatever other
// trials do. Warm-up and intervals as in pruner_percentile.c. Decisions as Optuna's ThresholdPruner makes them.
//
// Ownership: the state is one struct. Threads: any, it never changes. Cost: O(1).
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_ops.h"
#include "pruner_watch.h"

#include <math.h>

typedef struct threshold_state {
    double lower, upper;
    int64_t n_warmup, interval;
} threshold_state;

static int threshold_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    if (isnan(o->threshold_lower) || isnan(o->threshold_upper) ||
        (o->threshold_lower == -INFINITY && o->threshold_upper == INFINITY)) {
        return hpt__fail(HPT_E_ARG, "pruner 'threshold' needs a bound: set threshold.lower, threshold.upper or both");
    }
    if (o->threshold_lower > o->threshold_upper) {
        return hpt__fail(HPT_E_ARG, "threshold.lower (%g) is above threshold.upper (%g); no report would pass",
                         o->threshold_lower, o->threshold_upper);
    }
    threshold_state *s = hpt__malloc(sizeof *s);
    if (!s) return hpt__fail_memory();
    *s = (threshold_state){o->threshold_lower, o->threshold_upper, o->threshold_n_warmup, o->threshold_interval};
    *state = s;
    return 0;
}

static void threshold_destroy(void *state) {
    hpt__free(state);
}

static bool threshold_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    (void)notes;
    const threshold_state *s = state;
    const hpt__trial_info *info = &table->info[row];
    if (info->n_reports == 0 || !hpt__first_in_interval(info, s->n_warmup, s->interval)) return false;
    const double v = info->reports[info->n_reports - 1].value;
    return isnan(v) || v < s->lower || v > s->upper;
}

const hpt__pruner_ops hpt__pruner_threshold_ops = {
    .name = "threshold",
    .doc = "stops a trial whose last report is NaN or outside given bounds",
    .create = threshold_create,
    .destroy = threshold_destroy,
    .should_prune = threshold_should_prune,
};
