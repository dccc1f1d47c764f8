// SPDX-License-Identifier: Apache-2.0
// cmd_query.c: commands that only read a study: best, trials, studies, export.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int write_stdout(const char *text, size_t size, void *payload) {
    (void)payload;
    return fwrite(text, 1, size, stdout) == size ? 0 : 1;
}

// Cells of a trial's parameters, "-" where a parameter is absent. Tables are for people, the rest is exact.
static void add_params(cli_table *t, const hpt_space *space, hpt_trial *trial, cli_format format) {
    char cell[32];
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const char *name = hpt_space_name(space, i), *text = "";
        if (format == CLI_TABLE)
            text = cli_param(cell, trial, name);
        else if (hpt_trial_has(trial, name) && hpt_trial_get_string(&text, trial, name) < 0)
            text = "?";
        cli_table_add(t, text);
    }
}

static void add_values(cli_table *t, hpt_study *study, hpt_trial *trial) {
    const double *values = NULL;
    int64_t n = 0, k = hpt_study_n_directions(study);
    if (hpt_trial_values(&values, &n, trial) < 0) n = 0;
    for (int64_t i = 0; i < k; i++) {
        if (i < n)
            cli_table_addf(t, "%.10g", values[i]);
        else
            cli_table_add(t, "-");
    }
}

int cmd_best(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format_text = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table, json or csv"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n, rc;
    cli_format format;
    hpt_study *study = NULL;
    hpt_trial *best = NULL;
    int code = positional ? cli_parse("best", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code != CLI_OK || done) goto out;
    if ((code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY)) != CLI_OK) goto out;
    if ((rc = hpt_study_best(&best, study)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    const double *values;
    int64_t n_values;
    const char *json;
    if ((rc = hpt_trial_values(&values, &n_values, best)) < 0 || (rc = hpt_trial_params_json(&json, best)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    if (format == CLI_JSON) {
        printf("{\"study\": ");
        cli_put_json_string(stdout, hpt_study_name(study));
        char value[32];
        printf(", \"number\": %lld, \"value\": %s, \"params\": %s}\n", (long long)hpt_trial_number(best),
               cli_exact(value, values[0]), json);
        goto out;
    }
    static const char *const columns[] = {"name", "value"};
    const hpt_space *space = hpt_study_space(study);
    cli_table *t = cli_table_new(columns, 2);
    cli_table_add(t, "trial");
    cli_table_addf(t, "%lld", (long long)hpt_trial_number(best));
    cli_table_add(t, "value");
    cli_table_addf(t, "%.10g", values[0]);
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const char *name = hpt_space_name(space, i), *text;
        if (!hpt_trial_has(best, name) || hpt_trial_get_string(&text, best, name) < 0) continue;
        cli_table_addf(t, "params.%s", name);
        cli_table_add(t, text);
    }
    cli_table_print(t, format, stdout);
out:
    hpt_trial_destroy(best);
    hpt_study_close(study);
    free(positional);
    return code;
}

typedef struct listed {
    hpt_trial *trial;
    double value;
} listed;

static int by_value(const void *a, const void *b) {
    double x = ((const listed *)a)->value, y = ((const listed *)b)->value;
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

static int by_value_descending(const void *a, const void *b) {
    double x = ((const listed *)a)->value, y = ((const listed *)b)->value;
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return (x < y) - (x > y);
}

static void print_number(double v) {
    char text[32];
    if (isfinite(v))
        fputs(cli_exact(text, v), stdout);
    else
        fputs(isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity", stdout); // as Python's json reads them
}

// What chose a trial's point, without the quotes of its JSON text; "-" if nothing says so. size: at least 2.
static void chosen_by(char *out, size_t size, hpt_trial *trial) {
    const char *by = NULL;
    if (hpt_trial_get_attr(&by, trial, "hpt:by") < 0 || !by || by[0] != '"') by = "\"-\"";
    snprintf(out, size, "%.*s", (int)strlen(by) - 2, by + 1);
}

// One object a trial, parameters in their JSON types.
static void print_trials_json(listed *rows, int64_t n) {
    fputs("[", stdout);
    for (int64_t i = 0; i < n; i++) {
        hpt_trial *trial = rows[i].trial;
        const double *values = NULL;
        const char *params = "{}";
        double start, end;
        int64_t n_values = 0;
        char by[64];
        printf("%s\n {\"number\": %lld, \"state\": \"%s\", \"values\": [", i ? "," : "",
               (long long)hpt_trial_number(trial), hpt_trial_state_to_string(hpt_trial_get_state(trial)));
        if (hpt_trial_values(&values, &n_values, trial) < 0) n_values = 0;
        for (int64_t k = 0; k < n_values; k++) {
            if (k) fputs(", ", stdout);
            print_number(values[k]);
        }
        fputs("], \"seconds\": ", stdout);
        if (hpt_trial_times(&start, &end, trial) < 0 || isnan(end - start))
            fputs("null", stdout);
        else
            printf("%.6f", end - start);
        chosen_by(by, sizeof by, trial);
        if (hpt_trial_params_json(&params, trial) < 0) params = "{}";
        fputs(", \"by\": ", stdout);
        cli_put_json_string(stdout, by);
        printf(", \"params\": %s}", params);
    }
    fputs(n ? "\n]\n" : "]\n", stdout);
}

static void print_trials(hpt_study *study, listed *rows, int64_t n, cli_format format) {
    if (format == CLI_JSON) {
        print_trials_json(rows, n);
        return;
    }
    const hpt_space *space = hpt_study_space(study);
    int64_t k = hpt_study_n_directions(study), d = hpt_space_size(space);
    const char **columns = calloc((size_t)(4 + k + d), sizeof *columns);
    char(*names)[40] = calloc((size_t)k, sizeof *names);
    if (!columns || !names) {
        free(columns);
        free(names);
        cli_note("out of memory");
        return;
    }
    int c = 0;
    columns[c++] = ">number";
    columns[c++] = "state";
    for (int64_t i = 0; i < k; i++) {
        if (k == 1)
            strcpy(names[i], ">value");
        else
            snprintf(names[i], sizeof names[i], ">values_%lld", (long long)i);
        columns[c++] = names[i];
    }
    columns[c++] = ">seconds";
    columns[c++] = "by";
    for (int64_t i = 0; i < d; i++) columns[c++] = hpt_space_name(space, i);
    cli_table *t = cli_table_new(columns, c);
    for (int64_t i = 0; i < n; i++) {
        hpt_trial *trial = rows[i].trial;
        double start, end;
        char by[64];
        cli_table_addf(t, "%lld", (long long)hpt_trial_number(trial));
        cli_table_add(t, hpt_trial_state_to_string(hpt_trial_get_state(trial)));
        add_values(t, study, trial);
        if (hpt_trial_times(&start, &end, trial) < 0 || isnan(end - start))
            cli_table_add(t, "-");
        else
            cli_table_addf(t, "%.3g", end - start);
        chosen_by(by, sizeof by, trial);
        cli_table_add(t, by);
        add_params(t, space, trial, format);
    }
    cli_table_print(t, format, stdout);
    free(columns);
    free(names);
}

int cmd_trials(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format_text = NULL, *state_text = NULL, *sort = "number";
    int64_t last = 0;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table, json or csv (csv: every column, as `hpt export`)"},
        {"state", 0, CLI_STRING, &state_text, "STATE", "only trials in this state"},
        {"sort", 0, CLI_STRING, &sort, "KEY", "number (default) or value (best first)"},
        {"last", 'n', CLI_INT, &last, "N", "only the last N lines"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n, rc = 0;
    cli_format format;
    hpt_study *study = NULL;
    listed *rows = NULL;
    int64_t n_rows = 0, total = 0, counts[5];
    hpt_trial_state state = HPT_TRIAL_RUNNING;
    int code = positional ? cli_parse("trials", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code != CLI_OK || done) goto out;
    if (strcmp(sort, "number") != 0 && strcmp(sort, "value") != 0) {
        code = cli_usage("trials: --sort is number or value, not '%s'", sort);
        goto out;
    }
    if (state_text && (rc = hpt_trial_state_from_string(&state, state_text)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    if ((code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY)) != CLI_OK) goto out;
    if (format == CLI_CSV && !state_text && !last && !strcmp(sort, "number")) {
        rc = hpt_study_export(study, "csv", 0, write_stdout, NULL);
        if (rc < 0 && !ferror(stdout)) code = cli_fail(rc);
        goto out;
    }
    if ((rc = hpt_study_counts(counts, study)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    for (int i = 0; i < 5; i++) total += counts[i];
    rows = calloc((size_t)total + 1, sizeof *rows);
    for (int64_t i = 0; rows && i < total; i++) {
        hpt_trial *trial;
        const double *values;
        int64_t n_values;
        if (hpt_study_trial(&trial, study, i) < 0) continue; // numbers have gaps in damaged studies only
        if (state_text && hpt_trial_get_state(trial) != state) {
            hpt_trial_destroy(trial);
            continue;
        }
        rows[n_rows].trial = trial;
        rows[n_rows].value = hpt_trial_values(&values, &n_values, trial) == 0 && n_values ? values[0] : NAN;
        n_rows++;
    }
    if (!strcmp(sort, "value"))
        qsort(rows, (size_t)n_rows, sizeof *rows,
              hpt_study_direction(study, 0) == HPT_MAXIMIZE ? by_value_descending : by_value);
    int64_t skip = last > 0 && last < n_rows && !strcmp(sort, "number") ? n_rows - last : 0;
    int64_t shown = last > 0 && last < n_rows ? last : n_rows;
    print_trials(study, rows + skip, shown, format);
out:
    for (int64_t i = 0; i < n_rows; i++) hpt_trial_destroy(rows[i].trial);
    free(rows);
    hpt_study_close(study);
    free(positional);
    return code;
}

int cmd_studies(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format_text = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table, json or csv"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    cli_format format;
    char url[1200];
    hpt_study_summary *s = NULL;
    int64_t n_studies = 0;
    int code = positional ? cli_parse("studies", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && !done) code = cli_storage_url(url, sizeof url, &where);
    if (code == CLI_OK && !done) {
        int rc = hpt_storage_studies(&s, &n_studies, url);
        if (rc < 0) {
            code = cli_fail(rc);
        } else {
            static const char *const columns[] = {"name",     ">objectives", ">complete", ">pruned",      ">failed",
                                                  ">running", ">waiting",    ">best",     "created (UTC)"};
            cli_table *t = cli_table_new(columns, 9);
            for (int64_t i = 0; i < n_studies; i++) {
                static const int order[] = {HPT_TRIAL_COMPLETE, HPT_TRIAL_PRUNED, HPT_TRIAL_FAIL, HPT_TRIAL_RUNNING,
                                            HPT_TRIAL_WAITING};
                cli_table_add(t, s[i].name);
                cli_table_addf(t, "%lld", (long long)s[i].n_directions);
                for (int k = 0; k < 5; k++) cli_table_addf(t, "%lld", (long long)s[i].counts[order[k]]);
                if (isnan(s[i].best))
                    cli_table_add(t, "-");
                else
                    cli_table_addf(t, "%.10g", s[i].best);
                cli_table_add(t, s[i].created);
            }
            cli_table_print(t, format, stdout);
            hpt_storage_summaries_free(s, n_studies);
        }
    }
    free(positional);
    return code;
}

int cmd_export(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format = "json";
    int64_t since = 0;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format, "FORMAT", "json (default), jsonl or csv"},
        {"since", 0, CLI_INT, &since, "N", "only trials from number N on"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("export", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY);
    if (code == CLI_OK && !done) {
        int rc = hpt_study_export(study, format, since, write_stdout, NULL);
        if (rc < 0 && !ferror(stdout)) code = cli_fail(rc);
    }
    hpt_study_close(study);
    free(positional);
    return code;
}
