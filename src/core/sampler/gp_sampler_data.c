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

// Told points that the device's memory holds, or the user allows.
static int64_t most_points(const hpt__gp_sampler *s, int64_t m) {
    int64_t n = s->env.options->gp_n_max;
    const int64_t memory = hpt__device_memory(s->device);
    hpt__model_shape shape = {.d = s->code.cov.d, .n_terms = s->code.cov.n_terms, .m = m, .s = 1};
    for (shape.n = n; n > 64; n = n / 4 * 3) {
        shape.n = n;
        if (hpt__device_need(s->device, &shape) <= memory) break;
    }
    return n;
}

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

static int go_local(hpt__gp_sampler *s, int64_t most) {
    int rc = 0;
    int64_t *which = NULL, n = 0;
    const double *theta = hpt__gp_theta(s->gp);
    for (int64_t c = 0; c < s->code.cov.d; c++) s->length[c] = s->n_model > 0 ? exp(theta[c]) : 1;
    HPT_TRY(hpt__gp_subset(&which, &n, &s->archive, s->archive.n, most / 2, s->length));
    HPT_TRY(hpt__gp_sampler_tell_anew(s, which, n, s->archive.n));
    if (!s->local)
        hpt__log(
            HPT_LOG_INFO,
            "sampler gp: %lld told points are more than it models exactly (at most %lld, option gp.n_max): from here "
            "on a model of the points near the best one and of a sample of the others",
            (long long)s->archive.n, (long long)most);
    s->local = true;
    s->changed = true;
    rc = 0;
out:
    hpt__free(which);
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

int hpt__gp_sampler_update(hpt__gp_sampler *s, bool moved, int64_t m) {
    int rc = 0;
    if (s->loaded) HPT_TRY(hpt__gp_sampler_restore(s));
    if (moved) HPT_TRY(correct_values(s));
    const int64_t most = most_points(s, m);
    if (s->n_model + (s->archive.n - s->upto) > most)
        HPT_TRY(go_local(s, most));
    else
        HPT_TRY(hpt__gp_sampler_tell_upto(s, s->archive.n));
    if (s->n_model == 0) goto out;
    const double t0 = hpt__now_mono();
    HPT_TRY(hpt__gp_fit(s->gp, false));
    s->fit_seconds += hpt__now_mono() - t0;
    HPT_TRY(hpt__gp_sampler_notice_change(s));
out:
    return rc < 0 ? rc : 0;
}
