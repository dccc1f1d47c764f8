// SPDX-License-Identifier: Apache-2.0
// sweep_check.h: what the files of the checker share: where a message points, and typed reads of the tree.
//
// A message is "file:line: key.path: what is wrong; the remedy". `file` NULL (a request to `hpt serve`) leaves the
// first part out.
#ifndef HPT_SWEEP_CHECK_H
#define HPT_SWEEP_CHECK_H

#include "../base/error.h"
#include "sweep_impl.h"

typedef struct hpt__check {
    const char *file; // NULL: no file
    hpt_sweep *sweep; // for warnings; NULL: none kept
    hpt__arena *arena;
} hpt__check;

// Records HPT_E_PARSE about a node.
int hpt__check_fail(const hpt__check *c, const hpt__json *node, const char *path, const char *fmt, ...)
    HPT_PRINTF(4, 5);
// The same as HPT_E_UNSUPPORTED.
int hpt__check_unsupported(const hpt__check *c, const hpt__json *node, const char *path, const char *remedy);
// Keeps a remark. HPT_E_MEMORY only.
HPT_NODISCARD int hpt__check_warn(const hpt__check *c, const hpt__json *node, const char *path, const char *fmt, ...)
    HPT_PRINTF(4, 5);
// path "a" and key "b" -> "a.b" in the arena; NULL when out of memory.
const char *hpt__check_path(const hpt__check *c, const char *path, const char *key);
// Every key of map is one of keys (NULL-terminated); else an error that names the nearest.
HPT_NODISCARD int hpt__check_keys(const hpt__check *c, const hpt__json *map, const char *path, const char *const *keys);

// Typed reads; the node must not be NULL.
HPT_NODISCARD int hpt__check_map(const hpt__check *c, const hpt__json *node, const char *path);
HPT_NODISCARD int hpt__check_text(const char **out, const hpt__check *c, const hpt__json *node, const char *path);
// A number; text that YAML 1.1 takes for a string but is one ("1e-3") is accepted with a warning.
HPT_NODISCARD int hpt__check_number(double *out, const hpt__check *c, const hpt__json *node, const char *path);
// A whole number in [low, high].
HPT_NODISCARD int hpt__check_int(int64_t *out, const hpt__check *c, const hpt__json *node, const char *path,
                                 int64_t low, int64_t high);
// How YAML 1.1 spells a float: Python's repr, with ".0" where that has an exponent and no point (1.0e-05).
enum { HPT__SPELLING_MAX = 40 };
void hpt__check_spell(char out[HPT__SPELLING_MAX], double v);
HPT_NODISCARD int hpt__check_bool(bool *out, const hpt__check *c, const hpt__json *node, const char *path);

// Puts "key=value" on the list for the options table, after trying it on a scratch set. value NULL: what node says.
HPT_NODISCARD int hpt__check_option(const hpt__check *c, const hpt__json *node, const char *path, const char *key,
                                    const char *value);
// A refusal from below (rc < 0, its message recorded) becomes one that points at node; other rc pass.
int hpt__check_at(const hpt__check *c, const hpt__json *node, const char *path, int rc);

// sweep_metric.c: `metric`, `metrics` or `hpt.objectives`, whichever the file has; needs the method.
HPT_NODISCARD int hpt__check_metrics(const hpt__check *c, const hpt__json *top);
// sweep_metric.c: `early_terminate` into pruner and options; needs the metrics.
HPT_NODISCARD int hpt__check_early_terminate(const hpt__check *c, const hpt__json *top);
// sweep_law.c: the keys of one parameter that is no nested block; adds it to the space.
HPT_NODISCARD int hpt__check_parameter(const hpt__check *c, hpt_space *space, const hpt__json *p, const char *name,
                                       const char *path);
// sweep_hpt.c: the `hpt:` block into sweep.
HPT_NODISCARD int hpt__check_hpt(const hpt__check *c, const hpt__json *node);
// sweep_resources.c: `hpt.resources` into sweep; needs the space.
HPT_NODISCARD int hpt__check_resources(const hpt__check *c, const hpt__json *node, const char *path);
// sweep_command.c: `command` into sweep; warns of unknown macros.
HPT_NODISCARD int hpt__check_command(const hpt__check *c, const hpt__json *node);

// sweep_value.c: a value as W&B's server passes it on: floats that are whole become integers, at any depth. In place.
void hpt__sweep_integral(hpt__json *v);
// sweep_value.c: the nested configuration of a trial as a tree in the arena; NULL when out of memory.
hpt__json *hpt__sweep_config(hpt__arena *arena, const hpt_sweep *sweep, const double *point);

#endif
