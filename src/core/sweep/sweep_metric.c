// SPDX-License-Identifier: Apache-2.0
// sweep_metric.c: what a sweep optimises, and W&B's early_terminate over it.
//
// One objective stands under `metric`, several under `metrics` or, our spelling, `hpt.objectives`. W&B wants method
// custom for several; here any method does. early_terminate becomes pruner `bands`, metric.impute and
// metric.impute_while_running become options of the samplers. Only what the file says is put on the list of options.
// Facts: wandb/sweeps, src/sweeps/config/schema.json, schema.py, hyperband_stopping.py (commit b1dfc5f).
#include "sweep_check.h"

#include <stdio.h>
#include <string.h>

enum { METRICS_MAX = 64 };

typedef struct metric {
    const char *name;
    hpt_direction direction;
} metric;

static int read_goal(hpt_direction *out, const hpt__check *c, const hpt__json *node, const char *path) {
    const char *text = NULL;
    *out = HPT_MINIMIZE;
    if (!node) return HPT_OK;
    int rc = hpt__check_text(&text, c, node, path);
    if (rc < 0) return rc;
    if (strcmp(text, "maximize") == 0)
        *out = HPT_MAXIMIZE;
    else if (strcmp(text, "minimize") != 0)
        return hpt__check_fail(c, node, path, "'%.60s' is neither minimize nor maximize", text);
    return HPT_OK;
}

// impute and impute_while_running: one of the words, as an option. "false" (none) is what W&B calls off.
static int read_impute(const hpt__check *c, const hpt__json *m, const char *path, const char *key, const char *option) {
    static const char *const words[] = {"latest", "best", "worst", NULL};
    const bool running = strcmp(key, "impute_while_running") == 0;
    const hpt__json *node = hpt__json_get(m, key);
    const char *where = hpt__check_path(c, path, key), *text = NULL;
    if (!where) return hpt__fail_memory();
    if (!node) return HPT_OK;
    if (running && node->kind == HPT__JSON_BOOL && !node->b) return hpt__check_option(c, node, where, option, "none");
    int rc = hpt__check_text(&text, c, node, where);
    if (rc < 0) return rc;
    if (running && strcmp(text, "false") == 0) return hpt__check_option(c, node, where, option, "none");
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) return hpt__check_option(c, node, where, option, text);
    return hpt__check_fail(c, node, where, "'%.60s' is not one of latest, best, worst%s", text,
                           running ? ", false" : "");
}

static int read_one(metric *out, const hpt__check *c, const hpt__json *m, const char *path, bool alone, bool own) {
    static const char *const keys[] = {"name", "goal", "target", "impute", "impute_while_running", NULL};
    static const char *const own_keys[] = {"name", "goal", NULL};
    int rc = 0;
    hpt_sweep *s = c->sweep;
    HPT_TRY(hpt__check_map(c, m, path));
    HPT_TRY(hpt__check_keys(c, m, path, own ? own_keys : keys));
    const hpt__json *name = hpt__json_get(m, "name"), *target = hpt__json_get(m, "target");
    const char *at_name = hpt__check_path(c, path, "name"), *at_goal = hpt__check_path(c, path, "goal"),
               *at_target = hpt__check_path(c, path, "target");
    if (!at_name || !at_goal || !at_target) return hpt__fail_memory();
    if (!name) return hpt__check_fail(c, m, at_name, "is missing; name what the program prints, e.g. val_loss");
    HPT_TRY(hpt__check_text(&out->name, c, name, at_name));
    HPT_TRY(read_goal(&out->direction, c, hpt__json_get(m, "goal"), at_goal));
    if (target && !alone)
        return hpt__check_fail(c, target, at_target, "ends a sweep of one metric, and this one has several; remove it");
    if (target) {
        HPT_TRY(hpt__check_number(&s->target, c, target, at_target));
        s->has_target = true;
    }
    HPT_TRY(read_impute(c, m, path, "impute", "impute.failed"));
    HPT_TRY(read_impute(c, m, path, "impute_while_running", "impute.running"));
    rc = 0;
out:
    return rc;
}

static int keep(const hpt__check *c, const metric *metrics, int64_t n) {
    hpt_sweep *s = c->sweep;
    const char **names = hpt__arena_alloc(c->arena, (size_t)n * sizeof *names);
    hpt_direction *directions = hpt__arena_alloc(c->arena, (size_t)n * sizeof *directions);
    if (!names || !directions) return hpt__fail_memory();
    for (int64_t i = 0; i < n; i++) {
        names[i] = metrics[i].name;
        directions[i] = metrics[i].direction;
    }
    s->metrics = names;
    s->directions = directions;
    s->n_metrics = n;
    s->metric = names[0];
    s->direction = directions[0];
    return HPT_OK;
}

static int read_list(const hpt__check *c, const hpt__json *node, const char *path, bool own) {
    metric metrics[METRICS_MAX];
    int rc = 0;
    const int64_t low = own ? 1 : 2;
    if (node->kind != HPT__JSON_ARRAY || node->a.n < low)
        return hpt__check_fail(c, node, path,
                               "needs a list of at least %lld objectives, each {name: ..., goal: minimize}%s",
                               (long long)low, own ? "" : "; write a single one under `metric`");
    if (node->a.n > METRICS_MAX) return hpt__check_fail(c, node, path, "holds more than %d objectives", METRICS_MAX);
    for (int64_t i = 0; i < node->a.n; i++) {
        char index[32];
        (void)snprintf(index, sizeof index, "%lld", (long long)i);
        const char *where = hpt__check_path(c, path, index);
        if (!where) return hpt__fail_memory();
        HPT_TRY(read_one(&metrics[i], c, node->a.items[i], where, node->a.n == 1, own));
        for (int64_t k = 0; k < i; k++)
            if (strcmp(metrics[k].name, metrics[i].name) == 0)
                return hpt__check_fail(c, node->a.items[i], where, "'%.60s' is named twice; remove one of them",
                                       metrics[i].name);
    }
    rc = keep(c, metrics, node->a.n);
out:
    return rc;
}

int hpt__check_metrics(const hpt__check *c, const hpt__json *top) {
    const hpt__json *one = hpt__json_get(top, "metric"), *several = hpt__json_get(top, "metrics"),
                    *own = hpt__json_get(hpt__json_get(top, "hpt"), "objectives");
    c->sweep->direction = HPT_MINIMIZE;
    if (several && one) return hpt__check_fail(c, several, "metrics", "stands beside `metric`; keep one of them");
    if (own && (one || several))
        return hpt__check_fail(c, own, "hpt.objectives", "stands beside `%s`; keep one of them",
                               one ? "metric" : "metrics");
    if (several) return read_list(c, several, "metrics", false);
    if (own) return read_list(c, own, "hpt.objectives", true);
    if (one) {
        metric m;
        int rc = read_one(&m, c, one, "metric", true, false);
        return rc < 0 ? rc : keep(c, &m, 1);
    }
    if (strcmp(c->sweep->method, "bayes") != 0) return HPT_OK;
    return hpt__check_fail(c, top, "metric", "is missing; bayes needs one: {name: val_loss, goal: minimize}");
}

// ---- early_terminate

// A whole number of at least 1 as an option of pruner `bands`.
static int band_int(const hpt__check *c, const hpt__json *node, const char *path, const char *key, const char *option) {
    const char *where = hpt__check_path(c, path, key);
    int64_t v = 0;
    char text[32];
    if (!where) return hpt__fail_memory();
    int rc = hpt__check_int(&v, c, node, where, 1, 1000000000);
    if (rc < 0) return rc;
    (void)snprintf(text, sizeof text, "%lld", (long long)v);
    return hpt__check_option(c, node, where, option, text);
}

static int read_bands(const hpt__check *c, const hpt__json *node, const char *path) {
    int rc = 0;
    const hpt__json *min_iter = hpt__json_get(node, "min_iter"), *max_iter = hpt__json_get(node, "max_iter"),
                    *s = hpt__json_get(node, "s");
    if (max_iter && s) { // as in W&B, these win over min_iter
        if (min_iter)
            HPT_TRY(hpt__check_warn(c, min_iter, path, "min_iter is not used beside max_iter and s; remove it"));
        HPT_TRY(band_int(c, max_iter, path, "max_iter", "bands.max_iter"));
        return band_int(c, s, path, "s", "bands.s");
    }
    if (max_iter || s)
        return hpt__check_fail(c, max_iter ? max_iter : s, path, "max_iter and s go together; %s is missing",
                               max_iter ? "s" : "max_iter");
    if (!min_iter)
        return hpt__check_fail(c, node, path, "needs min_iter, or max_iter and s, e.g. {type: hyperband, min_iter: 3}");
    rc = band_int(c, min_iter, path, "min_iter", "bands.min_iter");
out:
    return rc;
}

int hpt__check_early_terminate(const hpt__check *c, const hpt__json *top) {
    static const char *const keys[] = {"type", "min_iter", "max_iter", "s", "eta", "strict", NULL};
    static const char path[] = "early_terminate";
    int rc = 0;
    hpt_sweep *sweep = c->sweep;
    const hpt__json *node = hpt__json_get(top, path);
    const char *type = NULL;
    bool strict;
    double ratio;
    if (!node) return HPT_OK;
    HPT_TRY(hpt__check_map(c, node, path));
    HPT_TRY(hpt__check_keys(c, node, path, keys));
    const hpt__json *type_node = hpt__json_get(node, "type"), *eta = hpt__json_get(node, "eta"),
                    *strict_node = hpt__json_get(node, "strict");
    if (!type_node) return hpt__check_fail(c, node, path, "needs 'type: hyperband'");
    HPT_TRY(hpt__check_text(&type, c, type_node, "early_terminate.type"));
    if (strcmp(type, "hyperband") != 0)
        return hpt__check_fail(c, type_node, "early_terminate.type",
                               "'%.60s' is not known; write hyperband, or leave it out and use `hpt: {pruner: ...}`",
                               type);
    if (!sweep->metric) return hpt__check_fail(c, node, path, "needs a metric: {name: val_loss, goal: minimize}");
    if (sweep->n_metrics > 1)
        return hpt__check_fail(c, node, path, "looks at one metric, and this sweep has %lld; remove it",
                               (long long)sweep->n_metrics);
    HPT_TRY(read_bands(c, node, path));
    if (eta) {
        HPT_TRY(hpt__check_number(&ratio, c, eta, "early_terminate.eta"));
        if (ratio <= 1) return hpt__check_fail(c, eta, "early_terminate.eta", "must be greater than 1");
        HPT_TRY(hpt__check_option(c, eta, "early_terminate.eta", "bands.eta", NULL));
    }
    if (strict_node) {
        HPT_TRY(hpt__check_bool(&strict, c, strict_node, "early_terminate.strict"));
        HPT_TRY(hpt__check_option(c, strict_node, "early_terminate.strict", "bands.strict", NULL));
    }
    sweep->pruner = "bands";
    rc = 0;
out:
    return rc;
}
