// SPDX-License-Identifier: Apache-2.0
// gp_api.c: the public surrogate (hpt/gp.h) over hpt__gp: arguments checked, points encoded.
// Whatever computes goes through hpt__gp_api_run, which lets the host take over where a device fails. Telling only writes
// host memory. Ownership: hpt_gp owns its copy of the space, device, code and model. Threads: one at a time.
#include "gp_api.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <math.h>
#include <string.h>

// *choose: the evidence does, between *out and RBF.
static int kernel_of(hpt__cov_kind *out, bool *choose, const char *name) {
    enum { N = HPT__COV_KINDS };
    const char *names[N + 1] = {[N] = "auto"};
    memcpy(names, hpt__cov_kind_names, sizeof hpt__cov_kind_names);
    if (!name) name = names[0];
    *choose = strcmp(name, names[N]) == 0;
    if (hpt__cov_kind_of(out, name) || *choose) return 0;
    const char *near = hpt__nearest(name, names, N + 1);
    return hpt__fail(HPT_E_ARG, "no kernel '%s'%s%s; there are matern52, matern32, rbf and auto", name,
                     near ? ", did you mean " : "", near ? near : "");
}

int hpt_gp_create(hpt_gp **out, const hpt_space *space, const hpt_gp_options *options) {
    int rc = 0;
    hpt_gp *gp = NULL;
    HPT_FAIL_IF(!out || !space || !options, HPT_E_ARG, "hpt_gp_create: an argument is NULL");
    HPT_FAIL_IF(options->struct_size != sizeof *options, HPT_E_ARG,
                "hpt_gp_create: the options were not made with HPT_GP_OPTIONS_INIT");
    HPT_FAIL_IF(isnan(options->noise) || isinf(options->noise), HPT_E_ARG,
                "hpt_gp_create: noise is %g; a standard deviation >= 0, or a negative number to have it fitted",
                options->noise);
    hpt__gp_settings settings = {.noise = options->noise < 0 ? NAN : options->noise,
                                 .warp = !options->no_warp,
                                 .seed = options->seed,
                                 .max_evaluations = 100};
    hpt__cov_kind kind;
    HPT_TRY(kernel_of(&kind, &settings.choose_kernel, options->kernel));
    gp = hpt__calloc(1, sizeof *gp);
    if (!gp) HPT_TRY(hpt__fail_memory());
    gp->seed = options->seed;
    HPT_TRY(hpt__space_dup(&gp->space, space));
    HPT_TRY(hpt__gp_code_init(&gp->code, gp->space, kind));
    HPT_FAIL_IF(gp->code.cov.d == 0, HPT_E_ARG, "hpt_gp_create: the space has no parameter that can vary");
    gp->automatic = hpt__device_is_auto(options->device);
    HPT_TRY(gp->automatic ? hpt__device_open_host(&gp->device, NULL)
                          : hpt__device_open(&gp->device, options->device, NULL, NULL));
    rc = hpt__gp_create(&gp->gp, gp->device, &gp->code, &settings);
    if (rc < 0) {
        hpt__device *host = NULL;
        HPT_TRY(hpt__fallback_take(&host, &gp->fallback, gp->device, rc, 0, NULL));
        hpt__device_close(gp->device);
        gp->device = host;
        HPT_TRY(hpt__gp_create(&gp->gp, gp->device, &gp->code, &settings));
    }
    *out = gp;
    gp = NULL;
    rc = 0;
out:
    hpt_gp_destroy(gp);
    return rc;
}

void hpt_gp_destroy(hpt_gp *gp) {
    if (!gp) return;
    hpt__gp_paths_destroy(gp->paths);
    hpt__gp_destroy(gp->gp);
    hpt__device_close(gp->device);
    hpt__gp_code_fini(&gp->code);
    hpt_space_destroy(gp->space);
    hpt__free(gp->rows);
    hpt__free(gp->mask);
    hpt__free(gp);
}

// ---- a device that fails (gp_fallback.c)

// Goes on with `device` (taken) from the state that `before` tells.
static int move(hpt_gp *gp, hpt__device *device, const hpt__str *before) {
    int rc = 0;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *state;
    HPT_TRY(hpt__json_parse(&state, &arena, before->data, before->len));
    HPT_TRY(hpt__gp_move(gp->gp, device));
    hpt__device_close(gp->device);
    gp->device = device;
    device = NULL;
    HPT_TRY(hpt__gp_state_from_json(gp->gp, state));
out:
    hpt__device_close(device);
    hpt__arena_fini(&arena);
    return rc;
}

int hpt__gp_api_run(hpt_gp *gp, hpt__gp_api_op *op, void *args) {
    if (hpt__device_is_host(gp->device)) return op(gp, args);
    int rc = 0;
    hpt__device *host = NULL;
    hpt__str before = HPT__STR_INIT;
    hpt__gp_state_json(&before, gp->gp);
    HPT_TRY(hpt__str_status(&before));
    rc = op(gp, args);
    if (rc >= 0) goto out;
    HPT_TRY(hpt__fallback_take(&host, &gp->fallback, gp->device, rc, gp->n_asks, NULL));
    HPT_TRY(move(gp, host, &before));
    rc = op(gp, args);
out:
    hpt__str_fini(&before);
    return rc;
}

// Before a fit on the host: goes back to a device that failed, or to an accelerator that is faster, when it is time.
static int move_if_due(hpt_gp *gp) {
    enum { CANDIDATES = 2048 }; // of a suggestion, about
    const int64_t n = hpt__gp_n(gp->gp);
    const bool automatic = gp->automatic && !gp->fallback.device[0];
    int rc = 0;
    hpt__str before = HPT__STR_INIT;
    if (!hpt__device_is_host(gp->device) || !(gp->fallback.away || automatic) || !hpt__gp_fit_due(gp->gp, n)) return 0;
    hpt__gp_state_json(&before, gp->gp);
    HPT_TRY(hpt__str_status(&before));
    hpt__device *device = automatic
                              ? hpt__placement_look(&gp->placement, gp->device, &gp->code.cov, n, 0, CANDIDATES, NULL)
                              : hpt__fallback_again(&gp->fallback, gp->n_asks, NULL);
    if (device) rc = move(gp, device, &before);
out:
    hpt__str_fini(&before);
    return rc;
}

int hpt__gp_api_encode(hpt_gp *gp, const double *points, int64_t n, const char *what) {
    int rc = 0;
    const int64_t width = gp->space->d, d = gp->code.cov.d;
    int64_t cap = gp->cap, bad;
    for (int64_t i = 0; i < n; i++) {
        if (hpt__space_check(gp->space, points + i * width, &bad)) continue;
        const double v = points[i * width + bad];
        rc = isnan(v) ? hpt__fail(HPT_E_ARG, "%s %lld lacks parameter '%s'", what, (long long)i,
                                  hpt_space_name(gp->space, bad))
                      : hpt__fail(HPT_E_ARG, "%s %lld: %.17g is not a value of parameter '%s' there", what,
                                  (long long)i, v, hpt_space_name(gp->space, bad));
        goto out;
    }
    HPT_TRY(hpt__grow(&gp->rows, &cap, n, (size_t)d * sizeof *gp->rows));
    cap = gp->cap;
    HPT_TRY(hpt__grow(&gp->mask, &cap, n, sizeof *gp->mask));
    gp->cap = cap;
    for (int64_t i = 0; i < n; i++) hpt__gp_encode(gp->rows + i * d, &gp->mask[i], &gp->code, points + i * width);
    rc = 0;
out:
    return rc;
}

static int add_points(hpt_gp *gp, const double *points, const double *values, int64_t n, bool clear, const char *call) {
    int rc = 0;
    HPT_FAIL_IF(!gp || n < 0 || (n > 0 && (!points || !values)), HPT_E_ARG, "%s: an argument is NULL or n is negative",
                call);
    for (int64_t i = 0; i < n; i++)
        HPT_FAIL_IF(isnan(values[i]), HPT_E_ARG, "%s: value %lld is NaN; leave the point out", call, (long long)i);
    HPT_TRY(hpt__gp_api_encode(gp, points, n, "point"));
    if (clear) {
        HPT_TRY(hpt__gp_reserve(gp->gp, n)); // first, so that nothing is lost for nothing
        HPT_TRY(hpt__gp_clear(gp->gp));
    }
    HPT_TRY(hpt__gp_tell(gp->gp, gp->rows, gp->mask, values, n));
    rc = 0;
out:
    return rc;
}

int hpt_gp_tell(hpt_gp *gp, const double *points, const double *values, int64_t n) {
    return add_points(gp, points, values, n, true, "hpt_gp_tell");
}

int hpt_gp_append(hpt_gp *gp, const double *points, const double *values, int64_t n) {
    return add_points(gp, points, values, n, false, "hpt_gp_append");
}

static int fit(hpt_gp *gp, void *args) {
    (void)args;
    return hpt__gp_fit(gp->gp, false);
}

int hpt_gp_fit(hpt_gp *gp) {
    if (!gp) return hpt__fail(HPT_E_ARG, "hpt_gp_fit: the gp is NULL");
    const int rc = move_if_due(gp);
    return rc < 0 ? rc : hpt__gp_api_run(gp, fit, NULL);
}

typedef struct prediction {
    int64_t m;
    double *mean, *sd;
} prediction;

static int predict(hpt_gp *gp, void *args) {
    const prediction *p = args;
    const int rc = hpt__gp_ready(gp->gp);
    return rc < 0 ? rc : hpt__gp_predict(gp->gp, gp->rows, gp->mask, p->m, p->mean, p->sd);
}

int hpt_gp_predict(hpt_gp *gp, const double *points, int64_t m, double *mean, double *sd) {
    int rc = 0;
    HPT_FAIL_IF(!gp || m < 0 || (m > 0 && !points), HPT_E_ARG, "hpt_gp_predict: an argument is NULL or m is negative");
    HPT_TRY(hpt__gp_api_encode(gp, points, m, "candidate"));
    HPT_TRY(hpt__gp_api_run(gp, predict, &(prediction){m, mean, sd}));
    rc = 0;
out:
    return rc;
}

typedef struct sampling {
    int64_t m, n;
    uint64_t seed;
    double *values;
} sampling;

static int sample(hpt_gp *gp, void *args) {
    const sampling *a = args;
    enum { PART = 4096 }; // each goes to a device with all weights of the functions
    const int64_t d = gp->code.cov.d, room = a->m < PART ? a->m : PART;
    int rc = 0;
    double *part = NULL;
    HPT_TRY(hpt__gp_ready(gp->gp));
    if (!gp->paths || gp->n_paths != a->n || gp->paths_seed != a->seed || !hpt__gp_paths_fit(gp->paths, gp->gp)) {
        hpt__gp_paths_destroy(gp->paths);
        gp->paths = NULL;
        HPT_TRY(hpt__gp_paths_draw(&gp->paths, gp->gp, a->seed, 0, a->n));
        gp->n_paths = a->n;
        gp->paths_seed = a->seed;
    }
    part = hpt__malloc((size_t)(room * a->n) * sizeof *part);
    if (!part) HPT_TRY(hpt__fail_memory());
    for (int64_t at = 0; at < a->m; at += room) {
        const int64_t k = a->m - at < room ? a->m - at : room;
        HPT_TRY(hpt__gp_paths_value(part, room, gp->paths, gp->gp, gp->rows + at * d, gp->mask + at, k));
        for (int64_t i = 0; i < a->n; i++)
            for (int64_t j = 0; j < k; j++)
                a->values[i * a->m + at + j] = hpt__warp_invert(hpt__gp_warp(gp->gp), part[i * room + j]);
    }
    rc = 0;
out:
    hpt__free(part);
    return rc;
}

int hpt_gp_sample(hpt_gp *gp, const double *points, int64_t m, double *values, int64_t n, uint64_t seed) {
    int rc = 0;
    HPT_FAIL_IF(!gp || m < 0 || n < 0 || (m > 0 && !points) || (m > 0 && n > 0 && !values), HPT_E_ARG,
                "hpt_gp_sample: an argument is NULL, or m or n is negative");
    HPT_TRY(hpt__gp_api_encode(gp, points, m, "point"));
    if (n > 0) HPT_TRY(hpt__gp_api_run(gp, sample, &(sampling){m, n, seed, values}));
    rc = 0;
out:
    return rc;
}

int64_t hpt_gp_n(const hpt_gp *gp) {
    return gp ? hpt__gp_n(gp->gp) : 0;
}

static int log_likelihood(hpt_gp *gp, void *args) {
    return hpt__gp_log_likelihood(gp->gp, args);
}

static int make_ready(hpt_gp *gp, void *args) {
    (void)args;
    return hpt__gp_ready(gp->gp);
}

int hpt_gp_log_likelihood(hpt_gp *gp, double *out) {
    int rc = 0;
    HPT_FAIL_IF(!gp || !out, HPT_E_ARG, "hpt_gp_log_likelihood: an argument is NULL");
    HPT_TRY(hpt__gp_api_run(gp, log_likelihood, out));
    rc = 0;
out:
    return rc;
}

int hpt_gp_hyperparameters(char **out, hpt_gp *gp) {
    int rc = 0;
    hpt__str s = HPT__STR_INIT;
    HPT_FAIL_IF(!out || !gp, HPT_E_ARG, "hpt_gp_hyperparameters: an argument is NULL");
    if (hpt__gp_n(gp->gp) > 0) HPT_TRY(hpt__gp_api_run(gp, make_ready, NULL));
    const hpt__cov *cov = hpt__gp_cov(gp->gp);
    const double *theta = hpt__gp_theta(gp->gp);
    const hpt__warp *w = hpt__gp_warp(gp->gp);
    hpt__str_addf(&s, "{\"kernel\": \"%s\", \"device\": \"%s\"", hpt__cov_kind_names[cov->kind],
                  hpt__device_name(gp->device));
    hpt__fallback_json(&s, &gp->fallback);
    hpt__str_addf(&s, ", \"n\": %lld, \"warp\": \"%s\", \"mean\": ", (long long)hpt__gp_n(gp->gp),
                  w->kind == HPT__WARP_NONE ? "none" : "log_tail");
    hpt__str_add_double(&s, w->mean);
    hpt__str_add(&s, ", \"sd\": ");
    hpt__str_add_double(&s, w->sd);
    hpt__str_add(&s, ", \"noise_sd\": ");
    hpt__str_add_double(&s, hpt__gp_noise_sd(gp->gp));
    hpt__str_add(&s, ", \"jitter\": ");
    hpt__str_add_double(&s, hpt__model_jitter(hpt__gp_model(gp->gp)));
    hpt__str_add(&s, ", \"amplitudes\": [");
    for (int64_t t = 0; t < cov->n_terms; t++) {
        if (t > 0) hpt__str_add(&s, ", ");
        hpt__str_add_double(&s, exp(theta[cov->d + t]));
    }
    hpt__str_add(&s, "], \"lengthscales\": {");
    for (int64_t c = 0; c < cov->d; c++) {
        const char *name = gp->space->params[gp->code.param[c]].name;
        if (c > 0) hpt__str_add(&s, ", ");
        hpt__str_add_json_string(&s, name, strlen(name));
        hpt__str_add(&s, ": ");
        hpt__str_add_double(&s, exp(theta[c]));
    }
    hpt__str_add(&s, "}}");
    HPT_TRY(hpt__str_status(&s));
    *out = hpt__str_take(&s);
    rc = 0;
out:
    hpt__str_fini(&s);
    return rc;
}
