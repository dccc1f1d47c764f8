/* SPDX-License-Identifier: Apache-2.0
 * study.h: an optimisation: a space, one or more objectives, a sampler, a pruner and all trials.
 *
 *   hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
 *   o.name = "lr"; o.space = s; o.storage = "sqlite:///lr.db";
 *   hpt_study *study;
 *   if (hpt_study_open(&study, &o) < 0) fail(hpt_last_error());
 *   for (int i = 0; i < 100; i++) {
 *       hpt_trial *t;
 *       if (hpt_study_ask(&t, study)) break;
 *       double lr, loss;
 *       hpt_trial_get_float(&lr, t, "lr");
 *       loss = train(lr);
 *       hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, &loss, 1);
 *       hpt_trial_destroy(t);
 *   }
 *
 * A study is locked inside: any thread may call any function. Many processes may open one SQLite
 * study at once. Trials may be told late, out of order, or never. Results depend on the seed and on
 * the order of asks and tells, never on timing or the number of threads; but the size from which sampler gp has a local
 * model follows the speed of the machine that began the study, unless gp.n_max gives it. */
#ifndef HPT_STUDY_H
#define HPT_STUDY_H

#include <hpt/export.h>
#include <hpt/space.h>
#include <hpt/trial.h>
#include <stddef.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_study hpt_study;

typedef enum hpt_direction {
    HPT_MINIMIZE = 1,
    HPT_MAXIMIZE = 2,
} hpt_direction;

typedef enum hpt_open_mode {
    HPT_OPEN_OR_CREATE = 0, /* join the study if it exists (space and directions must agree), else create it */
    HPT_OPEN_CREATE = 1,    /* HPT_E_EXISTS if it exists */
    HPT_OPEN_EXISTING = 2,  /* HPT_E_NOT_FOUND if it does not; space and directions may be left out */
    HPT_OPEN_READ_ONLY = 3, /* as EXISTING, never writes */
} hpt_open_mode;

/* All pointers are borrowed for the call only. Zero or NULL means the default given here. */
typedef struct hpt_study_options {
    size_t struct_size;              /* set by HPT_STUDY_OPTIONS_INIT */
    const char *name;                /* NULL: the storage's only study, or "study" when creating */
    const char *storage;             /* NULL: ":memory:"; "sqlite:///relative.db", "sqlite:////absolute.db" */
    const hpt_space *space;          /* NULL: the stored space; for a foreign study, what its trials imply */
    const hpt_direction *directions; /* NULL: the stored ones, or minimise one objective */
    int64_t n_directions;
    const char *sampler; /* NULL: the stored one, or "auto"; see hpt_sampler_name() */
    const char *pruner;  /* NULL: the stored one, or "nop" */
    uint64_t seed;       /* used when has_seed; else the stored one, or one drawn from the system and stored */
    bool has_seed;
    hpt_open_mode mode;
    const char *device; /* NULL: $HPT_DEVICE, else "auto"; "cpu", "ref". HPT_E_DEVICE: cannot be had. Recorded. */
    /* n_options strings "key=value" of the options table, e.g. "tpe.n_startup=20"; see hpt_option_doc(). */
    const char *const *options;
    int64_t n_options;
    /* One name per direction, for tables and Optuna's plots (its metric names); stored when the study is created.
     * NULL: none. Names of an existing study stay as they are. */
    const char *const *metric_names;
} hpt_study_options;

#define HPT_STUDY_OPTIONS_INIT \
    { .struct_size = sizeof(hpt_study_options) }

/* Errors: HPT_E_ARG, HPT_E_NOT_FOUND, HPT_E_EXISTS, HPT_E_STORAGE, HPT_E_INCOMPATIBLE (the message
 * names the first difference between the stored space or directions and the given ones), HPT_E_MEMORY. */
HPT_API HPT_NODISCARD int hpt_study_open(hpt_study **out, const hpt_study_options *options);
HPT_API void hpt_study_close(hpt_study *study);

/* A new running trial: the oldest enqueued one if any waits, else the sampler's suggestion.
 * HPT_S_EXHAUSTED (and *out = NULL): the grid or the enumerable space has no point left. */
HPT_API HPT_NODISCARD int hpt_study_ask(hpt_trial **out, hpt_study *study);

/* q trials, the new ones in one storage transaction; out has room for q. HPT_S_EXHAUSTED: fewer than q were left, *n_out of
 * them (maybe 0) are in out. On an error out holds none. */
HPT_API HPT_NODISCARD int hpt_study_ask_batch(hpt_trial **out, int64_t *n_out, hpt_study *study, int64_t q);

/* The running trial with this number, e.g. one asked by an earlier process. HPT_E_NOT_FOUND if none
 * has it. Any state may be looked up. */
HPT_API HPT_NODISCARD int hpt_study_trial(hpt_trial **out, hpt_study *study, int64_t number);

/* Finishes a trial: COMPLETE needs one value per direction; PRUNED may leave values out (the last
 * report is kept); FAIL takes none. A NaN value makes the trial FAIL, as in Optuna, and the call returns
 * HPT_S_NOTHING. HPT_E_STATE: it is finished already. Stored before the call returns. */
HPT_API HPT_NODISCARD int hpt_study_tell(hpt_study *study, hpt_trial *trial, hpt_trial_state state,
                                         const double *values, int64_t n_values);

/* Queues a point that a later ask returns first. params: a JSON object that names some or all active
 * parameters; the sampler fills the rest. */
HPT_API HPT_NODISCARD int hpt_study_enqueue(hpt_study *study, const char *params_json);

/* The best completed trial of a single-objective study. HPT_E_NOT_FOUND: none is complete yet. */
HPT_API HPT_NODISCARD int hpt_study_best(hpt_trial **out, hpt_study *study);

/* All non-dominated completed trials, in order of their numbers. *out: array of *n owned trials; free
 * each with hpt_trial_destroy and the array with hpt_free. */
HPT_API HPT_NODISCARD int hpt_study_pareto(hpt_trial ***out, int64_t *n, hpt_study *study);

/* Counts by state, indexed by hpt_trial_state; sees what other processes stored. */
HPT_API HPT_NODISCARD int hpt_study_counts(int64_t out[5], hpt_study *study);

HPT_API const char *hpt_study_name(const hpt_study *study);    /* borrowed from the study */
HPT_API const char *hpt_study_storage(const hpt_study *study); /* borrowed; the URL */
HPT_API int64_t hpt_study_n_directions(const hpt_study *study);
HPT_API hpt_direction hpt_study_direction(const hpt_study *study, int64_t i);
/* Stored name of objective i, borrowed from the study; NULL: it has none. */
HPT_API const char *hpt_study_metric_name(const hpt_study *study, int64_t i);
HPT_API uint64_t hpt_study_seed(const hpt_study *study);
HPT_API const char *hpt_study_sampler(const hpt_study *study); /* name in use */
HPT_API const char *hpt_study_pruner(const hpt_study *study);  /* name in use */

/* The space in use; borrowed from the study, immutable. */
HPT_API const hpt_space *hpt_study_space(const hpt_study *study);

/* Everything known about the trials with number >= since: "json" (one document with the study's head),
 * "jsonl" (a trial a line, each with its distributions and directions, so that it can be imported again), "journal" (Optuna's journal
 * file), "csv" (columns as Optuna's trials_dataframe names them: number, value or
 * values_0.., datetime_start, datetime_complete, duration, params_<name>, state). write is called with
 * pieces of text and returns 0 to go on. */
typedef int (*hpt_write_fn)(const char *text, size_t size, void *payload);
HPT_API HPT_NODISCARD int hpt_study_export(hpt_study *study, const char *format, int64_t since, hpt_write_fn write,
                                           void *payload);

/* One thing that a study has stored about how it works. value: JSON text, a number or a string. */
typedef struct hpt_fact {
    const char *group; /* "options": those that differ from the defaults; "study": sampler, pruner, device; "model": what the sampler's
                        * model is and how it was made; "lengthscale" and other parts of the model, by parameter */
    const char *name;
    const char *value;
} hpt_fact;

/* All of them, from what is stored: nothing is computed, no model is made. A study of another program has none, one
 * without a model yet no "model". *out: one block of *n facts, the caller's (hpt_free). HPT_E_ARG, HPT_E_STORAGE, HPT_E_MEMORY. */
HPT_API HPT_NODISCARD int hpt_study_facts(hpt_fact **out, int64_t *n, hpt_study *study);

/* Seconds spent and what chose the last points, as one JSON object (owned by the caller, hpt_free). */
HPT_API HPT_NODISCARD int hpt_study_stats(char **out, hpt_study *study);

/* ---- a loop in one call -------------------------------------------------------------------------- */

/* Evaluates one trial: writes one value per direction. Returns 0, HPT_S_PRUNE (the trial is told
 * pruned), or anything negative (the trial is told failed; the loop goes on). May be called from
 * n_threads threads at once, each with a trial of its own. */
typedef int (*hpt_objective_fn)(double *values, hpt_trial *trial, void *payload);

/* After each told trial, one call at a time; nonzero ends the loop after the trials that run. */
typedef int (*hpt_trial_fn)(hpt_study *study, hpt_trial *trial, void *payload);

typedef struct hpt_optimize_options {
    size_t struct_size;
    int64_t n_trials;      /* asks made by this call; 0: no limit */
    double timeout;        /* seconds after which no trial is started; 0: none */
    int64_t n_threads;     /* 0: 1 */
    hpt_trial_fn callback; /* NULL: none */
    void *callback_payload;
} hpt_optimize_options;

#define HPT_OPTIMIZE_OPTIONS_INIT \
    { .struct_size = sizeof(hpt_optimize_options) }

/* Returns 0 when n_trials were made, HPT_S_STOPPED (timeout or callback), HPT_S_EXHAUSTED, or an error. */
HPT_API HPT_NODISCARD int hpt_study_optimize(hpt_study *study, hpt_objective_fn objective, void *payload,
                                             const hpt_optimize_options *options);

HPT_END_DECLS
#endif
