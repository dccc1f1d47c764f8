// SPDX-License-Identifier: Apache-2.0
// cuda_cov.cu: covariance of points with themselves (lower triangle) and with others. Host side: cuda_model.c, cuda_predict.c.
//
//   K_ij = sum_t [term t active in both] a_t M(q_t(i, j)),   K (n x m, ldk), a tile of 64 x 64 a block
// Cost: 3 d flops and one exponential an entry; every entry is written once. Nothing is read but the points.
#include "cuda_tile.cuh"

template <int E>
CUDA__DEVICE void cuda__cov_tile(double (&k)[E][E], const cuda__cov &cov, const cuda__points &x, int64_t i0,
                                 const cuda__points &z, int64_t j0, double *xs, double *zs) {
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    double q0[E][E], q[E][E], h;
    uint64_t of_x[E], of_z[E]; // masks; 0 past the end
    CUDA__EACH (r, E) {
        const int64_t i = i0 + tx + CUDA__SIDE * r, j = j0 + ty + CUDA__SIDE * r;
        of_x[r] = i < x.n ? x.mask[i] : 0;
        of_z[r] = j < z.n ? z.mask[j] : 0;
        CUDA__EACH (s, E) q0[r][s] = k[r][s] = 0;
    }
    cuda__distances<E>(q0, cov, 0, x, i0, z, j0, xs, zs);
    for (int t = 0; t < cov.n_terms; t++) {
        cuda__term_distances<E>(q, q0, cov, t, x, i0, z, j0, xs, zs);
        CUDA__EACH (r, E)
            CUDA__EACH (s, E)
                if (cuda__active(cov, t, of_x[r] & of_z[s]))
                    k[r][s] += cov.amplitude[t] * cuda__shape(&h, cov.kind, q[r][s]);
    }
}

enum { COV_EDGE = CUDA__TILE / CUDA__SIDE, COV_CHUNK = CUDA__CHUNK * CUDA__TILE };

CUDA__KERNEL(cuda_lower, cuda__lower_args, CUDA__THREADS) {
    CUDA__SHARED(double, xs, COV_CHUNK);
    CUDA__SHARED(double, zs, COV_CHUNK);
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int64_t q = blockIdx.y;
    const double diagonal = a.diagonals ? a.diagonals[q] : a.diagonal;
    int64_t row, column;
    double k[COV_EDGE][COV_EDGE];
    cuda__lower_tile((int64_t)blockIdx.x, &row, &column);
    cuda__cov_tile<COV_EDGE>(k, cuda__cov_of(a.cov, q), a.x, row * CUDA__TILE, a.x, column * CUDA__TILE, xs, zs);
    CUDA__EACH (s, COV_EDGE)
        CUDA__EACH (r, COV_EDGE) {
            const int64_t i = row * CUDA__TILE + tx + CUDA__SIDE * r, j = column * CUDA__TILE + ty + CUDA__SIDE * s;
            if (i < a.x.n && j <= i) a.k[q * a.step + i + j * a.ldk] = k[r][s] + (i == j ? diagonal : 0);
        }
}

// Args: cuda__cross_args, or the one in single precision; entries are computed in double and rounded once.
template <class Args, class Number>
CUDA__DEVICE void cuda__cross_tile(const Args &a, Number *out, double *xs, double *zs) {
    const int tx = (int)threadIdx.x % CUDA__SIDE, ty = (int)threadIdx.x / CUDA__SIDE;
    const int64_t i0 = (int64_t)blockIdx.x * CUDA__TILE, j0 = (int64_t)blockIdx.y * CUDA__TILE;
    double k[COV_EDGE][COV_EDGE];
    cuda__cov_tile<COV_EDGE>(k, a.cov, a.x, i0, a.z, j0, xs, zs);
    CUDA__EACH (s, COV_EDGE)
        CUDA__EACH (r, COV_EDGE) {
            const int64_t i = i0 + tx + CUDA__SIDE * r, j = j0 + ty + CUDA__SIDE * s;
            if (i < a.x.n && j < a.z.n) out[i + j * a.ldk] = (Number)k[r][s];
        }
}

CUDA__KERNEL(cuda_cross, cuda__cross_args, CUDA__THREADS) {
    CUDA__SHARED(double, xs, COV_CHUNK);
    CUDA__SHARED(double, zs, COV_CHUNK);
    cuda__cross_tile(a, a.k, xs, zs);
}

CUDA__KERNEL(cuda_cross_single, cuda__cross_single_args, CUDA__THREADS) {
    CUDA__SHARED(double, xs, COV_CHUNK);
    CUDA__SHARED(double, zs, COV_CHUNK);
    cuda__cross_tile(a, a.k, xs, zs);
}
