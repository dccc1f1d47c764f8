// SPDX-License-Identifier: Apache-2.0
// tpe_split.h: which trials are good ("below") and which are not ("above").
#ifndef HPT_SAMPLER_TPE_SPLIT_H
#define HPT_SAMPLER_TPE_SPLIT_H

#include "../base/arena.h"
#include "../trials/trials.h"

enum { HPT__TPE_BELOW_MAX = 25 };

typedef enum hpt__tpe_side {
    HPT__TPE_UNUSED = 0, // failed, waiting, the trial that is asked for
    HPT__TPE_BELOW = 1,
    HPT__TPE_ABOVE = 2,
} hpt__tpe_side;

typedef struct hpt__tpe_split {
    double *violation; // rows: sum of positive constraints of finished trials, -1: not looked at yet
    uint8_t *side;     // rows
    int64_t cap;
    hpt__arena arena;
} hpt__tpe_split;

void hpt__tpe_split_init(hpt__tpe_split *s);
void hpt__tpe_split_fini(hpt__tpe_split *s);
// Fills side[0..t->n). number: the trial that is asked for. sign: -1 to maximise. running: running trials are above.
HPT_NODISCARD int hpt__tpe_split_make(hpt__tpe_split *s, const hpt__trials *t, int64_t number, double sign,
                                      bool running);

#endif
