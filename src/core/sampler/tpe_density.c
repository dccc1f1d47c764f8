// SPDX-License-Identifier: Apache-2.0
// tpe_density.c: evaluating and sampling the mixture that tpe_parzen.c keeps.
//
//   log p(x) = log sum_k w_k exp(l_k(x)) - log sum_k w_k,   l_k = sum_j log K_kj(x_j)
//
// l_k is its constant (all normalisers, and the categorical hits) plus terms that are never positive: -z^2/2, the log mass
// of a cell, the categorical miss. So a block of 16 kernels can be left as soon as all of them are 50 below the best
// one found so far: with 40 parameters most are after a few. What is left out weighs less than n^2 e^-50, under 1e-13 of
// the sum for 20,000 kernels, and a kernel is left out of the sum exactly when its l_k is 50 below the largest, whatever
// the order of blocks, so that the result does not depend on how kernels came to their slots.
//
// Discrete: the mass of a cell, once for each different x and each different (mu, sigma); equal kernels are neighbours in
// the sorted order. In cells narrow beside sigma (half width h, middle m, in units of sigma) the Taylor series of
// the mass, phi(m) 2h (1 + sum_i He_2i(m) h^2i / (2i+1)!), four terms: relative error below 1e-11 for h <= 0.05, |m| h <= 0.4.
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
static void category_logs(double *hit, double *miss, const hpt__parzen_column *c, int64_t m)
{
    const double prior = 1.0 / ((double)m + 1.0), all = 1.0 + c->n_choices * prior;
    *hit = log((1.0 + prior) / all);
    *miss = log(prior / all);
}

// ---- discrete columns --------------------------------------------------------------------------------------------

static double log_cell_mass(double low, double high, double mu, double inv)
{
    const double h = 0.5 * (high - low) * inv, mid = (0.5 * (low + high) - mu) * inv;
    if (h <= 0.05 && fabs(mid) * h <= 0.4) {
        const double a = mid * mid, q = h * h;
        const double he2 = a - 1, he4 = (a - 6) * a + 3, he6 = ((a - 15) * a + 45) * a - 15;
        const double he8 = (((a - 28) * a + 210) * a - 420) * a + 105;
        const double s = q * (he2 / 6 + q * (he4 / 120 + q * (he6 / 5040 + q * he8 / 362880)));
        return log(2 * h) - 0.5 * a - HALF_LOG_2PI + log1p(s);
    }
    return hpt__log_diff_ndtr((low - mu) * inv, (high - mu) * inv);
}

// Log cell masses of value x under all kernels of discrete column j, by slot; normalisers are in `total`.
static void discrete_terms(double *terms, const hpt__parzen *e, int64_t j, double x)
{
    const hpt__parzen_column *c = &e->columns[j];
    double low, high, mu = NAN, inv = NAN, term = 0;
    hpt__parzen_cell(&low, &high, c, x);
    for (int64_t at = 0; at < e->m; at++) {
        const int64_t slot = e->slot_of[c->order[at]];
        const double *k = hpt__parzen_mu(e, slot, j);
        if (k[0] != mu || k[LANES] != inv) {
            mu = k[0];
            inv = k[LANES];
            term = log_cell_mass(low, high, mu, inv);
        }
        terms[slot] = term;
    }
}

// acc[c * cap + slot] = constants and discrete terms of q points.
static void start(double *acc, hpt__parzen *e, const double *x, int64_t q, double constant)
{
    const int64_t cap = e->cap_slots, n = (e->n_slots + LANES - 1) / LANES * LANES;
    double *terms = e->scratch + POINTS * cap;
    for (int64_t c = 0; c < q; c++)
        for (int64_t s = 0; s < n; s++) acc[c * cap + s] = e->total[s] + constant;
    for (int64_t j = e->n_continuous + e->n_categorical; j < e->g; j++) {
        for (int64_t c = 0; c < q; c++) {
            int64_t first = 0; // points that share a value share the work
            while (x[first * e->g + j] != x[c * e->g + j]) first++;
            if (first < c) continue;
            memset(terms, 0, (size_t)n * sizeof *terms);
            discrete_terms(terms, e, j, x[c * e->g + j]);
            for (int64_t other = c; other < q; other++) {
                if (x[other * e->g + j] != x[c * e->g + j]) continue;
                double *to = acc + other * cap;
                for (int64_t s = 0; s < n; s++) to[s] += terms[s];
            }
        }
    }
}

// ---- prior -------------------------------------------------------------------------------------------------------

static double prior_log(const hpt__parzen *e, const double *x)
{
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        const double mu = 0.5 * (c->low + c->high), inv = 1 / (c->high - c->low);
        sum += c->prior_norm;
        if (c->kind == HPT__PARZEN_CONTINUOUS) {
            const double z = (x[j] - mu) * inv;
            sum -= 0.5 * z * z;
        } else if (c->kind == HPT__PARZEN_DISCRETE) {
            double low, high;
            hpt__parzen_cell(&low, &high, c, x[j]);
            sum += log_cell_mass(low, high, mu, inv);
        }
    }
    return sum;
}

// ---- density -----------------------------------------------------------------------------------------------------

static bool all_below(const double *a, double limit)
{
    double high = a[0];
    for (int r = 1; r < LANES; r++) high = a[r] > high ? a[r] : high;
    return high < limit;
}

// Continuous and categorical terms of one point in one block; a: 16 partial sums, in and out.
static void block_terms(double *a, const double *block, const hpt__parzen *e, const double *x, const double *penalty,
                        double limit)
{
    int64_t j = 0;
    for (; j < e->n_continuous; j++) {
        const double *mu = block + j * 2 * LANES, *inv = mu + LANES, at = x[j];
        for (int r = 0; r < LANES; r++) {
            const double z = (at - mu[r]) * inv[r];
            a[r] -= 0.5 * z * z;
        }
        if (j % CHECK_EVERY == CHECK_EVERY - 1 && all_below(a, limit)) return;
    }
    for (; j < e->n_continuous + e->n_categorical; j++) {
        const double *seen = block + j * 2 * LANES, at = x[j], miss = penalty[j - e->n_continuous];
        for (int r = 0; r < LANES; r++) a[r] -= seen[r] == at ? 0 : miss;
    }
}

static void log_pdf_sweep(double *out, hpt__parzen *e, const double *x, int64_t q)
{
    const int64_t cap = e->cap_slots, g = e->g;
    double *acc = e->scratch, *penalty = e->penalty, best[POINTS], prior[POINTS], constant = 0;
    for (int64_t j = 0; j < e->n_categorical; j++) {
        double hit, miss;
        category_logs(&hit, &miss, &e->columns[e->n_continuous + j], e->m);
        penalty[j] = hit - miss;
        constant += hit;
    }
    start(acc, e, x, q, constant);
    for (int64_t c = 0; c < q; c++) best[c] = prior[c] = prior_log(e, x + c * g);
    for (int64_t b = 0; b * LANES < e->n_slots; b++) {
        const double *block = e->block + b * g * 2 * LANES;
        for (int64_t c = 0; c < q; c++) {
            double *a = acc + c * cap + b * LANES;
            const double limit = best[c] - NEGLIGIBLE;
            if (all_below(a, limit)) continue;
            block_terms(a, block, e, x + c * g, penalty, limit);
            for (int r = 0; r < LANES; r++) best[c] = a[r] > best[c] ? a[r] : best[c];
        }
    }
    const double log_weight_sum = log(e->weight_sum);
    for (int64_t c = 0; c < q; c++) {
        const double *a = acc + c * cap, limit = best[c] - NEGLIGIBLE;
        double sum = exp(prior[c] - best[c]);
        for (int64_t s = 0; s < e->n_slots; s++)
            if (a[s] >= limit) sum += e->weight[s] * exp(a[s] - best[c]);
        out[c] = best[c] + log(sum) - log_weight_sum;
    }
}

void hpt__parzen_log_pdf(double *out, hpt__parzen *e, const double *x, int64_t q)
{
    for (int64_t c = 0; c < q; c += POINTS) log_pdf_sweep(out + c, e, x + c * e->g, q - c < POINTS ? q - c : POINTS);
}

// ---- sampling ----------------------------------------------------------------------------------------------------

// P(Z <= z) for z of either sign.
static double ndtr(double z)
{
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

static double draw_numeric(const hpt__parzen_column *c, hpt__rng *rng, double mu, double sigma)
{
    const double a = ndtr((c->low - mu) / sigma), b = ndtr((c->high - mu) / sigma);
    // Centres of 2^52 cells, so that the inverse is finite.
    const double u = hpt__rng_uniform(rng) + 0x1p-54;
    double t = mu + sigma * hpt__ndtri(fmin(a + u * (b - a), 1 - 0x1p-53));
    t = fmin(fmax(t, c->low), c->high);
    if (c->kind == HPT__PARZEN_CONTINUOUS) return t;
    return hpt__param_clip(c->p, c->p->log ? exp(t) : t);
}

static double draw_category(const hpt__parzen_column *c, hpt__rng *rng, int64_t m, double seen)
{
    const int64_t n = (int64_t)c->n_choices;
    const double prior = 1.0 / ((double)m + 1.0);
    // The prior spread evenly over the choices, and the rest on the observed one.
    if (hpt__rng_uniform(rng) * (1.0 + c->n_choices * prior) < 1.0) return seen;
    return (double)hpt__rng_below(rng, n);
}

static void draw_point(double *x, const hpt__parzen *e, hpt__rng *rng, int64_t slot, const double *fixed)
{
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        const double *k = slot >= 0 ? hpt__parzen_mu(e, slot, j) : NULL;
        if (fixed && !isnan(fixed[j])) x[j] = fixed[j];
        else if (c->kind != HPT__PARZEN_CATEGORICAL)
            x[j] = draw_numeric(c, rng, k ? k[0] : 0.5 * (c->low + c->high), k ? 1 / k[LANES] : c->high - c->low);
        else if (k) x[j] = draw_category(c, rng, e->m, k[0]);
        else x[j] = (double)hpt__rng_below(rng, (int64_t)c->n_choices);
    }
}

// Log density of the fixed coordinates under one kernel, -1: the prior.
static double fixed_log(const hpt__parzen *e, int64_t slot, const double *fixed)
{
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        if (isnan(fixed[j])) continue;
        const double *k = slot >= 0 ? hpt__parzen_mu(e, slot, j) : NULL;
        const double mu = k ? k[0] : 0.5 * (c->low + c->high), inv = k ? k[LANES] : 1 / (c->high - c->low);
        if (c->kind == HPT__PARZEN_CATEGORICAL) {
            double hit, miss;
            category_logs(&hit, &miss, c, e->m);
            sum += !k ? c->prior_norm : k[0] == fixed[j] ? hit : miss;
            continue;
        }
        sum += k ? e->norm[slot * e->g + j] : c->prior_norm;
        if (c->kind == HPT__PARZEN_CONTINUOUS) {
            const double z = (fixed[j] - mu) * inv;
            sum -= 0.5 * z * z;
        } else {
            double low, high;
            hpt__parzen_cell(&low, &high, c, fixed[j]);
            sum += log_cell_mass(low, high, mu, inv);
        }
    }
    return sum;
}

// Shares of the kernels in a draw, by slot, into share; returns their sum with the prior's, which is *prior.
static double shares(double *share, double *prior, const hpt__parzen *e, const double *fixed)
{
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

void hpt__parzen_draw(double *x, hpt__parzen *e, hpt__rng *rng, int64_t q, const double *fixed)
{
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
