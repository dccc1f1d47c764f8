// SPDX-License-Identifier: Apache-2.0
// run_mps.c: how a trial's share of a GPU is held: the tier, what the trial's environment says of it, and whether it is true.
//
//   mig             the share is a MIG instance: hardware
//   mps             a share of one GPU, seen among the clients of this GPU's own MPS server
//   mps-static      the same, with an SM partition of its own (run_mps_parts.c) instead of a percentage
//   mps-unverified  the same, not seen there (yet): a trial that has not used its GPU is no client
//   unenforced      should be there, but the driver lists it on the GPU and MPS does not: its limits do not hold
//   advisory        CUDA_VISIBLE_DEVICES alone
//   none            option run.enforce is off
//
// MPS fails open: a process that does not find its server gets the whole GPU and says nothing. So clients are looked for,
// soon after a start and then ever more rarely. That one escaped is believed when NVML lists one of its processes on the GPU
// in two looks running: between the two questions of one look a client may have come.
//
// Whole GPUs and several of them are not put under MPS (but is_shared): there is no neighbour to be held from, and a client of two
// GPUs makes them one fault domain. Which controller serves a GPU: run_mps_serve.c.
//
// Ownership: controllers and NVML's handle are the run's. Threads: the loop's. Cost: controllers are started before the loop
// (at most two limits each); a look is two short processes that the loop waits for as for everything else.
#include "../base/clock.h"
#include "run_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

// When a look failed the next one comes after AGAIN seconds, then twice as many, at most AGAIN_MOST.
static const double AGAIN = 0.25, AGAIN_MOST = 2.0;
static const double FIRST_LOOK = 0.25, RAREST_LOOK = 10.0, VERIFIED_LOOK = 30.0, FAULT_LOOK = 0.25;
static const int64_t MIB = 1 << 20;
enum { ESCAPED_LOOKS = 2 };

static bool is_fraction(const hpt__demand *d) {
    return d->n_gpus == 1 && d->gpu < HPT__GPU_UNITS && !d->profile[0];
}

// Shares, and where all trials have shares also one that has a GPU to itself for once (run_fault.c): the run's own server
// would stand in its way in compute mode exclusive_process.
static bool is_shared(const hpt__run *run, const hpt__demand *d) {
    const bool all = is_fraction(&run->most) || run->sweep->gpu_follows;
    return is_fraction(d) || (d->n_gpus == 1 && !d->profile[0] && all);
}

int64_t hpt__run_mps_index(const hpt__run *run, const hpt__grant *g) {
    return run->mps_of && g->demand.n_gpus == 1 ? run->mps_of[g->gpus[0]] : -1;
}

const char *hpt__run_mps_gpu(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k) return run->ledger.gpus[i].info.name;
    return "?";
}

static hpt__mps *controller_of(const hpt__run *run, const hpt__grant *g) {
    const int64_t k = hpt__run_mps_index(run, g);
    return k >= 0 ? &run->mps.items[k] : NULL;
}

hpt__tier hpt__run_tier(const hpt__run *run, const hpt__grant *g) {
    const hpt__demand *d = &g->demand;
    bool instances = d->n_gpus > 0;
    if (d->n_gpus == 0) return d->memory > 0 ? HPT__TIER_RLIMIT : HPT__TIER_NONE;
    for (int64_t i = 0; i < d->n_gpus; i++) instances = instances && run->ledger.gpus[g->gpus[i]].info.profile[0];
    if (instances) return HPT__TIER_MIG;
    if (run->enforce == HPT__ENFORCE_OFF) return HPT__TIER_NONE;
    const hpt__mps *m = is_shared(run, d) ? controller_of(run, g) : NULL;
    return m && m->alive ? HPT__TIER_MPS_UNVERIFIED : HPT__TIER_ADVISORY;
}

const char *hpt__run_tier_name(const hpt__running *t) {
    static const char *const names[] = {"none", "rlimit",         "cgroup",     "mig",
                                        "mps",  "mps-unverified", "unenforced", "advisory"};
    return t->tier == HPT__TIER_MPS && t->part > 0 ? "mps-static" : names[t->tier];
}

bool hpt__run_mps_is_asked_for(const hpt__run *run) {
    return is_fraction(&run->demand) || run->sweep->gpu_follows;
}

// ---- the trial's environment

// Variables of MPS that we give, so that inherited ones are left out.
bool hpt__run_mps_sets(const hpt__run *run, const char *entry, size_t n) {
    static const char *const names[] = {"CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY",
                                        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
                                        "CUDA_MPS_SM_PARTITION"};
    for (size_t i = 0; run->mps.n > 0 && i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && memcmp(names[i], entry, n) == 0) return true;
    return false;
}

void hpt__run_mps_env(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const hpt__grant *g = &t->grant;
    const hpt__mps *m = controller_of(run, g);
    if (!is_shared(run, &g->demand) || t->tier == HPT__TIER_MIG || t->tier == HPT__TIER_NONE) return;
    const hpt__ledger_gpu *gpu = &run->ledger.gpus[g->gpus[0]];
    const int64_t memory = g->gpu_memory[0], total = gpu->info.memory_bytes;
    if (t->tier == HPT__TIER_MPS_UNVERIFIED) {
        const int64_t percent = g->demand.gpu * 100 / HPT__GPU_UNITS;
        hpt__str_addf(s, "CUDA_MPS_PIPE_DIRECTORY=%s%cCUDA_MPS_LOG_DIRECTORY=%s%c", m->pipe, 0, m->log, 0);
        if (t->part > 0)
            hpt__run_part_env(s, run, t);
        else
            hpt__str_addf(s, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=%lld%c", (long long)(percent > 0 ? percent : 1), 0);
        // An entry for a GPU that the trial does not see would drop every limit, so its own alone is named.
        if (memory >= MIB)
            hpt__str_addf(s, "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=%s=%lldM%c", m->uuid, (long long)(memory / MIB), 0);
    }
    const double part =
        memory > 0 && total > 0 ? (double)memory / (double)total : (double)g->demand.gpu / HPT__GPU_UNITS;
    if (part > 0 && part < 1 && !hpt__run_inherits(run, "XLA_PYTHON_CLIENT_MEM_FRACTION"))
        hpt__str_addf(s, "XLA_PYTHON_CLIENT_MEM_FRACTION=%.4f%c", part, 0);
    if (!hpt__run_inherits(run, "TF_FORCE_GPU_ALLOW_GROWTH")) hpt__str_addf(s, "TF_FORCE_GPU_ALLOW_GROWTH=true%c", 0);
}

// ---- while trials run

hpt__family hpt__run_family(const hpt__run *run, const hpt__running *t) {
    return (hpt__family){.leader = t->pid, .trial = t->number, .run_id = run->run_id};
}

static bool is_client(const hpt__mps *m, const hpt__family *family) {
    for (int64_t i = 0; i < m->n_clients; i++)
        if (hpt__proc_is_of(m->clients[i].pid, family)) return true;
    return false;
}

static bool is_on_gpu(const hpt__gpu_load *load, const hpt__family *family) {
    for (int64_t i = 0; i < load->n; i++)
        if (hpt__proc_is_of(load->processes[i].pid, family)) return true;
    return false;
}

static bool watched(const hpt__run *run, const hpt__running *t, const hpt__mps *m) {
    return t->trial && !t->ended && controller_of(run, &t->grant) == m &&
           (t->tier == HPT__TIER_MPS || t->tier == HPT__TIER_MPS_UNVERIFIED);
}

static void escaped(hpt__run *run, hpt__running *t, const hpt__mps *m) {
    t->tier = HPT__TIER_UNENFORCED;
    if (run->enforce == HPT__ENFORCE_REQUIRED) {
        hpt__run_stop_trial(run, t, HPT__STOP_UNENFORCED);
        return;
    }
    hpt__run_notice(run,
                    "trial %lld computes on %s beside its MPS server: its share is not enforced; it must keep "
                    "CUDA_MPS_PIPE_DIRECTORY as it was given",
                    (long long)t->number, m->uuid);
}

// What the clients of a controller tell of its trials.
static void judge(hpt__run *run, hpt__mps *m) {
    bool polled = false, known = false;
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!t->trial || t->tier != HPT__TIER_MPS_UNVERIFIED || controller_of(run, &t->grant) != m) continue;
        const hpt__family family = hpt__run_family(run, t);
        if (is_client(m, &family)) {
            t->tier = HPT__TIER_MPS; // also of one that has ended since the controller was asked
            continue;
        }
        if (t->ended) continue;
        if (!polled && run->nvml) known = hpt__nvml_poll(&run->load, run->nvml, m->uuid) == 0;
        polled = true;
        t->n_escaped = known && is_on_gpu(&run->load, &family) ? t->n_escaped + 1 : 0;
        if (t->n_escaped >= ESCAPED_LOOKS) escaped(run, t, m);
    }
}

static void plan_look(hpt__run *run, int64_t k, double now) {
    hpt__mps_looks *l = &run->mps_looks[k];
    bool all = true;
    for (int64_t i = 0; i < run->n_slots; i++)
        all = all && !(watched(run, &run->slots[i], &run->mps.items[k]) && run->slots[i].tier != HPT__TIER_MPS);
    l->gap = all ? VERIFIED_LOOK : l->gap * 2 < RAREST_LOOK ? l->gap * 2 : RAREST_LOOK;
    if (l->fault_at > 0) l->gap = FAULT_LOOK;
    l->next = now + (hpt__run_mps_end_wanted(run, k) ? 0 : fmin(l->gap, hpt__run_fault_asks(run, k)));
}

// Controller k had no good answer: a busy daemon is asked again soon, one that was given up (was alive: before) ever more rarely.
static void unheard(hpt__run *run, int64_t k, bool was) {
    const hpt__mps *m = &run->mps.items[k];
    const int64_t n = m->n_failed < 8 ? m->n_failed : 8;
    run->mps_looks[k].next = hpt__now_mono() + fmin(AGAIN * (double)(1 << (n > 0 ? n - 1 : 0)), AGAIN_MOST);
    if (was && !m->alive)
        hpt__run_mps_lost(run, k);
    else
        hpt__run_mps_unheard_again(run, k);
    hpt__run_mps_end_unheard(run, k);
}

// Goes on with the look at controller k, whose process has ended or whose time is up.
static int go_on(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    const hpt__mps_step step = m->step;
    const bool was = m->alive;
    if (step == HPT__MPS_NOTHING) return 0;
    const hpt__mps_state state = hpt__mps_look(&run->mps, m);
    if (step == HPT__MPS_ASKED_END && state != HPT__MPS_BUSY) {
        hpt__run_mps_end_answered(run, k, state == HPT__MPS_ANSWERED);
        run->mps_looks[k].next = hpt__now_mono(); // for others that wait
        if (m->n_failed > 0) unheard(run, k, was);
        return 0;
    }
    if (step >= HPT__MPS_QUITTING && state != HPT__MPS_BUSY) {
        if (state == HPT__MPS_FAILED)
            hpt__run_mps_lost(run, k);
        else
            hpt__run_mps_back(run, k);
        return 0;
    }
    if (state == HPT__MPS_BUSY && m->step != step) // the next question
        return hpt__run_watch(run, m->call.pidfd, HPT__SOURCE_MPS, k, EPOLLIN);
    if (state == HPT__MPS_ANSWERED) {
        hpt__run_mps_answered(run, k);
        if (m->alive) judge(run, m);
        if (m->alive) hpt__run_fault_looked(run, k);
        if (hpt__run_mps_end_next(run, k)) return hpt__run_watch(run, m->call.pidfd, HPT__SOURCE_MPS, k, EPOLLIN);
    }
    if (state == HPT__MPS_FAILED) unheard(run, k, was);
    if (state == HPT__MPS_ANSWERED) plan_look(run, k, hpt__now_mono());
    return 0;
}

int hpt__run_mps_event(hpt__run *run, int64_t k) {
    return k < run->mps.n ? go_on(run, k) : 0;
}

void hpt__run_mps_started(hpt__run *run, const hpt__running *t) {
    const hpt__mps *m = t->tier == HPT__TIER_MPS_UNVERIFIED ? controller_of(run, &t->grant) : NULL;
    if (!m) return;
    hpt__mps_looks *l = &run->mps_looks[m - run->mps.items];
    if (m->n_failed == 0) l->next = hpt__now_mono() + FIRST_LOOK; // else it is soon
    l->gap = FIRST_LOOK;
}

// When controller k wants something; INFINITY: nothing.
static double due(const hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    if (m->step != HPT__MPS_NOTHING) return m->call.until;
    if (hpt__run_mps_end_wanted(run, k)) return run->mps_looks[k].next;
    if (!m->alive) return hpt__run_mps_again_due(run, k);
    if (run->mps_looks[k].fault_at > 0 || hpt__run_fault_asks(run, k) < INFINITY) return run->mps_looks[k].next;
    for (int64_t i = 0; i < run->n_slots; i++)
        if (watched(run, &run->slots[i], m)) return run->mps_looks[k].next;
    return INFINITY;
}

double hpt__run_mps_due(const hpt__run *run) {
    double at = fmin(hpt__run_fault_due(run), hpt__run_part_due(run));
    for (int64_t k = 0; k < run->mps.n; k++) at = fmin(at, due(run, k));
    return at;
}

int hpt__run_mps_time(hpt__run *run, double now) {
    hpt__run_fault_time(run, now);
    int rc = hpt__run_part_time(run, now);
    for (int64_t k = 0; rc == 0 && k < run->mps.n; k++) {
        hpt__mps *m = &run->mps.items[k];
        hpt__run_mps_settle(run, k);
        if (now < due(run, k)) continue;
        if (m->step != HPT__MPS_NOTHING) {
            rc = go_on(run, k);
            continue;
        }
        const bool was = m->alive;
        if (!was && !hpt__run_mps_end_wanted(run, k)) {
            rc = hpt__run_mps_again(run, k);
            continue;
        }
        run->mps_looks[k].began = now;
        hpt__run_mps_looking(run, k);
        if (hpt__mps_look_begin(&run->mps, m) == 0)
            rc = hpt__run_watch(run, m->call.pidfd, HPT__SOURCE_MPS, k, EPOLLIN);
        else
            unheard(run, k, was);
    }
    return rc;
}
