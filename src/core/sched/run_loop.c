// SPDX-License-Identifier: Apache-2.0
// run_loop.c: one epoll loop in the caller's thread. Nothing in it takes long: asks have a thread of their own
// (run_ask.c).
//
// Sources: signals (signalfd, see signals.c: SIGINT, SIGTERM, SIGHUP, SIGCHLD), the end of each trial's first process (pidfd), files
// that trials write (inotify), the socket and its connections, asks that are done; what is timed (limits, grace, ticks) is the timeout of
// epoll_wait. Nothing is polled while nothing happens. inotify reports once and is armed again after the files of those
// that wrote were read, at most 25 times a second: a trial that prints a million lines costs reads of a quarter megabyte,
// not a million wake-ups, and reports that come close together share a transaction. Where inotify cannot be had, or not
// for a trial, files are read five times a second.
//
// A turn: events; timers; read what was written; store all reports in one transaction and ask the pruner; tell the
// trials that ended; start new ones. Reports come before tells because a finished trial takes no report.
//
// While the loop runs it owns SIGCHLD: it reaps every child, also those of other threads of the process.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const double TICK = 0.2, PUMP_GAP = 0.04, POLL_FILES = 0.2, REFRESH = 1.0, KILL_AGAIN = 1.0;
enum { EVENTS = 64 };

int hpt__run_watch(hpt__run *run, int fd, hpt__source source, int64_t index, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)source << 32 | (uint32_t)index};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &e) == 0) return 0;
    return hpt__fail(HPT_E_IO, "descriptor %d cannot be watched: %s", fd, strerror(errno));
}

static void arm_inotify(hpt__run *run) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = (uint64_t)HPT__SOURCE_INOTIFY << 32};
    if (run->inotify >= 0) (void)epoll_ctl(run->epoll, EPOLL_CTL_MOD, run->inotify, &e);
}

// Each trial holds four descriptors here, and its watch.
static void raise_file_limit(int64_t n_slots) {
    struct rlimit limit;
    const rlim_t need = (rlim_t)n_slots * 4 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need) return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > need ? need : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int hpt__run_open_loop(hpt__run *run) {
    int rc = 0;
    raise_file_limit(run->n_slots);
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->signals = signalfd(-1, &run->held.watched, SFD_CLOEXEC | SFD_NONBLOCK);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    run->null_fd = null_fd >= 0 ? fcntl(null_fd, F_DUPFD_CLOEXEC, 4) : -1;
    if (null_fd >= 0) close(null_fd);
    HPT_FAIL_IF(run->epoll < 0 || run->signals < 0 || run->null_fd < 0, HPT_E_IO,
                "the run cannot open its descriptors: %s", strerror(errno));
    HPT_TRY(hpt__run_watch(run, run->signals, HPT__SOURCE_SIGNAL, 0, EPOLLIN));
    run->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (run->inotify >= 0) HPT_TRY(hpt__run_watch(run, run->inotify, HPT__SOURCE_INOTIFY, 0, EPOLLIN | EPOLLONESHOT));
    HPT_TRY(hpt__run_dir_listen(&run->server.fd, &run->dir));
    HPT_TRY(hpt__run_watch(run, run->server.fd, HPT__SOURCE_LISTEN, 0, EPOLLIN));
    run->buffer = hpt__malloc(HPT__READ_SIZE + 1);
    if (!run->buffer) rc = hpt__fail_memory();
out:
    return rc;
}

void hpt__run_close_loop(hpt__run *run) {
    hpt__report_server_fini(&run->server);
    if (run->null_fd >= 0) close(run->null_fd);
    if (run->inotify >= 0) close(run->inotify);
    if (run->signals >= 0) close(run->signals);
    if (run->epoll >= 0) close(run->epoll);
    run->epoll = run->signals = run->inotify = run->null_fd = -1;
    hpt__free(run->buffer);
    run->buffer = NULL;
}

static void stop_all(hpt__run *run) {
    hpt__run_drop_parked(run);
    for (int64_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].trial) hpt__run_stop_trial(run, &run->slots[i], HPT__STOP_RUN);
}

void hpt__run_break(hpt__run *run, int error) {
    if (run->phase == HPT__RUN_BROKEN) return;
    run->phase = HPT__RUN_BROKEN;
    run->error = error;
    hpt__error_copy(run->error_text);
    stop_all(run);
}

// ---- events

static int reap(hpt__run *run) {
    for (;;) {
        siginfo_t info = {0};
        hpt__running *t = NULL;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return 0;
        for (int64_t i = 0; i < run->n_slots && !t; i++)
            if (run->slots[i].trial && !run->slots[i].ended && run->slots[i].pid == info.si_pid) t = &run->slots[i];
        if (t) {
            int rc = hpt__run_trial_exited(run, t);
            if (rc < 0) return rc;
        } else if (waitpid(info.si_pid, NULL, WNOHANG) <= 0) {
            return 0;
        }
    }
}

// A trial under MPS whose server other runs use too has its work on the GPU ended first, some seconds at most; the next signal kills.
static void kill_now(hpt__run *run, hpt__running *t) {
    const bool first = run->n_signals == 2;
    if (!t->trial) return;
    if (first && hpt__run_mps_beside_others(run, t))
        t->kill_at = hpt__now_mono();
    else
        hpt__run_kill_trial(run, t);
}

static int on_signals(hpt__run *run) {
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) continue;
        run->n_signals++;
        if (run->n_signals == 1) {
            if (run->phase == HPT__RUN_GOING) run->phase = HPT__RUN_STOPPING;
            stop_all(run);
            if (run->n_running > 0)
                hpt__run_notice(run, "stopping %lld trials; once more ends them at once", (long long)run->n_running);
        } else {
            for (int64_t i = 0; i < run->n_slots; i++) kill_now(run, &run->slots[i]);
        }
    }
    return reap(run);
}

// Which trial wrote, not what: its files are read from where the last look ended.
static void note_written(hpt__run *run, const struct inotify_event *e) {
    if (e->wd == run->claims_watch || (e->mask & IN_Q_OVERFLOW)) hpt__run_claims_changed(run);
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (t->trial && (t->watch == e->wd || (e->mask & IN_Q_OVERFLOW))) t->written = true;
    }
}

static int on_inotify(hpt__run *run) {
    ssize_t n;
    while ((n = read(run->inotify, run->buffer, HPT__READ_SIZE)) > 0) {
        struct inotify_event e;
        for (ssize_t at = 0; at + (ssize_t)sizeof e <= n; at += (ssize_t)(sizeof e + e.len)) {
            memcpy(&e, run->buffer + at, sizeof e);
            note_written(run, &e);
        }
    }
    const double at = run->last_pump + PUMP_GAP;
    if (run->pump_at > at) run->pump_at = at;
    return 0;
}

static int on_connect(hpt__run *run) {
    int64_t i;
    int rc = hpt__report_server_accept(&i, &run->server);
    if (rc < 0 || i < 0) return rc;
    return hpt__run_watch(run, run->server.connections[i].fd, HPT__SOURCE_CONNECTION, i, EPOLLIN);
}

// An event is only a hint to look: a child on its way through exec holds copies of our descriptors for a moment, and
// keeps a pidfd in the epoll set that was closed here, whose slot may have a new trial by now.
static int on_trial(hpt__run *run, hpt__running *t) {
    siginfo_t info = {0};
    if (!t->trial || t->ended) return 0;
    if (waitid(P_PID, (id_t)t->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) return 0;
    return hpt__run_trial_exited(run, t);
}

static int dispatch(hpt__run *run, uint64_t tag) {
    const int64_t i = (int64_t)(tag & 0xffffffffU);
    switch ((hpt__source)(tag >> 32)) {
    case HPT__SOURCE_SIGNAL:
        return on_signals(run);
    case HPT__SOURCE_INOTIFY:
        return on_inotify(run);
    case HPT__SOURCE_LISTEN:
        return on_connect(run);
    case HPT__SOURCE_CONNECTION:
        return hpt__report_server_read(&run->server, i, hpt__run_request, run);
    case HPT__SOURCE_TRIAL:
        return on_trial(run, &run->slots[i]);
    case HPT__SOURCE_ASK:
        return hpt__run_asked(run);
    case HPT__SOURCE_MPS:
        return hpt__run_mps_event(run, i);
    case HPT__SOURCE_PART:
        return hpt__run_part_event(run, i);
    }
    return 0;
}

// ---- time

static void earlier(double *t, double other) {
    if (other < *t) *t = other;
}

static int wait_ms(const hpt__run *run, double now) {
    double next = run->phase == HPT__RUN_GOING ? run->timeout_at : INFINITY;
    earlier(&next, run->pump_at);
    if (run->o->on_event) earlier(&next, run->next_tick);
    earlier(&next, hpt__run_mps_due(run));
    earlier(&next, now + REFRESH); // the end of a child that nobody announced is noticed then
    for (int64_t i = 0; i < run->n_slots; i++) {
        const hpt__running *t = &run->slots[i];
        if (!t->trial) continue;
        earlier(&next, t->kill_at);
        if (t->watch < 0 && run->n_metrics > 0) earlier(&next, run->last_pump + POLL_FILES);
        if (t->cause != HPT__STOP_NONE) continue;
        earlier(&next, t->timeout_at);
        earlier(&next, t->silent_at);
    }
    return next <= now ? 0 : (int)ceil((next - now) * 1000);
}

static int on_time(hpt__run *run) {
    const double now = hpt__now_mono();
    if (run->phase == HPT__RUN_GOING && now >= run->timeout_at) {
        run->phase = HPT__RUN_TIMED_OUT;
        hpt__run_notice(run, "the sweep's time is up; running trials are stopped");
    }
    if (run->phase != HPT__RUN_GOING) stop_all(run);
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!t->trial || t->ended) continue;
        if (t->watch < 0 && run->n_metrics > 0 && now >= run->last_pump + POLL_FILES) run->pump_at = now;
        if (now >= t->timeout_at) hpt__run_stop_trial(run, t, HPT__STOP_TIMEOUT);
        if (now >= t->silent_at && !hpt__run_heard(run, t)) hpt__run_stop_trial(run, t, HPT__STOP_SILENT);
        if (now >= t->kill_at && !hpt__run_mps_end(run, t)) { // again and again, should the group have grown
            hpt__run_kill_trial(run, t);
            t->kill_at = now + KILL_AGAIN;
        }
    }
    int rc = hpt__run_mps_time(run, now);
    if (rc < 0) return rc;
    if (now >= run->next_tick) {
        run->next_tick = now + TICK;
        hpt__run_emit(run, (hpt_run_event){.kind = HPT_RUN_TICK, .number = -1, .value = NAN});
    }
    if (now - run->looked_at >= REFRESH) {
        run->looked_at = now;
        rc = reap(run);
        if (rc == 0) rc = hpt__run_asked(run); // its thread's call may have failed
        if (rc < 0) return rc;
        for (int64_t i = 0; i < run->n_slots; i++) (void)hpt__run_heard(run, &run->slots[i]);
        hpt__run_trim_all(run);
        hpt__run_look_at_disk(run);
        hpt__run_watchdog(run);
        hpt__run_lost_time(run);
        hpt__run_fault_events(run);
        hpt__run_fault_neighbours(run);
        hpt__run_claims_time(run);
        return run->phase == HPT__RUN_BROKEN ? 0 : hpt__run_refresh(run);
    }
    return 0;
}

// ---- turns

static int tell_ended(hpt__run *run) {
    int rc = 0;
    bool any = false;
    if (run->phase == HPT__RUN_BROKEN) return 0;
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        t->told = t->trial && t->ended && !hpt__run_fault_waits(run, t);
        if (!t->told) continue;
        any = true;
        HPT_TRY(hpt__run_drain(run, &run->slots[i]));
    }
    HPT_TRY(hpt__run_flush(run));
    for (int64_t i = 0; any && i < run->n_slots; i++) {
        if (!run->slots[i].told) continue;
        HPT_TRY(hpt__run_conclude(run, &run->slots[i]));
    }
    rc = 0;
out:
    return rc;
}

static int turn(hpt__run *run) {
    int rc = 0;
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(run->epoll, events, EVENTS, wait_ms(run, hpt__now_mono()));
    HPT_FAIL_IF(n < 0 && errno != EINTR, HPT_E_IO, "waiting for trials failed: %s", strerror(errno));
    for (int i = 0; i < n; i++) HPT_TRY(dispatch(run, events[i].data.u64));
    HPT_TRY(on_time(run));
    if (hpt__now_mono() >= run->pump_at) {
        HPT_TRY(hpt__run_pump(run));
        arm_inotify(run);
    }
    HPT_TRY(tell_ended(run));
out:
    return rc < 0 ? rc : 0;
}

// After an error what runs is ended and reaped, and nothing is told any more: what failed may have been the reading of
// a result. Such trials stay RUNNING, and the next run starts them again.
static void wind_up(hpt__run *run) {
    while (run->n_running > 0) {
        const int again = turn(run); // the first error is the one that is returned
        (void)again;
        for (int64_t i = 0; i < run->n_slots; i++)
            if (run->slots[i].trial && run->slots[i].ended) hpt__run_clear_slot(run, &run->slots[i]);
    }
}

int hpt__run_loop(hpt__run *run) {
    int rc = 0;
    for (;;) {
        if (run->phase == HPT__RUN_BROKEN) { // what a turn found, which is no error of its own calls
            rc = run->error;
            goto out;
        }
        HPT_TRY(hpt__run_start_trials(run));
        if (!hpt__run_may_start(run)) hpt__run_cancel_ask(run);
        if (run->n_running == 0 && !hpt__run_asking(run)) {
            if (!hpt__run_may_start(run) || !hpt__run_has_more(run)) break;
            HPT_TRY(hpt__run_refresh(run)); // the counts may lag behind other processes
            if (!hpt__run_has_more(run)) break;
            HPT_TRY(turn(run));
            continue;
        }
        HPT_TRY(turn(run));
    }
    rc = 0;
out:
    if (rc < 0) {
        hpt__run_break(run, rc);
        wind_up(run);
        hpt__error_set(run->error_text);
    }
    return rc;
}
