// SPDX-License-Identifier: Apache-2.0
// space_condition.c: which parameters exist: conditions, the order they impose, and checks of whole points.
//
//   active(i) = for every condition c of i: active(parent(c)) and point[parent(c)] in values(c)
//
// An absent parent is NaN in the point, and NaN is in no set, so active() needs to look at direct parents
// only, as long as points are treated in the order of `topo`, parents first. That order is kept valid by
// every addition: a condition whose parent already stands before its child leaves it alone, any other
// recomputes it by depth-first search, which also finds cycles.
//
// A value given as text is the text of a choice. Where a string and another type have the same text ("true" and
// true), the bare text means the other type, and JSON text ("\"true\"") the string, so that both can be named.
// Threads: building one; the rest any. Cost: active O(values), mask and check O(d + all values), adding O(d).
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"
#include "space_build.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- order

// A depth-first post-order over parents, in order of addition; false where a cycle is met.
static bool sort_parents_first(int32_t *order, int64_t *next, int32_t *stack, const hpt_space *space) {
    enum { DONE = -1 }; // next[i]: 0 not met, k + 1 while condition k is being followed, DONE when placed
    int64_t n = 0;
    memset(next, 0, (size_t)space->d * sizeof *next);
    for (int64_t root = 0; root < space->d; root++) {
        if (next[root] == DONE) continue;
        int64_t depth = 0;
        stack[0] = (int32_t)root;
        next[root] = 1;
        while (depth >= 0) {
            const int32_t i = stack[depth];
            const hpt__param *p = &space->params[i];
            if (next[i] > p->n_conditions) {
                next[i] = DONE;
                order[n++] = i;
                depth--;
                continue;
            }
            const int32_t parent = p->conditions[next[i]++ - 1].parent;
            if (next[parent] == DONE) continue;
            if (next[parent] != 0) return false;
            next[parent] = 1;
            stack[++depth] = parent;
        }
    }
    return true;
}

static int update_order(hpt_space *space, int64_t child, int64_t parent) {
    for (int64_t t = 0; t < space->d && space->topo[t] != child; t++)
        if (space->topo[t] == parent) return 0;
    int rc = 0;
    const size_t d = (size_t)space->d;
    int32_t *order = hpt__malloc(d * sizeof *order), *stack = hpt__malloc(d * sizeof *stack);
    int64_t *next = hpt__malloc(d * sizeof *next);
    if (!order || !stack || !next) HPT_TRY(hpt__fail_memory());
    HPT_FAIL_IF(!sort_parents_first(order, next, stack, space), HPT_E_ARG,
                "condition of '%s' on '%s' closes a cycle: '%s' depends on '%s' already", space->params[child].name,
                space->params[parent].name, space->params[parent].name, space->params[child].name);
    memcpy(space->topo, order, d * sizeof *order);
out:
    hpt__free(order);
    hpt__free(stack);
    hpt__free(next);
    return rc;
}

// ---- adding

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int check_pair(const hpt_space *space, int64_t child, int64_t parent) {
    const hpt__param *c = &space->params[child], *p = &space->params[parent];
    if (child == parent) return hpt__fail(HPT_E_ARG, "parameter '%s' cannot depend on itself", c->name);
    if (hpt__param_cardinality(p) < 0)
        return hpt__fail(HPT_E_ARG,
                         "condition of '%s': parent '%s' is continuous; give it a step, or make it an integer or "
                         "a categorical",
                         c->name, p->name);
    return 0;
}

int hpt__space_add_condition_values(hpt_space *space, int64_t child, int64_t parent, const double *values, int64_t n) {
    int rc = 0;
    hpt__param *p = &space->params[child];
    hpt__condition *old = p->conditions;
    const int64_t n_old = p->n_conditions;
    HPT_TRY(check_pair(space, child, parent));
    HPT_FAIL_IF(n < 1, HPT_E_ARG, "condition of '%s' on '%s' needs at least one value", p->name,
                space->params[parent].name);
    double *sorted = hpt__arena_alloc(&space->arena, (size_t)n * sizeof *sorted);
    hpt__condition *conditions = hpt__arena_alloc(&space->arena, (size_t)(n_old + 1) * sizeof *conditions);
    if (!sorted || !conditions) HPT_TRY(hpt__fail_memory());
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    int64_t kept = 1;
    for (int64_t i = 1; i < n; i++)
        if (sorted[i] > sorted[kept - 1]) sorted[kept++] = sorted[i];
    if (n_old > 0) memcpy(conditions, old, (size_t)n_old * sizeof *conditions);
    conditions[n_old] = (hpt__condition){.parent = (int32_t)parent, .values = sorted, .n_values = kept};
    p->conditions = conditions;
    p->n_conditions = n_old + 1;
    rc = update_order(space, child, parent);
    if (rc < 0) {
        p->conditions = old;
        p->n_conditions = n_old;
        goto out;
    }
    space->params[parent].is_parent = true;
out:
    return rc;
}

// "condition of 'momentum': 'sdg' is not a value of 'optimizer'; did you mean 'sgd'?"
static int no_such_value(const hpt_space *space, int64_t child, int64_t parent, const char *text) {
    const hpt__param *c = &space->params[child], *p = &space->params[parent];
    const char *nearest = NULL;
    if (p->kind == HPT__PARAM_CATEGORICAL)
        nearest = hpt__nearest(text, (const char *const *)p->choice_text, p->n_choices);
    if (nearest)
        return hpt__fail(HPT_E_ARG, "condition of '%s': '%s' is not a value of '%s'; did you mean '%s'?", c->name, text,
                         p->name, nearest);
    hpt__str range = HPT__STR_INIT;
    hpt__param_describe(&range, p);
    int rc = hpt__fail(HPT_E_ARG, "condition of '%s': '%s' is not a value of '%s' (%s)", c->name, text, p->name,
                       hpt__str_text(&range));
    hpt__str_fini(&range);
    return rc;
}

// Python's == between a choice and a value, but no truth value equals a number here.
static bool loosely_equal(const hpt__json *choice, const hpt__json *v) {
    return (choice->kind == HPT__JSON_BOOL) == (v->kind == HPT__JSON_BOOL) && hpt__json_equal(choice, v);
}

// Marks the choices that a JSON value names: those of its own type, else those equal to it.
static bool mark_json(bool *marks, const hpt__param *p, const hpt__json *v) {
    bool found = false;
    for (int pass = 0; pass < 2 && !found; pass++)
        for (int64_t i = 0; i < p->n_choices; i++)
            if ((pass || p->choices[i]->kind == v->kind) && loosely_equal(p->choices[i], v)) marks[i] = found = true;
    return found;
}

static bool mark_text(bool *marks, const hpt__param *p, hpt__arena *scratch, const char *text) {
    bool found = false;
    for (int want_string = 0; want_string < 2 && !found; want_string++)
        for (int64_t i = 0; i < p->n_choices; i++)
            if ((p->choices[i]->kind == HPT__JSON_STRING) == want_string && strcmp(p->choice_text[i], text) == 0)
                marks[i] = found = true;
    hpt__json *v;
    return found || (hpt__json_parse(&v, scratch, text, strlen(text)) == 0 && mark_json(marks, p, v));
}

// Where the values come from: texts, or the items of a JSON array.
typedef struct value_list {
    const char *const *texts;
    const hpt__json *array;
    int64_t n;
} value_list;

static int numeric_value(double *out, const hpt_space *space, int64_t child, int64_t parent, const value_list *list,
                         int64_t i) {
    const hpt__param *p = &space->params[parent];
    if (!list->texts) {
        int rc = hpt__param_internal(out, p, list->array->a.items[i]);
        return rc < 0 ? hpt__fail_prefix(rc, "condition of '%s'", space->params[child].name) : 0;
    }
    double v;
    if (!hpt__parse_double(&v, list->texts[i], strlen(list->texts[i]), false) || !hpt__param_contains(p, v))
        return no_such_value(space, child, parent, list->texts[i]);
    *out = hpt__param_clip(p, v);
    return 0;
}

static int add_values(hpt_space *space, int64_t child, int64_t parent, const value_list *list) {
    int rc = 0;
    double *values = NULL;
    bool *marks = NULL;
    hpt__arena scratch;
    hpt__str text = HPT__STR_INIT;
    hpt__arena_init(&scratch);
    const hpt__param *p = &space->params[parent];
    HPT_TRY(check_pair(space, child, parent));
    const bool is_categorical = p->kind == HPT__PARAM_CATEGORICAL;
    const int64_t room = is_categorical ? p->n_choices : list->n;
    int64_t n = 0;
    values = hpt__calloc((size_t)room + 1, sizeof *values);
    marks = hpt__calloc(is_categorical ? (size_t)room : 1, sizeof *marks);
    if (!values || !marks) HPT_TRY(hpt__fail_memory());
    for (int64_t i = 0; i < list->n; i++) {
        if (!is_categorical) {
            HPT_TRY(numeric_value(&values[n++], space, child, parent, list, i));
        } else if (list->texts) {
            if (!mark_text(marks, p, &scratch, list->texts[i]))
                HPT_TRY(no_such_value(space, child, parent, list->texts[i]));
        } else if (!mark_json(marks, p, list->array->a.items[i])) {
            hpt__json_pystr(&text, list->array->a.items[i]);
            HPT_TRY(no_such_value(space, child, parent, hpt__str_text(&text)));
        }
    }
    for (int64_t i = 0; is_categorical && i < room; i++)
        if (marks[i]) values[n++] = (double)i;
    HPT_TRY(hpt__space_add_condition_values(space, child, parent, values, n));
out:
    hpt__str_fini(&text);
    hpt__arena_fini(&scratch);
    hpt__free(values);
    hpt__free(marks);
    return rc;
}

int hpt__space_add_condition_json(hpt_space *space, int64_t child, int64_t parent, const hpt__json *values) {
    return add_values(space, child, parent, &(value_list){.array = values, .n = values->a.n});
}

int hpt_space_add_condition(hpt_space *space, const char *child, const char *parent, const char *const *values,
                            int64_t n_values) {
    if (!space || !child || !parent)
        return hpt__fail(HPT_E_ARG, "hpt_space_add_condition: space, child or parent is NULL");
    const int64_t c = hpt__space_find(space, child), p = hpt__space_find(space, parent);
    if (c < 0 || p < 0) return hpt__space_unknown(space, c < 0 ? child : parent);
    if (n_values < 1 || !values)
        return hpt__fail(HPT_E_ARG, "condition of '%s' on '%s' needs at least one value", child, parent);
    for (int64_t i = 0; i < n_values; i++)
        if (!values[i])
            return hpt__fail(HPT_E_ARG, "condition of '%s' on '%s': value %lld is NULL", child, parent, (long long)i);
    return add_values(space, c, p, &(value_list){.texts = values, .n = n_values});
}

// ---- points

static bool holds(const hpt__condition *c, const hpt__param *parent, double v) {
    // A stepped float may come from elsewhere with another last bit (Optuna's own arithmetic, a user's 0.3).
    const double tolerance = parent->kind == HPT__PARAM_FLOAT ? 1e-8 * parent->step : 0;
    int64_t lo = 0, hi = c->n_values; // first value not below v, up to the tolerance
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (c->values[mid] < v - tolerance)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_values && c->values[lo] <= v + tolerance;
}

bool hpt__space_active(const hpt_space *space, int64_t i, const double *point) {
    const hpt__param *p = &space->params[i];
    for (int64_t k = 0; k < p->n_conditions; k++) {
        const hpt__condition *c = &p->conditions[k];
        const double v = point[c->parent];
        if (!isfinite(v) || !holds(c, &space->params[c->parent], v)) return false;
    }
    return true;
}

void hpt__space_mask(const hpt_space *space, double *point) {
    for (int64_t t = 0; t < space->d; t++)
        if (!hpt__space_active(space, space->topo[t], point)) point[space->topo[t]] = NAN;
}

bool hpt__space_check(const hpt_space *space, const double *point, int64_t *bad) {
    for (int64_t t = 0; t < space->d; t++) {
        const int64_t i = space->topo[t];
        const bool present = !isnan(point[i]);
        if (hpt__space_active(space, i, point) == present &&
            (!present || hpt__param_contains(&space->params[i], point[i])))
            continue;
        if (bad) *bad = i;
        return false;
    }
    return true;
}
