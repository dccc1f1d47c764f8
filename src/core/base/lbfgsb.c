// SPDX-License-Identifier: Apache-2.0
// lbfgsb.c: limited-memory BFGS within bounds.
//
//   B = theta I - W M W',  W = [Y, theta S] (n x 2k),  M^-1 = [-D, L'; L, theta S'S],  k <= m pairs s = x+ - x, y = g+ - g
//   D, L: diagonal and strictly lower part of S'Y
//
// One iteration: (1) the generalised Cauchy point, the first local minimum of the quadratic model along the projected
// steepest descent, breakpoint by breakpoint; (2) the model's minimum over the variables that are not at a bound there,
// by Sherman-Morrison-Woodbury, projected onto the box, or cut off at it where the projected point would not descend;
// (3) a line search to that point. (1), (2): Byrd, Lu, Nocedal, Zhu, "A limited memory algorithm for bound constrained
// optimization", SIAM J. Sci. Comput. 16 (1995); projection: Morales, Nocedal, ACM TOMS 38 (2011), remark on algorithm
// 778; (3): Moré, Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM TOMS 20 (1994).
//
// Own choices. B does not change when a pair is scaled, so pairs are stored with s'y = 1: D is the identity and the middle
// matrices have no units; both are solved by block elimination with two small Cholesky factors, for which the diagonal
// blocks are definite by construction (the active part of S'S is summed from active rows, not subtracted). A value that
// is not finite bounds the step from above and the search goes on nearer to the best step. The best point of a line
// search that runs out of evaluations is taken if it is lower than the start. When a factor fails or a direction does
// not descend, the pairs are dropped once and steepest descent is tried.
//
// Ownership: one allocation at init. Threads: one per state. Cost per iteration: O(n k^2 + k^3) and one evaluation, seldom
// two.
#include "lbfgsb.h"

#include "alloc.h"
#include "error.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { M = HPT__LBFGSB_MEMORY, SEARCH_MAX = 20 };

static const double f_tolerance = 1e-3, g_tolerance = 0.9, x_tolerance = 0.1; // of the line search
static const double step_huge = 1e10;

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double clip(double v, double low, double high) {
    return v < low ? low : v > high ? high : v;
}

static void copy(double *to, const double *from, int64_t n) {
    if (n > 0) memcpy(to, from, (size_t)n * sizeof *to);
}

// ---- small dense algebra: k x k matrices with leading dimension M, column-major --------------------------------------

// Lower Cholesky factor in place; false if it does not exist.
static bool cholesky(double *a, int64_t k) {
    for (int64_t j = 0; j < k; j++) {
        double pivot = a[j + j * M];
        for (int64_t l = 0; l < j; l++) pivot -= a[j + l * M] * a[j + l * M];
        if (!(pivot > 0) || !isfinite(pivot)) return false;
        pivot = sqrt(pivot);
        a[j + j * M] = pivot;
        for (int64_t i = j + 1; i < k; i++) {
            double v = a[i + j * M];
            for (int64_t l = 0; l < j; l++) v -= a[i + l * M] * a[j + l * M];
            a[i + j * M] = v / pivot;
        }
    }
    return true;
}

static void forward_solve(const double *a, double *v, int64_t k) {
    for (int64_t i = 0; i < k; i++) {
        for (int64_t l = 0; l < i; l++) v[i] -= a[i + l * M] * v[l];
        v[i] /= a[i + i * M];
    }
}

static void backward_solve(const double *a, double *v, int64_t k) {
    for (int64_t i = k - 1; i >= 0; i--) {
        for (int64_t l = i + 1; l < k; l++) v[i] -= a[l + i * M] * v[l];
        v[i] /= a[i + i * M];
    }
}

// ---- the middle matrix M ------------------------------------------------------------------------------------------------

// Factor of theta S'S + L L'.
static bool middle_factor(hpt__lbfgsb *s) {
    const int64_t k = s->n_pairs;
    for (int64_t j = 0; j < k; j++) {
        for (int64_t i = j; i < k; i++) {
            double v = s->theta * s->ss[i + j * M];
            for (int64_t l = 0; l < j; l++) v += s->sy[i + l * M] * s->sy[j + l * M];
            s->chol_m[i + j * M] = v;
        }
    }
    return cholesky(s->chol_m, k);
}

// out = M v, both 2k. out may not be v.
static void middle_apply(const hpt__lbfgsb *s, double *out, const double *v) {
    const int64_t k = s->n_pairs;
    double *second = out + k;
    for (int64_t i = 0; i < k; i++) {
        second[i] = v[k + i];
        for (int64_t j = 0; j < i; j++) second[i] += s->sy[i + j * M] * v[j];
    }
    forward_solve(s->chol_m, second, k);
    backward_solve(s->chol_m, second, k);
    for (int64_t j = 0; j < k; j++) {
        out[j] = -v[j];
        for (int64_t i = j + 1; i < k; i++) out[j] += s->sy[i + j * M] * second[i];
    }
}

// w (2k) = row i of W.
static void w_row(const hpt__lbfgsb *s, double *w, int64_t i) {
    for (int64_t j = 0; j < s->n_pairs; j++) {
        w[j] = s->y[i + j * s->n];
        w[s->n_pairs + j] = s->theta * s->s[i + j * s->n];
    }
}

static void forget_pairs(hpt__lbfgsb *s) {
    s->n_pairs = 0;
    s->theta = 1;
}

// Takes the pair (s, y) of the last step; the oldest goes when there are m. False: the factor failed.
static bool add_pair(hpt__lbfgsb *s, const double *sv, const double *yv, double curvature) {
    const int64_t n = s->n;
    if (s->n_pairs == M) {
        memmove(s->s, s->s + n, (size_t)(n * (M - 1)) * sizeof *s->s);
        memmove(s->y, s->y + n, (size_t)(n * (M - 1)) * sizeof *s->y);
        for (int64_t j = 0; j + 1 < M; j++) {
            for (int64_t i = 0; i + 1 < M; i++) {
                s->sy[i + j * M] = s->sy[i + 1 + (j + 1) * M];
                s->ss[i + j * M] = s->ss[i + 1 + (j + 1) * M];
            }
        }
        s->n_pairs--;
    }
    const int64_t k = s->n_pairs;
    const double scale = 1 / sqrt(curvature);
    double *sk = s->s + k * n, *yk = s->y + k * n;
    for (int64_t i = 0; i < n; i++) {
        sk[i] = sv[i] * scale;
        yk[i] = yv[i] * scale;
    }
    for (int64_t j = 0; j <= k; j++) {
        s->sy[k + j * M] = dot(sk, s->y + j * n, n);
        s->sy[j + k * M] = dot(s->s + j * n, yk, n);
        s->ss[k + j * M] = s->ss[j + k * M] = dot(sk, s->s + j * n, n);
    }
    s->n_pairs = k + 1;
    s->theta = dot(yk, yk, n);
    return isfinite(s->theta) && s->theta > 0 && middle_factor(s);
}

// ---- (1) Cauchy point ---------------------------------------------------------------------------------------------------

// Fills cauchy; order: the free variables (*n_free of them); c (2k) = W'(cauchy - x).
static void cauchy_point(hpt__lbfgsb *s, double *c, int64_t *n_free) {
    const int64_t n = s->n, k2 = 2 * s->n_pairs;
    double *t = s->breaks, *d = s->dir;
    double p[2 * M] = {0}, mp[2 * M] = {0}, mc[2 * M] = {0}, w[2 * M], mw[2 * M];
    double slope = 0;
    for (int64_t i = 0; i < n; i++) {
        const double g = s->g[i];
        t[i] = g < 0 ? (s->x[i] - s->high[i]) / g : g > 0 ? (s->x[i] - s->low[i]) / g : INFINITY;
        if (s->low[i] == s->high[i]) t[i] = 0;
        d[i] = t[i] <= 0 ? 0 : -g;
        s->cauchy[i] = s->x[i];
        slope -= d[i] * d[i];
        if (d[i] != 0) {
            w_row(s, w, i);
            for (int64_t j = 0; j < k2; j++) p[j] += d[i] * w[j];
        }
    }
    memset(c, 0, sizeof(double) * 2 * M);
    if (k2 > 0) middle_apply(s, mp, p);
    double curve = -s->theta * slope - dot(p, mp, k2);
    const double curve_least = DBL_EPSILON * -s->theta * slope;
    curve = fmax(curve, curve_least);
    double at = 0, ahead = slope < 0 ? -slope / curve : 0;
    bool any = slope < 0;
    while (any) {
        int64_t b = -1;
        for (int64_t i = 0; i < n; i++)
            if (d[i] != 0 && isfinite(t[i]) && (b < 0 || t[i] < t[b])) b = i;
        if (b < 0 || ahead < t[b] - at) break;
        const double dt = t[b] - at, g = s->g[b];
        s->cauchy[b] = d[b] > 0 ? s->high[b] : s->low[b];
        const double z = s->cauchy[b] - s->x[b];
        for (int64_t j = 0; j < k2; j++) {
            c[j] += dt * p[j];
            mc[j] += dt * mp[j];
        }
        w_row(s, w, b);
        double wmc = 0, wmp = 0, wmw = 0;
        if (k2 > 0) {
            middle_apply(s, mw, w);
            wmc = dot(w, mc, k2);
            wmp = dot(w, mp, k2);
            wmw = dot(w, mw, k2);
        }
        slope += dt * curve + g * g + s->theta * g * z - g * wmc;
        curve -= s->theta * g * g + 2 * g * wmp + g * g * wmw;
        curve = fmax(curve, curve_least);
        for (int64_t j = 0; j < k2; j++) {
            p[j] += g * w[j];
            mp[j] += g * mw[j];
        }
        d[b] = 0;
        t[b] = 0; // at its bound
        at += dt;
        any = false;
        for (int64_t i = 0; i < n && !any; i++) any = d[i] != 0;
        ahead = any ? -slope / curve : 0;
    }
    ahead = any && ahead > 0 ? ahead : 0;
    at += ahead;
    *n_free = 0;
    for (int64_t i = 0; i < n; i++) {
        if (d[i] != 0) s->cauchy[i] = clip(s->x[i] + at * d[i], s->low[i], s->high[i]);
        if (t[i] > 0) s->order[(*n_free)++] = i;
    }
    for (int64_t j = 0; j < k2; j++) c[j] += ahead * p[j];
}

// ---- (2) minimum over the free variables --------------------------------------------------------------------------------

// Factors of E = I + Y_F'Y_F / theta and H = theta S_A'S_A + G E^-1 G', G = L - S_F'Y_F; keeps G in small.
static bool subspace_factor(hpt__lbfgsb *s, int64_t n_free) {
    const int64_t n = s->n, k = s->n_pairs;
    double *e = s->chol_e, *h = s->chol_h, *g = s->small;
    for (int64_t j = 0; j < k; j++) {
        const double *sj = s->s + j * n, *yj = s->y + j * n;
        for (int64_t i = 0; i < k; i++) {
            const double *si = s->s + i * n, *yi = s->y + i * n;
            double yy = 0, sy = 0;
            for (int64_t f = 0; f < n_free; f++) {
                const int64_t v = s->order[f];
                yy += yi[v] * yj[v];
                sy += si[v] * yj[v];
            }
            e[i + j * M] = yy / s->theta + (i == j ? 1 : 0);
            g[i + j * M] = (i > j ? s->sy[i + j * M] : 0) - sy;
            if (i < j) continue;
            double ss = 0; // over the variables that are not free: order is ascending
            for (int64_t v = 0, f = 0; v < n; v++) {
                if (f < n_free && s->order[f] == v)
                    f++;
                else
                    ss += si[v] * sj[v];
            }
            h[i + j * M] = s->theta * ss;
        }
    }
    if (!cholesky(e, k)) return false;
    double half[M * M]; // E^-1/2 G'
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < k; j++) half[j + i * M] = g[i + j * M];
        forward_solve(e, half + i * M, k);
    }
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = j; i < k; i++) h[i + j * M] += dot(half + i * M, half + j * M, k);
    return cholesky(h, k);
}

// v (2k) in place = (M^-1 - W_F'W_F / theta)^-1 v.
static void subspace_solve(const hpt__lbfgsb *s, double *v) {
    const int64_t k = s->n_pairs;
    const double *g = s->small;
    double u[M], *first = v, *second = v + k;
    copy(u, first, k);
    forward_solve(s->chol_e, u, k);
    backward_solve(s->chol_e, u, k);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) second[i] += g[i + j * M] * u[j];
    forward_solve(s->chol_h, second, k);
    backward_solve(s->chol_h, second, k);
    for (int64_t j = 0; j < k; j++) {
        first[j] = -first[j];
        for (int64_t i = 0; i < k; i++) first[j] += g[i + j * M] * second[i];
    }
    forward_solve(s->chol_e, first, k);
    backward_solve(s->chol_e, first, k);
}

// Moves cauchy to the minimum of the model over the free variables, within the box. False: a factor failed.
static bool subspace_minimum(hpt__lbfgsb *s, const double *c, int64_t n_free) {
    const int64_t n = s->n, k = s->n_pairs;
    double mc[2 * M], v[2 * M] = {0}, w[2 * M], *step = s->work; // step: n_free
    if (!subspace_factor(s, n_free)) return false;
    middle_apply(s, mc, c);
    for (int64_t f = 0; f < n_free; f++) {
        const int64_t i = s->order[f];
        w_row(s, w, i);
        step[f] = dot(w, mc, 2 * k) - s->theta * (s->cauchy[i] - s->x[i]) - s->g[i];
        for (int64_t j = 0; j < 2 * k; j++) v[j] += step[f] * w[j];
    }
    subspace_solve(s, v);
    for (int64_t f = 0; f < n_free; f++) {
        w_row(s, w, s->order[f]);
        step[f] = (step[f] + dot(w, v, 2 * k) / s->theta) / s->theta;
        if (!isfinite(step[f])) return false;
    }
    double slope = 0;
    copy(s->trial, s->cauchy, n);
    for (int64_t f = 0; f < n_free; f++) {
        const int64_t i = s->order[f];
        s->trial[i] = clip(s->cauchy[i] + step[f], s->low[i], s->high[i]);
    }
    for (int64_t i = 0; i < n; i++) slope += (s->trial[i] - s->x[i]) * s->g[i];
    if (slope <= 0) {
        copy(s->cauchy, s->trial, n);
        return true;
    }
    double fraction = 1;
    for (int64_t f = 0; f < n_free; f++) {
        const int64_t i = s->order[f];
        const double room = (step[f] < 0 ? s->low[i] : s->high[i]) - s->cauchy[i];
        if (step[f] != 0 && fraction * fabs(step[f]) > fabs(room)) fraction = fabs(room / step[f]);
    }
    for (int64_t f = 0; f < n_free; f++) {
        const int64_t i = s->order[f];
        s->cauchy[i] = clip(s->cauchy[i] + fraction * step[f], s->low[i], s->high[i]);
    }
    return true;
}

// ---- (3) line search ----------------------------------------------------------------------------------------------------

// One safeguarded step (section 4 of Moré and Thuente): updates the interval that holds a minimiser and proposes *stp.
static void interval_step(hpt__lbfgsb_linesearch *l, double *stp, double f, double g) {
    const double at = *stp, opposite = l->gx < 0 ? g : -g; // > 0: the slope has changed its sign
    double next;
    // Minimiser of the cubic through both ends; where it does not exist (g not opposite) gamma is 0.
    const double width = at - l->stx;
    const double cubic = 3 * (l->fx - f) / width + l->gx + g;
    const double size = fmax(fabs(cubic), fmax(fabs(l->gx), fabs(g)));
    const double square = (cubic / size) * (cubic / size) - (l->gx / size) * (g / size);
    const double root = size * sqrt(fmax(square, 0));
    if (f > l->fx) { // higher: the minimiser is between; the cubic's if it is nearer, else the middle to the parabola's
        const double gamma = at < l->stx ? -root : root;
        const double c = l->stx + (gamma - l->gx + cubic) / (gamma - l->gx + gamma + g) * width;
        const double q = l->stx + l->gx / ((l->fx - f) / width + l->gx) / 2 * width;
        next = fabs(c - l->stx) < fabs(q - l->stx) ? c : c + (q - c) / 2;
        l->bracketed = true;
    } else if (opposite > 0) { // lower, slope turned: between as well; whichever of cubic and secant is farther
        const double gamma = at > l->stx ? -root : root;
        const double c = at + (gamma - g + cubic) / (gamma - g + gamma + l->gx) * -width;
        const double q = at + g / (g - l->gx) * -width;
        next = fabs(c - at) > fabs(q - at) ? c : q;
        l->bracketed = true;
    } else if (fabs(g) < fabs(l->gx)) { // lower, the same sign, flatter: beyond
        const double gamma = at > l->stx ? -root : root;
        const double r = (gamma - g + cubic) / (gamma + (l->gx - g) + gamma);
        const double c = r < 0 && gamma != 0 ? at - r * width : at > l->stx ? l->stmax : l->stmin;
        const double q = at + g / (g - l->gx) * -width;
        if (l->bracketed) {
            next = fabs(c - at) < fabs(q - at) ? c : q;
            const double limit = at + 0.66 * (l->sty - at);
            next = at > l->stx ? fmin(limit, next) : fmax(limit, next);
        } else {
            next = clip(fabs(c - at) > fabs(q - at) ? c : q, l->stmin, l->stmax);
        }
    } else if (l->bracketed) { // lower, the same sign, not flatter: the cubic of the far end
        const double span = l->sty - at;
        const double theta = 3 * (f - l->fy) / span + l->gy + g;
        const double big = fmax(fabs(theta), fmax(fabs(l->gy), fabs(g)));
        const double gm = big * sqrt(fmax((theta / big) * (theta / big) - (l->gy / big) * (g / big), 0));
        const double gamma = at > l->sty ? -gm : gm;
        next = at + (gamma - g + theta) / (gamma - g + gamma + l->gy) * span;
    } else {
        next = at > l->stx ? l->stmax : l->stmin;
    }
    if (f > l->fx) {
        l->sty = at;
        l->fy = f;
        l->gy = g;
    } else {
        if (opposite > 0) {
            l->sty = l->stx;
            l->fy = l->fx;
            l->gy = l->gx;
        }
        l->stx = at;
        l->fx = f;
        l->gx = g;
    }
    *stp = next;
}

typedef enum search_result { SEARCH_ON, SEARCH_END } search_result;

static void search_begin(hpt__lbfgsb *s, double slope) {
    hpt__lbfgsb_linesearch *l = &s->search;
    *l = (hpt__lbfgsb_linesearch){.fx = s->f, .fy = s->f, .gx = slope, .gy = slope, .finit = s->f, .ginit = slope};
    l->stage1 = true;
    l->width = s->step_max;
    l->width1 = 2 * s->step_max;
    l->stmax = 5 * s->step;
    s->step_limit = INFINITY;
    s->step_f = INFINITY;
    s->n_search = 0;
}

// A value that is not finite: nearer to the best step.
static search_result search_back(hpt__lbfgsb *s) {
    hpt__lbfgsb_linesearch *l = &s->search;
    if (l->stx >= s->step) return SEARCH_END;
    s->step_limit = fmin(s->step_limit, s->step);
    s->step = l->stx + 0.25 * (s->step - l->stx);
    if (!l->bracketed) {
        l->stmin = l->stx;
        l->stmax = s->step_limit;
    }
    return s->step > l->stx ? SEARCH_ON : SEARCH_END;
}

// slope: of f along dir at the step.
static search_result search_step(hpt__lbfgsb *s, double f, double slope) {
    hpt__lbfgsb_linesearch *l = &s->search;
    const double g_test = f_tolerance * l->ginit, f_test = l->finit + s->step * g_test;
    if (l->stage1 && f <= f_test && slope >= 0) l->stage1 = false;
    if (f <= f_test && fabs(slope) <= g_tolerance * -l->ginit) return SEARCH_END;
    if (s->step >= s->step_max && f <= f_test && slope <= g_test) return SEARCH_END;
    if (l->bracketed && (s->step <= l->stmin || s->step >= l->stmax || l->stmax - l->stmin <= x_tolerance * l->stmax))
        return SEARCH_END;
    if (l->stage1 && f <= l->fx && f > f_test) { // the auxiliary function f - step * g_test
        l->fx -= l->stx * g_test;
        l->fy -= l->sty * g_test;
        l->gx -= g_test;
        l->gy -= g_test;
        interval_step(l, &s->step, f - s->step * g_test, slope - g_test);
        l->fx += l->stx * g_test;
        l->fy += l->sty * g_test;
        l->gx += g_test;
        l->gy += g_test;
    } else {
        interval_step(l, &s->step, f, slope);
    }
    if (l->bracketed) {
        if (fabs(l->sty - l->stx) >= 0.66 * l->width1) s->step = l->stx + 0.5 * (l->sty - l->stx);
        l->width1 = l->width;
        l->width = fabs(l->sty - l->stx);
        l->stmin = fmin(l->stx, l->sty);
        l->stmax = fmax(l->stx, l->sty);
    } else {
        l->stmin = s->step + 1.1 * (s->step - l->stx);
        l->stmax = s->step + 4 * (s->step - l->stx);
    }
    s->step = clip(s->step, 0, s->step_max);
    if (l->stx < s->step_limit && s->step >= s->step_limit) s->step = l->stx + 0.5 * (s->step_limit - l->stx);
    if (!isfinite(s->step) ||
        (l->bracketed && (s->step <= l->stmin || s->step >= l->stmax || l->stmax - l->stmin <= x_tolerance * l->stmax)))
        return SEARCH_END; // the best step was evaluated already
    return s->step == l->stx ? SEARCH_END : SEARCH_ON;
}

// ---- the iteration ------------------------------------------------------------------------------------------------------

static double projected_gradient(const hpt__lbfgsb *s) {
    double norm = 0;
    for (int64_t i = 0; i < s->n; i++)
        norm = fmax(norm, fabs(clip(s->x[i] - s->g[i], s->low[i], s->high[i]) - s->x[i]));
    return norm;
}

static hpt__lbfgsb_request finish(hpt__lbfgsb *s, hpt__lbfgsb_reason reason) {
    s->reason = reason;
    copy(s->trial, s->best, s->n);
    return HPT__LBFGSB_DONE;
}

static void set_trial(hpt__lbfgsb *s) {
    if (s->step == 1) {
        copy(s->trial, s->cauchy, s->n); // exactly: bounds are met in every bit
        return;
    }
    for (int64_t i = 0; i < s->n; i++) s->trial[i] = clip(s->x[i] + s->step * s->dir[i], s->low[i], s->high[i]);
}

// Direction and first trial from the iterate. False: it does not descend.
static bool start_search(hpt__lbfgsb *s) {
    const int64_t n = s->n;
    double c[2 * M];
    int64_t n_free;
    cauchy_point(s, c, &n_free);
    if (s->n_pairs > 0 && n_free > 0 && !subspace_minimum(s, c, n_free)) return false;
    double slope = 0, length = 0;
    bool boxed = true, bounded = false;
    s->step_max = step_huge;
    for (int64_t i = 0; i < n; i++) {
        const double d = s->dir[i] = s->cauchy[i] - s->x[i];
        slope += d * s->g[i];
        length += d * d;
        const bool low = isfinite(s->low[i]), high = isfinite(s->high[i]);
        boxed = boxed && low && high;
        bounded = bounded || low || high;
        if (d != 0) s->step_max = fmin(s->step_max, fabs(((d < 0 ? s->low[i] : s->high[i]) - s->x[i]) / d));
    }
    if (!(slope < 0) || !isfinite(slope)) return false;
    s->step_max = fmax(s->step_max, 1);
    if (bounded && s->n_pairs == 0) s->step_max = 1;
    length = sqrt(length);
    s->step = 1;
    if (s->n_pairs == 0) {
        if (s->options.first_step > 0)
            s->step = s->options.first_step / length;
        else if (!boxed)
            s->step = 1 / length;
        s->step = s->step > 0 ? fmin(s->step, s->step_max) : 1;
    }
    search_begin(s, slope);
    set_trial(s);
    return true;
}

static hpt__lbfgsb_request iterate(hpt__lbfgsb *s) {
    if (start_search(s)) return HPT__LBFGSB_EVALUATE;
    if (s->n_pairs > 0) {
        forget_pairs(s);
        if (start_search(s)) return HPT__LBFGSB_EVALUATE;
    }
    return finish(s, HPT__LBFGSB_STUCK);
}

// Moves to the best step of the search that has ended.
static hpt__lbfgsb_request accept(hpt__lbfgsb *s) {
    const int64_t n = s->n;
    const double f_old = s->f;
    if (!(s->step_f < f_old)) {
        if (s->n_pairs == 0) return finish(s, HPT__LBFGSB_STUCK);
        forget_pairs(s);
        return iterate(s);
    }
    double *dx = s->work, *dg = s->breaks, curvature = 0, before = 0;
    for (int64_t i = 0; i < n; i++) {
        dx[i] = s->step_x[i] - s->x[i];
        dg[i] = s->step_g[i] - s->g[i];
        curvature += dx[i] * dg[i];
        before -= dx[i] * s->g[i];
    }
    copy(s->x, s->step_x, n);
    copy(s->g, s->step_g, n);
    s->f = s->step_f;
    s->n_iterations++;
    if (projected_gradient(s) <= s->options.gradient_tolerance) return finish(s, HPT__LBFGSB_GRADIENT);
    const double scale = fmax(fmax(fabs(f_old), fabs(s->f)), 1);
    if (s->options.decrease_tolerance > 0 && f_old - s->f <= s->options.decrease_tolerance * scale)
        return finish(s, HPT__LBFGSB_DECREASE);
    if (s->options.max_iterations > 0 && s->n_iterations >= s->options.max_iterations)
        return finish(s, HPT__LBFGSB_ITERATIONS);
    if (curvature > DBL_EPSILON * before && isfinite(curvature) && !add_pair(s, dx, dg, curvature)) forget_pairs(s);
    return iterate(s);
}

// ---- interface ----------------------------------------------------------------------------------------------------------

int hpt__lbfgsb_init(hpt__lbfgsb *s, int64_t n, const double *low, const double *high, const double *x0,
                     const hpt__lbfgsb_options *options) {
    const int64_t vectors = 12 + 2 * M, matrices = 6;
    if (!s->memory || s->capacity < n) {
        const size_t bytes =
            ((size_t)vectors * (size_t)n + (size_t)(matrices * M * M)) * sizeof(double) + (size_t)n * sizeof(int64_t);
        void *memory = n < INT32_MAX ? hpt__malloc(bytes) : NULL;
        if (!memory) return hpt__fail_memory();
        hpt__free(s->memory);
        s->memory = memory;
        s->capacity = n;
    }
    hpt__lbfgsb fresh = {.n = n, .options = *options, .memory = s->memory, .capacity = s->capacity};
    *s = fresh;
    double *at = s->memory;
    double **const squares[] = {&s->sy, &s->ss, &s->chol_m, &s->chol_e, &s->chol_h, &s->small};
    double **const lines[] = {&s->low,    &s->high,   &s->x,   &s->g,      &s->trial, &s->best,
                              &s->step_x, &s->step_g, &s->dir, &s->cauchy, &s->work,  &s->breaks};
    for (int64_t i = 0; i < matrices; i++, at += M * M) *squares[i] = at;
    for (int64_t i = 0; i < 12; i++, at += n) *lines[i] = at;
    s->s = at;
    s->y = at += n * M;
    s->order = (int64_t *)(void *)(at + n * M);
    copy(s->low, low, n);
    copy(s->high, high, n);
    for (int64_t i = 0; i < n; i++) s->x[i] = clip(isnan(x0[i]) ? 0 : x0[i], low[i], high[i]);
    copy(s->trial, s->x, n);
    copy(s->best, s->x, n);
    s->f = s->f_best = INFINITY;
    s->step_f = INFINITY;
    forget_pairs(s);
    return 0;
}

void hpt__lbfgsb_fini(hpt__lbfgsb *s) {
    hpt__free(s->memory);
    *s = (hpt__lbfgsb){0};
}

const double *hpt__lbfgsb_point(const hpt__lbfgsb *s) {
    return s->trial;
}

hpt__lbfgsb_request hpt__lbfgsb_tell(hpt__lbfgsb *s, double f, const double *g) {
    const int64_t n = s->n;
    if (s->reason != HPT__LBFGSB_RUNNING) return HPT__LBFGSB_DONE;
    s->n_evaluations++;
    bool finite = isfinite(f);
    for (int64_t i = 0; i < n && finite; i++) finite = isfinite(g[i]);
    if (finite && f < s->f_best) {
        s->f_best = f;
        copy(s->best, s->trial, n);
    }
    const bool spent = s->options.max_evaluations > 0 && s->n_evaluations >= s->options.max_evaluations;
    if (s->n_evaluations == 1) {
        if (!finite) return finish(s, HPT__LBFGSB_NOT_FINITE);
        s->f = f;
        copy(s->g, g, n);
        if (projected_gradient(s) <= s->options.gradient_tolerance) return finish(s, HPT__LBFGSB_GRADIENT);
        return spent ? finish(s, HPT__LBFGSB_EVALUATIONS) : iterate(s);
    }
    s->n_search++;
    search_result result;
    if (finite) {
        if (f < s->step_f) {
            s->step_f = f;
            copy(s->step_x, s->trial, n);
            copy(s->step_g, g, n);
        }
        result = search_step(s, f, dot(s->dir, g, n));
    } else {
        result = search_back(s);
    }
    if (result == SEARCH_END || s->n_search >= SEARCH_MAX) {
        const hpt__lbfgsb_request request = accept(s);
        return request == HPT__LBFGSB_EVALUATE && spent ? finish(s, HPT__LBFGSB_EVALUATIONS) : request;
    }
    if (spent) return finish(s, HPT__LBFGSB_EVALUATIONS);
    set_trial(s);
    return HPT__LBFGSB_EVALUATE;
}

const double *hpt__lbfgsb_result(const hpt__lbfgsb *s, double *f) {
    if (f) *f = s->f_best;
    return s->best;
}
