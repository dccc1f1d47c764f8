// SPDX-License-Identifier: Apache-2.0
// test_gp_model.c: what is told in any order gives the posterior of a fresh model; saved states; extremes; memory.
#include "gp_testing.h"

enum { M = 24, MOST = 400 };

// Mean and deviation at M fixed points.
static void predict(double *mean, double *sd, bench *b, hpt__gp *gp) {
    double rows[M * 64];
    uint64_t mask[M];
    hpt__rng rng;
    hpt__rng_init(&rng, 99, 0);
    random_rows(rows, mask, b, M, &rng);
    OK(hpt__gp_predict(gp, rows, mask, M, mean, sd));
}

static void expect_same(bench *b, hpt__gp *one, hpt__gp *two, double tolerance, const char *when) {
    double mean[2][M], sd[2][M];
    predict(mean[0], sd[0], b, one);
    predict(mean[1], sd[1], b, two);
    const double unit = hpt__gp_warp(two)->sd;
    for (int i = 0; i < M; i++) {
        cr_expect(fabs(mean[0][i] - mean[1][i]) <= tolerance * unit, "%s: mean %.17g, fresh %.17g", when, mean[0][i],
                  mean[1][i]);
        cr_expect(fabs(sd[0][i] - sd[1][i]) <= tolerance * unit, "%s: sd %.17g, fresh %.17g", when, sd[0][i], sd[1][i]);
    }
}

// A gp with the data, pending points and hyperparameters of another, all told at once.
static hpt__gp *fresh_copy(bench *b, hpt__gp *gp, const double *y, bool warp) {
    hpt__arena arena = {0};
    hpt__arena_init(&arena);
    hpt__str text = HPT__STR_INIT;
    hpt__json *state;
    hpt__gp *copy = another_gp(b, NAN, warp);
    const int64_t n = hpt__gp_n(gp), d = b->code.cov.d;
    OK(hpt__gp_tell(copy, hpt__gp_rows(gp), hpt__gp_masks(gp), y, n));
    hpt__gp_state_json(&text, gp);
    char *cut = strstr(hpt__str_text(&text), ", \"factor\""); // not how it came about
    if (cut) (void)strcpy(cut, "}");
    OK(hpt__json_parse(&state, &arena, hpt__str_text(&text), strlen(hpt__str_text(&text))));
    OK(hpt__gp_state_from_json(copy, state));
    OK(hpt__gp_set_pending(copy, hpt__gp_rows(gp) + n * d, hpt__gp_masks(gp) + n, hpt__gp_n_pending(gp)));
    OK(hpt__gp_ready(copy));
    hpt__str_fini(&text);
    hpt__arena_fini(&arena);
    return copy;
}

static bool fail_sometimes(size_t size, void *payload) {
    (void)size;
    return (*(int64_t *)payload)-- == 0;
}

static void interleave(hpt_space *space, uint64_t seed, bool warp) {
    bench b;
    bench_open(&b, space, NAN, warp);
    const int64_t d = b.code.cov.d;
    double y[MOST], rows[8 * 64], value[8];
    uint64_t mask[8];
    hpt__rng rng;
    hpt__rng_init(&rng, seed, 0);
    for (int step = 0; step < 120; step++) {
        const int64_t n = hpt__gp_n(b.gp), k = 1 + hpt__rng_below(&rng, 5);
        random_rows(rows, mask, &b, 8, &rng);
        for (int i = 0; i < 8; i++) value[i] = smooth(rows + i * d, d) + 0.1 * hpt__rng_normal(&rng);
        const int64_t what = hpt__rng_below(&rng, 100);
        if (what < 40 && n + k <= MOST) {
            OK(hpt__gp_tell(b.gp, rows, mask, value, k));
            memcpy(y + n, value, (size_t)k * sizeof *y);
        } else if (what < 50 && n > 0) {
            const int64_t i = hpt__rng_below(&rng, n);
            y[i] = what == 49 ? INFINITY : value[0];
            OK(hpt__gp_set_value(b.gp, i, y[i]));
        } else if (what < 60) {
            OK(hpt__gp_set_pending(b.gp, rows, mask, k - 1));
        } else if (what < 75) {
            OK(hpt__gp_add_pending(b.gp, rows, mask[0]));
        } else if (what < 77) {
            OK(hpt__gp_clear(b.gp));
        } else if (what < 85 && n > 0 && n < 60) {
            OK(hpt__gp_fit(b.gp, what == 77));
        } else if (what < 90 && n > 0) {
            OK(hpt__gp_ready_doubtful(b.gp, 0.25, 1));
        } else { // something that fails
            int64_t left = hpt__rng_below(&rng, 4);
            hpt__alloc_set_hook(fail_sometimes, &left);
            int rc = what < 95 ? hpt__gp_tell(b.gp, rows, mask, (double[]){NAN}, 1)
                               : hpt__gp_set_pending(b.gp, rows, mask, 8);
            if (rc < 0 && n > 0) rc = hpt__gp_ready(b.gp);
            (void)rc;
            hpt__alloc_set_hook(NULL, NULL);
        }
        if (hpt__gp_n(b.gp) < 1 || hpt__rng_below(&rng, 3) > 0) continue;
        OK(hpt__gp_ready(b.gp));
        hpt__gp *fresh = fresh_copy(&b, b.gp, y, warp);
        char when[64];
        (void)snprintf(when, sizeof when, "seed %d step %d n %d", (int)seed, step, (int)hpt__gp_n(b.gp));
        expect_same(&b, b.gp, fresh, 1e-8, when);
        hpt__gp_destroy(fresh);
    }
    bench_close(&b);
}

Test(gp_model, any_interleaving_gives_the_posterior_of_a_fresh_factor)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        interleave(plain_space(3), seed, seed % 2 == 0);
        interleave(rich_space(), seed + 100, seed % 2 == 1);
    }
}

Test(gp_model, a_saved_state_goes_on_in_every_bit)
{
    for (int rich = 0; rich < 2; rich++) {
        bench b;
        bench_open(&b, rich ? rich_space() : plain_space(4), NAN, true);
        const int64_t d = b.code.cov.d;
        hpt__gp *other = NULL;
        double *y = malloc(80 * sizeof *y), *rows = malloc((size_t)(80 * d) * sizeof *rows);
        uint64_t mask[80];
        hpt__rng rng;
        hpt__rng_init(&rng, 5, 0);
        random_rows(rows, mask, &b, 80, &rng);
        for (int i = 0; i < 80; i++) y[i] = exp(2 * smooth(rows + i * d, d));
        for (int n = 0; n < 80; n++) {
            if (n == 15 || n == 47) {
                hpt__gp_destroy(other);
                other = resumed_gp(&b, rows, mask, y, n);
            }
            hpt__gp *both[] = {b.gp, other};
            double mean[2][M], sd[2][M];
            for (int k = 0; k < (other ? 2 : 1); k++) {
                OK(hpt__gp_tell(both[k], rows + n * d, &mask[n], &y[n], 1));
                OK(hpt__gp_fit(both[k], false));
                OK(hpt__gp_ready(both[k]));
                OK(hpt__gp_add_pending(both[k], rows + (79 - n) * d, mask[79 - n]));
                predict(mean[k], sd[k], &b, both[k]);
            }
            if (!other) continue;
            cr_expect_eq(memcmp(mean[0], mean[1], sizeof mean[0]), 0, "means differ at n = %d", n);
            cr_expect_eq(memcmp(sd[0], sd[1], sizeof sd[0]), 0, "deviations differ at n = %d", n);
        }
        hpt__gp_destroy(other);
        free(y);
        free(rows);
        bench_close(&b);
    }
}

Test(gp_model, a_state_that_does_not_fit_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "null",
        "{\"warp\": \"none\"}",
        "{\"warp\": \"none\", \"n_fit\": 3, \"n_restart\": 3, \"n_searches\": 1, \"changed\": false, \"none\": {\"score\": 1, \"theta\": [0, 0]}}",
        "{\"warp\": \"none\", \"n_fit\": 3, \"n_restart\": 3, \"n_searches\": 1, \"changed\": false, \"none\": {\"score\": 1, \"theta\": [0, 0, 0, NaN]}}",
        "{\"warp\": \"none\", \"n_fit\": -3, \"n_restart\": 3, \"n_searches\": 1, \"changed\": false}",
        "{\"warp\": \"cubic\", \"n_fit\": 3, \"n_restart\": 3, \"n_searches\": 1, \"changed\": false}"};
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    hpt__str before = HPT__STR_INIT, after = HPT__STR_INIT;
    hpt__gp_state_json(&before, b.gp);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hpt__arena arena = {0};
        hpt__json *state;
        hpt__arena_init(&arena);
        OK(hpt__json_parse(&state, &arena, bad[i], strlen(bad[i])));
        cr_expect_eq(hpt__gp_state_from_json(b.gp, state), HPT_E_PARSE, "%s", bad[i]);
        hpt__arena_fini(&arena);
    }
    hpt__gp_state_json(&after, b.gp);
    cr_expect_str_eq(hpt__str_text(&after), hpt__str_text(&before));
    hpt__str_fini(&before);
    hpt__str_fini(&after);
    bench_close(&b);
}

static void finite_answers(bench *b, const double *rows, const uint64_t *mask, const double *y, int64_t n,
                           const char *name) {
    hpt__gp *gp = another_gp(b, NAN, true);
    double mean[M], sd[M];
    OK(hpt__gp_tell(gp, rows, mask, y, n));
    OK(hpt__gp_fit(gp, false));
    OK(hpt__gp_ready(gp));
    predict(mean, sd, b, gp);
    for (int i = 0; i < M; i++)
        cr_expect(isfinite(mean[i]) && isfinite(sd[i]) && sd[i] >= 0, "%s: %g, %g", name, mean[i], sd[i]);
    OK(hpt__gp_ready_doubtful(gp, 0.1, 1));
    predict(mean, sd, b, gp);
    for (int i = 0; i < M; i++) cr_expect(isfinite(mean[i]) && isfinite(sd[i]), "%s in doubt", name);
    hpt__gp_destroy(gp);
}

Test(gp_model, extremes_give_finite_answers)
{
    enum { N = 20 };
    for (int rich = 0; rich < 2; rich++) {
        bench b;
        bench_open(&b, rich ? rich_space() : plain_space(1), NAN, true);
        const int64_t d = b.code.cov.d;
        double rows[N * 64], y[N];
        uint64_t mask[N];
        hpt__rng rng;
        hpt__rng_init(&rng, 8, 0);
        random_rows(rows, mask, &b, N, &rng);
        static const char *const names[] = {"constant",     "two values", "huge",       "infinities",
                                            "all infinite", "tiny",       "one outlier"};
        for (int k = 0; k < 7; k++) {
            for (int i = 0; i < N; i++) {
                const double f = smooth(rows + i * d, d);
                const double choice[] = {
                    5,        i % 2,      f * 1e308,         i % 3 ? f : i % 2 ? INFINITY : -INFINITY,
                    INFINITY, f * 1e-310, i == 7 ? 1e300 : f};
                y[i] = choice[k];
            }
            finite_answers(&b, rows, mask, y, N, names[k]);
            finite_answers(&b, rows, mask, y, 1, names[k]);
            finite_answers(&b, rows, mask, y, 2, names[k]);
            finite_answers(&b, rows, mask, y, 3, names[k]);
        }
        for (int i = 1; i < N; i++) { // one point again and again
            memcpy(rows + i * d, rows, (size_t)d * sizeof *rows);
            mask[i] = mask[0];
        }
        for (int i = 0; i < N; i++) y[i] = hpt__rng_normal(&rng);
        finite_answers(&b, rows, mask, y, N, "duplicates");
        bench_close(&b);
    }
}

Test(gp_model, a_thousand_duplicates_average)
{
    enum { N = 1000 };
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    static double rows[2 * N], y[N];
    static uint64_t mask[N];
    hpt__rng rng;
    hpt__rng_init(&rng, 9, 0);
    for (int i = 0; i < N; i++) {
        rows[2 * i] = rows[2 * i + 1] = i % 4 * 0.3;
        mask[i] = 1;
        y[i] = i % 4 + hpt__rng_normal(&rng);
    }
    hpt__gp *gp = another_gp(&b, 1.0, false); // known noise
    OK(hpt__gp_tell(gp, rows, mask, y, N));
    OK(hpt__gp_ready(gp));
    double mean[4], sd[4];
    OK(hpt__gp_predict(gp, rows, mask, 4, mean, sd));
    for (int i = 0; i < 4; i++) {
        cr_expect_float_eq(mean[i], i, 0.25);
        cr_expect(sd[i] > 0.03 && sd[i] < 0.1, "%g", sd[i]); // 1 / sqrt(250)
    }
    hpt__gp_destroy(gp);
    bench_close(&b);
}

Test(gp_model, pending_points_narrow_the_variance_and_leave_the_mean)
{
    bench b;
    bench_open(&b, plain_space(2), NAN, false);
    double rows[20], y[10], mean[2], sd[2];
    uint64_t mask[10];
    hpt__rng rng;
    hpt__rng_init(&rng, 4, 0);
    random_rows(rows, mask, &b, 10, &rng);
    for (int i = 0; i < 10; i++) y[i] = smooth(rows + 2 * i, 2);
    OK(hpt__gp_tell(b.gp, rows, mask, y, 9));
    OK(hpt__gp_ready(b.gp));
    OK(hpt__gp_predict(b.gp, rows + 18, mask + 9, 1, mean, sd));
    OK(hpt__gp_add_pending(b.gp, rows + 18, mask[9]));
    OK(hpt__gp_predict(b.gp, rows + 18, mask + 9, 1, mean + 1, sd + 1));
    cr_expect_float_eq(mean[0], mean[1], 1e-10);
    cr_expect_lt(sd[1], 0.2 * sd[0]);
    OK(hpt__gp_set_pending(b.gp, NULL, NULL, 0));
    OK(hpt__gp_predict(b.gp, rows + 18, mask + 9, 1, mean + 1, sd + 1));
    cr_expect_eq(sd[0], sd[1]);
    bench_close(&b);
}

Test(gp_model, groups_seldom_seen_stay_in_doubt)
{
    bench b;
    bench_open(&b, rich_space(), NAN, false);
    const hpt__cov *cov = &b.code.cov;
    enum { N = 90 };
    double *rows = malloc((size_t)(N * cov->d) * sizeof *rows), y[N];
    uint64_t mask[N];
    hpt__rng rng;
    hpt__rng_init(&rng, 6, 0);
    random_rows(rows, mask, &b, N, &rng);
    for (int i = 0; i < N; i++) y[i] = rows[i * cov->d] + 0.01 * hpt__rng_normal(&rng); // the groups do not matter
    OK(hpt__gp_tell(b.gp, rows, mask, y, N));
    OK(hpt__gp_fit(b.gp, true));
    OK(hpt__gp_ready(b.gp));
    const double *theta = hpt__gp_theta(b.gp);
    for (int64_t g = 1; g < cov->n_blocks; g++) {
        int64_t seen = 0, columns = 0;
        for (int i = 0; i < N; i++) seen += mask[i] >> g & 1;
        for (int64_t c = 0; c < cov->d; c++) columns += cov->block[c] == g;
        if (seen < 6 * (columns + 1)) {
            cr_expect_geq(theta[cov->d + g], log(0.5));
            for (int64_t c = 0; c < cov->d; c++)
                if (cov->block[c] == g) cr_expect_leq(theta[c], log(0.5));
        } else {
            cr_expect_lt(theta[cov->d + g], log(0.5));
        }
    }
    OK(hpt__gp_ready_doubtful(b.gp, 0.25, 1));
    for (int64_t c = 0; c < cov->d; c++) cr_expect_leq(hpt__gp_theta(b.gp)[c], log(0.25));
    cr_expect_geq(hpt__gp_theta(b.gp)[cov->d], 0);
    free(rows);
    bench_close(&b);
}

static int short_run(bench *b, const double *rows, const uint64_t *mask, const double *y, double *mean) {
    int rc = 0;
    hpt__gp *gp = NULL;
    hpt__str text = HPT__STR_INIT;
    const int64_t d = b->code.cov.d;
    const hpt__gp_settings settings = {
        .choose_kernel = true, .noise = NAN, .warp = true, .seed = 7, .max_evaluations = 4};
    HPT_TRY(hpt__gp_create(&gp, b->device, &b->code, &settings));
    HPT_TRY(hpt__gp_tell(gp, rows, mask, y, 6));
    HPT_TRY(hpt__gp_fit(gp, false));
    HPT_TRY(hpt__gp_ready(gp));
    HPT_TRY(hpt__gp_tell(gp, rows + 6 * d, mask + 6, y + 6, 2));
    HPT_TRY(hpt__gp_set_pending(gp, rows + 8 * d, mask + 8, 2));
    HPT_TRY(hpt__gp_predict(gp, rows, mask, 8, mean, NULL));
    hpt__gp_state_json(&text, gp);
    HPT_TRY(hpt__str_status(&text));
    rc = 0;
out:
    if (rc < 0 && gp) { // still usable once there is memory
        hpt__alloc_set_hook(NULL, NULL);
        const int64_t n = hpt__gp_n(gp);
        cr_expect(n == 0 || n == 6 || n == 8);
        if (n < 8) OK(hpt__gp_tell(gp, rows + n * d, mask + n, y + n, 8 - n));
        OK(hpt__gp_ready(gp));
        OK(hpt__gp_predict(gp, rows, mask, 8, mean, NULL));
        for (int i = 0; i < 8; i++) cr_expect(isfinite(mean[i]));
    }
    hpt__str_fini(&text);
    hpt__gp_destroy(gp);
    return rc;
}

Test(gp_model, every_allocation_may_fail)
{
    bench b;
    bench_open(&b, rich_space(), NAN, true);
    double *rows = malloc((size_t)(10 * b.code.cov.d) * sizeof *rows), y[10], mean[8], want[8];
    uint64_t mask[10];
    hpt__rng rng;
    hpt__rng_init(&rng, 6, 0);
    random_rows(rows, mask, &b, 10, &rng);
    for (int i = 0; i < 10; i++) y[i] = smooth(rows + i * b.code.cov.d, b.code.cov.d);
    OK(short_run(&b, rows, mask, y, want));
    int64_t k = 0;
    for (int rc = -1; rc < 0 && k < 1000; k++) {
        int64_t left = k;
        hpt__alloc_set_hook(fail_sometimes, &left);
        rc = short_run(&b, rows, mask, y, mean);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_expect_eq(rc, HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
    }
    cr_expect(k > 20 && k < 1000, "%d allocations", (int)k);
    cr_expect_eq(memcmp(mean, want, sizeof mean), 0);
    free(rows);
    bench_close(&b);
}

Test(gp_model, refuses_what_is_no_data)
{
    bench b;
    bench_open(&b, plain_space(2), NAN, true);
    const double row[] = {0.5, NAN}, good[] = {0.5, 0.5}, nan = NAN, one = 1;
    const uint64_t mask = 1;
    double mean;
    cr_expect_eq(hpt__gp_tell(b.gp, row, &mask, &one, 1), HPT_E_ARG);
    cr_expect_eq(hpt__gp_tell(b.gp, good, &mask, &nan, 1), HPT_E_ARG);
    cr_expect_eq(hpt__gp_ready(b.gp), HPT_E_STATE);
    cr_expect_eq(hpt__gp_predict(b.gp, good, &mask, 1, &mean, NULL), HPT_E_STATE);
    cr_expect_eq(hpt__gp_set_value(b.gp, 0, 1), HPT_E_ARG);
    cr_expect_eq(hpt__gp_fit(b.gp, true), HPT_S_NOTHING);
    OK(hpt__gp_tell(b.gp, good, &mask, &one, 1));
    cr_expect_eq(hpt__gp_set_value(b.gp, 0, NAN), HPT_E_ARG);
    OK(hpt__gp_predict(b.gp, good, &mask, 1, &mean, NULL));
    cr_expect_float_eq(mean, 1, 1e-12);
    bench_close(&b);
}
