// SPDX-License-Identifier: Apache-2.0
// cost.c: what an operation costs: flops and bytes by formula, seconds from rates that are measured once per device.
//
//   FACTOR           n^3/3 + n^2/2 e                   e = 2d + 80T: one entry of K (an exponential is worth about 80)
//   APPEND (s rows)  n^2 s + n s^2 + s^3/3 + n s e     bytes 4 n^2 (the factor is read once) + 16 n s
//   MLL              n^3 + n^2 (2d + e)                a factor, an inverse from it, one symmetric product
//   POSTERIOR        n^2 m + n m (2 + e)
//   POSTERIOR_GRAD   2 n^2 m + n m (4 + 4d + e)
//   PATHS            n m (2 s + e) + T F m (2d + 80 + 4 s)      F waves a term, each a sine and a cosine; bytes as read and written
//   seconds = call + flops times seconds per flop + (APPEND) bytes times seconds per byte
//             + (FACTOR, MLL) n, 3 n times seconds per column
//
// Rates from four short shapes: on a model of n points, n doubled from 64 until a factor takes 4 ms or n is 8192, a factor,
// a posterior of 128 candidates, an append of one row; a factor of 64 points; and a call's own cost from a model of one
// point. Each is the fastest of three: other programs only ever make it slower. Two rates for flops, because a triangular solve of
// few columns is far from the rate of a factor; the call's cost and the columns', because these keep small problems off an
// accelerator: a GPU factors 1,000 columns in about a millisecond, of which the flops are a few hundredths.
//
// The rates lie in a file per device, library version and number of threads, written beside and renamed, so that a reader
// never sees half of one. Whatever fails there is skipped in silence: the rates are then measured anew (below 0.2 s).
// Threads: one at a time per device. Of the engine's results only those past the size of an
// exact model depend on these numbers (sampler/gp_policy.c): which size that is, in steps of a factor of two, stored.
#include "device_state.h"

#include "../base/alloc.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/file.h"
#include "../base/json.h"
#include <errno.h>
#include <fcntl.h>
#include <hpt/version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { START = 64, LARGEST = 8192, CANDIDATES = 128, COLUMNS = 8, REPEATS = 3, FILE_MAX = 8192 };

// ---- formulas

static double entry(const hpt__model_shape *s) {
    return 2 * (double)s->d + 80 * (double)s->n_terms;
}

double hpt__op_flops(hpt__op op, const hpt__model_shape *shape) {
    const double n = (double)shape->n, m = (double)shape->m, s = (double)shape->s, d = (double)shape->d,
                 e = entry(shape), waves = (double)shape->n_terms * (double)shape->n_features;
    switch (op) {
    case HPT__OP_FACTOR:
        return n * n * n / 3 + n * n / 2 * e;
    case HPT__OP_APPEND:
        return n * n * s + n * s * s + s * s * s / 3 + n * s * e;
    case HPT__OP_MLL:
        return n * n * n + n * n * (2 * d + e);
    case HPT__OP_POSTERIOR:
        return n * n * m + n * m * (2 + e);
    case HPT__OP_POSTERIOR_GRAD:
        return 2 * n * n * m + n * m * (4 + 4 * d + e);
    case HPT__OP_PATHS:
        return n * m * (2 * s + e) + waves * m * (2 * d + 80 + 4 * s);
    case HPT__OP_COUNT:
        break;
    }
    return 0;
}

double hpt__op_bytes(hpt__op op, const hpt__model_shape *shape) {
    const double n = (double)shape->n, m = (double)shape->m, s = (double)shape->s,
                 waves = (double)shape->n_terms * (double)shape->n_features;
    switch (op) {
    case HPT__OP_FACTOR:
        return 12 * n * n;
    case HPT__OP_APPEND:
        return 4 * n * n + 16 * n * s;
    case HPT__OP_MLL:
        return 24 * n * n;
    case HPT__OP_POSTERIOR:
        return 4 * n * n + 16 * n * m;
    case HPT__OP_POSTERIOR_GRAD:
        return 8 * n * n + 24 * n * m;
    case HPT__OP_PATHS:
        return 16 * (n + 2 * waves) * m + 8 * (n + 2 * waves + m) * s;
    case HPT__OP_COUNT:
        break;
    }
    return 0;
}

// ---- measuring, by the backend's own table: the device's counters stay those of real work

typedef struct probe {
    const hpt__backend *ops;
    void *ctx, *model;
    hpt__cov cov;
    double theta[COLUMNS + 2];
    double x[(LARGEST + 1) * COLUMNS];
    uint64_t mask[LARGEST + 1];
    double out[CANDIDATES];
    int64_t n, memory;
} probe;

static int time_factor(probe *p, double *seconds) {
    double logdet;
    int64_t info = 0;
    const double start = hpt__now_mono();
    const int rc = p->ops->model_factor(p->model, p->theta, 0, &logdet, &info);
    *seconds = hpt__now_mono() - start;
    return rc < 0 || info ? -1 : 0;
}

static int time_posterior(probe *p, double *seconds) {
    const double start = hpt__now_mono();
    const int rc = p->ops->posterior(p->model, p->x, p->mask, CANDIDATES, NULL, p->out, NULL, NULL);
    *seconds = hpt__now_mono() - start;
    return rc;
}

static int time_append(probe *p, double *seconds) {
    double logdet;
    int64_t info = 0;
    if (p->ops->model_truncate(p->model, p->n) < 0) return -1;
    if (p->ops->model_set_points(p->model, p->n, p->x + p->n * COLUMNS, p->mask, 1) < 0) return -1;
    const double start = hpt__now_mono();
    const int rc = p->ops->model_append(p->model, &logdet, &info);
    *seconds = hpt__now_mono() - start;
    return rc < 0 || info ? -1 : 0;
}

static int fastest(double *out, probe *p, int (*once)(probe *, double *)) {
    *out = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double seconds;
        if (once(p, &seconds) < 0) return -1;
        if (seconds < *out) *out = seconds;
    }
    if (*out < 1e-9) *out = 1e-9; // the clock's own resolution
    return 0;
}

static int set_size(probe *p, int64_t n) {
    p->n = n;
    return p->ops->model_set_points(p->model, 0, p->x, p->mask, n);
}

static int measure(hpt__rates *r, probe *p) {
    double seconds, first = 0;
    if (set_size(p, 1) < 0 || fastest(&r->call, p, time_factor) < 0) return -1;
    for (int64_t n = START;; n *= 2) {
        if (set_size(p, n) < 0 || fastest(&seconds, p, time_factor) < 0) return -1;
        if (n == START) first = seconds;
        const hpt__model_shape twice = {.n = 2 * n, .d = COLUMNS, .n_terms = 1, .m = CANDIDATES, .s = 1};
        if (n >= LARGEST || seconds > 0.004 || p->ops->need_bytes(&twice) > p->memory) break;
    }
    // What is left without the cost of the call; at least a tenth, where the call is nearly all of it.
    const double least = 0.1;
    const hpt__model_shape shape = {.n = p->n, .d = COLUMNS, .n_terms = 1, .m = CANDIDATES, .s = 1};
    // What a factor of START points takes beyond its call and its flops is its columns'.
    hpt__model_shape small = shape;
    small.n = START;
    r->factor = fmax(seconds - r->call, least * seconds) / hpt__op_flops(HPT__OP_FACTOR, &shape);
    r->column = fmax(first - r->call - r->factor * hpt__op_flops(HPT__OP_FACTOR, &small), 1e-10) / START;
    r->factor =
        fmax(seconds - r->call - r->column * (double)p->n, least * seconds) / hpt__op_flops(HPT__OP_FACTOR, &shape);
    if (fastest(&seconds, p, time_posterior) < 0) return -1;
    r->solve = fmax(seconds - r->call, least * seconds) / hpt__op_flops(HPT__OP_POSTERIOR, &shape);
    if (fastest(&seconds, p, time_append) < 0) return -1;
    r->byte = fmax(seconds - r->call, least * seconds) / hpt__op_bytes(HPT__OP_APPEND, &shape);
    return 0;
}

static int calibrate(hpt__rates *r, const hpt__device *device) {
    static const uint8_t categorical[COLUMNS];
    static const int32_t block[COLUMNS];
    static const uint64_t term = 1;
    int rc = -1;
    probe *p = hpt__calloc(1, sizeof *p);
    if (!p) return -1;
    p->ops = device->ops;
    p->ctx = device->ctx;
    p->memory = hpt__device_memory(device);
    p->cov = (hpt__cov){HPT__COV_MATERN52, COLUMNS, categorical, block, 1, 1, &term};
    p->theta[COLUMNS + 1] = -4; // noise
    for (int64_t i = 0; i < (LARGEST + 1) * COLUMNS; i++)
        p->x[i] = fmod((double)(i + 1) * 0.61803398874989485, 1); // spread
    for (int64_t i = 0; i <= LARGEST; i++) p->mask[i] = 1;
    if (p->ops->model_create(&p->model, p->ctx, &p->cov, START) == 0) {
        rc = measure(r, p);
        p->ops->model_destroy(p->model);
    }
    hpt__free(p);
    return rc;
}

// ---- the cache

static void device_key(hpt__str *out, const hpt__device *d) {
    hpt__str_addf(out, "%s|%s|%s|%lld|%s", d->ops->name, d->desc.name, d->desc.library, (long long)d->options.n_threads,
                  hpt_version_string());
}

// Folder of the cache, empty if there is none; made on the way where make.
static void cache_folder(hpt__str *out, bool make) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && base[0] == '/') {
        hpt__str_add(out, base);
    } else if (home && home[0] == '/') {
        hpt__str_addf(out, "%s/.cache", home);
    } else {
        return;
    }
    if (make) (void)mkdir(hpt__str_text(out), 0700);
    hpt__str_add(out, "/hpt_gpu");
    if (make) (void)mkdir(hpt__str_text(out), 0700);
}

static void cache_path(hpt__str *out, const hpt__device *d, const char *key, bool make) {
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (const char *p = key; *p; p++) hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
    cache_folder(out, make);
    if (out->len) hpt__str_addf(out, "/rates-%s-%016llx.json", d->ops->name, (unsigned long long)hash);
}

static bool good(double v) {
    return v > 0 && v < 1e6;
}

static bool read_rates(hpt__rates *r, const char *path, const char *key) {
    char text[FILE_MAX];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    if (n <= 0) return false;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *v;
    bool found = false;
    if (hpt__json_parse(&v, &arena, text, (size_t)n) == 0) {
        const char *stored = hpt__json_string(hpt__json_get(v, "device"));
        found = stored && strcmp(stored, key) == 0 && hpt__json_number(&r->call, hpt__json_get(v, "call")) &&
                hpt__json_number(&r->column, hpt__json_get(v, "column")) &&
                hpt__json_number(&r->factor, hpt__json_get(v, "factor")) &&
                hpt__json_number(&r->solve, hpt__json_get(v, "solve")) &&
                hpt__json_number(&r->byte, hpt__json_get(v, "byte")) && good(r->call) && good(r->column) &&
                good(r->factor) && good(r->solve) && good(r->byte);
    }
    hpt__arena_fini(&arena);
    return found;
}

static void write_rates(const hpt__rates *r, const char *path, const char *key) {
    hpt__str text = HPT__STR_INIT;
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"call", r->call}, {"column", r->column}, {"factor", r->factor}, {"solve", r->solve}, {"byte", r->byte}};
    hpt__str_add(&text, "{\"device\":");
    hpt__str_add_json_string(&text, key, strlen(key));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        hpt__str_addf(&text, ",\"%s\":", fields[i].name);
        hpt__str_add_double(&text, fields[i].value);
    }
    hpt__str_add(&text, "}\n");
    const int rc = text.failed ? HPT_E_MEMORY : hpt__replace_file(path, 0600, text.data, text.len);
    (void)rc; // without it the next process measures again
    hpt__str_fini(&text);
}

// Measured or from the cache; where measuring fails, rates of a slow machine.
static void find_rates(hpt__device *device) {
    hpt__str key = HPT__STR_INIT, path = HPT__STR_INIT;
    static const hpt__rates slow = {1e-6, 1e-6, 1e-9, 1e-9, 1e-9};
    hpt__rates r = slow;
    device_key(&key, device);
    cache_path(&path, device, hpt__str_text(&key), false);
    const bool usable = path.len > 0 && !path.failed && !key.failed;
    if (!usable || !read_rates(&r, path.data, key.data)) {
        hpt__rates measured;
        if (calibrate(&measured, device) == 0) {
            r = measured;
            if (usable) {
                hpt__str_clear(&path);
                cache_path(&path, device, key.data, true);
                if (!path.failed) write_rates(&r, path.data, key.data);
            }
        } else {
            r = slow;
        }
    }
    device->rates = r;
    device->calibrated = true;
    hpt__str_fini(&key);
    hpt__str_fini(&path);
}

double hpt__device_cost(hpt__device *device, hpt__op op, const hpt__model_shape *shape) {
    if (!device->ops->supports(op, shape)) return INFINITY;
    if (!device->calibrated) find_rates(device);
    const hpt__rates *r = &device->rates;
    switch (op) {
    case HPT__OP_FACTOR:
        return r->call + (double)shape->n * r->column + hpt__op_flops(op, shape) * r->factor;
    case HPT__OP_MLL: // a factor, an inverse, a product of triangles
        return r->call + 3 * (double)shape->n * r->column + hpt__op_flops(op, shape) * r->factor;
    case HPT__OP_POSTERIOR:
    case HPT__OP_POSTERIOR_GRAD:
    case HPT__OP_PATHS:
        return r->call + hpt__op_flops(op, shape) * r->solve;
    case HPT__OP_APPEND:
    case HPT__OP_COUNT:
        break;
    }
    // A few rows are bound by reading the factor, many by the products.
    return r->call + hpt__op_bytes(op, shape) * r->byte +
           (shape->s > 1 ? hpt__op_flops(op, shape) * r->solve * (1 - 1 / (double)shape->s) : 0);
}
