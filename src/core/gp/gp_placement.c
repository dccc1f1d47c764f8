// SPDX-License-Identifier: Apache-2.0
// gp_placement.c: device `auto`: the host for small models, an accelerator where it is faster.
//
// A launch and a wait cost microseconds whatever the work, and loading an accelerator's libraries costs a second or two: with few
// points a processor wins, and a study of 100 trials should not even look for a GPU. So an auto study begins on the host. From
// 300 points on (about where two cores and a GPU cross, by counts of operations) an accelerator is opened and its rates are
// measured (backend/cost.c; cached); if an ask is estimated to take less than 0.7 of the host's time the study moves
// there, else the device is closed and looked at again with twice the points. The margin keeps small errors of the
// estimates from paying for a move. Nothing moves back but after a failure (gp_fallback.c): models only grow.
// The caller moves when a fit is due, since the factor is made anew then anyway.
// Ownership: an opened device is the caller's. Threads: those of the caller. Cost: nothing below 300 points.
#include "gp_placement.h"

#include "../base/logging.h"
#include <hpt/status.h>

enum { FIRST_LOOK = 300, STARTS = 8, CALLS = 60, EVALUATIONS = 10, FITS_PER = 10 };
static const double WELL_FASTER = 0.7;

// The search: candidates (fewer with more points, as sampler_gp.c has it), and about CALLS steps of STARTS starts in
// lockstep; a result is one appended row; a fit, due after each tenth more, has about EVALUATIONS likelihoods and one factor.
double hpt__gp_ask_seconds(hpt__device *device, const hpt__cov *cov, int64_t n, int64_t m) {
    hpt__model_shape s = {.n = n, .d = cov->d, .n_terms = cov->n_terms, .m = m * 300 / n > 256 ? m * 300 / n : 256};
    double sum = hpt__device_cost(device, HPT__OP_POSTERIOR, &s);
    s.m = STARTS;
    sum += CALLS * hpt__device_cost(device, HPT__OP_POSTERIOR_GRAD, &s);
    s.s = 1;
    sum += hpt__device_cost(device, HPT__OP_APPEND, &s);
    s.m = s.s = 0;
    const double fit =
        EVALUATIONS * hpt__device_cost(device, HPT__OP_MLL, &s) + hpt__device_cost(device, HPT__OP_FACTOR, &s);
    return sum + fit * FITS_PER / (double)n;
}

hpt__device *hpt__placement_look(hpt__placement *p, hpt__device *host, const hpt__cov *cov, int64_t n, int64_t most,
                                 int64_t m, const hpt__ctx_options *options) {
    hpt__device *device = NULL;
    if (p->look_at == 0) p->look_at = FIRST_LOOK;
    if (n < p->look_at) return NULL;
    p->look_at = 2 * n;
    if (hpt__device_open_accelerator(&device, options) < 0) {
        p->look_at = INT64_MAX; // what is not there will not come
        hpt__log(HPT_LOG_INFO, "device auto stays on %s: %s", hpt__device_name(host), hpt_last_error());
        return NULL;
    }
    const hpt__model_shape shape = {.n = n, .d = cov->d, .n_terms = cov->n_terms, .m = m, .s = 1};
    const double here = hpt__gp_ask_seconds(host, cov, most > 0 && most < n ? most : n, m);
    const double there = hpt__gp_ask_seconds(device, cov, n, m);
    const bool fits = hpt__device_need(device, &shape) <= hpt__device_memory(device);
    if (fits && there < WELL_FASTER * here) {
        hpt__log(HPT_LOG_INFO, "device auto moves from %s to %s with %lld trials: %.2g s an ask instead of %.2g s",
                 hpt__device_name(host), hpt__device_name(device), (long long)n, there, here);
        return device;
    }
    hpt__log(HPT_LOG_INFO, "device auto stays on %s with %lld trials: %.2g s an ask, %s %.2g s%s",
             hpt__device_name(host), (long long)n, here, hpt__device_name(device), there,
             fits ? "" : " and more memory than it has");
    hpt__device_close(device);
    return NULL;
}
