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

// What a pruner wants remembered about the trial it judged, beyond the call and the process: the study stores each as a
// trial attribute "s:<key>" (a JSON number) before it gives the answer, and puts it into the table. Optuna reads and
// writes the same keys ("completed_rung_2").
enum { HPT__PRUNER_NOTES_MAX = 64 };
typedef struct hpt__pruner_notes {
    int64_t n;
    struct {
        char key[40];
        double value;
    } items[HPT__PRUNER_NOTES_MAX];
} hpt__pruner_notes;

typedef struct hpt__pruner_ops {
    const char *name;
    const char *doc;
    int (*create)(void **state, const hpt__pruner_env *env); // may leave *state NULL
    void (*destroy)(void *state);
    // Whether the running trial in `row` should stop, judged by its latest report. No report: false. notes: empty on
    // entry.
    bool (*should_prune)(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes);
} hpt__pruner_ops;

extern const hpt__pruner_ops hpt__pruner_nop_ops, hpt__pruner_median_ops, hpt__pruner_percentile_ops,
    hpt__pruner_threshold_ops, hpt__pruner_patience_ops, hpt__pruner_asha_ops, hpt__pruner_hyperband_ops,
    hpt__pruner_bands_ops;
HPT_NODISCARD int hpt__pruner_find(const hpt__pruner_ops **out, const char *name);

#endif
