// SPDX-License-Identifier: Apache-2.0
// pruner_halving.h: asynchronous successive halving over a set of trials: the rule of `asha` and of each bracket of
// `hyperband`.
#ifndef HPT_PRUNER_HALVING_H
#define HPT_PRUNER_HALVING_H

#include "pruner_ops.h"
#include "pruner_watch.h"

typedef struct hpt__halving {
    double sign;          // smaller sign * value is better
    int64_t min_resource; // 0: not known yet
    int64_t reduction_factor, rate, bootstrap_count;
    int64_t n_complete_seen; // completed trials when min_resource was last looked for
    hpt__ranks *rungs;       // sign * value of finished trials, by rung
    int64_t n_rungs, cap_rungs;
} hpt__halving;

// Whether a trial belongs to the set.
typedef bool (*hpt__halving_member)(const void *payload, int64_t number);

void hpt__halving_fini(hpt__halving *h);
// As hpt__pruner_ops.should_prune. member NULL: all trials.
bool hpt__halving_judge(hpt__halving *h, hpt__watch *watch, const hpt__trials *table, int64_t row,
                        hpt__pruner_notes *notes, hpt__halving_member member, const void *payload);

// For tests: the bracket of a trial in the state of `hyperband`, -1 while brackets are not known.
int64_t hpt__hyperband_bracket(const void *state, int64_t number);

#endif
