// SPDX-License-Identifier: Apache-2.0
// cmd_report.c: `hpt report`: with NAME=VALUE arguments, inside a trial, one line into the trial's report file (what
// the C client does); without, the report of a study: text, or a page with charts.
#include "report_html.h"

#include <errno.h>
#include <hpt/client.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// All arguments in one write, so that lines of parallel reporters never mix. 5: the trial was asked to stop.
static int report_metrics(const char **pairs, int n) {
    char line[4000];
    size_t len = 0;
    for (int i = 0; i < n; i++) {
        const char *eq = strchr(pairs[i], '=');
        if (!eq || eq == pairs[i] || !eq[1])
            return cli_usage("report: '%s' is not NAME=VALUE, e.g. `hpt report step=3 loss=0.25`", pairs[i]);
        char *end;
        strtod(eq + 1, &end);
        if (*end) return cli_usage("report: the value of '%s' is not a number", pairs[i]);
        int k = snprintf(line + len, sizeof line - len, "%s%s", i ? " " : "", pairs[i]);
        if (k < 0 || (size_t)k >= sizeof line - len) return cli_usage("report: too many values for one line");
        len += (size_t)k;
    }
    if (!hpt_client_enabled()) return CLI_OK; // outside a trial a training script runs unchanged
    if (hpt_client_report_line(line) < 0) {
        cli_note("report: could not write to the trial's report file");
        return CLI_FAILED;
    }
    return hpt_client_should_stop() ? CLI_STOPPED : CLI_OK;
}

// The run's folder, where the study's database lies in one; NULL if not.
static const char *run_folder(char *buffer, size_t size, const cli_study_args *where, const hpt_study *study) {
    static const char scheme[] = "sqlite:///", file[] = "/study.db";
    const char *url = hpt_study_storage(study);
    const size_t n = strlen(url), prefix = strlen(scheme), suffix = strlen(file);
    char trials[1300];
    if (where->run && !where->storage) return where->run;
    if (strncmp(url, scheme, prefix) != 0 || n <= prefix + suffix || strcmp(url + n - suffix, file) != 0) return NULL;
    snprintf(buffer, size, "%.*s", (int)(n - prefix - suffix), url + prefix);
    snprintf(trials, sizeof trials, "%s/trials", buffer);
    return access(trials, F_OK) == 0 ? buffer : NULL;
}

static int write_report(hpt_study *study, const cli_study_args *where, bool html, const char *output) {
    char dir[1200];
    const char *folder = run_folder(dir, sizeof dir, where, study);
    FILE *f = output ? fopen(output, "w") : stdout;
    if (!f) {
        cli_note("'%s' cannot be written (%s); choose another --output", output, strerror(errno));
        return CLI_FAILED;
    }
    int rc = html ? html_write_report(f, study, folder) : cli_report_write(f, study, folder);
    if (output && fclose(f) != 0 && rc == 0) rc = HPT_E_IO;
    if (rc == HPT_E_IO && output) {
        cli_note("'%s' could not be written", output);
        return CLI_FAILED;
    }
    return rc < 0 ? cli_fail(rc) : CLI_OK;
}

int cmd_report(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format = "text", *output = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format, "FORMAT",
         "text (default) or html: a page with charts that needs nothing else"},
        {"output", 'o', CLI_STRING, &output, "FILE", "write there instead of stdout"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("report", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done && n) {
        code = report_metrics(positional, n);
    } else if (code == CLI_OK && !done && strcmp(format, "text") != 0 && strcmp(format, "html") != 0) {
        code = cli_usage("report: --format is text or html, not '%s'", format);
    } else if (code == CLI_OK && !done) {
        code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY);
        if (code == CLI_OK) code = write_report(study, &where, !strcmp(format, "html"), output);
    }
    hpt_study_close(study);
    free(positional);
    return code;
}
