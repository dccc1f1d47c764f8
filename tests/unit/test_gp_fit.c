// SPDX-License-Identifier: Apache-2.0
// test_gp_fit.c: the fit against samples of known Gaussian processes; the schedule; calibration.
#include "gp_testing.h"

#include "core/base/lbfgsb.h"

// z = L e with K + noise I = L L' at the rows: a sample of the prior under theta.
static void sample_prior(double *y, bench *b, const double *rows, const uint64_t *mask, int64_t n, const double *theta,
                         hpt__rng *rng) {
    const double noise = exp(theta[hpt__cov_n_theta(&b->code.cov) - 1]);
    double *k = malloc((size_t)(n * n) * sizeof *k);
    OK(hpt__cov_build(b->device, &b->code.cov, theta, rows, mask, n, k, n));
    for (int64_t j = 0; j < n; j++) {
        k[j + j * n] += 1e-9;
        for (int64_t l = 0; l < j; l++) k[j + j * n] -= k[j + l * n] * k[j + l * n];
        k[j + j * n] = sqrt(k[j + j * n]);
        for (int64_t i = j + 1; i < n; i++) {
            for (int64_t l = 0; l < j; l++) k[i + j * n] -= k[i + l * n] * k[j + l * n];
            k[i + j * n] /= k[j + j * n];
        }
    }
    double *e = malloc((size_t)n * sizeof *e);
    for (int64_t i = 0; i < n; i++) e[i] = hpt__rng_normal(rng);
    for (int64_t i = 0; i < n; i++) {
        y[i] = sqrt(noise) * hpt__rng_normal(rng);
        for (int64_t l = 0; l <= i; l++) y[i] += k[i + l * n] * e[l];
    }
    free(e);
    free(k);
}

enum { N = 120, D = 4, TEST = 200 };

// log posterior of theta for the standardised values.
static double log_posterior(bench *b, hpt__gp *gp, const double *theta) {
    double value;
    OK(hpt__model_mll(hpt__gp_model(gp), theta, hpt__gp_z(gp), hpt__gp_n(gp), &value, NULL));
    return value + hpt__gp_log_prior(&b->code.cov, theta, NULL);
}

Test(gp_fit, recovers_the_lengthscales_of_a_sample)
{
    bench b;
    bench_open(&b, plain_space(D), NAN, false);
    const double truth[] = {log(0.3), log(1.0), log(0.6), log(30), 0, log(1e-3)};
    static double rows[N * D], y[N];
    static uint64_t mask[N];
    hpt__rng rng;
    hpt__rng_init(&rng, 21, 0);
    random_rows(rows, mask, &b, N, &rng);
    sample_prior(y, &b, rows, mask, N, truth, &rng);
    double start[D + 2];
    memcpy(start, hpt__gp_theta(b.gp), sizeof start);
    OK(hpt__gp_tell(b.gp, rows, mask, y, N));
    cr_expect_eq(hpt__gp_fit(b.gp, false), 0);
    const double *theta = hpt__gp_theta(b.gp);
    cr_expect_float_eq(theta[0], truth[0], log(1.6));
    cr_expect_float_eq(theta[1], truth[1], log(2.2));
    cr_expect_float_eq(theta[2], truth[2], log(1.8));
    cr_expect_gt(theta[3], log(2)); // without effect
    cr_expect(exp(0.5 * theta[D + 1]) < 0.15, "noise %g", exp(0.5 * theta[D + 1]));
    cr_expect_gt(log_posterior(&b, b.gp, theta), log_posterior(&b, b.gp, start) + 10);
    // A stationary point: differences in every direction are small.
    double near[D + 2];
    for (int j = 0; j < D + 2; j++) {
        memcpy(near, theta, sizeof near);
        near[j] += 1e-3;
        const double up = log_posterior(&b, b.gp, near);
        near[j] -= 2e-3;
        cr_expect(fabs(up - log_posterior(&b, b.gp, near)) / 2e-3 < 0.5, "slope in direction %d", j);
    }
    bench_close(&b);
}

// One search alone, as gp_fit.c sets it up.
static void search_alone(double *best, double *theta, bench *b, const double *start, int64_t n) {
    const int64_t p = hpt__cov_n_theta(&b->code.cov);
    const hpt__lbfgsb_options options = {
        .gradient_tolerance = 1e-2, .decrease_tolerance = 1e-6, .max_evaluations = 60, .first_step = 0.5};
    double low[16], high[16], gradient[16], f;
    hpt__lbfgsb s = {0};
    hpt__gp_bounds(low, high, &b->code.cov, 1e-6);
    OK(hpt__lbfgsb_init(&s, p, low, high, start, &options));
    do {
        OK(hpt__model_mll(hpt__gp_model(b->gp), hpt__lbfgsb_point(&s), hpt__gp_z(b->gp), n, &f, gradient));
        f = -(f + hpt__gp_log_prior(&b->code.cov, hpt__lbfgsb_point(&s), gradient));
        for (int64_t j = 0; j < p; j++) gradient[j] = -gradient[j];
    } while (hpt__lbfgsb_tell(&s, f, gradient) == HPT__LBFGSB_EVALUATE);
    const double *x = hpt__lbfgsb_result(&s, &f);
    if (f < *best) {
        *best = f;
        memcpy(theta, x, (size_t)p * sizeof *theta);
    }
    hpt__lbfgsb_fini(&s);
}

Test(gp_fit, searches_that_advance_together_end_where_one_after_the_other_does)
{
    enum { P = D + 2, MANY = 40 };
    bench b;
    hpt__rng rng;
    static double rows[2 * MANY * D], y[2 * MANY];
    static uint64_t mask[2 * MANY];
    double start[P], theta[P];
    bench_open(&b, plain_space(D), NAN, false);
    hpt__rng_init(&rng, 4, 0);
    random_rows(rows, mask, &b, 2 * MANY, &rng);
    for (int i = 0; i < 2 * MANY; i++) y[i] = smooth(rows + i * D, D) + 0.1 * hpt__rng_normal(&rng);
    double last[P];
    for (int round = 0; round < 2;
         round++) { // the first from the default and two random places, the second from the optimum too
        const int64_t n = (round + 1) * MANY;
        double best = INFINITY;
        OK(hpt__gp_tell(b.gp, rows + round * MANY * D, mask + round * MANY, y + round * MANY, MANY));
        OK(hpt__gp_fit(b.gp, false));
        if (round == 1) search_alone(&best, theta, &b, last, n);
        hpt__rng starts;
        hpt__rng_init(&starts, 7, hpt__rng_mix(0x66697467, 2 * (uint64_t)round));
        for (int k = 0; k < 3; k++) {
            for (int c = 0; c < D; c++) start[c] = log(0.3 * sqrt(D)) + (k ? hpt__rng_normal(&starts) : 0);
            start[D] = 0;
            start[D + 1] = k ? -8 + 6 * hpt__rng_uniform(&starts) : -6;
            search_alone(&best, theta, &b, start, n);
        }
        for (int j = 0; j < P; j++) cr_expect_eq(hpt__gp_theta(b.gp)[j], theta[j], "round %d, %d", round, j);
        memcpy(last, theta, sizeof last);
    }
    bench_close(&b);
}

Test(gp_fit, fixed_noise_stays_fixed_in_units_of_the_objective)
{
    bench b;
    bench_open(&b, plain_space(2), 3.0, false);
    static double rows[2 * 40], y[40];
    uint64_t mask[40];
    hpt__rng rng;
    hpt__rng_init(&rng, 22, 0);
    random_rows(rows, mask, &b, 40, &rng);
    for (int i = 0; i < 40; i++) y[i] = 100 * smooth(rows + 2 * i, 2) + 3 * hpt__rng_normal(&rng);
    OK(hpt__gp_tell(b.gp, rows, mask, y, 40));
    cr_expect_eq(hpt__gp_fit(b.gp, false), 0);
    OK(hpt__gp_ready(b.gp));
    cr_expect_float_eq(hpt__gp_noise_sd(b.gp) * hpt__gp_warp(b.gp)->sd, 3, 1e-9);
    bench_close(&b);
}

Test(gp_fit, follows_its_schedule)
{
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    static double rows[2 * 150], y[150];
    static uint64_t mask[150];
    hpt__rng rng;
    hpt__rng_init(&rng, 23, 0);
    random_rows(rows, mask, &b, 150, &rng);
    for (int i = 0; i < 150; i++) y[i] = smooth(rows + 2 * i, 2);
    int64_t likelihoods = 0, early = 0;
    for (int i = 0; i < 150; i++) {
        OK(hpt__gp_tell(b.gp, rows + 2 * i, &mask[i], &y[i], 1));
        OK(hpt__gp_fit(b.gp, false));
        const int64_t so_far = hpt__device_counters(b.device)->calls[HPT__OP_MLL];
        cr_expect_eq(hpt__gp_fit(b.gp, false), HPT_S_NOTHING, "nothing was told since");
        cr_expect_eq(hpt__device_counters(b.device)->calls[HPT__OP_MLL], so_far);
        if (i == 74) early = so_far;
        likelihoods = so_far;
    }
    cr_log_info("likelihoods: %d to n = 75, %d to n = 150", (int)early, (int)likelihoods);
    cr_expect_lt(likelihoods - early, early / 2); // geometric: later points cost less of them
    cr_expect_eq(hpt__gp_fit(b.gp, true), 0, "force searches all the same");
    bench_close(&b);
}

Test(gp_fit, chooses_the_tail_where_the_bad_half_is_exponential_and_none_on_a_plain_sample)
{
    for (int heavy = 0; heavy < 2; heavy++) {
        bench b;
        bench_open(&b, plain_space(2), NAN, true);
        static double rows[2 * 60], y[60];
        uint64_t mask[60];
        hpt__rng rng;
        hpt__rng_init(&rng, 24, 0);
        random_rows(rows, mask, &b, 60, &rng);
        for (int i = 0; i < 60; i++) y[i] = heavy ? exp(6 * smooth(rows + 2 * i, 2)) : smooth(rows + 2 * i, 2);
        OK(hpt__gp_tell(b.gp, rows, mask, y, 60));
        OK(hpt__gp_fit(b.gp, false));
        cr_expect_eq(hpt__gp_warp(b.gp)->kind, heavy ? HPT__WARP_LOG_TAIL : HPT__WARP_NONE);
        bench_close(&b);
    }
}

Test(gp_fit, noise_that_is_large_is_found)
{
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    static double rows[2 * N], y[N];
    static uint64_t mask[N];
    hpt__rng rng;
    hpt__rng_init(&rng, 25, 0);
    random_rows(rows, mask, &b, N, &rng);
    for (int i = 0; i < N; i++) y[i] = smooth(rows + 2 * i, 2) + 0.5 * hpt__rng_normal(&rng);
    OK(hpt__gp_tell(b.gp, rows, mask, y, N));
    OK(hpt__gp_fit(b.gp, false));
    OK(hpt__gp_ready(b.gp));
    const double noise = hpt__gp_noise_sd(b.gp) * hpt__gp_warp(b.gp)->sd;
    cr_expect(noise > 0.4 && noise < 0.65, "%g, true 0.5", noise);
    bench_close(&b);
}

Test(gp_fit, posterior_is_calibrated_on_samples_of_the_prior)
{
    const double truth[] = {log(0.4), log(0.8), log(1.5), log(0.5), 0, log(1e-4)};
    enum { SEEDS = 12, TOLD = 60 };
    static double rows[(TOLD + TEST) * D], y[TOLD + TEST], mean[TEST], sd[TEST];
    static uint64_t mask[TOLD + TEST];
    int inside = 0, total = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        bench b;
        bench_open(&b, plain_space(D), NAN, true);
        hpt__rng rng;
        hpt__rng_init(&rng, 100 + (uint64_t)seed, 0);
        random_rows(rows, mask, &b, TOLD + TEST, &rng);
        sample_prior(y, &b, rows, mask, TOLD + TEST, truth, &rng);
        OK(hpt__gp_tell(b.gp, rows, mask, y, TOLD));
        OK(hpt__gp_fit(b.gp, false));
        OK(hpt__gp_predict(b.gp, rows + TOLD * D, mask + TOLD, TEST, mean, sd));
        for (int i = 0; i < TEST; i++) {
            inside += fabs(y[TOLD + i] - mean[i]) <= 2 * sd[i] + 0.02;
            total++;
        }
        bench_close(&b);
    }
    const double fraction = (double)inside / total;
    cr_log_info("within 2 sd: %.3f", fraction);
    cr_expect(fraction > 0.9 && fraction < 0.99, "%g of the points are within 2 sd", fraction);
}
