// SPDX-License-Identifier: Apache-2.0
// cuda_predict.cu: posterior moments from covariances, their gradients, acquisition values. Host side: cuda_predict.c.
//
//   mean_j = k_j' alpha;  var_j = k(z_j, z_j) - |L^-1 k_j|^2
//   d mean_j / d z_c = sum_i alpha_i h_ij (x_ic - z_jc) / l_c^2;   d var_j / d z_c = -2 sum_i u_ij h_ij (x_ic - z_jc) / l_c^2
//   h_ij = sum over terms t with c's block, active in both, of a_t h(q_t(i, j))
#include "cuda_sums.cuh"
#include "cuda_tile.cuh"

#define HPT__ACQ_FN CUDA__DEVICE
#define HPT__ACQ_ERFCX erfcx
#define HPT__ACQ_NDTR normcdf
#include "../core/backend/acq_formulas.h"

// The prior variance of a point with this mask less `known`, and never negative.
CUDA__DEVICE double cuda__left_of_prior(const cuda__cov &cov, uint64_t mask, double known) {
    double prior = 0;
    for (int t = 0; t < cov.n_terms; t++)
        if (cuda__active(cov, t, mask)) prior += cov.amplitude[t];
    return prior - known > 0 ? prior - known : 0;
}

CUDA__KERNEL(cuda_moments, cuda__moments_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    const int64_t j = blockIdx.x;
    double mean = 0, var = 0;
    if (a.k)
        for (int64_t i = threadIdx.x; i < a.n_k; i += CUDA__THREADS) mean += a.k[i + j * a.ldk] * a.alpha[i];
    if (a.v)
        for (int64_t i = threadIdx.x; i < a.n_v; i += CUDA__THREADS) {
            const double v = a.v[i + j * a.ldv];
            var += v * v;
        }
    mean = cuda__block_sum(mean, parts);
    var = cuda__block_sum(var, parts);
    if (threadIdx.x != 0) return;
    if (a.v) a.var[j] = var = cuda__left_of_prior(a.cov, a.z.mask[j], var);
    if (a.k) a.mean[j] = mean;
    if (a.value) a.value[j] = hpt__acq_value_of(&a.acq, mean, var);
    if (!a.by_mean) return;
    double by_mean, by_var;
    hpt__acq_derivatives_of(&by_mean, &by_var, &a.acq, mean, var);
    a.by_mean[j] = by_mean;
    a.by_var[j] = by_var;
}

// ---- screening in single precision (cuda_screen.c): sums and acquisition in double

CUDA__KERNEL(cuda_single, cuda__single_args, CUDA__THREADS) {
    const int64_t i = a.first + (int64_t)blockIdx.x * CUDA__THREADS + threadIdx.x,
                  j0 = (int64_t)blockIdx.y * CUDA__WARP;
    if (i >= a.n) return;
    for (int64_t j = j0; j < j0 + CUDA__WARP && j <= i; j++) a.to[i + j * a.ld] = (float)a.from[i + j * a.ld];
}

CUDA__KERNEL(cuda_bounds, cuda__bounds_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    const int64_t j = blockIdx.x;
    double mean = 0, spread = 0, known = 0;
    if (a.k)
        for (int64_t i = threadIdx.x; i < a.n_k; i += CUDA__THREADS) {
            const double product = (double)a.k[i + j * a.ld] * a.alpha[i];
            mean += product;
            spread += product * product;
        }
    for (int64_t i = threadIdx.x; i < a.n_v; i += CUDA__THREADS) {
        const double v = a.v[i + j * a.ld];
        known += v * v;
    }
    mean = cuda__block_sum(mean, parts);
    spread = cuda__block_sum(spread, parts);
    known = cuda__block_sum(known, parts);
    if (threadIdx.x != 0) return;
    const double var = cuda__left_of_prior(a.cov, a.z.mask[j], known);
    const double e = a.mean_error * sqrt(spread), f = a.var_error * sqrt(known);
    a.upper[j] = hpt__acq_value_of(&a.acq, mean - e, var + f);
    a.lower[j] = hpt__acq_value_of(&a.acq, mean + e, var - f);
}

CUDA__KERNEL(cuda_pool_row, cuda__pool_row_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    const int64_t j = blockIdx.x;
    double *v = a.v + j * a.ld, sum = 0;
    for (int64_t i = threadIdx.x; i < a.n; i += CUDA__THREADS) sum += a.l[i] * v[i];
    sum = cuda__block_sum(sum, parts);
    if (threadIdx.x != 0) return;
    const double last = (a.k[j] - sum) / a.l[a.n];
    v[a.n] = last;
    a.var[j] -= last * last;
}

// Distance of point i of x and point j of z over the columns of term t.
CUDA__DEVICE double cuda__pair_distance(const cuda__slopes_args &a, int t, int64_t i, int64_t j) {
    double q = 0;
    for (int b = 0; b < a.cov.n_blocks; b++) {
        if (!(a.cov.term_blocks[t] >> b & 1)) continue;
        for (int c = a.cov.first[b]; c < a.cov.first[b + 1]; c++) {
            const double from = a.x.x[c * a.x.ld + i] * a.cov.inv_l[c], to = a.z.x[c * a.z.ld + j] * a.cov.inv_l[c];
            if (a.cov.categorical[c])
                q += from != to ? a.cov.inv_l[c] * a.cov.inv_l[c] : 0;
            else
                q += (from - to) * (from - to);
        }
    }
    return q;
}

// One candidate and up to GROUP columns of one block: a thread takes every 256th point, so that neighbours read neighbouring numbers;
// distances are computed once for the group. Few candidates (the restarts of a search) make few blocks, so that many points are
// cut into parts.
CUDA__KERNEL(cuda_slopes, cuda__slopes_args, CUDA__THREADS) {
    CUDA__SHARED(double, parts, CUDA__WARPS);
    const int64_t j = blockIdx.x, part = blockIdx.y / a.n_groups, group = blockIdx.y % a.n_groups;
    const int64_t n = a.n_alpha > a.n_u ? a.n_alpha : a.n_u, from = part * a.part_rows;
    const int64_t end = from + a.part_rows < n ? from + a.part_rows : n;
    const int c0 = a.group_first[group], b = a.group_block[group];
    const int left = a.cov.first[b + 1] - c0, width = left < CUDA__GROUP ? left : CUDA__GROUP;
    double mean[CUDA__GROUP], var[CUDA__GROUP], to[CUDA__GROUP];
    CUDA__EACH (c, CUDA__GROUP) {
        mean[c] = var[c] = 0;
        to[c] = c < width ? a.z.x[(c0 + c) * a.z.ld + j] * a.cov.inv_l[c0 + c] : 0;
    }
    for (int64_t i = from + threadIdx.x; i < end; i += CUDA__THREADS) {
        double slope = 0, h;
        for (int t = 0; t < a.cov.n_terms; t++) {
            if (!(a.cov.term_blocks[t] >> b & 1) || !cuda__active(a.cov, t, a.x.mask[i] & a.z.mask[j])) continue;
            (void)cuda__shape(&h, a.cov.kind, cuda__pair_distance(a, t, i, j));
            slope += a.cov.amplitude[t] * h;
        }
        if (slope == 0) continue; // inactive: the columns hold anything
        const double by_mean = a.alpha && i < a.n_alpha ? a.alpha[i] * slope : 0;
        const double by_var = a.u && i < a.n_u ? a.u[i + j * a.ldu] * slope : 0;
        CUDA__EACH (c, CUDA__GROUP) {
            if (c >= width) break;
            const double apart = a.x.x[(c0 + c) * a.x.ld + i] * a.cov.inv_l[c0 + c] - to[c];
            mean[c] += by_mean * apart;
            var[c] += by_var * apart;
        }
    }
    CUDA__EACH (c, CUDA__GROUP) {
        if (c >= width) break;
        const double by_mean = cuda__block_sum(mean[c], parts), by_var = cuda__block_sum(var[c], parts);
        if (threadIdx.x != 0) continue;
        const double scale = a.cov.categorical[c0 + c] ? 0 : a.cov.inv_l[c0 + c];
        const double dmean = scale == 0 ? 0 : scale * by_mean, dvar = scale == 0 ? 0 : -2 * scale * by_var;
        const int64_t at = j * a.cov.d + a.cov.order[c0 + c];
        if (a.n_parts > 1) {
            double *own = a.parts + 2 * (part * gridDim.x * a.cov.d + at);
            own[0] = dmean;
            own[1] = dvar;
            continue;
        }
        if (a.dmean) a.dmean[at] = dmean;
        if (a.dvar) a.dvar[at] = dvar;
        if (a.grad) a.grad[at] = a.by_mean[j] * dmean + a.by_var[j] * dvar;
    }
}

CUDA__KERNEL(cuda_chain, cuda__chain_args, CUDA__THREADS) {
    const int64_t at = (int64_t)blockIdx.x * CUDA__THREADS + threadIdx.x, size = a.m * a.d;
    if (at >= size) return;
    double dmean = 0, dvar = 0;
    for (int64_t part = 0; part < a.n_parts; part++) {
        dmean += a.parts[2 * (part * size + at)];
        dvar += a.parts[2 * (part * size + at) + 1];
    }
    if (a.dmean) a.dmean[at] = dmean;
    if (a.dvar) a.dvar[at] = dvar;
    if (a.grad) a.grad[at] = a.by_mean[at / a.d] * dmean + a.by_var[at / a.d] * dvar;
}

// ---- the best candidates

// Whether value v at i goes before value w at j. Indices past the end are the largest.
CUDA__DEVICE bool cuda__better(double v, int64_t i, double w, int64_t j) {
    return v > w || (v == w && i < j);
}

// Bitonic sorting network over CUDA__SORT values, a pair a thread.
CUDA__KERNEL(cuda_top, cuda__top_args, CUDA__SORT / 2) {
    CUDA__SHARED(double, value, CUDA__SORT);
    CUDA__SHARED(int64_t, index, CUDA__SORT);
    const double lowest = -1.0 / 0.0;
    const int64_t from = (int64_t)blockIdx.x * CUDA__SORT, none = INT64_MAX;
    for (int at = (int)threadIdx.x; at < CUDA__SORT; at += CUDA__SORT / 2) {
        const int64_t i = from + at, named = i >= a.m ? -1 : a.index ? a.index[i] : i;
        const double v = named < 0 ? lowest : a.value[i];
        value[at] = v == v ? v : lowest; // what is no number comes last
        index[at] = named < 0 ? none : named;
    }
    for (int size = 2; size <= CUDA__SORT; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            CUDA__SYNC();
            const int t = (int)threadIdx.x, low = t / step * 2 * step + t % step, high = low + step;
            const bool down = (low & size) == 0, wrong = cuda__better(value[high], index[high], value[low], index[low]);
            if (wrong == down && index[high] != index[low]) {
                const double v = value[low];
                const int64_t i = index[low];
                value[low] = value[high];
                index[low] = index[high];
                value[high] = v;
                index[high] = i;
            }
        }
    CUDA__SYNC();
    for (int at = (int)threadIdx.x; at < a.k; at += CUDA__SORT / 2) {
        a.best[(int64_t)blockIdx.x * a.k + at] = value[at];
        a.best_index[(int64_t)blockIdx.x * a.k + at] = index[at] == none ? -1 : index[at];
    }
}
