// SPDX-License-Identifier: Apache-2.0
// transfer_import.c: hpt_storage_import: which form a file has, and its studies put into a database.
//
// Numbers. Optuna counts trials, so a study's numbers must be 0, 1, 2, ...: they are given out in the order of the file.
// A file that begins later (`--since`) or has gaps is renumbered with a remark; one that goes backwards is an error, as
// the same trial would be taken twice.
// A completed trial with a NaN value becomes a failed one, as Optuna's tell and ours make it; its schema has no NaN.
// Threads: any. Cost: the file is parsed twice; a journal and a CSV file are held in memory, JSON lines are not.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "transfer_read.h"

#include <hpt/storage.h>
#include <math.h>
#include <string.h>

// ---- what readers call

int hpt__import_study_add(int64_t *index, hpt__import *in, const char *name, const hpt_direction *directions, int64_t k,
                          const hpt__attr_item *attrs, int64_t n_attrs, bool join) {
    const char *own = name;
    if (in->as)
        name = in->as;
    else if (!name)
        name = in->stem;
    for (int64_t i = in->n_studies - 1; i >= 0 && join; i--) {
        // With another name given, what the file calls its only study does not matter.
        if (strcmp(in->studies[i].name, own ? own : name) != 0) continue;
        if (in->studies[i].k != k)
            return hpt__fail(HPT_E_INCOMPATIBLE, "study '%s' has %lld objectives here and %lld before", name,
                             (long long)k, (long long)in->studies[i].k);
        *index = i;
        return HPT_OK;
    }
    if (in->as && in->n_studies > 0)
        return hpt__fail(HPT_E_ARG,
                         "there are several studies ('%s', '%s'), which cannot all be called '%s'; leave the "
                         "name out",
                         in->studies[0].name, own ? own : name, in->as);
    for (int64_t i = 0; i < n_attrs; i++) { // without a space that reads the study could not be opened
        hpt_space *space = NULL;
        if (strcmp(attrs[i].key, "s:hpt:space") != 0) continue;
        const int read = hpt_space_from_json(&space, attrs[i].value_json);
        hpt_space_destroy(space);
        if (read < 0)
            return read == HPT_E_MEMORY ? read : hpt__fail_prefix(read, "study '%s': attribute hpt:space", name);
    }
    int rc = hpt__grow(&in->studies, &in->cap_studies, in->n_studies + 1, sizeof *in->studies);
    if (rc < 0) return rc;
    hpt__import_study *st = &in->studies[in->n_studies];
    *st = (hpt__import_study){.name = hpt__strdup(own ? own : name), .k = k, .last = -1};
    if (!st->name) return hpt__fail_memory();
    in->n_studies++;
    *index = in->n_studies - 1;
    if (!in->to) return HPT_OK;
    return in->to->ops->bulk_study(&st->id, in->to, name, directions, k, attrs, n_attrs);
}

int hpt__import_trial(hpt__import *in, int64_t index, hpt__record *r, int64_t number) {
    hpt__import_study *st = &in->studies[index];
    bool nan = false;
    if (number >= 0 && number <= st->last)
        return hpt__fail(HPT_E_INCOMPATIBLE, "trial %lld comes after trial %lld; sort by number, each once",
                         (long long)number, (long long)st->last);
    if (number >= 0) st->last = number;
    if (r->n_values != 0 && r->n_values != st->k)
        return hpt__fail(HPT_E_INCOMPATIBLE, "trial has %lld values, the study %lld objectives", (long long)r->n_values,
                         (long long)st->k);
    for (int64_t i = 0; i < r->n_values; i++) nan |= isnan(r->values[i]);
    if (nan) {
        if (r->state == HPT_TRIAL_COMPLETE) {
            r->state = HPT_TRIAL_FAIL;
            in->n_nan++;
        }
        r->n_values = 0;
    } else if (r->state == HPT_TRIAL_COMPLETE && r->n_values == 0) {
        return hpt__fail(HPT_E_INCOMPATIBLE, "a COMPLETE trial has no value");
    }
    if (number >= 0 && number != st->next) in->n_renumbered++;
    r->number = st->next++;
    in->n_trials++;
    return in->to ? in->to->ops->bulk_trial(in->to, st->id, r) : HPT_OK;
}

// ---- which form

typedef int (*reader)(hpt__import *in);

static int look_json(reader *out, const char *path, const char *line, size_t n) {
    hpt__arena arena;
    hpt__json *root = NULL;
    hpt__arena_init(&arena);
    int rc = hpt__json_parse(&root, &arena, line, n);
    if (rc == HPT_E_MEMORY) goto out;
    rc = HPT_OK;
    if (root && hpt__json_get(root, "op_code"))
        *out = hpt__read_journal;
    else if (root && hpt__json_get(root, "trials") && !hpt__json_get(root, "number"))
        rc = hpt__fail(HPT_E_UNSUPPORTED, "'%s' is one JSON document; export with format jsonl to import it", path);
    else
        *out = hpt__read_jsonl; // its reader says what is wrong with the line
out:
    hpt__arena_fini(&arena);
    return rc;
}

static int look(reader *out, const char *path) {
    hpt__lines l;
    int rc = hpt__lines_open(&l, path);
    if (rc < 0) return rc;
    while ((rc = hpt__lines_next(&l)) == 1) {
        const char *text = hpt__str_text(&l.line);
        if (strncmp(text, "SQLite format 3", 15) == 0) {
            rc = hpt__fail(HPT_E_UNSUPPORTED, "'%s' is a database; copy its studies with \"hpt storage copy\"", path);
            goto out;
        }
        const size_t blank = strspn(text, " \t\r");
        if (!text[blank]) continue;
        if (text[blank] == '{') {
            rc = look_json(out, path, text, l.line.len);
            goto out;
        }
        if (strstr(text, "number") || strstr(text, "params_") || strstr(text, "state")) {
            *out = hpt__read_csv;
            rc = HPT_OK;
        } else {
            rc = hpt__fail(
                HPT_E_UNSUPPORTED,
                "'%s' is none of: Optuna's journal, JSON lines, CSV with the columns number, params_..., state", path);
        }
        goto out;
    }
    if (rc == 0) rc = hpt__fail(HPT_E_INCOMPATIBLE, "'%s' is empty; nothing can be imported", path);
out:
    hpt__lines_close(&l);
    return rc;
}

static int choose(reader *out, const char *path, const char *format) {
    static const struct {
        const char *name;
        reader read;
    } forms[] = {{"jsonl", hpt__read_jsonl}, {"journal", hpt__read_journal}, {"csv", hpt__read_csv}};
    if (!format) return look(out, path);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(format, forms[i].name) != 0) continue;
        *out = forms[i].read;
        return HPT_OK;
    }
    return hpt__fail(HPT_E_ARG, "import format '%s' is none of journal, jsonl, csv", format);
}

// ---- the call

static int stem_of(char **out, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    *out = hpt__strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
    return *out ? HPT_OK : hpt__fail_memory();
}

static void forget(hpt__import *in) {
    for (int64_t i = 0; i < in->n_studies; i++) hpt__free(in->studies[i].name);
    in->n_studies = in->n_trials = in->n_renumbered = in->n_nan = in->n_guessed = 0;
}

static void remark(const hpt__import *in) {
    if (in->n_renumbered)
        hpt__log(HPT_LOG_WARN, "'%s': %lld trials have new numbers, as numbers count from 0 without gaps", in->path,
                 (long long)in->n_renumbered);
    if (in->n_nan)
        hpt__log(HPT_LOG_WARN, "'%s': %lld trials with a NaN value are stored as failed", in->path,
                 (long long)in->n_nan);
    if (in->n_guessed)
        hpt__log(
            HPT_LOG_WARN,
            "'%s': a CSV file has no ranges and no directions: %lld parameters got the range of their data, and every "
            "objective is minimised",
            in->path, (long long)in->n_guessed);
}

int hpt_storage_import(int64_t *n_studies, int64_t *n_trials, const char *to_url, const char *path, const char *format,
                       const char *as) {
    int rc = HPT_OK;
    reader read = NULL;
    hpt__options options;
    hpt__import in = {.path = path, .as = as};
    if (!to_url || !path) return hpt__fail(HPT_E_ARG, "hpt_storage_import: to_url or path is NULL");
    hpt__dist_cache_init(&in.dists);
    HPT_FAIL_IF(as && (!*as || strlen(as) > 512), HPT_E_ARG, "a study's name has 1 to 512 bytes, not %zu", strlen(as));
    HPT_FAIL_IF(strcmp(to_url, ":memory:") == 0, HPT_E_ARG, "':memory:' names no database; give a file's path");
    HPT_TRY(hpt__options_from_env(&options));
    HPT_TRY(choose(&read, path, format));
    HPT_TRY(stem_of(&in.stem, path));
    HPT_TRY(read(&in));
    HPT_FAIL_IF(in.n_studies == 0, HPT_E_INCOMPATIBLE, "'%s' holds no study; nothing can be imported", path);
    forget(&in);
    HPT_TRY(hpt__storage_open(&in.to, to_url, true, false, &options));
    HPT_TRY(in.to->ops->hold(in.to, true));
    HPT_TRY(in.to->ops->release(in.to, read(&in)));
    remark(&in);
    if (n_studies) *n_studies = in.n_studies;
    if (n_trials) *n_trials = in.n_trials;
    rc = HPT_OK;
out:
    forget(&in);
    hpt__free(in.studies);
    hpt__free(in.stem);
    hpt__dist_cache_fini(&in.dists);
    hpt__storage_close(in.to);
    return rc;
}
