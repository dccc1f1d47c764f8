// SPDX-License-Identifier: Apache-2.0
// run_fault.c: a fault of one MPS client that its neighbours suffer, and who is charged for it.
//
// What is known. A fatal fault of one client (illegal address, failed assertion) is reported to every client of the same server
// and GPU, without saying whose it is; the server is in state FAULT and refuses newcomers until all of them have exited.
// The driver's critical event (Xid) names the GPU; a process id is in the kernel's log only, which users cannot read everywhere.
// Who exits first is who looks at its device first, so the order of exits says nothing either. Some drivers contain some
// faults: then one client fails and the server stays ACTIVE.
//
// The rule, with S the clients seen at the fault:
//   |S| = 1                 it was that one: failed, charged like any failure
//   |S| > 1                 nobody is charged. Who fails is `collateral`: started again under its number, with HPT_RESUME
//   collateral twice        the next attempt has a GPU to itself (SUSPECT), so that the first case decides about it
// A point that always faults thus costs two shared faults and is then found; an innocent one waits once for an empty GPU. No
// trial can go on for ever.
//
// Clients of other runs that use the same server (run_mps_serve.c) are neighbours too, and part of S: who they are is known by the
// controller's list, and that there are some by the other runs' claims. Each run judges its own; so a fault is collateral in both. A
// run that has judged gives its claim back before it starts anew, so claims are looked at about once a second, and one that there was
// within TOGETHER counts.
//
//   evidence                                           what follows
//   a look at the controller says FAULT                a fault: S as above
//   two fail within TOGETHER, with an Xid, or both     a fault: all clients were gone before anybody could look
//   with words of a fatal fault (fault_words.inc)
//   such words or an Xid, and one fails                the driver contained it: failed, charged
//   the same, and other runs' clients that were        a fault: they are among S. One of them that is served for TOGETHER more (it may
//   beside it are gone too                             compute on the host first) says that the driver contained it
//   such words of one that began before the last       collateral: its context died in that fault, it only noticed later
//   shared fault of its server
//   such words within TOGETHER of a client's SIGKILL   collateral: a kill amidst device work breaks the server as a fault does
//   CUDA says that the server takes no newcomers       collateral: it is in no state to be anybody's fault
//   CUDA says that the server is gone, or the control  collateral: a server ends with its daemon, and its clients fail at
//   daemon is                                          once (seen on an H200)
//   its GPU does not answer any more (run_lost.c)      collateral
//   none                                               failed, charged
// FAULT is seldom seen: on an H200 (driver 580) it lasted 0.12 s at most, and all clients failed within a millisecond. It is
// the words that tell then.
// A client that fails is therefore told only when its controller has been asked anew (some hundredths of a second, VERDICT
// at most). Without neighbours too: nobody is to be started at a server that refuses newcomers.
//
// While FAULT: nothing is started there; clients that have not noticed (they compute on the host) are ended after NOTICE,
// because the server waits for them. A trial that is no client may go on. When all of S are gone and the server is ACTIVE,
// the GPU is used again; one that stays in FAULT gets a new controller.
// FAULTS_MAX shared faults exclude the GPU from MPS for EXCLUDED seconds: its trials then take turns, each with a context of its
// own that no neighbour can break (advisory), or, where run.enforce=required, none is started there. After that time a new
// controller is tried, and the next fault excludes again at once.
//
// Ownership, threads: the run's, the loop's. Cost: a look for each failing trial that has neighbours; NVML's events are asked for
// about once a second. Source: NVIDIA's MPS documentation (error containment), NVML's event interface.
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double VERDICT = 6.0, TOGETHER = 2.0, STAYED_LOOK = 0.25, NOTICE = 5.0, EXCLUDED = 600.0, STUCK = 10.0;
enum { FAULTS_MAX = 3, COLLATERAL_MAX = 5 };

static bool is_on(const hpt__run *run, const hpt__running *t, int64_t k) {
    return t->trial && (t->tier == HPT__TIER_MPS || t->tier == HPT__TIER_MPS_UNVERIFIED) &&
           hpt__run_mps_index(run, &t->grant) == k;
}

static void set_drained(hpt__run *run, int64_t k, bool drained) {
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k) run->ledger.gpus[i].drained = drained || hpt__run_is_lost(run, i);
}

// Failed by itself, so that a fault of another may be why.
static bool failed(const hpt__running *t) {
    const bool zero = t->status_known && WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0;
    return t->ended && t->cause == HPT__STOP_NONE && !zero && !t->steps.preempting;
}

static bool is_client(const hpt__running *t) {
    return t->tier == HPT__TIER_MPS ||
           (t->verdict_at > 0 && failed(t)); // the second: it ended before it was looked for
}

// running: also those that go on, which the server's state says are lost.
static void mark(hpt__run *run, int64_t k, bool running) {
    hpt__mps_looks *l = &run->mps_looks[k];
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!is_on(run, t, k) || t->in_fault || !is_client(t) || !(running || t->ended)) continue;
        t->in_fault = true;
        l->n_present++;
    }
}

static bool was_shared(const hpt__mps_looks *l) {
    return l->n_present + l->n_beside > 1;
}

// beside: how many clients of other runs suffered it too.
static void begin(hpt__run *run, int64_t k, bool running, int64_t beside) {
    hpt__mps_looks *l = &run->mps_looks[k];
    char xid[32] = "", whose[64] = "it is in order again";
    l->fault_at = l->broke_at = hpt__now_mono();
    l->n_present = 0;
    l->n_beside = beside;
    mark(run, k, running);
    l->n_faults += l->n_present > 0 && was_shared(l);
    if (run->mps.items[k].n_failed == 0) l->next = l->fault_at; // else it is soon
    if (l->xid_at > 0 && l->fault_at - l->xid_at < VERDICT)
        (void)snprintf(xid, sizeof xid, ", Xid %lld", (long long)l->xid);
    if (l->n_present > 0)
        (void)snprintf(whose, sizeof whose, "the %lld trial%s that it served ha%s ended", (long long)l->n_present,
                       l->n_present == 1 ? "" : "s", l->n_present == 1 ? "s" : "ve");
    set_drained(run, k, true);
    hpt__run_notice(run, "a trial's work on %s failed and its MPS server with it%s; nothing is started there until %s",
                    hpt__run_mps_gpu(run, k), xid, whose);
}

static void exclude(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    const bool required = run->enforce == HPT__ENFORCE_REQUIRED;
    m->alive = false;
    l->excluded_until = hpt__now_mono() + EXCLUDED;
    set_drained(run, k, required);
    hpt__run_mps_exclusive(run, k);
    hpt__run_notice(run, "%s: %lld faults of shared work; %s for %.0f minutes", hpt__run_mps_gpu(run, k),
                    (long long)l->n_faults,
                    required ? "nothing is started there" : "its shares are advisory, without MPS,", EXCLUDED / 60);
    l->n_faults = FAULTS_MAX - 1;
}

static void end(hpt__run *run, int64_t k) {
    hpt__mps_looks *l = &run->mps_looks[k];
    l->fault_at = 0;
    hpt__run_mps_readmit(run, k);
    if (l->n_faults >= FAULTS_MAX)
        exclude(run, k);
    else
        hpt__run_notice(run, "%s is used again", hpt__run_mps_gpu(run, k));
}

static bool any_in_fault(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].in_fault && is_on(run, &run->slots[i], k)) return true;
    return false;
}

static bool is_ours(const hpt__run *run, pid_t pid) {
    for (int64_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].trial && getsid(pid) == run->slots[i].pid) return true; // most are
    for (int64_t i = 0; i < run->n_slots; i++) {
        const hpt__family family = hpt__run_family(run, &run->slots[i]);
        if (run->slots[i].trial && hpt__proc_is_of(pid, &family)) return true;
    }
    return false;
}

// The clients of other runs, as of the look that has just been answered. *had: of the look before; *stayed: in both.
static void note_strangers(int64_t *had, int64_t *stayed, const hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    pid_t now[HPT__STRANGERS];
    int64_t n = 0;
    *stayed = 0;
    for (int64_t i = 0; i < m->n_clients && n < HPT__STRANGERS; i++) {
        const pid_t pid = m->clients[i].pid;
        const bool dead =
            kill(pid, 0) < 0 && errno == ESRCH; // perhaps one of ours, of which nothing can be known any more
        if (!dead && !is_ours(run, pid)) now[n++] = pid;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < l->n_strangers; j++) *stayed += l->strangers[j] == now[i];
    *had = l->n_strangers;
    l->n_strangers = n;
    memcpy(l->strangers, now, (size_t)n * sizeof *now);
}

// A trial that has a GPU to itself has it in all runs (claims.c).
static bool any_alone(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->n_slots; i++)
        if (is_on(run, &run->slots[i], k) && run->slots[i].grant.demand.gpu >= HPT__GPU_UNITS) return true;
    return false;
}

void hpt__run_fault_neighbours(hpt__run *run) {
    for (int64_t k = 0; k < run->mps.n; k++)
        if (hpt__run_fault_any(run, k) && hpt__run_mps_others(run, k, true))
            run->mps_looks[k].others_at = hpt__now_mono();
}

static bool had_others(hpt__run *run, int64_t k) {
    return run->mps_looks[k].others_at > hpt__now_mono() - TOGETHER || hpt__run_mps_others(run, k, true);
}

void hpt__run_fault_looked(hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    int64_t had, stayed;
    hpt__run_fault_events(run);
    note_strangers(&had, &stayed, run, k);
    const bool new_fault = m->fault && l->fault_at <= 0, alone = any_alone(run, k);
    int others = alone ? 0 : had > 0 ? 1 : -1; // whether other runs had trials there; -1: not asked yet
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!is_on(run, t, k) || !t->ended || t->ended_at > l->began || (t->looked && !t->stayed)) continue;
        if (others < 0) others = had_others(run, k);
        t->looked = true;
        t->stayed = stayed > 0;
        t->beside = others > 0 && stayed == 0;
    }
    if (new_fault && others < 0) others = had_others(run, k);
    if (m->fault && l->fault_at > 0) {
        mark(run, k, true); // one that came between
    } else if (m->fault) {
        const int64_t least = others > 0, seen = had > l->n_strangers ? had : l->n_strangers;
        begin(run, k, true, alone ? 0 : seen > least ? seen : least);
    }
    if (l->fault_at <= 0 || any_in_fault(run, k)) return;
    if (!m->fault && !m->starting) {
        end(run, k);
    } else if (hpt__now_mono() > l->fault_at + STUCK) {
        l->fault_at = 0;
        hpt__run_mps_drain(run, k, "stays in state FAULT", "");
    }
}

bool hpt__run_fault_any(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->n_slots; i++)
        if (is_on(run, &run->slots[i], k)) return true;
    return false;
}

double hpt__run_fault_asks(const hpt__run *run, int64_t k) {
    double soon = INFINITY;
    for (int64_t i = 0; i < run->n_slots; i++) {
        const hpt__running *t = &run->slots[i];
        if (!is_on(run, t, k) || !t->ended || t->verdict_at <= 0) continue;
        if (!t->looked)
            soon = 0;
        else if (t->stayed)
            soon = fmin(soon, STAYED_LOOK);
    }
    return soon;
}

void hpt__run_fault_events(hpt__run *run) {
    char uuid[96];
    int64_t xid;
    while (run->nvml && hpt__nvml_next_fault(uuid, &xid, run->nvml)) {
        for (int64_t k = 0; k < run->mps.n; k++) {
            if (strcmp(run->mps.items[k].uuid, uuid) != 0) continue;
            run->mps_looks[k].xid = xid;
            run->mps_looks[k].xid_at = run->mps_looks[k].next = hpt__now_mono();
        }
    }
}

static bool was_killed(const hpt__running *t) {
    return t->status_known && WIFSIGNALED(t->status) && WTERMSIG(t->status) == SIGKILL;
}

// Whether what it says of a fault is the end of something that broke its context before.
static bool is_late(const hpt__mps_looks *l, const hpt__running *t) {
    const bool late = was_shared(l) && l->broke_at > t->started && l->broke_at < t->ended_at;
    return t->said == HPT__SAID_FAULT && !was_killed(t) && (late || fabs(t->ended_at - l->killed_at) < TOGETHER);
}

bool hpt__run_fault_waits(hpt__run *run, hpt__running *t) {
    const int64_t k = hpt__run_mps_index(run, &t->grant);
    const double now = hpt__now_mono();
    bool another = false, both = false;
    if (k < 0 || !is_on(run, t, k)) return false;
    hpt__mps_looks *l = &run->mps_looks[k];
    if (was_killed(t) && t->tier == HPT__TIER_MPS && !t->in_fault && !t->work_ended) l->killed_at = t->ended_at;
    if (!failed(t) || t->in_fault) return false;
    if (t->said == HPT__SAID_NOTHING && t->verdict_at <= 0) t->said = hpt__run_says_fault(t);
    if (t->said == HPT__SAID_NOTHING && hpt__mps_is_gone(&run->mps.items[k])) t->said = HPT__SAID_REFUSED;
    if (is_late(l, t)) {
        t->late = true;
        return false;
    }
    if (!run->mps.items[k].alive) return false;
    for (int64_t i = 0; i < run->n_slots; i++) {
        const hpt__running *s = &run->slots[i];
        if (s == t || !is_on(run, s, k)) continue;
        if (!failed(s) || s->verdict_at <= 0) continue;
        another = true;
        both = both || (t->said == HPT__SAID_FAULT && s->said == HPT__SAID_FAULT);
    }
    if (t->verdict_at <= 0) {
        t->verdict_at = now + VERDICT;
        if (run->mps.items[k].n_failed == 0) l->next = now; // else it is soon
        hpt__run_fault_events(run);
    }
    const bool xid = l->xid_at > 0 && fabs(l->xid_at - t->ended_at) < VERDICT;
    const bool beside = t->beside && (xid || t->said == HPT__SAID_FAULT);
    if (((xid && another) || both || beside) && t->looked && l->fault_at <= 0) begin(run, k, false, t->beside);
    if (t->in_fault || now >= t->verdict_at) return false;
    return !t->looked || ((xid || t->said == HPT__SAID_FAULT) && now < t->ended_at + TOGETHER);
}

double hpt__run_fault_due(const hpt__run *run) {
    double at = INFINITY;
    for (int64_t i = 0; i < run->n_slots; i++) {
        const hpt__running *t = &run->slots[i];
        if (!t->trial) continue;
        if (t->ended && t->in_fault) return 0;
        if (t->ended && t->verdict_at > 0) at = fmin(at, t->looked ? t->ended_at + TOGETHER : t->verdict_at);
        if (!t->ended && t->in_fault && t->cause == HPT__STOP_NONE)
            at = fmin(at, run->mps_looks[hpt__run_mps_index(run, &t->grant)].fault_at + NOTICE);
    }
    return at;
}

void hpt__run_fault_time(hpt__run *run, double now) {
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!t->trial || t->ended || !t->in_fault) continue;
        if (now >= run->mps_looks[hpt__run_mps_index(run, &t->grant)].fault_at + NOTICE)
            hpt__run_stop_trial(run, t, HPT__STOP_COLLATERAL);
    }
}

int hpt__run_collateral(bool *is, hpt__run *run, hpt__running *t, const char *log) {
    int64_t n = 0;
    char reason[96];
    const bool lost = hpt__run_lost_any(run, t), refused = t->said == HPT__SAID_REFUSED;
    *is =
        lost || refused || t->late || (t->in_fault && was_shared(&run->mps_looks[hpt__run_mps_index(run, &t->grant)]));
    if (!*is) return 0;
    int rc = hpt__run_note_interrupted(&n, run, t, "collateral");
    if (rc < 0) return rc;
    if (n > COLLATERAL_MAX) {
        (void)snprintf(reason, sizeof reason, "in %lld faults of its GPUs", (long long)n);
        return hpt__run_ended_bad(run, t->trial, t, HPT_TRIAL_FAIL, HPT_OUTCOME_FAILED, reason, log, 0);
    }
    const char *text = lost               ? "its GPU is lost; it is started again"
                       : refused          ? "its GPU's MPS server refused it or is gone; it is started again"
                       : n < HPT__SUSPECT ? "its shared GPU failed; it is started again"
                                          : "its shared GPU failed again; it is started again alone";
    return hpt__run_start_again(run, t, HPT_OUTCOME_COLLATERAL, text, log);
}
