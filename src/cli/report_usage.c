// SPDX-License-Identifier: Apache-2.0
// report_usage.c: how much of the slots and of the GPUs was in use over time, as means over some columns of the axis. The whole of
// the slots is the most trials at once, that of the GPUs those that trials ran on: what the machine had beside is not
// stored with a study.
#include "report_html.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 312, HEIGHT = 110, BOTTOM = 20 };

typedef struct usage {
    double slots[BINS], gpus[BINS]; // mean number in use in each part of the axis
    double slot_seconds, gpu_seconds;
    int most_slots, n_gpus;
} usage;

static int by_number(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The largest number of trials at once.
static int most_at_once(const spans *s) {
    double *ends = calloc((size_t)s->n + 1, sizeof *ends);
    int64_t n = 0, done = 0, now = 0, most = 0;
    for (int64_t i = 0; ends && i < s->n; i++)
        if (s->items[i].first) ends[n++] = s->items[i].end;
    if (ends) qsort(ends, (size_t)n, sizeof *ends, by_number);
    for (int64_t i = 0; ends && i < s->n; i++) {
        if (!s->items[i].first) continue;
        for (now++; done < n && ends[done] <= s->items[i].start; done++) now--;
        if (now > most) most = now;
    }
    free(ends);
    return most > 0 ? (int)most : 1;
}

static void add_usage(double *bins, const axis *a, const span *v, double amount) {
    const double width = (double)CHART_WIDTH / BINS, x0 = (axis_x(a, v->start) - CHART_LEFT) / width,
                 x1 = (axis_x(a, v->end) - CHART_LEFT) / width;
    for (int i = (int)x0; i < BINS && i < x1; i++) bins[i] += amount * (fmin(x1, i + 1) - fmax(x0, i));
}

static void measure(usage *u, const spans *s, const axis *a) {
    *u = (usage){.most_slots = most_at_once(s)};
    for (int g = 0; g < s->n_groups; g++) u->n_gpus += s->groups[g][0] != 0;
    for (int64_t i = 0; i < s->n; i++) {
        const span *v = &s->items[i];
        if (v->first) {
            add_usage(u->slots, a, v, 1);
            u->slot_seconds += v->end - v->start;
        }
        if (v->share > 0) {
            add_usage(u->gpus, a, v, v->share);
            u->gpu_seconds += v->share * (v->end - v->start);
        }
    }
}

static void write_line(FILE *f, const char *class, const double *bins, double full, double y0, double height,
                       bool filled) {
    fprintf(f, "<path class=\"%s\" d=\"", class);
    for (int i = 0; i < BINS; i++) {
        const double y = y0 + height * (1 - fmin(bins[i] / full, 1));
        fprintf(f, "%s%.1f %.1f", i ? "L" : "M", CHART_LEFT + (i + 0.5) * CHART_WIDTH / BINS, y);
    }
    if (filled) fprintf(f, "V%.1fH%.1fZ", y0 + height, CHART_LEFT + 0.5 * CHART_WIDTH / BINS);
    fprintf(f, "\"/>\n");
}

void html_write_usage(FILE *f, const spans *s, const axis *a) {
    static usage u; // large for a stack
    const double height = HEIGHT - CHART_TOP, bottom = HEIGHT;
    measure(&u, s, a);
    fprintf(f, "<h3>In use</h3>\n<svg viewBox=\"0 0 1000 %d\" role=\"img\" aria-label=\"use of slots over time\">\n",
            HEIGHT + BOTTOM);
    for (int percent = 0; percent <= 100; percent += 50) {
        const double y = bottom - height * percent / 100;
        fprintf(f, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"end\">%d %%</text>\n",
                CHART_LEFT, y, CHART_LEFT + CHART_WIDTH, CHART_LEFT - 6, y + 4, percent);
    }
    axis_write(f, a, bottom);
    write_line(f, "area", u.slots, u.most_slots, CHART_TOP, height, true);
    if (u.n_gpus) write_line(f, "line s1", u.gpus, u.n_gpus, CHART_TOP, height, false);
    fprintf(f, "</svg>\n<p class=\"legend\"><span><i class=\"ba\"></i>slots: %.0f %% of %d (the most at once)</span>",
            100 * u.slot_seconds / (a->busy * u.most_slots), u.most_slots);
    if (u.n_gpus)
        fprintf(f, " <span><i class=\"bs1\"></i>GPU shares: %.0f %% of the %d GPU%s that trials ran on</span>",
                100 * u.gpu_seconds / (a->busy * u.n_gpus), u.n_gpus, u.n_gpus == 1 ? "" : "s");
    fprintf(f, "</p>\n");
}
