// SPDX-License-Identifier: Apache-2.0
// sampler_visited.c: the trials of a small finite space as a set of grid numbers.
//
// Points are numbered by space/grid.h; a hash table (number by the values of the point) finds the number of a point,
// since the grid only goes from numbers to points. It stores numbers, not points: 8 bytes for each point of the space;
// a hit is confirmed by making the point again. counts[i] trials have point i; `taken` is the same as bits.
//
// Any trial counts whatever became of it: told, running, waiting, failed. Trials of other programs with values outside
// the space, and those with a choice of probability 0, have no point. Unfinished trials are looked at again at every call,
// because a row's point may come later or, for rows that a batch makes provisionally, change; finished ones do not
// change. Nothing is rescanned.
//
// Ownership: owns its grid and tables; borrows the space. Threads: one at a time.
// Cost: create O(points * d), 60 ms at 65,536 points of 40 parameters; sync O((new + unfinished rows) * d);
// replace O(points / 64 + 64 d).
#include "sampler_visited.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "../space/grid.h"
#include <math.h>
#include <string.h>

enum { DRAWS = 64 };

typedef struct open_row {
    int64_t row;
    int64_t at; // number of its point, -1: none
} open_row;

struct hpt__visited {
    const hpt_space *space;
    hpt__grid *grid;
    int64_t size, n_taken;
    int32_t *slots; // hash table of numbers, -1 free
    uint64_t mask;
    int32_t *counts;
    uint64_t *taken;
    double *point, *other; // d each
    const hpt__trials *table;
    int64_t n_rows; // rows taken in
    open_row *open;
    int64_t n_open, cap_open;
};

static uint64_t hash_point(const double *point, int64_t d) {
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15);
    for (int64_t i = 0; i < d; i++) {
        // One form for 0 and -0, and one for every NaN.
        const double v = isnan(point[i]) ? -INFINITY : point[i] + 0.0;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        h = (h ^ bits) * UINT64_C(0xFF51AFD7ED558CCD);
        h ^= h >> 32;
    }
    return h;
}

static bool same_point(const double *a, const double *b, int64_t d) {
    for (int64_t i = 0; i < d; i++)
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

void hpt__visited_destroy(hpt__visited *v) {
    if (!v) return;
    hpt__grid_destroy(v->grid);
    hpt__free(v->slots);
    hpt__free(v->counts);
    hpt__free(v->taken);
    hpt__free(v->point);
    hpt__free(v->other);
    hpt__free(v->open);
    hpt__free(v);
}

// Whether the space can have HPT__VISITED_MAX points at most, judged by its unconditional parameters: sorts out most large
// spaces without counting them.
static bool may_be_small(const hpt_space *space) {
    int64_t product = 1;
    for (int64_t i = 0; i < space->d; i++) {
        const int64_t n = hpt__param_enumerable(&space->params[i]);
        if (n < 0) return false;
        if (space->params[i].n_conditions > 0) continue;
        if (n > HPT__VISITED_MAX / product) return false;
        product *= n;
    }
    return true;
}

static int fill_slots(hpt__visited *v) {
    uint64_t n_slots = 16;
    while (n_slots < 2 * (uint64_t)v->size) n_slots *= 2;
    v->mask = n_slots - 1;
    v->slots = hpt__malloc(n_slots * sizeof *v->slots);
    if (!v->slots) return hpt__fail_memory();
    memset(v->slots, 0xff, n_slots * sizeof *v->slots);
    for (int64_t i = 0; i < v->size; i++) {
        hpt__grid_point(v->point, v->grid, i);
        uint64_t at = hash_point(v->point, v->space->d) & v->mask;
        while (v->slots[at] >= 0) at = (at + 1) & v->mask;
        v->slots[at] = (int32_t)i;
    }
    return 0;
}

int hpt__visited_create(hpt__visited **out, const hpt_space *space) {
    int rc = 0;
    hpt__visited *v = NULL;
    *out = NULL;
    if (!may_be_small(space)) return 0;
    v = hpt__calloc(1, sizeof *v);
    if (!v) HPT_TRY(hpt__fail_memory());
    v->space = space;
    rc = hpt__grid_create(&v->grid, space);
    if (rc == HPT_E_UNSUPPORTED || (rc == 0 && hpt__grid_size(v->grid) > HPT__VISITED_MAX)) {
        rc = 0; // too large to be remembered
        goto out;
    }
    HPT_TRY(rc);
    v->size = hpt__grid_size(v->grid);
    v->point = hpt__malloc((size_t)(space->d + 1) * sizeof *v->point);
    v->other = hpt__malloc((size_t)(space->d + 1) * sizeof *v->other);
    v->counts = hpt__calloc((size_t)v->size, sizeof *v->counts);
    v->taken = hpt__calloc((size_t)(v->size / 64 + 1), sizeof *v->taken);
    if (!v->point || !v->other || !v->counts || !v->taken) HPT_TRY(hpt__fail_memory());
    HPT_TRY(fill_slots(v));
    *out = v;
    v = NULL;
out:
    hpt__visited_destroy(v);
    return rc;
}

// Number of a point, -1: not of the space. Uses `other`.
static int64_t find(const hpt__visited *v, const double *point) {
    const int64_t d = v->space->d;
    for (uint64_t at = hash_point(point, d) & v->mask; v->slots[at] >= 0; at = (at + 1) & v->mask) {
        hpt__grid_point(v->other, v->grid, v->slots[at]);
        if (same_point(v->other, point, d)) return v->slots[at];
    }
    return -1;
}

static void count(hpt__visited *v, int64_t i, int32_t by) {
    if (i < 0) return;
    const bool was = v->counts[i] > 0;
    v->counts[i] += by;
    const bool is = v->counts[i] > 0;
    if (was == is) return;
    v->taken[i / 64] ^= UINT64_C(1) << (i % 64);
    v->n_taken += is ? 1 : -1;
}

// Number of the point of a row: values of other programs are put on the grid where they are legal.
static int64_t find_row(const hpt__visited *v, const hpt__trials *t, int64_t row) {
    int64_t bad;
    hpt__trials_get_point(v->point, t, row);
    if (!hpt__space_check(v->space, v->point, &bad)) return -1;
    for (int64_t i = 0; i < v->space->d; i++)
        if (!isnan(v->point[i])) v->point[i] = hpt__param_clip(&v->space->params[i], v->point[i]);
    return find(v, v->point);
}

static bool finished(const hpt__trials *t, int64_t row) {
    return t->state[row] != HPT_TRIAL_RUNNING && t->state[row] != HPT_TRIAL_WAITING;
}

static void forget(hpt__visited *v) {
    memset(v->counts, 0, (size_t)v->size * sizeof *v->counts);
    memset(v->taken, 0, (size_t)(v->size / 64 + 1) * sizeof *v->taken);
    v->n_taken = v->n_rows = v->n_open = 0;
}

int hpt__visited_sync(hpt__visited *v, const hpt__trials *t, int64_t number) {
    if (v->table != t) forget(v);
    v->table = t;
    int64_t kept = 0;
    for (int64_t i = 0; i < v->n_open; i++) {
        open_row o = v->open[i];
        const int64_t now = o.row < t->n && t->number[o.row] != number ? find_row(v, t, o.row) : -1;
        if (now != o.at) {
            count(v, o.at, -1);
            count(v, now, 1);
            o.at = now;
        }
        if (o.row < t->n && !finished(t, o.row)) v->open[kept++] = o;
    }
    v->n_open = kept;
    if (v->n_rows > t->n) v->n_rows = t->n;
    for (; v->n_rows < t->n; v->n_rows++) {
        const bool closed = finished(t, v->n_rows);
        int rc = closed ? 0 : hpt__grow(&v->open, &v->cap_open, v->n_open + 1, sizeof *v->open);
        if (rc < 0) return rc;
        const int64_t at = t->number[v->n_rows] != number ? find_row(v, t, v->n_rows) : -1;
        count(v, at, 1);
        if (!closed) v->open[v->n_open++] = (open_row){v->n_rows, at};
    }
    return 0;
}

int64_t hpt__visited_left(const hpt__visited *v) {
    return v->size - v->n_taken;
}

bool hpt__visited_has(const hpt__visited *v, const double *point) {
    const int64_t i = find(v, point);
    return i >= 0 && v->counts[i] > 0;
}

// Sum over parameters of the distance in the unit cube; 1 for another category or for presence against absence.
static double distance(const hpt_space *space, const double *a, const double *b) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (isnan(a[i]) || isnan(b[i]))
            sum += isnan(a[i]) != isnan(b[i]);
        else if (p->kind == HPT__PARAM_CATEGORICAL)
            sum += a[i] != b[i];
        else
            sum += fabs(hpt__codec_encode1(p, a[i]) - hpt__codec_encode1(p, b[i]));
    }
    return sum;
}

void hpt__visited_replace(double *point, hpt__visited *v, hpt__rng *rng) {
    const int64_t left = hpt__visited_left(v), stride = left > DRAWS ? left / DRAWS : 1;
    // Every stride-th free point from a random one on, found in one pass over the bits.
    int64_t next = hpt__rng_below(rng, stride), rank = 0, best = -1;
    double best_distance = INFINITY;
    for (int64_t w = 0; w * 64 < v->size; w++) {
        uint64_t free_bits = ~v->taken[w];
        if (v->size - w * 64 < 64) free_bits &= (UINT64_C(1) << (v->size - w * 64)) - 1;
        const int64_t n = __builtin_popcountll(free_bits);
        for (int64_t skip = 0; next < rank + n; next += stride) {
            for (; rank + skip < next; skip++) free_bits &= free_bits - 1;
            const int64_t i = w * 64 + __builtin_ctzll(free_bits);
            hpt__grid_point(v->other, v->grid, i);
            const double at = distance(v->space, point, v->other);
            if (at < best_distance) {
                best_distance = at;
                best = i;
            }
        }
        rank += n;
    }
    HPT_ASSERT(best >= 0);
    hpt__grid_point(point, v->grid, best);
}
