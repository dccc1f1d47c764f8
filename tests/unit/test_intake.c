// SPDX-License-Identifier: Apache-2.0
// test_intake.c: metric values out of bytes, however these are cut into chunks.
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/intake/intake.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };
typedef struct found {
    int64_t n, step[MOST];
    double value[MOST];
} found;

static int take(int64_t step, double value, void *payload) {
    found *f = payload;
    if (f->n < MOST) {
        f->step[f->n] = step;
        f->value[f->n] = value;
    }
    f->n++;
    return 0;
}

static bool same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

// Feeds text in chunks of `chunk` bytes; each chunk is a copy of its own, so that sanitizers see overreads.
static found feed(const hpt__intake *in, const char *text, size_t n, size_t chunk, bool protocol) {
    found f = {0};
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {.protocol = protocol};
    for (size_t i = 0; i < n; i += chunk) {
        const size_t m = n - i < chunk ? n - i : chunk;
        char *copy = malloc(m + 1);
        memcpy(copy, text + i, m);
        copy[m] = '\0';
        cr_assert_eq(hpt__intake_feed(in, &s, &trial, copy, m, take, &f), 0);
        free(copy);
    }
    cr_assert_eq(hpt__intake_end(in, &s, &trial, take, &f), 0);
    hpt__intake_stream_fini(&s);
    return f;
}

static found lines(const char *metric, const char *text) {
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, metric, NULL, 0), 0);
    found f = feed(&in, text, strlen(text), strlen(text), false);
    hpt__intake_fini(&in);
    return f;
}

Test(intake, pairs_anywhere_in_a_line_give_the_value)
{
    static const struct {
        const char *metric, *line;
        double value;
    } cases[] = {
        {"loss", "loss=0.5", 0.5},
        {"loss", "loss: 0.5", 0.5},
        {"loss", "loss = 0.5", 0.5},
        {"loss", "loss\t:\t-3", -3},
        {"loss", "epoch 3: acc=0.9, loss=0.25;", 0.25},
        {"loss", "[loss=1e-3]", 1e-3},
        {"loss", "{'loss': 0.31, 'acc': 1}", 0.31},
        {"loss", "\"loss\" : 7", 7},
        {"loss", "val_loss=1 loss=2", 2},
        {"loss", "loss_a=1 xloss=3 loss=2", 2},
        {"loss", "total-loss=1 train/loss=4 a.loss=5 loss=2", 2},
        {"loss", "loss is small, loss=2", 2},
        {"val_loss", "loss=1 val_loss=2", 2},
        {"val/loss", "val/loss=2", 2},
        {"val.loss", "val.loss=2", 2},
        {"loss", "loss=nan", NAN},
        {"loss", "loss=NaN", NAN},
        {"loss", "loss=inf", INFINITY},
        {"loss", "loss=-Infinity", -INFINITY},
        {"loss", "loss=+.5", 0.5},
        {"loss", "loss=5.", 5},
        {"loss", "loss=0.5.", 0.5},
        {"loss", "loss=0.25D-02", 0.25e-2},
        {"loss", "loss=1E5", 1e5},
        {"loss", "loss=12%", 12},
        {"loss", "loss=1/3", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found f = lines(cases[i].metric, cases[i].line);
        cr_assert_eq(f.n, 1, "%s: %d values", cases[i].line, (int)f.n);
        cr_assert(same(f.value[0], cases[i].value), "%s: %g", cases[i].line, f.value[0]);
    }
}

Test(intake, other_text_gives_nothing)
{
    static const char *const texts[] = {
        "",           "loss",        "loss=",           "loss=x",           "loss=0x10", "loss=3rd",    "loss=nano",
        "loss=1.2.3", "xloss=1",     "loss2=1",         "loss 0.5",         "loss==0.5", "loss=--1",    "loss=e5",
        "loss=.",     "{\"los\":1}", "{\"loss\":null}", "{\"loss\":\"1\"}", "Loss=1",    "loss=infinit"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        found f = lines("loss", texts[i]);
        cr_assert_eq(f.n, 0, "'%s' gave %g", texts[i], f.value[0]);
    }
}

Test(intake, steps_are_read_from_the_same_line)
{
    static const struct {
        const char *line;
        int64_t step;
    } cases[] = {
        {"step=7 loss=1", 7},
        {"loss=1 step: 7", 7},
        {"Epoch 7/10 - loss: 1", 7},
        {"Epoch [7/10], loss: 1", 7},
        {"epoch: 7 | loss: 1", 7},
        {"iter=7 loss=1", 7},
        {"Iteration 7, loss=1", 7},
        {"epoch=2 step=7 loss=1", 7},
        {"{\"loss\": 1, \"step\": 7}", 7},
        {"{\"loss\": 1, \"epoch\": 7.0}", 7},
        {"{'loss': 1, 'epoch': 7}", 7},
        {"mystep=3 loss=1 epoch=7", 7},
        {"step=-1 loss=1", 0}, // no step: the next one
        {"epoch=1.5 loss=1", 0},
        {"step size 0.1 loss=1", 0},
        {"loss=1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found f = lines("loss", cases[i].line);
        cr_assert_eq(f.n, 1, "%s", cases[i].line);
        cr_assert_eq(f.step[0], cases[i].step, "%s: step %d", cases[i].line, (int)f.step[0]);
    }
}

Test(intake, reports_without_a_step_follow_the_largest_seen)
{
    found f = lines("loss", "loss=1\nloss=2\nstep=10 loss=3\nloss=4\nstep=5 loss=5\nloss=6\n");
    static const int64_t steps[] = {0, 1, 10, 11, 5, 12};
    cr_assert_eq(f.n, 6);
    for (int i = 0; i < 6; i++) cr_assert_eq(f.step[i], steps[i], "%d", i);
}

Test(intake, json_lines_are_objects_with_the_metric)
{
    static const struct {
        const char *metric, *line;
        double value;
    } cases[] = {
        {"loss", "{\"loss\": 0.5}", 0.5},
        {"loss", "  {\"a\": [1, {\"loss\": 9}], \"loss\": 0.5}  ", 0.5},
        {"loss", "{\"loss\": NaN}", NAN},
        {"loss", "{\"loss\": -Infinity}", -INFINITY},
        {"val.loss", "{\"val\": {\"loss\": 0.5}}", 0.5},
        {"val.loss", "{\"val.loss\": 0.5}", 0.5},
        {"a.b.c", "{\"a.b\": {\"c\": 0.5}}", 0.5},
        {"a.b.c", "{\"a\": {\"b.c\": 0.5}}", 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found f = lines(cases[i].metric, cases[i].line);
        cr_assert_eq(f.n, 1, "%s", cases[i].line);
        cr_assert(same(f.value[0], cases[i].value), "%s: %g", cases[i].line, f.value[0]);
    }
}

Test(intake, patterns_replace_the_other_forms_on_stdout)
{
    static const hpt__sweep_pattern patterns[] = {
        {"loss", "validation loss +([-+0-9.eE]+)"}, {"step", "^\\[([0-9]+)\\]"}, {"other", "x=([0-9]+)"}};
    static const char text[] =
        "[3] validation loss   0.25\nloss=9\n[4] nothing\nvalidation loss 0.5\nvalidation loss x\n";
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, "loss", patterns, 3), 0);
    cr_assert_eq(in.n_patterns, 2);
    found f = feed(&in, text, strlen(text), 7, false);
    cr_assert_eq(f.n, 2);
    cr_assert(f.value[0] == 0.25 && f.step[0] == 3);
    cr_assert(f.value[1] == 0.5 && f.step[1] == 4, "a step on an earlier line counts");
    f = feed(&in, "loss=9\n", 7, 7, true);
    cr_assert(f.n == 1 && f.value[0] == 9, "the report file keeps its own forms");
    hpt__intake_fini(&in);
}

Test(intake, texts_read_off_patterns_never_hide_a_match)
{
    static const struct {
        const char *regex, *line, *needle;
    } cases[] = {
        {"loss ([0-9]+)", "the loss 5", "loss "},
        {"los+ ([0-9]+)", "lossss 5", "los"},
        {"los*x? ([0-9]+)", "lo 5", "lo"},
        {"a|loss ([0-9]+)", "loss 5", ""},
        {"(loss|cost) is ([0-9]+)", "cost is 5", ""},
        {"[lL]oss=([0-9]+)", "Loss=5", "oss="},
        {"x\\.y=([0-9]+)", "x.y=5", "x.y="},
        {"^lo{1,3}ss ([0-9]+)", "looss 5", "ss "},
        {"[]a]b=([0-9]+)", "]b=5", "b="},
        {"[[:alpha:]]oss=([0-9]+)", "koss=5", "oss="},
        {"lo.s: ([0-9]+)$", "loss: 5", "s: "},
        {"(a(b))c=([0-9]+)", "abc=5", "c="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hpt__sweep_pattern p = {"m", cases[i].regex};
        hpt__intake in;
        cr_assert_eq(hpt__intake_init(&in, "m", &p, 1), 0, "%s", cases[i].regex);
        cr_assert_eq(in.patterns[0].needle.n, strlen(cases[i].needle), "%s: '%.*s'", cases[i].regex,
                     (int)in.patterns[0].needle.n, in.patterns[0].needle.text);
        cr_assert(memcmp(in.patterns[0].needle.text, cases[i].needle, strlen(cases[i].needle)) == 0, "%s",
                  cases[i].regex);
        regmatch_t m[1];
        cr_assert_eq(regexec(&in.patterns[0].regex, cases[i].line, 1, m, 0), 0, "%s", cases[i].regex);
        cr_assert(memmem(cases[i].line, strlen(cases[i].line), in.patterns[0].needle.text, in.patterns[0].needle.n));
        hpt__intake_fini(&in);
    }
}

Test(intake, a_bad_pattern_is_named)
{
    const hpt__sweep_pattern p = {"loss", "loss ([0-9"};
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, "loss", &p, 1), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "loss ([0-9"));
}

Test(intake, the_report_file_also_takes_value)
{
    static const char text[] = "step=3 value=0.5\nvalue=0.25\nloss=1\n{\"value\": 2, \"step\": 9}\nhello\n";
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, "loss", NULL, 0), 0);
    found f = feed(&in, text, strlen(text), 5, true);
    cr_assert_eq(f.n, 4);
    cr_assert(f.step[0] == 3 && f.value[0] == 0.5 && f.step[1] == 4 && f.step[3] == 9 && f.value[3] == 2);
    f = feed(&in, text, strlen(text), 5, false);
    cr_assert_eq(f.n, 1, "on stdout only the metric's name counts");
    hpt__intake_fini(&in);
}

Test(intake, result_does_not_depend_on_the_chunks)
{
    static const char text[] = "noise\nloss=1\r\nepoch 2 loss=2\rloss=3\rloss=4\n\n\n{\"loss\":5}\nloss\n=6\nloss=7";
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, "loss", NULL, 0), 0);
    const found whole = feed(&in, text, strlen(text), strlen(text), false);
    cr_assert_eq(whole.n, 6);
    cr_assert_eq(whole.value[5], 7, "a last line without newline counts");
    for (size_t chunk = 1; chunk < sizeof text; chunk++) {
        found f = feed(&in, text, strlen(text), chunk, false);
        cr_assert_eq(f.n, whole.n, "chunk %zu", chunk);
        for (int64_t i = 0; i < f.n; i++)
            cr_assert(f.value[i] == whole.value[i] && f.step[i] == whole.step[i], "chunk %zu", chunk);
    }
    hpt__intake_fini(&in);
}

Test(intake, of_a_line_without_end_only_the_start_is_kept)
{
    const size_t n = 3 * (size_t)HPT__LINE_MAX;
    char *text = malloc(n + 64);
    hpt__intake in;
    cr_assert_eq(hpt__intake_init(&in, "loss", NULL, 0), 0);
    for (size_t chunk = 100000; chunk < 2 * n; chunk *= 8) {
        memset(text, 'x', n);
        memcpy(text, "loss=1 ", 7);
        memcpy(text + n - 20, " loss=2 ", 8); // beyond what is looked at
        strcpy(text + n, "\nloss=3\n");
        found f = feed(&in, text, n + 8, chunk, false);
        cr_assert_eq(f.n, 2, "chunk %zu", chunk);
        cr_assert(f.value[0] == 1 && f.value[1] == 3);
    }
    found f = {0};
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {0};
    memset(text, 'x', n);
    text[n] = '\0';
    for (int i = 0; i < 16; i++)
        cr_assert_eq(hpt__intake_feed(&in, &s, &trial, text + n - 200000, 200000, take, &f), 0);
    cr_assert(s.cap <= 2 * (size_t)HPT__LINE_MAX, "memory is bounded");
    hpt__intake_stream_fini(&s);
    hpt__intake_fini(&in);
    free(text);
}

Test(intake, bytes_of_all_kinds_are_survived)
{
    static const char *const words[] = {"loss", "=",  ":", "{",    "}", "\"", "1", "nan",
                                        "\n",   "\r", " ", "step", "e", ".",  "-"};
    hpt__intake in;
    hpt__rng rng;
    static char text[4096];
    hpt__rng_init(&rng, 3, 0);
    const hpt__sweep_pattern p = {"loss", "l(o|0)ss ?[=:]([0-9.]*)"};
    for (int with = 0; with < 2; with++) {
        cr_assert_eq(hpt__intake_init(&in, "loss", &p, with), 0);
        for (int round = 0; round < 300; round++) {
            size_t n = 0;
            while (n + 8 < sizeof text && hpt__rng_below(&rng, 200)) {
                const int64_t k = hpt__rng_below(&rng, 17);
                if (k < 15) {
                    memcpy(text + n, words[k], strlen(words[k]));
                    n += strlen(words[k]);
                } else {
                    text[n++] = (char)hpt__rng_below(&rng, 256);
                }
            }
            if (n == 0) continue;
            const found a = feed(&in, text, n, n, false), b = feed(&in, text, n, 13, false);
            cr_assert_eq(a.n, b.n);
            for (int64_t i = 0; i < a.n && i < MOST; i++)
                cr_assert(same(a.value[i], b.value[i]) && a.step[i] == b.step[i] && a.step[i] >= 0);
        }
        hpt__intake_fini(&in);
    }
}

Test(intake, without_a_metric_nothing_is_looked_for)
{
    found f = {0};
    hpt__intake in;
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {0};
    cr_assert_eq(hpt__intake_init(&in, NULL, NULL, 0), 0);
    cr_assert_eq(hpt__intake_feed(&in, &s, &trial, "loss=1\n", 7, take, &f), 0);
    cr_assert(f.n == 0 && s.cap == 0);
    hpt__intake_fini(&in);
}

static int refuse(int64_t step, double value, void *payload) {
    (void)step;
    (void)value;
    (void)payload;
    return HPT_E_STORAGE;
}

Test(intake, an_error_of_the_receiver_is_returned)
{
    hpt__intake in;
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {0};
    cr_assert_eq(hpt__intake_init(&in, "loss", NULL, 0), 0);
    cr_assert_eq(hpt__intake_feed(&in, &s, &trial, "loss=1\n", 7, refuse, NULL), HPT_E_STORAGE);
    hpt__intake_stream_fini(&s);
    hpt__intake_fini(&in);
}

static int64_t left;
static bool fail_at_zero(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return left-- == 0;
}

Test(intake, every_failing_allocation_is_reported_or_harmless)
{
    static const char text[] = "start of a line, {\"loss\": 1}\n{\"loss\": 2}\nloss=3";
    const hpt__sweep_pattern p = {"step", "([0-9]+)"};
    for (int64_t k = 0; k < 12; k++) {
        hpt__intake in;
        found f = {0};
        hpt__intake_trial trial = {0};
        hpt__intake_stream s = {0};
        left = k;
        hpt__alloc_set_hook(fail_at_zero, NULL);
        int rc = hpt__intake_init(&in, "loss", &p, 1);
        if (rc == 0) {
            rc = hpt__intake_feed(&in, &s, &trial, "start of a", 10, take, &f);
            if (rc == 0) rc = hpt__intake_feed(&in, &s, &trial, text + 10, strlen(text) - 10, take, &f);
            if (rc == 0) rc = hpt__intake_end(&in, &s, &trial, take, &f);
        }
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert(rc == 0 || rc == HPT_E_MEMORY);
        hpt__intake_stream_fini(&s);
        hpt__intake_fini(&in);
    }
}

// ---- several metrics

typedef struct seen {
    int64_t n, metric[MOST], step[MOST];
    double value[MOST];
    const hpt__intake_trial *trial;
} seen;

static int take_many(int64_t step, double value, void *payload) {
    seen *s = payload;
    if (s->n < MOST) {
        s->metric[s->n] = s->trial->metric;
        s->step[s->n] = step;
        s->value[s->n] = value;
    }
    s->n++;
    return 0;
}

static seen feed_many(const hpt__intake *in, const char *text, size_t chunk, bool protocol) {
    hpt__intake_trial trial = {0};
    hpt__intake_stream stream = {.protocol = protocol};
    seen s = {.trial = &trial};
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i += chunk) {
        const size_t m = n - i < chunk ? n - i : chunk;
        char *copy = malloc(m + 1);
        memcpy(copy, text + i, m);
        copy[m] = '\0';
        cr_assert_eq(hpt__intake_feed(in, &stream, &trial, copy, m, take_many, &s), 0);
        free(copy);
    }
    cr_assert_eq(hpt__intake_end(in, &stream, &trial, take_many, &s), 0);
    hpt__intake_stream_fini(&stream);
    return s;
}

Test(intake, a_line_may_carry_several_metrics_at_one_step)
{
    static const char *const names[] = {"acc", "val.loss", "t"};
    static const char text[] =
        "acc=1 t=3\nnothing\nstep=7 val.loss: 2\n{\"t\": 5, \"val\": {\"loss\": 4}, \"epoch\": 9}\n"
        "last=3 acct=9 acc = 0.5";
    static const struct {
        int64_t metric, step;
        double value;
    } want[] = {{0, 0, 1}, {2, 0, 3}, {1, 7, 2}, {1, 9, 4}, {2, 9, 5}, {0, 10, 0.5}};
    hpt__intake in;
    cr_assert_eq(hpt__intake_init_many(&in, names, 3, NULL, 0), 0);
    for (size_t chunk = 1; chunk < sizeof text; chunk += 3) {
        const seen s = feed_many(&in, text, chunk, false);
        cr_assert_eq(s.n, 6, "chunk %zu: %d", chunk, (int)s.n);
        for (int i = 0; i < 6; i++)
            cr_assert(s.metric[i] == want[i].metric && s.step[i] == want[i].step && s.value[i] == want[i].value,
                      "chunk %zu, %d: metric %d step %d value %g", chunk, i, (int)s.metric[i], (int)s.step[i],
                      s.value[i]);
    }
    hpt__intake_fini(&in);
}

Test(intake, a_pattern_rules_for_its_own_metric_only)
{
    static const char *const names[] = {"acc", "t"};
    static const hpt__sweep_pattern patterns[] = {{"acc", "accuracy ([0-9.]+)"}, {"step", "^\\[([0-9]+)\\]"}};
    hpt__intake in;
    cr_assert_eq(hpt__intake_init_many(&in, names, 2, patterns, 2), 0);
    const seen s = feed_many(&in, "[3] accuracy 0.5 t=2\nacc=9 t=4\n{\"acc\": 8, \"t\": 6}\n", 5, false);
    cr_assert_eq(s.n, 4, "%d", (int)s.n);
    cr_assert(s.metric[0] == 0 && s.value[0] == 0.5 && s.step[0] == 3);
    cr_assert(s.metric[1] == 1 && s.value[1] == 2 && s.step[1] == 3);
    cr_assert(s.metric[2] == 1 && s.value[2] == 4 && s.metric[3] == 1 && s.value[3] == 6);
    const seen p = feed_many(&in, "acc=9 t=4\nvalue=7\n", 5, true);
    cr_assert(p.n == 3 && p.value[0] == 9 && p.value[1] == 4 && p.metric[2] == 0 && p.value[2] == 7,
              "the report file has names, and `value` for the first metric");
    hpt__intake_fini(&in);
}

Test(intake, more_metrics_than_a_run_reads_are_refused)
{
    const char *names[HPT__METRICS_MAX + 1];
    hpt__intake in;
    for (int i = 0; i <= HPT__METRICS_MAX; i++) names[i] = "m";
    cr_assert_eq(hpt__intake_init_many(&in, names, HPT__METRICS_MAX + 1, NULL, 0), HPT_E_ARG);
    cr_assert_eq(hpt__intake_init_many(&in, names, HPT__METRICS_MAX, NULL, 0), 0);
    hpt__intake_fini(&in);
}

Test(intake, preemption_is_announced_in_the_report_file)
{
    static const struct {
        const char *line;
        int want; // -1: does not speak of it
    } cases[] = {
        {"preempting=1", 1},
        {"preempting: 0", 0},
        {"step=3 loss=1 preempting=true", 1},
        {"preempting = False", 0},
        {"{\"preempting\": true}", 1},
        {"  {\"step\": 1, \"preempting\": false}", 0},
        {"{\"preempting\": 1}", 1},
        {"preempting", -1},
        {"preempting=", -1},
        {"preempting=maybe", -1},
        {"not_preempting=1", -1},
        {"not_preempting=true", -1},
        {"{\"preempting\": null}", -1},
        {"{\"preempting\": \"yes\"}", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool out = false;
        char *copy = strdup(cases[i].line);
        const bool speaks = hpt__intake_preempting(&out, copy, strlen(copy));
        free(copy);
        cr_assert_eq(speaks, cases[i].want >= 0, "%s", cases[i].line);
        if (speaks) cr_assert_eq(out, cases[i].want == 1, "%s", cases[i].line);
    }
    hpt__intake none = {0}; // also where no metric is looked for
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {.protocol = true}, out = {0};
    cr_assert_eq(hpt__intake_feed(&none, &out, &trial, "preempting=1\n", 13, take, NULL), 0);
    cr_assert_not(trial.preempting, "not on standard output");
    cr_assert_eq(hpt__intake_feed(&none, &s, &trial, "preempting=1\n", 13, take, NULL), 0);
    cr_assert(trial.preempting);
    hpt__intake_stream_fini(&s);
    hpt__intake_stream_fini(&out);
}
