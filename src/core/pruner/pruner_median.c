// SPDX-License-Identifier: Apache-2.0
// pruner_median.c: stops a trial whose best report so far is worse than the median of the completed trials' reports at
// the same step (Golovin et al., "Google Vizier", KDD 2017, section 3.1; decisions as Optuna's MedianPruner makes them).
//
// Step s is the trial's largest reported step. It is judged only if
//   - n_startup trials are complete (at least one),
//   - s >= n_warmup, and s is the trial's first report in its interval
//     [n_warmup + j interval, n_warmup + (j + 1) interval): a check that met no report waits for the next one,
//   - n_min_trials completed trials reported at exactly s.
// Reports that are NaN count towards n_min_trials but not in the median; a trial with nothing but NaN reports is
// stopped; an even number of values has the mean of the middle two. Equal to the median: goes on.
//
// One deliberate difference: with infinite reports in the table Optuna's numpy interpolation gives NaN (inf * 0) and
// Optuna then keeps the trial; here the median of 1, 2, 3, inf, inf is 3. Diverged runs report infinity, and they
// should not switch pruning off. If the middle two are infinite and of different sign there is no median: goes on.
//
// Ownership: the state owns a buffer of values. Should it not grow, the trial goes on: the answer cannot carry an error.
// Threads: one call at a time (the study's lock).
// Cost: O(n log r + n), n trials of r reports; the median by selection, not by sorting.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_ops.h"

#include <math.h>

typedef struct median_state {
    double sign; // smaller sign * value is better
    int64_t n_startup, n_warmup, interval, n_min_trials;
    double *values;
    int64_t cap;
} median_state;

static int median_create(void **state, const hpt__pruner_env *env) {
    median_state *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->sign = env->direction == HPT_MAXIMIZE ? -1.0 : 1.0;
    s->n_startup = env->options->median_n_startup;
    s->n_warmup = env->options->median_n_warmup;
    s->interval = env->options->median_interval;
    s->n_min_trials = env->options->median_n_min_trials;
    *state = s;
    return 0;
}

static void median_destroy(void *state) {
    median_state *s = state;
    if (!s) return;
    hpt__free(s->values);
    hpt__free(s);
}

// The report at exactly this step, or NULL. Most trials report every step: the index is guessed before it is searched.
static const hpt__report *report_at(const hpt__trial_info *info, int64_t step) {
    const hpt__report *r = info->reports;
    int64_t lo = 0, hi = info->n_reports;
    if (hi == 0 || step < r[0].step || step > r[hi - 1].step) return NULL;
    const int64_t guess = step - r[0].step;
    if (guess < hi && r[guess].step == step) return &r[guess];
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (r[mid].step < step)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < info->n_reports && r[lo].step == step ? &r[lo] : NULL;
}

// Puts the k-th smallest of v[0..n) at v[k], none larger before it, none smaller after (Hoare's selection; the middle
// element as pivot, so that sorted input is the best case). No NaN among them.
static double select_kth(double *v, int64_t n, int64_t k) {
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const double pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i > j) break;
            const double t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}

// Of values already multiplied by sign. The mean of two is rounded as numpy's interpolation at one half rounds it for
// the plain values (larger - (larger - smaller) / 2), so that ties fall as they do in Optuna.
static double median(double *v, int64_t n, double sign) {
    if (n == 0) return NAN;
    const double upper = select_kth(v, n, n / 2);
    if (n % 2) return upper;
    double lower = v[0];
    for (int64_t i = 1; i < n / 2; i++)
        if (v[i] > lower) lower = v[i];
    const double gap = upper - lower;
    if (!isfinite(gap)) return 0.5 * lower + 0.5 * upper;
    return sign > 0 ? upper - gap * 0.5 : lower + gap * 0.5;
}

static double best_so_far(const median_state *s, const hpt__trial_info *info) {
    double best = NAN;
    for (int64_t i = 0; i < info->n_reports; i++) {
        const double v = s->sign * info->reports[i].value;
        if (isnan(best) || v < best) best = v;
    }
    return best;
}

static bool first_in_interval(const median_state *s, const hpt__trial_info *info, int64_t step) {
    const int64_t before = info->n_reports > 1 ? info->reports[info->n_reports - 2].step : -1;
    return before < (step - s->n_warmup) / s->interval * s->interval + s->n_warmup;
}

static bool median_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    (void)notes;
    median_state *s = state;
    const hpt__trial_info *info = &table->info[row];
    const int64_t n_complete = table->counts[HPT_TRIAL_COMPLETE];
    if (n_complete == 0 || n_complete < s->n_startup || info->n_reports == 0) return false;
    const int64_t step = info->reports[info->n_reports - 1].step;
    if (step < s->n_warmup || !first_in_interval(s, info, step)) return false;
    const double best = best_so_far(s, info);
    if (isnan(best)) return true;
    if (hpt__grow(&s->values, &s->cap, n_complete, sizeof *s->values) < 0) return false;
    int64_t n_reported = 0, n = 0;
    for (int64_t i = 0; i < table->n; i++) {
        if (table->state[i] != HPT_TRIAL_COMPLETE) continue;
        const hpt__report *r = report_at(&table->info[i], step);
        if (!r) continue;
        n_reported++;
        if (!isnan(r->value)) s->values[n++] = s->sign * r->value;
    }
    if (n_reported < s->n_min_trials) return false;
    return best > median(s->values, n, s->sign); // false for NaN
}

const hpt__pruner_ops hpt__pruner_median_ops = {
    .name = "median",
    .doc = "stops a trial whose best report is worse than the median of completed trials at the same step",
    .create = median_create,
    .destroy = median_destroy,
    .should_prune = median_should_prune,
};
