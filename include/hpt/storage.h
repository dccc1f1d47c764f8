/* SPDX-License-Identifier: Apache-2.0
 * storage.h: what a database holds, without opening a study. URLs: "sqlite:///path", or a bare path
 * of an existing file. */
#ifndef HPT_STORAGE_H
#define HPT_STORAGE_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_study_summary {
    char *name;
    int64_t n_directions;
    int64_t counts[5]; /* by hpt_trial_state */
    double best;       /* single objective; NaN if none */
    char *created;     /* start of its first trial, "YYYY-MM-DD HH:MM:SS" in UTC, "" if none */
} hpt_study_summary;

/* All studies, oldest first. *out: array of *n, freed with hpt_storage_summaries_free. */
HPT_API HPT_NODISCARD int hpt_storage_studies(hpt_study_summary **out, int64_t *n, const char *url);
HPT_API void hpt_storage_summaries_free(hpt_study_summary *summaries, int64_t n);

HPT_END_DECLS
#endif
