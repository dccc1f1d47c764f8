// SPDX-License-Identifier: Apache-2.0
// tpe_parzen.h: a Parzen estimator over a group of parameters: one product kernel per observed trial and a prior kernel.
// Formulas, storage and cost: tpe_parzen.c; evaluation and sampling: tpe_density.c.
//
// Letters: g parameters (columns), m kernels, q points. A point here is g "coordinates" in the estimator's order of
// columns: continuous parameters in t (log where log), stepped ones and integers by value, categories by index; parameters
// with a law of their own in the unit cube (codec.h), rounded ones too.
#ifndef HPT_SAMPLER_TPE_PARZEN_H
#define HPT_SAMPLER_TPE_PARZEN_H

#include "../base/rng.h"
#include "../trials/trials.h"
#include "tpe_block.h"

enum {
    HPT__PARZEN_LANES = HPT__BLOCK_LANES, // slots in a block
    HPT__PARZEN_POINTS = 32,              // points evaluated in one sweep over the kernels
    HPT__PARZEN_MEMO_BITS = 14,
};

typedef enum hpt__parzen_kind {
    HPT__PARZEN_CONTINUOUS = 0,
    HPT__PARZEN_CATEGORICAL = 1,
    HPT__PARZEN_DISCRETE = 2,
} hpt__parzen_kind;

typedef struct hpt__parzen_column {
    const hpt__param *p;
    int32_t param; // index in the space
    hpt__parzen_kind kind;
    bool cube;         // a law of its own: continuous, t in [0, 1]
    double scale;      // t = scale * v; 1 unless high - low overflows
    double low, high;  // in t; widened by half a step where discrete
    double n_choices;  // categorical
    double *share;     // categorical with probabilities: n_choices times each of them; NULL: all 1
    double prior_norm; // log normaliser of the prior kernel
    int32_t *order;    // m rows, ascending by (mu, row); numeric only
} hpt__parzen_column;

typedef struct hpt__parzen_memo {
    double mid, h, value;
} hpt__parzen_memo;

typedef struct hpt__parzen {
    hpt__parzen_column *columns; // g, by kind
    int64_t g, n_continuous, n_categorical;
    // Kernels live in slots, ascending by row. A removed one leaves a hole that its row can come back to.
    int64_t n_slots, cap_slots; // cap: whole blocks
    int64_t m;                  // live ones
    int32_t *row_of;            // slots
    uint8_t *live;              // slots
    double *block;              // [slot / LANES][column][mu, 1 / sigma][LANES]
    double *norm;               // [slot][column]: log of the kernel's normaliser
    double *total;              // slots: sum of norm; -inf in holes
    double *weight;             // slots: not normalised; the prior has 1
    double weight_sum;          // with the prior
    double min_sigma_count;     // sigma >= range / this
    int32_t *slot_of;           // rows, -1: none
    int64_t cap_rows;
    int32_t *open; // rows taken while they were not finished: their points may change
    int64_t n_open;
    int32_t *touched; // scratch: rows whose neighbours or normalisers changed
    int64_t n_touched;
    const hpt__block_ops *ops;
    double *prepared;       // POINTS x 2 g, scratch
    double *scratch;        // (POINTS + 1) x cap_slots
    hpt__parzen_memo *memo; // 2^MEMO_BITS results of tpe_density.c; NULL without discrete columns
    bool valid;             // false: made from nothing at the next sync
} hpt__parzen;

// params: g indices into the space, none of them fixed to one value.
HPT_NODISCARD int hpt__parzen_init(hpt__parzen *e, const hpt_space *space, const int32_t *params, int64_t g);
void hpt__parzen_fini(hpt__parzen *e); // accepts a zeroed one

// Makes the observed trials exactly those rows with want[row] != 0, 0 <= row < t->n. Their g values must be legal.
// Recomputes only what differs from the last call; the result does not depend on what came before.
HPT_NODISCARD int hpt__parzen_sync(hpt__parzen *e, const hpt__trials *t, const uint8_t *want);

// Internal value of a parameter <-> coordinate.
double hpt__parzen_coordinate(const hpt__parzen_column *c, double value);
double hpt__parzen_value(const hpt__parzen_column *c, double coordinate);

// q points drawn from the mixture into x (q x g). fixed: g coordinates that all points take where not NaN (the others
// are then drawn given those), or NULL.
void hpt__parzen_draw(double *x, hpt__parzen *e, hpt__rng *rng, int64_t q, const double *fixed);
// Log densities (log masses where discrete) of q points; uses scratch of the estimator.
void hpt__parzen_log_pdf(double *out, hpt__parzen *e, const double *x, int64_t q);

// Where column j of a slot lies in the block array; [LANES] further on is 1 / sigma.
static inline double *hpt__parzen_mu(const hpt__parzen *e, int64_t slot, int64_t j) {
    const int64_t lanes = HPT__PARZEN_LANES;
    return e->block + (slot / lanes * e->g + j) * 2 * lanes + slot % lanes;
}

// Log of the mean of exp(-z^2/2) over [mid - h, mid + h], h > 0. memo: NULL, or the estimator's.
double hpt__parzen_cell_mean(hpt__parzen_memo *memo, double mid, double h);

// Bounds, in t, of the cell of a discrete coordinate.
void hpt__parzen_cell(double *low, double *high, const hpt__parzen_column *c, double value);

#endif
