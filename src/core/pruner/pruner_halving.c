// SPDX-License-Identifier: Apache-2.0
// pruner_halving.c: asynchronous successive halving that stops instead of pausing (Li et al., "A System for Massively
// Parallel Hyperparameter Tuning", MLSys 2020), with the decisions of Optuna's SuccessiveHalvingPruner.
//
// Rung k lies at step min_resource * eta^(rate + k). A trial's rung is the number of rungs it was judged at. When its
// largest step has reached the next one:
//   - its report there is NaN: it stops, and nothing is noted;
//   - the report becomes the trial's attribute "completed_rung_<k>" and competes with those of all other trials,
//     running ones too. n values with its own: the trial stops if n <= bootstrap_count, or if max(1, floor(n / eta)) or
//     more of the others are strictly better (so among fewer than 2 eta only the best so far passes);
//   - else the next rung is judged in the same call, with the same report.
// min_resource 0: a hundredth of the longest completed trial's last step, at least 1, as soon as one completed; fixed
// from then on in this process.
//
// Finished trials are read once per rung into sorted numbers; the attributes of open trials, which other processes may
// write, each time. That happens only at a rung: a look in between costs one comparison.
// A rung value that is not a number (another program's) counts as the worst.
//
// Ownership: the caller's struct owns the rungs. If memory ends, the trial goes on and the rung is judged at the next
// report. Threads: one call at a time. Cost: at a rung O(open trials * attributes + log n), else O(attributes).
#include "pruner_halving.h"
#include "../base/alloc.h"
#include "../base/num.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEY_SIZE = 40 };
static const char RUNG_PREFIX[] = "s:completed_rung_";

// "s:completed_rung_<k>": the table's key; the note's lacks the first two bytes.
static void rung_key(char key[KEY_SIZE], int64_t k) {
    snprintf(key, KEY_SIZE, "%s%lld", RUNG_PREFIX, (long long)k);
}

void hpt__halving_fini(hpt__halving *h) {
    for (int64_t i = 0; i < h->n_rungs; i++) hpt__ranks_fini(&h->rungs[i]);
    hpt__free(h->rungs);
    *h = (hpt__halving){0};
}

// The first rung that the trial lacks. In one pass, since every look asks: bit k stands for rung k. Beyond 63 lies
// none.
static int64_t current_rung(const hpt__trials *table, int64_t row) {
    const hpt__trial_info *info = &table->info[row];
    uint64_t has = 0;
    for (int64_t i = 0; i < info->n_attrs; i++) {
        const char *key = info->attr_keys[i];
        int64_t k;
        if (strncmp(key, RUNG_PREFIX, sizeof RUNG_PREFIX - 1) != 0) continue;
        key += sizeof RUNG_PREFIX - 1;
        if (hpt__parse_int(&k, key, strlen(key)) && k >= 0 && k < 64) has |= UINT64_C(1) << k;
    }
    int64_t k = 0;
    while (k < 64 && has >> k & 1) k++;
    return k;
}

// sign * value of a trial at a rung; false if it has none.
static bool rung_value(double *out, const hpt__trials *table, int64_t row, const char *key, double sign) {
    double v;
    const char *json = hpt__trials_attr(table, row, key);
    if (!json) return false;
    if (!hpt__parse_double(&v, json, strlen(json), true) || isnan(v)) v = sign * INFINITY;
    *out = sign * v;
    return true;
}

static bool find_min_resource(hpt__halving *h, const hpt__trials *table) {
    if (h->min_resource > 0) return true;
    if (table->counts[HPT_TRIAL_COMPLETE] == h->n_complete_seen) return false;
    h->n_complete_seen = table->counts[HPT_TRIAL_COMPLETE];
    const int64_t longest = hpt__longest_complete(table);
    if (longest < 0) return false;
    h->min_resource = longest / 100 > 1 ? longest / 100 : 1;
    return true;
}

// Step of a rung; false if it lies beyond every step.
static bool rung_step(int64_t *out, const hpt__halving *h, int64_t k) {
    int64_t step = h->min_resource;
    for (int64_t i = 0; i < h->rate + k; i++) {
        if (step > INT64_MAX / h->reduction_factor) return false;
        step *= h->reduction_factor;
    }
    *out = step;
    return true;
}

// The finished trials' values at rung k, up to date; NULL when out of memory.
static const hpt__ranks *catch_up(hpt__halving *h, const hpt__watch *w, const hpt__trials *table, int64_t k,
                                  const char *key, hpt__halving_member member, const void *payload) {
    while (h->n_rungs <= k) {
        if (hpt__grow(&h->rungs, &h->cap_rungs, h->n_rungs + 1, sizeof *h->rungs) < 0) return NULL;
        h->rungs[h->n_rungs++] = (hpt__ranks){0};
    }
    hpt__ranks *r = &h->rungs[k];
    for (; r->upto < w->n_done; r->upto++) {
        const int64_t row = w->done[r->upto];
        double v;
        if (row >= table->n || !rung_value(&v, table, row, key, h->sign)) continue;
        if (member && !member(payload, table->number[row])) continue;
        if (hpt__ranks_add(r, v) < 0) return NULL;
    }
    return r;
}

bool hpt__halving_judge(hpt__halving *h, hpt__watch *w, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes,
                        hpt__halving_member member, const void *payload) {
    const hpt__trial_info *info = &table->info[row];
    if (info->n_reports == 0 || !find_min_resource(h, table)) return false;
    const hpt__report last = info->reports[info->n_reports - 1];
    for (int64_t k = current_rung(table, row);; k++) {
        char key[KEY_SIZE];
        int64_t step;
        if (!rung_step(&step, h, k) || last.step < step) return false;
        if (isnan(last.value)) return true;
        if (hpt__watch_update(w, table) < 0 || notes->n == HPT__PRUNER_NOTES_MAX) return false;
        rung_key(key, k);
        const hpt__ranks *finished = catch_up(h, w, table, k, key, member, payload);
        if (!finished) return false;
        const double own = h->sign * last.value;
        int64_t n = finished->n + 1, n_better = hpt__ranks_below(finished, own);
        for (int64_t i = 0; i < w->n_open; i++) {
            double v;
            if (!rung_value(&v, table, w->open[i], key, h->sign)) continue;
            if (member && !member(payload, table->number[w->open[i]])) continue;
            n++;
            n_better += v < own;
        }
        memcpy(notes->items[notes->n].key, key + 2, sizeof key - 2);
        notes->items[notes->n++].value = last.value;
        const int64_t n_pass = n / h->reduction_factor > 1 ? n / h->reduction_factor : 1;
        if (n <= h->bootstrap_count || n_better >= n_pass) return true;
    }
}
