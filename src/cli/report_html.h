// SPDX-License-Identifier: Apache-2.0
// report_html.h: the parts of the report as a page (report_html.c): spans of time that trials ran, and charts of them.
#ifndef HPT_CLI_REPORT_HTML_H
#define HPT_CLI_REPORT_HTML_H

#include "cli.h"

enum { SPAN_GROUP = 80 };

typedef enum span_kind { // colours: .k0 to .k6 of the page's style
    SPAN_DONE,
    SPAN_PRUNED,
    SPAN_FAILED,
    SPAN_TIMEOUT,
    SPAN_OOM,
    SPAN_INTERRUPTED, // lost, stopped with its run, preempted, a neighbour's victim: started again
    SPAN_RUNNING,
    SPAN_KINDS
} span_kind;

typedef struct span {  // one attempt of a trial on one device
    double start, end; // seconds since 1970
    int64_t number;
    span_kind kind;
    int group;    // index of its device
    int lane;     // row among those of its device
    bool first;   // of a trial on several devices only one counts as a slot
    double share; // of the device; 0 without one
} span;

typedef struct spans {
    span *items; // by start
    int64_t n, cap;
    char (*groups)[SPAN_GROUP]; // names of devices, in the order of the chart; "": trials without one
    int *n_lanes;               // of each group
    int n_groups;
    int64_t n_unknown; // attempts that were lost: when they ended is not known
} spans;

// Attributes that the page's table is asked for.
enum { HTML_OUTCOME, HTML_USE, HTML_ATTEMPTS, HTML_ATTRS };
extern const char *const html_attrs[HTML_ATTRS];

// Attempts of trials with their devices and lanes. view: of the run, NULL: not known. Returns a status.
int spans_collect(spans *out, const hpt_table *t, const hpt_run_view *view);
void spans_fini(spans *s);

// ---- the axis of time (report_axis.c)
enum { AXIS_CUTS = 20, CHART_TOP = 22, CHART_LEFT = 64, CHART_WIDTH = 936 }; // of the 1000 columns of a chart
typedef struct piece { // between two idle stretches that are cut out
    double t0, t1, x0, x1;
} piece;
typedef struct axis {
    piece pieces[AXIS_CUTS + 1];
    int n;
    double busy; // seconds with at least one trial
} axis;
void axis_make(axis *a, const spans *s); // of at least one span
double axis_x(const axis *a, double t);
void axis_write(FILE *f, const axis *a, double bottom); // lines, labels "0:10:00" since the first trial began, cuts

// Charts as SVG elements with a heading. They return a status.
int html_write_gantt(FILE *f, const spans *s);                      // slots over time
void html_write_usage(FILE *f, const spans *s, const axis *a);      // how much was in use; below it
int html_write_history(FILE *f, const hpt_table *t, bool maximize); // results over trials; of one objective

int html_write_report(FILE *f, hpt_study *study, const char *where); // the page; where: the run's folder or NULL
void html_text(FILE *f, const char *text);                           // escaped
double html_step(double range, int most); // 1, 2 or 5 times a power of ten: at most so many ticks in the range

#endif
