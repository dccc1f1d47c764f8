// SPDX-License-Identifier: Apache-2.0
// report_spans.c: when which trial held which device, from what is stored with the trials.
//
// A trial that `hpt run` ran says how long its last attempt took (hpt:use) and ended when the study says; earlier attempts are
// listed (hpt:attempts). Trials of other programs count from start to end. One that runs now is drawn until now, if the run
// says so. A lane is one of the places of a device: every span takes the lowest one that is free, which is how the
// scheduler numbers its slots, so the number of lanes is the most that ran at once.
#include "report_html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const html_attrs[HTML_ATTRS] = {"hpt:outcome", "hpt:use", "hpt:attempts"};
enum { GROUPS_MAX = 4097 };
static const double SAME_MOMENT = 0.005; // seconds: one ends, the next one begins

static span_kind kind_of(const char *outcome, int state) {
    static const struct {
        const char *name;
        span_kind kind;
    } known[] = {{"timeout", SPAN_TIMEOUT}, {"oom-gpu", SPAN_OOM},   {"oom-host", SPAN_OOM},
                 {"done", SPAN_DONE},       {"pruned", SPAN_PRUNED}, {"failed", SPAN_FAILED}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(outcome, known[i].name)) return known[i].kind;
    return state == HPT_TRIAL_COMPLETE ? SPAN_DONE
           : state == HPT_TRIAL_PRUNED ? SPAN_PRUNED
           : state == HPT_TRIAL_FAIL   ? SPAN_FAILED
                                       : SPAN_INTERRUPTED;
}

static double use_number(const char *use, const char *key) {
    const char *at = cli_use_of(use, key);
    return at ? strtod(at, NULL) : NAN;
}

// ---- devices

static int find_group(spans *s, const char *name) {
    for (int i = 0; i < s->n_groups; i++)
        if (!strcmp(s->groups[i], name)) return i;
    if (s->n_groups == GROUPS_MAX) return 0;
    if (s->n_groups % 64 == 0) {
        void *grown = realloc(s->groups, ((size_t)s->n_groups + 64) * sizeof *s->groups);
        if (!grown) return -1;
        s->groups = grown;
    }
    snprintf(s->groups[s->n_groups], SPAN_GROUP, "%s", name);
    return s->n_groups++;
}

static bool add_one(spans *s, const span *given, const char *device) {
    const int group = find_group(s, device);
    if (group < 0) return false;
    if (s->n == s->cap) {
        const int64_t cap = 2 * s->cap + 64;
        span *grown = realloc(s->items, (size_t)cap * sizeof *grown);
        if (!grown) return false;
        s->items = grown;
        s->cap = cap;
    }
    s->items[s->n] = *given;
    s->items[s->n++].group = group;
    return true;
}

// A span on each of its devices, "gpu:0,gpu:1".
static bool add(spans *s, span given, const char *use) {
    char devices[400] = "", *save = NULL;
    const char *at = cli_use_of(use, "gpus");
    const double share = use_number(use, "gpu");
    int n = 1;
    if (!(given.end > given.start) || !isfinite(given.end - given.start)) return true;
    if (at) cli_json_text(devices, sizeof devices, at);
    for (const char *c = devices; *c; c++) n += *c == ',';
    given.first = true;
    given.share = devices[0] && share > 0 ? fmin(share / n, 1) : 0;
    if (!devices[0]) return add_one(s, &given, "");
    for (char *name = strtok_r(devices, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        if (!add_one(s, &given, name)) return false;
        given.first = false;
    }
    return true;
}

// ---- attempts: the engine wrote the list; an object has no other objects inside

static double utc_of(const char *json) { // "2026-01-31 12:00:00.5"; NaN: something else
    char text[64];
    struct tm tm = {0};
    double seconds = 0;
    if (!json || !cli_json_text(text, sizeof text, json)) return NAN;
    if (sscanf(text, "%4d-%2d-%2d %2d:%2d:%lf", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &seconds) < 6)
        return NAN;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (double)timegm(&tm) + seconds;
}

// Adds the attempts that were interrupted; *last: when the last one began, if it is listed.
static bool add_attempts(spans *s, double *last, const hpt_table *t, int64_t row) {
    const char *json = t->attrs[HTML_ATTEMPTS][row];
    for (const char *p = json; p && (p = strchr(p, '{')) != NULL; p++) {
        char entry[600], outcome[32] = "";
        const char *end = strchr(p, '}'), *at;
        if (!end) break;
        snprintf(entry, sizeof entry, "%.*s", (int)(end - p), p);
        const double started = utc_of(cli_use_of(entry, "started")), start = isnan(started) ? t->start[row] : started;
        if ((at = cli_use_of(entry, "outcome")) != NULL) cli_json_text(outcome, sizeof outcome, at);
        *last = NAN;
        if (!strcmp(outcome, "running")) {
            *last = start;
            continue;
        }
        const double seconds = use_number(entry, "seconds");
        if (isnan(seconds)) s->n_unknown++;
        if (!add(s, (span){.start = start, .end = start + seconds, .number = t->number[row], .kind = SPAN_INTERRUPTED},
                 entry))
            return false;
    }
    return true;
}

static const hpt_run_process *process_of(const hpt_run_view *view, int64_t number) {
    for (int64_t i = 0; view && i < view->n_trials; i++)
        if (view->trials[i].number == number && view->trials[i].slot >= 0) return &view->trials[i];
    return NULL;
}

static bool add_trial(spans *s, const hpt_table *t, int64_t row, const hpt_run_view *view, double now) {
    char outcome[32] = "";
    double last = NAN;
    const char *use = t->attrs[HTML_USE][row];
    if (isnan(t->start[row])) return true;
    if (!add_attempts(s, &last, t, row)) return false;
    span v = {.start = isnan(last) ? t->start[row] : last, .end = t->end[row], .number = t->number[row]};
    if (t->state[row] == HPT_TRIAL_RUNNING) {
        const hpt_run_process *p = process_of(view, t->number[row]);
        if (!p) return true;
        v.end = now;
        v.start = now - p->seconds;
        v.kind = SPAN_RUNNING;
        return add(s, v, p->use);
    }
    const double seconds = use_number(use, "seconds");
    if (seconds > 0 && v.end - seconds > v.start) v.start = v.end - seconds; // before, it waited
    if (!cli_json_text(outcome, sizeof outcome, t->attrs[HTML_OUTCOME][row])) outcome[0] = 0;
    v.kind = kind_of(outcome, t->state[row]);
    return add(s, v, use);
}

// ---- lanes

static const spans *sorted; // what the comparisons look at: qsort hands nothing through

static int by_start(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int by_name(const void *a, const void *b) { // gpu:2 before gpu:10, trials without a device last
    const char *x = sorted->groups[*(const int *)a], *y = sorted->groups[*(const int *)b];
    if (!x[0] || !y[0]) return (x[0] == 0) - (y[0] == 0);
    return strverscmp(x, y);
}

static bool sort_groups(spans *s) {
    int *order = calloc((size_t)s->n_groups + 1, sizeof *order),
        *place = calloc((size_t)s->n_groups + 1, sizeof *place);
    char(*names)[SPAN_GROUP] = calloc((size_t)s->n_groups + 1, sizeof *names);
    const bool good = order && place && names;
    for (int i = 0; good && i < s->n_groups; i++) order[i] = i;
    sorted = s;
    if (good) qsort(order, (size_t)s->n_groups, sizeof *order, by_name);
    for (int i = 0; good && i < s->n_groups; i++) {
        memcpy(names[i], s->groups[order[i]], SPAN_GROUP);
        place[order[i]] = i;
    }
    for (int64_t i = 0; good && i < s->n; i++) s->items[i].group = place[s->items[i].group];
    free(order);
    free(place);
    free(s->groups);
    s->groups = names;
    return good;
}

static bool set_lanes(spans *s) {
    typedef struct lane {
        int group, index;
        double end;
    } lane;
    lane *lanes = NULL;
    int64_t n = 0;
    s->n_lanes = calloc((size_t)s->n_groups + 1, sizeof *s->n_lanes);
    if (!s->n_lanes) return false;
    for (int64_t i = 0; i < s->n; i++) {
        span *v = &s->items[i];
        int64_t k = 0;
        while (k < n && (lanes[k].group != v->group || lanes[k].end > v->start + SAME_MOMENT)) k++;
        if (k == n) {
            if (n % 64 == 0) {
                lane *grown = realloc(lanes, ((size_t)n + 64) * sizeof *lanes);
                if (!grown) {
                    free(lanes);
                    return false;
                }
                lanes = grown;
            }
            lanes[n++] = (lane){.group = v->group, .index = s->n_lanes[v->group]++};
        }
        v->lane = lanes[k].index;
        lanes[k].end = v->end;
    }
    free(lanes);
    return true;
}

int spans_collect(spans *out, const hpt_table *t, const hpt_run_view *view) {
    struct timespec clock;
    clock_gettime(CLOCK_REALTIME, &clock);
    const double now = (double)clock.tv_sec + 1e-9 * (double)clock.tv_nsec;
    bool good = true;
    *out = (spans){0};
    for (int64_t row = 0; good && row < t->n; row++) good = add_trial(out, t, row, view, now);
    if (good) good = sort_groups(out);
    if (good && out->n) qsort(out->items, (size_t)out->n, sizeof *out->items, by_start);
    if (good) good = set_lanes(out);
    return good ? HPT_OK : HPT_E_MEMORY;
}

void spans_fini(spans *s) {
    free(s->items);
    free(s->groups);
    free(s->n_lanes);
    *s = (spans){0};
}
