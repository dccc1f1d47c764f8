// SPDX-License-Identifier: Apache-2.0
// sweep_params.c: the `parameters` block into a space: names, nesting, conditions. sweep_law.c reads one parameter.
//
// Nested blocks are flattened with "."; `hpt:when` names a parent by its full name, or by its own name if the parent is
// in the same block. On a nested block, `hpt:when` holds for every parameter inside, besides their own. Conditions are
// added after all parameters, so a child may stand before its parent.
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <string.h>

enum { NAME_LEN_MAX = 512, DEPTH_MAX = 16 };

static const char *const KEYS[] = {"distribution", "value",    "values",  "min", "max",           "q",
                                   "mu",           "sigma",    "a",       "b",   "probabilities", "parameters",
                                   "hpt:when",     "hpt:step", "hpt:log", NULL};

typedef struct when { // a condition, kept until all parameters are known
    const char *child, *prefix, *path;
    const hpt__json *node;
    struct when *next;
} when;

typedef struct scope { // a nested block with hpt:when, around the parameters being read
    const char *prefix, *path;
    const hpt__json *node;
    const struct scope *outer;
} scope;

typedef struct reader {
    hpt__check c;
    hpt_space *space;
    when *first, **last;
} reader;

static bool name_ok(const char *name) {
    if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || *name == '_')) return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("_.-", *p)))
            return false;
    return true;
}

static int keep_condition(reader *r, const char *child, const char *prefix, const char *path, const hpt__json *node) {
    when *w = hpt__arena_alloc(r->c.arena, sizeof *w);
    if (!w) return hpt__fail_memory();
    *w = (when){child, prefix, path, node, NULL};
    *r->last = w;
    r->last = &w->next;
    return HPT_OK;
}

static int block(reader *r, const hpt__json *parameters, const char *prefix, const char *path, int depth,
                 const scope *around);

static int nested(reader *r, const hpt__json *p, const char *name, const char *prefix, const char *path, int depth,
                  const scope *around) {
    static const char *const keys[] = {"parameters", "hpt:when", NULL};
    const char *inside = hpt__check_path(&r->c, path, "parameters"), *where = hpt__check_path(&r->c, path, "hpt:when");
    const hpt__json *condition = hpt__json_get(p, "hpt:when");
    const scope own = {prefix, where, condition, around};
    if (!inside || !where) return hpt__fail_memory();
    for (int64_t i = 0; i < p->o.n; i++)
        if (strcmp(p->o.keys[i], keys[0]) != 0 && strcmp(p->o.keys[i], keys[1]) != 0)
            return hpt__check_fail(&r->c, p->o.values[i], path,
                                   "a nested block has only the keys 'parameters' and 'hpt:when'; move '%.60s' inside",
                                   p->o.keys[i]);
    return block(r, hpt__json_get(p, "parameters"), name, inside, depth + 1, condition ? &own : around);
}

static int parameter(reader *r, const hpt__json *p, const char *name, const char *prefix, const char *path, int depth,
                     const scope *around) {
    int rc = 0;
    HPT_TRY(hpt__check_map(&r->c, p, path));
    HPT_TRY(hpt__check_keys(&r->c, p, path, KEYS));
    if (hpt__json_get(p, "parameters")) return nested(r, p, name, prefix, path, depth, around);
    HPT_TRY(hpt__check_parameter(&r->c, r->space, p, name, path));
    for (const scope *s = around; s; s = s->outer) HPT_TRY(keep_condition(r, name, s->prefix, s->path, s->node));
    const hpt__json *condition = hpt__json_get(p, "hpt:when");
    if (condition) {
        const char *where = hpt__check_path(&r->c, path, "hpt:when");
        if (!where) return hpt__fail_memory();
        HPT_TRY(keep_condition(r, name, prefix, where, condition));
    }
    rc = 0;
out:
    return rc;
}

static int block(reader *r, const hpt__json *parameters, const char *prefix, const char *path, int depth,
                 const scope *around) {
    int rc = 0;
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
        HPT_TRY(parameter(r, parameters->o.values[i], name, prefix, where, depth, around));
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
    return hpt__check_at(&r->c, values, where, hpt_space_add_condition(r->space, w->child, parent, texts, n));
}

int hpt__sweep_space(hpt_space **out, const hpt__json *parameters, const char *file, hpt_sweep *sweep) {
    int rc = 0;
    hpt__arena own;
    reader r = {.c = {.file = file, .sweep = sweep}};
    hpt__arena_init(&own);
    r.c.arena = sweep ? &sweep->arena : &own;
    r.last = &r.first;
    HPT_TRY(hpt_space_create(&r.space));
    HPT_TRY(block(&r, parameters, "", "parameters", 0, NULL));
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
