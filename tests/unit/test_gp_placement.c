// SPDX-License-Identifier: Apache-2.0
// test_gp_placement.c: device auto: when a model moves from the host to an accelerator. The accelerator is the fake plugin, the
// host is ref, and their rates are what the test writes into the cache of rates: nothing here depends on the machine's speed.
#include "gp_testing.h"

#include "../backend/plugin/fake_plugin.h"
#include "core/gp/gp_placement.h"
#include <dirent.h>
#include <hpt/gp.h>
#include <unistd.h>

enum { D = 2 };

static char cache[64], folder[96];

static void with_a_cache(void) {
    fake_first();
    snprintf(cache, sizeof cache, "/tmp/hpt_placement_XXXXXX");
    cr_assert_not_null(mkdtemp(cache));
    setenv("XDG_CACHE_HOME", cache, 1);
    snprintf(folder, sizeof folder, "%s/hpt_gpu", cache);
}

static void without_the_cache(void) {
    DIR *dir = opendir(folder);
    char path[400];
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    if (dir) closedir(dir);
    (void)rmdir(folder);
    (void)rmdir(cache);
}

// From now on a device opened by this name costs `call` seconds a call and `flop` a flop, by the cache.
static void set_rates(const char *name, double call, double flop) {
    hpt__device *device;
    const hpt__model_shape shape = {.n = 10, .d = D, .n_terms = 1};
    OK(hpt__device_open(&device, name, NULL, NULL));
    cr_assert_gt(hpt__device_cost(device, HPT__OP_FACTOR, &shape), 0); // writes the file
    char path[400] = "", start[40], text[1000] = "";
    snprintf(start, sizeof start, "rates-%s-", strcmp(name, "cuda") == 0 ? "fake" : name); // the table's own name
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strncmp(e->d_name, start, strlen(start)) == 0) snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    closedir(dir);
    FILE *file = fopen(path, "r");
    cr_assert(file && fread(text, 1, sizeof text - 1, file) > 0, "%s", path);
    fclose(file);
    char *rates = strstr(text, "\"call\":");
    cr_assert_not_null(rates);
    *rates = 0;
    file = fopen(path, "w");
    fprintf(file, "%s\"call\":%g,\"column\":1e-9,\"factor\":%g,\"solve\":%g,\"byte\":%g}\n", text, call, flop, flop,
            flop);
    fclose(file);
    hpt__device_close(device);
}

static hpt__cov covariance(void) {
    static const uint8_t categorical[D];
    static const int32_t block[D];
    static const uint64_t term = 1;
    return (hpt__cov){HPT__COV_MATERN52, D, categorical, block, 1, 1, &term};
}

static hpt__device *look(hpt__placement *p, hpt__device *host, int64_t n) {
    const hpt__cov cov = covariance();
    return hpt__placement_look(p, host, &cov, n, 0, 512, NULL);
}

Test(gp_placement, nothing_is_opened_below_300_points, .init = with_a_cache, .fini = without_the_cache)
{
    hpt__placement p = {0};
    hpt__device *host;
    OK(hpt__device_open_host(&host, NULL));
    cr_expect_null(look(&p, host, 299));
    cr_expect_not(fake_is_loaded());
    hpt__device_close(host);
}

Test(gp_placement, an_accelerator_with_costly_calls_and_cheap_flops_is_taken_when_the_flops_outweigh,
     .init = with_a_cache, .fini = without_the_cache)
{
    hpt__placement p = {0};
    hpt__device *host, *device = NULL;
    // An ask of 300 points is some 1.5e8 flops in some 70 calls: on the host 0.15 s, there 0.2 s; of 600, 0.5 and 0.2.
    set_rates("ref", 1e-6, 1e-9);
    set_rates("cuda", 3e-3, 1e-12);
    OK(hpt__device_open_host(&host, NULL));
    const hpt__cov cov = covariance();
    const double at_300 = hpt__gp_ask_seconds(host, &cov, 300, 512),
                 at_4800 = hpt__gp_ask_seconds(host, &cov, 4800, 512);
    cr_assert(at_300 < 0.2 && at_4800 > 1, "%g, %g", at_300, at_4800);
    int64_t n = 300;
    for (; n <= 4800 && !device; n *= 2) {
        device = look(&p, host, n);
        if (!device) cr_expect_eq(FAKE("")->open, 0, "what is not taken is closed");
        cr_expect_null(n > 300 && !device ? look(&p, host, n + 1) : NULL,
                       "it is looked at again with twice the points");
    }
    cr_assert_not_null(device);
    cr_expect_str_eq(hpt__device_name(device), "cuda");
    cr_expect(n > 600, "not at 300, where its calls alone cost more");
    cr_expect(hpt__gp_ask_seconds(device, &cov, n / 2, 512) < 0.7 * hpt__gp_ask_seconds(host, &cov, n / 2, 512));
    hpt__device_close(device);
    hpt__device_close(host);
}

Test(gp_placement, an_accelerator_that_is_a_little_faster_or_not_there_is_not_taken, .init = with_a_cache,
     .fini = without_the_cache)
{
    hpt__placement p = {0}, q = {0};
    hpt__device *host;
    set_rates("ref", 1e-6, 1e-9);
    set_rates("cuda", 1e-6, 0.8e-9);
    OK(hpt__device_open_host(&host, NULL));
    cr_expect_null(look(&p, host, 1000));
    cr_expect_eq(p.look_at, 2000);
    FAKE("")->n_devices = 0;
    cr_expect_null(look(&q, host, 1000));
    cr_expect_eq(q.look_at, INT64_MAX, "a device that is not there is looked for once");
    hpt__device_close(host);
}

Test(gp_placement, a_surrogate_of_300_points_moves_at_its_fit_and_says_so, .init = with_a_cache,
     .fini = without_the_cache)
{
    enum { N = 300 };
    hpt_gp *gp;
    hpt_space *space = plain_space(D);
    hpt_gp_options o = HPT_GP_OPTIONS_INIT;
    hpt__rng rng;
    char *facts;
    double x[N * D], y[N], mean[3], sd[3];
    set_rates("ref", 1e-6, 1e-9);
    set_rates("cuda", 1e-6, 1e-12);
    hpt__rng_init(&rng, 1, 2);
    for (int i = 0; i < N * D; i++) x[i] = hpt__rng_uniform(&rng);
    for (int i = 0; i < N; i++) y[i] = (x[i * D] - 0.3) * (x[i * D] - 0.3) + 0.5 * x[i * D + 1];
    o.noise = 0.01;
    OK(hpt_gp_create(&gp, space, &o));
    OK(hpt_gp_tell(gp, x, y, N));
    cr_expect_eq(FAKE("")->open, 0);
    OK(hpt_gp_fit(gp));
    cr_expect_eq(FAKE("")->open, 1);
    OK(hpt_gp_predict(gp, x, 3, mean, sd));
    for (int i = 0; i < 3; i++) cr_expect(fabs(mean[i] - y[i]) < 0.02, "%g instead of %g", mean[i], y[i]);
    OK(hpt_gp_hyperparameters(&facts, gp));
    cr_expect(strstr(facts, "\"device\": \"cuda\""), "%s", facts);
    hpt_free(facts);
    hpt_gp_destroy(gp);
    hpt_space_destroy(space);
    cr_expect_eq(FAKE("")->open, 0);
    cr_expect_eq(FAKE("")->models, 0);
}
