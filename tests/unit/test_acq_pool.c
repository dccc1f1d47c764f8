// SPDX-License-Identifier: Apache-2.0
// test_acq_pool.c: shared candidates against the model itself, and the points of a batch that come of them.
#include "acq_testing.h"

static double waves(const double *x, const hpt_space *space) {
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++)
        if (!isnan(x[i])) sum += sin(5 * x[i] + (double)i) + (x[i] - 0.6) * (x[i] - 0.6);
    return sum;
}

// Two branches, one with a parameter of its own, an integer and a choice.
static hpt_space *mixed_tree(void) {
    static const char *const b[] = {"b"};
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "branch", LIST("a", "b")));
    OK(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    OK(hpt_space_add_int(s, "k", 1, 9, 1, 0));
    OK(hpt_space_add_float(s, "y", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "y", "branch", b, 1));
    return s;
}

static void make_pool(hpt__acq_pool **pool, gp_lab *l) {
    OK(hpt__acq_pool_make(pool, l->gp, &l->code, &l->options, &l->rng));
    cr_assert(hpt__acq_pool_fits(*pool, l->gp));
}

static void pend(gp_lab *l, hpt__acq_pool *pool, const double *row, uint64_t mask) {
    OK(hpt__gp_add_pending(l->gp, row, mask));
    OK(hpt__acq_pool_append(pool, l->gp));
}

static void moments_are_the_models(hpt_space *space, double noise) {
    gp_lab l;
    hpt__acq_pool *pool = NULL;
    double point[MAX_D], row[MAX_D];
    uint64_t mask;
    hpt__rng rng;
    gp_lab_open(&l, space, noise);
    gp_lab_fill(&l, waves, 25, 4);
    hpt__rng_init(&rng, 8, 1);
    make_pool(&pool, &l);
    for (int step = 0; step <= 12; step++) {
        const double *mean, *var, *rows;
        const uint64_t *masks;
        const int64_t m = hpt__acq_pool_moments(&mean, &var, &rows, &masks, pool);
        cr_assert_gt(m, 10);
        double *want = hpt__malloc((size_t)(2 * m) * sizeof *want);
        OK(hpt__model_posterior(hpt__gp_model(l.gp), rows, masks, m, want, want + m, NULL, NULL));
        for (int64_t j = 0; j < m; j++) {
            cr_expect_float_eq(mean[j], want[j], 1e-10, "step %d mean %d: %g, %g", step, (int)j, mean[j], want[j]);
            cr_expect_float_eq(var[j], want[m + j], 1e-8, "step %d variance %d: %g, %g", step, (int)j, var[j],
                               want[m + j]);
        }
        hpt__free(want);
        blank(point, l.space);
        hpt__sampler_fill_random(point, l.space, &rng);
        hpt__gp_encode(row, &mask, &l.code, point);
        pend(&l, pool, row, mask);
        cr_assert(hpt__acq_pool_fits(pool, l.gp), "step %d", step);
    }
    hpt__acq_pool_destroy(pool);
    gp_lab_close(&l);
}

Test(acq_pool, moments_after_appended_points_are_those_of_the_factor)
{
    moments_are_the_models(unit_box(3), 0.05);
    moments_are_the_models(unit_box(3), NAN);
    moments_are_the_models(mixed_tree(), NAN);
}

Test(acq_pool, a_model_that_learned_or_forgot_is_another)
{
    gp_lab l;
    hpt__acq_pool *pool = NULL;
    double row[] = {0.31, 0.62};
    gp_lab_open(&l, unit_box(2), NAN);
    gp_lab_fill(&l, waves, 12, 1);
    cr_expect_not(hpt__acq_pool_fits(NULL, l.gp));
    make_pool(&pool, &l);
    pend(&l, pool, row, 1);
    OK(hpt__gp_set_pending(l.gp, NULL, NULL, 0));
    cr_expect_not(hpt__acq_pool_fits(pool, l.gp), "a pending point was dropped");
    make_pool(&pool, &l);
    OK(hpt__gp_add_pending(l.gp, row, 1));
    cr_expect_not(hpt__acq_pool_fits(pool, l.gp), "a pending point that the pool was not told of");
    cr_expect_eq(hpt__acq_pool_make(&pool, l.gp, &l.code, &l.options, &l.rng), HPT_E_STATE);
    OK(hpt__gp_set_pending(l.gp, NULL, NULL, 0));
    make_pool(&pool, &l);
    OK(hpt__gp_ready_doubtful(l.gp, 0.1, 1));
    cr_expect_not(hpt__acq_pool_fits(pool, l.gp), "other hyperparameters");
    OK(hpt__gp_ready(l.gp));
    make_pool(&pool, &l);
    gp_lab_tell(&l, (const double[]){0.5, 0.5}, 3);
    OK(hpt__gp_ready(l.gp));
    cr_expect_not(hpt__acq_pool_fits(pool, l.gp), "a told point");
    hpt__acq_pool_destroy(pool);
    gp_lab_close(&l);
}

// q points: a batch from one pool, or as many searches that know nothing of each other. rows: q x d.
static void ask(double *rows, gp_lab *l, int64_t q, bool batch) {
    hpt__acq_pool *pool = NULL;
    hpt__acq logei = gp_lab_logei(l);
    const int64_t d = l->code.cov.d;
    OK(hpt__gp_set_pending(l->gp, NULL, NULL, 0));
    if (batch) make_pool(&pool, l);
    for (int64_t i = 0; i < q; i++) {
        hpt__acq acq = logei;
        hpt__search_options o = l->options;
        uint64_t mask;
        double value, mean;
        bool explores;
        o.pool = pool;
        OK(hpt__acq_while_pending(&acq, &explores, &o, l->gp, &l->code, i));
        cr_expect_eq(explores, batch && i % 4 == 2);
        OK(hpt__acq_search(rows + i * d, &mask, &value, l->gp, &l->code, &acq, NULL, &o, &l->rng));
        if (!batch) continue;
        pend(l, pool, rows + i * d, mask);
        OK(hpt__model_posterior(hpt__gp_model(l->gp), rows + i * d, &mask, 1, &mean, NULL, NULL, NULL));
        logei.best = fmin(logei.best, mean);
    }
    hpt__acq_pool_destroy(pool);
    OK(hpt__gp_set_pending(l->gp, NULL, NULL, 0));
}

static double spread(const double *rows, int64_t q, int64_t d) {
    double sum = 0;
    for (int64_t i = 0; i < q; i++) {
        for (int64_t j = 0; j < i; j++) {
            double r2 = 0;
            for (int64_t c = 0; c < d; c++) r2 += pow(rows[i * d + c] - rows[j * d + c], 2);
            cr_expect_gt(r2, 0, "%d is %d", (int)i, (int)j);
            sum += sqrt(r2);
        }
    }
    return sum / (double)(q * (q - 1) / 2);
}

Test(acq_pool, a_batch_of_forty_is_forty_points_wider_apart_than_repeated_searches)
{
    enum { Q = 40, FEW = 6, D = 2 };
    gp_lab l;
    double batch[Q * D], repeats[FEW * D];
    gp_lab_open(&l, unit_box(D), NAN);
    gp_lab_fill(&l, waves, 15, 3);
    ask(batch, &l, Q, true);
    ask(repeats, &l, FEW, false);
    const double wide = spread(batch, FEW, D);
    (void)spread(batch, Q, D);
    double narrow = 0;
    for (int i = 1; i < FEW; i++)
        narrow = fmax(narrow, hypot(repeats[2 * i] - repeats[0], repeats[2 * i + 1] - repeats[1]));
    cr_expect_gt(wide, 2 * narrow, "mean distance %g, of repeats at most %g", wide, narrow);
    gp_lab_close(&l);
}

Test(acq_pool, a_space_of_six_points_gives_each_of_them_once)
{
    gp_lab l;
    double rows[4 * 2], value;
    hpt_space *space = new_space();
    OK(hpt_space_add_int(space, "a", 1, 3, 1, 0));
    OK(hpt_space_add_int(space, "b", 1, 2, 1, 0));
    gp_lab_open(&l, space, NAN);
    gp_lab_tell(&l, (const double[]){1, 1}, 1);
    gp_lab_tell(&l, (const double[]){2, 1}, 2);
    OK(hpt__gp_ready(l.gp));
    ask(rows, &l, 4, true);
    (void)spread(rows, 4, 2);
    // The pool has nothing left: the search says so and repeats a point.
    hpt__acq_pool *pool = NULL;
    const hpt__acq acq = gp_lab_logei(&l);
    make_pool(&pool, &l);
    for (int i = 0; i < 4; i++) pend(&l, pool, rows + 2 * i, 1);
    l.options.pool = pool;
    uint64_t mask;
    cr_expect_eq(hpt__acq_search(rows, &mask, &value, l.gp, &l.code, &acq, NULL, &l.options, &l.rng), HPT_S_EXHAUSTED);
    hpt__acq_pool_destroy(pool);
    gp_lab_close(&l);
}

Test(acq_pool, the_threshold_is_the_mean_of_the_most_promising_point)
{
    gp_lab l;
    double tau, mean[3], var[3];
    const uint64_t masks[] = {1, 1, 1};
    gp_lab_open(&l, unit_box(1), 0.3);
    const double at[] = {0.1, 0.5, 0.9}, y[] = {1, -1, 0};
    for (int i = 0; i < 3; i++) gp_lab_tell(&l, at + i, y[i]);
    OK(hpt__gp_ready(l.gp));
    OK(hpt__model_posterior(hpt__gp_model(l.gp), at, masks, 3, mean, var, NULL, NULL));
    int best = 0;
    for (int i = 1; i < 3; i++)
        if (mean[i] - 1.8 * sqrt(var[i]) < mean[best] - 1.8 * sqrt(var[best])) best = i;
    OK(hpt__acq_threshold(&tau, l.gp, &l.code));
    cr_expect_float_eq(tau, mean[best], 1e-12);
    cr_expect_eq(best, 1);
    gp_lab_close(&l);
}
