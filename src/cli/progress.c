// SPDX-License-Identifier: Apache-2.0
// progress.c: what `hpt run` shows while it runs. On a terminal: lines about trials scroll above one status line that
// is redrawn in place, at most ten times a second. Elsewhere: plain lines, whose distance grows with the run's age, so
// that the log of a long run stays readable.
//
// Nothing here grows with the number of trials: new bests beyond the first ten wait for a second (elsewhere five), and
// only the newest of those that waited is told; a kind of failure is told once, with the last lines of its log, and at
// most FAILURE_KINDS kinds are. The rest is counted; the summary at the end has the counts.
//
// When the terminal gets narrower than the status line, it may have wrapped the line or cut it off, and nobody can ask
// which; clearing more than the cursor's row could take a line of the log. So the redraw waits until the width has
// stood still for a tick: one resize leaves one stale fragment at most.
//
// Threads: the run's loop only. Text of trials and files passes cli_safe.
#include "cli.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILURE_KINDS = 12, KINDS_OF_HEAD = 3, HEAD_LEN = 48, KIND_LEN = 200, TAIL_LINES = 5, TAIL_BYTES = 4000 };
enum { NAME_COLUMNS = 24, METRIC_COLUMNS = 40, LINE_BYTES = 700, FREE_BESTS = 10 };
static const double DRAW_SECONDS = 0.1;

typedef struct failure_kind {
    char head[HEAD_LEN]; // "exit code N"
    char text[KIND_LEN];
} failure_kind;

struct cli_progress {
    char name[4 * NAME_COLUMNS + 4], metric[4 * METRIC_COLUMNS + 4];
    bool quiet, live, drawn;
    int width, drawn_columns;
    double last_draw, last_line, last_best; // elapsed
    int64_t last_finished;                  // finished at the last plain line
    int64_t n_bests;
    bool best_waits;
    int64_t best_number;
    double best_value;
    bool reported; // the newest report
    int64_t report_number, report_step;
    double report_value;
    failure_kind kinds[FAILURE_KINDS];
    int n_kinds;
    bool hinted;
};

static cli_progress *active; // whose status line may be on the screen

cli_progress *cli_progress_new(const char *name, const char *metric, bool quiet) {
    cli_progress *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    cli_safe(p->name, sizeof p->name, name, NAME_COLUMNS);
    const int room = cli_width() - 32; // beside "#100 ... = 0.123456, the best so far"
    cli_safe(p->metric, sizeof p->metric, metric ? metric : "value",
             room > METRIC_COLUMNS ? METRIC_COLUMNS
             : room < 10           ? 10
                                   : room);
    p->quiet = quiet;
    p->live = !quiet && cli_is_terminal(stderr);
    p->last_draw = p->last_best = -1e9;
    active = p;
    return p;
}

static void erase(cli_progress *p) {
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

void cli_progress_pause(void) {
    if (active) erase(active);
}

void cli_progress_free(cli_progress *p) {
    if (!p) return;
    erase(p);
    if (active == p) active = NULL;
    free(p);
}

// ---- status line ---------------------------------------------------------------------------------------------

static int64_t finished(const hpt_run_event *e) {
    return e->n_done + e->n_pruned + e->n_failed;
}

// Seconds left by the rate of this run; NaN without a cap, or before as many trials ended as run at once (the first
// to end of 64 says little about the rate).
static double time_left(const hpt_run_event *e) {
    if (!e->cap || e->n_ended_here < 2 || e->n_ended_here < e->n_running || e->elapsed <= 0) return NAN;
    const double todo = (double)(e->cap - finished(e));
    return todo > 0 ? todo * e->elapsed / (double)e->n_ended_here : NAN;
}

static void add(char *out, size_t size, const char *fmt, ...) HPT_PRINTF(3, 4);
static void add(char *out, size_t size, const char *fmt, ...) {
    const size_t n = strlen(out);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out + n, size - n, fmt, args);
    va_end(args);
}

enum { FULL, NO_NAME, NO_RATE, SHORT, SHORTEST, N_LEVELS };

// level: how much is left out.
static void status_text(char *out, size_t size, const cli_progress *p, const hpt_run_event *e, int level) {
    char number[32];
    out[0] = 0;
    if (level == FULL) add(out, size, "%s ", p->name);
    add(out, size, "%lld", (long long)finished(e));
    if (e->cap) add(out, size, "/%lld", (long long)e->cap);
    if (level >= SHORT) {
        if (level == SHORT) {
            add(out, size, ", %lld run", (long long)e->n_running);
            if (e->n_failed) add(out, size, ", %lld fail", (long long)e->n_failed);
        }
        if (!isnan(e->best)) add(out, size, ", best %s", cli_number(number, e->best));
        return;
    }
    add(out, size, " trials: %lld done, %lld running", (long long)e->n_done, (long long)e->n_running);
    if (e->gpus > 0 && e->n_running > 0 && level < NO_RATE)
        add(out, size, " on %.4g of %.4g GPUs", e->gpus_granted, e->gpus);
    if (e->n_pruned) add(out, size, ", %lld pruned", (long long)e->n_pruned);
    if (e->n_failed) add(out, size, ", %lld failed", (long long)e->n_failed);
    if (!isnan(e->best)) add(out, size, "; best %s (#%lld)", cli_number(number, e->best), (long long)e->best_number);
    if (e->n_ended_here > 0 && e->elapsed > 0) {
        const double rate = (double)e->n_ended_here / e->elapsed;
        if (level < NO_RATE) add(out, size, rate >= 1 ? "; %.3g/s" : "; %.3g/min", rate >= 1 ? rate : 60 * rate);
        if (isfinite(time_left(e))) add(out, size, "; %s left", cli_duration(number, time_left(e)));
    } else { // nothing ended yet: what shows that something happens
        add(out, size, "; %s", cli_duration(number, e->elapsed));
        if (p->reported && level < NO_RATE)
            add(out, size, "; #%lld step %lld: %s", (long long)p->report_number, (long long)p->report_step,
                cli_number(number, p->report_value));
    }
}

static void draw(cli_progress *p, const hpt_run_event *e) {
    char text[LINE_BYTES], bar[64] = "", line[LINE_BYTES + 100];
    const int now = cli_width();
    const bool resized = p->width && now != p->width;
    const bool narrower = resized && now <= p->drawn_columns;
    p->width = now;
    if (p->drawn && (narrower || (!resized && e->elapsed - p->last_draw < DRAW_SECONDS))) return;
    const int width = now - 1;
    int level = 0;
    do {
        status_text(text, sizeof text, p, e, level);
    } while (cli_columns(text) > width && ++level < N_LEVELS);
    if (cli_columns(text) > width) {
        char cut[LINE_BYTES];
        cli_safe(cut, sizeof cut, text, width);
        strcpy(text, cut);
    }
    const int room = width - cli_columns(text) - 3;
    if (e->cap && room >= 10) {
        const int cells = room > 30 ? 30 : room;
        int full = (int)((double)cells * (double)finished(e) / (double)e->cap);
        if (full > cells) full = cells;
        bar[0] = '[';
        for (int i = 0; i < cells; i++) bar[1 + i] = i < full ? '#' : '.';
        memcpy(bar + 1 + cells, "] ", 3);
    }
    // One write, so that nobody sees a line half drawn.
    snprintf(line, sizeof line, "\r\033[K%s%s%s%s", cli_color(stderr, "cyan"), bar, cli_color(stderr, "off"), text);
    fputs(line, stderr);
    fflush(stderr);
    p->drawn = true;
    p->drawn_columns = cli_columns(text) + (int)strlen(bar);
    p->last_draw = e->elapsed;
}

static void plain_line(cli_progress *p, const hpt_run_event *e) {
    char text[LINE_BYTES];
    status_text(text, sizeof text, p, e, FULL);
    fprintf(stderr, "%s\n", text);
    p->last_line = e->elapsed;
    p->last_finished = finished(e);
}

// A line each ten seconds at first, each tenth of an hour in a run of days; where nothing ends, a sign of life.
static void plain_tick(cli_progress *p, const hpt_run_event *e) {
    double gap = fmin(fmax(10, e->elapsed / 50), 600);
    if (finished(e) == p->last_finished || e->n_ended_here == 0) gap = fmax(60, e->elapsed / 10);
    if (e->elapsed - p->last_line >= gap) plain_line(p, e);
}

// ---- new bests -----------------------------------------------------------------------------------------------

static void tell_best(cli_progress *p, double elapsed) {
    char value[32];
    p->best_waits = false;
    p->n_bests++;
    p->last_best = elapsed;
    erase(p);
    fprintf(stderr, "%s#%lld%s %s = %s%s%s, the best so far\n", cli_color(stderr, "bold"), (long long)p->best_number,
            cli_color(stderr, "off"), p->metric, cli_color(stderr, "green"), cli_number(value, p->best_value),
            cli_color(stderr, "off"));
}

static void tell_waiting_best(cli_progress *p, double elapsed, bool now) {
    if (p->best_waits && (now || p->n_bests < FREE_BESTS || elapsed - p->last_best >= (p->live ? 1 : 5)))
        tell_best(p, elapsed);
}

// ---- failures ------------------------------------------------------------------------------------------------

// A line of a log as a terminal would leave it: what follows the last carriage return, without its blanks.
static char *final_text(char *line) {
    size_t n = strlen(line);
    while (n && strchr("\r \t", line[n - 1])) line[--n] = 0;
    char *cr = strrchr(line, '\r');
    return cr ? cr + 1 : line;
}

// The last lines of a trial's log that are not blank, indented; nothing if they are one line that the reason quotes.
static void print_tail(const char *path, const char *reason) {
    char text[TAIL_BYTES + 1], safe[KIND_LEN * 4];
    char *lines[TAIL_LINES];
    int n_lines = 0;
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) return;
    size_t n = 0;
    if (fseek(f, 0, SEEK_END) == 0) {
        const long size = ftell(f);
        if (size > 0 && fseek(f, size > TAIL_BYTES ? size - TAIL_BYTES : 0, SEEK_SET) == 0)
            n = fread(text, 1, TAIL_BYTES, f);
    }
    fclose(f);
    for (size_t i = 0; i < n; i++)
        if (!text[i]) text[i] = '?';
    text[n] = 0;
    for (char *end = text + n; end > text && n_lines < TAIL_LINES;) { // backwards
        *end = 0;
        char *start = end;
        while (start > text && start[-1] != '\n') start--;
        char *line = final_text(start);
        if (*line) lines[n_lines++] = line;
        end = start > text ? start - 1 : text;
    }
    if (n_lines == 1 && strstr(reason, lines[0])) return;
    const int columns = cli_is_terminal(stderr) ? cli_width() - 7 : 200;
    while (n_lines > 0) {
        cli_safe(safe, sizeof safe, lines[--n_lines], columns);
        fprintf(stderr, "    | %s\n", safe);
    }
}

// Whether this failure is the first of its kind and there is room to tell it. *last: no more of its head will be.
static bool new_kind(cli_progress *p, const hpt_run_event *e, const char *reason, bool *last) {
    char text[KIND_LEN], head[HEAD_LEN];
    int same = 0;
    *last = false;
    if (e->cause && e->n_cause > 1) return false;
    cli_mask_numbers(text, sizeof text, reason);
    snprintf(head, sizeof head, "%.*s", (int)strcspn(text, ":"), text);
    for (int i = 0; i < p->n_kinds; i++) {
        if (!strcmp(p->kinds[i].text, text)) return false;
        same += !strcmp(p->kinds[i].head, head);
    }
    if (same >= KINDS_OF_HEAD || p->n_kinds == FAILURE_KINDS) return false;
    strcpy(p->kinds[p->n_kinds].text, text);
    strcpy(p->kinds[p->n_kinds++].head, head);
    *last = same + 1 == KINDS_OF_HEAD || p->n_kinds == FAILURE_KINDS;
    return true;
}

static void tell_failure(cli_progress *p, const hpt_run_event *e) {
    char safe[LINE_BYTES];
    const char *reason = e->text ? e->text : "unknown reason";
    bool last;
    if (!new_kind(p, e, reason, &last)) return;
    erase(p);
    cli_safe(safe, sizeof safe, reason, 300);
    fprintf(stderr, "%s#%lld %s:%s %s\n", cli_color(stderr, "red"), (long long)e->number,
            hpt_outcome_to_string(e->outcome), cli_color(stderr, "off"), safe);
    print_tail(e->log_path, reason);
    if (e->log_path) {
        cli_safe(safe, sizeof safe, cli_below_cwd(e->log_path), INT_MAX);
        fprintf(stderr, "    log: %s\n", safe);
    }
    if (last || p->n_kinds == 1)
        fprintf(stderr, "    (more %sare only counted; `hpt report` groups them)\n", last ? "" : "of a kind ");
    if (!p->hinted && strstr(reason, "No module named 'wandb'")) {
        fprintf(stderr, "    `hpt run --wandb-shim` gives trials a small `wandb` that reports here\n");
        p->hinted = true;
    }
}

// ---- events --------------------------------------------------------------------------------------------------

// What chooses points and what stops trials, in words.
static void print_tools(const hpt_study *study) {
    const char *name = hpt_study_sampler(study), *doc = NULL;
    for (int64_t i = 0; hpt_sampler_name(i); i++)
        if (!strcmp(hpt_sampler_name(i), name)) doc = hpt_sampler_doc(i);
    fprintf(stderr, "hpt: sampler %s: %s; pruner %s\n", name, doc ? doc : "?", hpt_study_pruner(study));
}

void cli_progress_event(cli_progress *p, const hpt_run_event *e) {
    char safe[LINE_BYTES];
    if (!p) return;
    if (p->quiet && e->kind != HPT_RUN_NOTICE) return;
    switch (e->kind) {
    case HPT_RUN_STARTED:
    case HPT_RUN_NOTICE:
        if (!e->text) break;
        erase(p);
        cli_safe(safe, sizeof safe, e->text, INT_MAX);
        fprintf(stderr, "hpt: %s\n", safe);
        if (e->kind == HPT_RUN_STARTED && e->study) print_tools(e->study);
        break;
    case HPT_RUN_TRIAL_REPORT:
        p->reported = true;
        p->report_number = e->number;
        p->report_step = e->step;
        p->report_value = e->value;
        return;
    case HPT_RUN_TRIAL_ENDED:
        if (e->outcome == HPT_OUTCOME_DONE && e->is_best) {
            p->best_waits = true;
            p->best_number = e->number;
            p->best_value = e->value;
        } else if (e->cause) { // what is started again is no failure
            tell_failure(p, e);
        }
        break;
    case HPT_RUN_ENDED:
        tell_waiting_best(p, e->elapsed, true);
        erase(p);
        if (!p->live) plain_line(p, e);
        return;
    default:
        break;
    }
    if (p->quiet) return;
    tell_waiting_best(p, e->elapsed, false);
    if (p->live)
        draw(p, e);
    else
        plain_tick(p, e);
}
