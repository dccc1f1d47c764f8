// SPDX-License-Identifier: Apache-2.0
// test_cpu_threads.c: backend `cpu`: the same bits for any number of threads, the host program's BLAS threads left as they
// were, no more threads than cores, memory limits kept. blas_variants.sh runs this with the BLASes of the machine.
#ifdef HPT_HAVE_CPU_BACKEND
#include "backend_testing.h"
#include "core/base/pool.h"
#include "cpu/cpu_blas.h"

#include <dirent.h>
#include <sched.h>

enum { SMALL = 700, LARGE = 800, CANDIDATES = 300, D = 6 }; // the two sizes of tiles (cpu_factor.c)

static hpt__device *open_cpu(int64_t threads, int64_t limit) {
    const hpt__ctx_options o = {.n_threads = threads, .memory_limit = limit};
    hpt__device *device = testing_device("cpu"); // skips without a BLAS
    hpt__device_close(device);
    OK(hpt__device_open(&device, "cpu", &o, NULL));
    return device;
}

typedef struct results {
    double logdet, value, grad[32], mean[CANDIDATES], var[CANDIDATES], dvar[CANDIDATES * D], acq[CANDIDATES], few[10],
        few_grad[10 * D], joint[40 * 40], paths[3 * CANDIDATES];
} results;

static void compute(results *r, int64_t threads, int64_t n) {
    memset(r, 0, sizeof *r);
    hpt__device *device = open_cpu(threads, 0);
    fitted f;
    waves w;
    fitted_init(&f, device, 5, HPT__COV_MATERN52, D, 3, n);
    waves_init(&w, &f.p, 3, n, 130);
    double *z = numbers(CANDIDATES * D);
    uint64_t *zmask = words(CANDIDATES);
    problem_points(&f.p, z, zmask, CANDIDATES);
    const hpt__acq acq = {.kind = HPT__ACQ_LOGEI, .best = 0};
    OK(hpt__model_truncate(f.model, n - 50));
    OK(hpt__model_set_points(f.model, n - 50, f.x + (n - 50) * D, f.mask + n - 50, 50));
    OK(hpt__model_append(f.model, &r->logdet));
    OK(hpt__model_set_y(f.model, f.y, n));
    OK(hpt__model_mll(f.model, f.p.theta, f.y, n, &r->value, r->grad));
    OK(hpt__model_posterior(f.model, z, zmask, CANDIDATES, r->mean, r->var, NULL, r->dvar));
    OK(hpt__model_acquire(f.model, &acq, z, zmask, CANDIDATES, r->acq, NULL));
    OK(hpt__model_acquire(f.model, &acq, z, zmask, 10, r->few, r->few_grad));
    OK(hpt__model_joint(f.model, z, zmask, 40, NULL, r->joint, 40));
    OK(hpt__model_paths(f.model, &w.of, z, zmask, CANDIDATES, r->paths, CANDIDATES));
    waves_fini(&w);
    free(z);
    free(zmask);
    fitted_fini(&f);
    hpt__device_close(device);
}

Test(cpu_threads, results_do_not_depend_on_their_number)
{
    static results one, other;
    const int64_t threads[] = {1, 2, 3, 5}, sizes[] = {SMALL, LARGE};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        compute(&one, 1, sizes[s]);
        for (int64_t i = 0; i < COUNT(threads); i++) {
            compute(&other, threads[i], sizes[s]);
            cr_expect_arr_eq(&one, &other, sizeof one, "n = %lld: %lld threads give other bits", (long long)sizes[s],
                             (long long)threads[i]);
        }
    }
}

Test(cpu_threads, a_factor_in_tiles_is_the_one_that_grows_by_appends)
{
    enum { STEP = 100 };
    const int64_t sizes[] = {SMALL, LARGE};
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        hpt__device *device = open_cpu(2, 0);
        fitted f;
        double jitter, whole, grown;
        fitted_init(&f, device, 5, HPT__COV_MATERN52, D, 3, sizes[s]);
        OK(hpt__model_factor(f.model, f.p.theta, &jitter, &whole));
        OK(hpt__model_truncate(f.model, STEP));
        for (int64_t n = STEP; n < sizes[s]; n += STEP) {
            OK(hpt__model_set_points(f.model, n, f.x + n * D, f.mask + n, STEP));
            OK(hpt__model_append(f.model, &grown));
        }
        near_number(grown, whole, 1e-8, 1e-12, "log determinant", (int)sizes[s]);
        fitted_fini(&f);
        hpt__device_close(device);
    }
}

// On both sides of the size from which on jobs are done one after the other (cpu_mll.c).
Test(cpu_threads, several_likelihoods_at_once_have_the_bits_of_one_after_the_other)
{
    enum { K = 7, P = 32 };
    const int64_t threads[] = {1, 2, 3, 5}, sizes[] = {16, 129, 256, 257};
    for (int64_t s = 0; s < COUNT(sizes); s++)
        for (int64_t t = 0; t < COUNT(threads); t++) {
            const int64_t n = sizes[s];
            hpt__device *device = open_cpu(threads[t], 0);
            hpt__mll_job jobs[K];
            double theta[K][P], grad[K][P], one_grad[P], value;
            fitted f;
            fitted_init(&f, device, 11, HPT__COV_MATERN52, D, 3, n);
            for (int64_t i = 0; i < K; i++) {
                for (int64_t j = 0; j < f.p.p; j++) theta[i][j] = f.p.theta[j] + 0.1 * (double)(i * j % 5);
                jobs[i] = (hpt__mll_job){.theta = theta[i], .y = f.y, .grad = grad[i]};
            }
            OK(hpt__model_mll_many(f.model, jobs, K, n));
            for (int64_t i = 0; i < K; i++) {
                OK(hpt__model_mll(f.model, theta[i], f.y, n, &value, one_grad));
                cr_expect_eq(jobs[i].value, value, "n = %lld, %lld threads", (long long)n, (long long)threads[t]);
                cr_expect_arr_eq(grad[i], one_grad, (size_t)f.p.p * sizeof value);
            }
            fitted_fini(&f);
            hpt__device_close(device);
        }
}

// Sizes beside the tiles' and blocks' ends, too large for the suite's sums in long double.
Test(cpu_tiles, factor_weights_and_gradient_of_large_matrices_are_those_of_ref)
{
    const int64_t sizes[] = {257, 513, 767, 769};
    hpt__device *cpu = open_cpu(2, 0), *ref = testing_device("ref");
    for (int64_t s = 0; s < COUNT(sizes); s++) {
        const int64_t n = sizes[s];
        fitted a, b;
        double value[2], grad[2][32];
        fitted_init(&a, cpu, (uint64_t)s, HPT__COV_MATERN52, D, 2, n);
        fitted_init(&b, ref, (uint64_t)s, HPT__COV_MATERN52, D, 2, n);
        double *la = numbers(n * n), *lb = numbers(n * n);
        OK(hpt__model_get_factor(a.model, la, n));
        OK(hpt__model_get_factor(b.model, lb, n));
        for (int64_t i = 0; i < n * n; i++) near_number(la[i], lb[i], 1e-9, 1e-9, "factor", i);
        OK(hpt__model_mll(a.model, a.p.theta, a.y, n, &value[0], grad[0]));
        OK(hpt__model_mll(b.model, b.p.theta, b.y, n, &value[1], grad[1]));
        near_number(value[0], value[1], 1e-10, 1e-8, "likelihood", n);
        for (int64_t p = 0; p < a.p.p; p++) near_number(grad[0][p], grad[1][p], 1e-7, 1e-6, "gradient", p);
        free(la);
        free(lb);
        fitted_fini(&a);
        fitted_fini(&b);
    }
    hpt__device_close(cpu);
    hpt__device_close(ref);
}

Test(cpu_threads, the_blas_has_one_inside_and_its_own_again_outside)
{
    hpt__device *device = open_cpu(2, 0);
    const int64_t before = cpu__blas_threads();
    if (before == 0) cr_skip_test("this BLAS does not say how many threads it uses");
    cpu__blas_enter();
    cr_expect_eq(cpu__blas_threads(), 1);
    cpu__blas_enter();
    cpu__blas_leave();
    cr_expect_eq(cpu__blas_threads(), 1, "still inside");
    cpu__blas_leave();
    cr_expect_eq(cpu__blas_threads(), before);
    fitted f;
    fitted_init(&f, device, 6, HPT__COV_RBF, D, 1, 200);
    cr_expect_eq(cpu__blas_threads(), before, "after a factor and weights");
    fitted_fini(&f);
    hpt__device_close(device);
}

static int64_t threads_of_process(void) {
    DIR *tasks = opendir("/proc/self/task");
    int64_t n = 0;
    cr_assert(tasks);
    for (const struct dirent *e = readdir(tasks); e; e = readdir(tasks)) n += e->d_name[0] != '.';
    closedir(tasks);
    return n;
}

// Opens the device with all cores of the process, computes, and counts the threads that this added to the BLAS's own.
static int64_t threads_added(void) {
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS",
                                        "MKL_NUM_THREADS"};
    for (int64_t i = 0; i < COUNT(names); i++) setenv(names[i], "64", 1);
    setenv("MKL_DYNAMIC", "FALSE", 1);
    cpu__blas_get(NULL, 0);
    const int64_t before = threads_of_process();
    hpt__device *device = open_cpu(0, 0);
    fitted f;
    fitted_init(&f, device, 6, HPT__COV_MATERN52, D, 1, SMALL);
    double value, grad[32], mean[CANDIDATES], var[CANDIDATES];
    OK(hpt__model_mll(f.model, f.p.theta, f.y, SMALL, &value, grad));
    OK(hpt__model_posterior(f.model, f.x, f.mask, CANDIDATES, mean, var, NULL, NULL));
    const int64_t after = threads_of_process();
    fitted_fini(&f);
    hpt__device_close(device);
    return after - before;
}

Test(cpu_threads, a_blas_told_to_take_64_adds_none_on_one_core)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0) cr_skip_test("more cores than a cpu_set_t holds");
    int core = 0;
    while (!CPU_ISSET(core, &all)) core++;
    CPU_SET(core, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_expect_eq(threads_added(), 0);
}

Test(cpu_threads, a_blas_told_to_take_64_adds_none_to_ours)
{ cr_expect_eq(threads_added(), hpt__cpu_count() - 1); }

// Through the table: the wrappers refuse such a model before the backend is asked.
Test(cpu_memory, a_limit_is_an_error_that_names_need_and_limit)
{
    extern const hpt__backend hpt__backend_cpu;
    const hpt__backend *cpu = &hpt__backend_cpu;
    hpt__device_close(open_cpu(1, 0));
    const hpt__ctx_options o = {.n_threads = 1, .memory_limit = 4000000};
    problem p;
    problem_init(&p, 1, HPT__COV_MATERN52, D, 1, false);
    double *x = numbers(1500 * D), logdet;
    uint64_t *mask = words(1500);
    int64_t info;
    void *ctx, *model;
    problem_points(&p, x, mask, 1500);
    OK(cpu->open(&ctx, 0, &o));
    OK(cpu->model_create(&model, ctx, &p.cov, 16));
    OK(cpu->model_set_points(model, 0, x, mask, 1500));
    FAILS(HPT_E_MEMORY, cpu->model_factor(model, p.theta, 0, &logdet, &info));
    cr_expect(strstr(hpt_last_error(), "MB") && strstr(hpt_last_error(), "limit is 4.0 MB"), "%s", hpt_last_error());
    FAILS(HPT_E_MEMORY, cpu->mll(model, p.theta, 0, x, 1500, &logdet, NULL, &info));
    cpu->model_destroy(model);
    cpu->close(ctx);
    // Room for one likelihood of 250 points and not for two: one after the other.
    const hpt__ctx_options less = {.n_threads = 2, .memory_limit = 2400000};
    hpt__mll_job jobs[2] = {{.theta = p.theta, .y = x}, {.theta = p.theta, .y = x}};
    OK(cpu->open(&ctx, 0, &less));
    OK(cpu->model_create(&model, ctx, &p.cov, 16));
    OK(cpu->model_set_points(model, 0, x, mask, 250));
    OK(cpu->mll_many(model, jobs, 2, 250));
    OK(cpu->mll(model, p.theta, 0, x, 250, &logdet, NULL, &info));
    cr_expect(jobs[0].value == logdet && jobs[1].value == logdet);
    cpu->model_destroy(model);
    cpu->close(ctx);
    OK(cpu->open(&ctx, 0, &o));
    OK(cpu->model_create(&model, ctx, &p.cov, 16)); // and it goes on with less
    OK(cpu->model_set_points(model, 0, x, mask, 300));
    OK(cpu->model_factor(model, p.theta, 0, &logdet, &info));
    cpu->model_destroy(model);
    cpu->close(ctx);
    free(x);
    free(mask);
}

Test(cpu_memory, the_formula_covers_what_a_fit_uses)
{
    const int64_t sizes[] = {64, 700, 1500};
    for (int64_t i = 0; i < COUNT(sizes); i++) {
        hpt__device *device = open_cpu(1, 0);
        fitted f;
        fitted_init(&f, device, 7, HPT__COV_MATERN52, D, 2, sizes[i]);
        double value, grad[32];
        OK(hpt__model_mll(f.model, f.p.theta, f.y, f.n, &value, grad));
        const hpt__model_shape shape = {.n = f.n, .d = D, .n_terms = f.p.cov.n_terms, .m = 256, .s = 1};
        const double used = (double)hpt__device_counters(device)->peak_bytes,
                     said = (double)hpt__device_need(device, &shape);
        cr_expect(used <= said, "n = %lld: %g bytes used, %g said", (long long)f.n, used, said);
        cr_expect(said < (i == 0 ? 3 : 1.6) * used, "n = %lld: %g bytes said, only %g used", (long long)f.n, said,
                  used);
        fitted_fini(&f);
        hpt__device_close(device);
    }
}
#else
typedef int without_backend_cpu_threads;
#endif
