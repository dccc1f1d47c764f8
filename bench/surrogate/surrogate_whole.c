// SPDX-License-Identifier: Apache-2.0
// surrogate_whole.c: the cases of `hpt-bench surrogate` that users wait for, through include/hpt/gp.h: a whole fit, a
// suggestion after a new result, a batch of suggestions; and what a crowd of trials waits for, functions drawn and asked at
// all candidates (acq/acq_thompson.c).
//
// A batch is left out where it would take half a minute. Suggestions use hyperparameters of a fit to the first 100 points: what an ask costs on the many days without a fit.
#include "surrogate.h"

#include "core/base/rng.h"
#include "core/gp/gp_api.h"
#include <hpt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FITTED = 100, FUNCTIONS = 64, PLACES = 4096 };
static const double BATCH_SECONDS = 30;

typedef struct whole {
    hpt_space *space;
    hpt_gp *gp;
    double *x, *y, *batch;   // n + TIMES_MAX + 1 points, their values, q points
    double *places, *values; // PLACES points, PLACES x FUNCTIONS
    uint64_t *mask;          // PLACES
    int64_t n, d, used;
} whole;

static void fini(whole *w) {
    hpt_gp_destroy(w->gp);
    hpt_space_destroy(w->space);
    free(w->x);
    free(w->y);
    free(w->batch);
    free(w->places);
    free(w->values);
    free(w->mask);
}

// A new surrogate; on as many threads as the options say, which the public interface leaves to the library.
static int make(whole *w, const surrogate_options *o, const char *device) {
    hpt_gp_options options = HPT_GP_OPTIONS_INIT;
    const hpt__ctx_options ctx = {.n_threads = o->threads};
    const hpt__gp_settings settings = {.choose_kernel = true, .noise = NAN, .warp = true, .max_evaluations = 100};
    hpt_gp_destroy(w->gp);
    w->gp = NULL;
    options.device = device;
    int rc = hpt_gp_create(&w->gp, w->space, &options);
    if (rc < 0 || o->threads == 0) return rc;
    hpt__gp_destroy(w->gp->gp);
    w->gp->gp = NULL;
    hpt__device_close(w->gp->device);
    w->gp->device = NULL;
    rc = hpt__device_open(&w->gp->device, device, &ctx, NULL);
    return rc < 0 ? rc : hpt__gp_create(&w->gp->gp, w->gp->device, &w->gp->code, &settings);
}

static int init(whole *w, const surrogate_options *o, int64_t n, int64_t d) {
    const int64_t all = n + TIMES_MAX + 1;
    char name[32];
    hpt__rng rng;
    *w = (whole){.n = n, .d = d};
    w->x = calloc((size_t)(all * d), sizeof(double));
    w->y = calloc((size_t)all, sizeof(double));
    w->batch = calloc((size_t)(o->q * d), sizeof(double));
    w->places = calloc((size_t)(PLACES * d), sizeof(double));
    w->values = calloc((size_t)(PLACES * FUNCTIONS), sizeof(double));
    w->mask = calloc(PLACES, sizeof(uint64_t));
    if (!w->x || !w->y || !w->batch || !w->places || !w->values || !w->mask) return HPT_E_MEMORY;
    hpt__rng_init(&rng, 1, 0);
    for (int64_t i = 0; i < all * d; i++) w->x[i] = hpt__rng_uniform(&rng);
    for (int64_t i = 0; i < all; i++) w->y[i] = sin(5 * w->x[i * d]) + 0.1 * hpt__rng_normal(&rng);
    for (int64_t i = 0; i < PLACES * d; i++) w->places[i] = hpt__rng_uniform(&rng);
    for (int64_t i = 0; i < PLACES; i++) w->mask[i] = 1;
    int rc = hpt_space_create(&w->space);
    for (int64_t i = 0; rc >= 0 && i < d; i++) {
        snprintf(name, sizeof name, "x%lld", (long long)i);
        rc = hpt_space_add_float(w->space, name, 0.0, 1.0, 0.0, 0);
    }
    return rc;
}

typedef int (*whole_fn)(whole *w, const surrogate_options *o, const char *device, int64_t m, double *seconds);

static int fit_case(whole *w, const surrogate_options *o, const char *device, int64_t m, double *seconds) {
    (void)m;
    int rc = make(w, o, device);
    if (rc >= 0) rc = hpt_gp_tell(w->gp, w->x, w->y, w->n);
    const double begin = surrogate_now();
    if (rc >= 0) rc = hpt_gp_fit(w->gp);
    *seconds = surrogate_now() - begin;
    return rc;
}

// One more result, then m suggestions.
static int ask_case(whole *w, const surrogate_options *o, const char *device, int64_t m, double *seconds) {
    (void)o;
    (void)device;
    const int64_t i = w->n + w->used++;
    const double begin = surrogate_now();
    int rc = hpt_gp_append(w->gp, w->x + i * w->d, &w->y[i], 1);
    if (rc >= 0) rc = hpt_gp_suggest(w->gp, w->batch, m, NULL, 0);
    *seconds = surrogate_now() - begin;
    return rc;
}

// FUNCTIONS others each time, at m places.
static int paths_case(whole *w, const surrogate_options *o, const char *device, int64_t m, double *seconds) {
    hpt__gp_paths *paths = NULL;
    (void)o;
    (void)device;
    const double begin = surrogate_now();
    int rc = hpt__gp_paths_draw(&paths, w->gp->gp, 1, FUNCTIONS * w->used++, FUNCTIONS);
    if (rc >= 0) rc = hpt__gp_paths_value(w->values, m, paths, w->gp->gp, w->places, w->mask, m);
    *seconds = surrogate_now() - begin;
    hpt__gp_paths_destroy(paths);
    return rc;
}

// *seconds: the median.
static int time_whole(double *seconds, whole *w, const surrogate_options *o, const ceilings *c, const char *device,
                      const char *name, whole_fn run, int64_t m) {
    static double times[TIMES_MAX];
    surrogate_row row = {.name = name, .device = device, .n = w->n, .d = w->d, .m = m, .error = NAN};
    double unused, total = 0;
    int64_t done = 0;
    // The first ask factors; fits and batches are long enough without a warm-up.
    int rc = run == paths_case || (run == ask_case && m == 1) ? run(w, o, device, m, &unused) : 0;
    while (rc >= 0 && done < o->repeat && (done == 0 || total < SECONDS_PER_CASE)) {
        rc = run(w, o, device, m, &times[done]);
        total += times[done++];
    }
    if (rc < 0) return rc;
    surrogate_summarise(&row, times, done);
    row.memory = hpt__device_counters(w->gp->device)->peak_bytes;
    surrogate_print(o, c, &row);
    *seconds = row.median;
    return 0;
}

// n points whose hyperparameters come from the first FITTED.
static int prepare(whole *w, const surrogate_options *o, const char *device) {
    const int64_t first = w->n < FITTED ? w->n : FITTED;
    w->used = 0;
    int rc = make(w, o, device);
    if (rc >= 0) rc = hpt_gp_tell(w->gp, w->x, w->y, first);
    if (rc >= 0) rc = hpt_gp_fit(w->gp);
    if (rc >= 0 && w->n > first) rc = hpt_gp_append(w->gp, w->x + first * w->d, w->y + first, w->n - first);
    return rc < 0 ? rc : hpt__gp_ready(w->gp->gp);
}

int surrogate_whole(const surrogate_options *o, const ceilings *c, const char *device, int64_t n, int64_t d) {
    whole w;
    double seconds = 0;
    int rc = init(&w, o, n, d);
    if (rc >= 0 && n <= o->fit_up_to) rc = time_whole(&seconds, &w, o, c, device, "whole fit", fit_case, 0);
    if (rc >= 0) rc = prepare(&w, o, device);
    if (rc >= 0) rc = time_whole(&seconds, &w, o, c, device, "Thompson, 64 functions", paths_case, PLACES);
    w.used = 0;
    if (rc >= 0) rc = time_whole(&seconds, &w, o, c, device, "whole ask", ask_case, 1);
    if (rc >= 0 && seconds * (double)o->q < BATCH_SECONDS) {
        rc = prepare(&w, o, device);
        if (rc >= 0) rc = time_whole(&seconds, &w, o, c, device, "batch", ask_case, o->q);
    }
    if (rc < 0) fprintf(stderr, "hpt-bench: %s: n = %lld: %s\n", device, (long long)n, hpt_last_error());
    fini(&w);
    return rc < 0 ? 1 : 0;
}
