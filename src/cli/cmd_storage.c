// SPDX-License-Identifier: Apache-2.0
// cmd_storage.c: `hpt storage check|copy|vacuum`: upkeep of databases.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static int print_line(const char *text, size_t size, void *payload) {
    (void)payload;
    return fwrite(text, 1, size, stdout) == size && putchar('\n') != EOF ? 0 : 1;
}

static int check(const char *url) {
    int64_t n = 0;
    const int rc = hpt_storage_check(&n, url, print_line, NULL);
    if (rc < 0) return cli_fail(rc);
    printf("%s: %lld problem%s\n", url, (long long)n, n == 1 ? "" : "s");
    return n ? CLI_FAILED : CLI_OK;
}

static int copy(const char *from, const char *to, const char *study, const char *as) {
    int64_t n = 0;
    if (!to) return cli_usage("storage copy: --to URL says where the copy goes");
    if (as && !study) return cli_usage("storage copy: --as NAME needs --study NAME, the one study to be copied");
    const int rc = hpt_storage_copy(&n, to, from, study, as);
    if (rc < 0) return cli_fail(rc);
    printf("%lld stud%s copied to %s\n", (long long)n, n == 1 ? "y" : "ies", to);
    return CLI_OK;
}

static int vacuum(const char *url) {
    int64_t before = 0, after = 0;
    const int rc = hpt_storage_vacuum(&before, &after, url);
    if (rc < 0) return cli_fail(rc);
    printf("%s: %lld bytes, were %lld; one file, may be copied\n", url, (long long)after, (long long)before);
    return CLI_OK;
}

int cmd_storage(int argc, char **argv) {
    cli_study_args where = {0};
    const char *to = NULL, *as = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"to", 0, CLI_STRING, &to, "URL", "copy: the database that gets the copy; made if it is not there"},
        {"as", 0, CLI_STRING, &as, "NAME", "copy: the name that the study gets there (with --study)"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    char url[1200];
    int code = positional ? cli_parse("storage", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code != CLI_OK || done) goto out;
    const char *what = n ? positional[0] : "";
    const bool checks = strcmp(what, "check") == 0, copies = strcmp(what, "copy") == 0;
    if (!checks && !copies && strcmp(what, "vacuum") != 0) {
        code = n ? cli_usage("storage: '%s' is none of check, copy, vacuum", what)
                 : cli_usage("storage: say what to do: check, copy or vacuum, and which database");
        goto out;
    }
    if (n > 2) {
        code = cli_usage("storage %s: what is '%s'? it takes one database", what, positional[2]);
        goto out;
    }
    if (n == 2) where.storage = positional[1];
    if ((code = cli_storage_url(url, sizeof url, &where)) != CLI_OK) goto out;
    code = checks ? check(url) : copies ? copy(url, to, where.study, as) : vacuum(url);
out:
    free(positional);
    return code;
}
