// SPDX-License-Identifier: Apache-2.0
// model_mll.c: the likelihood of a model's values, of one set of hyperparameters or of several, with the jitter ladder of
// model.c and with arguments and results checked.
//
// A likelihood that no jitter saves is -infinity, not an error: a line search that stepped too far steps back.
// Several: the backend computes all without jitter, which is enough nearly always; what failed goes up the ladder alone. So each is
// what it would be alone. A backend without such an operation is asked one by one, as is one of which a theta is out of range.
// Ownership: all arrays are the caller's. Threads: one at a time per device. Cost: of the backend.
#include "model_state.h"

#include "../base/clock.h"
#include "../base/error.h"
#include <math.h>
#include <string.h>

int hpt__model_mll(hpt__model *m, const double *theta, const double *y, int64_t n, double *value, double *grad) {
    int rc = 0;
    HPT_FAIL_IF(!m || !theta || !y || !value, HPT_E_ARG,
                "likelihood: model, theta, values and result must not be NULL");
    HPT_FAIL_IF(n < 1 || n > m->n, HPT_E_ARG, "likelihood: %lld values for a model of %lld points", (long long)n,
                (long long)m->n);
    HPT_TRY(hpt__check_numbers("likelihood", "value", y, n));
    const int64_t p = hpt__cov_n_theta(m->cov);
    if (hpt__theta_in_range(m->cov, theta)) {
        const double start = hpt__now_mono(), scale = hpt__mean_diagonal(m, theta, n);
        for (int i = 0; i < HPT__LADDER; i++) {
            int64_t info = 0;
            double v = 0;
            HPT_TRY(m->device->ops->mll(m->own, theta, hpt__jitter_ladder[i] * scale, y, n, &v, grad, &info));
            if (info || !isfinite(v)) continue;
            HPT_TRY(hpt__check_result(m->device, "gradient of the likelihood", grad, p, 1, p, false));
            hpt__account_model(m, HPT__OP_MLL, n, 0, start);
            *value = v;
            return 0;
        }
    }
    *value = -INFINITY;
    if (grad) memset(grad, 0, (size_t)p * sizeof *grad);
out:
    return rc;
}

// All at once without jitter; those that this was too little for are left with info > 0 or a value that is not finite.
static int together(hpt__model *m, hpt__mll_job *jobs, int64_t k, int64_t n) {
    const int64_t p = hpt__cov_n_theta(m->cov);
    int rc = 0;
    double start = hpt__now_mono();
    for (int64_t i = 0; i < k; i++) {
        jobs[i].jitter = 0;
        jobs[i].info = 0;
    }
    HPT_TRY(m->device->ops->mll_many(m->own, jobs, k, n));
    for (int64_t i = 0; i < k; i++) {
        if (jobs[i].info || !isfinite(jobs[i].value)) continue;
        HPT_TRY(hpt__check_result(m->device, "gradient of the likelihood", jobs[i].grad, p, 1, p, false));
        hpt__account_model(m, HPT__OP_MLL, n, 0, start);
        start = hpt__now_mono(); // the seconds count once
    }
out:
    return rc;
}

int hpt__model_mll_many(hpt__model *m, hpt__mll_job *jobs, int64_t k, int64_t n) {
    int rc = 0;
    HPT_FAIL_IF(!m || k < 0 || (k > 0 && !jobs), HPT_E_ARG, "likelihoods: model and jobs must not be NULL");
    HPT_FAIL_IF(n < 1 || n > m->n, HPT_E_ARG, "likelihoods: %lld values for a model of %lld points", (long long)n,
                (long long)m->n);
    bool at_once = k > 1 && m->device->ops->mll_many;
    for (int64_t i = 0; i < k; i++) {
        HPT_FAIL_IF(!jobs[i].theta || !jobs[i].y, HPT_E_ARG, "likelihoods: theta and values must not be NULL");
        HPT_TRY(hpt__check_numbers("likelihoods", "value", jobs[i].y, n));
        at_once = at_once && hpt__theta_in_range(m->cov, jobs[i].theta);
    }
    if (at_once) HPT_TRY(together(m, jobs, k, n));
    for (int64_t i = 0; i < k; i++) {
        hpt__mll_job *j = &jobs[i];
        if (at_once && !j->info && isfinite(j->value)) continue;
        HPT_TRY(hpt__model_mll(m, j->theta, j->y, n, &j->value, j->grad));
        j->info = 0;
    }
out:
    return rc;
}
