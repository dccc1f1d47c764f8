// SPDX-License-Identifier: Apache-2.0
// run.c: hpt_run_sweep: everything that can go wrong is found before anything is made; then folder, lock, leftovers
// of a killed run, study, and the loop (run_loop.c).
//
// Order and why: (1) names, devices, shares and the program are checked without touching the disk; (2) the folder is
// made and locked: two runs on one folder would start the same trials; (3) the study is opened, which may refuse the
// sweep (HPT_E_INCOMPATIBLE): a folder made in (2) is taken back; (4) processes of a killed run are ended before their
// trials are started again; (5) the copy of the sweep file is replaced only now, since it belongs to what ran.
//
// Retries are trials of the study like any other and count towards run_cap.
//
// Ownership: everything hangs on hpt__run and is freed by fini. Threads: the caller's, and one that asks; one run per process at a time,
// because signals, the working folder and the subreaper flag belong to the process.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/file.h"
#include "../base/rng.h"
#include "../space/space_impl.h"
#include "run_impl.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const double LEFTOVER_SECONDS = 10.0;
static atomic_flag running = ATOMIC_FLAG_INIT;

// ---- names

typedef struct names {
    hpt__origin origin;
    bool is_copy; // the sweep is the folder's own copy: `hpt resume`
    hpt__str run_dir;
    const char *study, *storage; // storage: the explicit one or NULL
    int64_t n_trials;
} names;

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int settle_names(names *n, const hpt_sweep *sweep, const hpt_run_options *o) {
    int rc = 0;
    hpt__str copy = HPT__STR_INIT;
    n->study = o->study ? o->study : sweep->name;
    if (o->run_dir)
        hpt__str_add(&n->run_dir, o->run_dir);
    else
        hpt__run_dir_default(&n->run_dir, n->study);
    while (n->run_dir.len > 1 && n->run_dir.data[n->run_dir.len - 1] == '/') n->run_dir.data[--n->run_dir.len] = '\0';
    HPT_TRY(hpt__str_status(&n->run_dir));
    HPT_FAIL_IF(n->run_dir.len == 0, HPT_E_ARG, "the run folder's name is empty");
    HPT_FAIL_IF(n->run_dir.len >= sizeof((hpt_run_summary *)0)->run_dir, HPT_E_ARG,
                "the run folder's name is too long");
    HPT_FAIL_IF(!*n->study || strlen(n->study) >= sizeof((hpt_run_summary *)0)->study, HPT_E_ARG,
                "the study's name must have 1 to %d bytes", (int)sizeof((hpt_run_summary *)0)->study - 1);
    HPT_TRY(hpt__origin_read(&n->origin, hpt__str_text(&n->run_dir)));
    hpt__str_add(&copy, hpt__str_text(&n->run_dir));
    hpt__str_add(&copy, "/sweep.yaml");
    HPT_TRY(hpt__str_status(&copy));
    n->is_copy = sweep->path && n->origin.study && same_file(sweep->path, hpt__str_text(&copy));
    if (n->is_copy && !o->study) n->study = n->origin.study;
    HPT_FAIL_IF(n->origin.study && strcmp(n->origin.study, n->study) != 0, HPT_E_INCOMPATIBLE,
                "run folder '%s' belongs to study '%s'; name another folder for study '%s' (--dir)",
                hpt__str_text(&n->run_dir), n->origin.study, n->study);
    n->storage = o->storage ? o->storage : sweep->storage;
    if (n->is_copy && !o->storage && n->origin.storage) n->storage = n->origin.storage;
    HPT_FAIL_IF(n->storage && strcmp(n->storage, ":memory:") == 0, HPT_E_ARG,
                "storage ':memory:' would be gone when the run ends; name a database, or leave it out for one in the "
                "run's folder");
    n->n_trials = o->n_trials > 0 ? o->n_trials : n->is_copy ? n->origin.n_trials : 0;
    rc = 0;
out:
    hpt__str_fini(&copy);
    return rc;
}

static void names_fini(names *n) {
    hpt__origin_fini(&n->origin);
    hpt__str_fini(&n->run_dir);
}

// Folder of the sweep file and folder of the trials.
static int settle_folders(hpt__run *run, const names *n) {
    char real[PATH_MAX];
    const char *dir = run->sweep->dir ? run->sweep->dir : "";
    if (n->is_copy && n->origin.sweep_dir)
        dir = n->origin.sweep_dir;
    else if (*dir && realpath(dir, real))
        dir = real;
    else if (!*dir && getcwd(real, sizeof real))
        dir = real;
    run->sweep_dir = hpt__strdup(dir);
    if (!run->sweep_dir) return hpt__fail_memory();
    if (n->is_copy && n->origin.cwd && access(n->origin.cwd, X_OK) == 0 && getcwd(real, sizeof real) &&
        strcmp(real, n->origin.cwd) != 0) {
        run->cwd = hpt__strdup(n->origin.cwd);
        if (!run->cwd) return hpt__fail_memory();
    }
    run->study_name = hpt__strdup(n->study);
    return run->study_name ? 0 : hpt__fail_memory();
}

// ---- study

static int open_study(hpt__run *run, const names *n) {
    int rc = 0;
    const hpt_sweep *sweep = run->sweep;
    const hpt_run_options *o = run->o;
    const char **options = NULL;
    hpt__str url = HPT__STR_INIT;
    hpt_study_options s = HPT_STUDY_OPTIONS_INIT;
    if (n->storage) {
        hpt__str_add(&url, n->storage);
    } else {
        hpt__str_addf(&url, "sqlite:///%s/study.db", hpt__str_text(&n->run_dir));
        run->own_storage = true;
    }
    HPT_TRY(hpt__str_status(&url));
    int64_t n_options = 0;
    options = hpt__malloc((size_t)(sweep->n_options + o->n_options + 3) * sizeof *options);
    if (!options) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < 2; i++) // first, so that what the user says counts
        if (run->engine_options[i][0]) options[n_options++] = run->engine_options[i];
    for (int64_t i = 0; i < sweep->n_options; i++) options[n_options++] = sweep->options[i];
    for (int64_t i = 0; i < o->n_options; i++) options[n_options++] = o->options[i];
    s.name = n->study;
    s.storage = hpt__str_text(&url);
    s.space = sweep->space;
    s.directions = run->directions;
    s.n_directions = run->n_metrics > 0 ? run->n_metrics : 1;
    s.metric_names = sweep->n_metrics > 0 ? sweep->metrics : NULL;
    s.sampler = o->sampler ? o->sampler : sweep->sampler;
    if (!s.sampler && strcmp(sweep->method, "bayes") != 0)
        s.sampler = sweep->method; // "grid" and "random" are samplers
    s.pruner = o->pruner ? o->pruner : sweep->pruner;
    s.has_seed = o->has_seed || sweep->has_seed;
    s.seed = o->has_seed ? o->seed : sweep->seed;
    s.device = o->device;
    s.options = options;
    s.n_options = n_options;
    HPT_TRY(hpt_study_open(&run->study, &s));
    run->storage = hpt__absolute_url(hpt__str_text(&url));
    if (!run->storage) rc = hpt__fail_memory();
    const char *pruner = hpt_study_pruner(run->study);
    run->has_pruner = run->n_metrics == 1 && pruner && strcmp(pruner, "nop") != 0;
out:
    hpt__free(options);
    hpt__str_fini(&url);
    return rc < 0 ? rc : 0;
}

// The run's id: made once per study, carried by every process of its trials.
static int settle_run_id(hpt__run *run) {
    int rc = 0;
    char *text = NULL, json[40];
    uint64_t a, b;
    size_t n;
    HPT_TRY(hpt__study_attr_get(&text, run->study, "s:hpt:run_id"));
    if (!text) {
        HPT_TRY(hpt__rng_system_seed(&a));
        HPT_TRY(hpt__rng_system_seed(&b));
        (void)snprintf(json, sizeof json, "\"%016llx%016llx\"", (unsigned long long)a, (unsigned long long)b);
        HPT_TRY(hpt__study_attr_set(run->study, "s:hpt:run_id", json));
        text = hpt__strdup(json);
        if (!text) {
            rc = hpt__fail_memory();
            goto out;
        }
    }
    n = strlen(text);
    HPT_FAIL_IF(n < 3 || text[0] != '"' || text[n - 1] != '"', HPT_E_INCOMPATIBLE,
                "study '%s': its attribute hpt:run_id is no text", run->study_name);
    run->run_id = hpt__strndup(text + 1, n - 2);
    if (!run->run_id) rc = hpt__fail_memory();
out:
    hpt__free(text);
    return rc < 0 ? rc : 0;
}

// Parameters of the sweep by their index in the study, if the orders differ.
static int map_columns(hpt__run *run) {
    const hpt_space *a = run->sweep->space, *b = hpt_study_space(run->study);
    bool same = true;
    run->column = hpt__malloc(((size_t)a->d + 1) * sizeof *run->column);
    run->point = hpt__malloc(((size_t)a->d + 1) * sizeof *run->point);
    if (!run->column || !run->point) return hpt__fail_memory();
    for (int64_t i = 0; i < a->d; i++) {
        run->column[i] = hpt__space_find(b, a->params[i].name);
        if (run->column[i] < 0)
            return hpt__fail(HPT_E_INCOMPATIBLE, "study '%s' lacks parameter '%s'", run->study_name, a->params[i].name);
        same = same && run->column[i] == i;
    }
    if (same) {
        hpt__free(run->column);
        run->column = NULL;
    }
    return 0;
}

static int copy_sweep(hpt__run *run, const names *n) {
    hpt__str text = HPT__STR_INIT;
    int rc = 0;
    if (n->is_copy || !run->sweep->path || access(run->sweep->path, R_OK) != 0) return 0;
    rc = hpt__read_file(&text, run->sweep->path);
    if (rc == 0) rc = hpt__run_dir_write(&run->dir, "sweep.yaml", hpt__str_text(&text), text.len);
    hpt__str_fini(&text);
    return rc;
}

static int make_trials_folder(const hpt__run *run) {
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/trials", run->dir.real);
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
    return hpt__fail(HPT_E_IO, "folder '%s' cannot be made: %s", path, strerror(errno));
}

// ---- the process's own state, restored afterwards

typedef struct process_state {
    int subreaper;
    char *sweep_dir; // HPT_SWEEP_DIR before
} process_state;

static void enter(hpt__run *run, process_state *p) {
    hpt__signals_enter(&run->held);
    (void)prctl(PR_GET_CHILD_SUBREAPER, &p->subreaper);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void leave(const hpt__run *run, const process_state *p) {
    (void)prctl(PR_SET_CHILD_SUBREAPER, p->subreaper);
    hpt__signals_leave(&run->held);
}

// ${envvar:HPT_SWEEP_DIR} in a command is expanded from our own environment.
static int set_sweep_dir(const hpt__run *run, process_state *p) {
    const char *before = getenv("HPT_SWEEP_DIR");
    p->sweep_dir = before ? hpt__strdup(before) : NULL;
    if ((before && !p->sweep_dir) || setenv("HPT_SWEEP_DIR", run->sweep_dir, 1) < 0) return hpt__fail_memory();
    return 0;
}

static void restore_sweep_dir(process_state *p) {
    if (p->sweep_dir)
        (void)setenv("HPT_SWEEP_DIR", p->sweep_dir, 1);
    else
        (void)unsetenv("HPT_SWEEP_DIR");
    hpt__free(p->sweep_dir);
    p->sweep_dir = NULL;
}

// ---- the call

static int make_slots(hpt__run *run) {
    const size_t n = (size_t)run->n_slots;
    run->slots = hpt__calloc(n, sizeof *run->slots);
    run->grants = hpt__calloc(n, sizeof *run->grants);
    run->leaders = hpt__calloc(n, sizeof *run->leaders);
    if (!run->slots || !run->grants || !run->leaders) return hpt__fail_memory();
    return hpt__run_metrics_slots(run);
}

// Everything up to the first trial; the folder is locked on return.
static int prepare(hpt__run *run, const names *n) {
    int rc = 0;
    HPT_TRY(open_study(run, n));
    HPT_TRY(map_columns(run));
    HPT_TRY(settle_run_id(run));
    HPT_TRY(hpt__leftovers_end(&run->n_leftover, run->run_id, run->dir.real, LEFTOVER_SECONDS));
    HPT_TRY(make_trials_folder(run));
    HPT_TRY(hpt__cgroups_open(&run->groups));
    HPT_TRY(hpt__run_claims_open(run));
    HPT_TRY(hpt__run_mps_open(run));
    hpt__run_plan_slots(run); // under MPS more trials fit on a GPU in compute mode exclusive_process
    hpt__run_learn_plan(run);
    HPT_TRY(hpt__origin_write(run, n->storage, n->n_trials));
    HPT_TRY(copy_sweep(run, n));
    HPT_TRY(hpt__run_refresh(run));
    HPT_TRY(hpt__run_read_best(run));
    HPT_TRY(hpt__run_find_lost(run));
    HPT_TRY(hpt__run_learn_open(run));
    hpt__run_wandb_init(run);
    HPT_TRY(hpt__run_env_init(run));
    HPT_TRY(make_slots(run));
    HPT_TRY(hpt__run_open_loop(run));
    HPT_TRY(hpt__run_open_asker(run));
    hpt__run_dir_mark_latest(&run->dir);
    rc = 0;
out:
    return rc;
}

// ", each with 0.25 of a GPU": what every trial gets; "" without GPUs, and where each asks for an amount of its own.
static void share_text(char out[48], const hpt__run *run) {
    const hpt__demand *d = &run->demand;
    out[0] = '\0';
    if (d->n_gpus == 0 || hpt__run_parks(run)) return;
    if (d->profile[0])
        (void)snprintf(out, 48, ", each with a %s", d->profile);
    else if (d->n_gpus == 1 && d->gpu < HPT__GPU_UNITS)
        (void)snprintf(out, 48, ", each with %g of a GPU", (double)d->gpu / HPT__GPU_UNITS);
    else
        (void)snprintf(out, 48, ", each with %lld GPU%s", (long long)d->n_gpus, d->n_gpus == 1 ? "" : "s");
}

static void started_text(char *out, size_t size, const hpt__run *run) {
    char share[48];
    share_text(share, run);
    const int64_t total = hpt__run_total(run), again = run->n_restart;
    if (total == 0)
        (void)snprintf(out, size, "study '%s' starts, up to %lld trials at once%s", run->study_name,
                       (long long)run->n_slots, share);
    else
        (void)snprintf(out, size, "study '%s' goes on: %lld done, %lld pruned, %lld failed, %lld started again",
                       run->study_name, (long long)run->counts[HPT_TRIAL_COMPLETE],
                       (long long)run->counts[HPT_TRIAL_PRUNED], (long long)run->counts[HPT_TRIAL_FAIL],
                       (long long)again);
}

static hpt_run_end end_of(const hpt__run *run, const char **text) {
    if (run->phase == HPT__RUN_STOPPING) return *text = "stopped on request", HPT_RUN_END_STOPPED;
    if (run->phase == HPT__RUN_TIMED_OUT) return *text = "the time limit was reached", HPT_RUN_END_TIMEOUT;
    if (run->target_reached) return *text = "the target was reached", HPT_RUN_END_TARGET;
    if (run->flapping && hpt__run_has_more(run))
        return *text = "too many of the first trials failed", HPT_RUN_END_FLAPPING;
    if (run->cap > 0 && hpt__run_total(run) >= run->cap) return *text = "all trials are done", HPT_RUN_END_CAP;
    return *text = "no further point is left", HPT_RUN_END_EXHAUSTED;
}

static void summarise(hpt_run_summary *out, const hpt__run *run, hpt_run_end end) {
    *out = (hpt_run_summary){.end = end,
                             .n_done = run->counts[HPT_TRIAL_COMPLETE],
                             .n_pruned = run->counts[HPT_TRIAL_PRUNED],
                             .n_failed = run->counts[HPT_TRIAL_FAIL],
                             .best = run->best,
                             .best_number = run->best_number};
    (void)snprintf(out->run_dir, sizeof out->run_dir, "%s", run->dir.path);
    (void)snprintf(out->storage, sizeof out->storage, "%s", hpt_study_storage(run->study));
    (void)snprintf(out->study, sizeof out->study, "%s", run->study_name);
}

static int run_trials(hpt_run_summary *out, hpt__run *run) {
    int rc = 0;
    char text[256 + 520];
    const char *why = NULL;
    const double timeout = run->o->timeout > 0 ? run->o->timeout : run->sweep->sweep_timeout;
    run->timeout_at = timeout > 0 ? run->t0 + timeout : INFINITY;
    run->next_tick = run->t0;
    run->pump_at = INFINITY;
    hpt__run_look_at_disk(run);
    started_text(text, sizeof text, run);
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_STARTED, .number = -1, .value = NAN, .text = text});
    if (run->n_leftover > 0)
        hpt__run_notice(run, "ended %lld processes that a killed run had left", (long long)run->n_leftover);
    if (run->foreign_note[0])
        hpt__run_notice(run, "not given to trials, because programs that are no trials have it: %s", run->foreign_note);
    if (run->mps_note[0]) hpt__run_notice(run, "%s", run->mps_note);
    hpt__run_learn_start(run);
    HPT_TRY(hpt__run_loop(run));
    HPT_TRY(hpt__run_refresh(run));
    HPT_TRY(hpt__run_read_best(run));
    const hpt_run_end end = end_of(run, &why);
    HPT_TRY(hpt__run_end_text(text, sizeof text, run, why));
    hpt__run_tell_unread(run);
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_ENDED, .number = -1, .value = run->best, .text = text});
    summarise(out, run, end);
    rc = 0;
out:
    return rc;
}

static void run_fini(hpt__run *run) {
    hpt__run_close_asker(run);
    for (int64_t i = 0; run->slots && i < run->n_slots; i++) hpt__run_clear_slot(run, &run->slots[i]);
    hpt__run_close_loop(run);
    hpt__run_mps_close(run);
    hpt_study_close(run->study);
    hpt__run_claims_close(run);
    hpt__cgroups_close(&run->groups);
    hpt__run_park_fini(run);
    hpt__run_learn_fini(run);
    hpt__ledger_fini(&run->ledger);
    hpt__cores_fini(&run->cores);
    hpt__intake_fini(&run->intake);
    hpt__arena_fini(&run->env_arena);
    hpt__str_fini(&run->env_text);
    hpt__free(run->env);
    hpt__free(run->envp);
    hpt__free(run->slots);
    hpt__free(run->grants);
    hpt__free(run->leaders);
    hpt__free(run->reports);
    hpt__free(run->values);
    hpt__run_causes_fini(run);
    hpt__free(run->restart);
    hpt__free(run->column);
    hpt__free(run->point);
    hpt__free(run->study_name);
    hpt__free(run->storage);
    hpt__free(run->run_id);
    hpt__free(run->sweep_dir);
    hpt__free(run->cwd);
    hpt__free(run->program);
    hpt__free(run->program_name);
}

int hpt_run_sweep(hpt_run_summary *out, const hpt_sweep *sweep, const hpt_run_options *options) {
    static const hpt_run_options none = HPT_RUN_OPTIONS_INIT;
    int rc = 0;
    hpt__run run = {.sweep = sweep,
                    .epoll = -1,
                    .signals = -1,
                    .inotify = -1,
                    .null_fd = -1,
                    .mps.root_fd = -1,
                    .claims.lock = -1,
                    .claims.own = -1,
                    .claims_watch = -1,
                    .n_refused = UINT64_MAX};
    names n = {0};
    process_state process = {0};
    bool has_dir_variable = false, prepared = false;
    run.server = (hpt__report_server)HPT__REPORT_SERVER_INIT;
    run.dir = (hpt__run_dir)HPT__RUN_DIR_INIT;
    run.asker = (hpt__asker)HPT__ASKER_INIT;
    run.o = options ? options : &none;
    run.t0 = hpt__now_mono();
    run.best = NAN;
    run.best_number = -1;
    hpt__run_guard_init(&run);
    if (!out || !sweep) return hpt__fail(HPT_E_ARG, "hpt_run_sweep: an argument is NULL");
    if (run.o->struct_size != sizeof *run.o)
        return hpt__fail(HPT_E_ARG, "hpt_run_sweep: start the options with HPT_RUN_OPTIONS_INIT");
    if (run.o->slots < 0 || run.o->n_trials < 0 || run.o->timeout < 0)
        return hpt__fail(HPT_E_ARG, "hpt_run_sweep: a number in the options is negative");
    if (atomic_flag_test_and_set(&running))
        return hpt__fail(HPT_E_BUSY, "hpt_run_sweep runs in this process already; one at a time");
    enter(&run, &process); // before anything is loaded that starts threads
    HPT_TRY(settle_names(&n, sweep, run.o));
    HPT_TRY(settle_folders(&run, &n));
    run.cap = n.n_trials > 0 ? n.n_trials : sweep->run_cap;
    HPT_TRY(hpt__run_plan(&run));
    hpt__run_learn_plan(&run);
    if (sweep->cpu > 0) HPT_TRY(hpt__cores_init(&run.cores));
    HPT_TRY(hpt__run_metrics_init(&run));
    HPT_TRY(hpt__run_log_limit_init(&run));
    HPT_TRY(set_sweep_dir(&run, &process));
    has_dir_variable = true;
    HPT_TRY(hpt__run_check_program(&run));
    HPT_TRY(hpt__run_dir_open(&run.dir, hpt__str_text(&n.run_dir)));
    HPT_TRY(prepare(&run, &n));
    prepared = true;
    HPT_TRY(run_trials(out, &run));
out:;
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message); // closing may fail silently and must not replace it
    run_fini(&run);
    hpt__run_dir_close(&run.dir, rc < 0 && !prepared);
    leave(&run, &process);
    if (has_dir_variable) restore_sweep_dir(&process);
    names_fini(&n);
    atomic_flag_clear(&running);
    if (rc < 0) hpt__error_set(message);
    return rc < 0 ? rc : 0;
}
