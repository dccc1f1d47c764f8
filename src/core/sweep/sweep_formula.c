// SPDX-License-Identifier: Apache-2.0
// sweep_formula.c: an amount that is computed from a trial's parameters, e.g. gpu_memory: "{batch_size} * 40MiB + 2GiB".
//
//   sum    = term (('+' | '-') term)*          term = factor (('*' | '/') factor)*
//   factor = NUMBER | NUMBER UNIT | '{' parameter '}' | ('min' | 'max') '(' sum ',' sum ')' | '(' sum ')' | '-' factor
//
// A unit is one of sizes (KiB, MiB, GiB, TiB, KB, ..., B), so that an amount of bytes reads like one. A parameter has to
// be a number in each trial: a float, an integer, or a choice among numbers. One that a trial does not have (its
// condition does not hold) counts as 0. Everything is double arithmetic; a size is rounded up to a whole byte.
//
// The text is compiled once to postfix form. Bounds over the space are the extremes over all corners of the parameters
// named, exact for a formula that is monotone in each; one that is not is checked again for each trial.
//
// Ownership: the sweep's arena. Threads: reading needs no lock. Cost: a value O(length), bounds O(2^named).
#include "sweep_formula.h"
#include "../base/num.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { OPS_MAX = 64, DEPTH_MAX = 16, NAMED_MAX = 8 };

typedef enum kind { NUMBER, PARAMETER, ADD, SUBTRACT, MULTIPLY, DIVIDE, LEAST, MOST, NEGATE } kind;

typedef struct op {
    kind kind;
    double number;
    int64_t parameter;
} op;

struct hpt__formula {
    const char *text;
    op ops[OPS_MAX];
    int64_t n;
    int64_t named[NAMED_MAX], n_named; // parameters, each once
};

typedef struct reader {
    const hpt__check *c;
    const hpt__json *node;
    const char *path, *p;
    const hpt_space *space;
    hpt__formula *f;
    int depth;
} reader;

static int bad(const reader *r, const char *what) {
    return hpt__check_fail(r->c, r->node, r->path,
                           "'%.100s': %s at '%.40s'; write e.g. \"{batch_size} * 40MiB + 2GiB\"", r->f->text, what,
                           *r->p ? r->p : "the end");
}

static void skip(reader *r) {
    while (*r->p == ' ' || *r->p == '\t') r->p++;
}

static int put(reader *r, op o) {
    if (r->f->n == OPS_MAX) return bad(r, "it is too long");
    r->f->ops[r->f->n++] = o;
    return 0;
}

static int read_sum(reader *r);

static int expect(reader *r, char c) {
    const char what[] = {'\'', c, '\'', ' ', 'i', 's', ' ', 'm', 'i', 's', 's', 'i', 'n', 'g', '\0'};
    skip(r);
    if (*r->p != c) return bad(r, what);
    r->p++;
    return 0;
}

static bool is_number(const hpt__param *p) {
    if (p->kind != HPT__PARAM_CATEGORICAL) return true;
    for (int64_t i = 0; i < p->n_choices; i++) {
        double v;
        if (!hpt__json_number(&v, p->choices[i])) return false;
    }
    return true;
}

static int read_parameter(reader *r) {
    const char *end = strchr(r->p, '}');
    if (!end) return bad(r, "'}' is missing");
    const char *name = hpt__arena_strndup(r->c->arena, r->p + 1, (size_t)(end - r->p - 1));
    if (!name) return hpt__fail_memory();
    const int64_t i = hpt__space_find(r->space, name);
    if (i < 0) {
        const char *names[256];
        int64_t n = r->space->d < 256 ? r->space->d : 256;
        for (int64_t k = 0; k < n; k++) names[k] = r->space->params[k].name;
        const char *near = hpt__nearest(name, names, n);
        return hpt__check_fail(r->c, r->node, r->path, "'%.100s': there is no parameter '%.60s'%s%s%s", r->f->text,
                               name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!is_number(&r->space->params[i]))
        return hpt__check_fail(r->c, r->node, r->path, "'%.100s': the choices of '%.60s' are not all numbers",
                               r->f->text, name);
    bool known = false;
    for (int64_t k = 0; k < r->f->n_named; k++) known = known || r->f->named[k] == i;
    if (!known && r->f->n_named == NAMED_MAX) return bad(r, "it names more than 8 parameters");
    if (!known) r->f->named[r->f->n_named++] = i;
    r->p = end + 1;
    return put(r, (op){.kind = PARAMETER, .parameter = i});
}

static int read_number(reader *r) {
    const char *p = r->p;
    double v, unit = 1;
    int64_t bytes;
    p += strspn(p, "0123456789.");
    if ((*p == 'e' || *p == 'E') && (isdigit((unsigned char)p[1]) || strchr("+-", p[1])))
        p += 2 + strspn(p + 2, "0123456789");
    if (!hpt__parse_double(&v, r->p, (size_t)(p - r->p), false)) return bad(r, "no number");
    const char *word = p;
    while (*word == ' ') word++;
    const size_t n = strspn(word, "KMGTPkmgtpiB");
    if (n > 0) {
        char one[16] = "1";
        if (n > 4) return bad(r, "no unit");
        memcpy(one + 1, word, n);
        if (n == 1 && *word == 'B')
            bytes = 1;
        else if (!hpt__parse_bytes(&bytes, one, n + 1))
            return bad(r, "no unit");
        unit = (double)bytes;
        p = word + n;
    }
    r->p = p;
    return put(r, (op){.kind = NUMBER, .number = v * unit});
}

static int read_factor(reader *r) {
    int rc = 0;
    skip(r);
    if (r->depth++ == DEPTH_MAX) return bad(r, "it is nested too deeply");
    if (*r->p == '{') {
        HPT_TRY(read_parameter(r));
    } else if (*r->p == '-') {
        r->p++;
        HPT_TRY(read_factor(r));
        HPT_TRY(put(r, (op){.kind = NEGATE}));
    } else if (*r->p == '(') {
        r->p++;
        HPT_TRY(read_sum(r));
        HPT_TRY(expect(r, ')'));
    } else if (strncmp(r->p, "min", 3) == 0 || strncmp(r->p, "max", 3) == 0) {
        const kind which = r->p[1] == 'i' ? LEAST : MOST;
        r->p += 3;
        HPT_TRY(expect(r, '('));
        HPT_TRY(read_sum(r));
        HPT_TRY(expect(r, ','));
        HPT_TRY(read_sum(r));
        HPT_TRY(expect(r, ')'));
        HPT_TRY(put(r, (op){.kind = which}));
    } else {
        HPT_TRY(read_number(r));
    }
    r->depth--;
    rc = 0;
out:
    return rc;
}

// Operators of one rank, from the left.
static int read_chain(reader *r, int (*part)(reader *), char a, kind of_a, char b, kind of_b) {
    int rc = part(r);
    while (rc >= 0) {
        skip(r);
        if (*r->p != a && *r->p != b) break;
        const kind k = *r->p++ == a ? of_a : of_b;
        rc = part(r);
        if (rc >= 0) rc = put(r, (op){.kind = k});
    }
    return rc;
}

static int read_term(reader *r) {
    return read_chain(r, read_factor, '*', MULTIPLY, '/', DIVIDE);
}

static int read_sum(reader *r) {
    return read_chain(r, read_term, '+', ADD, '-', SUBTRACT);
}

int hpt__formula_read(hpt__formula **out, const hpt__check *c, const hpt__json *node, const char *path,
                      const hpt_space *space) {
    hpt__formula *f = hpt__arena_alloc(c->arena, sizeof *f);
    if (!f) return hpt__fail_memory();
    *f = (hpt__formula){.text = hpt__json_string(node)};
    reader r = {.c = c, .node = node, .path = path, .p = f->text, .space = space, .f = f};
    int rc = read_sum(&r);
    if (rc < 0) return rc;
    skip(&r);
    if (*r.p) return bad(&r, "an operator is missing");
    *out = f;
    return 0;
}

// value: of each parameter by its index; NaN: not there.
static double evaluate(const hpt__formula *f, const hpt_space *space, const double *point) {
    double stack[OPS_MAX];
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const op *o = &f->ops[i];
        if (o->kind == NUMBER) {
            stack[n++] = o->number;
            continue;
        }
        if (o->kind == PARAMETER) {
            const hpt__param *p = &space->params[o->parameter];
            double v = point[o->parameter];
            if (!isnan(v) && p->kind == HPT__PARAM_CATEGORICAL && !hpt__json_number(&v, p->choices[(int64_t)v]))
                v = NAN;
            stack[n++] = isnan(v) ? 0 : v;
            continue;
        }
        if (o->kind == NEGATE) {
            stack[n - 1] = -stack[n - 1];
            continue;
        }
        const double b = stack[--n], a = stack[n - 1];
        stack[n - 1] = o->kind == ADD        ? a + b
                       : o->kind == SUBTRACT ? a - b
                       : o->kind == MULTIPLY ? a * b
                       : o->kind == DIVIDE   ? a / b
                       : o->kind == LEAST    ? (a < b ? a : b)
                                             : (a > b ? a : b);
    }
    return stack[0];
}

double hpt__formula_value(const hpt__formula *f, const hpt_space *space, const double *point) {
    return evaluate(f, space, point);
}

// Least and largest number of a parameter, in the point's form.
static void ends(double out[2], const hpt__param *p) {
    out[0] = p->low;
    out[1] = p->high;
    if (p->kind != HPT__PARAM_CATEGORICAL) return;
    double least = INFINITY, most = -INFINITY, v = 0;
    for (int64_t i = 0; i < p->n_choices; i++) {
        if (!hpt__json_number(&v, p->choices[i])) continue;
        if (v < least) least = v, out[0] = (double)i;
        if (v > most) most = v, out[1] = (double)i;
    }
}

int hpt__formula_bounds(double *low, double *high, const hpt__formula *f, const hpt_space *space, double *point) {
    double corners[NAMED_MAX][3];
    int64_t n[NAMED_MAX], at[NAMED_MAX] = {0};
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t k = 0; k < f->n_named; k++) {
        const hpt__param *p = &space->params[f->named[k]];
        ends(corners[k], p);
        corners[k][2] = NAN; // not there
        n[k] = p->n_conditions > 0 ? 3 : 2;
    }
    for (int64_t i = 0; i < space->d; i++) point[i] = NAN;
    for (;;) {
        for (int64_t k = 0; k < f->n_named; k++) point[f->named[k]] = corners[k][at[k]];
        const double v = evaluate(f, space, point);
        if (!isfinite(v)) return HPT_S_NOTHING;
        if (v < *low) *low = v;
        if (v > *high) *high = v;
        int64_t k = 0;
        while (k < f->n_named && ++at[k] == n[k]) at[k++] = 0;
        if (k == f->n_named) return 0;
    }
}

const char *hpt__formula_text(const hpt__formula *f) {
    return f->text;
}
