// SPDX-License-Identifier: Apache-2.0
// pruner_percentile.c: stops a trial whose best report so far is worse than a percentile of the completed trials'
// reports at the same step; with the median it is the rule of Golovin et al., "Google Vizier", KDD 2017, section 3.1.
// Decisions as Optuna's PercentilePruner and MedianPruner make them.
//
// Step s is the trial's largest reported step. It is judged only if
//   - n_startup trials are complete (at least one),
//   - s >= n_warmup, and s is the trial's first report in its interval (hpt__first_in_interval),
//   - n_min_trials completed trials reported at exactly s.
// Reports that are NaN count towards n_min_trials but not in the percentile; a trial with nothing but NaN reports is
// stopped. Among n values v(0) <= v(1) <= ... the percentile p (100 - p if larger is better) lies at q (n - 1), q = p /
// 100, between two of them by a straight line, with numpy's roundings, so that ties fall as they do in Optuna. Equal to
// the percentile: goes on.
//
// One deliberate difference: beside an infinite report numpy's interpolation gives NaN (inf * 0) and Optuna then keeps
// the trial; here the median of 1, 2, 3, inf, inf is 3. Diverged runs report infinity, and they should not switch
// pruning off. Between two infinities of different sign there is no percentile: goes on.
//
// Method: the first look at a step makes an entry for it, which keeps the values of completed trials in two heaps: in
// `low` the k + 1 smallest, k = floor(q (n - 1)), with the largest of them on top, in `high` the rest with the smallest
// on top. A later look adds the trials that completed since, so that each completed report is read once.
//
// Ownership: the state owns the entries. Should one not grow, the trial goes on: the answer cannot carry an error.
// Threads: one call at a time (the study's lock).
// Cost: O(r) a look for r reports of the trial, plus O(log n) for each completed report met the first time. Memory: 8
// bytes for each of those, and a few hundred for each step looked at.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_ops.h"
#include "pruner_watch.h"

#include <math.h>

typedef struct heap { // smallest on top
    double *v;
    int64_t n, cap;
} heap;

typedef struct step_values {
    int64_t upto;       // how many finished trials were asked for their report
    int64_t n_reported; // completed trials with a report here, NaN too
    heap low;           // negated, so that the largest is on top
    heap high;
} step_values;

typedef struct percentile_state {
    bool maximize;
    double q;
    int64_t n_startup, n_warmup, interval, n_min_trials;
    hpt__watch watch;
    hpt__map entry_of_step;
    step_values *entries;
    int64_t n_entries, cap_entries;
} percentile_state;

static int make(void **state, const hpt__pruner_env *env, double percentile, int64_t n_startup, int64_t n_warmup,
                int64_t interval, int64_t n_min_trials) {
    percentile_state *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->maximize = env->direction == HPT_MAXIMIZE;
    s->q = (s->maximize ? 100.0 - percentile : percentile) / 100.0;
    s->n_startup = n_startup;
    s->n_warmup = n_warmup;
    s->interval = interval;
    s->n_min_trials = n_min_trials;
    hpt__map_init(&s->entry_of_step);
    *state = s;
    return 0;
}

static int median_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    return make(state, env, 50.0, o->median_n_startup, o->median_n_warmup, o->median_interval, o->median_n_min_trials);
}

static int percentile_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    return make(state, env, o->percentile_percentile, o->percentile_n_startup, o->percentile_n_warmup,
                o->percentile_interval, o->percentile_n_min_trials);
}

static void percentile_destroy(void *state) {
    percentile_state *s = state;
    if (!s) return;
    for (int64_t i = 0; i < s->n_entries; i++) {
        hpt__free(s->entries[i].low.v);
        hpt__free(s->entries[i].high.v);
    }
    hpt__free(s->entries);
    hpt__map_fini(&s->entry_of_step);
    hpt__watch_fini(&s->watch);
    hpt__free(s);
}

// ---- heaps

static int heap_push(heap *h, double x) {
    int rc = hpt__grow(&h->v, &h->cap, h->n + 1, sizeof *h->v);
    if (rc < 0) return rc;
    int64_t i = h->n++;
    for (; i > 0 && h->v[(i - 1) / 2] > x; i = (i - 1) / 2) h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = x;
    return 0;
}

static void heap_pop(heap *h) {
    const double x = h->v[--h->n];
    int64_t i = 0;
    for (int64_t child = 1; child < h->n; child = 2 * i + 1) {
        if (child + 1 < h->n && h->v[child + 1] < h->v[child]) child++;
        if (!(h->v[child] < x)) break;
        h->v[i] = h->v[child];
        i = child;
    }
    h->v[i] = x;
}

static int add_value(step_values *e, double v) {
    return e->low.n > 0 && v <= -e->low.v[0] ? heap_push(&e->low, -v) : heap_push(&e->high, v);
}

// Moves values between the heaps until `low` has n_low. On failure both are still heaps in the right order.
static int balance(step_values *e, int64_t n_low) {
    int rc = 0;
    while (rc >= 0 && e->low.n < n_low) {
        rc = heap_push(&e->low, -e->high.v[0]);
        if (rc >= 0) heap_pop(&e->high);
    }
    while (rc >= 0 && e->low.n > n_low) {
        rc = heap_push(&e->high, -e->low.v[0]);
        if (rc >= 0) heap_pop(&e->low);
    }
    return rc;
}

static int percentile_of(double *out, step_values *e, double q) {
    const int64_t n = e->low.n + e->high.n;
    *out = NAN;
    if (n == 0) return 0;
    const double at = (double)(n - 1) * q, floor_at = floor(at);
    const bool last = at >= (double)(n - 1);
    int rc = balance(e, last ? n : (int64_t)floor_at + 1);
    if (rc < 0) return rc;
    const double lower = -e->low.v[0];
    *out = lower;
    if (last) return 0;
    const double upper = e->high.v[0], gap = upper - lower, t = at - floor_at;
    if (isfinite(gap))
        *out = t >= 0.5 ? upper - gap * (1 - t) : lower + gap * t;
    else if (t > 0)
        *out = (1 - t) * lower + t * upper;
    return 0;
}

// ---- steps

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

static int entry_for(step_values **out, percentile_state *s, int64_t step) {
    int64_t i = 0;
    if (!hpt__map_get(&i, &s->entry_of_step, (const char *)&step, sizeof step)) {
        i = s->n_entries;
        int rc = hpt__grow(&s->entries, &s->cap_entries, i + 1, sizeof *s->entries);
        if (rc >= 0) rc = hpt__map_set(&s->entry_of_step, (const char *)&step, sizeof step, i);
        if (rc < 0) return rc;
        s->entries[i] = (step_values){0};
        s->n_entries++;
    }
    *out = &s->entries[i];
    return 0;
}

// Adds the reports at `step` of the trials that completed since the entry was last used.
static int catch_up(step_values *e, const hpt__watch *w, const hpt__trials *table, int64_t step) {
    for (; e->upto < w->n_done; e->upto++) {
        const int64_t row = w->done[e->upto];
        if (row >= table->n || table->state[row] != HPT_TRIAL_COMPLETE) continue;
        const hpt__report *r = report_at(&table->info[row], step);
        if (!r) continue;
        const int rc = isnan(r->value) ? 0 : add_value(e, r->value);
        if (rc < 0) return rc;
        e->n_reported++;
    }
    return 0;
}

static double best_so_far(const hpt__trial_info *info, bool maximize) {
    double best = NAN;
    for (int64_t i = 0; i < info->n_reports; i++) {
        const double v = info->reports[i].value;
        if (isnan(best) || (maximize ? v > best : v < best)) best = v;
    }
    return best;
}

static bool percentile_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    (void)notes;
    percentile_state *s = state;
    step_values *e = NULL;
    double p = NAN;
    const hpt__trial_info *info = &table->info[row];
    const int64_t n_complete = table->counts[HPT_TRIAL_COMPLETE];
    if (n_complete == 0 || n_complete < s->n_startup || info->n_reports == 0) return false;
    if (!hpt__first_in_interval(info, s->n_warmup, s->interval)) return false;
    const double best = best_so_far(info, s->maximize);
    if (isnan(best)) return true;
    const int64_t step = info->reports[info->n_reports - 1].step;
    if (hpt__watch_update(&s->watch, table) < 0 || entry_for(&e, s, step) < 0) return false;
    if (catch_up(e, &s->watch, table, step) < 0 || e->n_reported < s->n_min_trials) return false;
    if (percentile_of(&p, e, s->q) < 0) return false;
    return s->maximize ? best < p : best > p; // false for NaN
}

const hpt__pruner_ops hpt__pruner_median_ops = {
    .name = "median",
    .doc = "stops a trial whose best report is worse than the median of completed trials at the same step",
    .create = median_create,
    .destroy = percentile_destroy,
    .should_prune = percentile_should_prune,
};

const hpt__pruner_ops hpt__pruner_percentile_ops = {
    .name = "percentile",
    .doc =
        "stops a trial whose best report is not among the best 25 % (an option) of completed trials at the same step",
    .create = percentile_create,
    .destroy = percentile_destroy,
    .should_prune = percentile_should_prune,
};
