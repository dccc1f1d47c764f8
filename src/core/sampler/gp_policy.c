// SPDX-License-Identifier: Apache-2.0
// gp_policy.c: what to do where an exact model of everything is too slow, and where a space has too many directions.
//
// Limit. An exact model's average ask is estimated from the rates of the device (gp/gp_placement.c); the limit is the largest of
// 250, 500, 1,000 .. 64,000 told points whose estimate is within gp.ask_seconds, or gp.n_max, and no more than memory
// holds (in steps of a quarter). It is decided once and stored with the study: from then on neither another machine nor another day's speed
// changes what is asked, unless the memory there is too small.
//
// Local model. Past the limit the model holds a subset: three quarters are the points nearest to a centre (the trust region's,
// else the best point), by the distance the covariance itself uses, sum (dx / l)^2; the last quarter is spread evenly over
// the ranks of all other values, so that the transformation of the values sees their whole range. Half of the limit is
// chosen at once and new results are appended until it is full, or until the trust region begins a new round elsewhere;
// then it is chosen anew: the O(n^3) of a new factor is paid once in limit / 2 trials. What the model does not know of
// the rest of the space the nearest-neighbour posterior knows (gp/gp_nearest.c, acq/acq_wide.c).
//
// Trust region (Eriksson et al., "Scalable global optimization via local Bayesian optimization", NeurIPS 2019, from the
// paper): a box around the best point, side L times the column's lengthscale over their geometric mean; L doubles after 3
// successes in a row and halves after max(4, d) failures, where those of a batch count one by one; a success betters the
// best value of this round by 1e-3 |best|; from 0.8, at most 1.6; below 2^-7 a new round begins. The state follows from the
// list of results, so it is replayed at each call and needs no storing. In a new round the box stands around the best point
// of the round; its first point is sought everywhere. It begins after 2 d results, with fewer than 8 columns after 24: an
// ellipsoid in 5 dimensions that was boxed in after 10 ended at 16 instead of 7 (docs/ablation.md).
//
// Ownership: nothing is kept. Threads: any. Cost: O(n d + n log n) for a subset, O(n) for a replay.
#include "gp_policy.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../gp/gp_placement.h"

#include <math.h>
#include <stdlib.h>

typedef struct item {
    double key;
    int64_t at;
} item;

static int by_key(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double distance(const hpt__gp_archive *a, int64_t i, int64_t j, const double *length) {
    const hpt__gp_code *code = a->code;
    const int64_t d = code->cov.d;
    double sum = 0;
    for (int64_t c = 0; c < d; c++) {
        const uint64_t bit = UINT64_C(1) << code->cov.block[c];
        const bool in_i = a->masks[i] & bit, in_j = a->masks[j] & bit;
        const double x = a->rows[i * d + c], y = a->rows[j * d + c], l2 = length[c] * length[c];
        if (in_i != in_j || (in_i && code->cov.categorical[c] && x != y))
            sum += 1 / l2;
        else if (in_i && !code->cov.categorical[c])
            sum += (x - y) * (x - y) / l2;
    }
    return sum;
}

// ---- how many points an exact model may have

enum {
    LEAST = 64,
    SMALL = 256,
    FIRST_STEP = 250,
    LAST_STEP = 64000,
    STARTS = 8,
};
const char *const hpt__gp_limit_names[3] = {"option", "seconds", "memory"};

// With the small models that a search beside a local one makes (acq_wide.c).
static bool fits(const hpt__device *device, const hpt__cov *cov, int64_t n, int64_t m) {
    hpt__model_shape s = {.n = n, .d = cov->d, .n_terms = cov->n_terms, .m = m, .s = 1};
    const int64_t need = hpt__device_need(device, &s), memory = hpt__device_memory(device);
    s.n = n < SMALL ? n : SMALL;
    s.m = STARTS;
    return need <= memory && 2 * hpt__device_need(device, &s) <= memory - need;
}

// The next smaller one of 250, 375, 500, 625, 750, 875, 1000, 1250 .. (quarters of each doubling), and below 250 three
// quarters. One list for all: who is allowed more seconds never ends with fewer points because memory cut more off.
static int64_t lower(int64_t n) {
    int64_t base = FIRST_STEP;
    if (n <= FIRST_STEP) return n / 4 * 3 > LEAST ? n / 4 * 3 : LEAST;
    while (2 * base < n) base *= 2;
    const int64_t part = base > FIRST_STEP ? base / 4 : base / 2;
    return (n - 1) / part * part;
}

int hpt__gp_limit_find(hpt__gp_limit *out, hpt__device *device, const hpt__cov *cov, const hpt__options *options,
                       int64_t m, hpt__gp_limit known) {
    hpt__gp_limit l = known;
    if (options->gp_n_max > 0) {
        l = (hpt__gp_limit){options->gp_n_max > LEAST ? options->gp_n_max : LEAST, HPT__GP_BY_OPTION};
    } else if (l.points < LEAST || l.by == HPT__GP_BY_OPTION) {
        l = (hpt__gp_limit){FIRST_STEP, HPT__GP_BY_SECONDS};
        while (l.points < LAST_STEP && hpt__gp_ask_seconds(device, cov, 2 * l.points, m) <= options->gp_ask_seconds)
            l.points *= 2;
    }
    while (l.points > LEAST && !fits(device, cov, l.points, m)) {
        l.points = lower(l.points);
        l.by = HPT__GP_BY_MEMORY;
    }
    *out = l;
    if (fits(device, cov, l.points, m)) return 0;
    return hpt__fail(HPT_E_MEMORY,
                     "device '%s': not even a model of %lld points fits into the %lld MiB that it may use; "
                     "raise gp.memory",
                     hpt__device_name(device), (long long)l.points, (long long)(hpt__device_memory(device) >> 20));
}

// ---- which points a local one has

int hpt__gp_subset(int64_t **out, int64_t *got, const hpt__gp_archive *a, int64_t centre, int64_t want,
                   const double *length) {
    const int64_t n = a->n;
    int64_t m = 0, best = centre;
    item *items = hpt__malloc((size_t)(n + 1) * sizeof *items);
    int64_t *chosen = hpt__malloc((size_t)(want + 1) * sizeof *chosen);
    if (!items || !chosen) {
        hpt__free(items);
        hpt__free(chosen);
        return hpt__fail_memory();
    }
    for (int64_t i = 0; i < n && centre < 0; i++)
        if (a->kind[i] == HPT__GP_TOLD && (best < 0 || a->y[i] < a->y[best])) best = i;
    for (int64_t i = 0; i < n; i++)
        if (a->kind[i] != HPT__GP_LEFT_OUT) items[m++] = (item){best < 0 ? 0 : distance(a, i, best, length), i};
    if (want > m) want = m;
    qsort(items, (size_t)m, sizeof *items, by_key);
    const int64_t n_near = want - want / 4, n_rest = m - n_near, n_spread = want - n_near;
    for (int64_t i = 0; i < n_near; i++) chosen[i] = items[i].at;
    for (int64_t i = n_near; i < m; i++) items[i].key = a->y[items[i].at];
    if (n_rest > 0) qsort(items + n_near, (size_t)n_rest, sizeof *items, by_key);
    for (int64_t i = 0; i < n_spread; i++)
        chosen[n_near + i] = items[n_near + (n_spread > 1 ? i * (n_rest - 1) / (n_spread - 1) : 0)].at;
    qsort(chosen, (size_t)want, sizeof *chosen, by_place);
    hpt__free(items);
    *out = chosen;
    *got = want;
    return 0;
}

// ---- the trust region

enum { LOOK_AROUND = 24 };

int64_t hpt__gp_region_after(int64_t d) {
    return d < HPT__GP_REGION_ALWAYS ? LOOK_AROUND : 2 * d;
}

void hpt__gp_region_replay(hpt__gp_region *r, const hpt__gp_archive *a) {
    static const double FIRST = 0.8, LARGEST = 1.6, SMALLEST = 0.0078125, BETTER = 1e-3;
    const int64_t d = a->code->cov.d, successes_needed = 3, failures_needed = d > 4 ? d : 4;
    const int64_t skip = hpt__gp_region_after(d);
    int64_t wins = 0, losses = 0, told = 0;
    double best = INFINITY;
    *r = (hpt__gp_region){.size = FIRST, .centre = -1};
    for (int64_t i = 0; i < a->n; i++) {
        if (a->kind[i] == HPT__GP_LEFT_OUT) continue;
        const bool better = r->centre < 0 || a->y[i] < best - BETTER * fabs(best);
        if (r->centre < 0 || a->y[i] < best) {
            best = a->y[i];
            r->centre = i;
        }
        if (told++ < skip) continue;
        wins = better ? wins + 1 : 0;
        losses = better ? 0 : losses + 1;
        if (wins == successes_needed) {
            r->size = fmin(2 * r->size, LARGEST);
            wins = 0;
        } else if (losses == failures_needed) {
            r->size /= 2;
            losses = 0;
        }
        if (r->size < SMALLEST) {
            r->size = FIRST;
            r->centre = -1;
            best = INFINITY;
            wins = losses = 0;
            r->n_starts++;
        }
    }
}
