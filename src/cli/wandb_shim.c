// SPDX-License-Identifier: Apache-2.0
// wandb_shim.c: what `hpt run --wandb-shim` adds to the environment of trials: PYTHONPATH with the folder of our small
// `wandb` package first, and HPT_WANDB_METRICS, the names of the sweep's metrics as a JSON list.
//
// The folder is $HPT_WANDB_SHIM, else it is looked for above the program's own place: share/hpt_gpu/wandb_shim where
// it is installed, python/wandb_shim in a source tree with its build folders below.
#include "cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool holds_package(const char *dir) {
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s/wandb/__init__.py", dir);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

// The folder that holds the package, absolute; NULL: there is none.
static char *find_folder(void) {
    static const char *const below[] = {"share/hpt_gpu/wandb_shim", "python/wandb_shim"};
    const char *given = getenv("HPT_WANDB_SHIM");
    char exe[PATH_MAX], path[PATH_MAX];
    if (given && given[0]) return holds_package(given) ? realpath(given, NULL) : NULL;
    const ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len <= 0) return NULL;
    exe[len] = 0;
    for (int up = 0; up < 5; up++) {
        char *slash = strrchr(exe, '/');
        if (!slash) return NULL;
        *slash = 0;
        for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
            const int n = snprintf(path, sizeof path, "%s/%s", exe, below[i]);
            if (n > 0 && (size_t)n < sizeof path && holds_package(path)) return realpath(path, NULL);
        }
    }
    return NULL;
}

static char *metrics_entry(const hpt_sweep *sweep) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    fputs("HPT_WANDB_METRICS=[", f);
    for (int64_t i = 0; i < hpt_sweep_n_metrics(sweep); i++) {
        if (i) fputs(", ", f);
        cli_put_json_string(f, hpt_sweep_metric_at(sweep, i));
    }
    fputs("]", f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int cli_wandb_env(cli_wandb *out, const hpt_sweep *sweep) {
    const char *old = getenv("PYTHONPATH");
    memset(out, 0, sizeof *out);
    char *folder = find_folder();
    if (!folder) {
        cli_note("--wandb-shim: the package was found neither in share/hpt_gpu/wandb_shim beside this program nor in "
                 "$HPT_WANDB_SHIM; install it, or set HPT_WANDB_SHIM to the folder that holds wandb/__init__.py");
        return CLI_NOT_FOUND;
    }
    const bool has_old = old && old[0];
    if (asprintf(&out->entries[0], "PYTHONPATH=%s%s%s", folder, has_old ? ":" : "", has_old ? old : "") < 0)
        out->entries[0] = NULL;
    free(folder);
    out->entries[1] = metrics_entry(sweep);
    if (!out->entries[0] || !out->entries[1]) {
        cli_note("out of memory");
        return CLI_FAILED;
    }
    return CLI_OK;
}

void cli_wandb_fini(cli_wandb *w) {
    for (int i = 0; i < CLI_WANDB_ENTRIES; i++) free(w->entries[i]);
}
