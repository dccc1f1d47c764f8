// SPDX-License-Identifier: Apache-2.0
// cuda_tile.cuh: a tile of the covariance, as the kernels that build K and sum its derivatives share it.
//
// A block of 256 threads has a tile of 16 E x 16 E pairs of points, a thread the E x E pairs of rows tx + 16 r and columns
// ty + 16 s (tx = thread mod 16, ty = thread / 16): neighbouring threads write neighbouring rows, and a number from shared
// memory serves E pairs. Columns of points pass through shared memory in chunks of 16, so that d has no bound.
//   q_t = sum over the blocks b of term t, over the columns c of b, of ((x_c - z_c) / l_c)^2 or [x_c != z_c] / l_c^2
// The sum over block 0 is kept, since nearly every term contains it; the others are summed where they are needed.
// Differences, not |x|^2 + |z|^2 - 2 x'z: that loses half of the digits where points are near, which is where a tuner works.
// A column of a block that is inactive may hold any number: what comes of it is dropped by a choice, never by a product.
#ifndef HPT_CUDA_TILE_CUH
#define HPT_CUDA_TILE_CUH

#include "cuda_dialect.cuh"

// M and h = -2 dM/dq at q = r^2, so that dk/dz_c = a h (x_c - z_c) / l_c^2 and dk/dlog l_c = a h (x_c - z_c)^2 / l_c^2.
CUDA__DEVICE double cuda__shape(double *h, int kind, double q) {
    if (kind == HPT__COV_RBF) {
        const double m = exp(-0.5 * q);
        *h = m;
        return m;
    }
    const double s = sqrt((kind == HPT__COV_MATERN52 ? 5.0 : 3.0) * q);
    const double e = s > 800 ? 0 : exp(-s), bounded = s > 800 ? 0 : s; // infinity times zero is no number
    if (kind == HPT__COV_MATERN52) {
        *h = 5.0 / 3 * (1 + bounded) * e;
        return (1 + bounded + bounded * bounded / 3) * e;
    }
    *h = 3 * e;
    return (1 + bounded) * e;
}

CUDA__DEVICE bool cuda__active(const cuda__cov &cov, int t, uint64_t both) {
    return (cov.term_blocks[t] & ~both) == 0;
}

// The covariance with the hyperparameters of problem q.
CUDA__DEVICE cuda__cov cuda__cov_of(const cuda__cov &cov, int64_t q) {
    cuda__cov own = cov;
    own.inv_l += q * cov.step;
    own.amplitude += q * cov.step;
    return own;
}

// Columns c0 .. c0 + width - 1 of `rows` points from row i0 on into to[column][row], divided by their length scales; zero past
// the last point.
CUDA__DEVICE void cuda__load(double *to, int rows, const cuda__cov &cov, const cuda__points &x, int64_t i0, int c0,
                             int width) {
    for (int at = (int)threadIdx.x; at < rows * width; at += CUDA__THREADS) {
        const int c = at / rows, i = at % rows;
        to[at] = i0 + i < x.n ? x.x[(c0 + c) * x.ld + i0 + i] * cov.inv_l[c0 + c] : 0;
    }
}

// Adds the distances over the columns of block b to q. xs, zs: 16 x 16 E shared numbers each; all threads of the block call.
template <int E>
CUDA__DEVICE void cuda__distances(double (&q)[E][E], const cuda__cov &cov, int b, const cuda__points &x, int64_t i0,
                                  const cuda__points &z, int64_t j0, double *xs, double *zs) {
    const int rows = CUDA__SIDE * E, tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int end = cov.first[b + 1];
    for (int c0 = cov.first[b]; c0 < end; c0 += CUDA__CHUNK) {
        const int width = end - c0 < CUDA__CHUNK ? end - c0 : CUDA__CHUNK;
        CUDA__SYNC();
        cuda__load(xs, rows, cov, x, i0, c0, width);
        cuda__load(zs, rows, cov, z, j0, c0, width);
        CUDA__SYNC();
        for (int c = 0; c < width; c++) {
            double from[E], to[E];
            CUDA__EACH (r, E) from[r] = xs[c * rows + tx + CUDA__SIDE * r];
            CUDA__EACH (s, E) to[s] = zs[c * rows + ty + CUDA__SIDE * s];
            if (cov.categorical[c0 + c]) {
                const double apart = cov.inv_l[c0 + c] * cov.inv_l[c0 + c];
                CUDA__EACH (r, E)
                    CUDA__EACH (s, E) q[r][s] += from[r] != to[s] ? apart : 0;
            } else {
                CUDA__EACH (r, E)
                    CUDA__EACH (s, E) q[r][s] += (from[r] - to[s]) * (from[r] - to[s]);
            }
        }
    }
}

// q = distances of term t; q0: those of block 0.
template <int E>
CUDA__DEVICE void cuda__term_distances(double (&q)[E][E], const double (&q0)[E][E], const cuda__cov &cov, int t,
                                       const cuda__points &x, int64_t i0, const cuda__points &z, int64_t j0, double *xs,
                                       double *zs) {
    const uint64_t blocks = cov.term_blocks[t];
    CUDA__EACH (r, E)
        CUDA__EACH (s, E) q[r][s] = blocks & 1 ? q0[r][s] : 0;
    for (int b = 1; b < cov.n_blocks; b++)
        if (blocks >> b & 1) cuda__distances<E>(q, cov, b, x, i0, z, j0, xs, zs);
}

// Tile `at` of the lower triangle of tiles, rows first.
CUDA__DEVICE void cuda__lower_tile(int64_t at, int64_t *row, int64_t *column) {
    int64_t i = (int64_t)((sqrt(8.0 * (double)at + 1) - 1) / 2);
    while (i * (i + 1) / 2 > at) i--; // the root is rounded
    while ((i + 1) * (i + 2) / 2 <= at) i++;
    *row = i;
    *column = at - i * (i + 1) / 2;
}

#endif
