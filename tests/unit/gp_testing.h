// SPDX-License-Identifier: Apache-2.0
// gp_testing.h: helpers of the test_gp_*.c files.
#ifndef HPT_TESTS_GP_TESTING_H
#define HPT_TESTS_GP_TESTING_H

#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/gp/gp.h"
#include "core/space/codec.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                                               \
    do {                                                                       \
        const int got_ = (call);                                               \
        cr_assert(got_ >= 0, "%s gave %d: %s", #call, got_, hpt_last_error()); \
    } while (0)
#define LIST(...) \
    (const char *const[]){__VA_ARGS__}, (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

// The backend under test: ref, or what HPT_TEST_GP_DEVICE names.
static inline hpt__device *open_device(void) {
    hpt__device *device = NULL;
    const char *name = getenv("HPT_TEST_GP_DEVICE");
    OK(hpt__device_open(&device, name ? name : "ref", NULL, NULL));
    return device;
}

static inline hpt_space *plain_space(int64_t d) {
    hpt_space *s = NULL;
    char name[16];
    OK(hpt_space_create(&s));
    for (int64_t i = 0; i < d; i++) {
        (void)snprintf(name, sizeof name, "x%d", (int)i);
        OK(hpt_space_add_float(s, name, 0, 1, 0, 0));
    }
    return s;
}

// Every kind of parameter, laws, and conditions two deep.
static inline hpt_space *rich_space(void) {
    hpt_space *s = NULL;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "deep_lr", 1e-4, 1, 0, HPT_LOG)); // before its parents
    OK(hpt_space_add_categorical(s, "model", LIST("linear", "tree", "net")));
    OK(hpt_space_add_int(s, "depth", 1, 12, 1, 0));
    OK(hpt_space_add_float(s, "x", -5, 10, 0, 0));
    OK(hpt_space_add_float(s, "q", 0, 1, 0.1, 0));
    OK(hpt_space_add_int(s, "units", 1, 1024, 1, HPT_LOG));
    OK(hpt_space_add_int(s, "layers", 1, 3, 1, 0));
    OK(hpt_space_add_categorical(s, "act", LIST("relu", "tanh")));
    OK(hpt_space_add_constant(s, "k", "25"));
    OK(hpt_space_add_float(s, "fixed", 2, 2, 0, 0));
    OK(hpt_space_add_normal(s, "n", 0, 1, 0, 0));
    OK(hpt_space_add_normal(s, "nq", 4, 1, 0.5, HPT_LOG));
    OK(hpt_space_add_beta(s, "b", 2, 5, 0, 0));
    OK(hpt_space_add_rounded(s, "r", 0.5, 9, 0.5, 0));
    OK(hpt_space_set_probabilities(s, "act", (const double[]){0.8, 0.2}, 2));
    OK(hpt_space_add_condition(s, "depth", "model", LIST("tree")));
    OK(hpt_space_add_condition(s, "units", "model", LIST("net")));
    OK(hpt_space_add_condition(s, "layers", "model", LIST("net")));
    OK(hpt_space_add_condition(s, "act", "layers", LIST("2", "3")));
    OK(hpt_space_add_condition(s, "deep_lr", "layers", LIST("2", "3")));
    return s;
}

static inline void random_point(double *point, const hpt_space *s, hpt__rng *rng) {
    double cube[64];
    for (int64_t i = 0; i < s->d; i++) cube[i] = hpt__rng_uniform(rng);
    hpt__codec_decode(point, s, cube);
}

typedef struct bench { // a surrogate and all that it borrows
    hpt_space *space;
    hpt__device *device;
    hpt__gp_code code;
    hpt__gp *gp;
    bool choose_kernel; // of gp and others
} bench;

static inline hpt__gp *another_gp(bench *b, double noise, bool warp) {
    hpt__gp *gp = NULL;
    const hpt__gp_settings settings = {
        .choose_kernel = b->choose_kernel, .noise = noise, .warp = warp, .seed = 7, .max_evaluations = 60};
    OK(hpt__gp_create(&gp, b->device, &b->code, &settings));
    return gp;
}

// These take the space.
static inline void bench_open_kernel(bench *b, hpt_space *space, double noise, bool warp, hpt__cov_kind kind,
                                     bool choose) {
    *b = (bench){.space = space, .device = open_device(), .choose_kernel = choose};
    OK(hpt__gp_code_init(&b->code, space, kind));
    b->gp = another_gp(b, noise, warp);
}

static inline void bench_open(bench *b, hpt_space *space, double noise, bool warp) {
    bench_open_kernel(b, space, noise, warp, HPT__COV_MATERN52, false);
}

// What comes of b's gp when the process is killed: the first n points from the storage, the rest from its state.
static inline hpt__gp *resumed_gp(bench *b, const double *rows, const uint64_t *mask, const double *y, int64_t n) {
    hpt__gp *gp = another_gp(b, NAN, true);
    hpt__str text = HPT__STR_INIT, again = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *state;
    hpt__arena_init(&arena);
    OK(hpt__gp_tell(gp, rows, mask, y, n));
    hpt__gp_state_json(&text, b->gp);
    OK(hpt__json_parse(&state, &arena, hpt__str_text(&text), text.len));
    OK(hpt__gp_state_from_json(gp, state));
    hpt__gp_state_json(&again, gp);
    cr_expect_str_eq(hpt__str_text(&again), hpt__str_text(&text));
    hpt__str_fini(&text);
    hpt__str_fini(&again);
    hpt__arena_fini(&arena);
    return gp;
}

static inline void bench_close(bench *b) {
    hpt__gp_destroy(b->gp);
    hpt__gp_code_fini(&b->code);
    hpt__device_close(b->device);
    hpt_space_destroy(b->space);
}

// n random points of the space as rows and masks.
static inline void random_rows(double *rows, uint64_t *mask, const bench *b, int64_t n, hpt__rng *rng) {
    double point[64];
    for (int64_t i = 0; i < n; i++) {
        random_point(point, b->space, rng);
        hpt__gp_encode(rows + i * b->code.cov.d, &mask[i], &b->code, point);
    }
}

static inline double smooth(const double *row, int64_t d) {
    double f = 0;
    for (int64_t c = 0; c < d; c++) f += sin(3 * row[c] + (double)c) / (double)(c + 1);
    return f;
}

#endif
