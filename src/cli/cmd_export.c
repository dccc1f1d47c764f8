// SPDX-License-Identifier: Apache-2.0
// cmd_export.c: `hpt export`: a study as text, on stdout or into a file.
//
// A file appears under its name only when it is whole: it is written beside it and renamed.
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_file(const char *text, size_t size, void *payload) {
    return fwrite(text, 1, size, payload) == size ? 0 : 1;
}

// Exports into `path`; an exit code.
static int export_to(const char *path, hpt_study *study, const char *format, int64_t since) {
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part%ld", path, (long)getpid()) >= (int)sizeof part)
        return cli_usage("export: the path '%s' is too long", path);
    FILE *f = fopen(part, "wb");
    if (!f) {
        cli_note("'%s' cannot be written (%s); choose another --output", path, strerror(errno));
        return CLI_FAILED;
    }
    int rc = hpt_study_export(study, format, since, write_file, f), code = CLI_OK;
    bool written = !ferror(f);
    written &= fflush(f) == 0 && fsync(fileno(f)) == 0;
    const int error = errno;
    written &= fclose(f) == 0;
    if (rc < 0 && rc != HPT_E_CALLBACK) {
        code = cli_fail(rc);
    } else if (rc < 0 || !written || rename(part, path) != 0) {
        cli_note("'%s' could not be written (%s)", path, strerror(written && rc >= 0 ? errno : error));
        code = CLI_FAILED;
    }
    if (code != CLI_OK) remove(part);
    return code;
}

int cmd_export(int argc, char **argv) {
    cli_study_args where = {0};
    const char *format = "json", *output = NULL;
    int64_t since = 0;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"format", 'f', CLI_STRING, &format, "FORMAT", "json (default), jsonl, csv, or journal (Optuna's)"},
        {"output", 'o', CLI_STRING, &output, "FILE", "write there instead of stdout; a file that is there is replaced"},
        {"since", 0, CLI_INT, &since, "N", "only trials from number N on"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("export", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code != CLI_OK || done) goto out;
    if (n > 0) {
        code = cli_usage("export: what is '%s'? the file is given as --output FILE", positional[0]);
        goto out;
    }
    if ((code = cli_open_study(&study, &where, HPT_OPEN_READ_ONLY)) != CLI_OK) goto out;
    if (output) {
        code = export_to(output, study, format, since);
        goto out;
    }
    const int rc = hpt_study_export(study, format, since, write_file, stdout);
    if (rc < 0 && !ferror(stdout)) code = cli_fail(rc);
out:
    hpt_study_close(study);
    free(positional);
    return code;
}
