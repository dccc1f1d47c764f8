// SPDX-License-Identifier: Apache-2.0
// study_impl.h: the inside of a study, for the rooms above it (sched, sweep, serve).
#ifndef HPT_STUDY_IMPL_H
#define HPT_STUDY_IMPL_H

#include "../storage/storage_ops.h"
#include <hpt/study.h>
#include <stdatomic.h>

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

// hpt_study_ask_batch, and `ahead` further suggestions stored as waiting trials with whole points, made in the same batch.
// Whoever is free next takes them with hpt__study_claim; those that nobody took are the next ask's. *cancel (NULL: never)
// is looked at once the points are made: when true nothing new is stored and the rc is HPT_S_NOTHING; *n trials that had
// waited may have been claimed all the same.
HPT_NODISCARD int hpt__study_ask_ahead(hpt_trial **out, int64_t *n, hpt_study *study, int64_t q, int64_t ahead,
                                       const atomic_bool *cancel);
// Whether the sampler takes microseconds, so that an ask is the storage's transaction and little else.
bool hpt__study_asks_quickly(const hpt_study *study);
// The oldest waiting trial begins to run, without waiting for an ask under way. HPT_S_NOTHING: none waits, or the sampler
// has to complete the oldest one first, which an ask does.
HPT_NODISCARD int hpt__study_claim(hpt_trial **out, hpt_study *study);
// Puts a trial that was asked or claimed, and that nobody began, back into the queue. HPT_E_STATE: it runs no more.
HPT_NODISCARD int hpt__study_unclaim(hpt_study *study, hpt_trial *trial);

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
