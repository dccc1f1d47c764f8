// SPDX-License-Identifier: Apache-2.0
// test_trials_mirror.c: a mirror holds what its table holds, whatever happened to it in between.
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/trials/trials.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void ok(int rc) {
    cr_assert_eq(rc, 0, "%s", hpt_last_error());
}

static hpt_space *one_float(void) {
    hpt_space *s;
    ok(hpt_space_create(&s));
    ok(hpt_space_add_float(s, "x", 0, 1, 0, 0));
    return s;
}

static bool same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static void expect_equal(const hpt__trials *a, const hpt__trials *b) {
    cr_assert_eq(a->n, b->n);
    cr_assert_eq(a->best, b->best);
    cr_assert_eq(a->max_grid_id, b->max_grid_id);
    cr_assert_eq(a->n_columns, b->n_columns);
    for (int s = 0; s < 5; s++) cr_assert_eq(a->counts[s], b->counts[s]);
    for (int64_t r = 0; r < a->n; r++) {
        const hpt__trial_info *p = &a->info[r], *q = &b->info[r];
        cr_assert(a->number[r] == b->number[r] && a->state[r] == b->state[r] && same(a->values[r], b->values[r]));
        cr_assert_eq(hpt__trials_row_of(b, a->number[r]), r);
        for (int64_t c = 0; c < a->n_columns; c++) cr_assert(same(a->columns[c].values[r], b->columns[c].values[r]));
        cr_assert(p->trial_id == q->trial_id && p->start_us == q->start_us && p->complete_us == q->complete_us);
        cr_assert(p->grid_id == q->grid_id && p->foreign == q->foreign && p->n_attrs == q->n_attrs);
        for (int64_t i = 0; i < p->n_attrs; i++)
            cr_assert_str_eq(hpt__trials_attr(b, r, p->attr_keys[i]), p->attr_values[i]);
        cr_assert_eq(p->n_reports, q->n_reports);
        for (int64_t i = 0; i < p->n_reports; i++)
            cr_assert(p->reports[i].step == q->reports[i].step && same(p->reports[i].value, q->reports[i].value));
    }
}

// One change of any kind that a study or a storage makes.
static void change(hpt__trials *t, hpt__rng *rng, int64_t *next) {
    char text[32];
    const int64_t row = t->n ? hpt__rng_below(rng, t->n) : -1;
    const int64_t what = row < 0 ? 0 : hpt__rng_below(rng, 8);
    const bool open = row >= 0 && (t->state[row] == HPT_TRIAL_RUNNING || t->state[row] == HPT_TRIAL_WAITING);
    const double v = hpt__rng_uniform(rng);
    int64_t at;
    switch (what) {
    case 0:
        ok(hpt__trials_add(&at, t, *next, *next + 1, v < 0.3 ? HPT_TRIAL_WAITING : HPT_TRIAL_RUNNING));
        *next += 1 + (v < 0.1); // numbers with gaps
        break;
    case 1:
        hpt__trials_set_point(t, row, &v);
        break;
    case 2:
        ok(hpt__trials_set_param(t, row, v < 0.5 ? "foreign" : "other", v, NULL));
        break;
    case 3:
        ok(hpt__trials_report(t, row, (int64_t)(v * 10), v));
        break;
    case 4:
        snprintf(text, sizeof text, "%d", v < 0.5 ? (int)row : (int)(v * 100)); // a point of the grid stays one
        ok(hpt__trials_set_attr(t, row, v < 0.5 ? "s:hpt:grid_id" : "u:note", text));
        break;
    case 5:
        if (open) hpt__trials_finish(t, row, v < 0.7 ? HPT_TRIAL_COMPLETE : HPT_TRIAL_PRUNED, &v, 7);
        break;
    case 6:
        if (open) hpt__trials_set_state(t, row, v < 0.5 ? HPT_TRIAL_RUNNING : HPT_TRIAL_WAITING);
        break;
    default:
        if (v > 0.2) break;
        hpt__trials_truncate(t, row + 1); // a commit failed
        *next = t->number[t->n - 1] + 1;
    }
}

Test(trials_mirror, follows_every_kind_of_change)
{
    hpt_space *space = one_float();
    hpt__rng rng;
    for (uint64_t seed = 0; seed < 40; seed++) {
        hpt__trials t, m;
        int64_t next = 0, row;
        hpt__rng_init(&rng, seed, 1);
        ok(hpt__trials_init(&t, space, 1, HPT_MINIMIZE));
        ok(hpt__trials_init(&m, space, 1, HPT_MINIMIZE));
        for (int i = 0; i < 60; i++) {
            for (int64_t k = hpt__rng_below(&rng, 12); k > 0; k--) change(&t, &rng, &next);
            ok(hpt__trials_mirror(&m, &t));
            expect_equal(&t, &m);
            ok(hpt__trials_add(&row, &m, next, -1, HPT_TRIAL_RUNNING)); // a provisional row of a batch
            hpt__trials_truncate(&m, t.n);
        }
        hpt__trials_fini(&m);
        hpt__trials_fini(&t);
    }
    hpt_space_destroy(space);
}

Test(trials_mirror, its_version_moves_only_when_something_changed)
{
    hpt_space *space = one_float();
    hpt__trials t, m;
    int64_t row;
    ok(hpt__trials_init(&t, space, 1, HPT_MINIMIZE));
    ok(hpt__trials_init(&m, space, 1, HPT_MINIMIZE));
    ok(hpt__trials_add(&row, &t, 0, 1, HPT_TRIAL_RUNNING));
    ok(hpt__trials_mirror(&m, &t));
    const uint64_t before = m.version;
    ok(hpt__trials_mirror(&m, &t));
    cr_assert_eq(m.version, before);
    ok(hpt__trials_report(&t, 0, 1, 0.5));
    ok(hpt__trials_mirror(&m, &t));
    cr_assert_neq(m.version, before);
    hpt__trials_fini(&m);
    hpt__trials_fini(&t);
    hpt_space_destroy(space);
}

static int64_t left; // allocations until one fails; negative: none does

static bool fails(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return left >= 0 && left-- == 0;
}

Test(trials_mirror, an_allocation_that_fails_leaves_it_behind_and_the_next_call_goes_on)
{
    hpt_space *space = one_float();
    left = -1;
    hpt__alloc_set_hook(fails, NULL);
    for (int64_t k = 0;; k++) {
        hpt__trials t, m;
        int64_t next = 0;
        hpt__rng rng;
        hpt__rng_init(&rng, 3, 1);
        ok(hpt__trials_init(&t, space, 1, HPT_MINIMIZE));
        ok(hpt__trials_init(&m, space, 1, HPT_MINIMIZE));
        for (int i = 0; i < 80; i++) change(&t, &rng, &next);
        left = k;
        const int rc = hpt__trials_mirror(&m, &t);
        left = -1;
        if (rc != 0) cr_assert_eq(rc, HPT_E_MEMORY);
        ok(hpt__trials_mirror(&m, &t));
        expect_equal(&t, &m);
        hpt__trials_fini(&m);
        hpt__trials_fini(&t);
        if (rc == 0) break;
    }
    hpt__alloc_set_hook(NULL, NULL);
    hpt_space_destroy(space);
}
