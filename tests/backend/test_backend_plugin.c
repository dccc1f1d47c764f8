// SPDX-License-Identifier: Apache-2.0
// test_backend_plugin.c: a backend in a library of its own: where it is looked for, what is refused and in which words, that
// it is loaded once and not before it is needed. The library is tests/backend/plugin/fake_plugin.c.
#include "backend_testing.h"

#include "plugin/fake_plugin.h"
#include <hpt/device.h>
#include <hpt/study.h>
#include <pthread.h>
#include <unistd.h>

static void says(const char *text) {
    cr_expect(strstr(hpt_last_error(), text), "'%s' does not say '%s'", hpt_last_error(), text);
}

Test(plugin, in_a_folder_that_is_named_is_what_auto_takes_first, .init = fake_first)
{
    hpt__device *device;
    hpt_backend_info *list;
    int64_t n;
    OK(hpt__device_open(&device, "auto", NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "cuda");
    cr_expect_str_eq(hpt__device_description(device)->name, "fake device 0");
    cr_expect_not(hpt__device_is_host(device));
    hpt__device_close(device);
    OK(hpt__device_open_host(&device, NULL));
    cr_expect_str_eq(hpt__device_name(device), "ref");
    cr_expect(hpt__device_is_host(device));
    hpt__device_close(device);
    FAKE("")->n_devices = 2;
    OK(hpt__device_open(&device, "cuda:1", NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "cuda:1");
    hpt__device_close(device);
    OK(hpt_backend_list(&list, &n));
    cr_expect_str_eq(list[0].name, "cuda:0");
    cr_expect(list[0].available);
    cr_expect(strstr(list[0].why, "auto moves to it"), "%s", list[0].why);
    cr_expect_str_eq(list[1].name, "cuda:1");
    hpt_free(list);
    cr_expect_eq(FAKE("")->open, 0);
}

Test(plugin, without_a_device_is_passed_over_and_says_why, .init = fake_first)
{
    hpt__device *device;
    hpt__str why = HPT__STR_INIT;
    FAKE("")->n_devices = 0;
    OK(hpt__device_open(&device, "auto", NULL, &why));
    cr_expect_str_eq(hpt__device_name(device), "ref", "a variant (cuda:twin) is never taken");
    cr_expect(strstr(hpt__str_text(&why), "cuda: the fake driver reports no device"), "%s", hpt__str_text(&why));
    hpt__str_fini(&why);
    hpt__device_close(device);
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda", NULL, NULL));
    says("device 'cuda' is not available (auto takes what there is): the fake driver reports no device");
}

Test(plugin, that_runs_out_of_memory_when_opened_is_passed_over, .init = fake_first)
{
    hpt__device *device;
    fake_control *fake = FAKE("");
    fake->fail_at = 0;
    fake->stays = true;
    fake->status = HPT_E_MEMORY;
    OK(hpt__device_open(&device, "auto", NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "ref");
    hpt__device_close(device);
    FAILS(HPT_E_MEMORY, hpt__device_open(&device, "cuda", NULL, NULL));
    says("device 'cuda' cannot be opened (auto takes what there is): operation 1, open, was to fail");
    cr_expect_eq(fake->open, 0);
}

Test(plugin, a_variant_is_had_by_its_whole_name, .init = fake_first)
{
    hpt__device *device;
    OK(hpt__device_open(&device, "cuda:twin", NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "cuda:twin");
    hpt__device_close(device);
    cr_expect_not(fake_is_loaded());
    FAKE("_twin")->n_devices = 2;
    OK(hpt__device_open(&device, "cuda:twin:1", NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "cuda:twin:1");
    cr_expect_str_eq(hpt__device_description(device)->name, "fake device 1");
    hpt__device_close(device);
    static const char *const bad[] = {"cuda:twin:",
                                      "cuda:Twin",
                                      "cuda:2win",
                                      "cuda:a-b",
                                      "cuda:twin:one",
                                      "ref:twin",
                                      "cuda:a_name_that_is_too_long"};
    for (int64_t i = 0; i < COUNT(bad); i++) FAILS(HPT_E_ARG, hpt__device_check(bad[i]));
    OK(hpt__device_check("cuda:mock"));
}

Test(plugin, that_does_not_fit_is_refused_with_the_step_that_failed, .init = fake_first)
{
    static const char *const cases[][2] = {
        {"cuda:abi", "libhpt_gpu_cuda_abi.so is of another version (ABI 5, "},
        {"cuda:size", "libhpt_gpu_cuda_size.so is of another version (ABI 4, "},
        {"cuda:refuses", "libhpt_gpu_cuda_refuses.so: it speaks with version 7, not 1"},
        {"cuda:empty", "libhpt_gpu_cuda_empty.so has no function hpt_backend_plugin"},
        {"cuda:text", "libhpt_gpu_cuda_text.so"}, // "file too short" or "invalid ELF header"
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        hpt__device *device;
        FAILS(HPT_E_DEVICE, hpt__device_open(&device, cases[i][0], NULL, NULL));
        says("is not available (");
        says(cases[i][1]);
        cr_expect_null(strchr(hpt_last_error(), '\n'));
    }
}

Test(plugin, is_not_looked_for_in_the_working_folder_nor_below_it)
{
    hpt__device *device;
    cr_assert_eq(chdir(FAKE_FOLDER), 0);
    setenv("LD_LIBRARY_PATH", FAKE_FOLDER, 1);
    setenv("HPT_CUDA_PATH", ".::../fake:" FAKE_FOLDER "/nowhere", 1);
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:twin", NULL, NULL));
    says("no libhpt_gpu_cuda_twin.so (");
    says("HPT_CUDA_PATH names its folder)");
    says("HPT_CUDA_PATH: '.' is not absolute, so ignored");
    says(FAKE_FOLDER "/nowhere, ");
    says("/lib");
}

Test(plugin, keeps_its_first_result_and_stops_at_the_first_folder_that_has_it)
{
    hpt__device *device;
    setenv("HPT_CUDA_PATH", "/nowhere", 1);
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:twin", NULL, NULL));
    setenv("HPT_CUDA_PATH", FAKE_FOLDER, 1);
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:twin", NULL, NULL));
    says("in /nowhere");
    OK(hpt__device_open(&device, "cuda", NULL, NULL)); // another file
    hpt__device_close(device);
    setenv("HPT_CUDA_PATH", FAKE_FOLDER "/broken:" FAKE_FOLDER, 1);
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:abi", NULL, NULL));
    says("/broken/libhpt_gpu_cuda_abi.so");
}

static void *opens(void *out) {
    if (hpt__device_open(out, "cuda", NULL, NULL) < 0) *(hpt__device **)out = NULL;
    return NULL;
}

Test(plugin, is_loaded_once_however_many_threads_ask, .init = fake_first)
{
    enum { N = 8 };
    pthread_t threads[N];
    hpt__device *devices[N];
    for (int i = 0; i < N; i++) cr_assert_eq(pthread_create(&threads[i], NULL, opens, &devices[i]), 0);
    for (int i = 0; i < N; i++) {
        (void)pthread_join(threads[i], NULL);
        cr_expect_not_null(devices[i]);
        hpt__device_close(devices[i]);
    }
    cr_expect_eq(FAKE("")->entries, 1);
}

// ---- nothing is loaded before a study needs it

static void ask(hpt_study *study, int n) {
    for (int i = 0; i < n; i++) {
        hpt_trial *t;
        const double value = (i - 3) * (i - 3);
        OK(hpt_study_ask(&t, study));
        OK(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &value, 1));
        hpt_trial_destroy(t);
    }
}

Test(plugin, is_loaded_for_a_model_that_asks_for_it_and_for_nothing_else, .init = fake_first)
{
    // The first three compute nothing: they do not open what was asked for by name either. auto begins on the host.
    static const char *const samplers[] = {"random", "tpe", "qmc", "gp", "gp"};
    static const char *const devices[] = {"cuda", "cuda", "cuda", "auto", "cuda"};
    hpt_space *space;
    OK(hpt_space_create(&space));
    OK(hpt_space_add_float(space, "x", 0, 1, 0, 0));
    for (int64_t i = 0; i < COUNT(samplers); i++) {
        hpt_study *study;
        hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
        o.space = space;
        o.sampler = samplers[i];
        o.device = devices[i];
        o.options = (const char *const[]){"gp.n_startup=4"};
        o.n_options = i < 3 ? 0 : 1;
        OK(hpt_study_open(&study, &o));
        ask(study, 8);
        cr_expect_eq(fake_is_loaded(), i == 4, "%s on %s", samplers[i], devices[i]);
        hpt_study_close(study);
    }
    cr_expect_eq(FAKE("")->open, 0);
    hpt_space_destroy(space);
}
