// SPDX-License-Identifier: Apache-2.0
// gp_sampler_saved.c: what sampler gp stores with a study and takes up again, so that who resumes it asks what the killed
// process would have.
//
//   {"gp": {"model": what gp.h saves, "limit": n, "limit_by": "seconds", "round": n, "device": "cpu", "asks": n,
//           "seconds": s, "instead_of": "cuda:0", "because": "...", "upto": n, "local": [entries] or null}}
// The archive's first `upto` entries had come when the fit was made; local: those of them that the model has. limit: points
// of an exact model, where that is decided; round: of the trust region around whose centre a local model lies. device, asks, their
// seconds and which device failed are for people (hpt show).
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "../base/map.h"
#include "gp_sampler.h"

#include <math.h>
#include <string.h>

enum { UNSAVED = 64 }; // results that come between two saves at most, beside a quarter of all

int hpt__gp_sampler_save_text(hpt__str *out, const hpt__gp_sampler *s) {
    hpt__str_add(out, "{\"gp\": {\"model\": ");
    hpt__gp_state_json(out, s->gp);
    if (s->limit.points > 0)
        hpt__str_addf(out, ", \"limit\": %lld, \"limit_by\": \"%s\", \"round\": %lld", (long long)s->limit.points,
                      hpt__gp_limit_names[s->limit.by], (long long)s->round);
    hpt__str_addf(out, ", \"device\": \"%s\", \"asks\": %lld, \"seconds\": ", hpt__device_name(s->device),
                  (long long)s->n_asks);
    hpt__str_add_double(out, s->ask_seconds);
    hpt__fallback_json(out, &s->fallback);
    hpt__str_addf(out, ", \"upto\": %lld, \"local\": ", (long long)s->upto);
    if (!s->local) {
        hpt__str_add(out, "null}}");
        return hpt__str_status(out);
    }
    for (int64_t i = 0; i < s->n_model; i++) hpt__str_addf(out, "%s%lld", i ? ", " : "[", (long long)s->in_model[i]);
    hpt__str_add(out, s->n_model > 0 ? "]}}" : "[]}}");
    return hpt__str_status(out);
}

// Whether the state is another than the one saved last. What says how the factor was made, which comes last and changes
// with every row, does not count: from the saved one on it is made again by the same steps.
int hpt__gp_sampler_notice_change(hpt__gp_sampler *s) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    hpt__gp_state_json(&text, s->gp);
    HPT_TRY(hpt__str_status(&text));
    const char *factor = strstr(text.data, "\"factor\"");
    const uint64_t hash = hpt__hash(text.data, factor ? (size_t)(factor - text.data) : text.len);
    if (hash != s->state_hash) s->changed = true;
    s->state_hash = hash;
out:
    hpt__str_fini(&text);
    return rc;
}

static bool entries(int64_t *which, const hpt__json *list, const hpt__gp_archive *a, int64_t n) {
    for (int64_t i = 0; i < list->a.n; i++)
        if (!hpt__json_integer(&which[i], list->a.items[i]) || which[i] < (i > 0 ? which[i - 1] + 1 : 0) ||
            which[i] >= n || a->kind[which[i]] == HPT__GP_LEFT_OUT)
            return false;
    return true;
}

// The decision how many points are modelled exactly; what cannot be read is decided anew.
static void read_decisions(hpt__gp_sampler *s, const hpt__json *root) {
    int64_t points, round, asks;
    double seconds;
    const char *by = hpt__json_string(hpt__json_get(root, "limit_by"));
    const char *device = hpt__json_string(hpt__json_get(root, "device"));
    if (device && strcmp(device, hpt__device_name(s->device)) != 0) s->changed = true; // the record says what runs
    // An accelerator's number would take the host minutes an ask; the host's would waste the accelerator.
    const bool stands = !device || hpt__device_names_host(device) == hpt__device_is_host(s->device);
    for (int k = 0; stands && by && k < 3; k++)
        if (strcmp(by, hpt__gp_limit_names[k]) == 0 && hpt__json_integer(&points, hpt__json_get(root, "limit")) &&
            points > 0 && points <= 1000000)
            s->limit = (hpt__gp_limit){points, (hpt__gp_limit_by)k};
    if (hpt__json_integer(&round, hpt__json_get(root, "round"))) s->round = round;
    if (hpt__json_integer(&asks, hpt__json_get(root, "asks")) && asks > 0 &&
        hpt__json_number(&seconds, hpt__json_get(root, "seconds"))) {
        s->n_asks = asks;
        s->ask_seconds = seconds;
    }
}

// HPT_S_NOTHING: there is not the memory for it, less than where the state was saved; update takes fewer points.
static int make_factor(hpt__gp_sampler *s) {
    const int rc = hpt__gp_ready(s->gp);
    return rc == HPT_E_MEMORY && s->n_model > HPT__GP_STEP_FROM ? HPT_S_NOTHING : rc;
}

// A state that does not fit: another program removed trials, a newer version wrote it. What came later is told one by one,
// as it came, so that the factor is made by the same steps; unless there is more than a process that was there all the time
// can have left unsaved (a fit is due when n has grown by a tenth): then others went on with the study, and update tells
// it at once.
int hpt__gp_sampler_restore(hpt__gp_sampler *s) {
    int rc = 0;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *root = NULL;
    int64_t upto = 0, *which = NULL;
    const char *text = s->loaded;
    rc = hpt__json_parse(&root, &arena, text, strlen(text));
    if (rc == HPT_E_MEMORY) goto out;
    root = hpt__json_get(root, "gp");
    read_decisions(s, root);
    const hpt__json *local = hpt__json_get(root, "local"), *model = hpt__json_get(root, "model");
    bool good =
        rc >= 0 && model && hpt__json_integer(&upto, hpt__json_get(root, "upto")) && upto >= 0 && upto <= s->archive.n;
    if (good && local && local->kind == HPT__JSON_ARRAY) {
        which = hpt__malloc((size_t)(local->a.n + 1) * sizeof *which);
        if (!which) HPT_TRY(hpt__fail_memory());
        good = entries(which, local, &s->archive, upto);
        if (good) HPT_TRY(hpt__gp_sampler_tell_anew(s, which, local->a.n, upto));
        s->local = good;
    } else if (good) {
        HPT_TRY(hpt__gp_sampler_tell_upto(s, upto));
    }
    if (good && s->n_model > 0) {
        rc = hpt__gp_state_from_json(s->gp, model);
        if (rc == HPT_E_MEMORY) goto out;
        good = rc >= 0;
        if (good) HPT_TRY(make_factor(s));
    }
    const bool one_by_one = rc != HPT_S_NOTHING && s->n_model > 0 && s->archive.n - s->upto <= UNSAVED + upto / 4;
    for (int64_t i = s->upto; good && one_by_one && rc != HPT_S_NOTHING && i < s->archive.n; i++) {
        HPT_TRY(hpt__gp_sampler_tell_upto(s, i + 1));
        HPT_TRY(make_factor(s));
    }
    if (!good)
        hpt__log(HPT_LOG_WARN, "sampler gp: its stored state does not fit the study's trials; it is fitted anew");
    rc = 0;
out:
    if (rc >= 0) {
        hpt__free(s->loaded);
        s->loaded = NULL;
    }
    hpt__free(which);
    hpt__arena_fini(&arena);
    return rc;
}

// ---- for people

static void add_number(hpt__str *out, const char *key, double v) {
    hpt__str_addf(out, ", \"%s\": ", key);
    hpt__str_add_double(out, v);
}

static void explain_theta(hpt__str *out, const hpt__json *theta, const hpt__gp_code *code) {
    double v;
    const int64_t p = hpt__cov_n_theta(&code->cov);
    if (!theta || theta->kind != HPT__JSON_ARRAY || theta->a.n != p) return;
    if (hpt__json_number(&v, theta->a.items[p - 1])) add_number(out, "noise_sd", exp(0.5 * v));
    hpt__str_add(out, ", \"lengthscale\": {");
    for (int64_t c = 0; c < code->cov.d; c++) {
        const char *name = code->space->params[code->param[c]].name;
        hpt__str_add(out, c ? ", " : "");
        hpt__str_add_json_string(out, name, strlen(name));
        hpt__str_add(out, ": ");
        hpt__str_add_double(out, hpt__json_number(&v, theta->a.items[c]) ? exp(v) : 0);
    }
    hpt__str_addc(out, '}');
}

int hpt__gp_sampler_explain(hpt__str *out, const char *json, const hpt_space *space) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *root = NULL;
    hpt__gp_code code = {0};
    hpt__arena_init(&arena);
    rc = hpt__json_parse(&root, &arena, json, strlen(json));
    if (rc == HPT_E_MEMORY) goto out;
    root = hpt__json_get(root, "gp");
    const hpt__json *model = hpt__json_get(root, "model"), *local = hpt__json_get(root, "local");
    if (rc < 0 || !model) {
        rc = HPT_S_NOTHING;
        goto out;
    }
    HPT_TRY(hpt__gp_code_init(&code, space, HPT__COV_MATERN52));
    const bool part = local && local->kind == HPT__JSON_ARRAY;
    const char *kernel, *warp, *text;
    const hpt__json *theta = hpt__gp_state_theta(&kernel, &warp, model);
    int64_t upto = 0, n;
    double seconds;
    (void)hpt__json_integer(&upto, hpt__json_get(root, "upto"));
    hpt__str_addf(out, "{\"policy\": \"%s\", \"points\": %lld", part ? "local" : "exact",
                  (long long)(part ? local->a.n : upto));
    if (hpt__json_integer(&n, hpt__json_get(root, "limit"))) hpt__str_addf(out, ", \"limit\": %lld", (long long)n);
    static const char *const texts[] = {"limit_by", "device", "instead_of", "because"};
    for (int k = 0; k < 4; k++) {
        if (!(text = hpt__json_string(hpt__json_get(root, texts[k])))) continue;
        hpt__str_addf(out, ", \"%s\": ", texts[k]);
        hpt__str_add_json_string(out, text, strlen(text));
    }
    if (hpt__json_integer(&n, hpt__json_get(root, "asks")) && n > 0 &&
        hpt__json_number(&seconds, hpt__json_get(root, "seconds")))
        add_number(out, "seconds_per_ask", seconds / (double)n);
    if (kernel) hpt__str_addf(out, ", \"kernel\": \"%s\"", kernel);
    if (warp) {
        hpt__str_addf(out, ", \"transformation\": \"%s\"", warp);
        explain_theta(out, theta, &code);
    }
    hpt__str_addc(out, '}');
    rc = hpt__str_status(out);
out:
    hpt__gp_code_fini(&code);
    hpt__arena_fini(&arena);
    return rc;
}
