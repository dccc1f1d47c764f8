// SPDX-License-Identifier: Apache-2.0
// model_path.c: values of functions drawn pathwise, with arguments and results checked (formulas: backend_impl.h).
//
// One operation for prior and correction, so that a device gets the candidates once and gives m x s numbers once. A choice that
// has no frequencies is found here: a backend takes choices as rows of a table.
// Ownership: all arrays are the caller's. Threads: one at a time per device. Cost of the checks: O(m d).
#include "model_state.h"

#include "../base/clock.h"
#include "../base/error.h"

static const char doing[] = "functions drawn pathwise";

static int check_paths(const hpt__model *m, const hpt__paths *p) {
    const hpt__cov *cov = m->cov;
    int rc = 0;
    HPT_FAIL_IF(!p || p->s < 0 || p->n < 0 || p->n > m->n || p->n_features < 0 ||
                    p->n_features > HPT__POINTS_MAX / cov->n_terms || (p->n == 0 && p->n_features == 0),
                HPT_E_ARG, "%s: NULL, or %lld of them with %lld weights and %lld features on a model of %lld points",
                doing, (long long)(p ? p->s : 0), (long long)(p ? p->n : 0), (long long)(p ? p->n_features : 0),
                (long long)m->n);
    HPT_FAIL_IF((p->n > 0 && !p->w) || (p->n_features > 0 && (!p->first || !p->omega || !p->uv)), HPT_E_ARG,
                "%s: weights and frequencies must not be NULL", doing);
    for (int64_t c = 0; p->n_features > 0 && c < cov->d; c++)
        HPT_FAIL_IF(p->first[0] != 0 || p->first[c + 1] <= p->first[c] || p->first[c + 1] > HPT__POINTS_MAX ||
                        (!cov->categorical[c] && p->first[c + 1] != p->first[c] + 1),
                    HPT_E_ARG, "%s: column %lld has its frequencies in rows %lld to %lld", doing, (long long)c,
                    (long long)p->first[c], (long long)p->first[c + 1] - 1);
out:
    return rc;
}

static int check_choices(const hpt__cov *cov, const hpt__paths *p, const double *z, const uint64_t *zmask, int64_t m) {
    for (int64_t c = 0; p->n_features > 0 && c < cov->d; c++) {
        if (!cov->categorical[c]) continue;
        const double end = (double)(p->first[c + 1] - p->first[c] - 1);
        for (int64_t i = 0; i < m; i++) {
            const double choice = z[i * cov->d + c];
            if ((zmask[i] >> cov->block[c] & 1) && !(choice >= -1 && choice < end && choice == (double)(int64_t)choice))
                return hpt__fail(HPT_E_ARG, "%s: choice %g of point %lld in column %lld, which has %lld", doing, choice,
                                 (long long)i, (long long)c, (long long)end);
        }
    }
    return 0;
}

int hpt__model_paths(hpt__model *m, const hpt__paths *p, const double *z, const uint64_t *zmask, int64_t n_z,
                     double *out, int64_t ldo) {
    int rc = 0;
    HPT_TRY(hpt__check_candidates(doing, m, z, zmask, n_z, false));
    HPT_TRY(check_paths(m, p));
    HPT_FAIL_IF(ldo < n_z || (n_z > 0 && p->s > 0 && !out), HPT_E_ARG,
                "%s: values at %lld points into NULL or a leading dimension of %lld", doing, (long long)n_z,
                (long long)ldo);
    HPT_TRY(check_choices(m->cov, p, z, zmask, n_z));
    if (n_z == 0 || p->s == 0) return 0;
    const double start = hpt__now_mono();
    HPT_TRY(m->device->ops->paths(m->own, p, z, zmask, n_z, out, ldo));
    HPT_TRY(hpt__check_result(m->device, "value of a drawn function", out, n_z, p->s, ldo, false));
    const hpt__model_shape shape = {p->n, m->cov->d, m->cov->n_terms, n_z, p->s, p->n_features};
    hpt__account(m->device, HPT__OP_PATHS, &shape, start);
    hpt__account_bytes(m);
out:
    return rc;
}
