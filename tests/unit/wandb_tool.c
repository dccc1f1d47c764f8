// SPDX-License-Identifier: Apache-2.0
// wandb_tool.c: for oracle_wandb.py: JSON objects, one a line, into WANDB_SWEEP_PARAM_PATH files, each ended by a NUL.
#include "core/base/str.h"
#include "core/sched/run_impl.h"
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    hpt__str out = HPT__STR_INIT;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        hpt__str_clear(&out);
        if (hpt__wandb_yaml(&out, line, (size_t)n) < 0) {
            fprintf(stderr, "%s\n", hpt_last_error());
            return 1;
        }
        fwrite(hpt__str_text(&out), 1, out.len + 1, stdout);
    }
    free(line);
    hpt__str_fini(&out);
    return 0;
}
