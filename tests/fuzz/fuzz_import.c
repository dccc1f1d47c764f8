// SPDX-License-Identifier: Apache-2.0
// fuzz_import.c: files of any content are imported: Optuna's journal, JSON lines, CSV.
//
// What is refused leaves no study behind. What is taken is a database in which the checker finds nothing, and which can be
// exported as JSON lines and imported again with the same trials.
#include "fuzz.h"

#include <fcntl.h>
#include <hpt.h>
#include <unistd.h>

static char folder[64], file[96], again[96], url[2][112];

static void remove_all(void) {
    static const char *const names[] = {"in", "out", "a.db", "a.db-wal", "a.db-shm", "b.db", "b.db-wal", "b.db-shm"};
    char name[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        unlink(name);
    }
}

static void remove_folder(void) {
    remove_all();
    rmdir(folder);
}

static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/hpt-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(folder), "no temporary folder");
    snprintf(file, sizeof file, "%s/in", folder);
    snprintf(again, sizeof again, "%s/out", folder);
    for (int i = 0; i < 2; i++) snprintf(url[i], sizeof url[i], "sqlite:///%s/%c.db", folder, "ab"[i]);
    atexit(remove_folder);
}

static int to_file(const char *text, size_t size, void *payload) {
    return fwrite(text, 1, size, payload) == size ? 0 : -1;
}

// A value outside its range is what the file says; everything else would be our doing.
static int keep_first(const char *text, size_t size, void *payload) {
    char *first = payload;
    if (!*first && !memmem(text, size, ", outside ", 10)) snprintf(first, 256, "%.*s", (int)size, text);
    return 0;
}

static void check_taken(const char *name, int64_t n_studies) {
    char first[256] = "";
    int64_t n = 0, studies = 0, trials = 0, n_before = 0, counts[5];
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    FUZZ_CHECK(hpt_storage_check(&n, url[0], keep_first, first) >= 0, "%s", hpt_last_error());
    FUZZ_CHECK(!*first, "the checker finds %lld, one is: %s", (long long)n, first);
    o.storage = url[0];
    o.name = name;
    o.mode = HPT_OPEN_READ_ONLY;
    const int rc = hpt_study_open(&study, &o);
    FUZZ_CHECK(rc >= 0, "%s", hpt_last_error());
    FUZZ_CHECK(hpt_study_counts(counts, study) >= 0, "%s", hpt_last_error());
    for (int i = 0; i < 5; i++) n_before += counts[i];
    FILE *f = fopen(again, "we");
    FUZZ_CHECK(f && hpt_study_export(study, "jsonl", 0, to_file, f) >= 0 && fclose(f) == 0, "%s", hpt_last_error());
    hpt_study_close(study);
    if (n_before == 0 || n_studies != 1) return; // without trials JSON lines are an empty file
    FUZZ_CHECK(hpt_storage_import(&studies, &trials, url[1], again, NULL, NULL) >= 0, "%s", hpt_last_error());
    FUZZ_CHECK(studies == 1 && trials == n_before, "%lld trials of %lld come back", (long long)trials,
               (long long)n_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt_study_summary *all = NULL;
    int64_t n_studies = 0, n_trials = 0, n = 0;
    if (!*folder) make_folder();
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "%s cannot be written", file);
    close(fd);
    const int rc = hpt_storage_import(&n_studies, &n_trials, url[0], file, NULL, NULL);
    if (rc < 0) {
        fuzz_check_error(rc);
        if (hpt_storage_studies(&all, &n, url[0]) >= 0) {
            FUZZ_CHECK(n == 0, "a refused file left %lld studies", (long long)n);
            hpt_storage_summaries_free(all, n);
        }
    } else {
        FUZZ_CHECK(hpt_storage_studies(&all, &n, url[0]) >= 0, "%s", hpt_last_error());
        FUZZ_CHECK(n == n_studies, "%lld studies, not %lld", (long long)n, (long long)n_studies);
        for (int64_t i = 0; i < n && i < 3; i++) check_taken(all[i].name, n);
        hpt_storage_summaries_free(all, n);
    }
    remove_all();
    return 0;
}
