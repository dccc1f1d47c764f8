// SPDX-License-Identifier: Apache-2.0
// space_testing.h: helpers of the test_space_*.c files, and the golden values of oracle_space.py.
#ifndef HPT_TESTS_SPACE_TESTING_H
#define HPT_TESTS_SPACE_TESTING_H

#include "core/base/alloc.h"
#include "core/space/space_build.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct golden_range {
    int kind;
    double low, high, step;
    int log;
    const char *json;
} golden_range;

typedef struct golden_law {
    int law, whole;
    double a, b, q;
    int log;
    const char *json;
} golden_law;

typedef struct golden_decode {
    int kind;
    double low, high, step;
    int log;
    double u, value;
} golden_decode;

typedef struct golden_sobol {
    int d, n;
    uint64_t hash;
} golden_sobol;

#include "golden_space.inc"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))
#define LIST(...) \
    (const char *const[]){__VA_ARGS__}, (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
// The call fails with this status, and the message holds the text.
#define FAILS(status, text, call)                                                            \
    do {                                                                                     \
        int got_ = (call);                                                                   \
        cr_expect_eq(got_, (status), "%s gave %d: %s", #call, got_, hpt_last_error());       \
        cr_expect(strstr(hpt_last_error(), (text)), "%s said: %s", #call, hpt_last_error()); \
    } while (0)

static inline hpt_space *new_space(void) {
    hpt_space *s = NULL;
    OK(hpt_space_create(&s));
    return s;
}

static inline const hpt__param *param(const hpt_space *s, const char *name) {
    int64_t i = hpt__space_find(s, name);
    cr_assert(i >= 0, "no parameter %s", name);
    return &s->params[i];
}

static inline int add_range(hpt_space *s, const char *name, int kind, double low, double high, double step, int log) {
    unsigned flags = log ? HPT_LOG : 0;
    return kind ? hpt_space_add_int(s, name, (int64_t)low, (int64_t)high, (int64_t)step, flags)
                : hpt_space_add_float(s, name, low, high, step, flags);
}

static inline int add_law(hpt_space *s, const char *name, const golden_law *g) {
    const unsigned flags = (g->log ? HPT_LOG : 0) | (g->whole ? HPT_WHOLE : 0);
    return g->law == HPT__LAW_ROUNDED  ? hpt_space_add_rounded(s, name, g->a, g->b, g->q, flags)
           : g->law == HPT__LAW_NORMAL ? hpt_space_add_normal(s, name, g->a, g->b, g->q, flags)
                                       : hpt_space_add_beta(s, name, g->a, g->b, g->q, flags);
}

// The space as JSON text; valid until the next call.
static inline const char *json_of(const hpt_space *s) {
    static char *text;
    hpt_free(text);
    text = NULL;
    OK(hpt_space_to_json(&text, s));
    return text;
}

static inline bool same_value(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

#endif
