// SPDX-License-Identifier: Apache-2.0
// tpe_density_tool.c: what our TPE makes of a table of trials; oracle_tpe.py compares it with Optuna.
//
// stdin, one JSON object:
//   {"maximize": false, "constant_liar": true, "impute_failed": "none", "impute_running": "none", "plain": false,
//    "params": [[name, Optuna's distribution_json], ...],
//    "trials": [{"state": "COMPLETE", "value": 0.5, "params": [internal or null, ...], "reports": [[step, value], ...],
//                "constraints": [..]}, ...],
//    "groups": [{"params": [indices], "points": [[internal, ...], ...]}, ...]}
// plain: without the wide vector unit. The trials are taken in one by one, as if the sampler had been asked after each.
// stdout: {"below": [rows], "above": [rows], "partition": [[indices], ...],
//          "groups": [{"below": [log density of each point], "above": [...]}, ...]}
#include "core/base/error.h"
#include "core/base/num.h"
#include "core/sampler/tpe_groups.h"
#include "core/sampler/tpe_parzen.h"
#include "core/sampler/tpe_split.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "tpe_density_tool: %s: %s\n", what, hpt_last_error());
    exit(1);
}

static double number_or_nan(const hpt__json *v) {
    double x;
    return hpt__json_number(&x, v) ? x : NAN;
}

static void read_all(hpt__str *text) {
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) hpt__str_addn(text, buffer, n);
    must(hpt__str_status(text) == 0, "stdin");
}

static void add_trial(hpt__trials *t, const hpt__json *j) {
    int64_t row;
    hpt_trial_state state;
    double point[64];
    const hpt__json *params = hpt__json_get(j, "params"), *reports = hpt__json_get(j, "reports");
    must(params && params->a.n == t->d && t->d <= 64, "params");
    must(hpt_trial_state_from_string(&state, hpt__json_string(hpt__json_get(j, "state"))) == 0, "state");
    must(hpt__trials_add(&row, t, t->n, t->n + 1, HPT_TRIAL_RUNNING) == 0, "row");
    for (int64_t i = 0; i < t->d; i++) point[i] = number_or_nan(params->a.items[i]);
    hpt__trials_set_point(t, row, point);
    for (int64_t i = 0; reports && i < reports->a.n; i++) {
        int64_t step;
        const hpt__json *pair = reports->a.items[i];
        must(hpt__json_integer(&step, pair->a.items[0]), "step");
        must(hpt__trials_report(t, row, step, number_or_nan(pair->a.items[1])) == 0, "report");
    }
    const hpt__json *constraints = hpt__json_get(j, "constraints");
    if (constraints) {
        hpt__str text = HPT__STR_INIT;
        hpt__json_dumps(&text, constraints);
        must(hpt__trials_set_attr(t, row, "s:constraints", hpt__str_text(&text)) == 0, "constraints");
        hpt__str_fini(&text);
    }
    const double value = number_or_nan(hpt__json_get(j, "value"));
    if (state != HPT_TRIAL_RUNNING) hpt__trials_finish(t, row, state, &value, 0);
}

static void print_list(const char *name, const double *v, int64_t n, const char *end) {
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < n; i++) {
        char text[HPT__DOUBLE_MAX];
        hpt__double_repr(text, v[i]);
        printf("%s%s", i > 0 ? ", " : "", strcmp(text, "-inf") == 0 ? "-Infinity" : text);
    }
    printf("]%s", end);
}

static void print_rows(const char *name, const hpt__tpe_split *split, int64_t n, hpt__tpe_side side) {
    const char *comma = "";
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < n; i++) {
        if (split->side[i] != side) continue;
        printf("%s%lld", comma, (long long)i);
        comma = ", ";
    }
    printf("], ");
}

static void densities(const hpt_space *space, const hpt__trials *t, const hpt__tpe_split *split, const hpt__json *group,
                      bool plain) {
    int32_t params[64];
    const hpt__json *list = hpt__json_get(group, "params"), *points = hpt__json_get(group, "points");
    const int64_t g = list->a.n, q = points->a.n;
    for (int64_t j = 0; j < g; j++) params[j] = (int32_t)list->a.items[j]->i;
    uint8_t *want = calloc((size_t)(t->n + 1), 1);
    double *x = calloc((size_t)(q * g + 1), sizeof *x), *out = calloc((size_t)(q + 1), sizeof *out);
    must(want && x && out, "memory");
    printf("{");
    for (int side = HPT__TPE_BELOW; side <= HPT__TPE_ABOVE; side++) {
        hpt__parzen e;
        must(hpt__parzen_init(&e, space, params, g) == 0, "init");
        if (plain) e.ops = hpt__block_ops_choose(true);
        for (int64_t r = 0; r < t->n; r++) {
            want[r] = split->side[r] == side;
            for (int64_t j = 0; j < g; j++)
                if (isnan(t->columns[params[j]].values[r])) want[r] = 0;
        }
        must(hpt__parzen_sync(&e, t, want) == 0, "sync");
        for (int64_t c = 0; c < q; c++) {
            for (int64_t j = 0; j < g; j++) { // our columns are ordered by kind
                int64_t at = 0;
                while (params[at] != e.columns[j].param) at++;
                x[c * g + j] = hpt__parzen_coordinate(&e.columns[j], number_or_nan(points->a.items[c]->a.items[at]));
            }
        }
        hpt__parzen_log_pdf(out, &e, x, q);
        print_list(side == HPT__TPE_BELOW ? "below" : "above", out, q, side == HPT__TPE_BELOW ? ", " : "");
        hpt__parzen_fini(&e);
    }
    printf("}");
    free(want);
    free(x);
    free(out);
}

static void print_partition(const hpt__tpe_groups *g, int64_t d) {
    printf("\"partition\": [");
    for (int32_t k = 0; k < g->n; k++) {
        const char *comma = "";
        printf("%s[", k > 0 ? ", " : "");
        for (int64_t i = 0; i < d; i++) {
            if (g->group_of[i] != k) continue;
            printf("%s%lld", comma, (long long)i);
            comma = ", ";
        }
        printf("]");
    }
    printf("], ");
}

static const char *word_or(const hpt__json *j, const char *key, const char *otherwise) {
    const char *word = hpt__json_string(hpt__json_get(j, key));
    return word ? word : otherwise;
}

int main(void) {
    hpt__str text = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *j, *item;
    hpt_space *space;
    hpt__trials t;
    hpt__tpe_split split;
    read_all(&text);
    hpt__arena_init(&arena);
    must(hpt__json_parse(&j, &arena, hpt__str_text(&text), text.len) == 0, "input");
    must(hpt_space_create(&space) == 0, "space");
    item = hpt__json_get(j, "params");
    for (int64_t i = 0; i < item->a.n; i++)
        must(hpt__space_add_distribution(space, hpt__json_string(item->a.items[i]->a.items[0]),
                                         hpt__json_string(item->a.items[i]->a.items[1])) == 0,
             "distribution");
    const hpt__json *maximize = hpt__json_get(j, "maximize"), *liar = hpt__json_get(j, "constant_liar");
    must(hpt__trials_init(&t, space, 1, maximize->b ? HPT_MAXIMIZE : HPT_MINIMIZE) == 0, "table");
    item = hpt__json_get(j, "trials");
    hpt__tpe_groups partition;
    bool changed;
    must(hpt__tpe_groups_init(&partition, space, true) == 0, "groups");
    for (int64_t i = 0; i < item->a.n; i++) {
        add_trial(&t, item->a.items[i]);
        must(hpt__tpe_groups_update(&changed, &partition, &t) == 0, "groups");
    }
    hpt__tpe_split_init(&split);
    const hpt__tpe_split_rules rules = {.sign = maximize->b ? -1 : 1,
                                        .liar = liar->b,
                                        .failed = hpt__tpe_impute_of(word_or(j, "impute_failed", "none")),
                                        .running = hpt__tpe_impute_of(word_or(j, "impute_running", "none"))};
    const hpt__json *plain = hpt__json_get(j, "plain");
    must(hpt__tpe_split_make(&split, &t, t.n, &rules) == 0, "split");
    printf("{");
    print_rows("below", &split, t.n, HPT__TPE_BELOW);
    print_rows("above", &split, t.n, HPT__TPE_ABOVE);
    print_partition(&partition, space->d);
    printf("\"groups\": [");
    item = hpt__json_get(j, "groups");
    for (int64_t i = 0; i < item->a.n; i++) {
        if (i > 0) printf(", ");
        densities(space, &t, &split, item->a.items[i], plain && plain->b);
    }
    printf("]}\n");
    hpt__tpe_split_fini(&split);
    hpt__tpe_groups_fini(&partition);
    hpt__trials_fini(&t);
    hpt_space_destroy(space);
    hpt__arena_fini(&arena);
    hpt__str_fini(&text);
    return 0;
}
