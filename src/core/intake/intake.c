// SPDX-License-Identifier: Apache-2.0
// intake.c: bytes into lines, lines into reports.
//
// A line ends at '\n' or '\r' (progress bars redraw with '\r'). Most output holds no metric, so the whole block of
// complete lines is searched for a text that any line of interest must contain (memmem), and only the lines around the
// hits are cut out and parsed: scanning costs what memmem costs, about a gigabyte a second. Patterns get the same
// treatment if a fixed text can be read off the expression; with several texts to look for, each line is asked for
// each of them.
//
// Memory is bounded whatever a program prints: only an unfinished line is kept, and of a line longer than
// HPT__LINE_MAX the start is parsed and the rest passed over.
//
// Ownership: hpt__intake owns its copies; a stream owns its partial line. Threads: one at a time per stream.
#include "intake.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <ctype.h>
#include <string.h>

// The longest run of plain bytes of text: JSON writes those unescaped. Of a dotted name only the last part is taken,
// because {"val":{"loss":1}} is the metric val.loss too.
static void name_needle(hpt__needle *out, const char *name) {
    const char *dot = strrchr(name, '.');
    const char *p = dot && dot[1] ? dot + 1 : name;
    *out = (hpt__needle){0};
    while (*p) {
        size_t n = 0;
        while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '-') n++;
        if (n > out->n && n < sizeof out->text) {
            memcpy(out->text, p, n);
            out->n = n;
        }
        p += n ? n : 1;
    }
}

// The longest run of literal characters outside groups and brackets of an extended regular expression. An alternative
// anywhere makes nothing certain, and a literal before '*', '?' or '{' need not occur.
static void regex_needle(hpt__needle *out, const char *regex) {
    char run[sizeof out->text];
    size_t n = 0;
    int depth = 0;
    *out = (hpt__needle){0};
    if (strchr(regex, '|')) return;
    for (const char *p = regex;; p++) {
        char literal = 0;
        const char *q = p;
        if (*p == '\\' && p[1] && !isalnum((unsigned char)p[1])) {
            literal = *++q;
        } else if (*p == '[') { // a bracket expression; ']' may be its first member
            q = p + 1;
            if (*q == '^') q++;
            if (*q == ']') q++;
            while (*q && *q != ']') { // [:class:] holds a ']' of its own
                if (q[0] == '[' && (q[1] == ':' || q[1] == '.' || q[1] == '=')) {
                    const char kind = q[1];
                    for (q += 2; *q && !(q[0] == kind && q[1] == ']'); q++) continue;
                    if (*q) q++;
                }
                if (*q) q++;
            }
            if (!*q) return; // not an expression that compiles
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')') {
            depth--;
        } else if (*p && !strchr("\\.^$*+?{}", *p)) {
            literal = *p;
        }
        if (literal && depth == 0 && !strchr("*?{", q[1] ? q[1] : 'x') && n + 1 < sizeof run) {
            run[n++] = literal;
            if (q[1] != '+') { // after x+ more x may follow, so that the run ends there
                p = q;
                continue;
            }
        }
        if (n > out->n && n < sizeof out->text) {
            memcpy(out->text, run, n);
            out->n = n;
        }
        n = 0;
        if (!*p) return;
        if (*p == '{') // a count, whose digits are no literals
            while (q[1] && *q != '}') q++;
        p = q;
    }
}

static int64_t find_metric(const hpt__intake *in, const char *name) {
    for (int64_t i = 0; i < in->n_metrics; i++)
        if (strcmp(in->metrics[i].name, name) == 0) return i;
    return -1;
}

static int add_metric(hpt__intake *in, const char *name) {
    hpt__intake_metric *m = &in->metrics[in->n_metrics];
    m->name = hpt__strdup(name);
    if (!m->name) return hpt__fail_memory();
    m->len = strlen(name);
    name_needle(&m->needle, name);
    in->n_metrics++;
    return 0;
}

int hpt__intake_init_many(hpt__intake *in, const char *const *metrics, int64_t n_metrics,
                          const hpt__sweep_pattern *patterns, int64_t n) {
    int rc = 0;
    *in = (hpt__intake){0};
    if (n_metrics == 0) return 0;
    HPT_FAIL_IF(n_metrics > HPT__METRICS_MAX, HPT_E_ARG, "%lld metrics; a run reads at most %d", (long long)n_metrics,
                (int)HPT__METRICS_MAX);
    in->metrics = hpt__calloc((size_t)n_metrics, sizeof *in->metrics);
    in->patterns = hpt__calloc((size_t)n + 1, sizeof *in->patterns);
    if (!in->metrics || !in->patterns) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < n_metrics; i++) HPT_TRY(add_metric(in, metrics[i]));
    for (int64_t i = 0; i < n; i++) {
        const int64_t metric = find_metric(in, patterns[i].name);
        if (metric < 0 && strcmp(patterns[i].name, "step") != 0) continue;
        hpt__intake_pattern *p = &in->patterns[in->n_patterns];
        HPT_FAIL_IF(regcomp(&p->regex, patterns[i].regex, REG_EXTENDED) != 0, HPT_E_ARG,
                    "the pattern of metric '%s' is no extended regular expression: %s", patterns[i].name,
                    patterns[i].regex);
        in->n_patterns++;
        p->metric = metric;
        regex_needle(&p->needle, patterns[i].regex);
        if (metric < 0)
            in->step_pattern = true;
        else
            in->metrics[metric].has_pattern = true;
    }
    in->only_patterns = true;
    for (int64_t i = 0; i < n_metrics; i++) in->only_patterns = in->only_patterns && in->metrics[i].has_pattern;
    rc = 0;
out:
    if (rc < 0) hpt__intake_fini(in);
    return rc;
}

int hpt__intake_init(hpt__intake *in, const char *metric, const hpt__sweep_pattern *patterns, int64_t n) {
    return hpt__intake_init_many(in, &metric, metric ? 1 : 0, patterns, n);
}

void hpt__intake_fini(hpt__intake *in) {
    for (int64_t i = 0; i < in->n_patterns; i++) regfree(&in->patterns[i].regex);
    for (int64_t i = 0; i < in->n_metrics; i++) hpt__free(in->metrics[i].name);
    hpt__free(in->patterns);
    hpt__free(in->metrics);
    *in = (hpt__intake){0};
}

void hpt__intake_stream_fini(hpt__intake_stream *s) {
    hpt__free(s->partial);
    s->partial = NULL;
    s->len = s->cap = 0;
}

int64_t hpt__intake_step(hpt__intake_trial *trial, int64_t named) {
    const int64_t step = named >= 0 ? named : trial->next_step;
    if (step >= trial->next_step) trial->next_step = step < INT64_MAX ? step + 1 : step;
    return step;
}

static int take_line(const hpt__intake *in, const hpt__intake_stream *s, hpt__intake_trial *trial, const char *line,
                     size_t n, hpt__intake_fn fn, void *payload) {
    hpt__intake_hit hits[HPT__METRICS_MAX];
    int64_t step = -1;
    if (n == 0) return 0;
    if (n > HPT__LINE_MAX) n = HPT__LINE_MAX;
    if (s->protocol) (void)hpt__intake_preempting(&trial->preempting, line, n);
    if (!s->protocol && in->step_pattern) {
        const int64_t seen = hpt__intake_line_step(in, line, n);
        if (seen >= 0) trial->pattern_step = seen + 1;
    }
    const int64_t n_hits = hpt__intake_line(hits, &step, in, line, n, s->protocol);
    if (n_hits == 0) return 0;
    if (!s->protocol && step < 0) step = trial->pattern_step - 1;
    step = hpt__intake_step(trial, step);
    for (int64_t i = 0; i < n_hits; i++) {
        trial->metric = hits[i].metric;
        int rc = fn(step, hits[i].value, payload);
        if (rc < 0) return rc;
    }
    return 0;
}

static const char *line_end(const char *p, const char *end) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    if (!nl) nl = end;
    const char *cr = memchr(p, '\r', (size_t)(nl - p));
    return cr ? cr : nl;
}

static const char *line_start(const char *from, const char *hit) {
    const char *nl = memrchr(from, '\n', (size_t)(hit - from));
    const char *p = nl ? nl + 1 : from;
    const char *cr = memrchr(p, '\r', (size_t)(hit - p));
    return cr ? cr + 1 : p;
}

// The one text that all lines of interest in this stream hold, or NULL if there are several or none.
static const hpt__needle *only_needle(const hpt__intake *in, const hpt__intake_stream *s) {
    const hpt__needle *needle = NULL;
    if (s->protocol) return NULL;
    if (!in->only_patterns) {
        if (in->n_metrics > 1 || in->n_patterns > 0 || in->metrics[0].needle.n == 0) return NULL;
        return &in->metrics[0].needle;
    }
    for (int64_t i = 0; i < in->n_patterns; i++) {
        const hpt__needle *p = &in->patterns[i].needle;
        if (p->n == 0 || (needle && (p->n != needle->n || memcmp(p->text, needle->text, p->n) != 0))) return NULL;
        needle = p;
    }
    return needle;
}

// Complete lines: data[n-1] is a line end.
static int take_lines(const hpt__intake *in, const hpt__intake_stream *s, hpt__intake_trial *trial, const char *data,
                      size_t n, hpt__intake_fn fn, void *payload) {
    const char *end = data + n;
    const hpt__needle *needle = only_needle(in, s);
    for (const char *p = data; p < end;) {
        const char *start = p, *stop;
        if (needle) {
            const char *hit = memmem(p, (size_t)(end - p), needle->text, needle->n);
            if (!hit) return 0;
            start = line_start(p, hit);
            stop = line_end(hit, end);
        } else {
            stop = line_end(p, end);
        }
        int rc = take_line(in, s, trial, start, (size_t)(stop - start), fn, payload);
        if (rc < 0) return rc;
        p = stop + 1;
    }
    return 0;
}

// Keeps a piece of an unfinished line.
static int keep(hpt__intake_stream *s, const char *data, size_t n) {
    if (s->len + n >= s->cap) { // one byte more for the NUL
        size_t cap = s->cap ? s->cap * 2 : 256;
        while (cap <= s->len + n) cap *= 2;
        char *p = hpt__realloc(s->partial, cap);
        if (!p) return hpt__fail_memory();
        s->partial = p;
        s->cap = cap;
    }
    memcpy(s->partial + s->len, data, n);
    s->len += n;
    s->partial[s->len] = '\0';
    return 0;
}

static int finish_partial(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial, hpt__intake_fn fn,
                          void *payload) {
    const size_t n = s->len;
    s->len = 0;
    return take_line(in, s, trial, s->partial, n, fn, payload);
}

int hpt__intake_feed(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial, const char *data, size_t n,
                     hpt__intake_fn fn, void *payload) {
    int rc = 0;
    const char *end = data + n;
    if ((in->n_metrics == 0 && !s->protocol) || !data || n == 0) return 0;
    if (s->len > 0 || s->skipping) { // the end of a line that began in an earlier chunk
        const char *stop = line_end(data, end);
        size_t m = (size_t)(stop - data);
        if (!s->skipping) {
            const bool too_long = s->len + m > HPT__LINE_MAX;
            if (too_long) m = HPT__LINE_MAX - s->len;
            HPT_TRY(keep(s, data, m));
            if (too_long) {
                HPT_TRY(finish_partial(in, s, trial, fn, payload));
                s->skipping = true;
            }
        }
        if (stop == end) goto out;
        if (!s->skipping) HPT_TRY(finish_partial(in, s, trial, fn, payload));
        s->skipping = false;
        n -= (size_t)(stop - data) + 1;
        if (n == 0) goto out;
        data = stop + 1;
    }
    const char *nl = memrchr(data, '\n', n);
    const char *rest = nl ? nl + 1 : data;
    const char *cr = memrchr(rest, '\r', (size_t)(end - rest));
    if (cr) rest = cr + 1;
    if (rest > data) HPT_TRY(take_lines(in, s, trial, data, (size_t)(rest - data), fn, payload));
    if (end - rest > HPT__LINE_MAX) {
        HPT_TRY(take_line(in, s, trial, rest, (size_t)(end - rest), fn, payload));
        s->skipping = true;
    } else if (end > rest) {
        HPT_TRY(keep(s, rest, (size_t)(end - rest)));
    }
    rc = 0;
out:
    return rc < 0 ? rc : 0;
}

int hpt__intake_end(const hpt__intake *in, hpt__intake_stream *s, hpt__intake_trial *trial, hpt__intake_fn fn,
                    void *payload) {
    s->skipping = false;
    if (s->len == 0) return 0;
    int rc = finish_partial(in, s, trial, fn, payload);
    return rc < 0 ? rc : 0;
}
