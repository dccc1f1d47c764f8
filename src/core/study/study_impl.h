// SPDX-License-Identifier: Apache-2.0
// study_impl.h: the inside of a study, for the rooms above it (sched, sweep, serve).
#ifndef HPT_STUDY_IMPL_H
#define HPT_STUDY_IMPL_H

#include "../storage/storage_ops.h"
#include <hpt/study.h>

typedef struct hpt__study_report {
    int64_t number, step;
    double value;
} hpt__study_report;

// Stores many reports of running trials in one transaction; reports of trials that are no longer running are skipped.
HPT_NODISCARD int hpt__study_report_many(hpt_study *study, const hpt__study_report *items, int64_t n);

// hpt_study_tell with attributes written in the same transaction. key: "s:..." or "u:...".
HPT_NODISCARD int hpt__study_tell_attrs(hpt_study *study, hpt_trial *trial, hpt_trial_state state, const double *values,
                                        int64_t n_values, const hpt__attr_item *attrs, int64_t n_attrs);
HPT_NODISCARD int hpt__study_trial_attrs(hpt_study *study, hpt_trial *trial, const hpt__attr_item *attrs,
                                         int64_t n_attrs);
// JSON text of a trial's attribute, owned by the caller (hpt_free); NULL and 0 if not set.
HPT_NODISCARD int hpt__study_trial_attr(char **out, hpt_study *study, int64_t number, const char *key);

// Numbers of all trials in a state, ascending, after a sync. *out owned (hpt_free).
HPT_NODISCARD int hpt__study_numbers(int64_t **out, int64_t *n, hpt_study *study, hpt_trial_state state);

// As hpt_study_export, a trial a line in the form of `hpt serve`: without what says how to make the study again.
HPT_NODISCARD int hpt__study_export_lines(hpt_study *study, int64_t since, hpt_write_fn write, void *payload);

// Queues the same point again with Optuna's retry attributes ("failed_trial": number of the first attempt,
// "retry_history": all numbers so far).
HPT_NODISCARD int hpt__study_retry(hpt_study *study, hpt_trial *trial);

// A study's attribute: key "s:hpt:..." ; *out JSON text owned by the caller or NULL.
HPT_NODISCARD int hpt__study_attr_get(char **out, hpt_study *study, const char *key);
HPT_NODISCARD int hpt__study_attr_set(hpt_study *study, const char *key, const char *json);

// Internal values of a trial: d doubles borrowed from the handle.
const double *hpt__trial_point(const hpt_trial *trial);

// study_device.c: number of the accelerator that a device request (NULL: HPT_DEVICE) is about; -1: the host's, -2: auto, which
// may move to number 0.
int64_t hpt__study_accelerator(const char *device);

#endif
