// SPDX-License-Identifier: Apache-2.0
// pool.c: threads that sleep on a condition until there is a loop to run.
//
// One loop at a time: its description lies in the pool, `turn` counts loops so that a worker sees a new one
// once, and indices are dealt out by an atomic counter in chunks (an eighth of an equal share: few atomics
// for tiny bodies, little waiting for uneven ones). The caller works too, then waits for the workers that
// joined. All indices run even after a failure, so which error is reported depends on the work alone.
// Nested loops (from inside a body, on any pool) run in the calling thread: a thread-local mark tells.
// Loops started by two threads at once run one after the other.
// Locks: `caller` is held for a whole loop and orders callers; `lock` guards all fields of the second block.
// Ownership: payload is borrowed for the call. Signals are blocked in the workers: the host program's
// handlers must run in its own threads. After fork the child has no workers and must not use the pool.
// Cost: about 10 us to wake and collect the threads; no busy waiting.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // sched_getaffinity, CPU_COUNT_S
#endif
#include "pool.h"

#include "alloc.h"
#include "error.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct hpt__pool {
    pthread_t *threads; // n_threads - 1, fixed after creation
    int64_t n_threads, n_started;
    pthread_mutex_t caller;

    pthread_mutex_t lock;
    pthread_cond_t work, done;
    uint64_t turn;
    int64_t n_joined; // workers inside the present loop
    bool stop;
    hpt__pool_fn fn;
    void *payload;
    int64_t n, chunk;
    int64_t failed_at; // lowest index that failed, or -1
    int failed_status;
    char failed_message[HPT__ERROR_MAX];

    atomic_int_least64_t next; // first index not dealt out yet
};

static _Thread_local bool inside_loop;

int64_t hpt__cpu_count(void) {
    // Room for 16,384 cores: cpu_set_t itself ends at 1,024, and the call fails on machines with more.
    cpu_set_t sets[16];
    if (sched_getaffinity(0, sizeof sets, sets) != 0) return 1;
    int count = CPU_COUNT_S(sizeof sets, sets);
    return count > 0 ? count : 1;
}

static void note_failure(hpt__pool *pool, int64_t i, int status) {
    pthread_mutex_lock(&pool->lock);
    if (pool->failed_at < 0 || i < pool->failed_at) {
        pool->failed_at = i;
        pool->failed_status = status;
        hpt__error_copy(pool->failed_message);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void work_through(hpt__pool *pool, hpt__pool_fn fn, void *payload, int64_t n, int64_t chunk) {
    inside_loop = true;
    for (;;) {
        // Cannot overflow: each thread adds one chunk at most after the end, and chunk <= n / threads + 1.
        int64_t begin = atomic_fetch_add(&pool->next, chunk);
        if (begin >= n) break;
        int64_t end = n - begin < chunk ? n : begin + chunk;
        for (int64_t i = begin; i < end; i++) {
            int rc = fn(i, payload);
            if (rc < 0) note_failure(pool, i, rc);
        }
    }
    inside_loop = false;
}

static void *worker(void *arg) {
    hpt__pool *pool = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->turn == seen) pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->stop) break;
        seen = pool->turn;
        if (!pool->fn) continue; // woke after the loop had ended
        hpt__pool_fn fn = pool->fn;
        void *payload = pool->payload;
        int64_t n = pool->n, chunk = pool->chunk;
        pool->n_joined++;
        pthread_mutex_unlock(&pool->lock);
        work_through(pool, fn, payload, n, chunk);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_joined == 0) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int start_threads(hpt__pool *pool) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = HPT_OK;
    for (int64_t i = 0; i + 1 < pool->n_threads; i++) {
        int reason = pthread_create(&pool->threads[i], NULL, worker, pool);
        if (reason != 0) {
            rc = hpt__fail(HPT_E_IO, "cannot start thread %lld of %lld (errno %d); ask for fewer threads",
                           (long long)i + 2, (long long)pool->n_threads, reason);
            break;
        }
        pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int hpt__pool_create(hpt__pool **out, int64_t n_threads) {
    if (n_threads < 0 || n_threads > 65536)
        return hpt__fail(HPT_E_ARG, "number of threads %lld is not in [0, 65536]", (long long)n_threads);
    if (n_threads == 0) n_threads = hpt__cpu_count();
    hpt__pool *pool = hpt__calloc(1, sizeof *pool);
    if (!pool) return hpt__fail_memory();
    pthread_mutex_init(&pool->caller, NULL); // these four cannot fail on Linux
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    atomic_init(&pool->next, 0);
    pool->n_threads = n_threads;
    int rc = HPT_OK;
    pool->threads = hpt__calloc((size_t)n_threads, sizeof *pool->threads);
    if (!pool->threads)
        rc = hpt__fail_memory();
    else
        rc = start_threads(pool);
    if (rc < 0) {
        hpt__pool_destroy(pool);
        return rc;
    }
    *out = pool;
    return HPT_OK;
}

void hpt__pool_destroy(hpt__pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int64_t i = 0; i < pool->n_started; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->caller);
    hpt__free(pool->threads);
    hpt__free(pool);
}

int64_t hpt__pool_size(const hpt__pool *pool) {
    return pool->n_threads;
}

static int run_here(int64_t n, hpt__pool_fn fn, void *payload) {
    int status = HPT_OK;
    char message[HPT__ERROR_MAX];
    for (int64_t i = 0; i < n; i++) {
        int rc = fn(i, payload);
        if (rc < 0 && status == HPT_OK) {
            status = rc;
            hpt__error_copy(message); // later failures overwrite the thread's line
        }
    }
    if (status < 0) hpt__error_set(message);
    return status;
}

int hpt__pool_run(hpt__pool *pool, int64_t n, hpt__pool_fn fn, void *payload) {
    if (n <= 0) return HPT_OK;
    if (inside_loop || pool->n_threads == 1 || n == 1) return run_here(n, fn, payload);

    pthread_mutex_lock(&pool->caller);
    int64_t chunk = n / (8 * pool->n_threads);
    if (chunk < 1) chunk = 1;
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->payload = payload;
    pool->n = n;
    pool->chunk = chunk;
    pool->failed_at = -1;
    pool->failed_status = HPT_OK;
    atomic_store(&pool->next, 0);
    pool->turn++;
    if (n < pool->n_threads) {
        for (int64_t i = 1; i < n; i++) pthread_cond_signal(&pool->work);
    } else {
        pthread_cond_broadcast(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);

    work_through(pool, fn, payload, n, chunk);

    pthread_mutex_lock(&pool->lock);
    pool->fn = NULL; // all indices are dealt out: a worker that wakes only now has nothing to do
    while (pool->n_joined > 0) pthread_cond_wait(&pool->done, &pool->lock);
    int status = pool->failed_status;
    if (status < 0) hpt__error_set(pool->failed_message);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->caller);
    return status;
}
