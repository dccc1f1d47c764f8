// SPDX-License-Identifier: Apache-2.0
// study_config.c: what a study runs with: options, sampler, pruner, seed, device, and where each came from.
//
// Precedence, per item: given to hpt_study_open, then the environment (HPT_*; only options and the device have
// one), then what the study stored, then the default. What results is stored again, so that a later process
// without the same environment continues alike. Why the environment beats the stored value: setting a variable
// is something the user did for this run, the stored value is from an earlier one.
//
// Stored form, system attribute "hpt:config": {"sampler": "tpe", "pruner": "nop", "seed": 7, "options": {...only
// what differs from the defaults...}, "device": "auto"}. A seed beyond 2^63 - 1 is written as a string, since
// JSON readers keep integers of 64 signed bits at best.
//
// Ownership: everything is copied into the study. Threads: called while opening, or under the study's lock.
// Cost: microseconds; the environment is read once per option.
#include "../backend/backend.h"
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "../base/num.h"
#include "study_state.h"

#include <stdlib.h>
#include <string.h>

static int set_text(char **slot, const char *text) {
    char *copy = hpt__strdup(text);
    if (!copy) return hpt__fail_memory();
    hpt__free(*slot);
    *slot = copy;
    return 0;
}

static int given_options(hpt__options *o, const hpt_study_options *given) {
    for (int64_t i = 0; i < given->n_options; i++) {
        const char *pair = given->options ? given->options[i] : NULL;
        if (!pair) return hpt__fail(HPT_E_ARG, "hpt_study_open: options[%lld] is NULL", (long long)i);
        int rc = hpt__options_set_pair(o, pair);
        if (rc < 0) return rc;
    }
    return 0;
}

int hpt__study_first_options(hpt__options *out, const hpt_study_options *given) {
    int rc = hpt__options_from_env(out);
    return rc < 0 ? rc : given_options(out, given);
}

// Overlays the variables that are set, also those set to the default's value, on what is stored.
static int environment_options(hpt__options *o) {
    hpt_option_info info;
    for (int64_t i = 0; hpt_option_info_at(&info, i) == 0; i++) {
        const char *value = getenv(info.env);
        if (!value || !*value) continue;
        int rc = hpt__options_set(o, info.key, value);
        if (rc < 0) return hpt__fail_prefix(rc, "environment variable %s", info.env);
    }
    return 0;
}

static bool stored_seed(uint64_t *out, const hpt__json *v) {
    int64_t i;
    const char *text = hpt__json_string(v);
    if (text) return hpt__parse_uint64(out, text, strlen(text));
    if (!v || v->kind != HPT__JSON_INT || !hpt__json_integer(&i, v) || i < 0) return false;
    *out = (uint64_t)i;
    return true;
}

// What the study computes on. Only the wish's words are checked here: a sampler that computes opens what was asked for by name
// when it is created, so that one that cannot be had is an error before the study begins, and a study whose sampler computes
// nothing loads nothing. Of a study that has begun it is created at the first ask: who only tells, opens no device. A stored wish is a record that is followed where it can be.
static int choose_device(hpt_study *study, const char *given, const char *stored) {
    const char *wish = given && *given ? given : getenv("HPT_DEVICE");
    study->device_wished = wish && *wish && strcmp(wish, "auto") != 0;
    if (!wish || !*wish) return set_text(&study->device, stored ? stored : "auto");
    if (study->device_wished && !study->read_only) {
        int rc = hpt__device_check(wish);
        if (rc < 0) return rc;
    }
    return set_text(&study->device, wish);
}

int hpt__study_settle(hpt_study *study, const hpt_study_options *given, const char *stored) {
    int rc = 0;
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *config = NULL;
    if (stored) {
        rc = hpt__json_parse(&config, &arena, stored, strlen(stored));
        if (rc < 0) {
            rc = hpt__fail_prefix(rc, "study '%s': attribute hpt:config", study->name);
            goto out;
        }
    }

    hpt__options_default(&study->options);
    const hpt__json *options = hpt__json_get(config, "options");
    if (options) {
        rc = hpt__options_from_json(&study->options, options);
        // A reader needs none of them; a newer version may have stored some that this one lacks.
        if (rc < 0 && !study->read_only) {
            rc = hpt__fail_prefix(rc, "study '%s': stored options", study->name);
            goto out;
        }
    }
    HPT_TRY(environment_options(&study->options));
    HPT_TRY(given_options(&study->options, given));

    const char *sampler = given->sampler ? given->sampler : hpt__json_string(hpt__json_get(config, "sampler"));
    const char *pruner = given->pruner ? given->pruner : hpt__json_string(hpt__json_get(config, "pruner"));
    HPT_TRY(set_text(&study->sampler_name, sampler ? sampler : "auto"));
    HPT_TRY(set_text(&study->pruner_name, pruner ? pruner : "nop"));
    HPT_TRY(choose_device(study, given->device, hpt__json_string(hpt__json_get(config, "device"))));

    if (given->has_seed) {
        study->seed = given->seed;
    } else if (!stored_seed(&study->seed, hpt__json_get(config, "seed"))) {
        HPT_TRY(hpt__rng_system_seed(&study->seed));
        study->seed >>= 11; // 53 bits: every JSON reader keeps it
    }
    rc = 0;
out:
    hpt__arena_fini(&arena);
    return rc;
}

void hpt__study_config_json(hpt__str *out, const hpt_study *study) {
    hpt__str_add(out, "{\"sampler\": ");
    hpt__str_add_json_string(out, study->sampler_name, strlen(study->sampler_name));
    hpt__str_add(out, ", \"pruner\": ");
    hpt__str_add_json_string(out, study->pruner_name, strlen(study->pruner_name));
    const char *quote = study->seed > (uint64_t)INT64_MAX ? "\"" : "";
    hpt__str_addf(out, ", \"seed\": %s%llu%s, \"options\": ", quote, (unsigned long long)study->seed, quote);
    hpt__options_to_json(out, &study->options);
    hpt__str_add(out, ", \"device\": ");
    hpt__str_add_json_string(out, study->device, strlen(study->device));
    hpt__str_addc(out, '}');
}

// What the sampler saved in this study, if it is one that saves.
static int load_sampler_state(hpt_study *study) {
    char *text = NULL;
    if (!study->sampler->load) return 0;
    int rc = study->storage->ops->study_attr_get(&text, study->storage, study->study_id, "s:hpt:sampler_state");
    if (rc >= 0 && text) rc = study->sampler->load(study->sampler_state, text);
    hpt__free(text);
    return rc < 0 ? rc : 0;
}

int hpt__study_make_sampler(hpt_study *study) {
    hpt__sampler_env env = {
        .space = study->space,
        .options = &study->options,
        .directions = study->directions,
        .k = study->k,
        .seed = study->seed,
        .device = study->device,
    };
    HPT_ASSERT(study->sampler && !study->sampler_made);
    int rc = study->sampler->create(&study->sampler_state, &env);
    if (rc == HPT_E_DEVICE && !study->device_wished) {
        hpt__log(HPT_LOG_WARN, "study '%s': the device it ran on before cannot be had, auto takes its place: %s",
                 study->name, hpt_last_error());
        env.device = NULL;
        rc = study->sampler->create(&study->sampler_state, &env);
    }
    study->sampler_made = rc >= 0;
    if (rc < 0) return rc;
    return study->table_made ? load_sampler_state(study) : 0; // a study that is being created has none
}

int hpt__study_make_tools(hpt_study *study) {
    int rc = 0;
    const hpt__pruner_env env = {
        .options = &study->options,
        .direction = study->directions[0],
        .study_name = study->name,
    };
    const hpt__pruner_ops *pruner = NULL;
    rc = hpt__pruner_find(&pruner, study->pruner_name);
    if (rc < 0 && !study->read_only) goto out;
    if (rc >= 0) {
        HPT_TRY(pruner->create(&study->pruner_state, &env));
        study->pruner = pruner;
    }
    rc = 0;
    if (study->read_only) goto out; // asks for nothing, so a study on a space its sampler refuses can be read
    const hpt__sampler_ops *sampler = NULL;
    HPT_TRY(hpt__sampler_find(&sampler, study->sampler_name));
    if (study->space->d == 0) goto out; // nothing to sample: the first ask says so
    study->sampler = sampler;
    const bool has_begun = study->table_made; // then the first ask makes it
    if (!has_begun || hpt__device_is_auto(study->device)) HPT_TRY(hpt__study_make_sampler(study));
out:
    return rc < 0 ? rc : 0;
}

static int add_derived(const char *name, const char *json, void *payload) {
    int rc = hpt__space_add_distribution(payload, name, json);
    return rc < 0 ? hpt__fail_prefix(rc, "stored parameter '%s'", name) : 0;
}

int hpt__study_derive_space(hpt_space **out, hpt__storage *storage, int64_t study_id) {
    int rc = 0;
    hpt_space *space = NULL;
    HPT_TRY(hpt_space_create(&space));
    HPT_TRY(storage->ops->distributions(storage, study_id, add_derived, space));
    *out = space;
    space = NULL;
    rc = 0;
out:
    hpt_space_destroy(space);
    return rc;
}

static bool same_choices(const hpt__param *a, const hpt__param *b) {
    if (a->n_choices != b->n_choices) return false;
    for (int64_t i = 0; i < a->n_choices; i++) {
        if (!hpt__json_equal(a->choices[i], b->choices[i])) return false;
    }
    return true;
}

int hpt__study_check_joinable(const hpt_study *study, const hpt_space *derived, const hpt_space *given) {
    int rc = 0;
    hpt__str was = HPT__STR_INIT, is = HPT__STR_INIT;
    for (int64_t i = 0; i < given->d; i++) {
        const hpt__param *p = &given->params[i];
        int64_t j = hpt__space_find(derived, p->name);
        if (j < 0) continue; // new to the study
        const hpt__param *q = &derived->params[j];
        bool same = p->kind == q->kind && (p->kind == HPT__PARAM_CATEGORICAL ? same_choices(p, q) : p->log == q->log);
        if (same) continue;
        hpt__param_describe(&was, q);
        hpt__param_describe(&is, p);
        HPT_FAIL_IF(
            true, HPT_E_INCOMPATIBLE,
            "study '%s' has trials where parameter '%s' is %s, here it is %s; use that range or another study name",
            study->name, p->name, hpt__str_text(&was), hpt__str_text(&is));
    }
out:
    hpt__str_fini(&was);
    hpt__str_fini(&is);
    return rc;
}
