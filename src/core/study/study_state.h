// SPDX-License-Identifier: Apache-2.0
// study_state.h: what a hpt_study and a hpt_trial hold; for the files of this room only.
//
// Locks: `lock` guards the table, the storage handle, the pruner and the counters, and is never held while a model
// thinks. `ask_lock` guards the sampler, its mirror of the table and the scratch of an ask; it is taken first, and held for
// a whole ask: asks come one after the other, while reports and tells go on (study_ask.c).
// Everything above the line "guarded" is set by hpt_study_open and never changes, so accessors need no lock.
// A hpt_trial copies its number, state, point and values; it reads the study's immutable part without the lock
// and takes the lock for report, should_prune and set_attr.
//
// Order of every change: storage first (one committed transaction), then the table. What the table holds is
// thus always stored; a failure between the two is repaired by the next sync or reopening.
#ifndef HPT_STUDY_STATE_H
#define HPT_STUDY_STATE_H

#include "../pruner/pruner_ops.h"
#include "../sampler/sampler_ops.h"
#include "study_impl.h"
#include <pthread.h>

// One point of a batch between the sampler and the storage.
typedef struct hpt__ask_slot {
    const char *keys[2], *texts[2]; // attributes: "s:hpt:by", "s:hpt:grid_id"
    int64_t n_attrs;
    const char *by; // static, from the sampler
    char by_json[64], grid_json[24];
} hpt__ask_slot;

typedef struct hpt__study_times { // seconds
    double ask;                   // whole asks, waiting for the lock not counted
    double suggest;               // of these, inside the sampler
    double storage;               // inside the storage: asks, tells, reports and syncs, without the sampler's part
} hpt__study_times;

struct hpt_study {
    char *name;
    hpt__storage *storage;
    int64_t study_id;
    hpt_space *space;
    hpt_direction *directions; // k
    char **metric_names;       // k, one block; NULL: the objectives have no names
    int64_t k;
    hpt__options options;
    char *sampler_name, *pruner_name, *device; // as chosen; stored in s:hpt:config
    bool device_wished;                        // by the caller or the environment, not auto
    uint64_t seed;
    bool read_only;
    const hpt__sampler_ops *sampler; // NULL: read-only, or no parameters known yet
    const hpt__pruner_ops *pruner;   // NULL: read-only and unknown to this version
    bool lock_made;
    pthread_mutex_t lock, ask_lock;
    // ---- guarded by ask_lock
    void *sampler_state;
    bool sampler_made; // false after a failure that cost its state: the next ask makes it again
    bool mirror_made;
    hpt__trials mirror;   // of the table, for samplers that read rows
    hpt__ask_slot *slots; // cap_slots
    double *points;       // cap_slots x d
    int64_t cap_slots;
    // ---- guarded by lock
    void *pruner_state;
    bool config_pending; // a foreign study: s:hpt:config is written by the first ask
    bool table_made;
    hpt__trials table;
    hpt__study_times times;
    int64_t n_asks, n_tells, n_reports; // of this handle
    const char *last_by;                // static; NULL before the first ask
    int64_t last_number;
};

struct hpt_trial {
    hpt_study *study; // borrowed
    int64_t number, trial_id;
    hpt_trial_state state;
    int64_t n_values;
    char *params_json; // made on first use
    char *attr_json;   // the last hpt_trial_get_attr's answer
    char **texts;      // d texts of numeric parameters, made on first use
    double data[];     // d internal values of the point, then k objective values
};

// ---- study_config.c
// Fills options, sampler, pruner, seed and device of a study from what the caller gave, the environment, what is
// stored (JSON text of s:hpt:config, NULL: nothing) and the defaults, in that order of precedence.
HPT_NODISCARD int hpt__study_settle(hpt_study *study, const hpt_study_options *given, const char *stored);
// Defaults, environment and the given pairs: what opening the storage needs before anything is read from it.
HPT_NODISCARD int hpt__study_first_options(hpt__options *out, const hpt_study_options *given);
void hpt__study_config_json(hpt__str *out, const hpt_study *study);
// Makes the sampler and the pruner; the space must be set.
HPT_NODISCARD int hpt__study_make_tools(hpt_study *study);
HPT_NODISCARD int hpt__study_make_sampler(hpt_study *study);
// Space of a study that another program made, from the distributions of its trials.
HPT_NODISCARD int hpt__study_derive_space(hpt_space **out, hpt__storage *storage, int64_t study_id);
// Whether trials of `given` may join trials of `derived`: same kinds, same log, same choices (Optuna's rule).
HPT_NODISCARD int hpt__study_check_joinable(const hpt_study *study, const hpt_space *derived, const hpt_space *given);

// ---- study_names.c
// The objectives' names (Optuna's study:metric_names): from the caller, *json owned by the caller; from the storage.
HPT_NODISCARD int hpt__study_names_given(hpt_study *study, char **json, const char *const *names);
HPT_NODISCARD int hpt__study_names_stored(hpt_study *study);

// ---- study.c
// Brings the table up to date; the time counts as storage. Lock held.
HPT_NODISCARD int hpt__study_sync(hpt_study *study);
// HPT_E_STATE unless the study may be written. what: "asked", "told".
HPT_NODISCARD int hpt__study_writable(const hpt_study *study, const char *what);

// ---- study_ask.c: ask_lock and lock held
HPT_NODISCARD int hpt__study_grow_scratch(hpt_study *study, int64_t q); // slots and points
HPT_NODISCARD int hpt__study_ensure_sampler(hpt_study *study);
HPT_NODISCARD int hpt__study_mirror(hpt_study *study); // brings the mirror up to date
// What the sampler wants kept, in the transaction of the trials that it was asked for.
HPT_NODISCARD int hpt__study_store_sampler(hpt_study *study);
// What the sampler reads. Cheap ones run under the lock and read counters only.
static inline hpt__trials *hpt__study_sampler_table(hpt_study *study) {
    return study->sampler->cheap ? &study->table : &study->mirror;
}

// ---- study_waiting.c
// Claims the oldest waiting trial; the lock is let go while a model completes its point. ask_lock and lock held.
// HPT_S_NOTHING: none waits any more.
HPT_NODISCARD int hpt__study_ask_waiting(hpt_study *study, hpt_trial *handle);

// ---- trial.c
// A handle without content (state RUNNING, point absent); NULL when out of memory.
hpt_trial *hpt__trial_new(hpt_study *study);
// Copies a row of the table into a handle. Lock held.
void hpt__trial_load(hpt_trial *trial, int64_t row);
static inline double *hpt__trial_values_of(hpt_trial *trial) {
    return trial->data + trial->study->space->d;
}
// Records HPT_E_NOT_FOUND for a name the space lacks, with the nearest one.
int hpt__study_unknown_param(const hpt_study *study, const char *name);

// ---- study_tell.c
// Row of a trial's number. Lock held. HPT_E_NOT_FOUND after a sync did not bring it either.
HPT_NODISCARD int hpt__study_row(int64_t *row, hpt_study *study, int64_t number);
// Stores attributes of the trial in a row and copies them to the table. Lock held.
HPT_NODISCARD int hpt__study_attrs_locked(hpt_study *study, int64_t row, const hpt__attr_item *attrs, int64_t n_attrs);

// ---- study_query.c
// Whether all constraints that are stored with a trial hold. arena: scratch, reset here.
bool hpt__study_feasible(const hpt__trials *t, int64_t row, hpt__arena *arena);

// ---- study_export.c
// JSON number of a double: Python's tokens for what is not finite.
void hpt__study_add_number(hpt__str *out, double v);

#endif
