// SPDX-License-Identifier: Apache-2.0
// top_data.c: what `hpt top` shows, put together from two sources: the run itself says who holds which share
// (hpt_monitor), the study has states, reports and results. The study alone is enough where no run answers.
//
// The rate is that of the last five minutes, or of the run while it is younger.
#include "top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double RATE_SECONDS = 300;
static const char *const ATTRS[] = {"hpt:outcome", "hpt:use", "hpt:attempts"};
enum { OUTCOME, USE, ATTEMPTS, N_ATTRS };

static double now_utc(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static top_trial *add(top_data *d) {
    if (d->n == d->cap) {
        const int64_t cap = 2 * d->cap + 32;
        top_trial *trials = realloc(d->trials, (size_t)cap * sizeof *trials);
        if (!trials) return NULL;
        d->trials = trials;
        d->cap = cap;
    }
    top_trial *t = &d->trials[d->n++];
    *t = (top_trial){.slot = -1,
                     .share = NAN,
                     .cores = NAN,
                     .gpu_granted = NAN,
                     .gpu_used = NAN,
                     .memory_granted = NAN,
                     .memory_used = NAN,
                     .seconds = NAN,
                     .value = NAN,
                     .step = -1};
    return t;
}

// ---- one trial

static double use_number(const char *use, const char *key) {
    const char *at = cli_use_of(use, key);
    return at ? strtod(at, NULL) : NAN;
}

static void use_text(char *out, size_t size, const char *use, const char *key) {
    char text[400];
    const char *at = cli_use_of(use, key);
    out[0] = 0;
    if (at && cli_json_text(text, sizeof text, at)) cli_safe(out, size, text, (int)size - 4);
}

static void set_use(top_trial *t, const char *use) {
    use_text(t->device, sizeof t->device, use, "gpus");
    use_text(t->tier, sizeof t->tier, use, "tier");
    t->share = use_number(use, "gpu");
    t->cores = use_number(use, "cpu");
    t->gpu_granted = use_number(use, "gpu_memory");
    t->memory_granted = use_number(use, "memory");
    t->memory_used = use_number(use, "peak_memory");
}

static void set_report(top_trial *t, const hpt_table *table, int64_t row) {
    t->step = table->last_step[row];
    t->value = table->last_value[row];
    if (table->state[row] == HPT_TRIAL_COMPLETE) t->value = table->values[row * table->k];
}

static int64_t find_row(const hpt_table *table, int64_t number) {
    if (number >= 0 && number < table->n && table->number[number] == number) return number; // nearly always
    for (int64_t row = 0; row < table->n; row++)
        if (table->number[row] == number) return row;
    return -1;
}

static bool add_running(top_data *d, const hpt_table *table, const hpt_run_process *p) {
    const int64_t row = find_row(table, p->number);
    top_trial *t = add(d);
    if (!t) return false;
    set_use(t, p->use);
    t->number = p->number;
    t->attempt = p->attempt;
    t->slot = p->slot;
    t->here = p->slot >= 0;
    t->seconds = p->seconds;
    strcpy(t->state, !t->here ? "queued" : p->stopping ? "stopping" : "running");
    if (p->gpu_bytes >= 0) t->gpu_used = (double)p->gpu_bytes;
    if (p->host_bytes >= 0) t->memory_used = (double)p->host_bytes;
    if (row >= 0) set_report(t, table, row);
    return true;
}

// The engine wrote the list of attempts: one object with an "outcome" each, the last one's included.
static int64_t attempts_of(const char *json) {
    int64_t n = 0;
    for (const char *at = json; at && (at = strstr(at, "\"outcome\"")) != NULL; at++) n++;
    return n > 0 ? n - 1 : 0;
}

static bool add_other(top_data *d, const hpt_table *table, int64_t row, double now) {
    top_trial *t = add(d);
    char outcome[sizeof t->state];
    if (!t) return false;
    const bool running = table->state[row] == HPT_TRIAL_RUNNING;
    set_use(t, table->attrs[USE][row]);
    t->number = table->number[row];
    t->attempt = attempts_of(table->attrs[ATTEMPTS][row]);
    set_report(t, table, row);
    if (!running) t->seconds = table->end[row] - table->start[row];
    if (running && d->view->going) t->seconds = now - table->start[row];
    if (running) // by someone else who shares the study, by a run that does not answer, or by nobody
        strcpy(t->state, !d->view->going ? "left" : d->view->answered ? "elsewhere" : "running");
    else if (cli_json_text(outcome, sizeof outcome, table->attrs[OUTCOME][row]))
        cli_safe(t->state, sizeof t->state, outcome, (int)sizeof t->state - 4);
    else
        strcpy(t->state, table->state[row] == HPT_TRIAL_COMPLETE ? "done"
                         : table->state[row] == HPT_TRIAL_PRUNED ? "pruned"
                                                                 : "failed");
    return true;
}

// ---- all of them

static bool is_known(const hpt_run_view *v, int64_t number) {
    for (int64_t i = 0; i < v->n_trials; i++)
        if (v->trials[i].number == number) return true;
    return false;
}

static bool is_ended(const hpt_table *t, int64_t row) {
    return t->state[row] != HPT_TRIAL_RUNNING && t->state[row] != HPT_TRIAL_WAITING && !isnan(t->end[row]);
}

static bool add_trials(top_data *d, const hpt_table *table, double now) {
    int64_t last[TOP_ENDED], n = 0;
    bool good = true;
    for (int64_t i = 0; good && i < d->view->n_trials; i++) good = add_running(d, table, &d->view->trials[i]);
    for (int64_t row = 0; good && row < table->n; row++) {
        if (table->state[row] == HPT_TRIAL_RUNNING && !is_known(d->view, table->number[row])) {
            good = add_other(d, table, row, now);
            d->n_left += !d->view->going;
        }
        if (!is_ended(table, row)) continue;
        int64_t at = n;
        while (at > 0 && table->end[last[at - 1]] < table->end[row]) at--;
        if (at == TOP_ENDED || is_known(d->view, table->number[row])) continue; // ended since the run was asked
        if (n < TOP_ENDED) n++;
        memmove(last + at + 1, last + at, (size_t)(n - 1 - at) * sizeof *last);
        last[at] = row;
    }
    for (int64_t i = 0; good && i < n; i++) good = add_other(d, table, last[i], now);
    return good;
}

static void set_times(top_data *d, const hpt_table *t, double now) {
    double first = INFINITY, last = -INFINITY;
    int64_t n = 0;
    for (int64_t row = 0; row < t->n; row++) {
        first = fmin(first, t->start[row]);
        if (is_ended(t, row)) last = fmax(last, t->end[row]);
    }
    const bool going = d->view->going;
    d->elapsed = going && d->view->answered ? d->view->elapsed : isfinite(first) ? (going ? now : last) - first : NAN;
    d->since = isfinite(last) ? fmax(now - last, 0) : NAN;
    const double window = going ? fmin(RATE_SECONDS, d->elapsed) : d->elapsed, until = going ? now : last;
    for (int64_t row = 0; row < t->n; row++) n += is_ended(t, row) && t->end[row] >= until - window;
    d->per_minute = window > 0 ? 60 * (double)n / window : NAN;
}

static int set_best(top_data *d, hpt_study *study) {
    hpt_trial *best = NULL;
    const double *values;
    int64_t n = 0;
    d->best = NAN;
    if (d->n_objectives != 1) return 0;
    int rc = hpt_study_best(&best, study);
    if (rc == HPT_E_NOT_FOUND) return 0;
    if (rc == 0) rc = hpt_trial_values(&values, &n, best);
    if (rc == 0 && n > 0) {
        d->best = values[0];
        d->best_number = hpt_trial_number(best);
    }
    hpt_trial_destroy(best);
    return rc;
}

int top_collect(top_data *d, hpt_monitor *monitor, hpt_study *study) {
    hpt_table *table = NULL;
    int rc = hpt_monitor_look(&d->view, monitor);
    if (rc == 0) rc = hpt_study_table(&table, study, ATTRS, N_ATTRS);
    if (rc < 0) return rc;
    const double now = now_utc();
    const char *metric = hpt_study_metric_name(study, 0);
    d->n = d->n_left = 0;
    d->n_objectives = hpt_study_n_directions(study);
    cli_safe(d->study, sizeof d->study, d->view->study, TOP_NAME - 8);
    cli_safe(d->metric, sizeof d->metric, metric && d->n_objectives == 1 ? metric : "value", 16);
    memset(d->counts, 0, sizeof d->counts);
    for (int64_t row = 0; row < table->n; row++)
        if (table->state[row] < 5) d->counts[table->state[row]]++;
    set_times(d, table, now);
    if (!add_trials(d, table, now)) rc = HPT_E_MEMORY;
    if (rc == 0) rc = set_best(d, study);
    hpt_table_destroy(table);
    return rc;
}

void top_data_fini(top_data *d) {
    free(d->trials);
}
