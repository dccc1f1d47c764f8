// SPDX-License-Identifier: Apache-2.0
// trial_columns.c: `hpt trials --columns a,b,c`: named columns of trials, in the order that the user gives.
//
// A name is one of FIXED, an objective's, or a parameter's; FIXED comes first. What `hpt run` recorded of a trial's share
// and use is in one attribute, hpt:use, an object of numbers and plain texts that the engine wrote.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const cli_column_attrs[CLI_COLUMN_ATTRS] = {"hpt:by", "hpt:outcome", "hpt:reason", "hpt:use"};
enum { BY, OUTCOME, REASON, USE };

typedef enum column_kind { NUMBER, STATE, VALUE, SECONDS, ATTR, USE_TEXT, USE_NUMBER, USE_BYTES, PARAM } column_kind;

typedef struct column {
    const char *name, *key; // key: of hpt:use
    column_kind kind;
    int64_t index; // attribute, objective or parameter
} column;

static const column FIXED[] = {
    {"number", NULL, NUMBER, 0},
    {"state", NULL, STATE, 0},
    {"value", NULL, VALUE, 0},
    {"seconds", NULL, SECONDS, 0},
    {"by", NULL, ATTR, BY},
    {"outcome", NULL, ATTR, OUTCOME},
    {"reason", NULL, ATTR, REASON},
    {"device", "gpus", USE_TEXT, 0},
    {"share", "gpu", USE_NUMBER, 0},
    {"gpu_memory", "gpu_memory", USE_BYTES, 0},
    {"gpu_peak", "gpu_peak", USE_BYTES, 0},
    {"cpu", "cpu", USE_NUMBER, 0},
    {"cores", "cores", USE_TEXT, 0},
    {"memory", "memory", USE_BYTES, 0},
    {"tier", "tier", USE_TEXT, 0},
    {"peak_memory", "peak_memory", USE_BYTES, 0},
    {"cpu_seconds", "cpu_seconds", USE_NUMBER, 0},
};
enum { N_FIXED = sizeof FIXED / sizeof *FIXED, CELL = 400 };

static int find_column(column *out, const hpt_table *t, const char *name) {
    for (int i = 0; i < N_FIXED; i++) {
        if (strcmp(FIXED[i].name, name) != 0) continue;
        *out = FIXED[i];
        return CLI_OK;
    }
    for (int64_t i = 0; t->metric_names && i < t->k; i++) {
        if (strcmp(t->metric_names[i], name) != 0) continue;
        *out = (column){t->metric_names[i], NULL, VALUE, i};
        return CLI_OK;
    }
    for (int64_t i = 0; i < t->d; i++) {
        if (strcmp(t->names[i], name) != 0) continue;
        *out = (column){t->names[i], NULL, PARAM, i};
        return CLI_OK;
    }
    char all[400] = "";
    for (int i = 0; i < N_FIXED; i++) {
        strcat(all, i ? ", " : "");
        strcat(all, FIXED[i].name);
    }
    return cli_usage("trials: --columns: no column '%s'; there are %s, and the study's objectives and parameters", name,
                     all);
}

const char *cli_use_of(const char *json, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = json ? strstr(json, quoted) : NULL;
    if (!at) return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static const char *number_cell(char out[CELL], double v, bool exact, int digits) {
    if (isnan(v)) return exact ? "" : "-";
    return exact ? cli_exact(out, v) : cli_general(out, v, digits);
}

static const char *cell_of(char out[CELL], const column *c, const hpt_table *t, int64_t row, bool exact) {
    const char *none = exact ? "" : "-";
    switch (c->kind) {
    case NUMBER:
        return cli_general(out, (double)t->number[row], 17);
    case STATE:
        return hpt_trial_state_to_string((hpt_trial_state)t->state[row]);
    case VALUE:
        return number_cell(out, t->values[row * t->k + c->index], exact, 10);
    case SECONDS:
        return number_cell(out, t->end[row] - t->start[row], exact, 3);
    case ATTR:
        if (cli_json_text(out, CELL, t->attrs[c->index][row])) return out;
        return c->index == OUTCOME && t->state[row] == HPT_TRIAL_COMPLETE ? "done" : none;
    case PARAM:
        return cli_cell(out, t, c->index, row, exact);
    case USE_TEXT:
    case USE_NUMBER:
    case USE_BYTES:
        break;
    }
    const char *at = cli_use_of(t->attrs[USE][row], c->key);
    if (!at) return none;
    if (c->kind == USE_TEXT) return cli_json_text(out, CELL, at) && *out ? out : none;
    const double v = strtod(at, NULL);
    return c->kind == USE_BYTES && !exact ? cli_bytes(out, v) : number_cell(out, v, exact, 4);
}

int cli_print_columns(const hpt_table *t, const int64_t *rows, int64_t n, const char *names, cli_format format) {
    int code = CLI_OK, m = 0, cap = 1;
    for (const char *p = names; *p; p++) cap += *p == ',';
    char *copy = strdup(names), *save = NULL;
    column *columns = calloc((size_t)cap, sizeof *columns);
    char(*heads)[CLI_OBJECTIVE_MAX + 1] = calloc((size_t)cap, sizeof *heads);
    const char **shown = calloc((size_t)cap, sizeof *shown);
    if (!copy || !columns || !heads || !shown) {
        cli_note("out of memory");
        code = CLI_FAILED;
        goto out;
    }
    for (char *name = strtok_r(copy, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
        if ((code = find_column(&columns[m], t, name)) != CLI_OK) goto out;
        const column_kind kind = columns[m].kind;
        const bool right =
            kind == NUMBER || kind == VALUE || kind == SECONDS || kind == USE_NUMBER || kind == USE_BYTES;
        snprintf(heads[m], sizeof heads[m], "%s%s", right ? ">" : "", columns[m].name);
        shown[m] = heads[m];
        m++;
    }
    if (m == 0) {
        code = cli_usage("trials: --columns names no column; e.g. --columns number,state,value");
        goto out;
    }
    cli_table *table = cli_table_new(shown, m);
    for (int64_t i = 0; i < n; i++) {
        char cell[CELL];
        for (int c = 0; c < m; c++) cli_table_add(table, cell_of(cell, &columns[c], t, rows[i], format != CLI_TABLE));
    }
    cli_table_print(table, format, stdout);
out:
    free(shown);
    free(heads);
    free(columns);
    free(copy);
    return code;
}
