// SPDX-License-Identifier: Apache-2.0
// acq_impl.h: what the files of this room share. No other room includes it.
//
// Letters: d columns, m candidates, s starts. A row is d doubles with the mask of the blocks that are active in it.
#ifndef HPT_ACQ_ACQ_IMPL_H
#define HPT_ACQ_ACQ_IMPL_H

#include "acq.h"

// ---- rows that are taken (acq_seen.c): a set of rows by what is active in them, up to 2^-30 in a coordinate
typedef struct hpt__seen {
    const hpt__gp_code *code;
    const double *rows[2]; // told and pending ones of the model, and those of the options; borrowed
    const uint64_t *masks[2];
    int64_t n[2];
    int32_t *slots; // number of a row, the second lot after the first; -1 free
    uint64_t slot_mask;
} hpt__seen;

HPT_NODISCARD int hpt__seen_init(hpt__seen *seen, const hpt__gp *gp, const hpt__gp_code *code,
                                 const hpt__search_options *options);
void hpt__seen_fini(hpt__seen *seen);
bool hpt__seen_has(const hpt__seen *seen, const double *row, uint64_t mask);
// Whether a row that is taken is the same but for numeric columns that differ by less than `within` each.
bool hpt__seen_near(const hpt__seen *seen, const double *row, uint64_t mask, double within);

// ---- one search
typedef struct hpt__search {
    hpt__gp *gp;
    hpt__model *model; // that is asked: gp's, or of some neighbours (acq_wide.c)
    const hpt__gp_code *code;
    const hpt__acq *acq;
    const hpt__search_options *options;
    hpt__rng *rng;
    int64_t d;
    hpt__seen seen;
    double *pin;        // d: value that a column keeps, NaN: free
    double *low, *high; // d: box of the numeric columns
    double *point;      // space->d, scratch
    int64_t *levels;    // d: values of a column, 0: continuous
    bool *is_parent;    // d
    int64_t *best_rows; // n_best told rows, best first
    int64_t n_best;
    // candidates
    double *rows; // cap x d
    uint64_t *masks;
    int64_t n, cap;
} hpt__search;

typedef struct hpt__search_pool { // points with their values: the kept candidates, then the refined starts
    double *rows;
    uint64_t *masks;
    double *values;
    int64_t n;
} hpt__search_pool;

// A column's value that other values of the same parameter can be compared with: for grids its cell, else the number.
static inline bool hpt__column_active(const hpt__gp_code *code, int64_t c, uint64_t mask) {
    return mask >> code->cov.block[c] & 1;
}
static inline const hpt__param *hpt__column_param(const hpt__gp_code *code, int64_t c) {
    return &code->space->params[code->param[c]];
}

// Puts pinned values into a row, then snaps it to a legal point and sets its mask.
HPT_NODISCARD int hpt__search_snap(double *row, uint64_t *mask, hpt__search *s);

HPT_NODISCARD int hpt__search_prepare(hpt__search *s, const double *fixed);
void hpt__search_finish(hpt__search *s);

// ---- acq_pool.c
struct hpt__acq_pool {
    double *rows; // n x d
    uint64_t *masks;
    int64_t n;
    bool complete;      // they are all points that there are
    double *mean, *var; // n each, one block
    int64_t number;     // of the set that the model keeps
    int64_t n_rows, generation;
    bool ready;
};
// The best of those that are not taken, at most `most`, best first, ties by the smaller index. Returns their number.
int64_t hpt__acq_pool_screen(int64_t *index, double *value, int64_t most, const hpt__acq_pool *pool,
                             const hpt__acq *acq, const hpt__seen *seen);

// ---- acq_candidates.c
// Fills s->rows with points of the space that are not taken, and s->best_rows. *complete: they are all points that there
// are. Their number may be 0: nothing was found. repeats: taken ones too.
HPT_NODISCARD int hpt__candidates_make(bool *complete, hpt__search *s, bool repeats);
// The same, no value fixed, into arrays that are kept beyond a search: rows and masks are replaced (hpt__free), *n of them.
HPT_NODISCARD int hpt__candidates_keep(double **rows, uint64_t **masks, int64_t *n, bool *complete, hpt__gp *gp,
                                       const hpt__gp_code *code, const hpt__search_options *options, hpt__rng *rng);
// A random value of a column within the box.
double hpt__candidates_draw(hpt__search *s, int64_t c);

// ---- acq_refine.c
// Improves n starts (rows, masks, values) in place; taken points are not entered.
HPT_NODISCARD int hpt__refine(double *rows, uint64_t *masks, double *values, int64_t n, hpt__search *s);

// ---- acq_wide.c, for options->nearest
// The k best candidates, best first: hpt__model_screen.
HPT_NODISCARD int hpt__wide_screen(int64_t *index, double *value, int64_t k, hpt__search *s);
// Refines what comes after the first n_kept points of the pool; values are then of one measure, -infinity: passed over.
HPT_NODISCARD int hpt__wide_finish(hpt__search_pool *p, int64_t n_kept, hpt__search *s);

#endif
