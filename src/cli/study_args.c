// SPDX-License-Identifier: Apache-2.0
// study_args.c: finds the study that a command means: --storage, else --run's database, else $HPT_STORAGE, else the
// latest run below the working folder.
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char latest[] = "hpt_runs/latest";

int cli_storage_url(char *buffer, size_t size, const cli_study_args *args) {
    const char *env = getenv("HPT_STORAGE");
    int n;
    if (args->storage) {
        n = snprintf(buffer, size, "%s", args->storage);
    } else if (args->run || !(env && env[0])) {
        const char *dir = args->run ? args->run : latest;
        n = snprintf(buffer, size, "%s/study.db", dir);
        if (n > 0 && (size_t)n < size && access(buffer, F_OK) != 0) {
            cli_note(args->run ? "no run in '%s' (it has no study.db); name the folder that `hpt run` printed"
                               : "there is no run in %s; name a database with --storage or a run's folder with --run",
                     dir);
            return CLI_NOT_FOUND;
        }
        n = snprintf(buffer, size, "sqlite:///%s/study.db", dir);
    } else {
        n = snprintf(buffer, size, "%s", env);
    }
    if (n < 0 || (size_t)n >= size) return cli_usage("the storage's name is too long");
    return CLI_OK;
}

int cli_open_study(hpt_study **out, const cli_study_args *args, hpt_open_mode mode) {
    char url[1200];
    int code = cli_storage_url(url, sizeof url, args);
    if (code != CLI_OK) return code;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = url;
    o.name = args->study;
    o.mode = mode;
    int rc = hpt_study_open(out, &o);
    return rc < 0 ? cli_fail(rc) : CLI_OK;
}
