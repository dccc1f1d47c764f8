// SPDX-License-Identifier: Apache-2.0
// study_waiting.c: waiting trials: queued by a user, by a retry, or by a run that asks ahead (study_ask.c).
//
// Who takes one makes its point whole first: what its creator left open is the sampler's, and a model thinks without
// the study's lock, as in an ask. A trial whose point is whole is taken without the sampler, and so beside an ask.
//
// Threads: study_state.h. Cost: one transaction a trial.
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

typedef struct claim_job {
    hpt_study *study;
    bool whole_only;     // HPT_S_NOTHING for a point that the sampler would have to complete
    int64_t number;      // the trial that `point` was completed for; -1: none
    const double *point; // d; the study's scratch
    int64_t grid_id;     // what the sampler gave, -1: none
} claim_job;

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

// Completes the point of trial `number`. ask_lock held; the table that the sampler reads is up to date.
static int complete(double *point, int64_t *grid_id, hpt_study *study, int64_t number) {
    const char *by = NULL;
    const hpt__trials *table = hpt__study_sampler_table(study);
    if (study->sampler->batch_start) study->sampler->batch_start(study->sampler_state, table);
    int rc = study->sampler->suggest(point, &by, study->sampler_state, table, number);
    if (rc == HPT_S_EXHAUSTED) { // a queued point is owed a trial, also when the grid is used up
        hpt__rng rng;
        hpt__rng_init(&rng, hpt__rng_mix(study->seed, FILL_STREAM), (uint64_t)number);
        hpt__sampler_fill_random(point, study->space, &rng);
        rc = 0;
    } else if (rc >= 0 && study->sampler->grid_id) {
        *grid_id = study->sampler->grid_id(study->sampler_state);
    }
    return rc;
}

static int fill_claim(double *point, int64_t row, void *payload) {
    int rc = 0;
    claim_job *job = payload;
    hpt_study *study = job->study;
    const int64_t number = study->table.number[row];
    int64_t bad;
    HPT_TRY(take_fixed_params(point, study, row));
    if (hpt__space_check(study->space, point, &bad)) return 0;
    if (job->whole_only) return HPT_S_NOTHING;
    if (job->number == number) {
        memcpy(point, job->point, (size_t)study->space->d * sizeof *point);
    } else { // a cheap sampler, or another trial came to be the oldest
        const double t0 = hpt__now_mono();
        HPT_TRY(hpt__study_ensure_sampler(study));
        if (!study->sampler->cheap) HPT_TRY(hpt__study_mirror(study));
        rc = complete(point, &job->grid_id, study, number);
        study->times.suggest += hpt__now_mono() - t0;
        if (rc < 0) goto out;
    }
    HPT_TRY(hpt__study_store_sampler(study));
out:
    return rc;
}

// Lets a model complete the oldest waiting trial before its transaction, if it has to.
static int prepare(claim_job *job) {
    int rc = 0;
    hpt_study *study = job->study;
    const hpt__trials *t = &study->table;
    int64_t row = 0, bad;
    HPT_TRY(hpt__study_ensure_sampler(study));
    if (study->sampler->cheap) goto out;
    HPT_TRY(hpt__study_grow_scratch(study, 1));
    while (row < t->n && t->state[row] != HPT_TRIAL_WAITING) row++;
    if (row == t->n) goto out;
    double *point = study->points;
    const int64_t number = t->number[row];
    hpt__trials_get_point(point, t, row);
    HPT_TRY(take_fixed_params(point, study, row));
    if (hpt__space_check(study->space, point, &bad)) goto out;
    HPT_TRY(hpt__study_mirror(study));
    const double t0 = hpt__now_mono();
    pthread_mutex_unlock(&study->lock);
    rc = complete(point, &job->grid_id, study, number);
    pthread_mutex_lock(&study->lock);
    study->times.suggest += hpt__now_mono() - t0;
    if (rc < 0) goto out;
    job->number = number;
    job->point = point;
out:
    return rc < 0 ? rc : 0;
}

// Lock held, and ask_lock unless only whole points are taken. HPT_S_NOTHING: none waits any more.
static int claim(claim_job *job, hpt_trial *handle) {
    int64_t row = -1;
    hpt_study *study = job->study;
    const double t0 = hpt__now_mono(), suggest0 = study->times.suggest;
    int rc = study->storage->ops->claim_waiting(&row, study->storage, study->study_id, &study->table, fill_claim, job);
    study->times.storage += hpt__now_mono() - t0 - (study->times.suggest - suggest0);
    if (rc != 0) return rc;
    if (row < 0) return HPT_S_NOTHING;
    hpt__trial_load(handle, row);
    if (job->grid_id >= 0) { // nothing was fixed, so that it got a point of the grid
        char text[24];
        (void)snprintf(text, sizeof text, "%lld", (long long)job->grid_id);
        const hpt__attr_item attr = {"s:hpt:grid_id", text};
        rc = hpt__study_attrs_locked(study, row, &attr, 1);
        // The trial is the caller's all the same; without the number, its point may be asked a second time.
        if (rc < 0) {
            hpt__log(HPT_LOG_WARN, "trial %lld: its grid number is not stored: %s", (long long)handle->number,
                     hpt_last_error());
        }
    }
    return 0;
}

int hpt__study_ask_waiting(hpt_study *study, hpt_trial *handle) {
    claim_job job = {.study = study, .number = -1, .grid_id = -1};
    int rc = prepare(&job);
    if (rc == 0) rc = claim(&job, handle);
    if (rc != 0) return rc;
    study->last_by = "enqueue";
    study->last_number = handle->number;
    return 0;
}

int hpt__study_claim(hpt_trial **out, hpt_study *study) {
    claim_job job = {.study = study, .whole_only = true, .number = -1, .grid_id = -1};
    hpt_trial *handle = hpt__trial_new(study);
    if (!handle) return hpt__fail_memory();
    pthread_mutex_lock(&study->lock);
    int rc = hpt__study_writable(study, "asked");
    if (rc == 0 && study->table.counts[HPT_TRIAL_WAITING] == 0) rc = HPT_S_NOTHING;
    if (rc == 0) rc = claim(&job, handle);
    study->n_asks += rc == 0;
    pthread_mutex_unlock(&study->lock);
    if (rc == 0)
        *out = handle;
    else
        hpt_trial_destroy(handle);
    return rc;
}

int hpt__study_unclaim(hpt_study *study, hpt_trial *trial) {
    int rc = 0;
    int64_t row;
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "changed"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    HPT_TRY(study->storage->ops->unclaim(study->storage, trial->trial_id));
    trial->state = HPT_TRIAL_WAITING;
    study->table.info[row].start_us = INT64_MIN;
    hpt__trials_set_state(&study->table, row, HPT_TRIAL_WAITING);
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    return rc;
}
