// SPDX-License-Identifier: Apache-2.0
// pruner_ops.h: what stops unpromising trials: one file and one ops table each, listed in pruner_list.c.
#ifndef HPT_PRUNER_OPS_H
#define HPT_PRUNER_OPS_H

#include "../base/options.h"
#include "../trials/trials.h"
#include <hpt/pruner.h>

typedef struct hpt__pruner_env { // borrowed for the pruner's life
    const hpt__options *options;
    hpt_direction direction;
    const char *study_name;
} hpt__pruner_env;

typedef struct hpt__pruner_ops {
    const char *name;
    const char *doc;
    int (*create)(void **state, const hpt__pruner_env *env); // may leave *state NULL
    void (*destroy)(void *state);
    // Whether the running trial in `row` should stop, judged by its latest report. No report: false.
    bool (*should_prune)(void *state, const hpt__trials *table, int64_t row);
} hpt__pruner_ops;

extern const hpt__pruner_ops hpt__pruner_nop_ops, hpt__pruner_median_ops;
HPT_NODISCARD int hpt__pruner_find(const hpt__pruner_ops **out, const char *name);

#endif
