// SPDX-License-Identifier: Apache-2.0
// gp.c: the surrogate's data, factor and prediction.
//
// Host memory holds what was told; the model on the device is a cache of it: points, factor, weights. Each is brought up
// to date when it is needed, by the cheapest way that gives the same as making it anew:
//   points   those that the model lacks
//   factor   rows are appended, one by one, O(n^2) each; a new factor only where theta has changed, or where more than an
//            eighth of the rows are new (appending them would cost as much)
//   weights  two triangular solves whenever a value or a row has changed: the transformation moves with the data
// Appending one by one, and from the same first factor after a restart (n_factor in the state), keeps the bits of an
// interrupted study those of an uninterrupted one.
//
// Infinite values stand for "worse (better) than all that is finite": the worst value plus the spread, and what that is
// follows the data, as does the fence behind which values are only bad (gp_warp.c). Doubt about groups seldom seen (section 8
// of the reference pages; a MAP fit calls a branch seen three times flat and never visits it again): a block seen fewer than
// 6 (columns + 1) times keeps lengthscales of at most 0.5 and an amplitude of at least 0.5 for prediction.
//
// A call that fails leaves what was told as it was; caches that were being made are dropped.
// Ownership: a gp owns its copies and its model, borrows device and code. Threads: those of the device.
// Cost: O(n^2) a point; hpt__gp_ready after new hyperparameters O(n^3 / 3).
#include "gp_impl.h"

#include <math.h>
#include <string.h>

static const double doubt_length = 0.5, doubt_amplitude = 0.5;
enum { DOUBT_TIMES = 6, REFACTOR_PART = 8, REFACTOR_LEAST = 16 };

// ---- life

void hpt__gp_default_theta(double *theta, const hpt__cov *cov) {
    const double length = 0.3 * sqrt((double)(cov->d > 0 ? cov->d : 1));
    for (int64_t c = 0; c < cov->d; c++) theta[c] = log(length);
    theta[cov->d] = 0;
    for (int64_t t = cov->d + 1; t < cov->d + cov->n_terms; t++) theta[t] = -1;
    theta[cov->d + cov->n_terms] = -6;
}

int hpt__gp_create(hpt__gp **out, hpt__device *device, const hpt__gp_code *code, const hpt__gp_settings *s) {
    int rc = 0;
    hpt__gp *gp = hpt__calloc(1, sizeof *gp);
    if (!gp) return hpt__fail_memory();
    gp->device = device;
    gp->code = code;
    gp->settings = *s;
    gp->d = code->cov.d;
    gp->p = hpt__cov_n_theta(&code->cov);
    const size_t p = (size_t)gp->p;
    double **const arrays[] = {&gp->theta_factor, &gp->theta_resume, &gp->theta_used, &gp->scratch,
                               &gp->low,          &gp->high,         &gp->start};
    HPT_FAIL_IF(!(isnan(s->noise) || (s->noise >= 0 && isfinite(s->noise))), HPT_E_ARG,
                "the noise is %g; it has to be a standard deviation >= 0, or NaN to be fitted", s->noise);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = hpt__calloc(p, sizeof **arrays[i]);
        if (!*arrays[i]) HPT_TRY(hpt__fail_memory());
    }
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        gp->optimum[v].theta = hpt__calloc(p, sizeof *gp->optimum[v].theta);
        if (!gp->optimum[v].theta) HPT_TRY(hpt__fail_memory());
    }
    gp->block_count = hpt__calloc((size_t)code->cov.n_blocks, sizeof *gp->block_count);
    gp->gradients = hpt__calloc(HPT__GP_VARIANTS * HPT__GP_STARTS * p, sizeof *gp->gradients);
    if (!gp->block_count || !gp->gradients) HPT_TRY(hpt__fail_memory());
    for (int i = 0; i < HPT__GP_VARIANTS * HPT__GP_STARTS; i++) {
        hpt__gp_search *search = &gp->search[i / HPT__GP_STARTS][i % HPT__GP_STARTS];
        search->variant = i / HPT__GP_STARTS;
        search->gradient = gp->gradients + (size_t)i * p;
    }
    hpt__gp_set_kernels(gp);
    HPT_TRY(hpt__model_create(&gp->model, device, hpt__gp_cov(gp), 64));
    hpt__gp_default_theta(gp->theta_used, &code->cov);
    gp->warp = (hpt__warp){.scale = 1, .sd = 1};
    *out = gp;
    gp = NULL;
    rc = 0;
out:
    hpt__gp_destroy(gp);
    return rc;
}

void hpt__gp_destroy(hpt__gp *gp) {
    if (!gp) return;
    hpt__model_destroy(gp->model);
    hpt__gp_drop_rival(gp);
    for (int i = 0; i < HPT__GP_VARIANTS * HPT__GP_STARTS; i++)
        hpt__lbfgsb_fini(&gp->search[i / HPT__GP_STARTS][i % HPT__GP_STARTS].state);
    double *const arrays[] = {gp->rows,         gp->raw,        gp->y,       gp->z,       gp->buffer,
                              gp->theta_factor, gp->theta_used, gp->low,     gp->high,    gp->start,
                              gp->gradients,    gp->z_of[0],    gp->z_of[1], gp->scratch, gp->theta_resume};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) hpt__free(arrays[i]);
    for (int v = 0; v < HPT__GP_VARIANTS; v++) hpt__free(gp->optimum[v].theta);
    hpt__free(gp->mask);
    hpt__free(gp->block_count);
    hpt__free(gp);
}

// ---- data

int hpt__gp_reserve(hpt__gp *gp, int64_t need) {
    int rc = 0;
    if (need <= gp->cap) return 0;
    const int64_t cap = need + need / 2 + 16;
    int64_t cap_rows, cap_mask;
    double **const ones[] = {&gp->raw, &gp->y, &gp->z, &gp->buffer, &gp->z_of[0], &gp->z_of[1]};
    cap_rows = cap_mask = gp->cap;
    const int64_t d = gp->d > 0 ? gp->d : 1;
    HPT_TRY(hpt__grow(&gp->rows, &cap_rows, cap, (size_t)d * sizeof *gp->rows));
    HPT_TRY(hpt__grow(&gp->mask, &cap_mask, cap, sizeof *gp->mask));
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
        int64_t cap_one = gp->cap;
        HPT_TRY(hpt__grow(ones[i], &cap_one, cap, sizeof **ones[i]));
    }
    gp->cap = cap;
    rc = 0;
out:
    return rc;
}

static int check_rows(const hpt__gp *gp, const double *rows, int64_t n) {
    for (int64_t i = 0; i < n * gp->d; i++)
        if (!isfinite(rows[i]))
            return hpt__fail(HPT_E_ARG, "point %lld of %lld has a coordinate that is not finite",
                             (long long)(i / gp->d), (long long)n);
    return 0;
}

static void put_rows(hpt__gp *gp, int64_t at, const double *rows, const uint64_t *mask, int64_t n) {
    if (gp->d > 0 && n > 0) memcpy(gp->rows + at * gp->d, rows, (size_t)(n * gp->d) * sizeof *rows);
    if (n > 0) memcpy(gp->mask + at, mask, (size_t)n * sizeof *mask);
}

void hpt__gp_drop_factor(hpt__gp *gp) {
    gp->n_factor = 0;
    gp->weights_ready = gp->doubtful = false;
}

// The model forgets rows from `rows` on. Should that fail, nothing of the model is believed.
static void cut_model(hpt__gp *gp, int64_t rows) {
    if (gp->n_model <= rows) return;
    if (hpt__model_truncate(gp->model, rows) < 0) {
        hpt__gp_drop_factor(gp);
        gp->n_model = 0;
    } else {
        gp->n_model = rows;
    }
}

static void drop_pending(hpt__gp *gp) {
    gp->n_pending = 0;
    cut_model(gp, gp->n);
}

int hpt__gp_move(hpt__gp *gp, hpt__device *device) {
    hpt__model *model;
    int rc = hpt__model_create(&model, device, hpt__gp_cov(gp), gp->n + 1);
    if (rc < 0) return rc;
    hpt__model_destroy(gp->model);
    hpt__gp_drop_rival(gp); // it lives on the old device
    gp->model = model;
    gp->device = device;
    gp->n_model = 0;
    hpt__gp_drop_factor(gp);
    return 0;
}

int hpt__gp_tell(hpt__gp *gp, const double *rows, const uint64_t *mask, const double *y, int64_t n) {
    int rc = 0;
    HPT_FAIL_IF(n < 0, HPT_E_ARG, "%lld points to tell", (long long)n);
    for (int64_t i = 0; i < n; i++) HPT_FAIL_IF(isnan(y[i]), HPT_E_ARG, "the value of point %lld is NaN", (long long)i);
    HPT_TRY(check_rows(gp, rows, n));
    HPT_TRY(hpt__gp_reserve(gp, gp->n + n));
    drop_pending(gp);
    if (n == 0) return 0;
    put_rows(gp, gp->n, rows, mask, n);
    for (int64_t i = 0; i < n; i++) {
        gp->raw[gp->n + i] = y[i];
        for (int64_t b = 0; b < gp->code->cov.n_blocks; b++) gp->block_count[b] += (int64_t)(mask[i] >> b & 1);
    }
    gp->n += n;
    gp->z_ready = gp->weights_ready = false;
    rc = 0;
out:
    return rc;
}

int hpt__gp_clear(hpt__gp *gp) {
    gp->n = gp->n_pending = gp->n_resume = 0;
    cut_model(gp, 0);
    hpt__gp_drop_rival(gp);
    hpt__gp_drop_factor(gp);
    memset(gp->block_count, 0, (size_t)gp->code->cov.n_blocks * sizeof *gp->block_count);
    gp->z_ready = false;
    gp->changed = true;
    return 0;
}

int hpt__gp_set_value(hpt__gp *gp, int64_t i, double y) {
    if (i < 0 || i >= gp->n)
        return hpt__fail(HPT_E_ARG, "there is no told point %lld, only %lld", (long long)i, (long long)gp->n);
    if (isnan(y)) return hpt__fail(HPT_E_ARG, "the value of point %lld is NaN", (long long)i);
    if (gp->raw[i] == y) return 0;
    gp->raw[i] = y;
    gp->z_ready = gp->weights_ready = false;
    gp->changed = true;
    return 0;
}

// Appends row `at` to the model and its factor. On failure the model is as before, or without factor.
static int append_row(hpt__gp *gp, int64_t at) {
    double logdet;
    int rc = hpt__model_set_points(gp->model, at, gp->rows + at * gp->d, gp->mask + at, 1);
    if (rc < 0) return rc;
    gp->n_model = at + 1;
    rc = hpt__model_append(gp->model, &logdet);
    if (rc < 0) {
        cut_model(gp, at);
        return rc;
    }
    if (rc == HPT_S_JITTERED) { // factored anew with more jitter
        gp->n_factor = gp->n;
        gp->generation++;
    }
    return 0;
}

// Whether the factor holds all told and pending rows.
static bool is_factored(const hpt__gp *gp) {
    return gp->n_factor > 0 && gp->n_model == gp->n + gp->n_pending && hpt__model_rows(gp->model) == gp->n_model;
}

int hpt__gp_add_pending(hpt__gp *gp, const double *row, uint64_t mask) {
    int rc = check_rows(gp, row, 1);
    if (rc < 0) return rc;
    const int64_t at = gp->n + gp->n_pending;
    rc = hpt__gp_reserve(gp, at + 1);
    if (rc < 0) return rc;
    const bool extend = is_factored(gp);
    put_rows(gp, at, row, &mask, 1);
    if (extend) {
        rc = append_row(gp, at);
        if (rc < 0) return rc;
    }
    gp->n_pending++;
    return 0;
}

int hpt__gp_set_pending(hpt__gp *gp, const double *rows, const uint64_t *mask, int64_t n) {
    int rc = 0;
    HPT_FAIL_IF(n < 0, HPT_E_ARG, "%lld pending points", (long long)n);
    HPT_TRY(check_rows(gp, rows, n));
    HPT_TRY(hpt__gp_reserve(gp, gp->n + n));
    drop_pending(gp);
    for (int64_t i = 0; i < n; i++) HPT_TRY(hpt__gp_add_pending(gp, rows + i * gp->d, mask[i]));
    rc = 0;
out:
    if (rc < 0) drop_pending(gp);
    return rc;
}

// ---- values

void hpt__gp_sync_values(hpt__gp *gp) {
    if (gp->z_ready) return;
    double low = INFINITY, high = -INFINITY;
    int64_t m = 0;
    for (int64_t i = 0; i < gp->n; i++)
        if (isfinite(gp->raw[i])) gp->buffer[m++] = fmin(fmax(gp->raw[i], -HPT__GP_HUGE), HPT__GP_HUGE);
    gp->fence = fmin(hpt__gp_fence(gp->buffer, m), HPT__GP_HUGE);
    for (int64_t i = 0; i < gp->n; i++) {
        if (!isfinite(gp->raw[i])) continue;
        gp->y[i] = fmin(fmax(gp->raw[i], -HPT__GP_HUGE), gp->fence);
        low = fmin(low, gp->y[i]);
        high = fmax(high, gp->y[i]);
    }
    if (low > high) low = high = 0; // nothing finite
    const double spread = high > low ? high - low : fmax(fabs(high), 1);
    gp->worse = fmin(high + spread, 2 * HPT__GP_HUGE);
    gp->better = fmax(low - spread, -2 * HPT__GP_HUGE);
    for (int64_t i = 0; i < gp->n; i++)
        if (!isfinite(gp->raw[i])) gp->y[i] = gp->raw[i] > 0 ? gp->worse : gp->better;
    if (gp->n > 0) hpt__gp_warp_fit(&gp->warp, gp->warp.kind, gp->y, gp->n, gp->buffer);
    for (int64_t i = 0; i < gp->n; i++) gp->z[i] = hpt__warp_apply(&gp->warp, gp->y[i]);
    gp->z_ready = true;
}

double hpt__gp_transform(hpt__gp *gp, double y) {
    hpt__gp_sync_values(gp);
    const double finite = isfinite(y) ? fmin(fmax(y, -HPT__GP_HUGE), gp->fence) : y > 0 ? gp->worse : gp->better;
    return hpt__warp_apply(&gp->warp, finite);
}

int hpt__gp_variant(const hpt__gp *gp) {
    return gp->kernel * HPT__WARP_COUNT + (int)gp->warp.kind;
}

int hpt__gp_choose(hpt__gp *gp, int variant) {
    const hpt__warp_kind kind = (hpt__warp_kind)(variant % HPT__WARP_COUNT);
    int rc = hpt__gp_use_kernel(gp, variant / HPT__WARP_COUNT);
    if (rc < 0) return rc;
    if (gp->warp.kind != kind) gp->z_ready = gp->weights_ready = false;
    gp->warp.kind = kind;
    memcpy(gp->theta_used, gp->optimum[variant].theta, (size_t)gp->p * sizeof *gp->theta_used);
    return 0;
}

double hpt__gp_fixed_noise(const hpt__gp *gp, const hpt__warp *w) {
    const double sd = gp->settings.noise / w->sd;
    return log(fmin(fmax(sd * sd, HPT__GP_NOISE_LEAST), HPT__GP_NOISE_MOST));
}

// ---- factor and weights

int hpt__gp_sync_points(hpt__gp *gp) {
    if (gp->n_model >= gp->n) return 0;
    const int64_t at = gp->n_model;
    int rc = hpt__model_set_points(gp->model, at, gp->rows + at * gp->d, gp->mask + at, gp->n - at);
    if (rc < 0) return rc;
    gp->n_model = gp->n;
    return 0;
}

// theta (p) for prediction: the fit's, with the doubt about groups seldom seen and what the caller doubts.
static void doubt_theta(double *theta, const hpt__gp *gp, double lengthscale_max, double amplitude_min) {
    const hpt__cov *cov = &gp->code->cov;
    const hpt__gp_optimum *best = &gp->optimum[hpt__gp_variant(gp)];
    if (best->found) {
        memcpy(theta, best->theta, (size_t)gp->p * sizeof *theta);
    } else {
        hpt__gp_default_theta(theta, cov);
        if (!isnan(gp->settings.noise)) theta[gp->p - 1] = hpt__gp_fixed_noise(gp, &gp->warp);
    }
    for (int64_t b = 1; b < cov->n_blocks; b++) {
        int64_t columns = 0;
        for (int64_t c = 0; c < cov->d; c++) columns += cov->block[c] == b;
        if (gp->block_count[b] >= DOUBT_TIMES * (columns + 1)) continue;
        for (int64_t c = 0; c < cov->d; c++)
            if (cov->block[c] == b) theta[c] = fmin(theta[c], log(doubt_length));
        theta[cov->d + b] = fmax(theta[cov->d + b], log(doubt_amplitude)); // term b is block b's
    }
    for (int64_t c = 0; c < cov->d; c++) theta[c] = fmin(theta[c], log(lengthscale_max));
    if (amplitude_min > 0) theta[cov->d] = fmax(theta[cov->d], log(amplitude_min));
}

// A factor of the first `rows` told points.
static int factor_anew(hpt__gp *gp, int64_t rows, const double *theta) {
    double jitter, logdet;
    hpt__gp_drop_factor(gp);
    cut_model(gp, rows);
    int rc = 0;
    const int64_t at = gp->n_model;
    if (at < rows) rc = hpt__model_set_points(gp->model, at, gp->rows + at * gp->d, gp->mask + at, rows - at);
    if (rc < 0) return rc;
    gp->n_model = rows;
    rc = hpt__model_factor(gp->model, theta, &jitter, &logdet);
    if (rc < 0) return rc;
    memcpy(gp->theta_factor, theta, (size_t)gp->p * sizeof *theta);
    gp->n_factor = rows;
    return 0;
}

static bool same_theta(const hpt__gp *gp, const double *a, const double *b) {
    return memcmp(a, b, (size_t)gp->p * sizeof *a) == 0;
}

// The factor that a saved state had, in the same steps. Without effect where it would not be used.
static int resume_factor(hpt__gp *gp, const double *theta) {
    int rc = 0;
    const int64_t first = gp->n_resume, rows = gp->n_resume_rows;
    gp->n_resume = 0;
    if (first < 1 || first > rows || rows > gp->n || gp->n_factor > 0 || !same_theta(gp, theta, gp->theta_resume))
        return 0;
    HPT_TRY(factor_anew(gp, first, theta));
    for (int64_t i = first; i < rows; i++) HPT_TRY(append_row(gp, i));
    rc = 0;
out:
    return rc;
}

static int make_ready(hpt__gp *gp, const double *theta) {
    int rc = 0;
    HPT_FAIL_IF(gp->n < 1, HPT_E_STATE, "a Gaussian process without points predicts nothing; tell it one");
    if (gp->n_resume > 0) HPT_TRY(resume_factor(gp, theta));
    const int64_t want = gp->n + gp->n_pending;
    int64_t rows = gp->n_factor > 0 ? hpt__model_rows(gp->model) : 0;
    if (rows > 0 && !same_theta(gp, gp->theta_factor, theta)) rows = 0;
    const int64_t more = gp->n - rows;
    if (rows > 0 && more > REFACTOR_LEAST && more > rows / REFACTOR_PART) rows = 0;
    if (rows == 0) {
        rows = gp->n;
        HPT_TRY(factor_anew(gp, rows, theta));
    }
    if (rows < want) {
        gp->weights_ready = false;
        cut_model(gp, rows);
        for (int64_t i = gp->n_model; i < want; i++) HPT_TRY(append_row(gp, i));
    }
    if (!gp->weights_ready) {
        HPT_TRY(hpt__model_set_y(gp->model, gp->z, gp->n));
        gp->generation++;
    }
    gp->weights_ready = true;
    memcpy(gp->theta_used, theta, (size_t)gp->p * sizeof *theta);
    rc = 0;
out:
    if (rc < 0) gp->weights_ready = false;
    return rc;
}

int hpt__gp_ready(hpt__gp *gp) {
    hpt__gp_sync_values(gp);
    doubt_theta(gp->scratch, gp, INFINITY, 0);
    int rc = make_ready(gp, gp->scratch);
    if (rc >= 0) gp->doubtful = false;
    return rc;
}

int hpt__gp_ready_doubtful(hpt__gp *gp, double lengthscale_max, double amplitude_min) {
    if (!(lengthscale_max > 0) || isnan(amplitude_min))
        return hpt__fail(HPT_E_ARG, "doubt needs a positive lengthscale, not %g", lengthscale_max);
    hpt__gp_sync_values(gp);
    doubt_theta(gp->scratch, gp, lengthscale_max, amplitude_min);
    int rc = make_ready(gp, gp->scratch);
    if (rc >= 0) gp->doubtful = true;
    return rc;
}

static double spread(const hpt__warp *w, double mu, double s) {
    if (w->kind == HPT__WARP_NONE) return fmin(s * w->sd, HPT__GP_HUGE);
    return 0.5 * hpt__warp_invert(w, mu + s) - 0.5 * hpt__warp_invert(w, mu - s);
}

int hpt__gp_predict(hpt__gp *gp, const double *rows, const uint64_t *mask, int64_t m, double *mean, double *sd) {
    int rc = 0;
    if (!is_factored(gp) || !gp->weights_ready) HPT_TRY(hpt__gp_ready(gp));
    enum { PART = 512 };
    double mu[PART], var[PART];
    for (int64_t at = 0; at < m; at += PART) {
        const int64_t k = m - at < PART ? m - at : PART;
        HPT_TRY(hpt__model_posterior(gp->model, rows + at * gp->d, mask + at, k, mu, sd ? var : NULL, NULL, NULL));
        for (int64_t i = 0; i < k; i++) {
            if (mean) mean[at + i] = hpt__warp_invert(&gp->warp, mu[i]);
            if (sd) sd[at + i] = spread(&gp->warp, mu[i], sqrt(var[i]));
        }
    }
    rc = 0;
out:
    return rc;
}

int hpt__gp_log_likelihood(hpt__gp *gp, double *out) {
    int rc = 0;
    double value;
    HPT_TRY(hpt__gp_ready(gp));
    HPT_TRY(hpt__model_mll(gp->model, gp->theta_used, gp->z, gp->n, &value, NULL));
    *out = value + hpt__warp_log_jacobian(&gp->warp, gp->y, gp->n);
    rc = 0;
out:
    return rc;
}

// ---- what it holds

int64_t hpt__gp_n(const hpt__gp *gp) {
    return gp->n;
}
int64_t hpt__gp_n_pending(const hpt__gp *gp) {
    return gp->n_pending;
}
const double *hpt__gp_theta(const hpt__gp *gp) {
    return gp->theta_used;
}
const hpt__warp *hpt__gp_warp(const hpt__gp *gp) {
    return &gp->warp;
}
const hpt__gp_code *hpt__gp_code_of(const hpt__gp *gp) {
    return gp->code;
}
hpt__model *hpt__gp_model(hpt__gp *gp) {
    return gp->model;
}
int64_t hpt__gp_generation(const hpt__gp *gp) {
    return gp->generation;
}
double hpt__gp_noise_sd(const hpt__gp *gp) {
    return exp(0.5 * gp->theta_used[gp->p - 1]);
}
const double *hpt__gp_rows(const hpt__gp *gp) {
    return gp->rows;
}
const uint64_t *hpt__gp_masks(const hpt__gp *gp) {
    return gp->mask;
}
const double *hpt__gp_z(const hpt__gp *gp) {
    return gp->z;
}
