// SPDX-License-Identifier: Apache-2.0
// tpe_block.h: the inner loops of TPE's density: one point against 16 kernels, and a sum of exponentials.
//
// Results do not depend on the machine: every operation is an IEEE one on its own lane, sums run over 16 lanes whatever
// the width of the vector unit, and nothing is contracted or taken from a mathematical library.
#ifndef HPT_SAMPLER_TPE_BLOCK_H
#define HPT_SAMPLER_TPE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { HPT__BLOCK_LANES = 16 };

// One point, prepared. Columns come as continuous, categorical, discrete.
typedef struct hpt__block_point {
    int64_t n_continuous, n_lanes, g; // n_lanes: with the categorical ones
    const double *at;                 // g: coordinate; category; middle of the cell
    const double *aux;                // g: -; what a miss costs, >= 0; half width of the cell
} hpt__block_point;

// Where the series below holds: half width of a cell, and that times the distance of its middle, in sigmas.
static const double HPT__BLOCK_H_MAX = 0.1, HPT__BLOCK_MH_MAX = 0.5;

// log of the mean of exp(-z^2/2) over [z - h, z + h], plus z^2/2, as a series in u = z^2 h^2 and q = h^2: the logarithm of
// sum_i He_2i(z) h^2i / (2i+1)!, as power series. Below 1e-12 off within the limits above. V: double or a vector of them.
// clang-format off
#define HPT__BLOCK_SERIES(u, q) \
    ((u) * (1.0 / 6 + (u) * (-1.0 / 180 + (u) * (1.0 / 2835 + (u) * (-1.0 / 37800 + (u) * (1.0 / 467775 + \
        (u) * (-691.0 / 3831077250.0 + (u) * (2.0 / 127702575.0))))))) + \
     (q) * (-1.0 / 6 + (u) * (-1.0 / 45 + (u) * (2.0 / 945 + (u) * (-1.0 / 4725 + (u) * (2.0 / 93555 + \
        (u) * (-1382.0 / 638512875.0 + (u) * (4.0 / 18243225.0)))))) + \
     (q) * (1.0 / 90 + (u) * (1.0 / 945 + (u) * (-1.0 / 3150 + (u) * (1.0 / 18711 + (u) * (-691.0 / 91216125.0)))) + \
     (q) * (-1.0 / 2835 + (u) * (1.0 / 14175 + (u) * (1.0 / 66825)) + \
     (q) * (-1.0 / 56700)))))
// clang-format on

// One block against one point. total: the kernels' constants, 16 of them; block: 16 centres and 16 inverse widths of each
// column in turn. Fills log_k: the sums l_k of the kernels that may reach limit <= best, and for others something below it.
// Bits of *open: kernels whose discrete terms, all of them, are still to be added by the caller (cells too wide for the
// series). 0: none reaches limit; 1: some may; 2: some may pass best.
typedef int (*hpt__block_terms_fn)(double *log_k, uint32_t *open, const double *total, const double *block,
                                   const hpt__block_point *point, double limit, double best);
// sum_i w_i exp(x_i - shift), n a multiple of 16, -60 <= x_i - shift <= 0. Each exponential is within 2^-51 of the true one,
// relatively.
typedef double (*hpt__block_sum_fn)(const double *x, const double *w, int64_t n, double shift);

typedef struct hpt__block_ops {
    hpt__block_terms_fn terms;
    hpt__block_sum_fn sum_exp;
} hpt__block_ops;

// The widest this machine has, or the plain one. Both give the same bits.
const hpt__block_ops *hpt__block_ops_choose(bool plain);

#endif
