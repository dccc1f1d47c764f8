// SPDX-License-Identifier: Apache-2.0
// transfer_read_journal.c: the file of Optuna's JournalFileBackend, replayed.
//
// One JSON object a line, in the order in which workers appended them; what holds is what a replay gives (facts:
// optuna/storages/journal/_storage.py): a study's id and a trial's id are their places among all created ones; changes of
// a finished trial, of what is not there, a second start of a running trial, a second study of the same name and a
// parameter whose distribution contradicts an earlier trial's were refused when they were written and are passed over.
// Operation 10 (Rustuna's discard) only frees memory. A last line without its newline, or that is no JSON, is what a
// killed writer left; it is passed over with a remark. Anywhere else it is an error.
// Optuna 4 wrote times without a zone, local to the writer; they are read as local here, as Optuna 5 does.
// Ownership: the replay owns studies and trials, one arena their texts; distributions are kept once each. Threads: one
// file at a time. Cost: linear; all trials are in memory.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "../base/num.h"
#include "../storage/storage_table.h"
#include "transfer_read.h"

#include <string.h>

typedef struct study {
    char *name; // in the arena
    hpt_direction *directions;
    int64_t k;
    hpt__record attrs; // only its list of attributes is used
    hpt__map first;    // parameter name -> index into firsts
    bool deleted;
} study;

typedef struct first { // the earliest trial that has a parameter, and its distribution
    int64_t trial;
    const char *distribution;
} first;

typedef struct replay {
    hpt__import *in;
    hpt__arena texts;
    hpt__map interned; // distribution texts and names -> pointer
    study *studies;
    int64_t n_studies, cap_studies;
    hpt__record *trials;
    int64_t *study_of; // of each trial
    int64_t n_trials, cap_trials, cap_study_of;
    first *firsts;
    int64_t n_firsts, cap_firsts;
} replay;

// ---- pieces

static int intern(const char **out, replay *p, const char *text) {
    int64_t at;
    const size_t n = strlen(text);
    if (hpt__map_get(&at, &p->interned, text, n)) {
        *out = (const char *)(uintptr_t)at;
        return HPT_OK;
    }
    *out = hpt__arena_strndup(&p->texts, text, n);
    if (!*out) return hpt__fail_memory();
    return hpt__map_set(&p->interned, text, n, (int64_t)(uintptr_t)*out);
}

static int need_int(int64_t *out, const hpt__json *line, const char *key) {
    if (hpt__json_integer(out, hpt__json_get(line, key))) return HPT_OK;
    return hpt__fail(HPT_E_PARSE, "operation without the number '%s'", key);
}

static int need_text(const char **out, const hpt__json *line, const char *key) {
    *out = hpt__json_string(hpt__json_get(line, key));
    return *out ? HPT_OK : hpt__fail(HPT_E_PARSE, "operation without the text '%s'", key);
}

static int read_time(int64_t *out, const hpt__json *line, const char *key) {
    const hpt__json *v = hpt__json_get(line, key);
    if (!v || v->kind == HPT__JSON_NULL) return HPT_OK; // stays
    const char *text = hpt__json_string(v);
    if (text && hpt__transfer_time(out, text, true)) return HPT_OK;
    return hpt__fail(HPT_E_PARSE, "'%s' is no time", key);
}

static int read_state(hpt_trial_state *out, const hpt__json *line) {
    int64_t state;
    int rc = need_int(&state, line, "state");
    if (rc >= 0 && (state < HPT_TRIAL_RUNNING || state > HPT_TRIAL_WAITING))
        rc = hpt__fail(HPT_E_INCOMPATIBLE, "state %lld is not known; a newer program wrote it", (long long)state);
    if (rc >= 0) *out = (hpt_trial_state)state;
    return rc;
}

static bool finished(hpt_trial_state state) {
    return state != HPT_TRIAL_RUNNING && state != HPT_TRIAL_WAITING;
}

// *out NULL: there is no such study (any more).
static int study_at(study **out, replay *p, const hpt__json *line, int64_t *id) {
    const int rc = need_int(id, line, "study_id");
    *out = rc >= 0 && *id >= 0 && *id < p->n_studies && !p->studies[*id].deleted ? &p->studies[*id] : NULL;
    return rc;
}

// *out NULL: there is no such trial, or it is finished.
static int open_trial(hpt__record **out, replay *p, const hpt__json *line, int64_t *id) {
    const int rc = need_int(id, line, "trial_id");
    *out = rc >= 0 && *id >= 0 && *id < p->n_trials && !finished(p->trials[*id].state) ? &p->trials[*id] : NULL;
    return rc;
}

// ---- parameters

// Whether Optuna lets a parameter have both (check_distribution_compatibility): one class, one log, the same choices.
static int agree(bool *out, replay *p, const char *name, const char *a, const char *b) {
    const hpt__param *x, *y;
    hpt__param_kind kind;
    bool log;
    *out = true;
    if (strcmp(a, b) == 0) return HPT_OK;
    int rc = hpt__dist_get(&x, &p->in->dists, name, a);
    if (rc < 0 || !x) return rc;
    kind = x->kind;
    log = x->log;
    if (kind == HPT__PARAM_CATEGORICAL) return hpt__storage_fits(out, x, b);
    rc = hpt__dist_get(&y, &p->in->dists, name, b);
    if (rc >= 0 && y) *out = y->kind == kind && y->log == log;
    return rc;
}

static int check_distribution(replay *p, const char *name, const char *text) {
    const hpt__param *param;
    const int rc = hpt__dist_get(&param, &p->in->dists, name, text);
    if (rc >= 0 && !param)
        return hpt__fail(HPT_E_INCOMPATIBLE, "parameter '%s': its distribution is not one of Optuna's", name);
    return rc;
}

// Notes that a trial has a parameter.
static int note_first(replay *p, study *st, int64_t trial, const char *name, const char *distribution) {
    int64_t at;
    if (hpt__map_get(&at, &st->first, name, strlen(name))) {
        if (trial <= p->firsts[at].trial) p->firsts[at] = (first){trial, distribution};
        return HPT_OK;
    }
    int rc = hpt__grow(&p->firsts, &p->cap_firsts, p->n_firsts + 1, sizeof *p->firsts);
    if (rc >= 0) rc = hpt__map_set(&st->first, name, strlen(name), p->n_firsts);
    if (rc >= 0) p->firsts[p->n_firsts++] = (first){trial, distribution};
    return rc;
}

static int set_param(replay *p, int64_t trial, const char *name, double internal, const char *distribution,
                     bool check) {
    int rc = HPT_OK;
    int64_t at;
    bool fits = true;
    study *st = &p->studies[p->study_of[trial]];
    HPT_TRY(check_distribution(p, name, distribution));
    HPT_TRY(intern(&name, p, name));
    HPT_TRY(intern(&distribution, p, distribution));
    if (check && hpt__map_get(&at, &st->first, name, strlen(name)))
        HPT_TRY(agree(&fits, p, name, p->firsts[at].distribution, distribution));
    if (!fits) goto out;
    HPT_TRY(note_first(p, st, trial, name, distribution));
    HPT_TRY(hpt__record_set_param(&p->trials[trial], name, internal, distribution));
out:
    return rc;
}

// ---- operations

static int create_study(replay *p, const hpt__json *line) {
    int rc = HPT_OK;
    const char *name;
    const hpt__json *list = hpt__json_get(line, "directions");
    HPT_TRY(need_text(&name, line, "study_name"));
    HPT_FAIL_IF(!list || list->kind != HPT__JSON_ARRAY || list->a.n < 1, HPT_E_PARSE, "a study without directions");
    for (int64_t i = 0; i < p->n_studies; i++)
        if (!p->studies[i].deleted && strcmp(p->studies[i].name, name) == 0) return HPT_OK;
    HPT_TRY(hpt__grow(&p->studies, &p->cap_studies, p->n_studies + 1, sizeof *p->studies));
    study *st = &p->studies[p->n_studies];
    *st = (study){.k = list->a.n};
    hpt__map_init(&st->first);
    st->name = hpt__arena_strndup(&p->texts, name, strlen(name));
    st->directions = hpt__arena_alloc(&p->texts, (size_t)st->k * sizeof *st->directions);
    if (!st->name || !st->directions) return hpt__fail_memory();
    for (int64_t i = 0; i < st->k; i++) {
        int64_t direction;
        HPT_FAIL_IF(!hpt__json_integer(&direction, list->a.items[i]), HPT_E_PARSE, "direction %lld is no number",
                    (long long)i);
        st->directions[i] = direction == HPT_MAXIMIZE ? HPT_MAXIMIZE : HPT_MINIMIZE;
    }
    p->n_studies++;
out:
    return rc;
}

static int study_attr(replay *p, const hpt__json *line, char kind) {
    study *st;
    int64_t id;
    const int rc = study_at(&st, p, line, &id);
    if (rc < 0 || !st) return rc;
    return hpt__json_attrs(&st->attrs, &p->texts, kind, hpt__json_get(line, kind == 'u' ? "user_attr" : "system_attr"));
}

static int read_template_params(replay *p, int64_t trial, const hpt__json *line) {
    const hpt__json *params = hpt__json_get(line, "params"), *distributions = hpt__json_get(line, "distributions");
    if (!params || params->kind != HPT__JSON_OBJECT) return HPT_OK;
    for (int64_t i = 0; i < params->o.n; i++) {
        double v;
        const char *name = params->o.keys[i], *text = hpt__json_string(hpt__json_get(distributions, name));
        if (!text || !hpt__json_number(&v, params->o.values[i]))
            return hpt__fail(HPT_E_PARSE, "parameter '%s' without number or distribution", name);
        const int rc = set_param(p, trial, name, v, text, false);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int read_template_reports(hpt__record *r, const hpt__json *reports) {
    if (!reports || reports->kind != HPT__JSON_OBJECT) return HPT_OK;
    for (int64_t i = 0; i < reports->o.n; i++) {
        int64_t step;
        double v;
        if (!hpt__parse_int(&step, reports->o.keys[i], strlen(reports->o.keys[i])) ||
            !hpt__json_number(&v, reports->o.values[i]))
            return hpt__fail(HPT_E_PARSE, "an intermediate value is not \"step\": number");
        const int rc = hpt__record_set_report(r, step, v);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int create_trial(replay *p, const hpt__json *line) {
    int rc = HPT_OK;
    study *st;
    int64_t study_id;
    const int64_t id = p->n_trials, before = p->cap_trials;
    HPT_TRY(study_at(&st, p, line, &study_id));
    if (!st) return HPT_OK;
    HPT_TRY(hpt__grow(&p->trials, &p->cap_trials, id + 1, sizeof *p->trials));
    if (p->cap_trials > before) memset(p->trials + before, 0, (size_t)(p->cap_trials - before) * sizeof *p->trials);
    HPT_TRY(hpt__grow(&p->study_of, &p->cap_study_of, id + 1, sizeof *p->study_of));
    hpt__record *r = &p->trials[id];
    hpt__record_clear(r);
    p->study_of[id] = study_id;
    p->n_trials++;
    if (hpt__json_get(line, "state")) HPT_TRY(read_state(&r->state, line));
    HPT_TRY(read_time(&r->start_us, line, "datetime_start"));
    HPT_TRY(read_time(&r->complete_us, line, "datetime_complete"));
    double value;
    if (hpt__json_number(&value, hpt__json_get(line, "value"))) HPT_TRY(hpt__record_set_values(r, &value, 1));
    HPT_TRY(hpt__json_values(r, hpt__json_get(line, "values")));
    HPT_TRY(read_template_params(p, id, line));
    HPT_TRY(read_template_reports(r, hpt__json_get(line, "intermediate_values")));
    HPT_TRY(hpt__json_attrs(r, &p->texts, 'u', hpt__json_get(line, "user_attrs")));
    HPT_TRY(hpt__json_attrs(r, &p->texts, 's', hpt__json_get(line, "system_attrs")));
out:
    return rc;
}

static int trial_param(replay *p, const hpt__json *line) {
    int rc = HPT_OK;
    hpt__record *r;
    int64_t id;
    double v;
    const char *name, *distribution;
    HPT_TRY(open_trial(&r, p, line, &id));
    if (!r) return HPT_OK;
    HPT_TRY(need_text(&name, line, "param_name"));
    HPT_TRY(need_text(&distribution, line, "distribution"));
    HPT_FAIL_IF(!hpt__json_number(&v, hpt__json_get(line, "param_value_internal")), HPT_E_PARSE,
                "parameter '%s' without number", name);
    HPT_TRY(set_param(p, id, name, v, distribution, true));
out:
    return rc;
}

static int trial_state(replay *p, const hpt__json *line) {
    int rc = HPT_OK;
    hpt__record *r;
    int64_t id;
    hpt_trial_state state;
    HPT_TRY(open_trial(&r, p, line, &id));
    if (!r) return HPT_OK;
    HPT_TRY(read_state(&state, line));
    if (state == HPT_TRIAL_RUNNING && r->state == HPT_TRIAL_RUNNING) return HPT_OK; // another worker was first
    if (state == HPT_TRIAL_RUNNING) HPT_TRY(read_time(&r->start_us, line, "datetime_start"));
    if (finished(state)) HPT_TRY(read_time(&r->complete_us, line, "datetime_complete"));
    r->state = state;
    HPT_TRY(hpt__json_values(r, hpt__json_get(line, "values")));
out:
    return rc;
}

static int trial_report(replay *p, const hpt__json *line) {
    int rc = HPT_OK;
    hpt__record *r;
    int64_t id, step;
    double v;
    HPT_TRY(open_trial(&r, p, line, &id));
    if (!r) return HPT_OK;
    HPT_TRY(need_int(&step, line, "step"));
    HPT_FAIL_IF(!hpt__json_number(&v, hpt__json_get(line, "intermediate_value")), HPT_E_PARSE,
                "a report without number");
    HPT_TRY(hpt__record_set_report(r, step, v));
out:
    return rc;
}

static int trial_attr(replay *p, const hpt__json *line, char kind) {
    hpt__record *r;
    int64_t id;
    const int rc = open_trial(&r, p, line, &id);
    if (rc < 0 || !r) return rc;
    return hpt__json_attrs(r, &p->texts, kind, hpt__json_get(line, kind == 'u' ? "user_attr" : "system_attr"));
}

static int apply(replay *p, const hpt__json *line) {
    int64_t op, id;
    study *st;
    int rc = need_int(&op, line, "op_code");
    if (rc < 0) return rc;
    switch (op) {
    case 0:
        return create_study(p, line);
    case 1:
        rc = study_at(&st, p, line, &id);
        if (rc >= 0 && st) st->deleted = true;
        return rc;
    case 2:
    case 3:
        return study_attr(p, line, op == 2 ? 'u' : 's');
    case 4:
        return create_trial(p, line);
    case 5:
        return trial_param(p, line);
    case 6:
        return trial_state(p, line);
    case 7:
        return trial_report(p, line);
    case 8:
    case 9:
        return trial_attr(p, line, op == 8 ? 'u' : 's');
    case 10:
        return HPT_OK;
    default:
        return hpt__fail(HPT_E_INCOMPATIBLE, "operation %lld is not known; a newer Optuna wrote it", (long long)op);
    }
}

// ---- the file

static int replay_file(replay *p) {
    hpt__lines l;
    hpt__arena scratch;
    int64_t torn = 0; // line that is no operation; right only if it is the last
    int rc = hpt__lines_open(&l, p->in->path);
    if (rc < 0) return rc;
    hpt__arena_init(&scratch);
    while ((rc = hpt__lines_next(&l)) == 1) {
        hpt__json *line = NULL;
        HPT_FAIL_IF(torn, HPT_E_PARSE, "%s:%lld: no JSON, and not the last line; the journal is damaged there", l.path,
                    (long long)torn);
        hpt__arena_reset(&scratch);
        rc = l.whole ? hpt__json_parse(&line, &scratch, hpt__str_text(&l.line), l.line.len) : HPT_E_PARSE;
        if (rc == HPT_E_PARSE) {
            torn = l.number;
            continue;
        }
        if (rc >= 0) rc = apply(p, line);
        if (rc < 0) {
            if (rc != HPT_E_MEMORY) rc = hpt__fail_prefix(rc, "%s:%lld", l.path, (long long)l.number);
            goto out;
        }
    }
    if (rc == 0 && torn && p->in->to) // once
        hpt__log(HPT_LOG_WARN, "'%s': the last line is not whole (a writer was killed) and was left out", l.path);
out:
    hpt__lines_close(&l);
    hpt__arena_fini(&scratch);
    return rc;
}

static int hand_over(replay *p) {
    int rc = HPT_OK;
    for (int64_t i = 0; i < p->n_studies; i++) {
        const study *st = &p->studies[i];
        int64_t index;
        if (st->deleted) continue;
        HPT_TRY(hpt__import_study_add(&index, p->in, st->name, st->directions, st->k, st->attrs.attrs,
                                      st->attrs.n_attrs, false));
        for (int64_t t = 0; t < p->n_trials; t++) {
            if (p->study_of[t] != i) continue;
            rc = hpt__import_trial(p->in, index, &p->trials[t], -1);
            if (rc == HPT_E_INCOMPATIBLE)
                rc = hpt__fail_prefix(rc, "'%s', study '%s', trial %lld", p->in->path, st->name,
                                      (long long)p->in->studies[index].next);
            if (rc < 0) goto out;
        }
    }
out:
    return rc;
}

int hpt__read_journal(hpt__import *in) {
    replay p = {.in = in};
    hpt__arena_init(&p.texts);
    hpt__map_init(&p.interned);
    int rc = replay_file(&p);
    if (rc >= 0) rc = hand_over(&p);
    for (int64_t i = 0; i < p.cap_trials; i++) hpt__record_fini(&p.trials[i]);
    for (int64_t i = 0; i < p.n_studies; i++) {
        hpt__record_fini(&p.studies[i].attrs);
        hpt__map_fini(&p.studies[i].first);
    }
    hpt__free(p.studies);
    hpt__free(p.trials);
    hpt__free(p.study_of);
    hpt__free(p.firsts);
    hpt__map_fini(&p.interned);
    hpt__arena_fini(&p.texts);
    return rc;
}
