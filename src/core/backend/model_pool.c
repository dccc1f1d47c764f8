// SPDX-License-Identifier: Apache-2.0
// model_pool.c: candidates that stay while points are appended, for backends that do not keep them themselves, and the checks
// for those that do.
//
//   V = L^-1 K(X, C)  (rows x m),   var_c = k(c, c) - sum_i V_ic^2
//   a point p more:  V_p = (k(p, C) - l' V) / l_pp with its row (l, l_pp) of L,   var_c -= V_pc^2
//
// That is the row which the factor of all of them would have; it costs 2 n flops a candidate where a scoring anew costs n^2. Means
// stay, since nothing was told. V lies by rows, so that a new one goes to the end and the products run along memory.
//
// Ownership: V is the model's. Threads: as the model's. Memory: 8 rows m bytes, on the device where the backend keeps the set.
#include "model_state.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include <stdatomic.h>
#include <string.h>

enum { PART = 256 }; // candidates solved in one call

void hpt__pool_cut(hpt__model *m, int64_t n) {
    if (n < m->pool.rows) m->pool.number = 0;
}

void hpt__pool_fini(hpt__model *m) {
    hpt__free(m->pool.v);
    hpt__free(m->pool.solved);
    m->pool = (hpt__pool){0};
}

// Whether the backend keeps the set.
static bool keeps(const hpt__model *m) {
    return m->device->ops->pool_set && m->device->ops->pool_append;
}

// Never the same twice, so that the number of a set that went with its model is not that of another.
static int64_t next_number(void) {
    static atomic_llong numbers;
    return (int64_t)atomic_fetch_add(&numbers, 1) + 1;
}

static int set_here(hpt__model *m, const double *x, const uint64_t *xmask, const double *z, const uint64_t *zmask,
                    int64_t n_z, double *mean, double *var) {
    int rc = 0;
    hpt__pool *p = &m->pool;
    const int64_t n = hpt__model_rows(m), d = m->cov->d;
    HPT_TRY(hpt__grow(&p->v, &p->cap_v, (n + 1) * n_z, sizeof *p->v));
    HPT_TRY(hpt__grow(&p->solved, &p->cap_solved, n * PART, sizeof *p->solved));
    HPT_TRY(hpt__model_posterior(m, z, zmask, n_z, mean, NULL, NULL, NULL));
    for (int64_t j = 0; j < n_z; j++) var[j] = hpt__cov_variance(m->cov, m->theta, zmask[j]);
    for (int64_t from = 0; from < n_z; from += PART) {
        const int64_t k = n_z - from < PART ? n_z - from : PART;
        HPT_TRY(hpt__cov_cross(m->device, m->cov, m->theta, x, xmask, n, z + from * d, zmask + from, k, p->solved, n));
        HPT_TRY(hpt__model_solve(m, false, p->solved, n, k));
        for (int64_t j = 0; j < k; j++) {
            const double *v = p->solved + j * n;
            for (int64_t i = 0; i < n; i++) p->v[i * n_z + from + j] = v[i];
            for (int64_t i = 0; i < n; i++) var[from + j] -= v[i] * v[i];
        }
    }
out:
    return rc;
}

int hpt__model_pool_set(int64_t *pool, hpt__model *m, const double *x, const uint64_t *xmask, const double *z,
                        const uint64_t *zmask, int64_t n_z, double *mean, double *var) {
    int rc = 0;
    HPT_FAIL_IF(!pool || !m || n_z < 0 || !mean || !var, HPT_E_ARG,
                "candidates that stay: an argument is NULL, or there are %lld of them", (long long)n_z);
    HPT_FAIL_IF(hpt__model_rows(m) < 1 || m->n_y < 1, HPT_E_STATE, "candidates that stay: the model has no values");
    const int64_t n = hpt__model_rows(m), d = m->cov->d;
    const double start = hpt__now_mono();
    HPT_TRY(hpt__check_points("candidates that stay", x, xmask, n, d));
    HPT_TRY(hpt__check_points("candidates that stay", z, zmask, n_z, d));
    *pool = m->pool.number = 0;
    if (n_z > 0)
        HPT_TRY(keeps(m) ? m->device->ops->pool_set(m->own, z, zmask, n_z, mean, var)
                         : set_here(m, x, xmask, z, zmask, n_z, mean, var));
    HPT_TRY(hpt__check_result(m->device, "mean of a candidate", mean, n_z, 1, n_z, false));
    HPT_TRY(hpt__check_result(m->device, "variance of a candidate", var, n_z, 1, n_z, false));
    m->pool.m = n_z;
    m->pool.rows = n;
    *pool = m->pool.number = next_number();
    if (n_z > 0 && keeps(m)) {
        const hpt__model_shape shape = {.n = n, .d = d, .n_terms = m->cov->n_terms, .m = n_z};
        hpt__account(m->device, HPT__OP_POSTERIOR, &shape, start);
    }
    hpt__account_bytes(m);
out:
    return rc;
}

static int append_here(hpt__model *m, const double *x, const uint64_t *xmask, const double *z, const uint64_t *zmask,
                       double *var) {
    int rc = 0;
    hpt__pool *p = &m->pool;
    const int64_t n = p->rows, n_z = p->m, d = m->cov->d; // rows before the new one
    HPT_TRY(hpt__grow(&p->v, &p->cap_v, (n + 1) * n_z, sizeof *p->v));
    HPT_TRY(hpt__grow(&p->solved, &p->cap_solved, 2 * (n + 1), sizeof *p->solved));
    // L^-1 of the covariances with the rows before is l; of the last unit vector, 1 / l_pp at its end.
    double *l = p->solved, *unit = l + n + 1, *fresh = p->v + n * n_z;
    memset(l, 0, (size_t)(2 * (n + 1)) * sizeof *l);
    HPT_TRY(hpt__cov_cross(m->device, m->cov, m->theta, x, xmask, n, x + n * d, xmask + n, 1, l, n + 1));
    unit[n] = 1;
    HPT_TRY(hpt__model_solve(m, false, l, n + 1, 2));
    HPT_TRY(hpt__cov_cross(m->device, m->cov, m->theta, z, zmask, n_z, x + n * d, xmask + n, 1, fresh, n_z));
    for (int64_t i = 0; i < n; i++) {
        const double *v = p->v + i * n_z, by = l[i];
        for (int64_t j = 0; j < n_z; j++) fresh[j] -= by * v[j];
    }
    for (int64_t j = 0; j < n_z; j++) {
        fresh[j] *= unit[n];
        var[j] -= fresh[j] * fresh[j];
    }
out:
    return rc;
}

int hpt__model_pool_append(int64_t pool, hpt__model *m, const double *x, const uint64_t *xmask, const double *z,
                           const uint64_t *zmask, int64_t n_z, double *var) {
    int rc = 0;
    HPT_FAIL_IF(!m || !var || n_z < 0, HPT_E_ARG, "candidates that stay: an argument is NULL or negative");
    hpt__pool *p = &m->pool;
    if (pool == 0 || pool != p->number || n_z != p->m || hpt__model_rows(m) != p->rows + 1) return HPT_S_NOTHING;
    HPT_TRY(hpt__check_points("candidates that stay", x, xmask, p->rows + 1, m->cov->d));
    HPT_TRY(hpt__check_points("candidates that stay", z, zmask, n_z, m->cov->d));
    p->number = 0;
    if (n_z > 0) HPT_TRY(keeps(m) ? m->device->ops->pool_append(m->own, var) : append_here(m, x, xmask, z, zmask, var));
    HPT_TRY(hpt__check_result(m->device, "variance of a candidate", var, n_z, 1, n_z, false));
    p->rows++;
    p->number = pool;
    hpt__account_bytes(m);
out:
    return rc;
}
