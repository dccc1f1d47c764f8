// SPDX-License-Identifier: Apache-2.0
// table.c: rows of text as an aligned table, CSV (RFC 4180) or a JSON array of objects. Memory grows with the rows;
// when it runs out, the program says so and ends (a program may, the library may not).
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cli_table {
    const char *const *columns;
    int n_columns;
    char **cells;
    size_t n_cells, cap;
};

static void *must(void *p) {
    if (p) return p;
    fputs("hpt: out of memory\n", stderr);
    exit(CLI_FAILED);
}

cli_table *cli_table_new(const char *const *columns, int n) {
    cli_table *t = must(calloc(1, sizeof *t));
    t->columns = columns;
    t->n_columns = n;
    return t;
}

void cli_table_add(cli_table *t, const char *cell) {
    if (t->n_cells == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = must(realloc(t->cells, t->cap * sizeof *t->cells));
    }
    t->cells[t->n_cells++] = must(strdup(cell ? cell : ""));
}

void cli_table_addf(cli_table *t, const char *fmt, ...) {
    char cell[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(cell, sizeof cell, fmt, args);
    va_end(args);
    cli_table_add(t, cell);
}

int cli_format_parse(cli_format *out, const char *text) {
    *out = CLI_TABLE;
    if (!text || !strcmp(text, "table")) return CLI_OK;
    if (!strcmp(text, "json"))
        *out = CLI_JSON;
    else if (!strcmp(text, "csv"))
        *out = CLI_CSV;
    else
        return cli_usage("--format is one of table, json, csv; not '%s'", text);
    return CLI_OK;
}

static const char *header(const cli_table *t, int c, bool *right) {
    *right = t->columns[c][0] == '>';
    return t->columns[c] + *right;
}

static void put_csv(FILE *f, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (const char *p = text; *p; p++) {
        if (*p == '"') fputc('"', f);
        fputc(*p, f);
    }
    fputc('"', f);
}

static void print_aligned(cli_table *t, FILE *f) {
    size_t rows = t->n_cells / (size_t)t->n_columns;
    int *width = must(calloc((size_t)t->n_columns, sizeof *width));
    for (int c = 0; c < t->n_columns; c++) {
        bool right;
        width[c] = cli_columns(header(t, c, &right));
        for (size_t r = 0; r < rows; r++) {
            int w = cli_columns(t->cells[r * (size_t)t->n_columns + (size_t)c]);
            if (w > width[c]) width[c] = w;
        }
    }
    for (size_t line = 0; line <= rows; line++) {
        int blanks = 0; // owed: written only before more text, so that no line ends in blanks
        if (line == 0) fputs(cli_color(f, "bold"), f);
        for (int c = 0; c < t->n_columns; c++) {
            bool right;
            const char *text = header(t, c, &right);
            if (line) text = t->cells[(line - 1) * (size_t)t->n_columns + (size_t)c];
            int pad = width[c] - cli_columns(text);
            if (right) blanks += pad;
            if (text[0]) {
                fprintf(f, "%*s%s", blanks, "", text);
                blanks = 0;
            }
            blanks += 2 + (right ? 0 : pad);
        }
        if (line == 0) fputs(cli_color(f, "off"), f);
        fputc('\n', f);
    }
    free(width);
}

static bool json_number(const char *s) {
    if (!s[0]) return false;
    char *end;
    strtod(s, &end);
    return *end == 0 && strpbrk(s, "xXnNiI") == NULL && s[0] != '+' && s[0] != '.';
}

void cli_table_print(cli_table *t, cli_format format, FILE *f) {
    size_t n = (size_t)t->n_columns, rows = t->n_cells / n;
    bool right;
    if (format == CLI_TABLE) {
        print_aligned(t, f);
    } else if (format == CLI_CSV) {
        for (size_t line = 0; line <= rows; line++) {
            for (size_t c = 0; c < n; c++) {
                if (c) fputc(',', f);
                put_csv(f, line ? t->cells[(line - 1) * n + c] : header(t, (int)c, &right));
            }
            fputs("\r\n", f);
        }
    } else {
        fputs("[", f);
        for (size_t r = 0; r < rows; r++) {
            fputs(r ? ",\n {" : "\n {", f);
            for (size_t c = 0; c < n; c++) {
                if (c) fputs(", ", f);
                cli_put_json_string(f, header(t, (int)c, &right));
                fputs(": ", f);
                const char *cell = t->cells[r * n + c];
                if (!right)
                    cli_put_json_string(f, cell);
                else
                    fputs(json_number(cell) ? cell : "null", f);
            }
            fputs("}", f);
        }
        fputs(rows ? "\n]\n" : "]\n", f);
    }
    for (size_t i = 0; i < t->n_cells; i++) free(t->cells[i]);
    free(t->cells);
    free(t);
}
