// SPDX-License-Identifier: Apache-2.0
// sobol.h: Sobol points, direction numbers of Joe & Kuo (new-joe-kuo-6, "Constructing Sobol sequences with
// better two-dimensional projections", SIAM J. Sci. Comput. 30, 2008), first HPT__SOBOL_MAX_DIM dimensions.
//
// Point i is computed directly from i (Gray code not needed across calls), so that any worker can take any
// index. Scrambling: random linear matrix scramble plus digital shift (Matousek 1998), keyed by a seed and the
// dimension; deterministic and equal on every machine. 32 bits a coordinate.
#ifndef HPT_SPACE_SOBOL_H
#define HPT_SPACE_SOBOL_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stdint.h>

enum { HPT__SOBOL_MAX_DIM = 1111 };

typedef struct hpt__sobol hpt__sobol;
// 1 <= d <= HPT__SOBOL_MAX_DIM, else HPT_E_ARG.
HPT_NODISCARD int hpt__sobol_create(hpt__sobol **out, int64_t d, bool scramble, uint64_t seed);
void hpt__sobol_destroy(hpt__sobol *s);
// out: d coordinates in [0, 1), unscrambled point 0 is the origin. 0 <= i < 2^32. Thread-safe.
void hpt__sobol_point(double *out, const hpt__sobol *s, uint64_t i);
// The sequence as hpt__fill_sobol (backend.h) takes it: 32 columns of each dimension's matrix, d shifts; borrowed from s.
void hpt__sobol_matrix(const uint32_t **columns, const uint32_t **shift, const hpt__sobol *s);

#endif
