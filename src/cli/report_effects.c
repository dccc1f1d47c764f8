// SPDX-License-Identifier: Apache-2.0
// report_effects.c: which parameters went together with good values.
//
// Spearman's rank correlation between a parameter and an objective over completed trials that have the parameter; for
// categories the correlation ratio eta of the objective's ranks (Fisher: share of the variance between groups, as a
// root), which has no sign. Ties share their average rank. A correlation says what went together in this sample, not
// what would happen elsewhere. Cost: one sort a parameter.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_TRIALS = 5, NAME_COLUMNS = 40 };

typedef struct pair {
    double key;
    int64_t index;
} pair;

static int by_key(const void *a, const void *b) {
    double x = ((const pair *)a)->key, y = ((const pair *)b)->key;
    return (x > y) - (x < y);
}

// Average ranks, 1..n. scratch: n pairs.
static void ranks(double *out, const double *x, int64_t n, pair *scratch) {
    for (int64_t i = 0; i < n; i++) scratch[i] = (pair){x[i], i};
    qsort(scratch, (size_t)n, sizeof *scratch, by_key);
    for (int64_t i = 0; i < n;) {
        int64_t j = i;
        while (j + 1 < n && scratch[j + 1].key == scratch[i].key) j++;
        for (int64_t k = i; k <= j; k++) out[scratch[k].index] = 0.5 * (double)(i + j) + 1;
        i = j + 1;
    }
}

static double correlation(const double *a, const double *b, int64_t n) {
    double ma = 0, mb = 0, saa = 0, sbb = 0, sab = 0;
    for (int64_t i = 0; i < n; i++) ma += a[i] / (double)n, mb += b[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        saa += (a[i] - ma) * (a[i] - ma);
        sbb += (b[i] - mb) * (b[i] - mb);
        sab += (a[i] - ma) * (b[i] - mb);
    }
    return saa > 0 && sbb > 0 ? sab / sqrt(saa * sbb) : NAN;
}

// category holds whole numbers >= 0; sums: room for two numbers a category.
static double correlation_ratio(const double *category, const double *rank, int64_t n, double *sums, int64_t n_cat) {
    double mean = 0, total = 0, between = 0;
    memset(sums, 0, (size_t)(2 * n_cat) * sizeof *sums);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = (int64_t)category[i];
        mean += rank[i] / (double)n;
        sums[2 * c] += rank[i];
        sums[2 * c + 1] += 1;
    }
    for (int64_t i = 0; i < n; i++) total += (rank[i] - mean) * (rank[i] - mean);
    for (int64_t c = 0; c < n_cat; c++) {
        double m = sums[2 * c + 1];
        if (m > 0) between += m * (sums[2 * c] / m - mean) * (sums[2 * c] / m - mean);
    }
    return total > 0 ? sqrt(between / total) : NAN;
}

typedef struct effect {
    const char *name;
    double strength; // sign: does the value grow with the parameter; categories: no sign
    bool category;
    int64_t n;
} effect;

static int strongest_first(const void *a, const void *b) {
    double x = fabs(((const effect *)a)->strength), y = fabs(((const effect *)b)->strength);
    return (x < y) - (x > y);
}

static bool counts(const hpt_table *t, int64_t row, int64_t objective) {
    return t->state[row] == HPT_TRIAL_COMPLETE && !isnan(t->values[row * t->k + objective]);
}

static void print(FILE *f, effect *effects, int64_t n, const hpt_table *t, int64_t objective, bool maximize) {
    char of[CLI_OBJECTIVE_MAX + 16] = "the objective", column[CLI_OBJECTIVE_MAX], name[4 * NAME_COLUMNS + 4];
    int width = 0;
    if (t->k > 1 && t->metric_names) {
        cli_objective_column(column, t, objective);
        cli_safe(of, sizeof of, column + 1, NAME_COLUMNS);
    } else if (t->k > 1) {
        snprintf(of, sizeof of, "objective %lld", (long long)objective);
    }
    fprintf(f, "\nWhat went together with %s (rank correlation over completed trials)\n\n", of);
    qsort(effects, (size_t)n, sizeof *effects, strongest_first);
    for (int64_t i = 0; i < n; i++) {
        cli_safe(name, sizeof name, effects[i].name, NAME_COLUMNS);
        if (cli_columns(name) > width) width = cli_columns(name);
    }
    for (int64_t i = 0; i < n; i++) {
        const effect *e = &effects[i];
        const bool better_up = (e->strength > 0) == maximize;
        cli_safe(name, sizeof name, e->name, NAME_COLUMNS);
        fprintf(f, "  %s%*s  %4.2f  %-18s  (%lld trials)\n", name, width - cli_columns(name), "", fabs(e->strength),
                fabs(e->strength) < 0.1 ? (e->category ? "no clear choice" : "no clear direction")
                : e->category           ? "choice matters"
                : better_up             ? "higher was better"
                                        : "lower was better",
                (long long)e->n);
    }
}

void cli_write_effects(FILE *f, const hpt_table *t, int64_t objective, bool maximize) {
    int64_t n = 0, shown = 0;
    for (int64_t row = 0; row < t->n; row++) n += counts(t, row, objective);
    if (n < LEAST_TRIALS) return;
    double *x = calloc((size_t)n * 5, sizeof *x), *y = x + n, *rx = y + n, *ry = rx + n, *all = ry + n;
    pair *scratch = calloc((size_t)n, sizeof *scratch);
    effect *effects = calloc((size_t)t->d + 1, sizeof *effects);
    bool have_all = false; // all: the objective's ranks when every trial has the parameter, the usual case
    for (int64_t i = 0; x && scratch && effects && i < t->d; i++) {
        const int64_t n_choices = t->n_choices[i];
        int64_t m = 0;
        for (int64_t row = 0; row < t->n; row++) {
            const double v = t->params[i][row];
            if (!counts(t, row, objective) || isnan(v) || (n_choices && !(v >= 0 && v < (double)n_choices))) continue;
            x[m] = v;
            y[m++] = t->values[row * t->k + objective];
        }
        if (m < LEAST_TRIALS || n_choices == 1) continue;
        const double *r = ry;
        if (m == n && have_all) {
            r = all;
        } else {
            ranks(ry, y, m, scratch);
            if (m == n) memcpy(all, ry, (size_t)n * sizeof *all), have_all = true;
        }
        double s = NAN;
        if (n_choices == 0) {
            ranks(rx, x, m, scratch);
            s = correlation(rx, r, m);
        } else {
            double *sums = calloc((size_t)n_choices * 2, sizeof *sums);
            if (sums) s = correlation_ratio(x, r, m, sums, n_choices);
            free(sums);
        }
        if (!isnan(s)) effects[shown++] = (effect){t->names[i], s, n_choices > 0, m};
    }
    if (shown) print(f, effects, shown, t, objective, maximize);
    free(x);
    free(scratch);
    free(effects);
}
