// SPDX-License-Identifier: Apache-2.0
// gp_path.h: functions drawn from the posterior, each a whole function that can be asked anywhere: Thompson samples.
#ifndef HPT_GP_GP_PATH_H
#define HPT_GP_GP_PATH_H

#include "gp.h"

typedef struct hpt__gp_paths hpt__gp_paths;

// Draws functions first .. first + s - 1 of the family `seed`, s >= 1, from the posterior of what gp was told; pending points
// are not known to them. Makes gp ready. A function depends on gp, seed and its number, not on which are drawn with it (up to
// rounding). *out: the caller's.
HPT_NODISCARD int hpt__gp_paths_draw(hpt__gp_paths **out, hpt__gp *gp, uint64_t seed, int64_t first, int64_t s);
void hpt__gp_paths_destroy(hpt__gp_paths *paths);
// Whether they are of the gp's present posterior.
bool hpt__gp_paths_fit(const hpt__gp_paths *paths, const hpt__gp *gp);
// Their values in transformed units, without noise, at m rows with masks: out (m x s, column-major, ldo >= m).
// HPT_E_STATE: they do not fit it any more.
HPT_NODISCARD int hpt__gp_paths_value(double *out, int64_t ldo, const hpt__gp_paths *paths, hpt__gp *gp,
                                      const double *rows, const uint64_t *mask, int64_t m);

#endif
