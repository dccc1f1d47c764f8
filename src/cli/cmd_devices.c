// SPDX-License-Identifier: Apache-2.0
// cmd_devices.c: `hpt devices`: what trials can be given; with -v what the engine itself can compute on.
//
// One table per call, so that JSON and CSV stay one document: -v replaces the trials' devices by the engine's backends.
#include "cli.h"

#include <stdlib.h>

static const char *bytes(char out[32], int64_t n) {
    if (n <= 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.1f GiB", (double)n / (1024.0 * 1024 * 1024));
    return out;
}

static const char *or_dash(const char *text) {
    return text[0] ? text : "-";
}

static int show_devices(cli_format format, const char *gpus) {
    hpt_device_info *devices;
    int64_t n;
    int rc = hpt_device_list(&devices, &n, gpus);
    if (rc < 0) return cli_fail(rc);
    static const char *const columns[] = {"device", "kind", ">capacity", "memory", "visible as", "from"};
    cli_table *t = cli_table_new(columns, 6);
    char memory[32];
    for (int64_t i = 0; i < n; i++) {
        cli_table_add(t, devices[i].name);
        cli_table_add(t, devices[i].kind);
        cli_table_addf(t, "%g", devices[i].capacity);
        cli_table_add(t, bytes(memory, devices[i].memory_bytes));
        cli_table_add(t, or_dash(devices[i].visible_id));
        cli_table_add(t, devices[i].source);
    }
    cli_table_print(t, format, stdout);
    if (n == 1 && format == CLI_TABLE)
        printf("no GPU is declared; --gpus 4 or HPT_FAKE_DEVICES=4x40GiB declares some\n");
    hpt_free(devices);
    return CLI_OK;
}

static int show_backends(cli_format format) {
    hpt_backend_info *backends;
    int64_t n;
    int rc = hpt_backend_list(&backends, &n);
    if (rc < 0) return cli_fail(rc);
    static const char *const columns[] = {"backend", "available", "hardware", "library", "memory", "auto"};
    cli_table *t = cli_table_new(columns, 6);
    char memory[32];
    for (int64_t i = 0; i < n; i++) {
        cli_table_add(t, backends[i].name);
        cli_table_add(t, backends[i].available ? "yes" : "no");
        cli_table_add(t, or_dash(backends[i].device));
        cli_table_add(t, or_dash(backends[i].library));
        cli_table_add(t, bytes(memory, backends[i].memory_bytes));
        cli_table_add(t, backends[i].why[0] ? backends[i].why : "taken");
    }
    cli_table_print(t, format, stdout);
    const char *asked = getenv("HPT_DEVICE");
    if (asked && asked[0] && format == CLI_TABLE) {
        char text[100];
        (void)cli_safe(text, sizeof text, asked, 40);
        printf("HPT_DEVICE is '%s': it goes before auto\n", text);
    }
    hpt_free(backends);
    return CLI_OK;
}

int cmd_devices(int argc, char **argv) {
    const char *format_text = NULL, *gpus = NULL;
    bool backends = false;
    const cli_option options[] = {
        {"gpus", 0, CLI_STRING, &gpus, "LIST", "declared GPUs: a count, or e.g. 4x40GiB+2x80GiB"},
        {"verbose", 'v', CLI_FLAG, &backends, NULL, "instead: what the engine computes on, and why not on the others"},
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
    if (code == CLI_OK && !done) code = backends ? show_backends(format) : show_devices(format, gpus);
    free(positional);
    return code;
}
