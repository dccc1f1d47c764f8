// SPDX-License-Identifier: Apache-2.0
// surrogate_main.c: arguments, head and rows of `hpt-bench surrogate`.
//
// A program of its own, started by hpt-bench: it is linked with the library's objects, because a user of the public
// interface cannot call a backend; the other groups must measure the shared library as users have it.
#include "surrogate.h"

#include "core/base/error.h"
#include <hpt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static clockid_t clock_id = CLOCK_MONOTONIC;

double surrogate_now(void) {
    struct timespec t;
    clock_gettime(clock_id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_time(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void surrogate_summarise(surrogate_row *row, double *times, int64_t n) {
    qsort(times, (size_t)n, sizeof *times, by_time);
    row->min = times[0];
    row->max = times[n - 1];
    row->median = n % 2 ? times[n / 2] : 0.5 * (times[n / 2 - 1] + times[n / 2]);
}

static void print_head(const surrogate_options *o, const ceilings *c) {
    const bool json = !strcmp(o->format, "jsonl"), csv = !strcmp(o->format, "csv");
    for (int64_t i = 0; i < o->n_devices && !csv; i++) {
        hpt__device *device;
        const hpt__ctx_options options = {.n_threads = o->threads};
        if (hpt__device_open(&device, o->devices[i], &options, NULL) < 0) continue; // its cases will say why
        const hpt__device_desc *d = hpt__device_description(device);
        fprintf(o->out, json ? "{\"device\": \"%s\", \"description\": \"%s\", \"library\": \"%s\"}\n" : "%s: %s; %s\n",
                hpt__device_name(device), d->name, d->library);
        hpt__device_close(device);
    }
    if (json)
        fprintf(o->out, "{\"ceilings\": {\"dgemm_gflops\": %.4g, \"copy_gbytes\": %.4g}, \"build\": %s}\n", c->gflops,
                c->gbytes, hpt_build_info());
    else if (csv)
        fprintf(o->out, "case,device,n,d,m,seconds,min,max,per_second,gflops,gbytes,of_dgemm,of_copy,bytes,error\r\n");
    else
        fprintf(
            o->out,
            "product of matrices %.4g GFLOP/s, copy %.4g GB/s, measured again before each n\n%s\n\n"
            "| case | device | n | d | m | ms (median) | min..max | m/s | GFLOP/s | GB/s | of dgemm | of copy | MB | error |\n"
            "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
            c->gflops, c->gbytes, hpt_build_info());
}

// A number as text, or nothing where it does not apply.
static const char *cell(char text[32], bool applies, const char *format, double value) {
    text[0] = '\0';
    if (applies) snprintf(text, 32, format, value);
    return text;
}

static void json_number(FILE *out, const char *name, const char *text) {
    if (*text) fprintf(out, ", \"%s\": %s", name, text);
}

void surrogate_print(const surrogate_options *o, const ceilings *c, const surrogate_row *r) {
    const double gflops = r->flops / r->median / 1e9, gbytes = r->bytes / r->median / 1e9;
    const bool counted = r->flops > 0;
    char text[7][32];
    const char *rate = cell(text[0], r->m > 0, "%.4g", (double)r->m / r->median);
    const char *flops = cell(text[1], counted, "%.3g", gflops), *bytes = cell(text[2], counted, "%.3g", gbytes);
    const char *product = cell(text[3], counted && c->gflops > 0, "%.2f", gflops / c->gflops);
    const char *copy = cell(text[4], counted && c->gbytes > 0, "%.2f", gbytes / c->gbytes);
    const char *error = cell(text[5], !isnan(r->error), "%.1e", r->error);
    if (!strcmp(o->format, "jsonl")) {
        fprintf(
            o->out,
            "{\"group\": \"surrogate\", \"case\": \"%s\", \"device\": \"%s\", \"n\": %lld, \"d\": %lld, \"m\": %lld, "
            "\"seconds\": %.4g, \"min\": %.4g, \"max\": %.4g",
            r->name, r->device, (long long)r->n, (long long)r->d, (long long)r->m, r->median, r->min, r->max);
        json_number(o->out, "per_second", rate);
        json_number(o->out, "gflops", flops);
        json_number(o->out, "gbytes", bytes);
        json_number(o->out, "of_dgemm", product);
        json_number(o->out, "of_copy", copy);
        json_number(o->out, "error", error);
        fprintf(o->out, ", \"bytes\": %lld}\n", (long long)r->memory);
    } else if (!strcmp(o->format, "csv")) {
        fprintf(o->out, "\"%s\",%s,%lld,%lld,%lld,%.4g,%.4g,%.4g,%s,%s,%s,%s,%s,%lld,%s\r\n", r->name, r->device,
                (long long)r->n, (long long)r->d, (long long)r->m, r->median, r->min, r->max, rate, flops, bytes,
                product, copy, (long long)r->memory, error);
    } else {
        fprintf(o->out, "| %s | %s | %lld | %lld | %lld | %.4g | %.4g..%.4g | %s | %s | %s | %s | %s | %.3g | %s |\n",
                r->name, r->device, (long long)r->n, (long long)r->d, (long long)r->m, 1e3 * r->median, 1e3 * r->min,
                1e3 * r->max, rate, flops, bytes, product, copy, (double)r->memory / 1e6, error);
    }
    fflush(o->out);
}

static int usage(int code) {
    fprintf(
        code ? stderr : stdout,
        "usage: hpt-bench surrogate [--device cpu,ref] [--n 32,100,300,1000,2000,5000] [--d 10] [--q 8] [--threads N]\n"
        "                           [--fit-up-to 300] [-r REPEATS] [-o md|csv|jsonl] [--output FILE]\n"
        "  seconds of each operation of a Gaussian process on the compute devices; of a whole fit (n up to --fit-up-to),\n"
        "  of 64 functions drawn and asked at 4,096 places, of a suggestion after a new result and of a batch of --q (left\n"
        "  out where it would take half a minute). m: candidates, rows of an append, columns of a product, places or\n"
        "  points of a batch; m/s: of them a second.\n"
        "  `of dgemm` and `of copy`: share of the rates that this machine reached just before. MB: memory of the\n"
        "  device's models, at most. `error`: largest difference from `ref`, for n up to 300, relative to the largest\n"
        "  number. Slow cases repeat less. --threads 1: processor time, without the machine's load. Compare two files:\n"
        "  hpt-bench --compare a.jsonl b.jsonl\n");
    return code;
}

// Splits a comma-separated list in place; returns the number of pieces, at most max.
static int64_t split(char *text, const char **out, int64_t max) {
    int64_t n = 0;
    for (char *rest = text, *piece; n < max && (piece = strtok_r(rest, ",", &rest)) != NULL;) out[n++] = piece;
    return n;
}

static int64_t number(const char *text, int64_t low, int64_t high) {
    char *end;
    const long long v = strtoll(text, &end, 10);
    if (*end || v < low || v > high) {
        fprintf(stderr, "hpt-bench: '%s' is not a number from %lld to %lld\n", text, (long long)low, (long long)high);
        exit(2);
    }
    return v;
}

static int64_t numbers(char *text, int64_t out[SIZES_MAX], int64_t low, int64_t high) {
    const char *pieces[SIZES_MAX];
    const int64_t n = split(text, pieces, SIZES_MAX);
    for (int64_t k = 0; k < n; k++) out[k] = number(pieces[k], low, high);
    return n;
}

int main(int argc, char **argv) {
    surrogate_options o = {.format = "md",
                           .devices = {"cpu"},
                           .n_devices = 1,
                           .n = {32, 100, 300, 1000, 2000, 5000},
                           .n_sizes = 6,
                           .d = {10},
                           .n_d = 1,
                           .repeat = 5,
                           .q = 8,
                           .fit_up_to = 300,
                           .out = stdout};
    const char *output = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) return usage(0);
        if (i + 1 >= argc) return usage(2);
        const char *name = argv[i];
        char *value = argv[++i];
        if (!strcmp(name, "--device")) {
            o.n_devices = split(value, o.devices, DEVICES_MAX);
        } else if (!strcmp(name, "--n")) {
            o.n_sizes = numbers(value, o.n, 4, 100000);
        } else if (!strcmp(name, "--d")) {
            o.n_d = numbers(value, o.d, 1, 1000);
        } else if (!strcmp(name, "--q")) {
            o.q = number(value, 1, 4096);
        } else if (!strcmp(name, "--fit-up-to")) {
            o.fit_up_to = number(value, 0, 100000);
        } else if (!strcmp(name, "--threads")) {
            o.threads = number(value, 0, 65536);
            clock_id = o.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
        } else if (!strcmp(name, "-r")) {
            o.repeat = number(value, 1, TIMES_MAX);
        } else if (!strcmp(name, "-o")) {
            o.format = value;
        } else if (!strcmp(name, "--output")) {
            output = value;
        } else {
            return usage(2);
        }
    }
    if (strcmp(o.format, "md") != 0 && strcmp(o.format, "csv") != 0 && strcmp(o.format, "jsonl") != 0) return usage(2);
    if (output && !(o.out = fopen(output, "w"))) {
        perror(output);
        return 1;
    }
    ceilings c;
    int code = surrogate_ceilings(&c, o.threads);
    if (code == 0) print_head(&o, &c);
    for (int64_t k = 0; k < o.n_sizes * o.n_d * o.n_devices && code == 0; k++) {
        const int64_t n = o.n[k / o.n_devices / o.n_d], d = o.d[k / o.n_devices % o.n_d];
        const char *device = o.devices[k % o.n_devices];
        code = surrogate_ceilings(&c, o.threads);
        if (code == 0) code = surrogate_cases(&o, &c, device, n, d);
        if (code == 0) code = surrogate_whole(&o, &c, device, n, d);
    }
    if (o.out != stdout && fclose(o.out) != 0) code = 1;
    return code;
}
