// SPDX-License-Identifier: Apache-2.0
// progress.c: what `hpt run` shows while it runs. On a terminal: lines about trials scroll above one status line that
// is redrawn in place. Elsewhere: plain lines, one for each new best and a summary at most every ten seconds, so that a
// log of a long run stays readable. A reason for failure is told once, then counted.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REASONS = 16, REASON_LEN = 160, TAIL_LINES = 5, TAIL_BYTES = 2000 };

struct cli_progress {
    const char *name, *metric;
    bool quiet, live, drawn;
    double last_line;      // elapsed at the last plain summary
    int64_t last_finished; // finished at the last plain summary
    char reasons[REASONS][REASON_LEN];
    int n_reasons;
};

cli_progress *cli_progress_new(const char *name, const char *metric, bool quiet) {
    cli_progress *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->name = name;
    p->metric = metric;
    p->quiet = quiet;
    p->live = !quiet && cli_is_terminal(stderr);
    p->last_line = -1e9;
    return p;
}

static void erase(cli_progress *p) {
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

void cli_progress_free(cli_progress *p) {
    if (!p) return;
    erase(p);
    free(p);
}

// Seconds left, from the rate of this run; NaN if there is no cap or nothing ended yet.
static double time_left(const hpt_run_event *e) {
    if (!e->cap || e->n_ended_here < 1 || e->elapsed <= 0) return NAN;
    double todo = (double)(e->cap - e->n_done - e->n_pruned - e->n_failed);
    return todo * e->elapsed / (double)e->n_ended_here;
}

static int status_text(char *out, size_t size, const cli_progress *p, const hpt_run_event *e, bool with_name) {
    char best[32], left[24], cap[32] = "";
    int64_t finished = e->n_done + e->n_pruned + e->n_failed;
    if (e->cap) snprintf(cap, sizeof cap, "/%lld", (long long)e->cap);
    int n = snprintf(out, size, "%s%s%lld%s trials: %lld done, %lld running, %lld pruned, %lld failed",
                     with_name ? p->name : "", with_name ? " " : "", (long long)finished, cap, (long long)e->n_done,
                     (long long)e->n_running, (long long)e->n_pruned, (long long)e->n_failed);
    if (!isnan(e->best))
        n += snprintf(out + n, size - (size_t)n, "; best %s (#%lld)", cli_number(best, e->best),
                      (long long)e->best_number);
    if (e->n_ended_here > 0 && e->elapsed > 0) {
        double rate = (double)e->n_ended_here / e->elapsed;
        if (rate >= 1)
            n += snprintf(out + n, size - (size_t)n, "; %.3g/s", rate);
        else
            n += snprintf(out + n, size - (size_t)n, "; %.3g/min", 60 * rate);
    }
    double seconds = time_left(e);
    if (isfinite(seconds)) n += snprintf(out + n, size - (size_t)n, "; %s left", cli_duration(left, seconds));
    return n;
}

// The status line is shortened from the least needed part until it fits: bar, name, words.
static void draw(cli_progress *p, const hpt_run_event *e) {
    char text[400], bar[64] = "";
    int width = cli_width() - 1;
    int n = status_text(text, sizeof text, p, e, true);
    if (n > width) n = status_text(text, sizeof text, p, e, false);
    if (n > width) {
        char best[32];
        n = snprintf(text, sizeof text, "%lld/%lld best %s", (long long)(e->n_done + e->n_pruned + e->n_failed),
                     (long long)e->cap, cli_number(best, e->best));
    }
    if (n > width) text[width > 0 ? width : 0] = 0;
    int room = width - n - 3;
    if (e->cap && room >= 10) {
        int cells = room > 30 ? 30 : room;
        int64_t finished = e->n_done + e->n_pruned + e->n_failed;
        int full = (int)((double)cells * (double)finished / (double)e->cap);
        if (full > cells) full = cells;
        bar[0] = '[';
        for (int i = 0; i < cells; i++) bar[1 + i] = i < full ? '#' : '.';
        memcpy(bar + 1 + cells, "] ", 3);
    }
    fprintf(stderr, "\r\033[K%s%s%s%s", cli_color(stderr, "cyan"), bar, cli_color(stderr, "off"), text);
    fflush(stderr);
    p->drawn = true;
}

// Last lines of a trial's log, indented, control characters replaced; nothing if they are one line that the reason
// quotes already.
static void print_tail(const char *path, const char *reason) {
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) return;
    char text[TAIL_BYTES + 1];
    if (fseek(f, 0, SEEK_END) == 0) {
        long size = ftell(f);
        if (size > 0 && fseek(f, size > TAIL_BYTES ? size - TAIL_BYTES : 0, SEEK_SET) == 0) {
            size_t n = fread(text, 1, TAIL_BYTES, f);
            while (n && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
            text[n] = 0;
            char *start = text + n;
            for (int lines = 0; start > text; start--)
                if (start[-1] == '\n' && ++lines == TAIL_LINES) break;
            for (char *c = start; *c; c++)
                if ((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') *c = '?';
            for (char *line = strstr(reason, start) ? text + n : start; *line;) {
                char *end = strchr(line, '\n');
                fprintf(stderr, "    | %.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
                if (!end) break;
                line = end + 1;
            }
        }
    }
    fclose(f);
}

// True the first time a reason comes up; numbers in it do not make it another one.
static bool new_reason(cli_progress *p, const char *reason) {
    char key[REASON_LEN];
    size_t n = 0;
    for (const char *c = reason; *c && n + 1 < sizeof key; c++) key[n++] = *c >= '0' && *c <= '9' ? '0' : *c;
    key[n] = 0;
    for (int i = 0; i < p->n_reasons; i++)
        if (!strcmp(p->reasons[i], key)) return false;
    if (p->n_reasons == REASONS) return false;
    memcpy(p->reasons[p->n_reasons++], key, n + 1);
    return true;
}

// The path as the user would type it from here.
static const char *below_cwd(const char *path) {
    static char cwd[4096];
    if (!getcwd(cwd, sizeof cwd)) return path;
    size_t n = strlen(cwd);
    return !strncmp(path, cwd, n) && path[n] == '/' ? path + n + 1 : path;
}

static void trial_ended(cli_progress *p, const hpt_run_event *e) {
    char value[32];
    if (e->outcome == HPT_OUTCOME_DONE) {
        if (!e->is_best) return;
        erase(p);
        fprintf(stderr, "%s#%lld%s %s = %s%s%s, the best so far\n", cli_color(stderr, "bold"), (long long)e->number,
                cli_color(stderr, "off"), p->metric ? p->metric : "value", cli_color(stderr, "green"),
                cli_number(value, e->value), cli_color(stderr, "off"));
        return;
    }
    if (e->outcome == HPT_OUTCOME_PRUNED || e->outcome == HPT_OUTCOME_STOPPED) return;
    const char *reason = e->text ? e->text : "unknown reason";
    if (!new_reason(p, reason)) return;
    erase(p);
    fprintf(stderr, "%s#%lld %s:%s %s\n", cli_color(stderr, "red"), (long long)e->number,
            hpt_outcome_to_string(e->outcome), cli_color(stderr, "off"), reason);
    print_tail(e->log_path, reason);
    if (e->log_path) fprintf(stderr, "    log: %s (more of this kind are only counted)\n", below_cwd(e->log_path));
}

// What chooses points and what stops trials, in words.
static void print_tools(const hpt_study *study) {
    const char *name = hpt_study_sampler(study), *doc = NULL;
    for (int64_t i = 0; hpt_sampler_name(i); i++)
        if (!strcmp(hpt_sampler_name(i), name)) doc = hpt_sampler_doc(i);
    fprintf(stderr, "hpt: sampler %s: %s; pruner %s\n", name, doc ? doc : "?", hpt_study_pruner(study));
}

void cli_progress_event(cli_progress *p, const hpt_run_event *e) {
    if (!p) return;
    switch (e->kind) {
    case HPT_RUN_STARTED:
    case HPT_RUN_NOTICE:
        if (!e->text || (p->quiet && e->kind == HPT_RUN_STARTED)) break;
        erase(p);
        fprintf(stderr, "hpt: %s\n", e->text);
        if (e->kind == HPT_RUN_STARTED && e->study) print_tools(e->study);
        break;
    case HPT_RUN_TRIAL_ENDED:
        if (!p->quiet) trial_ended(p, e);
        break;
    case HPT_RUN_ENDED:
        erase(p);
        if (!p->quiet && !p->live) {
            char text[400];
            status_text(text, sizeof text, p, e, true);
            fprintf(stderr, "%s\n", text);
        }
        return;
    default:
        break;
    }
    if (p->quiet) return;
    if (p->live) {
        if (e->kind != HPT_RUN_TRIAL_REPORT) draw(p, e);
    } else {
        int64_t finished = e->n_done + e->n_pruned + e->n_failed;
        if (e->elapsed - p->last_line >= 10 && finished != p->last_finished && e->n_ended_here > 0) {
            char text[400];
            status_text(text, sizeof text, p, e, true);
            fprintf(stderr, "%s\n", text);
            p->last_line = e->elapsed;
            p->last_finished = finished;
        }
    }
}
