// SPDX-License-Identifier: Apache-2.0
// screen_default.h: screening made of acquire. Arguments as hpt__model_screen's, checked by it; d: columns of z.
#ifndef HPT_BACKEND_SCREEN_DEFAULT_H
#define HPT_BACKEND_SCREEN_DEFAULT_H

#include "backend.h"

int hpt__screen_default(hpt__model *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m,
                        int64_t d, int64_t k, int64_t *index, double *value);

#endif
