// SPDX-License-Identifier: Apache-2.0
// study_optimize.c: ask, evaluate, tell, in one call and on any number of threads.
//
// Each thread runs the same loop; one of them is the caller's. A small mutex guards the budget, the reason to end
// and the callback (so callbacks never overlap); objectives run outside of it. The first error of the engine ends
// the loop; other threads finish the trial they are at, and the error's line is handed to the caller's thread.
// An objective's failure is no error: that trial is told FAIL and the loop goes on.
//
// Deterministic with one thread. With more, points that a model chooses depend on which results were in when
// they were asked; random, Sobol and grid points depend on the trial's number alone.
//
// Threads of its own, not base/pool.h: the pool's workers block every signal, and an objective that starts programs would
// hand that mask on to them.
// Ownership: nothing outlives the call. Cost: nothing beside ask and tell.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "study_state.h"

#include <string.h>

enum { MAX_THREADS = 4096 };

typedef struct loop {
    hpt_study *study;
    hpt_objective_fn objective;
    void *payload;
    hpt_optimize_options o;
    double deadline; // monotonic seconds; 0: none
    pthread_mutex_t lock;
    // ---- guarded
    int64_t n_asked;
    int end; // 0: go on; HPT_S_* or an error: no further trial
    bool ended;
    char message[HPT__ERROR_MAX]; // of an error
} loop;

static void end_with(loop *l, int status) {
    pthread_mutex_lock(&l->lock);
    // An error is worth more than a remark, the first error more than later ones.
    if (!l->ended || (status < 0 && l->end >= 0)) {
        l->end = status;
        l->ended = true;
        if (status < 0) hpt__error_copy(l->message);
    }
    pthread_mutex_unlock(&l->lock);
}

// Whether this thread may start another trial.
static bool next(loop *l) {
    bool go = false;
    pthread_mutex_lock(&l->lock);
    if (!l->ended) {
        if (l->o.n_trials > 0 && l->n_asked >= l->o.n_trials) {
            l->ended = true;
        } else if (l->deadline > 0 && hpt__now_mono() >= l->deadline) {
            l->ended = true;
            l->end = HPT_S_STOPPED;
        } else {
            l->n_asked++;
            go = true;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return go;
}

static int run_one(loop *l, double *values) {
    int rc = 0;
    hpt_trial *trial = NULL;
    HPT_TRY(hpt_study_ask(&trial, l->study));
    if (rc == HPT_S_EXHAUSTED) goto out;
    const int verdict = l->objective(values, trial, l->payload);
    if (verdict == 0)
        HPT_TRY(hpt_study_tell(l->study, trial, HPT_TRIAL_COMPLETE, values, l->study->k));
    else
        HPT_TRY(hpt_study_tell(l->study, trial, verdict == HPT_S_PRUNE ? HPT_TRIAL_PRUNED : HPT_TRIAL_FAIL, NULL, 0));
    rc = 0;
    if (l->o.callback) {
        pthread_mutex_lock(&l->lock);
        const bool stop = l->o.callback(l->study, trial, l->o.callback_payload) != 0;
        pthread_mutex_unlock(&l->lock);
        if (stop) rc = HPT_S_STOPPED;
    }
out:
    hpt_trial_destroy(trial);
    return rc;
}

static void *work(void *payload) {
    loop *l = payload;
    double *values = hpt__calloc((size_t)l->study->k, sizeof *values);
    if (!values) {
        end_with(l, hpt__fail_memory());
        return NULL;
    }
    while (next(l)) {
        int rc = run_one(l, values);
        if (rc != 0) end_with(l, rc);
    }
    hpt__free(values);
    return NULL;
}

int hpt_study_optimize(hpt_study *study, hpt_objective_fn objective, void *payload,
                       const hpt_optimize_options *options) {
    int rc = 0;
    int64_t n_started = 0;
    pthread_t *threads = NULL;
    bool lock_made = false;
    loop l = {.study = study, .objective = objective, .payload = payload, .o = HPT_OPTIMIZE_OPTIONS_INIT};
    HPT_FAIL_IF(!study || !objective, HPT_E_ARG, "hpt_study_optimize: the study or the objective is NULL");
    if (options) {
        HPT_FAIL_IF(options->struct_size < sizeof options->struct_size, HPT_E_ARG,
                    "hpt_study_optimize: options are not initialised; start from HPT_OPTIMIZE_OPTIONS_INIT");
        memcpy(&l.o, options, options->struct_size < sizeof l.o ? options->struct_size : sizeof l.o);
    }
    HPT_FAIL_IF(l.o.n_trials < 0 || !(l.o.timeout >= 0) || l.o.n_threads < 0 || l.o.n_threads > MAX_THREADS, HPT_E_ARG,
                "hpt_study_optimize: n_trials and timeout are at least 0, n_threads is 0 to %d", MAX_THREADS);
    if (l.o.timeout > 0) l.deadline = hpt__now_mono() + l.o.timeout;
    HPT_FAIL_IF(pthread_mutex_init(&l.lock, NULL) != 0, HPT_E_MEMORY, "no mutex could be made");
    lock_made = true;
    int64_t n_extra = l.o.n_threads > 1 ? l.o.n_threads - 1 : 0;
    if (l.o.n_trials > 0 && n_extra > l.o.n_trials - 1) n_extra = l.o.n_trials - 1;
    if (n_extra > 0) {
        threads = hpt__calloc((size_t)n_extra, sizeof *threads);
        if (!threads) {
            rc = hpt__fail_memory();
            goto out;
        }
    }
    for (; n_started < n_extra; n_started++) {
        if (pthread_create(&threads[n_started], NULL, work, &l) != 0) break;
    }
    if (n_started < n_extra) {
        hpt__log(HPT_LOG_WARN, "hpt_study_optimize: %lld of %lld threads could be started", (long long)n_started + 1,
                 (long long)n_extra + 1);
    }
    (void)work(&l);
    for (int64_t i = 0; i < n_started; i++) (void)pthread_join(threads[i], NULL);
    rc = l.end;
    if (rc < 0) hpt__error_set(l.message);
out:
    if (lock_made) pthread_mutex_destroy(&l.lock);
    hpt__free(threads);
    return rc;
}
