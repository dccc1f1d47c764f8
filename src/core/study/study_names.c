// SPDX-License-Identifier: Apache-2.0
// study_names.c: names of the objectives, kept where Optuna keeps them: the study attribute study:metric_names, a list of
// as many texts as there are directions. Anything else under that key is somebody's mistake and read as no names.
//
// Ownership: one block per study: the pointers, then the texts. Threads: set while the study opens, constant afterwards.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_state.h"

#include <string.h>

static int keep(hpt_study *study, const char *const *names) {
    size_t bytes = (size_t)study->k * sizeof(char *);
    for (int64_t i = 0; i < study->k; i++) bytes += strlen(names[i]) + 1;
    char **block = hpt__malloc(bytes);
    if (!block) return hpt__fail_memory();
    char *text = (char *)(block + study->k);
    for (int64_t i = 0; i < study->k; i++) {
        const size_t n = strlen(names[i]) + 1;
        block[i] = memcpy(text, names[i], n);
        text += n;
    }
    hpt__free(study->metric_names);
    study->metric_names = block;
    return 0;
}

int hpt__study_names_given(hpt_study *study, char **json, const char *const *names) {
    int rc = 0;
    hpt__str text = HPT__STR_INIT;
    *json = NULL;
    if (!names) return 0;
    for (int64_t i = 0; i < study->k; i++)
        HPT_FAIL_IF(!names[i], HPT_E_ARG, "metric_names[%lld] is NULL; name every objective or none", (long long)i);
    hpt__str_addc(&text, '[');
    for (int64_t i = 0; i < study->k; i++) {
        if (i > 0) hpt__str_add(&text, ", ");
        hpt__str_add_json_string(&text, names[i], strlen(names[i]));
    }
    hpt__str_addc(&text, ']');
    HPT_TRY(hpt__str_status(&text));
    HPT_TRY(keep(study, names));
    *json = hpt__strdup(hpt__str_text(&text));
    if (!*json) rc = hpt__fail_memory();
out:
    hpt__str_fini(&text);
    return rc;
}

int hpt__study_names_stored(hpt_study *study) {
    int rc = 0;
    char *json = NULL;
    const char **names = NULL;
    hpt__json *list = NULL;
    hpt__arena arena;
    hpt__arena_init(&arena);
    HPT_TRY(study->storage->ops->study_attr_get(&json, study->storage, study->study_id, "s:study:metric_names"));
    if (!json) goto out;
    rc = hpt__json_parse(&list, &arena, json, strlen(json));
    if (rc == HPT_E_MEMORY) goto out;
    if (rc < 0 || list->kind != HPT__JSON_ARRAY || list->a.n != study->k) {
        rc = 0;
        goto out;
    }
    names = hpt__malloc((size_t)study->k * sizeof *names);
    if (!names) {
        rc = hpt__fail_memory();
        goto out;
    }
    rc = 0;
    for (int64_t i = 0; i < study->k; i++)
        if (!(names[i] = hpt__json_string(list->a.items[i]))) goto out;
    rc = keep(study, names);
out:
    hpt__free(names);
    hpt__free(json);
    hpt__arena_fini(&arena);
    return rc;
}

const char *hpt_study_metric_name(const hpt_study *study, int64_t i) {
    return study && study->metric_names && i >= 0 && i < study->k ? study->metric_names[i] : NULL;
}
