// SPDX-License-Identifier: Apache-2.0
// cpu_fill.c: bulk Sobol points and normal numbers, `ref`'s loops in parts over the pool. A number is a function of its place, so the
// parts make no difference.
#include "cpu_impl.h"
#include "ref.h"

enum { PART = 4096 };                                   // numbers of a task
static const double NORMAL_WORK = 100, SOBOL_WORK = 40; // of one, in flops that take as long

typedef struct filling {
    const uint32_t *columns, *shift;
    uint64_t seed, stream;
    int64_t d, first, n, part;
    double *out;
} filling;

static void fill_part(void *payload, int64_t task, double *scratch) {
    const filling *f = payload;
    const int64_t at = task * f->part, n = f->n - at < f->part ? f->n - at : f->part;
    (void)scratch;
    if (f->columns)
        (void)ref_fill_sobol(NULL, f->columns, f->shift, f->d, f->first + at, n, f->out + at * f->d);
    else
        (void)ref_fill_normal(NULL, f->seed, f->stream, f->first + at, n, f->out + at);
}

int cpu__fill_sobol(void *ctx, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first, int64_t n,
                    double *out) {
    filling f = {.columns = columns, .shift = shift, .d = d, .first = first, .n = n, .part = PART / d + 1, .out = out};
    return cpu__parallel(ctx, (n + f.part - 1) / f.part, 0, SOBOL_WORK * (double)n * (double)d, fill_part, &f);
}

int cpu__fill_normal(void *ctx, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out) {
    filling f = {.seed = seed, .stream = stream, .first = first, .n = n, .part = PART, .out = out};
    return cpu__parallel(ctx, (n + f.part - 1) / f.part, 0, NORMAL_WORK * (double)n, fill_part, &f);
}
