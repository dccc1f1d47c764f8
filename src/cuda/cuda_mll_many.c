// SPDX-License-Identifier: Apache-2.0
// cuda_mll_many.c: several likelihoods with their gradients over the same few points, in the launches of one (formulas:
// backend_impl.h, cuda_mll.cu, cuda_many.cu).
//
//   K of all -> L (one block each) -> M = L^-1 -> v = M y, alpha = M' v -> A^-1 = M'M -> sums of the gradients
//
// A likelihood of a few hundred points leaves most of a GPU idle and waits for the steps of its libraries, and then for the
// host. Here eight launches and one wait serve all. Up to MANY_POINTS, with gradients; what is larger fills the device alone and is
// done one after the other, as is what the memory limit forbids. A job's bits do not depend on what is beside it.
// Memory: two squares a job, MANY_JOBS at once. Threads: as its context.
#include "cuda_impl.h"

#include "../core/base/alloc.h"
#include <math.h>
#include <string.h>

enum { MANY_POINTS = 512, MANY_JOBS = 32 };

// c->small: log-determinants and squares (2 k), infos (k, in k numbers' room), sums (p k), diagonals (k), y, v, alpha (n k
// each), partial sums (rows p k).
typedef struct places {
    double *results, *sums, *diagonals, *y, *v, *alpha, *partial;
    int32_t *info;
    int64_t k, n, p, rows, lda, step;
} places;

static int64_t lower_tiles(int64_t n, int64_t edge) {
    const int64_t side = (n + edge - 1) / edge;
    return side * (side + 1) / 2;
}

static places plan(int64_t k, int64_t n, int64_t p) {
    const int64_t lda = cuda__round(n, CUDA__GROW);
    return (places){.k = k, .n = n, .p = p, .rows = lower_tiles(n, CUDA__SUM_TILE), .lda = lda, .step = lda * n};
}

static int64_t small_bytes(const places *at) {
    return 8 * at->k * (3 + at->p + 1 + 3 * at->n + at->rows * at->p);
}

static int reserve(cuda__ctx *c, places *at) {
    const int64_t k = at->k, n = at->n;
    int rc = HPT_OK;
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * k * at->step, "matrices of likelihoods"));
    HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * k * at->step, "matrices of likelihoods"));
    HPT_TRY(cuda__reserve(c, &c->small, small_bytes(at), "sums of likelihoods"));
    at->results = cuda__doubles(c->small.at);
    at->info = (int32_t *)(void *)(at->results + 2 * k);
    at->sums = at->results + 3 * k;
    at->diagonals = at->sums + at->p * k;
    at->y = at->diagonals + k;
    at->v = at->y + n * k;
    at->alpha = at->v + n * k;
    at->partial = at->alpha + n * k;
    HPT_TRY(cuda__zero(c, c->small.at, 8 * 3 * k));
out:
    return rc;
}

static int queue(cuda__model *m, const places *at) {
    cuda__ctx *c = m->ctx;
    const int64_t k = at->k, n = at->n, tiles = (n + CUDA__SMALL - 1) / CUDA__SMALL;
    const cuda__points x = cuda__points_of(&m->points, 0, n);
    const cuda__many_args many = {.a = cuda__doubles(c->strips[0].at),
                                  .m = cuda__doubles(c->strips[1].at),
                                  .y = at->y,
                                  .v = at->v,
                                  .alpha = at->alpha,
                                  .out = at->results,
                                  .info = at->info,
                                  .n = n,
                                  .lda = at->lda,
                                  .step = at->step};
    int rc = HPT_OK;
    HPT_TRY(cuda__launch_cuda_lower(
        c, lower_tiles(n, CUDA__TILE), k,
        &(cuda__lower_args){
            .cov = m->trial.dev, .x = x, .diagonals = at->diagonals, .k = many.a, .ldk = at->lda, .step = at->step}));
    HPT_TRY(cuda__launch_cuda_many_factor(c, 1, k, &many));
    HPT_TRY(cuda__launch_cuda_many_invert(c, tiles, k, &many));
    HPT_TRY(cuda__launch_cuda_many_weights(c, 1, k, &many));
    HPT_TRY(cuda__launch_cuda_many_gram(c, lower_tiles(n, CUDA__SMALL), k, &many));
    HPT_TRY(cuda__launch_cuda_slope_sums(c, at->rows, k,
                                         &(cuda__slope_sums_args){.cov = m->trial.dev,
                                                                  .x = x,
                                                                  .alpha = at->alpha,
                                                                  .inverse = many.a,
                                                                  .ld = at->lda,
                                                                  .step = at->step,
                                                                  .partial = at->partial,
                                                                  .p = at->p}));
    HPT_TRY(cuda__launch_cuda_add_rows(
        c, (at->p + CUDA__THREADS - 1) / CUDA__THREADS, k,
        &(cuda__add_rows_args){.partial = at->partial, .out = at->sums, .rows = at->rows, .p = at->p}));
out:
    return rc;
}

static void deliver(hpt__mll_job *job, const places *at, const double *got, int64_t q) {
    const double *sums = got + 3 * at->k + q * at->p;
    int32_t info;
    memcpy(&info, (const char *)(got + 2 * at->k) + q * (int64_t)sizeof info, sizeof info);
    job->info = info;
    if (info) return;
    job->value = -0.5 * got[2 * q + 1] - 0.5 * got[2 * q] - 0.5 * (double)at->n * log(2 * 3.14159265358979323846);
    for (int64_t i = 0; i < at->p; i++) job->grad[i] = 0.5 * sums[i];
    job->grad[at->p - 1] *= exp(job->theta[at->p - 1]);
}

static int together(cuda__model *m, hpt__mll_job *jobs, int64_t k, int64_t n) {
    cuda__ctx *c = m->ctx;
    places at = plan(k, n, hpt__cov_n_theta(m->cov));
    const int64_t sent = k * (1 + n), results = k * (3 + at.p);
    int rc = HPT_OK;
    double *numbers = hpt__malloc((size_t)(sent > results ? sent : results) * sizeof *numbers);
    if (!numbers) return hpt__fail_memory();
    HPT_TRY(cuda__kernel_set_many(c, &m->trial, m->cov, &m->sorting, jobs, k));
    HPT_TRY(reserve(c, &at));
    for (int64_t q = 0; q < k; q++) {
        numbers[q] = exp(jobs[q].theta[at.p - 1]) + jobs[q].jitter;
        memcpy(numbers + k + q * n, jobs[q].y, (size_t)n * sizeof *numbers);
    }
    HPT_TRY(cuda__upload(c, (CUdeviceptr)(uintptr_t)at.diagonals, numbers, 8 * sent));
    HPT_TRY(queue(m, &at));
    HPT_TRY(cuda__download(c, numbers, c->small.at, 8 * results));
    for (int64_t q = 0; q < k; q++) deliver(&jobs[q], &at, numbers, q);
out:
    hpt__free(numbers);
    return rc;
}

// Few enough points, all gradients wanted, and the limit allows it.
static bool gains(const cuda__model *m, const hpt__mll_job *jobs, int64_t k, int64_t n) {
    const cuda__ctx *c = m->ctx;
    const places at = plan(k < MANY_JOBS ? k : MANY_JOBS, n, hpt__cov_n_theta(m->cov));
    if (k < 2 || n > MANY_POINTS) return false;
    for (int64_t q = 0; q < k; q++)
        if (!jobs[q].grad) return false;
    const int64_t held = c->strips[0].bytes + c->strips[1].bytes + c->small.bytes;
    return 16 * at.k * at.step + small_bytes(&at) <= c->limit - (c->used - held);
}

static int all_together(cuda__model *m, hpt__mll_job *jobs, int64_t k, int64_t n) {
    int rc = cuda__enter(m->ctx);
    if (rc < 0) return rc;
    for (int64_t q = 0; q < k; q += MANY_JOBS) HPT_TRY(together(m, jobs + q, k - q < MANY_JOBS ? k - q : MANY_JOBS, n));
out:
    cuda__leave(m->ctx);
    return rc;
}

int cuda__mll_many(void *model, hpt__mll_job *jobs, int64_t k, int64_t n) {
    cuda__model *m = model;
    int rc = HPT_OK;
    if (gains(m, jobs, k, n)) return all_together(m, jobs, k, n);
    for (int64_t q = 0; q < k; q++) {
        hpt__mll_job *j = &jobs[q];
        HPT_TRY(cuda__mll(m, j->theta, j->jitter, j->y, n, &j->value, j->grad, &j->info));
    }
out:
    return rc;
}
