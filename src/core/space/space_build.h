// SPDX-License-Identifier: Apache-2.0
// space_build.h: what the files of this room share while a space is built. No other room includes it.
#ifndef HPT_SPACE_BUILD_H
#define HPT_SPACE_BUILD_H

#include "space_impl.h"

// 0, or HPT_E_ARG / HPT_E_EXISTS about a name that a new parameter would get.
HPT_NODISCARD int hpt__space_check_name(const hpt_space *space, const char *name);
// HPT_E_NOT_FOUND: "no parameter 'lrr'; did you mean 'lr'?"
int hpt__space_unknown(const hpt_space *space, const char *name);

typedef struct hpt__range {
    double low, high, step; // step 0: continuous; integers come as doubles, |v| <= 2^53
    bool log;
    bool keep_high; // high was adjusted to the step before it was stored: leave it if it is on the grid
} hpt__range;

// Takes p into the table. What it points to is in the arena; name and dist_json are set here.
HPT_NODISCARD int hpt__space_append(hpt_space *space, const char *name, hpt__param *p);
HPT_NODISCARD int hpt__space_add_range(hpt_space *space, const char *name, hpt__param_kind kind, hpt__range range);
// Choices are copied. Not checked for being different (add_categorical does): Optuna allows equal ones.
HPT_NODISCARD int hpt__space_add_choices(hpt_space *space, const char *name, hpt__json *const *choices, int64_t n,
                                         bool is_constant);
// A parameter with a law, as hpt_space_add_rounded, _normal and _beta describe it; kind: float or integer.
HPT_NODISCARD int hpt__space_add_law(hpt_space *space, const char *name, hpt__param_kind kind, hpt__law law, double a,
                                     double b, double q, bool log);
// As hpt_space_set_probabilities, for parameter i.
HPT_NODISCARD int hpt__space_set_probabilities(hpt_space *space, int64_t i, const double *probabilities, int64_t n);
// values: internal form, legal; sorted and made unique here.
HPT_NODISCARD int hpt__space_add_condition_values(hpt_space *space, int64_t child, int64_t parent, const double *values,
                                                  int64_t n);
// The same with each value as JSON (array), as hpt_space_to_json writes it.
HPT_NODISCARD int hpt__space_add_condition_json(hpt_space *space, int64_t child, int64_t parent,
                                                const hpt__json *values);

// Optuna's distribution_json of a parameter whose other fields are set.
void hpt__distribution_write(hpt__str *out, const hpt__param *p);
// The log flag as Optuna may see it: it knows no log range with a step.
bool hpt__distribution_log(const hpt__param *p);

#endif
