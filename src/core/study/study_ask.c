// SPDX-License-Identifier: Apache-2.0
// study_ask.c: from "I have a free worker" to a running trial with a point.
//
// One ask: (1) sync; (2) as long as the table shows waiting trials, claim the oldest (the sampler completes what
// its creator left open); (3) the rest are new trials, all in one transaction, their points from the sampler.
//
// Where the sampler runs. A point depends on the trial's number and on the rows of the table, and both are only
// certain inside the storage's write transaction. Cheap samplers run there. A model that takes milliseconds must
// not hold the write lock of a database that others share, so it runs before the transaction, for the numbers
// that come next if nobody else asks meanwhile; inside the transaction the first number and the table's version
// are compared, and only if they moved are the points thrown away and made again (optimistic concurrency; the
// second time under the lock, so that an ask always ends).
//
// A batch of q points: each must see the earlier ones as running trials, or a model would suggest q times nearly
// the same point. Samplers that read the table get them as provisional rows (trial id -1), removed again before
// the storage adds the stored ones; cheap samplers need none.
//
// Deterministic: (seed, number, rows) give the point, never time or thread. Ownership: handles belong to the
// caller; they are made before anything is stored, so that running out of memory cannot orphan a stored trial.
// Threads: any, one at a time inside. Cost: two allocations a trial beyond what sampler and storage need.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "study_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Keeps the random completion of queued points apart from the samplers' own streams of the same seed and number.
static const uint64_t FILL_STREAM = 0x6870747175657565ULL;

static int grow_scratch(hpt_study *study, int64_t q) {
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

// Fills slots 0..*q-1 for trials first, first+1, ...; lowers *q when the sampler runs out. HPT_S_EXHAUSTED: none.
static int suggest_batch(hpt_study *study, int64_t *q, int64_t first) {
    int rc = 0;
    int64_t i = 0;
    const int64_t d = study->space->d, n_before = study->table.n;
    const bool provisional = *q > 1 && !study->sampler->cheap;
    const double t0 = hpt__now_mono();
    if (study->sampler->batch_start) study->sampler->batch_start(study->sampler_state, &study->table);
    for (i = 0; i < *q; i++) {
        double *point = study->points + i * d;
        const char *by = study->sampler->name;
        for (int64_t j = 0; j < d; j++) point[j] = NAN;
        HPT_TRY(study->sampler->suggest(point, &by, study->sampler_state, &study->table, first + i));
        if (rc == HPT_S_EXHAUSTED) break;
        HPT_ASSERT(legal(study->space, point));
        describe(&study->slots[i], by, study->sampler->grid_id ? study->sampler->grid_id(study->sampler_state) : -1);
        if (provisional && i + 1 < *q) {
            int64_t row;
            HPT_TRY(hpt__trials_add(&row, &study->table, first + i, -1, HPT_TRIAL_RUNNING));
            hpt__trials_set_point(&study->table, row, point);
        }
    }
    rc = i == 0 ? HPT_S_EXHAUSTED : 0;
    *q = i;
out:
    if (study->table.n > n_before) hpt__trials_truncate(&study->table, n_before);
    study->times.suggest += hpt__now_mono() - t0;
    return rc;
}

static int ensure_sampler(hpt_study *study) {
    return study->sampler_made ? 0 : hpt__study_make_sampler(study);
}

// A failed batch may leave the sampler's caches with rows that never came to be: it starts afresh from the table.
static void forget_sampler(hpt_study *study) {
    if (study->sampler_made && study->sampler->destroy) study->sampler->destroy(study->sampler_state);
    study->sampler_state = NULL;
    study->sampler_made = false;
}

// What the sampler wants kept, in the transaction of the trials that it was asked for.
static int store_sampler_state(hpt_study *study) {
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
    bool ready; // the slots hold points for `first` with the table at `version`
    int64_t first;
    int64_t q; // points in the slots
    uint64_t version;
} ask_job;

static int64_t next_number(const hpt__trials *table) {
    return table->n ? table->number[table->n - 1] + 1 : 0;
}

static int fill_batch(hpt__new_trial *batch, int64_t *q, int64_t first, void *payload) {
    ask_job *job = payload;
    hpt_study *study = job->study;
    if (!job->ready || job->first != first || job->version != study->table.version) {
        job->q = *q;
        int rc = suggest_batch(study, &job->q, first);
        if (rc != 0) return rc;
    }
    *q = job->q;
    const int rc = store_sampler_state(study);
    if (rc < 0) return rc;
    const int64_t now = hpt__now_utc_us();
    for (int64_t i = 0; i < job->q; i++) {
        const hpt__ask_slot *slot = &study->slots[i];
        batch[i] = (hpt__new_trial){
            .state = HPT_TRIAL_RUNNING,
            .point = study->points + i * study->space->d,
            .attr_keys = slot->keys,
            .attr_values = slot->texts,
            .n_attrs = slot->n_attrs,
            .start_us = now,
            .complete_us = INT64_MIN,
        };
    }
    return 0;
}

// *made new trials into handles, fewer than q when the sampler runs out. HPT_S_EXHAUSTED: none.
static int ask_new(int64_t *made, hpt_study *study, hpt_trial **handles, int64_t q) {
    int rc = 0;
    hpt__new_trial one = {0}, *batch = &one;
    ask_job job = {.study = study};
    *made = 0;
    if (q > 1) {
        batch = hpt__calloc((size_t)q, sizeof *batch);
        if (!batch) return hpt__fail_memory();
    }
    HPT_TRY(grow_scratch(study, q));
    HPT_TRY(ensure_sampler(study));
    if (!study->sampler->cheap) {
        job.first = next_number(&study->table);
        job.q = q;
        HPT_TRY(suggest_batch(study, &job.q, job.first));
        if (rc == HPT_S_EXHAUSTED) goto out;
        job.version = study->table.version;
        job.ready = true;
    }
    const double t0 = hpt__now_mono(), suggest0 = study->times.suggest;
    rc = study->storage->ops->create_trials(study->storage, study->study_id, &study->table, batch, q, fill_batch, &job);
    study->times.storage += hpt__now_mono() - t0 - (study->times.suggest - suggest0);
    if (rc != 0) goto out;
    for (int64_t i = 0; i < job.q; i++) {
        hpt_trial *trial = handles[i];
        trial->number = batch[i].number;
        trial->trial_id = batch[i].trial_id;
        memcpy(trial->data, study->points + i * study->space->d, (size_t)study->space->d * sizeof(double));
    }
    study->last_by = study->slots[job.q - 1].by;
    study->last_number = batch[job.q - 1].number;
    *made = job.q;
out:
    if (rc < 0 && !study->sampler->cheap) forget_sampler(study);
    if (batch != &one) hpt__free(batch);
    return rc;
}

// ---- waiting trials ------------------------------------------------------------------------------------------

// Optuna's enqueue_trial stores what is fixed in an attribute instead of parameters. A value that this space does
// not admit is left to the sampler, with a warning: the alternative, a trial nobody can run, would block the queue.
static int take_fixed_params(double *point, hpt_study *study, int64_t row) {
    int rc = 0;
    const char *text = hpt__trials_attr(&study->table, row, "s:fixed_params");
    if (!text) return 0;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *fixed = NULL;
    rc = hpt__json_parse(&fixed, &arena, text, strlen(text));
    if (rc == HPT_E_MEMORY) goto out;
    if (rc < 0 || fixed->kind != HPT__JSON_OBJECT) {
        hpt__log(HPT_LOG_WARN, "trial %lld: its attribute fixed_params is unreadable and left out",
                 (long long)study->table.number[row]);
        rc = 0;
        goto out;
    }
    for (int64_t i = 0; i < fixed->o.n; i++) {
        const int64_t j = hpt__space_find(study->space, fixed->o.keys[i]);
        double v;
        if (j < 0 || !isnan(point[j])) continue;
        rc = hpt__param_internal(&v, &study->space->params[j], fixed->o.values[i]);
        if (rc == HPT_E_MEMORY) goto out;
        if (rc >= 0 && hpt__param_contains(&study->space->params[j], v)) {
            point[j] = hpt__param_clip(&study->space->params[j], v);
        } else {
            hpt__log(HPT_LOG_WARN, "trial %lld: the queued value of '%s' is outside the space and left out",
                     (long long)study->table.number[row], fixed->o.keys[i]);
        }
    }
    rc = 0;
out:
    hpt__arena_fini(&arena);
    return rc;
}

static int complete_waiting(double *point, int64_t row, void *payload) {
    int rc = 0;
    hpt_study *study = payload;
    const int64_t number = study->table.number[row];
    const char *by = NULL;
    int64_t bad;
    study->claimed_grid_id = -1;
    HPT_TRY(take_fixed_params(point, study, row));
    if (hpt__space_check(study->space, point, &bad)) return 0;
    HPT_TRY(ensure_sampler(study));
    const double t0 = hpt__now_mono();
    if (study->sampler->batch_start) study->sampler->batch_start(study->sampler_state, &study->table);
    rc = study->sampler->suggest(point, &by, study->sampler_state, &study->table, number);
    study->times.suggest += hpt__now_mono() - t0;
    if (rc == HPT_S_EXHAUSTED) { // a queued point is owed a trial, also when the grid is used up
        hpt__rng rng;
        hpt__rng_init(&rng, hpt__rng_mix(study->seed, FILL_STREAM), (uint64_t)number);
        hpt__sampler_fill_random(point, study->space, &rng);
        rc = 0;
    } else if (rc >= 0 && study->sampler->grid_id) {
        study->claimed_grid_id = study->sampler->grid_id(study->sampler_state);
    }
    if (rc >= 0) HPT_TRY(store_sampler_state(study));
out:
    return rc;
}

// HPT_S_NOTHING: none waits any more.
static int ask_waiting(hpt_study *study, hpt_trial *handle) {
    int64_t row = -1;
    const double t0 = hpt__now_mono(), suggest0 = study->times.suggest;
    int rc = study->storage->ops->claim_waiting(&row, study->storage, study->study_id, &study->table, complete_waiting,
                                                study);
    study->times.storage += hpt__now_mono() - t0 - (study->times.suggest - suggest0);
    if (rc != 0) return rc;
    if (row < 0) return HPT_S_NOTHING;
    hpt__trial_load(handle, row);
    if (study->claimed_grid_id >= 0) { // nothing was fixed, so that it got a point of the grid
        char text[24];
        (void)snprintf(text, sizeof text, "%lld", (long long)study->claimed_grid_id);
        const hpt__attr_item attr = {"s:hpt:grid_id", text};
        rc = hpt__study_attrs_locked(study, row, &attr, 1);
        // The trial is the caller's all the same; without the number, its point may be asked a second time.
        if (rc < 0) {
            hpt__log(HPT_LOG_WARN, "trial %lld: its grid number is not stored: %s", (long long)handle->number,
                     hpt_last_error());
        }
    }
    study->last_by = "enqueue";
    study->last_number = handle->number;
    return 0;
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
static int ask_locked(int64_t *n, hpt_trial **out, hpt_study *study, int64_t q) {
    int rc = 0;
    *n = 0;
    HPT_TRY(ready_to_ask(study));
    HPT_TRY(hpt__study_sync(study));
    while (*n < q && study->table.counts[HPT_TRIAL_WAITING] > 0) {
        HPT_TRY(ask_waiting(study, out[*n]));
        if (rc == HPT_S_NOTHING) break;
        ++*n;
    }
    rc = 0;
    if (*n < q) {
        int64_t made;
        HPT_TRY(ask_new(&made, study, out + *n, q - *n));
        *n += made;
        if (*n < q) rc = HPT_S_EXHAUSTED;
    }
out:
    return rc;
}

int hpt_study_ask_batch(hpt_trial **out, int64_t *n_out, hpt_study *study, int64_t q) {
    int rc = 0;
    int64_t n_handles = 0, n = 0;
    HPT_FAIL_IF(!out || !n_out || !study, HPT_E_ARG, "hpt_study_ask_batch: an argument is NULL");
    HPT_FAIL_IF(q < 0, HPT_E_ARG, "hpt_study_ask_batch: %lld trials cannot be asked for", (long long)q);
    for (; n_handles < q; n_handles++) {
        out[n_handles] = hpt__trial_new(study);
        if (!out[n_handles]) {
            rc = hpt__fail_memory();
            goto out;
        }
    }
    pthread_mutex_lock(&study->lock);
    const double t0 = hpt__now_mono();
    if (q > 0) rc = ask_locked(&n, out, study, q);
    study->n_asks += n;
    study->times.ask += hpt__now_mono() - t0;
    pthread_mutex_unlock(&study->lock);
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

int hpt_study_ask(hpt_trial **out, hpt_study *study) {
    int64_t n;
    if (!out || !study) return hpt__fail(HPT_E_ARG, "hpt_study_ask: an argument is NULL");
    return hpt_study_ask_batch(out, &n, study, 1);
}
