// SPDX-License-Identifier: Apache-2.0
// cmd_check.c: `hpt check SWEEP`: reads and validates, shows the space, starts nothing.
#include "cli.h"

#include <stdlib.h>

static void print_space(const hpt_space *space, cli_format format) {
    static const char *const columns[] = {"parameter", "range", "only if"};
    cli_table *t = cli_table_new(columns, 3);
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const char *name = hpt_space_name(space, i);
        char *range = NULL, *condition = NULL;
        if (hpt_space_describe(&range, space, name) < 0 || hpt_space_describe_condition(&condition, space, name) < 0)
            cli_note("%s", hpt_last_error());
        cli_table_add(t, name);
        cli_table_add(t, range);
        cli_table_add(t, condition);
        hpt_free(range);
        hpt_free(condition);
    }
    cli_table_print(t, format, stdout);
}

int cmd_check(int argc, char **argv) {
    const char *format_text = NULL;
    const cli_option options[] = {
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "of the parameters: table, json or csv"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    if (!positional) return cli_fail(HPT_E_MEMORY);
    bool done;
    int n;
    cli_format format;
    hpt_sweep *sweep = NULL;
    int code = cli_parse("check", options, argc, argv, positional, &n, &done);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && !done) {
        int rc = 0;
        if (n != 1) {
            code = cli_usage("check: name one sweep file");
        } else if ((rc = hpt_sweep_load(&sweep, positional[0])) < 0) {
            code = cli_fail(rc);
        } else {
            const hpt_space *space = hpt_sweep_space(sweep);
            for (int64_t i = 0; hpt_sweep_warning(sweep, i); i++) cli_note("warning: %s", hpt_sweep_warning(sweep, i));
            if (format == CLI_TABLE) {
                int64_t points = hpt_space_cardinality(space), cap = hpt_sweep_run_cap(sweep);
                printf("%s: ok\n", positional[0]);
                printf("  name      %s\n  method    %s\n", hpt_sweep_name(sweep), hpt_sweep_method(sweep));
                for (int64_t i = 0; i < hpt_sweep_n_metrics(sweep); i++)
                    printf("  metric    %s (%s)\n", hpt_sweep_metric_at(sweep, i),
                           hpt_sweep_direction_at(sweep, i) == HPT_MAXIMIZE ? "maximize" : "minimize");
                if (cap) printf("  run_cap   %lld\n", (long long)cap);
                if (points >= 0) printf("  points    %lld\n", (long long)points);
                printf("\n");
            }
            print_space(space, format);
        }
    }
    hpt_sweep_destroy(sweep);
    free(positional);
    return code;
}
