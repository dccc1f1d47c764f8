// SPDX-License-Identifier: Apache-2.0
// report_socket.c: reports and requests over a Unix stream socket.
//
// Only processes of the same user (and root) are heard: the folder's permissions are the user's business, so the
// kernel is asked who connects (SO_PEERCRED). A request is one line of at most HPT__REQUEST_MAX bytes. Answers are
// short and are sent without waiting; whoever does not read them until the socket's buffer is full is cut off, because
// one client must not stop the loop. Many requests may be sent at once; they are answered in order.
//
// Ownership: the server owns its descriptors and buffers. Threads: the run's. Cost: one read and one send a turn.
#include "report_socket.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void drop(hpt__connection *c) {
    if (c->fd >= 0) close(c->fd); // leaves the epoll set with it
    hpt__free(c->partial);
    *c = (hpt__connection){.fd = -1};
}

void hpt__report_server_fini(hpt__report_server *s) {
    for (int64_t i = 0; i < s->n; i++) drop(&s->connections[i]);
    hpt__free(s->connections);
    if (s->fd >= 0) close(s->fd);
    *s = (hpt__report_server)HPT__REPORT_SERVER_INIT;
}

int hpt__report_server_accept(int64_t *index, hpt__report_server *s) {
    struct ucred who;
    socklen_t size = sizeof who;
    *index = -1;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return 0;
    int64_t i = 0;
    while (i < s->n && s->connections[i].fd >= 0) i++;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || (who.uid != geteuid() && who.uid != 0) ||
        i >= HPT__CONNECTIONS_MAX) {
        close(fd);
        return 0;
    }
    if (i == s->n) {
        int rc = hpt__grow(&s->connections, &s->cap, s->n + 1, sizeof *s->connections);
        if (rc < 0) {
            close(fd);
            return rc;
        }
        s->n++;
    }
    s->connections[i] = (hpt__connection){.fd = fd};
    *index = i;
    return 0;
}

static int answer(hpt__str *reply, const char *line, size_t n, hpt__request_fn fn, void *payload) {
    hpt__arena arena;
    hpt__json *request = NULL;
    hpt__arena_init(&arena);
    int rc = hpt__json_parse(&request, &arena, line, n);
    if (rc < 0 || request->kind != HPT__JSON_OBJECT) {
        const char *why = rc < 0 ? hpt_last_error() : "a request is a JSON object";
        hpt__str_add(reply, "{\"ok\":false,\"error\":");
        hpt__str_add_json_string(reply, why, strlen(why));
        hpt__str_addc(reply, '}');
        rc = rc == HPT_E_MEMORY ? rc : 0;
    } else {
        rc = fn(reply, request, payload);
    }
    hpt__str_addc(reply, '\n');
    hpt__arena_fini(&arena);
    return rc < 0 ? rc : hpt__str_status(reply);
}

static int keep(hpt__connection *c, const char *data, size_t n) {
    if (c->len + n > c->cap) {
        const size_t cap = (c->len + n) * 2;
        char *p = hpt__realloc(c->partial, cap);
        if (!p) return hpt__fail_memory();
        c->partial = p;
        c->cap = cap;
    }
    memcpy(c->partial + c->len, data, n);
    c->len += n;
    return 0;
}

int hpt__report_server_read(hpt__report_server *s, int64_t index, hpt__request_fn fn, void *payload) {
    int rc = 0;
    char buffer[16384];
    hpt__connection *c = &s->connections[index];
    hpt__str reply = HPT__STR_INIT;
    bool close_it = false;
    if (index >= s->n || c->fd < 0) return 0;
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) {
        drop(c);
        return 0;
    }
    for (const char *p = buffer, *end = buffer + n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const size_t m = (size_t)((nl ? nl : end) - p);
        if (c->len + m > HPT__REQUEST_MAX) {
            close_it = true;
            break;
        }
        if (!nl || c->len > 0) HPT_TRY(keep(c, p, m));
        if (!nl) break;
        if (c->len > 0) {
            const size_t len = c->len;
            c->len = 0;
            HPT_TRY(answer(&reply, c->partial, len, fn, payload));
        } else if (m > 0) {
            HPT_TRY(answer(&reply, p, m, fn, payload));
        }
        p = nl + 1;
    }
    if (reply.len > 0 && send(c->fd, reply.data, reply.len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)reply.len)
        close_it = true;
    rc = 0;
out:
    if (close_it) drop(c);
    hpt__str_fini(&reply);
    return rc;
}
