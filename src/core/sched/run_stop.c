// SPDX-License-Identifier: Apache-2.0
// run_stop.c: the asking side of a run's socket: hpt__run_call, and hpt_run_stop, which is `hpt stop`.
#include "../base/alloc.h"
#include "run_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int ANSWER_SECONDS = 60; // the run may be inside a long ask

int hpt__run_call(hpt__json **reply, hpt__arena *arena, int fd, const char *run_dir, const char *request) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    char buffer[16384];
    const size_t size = strlen(request);
    HPT_FAIL_IF(send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size, HPT_E_IO, "the run in '%s' cannot be asked: %s",
                run_dir, strerror(errno));
    for (bool whole = false; !whole;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        HPT_FAIL_IF(n <= 0, HPT_E_IO, "the run in '%s' does not answer", run_dir);
        hpt__str_addn(&text, buffer, (size_t)n);
        HPT_TRY(hpt__str_status(&text));
        whole = memchr(buffer, '\n', (size_t)n) != NULL;
    }
    HPT_TRY(hpt__json_parse(reply, arena, hpt__str_text(&text), text.len));
    const hpt__json *ok = hpt__json_get(*reply, "ok");
    const char *why = hpt__json_string(hpt__json_get(*reply, "error"));
    HPT_FAIL_IF(!ok || ok->kind != HPT__JSON_BOOL || !ok->b, HPT_E_NOT_FOUND, "%s", why ? why : "not done");
out:
    hpt__str_fini(&text);
    return rc < 0 ? rc : 0;
}

int hpt_run_stop(const char *run_dir, int64_t number) {
    int rc = 0, fd = -1;
    hpt__arena arena;
    hpt__json *reply = NULL;
    char request[64] = "{\"op\":\"stop\"}\n";
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    hpt__arena_init(&arena);
    HPT_FAIL_IF(!run_dir, HPT_E_ARG, "hpt_run_stop: run_dir is NULL");
    HPT_TRY(hpt__run_dir_connect(&fd, run_dir));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (number >= 0) (void)snprintf(request, sizeof request, "{\"op\":\"stop\",\"trial\":%lld}\n", (long long)number);
    rc = hpt__run_call(&reply, &arena, fd, run_dir, request);
    if (rc == HPT_E_NOT_FOUND) rc = hpt__fail_prefix(rc, "trial %lld of the run in '%s'", (long long)number, run_dir);
out:
    if (fd >= 0) close(fd);
    hpt__arena_fini(&arena);
    return rc < 0 ? rc : 0;
}
