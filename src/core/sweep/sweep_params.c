// SPDX-License-Identifier: Apache-2.0
// sweep_params.c: the `parameters` block into a space.
//
// The distribution is the one named, else what W&B's schema infers from the keys: `value` constant, `values`
// categorical, `min` and `max` both whole: int_uniform, else uniform. The q forms round to multiples of q: their grid
// runs from round(min/q) q to round(max/q) q (numpy's round half to even). W&B gives the two ends half the mass of the
// others; here all grid values have the same. A log form with q keeps the grid and samples it logarithmically.
//
// Nested blocks are flattened with "."; `hpt:when` names a parent by its full name, or by its own name if the parent is
// in the same block. Conditions are added after all parameters, so a child may stand before its parent.
#include "../base/num.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <math.h>
#include <string.h>

enum { NAME_LEN_MAX = 512, DEPTH_MAX = 16 };

static const char *const KEYS[] = {"distribution", "value",    "values",  "min", "max",           "q",
                                   "mu",           "sigma",    "a",       "b",   "probabilities", "parameters",
                                   "hpt:when",     "hpt:step", "hpt:log", NULL};
static const char *const DISTRIBUTIONS[] = {
    "constant",           "categorical",   "int_uniform",          "uniform", "q_uniform", "log_uniform",
    "log_uniform_values", "q_log_uniform", "q_log_uniform_values", NULL};
static const char *const LATER[] = {"categorical_w_probabilities",
                                    "inv_log_uniform",
                                    "inv_log_uniform_values",
                                    "normal",
                                    "q_normal",
                                    "log_normal",
                                    "q_log_normal",
                                    "beta",
                                    "q_beta",
                                    NULL};

typedef struct when { // a condition, kept until all parameters are known
    const char *child, *prefix, *path;
    const hpt__json *node;
    struct when *next;
} when;

typedef struct reader {
    hpt__check c;
    hpt_space *space;
    when *first, **last;
} reader;

static int64_t find(const char *text, const char *const *list) {
    for (int64_t i = 0; list[i]; i++)
        if (strcmp(list[i], text) == 0) return i;
    return -1;
}

// A space's refusal, with the place in the file before it.
static int at(const reader *r, const hpt__json *node, const char *path, int rc) {
    if (rc >= 0 || rc == HPT_E_MEMORY) return rc;
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    return hpt__check_fail(&r->c, node, path, "%s", message);
}

static bool name_ok(const char *name) {
    if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || *name == '_')) return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("_.-", *p)))
            return false;
    return true;
}

static const hpt__json *need(int *rc, const reader *r, const hpt__json *p, const char *path, const char *key,
                             const char *distribution) {
    const hpt__json *node = hpt__json_get(p, key);
    if (!node) *rc = hpt__check_fail(&r->c, p, path, "%s needs '%s'", distribution, key);
    return node;
}

static const char *infer(const hpt__json *p) {
    if (hpt__json_get(p, "values")) return "categorical";
    if (hpt__json_get(p, "value")) return "constant";
    const hpt__json *low = hpt__json_get(p, "min"), *high = hpt__json_get(p, "max");
    if (!low || !high) return NULL;
    return low->kind == HPT__JSON_INT && high->kind == HPT__JSON_INT ? "int_uniform" : "uniform";
}

// Text that was surely meant as a number: 1e-3 has no point. It reaches the trial unchanged, so this is only a remark.
static int warn_of_text(const reader *r, const hpt__json *v, const char *path) {
    double number;
    char spelling[HPT__SPELLING_MAX];
    if (v->kind != HPT__JSON_STRING || !strpbrk(v->s.text, "eE")) return HPT_OK;
    if (!hpt__parse_double(&number, v->s.text, v->s.len, false)) return HPT_OK;
    hpt__check_spell(spelling, number);
    return hpt__check_warn(&r->c, v, path,
                           "'%.60s' is text by YAML 1.1, and a choice without order; for a number write %s", v->s.text,
                           spelling);
}

// A key that says something about another kind of parameter is a contradiction, never ignored.
static int check_fit(const reader *r, const hpt__json *p, const char *path, const char *distribution) {
    static const char *const keys[] = {"value", "values", "min", "max", "q", "hpt:step", "hpt:log", NULL};
    const bool constant = strcmp(distribution, "constant") == 0, categorical = strcmp(distribution, "categorical") == 0;
    for (int64_t i = 0; i < p->o.n; i++) {
        const int64_t k = find(p->o.keys[i], keys);
        if (k < 0 || (constant ? k == 0 : categorical ? k == 1 : k >= 2)) continue;
        const char *where = hpt__check_path(&r->c, path, keys[k]);
        if (!where) return hpt__fail_memory();
        return hpt__check_fail(&r->c, p->o.values[i], where, "does not go with %s, which takes %s; remove one of them",
                               distribution,
                               constant      ? "value"
                               : categorical ? "values"
                                             : "min and max");
    }
    return HPT_OK;
}

static int constant(reader *r, const hpt__json *p, const char *name, const char *path) {
    int rc = 0;
    hpt__str json = HPT__STR_INIT;
    const hpt__json *value = need(&rc, r, p, path, "value", "constant");
    if (!value) return rc;
    rc = warn_of_text(r, value, path);
    if (rc < 0) return rc;
    hpt__json_compact(&json, value);
    rc = hpt__str_status(&json);
    if (rc == 0) rc = at(r, value, path, hpt_space_add_constant(r->space, name, hpt__str_text(&json)));
    hpt__str_fini(&json);
    return rc;
}

static int categorical(reader *r, const hpt__json *p, const char *name, const char *path) {
    int rc = 0;
    const char **texts = NULL;
    const hpt__json *values = need(&rc, r, p, path, "values", "categorical");
    if (!values) return rc;
    if (values->kind != HPT__JSON_ARRAY || values->a.n == 0)
        return hpt__check_fail(&r->c, values, path, "values: needs a list with at least one choice, e.g. [adam, sgd]");
    texts = hpt__arena_alloc(r->c.arena, (size_t)values->a.n * sizeof *texts);
    if (!texts) return hpt__fail_memory();
    for (int64_t i = 0; i < values->a.n; i++) {
        hpt__str json = HPT__STR_INIT;
        rc = warn_of_text(r, values->a.items[i], path);
        if (rc < 0) return rc;
        hpt__json_compact(&json, values->a.items[i]);
        texts[i] = hpt__arena_strndup(r->c.arena, hpt__str_text(&json), json.len);
        rc = hpt__str_status(&json);
        hpt__str_fini(&json);
        if (rc < 0 || !texts[i]) return hpt__fail_memory();
    }
    return at(r, values, path, hpt_space_add_categorical_json(r->space, name, texts, values->a.n));
}

// min, max, q of a numeric distribution.
typedef struct bounds {
    double low, high, q;
    const hpt__json *low_node, *high_node, *q_node;
} bounds;

static int read_bounds(bounds *b, const reader *r, const hpt__json *p, const char *path, const char *distribution) {
    int rc = 0;
    const char *at_min = hpt__check_path(&r->c, path, "min"), *at_max = hpt__check_path(&r->c, path, "max");
    if (!at_min || !at_max) return hpt__fail_memory();
    b->low_node = need(&rc, r, p, path, "min", distribution);
    if (!b->low_node) return rc;
    b->high_node = need(&rc, r, p, path, "max", distribution);
    if (!b->high_node) return rc;
    HPT_TRY(hpt__check_number(&b->low, &r->c, b->low_node, at_min));
    HPT_TRY(hpt__check_number(&b->high, &r->c, b->high_node, at_max));
    if (b->low > b->high) {
        char high[HPT__DOUBLE_MAX];
        hpt__double_repr(high, b->high);
        return hpt__check_fail(&r->c, b->low_node, at_min, "must be less than max (%s); swap them", high);
    }
    if (b->low == b->high)
        return hpt__check_fail(&r->c, b->low_node, at_min, "equals max; write `value:` for a constant");
    b->q = 1;
    b->q_node = hpt__json_get(p, "q");
    if (b->q_node) {
        const char *at_q = hpt__check_path(&r->c, path, "q");
        if (!at_q) return hpt__fail_memory();
        if (distribution[0] != 'q')
            return hpt__check_fail(&r->c, b->q_node, at_q, "%s has no q; use q_%s", distribution,
                                   strcmp(distribution, "int_uniform") ? distribution : "uniform");
        HPT_TRY(hpt__check_number(&b->q, &r->c, b->q_node, at_q));
        if (b->q <= 0) return hpt__check_fail(&r->c, b->q_node, at_q, "must be greater than 0");
    }
    rc = 0;
out:
    return rc;
}

static int read_step(double *step, bool *log, const reader *r, const hpt__json *p, const char *path) {
    int rc = 0;
    const hpt__json *node = hpt__json_get(p, "hpt:step");
    if (node) {
        const char *where = hpt__check_path(&r->c, path, "hpt:step");
        if (!where) return hpt__fail_memory();
        HPT_TRY(hpt__check_number(step, &r->c, node, where));
        if (*step <= 0) return hpt__check_fail(&r->c, node, where, "must be greater than 0");
    }
    node = hpt__json_get(p, "hpt:log");
    if (node) {
        const char *where = hpt__check_path(&r->c, path, "hpt:log");
        if (!where) return hpt__fail_memory();
        HPT_TRY(hpt__check_bool(log, &r->c, node, where));
    }
    rc = 0;
out:
    return rc;
}

static bool whole(double v) {
    return v == rint(v) && fabs(v) <= 0x1p53;
}

// Moves the bounds to multiples of q.
static int quantise(bounds *b, const reader *r, const hpt__json *p, const char *path, bool log) {
    int rc = 0;
    const hpt__json *node = b->q_node ? b->q_node : p;
    double low = rint(b->low / b->q) * b->q;
    const double high = rint(b->high / b->q) * b->q;
    if (log && low <= 0) { // rounded down to 0, which has no logarithm
        if (high <= 0)
            return hpt__check_fail(&r->c, node, path,
                                   "every value rounds to 0, the nearest multiple of q; make q smaller");
        low = b->q;
        HPT_TRY(hpt__check_warn(&r->c, node, path,
                                "values that round to 0 are left out, for 0 has no logarithm; the lowest is %g", low));
    } else if (low < b->low || high > b->high) {
        HPT_TRY(hpt__check_warn(&r->c, node, path,
                                "rounding to multiples of q gives values from %g to %g, beyond min or max, as in W&B",
                                low, high));
    }
    if (low == high)
        HPT_TRY(hpt__check_warn(&r->c, node, path, "%g is the only multiple of q in this range; make q smaller", low));
    const hpt_sweep *s = r->c.sweep;
    if (!log && s && s->method && strcmp(s->method, "grid") == 0)
        HPT_TRY(hpt__check_warn(&r->c, p, path, "this grid runs to %g; W&B's leaves max out", high));
    b->low = low;
    b->high = high;
    rc = 0;
out:
    return rc;
}

static int numeric(reader *r, const hpt__json *p, const char *name, const char *path, const char *distribution) {
    bounds b = {0};
    double step = 0;
    bool log = false, whole_values = false;
    int rc = 0;
    const bool quantised = distribution[0] == 'q';
    const char *base = distribution + (quantised ? 2 : 0);
    HPT_TRY(read_bounds(&b, r, p, path, distribution));
    HPT_TRY(read_step(&step, &log, r, p, path));
    if (strncmp(base, "log_uniform", 11) == 0) {
        if (log || step > 0)
            return hpt__check_fail(&r->c, p, path, "hpt:step and hpt:log go with uniform and int_uniform, not with %s",
                                   distribution);
        log = true;
        if (strcmp(base, "log_uniform") == 0) { // the bounds are natural logarithms
            const bool as_values = b.low > 0 && b.high <= 1;
            b.low = exp(b.low);
            b.high = exp(b.high);
            if (!isfinite(b.high) || b.low == 0)
                return hpt__check_fail(&r->c, b.high_node, path,
                                       "min and max of %s are natural logarithms and these are out of range; for "
                                       "bounds of the value itself use %s_values",
                                       distribution, distribution);
            if (as_values)
                HPT_TRY(hpt__check_warn(&r->c, b.low_node, path,
                                        "min and max of %s are natural logarithms: values run from %g to %g; for "
                                        "bounds of the value itself use %s_values",
                                        distribution, b.low, b.high, distribution));
        }
        if (b.low <= 0)
            return hpt__check_fail(&r->c, b.low_node, path, "min of %s must be greater than 0", distribution);
    }
    if (quantised) {
        if (step > 0) return hpt__check_fail(&r->c, p, path, "q and hpt:step say the same; keep q");
        if (log && strcmp(base, "uniform") == 0)
            return hpt__check_fail(&r->c, p, path, "hpt:log does not go with q_uniform; use q_log_uniform_values");
        HPT_TRY(quantise(&b, r, p, path, log));
        step = b.q;
        // W&B makes whole numbers of the results exactly when q was written as one.
        whole_values = (!b.q_node || b.q_node->kind == HPT__JSON_INT) && whole(step) && whole(b.low) && whole(b.high);
    } else if (strcmp(base, "int_uniform") == 0) {
        if (!whole(b.low) || !whole(b.high))
            return hpt__check_fail(
                &r->c, whole(b.low) ? b.high_node : b.low_node, path,
                "int_uniform needs whole numbers up to 2^53 for min and max; use uniform for others");
        if (step == 0) step = 1;
        if (!whole(step)) return hpt__check_fail(&r->c, p, path, "hpt:step of an int_uniform must be a whole number");
        whole_values = true;
    }
    const unsigned flags = log ? HPT_LOG : 0;
    rc = whole_values ? hpt_space_add_int(r->space, name, (int64_t)b.low, (int64_t)b.high, (int64_t)step, flags)
                      : hpt_space_add_float(r->space, name, b.low, b.high, step, flags);
    rc = at(r, p, path, rc);
out:
    return rc;
}

static int block(reader *r, const hpt__json *parameters, const char *prefix, const char *path, int depth);

static int parameter(reader *r, const hpt__json *p, const char *name, const char *prefix, const char *path, int depth) {
    int rc = 0;
    const hpt__json *named = hpt__json_get(p, "distribution"), *nested = hpt__json_get(p, "parameters");
    const char *distribution = NULL;
    HPT_TRY(hpt__check_map(&r->c, p, path));
    HPT_TRY(hpt__check_keys(&r->c, p, path, KEYS));
    if (nested) {
        if (p->o.n > 1)
            return hpt__check_fail(&r->c, p, path,
                                   "a nested block has only the key 'parameters'; move the others inside");
        return block(r, nested, name, hpt__check_path(&r->c, path, "parameters"), depth + 1);
    }
    if (named) {
        const char *where = hpt__check_path(&r->c, path, "distribution");
        if (!where) return hpt__fail_memory();
        HPT_TRY(hpt__check_text(&distribution, &r->c, named, where));
        if (find(distribution, LATER) >= 0)
            return hpt__check_unsupported(&r->c, named, where,
                                          "use uniform, log_uniform_values, q_uniform, int_uniform or categorical");
        if (find(distribution, DISTRIBUTIONS) < 0) {
            const char *near =
                hpt__nearest(distribution, DISTRIBUTIONS, sizeof DISTRIBUTIONS / sizeof *DISTRIBUTIONS - 1);
            return hpt__check_fail(&r->c, named, where, "there is no distribution '%s'%s%s%s", distribution,
                                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
    }
    if (hpt__json_get(p, "probabilities"))
        return hpt__check_unsupported(&r->c, hpt__json_get(p, "probabilities"), path, "leave probabilities out");
    static const char *const later_keys[] = {"mu", "sigma", "a", "b", NULL};
    for (int i = 0; later_keys[i]; i++)
        if (hpt__json_get(p, later_keys[i]))
            return hpt__check_fail(&r->c, hpt__json_get(p, later_keys[i]), path,
                                   "the key '%s' belongs to a distribution of another kind; give min and max",
                                   later_keys[i]);
    if (!distribution) distribution = infer(p);
    if (!distribution) {
        const bool half = hpt__json_get(p, "min") || hpt__json_get(p, "max");
        return hpt__check_fail(&r->c, p, path,
                               half ? "min and max go together; the other one is missing"
                                    : "needs value, values, or min and max");
    }
    HPT_TRY(check_fit(r, p, path, distribution));
    if (strcmp(distribution, "constant") == 0)
        HPT_TRY(constant(r, p, name, path));
    else if (strcmp(distribution, "categorical") == 0)
        HPT_TRY(categorical(r, p, name, path));
    else
        HPT_TRY(numeric(r, p, name, path, distribution));
    const hpt__json *condition = hpt__json_get(p, "hpt:when");
    if (condition) {
        when *w = hpt__arena_alloc(r->c.arena, sizeof *w);
        const char *where = hpt__check_path(&r->c, path, "hpt:when");
        if (!w || !where) return hpt__fail_memory();
        *w = (when){name, prefix, where, condition, NULL};
        *r->last = w;
        r->last = &w->next;
    }
    rc = 0;
out:
    return rc;
}

static int block(reader *r, const hpt__json *parameters, const char *prefix, const char *path, int depth) {
    int rc = 0;
    if (!path) return hpt__fail_memory();
    HPT_TRY(hpt__check_map(&r->c, parameters, path));
    if (depth > DEPTH_MAX)
        return hpt__check_fail(&r->c, parameters, path, "nested more than %d levels deep", DEPTH_MAX);
    if (parameters->o.n == 0)
        return hpt__check_fail(&r->c, parameters, path, "is empty; it needs at least one parameter");
    for (int64_t i = 0; i < parameters->o.n; i++) {
        const char *key = parameters->o.keys[i];
        const char *where = hpt__check_path(&r->c, path, key), *name = hpt__check_path(&r->c, prefix, key);
        if (!where || !name) return hpt__fail_memory();
        if (!name_ok(key))
            return hpt__check_fail(
                &r->c, parameters->o.values[i], where,
                "a parameter's name begins with a letter or _ and goes on with letters, digits, _ . -");
        if (strlen(name) > NAME_LEN_MAX)
            return hpt__check_fail(&r->c, parameters->o.values[i], where, "the name is longer than %d bytes",
                                   NAME_LEN_MAX);
        HPT_TRY(parameter(r, parameters->o.values[i], name, prefix, where, depth));
    }
    rc = 0;
out:
    return rc;
}

// The text of a condition's value as hpt_space_add_condition reads it: the bare text of a string, else JSON. A string
// is written as JSON too where the parent has another choice of the same bare text ("true" beside true).
static const char *value_text(const reader *r, int64_t parent, const hpt__json *v) {
    bool ambiguous = false;
    if (v->kind == HPT__JSON_STRING) {
        const hpt__param *p = parent >= 0 ? &r->space->params[parent] : NULL;
        for (int64_t i = 0; p && i < p->n_choices; i++)
            ambiguous =
                ambiguous || (p->choices[i]->kind != HPT__JSON_STRING && strcmp(p->choice_text[i], v->s.text) == 0);
        if (!ambiguous) return v->s.text;
    }
    hpt__str json = HPT__STR_INIT;
    hpt__json_compact(&json, v);
    const char *text =
        hpt__str_status(&json) < 0 ? NULL : hpt__arena_strndup(r->c.arena, hpt__str_text(&json), json.len);
    hpt__str_fini(&json);
    return text;
}

static int add_condition(reader *r, const when *w, const char *key, const hpt__json *values) {
    const char *sibling = hpt__check_path(&r->c, w->prefix, key), *where = hpt__check_path(&r->c, w->path, key);
    if (!sibling || !where) return hpt__fail_memory();
    const char *parent = hpt__space_find(r->space, sibling) >= 0 ? sibling : key;
    hpt__json *const *items = NULL;
    int64_t n = 1;
    if (values->kind == HPT__JSON_ARRAY) {
        items = values->a.items;
        n = values->a.n;
        if (n == 0) return hpt__check_fail(&r->c, values, where, "is an empty list; name the values of '%s'", key);
    }
    const char **texts = hpt__arena_alloc(r->c.arena, (size_t)n * sizeof *texts);
    if (!texts) return hpt__fail_memory();
    for (int64_t i = 0; i < n; i++)
        if (!(texts[i] = value_text(r, hpt__space_find(r->space, parent), items ? items[i] : values)))
            return hpt__fail_memory();
    return at(r, values, where, hpt_space_add_condition(r->space, w->child, parent, texts, n));
}

int hpt__sweep_space(hpt_space **out, const hpt__json *parameters, const char *file, hpt_sweep *sweep) {
    int rc = 0;
    hpt__arena own;
    reader r = {.c = {.file = file, .sweep = sweep}};
    hpt__arena_init(&own);
    r.c.arena = sweep ? &sweep->arena : &own;
    r.last = &r.first;
    HPT_TRY(hpt_space_create(&r.space));
    HPT_TRY(block(&r, parameters, "", "parameters", 0));
    for (const when *w = r.first; w; w = w->next) {
        HPT_TRY(hpt__check_map(&r.c, w->node, w->path));
        if (w->node->o.n == 0) {
            rc = hpt__check_fail(&r.c, w->node, w->path, "is empty; write {parent: [values]}");
            goto out;
        }
        for (int64_t i = 0; i < w->node->o.n; i++)
            HPT_TRY(add_condition(&r, w, w->node->o.keys[i], w->node->o.values[i]));
    }
    *out = r.space;
    r.space = NULL;
    rc = 0;
out:
    hpt_space_destroy(r.space);
    hpt__arena_fini(&own);
    return rc;
}
