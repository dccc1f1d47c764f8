// SPDX-License-Identifier: Apache-2.0
// cmd_run.c: `hpt run SWEEP` and `hpt resume [RUN]`: runs trials until the sweep's budget is used up, then prints the
// best configuration and leaves report.txt and report.html in the run's folder.
#include "report_html.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct run_args {
    const char *study, *run_dir, *storage, *sampler, *pruner, *gpus, *device, *timeout_text;
    int64_t slots, n_trials, seed;
    double timeout;
    cli_list options;
    bool quiet, wandb_shim;
} run_args;

static const int64_t not_given = INT64_MIN;

// "auto, tpe, random": the names that the library has, for the help.
static const char *names_of(char out[200], const char *(*name)(int64_t i)) {
    size_t n = 0;
    out[0] = 0;
    for (int64_t i = 0; name(i) && n < 200; i++)
        n += (size_t)snprintf(out + n, 200 - n, "%s%s", i ? ", " : "", name(i));
    return out;
}

static int run_options(const char *command, run_args *a, int argc, char **argv, const char **positional, int *n,
                       bool *done) {
    char samplers[200], pruners[200];
    const cli_option options[] = {
        {"study", 's', CLI_STRING, &a->study, "NAME", "name of the study (default: the sweep's name)"},
        {"dir", 'd', CLI_STRING, &a->run_dir, "DIR", "folder of the run (default: hpt_runs/NAME)"},
        {"storage", 0, CLI_STRING, &a->storage, "URL", "database (default: sqlite:///DIR/study.db)"},
        {"trials", 'n', CLI_INT, &a->n_trials, "N", "number of trials, instead of the sweep's run_cap"},
        {"timeout", 't', CLI_NUMBER, &a->timeout, "SECONDS", "time limit of the whole sweep"},
        {"parallel", 'j', CLI_INT, &a->slots, "N", "most trials at once (default: what the cores allow)"},
        {"sampler", 0, CLI_STRING, &a->sampler, "NAME", names_of(samplers, hpt_sampler_name)},
        {"pruner", 0, CLI_STRING, &a->pruner, "NAME", names_of(pruners, hpt_pruner_name)},
        {"gpus", 0, CLI_STRING, &a->gpus, "LIST", "GPUs: a count, 4x40GiB+2x80GiB, or UUIDs of some that are here"},
        {"device", 0, CLI_STRING, &a->device, "NAME", "device of the engine itself (default: auto)"},
        {"seed", 0, CLI_INT, &a->seed, "N", "seed of every random choice (default: the sweep's, else a new one)"},
        {"option", 'o', CLI_LIST, &a->options, "KEY=VALUE", "an option of `hpt help options`; may be repeated"},
        {"wandb-shim", 0, CLI_FLAG, &a->wandb_shim, NULL, "trials that import wandb report here (docs/wandb-shim.md)"},
        {"quiet", 'q', CLI_FLAG, &a->quiet, NULL, "print only the result"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    a->seed = a->slots = a->n_trials = not_given;
    a->timeout = NAN;
    return cli_parse(command, options, argc, argv, positional, n, done);
}

static void on_event(const hpt_run_event *event, void *payload) {
    cli_progress_event(payload, event);
}

static const char *end_text(hpt_run_end end) {
    switch (end) {
    case HPT_RUN_END_CAP:
        return "all trials of the sweep are done";
    case HPT_RUN_END_TARGET:
        return "the target was reached";
    case HPT_RUN_END_EXHAUSTED:
        return "every point of the space was tried";
    case HPT_RUN_END_TIMEOUT:
        return "the time limit was reached; the same command continues";
    case HPT_RUN_END_STOPPED:
        return "stopped; the same command continues";
    case HPT_RUN_END_FLAPPING:
        return "given up: too many of the first trials failed";
    }
    return "ended";
}

static void print_counts(const hpt_run_summary *s) {
    char name[600];
    cli_safe(name, sizeof name, s->study, 200);
    printf("%s%s%s: %s\n", cli_color(stdout, "bold"), name, cli_color(stdout, "off"), end_text(s->end));
    printf("  trials   %lld done, %lld pruned, %lld failed\n", (long long)s->n_done, (long long)s->n_pruned,
           (long long)s->n_failed);
}

static void print_failures(hpt_study *study) {
    char text[500];
    hpt_table *t = NULL;
    if (hpt_study_table(&t, study, cli_report_attrs, CLI_REPORT_ATTRS) < 0) return; // the study was read before
    cli_failure_summary(text, sizeof text, t);
    if (text[0]) printf("  failed   %s\n", text);
    hpt_table_destroy(t);
}

static void print_params(const hpt_space *space, hpt_trial *trial) {
    enum { NAME_COLUMNS = 32 }; // longer names do not push all values to the right
    char cell[32], name[600], value[1000];
    int width = 0;
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        const int w = cli_columns(hpt_space_name(space, i));
        if (hpt_trial_has(trial, hpt_space_name(space, i)) && w > width && w <= NAME_COLUMNS) width = w;
    }
    for (int64_t i = 0; i < hpt_space_size(space); i++) {
        if (!hpt_trial_has(trial, hpt_space_name(space, i))) continue;
        cli_safe(name, sizeof name, hpt_space_name(space, i), 120);
        cli_safe(value, sizeof value, cli_param(cell, trial, hpt_space_name(space, i)), 200);
        const int pad = width - cli_columns(name);
        printf("             %s%*s  %s\n", name, pad > 0 ? pad : 0, "", value);
    }
}

static void print_best(hpt_study *study, const hpt_run_summary *s, const char *metric) {
    hpt_trial *best = NULL;
    char number[32], name[500];
    const int rc = hpt_study_best(&best, study);
    if (rc < 0) {
        const bool none = rc == HPT_E_NOT_FOUND;
        printf("  best     %s\n", none ? "none: no trial is complete" : "not known: the study cannot be read");
        return;
    }
    cli_safe(name, sizeof name, metric, 100);
    printf("  best     %s = %s%s%s in trial %lld\n", name, cli_color(stdout, "green"), cli_number(number, s->best),
           cli_color(stdout, "off"), (long long)hpt_trial_number(best));
    print_params(hpt_study_space(study), best);
    hpt_trial_destroy(best);
}

// Several metrics: the ends of the front, which are the best by each metric alone.
static void print_front(hpt_study *study, const hpt_sweep *sweep) {
    hpt_trial **front = NULL;
    int64_t n = 0;
    if (hpt_study_pareto(&front, &n, study) < 0) return;
    if (n == 0) {
        printf("  best     none: no trial is complete\n");
    } else {
        printf("  best     %lld trial%s that no other beats in every metric (`hpt best` lists them)\n", (long long)n,
               n == 1 ? "" : "s");
        for (int64_t k = 0; k < hpt_study_n_directions(study) && k < hpt_sweep_n_metrics(sweep); k++) {
            const double sign = hpt_study_direction(study, k) == HPT_MAXIMIZE ? -1 : 1;
            double least = INFINITY;
            int64_t number = -1, n_values;
            const double *values;
            char name[500], text[32];
            for (int64_t i = 0; i < n; i++) {
                if (hpt_trial_values(&values, &n_values, front[i]) < 0 || n_values <= k) continue;
                if (number >= 0 && !(sign * values[k] < least)) continue;
                least = sign * values[k];
                number = hpt_trial_number(front[i]);
            }
            cli_safe(name, sizeof name, hpt_sweep_metric_at(sweep, k), 100);
            if (number >= 0)
                printf("             %s = %s%s%s in trial %lld\n", name, cli_color(stdout, "green"),
                       cli_number(text, sign * least), cli_color(stdout, "off"), (long long)number);
        }
    }
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(front[i]);
    hpt_free(front);
}

// report.txt or report.html in the run's folder; where that fails, said why.
static int leave_report(hpt_study *study, const char *run_dir, bool html) {
    char path[700];
    snprintf(path, sizeof path, "%s/report.%s", run_dir, html ? "html" : "txt");
    errno = 0;
    FILE *f = fopen(path, "w");
    int rc = !f ? HPT_E_IO : html ? html_write_report(f, study, run_dir) : cli_report_write(f, study, run_dir);
    if (f && fclose(f) != 0 && rc == 0) rc = HPT_E_IO;
    const char *why = rc != HPT_E_IO ? hpt_last_error() : errno ? strerror(errno) : "a write failed";
    if (rc < 0) cli_note("could not write %s: %s", path, why);
    return rc;
}

// Prints the result and leaves the reports beside the study.
static int finish(const hpt_run_summary *s, const hpt_sweep *sweep) {
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = s->storage;
    o.name = s->study;
    o.mode = HPT_OPEN_READ_ONLY;
    print_counts(s);
    int rc = hpt_study_open(&study, &o);
    if (rc < 0) return cli_fail(rc);
    const char *metric = hpt_sweep_metric(sweep);
    if (s->n_failed) print_failures(study);
    if (hpt_study_n_directions(study) > 1)
        print_front(study, sweep);
    else if (metric)
        print_best(study, s, metric);
    printf("  study    %s\n", s->storage);
    rc = leave_report(study, s->run_dir, false);
    // A database that cannot be read may take 10 s to say so: not once more.
    const bool text = rc == 0, html = rc != HPT_E_STORAGE && leave_report(study, s->run_dir, true) == 0;
    if (text || html)
        printf("  report   %s/report.%s%s\n", s->run_dir, text ? "txt" : "html", text && html ? ", report.html" : "");
    printf("  logs     %s/trials/\n", s->run_dir);
    hpt_study_close(study);
    if (s->end == HPT_RUN_END_FLAPPING) return CLI_ALL_FAILED;
    if (s->end == HPT_RUN_END_STOPPED || s->end == HPT_RUN_END_TIMEOUT) return CLI_STOPPED;
    return CLI_OK;
}

static int run_sweep(const char *path, const run_args *a) {
    hpt_sweep *sweep = NULL;
    int rc = hpt_sweep_load(&sweep, path);
    if (rc < 0) return cli_fail(rc);
    for (int64_t i = 0; hpt_sweep_warning(sweep, i); i++) cli_note("warning: %s", hpt_sweep_warning(sweep, i));
    cli_wandb wandb = {{NULL}};
    int code = a->wandb_shim ? cli_wandb_env(&wandb, sweep) : CLI_OK;
    if (code != CLI_OK) {
        cli_wandb_fini(&wandb);
        hpt_sweep_destroy(sweep);
        return code;
    }
    cli_progress *progress =
        cli_progress_new(a->study ? a->study : hpt_sweep_name(sweep), hpt_sweep_metric(sweep), a->quiet);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.study = a->study;
    o.run_dir = a->run_dir;
    o.storage = a->storage;
    o.sampler = a->sampler;
    o.pruner = a->pruner;
    o.slots = a->slots;
    o.n_trials = a->n_trials;
    o.timeout = a->timeout;
    o.gpus = a->gpus;
    o.device = a->device;
    o.has_seed = a->seed != not_given;
    o.seed = (uint64_t)a->seed;
    o.options = a->options.items;
    o.n_options = a->options.n;
    o.on_event = on_event;
    o.payload = progress;
    if (a->wandb_shim) {
        o.env = (const char *const *)wandb.entries;
        o.n_env = CLI_WANDB_ENTRIES;
    }
    hpt_run_summary summary;
    rc = hpt_run_sweep(&summary, sweep, &o);
    cli_progress_free(progress);
    if (rc == HPT_E_INCOMPATIBLE) {
        cli_note("%s (--study NEW starts one)", hpt_last_error());
        code = CLI_INCOMPATIBLE;
    } else {
        code = rc < 0 ? cli_fail(rc) : finish(&summary, sweep);
    }
    cli_wandb_fini(&wandb);
    hpt_sweep_destroy(sweep);
    return code;
}

// What was given must make sense; what was not becomes the 0 that the library takes for its default.
static int check_args(const char *command, run_args *a) {
    if (a->slots == not_given)
        a->slots = 0;
    else if (a->slots < 1)
        return cli_usage("%s: --parallel must be at least 1, not %lld", command, (long long)a->slots);
    if (a->n_trials == not_given)
        a->n_trials = 0;
    else if (a->n_trials < 1)
        return cli_usage("%s: --trials must be at least 1, not %lld", command, (long long)a->n_trials);
    if (isnan(a->timeout))
        a->timeout = 0;
    else if (a->timeout <= 0)
        return cli_usage("%s: --timeout must be more than 0 seconds, not %g", command, a->timeout);
    return CLI_OK;
}

int cmd_run(int argc, char **argv) {
    run_args a = {0};
    bool done;
    int n;
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    if (!positional) return cli_fail(HPT_E_MEMORY);
    int code = run_options("run", &a, argc, argv, positional, &n, &done);
    if (code == CLI_OK && !done) {
        if (n != 1)
            code = cli_usage("run: name one sweep file, e.g. `hpt run sweep.yaml`");
        else if ((code = check_args("run", &a)) == CLI_OK)
            code = run_sweep(positional[0], &a);
    }
    free(positional);
    return code;
}

int cmd_resume(int argc, char **argv) {
    run_args a = {0};
    bool done;
    int n;
    char path[PATH_MAX];
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    if (!positional) return cli_fail(HPT_E_MEMORY);
    int code = run_options("resume", &a, argc, argv, positional, &n, &done);
    if (code == CLI_OK && !done) {
        const char *dir = n ? positional[0] : a.run_dir ? a.run_dir : "hpt_runs/latest";
        char *real = realpath(dir, NULL);
        if (n > 1) {
            code = cli_usage("resume: name at most one run folder");
        } else if ((code = check_args("resume", &a)) != CLI_OK) {
        } else if (!real) {
            cli_note("there is no run in '%s'; start one with `hpt run SWEEP`", dir);
            code = CLI_NOT_FOUND;
        } else {
            // The study has its folder's name unless one is given, the sweep is the copy that the run keeps.
            a.run_dir = real;
            snprintf(path, sizeof path, "%s/sweep.yaml", real);
            if (access(path, R_OK) != 0) {
                cli_note("'%s' has no sweep.yaml; start the run with `hpt run SWEEP --dir %s`", dir, dir);
                code = CLI_NOT_FOUND;
            } else {
                code = run_sweep(path, &a);
            }
        }
        free(real);
    }
    free(positional);
    return code;
}
