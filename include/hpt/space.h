/* SPDX-License-Identifier: Apache-2.0
 * space.h: a search space: named parameters, their ranges, and the conditions under which they exist.
 *
 *   hpt_space *s;
 *   hpt_space_create(&s);
 *   hpt_space_add_float(s, "lr", 1e-5, 1.0, 0.0, HPT_LOG);
 *   hpt_space_add_categorical(s, "optimizer", (const char *const[]){"sgd", "adam"}, 2);
 *   hpt_space_add_float(s, "momentum", 0.0, 0.99, 0.0, 0);
 *   hpt_space_add_condition(s, "momentum", "optimizer", (const char *const[]){"sgd"}, 1);
 *
 * A space is built by one thread. A study copies it on open, so it may be changed or destroyed
 * afterwards without effect on the study. Names: 1 to 512 bytes of UTF-8, unique in the space.
 * Every function below returns 0 or HPT_E_ARG (bad value; the message says which), HPT_E_EXISTS
 * (name taken), HPT_E_NOT_FOUND (no such parameter), HPT_E_PARSE (from_json: no JSON) or HPT_E_MEMORY; on
 * error the space is unchanged. */
#ifndef HPT_SPACE_H
#define HPT_SPACE_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_space hpt_space;

enum {
    HPT_LOG = 1u,   /* sample and model the parameter's logarithm; needs low > 0 */
    HPT_WHOLE = 2u, /* rounded laws below: the values are integers; needs a whole q */
};

HPT_API HPT_NODISCARD int hpt_space_create(hpt_space **out);
HPT_API void hpt_space_destroy(hpt_space *space);

/* A real number in [low, high]. step > 0: only low + k*step; if it does not divide the range, high is
 * lowered to the last such value (in decimal arithmetic on the shortest representation, as Optuna
 * does). step 0: continuous. low == high is a fixed value. Bounds must be finite. */
HPT_API HPT_NODISCARD int hpt_space_add_float(hpt_space *space, const char *name, double low, double high, double step,
                                              unsigned flags);

/* An integer low, low+step, ... <= high; step >= 1. |low|, |high| <= 2^53 (they are stored as doubles). */
HPT_API HPT_NODISCARD int hpt_space_add_int(hpt_space *space, const char *name, int64_t low, int64_t high, int64_t step,
                                            unsigned flags);

/* One of n_choices >= 1 strings, copied, all different. */
HPT_API HPT_NODISCARD int hpt_space_add_categorical(hpt_space *space, const char *name, const char *const *choices,
                                                    int64_t n_choices);

/* The same with choices of any JSON type, each given as JSON text: "\"adam\"", "0.5", "true", "null", "[1,2]". */
HPT_API HPT_NODISCARD int hpt_space_add_categorical_json(hpt_space *space, const char *name, const char *const *choices,
                                                         int64_t n_choices);

/* A value that every trial receives and no sampler varies, as JSON text. */
HPT_API HPT_NODISCARD int hpt_space_add_constant(hpt_space *space, const char *name, const char *json);

/* ---- laws other than the uniform one: what "random" draws, and the prior of every sampler. The unit cube that samplers
 * work in is the law's own (u = F(v)), so a quasi-random or model-based sampler follows it too.
 *
 * Rounding, all of them: q > 0 gives round(X / q) * q, half to even, and nothing is cut off after it, so values may lie
 * half a q beyond the bounds, and the two end values have less mass than the others (W&B's rule). q = 0: not rounded. */

/* X uniform in [low, high] (HPT_LOG: log-uniform), rounded to multiples of q > 0. */
HPT_API HPT_NODISCARD int hpt_space_add_rounded(hpt_space *space, const char *name, double low, double high, double q,
                                                unsigned flags);

/* X normal with mean mu and standard deviation sigma > 0; HPT_LOG: ln X is. Optuna's tables know only ranges: the stored
 * one is mu -+ 7 sigma, in which all but 3e-12 of the draws lie; the others are moved to its ends. */
HPT_API HPT_NODISCARD int hpt_space_add_normal(hpt_space *space, const char *name, double mu, double sigma, double q,
                                               unsigned flags);

/* X from the beta law on [0, 1] with shape parameters a, b > 0. */
HPT_API HPT_NODISCARD int hpt_space_add_beta(hpt_space *space, const char *name, double a, double b, double q,
                                             unsigned flags);

/* Probabilities of the choices of a categorical, n = n_choices numbers >= 0 with a sum within 1e-6 of 1. A choice of
 * probability 0 is legal (it may be enqueued) and never drawn. */
HPT_API HPT_NODISCARD int hpt_space_set_probabilities(hpt_space *space, const char *name, const double *probabilities,
                                                      int64_t n);

/* child exists only while parent exists and has one of the values. A value is the text of a choice
 * ("adam"; JSON text for choices that are no strings, so "true", "0.5"; a string "true" beside a true is
 * "\"true\"") or of a number for numeric parents. Several conditions on one child must all hold. Conditions may be of any depth; a cycle is
 * HPT_E_ARG. A numeric parent must be an integer or have a step. */
HPT_API HPT_NODISCARD int hpt_space_add_condition(hpt_space *space, const char *child, const char *parent,
                                                  const char *const *values, int64_t n_values);

/* Number of parameters, constants included. */
HPT_API int64_t hpt_space_size(const hpt_space *space);

/* Name of parameter i in order of addition; NULL if out of range. Borrowed from the space. */
HPT_API const char *hpt_space_name(const hpt_space *space, int64_t i);

/* The number of different points, absent parameters not counted; -1 if the space has a continuous parameter or one with
 * a normal law (rounded too), more than 2^62 points, or conditions too entangled to count (2^20 joint cases around one
 * parameter), or without memory. Choices of probability 0 are not counted. */
HPT_API int64_t hpt_space_cardinality(const hpt_space *space);

/* The space as one JSON text (owned by the caller, hpt_free), and back. The text is what a study stores. */
HPT_API HPT_NODISCARD int hpt_space_to_json(char **out, const hpt_space *space);
HPT_API HPT_NODISCARD int hpt_space_from_json(hpt_space **out, const char *json);

/* A parameter's range in words, for tables and messages: "float 1e-05..1.0 log", "int 1..8 step 2",
 * "{sgd, adam}", "{sgd 0.7, adam 0.3}", "constant 25", "log-uniform 1..100 rounded to 0.5", "normal mu 0 sigma 1",
 * "int log-normal mu 4 sigma 1 rounded to 8", "beta a 2 b 5"; and under which condition it exists: "optimizer in {sgd}", "" if always.
 * Owned by the caller (hpt_free). */
HPT_API HPT_NODISCARD int hpt_space_describe(char **out, const hpt_space *space, const char *name);
HPT_API HPT_NODISCARD int hpt_space_describe_condition(char **out, const hpt_space *space, const char *name);

HPT_END_DECLS
#endif
