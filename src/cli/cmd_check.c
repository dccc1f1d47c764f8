// SPDX-License-Identifier: Apache-2.0
// cmd_check.c: `hpt check SWEEP`: reads and validates, shows the space, starts nothing.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

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

// Whether this machine has room for the sweep's trials. A sweep for a machine with GPUs is not wrong because this one has
// none: if it is told something else, or nothing, with GPUs declared, that they are missing here is a remark.
static int check_places(int64_t *places, const hpt_sweep *sweep, const char *gpus) {
    hpt_device_info *devices = NULL;
    int64_t n = 0, others = 0;
    *places = 0;
    int rc = hpt_device_list(&devices, &n, gpus);
    hpt_free(devices);
    if (rc >= 0) rc = hpt_sweep_places(places, sweep, gpus);
    if (rc >= 0) return CLI_OK;
    if (rc != HPT_E_ARG || n != 1 || gpus) return cli_fail(rc);
    char here[512];
    snprintf(here, sizeof here, "%s", hpt_last_error());
    if (hpt_sweep_places(&others, sweep, "64") < 0 && !strcmp(here, hpt_last_error())) return cli_fail(rc);
    cli_note("not checked against GPUs: %s", here);
    return CLI_OK;
}

int cmd_check(int argc, char **argv) {
    const char *format_text = NULL, *gpus = NULL;
    const cli_option options[] = {
        {"gpus", 0, CLI_STRING, &gpus, "LIST", "as for `hpt run`: whether the trials fit on these"},
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
        int64_t places = 0;
        if (n != 1) {
            code = cli_usage("check: name one sweep file");
        } else if ((rc = hpt_sweep_load(&sweep, positional[0])) < 0) {
            code = cli_fail(rc);
        } else if ((code = check_places(&places, sweep, gpus)) == CLI_OK) {
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
                if (places > 0) printf("  at once   %lld here\n", (long long)places);
                if (hpt_sweep_learns_gpu_memory(sweep))
                    printf("  learns    GPU memory of a trial from what finished ones took\n");
                printf("\n");
            }
            print_space(space, format);
        }
    }
    hpt_sweep_destroy(sweep);
    free(positional);
    return code;
}
