// SPDX-License-Identifier: Apache-2.0
// test_backend_device.c: which device a request means, what the wrappers refuse, what they count, what things cost.
#include "backend_testing.h"

#include <dirent.h>
#include <hpt/device.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void says(const char *text) {
    cr_expect(strstr(hpt_last_error(), text), "'%s' does not say '%s'", hpt_last_error(), text);
}

Test(device_choice, auto_takes_the_first_that_opens_and_says_what_it_passed_over)
{
    unsetenv("HPT_DEVICE");
    hpt__str why = HPT__STR_INIT;
    hpt__device *device;
    OK(hpt__device_open(&device, NULL, NULL, &why));
    if (hpt__device_is_host(device)) {
        cr_expect_str_eq(hpt__device_name(device), hpt__backends[0]->name);
        cr_expect(strstr(hpt__str_text(&why), "cuda: "), "%s", hpt__str_text(&why));
    }
    cr_expect(hpt__device_description(device)->name[0]);
    hpt__device_close(device);
    hpt__str_fini(&why);
    OK(hpt__device_open(&device, "auto", NULL, NULL));
    hpt__device_close(device);
    hpt__device_close(NULL);
}

Test(device_choice, the_environment_counts_where_nothing_is_asked_for)
{
    hpt__device *device;
    setenv("HPT_DEVICE", "ref", 1);
    OK(hpt__device_open(&device, NULL, NULL, NULL));
    cr_expect_str_eq(hpt__device_name(device), "ref");
    hpt__device_close(device);
    setenv("HPT_DEVICE", "", 1);
    OK(hpt__device_open(&device, NULL, NULL, NULL));
    hpt__device_close(device);
    setenv("HPT_DEVICE", "reff", 1);
    FAILS(HPT_E_ARG, hpt__device_open(&device, NULL, NULL, NULL));
    says("HPT_DEVICE: ");
    says("did you mean 'ref'");
    OK(hpt__device_open(&device, "ref:0", NULL, NULL)); // an argument goes first
    hpt__device_close(device);
}

Test(device_choice, an_explicit_device_that_cannot_be_had_is_an_error_with_the_reason)
{
    hpt__device *device;
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:nowhere", NULL, NULL));
    says("no libhpt_gpu_cuda_nowhere.so");
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "cuda:99", NULL, NULL));
    FAILS(HPT_E_DEVICE, hpt__device_open(&device, "ref:1", NULL, NULL));
    says("the highest number is 0");
}

Test(device_choice, requests_that_mean_nothing)
{
    static const char *const bad[] = {"gpu-with-a-name-that-is-longer-than-any",
                                      "cud",
                                      "Cpu",
                                      "ref:",
                                      "ref:x",
                                      "ref:-1",
                                      "ref:0:1",
                                      "auto:0",
                                      ":",
                                      "ref ",
                                      "ref:99999999999999999999"};
    hpt__device *device;
    for (int64_t i = 0; i < COUNT(bad); i++) {
        FAILS(HPT_E_ARG, hpt__device_open(&device, bad[i], NULL, NULL));
        FAILS(HPT_E_ARG, hpt__device_check(bad[i]));
    }
    FAILS(HPT_E_ARG, hpt__device_check("cud"));
    says("did you mean 'cuda'");
    says("auto, cuda, cpu, ref");
    // A sweep file for another machine is checked here.
    OK(hpt__device_check("cuda:1"));
    OK(hpt__device_check("auto"));
    OK(hpt__device_check("ref:0"));
    OK(hpt__device_check(NULL));
    const hpt__ctx_options negative = {.n_threads = -1};
    FAILS(HPT_E_ARG, hpt__device_open(&device, "ref", &negative, NULL));
    FAILS(HPT_E_ARG, hpt__device_open(NULL, "ref", NULL, NULL));
}

Test(device_choice, the_list_has_every_candidate_and_exactly_one_that_auto_takes)
{
    hpt_backend_info *list;
    int64_t n, taken = 0;
    bool ref = false;
    hpt__device *device;
    unsetenv("HPT_DEVICE");
    OK(hpt_backend_list(&list, &n));
    cr_assert_geq(n, 3);
    cr_expect_eq(strncmp(list[0].name, "cuda", 4), 0);
    OK(hpt__device_open(&device, NULL, NULL, NULL));
    for (int64_t i = 0; i < n; i++) {
        cr_expect(list[i].doc[0] && (list[i].available || list[i].why[0]));
        if (list[i].available && !list[i].why[0]) {
            taken++;
            cr_expect_str_eq(list[i].name, hpt__device_name(device));
            cr_expect_str_eq(list[i].device, hpt__device_description(device)->name);
        }
        ref = ref || (strcmp(list[i].name, "ref") == 0 && list[i].available);
    }
    cr_expect_eq(taken, 1);
    cr_expect(ref);
    hpt__device_close(device);
    hpt_free(list);
    FAILS(HPT_E_ARG, hpt_backend_list(NULL, &n));
}

BACKEND_TEST(table, is_complete) {
    (void)device;
    for (const hpt__backend *const *b = hpt__backends; *b; b++) {
        const hpt__backend *t = *b;
        cr_expect_eq(t->abi, HPT__BACKEND_ABI);
        cr_expect_eq(t->struct_size, sizeof(hpt__backend));
        cr_expect(t->name && t->doc && t->count && t->describe && t->open && t->close && t->sync && t->cov_build &&
                  t->cov_cross && t->model_create && t->model_destroy && t->model_bytes && t->model_set_points &&
                  t->model_truncate && t->model_factor && t->model_append && t->model_rows && t->model_set_y &&
                  t->model_get_factor && t->model_solve && t->mll && t->posterior && t->acquire && t->joint &&
                  t->paths && t->supports && t->need_bytes);
    }
}

BACKEND_TEST(checks, bad_arguments_are_named) {
    fitted f;
    fitted_init(&f, device, 1, HPT__COV_MATERN52, 3, 2, 10);
    hpt__model *m = f.model;
    double out[30], x[3] = {0.5, NAN, 0}, y[2] = {1, INFINITY}, value;
    const uint64_t one = 1, none = 2;
    int64_t index[2];
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 10, x, &one, 1));
    says("column 1 of point 0");
    x[1] = 0.5;
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 10, x, &none, 1));
    says("block 0");
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 11, x, &one, 1));
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 10, x, &one, 0));
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 10, NULL, &one, 1));
    FAILS(HPT_E_ARG, hpt__model_set_points(m, 10, x, NULL, 1));
    FAILS(HPT_E_ARG, hpt__model_truncate(m, 11));
    FAILS(HPT_E_ARG, hpt__model_truncate(m, -1));
    FAILS(HPT_E_ARG, hpt__model_set_y(m, y, 2));
    says("value 1 is inf");
    FAILS(HPT_E_ARG, hpt__model_set_y(m, f.y, 11));
    FAILS(HPT_E_ARG, hpt__model_set_y(m, f.y, 0));
    FAILS(HPT_E_ARG, hpt__model_set_y(m, NULL, 1));
    FAILS(HPT_E_ARG, hpt__model_mll(m, f.p.theta, y, 2, &value, NULL));
    FAILS(HPT_E_ARG, hpt__model_mll(m, f.p.theta, f.y, 11, &value, NULL));
    FAILS(HPT_E_ARG, hpt__model_mll(m, f.p.theta, f.y, 0, &value, NULL));
    FAILS(HPT_E_ARG, hpt__model_mll(m, NULL, f.y, 1, &value, NULL));
    double theta[D_MAX + BLOCKS + 1];
    memcpy(theta, f.p.theta, sizeof theta);
    theta[2] = NAN;
    FAILS(HPT_E_ARG, hpt__model_factor(m, theta, NULL, NULL));
    theta[2] = -101;
    FAILS(HPT_E_ARG, hpt__model_factor(m, theta, NULL, NULL));
    FAILS(HPT_E_ARG, hpt__model_factor(m, NULL, NULL, NULL));
    OK(hpt__model_posterior(m, x, &one, 1, out, out + 1, NULL, NULL)); // none of it did harm
    OK(hpt__model_posterior(m, NULL, NULL, 0, out, NULL, NULL, NULL));
    FAILS(HPT_E_ARG, hpt__model_posterior(m, x, &one, -1, out, NULL, NULL, NULL));
    FAILS(HPT_E_ARG, hpt__model_posterior(m, x, &none, 1, out, NULL, NULL, NULL));
    FAILS(HPT_E_ARG, hpt__model_get_factor(m, out, 9));
    FAILS(HPT_E_ARG, hpt__model_solve(m, false, out, 9, 1));
    FAILS(HPT_E_ARG, hpt__model_joint(m, f.x, f.mask, 2, NULL, out, 1));
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = NAN};
    FAILS(HPT_E_ARG, hpt__model_acquire(m, &acq, x, &one, 1, out, NULL));
    acq.best = 0;
    acq.noise = -1;
    FAILS(HPT_E_ARG, hpt__model_acquire(m, &acq, x, &one, 1, out, NULL));
    acq.noise = 0;
    FAILS(HPT_E_ARG, hpt__model_acquire(m, &acq, x, &one, 1, NULL, NULL));
    FAILS(HPT_E_ARG, hpt__model_acquire(m, NULL, x, &one, 1, out, NULL));
    FAILS(HPT_E_ARG, hpt__model_screen(m, &acq, x, &one, 1, 2, index, out));
    OK(hpt__model_screen(m, &acq, x, &one, 1, 0, NULL, NULL));
    acq.kind = (hpt__acq_kind)9;
    FAILS(HPT_E_ARG, hpt__model_acquire(m, &acq, x, &one, 1, out, NULL));
    FAILS(HPT_E_ARG, hpt__cov_build(device, &f.p.cov, f.p.theta, f.x, f.mask, 3, out, 2));
    FAILS(HPT_E_ARG, hpt__cov_cross(device, &f.p.cov, f.p.theta, f.x, f.mask, 3, f.x, f.mask, 1, out, 2));
    fitted_fini(&f);
}

BACKEND_TEST(checks, questions_before_their_time) {
    problem p;
    double x[2] = {0, 0}, out[4], logdet;
    const uint64_t one = 1;
    const hpt__acq acq = {.kind = HPT__ACQ_SD};
    problem_init(&p, 1, HPT__COV_RBF, 2, 1, false);
    hpt__model *m;
    OK(hpt__model_create(&m, device, &p.cov, 0));
    cr_expect_eq(hpt__model_rows(m), 0);
    FAILS(HPT_E_STATE, hpt__model_factor(m, p.theta, NULL, NULL));
    OK(hpt__model_set_points(m, 0, x, &one, 1));
    FAILS(HPT_E_STATE, hpt__model_append(m, &logdet));
    FAILS(HPT_E_STATE, hpt__model_set_y(m, x, 1));
    FAILS(HPT_E_STATE, hpt__model_posterior(m, x, &one, 1, NULL, out, NULL, NULL));
    FAILS(HPT_E_STATE, hpt__model_acquire(m, &acq, x, &one, 1, out, NULL));
    FAILS(HPT_E_STATE, hpt__model_joint(m, x, &one, 1, NULL, out, 1));
    FAILS(HPT_E_STATE, hpt__model_solve(m, false, out, 1, 1));
    FAILS(HPT_E_STATE, hpt__model_get_factor(m, out, 1));
    OK(hpt__model_factor(m, p.theta, NULL, NULL));
    OK(hpt__model_truncate(m, 0));
    FAILS(HPT_E_STATE, hpt__model_posterior(m, x, &one, 1, NULL, out, NULL, NULL));
    hpt__model_destroy(m);
    hpt__model_destroy(NULL);
}

BACKEND_TEST(checks, covariances_that_make_no_sense) {
    problem p;
    hpt__model *m;
    problem_init(&p, 1, HPT__COV_RBF, 3, 3, false);
    hpt__cov c;
#define REFUSED(change)                                         \
    do {                                                        \
        c = p.cov;                                              \
        change;                                                 \
        FAILS(HPT_E_ARG, hpt__model_create(&m, device, &c, 0)); \
    } while (0)
    REFUSED(c.d = 0);
    REFUSED(c.kind = (hpt__cov_kind)3);
    REFUSED(c.n_blocks = 65);
    REFUSED(c.n_blocks = 2); // a column is in the third
    REFUSED(c.n_terms = 0);
    REFUSED(c.term_blocks = p.terms + 1);
    REFUSED(c.block = NULL);
    const uint64_t far_terms[] = {1, 1 | 8};
    REFUSED((c.term_blocks = far_terms, c.n_terms = 2));
    FAILS(HPT_E_ARG, hpt__model_create(&m, device, NULL, 0));
    FAILS(HPT_E_ARG, hpt__model_create(&m, device, &p.cov, -1));
    FAILS(HPT_E_ARG, hpt__model_create(NULL, device, &p.cov, 0));
    FAILS(HPT_E_ARG, hpt__model_create(&m, NULL, &p.cov, 0));
}

BACKEND_TEST(accounts, count_calls_flops_and_bytes) {
    const hpt__counters *c = hpt__device_counters(device);
    cr_expect_eq(c->bytes, 0);
    fitted f;
    waves w;
    double value, grad[20], logdet, out[120];
    fitted_init(&f, device, 1, HPT__COV_MATERN52, 2, 1, 60);
    waves_init(&w, &f.p, 1, 60, 4);
    cr_expect_eq(c->calls[HPT__OP_FACTOR], 1);
    cr_expect(c->flops[HPT__OP_FACTOR] > 60.0 * 60 * 60 / 3);
    cr_expect(c->bytes >= 8 * 60 * 61 / 2);
    const int64_t bytes = c->bytes;
    OK(hpt__model_mll(f.model, f.p.theta, f.y, 60, &value, grad));
    OK(hpt__model_posterior(f.model, f.x, f.mask, 60, out, NULL, NULL, NULL));
    OK(hpt__model_posterior(f.model, f.x, f.mask, 60, NULL, NULL, out, NULL));
    OK(hpt__model_paths(f.model, &w.of, f.x, f.mask, 60, out, 60));
    OK(hpt__model_set_points(f.model, 60, f.x, f.mask, 60));
    OK(hpt__model_append(f.model, &logdet));
    cr_expect_eq(c->calls[HPT__OP_MLL], 1);
    cr_expect_eq(c->calls[HPT__OP_POSTERIOR], 1);
    cr_expect_eq(c->calls[HPT__OP_POSTERIOR_GRAD], 1);
    cr_expect_eq(c->calls[HPT__OP_APPEND], 1);
    cr_expect_eq(c->calls[HPT__OP_PATHS], 1);
    for (int op = 0; op < HPT__OP_COUNT; op++) cr_expect(c->flops[op] > 0 && c->seconds[op] >= 0);
    cr_expect(c->bytes > bytes && c->peak_bytes >= c->bytes);
    waves_fini(&w);
    fitted_fini(&f);
    cr_expect_eq(c->bytes, 0);
    cr_expect(c->peak_bytes > 0);
}

BACKEND_TEST(accounts, a_model_that_does_not_fit_is_refused_before_anything_is_allocated) {
    enum { LIMIT = 2000000 }; // for 10 points and what a device keeps beside any model
    const hpt__ctx_options options = {.memory_limit = LIMIT};
    hpt__device *small;
    hpt__model *m;
    problem p;
    char name[32];
    snprintf(name, sizeof name, "%s", hpt__device_name(device));
    OK(hpt__device_open(&small, name, &options, NULL));
    problem_init(&p, 1, HPT__COV_RBF, 1, 1, false);
    cr_expect_eq(hpt__device_memory(small), LIMIT);
    const hpt__model_shape shape = {.n = 1000, .d = 1, .n_terms = 1};
    cr_expect(hpt__device_need(small, &shape) >= 8 * 1000 * 1000 / 2);
    FAILS(HPT_E_MEMORY, hpt__model_create(&m, small, &p.cov, 1000));
    says("1000 points");
    OK(hpt__model_create(&m, small, &p.cov, 0));
    double *x = numbers(1000);
    uint64_t *mask = words(1000);
    for (int i = 0; i < 1000; i++) mask[i] = 1;
    FAILS(HPT_E_MEMORY, hpt__model_set_points(m, 0, x, mask, 1000));
    OK(hpt__model_set_points(m, 0, x, mask, 10));
    cr_expect_eq(hpt__model_points(m), 10);
    free(x);
    free(mask);
    hpt__model_destroy(m);
    hpt__device_close(small);
}

static int64_t files_in(const char *folder) {
    DIR *dir = opendir(folder);
    int64_t n = 0;
    if (!dir) return -1;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

BACKEND_TEST(cost, grows_with_the_work_and_is_measured_once) {
    char cache[] = "/tmp/hpt_cost_XXXXXX", folder[64], path[400] = "";
    cr_assert_not_null(mkdtemp(cache));
    setenv("XDG_CACHE_HOME", cache, 1);
    snprintf(folder, sizeof folder, "%s/hpt_gpu", cache);
    for (int op = 0; op < HPT__OP_COUNT; op++) {
        double last = 0;
        for (int64_t n = 64; n <= 16384; n *= 4) {
            const hpt__model_shape shape = {.n = n, .d = 10, .n_terms = 2, .m = 100, .s = 4};
            const double seconds = hpt__device_cost(device, (hpt__op)op, &shape);
            cr_expect(seconds > last && isfinite(seconds), "%d: %g after %g", op, seconds, last);
            last = seconds;
        }
    }
    cr_expect_eq(files_in(folder), 1);
    // The file is what another device of the same kind uses.
    DIR *dir = opendir(folder);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (e->d_name[0] != '.') snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    closedir(dir);
    char text[1000] = "";
    FILE *file = fopen(path, "r");
    cr_assert(file && fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    char *call = strstr(text, "\"call\":");
    cr_assert_not_null(call);
    *call = 0;
    file = fopen(path, "w");
    fprintf(file, "%s\"call\":1000,\"column\":1e-9,\"factor\":1e-9,\"solve\":1e-9,\"byte\":1e-9}\n", text);
    fclose(file);
    hpt__device *again;
    const hpt__model_shape shape = {.n = 10, .d = 1, .n_terms = 1, .m = 1, .s = 1};
    OK(hpt__device_open(&again, hpt__device_name(device), NULL, NULL));
    near_number(hpt__device_cost(again, HPT__OP_FACTOR, &shape), 1000, 1, 0, "cost from the file", 0);
    hpt__device_close(again);
    // Rates of another device, and a file that is no such thing, are measured over.
    file = fopen(path, "w");
    fprintf(file,
            "{\"device\":\"another\",\"call\":1000,\"column\":1e-9,\"factor\":1e-9,\"solve\":1e-9,\"byte\":1e-9}\n");
    fclose(file);
    OK(hpt__device_open(&again, hpt__device_name(device), NULL, NULL));
    cr_expect(hpt__device_cost(again, HPT__OP_FACTOR, &shape) < 100);
    hpt__device_close(again);
    file = fopen(path, "w");
    fprintf(file, "{\"device\":3");
    fclose(file);
    OK(hpt__device_open(&again, hpt__device_name(device), NULL, NULL));
    cr_expect(hpt__device_cost(again, HPT__OP_FACTOR, &shape) < 100);
    hpt__device_close(again);
    cr_expect_eq(files_in(folder), 1);
    cr_expect_eq(unlink(path) | rmdir(folder) | rmdir(cache), 0);
}

BACKEND_TEST(cost, without_a_cache_folder_is_measured_anew) {
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    const hpt__model_shape shape = {.n = 100, .d = 10, .n_terms = 2, .m = 100, .s = 4};
    cr_expect(hpt__device_cost(device, HPT__OP_MLL, &shape) > 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    hpt__device *again;
    OK(hpt__device_open(&again, hpt__device_name(device), NULL, NULL));
    cr_expect(hpt__device_cost(again, HPT__OP_MLL, &shape) > 0);
    cr_expect_eq(hpt__device_counters(again)->calls[HPT__OP_FACTOR], 0, "measuring is no work of the engine");
    hpt__device_close(again);
}
