// SPDX-License-Identifier: Apache-2.0
// backend.h: devices and models as the rooms above use them: arguments checked, results checked (no NaN gets through),
// seconds, flops and bytes counted. Meaning of the operations, letters and layouts: backend_impl.h.
//
// Ownership: a device owns its context; a model belongs to a device and must be destroyed before it. Threads: one at a
// time per device, with all its models.
#ifndef HPT_BACKEND_BACKEND_H
#define HPT_BACKEND_BACKEND_H

#include "../base/str.h"
#include "backend_impl.h"
#include <hpt/export.h>

typedef struct hpt__device hpt__device;
typedef struct hpt__model hpt__model;

typedef struct hpt__counters {
    int64_t calls[HPT__OP_COUNT];
    double seconds[HPT__OP_COUNT];
    double flops[HPT__OP_COUNT];
    int64_t bytes, peak_bytes; // of models, now and at most
} hpt__counters;

// ---- devices
// request: "auto", a backend's name, name:index, or name:variant of a backend that is a library of its own (auto never takes
// a variant); NULL: $HPT_DEVICE, else "auto". auto takes the first of the list that has a device and says in *why (may be
// NULL) what it passed over. HPT_E_DEVICE: an explicit one cannot be had, with the reason; HPT_E_ARG: no such backend, naming
// the nearest and all.
HPT_NODISCARD int hpt__device_open(hpt__device **out, const char *request, const hpt__ctx_options *options,
                                   hpt__str *why);
// As auto, of the backends that compute in host memory: where a study begins, and what takes over when another device fails;
// and of the others (gp/gp_placement.c).
HPT_NODISCARD int hpt__device_open_host(hpt__device **out, const hpt__ctx_options *options);
HPT_NODISCARD int hpt__device_open_accelerator(hpt__device **out, const hpt__ctx_options *options);
bool hpt__device_is_auto(const char *request); // request as of hpt__device_open
bool hpt__device_names_host(const char *name); // whether hpt__device_name gave this of one that computes in host memory
void hpt__device_close(hpt__device *device);
const char *
hpt__device_name(const hpt__device *device); // "cpu", "ref", "name:variant"; with several devices "name:index"
// Whether it computes in host memory: then running out of it is not a matter of the device, and it cannot be lost.
bool hpt__device_is_host(const hpt__device *device);
const hpt__device_desc *hpt__device_description(const hpt__device *device);
const hpt__counters *hpt__device_counters(const hpt__device *device);
int64_t hpt__device_memory(const hpt__device *device); // limit for models in bytes; INT64_MAX: unknown
int64_t hpt__device_need(const hpt__device *device, const hpt__model_shape *shape);
// Expected seconds of an operation from rates that are measured once per device: four short shapes, cached in
// $XDG_CACHE_HOME/hpt_gpu (else ~/.cache/hpt_gpu) with the library's version; without a cache folder measured anew.
double hpt__device_cost(hpt__device *device, hpt__op op, const hpt__model_shape *shape);
// Only checks a request's syntax and that such a backend is known, be it in this build or not (for options, before anything
// is opened).
HPT_NODISCARD int hpt__device_check(const char *request);

// ---- models: as the table's operations; every size and pointer is checked
HPT_NODISCARD int hpt__model_create(hpt__model **out, hpt__device *device, const hpt__cov *cov, int64_t cap);
void hpt__model_destroy(hpt__model *model);
int64_t hpt__model_points(const hpt__model *model);
int64_t hpt__model_rows(const hpt__model *model);
// k(x, x) of a point: the amplitudes of the terms that are active in it.
double hpt__cov_variance(const hpt__cov *cov, const double *theta, uint64_t mask);
double hpt__model_jitter(const hpt__model *model); // variance added to the diagonal of the factor, normally 0
HPT_NODISCARD int hpt__model_set_points(hpt__model *model, int64_t at, const double *x, const uint64_t *mask,
                                        int64_t k);
HPT_NODISCARD int hpt__model_truncate(hpt__model *model, int64_t n);
// Tries jitter 0, then 1e-10, 1e-9 .. 1e-3 times the mean diagonal until the factor exists. *jitter: what was added
// (absolute), remembered for appends. HPT_S_JITTERED: not 0. HPT_E_NUMERIC: not even with the largest.
HPT_NODISCARD int hpt__model_factor(hpt__model *model, const double *theta, double *jitter, double *logdet);
// As the table's; where the extension is not positive definite the whole is factored anew with more jitter
// (HPT_S_JITTERED).
HPT_NODISCARD int hpt__model_append(hpt__model *model, double *logdet);
HPT_NODISCARD int hpt__model_set_y(hpt__model *model, const double *y, int64_t n);
HPT_NODISCARD int hpt__model_get_factor(const hpt__model *model, double *l, int64_t ldl);
HPT_NODISCARD int hpt__model_solve(hpt__model *model, bool transposed, double *b, int64_t ldb, int64_t s);
// The same ladder; *value is -infinity (status 0, grad zeros) where no jitter helps or theta is out of range, so that a line search steps
// back.
HPT_NODISCARD int hpt__model_mll(hpt__model *model, const double *theta, const double *y, int64_t n, double *value,
                                 double *grad);
// The same for each of k jobs (their jitter is chosen here, their info is 0), together where the backend gains by it. Values
// are those of hpt__model_mll: bit for bit on a host, to rounding on others. Counted as k likelihoods.
HPT_NODISCARD int hpt__model_mll_many(hpt__model *model, hpt__mll_job *jobs, int64_t k, int64_t n);
HPT_NODISCARD int hpt__model_posterior(hpt__model *model, const double *z, const uint64_t *zmask, int64_t m,
                                       double *mean, double *var, double *dmean, double *dvar);
HPT_NODISCARD int hpt__model_acquire(hpt__model *model, const hpt__acq *acq, const double *z, const uint64_t *zmask,
                                     int64_t m, double *value, double *grad);
HPT_NODISCARD int hpt__model_joint(hpt__model *model, const double *z, const uint64_t *zmask, int64_t m, double *mean,
                                   double *cov, int64_t ldc);
HPT_NODISCARD int hpt__model_paths(hpt__model *model, const hpt__paths *paths, const double *z, const uint64_t *zmask,
                                   int64_t m, double *out, int64_t ldo);
HPT_NODISCARD int hpt__model_screen(hpt__model *model, const hpt__acq *acq, const double *z, const uint64_t *zmask,
                                    int64_t m, int64_t k, int64_t *index, double *value);
// Candidates that stay while points are pending, one set a model: their moments now, and the variances after each point that is
// appended. *pool: the number of this set; another set, another factor and rows that are dropped make it void. x: the points of the
// model as they were set (backends in host memory compute with them). HPT_E_MEMORY: no room; the model is as before.
HPT_NODISCARD int hpt__model_pool_set(int64_t *pool, hpt__model *model, const double *x, const uint64_t *xmask,
                                      const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var);
// After one point was appended. var (m) is updated. HPT_S_NOTHING: the set is void, var is as before.
HPT_NODISCARD int hpt__model_pool_append(int64_t pool, hpt__model *model, const double *x, const uint64_t *xmask,
                                         const double *z, const uint64_t *zmask, int64_t m, double *var);
HPT_NODISCARD int hpt__cov_build(hpt__device *device, const hpt__cov *cov, const double *theta, const double *x,
                                 const uint64_t *mask, int64_t n, double *k, int64_t ldk);
HPT_NODISCARD int hpt__cov_cross(hpt__device *device, const hpt__cov *cov, const double *theta, const double *x,
                                 const uint64_t *xmask, int64_t n, const double *z, const uint64_t *zmask, int64_t m,
                                 double *k, int64_t ldk);

// Bulk numbers of the host's streams, whatever the device (backend_impl.h). HPT_E_ARG: NULL, a negative range, Sobol points from 2^32 on.
HPT_NODISCARD int hpt__fill_sobol(hpt__device *device, const uint32_t *columns, const uint32_t *shift, int64_t d,
                                  int64_t first, int64_t n, double *out);
HPT_NODISCARD int hpt__fill_normal(hpt__device *device, uint64_t seed, uint64_t stream, int64_t first, int64_t n,
                                   double *out);

// ---- acquisition values from moments: shared by the host backends and by tests (acq_value.c). A variance below
// 1e-20 counts as 1e-20.
double hpt__acq_value(const hpt__acq *acq, double mean, double var);
// d value / d mean and d value / d var.
void hpt__acq_derivatives(double *dmean, double *dvar, const hpt__acq *acq, double mean, double var);

#endif
