// SPDX-License-Identifier: Apache-2.0
// sampler_ops.h: what chooses points: one file and one ops table each, listed in sampler_list.c.
//
// A sampler is deterministic: what it suggests for trial `number` depends on the seed, the number, the rows of the table and
// what it asked to be saved, nothing else. So a resumed study asks what the killed one would have.
#ifndef HPT_SAMPLER_OPS_H
#define HPT_SAMPLER_OPS_H

#include "../base/options.h"
#include "../base/rng.h"
#include "../base/str.h"
#include "../trials/trials.h"
#include <hpt/sampler.h>

typedef struct hpt__sampler_env { // borrowed for the sampler's life
    const hpt_space *space;
    const hpt__options *options;
    const hpt_direction *directions;
    int64_t k;
    uint64_t seed;
    const char *device; // request for hpt__device_open; NULL: auto
} hpt__sampler_env;

typedef struct hpt__sampler_ops {
    const char *name;
    const char *doc; // one line
    // REQUIRED. HPT_E_ARG / HPT_E_UNSUPPORTED: this space or number of objectives cannot be had.
    int (*create)(void **state, const hpt__sampler_env *env);
    void (*destroy)(void *state);
    // REQUIRED. One point for trial `number`: d internal values into point, absent ones NaN, always legal.
    // On entry, coordinates that are not NaN are fixed by the user (enqueue) and stay as they are.
    // table: up to date, all rows with number < this one. *by: static string, what chose it ("sobol", "tpe", "random").
    // HPT_S_EXHAUSTED: nothing left.
    int (*suggest)(double *point, const char **by, void *state, const hpt__trials *table, int64_t number);
    // The number of the point in the grid that `suggest` just gave, or -1. OPTIONAL (NULL: -1). The study stores it
    // as "hpt:grid_id" and in info.grid_id. In a batch a cheap sampler is asked again before the earlier points are rows of
    // the table, so it counts on from the larger of table->max_grid_id and what it gave since batch_start.
    int64_t (*grid_id)(void *state);
    void (*batch_start)(void *state, const hpt__trials *table); // OPTIONAL
    // What a suggestion depends on beyond seed, number and rows, as JSON text: the study stores it with the ask after which
    // it changed ("hpt:sampler_state") and hands it to the sampler of a later process before its first suggestion.
    // OPTIONAL, both or none. save: HPT_S_NOTHING: as it was at the last call. load: a text that does not fit is no error.
    int (*save)(hpt__str *out, void *state);
    int (*load)(void *state, const char *json);
    void (*describe)(hpt__str *out,
                     void *state); // OPTIONAL. One JSON object for the study's stats; nothing: nothing to say
    // What a saved text says, for people, as one JSON object of numbers, texts and objects of these: of a study that is only
    // read. OPTIONAL. HPT_S_NOTHING: it is none of this sampler's.
    int (*explain)(hpt__str *out, const char *json, const hpt_space *space);
    // Whether a suggestion takes microseconds and reads no rows (the table's counters at most): it is then made inside the
    // write lock. Other samplers see the earlier points of a batch as provisional running rows.
    bool cheap;
} hpt__sampler_ops;

extern const hpt__sampler_ops hpt__sampler_auto_ops, hpt__sampler_random_ops, hpt__sampler_grid_ops,
    hpt__sampler_qmc_ops, hpt__sampler_tpe_ops, hpt__sampler_gp_ops;

// By name; unknown: HPT_E_ARG naming the nearest and all.
HPT_NODISCARD int hpt__sampler_find(const hpt__sampler_ops **out, const char *name);

// Shared by samplers: completes a point at random: every NaN coordinate of an active parameter is drawn from rng, absent
// ones are set NaN, in topological order. What "random" is.
void hpt__sampler_fill_random(double *point, const hpt_space *space, hpt__rng *rng);

#endif
