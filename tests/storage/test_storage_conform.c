// SPDX-License-Identifier: Apache-2.0
// test_storage_conform.c: whole studies as records, one body run over each storage; and databases that Optuna 4.9.0 and
// 5.0.0 wrote (tests/storage/data, made by make_optuna_fixture.py) read by both.
#include "core/storage/storage_record.h"
#include "storage_testing.h"

static const char FLOAT[] =
    "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": -2.5, \"high\": 7.0, "
    "\"log\": false}}";
static const char CHOICE[] =
    "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\", null, true, "
    "1.5, \"\\u00e9\"]}}";

// ---- helpers

static bool same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void expect_records_equal(const hpt__record *a, const hpt__record *b) {
    const int n = (int)a->number;
    cr_expect(a->number == b->number && a->state == b->state, "trial %d", n);
    cr_expect(a->start_us == b->start_us && a->complete_us == b->complete_us, "trial %d", n);
    cr_assert(a->n_params == b->n_params && a->n_values == b->n_values && a->n_reports == b->n_reports &&
                  a->n_attrs == b->n_attrs,
              "trial %d", n);
    for (int64_t i = 0; i < a->n_params; i++) {
        cr_expect_str_eq(a->params[i].name, b->params[i].name);
        cr_expect_str_eq(a->params[i].distribution, b->params[i].distribution);
        cr_expect_eq(a->params[i].internal, b->params[i].internal);
    }
    for (int64_t i = 0; i < a->n_values; i++) cr_expect(same(a->values[i], b->values[i]));
    for (int64_t i = 0; i < a->n_reports; i++)
        cr_expect(a->reports[i].step == b->reports[i].step && same(a->reports[i].value, b->reports[i].value));
    for (int64_t i = 0; i < a->n_attrs; i++) {
        cr_expect_str_eq(a->attrs[i].key, b->attrs[i].key);
        cr_expect_str_eq(a->attrs[i].value_json, b->attrs[i].value_json);
    }
}

static void read_all(hpt__records *batch, hpt__storage *s, int64_t study_id) {
    int64_t after = INT64_MIN;
    hpt__records_init(batch);
    ok(s->ops->records(batch, &after, s, study_id, 1000));
}

// A trial of each state, with everything that a trial can have.
static void make_records(hpt__records *all) {
    hpt__record *r;
    hpt__records_init(all);
    for (int i = 0; i < 5; i++) {
        ok(hpt__records_add(&r, all));
        r->number = i;
        r->state = (hpt_trial_state)i;
        if (r->state == HPT_TRIAL_WAITING) {
            ok(hpt__record_add_attr(r, "s:fixed_params", "{\"x\": 0.5, \"c\": null}"));
            continue;
        }
        r->start_us = 1769841000123456 + i;
        ok(hpt__record_add_param(r, "x", 0.1 + 0.2, FLOAT));
        ok(hpt__record_add_param(r, "c", i % 5, CHOICE));
        ok(hpt__record_set_report(r, 5, NAN));
        ok(hpt__record_set_report(r, 0, INFINITY));
        ok(hpt__record_set_report(r, 1000000, -INFINITY));
        ok(hpt__record_set_report(r, 3, 1e-310));
        ok(hpt__record_add_attr(r, "u:caf\xc3\xa9", "{\"a\": [1, NaN]}"));
        ok(hpt__record_add_attr(r, "s:constraints", "[-1.0, 0.5]"));
        ok(hpt__record_add_attr(r, "s:retry_history", "[5]"));
        if (r->state == HPT_TRIAL_RUNNING) continue;
        r->complete_us = 1769841001000000;
        if (r->state == HPT_TRIAL_FAIL) continue;
        ok(hpt__record_set_values(r, (const double[]){i == 1 ? INFINITY : -0.0, 1.5}, 2));
    }
}

static int64_t store(fixture *f, const hpt__records *all) {
    int64_t id = 0;
    int rc = f->s->ops->hold(f->s, true);
    ok(rc);
    rc = f->s->ops->bulk_study(&id, f->s, "bulk", (const hpt_direction[]){HPT_MAXIMIZE, HPT_MINIMIZE}, 2,
                               (const hpt__attr_item[]){{"u:z", "1"}, {"s:a", "2"}, {"u:b", "\"\\u00e9\""}}, 3);
    for (int64_t i = 0; i < all->n && rc >= 0; i++) rc = f->s->ops->bulk_trial(f->s, id, &all->items[i]);
    ok(f->s->ops->release(f->s, rc));
    return id;
}

// ---- records

BOTH(a_trial_of_every_state_with_everything_comes_back) {
    fixture f;
    hpt__records all, back;
    make_study(&f, kind, 1);
    make_records(&all);
    const int64_t id = store(&f, &all);
    read_all(&back, f.s, id);
    cr_assert_eq(back.n, all.n);
    for (int64_t i = 0; i < all.n; i++) expect_records_equal(&back.items[i], &all.items[i]);
    hpt__records_fini(&all);
    hpt__records_fini(&back);
    drop_study(&f);
}

BOTH(a_study_s_table_sees_what_was_put_in_bulk) {
    fixture f, g;
    hpt__records all;
    make_study(&f, kind, 1);
    make_records(&all);
    g = f;
    g.id = store(&f, &all);
    g.k = 2;
    ok(hpt_space_create(&g.space));
    ok(hpt__space_add_distribution(g.space, "x", FLOAT));
    ok(hpt__space_add_distribution(g.space, "c", CHOICE));
    g.table = fresh_table(&g);
    cr_assert_eq(g.table.n, 5);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(g.table.state[i], i);
        cr_expect_not(g.table.info[i].foreign);
    }
    cr_expect_eq(g.table.columns[0].values[1], 0.1 + 0.2);
    cr_expect(g.table.values[2] == INFINITY && g.table.values[3] == 1.5);
    cr_expect_eq(g.table.info[1].n_reports, 4);
    // and new trials follow
    hpt__new_trial out;
    const double point[] = {1.0, 2};
    ok(try_add(&out, &g,
               (hpt__new_trial){.state = HPT_TRIAL_RUNNING, .point = point, .start_us = NONE, .complete_us = NONE}));
    cr_expect_eq(out.number, 5);
    hpt__trials_fini(&g.table);
    hpt_space_destroy(g.space);
    hpt__records_fini(&all);
    drop_study(&f);
}

BOTH(records_of_what_was_asked_and_told_come_in_batches) {
    fixture f;
    hpt__records batch;
    make_study(&f, kind, 1);
    for (int i = 0; i < 10; i++) {
        hpt__new_trial t = add_trial(&f, HPT_TRIAL_RUNNING);
        ok(f.s->ops->report(f.s, &(hpt__report_item){t.trial_id, i, 0.5}, 1));
        if (i % 2) tell_trial(&f, &t, HPT_TRIAL_COMPLETE, &(double){i});
    }
    hpt__records_init(&batch);
    int64_t after = INT64_MIN, next = 0;
    for (int64_t limit = 1; f.s->ops->records(&batch, &after, f.s, f.id, limit) == HPT_OK; limit++) {
        cr_expect_leq(batch.n, limit);
        for (int64_t i = 0; i < batch.n; i++, next++) {
            const hpt__record *r = &batch.items[i];
            cr_expect_eq(r->number, next);
            cr_expect(r->n_params == 3 && strcmp(r->params[0].name, "x") == 0 && r->params[2].internal == 1);
            cr_expect(r->n_reports == 1 && r->reports[0].step == next);
            cr_expect_eq(r->n_values, next % 2);
        }
    }
    cr_expect_eq(next, 10);
    cr_expect_eq(f.s->ops->records(&batch, &after, f.s, f.id, 5), HPT_S_NOTHING);
    hpt__records_fini(&batch);
    drop_study(&f);
}

static int join_attr(const char *key, const char *json, void *payload) {
    hpt__str_addf(payload, "%s=%s ", key, json);
    return 0;
}

BOTH(attributes_of_a_study_are_listed) {
    fixture f;
    hpt__str text = HPT__STR_INIT;
    hpt__records none;
    make_study(&f, kind, 1);
    hpt__records_init(&none);
    const int64_t id = store(&f, &none);
    ok(f.s->ops->study_attrs(f.s, id, join_attr, &text));
    const char *const expected[] = {"u:z=1 ", "s:a=2 ", "u:b=\"\\u00e9\" "};
    for (int i = 0; i < 3; i++) cr_expect(strstr(hpt__str_text(&text), expected[i]), "%s", hpt__str_text(&text));
    cr_expect(strstr(hpt__str_text(&text), "u:z") < strstr(hpt__str_text(&text), "u:b"));
    hpt__str_clear(&text);
    ok(f.s->ops->study_attrs(f.s, f.id, join_attr, &text));
    cr_expect_eq(text.len, 0);
    hpt__str_fini(&text);
    hpt__records_fini(&none);
    drop_study(&f);
}

BOTH(what_is_released_with_an_error_was_never_there) {
    fixture f;
    hpt__records all;
    int64_t id, n;
    hpt_study_summary *summaries;
    make_study(&f, kind, 2);
    make_records(&all);
    ok(f.s->ops->hold(f.s, true));
    ok(f.s->ops->bulk_study(&id, f.s, "bulk", (const hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    ok(f.s->ops->bulk_trial(f.s, id, &all.items[0]));
    ok(f.s->ops->bulk_trial(f.s, f.id, &all.items[1])); // of a study that stays
    fails_with(f.s->ops->release(f.s, hpt__fail(HPT_E_CALLBACK, "no more")), HPT_E_CALLBACK, "no more");
    ok(f.s->ops->studies(&summaries, &n, f.s));
    cr_assert_eq(n, 1);
    for (int i = 0; i < 5; i++) cr_expect_eq(summaries[0].counts[i], 0);
    hpt_storage_summaries_free(summaries, n);
    cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 0);
    ok(f.s->ops->hold(f.s, true)); // a name that is taken
    fails_with(
        f.s->ops->release(f.s, f.s->ops->bulk_study(&id, f.s, "s", (const hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0)),
        HPT_E_EXISTS, "'s'");
    hpt__records_fini(&all);
    drop_study(&f);
}

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int64_t *left = payload;
    return (*left)-- == 0;
}

BOTH(any_allocation_may_fail_while_studies_are_carried) {
    int rc = HPT_E_MEMORY;
    int64_t k = 0;
    hpt__records all;
    make_records(&all);
    for (; rc < 0; k++) {
        fixture f;
        hpt__records back;
        int64_t id = 0, after = INT64_MIN, left = k, n;
        hpt_study_summary *summaries;
        make_study(&f, kind, 1);
        hpt__records_init(&back);
        hpt__alloc_set_hook(fail_kth, &left);
        rc = f.s->ops->hold(f.s, true);
        if (rc >= 0) {
            rc = f.s->ops->bulk_study(&id, f.s, "bulk", (const hpt_direction[]){1, 2}, 2, &(hpt__attr_item){"u:a", "1"},
                                      1);
            for (int64_t i = 0; i < all.n && rc >= 0; i++) rc = f.s->ops->bulk_trial(f.s, id, &all.items[i]);
            rc = f.s->ops->release(f.s, rc);
        }
        const bool stored = rc >= 0;
        if (rc >= 0) rc = f.s->ops->records(&back, &after, f.s, id, 100);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc < 0) cr_assert_eq(rc, HPT_E_MEMORY, "allocation %d: %d %s", (int)k, rc, hpt_last_error());
        ok(f.s->ops->studies(&summaries, &n, f.s));
        cr_expect_eq(n, stored ? 2 : 1, "allocation %d", (int)k);
        hpt_storage_summaries_free(summaries, n);
        cr_expect_eq(add_trial(&f, HPT_TRIAL_RUNNING).number, 0, "allocation %d", (int)k);
        hpt__records_fini(&back);
        drop_study(&f);
    }
    cr_expect_gt(k, 10);
    hpt__records_fini(&all);
}

// ---- what Optuna wrote

// The dump's study in the storage of the kind: read from the file, and for memory carried over.
static void open_dump(fixture *f, const char *kind, const char *dump, const char *study) {
    int64_t id, after = INT64_MIN;
    char *name;
    hpt_direction *directions;
    hpt__storage *from;
    hpt__records all;
    *f = (fixture){0};
    make_folder(f);
    load_dump(f->path, dump);
    ok(open_url(&from, f->path, false, true));
    ok(from->ops->study_find(&id, &name, &directions, &f->k, from, study));
    if (strcmp(kind, "sqlite") == 0) {
        f->s = from;
        f->id = id;
    } else {
        ok(open_url(&f->s, ":memory:", true, false));
        hpt__records_init(&all);
        ok(from->ops->records(&all, &after, from, id, 100));
        ok(f->s->ops->hold(f->s, true));
        ok(f->s->ops->bulk_study(&f->id, f->s, study, directions, f->k, NULL, 0));
        for (int64_t i = 0; i < all.n; i++) ok(f->s->ops->bulk_trial(f->s, f->id, &all.items[i]));
        ok(f->s->ops->release(f->s, 0));
        hpt__records_fini(&all);
        hpt__storage_close(from);
    }
    hpt__free(name);
    hpt__free(directions);
}

static const char *attr_of(const hpt__record *r, const char *key) {
    for (int64_t i = 0; i < r->n_attrs; i++)
        if (strcmp(r->attrs[i].key, key) == 0) return r->attrs[i].value_json;
    return "";
}

static void expect_optuna_study(const char *kind, int version) {
    fixture f;
    hpt__records all;
    static const hpt_trial_state states[] = {HPT_TRIAL_COMPLETE, HPT_TRIAL_COMPLETE, HPT_TRIAL_COMPLETE,
                                             HPT_TRIAL_PRUNED,   HPT_TRIAL_PRUNED,   HPT_TRIAL_FAIL,
                                             HPT_TRIAL_FAIL,     HPT_TRIAL_RUNNING,  HPT_TRIAL_WAITING};
    static const double values[] = {0.5, INFINITY, -INFINITY, 2.5};
    // 12:00:00.123456 in Kolkata: version 4 stored it so, version 5 in UTC.
    const int64_t start = version == 4 ? 1769860800123456 : 1769841000123456;
    open_dump(&f, kind, version == 4 ? "optuna_4.sql" : "optuna_5.sql", "one");
    read_all(&all, f.s, f.id);
    cr_assert_eq(all.n, 9);
    for (int i = 0; i < 9; i++) {
        const hpt__record *r = &all.items[i];
        cr_expect(r->number == i && r->state == states[i], "trial %d", i);
        cr_expect_eq(r->start_us, i == 8 ? NONE : start, "trial %d", i);
        cr_expect_eq(r->complete_us, i >= 7 ? NONE : start + (i == 2 ? 2000000 : 1500000), "trial %d", i);
        cr_expect_eq(r->n_values, i < 4 ? 1 : 0);
        if (i < 4) cr_expect_eq(r->values[0], values[i]);
    }
    const hpt__record *r = &all.items[0];
    static const double internal[] = {0.1 + 0.2, 1e-5, 0.3, -3, 8, 64, 1};
    cr_assert_eq(r->n_params, 7);
    for (int i = 0; i < 7; i++) cr_expect_eq(r->params[i].internal, internal[i], "%s", r->params[i].name);
    cr_assert_eq(r->n_reports, 4);
    cr_expect(r->reports[0].value == INFINITY && r->reports[1].value == -INFINITY && r->reports[2].value == 2.5 &&
              isnan(r->reports[3].value) && r->reports[3].step == 5);
    cr_expect_str_eq(attr_of(r, "u:k\xc3\xa9y"), "[1, null, 2.5]");
    if (version == 4)
        cr_expect_str_eq(attr_of(r, "s:constraints"), "[-1.0, 0.5]");
    else
        cr_expect(strcmp(attr_of(r, "s:constraints:0"), "-1.0") == 0 &&
                  strcmp(attr_of(r, "s:constraints:1"), "0.5") == 0);
    cr_expect_str_eq(attr_of(&all.items[6], "s:retry_history"), "[5]");
    cr_expect_str_eq(attr_of(&all.items[8], "s:fixed_params"), "{\"float\": 0.25, \"choice\": null}");
    if (strcmp(kind, "sqlite") == 0) cr_expect_eq(all.items[7].heartbeat_us, INT64_C(1769841060000000));
    hpt__records_fini(&all);
    hpt__storage_close(f.s);
    drop_folder(&f);
    open_dump(&f, kind, version == 4 ? "optuna_4.sql" : "optuna_5.sql", "two");
    read_all(&all, f.s, f.id);
    cr_assert(all.n == 1 && f.k == 2 && all.items[0].n_values == 2);
    cr_expect(all.items[0].values[0] == 1.0 && all.items[0].values[1] == -INFINITY);
    hpt__records_fini(&all);
    hpt__storage_close(f.s);
    drop_folder(&f);
}

BOTH(a_study_of_optuna_4_is_read) {
    expect_optuna_study(kind, 4);
}

BOTH(a_study_of_optuna_5_is_read) {
    expect_optuna_study(kind, 5);
}
