// SPDX-License-Identifier: Apache-2.0
// case_run.c: what a run costs its trials: real processes on declared devices.
//
// short     trials of 10 ms on 16 slots, a quarter of a GPU each: wall time, from which follows the time that a slot loses
//           for each trial (slots x wall / trials - 10 ms); beside it the same processes under xargs, a tool that does
//           nothing else (the floor, which on few cores is the processes' own cost)
// cpu       of that time, the processor time of the run itself, its processes' not counted
// turnover  from the end of a trial, as the run tells it, to the start of the next one in the freed slot
// watch     64 trials that each report once a second: processor time of the run itself in a second of that
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SLOTS = 16, WATCHED = 64 };
static const double DURATION = 0.01;

static double own_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

typedef struct turnover {
    double ended[SLOTS]; // ends that no start has followed yet, oldest first
    int64_t n_ended;
    double *gaps;
    int64_t n;
} turnover;

static void on_event(const hpt_run_event *e, void *payload) {
    turnover *t = payload;
    if (e->kind == HPT_RUN_TRIAL_ENDED && t->n_ended < SLOTS) t->ended[t->n_ended++] = bench_now();
    if (e->kind != HPT_RUN_TRIAL_STARTED || t->n_ended == 0) return;
    t->gaps[t->n++] = bench_now() - t->ended[0];
    t->n_ended--;
    memmove(t->ended, t->ended + 1, (size_t)t->n_ended * sizeof *t->ended);
}

static int run_once(double *wall, double *cpu, turnover *t, hpt_sweep *sweep, const char *dir, int64_t slots,
                    int64_t n) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    hpt_run_summary summary;
    o.run_dir = dir;
    o.slots = slots;
    o.n_trials = n;
    o.gpus = "4x40GiB";
    o.has_seed = true;
    if (t) {
        o.on_event = on_event;
        o.payload = t;
    }
    const double t0 = bench_now(), cpu0 = own_cpu();
    const int rc = hpt_run_sweep(&summary, sweep, &o);
    *wall = bench_now() - t0;
    *cpu = own_cpu() - cpu0;
    if (rc < 0) return bench_fail("run");
    if (summary.n_done == n) return 0;
    fprintf(stderr, "hpt-bench: run: only %lld of %lld trials are done\n", (long long)summary.n_done, (long long)n);
    return 1;
}

static int bench_short(const bench_options *o, int64_t n) {
    static const char text[] = "name: short\nmethod: random\ncommand: [sleep, \"0.01\"]\n"
                               "parameters: {x: {min: 0.0, max: 1.0}}\nhpt: {resources: {gpu: 0.25}}\n";
    const int64_t repeat = o->repeat;
    double *times = calloc((size_t)repeat * 3, sizeof *times), *cpu = times + repeat, *floor = cpu + repeat;
    turnover t = {.gaps = calloc((size_t)n + 1, sizeof(double))};
    hpt_sweep *sweep = NULL;
    char dir[512], command[256];
    int rc = times && t.gaps && hpt_sweep_parse(&sweep, text, "short.yaml") >= 0 ? 0 : bench_fail("short");
    snprintf(command, sizeof command, "seq %lld | xargs -P %d -I{} sleep 0.01", (long long)n, SLOTS);
    for (int64_t r = 0; rc == 0 && r < repeat; r++) {
        t.n = t.n_ended = 0;
        snprintf(dir, sizeof dir, "%s/short-%lld", o->dir, (long long)r);
        rc = run_once(&times[r], &cpu[r], &t, sweep, dir, SLOTS, n);
        const double t0 = bench_now();
        if (rc == 0) rc = system(command);
        floor[r] = bench_now() - t0;
    }
    if (rc == 0) {
        bench_row row = {"run", "short", "random", "sqlite", 1, 0, n, 0, 0, 0, "trial of 10 ms, 16 slots", 0};
        bench_row row_floor = {"run", "short", "xargs -P 16", "-", 0, 0, n, 0, 0, 0, "process of 10 ms", 0};
        bench_row row_cpu = {"run", "cpu", "random", "sqlite", 1, 0, n, 0, 0, 0, "own CPU of a trial", 0};
        bench_row row_gap = {"run", "turnover", "random", "sqlite", 1, 0, 1, 0, 0, 0, "end of a trial to next start",
                             0};
        bench_summarise(&row, times, repeat);
        bench_summarise(&row_floor, floor, repeat);
        bench_summarise(&row_cpu, cpu, repeat);
        bench_summarise(&row_gap, t.gaps, t.n);
        bench_print(o, &row);
        bench_print(o, &row_floor);
        bench_print(o, &row_cpu);
        bench_print(o, &row_gap);
        bench_row lost = row; // the same as time of a slot, without the trial's own 10 ms
        lost.name = "lost";
        lost.unit = "time a slot loses per trial";
        lost.n = 1;
        lost.median = row.median * SLOTS / (double)n - DURATION;
        lost.min = row.min * SLOTS / (double)n - DURATION;
        lost.max = row.max * SLOTS / (double)n - DURATION;
        bench_print(o, &lost);
    }
    for (int64_t r = 0; !o->keep && r < repeat; r++) {
        snprintf(dir, sizeof dir, "%s/short-%lld", o->dir, (long long)r);
        bench_remove_tree(dir);
    }
    hpt_sweep_destroy(sweep);
    free(t.gaps);
    free(times);
    return rc != 0;
}

static int bench_watch(const bench_options *o, int64_t seconds) {
    char text[600], dir[512];
    double *cpu = calloc((size_t)o->repeat, sizeof *cpu), *idle = calloc((size_t)o->repeat, sizeof *idle), wall;
    hpt_sweep *sweep = NULL;
    int rc = cpu && idle ? 0 : 1;
    // The same trials without reports: what is left is the cost of starting and ending them.
    for (int quiet = 1; rc == 0 && quiet >= 0; quiet--) {
        snprintf(text, sizeof text,
                 "name: watch\nmethod: random\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
                 "command: [sh, -c, \"for i in $(seq %lld); do %s sleep 1; done; echo loss=1\"]\n",
                 (long long)seconds, quiet ? "" : "echo loss=$i;");
        rc = hpt_sweep_parse(&sweep, text, "watch.yaml") < 0 ? bench_fail("watch") : 0;
        for (int64_t r = 0; rc == 0 && r < o->repeat; r++) {
            snprintf(dir, sizeof dir, "%s/watch-%d-%lld", o->dir, quiet, (long long)r);
            rc = run_once(&wall, quiet ? &idle[r] : &cpu[r], NULL, sweep, dir, WATCHED, WATCHED);
            if (!o->keep) bench_remove_tree(dir);
        }
        hpt_sweep_destroy(sweep);
        sweep = NULL;
    }
    if (rc == 0) {
        bench_row row = {"run", "watch", "random", "sqlite", 1, 0, seconds, 0, 0, 0, "own CPU in 1 s, 64 trials report",
                         0};
        bench_row base = row;
        base.unit = "the same without reports";
        bench_summarise(&row, cpu, o->repeat);
        bench_summarise(&base, idle, o->repeat);
        bench_print(o, &row);
        bench_print(o, &base);
    }
    free(idle);
    free(cpu);
    return rc != 0;
}

int bench_run(const bench_options *o) {
    int rc = bench_short(o, o->quick ? 200 : 10000);
    if (rc == 0) rc = bench_watch(o, o->quick ? 2 : 20);
    return rc;
}
