// SPDX-License-Identifier: Apache-2.0
// sweep_command.c: the command of a trial: macros and Python's way of writing arguments, as W&B's agent has them.
//
// First ${envvar:NAME} is replaced inside any element; NAME is capitals, digits and _; an unset one gives its name. Then an
// element that begins with "${" and ends with "}" is a macro; one that is unknown vanishes, with a warning when the file
// is loaded. Values are written as Python's str(): True, None, [1, 2], {'lr': 0.001}, 1e-05. Order of arguments: the
// file's. Facts: wandb/wandb, wandb/wandb_agent.py and wandb/sdk/launch/sweeps/utils.py.
#include "../base/alloc.h"
#include "../space/space_impl.h"
#include "sweep_check.h"

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

static const char ENVVAR[] = "${envvar:";

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
    return n > 2 && strncmp(element, "${", 2) == 0 && element[n - 1] == '}' ? MACRO_UNKNOWN : MACRO_NONE;
}

// Length of the ${envvar:NAME} that text begins with, and of its NAME; 0: it begins with none.
static size_t envvar_at(const char *text, size_t *n_name) {
    if (strncmp(text, ENVVAR, sizeof ENVVAR - 1) != 0) return 0;
    *n_name = strspn(text + sizeof ENVVAR - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return text[sizeof ENVVAR - 1 + *n_name] == '}' ? sizeof ENVVAR + *n_name : 0;
}

// The text with every ${envvar:NAME} replaced; what comes in is not looked at again.
static void replace_envvars(hpt__str *out, const char *text) {
    hpt__str_clear(out);
    while (*text) {
        size_t n_name;
        const size_t n = envvar_at(text, &n_name);
        if (n == 0) {
            hpt__str_addc(out, *text++);
            continue;
        }
        hpt__str name = HPT__STR_INIT;
        hpt__str_addn(&name, text + sizeof ENVVAR - 1, n_name);
        const char *value = getenv(hpt__str_text(&name));
        hpt__str_add(out, value ? value : hpt__str_text(&name));
        out->failed = out->failed || name.failed;
        hpt__str_fini(&name);
        text += n;
    }
}

static bool holds_envvar(const char *text) {
    size_t n_name;
    for (const char *p = strstr(text, ENVVAR); p; p = strstr(p + 1, ENVVAR))
        if (envvar_at(p, &n_name)) return true;
    return false;
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
    if (node && node->kind != HPT__JSON_ARRAY)
        return hpt__check_fail(c, node, "command", "needs a list, e.g. [./train, \"${args}\"]");
    if (node && node->a.n == 0) node = NULL; // W&B's default stands for an empty list too
    const int64_t n = node ? node->a.n : 4;
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
        if (holds_envvar(command[i])) continue; // known only when a trial starts
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

static void expand(words *w, const hpt_sweep *s, const char *element, const hpt__json *config,
                   const char *config_path) {
    const macro m = macro_of(element);
    switch (m) {
    case MACRO_NONE:
        add_word(w, element);
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
    hpt__str element = HPT__STR_INIT;
    hpt__arena arena;
    hpt__arena_init(&arena);
    const hpt__json *config = hpt__sweep_config(&arena, sweep, point);
    if (!config) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < sweep->n_command; i++) {
        replace_envvars(&element, sweep->command[i]);
        HPT_TRY(hpt__str_status(&element));
        const macro m = macro_of(hpt__str_text(&element));
        HPT_FAIL_IF(!config_path && m == MACRO_ARGS_JSON_FILE, HPT_E_ARG,
                    "%s: command: ${args_json_file} needs a file, and none was written for this trial", sweep->path);
        HPT_FAIL_IF(!sweep->program && m == MACRO_PROGRAM, HPT_E_ARG, // it came out of an environment variable
                    "%s: command: ${program} has no value; write `program: train.py`", sweep->path);
        expand(&w, sweep, hpt__str_text(&element), config, config_path);
    }
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
    hpt__str_fini(&element);
    hpt__str_fini(&w.text);
    hpt__arena_fini(&arena);
    return rc;
}
