/* SPDX-License-Identifier: Apache-2.0
 * gp.h: the surrogate alone, for programs with a loop of their own: a Gaussian process over a search space that learns
 * from told values and predicts at any point.
 *
 *   hpt_gp_options o = HPT_GP_OPTIONS_INIT;
 *   hpt_gp *gp;
 *   if (hpt_gp_create(&gp, space, &o) < 0) fail(hpt_last_error());
 *   hpt_gp_tell(gp, points, values, n);             // points: n x d, row by row
 *   if (hpt_gp_fit(gp) < 0) fail(hpt_last_error());
 *   hpt_gp_predict(gp, candidates, m, mean, sd);
 *   hpt_gp_suggest(gp, point, 1, NULL, 0);          // where to evaluate next
 *   hpt_gp_append(gp, point, &value, 1);            // one more, in O(n^2)
 *   hpt_gp_destroy(gp);
 *
 * Points. d = hpt_space_size(space) numbers each, in the order in which the parameters were added, constants too:
 *   float        the value            integer   the value
 *   categorical  the index of the choice, from 0 (a constant: 0)
 *   absent       NaN: its condition does not hold
 * A point must be of the space: values in range and on their grid, present exactly where their conditions hold.
 *
 * Model: Matern-5/2 by default, with a lengthscale for each parameter; categorical parameters by mismatch; conditional ones
 * by a term for each group of parameters that two points share. Hyperparameters are the maximum a posteriori. Kernel "auto"
 * is Matern-5/2 until the evidence for RBF is clear (3 nats), as it is where the objective is a smooth valley, and in
 * spaces with conditional parameters always. The
 * objective is smaller-is-better: its bad half may be compressed by a logarithm where the data say so.
 * C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006.
 *
 * A device that fails later (lost, or out of its memory) is replaced by the host's best: the call does its work there, one
 * warning is logged, and hpt_gp_hyperparameters tells; memory permitting it is tried again at a fit, after 16 suggestions.
 *
 * Threads: one at a time for each hpt_gp. Results depend on points, values and seed alone.
 * Errors, all functions: HPT_E_ARG (the message names point and parameter), HPT_E_MEMORY, HPT_E_DEVICE, HPT_E_NUMERIC
 * (a covariance that no jitter makes positive definite); after an error the gp holds what it held before. */
#ifndef HPT_GP_H
#define HPT_GP_H

#include <hpt/export.h>
#include <hpt/space.h>
#include <stddef.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_gp hpt_gp;

/* All pointers are borrowed for the call of create only. */
typedef struct hpt_gp_options {
    size_t struct_size; /* set by HPT_GP_OPTIONS_INIT */
    const char *device; /* NULL: $HPT_DEVICE, else "auto"; "cpu", "ref" */
    const char *kernel; /* NULL: "matern52"; "matern32", "rbf"; "auto": matern52 or rbf, as the data say */
    double noise;       /* < 0: fitted; else the known standard deviation of a value, in its units; 0: none */
    uint64_t seed;      /* of the restarts of the fit */
    int no_warp;        /* not 0: the objective is standardised only, never compressed */
} hpt_gp_options;

#define HPT_GP_OPTIONS_INIT \
    { .struct_size = sizeof(hpt_gp_options), .noise = -1.0 }

/* *out: owned by the caller. The space is copied; it needs a parameter that can vary (else HPT_E_ARG). */
HPT_API HPT_NODISCARD int hpt_gp_create(hpt_gp **out, const hpt_space *space, const hpt_gp_options *options);
HPT_API void hpt_gp_destroy(hpt_gp *gp);

/* Forgets all points, then takes these: n x d points, n values, copied. A value may be infinite (worse than all that is
 * finite, -infinity: better), not NaN. A finite one far beyond the bad half of all values (for a normal sample: 13
 * deviations) counts as that far, so that a run that diverged does not make all others look alike. n >= 0. Hyperparameters
 * stay until hpt_gp_fit. */
HPT_API HPT_NODISCARD int hpt_gp_tell(hpt_gp *gp, const double *points, const double *values, int64_t n);

/* The same in addition to those it has; O(n^2) a point at the next prediction, nothing is made anew. */
HPT_API HPT_NODISCARD int hpt_gp_append(hpt_gp *gp, const double *points, const double *values, int64_t n);

/* Brings the hyperparameters up to date: a search from the last ones, with restarts or none as the growth of the data
 * asks for. HPT_S_NOTHING: they stayed as they were (few new data, fewer than 3 points, all values alike).
 * O(n^3) for each of some 10 to 250 evaluations. */
HPT_API HPT_NODISCARD int hpt_gp_fit(hpt_gp *gp);

/* Mean and standard deviation of the objective (without its noise) at m points (m x d): m numbers each, in units of the
 * objective; either may be NULL. Where the objective is compressed: the median, and half the distance between the 16 %
 * and 84 % quantiles. Finite. HPT_E_STATE: nothing was told yet. O(n m d + n^2 m). */
HPT_API HPT_NODISCARD int hpt_gp_predict(hpt_gp *gp, const double *points, int64_t m, double *mean, double *sd);

/* n functions drawn from the posterior, at m points (m x d): values (n x m), a function's m values in a row, in units of
 * the objective, without its noise. Drawn pathwise (Wilson et al., ICML 2020): a function goes through what was told, and
 * the same seed, n and data give the same functions whatever points are asked, in this call or a later one, up to rounding.
 * For Thompson sampling, or for the distribution of anything that is computed from the objective. Their covariance is the
 * posterior's to a few percent of the variance, close to the data to a tenth or a fifth. HPT_E_STATE: nothing was told yet.
 * O(n_told^2 n) for functions that were not drawn by the call before, O(m n_told (d + n)) for their values. */
HPT_API HPT_NODISCARD int hpt_gp_sample(hpt_gp *gp, const double *points, int64_t m, double *values, int64_t n,
                                        uint64_t seed);

/* q points (q x d) at which to evaluate next: where the improvement over what was told is expected to be largest (LogEI),
 * the second given the first as if it were being evaluated, and so on. pending: m points (m x d) that are being evaluated,
 * NULL with m = 0. No point that was told or is pending is given, unless nothing else is left (HPT_S_EXHAUSTED: the points
 * from the first such on are repeats). Needs a told point (else HPT_E_STATE). Every call gives other points. O(n^2) each. */
HPT_API HPT_NODISCARD int hpt_gp_suggest(hpt_gp *gp, double *points, int64_t q, const double *pending, int64_t m);

/* Number of told points. */
HPT_API int64_t hpt_gp_n(const hpt_gp *gp);

/* Log density of the told values under the hyperparameters in use (without their prior), in units of the objective,
 * transformation included: comparable between kernels. HPT_E_STATE: nothing was told yet. O(n^3). */
HPT_API HPT_NODISCARD int hpt_gp_log_likelihood(hpt_gp *gp, double *out);

/* The hyperparameters in use as one JSON object, owned by the caller (hpt_free):
 *   {"kernel": "matern52", "device": "cpu", "n": 40, "warp": "none" or "log_tail", "mean": .., "sd": .., "noise_sd": ..,
 *    "jitter": 0, "amplitudes": [variance of each group; the first is the unconditional one], "lengthscales": {"lr": 0.3, ...}}
 * "kernel" and "warp" are those in use. After "device" come "instead_of": "the device that failed" and "because": "...",
 * where the host took over.
 * Lengthscales are in the unit cube of the parameter (logarithmic where it is; large: without effect), amplitudes in units
 * of sd^2, where mean and sd are those of the transformed values; noise_sd is in units of sd;
 * jitter, also of sd^2, is what the diagonal needed on top so that the covariance could be factored, normally nothing. */
HPT_API HPT_NODISCARD int hpt_gp_hyperparameters(char **out, hpt_gp *gp);

HPT_END_DECLS
#endif
