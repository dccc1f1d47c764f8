// SPDX-License-Identifier: Apache-2.0
// storage_ops.h: what a storage does for a study: one ops table per kind, chosen by the URL's scheme.
//
// A storage holds the truth about many studies; hpt__trials is a study's copy in memory. Every function that
// changes something is one transaction, committed before it returns. Numbers of trials are given out under the
// study's write lock (reference: Optuna loses trials without it). Threads: one at a time per handle (the study's
// lock). All int functions: 0, a remark, or HPT_E_STORAGE / HPT_E_MEMORY / HPT_E_NOT_FOUND / HPT_E_EXISTS /
// HPT_E_BUSY / HPT_E_INCOMPATIBLE with a message naming the file.
#ifndef HPT_STORAGE_OPS_H
#define HPT_STORAGE_OPS_H

#include "../base/options.h"
#include "../trials/trials.h"
#include <hpt/storage.h>

typedef struct hpt__storage hpt__storage;
typedef struct hpt__storage_ops hpt__storage_ops;
typedef struct hpt__record hpt__record; // storage_record.h
typedef struct hpt__records hpt__records;

struct hpt__storage {
    const hpt__storage_ops *ops; // first member of every implementation's handle
    char *url;                   // owned; as given
};

// A new trial as the study hands it over, and what the storage gives back.
typedef struct hpt__new_trial {
    hpt_trial_state state;        // RUNNING, WAITING, or finished (import)
    const double *point;          // d internal values, NaN where absent; NULL: no parameters
    const double *values;         // k, for finished ones; NULL: none
    const char *const *attr_keys; // "u:..." / "s:..."
    const char *const *attr_values;
    int64_t n_attrs;
    int64_t start_us, complete_us; // INT64_MIN: none
    int64_t number, trial_id;      // out
} hpt__new_trial;

// Called inside the write transaction after the table was brought up to date, with the number the first new
// trial will get; fills in the batch (points may depend on the numbers). May lower *q. Nonzero aborts the
// transaction and is returned.
typedef int (*hpt__fill_fn)(hpt__new_trial *batch, int64_t *q, int64_t first_number, void *payload);

typedef struct hpt__report_item {
    int64_t trial_id, step;
    double value;
} hpt__report_item;

typedef struct hpt__attr_item {
    const char *key; // "u:..." or "s:..."
    const char *value_json;
} hpt__attr_item;

struct hpt__storage_ops {
    const char *scheme; // "memory", "sqlite"
    // create: the database may be made. read_only: never writes, not even the schema. A file that is no database of
    // ours or Optuna's is an error and stays untouched.
    int (*open)(hpt__storage **out, const char *url, bool create, bool read_only, const hpt__options *options);
    void (*close)(hpt__storage *s);

    // ---- studies
    // HPT_E_EXISTS when the name is taken. directions: k.
    int (*study_create)(int64_t *study_id, hpt__storage *s, const char *name, const hpt_direction *directions,
                        int64_t k, const hpt__attr_item *attrs, int64_t n_attrs);
    // name NULL: the only study (HPT_E_NOT_FOUND lists the names when there are several).
    // *name_out, *directions: owned by the caller (hpt__free).
    int (*study_find)(int64_t *study_id, char **name_out, hpt_direction **directions, int64_t *k, hpt__storage *s,
                      const char *name);
    // *out is JSON text owned by the caller, NULL (and rc 0) if the key is not set. key: "u:..." or "s:...".
    int (*study_attr_get)(char **out, hpt__storage *s, int64_t study_id, const char *key);
    // Inside a callback of create_trials or claim_waiting: part of their transaction.
    int (*study_attr_set)(hpt__storage *s, int64_t study_id, const hpt__attr_item *attrs, int64_t n_attrs);
    int (*studies)(hpt_study_summary **out, int64_t *n, hpt__storage *s);

    // ---- trials
    // Distributions seen in a study: calls fn(name, distribution_json) for each parameter name, in order of first
    // appearance, with the distribution of the newest trial that has it.
    int (*distributions)(hpt__storage *s, int64_t study_id, int (*fn)(const char *name, const char *json, void *p),
                         void *p);
    // Brings the table up to date with the storage: new trials, and changes of the ones that are not finished.
    // Cheap when nothing changed (O(unfinished)). The first call loads everything. Returns HPT_S_NOTHING if unchanged.
    int (*sync)(hpt__storage *s, int64_t study_id, hpt__trials *table);
    // BEGIN IMMEDIATE; sync; fill; insert trials with parameters and attributes; COMMIT; then adds the rows to the table.
    int (*create_trials)(hpt__storage *s, int64_t study_id, hpt__trials *table, hpt__new_trial *batch, int64_t q,
                         hpt__fill_fn fill, void *payload);
    // WAITING -> RUNNING for the oldest waiting trial (sync first); fill is called with the row's present point
    // (NaN where not fixed) to complete it; parameters not yet stored are inserted. *row = -1, HPT_S_NOTHING if none waits.
    int (*claim_waiting)(int64_t *row, hpt__storage *s, int64_t study_id, hpt__trials *table,
                         int (*fill)(double *point, int64_t row, void *payload), void *payload);
    // RUNNING -> WAITING, as if it had not been claimed. HPT_E_STATE: it is not running. Does not touch the table.
    int (*unclaim)(hpt__storage *s, int64_t trial_id);
    // Upserts; one transaction for all. Does not touch the table.
    int (*report)(hpt__storage *s, const hpt__report_item *items, int64_t n);
    int (*trial_attr_set)(hpt__storage *s, int64_t trial_id, const hpt__attr_item *attrs, int64_t n_attrs);
    // Finishes a RUNNING or WAITING trial together with attributes. HPT_E_STATE if it is finished already.
    // values: k, or NULL. Does not touch the table.
    int (*tell)(hpt__storage *s, int64_t trial_id, hpt_trial_state state, const double *values, int64_t k,
                int64_t complete_us, const hpt__attr_item *attrs, int64_t n_attrs);

    // ---- whole studies: copies, exports, imports
    // One transaction around several calls of this group: write false: reads see one state; true: the write lock, all or
    // nothing. release ends it: rc >= 0 commits, a negative one takes everything back; returns rc or the commit's error.
    int (*hold)(hpt__storage *s, bool write);
    int (*release)(hpt__storage *s, int rc);
    // Each attribute of the study in the order in which it was first set; fn's error ends it.
    int (*study_attrs)(hpt__storage *s, int64_t study_id, int (*fn)(const char *key, const char *json, void *p),
                       void *p);
    // The study's next trials with ids beyond *after, in the order of their ids, at most limit of them; *after moves on.
    // HPT_S_NOTHING: there is none. What was in the batch goes.
    int (*records)(hpt__records *batch, int64_t *after, hpt__storage *s, int64_t study_id, int64_t limit);
    // Inside hold(true): a study, HPT_E_EXISTS when the name is taken; a trial with its number, whatever its state.
    int (*bulk_study)(int64_t *study_id, hpt__storage *s, const char *name, const hpt_direction *directions, int64_t k,
                      const hpt__attr_item *attrs, int64_t n_attrs);
    int (*bulk_trial)(hpt__storage *s, int64_t study_id, const hpt__record *trial);
};

// By scheme of the URL: ":memory:", "sqlite:///relative", "sqlite:////absolute", or a bare path that ends in .db,
// .sqlite, .sqlite3 or exists. HPT_E_UNSUPPORTED names the schemes known.
HPT_NODISCARD int hpt__storage_open(hpt__storage **out, const char *url, bool create, bool read_only,
                                    const hpt__options *options);
void hpt__storage_close(hpt__storage *s); // NULL is fine

extern const hpt__storage_ops hpt__storage_memory_ops;
extern const hpt__storage_ops hpt__storage_sqlite_ops;

// Kept in a study's attributes: "s:hpt:space", "s:hpt:config" (sampler, pruner, seed, options),
// "s:hpt:sampler_state" (what the sampler saves), "s:hpt:run_id".
// Kept in a trial's: "s:hpt:grid_id", "s:hpt:outcome", "s:hpt:attempts", "s:hpt:reason", "s:hpt:use",
// "s:hpt:by" (what chose it).

#endif
