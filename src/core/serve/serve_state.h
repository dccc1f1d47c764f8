// SPDX-License-Identifier: Apache-2.0
// serve_state.h: what a serve session holds; for the files of this room only.
#ifndef HPT_SERVE_STATE_H
#define HPT_SERVE_STATE_H

#include "../base/arena.h"
#include "../base/json.h"
#include "../base/str.h"
#include <hpt/serve.h>
#include <hpt/study.h>

struct hpt_serve {
    hpt_study *study; // NULL: none open
    int64_t n_trials; // trials the study shall have; 0: no limit
    hpt__arena arena; // of the request being served
    hpt__str reply;
};

// Serves one operation: appends ',"key":value' pairs to the reply, which holds {"ok":true already. Any error makes
// the caller throw that away and answer with the error's line.
typedef int (*hpt__serve_fn)(hpt_serve *serve, const hpt__json *request);

typedef struct hpt__serve_op {
    const char *name;
    const char *keys; // accepted beside "op": " a b c " with blanks around each
    hpt__serve_fn fn;
    bool needs_study;
} hpt__serve_op;

extern const hpt__serve_op hpt__serve_ops[]; // ends with a NULL name

#endif
