// SPDX-License-Identifier: Apache-2.0
// serve.c: one request line in, one reply line out: parsing, choice of the operation, errors.
//
// The protocol is docs/serve.md; serve_ops.c has the operations. Whatever a line holds, it is answered: text that
// is no JSON, other kinds of values, unknown operations and keys get {"ok":false,"error":...} and change nothing.
//
// Ownership: the session owns its study and the reply's buffer. Threads: one at a time per session.
// Cost: parsing and writing, microseconds; the operation's own.
#include "serve_state.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <string.h>

enum { MAX_NAMES = 32 };

int hpt_serve_create(hpt_serve **out) {
    if (!out) return hpt__fail(HPT_E_ARG, "hpt_serve_create: out is NULL");
    hpt_serve *serve = hpt__calloc(1, sizeof *serve);
    if (!serve) return hpt__fail_memory();
    hpt__arena_init(&serve->arena);
    *out = serve;
    return 0;
}

void hpt_serve_destroy(hpt_serve *serve) {
    if (!serve) return;
    hpt_study_close(serve->study);
    hpt__arena_fini(&serve->arena);
    hpt__str_fini(&serve->reply);
    hpt__free(serve);
}

static const hpt__serve_op *find_op(const char *name) {
    for (const hpt__serve_op *op = hpt__serve_ops; op->name; op++) {
        if (strcmp(op->name, name) == 0) return op;
    }
    return NULL;
}

static int unknown_op(const char *name) {
    const char *names[MAX_NAMES];
    int64_t n = 0;
    for (const hpt__serve_op *op = hpt__serve_ops; op->name && n < MAX_NAMES; op++) names[n++] = op->name;
    const char *near = hpt__nearest(name, names, n);
    if (near) return hpt__fail(HPT_E_ARG, "unknown op '%s'; did you mean '%s'?", name, near);
    return hpt__fail(HPT_E_ARG,
                     "unknown op '%s'; there are create, open, ask, report, tell, enqueue, best, pareto, trials, "
                     "importance, stats, close",
                     name);
}

// Splits " a b c " into an array of words in the arena.
static int split_keys(const char **words, int64_t *n, hpt__arena *arena, const char *keys) {
    *n = 0;
    words[(*n)++] = "op";
    for (const char *p = keys + strspn(keys, " "); *p && *n < MAX_NAMES; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        char *word = hpt__arena_strndup(arena, p, len);
        if (!word) return hpt__fail_memory();
        words[(*n)++] = word;
        p += len;
    }
    return 0;
}

static int check_keys(hpt_serve *serve, const hpt__json *request, const hpt__serve_op *op) {
    const char *words[MAX_NAMES];
    int64_t n;
    int rc = split_keys(words, &n, &serve->arena, op->keys);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < request->o.n; i++) {
        const char *key = request->o.keys[i];
        bool known = false;
        for (int64_t j = 0; j < n && !known; j++) known = strcmp(key, words[j]) == 0;
        if (known) continue;
        const char *near = hpt__nearest(key, words, n);
        if (near) return hpt__fail(HPT_E_ARG, "op '%s': unknown key '%s'; did you mean '%s'?", op->name, key, near);
        return hpt__fail(HPT_E_ARG, "op '%s': unknown key '%s'; it takes%s%s", op->name, key,
                         *op->keys ? op->keys : " none", *op->keys ? "" : " ");
    }
    return 0;
}

static int serve_line(hpt_serve *serve, const char *line) {
    int rc = 0;
    hpt__json *request = NULL;
    rc = hpt__json_parse(&request, &serve->arena, line, strlen(line));
    if (rc < 0) {
        rc = hpt__fail_prefix(rc, "the request is no JSON");
        goto out;
    }
    HPT_FAIL_IF(request->kind != HPT__JSON_OBJECT, HPT_E_ARG, "a request is an object like {\"op\":\"ask\"}, not a %s",
                hpt__json_kind_name(request->kind));
    const hpt__json *name = hpt__json_get(request, "op");
    HPT_FAIL_IF(!name, HPT_E_ARG, "the request has no key 'op'");
    HPT_FAIL_IF(!hpt__json_string(name), HPT_E_ARG, "'op' is a %s, not a string", hpt__json_kind_name(name->kind));
    HPT_FAIL_IF(strlen(name->s.text) != name->s.len, HPT_E_ARG, "'op' holds a NUL character");
    const hpt__serve_op *op = find_op(name->s.text);
    if (!op) {
        rc = unknown_op(name->s.text);
        goto out;
    }
    HPT_TRY(check_keys(serve, request, op));
    HPT_FAIL_IF(op->needs_study && !serve->study, HPT_E_STATE,
                "no study is open; send {\"op\":\"create\",...} or {\"op\":\"open\",...} first");
    HPT_TRY(op->fn(serve, request));
    const int remark = rc;
    hpt__str_addc(&serve->reply, '}');
    HPT_TRY(hpt__str_status(&serve->reply));
    rc = remark == HPT_S_STOPPED ? HPT_S_STOPPED : 0;
out:
    return rc;
}

int hpt_serve_request(const char **reply, hpt_serve *serve, const char *line) {
    if (!reply || !serve || !line) return hpt__fail(HPT_E_ARG, "hpt_serve_request: an argument is NULL");
    hpt__arena_reset(&serve->arena);
    hpt__str_clear(&serve->reply);
    hpt__str_add(&serve->reply, "{\"ok\":true");
    int rc = serve_line(serve, line);
    if (rc < 0) { // for want of memory too: a model that was too large is gone, the session goes on
        const char *message = hpt_last_error();
        hpt__str_clear(&serve->reply);
        hpt__str_add(&serve->reply, "{\"ok\":false,\"error\":");
        hpt__str_add_json_string(&serve->reply, message, strlen(message));
        hpt__str_addc(&serve->reply, '}');
        rc = hpt__str_status(&serve->reply);
        if (rc < 0) return rc;
    }
    *reply = hpt__str_text(&serve->reply);
    return rc;
}
