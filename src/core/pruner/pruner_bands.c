// SPDX-License-Identifier: Apache-2.0
// pruner_bands.c: early_terminate of W&B's sweep files (type hyperband): a running trial is stopped while it is worse
// than the best 1/eta of all trials were at the band that it reached.
//
// Bands count reports, not steps: a trial has reached band b when it has b finite reports; NaN and infinity are passed
// over. With max_iter and s the bands are int(max_iter / eta^i) for i = 1, 2, ..., s while at least 1; else
// int(min_iter eta^k), k = 0, 1, ..., 99. Of all trials that reached a band, running, failed and stopped ones too, the
// b-th reports are sorted, best first; the threshold is number int(n / eta) of them, counted from 0. At each look the
// trial's value is held against the threshold of the largest band that it reached: `strict`, its b-th report, else the
// best of all its reports; worse: it stops. Equal goes on.
//
// The rule is that of W&B's published sweep controller (Python package `sweeps`, hyperband_stopping.py; facts only): so
// are the precedence of max_iter, n times 1/eta instead of n / eta, and that a trial is judged again at each look while
// it runs.
//
// Ownership: the state owns what was read of the trials. If memory ends, the trial goes on. Threads: one call at a
// time.
// Cost: O(r) a look for the trial's own r reports, O(1) for each other open trial (its leading finite reports are
// counted once, see prefix_of), and for each finished one O(b + log n) once a band.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_ops.h"
#include "pruner_watch.h"

#include <math.h>

enum { BANDS_MIN_ITER = 100 }; // bands in the form with min_iter

typedef struct band {
    int64_t at;
    hpt__ranks finished; // sign * b-th report of finished trials
} band;

typedef struct prefix { // of an open trial: its first n reports are finite, the last of them is at `step`
    int64_t row, n, step;
} prefix;

typedef struct bands_state {
    double sign;  // smaller sign * value is better
    double share; // 1 / eta
    bool strict;
    band *bands; // ascending
    int64_t n_bands;
    hpt__watch watch;
    prefix *prefixes; // beside watch.open
    int64_t cap_prefixes;
} bands_state;

static void bands_destroy(void *state) {
    bands_state *s = state;
    if (!s) return;
    for (int64_t i = 0; i < s->n_bands; i++) hpt__ranks_fini(&s->bands[i].finished);
    hpt__free(s->bands);
    hpt__free(s->prefixes);
    hpt__watch_fini(&s->watch);
    hpt__free(s);
}

// Fills the bands in ascending order, each once.
static void make_bands(bands_state *s, const hpt__options *o) {
    const double eta = o->bands_eta;
    if (o->bands_max_iter > 0) {
        double at = (double)o->bands_max_iter;
        for (int64_t i = 0; i < o->bands_s && (at /= eta) >= 1; i++)
            if (s->n_bands == 0 || s->bands[s->n_bands - 1].at != (int64_t)at) s->bands[s->n_bands++].at = (int64_t)at;
        for (int64_t i = 0, j = s->n_bands - 1; i < j; i++, j--) {
            const band swapped = s->bands[i];
            s->bands[i] = s->bands[j];
            s->bands[j] = swapped;
        }
    } else {
        double at = (double)o->bands_min_iter;
        for (int i = 0; i < BANDS_MIN_ITER && at < 9e18; i++, at *= eta)
            if (s->n_bands == 0 || s->bands[s->n_bands - 1].at != (int64_t)at) s->bands[s->n_bands++].at = (int64_t)at;
    }
}

static int bands_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    int rc = 0;
    bands_state *s = NULL;
    HPT_FAIL_IF(o->bands_max_iter == 0 && o->bands_min_iter == 0, HPT_E_ARG,
                "pruner 'bands' needs bands.min_iter, or bands.max_iter and bands.s");
    HPT_FAIL_IF(!(o->bands_eta > 1), HPT_E_ARG, "bands.eta is %g; the ratio between two bands must be above 1",
                o->bands_eta);
    s = hpt__calloc(1, sizeof *s);
    if (s) s->bands = hpt__calloc((size_t)(o->bands_max_iter > 0 ? o->bands_s + 1 : BANDS_MIN_ITER), sizeof *s->bands);
    if (!s || !s->bands) {
        rc = hpt__fail_memory();
        goto out;
    }
    s->sign = env->direction == HPT_MAXIMIZE ? -1.0 : 1.0;
    s->share = 1.0 / o->bands_eta;
    s->strict = o->bands_strict;
    make_bands(s, o);
    HPT_FAIL_IF(s->n_bands == 0, HPT_E_ARG,
                "bands.max_iter=%lld, bands.eta=%g and bands.s=%lld give no band; raise max_iter or s, or lower eta",
                (long long)o->bands_max_iter, o->bands_eta, (long long)o->bands_s);
    *state = s;
    return 0;
out:
    bands_destroy(s);
    return rc;
}

// sign * the b-th finite report; false if there are fewer.
static bool nth_finite(double *out, const hpt__trial_info *info, int64_t b, double sign) {
    if (info->n_reports < b) return false;
    for (int64_t i = 0; i < info->n_reports; i++) {
        if (!isfinite(info->reports[i].value) || --b > 0) continue;
        *out = sign * info->reports[i].value;
        return true;
    }
    return false;
}

// How many reports of an open trial are finite from the first on, counted up to b; what was counted before is taken as
// it was while the report that ended it is still in its place.
static int64_t prefix_of(prefix *p, const hpt__trial_info *info, int64_t row, int64_t b) {
    const hpt__report *r = info->reports;
    if (p->row != row || p->n > info->n_reports || (p->n > 0 && r[p->n - 1].step != p->step)) *p = (prefix){.row = row};
    while (p->n < b && p->n < info->n_reports && isfinite(r[p->n].value)) p->step = r[p->n++].step;
    return p->n;
}

static bool open_value(double *out, bands_state *s, const hpt__trials *table, int64_t i, int64_t b) {
    const int64_t row = s->watch.open[i];
    const hpt__trial_info *info = &table->info[row];
    if (info->n_reports < b) return false;
    if (prefix_of(&s->prefixes[i], info, row, b) < b || !isfinite(info->reports[b - 1].value))
        return nth_finite(out, info, b, s->sign);
    *out = s->sign * info->reports[b - 1].value;
    return true;
}

static int catch_up(band *b, const bands_state *s, const hpt__trials *table) {
    for (hpt__ranks *r = &b->finished; r->upto < s->watch.n_done; r->upto++) {
        const int64_t row = s->watch.done[r->upto];
        double v;
        if (row >= table->n || !nth_finite(&v, &table->info[row], b->at, s->sign)) continue;
        const int rc = hpt__ranks_add(r, v);
        if (rc < 0) return rc;
    }
    return 0;
}

static int update(bands_state *s, const hpt__trials *table) {
    int rc = hpt__watch_update(&s->watch, table);
    if (rc < 0) return rc;
    const int64_t had = s->cap_prefixes;
    rc = hpt__grow(&s->prefixes, &s->cap_prefixes, s->watch.n_open, sizeof *s->prefixes);
    if (rc < 0) return rc;
    for (int64_t i = had; i < s->cap_prefixes; i++) s->prefixes[i] = (prefix){.row = -1};
    return 0;
}

static bool bands_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    (void)notes;
    bands_state *s = state;
    const hpt__trial_info *info = &table->info[row];
    int64_t n_finite = 0, b = 0;
    double value = INFINITY;
    for (int64_t i = 0; i < info->n_reports; i++) {
        if (!isfinite(info->reports[i].value)) continue;
        n_finite++;
        if (s->sign * info->reports[i].value < value) value = s->sign * info->reports[i].value;
    }
    while (b < s->n_bands && s->bands[b].at <= n_finite) b++;
    if (b == 0) return false;
    band *reached = &s->bands[b - 1];
    if (s->strict && !nth_finite(&value, info, reached->at, s->sign)) return false;
    if (update(s, table) < 0 || catch_up(reached, s, table) < 0) return false;
    int64_t n = reached->finished.n, n_better = hpt__ranks_below(&reached->finished, value);
    for (int64_t i = 0; i < s->watch.n_open; i++) { // the trial itself is one of them
        double v;
        if (!open_value(&v, s, table, i, reached->at)) continue;
        n++;
        n_better += v < value;
    }
    return n_better > (int64_t)(s->share * (double)n);
}

const hpt__pruner_ops hpt__pruner_bands_ops = {
    .name = "bands",
    .doc = "early_terminate of W&B's sweep files: bands of reports, one trial in eta passes each",
    .create = bands_create,
    .destroy = bands_destroy,
    .should_prune = bands_should_prune,
};
