// SPDX-License-Identifier: Apache-2.0
// gp_state.c: what a surrogate knows beyond its data, as JSON: hyperparameters of each variant, the chosen one, the
// schedule, and how its factor came about (so that rounding repeats). Doubles are written as the shortest text that reads
// back as the same number. Numbers that were read are held against the bounds of the fit before anything is taken over:
// another version's are worth less than a fit, and what is within can be factored.
#include "gp_impl.h"

#include <math.h>
#include <string.h>

static const char *const warp_names[HPT__WARP_COUNT] = {"none", "log_tail"};
static const char *const variant_names[HPT__GP_VARIANTS] = {"none", "log_tail", "rbf_none", "rbf_log_tail"};

static void add_theta(hpt__str *out, const double *theta, int64_t p) {
    hpt__str_addc(out, '[');
    for (int64_t j = 0; j < p; j++) {
        if (j > 0) hpt__str_add(out, ", ");
        hpt__str_add_double(out, theta[j]);
    }
    hpt__str_addc(out, ']');
}

static const char *one_of(const hpt__json *name, const char *const *names, int n) {
    const char *text = hpt__json_string(name);
    for (int i = 0; text && i < n; i++)
        if (strcmp(text, names[i]) == 0) return names[i];
    return NULL;
}

// Named by the kernel itself and not by its number here: a state outlives the option that says which ones there are.
static const char *variant_name(hpt__cov_kind kind, int warp) {
    return variant_names[(kind == HPT__COV_RBF ? HPT__WARP_COUNT : 0) + warp];
}

static int n_variants(const hpt__gp *gp) {
    return gp->two_kernels ? HPT__GP_VARIANTS : HPT__WARP_COUNT;
}

static const char *name_of(const hpt__gp *gp, int v) {
    return variant_name(gp->cov[v / HPT__WARP_COUNT].kind, v % HPT__WARP_COUNT);
}

void hpt__gp_state_json(hpt__str *out, const hpt__gp *gp) {
    hpt__str_addf(
        out,
        "{\"kernel\": \"%s\", \"warp\": \"%s\", \"n_fit\": %lld, \"n_restart\": %lld, \"n_searches\": %lld, \"changed\": %s",
        hpt__cov_kind_names[hpt__gp_cov(gp)->kind], warp_names[gp->warp.kind], (long long)gp->n_fit,
        (long long)gp->n_restart, (long long)gp->n_searches, gp->changed ? "true" : "false");
    for (int v = 0; v < n_variants(gp); v++) {
        const hpt__gp_optimum *o = &gp->optimum[v];
        if (!o->found) continue;
        hpt__str_addf(out, ", \"%s\": {\"score\": ", name_of(gp, v));
        hpt__str_add_double(out, o->score);
        hpt__str_add(out, ", \"theta\": ");
        add_theta(out, o->theta, gp->p);
        hpt__str_addc(out, '}');
    }
    const bool waits = gp->n_resume > 0; // as it was read
    if (waits || gp->n_factor > 0) {
        int64_t rows = waits ? gp->n_resume_rows : hpt__model_rows(gp->model);
        if (!waits && rows > gp->n) rows = gp->n; // pending ones come anew
        hpt__str_addf(out, ", \"factor\": {\"first\": %lld, \"rows\": %lld, \"theta\": ",
                      (long long)(waits ? gp->n_resume : gp->n_factor), (long long)rows);
        add_theta(out, waits ? gp->theta_resume : gp->theta_factor, gp->p);
        hpt__str_addc(out, '}');
    }
    hpt__str_addc(out, '}');
}

static bool read_theta(double *theta, const hpt__json *array, const hpt__gp *gp) {
    if (!array || array->kind != HPT__JSON_ARRAY || array->a.n != gp->p) return false;
    for (int64_t j = 0; j < gp->p; j++)
        if (!hpt__json_number(&theta[j], array->a.items[j]) || !(theta[j] >= gp->low[j] && theta[j] <= gp->high[j]))
            return false;
    return true;
}

static bool read_count(int64_t *out, const hpt__json *object, const char *key) {
    return hpt__json_integer(out, hpt__json_get(object, key)) && *out >= 0 && *out <= INT32_MAX;
}

const hpt__json *hpt__gp_state_theta(const char **kernel, const char **warp, const hpt__json *object) {
    hpt__cov_kind kind = HPT__COV_MATERN52;
    *kernel = one_of(hpt__json_get(object, "kernel"), hpt__cov_kind_names, HPT__COV_KINDS);
    *warp = one_of(hpt__json_get(object, "warp"), warp_names, HPT__WARP_COUNT);
    if (*kernel) (void)hpt__cov_kind_of(&kind, *kernel);
    for (int k = 0; k < HPT__WARP_COUNT; k++)
        if (*warp == warp_names[k]) return hpt__json_get(hpt__json_get(object, variant_name(kind, k)), "theta");
    return NULL;
}

// The kernel that the state names; none: of a version that had Matern 5/2 only. -1: one that this surrogate does not choose.
static int kernel_of(const hpt__json *name, const hpt__gp *gp) {
    const char *text = hpt__json_string(name);
    if (!name) return gp->cov[0].kind == HPT__COV_MATERN52 ? 0 : -1;
    for (int k = 0; text && k <= (gp->two_kernels ? 1 : 0); k++)
        if (strcmp(text, hpt__cov_kind_names[gp->cov[k].kind]) == 0) return k;
    return -1;
}

int hpt__gp_state_from_json(hpt__gp *gp, const hpt__json *object) {
    int rc = 0;
    const int64_t p = gp->p;
    int64_t n_fit, n_restart, n_searches, first = 0, rows = 0;
    hpt__gp_optimum read[HPT__GP_VARIANTS] = {{0}};
    const char *warp = hpt__json_string(hpt__json_get(object, "warp"));
    const hpt__json *changed = hpt__json_get(object, "changed"), *factor = hpt__json_get(object, "factor");
    const int kernel = kernel_of(hpt__json_get(object, "kernel"), gp);
    int kind = 0;
    double *memory = hpt__calloc((size_t)(p * (HPT__GP_VARIANTS + 1)), sizeof *memory);
    if (!memory) HPT_TRY(hpt__fail_memory());
    double *theta_factor = memory + p * HPT__GP_VARIANTS;
    hpt__gp_bounds(gp->low, gp->high, &gp->code->cov, HPT__GP_NOISE_FLOOR);
    if (!isnan(gp->settings.noise)) { // one that is fixed, in units that change
        gp->low[p - 1] = log(HPT__GP_NOISE_LEAST);
        gp->high[p - 1] = log(HPT__GP_NOISE_MOST);
    }
    while (kind < HPT__WARP_COUNT && (!warp || strcmp(warp, warp_names[kind]) != 0)) kind++;
    HPT_FAIL_IF(kind == HPT__WARP_COUNT || !changed || changed->kind != HPT__JSON_BOOL ||
                    !read_count(&n_fit, object, "n_fit") || !read_count(&n_restart, object, "n_restart") ||
                    !read_count(&n_searches, object, "n_searches"),
                HPT_E_PARSE, "the stored state of a Gaussian process lacks its schedule or transformation");
    HPT_FAIL_IF(kernel < 0, HPT_E_PARSE, "the stored state of a Gaussian process has another kernel");
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        const hpt__json *o = v < n_variants(gp) ? hpt__json_get(object, name_of(gp, v)) : NULL;
        read[v].theta = memory + p * v;
        if (!o) continue;
        read[v].found = true;
        HPT_FAIL_IF(!hpt__json_number(&read[v].score, hpt__json_get(o, "score")) || isnan(read[v].score) ||
                        !read_theta(read[v].theta, hpt__json_get(o, "theta"), gp),
                    HPT_E_PARSE, "the stored state of a Gaussian process does not hold %lld hyperparameters for '%s'",
                    (long long)p, name_of(gp, v));
    }
    HPT_FAIL_IF(factor && (!read_count(&first, factor, "first") || !read_count(&rows, factor, "rows") ||
                           !read_theta(theta_factor, hpt__json_get(factor, "theta"), gp)),
                HPT_E_PARSE, "the stored state of a Gaussian process has a factor that cannot be read");
    HPT_TRY(hpt__gp_use_kernel(gp, kernel));
    for (int v = 0; v < HPT__GP_VARIANTS; v++) {
        double *own = gp->optimum[v].theta;
        memcpy(own, read[v].theta, (size_t)p * sizeof *own);
        gp->optimum[v] = (hpt__gp_optimum){.found = read[v].found, .score = read[v].score, .theta = own};
    }
    gp->n_fit = n_fit;
    gp->n_restart = n_restart;
    gp->n_searches = n_searches;
    gp->changed = changed->b;
    gp->warp.kind = (hpt__warp_kind)kind;
    gp->z_ready = gp->weights_ready = false;
    gp->n_factor = 0; // the next one is made as the saved one was
    gp->n_resume = first;
    gp->n_resume_rows = rows;
    memcpy(gp->theta_resume, theta_factor, (size_t)p * sizeof *theta_factor);
    if (read[hpt__gp_variant(gp)].found)
        HPT_TRY(hpt__gp_choose(gp, hpt__gp_variant(gp))); // the model is there: it cannot fail
    else
        hpt__gp_default_theta(gp->theta_used, &gp->code->cov);
    rc = 0;
out:
    hpt__free(memory);
    return rc;
}
