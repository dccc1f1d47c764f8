// SPDX-License-Identifier: Apache-2.0
// cmd_import.c: `hpt import`: studies from a file into a database.
#include "cli.h"

#include <stdlib.h>

int cmd_import(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format = NULL;
    const cli_option options[] = {
        {"storage", 0, CLI_STRING, &where.storage, "URL",
         "database that gets the studies; made if it is not there (default: $HPT_STORAGE, else the latest run's)"},
        {"study", 's', CLI_STRING, &where.study, "NAME", "name of the study (default: its own, else the file's)"},
        {"format", 'f', CLI_STRING, &format, "FORMAT", "journal (Optuna's), jsonl or csv (default: by looking)"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    char url[1200];
    int64_t n_studies = 0, n_trials = 0;
    int code = positional ? cli_parse("import", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code != CLI_OK || done) goto out;
    if (n != 1) {
        code = cli_usage("import: give one file, e.g. hpt import study.jsonl --storage sqlite:///study.db");
        goto out;
    }
    if ((code = cli_storage_url(url, sizeof url, &where)) != CLI_OK) goto out;
    const int rc = hpt_storage_import(&n_studies, &n_trials, url, positional[0], format, where.study);
    if (rc < 0)
        code = cli_fail(rc);
    else
        printf("%lld stud%s with %lld trial%s imported into %s\n", (long long)n_studies, n_studies == 1 ? "y" : "ies",
               (long long)n_trials, n_trials == 1 ? "" : "s", url);
out:
    free(positional);
    return code;
}
