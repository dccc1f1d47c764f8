// SPDX-License-Identifier: Apache-2.0
// screen_default.c: the k best of m candidates, for backends that have no screening of their own.
//
// Candidates go through acquire in blocks, so that the m x n cross matrix never exists as a whole; the k best so far lie in
// a heap whose root is the worst of them. Better: the larger value, among equal values the smaller index; a total order, so
// the result does not depend on the size of the blocks.
// Ownership: index and value are the caller's and serve as the heap. Threads: one per model. Cost: acquire of m candidates,
// plus m log k comparisons at most.
#include "screen_default.h"

#include "../base/alloc.h"
#include "../base/error.h"

enum { BLOCK = 1024 };

static bool better(double v, int64_t i, double w, int64_t j) {
    return v > w || (v == w && i < j);
}

static void swap(int64_t *index, double *value, int64_t a, int64_t b) {
    const int64_t i = index[a];
    const double v = value[a];
    index[a] = index[b];
    value[a] = value[b];
    index[b] = i;
    value[b] = v;
}

// Lets entry `at` of n sink until no child is worse than it.
static void sink(int64_t *index, double *value, int64_t at, int64_t n) {
    for (;;) {
        int64_t worst = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (better(value[worst], index[worst], value[child], index[child])) worst = child;
        if (worst == at) return;
        swap(index, value, at, worst);
        at = worst;
    }
}

int hpt__screen_default(hpt__model *model, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t m,
                        int64_t d, int64_t k, int64_t *index, double *value) {
    int rc = 0;
    int64_t held = 0;
    double *block = hpt__malloc((size_t)(m < BLOCK ? m : BLOCK) * sizeof *block);
    if (!block) return hpt__fail_memory();
    for (int64_t at = 0; at < m; at += BLOCK) {
        const int64_t n = m - at < BLOCK ? m - at : BLOCK;
        HPT_TRY(hpt__model_acquire(model, acq, z + at * d, zmask + at, n, block, NULL));
        for (int64_t i = 0; i < n; i++) {
            if (held < k) {
                index[held] = at + i;
                value[held++] = block[i];
                if (held == k)
                    for (int64_t j = k / 2; j-- > 0;) sink(index, value, j, k);
            } else if (better(block[i], at + i, value[0], index[0])) {
                index[0] = at + i;
                value[0] = block[i];
                sink(index, value, 0, k);
            }
        }
    }
    for (int64_t n = k; n > 1; n--) { // the worst goes to the end
        swap(index, value, 0, n - 1);
        sink(index, value, 0, n - 1);
    }
out:
    hpt__free(block);
    return rc;
}
