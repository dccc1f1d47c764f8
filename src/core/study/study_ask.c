// SPDX-License-Identifier: Apache-2.0
// study_ask.c: from "I have a free worker" to a running trial with a point.
//
// One ask: (1) sync; (2) as long as the table shows waiting trials, claim the oldest (the sampler completes what
// its creator left open); (3) the rest are new trials, all in one transaction, their points from the sampler.
//
// Where the sampler runs. A point depends on the trial's number and on the rows of the table, and both are only
// certain inside the storage's write transaction. Cheap samplers run there. A model that takes milliseconds or more
// must hold neither the write lock of a database that others share nor this study's lock, since the results of running
// trials come in meanwhile: it reads a mirror of the table, brought up to date under the lock, and thinks without it, for
// the numbers that come next if nobody else asks. Inside the transaction the first number is compared: if other trials
// were made meanwhile the points are thrown away and made again, knowing those (optimistic concurrency; after TRIES times
// under the lock, so that an ask always ends). Results that came in meanwhile are left to the next ask.
//
// A batch of q points: each must see the earlier ones as running trials, or a model would suggest q times nearly
// the same point. Samplers that read the table get them as provisional rows (trial id -1), removed again before
// the storage adds the stored ones; cheap samplers need none.
//
// Deterministic: (seed, number, rows) give the point, never time or thread. Ownership: handles belong to the
// caller; they are made before anything is stored, so that running out of memory cannot orphan a stored trial.
// Threads: any; asks one after the other, everything else beside them (study_state.h). Cost: two allocations a trial
// beyond what sampler and storage need, and a copy of the rows that changed since the last ask.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "study_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 3 };

int hpt__study_grow_scratch(hpt_study *study, int64_t q) {
    if (q <= study->cap_slots) return 0;
    const size_t d = (size_t)study->space->d;
    if ((size_t)q > SIZE_MAX / sizeof(double) / (d + 1)) return hpt__fail_memory();
    hpt__ask_slot *slots = hpt__realloc(study->slots, (size_t)q * sizeof *slots);
    if (!slots) return hpt__fail_memory();
    study->slots = slots;
    double *points = hpt__realloc(study->points, ((size_t)q * d + 1) * sizeof *points);
    if (!points) return hpt__fail_memory();
    study->points = points;
    study->cap_slots = q;
    return 0;
}

static void describe(hpt__ask_slot *slot, const char *by, int64_t grid_id) {
    slot->n_attrs = 1;
    slot->by = by;
    slot->keys[0] = "s:hpt:by";
    (void)snprintf(slot->by_json, sizeof slot->by_json, "\"%s\"", by);
    slot->texts[0] = slot->by_json;
    if (grid_id < 0) return;
    slot->n_attrs = 2;
    slot->keys[1] = "s:hpt:grid_id";
    (void)snprintf(slot->grid_json, sizeof slot->grid_json, "%lld", (long long)grid_id);
    slot->texts[1] = slot->grid_json;
}

#ifndef NDEBUG
static bool legal(const hpt_space *space, const double *point) {
    int64_t bad;
    return hpt__space_check(space, point, &bad);
}
#endif

int hpt__study_mirror(hpt_study *study) {
    int rc = 0;
    if (!study->mirror_made) HPT_TRY(hpt__trials_init(&study->mirror, study->space, study->k, study->directions[0]));
    study->mirror_made = true;
    HPT_TRY(hpt__trials_mirror(&study->mirror, &study->table));
out:
    return rc;
}

// Fills slots 0..*q-1 for trials first, first+1, ...; lowers *q when the sampler runs out. HPT_S_EXHAUSTED: none.
// The study's lock is needed for cheap samplers only, whose table is the study's own.
static int suggest_batch(hpt_study *study, int64_t *q, int64_t first) {
    int rc = 0;
    int64_t i = 0;
    hpt__trials *table = hpt__study_sampler_table(study);
    const int64_t d = study->space->d, n_before = table->n;
    const bool provisional = *q > 1 && !study->sampler->cheap;
    if (study->sampler->batch_start) study->sampler->batch_start(study->sampler_state, table);
    for (i = 0; i < *q; i++) {
        double *point = study->points + i * d;
        const char *by = study->sampler->name;
        for (int64_t j = 0; j < d; j++) point[j] = NAN;
        HPT_TRY(study->sampler->suggest(point, &by, study->sampler_state, table, first + i));
        if (rc == HPT_S_EXHAUSTED) break;
        HPT_ASSERT(legal(study->space, point));
        describe(&study->slots[i], by, study->sampler->grid_id ? study->sampler->grid_id(study->sampler_state) : -1);
        if (provisional && i + 1 < *q) {
            int64_t row;
            HPT_TRY(hpt__trials_add(&row, table, first + i, -1, HPT_TRIAL_RUNNING));
            hpt__trials_set_point(table, row, point);
        }
    }
    rc = i == 0 ? HPT_S_EXHAUSTED : 0;
    *q = i;
out:
    if (table->n > n_before) hpt__trials_truncate(table, n_before);
    return rc;
}

int hpt__study_ensure_sampler(hpt_study *study) {
    return study->sampler_made ? 0 : hpt__study_make_sampler(study);
}

// A failed batch may leave the sampler's caches with rows that never came to be: it starts afresh from the table.
static void forget_sampler(hpt_study *study) {
    if (study->sampler_made && study->sampler->destroy) study->sampler->destroy(study->sampler_state);
    study->sampler_state = NULL;
    study->sampler_made = false;
}

// What the sampler wants kept, in the transaction of the trials that it was asked for.
int hpt__study_store_sampler(hpt_study *study) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    if (!study->sampler->save) return 0;
    HPT_TRY(study->sampler->save(&text, study->sampler_state));
    if (rc == HPT_S_NOTHING) goto out;
    HPT_TRY(hpt__str_status(&text));
    const hpt__attr_item attr = {"s:hpt:sampler_state", hpt__str_text(&text)};
    HPT_TRY(study->storage->ops->study_attr_set(study->storage, study->study_id, &attr, 1));
out:
    hpt__str_fini(&text);
    return rc < 0 ? rc : 0;
}

typedef struct ask_job {
    hpt_study *study;
    bool ready;        // the slots hold points for `first`
    bool last;         // if that is not the number the points are made in the transaction
    int64_t first;     // number of the first point
    int64_t q;         // points in the slots
    int64_t n_running; // of these, for trials that run at once; the others wait
} ask_job;

static int64_t next_number(const hpt__trials *table) {
    return table->n ? table->number[table->n - 1] + 1 : 0;
}

static int fill_batch(hpt__new_trial *batch, int64_t *q, int64_t first, void *payload) {
    int rc = 0;
    ask_job *job = payload;
    hpt_study *study = job->study;
    if (!job->ready || job->first != first) {
        if (!job->last) { // back to thinking without the lock
            job->ready = false;
            return HPT_S_NOTHING;
        }
        const double t0 = hpt__now_mono();
        job->q = *q;
        if (!study->sampler->cheap) HPT_TRY(hpt__study_mirror(study));
        rc = suggest_batch(study, &job->q, first);
        study->times.suggest += hpt__now_mono() - t0;
        if (rc != 0) return rc;
    }
    *q = job->q;
    HPT_TRY(hpt__study_store_sampler(study));
    const int64_t now = hpt__now_utc_us();
    for (int64_t i = 0; i < job->q; i++) {
        const hpt__ask_slot *slot = &study->slots[i];
        const bool runs = i < job->n_running;
        batch[i] = (hpt__new_trial){
            .state = runs ? HPT_TRIAL_RUNNING : HPT_TRIAL_WAITING,
            .point = study->points + i * study->space->d,
            .attr_keys = slot->keys,
            .attr_values = slot->texts,
            .n_attrs = slot->n_attrs,
            .start_us = runs ? now : INT64_MIN,
            .complete_us = INT64_MIN,
        };
    }
    rc = 0;
out:
    return rc;
}

// The points of the next numbers, made without the study's lock. HPT_S_NOTHING: the caller changed its mind.
static int think(ask_job *job, int64_t q, const atomic_bool *cancel) {
    int rc = 0;
    hpt_study *study = job->study;
    HPT_TRY(hpt__study_mirror(study));
    job->first = next_number(&study->table);
    job->q = q;
    const double t0 = hpt__now_mono();
    pthread_mutex_unlock(&study->lock);
    rc = suggest_batch(study, &job->q, job->first);
    pthread_mutex_lock(&study->lock);
    study->times.suggest += hpt__now_mono() - t0;
    if (rc != 0) goto out;
    job->ready = true;
    if (cancel && atomic_load(cancel)) rc = HPT_S_NOTHING;
out:
    return rc;
}

// *made new trials into handles, and up to `ahead` more that wait; fewer when the sampler runs out. HPT_S_EXHAUSTED:
// none; HPT_S_NOTHING: cancelled.
static int ask_new(int64_t *made, hpt_study *study, hpt_trial **handles, int64_t n_running, int64_t ahead,
                   const atomic_bool *cancel) {
    int rc = 0;
    const int64_t q = n_running + ahead;
    const bool cheap = study->sampler->cheap;
    hpt__new_trial one = {0}, *batch = &one;
    ask_job job = {.study = study, .n_running = n_running};
    *made = 0;
    if (q > 1) {
        batch = hpt__calloc((size_t)q, sizeof *batch);
        if (!batch) return hpt__fail_memory();
    }
    HPT_TRY(hpt__study_grow_scratch(study, q));
    HPT_TRY(hpt__study_ensure_sampler(study));
    for (int i = 1;; i++) {
        job.last = cheap || i == TRIES;
        if (!cheap) HPT_TRY(think(&job, q, cancel));
        if (rc != 0) goto out;
        const double t0 = hpt__now_mono(), suggest0 = study->times.suggest;
        rc = study->storage->ops->create_trials(study->storage, study->study_id, &study->table, batch, q, fill_batch,
                                                &job);
        study->times.storage += hpt__now_mono() - t0 - (study->times.suggest - suggest0);
        if (rc != HPT_S_NOTHING) break;
    }
    if (rc != 0) goto out;
    *made = job.q < n_running ? job.q : n_running;
    for (int64_t i = 0; i < *made; i++) {
        hpt_trial *trial = handles[i];
        trial->number = batch[i].number;
        trial->trial_id = batch[i].trial_id;
        memcpy(trial->data, study->points + i * study->space->d, (size_t)study->space->d * sizeof(double));
    }
    study->last_by = study->slots[job.q - 1].by;
    study->last_number = batch[job.q - 1].number;
out:
    if (rc < 0 && !cheap) forget_sampler(study);
    if (batch != &one) hpt__free(batch);
    return rc;
}

// ---- the call ------------------------------------------------------------------------------------------------

static int ready_to_ask(hpt_study *study) {
    int rc = 0;
    hpt__str config = HPT__STR_INIT;
    HPT_TRY(hpt__study_writable(study, "asked"));
    HPT_FAIL_IF(study->space->d == 0, HPT_E_STATE,
                "study '%s' has no trials and no space to take points from; open it with a space", study->name);
    if (study->config_pending) {
        hpt__study_config_json(&config, study);
        HPT_TRY(hpt__str_status(&config));
        const hpt__attr_item attr = {"s:hpt:config", hpt__str_text(&config)};
        HPT_TRY(study->storage->ops->study_attr_set(study->storage, study->study_id, &attr, 1));
        study->config_pending = false;
    }
    rc = 0;
out:
    hpt__str_fini(&config);
    return rc;
}

// *n handles of out are filled on return, also when rc is an error.
static int ask_locked(int64_t *n, hpt_trial **out, hpt_study *study, int64_t q, int64_t ahead,
                      const atomic_bool *cancel) {
    int rc = 0;
    *n = 0;
    HPT_TRY(ready_to_ask(study));
    HPT_TRY(hpt__study_sync(study));
    while (*n < q && study->table.counts[HPT_TRIAL_WAITING] > 0) {
        HPT_TRY(hpt__study_ask_waiting(study, out[*n]));
        if (rc == HPT_S_NOTHING) break;
        ++*n;
    }
    rc = 0;
    if (*n < q || ahead > 0) {
        int64_t made;
        HPT_TRY(ask_new(&made, study, out + *n, q - *n, ahead, cancel));
        *n += made;
        if (rc == 0 && *n < q) rc = HPT_S_EXHAUSTED;
    }
out:
    return rc;
}

int hpt__study_ask_ahead(hpt_trial **out, int64_t *n_out, hpt_study *study, int64_t q, int64_t ahead,
                         const atomic_bool *cancel) {
    int rc = 0;
    int64_t n_handles = 0, n = 0;
    HPT_FAIL_IF(!out || !n_out || !study, HPT_E_ARG, "hpt_study_ask_batch: an argument is NULL");
    HPT_FAIL_IF(q < 0 || ahead < 0, HPT_E_ARG, "hpt_study_ask_batch: %lld trials cannot be asked for",
                (long long)(q < 0 ? q : ahead));
    for (; n_handles < q; n_handles++) {
        out[n_handles] = hpt__trial_new(study);
        if (!out[n_handles]) {
            rc = hpt__fail_memory();
            goto out;
        }
    }
    pthread_mutex_lock(&study->ask_lock);
    pthread_mutex_lock(&study->lock);
    const double t0 = hpt__now_mono();
    if (q + ahead > 0) rc = ask_locked(&n, out, study, q, ahead, cancel);
    study->n_asks += n;
    study->times.ask += hpt__now_mono() - t0;
    pthread_mutex_unlock(&study->lock);
    pthread_mutex_unlock(&study->ask_lock);
    // Trials that are claimed already belong to the caller; whatever failed after them fails the next ask too.
    if (rc < 0 && n > 0) {
        hpt__log(HPT_LOG_WARN, "study '%s': %lld of %lld trials asked: %s", study->name, (long long)n, (long long)q,
                 hpt_last_error());
        rc = 0;
    }
out:
    if (rc >= 0) *n_out = n;
    for (int64_t i = n; i < n_handles; i++) {
        hpt_trial_destroy(out[i]);
        out[i] = NULL;
    }
    return rc;
}

bool hpt__study_asks_quickly(const hpt_study *study) {
    return study->sampler && study->sampler->cheap;
}

int hpt_study_ask_batch(hpt_trial **out, int64_t *n_out, hpt_study *study, int64_t q) {
    return hpt__study_ask_ahead(out, n_out, study, q, 0, NULL);
}

int hpt_study_ask(hpt_trial **out, hpt_study *study) {
    int64_t n;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_ask: an argument is NULL");
    return hpt_study_ask_batch(out, &n, study, 1);
}
