// SPDX-License-Identifier: Apache-2.0
// fill_formulas.h: one coordinate of a Sobol point, as a text that host and accelerators compile alike; with philox.h, whose
// qualifiers HPT__PHILOX_FN it takes, all that a bulk fill needs. Formula and source: space/sobol.c.
#ifndef HPT_BACKEND_FILL_FORMULAS_H
#define HPT_BACKEND_FILL_FORMULAS_H

#include "../base/philox.h"

// columns: the 32 of this dimension.
HPT__PHILOX_FN double hpt__fill_sobol_at(const uint32_t *columns, uint32_t shift, uint32_t index) {
    uint32_t x = shift;
    for (uint32_t gray = index ^ (index >> 1), j = 0; gray; gray >>= 1, j++)
        if (gray & 1) x ^= columns[j];
    return (double)x * (1.0 / 4294967296.0); // 2^-32
}

#endif
