// SPDX-License-Identifier: Apache-2.0
// acq_refine.c: improves starting points, all of them together.
//
// Two moves alternate until neither gains, at most SWEEPS times:
//   smooth    L-BFGS-B over the active numeric columns that are continuous or have more than HPT__ACQ_FEW_LEVELS values, within the box;
//             one state a start (base/lbfgsb.h), and each step of all of them is one call of the model, so that a step is a
//             product of matrices and not a handful of small ones (arXiv 2511.13625 has why the states stay apart).
//             The result is snapped to a legal point; a start that lost by it goes back.
//   exchange  every change of one discrete parameter: another choice, another value of a grid with up to HPT__ACQ_FEW_LEVELS values, of a
//             longer one the next 1, 2, 5 and some drawn ones. A new value of a parent is tried with two sets of children:
//             those of the best told point that has this value, and drawn ones. All starts' changes are scored in one call;
//             each start takes its best.
// Points that are taken are never entered.
//
// Ownership: scratch of the call. Threads: one at a time. Cost: (steps + exchanges) model calls; a step is s rows.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/lbfgsb.h"
#include "../space/codec.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 4, DISCRETE_SWEEPS = 12, CHOICES = 24, DRAWN = 8, JUMPS = 6 };
static const double GAIN = 1e-9, GRADIENT = 1e-5, DECREASE = 1e-7;

typedef struct start {
    double *row; // d, borrowed
    uint64_t *mask;
    double *value;
    hpt__lbfgsb state;
    int64_t *columns; // of the variables
    int64_t n_free;
    bool running, stale; // stale: the smooth move has something to do
} start;

typedef struct work {
    hpt__search *s;
    start *starts;
    int64_t n, d;
    int64_t *columns;
    double *x, *low, *high; // d
    double *rows, *grad;    // n x d
    uint64_t *masks;
    double *values;
    int64_t *of; // n: start of a row in the batch
    // exchanges
    double *near_rows, *near_values;
    uint64_t *near_masks;
    int64_t *near_of;
    int64_t n_near, cap_near, cap_rows, cap_values, cap_masks;
} work;

static bool smooth_column(const hpt__search *s, int64_t c) {
    return !s->code->cov.categorical[c] && (s->levels[c] == 0 || s->levels[c] > HPT__ACQ_FEW_LEVELS);
}

// ---- smooth

static int begin(work *w, start *st) {
    const hpt__search *s = w->s;
    const hpt__lbfgsb_options options = {
        .gradient_tolerance = GRADIENT,
        .decrease_tolerance = DECREASE,
        .max_iterations = s->options->max_steps,
        .max_evaluations = 2 * s->options->max_steps,
    };
    st->n_free = 0;
    for (int64_t c = 0; c < w->d; c++) {
        if (!smooth_column(s, c) || !isnan(s->pin[c]) || !hpt__column_active(s->code, c, *st->mask)) continue;
        const int64_t k = st->n_free++;
        st->columns[k] = c;
        // A told point outside a trust region, or a grid value that snapping moved over its edge: the box reaches to it.
        w->low[k] = fmin(s->low[c], st->row[c]);
        w->high[k] = fmax(s->high[c], st->row[c]);
        w->x[k] = st->row[c];
    }
    st->running = st->n_free > 0 && s->options->max_steps > 0;
    return st->running ? hpt__lbfgsb_init(&st->state, st->n_free, w->low, w->high, w->x, &options) : 0;
}

static void place(double *row, const start *st, const double *x) {
    for (int64_t k = 0; k < st->n_free; k++) row[st->columns[k]] = x[k];
}

static int smooth(work *w) {
    hpt__search *s = w->s;
    hpt__model *model = s->model;
    int rc = 0;
    for (int64_t i = 0; i < w->n; i++) {
        w->starts[i].running = false;
        if (w->starts[i].stale) HPT_TRY(begin(w, &w->starts[i]));
        w->starts[i].stale = w->starts[i].running;
    }
    for (;;) {
        int64_t m = 0;
        for (int64_t i = 0; i < w->n; i++) {
            start *st = &w->starts[i];
            if (!st->running) continue;
            memcpy(w->rows + m * w->d, st->row, (size_t)w->d * sizeof *w->rows);
            place(w->rows + m * w->d, st, hpt__lbfgsb_point(&st->state));
            w->masks[m] = *st->mask;
            w->of[m++] = i;
        }
        if (m == 0) break;
        HPT_TRY(hpt__model_acquire(model, s->acq, w->rows, w->masks, m, w->values, w->grad));
        for (int64_t j = 0; j < m; j++) {
            start *st = &w->starts[w->of[j]];
            for (int64_t k = 0; k < st->n_free; k++) w->x[k] = -w->grad[j * w->d + st->columns[k]];
            st->running = hpt__lbfgsb_tell(&st->state, -w->values[j], w->x) == HPT__LBFGSB_EVALUATE;
        }
    }
    // Legal points again, scored as such.
    int64_t m = 0;
    for (int64_t i = 0; i < w->n; i++) {
        start *st = &w->starts[i];
        if (!st->stale) continue;
        st->stale = false;
        double *row = w->rows + m * w->d;
        memcpy(row, st->row, (size_t)w->d * sizeof *row);
        place(row, st, hpt__lbfgsb_result(&st->state, NULL));
        HPT_TRY(hpt__search_snap(row, &w->masks[m], s));
        if (!hpt__seen_has(&s->seen, row, w->masks[m])) w->of[m++] = i;
    }
    if (m > 0) HPT_TRY(hpt__model_acquire(model, s->acq, w->rows, w->masks, m, w->values, NULL));
    for (int64_t j = 0; j < m; j++) {
        start *st = &w->starts[w->of[j]];
        if (!(w->values[j] > *st->value)) continue;
        memcpy(st->row, w->rows + j * w->d, (size_t)w->d * sizeof *w->rows);
        *st->mask = w->masks[j];
        *st->value = w->values[j];
    }
    rc = 0;
out:
    return rc;
}

// ---- exchange

static int reserve_near(work *w) {
    if (w->n_near < w->cap_near) return 0;
    int rc = hpt__grow(&w->near_of, &w->cap_near, w->n_near + 1, sizeof *w->near_of);
    if (rc >= 0) rc = hpt__grow(&w->near_rows, &w->cap_rows, w->cap_near * w->d, sizeof *w->near_rows);
    if (rc >= 0) rc = hpt__grow(&w->near_values, &w->cap_values, w->cap_near, sizeof *w->near_values);
    if (rc >= 0) rc = hpt__grow(&w->near_masks, &w->cap_masks, w->cap_near, sizeof *w->near_masks);
    return rc;
}

// Told row whose value in column c is v, the best one; -1: none.
static int64_t best_with(const hpt__search *s, int64_t c, double v) {
    const double *rows = hpt__gp_rows(s->gp), *z = hpt__gp_z(s->gp);
    const uint64_t *masks = hpt__gp_masks(s->gp);
    int64_t best = -1;
    for (int64_t i = 0; i < hpt__gp_n(s->gp); i++) {
        if (!hpt__column_active(s->code, c, masks[i]) || fabs(rows[i * s->d + c] - v) > 0x1p-30) continue;
        if (best < 0 || z[i] < z[best]) best = i;
    }
    return best;
}

// The start i with column c at v. donor: told row that gives what is absent in the start, -1: drawn.
static int propose(work *w, int64_t i, int64_t c, double v, int64_t donor) {
    hpt__search *s = w->s;
    const start *st = &w->starts[i];
    int rc = reserve_near(w);
    if (rc < 0) return rc;
    double *row = w->near_rows + w->n_near * w->d;
    memcpy(row, st->row, (size_t)w->d * sizeof *row);
    row[c] = v;
    if (s->is_parent[c]) {
        for (int64_t j = 0; j < w->d; j++) {
            if (hpt__column_active(s->code, j, *st->mask)) continue;
            const bool gives = donor >= 0 && hpt__column_active(s->code, j, hpt__gp_masks(s->gp)[donor]);
            row[j] = gives ? hpt__gp_rows(s->gp)[donor * w->d + j] : hpt__candidates_draw(s, j);
        }
    }
    rc = hpt__search_snap(row, &w->near_masks[w->n_near], s);
    if (rc < 0) return rc;
    if (!hpt__seen_has(&s->seen, row, w->near_masks[w->n_near])) w->near_of[w->n_near++] = i;
    return 0;
}

static int propose_level(work *w, int64_t i, int64_t c, int64_t level) {
    const hpt__search *s = w->s;
    const hpt__param *p = hpt__column_param(s->code, c);
    const bool categorical = s->code->cov.categorical[c];
    if (level < 0 || level >= s->levels[c] || (categorical && !hpt__param_drawable(p, level))) return 0;
    const double at = hpt__param_value_at(p, level), v = categorical ? at : hpt__codec_encode1(p, at);
    if (fabs(v - w->starts[i].row[c]) < 0x1p-30) return 0;
    int rc = 0;
    if (s->is_parent[c]) {
        const int64_t donor = best_with(s, c, v);
        if (donor >= 0) rc = propose(w, i, c, v, donor);
    }
    return rc < 0 ? rc : propose(w, i, c, v, -1);
}

static int propose_column(work *w, int64_t i, int64_t c) {
    static const int jumps[JUMPS] = {-5, -2, -1, 1, 2, 5};
    const hpt__search *s = w->s;
    const bool categorical = s->code->cov.categorical[c];
    const int64_t k = s->levels[c], all = categorical ? CHOICES : HPT__ACQ_FEW_LEVELS;
    int rc = 0;
    if (k <= all) {
        for (int64_t level = 0; level < k && rc >= 0; level++) rc = propose_level(w, i, c, level);
        return rc;
    }
    if (!categorical) {
        const hpt__param *p = hpt__column_param(s->code, c);
        const int64_t at = hpt__param_index_of(p, hpt__codec_decode1(p, w->starts[i].row[c]));
        for (int j = 0; j < JUMPS && rc >= 0; j++) rc = propose_level(w, i, c, at + jumps[j]);
    }
    for (int j = 0; j < (categorical ? CHOICES : DRAWN) && rc >= 0; j++)
        rc = propose_level(w, i, c, hpt__rng_below(s->rng, k));
    return rc;
}

static int exchange(bool *moved, work *w) {
    hpt__search *s = w->s;
    int rc = 0;
    *moved = false;
    w->n_near = 0;
    for (int64_t i = 0; i < w->n; i++)
        for (int64_t c = 0; c < w->d; c++)
            if (s->levels[c] > 0 && isnan(s->pin[c]) && hpt__column_active(s->code, c, *w->starts[i].mask))
                HPT_TRY(propose_column(w, i, c));
    if (w->n_near == 0) goto out;
    HPT_TRY(hpt__model_acquire(s->model, s->acq, w->near_rows, w->near_masks, w->n_near, w->near_values, NULL));
    // Rows of a start stand together.
    for (int64_t j = 0; j < w->n_near;) {
        const int64_t i = w->near_of[j];
        int64_t best = j;
        for (; j < w->n_near && w->near_of[j] == i; j++)
            if (w->near_values[j] > w->near_values[best]) best = j;
        start *st = &w->starts[i];
        if (!(w->near_values[best] > *st->value + GAIN)) continue;
        memcpy(st->row, w->near_rows + best * w->d, (size_t)w->d * sizeof *st->row);
        *st->mask = w->near_masks[best];
        *st->value = w->near_values[best];
        st->stale = *moved = true;
    }
out:
    return rc < 0 ? rc : 0;
}

// ---- both

int hpt__refine(double *rows, uint64_t *masks, double *values, int64_t n, hpt__search *s) {
    int rc = 0;
    const size_t d = (size_t)s->d, m = (size_t)n;
    work w = {.s = s, .n = n, .d = s->d};
    bool any_smooth = false, any_discrete = false;
    for (int64_t c = 0; c < s->d; c++) {
        if (!isnan(s->pin[c])) continue;
        any_smooth = any_smooth || smooth_column(s, c);
        any_discrete = any_discrete || s->levels[c] > 0;
    }
    w.starts = hpt__calloc(m, sizeof *w.starts);
    w.columns = hpt__malloc(m * d * sizeof *w.columns);
    w.x = hpt__malloc(3 * d * sizeof *w.x);
    w.rows = hpt__malloc(2 * m * d * sizeof *w.rows);
    w.masks = hpt__malloc(m * sizeof *w.masks);
    w.values = hpt__malloc(m * sizeof *w.values);
    w.of = hpt__malloc(m * sizeof *w.of);
    if (!w.starts || !w.columns || !w.x || !w.rows || !w.masks || !w.values || !w.of) HPT_TRY(hpt__fail_memory());
    w.low = w.x + d;
    w.high = w.low + d;
    w.grad = w.rows + m * d;
    for (int64_t i = 0; i < n; i++)
        w.starts[i] = (start){.row = rows + i * s->d,
                              .mask = masks + i,
                              .value = values + i,
                              .columns = w.columns + i * s->d,
                              .stale = true};
    const int sweeps = any_smooth ? SWEEPS : DISCRETE_SWEEPS;
    for (int sweep = 0; sweep < sweeps; sweep++) {
        bool moved = false;
        if (any_smooth) HPT_TRY(smooth(&w));
        if (any_discrete) HPT_TRY(exchange(&moved, &w));
        if (!moved) break;
    }
    rc = 0;
out:
    for (int64_t i = 0; w.starts && i < n; i++) hpt__lbfgsb_fini(&w.starts[i].state);
    hpt__free(w.starts);
    hpt__free(w.columns);
    hpt__free(w.x);
    hpt__free(w.rows);
    hpt__free(w.masks);
    hpt__free(w.values);
    hpt__free(w.of);
    hpt__free(w.near_rows);
    hpt__free(w.near_values);
    hpt__free(w.near_masks);
    hpt__free(w.near_of);
    return rc;
}
