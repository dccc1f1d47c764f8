// SPDX-License-Identifier: Apache-2.0
// acq_thompson.c: points of a large batch by Thompson samples: each is where one function drawn from the posterior is smallest.
//
// Where very many trials run, conditioning on each of them costs O(n (n + m)) a point, and candidates that were few enough for
// that are soon all taken. Functions drawn from the posterior (gp_path.c) spread by themselves (Kandasamy et al., AISTATS
// 2018), know nothing of pending trials and cost the same however many there are: candidates are made once for the present
// results, and each function is asked at all of them.
//
// Functions are drawn 1, 8, then 64 at a time while the results stay the same: who asks for one pays for one. Function `number`
// is the same in any of these, up to rounding.
// Ownership: own arrays; gp and code are the caller's at every call. Threads: one at a time. Memory: 8 m (d + 64) bytes.
// Cost: s functions O(n^2 s + m n (d + s)); a point O(m).
#include "../base/alloc.h"
#include "../base/error.h"
#include "../gp/gp_path.h"
#include "acq_impl.h"

#include <string.h>

enum { GROWTH = 8, MOST = 64 };

struct hpt__acq_crowd {
    double *rows; // n x d
    uint64_t *masks;
    int64_t n, generation; // 0: there are no candidates
    double *values;        // n x n_drawn: functions first .. at the candidates
    int64_t first, n_drawn;
};

void hpt__acq_crowd_destroy(hpt__acq_crowd *c) {
    if (!c) return;
    hpt__free(c->rows);
    hpt__free(c->masks);
    hpt__free(c->values);
    hpt__free(c);
}

static int draw(hpt__acq_crowd *c, hpt__gp *gp, uint64_t seed, int64_t number) {
    int rc = 0;
    hpt__gp_paths *paths = NULL;
    const int64_t more = c->n_drawn * GROWTH, n = more < 1 ? 1 : more > MOST ? MOST : more;
    c->n_drawn = 0;
    hpt__free(c->values);
    c->values = hpt__malloc((size_t)(c->n * n) * sizeof *c->values);
    if (!c->values) HPT_TRY(hpt__fail_memory());
    HPT_TRY(hpt__gp_paths_draw(&paths, gp, seed, number, n));
    HPT_TRY(hpt__gp_paths_value(c->values, c->n, paths, gp, c->rows, c->masks, c->n));
    c->first = number;
    c->n_drawn = n;
    rc = 0;
out:
    hpt__gp_paths_destroy(paths);
    return rc;
}

int hpt__acq_thompson(double *row, uint64_t *mask, hpt__acq_crowd **crowd, hpt__gp *gp, const hpt__gp_code *code,
                      const hpt__search_options *options, uint64_t seed, int64_t number) {
    int rc = 0;
    hpt__seen seen = {0};
    hpt__acq_crowd *c = *crowd;
    const int64_t d = code->cov.d;
    int64_t best = -1;
    if (!c) c = *crowd = hpt__calloc(1, sizeof *c);
    if (!c) return hpt__fail_memory();
    if (c->generation == 0 || c->generation != hpt__gp_generation(gp)) {
        hpt__rng rng;
        bool complete;
        hpt__rng_init(&rng, seed, (uint64_t)hpt__gp_n(gp));
        c->generation = c->n_drawn = 0;
        HPT_TRY(hpt__candidates_keep(&c->rows, &c->masks, &c->n, &complete, gp, code, options, &rng));
        c->generation = hpt__gp_generation(gp);
    }
    if (c->n > 0 && !(number >= c->first && number < c->first + c->n_drawn)) HPT_TRY(draw(c, gp, seed, number));
    HPT_TRY(hpt__seen_init(&seen, gp, code, options));
    const double *f = c->n > 0 ? c->values + (number - c->first) * c->n : NULL;
    for (int64_t j = 0; j < c->n; j++)
        if ((best < 0 || f[j] < f[best]) && !hpt__seen_has(&seen, c->rows + j * d, c->masks[j])) best = j;
    rc = HPT_S_NOTHING;
    if (best < 0) goto out;
    memcpy(row, c->rows + best * d, (size_t)d * sizeof *row);
    *mask = c->masks[best];
    rc = 0;
out:
    hpt__seen_fini(&seen);
    return rc;
}
