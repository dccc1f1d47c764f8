// SPDX-License-Identifier: Apache-2.0
// sampler_auto.c: the default: a good start, then a model, and no point twice where points can be counted.
//
//   the start              sampler_start.c: the centre, then the scrambled Sobol sequence with stratified choices
//   one objective          the Gaussian process (sampler_gp.c); TPE where that cannot help: more than 500 parameters that
//                          vary, a parameter with more than 2,000 choices, or no device; why is logged and stands in the stats
//   several objectives     the Sobol sequence goes on
// The start goes on while too few trials have a result.
//
// In a finite space of up to 100,000 points a point that some trial has already (told or running) is replaced by a near
// one without a trial, and when every point has had its trial the answer is HPT_S_EXHAUSTED: auto takes the objective as
// repeatable. Who wants repeats of a noisy one asks tpe or random by name, or enqueues points.
// A trial with coordinates fixed by its user is completed and never replaced.
//
// Ownership: the state owns the samplers it is made of. Threads: one call at a time (the study's lock).
// Cost: that of gp or tpe; sampler_visited.c for the set of points.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "sampler_ops.h"
#include "sampler_start.h"
#include "sampler_visited.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint64_t AUTO_TAG = 0x6175746f; // "auto"

enum { TPE_STARTUP = 16, GP_PARAMS = 500, GP_CHOICES = 2000 };

typedef struct auto_state {
    hpt__sampler_env env;
    hpt__start *start;
    const hpt__sampler_ops *model; // gp or tpe; NULL: several objectives
    void *model_state;
    char why[160];         // the model is tpe
    hpt__visited *visited; // NULL: the space is not small
    hpt__options options;
} auto_state;

static void auto_destroy(void *state) {
    auto_state *s = state;
    if (!s) return;
    hpt__start_destroy(s->start);
    if (s->model) s->model->destroy(s->model_state);
    hpt__visited_destroy(s->visited);
    hpt__free(s);
}

// Whether a Gaussian process cannot help in this space, with the reason.
static bool beyond_gp(char *why, size_t size, const hpt_space *space) {
    int64_t n = 0;
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        n += !hpt__param_fixed(p);
        if (p->kind != HPT__PARAM_CATEGORICAL || p->n_choices <= GP_CHOICES) continue;
        (void)snprintf(why, size, "parameter '%.80s' has %lld choices", p->name, (long long)p->n_choices);
        return true;
    }
    if (n <= GP_PARAMS) return false;
    (void)snprintf(why, size, "the space varies %lld parameters", (long long)n);
    return true;
}

static int make_tpe(auto_state *s) {
    if (s->options.auto_n_startup == 0) s->options.auto_n_startup = TPE_STARTUP;
    s->model = &hpt__sampler_tpe_ops;
    hpt__log(HPT_LOG_INFO, "sampler auto: tpe and not gp chooses, because %s", s->why);
    int rc = s->model->create(&s->model_state, &s->env);
    if (rc < 0) s->model = NULL;
    return rc;
}

static int make_model(auto_state *s) {
    if (beyond_gp(s->why, sizeof s->why, s->env.space)) return make_tpe(s);
    int rc = hpt__sampler_gp_ops.create(&s->model_state, &s->env);
    if (rc >= 0) s->model = &hpt__sampler_gp_ops;
    return rc;
}

static int auto_create(void **state, const hpt__sampler_env *env) {
    int rc = 0;
    auto_state *s = hpt__calloc(1, sizeof *s);
    if (!s) HPT_TRY(hpt__fail_memory());
    s->env = *env;
    s->options = *env->options;
    if (s->options.auto_n_startup > 0) s->options.gp_n_startup = s->options.auto_n_startup;
    s->env.options = &s->options;
    if (env->k == 1) HPT_TRY(make_model(s));
    HPT_TRY(hpt__start_create(&s->start, &s->env, s->options.auto_n_startup));
    HPT_TRY(hpt__visited_create(&s->visited, env->space));
    *state = s;
    s = NULL;
out:
    auto_destroy(s);
    return rc < 0 ? rc : 0;
}

static int choose(double *point, const char **by, auto_state *s, const hpt__trials *table, int64_t number) {
    int rc = HPT_E_DEVICE;
    if (s->model == &hpt__sampler_gp_ops) {
        rc = s->model->suggest(point, by, s->model_state, table, number);
        if (rc != HPT_E_DEVICE || (s->env.device && strcmp(s->env.device, "auto") != 0)) return rc;
        (void)snprintf(s->why, sizeof s->why, "%.150s", hpt_last_error());
        s->model->destroy(s->model_state);
        s->model = NULL;
        rc = make_tpe(s);
        if (rc < 0) return rc;
    }
    const int64_t n_results = table->counts[HPT_TRIAL_COMPLETE] + table->counts[HPT_TRIAL_PRUNED];
    if (s->model && number >= s->options.auto_n_startup && n_results > 0 && n_results >= s->options.tpe_n_startup)
        return s->model->suggest(point, by, s->model_state, table, number);
    return hpt__start_suggest(point, by, s->start, table, number);
}

static int auto_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    int rc = 0;
    auto_state *s = state;
    bool free_choice = s->visited != NULL;
    for (int64_t i = 0; i < s->env.space->d; i++)
        if (!isnan(point[i])) free_choice = false;
    if (free_choice) {
        HPT_TRY(hpt__visited_sync(s->visited, table, number));
        if (hpt__visited_left(s->visited) == 0) return HPT_S_EXHAUSTED;
    }
    HPT_TRY(choose(point, by, s, table, number));
    if (free_choice && hpt__visited_has(s->visited, point)) {
        hpt__rng rng;
        hpt__rng_init(&rng, s->env.seed, hpt__rng_mix(AUTO_TAG, (uint64_t)number));
        hpt__visited_replace(point, s->visited, &rng);
        *by = "enumeration";
    }
out:
    return rc;
}

static int auto_save(hpt__str *out, void *state) {
    auto_state *s = state;
    return s->model && s->model->save ? s->model->save(out, s->model_state) : HPT_S_NOTHING;
}

static int auto_load(void *state, const char *json) {
    auto_state *s = state;
    return s->model && s->model->load ? s->model->load(s->model_state, json) : 0;
}

static void auto_describe(hpt__str *out, void *state) {
    const auto_state *s = state;
    if (s->model == &hpt__sampler_gp_ops) {
        s->model->describe(out, s->model_state);
    } else if (s->why[0]) {
        hpt__str_add(out, "{\"policy\":\"tpe\",\"because\":");
        hpt__str_add_json_string(out, s->why, strlen(s->why));
        hpt__str_addc(out, '}');
    }
}

static int auto_explain(hpt__str *out, const char *json, const hpt_space *space) {
    return hpt__sampler_gp_ops.explain(out, json, space); // the only one of its models that saves
}

const hpt__sampler_ops hpt__sampler_auto_ops = {
    .name = "auto",
    .doc = "centre and Sobol points, then gp; never a point twice in a small finite space",
    .create = auto_create,
    .destroy = auto_destroy,
    .suggest = auto_suggest,
    .save = auto_save,
    .load = auto_load,
    .describe = auto_describe,
    .explain = auto_explain,
};
