// SPDX-License-Identifier: Apache-2.0
// sweep.c: a sweep file: reading it, its top level, its accessors. Everything is checked before anything is used, so a
// sweep that loads can run.
#include "../base/alloc.h"
#include "../space/grid.h"
#include "sweep_check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };
static const double GRACE_DEFAULT = 30; // seconds; what W&B's agent and Slurm wait

static const char *const KEYS[] = {
    "method",  "parameters", "metric",  "metrics",    "early_terminate", "name", "description", "program", "command",
    "run_cap", "entity",     "project", "controller", "apiVersion",      "kind", "scheduler",   "hpt",     NULL};
static const char *const LAUNCH[] = {"job", "image_uri", NULL};

static int read_method(const hpt__check *c, const hpt__json *top) {
    static const char *const methods[] = {"grid", "random", "bayes", NULL};
    const hpt__json *node = hpt__json_get(top, "method");
    const char *text = NULL;
    if (!node) return hpt__check_fail(c, top, "method", "is missing; write grid, random or bayes");
    int rc = hpt__check_text(&text, c, node, "method");
    if (rc < 0) return rc;
    for (int i = 0; methods[i]; i++) {
        if (strcmp(methods[i], text) != 0) continue;
        c->sweep->method = methods[i];
        return HPT_OK;
    }
    if (strcmp(text, "custom") != 0)
        return hpt__check_fail(c, node, "method", "'%.60s' is not one of grid, random, bayes, custom", text);
    c->sweep->method = "bayes";
    return hpt__check_warn(c, node, "method", "custom leaves the choice of points to a scheduler: read as bayes");
}

// `scheduler` names who chooses the points. Only W&B's own engine has nothing to say beyond `method`.
static int read_scheduler(const hpt__check *c, const hpt__json *top) {
    static const char *const keys[] = {"engine", "source", "optimizer", "search_space", NULL};
    int rc = 0;
    const hpt__json *node = hpt__json_get(top, "scheduler");
    const char *text = NULL, *method = hpt__json_string(hpt__json_get(top, "method"));
    if (!node) return HPT_OK;
    HPT_TRY(hpt__check_map(c, node, "scheduler"));
    HPT_TRY(hpt__check_keys(c, node, "scheduler", keys));
    const hpt__json *engine = hpt__json_get(node, "engine");
    if (!engine) return hpt__check_fail(c, node, "scheduler", "needs 'engine: wandb', or leave it out");
    HPT_TRY(hpt__check_text(&text, c, engine, "scheduler.engine"));
    if (strcmp(text, "wandb") != 0)
        return hpt__check_unsupported(c, engine, "scheduler.engine",
                                      "write wandb, or leave scheduler out and choose with `hpt: {sampler: ...}`");
    for (int i = 1; keys[i]; i++) {
        const hpt__json *code = hpt__json_get(node, keys[i]);
        const char *where = hpt__check_path(c, "scheduler", keys[i]);
        if (!where) return hpt__fail_memory();
        if (code) return hpt__check_unsupported(c, code, where, "leave it out and write the space under `parameters`");
    }
    if (method && strcmp(method, "custom") == 0)
        return hpt__check_fail(c, engine, "scheduler.engine",
                               "wandb has no method custom; write bayes, random or grid");
    if (hpt__json_get(top, "early_terminate"))
        return hpt__check_fail(c, node, "scheduler", "stands beside early_terminate; keep one of them");
    rc = 0;
out:
    return rc;
}

// Where W&B would decide; here it is always this process.
static int read_controller(const hpt__check *c, const hpt__json *top) {
    int rc = 0;
    const hpt__json *node = hpt__json_get(top, "controller");
    const char *text = NULL;
    if (!node) return HPT_OK;
    HPT_TRY(hpt__check_map(c, node, "controller"));
    const hpt__json *type = hpt__json_get(node, "type");
    if (!type) return hpt__check_fail(c, node, "controller", "needs 'type', local or cloud; or leave it out");
    HPT_TRY(hpt__check_text(&text, c, type, "controller.type"));
    if (strcmp(text, "local") != 0 && strcmp(text, "cloud") != 0)
        return hpt__check_fail(c, type, "controller.type", "'%.60s' is neither local nor cloud", text);
    if (strcmp(text, "local") == 0 && hpt__json_get(top, "scheduler"))
        return hpt__check_fail(c, type, "controller.type", "local does not go with `scheduler`; remove one of them");
    rc = 0;
out:
    return rc;
}

static int read_label(const char **out, const hpt__check *c, const hpt__json *top, const char *key) {
    const hpt__json *node = hpt__json_get(top, key);
    return node ? hpt__check_text(out, c, node, key) : HPT_OK;
}

// What the sampler would find out when the study opens: a grid needs finitely many points. Only a remark, for the
// sampler may be chosen anew when the sweep is run.
static int check_grid(const hpt__check *c, const hpt__json *parameters) {
    const hpt_sweep *s = c->sweep;
    hpt__grid *grid = NULL;
    if (strcmp(s->sampler ? s->sampler : s->method, "grid") != 0) return HPT_OK;
    int rc = hpt__grid_create(&grid, s->space);
    hpt__grid_destroy(grid);
    if (rc >= 0 || rc == HPT_E_MEMORY) return rc;
    char message[HPT__ERROR_MAX];
    hpt__error_copy(message);
    return hpt__check_warn(c, parameters, "parameters", "%s", message);
}

static int read_kind(const hpt__check *c, const hpt__json *top) {
    const char *text = NULL;
    const hpt__json *node = hpt__json_get(top, "kind");
    if (!node) return HPT_OK;
    int rc = hpt__check_text(&text, c, node, "kind");
    if (rc < 0 || strcmp(text, "sweep") == 0) return rc;
    return hpt__check_fail(c, node, "kind", "'%.60s' is not a kind that is read here; write sweep, or leave it out",
                           text);
}

static int read_top(const hpt__check *c, const hpt__json *top) {
    int rc = 0;
    hpt_sweep *s = c->sweep;
    if (top->kind != HPT__JSON_OBJECT)
        return hpt__check_fail(c, top, "", "a sweep file is a mapping with `method` and `parameters`, not a %s",
                               hpt__json_kind_name(top->kind));
    for (size_t i = 0; LAUNCH[i]; i++) {
        const hpt__json *node = hpt__json_get(top, LAUNCH[i]);
        if (node) return hpt__check_unsupported(c, node, LAUNCH[i], "write the command under `command`");
    }
    HPT_TRY(hpt__check_keys(c, top, "", KEYS));
    HPT_TRY(read_kind(c, top));
    HPT_TRY(read_method(c, top));
    HPT_TRY(read_scheduler(c, top));
    HPT_TRY(read_controller(c, top));
    HPT_TRY(hpt__check_metrics(c, top));
    HPT_TRY(hpt__check_early_terminate(c, top));
    HPT_TRY(read_label(&s->name, c, top, "name"));
    HPT_TRY(read_label(&s->description, c, top, "description"));
    HPT_TRY(read_label(&s->entity, c, top, "entity"));
    HPT_TRY(read_label(&s->project, c, top, "project"));
    HPT_TRY(read_label(&s->program, c, top, "program"));
    const hpt__json *cap = hpt__json_get(top, "run_cap"), *parameters = hpt__json_get(top, "parameters"),
                    *own = hpt__json_get(top, "hpt");
    if (cap) HPT_TRY(hpt__check_int(&s->run_cap, c, cap, "run_cap", 1, INT32_MAX));
    if (!parameters) return hpt__check_fail(c, top, "parameters", "is missing; it names at least one parameter");
    HPT_TRY(hpt__sweep_space(&s->space, parameters, c->file, s));
    s->parameters = parameters;
    HPT_TRY(hpt__check_command(c, hpt__json_get(top, "command")));
    if (own) HPT_TRY(hpt__check_hpt(c, own));
    HPT_TRY(check_grid(c, parameters));
    rc = 0;
out:
    return rc;
}

// "dir/digits.sweep.yaml" -> "digits.sweep".
static const char *stem(hpt__arena *arena, const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    return hpt__arena_strndup(arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static int parse(hpt_sweep **out, const char *text, size_t n, const char *name, const char *dir) {
    int rc = 0;
    hpt__json *top = NULL;
    hpt_sweep *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    hpt__arena_init(&s->arena);
    s->grace = GRACE_DEFAULT;
    s->path = hpt__arena_strndup(&s->arena, name, strlen(name));
    s->dir = hpt__arena_strndup(&s->arena, dir, strlen(dir));
    if (!s->path || !s->dir) {
        rc = hpt__fail_memory();
        goto out;
    }
    const hpt__check c = {.file = s->path, .sweep = s, .arena = &s->arena};
    HPT_TRY(hpt__yaml_parse(&top, &s->arena, text, n, s->path));
    HPT_TRY(read_top(&c, top));
    if (!s->name && !(s->name = stem(&s->arena, s->path))) {
        rc = hpt__fail_memory();
        goto out;
    }
    *out = s;
    return HPT_OK;
out:
    hpt_sweep_destroy(s);
    return rc;
}

int hpt_sweep_parse(hpt_sweep **out, const char *text, const char *name) {
    if (!out || !text) return hpt__fail(HPT_E_ARG, "hpt_sweep_parse: an argument is NULL");
    return parse(out, text, strlen(text), name ? name : "sweep.yaml", "");
}

static int read_file(hpt__str *text, const char *path) {
    struct stat st;
    char chunk[65536];
    size_t k;
    int rc = 0;
    FILE *f = fopen(path, "re");
    if (!f) return hpt__fail(HPT_E_IO, "%s: %s", path, strerror(errno));
    HPT_FAIL_IF(fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode), HPT_E_IO,
                "%s: is a folder; name the sweep file in it", path);
    while ((k = fread(chunk, 1, sizeof chunk, f)) > 0) {
        hpt__str_addn(text, chunk, k);
        HPT_FAIL_IF(text->len > FILE_MAX_BYTES, HPT_E_PARSE, "%s: is larger than 16 MiB, too much for a sweep file",
                    path);
    }
    HPT_FAIL_IF(ferror(f), HPT_E_IO, "%s: %s", path, strerror(errno));
    rc = hpt__str_status(text);
out:
    fclose(f);
    return rc;
}

int hpt_sweep_load(hpt_sweep **out, const char *path) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    char real[PATH_MAX];
    if (!out || !path) return hpt__fail(HPT_E_ARG, "hpt_sweep_load: an argument is NULL");
    HPT_TRY(read_file(&text, path));
    HPT_FAIL_IF(!realpath(path, real), HPT_E_IO, "%s: %s", path, strerror(errno));
    char *slash = strrchr(real, '/');
    slash[slash == real] = '\0';
    rc = parse(out, hpt__str_text(&text), text.len, path, real);
out:
    hpt__str_fini(&text);
    return rc;
}

void hpt_sweep_destroy(hpt_sweep *sweep) {
    if (!sweep) return;
    hpt_space_destroy(sweep->space);
    hpt__arena_fini(&sweep->arena);
    hpt__free(sweep);
}

const char *hpt_sweep_name(const hpt_sweep *sweep) {
    return sweep->name;
}
const char *hpt_sweep_path(const hpt_sweep *sweep) {
    return sweep->path;
}
const char *hpt_sweep_method(const hpt_sweep *sweep) {
    return sweep->method;
}
const char *hpt_sweep_metric(const hpt_sweep *sweep) {
    return sweep->metric;
}
hpt_direction hpt_sweep_direction(const hpt_sweep *sweep) {
    return sweep->direction;
}
int64_t hpt_sweep_n_metrics(const hpt_sweep *sweep) {
    return sweep->n_metrics;
}
const char *hpt_sweep_metric_at(const hpt_sweep *sweep, int64_t i) {
    return i >= 0 && i < sweep->n_metrics ? sweep->metrics[i] : NULL;
}
hpt_direction hpt_sweep_direction_at(const hpt_sweep *sweep, int64_t i) {
    return i >= 0 && i < sweep->n_metrics ? sweep->directions[i] : HPT_MINIMIZE;
}
int64_t hpt_sweep_run_cap(const hpt_sweep *sweep) {
    return sweep->run_cap;
}
bool hpt_sweep_learns_gpu_memory(const hpt_sweep *sweep) {
    return sweep->gpu_memory_learned;
}

const hpt_space *hpt_sweep_space(const hpt_sweep *sweep) {
    return sweep->space;
}
const char *hpt_sweep_warning(const hpt_sweep *sweep, int64_t i) {
    return i >= 0 && i < sweep->n_warnings ? sweep->warnings[i] : NULL;
}
