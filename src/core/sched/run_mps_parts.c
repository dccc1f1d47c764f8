// SPDX-License-Identifier: Apache-2.0
// run_mps_parts.c: static SM partitions: made before a trial starts, named in its environment, removed when it has ended.
//
// A controller with partitions takes no client that names none. So a trial of a share there waits for its own (state WANTED) while it
// counts as running, as a parked one does, and starts when it has been made (HELD). Its share of the ledger is given back when its
// partition is gone (ENDING): another trial, of whichever run, then finds the chunks free, and since chunks are rounded down, all
// partitions together never need more than there are.
//
//   what happens                                 what the waiting trial does
//   made                                         starts
//   no room (another run's, of a dead run's, a   waits for it; partitions that dead runs have left are removed meanwhile
//   share below a chunk, which is rounded up)
//   refused on an empty GPU                      the controller is started anew without partitions once its trials have ended
//   no answer                                    as run_mps_again.c has it: the controller is lost; advisory, or it waits
//   its GPU takes no trials any more             queues again for another place
//   the run ends                                 stays RUNNING in the study, and the next run starts it
//
// None of that is charged to a trial. One call a controller at a time does all there is to be done: removals, one that is to be made, and
// the table, by which it is known what is gone. A partition whose trial has ended may have clients for some milliseconds more;
// it is tried again, and its share given back after GIVE seconds in any case.
//
// A name is free again once its partition is gone, and the next one made may have it: in the same call, or by another run between this
// one's removal and its look at the table. What bears the name then is not to be removed.
//
// What a killed run has left is known by its record (mps_parts.c): taken over when this run makes its first partition and whenever there
// is no room. A run that is killed while one is made does not know its name; the table and the records of all others tell it.
//
// Ownership: everything is the run's. Threads: the loop's, which never waits for the control program. Cost: a call (10 ms) before a start
// and one after an end.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <math.h>
#include <string.h>
#include <sys/epoll.h>

static const double AGAIN = 0.25, AGAIN_MOST = 2.0, ROOM_AGAIN = 1.0, ROOM_SAID = 10.0, GIVE = 10.0, RM_FIRST = 0.02;
static const char MAKING[] = "?", SEEKING[] = "!";

static bool is_here(const hpt__run *run, const hpt__part *p, int64_t k) {
    return p->state != HPT__PART_FREE && p->k == k && strcmp(p->pipe, run->mps.items[k].pipe) == 0;
}

static hpt__part *new_part(hpt__run *run, int64_t k, hpt__part_state state) {
    int64_t i = 0;
    while (i < run->n_parts && run->parts[i].state != HPT__PART_FREE) i++;
    if (i == run->n_parts) {
        if (hpt__grow(&run->parts, &run->cap_parts, i + 1, sizeof *run->parts) < 0) return NULL;
        run->n_parts++;
    }
    run->parts[i] = (hpt__part){.state = state, .k = k, .since = hpt__now_mono()};
    memcpy(run->parts[i].pipe, run->mps.items[k].pipe, sizeof run->parts[i].pipe);
    return &run->parts[i];
}

static void drop(hpt__run *run, hpt__part *p) {
    hpt__run_give(run, &p->grant);
    p->state = HPT__PART_FREE;
}

// ---- the record

static void own_ids(hpt__str *out, const hpt__run *run, int64_t k, bool making) {
    for (int64_t i = 0; i < run->n_parts; i++)
        if (is_here(run, &run->parts[i], k) && run->parts[i].id[0]) hpt__str_addf(out, "%s\n", run->parts[i].id);
    if (making) hpt__str_addf(out, "%s\n", MAKING);
    if (run->mps_looks[k].unnamed) hpt__str_addf(out, "%s\n", SEEKING);
}

static void write_record(const hpt__run *run, int64_t k, bool making) {
    hpt__str ids = HPT__STR_INIT;
    own_ids(&ids, run, k, making);
    (void)hpt__mps_record_write(&run->mps.items[k].record, &ids); // else a kill may leave some that nobody removes
    hpt__str_fini(&ids);
}

static void add_ending(hpt__run *run, int64_t k, const char *id, size_t n) {
    if (n == 0 || n >= HPT__MPS_PART) return;
    for (int64_t i = 0; i < run->n_parts; i++)
        if (is_here(run, &run->parts[i], k) && strlen(run->parts[i].id) == n && memcmp(run->parts[i].id, id, n) == 0)
            return; // it was another's, and is this run's now
    hpt__part *p = new_part(run, k, HPT__PART_ENDING);
    if (!p) return;
    memcpy(p->id, id, n);
    p->id[n] = '\0';
}

// Takes over what dead runs have left.
static void adopt(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__str ids = HPT__STR_INIT;
    if (m->record.fd < 0 && !hpt__mps_record_open(&m->record, m->log)) return;
    own_ids(&ids, run, k, false);
    const size_t own = ids.len;
    hpt__mps_record_adopt(&m->record, m->log, &ids);
    const char *text = hpt__str_text(&ids);
    for (text += ids.failed ? 0 : own; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        const size_t n = strcspn(text, "\n");
        if (n == 1 && (*text == *MAKING || *text == *SEEKING))
            run->mps_looks[k].unnamed = true;
        else
            add_ending(run, k, text, n);
    }
    hpt__str_fini(&ids);
}

// Partitions without clients that no record names, while nobody makes one: nobody's.
static void take_unnamed(hpt__run *run, int64_t k, const char *table) {
    char id[HPT__MPS_PART];
    bool has_clients;
    hpt__str ids = HPT__STR_INIT;
    hpt__mps_record_all(&ids, run->mps.items[k].log, NULL);
    if (!ids.failed && !hpt__mps_record_names(hpt__str_text(&ids), MAKING)) { // else later
        while (hpt__mps_table_next(id, &has_clients, &table))
            if (!has_clients && !hpt__mps_record_names(hpt__str_text(&ids), id)) add_ending(run, k, id, strlen(id));
        run->mps_looks[k].unnamed = false;
        write_record(run, k, false);
    }
    hpt__str_fini(&ids);
}

// ---- what a trial asks for

bool hpt__run_part_is_needed(const hpt__run *run, const hpt__grant *g) {
    return hpt__run_tier(run, g) == HPT__TIER_MPS_UNVERIFIED && run->mps.items[hpt__run_mps_index(run, g)].parts;
}

int hpt__run_part_want(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__grant *grant) {
    hpt__grant given = *grant;
    hpt__part *p = new_part(run, hpt__run_mps_index(run, grant), HPT__PART_WANTED);
    if (!p) {
        hpt_trial_destroy(trial);
        hpt__run_give(run, &given);
        return HPT_E_MEMORY;
    }
    p->trial = trial;
    p->attempt = attempt;
    p->grant = *grant;
    run->n_running++;
    if (run->mps_looks[p->k].n_unparted == 0) run->mps_looks[p->k].parts_at = 0;
    return 0;
}

void hpt__run_part_end(hpt__run *run, hpt__running *t) {
    if (t->part <= 0) return;
    hpt__part *p = &run->parts[t->part - 1];
    p->grant = t->grant;
    p->state = HPT__PART_ENDING;
    p->since = hpt__now_mono();
    t->grant.held = false;
    t->part = 0;
    if (run->mps_looks[p->k].n_unparted == 0) run->mps_looks[p->k].parts_at = 0;
}

void hpt__run_part_drop(hpt__run *run) {
    for (int64_t i = 0; i < run->n_parts; i++) {
        hpt__part *p = &run->parts[i];
        if (p->state != HPT__PART_WANTED || !p->trial) continue;
        hpt_trial_destroy(p->trial);
        p->trial = NULL;
        run->n_running--;
    }
}

void hpt__run_part_env(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const hpt__part *p = &run->parts[t->part - 1];
    hpt__str_addf(s, "CUDA_MPS_SM_PARTITION=%s/%s%c", run->mps.items[p->k].uuid, p->id, 0);
}

// ---- calls

static hpt__part *wanted(hpt__run *run, int64_t k) { // the one that has waited longest
    hpt__part *first = NULL;
    for (int64_t i = 0; i < run->n_parts; i++) {
        hpt__part *p = &run->parts[i];
        if (p->state == HPT__PART_WANTED && p->trial && is_here(run, p, k) && (!first || p->since < first->since))
            first = p;
    }
    return first;
}

static bool has_work(const hpt__run *run, int64_t k) {
    for (int64_t i = 0; i < run->n_parts; i++)
        if (run->parts[i].state != HPT__PART_HELD && is_here(run, &run->parts[i], k)) return true;
    return false;
}

static void unheard(hpt__run *run, int64_t k, const char *why) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    const double now = hpt__now_mono();
    if (l->n_unparted++ == 0) l->unparted_from = now;
    l->parts_at = now + fmin(AGAIN * (double)(1 << (l->n_unparted < 8 ? l->n_unparted - 1 : 7)), AGAIN_MOST);
    if (!m->alive) return;
    const bool often = l->n_unparted >= HPT__MPS_FAILURES && now - l->unparted_from >= run->mps.patience;
    if (!often && !hpt__mps_is_gone(m)) return;
    hpt__mps_give_up(m, why);
    l->n_unparted = 0;
    hpt__run_mps_lost(run, k);
}

// Those that were to be removed and whose names other runs have now.
static void drop_taken(hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    hpt__str ids = HPT__STR_INIT;
    bool read = false;
    for (int64_t i = 0; i < run->n_parts; i++) {
        hpt__part *p = &run->parts[i];
        if (p->state != HPT__PART_ENDING || !p->tried || !is_here(run, p, k)) continue;
        if (!read) hpt__mps_record_all(&ids, m->log, &m->record);
        read = true;
        if (!ids.failed && hpt__mps_record_names(hpt__str_text(&ids), p->id)) drop(run, p);
    }
    hpt__str_fini(&ids);
}

static int begin_call(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    hpt__str text = HPT__STR_INIT;
    if (m->record.fd < 0) adopt(run, k);
    drop_taken(run, k);
    for (int64_t i = 0; i < run->n_parts; i++) {
        hpt__part *p = &run->parts[i];
        if (p->state != HPT__PART_ENDING || !is_here(run, p, k)) continue;
        hpt__str_addf(&text, "sm_partition rm %s %s\n", m->uuid, p->id);
        p->tried = true;
    }
    hpt__part *p = m->chunks > 0 ? wanted(run, k) : NULL;
    if (p) {
        p->chunks = hpt__mps_chunks(p->grant.demand.gpu, m->chunks);
        hpt__str_addf(&text, "sm_partition add %s %lld\n", m->uuid, (long long)p->chunks);
        write_record(run, k, true);
    }
    hpt__str_add(&text, "lspart\n");
    l->making = p ? p - run->parts + 1 : 0;
    memcpy(l->asked, m->pipe, sizeof l->asked);
    int rc = hpt__str_status(&text);
    if (rc == 0) rc = hpt__mps_part_begin(&run->mps, m, hpt__str_text(&text));
    hpt__str_fini(&text);
    if (rc == 0) return hpt__run_watch(run, m->parting.pidfd, HPT__SOURCE_PART, k, EPOLLIN);
    l->making = 0;
    unheard(run, k, hpt_last_error());
    return 0;
}

static void no_room(hpt__run *run, int64_t k, const hpt__part *p, const hpt__mps_table *table, const char *why) {
    hpt__mps_looks *l = &run->mps_looks[k];
    const double now = hpt__now_mono();
    if (table->used == 0 && table->free >= p->chunks) {
        run->mps.items[k].plain = true;
        hpt__run_mps_drain(run, k, "made no SM partition, and none is tried again", why);
        return;
    }
    l->parts_at = now + ROOM_AGAIN;
    if (!l->room_said && now - p->since >= ROOM_SAID) {
        l->room_said = true;
        hpt__run_notice(run, "trial %lld waits for multiprocessors of %s: it needs %lld of %lld chunks, %lld are free",
                        (long long)hpt_trial_number(p->trial), hpt__run_mps_gpu(run, k), (long long)p->chunks,
                        (long long)(table->free + table->used), (long long)table->free);
    }
    adopt(run, k); // may move p
}

static int made(hpt__run *run, int64_t k, hpt__part *p, const char *id) {
    memcpy(p->id, id, sizeof p->id);
    p->state = p->trial ? HPT__PART_HELD : HPT__PART_ENDING;
    p->since = hpt__now_mono();
    write_record(run, k, false);
    if (!p->trial) return 0;
    hpt_trial *trial = p->trial;
    const hpt__grant grant = p->grant;
    p->trial = NULL;
    p->grant.held = false;
    run->n_running--;
    return hpt__run_begin(run, trial, p->attempt, &grant, p - run->parts + 1);
}

static int go_on(hpt__run *run, int64_t k) {
    hpt__mps *m = &run->mps.items[k];
    hpt__mps_looks *l = &run->mps_looks[k];
    hpt__mps_table table;
    char id[HPT__MPS_PART];
    const hpt__mps_state state = hpt__mps_call_look(&m->parting);
    if (state == HPT__MPS_BUSY || !l->asked[0]) return 0;
    const char *text = hpt__str_text(&m->parting.text);
    hpt__part *p = l->making > 0 ? &run->parts[l->making - 1] : NULL;
    const bool same = strcmp(l->asked, m->pipe) == 0;
    l->making = 0;
    l->asked[0] = '\0';
    if (!same) return 0; // it was started anew meanwhile
    if (state != HPT__MPS_ANSWERED || !hpt__mps_table_read(&table, text)) {
        l->unnamed = l->unnamed || p; // it may have been made
        unheard(run, k, state == HPT__MPS_ANSWERED ? "its answer is not understood" : text);
        return 0;
    }
    m->chunks = table.free + table.used;
    l->n_unparted = 0;
    l->parts_at = 0;
    bool gone = false;
    const bool got = p && hpt__mps_part_read(id, text, m->uuid);
    for (int64_t i = 0; i < run->n_parts; i++) {
        hpt__part *e = &run->parts[i];
        if (e->state != HPT__PART_ENDING || !is_here(run, e, k)) continue;
        const double waited = hpt__now_mono() - e->since;
        const bool is_gone = !hpt__mps_table_has(text, e->id) || (got && strcmp(e->id, id) == 0);
        gone = gone || is_gone;
        if (is_gone)
            drop(run, e);
        else
            l->parts_at = hpt__now_mono() + fmin(fmax(waited, RM_FIRST), AGAIN_MOST);
    }
    if (gone) write_record(run, k, false); // its name may be given again, to another run
    int rc = got ? made(run, k, p, id) : 0;
    if (p && !got && p->trial) no_room(run, k, p, &table, text);
    if (p && !got) write_record(run, k, false);
    if (got && wanted(run, k)) l->parts_at = 0; // though some are not gone yet
    if (l->unnamed) take_unnamed(run, k, text);
    return rc;
}

int hpt__run_part_event(hpt__run *run, int64_t k) {
    return k < run->mps.n ? go_on(run, k) : 0;
}

// ---- time

static bool is_drained(const hpt__run *run, const hpt__part *p) {
    return run->ledger.gpus[p->grant.gpus[0]].drained;
}

// A trial that waits for what will not come goes on without it, or queues again.
static int release(hpt__run *run, hpt__part *p, bool again) {
    hpt_trial *trial = p->trial;
    const hpt__grant grant = p->grant;
    p->trial = NULL;
    run->n_running--;
    if (again) {
        drop(run, p);
        return hpt__run_park_as(run, trial, p->attempt, &grant.demand);
    }
    p->grant.held = false;
    p->state = HPT__PART_FREE;
    return hpt__run_begin(run, trial, p->attempt, &grant, 0);
}

static int settle(hpt__run *run, int64_t k, double now) {
    int rc = 0;
    const hpt__mps *m = &run->mps.items[k];
    const hpt__mps_looks *l = &run->mps_looks[k];
    for (int64_t i = 0; i < run->n_parts && rc == 0; i++) {
        hpt__part *p = &run->parts[i];
        if (p->state == HPT__PART_FREE || p->state == HPT__PART_HELD || p->k != k || l->making == i + 1) continue;
        const bool here = is_here(run, p, k);
        if (p->state == HPT__PART_WANTED) {
            if (!p->trial)
                drop(run, p);
            else if (!m->alive || !m->parts || !here || is_drained(run, p))
                rc = release(run, p, is_drained(run, p) || (m->alive && m->parts));
        } else if (!here || (!m->alive && hpt__mps_is_gone(m))) {
            drop(run, p);
        } else if (!m->alive || now - p->since > GIVE) {
            hpt__run_give(run, &p->grant);
        }
    }
    return rc;
}

static double due(const hpt__run *run, int64_t k) {
    const hpt__mps *m = &run->mps.items[k];
    if (run->mps_looks[k].asked[0]) return m->parting.until;
    return m->alive && has_work(run, k) ? run->mps_looks[k].parts_at : INFINITY;
}

double hpt__run_part_due(const hpt__run *run) {
    double at = INFINITY;
    for (int64_t k = 0; run->n_parts > 0 && k < run->mps.n; k++) at = fmin(at, due(run, k));
    return at;
}

int hpt__run_part_time(hpt__run *run, double now) {
    int rc = 0;
    for (int64_t k = 0; run->n_parts > 0 && rc == 0 && k < run->mps.n; k++) {
        rc = settle(run, k, now);
        if (rc < 0 || now < due(run, k)) continue;
        rc = run->mps_looks[k].asked[0] ? go_on(run, k) : begin_call(run, k);
    }
    return rc;
}

// ---- the end

void hpt__run_part_close(hpt__run *run) {
    for (int64_t k = 0; k < run->mps.n; k++) {
        hpt__mps *m = &run->mps.items[k];
        const int64_t making = run->mps_looks ? run->mps_looks[k].making : 0;
        hpt__str text = HPT__STR_INIT;
        if (m->record.fd < 0) continue;
        if (making > 0 && (hpt__mps_call_wait(&m->parting) != HPT__MPS_ANSWERED ||
                           !hpt__mps_part_read(run->parts[making - 1].id, hpt__str_text(&m->parting.text), m->uuid)))
            run->parts[making - 1].id[0] = '\0';
        hpt__mps_call_fini(&m->parting);
        for (int64_t i = 0; i < run->n_parts; i++)
            if (run->parts[i].id[0] && is_here(run, &run->parts[i], k))
                hpt__str_addf(&text, "sm_partition rm %s %s\n", m->uuid, run->parts[i].id);
        hpt__str_add(&text, "lspart\n");
        bool empty = true; // if nobody else uses it, it is ended with all that it has
        if (run->n_parts > 0 && m->alive && hpt__run_mps_others(run, k, false)) {
            const bool answered = hpt__mps_part_begin(&run->mps, m, hpt__str_text(&text)) == 0 &&
                                  hpt__mps_call_wait(&m->parting) == HPT__MPS_ANSWERED;
            for (int64_t i = 0; i < run->n_parts; i++)
                empty =
                    empty && !(run->parts[i].id[0] && is_here(run, &run->parts[i], k) &&
                               (!answered || hpt__mps_table_has(hpt__str_text(&m->parting.text), run->parts[i].id)));
        }
        hpt__str_fini(&text);
        hpt__mps_record_close(&m->record, empty); // what is left is the next run's to remove
    }
    hpt__free(run->parts);
    run->parts = NULL;
    run->n_parts = run->cap_parts = 0;
}
