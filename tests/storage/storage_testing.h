// SPDX-License-Identifier: Apache-2.0
// storage_testing.h: what the tests of the storages share: a study on either storage, and files that vanish.
#ifndef STORAGE_TESTING_H
#define STORAGE_TESTING_H

#include "core/base/alloc.h"
#include "core/base/error.h"
#include "core/storage/storage_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { T0 = 1750000000 };
#define NONE INT64_MIN

typedef struct fixture {
    char folder[64], path[128];
    const char *url;
    hpt__storage *s;
    hpt_space *space;
    hpt__trials table;
    int64_t id, k;
} fixture;

static inline void ok(int rc) {
    cr_assert_geq(rc, 0, "%s", hpt_last_error());
}

// An error with this status whose line holds every one of the words.
#define fails_with(call, status, ...)                                                                           \
    do {                                                                                                        \
        const int fails_rc = (call);                                                                            \
        const char *fails_words[] = {__VA_ARGS__};                                                              \
        cr_assert_eq(fails_rc, status, "gave %d: %s", fails_rc, hpt_last_error());                              \
        for (size_t fails_i = 0; fails_i < sizeof fails_words / sizeof *fails_words; fails_i++)                 \
            cr_assert(strstr(hpt_last_error(), fails_words[fails_i]), "no \"%s\" in: %s", fails_words[fails_i], \
                      hpt_last_error());                                                                        \
    } while (0)

static inline hpt__options options_of(void) {
    hpt__options options;
    hpt__options_default(&options);
    return options;
}

static inline int open_url(hpt__storage **s, const char *url, bool create, bool read_only) {
    const hpt__options options = options_of();
    return hpt__storage_open(s, url, create, read_only, &options);
}

// x in [0, 1], n in 1..10, c in {a, b, 3}, child in [0, 1] while c is a.
static inline hpt_space *small_space(void) {
    hpt_space *space;
    ok(hpt_space_create(&space));
    ok(hpt_space_add_float(space, "x", 0.0, 1.0, 0.0, 0));
    ok(hpt_space_add_int(space, "n", 1, 10, 1, 0));
    ok(hpt_space_add_categorical_json(space, "c", (const char *const[]){"\"a\"", "\"b\"", "3"}, 3));
    ok(hpt_space_add_float(space, "child", 0.0, 1.0, 0.0, 0));
    ok(hpt_space_add_condition(space, "child", "c", (const char *const[]){"a"}, 1));
    return space;
}

static inline void make_folder(fixture *f) {
    snprintf(f->folder, sizeof f->folder, "/tmp/hpt_storage_test_XXXXXX");
    cr_assert(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/study.db", f->folder);
}

static inline void drop_folder(fixture *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    if (f->folder[0]) cr_assert_eq(system(command), 0);
}

// A study "s" with one minimised objective, or k with directions in turn.
static inline void make_study(fixture *f, const char *kind, int64_t k) {
    const hpt_direction directions[] = {HPT_MINIMIZE, HPT_MAXIMIZE, HPT_MINIMIZE};
    *f = (fixture){.k = k};
    make_folder(f);
    f->url = strcmp(kind, "memory") == 0 ? ":memory:" : f->path;
    ok(open_url(&f->s, f->url, true, false));
    ok(f->s->ops->study_create(&f->id, f->s, "s", directions, k, NULL, 0));
    f->space = small_space();
    ok(hpt__trials_init(&f->table, f->space, k, HPT_MINIMIZE));
}

static inline void drop_study(fixture *f) {
    hpt__trials_fini(&f->table);
    hpt_space_destroy(f->space);
    hpt__storage_close(f->s);
    drop_folder(f);
}

// A second handle on the study's file.
static inline void join_study(fixture *g, const fixture *f, bool read_only) {
    char *name;
    hpt_direction *directions;
    *g = (fixture){.url = f->url};
    ok(open_url(&g->s, f->url, false, read_only));
    ok(g->s->ops->study_find(&g->id, &name, &directions, &g->k, g->s, "s"));
    hpt__free(name);
    hpt__free(directions);
    g->space = small_space();
    ok(hpt__trials_init(&g->table, g->space, g->k, HPT_MINIMIZE));
    ok(g->s->ops->sync(g->s, g->id, &g->table));
}

// A table as a new process would fill it.
static inline hpt__trials fresh_table(const fixture *f) {
    hpt__trials t;
    ok(hpt__trials_init(&t, f->space, f->k, HPT_MINIMIZE));
    ok(f->s->ops->sync(f->s, f->id, &t));
    return t;
}

// One body, a test for each storage.
#define BOTH(name)                      \
    static void name(const char *kind); \
    Test(storage_memory, name)          \
    { name("memory"); }                 \
    Test(storage_sqlite, name)          \
    { name("sqlite"); }                 \
    static void name(const char *kind)

// SQL on a file that no handle has open.
static inline void sql_on_file(const char *path, const char *text) {
    sqlite3 *db;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &message), SQLITE_OK, "%s: %s", text, message ? message : "");
    sqlite3_close(db);
}

// A database as Optuna left it, from tests/storage/data.
static inline void load_dump(const char *path, const char *name) {
    char source[512], *text;
    snprintf(source, sizeof source, "%s/tests/storage/data/%s", HPT_SOURCE_DIR, name);
    FILE *file = fopen(source, "rb");
    cr_assert(file, "%s", source);
    text = calloc(1, 1 << 16);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, file), (1 << 16) - 1);
    fclose(file);
    sql_on_file(path, text);
    free(text);
}

// ---- adding trials

typedef struct filling {
    hpt__new_trial trial;
    int64_t first, calls, lower_to; // lower_to < 0: leave q
    int rc;
} filling;

static inline int fill_same(hpt__new_trial *batch, int64_t *q, int64_t first, void *payload) {
    filling *f = payload;
    f->first = first;
    f->calls++;
    if (f->lower_to >= 0) *q = f->lower_to;
    for (int64_t i = 0; i < *q; i++) batch[i] = f->trial;
    return f->rc ? hpt__fail(f->rc, "filling failed") : 0;
}

static const double POINT[] = {0.25, 3, 1, NAN};

static inline int try_add(hpt__new_trial *out, fixture *f, hpt__new_trial trial) {
    filling filling = {.trial = trial, .lower_to = -1};
    return f->s->ops->create_trials(f->s, f->id, &f->table, out, 1, fill_same, &filling);
}

static inline hpt__new_trial add_trial(fixture *f, hpt_trial_state state) {
    hpt__new_trial out = {0};
    ok(try_add(&out, f,
               (hpt__new_trial){.state = state,
                                .point = state == HPT_TRIAL_WAITING ? NULL : POINT,
                                .start_us = state == HPT_TRIAL_WAITING ? NONE : T0 * INT64_C(1000000),
                                .complete_us = NONE}));
    return out;
}

// As the study does it: the storage, then the table.
static inline void tell_trial(fixture *f, const hpt__new_trial *trial, hpt_trial_state state, const double *values) {
    const int64_t now = T0 * INT64_C(1000000) + 7;
    ok(f->s->ops->tell(f->s, trial->trial_id, state, values, values ? f->k : 0, now, NULL, 0));
    hpt__trials_finish(&f->table, hpt__trials_row_of(&f->table, trial->number), state, values, now);
}

#endif
