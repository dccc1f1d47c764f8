// SPDX-License-Identifier: Apache-2.0
// test_api_gp.c: the surrogate alone, through the public header only.
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define REFUSED(status, text, call)                                                          \
    do {                                                                                     \
        cr_expect_eq((call), (status), "%s", #call);                                         \
        cr_expect(strstr(hpt_last_error(), (text)), "%s said: %s", #call, hpt_last_error()); \
    } while (0)

static hpt_space *new_space(void) {
    hpt_space *s = NULL;
    OK(hpt_space_create(&s));
    OK(hpt_space_add_float(s, "lr", 1e-4, 1, 0, HPT_LOG));
    OK(hpt_space_add_categorical(s, "opt", (const char *const[]){"sgd", "adam"}, 2));
    OK(hpt_space_add_float(s, "momentum", 0, 1, 0, 0));
    OK(hpt_space_add_condition(s, "momentum", "opt", (const char *const[]){"sgd"}, 1));
    OK(hpt_space_add_constant(s, "k", "3"));
    return s;
}

enum { N = 40, D = 4 };

static void make_data(double points[N][D], double *values) {
    for (int i = 0; i < N; i++) {
        const double u = (i * 7 % N + 0.5) / N, v = (i * 11 % N + 0.5) / N;
        points[i][0] = pow(10, -4 * u);
        points[i][1] = i % 2;
        points[i][2] = i % 2 ? NAN : v;
        points[i][3] = 0;
        values[i] = 20 * (u - 0.4) * (u - 0.4) + (i % 2 ? 1 : 3 * (v - 0.7) * (v - 0.7));
    }
}

static hpt_gp *new_gp(const hpt_space *space, const char *device) {
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    hpt_gp *gp = NULL;
    o.device = device;
    o.seed = 5;
    OK(hpt_gp_create(&gp, space, &o));
    return gp;
}

Test(api_gp, learns_from_told_values_and_predicts_in_their_units)
{
    double points[N][D], values[N], mean[N], sd[N], value;
    make_data(points, values);
    hpt_space *space = new_space();
    hpt_gp *gp = new_gp(space, "ref");
    hpt_space_destroy(space); // it was copied
    OK(hpt_gp_tell(gp, &points[0][0], values, N - 6));
    OK(hpt_gp_fit(gp));
    cr_expect_eq(hpt_gp_fit(gp), HPT_S_NOTHING);
    OK(hpt_gp_predict(gp, &points[0][0], N, mean, sd));
    for (int i = 0; i < N; i++) {
        cr_expect(fabs(mean[i] - values[i]) < (i < N - 6 ? 0.1 : 0.7), "point %d: %g, true %g", i, mean[i], values[i]);
        cr_expect(sd[i] >= 0 && sd[i] < 2);
    }
    const double before = sd[N - 1];
    OK(hpt_gp_append(gp, points[N - 6], values + N - 6, 6));
    cr_expect_eq(hpt_gp_n(gp), N);
    OK(hpt_gp_predict(gp, points[N - 1], 1, mean, sd));
    cr_expect_lt(sd[0], before);
    cr_expect_float_eq(mean[0], values[N - 1], 0.05);
    OK(hpt_gp_predict(gp, points[0], 1, mean, NULL));
    OK(hpt_gp_predict(gp, points[0], 1, NULL, sd));
    OK(hpt_gp_predict(gp, NULL, 0, NULL, NULL));
    OK(hpt_gp_log_likelihood(gp, &value));
    cr_expect(isfinite(value));
    OK(hpt_gp_tell(gp, NULL, NULL, 0));
    cr_expect_eq(hpt_gp_n(gp), 0);
    REFUSED(HPT_E_STATE, "without points", hpt_gp_predict(gp, points[0], 1, mean, sd));
    hpt_gp_destroy(gp);
}

Test(api_gp, hyperparameters_are_named)
{
    double points[N][D], values[N];
    make_data(points, values);
    hpt_space *space = new_space();
    hpt_gp *gp = new_gp(space, NULL);
    char *text = NULL;
    OK(hpt_gp_hyperparameters(&text, gp));
    cr_expect(strstr(text, "\"n\": 0") != NULL);
    hpt_free(text);
    OK(hpt_gp_tell(gp, &points[0][0], values, N));
    OK(hpt_gp_fit(gp));
    OK(hpt_gp_hyperparameters(&text, gp));
    cr_expect(strstr(text, "\"kernel\": \"matern52\"") && strstr(text, "\"lr\": ") && strstr(text, "\"momentum\": "),
              "%s", text);
    cr_expect(strstr(text, "\"jitter\": 0,") || strstr(text, "\"jitter\": 0.0,"), "%s", text);
    cr_expect(strstr(text, "\"k\": ") == NULL, "a constant has no lengthscale");
    hpt_free(text);
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
}

Test(api_gp, same_calls_same_bits)
{
    double points[N][D], values[N], mean[2][N], sd[2][N];
    make_data(points, values);
    hpt_space *space = new_space();
    for (int k = 0; k < 2; k++) {
        hpt_gp *gp = new_gp(space, NULL);
        OK(hpt_gp_tell(gp, &points[0][0], values, N));
        OK(hpt_gp_fit(gp));
        OK(hpt_gp_predict(gp, &points[0][0], N, mean[k], sd[k]));
        hpt_gp_destroy(gp);
    }
    cr_expect_eq(memcmp(mean[0], mean[1], sizeof mean[0]), 0);
    cr_expect_eq(memcmp(sd[0], sd[1], sizeof sd[0]), 0);
    hpt_space_destroy(space);
}

Test(api_gp, sampled_functions_pass_the_told_values_and_are_found_again_by_their_seed)
{
    enum { DRAWN = 5 };
    double points[N][D], values[N], f[DRAWN][N], g[DRAWN][6], other[DRAWN][6], mean[N], sd[N];
    make_data(points, values);
    hpt_space *space = new_space();
    hpt_gp *gp = new_gp(space, "ref");
    OK(hpt_gp_tell(gp, &points[0][0], values, N - 6));
    OK(hpt_gp_fit(gp));
    OK(hpt_gp_predict(gp, &points[0][0], N, mean, sd));
    OK(hpt_gp_sample(gp, &points[0][0], N, &f[0][0], DRAWN, 3));
    OK(hpt_gp_sample(gp, &points[N - 6][0], 6, &other[0][0], DRAWN, 4));
    OK(hpt_gp_sample(gp, &points[N - 6][0], 6, &g[0][0], DRAWN, 3));
    for (int s = 0; s < DRAWN; s++) {
        for (int i = 0; i < N; i++)
            cr_expect(fabs(f[s][i] - mean[i]) < 6 * sd[i] + 1e-6, "function %d at point %d: %g, mean %g, sd %g", s, i,
                      f[s][i], mean[i], sd[i]);
        for (int i = 0; i < 6; i++)
            cr_expect_float_eq(g[s][i], f[s][N - 6 + i], 1e-9, "asked alone %g, with all %g", g[s][i], f[s][N - 6 + i]);
    }
    cr_expect_neq(memcmp(g, other, sizeof g), 0, "another seed, other functions");
    OK(hpt_gp_sample(gp, NULL, 0, NULL, DRAWN, 3));
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
}

// As many as are asked of a device at once, and some more.
Test(api_gp, thousands_of_points_have_the_values_that_they_have_alone)
{
    enum { MANY = 4096 + 3, DRAWN = 2 };
    static double points[N][D], many[MANY][D], f[DRAWN][MANY];
    double values[N], g[DRAWN][N];
    make_data(points, values);
    for (int i = 0; i < MANY; i++) memcpy(many[i], points[i % N], sizeof many[i]);
    hpt_space *space = new_space();
    hpt_gp *gp = new_gp(space, NULL);
    OK(hpt_gp_tell(gp, &points[0][0], values, N));
    OK(hpt_gp_sample(gp, &points[0][0], N, &g[0][0], DRAWN, 3));
    OK(hpt_gp_sample(gp, &many[0][0], MANY, &f[0][0], DRAWN, 3));
    for (int s = 0; s < DRAWN; s++)
        for (int i = 0; i < MANY; i++)
            cr_assert_float_eq(f[s][i], g[s][i % N], 1e-9, "function %d at point %d: %g, alone %g", s, i, f[s][i],
                               g[s][i % N]);
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
}

Test(api_gp, refuses_bad_input_by_name)
{
    hpt_space *space = new_space(), *fixed = NULL;
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    hpt_gp *gp = NULL;
    const double value = 1, nan = NAN;
    o.kernel = "matern25";
    REFUSED(HPT_E_ARG, "matern52", hpt_gp_create(&gp, space, &o));
    o.kernel = "autto";
    REFUSED(HPT_E_ARG, "did you mean auto", hpt_gp_create(&gp, space, &o));
    o.kernel = NULL;
    o.noise = NAN;
    REFUSED(HPT_E_ARG, "noise", hpt_gp_create(&gp, space, &o));
    o.noise = -1;
    o.struct_size = 3;
    REFUSED(HPT_E_ARG, "HPT_GP_OPTIONS_INIT", hpt_gp_create(&gp, space, &o));
    o = (hpt_gp_options)HPT_GP_OPTIONS_INIT;
    o.device = "abacus";
    cr_expect_lt(hpt_gp_create(&gp, space, &o), 0);
    o.device = NULL;
    OK(hpt_space_create(&fixed));
    OK(hpt_space_add_constant(fixed, "k", "3"));
    REFUSED(HPT_E_ARG, "vary", hpt_gp_create(&gp, fixed, &o));
    OK(hpt_gp_create(&gp, space, &o));
    REFUSED(HPT_E_ARG, "momentum", hpt_gp_tell(gp, (const double[]){0.1, 0, NAN, 0}, &value, 1));
    REFUSED(HPT_E_ARG, "momentum", hpt_gp_tell(gp, (const double[]){0.1, 1, 0.5, 0}, &value, 1));
    REFUSED(HPT_E_ARG, "lr", hpt_gp_append(gp, (const double[]){2, 1, NAN, 0}, &value, 1));
    REFUSED(HPT_E_ARG, "NaN", hpt_gp_append(gp, (const double[]){0.1, 1, NAN, 0}, &nan, 1));
    REFUSED(HPT_E_ARG, "NULL", hpt_gp_tell(NULL, NULL, NULL, 0));
    REFUSED(HPT_E_ARG, "hpt_gp_sample", hpt_gp_sample(gp, NULL, 1, NULL, 1, 0));
    REFUSED(HPT_E_STATE, "tell", hpt_gp_sample(gp, (const double[]){0.1, 1, NAN, 0}, 1, &(double){0}, 1, 0));
    cr_expect_eq(hpt_gp_n(gp), 0);
    cr_expect_eq(hpt_gp_n(NULL), 0);
    hpt_gp_destroy(gp);
    hpt_gp_destroy(NULL);
    hpt_space_destroy(space);
    hpt_space_destroy(fixed);
}
