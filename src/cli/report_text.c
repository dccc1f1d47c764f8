// SPDX-License-Identifier: Apache-2.0
// report_text.c: a study as one page of text: what was found, what mattered, where trials were pruned, what failed and
// why, where time went, where things are and how to go on.
//
// It is read from one copy of the study's numbers, so a study of 100,000 trials costs little more than opening it.
// Studies of other programs have no attributes of ours; what is not known is left out. Failures are grouped by their
// reason with numbers masked: what differs in a number only (a line, an address, a size) is one kind.
//
// Time: intervals of the trials that have both ends; "with trials running" is the length of their union, so a run that
// was interrupted over night does not count the night.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TOP = 5, FRONT_ROWS = 20, FRONT_PARAMS = 8, KINDS = 64, KINDS_SHOWN = 10, REASON_LEN = 200, BINS = 10 };

const char *const cli_report_attrs[CLI_REPORT_ATTRS] = {"hpt:by", "hpt:outcome", "hpt:reason"};

// ---- failures ------------------------------------------------------------------------------------------------

typedef struct kind {
    char key[REASON_LEN], example[REASON_LEN];
    int64_t n, first; // trials; number of the first one
} kind;

typedef struct kinds {
    kind items[KINDS];
    int n;
    int64_t others, total;
} kinds;

static void reason_of(char out[REASON_LEN], const hpt_table *t, int64_t row) {
    char outcome[32];
    if (cli_json_text(out, REASON_LEN, t->attrs[CLI_ATTR_REASON][row])) return;
    const bool known = cli_json_text(outcome, sizeof outcome, t->attrs[CLI_ATTR_OUTCOME][row]);
    snprintf(out, REASON_LEN, "%s", known ? outcome : "no reason is recorded");
}

// "exit code 3: the last line" -> "exit code 3"; a timeout's reason is its own number.
static void head_of(char out[REASON_LEN], const hpt_table *t, int64_t row) {
    char reason[REASON_LEN], outcome[32];
    cli_json_text(outcome, sizeof outcome, t->attrs[CLI_ATTR_OUTCOME][row]);
    reason_of(reason, t, row);
    const char *colon = strstr(reason, ": ");
    if (!strcmp(outcome, "timeout"))
        strcpy(out, outcome);
    else
        snprintf(out, REASON_LEN, "%.*s", (int)(colon ? colon - reason : (long)strlen(reason)), reason);
}

static int most_first(const void *a, const void *b) {
    const kind *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : (x->first > y->first) - (x->first < y->first);
}

static kinds *group(const hpt_table *t, bool heads) {
    kinds *g = calloc(1, sizeof *g);
    for (int64_t row = 0; g && row < t->n; row++) {
        char text[REASON_LEN], key[REASON_LEN];
        if (t->state[row] != HPT_TRIAL_FAIL) continue;
        g->total++;
        if (heads) {
            head_of(text, t, row);
            strcpy(key, text);
        } else {
            reason_of(text, t, row);
            cli_mask_numbers(key, sizeof key, text);
        }
        int i = 0;
        while (i < g->n && strcmp(g->items[i].key, key) != 0) i++;
        if (i == KINDS) {
            g->others++;
            continue;
        }
        kind *k = &g->items[i];
        if (i == g->n) {
            strcpy(k->key, key);
            strcpy(k->example, text);
            k->first = t->number[row];
            g->n++;
        }
        k->n++;
    }
    if (g) qsort(g->items, (size_t)g->n, sizeof *g->items, most_first);
    return g;
}

void cli_failure_summary(char *out, size_t size, const hpt_table *t) {
    enum { SHOWN = 6 };
    kinds *g = group(t, true);
    size_t n = 0;
    int64_t rest = g ? g->others : 0;
    out[0] = 0;
    for (int i = 0; g && i < g->n; i++) {
        char safe[REASON_LEN];
        if (i >= SHOWN || n + 100 > size) {
            rest += g->items[i].n;
            continue;
        }
        cli_safe(safe, sizeof safe, g->items[i].example, 60);
        n += (size_t)snprintf(out + n, size - n, "%s%lld %s", n ? ", " : "", (long long)g->items[i].n, safe);
    }
    if (rest && n < size) snprintf(out + n, size - n, ", %lld of other kinds", (long long)rest);
    free(g);
}

static void write_failures(FILE *f, const hpt_table *t, const char *where) {
    kinds *g = group(t, false);
    char safe[2 * REASON_LEN];
    if (!g || g->total == 0) {
        free(g);
        return;
    }
    fprintf(f, "\nFailures (%lld), by cause\n\n", (long long)g->total);
    int64_t rest = g->others;
    for (int i = 0; i < g->n; i++) {
        const kind *k = &g->items[i];
        if (i >= KINDS_SHOWN) {
            rest += k->n;
            continue;
        }
        cli_safe(safe, sizeof safe, k->example, 160);
        fprintf(f, "  %5lld x %s\n", (long long)k->n, safe);
        if (where) {
            struct stat st;
            char path[1200];
            snprintf(path, sizeof path, "%s/trials/%06lld/stderr.log", where, (long long)k->first);
            if (stat(path, &st) != 0 || st.st_size == 0)
                snprintf(path, sizeof path, "%s/trials/%06lld/stdout.log", where, (long long)k->first);
            if (stat(path, &st) == 0) fprintf(f, "          e.g. %s\n", path);
        } else {
            fprintf(f, "          e.g. trial %lld\n", (long long)k->first);
        }
    }
    if (rest) fprintf(f, "  %5lld x other causes\n", (long long)rest);
    free(g);
}

// ---- pruned --------------------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// How far pruned trials came: a line a step, or a line for each tenth of the range where there are many steps.
static void write_pruned(FILE *f, const hpt_table *t) {
    int64_t n = 0, unknown = 0, distinct = 0;
    double *steps = calloc((size_t)t->n + 1, sizeof *steps);
    for (int64_t row = 0; steps && row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_PRUNED) continue;
        if (t->last_step[row] >= 0)
            steps[n++] = (double)t->last_step[row];
        else
            unknown++;
    }
    if (n + unknown > 0) fprintf(f, "\nPruned (%lld), by the step of their last report\n\n", (long long)(n + unknown));
    if (n > 0) {
        qsort(steps, (size_t)n, sizeof *steps, ascending);
        for (int64_t i = 0; i < n; i++) distinct += i == 0 || steps[i] != steps[i - 1];
        const double low = steps[0], width = distinct <= BINS ? 0 : ceil((steps[n - 1] - low + 1) / BINS);
        for (int64_t i = 0; i < n;) {
            const double from = width > 0 ? low + floor((steps[i] - low) / width) * width : steps[i];
            const double to = width > 0 ? from + width - 1 : from;
            int64_t j = i;
            while (j < n && steps[j] <= to) j++;
            if (to > from)
                fprintf(f, "  step %6.0f to %.0f: %lld\n", from, to, (long long)(j - i));
            else
                fprintf(f, "  step %6.0f: %lld\n", from, (long long)(j - i));
            i = j;
        }
    }
    if (unknown) fprintf(f, "  without a report: %lld\n", (long long)unknown);
    free(steps);
}

// ---- time ----------------------------------------------------------------------------------------------------

typedef struct span {
    double start, end;
} span;

static int by_start(const void *a, const void *b) {
    return ascending(&((const span *)a)->start, &((const span *)b)->start);
}

static void write_time(FILE *f, const hpt_table *t) {
    span *spans = calloc((size_t)t->n + 1, sizeof *spans);
    double *seconds = calloc((size_t)t->n + 1, sizeof *seconds), busy = 0, alive = 0, until = -INFINITY;
    int64_t n = 0;
    for (int64_t row = 0; spans && seconds && row < t->n; row++)
        if (t->end[row] >= t->start[row]) spans[n++] = (span){t->start[row], t->end[row]};
    if (n == 0) goto out;
    qsort(spans, (size_t)n, sizeof *spans, by_start);
    for (int64_t i = 0; i < n; i++) {
        seconds[i] = spans[i].end - spans[i].start;
        busy += seconds[i];
        if (spans[i].end <= until) continue;
        alive += spans[i].end - fmax(spans[i].start, until);
        until = spans[i].end;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    char a[24], b[24], text[4][32];
    fprintf(f, "  time      %s with trials running, %s summed over trials", cli_duration(a, alive),
            cli_duration(b, busy));
    if (alive > 0) fprintf(f, ": %.1f at once on average", busy / alive);
    const int64_t at[] = {n / 10, n / 2, n - 1 - n / 10, n - 1};
    for (int i = 0; i < 4; i++) cli_general(text[i], seconds[at[i]], 3);
    fprintf(f, "\n  a trial   median %s s, 10%% below %s s, 10%% above %s s, longest %s s\n", text[1], text[0], text[2],
            text[3]);
out:
    free(spans);
    free(seconds);
}

// ---- results -------------------------------------------------------------------------------------------------

static const hpt_table *sorted; // what best_first looks at: qsort hands nothing through
static double sign;

static int best_first(const void *a, const void *b) {
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    const double x = sign * sorted->values[i * sorted->k], y = sign * sorted->values[j * sorted->k];
    if (x != y) return x < y ? -1 : 1;
    return (sorted->number[i] > sorted->number[j]) - (sorted->number[i] < sorted->number[j]);
}

static void write_best(FILE *f, const hpt_table *t, bool maximize) {
    static const char *columns[TOP + 1] = {"", ">1st", ">2nd", ">3rd", ">4th", ">5th"};
    int64_t n = 0, infeasible = 0, *rows = calloc((size_t)t->n + 1, sizeof *rows);
    for (int64_t row = 0; rows && row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_COMPLETE || isnan(t->values[row])) continue;
        if (t->feasible[row])
            rows[n++] = row;
        else
            infeasible++;
    }
    if (infeasible)
        fprintf(f, "  %lld completed trials break a constraint and are left out below\n", (long long)infeasible);
    if (n == 0) {
        free(rows);
        return;
    }
    sorted = t;
    sign = maximize ? -1 : 1;
    qsort(rows, (size_t)n, sizeof *rows, best_first);
    const int64_t top = n < TOP ? n : TOP;
    fprintf(f, "\nBest configurations\n\n");
    cli_table *out = cli_table_new(columns, (int)top + 1);
    char cell[32];
    cli_table_add(out, "  value");
    for (int64_t r = 0; r < top; r++) cli_table_add(out, cli_general(cell, t->values[rows[r]], 8));
    cli_table_add(out, "  trial");
    for (int64_t r = 0; r < top; r++) cli_table_addf(out, "%lld", (long long)t->number[rows[r]]);
    for (int64_t i = 0; i < t->d; i++) {
        cli_table_addf(out, "  %s", t->names[i]);
        for (int64_t r = 0; r < top; r++) cli_table_add(out, cli_cell(cell, t, i, rows[r], false));
    }
    cli_table_print(out, CLI_TABLE, f);
    free(rows);
}

// The non-dominated trials, along the first objective.
static int write_front(FILE *f, hpt_study *study, const hpt_table *t) {
    hpt_trial **front = NULL;
    int64_t n = 0, m = 0;
    int rc = hpt_study_pareto(&front, &n, study);
    if (rc < 0) return rc;
    int64_t *rows = calloc((size_t)n + 1, sizeof *rows);
    for (int64_t row = 0; rows && row < t->n && m < n; row++) // both are in order of numbers
        if (t->number[row] == hpt_trial_number(front[m])) rows[m++] = row;
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(front[i]);
    hpt_free(front);
    const int64_t d = t->d <= FRONT_PARAMS ? t->d : 0, shown = m < FRONT_ROWS ? m : FRONT_ROWS;
    const char **columns = calloc((size_t)(1 + t->k + d), sizeof *columns);
    char(*names)[CLI_OBJECTIVE_MAX] = calloc((size_t)t->k, sizeof *names);
    if (rows && columns && names && m > 0) {
        char cell[32];
        sorted = t;
        sign = 1;
        qsort(rows, (size_t)m, sizeof *rows, best_first);
        columns[0] = ">  trial";
        for (int64_t j = 0; j < t->k; j++) {
            cli_objective_column(names[j], t, j);
            columns[1 + j] = names[j];
        }
        for (int64_t i = 0; i < d; i++) columns[1 + t->k + i] = t->names[i];
        fprintf(f, "\nPareto set: %lld trials that no other one beats in every objective%s\n\n", (long long)m,
                m > shown ? " (a selection; `hpt best` lists all)" : "");
        cli_table *out = cli_table_new(columns, (int)(1 + t->k + d));
        for (int64_t i = 0; i < shown; i++) { // both ends and evenly between
            const int64_t row = rows[shown > 1 ? i * (m - 1) / (shown - 1) : 0];
            cli_table_addf(out, "%lld", (long long)t->number[row]);
            for (int64_t j = 0; j < t->k; j++) cli_table_add(out, cli_general(cell, t->values[row * t->k + j], 8));
            for (int64_t p = 0; p < d; p++) cli_table_add(out, cli_cell(cell, t, p, row, false));
        }
        cli_table_print(out, CLI_TABLE, f);
    }
    free(rows);
    free(columns);
    free(names);
    return HPT_OK;
}

// ---- the whole -----------------------------------------------------------------------------------------------

// "tpe 80, random 20"; "" where nothing says what chose the points.
static void chosen_by(char *out, size_t size, const hpt_table *t) {
    enum { NAMES = 16 };
    struct {
        char name[48];
        int64_t n;
    } seen[NAMES];
    int n_seen = 0;
    size_t n = 0;
    const char *last = NULL; // texts that are equal are one pointer (hpt_study_table)
    int at = 0;
    out[0] = 0;
    for (int64_t row = 0; row < t->n; row++) {
        char name[48];
        const char *json = t->attrs[CLI_ATTR_BY][row];
        if (!json) continue;
        if (json != last || !n_seen) {
            if (!cli_json_text(name, sizeof name, json)) continue;
            for (at = 0; at < n_seen && strcmp(seen[at].name, name) != 0;) at++;
            if (at == NAMES) continue;
            if (at == n_seen) {
                strcpy(seen[n_seen].name, name);
                seen[n_seen++].n = 0;
            }
            last = json;
        }
        seen[at].n++;
    }
    for (int i = 0; i < n_seen && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s %lld", i ? ", " : "", seen[i].name, (long long)seen[i].n);
}

static void write_head(FILE *f, hpt_study *study, const hpt_table *t) {
    int64_t counts[5] = {0};
    char name[2100], by[400];
    for (int64_t row = 0; row < t->n; row++)
        if (t->state[row] < 5) counts[t->state[row]]++;
    cli_safe(name, sizeof name, hpt_study_name(study), 500);
    fprintf(f, "Study %s\n\n  goal      ", name);
    for (int64_t j = 0; j < t->k; j++)
        fprintf(f, "%s%s", j ? ", " : "", hpt_study_direction(study, j) == HPT_MAXIMIZE ? "maximize" : "minimize");
    fprintf(f, "\n  trials    %lld: %lld completed, %lld pruned, %lld failed, %lld running, %lld waiting\n",
            (long long)t->n, (long long)counts[HPT_TRIAL_COMPLETE], (long long)counts[HPT_TRIAL_PRUNED],
            (long long)counts[HPT_TRIAL_FAIL], (long long)counts[HPT_TRIAL_RUNNING],
            (long long)counts[HPT_TRIAL_WAITING]);
    write_time(f, t);
    chosen_by(by, sizeof by, t);
    if (by[0])
        fprintf(f, "  sampler   %s (points by: %s)\n  pruner    %s\n  seed      %llu\n", hpt_study_sampler(study), by,
                hpt_study_pruner(study), (unsigned long long)hpt_study_seed(study));
    else if (t->n > 0)
        fprintf(f, "  sampler   not recorded: the trials were made by another program\n");
    else
        fprintf(f, "  no trial was made yet\n");
}

static void write_where(FILE *f, hpt_study *study, const char *where) {
    char name[2100], url[2100];
    cli_safe(name, sizeof name, hpt_study_name(study), 500);
    cli_safe(url, sizeof url, hpt_study_storage(study), 500);
    fprintf(f, "\nWhere everything is\n\n  study     %s, name %s\n", url, name);
    if (where) fprintf(f, "  run       %s\n  logs      %s/trials/NUMBER/{stdout,stderr}.log\n", where, where);
    fprintf(f, "\nHow to go on\n\n");
    if (where) {
        fprintf(f, "  hpt resume %s                more of the same sweep (--trials N raises its number)\n", where);
        fprintf(f, "  hpt trials --run %s          all trials; --sort value -n 20: the best ones\n", where);
        fprintf(f, "  hpt export --run %s -f csv   everything for other programs\n", where);
    } else {
        fprintf(f, "  hpt trials --storage '%s' --study '%s'\n", url, name);
        fprintf(f, "  hpt export --storage '%s' --study '%s' -f csv\n", url, name);
    }
    fprintf(f, "  Python: optuna.load_study(study_name='%s', storage='%s')\n", name, url);
}

int cli_report_write(FILE *f, hpt_study *study, const char *where) {
    hpt_table *t = NULL;
    int rc = hpt_study_table(&t, study, cli_report_attrs, CLI_REPORT_ATTRS);
    if (rc < 0) return rc;
    write_head(f, study, t);
    if (t->k == 1)
        write_best(f, t, hpt_study_direction(study, 0) == HPT_MAXIMIZE);
    else
        rc = write_front(f, study, t);
    for (int64_t j = 0; j < t->k; j++) cli_write_effects(f, t, j, hpt_study_direction(study, j) == HPT_MAXIMIZE);
    write_pruned(f, t);
    write_failures(f, t, where);
    write_where(f, study, where);
    hpt_table_destroy(t);
    if (rc < 0) return rc;
    return ferror(f) ? HPT_E_IO : HPT_OK;
}
