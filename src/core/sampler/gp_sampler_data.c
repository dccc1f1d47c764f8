// SPDX-License-Identifier: Apache-2.0
// gp_sampler_data.c: what the model of sampler gp is told: all told trials, or those that gp_policy.c chooses.
//
// Ownership and threads: those of the sampler. Cost: O(n^2) a new trial and what the schedule of the fit adds.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "gp_policy.h"
#include "gp_sampler.h"

#include <math.h>
#include <string.h>

// Appends entries of the archive to the model: a run of neighbours in one call.
static int tell(hpt__gp_sampler *s, const int64_t *which, int64_t n) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int rc = hpt__grow(&s->in_model, &s->cap_model, s->n_model + n, sizeof *s->in_model);
    if (rc < 0) return rc;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && which[j] == which[j - 1] + 1;) j++;
        rc = hpt__gp_tell(s->gp, a->rows + which[i] * d, &a->masks[which[i]], &a->y[which[i]], j - i);
        if (rc < 0) return rc;
        s->n_pending = 0;
        memcpy(s->in_model + s->n_model, which + i, (size_t)(j - i) * sizeof *which);
        s->n_model += j - i;
    }
    return 0;
}

// Tells the archive's entries from s->upto to n.
int hpt__gp_sampler_tell_upto(hpt__gp_sampler *s, int64_t n) {
    int rc = 0;
    int64_t *which = NULL, m = 0;
    if (s->upto >= n) return 0;
    which = hpt__malloc((size_t)(n - s->upto) * sizeof *which);
    if (!which) return hpt__fail_memory();
    for (int64_t i = s->upto; i < n; i++)
        if (s->archive.kind[i] != HPT__GP_LEFT_OUT) which[m++] = i;
    HPT_TRY(tell(s, which, m));
    s->upto = n;
    rc = 0;
out:
    hpt__free(which);
    return rc;
}

// A model of the entries `which` alone, of the first upto of the archive.
int hpt__gp_sampler_tell_anew(hpt__gp_sampler *s, const int64_t *which, int64_t n, int64_t upto) {
    int rc = hpt__gp_clear(s->gp);
    s->n_model = s->n_pending = 0;
    if (rc >= 0) rc = tell(s, which, n);
    s->upto = upto;
    return rc;
}

// ---- exact or local

// The trust region's centre and the number of its round; -1: there is none, the best point counts.
static int64_t centre_of(int64_t *round, const hpt__gp_sampler *s) {
    hpt__gp_region r;
    *round = 0;
    if (s->code.cov.d < HPT__GP_REGION_ALWAYS) return -1;
    hpt__gp_region_replay(&r, &s->archive);
    *round = r.n_starts;
    return r.centre;
}

static int go_local(hpt__gp_sampler *s, int64_t centre, int64_t round) {
    int rc = 0;
    int64_t *which = NULL, n = 0;
    const double *theta = hpt__gp_theta(s->gp);
    for (int64_t c = 0; c < s->code.cov.d; c++) s->length[c] = s->n_model > 0 ? exp(theta[c]) : 1;
    HPT_TRY(hpt__gp_subset(&which, &n, &s->archive, centre, s->limit.points / 2 + 1, s->length));
    HPT_TRY(hpt__gp_sampler_tell_anew(s, which, n, s->archive.n));
    s->local = s->changed = true;
    s->round = round;
    rc = 0;
out:
    hpt__free(which);
    return rc;
}

static void say_switch(const hpt__gp_sampler *s) {
    static const char *const why[] = {"option gp.n_max", "what gp.ask_seconds allows",
                                      "what memory allows, option gp.memory"};
    if (s->local)
        hpt__log(
            HPT_LOG_INFO,
            "sampler gp: %lld results are more than it models exactly on %s (at most %lld: %s): from here on a local "
            "model of the points near the best, and their nearest neighbours for the rest of the space",
            (long long)s->archive.n, hpt__device_name(s->device), (long long)s->limit.points, why[s->limit.by]);
    else
        hpt__log(HPT_LOG_INFO, "sampler gp: up to %lld results are modelled exactly (%s): the local model ends",
                 (long long)s->limit.points, why[s->limit.by]);
}

// Before so many results no device is too slow, and none is measured.
enum { EASY = 250 };

static int decide_limit(hpt__gp_sampler *s, int64_t m) {
    int rc = 0;
    const int64_t n = s->archive.n;
    hpt__gp_limit now = s->limit;
    if (now.points == 0 && n <= EASY) now = (hpt__gp_limit){EASY, HPT__GP_BY_SECONDS};
    HPT_TRY(hpt__gp_limit_find(&now, s->device, &s->code.cov, s->env.options, m, now));
    if (s->most > 0 && now.points > s->most) now = (hpt__gp_limit){s->most, HPT__GP_BY_MEMORY};
    if (now.points == s->limit.points && now.by == s->limit.by) goto out;
    if (n <= EASY && now.by == HPT__GP_BY_SECONDS) goto out; // not decided: it has no effect yet
    s->limit = now;
    s->changed = true;
out:
    return rc;
}

static int learn(hpt__gp_sampler *s) {
    const int64_t n = s->archive.n, most = s->limit.points > 0 ? s->limit.points : EASY;
    const bool was = s->local;
    int rc = 0;
    if (n <= most && !s->local) return hpt__gp_sampler_tell_upto(s, n);
    if (n <= most) {
        s->local = false;
        s->changed = true;
        HPT_TRY(hpt__gp_sampler_tell_anew(s, NULL, 0, 0));
        HPT_TRY(hpt__gp_sampler_tell_upto(s, n));
    } else {
        int64_t round;
        const int64_t centre = centre_of(&round, s);
        const bool moved = round != s->round && centre >= 0;
        if (!s->local || moved || s->n_model + (n - s->upto) > most)
            HPT_TRY(go_local(s, centre, round));
        else
            HPT_TRY(hpt__gp_sampler_tell_upto(s, n));
    }
    if (was != s->local) say_switch(s);
out:
    return rc;
}

// ---- bringing the model up to date

static int correct_values(hpt__gp_sampler *s) {
    int rc = 0;
    for (int64_t i = 0; i < s->n_model && rc >= 0; i++) {
        const int64_t e = s->in_model[i];
        if (s->archive.kind[e] != HPT__GP_TOLD) rc = hpt__gp_set_value(s->gp, i, s->archive.y[e]);
    }
    return rc;
}

static int fit(hpt__gp_sampler *s) {
    int rc = 0;
    const double t0 = hpt__now_mono();
    HPT_TRY(learn(s));
    if (s->n_model == 0) goto out;
    HPT_TRY(hpt__gp_fit(s->gp, false));
    s->fit_seconds += hpt__now_mono() - t0;
    if (s->n_model > HPT__GP_STEP_FROM && hpt__gp_ready(s->gp) == HPT_E_MEMORY)
        rc = HPT_E_MEMORY; // other errors: when it is asked
out:
    return rc;
}

int hpt__gp_sampler_update(hpt__gp_sampler *s, bool moved, int64_t m) {
    int rc = 0;
    if (s->loaded) {
        const hpt__gp_limit limit = s->limit;
        HPT_TRY(hpt__gp_sampler_restore(s));
        if (s->moved) s->limit = limit; // the stored one is the other device's
        s->moved = false;
    }
    if (moved) HPT_TRY(correct_values(s));
    HPT_TRY(decide_limit(s, m));
    rc = fit(s);
    if (rc == HPT_E_MEMORY && s->n_model > HPT__GP_STEP_FROM && hpt__device_is_host(s->device)) {
        // The estimate was too low, or others took the memory: with three quarters of the points once more.
        char message[HPT__ERROR_MAX];
        hpt__error_copy(message);
        s->most = s->n_model / 4 * 3;
        s->limit = (hpt__gp_limit){s->most, HPT__GP_BY_MEMORY};
        hpt__log(HPT_LOG_WARN, "sampler gp: %s; it goes on with at most %lld", message, (long long)s->limit.points);
        s->local = false;
        HPT_TRY(hpt__gp_clear(s->gp));
        s->n_model = s->n_pending = s->upto = 0;
        rc = fit(s);
    }
    if (rc >= 0 && s->n_model > 0) rc = hpt__gp_sampler_notice_change(s);
out:
    return rc < 0 ? rc : 0;
}

int hpt__gp_sampler_nearest(hpt__neighbours **out, hpt__gp_sampler *s) {
    const hpt__gp_archive *a = &s->archive;
    const int64_t d = s->code.cov.d;
    int rc = 0;
    hpt__neighbours *near = NULL;
    double *z = hpt__malloc((size_t)(a->n + 1) * sizeof *z);
    if (!z) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__neighbours_create(&near, s->device, hpt__gp_cov(s->gp), hpt__gp_theta(s->gp)));
    for (int64_t i = 0, j; i < a->n; i = j) { // runs of entries that a model may have
        for (j = i; j < a->n && a->kind[j] != HPT__GP_LEFT_OUT; j++) z[j] = hpt__gp_transform(s->gp, a->y[j]);
        if (j > i) HPT_TRY(hpt__neighbours_add(near, a->rows + i * d, a->masks + i, z + i, j - i));
        j += j == i;
    }
    HPT_TRY(hpt__neighbours_add(near, a->pending_rows, a->pending_masks, NULL, a->n_pending));
    *out = near;
    near = NULL;
    rc = 0;
out:
    hpt__neighbours_destroy(near);
    hpt__free(z);
    return rc;
}
