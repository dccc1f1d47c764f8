// SPDX-License-Identifier: Apache-2.0
// options.h: the inside of hpt/options.h: a set of option values.
//
// options.def holds one line per option: OPT_INT(field, "key", default, min, max, "doc"), OPT_FLOAT(...),
// OPT_BOOL(field, "key", default, "doc"), OPT_ENUM(field, "key", "default", "a|b|c", "doc").
// The struct below, parsing, bounds, environment names, help, docs/options.md and stored JSON come from it.
#ifndef HPT_BASE_OPTIONS_H
#define HPT_BASE_OPTIONS_H

#include "json.h"
#include <hpt/options.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hpt__options {
#define OPT_INT(field, key, def, min, max, doc) int64_t field;
#define OPT_FLOAT(field, key, def, min, max, doc) double field;
#define OPT_BOOL(field, key, def, doc) bool field;
#define OPT_ENUM(field, key, def, choices, doc) const char *field; /* one of the choices, static storage */
#include "options.def"
#undef OPT_INT
#undef OPT_FLOAT
#undef OPT_BOOL
#undef OPT_ENUM
} hpt__options;

void hpt__options_default(hpt__options *o);
// Defaults overlaid by HPT_* environment variables. HPT_E_ARG names the variable.
HPT_NODISCARD int hpt__options_from_env(hpt__options *o);
// key=value; unknown key: HPT_E_ARG naming the nearest; bad value: naming the bounds.
HPT_NODISCARD int hpt__options_set(hpt__options *o, const char *key, const char *value);
HPT_NODISCARD int hpt__options_set_pair(hpt__options *o, const char *key_equals_value);
// Only what differs from the defaults, as one JSON object; and back (unknown keys are errors).
void hpt__options_to_json(hpt__str *out, const hpt__options *o);
HPT_NODISCARD int hpt__options_from_json(hpt__options *o, const hpt__json *object);

#endif
