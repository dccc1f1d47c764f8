// SPDX-License-Identifier: Apache-2.0
// tpe_parzen.c: the kernels of a Parzen estimator, kept up to date from ask to ask.
//
// Density of a group of g parameters after m observed trials (Bergstra et al., "Algorithms for hyper-parameter
// optimization", NIPS 2011; Watanabe, "Tree-structured Parzen estimator", arXiv:2304.11127; constants as in Optuna 5):
//
//   p(x) = sum_k w_k prod_j K_kj(x_j) / sum_k w_k,    k = 1..m and one prior kernel with weight 1
//   w_k    1 for the 25 latest observed, before them a linear ramp from 1/m to 1 (all 1 while m < 25)
//   K_kj   continuous   normal(mu, sigma) truncated to [low, high], in log space for log parameters
//          discrete     the mass of that normal, truncated to the range widened by step/2, in [x - step/2, x + step/2]
//          categorical  (C p_x/(m+1) + [x = observed]) / (1 + C/(m+1)), C choices of probabilities p, 1/C if not
//                       said otherwise; prior p
//   mu     the observed value; prior: the middle of the range
//   sigma  the larger distance to the next observed value on either side; the outermost two have one neighbour only; a
//          single one takes the distance to the farther bound. Clipped to [range / min(100, m+2), range]. Prior: range.
//
// Parameters with a law of their own (rounded, normal, beta) are continuous in u = F(v), the coordinate of the unit cube
// (codec.h), so that the prior kernel, broad in u, follows the law. A choice of probability 0 is never drawn; in densities
// it counts as 1e-12, for such a choice may be enqueued and must not make every density 0.
//
// Equal values: ordered by row, so that the result is a function of the set of rows (Optuna leaves it to an unstable sort).
//
// Why incremental: between two asks one or two trials change sides, and a kernel depends on its neighbours only (while
// m < 98 also on m). So a change costs O(log m) comparisons and a move of m row numbers per parameter, and about three
// normalisers, instead of sorting m values and computing m normalisers per parameter. Sums are made anew from their
// terms, never by adding differences, so that an estimator built in one go is equal in every bit: a resumed study goes
// on as it would have.
// Layout: blocks of 16 slots, in each a column's 16 centres and 16 inverse widths side by side, so that evaluation is one
// linear stream for vector units whatever g is.
//
// Ownership: the estimator owns its arrays; borrows the space. Threads: one at a time.
// Cost: a sync O(n) bytes read and O(changes * g * (m/8 + log m)); from nothing O(g m log m). Memory 28 g m bytes and
// 264 m for evaluation.
#include "tpe_parzen.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/special.h"
#include "../space/codec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SMALLEST_PROBABILITY = 1e-12;
static const double HALF_LOG_2PI = 0.91893853320467274178;
enum { LANES = HPT__PARZEN_LANES, RECENT = 25 };

// ---- columns ---------------------------------------------------------------------------------------------------

static double widened_low(const hpt__param *p) {
    const double low = p->low - 0.5 * p->step;
    // As the codec: a log parameter with a step above its low bound would reach 0 otherwise.
    return p->log ? fmax(low, 0.5 * p->low) : low;
}

static double to_t(const hpt__parzen_column *c, double value) {
    if (c->cube) return hpt__codec_encode1(c->p, value);
    return c->p->log ? log(value) : value * c->scale;
}

// Log of what makes the density integrate to one over the range, for a kernel inside it; discrete ones too, whose
// terms are means over cells.
static double normaliser(const hpt__parzen_column *c, double mu, double inv) {
    const double a = (c->low - mu) * inv, b = (c->high - mu) * inv;
    const bool whole = a < -9 && b > 9; // all but 1e-18 of it
    return log(inv) - HALF_LOG_2PI - (whole ? 0 : hpt__log_diff_ndtr(a, b));
}

static void column_init(hpt__parzen_column *c, const hpt_space *space, int32_t param) {
    const hpt__param *p = &space->params[param];
    *c = (hpt__parzen_column){.p = p, .param = param, .scale = 1};
    if (p->kind == HPT__PARAM_CATEGORICAL) {
        c->kind = HPT__PARZEN_CATEGORICAL;
        c->n_choices = (double)p->n_choices;
        c->prior_norm = -log(c->n_choices);
        return;
    }
    c->kind = p->step > 0 ? HPT__PARZEN_DISCRETE : HPT__PARZEN_CONTINUOUS;
    if (p->law != HPT__LAW_FLAT) {
        c->kind = HPT__PARZEN_CONTINUOUS;
        c->cube = true;
        c->high = 1;
        c->prior_norm = normaliser(c, 0.5, 1);
        return;
    }
    if (!isfinite(p->high - p->low)) c->scale = 0.25;
    c->low = to_t(c, p->step > 0 ? widened_low(p) : p->low);
    c->high = to_t(c, p->step > 0 ? p->high + 0.5 * p->step : p->high);
    c->prior_norm = normaliser(c, 0.5 * (c->low + c->high), 1 / (c->high - c->low));
}

static bool share_init(hpt__parzen_column *c) {
    const hpt__param *p = c->p;
    if (!p->cumulative) return true;
    double sum = 0;
    c->share = hpt__malloc((size_t)p->n_choices * sizeof *c->share);
    if (!c->share) return false;
    for (int64_t k = 0; k < p->n_choices; k++) sum += p->probabilities[k];
    for (int64_t k = 0; k < p->n_choices; k++)
        c->share[k] = c->n_choices * fmax(p->probabilities[k] / sum, SMALLEST_PROBABILITY);
    return true;
}

void hpt__parzen_cell(double *low, double *high, const hpt__parzen_column *c, double value) {
    const double half = 0.5 * c->p->step;
    *low = c->p->log ? log(fmax(value - half, widened_low(c->p))) : value - half;
    *high = c->p->log ? log(value + half) : value + half;
}

double hpt__parzen_coordinate(const hpt__parzen_column *c, double value) {
    return c->kind == HPT__PARZEN_CONTINUOUS ? to_t(c, value) : value;
}

double hpt__parzen_value(const hpt__parzen_column *c, double coordinate) {
    if (c->kind != HPT__PARZEN_CONTINUOUS) return coordinate;
    if (c->cube) return hpt__codec_decode1(c->p, coordinate);
    return hpt__param_clip(c->p, c->p->log ? exp(coordinate) : coordinate / c->scale);
}

int hpt__parzen_init(hpt__parzen *e, const hpt_space *space, const int32_t *params, int64_t g) {
    *e = (hpt__parzen){.g = g, .ops = hpt__block_ops_choose(false)};
    e->columns = hpt__calloc((size_t)(g + 1), sizeof *e->columns);
    e->prepared = hpt__malloc((size_t)(2 * g * HPT__PARZEN_POINTS + 1) * sizeof *e->prepared);
    if (!e->columns || !e->prepared) goto no_memory;
    int64_t j = 0;
    for (int kind = HPT__PARZEN_CONTINUOUS; kind <= HPT__PARZEN_DISCRETE; kind++) {
        for (int64_t i = 0; i < g; i++) {
            column_init(&e->columns[j], space, params[i]);
            if ((int)e->columns[j].kind == kind) j++;
        }
        if (kind == HPT__PARZEN_CONTINUOUS) e->n_continuous = j;
        if (kind == HPT__PARZEN_CATEGORICAL) e->n_categorical = j - e->n_continuous;
    }
    for (j = 0; j < g; j++)
        if (!share_init(&e->columns[j])) goto no_memory;
    if (e->n_continuous + e->n_categorical < g) {
        const int64_t n = INT64_C(1) << HPT__PARZEN_MEMO_BITS;
        e->memo = hpt__malloc((size_t)n * sizeof *e->memo);
        if (!e->memo) goto no_memory;
        for (int64_t i = 0; i < n; i++) e->memo[i] = (hpt__parzen_memo){-1, -1, 0}; // arguments are never negative
    }
    return 0;
no_memory:
    hpt__parzen_fini(e);
    return hpt__fail_memory();
}

void hpt__parzen_fini(hpt__parzen *e) {
    for (int64_t j = 0; e->columns && j < e->g; j++) {
        hpt__free(e->columns[j].order);
        hpt__free(e->columns[j].share);
    }
    hpt__free(e->prepared);
    hpt__free(e->columns);
    hpt__free(e->memo);
    hpt__free(e->row_of);
    hpt__free(e->live);
    hpt__free(e->block);
    hpt__free(e->norm);
    hpt__free(e->total);
    hpt__free(e->weight);
    hpt__free(e->slot_of);
    hpt__free(e->open);
    hpt__free(e->touched);
    hpt__free(e->scratch);
    *e = (hpt__parzen){0};
}

// ---- memory ----------------------------------------------------------------------------------------------------

static bool resize(void *array_ptr, int64_t count, size_t size) {
    void *old, *array;
    memcpy(&old, array_ptr, sizeof old);
    array = hpt__realloc(old, (size_t)count * size);
    if (!array) return false;
    memcpy(array_ptr, &array, sizeof array);
    return true;
}

// Room for that many slots and rows, so that nothing after it can fail. New slots are holes.
static int reserve(hpt__parzen *e, int64_t slots, int64_t rows) {
    if (rows > e->cap_rows) {
        const int64_t cap = rows + rows / 2 + 64;
        if (!resize(&e->slot_of, cap, sizeof *e->slot_of) || !resize(&e->open, cap, sizeof *e->open))
            return hpt__fail_memory();
        for (int64_t r = e->cap_rows; r < cap; r++) e->slot_of[r] = -1;
        e->cap_rows = cap;
    }
    if (slots < e->cap_slots) return 0; // also makes the first block of an estimator without observations
    const int64_t cap = (slots + slots / 2 + 2 * LANES) / LANES * LANES;
    for (int64_t j = 0; j < e->g; j++)
        if (e->columns[j].kind != HPT__PARZEN_CATEGORICAL && !resize(&e->columns[j].order, cap, sizeof(int32_t)))
            return hpt__fail_memory();
    if (!resize(&e->row_of, cap, sizeof *e->row_of) || !resize(&e->live, cap, sizeof *e->live) ||
        !resize(&e->block, cap * e->g * 2, sizeof *e->block) || !resize(&e->norm, cap * e->g, sizeof *e->norm) ||
        !resize(&e->total, cap, sizeof *e->total) || !resize(&e->weight, cap, sizeof *e->weight) ||
        !resize(&e->touched, 3 * cap, sizeof *e->touched) ||
        !resize(&e->scratch, (HPT__PARZEN_POINTS + 1) * cap, sizeof *e->scratch))
        return hpt__fail_memory();
    for (int64_t s = e->cap_slots; s < cap; s++) {
        e->total[s] = -INFINITY;
        e->weight[s] = 0;
        e->live[s] = 0;
    }
    memset(e->block + e->cap_slots * e->g * 2, 0, (size_t)((cap - e->cap_slots) * e->g * 2) * sizeof *e->block);
    e->cap_slots = cap;
    return 0;
}

// ---- one kernel --------------------------------------------------------------------------------------------------

static void load(hpt__parzen *e, const hpt__trials *t, int64_t slot, int64_t row) {
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        const double v = t->columns[c->param].values[row];
        double *mu = hpt__parzen_mu(e, slot, j);
        mu[0] = c->kind == HPT__PARZEN_CATEGORICAL ? v : to_t(c, v);
        mu[LANES] = 0; // its width comes with its neighbours
        e->norm[slot * e->g + j] = 0;
    }
    e->row_of[slot] = (int32_t)row;
    e->slot_of[row] = (int32_t)slot;
    e->live[slot] = 1;
}

static bool loaded_as(const hpt__parzen *e, const hpt__trials *t, int64_t slot, int64_t row) {
    for (int64_t j = 0; j < e->g; j++) {
        const hpt__parzen_column *c = &e->columns[j];
        const double v = t->columns[c->param].values[row];
        if (hpt__parzen_mu(e, slot, j)[0] != (c->kind == HPT__PARZEN_CATEGORICAL ? v : to_t(c, v))) return false;
    }
    return true;
}

static void clear(hpt__parzen *e, int64_t slot) {
    for (int64_t j = 0; j < e->g; j++) {
        double *mu = hpt__parzen_mu(e, slot, j);
        mu[0] = mu[LANES] = 0;
    }
    e->total[slot] = -INFINITY;
    e->weight[slot] = 0;
    e->live[slot] = 0;
}

static void sum_norms(hpt__parzen *e, int64_t slot) {
    double sum = 0;
    for (int64_t j = 0; j < e->g; j++) sum += e->norm[slot * e->g + j];
    e->total[slot] = sum;
}

static double mu_of(const hpt__parzen *e, int64_t j, int32_t row) {
    return hpt__parzen_mu(e, e->slot_of[row], j)[0];
}

// First place in the order of column j that is not before (mu, row), among n.
static int64_t place_of(const hpt__parzen *e, int64_t j, int64_t n, double mu, int32_t row) {
    const int32_t *order = e->columns[j].order;
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        const double at = mu_of(e, j, order[mid]);
        if (at < mu || (at == mu && order[mid] < row))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Width of the kernel at a place of column j. True if it changed: the caller then sums the slot's norms anew.
static bool set_width(hpt__parzen *e, int64_t j, int64_t place) {
    const hpt__parzen_column *c = &e->columns[j];
    const int32_t row = c->order[place];
    const int64_t slot = e->slot_of[row], m = e->m;
    double *mu = hpt__parzen_mu(e, slot, j);
    const double range = c->high - c->low;
    const double left = place > 0 ? mu[0] - mu_of(e, j, c->order[place - 1]) : m > 1 ? 0 : mu[0] - c->low;
    const double right = place + 1 < m ? mu_of(e, j, c->order[place + 1]) - mu[0] : m > 1 ? 0 : c->high - mu[0];
    const double sigma = fmin(fmax(fmax(left, right), range / e->min_sigma_count), range);
    const double inv = 1 / sigma;
    if (mu[LANES] == inv) return false;
    mu[LANES] = inv;
    e->norm[slot * e->g + j] = normaliser(c, mu[0], inv);
    return true;
}

// ---- changes -----------------------------------------------------------------------------------------------------

static void touch(hpt__parzen *e, int32_t row) {
    e->touched[e->n_touched++] = row;
}

// Widths of the touched rows of column j, whose order is up to date. Column by column: the orders of the others are not
// yet.
static void resettle(hpt__parzen *e, int64_t j) {
    for (int64_t i = 0; i < e->n_touched; i++) {
        const int32_t row = e->touched[i];
        set_width(e, j, place_of(e, j, e->m, mu_of(e, j, row), row));
        // The sum is cheap beside the normaliser, but belongs to all columns: made once the last column is done.
        e->live[e->slot_of[row]] = 2;
    }
    e->n_touched = 0;
}

static void remove_row(hpt__parzen *e, int32_t row) {
    const int64_t slot = e->slot_of[row];
    for (int64_t j = 0; j < e->g; j++) {
        if (e->columns[j].kind == HPT__PARZEN_CATEGORICAL) continue;
        int32_t *order = e->columns[j].order;
        const int64_t at = place_of(e, j, e->m, mu_of(e, j, row), row);
        memmove(order + at, order + at + 1, (size_t)(e->m - at - 1) * sizeof *order);
        if (at > 0) touch(e, order[at - 1]);
        if (at < e->m - 1) touch(e, order[at]);
        e->m--;
        resettle(e, j);
        e->m++;
    }
    e->m--;
    clear(e, slot);
}

// Slot for a row that has none: at the end, or, for a row that comes late, between its neighbours.
static int64_t open_slot(hpt__parzen *e, int32_t row) {
    int64_t slot = e->n_slots++;
    for (; slot > 0 && e->row_of[slot - 1] > row; slot--) {
        const int64_t from = slot - 1;
        for (int64_t j = 0; j < e->g; j++) {
            const double *a = hpt__parzen_mu(e, from, j);
            double *b = hpt__parzen_mu(e, slot, j);
            b[0] = a[0];
            b[LANES] = a[LANES];
        }
        memcpy(e->norm + slot * e->g, e->norm + from * e->g, (size_t)e->g * sizeof *e->norm);
        e->total[slot] = e->total[from];
        e->live[slot] = e->live[from];
        e->row_of[slot] = e->row_of[from];
        e->slot_of[e->row_of[slot]] = (int32_t)slot;
    }
    return slot;
}

static void insert_row(hpt__parzen *e, const hpt__trials *t, int32_t row) {
    const int64_t slot = e->slot_of[row] >= 0 ? e->slot_of[row] : open_slot(e, row);
    load(e, t, slot, row);
    for (int64_t j = 0; j < e->g; j++) {
        if (e->columns[j].kind == HPT__PARZEN_CATEGORICAL) continue;
        int32_t *order = e->columns[j].order;
        const int64_t at = place_of(e, j, e->m, mu_of(e, j, row), row);
        memmove(order + at + 1, order + at, (size_t)(e->m - at) * sizeof *order);
        order[at] = row;
        if (at > 0) touch(e, order[at - 1]);
        touch(e, row);
        if (at < e->m) touch(e, order[at + 1]);
        e->m++;
        resettle(e, j);
        e->m--;
    }
    e->m++;
    e->live[slot] = 2;
    if (t->state[row] == HPT_TRIAL_RUNNING || t->state[row] == HPT_TRIAL_WAITING) e->open[e->n_open++] = row;
}

// ---- from nothing ------------------------------------------------------------------------------------------------

typedef struct sort_pair {
    double mu;
    int32_t row;
} sort_pair;

static int by_mu(const void *a, const void *b) {
    const sort_pair *x = a, *y = b;
    if (x->mu != y->mu) return x->mu < y->mu ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int rebuild(hpt__parzen *e, const hpt__trials *t, const uint8_t *want, int64_t m) {
    sort_pair *pairs = hpt__malloc((size_t)(m + 1) * sizeof *pairs);
    if (!pairs) return hpt__fail_memory();
    for (int64_t r = 0; r < e->cap_rows; r++) e->slot_of[r] = -1;
    for (int64_t s = 0; s < e->n_slots; s++) clear(e, s);
    e->n_slots = e->n_open = 0;
    e->m = m;
    for (int64_t r = 0; r < t->n; r++) {
        if (!want[r]) continue;
        load(e, t, e->n_slots++, r);
        if (t->state[r] == HPT_TRIAL_RUNNING || t->state[r] == HPT_TRIAL_WAITING) e->open[e->n_open++] = (int32_t)r;
    }
    for (int64_t j = 0; j < e->g; j++) {
        hpt__parzen_column *c = &e->columns[j];
        if (c->kind == HPT__PARZEN_CATEGORICAL) continue;
        for (int64_t s = 0; s < m; s++) pairs[s] = (sort_pair){hpt__parzen_mu(e, s, j)[0], e->row_of[s]};
        qsort(pairs, (size_t)m, sizeof *pairs, by_mu);
        for (int64_t s = 0; s < m; s++) c->order[s] = pairs[s].row;
        for (int64_t s = 0; s < m; s++) set_width(e, j, s);
    }
    for (int64_t s = 0; s < m; s++) sum_norms(e, s);
    hpt__free(pairs);
    return 0;
}

// ---- sync --------------------------------------------------------------------------------------------------------

static void set_weights(hpt__parzen *e) {
    const int64_t m = e->m, ramp = m >= RECENT ? m - RECENT : 0;
    const double first = 1.0 / (double)m, step = ramp > 1 ? (1.0 - first) / (double)(ramp - 1) : 0;
    int64_t k = 0;
    e->weight_sum = 0;
    for (int64_t s = 0; s < e->n_slots; s++) {
        if (!e->live[s]) {
            e->weight[s] = 0; // a hole that moved up is where a kernel was
            continue;
        }
        e->weight[s] = k >= ramp ? 1.0 : k > 0 && k == ramp - 1 ? 1.0 : first + (double)k * step;
        e->weight_sum += e->weight[s];
        k++;
    }
    e->weight_sum += 1.0;
}

static bool is_live(const hpt__parzen *e, int64_t row) {
    return e->slot_of[row] >= 0 && e->live[e->slot_of[row]];
}

// Applies the differences one by one. Rows that were taken while running are compared with the table first: a row number
// can have been given to another trial since (a batch's provisional rows).
static void apply(hpt__parzen *e, const hpt__trials *t, const uint8_t *want, int64_t rows) {
    int64_t kept = 0;
    const int64_t n_open = e->n_open;
    for (int64_t i = 0; i < n_open; i++) {
        const int32_t row = e->open[i];
        if (!is_live(e, row)) continue;
        if (row >= t->n || !want[row] || !loaded_as(e, t, e->slot_of[row], row))
            remove_row(e, row);
        else if (t->state[row] == HPT_TRIAL_RUNNING || t->state[row] == HPT_TRIAL_WAITING)
            e->open[kept++] = row;
    }
    e->n_open = kept;
    for (int64_t r = 0; r < rows; r++)
        if (is_live(e, r) && (r >= t->n || !want[r])) remove_row(e, (int32_t)r);
    for (int64_t r = 0; r < t->n; r++)
        if (want[r] && !is_live(e, r)) insert_row(e, t, (int32_t)r);
}

int hpt__parzen_sync(hpt__parzen *e, const hpt__trials *t, const uint8_t *want) {
    int rc = 0;
    int64_t m = 0, fresh = 0, changes = 0;
    for (int64_t r = 0; r < t->n; r++) {
        m += want[r] != 0;
        fresh += want[r] && (r >= e->cap_rows || e->slot_of[r] < 0);
    }
    rc = reserve(e, e->n_slots + fresh, t->n);
    if (rc < 0) {
        e->valid = false;
        return rc;
    }
    for (int64_t r = 0; r < e->cap_rows; r++) changes += is_live(e, r) != (r < t->n && want[r]);
    const double min_sigma_count = fmin(100.0, (double)m + 2.0);
    const bool same_clip = min_sigma_count == e->min_sigma_count;
    e->min_sigma_count = min_sigma_count;
    if (!e->valid || changes > 16 + m / 8 || e->n_slots - e->m > 16 + m) {
        e->valid = false;
        rc = rebuild(e, t, want, m);
        if (rc < 0) return rc;
        e->valid = true;
    } else {
        apply(e, t, want, e->cap_rows);
        if (!same_clip)
            for (int64_t j = 0; j < e->g; j++)
                for (int64_t at = 0; e->columns[j].order && at < e->m; at++) set_width(e, j, at);
        for (int64_t s = 0; s < e->n_slots; s++) {
            if (e->live[s] == 2 || (e->live[s] && !same_clip)) sum_norms(e, s);
            e->live[s] = e->live[s] != 0;
        }
    }
    set_weights(e);
    return 0;
}
