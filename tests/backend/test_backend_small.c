// SPDX-License-Identifier: Apache-2.0
// test_backend_small.c: every operation once, at sizes just past a tile, beside `ref`: small enough for tools that make each access
// to memory a hundred times slower (scripts/gpu-check.sh runs it under compute-sanitizer).
#include "backend_testing.h"

enum { N = 70, MORE = 3, M = 20, SAMPLES = 2, FEATURES = 3, SIZE = 16384 };

typedef struct run { // what all operations gave, in their order
    double out[SIZE];
    int64_t n;
} run;

static double *take(run *r, int64_t n) {
    cr_assert_leq(r->n + n, SIZE);
    r->n += n;
    return r->out + r->n - n;
}

static void everything(run *r, hpt__device *device, uint64_t seed) {
    static const uint32_t columns[32] = {UINT32_C(1) << 31, UINT32_C(1) << 30, UINT32_C(1) << 29}, shift[1] = {77};
    fitted f;
    waves w;
    fitted_init(&f, device, seed, HPT__COV_MATERN52, 5, 3, N + MORE);
    const int64_t d = f.p.cov.d, p = f.p.p;
    const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = -0.2, .noise = 0.01};
    double *z = numbers(M * d), *v;
    uint64_t *zmask = words(M);
    int64_t index[3], pool = 0;
    double logdet, jitter;
    problem_points(&f.p, z, zmask, M);
    waves_init(&w, &f.p, SAMPLES, N, FEATURES);
    OK(hpt__model_truncate(f.model, N));
    OK(hpt__model_factor(f.model, f.p.theta, &jitter, &logdet));
    OK(hpt__model_set_y(f.model, f.y, N));
    OK(hpt__cov_build(device, &f.p.cov, f.p.theta, f.x, f.mask, N, take(r, N * N), N));
    OK(hpt__cov_cross(device, &f.p.cov, f.p.theta, f.x, f.mask, N, z, zmask, M, take(r, N * M), N));
    *take(r, 1) = logdet;
    v = take(r, 1 + p);
    OK(hpt__model_mll(f.model, f.p.theta, f.y, N, v, v + 1));
    hpt__mll_job jobs[2];
    for (int i = 0; i < 2; i++) jobs[i] = (hpt__mll_job){.theta = f.p.theta, .y = f.y, .grad = take(r, p)};
    OK(hpt__model_mll_many(f.model, jobs, 2, N));
    for (int i = 0; i < 2; i++) *take(r, 1) = jobs[i].value;
    v = take(r, 2 * M + 2 * M * d);
    OK(hpt__model_posterior(f.model, z, zmask, M, v, v + M, v + 2 * M, v + 2 * M + M * d));
    v = take(r, M + M * d);
    OK(hpt__model_acquire(f.model, &acq, z, zmask, M, v, v + M));
    v = take(r, 3 + 3 * d);
    OK(hpt__model_acquire(f.model, &acq, z, zmask, 3, v, v + 3)); // few candidates
    v = take(r, M + M * M);
    OK(hpt__model_joint(f.model, z, zmask, M, v, v + M, M));
    OK(hpt__model_paths(f.model, &w.of, z, zmask, M, take(r, M * SAMPLES), M));
    OK(hpt__model_screen(f.model, &acq, z, zmask, M, 3, index, take(r, 3)));
    v = take(r, 2 * M);
    OK(hpt__model_pool_set(&pool, f.model, f.x, f.mask, z, zmask, M, v, v + M));
    OK(hpt__model_set_points(f.model, N, f.x + N * d, f.mask + N, 1));
    OK(hpt__model_append(f.model, take(r, 1)));
    v = take(r, M);
    memcpy(v, v - 1 - M, M * sizeof *v);
    OK(hpt__model_pool_append(pool, f.model, f.x, f.mask, z, zmask, M, v));
    OK(hpt__model_set_points(f.model, N + 1, f.x + (N + 1) * d, f.mask + N + 1, MORE - 1));
    OK(hpt__model_append(f.model, take(r, 1)));
    v = take(r, (N + MORE) * 2);
    memcpy(v, f.y, (N + MORE) * sizeof *v);
    memcpy(v + N + MORE, f.y, (N + MORE) * sizeof *v);
    OK(hpt__model_solve(f.model, false, v, N + MORE, 2));
    OK(hpt__model_get_factor(f.model, take(r, (N + MORE) * (N + MORE)), N + MORE));
    OK(hpt__fill_normal(device, 3, 4, 5, 60, take(r, 60)));
    OK(hpt__fill_sobol(device, columns, shift, 1, 0, 8, take(r, 8)));
    free(z);
    free(zmask);
    waves_fini(&w);
    fitted_fini(&f);
}

BACKEND_TEST(small, every_operation_once_gives_what_ref_gives) {
    run *got = calloc(1, sizeof *got), *want = calloc(1, sizeof *want);
    hpt__device *ref = testing_device("ref");
    cr_assert(got && want);
    everything(got, device, 31);
    everything(want, ref, 31);
    cr_assert_eq(got->n, want->n);
    for (int64_t i = 0; i < got->n; i++) near_number(got->out[i], want->out[i], 1e-9, 1e-8, "number", i);
    hpt__device_close(ref);
    free(got);
    free(want);
}
