// SPDX-License-Identifier: Apache-2.0
// test_base_status.c: statuses, the error line of each thread, the log callback, the version.
#include "core/base/error.h"
#include "core/base/logging.h"

#include <criterion/criterion.h>
#include <hpt/status.h>
#include <hpt/version.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

Test(base_status, every_number_has_name_and_text)
{
    cr_expect_str_eq(hpt_status_name(HPT_OK), "OK");
    cr_expect_str_eq(hpt_status_name(HPT_E_ARG), "E_ARG");
    cr_expect_str_eq(hpt_status_string(HPT_E_MEMORY), "out of memory");
    cr_expect_str_eq(hpt_status_string(HPT_S_NOTHING), "nothing to do");
    cr_expect_eq(HPT_S_JITTERED, 5);
    cr_expect_str_eq(hpt_status_string(-999), "unknown status");
    cr_expect_not_null(hpt_status_name(12345));
    // Pinned: other languages and stored files know these numbers.
    static const int pinned[] = {HPT_OK,        HPT_E_ARG,          HPT_E_MEMORY,      HPT_E_IO,
                                 HPT_E_PARSE,   HPT_E_NOT_FOUND,    HPT_E_EXISTS,      HPT_E_STATE,
                                 HPT_E_STORAGE, HPT_E_INCOMPATIBLE, HPT_E_UNSUPPORTED, HPT_E_BUSY,
                                 HPT_E_DEVICE,  HPT_E_INTERNAL,     HPT_E_CALLBACK,    HPT_E_NUMERIC};
    for (int i = 0; i < (int)(sizeof pinned / sizeof pinned[0]); i++) cr_expect_eq(pinned[i], -i);
    hpt_free(NULL);
}

Test(base_status, error_line_is_clean_and_bounded)
{
    cr_expect_str_eq(hpt_last_error(), "");
    cr_expect_eq(hpt__fail(HPT_E_ARG, "a\nb\tc\x7f%d", 7), HPT_E_ARG);
    cr_expect_str_eq(hpt_last_error(), "a?b?c?7");
    // An argument may be the old line itself.
    hpt__fail(HPT_E_IO, "again: %s", hpt_last_error());
    cr_expect_str_eq(hpt_last_error(), "again: a?b?c?7");
    cr_expect_eq(hpt__fail_prefix(HPT_E_PARSE, "%s:%d", "sweep.yaml", 3), HPT_E_PARSE);
    cr_expect_str_eq(hpt_last_error(), "sweep.yaml:3: again: a?b?c?7");
    cr_expect_eq(hpt__fail_memory(), HPT_E_MEMORY);
    cr_expect_str_eq(hpt_last_error(), "out of memory");

    char text[2000];
    for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 2); // é
    text[sizeof text - 2] = 0;
    for (int shift = 0; shift < 2; shift++) { // either parity: the cut may fall inside a character
        hpt__fail(HPT_E_ARG, "%s%s", shift ? "x" : "", text);
        const char *line = hpt_last_error();
        size_t len = strlen(line);
        cr_expect_lt(len, (size_t)HPT__ERROR_MAX);
        cr_expect_str_eq(line + len - 3, "...");
        cr_expect_eq((unsigned char)line[len - 4], 0xA9, "a character was cut in half");
    }
    for (int i = 0; i < 10; i++) hpt__fail_prefix(HPT_E_ARG, "%s", "a prefix that makes it longer still");
    cr_expect_lt(strlen(hpt_last_error()), (size_t)HPT__ERROR_MAX);
    hpt__fail_prefix(HPT_E_ARG, "%s", text);
    hpt__error_set(text);
    cr_expect_lt(strlen(hpt_last_error()), (size_t)HPT__ERROR_MAX);
    char copy[HPT__ERROR_MAX];
    hpt__fail(HPT_E_ARG, "first");
    hpt__error_copy(copy);
    hpt__fail(HPT_E_ARG, "second");
    hpt__error_set(copy);
    cr_expect_str_eq(hpt_last_error(), "first");
}

static void *fail_in_thread(void *arg) {
    (void)arg;
    bool clean = strcmp(hpt_last_error(), "") == 0;
    hpt__fail(HPT_E_IO, "other thread");
    return clean ? (void *)hpt_status_name(0) : NULL;
}

Test(base_status, error_line_belongs_to_its_thread)
{
    hpt__fail(HPT_E_ARG, "mine");
    pthread_t thread;
    void *clean = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, fail_in_thread, NULL), 0);
    pthread_join(thread, &clean);
    cr_expect_not_null(clean);
    cr_expect_str_eq(hpt_last_error(), "mine");
}

static int try_twice(int first, int second) {
    int rc = HPT_OK;
    HPT_TRY(first);
    HPT_FAIL_IF(second < 0, second, "refused with %d", second);
out:
    return rc;
}

Test(base_status, try_forwards_errors_and_keeps_remarks)
{
    cr_expect_eq(try_twice(HPT_E_STATE, 0), HPT_E_STATE);
    cr_expect_eq(try_twice(HPT_S_PRUNE, 0), HPT_S_PRUNE);
    cr_expect_eq(try_twice(0, HPT_E_IO), HPT_E_IO);
    cr_expect_str_eq(hpt_last_error(), "refused with -3");
}

typedef struct tape {
    int calls, inside, overlaps;
    hpt_log_level level;
    char message[2048];
} tape;

static void record(hpt_log_level level, const char *message, void *payload) {
    tape *t = payload;
    if (t->inside++) t->overlaps++;
    t->calls++;
    t->level = level;
    snprintf(t->message, sizeof t->message, "%s", message);
    hpt__log(HPT_LOG_ERROR, "from inside"); // against the contract: dropped, no deadlock
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    t->inside--;
}

Test(base_log, callback_gets_clean_lines_up_to_its_level)
{
    tape t = {0};
    hpt__log(HPT_LOG_ERROR, "nobody listens");
    hpt_log_set(record, &t, HPT_LOG_WARN);
    hpt__log(HPT_LOG_INFO, "too verbose");
    cr_expect_eq(t.calls, 0);
    hpt__log(HPT_LOG_WARN, "%s\nline %d", "two", 2);
    cr_expect_eq(t.calls, 1);
    cr_expect_eq(t.level, HPT_LOG_WARN);
    cr_expect_str_eq(t.message, "two?line 2");
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    hpt__log(HPT_LOG_ERROR, "%s", text);
    cr_expect_eq(strlen(t.message), 1023);
    cr_expect_str_eq(t.message + 1020, "...");
    hpt_log_set(NULL, NULL, HPT_LOG_DEBUG);
    hpt__log(HPT_LOG_ERROR, "gone");
    cr_expect_eq(t.calls, 2);
}

static void *chatter(void *arg) {
    (void)arg;
    for (int i = 0; i < 500; i++) hpt__log(HPT_LOG_INFO, "message %d", i);
    return NULL;
}

Test(base_log, calls_never_overlap)
{
    tape t = {0};
    hpt_log_set(record, &t, HPT_LOG_INFO);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, chatter, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    hpt_log_set(NULL, NULL, HPT_LOG_ERROR);
    cr_expect_eq(t.calls, 2000);
    cr_expect_eq(t.overlaps, 0);
}

Test(base_version, build_info_names_the_version)
{
    cr_expect_str_eq(hpt_version_string(), HPT_VERSION_STRING);
    cr_expect_not_null(strstr(hpt_build_info(), "\"version\": \"" HPT_VERSION_STRING "\""));
    cr_expect_not_null(strstr(hpt_build_info(), "\"commit\": \""));
}
