// SPDX-License-Identifier: Apache-2.0
// model_predict.c: what a model says about candidates, and bare covariances, with arguments and results checked.
//
// As model.c; here the state that a question needs is checked too: variances need a factor, means need weights.
// Ownership: all arrays are the caller's. Threads: one at a time per device.
#include "model_state.h"

#include "../base/clock.h"
#include "../base/error.h"
#include "screen_default.h"
#include <math.h>

int hpt__check_candidates(const char *doing, const hpt__model *m, const double *z, const uint64_t *zmask, int64_t n,
                          bool weights) {
    if (!m) return hpt__fail(HPT_E_ARG, "%s: the model is NULL", doing);
    if (n < 0) return hpt__fail(HPT_E_ARG, "%s: %lld candidates", doing, (long long)n);
    if (hpt__model_rows(m) < 1) return hpt__fail(HPT_E_STATE, "%s: the model has no factor", doing);
    if (weights && m->n_y < 1) return hpt__fail(HPT_E_STATE, "%s: the model has no values", doing);
    return hpt__check_points(doing, z, zmask, n, m->cov->d);
}

static void account(hpt__model *m, bool gradient, int64_t n, double start) {
    const hpt__model_shape shape = {.n = hpt__model_rows(m), .d = m->cov->d, .n_terms = m->cov->n_terms, .m = n};
    hpt__account(m->device, gradient ? HPT__OP_POSTERIOR_GRAD : HPT__OP_POSTERIOR, &shape, start);
    hpt__account_bytes(m);
}

int hpt__model_posterior(hpt__model *m, const double *z, const uint64_t *zmask, int64_t n, double *mean, double *var,
                         double *dmean, double *dvar) {
    int rc = 0;
    HPT_TRY(hpt__check_candidates("posterior", m, z, zmask, n, mean || dmean));
    if (n == 0) return 0;
    const double start = hpt__now_mono();
    const int64_t d = m->cov->d;
    HPT_TRY(m->device->ops->posterior(m->own, z, zmask, n, mean, var, dmean, dvar));
    HPT_TRY(hpt__check_result(m->device, "posterior mean", mean, n, 1, n, false));
    HPT_TRY(hpt__check_result(m->device, "posterior variance", var, n, 1, n, false));
    HPT_TRY(hpt__check_result(m->device, "gradient of the posterior mean", dmean, d, n, d, false));
    HPT_TRY(hpt__check_result(m->device, "gradient of the posterior variance", dvar, d, n, d, false));
    account(m, dmean || dvar, n, start);
out:
    return rc;
}

static int check_acq(const char *doing, const hpt__acq *acq) {
    if (!acq) return hpt__fail(HPT_E_ARG, "%s: the acquisition is NULL", doing);
    bool good = true;
    switch (acq->kind) {
    case HPT__ACQ_LOGEI:
        good = isfinite(acq->best) && isfinite(acq->noise) && acq->noise >= 0;
        break;
    case HPT__ACQ_LCB:
        good = isfinite(acq->beta);
        break;
    case HPT__ACQ_PE:
        good = isfinite(acq->beta) && isfinite(acq->tau);
        break;
    case HPT__ACQ_MEAN:
    case HPT__ACQ_SD:
        break;
    default:
        return hpt__fail(HPT_E_ARG, "%s: there is no acquisition %d", doing, (int)acq->kind);
    }
    return good ? 0
                : hpt__fail(HPT_E_ARG, "%s: a number of the acquisition is not finite, or a variance negative", doing);
}

int hpt__model_acquire(hpt__model *m, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n,
                       double *value, double *grad) {
    int rc = 0;
    HPT_TRY(check_acq("acquisition", acq));
    HPT_TRY(hpt__check_candidates("acquisition", m, z, zmask, n, acq->kind != HPT__ACQ_SD));
    HPT_FAIL_IF(n > 0 && !value, HPT_E_ARG, "acquisition: value is NULL");
    if (n == 0) return 0;
    const double start = hpt__now_mono();
    const int64_t d = m->cov->d;
    HPT_TRY(m->device->ops->acquire(m->own, acq, z, zmask, n, value, grad));
    HPT_TRY(hpt__check_result(m->device, "acquisition value", value, n, 1, n, false));
    HPT_TRY(hpt__check_result(m->device, "acquisition gradient", grad, d, n, d, false));
    account(m, grad != NULL, n, start);
out:
    return rc;
}

int hpt__model_joint(hpt__model *m, const double *z, const uint64_t *zmask, int64_t n, double *mean, double *cov,
                     int64_t ldc) {
    int rc = 0;
    HPT_TRY(hpt__check_candidates("joint posterior", m, z, zmask, n, mean != NULL));
    HPT_FAIL_IF(n > 0 && (!cov || ldc < n), HPT_E_ARG,
                "joint posterior: the covariance of %lld points is NULL or its leading dimension is %lld", (long long)n,
                (long long)ldc);
    if (n == 0) return 0;
    const double start = hpt__now_mono();
    HPT_TRY(m->device->ops->joint(m->own, z, zmask, n, mean, cov, ldc));
    HPT_TRY(hpt__check_result(m->device, "joint mean", mean, n, 1, n, false));
    HPT_TRY(hpt__check_result(m->device, "joint covariance", cov, n, n, ldc, false));
    account(m, false, n, start);
out:
    return rc;
}

int hpt__model_screen(hpt__model *m, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n, int64_t k,
                      int64_t *index, double *value) {
    int rc = 0;
    HPT_TRY(check_acq("screening", acq));
    HPT_TRY(hpt__check_candidates("screening", m, z, zmask, n, acq->kind != HPT__ACQ_SD));
    HPT_FAIL_IF(k < 0 || k > n, HPT_E_ARG, "screening: the best %lld of %lld candidates", (long long)k, (long long)n);
    if (k == 0) return 0;
    HPT_FAIL_IF(!index || !value, HPT_E_ARG, "screening: index and value must not be NULL");
    if (!m->device->ops->screen) return hpt__screen_default(m, acq, z, zmask, n, m->cov->d, k, index, value);
    const double start = hpt__now_mono();
    HPT_TRY(m->device->ops->screen(m->own, acq, z, zmask, n, k, index, value));
    HPT_TRY(hpt__check_result(m->device, "value of a screened candidate", value, k, 1, k, false));
    for (int64_t i = 0; i < k; i++)
        HPT_FAIL_IF(index[i] < 0 || index[i] >= n || (i > 0 && value[i] > value[i - 1]), HPT_E_INTERNAL,
                    "backend '%s': screening gave candidate %lld of %lld, or not the best first", m->device->ops->name,
                    (long long)index[i], (long long)n);
    account(m, false, n, start);
out:
    return rc;
}

int hpt__cov_build(hpt__device *device, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask,
                   int64_t n, double *k, int64_t ldk) {
    int rc = 0;
    HPT_FAIL_IF(!device, HPT_E_ARG, "covariance: the device is NULL");
    HPT_TRY(hpt__check_cov(cov));
    HPT_TRY(hpt__check_theta("covariance", cov, theta));
    HPT_FAIL_IF(n < 0 || n > HPT__POINTS_MAX || ldk < n || (n > 0 && !k), HPT_E_ARG,
                "covariance: %lld points into NULL or a leading dimension of %lld", (long long)n, (long long)ldk);
    HPT_TRY(hpt__check_points("covariance", x, mask, n, cov->d));
    if (n == 0) return 0;
    HPT_TRY(device->ops->cov_build(device->ctx, cov, theta, x, mask, n, k, ldk));
    HPT_TRY(hpt__check_result(device, "covariance", k, n, n, ldk, true));
out:
    return rc;
}

int hpt__cov_cross(hpt__device *device, const hpt__cov *cov, const double *theta, const double *x,
                   const uint64_t *xmask, int64_t n, const double *z, const uint64_t *zmask, int64_t m, double *k,
                   int64_t ldk) {
    int rc = 0;
    HPT_FAIL_IF(!device, HPT_E_ARG, "cross covariance: the device is NULL");
    HPT_TRY(hpt__check_cov(cov));
    HPT_TRY(hpt__check_theta("cross covariance", cov, theta));
    HPT_FAIL_IF(n < 0 || m < 0 || n > HPT__POINTS_MAX || m > HPT__POINTS_MAX || ldk < n || (n > 0 && m > 0 && !k),
                HPT_E_ARG, "cross covariance: %lld x %lld into NULL or a leading dimension of %lld", (long long)n,
                (long long)m, (long long)ldk);
    HPT_TRY(hpt__check_points("cross covariance", x, xmask, n, cov->d));
    HPT_TRY(hpt__check_points("cross covariance", z, zmask, m, cov->d));
    if (n == 0 || m == 0) return 0;
    HPT_TRY(device->ops->cov_cross(device->ctx, cov, theta, x, xmask, n, z, zmask, m, k, ldk));
    HPT_TRY(hpt__check_result(device, "cross covariance", k, n, m, ldk, false));
out:
    return rc;
}
