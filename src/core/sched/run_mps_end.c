// SPDX-License-Identifier: Apache-2.0
// run_mps_end.c: how a trial under MPS is killed.
//
// A client that is killed amidst device work leaves its server in an undefined state, its neighbours with it. So before
// SIGKILL the controller is asked, anew, for its clients, and for each of the trial's it is told terminate_client, which returns
// when the client has no work on the device any more. Both together may take END_SECONDS, within which a daemon that did not take
// the question is asked again (run_mps.c); the loop does not wait for them. That a controller was given up, or is to be started anew, does
// not make its clients safe to kill: as long as its daemon lives, it is asked too. If a
// client cannot be ended SIGKILL is sent all the same, no trial is started on this GPU any more, and when those that run there
// have ended its controller is ended and a new one started. If that fails, shares of this GPU are advisory.
//
// A trial that exits by itself, or upon SIGTERM, has closed its device in an ordinary way and needs none of this.
//
// Ownership, threads: as run_mps.c. Source: NVIDIA's MPS documentation (terminate_client).
#include "../base/clock.h"
#include "run_impl.h"

#include <string.h>

static const double END_SECONDS = 10.0;
static const char NO_END[] = "could not end a client";

bool hpt__run_mps_end(hpt__run *run, hpt__running *t) {
    const int64_t k = hpt__run_mps_index(run, &t->grant);
    const bool under = t->tier == HPT__TIER_MPS || t->tier == HPT__TIER_MPS_UNVERIFIED;
    const double now = hpt__now_mono();
    if (!under || t->ended || t->killed || t->mps_end == HPT__END_DONE) return false;
    if (t->in_fault) return false; // its work has ended already
    if (t->mps_end == HPT__END_NOT) {
        if (k < 0 || hpt__mps_is_gone(&run->mps.items[k])) return false;
        t->mps_end = HPT__END_WANTED;
        t->kill_at = now + END_SECONDS;
        if (run->mps.items[k].n_failed == 0) run->mps_looks[k].next = now; // else it is soon
        return true;
    }
    if (now < t->kill_at) return true;
    t->mps_end = HPT__END_DONE;
    hpt__run_mps_drain(run, k, NO_END, "it has not done so in time");
    return false;
}

void hpt__run_mps_looking(hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (t->trial && t->mps_end == HPT__END_WANTED && hpt__run_mps_index(run, &t->grant) == k)
            t->mps_end = HPT__END_LOOKING;
    }
}

static hpt__running *find(const hpt__run *run, int64_t k, hpt__end end) {
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (t->trial && !t->ended && t->mps_end == end && hpt__run_mps_index(run, &t->grant) == k) return t;
    }
    return NULL;
}

bool hpt__run_mps_end_wanted(const hpt__run *run, int64_t k) {
    return find(run, k, HPT__END_WANTED) != NULL;
}

static void kill_now(hpt__run *run, hpt__running *t) {
    t->mps_end = HPT__END_DONE;
    hpt__run_kill_trial(run, t);
}

void hpt__run_mps_end_unheard(hpt__run *run, int64_t k) {
    const bool gone = hpt__mps_is_gone(&run->mps.items[k]);
    hpt__running *t;
    while ((t = find(run, k, HPT__END_LOOKING)) != NULL) t->mps_end = HPT__END_WANTED;
    while (gone && (t = find(run, k, HPT__END_WANTED)) != NULL) kill_now(run, t);
}

bool hpt__run_mps_end_next(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__running *t;
    while ((t = find(run, k, HPT__END_LOOKING)) != NULL) {
        const hpt__family family = hpt__run_family(run, t);
        const int64_t n = hpt__mps_select(m, &family);
        if (n > 0 && hpt__mps_end_begin(&run->mps, m, END_SECONDS) == 0) {
            t->mps_end = HPT__END_ASKED;
            return true;
        }
        if (n > 0) hpt__run_mps_drain(run, k, NO_END, hpt_last_error());
        t->work_ended = n == 0;
        kill_now(run, t);
    }
    return false;
}

void hpt__run_mps_end_answered(hpt__run *run, int64_t k, bool good) {
    const hpt__mps *m = &run->mps.items[k];
    hpt__running *t = find(run, k, HPT__END_ASKED);
    const bool unheard = !good && m->call.state == HPT__MPS_FAILED;
    if (t && unheard && hpt__now_mono() < t->kill_at && !hpt__mps_is_gone(m)) {
        t->mps_end = HPT__END_WANTED; // once more
        return;
    }
    if (!good) hpt__run_mps_drain(run, k, NO_END, hpt__str_text(&m->call.text));
    if (!t) return;
    t->work_ended = good;
    kill_now(run, t);
}

void hpt__run_mps_drain(hpt__run *run, int64_t k, const char *what, const char *why) {
    const int n = (int)strcspn(why, "\n");
    hpt__mps *m = &run->mps.items[k];
    if (!m->alive && run->mps_looks[k].again_at <= 0) return;
    m->alive = false;
    run->mps_looks[k].again_at = run->mps_looks[k].lost_at = 0;
    hpt__run_notice(
        run,
        "the MPS controller of %s %s%s%.*s%s: nothing is started there until its trials have ended and it has been "
        "started anew",
        m->uuid, what, n ? " (" : "", n, why, n ? ")" : "");
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k) run->ledger.gpus[i].drained = true;
}

bool hpt__run_mps_is_drained(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k && run->ledger.gpus[i].drained && run->ledger.gpus[i].n_grants == 0) return true;
    return false;
}

void hpt__run_undrain(hpt__run *run, int64_t gpu) {
    const int64_t k = run->mps_of ? run->mps_of[gpu] : -1;
    const hpt__mps_looks *l = k >= 0 ? &run->mps_looks[k] : NULL;
    if (l && (l->fault_at > 0 || (!run->mps.items[k].alive && (l->again_at <= 0 || l->idle))))
        return; // it is drained for that
    run->ledger.gpus[gpu].drained = false;
    run->ledger.given++;
}

void hpt__run_mps_readmit(hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k) run->ledger.gpus[i].drained = hpt__run_is_lost(run, i);
    hpt__run_mps_exclusive(run, k);
    run->ledger.given++; // what had no room may have it now
}
