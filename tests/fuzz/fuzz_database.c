// SPDX-License-Identifier: Apache-2.0
// fuzz_database.c: databases of any content are opened, read in every way, and asked for one more trial.
//
// The input says how the database comes about, by its first byte:
//   'S'  the rest is SQL on a copy of a small study (files in corpus/ that people can read); writing other files is denied
//   'Q'  the rest are edits of cells of that copy: table, column, row, kind, length, bytes (what a fuzzer mutates well)
//   'P'  the rest are patches of its bytes: three bytes of place, length, bytes
//   else the input is the file
// Whatever it holds: an error with a line, or answers; no crash. The small study is made once, by the library.
#include "fuzz.h"

#include <fcntl.h>
#include <hpt.h>
#include <math.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *base; // the small study's file
static size_t base_size;
static char path[64], url[80];

#define MUST(call) FUZZ_CHECK((call) >= 0, "%s", hpt_last_error())

static void remove_files(void) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[96];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void write_file(const uint8_t *data, size_t size) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "%s cannot be written", path);
    close(fd);
}

static void tell(hpt_study *study, hpt_trial_state state, double value) {
    hpt_trial *t = NULL;
    MUST(hpt_study_ask(&t, study));
    MUST(hpt_trial_report(t, 0, value));
    MUST(hpt_trial_report(t, 3, INFINITY));
    MUST(hpt_trial_set_attr(t, "note", "{\"a\": [1, null]}"));
    if (state != HPT_TRIAL_RUNNING) MUST(hpt_study_tell(study, t, state, &value, state == HPT_TRIAL_FAIL ? 0 : 1));
    hpt_trial_destroy(t);
}

static int execute(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void make_base(void) {
    static const char *const options[] = {"tpe.n_startup=2", "tpe.n_candidates=4"};
    hpt_space *s = NULL;
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    sqlite3 *db = NULL;
    struct stat st;
    snprintf(path, sizeof path, "%s/hpt-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    const int fd = mkstemp(path);
    FUZZ_CHECK(fd >= 0, "no temporary file");
    close(fd);
    snprintf(url, sizeof url, "sqlite:///%s", path);
    FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    // Small pages, so that a mutation meets content.
    FUZZ_CHECK(execute(db, "PRAGMA page_size=512; CREATE TABLE t (x); DROP TABLE t") == SQLITE_OK, "%s", path);
    sqlite3_close(db);
    MUST(hpt_space_create(&s));
    MUST(hpt_space_add_float(s, "lr", 1e-5, 1, 0, HPT_LOG));
    MUST(hpt_space_add_int(s, "n", 1, 9, 2, 0));
    MUST(hpt_space_add_categorical(s, "kind", (const char *const[]){"a", "b"}, 2));
    MUST(hpt_space_add_float(s, "m", 0, 1, 0.25, 0));
    MUST(hpt_space_add_condition(s, "m", "kind", (const char *const[]){"a"}, 1));
    o.name = "study";
    o.storage = url;
    o.space = s;
    o.sampler = "tpe";
    o.pruner = "median";
    o.has_seed = true;
    o.seed = 1;
    o.options = options;
    o.n_options = 2;
    MUST(hpt_study_open(&study, &o));
    tell(study, HPT_TRIAL_COMPLETE, 0.5);
    tell(study, HPT_TRIAL_COMPLETE, -1e300);
    tell(study, HPT_TRIAL_PRUNED, 2);
    tell(study, HPT_TRIAL_FAIL, 0);
    tell(study, HPT_TRIAL_RUNNING, 0.25);
    MUST(hpt_study_enqueue(study, "{\"lr\": 0.5, \"kind\": \"a\"}"));
    hpt_study_close(study);
    hpt_space_destroy(s);
    FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    FUZZ_CHECK(execute(db, "PRAGMA journal_mode=delete; VACUUM") == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    FILE *f = fopen(path, "re");
    FUZZ_CHECK(f && fstat(fileno(f), &st) == 0, "%s", path);
    base_size = (size_t)st.st_size;
    base = malloc(base_size);
    FUZZ_CHECK(base && fread(base, 1, base_size, f) == base_size, "%s", path);
    fclose(f);
    atexit(remove_files);
}

// ---- the database of an input

static int allow(void *payload, int action, const char *a, const char *b, const char *c, const char *d) {
    (void)payload, (void)a, (void)b, (void)c, (void)d;
    return action == SQLITE_ATTACH || action == SQLITE_DETACH || action == SQLITE_CREATE_VTABLE ? SQLITE_DENY
                                                                                                : SQLITE_OK;
}

static int enough(void *left) {
    return --*(int *)left < 0;
}

static sqlite3 *edit(int *left) {
    sqlite3 *db = NULL;
    write_file(base, base_size);
    FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    sqlite3_set_authorizer(db, allow, NULL);
    sqlite3_progress_handler(db, 1000, enough, left);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
    execute(db, "PRAGMA synchronous=off; PRAGMA journal_mode=memory");
    return db;
}

static void by_sql(const uint8_t *data, size_t size) {
    int left = 2000;
    char *sql = fuzz_text(data, size);
    sqlite3 *db = edit(&left);
    execute(db, sql);
    sqlite3_close(db);
    free(sql);
}

static const struct {
    const char *table, *columns[8];
} TABLES[] = {
    {"trials", {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"}},
    {"trial_params", {"param_id", "trial_id", "param_name", "param_value", "distribution_json"}},
    {"trial_values", {"trial_value_id", "trial_id", "objective", "value", "value_type"}},
    {"trial_intermediate_values",
     {"trial_intermediate_value_id", "trial_id", "step", "intermediate_value", "intermediate_value_type"}},
    {"trial_user_attributes", {"trial_user_attribute_id", "trial_id", "key", "value_json"}},
    {"trial_system_attributes", {"trial_system_attribute_id", "trial_id", "key", "value_json"}},
    {"studies", {"study_id", "study_name"}},
    {"study_directions", {"study_direction_id", "direction", "study_id", "objective"}},
    {"study_user_attributes", {"study_user_attribute_id", "study_id", "key", "value_json"}},
    {"study_system_attributes", {"study_system_attribute_id", "study_id", "key", "value_json"}},
    {"version_info", {"version_info_id", "schema_version", "library_version"}},
    {"alembic_version", {"version_num"}},
};
enum { N_TABLES = sizeof TABLES / sizeof *TABLES };

// One edit; what it took of the input.
static size_t edit_cell(sqlite3 *db, const uint8_t *p, size_t size) {
    char sql[256];
    sqlite3_stmt *stmt = NULL;
    if (size < 5) return size;
    const size_t table = p[0] % N_TABLES, n = p[4] < size - 5 ? p[4] : size - 5;
    int n_columns = 0;
    while (TABLES[table].columns[n_columns]) n_columns++;
    const char *name = TABLES[table].table, *column = TABLES[table].columns[p[1] % n_columns];
    const uint8_t *bytes = p + 5;
    const int kind = p[3] % 8;
    if (kind == 6)
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE rowid=?2 OR ?1 IS 77", name);
    else if (kind == 7)
        snprintf(sql, sizeof sql, "INSERT INTO %s SELECT * FROM %s WHERE rowid=?2 OR ?1 IS 77", name, name);
    else
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET \"%s\"=?1 WHERE rowid=?2 OR ?2=255", name, column);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) return 5 + n;
    int64_t i = 0;
    double d = 0;
    memcpy(&i, bytes, n < 8 ? n : 8);
    memcpy(&d, bytes, n < 8 ? n : 8);
    if (kind == 1) sqlite3_bind_int64(stmt, 1, i);
    if (kind == 2) sqlite3_bind_double(stmt, 1, d);
    if (kind == 3) sqlite3_bind_blob(stmt, 1, bytes, (int)n, SQLITE_TRANSIENT);
    if (kind == 4 || kind == 5) sqlite3_bind_text(stmt, 1, (const char *)bytes, (int)n, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 2, p[2]);
    sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    return 5 + n;
}

static void by_cells(const uint8_t *data, size_t size) {
    int left = 2000;
    sqlite3 *db = edit(&left);
    for (int i = 0; size > 0 && i < 16; i++) {
        const size_t n = edit_cell(db, data, size);
        data += n;
        size -= n;
    }
    sqlite3_close(db);
}

static void by_bytes(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(base_size);
    if (!copy) abort();
    memcpy(copy, base, base_size);
    while (size > 4) {
        size_t at = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % base_size, n = data[3];
        if (n > size - 4) n = size - 4;
        if (n > base_size - at) n = base_size - at;
        memcpy(copy + at, data + 4, n);
        data += 4 + n;
        size -= 4 + n;
    }
    write_file(copy, base_size);
    free(copy);
}

// ---- the reader

static int count(const char *text, size_t size, void *payload) {
    (void)text;
    *(size_t *)payload += size;
    return 0;
}

static void ok_or_said(int rc) {
    if (rc < 0) fuzz_check_error(rc);
}

static void look_at_trial(hpt_trial *t) {
    const double *values = NULL;
    const char *text = NULL;
    int64_t n = 0, step = 0;
    double start, end, value;
    FUZZ_CHECK(hpt_trial_state_to_string(hpt_trial_get_state(t)), "no state");
    ok_or_said(hpt_trial_values(&values, &n, t));
    ok_or_said(hpt_trial_params_json(&text, t));
    ok_or_said(hpt_trial_get_attr(&text, t, "note"));
    ok_or_said(hpt_trial_times(&start, &end, t));
    ok_or_said(hpt_trial_last_report(&step, &value, t));
}

static void look_at_study(hpt_study *study) {
    static const char *const formats[] = {"json", "jsonl", "csv", "journal"};
    int64_t counts[5], n = 0, total = 0;
    hpt_trial *t = NULL, **front = NULL;
    char *text = NULL;
    int rc = hpt_study_counts(counts, study);
    ok_or_said(rc);
    if (rc < 0) return;
    for (int i = 0; i < 5; i++) total += counts[i];
    rc = hpt_study_best(&t, study);
    ok_or_said(rc);
    if (rc >= 0) look_at_trial(t);
    if (rc >= 0) hpt_trial_destroy(t);
    rc = hpt_study_pareto(&front, &n, study);
    ok_or_said(rc);
    for (int64_t i = 0; rc >= 0 && i < n; i++) {
        look_at_trial(front[i]);
        hpt_trial_destroy(front[i]);
    }
    if (rc >= 0) hpt_free(front);
    for (int64_t i = 0; i < total + 1 && i < 50; i++) {
        rc = hpt_study_trial(&t, study, i);
        ok_or_said(rc);
        if (rc >= 0) look_at_trial(t);
        if (rc >= 0) hpt_trial_destroy(t);
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t written = 0;
        ok_or_said(hpt_study_export(study, formats[i], 0, count, &written));
    }
    rc = hpt_study_stats(&text, study);
    ok_or_said(rc);
    if (rc >= 0) hpt_free(text);
}

static void read_only(const char *name) {
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    o.name = name;
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    const int rc = hpt_study_open(&study, &o);
    ok_or_said(rc);
    if (rc < 0) return;
    look_at_study(study);
    hpt_study_close(study);
}

// A worker joins: asks, reports, tells.
static void work(void) {
    hpt_study *study = NULL;
    hpt_trial *t = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    const double values[4] = {0.5, 1, 2, 3};
    bool prune = false;
    o.storage = url;
    o.mode = HPT_OPEN_EXISTING;
    int rc = hpt_study_open(&study, &o);
    ok_or_said(rc);
    if (rc < 0) return;
    for (int i = 0; i < 2; i++) {
        rc = hpt_study_ask(&t, study);
        ok_or_said(rc);
        if (rc != 0) break;
        const int64_t n = hpt_study_n_directions(study);
        ok_or_said(hpt_trial_report(t, 1, 0.5));
        ok_or_said(hpt_trial_should_prune(&prune, t));
        ok_or_said(hpt_study_tell(study, t, HPT_TRIAL_COMPLETE, values, n < 4 ? n : 4));
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt_study_summary *studies = NULL;
    int64_t n = 0, n_problems = 0;
    if (!base) make_base();
    if (size == 0) return 0;
    if (*data == 'S' && !(size > 5 && memcmp(data, "SQLite", 6) == 0))
        by_sql(data + 1, size - 1);
    else if (*data == 'Q')
        by_cells(data + 1, size - 1);
    else if (*data == 'P')
        by_bytes(data + 1, size - 1);
    else
        write_file(data, size);
    size_t written = 0;
    int rc = hpt_storage_studies(&studies, &n, url);
    ok_or_said(rc);
    ok_or_said(hpt_storage_check(&n_problems, url, count, &written));
    if (rc >= 0) {
        for (int64_t i = 0; n > 1 && i < n && i < 4; i++) read_only(studies[i].name);
        hpt_storage_summaries_free(studies, n);
    }
    read_only(NULL);
    work();
    remove_files();
    return 0;
}
