// SPDX-License-Identifier: Apache-2.0
// test_storage_file.c: what opening a file does and above all what it leaves alone; URLs; errors of the file system.
#include "core/storage/storage_sqlite_impl.h"
#include "storage_testing.h"

#include <fcntl.h>
#include <sys/wait.h>

// ---- helpers

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s", path);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

static bool has_suffix(const char *path, const char *suffix) {
    char name[160];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return exists(name);
}

static void sql(const char *path, const char *text) {
    sqlite3 *db;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &message), SQLITE_OK, "%s", message ? message : "");
    sqlite3_close(db);
}

static void value_of(char out[64], const char *path, const char *query) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, query, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    const char *text = sqlite3_step(stmt) == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    snprintf(out, 64, "%s", text ? text : "NULL");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

// A closed database with a study "s" of one told trial.
static void make_file(fixture *f) {
    make_study(f, "sqlite", 1);
    hpt__new_trial t = add_trial(f, HPT_TRIAL_RUNNING);
    tell_trial(f, &t, HPT_TRIAL_COMPLETE, &(double){1});
    hpt__storage_close(f->s);
    f->s = NULL;
}

// Opening in each way fails with the words and leaves the bytes as they are.
static void refused(const fixture *f, int status, const char *word) {
    size_t before, after;
    char *a = read_file(f->path, &before);
    for (int way = 0; way < 4; way++) {
        hpt__storage *s = NULL;
        fails_with(open_url(&s, f->path, way & 1, way & 2), status, "study.db", word);
        cr_expect_null(s);
        char *b = read_file(f->path, &after);
        cr_expect(before == after && memcmp(a, b, before) == 0, "way %d changed the file", way);
        free(b);
    }
    free(a);
    cr_expect_not(has_suffix(f->path, "-wal") || has_suffix(f->path, "-shm") || has_suffix(f->path, "-journal"));
}

// ---- URLs

Test(storage_url, names_the_file_and_the_remedy_when_it_is_wrong)
{
    hpt__storage *s = NULL;
    const struct {
        const char *url;
        int status;
        const char *word;
    } cases[] = {
        {"postgresql://host/db", HPT_E_UNSUPPORTED, "sqlite:///relative.db"},
        {"mysql://x.db", HPT_E_UNSUPPORTED, ":memory:"},
        {"", HPT_E_UNSUPPORTED, "sqlite:///"},
        {"nothing-here", HPT_E_UNSUPPORTED, ".sqlite3"},
        {"sqlite://x.db", HPT_E_ARG, "sqlite:///relative.db"},
        {"sqlite:x.db", HPT_E_ARG, "sqlite:///relative.db"},
        {"sqlite:///:memory:", HPT_E_ARG, "write :memory:"},
        {"sqlite:///", HPT_E_ARG, "names no file"},
        {"sqlite:///x.db?timeout=5", HPT_E_ARG, "sqlite.*"},
        {"/tmp", HPT_E_ARG, "a folder"},
        {"sqlite:////tmp", HPT_E_ARG, "a folder"},
        {"/dev/null", HPT_E_ARG, "not a regular file"},
        {"sqlite:////tmp/hpt-no-such-folder/x.db", HPT_E_STORAGE, "/tmp/hpt-no-such-folder' does not exist"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fails_with(open_url(&s, cases[i].url, true, false), cases[i].status, cases[i].word);
        cr_expect_null(s);
    }
    fails_with(open_url(&s, NULL, true, false), HPT_E_ARG, "no storage URL");
    hpt_study_summary *all;
    int64_t n;
    fails_with(hpt_storage_studies(&all, &n, ":memory:"), HPT_E_ARG, "file");
}

Test(storage_url, all_forms_of_a_path_are_the_same_file)
{
    fixture f;
    make_file(&f);
    cr_assert_eq(chdir(f.folder), 0);
    char absolute[192], copy[192];
    snprintf(absolute, sizeof absolute, "sqlite:///%s", f.path);
    snprintf(copy, sizeof copy, "cp study.db plain && cp study.db 'file:q?x%%41#.db' && cp study.db %s/x.sqlite",
             f.folder);
    cr_assert_eq(system(copy), 0);
    const char *const urls[] = {"sqlite:///study.db", absolute,   f.path,           "study.db", "./study.db", "plain",
                                "sqlite:///plain",    "x.sqlite", "file:q?x%41#.db"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        hpt_study_summary *all;
        int64_t n = 0;
        cr_assert_eq(hpt_storage_studies(&all, &n, urls[i]), 0, "%s: %s", urls[i], hpt_last_error());
        cr_expect(n == 1 && all[0].counts[HPT_TRIAL_COMPLETE] == 1 && all[0].best == 1, "%s", urls[i]);
        hpt_storage_summaries_free(all, n);
    }
    drop_study(&f);
}

// ---- making

Test(storage_file, a_database_made_here_is_in_wal_mode_and_leaves_one_file)
{
    fixture f;
    char text[64];
    make_file(&f);
    value_of(text, f.path, "PRAGMA journal_mode");
    cr_expect_str_eq(text, "wal");
    value_of(text, f.path, "SELECT version_num FROM alembic_version");
    cr_expect_str_eq(text, "v3.2.0.a");
    value_of(text, f.path, "SELECT schema_version || library_version FROM version_info");
    cr_expect(strncmp(text, "12hpt_gpu ", 10) == 0, "%s", text);
    cr_expect_not(has_suffix(f.path, "-wal"));
    cr_expect_not(has_suffix(f.path, "-shm"));
    drop_study(&f);
}

Test(storage_file, a_missing_file_is_only_made_when_asked)
{
    fixture f = {0};
    make_folder(&f);
    hpt__storage *s = NULL;
    for (int way = 0; way < 3; way++) {
        fails_with(open_url(&s, f.path, way == 2, way > 0), HPT_E_NOT_FOUND, "study.db", "does not exist");
        cr_expect_not(exists(f.path));
    }
    hpt_study_summary *all;
    int64_t n;
    fails_with(hpt_storage_studies(&all, &n, f.path), HPT_E_NOT_FOUND, "study.db");
    cr_expect_not(exists(f.path));
    drop_folder(&f);
}

Test(storage_file, an_empty_file_counts_as_new)
{
    fixture f = {0};
    make_folder(&f);
    write_file(f.path, "", 0);
    hpt__storage *s = NULL;
    for (int way = 0; way < 3; way++) fails_with(open_url(&s, f.path, way == 2, way > 0), HPT_E_NOT_FOUND, "is empty");
    cr_expect_not(has_suffix(f.path, "-journal"));
    ok(open_url(&s, f.path, true, false));
    hpt__storage_close(s);
    ok(open_url(&s, f.path, false, false));
    hpt__storage_close(s);
    drop_folder(&f);
}

Test(storage_file, processes_that_make_one_database_at_once_all_get_it)
{
    fixture f = {0};
    make_folder(&f);
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            hpt__storage *s = NULL;
            int64_t id;
            const char name[] = {(char)('a' + i), 0};
            int rc = open_url(&s, f.path, true, false);
            if (rc >= 0) rc = s->ops->study_create(&id, s, name, (hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0);
            if (rc < 0) fprintf(stderr, "%s\n", hpt_last_error());
            hpt__storage_close(s);
            _exit(rc < 0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_expect_eq(status, 0);
    }
    char text[64];
    value_of(text, f.path, "SELECT COUNT(*) FROM studies");
    cr_expect_str_eq(text, "4");
    value_of(text, f.path, "PRAGMA journal_mode");
    cr_expect_str_eq(text, "wal");
    drop_folder(&f);
}

// ---- what is not ours stays untouched

Test(storage_file, a_file_that_is_no_database_is_refused_untouched)
{
    fixture f = {0};
    make_folder(&f);
    const char text[] = "epochs: 10\nlr: 0.1\n";
    write_file(f.path, text, sizeof text);
    refused(&f, HPT_E_INCOMPATIBLE, "not an SQLite database");
    char *big = calloc(1, 9000);
    memset(big, 'x', 9000);
    write_file(f.path, big, 9000);
    refused(&f, HPT_E_INCOMPATIBLE, "not an SQLite database");
    free(big);
    drop_folder(&f);
}

Test(storage_file, a_database_of_another_program_is_refused_untouched)
{
    const char *const modes[] = {"delete", "wal"};
    for (int i = 0; i < 2; i++) {
        fixture f = {0};
        char text[128];
        make_folder(&f);
        snprintf(text, sizeof text, "PRAGMA journal_mode=%s; CREATE TABLE studies (id); CREATE TABLE other (a);",
                 modes[i]);
        sql(f.path, text);
        refused(&f, HPT_E_INCOMPATIBLE, "other tables");
        drop_folder(&f);
    }
}

Test(storage_file, the_log_of_another_program_is_not_merged_into_its_database)
{
    fixture f = {0};
    char text[320], log[160];
    size_t sizes[4];
    make_folder(&f);
    snprintf(log, sizeof log, "%s-wal", f.path);
    snprintf(text, sizeof text, "%s/other", f.folder);
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(text, &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(db, "PRAGMA journal_mode=wal; CREATE TABLE a (b); INSERT INTO a VALUES (1)", NULL, NULL, NULL), 0);
    snprintf(text, sizeof text, "cd %s && cp other study.db && cp other-wal study.db-wal",
             f.folder); // as a crash leaves them
    cr_assert_eq(system(text), 0);
    char *before = read_file(f.path, &sizes[0]), *log_before = read_file(log, &sizes[1]);
    cr_assert_gt(sizes[1], 4096);
    for (int way = 0; way < 4; way++) {
        hpt__storage *s = NULL;
        fails_with(open_url(&s, f.path, way & 1, way & 2), HPT_E_INCOMPATIBLE, "other tables");
        char *after = read_file(f.path, &sizes[2]), *log_after = read_file(log, &sizes[3]);
        cr_expect(sizes[0] == sizes[2] && memcmp(before, after, sizes[0]) == 0, "way %d", way);
        cr_expect(sizes[1] == sizes[3] && memcmp(log_before, log_after, sizes[1]) == 0, "way %d", way);
        free(after);
        free(log_after);
    }
    free(before);
    free(log_before);
    sqlite3_close(db);
    drop_folder(&f);
}

Test(storage_file, another_revision_is_refused_untouched)
{
    fixture f;
    make_file(&f);
    sql(f.path, "UPDATE alembic_version SET version_num = 'v2.6.0.a'");
    refused(&f, HPT_E_INCOMPATIBLE, "v2.6.0.a");
    sql(f.path, "UPDATE alembic_version SET version_num = 'v9.0.0.a'");
    refused(&f, HPT_E_INCOMPATIBLE, "v9.0.0.a");
    sql(f.path, "DELETE FROM alembic_version; UPDATE version_info SET schema_version = 11");
    refused(&f, HPT_E_INCOMPATIBLE, "revision");
    sql(f.path, "DROP TABLE alembic_version; DROP TABLE version_info");
    refused(&f, HPT_E_INCOMPATIBLE, "revision");
    drop_study(&f);
}

Test(storage_file, another_version_is_named_with_ours_and_the_remedy)
{
    static const struct {
        const char *sql, *words[4];
    } cases[] = {
        {"UPDATE alembic_version SET version_num = 'v2.6.0.a'", {"v2.6.0.a", "v3.2.0.a", "optuna storage upgrade"}},
        {"UPDATE alembic_version SET version_num = 'v9.0.0.a'", {"v9.0.0.a", "v3.2.0.a", "newer hpt"}},
        {"DELETE FROM alembic_version; UPDATE version_info SET schema_version = 11",
         {"version 11", "knows 12", "new database"}},
        {"DELETE FROM alembic_version; DELETE FROM version_info", {"does not say", "v3.2.0.a", "Optuna open it"}},
        // 12 was the version before the words for infinities came
        {"DELETE FROM alembic_version; ALTER TABLE trial_values DROP COLUMN value_type",
         {"before 3.0", "v3.2.0.a", "optuna storage upgrade"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        make_file(&f);
        sql(f.path, cases[i].sql);
        for (int w = 0; w < 3; w++) refused(&f, HPT_E_INCOMPATIBLE, cases[i].words[w]);
        drop_study(&f);
    }
}

Test(storage_file, a_damaged_database_is_an_error_and_no_crash)
{
    fixture f;
    size_t size;
    make_file(&f);
    char *bytes = read_file(f.path, &size);
    for (size_t cut = 4096; cut < size; cut += 8192) { // truncated, and with a page overwritten
        hpt__storage *s = NULL;
        char *name;
        hpt_direction *directions;
        int64_t id, k;
        hpt__trials t;
        for (int way = 0; way < 2; way++) {
            if (way == 0)
                write_file(f.path, bytes, cut);
            else {
                char *copy = malloc(size);
                memcpy(copy, bytes, size);
                memset(copy + cut, 0xa5, 4096);
                write_file(f.path, copy, size);
                free(copy);
            }
            int rc = open_url(&s, f.path, false, true);
            if (rc >= 0) {
                rc = s->ops->study_find(&id, &name, &directions, &k, s, "s");
                if (rc >= 0) {
                    hpt__free(name);
                    hpt__free(directions);
                    ok(hpt__trials_init(&t, f.space, 1, HPT_MINIMIZE));
                    rc = s->ops->sync(s, id, &t);
                    hpt__trials_fini(&t);
                }
            }
            cr_expect(rc != HPT_E_INTERNAL && rc != HPT_E_MEMORY, "%d: %s", rc, hpt_last_error());
            hpt__storage_close(s);
            s = NULL;
        }
    }
    free(bytes);
    drop_study(&f);
}

// ---- revisions not written down

Test(storage_file, a_database_without_a_stamp_is_read_and_a_writer_stamps_it)
{
    const char *const ways[] = {"DELETE FROM alembic_version", "DROP TABLE alembic_version"};
    for (int i = 0; i < 2; i++) {
        fixture f;
        char text[64];
        size_t before, after;
        hpt__storage *s;
        make_file(&f);
        sql(f.path, ways[i]);
        char *a = read_file(f.path, &before);
        ok(open_url(&s, f.path, false, true));
        hpt__storage_close(s);
        char *b = read_file(f.path, &after);
        cr_expect(before == after && memcmp(a, b, before) == 0, "a reader wrote");
        free(a);
        free(b);
        ok(open_url(&s, f.path, false, false));
        hpt__storage_close(s);
        value_of(text, f.path, "SELECT COUNT(*) || MAX(version_num) FROM alembic_version");
        cr_expect_str_eq(text, "1v3.2.0.a");
        drop_study(&f);
    }
}

Test(storage_file, the_journal_mode_of_a_found_database_stays)
{
    fixture f;
    char text[64];
    make_file(&f);
    sql(f.path, "PRAGMA journal_mode=delete");
    ok(open_url(&f.s, f.path, true, false));
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 1);
    hpt__storage_close(f.s);
    f.s = NULL;
    value_of(text, f.path, "PRAGMA journal_mode");
    cr_expect_str_eq(text, "delete");
    drop_study(&f);
}

// ---- permissions

Test(storage_file, read_only_reads_and_refuses_to_write)
{
    fixture f, g;
    make_file(&f);
    join_study(&g, &f, true);
    cr_expect(g.table.n == 1 && g.table.best == 0);
    hpt__new_trial out;
    const char *const word = "read-only";
    fails_with(
        try_add(&out, &g,
                (hpt__new_trial){.state = HPT_TRIAL_RUNNING, .point = POINT, .start_us = NONE, .complete_us = NONE}),
        HPT_E_STORAGE, word);
    fails_with(g.s->ops->tell(g.s, 1, HPT_TRIAL_FAIL, NULL, 0, 0, NULL, 0), HPT_E_STORAGE, word);
    fails_with(g.s->ops->report(g.s, &(hpt__report_item){1, 1, 1}, 1), HPT_E_STORAGE, word);
    fails_with(g.s->ops->study_attr_set(g.s, g.id, &(hpt__attr_item){"u:a", "1"}, 1), HPT_E_STORAGE, word);
    int64_t id;
    fails_with(g.s->ops->study_create(&id, g.s, "t", (hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0), HPT_E_STORAGE, word);
    cr_expect_eq(g.table.n, 1);
    hpt__trials_fini(&g.table);
    hpt_space_destroy(g.space);
    hpt__storage_close(g.s);
    cr_expect_not(has_suffix(f.path, "-wal") || has_suffix(f.path, "-shm"));
    drop_study(&f);
}

Test(storage_file, a_reader_follows_a_writer_and_leaves_its_log_alone)
{
    fixture f, g;
    make_file(&f);
    join_study(&g, &f, true);
    ok(open_url(&f.s, f.path, false, false));
    add_trial(&f, HPT_TRIAL_RUNNING);
    cr_expect_eq(g.s->ops->sync(g.s, g.id, &g.table), 0);
    cr_expect_eq(g.table.n, 2);
    hpt__trials_fini(&g.table);
    hpt_space_destroy(g.space);
    hpt__storage_close(g.s);
    cr_expect(has_suffix(f.path, "-wal"));
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 2);
    drop_study(&f);
}

// Permissions do not bind root, so a child that is somebody else looks.
static int as_nobody(int (*look)(const fixture *f), const fixture *f) {
    const pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(99);
        _exit(look(f));
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int look_read_only(const fixture *f) {
    hpt_study_summary *all;
    int64_t n = 0;
    const int rc = hpt_storage_studies(&all, &n, f->path);
    if (rc < 0) fprintf(stderr, "%s\n", hpt_last_error());
    if (rc < 0 || n != 1 || all[0].counts[HPT_TRIAL_COMPLETE] != 1) return 1;
    hpt_storage_summaries_free(all, n);
    return 0;
}

static int look_for_writing(const fixture *f) {
    hpt__storage *s = NULL;
    const int rc = open_url(&s, f->path, true, false);
    if (rc >= 0) return 1;
    return rc == HPT_E_STORAGE && strstr(hpt_last_error(), f->path) && strstr(hpt_last_error(), "cannot be written")
               ? 0
               : 2;
}

static int look_for_making(const fixture *f) {
    hpt__storage *s = NULL;
    char path[160];
    snprintf(path, sizeof path, "%s/new.db", f->folder);
    const int rc = open_url(&s, path, true, false);
    if (rc >= 0) return 1;
    return rc == HPT_E_STORAGE && strstr(hpt_last_error(), f->folder) && strstr(hpt_last_error(), "cannot be written")
               ? 0
               : 2;
}

Test(storage_file, a_read_only_folder_can_be_read_and_not_written)
{
    fixture f;
    make_file(&f);
    cr_assert(chmod(f.path, 0444) == 0 && chmod(f.folder, 0555) == 0);
    cr_expect_eq(as_nobody(look_read_only, &f), 0);
    cr_expect_eq(as_nobody(look_for_writing, &f), 0);
    cr_expect_eq(as_nobody(look_for_making, &f), 0);
    cr_assert_eq(chmod(f.folder, 0755), 0);
    cr_expect_not(has_suffix(f.path, "-wal"));
    drop_study(&f);
}

// ---- locks and full disks

static int run_sql(hpt__storage *s, const char *text) {
    return hpt__sqlite_script((hpt__sqlite *)s, text);
}

Test(storage_file, a_lock_that_is_not_released_is_busy_and_later_it_works)
{
    fixture f;
    hpt__new_trial out;
    hpt__options options = options_of();
    make_file(&f);
    options.sqlite_busy_timeout = 1;
    ok(hpt__storage_open(&f.s, f.path, false, false, &options));
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(f.path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    const hpt__new_trial trial = {.state = HPT_TRIAL_RUNNING, .point = POINT, .start_us = NONE, .complete_us = NONE};
    fails_with(try_add(&out, &f, trial), HPT_E_BUSY, "study.db", "sqlite.busy_timeout", "1 s");
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), HPT_S_NOTHING); // a reader does not wait
    cr_assert_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ok(try_add(&out, &f, trial));
    cr_expect_eq(out.number, 1);
    drop_study(&f);
}

Test(storage_file, a_full_disk_stores_nothing_of_the_batch_and_the_handle_goes_on)
{
    fixture f;
    static hpt__new_trial batch[2000];
    make_study(&f, "sqlite", 1);
    hpt__new_trial first = add_trial(&f, HPT_TRIAL_RUNNING);
    filling filling = {.trial = {.state = HPT_TRIAL_RUNNING, .point = POINT, .start_us = NONE, .complete_us = NONE},
                       .lower_to = -1};
    ok(run_sql(f.s, "PRAGMA max_page_count=60"));
    fails_with(f.s->ops->create_trials(f.s, f.id, &f.table, batch, 2000, fill_same, &filling), HPT_E_STORAGE,
               "study.db", "disk is full");
    cr_expect_eq(f.table.n, 1);
    hpt__trials t = fresh_table(&f);
    cr_expect_eq(t.n, 1);
    hpt__trials_fini(&t);
    ok(run_sql(f.s, "PRAGMA max_page_count=1073741823"));
    tell_trial(&f, &first, HPT_TRIAL_COMPLETE, &(double){1});
    ok(f.s->ops->create_trials(f.s, f.id, &f.table, batch, 2000, fill_same, &filling));
    cr_expect(batch[0].number == 1 && f.table.n == 2001);
    drop_study(&f);
}

Test(storage_file, a_write_that_fails_anywhere_takes_the_whole_change_back)
{
    const char *const tables[] = {"trials", "trial_params", "trial_system_attributes", "trial_values"};
    for (int i = 0; i < 4; i++) {
        fixture f;
        hpt__new_trial out;
        char text[160];
        make_study(&f, "sqlite", 1);
        hpt__new_trial first = add_trial(&f, HPT_TRIAL_RUNNING);
        snprintf(text, sizeof text,
                 "CREATE TEMP TRIGGER stop AFTER INSERT ON main.%s BEGIN SELECT RAISE(ABORT, 'no more'); END",
                 tables[i]);
        ok(run_sql(f.s, text));
        const hpt__new_trial trial = {.state = HPT_TRIAL_COMPLETE,
                                      .point = POINT,
                                      .values = (const double[]){1},
                                      .start_us = NONE,
                                      .complete_us = NONE,
                                      .attr_keys = (const char *const[]){"u:a", "s:a"},
                                      .attr_values = (const char *const[]){"1", "2"},
                                      .n_attrs = 2};
        fails_with(try_add(&out, &f, trial), HPT_E_STORAGE, "study.db", "no more");
        cr_expect(f.table.n == 1 && f.table.best == -1);
        if (i >= 2) {
            const hpt__attr_item attr = {"s:a", "1"};
            fails_with(f.s->ops->tell(f.s, first.trial_id, HPT_TRIAL_COMPLETE, (const double[]){1}, 1, 0, &attr, 1),
                       HPT_E_STORAGE, "no more");
        }
        ok(run_sql(f.s, "DROP TRIGGER stop"));
        hpt__trials t = fresh_table(&f);
        cr_expect(t.n == 1 && t.state[0] == HPT_TRIAL_RUNNING && t.info[0].n_attrs == 0);
        hpt__trials_fini(&t);
        ok(try_add(&out, &f, trial));
        cr_expect(out.number == 1 && f.table.best == 1);
        drop_study(&f);
    }
}

Test(storage_file, every_power_of_synchronous_is_set)
{
    fixture f = {0};
    make_folder(&f);
    const char *const names[] = {"normal", "full"};
    for (int i = 0; i < 2; i++) {
        hpt__options options = options_of();
        hpt__storage *s;
        ok(hpt__options_set(&options, "sqlite.synchronous", names[i]));
        ok(hpt__storage_open(&s, f.path, true, false, &options));
        sqlite3_stmt *stmt;
        cr_assert_eq(sqlite3_prepare_v2(((hpt__sqlite *)s)->db, "PRAGMA synchronous", -1, &stmt, NULL), SQLITE_OK);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
        cr_expect_eq(sqlite3_column_int(stmt, 0), i + 1);
        sqlite3_finalize(stmt);
        hpt__storage_close(s);
    }
    drop_folder(&f);
}
