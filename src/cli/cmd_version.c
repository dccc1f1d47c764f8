// SPDX-License-Identifier: Apache-2.0
// cmd_version.c: `hpt version`.
#include "cli.h"

int cmd_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    printf("hpt %s\n%s\n", hpt_version_string(), hpt_build_info());
    return CLI_OK;
}
