// SPDX-License-Identifier: Apache-2.0
// run_stop.c: hpt_run_stop: the asking side of `hpt stop`.
#include "../base/alloc.h"
#include "run_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int ANSWER_SECONDS = 60; // the run may be inside a long ask

int hpt_run_stop(const char *run_dir, int64_t number) {
    int rc = 0, fd = -1;
    hpt__arena arena;
    hpt__json *reply = NULL;
    hpt__str text = HPT__STR_INIT;
    char buffer[1024];
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    hpt__arena_init(&arena);
    HPT_FAIL_IF(!run_dir, HPT_E_ARG, "hpt_run_stop: run_dir is NULL");
    HPT_TRY(hpt__run_dir_connect(&fd, run_dir));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    hpt__str_add(&text, "{\"op\":\"stop\"");
    if (number >= 0) hpt__str_addf(&text, ",\"trial\":%lld", (long long)number);
    hpt__str_add(&text, "}\n");
    HPT_TRY(hpt__str_status(&text));
    HPT_FAIL_IF(send(fd, text.data, text.len, MSG_NOSIGNAL) != (ssize_t)text.len, HPT_E_IO,
                "the run in '%s' cannot be asked: %s", run_dir, strerror(errno));
    hpt__str_clear(&text);
    while (!memchr(hpt__str_text(&text), '\n', text.len)) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        HPT_FAIL_IF(n <= 0, HPT_E_IO, "the run in '%s' does not answer", run_dir);
        hpt__str_addn(&text, buffer, (size_t)n);
        HPT_TRY(hpt__str_status(&text));
    }
    HPT_TRY(hpt__json_parse(&reply, &arena, hpt__str_text(&text), text.len));
    const hpt__json *ok = hpt__json_get(reply, "ok");
    if (!ok || ok->kind != HPT__JSON_BOOL || !ok->b) {
        const char *why = hpt__json_string(hpt__json_get(reply, "error"));
        rc = hpt__fail(HPT_E_NOT_FOUND, "trial %lld of the run in '%s': %s", (long long)number, run_dir,
                       why ? why : "not stopped");
    }
out:
    if (fd >= 0) close(fd);
    hpt__str_fini(&text);
    hpt__arena_fini(&arena);
    return rc < 0 ? rc : 0;
}
