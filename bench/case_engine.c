// SPDX-License-Identifier: Apache-2.0
// case_engine.c: the engine without a model's or a program's own cost: ask + tell, report, launch.
//
// asktell   one ask and one tell, n times on a growing study (the last n of `start + n` trials are timed, so that a
//           sampler which reads the history is measured with one)
// firstask  the first of these alone: a sampler with a model fits it to the whole history
// report    intermediate values of one running trial
// prune     a report and the question whether to stop, with many completed trials that reported at the same steps
// intake    metric lines of one trial: from its start until all are stored, beside the same program alone
// launch    whole trials of the program `true` through hpt_run_sweep on 2 slots: folder, files, process, ask, tell
#include "bench.h"

#include <ftw.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LARGE = 5000 }; // trials from which the memory is told: the process's largest so far, of all cases

typedef struct engine_case {
    const char *sampler, *storage;
    int64_t d, start, n;
    bool whole; // integers from 1 to 1000 instead of real numbers
    bool first; // one ask, which has everything to build
} engine_case;

static const char *case_name(const engine_case *c) {
    return c->first ? "firstask" : c->whole ? "asktell-int" : "asktell";
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void bench_remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_space(hpt_space **out, const engine_case *c) {
    char name[32];
    int rc = hpt_space_create(out);
    for (int64_t i = 0; rc == 0 && i < c->d; i++) {
        snprintf(name, sizeof name, "x%lld", (long long)i);
        if (!strcmp(c->sampler, "grid"))
            rc = hpt_space_add_int(*out, name, 0, 99, 1, 0);
        else if (c->whole)
            rc = hpt_space_add_int(*out, name, 1, 1000, 1, 0);
        else
            rc = hpt_space_add_float(*out, name, 0.0, 1.0, 0.0, 0);
    }
    return rc;
}

static int ask_tell(hpt_study *study, int64_t n, int64_t d) {
    for (int64_t i = 0; i < n; i++) {
        hpt_trial *trial;
        double sum = 0, x;
        char name[32];
        int rc = hpt_study_ask(&trial, study);
        if (rc != 0) return rc < 0 ? rc : HPT_E_STATE;
        for (int64_t k = 0; k < (d < 3 ? d : 3); k++) {
            snprintf(name, sizeof name, "x%lld", (long long)k);
            rc = hpt_trial_get_float(&x, trial, name);
            if (rc < 0) return rc;
            sum += (x - 0.3) * (x - 0.3);
        }
        rc = hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &sum, 1);
        hpt_trial_destroy(trial);
        if (rc < 0) return rc;
    }
    return 0;
}

static int open_study(hpt_study **study, const bench_options *o, const engine_case *c, char url[512]) {
    hpt_space *space = NULL;
    hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
    int rc = make_space(&space, c);
    snprintf(url, 512, "%s/bench.db", o->dir);
    remove(url);
    snprintf(url, 512, "sqlite:///%s/bench.db", o->dir);
    options.name = "bench";
    options.storage = strcmp(c->storage, "memory") ? url : ":memory:";
    options.space = space;
    options.sampler = c->sampler;
    options.has_seed = true;
    options.seed = 1;
    // A long history is drawn at random: making it by the sampler itself would take minutes.
    char startup[48];
    const char *const extra[] = {startup};
    if ((!strcmp(c->sampler, "tpe") && c->start > 1000) || !strcmp(c->sampler, "gp")) {
        // The centre comes before the points of the start.
        snprintf(startup, sizeof startup, "%s.n_startup=%lld", c->sampler, (long long)(c->start - c->first));
        options.options = extra;
        options.n_options = 1;
    }
    if (rc == 0) rc = hpt_study_open(study, &options);
    hpt_space_destroy(space);
    return rc;
}

static void remove_database(const bench_options *o) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[512];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/bench.db%s", o->dir, ends[i]);
        remove(path);
    }
}

static int bench_ask_tell(const bench_options *o, const engine_case *c) {
    double *times = calloc((size_t)o->repeat, sizeof *times);
    bench_row row = {"engine", case_name(c), c->sampler, c->storage, c->d, c->start, c->n, 0, 0, 0, "trial", 0};
    int rc = times ? 0 : HPT_E_MEMORY;
    for (int64_t r = -1; rc == 0 && r < o->repeat; r++) {
        hpt_study *study = NULL;
        char url[512];
        rc = open_study(&study, o, c, url);
        if (rc == 0) rc = ask_tell(study, c->start, c->d);
        if (rc == 0 && c->start > 0 && !c->first) rc = ask_tell(study, 2, c->d); // the first builds what others extend
        double t0 = bench_now();
        if (rc == 0) rc = ask_tell(study, c->n, c->d);
        if (r >= 0) times[r] = bench_now() - t0;
        hpt_study_close(study);
        remove_database(o);
    }
    struct rusage usage;
    if (c->start >= LARGE && getrusage(RUSAGE_SELF, &usage) == 0) row.peak_mb = (double)usage.ru_maxrss * 1024 / 1e6;
    if (rc == 0) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    }
    free(times);
    return rc < 0 ? bench_fail(c->sampler) : 0;
}

static int bench_report(const bench_options *o, const char *storage, int64_t n) {
    double *times = calloc((size_t)o->repeat, sizeof *times);
    engine_case c = {.sampler = "random", .storage = storage, .d = 5, .n = n};
    bench_row row = {"engine", "report", "-", storage, 5, 0, n, 0, 0, 0, "report", 0};
    int rc = times ? 0 : HPT_E_MEMORY;
    for (int64_t r = -1; rc == 0 && r < o->repeat; r++) {
        hpt_study *study = NULL;
        hpt_trial *trial = NULL;
        char url[512];
        rc = open_study(&study, o, &c, url);
        if (rc == 0) rc = hpt_study_ask(&trial, study);
        double t0 = bench_now();
        for (int64_t i = 0; rc == 0 && i < n; i++) rc = hpt_trial_report(trial, i, exp(-(double)i));
        if (r >= 0) times[r] = bench_now() - t0;
        hpt_trial_destroy(trial);
        hpt_study_close(study);
        remove_database(o);
    }
    if (rc == 0) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    }
    free(times);
    return rc < 0 ? bench_fail("report") : 0;
}

// `start` completed trials of 100 reports; then n trials, each asked after every one of its 100 reports.
static int bench_prune(const bench_options *o, const char *pruner, int64_t start, int64_t n) {
    enum { STEPS = 100 };
    double *times = calloc((size_t)o->repeat, sizeof *times);
    bench_row row = {"engine", "prune", pruner, "memory", 1, start, n * STEPS, 0, 0, 0, "report and look", 0};
    int rc = times ? 0 : HPT_E_MEMORY;
    for (int64_t r = -1; rc >= 0 && r < o->repeat; r++) {
        hpt_space *space = NULL;
        hpt_study *study = NULL;
        hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
        double t0 = 0, last = 0;
        rc = hpt_space_create(&space);
        if (rc >= 0) rc = hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0);
        options.space = space;
        options.sampler = "random";
        options.pruner = pruner;
        options.has_seed = true;
        if (rc >= 0) rc = hpt_study_open(&study, &options);
        for (int64_t i = 0; rc >= 0 && i < start + n; i++) {
            hpt_trial *trial = NULL;
            bool stop;
            if (i == start) t0 = bench_now();
            rc = hpt_study_ask(&trial, study);
            for (int64_t step = 0; rc >= 0 && step < STEPS; step++) {
                last = (double)(i % 97) + 1.0 / (double)(step + 1);
                rc = hpt_trial_report(trial, step, last);
                if (rc >= 0 && i >= start) rc = hpt_trial_should_prune(&stop, trial);
            }
            if (rc >= 0) rc = hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &last, 1);
            hpt_trial_destroy(trial);
        }
        if (r >= 0) times[r] = bench_now() - t0;
        hpt_study_close(study);
        hpt_space_destroy(space);
    }
    if (rc >= 0) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    }
    free(times);
    return rc < 0 ? bench_fail(pruner) : 0;
}

static int bench_launch(const bench_options *o, int64_t n) {
    static const char sweep_text[] =
        "name: launch\nmethod: random\ncommand: [\"true\"]\nparameters:\n  x: {min: 0.0, max: 1.0}\n";
    double *times = calloc((size_t)o->repeat, sizeof *times);
    bench_row row = {"engine", "launch", "random", "sqlite", 1, 0, n, 0, 0, 0, "trial of `true`, 2 slots", 0};
    hpt_sweep *sweep = NULL;
    char dir[512];
    int rc = times ? hpt_sweep_parse(&sweep, sweep_text, "launch.yaml") : HPT_E_MEMORY;
    for (int64_t r = -1; rc >= 0 && r < o->repeat; r++) {
        hpt_run_options options = HPT_RUN_OPTIONS_INIT;
        hpt_run_summary summary;
        snprintf(dir, sizeof dir, "%s/launch-%lld", o->dir, (long long)(r + 1));
        options.run_dir = dir;
        options.slots = 2;
        options.n_trials = n;
        options.has_seed = true;
        double t0 = bench_now();
        rc = hpt_run_sweep(&summary, sweep, &options);
        if (r >= 0) times[r] = bench_now() - t0;
        if (rc >= 0 && summary.n_done != n) {
            fprintf(stderr, "hpt-bench: launch: only %lld of %lld trials are done\n", (long long)summary.n_done,
                    (long long)n);
            free(times);
            hpt_sweep_destroy(sweep);
            return 1;
        }
    }
    if (rc >= 0) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    }
    // The same program started by a tool that does nothing else, in turn with the above: the floor.
    bench_row floor = {"engine", "launch", "xargs -P 2", "-", 0, 0, n, 0, 0, 0, "process of `true`", 0};
    char command[256];
    snprintf(command, sizeof command, "seq %lld | xargs -P 2 -n 1 true", (long long)n);
    int status = 0;
    for (int64_t r = -1; rc >= 0 && status == 0 && r < o->repeat; r++) {
        double t0 = bench_now();
        status = system(command);
        if (r >= 0) times[r] = bench_now() - t0;
    }
    if (rc >= 0 && status == 0) {
        bench_summarise(&floor, times, o->repeat);
        bench_print(o, &floor);
    }
    // Only now: ext4 searches long for an inode that was not freed lately, which would be measured otherwise.
    for (int64_t r = -1; !o->keep && r < o->repeat; r++) {
        snprintf(dir, sizeof dir, "%s/launch-%lld", o->dir, (long long)(r + 1));
        bench_remove_tree(dir);
    }
    free(times);
    hpt_sweep_destroy(sweep);
    return rc < 0 ? bench_fail("launch") : 0;
}

// Seconds of a shell command, or -1.
static double shell_seconds(const char *command) {
    const double t0 = bench_now();
    return system(command) == 0 ? bench_now() - t0 : -1;
}

static int bench_intake(const bench_options *o, int64_t n) {
    static const char program[] = "BEGIN { for (i = 1; i <= %lld; i++) print \"loss=\" 1 / i }";
    double *times = calloc((size_t)o->repeat * 2, sizeof *times), *alone = times + o->repeat;
    bench_row row = {"engine", "intake", "random", "sqlite", 1, 0, n, 0, 0, 0, "metric line of a trial", 0};
    bench_row floor = {"engine", "intake", "awk > file", "-", 0, 0, n, 0, 0, 0, "the same line into a file", 0};
    hpt_sweep *sweep = NULL;
    char awk[200], text[600], command[800], dir[512];
    snprintf(awk, sizeof awk, program, (long long)n);
    snprintf(text, sizeof text,
             "name: intake\nmethod: random\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
             "command:\n  - awk\n  - '%s'\n",
             awk);
    int rc = times ? hpt_sweep_parse(&sweep, text, "intake.yaml") : HPT_E_MEMORY;
    for (int64_t r = -1; rc >= 0 && r < o->repeat; r++) {
        hpt_run_options options = HPT_RUN_OPTIONS_INIT;
        hpt_run_summary summary;
        snprintf(dir, sizeof dir, "%s/intake-%lld", o->dir, (long long)(r + 1));
        options.run_dir = dir;
        options.slots = 1;
        options.n_trials = 1;
        options.has_seed = true;
        double t0 = bench_now();
        rc = hpt_run_sweep(&summary, sweep, &options);
        if (r >= 0) times[r] = bench_now() - t0;
        snprintf(command, sizeof command, "awk '%s' > '%s/alone.txt'", awk, o->dir);
        const double seconds = rc < 0 ? 0 : shell_seconds(command);
        if (r >= 0) alone[r] = seconds;
        if (rc >= 0 && (seconds < 0 || summary.n_done != 1)) {
            fprintf(stderr, "hpt-bench: intake: the trial or awk failed\n");
            rc = HPT_E_STATE;
        }
    }
    if (rc >= 0) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
        bench_summarise(&floor, alone, o->repeat);
        bench_print(o, &floor);
    }
    for (int64_t r = -1; !o->keep && r < o->repeat; r++) {
        snprintf(dir, sizeof dir, "%s/intake-%lld", o->dir, (long long)(r + 1));
        bench_remove_tree(dir);
    }
    snprintf(dir, sizeof dir, "%s/alone.txt", o->dir);
    remove(dir);
    free(times);
    hpt_sweep_destroy(sweep);
    return rc < 0 ? bench_fail("intake") : 0;
}

int bench_engine(const bench_options *o) {
    const bool q = o->quick;
    const engine_case cases[] = {
        {"random", "memory", 5, 0, q ? 2000 : 20000, false, false},
        {"random", "memory", 40, 0, q ? 2000 : 20000, false, false},
        {"qmc", "memory", 40, 0, q ? 2000 : 20000, false, false},
        {"grid", "memory", 5, 0, q ? 2000 : 20000, false, false},
        {"tpe", "memory", 10, 100, q ? 50 : 200, false, false},
        {"tpe", "memory", 10, 1000, q ? 20 : 100, false, false},
        {"tpe", "memory", 40, 1000, q ? 20 : 100, false, false},
        {"tpe", "memory", 40, 3000, q ? 20 : 100, false, false},
        {"tpe", "memory", 40, 20000, q ? 5 : 20, false, false},
        {"tpe", "memory", 40, 1000, q ? 20 : 100, true, false},
        {"auto", "memory", 10, 100, q ? 50 : 200, false, false},
        {"gp", "memory", 10, 300, q ? 10 : 60, false, false},
        {"gp", "memory", 10, 500, q ? 5 : 60, false, false},
        {"gp", "memory", 10, 1000, q ? 5 : 100, false, false},
        {"gp", "memory", 10, 1000, 1, false, true},
        {"gp", "memory", 10, 5000, q ? 3 : 20, false, false},
        {"gp", "memory", 10, 5000, 1, false, true},
        {"gp", "memory", 10, 20000, q ? 3 : 20, false, false},
        {"gp", "memory", 10, 20000, 1, false, true},
        {"random", "sqlite", 5, 0, q ? 500 : 5000, false, false},
        {"random", "sqlite", 40, 0, q ? 500 : 2000, false, false},
        {"tpe", "sqlite", 10, 100, q ? 50 : 200, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (bench_ask_tell(o, &cases[i]) != 0) return 1;
    if (bench_report(o, "memory", q ? 5000 : 100000) != 0) return 1;
    if (bench_report(o, "sqlite", q ? 1000 : 20000) != 0) return 1;
    if (bench_prune(o, "median", q ? 1000 : 10000, q ? 10 : 20) != 0) return 1;
    if (bench_intake(o, q ? 20000 : 200000) != 0) return 1;
    return bench_launch(o, q ? 200 : 2000);
}
