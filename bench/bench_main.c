// SPDX-License-Identifier: Apache-2.0
// bench_main.c: `hpt-bench GROUP [options]`: arguments, machine facts, the row printer.
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int bench_fail(const char *what) {
    fprintf(stderr, "hpt-bench: %s: %s\n", what, hpt_last_error());
    return 1;
}

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_summarise(bench_row *row, double *times, int64_t n) {
    qsort(times, (size_t)n, sizeof *times, by_time);
    row->min = times[0];
    row->max = times[n - 1];
    row->median = n % 2 ? times[n / 2] : 0.5 * (times[n / 2 - 1] + times[n / 2]);
}

// Value of the first "key : value" line of a /proc file.
static void proc_value(char *out, size_t size, const char *path, const char *key) {
    char line[512];
    snprintf(out, size, "unknown");
    FILE *f = fopen(path, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        char *value = strchr(line, ':');
        if (!value) continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, size, "%s", value);
        break;
    }
    fclose(f);
}

void bench_head(const bench_options *o) {
    char cpu[128], memory[64], date[32];
    struct utsname u;
    time_t now = time(NULL);
    struct tm tm;
    proc_value(cpu, sizeof cpu, "/proc/cpuinfo", "model name");
    proc_value(memory, sizeof memory, "/proc/meminfo", "MemTotal");
    if (uname(&u) != 0) strcpy(u.release, "unknown");
    strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &tm));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!strcmp(o->format, "jsonl")) {
        fprintf(
            o->out,
            "{\"machine\": {\"cpu\": \"%s\", \"cores\": %ld, \"memory\": \"%s\", \"kernel\": \"%s\"}, \"date\": \"%s\", \"build\": %s}\n",
            cpu, cores, memory, u.release, date, hpt_build_info());
    } else if (!strcmp(o->format, "csv")) {
        fprintf(o->out, "group,case,sampler,storage,d,after,n,unit,us_per_op,ops_per_second,min_us,max_us,peak_mb\r\n");
    } else {
        fprintf(o->out, "%s, %ld cores, %s, Linux %s, %s\n%s\n\n", cpu, cores, memory, u.release, date,
                hpt_build_info());
        fprintf(o->out,
                "| case | sampler | storage | d | after | n | us/op (median) | min..max | op/s | peak MB | op |\n");
        fprintf(o->out, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n");
    }
}

void bench_print(const bench_options *o, const bench_row *r) {
    double scale = 1e6 / (double)r->n;
    double us = r->median * scale, lo = r->min * scale, hi = r->max * scale;
    char peak[32] = "";
    if (r->peak_mb > 0) snprintf(peak, sizeof peak, "%.4g", r->peak_mb);
    if (!strcmp(o->format, "jsonl"))
        fprintf(
            o->out,
            "{\"group\": \"%s\", \"case\": \"%s\", \"sampler\": \"%s\", \"storage\": \"%s\", \"d\": %lld, \"after\": %lld, \"n\": %lld, \"unit\": \"%s\", \"us_per_op\": %.4g, \"min_us\": %.4g, \"max_us\": %.4g%s%s}\n",
            r->group, r->name, r->sampler, r->storage, (long long)r->d, (long long)r->start, (long long)r->n, r->unit,
            us, lo, hi, *peak ? ", \"peak_mb\": " : "", peak);
    else if (!strcmp(o->format, "csv"))
        fprintf(o->out, "%s,\"%s\",%s,%s,%lld,%lld,%lld,\"%s\",%.4g,%.4g,%.4g,%.4g,%s\r\n", r->group, r->name,
                r->sampler, r->storage, (long long)r->d, (long long)r->start, (long long)r->n, r->unit, us, 1e6 / us,
                lo, hi, peak);
    else
        fprintf(o->out, "| %s | %s | %s | %lld | %lld | %lld | %.4g | %.4g..%.4g | %.4g | %s | %s |\n", r->name,
                r->sampler, r->storage, (long long)r->d, (long long)r->start, (long long)r->n, us, lo, hi, 1e6 / us,
                peak, r->unit);
    fflush(o->out);
}

// Starts the program of a group that lies beside this one; comes back only if that cannot be.
static int run_beside(char **argv, const char *tail) {
    char path[4096];
    const ssize_t len = readlink("/proc/self/exe", path, sizeof path - strlen(tail) - 1);
    if (len > 0) {
        memcpy(path + len, tail, strlen(tail) + 1);
        execv(path, argv + 1);
    }
    fprintf(stderr, "hpt-bench: cannot start hpt-bench%s, which belongs beside this program: %s\n", tail,
            strerror(errno));
    return 1;
}

static int usage(int code) {
    fprintf(
        code ? stderr : stdout,
        "usage: hpt-bench engine|start|run|surrogate|sched [-o md|csv|jsonl] [-r REPEATS] [--quick] [--dir FOLDER] [--keep] [--output FILE]\n"
        "       hpt-bench --compare a.jsonl b.jsonl [--output FILE]\n"
        "  engine   ask and tell per second for each sampler and storage, reports per second, cost of a launch\n"
        "  start    starting the program, loading the library, the first ask of a process, opening and listing 100,000 trials, stopping a trial\n"
        "  run      10,000 trials of 10 ms on 16 slots of declared GPUs: what a slot loses per trial; processor time of a run that watches 64 trials\n"
        "  surrogate  operations of a Gaussian process on the compute devices (hpt-bench surrogate --help)\n"
        "  sched    a simulated load on the scheduler: utilisation, waiting, cost of a decision (hpt-bench sched --help)\n"
        "  --dir    where databases and runs are written and removed again (default: a new folder below the\n"
        "           working folder, so that the disk is the one you mean)\n"
        "  --keep   leave the runs of the launch case in --dir: on ext4, creating files is slow for minutes after\n"
        "           many were deleted, which would be measured by the next call\n"
        "  --compare  ratio b/a of every row that two files of -o jsonl share, of any group, of the medians and of the\n"
        "           fastest repetitions, and whether the spreads overlap; exit status 0 whatever the ratios are. Meant for two runs on one machine under one load.\n");
    return code;
}

int main(int argc, char **argv) {
    bench_options o = {.format = "md", .repeat = 3, .out = stdout};
    const char *group = NULL, *output = NULL, *a = NULL, *b = NULL;
    char dir[] = "hpt-bench.XXXXXX";
    if (argc == 2 && !strcmp(argv[1], "stopped-trial")) return bench_stopped_trial();
    if (argc == 3 && !strcmp(argv[1], "first-ask")) return bench_first_ask(atol(argv[2]));
    if (argc >= 2 && !strcmp(argv[1], "surrogate")) return run_beside(argv, "-surrogate");
    if (argc >= 2 && !strcmp(argv[1], "sched")) return run_beside(argv, "-sched");
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--quick"))
            o.quick = true;
        else if (!strcmp(argv[i], "--keep"))
            o.keep = true;
        else if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))
            return usage(0);
        else if (!strcmp(argv[i], "-o") && value)
            o.format = value, i++;
        else if (!strcmp(argv[i], "-r") && value)
            o.repeat = atol(value), i++;
        else if (!strcmp(argv[i], "--dir") && value)
            o.dir = value, i++;
        else if (!strcmp(argv[i], "--output") && value)
            output = value, i++;
        else if (!strcmp(argv[i], "--compare") && i + 2 < argc && !a)
            a = value, b = argv[i + 2], i += 2;
        else if (argv[i][0] != '-' && !group)
            group = argv[i];
        else
            return usage(2);
    }
    const bool engine = group && !strcmp(group, "engine"), start = group && !strcmp(group, "start");
    const bool run = group && !strcmp(group, "run");
    if ((a ? group != NULL : !engine && !start && !run) || o.repeat < 1 || o.repeat > 1000) return usage(2);
    if (strcmp(o.format, "md") != 0 && strcmp(o.format, "csv") != 0 && strcmp(o.format, "jsonl") != 0) return usage(2);
    const bool own = !a && !o.dir;
    if (own) o.keep = false;
    if (own && !(o.dir = mkdtemp(dir))) {
        perror("hpt-bench: cannot make a folder here");
        return 1;
    }
    if (output && !(o.out = fopen(output, "w"))) {
        perror(output);
        return 1;
    }
    if (!a) bench_head(&o);
    int code = a ? bench_compare(o.out, a, b) : engine ? bench_engine(&o) : run ? bench_run(&o) : bench_start(&o);
    if (own && rmdir(o.dir) != 0) perror("hpt-bench: could not remove its folder");
    if (o.out != stdout && fclose(o.out) != 0) code = 1;
    return code;
}
