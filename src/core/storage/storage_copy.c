// SPDX-License-Identifier: Apache-2.0
// storage_copy.c: studies from one database into another, whole and as they were at one moment.
//
// The source is read inside one read transaction, so a copy of a study that runs is one state of it: with a database in
// WAL mode nobody waits for it. The target is written in one transaction. Numbers, times, texts and the order of
// parameters and attributes are kept; ids are given anew. Within one database a single handle does both, as a reader
// beside a writer would block it where there is no WAL.
// Threads: any. Cost: linear; 512 trials at a time are in memory.
#include "../base/alloc.h"
#include "../base/error.h"
#include "storage_record.h"

#include <string.h>
#include <sys/stat.h>

enum { BATCH = 512 };

static int copy_one(hpt__storage *to, hpt__storage *from, const char *name, const char *as) {
    int rc = HPT_OK;
    int64_t from_id, to_id, k, after = INT64_MIN, next = 0;
    char *found = NULL;
    hpt_direction *directions = NULL;
    hpt__attr_list attrs;
    hpt__records batch;
    hpt__attr_list_init(&attrs);
    hpt__records_init(&batch);
    HPT_TRY(from->ops->study_find(&from_id, &found, &directions, &k, from, name));
    HPT_TRY(from->ops->study_attrs(from, from_id, hpt__attr_list_add, &attrs));
    HPT_TRY(to->ops->bulk_study(&to_id, to, as ? as : found, directions, k, attrs.items, attrs.n));
    for (;;) {
        HPT_TRY(from->ops->records(&batch, &after, from, from_id, BATCH));
        if (rc == HPT_S_NOTHING) break;
        for (int64_t i = 0; i < batch.n; i++) {
            hpt__record *r = &batch.items[i];
            if (r->number < 0) r->number = next; // a writer that numbers in a second step was interrupted
            if (r->number >= next) next = r->number + 1;
            HPT_TRY(to->ops->bulk_trial(to, to_id, r));
        }
    }
    rc = HPT_OK;
out:
    hpt__records_fini(&batch);
    hpt__attr_list_fini(&attrs);
    hpt__free(directions);
    hpt__free(found);
    return rc;
}

// Inside both transactions.
static int copy_studies(int64_t *n_copied, hpt__storage *to, hpt__storage *from, const char *name, const char *as) {
    int rc = HPT_OK;
    int64_t n = 0;
    hpt_study_summary *all = NULL;
    if (name) {
        rc = copy_one(to, from, name, as);
        if (rc >= 0) *n_copied = 1;
        return rc;
    }
    HPT_TRY(from->ops->studies(&all, &n, from));
    for (int64_t i = 0; i < n; i++) HPT_TRY(copy_one(to, from, all[i].name, NULL));
    *n_copied = n;
    rc = HPT_OK;
out:
    hpt_storage_summaries_free(all, n);
    return rc;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    const char *p = strncmp(a, "sqlite:///", 10) == 0 ? a + 10 : a;
    const char *q = strncmp(b, "sqlite:///", 10) == 0 ? b + 10 : b;
    return stat(p, &x) == 0 && stat(q, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int copy_between(int64_t *n_copied, hpt__storage *to, hpt__storage *from, const char *name, const char *as) {
    int rc = to->ops->hold(to, true);
    if (rc < 0) return rc;
    if (from == to) return to->ops->release(to, copy_studies(n_copied, to, to, name, as));
    rc = from->ops->hold(from, false);
    if (rc >= 0) {
        rc = copy_studies(n_copied, to, from, name, as);
        const int end = from->ops->release(from, rc); // only ends a read
        if (rc >= 0) rc = end;
    }
    return to->ops->release(to, rc);
}

int hpt_storage_copy(int64_t *n_studies, const char *to_url, const char *from_url, const char *study, const char *as) {
    int rc = HPT_OK;
    int64_t n = 0;
    hpt__options options;
    hpt__storage *from = NULL, *to = NULL;
    if (!to_url || !from_url) return hpt__fail(HPT_E_ARG, "hpt_storage_copy: to_url or from_url is NULL");
    HPT_FAIL_IF(as && !study, HPT_E_ARG, "a copy's name needs the name of the study to be copied");
    HPT_FAIL_IF(as && (!*as || strlen(as) > 512), HPT_E_ARG, "a study's name has 1 to 512 bytes, the copy's has %zu",
                strlen(as));
    HPT_FAIL_IF(strcmp(to_url, ":memory:") == 0 || strcmp(from_url, ":memory:") == 0, HPT_E_ARG,
                "':memory:' names no database; give a file's path");
    HPT_TRY(hpt__options_from_env(&options));
    if (same_file(to_url, from_url)) {
        HPT_TRY(hpt__storage_open(&to, to_url, false, false, &options));
        HPT_TRY(copy_between(&n, to, to, study, as));
    } else {
        HPT_TRY(hpt__storage_open(&from, from_url, false, true, &options));
        if (study) { // before anything is made
            int64_t id, k;
            char *name = NULL;
            hpt_direction *directions = NULL;
            HPT_TRY(from->ops->study_find(&id, &name, &directions, &k, from, study));
            hpt__free(name);
            hpt__free(directions);
        }
        HPT_TRY(hpt__storage_open(&to, to_url, true, false, &options));
        HPT_TRY(copy_between(&n, to, from, study, as));
    }
    if (n_studies) *n_studies = n;
    rc = HPT_OK;
out:
    hpt__storage_close(to);
    hpt__storage_close(from);
    return rc;
}
