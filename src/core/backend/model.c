// SPDX-License-Identifier: Apache-2.0
// model.c: models as the rooms above use them: points, factor and weights of a backend's model, with arguments and results
// checked, the jitter ladder, and the accounting. Likelihoods: model_mll.c.
//
//   ladder: A = K + (noise + j) I with j = 0, then 1e-10, 1e-9 .. 1e-3 times the mean diagonal of K + noise I, until the
//   backend's factor exists
//
// Why relative to the diagonal: what a pivot loses to rounding is a multiple of eps times the diagonal, whatever the scale
// of the data. Why checks here and not in the backends: each is written once, and no backend can forget one; a NaN that
// gets into a factor comes out as a bad suggestion hours later. Checks are O(n d), nothing beside O(n^2).
//
// Ownership: a model owns the backend's model, masks, and a copy of theta and y; it borrows the covariance and the device.
// Threads: one at a time per device. Cost: n numbers and n words beside the backend's memory.
#include "model_state.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/num.h"
#include <math.h>
#include <string.h>

// ---- checks

int hpt__check_numbers(const char *doing, const char *what, const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(v[i])) continue;
        char number[HPT__DOUBLE_MAX];
        hpt__double_repr(number, v[i]);
        return hpt__fail(HPT_E_ARG, "%s: %s %lld is %s; finite numbers are needed", doing, what, (long long)i, number);
    }
    return 0;
}

int hpt__check_points(const char *doing, const double *x, const uint64_t *mask, int64_t n, int64_t d) {
    if (n > 0 && (!x || !mask)) return hpt__fail(HPT_E_ARG, "%s: points and masks must not be NULL", doing);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++)
            if (!isfinite(x[i * d + j]))
                return hpt__fail(HPT_E_ARG, "%s: column %lld of point %lld is not finite", doing, (long long)j,
                                 (long long)i);
        if (!(mask[i] & 1)) return hpt__fail(HPT_E_ARG, "%s: block 0 is not active in point %lld", doing, (long long)i);
    }
    return 0;
}

int hpt__check_result(const hpt__device *device, const char *what, const double *v, int64_t rows, int64_t columns,
                      int64_t ld, bool lower) {
    for (int64_t j = 0; v && j < columns; j++) {
        for (int64_t i = lower ? j : 0; i < rows; i++) {
            if (isfinite(v[i + j * ld])) continue;
            char number[HPT__DOUBLE_MAX];
            hpt__double_repr(number, v[i + j * ld]);
            return hpt__fail(HPT_E_NUMERIC, "backend '%s': %s (%lld, %lld) is %s", device->ops->name, what,
                             (long long)i, (long long)j, number);
        }
    }
    return 0;
}

bool hpt__theta_in_range(const hpt__cov *cov, const double *theta) {
    for (int64_t j = 0; j < hpt__cov_n_theta(cov); j++)
        if (!(fabs(theta[j]) <= HPT__THETA_MAX)) return false;
    return true;
}

int hpt__check_theta(const char *doing, const hpt__cov *cov, const double *theta) {
    if (!theta) return hpt__fail(HPT_E_ARG, "%s: theta is NULL", doing);
    if (hpt__theta_in_range(cov, theta)) return 0;
    return hpt__fail(HPT_E_ARG, "%s: a hyperparameter is not a number between -%d and %d", doing, (int)HPT__THETA_MAX,
                     (int)HPT__THETA_MAX);
}

int hpt__check_cov(const hpt__cov *c) {
    if (!c || !c->categorical || !c->block || !c->term_blocks)
        return hpt__fail(HPT_E_ARG, "covariance: it and its arrays must not be NULL");
    if (c->kind != HPT__COV_MATERN52 && c->kind != HPT__COV_MATERN32 && c->kind != HPT__COV_RBF)
        return hpt__fail(HPT_E_ARG, "covariance: there is no kind %d", (int)c->kind);
    if (c->d < 1 || c->d > HPT__POINTS_MAX || c->n_blocks < 1 || c->n_blocks > HPT__BLOCKS_MAX || c->n_terms < 1 ||
        c->n_terms > HPT__POINTS_MAX)
        return hpt__fail(HPT_E_ARG,
                         "covariance: %lld columns, %lld blocks, %lld terms; each needs at least one, blocks are at "
                         "most %d",
                         (long long)c->d, (long long)c->n_blocks, (long long)c->n_terms, (int)HPT__BLOCKS_MAX);
    const uint64_t blocks = c->n_blocks == 64 ? UINT64_MAX : (UINT64_C(1) << c->n_blocks) - 1;
    for (int64_t j = 0; j < c->d; j++)
        if (c->block[j] < 0 || c->block[j] >= c->n_blocks)
            return hpt__fail(HPT_E_ARG, "covariance: column %lld is in block %d of %lld", (long long)j,
                             (int)c->block[j], (long long)c->n_blocks);
    for (int64_t t = 0; t < c->n_terms; t++)
        if (c->term_blocks[t] & ~blocks)
            return hpt__fail(HPT_E_ARG, "covariance: term %lld has a block that is not there", (long long)t);
    if (c->term_blocks[0] != 1) return hpt__fail(HPT_E_ARG, "covariance: term 0 must be block 0 alone");
    return 0;
}

// ---- accounting

void hpt__account(hpt__device *device, hpt__op op, const hpt__model_shape *shape, double start) {
    hpt__counters *c = &device->counters;
    c->calls[op]++;
    c->seconds[op] += hpt__now_mono() - start;
    c->flops[op] += hpt__op_flops(op, shape);
}

void hpt__account_bytes(hpt__model *model) {
    hpt__counters *c = &model->device->counters;
    const int64_t now = model->own ? model->device->ops->model_bytes(model->own) : 0;
    c->bytes += now - model->bytes;
    model->bytes = now;
    if (c->bytes > c->peak_bytes) c->peak_bytes = c->bytes;
}

void hpt__account_model(hpt__model *m, hpt__op op, int64_t n, int64_t s, double start) {
    const hpt__model_shape shape = {.n = n, .d = m->cov->d, .n_terms = m->cov->n_terms, .s = s};
    hpt__account(m->device, op, &shape, start);
    hpt__account_bytes(m);
}

// ---- life

static int check_room(const hpt__device *device, const hpt__cov *cov, int64_t n) {
    const hpt__model_shape shape = {.n = n, .d = cov->d, .n_terms = cov->n_terms};
    const int64_t need = device->ops->need_bytes(&shape), limit = hpt__device_memory(device);
    if (need <= limit) return 0;
    return hpt__fail(HPT_E_MEMORY, "a model of %lld points needs %lld KiB on device '%s', which may use %lld KiB",
                     (long long)n, (long long)(need / 1024), device->name, (long long)(limit / 1024));
}

int hpt__model_create(hpt__model **out, hpt__device *device, const hpt__cov *cov, int64_t cap) {
    int rc = 0;
    hpt__model *m = NULL;
    HPT_FAIL_IF(!out || !device, HPT_E_ARG, "creating a model: out and device must not be NULL");
    HPT_FAIL_IF(cap < 0 || cap > HPT__POINTS_MAX, HPT_E_ARG, "creating a model: room for %lld points", (long long)cap);
    HPT_TRY(hpt__check_cov(cov));
    HPT_TRY(check_room(device, cov, cap));
    m = hpt__calloc(1, sizeof *m);
    if (!m) return hpt__fail_memory();
    m->device = device;
    m->cov = cov;
    m->theta = hpt__calloc((size_t)hpt__cov_n_theta(cov), sizeof *m->theta);
    if (!m->theta) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(device->ops->model_create(&m->own, device->ctx, cov, cap));
    hpt__account_bytes(m);
    *out = m;
    m = NULL;
out:
    hpt__model_destroy(m);
    return rc;
}

void hpt__model_destroy(hpt__model *m) {
    if (!m) return;
    if (m->own) m->device->ops->model_destroy(m->own);
    m->own = NULL;
    hpt__account_bytes(m);
    hpt__pool_fini(m);
    hpt__free(m->mask);
    hpt__free(m->theta);
    hpt__free(m->y);
    hpt__free(m);
}

int64_t hpt__model_points(const hpt__model *m) {
    return m->n;
}

int64_t hpt__model_rows(const hpt__model *m) {
    return m->device->ops->model_rows(m->own);
}

double hpt__model_jitter(const hpt__model *m) {
    return m->jitter;
}

// Weights over more than n points are gone.
static void cut(hpt__model *m, int64_t n) {
    m->n = n;
    if (m->n_y > n) m->n_y = 0;
    hpt__pool_cut(m, n);
}

int hpt__model_set_points(hpt__model *m, int64_t at, const double *x, const uint64_t *mask, int64_t k) {
    int rc = 0;
    HPT_FAIL_IF(!m, HPT_E_ARG, "setting points: the model is NULL");
    HPT_FAIL_IF(at < 0 || at > m->n || k < 1 || k > HPT__POINTS_MAX - at, HPT_E_ARG,
                "setting points: %lld at row %lld of a model with %lld", (long long)k, (long long)at, (long long)m->n);
    HPT_TRY(hpt__check_points("setting points", x, mask, k, m->cov->d));
    HPT_TRY(check_room(m->device, m->cov, at + k));
    HPT_TRY(hpt__grow(&m->mask, &m->cap_mask, at + k, sizeof *m->mask));
    HPT_TRY(m->device->ops->model_set_points(m->own, at, x, mask, k));
    memcpy(m->mask + at, mask, (size_t)k * sizeof *mask);
    cut(m, at);
    m->n = at + k;
    hpt__account_bytes(m);
out:
    return rc;
}

int hpt__model_truncate(hpt__model *m, int64_t n) {
    int rc = 0;
    HPT_FAIL_IF(!m, HPT_E_ARG, "truncating a model: the model is NULL");
    HPT_FAIL_IF(n < 0 || n > m->n, HPT_E_ARG, "truncating a model of %lld points to %lld", (long long)m->n,
                (long long)n);
    HPT_TRY(m->device->ops->model_truncate(m->own, n));
    cut(m, n);
out:
    return rc;
}

// ---- factor

const double hpt__jitter_ladder[HPT__LADDER] = {0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3};

double hpt__cov_variance(const hpt__cov *cov, const double *theta, uint64_t mask) {
    double sum = 0;
    for (int64_t t = 0; t < cov->n_terms; t++)
        if ((cov->term_blocks[t] & ~mask) == 0) sum += exp(theta[cov->d + t]);
    return sum;
}

double hpt__mean_diagonal(const hpt__model *m, const double *theta, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += hpt__cov_variance(m->cov, theta, m->mask[i]);
    return sum / (double)n + exp(theta[m->cov->d + m->cov->n_terms]);
}

// Factor with the first jitter of the ladder that is larger than `above` and works.
static int climb(hpt__model *m, const double *theta, double above, double *logdet) {
    const double scale = hpt__mean_diagonal(m, theta, m->n);
    int64_t info = 1;
    int rc = 0;
    m->n_y = 0;
    hpt__pool_cut(m, 0);
    for (int i = 0; i < HPT__LADDER; i++) {
        const double jitter = hpt__jitter_ladder[i] * scale;
        if (!(jitter > above)) continue;
        HPT_TRY(m->device->ops->model_factor(m->own, theta, jitter, logdet, &info));
        if (info) continue;
        HPT_TRY(hpt__check_result(m->device, "log-determinant", logdet, 1, 1, 1, false));
        memmove(m->theta, theta, (size_t)hpt__cov_n_theta(m->cov) * sizeof *theta);
        m->jitter = jitter;
        return jitter > 0 ? HPT_S_JITTERED : 0;
    }
    return hpt__fail(HPT_E_NUMERIC,
                     "backend '%s': the covariance of %lld points is not positive definite even with a thousandth "
                     "of its mean diagonal added (pivot %lld)",
                     m->device->ops->name, (long long)m->n, (long long)info);
out:
    return rc;
}

int hpt__model_factor(hpt__model *m, const double *theta, double *jitter, double *logdet) {
    int rc = 0;
    double value = 0;
    HPT_FAIL_IF(!m, HPT_E_ARG, "factor: the model is NULL");
    HPT_FAIL_IF(m->n < 1, HPT_E_STATE, "factor: the model holds no point");
    HPT_TRY(hpt__check_theta("factor", m->cov, theta));
    const double start = hpt__now_mono();
    HPT_TRY(climb(m, theta, -1, &value));
    hpt__account_model(m, HPT__OP_FACTOR, m->n, 0, start);
    if (jitter) *jitter = m->jitter;
    if (logdet) *logdet = value;
out:
    return rc;
}

int hpt__model_append(hpt__model *m, double *logdet) {
    int rc = 0;
    int64_t info = 0;
    double value = 0;
    HPT_FAIL_IF(!m, HPT_E_ARG, "append: the model is NULL");
    const double start = hpt__now_mono();
    const int64_t rows = hpt__model_rows(m);
    HPT_FAIL_IF(rows < 1, HPT_E_STATE, "append: the model has no factor to extend");
    HPT_TRY(m->device->ops->model_append(m->own, &value, &info));
    if (info == 0) {
        HPT_TRY(hpt__check_result(m->device, "log-determinant", &value, 1, 1, 1, false));
        hpt__account_model(m, HPT__OP_APPEND, rows, m->n - rows, start);
    } else {
        const int64_t n_y = m->n_y;
        HPT_TRY(climb(m, m->theta, m->jitter, &value));
        if (n_y > 0) {
            const int remark = rc;
            HPT_TRY(m->device->ops->model_set_y(m->own, m->y, n_y));
            m->n_y = n_y;
            rc = remark;
        }
        hpt__account_model(m, HPT__OP_FACTOR, m->n, 0, start);
    }
    if (logdet) *logdet = value;
out:
    return rc;
}

int hpt__model_set_y(hpt__model *m, const double *y, int64_t n) {
    int rc = 0;
    HPT_FAIL_IF(!m || !y, HPT_E_ARG, "setting values: model and values must not be NULL");
    const int64_t rows = hpt__model_rows(m);
    HPT_FAIL_IF(rows < 1, HPT_E_STATE, "setting values: the model has no factor");
    HPT_FAIL_IF(n < 1 || n > rows, HPT_E_ARG, "setting values: %lld for a factor of %lld rows", (long long)n,
                (long long)rows);
    HPT_TRY(hpt__check_numbers("setting values", "value", y, n));
    HPT_TRY(hpt__grow(&m->y, &m->cap_y, n, sizeof *m->y));
    m->n_y = 0;
    HPT_TRY(m->device->ops->model_set_y(m->own, y, n));
    memmove(m->y, y, (size_t)n * sizeof *y);
    m->n_y = n;
out:
    return rc;
}

int hpt__model_get_factor(const hpt__model *m, double *l, int64_t ldl) {
    int rc = 0;
    HPT_FAIL_IF(!m || !l, HPT_E_ARG, "reading the factor: model and array must not be NULL");
    const int64_t rows = hpt__model_rows(m);
    HPT_FAIL_IF(rows < 1, HPT_E_STATE, "reading the factor: the model has none");
    HPT_FAIL_IF(ldl < rows, HPT_E_ARG, "reading the factor: leading dimension %lld of %lld rows", (long long)ldl,
                (long long)rows);
    HPT_TRY(m->device->ops->model_get_factor(m->own, l, ldl));
out:
    return rc;
}

int hpt__model_solve(hpt__model *m, bool transposed, double *b, int64_t ldb, int64_t s) {
    int rc = 0;
    HPT_FAIL_IF(!m || (s > 0 && !b), HPT_E_ARG, "solve: model and right-hand sides must not be NULL");
    const int64_t rows = hpt__model_rows(m);
    HPT_FAIL_IF(rows < 1, HPT_E_STATE, "solve: the model has no factor");
    HPT_FAIL_IF(s < 0 || ldb < rows, HPT_E_ARG, "solve: %lld right-hand sides with leading dimension %lld of %lld rows",
                (long long)s, (long long)ldb, (long long)rows);
    if (s == 0) return 0;
    HPT_TRY(m->device->ops->model_solve(m->own, transposed, b, ldb, s));
    HPT_TRY(hpt__check_result(m->device, "solution", b, rows, s, ldb, false));
out:
    return rc;
}
