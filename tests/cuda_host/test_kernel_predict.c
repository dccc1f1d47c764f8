// SPDX-License-Identifier: Apache-2.0
// test_kernel_predict.c: moments, slopes and acquisition values of candidates and the choice of the best, against `ref`, the host's
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

// parts > 1: the points are cut, and cuda_chain adds. grad: with weights of mean and variance.
static void slopes_agree(const shape *of, uint64_t seed, int64_t m, int64_t n_alpha, int64_t n_u, int64_t part_rows) {
    cloud c;
    const int64_t n = n_alpha > n_u ? n_alpha : n_u, ldu = n + 3, d = of->d, size = m * d,
                  n_parts = tiles(n, part_rows);
    long double *want[2], *bound[2];
    for (int i = 0; i < 2; i++) {
        want[i] = calloc((size_t)size, sizeof *want[i]);
        bound[i] = calloc((size_t)size, sizeof *bound[i]);
        cr_assert(want[i] && bound[i]);
    }
    cloud_init(&c, of, seed, m + n);
    double *alpha = n_alpha ? columns(n_alpha, 1, n_alpha) : NULL, *u = n_u ? columns(n_u, m, ldu) : NULL;
    double *out[3] = {n_alpha ? marked(size) : NULL, n_u ? marked(size) : NULL, marked(size)};
    double *parts = marked(2 * n_parts * size), *by_mean = columns(m, 1, m), *by_var = columns(m, 1, m);
    int32_t *first = malloc((size_t)c.s.n_groups * sizeof *first),
            *block = malloc((size_t)c.s.n_groups * sizeof *block);
    cr_assert(first && block);
    memcpy(first, c.s.group_first, (size_t)c.s.n_groups * sizeof *first);
    memcpy(block, c.s.group_block, (size_t)c.s.n_groups * sizeof *block);
    const cuda__points z = cloud_points(&c, 0, m, m + 1), x = cloud_points(&c, m, n, n + 2);
    const cuda__slopes_args args = {c.s.cov,      x,       z,        first,  block,   alpha,  u,      n_alpha,
                                    n_u,          ldu,     out[0],   out[1], by_mean, by_var, out[2], parts,
                                    c.s.n_groups, n_parts, part_rows};
    const cuda__chain_args chain = {parts, by_mean, by_var, out[0], out[1], out[2], n_parts, m, d};
    output outputs[3];
    int64_t n_outputs = 0;
    for (int i = 0; i < 3; i++)
        if (out[i]) outputs[n_outputs++] = (output){out[i], (size_t)size * sizeof *out[i]};
    if (n_parts > 1) {
        kernel_run("cuda_slopes", m, c.s.n_groups * n_parts, &args,
                   &(output){parts, (size_t)(2 * n_parts * size) * sizeof *parts}, 1);
        kernel_run("cuda_chain", tiles(size, CUDA__THREADS), 1, &chain, outputs, n_outputs);
    } else {
        kernel_run("cuda_slopes", m, c.s.n_groups, &args, outputs, n_outputs);
    }
    if (alpha) plain_slopes(want[0], bound[0], &c, m, alpha, 0, n_alpha, 1);
    if (u) plain_slopes(want[1], bound[1], &c, m, u, ldu, n_u, -2);
    for (int64_t i = 0; i < size; i++) {
        const double a = by_mean[i / d], b = by_var[i / d];
        for (int k = 0; k < 2; k++)
            if (out[k]) near_number(out[k][i], (double)want[k][i], 1e-13 * (double)bound[k][i] + 1e-300, 0, "slope", i);
        near_number(out[2][i], (double)(a * want[0][i] + b * want[1][i]),
                    1e-13 * (double)(bound[0][i] + bound[1][i]) + 1e-300, 0, "gradient", i);
    }
    points_free(z);
    points_free(x);
    free(alpha);
    free(u);
    for (int i = 0; i < 2; i++) {
        free(want[i]);
        free(bound[i]);
    }
    for (int i = 0; i < 3; i++) free(out[i]);
    free(parts);
    free(by_mean);
    free(by_var);
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
            slopes_agree(&shapes[of], (uint64_t)(of + 100 * at), 1 + at % 3, n, other, 1000);
        }
}

Test(kernel_predict, slopes_of_one_moment_leave_the_other_alone)
{
    for (int64_t of = 0; of < n_shapes; of++) {
        slopes_agree(&shapes[of], 5, 2, 33, 0, 1000);
        slopes_agree(&shapes[of], 5, 2, 0, 33, 1000);
    }
}

Test(kernel_predict, parts_of_slopes_add_up)
{
    for (int64_t of = 0; of < n_shapes; of++) {
        slopes_agree(&shapes[of], 6, 3, 300, 280, 100);
        slopes_agree(&shapes[of], 6, 1, 0, 65, 64);
        slopes_agree(&shapes[of], 6, 2, 66, 300, 75); // a part in which only one has rows
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

// what: 1 mean, 2 variance, 4 an acquisition, 8 its derivatives.
static void moments_agree(const shape *of, int64_t m, int64_t n_k, int64_t n_v, const hpt__acq *acq, int what) {
    cloud c;
    const int64_t ldk = n_k + 1, ldv = n_v + 2;
    cloud_init(&c, of, 7, m);
    double *k = columns(n_k, m, ldk), *v = columns(n_v, m, ldv), *alpha = columns(n_k, 1, n_k);
    double *out[5];
    for (int i = 0; i < 5; i++) out[i] = marked(m);
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < n_v; i++)
            v[i + j * ldv] *= j % 3 ? 0.02 : 2; // what is known: little, or more than there is
    const cuda__points z = cloud_points(&c, 0, m, m);
    const bool mean = what & 1, var = what & 2, value = what & 4, by = what & 8;
    const cuda__moments_args args = {.cov = c.s.cov,
                                     .z = z,
                                     .k = mean ? k : NULL,
                                     .alpha = alpha,
                                     .v = var ? v : NULL,
                                     .n_k = n_k,
                                     .ldk = ldk,
                                     .n_v = n_v,
                                     .ldv = ldv,
                                     .mean = out[0],
                                     .var = out[1],
                                     .acq = *acq,
                                     .value = value ? out[2] : NULL,
                                     .by_mean = by ? out[3] : NULL,
                                     .by_var = by ? out[4] : NULL};
    output outputs[5];
    for (int i = 0; i < 5; i++) outputs[i] = (output){out[i], (size_t)m * sizeof *out[i]};
    kernel_run("cuda_moments", m, 1, &args, outputs, 5);
    for (int64_t j = 0; j < m; j++) {
        long double sum = 0, known = 0;
        for (int64_t i = 0; i < n_k; i++) sum += (long double)k[i + j * ldk] * alpha[i];
        for (int64_t i = 0; i < n_v; i++) known += (long double)v[i + j * ldv] * v[i + j * ldv];
        const double prior = hpt__cov_variance(&c.p.cov, c.p.theta, c.mask[j]);
        double dmean, dvar;
        if (mean) near_number(out[0][j], (double)sum, 1e-16 * (double)(n_k + 10), 0, "mean", j);
        if (var)
            near_number(out[1][j], fmax(prior - (double)known, 0), 1e-15 * (prior + (double)known), 0, "variance", j);
        const double mu = mean ? out[0][j] : 0, sd2 = var ? out[1][j] : 0; // what the acquisition was given
        hpt__acq_derivatives(&dmean, &dvar, acq, mu, sd2);
        if (value) near_number(out[2][j], hpt__acq_value(acq, mu, sd2), 0, 1e-14, "value", j);
        if (by) near_number(out[3][j], dmean, 0, 1e-14, "by mean", j);
        if (by) near_number(out[4][j], dvar, 0, 1e-14, "by variance", j);
        const bool written[] = {mean, var, value, by, by};
        for (int i = 0; i < 5; i++) cr_assert_eq(is_marked(out[i][j]), !written[i], "output %d", i);
    }
    points_free(z);
    free(k);
    free(v);
    free(alpha);
    for (int i = 0; i < 5; i++) free(out[i]);
    cloud_fini(&c);
}

Test(kernel_predict, moments_are_the_products_and_never_a_negative_variance)
{
    static const int64_t many[] = {1, 31, 255, 256, 257, 600};
    for (int64_t of = 0; of < n_shapes; of++)
        for (int64_t at = 0; at < COUNT(many); at++)
            moments_agree(&shapes[of], 1 + at % 3, many[at], many[(at + of) % COUNT(many)], &acquisitions[0],
                          1 + (int)(at % 3));
}

Test(kernel_predict, acquisition_values_and_derivatives_are_the_hosts)
{
    for (int64_t a = 0; a < COUNT(acquisitions); a++) {
        const hpt__acq *acq = &acquisitions[a];
        const int what = (acq->kind == HPT__ACQ_SD ? 0 : 1) | (acq->kind == HPT__ACQ_MEAN ? 0 : 2);
        for (int64_t m = 1; m < 40; m += 13) {
            moments_agree(&shapes[a % n_shapes], m, 40, 33, acq, what | 4);
            moments_agree(&shapes[a % n_shapes], m, 40, 33, acq, what | 12);
        }
    }
}

Test(kernel_predict, the_hosts_formulas_hold_in_all_branches_of_logei)
{
    // One point, whose products are given: mean in a factor of 1, variance as what is left of the prior.
    cloud c;
    cloud_init(&c, &(shape){HPT__COV_RBF, 1, 1, false, false}, 3, 1);
    const cuda__points z = cloud_points(&c, 0, 1, 1);
    const double prior = exp(c.p.theta[1]);
    for (int64_t j = 0; j < 400; j++) { // u from 20 to -1e8
        const double left = prior * exp(-(double)(j % 31)), one = 1, v = sqrt(prior - left);
        const double k = (j % 17 < 8 ? 0.3 : 40.0) * sin((double)j);
        double out[5], dmean, dvar;
        const hpt__acq acq = acquisitions[j % 2];
        const cuda__moments_args args = {c.s.cov, z,   &k,      &one, &v,      1,       1,      1,
                                         1,       out, out + 1, acq,  out + 2, out + 3, out + 4};
        kernel_run("cuda_moments", 1, 1, &args, &(output){out, sizeof out}, 1);
        hpt__acq_derivatives(&dmean, &dvar, &acq, out[0], out[1]);
        near_number(out[2], hpt__acq_value(&acq, out[0], out[1]), 0, 1e-14, "value", j);
        near_number(out[3], dmean, 0, 1e-14, "by mean", j);
        near_number(out[4], dvar, 0, 1e-14, "by variance", j);
    }
    points_free(z);
    cloud_fini(&c);
}

// ---- candidates that stay

Test(kernel_predict, a_row_more_is_that_of_the_factor)
{
    static const int64_t many[] = {0, 1, 31, 256, 300};
    for (int64_t at = 0; at < COUNT(many); at++) {
        const int64_t n = many[at], m = 1 + at, ld = n + 3;
        double *l = columns(n + 1, 1, n + 1), *k = columns(m, 1, m), *var = columns(m, 1, m),
               *v = columns(n + 1, m, ld);
        double *was = columns(m, 1, m);
        const size_t bytes = (size_t)((m - 1) * ld + n + 1) * sizeof *v;
        l[n] = 0.7;
        memcpy(was, var, (size_t)m * sizeof *was);
        for (int64_t j = 0; j < m; j++) v[n + j * ld] = NAN; // not read
        const cuda__pool_row_args args = {l, k, v, var, n, ld};
        const output outputs[] = {{v, bytes}, {var, (size_t)m * sizeof *var}};
        kernel_run("cuda_pool_row", m, 1, &args, outputs, 2);
        for (int64_t j = 0; j < m; j++) {
            long double sum = k[j];
            for (int64_t i = 0; i < n; i++) sum -= (long double)l[i] * v[i + j * ld];
            near_number(v[n + j * ld], (double)(sum / 0.7), 1e-13, 1e-13, "row", j);
            near_number(var[j], was[j] - v[n + j * ld] * v[n + j * ld], 1e-15, 1e-15, "variance", j);
        }
        free(l);
        free(k);
        free(v);
        free(var);
        free(was);
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
