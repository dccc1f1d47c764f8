// SPDX-License-Identifier: Apache-2.0
// model_state.h: the inside of a model, and the checks that its files share. For the files of this room.
#ifndef HPT_BACKEND_MODEL_STATE_H
#define HPT_BACKEND_MODEL_STATE_H

#include "device_state.h"

typedef struct hpt__pool { // candidates that stay (model_pool.c)
    int64_t number;        // 0: none, or void
    int64_t m, rows;       // candidates; rows of V
    double *v, *solved;    // V by rows, scratch; unused where the backend keeps the set
    int64_t cap_v, cap_solved;
} hpt__pool;

struct hpt__model {
    hpt__device *device;
    const hpt__cov *cov; // borrowed
    void *own;           // the backend's model
    int64_t n;           // points
    uint64_t *mask;      // n: the mean diagonal, in which jitter is measured, needs them
    int64_t cap_mask;
    double *theta; // p, of the factor
    double jitter; // of the factor
    double *y;     // n_y: weights are made again after a factor with more jitter
    int64_t n_y, cap_y;
    int64_t bytes; // as counted in the device
    hpt__pool pool;
};

enum { HPT__POINTS_MAX = 1 << 24 }; // keeps every n^2 bytes far from overflow

// Beyond this exp(theta) and its squares leave the range of doubles.
#define HPT__THETA_MAX 100.0

// What is added to a diagonal that has no factor, of its mean: one after the other (model.c).
enum { HPT__LADDER = 9 };
extern const double hpt__jitter_ladder[HPT__LADDER];

// HPT_E_ARG unless the points (n x d) are finite and their masks have bit 0.
int hpt__check_points(const char *doing, const double *x, const uint64_t *mask, int64_t n, int64_t d);
// That, and HPT_E_STATE unless the model has a factor and, where they are needed, weights.
int hpt__check_candidates(const char *doing, const hpt__model *model, const double *z, const uint64_t *zmask, int64_t n,
                          bool weights);
// HPT_E_ARG unless all n numbers are finite.
int hpt__check_numbers(const char *doing, const char *what, const double *v, int64_t n);
// HPT_E_NUMERIC unless the result (rows x columns, ld; lower: of its lower triangle) is finite. NULL is fine.
int hpt__check_result(const hpt__device *device, const char *what, const double *v, int64_t rows, int64_t columns,
                      int64_t ld, bool lower);
bool hpt__theta_in_range(const hpt__cov *cov, const double *theta);
int hpt__check_theta(const char *doing, const hpt__cov *cov, const double *theta);
int hpt__check_cov(const hpt__cov *cov);
// Counts an operation that began at `start` (monotonic seconds). model: NULL: only the device.
void hpt__account(hpt__device *device, hpt__op op, const hpt__model_shape *shape, double start);
void hpt__account_bytes(hpt__model *model);
// Both, of an operation on n points with s rows.
void hpt__account_model(hpt__model *model, hpt__op op, int64_t n, int64_t s, double start);
// The set of candidates is void where the factor no longer has its first n rows as they were (n = 0: another factor).
void hpt__pool_cut(hpt__model *model, int64_t n);
void hpt__pool_fini(hpt__model *model);
// Of K + noise I over the first n points.
double hpt__mean_diagonal(const hpt__model *model, const double *theta, int64_t n);

#endif
