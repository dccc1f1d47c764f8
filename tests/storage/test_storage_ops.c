// SPDX-License-Identifier: Apache-2.0
// test_storage_ops.c: the contract of storage_ops.h, one body run over each storage (suites storage_memory and
// storage_sqlite), always judged by what a fresh table reads back.
#include "storage_testing.h"

// ---- studies

BOTH(a_study_is_found_by_its_name_and_as_the_only_one) {
    fixture f;
    char *name;
    hpt_direction *directions;
    int64_t id, k;
    make_study(&f, kind, 3);
    for (int i = 0; i < 2; i++) {
        ok(f.s->ops->study_find(&id, &name, &directions, &k, f.s, i ? "s" : NULL));
        cr_expect_eq(id, f.id);
        cr_expect_str_eq(name, "s");
        cr_expect_eq(k, 3);
        cr_expect(directions[0] == HPT_MINIMIZE && directions[1] == HPT_MAXIMIZE && directions[2] == HPT_MINIMIZE);
        hpt__free(name);
        hpt__free(directions);
    }
    fails_with(f.s->ops->study_find(&id, &name, &directions, &k, f.s, "t"), HPT_E_NOT_FOUND, "'t'");
    ok(f.s->ops->study_create(&id, f.s, "t", (hpt_direction[]){HPT_MAXIMIZE}, 1, NULL, 0));
    cr_expect_neq(id, f.id);
    fails_with(f.s->ops->study_find(&id, &name, &directions, &k, f.s, NULL), HPT_E_NOT_FOUND, "2 studies", "s");
    drop_study(&f);
}

BOTH(a_name_can_be_taken_once) {
    fixture f;
    int64_t id = -7;
    make_study(&f, kind, 1);
    fails_with(f.s->ops->study_create(&id, f.s, "s", (hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0), HPT_E_EXISTS, "'s'");
    cr_expect_eq(id, -7);
    drop_study(&f);
}

BOTH(study_attributes_are_kept_replaced_and_apart) {
    fixture f;
    char *text;
    make_study(&f, kind, 1);
    const hpt__attr_item first[] = {{"u:a", "1"}, {"s:a", "[2, NaN]"}, {"u:caf\xc3\xa9", "\"x\""}};
    ok(f.s->ops->study_attr_set(f.s, f.id, first, 3));
    ok(f.s->ops->study_attr_set(f.s, f.id, &(hpt__attr_item){"u:a", "{\"b\": null}"}, 1));
    const hpt__attr_item expected[] = {
        {"u:a", "{\"b\": null}"}, {"s:a", "[2, NaN]"}, {"u:caf\xc3\xa9", "\"x\""}, {"s:none", NULL}};
    for (int i = 0; i < 4; i++) {
        ok(f.s->ops->study_attr_get(&text, f.s, f.id, expected[i].key));
        if (expected[i].value_json)
            cr_expect_str_eq(text, expected[i].value_json);
        else
            cr_expect_null(text);
        hpt__free(text);
    }
    fails_with(f.s->ops->study_attr_get(&text, f.s, f.id, "a"), HPT_E_ARG, "'a'");
    fails_with(f.s->ops->study_attr_set(f.s, f.id, &(hpt__attr_item){"x:a", "1"}, 1), HPT_E_ARG, "'x:a'");
    drop_study(&f);
}

BOTH(a_summary_counts_states_and_names_the_best) {
    fixture f;
    hpt_study_summary *all;
    int64_t n, id;
    make_study(&f, kind, 1);
    ok(f.s->ops->study_create(&id, f.s, "empty", (hpt_direction[]){HPT_MAXIMIZE, HPT_MAXIMIZE}, 2, NULL, 0));
    const double values[] = {3.0, INFINITY, -2.5, 1.0};
    for (int i = 0; i < 4; i++) {
        hpt__new_trial t = add_trial(&f, HPT_TRIAL_RUNNING);
        tell_trial(&f, &t, HPT_TRIAL_COMPLETE, &values[i]);
    }
    hpt__new_trial pruned = add_trial(&f, HPT_TRIAL_RUNNING);
    tell_trial(&f, &pruned, HPT_TRIAL_PRUNED, &(double){-100.0}); // better, but not completed
    add_trial(&f, HPT_TRIAL_WAITING);
    ok(f.s->ops->studies(&all, &n, f.s));
    cr_assert_eq(n, 2);
    cr_expect_str_eq(all[0].name, "s");
    cr_expect_eq(all[0].n_directions, 1);
    cr_expect_eq(all[0].best, -2.5);
    cr_expect_str_eq(all[0].created, "2025-06-15 15:06:40");
    const int64_t counts[5] = {0, 4, 1, 0, 1};
    for (int i = 0; i < 5; i++) cr_expect_eq(all[0].counts[i], counts[i], "state %d", i);
    cr_expect_str_eq(all[1].name, "empty");
    cr_expect_eq(all[1].n_directions, 2);
    cr_expect(isnan(all[1].best));
    cr_expect_str_eq(all[1].created, "");
    hpt_storage_summaries_free(all, n);
    drop_study(&f);
}

// ---- creating trials

BOTH(numbers_count_from_zero_through_all_batches) {
    fixture f;
    hpt__new_trial batch[5];
    make_study(&f, kind, 1);
    int64_t next = 0;
    for (int64_t q = 1; q <= 5; q++) {
        filling filling = {.trial = {.state = HPT_TRIAL_RUNNING, .point = POINT, .start_us = NONE, .complete_us = NONE},
                           .lower_to = q - 1};
        ok(f.s->ops->create_trials(f.s, f.id, &f.table, batch, q, fill_same, &filling));
        cr_expect_eq(filling.first, next);
        cr_expect_eq(filling.calls, 1);
        for (int64_t i = 0; i < q - 1; i++) cr_expect_eq(batch[i].number, next + i);
        next += q - 1;
        cr_expect_eq(f.table.n, next);
    }
    hpt__trials t = fresh_table(&f);
    cr_assert_eq(t.n, next);
    cr_expect(t.dense);
    for (int64_t row = 0; row < t.n; row++) cr_expect_eq(t.info[row].trial_id, f.table.info[row].trial_id);
    hpt__trials_fini(&t);
    drop_study(&f);
}

BOTH(a_batch_whose_filling_fails_leaves_nothing) {
    fixture f;
    hpt__new_trial batch[3];
    make_study(&f, kind, 1);
    add_trial(&f, HPT_TRIAL_RUNNING);
    for (int i = 0; i < 2; i++) {
        filling filling = {.lower_to = -1, .rc = i ? HPT_S_EXHAUSTED : HPT_E_ARG};
        const int rc = f.s->ops->create_trials(f.s, f.id, &f.table, batch, 3, fill_same, &filling);
        cr_expect_eq(rc, filling.rc);
        cr_expect_str_eq(hpt_last_error(), "filling failed");
        cr_expect_eq(f.table.n, 1);
    }
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 1);
    drop_study(&f);
}

static void expect_point(const hpt__trials *t, int64_t row, const double *expected) {
    double point[4];
    hpt__trials_get_point(point, t, row);
    for (int i = 0; i < 4; i++)
        cr_expect(isnan(expected[i]) ? isnan(point[i]) : point[i] == expected[i], "row %d, parameter %d: %g", (int)row,
                  i, point[i]);
}

BOTH(a_fresh_table_holds_all_that_was_stored) {
    fixture f;
    make_study(&f, kind, 2);
    const double values[][2] = {{1.5, -2.0}, {INFINITY, -INFINITY}};
    const hpt_trial_state states[] = {HPT_TRIAL_COMPLETE, HPT_TRIAL_COMPLETE, HPT_TRIAL_PRUNED, HPT_TRIAL_FAIL,
                                      HPT_TRIAL_RUNNING};
    for (int i = 0; i < 5; i++) {
        hpt__new_trial t = add_trial(&f, HPT_TRIAL_RUNNING);
        if (states[i] != HPT_TRIAL_RUNNING) tell_trial(&f, &t, states[i], i < 2 ? values[i] : NULL);
    }
    hpt__new_trial out;
    const double imported[] = {0.5, 10, 0, 1.0};
    ok(try_add(&out, &f,
               (hpt__new_trial){.state = HPT_TRIAL_COMPLETE,
                                .point = imported,
                                .values = values[0],
                                .attr_keys = (const char *const[]){"u:a", "s:b", "s:hpt:grid_id"},
                                .attr_values = (const char *const[]){"1", "\"\\u00e9\"", "12"},
                                .n_attrs = 3,
                                .start_us = 1,
                                .complete_us = 1750000000999999}));
    const hpt__report_item reports[] = {
        {out.trial_id, 9, NAN}, {out.trial_id, 2, -INFINITY}, {out.trial_id, 2, 0.125}, {out.trial_id, 0, INFINITY}};
    ok(f.s->ops->report(f.s, reports, 4));
    add_trial(&f, HPT_TRIAL_WAITING);

    hpt__trials t = fresh_table(&f);
    cr_assert_eq(t.n, 7);
    for (int row = 0; row < 5; row++) {
        cr_expect_eq(t.state[row], states[row]);
        expect_point(&t, row, POINT);
        cr_expect_not(t.info[row].foreign);
        cr_expect_eq(t.info[row].start_us, T0 * INT64_C(1000000));
        cr_expect_eq(t.info[row].complete_us, states[row] == HPT_TRIAL_RUNNING ? NONE : T0 * INT64_C(1000000) + 7);
        for (int i = 0; i < 2; i++)
            cr_expect(row < 2 ? t.values[row * 2 + i] == values[row][i] : isnan(t.values[row * 2 + i]));
    }
    expect_point(&t, 5, imported);
    cr_expect_eq(t.info[5].start_us, 1);
    cr_expect_eq(t.info[5].complete_us, 1750000000999999);
    cr_expect_eq(t.info[5].grid_id, 12);
    cr_expect_eq(t.max_grid_id, 12);
    cr_expect_eq(t.info[5].n_attrs, 3);
    cr_expect_str_eq(hpt__trials_attr(&t, 5, "u:a"), "1");
    cr_expect_str_eq(hpt__trials_attr(&t, 5, "s:b"), "\"\\u00e9\"");
    cr_expect_null(hpt__trials_attr(&t, 5, "s:a"));
    cr_assert_eq(t.info[5].n_reports, 3);
    cr_expect(t.info[5].reports[0].step == 0 && t.info[5].reports[0].value == INFINITY);
    cr_expect(t.info[5].reports[1].step == 2 && t.info[5].reports[1].value == 0.125);
    cr_expect(t.info[5].reports[2].step == 9 && isnan(t.info[5].reports[2].value));
    const double none[] = {NAN, NAN, NAN, NAN};
    expect_point(&t, 6, none);
    cr_expect(!t.info[6].foreign && t.info[6].start_us == NONE);
    const int64_t counts[5] = {1, 3, 1, 1, 1};
    for (int i = 0; i < 5; i++) cr_expect(t.counts[i] == counts[i] && f.table.counts[i] == counts[i], "state %d", i);
    hpt__trials_fini(&t);
    drop_study(&f);
}

BOTH(a_sync_without_news_says_so_and_changes_nothing) {
    fixture f;
    make_study(&f, kind, 1);
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), HPT_S_NOTHING);
    add_trial(&f, HPT_TRIAL_RUNNING);
    const uint64_t version = f.table.version;
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &f.table), HPT_S_NOTHING);
    cr_expect_eq(f.table.version, version);
    hpt__trials t = fresh_table(&f);
    cr_expect_eq(f.s->ops->sync(f.s, f.id, &t), HPT_S_NOTHING);
    hpt__trials_fini(&t);
    drop_study(&f);
}

BOTH(studies_of_one_storage_do_not_mix) {
    fixture f, g;
    make_study(&f, kind, 1);
    g = f;
    ok(f.s->ops->study_create(&g.id, f.s, "other", (hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    ok(hpt__trials_init(&g.table, g.space, 1, HPT_MINIMIZE));
    for (int i = 0; i < 6; i++) {
        hpt__new_trial t = add_trial(i % 2 ? &g : &f, HPT_TRIAL_RUNNING);
        cr_expect_eq(t.number, i / 2);
        tell_trial(i % 2 ? &g : &f, &t, HPT_TRIAL_COMPLETE, &(double){i});
    }
    hpt__trials a = fresh_table(&f), b = fresh_table(&g);
    cr_assert(a.n == 3 && b.n == 3);
    cr_expect(a.values[2] == 4 && b.values[2] == 5);
    hpt__trials_fini(&a);
    hpt__trials_fini(&b);
    hpt__trials_fini(&g.table);
    drop_study(&f);
}

// ---- telling

BOTH(a_finished_trial_keeps_its_first_result) {
    fixture f;
    make_study(&f, kind, 1);
    hpt__new_trial a = add_trial(&f, HPT_TRIAL_RUNNING), w = add_trial(&f, HPT_TRIAL_WAITING);
    tell_trial(&f, &a, HPT_TRIAL_COMPLETE, &(double){1.0});
    tell_trial(&f, &w, HPT_TRIAL_FAIL, NULL); // withdrawn from the queue
    const hpt__attr_item attr = {"u:late", "1"};
    for (int i = 0; i < 2; i++)
        fails_with(f.s->ops->tell(f.s, i ? w.trial_id : a.trial_id, HPT_TRIAL_COMPLETE, &(double){2.0}, 1, 0, &attr, 1),
                   HPT_E_STATE, "finished");
    fails_with(f.s->ops->tell(f.s, 999, HPT_TRIAL_FAIL, NULL, 0, 0, NULL, 0), HPT_E_NOT_FOUND, "999");
    hpt__trials t = fresh_table(&f);
    cr_expect_eq(t.values[0], 1.0);
    cr_expect_eq(t.state[1], HPT_TRIAL_FAIL);
    cr_expect(t.info[0].n_attrs == 0 && t.info[1].n_attrs == 0);
    hpt__trials_fini(&t);
    drop_study(&f);
}

BOTH(a_result_and_its_attributes_are_one_change) {
    fixture f;
    make_study(&f, kind, 1);
    hpt__new_trial a = add_trial(&f, HPT_TRIAL_RUNNING);
    const hpt__attr_item attrs[] = {{"s:hpt:outcome", "\"done\""}, {"u:b", "2"}};
    // NaN cannot be stored; nothing of the call is.
    fails_with(f.s->ops->tell(f.s, a.trial_id, HPT_TRIAL_COMPLETE, &(double){NAN}, 1, 0, attrs, 2), HPT_E_ARG, "NaN");
    fails_with(f.s->ops->tell(f.s, a.trial_id, HPT_TRIAL_COMPLETE, &(double){1}, 1, 0, &(hpt__attr_item){"b", "2"}, 1),
               HPT_E_ARG, "'b'");
    hpt__trials t = fresh_table(&f);
    cr_expect_eq(t.state[0], HPT_TRIAL_RUNNING);
    cr_expect_eq(t.info[0].n_attrs, 0);
    hpt__trials_fini(&t);
    ok(f.s->ops->tell(f.s, a.trial_id, HPT_TRIAL_COMPLETE, &(double){0.5}, 1, 5, attrs, 2));
    t = fresh_table(&f);
    cr_expect_eq(t.state[0], HPT_TRIAL_COMPLETE);
    cr_expect_eq(t.best, 0);
    cr_expect_str_eq(hpt__trials_attr(&t, 0, "s:hpt:outcome"), "\"done\"");
    cr_expect_str_eq(hpt__trials_attr(&t, 0, "u:b"), "2");
    hpt__trials_fini(&t);
    drop_study(&f);
}

BOTH(a_trial_attribute_is_replaced) {
    fixture f;
    make_study(&f, kind, 1);
    hpt__new_trial a = add_trial(&f, HPT_TRIAL_RUNNING);
    for (int i = 0; i < 3; i++)
        ok(f.s->ops->trial_attr_set(f.s, a.trial_id,
                                    &(hpt__attr_item){i == 2 ? "s:k" : "u:k", i ? "\"new\"" : "\"old\""}, 1));
    hpt__trials t = fresh_table(&f);
    cr_expect_eq(t.info[0].n_attrs, 2);
    cr_expect_str_eq(hpt__trials_attr(&t, 0, "u:k"), "\"new\"");
    hpt__trials_fini(&t);
    drop_study(&f);
}

// ---- the queue

typedef struct completion {
    double seen[4];
    int64_t row;
    int calls, rc;
} completion;

static int complete(double *point, int64_t row, void *payload) {
    completion *c = payload;
    memcpy(c->seen, point, sizeof c->seen);
    c->row = row;
    c->calls++;
    if (isnan(point[0])) point[0] = 0.75;
    if (isnan(point[1])) point[1] = 5;
    if (isnan(point[2])) point[2] = 2;
    return c->rc ? hpt__fail(c->rc, "no completion") : 0;
}

BOTH(waiting_trials_are_claimed_in_order_with_what_is_fixed) {
    fixture f;
    hpt__new_trial out;
    completion c = {0};
    int64_t row = 5;
    make_study(&f, kind, 1);
    cr_expect_eq(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, complete, &c), HPT_S_NOTHING);
    cr_expect(row == -1 && c.calls == 0);
    add_trial(&f, HPT_TRIAL_RUNNING);
    const double fixed[] = {NAN, 7, NAN, NAN};
    ok(try_add(&out, &f,
               (hpt__new_trial){.state = HPT_TRIAL_WAITING, .point = fixed, .start_us = NONE, .complete_us = NONE}));
    add_trial(&f, HPT_TRIAL_WAITING);

    c.rc = HPT_E_CALLBACK;
    fails_with(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, complete, &c), HPT_E_CALLBACK, "no completion");
    cr_expect(row == -1 && f.table.counts[HPT_TRIAL_WAITING] == 2);
    c.rc = 0;
    ok(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, complete, &c));
    cr_expect_eq(row, 1);
    cr_expect(isnan(c.seen[0]) && c.seen[1] == 7 && isnan(c.seen[2]));
    ok(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, complete, &c));
    cr_expect_eq(row, 2);
    cr_expect_eq(f.s->ops->claim_waiting(&row, f.s, f.id, &f.table, complete, &c), HPT_S_NOTHING);

    hpt__trials fresh = fresh_table(&f);
    const double expected[][4] = {{0.75, 7, 2, NAN}, {0.75, 5, 2, NAN}};
    for (int i = 0; i < 2; i++) {
        const hpt__trials *t = i ? &fresh : &f.table;
        for (int64_t at = 1; at <= 2; at++) {
            expect_point(t, at, expected[at - 1]);
            cr_expect_eq(t->state[at], HPT_TRIAL_RUNNING);
            cr_expect_gt(t->info[at].start_us, T0 * INT64_C(1000000));
            cr_expect_not(t->info[at].foreign);
        }
    }
    hpt__trials_fini(&fresh);
    drop_study(&f);
}

// ---- distributions

static int note(const char *name, const char *json, void *payload) {
    char *text = payload;
    strcat(text, name);
    strcat(text, strstr(json, "0.25") ? "!" : "");
    strcat(text, " ");
    return strcmp(name, "stop") == 0 ? HPT_S_STOPPED : 0;
}

BOTH(distributions_come_in_order_of_appearance_each_as_used_last) {
    fixture f, g;
    char text[256] = "";
    make_study(&f, kind, 1);
    ok(f.s->ops->distributions(f.s, f.id, note, text));
    cr_expect_str_eq(text, "");
    add_trial(&f, HPT_TRIAL_RUNNING);
    // The same study through a space in which x ends at 0.25 and which has two names more.
    g = f;
    ok(hpt_space_create(&g.space));
    ok(hpt_space_add_float(g.space, "more", 0.0, 1.0, 0.0, 0));
    ok(hpt_space_add_float(g.space, "x", 0.0, 0.25, 0.0, 0));
    ok(hpt_space_add_float(g.space, "a", 0.0, 1.0, 0.0, 0));
    g.table = fresh_table(&g);
    const double point[] = {0.5, 0.125, 1.0};
    hpt__new_trial out;
    ok(try_add(&out, &g,
               (hpt__new_trial){.state = HPT_TRIAL_RUNNING, .point = point, .start_us = NONE, .complete_us = NONE}));
    ok(f.s->ops->distributions(f.s, f.id, note, text));
    cr_expect_str_eq(text, "x! n c more a ");
    hpt__trials t = fresh_table(&f);
    cr_expect(!t.info[0].foreign && t.info[1].foreign); // it has too many and lacks n and c
    cr_expect_eq(t.columns[0].values[1], 0.125);
    cr_expect_eq(t.n_columns, 6);
    hpt__trials_fini(&t);
    hpt__trials_fini(&g.table);
    hpt_space_destroy(g.space);
    drop_study(&f);
}

// ---- memory that runs out

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

// One of everything. Returns at the first error.
static int everything(fixture *f, hpt__trials *fresh) {
    int rc = 0;
    int64_t row, n, id, k;
    char *text = NULL;
    hpt_direction *directions = NULL;
    hpt_study_summary *all = NULL;
    hpt__new_trial out;
    const hpt__attr_item attrs[] = {{"u:a", "1"}, {"s:b", "2"}};
    completion c = {0};
    char names[256] = "";
    HPT_TRY(f->s->ops->study_attr_set(f->s, f->id, attrs, 2));
    HPT_TRY(try_add(&out, f,
                    (hpt__new_trial){.state = HPT_TRIAL_RUNNING,
                                     .point = POINT,
                                     .start_us = NONE,
                                     .complete_us = NONE,
                                     .attr_keys = (const char *const[]){"u:x"},
                                     .attr_values = (const char *const[]){"1"},
                                     .n_attrs = 1}));
    HPT_TRY(f->s->ops->report(f->s, &(hpt__report_item){out.trial_id, 1, 2.0}, 1));
    HPT_TRY(f->s->ops->tell(f->s, out.trial_id, HPT_TRIAL_COMPLETE, &(double){1}, 1, 0, attrs, 2));
    hpt__trials_finish(&f->table, f->table.n - 1, HPT_TRIAL_COMPLETE, &(double){1}, 0);
    HPT_TRY(try_add(&out, f, (hpt__new_trial){.state = HPT_TRIAL_WAITING, .start_us = NONE, .complete_us = NONE}));
    HPT_TRY(f->s->ops->claim_waiting(&row, f->s, f->id, &f->table, complete, &c));
    HPT_TRY(hpt__trials_init(fresh, f->space, 1, HPT_MINIMIZE));
    HPT_TRY(f->s->ops->sync(f->s, f->id, fresh));
    HPT_TRY(f->s->ops->sync(f->s, f->id, &f->table));
    HPT_TRY(f->s->ops->distributions(f->s, f->id, note, names));
    HPT_TRY(f->s->ops->study_attr_get(&text, f->s, f->id, "u:a"));
    hpt__free(text);
    text = NULL;
    HPT_TRY(f->s->ops->study_find(&id, &text, &directions, &k, f->s, "s"));
    HPT_TRY(f->s->ops->studies(&all, &n, f->s));
    hpt_storage_summaries_free(all, n);
out:
    hpt__free(text);
    hpt__free(directions);
    return rc;
}

BOTH(any_allocation_may_fail_without_loss_or_half_a_trial) {
    int rc = HPT_E_MEMORY;
    int64_t k = 0;
    for (; rc < 0; k++) {
        fixture f;
        hpt__trials fresh = {0};
        make_study(&f, kind, 1);
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = everything(&f, &fresh);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
        hpt__trials_fini(&fresh);
        // The handle goes on, and what is stored is whole.
        const int64_t n = f.table.n;
        cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, n, "allocation %d", (int)k);
        hpt__trials t = fresh_table(&f);
        cr_assert_eq(t.n, f.table.n, "allocation %d", (int)k);
        for (int64_t row = 0; row < t.n; row++) {
            cr_expect_eq(t.state[row], f.table.state[row], "allocation %d, row %d", (int)k, (int)row);
            if (t.state[row] != HPT_TRIAL_WAITING) cr_expect_not(t.info[row].foreign);
        }
        hpt__trials_fini(&t);
        drop_study(&f);
    }
    cr_expect_gt(k, 20);
}

BOTH(opening_may_run_out_of_memory) {
    fixture f = {0};
    make_folder(&f);
    int rc = HPT_E_MEMORY;
    int64_t k = 0;
    for (; rc < 0; k++) {
        hpt__storage *s = NULL;
        int64_t left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        rc = open_url(&s, strcmp(kind, "memory") ? f.path : ":memory:", true, false);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
        hpt__storage_close(s);
    }
    cr_expect_gt(k, 2);
    drop_folder(&f);
}
