// SPDX-License-Identifier: Apache-2.0
// gp_archive.h: the trials as a Gaussian process takes them: encoded points with a value to minimise, and pending points.
#ifndef HPT_SAMPLER_GP_ARCHIVE_H
#define HPT_SAMPLER_GP_ARCHIVE_H

#include "../gp/gp.h"
#include "../trials/trials.h"
#include "tpe_split.h"

typedef enum hpt__gp_entry {
    HPT__GP_TOLD = 0,     // complete
    HPT__GP_PRUNED = 1,   // value imputed
    HPT__GP_FAILED = 2,   // value imputed
    HPT__GP_LEFT_OUT = 3, // never in a model, only not asked again
} hpt__gp_entry;

typedef struct hpt__gp_archive {
    const hpt__gp_code *code; // borrowed
    double sign;              // -1 to maximise
    hpt__tpe_impute failed;
    // finished trials in the order in which they came: n
    int64_t n;
    double *rows; // n x d
    uint64_t *masks;
    double *y;   // as the model gets it
    double *own; // imputed ones: their own report, NaN: none
    uint8_t *kind;
    int64_t *number;
    int64_t n_told;    // complete ones
    int64_t n_imputed; // pruned and failed ones
    bool stale;        // imputed values are not those of the present entries
    // running ones: n_pending, in the order of the table
    int64_t n_pending, n_provisional; // provisional: points of this batch
    double *pending_rows;
    uint64_t *pending_masks;
    int64_t *pending_number;
    // of the table
    const hpt__trials *table;
    uint8_t *in; // cap_in rows: looked at
    int64_t cap_in, cap_n, cap_rows, cap_masks, cap_y, cap_own, cap_kind, cap_number;
    int64_t cap_pending, cap_pending_rows, cap_pending_masks;
    double *point;  // space->d
    int64_t *fresh; // rows that finished since the last call
    int64_t cap_fresh;
    double *scratch;
    int64_t cap_scratch;
} hpt__gp_archive;

HPT_NODISCARD int hpt__gp_archive_init(hpt__gp_archive *a, const hpt__gp_code *code, double sign,
                                       hpt__tpe_impute failed);
void hpt__gp_archive_fini(hpt__gp_archive *a);
// Takes in what changed. *reset: it is another table, everything was forgotten first. *moved: imputed values changed.
// The trial `number` itself does not count.
HPT_NODISCARD int hpt__gp_archive_sync(bool *reset, bool *moved, hpt__gp_archive *a, const hpt__trials *t,
                                       int64_t number);

#endif
