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

// For people: what one decides by. UUIDs are what a trial is given (`visible as`), so they have no column of their own.
static void add_for_people(cli_table *t, const hpt_device_info *d) {
    char text[32];
    cli_table_add(t, d->name);
    cli_table_addf(t, "%g", d->capacity);
    cli_table_add(t, bytes(text, d->memory_bytes));
    cli_table_add(t, d->used_bytes == 0 ? "0" : bytes(text, d->used_bytes));
    if (d->n_processes >= 0)
        cli_table_addf(t, "%lld", (long long)d->n_processes);
    else
        cli_table_add(t, "-");
    cli_table_add(t, or_dash(d->model));
    cli_table_add(t, or_dash(d->visible_id));
    cli_table_add(t, d->source);
    cli_table_add(t, or_dash(d->note));
}

// For programs: everything, sizes in bytes, what is not known empty.
static void add_for_programs(cli_table *t, const hpt_device_info *d) {
    const int64_t numbers[] = {d->memory_bytes > 0 ? d->memory_bytes : -1, d->used_bytes, d->n_processes};
    cli_table_add(t, d->name);
    cli_table_add(t, d->kind);
    cli_table_addf(t, "%g", d->capacity);
    for (int i = 0; i < 3; i++) {
        if (numbers[i] >= 0)
            cli_table_addf(t, "%lld", (long long)numbers[i]);
        else
            cli_table_add(t, "");
    }
    cli_table_add(t, d->model);
    cli_table_add(t, d->uuid);
    cli_table_add(t, d->profile);
    cli_table_add(t, d->parent);
    cli_table_add(t, d->pci);
    cli_table_add(t, d->compute_mode);
    cli_table_add(t, d->mps ? "yes" : "no");
    cli_table_add(t, d->visible_id);
    cli_table_add(t, d->source);
    cli_table_add(t, d->note);
}

static void show_mps(void) {
    hpt_mps_info *list;
    int64_t n;
    if (hpt_mps_list(&list, &n) < 0) {
        cli_note("%s", hpt_last_error());
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        char folder[sizeof list[i].pipe_directory];
        (void)cli_safe(folder, sizeof folder, list[i].pipe_directory, (int)sizeof folder - 1);
        printf("MPS %s: process %lld of user %lld, pipes in %s\n", list[i].role, (long long)list[i].pid,
               (long long)list[i].uid, folder[0] ? folder : "a folder that only its owner sees");
    }
    hpt_free(list);
}

static int show_devices(cli_format format, const char *gpus) {
    static const char *const people[] = {"device", ">capacity",  ">memory", ">used", ">processes",
                                         "model",  "visible as", "from",    "note"};
    static const char *const programs[] = {
        "device",  "kind",   "capacity", "memory_bytes", "used_bytes", "processes",  "model", "uuid",
        "profile", "parent", "pci",      "mode",         "mps",        "visible_as", "from",  "note"};
    hpt_device_info *devices;
    int64_t n;
    int rc = hpt_device_list(&devices, &n, gpus);
    if (rc < 0) return cli_fail(rc);
    cli_table *t = format == CLI_TABLE ? cli_table_new(people, (int)(sizeof people / sizeof *people))
                                       : cli_table_new(programs, (int)(sizeof programs / sizeof *programs));
    for (int64_t i = 0; i < n; i++) {
        if (format == CLI_TABLE)
            add_for_people(t, &devices[i]);
        else
            add_for_programs(t, &devices[i]);
    }
    cli_table_print(t, format, stdout);
    if (format == CLI_TABLE) {
        show_mps();
        if (n == 1) printf("no GPU is found; --gpus 4 or HPT_FAKE_DEVICES=4x40GiB declares some\n");
    }
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
        {"gpus", 0, CLI_STRING, &gpus, "LIST", "GPUs: a count, 4x40GiB+2x80GiB, or UUIDs of some that are here"},
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
