// SPDX-License-Identifier: Apache-2.0
// sampler_grid.c: all points of a finite space, one after the other, in the order of space/grid.h.
//
// The next point is one past the largest grid number that a stored trial has, or that this batch got. Nothing is kept:
// a resumed study goes on where it was, and workers that share a study share the walk, because the study calls this
// inside its write lock. A trial that failed or was pruned had its point: it is not given again (enqueue repeats one).
// A trial with coordinates fixed by the user takes the rest at random and no grid number, so the walk stays complete.
// Ownership: the state owns the grid. Threads: one call at a time (the study's lock). Cost: O(d) a point.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/grid.h"
#include "sampler_ops.h"

#include <math.h>

static const uint64_t GRID_TAG = 0x67726964; // "grid"

typedef struct grid_state {
    const hpt_space *space;
    uint64_t seed;
    hpt__grid *grid;
    int64_t last;  // largest number given in this batch, -1: none
    int64_t given; // number of the point that suggest gave last, -1: not of the grid
} grid_state;

static void grid_destroy(void *state) {
    grid_state *s = state;
    if (!s) return;
    hpt__grid_destroy(s->grid);
    hpt__free(s);
}

static int grid_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    grid_state *s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->space = env->space;
    s->seed = env->seed;
    s->last = s->given = -1;
    rc = hpt__grid_create(&s->grid, env->space);
    if (rc < 0) {
        hpt__fail_prefix(rc, "sampler grid");
        goto out;
    }
    *state = s;
    s = NULL;
out:
    grid_destroy(s);
    return rc;
}

static void grid_batch_start(void *state, const hpt__trials *table) {
    grid_state *s = state;
    (void)table;
    s->last = -1;
}

static int64_t grid_id(void *state) {
    const grid_state *s = state;
    return s->given;
}

static int grid_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    grid_state *s = state;
    bool fixed = false;
    s->given = -1;
    for (int64_t i = 0; i < s->space->d; i++)
        if (!isnan(point[i])) fixed = true;
    if (fixed) {
        hpt__rng rng;
        hpt__rng_init(&rng, s->seed, hpt__rng_mix(GRID_TAG, (uint64_t)number));
        hpt__sampler_fill_random(point, s->space, &rng);
        *by = "random";
        return 0;
    }
    const int64_t next = (table->max_grid_id > s->last ? table->max_grid_id : s->last) + 1;
    if (next >= hpt__grid_size(s->grid)) return HPT_S_EXHAUSTED;
    hpt__grid_point(point, s->grid, next);
    s->last = s->given = next;
    *by = "grid";
    return 0;
}

const hpt__sampler_ops hpt__sampler_grid_ops = {
    .name = "grid",
    .doc = "every point of a finite space once, in the order of the sorted names, the last varying fastest",
    .create = grid_create,
    .destroy = grid_destroy,
    .suggest = grid_suggest,
    .grid_id = grid_id,
    .batch_start = grid_batch_start,
    .cheap = true,
};
