// SPDX-License-Identifier: Apache-2.0
// cuda_thin.cu: a triangle times a few columns, and one more row of factor and inverse. Host side: cuda_thin.c.
//
//   V = M B:   v_ic = sum_{j <= i} m_ij b_jc      a lane a row, a warp every 16th column; the warps' sums are added in order
//   U = M' V:  u_jc = sum_{i >= j} m_ij v_ic      a warp two columns of M, its lanes the rows, which then add up
//
// M is read once for up to CUDA__THIN columns, 4 n^2 bytes, which is what it costs: the products of the libraries are made for many
// columns. B passes through shared memory by pieces of rows; the numbers of M for a piece are on their way before it is there.
#include "cuda_sums.cuh"

enum {
    CUDA__THIN_WARPS = CUDA__THIN_THREADS / CUDA__WARP,
    CUDA__PIECE = 256,                            // rows of B in shared memory
    CUDA__STEPS = CUDA__PIECE / CUDA__THIN_WARPS, // columns of a piece that a warp has
    CUDA__LANE_ROWS = CUDA__PIECE / CUDA__WARP,   // rows of a piece that a lane has
    CUDA__THIN_COLUMNS = 2 * CUDA__THIN_WARPS,    // columns of M that a block has, transposed
};

// Rows j0 .. of up to CUDA__THIN columns of B, zeros past the end; of row r and column c at r by_row + c by_column.
CUDA__DEVICE void cuda__load_piece(double *piece, const cuda__thin_args &a, int64_t j0, int64_t c0, int by_row,
                                   int by_column) {
    for (int at = (int)threadIdx.x; at < CUDA__PIECE * CUDA__THIN; at += CUDA__THIN_THREADS) {
        const int r = at % CUDA__PIECE, c = at / CUDA__PIECE;
        piece[r * by_row + c * by_column] = j0 + r < a.n && c0 + c < a.s ? a.b[j0 + r + (c0 + c) * a.ldb] : 0;
    }
}

CUDA__KERNEL(cuda_thin, cuda__thin_args, CUDA__THIN_THREADS) {
    CUDA__SHARED(double, piece, CUDA__PIECE *CUDA__THIN);
    const int lane = (int)threadIdx.x % CUDA__WARP, warp = (int)threadIdx.x / CUDA__WARP;
    const int64_t i = (int64_t)blockIdx.x * CUDA__WARP + lane, c0 = (int64_t)blockIdx.y * CUDA__THIN;
    const int64_t end = ((int64_t)blockIdx.x + 1) * CUDA__WARP; // columns that this block's rows reach
    double sum[CUDA__THIN];
    CUDA__EACH (c, CUDA__THIN) sum[c] = 0;
    for (int64_t j0 = 0; j0 < end; j0 += CUDA__PIECE) {
        double m[CUDA__STEPS];
        CUDA__EACH (k, CUDA__STEPS) {
            const int64_t j = j0 + warp + k * CUDA__THIN_WARPS;
            m[k] = i < a.n && j <= i ? a.m[i + j * a.ldm] : 0;
        }
        cuda__load_piece(piece, a, j0, c0, CUDA__THIN, 1);
        CUDA__SYNC();
        CUDA__EACH (k, CUDA__STEPS)
            CUDA__EACH (c, CUDA__THIN) sum[c] += m[k] * piece[(warp + k * CUDA__THIN_WARPS) * CUDA__THIN + c];
        CUDA__SYNC();
    }
    CUDA__EACH (c, CUDA__THIN) { // the piece's place serves for the sums
        piece[threadIdx.x] = sum[c];
        CUDA__SYNC();
        if (warp == 0 && i < a.n && c0 + c < a.s) {
            double all = 0;
            for (int w = 0; w < CUDA__THIN_WARPS; w++) all += piece[w * CUDA__WARP + lane];
            a.out[i + (c0 + c) * a.ldo] = all;
        }
        CUDA__SYNC();
    }
}

CUDA__KERNEL(cuda_thin_transposed, cuda__thin_args, CUDA__THIN_THREADS) {
    CUDA__SHARED(double, piece, CUDA__PIECE *CUDA__THIN);
    const int lane = (int)threadIdx.x % CUDA__WARP, warp = (int)threadIdx.x / CUDA__WARP;
    const int64_t first = (int64_t)blockIdx.x * CUDA__THIN_COLUMNS, j = first + 2 * warp,
                  c0 = (int64_t)blockIdx.y * CUDA__THIN;
    double left[CUDA__THIN], right[CUDA__THIN];
    CUDA__EACH (c, CUDA__THIN) left[c] = right[c] = 0;
    for (int64_t i0 = first / CUDA__PIECE * CUDA__PIECE; i0 < a.n; i0 += CUDA__PIECE) {
        double m[CUDA__LANE_ROWS], next[CUDA__LANE_ROWS]; // of columns j and j + 1
        CUDA__EACH (k, CUDA__LANE_ROWS) {
            const int64_t i = i0 + lane + k * CUDA__WARP;
            m[k] = i < a.n && i >= j ? a.m[i + j * a.ldm] : 0;
            next[k] = i < a.n && i > j ? a.m[i + (j + 1) * a.ldm] : 0;
        }
        cuda__load_piece(piece, a, i0, c0, 1, CUDA__PIECE);
        CUDA__SYNC();
        CUDA__EACH (k, CUDA__LANE_ROWS)
            CUDA__EACH (c, CUDA__THIN) {
                const double v = piece[c * CUDA__PIECE + lane + k * CUDA__WARP];
                left[c] += m[k] * v;
                right[c] += next[k] * v;
            }
        CUDA__SYNC();
    }
    CUDA__EACH (c, CUDA__THIN) {
        const double l = cuda__warp_sum(left[c]), r = cuda__warp_sum(right[c]);
        if (lane != 0 || c0 + c >= a.s) continue;
        if (j < a.n) a.out[j + (c0 + c) * a.ldo] = l;
        if (j + 1 < a.n) a.out[j + 1 + (c0 + c) * a.ldo] = r;
    }
}

// The last row of factor and inverse, from v = M_11 k and u = M_11' v:
//   l_pp = sqrt(k_pp + diagonal - v'v);  L row (v', l_pp);  M row (-u' / l_pp, 1 / l_pp)
CUDA__KERNEL(cuda_append_row, cuda__append_row_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    CUDA__SHARED(double, pivot, 1);
    double sum = 0;
    for (int64_t j = threadIdx.x; j < a.n; j += CUDA__THREADS) sum += a.v[j] * a.v[j];
    sum = cuda__block_sum(sum, parts);
    if (threadIdx.x == 0) {
        const double left = a.factor[a.n * a.ld] - sum; // k_pp + diagonal stands there
        const bool good = left > 0;                     // NaN is not
        pivot[0] = good ? sqrt(left) : 1;
        a.info[0] = good ? 0 : 1;
        a.factor[a.n * a.ld] = pivot[0];
        a.inverse[a.n * a.ld] = 1 / pivot[0];
    }
    CUDA__SYNC();
    const double by = -1 / pivot[0];
    for (int64_t j = threadIdx.x; j < a.n; j += CUDA__THREADS) {
        a.factor[j * a.ld] = a.v[j];
        a.inverse[j * a.ld] = by * a.u[j];
    }
}
