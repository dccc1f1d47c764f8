// SPDX-License-Identifier: Apache-2.0
// kernel_testing.c: see kernel_testing.h.
#include "kernel_testing.h"

#include "shim_testing.h"
#include <float.h>

const shape shapes[] = {
    {HPT__COV_MATERN52, 1, 1, false, false}, {HPT__COV_MATERN52, 5, 1, true, false},
    {HPT__COV_MATERN32, 8, 2, true, false},  {HPT__COV_RBF, 3, 3, true, false},
    {HPT__COV_MATERN52, 20, 1, true, false}, {HPT__COV_MATERN32, 17, 1, false, false},
    {HPT__COV_RBF, 20, 3, false, true},      {HPT__COV_MATERN52, 20, 6, true, true},
};
const int64_t n_shapes = COUNT(shapes);

void kernel_run(const char *name, int64_t gx, int64_t gy, const void *args, const output *outputs, int64_t n_outputs) {
    const shim_kernel *k = shim_find(name);
    enum { OUTPUTS = 5 };
    void *before[OUTPUTS], *after[OUTPUTS];
    cr_assert(k && n_outputs <= OUTPUTS, "%s", name);
    for (int64_t i = 0; i < n_outputs; i++) {
        before[i] = malloc(outputs[i].bytes);
        after[i] = malloc(outputs[i].bytes);
        cr_assert(before[i] && after[i]);
        memcpy(before[i], outputs[i].at, outputs[i].bytes);
    }
    for (int order = 0; order < SHIM_ORDERS; order++) {
        const unsigned grid[] = {(unsigned)gx, (unsigned)gy, 1}, block[] = {k->threads, 1, 1};
        char why[300] = "";
        cr_assert_eq(shim_set_order(shim_orders[order]), 0);
        for (int64_t i = 0; i < n_outputs; i++) memcpy(outputs[i].at, before[i], outputs[i].bytes);
        cr_assert_eq(shim_launch(k, grid, block, args, why, sizeof why), 0, "%s: %s", shim_orders[order], why);
        for (int64_t i = 0; i < n_outputs; i++) {
            if (order == 0) memcpy(after[i], outputs[i].at, outputs[i].bytes);
            cr_assert_eq(memcmp(after[i], outputs[i].at, outputs[i].bytes), 0,
                         "%s: output %lld differs between forward and %s", name, (long long)i, shim_orders[order]);
        }
    }
    for (int64_t i = 0; i < n_outputs; i++) {
        free(before[i]);
        free(after[i]);
    }
}

static const uint64_t mark = UINT64_C(0x7ff8badc0ffee000); // a NaN that no operation makes

double *marked(int64_t n) {
    double *a = numbers(n);
    for (int64_t i = 0; i < n; i++) memcpy(a + i, &mark, sizeof *a);
    return a;
}

bool is_marked(double v) {
    return memcmp(&v, &mark, sizeof v) == 0;
}

double *columns(int64_t rows, int64_t n, int64_t ld) {
    const int64_t size = (n - 1) * ld + rows;
    double *a = numbers(size);
    hpt__rng rng;
    hpt__rng_init(&rng, (uint64_t)(rows + 1000 * n), 5);
    for (int64_t i = 0; i < size; i++) a[i] = i % ld < rows ? uniform(&rng, -1, 1) : NAN;
    return a;
}

void sorted_init(sorted *s, const problem *p) {
    const int64_t d = p->cov.d, blocks = p->cov.n_blocks, terms = p->cov.n_terms;
    int32_t *first = malloc((size_t)(blocks + 1) * sizeof *first), *order = malloc((size_t)d * sizeof *order),
            *categorical = malloc((size_t)d * sizeof *categorical);
    double *inv_l = numbers(d), *amplitude = numbers(terms);
    uint64_t *term_blocks = words(terms);
    int32_t next = 0;
    cr_assert(first && order && categorical);
    *s = (sorted){0};
    for (int32_t b = 0; b < blocks; b++) {
        first[b] = next;
        for (int32_t c = 0; c < d; c++) {
            if (p->block[c] != b) continue;
            if ((next - first[b]) % CUDA__GROUP == 0) {
                s->group_first[s->n_groups] = next;
                s->group_block[s->n_groups++] = b;
            }
            inv_l[next] = exp(-p->theta[c]);
            categorical[next] = p->categorical[c];
            order[next++] = c;
        }
    }
    first[blocks] = next;
    for (int64_t t = 0; t < terms; t++) {
        amplitude[t] = exp(p->theta[d + t]);
        term_blocks[t] = p->terms[t];
    }
    s->cov = (cuda__cov){(int32_t)p->cov.kind, (int32_t)d, (int32_t)blocks, (int32_t)terms, first, order,
                         categorical,          inv_l,      amplitude,       term_blocks,    0};
}

void sorted_fini(sorted *s) {
    free((void *)s->cov.first);
    free((void *)s->cov.order);
    free((void *)s->cov.categorical);
    free((void *)s->cov.inv_l);
    free((void *)s->cov.amplitude);
    free((void *)s->cov.term_blocks);
}

void cloud_init(cloud *c, const shape *of, uint64_t seed, int64_t n) {
    problem_init(&c->p, seed, of->kind, of->d, of->n_blocks, of->mixed);
    for (int64_t t = 1; of->apart && t < of->n_blocks; t += 2) c->p.terms[t] &= ~UINT64_C(1);
    sorted_init(&c->s, &c->p);
    c->n = n;
    c->x = numbers(n * of->d);
    c->mask = words(n);
    problem_points(&c->p, c->x, c->mask, n);
    for (int64_t i = 0; i < n * of->d; i++) // inactive: any finite number, that times 1 / l is none
        if (c->x[i] < -1e299) c->x[i] = i % 2 ? DBL_MAX : -DBL_MAX;
}

void cloud_fini(cloud *c) {
    sorted_fini(&c->s);
    free(c->x);
    free(c->mask);
}

cuda__points cloud_points(const cloud *c, int64_t first, int64_t n, int64_t ld) {
    const int64_t d = c->p.cov.d;
    double *at = columns(n, d, ld);
    uint64_t *masks = words(n);
    for (int64_t j = 0; j < d; j++)
        for (int64_t i = 0; i < n; i++) at[j * ld + i] = c->x[(first + i) * d + c->s.cov.order[j]];
    memcpy(masks, c->mask + first, (size_t)n * sizeof *masks);
    return (cuda__points){at, masks, n, ld};
}

void points_free(cuda__points p) {
    free((void *)p.x);
    free((void *)p.mask);
}

int64_t tiles(int64_t n, int64_t edge) {
    return (n + edge - 1) / edge;
}
