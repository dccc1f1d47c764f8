// SPDX-License-Identifier: Apache-2.0
// codec.h: the one map between parameters and the unit cube, used by every sampler and model.
//
// Continuous: u = (g(v) - g(low)) / (g(high) - g(low)), g = log for log parameters.
// Grid of k values (int, step, categorical): cell j is [j/k, (j+1)/k); decoding takes the cell, encoding
// gives its centre. Log integers: cells are [log(v - step/2), log(v + step/2)) of the widened range, so
// that every integer has the mass a log-uniform draw gives it (as Optuna does). The lower edge is never below low/2.
// Laws other than FLAT: u = F(v), F the law's distribution function before rounding; the cell of a rounded value v is
// [F(v - q/2), F(v + q/2)) and encodes to its middle. Choices with probabilities: cells as wide as these; a choice of
// probability 0 encodes to the border at which it stands, the one exception to the identity below.
// Fixed parameters encode to 0.5. decode(encode(v)) == v for grid values (up to 2^51 of them, log: about 2^40).
#ifndef HPT_SPACE_CODEC_H
#define HPT_SPACE_CODEC_H

#include "space_impl.h"

double hpt__codec_decode1(const hpt__param *p, double u); // u in [0, 1] (clamped; NaN: 0.5); a legal internal value
double hpt__codec_encode1(const hpt__param *p, double v); // in [0, 1]
// d coordinates -> internal point with absent parameters NaN (conditions applied parents first).
void hpt__codec_decode(double *point, const hpt_space *space, const double *cube);
void hpt__codec_encode(double *cube, const hpt_space *space, const double *point);

#endif
