// SPDX-License-Identifier: Apache-2.0
// test_sweep_resources.c: amounts of hpt.resources computed from parameters: values, extremes over the space.
#include "core/sweep/sweep_impl.h"
#include <criterion/criterion.h>
#include <hpt/status.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double MIB = 1048576, GIB = 1073741824;

// b: 16, 64 or 512; n: 1 to 8; m: 0.5 to 2, only with b = 512.
static hpt_sweep *with(const char *resources) {
    char text[1024];
    hpt_sweep *s = NULL;
    snprintf(text, sizeof text,
             "method: random\nprogram: t\nparameters:\n  b: {values: [16, 64, 512]}\n  n: {min: 1, max: 8}\n"
             "  m: {min: 0.5, max: 2.0, 'hpt:when': {b: [512]}}\nhpt:\n  resources: {%s}\n",
             resources);
    cr_assert_eq(hpt_sweep_parse(&s, text, "t.yaml"), 0, "%s", hpt_last_error());
    return s;
}

static hpt__amounts at(const hpt_sweep *s, double b, double n, double m) {
    const double point[] = {b, n, m};
    hpt__amounts a;
    cr_assert_eq(hpt__sweep_amounts(&a, s, point), 0, "%s", hpt_last_error());
    return a;
}

Test(sweep_resources, a_formula_gives_each_trial_its_own_amount)
{
    hpt_sweep *s = with("gpu: 1, gpu_memory: \"{b} * 40MiB + 2GiB\"");
    cr_assert(hpt__sweep_has_formula(s));
    cr_assert_eq(at(s, 0, 1, NAN).gpu_memory, 16 * 40 * MIB + 2 * GIB);
    cr_assert_eq(at(s, 2, 1, 1).gpu_memory, 512 * 40 * MIB + 2 * GIB);
    cr_assert_eq(at(s, 2, 1, 1).gpu, 1);
    cr_assert_eq(s->least.gpu_memory, 16 * 40 * MIB + 2 * GIB);
    cr_assert_eq((double)s->gpu_memory_bytes, 512 * 40 * MIB + 2 * GIB);
    hpt_sweep_destroy(s);
}

Test(sweep_resources, operators_have_their_usual_ranks_and_go_from_the_left)
{
    static const struct {
        const char *text;
        double value; // with b = 64, n = 3
    } cases[] = {
        {"{n} + 2 * 3", 9},
        {"({n} + 2) * 3", 15},
        {"{n} + 20 - 2 - 3", 18},
        {"{n} * 64 / 4 / 2", 24},
        {"-{n} + 10", 7},
        {"max(2, {n}) + min({n}, 1)", 4},
        {"max({n} - 100, 0.25)", 0.25},
        {"1.5e1 + {n}", 18},
        {"{n}*1", 3},
        {"  {b} / {n} * {n} ", 64},
        {"1 + {n} * 2KB / 1000B", 7},
        {"{n} + 0 * {m}", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "cpu: \"%s\"", cases[i].text);
        hpt_sweep *s = with(text);
        cr_assert_float_eq(at(s, 1, 3, NAN).cpu, cases[i].value, 1e-12, "%s", cases[i].text);
        hpt_sweep_destroy(s);
    }
}

Test(sweep_resources, the_extremes_cover_every_corner_and_parameters_that_are_not_there)
{
    hpt_sweep *s = with("cpu: \"10 + {m} - {n}\", memory: \"1GiB * {n} / {b}\"");
    cr_assert_eq(s->least.cpu, 2.0, "m is not there, n is 8");
    cr_assert_eq(s->cpu, 11.0, "m is 2, n is 1");
    cr_assert_float_eq(s->least.memory, GIB / 512, 1);
    cr_assert_eq((double)s->memory_bytes, GIB / 2);
    cr_assert_eq(at(s, 0, 4, NAN).cpu, 6.0, "what a trial does not have counts as 0");
    hpt_sweep_destroy(s);
}

Test(sweep_resources, a_value_that_no_corner_showed_is_refused_for_its_trial)
{
    hpt_sweep *s = with("cpu: \"({n} - 3) * ({n} - 3)\"");
    const double point[] = {0, 3, NAN};
    hpt__amounts a;
    cr_assert_eq(s->least.cpu, 4.0);
    cr_assert_eq(hpt__sweep_amounts(&a, s, point), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "is 0 for this trial"), "%s", hpt_last_error());
    hpt_sweep_destroy(s);
}

Test(sweep_resources, a_profile_is_one_instance_and_plain_numbers_stay_numbers)
{
    hpt_sweep *s = with("gpu: 1g.10gb");
    cr_assert_str_eq(s->gpu_profile, "1g.10gb");
    cr_assert(s->gpu == 1 && !hpt__sweep_has_formula(s));
    hpt_sweep_destroy(s);
    s = with("gpu: 0.5, gpu_memory: 3GiB, cpu: 2");
    cr_assert(!s->gpu_profile && s->gpu == 0.5 && s->least.gpu == 0.5 && s->least.gpu_memory == 3 * GIB &&
              s->least.cpu == 2);
    hpt_sweep_destroy(s);
}

Test(sweep_resources, memory_that_is_learned_needs_no_size_and_without_a_share_begins_with_a_gpu)
{
    hpt_sweep *s = with("gpu: 0.25, gpu_memory: learn");
    cr_assert(hpt_sweep_learns_gpu_memory(s) && s->gpu == 0.25 && s->gpu_memory_bytes == 0 && !s->gpu_follows);
    cr_assert_not(hpt__sweep_has_formula(s));
    hpt_sweep_destroy(s);
    s = with("gpu_memory: learn");
    cr_assert(hpt_sweep_learns_gpu_memory(s) && s->gpu_follows && s->gpu == 1 && s->least.gpu == 1);
    hpt_sweep_destroy(s);
    s = with("gpu: 1");
    cr_assert_not(hpt_sweep_learns_gpu_memory(s));
    hpt_sweep_destroy(s);
}
