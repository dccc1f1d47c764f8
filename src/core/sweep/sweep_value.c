// SPDX-License-Identifier: Apache-2.0
// sweep_value.c: the configuration of one trial, as W&B's agent gets it from the server.
//
// There it passes through JSON of a language with one kind of number, which writes a whole double below 10^21 without
// point and exponent; Python then reads an integer, of the shortest digits and zeros (2^60 is ...847000). The same is
// done here for whole numbers that 64 bits hold; larger ones stay floats (W&B: up to 10^21).
// Source: the comment of yaml_hash in wandb/sweeps, src/sweeps/grid_search.py.
#include "../base/num.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <math.h>
#include <string.h>

// v as an integer: exact below 2^53, beyond the digits of its repr ("1.152921504606847e+18") with zeros behind.
static bool to_integer(int64_t *out, double v) {
    char repr[HPT__DOUBLE_MAX], digits[2 * HPT__DOUBLE_MAX];
    size_t n = 0;
    int64_t zeros;
    if (v != rint(v) || fabs(v) >= 0x1p63) return false;
    *out = (int64_t)v;
    if (fabs(v) < 0x1p53) return true;
    hpt__double_repr(repr, v);
    const char *e = strchr(repr, 'e'), *point = strchr(repr, '.');
    if (!e) return true;
    if (!hpt__parse_int(&zeros, e + 1, strlen(e + 1))) return false;
    if (point) zeros -= e - point - 1;
    for (const char *p = repr; p < e; p++)
        if (*p != '.') digits[n++] = *p;
    while (zeros-- > 0) digits[n++] = '0';
    return hpt__parse_int(out, digits, n);
}

void hpt__sweep_integral(hpt__json *v) {
    int64_t i = 0;
    if (v->kind == HPT__JSON_FLOAT && to_integer(&i, v->f)) {
        v->kind = HPT__JSON_INT;
        v->i = i;
    } else if (v->kind == HPT__JSON_ARRAY) {
        for (int64_t k = 0; k < v->a.n; k++) hpt__sweep_integral(v->a.items[k]);
    } else if (v->kind == HPT__JSON_OBJECT) {
        for (int64_t k = 0; k < v->o.n; k++) hpt__sweep_integral(v->o.values[k]);
    }
}

// JSON tree of a parameter's value as the trial gets it.
static hpt__json *value_node(hpt__arena *arena, const hpt__param *p, double v) {
    hpt__json *node = p->kind == HPT__PARAM_CATEGORICAL ? hpt__json_dup(arena, p->choices[(int64_t)v])
                      : p->kind == HPT__PARAM_INT       ? hpt__json_new_int(arena, (int64_t)v)
                                                        : hpt__json_new_float(arena, v);
    if (node) hpt__sweep_integral(node);
    return node;
}

// The active parameters below a block, nested as the file nests them. NULL when out of memory.
static hpt__json *config_of(hpt__arena *arena, const hpt_sweep *s, const hpt__json *block, const char *prefix,
                            const double *point) {
    hpt__json *map = hpt__json_new(arena, HPT__JSON_OBJECT);
    for (int64_t i = 0; map && i < block->o.n; i++) {
        const char *key = block->o.keys[i];
        const size_t n = strlen(prefix) + strlen(key) + 2;
        char *name = hpt__arena_alloc(arena, n);
        if (!name) return NULL;
        strcpy(name, prefix);
        if (prefix[0]) strcat(name, ".");
        strcat(name, key);
        const hpt__json *nested = hpt__json_get(block->o.values[i], "parameters");
        hpt__json *value = NULL;
        if (nested) {
            value = config_of(arena, s, nested, name, point);
            if (value && value->o.n == 0) continue; // every member is inactive
        } else {
            const int64_t k = hpt__space_find(s->space, name);
            if (k < 0 || isnan(point[k])) continue;
            value = value_node(arena, &s->space->params[k], point[k]);
        }
        if (!value || hpt__json_set(arena, map, key, value) < 0) return NULL;
    }
    return map;
}

hpt__json *hpt__sweep_config(hpt__arena *arena, const hpt_sweep *sweep, const double *point) {
    return config_of(arena, sweep, sweep->parameters, "", point);
}

void hpt__sweep_config_json(hpt__str *out, const hpt_sweep *sweep, const double *point) {
    hpt__arena arena;
    hpt__arena_init(&arena);
    const hpt__json *config = hpt__sweep_config(&arena, sweep, point);
    if (config)
        hpt__json_dumps(out, config);
    else
        out->failed = true;
    hpt__arena_fini(&arena);
}
