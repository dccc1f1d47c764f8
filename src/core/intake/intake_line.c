// SPDX-License-Identifier: Apache-2.0
// intake_line.c: the metrics in one line of output.
//
// Forms, for each metric the first that fits:
//   1. the sweep's regular expressions (POSIX extended, group 1 is the number); where a metric has one, standard
//      output is read for it by that alone, or a line might count twice;
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
        if (in->patterns[i].metric < 0 && match(&v, &in->patterns[i], line, n) && whole_step(&step, v)) return step;
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

static bool wanted(const hpt__intake *in, int64_t metric, bool protocol) {
    return protocol || !in->metrics[metric].has_pattern;
}

// patterned: also the metrics that have a pattern.
static int64_t find_members(hpt__intake_hit *hits, int64_t *step, const hpt__intake *in, const hpt__json *object,
                            bool protocol, bool patterned) {
    static const char *const words[] = {"step", "epoch", "iteration", "iter", "_step"};
    int64_t n = 0;
    double v;
    *step = -1;
    if (!object || object->kind != HPT__JSON_OBJECT) return 0;
    for (int64_t i = 0; i < in->n_metrics; i++) {
        if (!wanted(in, i, protocol || patterned)) continue;
        if (hpt__json_number(&v, member(object, in->metrics[i].name)) ||
            (protocol && i == 0 && hpt__json_number(&v, hpt__json_get(object, "value"))))
            hits[n++] = (hpt__intake_hit){i, v};
    }
    for (size_t i = 0; n > 0 && i < sizeof words / sizeof *words; i++)
        if (hpt__json_number(&v, hpt__json_get(object, words[i])) && whole_step(step, v)) break;
    return n;
}

int64_t hpt__intake_object(hpt__intake_hit hits[HPT__METRICS_MAX], int64_t *step, const hpt__intake *in,
                           const hpt__json *object, bool protocol) {
    return find_members(hits, step, in, object, protocol, true);
}

static int64_t read_json(hpt__intake_hit *hits, int64_t *step, const hpt__intake *in, const char *line, size_t n,
                         bool protocol) {
    hpt__arena arena;
    hpt__json *object = NULL;
    int64_t n_hits = 0;
    hpt__arena_init(&arena);
    if (hpt__json_parse(&object, &arena, line, n) >= 0) n_hits = find_members(hits, step, in, object, protocol, false);
    hpt__arena_fini(&arena);
    return n_hits;
}

// ---- the line

static bool by_pattern(double *value, const hpt__intake *in, int64_t metric, const char *line, size_t n) {
    for (int64_t i = 0; i < in->n_patterns; i++)
        if (in->patterns[i].metric == metric && match(value, &in->patterns[i], line, n)) return true;
    return false;
}

// Whether the metric may be in the line at all, by its needle.
static bool possible(const hpt__intake *in, int64_t metric, const char *line, size_t n, bool protocol) {
    const hpt__needle *needle = &in->metrics[metric].needle;
    return wanted(in, metric, protocol) && (protocol || needle->n == 0 || memmem(line, n, needle->text, needle->n));
}

static bool by_name(double *value, const hpt__intake *in, int64_t metric, const char *line, const char *end,
                    bool protocol) {
    const hpt__intake_metric *m = &in->metrics[metric];
    return find_pair(value, line, end, m->name, m->len) ||
           (protocol && metric == 0 && find_pair(value, line, end, "value", 5));
}

int64_t hpt__intake_line(hpt__intake_hit hits[HPT__METRICS_MAX], int64_t *step, const hpt__intake *in, const char *line,
                         size_t n, bool protocol) {
    const char *end = line + n, *first = skip_blanks(line, end);
    bool named[HPT__METRICS_MAX], any_named = false, from_json = false, need_step = false;
    hpt__intake_hit members[HPT__METRICS_MAX];
    int64_t n_members = 0, n_hits = 0, k = 0;
    double v;
    *step = -1;
    for (int64_t i = 0; i < in->n_metrics; i++) {
        named[i] = possible(in, i, line, n, protocol);
        any_named = any_named || named[i];
    }
    if (any_named && first < end && *first == '{') {
        n_members = read_json(members, step, in, first, (size_t)(end - first), protocol);
        from_json = n_members > 0;
    }
    for (int64_t i = 0; i < in->n_metrics; i++) {
        while (k < n_members && members[k].metric < i) k++;
        if (!wanted(in, i, protocol)) {
            if (!by_pattern(&v, in, i, line, n)) continue;
            need_step = need_step || !in->step_pattern;
        } else if (from_json) {
            if (k == n_members || members[k].metric != i) continue;
            v = members[k].value;
        } else {
            if (!named[i] || !by_name(&v, in, i, line, end, protocol)) continue;
            need_step = true;
        }
        hits[n_hits++] = (hpt__intake_hit){i, v};
    }
    if (need_step && *step < 0) (void)find_step(step, line, end);
    return n_hits;
}

// ---- preemption

bool hpt__intake_object_preempting(bool *out, const hpt__json *object) {
    const hpt__json *v = hpt__json_get(object, "preempting");
    double number;
    if (v && v->kind == HPT__JSON_BOOL)
        *out = v->b;
    else if (hpt__json_number(&number, v))
        *out = number != 0;
    else
        return false;
    return true;
}

bool hpt__intake_preempting(bool *out, const char *line, size_t n) {
    static const char name[] = "preempting";
    const char *end = line + n;
    double number;
    const char *p = memmem(line, n, name, sizeof name - 1);
    if (!p) return false;
    const char *first = skip_blanks(line, end);
    if (*first == '{') {
        hpt__arena arena;
        hpt__json *object = NULL;
        hpt__arena_init(&arena);
        const bool found = hpt__json_parse(&object, &arena, first, (size_t)(end - first)) >= 0 &&
                           hpt__intake_object_preempting(out, object);
        hpt__arena_fini(&arena);
        if (found) return true;
    }
    if (find_pair(&number, line, end, name, sizeof name - 1)) {
        *out = number != 0;
        return true;
    }
    if (p > line && is_name_byte(p[-1])) return false;
    const char *q = skip_blanks(p + sizeof name - 1, end);
    if (q >= end || (*q != '=' && *q != ':')) return false;
    q = skip_blanks(q + 1, end);
    const bool yes = end - q >= 4 && strncasecmp(q, "true", 4) == 0;
    if (!yes && !(end - q >= 5 && strncasecmp(q, "false", 5) == 0)) return false;
    *out = yes;
    return true;
}
