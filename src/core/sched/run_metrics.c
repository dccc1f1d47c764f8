// SPDX-License-Identifier: Apache-2.0
// run_metrics.c: the metrics of a run and what each running trial last reported of them.
//
// One metric: its reports go to the study step by step, the last one is the trial's value. Several metrics (several
// objectives): the last report of each is a value; none of them is stored on its way, because Optuna, whose schema the
// study shares, has no intermediate values of several objectives and refuses to read a pruning decision off them.
//
// Ownership: names and directions are the sweep's; the values hang on the run. Threads: the run's.
#include "../base/alloc.h"
#include "run_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int hpt__run_metrics_init(hpt__run *run) {
    const hpt_sweep *s = run->sweep;
    run->n_metrics = s->n_metrics > 0 ? s->n_metrics : s->metric ? 1 : 0;
    run->metrics = s->n_metrics > 0 ? s->metrics : &s->metric;
    run->directions = s->n_metrics > 0 ? s->directions : &s->direction;
    return hpt__intake_init_many(&run->intake, run->metrics, run->n_metrics, s->patterns, s->n_patterns);
}

int hpt__run_metrics_slots(hpt__run *run) {
    run->values = hpt__calloc((size_t)(run->n_slots * run->n_metrics) + 1, sizeof *run->values);
    return run->values ? 0 : hpt__fail_memory();
}

hpt__metric_value *hpt__run_values(hpt__run *run, const hpt__running *t) {
    return run->values + (t - run->slots) * run->n_metrics;
}

void hpt__run_clear_values(hpt__run *run, const hpt__running *t) {
    for (int64_t i = 0; i < run->n_metrics; i++) hpt__run_values(run, t)[i] = (hpt__metric_value){0};
}

bool hpt__run_any_value(hpt__run *run, const hpt__running *t) {
    for (int64_t i = 0; i < run->n_metrics; i++)
        if (hpt__run_values(run, t)[i].seen) return true;
    return false;
}

bool hpt__run_all_values(hpt__run *run, const hpt__running *t) {
    for (int64_t i = 0; i < run->n_metrics; i++) {
        const hpt__metric_value v = hpt__run_values(run, t)[i];
        if (!v.seen || isnan(v.value)) return false;
    }
    return true;
}

void hpt__run_explain_values(char *out, size_t size, hpt__run *run, const hpt__running *t) {
    const hpt__metric_value *v = hpt__run_values(run, t);
    size_t n = 0;
    out[0] = '\0';
    for (int64_t i = 0; i < run->n_metrics && n + 1 < size; i++) {
        if (v[i].seen) continue;
        const char *before = n == 0 ? "exited 0 but printed no" : " and no";
        const int k = snprintf(out + n, size - n, "%s `%s=...`", before, run->metrics[i]);
        n += k > 0 ? (size_t)k : 0;
    }
    if (n > 0) return;
    for (int64_t i = 0; i < run->n_metrics; i++) {
        if (!isnan(v[i].value)) continue;
        if (run->n_metrics == 1)
            (void)snprintf(out, size, "metric is NaN");
        else
            (void)snprintf(out, size, "metric '%s' is NaN", run->metrics[i]);
        return;
    }
}
