// SPDX-License-Identifier: Apache-2.0
// cpu_predict.c: posterior moments, their gradients and acquisition values of m candidates (formulas: backend_impl.h).
//
//   k_j = K(x, z_j) (n);  mean_j = k_j' a;  v_j = L^-1 k_j;  var_j = k(z_j, z_j) - v_j' v_j;  u_j = L^-T v_j
//   d mean_j / d z_c = sum_i a_i h_ij (x_ic - z_jc) / l_c^2;   d var_j / d z_c = -2 sum_i u_ij h_ij (x_ic - z_jc) / l_c^2
//
// Many candidates (WIDE_FROM and more): a task is a strip of candidates from covariances to results, n x strip numbers that
// stay in a thread's scratch; the m x n cross matrix never exists, and nothing waits. Few (the restarts of a search): one
// n x m matrix, solved by all threads together (cpu_factor.c), so that L passes through memory once for all candidates.
// Cost: n^2 m flops, twice that with gradients. Threads: strips or tiles over the pool.
#include "cpu_impl.h"

#include "../core/backend/backend.h"
#include "../core/base/error.h"
#include <math.h>
#include <string.h>

enum { WIDE_FROM = 64, STRIP = 256 };

typedef struct prediction {
    cpu__model *m;
    const cpu__points *z;
    int64_t n_z, n, strip, ldk; // n: rows that matter for what is wanted
    double *mean, *var, *dmean, *dvar;
    double *k; // the n x m matrix of few candidates
    const hpt__acq *acq;
    double *value, *grad;
} prediction;

static bool wants_mean(const prediction *p) {
    return p->mean || p->dmean || (p->acq && p->acq->kind != HPT__ACQ_SD);
}
static bool wants_var(const prediction *p) {
    return p->var || p->dvar || (p->acq && p->acq->kind != HPT__ACQ_MEAN);
}
static bool wants_grad(const prediction *p) {
    return p->dmean || p->dvar || (p->acq && p->grad);
}

// Mean of candidate j, whose covariances are k.
static double mean_of(const prediction *p, double *k) {
    const cpu__model *m = p->m;
    const int64_t whole = cpu__round(m->n_y, CPU__LANES);
    double saved[CPU__LANES]; // rows past n_y have no weight, but padding may be anything
    const size_t behind = (size_t)(whole - m->n_y) * sizeof(double);
    memcpy(saved, k + m->n_y, behind);
    memset(k + m->n_y, 0, behind);
    const double mean = m->ctx->vec->dot(k, m->alpha.data, whole);
    memcpy(k + m->n_y, saved, behind);
    return mean;
}

static double var_of(const prediction *p, int64_t j, double *v) {
    const cpu__model *m = p->m;
    const int64_t whole = cpu__round(m->rows, CPU__LANES);
    for (int64_t i = m->rows; i < whole; i++) v[i] = 0;
    const double var = cpu__kernel_diagonal(&m->fit, p->z->act + j, p->z->ld) - m->ctx->vec->dot(v, v, whole);
    return var > 0 ? var : 0;
}

// Gradients of mean (weights a) and variance (weights u) of candidate j; sorted columns. NULL: not wanted.
static void slopes_of(const prediction *p, int64_t j, const double *u, double *dmean, double *dvar, double *scratch) {
    const cpu__model *m = p->m;
    const cpu__kernel *k = &m->fit;
    const cpu__points *x = &m->points;
    const cpu__vec_ops *vec = m->ctx->vec;
    double *g = scratch, *rest = g + CPU__CHUNK;
    const int64_t d = m->cov->d;
    if (dmean) memset(dmean, 0, (size_t)d * sizeof(double));
    if (dvar) memset(dvar, 0, (size_t)d * sizeof(double));
    for (int64_t i = 0; i < p->n; i += CPU__CHUNK) {
        const int64_t rows = p->n - i < CPU__CHUNK ? p->n - i : CPU__CHUNK, whole = cpu__round(rows, CPU__LANES);
        cpu__parts part;
        cpu__column_parts(m->ctx, k, x, i, rows, p->z, j, &part, rest);
        for (int which = 0; which < 2; which++) {
            double *to = which ? dvar : dmean;
            const double *w = which ? u : m->alpha.data;
            const int64_t known = which ? m->rows : m->n_y;
            const int64_t used = known - i < rows ? known - i : rows;
            if (!to || used <= 0) continue;
            for (int64_t b = 0; b < m->cov->n_blocks; b++) {
                if (!part.slope[b]) continue;
                for (int64_t l = 0; l < used; l++) g[l] = w[i + l] * part.slope[b][l];
                for (int64_t l = used; l < whole; l++) g[l] = 0;
                for (int64_t c = k->first[b]; c < k->first[b] + k->n_num[b]; c++)
                    to[c] += vec->sum_diff(g, x->x + c * x->ld + i, part.z[c], whole);
            }
        }
    }
    for (int64_t c = 0; c < d; c++) {
        if (dmean) dmean[c] *= k->inv_l[c];
        if (dvar) dvar[c] *= -2 * k->inv_l[c];
    }
}

static void unsort(const cpu__kernel *k, double *to, const double *from, int64_t j) {
    for (int64_t c = 0; c < k->cov->d; c++) to[j * k->cov->d + k->order[c]] = from[c];
}

static int64_t slope_scratch(const cpu__model *m) {
    return CPU__CHUNK + cpu__column_scratch(&m->fit) + 2 * cpu__round(m->cov->d, CPU__PAD);
}

// Results of candidate j from its moments; u: weights of the gradient of the variance.
static void finish(const prediction *p, int64_t j, double mean, double var, const double *u, double *scratch) {
    const cpu__model *m = p->m;
    const int64_t d = m->cov->d;
    double *dmean = scratch, *dvar = dmean + cpu__round(d, CPU__PAD), *rest = dvar + cpu__round(d, CPU__PAD);
    if (p->mean) p->mean[j] = mean;
    if (p->var) p->var[j] = var;
    if (p->acq) {
        p->value[j] = hpt__acq_value(p->acq, mean, var);
        if (!p->grad) return;
        double by_mean, by_var;
        hpt__acq_derivatives(&by_mean, &by_var, p->acq, mean, var);
        slopes_of(p, j, u, wants_mean(p) ? dmean : NULL, wants_var(p) ? dvar : NULL, rest);
        for (int64_t c = 0; c < d; c++)
            dmean[c] = (wants_mean(p) ? by_mean * dmean[c] : 0) + (wants_var(p) ? by_var * dvar[c] : 0);
        unsort(&m->fit, p->grad, dmean, j);
    } else if (wants_grad(p)) {
        slopes_of(p, j, u, p->dmean ? dmean : NULL, p->dvar ? dvar : NULL, rest);
        if (p->dmean) unsort(&m->fit, p->dmean, dmean, j);
        if (p->dvar) unsort(&m->fit, p->dvar, dvar, j);
    }
}

// ---- many candidates

static void strip_task(void *payload, int64_t task, double *scratch) {
    const prediction *p = payload;
    const cpu__model *m = p->m;
    const cpu__ctx *c = m->ctx;
    const int64_t from = task * p->strip, width = p->n_z - from < p->strip ? p->n_z - from : p->strip;
    double *k = scratch, *mean = k + p->ldk * p->strip, *var = mean + p->strip, *rest = var + p->strip;
    for (int64_t q = 0; q < width; q++) {
        cpu__column(c, &m->fit, &m->points, 0, p->n, p->z, from + q, k + q * p->ldk, rest);
        mean[q] = wants_mean(p) ? mean_of(p, k + q * p->ldk) : 0;
    }
    if (wants_var(p)) {
        cpu__solve_here(c, m->factor.data, m->ldl, m->rows, m->inverses.data, false, k, p->ldk, width, rest);
        for (int64_t q = 0; q < width; q++) var[q] = var_of(p, from + q, k + q * p->ldk);
        if (p->dvar || (p->acq && p->grad))
            cpu__solve_here(c, m->factor.data, m->ldl, m->rows, m->inverses.data, true, k, p->ldk, width, rest);
    }
    for (int64_t q = 0; q < width; q++) finish(p, from + q, mean[q], wants_var(p) ? var[q] : 0, k + q * p->ldk, rest);
}

// ---- few candidates

static void finish_task(void *payload, int64_t j, double *scratch) {
    const prediction *p = payload;
    const double *moments = p->k + p->ldk * p->n_z;
    finish(p, j, moments[j], moments[p->n_z + j], p->k + j * p->ldk, scratch);
}

static int predict_few(prediction *p) {
    cpu__model *m = p->m;
    cpu__ctx *c = m->ctx;
    int rc = HPT_OK;
    HPT_TRY(cpu__buf_reserve(c, &m->cross, (p->ldk + 2) * p->n_z + CPU__PAD, "a posterior"));
    p->k = m->cross.data;
    double *mean = p->k + p->ldk * p->n_z, *var = mean + p->n_z;
    HPT_TRY(cpu__fill_cross(c, &m->fit, &m->points, p->n, p->z, p->n_z, p->k, p->ldk));
    for (int64_t j = 0; j < p->n_z; j++) mean[j] = wants_mean(p) ? mean_of(p, p->k + j * p->ldk) : 0;
    for (int64_t j = 0; j < p->n_z; j++) var[j] = 0;
    if (wants_var(p)) {
        HPT_TRY(cpu__solve(c, m->factor.data, m->ldl, m->rows, m->inverses.data, false, p->k, p->ldk, p->n_z));
        for (int64_t j = 0; j < p->n_z; j++) var[j] = var_of(p, j, p->k + j * p->ldk);
        if (p->dvar || (p->acq && p->grad))
            HPT_TRY(cpu__solve(c, m->factor.data, m->ldl, m->rows, m->inverses.data, true, p->k, p->ldk, p->n_z));
    }
    const double work = (double)p->n_z * (double)p->n * (8.0 * (double)m->cov->d + 60) * (wants_grad(p) ? 1 : 0);
    HPT_TRY(cpu__parallel(c, p->n_z, slope_scratch(m), work, finish_task, p));
out:
    return rc;
}

static int predict(prediction *p, const double *z, const uint64_t *zmask) {
    cpu__model *m = p->m;
    cpu__ctx *c = m->ctx;
    int rc = HPT_OK;
    cpu__blas_enter();
    HPT_TRY(cpu__points_reserve(c, &m->candidates, &m->fit, p->n_z, 0));
    cpu__points_set(&m->candidates, &m->fit, 0, z, zmask, p->n_z);
    p->z = &m->candidates;
    p->n = wants_var(p) ? m->rows : 0;
    if (wants_mean(p) && m->n_y > p->n) p->n = m->n_y;
    p->ldk = cpu__round(p->n, CPU__LANES) + CPU__PAD;
    if (p->n_z < WIDE_FROM && wants_var(p)) {
        HPT_TRY(predict_few(p));
        goto out;
    }
    p->strip = p->n_z < 512 ? 64 : p->n_z < 2048 ? 128 : STRIP;
    const double work = (double)p->n_z * (double)p->n * (60.0 + (wants_var(p) ? (double)p->n : 0));
    HPT_TRY(cpu__parallel(c, (p->n_z + p->strip - 1) / p->strip, (p->ldk + 2 + CPU__BASE) * p->strip + slope_scratch(m),
                          work, strip_task, p));
out:
    cpu__blas_leave();
    return rc;
}

int cpu__posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                   double *dmean, double *dvar) {
    prediction p = {.m = model, .n_z = m, .mean = mean, .var = var, .dmean = dmean, .dvar = dvar};
    return predict(&p, z, zmask);
}

int cpu__acquire(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
                 double *grad) {
    prediction p = {.m = model, .n_z = m, .acq = acq, .value = value, .grad = grad};
    return predict(&p, z, zmask);
}

// ---- joint posterior

int cpu__joint(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc) {
    cpu__model *model_ = model;
    cpu__ctx *c = model_->ctx;
    prediction p = {.m = model, .n_z = m};
    const int64_t n = model_->rows, ldk = cpu__round(n, CPU__LANES) + CPU__PAD,
                  lds = cpu__round(m, CPU__LANES) + CPU__PAD;
    int rc = HPT_OK;
    cpu__blas_enter();
    HPT_TRY(cpu__points_reserve(c, &model_->candidates, &model_->fit, m, 0));
    cpu__points_set(&model_->candidates, &model_->fit, 0, z, zmask, m);
    HPT_TRY(cpu__buf_reserve(c, &model_->cross, (ldk + lds) * m + CPU__PAD, "a joint posterior"));
    double *k = model_->cross.data, *corner = k + ldk * m;
    HPT_TRY(cpu__fill_cross(c, &model_->fit, &model_->points, n, &model_->candidates, m, k, ldk));
    HPT_TRY(cpu__fill_lower(c, &model_->fit, &model_->candidates, m, corner, lds));
    for (int64_t j = 0; mean && j < m; j++) mean[j] = mean_of(&p, k + j * ldk);
    HPT_TRY(cpu__solve(c, model_->factor.data, model_->ldl, n, model_->inverses.data, false, k, ldk, m));
    HPT_TRY(cpu__subtract_gram(c, k, ldk, n, m, corner, lds));
    for (int64_t j = 0; j < m; j++) {
        if (corner[j * (lds + 1)] < 0) corner[j * (lds + 1)] = 0;
        for (int64_t i = j; i < m; i++) cov[i + j * ldc] = cov[j + i * ldc] = corner[i + j * lds];
    }
out:
    cpu__blas_leave();
    return rc;
}

// ---- the best candidates

int cpu__screen(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, int64_t k,
                int64_t *index, double *value) {
    cpu__model *model_ = model;
    cpu__buf all = {NULL, NULL, 0};
    int rc = HPT_OK;
    HPT_TRY(cpu__buf_reserve(model_->ctx, &all, m, "values of candidates"));
    HPT_TRY(cpu__acquire(model, acq, z, zmask, m, all.data, NULL));
    int64_t filled = 0;
    for (int64_t j = 0; j < m; j++) { // insertion into the list of the best: ties stay with the smaller index
        const double v = all.data[j];
        if (filled == k && !(v > value[k - 1])) continue;
        int64_t at = filled < k ? filled++ : k - 1;
        for (; at > 0 && v > value[at - 1]; at--) {
            value[at] = value[at - 1];
            index[at] = index[at - 1];
        }
        value[at] = v;
        index[at] = j;
    }
out:
    cpu__buf_free(model_->ctx, &all);
    return rc;
}
