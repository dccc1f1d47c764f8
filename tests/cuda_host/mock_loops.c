// SPDX-License-Identifier: Apache-2.0
// mock_loops.c: the linear algebra of the mock (mock.h): plain loops in tiles of TILE x TILE.
//
// Why tiles: C += op(A) op(B) copies a tile of op(A) and then runs down columns, whatever the transposes; all else is that
// product around small triangles, so that a study of 500 results takes seconds. Zeros are never multiplied in the place of
// the other triangle: memory there may be NaN.
// Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), 8, 10, 14.
#include "mock_impl.h"

#include <math.h>
#include <string.h>

enum { TILE = 64 };

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// C (m x n) += tile (m x k) op(B)
static void tile_product(const double *tile, bool tb, int64_t m, int64_t n, int64_t k, const double *b, int64_t ldb,
                         double *restrict c, int64_t ldc) {
    const int64_t over_k = tb ? ldb : 1, over_j = tb ? 1 : ldb;
    for (int64_t j = 0; j < n; j++) {
        const double *col = b + j * over_j;
        double *restrict to = c + j * ldc;
        int64_t p = 0;
        for (; p + 4 <= k; p += 4) {
            const double b0 = col[p * over_k], b1 = col[(p + 1) * over_k], b2 = col[(p + 2) * over_k],
                         b3 = col[(p + 3) * over_k];
            const double *t = tile + p * TILE;
            for (int64_t i = 0; i < m; i++)
                to[i] += (t[i] * b0 + t[i + TILE] * b1) + (t[i + 2 * TILE] * b2 + t[i + 3 * TILE] * b3);
        }
        for (; p < k; p++) {
            const double b0 = col[p * over_k];
            const double *t = tile + p * TILE;
            for (int64_t i = 0; i < m; i++) to[i] += t[i] * b0;
        }
    }
}

void mock__gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t lda,
                const double *b, int64_t ldb, double *c, int64_t ldc) {
    double tile[TILE * TILE];
    for (int64_t i0 = 0; i0 < m; i0 += TILE) {
        for (int64_t k0 = 0; k0 < k; k0 += TILE) {
            const int64_t mi = least(TILE, m - i0), ki = least(TILE, k - k0);
            for (int64_t p = 0; p < ki; p++)
                for (int64_t i = 0; i < mi; i++)
                    tile[i + p * TILE] = alpha * (ta ? a[k0 + p + (i0 + i) * lda] : a[i0 + i + (k0 + p) * lda]);
            tile_product(tile, tb, mi, n, ki, tb ? b + k0 * ldb : b + k0, ldb, c + i0, ldc);
        }
    }
}

void mock__syrk(bool lower, bool trans, int64_t n, int64_t k, double alpha, const double *a, int64_t lda, double *c,
                int64_t ldc) {
    double square[TILE * TILE];
    const int64_t step = trans ? lda : 1;
    for (int64_t j0 = 0; j0 < n; j0 += TILE) {
        const int64_t nj = least(TILE, n - j0);
        const double *aj = a + j0 * step;
        for (int64_t i = 0; i < TILE * TILE; i++) square[i] = 0;
        mock__gemm(trans, !trans, nj, nj, k, alpha, aj, lda, aj, lda, square, TILE);
        for (int64_t j = 0; j < nj; j++)
            for (int64_t i = lower ? j : 0; i < (lower ? nj : j + 1); i++)
                c[j0 + i + (j0 + j) * ldc] += square[i + j * TILE];
        if (lower) {
            mock__gemm(trans, !trans, n - j0 - nj, nj, k, alpha, a + (j0 + nj) * step, lda, aj, lda,
                       c + j0 + nj + j0 * ldc, ldc);
        } else {
            mock__gemm(trans, !trans, j0, nj, k, alpha, a, lda, aj, lda, c + j0 * ldc, ldc);
        }
    }
}

// ---- triangles: E = op(A)

static bool effective_lower(const mock_triangle *t) {
    return t->lower != t->trans;
}

static double entry(const mock_triangle *t, int64_t i, int64_t j) {
    if (i == j && t->unit) return 1;
    return t->trans ? t->a[j + i * t->lda] : t->a[i + j * t->lda];
}

static const double *at(const mock_triangle *t, int64_t i, int64_t j) { // E's block from (i, j) on
    return t->trans ? t->a + j + i * t->lda : t->a + i + j * t->lda;
}

// C_I = alpha (E_II B_I + E_IK B_K) with K the blocks before I where E is lower, else after; from the end that nobody reads
// any more, so that C may be B.
static void trmm_left(const mock_triangle *t, int64_t n, double alpha, const double *b, int64_t ldb, double *c,
                      int64_t ldc) {
    const bool lower = effective_lower(t);
    const int64_t m = t->n, blocks = (m + TILE - 1) / TILE;
    for (int64_t s = 0; s < blocks; s++) {
        const int64_t i0 = (lower ? blocks - 1 - s : s) * TILE, end = least(i0 + TILE, m);
        for (int64_t j = 0; j < n; j++) {
            for (int64_t r = 0; r < end - i0; r++) {
                const int64_t i = lower ? end - 1 - r : i0 + r;
                double sum = 0;
                for (int64_t k = lower ? i0 : i; k < (lower ? i + 1 : end); k++) sum += entry(t, i, k) * b[k + j * ldb];
                c[i + j * ldc] = alpha * sum;
            }
        }
        const int64_t k0 = lower ? 0 : end, nk = lower ? i0 : m - end;
        mock__gemm(t->trans, false, end - i0, n, nk, alpha, at(t, i0, k0), t->lda, b + k0, ldb, c + i0, ldc);
    }
}

// C_J = alpha (B_J E_JJ + B_K E_KJ) with K the blocks after J where E is lower, else before.
static void trmm_right(const mock_triangle *t, int64_t m, double alpha, const double *b, int64_t ldb, double *c,
                       int64_t ldc) {
    const bool lower = effective_lower(t);
    const int64_t n = t->n, blocks = (n + TILE - 1) / TILE;
    for (int64_t s = 0; s < blocks; s++) {
        const int64_t j0 = (lower ? s : blocks - 1 - s) * TILE, end = least(j0 + TILE, n);
        for (int64_t r = 0; r < end - j0; r++) {
            const int64_t j = lower ? j0 + r : end - 1 - r;
            for (int64_t i = 0; i < m; i++) {
                double sum = 0;
                for (int64_t k = lower ? j : j0; k < (lower ? end : j + 1); k++) sum += b[i + k * ldb] * entry(t, k, j);
                c[i + j * ldc] = alpha * sum;
            }
        }
        const int64_t k0 = lower ? end : 0, nk = lower ? n - end : j0;
        mock__gemm(false, t->trans, m, end - j0, nk, alpha, b + k0 * ldb, ldb, at(t, k0, j0), t->lda, c + j0 * ldc,
                   ldc);
    }
}

void mock__trmm(const mock_triangle *t, bool right, int64_t m, int64_t n, double alpha, const double *b, int64_t ldb,
                double *c, int64_t ldc) {
    if (right) {
        trmm_right(t, m, alpha, b, ldb, c, ldc);
    } else {
        trmm_left(t, n, alpha, b, ldb, c, ldc);
    }
}

// To 10 bits behind the leading one, as TF32 has them.
static float coarse(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits = (bits + (UINT32_C(1) << 12)) & ~((UINT32_C(1) << 13) - 1);
    memcpy(&v, &bits, sizeof v);
    return v;
}

void mock__trmm_single(const float *a, int64_t lda, int64_t n, int64_t s, float alpha, const float *b, int64_t ldb,
                       float *c, int64_t ldc) {
    for (int64_t j = 0; j < s; j++) {
        float *restrict to = c + j * ldc;
        for (int64_t i = 0; i < n; i++) to[i] = 0;
        for (int64_t k = 0; k < n; k++) {
            const float by = alpha * b[k + j * ldb], *column = a + k * lda;
            if (mock__is_coarse()) {
                for (int64_t i = k; i < n; i++) to[i] += coarse(column[i]) * coarse(by);
            } else {
                for (int64_t i = k; i < n; i++) to[i] += column[i] * by;
            }
        }
    }
}

void mock__trsm(const mock_triangle *t, bool right, int64_t m, int64_t n, double alpha, double *b, int64_t ldb) {
    const bool forward = effective_lower(t) != right;
    const int64_t blocks = (t->n + TILE - 1) / TILE;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) b[i + j * ldb] = alpha != 0 ? alpha * b[i + j * ldb] : 0;
    if (alpha == 0) return;
    for (int64_t s = 0; s < blocks; s++) {
        const int64_t i0 = (forward ? s : blocks - 1 - s) * TILE, end = least(i0 + TILE, t->n);
        const int64_t rest = forward ? end : 0, n_rest = forward ? t->n - end : i0;
        for (int64_t r = 0; r < end - i0; r++) { // unknown x_i: a row of B, or a column where right
            const int64_t i = forward ? i0 + r : end - 1 - r, from = forward ? i0 : i + 1, to = forward ? i : end;
            const double pivot = entry(t, i, i);
            if (right) {
                for (int64_t k = from; k < to; k++)
                    for (int64_t q = 0; q < m; q++) b[q + i * ldb] -= b[q + k * ldb] * entry(t, k, i);
                for (int64_t q = 0; q < m; q++) b[q + i * ldb] /= pivot;
            } else {
                for (int64_t q = 0; q < n; q++) {
                    double sum = b[i + q * ldb];
                    for (int64_t k = from; k < to; k++) sum -= entry(t, i, k) * b[k + q * ldb];
                    b[i + q * ldb] = sum / pivot;
                }
            }
        }
        if (right) {
            mock__gemm(false, t->trans, m, n_rest, end - i0, -1, b + i0 * ldb, ldb, at(t, i0, rest), t->lda,
                       b + rest * ldb, ldb);
        } else {
            mock__gemm(t->trans, false, n_rest, n, end - i0, -1, at(t, rest, i0), t->lda, b + i0, ldb, b + rest, ldb);
        }
    }
}

// ---- factors

int64_t mock__potrf(int64_t n, double *a, int64_t lda) {
    for (int64_t j0 = 0; j0 < n; j0 += TILE) {
        const int64_t end = least(j0 + TILE, n);
        mock__syrk(true, false, end - j0, j0, -1, a + j0, lda, a + j0 + j0 * lda, lda);
        for (int64_t j = j0; j < end; j++) {
            for (int64_t k = j0; k < j; k++)
                for (int64_t i = j; i < end; i++) a[i + j * lda] -= a[i + k * lda] * a[j + k * lda];
            if (!(a[j + j * lda] > 0)) return j + 1;
            const double pivot = sqrt(a[j + j * lda]);
            a[j + j * lda] = pivot;
            for (int64_t i = j + 1; i < end; i++) a[i + j * lda] /= pivot;
        }
        mock__gemm(false, true, n - end, end - j0, j0, -1, a + end, lda, a + j0, lda, a + end + j0 * lda, lda);
        const mock_triangle t = {a + j0 + j0 * lda, end - j0, lda, .lower = true, .trans = true, .unit = false};
        mock__trsm(&t, true, n - end, end - j0, 1, a + end + j0 * lda, lda);
    }
    return 0;
}
