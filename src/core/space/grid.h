// SPDX-License-Identifier: Apache-2.0
// grid.h: all points of a finite space, numbered 0..size-1 without storing them.
//
// Order: parameters sorted by name, the last varies fastest (W&B's grid order). Conditional spaces count and
// enumerate active combinations only: the parents of one connected component of the condition graph are
// enumerated (their joint assignments, at most 2^20 of them, else HPT_E_UNSUPPORTED; neighbouring values that no
// condition tells apart count as one), every other parameter is a mixed-radix digit. A component stands where its
// first name sorts; in it parents vary slowest, children under their parents' values faster. Choices of probability 0 are
// left out; a rounded law has its multiples of q, a normal law has no finite number of values.
#ifndef HPT_SPACE_GRID_H
#define HPT_SPACE_GRID_H

#include "space_impl.h"

typedef struct hpt__grid hpt__grid;
// space is borrowed and must live as long. HPT_E_ARG names the first parameter without finitely many values
// and the remedy (hpt:step, values, int); HPT_E_UNSUPPORTED when the count passes 2^62.
HPT_NODISCARD int hpt__grid_create(hpt__grid **out, const hpt_space *space);
void hpt__grid_destroy(hpt__grid *g);
int64_t hpt__grid_size(const hpt__grid *g);
// point: d internal values, absent NaN. 0 <= i < size. Thread-safe.
void hpt__grid_point(double *point, const hpt__grid *g, int64_t i);

#endif
