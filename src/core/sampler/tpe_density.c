// SPDX-License-Identifier: Apache-2.0
// tpe_density.c: evaluating and sampling the mixture that tpe_parzen.c keeps.
//
//   log p(x) = log sum_k w_k exp(l_k(x)) - log sum_k w_k,   l_k = sum_j log K_kj(x_j)
//
// l_k is its constant (all normalisers, the categorical hits) plus terms that are never positive: -z^2/2, its mean over
// a cell, the categorical miss. So a block of 16 kernels can be left as soon as all of them are 50 below the best
// one found so far: with 40 parameters most are after a few. What is left out weighs less than n^2 e^-50, under 1e-13 of
// the sum for 20,000 kernels, and a kernel is left out of the sum exactly when its l_k is 50 below the largest, whatever
// the order of blocks, so that the result does not depend on how kernels came to their slots.
//
// Discrete: the normaliser is that of a density, and the term the log of the mean of exp(-z^2/2) over the cell, plus the
// log of the cell's width, which all kernels share. For a cell with middle m and half width h in units of sigma
//   h <= 0.05, |m| h <= 0.4   -m^2/2 + log(1 + sum_{i=1..4} He_2i(m) h^2i / (2i+1)!), the Taylor series of the mass;
//                             relative error below 1e-11
//   else                      log(Phi(m + h) - Phi(m - h)) - log(2h) + log(2 pi)/2
// The second is the slow one, and few different (m, h) occur where steps are coarse: equal kernels are neighbours in
// the sorted order, and a table remembers the last results. It is looked up by the exact arguments, so it
// changes the time and not the numbers.
//
// Sampling: a kernel by weight, then each coordinate by inversion of the truncated normal's distribution function, which
// needs no tail arithmetic because mu lies inside the range.
// Threads: one at a time (the estimator's scratch). Cost: log_pdf q m g multiply-adds at most; draw q g inversions.
#include "tpe_parzen.h"

#include "../base/special.h"
#include <math.h>
#include <string.h>

enum { LANES = HPT__PARZEN_LANES, POINTS = HPT__PARZEN_POINTS, CHECK_EVERY = 4 };
static const double NEGLIGIBLE = 50.0;
static const double HALF_LOG_2PI = 0.91893853320467274178;

// Log of the two masses of a categorical kernel after m observations.
static void category_logs(double *hit, double *miss, const hpt__parzen_column *c, int64_t m) {
    const double prior = 1.0 / ((double)m + 1.0), all = 1.0 + c->n_choices * prior;
    *hit = log((1.0 + prior) / all);
    *miss = log(prior / all);
}

// ---- discrete columns --------------------------------------------------------------------------------------------

// Log of the mean of exp(-z^2/2) over [mid - h, mid + h], mid >= 0.
static double mean_exact(double mid, double h) {
    return hpt__log_diff_ndtr(mid - h, mid + h) - log(2 * h) + HALF_LOG_2PI;
}

static double mean_remembered(hpt__parzen_memo *memo, double mid, double h) {
    uint64_t a, b;
    memcpy(&a, &mid, sizeof a);
    memcpy(&b, &h, sizeof b);
    const uint64_t hash = (a ^ (b * UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xFF51AFD7ED558CCD);
    hpt__parzen_memo *at = &memo[hash >> (64 - HPT__PARZEN_MEMO_BITS)];
    if (at->mid != mid || at->h != h) *at = (hpt__parzen_memo){mid, h, mean_exact(mid, h)};
    return at->value;
}

static double log1p_small(double s) {
    return fabs(s) < 1e-4 ? s * (1 - s * (0.5 - s * (1.0 / 3 - s * 0.25))) : log1p(s);
}

double hpt__parzen_cell_mean(hpt__parzen_memo *memo, double mid, double h) {
    mid = fabs(mid);
    if (h > 0.05 || mid * h > 0.4) return memo ? mean_remembered(memo, mid, h) : mean_exact(mid, h);
    const double a = mid * mid, q = h * h;
    const double he2 = a - 1, he4 = (a - 6) * a + 3, he6 = ((a - 15) * a + 45) * a - 15;
    const double he8 = (((a - 28) * a + 210) * a - 420) * a + 105;
    return -0.5 * a + log1p_small(q * (he2 / 6 + q * (he4 / 120 + q * (he6 / 5040 + q * he8 / 362880))));
}

// The same for one value of a column under one kernel, with the width of the cell.
static double value_term(const hpt__parzen_column *c, double x, double mu, double inv) {
    double low, high;
    hpt__parzen_cell(&low, &high, c, x);
    return log(high - low) + hpt__parzen_cell_mean(NULL, (0.5 * (low + high) - mu) * inv, 0.5 * (high - low) * inv);
}

// Adds the terms of discrete column j for one point to the kernels' partial sums a, where they are not below limit.
static void discrete_terms(double *a, hpt__parzen *e, int64_t j, double x, double limit) {
    const hpt__parzen_column *c = &e->columns[j];
    double low, high, mu = NAN, inv = NAN, term = 0;
    hpt__parzen_cell(&low, &high, c, x);
    const double middle = 0.5 * (low + high), half = 0.5 * (high - low);
    for (int64_t at = 0; at < e->m; at++) {
        const int64_t slot = e->slot_of[c->order[at]];
        if (a[slot] < limit) continue;
        const double *k = hpt__parzen_mu(e, slot, j);
        if (k[0] != mu || k[LANES] != inv) {
            mu = k[0];
            inv = k[LANES];
            term = hpt__parzen_cell_mean(e->memo, (middle - mu) * inv, half * inv);
        }
        a[slot] += term;
    }
}

// What all kernels have in common for one point: the logs of its cells' widths.
static double log_widths(const hpt__parzen *e, const double *x) {
    double sum = 0;
    for (int64_t j = e->n_continuous + e->n_categorical; j < e->g; j++) {
        double low, high;
        hpt__parzen_cell(&low, &high, &e->columns[j], x[j]);
        sum += log(high - low);
    }
    return sum;
}

// ---- prior -------------------------------------------------------------------------------------------------------

static double prior_term(const hpt__parzen_column *c, double x) {
    const double mu = 0.5 * (c->low + c->high), inv = 1 / (c->high - c->low);
    const double z = (x - mu) * inv;
    switch (c->kind) {
    case HPT__PARZEN_CONTINUOUS:
        return c->prior_norm - 0.5 * z * z;
    case HPT__PARZEN_DISCRETE:
        return c->prior_norm + value_term(c, x, mu, inv);
    case HPT__PARZEN_CATEGORICAL:
        break;
    }
    return c->prior_norm;
}

static double prior_log(const hpt__parzen *e, const double *x) {
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) sum += prior_term(&e->columns[j], x[j]);
    return sum;
}

// ---- density -----------------------------------------------------------------------------------------------------

static bool all_below(const double *a, double limit) {
    double high = a[0];
    for (int r = 1; r < LANES; r++) high = a[r] > high ? a[r] : high;
    return high < limit;
}

// Two lanes of a vector unit; GCC and clang split or join them as the machine has them. The plain loop over lanes is not
// turned into vector code for the categorical terms (measured: half the speed, from mispredicted branches).
typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_mask __attribute__((vector_size(16)));
enum { PAIRS = LANES / 2 };

static inline pair get_pair(const double *from) {
    pair v;
    memcpy(&v, from, sizeof v);
    return v;
}

// Continuous and categorical terms of one point in one block; a: 16 partial sums, in and out.
static void block_terms(double *a, const double *block, const hpt__parzen *e, const double *x, double penalty,
                        double limit) {
    const int64_t n = e->n_continuous + e->n_categorical;
    const pair half = {0.5, 0.5}, miss = {penalty, penalty};
    pair sum[PAIRS];
    memcpy(sum, a, sizeof sum);
    for (int64_t j = 0; j < n; j++) {
        const double *mu = block + j * 2 * LANES, *inv = mu + LANES;
        const pair at = {x[j], x[j]};
        if (j < e->n_continuous) {
            for (int r = 0; r < PAIRS; r++) {
                const pair z = (at - get_pair(mu + 2 * r)) * get_pair(inv + 2 * r);
                sum[r] -= half * z * z;
            }
        } else {
            for (int r = 0; r < PAIRS; r++) sum[r] -= (pair)((pair_mask)miss & (pair_mask)(at != get_pair(mu + 2 * r)));
        }
        if (j % CHECK_EVERY == CHECK_EVERY - 1) {
            memcpy(a, sum, sizeof sum);
            if (all_below(a, limit)) return;
        }
    }
    memcpy(a, sum, sizeof sum);
}

// l_k of q points: acc[c * cap_slots + slot], and the largest with the prior's into best.
static void kernel_logs(double *acc, double *best, hpt__parzen *e, const double *x, int64_t q) {
    const int64_t cap = e->cap_slots, g = e->g, n_lanes = e->n_continuous + e->n_categorical;
    double hits = 0, penalty = 0, constant[POINTS];
    for (int64_t j = 0; j < e->n_categorical; j++) {
        double hit, miss;
        category_logs(&hit, &miss, &e->columns[e->n_continuous + j], e->m);
        penalty = hit - miss; // log(m + 2), whatever the number of choices
        hits += hit;
    }
    for (int64_t c = 0; c < q; c++) constant[c] = hits + log_widths(e, x + c * g);
    for (int64_t b = 0; b * LANES < e->n_slots; b++) {
        const double *block = e->block + b * g * 2 * LANES, *total = e->total + b * LANES;
        for (int64_t c = 0; c < q; c++) {
            double *a = acc + c * cap + b * LANES;
            for (int r = 0; r < LANES; r++) a[r] = total[r] + constant[c];
            block_terms(a, block, e, x + c * g, penalty, best[c] - NEGLIGIBLE);
            // Sums that still lack the discrete terms say nothing about the largest one.
            for (int r = 0; n_lanes == g && r < LANES; r++) best[c] = a[r] > best[c] ? a[r] : best[c];
        }
    }
    for (int64_t c = 0; n_lanes < g && c < q; c++) {
        double *a = acc + c * cap;
        for (int64_t j = n_lanes; j < g; j++) discrete_terms(a, e, j, x[c * g + j], best[c] - NEGLIGIBLE);
        for (int64_t s = 0; s < e->n_slots; s++) best[c] = a[s] > best[c] ? a[s] : best[c];
    }
}

static void log_pdf_sweep(double *out, hpt__parzen *e, const double *x, int64_t q) {
    double *acc = e->scratch, best[POINTS], prior[POINTS];
    for (int64_t c = 0; c < q; c++) best[c] = prior[c] = prior_log(e, x + c * e->g);
    kernel_logs(acc, best, e, x, q);
    const double log_weight_sum = log(e->weight_sum);
    for (int64_t c = 0; c < q; c++) {
        const double *a = acc + c * e->cap_slots, limit = best[c] - NEGLIGIBLE;
        double sum = exp(prior[c] - best[c]);
        for (int64_t s = 0; s < e->n_slots; s++)
            if (a[s] >= limit) sum += e->weight[s] * exp(a[s] - best[c]);
        out[c] = best[c] + log(sum) - log_weight_sum;
    }
}

void hpt__parzen_log_pdf(double *out, hpt__parzen *e, const double *x, int64_t q) {
    for (int64_t c = 0; c < q; c += POINTS) log_pdf_sweep(out + c, e, x + c * e->g, q - c < POINTS ? q - c : POINTS);
}

// ---- sampling ----------------------------------------------------------------------------------------------------

// P(Z <= z) for z of either sign.
static double ndtr(double z) {
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

static double draw_numeric(const hpt__parzen_column *c, hpt__rng *rng, double mu, double sigma) {
    const double a = ndtr((c->low - mu) / sigma), b = ndtr((c->high - mu) / sigma);
    // Centres of 2^52 cells, so that the inverse is finite.
    const double u = hpt__rng_uniform(rng) + 0x1p-54;
    double t = mu + sigma * hpt__ndtri(fmin(a + u * (b - a), 1 - 0x1p-53));
    t = fmin(fmax(t, c->low), c->high);
    if (c->kind == HPT__PARZEN_CONTINUOUS) return t;
    return hpt__param_clip(c->p, c->p->log ? exp(t) : t);
}

static double draw_category(const hpt__parzen_column *c, hpt__rng *rng, int64_t m, double seen) {
    const int64_t n = (int64_t)c->n_choices;
    const double prior = 1.0 / ((double)m + 1.0);
    // The prior spread evenly over the choices, and the rest on the observed one.
    if (hpt__rng_uniform(rng) * (1.0 + c->n_choices * prior) < 1.0) return seen;
    return (double)hpt__rng_below(rng, n);
}

static void draw_point(double *x, const hpt__parzen *e, hpt__rng *rng, int64_t slot, const double *fixed) {
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        const double *k = slot >= 0 ? hpt__parzen_mu(e, slot, j) : NULL;
        if (fixed && !isnan(fixed[j]))
            x[j] = fixed[j];
        else if (c->kind != HPT__PARZEN_CATEGORICAL)
            x[j] = draw_numeric(c, rng, k ? k[0] : 0.5 * (c->low + c->high), k ? 1 / k[LANES] : c->high - c->low);
        else if (k)
            x[j] = draw_category(c, rng, e->m, k[0]);
        else
            x[j] = (double)hpt__rng_below(rng, (int64_t)c->n_choices);
    }
}

// Log density of the fixed coordinates under one kernel, -1: the prior.
static double fixed_log(const hpt__parzen *e, int64_t slot, const double *fixed) {
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        if (isnan(fixed[j])) continue;
        if (slot < 0) {
            sum += prior_term(c, fixed[j]);
            continue;
        }
        const double *k = hpt__parzen_mu(e, slot, j), z = (fixed[j] - k[0]) * k[LANES];
        if (c->kind == HPT__PARZEN_CATEGORICAL) {
            double hit, miss;
            category_logs(&hit, &miss, c, e->m);
            sum += k[0] == fixed[j] ? hit : miss;
        } else {
            sum += e->norm[slot * e->g + j];
            sum += c->kind == HPT__PARZEN_CONTINUOUS ? -0.5 * z * z : value_term(c, fixed[j], k[0], k[LANES]);
        }
    }
    return sum;
}

// Shares of the kernels in a draw, by slot, into share; returns their sum with the prior's, which is *prior.
static double shares(double *share, double *prior, const hpt__parzen *e, const double *fixed) {
    double sum = 0, high;
    *prior = 1;
    if (!fixed) {
        memcpy(share, e->weight, (size_t)e->n_slots * sizeof *share);
        return e->weight_sum;
    }
    high = *prior = fixed_log(e, -1, fixed);
    for (int64_t s = 0; s < e->n_slots; s++) {
        share[s] = e->live[s] ? fixed_log(e, s, fixed) : -INFINITY;
        high = fmax(high, share[s]);
    }
    sum = *prior = exp(*prior - high);
    for (int64_t s = 0; s < e->n_slots; s++) {
        share[s] = e->weight[s] * exp(share[s] - high);
        sum += share[s];
    }
    return sum;
}

void hpt__parzen_draw(double *x, hpt__parzen *e, hpt__rng *rng, int64_t q, const double *fixed) {
    double *share = e->scratch, prior;
    const double sum = shares(share, &prior, e, fixed);
    for (int64_t c = 0; c < q; c++) {
        double left = hpt__rng_uniform(rng) * sum;
        int64_t slot = -1; // the prior, also for what rounding leaves over
        for (int64_t s = 0; s < e->n_slots; s++) {
            left -= share[s];
            if (left < 0) {
                slot = s;
                break;
            }
        }
        draw_point(x + c * e->g, e, rng, slot, fixed);
    }
}
