// SPDX-License-Identifier: Apache-2.0
// mps_call.c: see mps_call.h.
//
// The control program waits for its daemon without limit, so that each call is a process of its own that can be ended. The
// end is seen by pidfd, not by the end of its output: a daemon may keep the pipe open. The exit status is taken where it
// can be had; a run's loop reaps every child and may be faster, so that answers are judged by their text.
//
// Threads: one per call; the thread that begins it must outlive it (process.h). Cost: a fork and exec, some milliseconds.
// Source: NVIDIA's MPS documentation, nvidia-cuda-mps-control(1).
#include "mps_call.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t TEXT_MAX = 1 << 16;
static const double KILL_SECONDS = 1.0;

// Our own environment with the controller's variables first and without others that would name another controller, another
// device, or a trial that this program may be part of. *out: an array (hpt__free) into texts and environ.
static int make_environment(char ***out, hpt__str *texts, const hpt__mps_where *w) {
    static const char *const others[] = {"CUDA_MPS_", "CUDA_VISIBLE_DEVICES=", "HPT_"};
    size_t n = 0, k = 0;
    while (environ && environ[n]) n++;
    hpt__str_addf(texts, "CUDA_MPS_PIPE_DIRECTORY=%s%cCUDA_MPS_LOG_DIRECTORY=%s%cCUDA_VISIBLE_DEVICES=%s%c", w->pipe, 0,
                  w->log, 0, w->uuid, 0);
    char **list = hpt__calloc(n + 4, sizeof *list);
    if (!list || hpt__str_status(texts) < 0) {
        hpt__free(list);
        return hpt__fail_memory();
    }
    for (char *p = texts->data; p < texts->data + texts->len; p += strlen(p) + 1) list[k++] = p;
    for (size_t i = 0; i < n; i++) {
        bool keep = true;
        for (size_t j = 0; j < sizeof others / sizeof *others; j++)
            keep = keep && strncmp(environ[i], others[j], strlen(others[j])) != 0;
        if (keep) list[k++] = environ[i];
    }
    *out = list;
    return 0;
}

// Both ends above 3, as hpt__process_spawn wants them.
static int make_pipe(int fd[2]) {
    int low[2];
    fd[0] = fd[1] = -1;
    if (pipe2(low, O_CLOEXEC) < 0) return -1;
    for (int i = 0; i < 2; i++) {
        fd[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 4);
        close(low[i]);
    }
    return fd[0] < 0 || fd[1] < 0 ? -1 : 0;
}

static void close_all(const int *fd, int n) {
    for (int i = 0; i < n; i++)
        if (fd[i] >= 0) close(fd[i]);
}

int hpt__mps_call_begin(hpt__mps_call *call, const hpt__mps_where *w, const char *commands, double seconds) {
    int rc = 0, why = 0, fd[4] = {-1, -1, -1, -1}, *in = fd, *answer = fd + 2;
    char program[] = "nvidia-cuda-mps-control", arguments[16] = "", *argv[4] = {program}, *save = NULL;
    char **envp = NULL;
    hpt__str texts = HPT__STR_INIT;
    hpt__str_clear(&call->text);
    call->state = HPT__MPS_FAILED;
    HPT_TRY(make_environment(&envp, &texts, w));
    const bool starts = commands[0] == '-';
    if (starts) (void)snprintf(arguments, sizeof arguments, "%s", commands);
    argv[1] = strtok_r(arguments, " ", &save);
    argv[2] = argv[1] ? strtok_r(NULL, " ", &save) : NULL;
    const size_t n = starts ? 0 : strlen(commands);
    HPT_FAIL_IF(make_pipe(in) < 0 || make_pipe(answer) < 0, HPT_E_IO, "no pipe can be made: %s", strerror(errno));
    HPT_FAIL_IF(fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 || (n > 0 && write(in[1], commands, n) != (ssize_t)n), HPT_E_IO,
                "%zu bytes of commands do not fit into a pipe", n);
    (void)fcntl(answer[0], F_SETFL, O_NONBLOCK);
    hpt__spawn s = {.path = w->program,
                    .argv = argv,
                    .envp = envp,
                    .fd_in = in[0],
                    .fd_out = answer[1],
                    .fd_err = answer[1],
                    .fd_report = answer[1],
                    .door = -1};
    (void)sigemptyset(&s.mask);
    HPT_TRY(hpt__process_spawn(&call->pid, &why, &s));
    call->pidfd = (int)syscall(SYS_pidfd_open, call->pid, 0U);
    if (why || call->pidfd < 0) {
        (void)kill(-call->pid, SIGKILL);
        (void)waitpid(call->pid, NULL, 0);
        if (call->pidfd >= 0) close(call->pidfd);
        rc = hpt__fail(HPT_E_IO, "'%s' cannot be run: %s", w->program, strerror(why ? why : errno));
        goto out;
    }
    call->fd = answer[0];
    answer[0] = -1;
    call->until = hpt__now_mono() + seconds;
    call->state = HPT__MPS_BUSY;
out:
    close_all(fd, 4);
    hpt__free(envp);
    hpt__str_fini(&texts);
    return rc;
}

static void take_text(hpt__mps_call *call) {
    char buffer[4096];
    ssize_t n;
    while ((n = read(call->fd, buffer, sizeof buffer)) > 0)
        if (call->text.len < TEXT_MAX) hpt__str_addn(&call->text, buffer, (size_t)n);
}

static bool has_ended(const hpt__mps_call *call) {
    struct pollfd p = {.fd = call->pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void end_process(hpt__mps_call *call) {
    const double until = hpt__now_mono() + KILL_SECONDS;
    struct pollfd p = {.fd = call->pidfd, .events = POLLIN};
    if (!has_ended(call)) (void)kill(-call->pid, SIGKILL); // its number is taken as long as it has not ended
    while (poll(&p, 1, 10) != 1 && hpt__now_mono() < until) continue;
}

// The first line of what was printed becomes the reason.
static void keep_first_line(hpt__str *text) {
    const size_t n = strcspn(hpt__str_text(text), "\n");
    if (n > 0 && n < text->len) {
        text->len = n;
        text->data[n] = '\0';
    }
}

static void finish(hpt__mps_call *call, hpt__mps_state state) {
    int status = 0;
    const pid_t got = waitpid(call->pid, &status, WNOHANG); // <= 0: another part of this program has reaped it
    if (got == call->pid && status != 0 && !call->any_status) state = HPT__MPS_FAILED;
    close(call->pidfd);
    close(call->fd);
    if (call->text.failed) state = HPT__MPS_FAILED;
    call->state = state;
    if (state != HPT__MPS_FAILED) return;
    keep_first_line(&call->text);
    if (call->text.len == 0 && !call->text.failed) hpt__str_add(&call->text, "it failed without a word");
}

hpt__mps_state hpt__mps_call_look(hpt__mps_call *call) {
    if (call->state != HPT__MPS_BUSY) return call->state;
    const bool ended = has_ended(call);
    take_text(call);
    if (ended) {
        finish(call, HPT__MPS_ANSWERED);
    } else if (hpt__now_mono() >= call->until) {
        end_process(call);
        hpt__str_clear(&call->text);
        hpt__str_add(&call->text, "it does not answer in time");
        finish(call, HPT__MPS_FAILED);
    }
    return call->state;
}

hpt__mps_state hpt__mps_call_wait(hpt__mps_call *call) {
    while (hpt__mps_call_look(call) == HPT__MPS_BUSY) {
        struct pollfd p[2] = {{.fd = call->pidfd, .events = POLLIN}, {.fd = call->fd, .events = POLLIN}};
        const double left = call->until - hpt__now_mono();
        (void)poll(p, 2, left > 0 ? (int)(left * 1000) + 1 : 0);
    }
    return call->state;
}

void hpt__mps_call_fini(hpt__mps_call *call) {
    if (call->state == HPT__MPS_BUSY) {
        end_process(call);
        finish(call, HPT__MPS_FAILED);
    }
    hpt__str_fini(&call->text);
    *call = (hpt__mps_call){0};
}
