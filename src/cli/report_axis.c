// SPDX-License-Identifier: Apache-2.0
// report_axis.c: the axis of time of charts. Idle stretches longer than a tenth of the busy time (a run that was resumed on the
// next day) are cut out of it.
#include "report_html.h"

#include <math.h>

enum { CUT_WIDTH = 12, TICKS = 9 };

// Pieces between idle stretches longer than `limit`; how many there are, of which AXIS_CUTS + 1 are kept.
static int64_t find_pieces(axis *a, const spans *s, double limit) {
    int64_t n = 0;
    double until = -INFINITY;
    a->busy = 0;
    for (int64_t i = 0; i < s->n; i++) { // by start
        const span *v = &s->items[i];
        if (n == 0 || v->start - until > limit) {
            if (n <= AXIS_CUTS) a->pieces[n].t0 = v->start;
            n++;
        }
        if (v->end > until) {
            a->busy += v->end - fmax(v->start, until);
            until = v->end;
        }
        if (n <= AXIS_CUTS + 1) a->pieces[n - 1].t1 = until;
    }
    a->n = (int)(n <= AXIS_CUTS ? n : AXIS_CUTS + 1);
    return n;
}

void axis_make(axis *a, const spans *s) {
    double shown = 0, x = CHART_LEFT;
    find_pieces(a, s, INFINITY);
    for (double limit = 0.1 * a->busy; find_pieces(a, s, limit) > AXIS_CUTS + 1; limit *= 2) {
    }
    for (int i = 0; i < a->n; i++) shown += a->pieces[i].t1 - a->pieces[i].t0;
    const double scale = (CHART_WIDTH - CUT_WIDTH * (a->n - 1)) / shown;
    for (int i = 0; i < a->n; i++) {
        piece *p = &a->pieces[i];
        p->x0 = x;
        p->x1 = x + scale * (p->t1 - p->t0);
        x = p->x1 + CUT_WIDTH;
    }
}

double axis_x(const axis *a, double t) {
    int i = 0;
    while (i < a->n - 1 && t >= a->pieces[i + 1].t0) i++;
    const piece *p = &a->pieces[i];
    return p->t1 > p->t0 ? p->x0 + (p->x1 - p->x0) * (t - p->t0) / (p->t1 - p->t0) : p->x0;
}

static double time_step(double range) {
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    if (range < TICKS) return html_step(range, TICKS);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (range / steps[i] <= TICKS) return steps[i];
    return 86400 * ceil(html_step(range / 86400, TICKS));
}

// Lines and labels, "0:10:00" since the first trial began, and where the axis is cut.
void axis_write(FILE *f, const axis *a, double bottom) {
    const double origin = a->pieces[0].t0;
    double shown = 0, last = -INFINITY;
    for (int i = 0; i < a->n; i++) shown += a->pieces[i].t1 - a->pieces[i].t0;
    const double step = time_step(shown);
    for (int i = 0; i < a->n; i++) {
        const piece *p = &a->pieces[i];
        const double from = ceil((p->t0 - origin) / step) * step;
        for (int k = 0; k <= TICKS && from + k * step <= p->t1 - origin; k++) {
            char label[32];
            const double t = from + k * step;
            const double x = axis_x(a, origin + t);
            if (x < last + 50 || x > CHART_LEFT + CHART_WIDTH - 8) continue;
            last = x;
            if (step < 1)
                snprintf(label, sizeof label, "%g s", t);
            else
                cli_duration(label, t);
            fprintf(f,
                    "<path class=\"grid\" d=\"M%.1f %dV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" class=\"mid\">%s</text>\n",
                    x, CHART_TOP, bottom, x, bottom + 14, label);
        }
        if (i == 0) continue;
        char idle[32];
        const double x = p->x0 - 0.5 * CUT_WIDTH;
        fprintf(f, "<path class=\"cut\" d=\"M%.1f %dV%.1f\"><title>%s without a trial, cut out</title></path>\n", x,
                CHART_TOP, bottom, cli_duration(idle, p->t0 - a->pieces[i - 1].t1));
    }
}
