// SPDX-License-Identifier: Apache-2.0
// acq_testing.h: a space with a surrogate on the oracle backend, for the test_acq_*.c files.
#ifndef HPT_TESTS_ACQ_TESTING_H
#define HPT_TESTS_ACQ_TESTING_H

#include "core/acq/acq.h"
#include "core/space/codec.h"
#include "sampler_testing.h"

typedef struct gp_lab {
    hpt_space *space;
    hpt__gp_code code;
    hpt__device *device;
    hpt__gp *gp;
    hpt__search_options options;
    hpt__rng rng;
    int64_t n;
} gp_lab;

static inline void gp_lab_open(gp_lab *l, hpt_space *space, double noise) { // takes the space
    *l = (gp_lab){.space = space};
    OK(hpt__gp_code_init(&l->code, space, HPT__COV_MATERN52));
    OK(hpt__device_open(&l->device, "ref", NULL, NULL));
    const hpt__gp_settings settings = {.noise = noise, .warp = false, .seed = 3, .max_evaluations = 60};
    OK(hpt__gp_create(&l->gp, l->device, &l->code, &settings));
    l->options =
        (hpt__search_options){.n_global = 512, .n_local = 256, .n_starts = 8, .max_steps = 40, .lock_param = -1};
    hpt__rng_init(&l->rng, 7, 1);
}

static inline void gp_lab_close(gp_lab *l) {
    hpt__gp_destroy(l->gp);
    hpt__device_close(l->device);
    hpt__gp_code_fini(&l->code);
    hpt_space_destroy(l->space);
}

static inline void gp_lab_tell(gp_lab *l, const double *point, double y) {
    double row[MAX_D];
    uint64_t mask;
    hpt__gp_encode(row, &mask, &l->code, point);
    cr_assert_geq(hpt__gp_tell(l->gp, row, &mask, &y, 1), 0, "%s", hpt_last_error());
    l->n++;
}

// n random points with the values of f; the fit.
static inline void gp_lab_fill(gp_lab *l, test_function f, int64_t n, uint64_t seed) {
    double point[MAX_D];
    hpt__rng rng;
    hpt__rng_init(&rng, seed, 2);
    for (int64_t i = 0; i < n; i++) {
        blank(point, l->space);
        hpt__sampler_fill_random(point, l->space, &rng);
        gp_lab_tell(l, point, f(point, l->space));
    }
    cr_assert_geq(hpt__gp_fit(l->gp, true), 0, "%s", hpt_last_error());
    cr_assert_geq(hpt__gp_ready(l->gp), 0, "%s", hpt_last_error());
}

static inline hpt__acq gp_lab_logei(gp_lab *l) {
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    OK(hpt__acq_incumbent(&acq.best, NULL, l->gp));
    return acq;
}

#endif
