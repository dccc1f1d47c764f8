// SPDX-License-Identifier: Apache-2.0
// sweep_law.c: what the keys of one parameter say about its values, into the space.
//
// The distribution is the one named, else what W&B's schema infers: `values` categorical (with `probabilities`
// weighted), `value` constant, `min` and `max` both whole int_uniform, else uniform. Its forms, X before rounding:
//
//   uniform               X uniform in [min, max]          log_uniform_values    ln X uniform in [ln min, ln max]
//   log_uniform           ln X uniform in [min, max]       inv_log_uniform       -ln X uniform in [min, max]
//   inv_log_uniform_values  1/X log-uniform, which makes X log-uniform: as log_uniform_values
//   normal, log_normal    X, ln X normal (mu, sigma)       beta                  X from Beta(a, b)
//   q_...                 round(X / q) q, half to even, nothing cut off after it; whole numbers if q was written as one
//
// method grid: q_uniform is min + k q below max (numpy's arange), not multiples of q. Choices that a trial could not
// tell apart (1 and 1.0: the server passes integers) are one, as heavy as all of them together.
// A key that belongs to another kind of parameter is a contradiction, never ignored.
// Facts: wandb/sweeps, src/sweeps/config/schema.json, params.py, grid_search.py (commit b1dfc5f).
#include "../base/map.h"
#include "../base/num.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <math.h>
#include <string.h>

typedef enum kind { CONSTANT, CATEGORICAL, INTEGER, UNIFORM, NORMAL, BETA } kind;

enum { // forms of a law
    ROUNDED = 1,
    LOG = 2,
    EXPONENTS = 4, // the bounds are natural logarithms
    INVERSE = 8,   // ... of 1/X
    WEIGHTED = 16, // needs probabilities
};

typedef struct law {
    const char *name;
    kind kind;
    unsigned form;
} law;

static const law LAWS[] = {
    {"constant", CONSTANT, 0},
    {"categorical", CATEGORICAL, 0},
    {"categorical_w_probabilities", CATEGORICAL, WEIGHTED},
    {"int_uniform", INTEGER, 0},
    {"uniform", UNIFORM, 0},
    {"q_uniform", UNIFORM, ROUNDED},
    {"log_uniform", UNIFORM, LOG | EXPONENTS},
    {"log_uniform_values", UNIFORM, LOG},
    {"q_log_uniform", UNIFORM, LOG | EXPONENTS | ROUNDED},
    {"q_log_uniform_values", UNIFORM, LOG | ROUNDED},
    {"inv_log_uniform", UNIFORM, LOG | EXPONENTS | INVERSE},
    {"inv_log_uniform_values", UNIFORM, LOG},
    {"normal", NORMAL, 0},
    {"q_normal", NORMAL, ROUNDED},
    {"log_normal", NORMAL, LOG},
    {"q_log_normal", NORMAL, LOG | ROUNDED},
    {"beta", BETA, 0},
    {"q_beta", BETA, ROUNDED},
};
enum { N_LAWS = sizeof LAWS / sizeof *LAWS };

typedef struct reader {
    const hpt__check *c;
    hpt_space *space;
    const hpt__json *p;
    const char *name, *path;
    const law *law;
} reader;

static bool whole(double v) {
    return v == rint(v) && fabs(v) <= 0x1p53;
}

static bool in_grid_sweep(const reader *r) {
    const hpt_sweep *s = r->c->sweep;
    return s && s->method && strcmp(s->method, "grid") == 0;
}

// ---- which law

static const law *law_named(const char *name) {
    for (int64_t i = 0; i < N_LAWS; i++)
        if (strcmp(LAWS[i].name, name) == 0) return &LAWS[i];
    return NULL;
}

static int no_such_law(const reader *r, const hpt__json *node, const char *path, const char *text) {
    const char *names[N_LAWS];
    for (int64_t i = 0; i < N_LAWS; i++) names[i] = LAWS[i].name;
    const char *near = hpt__nearest(text, names, N_LAWS);
    return hpt__check_fail(r->c, node, path, "there is no distribution '%.60s'%s%s%s", text,
                           near ? "; did you mean '" : "; docs/sweep-file.md lists them", near ? near : "",
                           near ? "'?" : "");
}

static int infer(reader *r) {
    static const char *const named[][2] = {{"mu", "normal"}, {"sigma", "normal"},     {"a", "beta"},
                                           {"b", "beta"},    {"probabilities", NULL}, {"q", NULL}};
    const hpt__json *low = hpt__json_get(r->p, "min"), *high = hpt__json_get(r->p, "max");
    if (hpt__json_get(r->p, "values"))
        r->law = law_named("categorical");
    else if (hpt__json_get(r->p, "value"))
        r->law = law_named("constant");
    else if (low && high)
        r->law = law_named(low->kind == HPT__JSON_INT && high->kind == HPT__JSON_INT ? "int_uniform" : "uniform");
    if (r->law) return HPT_OK;
    for (size_t i = 0; i < 4; i++)
        if (hpt__json_get(r->p, named[i][0]))
            return hpt__check_fail(r->c, r->p, r->path, "'%s' needs a named distribution, e.g. `distribution: %s`",
                                   named[i][0], named[i][1]);
    if (hpt__json_get(r->p, "probabilities"))
        return hpt__check_fail(r->c, r->p, r->path, "'probabilities' needs 'values', a list of the same length");
    return hpt__check_fail(r->c, r->p, r->path,
                           low || high ? "min and max go together; the other one is missing"
                                       : "needs value, values, or min and max");
}

static int find_law(reader *r) {
    int rc = 0;
    const hpt__json *node = hpt__json_get(r->p, "distribution");
    const char *text = NULL, *where = hpt__check_path(r->c, r->path, "distribution");
    if (!where) return hpt__fail_memory();
    if (!node) return infer(r);
    HPT_TRY(hpt__check_text(&text, r->c, node, where));
    r->law = law_named(text);
    if (!r->law) return no_such_law(r, node, where, text);
    rc = 0;
out:
    return rc;
}

// "min and max, q" and so on: what the law takes.
static const char *takes(const law *l) {
    switch (l->kind) {
    case CONSTANT:
        return "value";
    case CATEGORICAL:
        return "values and probabilities";
    case NORMAL:
        return l->form & ROUNDED ? "mu, sigma and q" : "mu and sigma";
    case BETA:
        return l->form & ROUNDED ? "a, b and q" : "a and b";
    default:
        return l->form & ROUNDED ? "min, max and q" : "min and max";
    }
}

static bool key_fits(const law *l, const char *key) {
    static const char *const of_kind[][3] = {{"value", NULL, NULL}, {"values", "probabilities", NULL},
                                             {"min", "max", NULL},  {"min", "max", NULL},
                                             {"mu", "sigma", NULL}, {"a", "b", NULL}};
    if (strcmp(key, "distribution") == 0 || strcmp(key, "hpt:when") == 0) return true;
    if (strcmp(key, "q") == 0) return l->form & ROUNDED;
    if (strncmp(key, "hpt:", 4) == 0) return l->kind == INTEGER || l->kind == UNIFORM; // step, log: said more exactly
    for (int i = 0; i < 3 && of_kind[l->kind][i]; i++)
        if (strcmp(of_kind[l->kind][i], key) == 0) return true;
    return false;
}

static int check_fit(const reader *r) {
    for (int64_t i = 0; i < r->p->o.n; i++) {
        const char *key = r->p->o.keys[i];
        if (key_fits(r->law, key)) continue;
        const char *where = hpt__check_path(r->c, r->path, key);
        if (!where) return hpt__fail_memory();
        const bool form = r->law->kind >= INTEGER && !(r->law->form & ROUNDED) && strcmp(key, "q") == 0;
        if (form)
            return hpt__check_fail(r->c, r->p->o.values[i], where, "%s has no q; use q_%s", r->law->name,
                                   r->law->kind == INTEGER                 ? "uniform"
                                   : strncmp(r->law->name, "inv_", 4) == 0 ? r->law->name + 4
                                                                           : r->law->name);
        return hpt__check_fail(r->c, r->p->o.values[i], where,
                               "does not go with %s, which takes %s; remove one of them", r->law->name, takes(r->law));
    }
    return HPT_OK;
}

// ---- constants and choices

// Text that was surely meant as a number: 1e-3 has no point. It reaches the trial unchanged, so this is only a remark.
static int warn_of_text(const reader *r, const hpt__json *v) {
    double number;
    char spelling[HPT__SPELLING_MAX];
    if (v->kind != HPT__JSON_STRING || !strpbrk(v->s.text, "eE")) return HPT_OK;
    if (!hpt__parse_double(&number, v->s.text, v->s.len, false)) return HPT_OK;
    hpt__check_spell(spelling, number);
    return hpt__check_warn(r->c, v, r->path,
                           "'%.60s' is text by YAML 1.1, and a choice without order; for a number write %s", v->s.text,
                           spelling);
}

static int need(const hpt__json **out, const reader *r, const char *key) {
    *out = hpt__json_get(r->p, key);
    return *out ? HPT_OK : hpt__check_fail(r->c, r->p, r->path, "%s needs '%s'", r->law->name, key);
}

static int constant(const reader *r) {
    int rc = 0;
    hpt__str json = HPT__STR_INIT;
    const hpt__json *value = NULL;
    HPT_TRY(need(&value, r, "value"));
    HPT_TRY(warn_of_text(r, value));
    hpt__json_compact(&json, value);
    HPT_TRY(hpt__str_status(&json));
    rc = hpt__check_at(r->c, value, r->path, hpt_space_add_constant(r->space, r->name, hpt__str_text(&json)));
out:
    hpt__str_fini(&json);
    return rc;
}

// The probabilities as written, divided by their sum; *out stays NULL without any.
static int read_probabilities(double **out, const reader *r, const hpt__json *values) {
    int rc = 0;
    double sum = 0;
    const hpt__json *node = hpt__json_get(r->p, "probabilities");
    const char *where = hpt__check_path(r->c, r->path, "probabilities");
    if (!where) return hpt__fail_memory();
    if (!node && !(r->law->form & WEIGHTED)) return HPT_OK;
    HPT_TRY(need(&node, r, "probabilities"));
    if (in_grid_sweep(r))
        return hpt__check_fail(r->c, node, where,
                               "a grid takes every choice once; remove the probabilities, or use method random");
    if (node->kind != HPT__JSON_ARRAY || node->a.n != values->a.n)
        return hpt__check_fail(r->c, node, where, "needs a list of %lld numbers, one for each of the values",
                               (long long)values->a.n);
    double *p = hpt__arena_alloc(r->c->arena, (size_t)node->a.n * sizeof *p);
    if (!p) return hpt__fail_memory();
    for (int64_t i = 0; i < node->a.n; i++) {
        HPT_TRY(hpt__check_number(&p[i], r->c, node->a.items[i], where));
        if (p[i] < 0) return hpt__check_fail(r->c, node->a.items[i], where, "%g is negative; write 0 or more", p[i]);
        sum += p[i];
    }
    if (!(fabs(sum - 1) <= 1e-5))
        return hpt__check_fail(r->c, node, where, "have the sum %.10g; write probabilities with the sum 1", sum);
    for (int64_t i = 0; i < node->a.n; i++) p[i] /= sum;
    *out = p;
    rc = 0;
out:
    return rc;
}

// The choice as compact JSON in the arena; key: the same of what a trial receives, by which choices are told apart.
static int choice_texts(const char **text, hpt__str *key, const reader *r, const hpt__json *v) {
    hpt__str_clear(key);
    hpt__json_compact(key, v);
    *text = hpt__str_status(key) < 0 ? NULL : hpt__arena_strndup(r->c->arena, hpt__str_text(key), key->len);
    hpt__json *passed = *text ? hpt__json_dup(r->c->arena, v) : NULL;
    if (!passed) return hpt__fail_memory();
    hpt__sweep_integral(passed);
    hpt__str_clear(key);
    hpt__json_compact(key, passed);
    return hpt__str_status(key);
}

static int categorical(const reader *r) {
    int rc = 0;
    const hpt__json *values = NULL;
    double *given = NULL;
    hpt__map seen;
    hpt__str key = HPT__STR_INIT;
    hpt__map_init(&seen);
    HPT_TRY(need(&values, r, "values"));
    if (values->kind != HPT__JSON_ARRAY || values->a.n == 0) {
        rc = hpt__check_fail(r->c, values, r->path, "values: needs a list with at least one choice, e.g. [adam, sgd]");
        goto out;
    }
    HPT_TRY(read_probabilities(&given, r, values));
    const int64_t n_values = values->a.n;
    const char **texts = hpt__arena_alloc(r->c->arena, (size_t)n_values * sizeof *texts);
    double *weight = hpt__arena_alloc0(r->c->arena, (size_t)n_values * sizeof *weight);
    if (!texts || !weight) HPT_TRY(hpt__fail_memory());
    int64_t n = 0, again = -1;
    for (int64_t i = 0; i < n_values; i++) {
        int64_t k = n;
        HPT_TRY(warn_of_text(r, values->a.items[i]));
        HPT_TRY(choice_texts(&texts[n], &key, r, values->a.items[i]));
        if (hpt__map_get(&k, &seen, hpt__str_text(&key), key.len))
            again = i;
        else
            HPT_TRY(hpt__map_set(&seen, hpt__str_text(&key), key.len, n++));
        weight[k] += given ? given[i] : 1.0 / (double)n_values;
    }
    const bool weighted = given || (again >= 0 && !in_grid_sweep(r));
    if (again >= 0)
        HPT_TRY(hpt__check_warn(
            r->c, values->a.items[again], r->path, "%lld of %lld choices stand here again; they are one choice%s",
            (long long)(n_values - n), (long long)n_values, weighted ? ", as probable as they are together" : ""));
    HPT_TRY(hpt__check_at(r->c, values, r->path, hpt_space_add_categorical_json(r->space, r->name, texts, n)));
    if (weighted)
        HPT_TRY(hpt__check_at(r->c, values, r->path, hpt_space_set_probabilities(r->space, r->name, weight, n)));
    rc = 0;
out:
    hpt__map_fini(&seen);
    hpt__str_fini(&key);
    return rc;
}

// ---- numbers

typedef struct numbers {
    double a, b, q; // the law's two numbers in their order, and q
    const hpt__json *a_node, *b_node, *q_node;
    bool whole_q; // q is an integer, as it is by default
    double step;  // hpt:step; 0: none
    bool log;     // hpt:log
} numbers;

// A number of the parameter; fallback where the key is missing (NAN: it must not be).
static int read_number(double *out, const hpt__json **node, const reader *r, const char *key, double fallback) {
    const char *where = hpt__check_path(r->c, r->path, key);
    if (!where) return hpt__fail_memory();
    *node = hpt__json_get(r->p, key);
    if (*node) return hpt__check_number(out, r->c, *node, where);
    *out = fallback;
    return isnan(fallback) ? need(node, r, key) : HPT_OK;
}

static int read_own_keys(numbers *v, const reader *r) {
    int rc = 0;
    const hpt__json *node = NULL;
    const char *where = hpt__check_path(r->c, r->path, "hpt:log");
    if (!where) return hpt__fail_memory();
    HPT_TRY(read_number(&v->step, &node, r, "hpt:step", 0));
    if (node && v->step <= 0) return hpt__check_fail(r->c, node, r->path, "hpt:step: must be greater than 0");
    node = hpt__json_get(r->p, "hpt:log");
    if (node) HPT_TRY(hpt__check_bool(&v->log, r->c, node, where));
    if (r->law->form & LOG && (v->log || v->step > 0))
        return hpt__check_fail(r->c, r->p, r->path, "hpt:step and hpt:log go with uniform and int_uniform, not with %s",
                               r->law->name);
    if (r->law->form & ROUNDED && v->step > 0)
        return hpt__check_fail(r->c, r->p, r->path, "q and hpt:step say the same; keep q");
    if (r->law->form & ROUNDED && v->log)
        return hpt__check_fail(r->c, r->p, r->path, "hpt:log does not go with q_uniform; use q_log_uniform_values");
    rc = 0;
out:
    return rc;
}

static int read_numbers(numbers *v, const reader *r) {
    static const struct {
        const char *a, *b;
        double a_default, b_default;
    } of_kind[] = {[INTEGER] = {"min", "max", NAN, NAN},
                   [UNIFORM] = {"min", "max", NAN, NAN},
                   [NORMAL] = {"mu", "sigma", 0, 1},
                   [BETA] = {"a", "b", 1, 1}};
    int rc = 0;
    const kind k = r->law->kind;
    HPT_TRY(read_number(&v->a, &v->a_node, r, of_kind[k].a, of_kind[k].a_default));
    HPT_TRY(read_number(&v->b, &v->b_node, r, of_kind[k].b, of_kind[k].b_default));
    HPT_TRY(read_number(&v->q, &v->q_node, r, "q", 1));
    v->whole_q = !v->q_node || v->q_node->kind == HPT__JSON_INT;
    if (v->q <= 0) {
        const char *where = hpt__check_path(r->c, r->path, "q");
        return where ? hpt__check_fail(r->c, v->q_node, where, "must be greater than 0") : hpt__fail_memory();
    }
    rc = 0;
out:
    return rc;
}

static int check_bounds(const numbers *v, const reader *r) {
    const char *where = hpt__check_path(r->c, r->path, "min");
    char high[HPT__DOUBLE_MAX];
    if (!where) return hpt__fail_memory();
    hpt__double_repr(high, v->b);
    if (v->a > v->b) return hpt__check_fail(r->c, v->a_node, where, "must be less than max (%s); swap them", high);
    if (v->a == v->b) return hpt__check_fail(r->c, v->a_node, where, "equals max; write `value:` for a constant");
    return HPT_OK;
}

// Bounds that are natural logarithms become those of the value.
static int raise(numbers *v, const reader *r) {
    const bool inverse = r->law->form & INVERSE, as_values = v->a > 0 && v->b <= 1;
    const double low = exp(inverse ? -v->b : v->a), high = exp(inverse ? -v->a : v->b);
    if (!isfinite(high) || low == 0)
        return hpt__check_fail(r->c, v->b_node, r->path,
                               "min and max of %s are natural logarithms and these are out of range; for "
                               "bounds of the value itself use %s_values",
                               r->law->name, r->law->name);
    v->a = low;
    v->b = high;
    if (!as_values) return HPT_OK;
    return hpt__check_warn(r->c, v->a_node, r->path,
                           "min and max of %s are natural logarithms%s: values run from %g to %g; for "
                           "bounds of the value itself use %s_values",
                           r->law->name, inverse ? " of 1/value" : "", low, high, r->law->name);
}

// What rounding does to the ends of the range added last, where that may surprise.
static int warn_of_rounding(const numbers *v, const reader *r) {
    const hpt__json *node = v->q_node ? v->q_node : r->p;
    const hpt__param *p = &r->space->params[r->space->d - 1];
    if (p->low == p->high)
        return hpt__check_warn(r->c, node, r->path, "%g is the only multiple of q in this range; make q smaller",
                               p->low);
    if (p->log && p->low == 0)
        return hpt__check_warn(r->c, node, r->path,
                               "0 is among the values, for values below q/2 round to it, as in W&B; make q smaller");
    if (p->low >= v->a && p->high <= v->b) return HPT_OK;
    return hpt__check_warn(r->c, node, r->path,
                           "rounding to multiples of q gives values from %g to %g, beyond min or max, as in W&B",
                           p->low, p->high);
}

// q_uniform of a grid: numpy's arange(min, max, q), whose length is the rounded-up quotient, in doubles.
static int add_arange(const numbers *v, const reader *r) {
    const double n = ceil((v->b - v->a) / v->q);
    if (!(n <= 0x1p50)) return hpt__check_fail(r->c, r->p, r->path, "q is too small for this range; make it larger");
    const double last = v->a + (n - 1) * v->q;
    if (v->whole_q && whole(v->a) && whole(v->q) && whole(last))
        return hpt_space_add_int(r->space, r->name, (int64_t)v->a, (int64_t)last, (int64_t)v->q, 0);
    return hpt_space_add_float(r->space, r->name, v->a, last + v->q / 4, v->q, 0); // lowered to the last value
}

static int uniform(numbers *v, const reader *r) {
    int rc = 0;
    HPT_TRY(read_own_keys(v, r));
    HPT_TRY(check_bounds(v, r));
    if (r->law->form & EXPONENTS) HPT_TRY(raise(v, r));
    const bool log = v->log || r->law->form & LOG;
    if (log && v->a <= 0)
        return hpt__check_fail(r->c, v->a_node, r->path, "min of %s must be greater than 0", r->law->name);
    if (r->law->form & ROUNDED && !log && in_grid_sweep(r)) {
        rc = add_arange(v, r);
    } else if (r->law->form & ROUNDED) {
        rc = hpt_space_add_rounded(r->space, r->name, v->a, v->b, v->q,
                                   (log ? HPT_LOG : 0) | (v->whole_q ? HPT_WHOLE : 0));
        if (rc >= 0) return warn_of_rounding(v, r);
    } else {
        rc = hpt_space_add_float(r->space, r->name, v->a, v->b, v->step, log ? HPT_LOG : 0);
    }
    rc = hpt__check_at(r->c, r->p, r->path, rc);
out:
    return rc;
}

static int integer(numbers *v, const reader *r) {
    int rc = 0;
    HPT_TRY(read_own_keys(v, r));
    HPT_TRY(check_bounds(v, r));
    if (!whole(v->a) || !whole(v->b))
        return hpt__check_fail(r->c, whole(v->a) ? v->b_node : v->a_node, r->path,
                               "int_uniform needs whole numbers up to 2^53 for min and max; use uniform for others");
    if (v->step == 0) v->step = 1;
    if (!whole(v->step))
        return hpt__check_fail(r->c, r->p, r->path, "hpt:step of an int_uniform must be a whole number");
    rc = hpt_space_add_int(r->space, r->name, (int64_t)v->a, (int64_t)v->b, (int64_t)v->step, v->log ? HPT_LOG : 0);
    rc = hpt__check_at(r->c, r->p, r->path, rc);
out:
    return rc;
}

// sigma 0: every draw is the same number.
static int fixed_normal(const numbers *v, const reader *r) {
    int rc = 0;
    const bool rounded = r->law->form & ROUNDED;
    double value = r->law->form & LOG ? exp(v->a) : v->a;
    if (rounded) value = rint(value / v->q) * v->q;
    if (!isfinite(value)) return hpt__check_fail(r->c, r->p, r->path, "mu is out of range; make it smaller");
    char text[HPT__DOUBLE_MAX];
    hpt__double_repr(text, value);
    if (rounded && v->whole_q && whole(value)) text[strcspn(text, ".")] = '\0';
    HPT_TRY(hpt__check_warn(r->c, v->b_node, r->path, "sigma is 0, so this is the constant %s; write `value:`", text));
    rc = hpt__check_at(r->c, r->p, r->path, hpt_space_add_constant(r->space, r->name, text));
out:
    return rc;
}

static int normal_or_beta(const numbers *v, const reader *r) {
    const bool normal = r->law->kind == NORMAL;
    const double q = r->law->form & ROUNDED ? v->q : 0;
    const unsigned flags = (r->law->form & LOG ? HPT_LOG : 0) | (q > 0 && v->whole_q ? HPT_WHOLE : 0);
    int rc = 0;
    if (normal && v->b < 0) return hpt__check_fail(r->c, v->b_node, r->path, "sigma must not be negative");
    if (normal && v->b == 0) return fixed_normal(v, r);
    if (!normal && (v->a <= 0 || v->b <= 0))
        return hpt__check_fail(r->c, v->a <= 0 ? v->a_node : v->b_node, r->path,
                               "%s must be greater than 0 (W&B's schema lets 0 pass and then draws no number)",
                               v->a <= 0 ? "a" : "b");
    if (!normal && q >= 0.5)
        HPT_TRY(hpt__check_warn(r->c, v->q_node ? v->q_node : r->p, r->path,
                                "values lie between 0 and 1, and with q = %g only few of them are left; make q smaller",
                                q));
    rc = normal ? hpt_space_add_normal(r->space, r->name, v->a, v->b, q, flags)
                : hpt_space_add_beta(r->space, r->name, v->a, v->b, q, flags);
    rc = hpt__check_at(r->c, r->p, r->path, rc);
out:
    return rc;
}

int hpt__check_parameter(const hpt__check *c, hpt_space *space, const hpt__json *p, const char *name,
                         const char *path) {
    int rc = 0;
    numbers v = {0};
    reader r = {.c = c, .space = space, .p = p, .name = name, .path = path};
    HPT_TRY(find_law(&r));
    HPT_TRY(check_fit(&r));
    if (r.law->kind == CONSTANT) return constant(&r);
    if (r.law->kind == CATEGORICAL) return categorical(&r);
    HPT_TRY(read_numbers(&v, &r));
    if (in_grid_sweep(&r) && r.law->form & ROUNDED && (r.law->form & LOG || r.law->kind != UNIFORM))
        HPT_TRY(hpt__check_warn(c, p, path, "W&B's grid refuses %s; this one takes each of its rounded values once",
                                r.law->name));
    if (r.law->kind == UNIFORM) return uniform(&v, &r);
    if (r.law->kind == INTEGER) return integer(&v, &r);
    return normal_or_beta(&v, &r);
out:
    return rc;
}
