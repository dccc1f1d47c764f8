// SPDX-License-Identifier: Apache-2.0
// test_base_file.c: small files are replaced whole or not at all.
#include "core/base/file.h"
#include <criterion/criterion.h>
#include <hpt/status.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH = 100000, ROUNDS = 200 };
static char folder[] = "/tmp/hpt_file_test_XXXXXX", path[64], texts[2][LENGTH];
static atomic_bool over;
static atomic_int n_failed, n_mixed, n_read;

static void enter(void) {
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.json", folder);
}

static void leave(void) {
    unlink(path);
    cr_expect_eq(rmdir(folder), 0, "only the file itself is there");
}
TestSuite(base_file, .init = enter, .fini = leave, .timeout = 60);

static void expect_text(const char *want) {
    hpt__str text = HPT__STR_INIT;
    cr_assert_eq(hpt__read_file(&text, path), 0);
    cr_expect_str_eq(hpt__str_text(&text), want);
    hpt__str_fini(&text);
}

Test(base_file, a_replaced_file_has_the_new_text_and_mode)
{
    struct stat st;
    cr_assert_eq(hpt__replace_file(path, 0600, "a longer first text", 19), 0);
    cr_assert_eq(hpt__replace_file(path, 0600, "second", 6), 0);
    expect_text("second");
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(hpt__replace_file(path, 0600, "", 0), 0);
    expect_text("");
}

Test(base_file, what_cannot_be_written_leaves_the_old_and_is_named)
{
    char place[96];
    snprintf(place, sizeof place, "%s/none/a.json", folder);
    cr_expect_eq(hpt__replace_file(place, 0600, "x", 1), HPT_E_IO);
    cr_expect(strstr(hpt_last_error(), place), "%s", hpt_last_error());
    cr_assert_eq(mkdir(path, 0700), 0); // a folder stands in the way
    cr_expect_eq(hpt__replace_file(path, 0600, "x", 1), HPT_E_IO);
    cr_expect(strstr(hpt_last_error(), "irectory"), "%s", hpt_last_error());
    cr_expect_eq(rmdir(path), 0);
}

static void *write_often(void *text) {
    for (int i = 0; i < ROUNDS; i++)
        if (hpt__replace_file(path, 0600, text, LENGTH) < 0) n_failed++;
    return NULL;
}

static void *read_often(void *unused) {
    hpt__str text = HPT__STR_INIT;
    while (!over) {
        if (hpt__read_file(&text, path) < 0) continue; // not yet there
        const char *s = hpt__str_text(&text);
        n_read++;
        if (text.len != LENGTH || memchr(s, 'a' + 'b' - s[0], text.len)) n_mixed++;
    }
    hpt__str_fini(&text);
    return unused;
}

Test(base_file, whoever_reads_beside_two_writers_sees_one_of_their_texts)
{
    pthread_t writers[2], reader;
    cr_assert_eq(pthread_create(&reader, NULL, read_often, NULL), 0);
    for (int i = 0; i < 2; i++) {
        memset(texts[i], 'a' + i, LENGTH);
        cr_assert_eq(pthread_create(&writers[i], NULL, write_often, texts[i]), 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(writers[i], NULL);
    over = true;
    pthread_join(reader, NULL);
    cr_expect_eq(n_failed, 0);
    cr_expect_eq(n_mixed, 0);
    cr_expect_gt(n_read, 0);
}
