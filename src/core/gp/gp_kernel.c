// SPDX-License-Identifier: Apache-2.0
// gp_kernel.c: which covariance, the code's own or RBF, the data prefer.
//
// A fit tries both kernels, each with each transformation, and takes the pair with the largest evidence (gp_fit.c). RBF is the
// covariance of functions that have all derivatives: in a quadratic valley it concludes from afar what Matern has to see, on
// anything rougher it is surer than it should be. Where it matters the evidence is plain (tens of nats on a rotated
// ellipsoid from some 40 points on), elsewhere the two are a few nats apart, and that is no reason to be surer. So RBF has to be
// better by HPT__GP_SMOOTH_ODDS, the logarithm of the prior odds against it (docs/ablation.md).
//
// Spaces with conditional parameters keep their own kernel: a branch's few trials are enough for RBF to be sure that it is worse
// (on the peers' tree, within 0.01 in 120 trials: 23 of 30 seeds with the choice, 29 without).
//
// The two are compared while the transformations are, and below 300 points: a fit of thousands of points costs what it cost with
// one kernel, and a smooth function has shown itself by then. The rival is a model of its own, as a backend's covariance is
// immutable; it has points only, no factor.
//
// Ownership: cov borrows the code's arrays; both models are the gp's. Threads: those of the device.
#include "gp_impl.h"

#include <string.h>

const char *const hpt__cov_kind_names[HPT__COV_KINDS] = {"matern52", "matern32", "rbf"};

bool hpt__cov_kind_of(hpt__cov_kind *kind, const char *name) {
    for (int i = 0; i < HPT__COV_KINDS; i++) {
        *kind = (hpt__cov_kind)i;
        if (strcmp(name, hpt__cov_kind_names[i]) == 0) return true;
    }
    *kind = HPT__COV_MATERN52;
    return false;
}

void hpt__gp_set_kernels(hpt__gp *gp) {
    gp->cov[0] = gp->cov[1] = gp->code->cov;
    gp->cov[1].kind = HPT__COV_RBF;
    gp->kernel = 0;
    gp->two_kernels = gp->settings.choose_kernel && gp->cov[0].kind != HPT__COV_RBF && gp->cov[0].n_blocks == 1;
}

void hpt__gp_drop_rival(hpt__gp *gp) {
    hpt__model_destroy(gp->rival);
    gp->rival = NULL;
    gp->n_rival = 0;
}

int hpt__gp_sync_rival(hpt__gp *gp, int64_t n) {
    int rc = gp->rival ? 0 : hpt__model_create(&gp->rival, gp->device, &gp->cov[1 - gp->kernel], n + 1);
    if (rc < 0 || gp->n_rival >= n) return rc;
    const int64_t at = gp->n_rival;
    rc = hpt__model_set_points(gp->rival, at, gp->rows + at * gp->d, gp->mask + at, n - at);
    if (rc >= 0) gp->n_rival = n;
    return rc;
}

int hpt__gp_use_kernel(hpt__gp *gp, int kernel) {
    if (kernel == gp->kernel) return 0;
    int rc = hpt__gp_sync_rival(gp, gp->n_rival);
    if (rc < 0) return rc;
    hpt__model_destroy(gp->model);
    gp->model = gp->rival;
    gp->n_model = gp->n_rival;
    gp->rival = NULL;
    gp->n_rival = 0;
    gp->kernel = kernel;
    hpt__gp_drop_factor(gp);
    return 0;
}

const hpt__cov *hpt__gp_cov(const hpt__gp *gp) {
    return &gp->cov[gp->kernel];
}
