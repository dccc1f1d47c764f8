// SPDX-License-Identifier: Apache-2.0
// intake_line.c: the metric in one line of output.
//
// Forms, first match wins:
//   1. the sweep's regular expressions (POSIX extended, group 1 is the number); where the metric has one, standard
//      output is read by it alone, or a line might count twice;
//   2. a JSON object whose key is the metric's name, or {"a": {"b": 1}} for the metric a.b; step from "step", "epoch",
//      "iteration" or "iter";
//   3. `name=value` or `name: value` anywhere in the line, the name whole (val_loss is not a loss) and possibly in
//      quotes, so that a printed Python dictionary reads too; step from `step=3`, `epoch: 3`, `Epoch 3/10`,
//      `Epoch [3/10]`.
//
// Numbers: decimal, exponent with e or Fortran's d, nan, inf, infinity in any case. A number that runs into letters
// (`loss=3rd`, `0x10`) is none. A step is a whole number >= 0, else the line names no step.
//
// Cost: one memmem for most lines; JSON objects are parsed into an arena of their own. Threads: any.
#include "../base/error.h"
#include "../base/num.h"
#include "intake.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

// Length of the number at p, 0 if there is none; *out its value. It must end at a boundary.
static size_t scan_number(double *out, const char *p, const char *end) {
    static const char *const words[] = {"infinity", "inf", "nan"};
    char text[512];
    const char *q = p;
    size_t n;
    if (q < end && (*q == '+' || *q == '-')) q++;
    const char *first = q;
    if (q < end && isalpha((unsigned char)*q)) {
        for (size_t i = 0; i < 3 && q == first; i++) {
            n = strlen(words[i]);
            if ((size_t)(end - q) >= n && strncasecmp(q, words[i], n) == 0) q += n;
        }
    } else {
        size_t digits = 0;
        while (q < end && isdigit((unsigned char)*q)) q++, digits++;
        // A point belongs to the number unless it ends a sentence; parse_double reads ".5" and "5." as well.
        if (q < end && *q == '.') {
            const char *point = q++;
            while (q < end && isdigit((unsigned char)*q)) q++, digits++;
            if (q == point + 1 && digits == 0) return 0;
        }
        if (digits == 0) return 0;
        if (q < end && strchr("eEdD", *q) && *q) {
            const char *r = q + 1;
            if (r < end && (*r == '+' || *r == '-')) r++;
            if (r < end && isdigit((unsigned char)*r)) {
                while (r < end && isdigit((unsigned char)*r)) r++;
                q = r;
            }
        }
    }
    if (q == first) return 0;
    if (q < end && (isalnum((unsigned char)*q) || *q == '_')) return 0;
    if (q + 1 < end && *q == '.' && isalnum((unsigned char)q[1])) return 0;
    n = (size_t)(q - p);
    if (n >= sizeof text) return 0;
    memcpy(text, p, n);
    if (isdigit((unsigned char)*first) || *first == '.') {
        for (size_t i = 0; i < n; i++)
            if (text[i] == 'd' || text[i] == 'D') text[i] = 'e';
    }
    if (text[n - 1] == '.') { // "5."
        text[n] = '0';
        return hpt__parse_double(out, text, n + 1, true) ? n : 0;
    }
    return hpt__parse_double(out, text, n, true) ? n : 0;
}

static bool whole_step(int64_t *step, double v) {
    if (!(v >= 0 && v <= 9e15) || v != floor(v)) return false;
    *step = (int64_t)v;
    return true;
}

static bool is_name_byte(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '/' || (unsigned char)c >= 0x80;
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    return p;
}

// `name=value` or `name: value`; the first whole occurrence that is followed by a number.
static bool find_pair(double *out, const char *line, const char *end, const char *name, size_t n) {
    for (const char *p = line; (p = memmem(p, (size_t)(end - p), name, n)) != NULL; p++) {
        if (p > line && is_name_byte(p[-1])) continue;
        const char *q = p + n;
        if (q < end && (*q == '"' || *q == '\'')) q++;
        q = skip_blanks(q, end);
        if (q >= end || (*q != '=' && *q != ':')) continue;
        if (scan_number(out, skip_blanks(q + 1, end), end)) return true;
    }
    return false;
}

// A step word in any case, then '=', ':' or blanks, possibly '[', then a whole number.
static bool find_step(int64_t *step, const char *line, const char *end) {
    static const char *const words[] = {"step", "epoch", "iteration", "iter"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        const size_t n = strlen(words[w]);
        for (const char *p = line; (size_t)(end - p) > n; p++) {
            double v;
            if ((*p | 0x20) != words[w][0] || strncasecmp(p, words[w], n) != 0) continue;
            if (p > line && is_name_byte(p[-1])) continue;
            const char *q = p + n;
            if (*q == '"' || *q == '\'') q++;
            if (q < end && is_name_byte(*q)) continue;
            q = skip_blanks(q, end);
            if (q < end && (*q == '=' || *q == ':')) q = skip_blanks(q + 1, end);
            if (q < end && *q == '[') q = skip_blanks(q + 1, end);
            if (scan_number(&v, q, end) && whole_step(step, v)) return true;
        }
    }
    return false;
}

// ---- 1: patterns

static bool match(double *out, const hpt__intake_pattern *p, const char *line, size_t n) {
    regmatch_t groups[2];
    if (p->needle.n && !memmem(line, n, p->needle.text, p->needle.n)) return false;
    // REG_STARTEND lets the expression see a line that no NUL ends, and NULs within it.
    groups[0].rm_so = 0;
    groups[0].rm_eo = (regoff_t)n;
    if (regexec(&p->regex, line, 2, groups, REG_STARTEND) != 0) return false;
    const int g = groups[1].rm_so >= 0 ? 1 : 0;
    const char *end = line + groups[g].rm_eo, *text = skip_blanks(line + groups[g].rm_so, end);
    while (end > text && isspace((unsigned char)end[-1])) end--;
    return end > text && scan_number(out, text, end) == (size_t)(end - text);
}

int64_t hpt__intake_line_step(const hpt__intake *in, const char *line, size_t n) {
    double v;
    int64_t step;
    for (int64_t i = 0; i < in->n_patterns; i++)
        if (in->patterns[i].is_step && match(&v, &in->patterns[i], line, n) && whole_step(&step, v)) return step;
    return -1;
}

// ---- 2: JSON

static const hpt__json *member(const hpt__json *object, const char *name) {
    const hpt__json *v = hpt__json_get(object, name);
    char head[256];
    for (const char *dot = strchr(name, '.'); !v && dot; dot = strchr(dot + 1, '.')) {
        const size_t n = (size_t)(dot - name);
        if (n >= sizeof head) break;
        memcpy(head, name, n);
        head[n] = '\0';
        v = hpt__json_get(hpt__json_get(object, head), dot + 1);
    }
    return v;
}

bool hpt__intake_object(double *value, int64_t *step, const hpt__intake *in, const hpt__json *object, bool protocol) {
    static const char *const words[] = {"step", "epoch", "iteration", "iter", "_step"};
    double v;
    if (!in->metric || !object || object->kind != HPT__JSON_OBJECT) return false;
    if (!hpt__json_number(value, member(object, in->metric)) &&
        !(protocol && hpt__json_number(value, hpt__json_get(object, "value"))))
        return false;
    *step = -1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (hpt__json_number(&v, hpt__json_get(object, words[i])) && whole_step(step, v)) break;
    return true;
}

static bool read_json(double *value, int64_t *step, const hpt__intake *in, const char *line, size_t n, bool protocol) {
    hpt__arena arena;
    hpt__json *object = NULL;
    hpt__arena_init(&arena);
    bool found =
        hpt__json_parse(&object, &arena, line, n) >= 0 && hpt__intake_object(value, step, in, object, protocol);
    hpt__arena_fini(&arena);
    return found;
}

bool hpt__intake_line(double *value, int64_t *step, const hpt__intake *in, const char *line, size_t n, bool protocol) {
    const char *end = line + n;
    *step = -1;
    if (!in->metric) return false;
    if (in->metric_pattern && !protocol) {
        bool found = false;
        for (int64_t i = 0; i < in->n_patterns && !found; i++)
            found = !in->patterns[i].is_step && match(value, &in->patterns[i], line, n);
        if (found && !in->step_pattern) (void)find_step(step, line, end);
        return found;
    }
    if (!protocol && in->needle.n && !memmem(line, n, in->needle.text, in->needle.n)) return false;
    const char *first = skip_blanks(line, end);
    if (first < end && *first == '{' && read_json(value, step, in, first, (size_t)(end - first), protocol)) return true;
    if (!find_pair(value, line, end, in->metric, in->metric_len) &&
        !(protocol && find_pair(value, line, end, "value", 5)))
        return false;
    (void)find_step(step, line, end);
    return true;
}
