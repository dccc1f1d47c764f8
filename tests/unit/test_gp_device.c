// SPDX-License-Identifier: Apache-2.0
// test_gp_device.c: the surrogate alone (hpt/gp.h) on a device that fails at each of its operations. The device is the fake
// plugin, which computes ref's bits, and the host has nothing but ref: so the results can be held to ref's in every bit.
#include "gp_testing.h"

#include "../backend/plugin/fake_plugin.h"
#include <hpt/gp.h>
#include <hpt/log.h>

enum { D = 2, N = 12, M = 5, Q = 5, MORE = 3 };

typedef struct results {
    double mean[M], sd[M], mean2[M], points[2 * Q * D], likelihood;
    char text[800];
} results;

static void count(hpt_log_level level, const char *line, void *payload) {
    (void)line;
    *(int *)payload += level == HPT_LOG_WARN;
}

static double value(const double *x) {
    return (x[0] - 0.3) * (x[0] - 0.3) + 0.5 * x[1];
}

// Everything that a program with a loop of its own calls. status: what failing operations give.
static void life(results *r, const char *device, int64_t fail_at, bool stays, int status) {
    hpt_gp *gp = NULL;
    hpt_space *space = plain_space(D);
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    double x[N * D], y[N], z[M * D];
    hpt__rng rng;
    char *text;
    fake_control *fake = FAKE("");
    hpt__rng_init(&rng, 1, 2);
    for (int i = 0; i < N * D; i++) x[i] = hpt__rng_uniform(&rng);
    for (int i = 0; i < M * D; i++) z[i] = hpt__rng_uniform(&rng);
    for (int i = 0; i < N; i++) y[i] = value(x + i * D);
    fake->fail_at = -1;
    o.device = device;
    OK(hpt_gp_create(&gp, space, &o));
    fake->calls = 0;
    fake->fail_at = fail_at;
    fake->stays = stays;
    fake->status = status;
    OK(hpt_gp_tell(gp, x, y, N - MORE));
    OK(hpt_gp_fit(gp));
    OK(hpt_gp_predict(gp, z, M, r->mean, r->sd));
    OK(hpt_gp_suggest(gp, r->points, 2, z, 1));
    OK(hpt_gp_append(gp, x + (N - MORE) * D, y + N - MORE, MORE));
    OK(hpt_gp_predict(gp, z, M, r->mean2, NULL));
    OK(hpt_gp_suggest(gp, r->points + Q * D, Q, NULL, 0)); // from a pool
    OK(hpt_gp_log_likelihood(gp, &r->likelihood));
    OK(hpt_gp_hyperparameters(&text, gp));
    (void)snprintf(r->text, sizeof r->text, "%s", text);
    hpt_free(text);
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
    cr_assert_eq(fake->open, 0);
    cr_assert_eq(fake->models, 0);
}

static void every_operation(bool stays, int status) {
    static results want, got;
    int warnings = 0;
    const bool all = getenv("HPT_TEST_FULL") != NULL;
    hpt_log_set(count, &warnings, HPT_LOG_WARN);
    life(&want, "ref", -1, false, 0);
    life(&got, "cuda", -1, false, 0);
    cr_assert_arr_eq(got.points, want.points, sizeof want.points);
    const int64_t n = FAKE("")->calls;
    cr_assert_gt(n, 100);
    for (int64_t k = 0; k < n; k += all || k < 20 ? 1 : 1 + n / 60) {
        warnings = 0;
        life(&got, "cuda", k, stays, status);
        cr_assert_eq(warnings, 1, "operation %d", (int)k);
        cr_assert_arr_eq(got.mean, want.mean, sizeof want.mean, "operation %d", (int)k);
        cr_assert_arr_eq(got.sd, want.sd, sizeof want.sd, "operation %d", (int)k);
        cr_assert_arr_eq(got.mean2, want.mean2, sizeof want.mean2, "operation %d", (int)k);
        cr_assert_arr_eq(got.points, want.points, sizeof want.points, "operation %d", (int)k);
        cr_assert_eq(got.likelihood, want.likelihood);
        cr_assert(strstr(got.text, "\"device\": \"ref\", \"instead_of\": \"cuda\", \"because\": \"operation "), "%s",
                  got.text);
    }
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
}

Test(gp_device, that_is_lost_at_any_operation_gives_the_hosts_results, .init = fake_first)
{ every_operation(true, HPT_E_DEVICE); }

Test(gp_device, whose_memory_fails_at_any_operation_gives_the_hosts_results, .init = fake_first)
{ every_operation(false, HPT_E_MEMORY); }

Test(gp_device, that_cannot_be_opened_is_an_error_and_one_without_memory_for_a_model_is_not, .init = fake_first)
{
    hpt_gp *gp = NULL;
    hpt_space *space = plain_space(D);
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    fake_control *fake = FAKE("");
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    o.device = "cuda";
    fake->fail_at = 0;
    fake->status = HPT_E_DEVICE;
    cr_expect_eq(hpt_gp_create(&gp, space, &o), HPT_E_DEVICE);
    cr_expect_null(gp);
    fake->fail_at = 2; // the model, after the device
    fake->status = HPT_E_MEMORY;
    OK(hpt_gp_create(&gp, space, &o));
    hpt_gp_destroy(gp);
    cr_expect_eq(fake->calls, 3);
    cr_expect_eq(fake->open, 0);
    hpt_space_destroy(space);
}

Test(gp_device, whose_memory_is_back_is_used_again_at_a_fit_after_16_suggestions, .init = fake_first)
{
    hpt_gp *gp = NULL;
    hpt_space *space = plain_space(D);
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    double x[D] = {0.5, 0.5};
    fake_control *fake = FAKE("");
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    o.device = "cuda";
    OK(hpt_gp_create(&gp, space, &o));
    fake->fail_at = fake->calls;
    fake->status = HPT_E_MEMORY;
    int back = -1;
    for (int i = 0; i < 24 && back < 0; i++) {
        const double y = value(x);
        OK(hpt_gp_append(gp, x, &y, 1));
        const int64_t before = fake->calls;
        OK(hpt_gp_fit(gp));
        if (i > 3 && fake->calls > before) back = i;
        OK(hpt_gp_suggest(gp, x, 1, NULL, 0));
    }
    cr_expect_eq(back, 17, "%d", back); // the first suggestion, number 1, met the failure
    hpt_gp_destroy(gp);
    cr_expect_eq(fake->open, 0);
    hpt_space_destroy(space);
}
