// SPDX-License-Identifier: Apache-2.0
// count_main.c: fixed work for callgrind, each piece inside a function count_<name> (count.sh). One thread, the narrowest
// vector unit, plain_blas.c: a count that does not depend on the machine. 10 parameters, seed 1.
#include "core/backend/device_state.h"
#include "core/base/rng.h"
#include "core/gp/gp_api.h"
#include "cpu/cpu_impl.h"
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 300, M = 256, D = 10, ASK_N = 200 };

static double x[(N + M) * D], y[N], theta[D + 2], out[N * N];
static uint64_t mask[N + M];
static uint8_t categorical[D];
static int32_t block[D];
static const uint64_t block_0 = 1;
static const hpt__cov cov = {HPT__COV_MATERN52, D, categorical, block, 1, 1, &block_0};
static hpt__device *device;
static hpt__model *model;

int count_covariance(void);
int count_cross(void);
int count_factor(void);
int count_append(void);
int count_gradient(void);
int count_screen(void);
int count_search_step(void);
int count_ask(hpt_gp *gp);

#define COUNTED __attribute__((noinline))

COUNTED int count_covariance(void) {
    return hpt__cov_build(device, &cov, theta, x, mask, N, out, N);
}

COUNTED int count_cross(void) {
    return hpt__cov_cross(device, &cov, theta, x, mask, N, x + N * D, mask, M, out, N);
}

COUNTED int count_factor(void) {
    double jitter, logdet;
    return hpt__model_factor(model, theta, &jitter, &logdet);
}

COUNTED int count_append(void) {
    double logdet;
    const int rc = hpt__model_set_points(model, N - 1, x + (N - 1) * D, mask, 1);
    return rc < 0 ? rc : hpt__model_append(model, &logdet);
}

COUNTED int count_gradient(void) {
    double value, gradient[D + 2];
    return hpt__model_mll(model, theta, y, N, &value, gradient);
}

static const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = -0.5};

COUNTED int count_screen(void) {
    int64_t index[8];
    return hpt__model_screen(model, &acq, x + N * D, mask, M, 8, index, out);
}

COUNTED int count_search_step(void) {
    return hpt__model_acquire(model, &acq, x + N * D, mask, 8, out, out + 8);
}

COUNTED int count_ask(hpt_gp *gp) {
    double point[D];
    const int rc = hpt_gp_append(gp, x + ASK_N * D, y + ASK_N, 1);
    return rc < 0 ? rc : hpt_gp_suggest(gp, point, 1, NULL, 0);
}

static int pin(hpt__device **out_device) {
    const hpt__ctx_options options = {.n_threads = 1};
    const int rc = hpt__device_open(out_device, "cpu", &options, NULL);
    if (rc >= 0) ((cpu__ctx *)(*out_device)->ctx)->vec = cpu__vec_variant(0);
    return rc;
}

// A surrogate of ASK_N points on a pinned device, its hyperparameters the default ones.
static int surrogate(hpt_gp **gp, hpt_space **space) {
    const hpt_gp_options options = HPT_GP_OPTIONS_INIT;
    const hpt__gp_settings settings = {.noise = NAN, .max_evaluations = 100};
    char name[8];
    int rc = hpt_space_create(space);
    for (int i = 0; rc >= 0 && i < D; i++) {
        snprintf(name, sizeof name, "x%d", i);
        rc = hpt_space_add_float(*space, name, 0, 1, 0, 0);
    }
    if (rc >= 0) rc = hpt_gp_create(gp, *space, &options);
    if (rc < 0) return rc;
    hpt__gp_destroy((*gp)->gp);
    hpt__device_close((*gp)->device);
    (*gp)->gp = NULL;
    (*gp)->device = NULL;
    rc = pin(&(*gp)->device);
    if (rc >= 0) rc = hpt__gp_create(&(*gp)->gp, (*gp)->device, &(*gp)->code, &settings);
    if (rc >= 0) rc = hpt_gp_tell(*gp, x, y, ASK_N);
    return rc < 0 ? rc : hpt__gp_ready((*gp)->gp);
}

int main(void) {
    hpt_space *space = NULL;
    hpt_gp *gp = NULL;
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 0);
    for (int i = 0; i < (N + M) * D; i++) x[i] = hpt__rng_uniform(&rng);
    for (int i = 0; i < N + M; i++) mask[i] = 1;
    for (int i = 0; i < N; i++) y[i] = (x[i * D] - 0.3) * (x[i * D] - 0.3) + 0.1 * x[i * D + 1];
    for (int i = 0; i < D; i++) theta[i] = -0.3;
    theta[D + 1] = -9;
    int rc = pin(&device);
    if (rc >= 0) rc = hpt__model_create(&model, device, &cov, N);
    if (rc >= 0) rc = hpt__model_set_points(model, 0, x, mask, N);
    if (rc >= 0) rc = count_covariance();
    if (rc >= 0) rc = count_cross();
    if (rc >= 0) rc = count_factor();
    if (rc >= 0) rc = count_append();
    if (rc >= 0) rc = count_gradient();
    if (rc >= 0) rc = hpt__model_set_y(model, y, N);
    if (rc >= 0) rc = count_screen();
    if (rc >= 0) rc = count_search_step();
    if (rc >= 0) rc = surrogate(&gp, &space);
    if (rc >= 0) rc = count_ask(gp);
    if (rc < 0) fprintf(stderr, "count: %s\n", hpt_last_error());
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
    hpt__model_destroy(model);
    hpt__device_close(device);
    return rc < 0;
}
