// SPDX-License-Identifier: Apache-2.0
// space.c: building a search space, and looking parameters up.
//
// Every string, choice and condition lives in the space's arena; only the tables that grow (params, topo,
// by_name) are heap blocks. So a half-made parameter needs no undoing: it is not in the table yet, and its
// bytes go with the arena. An add_* either appends a whole parameter or leaves the space as it was.
//
// Stepped floats have at most 2^50 steps: beyond, neighbouring values of low + k step are not told apart
// reliably in doubles ((high - low) / step carries a relative error of some 2^-52).
// Threads: one while building; immutable after, then any. Cost: O(1) an addition, O(n) for n choices.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"
#include "../base/utf8.h"
#include "space_build.h"
#include <math.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512 };
static const int64_t int_max = INT64_C(1) << 53;
static const double steps_max = 0x1p50;

int hpt_space_create(hpt_space **out) {
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_space_create: out is NULL");
    hpt_space *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    hpt__map_init(&s->by_name);
    hpt__arena_init(&s->arena);
    *out = s;
    return 0;
}

void hpt_space_destroy(hpt_space *space) {
    if (!space) return;
    hpt__free(space->params);
    hpt__free(space->topo);
    hpt__map_fini(&space->by_name);
    hpt__arena_fini(&space->arena);
    hpt__free(space);
}

int64_t hpt_space_size(const hpt_space *space) {
    return space ? space->d : 0;
}

const char *hpt_space_name(const hpt_space *space, int64_t i) {
    return space && i >= 0 && i < space->d ? space->params[i].name : NULL;
}

int64_t hpt__space_find(const hpt_space *space, const char *name) {
    int64_t i;
    return hpt__map_get(&i, &space->by_name, name, strlen(name)) ? i : -1;
}

int hpt__space_unknown(const hpt_space *space, const char *name) {
    // Without memory for the list there is no suggestion, which is no reason for another error.
    const char **names = space->d > 0 ? hpt__malloc((size_t)space->d * sizeof *names) : NULL;
    const char *nearest = NULL;
    if (names) {
        for (int64_t i = 0; i < space->d; i++) names[i] = space->params[i].name;
        nearest = hpt__nearest(name, names, space->d);
    }
    int rc = nearest ? hpt__fail(HPT_E_NOT_FOUND, "no parameter '%s'; did you mean '%s'?", name, nearest)
                     : hpt__fail(HPT_E_NOT_FOUND, "no parameter '%s' in the space", name);
    hpt__free(names);
    return rc;
}

static bool is_utf8(const char *text, size_t n) {
    uint32_t code;
    for (size_t i = 0, len; i < n; i += len) {
        len = hpt__utf8_decode(&code, text + i, n - i);
        if (len == 0) return false;
    }
    return true;
}

int hpt__space_check_name(const hpt_space *space, const char *name) {
    if (!space) return hpt__fail(HPT_E_ARG, "the space is NULL");
    if (!name || !*name) return hpt__fail(HPT_E_ARG, "a parameter needs a name");
    const size_t len = strnlen(name, NAME_MAX_BYTES + 1);
    if (len > NAME_MAX_BYTES)
        return hpt__fail(HPT_E_ARG, "parameter '%.32s...': a name has at most %d bytes", name, NAME_MAX_BYTES);
    if (!is_utf8(name, len)) return hpt__fail(HPT_E_ARG, "a parameter's name is not UTF-8");
    if (hpt__space_find(space, name) >= 0)
        return hpt__fail(HPT_E_EXISTS, "parameter '%s' is in the space already; choose another name", name);
    return 0;
}

int hpt__space_append(hpt_space *space, const char *name, hpt__param *p) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    HPT_FAIL_IF(space->d >= INT32_MAX, HPT_E_ARG, "parameter '%s': the space is full", name);
    p->name = hpt__arena_strndup(&space->arena, name, strlen(name));
    hpt__distribution_write(&text, p);
    HPT_TRY(hpt__str_status(&text));
    p->dist_json = hpt__arena_strndup(&space->arena, hpt__str_text(&text), text.len);
    if (!p->name || !p->dist_json) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__grow(&space->params, &space->cap, space->d + 1, sizeof *space->params));
    int32_t *topo = hpt__realloc(space->topo, (size_t)(space->d + 1) * sizeof *topo);
    if (!topo) HPT_TRY(hpt__fail_memory());
    space->topo = topo;
    HPT_TRY(hpt__map_set(&space->by_name, name, strlen(name), space->d));
    space->params[space->d] = *p;
    topo[space->d] = (int32_t)space->d; // no parents yet, so the end is as good as any place
    space->d++;
out:
    hpt__str_fini(&text);
    return rc;
}

// ---- numbers

static int check_range(const char *name, hpt__param_kind kind, const hpt__range *r) {
    char low[HPT__DOUBLE_MAX], high[HPT__DOUBLE_MAX], step[HPT__DOUBLE_MAX];
    hpt__double_repr(low, r->low);
    hpt__double_repr(high, r->high);
    hpt__double_repr(step, r->step);
    const bool is_int = kind == HPT__PARAM_INT;
    if (!isfinite(r->low) || !isfinite(r->high))
        return hpt__fail(HPT_E_ARG, "parameter '%s': bounds must be finite, got %s..%s", name, low, high);
    if (r->low > r->high) return hpt__fail(HPT_E_ARG, "parameter '%s': low %s is above high %s", name, low, high);
    if (!isfinite(r->step) || r->step < 0)
        return hpt__fail(HPT_E_ARG, "parameter '%s': step must be positive, or 0 for none, got %s", name, step);
    if (r->log && r->low < (is_int ? 1 : 0x0.0000000000001p-1022))
        return hpt__fail(HPT_E_ARG, "parameter '%s': a log range needs low %s, got %s", name, is_int ? ">= 1" : "> 0",
                         low);
    if (!is_int && r->step > 0 && (r->high - r->low) / r->step > steps_max)
        return hpt__fail(HPT_E_ARG,
                         "parameter '%s': step %s is too small for %s..%s (more than 2^50 steps); give a larger "
                         "step, or none",
                         name, step, low, high);
    return 0;
}

// Whether high is low + k step up to rounding: half a unit in the last place of a bound, seen in steps, and the division's.
static bool on_grid(const hpt__range *r) {
    const double k = (r->high - r->low) / r->step, bound = fmax(fabs(r->low), fabs(r->high)) / r->step;
    return fabs(k - nearbyint(k)) <= fmax(1e-10, bound * 0x1p-51);
}

int hpt__space_add_range(hpt_space *space, const char *name, hpt__param_kind kind, hpt__range r) {
    int rc = hpt__space_check_name(space, name);
    if (rc < 0) return rc;
    rc = check_range(name, kind, &r);
    if (rc < 0) return rc;
    if (kind == HPT__PARAM_INT) {
        const int64_t low = (int64_t)r.low, step = (int64_t)r.step;
        r.high = (double)(low + ((int64_t)r.high - low) / step * step);
    } else if (r.step > 0 && !(r.keep_high && on_grid(&r))) {
        r.high = hpt__decimal_high(r.low, r.high, r.step);
        if (!(r.high >= r.low)) r.high = r.low;
    }
    hpt__param p = {.kind = kind, .log = r.log, .low = r.low, .high = r.high, .step = r.step};
    return hpt__space_append(space, name, &p);
}

static int check_flags(const char *name, unsigned flags) {
    const unsigned unknown = flags & ~(unsigned)HPT_LOG;
    return unknown ? hpt__fail(HPT_E_ARG, "parameter '%s': unknown flags 0x%x", name, unknown) : 0;
}

int hpt_space_add_float(hpt_space *space, const char *name, double low, double high, double step, unsigned flags) {
    int rc = hpt__space_check_name(space, name);
    if (rc < 0) return rc;
    rc = check_flags(name, flags);
    if (rc < 0) return rc;
    return hpt__space_add_range(space, name, HPT__PARAM_FLOAT,
                                (hpt__range){.low = low, .high = high, .step = step, .log = flags & HPT_LOG});
}

int hpt_space_add_int(hpt_space *space, const char *name, int64_t low, int64_t high, int64_t step, unsigned flags) {
    int rc = hpt__space_check_name(space, name);
    if (rc < 0) return rc;
    rc = check_flags(name, flags);
    if (rc < 0) return rc;
    if (low < -int_max || low > int_max || high < -int_max || high > int_max)
        return hpt__fail(HPT_E_ARG,
                         "parameter '%s': %lld..%lld passes 2^53 = 9007199254740992, where doubles stop to hold "
                         "every integer",
                         name, (long long)low, (long long)high);
    if (step < 1 || step > int_max)
        return hpt__fail(HPT_E_ARG, "parameter '%s': the step of an integer is 1 to 2^53, got %lld", name,
                         (long long)step);
    return hpt__space_add_range(
        space, name, HPT__PARAM_INT,
        (hpt__range){.low = (double)low, .high = (double)high, .step = (double)step, .log = flags & HPT_LOG});
}

// ---- choices

int hpt__space_add_choices(hpt_space *space, const char *name, hpt__json *const *choices, int64_t n, bool is_constant) {
    hpt__str text = HPT__STR_INIT;
    int rc = 0;
    HPT_TRY(hpt__space_check_name(space, name));
    HPT_FAIL_IF(n < 1, HPT_E_ARG, "parameter '%s': a categorical needs at least one choice", name);
    HPT_FAIL_IF((uint64_t)n > SIZE_MAX / sizeof *choices, HPT_E_ARG, "parameter '%s': too many choices", name);
    hpt__param p = {
        .kind = HPT__PARAM_CATEGORICAL, .is_constant = is_constant, .n_choices = n, .high = (double)(n - 1)};
    p.choices = hpt__arena_alloc0(&space->arena, (size_t)n * sizeof *p.choices);
    p.choice_text = hpt__arena_alloc0(&space->arena, (size_t)n * sizeof *p.choice_text);
    if (!p.choices || !p.choice_text) HPT_TRY(hpt__fail_memory());
    for (int64_t i = 0; i < n; i++) {
        const hpt__json *c = choices[i];
        hpt__str_clear(&text);
        if (c->kind == HPT__JSON_STRING) {
            HPT_FAIL_IF(memchr(c->s.text, 0, c->s.len), HPT_E_ARG,
                        "parameter '%s': choice %lld holds a NUL character, which no C string can", name, (long long)i);
            HPT_FAIL_IF(!is_utf8(c->s.text, c->s.len), HPT_E_ARG, "parameter '%s': choice %lld is not UTF-8", name,
                        (long long)i);
            hpt__str_addn(&text, c->s.text, c->s.len);
        } else {
            hpt__json_compact(&text, c);
        }
        HPT_TRY(hpt__str_status(&text));
        p.choices[i] = hpt__json_dup(&space->arena, c);
        p.choice_text[i] = hpt__arena_strndup(&space->arena, hpt__str_text(&text), text.len);
        if (!p.choices[i] || !p.choice_text[i]) HPT_TRY(hpt__fail_memory());
    }
    HPT_TRY(hpt__space_append(space, name, &p));
out:
    hpt__str_fini(&text);
    return rc;
}

// All different, 1 and 1.0 and true being three choices: they are, as compact JSON.
static int check_different(const char *name, hpt__json *const *choices, int64_t n) {
    int rc = 0;
    hpt__map seen;
    hpt__str text = HPT__STR_INIT;
    hpt__map_init(&seen);
    for (int64_t i = 0; i < n; i++) {
        int64_t first;
        hpt__str_clear(&text);
        hpt__json_compact(&text, choices[i]);
        HPT_TRY(hpt__str_status(&text));
        HPT_FAIL_IF(hpt__map_get(&first, &seen, hpt__str_text(&text), text.len), HPT_E_ARG,
                    "parameter '%s': choices %lld and %lld are both %s; remove one", name, (long long)first,
                    (long long)i, hpt__str_text(&text));
        HPT_TRY(hpt__map_set(&seen, hpt__str_text(&text), text.len, i));
    }
out:
    hpt__str_fini(&text);
    hpt__map_fini(&seen);
    return rc;
}

static int add_categorical(hpt_space *space, const char *name, const char *const *choices, int64_t n, bool is_json,
                           bool is_constant) {
    hpt__arena scratch;
    hpt__arena_init(&scratch);
    int rc = 0;
    HPT_TRY(hpt__space_check_name(space, name));
    HPT_FAIL_IF(n < 1, HPT_E_ARG, "parameter '%s': a categorical needs at least one choice", name);
    HPT_FAIL_IF(!choices, HPT_E_ARG, "parameter '%s': choices is NULL", name);
    HPT_FAIL_IF((uint64_t)n > SIZE_MAX / sizeof(hpt__json *), HPT_E_ARG, "parameter '%s': too many choices", name);
    hpt__json **items = hpt__arena_alloc0(&scratch, (size_t)n * sizeof *items);
    if (!items) HPT_TRY(hpt__fail_memory());
    for (int64_t i = 0; i < n; i++) {
        HPT_FAIL_IF(!choices[i], HPT_E_ARG, "parameter '%s': choice %lld is NULL", name, (long long)i);
        const size_t len = strlen(choices[i]);
        if (is_json) {
            rc = hpt__json_parse(&items[i], &scratch, choices[i], len);
            if (rc == HPT_E_PARSE)
                rc = is_constant
                         ? hpt__fail_prefix(HPT_E_ARG, "parameter '%s': the value is not JSON", name)
                         : hpt__fail_prefix(HPT_E_ARG, "parameter '%s': choice %lld is not JSON", name, (long long)i);
            if (rc < 0) goto out;
        } else {
            items[i] = hpt__json_new_string(&scratch, choices[i], len);
            if (!items[i]) HPT_TRY(hpt__fail_memory());
        }
    }
    HPT_TRY(check_different(name, items, n));
    HPT_TRY(hpt__space_add_choices(space, name, items, n, is_constant));
out:
    hpt__arena_fini(&scratch);
    return rc;
}

int hpt_space_add_categorical(hpt_space *space, const char *name, const char *const *choices, int64_t n_choices) {
    return add_categorical(space, name, choices, n_choices, false, false);
}

int hpt_space_add_categorical_json(hpt_space *space, const char *name, const char *const *choices, int64_t n_choices) {
    return add_categorical(space, name, choices, n_choices, true, false);
}

int hpt_space_add_constant(hpt_space *space, const char *name, const char *json) {
    return add_categorical(space, name, &json, 1, true, true);
}

// ---- copy

int hpt__space_dup(hpt_space **out, const hpt_space *space) {
    hpt_space *copy = NULL;
    int rc = 0;
    HPT_TRY(hpt_space_create(&copy));
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (p->kind == HPT__PARAM_CATEGORICAL) {
            HPT_TRY(hpt__space_add_choices(copy, p->name, p->choices, p->n_choices, p->is_constant));
            if (p->probabilities) HPT_TRY(hpt__space_set_probabilities(copy, i, p->probabilities, p->n_choices));
        } else {
            hpt__param q = {.kind = p->kind,
                            .log = p->log,
                            .low = p->low,
                            .high = p->high,
                            .step = p->step,
                            .law = p->law,
                            .law_a = p->law_a,
                            .law_b = p->law_b};
            HPT_TRY(hpt__space_append(copy, p->name, &q));
        }
    }
    for (int64_t i = 0; i < space->d; i++)
        for (int64_t c = 0; c < space->params[i].n_conditions; c++) {
            const hpt__condition *cond = &space->params[i].conditions[c];
            HPT_TRY(hpt__space_add_condition_values(copy, i, cond->parent, cond->values, cond->n_values));
        }
    *out = copy;
    copy = NULL;
out:
    hpt_space_destroy(copy);
    return rc;
}
