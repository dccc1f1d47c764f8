// SPDX-License-Identifier: Apache-2.0
// tpe_branch_tool.c: asks and tells trials of a study that another program made; oracle_tpe_branches.py is that program.
//
//   tpe_branch_tool <url> <sampler> <seed>
// After each line on standard input one trial is asked and its parameters are printed as one JSON object; the next
// line is its value. The first line is empty. End of input ends it.
#include <hpt.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int rc = 1;
    char line[256];
    hpt_study *study = NULL;
    hpt_trial *trial = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    if (argc != 4) return 2;
    o.storage = argv[1];
    o.sampler = argv[2];
    o.seed = strtoull(argv[3], NULL, 10);
    o.has_seed = true;
    o.mode = HPT_OPEN_EXISTING;
    if (hpt_study_open(&study, &o) < 0) goto out;
    while (fgets(line, sizeof line, stdin)) {
        const double value = strtod(line, NULL);
        const char *params = NULL;
        if (trial && hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &value, 1) < 0) goto out;
        hpt_trial_destroy(trial);
        trial = NULL;
        if (hpt_study_ask(&trial, study) != 0 || hpt_trial_params_json(&params, trial) < 0) goto out;
        printf("%s\n", params);
        fflush(stdout);
    }
    rc = 0;
out:
    if (rc) fprintf(stderr, "tpe_branch_tool: %s\n", hpt_last_error());
    hpt_trial_destroy(trial);
    hpt_study_close(study);
    return rc;
}
