// SPDX-License-Identifier: Apache-2.0
// sweep_read.c: messages that point into the file, and typed reads of the tree. See sweep_check.h.
#include "../base/num.h"
#include "sweep_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void locate(char *out, size_t size, const hpt__check *c, const hpt__json *node, const char *path) {
    size_t n = 0;
    out[0] = '\0';
    if (c->file) {
        const int line = node && node->line > 0 ? node->line : 1;
        const int k = snprintf(out, size, "%s:%d: ", c->file, line);
        n = k < 0 ? 0 : (size_t)k < size ? (size_t)k : size - 1;
    }
    if (path[0]) (void)snprintf(out + n, size - n, "%s: ", path);
}

int hpt__check_fail(const hpt__check *c, const hpt__json *node, const char *path, const char *fmt, ...) {
    char where[300], text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    locate(where, sizeof where, c, node, path);
    return hpt__fail(HPT_E_PARSE, "%s%s", where, text);
}

int hpt__check_unsupported(const hpt__check *c, const hpt__json *node, const char *path, const char *remedy) {
    char where[300];
    locate(where, sizeof where, c, node, path);
    return hpt__fail(HPT_E_UNSUPPORTED, "%sthis version does not support it; %s", where, remedy);
}

int hpt__check_at(const hpt__check *c, const hpt__json *node, const char *path, int rc) {
    if (rc >= 0 || rc == HPT_E_MEMORY) return rc;
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    return hpt__check_fail(c, node, path, "%s", message);
}

int hpt__check_warn(const hpt__check *c, const hpt__json *node, const char *path, const char *fmt, ...) {
    char where[300], text[400];
    hpt_sweep *s = c->sweep;
    if (!s) return HPT_OK;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    locate(where, sizeof where, c, node, path);
    const size_t n = strlen(where) + strlen(text) + 1;
    char *line = hpt__arena_alloc(c->arena, n);
    if (!line) return hpt__fail_memory();
    (void)snprintf(line, n, "%s%s", where, text);
    for (char *p = line; *p; p++) // text of the file may hold them; a remark is one line
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    if ((s->n_warnings & (s->n_warnings - 1)) == 0) { // full at 0, 1, 2, 4, ...: doubles, for a file may earn thousands
        const size_t cap = s->n_warnings ? (size_t)s->n_warnings * 2 : 1;
        const char **warnings = hpt__arena_alloc(c->arena, cap * sizeof *warnings);
        if (!warnings) return hpt__fail_memory();
        if (s->n_warnings) memcpy(warnings, s->warnings, (size_t)s->n_warnings * sizeof *warnings);
        s->warnings = warnings;
    }
    s->warnings[s->n_warnings++] = line;
    return HPT_OK;
}

const char *hpt__check_path(const hpt__check *c, const char *path, const char *key) {
    const size_t n = strlen(path) + strlen(key) + 2;
    char *out = hpt__arena_alloc(c->arena, n);
    if (out) (void)snprintf(out, n, "%s%s%s", path, path[0] ? "." : "", key);
    return out;
}

int hpt__check_keys(const hpt__check *c, const hpt__json *map, const char *path, const char *const *keys) {
    int64_t n = 0;
    while (keys[n]) n++;
    for (int64_t i = 0; i < map->o.n; i++) {
        const char *key = map->o.keys[i];
        bool known = false;
        for (int64_t k = 0; k < n; k++) known = known || strcmp(keys[k], key) == 0;
        if (known) continue;
        const char *full = hpt__check_path(c, path, key);
        if (!full) return hpt__fail_memory();
        const char *near = hpt__nearest(key, keys, n);
        if (near) return hpt__check_fail(c, map->o.values[i], full, "unknown key; did you mean '%s'?", near);
        hpt__str list = HPT__STR_INIT;
        for (int64_t k = 0; k < n; k++) hpt__str_addf(&list, "%s%s", k ? ", " : "", keys[k]);
        int rc = hpt__check_fail(c, map->o.values[i], full, "unknown key; the keys here are %s", hpt__str_text(&list));
        hpt__str_fini(&list);
        return rc;
    }
    return HPT_OK;
}

int hpt__check_map(const hpt__check *c, const hpt__json *node, const char *path) {
    if (node->kind == HPT__JSON_OBJECT) return HPT_OK;
    return hpt__check_fail(c, node, path, "needs a mapping (key: value lines), not a %s",
                           hpt__json_kind_name(node->kind));
}

int hpt__check_text(const char **out, const hpt__check *c, const hpt__json *node, const char *path) {
    if (node->kind == HPT__JSON_STRING && node->s.len && strlen(node->s.text) == node->s.len) {
        *out = node->s.text;
        return HPT_OK;
    }
    if (node->kind == HPT__JSON_STRING)
        return hpt__check_fail(c, node, path, "is empty or holds a NUL byte; write some text");
    return hpt__check_fail(c, node, path, "needs text, not a %s; put it in quotes", hpt__json_kind_name(node->kind));
}

void hpt__check_spell(char out[HPT__SPELLING_MAX], double v) {
    char repr[HPT__DOUBLE_MAX];
    hpt__double_repr(repr, v);
    const char *e = strchr(repr, 'e');
    if (e && !strchr(repr, '.'))
        (void)snprintf(out, HPT__SPELLING_MAX, "%.*s.0%s", (int)(e - repr), repr, e);
    else
        (void)snprintf(out, HPT__SPELLING_MAX, "%s", repr);
}

int hpt__check_number(double *out, const hpt__check *c, const hpt__json *node, const char *path) {
    if (hpt__json_number(out, node)) {
        if (isfinite(*out)) return HPT_OK;
        return hpt__check_fail(c, node, path, "must be finite");
    }
    char spelling[HPT__SPELLING_MAX];
    if (node->kind == HPT__JSON_STRING && hpt__parse_double(out, node->s.text, node->s.len, false) && isfinite(*out)) {
        hpt__check_spell(spelling, *out);
        return hpt__check_warn(
            c, node, path,
            "'%s' is text by YAML 1.1 (a float needs a point and a signed exponent); read as %s, write it so",
            node->s.text, spelling);
    }
    return hpt__check_fail(c, node, path, "needs a number, not a %s", hpt__json_kind_name(node->kind));
}

int hpt__check_int(int64_t *out, const hpt__check *c, const hpt__json *node, const char *path, int64_t low,
                   int64_t high) {
    if (!hpt__json_integer(out, node) || node->kind == HPT__JSON_BOOL)
        return hpt__check_fail(c, node, path, "needs a whole number, not a %s", hpt__json_kind_name(node->kind));
    if (*out >= low && *out <= high) return HPT_OK;
    return hpt__check_fail(c, node, path, "is %lld; it must be in [%lld, %lld]", (long long)*out, (long long)low,
                           (long long)high);
}

int hpt__check_bool(bool *out, const hpt__check *c, const hpt__json *node, const char *path) {
    if (node->kind != HPT__JSON_BOOL)
        return hpt__check_fail(c, node, path, "needs true or false, not a %s", hpt__json_kind_name(node->kind));
    *out = node->b;
    return HPT_OK;
}
