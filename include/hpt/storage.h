/* SPDX-License-Identifier: Apache-2.0
 * storage.h: what a database holds, without opening a study. URLs: "sqlite:///path", or a bare path
 * of an existing file. */
#ifndef HPT_STORAGE_H
#define HPT_STORAGE_H

#include <hpt/export.h>
#include <hpt/study.h>
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

/* ---- upkeep. write gets whole lines without newline, one finding or remark each; NULL: not told. */

/* Looks for everything that would make a reader fail or lose trials: SQLite's own integrity, tables and columns, schema
 * version, numbers missing or doubled, values that contradict the state, unknown enum texts, unreadable JSON, parameters
 * outside their distribution, rows without a trial. Never writes. *n_problems: findings. */
HPT_API HPT_NODISCARD int hpt_storage_check(int64_t *n_problems, const char *url, hpt_write_fn write, void *payload);

/* Copies one study, or all (study NULL), with everything: parameters, reports, attributes, times, numbers. as: the
 * copy's name, NULL the same; with study only. HPT_E_EXISTS: the name is taken there (nothing is copied then). *n_studies
 * may be NULL. */
HPT_API HPT_NODISCARD int hpt_storage_copy(int64_t *n_studies, const char *to_url, const char *from_url,
                                           const char *study, const char *as);

/* Rewrites a database without gaps and leaves it as one file that any program may copy (journal mode "delete").
 * HPT_E_BUSY: somebody uses it. bytes_before, bytes_after may be NULL. */
HPT_API HPT_NODISCARD int hpt_storage_vacuum(int64_t *bytes_before, int64_t *bytes_after, const char *url);

/* Reads studies from a file into a database. format: "journal" (Optuna's JournalFileBackend), "jsonl" or "csv" (as
 * hpt_study_export writes them), NULL: by looking at the file. as: name for a single study, else its own, else the file's
 * stem. One transaction: all or nothing. Errors name file and line. */
HPT_API HPT_NODISCARD int hpt_storage_import(int64_t *n_studies, int64_t *n_trials, const char *to_url,
                                             const char *path, const char *format, const char *as);

HPT_END_DECLS
#endif
