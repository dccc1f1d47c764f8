// SPDX-License-Identifier: Apache-2.0
// cmd_devices.c: `hpt devices`: what trials can be given.
#include "cli.h"

#include <stdlib.h>

static const char *bytes(char out[32], int64_t n) {
    if (n <= 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.1f GiB", (double)n / (1024.0 * 1024 * 1024));
    return out;
}

int cmd_devices(int argc, char **argv) {
    const char *format_text = NULL, *gpus = NULL;
    const cli_option options[] = {
        {"gpus", 0, CLI_STRING, &gpus, "LIST", "declared GPUs: a count, or e.g. 4x40GiB+2x80GiB"},
        {"format", 'f', CLI_STRING, &format_text, "FORMAT", "table, json or csv"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    cli_format format;
    int code = positional ? cli_parse("devices", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code == CLI_OK && !done) code = cli_no_arguments("devices", positional, n);
    if (code == CLI_OK) code = cli_format_parse(&format, format_text);
    if (code == CLI_OK && !done) {
        hpt_device_info *devices;
        int64_t n_devices;
        int rc = hpt_device_list(&devices, &n_devices, gpus);
        if (rc < 0) {
            code = cli_fail(rc);
        } else {
            static const char *const columns[] = {"device", "kind", ">capacity", "memory", "visible as", "from"};
            cli_table *t = cli_table_new(columns, 6);
            char memory[32];
            for (int64_t i = 0; i < n_devices; i++) {
                cli_table_add(t, devices[i].name);
                cli_table_add(t, devices[i].kind);
                cli_table_addf(t, "%g", devices[i].capacity);
                cli_table_add(t, bytes(memory, devices[i].memory_bytes));
                cli_table_add(t, devices[i].visible_id[0] ? devices[i].visible_id : "-");
                cli_table_add(t, devices[i].source);
            }
            cli_table_print(t, format, stdout);
            if (n_devices == 1 && format == CLI_TABLE)
                printf("no GPU is declared; --gpus 4 or HPT_FAKE_DEVICES=4x40GiB declares some\n");
            hpt_free(devices);
        }
    }
    free(positional);
    return code;
}
