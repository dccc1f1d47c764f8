// SPDX-License-Identifier: Apache-2.0
// test_cuda_faults.c: the k-th call of CUDA fails, for every k of a model's whole life and every kind of fault, on device
// cuda:mock: a clean status, numbers that are those without a fault, nothing left on the device, and a device that goes on
// where the fault was one that passes.
//
// A life is everything that a model can be asked. A step that fails is asked again at once, on the same model: where memory
// ran out that has to work, and end in the same bits; where a device broke it may be refused, with a reason.
#include "testing_hooks.h"

#include <pthread.h>

enum { N = 70, D = 3, M = 9, MANY = 24, SIZE = 20000, STEPS = 32 }; // MANY: of them single precision leaves out some

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 3 }; // slow: each kind of fault another third of the calls
#else
enum { STRIDE = 1 };
#endif

typedef struct life {
    problem p;
    waves w;
    double x[N * D], y[N], many[MANY * D];
    uint64_t mask[N], many_mask[MANY];
    double out[SIZE];
    int64_t written;
    int64_t end[STEPS]; // of out after each step that succeeded
    int at;             // steps that succeeded
    int failures;       // statuses below 0
    int first, last;    // of them
} life;

static life *life_new(void) {
    life *l = calloc(1, sizeof *l);
    cr_assert_not_null(l);
    problem_init(&l->p, 3, HPT__COV_MATERN52, D, 2, true);
    problem_points(&l->p, l->x, l->mask, N);
    for (int i = 0; i < N; i++) l->mask[i] = i % 3 ? 3 : 1;
    for (int i = 0; i < N * D; i++) l->x[i] = l->p.categorical[i % D] ? i / D % 3 : hpt__rng_uniform(&l->p.rng);
    problem_values(&l->p, l->y, N);
    for (int i = 0; i < MANY * D; i++) l->many[i] = hpt__rng_uniform(&l->p.rng);
    for (int i = 0; i < MANY; i++) l->many_mask[i] = i % 3 ? 3 : 1;
    l->p.theta[l->p.p - 1] = log(0.1); // single precision is safe
    waves_init(&l->w, &l->p, 2, N, 5);
    return l;
}

static void life_free(life *l) {
    waves_fini(&l->w);
    free(l);
}

static double *take(life *l, int64_t n) { // room for a step's numbers
    cr_assert_leq(l->written + n, SIZE);
    l->written += n;
    return l->out + l->written - n;
}

static void failed(life *l, int rc) {
    if (l->failures++ == 0) l->first = rc;
    l->last = rc;
    cr_assert_neq(hpt_last_error()[0], 0, "an error without a line");
}

static int solve(hpt__model *m, const double *b, double *x) { // B is overwritten by an attempt
    memcpy(x, b, N * 2 * sizeof *x);
    return hpt__model_solve(m, true, x, N, 2);
}

static int several(hpt__model *m, const life *l, double *out) { // three likelihoods of the same values
    const int64_t p = l->p.p;
    hpt__mll_job jobs[3];
    for (int i = 0; i < 3; i++) jobs[i] = (hpt__mll_job){.theta = l->p.theta, .y = l->y, .grad = out + 3 + i * p};
    const int rc = hpt__model_mll_many(m, jobs, 3, N);
    for (int i = 0; i < 3; i++) out[i] = jobs[i].value;
    return rc;
}

// Candidates that stay over one point; from the start, since a set whose update failed is void.
static int staying(hpt__model *m, const life *l, double *out) {
    int64_t pool = 0;
    double logdet;
    int rc = hpt__model_truncate(m, N - 20);
    if (rc >= 0) rc = hpt__model_set_y(m, l->y, N - 20);
    if (rc >= 0) rc = hpt__model_pool_set(&pool, m, l->x, l->mask, l->x, l->mask, M, out, out + M);
    if (rc >= 0) rc = hpt__model_set_points(m, N - 20, l->x + (N - 20) * D, l->mask + N - 20, 1);
    if (rc >= 0) rc = hpt__model_append(m, &logdet);
    if (rc >= 0) rc = hpt__model_pool_append(pool, m, l->x, l->mask, l->x, l->mask, M, out + M);
    return rc;
}

static int run(life *l, const char *request) {
    hpt__device *device = NULL;
    hpt__model *m = NULL;
    int64_t index[3];
    int rc;
    double *v;
    l->written = l->at = l->failures = l->first = l->last = 0;
    for (int i = 0; i < SIZE; i++) l->out[i] = NAN;
#define STEP(call)                                         \
    do {                                                   \
        if ((rc = (call)) < 0) failed(l, rc), rc = (call); \
        if (rc < 0) {                                      \
            failed(l, rc);                                 \
            goto out;                                      \
        }                                                  \
        l->end[l->at++] = l->written;                      \
    } while (0)
    const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = -0.3};
    const hpt__cov *cov = &l->p.cov;
    const double *x = l->x, *theta = l->p.theta;
    const uint64_t *mask = l->mask;
    STEP(hpt__device_open(&device, request, NULL, NULL));
    STEP(hpt__model_create(&m, device, cov, 0));
    STEP(hpt__model_set_points(m, 0, x, mask, N - 10));
    v = take(l, 2);
    STEP(hpt__model_factor(m, theta, v, v + 1));
    STEP(hpt__model_set_y(m, l->y, N - 10));
    STEP(hpt__model_set_points(m, N - 10, x + (N - 10) * D, mask, 10)); // beyond the first capacity
    v = take(l, 1);
    STEP(hpt__model_append(m, v));
    v = take(l, 1 + l->p.p);
    STEP(hpt__model_mll(m, theta, l->y, N, v, v + 1));
    v = take(l, 3 * (1 + l->p.p));
    STEP(several(m, l, v));
    v = take(l, 2 * M + 2 * M * D);
    STEP(hpt__model_posterior(m, x, mask, M, v, v + M, v + 2 * M, v + 2 * M + M * D));
    v = take(l, M + M * D);
    STEP(hpt__model_acquire(m, &acq, x, mask, M, v, v + M));
    v = take(l, M + M * M);
    STEP(hpt__model_joint(m, x, mask, M, v, v + M, M));
    v = take(l, M * 2);
    STEP(hpt__model_paths(m, &l->w.of, x, mask, M, v, M));
    v = take(l, 3);
    STEP(hpt__model_screen(m, &acq, x, mask, M, 3, index, v));
    v = take(l, 3);
    for (int i = 0; i < 3; i++) v[i] = (double)index[i];
    v = take(l, 3);
    STEP(hpt__model_screen(m, &acq, l->many, l->many_mask, MANY, 3, index, v));
    v = take(l, 3);
    for (int i = 0; i < 3; i++) v[i] = (double)index[i];
    v = take(l, N * 2);
    STEP(solve(m, x, v));
    v = take(l, N * N);
    STEP(hpt__model_get_factor(m, v, N));
    STEP(hpt__model_truncate(m, N - 20));
    v = take(l, M);
    STEP(hpt__model_posterior(m, x, mask, M, NULL, v, NULL, NULL));
    v = take(l, 2 * M);
    STEP(staying(m, l, v));
    v = take(l, 100);
    memset(v, 0, 100 * sizeof *v);
    STEP(hpt__cov_build(device, cov, theta, x, mask, 10, v, 10));
    v = take(l, 50);
    STEP(hpt__cov_cross(device, cov, theta, x, mask, 10, x, mask, 5, v, 10));
    v = take(l, 60);
    STEP(hpt__fill_normal(device, 3, 4, 5, 60, v));
    static const uint32_t columns[32] = {UINT32_C(1) << 31, UINT32_C(1) << 30, UINT32_C(1) << 29}, shift[1] = {77};
    v = take(l, 8);
    STEP(hpt__fill_sobol(device, columns, shift, 1, 0, 8, v));
out:
    hpt__model_destroy(m);
    hpt__device_close(device);
    return rc;
}

// What steps that succeeded wrote is what they write without a fault.
static void expect_numbers(const life *got, const life *want, const char *when) {
    for (int64_t i = 0; i < (got->at ? got->end[got->at - 1] : 0); i++)
        cr_assert(memcmp(&got->out[i], &want->out[i], sizeof(double)) == 0,
                  "%s: number %d after %d steps is %.17g, not %.17g", when, (int)i, got->at, got->out[i], want->out[i]);
}

// Every k (STRIDE-th) of this kind. `passes`: the step that failed succeeds when it is asked again.
static void every_call(int kind, int status, bool passes) {
    life *want = life_new(), *got = life_new();
    char when[80];
    int failures = 0;
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    setenv("HPT_CUDA_SCREEN", "single", 1);
    find_hooks();
    mock.reset();
    cr_assert_eq(run(want, "cuda:mock"), 0, "%s", hpt_last_error());
    expect_clean("without a fault");
    cr_assert_eq(mock.calls_of("cublasStrmm_v2_64"), 1);
    for (int64_t k = 1 + kind % STRIDE;; k += STRIDE) {
        mock.reset();
        mock.fail_at(k, kind);
        const int rc = run(got, "cuda:mock");
        (void)snprintf(when, sizeof when, "call %lld fails", (long long)k);
        if (mock.calls() < k) break;
        expect_clean(when);
        expect_numbers(got, want, when);
        failures += got->failures > 0;
        if (got->failures > 0)
            cr_assert(got->first == status || got->first == HPT_E_DEVICE, "%s, step %d: %d: %s", when, got->at,
                      got->first, hpt_last_error());
        if (passes) cr_assert_eq(rc, 0, "%s, step %d: %d: %s", when, got->at, rc, hpt_last_error());
        if (rc == 0) {
            cr_assert_eq(got->at, want->at);
        } else {
            cr_assert(rc == status || rc == HPT_E_DEVICE, "%s: %d: %s", when, rc, hpt_last_error());
        }
    }
    cr_assert_gt(failures, 100 / STRIDE);
    life_free(want);
    life_free(got);
}

Test(cuda_faults, memory_that_runs_out_at_any_call_is_an_error_of_that_step_alone)
{ every_call(MOCK_MEMORY, HPT_E_MEMORY, true); }

Test(cuda_faults, a_launch_that_fails_at_any_call_is_an_error_and_nothing_else)
{ every_call(MOCK_LAUNCH, HPT_E_DEVICE, false); }

Test(cuda_faults, a_device_that_is_lost_at_any_call_is_an_error_and_nothing_else)
{ every_call(MOCK_LOST, HPT_E_DEVICE, false); }

Test(cuda_faults, a_library_that_is_not_initialised_at_any_call_is_an_error_and_nothing_else)
{ every_call(MOCK_UNINITIALISED, HPT_E_DEVICE, false); }

Test(cuda_faults, a_value_that_is_refused_at_any_call_is_an_error_of_that_step_alone)
{ every_call(MOCK_VALUE, HPT_E_DEVICE, true); }

// Another context on the device, opened after one broke, while the broken one still is open or is closed.
Test(cuda_faults, a_device_opens_again_after_a_broken_context_is_closed)
{
    hpt__device *broken = NULL, *fresh = NULL;
    hpt__model *m = NULL;
    life *l = life_new();
    double jitter, logdet, again;
    find_hooks();
    OK(hpt__device_open(&broken, "cuda:mock", NULL, NULL));
    OK(hpt__model_create(&m, broken, &l->p.cov, 0));
    OK(hpt__model_set_points(m, 0, l->x, l->mask, N));
    OK(hpt__model_factor(m, l->p.theta, &jitter, &logdet));
    mock.fail_at(5, MOCK_LAUNCH);
    FAILS(HPT_E_DEVICE, hpt__model_factor(m, l->p.theta, &jitter, &again));
    FAILS(HPT_E_DEVICE, hpt__model_factor(m, l->p.theta, &jitter, &again));
    cr_assert_not_null(strstr(hpt_last_error(), "no longer usable"), "%s", hpt_last_error());
    hpt__model_destroy(m);
    hpt__device_close(broken);
    OK(hpt__device_open(&fresh, "cuda:mock", NULL, NULL));
    OK(hpt__model_create(&m, fresh, &l->p.cov, 0));
    OK(hpt__model_set_points(m, 0, l->x, l->mask, N));
    OK(hpt__model_factor(m, l->p.theta, &jitter, &again));
    cr_assert_eq(again, logdet);
    hpt__model_destroy(m);
    hpt__device_close(fresh);
    expect_clean("at the end");
    life_free(l);
}

// ---- several contexts at once

enum { THREADS = 4 };
typedef struct worker {
    pthread_t thread;
    life *l;
    const char *request;
    int rc;
} worker;

static void *work(void *payload) {
    worker *w = payload;
    w->rc = run(w->l, w->request);
    return NULL;
}

Test(cuda_faults, threads_with_contexts_of_their_own_on_two_devices_get_the_numbers_of_one)
{
    worker workers[THREADS];
    life *want = life_new();
    find_hooks();
    mock.reset();
    mock.devices(2, 1 << 28, 1 << 28);
    cr_assert_eq(run(want, "cuda:mock:0"), 0, "%s", hpt_last_error());
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.l = life_new(), .request = i % 2 ? "cuda:mock:1" : "cuda:mock:0"};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(workers[i].thread, NULL), 0);
        cr_assert_eq(workers[i].rc, 0, "thread %d", i);
        expect_numbers(workers[i].l, want, workers[i].request);
        life_free(workers[i].l);
    }
    expect_clean("at the end");
    life_free(want);
}

// Models of both devices used in turn by one thread: each operation makes its own context current.
Test(cuda_faults, models_on_two_devices_are_used_in_turn)
{
    hpt__device *devices[2];
    hpt__model *m[2];
    life *l = life_new();
    double logdet[2], jitter, value[2];
    char request[] = "cuda:mock:0";
    find_hooks();
    mock.reset();
    mock.devices(2, 1 << 28, 1 << 28);
    for (int i = 0; i < 2; i++) {
        request[sizeof request - 2] = (char)('0' + i);
        OK(hpt__device_open(&devices[i], request, NULL, NULL));
        OK(hpt__model_create(&m[i], devices[i], &l->p.cov, 0));
    }
    for (int i = 0; i < 2; i++) OK(hpt__model_set_points(m[i], 0, l->x, l->mask, N));
    for (int i = 0; i < 2; i++) OK(hpt__model_factor(m[i], l->p.theta, &jitter, &logdet[i]));
    for (int i = 0; i < 2; i++) OK(hpt__model_mll(m[i], l->p.theta, l->y, N, &value[i], NULL));
    cr_assert_eq(logdet[0], logdet[1]);
    cr_assert_eq(value[0], value[1]);
    for (int i = 0; i < 2; i++) hpt__model_destroy(m[i]);
    for (int i = 0; i < 2; i++) hpt__device_close(devices[i]);
    expect_clean("at the end");
    life_free(l);
}

// A study that shares the GPU: what others leave is too little for a likelihood, then they are gone.
Test(cuda_faults, a_full_device_is_an_error_until_there_is_room)
{
    hpt__device *device = NULL;
    hpt__model *m = NULL;
    life *l = life_new();
    double jitter, logdet, value = NAN;
    find_hooks();
    mock.reset();
    OK(hpt__device_open(&device, "cuda:mock", NULL, NULL));
    OK(hpt__model_create(&m, device, &l->p.cov, 0));
    OK(hpt__model_set_points(m, 0, l->x, l->mask, N));
    OK(hpt__model_factor(m, l->p.theta, &jitter, &logdet));
    mock.devices(1, 1 << 28, 1);
    FAILS(HPT_E_MEMORY, hpt__model_mll(m, l->p.theta, l->y, N, &value, NULL));
    mock.devices(1, 1 << 28, 1 << 28);
    OK(hpt__model_mll(m, l->p.theta, l->y, N, &value, NULL));
    cr_assert(isfinite(value));
    hpt__model_destroy(m);
    hpt__device_close(device);
    expect_clean("at the end");
    life_free(l);
}
