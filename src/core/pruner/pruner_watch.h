// SPDX-License-Identifier: Apache-2.0
// pruner_watch.h: what pruners know about the other trials without reading the whole table at each look.
//
// Finished trials never change, so each is listed once, in the order in which it was noticed; a pruner keeps how far
// down that list it has read and takes from a trial the one number it needs. Trials that are not finished are few: they
// are read anew each time.
//
// Ownership: plain structs that own their arrays; zeroed is empty. Threads: as the pruner, one call at a time.
#ifndef HPT_PRUNER_WATCH_H
#define HPT_PRUNER_WATCH_H

#include "../trials/trials.h"

typedef struct hpt__watch {
    int64_t *done; // rows of finished trials
    int64_t n_done, cap_done;
    int64_t *open; // rows of the others, waiting ones without reports and rungs left out
    int64_t n_open, cap_open;
    uint8_t *known; // of each row: what is known of it
    int64_t cap_known, n_rows, first;
} hpt__watch;

void hpt__watch_fini(hpt__watch *w);
// Brings both lists up to date. On failure `done` stays right, and the next call tries again.
HPT_NODISCARD int hpt__watch_update(hpt__watch *w, const hpt__trials *table);

// Numbers in ascending order.
typedef struct hpt__ranks {
    double *values;
    int64_t n, cap;
    int64_t upto; // how many of `done` were looked at for it
} hpt__ranks;

void hpt__ranks_fini(hpt__ranks *r);
HPT_NODISCARD int hpt__ranks_add(hpt__ranks *r, double v); // not NaN
int64_t hpt__ranks_below(const hpt__ranks *r, double v);   // how many are smaller

// Whether the trial's largest step is the first that it reported in an interval [warmup + j interval, warmup + (j + 1)
// interval), and no step of the warm-up: a check that met no report waits for the next one. At least one report.
bool hpt__first_in_interval(const hpt__trial_info *info, int64_t warmup, int64_t interval);
// Largest step that any completed trial reported, -1 if none did.
int64_t hpt__longest_complete(const hpt__trials *table);

#endif
