// SPDX-License-Identifier: Apache-2.0
// test_transfer_files.c: study files read: what is taken, what is refused and how it is said. That Optuna reads the same
// from what we write is held in tests/storage/optuna_transfer.py.
#include "core/base/alloc.h"
#include "core/transfer/transfer_read.h"

#include <criterion/criterion.h>
#include <hpt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- helpers

static char folder[64];

static void enter(void) {
    snprintf(folder, sizeof folder, "/tmp/hpt_transfer_test_XXXXXX");
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
}

static void leave(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(chdir("/") == 0 && system(command) == 0);
}

TestSuite(transfer_files, .init = enter, .fini = leave);

static void write_text(const char *path, const char *text, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

static int import_text(const char *path, const char *text, const char *as) {
    write_text(path, text, strlen(text));
    unlink("to.db");
    return hpt_storage_import(NULL, NULL, "to.db", path, NULL, as);
}

static void ok(int rc) {
    cr_assert_geq(rc, 0, "%s", hpt_last_error());
}

static void expect_refused(int rc, int status, const char *words) {
    char copy[256], *rest = copy, *word;
    cr_expect_eq(rc, status, "gave %d: %s", rc, hpt_last_error());
    snprintf(copy, sizeof copy, "%s", words);
    while ((word = strsep(&rest, "|")))
        cr_expect(strstr(hpt_last_error(), word), "no \"%s\" in: %s", word, hpt_last_error());
    cr_expect_neq(access("to.db", F_OK), 0, "a database was made for: %s", words);
}

// The study of to.db as JSON lines.
static int collect(const char *text, size_t n, void *payload) {
    hpt__str_addn(payload, text, n);
    return 0;
}

static hpt__str export_study(const char *name) {
    hpt__str text = HPT__STR_INIT;
    hpt_study *study;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.storage = "to.db";
    o.name = name;
    o.mode = HPT_OPEN_READ_ONLY;
    ok(hpt_study_open(&study, &o));
    ok(hpt_study_export(study, "jsonl", 0, collect, &text));
    hpt_study_close(study);
    return text;
}

static void expect_text(const char *study, const char *words) {
    hpt__str text = export_study(study);
    char copy[1024], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", words);
    while ((word = strsep(&rest, "|")))
        cr_expect(strstr(hpt__str_text(&text), word), "no %s in:\n%s", word, hpt__str_text(&text));
    hpt__str_fini(&text);
}

static char log_text[4096];

static void note_log(hpt_log_level level, const char *message, void *payload) {
    (void)payload;
    if (level == HPT_LOG_WARN) strncat(log_text, message, sizeof log_text - strlen(log_text) - 1);
}

#define X01 "{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0.0,\"high\":1.0,\"log\":false}}"
#define X01_TEXT \
    "{\\\"name\\\":\\\"FloatDistribution\\\",\\\"attributes\\\":{\\\"step\\\":null,\\\"low\\\":0.0,\\\"high\\\":1.0,\\\"log\\\":false}}"

// ---- times

Test(transfer_files, times_have_fractions_and_zones)
{
    static const struct {
        const char *text;
        int64_t us; // INT64_MIN: refused
    } cases[] = {
        {"1970-01-01 00:00:00", 0},
        {"1970-01-01T00:00:01.5", 1500000},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1970-01-01 05:30:00+05:30", 0},
        {"1970-01-01 00:00:00.25-0100", 3600250000},
        {"1969-12-31T23:00:00-01", 0},
        {"2026-01-31T12:00:00.123456789+00:00", 1769860800123456},
        {"2026-02-30 12:00:00", INT64_MIN},
        {"2026-01-31", INT64_MIN},
        {"2026-01-31 12:00:00 UTC", INT64_MIN},
        {"2026-01-31 12:00:00+5", INT64_MIN},
        {"", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = INT64_MIN;
        const bool good = hpt__transfer_time(&us, cases[i].text, false);
        cr_expect_eq(good, cases[i].us != INT64_MIN, "%s", cases[i].text);
        if (good) cr_expect_eq(us, cases[i].us, "%s: %lld", cases[i].text, (long long)us);
    }
    int64_t us;
    setenv("TZ", "Asia/Kolkata", 1);
    cr_expect(hpt__transfer_time(&us, "1970-01-01 05:30:00.000007", true) && us == 7);
    cr_expect(hpt__transfer_time(&us, "1970-01-01 05:30:00+00:00", true) && us == INT64_C(19800000000));
}

// ---- lines

Test(transfer_files, lines_of_any_length_and_content_are_read_whole)
{
    const size_t sizes[] = {0, 1, 4093, 4094, 4095, 4096, 4097, 8190, 8191, 8192, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hpt__lines l;
        char *text = malloc(sizes[i] + 8);
        memset(text, i % 2 ? 1 : 0, sizes[i]); // NUL bytes, and the mark that the reader uses
        memcpy(text + sizes[i], "\nend", 4);
        write_text("lines", text, sizes[i] + 4);
        ok(hpt__lines_open(&l, "lines"));
        cr_assert_eq(hpt__lines_next(&l), 1);
        cr_expect(l.whole && l.line.len == sizes[i] && memcmp(hpt__str_text(&l.line), text, sizes[i]) == 0, "%zu",
                  sizes[i]);
        cr_assert_eq(hpt__lines_next(&l), 1);
        cr_expect(!l.whole && l.number == 2);
        cr_expect_str_eq(hpt__str_text(&l.line), "end");
        cr_expect_eq(hpt__lines_next(&l), 0);
        hpt__lines_close(&l);
        free(text);
    }
}

// ---- which form

Test(transfer_files, what_is_no_study_file_is_refused_before_a_database_is_made)
{
    expect_refused(import_text("a", "", NULL), HPT_E_INCOMPATIBLE, "'a'|empty");
    expect_refused(import_text("a", "\n\n \n", NULL), HPT_E_INCOMPATIBLE, "'a'|empty");
    expect_refused(import_text("a", "hello\n", NULL), HPT_E_UNSUPPORTED, "'a'|journal|CSV");
    expect_refused(import_text("a", "{\"study\":\"s\",\"trials\":[]}\n", NULL), HPT_E_UNSUPPORTED, "'a'|jsonl");
    expect_refused(import_text("a", "SQLite format 3\n", NULL), HPT_E_UNSUPPORTED, "database|storage copy");
    expect_refused(hpt_storage_import(NULL, NULL, "to.db", "nothing", NULL, NULL), HPT_E_NOT_FOUND, "'nothing'");
    expect_refused(hpt_storage_import(NULL, NULL, "to.db", ".", NULL, NULL), HPT_E_ARG, "regular");
    expect_refused(hpt_storage_import(NULL, NULL, "to.db", "a", "xml", NULL), HPT_E_ARG, "'xml'|journal, jsonl, csv");
    expect_refused(hpt_storage_import(NULL, NULL, ":memory:", "a", NULL, NULL), HPT_E_ARG, "file");
    expect_refused(import_text("a", "{\"number\":0}\n", ""), HPT_E_ARG, "name");
}

// ---- JSON lines

Test(transfer_files, a_line_needs_parameters_and_their_distributions_only)
{
    ok(import_text("plain.jsonl",
                   "\n{\"params\":{\"x\":0.5},\"distributions\":{\"x\":" X01 "},\"values\":[1]}\n"
                   "{\"params\":{\"x\":2.5},\"distributions\":{\"x\":" X01 "}}\n",
                   NULL));
    expect_text("plain",
                "\"number\":0,\"state\":\"COMPLETE\",\"values\":[1.0],\"params\":{\"x\":0.5}|"
                "\"number\":1,\"state\":\"FAIL\",\"values\":null,\"params\":{\"x\":2.5}"); // outside, as Optuna may
}

Test(transfer_files, bad_lines_are_named)
{
    static const struct {
        const char *text, *words;
        int status;
    } cases[] = {
        {"{\"number\":0}\n{nonsense\n", "a:2", HPT_E_PARSE},
        {"{\"number\":0}\n[1]\n", "a:2|object", HPT_E_PARSE},
        {"{\"number\":-1}\n", "a:1|'number'", HPT_E_PARSE},
        {"{\"number\":0,\"state\":\"ODD\"}\n", "a:1|ODD", HPT_E_ARG},
        {"{\"number\":0,\"values\":[1,2],\"directions\":[\"minimize\"]}\n", "a:1|2 values|1 objectives",
         HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"values\":[\"x\"]}\n", "a:1|value 0", HPT_E_PARSE},
        {"{\"number\":0,\"values\":1}\n", "a:1|no list", HPT_E_PARSE},
        {"{\"number\":0,\"state\":\"COMPLETE\"}\n", "a:1|COMPLETE", HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"directions\":[\"up\"]}\n", "a:1|direction 0", HPT_E_PARSE},
        {"{\"number\":0,\"directions\":[]}\n", "a:1|directions", HPT_E_PARSE},
        {"{\"number\":0,\"params\":{\"x\":1}}\n", "a:1|'x'|distributions", HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"params\":{\"x\":1},\"distributions\":{\"x\":{}}}\n", "a:1|'x'|Optuna", HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"params\":{\"x\":\"a\"},\"distributions\":{\"x\":" X01 "}}\n", "a:1|'x'|no number",
         HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"reports\":[[1]]}\n", "a:1|report 0", HPT_E_PARSE},
        {"{\"number\":0,\"datetime_start\":\"yesterday\"}\n", "a:1|datetime_start", HPT_E_PARSE},
        {"{\"number\":0,\"user_attrs\":[]}\n", "a:1|attributes", HPT_E_PARSE},
        {"{\"number\":0}\n{\"number\":0}\n", "a:2|sort", HPT_E_INCOMPATIBLE},
        {"{\"number\":0,\"study\":\"s\"}\n{\"number\":0,\"study\":\"s\",\"directions\":[\"minimize\",\"minimize\"]}\n",
         "a:2|2 objectives|1 before", HPT_E_INCOMPATIBLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(import_text("a", cases[i].text, NULL), cases[i].status, cases[i].words);
    expect_refused(import_text("a", "{\"number\":0,\"study\":\"s\"}\n{\"number\":0,\"study\":\"t\"}\n", "one"),
                   HPT_E_ARG, "'s'|'t'|'one'");
}

Test(transfer_files, gaps_in_the_numbers_are_closed_and_told)
{
    hpt_log_set(note_log, NULL, HPT_LOG_WARN);
    ok(import_text("a.jsonl", "{\"number\":5}\n{\"number\":9}\n", "s"));
    cr_expect(strstr(log_text, "2 trials have new numbers"), "%s", log_text);
    expect_text("s", "{\"number\":0,|{\"number\":1,");
}

Test(transfer_files, a_completed_trial_with_a_nan_value_is_failed_and_told)
{
    hpt_log_set(note_log, NULL, HPT_LOG_WARN);
    ok(import_text("a.jsonl", "{\"number\":0,\"state\":\"COMPLETE\",\"values\":[NaN]}\n", NULL));
    cr_expect(strstr(log_text, "1 trials with a NaN"), "%s", log_text);
    expect_text("a", "\"state\":\"FAIL\",\"values\":null");
}

Test(transfer_files, a_name_that_is_taken_imports_nothing)
{
    int64_t n;
    hpt_study_summary *all;
    ok(import_text("a.jsonl", "{\"number\":0,\"study\":\"s\"}\n", NULL));
    const char both[] = "{\"number\":0,\"study\":\"t\"}\n{\"number\":0,\"study\":\"s\"}\n";
    write_text("b.jsonl", both, strlen(both));
    cr_expect_eq(hpt_storage_import(NULL, NULL, "to.db", "b.jsonl", NULL, NULL), HPT_E_EXISTS);
    cr_expect(strstr(hpt_last_error(), "'s'"), "%s", hpt_last_error());
    ok(hpt_storage_studies(&all, &n, "to.db"));
    cr_expect_eq(n, 1);
    hpt_storage_summaries_free(all, n);
}

// ---- journal

#define OP(n) "{\"op_code\":" #n ",\"worker_id\":\"w\","

Test(transfer_files, a_journal_is_replayed_as_optuna_does)
{
    ok(import_text(
        "j.log",
        OP(0) "\"study_name\":\"gone\",\"directions\":[1]}\n"                        // study 0
        OP(0) "\"study_name\":\"s\",\"directions\":[2]}\n"                           // study 1
        OP(0) "\"study_name\":\"s\",\"directions\":[1]}\n"                           // refused
        OP(4) "\"study_id\":0,\"datetime_start\":\"2026-01-31T12:00:00+00:00\"}\n"   // trial 0
        OP(1) "\"study_id\":0}\n"                                                    // and gone
        OP(4) "\"study_id\":0,\"datetime_start\":null}\n"                            // no trial
        OP(4) "\"study_id\":1,\"datetime_start\":\"2026-01-31T12:00:00.5+01:00\"}\n" // trial 1
        OP(5) "\"trial_id\":1,\"param_name\":\"x\",\"param_value_internal\":0.5,\"distribution\":\"" X01_TEXT
              "\"}\n" OP(7) "\"trial_id\":1,\"step\":2,\"intermediate_value\":NaN}\n" OP(7) "\"trial_id\":1,\"step\":1,\"intermediate_value\":1}\n" OP(7) "\"trial_id\":1,\"step\":1,\"intermediate_value\":-Infinity}\n" OP(8) "\"trial_id\":1,\"user_attr\":{\"k\":[1, null]}}\n" OP(
                  9) "\"trial_id\":1,\"system_attr\":{\"k\":\"v\"}}\n" OP(6) "\"trial_id\":1,\"state\":1,\"values\":[0.25],\"datetime_complete\":\"2026-01-31T11:00:02+00:00\"}\n" OP(6) "\"trial_id\":1,\"state\":3,\"values\":null,\"datetime_complete\":\"2026-01-31T11:00:03+00:00\"}\n" OP(8) "\"trial_id\":1,\"user_attr\":{\"late\":1}}\n" // finished
        OP(4) "\"study_id\":1,\"datetime_start\":null,\"state\":4,\"value\":null,\"values\":null,"
              "\"system_attrs\":{\"fixed_params\":{\"x\":0.5}}}\n" // trial 2
        OP(10) "\"trial_ids\":[1]}\n" OP(2) "\"study_id\":1,\"user_attr\":{\"owner\":\"me\"}}\n" OP(
            8) "\"trial_id\":99,\"user_attr\":{\"k\":1}}\n", // no such trial
        NULL));
    expect_text("s", "\"number\":0,\"state\":\"COMPLETE\",\"values\":[0.25],\"params\":{\"x\":0.5},\"reports\":"
                     "[[1,-Infinity],[2,NaN]],\"datetime_start\":\"2026-01-31 11:00:00.500000\",\"datetime_complete\":"
                     "\"2026-01-31 11:00:02.000000\"|\"user_attrs\":{\"k\":[1, null]},\"system_attrs\":{\"k\":\"v\"}|"
                     "\"directions\":[\"maximize\"]|\"study_user_attrs\":{\"owner\":\"me\"}|"
                     "\"number\":1,\"state\":\"WAITING\"");
    int64_t n;
    hpt_study_summary *all;
    ok(hpt_storage_studies(&all, &n, "to.db"));
    cr_expect_eq(n, 1);
    hpt_storage_summaries_free(all, n);
}

Test(transfer_files, a_parameter_that_contradicts_an_earlier_trial_is_passed_over)
{
    ok(import_text(
        "j.log",
        OP(0) "\"study_name\":\"s\",\"directions\":[1]}\n" OP(4) "\"study_id\":0,\"datetime_start\":null}\n" OP(4) "\"study_id\":0,\"datetime_start\":null}\n" OP(
            5) "\"trial_id\":0,\"param_name\":\"x\",\"param_value_internal\":0.5,\"distribution\":\"" X01_TEXT
               "\"}\n" OP(
                   5) "\"trial_id\":1,\"param_name\":\"x\",\"param_value_internal\":0,\"distribution\":\"{\\\"name\\\":"
                      "\\\"CategoricalDistribution\\\",\\\"attributes\\\":{\\\"choices\\\":[1]}}\"}\n",
        NULL));
    expect_text("s", "\"number\":0,\"state\":\"RUNNING\",\"values\":null,\"params\":{\"x\":0.5}|"
                     "\"number\":1,\"state\":\"RUNNING\",\"values\":null,\"params\":{}");
}

Test(transfer_files, bad_operations_are_named)
{
    static const struct {
        const char *line, *words;
        int status;
    } cases[] = {
        {"{\"worker_id\":\"w\"}\n", "a:3|op_code", HPT_E_PARSE},
        {OP(11) "\"study_id\":0}\n", "a:3|operation 11|newer", HPT_E_INCOMPATIBLE},
        {OP(0) "\"directions\":[1]}\n", "a:3|study_name", HPT_E_PARSE},
        {OP(0) "\"study_name\":\"t\",\"directions\":[]}\n", "a:3|directions", HPT_E_PARSE},
        {OP(4) "\"datetime_start\":null}\n", "a:3|study_id", HPT_E_PARSE},
        {OP(4) "\"study_id\":0,\"datetime_start\":\"x\"}\n", "a:3|datetime_start", HPT_E_PARSE},
        {OP(4) "\"study_id\":0,\"state\":9}\n", "a:3|state 9", HPT_E_INCOMPATIBLE},
        {OP(4) "\"study_id\":0,\"params\":{\"x\":1}}\n", "a:3|'x'", HPT_E_PARSE},
        {OP(4) "\"study_id\":0,\"intermediate_values\":{\"a\":1}}\n", "a:3|intermediate", HPT_E_PARSE},
        {OP(5) "\"trial_id\":0,\"param_name\":\"x\",\"distribution\":\"{}\"}\n", "a:3|'x'", HPT_E_PARSE},
        {OP(5) "\"trial_id\":0,\"param_name\":\"x\",\"param_value_internal\":1,\"distribution\":\"{}\"}\n", "a:3|'x'",
         HPT_E_INCOMPATIBLE},
        {OP(6) "\"trial_id\":0,\"values\":null}\n", "a:3|state", HPT_E_PARSE},
        {OP(7) "\"trial_id\":0,\"step\":1}\n", "a:3|report", HPT_E_PARSE},
        {"nonsense\n" OP(10) "\"x\":1}\n", "a:3|damaged", HPT_E_PARSE},
        {OP(6) "\"trial_id\":0,\"state\":1,\"values\":[1,2]}\n", "'a'|study 's', trial 0|2 values", HPT_E_INCOMPATIBLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s%s", OP(0) "\"study_name\":\"s\",\"directions\":[1]}\n",
                 OP(4) "\"study_id\":0,\"datetime_start\":null}\n", cases[i].line);
        expect_refused(import_text("a", text, NULL), cases[i].status, cases[i].words);
    }
}

// ---- CSV

Test(transfer_files, a_table_is_read_with_quotes_and_guessed_ranges)
{
    hpt_log_set(note_log, NULL, HPT_LOG_WARN);
    ok(import_text(
        "t.csv",
        "\xef\xbb\xbf,number,value,datetime_start,params_n,params_x,params_c,params_none,user_attrs_note,other,state\r\n"
        "0,0,0.5,2026-01-31 12:00:00,3,0.25,True,,\"a,\"\"b\"\"\nc\",1,COMPLETE\r\n"
        "1,1,inf,,-2,1e-3,x,,7,2,COMPLETE\n"
        "2,2,,,,,,,\"[1, null]\",3,FAIL",
        NULL));
    cr_expect(strstr(log_text, "3 parameters got the range of their data"), "%s", log_text);
    expect_text("t", "\"values\":[0.5],\"params\":{\"n\":3,\"x\":0.25,\"c\":true}|"
                     "\"datetime_start\":\"2026-01-31 12:00:00.000000\"|\"user_attrs\":{\"note\":\"a,\\\"b\\\"\\nc\"}|"
                     "\"values\":[Infinity],\"params\":{\"n\":-2,\"x\":0.001,\"c\":\"x\"}|\"user_attrs\":{\"note\":7}|"
                     "\"low\": -2, \"high\": 3|\"low\": 0.001, \"high\": 0.25|\"choices\": [true, \"x\"]|"
                     "\"state\":\"FAIL\",\"values\":null,\"params\":{}|\"user_attrs\":{\"note\":[1, null]}");
}

Test(transfer_files, bad_tables_are_named)
{
    static const struct {
        const char *text, *words;
        int status;
    } cases[] = {
        {"number,state\n0,FAIL\n", "a:1|value", HPT_E_INCOMPATIBLE},
        {"number,value\n0\n", "a:2|1 cells|2", HPT_E_PARSE},
        {"number,value\n0,\"1\n", "a:2|quote", HPT_E_PARSE},
        {"number,value\nx,1\n", "a:2|'x'", HPT_E_PARSE},
        {"number,value\n0,1\n\n1,one\n", "a:4|'one'", HPT_E_PARSE},
        {"number,value,state\n0,1,DONE\n", "a:2|DONE", HPT_E_ARG},
        {"number,value,datetime_start\n0,1,now\n", "a:2|'now'", HPT_E_PARSE},
        {"number,values_0,values_1,state\n0,1,,COMPLETE\n", "a:2|1 values|2", HPT_E_INCOMPATIBLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(import_text("a", cases[i].text, NULL), cases[i].status, cases[i].words);
}

// ---- memory that runs out

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

Test(transfer_files, any_allocation_may_fail_while_a_file_is_read)
{
    static const char *const texts[] = {
        "{\"number\":0,\"params\":{\"x\":0.5},\"distributions\":{\"x\":" X01
        "},\"values\":[1],\"reports\":[[0,1]],\"user_attrs\":{\"a\":1},\"study_user_attrs\":{\"b\":2}}\n",
        OP(0) "\"study_name\":\"s\",\"directions\":[1]}\n" OP(4) "\"study_id\":0,\"datetime_start\":null}\n" OP(
            5) "\"trial_id\":0,\"param_name\":\"x\",\"param_value_internal\":0.5,\"distribution\":\"" X01_TEXT
               "\"}\n" OP(7) "\"trial_id\":0,\"step\":2,\"intermediate_value\":NaN}\n" OP(
                   9) "\"trial_id\":0,\"system_attr\":{\"k\":\"v\"}}\n",
        "number,value,params_x,params_c,user_attrs_k\n0,1,0.5,a,1\n1,2,0.25,b,\"\"\"x\"\"\"\n",
    };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        int rc = HPT_E_MEMORY;
        int64_t k = 0;
        write_text("a", texts[t], strlen(texts[t]));
        for (; rc < 0; k++) {
            int64_t left = k;
            unlink("to.db");
            hpt__alloc_set_hook(fail_kth, &left);
            rc = hpt_storage_import(NULL, NULL, "to.db", "a", NULL, NULL);
            hpt__alloc_set_hook(NULL, NULL);
            if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "text %zu, allocation %d: %s", t, (int)k, hpt_last_error());
        }
        cr_expect_gt(k, 20);
        expect_text(t == 1 ? "s" : "a", "\"number\":0");
    }
}
