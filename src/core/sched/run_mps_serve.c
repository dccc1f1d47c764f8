// SPDX-License-Identifier: Apache-2.0
// run_mps_serve.c: which MPS controller serves which GPU: one of this run's, or that of another run of this user.
//
// Two servers on one GPU take turns at best, so that the runs of a user share one: the first starts it, the others join, the last
// ends it (mps_root.c has the locks by which it is known to be the last, however the others ended). What each holds of the GPU is in the
// folder of claims (claims.c), and with it the controller's pipe folder; so together their trials never have more than the GPU.
//
//   another run's claim    what this run does
//   a pipe folder          joins: uses it as its own
//   "?"                    one is being started, or started anew: waits for it, JOIN_SECONDS at most
//   none                   claims "?" and starts one; what dead runs have left there is ended first
//
// Only what hpt started under this user is joined: a folder that a live run names, that has the name and the owner of one, and whose
// daemon lives. Where any other daemon may serve a GPU (an MPS server is on it, somebody listens in the default pipe folder, the
// user names a pipe folder) none is started: trials then join that one or not, as any program would: advisory.
//
// A controller that other runs use is not this run's to end. Where it should be started anew (a client could not be ended, its server stays in
// FAULT, an exclusion is over) while others use it, this run leaves it, starts nothing there, and asks it every WAIT seconds: one that is
// in order is used again; one that nobody uses any more is started anew by whoever comes first, and joined by the others. Since a run leaves before
// it waits, two that both want that do not wait for each other.
//
// Ownership, threads: as run_mps.c. Cost: the folder's lock, some tens of microseconds, and a scan of /proc where runs were killed.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../devices/mps_find.h"
#include "run_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double JOIN_SECONDS = 10.0;
static const char STARTING[] = "?";

void hpt__run_mps_announce(hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        if (run->mps_of[i] == k)
            (void)snprintf(run->ledger.gpus[i].server, HPT__SERVER_MAX, "%s", m->users >= 0 ? m->pipe : "");
    hpt__claims_given(&run->claims);
}

// ---- before the first trial

static bool is_served(hpt__run *run, const hpt_device_info *d) {
    if (!d->mps || !run->nvml || hpt__nvml_poll(&run->load, run->nvml, d->uuid) < 0) return d->mps;
    for (int64_t i = 0; i < run->load.n; i++) // a killed run's, which the inventory saw, may have been ended meanwhile
        if (run->load.processes[i].mps || hpt__mps_is_server(run->load.processes[i].pid)) return true;
    return false;
}

static bool is_default_taken(void) {
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    bool taken = false;
    if (hpt_mps_list(&list, &n) < 0) return false;
    for (int64_t i = 0; i < n; i++)
        taken =
            taken || (strcmp(list[i].role, "control") == 0 && strcmp(list[i].pipe_directory, "/tmp/nvidia-mps") == 0);
    hpt__free(list);
    return taken;
}

// Why no controller is used on a GPU, whosever; NULL: one is.
static const char *excluded(const hpt_device_info *d) {
    const char *given = getenv("CUDA_MPS_PIPE_DIRECTORY");
    if (strncmp(d->uuid, "GPU-", 4) != 0) return "it is declared, not found by the driver";
    if (given && *given) return "CUDA_MPS_PIPE_DIRECTORY names a controller that is not this run's";
    return NULL;
}

// Joins the run that serves a GPU: *k is its controller here. NULL and *k < 0: none does, and this run may.
static const char *find_server(int64_t *k, hpt__run *run, int64_t gpu) {
    static char why[200];
    hpt__claims *c = &run->claims;
    hpt__ledger_gpu *g = &run->ledger.gpus[gpu];
    const double until = hpt__now_mono() + JOIN_SECONDS;
    while (c->dir) {
        if (hpt__claims_begin(c)) {
            char *other = g->others.server;
            int rc = HPT_E_BUSY;
            if (other[0] == '/') rc = hpt__mps_join(k, &run->mps, g->info.uuid, other);
            if (rc == 0) (void)snprintf(g->server, sizeof g->server, "%s", other);
            if (!*other) (void)snprintf(g->server, sizeof g->server, "%s", STARTING);
            const bool none = !*other;
            hpt__claims_end(c);
            if (rc == 0 || none) return NULL;
            if (rc != HPT_E_BUSY) {
                (void)snprintf(why, sizeof why, "the MPS controller of another run of yours cannot be joined: %.120s",
                               hpt_last_error());
                return why;
            }
        }
        if (hpt__now_mono() >= until) return "another run of yours is about to start its MPS controller on it";
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return NULL;
}

// In compute mode exclusive_process a GPU takes one process, which our server is, with as many clients as it may have.
void hpt__run_mps_exclusive(hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) {
        hpt__ledger_gpu *g = &run->ledger.gpus[i];
        if (run->mps_of[i] == k)
            g->exclusive = strcmp(g->info.compute_mode, "exclusive_process") == 0 && !run->mps.items[k].alive;
    }
}

static void note(hpt__run *run, const char *name, const char *why) {
    if (!run->mps_note[0])
        (void)snprintf(run->mps_note, sizeof run->mps_note, "shares of %.32s are not held by MPS: %.300s", name, why);
}

// What was tried and could not be had. That an older program has none needs no line.
static void note_no_parts(hpt__run *run) {
    for (int64_t k = 0; k < run->mps.n && !run->mps_note[0]; k++) {
        const hpt__mps *m = &run->mps.items[k];
        if (m->alive && !m->parts && m->no_parts[0])
            (void)snprintf(run->mps_note, sizeof run->mps_note,
                           "shares of %.32s are held by percentage, not by static SM partitions: %s",
                           hpt__run_mps_gpu(run, k), m->no_parts);
    }
}

static int start_on(hpt__run *run, int64_t gpu, const char *missing, bool default_taken) {
    hpt__ledger_gpu *g = &run->ledger.gpus[gpu];
    const hpt_device_info *d = &g->info;
    int64_t k = -1;
    if (d->profile[0] || d->capacity <= 0) return 0;
    const char *why = excluded(d);
    if (!why) why = missing;
    if (!why) why = find_server(&k, run, gpu);
    if (!why && k < 0 && is_served(run, d)) why = "somebody else's MPS server is on it";
    if (!why && k < 0 && default_taken) why = "an MPS controller that is not this run's listens in /tmp/nvidia-mps";
    if (!why && k < 0) {
        int rc = hpt__mps_start(&k, &run->mps, run->dir.real, d->uuid);
        if (rc < 0) return rc;
        if (!run->mps.items[k].alive) why = run->mps.items[k].why;
    }
    if (!why) {
        run->mps_of[gpu] = k;
        hpt__run_mps_exclusive(run, k);
        hpt__run_mps_announce(run, k);
        return 0;
    }
    if (*g->server) {
        g->server[0] = '\0';
        hpt__claims_given(&run->claims);
    }
    if (strncmp(d->uuid, "GPU-", 4) == 0) note(run, d->name, why); // what is declared is known to be so
    if (run->enforce != HPT__ENFORCE_REQUIRED) return 0;
    return hpt__fail(HPT_E_DEVICE, "run.enforce=required: shares of %s cannot be held: %s", d->name, why);
}

int hpt__run_mps_open(hpt__run *run) {
    int rc = 0;
    int64_t n = 0;
    char missing[HPT__ERROR_MAX] = "";
    HPT_TRY(hpt__mps_end_leftovers(&n, run->dir.real));
    run->n_leftover += n;
    if (run->enforce == HPT__ENFORCE_OFF || run->demand.n_gpus == 0) return 0;
    bool detected = false;
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) detected = detected || run->ledger.gpus[i].info.uuid[0];
    if (detected && hpt__nvml_open(&run->nvml) < 0) run->nvml = NULL; // nobody is known to escape or to take too much
    HPT_TRY(hpt__run_lost_open(run));
    if (!hpt__run_mps_is_asked_for(run)) return 0;
    run->mps_of = hpt__malloc(((size_t)run->ledger.n_gpus + 1) * sizeof *run->mps_of);
    run->mps_looks = hpt__calloc((size_t)run->ledger.n_gpus + 1, sizeof *run->mps_looks);
    if (!run->mps_of || !run->mps_looks) return hpt__fail_memory();
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) run->mps_of[i] = -1;
    if (hpt__mps_open(&run->mps, run->claims.dir) < 0) hpt__error_copy(missing);
    // Where the share follows what is learned of memory, nobody knows now how many chunks it will be.
    run->mps.parting = run->sweep->gpu_follows ? HPT__PARTING_OFF : run->parting;
    run->mps.least = run->demand.gpu;
    run->mps.most = run->most.gpu < HPT__GPU_UNITS ? run->most.gpu : HPT__GPU_UNITS;
    run->n_leftover += hpt__mps_sweep(run->mps.registry, run->mps.program);
    const bool default_taken = is_default_taken();
    for (int64_t i = 0; i < run->ledger.n_gpus; i++)
        HPT_TRY(start_on(run, i, *missing ? missing : NULL, default_taken));
    note_no_parts(run);
    for (int64_t k = 0; run->nvml && k < run->mps.n; k++) // where the driver tells no faults, the servers' state does
        if (hpt__nvml_watch_faults(run->nvml, run->mps.items[k].uuid) < 0) continue;
    rc = 0;
out:
    return rc;
}

void hpt__run_mps_close(hpt__run *run) {
    hpt__run_part_close(run);
    hpt__mps_close(&run->mps, run->dir.real);
    hpt__nvml_close(run->nvml);
    hpt__gpu_load_fini(&run->load);
    hpt__free(run->mps_of);
    hpt__free(run->mps_looks);
    hpt__free(run->answers);
}

// ---- while trials run

bool hpt__run_mps_others(hpt__run *run, int64_t k, bool trials) {
    bool any = false;
    if (!run->claims.dir) return false;
    if (!hpt__claims_begin(&run->claims)) return true;
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) {
        const hpt__others *o = &run->ledger.gpus[i].others;
        if (run->mps_of[i] != k || strcmp(o->server, run->mps.items[k].pipe) != 0) continue;
        any = any || !trials || o->n_grants > 0;
    }
    hpt__claims_end(&run->claims);
    return any;
}

bool hpt__run_mps_beside_others(hpt__run *run, const hpt__running *t) {
    const int64_t k = hpt__run_mps_index(run, &t->grant);
    const bool under = t->tier == HPT__TIER_MPS || t->tier == HPT__TIER_MPS_UNVERIFIED;
    return k >= 0 && under && hpt__run_mps_others(run, k, false);
}

hpt__renewal hpt__run_mps_renew(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__claims *c = &run->claims;
    hpt__renewal what = HPT__RENEW_WAIT;
    if (!hpt__claims_begin(c)) return what;
    for (int64_t i = 0; i < run->ledger.n_gpus; i++) {
        hpt__ledger_gpu *g = &run->ledger.gpus[i];
        const char *other = c->dir ? g->others.server : "";
        if (run->mps_of[i] != k) continue;
        const bool another = other[0] == '/' && strcmp(other, m->pipe) != 0;
        if (another)
            what = hpt__mps_join_anew(m, other) == 0 ? HPT__RENEW_JOINED : HPT__RENEW_WAIT;
        else if (strcmp(other, STARTING) != 0)
            what = hpt__mps_alone(m) ? HPT__RENEW_START : HPT__RENEW_ASK;
        (void)snprintf(g->server, sizeof g->server, "%s",
                       what == HPT__RENEW_START    ? STARTING
                       : what == HPT__RENEW_JOINED ? m->pipe
                                                   : "");
    }
    hpt__claims_end(c);
    return what;
}
