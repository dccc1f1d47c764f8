// SPDX-License-Identifier: Apache-2.0
// sweep_command.c: the command of a trial: macros and Python's way of writing arguments, as W&B's agent has them.
//
// A macro is a whole element of the list; one that is unknown vanishes (W&B), with a warning when the file is loaded.
// ${envvar:NAME} is replaced inside any element; NAME is capitals, digits and _; an unset one gives its name (W&B).
// Values are written as Python's str(): True, None, [1, 2], {'lr': 0.001}, 1e-05; a float that is whole is written as an
// integer, for W&B's configuration passes through JSON on its server. Order of arguments: the file's.
#include "../base/alloc.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum macro {
    MACRO_NONE, // not a macro: text
    MACRO_ENV,
    MACRO_INTERPRETER,
    MACRO_PROGRAM,
    MACRO_ARGS,
    MACRO_ARGS_NO_HYPHENS,
    MACRO_ARGS_NO_BOOLEAN_FLAGS,
    MACRO_ARGS_NO_EQUALS,
    MACRO_ARGS_APPEND_HYDRA,
    MACRO_ARGS_OVERRIDE_HYDRA,
    MACRO_ARGS_JSON,
    MACRO_ARGS_JSON_FILE,
    MACRO_UNKNOWN,
} macro;

static macro macro_of(const char *element) {
    static const struct {
        const char *text;
        macro m;
    } known[] = {{"${env}", MACRO_ENV},
                 {"${interpreter}", MACRO_INTERPRETER},
                 {"${program}", MACRO_PROGRAM},
                 {"${args}", MACRO_ARGS},
                 {"${args_no_hyphens}", MACRO_ARGS_NO_HYPHENS},
                 {"${args_no_boolean_flags}", MACRO_ARGS_NO_BOOLEAN_FLAGS},
                 {"${args_no_equals}", MACRO_ARGS_NO_EQUALS},
                 {"${args_append_hydra}", MACRO_ARGS_APPEND_HYDRA},
                 {"${args_override_hydra}", MACRO_ARGS_OVERRIDE_HYDRA},
                 {"${args_json}", MACRO_ARGS_JSON},
                 {"${args_json_file}", MACRO_ARGS_JSON_FILE}};
    const size_t n = strlen(element);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].text, element) == 0) return known[i].m;
    const bool whole = n > 3 && strncmp(element, "${", 2) == 0 && strchr(element, '}') == element + n - 1;
    return whole && strncmp(element, "${envvar:", 9) != 0 ? MACRO_UNKNOWN : MACRO_NONE;
}

// Whether a known macro is a part of the text.
static bool holds_macro(const char *text) {
    for (const char *p = strstr(text, "${"); p; p = strstr(p + 2, "${")) {
        const char *end = strchr(p, '}');
        char part[40];
        const size_t n = end ? (size_t)(end - p) + 1 : sizeof part;
        if (n >= sizeof part) continue;
        memcpy(part, p, n);
        part[n] = '\0';
        const macro m = macro_of(part);
        if (m != MACRO_NONE && m != MACRO_UNKNOWN) return true;
    }
    return false;
}

int hpt__check_command(const hpt__check *c, const hpt__json *node) {
    static const char *const standard[] = {"${env}", "${interpreter}", "${program}", "${args}"};
    int rc = 0;
    hpt_sweep *s = c->sweep;
    const int64_t n = node ? node->kind == HPT__JSON_ARRAY ? node->a.n : 0 : 4;
    if (n == 0) return hpt__check_fail(c, node, "command", "needs a list, e.g. [./train, \"${args}\"]");
    const char **command = hpt__arena_alloc(c->arena, (size_t)n * sizeof *command);
    if (!command) return hpt__fail_memory();
    bool needs_program = false;
    for (int64_t i = 0; i < n; i++) {
        const hpt__json *item = node ? node->a.items[i] : NULL;
        if (!item) {
            command[i] = standard[i];
        } else if (item->kind == HPT__JSON_STRING && strlen(item->s.text) == item->s.len) {
            command[i] = item->s.text;
        } else if (item->kind == HPT__JSON_INT || item->kind == HPT__JSON_FLOAT || item->kind == HPT__JSON_BOOL) {
            hpt__str text = HPT__STR_INIT; // `[sleep, 1]`: numbers are words here
            hpt__json_pystr(&text, item);
            command[i] = hpt__arena_strndup(c->arena, hpt__str_text(&text), text.len);
            hpt__str_fini(&text);
            if (!command[i]) return hpt__fail_memory();
        } else {
            return hpt__check_fail(c, item, "command", "every element must be text, not a %s; put it in quotes",
                                   hpt__json_kind_name(item->kind));
        }
        const macro m = macro_of(command[i]);
        needs_program = needs_program || m == MACRO_PROGRAM;
        if (m == MACRO_UNKNOWN)
            HPT_TRY(hpt__check_warn(c, item, "command", "'%s' is no macro and expands to nothing", command[i]));
        if (m == MACRO_NONE && holds_macro(command[i]))
            HPT_TRY(hpt__check_warn(
                c, item, "command",
                "the macro in '%s' stays as it is; a macro is replaced only as an element of its own", command[i]));
        if (item && item->kind == HPT__JSON_BOOL)
            HPT_TRY(
                hpt__check_warn(c, item, "command",
                                "yes, no, on, off, true and false are booleans by YAML 1.1, passed as %s; quote it to "
                                "pass the word",
                                command[i]));
    }
    if (needs_program && !s->program)
        return hpt__check_fail(c, node, node ? "command" : "program",
                               "is missing; name the training program with `program: train.py`, or write a `command`");
    s->command = command;
    s->n_command = n;
    rc = 0;
out:
    return rc;
}

// ---- the configuration of one trial

static bool integral(double v) {
    return v == rint(v) && fabs(v) < 1e15;
}

// Floats that are whole become integers, at any depth. v is a copy of our own.
static void make_integral(hpt__json *v) {
    if (v->kind == HPT__JSON_FLOAT && integral(v->f)) {
        const int64_t i = (int64_t)v->f;
        v->kind = HPT__JSON_INT;
        v->i = i;
    } else if (v->kind == HPT__JSON_ARRAY) {
        for (int64_t i = 0; i < v->a.n; i++) make_integral(v->a.items[i]);
    } else if (v->kind == HPT__JSON_OBJECT) {
        for (int64_t i = 0; i < v->o.n; i++) make_integral(v->o.values[i]);
    }
}

// JSON tree of a parameter's value as the trial gets it.
static hpt__json *value_node(hpt__arena *arena, const hpt__param *p, double v) {
    if (p->kind == HPT__PARAM_CATEGORICAL) {
        hpt__json *choice = hpt__json_dup(arena, p->choices[(int64_t)v]);
        if (choice) make_integral(choice);
        return choice;
    }
    if (p->kind == HPT__PARAM_INT || integral(v)) return hpt__json_new_int(arena, (int64_t)v);
    return hpt__json_new_float(arena, v);
}

// The active parameters below a block, nested as the file nests them. NULL when out of memory.
static hpt__json *config_of(hpt__arena *arena, const hpt_sweep *s, const hpt__json *block, const char *prefix,
                            const double *point) {
    hpt__json *map = hpt__json_new(arena, HPT__JSON_OBJECT);
    for (int64_t i = 0; map && i < block->o.n; i++) {
        const char *key = block->o.keys[i];
        const size_t n = strlen(prefix) + strlen(key) + 2;
        char *name = hpt__arena_alloc(arena, n);
        if (!name) return NULL;
        strcpy(name, prefix);
        if (prefix[0]) strcat(name, ".");
        strcat(name, key);
        const hpt__json *nested = hpt__json_get(block->o.values[i], "parameters");
        hpt__json *value = NULL;
        if (nested) {
            value = config_of(arena, s, nested, name, point);
            if (value && value->o.n == 0) continue; // every member is inactive
        } else {
            const int64_t k = hpt__space_find(s->space, name);
            if (k < 0 || isnan(point[k])) continue;
            value = value_node(arena, &s->space->params[k], point[k]);
        }
        if (!value || hpt__json_set(arena, map, key, value) < 0) return NULL;
    }
    return map;
}

void hpt__sweep_config_json(hpt__str *out, const hpt_sweep *sweep, const double *point) {
    hpt__arena arena;
    hpt__arena_init(&arena);
    const hpt__json *config = config_of(&arena, sweep, sweep->parameters, "", point);
    if (config)
        hpt__json_dumps(out, config);
    else
        out->failed = true;
    hpt__arena_fini(&arena);
}

// ---- expansion: all words in one string, NUL after each, then pointers into it

typedef struct words {
    hpt__str text;
    int64_t n;
} words;

static void end_word(words *w) {
    hpt__str_addc(&w->text, '\0');
    w->n++;
}

static void add_word(words *w, const char *text) {
    hpt__str_add(&w->text, text);
    end_word(w);
}

static void add_args(words *w, const hpt__json *config, macro m) {
    for (int64_t i = 0; i < config->o.n; i++) {
        const char *key = config->o.keys[i];
        const hpt__json *v = config->o.values[i];
        if (m == MACRO_ARGS_NO_BOOLEAN_FLAGS && v->kind == HPT__JSON_BOOL) {
            if (!v->b) continue;
            hpt__str_addf(&w->text, "--%s", key);
            end_word(w);
            continue;
        }
        const char *before = m == MACRO_ARGS_NO_HYPHENS       ? ""
                             : m == MACRO_ARGS_APPEND_HYDRA   ? "+"
                             : m == MACRO_ARGS_OVERRIDE_HYDRA ? "++"
                                                              : "--";
        hpt__str_addf(&w->text, "%s%s", before, key);
        if (m == MACRO_ARGS_NO_EQUALS)
            end_word(w);
        else
            hpt__str_addc(&w->text, '=');
        hpt__json_pystr(&w->text, v);
        end_word(w);
    }
}

// Text with ${envvar:NAME} replaced.
static void add_text(words *w, const char *text) {
    static const char open[] = "${envvar:";
    for (const char *p = text; *p;) {
        size_t n = 0;
        if (strncmp(p, open, sizeof open - 1) == 0) {
            const char *name = p + sizeof open - 1;
            while ((name[n] >= 'A' && name[n] <= 'Z') || (name[n] >= '0' && name[n] <= '9') || name[n] == '_') n++;
            if (name[n] == '}') {
                hpt__str key = HPT__STR_INIT;
                hpt__str_addn(&key, name, n);
                const char *value = getenv(hpt__str_text(&key));
                hpt__str_add(&w->text, value ? value : hpt__str_text(&key));
                w->text.failed = w->text.failed || key.failed;
                hpt__str_fini(&key);
                p = name + n + 1;
                continue;
            }
        }
        hpt__str_addc(&w->text, *p++);
    }
    end_word(w);
}

static void expand(words *w, const hpt_sweep *s, const char *element, const hpt__json *config,
                   const char *config_path) {
    const macro m = macro_of(element);
    switch (m) {
    case MACRO_NONE:
        add_text(w, element);
        break;
    case MACRO_ENV:
        add_word(w, "/usr/bin/env");
        break;
    case MACRO_INTERPRETER:
        add_word(w, "python");
        break;
    case MACRO_PROGRAM:
        add_word(w, s->program);
        break;
    case MACRO_ARGS_JSON:
        hpt__json_dumps(&w->text, config);
        end_word(w);
        break;
    case MACRO_ARGS_JSON_FILE:
        add_word(w, config_path);
        break;
    case MACRO_UNKNOWN:
        break;
    default:
        add_args(w, config, m);
        break;
    }
}

int hpt__sweep_command(char ***argv, const hpt_sweep *sweep, const double *point, const char *config_path) {
    int rc = 0;
    words w = {0};
    hpt__arena arena;
    hpt__arena_init(&arena);
    const hpt__json *config = config_of(&arena, sweep, sweep->parameters, "", point);
    if (!config) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < sweep->n_command; i++)
        HPT_FAIL_IF(!config_path && macro_of(sweep->command[i]) == MACRO_ARGS_JSON_FILE, HPT_E_ARG,
                    "%s: command: ${args_json_file} needs a file, and none was written for this trial", sweep->path);
    for (int64_t i = 0; i < sweep->n_command; i++) expand(&w, sweep, sweep->command[i], config, config_path);
    HPT_TRY(hpt__str_status(&w.text));
    HPT_FAIL_IF(w.n == 0, HPT_E_ARG, "%s: command: every element expanded to nothing; write a program", sweep->path);
    char **block = hpt__malloc((size_t)(w.n + 1) * sizeof *block + w.text.len);
    if (!block) {
        rc = hpt__fail_memory();
        goto out;
    }
    char *text = (char *)(block + w.n + 1);
    memcpy(text, w.text.data, w.text.len);
    for (int64_t i = 0; i < w.n; i++) {
        block[i] = text;
        text += strlen(text) + 1;
    }
    block[w.n] = NULL;
    *argv = block;
    rc = 0;
out:
    hpt__str_fini(&w.text);
    hpt__arena_fini(&arena);
    return rc;
}
