// SPDX-License-Identifier: Apache-2.0
// cuda_many.cu: factors, inverses and weights of several small matrices at once, for several likelihoods. Host side:
// cuda_mll_many.c.
//
//   factor   one block a matrix, column by column of tiles (32 x 32): A_ij - sum_{k<j} L_ik L_jk', then on the diagonal its factor
//            and the inverse of that, below it the product with that inverse.  n^3/3 flops
//   invert   one block a column of tiles, each independent of the others: M_ij = -L_ii^-1 sum_{j<=k<i} L_ik M_kj.  n^3/3
//   gram     one block a tile: A^-1_ij = sum_{k>=i} M_ki' M_kj.  n^3/3
//
// Why not the libraries' batched routines: potrfBatched is slower from n = 128 on than these sizes need, trtri has none, and what
// is wanted is one wait for all. Matrices of up to 512 points stay in the second-level cache: 2 MB each.
// A tile in shared memory has rows of 33 numbers, so that a column of it lies in 32 banks. A thread has the 2 x 2 entries
// (tx + 16 r, ty + 16 s). Sums are taken in the order of k, so a matrix has the same bits whatever stands beside it.
#include "cuda_sums.cuh"
#include "cuda_tile.cuh"

enum {
    MANY_EDGE = CUDA__SMALL,
    MANY_PITCH = MANY_EDGE + 1,
    MANY_TILE = MANY_EDGE * MANY_PITCH,
    MANY_PER = MANY_EDGE / CUDA__SIDE
};

// Entries (i0 + r, j0 + c) of the lower triangle of a into s[r][c], or s[c][r]; zero above it and past the end.
CUDA__DEVICE void cuda__many_load(double *s, const double *a, int64_t lda, int64_t n, int64_t i0, int64_t j0,
                                  bool transposed) {
    for (int at = (int)threadIdx.x; at < MANY_EDGE * MANY_EDGE; at += CUDA__THREADS) {
        const int r = at % MANY_EDGE, c = at / MANY_EDGE;
        const int64_t i = i0 + r, j = j0 + c;
        s[transposed ? c * MANY_PITCH + r : r * MANY_PITCH + c] = i < n && j <= i ? a[i + j * lda] : 0;
    }
}

// sum[r][s] += X Y' of two tiles.
CUDA__DEVICE void cuda__many_product(double (&sum)[MANY_PER][MANY_PER], const double *x, const double *y) {
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    for (int k = 0; k < MANY_EDGE; k++) {
        double from[MANY_PER], to[MANY_PER];
        CUDA__EACH (r, MANY_PER) from[r] = x[(tx + CUDA__SIDE * r) * MANY_PITCH + k];
        CUDA__EACH (s, MANY_PER) to[s] = y[(ty + CUDA__SIDE * s) * MANY_PITCH + k];
        CUDA__EACH (r, MANY_PER)
            CUDA__EACH (s, MANY_PER) sum[r][s] += from[r] * to[s];
    }
}

CUDA__DEVICE void cuda__many_zero(double (&sum)[MANY_PER][MANY_PER]) {
    CUDA__EACH (r, MANY_PER)
        CUDA__EACH (s, MANY_PER) sum[r][s] = 0;
}

// scale * sum as entries of the lower triangle of a.
CUDA__DEVICE void cuda__many_store(double *a, int64_t lda, int64_t n, int64_t i0, int64_t j0, double scale,
                                   const double (&sum)[MANY_PER][MANY_PER]) {
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    CUDA__EACH (s, MANY_PER)
        CUDA__EACH (r, MANY_PER) {
            const int64_t i = i0 + tx + CUDA__SIDE * r, j = j0 + ty + CUDA__SIDE * s;
            if (i < n && j <= i) a[i + j * lda] = scale * sum[r][s];
        }
}

// The leading `width` rows of tile x (lower) = L L' in place, u = L^-1. root: MANY_EDGE shared numbers. 0, or the pivot from 1 that
// is not positive; the same in all threads, which have a barrier behind them.
CUDA__DEVICE int cuda__many_pivot(double *x, double *u, double *root, int width) {
    const int t = (int)threadIdx.x;
    for (int at = t; at < MANY_EDGE * MANY_EDGE; at += CUDA__THREADS) {
        const int r = at % MANY_EDGE, s = at / MANY_EDGE;
        u[r * MANY_PITCH + s] = r == s ? 1 : 0;
    }
    for (int c = 0; c < width; c++) {
        CUDA__SYNC();
        const double pivot = x[c * MANY_PITCH + c];
        if (!(pivot > 0 && pivot <= 1.7976931348623157e308)) return c + 1;
        const double by = sqrt(pivot);
        if (t < MANY_EDGE) {
            if (t > c) x[t * MANY_PITCH + c] /= by;
            if (t == c) root[c] = by; // the others still read the pivot
        } else if (t - MANY_EDGE <= c) {
            u[c * MANY_PITCH + t - MANY_EDGE] /= by;
        }
        CUDA__SYNC();
        for (int at = t; at < MANY_EDGE * MANY_EDGE; at += CUDA__THREADS) {
            const int r = at % MANY_EDGE, s = at / MANY_EDGE;
            if (r <= c || r >= width) continue;
            const double l = x[r * MANY_PITCH + c];
            if (s <= c)
                u[r * MANY_PITCH + s] -= l * u[c * MANY_PITCH + s];
            else if (s <= r)
                x[r * MANY_PITCH + s] -= l * x[s * MANY_PITCH + c];
        }
    }
    CUDA__SYNC();
    if (t < width) x[t * MANY_PITCH + t] = root[t];
    CUDA__SYNC();
    return 0;
}

CUDA__KERNEL(cuda_many_factor, cuda__many_args, CUDA__THREADS) {
    CUDA__SHARED(double, x, MANY_TILE);
    CUDA__SHARED(double, y, MANY_TILE);
    CUDA__SHARED(double, u, MANY_TILE);
    CUDA__SHARED(double, root, MANY_EDGE);
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int64_t q = blockIdx.y, n = a.n, lda = a.lda;
    double *l = a.a + q * a.step, *m = a.m + q * a.step;
    for (int64_t j0 = 0; j0 < n; j0 += MANY_EDGE)
        for (int64_t i0 = j0; i0 < n; i0 += MANY_EDGE) {
            double sum[MANY_PER][MANY_PER];
            cuda__many_zero(sum);
            for (int64_t k0 = 0; k0 < j0; k0 += MANY_EDGE) {
                CUDA__SYNC();
                cuda__many_load(x, l, lda, n, i0, k0, false);
                cuda__many_load(y, l, lda, n, j0, k0, false);
                CUDA__SYNC();
                cuda__many_product(sum, x, y);
            }
            CUDA__SYNC();
            cuda__many_load(x, l, lda, n, i0, j0, false);
            CUDA__SYNC();
            CUDA__EACH (r, MANY_PER)
                CUDA__EACH (s, MANY_PER) x[(tx + CUDA__SIDE * r) * MANY_PITCH + ty + CUDA__SIDE * s] -= sum[r][s];
            CUDA__SYNC();
            if (i0 == j0) {
                const int bad = cuda__many_pivot(x, u, root, n - j0 < MANY_EDGE ? (int)(n - j0) : (int)MANY_EDGE);
                if (bad) {
                    if (threadIdx.x == 0) a.info[q] = (int32_t)j0 + bad;
                    return;
                }
                CUDA__EACH (r, MANY_PER)
                    CUDA__EACH (s, MANY_PER) sum[r][s] = x[(tx + CUDA__SIDE * r) * MANY_PITCH + ty + CUDA__SIDE * s];
                cuda__many_store(l, lda, n, i0, j0, 1, sum);
                CUDA__EACH (r, MANY_PER)
                    CUDA__EACH (s, MANY_PER) sum[r][s] = u[(tx + CUDA__SIDE * r) * MANY_PITCH + ty + CUDA__SIDE * s];
                cuda__many_store(m, lda, n, i0, j0, 1, sum);
            } else {
                cuda__many_zero(sum);
                cuda__many_product(sum, x, u);
                cuda__many_store(l, lda, n, i0, j0, 1, sum);
            }
        }
}

CUDA__KERNEL(cuda_many_invert, cuda__many_args, CUDA__THREADS) {
    CUDA__SHARED(double, x, MANY_TILE);
    CUDA__SHARED(double, y, MANY_TILE);
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int64_t q = blockIdx.y, n = a.n, lda = a.lda, j0 = (int64_t)blockIdx.x * MANY_EDGE;
    const double *l = a.a + q * a.step;
    double *m = a.m + q * a.step;
    if (a.info[q]) return;
    for (int64_t i0 = j0 + MANY_EDGE; i0 < n; i0 += MANY_EDGE) {
        double sum[MANY_PER][MANY_PER];
        cuda__many_zero(sum);
        for (int64_t k0 = j0; k0 < i0; k0 += MANY_EDGE) {
            CUDA__SYNC();
            cuda__many_load(x, l, lda, n, i0, k0, false);
            cuda__many_load(y, m, lda, n, k0, j0, true);
            CUDA__SYNC();
            cuda__many_product(sum, x, y);
        }
        CUDA__SYNC();
        cuda__many_load(x, m, lda, n, i0, i0, false);
        CUDA__EACH (r, MANY_PER)
            CUDA__EACH (s, MANY_PER) y[(ty + CUDA__SIDE * s) * MANY_PITCH + tx + CUDA__SIDE * r] = sum[r][s];
        CUDA__SYNC();
        cuda__many_zero(sum);
        cuda__many_product(sum, x, y);
        cuda__many_store(m, lda, n, i0, j0, -1, sum);
    }
}

CUDA__KERNEL(cuda_many_weights, cuda__many_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    const int lane = (int)threadIdx.x % CUDA__WARP, warp = (int)threadIdx.x / CUDA__WARP;
    const int64_t q = blockIdx.y, n = a.n, lda = a.lda;
    const double *m = a.m + q * a.step, *y = a.y + q * n;
    double *v = a.v + q * n, *alpha = a.alpha + q * n, logs = 0, squares = 0;
    if (a.info[q]) {
        for (int64_t i = threadIdx.x; i < n; i += CUDA__THREADS) alpha[i] = 0;
        return;
    }
    for (int64_t i = threadIdx.x; i < n; i += CUDA__THREADS) {
        double sum = 0;
        for (int64_t j = 0; j <= i; j++) sum += m[i + j * lda] * y[j];
        v[i] = sum;
        squares += sum * sum;
        logs += log(m[i * (lda + 1)]); // of L's diagonal: minus that
    }
    CUDA__SYNC();
    for (int64_t j = warp; j < n; j += CUDA__WARPS) {
        double sum = 0;
        for (int64_t i = j + lane; i < n; i += CUDA__WARP) sum += m[i + j * lda] * v[i];
        sum = cuda__warp_sum(sum);
        if (lane == 0) alpha[j] = sum;
    }
    logs = cuda__block_sum(logs, parts);
    squares = cuda__block_sum(squares, parts);
    if (threadIdx.x != 0) return;
    a.out[2 * q] = -2 * logs;
    a.out[2 * q + 1] = squares;
}

CUDA__KERNEL(cuda_many_gram, cuda__many_args, CUDA__THREADS) {
    CUDA__SHARED(double, x, MANY_TILE);
    CUDA__SHARED(double, y, MANY_TILE);
    const int64_t q = blockIdx.y, n = a.n, lda = a.lda;
    const double *m = a.m + q * a.step;
    double sum[MANY_PER][MANY_PER];
    int64_t row, column;
    if (a.info[q]) return;
    cuda__lower_tile((int64_t)blockIdx.x, &row, &column);
    cuda__many_zero(sum);
    for (int64_t k0 = row * MANY_EDGE; k0 < n; k0 += MANY_EDGE) {
        CUDA__SYNC();
        cuda__many_load(x, m, lda, n, k0, row * MANY_EDGE, true);
        cuda__many_load(y, m, lda, n, k0, column * MANY_EDGE, true);
        CUDA__SYNC();
        cuda__many_product(sum, x, y);
    }
    cuda__many_store(a.a + q * a.step, lda, n, row * MANY_EDGE, column * MANY_EDGE, 1, sum);
}
