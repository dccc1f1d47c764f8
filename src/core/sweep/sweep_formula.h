// SPDX-License-Identifier: Apache-2.0
// sweep_formula.h: amounts of hpt.resources that are computed from a trial's parameters.
#ifndef HPT_SWEEP_SWEEP_FORMULA_H
#define HPT_SWEEP_SWEEP_FORMULA_H

#include "sweep_check.h"

typedef struct hpt__formula hpt__formula;

// node: a text. HPT_E_PARSE points at it and says what is wrong where. *out: in the checker's arena.
HPT_NODISCARD int hpt__formula_read(hpt__formula **out, const hpt__check *c, const hpt__json *node, const char *path,
                                    const hpt_space *space);
// For a point of the space (internal values, absent NaN); may be no finite number.
double hpt__formula_value(const hpt__formula *f, const hpt_space *space, const double *point);
// The extremes over all corners of the parameters it names. point: scratch of the space's size.
// HPT_S_NOTHING: it is no finite number somewhere.
int hpt__formula_bounds(double *low, double *high, const hpt__formula *f, const hpt_space *space, double *point);
const char *hpt__formula_text(const hpt__formula *f);

#endif
