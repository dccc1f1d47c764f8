// SPDX-License-Identifier: Apache-2.0
// report_text.c: a study as one page of text: what was found, what mattered, what failed and why, where things are.
//
// "What mattered" is Spearman's rank correlation between a parameter and the objective over completed trials that have
// the parameter (for categories: the correlation ratio of the ranks, eta, which is at least 0). A correlation says
// which parameters went together with good values in this sample, not what would happen elsewhere.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOP = 5, CAUSES = 32 };

typedef struct row {
    hpt_trial *trial;
    double value;
} row;

static bool maximize;

static int best_first(const void *a, const void *b) {
    double x = ((const row *)a)->value, y = ((const row *)b)->value;
    return maximize ? (x < y) - (x > y) : (x > y) - (x < y);
}

typedef struct pair {
    double key;
    int64_t index;
} pair;

static int by_key(const void *a, const void *b) {
    double x = ((const pair *)a)->key, y = ((const pair *)b)->key;
    return (x > y) - (x < y);
}

// Average ranks (ties share theirs), 1..n. scratch: n pairs.
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

// Share of the ranks' variance that lies between categories, as a root: 0 no difference, 1 all of it. category holds
// whole numbers >= 0; sums: room for two numbers a category.
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

static void write_effects(FILE *f, const hpt_space *space, const row *rows, int64_t n) {
    int64_t d = hpt_space_size(space), shown = 0;
    double *x = calloc((size_t)n * 4 + 1, sizeof *x), *y = x + n, *rx = y + n, *ry = rx + n;
    pair *scratch = calloc((size_t)n + 1, sizeof *scratch);
    effect *effects = calloc((size_t)d + 1, sizeof *effects);
    for (int64_t i = 0; x && scratch && effects && i < d; i++) {
        const char *name = hpt_space_name(space, i);
        int64_t m = 0, category, n_categories = 0;
        bool is_category = false;
        for (int64_t r = 0; r < n; r++) {
            if (!hpt_trial_has(rows[r].trial, name)) continue;
            if (hpt_trial_get_category(&category, rows[r].trial, name) == 0) {
                x[m] = (double)category;
                is_category = true;
                if (category >= n_categories) n_categories = category + 1;
            } else if (hpt_trial_get_float(&x[m], rows[r].trial, name) < 0) {
                continue;
            }
            y[m++] = rows[r].value;
        }
        if (m < 5) continue;
        ranks(ry, y, m, scratch);
        ranks(rx, x, m, scratch);
        double s = NAN;
        if (!is_category) {
            s = correlation(rx, ry, m);
        } else {
            double *sums = calloc((size_t)n_categories * 2, sizeof *sums);
            if (sums && n_categories > 1) s = correlation_ratio(x, ry, m, sums, n_categories);
            free(sums);
        }
        if (!isnan(s)) effects[shown++] = (effect){name, s, is_category, m};
    }
    if (shown) {
        qsort(effects, (size_t)shown, sizeof *effects, strongest_first);
        fprintf(f, "\nWhat went together with the objective (rank correlation over completed trials)\n\n");
        for (int64_t i = 0; i < shown; i++) {
            const effect *e = &effects[i];
            bool better_up = (e->strength > 0) == maximize;
            fprintf(f, "  %-24s %5.2f  %-19s (%lld trials)\n", e->name, fabs(e->strength),
                    e->category               ? "choice matters"
                    : fabs(e->strength) < 0.1 ? "no clear direction"
                    : better_up               ? "higher was better"
                                              : "lower was better",
                    (long long)e->n);
        }
    }
    free(x);
    free(scratch);
    free(effects);
}

typedef struct cause {
    char text[200];
    int64_t n, first;
} cause;

static void write_failures(FILE *f, const row *rows, int64_t n, const char *where) {
    cause causes[CAUSES];
    int n_causes = 0;
    int64_t others = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *json = NULL;
        char text[200] = "told as failed";
        if (hpt_trial_get_attr(&json, rows[i].trial, "hpt:reason") == 0 && json && json[0] == '"') {
            snprintf(text, sizeof text, "%s", json + 1);
            size_t len = strlen(text);
            if (len && text[len - 1] == '"') text[len - 1] = 0;
        }
        int c = 0;
        while (c < n_causes && strcmp(causes[c].text, text) != 0) c++;
        if (c == CAUSES) {
            others++;
            continue;
        }
        if (c == n_causes) {
            memcpy(causes[c].text, text, sizeof text);
            causes[c].n = 0;
            causes[c].first = hpt_trial_number(rows[i].trial);
            n_causes++;
        }
        causes[c].n++;
    }
    if (!n) return;
    fprintf(f, "\nFailures (%lld), by cause\n\n", (long long)n);
    for (int c = 0; c < n_causes; c++) {
        fprintf(f, "  %4lld x %s\n", (long long)causes[c].n, causes[c].text);
        if (where) fprintf(f, "         first: %s/trials/%06lld/\n", where, (long long)causes[c].first);
    }
    if (others) fprintf(f, "  %4lld x other causes\n", (long long)others);
}

static void write_best(FILE *f, const hpt_space *space, const row *rows, int64_t n) {
    int64_t top = n < TOP ? n : TOP;
    fprintf(f, "\nBest configurations\n\n");
    static const char *columns[TOP + 1] = {"", ">1st", ">2nd", ">3rd", ">4th", ">5th"};
    cli_table *t = cli_table_new(columns, (int)top + 1);
    cli_table_add(t, "  value");
    for (int64_t r = 0; r < top; r++) cli_table_addf(t, "%.8g", rows[r].value);
    cli_table_add(t, "  trial");
    for (int64_t r = 0; r < top; r++) cli_table_addf(t, "%lld", (long long)hpt_trial_number(rows[r].trial));
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const char *name = hpt_space_name(space, i);
        char cell[32];
        cli_table_addf(t, "  %s", name);
        for (int64_t r = 0; r < top; r++) cli_table_add(t, cli_param(cell, rows[r].trial, name));
    }
    cli_table_print(t, CLI_TABLE, f);
}

int cli_report_write(FILE *f, hpt_study *study, const char *where) {
    int64_t counts[5], total = 0, n_done = 0, n_failed = 0;
    double first = NAN, last = NAN, busy = 0;
    int rc = hpt_study_counts(counts, study);
    if (rc < 0) return rc;
    for (int i = 0; i < 5; i++) total += counts[i];
    row *done = calloc((size_t)total + 1, sizeof *done), *failed = calloc((size_t)total + 1, sizeof *failed);
    bool single = hpt_study_n_directions(study) == 1;
    maximize = hpt_study_direction(study, 0) == HPT_MAXIMIZE;
    for (int64_t i = 0; done && failed && i < total; i++) {
        hpt_trial *trial;
        const double *values;
        int64_t n_values;
        double start, end;
        if (hpt_study_trial(&trial, study, i) < 0) continue;
        if (hpt_trial_times(&start, &end, trial) == 0) {
            if (!(first <= start)) first = isnan(start) ? first : start;
            if (!(last >= end)) last = isnan(end) ? last : end;
            if (!isnan(end - start)) busy += end - start;
        }
        hpt_trial_state state = hpt_trial_get_state(trial);
        if (state == HPT_TRIAL_COMPLETE && hpt_trial_values(&values, &n_values, trial) == 0 && n_values)
            done[n_done++] = (row){trial, values[0]};
        else if (state == HPT_TRIAL_FAIL)
            failed[n_failed++] = (row){trial, NAN};
        else
            hpt_trial_destroy(trial);
    }
    char wall[24], sum[24];
    fprintf(f, "Study %s\n\n", hpt_study_name(study));
    if (single) fprintf(f, "  goal      %s\n", maximize ? "maximize" : "minimize");
    fprintf(f, "  trials    %lld: %lld completed, %lld pruned, %lld failed, %lld running, %lld waiting\n",
            (long long)total, (long long)counts[HPT_TRIAL_COMPLETE], (long long)counts[HPT_TRIAL_PRUNED],
            (long long)counts[HPT_TRIAL_FAIL], (long long)counts[HPT_TRIAL_RUNNING],
            (long long)counts[HPT_TRIAL_WAITING]);
    fprintf(f, "  time      %s from first start to last end, %s summed over trials\n", cli_duration(wall, last - first),
            cli_duration(sum, busy));
    fprintf(f, "  sampler   %s\n  pruner    %s\n  seed      %llu\n", hpt_study_sampler(study), hpt_study_pruner(study),
            (unsigned long long)hpt_study_seed(study));
    if (single && n_done) {
        qsort(done, (size_t)n_done, sizeof *done, best_first);
        write_best(f, hpt_study_space(study), done, n_done);
        write_effects(f, hpt_study_space(study), done, n_done);
    }
    write_failures(f, failed, n_failed, where);
    fprintf(f, "\nWhere everything is\n\n  study     %s, name %s\n", hpt_study_storage(study), hpt_study_name(study));
    if (where) fprintf(f, "  run       %s\n  logs      %s/trials/NUMBER/{stdout,stderr}.log\n", where, where);
    for (int64_t i = 0; i < n_done; i++) hpt_trial_destroy(done[i].trial);
    for (int64_t i = 0; i < n_failed; i++) hpt_trial_destroy(failed[i].trial);
    free(done);
    free(failed);
    return ferror(f) ? HPT_E_IO : HPT_OK;
}
