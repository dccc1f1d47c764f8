// SPDX-License-Identifier: Apache-2.0
// study_facts.c: what a study has stored about how it works, as a flat list for `hpt show`: its options, its device, and what
// its sampler's saved state says (sampler_ops.h: explain).
//
// Ownership: one block for the caller: the facts, then their texts. Threads: under the study's lock. Cost: reads one
// attribute.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_impl.h"
#include "study_state.h"

#include <string.h>

typedef struct list {
    hpt_fact *items;
    int64_t n, cap;
} list;

static int add(list *l, hpt__arena *arena, const char *group, const char *name, const hpt__json *value) {
    hpt__str text = HPT__STR_INIT;
    int rc = 0;
    HPT_TRY(hpt__grow(&l->items, &l->cap, l->n + 1, sizeof *l->items));
    hpt__json_dumps(&text, value);
    HPT_TRY(hpt__str_status(&text));
    const hpt__json *copy = hpt__json_new_string(arena, text.data, text.len);
    if (!copy) HPT_TRY(hpt__fail_memory());
    l->items[l->n++] = (hpt_fact){group, name, copy->s.text};
out:
    hpt__str_fini(&text);
    return rc;
}

static int add_object(list *l, hpt__arena *arena, const char *group, const hpt__json *object) {
    int rc = 0;
    for (int64_t i = 0; object && object->kind == HPT__JSON_OBJECT && i < object->o.n; i++) {
        const hpt__json *v = object->o.values[i];
        if (v->kind == HPT__JSON_OBJECT)
            HPT_TRY(add_object(l, arena, object->o.keys[i], v));
        else
            HPT_TRY(add(l, arena, group, object->o.keys[i], v));
    }
out:
    return rc;
}

static int parse(hpt__json **out, hpt__arena *arena, const hpt__str *text) {
    int rc = hpt__str_status(text);
    return rc < 0 ? rc : hpt__json_parse(out, arena, text->data, text->len);
}

static int collect(list *l, hpt__arena *arena, hpt_study *study) {
    int rc = 0;
    char *state = NULL, *config = NULL;
    hpt__str text = HPT__STR_INIT;
    hpt__json *v = NULL;
    const hpt__sampler_ops *sampler = NULL;
    HPT_TRY(study->storage->ops->study_attr_get(&config, study->storage, study->study_id, "s:hpt:config"));
    if (!config) goto out; // another program's: what it works with is not ours to say
    const char *const texts[][2] = {
        {"sampler", study->sampler_name}, {"pruner", study->pruner_name}, {"device", study->device}};
    for (int k = 0; k < 3; k++) {
        v = hpt__json_new_string(arena, texts[k][1], strlen(texts[k][1]));
        if (!v) HPT_TRY(hpt__fail_memory());
        HPT_TRY(add(l, arena, "study", texts[k][0], v));
    }
    hpt__options_to_json(&text, &study->options);
    HPT_TRY(parse(&v, arena, &text));
    HPT_TRY(add_object(l, arena, "options", v));
    if (hpt__sampler_find(&sampler, study->sampler_name) < 0 || !sampler->explain) goto out; // of a newer version
    HPT_TRY(study->storage->ops->study_attr_get(&state, study->storage, study->study_id, "s:hpt:sampler_state"));
    if (!state) goto out;
    hpt__str_clear(&text);
    HPT_TRY(sampler->explain(&text, state, study->space));
    if (rc == HPT_S_NOTHING) goto out;
    HPT_TRY(parse(&v, arena, &text));
    HPT_TRY(add_object(l, arena, "model", v));
out:
    hpt__free(state);
    hpt__free(config);
    hpt__str_fini(&text);
    return rc < 0 && rc != HPT_E_ARG ? rc : 0;
}

static int pack(hpt_fact **out, const list *l) {
    size_t bytes = (size_t)(l->n + 1) * sizeof **out;
    for (int64_t i = 0; i < l->n; i++)
        bytes += strlen(l->items[i].group) + strlen(l->items[i].name) + strlen(l->items[i].value) + 3;
    hpt_fact *facts = hpt__malloc(bytes);
    if (!facts) return hpt__fail_memory();
    char *text = (char *)(facts + l->n + 1);
    for (int64_t i = 0; i < l->n; i++) {
        const char *const from[] = {l->items[i].group, l->items[i].name, l->items[i].value};
        const char **const to[] = {&facts[i].group, &facts[i].name, &facts[i].value};
        for (int k = 0; k < 3; k++) {
            const size_t n = strlen(from[k]) + 1;
            *to[k] = memcpy(text, from[k], n);
            text += n;
        }
    }
    *out = facts;
    return 0;
}

int hpt_study_facts(hpt_fact **out, int64_t *n, hpt_study *study) {
    int rc = 0;
    list l = {0};
    hpt__arena arena;
    if (!out || !n || !study) return hpt__fail(HPT_E_ARG, "hpt_study_facts: an argument is NULL");
    hpt__arena_init(&arena);
    pthread_mutex_lock(&study->lock);
    rc = collect(&l, &arena, study);
    pthread_mutex_unlock(&study->lock);
    HPT_TRY(rc);
    HPT_TRY(pack(out, &l));
    *n = l.n;
out:
    hpt__free(l.items);
    hpt__arena_fini(&arena);
    return rc < 0 ? rc : 0;
}
