// SPDX-License-Identifier: Apache-2.0
// test_backend_fault.c: the k-th allocation fails, for every k: HPT_E_MEMORY, no leak (the sanitizer looks), and a model
// that goes on as if nothing had happened. A backend that gives NaN does not get through.
#include "backend_testing.h"

#include "core/backend/device_state.h"
#include "core/backend/model_state.h"
#include "core/base/alloc.h"
#include <hpt/device.h>

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

// Everything that a model can be asked. *at: the step that failed.
static int whole_life(hpt__device *device, problem *p, const hpt__paths *paths, const double *x, const uint64_t *mask,
                      const double *y, double *out, int *at) {
    enum { N = 70, M = 20 };
    const hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    double jitter, logdet, value;
    int64_t index[M];
    hpt__model *m = NULL;
    int rc = 0;
    *at = 0;
#define STEP(call)               \
    do {                         \
        rc = (call);             \
        if (rc < 0) goto failed; \
        ++*at;                   \
    } while (0)
    STEP(hpt__model_create(&m, device, &p->cov, 0));
    STEP(hpt__model_set_points(m, 0, x, mask, N - 10));
    STEP(hpt__model_factor(m, p->theta, &jitter, &logdet));
    STEP(hpt__model_set_y(m, y, N - 10));
    STEP(hpt__model_set_points(m, N - 10, x + (N - 10) * p->cov.d, mask, 10)); // beyond the first capacity
    STEP(hpt__model_append(m, &logdet));
    STEP(hpt__model_mll(m, p->theta, y, N, &value, out));
    STEP(hpt__model_mll_many(
        m, (hpt__mll_job[]){{.theta = p->theta, .y = y, .grad = out}, {.theta = p->theta, .y = y, .grad = out + 700}},
        2, N));
    STEP(hpt__model_posterior(m, x, mask, M, out, out + M, NULL, NULL));
    STEP(hpt__model_acquire(m, &acq, x, mask, M, out + 2 * M, out + 3 * M));
    STEP(hpt__model_joint(m, x, mask, M, NULL, out + 1000, M));
    STEP(hpt__model_paths(m, paths, x, mask, M, out + 200, M));
    STEP(hpt__model_screen(m, &acq, x, mask, M, 3, index, out + 300));
    STEP(hpt__model_solve(m, true, out + 400, N, 1));
    STEP(hpt__cov_build(device, &p->cov, p->theta, x, mask, 10, out + 500, 10));
    STEP(hpt__cov_cross(device, &p->cov, p->theta, x, mask, 10, x, mask, 5, out + 600, 10));
failed:
    hpt__model_destroy(m);
    return rc;
}

BACKEND_TEST(fault, every_allocation_of_a_model_may_fail) {
    enum { N = 70, D = 3 };
    problem p;
    waves w;
    double x[N * D], y[N], *want = numbers(2000), *out = numbers(2000);
    uint64_t mask[N];
    int at;
    problem_init(&p, 3, HPT__COV_MATERN52, D, 2, true);
    problem_points(&p, x, mask, N);
    for (int i = 0; i < N; i++) mask[i] = 3;
    for (int i = 0; i < N * D; i++) x[i] = p.categorical[i % D] ? i / D % 3 : hpt__rng_uniform(&p.rng);
    problem_values(&p, y, N);
    waves_init(&w, &p, 1, N, 6);
    OK(whole_life(device, &p, &w.of, x, mask, y, want, &at));
    int64_t failures = 0;
    for (int64_t k = 0;; k++) {
        int64_t left = k;
        memset(out, 0, 2000 * sizeof *out);
        hpt__alloc_set_hook(fail_kth, &left);
        const int rc = whole_life(device, &p, &w.of, x, mask, y, out, &at);
        hpt__alloc_set_hook(NULL, NULL);
        cr_assert_eq(hpt__device_counters(device)->bytes, 0);
        if (rc == 0 && left >= 0) break; // k was not reached
        if (rc == 0) continue;           // a backend may do without an optional buffer
        cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d, step %d: %d %s", (int)k, at, rc, hpt_last_error());
        failures++;
        cr_assert_lt(k, 1000);
    }
    cr_expect_geq(failures, 6);
    for (int i = 0; i < 2000; i++) cr_assert_eq(out[i], want[i], "the same calls do not give the same bits");
    waves_fini(&w);
    free(want);
    free(out);
}

BACKEND_TEST(fault, a_growth_that_fails_leaves_the_model_as_it_was) {
    fitted f;
    double before[10], after[10], more[200 * 3];
    uint64_t mask[200];
    fitted_init(&f, device, 5, HPT__COV_MATERN52, 3, 2, 60);
    problem_points(&f.p, more, mask, 200);
    OK(hpt__model_posterior(f.model, f.x, f.mask, 10, before, NULL, NULL, NULL));
    int rc = HPT_E_MEMORY;
    for (int64_t k = 0; rc < 0; k++) {
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = hpt__model_set_points(f.model, 60, more, mask, 200);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc == 0) break;
        cr_assert_eq(rc, HPT_E_MEMORY);
        cr_assert_eq(hpt__model_points(f.model), 60);
        cr_assert_eq(hpt__model_rows(f.model), 60);
        OK(hpt__model_posterior(f.model, f.x, f.mask, 10, after, NULL, NULL, NULL));
        for (int i = 0; i < 10; i++) cr_assert_eq(after[i], before[i]);
    }
    cr_expect_eq(hpt__model_points(f.model), 260);
    fitted_fini(&f);
}

BACKEND_TEST(fault, opening_listing_and_measuring_without_memory) {
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    const char *name = hpt__device_name(device);
    for (int64_t k = 0;; k++) {
        int64_t left = k;
        hpt__device *other = NULL;
        hpt_backend_info *list = NULL;
        int64_t n;
        hpt__alloc_set_hook(fail_kth, &left);
        int rc = hpt__device_open(&other, name, NULL, NULL);
        if (rc == 0) rc = hpt_backend_list(&list, &n);
        hpt__alloc_set_hook(NULL, NULL);
        hpt_free(list);
        hpt__device_close(other);
        if (rc == 0 && left >= 0) break;
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "%d %s", rc, hpt_last_error());
    }
    for (int64_t k = 0; k < 12; k++) { // costs are then those of a slow machine, never an error
        int64_t left = k;
        hpt__device *other;
        const hpt__model_shape shape = {.n = 100, .d = 2, .n_terms = 1, .m = 5, .s = 1};
        OK(hpt__device_open(&other, name, NULL, NULL));
        hpt__alloc_set_hook(fail_kth, &left);
        const double seconds = hpt__device_cost(other, HPT__OP_FACTOR, &shape);
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect(seconds > 0 && isfinite(seconds));
        hpt__device_close(other);
    }
}

// ---- a backend that gives nonsense: `ref` with one operation replaced

static int nan_posterior(void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var,
                         double *dmean, double *dvar) {
    (void)model;
    (void)z;
    (void)zmask;
    (void)dmean;
    (void)dvar;
    for (int64_t i = 0; i < m; i++) mean[i] = var[i] = i == 2 ? NAN : 0;
    return 0;
}

static int no_factor(void *model, const double *theta, double jitter, double *logdet, int64_t *info) {
    (void)model;
    (void)theta;
    (void)jitter;
    (void)logdet;
    *info = 4;
    return 0;
}

static int bad_screen(void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, int64_t k,
                      int64_t *index, double *value) {
    (void)model;
    (void)acq;
    (void)z;
    (void)zmask;
    for (int64_t i = 0; i < k; i++) {
        index[i] = m;
        value[i] = 0;
    }
    return 0;
}

Test(nonsense, of_a_backend_is_an_error_that_names_it)
{
    hpt__device *device;
    fitted f;
    double mean[5], var[5];
    int64_t index[2];
    const hpt__acq acq = {.kind = HPT__ACQ_MEAN};
    OK(hpt__device_open(&device, "ref", NULL, NULL));
    fitted_init(&f, device, 1, HPT__COV_RBF, 2, 1, 10);
    hpt__backend broken = *device->ops;
    const hpt__backend *good = device->ops;
    broken.posterior = nan_posterior;
    broken.model_factor = no_factor;
    broken.screen = bad_screen;
    device->ops = &broken;
    FAILS(HPT_E_NUMERIC, hpt__model_posterior(f.model, f.x, f.mask, 5, mean, var, NULL, NULL));
    cr_expect(strstr(hpt_last_error(), "'ref'") && strstr(hpt_last_error(), "posterior mean (2, 0) is nan"), "%s",
              hpt_last_error());
    FAILS(HPT_E_NUMERIC, hpt__model_factor(f.model, f.p.theta, NULL, NULL));
    cr_expect(strstr(hpt_last_error(), "10 points") && strstr(hpt_last_error(), "pivot 4"), "%s", hpt_last_error());
    device->ops = good;
    OK(hpt__model_factor(f.model, f.p.theta, NULL, NULL));
    OK(hpt__model_set_y(f.model, f.y, 10));
    device->ops = &broken;
    FAILS(HPT_E_INTERNAL, hpt__model_screen(f.model, &acq, f.x, f.mask, 5, 2, index, mean));
    device->ops = good;
    fitted_fini(&f);
    hpt__device_close(device);
}

static bool fail_all(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return true;
}

Test(nonsense, memory_that_runs_out_is_no_reason_to_take_a_slower_device)
{
    hpt__device *device;
    hpt__alloc_set_hook(fail_all, NULL);
    const int rc = hpt__device_open(&device, "auto", NULL, NULL);
    hpt__alloc_set_hook(NULL, NULL);
    cr_expect_eq(rc, HPT_E_MEMORY);
}
