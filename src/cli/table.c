// SPDX-License-Identifier: Apache-2.0
// table.c: rows of text as an aligned table, CSV (RFC 4180) or a JSON array of objects. All cells lie in one growing
// text (a table of two million cells is nothing unusual); when memory runs out, the program says so and ends (a program
// may, the library may not). Aligned tables are for people: control characters are replaced and cells of more than
// CELL_COLUMNS columns cut; CSV and JSON are exact.
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_COLUMNS = 120, CELL_MAX = 4 * CELL_COLUMNS + 8, FLUSH_BYTES = 64 * 1024 };

struct cli_table {
    const char *const *columns;
    int n_columns;
    char *text; // all cells one after the other, NUL after each
    size_t len, cap;
    size_t *cells; // where each begins
    size_t n_cells, cap_cells;
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

static const char *cell_at(const cli_table *t, size_t i) {
    return t->text + t->cells[i];
}

void cli_table_add(cli_table *t, const char *cell) {
    const size_t n = cell ? strlen(cell) : 0;
    if (t->n_cells == t->cap_cells) {
        t->cap_cells = t->cap_cells ? 2 * t->cap_cells : 64;
        t->cells = must(realloc(t->cells, t->cap_cells * sizeof *t->cells));
    }
    if (t->cap - t->len <= n) {
        t->cap = 2 * t->cap + n + 1024;
        t->text = must(realloc(t->text, t->cap));
    }
    t->cells[t->n_cells++] = t->len;
    if (n) memcpy(t->text + t->len, cell, n);
    t->text[t->len + n] = 0;
    t->len += n + 1;
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

// A cell as a terminal may see it. buffer: CELL_MAX bytes, used only for text with other than plain ASCII in it.
static const char *shown(char *buffer, const char *cell) {
    if (cli_is_plain(cell)) return cell;
    cli_safe(buffer, CELL_MAX, cell, CELL_COLUMNS);
    return buffer;
}

// A line is put together here and written at once: stdio's cost for a short string is that of many characters.
typedef struct line_buffer {
    char *text;
    size_t len, cap;
} line_buffer;

static void put(line_buffer *b, const char *text, size_t n, int blanks) {
    const size_t need = b->len + n + (size_t)blanks;
    if (need > b->cap || !b->text) {
        b->cap = 2 * need + 256;
        b->text = must(realloc(b->text, b->cap));
    }
    memset(b->text + b->len, ' ', (size_t)blanks);
    memcpy(b->text + b->len + blanks, text, n);
    b->len = need;
}

static void print_aligned(cli_table *t, FILE *f) {
    const size_t rows = t->n_cells / (size_t)t->n_columns;
    char buffer[CELL_MAX];
    line_buffer line = {NULL, 0, 0};
    int *width = must(calloc((size_t)t->n_columns, sizeof *width));
    bool *right = must(calloc((size_t)t->n_columns, sizeof *right));
    for (int c = 0; c < t->n_columns; c++) width[c] = cli_columns(shown(buffer, header(t, c, &right[c])));
    for (size_t i = 0, c = 0; i < rows * (size_t)t->n_columns; i++) {
        const char *cell = cell_at(t, i);
        const int w = cli_is_plain(cell) ? (int)strlen(cell) : cli_columns(shown(buffer, cell));
        if (w > width[c]) width[c] = w;
        if (++c == (size_t)t->n_columns) c = 0;
    }
    for (size_t r = 0; r <= rows; r++) {
        int blanks = 0; // owed: written only before more text, so that no line ends in blanks
        if (r == 0) put(&line, cli_color(f, "bold"), strlen(cli_color(f, "bold")), 0);
        for (int c = 0; c < t->n_columns; c++) {
            bool unused;
            const char *cell = r ? cell_at(t, (r - 1) * (size_t)t->n_columns + (size_t)c) : header(t, c, &unused);
            const char *text = shown(buffer, cell);
            const size_t n = strlen(text);
            const int pad = width[c] - (text == cell ? (int)n : cli_columns(text));
            if (right[c]) blanks += pad;
            if (n) {
                put(&line, text, n, blanks);
                blanks = 0;
            }
            blanks += 2 + (right[c] ? 0 : pad);
        }
        if (r == 0) put(&line, cli_color(f, "off"), strlen(cli_color(f, "off")), 0);
        put(&line, "\n", 1, 0);
        if (line.len < FLUSH_BYTES && r < rows) continue;
        fwrite(line.text, 1, line.len, f);
        line.len = 0;
    }
    free(line.text);
    free(width);
    free(right);
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
                put_csv(f, line ? cell_at(t, (line - 1) * n + c) : header(t, (int)c, &right));
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
                const char *cell = cell_at(t, r * n + c);
                if (!right)
                    cli_put_json_string(f, cell);
                else
                    fputs(json_number(cell) ? cell : "null", f);
            }
            fputs("}", f);
        }
        fputs(rows ? "\n]\n" : "]\n", f);
    }
    free(t->text);
    free(t->cells);
    free(t);
}
