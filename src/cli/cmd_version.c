// SPDX-License-Identifier: Apache-2.0
// cmd_version.c: `hpt version`.
#include "cli.h"

int cmd_version(int argc, char **argv) {
    const cli_option options[] = {{"", 0, CLI_FLAG, NULL, NULL, NULL}};
    const char *positional[1];
    bool done;
    int n;
    if (argc > 1 && argv[1][0] != '-') return cli_no_arguments("version", (const char *const *)&argv[1], 1);
    const int code = cli_parse("version", options, argc, argv, positional, &n, &done);
    if (code == CLI_OK && !done) printf("hpt %s\n%s\n", hpt_version_string(), hpt_build_info());
    return code;
}
