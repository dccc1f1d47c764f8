// SPDX-License-Identifier: Apache-2.0
// sampler_visited.h: which points of a small finite space some trial has already.
#ifndef HPT_SAMPLER_VISITED_H
#define HPT_SAMPLER_VISITED_H

#include "../base/rng.h"
#include "../trials/trials.h"

enum { HPT__VISITED_MAX = 100000 }; // points

typedef struct hpt__visited hpt__visited;

// *out NULL and 0 for a space that is infinite or has more than HPT__VISITED_MAX points.
HPT_NODISCARD int hpt__visited_create(hpt__visited **out, const hpt_space *space);
void hpt__visited_destroy(hpt__visited *v);
// Takes in what changed in the table. The trial `number` itself does not count.
HPT_NODISCARD int hpt__visited_sync(hpt__visited *v, const hpt__trials *t, int64_t number);
int64_t hpt__visited_left(const hpt__visited *v); // points without a trial
// point: legal. Whether some trial has it.
bool hpt__visited_has(const hpt__visited *v, const double *point);
// Replaces point by a near one that no trial has: the nearest of up to 64 drawn. hpt__visited_left must be > 0.
void hpt__visited_replace(double *point, hpt__visited *v, hpt__rng *rng);

#endif
