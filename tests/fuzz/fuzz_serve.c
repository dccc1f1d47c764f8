// SPDX-License-Identifier: Apache-2.0
// fuzz_serve.c: any lines as a session of `hpt serve`. Each is answered by one line of JSON with "ok".
//
// Left out: storages other than ":memory:" (a fuzzer must not write files of any name) and work that is large by
// request, not by mistake.
#include "core/base/json.h"
#include "fuzz.h"

#include <hpt/serve.h>

enum { LINES_MAX = 40, NUMBER_MAX = 40 };

// Whether the line may be served: no file named in it, no large counts.
static bool harmless(const hpt__json *v, const char *key) {
    double number;
    if (!v) return true;
    switch (v->kind) {
    case HPT__JSON_ARRAY:
        for (int64_t i = 0; i < v->a.n; i++)
            if (!harmless(v->a.items[i], key)) return false;
        return true;
    case HPT__JSON_OBJECT:
        for (int64_t i = 0; i < v->o.n; i++)
            if (!harmless(v->o.values[i], v->o.keys[i])) return false;
        return true;
    case HPT__JSON_STRING:
        if (strcmp(key, "storage") == 0) return strcmp(v->s.text, ":memory:") == 0;
        return !strstr(key, "candidates"); // options may be given as text
    default:
        if (strcmp(key, "n") != 0 && !strstr(key, "candidates")) return true;
        return !hpt__json_number(&number, v) || number <= NUMBER_MAX;
    }
}

static bool served(const char *line) {
    hpt__arena arena;
    hpt__json *request = NULL;
    hpt__arena_init(&arena);
    const bool yes = hpt__json_parse(&request, &arena, line, strlen(line)) < 0 || harmless(request, "");
    hpt__arena_fini(&arena);
    return yes;
}

static void check_reply(const char *reply) {
    hpt__arena arena;
    hpt__json *answer = NULL;
    hpt__arena_init(&arena);
    FUZZ_CHECK(reply && !strchr(reply, '\n'), "more than a line: %s", reply ? reply : "(none)");
    FUZZ_CHECK(hpt__json_parse(&answer, &arena, reply, strlen(reply)) == 0, "%s: %s", hpt_last_error(), reply);
    const hpt__json *ok = hpt__json_get(answer, "ok");
    FUZZ_CHECK(ok && ok->kind == HPT__JSON_BOOL, "%s", reply);
    const char *error = hpt__json_string(hpt__json_get(answer, "error"));
    FUZZ_CHECK(ok->b == !error, "%s", reply);
    FUZZ_CHECK(!error || *error, "%s", reply);
    hpt__arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt_serve *serve = NULL;
    char *text = fuzz_text(data, size), *rest = text;
    unsetenv("HPT_STORAGE");
    FUZZ_CHECK(hpt_serve_create(&serve) == 0, "%s", hpt_last_error());
    for (int i = 0; i < LINES_MAX && rest; i++) {
        const char *line = strsep(&rest, "\n");
        const char *reply = NULL;
        if (!served(line)) continue;
        const int rc = hpt_serve_request(&reply, serve, line);
        FUZZ_CHECK(rc == 0 || rc == HPT_S_STOPPED, "%d: %s", rc, hpt_last_error());
        check_reply(reply);
        if (rc == HPT_S_STOPPED) break;
    }
    hpt_serve_destroy(serve);
    free(text);
    return 0;
}
