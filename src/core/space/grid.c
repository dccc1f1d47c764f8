// SPDX-License-Identifier: Apache-2.0
// grid.c: numbering the points of a finite, possibly conditional space.
//
// The parameters fall into the connected components of the condition graph (most are a single parameter). The
// space is the product of its components, so a point's number is a mixed-radix number with one digit a component.
// Inside a component, its parents take joint assignments; the other members (leaves) are, under one assignment,
// either absent or free:
//
//   size(component) = sum over assignments a of  prod_parents |run| * prod_{leaves active in a} n_leaf
//
// An assignment gives each parent a run, a maximal interval of consecutive values between which no condition tells
// a difference (or "absent"), not a single value: an integer parent 1..10^6 with one value that matters has three.
// So the limit of 2^20 assignments is on how entangled the conditions are, not on the size of the ranges.
//
// Order: components by their first name, the last fastest; without conditions this is W&B's grid order, the
// product of the values over sorted names. In a component: assignments in lexicographic order of the parents'
// runs (parents sorted by depth, then name), then the values inside the runs, then the leaves by name, last fastest.
//
// Values are those that can be drawn: a choice of probability 0 has no place in the numbering, though trials may have it.
//
// Owns: tables of runs and assignments; borrows the space. Immutable: any thread.
// Cost: create O(d log d + assignments * members), point O(d + log assignments); no points are stored.
#include "grid.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t size_max = INT64_C(1) << 62;
enum { ASSIGNMENTS_MAX = 1 << 20 };

typedef struct member {
    int32_t param;
    int64_t n_values;
    int64_t *drawable; // indices of the values, ascending; NULL: 0..n_values-1; in the arena
    int64_t *starts;   // parents: first value of each run, and n_values at the end; in the arena
    int64_t n_runs;
} member;

typedef struct component {
    member *members; // m parents, parents first, then leaves
    int64_t m, n;
    int32_t *runs;   // assignments x m, -1: absent; NULL when m = 0
    int64_t *before; // assignments: points in those before
    int64_t n_assignments, cap_runs, cap_before;
    int64_t size;
} component;

struct hpt__grid {
    const hpt_space *space;
    hpt__arena arena;
    component *components;
    int64_t n_components;
    int64_t size;
};

// ---- components

static int32_t root_of(int32_t *parent, int32_t i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

typedef struct sort_key {
    const char *name, *first; // first name of its component
    int32_t param, group;
    int32_t depth; // parents: 1 + the depth of the deepest parent; leaves: INT32_MAX
} sort_key;

static int by_name(const void *a, const void *b) {
    return strcmp(((const sort_key *)a)->name, ((const sort_key *)b)->name);
}

// Components by first name; in one, parents (by depth, then name) and then leaves by name.
static int by_place(const void *a, const void *b) {
    const sort_key *x = a, *y = b;
    if (x->group != y->group) return strcmp(x->first, y->first);
    if (x->depth != y->depth) return x->depth < y->depth ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int sorted_members(sort_key *keys, const hpt_space *space) {
    int rc = 0;
    const int64_t d = space->d;
    int32_t *group = hpt__malloc((size_t)d * sizeof *group), *depth = hpt__calloc((size_t)d, sizeof *depth);
    const char **first = hpt__calloc((size_t)d, sizeof *first);
    if (!group || !depth || !first) HPT_TRY(hpt__fail_memory());
    for (int64_t i = 0; i < d; i++) group[i] = (int32_t)i;
    for (int64_t t = 0; t < d; t++) {
        const int32_t i = space->topo[t];
        const hpt__param *p = &space->params[i];
        for (int64_t c = 0; c < p->n_conditions; c++) {
            const int32_t parent = p->conditions[c].parent;
            group[root_of(group, i)] = root_of(group, parent);
            if (depth[i] <= depth[parent]) depth[i] = depth[parent] + 1;
        }
    }
    for (int64_t i = 0; i < d; i++)
        keys[i] = (sort_key){.name = space->params[i].name,
                             .param = (int32_t)i,
                             .group = root_of(group, (int32_t)i),
                             .depth = space->params[i].is_parent ? depth[i] : INT32_MAX};
    qsort(keys, (size_t)d, sizeof *keys, by_name);
    for (int64_t k = 0; k < d; k++)
        if (!first[keys[k].group]) first[keys[k].group] = keys[k].name;
    for (int64_t k = 0; k < d; k++) keys[k].first = first[keys[k].group];
    qsort(keys, (size_t)d, sizeof *keys, by_place);
out:
    hpt__free(group);
    hpt__free(depth);
    hpt__free(first);
    return rc;
}

// ---- runs of a parent's values

static int ascending(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Number of the first drawable value that is not below index k.
static int64_t place_of(const member *mb, int64_t k) {
    if (!mb->drawable) return k;
    int64_t lo = 0, hi = mb->n_values;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (mb->drawable[mid] < k)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static double member_value(const hpt_space *space, const member *mb, int64_t k) {
    return hpt__param_value_at(&space->params[mb->param], mb->drawable ? mb->drawable[k] : k);
}

// Adds the borders of the intervals of values that a condition lists. A value that is never drawn is an empty one.
static int add_borders(int64_t **borders, int64_t *n, int64_t *cap, const member *mb, const hpt__param *parent,
                       const hpt__condition *c) {
    int rc = hpt__grow(borders, cap, *n + 2 * c->n_values, sizeof **borders);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < c->n_values; i++) {
        const int64_t k = hpt__param_index_of(parent, c->values[i]);
        if (i == 0 || hpt__param_index_of(parent, c->values[i - 1]) != k - 1) (*borders)[(*n)++] = place_of(mb, k);
        if (i + 1 == c->n_values || hpt__param_index_of(parent, c->values[i + 1]) != k + 1)
            (*borders)[(*n)++] = place_of(mb, k + 1);
    }
    return 0;
}

static int find_runs(hpt__grid *g, member *mb, const component *c) {
    int rc = 0;
    int64_t *borders = NULL, n = 2, cap = 0;
    const hpt__param *parent = &g->space->params[mb->param];
    HPT_TRY(hpt__grow(&borders, &cap, 2, sizeof *borders));
    borders[0] = 0;
    borders[1] = mb->n_values;
    for (int64_t k = 0; k < c->n; k++) {
        const hpt__param *child = &g->space->params[c->members[k].param];
        for (int64_t i = 0; i < child->n_conditions; i++)
            if (child->conditions[i].parent == mb->param)
                HPT_TRY(add_borders(&borders, &n, &cap, mb, parent, &child->conditions[i]));
    }
    qsort(borders, (size_t)n, sizeof *borders, ascending);
    int64_t kept = 1;
    for (int64_t i = 1; i < n; i++)
        if (borders[i] > borders[kept - 1]) borders[kept++] = borders[i];
    mb->n_runs = kept - 1;
    mb->starts = hpt__arena_alloc(&g->arena, (size_t)kept * sizeof *mb->starts);
    if (!mb->starts) HPT_TRY(hpt__fail_memory());
    memcpy(mb->starts, borders, (size_t)kept * sizeof *borders);
out:
    hpt__free(borders);
    return rc;
}

// ---- assignments

static int too_many(const hpt_space *space, const component *c) {
    return hpt__fail(HPT_E_UNSUPPORTED,
                     "the grid around parameter '%s' has more than 2^62 points; use larger steps or "
                     "another sampler",
                     space->params[c->members[0].param].name);
}

// *product times n, false when it passes 2^62.
static bool multiply(int64_t *product, int64_t n) {
    if (*product > size_max / n) return false;
    *product *= n;
    return true;
}

// Records the assignment that `run` and `point` hold.
static int record(component *c, const hpt_space *space, const int32_t *run, const double *point) {
    int64_t count = 1;
    for (int64_t k = 0; k < c->n; k++) {
        const member *mb = &c->members[k];
        int64_t n = 1;
        if (k >= c->m)
            n = hpt__space_active(space, mb->param, point) ? mb->n_values : 1;
        else if (run[k] >= 0)
            n = mb->starts[run[k] + 1] - mb->starts[run[k]];
        if (!multiply(&count, n)) return too_many(space, c);
    }
    if (c->n_assignments >= ASSIGNMENTS_MAX)
        return hpt__fail(HPT_E_UNSUPPORTED,
                         "the conditions around parameter '%s' have more than 2^20 joint cases to "
                         "count; use another sampler than grid",
                         space->params[c->members[0].param].name);
    if (c->size > size_max - count) return too_many(space, c);
    int rc = hpt__grow(&c->before, &c->cap_before, c->n_assignments + 1, sizeof *c->before);
    if (rc < 0) return rc;
    if (c->m > 0) {
        rc = hpt__grow(&c->runs, &c->cap_runs, (c->n_assignments + 1) * c->m, sizeof *c->runs);
        if (rc < 0) return rc;
        memcpy(c->runs + c->n_assignments * c->m, run, (size_t)c->m * sizeof *run);
    }
    c->before[c->n_assignments++] = c->size;
    c->size += count;
    return 0;
}

// Puts parent k on a run: its value in the scratch point is the run's first, the others in it act alike.
static void enter_run(int32_t *run, double *point, const component *c, const hpt_space *space, int64_t k, int32_t r) {
    const member *mb = &c->members[k];
    run[k] = r;
    point[mb->param] = r < 0 ? NAN : member_value(space, mb, mb->starts[r]);
}

// Walks all joint assignments like an odometer whose wheels may be absent. point: scratch, d values.
static int enumerate(component *c, const hpt_space *space, double *point) {
    int rc = 0;
    int64_t k = 0;
    int32_t *run = hpt__malloc(((size_t)c->m + 1) * sizeof *run);
    if (!run) HPT_TRY(hpt__fail_memory());
    for (;;) {
        for (; k < c->m; k++)
            enter_run(run, point, c, space, k, hpt__space_active(space, c->members[k].param, point) ? 0 : -1);
        HPT_TRY(record(c, space, run, point));
        do k--;
        while (k >= 0 && (run[k] < 0 || run[k] + 1 == c->members[k].n_runs));
        if (k < 0) break;
        enter_run(run, point, c, space, k, run[k] + 1);
        k++;
    }
out:
    hpt__free(run);
    return rc;
}

// ---- interface

static int check_finite(const hpt_space *space) {
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (hpt__param_enumerable(p) >= 0) continue;
        if (p->law == HPT__LAW_NORMAL)
            return hpt__fail(HPT_E_ARG,
                             "parameter '%s' has a normal law, whose values have no ends; a grid needs a range with a "
                             "step, a list of values, or an integer",
                             p->name);
        return hpt__fail(HPT_E_ARG,
                         "parameter '%s' has no finite number of values; a grid needs a step (hpt:step), "
                         "a list of values, or an integer",
                         p->name);
    }
    return 0;
}

static int find_drawable(hpt__grid *g, member *mb) {
    const hpt__param *p = &g->space->params[mb->param];
    mb->n_values = hpt__param_enumerable(p);
    if (mb->n_values == hpt__param_cardinality(p)) return 0;
    mb->drawable = hpt__arena_alloc(&g->arena, (size_t)mb->n_values * sizeof *mb->drawable);
    if (!mb->drawable) return hpt__fail_memory();
    for (int64_t k = 0, n = 0; k < p->n_choices; k++)
        if (hpt__param_drawable(p, k)) mb->drawable[n++] = k;
    return 0;
}

static int build(hpt__grid *g) {
    int rc = 0;
    const hpt_space *space = g->space;
    const size_t d = (size_t)space->d;
    sort_key *keys = hpt__malloc((d + 1) * sizeof *keys);
    double *point = hpt__calloc(d + 1, sizeof *point);
    member *members = hpt__arena_alloc0(&g->arena, (d + 1) * sizeof *members);
    g->components = hpt__calloc(d + 1, sizeof *g->components);
    if (!keys || !point || !members || !g->components) HPT_TRY(hpt__fail_memory());
    if (d > 0) HPT_TRY(sorted_members(keys, space));
    for (int64_t k = 0; k < space->d; k++) {
        if (k == 0 || keys[k].group != keys[k - 1].group) g->components[g->n_components++].members = &members[k];
        component *c = &g->components[g->n_components - 1];
        members[k].param = keys[k].param;
        HPT_TRY(find_drawable(g, &members[k]));
        c->n++;
        if (space->params[keys[k].param].is_parent) c->m++;
    }
    g->size = 1;
    for (int64_t i = 0; i < g->n_components; i++) {
        component *c = &g->components[i];
        for (int64_t k = 0; k < c->m; k++) HPT_TRY(find_runs(g, &c->members[k], c));
        HPT_TRY(enumerate(c, space, point));
        if (!multiply(&g->size, c->size)) HPT_TRY(too_many(space, c));
    }
out:
    hpt__free(keys);
    hpt__free(point);
    return rc;
}

int hpt__grid_create(hpt__grid **out, const hpt_space *space) {
    hpt__grid *g = NULL;
    int rc = 0;
    HPT_TRY(check_finite(space));
    g = hpt__calloc(1, sizeof *g);
    if (!g) HPT_TRY(hpt__fail_memory());
    hpt__arena_init(&g->arena);
    g->space = space;
    HPT_TRY(build(g));
    *out = g;
    g = NULL;
out:
    hpt__grid_destroy(g);
    return rc;
}

void hpt__grid_destroy(hpt__grid *g) {
    if (!g) return;
    for (int64_t i = 0; i < g->n_components; i++) {
        hpt__free(g->components[i].runs);
        hpt__free(g->components[i].before);
    }
    hpt__free(g->components);
    hpt__arena_fini(&g->arena);
    hpt__free(g);
}

int64_t hpt__grid_size(const hpt__grid *g) {
    return g->size;
}

// Takes a digit of base n off *rest.
static int64_t digit(int64_t *rest, int64_t n) {
    const int64_t value = *rest % n;
    *rest /= n;
    return value;
}

static void component_point(double *point, const hpt_space *space, const component *c, int64_t rest) {
    int64_t lo = 0, hi = c->n_assignments; // the last assignment whose `before` is at most rest
    while (hi - lo > 1) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (c->before[mid] <= rest)
            lo = mid;
        else
            hi = mid;
    }
    rest -= c->before[lo];
    const int32_t *run = c->m > 0 ? c->runs + lo * c->m : NULL;
    // Parents first on the first values of their runs, which decides what leaves exist; then the digits from the last.
    for (int64_t k = 0; k < c->m; k++) {
        const member *mb = &c->members[k];
        point[mb->param] = run[k] < 0 ? NAN : member_value(space, mb, mb->starts[run[k]]);
    }
    for (int64_t k = c->n - 1; k >= c->m; k--) {
        const member *mb = &c->members[k];
        point[mb->param] =
            hpt__space_active(space, mb->param, point) ? member_value(space, mb, digit(&rest, mb->n_values)) : NAN;
    }
    for (int64_t k = c->m - 1; k >= 0; k--) {
        const member *mb = &c->members[k];
        if (run[k] < 0) continue;
        const int64_t start = mb->starts[run[k]], n = mb->starts[run[k] + 1] - start;
        point[mb->param] = member_value(space, mb, start + digit(&rest, n));
    }
}

void hpt__grid_point(double *point, const hpt__grid *g, int64_t i) {
    HPT_ASSERT(i >= 0 && i < g->size);
    for (int64_t k = g->n_components - 1; k >= 0; k--) {
        const component *c = &g->components[k];
        component_point(point, g->space, c, digit(&i, c->size));
    }
}

int64_t hpt_space_cardinality(const hpt_space *space) {
    hpt__grid *g;
    if (!space || hpt__grid_create(&g, space) < 0) return -1;
    const int64_t n = g->size;
    hpt__grid_destroy(g);
    return n;
}
