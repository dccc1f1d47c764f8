// SPDX-License-Identifier: Apache-2.0
// cmd_show.c: `hpt show`: a study on one screen: what is looked for, what there is, the best, and what chooses the points.
//
// It is a list of (group, name, value); a table prints it aligned, JSON as objects by group. Values are JSON text, so both
// say the same. Studies of other programs have no options and no model of ours: those groups are empty.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *group;
    char *name, *value; // value: JSON text
} row;

typedef struct page {
    row *rows;
    int64_t n, cap;
    bool failed; // no memory
} page;

static char *copy_of(const char *text) {
    const size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static void put(page *p, const char *group, const char *name, const char *value) {
    if (p->n == p->cap) {
        const int64_t cap = 2 * p->cap + 32;
        row *rows = realloc(p->rows, (size_t)cap * sizeof *rows);
        if (!rows) {
            p->failed = true;
            return;
        }
        p->rows = rows;
        p->cap = cap;
    }
    row *r = &p->rows[p->n++];
    *r = (row){group, copy_of(name), copy_of(value)};
    if (!r->name || !r->value) p->failed = true;
}

static void put_text(page *p, const char *group, const char *name, const char *text) {
    char *json = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&json, &size);
    if (!f) {
        p->failed = true;
        return;
    }
    cli_put_json_string(f, text);
    if (fclose(f) == 0 && json) put(p, group, name, json);
    free(json);
}

static void put_count(page *p, const char *group, const char *name, int64_t v) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)v);
    put(p, group, name, text);
}

static void put_number(page *p, const char *group, const char *name, double v) {
    char text[32];
    if (isfinite(v))
        put(p, group, name, cli_exact(text, v));
    else
        put(p, group, name, isnan(v) ? "null" : v > 0 ? "Infinity" : "-Infinity");
}

// ---- what there is

static void put_study(page *p, hpt_study *study) {
    const hpt_space *space = hpt_study_space(study);
    const int64_t k = hpt_study_n_directions(study);
    int64_t conditional = 0;
    put_text(p, "study", "name", hpt_study_name(study));
    put_text(p, "study", "storage", hpt_study_storage(study));
    for (int64_t i = 0; i < k; i++) {
        char label[CLI_OBJECTIVE_MAX + 16];
        const char *name = hpt_study_metric_name(study, i);
        if (name)
            snprintf(label, sizeof label, "%.60s", name);
        else
            snprintf(label, sizeof label, k > 1 ? "values_%lld" : "value", (long long)i);
        put_text(p, "objectives", label, hpt_study_direction(study, i) == HPT_MAXIMIZE ? "maximize" : "minimize");
    }
    const int64_t d = space ? hpt_space_size(space) : 0, points = space ? hpt_space_cardinality(space) : -1;
    for (int64_t i = 0; i < d; i++) {
        char *condition = NULL;
        if (hpt_space_describe_condition(&condition, space, hpt_space_name(space, i)) == 0)
            conditional += condition && condition[0];
        hpt_free(condition);
    }
    put_count(p, "space", "parameters", d);
    if (conditional) put_count(p, "space", "conditional", conditional);
    if (d > 0 && points >= 0) put_count(p, "space", "points", points);
}

static int put_trials(page *p, hpt_study *study) {
    static const hpt_trial_state order[] = {HPT_TRIAL_COMPLETE, HPT_TRIAL_PRUNED, HPT_TRIAL_FAIL, HPT_TRIAL_RUNNING,
                                            HPT_TRIAL_WAITING};
    int64_t counts[5], all = 0;
    int rc = hpt_study_counts(counts, study);
    if (rc < 0) return rc;
    for (int i = 0; i < 5; i++) all += counts[i];
    put_count(p, "trials", "all", all);
    for (int i = 0; i < 5; i++)
        if (counts[order[i]]) put_count(p, "trials", hpt_trial_state_to_string(order[i]), counts[order[i]]);
    return 0;
}

static int put_best(page *p, hpt_study *study) {
    hpt_trial *best = NULL, **front = NULL;
    const hpt_space *space = hpt_study_space(study);
    const double *values;
    int64_t n = 0;
    int rc;
    if (hpt_study_n_directions(study) > 1) {
        rc = hpt_study_pareto(&front, &n, study);
        if (rc == 0) put_count(p, "best", "non-dominated trials", n);
        for (int64_t i = 0; rc == 0 && i < n; i++) hpt_trial_destroy(front[i]);
        hpt_free(front);
        return rc;
    }
    rc = hpt_study_best(&best, study);
    if (rc == HPT_E_NOT_FOUND) return 0;
    if (rc == 0) rc = hpt_trial_values(&values, &n, best);
    if (rc == 0) {
        put_count(p, "best", "number", hpt_trial_number(best));
        put_number(p, "best", "value", values[0]);
        for (int64_t i = 0; i < hpt_space_size(space); i++) {
            const char *name = hpt_space_name(space, i), *text;
            char label[300];
            double number;
            if (!hpt_trial_has(best, name)) continue;
            snprintf(label, sizeof label, "params.%s", name);
            if (hpt_trial_get_float(&number, best, name) == 0)
                put_number(p, "best", label, number);
            else if (hpt_trial_get_string(&text, best, name) == 0)
                put_text(p, "best", label, text);
        }
    }
    hpt_trial_destroy(best);
    return rc;
}

// How many points each way of choosing gave.
static int put_choosers(page *p, hpt_study *study) {
    enum { KINDS = 24, NAME = 32 };
    static const char *const attrs[] = {"hpt:by"};
    char names[KINDS][NAME];
    int64_t counts[KINDS] = {0};
    int n = 0;
    hpt_table *t = NULL;
    int rc = hpt_study_table(&t, study, attrs, 1);
    for (int64_t i = 0; rc == 0 && i < t->n; i++) {
        char by[NAME];
        int k = 0;
        if (!cli_json_text(by, sizeof by, t->attrs[0][i])) continue;
        while (k < n && strcmp(names[k], by) != 0) k++;
        if (k == KINDS) continue;
        if (k == n) memcpy(names[n++], by, sizeof by);
        counts[k]++;
    }
    for (int k = 0; k < n; k++) put_count(p, "chosen by", names[k], counts[k]);
    hpt_table_destroy(t);
    return rc;
}

static int put_tools(page *p, hpt_study *study, const hpt_fact *facts, int64_t n) {
    for (int64_t i = 0; i < n; i++) put(p, facts[i].group, facts[i].name, facts[i].value);
    return put_choosers(p, study);
}

// ---- printing

// The groups in the order of their first row; each row is printed with its group.
static bool first_of_group(const page *p, int64_t i) {
    for (int64_t j = 0; j < i; j++)
        if (!strcmp(p->rows[j].group, p->rows[i].group)) return false;
    return true;
}

static void print_json(const page *p) {
    bool any = false;
    printf("{");
    for (int64_t i = 0; i < p->n; i++) {
        if (!first_of_group(p, i)) continue;
        printf("%s\n ", any ? "," : "");
        any = true;
        cli_put_json_string(stdout, p->rows[i].group);
        printf(": {");
        bool comma = false;
        for (int64_t j = i; j < p->n; j++) {
            if (strcmp(p->rows[j].group, p->rows[i].group) != 0) continue;
            printf("%s", comma ? ", " : "");
            comma = true;
            cli_put_json_string(stdout, p->rows[j].name);
            printf(": %s", p->rows[j].value);
        }
        printf("}");
    }
    printf("\n}\n");
}

static void print_table(const page *p) {
    static const char *const columns[] = {"", "name", "value"};
    cli_table *t = cli_table_new(columns, 3);
    for (int64_t i = 0; i < p->n; i++) {
        if (!first_of_group(p, i)) continue;
        for (int64_t j = i; j < p->n; j++) {
            if (strcmp(p->rows[j].group, p->rows[i].group) != 0) continue;
            char text[512], number[32], *end;
            const double v = strtod(p->rows[j].value, &end);
            cli_table_add(t, i == j ? p->rows[i].group : "");
            cli_table_add(t, p->rows[j].name);
            if (cli_json_text(text, sizeof text, p->rows[j].value))
                cli_table_add(t, text);
            else
                cli_table_add(t, *end || end == p->rows[j].value ? p->rows[j].value : cli_general(number, v, 10));
        }
    }
    cli_table_print(t, CLI_TABLE, stdout);
}

static int show(hpt_study *study, bool json) {
    page p = {0};
    hpt_fact *facts = NULL;
    int64_t n = 0;
    int rc = hpt_study_facts(&facts, &n, study);
    if (rc == 0) {
        put_study(&p, study);
        rc = put_trials(&p, study);
    }
    if (rc == 0) rc = put_best(&p, study);
    if (rc == 0) rc = put_tools(&p, study, facts, n);
    if (rc == 0 && p.failed) rc = HPT_E_MEMORY;
    if (rc == 0 && json)
        print_json(&p);
    else if (rc == 0)
        print_table(&p);
    for (int64_t i = 0; i < p.n; i++) {
        free(p.rows[i].name);
        free(p.rows[i].value);
    }
    free(p.rows);
    hpt_free(facts);
    return rc < 0 ? cli_fail(rc) : CLI_OK;
}

int cmd_show(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format_text = NULL;
    bool json = false;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table or json"},
        {"json", 0, CLI_FLAG, &json, NULL, "as --format json"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    cli_format format;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("show", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done && n > 1) code = cli_usage("show: name one study, not '%s' and more", positional[0]);
    if (code == CLI_OK && !done && n == 1 && where.study)
        code = cli_usage("show: the study is named twice, '%s' and '%s'", positional[0], where.study);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && format == CLI_CSV) code = cli_usage("show: --format is table or json");
    if (code == CLI_OK && !done) {
        if (n == 1) where.study = positional[0];
        code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY);
        if (code == CLI_OK) code = show(study, json || format == CLI_JSON);
    }
    hpt_study_close(study);
    free(positional);
    return code;
}
