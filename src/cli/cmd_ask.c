// SPDX-License-Identifier: Apache-2.0
// cmd_ask.c: `hpt ask` and `hpt tell`: a study driven from a script, one process per call. Each trial is one line of
// JSON: {"number": 3, "params": {...}}.
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cmd_ask(int argc, char **argv) {
    cli_study_args where = {0};
    int64_t count = 1, seed = INT64_MIN;
    const char *sampler = NULL;
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"count", 'n', CLI_INT, &count, "N", "number of trials to take (default 1)"},
        {"sampler", 0, CLI_STRING, &sampler, "NAME", "sampler of the study"},
        {"seed", 0, CLI_INT, &seed, "N", "seed, when the study is made by this call"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    bool done;
    int n;
    hpt_sweep *sweep = NULL;
    hpt_study *study = NULL;
    int code = positional ? cli_parse("ask", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code != CLI_OK || done) goto out;
    if (n > 1 || count < 1 || count > 1000000) {
        code = cli_usage(n > 1 ? "ask: name at most one sweep file" : "ask: --count is 1 to 1000000");
        goto out;
    }
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    hpt_direction directions[64];
    char url[1200];
    o.mode = HPT_OPEN_EXISTING;
    o.name = where.study;
    o.sampler = sampler;
    o.has_seed = seed != INT64_MIN;
    o.seed = (uint64_t)seed;
    if (n == 1) { // a sweep file gives the space; the study is made when it is not there
        int rc = hpt_sweep_load(&sweep, positional[0]);
        if (rc < 0) {
            code = cli_fail(rc);
            goto out;
        }
        if (!where.storage && !where.run && !getenv("HPT_STORAGE")) {
            code = cli_usage("ask: name the database with --storage, e.g. --storage sqlite:///%s.db",
                             hpt_sweep_name(sweep));
            goto out;
        }
        o.space = hpt_sweep_space(sweep);
        o.directions = directions;
        o.n_directions = hpt_sweep_n_metrics(sweep);
        if (o.n_directions > (int64_t)(sizeof directions / sizeof *directions))
            o.n_directions = (int64_t)(sizeof directions / sizeof *directions);
        for (int64_t i = 0; i < o.n_directions; i++) directions[i] = hpt_sweep_direction_at(sweep, i);
        o.mode = HPT_OPEN_OR_CREATE;
        if (!o.name) o.name = hpt_sweep_name(sweep);
        if (!o.sampler) o.sampler = !strcmp(hpt_sweep_method(sweep), "bayes") ? "auto" : hpt_sweep_method(sweep);
    }
    code = cli_storage_url(url, sizeof url, &where);
    if (code != CLI_OK) goto out;
    o.storage = url;
    int rc = hpt_study_open(&study, &o);
    if (rc < 0) {
        code = cli_fail(rc);
        goto out;
    }
    for (int64_t i = 0; i < count; i++) {
        hpt_trial *trial = NULL;
        const char *json = "{}";
        rc = hpt_study_ask(&trial, study);
        if (rc == HPT_S_EXHAUSTED) {
            cli_note("every point of the space was tried");
            code = i ? CLI_OK : CLI_NOT_FOUND;
            break;
        }
        if (rc < 0 || (rc = hpt_trial_params_json(&json, trial)) < 0) {
            code = cli_fail(rc);
            hpt_trial_destroy(trial);
            break;
        }
        printf("{\"number\": %lld, \"params\": %s}\n", (long long)hpt_trial_number(trial), json);
        hpt_trial_destroy(trial);
    }
out:
    hpt_study_close(study);
    hpt_sweep_destroy(sweep);
    free(positional);
    return code;
}

static bool parse_value(double *out, const char *text) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0;
}

int cmd_tell(int argc, char **argv) {
    cli_study_args where = {0};
    const char *state_text = "complete";
    const cli_option options[] = {
        CLI_STUDY_OPTIONS(&where),
        {"state", 0, CLI_STRING, &state_text, "STATE", "complete (default), pruned or fail"},
        {"", 0, CLI_FLAG, NULL, NULL, NULL},
    };
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    double *values = calloc((size_t)argc + 1, sizeof *values);
    bool done;
    int n, rc;
    hpt_study *study = NULL;
    hpt_trial *trial = NULL;
    hpt_trial_state state;
    int code =
        positional && values ? cli_parse("tell", options, argc, argv, positional, &n, &done) : cli_fail(HPT_E_MEMORY);
    if (code != CLI_OK || done) goto out;
    char *end = NULL;
    errno = 0;
    long long number = n ? strtoll(positional[0], &end, 10) : -1;
    if (n < 1 || errno || *end || number < 0) {
        code = cli_usage("tell: give the trial's number and its value, e.g. `hpt tell 3 0.25`");
        goto out;
    }
    for (int i = 1; i < n; i++) {
        if (!parse_value(&values[i - 1], positional[i])) {
            code = cli_usage("tell: '%s' is not a number", positional[i]);
            goto out;
        }
    }
    if ((rc = hpt_trial_state_from_string(&state, state_text)) < 0) {
        code = cli_fail(rc);
        goto out;
    }
    code = cli_open_study(&study, &where, HPT_OPEN_EXISTING);
    if (code != CLI_OK) goto out;
    if ((rc = hpt_study_trial(&trial, study, number)) < 0 ||
        (rc = hpt_study_tell(study, trial, state, values, n - 1)) < 0)
        code = cli_fail(rc);
    else if (rc == HPT_S_NOTHING)
        cli_note("trial %lld is recorded as failed: its value is not a number", number);
out:
    hpt_trial_destroy(trial);
    hpt_study_close(study);
    free(values);
    free(positional);
    return code;
}
