// SPDX-License-Identifier: Apache-2.0
// test_sampler_tpe_law.c: TPE over parameters with a law of their own and choices with probabilities.
#include "core/sampler/tpe_parzen.h"
#include "core/space/codec.h"
#include "sampler_testing.h"

static hpt_space *law_space(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_rounded(s, "rounded", 0.1, 9.9, 0.5, 0));
    OK(hpt_space_add_rounded(s, "logged", 1, 1000, 1, HPT_LOG | HPT_WHOLE));
    OK(hpt_space_add_normal(s, "normal", 3, 2, 0, 0));
    OK(hpt_space_add_normal(s, "steps", 32, 8, 1, HPT_WHOLE));
    OK(hpt_space_add_normal(s, "lognormal", 0, 1, 0, HPT_LOG));
    OK(hpt_space_add_beta(s, "beta", 2, 5, 0, 0));
    OK(hpt_space_add_categorical(s, "choice", LIST("a", "b", "c", "d")));
    OK(hpt_space_set_probabilities(s, "choice", (const double[]){0.6, 0, 0.3, 0.1}, 4));
    return s;
}

static double law_loss(const double *p, const hpt_space *space) {
    (void)space;
    return fabs(p[0] - 4.5) + fabs(log(p[1] / 30)) + fabs(p[2] - 6) + 0.1 * fabs(p[3] - 40) + fabs(log(p[4] / 3)) +
           3 * fabs(p[5] - 0.6) + (p[6] != 3);
}

Test(sampler_tpe_law, points_are_legal_and_better_than_at_random_and_a_choice_of_probability_0_is_never_drawn)
{
    double sum[2] = {0};
    for (int tpe = 0; tpe < 2; tpe++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            lab l;
            double point[MAX_D];
            const char *by;
            lab_open(&l, law_space(), tpe ? "tpe" : "random", seed);
            for (int i = 0; i < 120; i++) {
                OK(lab_suggest(point, &by, &l));
                check_legal(&l, point, by);
                cr_assert_neq(point[6], 1, "%s: trial %d", by, i);
                for (int64_t j = 0; j < l.space->d; j++)
                    cr_assert_eq(hpt__param_clip(&l.space->params[j], point[j]), point[j], "on the grid");
                if (i % 10 == 0) point[6] = 1; // as if its user had queued it
                tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), law_loss(point, l.space));
            }
            sum[tpe] += l.table.values[l.table.best] / 8;
            lab_close(&l);
        }
    }
    cr_log_info("mean of the best of 120 trials: tpe %g, random %g", sum[1], sum[0]);
    cr_expect_lt(sum[1] * 1.3, sum[0]);
}

Test(sampler_tpe_law, a_fixed_choice_of_probability_0_is_kept_and_the_rest_chosen)
{
    lab l;
    double point[MAX_D];
    const char *by;
    lab_open(&l, law_space(), "tpe", 3);
    lab_run(&l, law_loss, 40);
    for (int i = 0; i < 5; i++) {
        blank(point, l.space);
        point[6] = 1;
        OK(l.ops->suggest(point, &by, l.state, &l.table, l.table.n));
        cr_expect_str_eq(by, "tpe");
        cr_expect_eq(point[6], 1);
        check_legal(&l, point, by);
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), 0); // and is a good one from now on
    }
    lab_close(&l);
}

// One column over m observations, held against the formula at the head of tpe_parzen.c.
static void one_column(hpt_space *s, const double *observed, int m, void (*check)(hpt__parzen *, const double *, int)) {
    hpt__trials t;
    hpt__parzen e;
    uint8_t want[64];
    memset(want, 1, sizeof want);
    OK(hpt__trials_init(&t, s, 1, HPT_MINIMIZE));
    for (int i = 0; i < m; i++) add_row(&t, &observed[i], HPT_TRIAL_COMPLETE);
    OK(hpt__parzen_init(&e, s, (const int32_t[]){0}, 1));
    OK(hpt__parzen_sync(&e, &t, want));
    check(&e, observed, m);
    hpt__parzen_fini(&e);
    hpt__trials_fini(&t);
    hpt_space_destroy(s);
}

static double cdf(double z) {
    return 0.5 * erfc(-z / sqrt(2));
}

static double truncated(double u, double mu, double sigma) {
    const double z = (u - mu) / sigma;
    return exp(-0.5 * z * z) / (sigma * sqrt(2 * 3.14159265358979323846)) / (cdf((1 - mu) / sigma) - cdf(-mu / sigma));
}

static void check_cube(hpt__parzen *e, const double *observed, int m) {
    const hpt__param *p = e->columns[0].p;
    cr_expect_eq(e->columns[0].kind, HPT__PARZEN_CONTINUOUS);
    for (double u = 0; u <= 1; u += 1.0 / 64) {
        double sum = truncated(u, 0.5, 1), got; // the prior kernel
        for (int k = 0; k < m; k++) {
            const double mu = hpt__codec_encode1(p, observed[k]);
            // The neighbours among few distinct values: by looking at all of them.
            double left = INFINITY, right = INFINITY;
            for (int j = 0; j < m; j++) {
                const double d = hpt__codec_encode1(p, observed[j]) - mu;
                if (d < 0) left = fmin(left, -d);
                if (d > 0) right = fmin(right, d);
            }
            const double gap = m == 1         ? fmax(mu, 1 - mu)
                               : isinf(left)  ? right
                               : isinf(right) ? left
                                              : fmax(left, right);
            sum += truncated(u, mu, fmin(fmax(gap, 1 / fmin(100, m + 2.0)), 1));
        }
        hpt__parzen_log_pdf(&got, e, &u, 1);
        cr_expect_float_eq(got, log(sum / (m + 1)), 1e-12, "u %g: %.17g, expected %.17g", u, got, log(sum / (m + 1)));
        const double v = hpt__parzen_value(&e->columns[0], u);
        cr_expect(hpt__param_contains(p, v));
        cr_expect_eq(v, hpt__codec_decode1(p, u));
        cr_expect_float_eq(hpt__parzen_coordinate(&e->columns[0], v), hpt__codec_encode1(p, v), 0);
    }
}

Test(sampler_tpe_law, densities_of_laws_are_truncated_normals_in_the_coordinate_of_the_unit_cube)
{
    hpt_space *s;
    for (int m = 0; m <= 5; m++) {
        s = new_space();
        OK(hpt_space_add_normal(s, "x", 3, 2, 0, 0));
        one_column(s, (const double[]){3, 5.5, -1, 4, 9}, m, check_cube);
        s = new_space();
        OK(hpt_space_add_normal(s, "x", 32, 8, 1, HPT_WHOLE));
        one_column(s, (const double[]){32, 40, 20, 33, 55}, m, check_cube);
        s = new_space();
        OK(hpt_space_add_rounded(s, "x", 0, 100, 5, 0));
        one_column(s, (const double[]){0, 100, 50, 5, 95}, m, check_cube);
        s = new_space();
        OK(hpt_space_add_beta(s, "x", 2, 5, 0, 0));
        one_column(s, (const double[]){0.2, 0.3, 0.9, 0.01, 0.5}, m, check_cube);
    }
}

static const double PROBABILITY[] = {0.6, 0, 0.3, 0.1};

static void check_choices(hpt__parzen *e, const double *observed, int m) {
    double mass[4] = {0}, got[4], total = 0;
    const double x[4] = {0, 1, 2, 3}, spread = 1.0 / (m + 1);
    for (int c = 0; c < 4; c++) {
        mass[c] = PROBABILITY[c] / (m + 1); // the prior kernel
        for (int k = 0; k < m; k++)
            mass[c] += (4 * PROBABILITY[c] * spread + (observed[k] == c)) / (1 + 4 * spread) / (m + 1);
    }
    hpt__parzen_log_pdf(got, e, x, 4);
    for (int c = 0; c < 4; c++) {
        total += exp(got[c]);
        if (mass[c] > 0)
            cr_expect_float_eq(got[c], log(mass[c]), 1e-10, "choice %d: %g, expected %g", c, exp(got[c]), mass[c]);
        else
            cr_expect_lt(got[c], log(1e-10));
    }
    cr_expect_float_eq(total, 1, 1e-10);
    // Drawn as often as the mass says, but what has probability 0 never, observed or not.
    enum { DRAWS = 20000 };
    static double drawn[DRAWS];
    int counts[4] = {0};
    hpt__rng rng;
    hpt__rng_init(&rng, 1, (uint64_t)m);
    hpt__parzen_draw(drawn, e, &rng, DRAWS, NULL);
    for (int i = 0; i < DRAWS; i++) counts[(int)drawn[i]]++;
    cr_expect_eq(counts[1], 0);
    for (int c = 0; c < 4 && mass[1] == 0; c++)
        cr_expect_lt(fabs(counts[c] - DRAWS * mass[c]), 6 * sqrt(DRAWS * mass[c]) + 1, "choice %d: %d of %g", c,
                     counts[c], DRAWS * mass[c]);
}

Test(sampler_tpe_law, the_prior_of_choices_is_their_probabilities_and_one_of_0_is_never_drawn)
{
    for (int m = 0; m <= 5; m++) {
        for (int seen = 0; seen < 2; seen++) { // seen: the choice of probability 0 among the observations
            hpt_space *s = new_space();
            OK(hpt_space_add_categorical(s, "c", LIST("a", "b", "c", "d")));
            OK(hpt_space_set_probabilities(s, "c", PROBABILITY, 4));
            one_column(s, seen ? (const double[]){1, 0, 3, 1, 2} : (const double[]){2, 0, 3, 3, 2}, m, check_choices);
        }
    }
}
