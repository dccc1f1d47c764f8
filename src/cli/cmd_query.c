// SPDX-License-Identifier: Apache-2.0
// cmd_query.c: commands that only read a study: best, trials, studies.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int print_best(hpt_study *study, cli_format format) {
    hpt_trial *best = NULL;
    const double *values;
    int64_t n_values;
    const char *json;
    int rc = hpt_study_best(&best, study);
    if (rc == 0) rc = hpt_trial_values(&values, &n_values, best);
    if (rc == 0) rc = hpt_trial_params_json(&json, best);
    if (rc < 0) {
        hpt_trial_destroy(best);
        return cli_fail(rc);
    }
    if (format == CLI_JSON) {
        printf("{\"study\": ");
        cli_put_json_string(stdout, hpt_study_name(study));
        printf(", \"number\": %lld, \"value\": ", (long long)hpt_trial_number(best));
        cli_print_json_number(values[0]);
        printf(", \"params\": %s}\n", json);
        hpt_trial_destroy(best);
        return CLI_OK;
    }
    static const char *const columns[] = {"name", "value"};
    const hpt_space *space = hpt_study_space(study);
    char value[32];
    cli_table *t = cli_table_new(columns, 2);
    cli_table_add(t, "trial");
    cli_table_addf(t, "%lld", (long long)hpt_trial_number(best));
    cli_table_add(t, "value");
    cli_table_add(t, format == CLI_CSV ? cli_exact(value, values[0]) : cli_general(value, values[0], 10));
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const char *name = hpt_space_name(space, i), *text;
        if (!hpt_trial_has(best, name) || hpt_trial_get_string(&text, best, name) < 0) continue;
        cli_table_addf(t, "params.%s", name);
        cli_table_add(t, text);
    }
    cli_table_print(t, format, stdout);
    hpt_trial_destroy(best);
    return CLI_OK;
}

// Several objectives: the non-dominated trials.
static int print_front(hpt_study *study, cli_format format) {
    static const char *const attrs[] = {"hpt:by"};
    hpt_trial **front = NULL;
    hpt_table *t = NULL;
    int64_t n = 0, *rows = NULL;
    int code = CLI_OK, rc = hpt_study_pareto(&front, &n, study);
    if (rc == 0) rc = hpt_study_table(&t, study, attrs, 1);
    if (rc == 0 && !(rows = calloc((size_t)n + 1, sizeof *rows))) rc = HPT_E_MEMORY;
    if (rc < 0) {
        code = cli_fail(rc);
    } else if (n == 0) {
        cli_note("study '%s' has no complete trial yet", hpt_study_name(study));
        code = CLI_NOT_FOUND;
    } else if (format == CLI_JSON) {
        printf("{\"study\": ");
        cli_put_json_string(stdout, hpt_study_name(study));
        printf(", \"trials\": [");
        for (int64_t i = 0; i < n; i++) {
            const double *values;
            const char *json = "{}";
            int64_t k = 0;
            if (hpt_trial_values(&values, &k, front[i]) < 0 || hpt_trial_params_json(&json, front[i]) < 0) k = 0;
            printf("%s\n {\"number\": %lld, \"values\": [", i ? "," : "", (long long)hpt_trial_number(front[i]));
            for (int64_t j = 0; j < k; j++) {
                if (j) printf(", ");
                cli_print_json_number(values[j]);
            }
            printf("], \"params\": %s}", json);
        }
        printf("\n]}\n");
    } else {
        int64_t m = 0;
        for (int64_t row = 0; row < t->n && m < n; row++) // both are in order of numbers
            if (t->number[row] == hpt_trial_number(front[m])) rows[m++] = row;
        code = cli_print_rows(t, rows, m, format);
    }
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(front[i]);
    hpt_free(front);
    hpt_table_destroy(t);
    free(rows);
    return code;
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
    int n;
    cli_format format;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("best", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) code = cli_no_arguments("best", positional, n);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && !done) code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY);
    if (code == CLI_OK && !done)
        code = hpt_study_n_directions(study) == 1 ? print_best(study, format) : print_front(study, format);
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
    if (code == CLI_OK && !done) code = cli_no_arguments("studies", positional, n);
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
