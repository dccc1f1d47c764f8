// SPDX-License-Identifier: Apache-2.0
// yaml.c: a YAML document as a tree of hpt__json nodes with line numbers. libyaml gives events; this composes them.
//
// Keys are text as written (`on:` names "on"). Anchors and aliases share nodes; `<<` merges mappings as PyYAML does (keys
// written out win over merged ones, earlier merged mappings over later ones). A key given twice in one mapping is an
// error that names both lines, for the file's author meant one of the two. Tags other than the core ones are refused.
// Depth and node count are bounded with every alias written out, so that no walker of the tree can blow up on a file of
// nested aliases.
// Ownership: everything is in the arena. Threads: any, with an arena each.
#include "../base/error.h"
#include "../base/map.h"
#include "../base/num.h"
#include "sweep_impl.h"

#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 64, NODES_MAX = 1000000, ANCHORS_MAX = 1000 };

typedef struct anchor {
    const char *name;
    hpt__json *node;
    int64_t n_nodes; // of the node with its aliases written out
    int height;
} anchor;

typedef struct composer {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    hpt__arena *arena;
    const char *file, *text;
    int height; // levels of the node composed last
    anchor anchors[ANCHORS_MAX];
    int64_t n_anchors, n_nodes;
} composer;

static int line_of(const yaml_mark_t *mark) {
    return (int)mark->line + 1;
}

static int syntax_error(composer *c) {
    const yaml_parser_t *p = &c->parser;
    if (p->error == YAML_MEMORY_ERROR) return hpt__fail_memory();
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR) {
        int at = 1;
        for (size_t i = 0; i < p->problem_offset; i++) at += c->text[i] == '\n';
        return hpt__fail(HPT_E_PARSE, "%s:%d: %s (byte %zu); save the file as UTF-8 text", c->file, at, problem,
                         p->problem_offset);
    }
    const int line = (int)p->problem_mark.line + 1;
    if (strstr(problem, "cannot start any token") || strstr(problem, "tab character"))
        return hpt__fail(HPT_E_PARSE, "%s:%d: %s; indent with blanks, not tabs, and quote text with special characters",
                         c->file, line, problem);
    if (!p->context)
        return hpt__fail(HPT_E_PARSE, "%s:%d: %s; check quotes, brackets and indentation", c->file, line, problem);
    return hpt__fail(HPT_E_PARSE, "%s:%d: %s that begins in line %d: %s; check quotes, brackets and indentation",
                     c->file, line, p->context, line_of(&p->context_mark), problem);
}

static int next(composer *c) {
    if (c->have_event) yaml_event_delete(&c->event);
    c->have_event = false;
    if (!yaml_parser_parse(&c->parser, &c->event)) return syntax_error(c);
    c->have_event = true;
    return HPT_OK;
}

static int compose(hpt__json **out, composer *c, int depth);

// n_nodes: the composer's count before the node.
static int remember(composer *c, const yaml_char_t *name, hpt__json *node, int64_t n_nodes) {
    if (!name) return HPT_OK;
    if (c->n_anchors == ANCHORS_MAX) return hpt__fail(HPT_E_PARSE, "%s: more than %d anchors", c->file, ANCHORS_MAX);
    const char *copy = hpt__arena_strndup(c->arena, (const char *)name, strlen((const char *)name));
    if (!copy) return hpt__fail_memory();
    c->anchors[c->n_anchors++] = (anchor){copy, node, c->n_nodes - n_nodes, c->height};
    return HPT_OK;
}

static int check_tag(const composer *c, const yaml_char_t *tag, int line) {
    static const char prefix[] = "tag:yaml.org,2002:";
    static const char *const known[] = {"bool", "int", "float", "null", "str", "seq", "map"};
    if (!tag || strcmp((const char *)tag, "!") == 0) return HPT_OK;
    const bool core = strncmp((const char *)tag, prefix, sizeof prefix - 1) == 0;
    const char *name = (const char *)tag + (core ? sizeof prefix - 1 : 0);
    for (size_t i = 0; core && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0) return HPT_OK;
    return hpt__fail(HPT_E_PARSE, "%s:%d: the tag %s%s is not supported; write plain YAML", c->file, line,
                     core ? "!!" : "", name);
}

// What the text is when a tag names its kind; NULL if it is not that. Python's float() also takes 1 and 1e-3.
static hpt__json *tagged(composer *c, const char *kind, hpt__json *v) {
    double number;
    if (strcmp(kind, "float") == 0) {
        const bool words = v->kind == HPT__JSON_STRING && hpt__parse_double(&number, v->s.text, v->s.len, true);
        return words || hpt__json_number(&number, v) ? hpt__json_new_float(c->arena, number) : NULL;
    }
    const hpt__json_kind wanted = strcmp(kind, "bool") == 0  ? HPT__JSON_BOOL
                                  : strcmp(kind, "int") == 0 ? HPT__JSON_INT
                                                             : HPT__JSON_NULL;
    return v->kind == wanted ? v : NULL;
}

static int scalar(hpt__json **out, composer *c, int line) {
    const char *text = (const char *)c->event.data.scalar.value;
    const size_t n = c->event.data.scalar.length;
    const char *tag = (const char *)c->event.data.scalar.tag;
    int rc = check_tag(c, c->event.data.scalar.tag, line);
    if (rc < 0) return rc;
    const char *kind = tag && strcmp(tag, "!") != 0 ? strrchr(tag, ':') + 1 : NULL;
    const bool string = kind ? strcmp(kind, "str") == 0 : c->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = string ? hpt__json_new_string(c->arena, text, n) : hpt__yaml_scalar(c->arena, text, n);
    if (!*out) return hpt__fail_memory();
    if (!kind || string) return HPT_OK;
    *out = tagged(c, kind, *out);
    if (*out) return HPT_OK;
    return hpt__fail(HPT_E_PARSE, "%s:%d: '%.60s' is no %s, as the tag before it says; remove the tag", c->file, line,
                     text, kind);
}

static int sequence(hpt__json **out, composer *c, int depth) {
    int rc = 0, height = 0;
    hpt__json *list = *out;
    for (;;) {
        hpt__json *item = NULL;
        HPT_TRY(next(c));
        if (c->event.type == YAML_SEQUENCE_END_EVENT) break;
        HPT_TRY(compose(&item, c, depth + 1));
        if (c->height > height) height = c->height;
        HPT_TRY(hpt__json_append(c->arena, list, item));
    }
    c->height = height;
    rc = 0;
out:
    return rc;
}

// A mapping under construction. Large ones get an index, so that reading stays linear.
enum { INDEX_FROM = 16 };
typedef struct table {
    hpt__json *map;
    hpt__map index; // key -> place, once there are INDEX_FROM keys
} table;

static int64_t table_find(const table *t, const char *key) {
    int64_t at = -1;
    if (t->map->o.n >= INDEX_FROM) return hpt__map_get(&at, &t->index, key, strlen(key)) ? at : -1;
    for (int64_t i = 0; i < t->map->o.n && at < 0; i++)
        if (strcmp(t->map->o.keys[i], key) == 0) at = i;
    return at;
}

// Adds a pair, or replaces the value of a key that is there. key: in the arena.
static int table_put(composer *c, table *t, const char *key, hpt__json *value) {
    int rc = 0;
    hpt__json *map = t->map;
    const int64_t at = table_find(t, key);
    if (at >= 0) {
        map->o.values[at] = value;
        return HPT_OK;
    }
    if (map->o.n == map->o.cap) {
        const int64_t cap = map->o.cap ? map->o.cap * 2 : 4;
        const char **keys = hpt__arena_alloc(c->arena, (size_t)cap * sizeof *keys);
        hpt__json **values = hpt__arena_alloc(c->arena, (size_t)cap * sizeof *values);
        if (!keys || !values) return hpt__fail_memory();
        if (map->o.n) {
            memcpy(keys, map->o.keys, (size_t)map->o.n * sizeof *keys);
            memcpy(values, map->o.values, (size_t)map->o.n * sizeof *values);
        }
        map->o.keys = keys;
        map->o.values = values;
        map->o.cap = cap;
    }
    const int64_t n = map->o.n++;
    map->o.keys[n] = key;
    map->o.values[n] = value;
    for (int64_t i = n + 1 == INDEX_FROM ? 0 : n; n + 1 >= INDEX_FROM && i <= n; i++)
        HPT_TRY(hpt__map_set(&t->index, map->o.keys[i], strlen(map->o.keys[i]), i));
out:
    return rc;
}

static int merge_one(composer *c, table *to, const hpt__json *from, int line) {
    int rc = 0;
    HPT_FAIL_IF(from->kind != HPT__JSON_OBJECT, HPT_E_PARSE, "%s:%d: <<: needs a mapping or a list of mappings",
                c->file, line);
    for (int64_t i = 0; i < from->o.n; i++) HPT_TRY(table_put(c, to, from->o.keys[i], from->o.values[i]));
    rc = 0;
out:
    return rc;
}

// The key that begins with the present event; *plain: written without quotes.
static int read_key(const char **out, bool *plain, composer *c, int depth, int line) {
    int rc = 0;
    hpt__json *key = NULL;
    const bool text = c->event.type == YAML_SCALAR_EVENT;
    *plain = text && c->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (text) {
        *out = hpt__arena_strndup(c->arena, (const char *)c->event.data.scalar.value, c->event.data.scalar.length);
        HPT_FAIL_IF(*out && strlen(*out) != c->event.data.scalar.length, HPT_E_PARSE,
                    "%s:%d: the key '%s' holds a NUL character; remove it", c->file, line, *out);
    }
    HPT_TRY(compose(&key, c, depth + 1));
    HPT_FAIL_IF(key->kind == HPT__JSON_ARRAY || key->kind == HPT__JSON_OBJECT, HPT_E_PARSE,
                "%s:%d: a key must be a single word or text", c->file, line);
    if (!text) { // an alias
        hpt__str words = HPT__STR_INIT;
        hpt__json_pystr(&words, key);
        *out = hpt__str_status(&words) < 0 ? NULL : hpt__arena_strndup(c->arena, hpt__str_text(&words), words.len);
        hpt__str_fini(&words);
    }
    if (!*out) return hpt__fail_memory();
    HPT_FAIL_IF(*plain && !**out, HPT_E_PARSE, "%s:%d: a key is empty; write its name before the ':'", c->file, line);
    rc = 0;
out:
    return rc;
}

// Pairs that `<<` brings come first, as in PyYAML: of a list, the first mapping wins; of several `<<`, the last.
static int merge(composer *c, table *merged, const hpt__json *value, int line) {
    int rc = 0;
    if (value->kind != HPT__JSON_ARRAY) return merge_one(c, merged, value, line);
    for (int64_t i = value->a.n - 1; i >= 0; i--) HPT_TRY(merge_one(c, merged, value->a.items[i], line));
    rc = 0;
out:
    return rc;
}

static int mapping(hpt__json **out, composer *c, int depth) {
    int rc = 0, height = 0;
    table own = {.map = *out}, merged = {.map = NULL};
    hpt__map_init(&own.index);
    hpt__map_init(&merged.index);
    for (;;) {
        const char *key = NULL;
        bool plain = false;
        hpt__json *value = NULL;
        HPT_TRY(next(c));
        if (c->event.type == YAML_MAPPING_END_EVENT) break;
        const int line = line_of(&c->event.start_mark);
        HPT_TRY(read_key(&key, &plain, c, depth, line));
        HPT_TRY(next(c));
        HPT_TRY(compose(&value, c, depth + 1));
        if (c->height > height) height = c->height;
        value->line = line; // messages about a value name the line of its key
        if (plain && strcmp(key, "<<") == 0) {
            if (!merged.map && !(merged.map = hpt__json_new(c->arena, HPT__JSON_OBJECT))) HPT_TRY(hpt__fail_memory());
            HPT_TRY(merge(c, &merged, value, line));
            continue;
        }
        const int64_t before = table_find(&own, key);
        HPT_FAIL_IF(before >= 0, HPT_E_PARSE,
                    "%s:%d: the key '%s' stands here again (its first value is in line %d); keep one", c->file, line,
                    key, own.map->o.values[before]->line);
        HPT_TRY(table_put(c, &own, key, value));
    }
    if (merged.map) {
        for (int64_t i = 0; i < own.map->o.n; i++)
            HPT_TRY(table_put(c, &merged, own.map->o.keys[i], own.map->o.values[i]));
        own.map->o = merged.map->o;
    }
    c->height = height;
    rc = 0;
out:
    hpt__map_fini(&own.index);
    hpt__map_fini(&merged.index);
    return rc;
}

// The node that begins with the present event.
static int compose(hpt__json **out, composer *c, int depth) {
    int rc = 0;
    const int line = line_of(&c->event.start_mark);
    const int64_t n_before = c->n_nodes;
    HPT_FAIL_IF(depth > DEPTH_MAX, HPT_E_PARSE, "%s:%d: nested more than %d levels deep", c->file, line, DEPTH_MAX);
    HPT_FAIL_IF(++c->n_nodes > NODES_MAX, HPT_E_PARSE, "%s:%d: more than %d values", c->file, line, NODES_MAX);
    switch (c->event.type) {
    case YAML_ALIAS_EVENT: {
        const char *name = (const char *)c->event.data.alias.anchor;
        for (int64_t i = c->n_anchors - 1; i >= 0; i--) {
            if (strcmp(c->anchors[i].name, name) != 0) continue;
            const anchor *a = &c->anchors[i];
            c->n_nodes += a->n_nodes;
            c->height = a->height;
            HPT_FAIL_IF(c->n_nodes > NODES_MAX, HPT_E_PARSE,
                        "%s:%d: more than %d values with aliases written out; use fewer of them", c->file, line,
                        NODES_MAX);
            HPT_FAIL_IF(depth + a->height > DEPTH_MAX + 1, HPT_E_PARSE, "%s:%d: nested more than %d levels deep",
                        c->file, line, DEPTH_MAX);
            *out = hpt__arena_alloc(c->arena, sizeof **out); // shares what is below; its line is where the alias stands
            if (!*out) return hpt__fail_memory();
            **out = *a->node;
            (*out)->line = line;
            return HPT_OK;
        }
        return hpt__fail(HPT_E_PARSE, "%s:%d: *%s: there is no anchor &%s before it", c->file, line, name, name);
    }
    case YAML_SCALAR_EVENT:
        HPT_TRY(scalar(out, c, line));
        (*out)->line = line;
        c->height = 1;
        HPT_TRY(remember(c, c->event.data.scalar.anchor, *out, n_before));
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
        const bool list = c->event.type == YAML_SEQUENCE_START_EVENT;
        HPT_TRY(check_tag(c, list ? c->event.data.sequence_start.tag : c->event.data.mapping_start.tag, line));
        *out = hpt__json_new(c->arena, list ? HPT__JSON_ARRAY : HPT__JSON_OBJECT);
        if (!*out) return hpt__fail_memory();
        (*out)->line = line;
        // The anchor is known only after the node, so an alias inside it cannot make a cycle.
        const yaml_char_t *name = list ? c->event.data.sequence_start.anchor : c->event.data.mapping_start.anchor;
        const char *copy = name ? hpt__arena_strndup(c->arena, (const char *)name, strlen((const char *)name)) : NULL;
        if (name && !copy) return hpt__fail_memory();
        HPT_TRY(list ? sequence(out, c, depth) : mapping(out, c, depth));
        c->height++;
        HPT_TRY(remember(c, (const yaml_char_t *)copy, *out, n_before));
        break;
    }
    default:
        HPT_FAIL_IF(true, HPT_E_PARSE, "%s:%d: a value was expected", c->file, line);
    }
    rc = 0;
out:
    return rc;
}

int hpt__yaml_parse(hpt__json **out, hpt__arena *arena, const char *text, size_t n, const char *name) {
    int rc = 0;
    composer *c = hpt__arena_alloc0(arena, sizeof *c);
    if (!c) return hpt__fail_memory();
    if (!yaml_parser_initialize(&c->parser)) return hpt__fail_memory();
    yaml_parser_set_encoding(&c->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&c->parser, (const unsigned char *)text, n);
    c->arena = arena;
    c->file = name;
    c->text = text;
    HPT_TRY(next(c)); // stream start
    HPT_TRY(next(c));
    HPT_FAIL_IF(c->event.type == YAML_STREAM_END_EVENT, HPT_E_PARSE,
                "%s:1: the file is empty; it needs at least `method` and `parameters`", name);
    HPT_TRY(next(c)); // document start
    HPT_TRY(compose(out, c, 0));
    HPT_TRY(next(c)); // document end
    HPT_TRY(next(c));
    HPT_FAIL_IF(c->event.type != YAML_STREAM_END_EVENT, HPT_E_PARSE,
                "%s:%d: a second document begins here; a sweep file holds one", name, line_of(&c->event.start_mark));
    rc = 0;
out:
    if (c->have_event) yaml_event_delete(&c->event);
    yaml_parser_delete(&c->parser);
    return rc;
}
