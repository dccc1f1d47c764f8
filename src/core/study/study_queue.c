// SPDX-License-Identifier: Apache-2.0
// study_queue.c: points put in line by a user or a scheduler: waiting trials that later asks return first.
//
// A waiting trial is a stored trial with the parameters that are fixed; the ask that claims it completes the
// rest (study_ask.c). An Optuna worker that joins the study pops it as well and keeps the stored parameters.
//
// A retry is Optuna's (optuna/storages/_callbacks.py): the same point, the attempt's user attributes, and the
// system attributes failed_trial (number of the first attempt) and retry_history (numbers of all attempts).
//
// Threads: the study's lock. Cost: one transaction.
#include "../base/alloc.h"
#include "../base/error.h"
#include "study_state.h"

#include <math.h>
#include <string.h>

typedef struct queue_job {
    const hpt__new_trial *trial;
} queue_job;

static int fill_one(hpt__new_trial *batch, int64_t *q, int64_t first_number, void *payload) {
    const queue_job *job = payload;
    (void)first_number;
    batch[0] = *job->trial;
    *q = 1;
    return 0;
}

static int queue_point(hpt_study *study, const double *point, const char *const *keys, const char *const *texts,
                       int64_t n_attrs) {
    const hpt__new_trial trial = {
        .state = HPT_TRIAL_WAITING,
        .point = point,
        .attr_keys = keys,
        .attr_values = texts,
        .n_attrs = n_attrs,
        .start_us = INT64_MIN,
        .complete_us = INT64_MIN,
    };
    hpt__new_trial batch = {0};
    queue_job job = {&trial};
    return study->storage->ops->create_trials(study->storage, study->study_id, &study->table, &batch, 1, fill_one,
                                              &job);
}

// ---- checking what a user queues -----------------------------------------------------------------------------

// A given parameter whose condition does not hold, or cannot be told to hold since the parent is left open.
static int inactive(const hpt_space *space, const hpt__param *p, const double *point) {
    int rc = HPT_E_ARG;
    hpt__str values = HPT__STR_INIT, has = HPT__STR_INIT;
    for (int64_t c = 0; c < p->n_conditions; c++) {
        const hpt__condition *cond = &p->conditions[c];
        const hpt__param *parent = &space->params[cond->parent];
        const double v = point[cond->parent];
        bool holds = false;
        hpt__str_clear(&values);
        for (int64_t k = 0; k < cond->n_values; k++) {
            if (v == cond->values[k]) holds = true;
            if (k) hpt__str_add(&values, " or ");
            hpt__param_external(&values, parent, cond->values[k]);
        }
        if (holds) continue;
        if (isnan(v)) {
            rc = hpt__fail(HPT_E_ARG, "parameter '%s' exists only where '%s' is %s; give '%s' too or leave '%s' out",
                           p->name, parent->name, hpt__str_text(&values), parent->name, p->name);
        } else {
            hpt__param_external(&has, parent, v);
            rc = hpt__fail(HPT_E_ARG, "parameter '%s' exists only where '%s' is %s, not %s; leave it out", p->name,
                           parent->name, hpt__str_text(&values), hpt__str_text(&has));
        }
        goto out;
    }
    rc = hpt__fail(HPT_E_ARG, "parameter '%s' does not exist at this point; leave it out", p->name);
out:
    hpt__str_fini(&values);
    hpt__str_fini(&has);
    return rc;
}

// Writes constants that were left out, so that conditions on them are known. Values are in range already.
static int check_point(const hpt_space *space, double *point) {
    for (int64_t k = 0; k < space->d; k++) {
        const int64_t i = space->topo[k];
        const hpt__param *p = &space->params[i];
        const bool active = hpt__space_active(space, i, point);
        if (isnan(point[i])) {
            if (active && hpt__param_fixed(p)) point[i] = hpt__param_value_at(p, 0);
        } else if (!active) {
            return inactive(space, p, point);
        }
    }
    return 0;
}

int hpt_study_enqueue(hpt_study *study, const char *params_json) {
    int rc = 0;
    bool locked = false;
    double *point = NULL;
    hpt__arena arena;
    hpt__json *params = NULL;
    static const char *const keys[] = {"s:hpt:by"}, *const texts[] = {"\"enqueue\""};
    if (!study || !params_json) return hpt__fail(HPT_E_ARG, "hpt_study_enqueue: an argument is NULL");
    hpt__arena_init(&arena);
    const hpt_space *space = study->space;
    HPT_TRY(hpt__study_writable(study, "given points"));
    HPT_FAIL_IF(space->d == 0, HPT_E_STATE,
                "study '%s' has no trials and no space to queue points for; open it with a space", study->name);
    rc = hpt__json_parse(&params, &arena, params_json, strlen(params_json));
    if (rc < 0) {
        rc = hpt__fail_prefix(rc == HPT_E_PARSE ? HPT_E_ARG : rc, "hpt_study_enqueue: params");
        goto out;
    }
    HPT_FAIL_IF(params->kind != HPT__JSON_OBJECT, HPT_E_ARG,
                "hpt_study_enqueue: params is a %s; write an object like {\"name\": value}",
                hpt__json_kind_name(params->kind));
    point = hpt__malloc((size_t)space->d * sizeof *point);
    if (!point) {
        rc = hpt__fail_memory();
        goto out;
    }
    for (int64_t i = 0; i < space->d; i++) point[i] = NAN;
    HPT_TRY(hpt__space_point_from_json(point, space, params));
    HPT_TRY(check_point(space, point));
    pthread_mutex_lock(&study->lock);
    locked = true;
    HPT_TRY(queue_point(study, point, keys, texts, 1));
    rc = 0;
out:
    if (locked) pthread_mutex_unlock(&study->lock);
    hpt__free(point);
    hpt__arena_fini(&arena);
    return rc;
}

// ---- retries -------------------------------------------------------------------------------------------------

// "[1, 5]" and 7 -> "[1, 5, 7]"; no history yet -> "[7]". Anything unreadable starts a new history.
static int add_to_history(hpt__str *out, const char *history, int64_t number) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *list = NULL;
    hpt__arena_init(&arena);
    if (history) {
        rc = hpt__json_parse(&list, &arena, history, strlen(history));
        if (rc == HPT_E_MEMORY) goto out;
    }
    if (!list || list->kind != HPT__JSON_ARRAY) list = hpt__json_new(&arena, HPT__JSON_ARRAY);
    if (!list) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(hpt__json_append(&arena, list, hpt__json_new_int(&arena, number)));
    hpt__json_dumps(out, list);
    rc = hpt__str_status(out);
out:
    hpt__arena_fini(&arena);
    return rc;
}

int hpt__study_retry(hpt_study *study, hpt_trial *trial) {
    int rc = 0;
    int64_t row, n = 0;
    const char **keys = NULL;
    double *point = NULL;
    hpt__arena arena; // copies of attributes: creating a trial syncs, which may replace the table's
    hpt__str history = HPT__STR_INIT, first = HPT__STR_INIT;
    hpt__arena_init(&arena);
    pthread_mutex_lock(&study->lock);
    HPT_TRY(hpt__study_writable(study, "given points"));
    HPT_TRY(hpt__study_row(&row, study, trial->number));
    const hpt__trial_info *info = &study->table.info[row];
    const int64_t cap = info->n_attrs + 4;
    keys = hpt__calloc((size_t)cap * 2, sizeof *keys);
    point = hpt__malloc((size_t)(study->space->d + 1) * sizeof *point);
    if (!keys || !point) {
        rc = hpt__fail_memory();
        goto out;
    }
    const char **texts = keys + cap;
    hpt__trials_get_point(point, &study->table, row);
    HPT_TRY(add_to_history(&history, hpt__trials_attr(&study->table, row, "s:retry_history"), trial->number));
    const char *original = hpt__trials_attr(&study->table, row, "s:failed_trial");
    if (original)
        hpt__str_add(&first, original);
    else
        hpt__str_add_int(&first, trial->number);
    HPT_TRY(hpt__str_status(&first));
    keys[n] = "s:failed_trial";
    texts[n++] = hpt__str_text(&first);
    keys[n] = "s:retry_history";
    texts[n++] = hpt__str_text(&history);
    // What belongs to the point goes along (a grid's index, what chose it); what belongs to the attempt does not.
    for (int64_t i = 0; i < info->n_attrs; i++) {
        const char *key = info->attr_keys[i];
        if (strncmp(key, "u:", 2) != 0 && strcmp(key, "s:hpt:by") != 0 && strcmp(key, "s:hpt:grid_id") != 0 &&
            strcmp(key, "s:fixed_params") != 0) {
            continue;
        }
        keys[n] = hpt__arena_strndup(&arena, key, strlen(key));
        texts[n] = hpt__arena_strndup(&arena, info->attr_values[i], strlen(info->attr_values[i]));
        if (!keys[n] || !texts[n]) {
            rc = hpt__fail_memory();
            goto out;
        }
        n++;
    }
    HPT_TRY(queue_point(study, point, keys, texts, n));
    rc = 0;
out:
    pthread_mutex_unlock(&study->lock);
    hpt__free(keys);
    hpt__free(point);
    hpt__arena_fini(&arena);
    hpt__str_fini(&history);
    hpt__str_fini(&first);
    return rc;
}
