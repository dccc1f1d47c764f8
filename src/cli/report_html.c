// SPDX-License-Identifier: Apache-2.0
// report_html.c: the report as one page that needs nothing else: no script, no font, no picture, nothing from a network. Charts
// (SVG) of results and of slots over time, then the text report.
//
// Text of others (names, reasons, paths) passes html_text: it is data, never markup.
#include "report_html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Colours of outcomes are those of Okabe and Ito, which people with any colour vision tell apart.
static const char STYLE[] =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1040px;margin:24px auto;padding:0 16px;color:#222;background:#fff}\n"
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:26px 0 4px}h3{font-size:14px;margin:12px 0 0}\n"
    "p{margin:4px 0}.note,.legend{font-size:13px;color:#666}.legend span{margin-right:14px;white-space:nowrap}\n"
    ".legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px}\n"
    "pre{font:13px/1.4 ui-monospace,monospace;overflow-x:auto;background:#f6f6f6;padding:12px;border-radius:6px}\n"
    "svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:#666}\n"
    ".end{text-anchor:end}.mid{text-anchor:middle}.row{fill:#f4f4f4}\n"
    ".grid{stroke:#ddd;stroke-width:.7;fill:none}.cut{stroke:#888;stroke-dasharray:3 3;fill:none}\n"
    ".line{fill:none;stroke-width:1.6;stroke-linejoin:round}\n"
    ".k0{fill:#009e73}.k1{fill:#56b4e9}.k2{fill:#d55e00}.k3{fill:#e69f00}.k4{fill:#cc79a7}.k5{fill:#999}.k6{fill:#0072b2}\n"
    ".b0{background:#009e73}.b1{background:#56b4e9}.b2{background:#d55e00}.b3{background:#e69f00}.b4{background:#cc79a7}"
    ".b5{background:#999}.b6{background:#0072b2}\n"
    ".area{fill:#bbb}.ba{background:#bbb}.s0{stroke:#333}.s1{stroke:#d55e00}.bs0{background:#333}.bs1{background:#d55e00}\n"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre,.row{background:#222;fill:#222}"
    ".grid{stroke:#3a3a3a}svg text,.note,.legend{fill:#aaa;color:#aaa}.s0{stroke:#eee}.bs0{background:#eee}.area{fill:#555}.ba{background:#555}}\n";

void html_text(FILE *f, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '&')
            fputs("&amp;", f);
        else if (*p == '<')
            fputs("&lt;", f);
        else if (*p == '>')
            fputs("&gt;", f);
        else if (*p == '"')
            fputs("&quot;", f);
        else if (*p >= 0x20 || *p == '\n' || *p == '\t')
            fputc(*p, f);
        else
            fputc('?', f);
    }
}

double html_step(double range, int most) {
    if (!(range > 0) || !isfinite(range)) return 1;
    const double power = pow(10, floor(log10(range / most)));
    const double steps[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++)
        if (range / (steps[i] * power) <= most) return steps[i] * power;
    return 10 * power;
}

static int write_text_report(FILE *f, hpt_study *study, const char *where) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) return HPT_E_MEMORY;
    int rc = cli_report_write(memory, study, where);
    if (fclose(memory) != 0 && rc == 0) rc = HPT_E_MEMORY;
    if (rc == 0) {
        fprintf(f, "<h2>Report</h2>\n<pre>");
        html_text(f, text);
        fprintf(f, "</pre>\n");
    }
    free(text);
    return rc;
}

static void write_name(FILE *f, hpt_study *study) {
    char name[2100];
    cli_safe(name, sizeof name, hpt_study_name(study), 500);
    html_text(f, name);
}

int html_write_report(FILE *f, hpt_study *study, const char *where) {
    hpt_table *t = NULL;
    hpt_monitor *monitor = NULL;
    const hpt_run_view *view = NULL;
    spans s = {0};
    if (where && hpt_monitor_open(&monitor, where) == 0 && hpt_monitor_look(&view, monitor) < 0) view = NULL;
    int rc = hpt_study_table(&t, study, html_attrs, HTML_ATTRS);
    if (rc == 0) rc = spans_collect(&s, t, view);
    if (rc == 0) {
        fprintf(f, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
        write_name(f, study);
        fprintf(f, "</title>\n<style>\n%s</style></head>\n<body>\n<h1>", STYLE);
        write_name(f, study);
        fprintf(f, "</h1>\n");
        rc = html_write_history(f, t, hpt_study_direction(study, 0) == HPT_MAXIMIZE);
    }
    if (rc == 0) rc = html_write_gantt(f, &s);
    if (rc == 0) rc = write_text_report(f, study, where);
    if (rc == 0) fprintf(f, "</body></html>\n");
    spans_fini(&s);
    hpt_table_destroy(t);
    hpt_monitor_close(monitor);
    if (rc < 0) return rc;
    return ferror(f) ? HPT_E_IO : HPT_OK;
}
