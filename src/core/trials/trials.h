// SPDX-License-Identifier: Apache-2.0
// trials.h: the columnar table of all trials of one study, in memory: what samplers and pruners read.
//
// Letters: n rows (row index == trial number in every study of ours; looked up by `row_of` otherwise), c parameter columns. Column 0..d-1 are the
// parameters of the study's space in its order; further columns are parameters that only foreign (Optuna)
// trials have. A column is one contiguous array of n doubles in internal form, NaN where absent.
// Reports of a trial are kept sorted by step. Written by the study under its lock; samplers and pruners
// borrow it for the call.
#ifndef HPT_TRIALS_H
#define HPT_TRIALS_H

#include "../base/map.h"
#include "../space/space_impl.h"
#include <hpt/study.h>
#include <hpt/trial.h>

typedef struct hpt__report {
    int64_t step;
    double value;
} hpt__report;

typedef struct hpt__trial_info {   // the rarely read part of a row
    int64_t trial_id;              // the storage's id
    int64_t start_us, complete_us; // UTC, microseconds; INT64_MIN: none
    hpt__report *reports;          // sorted by step
    int64_t n_reports, cap_reports;
    char **attr_keys, **attr_values; // trial attributes: key ("u:<key>" user, "s:<key>" system) and JSON text
    int64_t n_attrs;
    int64_t grid_id; // -1: none
    bool foreign;    // made by another program: values may lie outside the space
} hpt__trial_info;

typedef struct hpt__column {
    char *name;
    double *values; // cap
    // Distribution of the trial that set it last, when the column is not of the space; owned, may be NULL.
    char *dist_json;
} hpt__column;

typedef struct hpt__trials {
    int64_t n, cap;
    hpt__column *columns;
    int64_t n_columns, d;
    hpt__map column_by_name;
    uint8_t *state;         // n, hpt_trial_state
    double *values;         // n x k row-major objective values, NaN where none
    int64_t k;              // objectives
    int64_t *number;        // n
    hpt__trial_info *info;  // n
    int64_t counts[5];      // by state
    hpt__map row_by_number; // only used when some number differs from its row
    bool dense;             // number[i] == i for all rows so far
    const hpt_space *space; // borrowed
    // Incremental best for k == 1: row of the best COMPLETE trial (first among equals), -1 if none.
    int64_t best;
    hpt_direction direction[1]; // of objective 0, for `best`
    int64_t max_grid_id;        // largest info.grid_id, -1 if none
    uint64_t version;           // grows with every change
    uint8_t *changed;           // n: 1: changed since hpt__trials_mirror copied it
    int64_t n_mirrored;         // rows that the mirror has and that were not taken back since
} hpt__trials;

HPT_NODISCARD int hpt__trials_init(hpt__trials *t, const hpt_space *space, int64_t n_objectives, hpt_direction first);
void hpt__trials_fini(hpt__trials *t);
int64_t hpt__trials_row_of(const hpt__trials *t, int64_t number); // -1 if unknown

// Appends a row (state, no values, parameters absent). *row is its index.
HPT_NODISCARD int hpt__trials_add(int64_t *row, hpt__trials *t, int64_t number, int64_t trial_id,
                                  hpt_trial_state state);
// Takes back the newest rows so that n are left: rows that existed only while a batch was chosen (study_ask.c), or whose
// transaction failed.
void hpt__trials_truncate(hpt__trials *t, int64_t n);
// Sets the d space parameters of a row at once.
void hpt__trials_set_point(hpt__trials *t, int64_t row, const double *point);
void hpt__trials_get_point(double *point, const hpt__trials *t, int64_t row); // d values
// One parameter by name; creates a column for a name that the space lacks.
HPT_NODISCARD int hpt__trials_set_param(hpt__trials *t, int64_t row, const char *name, double internal,
                                        const char *dist_json);
// Changes the state; values: k numbers or NULL. Keeps counts, best, version right.
void hpt__trials_finish(hpt__trials *t, int64_t row, hpt_trial_state state, const double *values, int64_t complete_us);
void hpt__trials_set_state(hpt__trials *t, int64_t row, hpt_trial_state state);
HPT_NODISCARD int hpt__trials_report(hpt__trials *t, int64_t row, int64_t step, double value); // replaces an equal step
HPT_NODISCARD int hpt__trials_set_attr(hpt__trials *t, int64_t row, const char *key, const char *json);
const char *hpt__trials_attr(const hpt__trials *t, int64_t row, const char *key); // JSON text or NULL; borrowed
// For whoever writes into a row without the functions above: it counts as changed.
void hpt__trials_touch(hpt__trials *t, int64_t row);
// Brings `to`, a table made with hpt__trials_init for the same space and objectives and changed by nothing else (rows
// added to it and taken back are fine), up to `from`. Only one mirror can follow a table. The columns' dist_json and
// what a sampler keeps by `version` are the mirror's own. HPT_E_MEMORY: it is behind, and the next call goes on.
HPT_NODISCARD int hpt__trials_mirror(hpt__trials *to, hpt__trials *from);
// Value that a PRUNED trial is judged by: its last report (NaN if none); *step its step (-1).
double hpt__trials_last_report(const hpt__trials *t, int64_t row, int64_t *step);

#endif
