// SPDX-License-Identifier: Apache-2.0
// run_claims.c: shares of the ledger, taken and given back so that other runs of this user know (claims.h).
//
// A run whose trials ask for no GPU and no memory, whose devices are its own, or that is part of a trial of another run (which
// has the claim), works on its ledger alone, as does one whose folder of claims fails: one line says so.
//
// What had no room is tried again when something was given back, here (ledger.given) or by another run. The latter is
// looked for only while a request waits: by inotify on the folder, and once a second, which also finds runs that were killed.
//
// Ownership: the run's. Threads: the loop's. Cost: a look (claims.c) per take and per return.
#include "../base/clock.h"
#include "../devices/host_limits.h"
#include "run_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

static const double SAID = 60.0, FORGOTTEN = 3.0;

static bool shares(const hpt__run *run) {
    return run->claims.dir != NULL;
}

int hpt__run_claims_open(hpt__run *run) {
    const char *dir = getenv("HPT_CLAIMS_DIR");
    const bool named = dir && *dir;
    hpt__host_limits limits;
    run->claims_watch = -1;
    if (run->demand.n_gpus == 0 && run->demand.memory == 0) return 0;
    if (getenv("HPT_TRIAL")) return 0; // inside a trial of another run, which has the claim
    hpt__host_limits_read(&limits, "");
    // A limit of a control group or a batch system is not other runs' limit too.
    const bool memory = run->demand.memory > 0 && strcmp(limits.memory_from, "MemTotal") == 0;
    return hpt__claims_open(&run->claims, &run->ledger, named ? dir : NULL, run->dir.real,
                            named && run->demand.n_gpus > 0, memory);
}

void hpt__run_claims_close(hpt__run *run) {
    hpt__claims_close(&run->claims);
}

static void watch(hpt__run *run, bool on) {
    if (run->inotify < 0 || on == (run->claims_watch >= 0)) return;
    if (on)
        run->claims_watch = inotify_add_watch(run->inotify, run->claims.dir, IN_MODIFY | IN_DELETE | IN_CLOSE_WRITE);
    else
        (void)inotify_rm_watch(run->inotify, run->claims_watch), run->claims_watch = -1;
}

static bool fits_alone(hpt__run *run, const hpt__demand *d) {
    hpt__grant g;
    run->ledger.alone = true;
    const bool fits = hpt__ledger_place(&g, &run->ledger, d, true);
    run->ledger.alone = false;
    return fits;
}

// Between begin and end: d has no room now.
static void refused(hpt__run *run, const hpt__demand *d) {
    hpt__claims *c = &run->claims;
    hpt__grant g;
    hpt__demand host = *d, cores = *d;
    const double now = hpt__now_mono();
    host.n_gpus = cores.n_gpus = 0;
    cores.memory = 0;
    const bool has_host = hpt__ledger_place(&g, &run->ledger, &host, true);
    const bool has_cores = has_host || hpt__ledger_place(&g, &run->ledger, &cores, true);
    // Cores are this run's own: who lacks them waits for nobody.
    hpt__claims_want(c, has_host ? (d->n_gpus > 0 ? d : NULL) : has_cores ? &host : NULL);
    run->claims_tried = now;
    run->held_up = c->n_runs > 0 && fits_alone(run, d);
    watch(run, run->held_up);
}

// Not between begin and end: whom it is told may take his time.
static void tell(hpt__run *run) {
    const hpt__claims *c = &run->claims;
    const double now = hpt__now_mono();
    if (c->trouble[0]) hpt__run_notice(run, "%s", c->trouble);
    run->claims.trouble[0] = '\0';
    if (!run->held_up || run->n_running > run->queue.n) return;
    if (run->held_up_said > 0 && now - run->held_up_said < SAID) return;
    run->held_up_said = now;
    hpt__run_notice(run, "waits for room on %s that other runs have: %s", run->demand.n_gpus > 0 ? "GPUs" : "the host",
                    c->holders.len > 0 ? hpt__str_text(&c->holders) : "it is another's turn");
}

static void taken(hpt__run *run) {
    run->held_up = false;
    run->n_refused = UINT64_MAX;
    hpt__claims_want(&run->claims, NULL);
    watch(run, false);
}

int64_t hpt__run_take(hpt__grant *grants, hpt__run *run, int64_t n) {
    int64_t got = 0;
    if (n <= 0 || (shares(run) && run->n_refused == run->ledger.given)) return 0;
    if (!hpt__claims_begin(&run->claims)) {
        run->claims_busy = true;
        run->n_refused = run->ledger.given;
        return 0;
    }
    while (got < n && hpt__ledger_take(&grants[got], &run->ledger, &run->demand)) got++;
    if (shares(run)) {
        if (got > 0) taken(run);
        if (got < n) {
            refused(run, &run->demand);
            run->n_refused = run->ledger.given;
        }
        hpt__claims_end(&run->claims);
    }
    tell(run);
    return got;
}

bool hpt__run_take_queued(hpt__grant *grant, int64_t *id, hpt__run *run) {
    hpt__queue *q = &run->queue;
    if (q->n == 0 || (shares(run) && q->given == run->ledger.given && q->tried == q->n)) return false;
    if (!hpt__claims_begin(&run->claims)) {
        run->claims_busy = true;
        return false;
    }
    const bool got = hpt__queue_next(grant, id, q, &run->ledger);
    if (shares(run)) {
        if (got)
            taken(run);
        else
            refused(run, &q->items[0].demand);
        hpt__claims_end(&run->claims);
    }
    tell(run);
    return got;
}

void hpt__run_give(hpt__run *run, hpt__grant *grant) {
    if (!grant->held) return;
    hpt__ledger_give(&run->ledger, grant);
    hpt__claims_given(&run->claims);
}

void hpt__run_claims_changed(hpt__run *run) {
    if (run->held_up) run->ledger.given++;
}

void hpt__run_claims_time(hpt__run *run) {
    hpt__claims *c = &run->claims;
    if (!shares(run)) return;
    if ((c->waits || run->held_up) && (!hpt__run_may_start(run) || hpt__now_mono() - run->claims_tried > FORGOTTEN)) {
        hpt__claims_want(c, NULL); // there is nothing to start any more
        run->held_up = false;
        watch(run, false);
        hpt__claims_given(c);
    }
    if (run->claims_busy || (c->waits && c->n_runs > 0) || run->held_up) run->ledger.given++;
    run->claims_busy = false;
    hpt__claims_keep(c);
    tell(run);
}
