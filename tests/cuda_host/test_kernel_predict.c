// SPDX-License-Identifier: Apache-2.0
// test_kernel_predict.c: slopes of the posterior, acquisition values and the choice of the best, against `ref`, the host's
// formulas and plain sorting.
#include "cpu/ref.h"
#include "kernel_testing.h"

// ---- slopes

// out[j d + c] = factor sum over n rows of weights[i + j ldw] d k(x_i, z_j) / d z_c; points m on of c are x, those before are z.
static void plain_slopes(long double *out, long double *size, const cloud *c, int64_t m, const double *weights,
                         int64_t ldw, int64_t n, double factor) {
    const int64_t d = c->p.cov.d;
    double slope[D_MAX];
    for (int64_t j = 0; j < m; j++) {
        for (int64_t h = 0; h < d; h++) out[j * d + h] = size[j * d + h] = 0;
        for (int64_t i = 0; i < n; i++) {
            ref_k_point(slope, &c->p.cov, c->p.theta, c->x + (m + i) * d, c->mask[m + i], c->x + j * d, c->mask[j]);
            for (int64_t h = 0; h < d; h++) {
                const long double term = (long double)factor * weights[i + j * ldw] * slope[h];
                out[j * d + h] += term;
                size[j * d + h] += fabsl(term);
            }
        }
    }
}

static void slopes_agree(const shape *of, uint64_t seed, int64_t m, int64_t n_alpha, int64_t n_u) {
    cloud c;
    const int64_t n = n_alpha > n_u ? n_alpha : n_u, ldu = n + 3, d = of->d, size = m * d;
    long double *want = malloc((size_t)size * sizeof *want), *bound = malloc((size_t)size * sizeof *bound);
    cr_assert(want && bound);
    cloud_init(&c, of, seed, m + n);
    double *alpha = n_alpha ? columns(n_alpha, 1, n_alpha) : NULL, *u = n_u ? columns(n_u, m, ldu) : NULL;
    double *dmean = n_alpha ? marked(size) : NULL, *dvar = n_u ? marked(size) : NULL;
    int32_t *first = malloc((size_t)c.s.n_groups * sizeof *first),
            *block = malloc((size_t)c.s.n_groups * sizeof *block);
    cr_assert(first && block);
    memcpy(first, c.s.group_first, (size_t)c.s.n_groups * sizeof *first);
    memcpy(block, c.s.group_block, (size_t)c.s.n_groups * sizeof *block);
    const cuda__points z = cloud_points(&c, 0, m, m + 1), x = cloud_points(&c, m, n, n + 2);
    const cuda__slopes_args args = {c.s.cov, x, z, first, block, alpha, u, n_alpha, n_u, ldu, dmean, dvar};
    output outputs[2];
    int64_t n_outputs = 0;
    if (dmean) outputs[n_outputs++] = (output){dmean, (size_t)size * sizeof *dmean};
    if (dvar) outputs[n_outputs++] = (output){dvar, (size_t)size * sizeof *dvar};
    kernel_run("cuda_slopes", m, c.s.n_groups, &args, outputs, n_outputs);
    if (dmean) {
        plain_slopes(want, bound, &c, m, alpha, 0, n_alpha, 1);
        for (int64_t i = 0; i < size; i++)
            near_number(dmean[i], (double)want[i], 1e-13 * (double)bound[i] + 1e-300, 0, "dmean", i);
    }
    if (dvar) {
        plain_slopes(want, bound, &c, m, u, ldu, n_u, -2);
        for (int64_t i = 0; i < size; i++)
            near_number(dvar[i], (double)want[i], 1e-13 * (double)bound[i] + 1e-300, 0, "dvar", i);
    }
    points_free(z);
    points_free(x);
    free(want);
    free(bound);
    free(alpha);
    free(u);
    free(dmean);
    free(dvar);
    free(first);
    free(block);
    cloud_fini(&c);
}

Test(kernel_predict, slopes_of_mean_and_variance_are_those_of_the_pairs)
{
    static const int64_t sizes[] = {1, 17, 65, 130, 256, 300};
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(sizes); at++) {
            const int64_t n = sizes[at], other = sizes[(at + of) % COUNT(sizes)];
            slopes_agree(&shapes[of], (uint64_t)(of + 100 * at), 1 + at % 3, n, other);
        }
}

Test(kernel_predict, slopes_of_one_moment_leave_the_other_alone)
{
    for (int64_t of = 0; of < n_shapes; of++) {
        slopes_agree(&shapes[of], 5, 2, 33, 0);
        slopes_agree(&shapes[of], 5, 2, 0, 33);
    }
}

// ---- acquisition

static const hpt__acq acquisitions[] = {
    {.kind = HPT__ACQ_LOGEI, .best = 0.3},
    {.kind = HPT__ACQ_LOGEI, .best = -2, .noise = 0.01},
    {.kind = HPT__ACQ_LCB, .beta = 2.5},
    {.kind = HPT__ACQ_PE, .beta = 1.5, .tau = 0.4},
    {.kind = HPT__ACQ_MEAN},
    {.kind = HPT__ACQ_SD},
};

Test(kernel_predict, acquisition_values_and_derivatives_are_the_hosts)
{
    static const int64_t many[] = {1, 255, 256, 257};
    for (int64_t a = 0; a < COUNT(acquisitions); a++)
        for (int64_t at = 0; at < COUNT(many); at++) {
            const hpt__acq *acq = &acquisitions[a];
            const int64_t m = many[at];
            const size_t bytes = (size_t)m * sizeof(double);
            double *mean = numbers(m), *var = numbers(m);
            double *value = marked(m), *by_mean = marked(m), *by_var = marked(m);
            for (int64_t j = 0; j < m; j++) { // all branches of LogEI: u from 20 to -1e8
                mean[j] = (j % 17 < 8 ? 0.3 : 40.0) * sin((double)j);
                var[j] = j % 9 == 0 ? 0 : exp(-(double)(j % 11));
            }
            const bool no_mean = acq->kind == HPT__ACQ_SD, no_var = acq->kind == HPT__ACQ_MEAN;
            cuda__acquire_args args = {*acq, no_mean ? NULL : mean, no_var ? NULL : var, value, NULL, NULL, m};
            kernel_run("cuda_acquire", tiles(m, CUDA__THREADS), 1, &args, &(output){value, bytes}, 1);
            args.by_mean = by_mean;
            args.by_var = by_var;
            const output all[] = {{value, bytes}, {by_mean, bytes}, {by_var, bytes}};
            kernel_run("cuda_acquire", tiles(m, CUDA__THREADS), 1, &args, all, 3);
            for (int64_t j = 0; j < m; j++) {
                const double mu = no_mean ? 0 : mean[j], v = no_var ? 0 : var[j];
                double dmean, dvar;
                hpt__acq_derivatives(&dmean, &dvar, acq, mu, v);
                near_number(value[j], hpt__acq_value(acq, mu, v), 0, 1e-14, "value", j);
                near_number(by_mean[j], dmean, 0, 1e-14, "by mean", j);
                near_number(by_var[j], dvar, 0, 1e-14, "by variance", j);
            }
            free(mean);
            free(var);
            free(value);
            free(by_mean);
            free(by_var);
        }
}

Test(kernel_predict, the_chain_adds_what_is_there)
{
    static const struct { int64_t m, d; } many[] = {{1, 1}, {17, 15}, {16, 16}, {257, 3}};
    for (int64_t at = 0; at < COUNT(many); at++)
        for (int what = 0; what < 4; what++) {
            const int64_t m = many[at].m, d = many[at].d;
            double *by_mean = columns(m, 1, m), *by_var = columns(m, 1, m), *dmean = columns(m * d, 1, m * d);
            double *dvar = columns(m * d, 1, m * d), *grad = marked(m * d);
            if (!(what & 1)) by_mean[0] = NAN; // what is not wanted may hold anything
            if (!(what & 2)) by_var[0] = NAN;
            const cuda__chain_args args = {by_mean, what & 1 ? dmean : NULL, by_var, what & 2 ? dvar : NULL, grad, m,
                                           d};
            kernel_run("cuda_chain", tiles(m * d, CUDA__THREADS), 1, &args,
                       &(output){grad, (size_t)(m * d) * sizeof *grad}, 1);
            for (int64_t i = 0; i < m * d; i++) {
                double want = 0;
                if (what & 1) want += by_mean[i / d] * dmean[i];
                if (what & 2) want += by_var[i / d] * dvar[i];
                near_number(grad[i], want, 1e-15, 1e-15, "gradient", i);
            }
            free(by_mean);
            free(by_var);
            free(dmean);
            free(dvar);
            free(grad);
        }
}

// ---- the best

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_rank(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

// Rounds until one block is left, as the host code does it.
static void top_agrees(const double *values, int64_t m, int64_t k) {
    ranked *order = malloc((size_t)m * sizeof *order);
    cr_assert_not_null(order);
    for (int64_t j = 0; j < m; j++) order[j] = (ranked){isnan(values[j]) ? -INFINITY : values[j], j};
    qsort(order, (size_t)m, sizeof *order, by_rank);
    double *value = numbers(m);
    memcpy(value, values, (size_t)m * sizeof *value);
    int64_t *index = NULL, left = m;
    for (int64_t blocks = 2; blocks > 1;) {
        blocks = tiles(left, CUDA__SORT);
        double *best = marked(blocks * k);
        int64_t *best_index = malloc((size_t)(blocks * k) * sizeof *best_index);
        cr_assert_not_null(best_index);
        memset(best_index, 0x55, (size_t)(blocks * k) * sizeof *best_index);
        const cuda__top_args args = {value, index, best, best_index, left, k};
        const output outputs[] = {{best, (size_t)(blocks * k) * sizeof *best},
                                  {best_index, (size_t)(blocks * k) * sizeof *best_index}};
        kernel_run("cuda_top", blocks, 1, &args, outputs, 2);
        free(value);
        free(index);
        value = best;
        index = best_index;
        left = blocks * k;
    }
    for (int64_t j = 0; j < k; j++) {
        cr_assert_eq(index[j], j < m ? order[j].index : -1, "place %lld of m = %lld, k = %lld: %lld", (long long)j,
                     (long long)m, (long long)k, (long long)index[j]);
        if (j < m) cr_assert_eq(value[j], order[j].value);
    }
    free(order);
    free(value);
    free(index);
}

Test(kernel_predict, the_best_come_first_and_ties_by_the_smaller_index)
{
    static const int64_t many[] = {1, 2, 511, 1023, 1024, 1025, 2049, 5000}, wanted[] = {1, 7, 512};
    for (int64_t at = 0; at < COUNT(many); at++)
        for (int64_t w = 0; w < COUNT(wanted); w++)
            for (int how = 0; how < 4; how++) {
                double *values = columns(many[at], 1, many[at]);
                for (int64_t j = 0; j < many[at]; j++) {
                    if (how == 1) values[j] = floor(4 * values[j]); // many ties
                    if (how == 2) values[j] = (double)j;
                    if (how == 3 && j % 3 == 0) values[j] = j % 2 ? NAN : -INFINITY; // no numbers come last
                }
                top_agrees(values, many[at], wanted[w]);
                free(values);
            }
}
