// SPDX-License-Identifier: Apache-2.0
// report_gantt.c: the chart of slots over time: a row a slot, grouped by device, a bar an attempt in the colour of how it
// ended. What of it was in use is drawn below (report_usage.c).
//
// Size: bars that are narrower than a column of the chart are drawn as one with such neighbours, in the colour of most of them,
// and of more than BARS_TOLD attempts all bars of a colour are one path without texts. So a row never takes more than some
// tens of kilobytes. That bars were merged is said below the chart.
#include "report_html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BOTTOM = 20, HEIGHT = 640, LANE_MOST = 14, LANE_LEAST = 2, GROUP_GAP = 4, BARS_TOLD = 2000 };
static const char *const KINDS[SPAN_KINDS] = {"done",          "pruned",      "failed",     "timeout",
                                              "out of memory", "interrupted", "running now"};

// ---- bars

typedef struct bar { // one attempt, or several that are narrower than a column together
    double x0, x1;
    bool narrow;
    int64_t n, first, counts[SPAN_KINDS];
} bar;

typedef struct lane {
    bar column; // what has begun; narrow ones are gathered until they fill a column of the chart
    bar last;   // what comes before; columns of one colour are joined to it
} lane;

typedef struct drawing {
    FILE *f;
    const spans *s;
    const axis *axis;
    double *y; // of each group
    double lane_height, bottom;
    lane *lanes;
    int *base; // index of each group's first lane
    bool told; // each bar has a text
    FILE *paths[SPAN_KINDS];
    char *path_text[SPAN_KINDS];
    size_t path_size[SPAN_KINDS];
    int64_t n_merged;
} drawing;

static int most_of(const bar *b) {
    int best = 0;
    for (int k = 1; k < SPAN_KINDS; k++)
        if (b->counts[k] > b->counts[best]) best = k;
    return best;
}

static void draw_bar(drawing *d, const bar *b, double y) {
    const double gap = b->x1 - b->x0 > 4 && !b->narrow ? 0.5 : 0; // neighbours stay apart
    const double width = fmax(b->x1 - b->x0 - gap, 0.6), height = d->lane_height - (d->lane_height >= 4);
    const int kind = most_of(b);
    if (b->n == 0) return;
    if (b->n > 1) d->n_merged += b->n;
    if (!d->told) {
        fprintf(d->paths[kind], "M%.1f %.1fh%.1fv%.1fh-%.1fz", b->x0, y, width, height, width);
        return;
    }
    fprintf(d->f, "<rect class=\"k%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>", kind, b->x0, y,
            width, height);
    if (b->n == 1) fprintf(d->f, "#%lld %s", (long long)b->first, KINDS[kind]);
    for (int k = 0, any = 0; b->n > 1 && k < SPAN_KINDS; k++)
        if (b->counts[k]) fprintf(d->f, "%s%lld %s", any++ ? ", " : "", (long long)b->counts[k], KINDS[k]);
    fprintf(d->f, "</title></rect>\n");
}

static void join(bar *to, const bar *b) {
    to->x1 = fmax(to->x1, b->x1);
    to->n += b->n;
    for (int k = 0; k < SPAN_KINDS; k++) to->counts[k] += b->counts[k];
}

static void end_column(drawing *d, lane *l, double y) {
    const bar *b = &l->column;
    if (l->last.n > 0 && l->last.narrow && b->narrow && b->x0 - l->last.x1 < 1 && most_of(&l->last) == most_of(b)) {
        join(&l->last, b);
    } else {
        draw_bar(d, &l->last, y);
        l->last = *b;
    }
}

static void draw_span(drawing *d, const span *v) {
    lane *l = &d->lanes[d->base[v->group] + v->lane];
    bar b = {.x0 = axis_x(d->axis, v->start), .x1 = axis_x(d->axis, v->end), .n = 1, .first = v->number};
    b.narrow = b.x1 - b.x0 < 1;
    b.counts[v->kind] = 1;
    if (l->column.n > 0 && l->column.narrow && b.narrow && b.x1 - l->column.x0 <= 1) {
        join(&l->column, &b);
        return;
    }
    end_column(d, l, d->y[v->group] + v->lane * d->lane_height);
    l->column = b;
}

static void draw_bars(drawing *d) {
    for (int64_t i = 0; i < d->s->n; i++) draw_span(d, &d->s->items[i]);
    for (int g = 0; g < d->s->n_groups; g++)
        for (int k = 0; k < d->s->n_lanes[g]; k++) {
            lane *l = &d->lanes[d->base[g] + k];
            end_column(d, l, d->y[g] + k * d->lane_height);
            draw_bar(d, &l->last, d->y[g] + k * d->lane_height);
        }
}

// Lays the rows out; the height of the chart.
static double lay_out(drawing *d) {
    int lanes = 0;
    for (int g = 0; g < d->s->n_groups; g++) {
        d->base[g] = lanes;
        lanes += d->s->n_lanes[g];
    }
    d->lane_height = floor((double)HEIGHT / fmax(lanes, 1));
    d->lane_height = fmin(fmax(d->lane_height, LANE_LEAST), LANE_MOST);
    double y = CHART_TOP;
    for (int g = 0; g < d->s->n_groups; g++) {
        d->y[g] = y;
        y += d->s->n_lanes[g] * d->lane_height + GROUP_GAP;
    }
    d->bottom = y;
    return y + BOTTOM;
}

static void write_labels(const drawing *d) {
    double last = -INFINITY;
    for (int g = 0; g < d->s->n_groups; g++) {
        const char *name = d->s->groups[g];
        const double height = d->s->n_lanes[g] * d->lane_height, y = d->y[g] + 0.5 * height + 4;
        fprintf(d->f, "<rect class=\"row\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n", CHART_LEFT,
                d->y[g] - 1, CHART_WIDTH, height + 1);
        if (y < last + 11) continue; // more devices than lines of text
        last = y;
        fprintf(d->f, "<text x=\"%d\" y=\"%.1f\" class=\"end\">", CHART_LEFT - 6, y);
        html_text(d->f, name[0] ? name : d->s->n_groups > 1 ? "other" : "slots");
        fprintf(d->f, "</text>\n");
    }
}

static void write_legend(FILE *f, const spans *s) {
    int64_t counts[SPAN_KINDS] = {0};
    for (int64_t i = 0; i < s->n; i++) counts[s->items[i].kind] += s->items[i].first;
    fprintf(f, "<p class=\"legend\">");
    for (int k = 0; k < SPAN_KINDS; k++)
        if (counts[k]) fprintf(f, "<span><i class=\"b%d\"></i>%s %lld</span> ", k, KINDS[k], (long long)counts[k]);
    fprintf(f, "</p>\n");
}

static bool open_paths(drawing *d) {
    bool good = true;
    for (int k = 0; k < SPAN_KINDS; k++) {
        d->paths[k] = open_memstream(&d->path_text[k], &d->path_size[k]);
        good = good && d->paths[k];
    }
    return good;
}

static void write_paths(drawing *d) {
    for (int k = 0; k < SPAN_KINDS; k++) {
        const bool good = d->paths[k] && fclose(d->paths[k]) == 0;
        if (good && d->path_size[k]) fprintf(d->f, "<path class=\"k%d\" d=\"%s\"/>\n", k, d->path_text[k]);
        free(d->path_text[k]);
    }
}

// ---- the chart

static void write_notes(const drawing *d) {
    char first[32];
    const time_t start = (time_t)d->axis->pieces[0].t0;
    struct tm tm;
    gmtime_r(&start, &tm);
    strftime(first, sizeof first, "%Y-%m-%d %H:%M:%S", &tm);
    fprintf(d->f, "<p class=\"note\">Time since the first trial began, %s UTC.", first);
    if (d->axis->n > 1)
        fprintf(d->f, " %d stretch%s without a trial %s cut out (dashed lines).", d->axis->n - 1,
                d->axis->n > 2 ? "es" : "", d->axis->n > 2 ? "are" : "is");
    if (d->n_merged)
        fprintf(
            d->f,
            " %lld trials that are narrower than a pixel are drawn together with their neighbours, in the colour of most.",
            (long long)d->n_merged);
    if (d->s->n_unknown)
        fprintf(d->f, " %lld attempts were lost with their run and are not drawn: when they ended is not known.",
                (long long)d->s->n_unknown);
    fprintf(d->f, "</p>\n");
}

int html_write_gantt(FILE *f, const spans *s) {
    axis a;
    int64_t lanes = 0;
    drawing d = {.f = f, .s = s, .axis = &a, .told = s->n <= BARS_TOLD};
    if (s->n == 0) return HPT_OK;
    for (int g = 0; g < s->n_groups; g++) lanes += s->n_lanes[g];
    d.y = calloc((size_t)s->n_groups, sizeof *d.y);
    d.base = calloc((size_t)s->n_groups, sizeof *d.base);
    d.lanes = calloc((size_t)lanes, sizeof *d.lanes);
    bool good = d.y && d.base && d.lanes;
    if (good) good = open_paths(&d);
    if (good) {
        axis_make(&a, s);
        fprintf(f, "<h2>Slots over time</h2>\n");
        write_legend(f, s);
        const double height = lay_out(&d);
        fprintf(f, "<svg viewBox=\"0 0 1000 %.0f\" role=\"img\" aria-label=\"trials on slots over time\">\n", height);
        write_labels(&d);
        axis_write(f, &a, d.bottom);
        draw_bars(&d);
    }
    write_paths(&d);
    if (good) {
        fprintf(f, "</svg>\n");
        write_notes(&d);
        html_write_usage(f, s, &a);
    }
    free(d.y);
    free(d.base);
    free(d.lanes);
    return good ? HPT_OK : HPT_E_MEMORY;
}
