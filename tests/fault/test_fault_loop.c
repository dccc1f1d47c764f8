// SPDX-License-Identifier: Apache-2.0
// test_fault_loop.c: an ask/tell loop in which one thing fails, for thing after thing: allocations of ours, allocations of
// SQLite's, and the system calls that SQLite makes (its VFS lets them be replaced).
//
// The loop opens a study, asks three trials, reports, tells them in three ways, queues a point, closes, opens again and
// exports; with sampler gp it asks more. For every k the k-th call fails, or all from the k-th on. Whatever the loop then says: a line, one of the
// expected statuses, nothing leaked (the address sanitizer looks), and the same file serves a loop without faults, with
// dense numbers and SQLite's own integrity. HPT_TEST_FULL=1 tries every k, else a sample of the later ones.
#include "core/base/alloc.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <hpt.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[64], url[80];

// ---- what fails

static int64_t at, calls;  // the at-th call fails (from 1); 0: none
static int64_t dense = 30; // the first ones that are all tried
static bool lasting;
static int error_number;

static bool due(void) {
    calls++;
    if (at == 0 || (lasting ? calls < at : calls != at)) return false;
    errno = error_number;
    return true;
}

static bool fail_hook(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return due();
}

static int sys_open(const char *name, int flags, int mode) {
    return due() ? -1 : open(name, flags, mode);
}
static ssize_t sys_pread(int fd, void *to, size_t n, off_t o) {
    return due() ? -1 : pread(fd, to, n, o);
}
static ssize_t sys_write(int fd, const void *from, size_t n) {
    return due() ? -1 : write(fd, from, n);
}
static ssize_t sys_pwrite(int fd, const void *from, size_t n, off_t o) {
    return due() ? -1 : pwrite(fd, from, n, o);
}
static int sys_ftruncate(int fd, off_t n) {
    return due() ? -1 : ftruncate(fd, n);
}
static int sys_fallocate(int fd, off_t from, off_t n) {
    return due() ? (errno = error_number) : posix_fallocate(fd, from, n);
}
static void *sys_mmap(void *where, size_t n, int protection, int flags, int fd, off_t o) {
    return due() ? MAP_FAILED : mmap(where, n, protection, flags, fd, o);
}
static int sys_unlink(const char *name) {
    return due() ? -1 : unlink(name);
}
static int sys_fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return due() ? -1 : fcntl(fd, command, argument);
}

#define CALL(name, fn) \
    { name, (sqlite3_syscall_ptr)(fn) }
static const struct {
    const char *name;
    sqlite3_syscall_ptr fn;
} replacements[] = {
    CALL("open", sys_open),           CALL("pread", sys_pread),         CALL("pread64", sys_pread),
    CALL("write", sys_write),         CALL("pwrite", sys_pwrite),       CALL("pwrite64", sys_pwrite),
    CALL("ftruncate", sys_ftruncate), CALL("fallocate", sys_fallocate), CALL("mmap", sys_mmap),
    CALL("unlink", sys_unlink),       CALL("fcntl", sys_fcntl),
};

static void replace(const char *names) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int n = 0;
    cr_assert(vfs && vfs->iVersion >= 3 && vfs->xSetSystemCall);
    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++)
        if (strcmp(replacements[i].name, names) == 0 || (strncmp(replacements[i].name, names, strlen(names)) == 0 &&
                                                         isdigit((unsigned char)replacements[i].name[strlen(names)])))
            n += vfs->xSetSystemCall(vfs, replacements[i].name, replacements[i].fn) == SQLITE_OK;
    cr_assert_gt(n, 0, "SQLite makes no system call '%s'", names);
}

static sqlite3_mem_methods memory;

static void *fail_malloc(int n) {
    return due() ? NULL : memory.xMalloc(n);
}
static void *fail_realloc(void *p, int n) {
    return due() ? NULL : memory.xRealloc(p, n);
}

// ---- the loop

static int count(const char *text, size_t size, void *payload) {
    (void)text;
    *(size_t *)payload += size;
    return 0;
}

static const char *sampler = "tpe";

static int open_study(hpt_study **out, const char *where, hpt_open_mode mode, const hpt_space *space) {
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = "s";
    o.storage = where;
    o.space = space;
    o.mode = mode;
    o.sampler = sampler;
    o.device = "ref";
    o.pruner = "median";
    o.has_seed = true;
    o.seed = 1;
    o.options =
        (const char *const[]){"sqlite.busy_timeout=1", "tpe.n_startup=1", "tpe.n_candidates=2", "gp.n_startup=2"};
    o.n_options = 4;
    return hpt_study_open(out, &o);
}

static int make_space(hpt_space **s) {
    int rc = hpt_space_create(s);
    if (rc >= 0) rc = hpt_space_add_float(*s, "x", 0, 1, 0, 0);
    if (rc >= 0) rc = hpt_space_add_categorical(*s, "k", (const char *const[]){"a", "b"}, 2);
    if (rc >= 0) rc = hpt_space_add_int(*s, "n", 1, 9, 2, 0);
    if (rc >= 0) rc = hpt_space_add_condition(*s, "n", "k", (const char *const[]){"a"}, 1);
    return rc;
}

static int one_trial(hpt_study *study, hpt_trial_state state) {
    hpt_trial *t = NULL;
    bool prune;
    int rc = hpt_study_ask(&t, study);
    const double value = rc >= 0 ? 0.5 + 0.125 * (double)hpt_trial_number(t) : 0;
    if (rc >= 0) rc = hpt_trial_report(t, 1, value);
    if (rc >= 0) rc = hpt_trial_should_prune(&prune, t);
    if (rc >= 0) rc = hpt_trial_set_attr(t, "note", "[1, null]");
    if (rc >= 0) rc = hpt_study_tell(study, t, state, &value, state == HPT_TRIAL_FAIL ? 0 : 1);
    hpt_trial_destroy(t);
    return rc;
}

static int loop(const char *where) {
    hpt_space *space = NULL;
    hpt_study *study = NULL;
    hpt_trial *best = NULL;
    int64_t counts[5];
    size_t size = 0;
    int rc = make_space(&space);
    if (rc >= 0) rc = open_study(&study, where, HPT_OPEN_OR_CREATE, space);
    if (rc >= 0) rc = one_trial(study, HPT_TRIAL_COMPLETE);
    if (rc >= 0) rc = one_trial(study, HPT_TRIAL_PRUNED);
    if (rc >= 0) rc = hpt_study_enqueue(study, "{\"x\": 0.25}");
    if (rc >= 0) rc = one_trial(study, HPT_TRIAL_FAIL);
    if (where == url) { // the same file once more
        hpt_study_close(study);
        study = NULL;
        if (rc >= 0) rc = open_study(&study, where, HPT_OPEN_EXISTING, NULL);
    }
    for (int i = 0; i < 4 && strcmp(sampler, "gp") == 0 && rc >= 0; i++) // its model chooses from the fourth on
        rc = one_trial(study, i == 1 ? HPT_TRIAL_FAIL : HPT_TRIAL_COMPLETE);
    if (rc >= 0) rc = hpt_study_counts(counts, study);
    if (rc >= 0) rc = hpt_study_best(&best, study);
    if (rc >= 0) rc = hpt_study_export(study, "json", 0, count, &size);
    hpt_trial_destroy(best);
    hpt_study_close(study);
    hpt_space_destroy(space);
    return rc;
}

// ---- the database afterwards, seen by SQLite itself

static int64_t ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    const int64_t v = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return v;
}

static void check_database(int64_t k) {
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(ask(db, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0, "k %d",
                 (int)k);
    cr_assert_eq(
        ask(db, "SELECT COUNT(*) FROM trials WHERE number NOT BETWEEN 0 AND (SELECT COUNT(*) FROM trials) - 1"), 0,
        "k %d", (int)k);
    cr_assert_eq(ask(db, "SELECT COUNT(*) - COUNT(DISTINCT number) FROM trials"), 0, "k %d", (int)k);
    cr_assert_eq(ask(db,
                     "SELECT COUNT(*) FROM trials t WHERE (state = 'COMPLETE') <> (datetime_complete IS NOT NULL AND "
                     "state = 'COMPLETE' AND (SELECT COUNT(*) FROM trial_values v WHERE v.trial_id = t.trial_id) = 1)"),
                 0, "k %d", (int)k);
    cr_assert_eq(
        ask(db, "SELECT COUNT(*) FROM trials WHERE state IN ('RUNNING', 'WAITING') AND datetime_complete IS NOT NULL"),
        0, "k %d", (int)k);
    cr_assert_geq(ask(db, "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"), 1, "k %d", (int)k);
    sqlite3_close(db);
}

static void remove_files(void) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[80];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void enter(void) {
    snprintf(path, sizeof path, "%s/hpt-fault-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    remove_files();
    snprintf(url, sizeof url, "sqlite:///%s", path);
    alarm(240);
}

TestSuite(fault_loop, .init = enter, .fini = remove_files);

static bool full(void) {
    const char *text = getenv("HPT_TEST_FULL");
    return text && *text && strcmp(text, "0") != 0;
}

// For k = 1, 2, ...: the loop with the fault, then without. step: every so many beyond the first `dense`, unless full.
static void all_faults(const char *where, bool last, int number, int64_t step, int64_t least) {
    int64_t errors = 0;
    lasting = last;
    error_number = number;
    for (int64_t k = 1;; k += k < dense || full() ? 1 : step) {
        remove_files();
        at = k;
        calls = 0;
        int rc = loop(where);
        at = 0;
        const bool done = calls < k;
        errors += rc < 0;
        if (rc < 0) {
            cr_assert(rc == HPT_E_MEMORY || rc == HPT_E_STORAGE || rc == HPT_E_IO || rc == HPT_E_BUSY ||
                          rc == HPT_E_NOT_FOUND,
                      "k %d: %d %s", (int)k, rc, hpt_last_error());
            cr_assert(strlen(hpt_last_error()) > 10 && !strstr(hpt_last_error(), "Success"), "k %d: %d '%s'", (int)k,
                      rc, hpt_last_error());
        }
        if (where == url) {
            rc = loop(where);
            cr_assert(rc >= 0, "k %d, once more: %d %s", (int)k, rc, hpt_last_error());
            check_database(k);
        }
        if (done) break;
    }
    cr_assert_geq(errors, least, "%d errors", (int)errors);
}

// ---- memory

Test(fault_loop, any_failing_allocation_leaves_a_study_in_a_file_that_serves)
{
    hpt__alloc_set_hook(fail_hook, NULL);
    all_faults(url, false, ENOMEM, 17, 30);
}

Test(fault_loop, memory_that_stays_short_leaves_a_study_in_a_file_that_serves)
{
    hpt__alloc_set_hook(fail_hook, NULL);
    all_faults(url, true, ENOMEM, 37, 30);
}

Test(fault_loop, any_failing_allocation_of_a_study_in_memory_is_an_error_or_nothing)
{
    hpt__alloc_set_hook(fail_hook, NULL);
    all_faults(":memory:", false, ENOMEM, 5, 30);
}

Test(fault_loop, any_failing_allocation_under_a_gaussian_process_leaves_a_study_that_serves)
{
    sampler = "gp";
    hpt__alloc_set_hook(fail_hook, NULL);
    all_faults(url, false, ENOMEM, 127, 35);
}

Test(fault_loop, memory_that_stays_short_under_a_gaussian_process_leaves_a_study_that_serves)
{
    sampler = "gp";
    dense = 5;
    hpt__alloc_set_hook(fail_hook, NULL);
    all_faults(url, true, ENOMEM, 211, 10);
}

static void short_of_memory(bool last, int64_t step) {
    sqlite3_mem_methods mine;
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
    mine = memory;
    mine.xMalloc = fail_malloc;
    mine.xRealloc = fail_realloc;
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine), SQLITE_OK);
    all_faults(url, last, ENOMEM, step, 20);
}

Test(fault_loop, any_failing_allocation_of_sqlite_leaves_a_study_that_serves)
{ short_of_memory(false, 41); }

Test(fault_loop, an_sqlite_without_memory_leaves_a_study_that_serves)
{ short_of_memory(true, 83); }

// ---- disk

static void failing(const char *name, bool last, int number, int64_t step, int64_t least) {
    replace(name);
    all_faults(url, last, number, step, least);
}

Test(fault_loop, any_write_may_fail_with_an_input_or_output_error)
{ failing("pwrite", false, EIO, 3, 20); }
Test(fault_loop, any_write_may_find_the_disk_full)
{ failing("pwrite", false, ENOSPC, 3, 20); }
Test(fault_loop, a_disk_may_stay_full_from_any_write_on)
{ failing("pwrite", true, ENOSPC, 3, 20); }
Test(fault_loop, any_read_may_fail)
{ failing("pread", false, EIO, 3, 10); }
Test(fault_loop, no_file_may_be_opened_from_any_moment_on)
{
    failing("open", true, EMFILE, 3, 3);
    failing("open", false, ENOSPC, 3, 3);
}
Test(fault_loop, any_lock_may_fail)
{
    dense = 2; // some count as busy: SQLite waits for a second
    failing("fcntl", false, EIO, 13, 0);
    failing("fcntl", true, EIO, 29, 3);
}
Test(fault_loop, any_change_of_size_may_fail)
{
    failing("ftruncate", false, EIO, 3, 1);
    failing("ftruncate", true, ENOSPC, 3, 1);
}
Test(fault_loop, no_memory_may_be_mapped)
{
    failing("mmap", false, ENOMEM, 3, 1);
    failing("mmap", true, ENOMEM, 3, 1);
}
Test(fault_loop, a_file_may_refuse_to_be_removed)
{
    failing("unlink", false, EIO, 3, 0);
    failing("unlink", true, EACCES, 3, 0);
}

// ---- serve and sweep files

static int session(void) {
    static const char *const lines[] = {
        "{\"op\":\"create\",\"parameters\":{\"x\":{\"min\":0.0,\"max\":1.0},\"k\":{\"values\":[1,2]}},\"seed\":1,"
        "\"options\":{\"tpe.n_startup\":5},\"objectives\":[{\"name\":\"a\",\"goal\":\"maximize\"}]}",
        "{\"op\":\"ask\",\"n\":2}",
        "{\"op\":\"report\",\"trial\":0,\"step\":1,\"value\":0.5}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1]}",
        "{\"op\":\"best\"}",
        "{\"op\":\"trials\"}",
        "{\"op\":\"stats\"}"};
    hpt_serve *serve = NULL;
    int rc = hpt_serve_create(&serve);
    for (size_t i = 0; rc >= 0 && i < sizeof lines / sizeof *lines; i++) {
        const char *reply = NULL;
        rc = hpt_serve_request(&reply, serve, lines[i]);
        if (rc >= 0 && strncmp(reply, "{\"ok\":true", 10) != 0) rc = strstr(reply, "memory") ? HPT_E_MEMORY : -1000;
    }
    hpt_serve_destroy(serve);
    return rc;
}

static int sweep_file(void) {
    static const char text[] =
        "method: bayes\nprogram: t.py\nmetric: {name: loss, goal: minimize}\nparameters:\n  a: &a {min: 0.0, max: 1.0}\n"
        "  b: {<<: *a, max: 2.0}\n  c: {values: [x, 1, null], hpt:when: {d: [1]}}\n  d: {min: 1, max: 3}\n"
        "command: ['${env}', sh, '${program}', '${args}', '${nothing}']\n"
        "hpt: {pruner: {type: median, n_startup: 3}, metrics: {loss: 'loss ([0-9.]+)'}, options: {tpe.n_startup: 5}}\n";
    hpt_sweep *sweep = NULL;
    const int rc = hpt_sweep_parse(&sweep, text, "f.yaml");
    hpt_sweep_destroy(rc < 0 ? NULL : sweep);
    return rc;
}

static void every_allocation(int (*fn)(void), int64_t least) {
    int64_t errors = 0;
    error_number = ENOMEM;
    lasting = false;
    hpt__alloc_set_hook(fail_hook, NULL);
    for (int64_t k = 1;; k++) {
        at = k;
        calls = 0;
        const int rc = fn();
        at = 0;
        cr_assert(rc >= 0 || rc == HPT_E_MEMORY, "k %d: %d %s", (int)k, rc, hpt_last_error());
        errors += rc < 0;
        if (calls < k) break;
    }
    cr_assert_geq(errors, least, "%d errors", (int)errors);
}

Test(fault_loop, a_session_that_runs_out_of_memory_says_so_and_nothing_else)
{ every_allocation(session, 50); }

Test(fault_loop, a_sweep_file_read_without_memory_says_so_and_nothing_else)
{ every_allocation(sweep_file, 20); }
