// SPDX-License-Identifier: Apache-2.0
// top_text.c: what `hpt top` shows as lines of text, or as JSON for programs.
//
// A table that is too wide for the terminal is made again with fewer columns, the least telling first: number, state, time and
// value of a trial always stay. Columns of GPUs are left out where there are none.
#include "top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 800, BAR = 10 };

// ---- lines of text

static bool split(top_lines *out) {
    int n = 0;
    for (const char *c = out->text; *c; c++) n += *c == '\n';
    out->at = calloc((size_t)n + 1, sizeof *out->at);
    if (!out->at) return false;
    for (char *c = out->text; *c; c++) {
        out->at[out->n++] = c;
        c += strcspn(c, "\n");
        if (!*c) break;
        *c = 0;
    }
    return true;
}

void top_lines_fini(top_lines *lines) {
    free(lines->text);
    free(lines->at);
    *lines = (top_lines){NULL, NULL, 0};
}

static int widest(const top_lines *lines) {
    int most = 0;
    for (int i = 0; i < lines->n; i++) {
        const int w = cli_columns(lines->at[i]);
        if (w > most) most = w;
    }
    return most;
}

static void cut(top_lines *lines, int width) {
    char line[LINE];
    for (int i = 0; i < lines->n; i++) {
        if (cli_columns(lines->at[i]) <= width) continue;
        const size_t room = strlen(lines->at[i]) + 1;
        cli_safe(line, sizeof line < room ? sizeof line : room, lines->at[i], width);
        strcpy(lines->at[i], line);
    }
}

// Writes into lines; at each level less.
typedef void (*write_fn)(FILE *f, const top_data *d, int level);

static bool make(top_lines *out, const top_data *d, int width, write_fn write, int levels) {
    for (int level = 0; level < levels; level++) {
        size_t size = 0;
        top_lines_fini(out);
        FILE *f = open_memstream(&out->text, &size);
        if (!f) return false;
        write(f, d, level);
        if (fclose(f) != 0 || !split(out)) return false;
        if (widest(out) <= width) return true;
    }
    cut(out, width);
    return true;
}

// ---- head

static void write_head(FILE *f, const top_data *d, int level) {
    const hpt_run_view *v = d->view;
    char a[32], b[32];
    const int64_t finished = d->counts[HPT_TRIAL_COMPLETE] + d->counts[HPT_TRIAL_PRUNED] + d->counts[HPT_TRIAL_FAIL];
    fprintf(f, "%s: ", d->study);
    if (v->going && v->answered && level == 0)
        fprintf(f, "runs for %s, process %lld, up to %lld trials at once\n", cli_duration(a, d->elapsed),
                (long long)v->pid, (long long)v->n_slots);
    else if (v->going)
        fprintf(f, "runs for %s%s\n", cli_duration(a, d->elapsed), v->answered ? "" : ", does not answer");
    else if (d->n_left > 0)
        fprintf(f, "no run is going; `hpt resume %s` continues it\n", cli_below_cwd(v->run_dir));
    else
        fprintf(f, "no run is going; the last trial ended %s ago, %s after the first began\n",
                cli_duration(a, d->since), cli_duration(b, d->elapsed));
    fprintf(f, "%lld", (long long)finished);
    if (v->cap > 0) fprintf(f, "/%lld", (long long)v->cap);
    fprintf(f, " trials: %lld done, %lld running", (long long)d->counts[HPT_TRIAL_COMPLETE],
            (long long)(d->counts[HPT_TRIAL_RUNNING] - d->n_left));
    if (d->n_left) fprintf(f, ", %lld left", (long long)d->n_left);
    fprintf(f, ", %lld pruned, %lld failed", (long long)d->counts[HPT_TRIAL_PRUNED],
            (long long)d->counts[HPT_TRIAL_FAIL]);
    if (d->counts[HPT_TRIAL_WAITING]) fprintf(f, ", %lld waiting", (long long)d->counts[HPT_TRIAL_WAITING]);
    if (!isnan(d->per_minute)) fprintf(f, "; %s/min", cli_general(a, d->per_minute, 3));
    fputc('\n', f);
    if (!isnan(d->best))
        fprintf(f, "best %s %s (#%lld)\n", d->metric, cli_number(a, d->best), (long long)d->best_number);
    else if (d->n_objectives > 1)
        fprintf(f, "%lld objectives: `hpt best` lists the Pareto set\n", (long long)d->n_objectives);
    else
        fprintf(f, "best none yet\n");
}

bool top_head_lines(top_lines *out, const top_data *d, int width) {
    return make(out, d, width, write_head, 2);
}

// ---- tables: of columns that say from which level on they are left out

typedef struct column {
    const char *head;
    int id, level; // it is shown below this level
    bool gpu;      // only where there are GPUs
} column;

enum { COLUMNS_MAX = 16, ALWAYS = 100 };

static bool has_gpus(const top_data *d) {
    bool any = d->view->n_devices > 1;
    for (int64_t i = 0; i < d->n && !any; i++) any = d->trials[i].device[0] != 0;
    return any;
}

static cli_table *begin_table(const char *heads[COLUMNS_MAX], const column *shown[COLUMNS_MAX], int *n,
                              const column *all, int n_all, const top_data *d, int level) {
    const bool gpus = has_gpus(d);
    *n = 0;
    for (int i = 0; i < n_all; i++) {
        if (level >= all[i].level || (all[i].gpu && !gpus)) continue;
        heads[*n] = all[i].head;
        shown[(*n)++] = &all[i];
    }
    return cli_table_new(heads, *n);
}

static const char *number_text(char out[32], double v) {
    return isnan(v) ? strcpy(out, "-") : cli_general(out, v, 4);
}

// ---- devices

enum { D_NAME, D_BAR, D_SHARE, D_OF, D_USED, D_GRANTED, D_MEMORY, D_TRIALS };
enum { DEVICE_LEVELS = 4 };
static const column DEVICES[] = {
    {"device", D_NAME, ALWAYS, false},    {"", D_BAR, 1, false},
    {">granted", D_SHARE, ALWAYS, false}, {">of", D_OF, ALWAYS, false},
    {">memory used", D_USED, 2, false},   {">granted", D_GRANTED, 2, false},
    {">of", D_MEMORY, 2, false},          {">trials", D_TRIALS, 3, false},
};

static const char *bar(char out[BAR + 3], const hpt_run_device *v) {
    int full = v->capacity > 0 ? (int)lround(BAR * v->granted / v->capacity) : 0;
    if (full == 0 && v->granted > 0) full = 1;
    if (full > BAR) full = BAR;
    out[0] = '[';
    for (int i = 0; i < BAR; i++) out[1 + i] = i < full ? '#' : '.';
    memcpy(out + 1 + BAR, "]", 2);
    return out;
}

static double known(int64_t bytes) { // 0: what nobody counts
    return bytes > 0 ? (double)bytes : NAN;
}

static void device_cell(cli_table *t, int id, const hpt_run_device *v) {
    char text[32];
    switch (id) {
    case D_NAME:
        cli_table_add(t, v->name);
        break;
    case D_BAR:
        cli_table_add(t, bar(text, v));
        break;
    case D_SHARE:
        cli_table_add(t, number_text(text, v->granted));
        break;
    case D_OF:
        cli_table_add(t, number_text(text, v->capacity));
        break;
    case D_USED:
        cli_table_add(t, cli_bytes(text, (double)v->used_bytes));
        break;
    case D_GRANTED:
        cli_table_add(t, cli_bytes(text, known(v->granted_bytes)));
        break;
    case D_MEMORY:
        cli_table_add(t, cli_bytes(text, known(v->memory_bytes)));
        break;
    default:
        cli_table_addf(t, "%lld", (long long)v->n_trials);
    }
}

static void write_devices(FILE *f, const top_data *d, int level) {
    const char *heads[COLUMNS_MAX];
    const column *shown[COLUMNS_MAX];
    int n;
    cli_table *t = begin_table(heads, shown, &n, DEVICES, sizeof DEVICES / sizeof *DEVICES, d, level);
    for (int64_t i = 0; i < d->view->n_devices; i++)
        for (int c = 0; c < n; c++) device_cell(t, shown[c]->id, &d->view->devices[i]);
    cli_table_print(t, CLI_TABLE, f);
}

bool top_device_lines(top_lines *out, const top_data *d, int width) {
    return make(out, d, width, write_devices, DEVICE_LEVELS);
}

// ---- trials

enum { T_NUMBER, T_STATE, T_TRY, T_SLOT, T_DEVICE, T_SHARE, T_CORES, T_TIER, T_GPU, T_MEMORY, T_TIME, T_STEP, T_VALUE };
enum { TRIAL_LEVELS = 10 };
static const column TRIALS[] = {
    {">trial", T_NUMBER, ALWAYS, false}, {"state", T_STATE, ALWAYS, false}, {">attempt", T_TRY, 2, false},
    {">slot", T_SLOT, 1, false},         {"device", T_DEVICE, 7, true},     {">share", T_SHARE, 8, true},
    {">cores", T_CORES, 3, false},       {"tier", T_TIER, 5, false},        {">GPU memory", T_GPU, 6, true},
    {">memory", T_MEMORY, 4, false},     {">time", T_TIME, ALWAYS, false},  {">step", T_STEP, 9, false},
    {">value", T_VALUE, ALWAYS, false},
};

// "1.5 GiB/10 GiB": used against granted; where nothing was granted only what is used.
static const char *against(char out[72], double used, double granted) {
    char a[32], b[32];
    if (isnan(granted))
        snprintf(out, 72, "%s", cli_bytes(a, used));
    else
        snprintf(out, 72, "%s/%s", cli_bytes(a, used), cli_bytes(b, granted));
    return out;
}

static void count_cell(cli_table *t, int64_t n) {
    if (n < 0)
        cli_table_add(t, "-");
    else
        cli_table_addf(t, "%lld", (long long)n);
}

static void trial_cell(cli_table *t, int id, const top_trial *v) {
    char text[72];
    switch (id) {
    case T_NUMBER:
        count_cell(t, v->number);
        break;
    case T_STATE:
        cli_table_add(t, v->state);
        break;
    case T_TRY:
        count_cell(t, v->attempt);
        break;
    case T_SLOT:
        count_cell(t, v->slot);
        break;
    case T_DEVICE:
        cli_table_add(t, v->device[0] ? v->device : "-");
        break;
    case T_SHARE:
        cli_table_add(t, number_text(text, v->share));
        break;
    case T_CORES:
        cli_table_add(t, number_text(text, v->cores));
        break;
    case T_TIER:
        cli_table_add(t, v->tier[0] ? v->tier : "-");
        break;
    case T_GPU:
        cli_table_add(t, against(text, v->gpu_used, v->gpu_granted));
        break;
    case T_MEMORY:
        cli_table_add(t, against(text, v->memory_used, v->memory_granted));
        break;
    case T_TIME:
        cli_table_add(t, cli_duration(text, v->seconds));
        break;
    case T_STEP:
        count_cell(t, v->step);
        break;
    default:
        cli_table_add(t, cli_number(text, v->value));
    }
}

static void write_trials(FILE *f, const top_data *d, int level) {
    const char *heads[COLUMNS_MAX];
    const column *shown[COLUMNS_MAX];
    char metric[TOP_NAME + 2];
    int n;
    cli_table *t = begin_table(heads, shown, &n, TRIALS, sizeof TRIALS / sizeof *TRIALS, d, level);
    snprintf(metric, sizeof metric, ">%s", d->metric);
    heads[n - 1] = metric;
    for (int64_t i = 0; i < d->n; i++)
        for (int c = 0; c < n; c++) trial_cell(t, shown[c]->id, &d->trials[i]);
    cli_table_print(t, CLI_TABLE, f);
}

bool top_trial_lines(top_lines *out, const top_data *d, int width) {
    return make(out, d, width, write_trials, TRIAL_LEVELS);
}

// ---- for programs: sizes in bytes, times in seconds, null where it is not known

static void exact_cell(cli_table *t, double v) {
    char text[32];
    cli_table_add(t, isnan(v) ? "" : cli_exact(text, v));
}

static void print_devices_json(const top_data *d) {
    static const char *const heads[] = {"device",         ">capacity",   ">granted", ">memory_bytes",
                                        ">granted_bytes", ">used_bytes", ">trials"};
    cli_table *t = cli_table_new(heads, 7);
    for (int64_t i = 0; i < d->view->n_devices; i++) {
        const hpt_run_device *v = &d->view->devices[i];
        cli_table_add(t, v->name);
        exact_cell(t, v->capacity);
        exact_cell(t, v->granted);
        exact_cell(t, known(v->memory_bytes));
        exact_cell(t, (double)v->granted_bytes);
        exact_cell(t, v->used_bytes < 0 ? NAN : (double)v->used_bytes);
        exact_cell(t, (double)v->n_trials);
    }
    cli_table_print(t, CLI_JSON, stdout);
}

static void print_trials_json(const top_data *d) {
    static const char *const heads[] = {">number",
                                        "state",
                                        ">attempt",
                                        ">slot",
                                        "device",
                                        ">share",
                                        ">cores",
                                        "tier",
                                        ">gpu_memory_granted",
                                        ">gpu_memory_used",
                                        ">memory_granted",
                                        ">memory_used",
                                        ">seconds",
                                        ">step",
                                        ">value"};
    cli_table *t = cli_table_new(heads, 15);
    for (int64_t i = 0; i < d->n; i++) {
        const top_trial *v = &d->trials[i];
        exact_cell(t, (double)v->number);
        cli_table_add(t, v->state);
        exact_cell(t, (double)v->attempt);
        exact_cell(t, v->slot < 0 ? NAN : (double)v->slot);
        cli_table_add(t, v->device);
        exact_cell(t, v->share);
        exact_cell(t, v->cores);
        cli_table_add(t, v->tier);
        exact_cell(t, v->gpu_granted);
        exact_cell(t, v->gpu_used);
        exact_cell(t, v->memory_granted);
        exact_cell(t, v->memory_used);
        exact_cell(t, v->seconds);
        exact_cell(t, v->step < 0 ? NAN : (double)v->step);
        exact_cell(t, v->value);
    }
    cli_table_print(t, CLI_JSON, stdout);
}

static void print_number(const char *key, double v) {
    printf(", \"%s\": ", key);
    if (isnan(v))
        fputs("null", stdout);
    else
        cli_print_json_number(v);
}

void top_print_json(const top_data *d) {
    static const char *const states[] = {"running", "complete", "pruned", "fail", "waiting"};
    const hpt_run_view *v = d->view;
    printf("{\"study\": ");
    cli_put_json_string(stdout, v->study);
    printf(", \"going\": %s, \"answered\": %s", v->going ? "true" : "false", v->answered ? "true" : "false");
    for (int i = 0; i < 5; i++) print_number(states[i], (double)d->counts[i]);
    print_number("cap", v->cap > 0 ? (double)v->cap : NAN);
    print_number("slots", v->answered ? (double)v->n_slots : NAN);
    print_number("seconds", d->elapsed);
    print_number("per_minute", d->per_minute);
    print_number("best", d->best);
    print_number("best_number", isnan(d->best) ? NAN : (double)d->best_number);
    printf(",\n\"devices\": ");
    print_devices_json(d);
    printf(",\n\"trials\": ");
    print_trials_json(d);
    printf("}\n");
}
