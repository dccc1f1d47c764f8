// SPDX-License-Identifier: Apache-2.0
// run_ask.c: asks beside the event loop.
//
// A model may think for seconds; reports, stops and starts must not wait for it. So one thread asks, one ask at a time,
// and wakes the loop through an eventfd when it is done; the study's lock is free while a model thinks (study_ask.c).
// The thread touches the study and the fields of hpt__asker under its lock, nothing else of the run. A sampler that takes
// microseconds is asked by the loop itself: two changes of threads cost more than the ask, above all on a busy machine.
//
// Asking ahead. While an ask takes A seconds and trials end every D/n_slots seconds, A n_slots / D trials end during an
// ask and their slots stand idle. Where that is more than IDLE of the slots' time (A > IDLE D) as many suggestions are
// asked for in advance, at most AHEAD_MAX and n_slots, and stored as waiting trials: a run that is killed leaves them to
// the next one. A quick ask is never made ahead, so that it knows all results; nor is one where there is one slot,
// whose suggestions then are the same however long an ask takes. A and D are exponential means of what was measured.
//
// Stopping. An ask cannot be interrupted, but it looks before it stores anything; what it stored all the same, and what
// can no longer be started, goes back to the queue as waiting. The loop waits for the ask under way, and serves its
// trials meanwhile.
//
// Ownership: what an ask gave is the asker's until hpt__run_asked takes it. Threads: the loop's, and the one of its own.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double IDLE = 0.05, WEIGHT = 0.3;
enum { AHEAD_MAX = 8 };

static void ask_now(hpt__asker *a) {
    const double t0 = hpt__now_mono();
    int64_t n = 0;
    a->rc = hpt__study_ask_ahead(a->trials, &n, a->study, a->q, a->ahead, &a->cancel);
    a->n = a->rc < 0 ? 0 : n;
    a->seconds = hpt__now_mono() - t0;
    if (a->rc < 0) hpt__error_copy(a->error);
}

static void *ask_thread(void *payload) {
    hpt__asker *a = payload;
    const uint64_t one = 1;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->quit && a->state != HPT__ASK_WANTED) pthread_cond_wait(&a->wake, &a->lock);
        if (a->quit) break;
        pthread_mutex_unlock(&a->lock); // q, ahead and the results are this thread's until it is done
        ask_now(a);
        pthread_mutex_lock(&a->lock);
        a->state = HPT__ASK_DONE;
        if (write(a->event, &one, sizeof one) < 0) continue; // full counter: the loop has not read the last one yet
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

int hpt__run_open_asker(hpt__run *run) {
    int rc = 0;
    hpt__asker *a = &run->asker;
    a->study = run->study;
    a->trials = hpt__calloc((size_t)run->n_slots, sizeof(hpt_trial *));
    if (!a->trials) return hpt__fail_memory();
    a->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    HPT_FAIL_IF(a->event < 0, HPT_E_IO, "the run cannot open its descriptors: %s", strerror(errno));
    HPT_TRY(hpt__run_watch(run, a->event, HPT__SOURCE_ASK, 0, EPOLLIN));
    const int why = pthread_create(&a->thread, NULL, ask_thread, a);
    HPT_FAIL_IF(why != 0, HPT_E_MEMORY, "no thread can be started to ask the study: %s", strerror(why));
    a->started = true;
out:
    return rc;
}

// What cannot be started any more waits for whoever asks next. Where the storage does not work it stays RUNNING, and the
// next run of this folder finds it; after a first failure no more are tried, since SQLite may take 10 s to give up each.
static void give_back(hpt__run *run, int64_t from, int64_t n) {
    int rc = 0;
    for (int64_t i = from; i < n; i++) {
        if (rc == 0) rc = hpt__study_unclaim(run->study, run->asker.trials[i]);
        hpt_trial_destroy(run->asker.trials[i]);
    }
}

void hpt__run_close_asker(hpt__run *run) {
    char message[HPT__ERROR_MAX];
    hpt__asker *a = &run->asker;
    hpt__error_copy(message);
    if (a->started) {
        pthread_mutex_lock(&a->lock);
        a->quit = true;
        atomic_store(&a->cancel, true);
        pthread_cond_signal(&a->wake);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
        if (a->state == HPT__ASK_DONE) give_back(run, 0, a->n);
    }
    if (a->event >= 0) close(a->event);
    hpt__free(a->trials);
    *a = (hpt__asker)HPT__ASKER_INIT;
    hpt__error_set(message);
}

bool hpt__run_asking(hpt__run *run) {
    pthread_mutex_lock(&run->asker.lock);
    const bool asking = run->asker.state != HPT__ASK_IDLE;
    pthread_mutex_unlock(&run->asker.lock);
    return asking;
}

void hpt__run_cancel_ask(hpt__run *run) {
    atomic_store(&run->asker.cancel, true);
}

int64_t hpt__run_ahead(const hpt__run *run) {
    const hpt__asker *a = &run->asker;
    const double duration = run->trial_seconds;
    if (run->n_slots == 1 || !(duration > 0) || !(a->mean > IDLE * duration)) return 0;
    const double n = ceil(a->mean * (double)run->n_slots / duration);
    const int64_t most = run->n_slots < AHEAD_MAX ? run->n_slots : AHEAD_MAX;
    return n < (double)most ? (int64_t)n : most;
}

void hpt__run_note_duration(hpt__run *run, double seconds) {
    run->trial_seconds += run->trial_seconds > 0 ? WEIGHT * (seconds - run->trial_seconds) : seconds;
}

int hpt__run_ask(hpt__run *run, int64_t q, int64_t ahead) {
    hpt__asker *a = &run->asker;
    const bool here = hpt__study_asks_quickly(run->study);
    pthread_mutex_lock(&a->lock);
    HPT_ASSERT(a->state == HPT__ASK_IDLE);
    a->q = q;
    a->ahead = ahead;
    atomic_store(&a->cancel, false);
    if (here) {
        ask_now(a);
        a->state = HPT__ASK_DONE;
    } else {
        a->state = HPT__ASK_WANTED;
        pthread_cond_signal(&a->wake);
    }
    pthread_mutex_unlock(&a->lock);
    return here ? hpt__run_asked(run) : 0;
}

int hpt__run_asked(hpt__run *run) {
    int rc = 0;
    uint64_t count;
    int64_t i = 0;
    hpt__asker *a = &run->asker;
    while (read(a->event, &count, sizeof count) > 0) continue;
    pthread_mutex_lock(&a->lock);
    const bool done = a->state == HPT__ASK_DONE;
    pthread_mutex_unlock(&a->lock);
    if (!done) return 0;
    const int64_t n = a->n;
    if (a->rc < 0) {
        hpt__error_set(a->error);
        rc = a->rc;
        goto out;
    }
    // An ask that only claimed waiting trials says nothing about the sampler, nor one that was called off.
    if (a->rc != HPT_S_NOTHING) a->mean += a->mean > 0 ? WEIGHT * (a->seconds - a->mean) : a->seconds;
    if (a->rc == HPT_S_EXHAUSTED) run->exhausted = true;
    HPT_TRY(hpt__run_refresh(run));
    while (i < n && hpt__run_may_start(run)) {
        i++; // started or not, it is the asker's no more
        HPT_TRY(hpt__run_start_asked(run, a->trials[i - 1], &run->grants[i - 1]));
    }
    rc = 0;
out:;
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    const bool some = i < n;
    give_back(run, i, n);
    for (int64_t k = 0; k < run->n_granted; k++) hpt__run_give(run, &run->grants[k]);
    run->n_granted = 0;
    a->n = 0;
    pthread_mutex_lock(&a->lock);
    a->state = HPT__ASK_IDLE;
    pthread_mutex_unlock(&a->lock);
    if (some && rc == 0) return hpt__run_refresh(run);
    hpt__error_set(message);
    return rc;
}
