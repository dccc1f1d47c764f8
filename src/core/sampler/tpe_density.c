// SPDX-License-Identifier: Apache-2.0
// tpe_density.c: evaluating and sampling the mixture that tpe_parzen.c keeps.
//
//   log p(x) = log sum_k w_k exp(l_k(x)) - log sum_k w_k,   l_k = sum_j log K_kj(x_j)
//
// l_k is its constant (all normalisers, the categorical hits) plus terms that are never positive: -z^2/2, its mean over
// a cell, the categorical miss. So a block of 16 kernels can be left as soon as all of them are 50 below the best
// one found so far: with 40 parameters most are after a few. Blocks are taken newest first, since the newest kernels lie
// where candidates do. What is left out weighs less than n^2 e^-50, under 1e-13 of the sum for 20,000 kernels, and a
// kernel is left out of the sum exactly when its l_k is 50 below the largest, whatever the order of blocks, so that the
// result does not depend on how kernels came to their slots.
//
// Discrete: the normaliser is that of a density, and the term the log of the mean of exp(-z^2/2) over the cell, plus the
// log of the cell's width, which all kernels share. Most kernels are done away with by an upper bound, exp(-z^2/2) at the
// point of the cell that is nearest. For the rest, with a cell of middle m and half width h in units of sigma
//   h <= 0.1, |m| h <= 0.5    -m^2/2 and a power series in (m h)^2 and h^2 (tpe_block.h); error below 1e-12
//   else                      log(Phi(m + h) - Phi(m - h)) - log(2h) + log(2 pi)/2
// The second is the slow one, and few different (m, h) occur where steps are coarse: a table remembers the last results.
// It is looked up by the exact arguments, so it changes the time and not the numbers.
//
// Sampling: a kernel by weight, then each coordinate by inversion of the truncated normal's distribution function, which
// needs no tail arithmetic because mu lies inside the range. A choice of probability 0 is never drawn.
// Threads: one at a time (the estimator's scratch). Cost: log_pdf q m g multiply-adds at most; draw q g inversions.
#include "tpe_parzen.h"

#include "../base/special.h"
#include "../space/codec.h"
#include <math.h>
#include <string.h>

enum { LANES = HPT__PARZEN_LANES, POINTS = HPT__PARZEN_POINTS };
static const double NEGLIGIBLE = 50.0;
static const double HALF_LOG_2PI = 0.91893853320467274178;

// Log of the two masses that a kernel gives choice x after m observations, x being the observed one or not.
static void category_logs(double *hit, double *miss, const hpt__parzen_column *c, int64_t m, double x) {
    const double spread = 1.0 / ((double)m + 1.0), all = 1.0 + c->n_choices * spread;
    const double share = c->share ? c->share[(int64_t)x] * spread : spread;
    *hit = log((1.0 + share) / all);
    *miss = log(share / all);
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

double hpt__parzen_cell_mean(hpt__parzen_memo *memo, double mid, double h) {
    const double a = mid * mid, q = h * h, u = a * q;
    if (h <= HPT__BLOCK_H_MAX && u <= HPT__BLOCK_MH_MAX * HPT__BLOCK_MH_MAX) return HPT__BLOCK_SERIES(u, q) - 0.5 * a;
    mid = fabs(mid);
    return memo ? mean_remembered(memo, mid, h) : mean_exact(mid, h);
}

// The same for one value of a column under one kernel, with the width of the cell.
static double value_term(const hpt__parzen_column *c, double x, double mu, double inv) {
    double low, high;
    hpt__parzen_cell(&low, &high, c, x);
    return log(high - low) + hpt__parzen_cell_mean(NULL, (0.5 * (low + high) - mu) * inv, 0.5 * (high - low) * inv);
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
    return c->prior_norm + (c->share ? log(c->share[(int64_t)x]) : 0);
}

static double prior_log(const hpt__parzen *e, const double *x) {
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) sum += prior_term(&e->columns[j], x[j]);
    return sum;
}

// ---- density -----------------------------------------------------------------------------------------------------

// Prepares q points for the blocks; constant: what all kernels have in common for a point, the hits of its categories and
// the logs of its cells' widths.
static void prepare(hpt__block_point *points, double *constant, const hpt__parzen *e, const double *x, int64_t q) {
    const int64_t g = e->g, n_lanes = e->n_continuous + e->n_categorical;
    for (int64_t c = 0; c < q; c++) {
        double *at = e->prepared + 2 * c * g;
        memcpy(at, x + c * g, (size_t)g * sizeof *at);
        points[c] = (hpt__block_point){e->n_continuous, n_lanes, g, at, at + g};
        constant[c] = 0;
    }
    for (int64_t j = e->n_continuous; j < g; j++) {
        const hpt__parzen_column *column = &e->columns[j];
        double hit = 0, miss = 0;
        if (j < n_lanes && !column->share) category_logs(&hit, &miss, column, e->m, 0);
        for (int64_t c = 0; c < q; c++) {
            double *at = e->prepared + 2 * c * g, *aux = at + g, low, high;
            if (j < n_lanes) {
                if (column->share) category_logs(&hit, &miss, column, e->m, at[j]);
                aux[j] = hit - miss;
                constant[c] += hit;
            } else {
                hpt__parzen_cell(&low, &high, column, at[j]);
                at[j] = 0.5 * (low + high);
                aux[j] = 0.5 * (high - low);
                constant[c] += log(high - low);
            }
        }
    }
}

// Discrete terms of the kernels of a block that the series does not serve.
static void wide_cells(double *a, uint32_t open, hpt__parzen *e, const double *block, const hpt__block_point *p) {
    for (int r = 0; open >> r; r++) {
        if (!(open >> r & 1)) continue;
        double sum = a[r];
        for (int64_t j = p->n_lanes; j < p->g; j++) {
            const double *mu = block + j * 2 * LANES + r, inv = mu[LANES];
            sum += hpt__parzen_cell_mean(e->memo, (p->at[j] - mu[0]) * inv, p->aux[j] * inv);
        }
        a[r] = sum;
    }
}

// l_k of q points, less their constants: acc[c * cap_slots + slot], and the largest with the prior's into best. Blocks
// none of whose kernels count are marked by NaN in their first place.
static void kernel_logs(double *acc, double *best, hpt__parzen *e, const hpt__block_point *points, int64_t q) {
    for (int64_t b = (e->n_slots + LANES - 1) / LANES - 1; b >= 0; b--) {
        const double *block = e->block + b * e->g * 2 * LANES, *total = e->total + b * LANES;
        for (int64_t c = 0; c < q; c++) {
            double *a = acc + c * e->cap_slots + b * LANES;
            uint32_t open;
            const int reached = e->ops->terms(a, &open, total, block, &points[c], best[c] - NEGLIGIBLE, best[c]);
            if (reached == 0) a[0] = NAN;
            if (reached < 2) continue;
            if (open) wide_cells(a, open, e, block, &points[c]);
            for (int r = 0; r < LANES; r++) best[c] = a[r] > best[c] ? a[r] : best[c];
        }
    }
}

// log of sum_k w_k exp(a_k), the prior among them; those 50 below the best left out. a: slots, overwritten.
static double log_sum(double *a, const hpt__parzen *e, double prior, double best) {
    const double limit = best - NEGLIGIBLE;
    double *w = e->scratch + POINTS * e->cap_slots, first = prior >= limit ? exp(prior - best) : 0;
    int64_t n = 0;
    for (int64_t b = 0; b < e->n_slots; b += LANES) { // closes up, so that holes do not move the others to other lanes
        if (isnan(a[b])) continue;
        for (int64_t s = b; s < b + LANES; s++) {
            const double l = a[s];
            a[n] = l;
            w[n] = e->weight[s];
            n += l >= limit;
        }
    }
    for (; n % LANES != 0; n++) {
        a[n] = best;
        w[n] = 0;
    }
    return best + log(first + e->ops->sum_exp(a, w, n, best));
}

static void log_pdf_sweep(double *out, hpt__parzen *e, const double *x, int64_t q) {
    hpt__block_point points[POINTS];
    double *acc = e->scratch, best[POINTS], prior[POINTS], constant[POINTS];
    prepare(points, constant, e, x, q);
    for (int64_t c = 0; c < q; c++) best[c] = prior[c] = prior_log(e, x + c * e->g) - constant[c];
    kernel_logs(acc, best, e, points, q);
    const double log_weight_sum = log(e->weight_sum);
    for (int64_t c = 0; c < q; c++)
        out[c] = constant[c] + log_sum(acc + c * e->cap_slots, e, prior[c], best[c]) - log_weight_sum;
}

void hpt__parzen_log_pdf(double *out, hpt__parzen *e, const double *x, int64_t q) {
    for (int64_t c = 0; c < q; c += POINTS) log_pdf_sweep(out + c, e, x + c * e->g, q - c < POINTS ? q - c : POINTS);
}

// ---- sampling ----------------------------------------------------------------------------------------------------

// P(Z <= z) for z of either sign, as far as it can be told from 0 and 1 beside a uniform number.
static double ndtr(double z) {
    if (fabs(z) > 9) return z > 0;
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

static double draw_numeric(const hpt__parzen_column *c, hpt__rng *rng, double mu, double sigma) {
    const double a = ndtr((c->low - mu) / sigma), b = ndtr((c->high - mu) / sigma);
    // Centres of 2^52 cells, so that the inverse is finite.
    const double u = hpt__rng_uniform(rng) + 0x1p-54;
    double t = mu + sigma * hpt__ndtri(fmin(a + u * (b - a), 1 - 0x1p-53));
    t = fmin(fmax(t, c->low), c->high);
    if (c->kind == HPT__PARZEN_DISCRETE) return hpt__param_clip(c->p, c->p->log ? exp(t) : t);
    // Rounded values are compared where they lie, not where they were drawn.
    return c->cube && c->p->step > 0 ? hpt__codec_encode1(c->p, hpt__codec_decode1(c->p, t)) : t;
}

// What the prior kernel draws.
static double draw_any_category(const hpt__parzen_column *c, hpt__rng *rng) {
    if (!c->share) return (double)hpt__rng_below(rng, (int64_t)c->n_choices);
    return hpt__codec_decode1(c->p, hpt__rng_uniform(rng));
}

static double draw_category(const hpt__parzen_column *c, hpt__rng *rng, int64_t m, double seen) {
    const double spread = 1.0 / ((double)m + 1.0);
    // The prior's share of the kernel, and the rest on the observed choice.
    const bool again = hpt__rng_uniform(rng) * (1.0 + c->n_choices * spread) < 1.0;
    return again && hpt__param_drawable(c->p, (int64_t)seen) ? seen : draw_any_category(c, rng);
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
            x[j] = draw_any_category(c, rng);
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
            category_logs(&hit, &miss, c, e->m, fixed[j]);
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
