// SPDX-License-Identifier: Apache-2.0
// pruner_patience.c: stops a trial that no longer improves, if another pruner agrees. Decisions as Optuna's
// PatientPruner makes them.
//
// Of the trial's reports in the order of steps the last patience + 1 are set against those before: unless the best of
// the last comes within min_delta of the best before, or beats it, the wrapped pruner (option patience.pruner) is
// asked. With `nop` there is none and the trial stops. NaN reports are passed over; if one side has nothing else, the
// trial goes on. The wrapped pruner is asked only then: it does not see the reports in between, which matters to the
// rungs of asha.
//
// Ownership: the state owns the wrapped pruner's. Threads: as the wrapped pruner. Cost: O(r) for r reports.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_ops.h"

#include <math.h>
#include <string.h>

typedef struct patience_state {
    const hpt__pruner_ops *inner; // NULL: none
    void *inner_state;
    double sign; // smaller sign * value is better
    double min_delta;
    int64_t patience;
} patience_state;

static void patience_destroy(void *state) {
    patience_state *s = state;
    if (!s) return;
    if (s->inner) s->inner->destroy(s->inner_state);
    hpt__free(s);
}

static int patience_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    const hpt__pruner_ops *inner = NULL;
    int rc = 0;
    patience_state *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->sign = env->direction == HPT_MAXIMIZE ? -1.0 : 1.0;
    s->min_delta = o->patience_min_delta;
    s->patience = o->patience_patience;
    if (strcmp(o->patience_pruner, "nop") != 0) {
        HPT_TRY(hpt__pruner_find(&inner, o->patience_pruner));
        HPT_TRY(inner->create(&s->inner_state, env));
        s->inner = inner;
    }
    *state = s;
    return 0;
out:
    patience_destroy(s);
    return rc;
}

static double best_of(const hpt__report *r, int64_t n, double sign) {
    double best = NAN;
    for (int64_t i = 0; i < n; i++) {
        const double v = sign * r[i].value;
        if (isnan(best) || v < best) best = v;
    }
    return best;
}

static bool patience_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    const patience_state *s = state;
    const hpt__trial_info *info = &table->info[row];
    const int64_t n_before = info->n_reports - s->patience - 1;
    if (n_before <= 0) return false;
    const double before = best_of(info->reports, n_before, s->sign);
    const double after = best_of(info->reports + n_before, s->patience + 1, s->sign);
    if (!(before + s->min_delta < after)) return false;
    return !s->inner || s->inner->should_prune(s->inner_state, table, row, notes);
}

const hpt__pruner_ops hpt__pruner_patience_ops = {
    .name = "patience",
    .doc = "stops a trial that has not improved for some reports, if another pruner agrees",
    .create = patience_create,
    .destroy = patience_destroy,
    .should_prune = patience_should_prune,
};
