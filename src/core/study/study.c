// SPDX-License-Identifier: Apache-2.0
// study.c: opening, creating and closing a study; what never changes while it is open.
//
// Opening: the storage, then the study by name, then one of two ways.
//   new      the space is copied and stored with the configuration in the transaction that creates the study;
//            the sampler is made before that, so that a space it refuses leaves nothing behind
//   existing ours (s:hpt:space is stored): the stored space rules, a given one must equal it;
//            foreign (made by Optuna): the given space if its kinds fit the stored trials, else the one the
//            trials imply. Nothing is written to a foreign study before its first ask
// Two processes that create the same name at once: the loser of the insert finds the winner's study and joins.
//
// Ownership: the study owns copies of everything; the storage is its own. Threads: hpt_study_open builds alone;
// afterwards see study_state.h. Cost: O(stored trials), once.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "study_state.h"

#include <string.h>

enum { NAME_MAX_BYTES = 512 };

int hpt__study_writable(const hpt_study *study, const char *what) {
    if (!study->read_only) return 0;
    return hpt__fail(HPT_E_STATE, "study '%s' is open read-only and cannot be %s; open it with another mode",
                     study->name, what);
}

int hpt__study_sync(hpt_study *study) {
    double t0 = hpt__now_mono();
    int rc = study->storage->ops->sync(study->storage, study->study_id, &study->table);
    study->times.storage += hpt__now_mono() - t0;
    return rc;
}

// The caller's struct may be of an older or newer version of the library: the common part counts.
static int take_options(hpt_study_options *out, const hpt_study_options *given) {
    if (!given) return hpt__fail(HPT_E_ARG, "hpt_study_open: options is NULL");
    size_t size = given->struct_size;
    if (size < offsetof(hpt_study_options, n_directions)) {
        return hpt__fail(HPT_E_ARG, "hpt_study_open: options are not initialised; start from HPT_STUDY_OPTIONS_INIT");
    }
    *out = (hpt_study_options)HPT_STUDY_OPTIONS_INIT;
    memcpy(out, given, size < sizeof *out ? size : sizeof *out);
    if (!out->storage) out->storage = ":memory:";
    if (out->name && (!*out->name || strlen(out->name) > NAME_MAX_BYTES)) {
        return hpt__fail(HPT_E_ARG, "a study's name has 1 to %d bytes", NAME_MAX_BYTES);
    }
    if ((int)out->mode < HPT_OPEN_OR_CREATE || (int)out->mode > HPT_OPEN_READ_ONLY) {
        return hpt__fail(HPT_E_ARG, "hpt_study_open: %d is no open mode", (int)out->mode);
    }
    if (out->n_directions < 0 || (out->n_directions > 0 && !out->directions)) {
        return hpt__fail(HPT_E_ARG, "hpt_study_open: n_directions is %lld but directions is %s",
                         (long long)out->n_directions, out->directions ? "given" : "NULL");
    }
    for (int64_t i = 0; i < out->n_directions; i++) {
        if (out->directions[i] != HPT_MINIMIZE && out->directions[i] != HPT_MAXIMIZE) {
            return hpt__fail(HPT_E_ARG, "directions[%lld] is neither HPT_MINIMIZE nor HPT_MAXIMIZE", (long long)i);
        }
    }
    return 0;
}

// Everything but the storage and the lock, so that opening can start over.
static void drop_parts(hpt_study *study) {
    if (study->sampler_made && study->sampler->destroy) study->sampler->destroy(study->sampler_state);
    if (study->pruner && study->pruner->destroy) study->pruner->destroy(study->pruner_state);
    study->sampler_made = false;
    study->sampler = NULL;
    study->pruner = NULL;
    study->sampler_state = study->pruner_state = NULL;
    if (study->table_made) hpt__trials_fini(&study->table);
    if (study->mirror_made) hpt__trials_fini(&study->mirror);
    study->table_made = study->mirror_made = false;
    hpt_space_destroy(study->space);
    study->space = NULL;
    hpt__free(study->directions);
    study->directions = NULL;
    hpt__free(study->metric_names);
    study->metric_names = NULL;
    hpt__free(study->name);
    hpt__free(study->sampler_name);
    hpt__free(study->pruner_name);
    hpt__free(study->device);
    study->name = study->sampler_name = study->pruner_name = study->device = NULL;
    study->config_pending = false;
}

void hpt_study_close(hpt_study *study) {
    if (!study) return;
    drop_parts(study);
    hpt__storage_close(study->storage);
    hpt__free(study->slots);
    hpt__free(study->points);
    if (study->lock_made) {
        pthread_mutex_destroy(&study->lock);
        pthread_mutex_destroy(&study->ask_lock);
    }
    hpt__free(study);
}

static int make_table(hpt_study *study) {
    int rc = hpt__trials_init(&study->table, study->space, study->k, study->directions[0]);
    if (rc < 0) return rc;
    study->table_made = true;
    return 0;
}

// ---- a new study ---------------------------------------------------------------------------------------------

static int create_new(hpt_study *study, const hpt_study_options *o, const char *name) {
    int rc = 0;
    hpt__str config = HPT__STR_INIT;
    char *space_json = NULL, *names_json = NULL;
    HPT_FAIL_IF(!o->space, HPT_E_ARG, "study '%s' does not exist in '%s' and no space is given to create it with", name,
                o->storage);
    HPT_FAIL_IF(o->space->d == 0, HPT_E_ARG, "study '%s': the space has no parameters; add some with hpt_space_add_*",
                name);
    study->name = hpt__strdup(name);
    study->k = o->n_directions ? o->n_directions : 1;
    study->directions = hpt__calloc((size_t)study->k, sizeof *study->directions);
    if (!study->name || !study->directions) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < study->k; i++) study->directions[i] = o->n_directions ? o->directions[i] : HPT_MINIMIZE;
    HPT_TRY(hpt__space_dup(&study->space, o->space));
    HPT_TRY(hpt__study_settle(study, o, NULL));
    HPT_TRY(hpt__study_make_tools(study));
    HPT_TRY(make_table(study));

    HPT_TRY(hpt_space_to_json(&space_json, study->space));
    hpt__study_config_json(&config, study);
    HPT_TRY(hpt__str_status(&config));
    HPT_TRY(hpt__study_names_given(study, &names_json, o->metric_names));
    const hpt__attr_item attrs[] = {
        {"s:hpt:space", space_json},
        {"s:hpt:config", hpt__str_text(&config)},
        {"s:study:metric_names", names_json}, // last: left out where there are none
    };
    HPT_TRY(study->storage->ops->study_create(&study->study_id, study->storage, name, study->directions, study->k,
                                              attrs, names_json ? 3 : 2));
    HPT_TRY(hpt__study_sync(study)); // sets the point from which later syncs go on
    rc = 0;
out:
    hpt__free(space_json);
    hpt__free(names_json);
    hpt__str_fini(&config);
    return rc;
}

// ---- an existing study ---------------------------------------------------------------------------------------

static const char *direction_name(hpt_direction d) {
    return d == HPT_MAXIMIZE ? "maximize" : d == HPT_MINIMIZE ? "minimize" : "not set";
}

static int check_directions(const hpt_study *study, const hpt_study_options *o) {
    if (o->n_directions == 0) return 0;
    if (o->n_directions != study->k) {
        return hpt__fail(HPT_E_INCOMPATIBLE,
                         "study '%s' has %lld objective%s, %lld given; leave directions out or use another study name",
                         study->name, (long long)study->k, study->k == 1 ? "" : "s", (long long)o->n_directions);
    }
    for (int64_t i = 0; i < study->k; i++) {
        if (o->directions[i] == study->directions[i]) continue;
        return hpt__fail(
            HPT_E_INCOMPATIBLE,
            "study '%s': objective %lld is stored as %s, given as %s; leave directions out or use another study name",
            study->name, (long long)i, direction_name(study->directions[i]), direction_name(o->directions[i]));
    }
    return 0;
}

static int own_space(hpt_study *study, const hpt_study_options *o, const char *stored) {
    int rc = 0;
    hpt__str difference = HPT__STR_INIT;
    rc = hpt_space_from_json(&study->space, stored);
    if (rc < 0) {
        rc = hpt__fail_prefix(rc, "study '%s': attribute hpt:space", study->name);
        goto out;
    }
    if (o->space && hpt__space_difference(&difference, study->space, o->space)) {
        HPT_TRY(hpt__str_status(&difference));
        HPT_FAIL_IF(true, HPT_E_INCOMPATIBLE, "study '%s' has another space: %s; restore it or use another study name",
                    study->name, hpt__str_text(&difference));
    }
    rc = hpt__str_status(&difference);
out:
    hpt__str_fini(&difference);
    return rc;
}

static int foreign_space(hpt_study *study, const hpt_study_options *o) {
    int rc = 0;
    hpt_space *derived = NULL;
    HPT_TRY(hpt__study_derive_space(&derived, study->storage, study->study_id));
    if (o->space && o->space->d > 0) {
        HPT_TRY(hpt__study_check_joinable(study, derived, o->space));
        HPT_TRY(hpt__space_dup(&study->space, o->space));
    } else {
        study->space = derived;
        derived = NULL;
    }
    rc = 0;
out:
    hpt_space_destroy(derived);
    return rc;
}

// What a reopening changed (another sampler, seed, option) is stored at once, in a study of ours.
static int store_config(hpt_study *study, const char *stored) {
    int rc = 0;
    hpt__str config = HPT__STR_INIT;
    hpt__study_config_json(&config, study);
    HPT_TRY(hpt__str_status(&config));
    if (!stored || strcmp(stored, hpt__str_text(&config)) != 0) {
        const hpt__attr_item attr = {"s:hpt:config", hpt__str_text(&config)};
        HPT_TRY(study->storage->ops->study_attr_set(study->storage, study->study_id, &attr, 1));
    }
    rc = 0;
out:
    hpt__str_fini(&config);
    return rc;
}

static int load_existing(hpt_study *study, const hpt_study_options *o) {
    int rc = 0;
    char *space_json = NULL, *config = NULL;
    const hpt__storage_ops *ops = study->storage->ops;
    HPT_FAIL_IF(study->k < 1, HPT_E_STORAGE, "study '%s' has no direction stored; its creation was not finished",
                study->name);
    HPT_TRY(check_directions(study, o));
    HPT_TRY(ops->study_attr_get(&space_json, study->storage, study->study_id, "s:hpt:space"));
    HPT_TRY(ops->study_attr_get(&config, study->storage, study->study_id, "s:hpt:config"));
    if (space_json)
        HPT_TRY(own_space(study, o, space_json));
    else
        HPT_TRY(foreign_space(study, o));
    HPT_TRY(hpt__study_names_stored(study));
    HPT_TRY(hpt__study_settle(study, o, config));
    HPT_TRY(make_table(study));
    HPT_TRY(hpt__study_sync(study));
    HPT_TRY(hpt__study_make_tools(study));
    if (!study->read_only) {
        if (space_json || config)
            HPT_TRY(store_config(study, config));
        else
            study->config_pending = true;
    }
    rc = 0;
out:
    hpt__free(space_json);
    hpt__free(config);
    return rc;
}

// ---- open ----------------------------------------------------------------------------------------------------

// The name to create a study under when none was given: "study", but only if the storage has no study at all.
static int default_name(const char **name, hpt_study *study) {
    hpt_study_summary *all = NULL;
    int64_t n = 0;
    int rc = study->storage->ops->studies(&all, &n, study->storage);
    if (rc < 0) return rc;
    hpt_storage_summaries_free(all, n);
    if (n == 0) *name = "study";
    return 0;
}

static int find_or_create(hpt_study *study, const hpt_study_options *o) {
    int rc = 0;
    const hpt__storage_ops *ops = study->storage->ops;
    const char *name = o->name;
    if (!name && o->mode == HPT_OPEN_CREATE) name = "study";
    if (!name && o->mode == HPT_OPEN_OR_CREATE) HPT_TRY(default_name(&name, study));
    for (int attempt = 0;; attempt++) {
        if (o->mode != HPT_OPEN_CREATE) {
            rc = ops->study_find(&study->study_id, &study->name, &study->directions, &study->k, study->storage, name);
            if (rc >= 0) return load_existing(study, o);
            if (rc != HPT_E_NOT_FOUND || o->mode != HPT_OPEN_OR_CREATE || !name) return rc;
        }
        rc = create_new(study, o, name);
        if (rc != HPT_E_EXISTS || o->mode == HPT_OPEN_CREATE || attempt > 0) return rc;
        drop_parts(study); // another process was quicker: join its study
    }
out:
    return rc;
}

int hpt_study_open(hpt_study **out, const hpt_study_options *options) {
    int rc = 0;
    hpt_study *study = NULL;
    hpt_study_options o;
    HPT_FAIL_IF(!out, HPT_E_ARG, "hpt_study_open: out is NULL");
    HPT_TRY(take_options(&o, options));
    study = hpt__calloc(1, sizeof *study);
    if (!study) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_FAIL_IF(pthread_mutex_init(&study->lock, NULL) != 0, HPT_E_MEMORY, "no mutex could be made");
    if (pthread_mutex_init(&study->ask_lock, NULL) != 0) {
        pthread_mutex_destroy(&study->lock);
        rc = hpt__fail(HPT_E_MEMORY, "no mutex could be made");
        goto out;
    }
    study->lock_made = true;
    study->read_only = o.mode == HPT_OPEN_READ_ONLY;
    study->last_number = -1;
    HPT_TRY(hpt__study_first_options(&study->options, &o));
    bool create = o.mode == HPT_OPEN_OR_CREATE || o.mode == HPT_OPEN_CREATE;
    HPT_TRY(hpt__storage_open(&study->storage, o.storage, create, study->read_only, &study->options));
    HPT_TRY(find_or_create(study, &o));
    *out = study;
    study = NULL;
    rc = 0;
out:
    hpt_study_close(study);
    return rc;
}

// ---- what never changes --------------------------------------------------------------------------------------

const char *hpt_study_name(const hpt_study *study) {
    return study ? study->name : "";
}

const char *hpt_study_storage(const hpt_study *study) {
    return study ? study->storage->url : "";
}

int64_t hpt_study_n_directions(const hpt_study *study) {
    return study ? study->k : 0;
}

hpt_direction hpt_study_direction(const hpt_study *study, int64_t i) {
    return study && i >= 0 && i < study->k ? study->directions[i] : HPT_MINIMIZE;
}

uint64_t hpt_study_seed(const hpt_study *study) {
    return study ? study->seed : 0;
}

const char *hpt_study_sampler(const hpt_study *study) {
    return study ? study->sampler_name : "";
}

const char *hpt_study_pruner(const hpt_study *study) {
    return study ? study->pruner_name : "";
}

const hpt_space *hpt_study_space(const hpt_study *study) {
    return study ? study->space : NULL;
}
