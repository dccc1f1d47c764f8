// SPDX-License-Identifier: Apache-2.0
// case_start.c: what a user waits for without any trial running.
//
// version   the program `hpt version`, from its start to its end; beside the program `true`, the floor
// load      a program that links the library and does nothing (this one, with --help)
// ask       a process that opens a study of 10 parameters in memory and asks it once; the same after 10 results, which
//           asks the Gaussian process and loads a BLAS for it
// open      hpt_study_open of a database of 100,000 trials of 20 parameters: processor time (user and system) and the
//           largest resident memory of a process that does only this
// trials    the program `hpt trials` on that database: all as CSV, and the last five as a table
// stop      from the report that makes the pruner stop a trial until SIGTERM is there; the trial is this program
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <hpt/client.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Wall seconds of a program with its output thrown away; -1: it could not be started or failed.
static double program_seconds(char *const *argv) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    const double t0 = bench_now();
    const int rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    if (rc == 0) waitpid(pid, &status, 0);
    const double t = bench_now() - t0;
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0 && status == 0) return t;
    fprintf(stderr, "hpt-bench: %s: %s\n", argv[0], rc ? strerror(rc) : "ended with an error");
    return -1;
}

// times: o->repeat of n starts each.
static int bench_program(const bench_options *o, bench_row row, char *const *argv) {
    double *times = calloc((size_t)o->repeat, sizeof *times);
    bool ok = times != NULL;
    for (int64_t r = -1; ok && r < o->repeat; r++) {
        double sum = 0;
        for (int64_t i = 0; ok && i < row.n; i++) {
            const double t = program_seconds(argv);
            ok = t >= 0;
            sum += t;
        }
        if (r >= 0) times[r] = sum;
    }
    if (ok) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    }
    free(times);
    return ok ? 0 : 1;
}

enum { PARAMETERS = 20, ASKED = 10 };

static int make_database(const char *url, int64_t n) {
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
    char name[32];
    int rc = hpt_space_create(&space);
    for (int i = 0; rc >= 0 && i < PARAMETERS; i++) {
        snprintf(name, sizeof name, "x%d", i);
        rc = hpt_space_add_float(space, name, 0.0, 1.0, 0.0, 0);
    }
    options.name = "large";
    options.storage = url;
    options.space = space;
    options.sampler = "random";
    options.has_seed = true;
    if (rc >= 0) rc = hpt_study_open(&study, &options);
    for (int64_t i = 0; rc >= 0 && i < n; i++) {
        hpt_trial *trial = NULL;
        double x = 0;
        rc = hpt_study_ask(&trial, study);
        if (rc >= 0) rc = hpt_trial_get_float(&x, trial, "x0");
        if (rc >= 0) rc = hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &x, 1);
        hpt_trial_destroy(trial);
    }
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc < 0 ? bench_fail("a database to open") : 0;
}

// Opens the study in a process of its own. Returns its processor seconds, or -1.
static double open_cost(const char *url, double *peak_mb) {
    struct rusage usage;
    int status = -1;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        hpt_study *study = NULL;
        hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
        options.storage = url;
        options.mode = HPT_OPEN_READ_ONLY;
        _exit(hpt_study_open(&study, &options) < 0);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) return -1;
    *peak_mb = (double)usage.ru_maxrss * 1024 / 1e6;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int bench_open(const bench_options *o, const char *url, int64_t n) {
    double *times = calloc((size_t)o->repeat, sizeof *times);
    bench_row row = {.group = "start",
                     .name = "open",
                     .sampler = "-",
                     .storage = "sqlite",
                     .d = PARAMETERS,
                     .start = n,
                     .n = 1,
                     .unit = "study opened, processor time"};
    bool ok = times != NULL;
    for (int64_t r = -1; ok && r < o->repeat; r++) {
        const double t = open_cost(url, &row.peak_mb);
        ok = t >= 0;
        if (r >= 0) times[r] = t;
    }
    if (ok) {
        bench_summarise(&row, times, o->repeat);
        bench_print(o, &row);
    } else {
        fprintf(stderr, "hpt-bench: %s could not be opened\n", url);
    }
    free(times);
    return ok ? 0 : 1;
}

// ---- first ask

int bench_first_ask(int64_t n) {
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_study_options options = HPT_STUDY_OPTIONS_INIT;
    char name[32], startup[48];
    const char *const extra[] = {startup};
    int rc = hpt_space_create(&space);
    for (int i = 0; rc >= 0 && i < ASKED; i++) {
        snprintf(name, sizeof name, "x%d", i);
        rc = hpt_space_add_float(space, name, 0.0, 1.0, 0.0, 0);
    }
    snprintf(startup, sizeof startup, "gp.n_startup=%lld", (long long)n);
    options.space = space;
    options.sampler = n > 0 ? "gp" : NULL;
    options.has_seed = true;
    options.options = extra;
    options.n_options = n > 0 ? 1 : 0;
    if (rc >= 0) rc = hpt_study_open(&study, &options);
    for (int64_t i = 0; rc >= 0 && i <= n; i++) {
        hpt_trial *trial = NULL;
        double x = 0;
        rc = hpt_study_ask(&trial, study);
        if (rc >= 0) rc = hpt_trial_get_float(&x, trial, "x0");
        if (rc >= 0 && i < n) rc = hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &x, 1);
        hpt_trial_destroy(trial);
    }
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc < 0 ? bench_fail("a first ask") : 0;
}

// ---- stop

int bench_stopped_trial(void) {
    sigset_t mask;
    const struct timespec limit = {.tv_sec = 20};
    char path[1200];
    const char *folder = getenv("HPT_TRIAL_DIR");
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    const double t0 = bench_now();
    hpt_client_report(1, 2.0);
    if (!folder || sigtimedwait(&mask, NULL, &limit) != SIGTERM) return 1;
    const double t = bench_now() - t0;
    snprintf(path, sizeof path, "%s/seconds", folder);
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    fprintf(f, "%.9f\n", t);
    return fclose(f) != 0;
}

static int bench_stop(const bench_options *o, const char *self, int64_t n) {
    hpt_sweep *sweep = NULL;
    hpt_run_options options = HPT_RUN_OPTIONS_INIT;
    hpt_run_summary summary;
    char text[1600], folder[512], path[800];
    double *times = calloc((size_t)n, sizeof *times);
    bench_row row = {.group = "start",
                     .name = "stop",
                     .sampler = "random",
                     .storage = "sqlite",
                     .d = 1,
                     .n = 1,
                     .unit = "SIGTERM after the report that is pruned, of all stops"};
    snprintf(text, sizeof text,
             "name: stop\nmethod: random\nmetric: {name: value}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
             "command: ['%s', stopped-trial]\nhpt: {pruner: {type: threshold, upper: 1.0}}\n",
             self);
    snprintf(folder, sizeof folder, "%s/stop", o->dir);
    options.run_dir = folder;
    options.slots = 2;
    options.n_trials = n;
    options.has_seed = true;
    int rc = times ? hpt_sweep_parse(&sweep, text, "stop.yaml") : HPT_E_MEMORY;
    if (rc >= 0) rc = hpt_run_sweep(&summary, sweep, &options);
    int code = rc < 0 ? bench_fail("stop") : 0;
    for (int64_t i = 0; code == 0 && i < n; i++) {
        snprintf(path, sizeof path, "%s/trials/%06lld/seconds", folder, (long long)i);
        FILE *f = fopen(path, "r");
        if (!f || fscanf(f, "%lf", &times[i]) != 1) {
            fprintf(stderr, "hpt-bench: trial %lld was not stopped: %s\n", (long long)i, path);
            code = 1;
        }
        if (f) fclose(f);
    }
    if (code == 0) {
        row.start = n;
        bench_summarise(&row, times, n);
        bench_print(o, &row);
    }
    if (!o->keep) bench_remove_tree(folder);
    free(times);
    hpt_sweep_destroy(sweep);
    return code;
}

int bench_start(const bench_options *o) {
    char self[512], hpt[600], path[512], url[600];
    const int64_t n = o->quick ? 5000 : 100000, starts = o->quick ? 5 : 50;
    const ssize_t m = readlink("/proc/self/exe", self, sizeof self - 1);
    if (m < 0) {
        fprintf(stderr, "hpt-bench: /proc/self/exe: %s\n", strerror(errno));
        return 1;
    }
    self[m] = '\0';
    snprintf(hpt, sizeof hpt, "%.*s/hpt", (int)(strrchr(self, '/') - self), self);
    snprintf(path, sizeof path, "%s/large.db", o->dir);
    snprintf(url, sizeof url, "sqlite:///%s", path);
    bench_row row = {.group = "start",
                     .name = "version",
                     .sampler = "-",
                     .storage = "-",
                     .n = starts,
                     .unit = "process of `hpt version`"};
    int code = bench_program(o, row, (char *[]){hpt, "version", NULL});
    row.name = "load";
    row.unit = "process that links the library";
    if (code == 0) code = bench_program(o, row, (char *[]){self, "--help", NULL});
    row.name = "true";
    row.unit = "process of `true`";
    if (code == 0) code = bench_program(o, row, (char *[]){"true", NULL});
    row = (bench_row){.group = "start",
                      .name = "ask",
                      .sampler = "auto",
                      .storage = "memory",
                      .d = ASKED,
                      .n = starts,
                      .unit = "process that asks once"};
    if (code == 0) code = bench_program(o, row, (char *[]){self, "first-ask", "0", NULL});
    row.sampler = "gp";
    row.start = 10;
    row.unit = "process that asks the model once";
    if (code == 0) code = bench_program(o, row, (char *[]){self, "first-ask", "10", NULL});
    if (code == 0) code = make_database(url, n);
    if (code == 0) code = bench_open(o, url, n);
    row = (bench_row){.group = "start",
                      .name = "trials",
                      .sampler = "-",
                      .storage = "sqlite",
                      .d = PARAMETERS,
                      .start = n,
                      .n = 1,
                      .unit = "process of `hpt trials --format csv`"};
    if (code == 0) code = bench_program(o, row, (char *[]){hpt, "trials", "--storage", url, "--format", "csv", NULL});
    row.unit = "process of `hpt trials -n 5`";
    if (code == 0) code = bench_program(o, row, (char *[]){hpt, "trials", "--storage", url, "-n", "5", NULL});
    row.name = "best";
    row.unit = "process of `hpt best`";
    if (code == 0) code = bench_program(o, row, (char *[]){hpt, "best", "--storage", url, NULL});
    if (code == 0) code = bench_stop(o, self, o->quick ? 10 : 100);
    for (int i = 0; !o->keep && i < 3; i++) {
        static const char *const ends[] = {"", "-wal", "-shm"};
        snprintf(path, sizeof path, "%s/large.db%s", o->dir, ends[i]);
        remove(path);
    }
    return code;
}
