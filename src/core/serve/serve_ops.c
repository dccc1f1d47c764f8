// SPDX-License-Identifier: Apache-2.0
// serve_ops.c: the operations of the serve protocol, each a thin layer over the public functions of a study.
//
// A session looks trials up by number for every request instead of keeping handles, so that it can tell trials
// that an earlier session asked for, and so that nothing grows with the number of open trials.
// A NaN may be written as NaN or null: most JSON writers have no other way.
//
// Ownership: values from the request live in the session's arena until the next request. Threads: one at a time.
// Cost: that of the study's functions.
#include "serve_state.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../study/study_impl.h"
#include "../sweep/sweep_impl.h"

#include <math.h>
#include <string.h>

enum { MAX_ASK = 100000, MAX_OBJECTIVES = 64 };

// ---- reading a request ---------------------------------------------------------------------------------------

// null counts as absent: clients in languages with optional arguments pass theirs on.
static const hpt__json *optional(const hpt__json *request, const char *key) {
    const hpt__json *v = hpt__json_get(request, key);
    return v && v->kind == HPT__JSON_NULL ? NULL : v;
}

static int read_text(const char **out, const hpt__json *request, const char *key) {
    const hpt__json *v = optional(request, key);
    *out = NULL;
    if (!v) return 0;
    *out = hpt__json_string(v);
    if (!*out) return hpt__fail(HPT_E_ARG, "'%s' is a %s, not a string", key, hpt__json_kind_name(v->kind));
    if (strlen(*out) != v->s.len) return hpt__fail(HPT_E_ARG, "'%s' holds a NUL character", key);
    return 0;
}

// *given tells an absent key from a default; given NULL: the key is required.
static int read_int(int64_t *out, bool *given, const hpt__json *request, const char *key, int64_t low, int64_t high) {
    const hpt__json *v = optional(request, key);
    if (given) *given = v != NULL;
    if (!v) return given ? 0 : hpt__fail(HPT_E_ARG, "key '%s' is missing", key);
    int64_t i;
    if (!hpt__json_integer(&i, v)) {
        return hpt__fail(HPT_E_ARG, "'%s' is not an integer in [%lld, %lld]", key, (long long)low, (long long)high);
    }
    if (i < low || i > high) {
        return hpt__fail(HPT_E_ARG, "'%s' is %lld, outside [%lld, %lld]", key, (long long)i, (long long)low,
                         (long long)high);
    }
    *out = i;
    return 0;
}

static bool read_number(double *out, const hpt__json *v) {
    if (v && v->kind == HPT__JSON_NULL) {
        *out = NAN;
        return true;
    }
    return hpt__json_number(out, v);
}

static int read_numbers(double **out, int64_t *n, hpt_serve *serve, const hpt__json *list, const char *key) {
    if (list->kind != HPT__JSON_ARRAY) {
        return hpt__fail(HPT_E_ARG, "'%s' is a %s; write a list of numbers", key, hpt__json_kind_name(list->kind));
    }
    double *v = hpt__arena_alloc(&serve->arena, ((size_t)list->a.n + 1) * sizeof *v);
    if (!v) return hpt__fail_memory();
    for (int64_t i = 0; i < list->a.n; i++) {
        if (!read_number(&v[i], list->a.items[i])) {
            return hpt__fail(HPT_E_ARG, "'%s'[%lld] is a %s, not a number", key, (long long)i,
                             hpt__json_kind_name(list->a.items[i]->kind));
        }
    }
    *out = v;
    *n = list->a.n;
    return 0;
}

// ---- create, open --------------------------------------------------------------------------------------------

typedef struct pairs { // "key=value" for the options table, in the arena
    const char **items;
    int64_t n, cap;
} pairs;

static int add_pair(pairs *p, hpt_serve *serve, const char *prefix, const char *key, const hpt__json *value) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    HPT_FAIL_IF(value->kind == HPT__JSON_ARRAY || value->kind == HPT__JSON_OBJECT, HPT_E_ARG,
                "option '%s%s' is a %s; write a number, a string or true or false", prefix, key,
                hpt__json_kind_name(value->kind));
    hpt__str_add(&text, prefix);
    hpt__str_add(&text, key);
    hpt__str_addc(&text, '=');
    if (value->kind == HPT__JSON_STRING)
        hpt__str_add(&text, value->s.text);
    else
        hpt__json_compact(&text, value);
    HPT_TRY(hpt__str_status(&text));
    HPT_ASSERT(p->n < p->cap);
    p->items[p->n] = hpt__arena_strndup(&serve->arena, hpt__str_text(&text), text.len);
    if (!p->items[p->n]) {
        rc = hpt__fail_memory();
        goto out;
    }
    p->n++;
    rc = 0;
out:
    hpt__str_fini(&text);
    return rc;
}

// "tpe", or {"type":"tpe","n_startup":20}, whose other keys are options "tpe.n_startup".
static int read_tool(const char **name, pairs *p, hpt_serve *serve, const hpt__json *request, const char *key) {
    const hpt__json *v = hpt__json_get(request, key);
    if (!v || v->kind != HPT__JSON_OBJECT) return read_text(name, request, key);
    int rc = read_text(name, v, "type");
    if (rc < 0) return rc;
    if (!*name) return hpt__fail(HPT_E_ARG, "'%s' has no 'type'; write {\"type\":\"name\",...} or just \"name\"", key);
    char prefix[64];
    const size_t len = strlen(*name);
    if (len + 2 > sizeof prefix) return hpt__fail(HPT_E_ARG, "'%s': there is no type '%s'", key, *name);
    memcpy(prefix, *name, len);
    memcpy(prefix + len, ".", 2);
    for (int64_t i = 0; i < v->o.n; i++) {
        if (strcmp(v->o.keys[i], "type") == 0) continue;
        rc = add_pair(p, serve, prefix, v->o.keys[i], v->o.values[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

static int64_t size_of(const hpt__json *object) {
    return object && object->kind == HPT__JSON_OBJECT ? object->o.n : 0;
}

// [{"name":"loss","goal":"minimize"},...] -> directions and ["loss",...] (NULL if none has a name).
static int read_objectives(hpt_direction *directions, int64_t *n, hpt__json **names, hpt_serve *serve,
                           const hpt__json *request) {
    int rc = 0;
    const hpt__json *list = optional(request, "objectives");
    int64_t named = 0;
    hpt__json *all = NULL;
    *n = 0;
    *names = NULL;
    if (!list) goto out;
    HPT_FAIL_IF(list->kind != HPT__JSON_ARRAY || list->a.n == 0 || list->a.n > MAX_OBJECTIVES, HPT_E_ARG,
                "'objectives' is a list of 1 to %d objects like {\"name\":\"loss\",\"goal\":\"minimize\"}",
                MAX_OBJECTIVES);
    all = hpt__json_new(&serve->arena, HPT__JSON_ARRAY);
    if (!all) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < list->a.n; i++) {
        const hpt__json *item = list->a.items[i];
        const char *name = NULL, *goal = NULL;
        HPT_FAIL_IF(item->kind != HPT__JSON_OBJECT, HPT_E_ARG,
                    "'objectives'[%lld] is a %s; write {\"name\":\"loss\",\"goal\":\"minimize\"}", (long long)i,
                    hpt__json_kind_name(item->kind));
        for (int64_t k = 0; k < item->o.n; k++) {
            HPT_FAIL_IF(strcmp(item->o.keys[k], "name") != 0 && strcmp(item->o.keys[k], "goal") != 0, HPT_E_ARG,
                        "'objectives'[%lld]: unknown key '%s'; it takes 'name' and 'goal'", (long long)i,
                        item->o.keys[k]);
        }
        HPT_TRY(read_text(&name, item, "name"));
        HPT_TRY(read_text(&goal, item, "goal"));
        if (!goal || strcmp(goal, "minimize") == 0)
            directions[i] = HPT_MINIMIZE;
        else if (strcmp(goal, "maximize") == 0)
            directions[i] = HPT_MAXIMIZE;
        else
            HPT_FAIL_IF(true, HPT_E_ARG, "'goal' is '%s'; write 'minimize' or 'maximize'", goal);
        if (name) {
            named++;
            HPT_TRY(hpt__json_append(&serve->arena, all, hpt__json_new_string(&serve->arena, name, strlen(name))));
        }
    }
    *n = list->a.n;
    if (named == list->a.n) *names = all;
    rc = 0;
out:
    return rc;
}

static int open_study(hpt_serve *serve, const hpt__json *request, hpt_open_mode mode) {
    int rc = 0;
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    hpt_direction directions[MAX_OBJECTIVES];
    hpt__json *names = NULL;
    int64_t n_trials = 0, seed = 0;
    bool given = false;
    pairs p = {0};
    o.mode = mode;

    const hpt__json *options = optional(request, "options");
    HPT_FAIL_IF(options && options->kind != HPT__JSON_OBJECT, HPT_E_ARG,
                "'options' is a %s; write {\"tpe.n_startup\":20}", hpt__json_kind_name(options->kind));
    p.cap = size_of(options) + size_of(hpt__json_get(request, "sampler")) + size_of(hpt__json_get(request, "pruner"));
    p.items = hpt__arena_alloc(&serve->arena, ((size_t)p.cap + 1) * sizeof *p.items);
    if (!p.items) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(read_tool(&o.sampler, &p, serve, request, "sampler"));
    HPT_TRY(read_tool(&o.pruner, &p, serve, request, "pruner"));
    for (int64_t i = 0; i < size_of(options); i++)
        HPT_TRY(add_pair(&p, serve, "", options->o.keys[i], options->o.values[i]));
    o.options = p.items;
    o.n_options = p.n;
    HPT_TRY(read_text(&o.name, request, "study"));
    HPT_TRY(read_text(&o.storage, request, "storage"));
    HPT_TRY(read_text(&o.device, request, "device"));
    HPT_TRY(read_int(&seed, &o.has_seed, request, "seed", 0, INT64_MAX));
    o.seed = (uint64_t)seed;
    HPT_TRY(read_int(&n_trials, &given, request, "n_trials", 1, INT64_MAX));
    HPT_TRY(read_objectives(directions, &o.n_directions, &names, serve, request));
    o.directions = o.n_directions ? directions : NULL;
    const char *metric_names[MAX_OBJECTIVES];
    for (int64_t i = 0; names && i < o.n_directions; i++) metric_names[i] = hpt__json_string(names->a.items[i]);
    if (names && o.n_directions > 0) o.metric_names = metric_names;

    const hpt__json *parameters = optional(request, "parameters");
    HPT_FAIL_IF(!parameters && mode == HPT_OPEN_CREATE, HPT_E_ARG, "key 'parameters' is missing");
    if (parameters) {
        HPT_FAIL_IF(parameters->kind != HPT__JSON_OBJECT, HPT_E_ARG,
                    "'parameters' is a %s; write an object like {\"lr\":{\"min\":0.001,\"max\":0.1}}",
                    hpt__json_kind_name(parameters->kind));
        HPT_TRY(hpt__sweep_space(&space, parameters, NULL, NULL));
        o.space = space;
    }
    HPT_TRY(hpt_study_open(&study, &o));
    hpt_study_close(serve->study);
    serve->study = study;
    serve->n_trials = n_trials;
    study = NULL;
    hpt__str_add(&serve->reply, ",\"study\":");
    hpt__str_add_json_string(&serve->reply, hpt_study_name(serve->study), strlen(hpt_study_name(serve->study)));
    rc = 0;
out:
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc;
}

static int op_create(hpt_serve *serve, const hpt__json *request) {
    return open_study(serve, request, HPT_OPEN_CREATE);
}

static int op_open(hpt_serve *serve, const hpt__json *request) {
    return open_study(serve, request, HPT_OPEN_EXISTING);
}

// ---- trials in replies ---------------------------------------------------------------------------------------

static void add_number(hpt__str *out, double v) {
    const hpt__json number = {.kind = HPT__JSON_FLOAT, .f = v};
    hpt__json_compact(out, &number);
}

// full: with state and values; without, what an ask answers.
static int add_trial(hpt__str *out, hpt_trial *trial, bool full) {
    const char *params;
    const double *values;
    int64_t n;
    int rc = hpt_trial_params_json(&params, trial);
    if (rc < 0) return rc;
    hpt__str_addf(out, "{\"number\":%lld,", (long long)hpt_trial_number(trial));
    if (full) {
        rc = hpt_trial_values(&values, &n, trial);
        if (rc < 0) return rc;
        hpt__str_addf(out, "\"state\":\"%s\",\"values\":", hpt_trial_state_to_string(hpt_trial_get_state(trial)));
        for (int64_t i = 0; i < n; i++) {
            hpt__str_addc(out, i ? ',' : '[');
            add_number(out, values[i]);
        }
        hpt__str_add(out, n ? "]," : "null,");
    }
    hpt__str_add(out, "\"params\":");
    hpt__str_add(out, params);
    hpt__str_addc(out, '}');
    return 0;
}

// ---- ask, report, tell, enqueue ------------------------------------------------------------------------------

static int op_ask(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    bool given, exhausted = false;
    int64_t q = 1, n = 0;
    hpt_trial **trials = NULL;
    HPT_TRY(read_int(&q, &given, request, "n", 1, MAX_ASK));
    if (serve->n_trials > 0) {
        int64_t counts[5], started = 0;
        HPT_TRY(hpt_study_counts(counts, serve->study));
        for (int i = 0; i < 5; i++) started += i == HPT_TRIAL_WAITING ? 0 : counts[i];
        const int64_t left = started < serve->n_trials ? serve->n_trials - started : 0;
        if (q > left) {
            q = left;
            exhausted = true;
        }
    }
    trials = hpt__calloc((size_t)q + 1, sizeof *trials);
    if (!trials) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(hpt_study_ask_batch(trials, &n, serve->study, q));
    if (rc == HPT_S_EXHAUSTED) exhausted = true;
    hpt__str_add(&serve->reply, ",\"trials\":[");
    for (int64_t i = 0; i < n; i++) {
        if (i) hpt__str_addc(&serve->reply, ',');
        HPT_TRY(add_trial(&serve->reply, trials[i], false));
    }
    hpt__str_add(&serve->reply, exhausted ? "],\"exhausted\":true" : "]");
    rc = 0;
out:
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(trials[i]);
    hpt__free(trials);
    return rc;
}

static int op_report(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    int64_t number = 0, step = 0;
    double value = 0;
    bool prune = false;
    hpt_trial *trial = NULL;
    HPT_TRY(read_int(&number, NULL, request, "trial", 0, INT64_MAX));
    HPT_TRY(read_int(&step, NULL, request, "step", 0, INT64_MAX));
    const hpt__json *v = hpt__json_get(request, "value");
    HPT_FAIL_IF(!v, HPT_E_ARG, "key 'value' is missing");
    HPT_FAIL_IF(!read_number(&value, v), HPT_E_ARG, "'value' is a %s, not a number", hpt__json_kind_name(v->kind));
    HPT_TRY(hpt_study_trial(&trial, serve->study, number));
    HPT_TRY(hpt_trial_report(trial, step, value));
    HPT_TRY(hpt_trial_should_prune(&prune, trial));
    hpt__str_add(&serve->reply, prune ? ",\"prune\":true" : ",\"prune\":false");
    rc = 0;
out:
    hpt_trial_destroy(trial);
    return rc;
}

static int read_result(hpt_trial_state *state, double **values, int64_t *n, hpt_serve *serve,
                       const hpt__json *request) {
    const char *text;
    const hpt__json *list = optional(request, "values"), *one = hpt__json_get(request, "value");
    *values = NULL;
    *n = 0;
    int rc = read_text(&text, request, "state");
    if (rc < 0) return rc;
    if (one && one->kind == HPT__JSON_NULL && (text || list)) one = NULL; // absent; alone it is a NaN result
    if (list && one) return hpt__fail(HPT_E_ARG, "give 'values' or 'value', not both");
    if (list) {
        rc = read_numbers(values, n, serve, list, "values");
        if (rc < 0) return rc;
    } else if (one) {
        *values = hpt__arena_alloc(&serve->arena, sizeof **values);
        if (!*values) return hpt__fail_memory();
        if (!read_number(*values, one)) {
            return hpt__fail(HPT_E_ARG, "'value' is a %s, not a number", hpt__json_kind_name(one->kind));
        }
        *n = 1;
    }
    if (text) return hpt_trial_state_from_string(state, text);
    if (*n == 0) return hpt__fail(HPT_E_ARG, "a tell needs 'values', or 'state' 'fail' or 'pruned'");
    *state = HPT_TRIAL_COMPLETE;
    return 0;
}

static int op_tell(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    int64_t number, n, n_constraints;
    hpt_trial_state state;
    double *values, *constraints;
    hpt_trial *trial = NULL;
    hpt__str text = HPT__STR_INIT;
    HPT_TRY(read_int(&number, NULL, request, "trial", 0, INT64_MAX));
    HPT_TRY(read_result(&state, &values, &n, serve, request));
    const hpt__json *list = optional(request, "constraints");
    if (list) {
        HPT_TRY(read_numbers(&constraints, &n_constraints, serve, list, "constraints"));
        for (int64_t i = 0; i < n_constraints; i++) {
            HPT_FAIL_IF(isnan(constraints[i]), HPT_E_ARG, "'constraints'[%lld] is not a number", (long long)i);
        }
        hpt__json_dumps(&text, list);
        HPT_TRY(hpt__str_status(&text));
    }
    HPT_TRY(hpt_study_trial(&trial, serve->study, number));
    const hpt__attr_item attr = {"s:constraints", hpt__str_text(&text)};
    HPT_TRY(hpt__study_tell_attrs(serve->study, trial, state, values, n, &attr, list ? 1 : 0));
    if (rc == HPT_S_NOTHING) hpt__str_add(&serve->reply, ",\"state\":\"FAIL\"");
    rc = 0;
out:
    hpt_trial_destroy(trial);
    hpt__str_fini(&text);
    return rc;
}

static int op_enqueue(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    const hpt__json *params = hpt__json_get(request, "params");
    HPT_FAIL_IF(!params, HPT_E_ARG, "key 'params' is missing");
    hpt__json_compact(&text, params);
    HPT_TRY(hpt__str_status(&text));
    HPT_TRY(hpt_study_enqueue(serve->study, hpt__str_text(&text)));
    rc = 0;
out:
    hpt__str_fini(&text);
    return rc;
}

// ---- questions -----------------------------------------------------------------------------------------------

static int op_best(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    hpt_trial *trial = NULL;
    (void)request;
    HPT_TRY(hpt_study_best(&trial, serve->study));
    hpt__str_add(&serve->reply, ",\"trial\":");
    HPT_TRY(add_trial(&serve->reply, trial, true));
    rc = 0;
out:
    hpt_trial_destroy(trial);
    return rc;
}

static int op_pareto(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    int64_t n = 0;
    hpt_trial **trials = NULL;
    (void)request;
    HPT_TRY(hpt_study_pareto(&trials, &n, serve->study));
    hpt__str_add(&serve->reply, ",\"trials\":[");
    for (int64_t i = 0; i < n; i++) {
        if (i) hpt__str_addc(&serve->reply, ',');
        HPT_TRY(add_trial(&serve->reply, trials[i], true));
    }
    hpt__str_addc(&serve->reply, ']');
    rc = 0;
out:
    for (int64_t i = 0; i < n; i++) hpt_trial_destroy(trials[i]);
    hpt_free(trials);
    return rc;
}

// Lines become members of a list. Pieces end anywhere, lines at '\n', which JSON text escapes.
typedef struct line_joiner {
    hpt__str *out;
    bool line_ended;
} line_joiner;

static int join_lines(const char *text, size_t size, void *payload) {
    line_joiner *j = payload;
    while (size > 0) {
        if (j->line_ended) hpt__str_addc(j->out, ',');
        const char *end = memchr(text, '\n', size);
        const size_t n = end ? (size_t)(end - text) : size;
        hpt__str_addn(j->out, text, n);
        j->line_ended = end != NULL;
        text += n + (end ? 1 : 0);
        size -= n + (end ? 1 : 0);
    }
    return 0;
}

static int op_trials(hpt_serve *serve, const hpt__json *request) {
    int rc = 0;
    bool given;
    int64_t since = 0;
    line_joiner j = {&serve->reply, false};
    HPT_TRY(read_int(&since, &given, request, "since", 0, INT64_MAX));
    hpt__str_add(&serve->reply, ",\"trials\":[");
    HPT_TRY(hpt__study_export_lines(serve->study, since, join_lines, &j));
    hpt__str_addc(&serve->reply, ']');
    rc = 0;
out:
    return rc;
}

static int op_importance(hpt_serve *serve, const hpt__json *request) {
    (void)serve;
    (void)request;
    return hpt__fail(HPT_E_UNSUPPORTED,
                     "importance is not available in this version; 'trials' gives the data it would be computed from");
}

static int op_stats(hpt_serve *serve, const hpt__json *request) {
    char *text = NULL;
    (void)request;
    int rc = hpt_study_stats(&text, serve->study);
    if (rc < 0) return rc;
    hpt__str_add(&serve->reply, ",\"stats\":");
    hpt__str_add(&serve->reply, text);
    hpt_free(text);
    return 0;
}

static int op_close(hpt_serve *serve, const hpt__json *request) {
    (void)request;
    hpt_study_close(serve->study);
    serve->study = NULL;
    return HPT_S_STOPPED;
}

#define OPEN_KEYS " study storage sampler pruner seed n_trials objectives parameters device options "

const hpt__serve_op hpt__serve_ops[] = {
    {"create", OPEN_KEYS, op_create, false},
    {"open", OPEN_KEYS, op_open, false},
    {"ask", " n ", op_ask, true},
    {"report", " trial step value ", op_report, true},
    {"tell", " trial state value values constraints ", op_tell, true},
    {"enqueue", " params ", op_enqueue, true},
    {"best", "", op_best, true},
    {"pareto", "", op_pareto, true},
    {"trials", " since ", op_trials, true},
    {"importance", "", op_importance, true},
    {"stats", "", op_stats, true},
    {"close", "", op_close, false},
    {NULL, NULL, NULL, false},
};
