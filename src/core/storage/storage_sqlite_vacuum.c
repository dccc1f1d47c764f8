// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_vacuum.c: hpt_storage_vacuum: a database rewritten without gaps, as one file.
//
// First comes the journal mode "delete": leaving WAL needs the file for oneself, so a database that somebody has open is
// refused before anything is rewritten. VACUUM then writes under a rollback journal: after a power cut in between, the next
// opener finds the old contents (https://www.sqlite.org/lang_vacuum.html). Writers keep the mode they find, so several of
// them wait for each other from then on: vacuum is for putting a study away.
// Threads: any. Cost: the file is written once; as much free space as it has data.
#include "../base/error.h"
#include "storage_sqlite_impl.h"

#include <string.h>
#include <sys/stat.h>

static int64_t size_of(const char *path, const char *suffix) {
    struct stat st;
    hpt__str name = HPT__STR_INIT;
    hpt__str_add(&name, path);
    hpt__str_add(&name, suffix);
    const int64_t size = stat(hpt__str_text(&name), &st) == 0 ? (int64_t)st.st_size : 0;
    hpt__str_fini(&name);
    return size;
}

static int busy(int rc, const hpt__sqlite *s) {
    if (rc != HPT_E_BUSY) return rc;
    return hpt__fail(HPT_E_BUSY, "database '%s' is in use; end the programs that have it open, then vacuum", s->path);
}

int hpt_storage_vacuum(int64_t *bytes_before, int64_t *bytes_after, const char *url) {
    int rc = HPT_OK;
    hpt__options options;
    hpt__storage *storage = NULL;
    if (!url) return hpt__fail(HPT_E_ARG, "hpt_storage_vacuum: url is NULL");
    HPT_FAIL_IF(strcmp(url, ":memory:") == 0, HPT_E_ARG, "':memory:' names no database; give a file's path");
    HPT_TRY(hpt__options_from_env(&options));
    options.sqlite_busy_timeout = 1;
    rc = hpt__storage_open(&storage, url, false, false, &options);
    hpt__sqlite *s = (hpt__sqlite *)storage;
    if (rc == HPT_E_BUSY)
        rc = hpt__fail(HPT_E_BUSY, "database '%s' is in use; end the programs that have it open", url);
    if (rc < 0) goto out;
    const int64_t before = size_of(s->path, "") + size_of(s->path, "-wal");
    HPT_TRY(busy(hpt__sqlite_script(s, "PRAGMA journal_mode=DELETE"), s));
    HPT_TRY(busy(hpt__sqlite_script(s, "VACUUM"), s));
    if (bytes_before) *bytes_before = before;
    if (bytes_after) *bytes_after = size_of(s->path, "") + size_of(s->path, "-wal");
out:
    hpt__storage_close(storage);
    return rc;
}
