// SPDX-License-Identifier: Apache-2.0
// ref_backend.c: backend `ref`: plain loops without libraries, the oracle that the others are held against, and what is left
// on a machine that has nothing else.
//
// Here: the one device, and the life of a model: points, capacity, cuts. The formulas are in ref_cov.c, ref_factor.c,
// ref_predict.c and ref_path.c.
// Why readable before fast: a faster backend is right if it agrees with this one, and this one is right if it agrees with
// the formulas above its loops. It uses one thread and no workspace that outlives a call.
// Ownership: a model owns its arrays and borrows the covariance. Threads: one at a time per context.
// Cost: about 1 GFLOP/s; a factor of 1000 points takes 0.5 s.
#include "ref.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ref_count(int64_t *n, char *why, size_t size) {
    *n = 1;
    if (size) why[0] = '\0';
    return 0;
}

static int ref_describe(hpt__device_desc *out, int64_t index) {
    (void)index;
    *out = (hpt__device_desc){{0}, {0}, 0, 0, 0};
    (void)snprintf(out->name, sizeof out->name, "plain loops, 1 thread");
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) out->memory_bytes = (int64_t)pages * page;
    return 0;
}

// A context holds nothing; its address stands for the device.
static char ref_ctx;

static int ref_open(void **ctx, int64_t index, const hpt__ctx_options *options) {
    (void)index;
    (void)options;
    *ctx = &ref_ctx;
    return 0;
}

static void ref_close(void *ctx) {
    (void)ctx;
}

static int ref_sync(void *ctx) {
    (void)ctx;
    return 0;
}

// ---- model life

static void ref_model_destroy(void *model) {
    ref_model *m = model;
    if (!m) return;
    hpt__free(m->x);
    hpt__free(m->mask);
    hpt__free(m->l);
    hpt__free(m->w);
    hpt__free(m->theta);
    hpt__free(m);
}

// Room for `need` points: the capacity grows by half, to a multiple of 64. On failure the model is as before.
static int reserve(ref_model *m, int64_t need) {
    if (need <= m->cap) return 0;
    int64_t cap = m->cap + m->cap / 2;
    if (cap < need) cap = need;
    cap = (cap + 63) / 64 * 64;
    const size_t c = (size_t)cap, d = (size_t)m->cov->d, old = (size_t)m->cap;
    double *x = hpt__malloc(c * d * sizeof *x), *l = hpt__calloc(c * c, sizeof *l), *w = hpt__malloc(c * sizeof *w);
    uint64_t *mask = hpt__malloc(c * sizeof *mask);
    if (!x || !l || !w || !mask) {
        hpt__free(x);
        hpt__free(l);
        hpt__free(w);
        hpt__free(mask);
        return hpt__fail_memory();
    }
    if (old) {
        memcpy(x, m->x, (size_t)m->n * d * sizeof *x);
        memcpy(mask, m->mask, (size_t)m->n * sizeof *mask);
        memcpy(w, m->w, (size_t)m->n_weights * sizeof *w);
        for (size_t j = 0; j < (size_t)m->rows; j++) memcpy(l + j * c, m->l + j * old, (size_t)m->rows * sizeof *l);
    }
    hpt__free(m->x);
    hpt__free(m->l);
    hpt__free(m->w);
    hpt__free(m->mask);
    m->x = x;
    m->l = l;
    m->w = w;
    m->mask = mask;
    m->cap = cap;
    return 0;
}

static int ref_model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap) {
    (void)ctx;
    int rc = 0;
    ref_model *m = hpt__calloc(1, sizeof *m);
    if (!m) return hpt__fail_memory();
    m->cov = cov;
    m->theta = hpt__calloc((size_t)hpt__cov_n_theta(cov), sizeof *m->theta);
    if (!m->theta) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(reserve(m, cap > 0 ? cap : 1));
    *model = m;
    m = NULL;
out:
    ref_model_destroy(m);
    return rc;
}

static int64_t ref_model_bytes(const void *model) {
    const ref_model *m = model;
    const int64_t per_point = m->cov->d + m->cap + 2;
    return (int64_t)sizeof *m + 8 * (m->cap * per_point + hpt__cov_n_theta(m->cov));
}

static void cut(ref_model *m, int64_t n) {
    if (m->rows > n) m->rows = n;
    if (m->n_weights > n) m->n_weights = 0;
}

static int ref_model_set_points(void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k) {
    ref_model *m = model;
    const int rc = reserve(m, at + k);
    if (rc < 0) return rc;
    cut(m, at);
    memcpy(m->x + at * m->cov->d, x, (size_t)(k * m->cov->d) * sizeof *x);
    memcpy(m->mask + at, mask, (size_t)k * sizeof *mask);
    m->n = at + k;
    return 0;
}

static int ref_model_truncate(void *model, int64_t n) {
    ref_model *m = model;
    cut(m, n);
    m->n = n;
    return 0;
}

static int64_t ref_model_rows(const void *model) {
    const ref_model *m = model;
    return m->rows;
}

static bool ref_supports(hpt__op op, const hpt__model_shape *shape) {
    (void)shape;
    return op >= 0 && op < HPT__OP_COUNT;
}

static int64_t ref_need_bytes(const hpt__model_shape *shape) {
    const int64_t cap = (shape->n + 63) / 64 * 64;
    return 8 * (3 * cap * cap + cap * (shape->d + 4)); // the factor; a second one and the inverse while fitting
}

const hpt__backend hpt__backend_ref = {
    .abi = HPT__BACKEND_ABI,
    .struct_size = sizeof(hpt__backend),
    .name = "ref",
    .doc = "plain loops without libraries, the oracle of the others",
    .count = ref_count,
    .describe = ref_describe,
    .open = ref_open,
    .close = ref_close,
    .sync = ref_sync,
    .cov_build = ref_cov_build,
    .cov_cross = ref_cov_cross,
    .fill_sobol = ref_fill_sobol,
    .fill_normal = ref_fill_normal,
    .model_create = ref_model_create,
    .model_destroy = ref_model_destroy,
    .model_bytes = ref_model_bytes,
    .model_set_points = ref_model_set_points,
    .model_truncate = ref_model_truncate,
    .model_factor = ref_model_factor,
    .model_append = ref_model_append,
    .model_rows = ref_model_rows,
    .model_set_y = ref_model_set_y,
    .model_get_factor = ref_model_get_factor,
    .model_solve = ref_model_solve,
    .mll = ref_mll,
    .posterior = ref_posterior,
    .acquire = ref_acquire,
    .joint = ref_joint,
    .paths = ref_paths,
    .screen = NULL,
    .mll_many = NULL,
    .supports = ref_supports,
    .need_bytes = ref_need_bytes,
};
