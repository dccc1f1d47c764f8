// SPDX-License-Identifier: Apache-2.0
// ref_factor.c: Cholesky factor, weights and likelihood of backend `ref`.
//
//   A = K + (noise + jitter) I = L L'       row by row: L_ij = (A_ij - sum_k<j L_ik L_jk) / L_jj
//   log det A = 2 sum log L_ii,  w = A^-1 y by two triangular solves
//   value = -1/2 y'w - 1/2 log det A - n/2 log 2 pi
//   grad_j = 1/2 sum over pairs (a, b) of (w_a w_b - (A^-1)_ab) dA_ab / d theta_j
//
// Why row by row: row i needs only the rows above it, so an append is the same loop begun later (bordered Cholesky), and a
// truncated factor is the factor of the truncated matrix. The gradient is the plain sum over pairs, which is what the
// other backends' symmetric product is held against.
// Source: C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning (2006), 2.2 and 5.4.1.
//
// Ownership: workspace is allocated and freed within a call. Threads: one at a time per model.
// Cost: n^3/3 for a factor, n^2 for a row, n^3 + n^2 p for a likelihood with gradient.
#include "ref.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <math.h>
#include <string.h>

void ref_solve(const double *l, int64_t ldl, int64_t n, double *b) {
    for (int64_t i = 0; i < n; i++) {
        double sum = b[i];
        for (int64_t k = 0; k < i; k++) sum -= l[i + k * ldl] * b[k];
        b[i] = sum / l[i + i * ldl];
    }
}

void ref_solve_transposed(const double *l, int64_t ldl, int64_t n, double *b) {
    for (int64_t i = n - 1; i >= 0; i--) {
        double sum = b[i];
        for (int64_t k = i + 1; k < n; k++) sum -= l[k + i * ldl] * b[k];
        b[i] = sum / l[i + i * ldl];
    }
}

int64_t ref_factor_rows(double *l, int64_t ldl, int64_t from, int64_t n) {
    for (int64_t i = from; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = l[i + j * ldl];
            for (int64_t k = 0; k < j; k++) sum -= l[i + k * ldl] * l[j + k * ldl];
            if (j < i) {
                l[i + j * ldl] = sum / l[j + j * ldl];
            } else {
                if (!(sum > 0) || isinf(sum)) return i + 1;
                l[i + i * ldl] = sqrt(sum);
            }
        }
    }
    return 0;
}

double ref_logdet(const double *l, int64_t ldl, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += log(l[i + i * ldl]);
    return 2 * sum;
}

// Rows from .. n - 1 of A into the lower triangle of a (lda).
static void matrix_rows(double *a, int64_t lda, const ref_model *m, const double *theta, double jitter, int64_t from,
                        int64_t n) {
    const int64_t d = m->cov->d;
    for (int64_t i = from; i < n; i++) {
        for (int64_t j = 0; j <= i; j++)
            a[i + j * lda] = ref_k(m->cov, theta, m->x + i * d, m->mask[i], m->x + j * d, m->mask[j]);
        a[i + i * lda] += ref_noise(m->cov, theta) + jitter;
    }
}

int ref_model_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info) {
    ref_model *m = model;
    memmove(m->theta, theta, (size_t)hpt__cov_n_theta(m->cov) * sizeof *theta); // theta may be the model's own
    m->jitter = jitter;
    m->rows = m->n_weights = 0;
    matrix_rows(m->l, m->cap, m, theta, jitter, 0, m->n);
    *info = ref_factor_rows(m->l, m->cap, 0, m->n);
    if (*info) return 0;
    m->rows = m->n;
    *logdet = ref_logdet(m->l, m->cap, m->rows);
    return 0;
}

int ref_model_append(void *model, double *logdet, int64_t *info) {
    ref_model *m = model;
    matrix_rows(m->l, m->cap, m, m->theta, m->jitter, m->rows, m->n);
    *info = ref_factor_rows(m->l, m->cap, m->rows, m->n);
    if (*info) return 0;
    m->rows = m->n;
    *logdet = ref_logdet(m->l, m->cap, m->rows);
    return 0;
}

int ref_model_get_factor(const void *model, double *l, int64_t ldl) {
    const ref_model *m = model;
    for (int64_t j = 0; j < m->rows; j++)
        for (int64_t i = 0; i < m->rows; i++) l[i + j * ldl] = i < j ? 0 : m->l[i + j * m->cap];
    return 0;
}

int ref_model_solve(void *model, bool transposed, double *b, int64_t ldb, int64_t s) {
    const ref_model *m = model;
    for (int64_t j = 0; j < s; j++) {
        if (transposed)
            ref_solve_transposed(m->l, m->cap, m->rows, b + j * ldb);
        else
            ref_solve(m->l, m->cap, m->rows, b + j * ldb);
    }
    return 0;
}

int ref_model_set_y(void *model, const double *y, int64_t n) {
    ref_model *m = model;
    memcpy(m->w, y, (size_t)n * sizeof *y);
    ref_solve(m->l, m->cap, n, m->w);
    ref_solve_transposed(m->l, m->cap, n, m->w);
    m->n_weights = n;
    return 0;
}

// grad from the factor l (n x n) of A and w = A^-1 y. inverse: n x n workspace. dk: p workspace.
static void pair_sums(double *grad, const ref_model *m, const double *theta, const double *l, const double *w,
                      int64_t n, double *inverse, double *dk) {
    const int64_t d = m->cov->d, p = hpt__cov_n_theta(m->cov);
    for (int64_t j = 0; j < n; j++) {
        double *column = inverse + j * n;
        memset(column, 0, (size_t)n * sizeof *column);
        column[j] = 1;
        ref_solve(l, n, n, column);
        ref_solve_transposed(l, n, n, column);
    }
    for (int64_t j = 0; j < p; j++) grad[j] = 0;
    for (int64_t a = 0; a < n; a++) {
        for (int64_t b = 0; b < n; b++) {
            const double weight = 0.5 * (w[a] * w[b] - inverse[a + b * n]);
            ref_k_theta(dk, m->cov, theta, m->x + a * d, m->mask[a], m->x + b * d, m->mask[b]);
            if (a == b) dk[p - 1] = ref_noise(m->cov, theta);
            for (int64_t j = 0; j < p; j++) grad[j] += weight * dk[j];
        }
    }
}

int ref_mll(void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
            int64_t *info) {
    const ref_model *m = model;
    const int64_t p = hpt__cov_n_theta(m->cov);
    const size_t square = (size_t)n * (size_t)n;
    double *l = hpt__malloc((2 * square + (size_t)n + (size_t)p) * sizeof *l);
    if (!l) return hpt__fail_memory();
    double *inverse = l + square, *w = inverse + square, *dk = w + n;
    matrix_rows(l, n, m, theta, jitter, 0, n);
    *info = ref_factor_rows(l, n, 0, n);
    if (*info == 0) {
        memcpy(w, y, (size_t)n * sizeof *y);
        ref_solve(l, n, n, w);
        ref_solve_transposed(l, n, n, w);
        double quadratic = 0;
        for (int64_t i = 0; i < n; i++) quadratic += y[i] * w[i];
        *value = -0.5 * quadratic - 0.5 * ref_logdet(l, n, n) - 0.91893853320467274178 * (double)n; // 1/2 log 2 pi
        if (grad) pair_sums(grad, m, theta, l, w, n, inverse, dk);
    }
    hpt__free(l);
    return 0;
}
