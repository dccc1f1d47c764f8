// SPDX-License-Identifier: Apache-2.0
// test_storage_upkeep.c: hpt_storage_check finds each kind of damage that a test plants, hpt_storage_copy and
// hpt_storage_vacuum keep everything.
#include "core/storage/storage_record.h"
#include "storage_testing.h"

// ---- helpers

static int into(const char *text, size_t size, void *payload) {
    hpt__str_addn(payload, text, size);
    hpt__str_addc(payload, '\n');
    return 0;
}

// Study "s": trial 0 complete with report, attributes and heartbeat, 1 complete, 2 running, 3 waiting; study "t": one
// with two objectives.
static void make_file(fixture *f) {
    int64_t id;
    make_study(f, "sqlite", 1);
    ok(f->s->ops->study_attr_set(f->s, f->id, (const hpt__attr_item[]){{"u:a", "1"}, {"s:b", "{}"}}, 2));
    for (int i = 0; i < 3; i++) {
        hpt__new_trial t = add_trial(f, HPT_TRIAL_RUNNING);
        if (i == 0) {
            ok(f->s->ops->report(f->s, &(hpt__report_item){t.trial_id, 3, 0.5}, 1));
            ok(f->s->ops->trial_attr_set(f->s, t.trial_id, (const hpt__attr_item[]){{"u:a", "[]"}, {"s:b", "null"}},
                                         2));
        }
        if (i < 2) tell_trial(f, &t, HPT_TRIAL_COMPLETE, &(double){i});
    }
    add_trial(f, HPT_TRIAL_WAITING);
    ok(f->s->ops->study_create(&id, f->s, "t", (const hpt_direction[]){HPT_MINIMIZE, HPT_MAXIMIZE}, 2, NULL, 0));
    hpt__storage_close(f->s);
    f->s = NULL;
    sql_on_file(f->path, "INSERT INTO trial_heartbeats VALUES (1, 1, '2025-06-15 15:06:40');"
                         "INSERT INTO trials VALUES (100, 0, 2, 'COMPLETE', '2025-06-15 15:06:40.000000', NULL);"
                         "INSERT INTO trial_values VALUES (100, 100, 0, 1.0, 'FINITE');"
                         "INSERT INTO trial_values VALUES (101, 100, 1, NULL, 'INF_NEG')");
}

static int64_t check_file(hpt__str *text, const fixture *f) {
    int64_t n = -1;
    hpt__str_clear(text);
    ok(hpt_storage_check(&n, f->path, into, text));
    return n;
}

static hpt__records records_of(const char *path, const char *study) {
    hpt__storage *s;
    char *name;
    hpt_direction *directions;
    int64_t id, k, after = INT64_MIN;
    hpt__records all;
    hpt__records_init(&all);
    ok(open_url(&s, path, false, true));
    ok(s->ops->study_find(&id, &name, &directions, &k, s, study));
    ok(s->ops->records(&all, &after, s, id, 100));
    hpt__free(name);
    hpt__free(directions);
    hpt__storage_close(s);
    return all;
}

static bool exists(const char *path, const char *suffix) {
    char name[192];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) == 0;
}

// ---- check

Test(storage_check, a_sound_database_has_no_problem)
{
    fixture f;
    hpt__str text = HPT__STR_INIT;
    make_file(&f);
    cr_expect_eq(check_file(&text, &f), 0, "%s", hpt__str_text(&text));
    cr_expect_eq(text.len, 0, "%s", hpt__str_text(&text));
    drop_folder(&f);
    for (int version = 4; version <= 5; version++) {
        make_folder(&f);
        load_dump(f.path, version == 4 ? "optuna_4.sql" : "optuna_5.sql");
        cr_expect_eq(check_file(&text, &f), 0, "%s", hpt__str_text(&text));
        drop_folder(&f);
    }
    hpt__str_fini(&text);
    drop_study(&f);
}

Test(storage_check, finds_every_kind_of_damage)
{
    static const struct {
        const char *sql, *words; // of the one finding, separated by |
    } cases[] = {
        {"UPDATE trials SET number = NULL WHERE trial_id = 4", "study 's', trial (id 4)|no number"},
        {"UPDATE trials SET number = 1 WHERE trial_id = 3; INSERT INTO trials VALUES (50, 2, 1, 'FAIL', NULL, NULL)",
         "study 's'|2 trials|number 1"},
        {"UPDATE trials SET number = 7 WHERE trial_id = 4", "study 's'|4 of the numbers 0 to 7"},
        {"UPDATE trial_values SET value = NULL WHERE trial_id = 2", "study 's', trial 1|FINITE and NULL"},
        {"UPDATE trial_values SET value = 'x' WHERE trial_id = 2", "trial 1|no number"},
        {"UPDATE trials SET datetime_start = '2026-01-31T12:00:00' WHERE trial_id = 2", "trial 1|2026-01-31T12:00:00"},
        {"UPDATE trials SET datetime_complete = 'x' WHERE trial_id = 2", "trial 1|'x'"},
        {"UPDATE trial_heartbeats SET heartbeat = 'soon'", "trial 0|heartbeat|soon"},
        {"UPDATE trials SET state = 'PAUSED' WHERE trial_id = 3", "trial 2|unknown state|PAUSED"},
        {"UPDATE trial_values SET value_type = 'HUGE' WHERE trial_id = 2", "trial 1|unknown value type|HUGE"},
        {"UPDATE trial_intermediate_values SET intermediate_value_type = 'HUGE'", "trial 0|HUGE|step 3"},
        {"UPDATE trial_intermediate_values SET intermediate_value = NULL", "trial 0|step 3|FINITE and NULL"},
        {"UPDATE study_directions SET direction = 'UP' WHERE study_id = 1", "study 's'|unknown direction|UP"},
        {"UPDATE study_directions SET objective = 5 WHERE study_id = 2 AND objective = 1;"
         "UPDATE trial_values SET objective = 5 WHERE trial_id = 100 AND objective = 1",
         "study 't'|objectives"},
        {"UPDATE study_user_attributes SET value_json = '{'", "study 's'|'a'|no JSON"},
        {"UPDATE study_system_attributes SET value_json = NULL", "study 's'|'b'|NULL"},
        {"UPDATE trial_user_attributes SET value_json = 'a b'", "trial 0|'a'|no JSON"},
        {"UPDATE trial_system_attributes SET value_json = ''", "trial 0|'b'|no JSON"},
        {"UPDATE trial_params SET distribution_json = '{\"name\": \"OddDistribution\"}' WHERE trial_id = 2 AND param_name "
         "= 'x'",
         "trial 1|'x'|OddDistribution"},
        {"UPDATE trial_params SET param_value = 7 WHERE trial_id = 2 AND param_name = 'x'",
         "trial 1|'x' is 7, outside float 0.0..1.0"},
        {"UPDATE trial_params SET param_value = 3 WHERE trial_id = 2 AND param_name = 'c'", "trial 1|'c' is 3"},
        {"UPDATE trial_params SET param_value = NULL WHERE trial_id = 2 AND param_name = 'n'",
         "trial 1|'n' has no value"},
        {"DELETE FROM trial_values WHERE trial_id = 2", "trial 1|COMPLETE without all its values"},
        {"DELETE FROM trial_values WHERE trial_id = 100 AND objective = 1", "study 't', trial 0|COMPLETE without"},
        {"INSERT INTO trial_values VALUES (99, 2, 1, 0.5, 'FINITE')", "trial 1|objective 1"},
        {"INSERT INTO trial_values VALUES (99, 77, 0, 0.5, 'FINITE')", "trial_values|belongs to no trial|77"},
        {"INSERT INTO trial_params VALUES (99, 77, 'x', 0.5, '{}')", "trial_params|belongs to no trial|77"},
        {"INSERT INTO trial_intermediate_values VALUES (99, 77, 0, 0.5, 'FINITE')", "belongs to no trial|77"},
        {"INSERT INTO trial_user_attributes VALUES (99, 77, 'k', '1')", "trial_user_attributes|no trial|77"},
        {"INSERT INTO trial_system_attributes VALUES (99, 77, 'k', '1')", "trial_system_attributes|no trial|77"},
        {"INSERT INTO study_user_attributes VALUES (99, 77, 'k', '1')", "study_user_attributes|no study|77"},
        {"INSERT INTO trials VALUES (99, 0, 77, 'FAIL', NULL, NULL)", "trials|no study|77"},
        {"DELETE FROM study_directions WHERE study_id = 2; DELETE FROM trial_values WHERE trial_id = 100",
         "study 't'|no direction"},
        {"ALTER TABLE trials RENAME COLUMN datetime_complete TO finished", "table trials|datetime_complete is missing"},
        {"CREATE TABLE copy AS SELECT * FROM trial_user_attributes; DROP TABLE trial_user_attributes;"
         "ALTER TABLE copy RENAME TO trial_user_attributes",
         "trial_user_attributes|no unique index"},
        {"UPDATE alembic_version SET version_num = 'v9.9.9.a'", "v9.9.9.a|v3.2.0.a|newer"},
        {"DROP TABLE trial_params", "other tables"},
    };
    hpt__str text = HPT__STR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        char words[256], *word, *rest = words;
        make_file(&f);
        sql_on_file(f.path, cases[i].sql);
        cr_expect_eq(check_file(&text, &f), 1, "%s:\n%s", cases[i].sql, hpt__str_text(&text));
        snprintf(words, sizeof words, "%s", cases[i].words);
        while ((word = strsep(&rest, "|")))
            cr_expect(strstr(hpt__str_text(&text), word), "%s: no \"%s\" in: %s", cases[i].sql, word,
                      hpt__str_text(&text));
        drop_study(&f);
    }
    hpt__str_fini(&text);
}

Test(storage_check, many_findings_of_a_kind_are_counted)
{
    fixture f;
    hpt__str text = HPT__STR_INIT;
    make_file(&f);
    sql_on_file(f.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)"
                        " INSERT INTO trial_values SELECT 1000 + i, 1000 + i, 0, 1.0, 'FINITE' FROM n");
    cr_expect_eq(check_file(&text, &f), 25);
    int lines = 0;
    for (const char *p = hpt__str_text(&text); *p; p++) lines += *p == '\n';
    cr_expect_eq(lines, 11);
    cr_expect(strstr(hpt__str_text(&text), "... and 15 more of this kind"), "%s", hpt__str_text(&text));
    hpt__str_fini(&text);
    drop_study(&f);
}

Test(storage_check, a_file_cut_off_or_scribbled_on_is_a_finding_and_no_crash)
{
    fixture f;
    hpt__str text = HPT__STR_INIT;
    make_file(&f);
    struct stat st;
    cr_assert_eq(stat(f.path, &st), 0);
    char *bytes = malloc((size_t)st.st_size), command[512];
    FILE *file = fopen(f.path, "rb");
    cr_assert_eq(fread(bytes, 1, (size_t)st.st_size, file), (size_t)st.st_size);
    fclose(file);
    (void)command;
    for (long cut = 4096; cut < st.st_size; cut += 4096 * 5) { // cut off
        file = fopen(f.path, "wb");
        fwrite(bytes, 1, (size_t)cut, file);
        fclose(file);
        cr_expect_geq(check_file(&text, &f), 1, "cut at %ld", cut);
    }
    for (long page = 1; page < st.st_size / 4096; page += 3) { // an interior page is another
        file = fopen(f.path, "wb");
        fwrite(bytes, 1, (size_t)st.st_size, file);
        fseek(file, page * 4096, SEEK_SET);
        for (int i = 0; i < 4096; i++) fputc(i * 7 + 3, file);
        fclose(file);
        cr_expect_geq(check_file(&text, &f), 1, "page %ld", page);
    }
    file = fopen(f.path, "wb");
    fputs("no database at all, but some text of more than a hundred bytes, so that SQLite looks at it: "
          "........................................",
          file);
    fclose(file);
    cr_expect_eq(check_file(&text, &f), 1);
    cr_expect(strstr(hpt__str_text(&text), "not an SQLite database"), "%s", hpt__str_text(&text));
    free(bytes);
    hpt__str_fini(&text);
    drop_study(&f);
}

Test(storage_check, an_index_that_lost_an_entry_is_found)
{
    fixture f;
    hpt__str text = HPT__STR_INIT;
    make_file(&f);
    // The index's definition is swapped against another's, so that its entries no longer fit.
    sql_on_file(f.path, "PRAGMA writable_schema = ON;"
                        "UPDATE sqlite_master SET sql = 'CREATE INDEX ix_trials_study_id ON trials (number)'"
                        " WHERE name = 'ix_trials_study_id'");
    cr_expect_geq(check_file(&text, &f), 1);
    cr_expect(strstr(hpt__str_text(&text), "ix_trials_study_id"), "%s", hpt__str_text(&text));
    hpt__str_fini(&text);
    drop_study(&f);
}

Test(storage_check, what_is_no_finding_is_an_error)
{
    fixture f = {0};
    int64_t n;
    make_folder(&f);
    fails_with(hpt_storage_check(&n, f.path, NULL, NULL), HPT_E_NOT_FOUND, "study.db");
    fails_with(hpt_storage_check(&n, f.folder, NULL, NULL), HPT_E_ARG, "a folder");
    fails_with(hpt_storage_check(&n, ":memory:", NULL, NULL), HPT_E_ARG, "file");
    fails_with(hpt_storage_check(NULL, f.path, NULL, NULL), HPT_E_ARG, "NULL");
    drop_folder(&f);
}

Test(storage_check, an_unstamped_database_is_a_remark)
{
    fixture f;
    hpt__str text = HPT__STR_INIT;
    make_file(&f);
    sql_on_file(f.path, "DELETE FROM alembic_version");
    cr_expect_eq(check_file(&text, &f), 0);
    cr_expect(strstr(hpt__str_text(&text), "remark: "), "%s", hpt__str_text(&text));
    hpt__str_fini(&text);
    drop_study(&f);
}

// ---- copy

Test(storage_copy, a_copy_is_equal_to_the_original)
{
    fixture f;
    char to[160];
    int64_t n = 0;
    make_file(&f);
    snprintf(to, sizeof to, "%s/copy.db", f.folder);
    ok(hpt_storage_copy(&n, to, f.path, NULL, NULL));
    cr_expect_eq(n, 2);
    for (int i = 0; i < 2; i++) {
        hpt__records a = records_of(f.path, i ? "t" : "s"), b = records_of(to, i ? "t" : "s");
        cr_assert_eq(a.n, b.n);
        cr_assert_eq(a.n, i ? 1 : 4);
        for (int64_t j = 0; j < a.n; j++) {
            const hpt__record *x = &a.items[j], *y = &b.items[j];
            cr_expect(x->number == y->number && x->state == y->state && x->start_us == y->start_us &&
                      x->complete_us == y->complete_us && x->heartbeat_us == y->heartbeat_us);
            cr_assert(x->n_params == y->n_params && x->n_values == y->n_values && x->n_reports == y->n_reports &&
                      x->n_attrs == y->n_attrs);
            for (int64_t k = 0; k < x->n_params; k++)
                cr_expect(x->params[k].internal == y->params[k].internal &&
                          strcmp(x->params[k].distribution, y->params[k].distribution) == 0);
            for (int64_t k = 0; k < x->n_values; k++) cr_expect_eq(x->values[k], y->values[k]);
        }
        hpt__records_fini(&a);
        hpt__records_fini(&b);
    }
    drop_study(&f);
}

Test(storage_copy, a_name_that_is_taken_copies_nothing)
{
    fixture f;
    char to[160];
    int64_t n = 7;
    hpt_study_summary *all;
    make_file(&f);
    snprintf(to, sizeof to, "%s/copy.db", f.folder);
    ok(hpt_storage_copy(&n, to, f.path, "t", NULL));
    cr_expect_eq(n, 1);
    n = 7;
    fails_with(hpt_storage_copy(&n, to, f.path, NULL, NULL), HPT_E_EXISTS, "copy.db", "'t'"); // after "s" went through
    cr_expect_eq(n, 7);
    ok(hpt_storage_studies(&all, &n, to));
    cr_expect_eq(n, 1);
    hpt_storage_summaries_free(all, n);
    ok(hpt_storage_copy(NULL, to, f.path, "t", "another"));
    ok(hpt_storage_copy(NULL, f.path, f.path, "t", "within"));
    fails_with(hpt_storage_copy(NULL, f.path, f.path, "t", NULL), HPT_E_EXISTS, "'t'");
    hpt__records a = records_of(f.path, "within");
    cr_expect_eq(a.n, 1);
    hpt__records_fini(&a);
    drop_study(&f);
}

Test(storage_copy, errors_leave_no_file_behind)
{
    fixture f;
    char to[160];
    make_file(&f);
    snprintf(to, sizeof to, "%s/copy.db", f.folder);
    fails_with(hpt_storage_copy(NULL, to, f.path, "none", NULL), HPT_E_NOT_FOUND, "'none'");
    fails_with(hpt_storage_copy(NULL, to, "nothing.db", NULL, NULL), HPT_E_NOT_FOUND, "nothing.db");
    fails_with(hpt_storage_copy(NULL, to, f.path, NULL, "name"), HPT_E_ARG, "name");
    fails_with(hpt_storage_copy(NULL, to, f.path, "s", ""), HPT_E_ARG, "name");
    fails_with(hpt_storage_copy(NULL, ":memory:", f.path, NULL, NULL), HPT_E_ARG, "file");
    cr_expect_not(exists(to, ""));
    drop_study(&f);
}

Test(storage_copy, a_copy_of_a_study_that_is_written_is_one_state_of_it)
{
    fixture f;
    char to[160];
    make_study(&f, "sqlite", 1);
    for (int i = 0; i < 50; i++) {
        hpt__new_trial t = add_trial(&f, HPT_TRIAL_RUNNING);
        if (i % 10 == 0) { // the handle stays open
            snprintf(to, sizeof to, "%s/copy%d.db", f.folder, i);
            ok(hpt_storage_copy(NULL, to, f.path, "s", NULL));
            hpt__records a = records_of(to, "s");
            cr_expect_eq(a.n, i + 1);
            hpt__records_fini(&a);
        }
        tell_trial(&f, &t, HPT_TRIAL_COMPLETE, &(double){i});
    }
    drop_study(&f);
}

// ---- vacuum

Test(storage_vacuum, leaves_one_smaller_file_with_the_same_contents)
{
    fixture f;
    int64_t before, after;
    make_file(&f);
    sql_on_file(f.path,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                " INSERT INTO trial_user_attributes SELECT 1000 + i, 1000 + i, 'k', hex(randomblob(200)) FROM n;"
                "DELETE FROM trial_user_attributes WHERE trial_id > 1000");
    ok(hpt_storage_vacuum(&before, &after, f.path));
    cr_expect_lt(after, before / 2);
    struct stat st;
    cr_expect(stat(f.path, &st) == 0 && st.st_size == after);
    cr_expect_not(exists(f.path, "-wal") || exists(f.path, "-shm") || exists(f.path, "-journal"));
    hpt__records a = records_of(f.path, "s");
    cr_expect_eq(a.n, 4);
    hpt__records_fini(&a);
    FILE *file = fopen(f.path, "rb"); // bytes 18 and 19 of the header: 1 is "no log" (fileformat2.html, 1.3.3)
    fseek(file, 18, SEEK_SET);
    cr_expect(fgetc(file) == 1 && fgetc(file) == 1);
    fclose(file);
    ok(hpt_storage_vacuum(NULL, NULL, f.path));
    drop_study(&f);
}

Test(storage_vacuum, a_database_in_use_is_busy_and_stays_as_it_is)
{
    fixture f;
    make_study(&f, "sqlite", 1);
    add_trial(&f, HPT_TRIAL_RUNNING);
    fails_with(hpt_storage_vacuum(NULL, NULL, f.path), HPT_E_BUSY, "study.db", "in use");
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 1);
    cr_expect(exists(f.path, "-wal"));
    fails_with(hpt_storage_vacuum(NULL, NULL, "nothing.db"), HPT_E_NOT_FOUND, "nothing.db");
    fails_with(hpt_storage_vacuum(NULL, NULL, ":memory:"), HPT_E_ARG, "file");
    drop_study(&f);
}
