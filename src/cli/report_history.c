// SPDX-License-Identifier: Apache-2.0
// report_history.c: the chart of results over trials, with the best so far. The vertical range holds the best and 95 % of all;
// worse ones stand at its edge, so that one diverged trial does not press all others into a line.
#include "report_html.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 10, BOTTOM = 230, TICKS = 5, POINTS_TOLD = 1000 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct range {
    double low, high;
    int64_t n, n_beyond;
    double last; // largest number of a trial
} range;

static bool find_range(range *r, const hpt_table *t, bool maximize) {
    double *values = calloc((size_t)t->n + 1, sizeof *values);
    *r = (range){0};
    if (!values) return false;
    for (int64_t row = 0; row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_COMPLETE || !isfinite(t->values[row])) continue;
        values[r->n++] = maximize ? -t->values[row] : t->values[row];
        r->last = fmax(r->last, (double)t->number[row]);
    }
    if (r->n > 0) {
        qsort(values, (size_t)r->n, sizeof *values, ascending);
        const int64_t at = (int64_t)(0.95 * (double)(r->n - 1));
        const double best = values[0], most = values[r->n - 1], common = values[at];
        // Only where the worst are far away from the others.
        const double worst = most - best > 2 * (common - best) && common > best ? common : most;
        for (int64_t i = 0; i < r->n; i++) r->n_beyond += values[i] > worst;
        const double pad = worst > best ? 0.05 * (worst - best) : fmax(fabs(best) * 0.1, 1e-12);
        r->low = fmax(maximize ? -worst - pad : best - pad, -DBL_MAX / 4);
        r->high = fmin(maximize ? -best + pad : worst + pad, DBL_MAX / 4);
    }
    free(values);
    return true;
}

static double x_at(const range *r, double number) {
    return CHART_LEFT + CHART_WIDTH * (number + 0.5) / (r->last + 1);
}

static double y_at(const range *r, double value) {
    const double v = fmin(fmax(value, r->low), r->high);
    return BOTTOM - (BOTTOM - TOP) * ((v - r->low) / (r->high - r->low));
}

static void write_axes(FILE *f, const range *r) {
    char label[32];
    const double step = html_step(r->high - r->low, TICKS), across = fmax(html_step(r->last + 1, 10), 1);
    const double from = ceil(r->low / step) * step;
    for (int k = 0; k <= TICKS && from + k * step <= r->high; k++) {
        const double v = from + k * step, shown = fabs(v) < 1e-9 * step ? 0 : v;
        fprintf(f, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"end\">%s</text>\n",
                CHART_LEFT, y_at(r, v), CHART_LEFT + CHART_WIDTH, CHART_LEFT - 6, y_at(r, v) + 4,
                cli_general(label, shown, 4));
    }
    for (double n = 0; n <= r->last; n += across)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" class=\"mid\">%.0f</text>\n", x_at(r, n), BOTTOM + 16, n);
}

// Many points have no text each, and those that fall on the same two by two columns are drawn once.
static void write_points(FILE *f, const hpt_table *t, const range *r) {
    static bool drawn[(BOTTOM + 2) / 2][(CHART_LEFT + CHART_WIDTH) / 2 + 1];
    const bool told = r->n <= POINTS_TOLD;
    char value[32];
    memset(drawn, 0, sizeof drawn);
    if (!told) fprintf(f, "<path class=\"k0\" d=\"");
    for (int64_t row = 0; row < t->n; row++) {
        if (t->state[row] != HPT_TRIAL_COMPLETE || !isfinite(t->values[row])) continue;
        const double x = x_at(r, (double)t->number[row]), y = y_at(r, t->values[row]);
        if (told) {
            fprintf(f, "<circle class=\"k0\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>#%lld %s</title></circle>\n", x, y,
                    (long long)t->number[row], cli_number(value, t->values[row]));
            continue;
        }
        bool *cell = &drawn[(int)(y / 2)][(int)(x / 2)];
        if (!*cell) fprintf(f, "M%d %dh2v2h-2z", 2 * (int)(x / 2), 2 * (int)(y / 2));
        *cell = true;
    }
    if (!told) fprintf(f, "\"/>\n");
}

// A step wherever one trial beats all with smaller numbers.
static void write_best(FILE *f, const hpt_table *t, const range *r, bool maximize) {
    double best = NAN;
    for (int64_t row = 0; row < t->n; row++) {
        const double v = t->values[row];
        if (t->state[row] != HPT_TRIAL_COMPLETE || !isfinite(v) || !t->feasible[row]) continue;
        if (!isnan(best) && (maximize ? v <= best : v >= best)) continue;
        const double x = x_at(r, (double)t->number[row]);
        if (isnan(best))
            fprintf(f, "<path class=\"line s0\" d=\"M%.1f %.1f", x, y_at(r, v));
        else
            fprintf(f, "H%.1fV%.1f", x, y_at(r, v));
        best = v;
    }
    if (!isnan(best)) fprintf(f, "H%d\"/>\n", CHART_LEFT + CHART_WIDTH);
}

int html_write_history(FILE *f, const hpt_table *t, bool maximize) {
    range r;
    if (t->k != 1) return HPT_OK;
    if (!find_range(&r, t, maximize)) return HPT_E_MEMORY;
    if (r.n == 0) return HPT_OK;
    fprintf(f, "<h2>Results</h2>\n<p class=\"legend\"><span><i class=\"b0\"></i>");
    html_text(f, t->metric_names ? t->metric_names[0] : "value");
    fprintf(f, " of %lld trials</span> <span><i class=\"bs0\"></i>best so far</span></p>\n", (long long)r.n);
    fprintf(f, "<svg viewBox=\"0 0 1000 %d\" role=\"img\" aria-label=\"results over trials\">\n", BOTTOM + 22);
    write_axes(f, &r);
    write_points(f, t, &r);
    write_best(f, t, &r, maximize);
    fprintf(f, "</svg>\n<p class=\"note\">Number of the trial across.");
    if (r.n_beyond) fprintf(f, " The worst %lld stand at the edge.", (long long)r.n_beyond);
    fprintf(f, "</p>\n");
    return HPT_OK;
}
