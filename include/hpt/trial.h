/* SPDX-License-Identifier: Apache-2.0
 * trial.h: one evaluation of the objective. A hpt_trial is a handle of its own: it belongs to one
 * thread at a time, is destroyed by its owner, and must not outlive its study. */
#ifndef HPT_TRIAL_H
#define HPT_TRIAL_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_trial hpt_trial;

/* As in Optuna; numbers are pinned. */
typedef enum hpt_trial_state {
    HPT_TRIAL_RUNNING = 0,
    HPT_TRIAL_COMPLETE = 1,
    HPT_TRIAL_PRUNED = 2,
    HPT_TRIAL_FAIL = 3,
    HPT_TRIAL_WAITING = 4,
} hpt_trial_state;

/* "RUNNING", "COMPLETE", ... ; "?" for a foreign number. Static. */
HPT_API const char *hpt_trial_state_to_string(hpt_trial_state state);
/* 0, or HPT_E_ARG naming the valid states. Case is ignored. */
HPT_API HPT_NODISCARD int hpt_trial_state_from_string(hpt_trial_state *out, const char *text);

HPT_API void hpt_trial_destroy(hpt_trial *trial);

/* Number of the trial in its study, counted from 0. */
HPT_API int64_t hpt_trial_number(const hpt_trial *trial);
HPT_API hpt_trial_state hpt_trial_get_state(const hpt_trial *trial);

/* The value of an active parameter. HPT_E_NOT_FOUND: the space has no such name. HPT_E_STATE: the
 * parameter's condition does not hold in this trial (hpt_trial_has asks without an error).
 * get_float also reads integers; get_category gives the index of the choice; get_string the text of a
 * string choice or the JSON text of any other value, borrowed until the trial is destroyed. */
HPT_API bool hpt_trial_has(const hpt_trial *trial, const char *name);
HPT_API HPT_NODISCARD int hpt_trial_get_float(double *out, const hpt_trial *trial, const char *name);
HPT_API HPT_NODISCARD int hpt_trial_get_int(int64_t *out, const hpt_trial *trial, const char *name);
HPT_API HPT_NODISCARD int hpt_trial_get_category(int64_t *out, const hpt_trial *trial, const char *name);
HPT_API HPT_NODISCARD int hpt_trial_get_string(const char **out, hpt_trial *trial, const char *name);

/* All active parameters as one JSON object in the space's order. Borrowed until the trial is destroyed. */
HPT_API HPT_NODISCARD int hpt_trial_params_json(const char **out, hpt_trial *trial);

/* Objective values of a finished trial: *n_values doubles, borrowed; 0 values if it has none. */
HPT_API HPT_NODISCARD int hpt_trial_values(const double **out, int64_t *n_values, hpt_trial *trial);

/* Records an intermediate value (NaN and infinities allowed) at step >= 0; the same step again
 * replaces it. HPT_E_STATE: the trial is not running. Stored before the call returns. */
HPT_API HPT_NODISCARD int hpt_trial_report(hpt_trial *trial, int64_t step, double value);

/* Whether the study's pruner would stop the trial now, judged by its latest report. */
HPT_API HPT_NODISCARD int hpt_trial_should_prune(bool *out, hpt_trial *trial);

/* Attaches a JSON value to the trial under a key of the caller's own. */
HPT_API HPT_NODISCARD int hpt_trial_set_attr(hpt_trial *trial, const char *key, const char *json);

/* JSON text of an attribute: a key of the caller's own (hpt_trial_set_attr), or one that the engine sets:
 * "hpt:by" (what chose the point), "hpt:outcome", "hpt:reason", "hpt:attempts". *out is NULL, with status
 * 0, if it is not set. Borrowed until the trial is destroyed or the next call with it. */
HPT_API HPT_NODISCARD int hpt_trial_get_attr(const char **out, hpt_trial *trial, const char *key);

/* Start and end in seconds since 1970 (UTC); NaN where there is none. */
HPT_API HPT_NODISCARD int hpt_trial_times(double *start, double *end, const hpt_trial *trial);

/* The latest intermediate value and its step; NaN and -1 if nothing was reported. */
HPT_API HPT_NODISCARD int hpt_trial_last_report(int64_t *step, double *value, hpt_trial *trial);

HPT_END_DECLS
#endif
