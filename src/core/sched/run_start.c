// SPDX-License-Identifier: Apache-2.0
// run_start.c: which trial is next, its folder, its files and its process.
//
// Order: trials that an earlier run left, then waiting ones, then new ones, as many in one ask as there are free slots, so
// that a batch costs one transaction and a model sees the whole batch (run_ask.c). A slot's share of the machine is taken
// from the ledger before the study is asked: what was asked can be started.
//
// Cost of a start beyond fork and exec: two folders and five small files, opened once each. The files that the trial
// writes are opened read-write here and shared with it, so that they are read behind it without being opened again.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void hpt__run_clear_slot(hpt__run *run, hpt__running *t) {
    if (!t->trial) return;
    if (t->watch >= 0) (void)inotify_rm_watch(run->inotify, t->watch);
    if (t->pidfd >= 0) {
        (void)epoll_ctl(run->epoll, EPOLL_CTL_DEL, t->pidfd, NULL); // see on_trial in run_loop.c
        close(t->pidfd);
    }
    if (t->fd_out >= 0) close(t->fd_out);
    if (t->fd_err >= 0) close(t->fd_err);
    if (t->fd_report >= 0) close(t->fd_report);
    hpt__intake_stream_fini(&t->out);
    hpt__intake_stream_fini(&t->report);
    hpt__run_part_end(run, t);
    hpt__run_give(run, &t->grant);
    hpt__cores_give(&run->cores, t - run->slots);
    if (t->group) hpt__cgroup_remove(t->group);
    hpt__free(t->group);
    hpt__free(t->dir);
    hpt_trial_destroy(t->trial);
    *t = (hpt__running){0};
    run->n_running--;
}

const double *hpt__run_point(hpt__run *run, const double *point) {
    if (!run->column) return point;
    for (int64_t i = 0; i < run->sweep->space->d; i++) run->point[i] = point[run->column[i]];
    return run->point;
}

static int io_error(const char *path) {
    return hpt__fail(HPT_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
}

// Makes the trial's folder. One that is there already belongs to this trial if it is started again; else to another
// study that lived here, and is put aside: its checkpoints would mislead the trial.
static int make_folder(hpt__run *run, hpt__running *t) {
    char path[PATH_MAX + 64], aside[PATH_MAX + 64];
    hpt__str name = HPT__STR_INIT;
    hpt__str_addf(&name, "%s/trials/%06lld", run->dir.real, (long long)t->number);
    t->dir = hpt__str_take(&name);
    if (!t->dir) return hpt__fail_memory();
    if (mkdir(t->dir, 0777) < 0) {
        if (errno != EEXIST) return io_error(t->dir);
        if (t->attempt == 0) {
            (void)snprintf(aside, sizeof aside, "%s.old-%lld", t->dir, (long long)hpt__now_utc_us());
            if (rename(t->dir, aside) < 0 || mkdir(t->dir, 0777) < 0) return io_error(t->dir);
        } else {
            (void)snprintf(path, sizeof path, "%s/stop", t->dir);
            (void)unlink(path);
        }
    }
    (void)snprintf(path, sizeof path, "%s/checkpoint", t->dir);
    if (mkdir(path, 0777) < 0 && errno != EEXIST) return io_error(path);
    return 0;
}

static int write_text(const hpt__running *t, const char *name, const hpt__str *text) {
    char path[PATH_MAX + 64];
    int rc = hpt__str_status(text);
    if (rc < 0) return rc;
    (void)snprintf(path, sizeof path, "%s/%s", t->dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text->data, text->len) != (ssize_t)text->len) rc = io_error(path);
    if (fd >= 0) close(fd);
    return rc;
}

static int write_params(const hpt__run *run, const hpt__running *t, const double *point) {
    int rc = 0;
    hpt__str json = HPT__STR_INIT, yaml = HPT__STR_INIT;
    hpt__sweep_config_json(&json, run->sweep, point);
    HPT_TRY(hpt__str_status(&json));
    HPT_TRY(hpt__wandb_yaml(&yaml, hpt__str_text(&json), json.len));
    hpt__str_addc(&json, '\n');
    HPT_TRY(write_text(t, "params.json", &json));
    HPT_TRY(write_text(t, "wandb.yaml", &yaml));
out:
    hpt__str_fini(&json);
    hpt__str_fini(&yaml);
    return rc;
}

// Above 3, so that the child can place them at 0 to 3 in any order.
static int open_log(int *fd_out, int64_t *size, const hpt__running *t, const char *name) {
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", t->dir, name);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && fd <= 3) {
        const int high = fcntl(fd, F_DUPFD_CLOEXEC, 4);
        close(fd);
        fd = high;
    }
    if (fd < 0) return io_error(path);
    *fd_out = fd;
    // Only a trial that is started again finds something in its files.
    const off_t end = t->attempt > 0 ? lseek(fd, 0, SEEK_END) : 0;
    *size = end > 0 ? end : 0;
    return 0;
}

// The command's first element as a file; the same for all trials unless it holds a macro that differs.
static int program_path(const char **path, hpt__run *run, const char *name) {
    if (!run->program_name || strcmp(run->program_name, name) != 0) {
        char *file = NULL, *copy = NULL;
        int rc = hpt__process_find(&file, name);
        if (rc < 0) return rc;
        copy = hpt__strdup(name);
        if (!copy) {
            hpt__free(file);
            return hpt__fail_memory();
        }
        hpt__free(run->program);
        hpt__free(run->program_name);
        run->program = file;
        run->program_name = copy;
    }
    *path = run->program;
    return 0;
}

// A trial whose program cannot be executed has failed; that is told at once.
static int could_not_start(hpt__run *run, hpt__running *t, const char *why) {
    char reason[HPT__ERROR_MAX + 32];
    (void)snprintf(reason, sizeof reason, "could not be started: %s", why);
    return hpt__run_ended_bad(run, t->trial, NULL, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED, reason, NULL, 0);
}

static int spawn(hpt__run *run, hpt__running *t, char **argv) {
    int rc = 0, why = 0;
    const char *path = NULL;
    char **envp = NULL;
    HPT_TRY(program_path(&path, run, argv[0]));
    HPT_TRY(hpt__run_env(&envp, run, t));
    hpt__spawn s = {.path = path,
                    .argv = argv,
                    .envp = envp,
                    .cwd = run->cwd,
                    .fd_in = run->null_fd,
                    .fd_out = t->fd_out,
                    .fd_err = t->fd_err,
                    .fd_report = t->fd_report,
                    .mask = run->held.mask};
    hpt__run_limit(&s, run, t);
    rc = hpt__process_spawn(&t->pid, &why, &s);
    hpt__run_limited(run, t, &s);
    if (rc < 0) goto out;
    struct rusage own;
    if (getrusage(RUSAGE_SELF, &own) == 0) t->own_peak = own.ru_maxrss;
    t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0U);
    if (t->pidfd < 0 || hpt__run_watch(run, t->pidfd, HPT__SOURCE_TRIAL, t - run->slots, EPOLLIN) < 0) {
        rc = hpt__fail(HPT_E_IO, "trial %lld cannot be watched: %s", (long long)t->number, strerror(errno));
        goto out;
    }
    if (why) { // the child is gone already, but must be reaped
        HPT_TRY(hpt__run_trial_exited(run, t));
        rc = hpt__fail(HPT_E_NOT_FOUND, "'%s': %s", path, strerror(why));
    }
out:
    return rc;
}

int hpt__run_begin(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__grant *grant, int64_t part) {
    int rc = 0;
    char **argv = NULL;
    hpt__running *t = run->slots;
    while (t->trial) t++; // there is a free one: n_running < n_slots
    *t = (hpt__running){.trial = trial,
                        .number = hpt_trial_number(trial),
                        .attempt = attempt,
                        .pidfd = -1,
                        .fd_out = -1,
                        .fd_err = -1,
                        .fd_report = -1,
                        .watch = -1,
                        .report.protocol = true,
                        .timeout_at = INFINITY,
                        .silent_at = INFINITY,
                        .kill_at = INFINITY,
                        .grant = *grant,
                        .tier = hpt__run_tier(run, grant),
                        .part = part};
    run->n_running++;
    run->n_started_here++;
    hpt__run_clear_values(run, t);
    const double *point = hpt__run_point(run, hpt__trial_point(trial));
    HPT_TRY(make_folder(run, t));
    HPT_TRY(write_params(run, t, point));
    HPT_TRY(open_log(&t->fd_out, &t->read_out, t, "stdout.log"));
    HPT_TRY(open_log(&t->fd_report, &t->read_report, t, "report.log"));
    HPT_TRY(open_log(&t->fd_err, &t->stderr_start, t, "stderr.log"));
    char config[PATH_MAX + 64];
    (void)snprintf(config, sizeof config, "%s/params.json", t->dir);
    HPT_TRY(hpt__sweep_command(&argv, run->sweep, point, config));
    if (run->inotify >= 0 && run->n_metrics > 0) t->watch = inotify_add_watch(run->inotify, t->dir, IN_MODIFY);
    rc = spawn(run, t, argv);
    if (rc == HPT_E_NOT_FOUND) {
        char why[HPT__ERROR_MAX];
        hpt__error_copy(why);
        rc = could_not_start(run, t, why);
        hpt__run_clear_slot(run, t);
        goto out;
    }
    if (rc < 0) goto out;
    t->started = hpt__now_mono();
    if (run->sweep->silent_timeout > 0) t->silent_at = t->started + run->sweep->silent_timeout;
    hpt__run_mps_started(run, t);
    if (run->sweep->trial_timeout > 0) t->timeout_at = t->started + run->sweep->trial_timeout;
    hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TRIAL_STARTED, .number = t->number, .value = NAN});
out:
    hpt__free(argv);
    if (rc < 0 && t->trial) { // the trial stays RUNNING in the study; the next run starts it again
        char text[HPT__ERROR_MAX];
        hpt__error_copy(text);
        if (t->pid > 0 && hpt__run_trial_exited(run, t) < 0) rc = HPT_E_MEMORY;
        hpt__run_clear_slot(run, t);
        hpt__error_set(text);
    }
    return rc;
}

// Takes ownership of trial and grant.
static int begin(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__grant *grant) {
    if (hpt__run_part_is_needed(run, grant)) return hpt__run_part_want(run, trial, attempt, grant);
    return hpt__run_begin(run, trial, attempt, grant, 0);
}

static bool is_drained(const hpt__run *run, const hpt__grant *grant) {
    for (int64_t k = 0; k < grant->demand.n_gpus; k++)
        if (run->ledger.gpus[grant->gpus[k]].drained) return true;
    return false;
}

// Takes ownership of trial and grant. What was taken is given back, and the trial queues for its own, where it asks for an
// amount of its own, as all of a sweep do or because of how its earlier attempts ended, and where its GPU is no longer to be
// used (run_mps_end.c): an ask took time.
static int start(hpt__run *run, hpt_trial *trial, const hpt__history *h, const hpt__grant *grant) {
    hpt__grant given = *grant;
    const bool usual = h->n_faults < HPT__SUSPECT && h->gpu_memory <= 0;
    if (!hpt__run_parks(run) && usual && !is_drained(run, grant)) return begin(run, trial, h->attempt, grant);
    hpt__run_give(run, &given);
    return hpt__run_park(run, trial, h);
}

static int start_parked(hpt__run *run) {
    int rc = 0;
    int64_t attempt = 0;
    hpt_trial *trial = NULL;
    hpt__grant grant;
    if (!hpt__run_may_start(run)) hpt__run_drop_parked(run);
    if (run->disk_full) return 0;
    while (rc >= 0 && hpt__run_unpark(&trial, &attempt, &grant, run)) rc = begin(run, trial, attempt, &grant);
    return rc < 0 ? rc : 0;
}

static int restart_one(hpt__run *run) {
    int rc = 0;
    hpt__history history;
    hpt_trial *trial = NULL;
    hpt__grant grant = {0};
    if (hpt__run_take(&grant, run, 1) == 0) return HPT_S_NOTHING;
    HPT_TRY(hpt_study_trial(&trial, run->study, run->restart[run->next_restart]));
    run->next_restart++;
    if (hpt_trial_get_state(trial) != HPT_TRIAL_RUNNING) goto out; // told by someone meanwhile
    HPT_TRY(hpt__run_next_attempt(&history, run, trial));
    if (rc == HPT_S_NOTHING) goto out;
    rc = start(run, trial, &history, &grant);
    return rc;
out:
    hpt_trial_destroy(trial);
    hpt__run_give(run, &grant);
    return rc < 0 ? rc : 0;
}

static int64_t unasked(const hpt__run *run) { // new trials that may still be asked for
    if (run->exhausted) return 0;
    if (run->cap == 0) return INT64_MAX;
    const int64_t room = run->cap - hpt__run_total(run);
    return room > 0 ? room : 0;
}

bool hpt__run_has_more(const hpt__run *run) {
    return run->next_restart < run->n_restart || run->counts[HPT_TRIAL_WAITING] > 0 || unasked(run) > 0;
}

bool hpt__run_may_start(const hpt__run *run) {
    return run->phase == HPT__RUN_GOING && !run->target_reached && !run->flapping;
}

int hpt__run_start_asked(hpt__run *run, hpt_trial *trial, hpt__grant *grant) {
    const hpt__grant taken = *grant;
    const hpt__history none = {0};
    grant->held = false;
    return start(run, trial, &none, &taken);
}

// A waiting trial that is whole: a retry, a suggestion asked ahead, a point that a user queued.
static int claim_one(hpt__run *run) {
    int rc = 0;
    hpt_trial *trial = NULL;
    hpt__grant grant = {0};
    if (run->counts[HPT_TRIAL_WAITING] == 0) return HPT_S_NOTHING;
    if (hpt__run_take(&grant, run, 1) == 0) return HPT_S_NOTHING;
    rc = hpt__study_claim(&trial, run->study);
    if (rc == 0) rc = hpt__run_refresh(run);
    if (rc == 0) return hpt__run_start_asked(run, trial, &grant);
    hpt_trial_destroy(trial);
    hpt__run_give(run, &grant);
    return rc;
}

static int ask(hpt__run *run) {
    int rc = 0;
    const int64_t waiting = run->counts[HPT_TRIAL_WAITING];
    int64_t q = run->n_slots - run->n_running, ahead = hpt__run_ahead(run) - waiting;
    // Others may add trials to a database that is not this run's own: the cap is held against what they made.
    if (!run->own_storage) rc = hpt__run_refresh(run);
    if (rc < 0) return rc;
    const int64_t room = unasked(run);
    if (room < INT64_MAX && q > room + waiting) q = room + waiting;
    run->n_granted += hpt__run_take(&run->grants[run->n_granted], run, q - run->n_granted);
    q = run->n_granted;
    if (room < INT64_MAX && ahead > room - q) ahead = room - q;
    if (ahead < 0) ahead = 0;
    return q + ahead > 0 ? hpt__run_ask(run, q, ahead) : 0;
}

int hpt__run_start_trials(hpt__run *run) {
    int rc = start_parked(run);
    if (rc < 0 || hpt__run_parked_many(run)) return rc;
    // At most as many attempts as there are slots: should every start fail at once, the loop still gets its turn.
    for (int64_t i = 0; i < run->n_slots; i++) {
        if (!hpt__run_may_start(run) || run->disk_full || run->n_running + run->n_granted >= run->n_slots) break;
        rc = run->next_restart < run->n_restart ? restart_one(run) : claim_one(run);
        if (rc < 0) return rc;
        if (rc == HPT_S_NOTHING) break;
    }
    if (hpt__run_may_start(run) && !run->disk_full && !hpt__run_asking(run) && run->next_restart >= run->n_restart)
        rc = ask(run);
    return rc < 0 ? rc : start_parked(run);
}
