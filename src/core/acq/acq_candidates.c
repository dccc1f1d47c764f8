// SPDX-License-Identifier: Apache-2.0
// acq_candidates.c: the points among which a search starts.
//
//   a finite space of up to 2,048 points   all of them
//   else                                   n_global points of a scrambled Sobol sequence, through the codec, so that laws and
//                                          probabilities weigh as in the space; beyond 1,111 columns random ones
//                                        + n_local points around the best 4 told ones that are not close to each other:
//                                          min(1, 5/d) of the columns change (at least one), numeric ones by a normal step of
//                                          one scale a candidate, 10^U(-3, -0.5), a grid value by a cell at least;
//                                          categories are drawn anew, and so is what steps over the edge
// Constants: reference measurements on BBOB functions gave half global, half local, and scales over three decades.
// Parameters that are absent in the told point are drawn, so that a changed parent brings its children with it.
// What is taken is left out. If nothing is left in a crowded finite space, a scan through its grid finds what is free.
//
// Deterministic for rng. Ownership: arrays of the search. Threads: one at a time. Cost: O(m d) codec calls (1 us a candidate of
// ten parameters), O(n) for the best ones.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "../space/grid.h"
#include "../space/sobol.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum { N_BEST = 4, ENUMERATED = 2048, SCANNED = 1 << 20, ROUNDS = 4, AMONG = 64, THRESHOLD_AMONG = 32 };
static const double CHANGED = 5, SCALE_LOW = -3, SCALE_HIGH = -0.5, APART = 0.01, THRESHOLD_BETA = 1.8;

static double column_value(const hpt__search *s, int64_t c, double u) {
    return s->code->cov.categorical[c] ? hpt__codec_decode1(hpt__column_param(s->code, c), u)
                                       : s->low[c] + u * (s->high[c] - s->low[c]);
}

double hpt__candidates_draw(hpt__search *s, int64_t c) {
    return column_value(s, c, hpt__rng_uniform(s->rng));
}

// Takes the row at s->n in if it is not taken.
static int take(hpt__search *s, bool repeats) {
    double *row = s->rows + s->n * s->d;
    int rc = hpt__search_snap(row, &s->masks[s->n], s);
    if (rc < 0) return rc;
    if (repeats || !hpt__seen_has(&s->seen, row, s->masks[s->n])) s->n++;
    return 0;
}

static int grow(hpt__search *s, int64_t n) {
    if (n <= s->cap) return 0;
    double *rows = hpt__realloc(s->rows, (size_t)(n * (s->d + 1)) * sizeof *rows);
    if (!rows) return hpt__fail_memory();
    s->rows = rows;
    uint64_t *masks = hpt__realloc(s->masks, (size_t)n * sizeof *masks);
    if (!masks) return hpt__fail_memory();
    s->masks = masks;
    s->cap = n;
    return 0;
}

// ---- the whole space

static bool from_grid(hpt__search *s, int64_t i, const hpt__grid *grid) {
    double *row = s->rows + s->n * s->d;
    hpt__grid_point(s->point, grid, i);
    hpt__gp_encode(row, &s->masks[s->n], s->code, s->point);
    for (int64_t c = 0; c < s->d; c++)
        if (!isnan(s->pin[c]) && hpt__column_active(s->code, c, s->masks[s->n]) && fabs(row[c] - s->pin[c]) > 0x1p-30)
            return false;
    return true;
}

// NULL and 0: the space is infinite or has more than `most` points.
static int small_grid(hpt__grid **grid, const hpt_space *space, int64_t most) {
    double product = 1;
    *grid = NULL;
    for (int64_t i = 0; i < space->d; i++) {
        const int64_t n = hpt__param_enumerable(&space->params[i]);
        if (n < 0) return 0;
        if (space->params[i].n_conditions == 0) product *= (double)n;
        if (product > (double)most) return 0;
    }
    int rc = hpt__grid_create(grid, space);
    if (rc == HPT_E_MEMORY) return rc;
    if (rc >= 0 && hpt__grid_size(*grid) <= most) return 0;
    if (rc >= 0) hpt__grid_destroy(*grid);
    *grid = NULL;
    return 0;
}

// The free points, at most so many of them, from a random one on.
static int enumerate(hpt__search *s, const hpt__grid *grid, int64_t most, bool repeats) {
    const int64_t size = hpt__grid_size(grid), from = hpt__rng_below(s->rng, size);
    int rc = grow(s, (size < most ? size : most) + 1);
    for (int64_t k = 0; k < size && s->n < most && rc >= 0; k++) {
        if (!from_grid(s, (from + k) % size, grid)) continue;
        if (repeats || !hpt__seen_has(&s->seen, s->rows + s->n * s->d, s->masks[s->n])) s->n++;
    }
    return rc;
}

// ---- global

static int global(hpt__search *s, int64_t n, bool repeats) {
    int rc = 0;
    hpt__sobol *sobol = NULL;
    double *u = NULL;
    const uint64_t seed = hpt__rng_u64(s->rng);
    if (s->d <= HPT__SOBOL_MAX_DIM) {
        u = hpt__malloc((size_t)s->d * sizeof *u);
        if (!u) HPT_TRY(hpt__fail_memory());
        HPT_TRY(hpt__sobol_create(&sobol, s->d, true, seed));
    }
    for (int64_t i = 0; i < n; i++) {
        double *row = s->rows + s->n * s->d;
        if (sobol) hpt__sobol_point(u, sobol, (uint64_t)i);
        for (int64_t c = 0; c < s->d; c++) row[c] = sobol ? column_value(s, c, u[c]) : hpt__candidates_draw(s, c);
        HPT_TRY(take(s, repeats));
    }
    rc = 0;
out:
    hpt__sobol_destroy(sobol);
    hpt__free(u);
    return rc;
}

// ---- local

typedef struct ranked {
    double value;
    int64_t row;
} ranked;

// Keeps the `cap` smallest in order.
static void insert(ranked *list, int64_t *n, int64_t cap, ranked r) {
    if (*n == cap && list[cap - 1].value <= r.value) return;
    int64_t at = *n < cap ? (*n)++ : cap - 1;
    for (; at > 0 && list[at - 1].value > r.value; at--) list[at] = list[at - 1];
    list[at] = r;
}

static bool close_to(const hpt__search *s, int64_t a, int64_t b) {
    const double *x = hpt__gp_rows(s->gp) + a * s->d, *y = hpt__gp_rows(s->gp) + b * s->d;
    const uint64_t mask = hpt__gp_masks(s->gp)[a];
    if (mask != hpt__gp_masks(s->gp)[b]) return false;
    for (int64_t c = 0; c < s->d; c++) {
        if (!hpt__column_active(s->code, c, mask)) continue;
        if (s->code->cov.categorical[c] ? x[c] != y[c] : fabs(x[c] - y[c]) > APART) return false;
    }
    return true;
}

// Posterior of the listed rows, told or pending. var: NULL: not wanted.
static int moments(double *mean, double *var, hpt__gp *gp, int64_t d, const ranked *list, int64_t m) {
    double *rows = hpt__malloc((size_t)(m * d + 1) * sizeof *rows);
    uint64_t masks[AMONG];
    if (!rows) return hpt__fail_memory();
    for (int64_t i = 0; i < m; i++) {
        memcpy(rows + i * d, hpt__gp_rows(gp) + list[i].row * d, (size_t)d * sizeof *rows);
        masks[i] = hpt__gp_masks(gp)[list[i].row];
    }
    const int rc = hpt__model_posterior(hpt__gp_model(gp), rows, masks, m, mean, var, NULL, NULL);
    hpt__free(rows);
    return rc;
}

// The best told points: of the AMONG smallest values, where there is noise by the model's mean; none close to another.
static int find_best(hpt__search *s) {
    const int64_t n = hpt__gp_n(s->gp);
    const double *z = hpt__gp_z(s->gp);
    ranked list[AMONG] = {{0}};
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) insert(list, &m, AMONG, (ranked){z[i], i});
    if (hpt__acq_noise(s->gp) > 0) {
        double mean[AMONG];
        const int rc = moments(mean, NULL, s->gp, s->d, list, m);
        if (rc < 0) return rc;
        ranked again[AMONG];
        int64_t k = 0;
        for (int64_t i = 0; i < m; i++) insert(again, &k, AMONG, (ranked){mean[i], list[i].row});
        memcpy(list, again, sizeof list);
    }
    s->n_best = 0;
    for (int64_t i = 0; i < m && s->n_best < N_BEST; i++) {
        bool apart = true;
        for (int64_t j = 0; j < s->n_best; j++) apart = apart && !close_to(s, list[i].row, s->best_rows[j]);
        if (apart) s->best_rows[s->n_best++] = list[i].row;
    }
    return 0;
}

int hpt__acq_threshold(double *tau, hpt__gp *gp, const hpt__gp_code *code) {
    int rc = 0;
    const int64_t n = hpt__gp_n(gp), q = hpt__gp_n_pending(gp), d = code->cov.d;
    const double *z = hpt__gp_z(gp);
    double mean[AMONG], var[AMONG], least = INFINITY, *pending = hpt__malloc((size_t)(q + 1) * sizeof *pending);
    ranked list[THRESHOLD_AMONG] = {{0}};
    int64_t m = 0;
    if (!pending) return hpt__fail_memory();
    HPT_TRY(hpt__model_posterior(hpt__gp_model(gp), hpt__gp_rows(gp) + n * d, hpt__gp_masks(gp) + n, q, pending, NULL,
                                 NULL, NULL));
    for (int64_t i = 0; i < n + q; i++) insert(list, &m, THRESHOLD_AMONG, (ranked){i < n ? z[i] : pending[i - n], i});
    HPT_TRY(moments(mean, var, gp, d, list, m));
    for (int64_t i = 0; i < m; i++) {
        const double bound = mean[i] - THRESHOLD_BETA * sqrt(var[i]);
        if (bound >= least) continue;
        least = bound;
        *tau = mean[i];
    }
    rc = 0;
out:
    hpt__free(pending);
    return rc;
}

static double step_by(hpt__search *s, int64_t c, double from, double scale) {
    if (s->code->cov.categorical[c]) return hpt__candidates_draw(s, c);
    const double step = s->code->step[c];
    const double to = from + fmax(scale, step) * hpt__rng_normal(s->rng);
    return to < s->low[c] || to > s->high[c] ? hpt__candidates_draw(s, c) : to;
}

static int local(hpt__search *s, int64_t n, bool repeats) {
    const double share = fmin(1, CHANGED / (double)s->d);
    for (int64_t i = 0; i < n; i++) {
        double *row = s->rows + s->n * s->d;
        const int64_t base = s->best_rows[i % s->n_best];
        const double *from = hpt__gp_rows(s->gp) + base * s->d;
        const uint64_t mask = hpt__gp_masks(s->gp)[base];
        const double scale = pow(10, SCALE_LOW + (SCALE_HIGH - SCALE_LOW) * hpt__rng_uniform(s->rng));
        const int64_t sure = hpt__rng_below(s->rng, s->d);
        for (int64_t c = 0; c < s->d; c++) {
            if (!hpt__column_active(s->code, c, mask))
                row[c] = hpt__candidates_draw(s, c);
            else if (c == sure || hpt__rng_uniform(s->rng) < share)
                row[c] = step_by(s, c, from[c], scale);
            else
                row[c] = from[c];
        }
        int rc = take(s, repeats);
        if (rc < 0) return rc;
    }
    return 0;
}

// ---- all

int hpt__candidates_make(bool *complete, hpt__search *s, bool repeats) {
    int rc = 0;
    hpt__grid *grid = NULL;
    const hpt__search_options *o = s->options;
    *complete = false;
    s->n = 0;
    HPT_TRY(find_best(s));
    HPT_TRY(small_grid(&grid, s->code->space, ENUMERATED));
    if (grid) {
        HPT_TRY(enumerate(s, grid, ENUMERATED, repeats));
        *complete = s->n > 0 || !repeats; // nothing even with repeats: a pinned value that is never drawn
        if (*complete) goto out;
    }
    const int64_t n_global = o->n_global > 0 ? o->n_global : 1;
    HPT_TRY(grow(s, n_global + (o->n_local > 0 ? o->n_local : 0) + 1));
    for (int round = 0; round < ROUNDS && s->n == 0; round++) {
        HPT_TRY(global(s, n_global, repeats));
        if (s->n_best > 0) HPT_TRY(local(s, o->n_local, repeats));
    }
    if (s->n > 0) goto out;
    if (!grid) HPT_TRY(small_grid(&grid, s->code->space, SCANNED));
    if (grid) HPT_TRY(enumerate(s, grid, n_global, repeats));
out:
    hpt__grid_destroy(grid);
    return rc < 0 ? rc : 0;
}

int hpt__candidates_keep(double **rows, uint64_t **masks, int64_t *n, bool *complete, hpt__gp *gp,
                         const hpt__gp_code *code, const hpt__search_options *options, hpt__rng *rng) {
    int rc = 0;
    hpt__search s = {
        .gp = gp, .model = hpt__gp_model(gp), .code = code, .options = options, .rng = rng, .d = code->cov.d};
    HPT_TRY(hpt__search_prepare(&s, NULL));
    HPT_TRY(hpt__candidates_make(complete, &s, false));
    hpt__free(*rows);
    hpt__free(*masks);
    *rows = s.rows;
    *masks = s.masks;
    *n = s.n;
    s.rows = NULL;
    s.masks = NULL;
    rc = 0;
out:
    hpt__search_finish(&s);
    return rc;
}
