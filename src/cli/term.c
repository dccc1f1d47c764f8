// SPDX-License-Identifier: Apache-2.0
// term.c: what the terminal can show: width, colour, numbers and times for people.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool cli_is_terminal(FILE *f) {
    const char *term = getenv("TERM");
    return isatty(fileno(f)) == 1 && !(term && !strcmp(term, "dumb"));
}

int cli_width(void) {
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    const char *columns = getenv("COLUMNS");
    int n = columns ? atoi(columns) : 0;
    return n > 0 ? n : 80;
}

const char *cli_color(FILE *f, const char *name) {
    static const char *const codes[][2] = {{"bold", "\033[1m"},   {"dim", "\033[2m"},     {"red", "\033[31m"},
                                           {"green", "\033[32m"}, {"yellow", "\033[33m"}, {"cyan", "\033[36m"},
                                           {"off", "\033[0m"}};
    const char *no_color = getenv("NO_COLOR"); // https://no-color.org: any non-empty value
    if ((no_color && no_color[0]) || !cli_is_terminal(f)) return "";
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (!strcmp(codes[i][0], name)) return codes[i][1];
    return "";
}

const char *cli_duration(char *out, double seconds) {
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) return strcpy(out, "-");
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
    return out;
}

const char *cli_number(char *out, double v) {
    if (isnan(v))
        strcpy(out, "-");
    else
        snprintf(out, 32, "%.6g", v);
    return out;
}

const char *cli_exact(char out[32], double v) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    return out;
}

const char *cli_param(char out[32], hpt_trial *trial, const char *name) {
    int64_t category;
    double number;
    const char *text;
    if (!hpt_trial_has(trial, name)) return "-";
    if (hpt_trial_get_category(&category, trial, name) < 0 && hpt_trial_get_float(&number, trial, name) == 0 &&
        fabs(number) < 1e6)
        return cli_number(out, number);
    return hpt_trial_get_string(&text, trial, name) == 0 ? text : "?";
}

int cli_columns(const char *text) {
    int n = 0;
    for (const char *p = text; *p; p++) n += ((unsigned char)*p & 0xC0) != 0x80;
    return n;
}

void cli_put_json_string(FILE *f, const char *text) {
    fputc('"', f);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}
