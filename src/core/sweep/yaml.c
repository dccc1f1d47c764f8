// SPDX-License-Identifier: Apache-2.0
// yaml.c: a YAML document as a tree of hpt__json nodes with line numbers. libyaml gives events; this composes them.
//
// Anchors and aliases share nodes; `<<` merges mappings as PyYAML does (keys written out win over merged ones, earlier
// merged mappings over later ones). A key given twice in one mapping is an error that names both lines, for the file's
// author meant one of the two. Tags other than the core ones are refused. Depth and node count are bounded, so that a
// file of nested aliases cannot blow up.
// Ownership: everything is in the arena. Threads: any, with an arena each.
#include "../base/error.h"
#include "sweep_impl.h"

#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 64, NODES_MAX = 1000000, ANCHORS_MAX = 1000 };

typedef struct anchor {
    const char *name;
    hpt__json *node;
} anchor;

typedef struct composer {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    hpt__arena *arena;
    const char *file;
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
    if (p->error == YAML_READER_ERROR)
        return hpt__fail(HPT_E_PARSE, "%s: byte %zu: %s; save the file as UTF-8 text", c->file, p->problem_offset,
                         problem);
    const int line = (int)p->problem_mark.line + 1;
    if (strstr(problem, "cannot start any token") || strstr(problem, "tab character"))
        return hpt__fail(HPT_E_PARSE, "%s:%d: %s; indent with blanks, not tabs, and quote text with special characters",
                         c->file, line, problem);
    return hpt__fail(HPT_E_PARSE, "%s:%d: %s%s%s", c->file, line, p->context ? p->context : "", p->context ? ": " : "",
                     problem);
}

static int next(composer *c) {
    if (c->have_event) yaml_event_delete(&c->event);
    c->have_event = false;
    if (!yaml_parser_parse(&c->parser, &c->event)) return syntax_error(c);
    c->have_event = true;
    return HPT_OK;
}

static int compose(hpt__json **out, composer *c, int depth);

static int remember(composer *c, const yaml_char_t *name, hpt__json *node) {
    if (!name) return HPT_OK;
    if (c->n_anchors == ANCHORS_MAX) return hpt__fail(HPT_E_PARSE, "%s: more than %d anchors", c->file, ANCHORS_MAX);
    const char *copy = hpt__arena_strndup(c->arena, (const char *)name, strlen((const char *)name));
    if (!copy) return hpt__fail_memory();
    c->anchors[c->n_anchors++] = (anchor){copy, node};
    return HPT_OK;
}

static int check_tag(const composer *c, const yaml_char_t *tag, int line) {
    static const char prefix[] = "tag:yaml.org,2002:";
    if (!tag || strcmp((const char *)tag, "!") == 0 || strncmp((const char *)tag, prefix, sizeof prefix - 1) == 0)
        return HPT_OK;
    return hpt__fail(HPT_E_PARSE, "%s:%d: the tag %s is not supported; write plain YAML", c->file, line,
                     (const char *)tag);
}

static int scalar(hpt__json **out, composer *c, int line) {
    const char *text = (const char *)c->event.data.scalar.value;
    const size_t n = c->event.data.scalar.length;
    const char *tag = (const char *)c->event.data.scalar.tag;
    int rc = check_tag(c, c->event.data.scalar.tag, line);
    if (rc < 0) return rc;
    const bool string =
        c->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE || (tag && strcmp(tag, "tag:yaml.org,2002:str") == 0);
    *out = string ? hpt__json_new_string(c->arena, text, n) : hpt__yaml_scalar(c->arena, text, n);
    return *out ? HPT_OK : hpt__fail_memory();
}

static int sequence(hpt__json **out, composer *c, int depth) {
    int rc = 0;
    hpt__json *list = *out;
    for (;;) {
        hpt__json *item = NULL;
        HPT_TRY(next(c));
        if (c->event.type == YAML_SEQUENCE_END_EVENT) break;
        HPT_TRY(compose(&item, c, depth + 1));
        HPT_TRY(hpt__json_append(c->arena, list, item));
    }
    rc = 0;
out:
    return rc;
}

// Adds the pairs of `from` whose keys `to` lacks.
static int merge_one(composer *c, hpt__json *to, const hpt__json *from, int line) {
    int rc = 0;
    HPT_FAIL_IF(from->kind != HPT__JSON_OBJECT, HPT_E_PARSE, "%s:%d: <<: needs a mapping or a list of mappings",
                c->file, line);
    for (int64_t i = 0; i < from->o.n; i++)
        if (!hpt__json_get(to, from->o.keys[i]))
            HPT_TRY(hpt__json_set(c->arena, to, from->o.keys[i], from->o.values[i]));
    rc = 0;
out:
    return rc;
}

static int mapping(hpt__json **out, composer *c, int depth) {
    int rc = 0;
    hpt__json *map = *out, *merged = NULL;
    int merged_line = 0;
    for (;;) {
        hpt__json *key = NULL, *value = NULL;
        HPT_TRY(next(c));
        if (c->event.type == YAML_MAPPING_END_EVENT) break;
        const int line = line_of(&c->event.start_mark);
        const bool plain = c->event.type == YAML_SCALAR_EVENT && c->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        HPT_TRY(compose(&key, c, depth + 1));
        hpt__str text = HPT__STR_INIT;
        if (key->kind == HPT__JSON_ARRAY || key->kind == HPT__JSON_OBJECT)
            HPT_FAIL_IF(true, HPT_E_PARSE, "%s:%d: a key must be a single word or text", c->file, line);
        hpt__json_pystr(&text, key);
        const char *name = hpt__arena_strndup(c->arena, hpt__str_text(&text), text.len);
        rc = hpt__str_status(&text);
        hpt__str_fini(&text);
        if (rc < 0 || !name) return rc < 0 ? rc : hpt__fail_memory();
        HPT_TRY(next(c));
        const bool alias = c->event.type == YAML_ALIAS_EVENT;
        HPT_TRY(compose(&value, c, depth + 1));
        if (!alias) value->line = line; // messages about a value name the line of its key
        if (plain && strcmp(name, "<<") == 0) {
            merged = value;
            merged_line = line;
            continue;
        }
        const hpt__json *before = hpt__json_get(map, name);
        HPT_FAIL_IF(before, HPT_E_PARSE,
                    "%s:%d: the key '%s' stands here again (its first value is in line %d); keep one", c->file, line,
                    name, before->line);
        HPT_TRY(hpt__json_set(c->arena, map, name, value));
    }
    if (merged && merged->kind == HPT__JSON_ARRAY) {
        for (int64_t i = 0; i < merged->a.n; i++) HPT_TRY(merge_one(c, map, merged->a.items[i], merged_line));
    } else if (merged) {
        HPT_TRY(merge_one(c, map, merged, merged_line));
    }
    rc = 0;
out:
    return rc;
}

// The node that begins with the present event.
static int compose(hpt__json **out, composer *c, int depth) {
    int rc = 0;
    const int line = line_of(&c->event.start_mark);
    HPT_FAIL_IF(depth > DEPTH_MAX, HPT_E_PARSE, "%s:%d: nested more than %d levels deep", c->file, line, DEPTH_MAX);
    HPT_FAIL_IF(++c->n_nodes > NODES_MAX, HPT_E_PARSE, "%s:%d: more than %d values", c->file, line, NODES_MAX);
    switch (c->event.type) {
    case YAML_ALIAS_EVENT: {
        const char *name = (const char *)c->event.data.alias.anchor;
        for (int64_t i = c->n_anchors - 1; i >= 0; i--) {
            if (strcmp(c->anchors[i].name, name) != 0) continue;
            *out = c->anchors[i].node;
            return HPT_OK;
        }
        return hpt__fail(HPT_E_PARSE, "%s:%d: *%s: there is no anchor &%s before it", c->file, line, name, name);
    }
    case YAML_SCALAR_EVENT:
        HPT_TRY(scalar(out, c, line));
        (*out)->line = line;
        HPT_TRY(remember(c, c->event.data.scalar.anchor, *out));
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
        HPT_TRY(remember(c, (const yaml_char_t *)copy, *out));
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
