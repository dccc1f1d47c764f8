// SPDX-License-Identifier: Apache-2.0
// cmd_serve.c: `hpt serve`: reads a request a line from stdin, writes an answer a line to stdout, in order. The
// protocol itself is hpt_serve_* of the library; docs/serve.md describes it.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

int cmd_serve(int argc, char **argv) {
    const cli_option options[] = {{"", 0, CLI_FLAG, NULL, NULL, NULL}};
    const char *positional[1];
    bool done;
    int n;
    if (argc > 1 && argv[1][0] != '-') return cli_usage("serve takes no arguments; requests come on stdin");
    int code = cli_parse("serve", options, argc, argv, positional, &n, &done);
    if (code != CLI_OK || done) return code;
    hpt_serve *serve;
    int rc = hpt_serve_create(&serve);
    if (rc < 0) return cli_fail(rc);
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) line[--len] = 0;
        if (len == 0) continue;
        if (strlen(line) != (size_t)len) { // a NUL byte would hide the rest of the request
            puts("{\"ok\":false,\"error\":\"the request holds a NUL byte; send JSON text\"}");
            fflush(stdout);
            continue;
        }
        const char *reply;
        rc = hpt_serve_request(&reply, serve, line);
        if (rc < 0) {
            code = cli_fail(rc);
            break;
        }
        puts(reply);
        if (fflush(stdout) != 0) { // the reader is gone
            code = CLI_FAILED;
            break;
        }
        if (rc == HPT_S_STOPPED) break;
    }
    free(line);
    hpt_serve_destroy(serve);
    return code;
}
