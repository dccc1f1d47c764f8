// SPDX-License-Identifier: Apache-2.0
// test_base_pool.c: the parallel loop. The suite is also run under the thread sanitizer.
#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/base/pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { N_MAX = 5000 };

typedef struct task {
    hpt__pool *pool;
    atomic_int calls[N_MAX];
    atomic_int inner;
    int64_t fail_from, fail_step; // indices fail_from, fail_from + fail_step, ... fail; step 0: none
} task;

static int count(int64_t i, void *payload) {
    task *t = payload;
    atomic_fetch_add(&t->calls[i], 1);
    if (t->fail_step && i >= t->fail_from && (i - t->fail_from) % t->fail_step == 0)
        return hpt__fail(i % 2 ? HPT_E_IO : HPT_E_STATE, "index %lld", (long long)i);
    return 0;
}

Test(base_pool, every_index_runs_once_for_any_size)
{
    static const int64_t lengths[] = {0, 1, 2, 3, 7, 64, 1000, N_MAX};
    for (int64_t threads = 1; threads <= 5; threads++) {
        hpt__pool *pool;
        cr_assert_eq(hpt__pool_create(&pool, threads), 0);
        cr_expect_eq(hpt__pool_size(pool), threads);
        for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
            task *t = hpt__calloc(1, sizeof *t);
            cr_expect_eq(hpt__pool_run(pool, lengths[k], count, t), 0);
            for (int64_t i = 0; i < N_MAX; i++) cr_assert_eq(atomic_load(&t->calls[i]), i < lengths[k]);
            hpt__free(t);
        }
        hpt__pool_destroy(pool);
    }
    hpt__pool_destroy(NULL);
}

Test(base_pool, lowest_failure_is_reported_and_all_run)
{
    for (int64_t threads = 1; threads <= 4; threads += 3) {
        hpt__pool *pool;
        cr_assert_eq(hpt__pool_create(&pool, threads), 0);
        for (int round = 0; round < 200; round++) {
            task *t = hpt__calloc(1, sizeof *t);
            t->fail_from = 13 + round % 2;
            t->fail_step = 3;
            cr_assert_eq(hpt__pool_run(pool, 100, count, t), round % 2 ? HPT_E_STATE : HPT_E_IO);
            cr_assert_str_eq(hpt_last_error(), round % 2 ? "index 14" : "index 13");
            for (int64_t i = 0; i < 100; i++) cr_assert_eq(atomic_load(&t->calls[i]), 1);
            hpt__free(t);
        }
        hpt__pool_destroy(pool);
    }
}

static int many_short_body(int64_t i, void *payload) {
    (void)i;
    atomic_fetch_add((atomic_int *)payload, 1);
    return 0;
}

Test(base_pool, many_short_loops_finish)
{
    hpt__pool *pool;
    cr_assert_eq(hpt__pool_create(&pool, 4), 0);
    atomic_int total = 0;
    for (int round = 0; round < 3000; round++)
        cr_assert_eq(hpt__pool_run(pool, 1 + round % 9, many_short_body, &total), 0);
    int want = 0;
    for (int round = 0; round < 3000; round++) want += 1 + round % 9;
    cr_expect_eq(atomic_load(&total), want);
    hpt__pool_destroy(pool);
}

static int nested(int64_t i, void *payload) {
    task *t = payload;
    atomic_int seen = 0;
    (void)i;
    int rc = hpt__pool_run(t->pool, 10, many_short_body, &seen);
    atomic_fetch_add(&t->inner, atomic_load(&seen));
    return rc;
}

Test(base_pool, nested_loops_run_in_the_calling_thread)
{
    task *t = hpt__calloc(1, sizeof *t);
    cr_assert_eq(hpt__pool_create(&t->pool, 3), 0);
    for (int64_t n = 1; n <= 20; n++) {
        atomic_store(&t->inner, 0);
        cr_expect_eq(hpt__pool_run(t->pool, n, nested, t), 0);
        cr_expect_eq(atomic_load(&t->inner), 10 * n);
    }
    hpt__pool_destroy(t->pool);
    hpt__free(t);
}

static void *run_loops(void *arg) {
    hpt__pool *pool = arg;
    atomic_int total = 0;
    for (int i = 0; i < 200; i++) {
        if (hpt__pool_run(pool, 17, many_short_body, &total) != 0) return NULL;
    }
    return atomic_load(&total) == 200 * 17 ? pool : NULL;
}

Test(base_pool, callers_take_turns)
{
    hpt__pool *pool;
    cr_assert_eq(hpt__pool_create(&pool, 3), 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, run_loops, pool), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        cr_expect_not_null(result);
    }
    hpt__pool_destroy(pool);
}

static int rendezvous(int64_t i, void *payload) {
    // Each body waits for the other one: only two threads at once can finish.
    atomic_int *arrived = payload;
    (void)i;
    atomic_fetch_add(arrived, 1);
    struct timespec pause = {.tv_nsec = 1000000};
    for (int k = 0; k < 10000 && atomic_load(arrived) < 2; k++) nanosleep(&pause, NULL);
    return atomic_load(arrived) == 2 ? 0 : HPT_E_INTERNAL;
}

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int *left = payload;
    return (*left)-- == 0;
}

Test(base_pool, threads_really_run_at_once_and_sleep_when_idle)
{
    hpt__pool *pool;
    cr_assert_eq(hpt__pool_create(&pool, 2), 0);
    atomic_int arrived = 0;
    cr_expect_eq(hpt__pool_run(pool, 2, rendezvous, &arrived), 0);
    struct timespec before, after, pause = {.tv_nsec = 200000000};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double busy = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    cr_expect_lt(busy, 0.05, "an idle pool used %g s of processor time", busy);
    hpt__pool_destroy(pool);
    cr_expect_geq(hpt__cpu_count(), 1);
    cr_assert_eq(hpt__pool_create(&pool, 0), 0);
    cr_expect_eq(hpt__pool_size(pool), hpt__cpu_count());
    hpt__pool_destroy(pool);
    cr_expect_eq(hpt__pool_create(&pool, -1), HPT_E_ARG);
    for (int k = 0; k < 2; k++) {
        int left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        cr_expect_eq(hpt__pool_create(&pool, 2), HPT_E_MEMORY);
        hpt__alloc_set_hook(NULL, NULL);
    }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED // a sanitizer reserves more address space than the limit below
Test(base_pool, a_thread_that_cannot_start_is_an_error_and_the_others_end)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)512 << 20, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0); // room for some stacks of 8 MiB, not for 1,000
    hpt__pool *pool = NULL;
    cr_expect_eq(hpt__pool_create(&pool, 1000), HPT_E_IO);
    cr_expect_null(pool);
    cr_expect_eq(strncmp(hpt_last_error(), "cannot start thread", 19), 0, "%s", hpt_last_error());
}
#endif
