// SPDX-License-Identifier: Apache-2.0
// gp_sampler_saved.c: what sampler gp stores with a study and takes up again, so that who resumes it asks what the killed
// process would have.
//
//   {"gp": {"model": what gp.h saves, "limit": n, "limit_by": "seconds", "round": n, "upto": n, "local": [entries] or null}}
// The archive's first `upto` entries had come when the fit was made; local: those of them that the model has. limit: points
// of an exact model, where that is decided; round: of the trust region around whose centre a local model lies.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "../base/map.h"
#include "gp_sampler.h"

#include <string.h>

int hpt__gp_sampler_save_text(hpt__str *out, const hpt__gp_sampler *s) {
    hpt__str_add(out, "{\"gp\": {\"model\": ");
    hpt__gp_state_json(out, s->gp);
    if (s->limit.points > 0)
        hpt__str_addf(out, ", \"limit\": %lld, \"limit_by\": \"%s\", \"round\": %lld", (long long)s->limit.points,
                      hpt__gp_limit_names[s->limit.by], (long long)s->round);
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

static bool entries(int64_t *which, const hpt__json *list, int64_t n) {
    for (int64_t i = 0; i < list->a.n; i++)
        if (!hpt__json_integer(&which[i], list->a.items[i]) || which[i] < (i > 0 ? which[i - 1] + 1 : 0) ||
            which[i] >= n)
            return false;
    return true;
}

// The decision how many points are modelled exactly; what cannot be read is decided anew.
static void read_limit(hpt__gp_sampler *s, const hpt__json *root) {
    int64_t points, round;
    const char *by = hpt__json_string(hpt__json_get(root, "limit_by"));
    for (int k = 0; by && k < 3; k++)
        if (strcmp(by, hpt__gp_limit_names[k]) == 0 && hpt__json_integer(&points, hpt__json_get(root, "limit")) &&
            points > 0 && points <= 1000000)
            s->limit = (hpt__gp_limit){points, (hpt__gp_limit_by)k};
    if (hpt__json_integer(&round, hpt__json_get(root, "round"))) s->round = round;
}

// A state that does not fit: another program removed trials, a newer version wrote it.
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
    read_limit(s, root);
    const hpt__json *local = hpt__json_get(root, "local"), *model = hpt__json_get(root, "model");
    bool good =
        rc >= 0 && model && hpt__json_integer(&upto, hpt__json_get(root, "upto")) && upto >= 0 && upto <= s->archive.n;
    if (good && local && local->kind == HPT__JSON_ARRAY) {
        which = hpt__malloc((size_t)(local->a.n + 1) * sizeof *which);
        if (!which) HPT_TRY(hpt__fail_memory());
        good = entries(which, local, upto);
        if (good) HPT_TRY(hpt__gp_sampler_tell_anew(s, which, local->a.n, upto));
        s->local = good;
    } else if (good) {
        HPT_TRY(hpt__gp_sampler_tell_upto(s, upto));
    }
    if (good && s->n_model > 0) {
        rc = hpt__gp_state_from_json(s->gp, model);
        if (rc == HPT_E_MEMORY) goto out;
        good = rc >= 0;
        if (good) HPT_TRY(hpt__gp_ready(s->gp));
    }
    // What came later, one by one as it came: the factor is then made by the same steps.
    for (int64_t i = s->upto; good && s->n_model > 0 && i < s->archive.n; i++) {
        HPT_TRY(hpt__gp_sampler_tell_upto(s, i + 1));
        HPT_TRY(hpt__gp_ready(s->gp));
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
