// SPDX-License-Identifier: Apache-2.0
// storage.c: which storage a URL means, and the public look into a database.
//
// A table of two; a third kind (PostgreSQL) is a further line. Threads: any, nothing is shared. Cost: string compares.
#include "../base/alloc.h"
#include "../base/error.h"
#include "storage_ops.h"

#include <string.h>
#include <sys/stat.h>

// A bare path is a database by its suffix, or because there is something.
static bool is_path(const char *url) {
    static const char *const suffixes[] = {".db", ".sqlite", ".sqlite3"};
    const size_t len = strlen(url);
    struct stat st;
    if (len == 0 || strstr(url, "://")) return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const size_t n = strlen(suffixes[i]);
        if (len > n && strcmp(url + len - n, suffixes[i]) == 0) return true;
    }
    return stat(url, &st) == 0;
}

int hpt__storage_open(hpt__storage **out, const char *url, bool create, bool read_only, const hpt__options *options) {
    const hpt__storage_ops *ops = NULL;
    if (!url) return hpt__fail(HPT_E_ARG, "no storage URL; write :memory: or sqlite:///file.db");
    if (strcmp(url, ":memory:") == 0)
        ops = &hpt__storage_memory_ops;
    else if (strncmp(url, "sqlite:", 7) == 0 || is_path(url))
        ops = &hpt__storage_sqlite_ops;
    if (!ops)
        return hpt__fail(
            HPT_E_UNSUPPORTED,
            "storage '%s' is not known; write :memory:, sqlite:///relative.db, sqlite:////absolute.db or a path "
            "ending in .db, .sqlite or .sqlite3",
            url);
    return ops->open(out, url, create, read_only, options);
}

void hpt__storage_close(hpt__storage *s) {
    if (s) s->ops->close(s);
}

int hpt_storage_studies(hpt_study_summary **out, int64_t *n, const char *url) {
    int rc = HPT_OK;
    hpt__storage *s = NULL;
    hpt__options options;
    if (!out || !n || !url) return hpt__fail(HPT_E_ARG, "hpt_storage_studies: out, n or url is NULL");
    HPT_FAIL_IF(strcmp(url, ":memory:") == 0, HPT_E_ARG, "':memory:' names no database; give a file's path");
    HPT_TRY(hpt__options_from_env(&options));
    HPT_TRY(hpt__storage_open(&s, url, false, true, &options));
    rc = s->ops->studies(out, n, s);
out:
    hpt__storage_close(s);
    return rc;
}

void hpt_storage_summaries_free(hpt_study_summary *summaries, int64_t n) {
    for (int64_t i = 0; summaries && i < n; i++) {
        hpt__free(summaries[i].name);
        hpt__free(summaries[i].created);
    }
    hpt__free(summaries);
}
