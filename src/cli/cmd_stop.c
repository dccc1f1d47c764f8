// SPDX-License-Identifier: Apache-2.0
// cmd_stop.c: `hpt stop [NUMBER]`: asks the `hpt run` that owns a run folder to end, or to end one trial.
#include "cli.h"

#include <errno.h>
#include <stdlib.h>

int cmd_stop(int argc, char **argv) {
    const char *run = "hpt_runs/latest";
    const cli_option options[] = {
        {"run", 0, CLI_STRING, &run, "DIR", "the run's folder (default: hpt_runs/latest)"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    int code = positional ? cli_parse("stop", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) {
        long long number = -1;
        char *end = NULL;
        errno = 0;
        if (n == 1) number = strtoll(positional[0], &end, 10);
        if (n > 1 || (n == 1 && (errno || *end || number < 0))) {
            code = cli_usage("stop: give the number of one trial, or nothing to stop the whole run");
        } else {
            int rc = hpt_run_stop(run, number);
            if (rc < 0)
                code = cli_fail(rc);
            else if (n)
                printf("asked trial %lld to stop\n", number);
            else
                printf("asked the run in %s to stop; `hpt resume %s` continues it\n", run, run);
        }
    }
    free(positional);
    return code;
}
