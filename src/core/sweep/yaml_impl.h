// SPDX-License-Identifier: Apache-2.0
// yaml_impl.h: what the YAML reader and the scalar resolver share.
#ifndef HPT_YAML_IMPL_H
#define HPT_YAML_IMPL_H

#include "../base/arena.h"
#include "../base/json.h"

typedef enum hpt__yaml_rule {
    HPT__YAML_PLAIN = 0, // whatever the text looks like
    HPT__YAML_BOOL,      // !!bool: only that, else no match
    HPT__YAML_INT,
    HPT__YAML_FLOAT, // also takes integers and 1e-3, as Python's float() does
    HPT__YAML_NULL,
    HPT__YAML_STR,
} hpt__yaml_rule;

// Resolves one scalar. *out: a new node, or NULL (and rc 0) when an explicit tag does not fit the text.
HPT_NODISCARD int hpt__yaml_resolve(hpt__json **out, hpt__arena *arena, hpt__yaml_rule rule, const char *text,
                                    size_t n);

#endif
