// SPDX-License-Identifier: Apache-2.0
// main.c: `hpt <command>`: finds the command, prints help, turns library messages into lines on stderr.
#include "cli.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

const cli_command cli_commands[] = {
    {"run", "SWEEP [options]", "run a sweep file's trials on this machine; the same command resumes it", cmd_run},
    {"resume", "[RUN] [options]", "continue the latest run, or the one in folder RUN", cmd_resume},
    {"check", "SWEEP", "validate a sweep file and show what it would do", cmd_check},
    {"ask", "[SWEEP] [options]", "take new trials from a study, for a loop of your own", cmd_ask},
    {"tell", "NUMBER [VALUE...] [options]", "finish a trial that `hpt ask` gave", cmd_tell},
    {"serve", "", "ask and tell as JSON lines on stdin and stdout", cmd_serve},
    {"stop", "[NUMBER] [options]", "stop a running sweep, or one of its trials", cmd_stop},
    {"show", "[STUDY] [options]", "a study on one screen: goal, trials, best, sampler and its model", cmd_show},
    {"top", "[options]", "a running sweep as it goes: devices, shares, trials; stops one at a key", cmd_top},
    {"best", "[options]", "the best trial and its parameters", cmd_best},
    {"trials", "[options]", "a table of trials", cmd_trials},
    {"studies", "[options]", "the studies of a database", cmd_studies},
    {"export", "[options]", "everything about a study as JSON, JSON lines, CSV or Optuna's journal", cmd_export},
    {"import", "FILE [options]", "put the studies of a journal, JSON lines or CSV file into a database", cmd_import},
    {"storage", "check|copy|vacuum [URL] [options]", "look for damage in a database, copy it, tidy it up", cmd_storage},
    {"report", "[NAME=VALUE...] [options]", "summary of a study; inside a trial: report a metric", cmd_report},
    {"devices", "[options]", "cores, memory and GPUs that trials can use", cmd_devices},
    {"version", "", "version and build", cmd_version},
    {"help", "[COMMAND]", "this text, or the help of a command", cmd_help},
    {NULL, NULL, NULL, NULL},
};

static void print_help(FILE *f) {
    fprintf(f, "hpt: tunes the parameters of training programs\n\nusage: hpt COMMAND [arguments]\n\ncommands:\n");
    for (const cli_command *c = cli_commands; c->name; c++) fprintf(f, "  %-9s %s\n", c->name, c->summary);
    fprintf(f, "\n`hpt COMMAND --help` lists a command's options. Options of samplers, pruners and storage\n"
               "(`-o key=value`, or the environment name) are listed by `hpt help options`.\n"
               "\nexit codes: 0 done, 1 failed, 2 bad arguments or sweep file, 3 not found, 4 run is busy,\n"
               "  5 stopped before its budget, 6 too many of the first trials failed, 7 stored study differs\n"
               "\nexample:\n  hpt run sweep.yaml && hpt best\n");
}

// markdown: docs/options.md is this output, and a test compares the two.
static void print_option_table(FILE *f, bool markdown) {
    hpt_option_info info;
    if (markdown)
        fprintf(f,
                "# Options\n\nWritten by `hpt help options --markdown` from `src/core/base/options.def`. Given as "
                "`-o key=value`, under `hpt: options:`\nof a sweep file, in the environment, or as \"key=value\" in C. "
                "Given ones win over the environment, that over what is\nstored with the study, that over the "
                "defaults.\n\n| key | type | default | environment | meaning |\n|---|---|---|---|---|\n");
    for (int64_t i = 0; hpt_option_info_at(&info, i) == HPT_OK; i++) {
        if (!markdown) {
            fprintf(f, "%s (%s%s%s)\n    default %s; environment %s\n    %s\n", info.key, info.type,
                    info.bounds[0] ? " " : "", info.bounds, info.default_value, info.env, info.doc);
            continue;
        }
        fprintf(f, "| `%s` | %s ", info.key, info.type);
        for (const char *c = info.bounds; *c; c++) fprintf(f, *c == '|' ? "\\%c" : "%c", *c);
        fprintf(f, " | %s | `%s` | %s |\n", info.default_value, info.env, info.doc);
    }
}

int cmd_help(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-' || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return CLI_OK;
    }
    if (!strcmp(argv[1], "options")) {
        print_option_table(stdout, argc > 2 && !strcmp(argv[2], "--markdown"));
        return CLI_OK;
    }
    for (const cli_command *c = cli_commands; c->name; c++) {
        char help[] = "--help";
        if (!strcmp(c->name, argv[1]) && c->run != cmd_help) return c->run(2, (char *[]){argv[1], help, NULL});
    }
    return cli_usage("there is no command '%s'; `hpt help` lists them", argv[1]);
}

// Small words are close when one edit turns the first three letters of one into the other's; the library's own
// suggestion needs its inside, so the program settles for a common beginning.
static const char *similar_command(const char *text) {
    const char *best = NULL;
    size_t best_len = 1;
    for (const cli_command *c = cli_commands; c->name; c++) {
        size_t k = 0;
        while (text[k] && text[k] == c->name[k]) k++;
        if (k > best_len) best = c->name, best_len = k;
    }
    return best;
}

static void log_to_stderr(hpt_log_level level, const char *message, void *payload) {
    (void)payload;
    cli_note("%s%s", level == HPT_LOG_ERROR ? "error: " : level == HPT_LOG_WARN ? "warning: " : "", message);
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, "");
    const char *level = getenv("HPT_LOG");
    hpt_log_set(log_to_stderr, NULL,
                level && !strcmp(level, "debug")  ? HPT_LOG_DEBUG
                : level && !strcmp(level, "info") ? HPT_LOG_INFO
                                                  : HPT_LOG_WARN);
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
        print_help(stdout);
        return CLI_OK;
    }
    if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) return cmd_version(1, argv + 1);
    for (const cli_command *c = cli_commands; c->name; c++) {
        if (strcmp(c->name, argv[1]) != 0) continue;
        int code = c->run(argc - 1, argv + 1);
        // A full disk or a closed pipe behind stdout must not pass for success.
        if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK) {
            cli_note("could not write the output");
            return CLI_FAILED;
        }
        return code;
    }
    const char *near = similar_command(argv[1]);
    if (near) return cli_usage("there is no command '%s'; did you mean '%s'?", argv[1], near);
    return cli_usage("there is no command '%s'; `hpt help` lists them", argv[1]);
}
