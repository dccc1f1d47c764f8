// SPDX-License-Identifier: Apache-2.0
// cmd_top.c: `hpt top`: a run as it goes. On a terminal a screen that is drawn anew every two seconds and at each key; with
// --once, --format json, or where standard output is no terminal, the same once as plain text.
//
// It is a process of its own and changes nothing: it reads the study and asks the run (top_data.c). The one thing that
// it does is what `hpt stop N` does, after a question.
#include "top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double MESSAGE_SECONDS = 10;
enum { MESSAGE = 300 };

typedef struct top {
    const char *run_dir;
    char *real; // the same, absolute; owned
    hpt_monitor *monitor;
    hpt_study *study;
    top_data data;
    double period;
    int64_t selected; // number of a trial; -1: none
    bool asks;        // whether to stop the selected one
    char message[MESSAGE];
    double message_left; // seconds
} top;

// ---- the screen

static void say(top *t, const char *text) {
    cli_safe(t->message, sizeof t->message, text, MESSAGE - 8);
    t->message_left = MESSAGE_SECONDS;
}

static int64_t selected_index(const top *t) {
    for (int64_t i = 0; i < t->data.n; i++)
        if (t->data.trials[i].number == t->selected) return i;
    return t->data.n > 0 ? 0 : -1;
}

static void put_line(FILE *f, const char *style, const char *before, const char *text, bool last) {
    fprintf(f, "%s%s%s%s\033[K%s", style, before, text, style[0] ? cli_color(stdout, "off") : "", last ? "" : "\r\n");
}

// The line at the bottom.
static void bottom(char out[MESSAGE], const top *t) {
    if (t->asks)
        snprintf(out, MESSAGE, "stop trial %lld? y/n", (long long)t->selected);
    else if (t->message_left > 0)
        snprintf(out, MESSAGE, "%s", t->message);
    else
        snprintf(out, MESSAGE, "q quit   s stop   j k or arrows select");
}

// Head, devices, trials, bottom line; what has no room is left out: trials around the selected one stay, then devices.
static void draw_lines(FILE *f, const top *t, const top_lines *head, const top_lines *devices, const top_lines *trials,
                       int rows, int columns) {
    char text[MESSAGE], cut[MESSAGE];
    const char *bold = cli_color(stdout, "bold");
    int left = rows - head->n - 1, n_devices = devices->n > 1 ? devices->n : 0, n_trials = trials->n - 1;
    if (n_devices > 0 && left - n_devices - 2 < 5) n_devices = left - 7 > 2 ? left - 7 : 0;
    left -= n_devices + (n_devices > 0) + 2; // blank lines and the head of the trials
    if (left < 1) left = 1;
    const int index = (int)selected_index(t), first = index < left ? 0 : index - left + 1;
    if (n_trials - first > left) n_trials = first + left;
    fputs("\033[H", f);
    for (int i = 0; i < head->n; i++) put_line(f, i ? "" : bold, "", head->at[i], false);
    if (n_devices > 0) put_line(f, "", "", "", false);
    for (int i = 0; i < n_devices; i++) {
        const bool more = i == n_devices - 1 && n_devices < devices->n;
        snprintf(text, sizeof text, "  and %d more", devices->n - i);
        put_line(f, i ? "" : bold, "  ", more ? text : devices->at[i], false);
    }
    put_line(f, "", "", "", false);
    put_line(f, bold, "  ", trials->at[0], false);
    for (int i = first; i < n_trials; i++) {
        const char *style = cli_color(stdout, i == index ? "reverse" : t->data.trials[i].here ? "" : "dim");
        put_line(f, style, i == index ? "> " : "  ", trials->at[1 + i], false);
    }
    bottom(text, t);
    cli_safe(cut, sizeof cut, text, columns - 1);
    fputs("\033[J", f);
    fprintf(f, "\033[%d;1H", rows);
    put_line(f, t->asks || t->message_left > 0 ? cli_color(stdout, "yellow") : cli_color(stdout, "dim"), "", cut, true);
}

static bool draw(const top *t) {
    int rows, columns;
    char *frame = NULL;
    size_t size = 0;
    top_lines head = {0}, devices = {0}, trials = {0};
    top_screen_size(&rows, &columns);
    FILE *f = open_memstream(&frame, &size);
    const bool good = f && top_head_lines(&head, &t->data, columns - 1) &&
                      top_device_lines(&devices, &t->data, columns - 3) &&
                      top_trial_lines(&trials, &t->data, columns - 3);
    if (good) draw_lines(f, t, &head, &devices, &trials, rows, columns);
    if (f && fclose(f) == 0 && good) {
        fwrite(frame, 1, size, stdout); // at once, so that nobody sees half a screen
        fflush(stdout);
    }
    free(frame);
    top_lines_fini(&head);
    top_lines_fini(&devices);
    top_lines_fini(&trials);
    return good && !ferror(stdout);
}

// ---- keys

static void move(top *t, int64_t to) {
    if (t->data.n == 0) return;
    if (to < 0) to = 0;
    if (to >= t->data.n) to = t->data.n - 1;
    t->selected = t->data.trials[to].number;
}

static void ask_stop(top *t) {
    const int64_t i = selected_index(t);
    if (i < 0) {
        say(t, "there is no trial to stop");
    } else if (!t->data.trials[i].here) {
        char text[MESSAGE];
        snprintf(text, sizeof text, "trial %lld does not run here (%s): nothing to stop", (long long)t->selected,
                 t->data.trials[i].state);
        say(t, text);
    } else {
        t->selected = t->data.trials[i].number;
        t->asks = true;
    }
}

static void stop(top *t) {
    char text[MESSAGE];
    snprintf(text, sizeof text, "asked trial %lld to stop", (long long)t->selected);
    say(t, hpt_run_stop(t->real, t->selected) < 0 ? hpt_last_error() : text);
}

// False: quit.
static bool on_key(top *t, int key) {
    const int64_t i = selected_index(t);
    if (key == TOP_QUIT) return false;
    if (t->asks) {
        if (key == TOP_TIMEOUT || key == TOP_RESIZED) return true;
        t->asks = false;
        if (key == 'y' || key == 'Y') stop(t);
        return true;
    }
    if (key > 0 || key <= TOP_UP) t->message_left = 0;
    switch (key) {
    case 'q':
        return false;
    case 'k':
    case TOP_UP:
        move(t, i - 1);
        break;
    case 'j':
    case TOP_DOWN:
        move(t, i + 1);
        break;
    case TOP_HOME:
        move(t, 0);
        break;
    case TOP_END:
        move(t, t->data.n - 1);
        break;
    case 's':
        ask_stop(t);
        break;
    default:
        break;
    }
    return true;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The first look was taken. A look that fails later is said below what is known; the next one may succeed.
static int live(top *t) {
    double next = seconds_now() + t->period, last = seconds_now();
    bool good = true;
    for (;;) {
        if (selected_index(t) == 0) move(t, 0);
        good = draw(t);
        if (!good) break;
        const double now = seconds_now();
        if (!on_key(t, top_screen_key(next > now ? next - now : 0))) break;
        t->message_left -= seconds_now() - last;
        last = seconds_now();
        if (last < next) continue;
        if (top_collect(&t->data, t->monitor, t->study) < 0) say(t, hpt_last_error());
        next = seconds_now() + t->period;
    }
    top_screen_close();
    if (!good) cli_note("the screen cannot be drawn");
    return good ? CLI_OK : CLI_FAILED;
}

// ---- once

static bool print_lines(bool (*make)(top_lines *, const top_data *, int), const top_data *d, bool blank) {
    top_lines lines = {0};
    const bool good = make(&lines, d, 4000); // nothing is left out
    if (good && blank) putchar('\n');
    for (int i = 0; good && i < lines.n; i++) printf("%s\n", lines.at[i]);
    top_lines_fini(&lines);
    return good;
}

static int once(const top_data *d, cli_format format) {
    if (format == CLI_JSON) {
        top_print_json(d);
        return CLI_OK;
    }
    bool good = print_lines(top_head_lines, d, false);
    if (good && d->view->n_devices > 0) good = print_lines(top_device_lines, d, true);
    if (good && d->n > 0) good = print_lines(top_trial_lines, d, true);
    return good ? CLI_OK : cli_fail(HPT_E_MEMORY);
}

static int open_run(top *t) {
    const hpt_run_view *view;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    t->real = realpath(t->run_dir, NULL); // "latest" may point at another run soon
    int rc = hpt_monitor_open(&t->monitor, t->real ? t->real : t->run_dir);
    if (rc == HPT_E_NOT_FOUND) {
        cli_note("%s; start one with `hpt run SWEEP`, or name a run's folder with --run", hpt_last_error());
        return CLI_NOT_FOUND;
    }
    if (rc == 0) rc = hpt_monitor_look(&view, t->monitor);
    if (rc == 0) {
        o.storage = view->storage;
        o.name = view->study;
        o.mode = HPT_OPEN_READ_ONLY;
        rc = hpt_study_open(&t->study, &o);
    }
    if (rc == 0) rc = top_collect(&t->data, t->monitor, t->study);
    return rc < 0 ? cli_fail(rc) : CLI_OK;
}

int cmd_top(int argc, char **argv) {
    top t = {.run_dir = "hpt_runs/latest", .period = 2, .selected = -1};
    const char *format_text = NULL;
    bool only_once = false;
    const cli_option options[] = {
        {"run", 0, CLI_STRING, &t.run_dir, "DIR", "the run's folder (default: hpt_runs/latest)"},
        {"interval", 'n', CLI_NUMBER, &t.period, "SECONDS", "how often it looks (default: 2)"},
        {"once", 0, CLI_FLAG, &only_once, NULL, "print it once and end, as where standard output is no terminal"},
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "with --once: table or json"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    cli_format format;
    int code = positional ? cli_parse("top", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) code = cli_no_arguments("top", positional, n);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && format == CLI_CSV) code = cli_usage("top: --format is table or json");
    if (code == CLI_OK && !(t.period >= 0.1 && t.period <= 3600))
        code = cli_usage("top: --interval must be 0.1 to 3600 seconds, not %g", t.period);
    if (code == CLI_OK && !done && (code = open_run(&t)) == CLI_OK)
        code = !only_once && !format_text && top_screen_open() ? live(&t) : once(&t.data, format);
    top_data_fini(&t.data);
    hpt_study_close(t.study);
    hpt_monitor_close(t.monitor);
    free(t.real);
    free(positional);
    return code;
}
