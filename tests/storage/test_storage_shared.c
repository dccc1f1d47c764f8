// SPDX-License-Identifier: Apache-2.0
// test_storage_shared.c: one database, several writers: handles, processes, killed processes, and rows that another
// program wrote.
#include "core/storage/storage_sqlite_impl.h"
#include "storage_testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static void leave(fixture *g) {
    hpt__trials_fini(&g->table);
    hpt_space_destroy(g->space);
    hpt__storage_close(g->s);
}

static void sql(const fixture *f, const char *text) {
    sqlite3 *db;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &message), SQLITE_OK, "%s", message ? message : "");
    sqlite3_close(db);
}

static int keep(double *point, int64_t row, void *payload) {
    (void)row, (void)payload;
    memcpy(point, POINT, sizeof POINT);
    return 0;
}

Test(storage_shared, each_handle_sees_what_the_other_did)
{
    fixture f, g;
    make_study(&f, "sqlite", 1);
    hpt__new_trial a = add_trial(&f, HPT_TRIAL_RUNNING);
    join_study(&g, &f, false);
    cr_expect_eq(g.table.n, 1);
    hpt__new_trial b = add_trial(&g, HPT_TRIAL_RUNNING), c = add_trial(&f, HPT_TRIAL_RUNNING);
    cr_expect(b.number == 1 && c.number == 2 && f.table.n == 3 && g.table.n == 2);
    // Reports, attributes and results of running trials arrive.
    ok(g.s->ops->report(g.s, (const hpt__report_item[]){{b.trial_id, 1, 0.5}, {b.trial_id, 2, NAN}}, 2));
    ok(g.s->ops->trial_attr_set(g.s, b.trial_id, &(hpt__attr_item){"u:a", "7"}, 1));
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), 0);
    cr_expect_eq(f.table.info[1].n_reports, 2);
    cr_expect_str_eq(hpt__trials_attr(&f.table, 1, "u:a"), "7");
    ok(g.s->ops->report(g.s, &(hpt__report_item){b.trial_id, 2, 0.25}, 1)); // replaced in place
    tell_trial(&g, &a, HPT_TRIAL_COMPLETE, &(double){-1});
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), 0);
    cr_expect_eq(f.table.info[1].reports[1].value, 0.25);
    cr_expect(f.table.state[0] == HPT_TRIAL_COMPLETE && f.table.best == 0 && f.table.values[0] == -1);
    cr_expect_eq(f.table.info[0].complete_us, T0 * INT64_C(1000000) + 7);
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), HPT_S_NOTHING);
    // A result that the other handle has told already.
    fails_with(f.s->ops->tell(f.s, a.trial_id, HPT_TRIAL_FAIL, NULL, 0, 0, NULL, 0), HPT_E_STATE, "trial 0");
    leave(&g);
    drop_study(&f);
}

Test(storage_shared, a_waiting_trial_is_claimed_by_one_handle_only)
{
    fixture f, g;
    int64_t row;
    make_study(&f, "sqlite", 1);
    join_study(&g, &f, false);
    add_trial(&f, HPT_TRIAL_WAITING);
    ok(g.s->ops->claim_waiting(&row, g.s, g.id, &g.table, keep, NULL));
    cr_expect_eq(row, 0);
    cr_expect_eq(f.table.counts[HPT_TRIAL_WAITING], 1); // it does not know yet
    cr_expect_eq(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, keep, NULL), HPT_S_NOTHING);
    cr_expect(row == -1 && f.table.state[0] == HPT_TRIAL_RUNNING && f.table.columns[0].values[0] == POINT[0]);
    leave(&g);
    drop_study(&f);
}

// ---- processes

enum { PROCESSES = 4, TRIALS = 50 };

static int work(const fixture *f, int count) {
    fixture g;
    join_study(&g, f, false);
    for (int i = 0; i < count; i++) {
        hpt__new_trial t = add_trial(&g, HPT_TRIAL_RUNNING);
        ok(g.s->ops->report(g.s, &(hpt__report_item){t.trial_id, 1, 1.0}, 1));
        tell_trial(&g, &t, HPT_TRIAL_COMPLETE, &(double){i});
    }
    leave(&g);
    return 0;
}

Test(storage_shared, processes_that_write_at_once_get_distinct_dense_numbers)
{
    fixture f;
    pid_t pids[PROCESSES];
    make_study(&f, "sqlite", 1);
    for (int i = 0; i < PROCESSES; i++)
        if ((pids[i] = fork()) == 0) _exit(work(&f, TRIALS));
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_expect_eq(status, 0);
    }
    ok(f.s->ops->sync(f.s, f.id, &f.table));
    cr_expect_eq(f.table.n, PROCESSES * TRIALS);
    cr_expect(f.table.dense);
    cr_expect_eq(f.table.counts[HPT_TRIAL_COMPLETE], PROCESSES * TRIALS);
    drop_study(&f);
}

Test(storage_shared, killing_a_writer_leaves_whole_trials_and_a_working_database)
{
    fixture f;
    make_study(&f, "sqlite", 1);
    int64_t n_before = 0;
    for (int round = 0; round < 8; round++) {
        const pid_t pid = fork();
        if (pid == 0) _exit(work(&f, 1000000));
        // Until it has written some, then at an instant that differs from round to round.
        while (f.table.n < n_before + 5) ok(f.s->ops->sync(f.s, f.id, &f.table));
        nanosleep(&(struct timespec){.tv_nsec = 1000 * (37 + 271 * round)}, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        cr_expect_gt(add_trial(&f, HPT_TRIAL_RUNNING).number, n_before);
        n_before = f.table.n;
    }
    cr_expect(f.table.dense);
    hpt__trials t = fresh_table(&f);
    cr_assert_eq(t.n, f.table.n);
    for (int64_t row = 0; row < t.n; row++) {
        cr_expect_not(t.info[row].foreign, "trial %d lacks a parameter", (int)row);
        cr_expect_eq(t.state[row] == HPT_TRIAL_COMPLETE, !isnan(t.values[row]));
    }
    hpt__trials_fini(&t);
    drop_study(&f);
}

// ---- rows of other programs

#define FLOAT(low, high)                                                                                    \
    "'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": " low ", \"high\": " high \
    ", \"log\": false}}'"
#define INT(low, high)                                                                                                 \
    "'{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": " low ", \"high\": " high \
    "}}'"
#define CHOICES(list) "'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [" list "]}}'"
#define OURS CHOICES("\"a\", \"b\", 3")

Test(storage_shared, trials_outside_the_space_are_marked_foreign)
{
    static const struct {
        const char *params; // (name, value, distribution), ...
        bool foreign;
        double x, c;
    } cases[] = {
        {"(?, 'x', 0.5, " FLOAT("0.0", "1.0") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " OURS ")", false, 0.5,
         1},
        // The same meaning in other words: old class, blanks, a narrower range.
        {"(?, 'x', 0.5, '{\"name\":\"UniformDistribution\",\"attributes\":{\"low\":0,\"high\":0.75}}'), (?, 'n', 3, " INT(
             "1", "4") "),"
                       " (?, 'c', 1, '{\"type\":\"categorical\",\"choices\":[\"a\",\"b\",3]}')",
         false, 0.5, 1},
        {"(?, 'x', 1.5, " FLOAT("0.0", "2.0") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " OURS ")", true, 1.5,
         1},
        {"(?, 'x', 0.5, " FLOAT("0.0", "1.0") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " CHOICES(
             "\"b\", \"a\", 3") ")",
         true, 0.5, NAN},
        {"(?, 'x', 1, " INT("0", "1") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " OURS ")", true, NAN, 1},
        {"(?, 'x', 0.5, 'no JSON'), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " OURS ")", true, NAN, 1},
        {"(?, 'x', 0.5, " FLOAT("0.0", "1.0") "), (?, 'c', 1, " OURS ")", true, 0.5, 1},
        {"(?, 'x', 0.5, " FLOAT("0.0", "1.0") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 0, " OURS ")", true, 0.5,
         0}, // no child
        {"(?, 'x', 0.5, " FLOAT("0.0", "1.0") "), (?, 'n', 3, " INT("1", "10") "), (?, 'c', 1, " OURS
                                                                               "), (?, 'z', 1, " INT("1", "2") ")",
         true, 0.5, 1},
        {"(?, 'x', NULL, " FLOAT("0.0", "1.0") "), (?, 'n', 3.5, " INT("1", "10") "), (?, 'c', 9, " OURS ")", true, NAN,
         9},
    };
    enum { N = sizeof cases / sizeof *cases };
    fixture f;
    make_study(&f, "sqlite", 1);
    for (int i = 0; i < N; i++) {
        char text[2048], *at = text;
        at += sprintf(at,
                      "INSERT INTO trials (trial_id, number, study_id, state) VALUES (%d, %d, 1, 'COMPLETE');"
                      "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (%d, 0, %d, 'FINITE');"
                      "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES ",
                      i + 1, i, i + 1, i);
        for (const char *p = cases[i].params; *p; p++) {
            if (*p == '?')
                at += sprintf(at, "%d", i + 1);
            else
                *at++ = *p;
        }
        *at = 0;
        sql(&f, text);
    }
    ok(f.s->ops->sync(f.s, f.id, &f.table));
    cr_assert_eq(f.table.n, N);
    for (int i = 0; i < N; i++) {
        const double x = f.table.columns[0].values[i], c = f.table.columns[2].values[i];
        cr_expect_eq(f.table.info[i].foreign, cases[i].foreign, "case %d", i);
        cr_expect(isnan(cases[i].x) ? isnan(x) : x == cases[i].x, "case %d: x %g", i, x);
        cr_expect(isnan(cases[i].c) ? isnan(c) : c == cases[i].c, "case %d: c %g", i, c);
    }
    cr_expect_eq(f.table.best, 0);
    drop_study(&f);
}

Test(storage_shared, numbers_out_of_order_do_not_confuse_the_next)
{
    fixture f;
    make_study(&f, "sqlite", 1);
    sql(&f,
        "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (7, 1, 'FAIL', '2026-01-02 03:04:05'), (2, 1, 'RUNNING', NULL),"
        " (NULL, 1, 'PRUNED', 'whenever')");
    ok(f.s->ops->sync(f.s, f.id, &f.table));
    cr_assert_eq(f.table.n, 3);
    const int64_t numbers[] = {7, 2, 8}; // one that was never numbered comes after all
    for (int i = 0; i < 3; i++) cr_expect_eq(hpt__trials_row_of(&f.table, numbers[i]), i);
    cr_expect_eq(f.table.info[0].start_us, INT64_C(1767323045000000));
    cr_expect_eq(f.table.info[2].start_us, NONE);
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 9);
    drop_study(&f);
}

Test(storage_shared, a_state_nobody_knows_is_an_error_that_leaves_the_table_whole)
{
    fixture f;
    make_study(&f, "sqlite", 1);
    add_trial(&f, HPT_TRIAL_RUNNING);
    sql(&f, "INSERT INTO trials (number, study_id, state) VALUES (1, 1, 'FAIL'), (2, 1, 'PAUSED')");
    for (int i = 0; i < 2; i++) {
        fails_with(f.s->ops->sync(f.s, f.id, &f.table), HPT_E_INCOMPATIBLE, "study.db", "trial 2", "PAUSED");
        cr_expect(f.table.n == 1 && f.table.counts[HPT_TRIAL_FAIL] == 0);
    }
    sql(&f, "UPDATE trials SET state = 'FAIL' WHERE number = 2");
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), 0);
    cr_expect(f.table.n == 3 && f.table.counts[HPT_TRIAL_FAIL] == 2);
    drop_study(&f);
}

Test(storage_shared, a_study_deleted_by_another_program_is_noticed)
{
    fixture f;
    hpt__new_trial out;
    make_study(&f, "sqlite", 1);
    hpt__new_trial a = add_trial(&f, HPT_TRIAL_RUNNING);
    sql(&f, "DELETE FROM trial_params; DELETE FROM trials; DELETE FROM study_directions; DELETE FROM studies;");
    fails_with(f.s->ops->sync(f.s, f.id, &f.table), HPT_E_NOT_FOUND, "study.db", "deleted");
    fails_with(try_add(&out, &f, (hpt__new_trial){.state = HPT_TRIAL_RUNNING, .start_us = NONE, .complete_us = NONE}),
               HPT_E_NOT_FOUND, "deleted");
    fails_with(f.s->ops->tell(f.s, a.trial_id, HPT_TRIAL_FAIL, NULL, 0, 0, NULL, 0), HPT_E_NOT_FOUND, "deleted");
    drop_study(&f);
}

Test(storage_shared, a_large_study_loads_the_same_alone_and_among_others)
{
    // 3000 trials are most of the database at first (whole tables are read), and few later (its own rows are).
    static hpt__new_trial batch[3000];
    fixture f, g;
    make_study(&f, "sqlite", 1);
    filling filling = {.trial = {.state = HPT_TRIAL_COMPLETE,
                                 .point = POINT,
                                 .values = (const double[]){2},
                                 .start_us = 1,
                                 .complete_us = 2,
                                 .attr_keys = (const char *const[]){"u:k", "s:k"},
                                 .attr_values = (const char *const[]){"1", "2"},
                                 .n_attrs = 2},
                       .lower_to = -1};
    ok(f.s->ops->create_trials(f.s, f.id, &f.table, batch, 3000, fill_same, &filling));
    for (int64_t i = 0; i < 3; i++)
        ok(f.s->ops->report(
            f.s, (const hpt__report_item[]){{batch[2999].trial_id, 2 - i, 0.5}, {batch[i].trial_id, i, 1.5}}, 2));
    hpt__trials tables[2];
    tables[0] = fresh_table(&f);
    g = f;
    ok(f.s->ops->study_create(&g.id, f.s, "other", (hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    ok(hpt__trials_init(&g.table, g.space, 1, HPT_MINIMIZE));
    for (int i = 0; i < 2; i++) {
        ok(g.s->ops->create_trials(g.s, g.id, &g.table, batch, 3000, fill_same, &filling));
        cr_expect(batch[0].number == 3000 * i && g.table.dense);
    }
    tables[1] = fresh_table(&f);
    for (int i = 0; i < 2; i++) {
        const hpt__trials *t = &tables[i];
        cr_assert_eq(t->n, 3000);
        for (int64_t row = 0; row < 3000; row++) {
            double point[4];
            hpt__trials_get_point(point, t, row);
            const bool whole = t->state[row] == HPT_TRIAL_COMPLETE && t->values[row] == 2 &&
                               memcmp(point, POINT, 3 * sizeof *point) == 0 && !t->info[row].foreign &&
                               t->info[row].n_attrs == 2 && t->info[row].trial_id == f.table.info[row].trial_id &&
                               t->info[row].n_reports == (row == 2999 ? 3 : row < 3);
            cr_assert(whole, "load %d, row %d", i, (int)row);
        }
        cr_expect(t->info[2999].reports[0].step == 0 && t->info[2999].reports[2].step == 2);
        hpt__trials_fini(&tables[i]);
    }
    hpt__trials_fini(&g.table);
    drop_study(&f);
}
