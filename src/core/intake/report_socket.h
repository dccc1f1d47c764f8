// SPDX-License-Identifier: Apache-2.0
// report_socket.h: the run's socket: newline-separated JSON, one answer line per request line, in order.
#ifndef HPT_INTAKE_REPORT_SOCKET_H
#define HPT_INTAKE_REPORT_SOCKET_H

#include "../base/json.h"

enum { HPT__CONNECTIONS_MAX = 1024, HPT__REQUEST_MAX = 1 << 20 };

typedef struct hpt__connection {
    int fd; // -1: free
    char *partial;
    size_t len, cap;
} hpt__connection;

typedef struct hpt__report_server {
    int fd; // listening; -1: none
    hpt__connection *connections;
    int64_t n, cap;
} hpt__report_server;

#define HPT__REPORT_SERVER_INIT \
    { .fd = -1 }

// Answers one request: appends one JSON object to reply. Negative: the server stops with that error.
typedef int (*hpt__request_fn)(hpt__str *reply, const hpt__json *request, void *payload);

void hpt__report_server_fini(hpt__report_server *s);
// Takes one waiting connection of this user; *index is -1 if there is none. The caller watches its descriptor.
HPT_NODISCARD int hpt__report_server_accept(int64_t *index, hpt__report_server *s);
// Reads what there is and answers whole lines. A connection that ends, sends too much or does not read is closed.
HPT_NODISCARD int hpt__report_server_read(hpt__report_server *s, int64_t index, hpt__request_fn fn, void *payload);

#endif
