// SPDX-License-Identifier: Apache-2.0
// sampler_start.h: the trials before a model: the centre of the space, then evenly spread points.
#ifndef HPT_SAMPLER_START_H
#define HPT_SAMPLER_START_H

#include "sampler_ops.h"

typedef struct hpt__start hpt__start;

// n: trials after the centre in which choices are stratified; 0: by hpt__start_size. env is borrowed.
HPT_NODISCARD int hpt__start_create(hpt__start **out, const hpt__sampler_env *env, int64_t n);
void hpt__start_destroy(hpt__start *start);
int64_t hpt__start_n(const hpt__start *start); // a model may choose from trial hpt__start_n + 1 on
HPT_NODISCARD int hpt__start_suggest(double *point, const char **by, hpt__start *start, const hpt__trials *table,
                                     int64_t number);
// Points before a model of this space is worth asking.
int64_t hpt__start_size(const hpt_space *space);

#endif
