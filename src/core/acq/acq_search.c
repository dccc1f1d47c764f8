// SPDX-License-Identifier: Apache-2.0
// acq_search.c: the maximum of an acquisition function over a space: screen many points, improve a few, take the best.
//
//   1. candidates (acq_candidates.c), scored in one call; the best KEPT come back
//   2. starts: half of n_starts are the best candidates, the others are drawn from the rest by Boltzmann's law,
//      probability ~ exp(value): for LogEI that is in proportion to the expected improvement
//   3. refinement (acq_refine.c), all starts in lockstep
//   4. the best legal point that is neither taken nor polishing
//
// Polishing. Where the model has found a local optimum, the largest expected improvement may lie a hair's breadth beside
// the best point and be worth nothing: dozens of trials then refine a result to digits that noise hides or nobody asks for,
// while other basins and branches wait. So with LogEI a point is excluded, as if it were taken, when
//   its expected improvement is below R = max(1e-5 spread, 0.02 noise sd)
//   and it lies within 1e-3 in every numeric coordinate of the unit cube of a taken point, other parameters equal.
// Spread is the standard deviation of all told values (transformed: 1), so that a function is still followed through
// five decades. If everything is excluded, the best polishing point is taken all the same.
//
// Why not many more starts: with screening, 4 + 4 starts found the maximum of every surface that was tried (tests).
// Deterministic for rng and model. Ownership: nothing is kept. Threads: one at a time.
// Cost: the model's for n_global + n_local candidates, then about 2 max_steps calls of n_starts rows with gradients.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

enum { KEPT = 64 };
static const double NOISY = 1e-3; // variance of noise from which the mean and not the value is the incumbent
static const double RESOLUTION_SPREAD = 1e-5, RESOLUTION_NOISE = 0.02, POLISHING_WITHIN = 1e-3;

double hpt__acq_noise(const hpt__gp *gp) {
    const double sd = hpt__gp_noise_sd(gp);
    return sd * sd > NOISY ? sd * sd : 0;
}

int hpt__acq_incumbent(double *best, int64_t *index, hpt__gp *gp) {
    const int64_t n = hpt__gp_n(gp);
    const double *value = hpt__gp_z(gp);
    double *mean = NULL;
    if (n < 1) return hpt__fail(HPT_E_STATE, "no point was told yet: there is no incumbent");
    if (hpt__acq_noise(gp) > 0) {
        mean = hpt__malloc((size_t)n * sizeof *mean);
        if (!mean) return hpt__fail_memory();
        int rc =
            hpt__model_posterior(hpt__gp_model(gp), hpt__gp_rows(gp), hpt__gp_masks(gp), n, mean, NULL, NULL, NULL);
        if (rc < 0) {
            hpt__free(mean);
            return rc;
        }
        value = mean;
    }
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (value[i] < value[at]) at = i;
    *best = value[at];
    if (index) *index = at;
    hpt__free(mean);
    return 0;
}

// ---- preparation

static void pin(hpt__search *s, int64_t param, double v) {
    const int64_t c = s->code->column[param];
    if (c >= 0) s->pin[c] = s->code->cov.categorical[c] ? v : hpt__codec_encode1(&s->code->space->params[param], v);
}

static int prepare(hpt__search *s, const double *fixed) {
    const hpt__search_options *o = s->options;
    const hpt_space *space = s->code->space;
    const size_t d = (size_t)s->d;
    s->pin = hpt__malloc((3 * d + (size_t)space->d) * sizeof *s->pin);
    s->levels = hpt__malloc(d * sizeof *s->levels);
    s->is_parent = hpt__malloc(d * sizeof *s->is_parent);
    s->best_rows = hpt__malloc(8 * sizeof *s->best_rows);
    if (!s->pin || !s->levels || !s->is_parent || !s->best_rows) return hpt__fail_memory();
    s->low = s->pin + d;
    s->high = s->low + d;
    s->point = s->high + d;
    for (int64_t c = 0; c < s->d; c++) {
        const hpt__param *p = hpt__column_param(s->code, c);
        const int64_t k = hpt__param_cardinality(p);
        s->pin[c] = NAN;
        s->levels[c] = k > 0 ? k : 0;
        s->is_parent[c] = p->is_parent;
        s->low[c] = o->centre ? fmax(0, o->centre[c] - o->half_width[c]) : 0;
        s->high[c] = o->centre ? fmin(1, o->centre[c] + o->half_width[c]) : 1;
    }
    for (int64_t i = 0; fixed && i < space->d; i++)
        if (!isnan(fixed[i])) pin(s, i, fixed[i]);
    if (o->lock_param >= 0 && o->lock_param < space->d) pin(s, o->lock_param, o->lock_value);
    return hpt__seen_init(&s->seen, s->gp, s->code, o);
}

static void finish(hpt__search *s) {
    hpt__seen_fini(&s->seen);
    hpt__free(s->pin);
    hpt__free(s->levels);
    hpt__free(s->is_parent);
    hpt__free(s->best_rows);
    hpt__free(s->rows);
    hpt__free(s->masks);
}

int hpt__search_snap(double *row, uint64_t *mask, hpt__search *s) {
    for (int64_t c = 0; c < s->d; c++)
        if (!isnan(s->pin[c])) row[c] = s->pin[c];
    return hpt__gp_snap(row, mask, s->code, s->point);
}

// ---- the best

static bool polishing(const hpt__search *s, const double *row, uint64_t mask, double value) {
    if (s->acq->kind != HPT__ACQ_LOGEI) return false;
    const double r = fmax(RESOLUTION_SPREAD, RESOLUTION_NOISE * hpt__gp_noise_sd(s->gp));
    return value < log(r) && hpt__seen_near(&s->seen, row, mask, POLISHING_WITHIN);
}

// Index of the best point, passing over polishing ones unless there is nothing else.
static int64_t choose(const hpt__search *s, const hpt__search_pool *p) {
    int64_t best = -1, any = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->values[i] > p->values[any]) any = i;
        if (best >= 0 && !(p->values[i] > p->values[best])) continue;
        if (!polishing(s, p->rows + i * s->d, p->masks[i], p->values[i])) best = i;
    }
    return best >= 0 ? best : any;
}

// Appends copies of n_best + n_drawn of the first n_kept points.
static void choose_starts(hpt__search_pool *p, int64_t n_kept, int64_t n_starts, hpt__search *s) {
    bool used[KEPT] = {false};
    const int64_t n_best = (n_starts + 1) / 2;
    for (int64_t k = 0; k < n_starts; k++) {
        int64_t pick = k;
        if (k >= n_best) {
            double sum = 0;
            for (int64_t i = 0; i < n_kept; i++)
                if (!used[i]) sum += exp(fmax(p->values[i] - p->values[0], -50));
            double u = hpt__rng_uniform(s->rng) * sum;
            pick = -1;
            for (int64_t i = 0; i < n_kept; i++) {
                if (used[i]) continue;
                pick = i;
                u -= exp(fmax(p->values[i] - p->values[0], -50));
                if (u < 0) break;
            }
        }
        used[pick] = true;
        memcpy(p->rows + p->n * s->d, p->rows + pick * s->d, (size_t)s->d * sizeof *p->rows);
        p->masks[p->n] = p->masks[pick];
        p->values[p->n++] = p->values[pick];
    }
}

static int search(double *row, uint64_t *mask, double *value, hpt__search *s, bool complete) {
    int rc = 0;
    const int64_t k = s->n < KEPT ? s->n : KEPT;
    const bool wide = s->options->nearest != NULL;
    int64_t n_starts = complete ? 0 : s->options->n_starts, index[KEPT];
    if (n_starts > k) n_starts = k;
    if (n_starts < 0) n_starts = 0;
    const size_t room = (size_t)(k + n_starts);
    hpt__search_pool p = {0};
    p.rows = hpt__malloc(room * (size_t)s->d * sizeof *p.rows);
    p.masks = hpt__malloc(room * sizeof *p.masks);
    p.values = hpt__malloc(room * sizeof *p.values);
    if (!p.rows || !p.masks || !p.values) HPT_TRY(hpt__fail_memory());
    HPT_TRY(wide ? hpt__wide_screen(index, p.values, k, s)
                 : hpt__model_screen(s->model, s->acq, s->rows, s->masks, s->n, k, index, p.values));
    for (int64_t i = 0; i < k; i++) {
        memcpy(p.rows + i * s->d, s->rows + index[i] * s->d, (size_t)s->d * sizeof *p.rows);
        p.masks[i] = s->masks[index[i]];
    }
    p.n = k;
    choose_starts(&p, k, n_starts, s);
    if (n_starts > 0 && !wide) HPT_TRY(hpt__refine(p.rows + k * s->d, p.masks + k, p.values + k, n_starts, s));
    if (wide) HPT_TRY(hpt__wide_finish(&p, k, s));
    const int64_t best = choose(s, &p);
    memcpy(row, p.rows + best * s->d, (size_t)s->d * sizeof *row);
    *mask = p.masks[best];
    *value = p.values[best];
    rc = 0;
out:
    hpt__free(p.rows);
    hpt__free(p.masks);
    hpt__free(p.values);
    return rc;
}

int hpt__acq_search(double *row, uint64_t *mask, double *value, hpt__gp *gp, const hpt__gp_code *code,
                    const hpt__acq *acq, const double *fixed, const hpt__search_options *options, hpt__rng *rng) {
    int rc = 0;
    bool complete = false, exhausted = false;
    hpt__search s = {.gp = gp,
                     .model = hpt__gp_model(gp),
                     .code = code,
                     .acq = acq,
                     .options = options,
                     .rng = rng,
                     .d = code->cov.d};
    HPT_FAIL_IF(s.d < 1, HPT_E_ARG, "a search needs a parameter that can vary");
    HPT_TRY(prepare(&s, fixed));
    HPT_TRY(hpt__candidates_make(&complete, &s, false));
    if (s.n == 0) {
        exhausted = true;
        HPT_TRY(hpt__candidates_make(&complete, &s, true));
    }
    HPT_TRY(search(row, mask, value, &s, complete || exhausted));
    rc = exhausted ? HPT_S_EXHAUSTED : 0;
out:
    finish(&s);
    return rc;
}
