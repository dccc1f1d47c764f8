// SPDX-License-Identifier: Apache-2.0
// term.c: what the terminal can show: width, colour, numbers and times for people, text of others made harmless.
//
// Text that comes from a trial's log, a sweep file or a database goes through cli_safe before it reaches a terminal:
// escape sequences (ECMA-48: CSI, OSC and the other strings) are dropped whole, control characters and bytes that are
// no UTF-8 become '?', so that no log can move the cursor, change colours or set the window's title.
//
// Numbers: "%.6g" of a hundred thousand rows took longer than reading them from the database, so numbers of ordinary
// size are scaled to an integer of so many digits. The scaled value has an error below 2e-6 of its last digit (one
// rounding, exact powers of ten); whoever lies nearer than that to a tie goes to printf, so the text is the same.
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

bool cli_is_terminal(FILE *f) {
    const char *term = getenv("TERM");
    return term && term[0] && strcmp(term, "dumb") != 0 && isatty(fileno(f)) == 1;
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
    static const char *const codes[][2] = {{"bold", "\033[1m"},    {"dim", "\033[2m"},     {"red", "\033[31m"},
                                           {"green", "\033[32m"},  {"yellow", "\033[33m"}, {"cyan", "\033[36m"},
                                           {"reverse", "\033[7m"}, {"off", "\033[0m"}};
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

const char *cli_bytes(char out[32], double n) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    if (!isfinite(n) || n < 0) return strcpy(out, "-");
    while (n >= 1024 && u < 4) n /= 1024, u++;
    snprintf(out, 32, n < 10 && u > 0 ? "%.1f %s" : "%.0f %s", n, units[u]);
    return out;
}

const char *cli_below_cwd(const char *path) {
    static char cwd[4096];
    if (!getcwd(cwd, sizeof cwd)) return path;
    size_t n = strlen(cwd);
    return !strncmp(path, cwd, n) && path[n] == '/' ? path + n + 1 : path;
}

// ---- numbers -------------------------------------------------------------------------------------------------

const char *cli_general(char out[32], double v, int digits) {
    static const double ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    static const double negative[] = {1e0, 1e-1, 1e-2, 1e-3, 1e-4};
    const double a = fabs(v);
    if (isnan(v)) return strcpy(out, "-");
    if (!(a >= 1e-4) || digits > 10 || a >= ten[digits]) {
        snprintf(out, 32, "%.*g", digits, v);
        return out;
    }
    int e = 0; // 10^e <= a < 10^(e + 1)
    if (a >= 1)
        while (a >= ten[e + 1]) e++;
    else
        while (a < negative[-e]) e--;
    const double scaled = a * ten[digits - 1 - e], whole = floor(scaled), rest = scaled - whole;
    long long q = (long long)whole + (rest > 0.5);
    if (fabs(rest - 0.5) < 1e-4 || q >= (long long)ten[digits]) {
        snprintf(out, 32, "%.*g", digits, v);
        return out;
    }
    int places = digits - 1 - e; // after the point
    while (places > 0 && q % 10 == 0) q /= 10, places--;
    char back[24];
    int n = 0, length = 0;
    for (; q > 0 || n <= places; q /= 10) { // at least one digit before the point
        if (n == places && places > 0) back[length++] = '.';
        back[length++] = (char)('0' + q % 10);
        n++;
    }
    char *to = out;
    if (v < 0) *to++ = '-';
    while (length > 0) *to++ = back[--length];
    *to = 0;
    return out;
}

const char *cli_number(char *out, double v) {
    return cli_general(out, v, 6);
}

const char *cli_exact(char out[32], double v) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    return out;
}

const char *cli_cell(char out[32], const hpt_table *t, int64_t param, int64_t row, bool exact) {
    const double v = t->params[param][row];
    if (isnan(v)) return exact ? "" : "-";
    if (t->n_choices[param] > 0) return v >= 0 && v < (double)t->n_choices[param] ? t->choices[param][(int64_t)v] : "?";
    return exact || fabs(v) >= 1e6 ? cli_exact(out, v) : cli_number(out, v);
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

// ---- text ----------------------------------------------------------------------------------------------------

// The next character of UTF-8 text; -1 for a byte that begins none (overlong forms and surrogates included).
static long next_char(const unsigned char **at) {
    const unsigned char *p = *at;
    const int more = p[0] < 0x80                   ? 0
                     : p[0] >= 0xC2 && p[0] < 0xE0 ? 1
                     : (p[0] & 0xF0) == 0xE0       ? 2
                     : p[0] >= 0xF0 && p[0] < 0xF5 ? 3
                                                   : -1;
    long c = more == 0 ? p[0] : p[0] & (0x3F >> (more > 0 ? more : 0));
    *at = p + 1;
    if (more < 0) return -1;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80) return -1;
        c = c << 6 | (p[i] & 0x3F);
    }
    if ((more == 2 && (c < 0x800 || (c >= 0xD800 && c < 0xE000))) || (more == 3 && (c < 0x10000 || c > 0x10FFFF)))
        return -1;
    *at = p + 1 + more;
    return c;
}

// Columns of a character that is printable; the locale may not know those beyond ASCII.
static int char_columns(long c) {
    if (c < 0x300) return 1;
    const int w = wcwidth((wchar_t)c);
    return w < 0 ? 1 : w;
}

// C0, DEL, C1, and the marks that turn the direction of the text around them.
static bool is_control(long c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

int cli_columns(const char *text) {
    int n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const long c = next_char(&p);
        n += c < 0 ? 1 : char_columns(c);
    }
    return n;
}

// What follows an ESC: the end of its sequence.
static const unsigned char *after_escape(const unsigned char *p) {
    if (*p == '[') { // CSI: parameters, then one byte from @ to ~
        for (p++; *p >= 0x20 && *p < 0x40;) p++;
        return *p >= 0x40 && *p < 0x7F ? p + 1 : p;
    }
    if (*p && strchr("]PX^_", *p)) { // a string, up to BEL or ESC backslash
        for (p++; *p && *p != 7 && *p != '\n' && !(p[0] == 0x1B && p[1] == '\\');) p++;
        return *p == 7 ? p + 1 : *p == 0x1B ? p + 2 : p;
    }
    while (*p >= 0x20 && *p < 0x30) p++; // intermediate bytes, then a final one
    return *p >= 0x30 && *p < 0x7F ? p + 1 : p;
}

size_t cli_safe(char *out, size_t size, const char *text, int columns) {
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0, cut = 0; // cut: where the text may end if three points have to follow
    int used = 0;
    if (size == 0) return 0;
    while (*p) {
        const unsigned char *start = p;
        long c = next_char(&p);
        if (c == 0x1B) {
            p = after_escape(p);
            continue;
        }
        if (c == '\t') c = ' ', start = (const unsigned char *)" ";
        size_t bytes = (size_t)(p - start);
        if (c < 0 || is_control(c)) c = '?', start = (const unsigned char *)"?";
        if (c == ' ' || c == '?') bytes = 1;
        const int w = char_columns(c);
        if (used + w > columns || n + bytes + 4 > size) {
            const size_t dots = columns < 3 ? (size_t)(columns > 0 ? columns : 0) : 3;
            if (cut + dots < size) memcpy(out + cut, "...", dots), cut += dots;
            out[cut] = 0;
            return cut;
        }
        memcpy(out + n, start, bytes);
        n += bytes;
        used += w;
        if (used <= columns - 3) cut = n;
    }
    out[n] = 0;
    return n;
}

void cli_mask_numbers(char *out, size_t size, const char *text) {
    size_t n = 0;
    for (const char *c = text; *c && n + 1 < size;) {
        const char *digit = c + (*c == '-' || *c == '+');
        if (*digit < '0' || *digit > '9') {
            out[n++] = *c++;
            continue;
        }
        out[n++] = 'N';
        for (c = digit; (*c >= '0' && *c <= '9') || *c == '.' ||
                        ((*c == 'e' || *c == 'E') && c[1] && strchr("+-0123456789", c[1])) ||
                        ((*c == '-' || *c == '+') && (c[-1] == 'e' || c[-1] == 'E'));)
            c++;
        while (c[-1] == '.') c--; // the end of a sentence
    }
    out[n] = 0;
}

bool cli_is_plain(const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p >= 0x7F) return false;
    return true;
}

static size_t put_utf8(char *out, unsigned long c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3F)), 2;
    size_t n = 0;
    if (c < 0x10000) {
        out[n++] = (char)(0xE0 | c >> 12);
    } else {
        out[n++] = (char)(0xF0 | c >> 18);
        out[n++] = (char)(0x80 | (c >> 12 & 0x3F));
    }
    out[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    out[n++] = (char)(0x80 | (c & 0x3F));
    return n;
}

static bool hex4(unsigned long *out, const char *p) {
    char digits[5] = {0};
    if (strspn(p, "0123456789abcdefABCDEF") < 4) return false;
    memcpy(digits, p, 4);
    *out = strtoul(digits, NULL, 16);
    return true;
}

bool cli_json_text(char *out, size_t size, const char *json) {
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    size_t n = 0;
    out[0] = 0;
    if (!json || json[0] != '"') return false;
    for (const char *p = json + 1; *p && *p != '"' && n + 5 < size; p++) {
        unsigned long c, low;
        const char *at;
        if (*p != '\\') {
            out[n++] = *p;
        } else if (*++p == 'u' && hex4(&c, p + 1)) {
            p += 4;
            if (c >= 0xD800 && c < 0xDC00 && p[1] == '\\' && p[2] == 'u' && hex4(&low, p + 3)) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                p += 6;
            }
            n += put_utf8(out + n, c);
        } else if (*p && (at = strchr(letters, *p)) != NULL) {
            out[n++] = controls[at - letters];
        } else if (*p) {
            out[n++] = *p;
        } else {
            break;
        }
    }
    out[n] = 0;
    return true;
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
