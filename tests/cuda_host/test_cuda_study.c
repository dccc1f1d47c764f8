// SPDX-License-Identifier: Apache-2.0
// test_cuda_study.c: whole optimisations on backend `cuda` beside the same ones on the host, through the public interface.
//
// HPT_TEST_CUDA_DEVICE names the device (default cuda:mock; scripts/gpu-check.sh: cuda). Both sides get the points of the
// device's side, so that a difference in rounding cannot grow from round to round; each round compares likelihood,
// predictions and the suggested point. Two suggestions may still differ where the acquisition has two maxima of nearly the same
// height: that is allowed in a few rounds.
#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_geq((call), 0, "%s: %s", #call, hpt_last_error())

enum { START = 10, PROBES = 16, D_MAX = 8 };

static const char *device_under_test(void) {
    const char *name = getenv("HPT_TEST_CUDA_DEVICE");
    return name && name[0] ? name : "cuda:mock";
}

static hpt_gp *open_side(const hpt_space *space, const char *device) {
    hpt_gp *gp = NULL;
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    o.device = device;
    o.seed = 5;
    const int rc = hpt_gp_create(&gp, space, &o);
    const char *require = getenv("HPT_TEST_REQUIRE");
    if (rc == HPT_E_DEVICE && !(require && strstr(require, "cuda"))) cr_skip_test("%s", hpt_last_error());
    cr_assert_eq(rc, 0, "%s", hpt_last_error());
    return gp;
}

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

typedef struct problem {
    const char *name;
    hpt_space *space;
    int64_t d;
    double low[D_MAX], high[D_MAX];
    int64_t choices[D_MAX]; // > 0: whole numbers below it
    bool conditional;       // parameter 3 exists only where parameter 2 is 1
    double (*value)(const double *x);
} problem;

static void random_point(const problem *p, uint64_t *state, double *x) {
    for (int64_t j = 0; j < p->d; j++)
        x[j] = p->choices[j] ? floor(uniform(state) * (double)p->choices[j])
                             : p->low[j] + (p->high[j] - p->low[j]) * uniform(state);
    if (p->conditional && x[2] != 1) x[3] = NAN;
}

static double apart(const problem *p, const double *x, const double *z) {
    double most = 0;
    for (int64_t j = 0; j < p->d; j++) {
        const double range = p->choices[j] ? 1 : p->high[j] - p->low[j];
        most = fmax(most, fabs(x[j] - z[j]) / range); // absent on both sides: no difference
    }
    return most;
}

static void compare(problem *p, int64_t rounds, int64_t may_differ) {
    hpt_gp *there = open_side(p->space, device_under_test()), *here = open_side(p->space, "ref");
    uint64_t state = 99;
    double best = INFINITY;
    int64_t differ = 0;
    for (int64_t i = 0; i < START + rounds; i++) {
        double x[D_MAX], z[D_MAX];
        if (i < START) {
            random_point(p, &state, x);
        } else {
            double a, b;
            OK(hpt_gp_fit(there));
            OK(hpt_gp_fit(here));
            OK(hpt_gp_log_likelihood(there, &a));
            OK(hpt_gp_log_likelihood(here, &b));
            cr_assert(fabs(a - b) <= 1e-3 * (1 + fabs(b)), "%s, round %d: log-likelihood %.10g, on the host %.10g",
                      p->name, (int)i, a, b);
            double probe[PROBES * D_MAX], mean[PROBES], sd[PROBES], mean_here[PROBES], sd_here[PROBES];
            for (int64_t k = 0; k < PROBES; k++) random_point(p, &state, probe + k * p->d);
            OK(hpt_gp_predict(there, probe, PROBES, mean, sd));
            OK(hpt_gp_predict(here, probe, PROBES, mean_here, sd_here));
            for (int64_t k = 0; k < PROBES; k++)
                cr_assert(fabs(mean[k] - mean_here[k]) <= 0.02 * sd_here[k] + 1e-6 * fabs(mean_here[k]) &&
                              fabs(sd[k] - sd_here[k]) <= 0.02 * sd_here[k],
                          "%s, round %d: %.8g +- %.8g, on the host %.8g +- %.8g", p->name, (int)i, mean[k], sd[k],
                          mean_here[k], sd_here[k]);
            OK(hpt_gp_suggest(there, x, 1, NULL, 0));
            OK(hpt_gp_suggest(here, z, 1, NULL, 0));
            if (apart(p, x, z) > 1e-3) differ++;
        }
        const double value = p->value(x);
        best = fmin(best, value);
        OK(hpt_gp_append(there, x, &value, 1));
        OK(hpt_gp_append(here, x, &value, 1));
    }
    cr_expect(differ <= may_differ, "%s: %d of %d suggestions differ from the host's", p->name, (int)differ,
              (int)rounds);
    cr_log_info("%s: best %.6g, %d of %d suggestions differ", p->name, best, (int)differ, (int)rounds);
    hpt_gp_destroy(there);
    hpt_gp_destroy(here);
    hpt_space_destroy(p->space);
}

static double branin(const double *x) {
    const double pi = 3.14159265358979323846;
    const double a = x[1] - 5.1 / (4 * pi * pi) * x[0] * x[0] + 5 / pi * x[0] - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x[0]) + 10;
}

Test(cuda_study, of_two_numbers_goes_as_on_the_host)
{
    problem p = {.name = "branin", .d = 2, .low = {-5, 0}, .high = {10, 15}, .value = branin};
    OK(hpt_space_create(&p.space));
    OK(hpt_space_add_float(p.space, "x", -5, 10, 0, 0));
    OK(hpt_space_add_float(p.space, "y", 0, 15, 0, 0));
    compare(&p, 30, 3);
}

// A choice moves the valley; the third number matters for one choice only.
static double mixed(const double *x) {
    const double at[] = {0.2, 0.5, 0.8};
    const double third = x[2] == 1 ? (x[3] - 0.3) * (x[3] - 0.3) : 0.05;
    return (x[0] - at[(int)x[2]]) * (x[0] - at[(int)x[2]]) + 0.1 * fabs(x[1] - 6) + third;
}

Test(cuda_study, of_a_mixed_and_conditional_space_goes_as_on_the_host)
{
    static const char *const choices[] = {"a", "b", "c"};
    static const char *const when[] = {"b"};
    problem p = {
        .name = "mixed", .d = 4, .high = {1, 0, 0, 1}, .choices = {0, 12, 3}, .conditional = true, .value = mixed};
    OK(hpt_space_create(&p.space));
    OK(hpt_space_add_float(p.space, "x", 0, 1, 0, 0));
    OK(hpt_space_add_int(p.space, "n", 0, 11, 1, 0));
    OK(hpt_space_add_categorical(p.space, "c", choices, 3));
    OK(hpt_space_add_float(p.space, "y", 0, 1, 0, 0));
    OK(hpt_space_add_condition(p.space, "y", "c", when, 1));
    compare(&p, 25, 3);
}
