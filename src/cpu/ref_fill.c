// SPDX-License-Identifier: Apache-2.0
// ref_fill.c: bulk Sobol points and normal numbers of the host's streams, one after the other.
#include "ref.h"

#include "../core/backend/fill_formulas.h"
#include "../core/base/special.h"

int ref_fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                   double *out) {
    (void)ctx;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            out[i * d + k] = hpt__fill_sobol_at(columns + 32 * k, shift[k], (uint32_t)(first + i));
    return 0;
}

int ref_fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out) {
    (void)ctx;
    for (int64_t i = 0; i < n; i++)
        out[i] = hpt__ndtri(hpt__philox_cell(hpt__philox_word(seed, stream, (uint64_t)(first + i))));
    return 0;
}
