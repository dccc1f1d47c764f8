// SPDX-License-Identifier: Apache-2.0
// cli.h: what the commands of `hpt` share: options, exit codes, tables, the terminal, finding a study.
//
// The program sees the library through its public headers only. One command is one file cmd_<name>.c with one
// function of type cli_command; main.c has the table.
#ifndef HPT_CLI_H
#define HPT_CLI_H

#include <hpt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// ---- exit codes, documented in docs/cli.md and the man page; pinned
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,       // the work could not be done
    CLI_USAGE = 2,        // bad arguments or a bad sweep file
    CLI_NOT_FOUND = 3,    // no such study, trial or file; no completed trial yet
    CLI_BUSY = 4,         // another `hpt run` holds the run
    CLI_STOPPED = 5,      // ended before its budget on request or at a time limit; the same command resumes
    CLI_ALL_FAILED = 6,   // the sweep was given up because too many of its first trials failed
    CLI_INCOMPATIBLE = 7, // the stored study has another space or objective, or the file is no database of studies
};
int cli_exit_code(int status);

// Prints "hpt: <last error>" on stderr and gives the exit code of the status.
int cli_fail(int status);
// Prints "hpt: ..." on stderr and returns CLI_USAGE.
int cli_usage(const char *fmt, ...) HPT_PRINTF(1, 2);
// Remarks for the user on stderr, "hpt: ...".
void cli_note(const char *fmt, ...) HPT_PRINTF(1, 2);

// ---- options
typedef enum cli_kind { CLI_FLAG, CLI_STRING, CLI_INT, CLI_NUMBER, CLI_LIST } cli_kind;

enum { CLI_LIST_MAX = 64 };
typedef struct cli_list {
    const char *items[CLI_LIST_MAX];
    int64_t n;
} cli_list;

typedef struct cli_option {
    const char *name; // without "--"; "" ends a table
    char letter;      // 0: none
    cli_kind kind;
    void *target;    // bool *, const char **, int64_t *, double *, cli_list *
    const char *arg; // name of the argument in the help; NULL for flags
    const char *help;
} cli_option;

typedef struct cli_command {
    const char *name;
    const char *synopsis;              // arguments, for the usage line
    const char *summary;               // one line
    int (*run)(int argc, char **argv); // argv[0] is the command's name
} cli_command;
extern const cli_command cli_commands[]; // ends with a NULL name

// Parses argv[1..argc): options anywhere, the rest into positional (room for argc). -h and --help print the help of
// the command and give rc 0 with *done. Returns CLI_OK or CLI_USAGE (said on stderr).
int cli_parse(const char *command, const cli_option *options, int argc, char **argv, const char **positional,
              int *n_positional, bool *done);
// CLI_USAGE with a line about the first one if there are any.
int cli_no_arguments(const char *command, const char *const *positional, int n);

// ---- which study: options that every command about a stored study takes
typedef struct cli_study_args {
    const char *storage, *study, *run;
} cli_study_args;
#define CLI_STUDY_OPTIONS(a)                                                                                    \
    {"storage",     0,     CLI_STRING,                                                                          \
     &(a)->storage, "URL", "database, e.g. sqlite:///study.db (default: $HPT_STORAGE, else the latest run's)"}, \
        {"study", 's', CLI_STRING, &(a)->study, "NAME", "study in the database (default: its only one)"}, {     \
        "run", 0, CLI_STRING, &(a)->run, "DIR", "a run's folder (default: hpt_runs/latest)"                     \
    }

// Opens the study that the arguments name. Messages say where was looked. Returns an exit code.
int cli_open_study(hpt_study **out, const cli_study_args *args, hpt_open_mode mode);
// URL of the database the arguments name; buffer of size bytes.
int cli_storage_url(char *buffer, size_t size, const cli_study_args *args);

// ---- terminal
bool cli_is_terminal(FILE *f);
int cli_width(void); // columns of the terminal, 80 if unknown
// "" when colour is off (not a terminal, NO_COLOR, TERM=dumb). name: "bold" "dim" "red" "green" "yellow" "cyan" "reverse" "off".
const char *cli_color(FILE *f, const char *name);
// Seconds as "0:07", "3:20", "1:02:03"; "-" if not finite. out: at least 24 bytes.
const char *cli_duration(char *out, double seconds);
// The path as the user would type it from the working folder.
const char *cli_below_cwd(const char *path);
// Bytes as "512 MiB", "1.5 GiB"; "-" if not finite or negative.
const char *cli_bytes(char out[32], double n);
// As printf's %.*g for 1 to 17 digits, "-" for NaN, several times faster for numbers of ordinary size.
const char *cli_general(char out[32], double v, int digits);
// A double in at most 6 significant digits, for people. out: at least 32 bytes.
const char *cli_number(char *out, double v);
// The shortest text that reads back as v, for programs. out: at least 32 bytes.
const char *cli_exact(char out[32], double v);
// A parameter's value for people: numbers as cli_number, choices as they are, "-" where the parameter is absent.
const char *cli_param(char out[32], hpt_trial *trial, const char *name);
// The same from a table. exact: for programs: numbers that read back, "" where absent.
const char *cli_cell(char out[32], const hpt_table *t, int64_t param, int64_t row, bool exact);
// Display columns of UTF-8 text.
int cli_columns(const char *text);
// Text of others made fit for a terminal: escape sequences are dropped, control characters and invalid bytes become
// '?', tabs blanks; more than `columns` columns are cut and end in "...". Returns the bytes written without the NUL.
size_t cli_safe(char *out, size_t size, const char *text, int columns);
// Numbers become 'N': texts that differ in nothing else are of one kind.
void cli_mask_numbers(char *out, size_t size, const char *text);
bool cli_is_plain(const char *text); // printable ASCII only
void cli_put_json_string(FILE *f, const char *text);
// Text of a JSON string, cut to size; false (and "") if json is none.
bool cli_json_text(char *out, size_t size, const char *json);
void cli_print_json_number(double v); // to stdout; Python's tokens for what is not finite

// ---- tables: rows of text, printed aligned, as CSV, or as a JSON array of objects
typedef enum cli_format { CLI_TABLE, CLI_JSON, CLI_CSV } cli_format;
int cli_format_parse(cli_format *out, const char *text); // NULL: table. Returns an exit code.

typedef struct cli_table cli_table;
// columns: headers; a header that begins with '>' is right-aligned and its cells are bare numbers in JSON.
cli_table *cli_table_new(const char *const *columns, int n);
void cli_table_add(cli_table *t, const char *cell); // next cell; copied
void cli_table_addf(cli_table *t, const char *fmt, ...) HPT_PRINTF(2, 3);
void cli_table_print(cli_table *t, cli_format format, FILE *f); // and frees it

// Trials of a table as rows: number, state, values, seconds, what chose the point (attribute 0 of the table), parameters.
// Returns an exit code.
int cli_print_rows(const hpt_table *t, const int64_t *rows, int64_t n, cli_format format);
// The named columns of trials, whose attributes are cli_column_attrs in this order (trial_columns.c). Returns an exit code.
enum { CLI_COLUMN_ATTRS = 4 };
extern const char *const cli_column_attrs[CLI_COLUMN_ATTRS];
int cli_print_columns(const hpt_table *t, const int64_t *rows, int64_t n, const char *names, cli_format format);
// Where the value of a key begins in an attribute hpt:use; NULL: it has none.
const char *cli_use_of(const char *json, const char *key);
// Column of one of several objectives, right-aligned: its name, else values_<i> as in Optuna's tables.
enum { CLI_OBJECTIVE_MAX = 64 };
void cli_objective_column(char out[CLI_OBJECTIVE_MAX], const hpt_table *t, int64_t i);

// ---- progress of a run (progress.c)
typedef struct cli_progress cli_progress;
cli_progress *cli_progress_new(const char *name, const char *metric, bool quiet);
void cli_progress_event(cli_progress *p, const hpt_run_event *event);
void cli_progress_free(cli_progress *p);
void cli_progress_pause(void); // takes the status line off the screen, before anything else is written there

// ---- text report of a study (report_text.c); returns a status. where: the run's folder, NULL: none is known
int cli_report_write(FILE *f, hpt_study *study, const char *where);
// Failed trials by kind in a few words, "11 exit code 3, 1 timeout"; "" if none failed.
void cli_failure_summary(char *out, size_t size, const hpt_table *t);
// Attributes that a table for a report or a summary is asked for.
enum { CLI_ATTR_BY, CLI_ATTR_OUTCOME, CLI_ATTR_REASON, CLI_REPORT_ATTRS };
extern const char *const cli_report_attrs[CLI_REPORT_ATTRS];
// "What went together with the objective": rank correlations (report_effects.c).
void cli_write_effects(FILE *f, const hpt_table *t, int64_t objective, bool maximize);

// ---- --wandb-shim (wandb_shim.c): entries for the environment of trials
enum { CLI_WANDB_ENTRIES = 2 };
typedef struct cli_wandb {
    char *entries[CLI_WANDB_ENTRIES]; // owned
} cli_wandb;
int cli_wandb_env(cli_wandb *out, const hpt_sweep *sweep); // an exit code, after a message
void cli_wandb_fini(cli_wandb *w);

int cmd_run(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_ask(int argc, char **argv);
int cmd_tell(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_best(int argc, char **argv);
int cmd_trials(int argc, char **argv);
int cmd_studies(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_storage(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif
