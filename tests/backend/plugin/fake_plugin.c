// SPDX-License-Identifier: Apache-2.0
// fake_plugin.c: a backend in a library of its own that is no accelerator: the sources of `ref` once more, so that it gives
// ref's bits, with operations that fail on demand. Proves loading, choice and what happens when a device fails.
//
// FAKE_KIND: 0 the backend; 1 a table of another ABI; 2 of another size; 3 a plugin that refuses the library; 4 no entry
// point. As every plugin it has no object of the library: what ref needs of core/base goes through the host's table.
#include "fake_plugin.h"

#include "core/backend/plugin.h"
#include "core/base/alloc.h"
#include "core/base/error.h"
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

#if FAKE_KIND == 4
EXPORT extern const int nothing;
const int nothing = 0;
#elif FAKE_KIND > 0
EXPORT hpt__plugin_entry hpt_backend_plugin;
const hpt__backend *hpt_backend_plugin(const hpt__plugin_host *h, char *why, size_t size) {
    static hpt__backend table = {.abi = HPT__BACKEND_ABI, .struct_size = sizeof table, .name = "fake"};
    if (FAKE_KIND == 1) table.abi = HPT__BACKEND_ABI + 1;
    if (FAKE_KIND == 2) table.struct_size -= 8;
    if (FAKE_KIND == 3) (void)snprintf(why, size, "it speaks with version 7, not %u", h->abi);
    return FAKE_KIND == 3 ? NULL : &table;
}
#else

static const hpt__plugin_host *host;
EXPORT extern fake_control fake;
fake_control fake = {.n_devices = 1, .fail_at = -1};

// ---- what ref calls

void *hpt__malloc(size_t size) {
    return host->resize(NULL, size > 0 ? size : 1);
}

void *hpt__calloc(size_t count, size_t size) {
    const size_t bytes = count * size > 0 ? count * size : 1;
    void *memory = host->resize(NULL, bytes);
    for (size_t i = 0; memory && i < bytes; i++) ((char *)memory)[i] = 0;
    return memory;
}

void hpt__free(void *ptr) {
    host->release(ptr);
}

int hpt__fail_memory(void) {
    return host->fail(HPT_E_MEMORY, "out of memory");
}

// ---- the table

extern const hpt__backend hpt__backend_ref;

static bool measured; // the model that there is now is the one of backend/cost.c, told by its columns
enum { MEASURED_COLUMNS = 8 };

// Negative: the operation fails. Positive: it is left out.
static int step(const char *what) {
    char line[64];
    if (measured) return 1;
    const int64_t call = fake.calls++;
    if (fake.fail_at < 0 || call < fake.fail_at || (call > fake.fail_at && !fake.stays)) return 0;
    (void)snprintf(line, sizeof line, "operation %lld, %s, was to fail", (long long)call, what);
    return host->fail(fake.status, line);
}

static int fake_count(int64_t *n, char *why, size_t size) {
    *n = fake.n_devices;
    if (*n == 0) (void)snprintf(why, size, "the fake driver reports no device");
    return 0;
}

static int fake_describe(hpt__device_desc *out, int64_t index) {
    const int rc = hpt__backend_ref.describe(out, index);
    (void)snprintf(out->name, sizeof out->name, "fake device %lld", (long long)index);
    return rc;
}

static int fake_open(void **ctx, int64_t index, const hpt__ctx_options *options) {
    int rc = step("open");
    if (rc == 0) rc = hpt__backend_ref.open(ctx, index, options);
    fake.open += rc == 0;
    return rc;
}

static void fake_close(void *ctx) {
    fake.open--;
    hpt__backend_ref.close(ctx);
}

static int fake_model_create(void **model, void *ctx, const hpt__cov *cov, int64_t cap) {
    measured = false;
    int rc = step("model_create");
    measured = rc == 0 && fake.instant && cov->d == MEASURED_COLUMNS;
    if (rc == 0) rc = hpt__backend_ref.model_create(model, ctx, cov, cap);
    fake.models += rc == 0;
    return rc;
}

static void fake_model_destroy(void *model) {
    fake.models -= model != NULL;
    measured = false;
    hpt__backend_ref.model_destroy(model);
}

#define OPERATION(name, parameters, arguments)                             \
    static int fake_##name parameters {                                    \
        const int rc = step(#name);                                        \
        return rc < 0 ? rc : rc > 0 ? 0 : hpt__backend_ref.name arguments; \
    }
OPERATION(sync, (void *ctx), (ctx))
OPERATION(cov_build,
          (void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *mask, int64_t n,
           double *k, int64_t ldk),
          (ctx, cov, theta, x, mask, n, k, ldk))
OPERATION(cov_cross,
          (void *ctx, const hpt__cov *cov, const double *theta, const double *x, const uint64_t *xmask, int64_t n,
           const double *z, const uint64_t *zmask, int64_t m, double *k, int64_t ldk),
          (ctx, cov, theta, x, xmask, n, z, zmask, m, k, ldk))
OPERATION(model_set_points, (void *model, int64_t at, const double *x, const uint64_t *mask, int64_t k),
          (model, at, x, mask, k))
OPERATION(model_factor, (void *model, const double *theta, double jitter, double *logdet, int64_t *info),
          (model, theta, jitter, logdet, info))
static int fake_model_truncate(void *model, int64_t n) { // needs no memory: only a lost device fails
    const int rc = fake.stays ? step("model_truncate") : 0;
    return rc < 0 ? rc : rc > 0 ? 0 : hpt__backend_ref.model_truncate(model, n);
}
OPERATION(model_append, (void *model, double *logdet, int64_t *info), (model, logdet, info))
OPERATION(model_set_y, (void *model, const double *y, int64_t n), (model, y, n))
OPERATION(model_get_factor, (const void *model, double *l, int64_t ldl), (model, l, ldl))
OPERATION(model_solve, (void *model, bool transposed, double *b, int64_t ldb, int64_t s),
          (model, transposed, b, ldb, s))
OPERATION(mll,
          (void *model, const double *theta, double jitter, const double *y, int64_t n, double *value, double *grad,
           int64_t *info),
          (model, theta, jitter, y, n, value, grad, info))
OPERATION(posterior,
          (void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *var, double *dmean,
           double *dvar),
          (model, z, zmask, m, mean, var, dmean, dvar))
OPERATION(acquire,
          (void *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m, double *value,
           double *grad),
          (model, acq, z, zmask, m, value, grad))
OPERATION(joint,
          (void *model, const double *z, const uint64_t *zmask, int64_t m, double *mean, double *cov, int64_t ldc),
          (model, z, zmask, m, mean, cov, ldc))
OPERATION(paths,
          (void *model, const hpt__paths *paths, const double *z, const uint64_t *zmask, int64_t m, double *out,
           int64_t ldo),
          (model, paths, z, zmask, m, out, ldo))

EXPORT hpt__plugin_entry hpt_backend_plugin;
const hpt__backend *hpt_backend_plugin(const hpt__plugin_host *h, char *why, size_t size) {
    static hpt__backend table;
    if (h->abi != HPT__PLUGIN_ABI || h->struct_size != sizeof *h) {
        (void)snprintf(why, size, "another version of the library");
        return NULL;
    }
    host = h;
    fake.entries++;
    table = hpt__backend_ref;
    table.name = "fake";
    table.count = fake_count;
    table.describe = fake_describe;
    table.open = fake_open;
    table.close = fake_close;
    table.sync = fake_sync;
    table.cov_build = fake_cov_build;
    table.cov_cross = fake_cov_cross;
    table.model_create = fake_model_create;
    table.model_destroy = fake_model_destroy;
    table.model_set_points = fake_model_set_points;
    table.model_truncate = fake_model_truncate;
    table.model_factor = fake_model_factor;
    table.model_append = fake_model_append;
    table.model_set_y = fake_model_set_y;
    table.model_get_factor = fake_model_get_factor;
    table.model_solve = fake_model_solve;
    table.mll = fake_mll;
    table.posterior = fake_posterior;
    table.acquire = fake_acquire;
    table.joint = fake_joint;
    table.paths = fake_paths;
    return &table;
}
#endif
