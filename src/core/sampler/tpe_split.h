// SPDX-License-Identifier: Apache-2.0
// tpe_split.h: which trials are good ("below") and which are not ("above").
#ifndef HPT_SAMPLER_TPE_SPLIT_H
#define HPT_SAMPLER_TPE_SPLIT_H

#include "../base/arena.h"
#include "../trials/trials.h"

enum { HPT__TPE_BELOW_MAX = 25 };

typedef enum hpt__tpe_side {
    HPT__TPE_UNUSED = 0, // waiting, left out by the rules, the trial that is asked for
    HPT__TPE_BELOW = 1,
    HPT__TPE_ABOVE = 2,
} hpt__tpe_side;

// The value that a trial without one is given (options impute.failed, impute.running).
typedef enum hpt__tpe_impute {
    HPT__TPE_IMPUTE_NONE = 0,
    HPT__TPE_IMPUTE_WORST,  // no better than any other trial: above, whatever the others are
    HPT__TPE_IMPUTE_BEST,   // the best of its own finite reports, without one as WORST
    HPT__TPE_IMPUTE_LATEST, // the last of its own finite reports, without one as WORST
} hpt__tpe_impute;

typedef struct hpt__tpe_split_rules {
    double sign; // -1 to maximise
    bool liar;   // running trials without a value are above
    hpt__tpe_impute failed, running;
} hpt__tpe_split_rules;

typedef struct hpt__tpe_split {
    double *violation; // rows, finished trials: sum of positive constraints, see tpe_split.c
    double *worth;     // rows, failed trials: their value, NaN: none; set with violation
    uint8_t *side;     // rows
    int64_t cap;
    hpt__arena arena;
} hpt__tpe_split;

hpt__tpe_impute hpt__tpe_impute_of(const char *choice); // of the two options
void hpt__tpe_split_init(hpt__tpe_split *s);
void hpt__tpe_split_fini(hpt__tpe_split *s);
// Fills side[0..t->n). number: the trial that is asked for. The rules stay the same in a split's life.
HPT_NODISCARD int hpt__tpe_split_make(hpt__tpe_split *s, const hpt__trials *t, int64_t number,
                                      const hpt__tpe_split_rules *rules);

#endif
