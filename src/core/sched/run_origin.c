// SPDX-License-Identifier: Apache-2.0
// run_origin.c: what is checked before anything is made, and what the folder remembers about its start.
//
// origin.json lets `hpt resume` continue from any place: the copy of the sweep file in the folder no longer lies where
// ${envvar:HPT_SWEEP_DIR} pointed, and relative commands were meant from the folder that the run was started in.
#include "../base/alloc.h"
#include "../base/file.h"
#include "run_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take_string(char **out, const hpt__json *object, const char *key) {
    const char *text = hpt__json_string(hpt__json_get(object, key));
    if (!text) return 0;
    *out = hpt__strdup(text);
    return *out ? 0 : hpt__fail_memory();
}

int hpt__origin_read(hpt__origin *out, const char *run_dir) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *object = NULL;
    hpt__str path = HPT__STR_INIT, text = HPT__STR_INIT;
    *out = (hpt__origin){0};
    hpt__arena_init(&arena);
    hpt__str_add(&path, run_dir);
    hpt__str_add(&path, "/origin.json");
    HPT_TRY(hpt__str_status(&path));
    rc = hpt__read_file(&text, hpt__str_text(&path));
    if (rc == HPT_E_NOT_FOUND) {
        rc = 0;
        goto out;
    }
    if (rc < 0) goto out;
    rc = hpt__json_parse(&object, &arena, hpt__str_text(&text), text.len);
    if (rc < 0) {
        rc = hpt__fail_prefix(rc == HPT_E_PARSE ? HPT_E_INCOMPATIBLE : rc, "%s", hpt__str_text(&path));
        goto out;
    }
    HPT_TRY(take_string(&out->study, object, "study"));
    HPT_TRY(take_string(&out->storage, object, "storage"));
    HPT_TRY(take_string(&out->sweep_dir, object, "sweep_dir"));
    HPT_TRY(take_string(&out->cwd, object, "cwd"));
    if (!hpt__json_integer(&out->n_trials, hpt__json_get(object, "n_trials"))) out->n_trials = 0;
    rc = 0;
out:
    if (rc < 0) hpt__origin_fini(out);
    hpt__str_fini(&text);
    hpt__str_fini(&path);
    hpt__arena_fini(&arena);
    return rc;
}

void hpt__origin_fini(hpt__origin *origin) {
    hpt__free(origin->study);
    hpt__free(origin->storage);
    hpt__free(origin->sweep_dir);
    hpt__free(origin->cwd);
    *origin = (hpt__origin){0};
}

static void add_member(hpt__str *s, const char *key, const char *text) {
    if (!text) return;
    hpt__str_addf(s, "%s\"%s\": ", s->len > 1 ? ", " : "", key);
    hpt__str_add_json_string(s, text, strlen(text));
}

int hpt__origin_write(const hpt__run *run, const char *explicit_storage, int64_t n_trials) {
    hpt__str s = HPT__STR_INIT;
    char here[PATH_MAX];
    char *url = explicit_storage ? hpt__absolute_url(explicit_storage) : NULL;
    int rc = explicit_storage && !url ? hpt__fail_memory() : 0;
    hpt__str_addc(&s, '{');
    add_member(&s, "study", run->study_name);
    add_member(&s, "storage", url);
    add_member(&s, "sweep_dir", run->sweep_dir);
    add_member(&s, "cwd", run->cwd ? run->cwd : getcwd(here, sizeof here));
    if (n_trials > 0) hpt__str_addf(&s, ", \"n_trials\": %lld", (long long)n_trials);
    hpt__str_add(&s, "}\n");
    if (rc == 0) rc = hpt__str_status(&s);
    if (rc == 0) rc = hpt__run_dir_write(&run->dir, "origin.json", hpt__str_text(&s), s.len);
    hpt__free(url);
    hpt__str_fini(&s);
    return rc;
}

char *hpt__absolute_url(const char *url) {
    static const char scheme[] = "sqlite:///";
    char here[PATH_MAX];
    hpt__str s = HPT__STR_INIT;
    const size_t n = sizeof scheme - 1;
    const bool has_scheme = strncmp(url, scheme, n) == 0;
    const char *path = has_scheme ? url + n : url;
    // A bare path is a database file too; anything else with a colon names another scheme.
    if ((has_scheme || !strchr(url, ':')) && *path != '/' && *path && getcwd(here, sizeof here)) {
        hpt__str_add(&s, scheme);
        hpt__str_add(&s, here);
        hpt__str_addc(&s, '/');
        hpt__str_add(&s, path);
    } else {
        hpt__str_add(&s, url);
    }
    char *text = hpt__str_take(&s);
    hpt__str_fini(&s);
    return text;
}

// ---- the command

// The path as seen from the folder that trials run in.
static int from_cwd(hpt__str *out, const hpt__run *run, const char *path) {
    hpt__str_clear(out);
    if (run->cwd && *path != '/') {
        hpt__str_add(out, run->cwd);
        hpt__str_addc(out, '/');
    }
    hpt__str_add(out, path);
    return hpt__str_status(out);
}

static int find_program(char **out, const hpt__run *run, const char *name) {
    hpt__str path = HPT__STR_INIT;
    int rc = strchr(name, '/') ? from_cwd(&path, run, name) : (hpt__str_add(&path, name), hpt__str_status(&path));
    if (rc == 0) rc = hpt__process_find(out, hpt__str_text(&path));
    hpt__str_fini(&path);
    return rc;
}

// A remedy, where the program lies beside the sweep file and not here.
static bool beside_sweep(const hpt__run *run, const char *name) {
    hpt__str path = HPT__STR_INIT;
    if (from_cwd(&path, run, name) < 0 || access(hpt__str_text(&path), F_OK) == 0) {
        hpt__str_fini(&path);
        return false;
    }
    hpt__str_clear(&path);
    hpt__str_add(&path, run->sweep_dir);
    hpt__str_addc(&path, '/');
    hpt__str_add(&path, name);
    const bool found = *name && *name != '/' && *run->sweep_dir && hpt__str_status(&path) == 0 &&
                       access(hpt__str_text(&path), F_OK) == 0;
    hpt__str_fini(&path);
    return found;
}

static int name_remedy(const hpt__run *run, int rc, const char *name) {
    const char *file = run->sweep->path ? run->sweep->path : "sweep";
    if (rc == HPT_E_NOT_FOUND && beside_sweep(run, name)) {
        const char *bare = strncmp(name, "./", 2) == 0 ? name + 2 : name;
        return hpt__fail(rc,
                         "%s: program '%s' not found; it lies beside the sweep file: write "
                         "\"${envvar:HPT_SWEEP_DIR}/%s\" or start hpt in that folder",
                         file, name, bare);
    }
    return hpt__fail_prefix(rc, "%s", file);
}

int hpt__run_check_program(hpt__run *run) {
    int rc = 0;
    char **argv = NULL, *second = NULL;
    double *point = NULL;
    const int64_t d = run->sweep->space->d;
    hpt__str path = HPT__STR_INIT;
    point = hpt__malloc(((size_t)d + 1) * sizeof *point);
    if (!point) return hpt__fail_memory();
    for (int64_t i = 0; i < d; i++) point[i] = NAN;
    HPT_TRY(hpt__sweep_command(&argv, run->sweep, point, "params.json"));
    HPT_FAIL_IF(!argv[0], HPT_E_ARG, "%s: the command is empty", run->sweep->path ? run->sweep->path : "sweep");
    rc = find_program(&run->program, run, argv[0]);
    if (rc < 0) {
        rc = name_remedy(run, rc, argv[0]);
        goto out;
    }
    run->program_name = hpt__strdup(argv[0]);
    if (!run->program_name) {
        rc = hpt__fail_memory();
        goto out;
    }
    // env would find out only inside each trial that its program is missing.
    const char *base = strrchr(argv[0], '/');
    if (strcmp(base ? base + 1 : argv[0], "env") != 0 || !argv[1] || *argv[1] == '-' || strchr(argv[1], '=')) goto out;
    rc = find_program(&second, run, argv[1]);
    if (rc < 0) {
        rc = name_remedy(run, rc, argv[1]);
        goto out;
    }
    // [env, python, program]: the script must be there; with other launchers it may lie anywhere.
    if (strcmp(argv[1], "python") != 0 || !argv[2] || !run->sweep->program || strcmp(argv[2], run->sweep->program) != 0)
        goto out;
    HPT_TRY(from_cwd(&path, run, argv[2]));
    if (access(hpt__str_text(&path), R_OK) < 0)
        rc = name_remedy(run, hpt__fail(HPT_E_NOT_FOUND, "program '%s' not found", argv[2]), argv[2]);
out:
    hpt__str_fini(&path);
    hpt__free(second);
    hpt__free(argv);
    hpt__free(point);
    return rc;
}
