// SPDX-License-Identifier: Apache-2.0
// trials.c: the columnar table of a study's trials.
//
// Growth is geometric and shared by all columns (one capacity), so appending a row costs amortised O(c). A column made
// late (a parameter that only a foreign trial has) starts with NaN for all rows before. `best` is kept incrementally:
// finished trials never change, so one comparison at each finish is enough; only taking rows back (a storage whose commit
// failed) looks at all rows again. A write of what is there already does not count as a change: `version` is what
// samplers keep their caches by, and a storage that re-reads a running trial mostly finds nothing new.
//
// A mirror is a second table that follows the first: what samplers read while the first one goes on (study_ask.c).
// Changed rows carry a mark, so that following costs a look at n bytes and a copy of what changed, not of everything.
//
// Ownership: the table owns everything it points at but the space. Threads: none; the study's lock guards it.
#include "trials.h"
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct {
    hpt_trial_state state;
    const char *name;
} STATES[] = {{HPT_TRIAL_RUNNING, "RUNNING"},
              {HPT_TRIAL_COMPLETE, "COMPLETE"},
              {HPT_TRIAL_PRUNED, "PRUNED"},
              {HPT_TRIAL_FAIL, "FAIL"},
              {HPT_TRIAL_WAITING, "WAITING"}};
enum { N_STATES = sizeof STATES / sizeof STATES[0] };

const char *hpt_trial_state_to_string(hpt_trial_state state) {
    for (int i = 0; i < N_STATES; i++)
        if (STATES[i].state == state) return STATES[i].name;
    return "?";
}

int hpt_trial_state_from_string(hpt_trial_state *out, const char *text) {
    for (int i = 0; text && i < N_STATES; i++) {
        if (strcasecmp(text, STATES[i].name) == 0) {
            *out = STATES[i].state;
            return HPT_OK;
        }
    }
    return hpt__fail(HPT_E_ARG, "'%s' is no trial state; choose one of RUNNING, COMPLETE, PRUNED, FAIL, WAITING",
                     text ? text : "(null)");
}

static void column_fini(hpt__column *c) {
    hpt__free(c->name);
    hpt__free(c->values);
    hpt__free(c->dist_json);
}

static void info_fini(hpt__trial_info *info) {
    hpt__free(info->reports);
    for (int64_t i = 0; i < info->n_attrs; i++) {
        hpt__free(info->attr_keys[i]);
        hpt__free(info->attr_values[i]);
    }
    hpt__free(info->attr_keys);
    hpt__free(info->attr_values);
}

// Appends a column of NaN for the rows there are. On failure the table is unchanged.
static int add_column(hpt__trials *t, const char *name) {
    hpt__column c = {0};
    hpt__column *columns = hpt__realloc(t->columns, (size_t)(t->n_columns + 1) * sizeof *columns);
    if (!columns) return hpt__fail_memory();
    t->columns = columns;
    c.name = hpt__strdup(name);
    c.values = t->cap ? hpt__malloc((size_t)t->cap * sizeof *c.values) : NULL;
    if (!c.name || (t->cap && !c.values) || hpt__map_set(&t->column_by_name, name, strlen(name), t->n_columns) < 0) {
        column_fini(&c);
        return hpt__fail_memory();
    }
    for (int64_t i = 0; i < t->n; i++) c.values[i] = NAN;
    t->columns[t->n_columns++] = c;
    return HPT_OK;
}

int hpt__trials_init(hpt__trials *t, const hpt_space *space, int64_t n_objectives, hpt_direction first) {
    *t = (hpt__trials){0};
    t->space = space;
    t->d = space ? space->d : 0;
    t->k = n_objectives;
    t->direction[0] = first;
    t->best = -1;
    t->max_grid_id = -1;
    t->dense = true;
    hpt__map_init(&t->column_by_name);
    hpt__map_init(&t->row_by_number);
    for (int64_t i = 0; i < t->d; i++) {
        if (add_column(t, space->params[i].name) < 0) {
            hpt__trials_fini(t);
            return hpt__fail_memory();
        }
    }
    return HPT_OK;
}

void hpt__trials_fini(hpt__trials *t) {
    for (int64_t i = 0; i < t->n_columns; i++) column_fini(&t->columns[i]);
    for (int64_t i = 0; i < t->n; i++) info_fini(&t->info[i]);
    hpt__free(t->columns);
    hpt__free(t->state);
    hpt__free(t->values);
    hpt__free(t->number);
    hpt__free(t->info);
    hpt__free(t->changed);
    hpt__map_fini(&t->column_by_name);
    hpt__map_fini(&t->row_by_number);
    *t = (hpt__trials){0};
}

static int map_number(hpt__trials *t, int64_t number, int64_t row) {
    return hpt__map_set(&t->row_by_number, (const char *)&number, sizeof number, row);
}

int64_t hpt__trials_row_of(const hpt__trials *t, int64_t number) {
    int64_t row;
    if (t->dense) return number >= 0 && number < t->n ? number : -1;
    return hpt__map_get(&row, &t->row_by_number, (const char *)&number, sizeof number) ? row : -1;
}

// Every array is grown before `cap` is raised, so that a failure in between leaves a table that is whole.
static int reserve(hpt__trials *t, int64_t need) {
    if (need <= t->cap) return HPT_OK;
    int64_t cap = t->cap + t->cap / 2 + 16;
    if (cap < need) cap = need;
    const size_t n = (size_t)cap;
    void *p;
    for (int64_t i = 0; i < t->n_columns; i++) {
        if (!(p = hpt__realloc(t->columns[i].values, n * sizeof(double)))) return hpt__fail_memory();
        t->columns[i].values = p;
    }
    if (!(p = hpt__realloc(t->state, n * sizeof *t->state))) return hpt__fail_memory();
    t->state = p;
    if (!(p = hpt__realloc(t->values, n * (size_t)(t->k > 0 ? t->k : 1) * sizeof *t->values)))
        return hpt__fail_memory();
    t->values = p;
    if (!(p = hpt__realloc(t->number, n * sizeof *t->number))) return hpt__fail_memory();
    t->number = p;
    if (!(p = hpt__realloc(t->info, n * sizeof *t->info))) return hpt__fail_memory();
    t->info = p;
    if (!(p = hpt__realloc(t->changed, n * sizeof *t->changed))) return hpt__fail_memory();
    t->changed = p;
    t->cap = cap;
    return HPT_OK;
}

void hpt__trials_touch(hpt__trials *t, int64_t row) {
    t->changed[row] = 1;
    t->version++;
}

int hpt__trials_add(int64_t *row, hpt__trials *t, int64_t number, int64_t trial_id, hpt_trial_state state) {
    int rc = reserve(t, t->n + 1);
    if (rc < 0) return rc;
    const int64_t r = t->n;
    if (t->dense && number != r) { // from now on numbers are looked up
        for (int64_t i = 0; i < r; i++)
            if (map_number(t, t->number[i], i) < 0) return hpt__fail_memory();
        t->dense = false;
    }
    if (!t->dense && map_number(t, number, r) < 0) return hpt__fail_memory();
    for (int64_t i = 0; i < t->n_columns; i++) t->columns[i].values[r] = NAN;
    for (int64_t i = 0; i < t->k; i++) t->values[r * t->k + i] = NAN;
    t->state[r] = (uint8_t)state;
    t->number[r] = number;
    t->info[r] =
        (hpt__trial_info){.trial_id = trial_id, .start_us = INT64_MIN, .complete_us = INT64_MIN, .grid_id = -1};
    t->counts[state]++;
    t->n = r + 1;
    hpt__trials_touch(t, r);
    *row = r;
    return HPT_OK;
}

// Whether row a is the better trial. Equal values: the smaller number, whichever was told first.
static bool beats(const hpt__trials *t, int64_t a, int64_t b) {
    const double x = t->values[a], y = t->values[b];
    if (x == y) return t->number[a] < t->number[b];
    return t->direction[0] == HPT_MAXIMIZE ? x > y : x < y;
}

static void consider_best(hpt__trials *t, int64_t row) {
    if (t->k != 1 || t->state[row] != HPT_TRIAL_COMPLETE || isnan(t->values[row])) return;
    if (t->best < 0 || beats(t, row, t->best)) t->best = row;
}

void hpt__trials_truncate(hpt__trials *t, int64_t n) {
    bool lost_grid_id = false;
    while (t->n > n) {
        const int64_t r = --t->n;
        t->counts[t->state[r]]--;
        if (!t->dense) hpt__map_remove(&t->row_by_number, (const char *)&t->number[r], sizeof t->number[r]);
        lost_grid_id |= t->info[r].grid_id >= 0 && t->info[r].grid_id == t->max_grid_id;
        info_fini(&t->info[r]);
        t->version++;
    }
    if (n < t->n_mirrored) t->n_mirrored = n;
    if (t->best >= n) {
        t->best = -1;
        for (int64_t r = 0; r < n; r++) consider_best(t, r);
    }
    if (lost_grid_id) {
        t->max_grid_id = -1;
        for (int64_t r = 0; r < n; r++)
            if (t->info[r].grid_id > t->max_grid_id) t->max_grid_id = t->info[r].grid_id;
    }
}

void hpt__trials_set_point(hpt__trials *t, int64_t row, const double *point) {
    for (int64_t i = 0; i < t->d; i++) t->columns[i].values[row] = point[i];
    hpt__trials_touch(t, row);
}

void hpt__trials_get_point(double *point, const hpt__trials *t, int64_t row) {
    for (int64_t i = 0; i < t->d; i++) point[i] = t->columns[i].values[row];
}

static bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

int hpt__trials_set_param(hpt__trials *t, int64_t row, const char *name, double internal, const char *dist_json) {
    int64_t c;
    if (!hpt__map_get(&c, &t->column_by_name, name, strlen(name))) {
        const int rc = add_column(t, name);
        if (rc < 0) return rc;
        c = t->n_columns - 1;
    }
    hpt__column *column = &t->columns[c];
    if (c >= t->d && dist_json && !(column->dist_json && strcmp(column->dist_json, dist_json) == 0)) {
        char *copy = hpt__strdup(dist_json);
        if (!copy) return hpt__fail_memory();
        hpt__free(column->dist_json);
        column->dist_json = copy;
    }
    if (!same_bits(column->values[row], internal)) {
        column->values[row] = internal;
        hpt__trials_touch(t, row);
    }
    return HPT_OK;
}

void hpt__trials_set_state(hpt__trials *t, int64_t row, hpt_trial_state state) {
    t->counts[t->state[row]]--;
    t->counts[state]++;
    t->state[row] = (uint8_t)state;
    hpt__trials_touch(t, row);
}

void hpt__trials_finish(hpt__trials *t, int64_t row, hpt_trial_state state, const double *values, int64_t complete_us) {
    hpt__trials_set_state(t, row, state);
    t->info[row].complete_us = complete_us;
    for (int64_t i = 0; i < t->k; i++) t->values[row * t->k + i] = values ? values[i] : NAN;
    consider_best(t, row);
}

int hpt__trials_report(hpt__trials *t, int64_t row, int64_t step, double value) {
    hpt__trial_info *info = &t->info[row];
    int64_t at = info->n_reports; // steps mostly grow: look from the end
    while (at > 0 && info->reports[at - 1].step > step) at--;
    if (at > 0 && info->reports[at - 1].step == step) {
        if (same_bits(info->reports[at - 1].value, value)) return HPT_OK;
        info->reports[at - 1].value = value;
    } else {
        int rc = hpt__grow(&info->reports, &info->cap_reports, info->n_reports + 1, sizeof *info->reports);
        if (rc < 0) return rc;
        memmove(info->reports + at + 1, info->reports + at, (size_t)(info->n_reports - at) * sizeof *info->reports);
        info->reports[at] = (hpt__report){step, value};
        info->n_reports++;
    }
    hpt__trials_touch(t, row);
    return HPT_OK;
}

// The grid's number is read by a sampler for every row, so it is kept beside its text.
static void note_attr(hpt__trials *t, int64_t row, const char *key, const char *json) {
    int64_t id;
    if (strcmp(key, "s:hpt:grid_id") != 0 || !hpt__parse_int(&id, json, strlen(json)) || id < 0) return;
    t->info[row].grid_id = id;
    if (id > t->max_grid_id) t->max_grid_id = id;
}

int hpt__trials_set_attr(hpt__trials *t, int64_t row, const char *key, const char *json) {
    hpt__trial_info *info = &t->info[row];
    int64_t i = 0;
    while (i < info->n_attrs && strcmp(info->attr_keys[i], key) != 0) i++;
    if (i < info->n_attrs && strcmp(info->attr_values[i], json) == 0) return HPT_OK;
    char *value = hpt__strdup(json);
    if (!value) return hpt__fail_memory();
    if (i == info->n_attrs) {
        const size_t n = (size_t)(info->n_attrs + 1);
        char **keys = hpt__realloc(info->attr_keys, n * sizeof *keys);
        if (keys) info->attr_keys = keys;
        char **values = keys ? hpt__realloc(info->attr_values, n * sizeof *values) : NULL;
        if (values) info->attr_values = values;
        char *copy = values ? hpt__strdup(key) : NULL;
        if (!copy) {
            hpt__free(value);
            return hpt__fail_memory();
        }
        info->attr_keys[i] = copy;
        info->attr_values[i] = NULL;
        info->n_attrs++;
    }
    hpt__free(info->attr_values[i]);
    info->attr_values[i] = value;
    note_attr(t, row, key, json);
    hpt__trials_touch(t, row);
    return HPT_OK;
}

const char *hpt__trials_attr(const hpt__trials *t, int64_t row, const char *key) {
    const hpt__trial_info *info = &t->info[row];
    for (int64_t i = 0; i < info->n_attrs; i++)
        if (strcmp(info->attr_keys[i], key) == 0) return info->attr_values[i];
    return NULL;
}

double hpt__trials_last_report(const hpt__trials *t, int64_t row, int64_t *step) {
    const hpt__trial_info *info = &t->info[row];
    *step = info->n_reports ? info->reports[info->n_reports - 1].step : -1;
    return info->n_reports ? info->reports[info->n_reports - 1].value : NAN;
}

// ---- mirror

static int mirror_columns(hpt__trials *to, const hpt__trials *from) {
    for (int64_t c = to->n_columns; c < from->n_columns; c++) {
        const int rc = add_column(to, from->columns[c].name);
        if (rc < 0) return rc;
    }
    return HPT_OK;
}

static int mirror_row(hpt__trials *to, const hpt__trials *from, int64_t row) {
    int rc = HPT_OK;
    const hpt__trial_info *a = &from->info[row];
    hpt__trial_info *b = &to->info[row];
    HPT_TRY(hpt__grow(&b->reports, &b->cap_reports, a->n_reports, sizeof *b->reports));
    if (a->n_reports > 0) memcpy(b->reports, a->reports, (size_t)a->n_reports * sizeof *b->reports);
    b->n_reports = a->n_reports;
    for (int64_t i = 0; i < a->n_attrs; i++) HPT_TRY(hpt__trials_set_attr(to, row, a->attr_keys[i], a->attr_values[i]));
    for (int64_t c = 0; c < from->n_columns; c++) to->columns[c].values[row] = from->columns[c].values[row];
    b->trial_id = a->trial_id;
    b->start_us = a->start_us;
    b->foreign = a->foreign;
    hpt__trials_finish(to, row, (hpt_trial_state)from->state[row], from->values + row * from->k, a->complete_us);
out:
    return rc;
}

int hpt__trials_mirror(hpt__trials *to, hpt__trials *from) {
    int rc = mirror_columns(to, from);
    if (rc < 0) return rc;
    if (to->n > from->n_mirrored) hpt__trials_truncate(to, from->n_mirrored);
    for (int64_t row = 0; row < from->n; row++) {
        const uint8_t *next = memchr(from->changed + row, 1, (size_t)(from->n - row));
        if (!next) break;
        row = next - from->changed;
        if (row >= to->n) { // rows beyond the mirror are new, hence marked, hence met in order
            int64_t at;
            HPT_TRY(hpt__trials_add(&at, to, from->number[row], from->info[row].trial_id,
                                    (hpt_trial_state)from->state[row]));
        }
        HPT_TRY(mirror_row(to, from, row));
        from->changed[row] = 0;
        if (row >= from->n_mirrored) from->n_mirrored = row + 1;
    }
    rc = HPT_OK;
out:
    return rc;
}
