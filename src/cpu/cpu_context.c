// SPDX-License-Identifier: Apache-2.0
// cpu_context.c: backend `cpu`: the table, the device's description, a context with its threads and its memory limit.
//
// One context: one pool of threads (base/pool.h), scratch memory for each of them, and a count of all bytes of its models
// and workspaces, held against the limit before anything is allocated.
// Threads: a context belongs to one thread at a time; its pool's threads work only inside a call.
#include "cpu_impl.h"

#include "../core/base/alloc.h"
#include "../core/base/error.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Below this many flops waking the pool (about 10 us) costs more than it brings.
static const double SERIAL_WORK = 2e5;

static int sync_nothing(void *ctx) {
    (void)ctx;
    return HPT_OK;
}

extern const hpt__backend hpt__backend_cpu;
const hpt__backend hpt__backend_cpu = {
    .abi = HPT__BACKEND_ABI,
    .struct_size = sizeof(hpt__backend),
    .name = "cpu",
    .doc = "a BLAS found at run time, vector units and all cores of the process",
    .count = cpu__count,
    .describe = cpu__describe,
    .open = cpu__open,
    .close = cpu__close,
    .sync = sync_nothing,
    .cov_build = cpu__cov_build,
    .cov_cross = cpu__cov_cross,
    .fill_sobol = cpu__fill_sobol,
    .fill_normal = cpu__fill_normal,
    .model_create = cpu__model_create,
    .model_destroy = cpu__model_destroy,
    .model_bytes = cpu__model_bytes,
    .model_set_points = cpu__model_set_points,
    .model_truncate = cpu__model_truncate,
    .model_factor = cpu__model_factor,
    .model_append = cpu__model_append,
    .model_rows = cpu__model_rows,
    .model_set_y = cpu__model_set_y,
    .model_get_factor = cpu__model_get_factor,
    .model_solve = cpu__model_solve,
    .mll = cpu__mll,
    .posterior = cpu__posterior,
    .acquire = cpu__acquire,
    .joint = cpu__joint,
    .paths = cpu__paths,
    .screen = cpu__screen,
    .mll_many = cpu__mll_many,
    .supports = cpu__supports,
    .need_bytes = cpu__need_bytes,
};

int cpu__count(int64_t *n, char *why, size_t size) {
    *n = cpu__blas_get(why, size) ? 1 : 0;
    return HPT_OK;
}

static int64_t memory_of_machine(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (int64_t)pages * bytes : 0;
}

// A quarter is left to the trials and the rest of the machine.
static int64_t memory_for_models(void) {
    return memory_of_machine() / 4 * 3;
}

static void processor_name(char *out, size_t size) {
    snprintf(out, size, "CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10) != 0) continue;
        const char *value = strchr(line, ':');
        if (!value) continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    fclose(f);
}

int cpu__describe(hpt__device_desc *out, int64_t index) {
    char why[256], name[72];
    const cpu__blas *blas = cpu__blas_get(why, sizeof why);
    if (!blas) return hpt__fail(HPT_E_DEVICE, "%s", why);
    if (index != 0) return hpt__fail(HPT_E_ARG, "backend cpu has one device, not %lld", (long long)index + 1);
    memset(out, 0, sizeof *out);
    processor_name(name, sizeof name);
    const long long cores = (long long)hpt__cpu_count();
    snprintf(out->name, sizeof out->name, "%s, %lld thread%s", name, cores, cores == 1 ? "" : "s");
    snprintf(out->library, sizeof out->library, "%s", blas->name);
    out->memory_bytes = memory_for_models();
    return HPT_OK;
}

int cpu__open(void **ctx, int64_t index, const hpt__ctx_options *options) {
    int rc = HPT_OK;
    char why[256];
    cpu__ctx *c = NULL;
    const cpu__blas *blas = cpu__blas_get(why, sizeof why);
    HPT_FAIL_IF(!blas, HPT_E_DEVICE, "%s", why);
    HPT_FAIL_IF(index != 0, HPT_E_ARG, "backend cpu has one device, not %lld", (long long)index + 1);
    c = hpt__calloc(1, sizeof *c);
    if (!c) return hpt__fail_memory();
    c->blas = blas;
    c->vec = cpu__vec_best();
    c->limit = options && options->memory_limit > 0 ? options->memory_limit : memory_for_models();
    if (c->limit <= 0) c->limit = INT64_MAX;
    HPT_TRY(hpt__pool_create(&c->pool, options ? options->n_threads : 0));
    c->n_threads = hpt__pool_size(c->pool);
    c->scratch = hpt__calloc((size_t)c->n_threads, sizeof *c->scratch);
    if (!c->scratch) {
        rc = hpt__fail_memory();
        goto out;
    }
    *ctx = c;
    c = NULL;
out:
    cpu__close(c);
    return rc;
}

void cpu__close(void *ctx) {
    cpu__ctx *c = ctx;
    if (!c) return;
    if (c->scratch)
        for (int64_t i = 0; i < c->n_threads; i++) cpu__buf_free(c, &c->scratch[i]);
    hpt__pool_destroy(c->pool);
    hpt__free(c->scratch);
    hpt__free(c);
}

void cpu__buf_free(cpu__ctx *c, cpu__buf *b) {
    hpt__free(b->base);
    c->used -= b->size * (int64_t)sizeof(double);
    *b = (cpu__buf){NULL, NULL, 0};
}

int cpu__buf_reserve(cpu__ctx *c, cpu__buf *b, int64_t size, const char *what) {
    if (size <= b->size) return HPT_OK;
    const double need = 8.0 * (double)size + (double)c->used - 8.0 * (double)b->size;
    if (need > (double)c->limit)
        return hpt__fail(
            HPT_E_MEMORY,
            "%s: %.1f MB of memory are needed and the limit is %.1f MB; raise the limit or use fewer points", what,
            need / 1e6, (double)c->limit / 1e6);
    cpu__buf_free(c, b);
    void *base = hpt__malloc((size_t)size * sizeof(double) + 64);
    if (!base)
        return hpt__fail(HPT_E_MEMORY, "%s: the system has no %.1f MB of memory left", what, 8.0 * (double)size / 1e6);
    b->base = base;
    b->data = (double *)(((uintptr_t)base + 63) / 64 * 64);
    b->size = size;
    c->used += size * (int64_t)sizeof(double);
    return HPT_OK;
}

typedef struct parallel {
    cpu__ctx *ctx;
    cpu__task fn;
    void *payload;
    int64_t n;
    atomic_int_least64_t next;
} parallel;

static int take_tasks(int64_t thread, void *payload) {
    parallel *p = payload;
    cpu__blas_enter_thread();
    for (int64_t i; (i = atomic_fetch_add(&p->next, 1)) < p->n;) p->fn(p->payload, i, p->ctx->scratch[thread].data);
    cpu__blas_leave_thread();
    return HPT_OK;
}

int cpu__parallel(cpu__ctx *c, int64_t n, int64_t scratch, double work, cpu__task fn, void *payload) {
    int rc = HPT_OK;
    if (n <= 0) return HPT_OK;
    int64_t threads = work < SERIAL_WORK ? 1 : c->n_threads;
    if (threads > n) threads = n;
    for (int64_t i = 0; i < threads; i++) HPT_TRY(cpu__buf_reserve(c, &c->scratch[i], scratch, "a thread's workspace"));
    parallel p = {.ctx = c, .fn = fn, .payload = payload, .n = n};
    atomic_init(&p.next, 0);
    rc = hpt__pool_run(c->pool, threads, take_tasks, &p);
out:
    return rc;
}
