// SPDX-License-Identifier: Apache-2.0
// gp_sampler.h: the inside of sampler gp, for its files: sampler_gp.c (what is asked), gp_sampler_data.c (what the model is
// told), gp_sampler_batch.c (trials that run), gp_sampler_saved.c (what is stored with the study), gp_sampler_device.c (what is
// computed on).
#ifndef HPT_SAMPLER_GP_SAMPLER_H
#define HPT_SAMPLER_GP_SAMPLER_H

#include "../acq/acq.h"
#include "../gp/gp_fallback.h"
#include "../gp/gp_nearest.h"
#include "../gp/gp_placement.h"
#include "gp_archive.h"
#include "gp_policy.h"
#include "sampler_ops.h"
#include "sampler_start.h"

enum { HPT__GP_STEP_FROM = 128 }; // points from which lack of memory means fewer of them, not an error

typedef struct hpt__gp_sampler {
    hpt__sampler_env env;
    hpt__start *start;
    hpt__gp_code code;
    bool has_code;
    bool local;          // the model has a part of the points
    hpt__gp_limit limit; // points 0: not decided yet
    int64_t most;        // 0, or points that memory had room for when more had failed in this process
    int64_t round;       // of the trust region around whose centre the local model lies
    hpt__device *device;
    hpt__gp *gp;
    hpt__gp_archive archive;
    bool has_archive;
    int64_t *in_model; // archive entries in the model, in its order
    int64_t n_model, cap_model;
    int64_t *pending; // numbers that the model has as pending
    int64_t n_pending, cap_pending;
    double incumbent;
    int64_t incumbent_of;  // generation of the model that it is of, 0: none
    hpt__acq_pool *pool;   // candidates that the points of a batch share, or NULL
    hpt__acq_crowd *crowd; // those of a large batch, or NULL
    int64_t upto;          // archive entries before it are in the model or left out of it
    char *loaded;          // state given by load, until the model is there to take it
    uint64_t state_hash;
    bool changed; // since the last save
    double fit_seconds, search_seconds;
    int64_t n_asks; // of the model, those of earlier processes too
    double ask_seconds;
    hpt__fallback fallback;
    hpt__placement placement; // of a study whose device is auto
    char *before;             // the state in which an ask on a device that can fail began; NULL: there was none
    bool moved;               // to another device, whose limit is not that of the state in `loaded`
    hpt__gp_limit limit_away; // limit and most of the device that is not used now
    int64_t most_away;
    double *row, *length, *point, *fixed, *centre, *half_width; // d or space->d each, one block
} hpt__gp_sampler;

// ---- gp_sampler_data.c
// Brings the model up to date with the archive: what it is told, and its hyperparameters. moved: imputed values changed.
// m: candidates that a search asks about, at most. n_model is 0 afterwards where there is nothing to learn from.
HPT_NODISCARD int hpt__gp_sampler_update(hpt__gp_sampler *s, bool moved, int64_t m);
// All told and pending points, for the search beside a local model (acq.h); the caller's.
HPT_NODISCARD int hpt__gp_sampler_nearest(hpt__neighbours **out, hpt__gp_sampler *s);
// Tells the archive's entries from s->upto to n.
HPT_NODISCARD int hpt__gp_sampler_tell_upto(hpt__gp_sampler *s, int64_t n);
// A model of the entries `which` alone, of the first upto of the archive.
HPT_NODISCARD int hpt__gp_sampler_tell_anew(hpt__gp_sampler *s, const int64_t *which, int64_t n, int64_t upto);

// ---- gp_sampler_batch.c
// The archive's pending points as the model's, which is ready. pool: the options of a search from s->pool, which then fits
// the model; they are a function of what is told. NULL: no pool is wanted.
HPT_NODISCARD int hpt__gp_sampler_set_pending(hpt__gp_sampler *s, const hpt__search_options *pool);
// s->row: a Thompson sample among candidates that options make. HPT_S_NOTHING: they are all taken.
HPT_NODISCARD int hpt__gp_sampler_thompson(hpt__gp_sampler *s, const hpt__search_options *options, int64_t number);
// hpt__acq_incumbent, which costs O(n^2), once for the present results.
HPT_NODISCARD int hpt__gp_sampler_incumbent(double *best, hpt__gp_sampler *s);
// Lowers *best to the smallest mean at the pending points.
HPT_NODISCARD int hpt__gp_sampler_pending_best(double *best, const hpt__gp_sampler *s);

// ---- gp_sampler_device.c
HPT_NODISCARD int hpt__gp_sampler_open_device(hpt__gp_sampler *s);
// Before an ask of the model with m candidates: moves to an accelerator that is faster, or back to one that failed, when it
// is time; notes where to go on if the device fails.
HPT_NODISCARD int hpt__gp_sampler_begin_ask(hpt__gp_sampler *s, int64_t m);
// The ask failed with `status`. 0: the host goes on, the ask is to be done again; else the status that stands.
HPT_NODISCARD int hpt__gp_sampler_fall_back(hpt__gp_sampler *s, int status);

// ---- gp_sampler_saved.c
HPT_NODISCARD int hpt__gp_sampler_save_text(hpt__str *out, const hpt__gp_sampler *s);
// s->changed, if the state is another than the one saved last.
HPT_NODISCARD int hpt__gp_sampler_notice_change(hpt__gp_sampler *s);
// Puts the model where it was when s->loaded was saved. A state that does not fit the trials is worth a fit, not an error.
HPT_NODISCARD int hpt__gp_sampler_restore(hpt__gp_sampler *s);
// hpt__sampler_ops.explain
int hpt__gp_sampler_explain(hpt__str *out, const char *json, const hpt_space *space);

#endif
