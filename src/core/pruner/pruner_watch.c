// SPDX-License-Identifier: Apache-2.0
// pruner_watch.c: which trials finished since the last look; sorted numbers; the rule of intervals.
//
// Whether anything changed is seen from the table's counts: as many finished as listed, as many rows as before, and as
// many running as the list of open rows has. If not, the rows from the first unfinished one on are gone through. A
// waiting trial is of interest only if it is a repetition that brings reports or rungs along; the thousands that a user
// may have queued are looked at once.
//
// Threads: one call at a time. Cost: O(open rows) a look; O(rows from the first open one) bytes when a trial came or
// ended. Ranks: a binary search; adding moves what is larger, a microsecond at 10,000 numbers.
#include "pruner_watch.h"
#include "../base/alloc.h"

#include <string.h>

enum { UNKNOWN, DONE, IDLE };

void hpt__watch_fini(hpt__watch *w) {
    hpt__free(w->done);
    hpt__free(w->open);
    hpt__free(w->known);
    *w = (hpt__watch){0};
}

static bool up_to_date(const hpt__watch *w, const hpt__trials *t) {
    const int64_t n_finished = t->counts[HPT_TRIAL_COMPLETE] + t->counts[HPT_TRIAL_PRUNED] + t->counts[HPT_TRIAL_FAIL];
    if (t->n != w->n_rows || n_finished != w->n_done) return false;
    int64_t n_running = 0;
    for (int64_t i = 0; i < w->n_open; i++) n_running += t->state[w->open[i]] == HPT_TRIAL_RUNNING;
    return n_running == t->counts[HPT_TRIAL_RUNNING];
}

static int push(int64_t **list, int64_t *n, int64_t *cap, int64_t row) {
    int rc = hpt__grow(list, cap, *n + 1, sizeof **list);
    if (rc < 0) return rc;
    (*list)[(*n)++] = row;
    return 0;
}

static int reserve_known(hpt__watch *w, int64_t n) {
    const int64_t had = w->cap_known;
    int rc = hpt__grow(&w->known, &w->cap_known, n, sizeof *w->known);
    if (rc < 0) return rc;
    if (w->cap_known > had) memset(w->known + had, UNKNOWN, (size_t)(w->cap_known - had));
    return 0;
}

int hpt__watch_update(hpt__watch *w, const hpt__trials *t) {
    if (up_to_date(w, t)) return 0;
    int rc = reserve_known(w, t->n);
    for (int64_t row = t->n; row < w->n_rows; row++) w->known[row] = UNKNOWN; // rows that were taken back
    if (w->first > t->n) w->first = t->n;
    w->n_rows = -1; // until this is through
    w->n_open = 0;
    for (int64_t row = w->first; rc >= 0 && row < t->n; row++) {
        const hpt_trial_state state = (hpt_trial_state)t->state[row];
        if (w->known[row] == DONE || (w->known[row] == IDLE && state == HPT_TRIAL_WAITING)) continue;
        if (state != HPT_TRIAL_RUNNING && state != HPT_TRIAL_WAITING) {
            rc = push(&w->done, &w->n_done, &w->cap_done, row);
            if (rc >= 0) w->known[row] = DONE;
        } else if (state == HPT_TRIAL_WAITING && t->info[row].n_reports == 0 &&
                   !hpt__trials_attr(t, row, "s:completed_rung_0")) {
            w->known[row] = IDLE;
        } else {
            w->known[row] = UNKNOWN;
            rc = push(&w->open, &w->n_open, &w->cap_open, row);
        }
    }
    if (rc < 0) {
        w->n_open = 0;
        return rc;
    }
    while (w->first < t->n && w->known[w->first] == DONE) w->first++;
    w->n_rows = t->n;
    return 0;
}

void hpt__ranks_fini(hpt__ranks *r) {
    hpt__free(r->values);
    *r = (hpt__ranks){0};
}

int64_t hpt__ranks_below(const hpt__ranks *r, double v) {
    int64_t lo = 0, hi = r->n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (r->values[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int hpt__ranks_add(hpt__ranks *r, double v) {
    int rc = hpt__grow(&r->values, &r->cap, r->n + 1, sizeof *r->values);
    if (rc < 0) return rc;
    const int64_t at = hpt__ranks_below(r, v);
    memmove(r->values + at + 1, r->values + at, (size_t)(r->n - at) * sizeof *r->values);
    r->values[at] = v;
    r->n++;
    return 0;
}

bool hpt__first_in_interval(const hpt__trial_info *info, int64_t warmup, int64_t interval) {
    const int64_t step = info->reports[info->n_reports - 1].step;
    if (step < warmup) return false;
    const int64_t before = info->n_reports > 1 ? info->reports[info->n_reports - 2].step : -1;
    return before < (step - warmup) / interval * interval + warmup;
}

int64_t hpt__longest_complete(const hpt__trials *t) {
    int64_t longest = -1;
    for (int64_t row = 0; row < t->n; row++) {
        const hpt__trial_info *info = &t->info[row];
        if (t->state[row] != HPT_TRIAL_COMPLETE || info->n_reports == 0) continue;
        if (info->reports[info->n_reports - 1].step > longest) longest = info->reports[info->n_reports - 1].step;
    }
    return longest;
}
