// SPDX-License-Identifier: Apache-2.0
// sweep_resources.c: `hpt.resources`: what a trial asks for, as numbers or computed from its parameters.
//
// A text with a '{' is a formula (sweep_formula.c). Its extremes over the space are found at once, so that a sweep some of
// whose trials could never start is refused before any does.
#include "../base/num.h"
#include "../devices/ledger.h"
#include "../space/space_impl.h"
#include "sweep_formula.h"

#include <math.h>
#include <string.h>

static int read_bytes(int64_t *out, const hpt__check *c, const hpt__json *node, const char *path) {
    const char *text = hpt__json_string(node);
    if (text ? !hpt__parse_bytes(out, text, strlen(text)) : !hpt__json_integer(out, node))
        return hpt__check_fail(c, node, path, "needs a size: bytes, or e.g. 4GiB or 512MiB%s",
                               strstr(path, "gpu_memory") ? ", or learn" : "");
    if (*out < 1) return hpt__check_fail(c, node, path, "must be at least one byte");
    return HPT_OK;
}

static int read_amount(double *out, const hpt__check *c, const hpt__json *node, const char *path) {
    int rc = hpt__check_number(out, c, node, path);
    if (rc < 0) return rc;
    if (!(*out > 0 && *out <= 1e6)) return hpt__check_fail(c, node, path, "must be greater than 0; fractions are fine");
    return HPT_OK;
}

static int read_formula(const struct hpt__formula **out, double *low, double *high, const hpt__check *c,
                        const hpt__json *node, const char *path) {
    hpt__formula *f = NULL;
    const hpt_space *space = c->sweep->space;
    double *point = hpt__arena_alloc(c->arena, ((size_t)space->d + 1) * sizeof *point);
    if (!point) return hpt__fail_memory();
    int rc = hpt__formula_read(&f, c, node, path, space);
    if (rc < 0) return rc;
    if (hpt__formula_bounds(low, high, f, space, point) != 0)
        return hpt__check_fail(c, node, path, "'%.100s' is no finite number for some of the parameters' values",
                               hpt__formula_text(f));
    if (!(*low > 0) || *high > 1e18)
        return hpt__check_fail(c, node, path,
                               "'%.100s' lies between %g and %g; it must be greater than 0 for every "
                               "trial, e.g. by max(1, ...)",
                               hpt__formula_text(f), *low, *high);
    *out = f;
    return HPT_OK;
}

static bool is_formula(const hpt__json *node) {
    const char *text = hpt__json_string(node);
    return text && strchr(text, '{');
}

static int read_key(const hpt__check *c, const char *key, const hpt__json *v, const char *where) {
    hpt_sweep *s = c->sweep;
    hpt__amounts *least = &s->least;
    const bool bytes = strstr(key, "memory") != NULL;
    const struct hpt__formula **of = strcmp(key, "cpu") == 0      ? &s->cpu_of
                                     : strcmp(key, "gpu") == 0    ? &s->gpu_of
                                     : strcmp(key, "memory") == 0 ? &s->memory_of
                                                                  : &s->gpu_memory_of;
    double *low = of == &s->cpu_of      ? &least->cpu
                  : of == &s->gpu_of    ? &least->gpu
                  : of == &s->memory_of ? &least->memory
                                        : &least->gpu_memory;
    int64_t *size = of == &s->memory_of ? &s->memory_bytes : &s->gpu_memory_bytes;
    double *number = of == &s->cpu_of ? &s->cpu : &s->gpu, high = 0;
    int rc;
    if (is_formula(v)) {
        rc = read_formula(of, low, &high, c, v, where);
        if (rc < 0) return rc;
        if (bytes)
            *size = (int64_t)ceil(high);
        else
            *number = high;
        return HPT_OK;
    }
    if (of == &s->gpu_of && hpt__json_string(v) && hpt__is_mig_profile(hpt__json_string(v))) {
        s->gpu_profile = hpt__json_string(v);
        s->gpu = least->gpu = 1;
        return HPT_OK;
    }
    if (of == &s->gpu_memory_of && hpt__json_string(v) && strcmp(hpt__json_string(v), "learn") == 0) {
        s->gpu_memory_learned = true;
        return HPT_OK;
    }
    rc = bytes ? read_bytes(size, c, v, where) : read_amount(number, c, v, where);
    if (rc >= 0) *low = bytes ? (double)*size : *number;
    return rc;
}

int hpt__check_resources(const hpt__check *c, const hpt__json *node, const char *path) {
    static const char *const keys[] = {"cpu", "memory", "gpu", "gpu_memory", NULL};
    int rc = 0;
    hpt_sweep *s = c->sweep;
    HPT_TRY(hpt__check_map(c, node, path));
    HPT_TRY(hpt__check_keys(c, node, path, keys));
    for (int64_t i = 0; i < node->o.n; i++) {
        const char *key = node->o.keys[i], *where = hpt__check_path(c, path, key);
        if (!where) return hpt__fail_memory();
        HPT_TRY(read_key(c, key, node->o.values[i], where));
    }
    if (s->gpu_memory_learned && s->gpu >= 1)
        return hpt__check_fail(
            c, node, path, "gpu_memory: learn finds how many trials share a GPU; give a share (gpu: 0.25), or no gpu");
    if (s->gpu_memory_learned && s->gpu == 0) {
        s->gpu_follows = true;
        s->gpu = s->least.gpu = 1;
    }
    if (s->gpu_memory_bytes && s->gpu == 0)
        return hpt__check_fail(c, node, path,
                               "gpu_memory without gpu; say how much of a GPU a trial gets, e.g. gpu: 0.5");
    rc = 0;
out:
    return rc;
}

bool hpt__sweep_has_formula(const hpt_sweep *s) {
    return s->cpu_of || s->gpu_of || s->memory_of || s->gpu_memory_of;
}

static int amount(double *out, const hpt_sweep *s, const struct hpt__formula *f, double constant, const double *point,
                  const char *key) {
    *out = f ? hpt__formula_value(f, s->space, point) : constant;
    if (!f || (*out > 0 && *out <= 1e18)) return 0;
    return hpt__fail(HPT_E_ARG, "hpt:resources.%s: '%.100s' is %g for this trial", key, hpt__formula_text(f), *out);
}

int hpt__sweep_amounts(hpt__amounts *out, const hpt_sweep *s, const double *point) {
    int rc = amount(&out->cpu, s, s->cpu_of, s->cpu, point, "cpu");
    if (rc == 0) rc = amount(&out->gpu, s, s->gpu_of, s->gpu, point, "gpu");
    if (rc == 0) rc = amount(&out->memory, s, s->memory_of, (double)s->memory_bytes, point, "memory");
    if (rc == 0) rc = amount(&out->gpu_memory, s, s->gpu_memory_of, (double)s->gpu_memory_bytes, point, "gpu_memory");
    return rc;
}
