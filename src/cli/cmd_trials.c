// SPDX-License-Identifier: Apache-2.0
// cmd_trials.c: `hpt trials`: a table of trials. One copy of the study's numbers (hpt_study_table) is filtered, sorted
// and cut first; only the rows that are shown become text.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const hpt_table *sorted; // what the comparison looks at: qsort hands nothing through
static double sign;

static int by_value(const void *a, const void *b) {
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    const double x = sign * sorted->values[i * sorted->k], y = sign * sorted->values[j * sorted->k];
    if (isnan(x) || isnan(y)) {
        if (isnan(x) != isnan(y)) return isnan(x) - isnan(y);
    } else if (x != y) {
        return x < y ? -1 : 1;
    }
    return (sorted->number[i] > sorted->number[j]) - (sorted->number[i] < sorted->number[j]);
}

static int by_number(const void *a, const void *b) {
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    return (sorted->number[i] > sorted->number[j]) - (sorted->number[i] < sorted->number[j]);
}

void cli_print_json_number(double v) {
    char text[32];
    if (isfinite(v))
        fputs(cli_exact(text, v), stdout);
    else
        fputs(isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity", stdout); // as Python's json reads them
}

// A JSON string's text without its quotes; "-" if there is none. The engine's own words need no unescaping.
static const char *bare(char *out, size_t size, const char *json) {
    if (!json || json[0] != '"') return "-";
    snprintf(out, size, "%.*s", (int)strlen(json) - 2, json + 1);
    return out;
}

// One object a trial, parameters in their JSON types. Only selected rows get a handle, one at a time.
static int print_json(hpt_study *study, const hpt_table *t, const int64_t *rows, int64_t n) {
    fputs("[", stdout);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = rows[i];
        hpt_trial *trial = NULL;
        const char *params = "{}";
        char by[64];
        int rc = hpt_study_trial(&trial, study, t->number[row]);
        if (rc == 0) rc = hpt_trial_params_json(&params, trial);
        if (rc < 0) {
            hpt_trial_destroy(trial);
            return cli_fail(rc);
        }
        printf("%s\n {\"number\": %lld, \"state\": \"%s\", \"values\": [", i ? "," : "", (long long)t->number[row],
               hpt_trial_state_to_string((hpt_trial_state)t->state[row]));
        for (int64_t k = 0; k < t->k && !isnan(t->values[row * t->k]); k++) {
            if (k) fputs(", ", stdout);
            cli_print_json_number(t->values[row * t->k + k]);
        }
        fputs("], \"seconds\": ", stdout);
        if (isnan(t->end[row] - t->start[row]))
            fputs("null", stdout);
        else
            printf("%.6f", t->end[row] - t->start[row]);
        fputs(", \"by\": ", stdout);
        cli_put_json_string(stdout, bare(by, sizeof by, t->attrs[0][row]));
        printf(", \"params\": %s}", params);
        hpt_trial_destroy(trial);
    }
    fputs(n ? "\n]\n" : "]\n", stdout);
    return CLI_OK;
}

void cli_objective_column(char out[CLI_OBJECTIVE_MAX], const hpt_table *t, int64_t i) {
    if (t->metric_names)
        snprintf(out, CLI_OBJECTIVE_MAX, ">%s", t->metric_names[i]);
    else
        snprintf(out, CLI_OBJECTIVE_MAX, ">values_%lld", (long long)i);
}

int cli_print_rows(const hpt_table *t, const int64_t *rows, int64_t n, cli_format format) {
    const int64_t k = t->k, d = t->d;
    const bool exact = format != CLI_TABLE;
    const char **columns = calloc((size_t)(4 + k + d), sizeof *columns);
    char(*names)[CLI_OBJECTIVE_MAX] = calloc((size_t)k, sizeof *names);
    if (!columns || !names) {
        free(columns);
        free(names);
        cli_note("out of memory");
        return CLI_FAILED;
    }
    int c = 0;
    columns[c++] = ">number";
    columns[c++] = "state";
    for (int64_t i = 0; i < k; i++) {
        if (k == 1)
            strcpy(names[i], ">value");
        else
            cli_objective_column(names[i], t, i);
        columns[c++] = names[i];
    }
    columns[c++] = ">seconds";
    columns[c++] = "by";
    for (int64_t i = 0; i < d; i++) columns[c++] = t->names[i];
    cli_table *out = cli_table_new(columns, c);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = rows[i];
        const double seconds = t->end[row] - t->start[row];
        char cell[64];
        cli_table_add(out, cli_general(cell, (double)t->number[row], 17));
        cli_table_add(out, hpt_trial_state_to_string((hpt_trial_state)t->state[row]));
        for (int64_t j = 0; j < k; j++) {
            const double v = t->values[row * k + j];
            cli_table_add(out, isnan(v) ? "-" : exact ? cli_exact(cell, v) : cli_general(cell, v, 10));
        }
        cli_table_add(out, exact && !isnan(seconds) ? cli_exact(cell, seconds) : cli_general(cell, seconds, 3));
        cli_table_add(out, bare(cell, sizeof cell, t->attrs[0][row]));
        for (int64_t j = 0; j < d; j++) cli_table_add(out, cli_cell(cell, t, j, row, exact));
    }
    cli_table_print(out, format, stdout);
    free(columns);
    free(names);
    return CLI_OK;
}

static int write_stdout(const char *text, size_t size, void *payload) {
    (void)payload;
    return fwrite(text, 1, size, stdout) == size ? 0 : 1;
}

// The rows to show, in order: those of a state (any: -1), the last n (0: all).
static int64_t select_rows(int64_t *rows, const hpt_table *t, int state, bool value_order, int64_t last,
                           hpt_direction direction) {
    int64_t n = 0;
    bool in_order = true;
    for (int64_t row = 0; row < t->n; row++) {
        if (state >= 0 && t->state[row] != state) continue;
        in_order &= row == 0 || t->number[row] > t->number[row - 1];
        rows[n++] = row;
    }
    sorted = t;
    sign = direction == HPT_MAXIMIZE ? -1 : 1;
    if (value_order || !in_order) qsort(rows, (size_t)n, sizeof *rows, value_order ? by_value : by_number);
    if (last <= 0 || last >= n) return n;
    if (!value_order) memmove(rows, rows + (n - last), (size_t)last * sizeof *rows); // by value: the best ones
    return last;
}

int cmd_trials(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format_text = NULL, *state_text = NULL, *sort = "number", *columns = NULL;
    int64_t last = 0, *rows = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table, json or csv (csv: every column, as `hpt export`)"},
        {"state", 0, CLI_STRING, &state_text, "STATE", "only trials in this state"},
        {"sort", 0, CLI_STRING, &sort, "KEY", "number (default) or value (best first)"},
        {"columns", 0, CLI_STRING, &columns, "NAMES",
         "these columns, with commas between them: number state value seconds by outcome reason device share gpu_memory gpu_peak cpu "
         "cores memory tier peak_memory cpu_seconds, objectives, parameters"},
        {"last", 'n', CLI_INT, &last, "N", "only the last N trials; with --sort value the best N"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n, rc;
    cli_format format;
    hpt_study *study = NULL;
    hpt_table *t = NULL;
    hpt_trial_state state = HPT_TRIAL_RUNNING;
    int code = positional ? cli_parse("trials", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) code = cli_no_arguments("trials", positional, n);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code != CLI_OK || done) goto out;
    if (strcmp(sort, "number") != 0 && strcmp(sort, "value") != 0) {
        code = cli_usage("trials: --sort is number or value, not '%s'", sort);
        goto out;
    }
    if (last < 0) {
        code = cli_usage("trials: --last must be at least 1, not %lld", (long long)last);
        goto out;
    }
    if (state_text && (rc = hpt_trial_state_from_string(&state, state_text)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    if ((code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY)) != CLI_OK) goto out;
    if (format == CLI_CSV && !columns && !state_text && !last && !strcmp(sort, "number")) {
        rc = hpt_study_export(study, "csv", 0, write_stdout, NULL);
        if (rc < 0 && !ferror(stdout)) code = cli_fail(rc);
        goto out;
    }
    rc = hpt_study_table(&t, study, cli_column_attrs, columns ? CLI_COLUMN_ATTRS : 1);
    if (rc == 0 && !(rows = calloc((size_t)t->n + 1, sizeof *rows))) rc = HPT_E_MEMORY;
    if (rc < 0) {
        code = cli_fail(rc);
        goto out;
    }
    const int64_t shown =
        select_rows(rows, t, state_text ? (int)state : -1, !strcmp(sort, "value"), last, hpt_study_direction(study, 0));
    code = columns              ? cli_print_columns(t, rows, shown, columns, format)
           : format == CLI_JSON ? print_json(study, t, rows, shown)
                                : cli_print_rows(t, rows, shown, format);
out:
    free(rows);
    hpt_table_destroy(t);
    hpt_study_close(study);
    free(positional);
    return code;
}
