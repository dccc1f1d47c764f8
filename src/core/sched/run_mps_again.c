// SPDX-License-Identifier: Apache-2.0
// run_mps_again.c: a controller that does not answer any more, or has ended, and how its GPU comes back under MPS.
//
//   controller k      run.enforce=best                         run.enforce=required
//   does not answer   its GPU's new trials are advisory        nothing is started there; after GIVEN_UP seconds the run ends
//   has ended         the same                                 the run ends: nothing holds newcomers
//
// It is asked again after AGAIN seconds, then after twice as many and so on, at most AGAIN_MOST, and only while there is a trial
// to be started: nothing polls a machine that has nothing to do. What answers is used again at once; a daemon that has ended is
// started anew at these times, in new folders, as is one whose start failed. One that was used again for less than AGAIN_MOST goes on
// with the longer pauses. One line says that it was lost, one that it is back.
//
// What runs is left as it is:
//   - A server ends with its daemon, and its clients fail at once (seen on an H200, driver 580; run_fault.c charges none of them). Should
//     one live on, a second server beside it would only take turns with it: nothing is started before its clients have ended, and then
//     what is left of the old one gets SIGKILL.
//   - Trials that began as advisory stay so, and new ones beside them are under MPS: the ledger counts both, so that together they
//     never hold more than the GPU, in compute or in memory; until the former have ended they and the server take turns. To wait for an
//     empty GPU instead would leave it idle for as long as a trial takes.
//   - In compute mode exclusive_process the one process is either. A server that does not answer has the device, so that nothing is
//     started there; a new server waits until the advisory trial has ended, after which no other is started before it.
//
// A controller that other runs use is not started anew here (run_mps_serve.c): this run waits until it is in order, or theirs no more.
//
// Ownership, threads: as run_mps.c. Cost: a look, or a start, at those times.
#include "../base/clock.h"
#include "run_impl.h"

#include <math.h>
#include <string.h>
#include <sys/epoll.h>

static const double AGAIN = 10.0, AGAIN_MOST = 300.0, GIVEN_UP = 600.0, WAIT = 10.0, SOON = 1.0;

static hpt__ledger_gpu *gpu_of(const hpt__run *run, int64_t k) {
    int64_t i = 0;
    while (i + 1 < run->ledger.n_gpus && run->mps_of[i] != k) i++;
    return &run->ledger.gpus[i];
}

static bool is_exclusive(const hpt__run *run, int64_t k) {
    return strcmp(gpu_of(run, k)->info.compute_mode, "exclusive_process") == 0;
}

static void put_off(hpt__mps_looks *l) {
    const double now = hpt__now_mono();
    const bool held_out = l->back_at > 0 && now - l->back_at > AGAIN_MOST;
    if (l->lost_at > 0) l->pause = l->pause <= 0 || held_out ? AGAIN : fmin(l->pause * 2, AGAIN_MOST);
    l->again_at = now + (l->lost_at > 0 ? l->pause : WAIT);
    l->back_at = 0;
}

void hpt__run_mps_lost(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    const bool required = run->enforce == HPT__ENFORCE_REQUIRED, gone = hpt__mps_is_gone(m), known = l->lost_at > 0;
    l->fault_at = 0;
    hpt__run_mps_readmit(run, k);
    if (required && gone) {
        hpt__run_break(run, hpt__fail(HPT_E_DEVICE, "run.enforce=required: %s; run again to go on", m->why));
        return;
    }
    if (!known) l->lost_at = hpt__now_mono();
    put_off(l);
    l->idle = required || (!gone && is_exclusive(run, k));
    gpu_of(run, k)->drained = gpu_of(run, k)->drained || l->idle;
    if (gone && !hpt__run_fault_any(run, k)) hpt__mps_leave(m);
    hpt__run_mps_announce(run, k);
    if (known) return;
    if (l->idle)
        hpt__run_notice(run, "%s; nothing is started on this GPU until it answers again", m->why);
    else
        hpt__run_notice(run, "%s; shares of this GPU are advisory until it %s", m->why,
                        gone ? "has been started anew" : "answers again");
}

void hpt__run_mps_back(hpt__run *run, int64_t k) {
    hpt__mps_looks *l = &run->mps_looks[k];
    run->mps.items[k].alive = true;
    l->again_at = l->lost_at = 0;
    l->waited = false;
    l->back_at = hpt__now_mono();
    hpt__run_mps_readmit(run, k);
    hpt__run_mps_announce(run, k);
    hpt__run_notice(run, "%s is used with MPS again", hpt__run_mps_gpu(run, k));
}

void hpt__run_mps_answered(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    if (l->again_at <= 0) return;
    if (m->users < 0 && (m->fault || m->starting || !hpt__mps_use(m)))
        put_off(l); // other runs'
    else
        hpt__run_mps_back(run, k);
}

void hpt__run_mps_unheard_again(hpt__run *run, int64_t k) {
    hpt__mps_looks *l = &run->mps_looks[k];
    if (l->again_at > 0 && hpt__now_mono() >= l->again_at) put_off(l);
}

void hpt__run_mps_settle(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    if (m->alive || m->users < 0 || m->step != HPT__MPS_NOTHING || hpt__run_fault_any(run, k)) return;
    if (run->mps_looks[k].excluded_until <= 0 && !hpt__mps_is_gone(m)) return;
    hpt__mps_leave(m); // it may be started anew by another run
    hpt__run_mps_announce(run, k);
}

// Whether a trial could be started, were there room.
static bool is_wanted(const hpt__run *run) {
    return hpt__run_may_start(run) && (hpt__run_has_more(run) || run->queue.n > 0);
}

double hpt__run_mps_again_due(const hpt__run *run, int64_t k) {
    const hpt__mps_looks *l = &run->mps_looks[k];
    if (l->excluded_until > 0) return hpt__run_fault_any(run, k) ? INFINITY : l->excluded_until;
    if (l->again_at <= 0) return hpt__run_mps_is_drained(run, k) ? 0 : INFINITY;
    // The server of a daemon that has ended may live, and its clients with it.
    if (hpt__mps_is_gone(&run->mps.items[k]) && hpt__run_fault_any(run, k)) return INFINITY;
    return is_wanted(run) ? l->again_at : INFINITY;
}

static int ask(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    if (hpt__mps_look_begin(&run->mps, m) == 0) return hpt__run_watch(run, m->call.pidfd, HPT__SOURCE_MPS, k, EPOLLIN);
    put_off(&run->mps_looks[k]);
    return 0;
}

static int start_anew(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    run->mps_looks[k].again_at = 0;
    if (hpt__mps_restart_begin(&run->mps, m, run->dir.real) == 0)
        return hpt__run_watch(run, m->call.pidfd, HPT__SOURCE_MPS, k, EPOLLIN);
    hpt__run_mps_lost(run, k);
    return 0;
}

// Other runs use it, or are about to start it.
static void wait(hpt__run *run, int64_t k, bool used) {
    hpt__mps_looks *l = &run->mps_looks[k];
    put_off(l);
    if (!used) l->again_at = hpt__now_mono() + SOON;
    l->idle = gpu_of(run, k)->drained;
    if (!used || l->waited || l->lost_at > 0) return;
    l->waited = true;
    hpt__run_notice(
        run,
        "%s: other runs use its MPS controller, which is therefore not started anew; it is used again when it is in order",
        hpt__run_mps_gpu(run, k));
}

int hpt__run_mps_again(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    const bool gone = hpt__mps_is_gone(m);
    l->began = hpt__now_mono();
    if (l->lost_at > 0 && run->enforce == HPT__ENFORCE_REQUIRED && l->began - l->lost_at > GIVEN_UP) {
        hpt__run_break(run, hpt__fail(HPT_E_DEVICE, "run.enforce=required: %s, for %.0f minutes; run again to go on",
                                      m->why, GIVEN_UP / 60));
        return 0;
    }
    if (l->lost_at > 0 && m->users >= 0 && !gone) return ask(run, k);
    if (hpt__run_fault_any(run, k)) { // it would end them
        put_off(l);
        return 0;
    }
    l->excluded_until = 0;
    if (is_exclusive(run, k) && gpu_of(run, k)->n_grants > 0) { // due when that has ended
        l->again_at = 0;
        gpu_of(run, k)->drained = true;
        return 0;
    }
    const hpt__renewal what = hpt__run_mps_renew(run, k);
    if (what == HPT__RENEW_START) return start_anew(run, k);
    if (what == HPT__RENEW_ASK && !gone) {
        wait(run, k, true);
        return ask(run, k);
    }
    if (what == HPT__RENEW_JOINED)
        hpt__run_mps_back(run, k);
    else
        wait(run, k, what == HPT__RENEW_ASK);
    return 0;
}
