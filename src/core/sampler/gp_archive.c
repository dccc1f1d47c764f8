// SPDX-License-Identifier: Apache-2.0
// gp_archive.c: which trials a Gaussian process learns from, and with what value.
//
//   complete   its value (maximised objectives negated); infinities are the surrogate's business
//   pruned     its last report, but no better than the median of the complete values: the pruner compared it with others at
//              its step and found it wanting, and a report of an early step says little about the end. Without a report
//              as a failed one that counts as the worst
//   failed     impute.failed: worst: the worst complete value up to the fence (gp.h) behind which the surrogate takes all
//              for alike; best, latest: the best or last of its own reports, without one the worst; none: left out, though
//              not asked again
//   running    a pending point, whatever impute.running says
// Imputed values move with what is told later. Trials with parameters missing or outside the space (another program's) are
// left out entirely: they have no point.
//
// Order: by the time of completion, then by row. Trials that finished between two asks thus enter in the order in which a
// process that was there all the time saw them, so that a resumed study makes the same factor.
//
// Finished trials do not change. Ownership: owns its arrays; code and table are borrowed. Threads: one at a time.
// Cost: a byte a row and ask, O(d) codec calls for what is new, O(n log n) where values are imputed and something is new.
#include "gp_archive.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int hpt__gp_archive_init(hpt__gp_archive *a, const hpt__gp_code *code, double sign, hpt__tpe_impute failed) {
    *a = (hpt__gp_archive){.code = code, .sign = sign, .failed = failed};
    a->point = hpt__malloc((size_t)(code->space->d + 1) * sizeof *a->point);
    return a->point ? 0 : hpt__fail_memory();
}

void hpt__gp_archive_fini(hpt__gp_archive *a) {
    hpt__free(a->rows);
    hpt__free(a->masks);
    hpt__free(a->y);
    hpt__free(a->own);
    hpt__free(a->kind);
    hpt__free(a->number);
    hpt__free(a->pending_rows);
    hpt__free(a->pending_masks);
    hpt__free(a->pending_number);
    hpt__free(a->in);
    hpt__free(a->point);
    hpt__free(a->fresh);
    hpt__free(a->scratch);
    *a = (hpt__gp_archive){0};
}

// ---- values

static double report_of(const hpt__gp_archive *a, const hpt__trials *t, int64_t row) {
    const hpt__trial_info *info = &t->info[row];
    if (t->state[row] == HPT_TRIAL_PRUNED) {
        int64_t step;
        const double v = a->sign * hpt__trials_last_report(t, row, &step);
        return isfinite(v) ? v : NAN;
    }
    double value = NAN;
    if (a->failed == HPT__TPE_IMPUTE_WORST) return value;
    for (int64_t i = info->n_reports - 1; i >= 0; i--) {
        const double v = a->sign * info->reports[i].value;
        if (!isfinite(v)) continue;
        if (a->failed == HPT__TPE_IMPUTE_LATEST) return v;
        if (isnan(value) || v < value) value = v;
    }
    return value;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int impute(bool *moved, hpt__gp_archive *a) {
    if (a->n_imputed == 0) return 0;
    int rc = hpt__grow(&a->scratch, &a->cap_scratch, a->n + 1, sizeof *a->scratch);
    if (rc < 0) return rc;
    int64_t m = 0;
    for (int64_t i = 0; i < a->n; i++)
        if (a->kind[i] == HPT__GP_TOLD && isfinite(a->y[i])) a->scratch[m++] = a->y[i];
    if (m == 0) // nothing complete: the worst of what imputed ones reported
        for (int64_t i = 0; i < a->n; i++)
            if (!isnan(a->own[i])) a->scratch[m++] = a->own[i];
    if (m == 0) a->scratch[m++] = 0;
    const double fence = hpt__gp_fence(a->scratch, m); // reorders
    qsort(a->scratch, (size_t)m, sizeof *a->scratch, ascending);
    const double median = a->scratch[m / 2];
    while (a->scratch[m - 1] > fence) m--;
    const double worst = a->scratch[m - 1];
    for (int64_t i = 0; i < a->n; i++) {
        if (a->kind[i] != HPT__GP_PRUNED && a->kind[i] != HPT__GP_FAILED) continue;
        const double own = a->own[i];
        const double y = isnan(own) ? worst : a->kind[i] == HPT__GP_PRUNED ? fmax(own, median) : own;
        if (y == a->y[i]) continue;
        a->y[i] = y;
        *moved = true;
    }
    return 0;
}

// ---- points

static bool legal_point(hpt__gp_archive *a, const hpt__trials *t, int64_t row) {
    int64_t bad;
    hpt__trials_get_point(a->point, t, row);
    return hpt__space_check(a->code->space, a->point, &bad);
}

static int append(hpt__gp_archive *a, const hpt__trials *t, int64_t row) {
    const int64_t d = a->code->cov.d, at = a->n;
    const bool complete = t->state[row] == HPT_TRIAL_COMPLETE, failed = t->state[row] == HPT_TRIAL_FAIL;
    if (complete && isnan(t->values[row * t->k])) return 0;
    int rc = 0;
    HPT_TRY(hpt__grow(&a->rows, &a->cap_rows, (at + 1) * d, sizeof *a->rows));
    HPT_TRY(hpt__grow(&a->masks, &a->cap_masks, at + 1, sizeof *a->masks));
    HPT_TRY(hpt__grow(&a->y, &a->cap_y, at + 1, sizeof *a->y));
    HPT_TRY(hpt__grow(&a->own, &a->cap_own, at + 1, sizeof *a->own));
    HPT_TRY(hpt__grow(&a->kind, &a->cap_kind, at + 1, sizeof *a->kind));
    HPT_TRY(hpt__grow(&a->number, &a->cap_number, at + 1, sizeof *a->number));
    hpt__gp_encode(a->rows + at * d, &a->masks[at], a->code, a->point);
    a->number[at] = t->number[row];
    a->own[at] = complete ? NAN : report_of(a, t, row);
    a->y[at] = complete ? a->sign * t->values[row * t->k] : NAN;
    a->kind[at] = complete                            ? HPT__GP_TOLD
                  : !failed                           ? HPT__GP_PRUNED
                  : a->failed == HPT__TPE_IMPUTE_NONE ? HPT__GP_LEFT_OUT
                                                      : HPT__GP_FAILED;
    a->n_told += complete;
    a->n_imputed += a->kind[at] == HPT__GP_PRUNED || a->kind[at] == HPT__GP_FAILED;
    a->n++;
out:
    return rc;
}

static int pend(hpt__gp_archive *a, const hpt__trials *t, int64_t row) {
    const int64_t d = a->code->cov.d, at = a->n_pending;
    int rc = 0;
    HPT_TRY(hpt__grow(&a->pending_rows, &a->cap_pending_rows, (at + 1) * d, sizeof *a->pending_rows));
    HPT_TRY(hpt__grow(&a->pending_masks, &a->cap_pending_masks, at + 1, sizeof *a->pending_masks));
    HPT_TRY(hpt__grow(&a->pending_number, &a->cap_pending, at + 1, sizeof *a->pending_number));
    hpt__gp_encode(a->pending_rows + at * d, &a->pending_masks[at], a->code, a->point);
    a->pending_number[at] = t->number[row];
    a->n_pending++;
    a->n_provisional += t->info[row].trial_id < 0;
out:
    return rc;
}

// ---- the table

static int64_t finish_time(const hpt__trials *t, int64_t row) {
    return t->info[row].complete_us;
}

// Few and nearly sorted: insertion.
static void sort_fresh(int64_t *fresh, int64_t n, const hpt__trials *t) {
    for (int64_t i = 1; i < n; i++) {
        const int64_t row = fresh[i];
        int64_t at = i;
        for (; at > 0 && finish_time(t, fresh[at - 1]) > finish_time(t, row); at--) fresh[at] = fresh[at - 1];
        fresh[at] = row;
    }
}

int hpt__gp_archive_sync(bool *reset, bool *moved, hpt__gp_archive *a, const hpt__trials *t, int64_t number) {
    int rc = 0;
    int64_t n_fresh = 0;
    *moved = false;
    *reset = a->table && a->table != t;
    if (*reset) {
        a->n = a->n_told = a->n_imputed = 0;
        if (a->cap_in > 0) memset(a->in, 0, (size_t)a->cap_in);
    }
    a->table = t;
    a->n_pending = a->n_provisional = 0;
    const int64_t cap_before = a->cap_in;
    HPT_TRY(hpt__grow(&a->in, &a->cap_in, t->n + 1, sizeof *a->in));
    if (a->cap_in > cap_before) memset(a->in + cap_before, 0, (size_t)(a->cap_in - cap_before));
    for (int64_t row = 0; row < t->n; row++) {
        if (a->in[row] || t->number[row] == number) continue;
        // One that waits with a whole point (a retry, a suggestion asked ahead) will run as surely as one that does.
        if (t->state[row] == HPT_TRIAL_RUNNING || t->state[row] == HPT_TRIAL_WAITING) {
            if (legal_point(a, t, row)) HPT_TRY(pend(a, t, row));
            continue;
        }
        HPT_TRY(hpt__grow(&a->fresh, &a->cap_fresh, n_fresh + 1, sizeof *a->fresh));
        a->fresh[n_fresh++] = row;
    }
    sort_fresh(a->fresh, n_fresh, t);
    for (int64_t i = 0; i < n_fresh; i++) {
        a->stale = true;
        if (legal_point(a, t, a->fresh[i])) HPT_TRY(append(a, t, a->fresh[i]));
        a->in[a->fresh[i]] = 1;
    }
    if (a->stale) HPT_TRY(impute(moved, a));
    a->stale = false;
    rc = 0;
out:
    return rc;
}
