// SPDX-License-Identifier: Apache-2.0
// cuda_mll.cu: what the likelihood and its gradient need beside Cholesky factor and inverse. Host side: cuda_mll.c.
//
//   W = alpha alpha' - A^-1;  d value / d theta = 1/2 sum_ij W_ij dK_ij / d theta
//   log l_c:  sum_ij W_ij sum over terms t with c of a_t h(q_t) ((x_ic - x_jc) / l_c)^2 (or [x_ic != x_jc] / l_c^2)
//   log a_t:  sum_ij W_ij a_t M(q_t)          log noise: tr W (times the noise: host)
//
// One pass over the lower triangle of A^-1 gives all p sums: distances are computed anew from the points, so neither K nor
// its derivatives are stored. A block takes every grid-th tile and adds to its own row of `partial`; cuda_add_rows then adds the rows in
// their order. No atomic additions, and a grid that depends on n alone: the same bits each time.
// Cost: n^2 / 2 (6 d + one exponential a term) flops, 4 n^2 bytes read.
#include "cuda_sums.cuh"
#include "cuda_tile.cuh"

enum {
    SUM_EDGE = CUDA__SUM_TILE / CUDA__SIDE,
    SUM_CHUNK = CUDA__CHUNK * CUDA__SUM_TILE,
    SUM_PARTS = CUDA__CHUNK * CUDA__WARPS
};

// Adds sum over the tile of g ((x_c - z_c) / l_c)^2 to out[order[c]] for the columns c of block b. The shared arrays are free
// to be written when it is called, and again on return.
CUDA__DEVICE void cuda__column_sums(double *out, const double (&g)[SUM_EDGE][SUM_EDGE], const cuda__cov &cov,
                                    const cuda__points &x, int b, int64_t i0, int64_t j0, double *xs, double *zs,
                                    double *parts) {
    const int rows = CUDA__SUM_TILE, tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int lane = (int)threadIdx.x % CUDA__WARP, warp = (int)threadIdx.x / CUDA__WARP, end = cov.first[b + 1];
    for (int c0 = cov.first[b]; c0 < end; c0 += CUDA__CHUNK) {
        const int width = end - c0 < CUDA__CHUNK ? end - c0 : CUDA__CHUNK;
        cuda__load(xs, rows, cov, x, i0, c0, width);
        cuda__load(zs, rows, cov, x, j0, c0, width);
        CUDA__SYNC();
        for (int c = 0; c < width; c++) {
            const double apart = cov.inv_l[c0 + c] * cov.inv_l[c0 + c];
            const bool categorical = cov.categorical[c0 + c] != 0;
            double sum = 0;
            CUDA__EACH (r, SUM_EDGE)
                CUDA__EACH (s, SUM_EDGE) {
                    const double from = xs[c * rows + tx + CUDA__SIDE * r], to = zs[c * rows + ty + CUDA__SIDE * s];
                    const double squared = categorical ? (from != to ? apart : 0) : (from - to) * (from - to);
                    sum += g[r][s] != 0 ? g[r][s] * squared : 0;
                }
            sum = cuda__warp_sum(sum);
            if (lane == 0) parts[c * CUDA__WARPS + warp] = sum;
        }
        CUDA__SYNC();
        if ((int)threadIdx.x < width) { // a column is always the same thread's
            double sum = 0;
            for (int w = 0; w < CUDA__WARPS; w++) sum += parts[(int)threadIdx.x * CUDA__WARPS + w];
            out[cov.order[c0 + (int)threadIdx.x]] += sum;
        }
        CUDA__SYNC(); // the caller's next sum may come without a barrier before it
    }
}

CUDA__KERNEL(cuda_slope_sums, cuda__slope_sums_args, CUDA__THREADS) {
    CUDA__SHARED(double, xs, SUM_CHUNK);
    CUDA__SHARED(double, zs, SUM_CHUNK);
    CUDA__SHARED(double, parts, SUM_PARTS);
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int64_t side = (a.x.n + CUDA__SUM_TILE - 1) / CUDA__SUM_TILE, tiles = side * (side + 1) / 2;
    const int64_t problem = blockIdx.y;
    const double *alpha = a.alpha + problem * a.x.n, *inverse = a.inverse + problem * a.step;
    const cuda__cov cov = cuda__cov_of(a.cov, problem);
    double *out = a.partial + (problem * gridDim.x + blockIdx.x) * a.p;
    double trace = 0;
    for (int64_t i = threadIdx.x; i < a.p; i += CUDA__THREADS) out[i] = 0;
    CUDA__SYNC();
    for (int64_t at = blockIdx.x; at < tiles; at += gridDim.x) {
        int64_t row, column;
        cuda__lower_tile(at, &row, &column);
        const int64_t i0 = row * CUDA__SUM_TILE, j0 = column * CUDA__SUM_TILE;
        double w[SUM_EDGE][SUM_EDGE], q0[SUM_EDGE][SUM_EDGE], g0[SUM_EDGE][SUM_EDGE], g[SUM_EDGE][SUM_EDGE];
        uint64_t both[SUM_EDGE][SUM_EDGE];
        CUDA__EACH (r, SUM_EDGE)
            CUDA__EACH (s, SUM_EDGE) {
                const int64_t i = i0 + tx + CUDA__SIDE * r, j = j0 + ty + CUDA__SIDE * s;
                const bool mine = i < a.x.n && j <= i;
                const double one = mine ? alpha[i] * alpha[j] - inverse[i + j * a.ld] : 0;
                both[r][s] = mine ? a.x.mask[i] & a.x.mask[j] : 0;
                w[r][s] = i == j ? one : 2 * one; // a pair below the diagonal stands for two
                trace += mine && i == j ? one : 0;
                q0[r][s] = g0[r][s] = 0;
            }
        cuda__distances<SUM_EDGE>(q0, cov, 0, a.x, i0, a.x, j0, xs, zs);
        for (int t = 0; t < cov.n_terms; t++) {
            double sum = 0;
            cuda__term_distances<SUM_EDGE>(g, q0, cov, t, a.x, i0, a.x, j0, xs, zs);
            CUDA__EACH (r, SUM_EDGE)
                CUDA__EACH (s, SUM_EDGE) {
                    const bool active = cuda__active(cov, t, both[r][s]);
                    double h = 0;
                    const double m = cuda__shape(&h, cov.kind, active ? g[r][s] : 0);
                    const double weight = active ? w[r][s] * cov.amplitude[t] : 0;
                    sum += weight * m;
                    g[r][s] = weight * h;
                    if (cov.term_blocks[t] & 1) g0[r][s] += g[r][s];
                }
            sum = cuda__block_sum(sum, parts);
            if (threadIdx.x == 0) out[cov.d + t] += sum;
            for (int b = 1; b < cov.n_blocks; b++)
                if (cov.term_blocks[t] >> b & 1) cuda__column_sums(out, g, cov, a.x, b, i0, j0, xs, zs, parts);
        }
        cuda__column_sums(out, g0, cov, a.x, 0, i0, j0, xs, zs, parts);
    }
    CUDA__SYNC();
    trace = cuda__block_sum(trace, parts);
    if (threadIdx.x == 0) out[a.p - 1] = trace;
}

CUDA__KERNEL(cuda_add_rows, cuda__add_rows_args, CUDA__THREADS) {
    const int64_t i = (int64_t)blockIdx.x * CUDA__THREADS + threadIdx.x;
    if (i >= a.p) return;
    const double *partial = a.partial + blockIdx.y * a.rows * a.p;
    double sum = 0;
    for (int64_t row = 0; row < a.rows; row++) sum += partial[row * a.p + i];
    a.out[blockIdx.y * a.p + i] = sum;
}

CUDA__KERNEL(cuda_logdet, cuda__logdet_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    double logs = 0, squares = 0;
    for (int64_t i = threadIdx.x; i < a.n; i += CUDA__THREADS) {
        logs += log(a.a[i * (a.lda + 1)]);
        if (a.v) squares += a.v[i] * a.v[i];
    }
    logs = cuda__block_sum(logs, parts);
    squares = cuda__block_sum(squares, parts);
    if (threadIdx.x == 0) {
        a.out[0] = 2 * logs;
        a.out[1] = squares;
    }
}
