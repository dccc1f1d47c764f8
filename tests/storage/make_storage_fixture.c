// SPDX-License-Identifier: Apache-2.0
// make_storage_fixture.c: the storage operations as a small program, for optuna_schema.py and optuna_interop.py.
//
//   make FILE                 two studies with every kind of parameter, state, value and attribute
//   dump FILE STUDY           what a fresh table holds after a sync, as JSON; the space is what the trials imply
//   create FILE STUDY         an empty study
//   write FILE STUDY COUNT    that many trials created and told, for several writers at once
//   claim FILE STUDY          takes the oldest waiting trial, fills what it lacks, prints its number and fixed names
//   speed FILE COUNT          seconds for that many asks and tells of 5 parameters
//   bulk FILE COUNT           a study "bulk" of that many completed trials of 20 parameters
//   load FILE STUDY           processor seconds and peak memory of a first sync
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/num.h"
#include "core/base/rng.h"
#include "core/space/codec.h"
#include "core/storage/storage_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct {
    const char *path;
    hpt__storage *s;
    hpt_space *space;
    hpt__trials table;
    hpt_direction *directions;
    char *name;
    int64_t id, k;
} job;

static void must(int rc) {
    if (rc >= 0) return;
    fprintf(stderr, "make_storage_fixture: %s\n", hpt_last_error());
    exit(1);
}

static void open_file(job *j, bool create, bool read_only) {
    hpt__options options;
    hpt__options_default(&options);
    must(hpt__options_from_env(&options));
    must(hpt__storage_open(&j->s, j->path, create, read_only, &options));
}

static void close_all(job *j) {
    if (j->table.space) hpt__trials_fini(&j->table);
    hpt_space_destroy(j->space);
    hpt__free(j->directions);
    hpt__free(j->name);
    hpt__storage_close(j->s);
}

static int add_seen(const char *name, const char *json, void *payload) {
    return hpt__space_add_distribution(payload, name, json);
}

// An existing study with the space its trials imply, or the one given.
static void open_study(job *j, const char *study, hpt_space *space) {
    must(j->s->ops->study_find(&j->id, &j->name, &j->directions, &j->k, j->s, study));
    j->space = space;
    if (!space) {
        must(hpt_space_create(&j->space));
        must(j->s->ops->distributions(j->s, j->id, add_seen, j->space));
    }
    must(hpt__trials_init(&j->table, j->space, j->k, j->directions[0]));
    must(j->s->ops->sync(j->s, j->id, &j->table));
}

static hpt_space *all_kinds(void) {
    hpt_space *s;
    must(hpt_space_create(&s));
    must(hpt_space_add_float(s, "x", -1.0, 1.0, 0.0, 0));
    must(hpt_space_add_float(s, "lr", 1e-5, 1.0, 0.0, HPT_LOG));
    must(hpt_space_add_float(s, "step", 0.0, 1.0, 0.3, 0));
    must(hpt_space_add_int(s, "n", 1, 10, 1, 0));
    must(hpt_space_add_int(s, "stepped n", 0, 100, 7, 0));
    must(hpt_space_add_int(s, "log n", 1, 1024, 1, HPT_LOG));
    must(hpt_space_add_categorical_json(
        s, "c\xc3\xa9", (const char *const[]){"\"a\"", "null", "true", "1.5", "7", "\"\xc3\xa9 \\\"\""}, 6));
    must(hpt_space_add_constant(s, "epochs", "25"));
    must(hpt_space_add_float(s, "child", 0.0, 1.0, 0.0, 0));
    must(hpt_space_add_condition(s, "child", "n", (const char *const[]){"1", "2", "3"}, 3));
    return s;
}

static void draw(double *point, const hpt_space *space, uint64_t stream) {
    hpt__rng rng;
    double *cube = malloc((size_t)space->d * sizeof *cube);
    hpt__rng_init(&rng, 1, stream);
    for (int64_t i = 0; i < space->d; i++) cube[i] = hpt__rng_uniform(&rng);
    hpt__codec_decode(point, space, cube);
    free(cube);
}

typedef struct {
    hpt__new_trial trial;
    const hpt_space *space;
    double *point;
    bool bare;
} fill_job;

static int fill(hpt__new_trial *batch, int64_t *q, int64_t first, void *payload) {
    fill_job *f = payload;
    for (int64_t i = 0; i < *q; i++) {
        double *point = f->point + i * f->space->d;
        batch[i] = f->trial;
        if (f->bare) continue;
        draw(point, f->space, (uint64_t)(first + i));
        batch[i].point = point;
    }
    return 0;
}

static const int64_t T0 = 1750000000123456; // 2025-06-15 15:06:40.123456

static int64_t add(job *j, hpt__new_trial trial, bool bare) {
    hpt__new_trial made = {0};
    fill_job f = {trial, j->space, malloc((size_t)j->space->d * sizeof(double)), bare};
    must(j->s->ops->create_trials(j->s, j->id, &j->table, &made, 1, fill, &f));
    free(f.point);
    return made.trial_id;
}

static int64_t add_running(job *j) {
    return add(j, (hpt__new_trial){.state = HPT_TRIAL_RUNNING, .start_us = T0, .complete_us = INT64_MIN}, false);
}

static void report(job *j, int64_t id, int64_t step, double v) {
    must(j->s->ops->report(j->s, &(hpt__report_item){id, step, v}, 1));
}

static void tell(job *j, int64_t id, hpt_trial_state state, const double *values) {
    must(j->s->ops->tell(j->s, id, state, values, j->k, T0 + 61000001, NULL, 0));
}

static void make_first(job *j) {
    const hpt__attr_item attrs[] = {{"u:note", "\"caf\\u00e9\""}, {"s:hpt:config", "{\"seed\": 7}"}};
    must(j->s->ops->study_create(&j->id, j->s, "first", (const hpt_direction[]){HPT_MINIMIZE}, 1, attrs, 2));
    open_study(j, "first", all_kinds());
    for (int i = 0; i < 20; i++) tell(j, add_running(j), HPT_TRIAL_COMPLETE, (const double[]){1.0 / (i + 3)});
    tell(j, add_running(j), HPT_TRIAL_COMPLETE, (const double[]){INFINITY});
    tell(j, add_running(j), HPT_TRIAL_COMPLETE, (const double[]){-INFINITY});
    int64_t id = add_running(j);
    report(j, id, 3, 0.5);
    report(j, id, 1, NAN);
    report(j, id, 2, INFINITY);
    report(j, id, 0, -INFINITY);
    report(j, id, 3, 0.25);
    tell(j, id, HPT_TRIAL_PRUNED, (const double[]){0.25});
    tell(j, add_running(j), HPT_TRIAL_PRUNED, NULL);
    tell(j, add_running(j), HPT_TRIAL_FAIL, NULL);
    id = add_running(j);
    report(j, id, 10, 1e300);
    const hpt__attr_item own[] = {{"u:t\xc3\xa9st", "[1, 2.5, null, \"\\u00e9\"]"}, {"s:hpt:by", "\"sobol\""}};
    must(j->s->ops->trial_attr_set(j->s, id, own, 2));
    must(j->s->ops->trial_attr_set(j->s, id, &(hpt__attr_item){"s:hpt:by", "\"tpe\""}, 1));
    add(j, (hpt__new_trial){.state = HPT_TRIAL_WAITING, .start_us = INT64_MIN, .complete_us = INT64_MIN}, true);
    add(j,
        (hpt__new_trial){.state = HPT_TRIAL_COMPLETE,
                         .start_us = T0 - 1,
                         .complete_us = T0,
                         .values = (const double[]){-2.5},
                         .attr_keys = (const char *const[]){"u:imported"},
                         .attr_values = (const char *const[]){"true"},
                         .n_attrs = 1},
        false);
}

static void make_second(job *j) {
    const hpt_direction directions[] = {HPT_MAXIMIZE, HPT_MINIMIZE};
    must(j->s->ops->study_create(&j->id, j->s, "second", directions, 2, NULL, 0));
    open_study(j, "second", all_kinds());
    for (int i = 0; i < 5; i++)
        tell(j, add_running(j), HPT_TRIAL_COMPLETE, (const double[]){i, i == 3 ? (double)INFINITY : -(double)i});
}

static void make(const char *path) {
    for (int i = 0; i < 2; i++) {
        job j = {.path = path};
        open_file(&j, true, false);
        if (i == 0)
            make_first(&j);
        else
            make_second(&j);
        close_all(&j);
    }
}

// ---- dump

static void put_double(hpt__str *out, double v) {
    if (isnan(v))
        hpt__str_add(out, "NaN");
    else if (isinf(v))
        hpt__str_add(out, v > 0 ? "Infinity" : "-Infinity");
    else
        hpt__str_add_double(out, v);
}

static void put_key(hpt__str *out, const char *key, bool *first) {
    hpt__str_add(out, *first ? "" : ", ");
    *first = false;
    hpt__str_add_json_string(out, key, strlen(key));
    hpt__str_add(out, ": ");
}

static void put_time(hpt__str *out, const char *key, int64_t us) {
    char text[HPT__DATETIME_MAX];
    if (us == INT64_MIN)
        hpt__str_addf(out, ", \"%s\": null", key);
    else {
        (void)hpt__datetime_format(text, us);
        hpt__str_addf(out, ", \"%s\": \"%s\"", key, text);
    }
}

static void put_attrs(hpt__str *out, const hpt__trial_info *info, char kind) {
    bool first = true;
    hpt__str_addf(out, ", \"%s\": {", kind == 'u' ? "user_attrs" : "system_attrs");
    for (int64_t i = 0; i < info->n_attrs; i++) {
        if (info->attr_keys[i][0] != kind) continue;
        put_key(out, info->attr_keys[i] + 2, &first);
        hpt__str_add(out, info->attr_values[i]);
    }
    hpt__str_add(out, "}");
}

static void put_row(hpt__str *out, const hpt__trials *t, int64_t row) {
    const hpt__trial_info *info = &t->info[row];
    bool first = true;
    hpt__str_addf(out, "{\"number\": %lld, \"state\": \"%s\", \"foreign\": %s, \"params\": {",
                  (long long)t->number[row], hpt_trial_state_to_string((hpt_trial_state)t->state[row]),
                  info->foreign ? "true" : "false");
    for (int64_t i = 0; i < t->d; i++) {
        if (isnan(t->columns[i].values[row])) continue;
        put_key(out, t->columns[i].name, &first);
        hpt__param_external(out, &t->space->params[i], t->columns[i].values[row]);
    }
    hpt__str_add(out, "}, \"values\": [");
    for (int64_t i = 0; i < t->k; i++) {
        hpt__str_add(out, i ? ", " : "");
        put_double(out, t->values[row * t->k + i]);
    }
    hpt__str_add(out, "], \"reports\": [");
    for (int64_t i = 0; i < info->n_reports; i++) {
        hpt__str_addf(out, "%s[%lld, ", i ? ", " : "", (long long)info->reports[i].step);
        put_double(out, info->reports[i].value);
        hpt__str_add(out, "]");
    }
    hpt__str_add(out, "]");
    put_attrs(out, info, 'u');
    put_attrs(out, info, 's');
    put_time(out, "start", info->start_us);
    put_time(out, "complete", info->complete_us);
    hpt__str_add(out, "}");
}

static void dump(const char *path, const char *study) {
    job j = {.path = path};
    hpt__str out = HPT__STR_INIT;
    bool first = true;
    open_file(&j, false, true);
    open_study(&j, study, NULL);
    hpt__str_addf(&out, "{\"best\": %lld, \"directions\": [",
                  j.table.best < 0 ? -1LL : (long long)j.table.number[j.table.best]);
    for (int64_t i = 0; i < j.k; i++) hpt__str_addf(&out, "%s%d", i ? ", " : "", (int)j.directions[i]);
    hpt__str_add(&out, "], \"distributions\": {");
    for (int64_t i = 0; i < j.space->d; i++) {
        put_key(&out, j.space->params[i].name, &first);
        hpt__str_add(&out, j.space->params[i].dist_json);
    }
    hpt__str_add(&out, "}, \"trials\": [");
    for (int64_t row = 0; row < j.table.n; row++) {
        hpt__str_add(&out, row ? ",\n" : "\n");
        put_row(&out, &j.table, row);
    }
    hpt__str_add(&out, "]}");
    puts(hpt__str_text(&out));
    hpt__str_fini(&out);
    close_all(&j);
}

// ---- writers

static void create(const char *path, const char *study) {
    job j = {.path = path};
    open_file(&j, true, false);
    must(j.s->ops->study_create(&j.id, j.s, study, (const hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    close_all(&j);
}

static void write_trials(const char *path, const char *study, int count) {
    job j = {.path = path};
    open_file(&j, false, false);
    open_study(&j, study, all_kinds());
    for (int i = 0; i < count; i++) {
        const int64_t id = add_running(&j);
        report(&j, id, 1, 0.5);
        tell(&j, id, HPT_TRIAL_COMPLETE, (const double[]){i});
        hpt__trials_finish(&j.table, j.table.n - 1, HPT_TRIAL_COMPLETE, (const double[]){i}, T0);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    close_all(&j);
}

typedef struct {
    const hpt_space *space;
    char fixed[512];
} claim_job;

static int complete(double *point, int64_t row, void *payload) {
    claim_job *c = payload;
    double *drawn = malloc((size_t)c->space->d * sizeof *drawn);
    draw(drawn, c->space, (uint64_t)row);
    for (int64_t i = 0; i < c->space->d; i++) {
        if (!isnan(point[i]))
            strncat(c->fixed, c->space->params[i].name, sizeof c->fixed - strlen(c->fixed) - 1);
        else
            point[i] = drawn[i];
    }
    free(drawn);
    return 0;
}

static void claim(const char *path, const char *study) {
    job j = {.path = path};
    claim_job c = {0};
    int64_t row;
    open_file(&j, false, false);
    open_study(&j, study, NULL);
    c.space = j.space;
    must(j.s->ops->claim_waiting(&row, j.s, j.id, &j.table, complete, &c));
    printf("%lld %s\n", row < 0 ? -1LL : (long long)j.table.number[row], c.fixed);
    close_all(&j);
}

// ---- measuring

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hpt_space *floats(int64_t d) {
    hpt_space *s;
    must(hpt_space_create(&s));
    for (int64_t i = 0; i < d; i++) {
        char name[32];
        snprintf(name, sizeof name, "parameter_%lld", (long long)i);
        must(hpt_space_add_float(s, name, 0.0, 1.0, 0.0, 0));
    }
    return s;
}

static void speed(const char *path, int count) {
    job j = {.path = path};
    double create_s = 0, tell_s = 0;
    open_file(&j, true, false);
    must(j.s->ops->study_create(&j.id, j.s, "speed", (const hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    open_study(&j, "speed", floats(5));
    const double cpu0 = cpu_seconds();
    for (int i = 0; i < count; i++) {
        const double t0 = hpt__now_mono();
        const int64_t id = add_running(&j);
        const double t1 = hpt__now_mono();
        tell(&j, id, HPT_TRIAL_COMPLETE, (const double[]){i});
        hpt__trials_finish(&j.table, j.table.n - 1, HPT_TRIAL_COMPLETE, (const double[]){i}, T0);
        create_s += t1 - t0;
        tell_s += hpt__now_mono() - t1;
    }
    printf("create %.1f us, tell %.1f us, both %.1f us of processor\n", create_s / count * 1e6, tell_s / count * 1e6,
           (cpu_seconds() - cpu0) / count * 1e6);
    close_all(&j);
}

static void bulk(const char *path, int count) {
    enum { BATCH = 1000 };
    job j = {.path = path};
    static hpt__new_trial batch[BATCH];
    open_file(&j, true, false);
    must(j.s->ops->study_create(&j.id, j.s, "bulk", (const hpt_direction[]){HPT_MINIMIZE}, 1, NULL, 0));
    open_study(&j, "bulk", floats(20));
    fill_job f = {.space = j.space, .point = malloc(BATCH * 20 * sizeof(double))};
    f.trial = (hpt__new_trial){.state = HPT_TRIAL_COMPLETE,
                               .start_us = T0,
                               .complete_us = T0,
                               .values = (const double[]){1.0},
                               .attr_keys = (const char *const[]){"s:hpt:by"},
                               .attr_values = (const char *const[]){"\"tpe\""},
                               .n_attrs = 1};
    for (int i = 0; i < count; i += BATCH)
        must(j.s->ops->create_trials(j.s, j.id, &j.table, batch, count - i < BATCH ? count - i : BATCH, fill, &f));
    free(f.point);
    close_all(&j);
}

static void load(const char *path, const char *study) {
    job j = {.path = path};
    struct rusage usage;
    open_file(&j, false, true);
    must(j.s->ops->study_find(&j.id, &j.name, &j.directions, &j.k, j.s, study));
    const double t0 = cpu_seconds();
    j.space = floats(20);
    must(hpt__trials_init(&j.table, j.space, j.k, j.directions[0]));
    must(j.s->ops->sync(j.s, j.id, &j.table));
    const double t1 = cpu_seconds();
    getrusage(RUSAGE_SELF, &usage);
    printf("%lld trials, %.2f s of processor, %ld MiB at most\n", (long long)j.table.n, t1 - t0,
           usage.ru_maxrss / 1024);
    close_all(&j);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 3 && !strcmp(mode, "make"))
        make(argv[2]);
    else if (argc == 4 && !strcmp(mode, "dump"))
        dump(argv[2], argv[3]);
    else if (argc == 4 && !strcmp(mode, "create"))
        create(argv[2], argv[3]);
    else if (argc == 5 && !strcmp(mode, "write"))
        write_trials(argv[2], argv[3], atoi(argv[4]));
    else if (argc == 4 && !strcmp(mode, "claim"))
        claim(argv[2], argv[3]);
    else if (argc == 4 && !strcmp(mode, "speed"))
        speed(argv[2], atoi(argv[3]));
    else if (argc == 4 && !strcmp(mode, "bulk"))
        bulk(argv[2], atoi(argv[3]));
    else if (argc == 4 && !strcmp(mode, "load"))
        load(argv[2], argv[3]);
    else {
        fprintf(stderr, "usage: make_storage_fixture make|dump|create|write|claim|speed|bulk|load FILE ...\n");
        return 2;
    }
    return 0;
}
