// SPDX-License-Identifier: Apache-2.0
// transfer_read_csv.c: a table of trials (RFC 4180) with the columns of Optuna's trials_dataframe, as our export and
// pandas' to_csv write it.
//
// Columns: number, value or values_<...>, datetime_start, datetime_complete (UTC), state, params_<name>,
// user_attrs_<key>, system_attrs_<key>; duration, the unnamed index and others are passed over. What a table does not say
// is guessed: a parameter whose cells are all integers is an integer in the range of its data, all numbers a float
// likewise, anything else a choice of the texts that occur (True, False, None and numbers as such); every objective is
// minimised. An empty cell is nothing.
// Ownership: the text of the file and its cells are held until the end. Threads: one file at a time. Cost: linear.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"
#include "../base/utf8.h"
#include "transfer_read.h"

#include <math.h>
#include <string.h>

typedef enum column_kind { SKIPPED, NUMBER, VALUE, START, COMPLETE, STATE, PARAM, USER_ATTR, SYSTEM_ATTR } column_kind;

typedef struct column {
    column_kind kind;
    const char *name; // of a parameter or attribute
    const char *distribution;
    bool categorical;
    hpt__map choices; // cell text -> index
} column;

typedef struct table {
    hpt__str text;  // the file; cells end with a NUL
    char **cells;   // n_rows x n_columns
    int64_t *lines; // of each row
    int64_t n_cells, cap_cells, n_rows, cap_lines, n_columns, k;
    column *columns;
    hpt__arena arena;
} table;

// ---- text into cells

// Names and choices go into databases, whose other readers take UTF-8 only.
static bool is_text(const char *text, size_t n) {
    uint32_t unused;
    for (size_t k; n > 0; text += k, n -= k) {
        k = hpt__utf8_decode(&unused, text, n);
        if (k == 0 || *text == 0) return false;
    }
    return true;
}

static int load_text(table *t, const char *path) {
    hpt__lines l;
    int rc = hpt__lines_open(&l, path);
    if (rc < 0) return rc;
    while ((rc = hpt__lines_next(&l)) == 1) {
        if (!is_text(hpt__str_text(&l.line), l.line.len)) {
            rc = hpt__fail(HPT_E_PARSE, "file '%s', line %lld: is not UTF-8 text; save it as that", path,
                           (long long)l.number);
            break;
        }
        hpt__str_addn(&t->text, hpt__str_text(&l.line), l.line.len);
        hpt__str_addc(&t->text, '\n');
    }
    hpt__lines_close(&l);
    return rc < 0 ? rc : hpt__str_status(&t->text);
}

// Takes one cell off *p, unquoted in place. *last: it ends its row. False: a quote is not closed.
static bool take_cell(char **cell, char **p, int64_t *line, bool *last) {
    char *from = *p, *to = from;
    *cell = from;
    if (*from == '"') {
        for (from++;; from++) {
            if (!*from) return false;
            if (*from == '\n') ++*line;
            if (*from == '"' && *++from != '"') break;
            *to++ = *from;
        }
    }
    while (*from && *from != ',' && *from != '\n') *to++ = *from++;
    if (*from == '\n' && to > *cell && to[-1] == '\r') to--;
    *last = *from != ',';
    if (*from == '\n') ++*line;
    *p = *from ? from + 1 : from;
    *to = 0;
    return true;
}

static int split(table *t, const char *path) {
    int rc = HPT_OK;
    char *p = t->text.data;
    int64_t line = 1;
    if (t->text.len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) p += 3;
    while (p && *p) {
        if (*p == '\n' || (*p == '\r' && p[1] == '\n')) { // an empty line
            p += *p == '\r' ? 2 : 1;
            line++;
            continue;
        }
        const int64_t row_line = line, before = t->n_cells;
        bool last = false;
        while (!last) {
            char *cell;
            HPT_FAIL_IF(!take_cell(&cell, &p, &line, &last), HPT_E_PARSE, "%s:%lld: a quote is not closed", path,
                        (long long)row_line);
            HPT_TRY(hpt__grow(&t->cells, &t->cap_cells, t->n_cells + 1, sizeof *t->cells));
            t->cells[t->n_cells++] = cell;
        }
        if (t->n_rows == 0) t->n_columns = t->n_cells;
        HPT_FAIL_IF(t->n_cells - before != t->n_columns, HPT_E_PARSE, "%s:%lld: %lld cells, the first line has %lld",
                    path, (long long)row_line, (long long)(t->n_cells - before), (long long)t->n_columns);
        HPT_TRY(hpt__grow(&t->lines, &t->cap_lines, t->n_rows + 1, sizeof *t->lines));
        t->lines[t->n_rows++] = row_line;
    }
    HPT_FAIL_IF(t->n_rows == 0, HPT_E_INCOMPATIBLE, "'%s' is empty; nothing can be imported", path);
out:
    return rc;
}

static const char *cell_at(const table *t, int64_t row, int64_t i) {
    return t->cells[row * t->n_columns + i];
}

// ---- columns

static column_kind kind_of(const char **name, const char *head) {
    static const struct {
        const char *head;
        column_kind kind;
        bool prefix;
    } known[] = {
        {"number", NUMBER, false},
        {"value", VALUE, false},
        {"values_", VALUE, true},
        {"value_", VALUE, true},
        {"state", STATE, false},
        {"datetime_start", START, false},
        {"datetime_complete", COMPLETE, false},
        {"params_", PARAM, true},
        {"user_attrs_", USER_ATTR, true},
        {"system_attrs_", SYSTEM_ATTR, true},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t n = strlen(known[i].head);
        if (strncmp(head, known[i].head, n) != 0 || (known[i].prefix ? !head[n] : head[n] != 0)) continue;
        *name = head + n;
        return known[i].kind;
    }
    return SKIPPED;
}

// A cell as a JSON value: Python's words, numbers, JSON lists and objects; else the text.
static int cell_json(hpt__json **out, hpt__arena *arena, const char *cell) {
    int64_t i;
    double v;
    const size_t n = strlen(cell);
    *out = NULL;
    if (strcmp(cell, "True") == 0 || strcmp(cell, "False") == 0)
        *out = hpt__json_new_bool(arena, *cell == 'T');
    else if (strcmp(cell, "None") == 0)
        *out = hpt__json_new(arena, HPT__JSON_NULL);
    else if (hpt__parse_int(&i, cell, n))
        *out = hpt__json_new_int(arena, i);
    else if (hpt__parse_double(&v, cell, n, false))
        *out = hpt__json_new_float(arena, v);
    else if (*cell == '[' || *cell == '{') {
        if (hpt__json_parse(out, arena, cell, n) == HPT_E_MEMORY) return HPT_E_MEMORY;
    }
    if (!*out) *out = hpt__json_new_string(arena, cell, n);
    return *out ? HPT_OK : hpt__fail_memory();
}

static int guess_choices(hpt__str *text, table *t, int64_t i) {
    column *c = &t->columns[i];
    c->categorical = true;
    hpt__str_add(text, "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [");
    for (int64_t row = 1; row < t->n_rows; row++) {
        const char *cell = cell_at(t, row, i);
        int64_t at;
        hpt__json *v;
        if (!*cell || hpt__map_get(&at, &c->choices, cell, strlen(cell))) continue;
        int rc = cell_json(&v, &t->arena, cell);
        if (rc >= 0) rc = hpt__map_set(&c->choices, cell, strlen(cell), c->choices.n_live);
        if (rc < 0) return rc;
        if (c->choices.n_live > 1) hpt__str_add(text, ", ");
        hpt__json_dumps(text, v);
    }
    hpt__str_add(text, "]}}");
    return HPT_OK;
}

// The distribution of a parameter from its cells; *distribution stays NULL if all are empty.
static int guess(table *t, int64_t i) {
    bool all_int = true, all_number = true, any = false;
    double low = INFINITY, high = -INFINITY;
    hpt__str text = HPT__STR_INIT;
    int rc = HPT_OK;
    for (int64_t row = 1; row < t->n_rows && all_number; row++) {
        const char *cell = cell_at(t, row, i);
        int64_t whole;
        double v;
        if (!*cell) continue;
        any = true;
        all_int &=
            hpt__parse_int(&whole, cell, strlen(cell)) && whole <= INT64_C(1) << 53 && whole >= -(INT64_C(1) << 53);
        all_number = hpt__parse_double(&v, cell, strlen(cell), false) && isfinite(v);
        if (all_number && v < low) low = v;
        if (all_number && v > high) high = v;
    }
    if (!any) return HPT_OK;
    if (!all_number) {
        rc = guess_choices(&text, t, i);
    } else if (all_int) {
        hpt__str_addf(&text,
                      "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": %lld, "
                      "\"high\": %lld}}",
                      (long long)low, (long long)high);
    } else {
        hpt__str_add(&text, "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": ");
        hpt__str_add_double(&text, low);
        hpt__str_add(&text, ", \"high\": ");
        hpt__str_add_double(&text, high);
        hpt__str_add(&text, ", \"log\": false}}");
    }
    if (rc >= 0) rc = hpt__str_status(&text);
    if (rc >= 0) {
        t->columns[i].distribution = hpt__arena_strndup(&t->arena, hpt__str_text(&text), text.len);
        if (!t->columns[i].distribution) rc = hpt__fail_memory();
    }
    hpt__str_fini(&text);
    return rc;
}

static int make_columns(table *t, hpt__import *in) {
    t->columns = hpt__calloc((size_t)t->n_columns, sizeof *t->columns);
    if (!t->columns) return hpt__fail_memory();
    for (int64_t i = 0; i < t->n_columns; i++) {
        column *c = &t->columns[i];
        hpt__map_init(&c->choices);
        c->kind = kind_of(&c->name, cell_at(t, 0, i));
        if (c->kind == VALUE) t->k++;
        if (c->kind != PARAM) continue;
        const int rc = guess(t, i);
        if (rc < 0) return rc;
        in->n_guessed += c->distribution != NULL;
    }
    if (t->k == 0) return hpt__fail(HPT_E_INCOMPATIBLE, "%s:1: no column 'value' or 'values_...'", in->path);
    return HPT_OK;
}

// ---- rows

static int read_attr(hpt__record *r, table *t, const column *c, const char *cell) {
    hpt__json *v;
    hpt__attr_item attr;
    int rc = cell_json(&v, &t->arena, cell);
    if (rc >= 0) rc = hpt__json_attr(&attr, &t->arena, c->kind == USER_ATTR ? 'u' : 's', c->name, v);
    return rc < 0 ? rc : hpt__record_set_attr(r, attr.key, attr.value_json);
}

static int read_param(hpt__record *r, const column *c, const char *cell) {
    double v = 0;
    int64_t at;
    if (c->categorical) {
        if (hpt__map_get(&at, &c->choices, cell, strlen(cell))) v = (double)at;
    } else {
        hpt__parse_double(&v, cell, strlen(cell), false); // the guess has seen that it is one
    }
    return hpt__record_set_param(r, c->name, v, c->distribution);
}

static int read_cell(hpt__record *r, table *t, const column *c, const char *cell, int64_t *number, bool *has_state) {
    double v = NAN;
    const size_t n = strlen(cell);
    switch (c->kind) {
    case NUMBER:
        if (!hpt__parse_int(number, cell, n) || *number < 0)
            return hpt__fail(HPT_E_PARSE, "'%s' is no trial number", cell);
        return HPT_OK;
    case VALUE:
        if (!hpt__parse_double(&v, cell, n, true)) return hpt__fail(HPT_E_PARSE, "value '%s' is no number", cell);
        r->values[r->n_values++] = v;
        return HPT_OK;
    case START:
    case COMPLETE:
        if (!hpt__transfer_time(c->kind == START ? &r->start_us : &r->complete_us, cell, false))
            return hpt__fail(HPT_E_PARSE, "'%s' is no time like 2026-01-31 12:00:00.000000", cell);
        return HPT_OK;
    case STATE:
        *has_state = true;
        return hpt_trial_state_from_string(&r->state, cell);
    case PARAM:
        return read_param(r, c, cell);
    case USER_ATTR:
    case SYSTEM_ATTR:
        return read_attr(r, t, c, cell);
    case SKIPPED:
        break;
    }
    return HPT_OK;
}

static int read_row(hpt__import *in, int64_t index, hpt__record *r, table *t, int64_t row) {
    int64_t number = -1;
    bool has_state = false;
    hpt__record_clear(r);
    int rc = hpt__grow(&r->values, &r->cap_values, t->k, sizeof *r->values);
    for (int64_t i = 0; i < t->n_columns && rc >= 0; i++) {
        const char *cell = cell_at(t, row, i);
        if (*cell) rc = read_cell(r, t, &t->columns[i], cell, &number, &has_state);
    }
    if (rc >= 0 && !has_state) r->state = r->n_values ? HPT_TRIAL_COMPLETE : HPT_TRIAL_FAIL;
    if (rc >= 0) rc = hpt__import_trial(in, index, r, number);
    return rc;
}

int hpt__read_csv(hpt__import *in) {
    table t = {0};
    hpt__record r = {0};
    int64_t index;
    hpt__arena_init(&t.arena);
    int rc = load_text(&t, in->path);
    if (rc >= 0) rc = split(&t, in->path);
    if (rc >= 0) rc = make_columns(&t, in);
    if (rc < 0) goto out;
    hpt_direction *directions = hpt__arena_alloc(&t.arena, (size_t)t.k * sizeof *directions);
    HPT_FAIL_IF(!directions, HPT_E_MEMORY, "out of memory");
    for (int64_t i = 0; i < t.k; i++) directions[i] = HPT_MINIMIZE;
    HPT_TRY(hpt__import_study_add(&index, in, NULL, directions, t.k, NULL, 0, false));
    for (int64_t row = 1; row < t.n_rows; row++) {
        rc = read_row(in, index, &r, &t, row);
        if (rc == HPT_E_PARSE || rc == HPT_E_INCOMPATIBLE || rc == HPT_E_ARG)
            rc = hpt__fail_prefix(rc, "%s:%lld", in->path, (long long)t.lines[row]);
        if (rc < 0) goto out;
    }
    rc = HPT_OK;
out:
    for (int64_t i = 0; t.columns && i < t.n_columns; i++) hpt__map_fini(&t.columns[i].choices);
    hpt__free(t.columns);
    hpt__free(t.cells);
    hpt__free(t.lines);
    hpt__str_fini(&t.text);
    hpt__arena_fini(&t.arena);
    hpt__record_fini(&r);
    return rc;
}
