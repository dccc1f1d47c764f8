// SPDX-License-Identifier: Apache-2.0
// opt.c: command line options from one table per command: parsing, help and messages come from it.
//
// getopt_long would parse, but knows neither the help text nor the types, and stops at unknown options without
// naming the near ones.
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int cli_exit_code(int status) {
    switch (status) {
    case HPT_E_ARG:
    case HPT_E_PARSE:
    case HPT_E_UNSUPPORTED:
        return CLI_USAGE;
    case HPT_E_NOT_FOUND:
        return CLI_NOT_FOUND;
    case HPT_E_BUSY:
        return CLI_BUSY;
    case HPT_E_INCOMPATIBLE:
        return CLI_INCOMPATIBLE;
    default:
        return status < 0 ? CLI_FAILED : CLI_OK;
    }
}

static void say(const char *message) {
    char safe[2000];
    cli_safe(safe, sizeof safe, message, INT_MAX);
    fflush(stdout);
    cli_progress_pause();
    fprintf(stderr, "hpt: %s\n", safe);
}

static void say_args(const char *fmt, va_list args) {
    char message[2000];
    vsnprintf(message, sizeof message, fmt, args);
    say(message);
}

int cli_fail(int status) {
    const char *message = hpt_last_error();
    say(message[0] ? message : hpt_status_string(status));
    return cli_exit_code(status);
}

int cli_usage(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say_args(fmt, args);
    va_end(args);
    return CLI_USAGE;
}

void cli_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say_args(fmt, args);
    va_end(args);
}

static const cli_command *command_of(const char *name) {
    for (const cli_command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

static void print_help(const char *command, const cli_option *options) {
    const cli_command *c = command_of(command);
    printf("usage: hpt %s %s\n%s\n", command, c ? c->synopsis : "", c ? c->summary : "");
    if (options[0].name[0]) printf("\noptions:\n");
    for (const cli_option *o = options; o->name[0]; o++) {
        char left[80];
        int n = o->letter ? snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name)
                          : snprintf(left, sizeof left, "    --%s", o->name);
        if (o->arg && n > 0 && (size_t)n < sizeof left) snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
        printf("  %-24s %s\n", left, o->help);
    }
    printf("  %-24s %s\n", "-h, --help", "this text");
}

static int store(const cli_option *o, const char *shown, const char *value) {
    char *end;
    errno = 0;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        return CLI_OK;
    case CLI_STRING:
        *(const char **)o->target = value;
        return CLI_OK;
    case CLI_INT: {
        long long v = strtoll(value, &end, 10);
        if (errno || end == value || *end) return cli_usage("%s needs a whole number, not '%s'", shown, value);
        *(int64_t *)o->target = v;
        return CLI_OK;
    }
    case CLI_NUMBER: {
        double v = strtod(value, &end);
        if (end == value || *end || !isfinite(v)) return cli_usage("%s needs a number, not '%s'", shown, value);
        *(double *)o->target = v;
        return CLI_OK;
    }
    case CLI_LIST: {
        cli_list *list = o->target;
        if (list->n == CLI_LIST_MAX) return cli_usage("%s may be given at most %d times", shown, CLI_LIST_MAX);
        list->items[list->n++] = value;
        return CLI_OK;
    }
    }
    return CLI_USAGE;
}

static const cli_option *find_long(const cli_option *options, const char *name, size_t len) {
    for (const cli_option *o = options; o->name[0]; o++)
        if (strlen(o->name) == len && !memcmp(o->name, name, len)) return o;
    return NULL;
}

static int unknown(const char *command, const cli_option *options, const char *arg) {
    size_t len = strcspn(arg, "=");
    const char *near = NULL;
    size_t best = 3; // "--" and at least two letters in common
    for (const cli_option *o = options; o->name[0]; o++) {
        size_t k = 0;
        while (k + 2 < len && o->name[k] && o->name[k] == arg[k + 2]) k++;
        if (k + 2 > best) near = o->name, best = k + 2;
    }
    if (near) return cli_usage("%s: unknown option %.*s; did you mean --%s?", command, (int)len, arg, near);
    return cli_usage("%s: unknown option %.*s; `hpt %s --help` lists them", command, (int)len, arg, command);
}

int cli_parse(const char *command, const cli_option *options, int argc, char **argv, const char **positional,
              int *n_positional, bool *done) {
    *n_positional = 0;
    *done = false;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        // A lone minus and negative numbers are arguments, not options.
        if (only_positional || a[0] != '-' || !a[1] || (a[1] >= '0' && a[1] <= '9') || a[1] == '.') {
            positional[(*n_positional)++] = a;
            continue;
        }
        if (!strcmp(a, "--")) {
            only_positional = true;
            continue;
        }
        if (!strcmp(a, "-h") || !strcmp(a, "--help")) {
            print_help(command, options);
            *done = true;
            return CLI_OK;
        }
        const cli_option *o = NULL;
        const char *value = NULL;
        char shown[80];
        if (a[1] == '-') {
            size_t len = strcspn(a + 2, "=");
            o = find_long(options, a + 2, len);
            if (!o) return unknown(command, options, a);
            if (a[2 + len] == '=') value = a + 2 + len + 1;
            snprintf(shown, sizeof shown, "--%s", o->name);
        } else {
            for (const cli_option *c = options; c->name[0] && !o; c++)
                if (c->letter == a[1]) o = c;
            if (!o) return unknown(command, options, a);
            if (a[2]) value = a[2] == '=' ? a + 3 : a + 2;
            snprintf(shown, sizeof shown, "-%c", o->letter);
        }
        if (o->kind == CLI_FLAG && value) return cli_usage("%s: %s takes no value", command, shown);
        if (o->kind != CLI_FLAG && !value) {
            if (i + 1 >= argc) return cli_usage("%s: %s needs a value (%s)", command, shown, o->arg);
            value = argv[++i];
        }
        int code = store(o, shown, value);
        if (code != CLI_OK) return code;
    }
    return CLI_OK;
}

int cli_no_arguments(const char *command, const char *const *positional, int n) {
    if (n == 0) return CLI_OK;
    return cli_usage("%s takes no argument '%s'; `hpt %s --help` lists its options", command, positional[0], command);
}
